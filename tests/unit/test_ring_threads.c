/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels with a thread at each end, and one that revokes in the middle.  A sender knows which of
 * its messages were accepted; the receiver must get those, in order, once, and no other.  Sleepers
 * really sleep: a wake-up that gets lost shows as a test that does not end.
 *
 * RING_SECONDS says how long each test runs (2).
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
/* TSAN: the DTUs' side of it; the windows are several mappings of the same pages. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "ring_fixture.h"
#include "suite.h"
#include "threads_fixture.h"

enum { S = 1, R = 2 };

static struct rx *x;
static unsigned long rounds, messages, revoked_alive, slept;

/* Of one round. */
static uint64_t accepted; /* atomic: what the sender knows, once `over` */
static bool over;         /* atomic */
static unsigned delay;

static double limit(void)
{
    const char *s = getenv("RING_SECONDS");

    return seconds() + (s ? strtod(s, NULL) : 2);
}

static bool get(bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

/* Fills the payload with its number, so that a torn one shows. */
static void *sender(void *arg)
{
    uint64_t words[8], n = 0;
    unsigned err;

    (void)arg;
    while (!get(&stop)) {
        for (unsigned i = 0; i < 8; i++)
            words[i] = n;
        err = ring_send(&x->pe[S].r, RX_SEND, words, sizeof(words), DTU_EPS, n);
        if (err == SE_OK)
            n++;
        else if (err == RING_TRAP)
            break;
        else if (err != SE_NO_RING_SPACE)
            WRONG("send: error %u", err);
        else
            sched_yield();
    }
    __atomic_store_n(&accepted, n, __ATOMIC_SEQ_CST);
    __atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* What a sender may do that holds its window: write into every slot, dead or alive. */
static void scribble(void)
{
    uint8_t *at = rg_entry(&x->pe[S].r, 0) + RING_FWD_OFF;

    for (unsigned slot = 0; slot < 4; slot++)
        for (unsigned i = 1; i < 11; i++)
            rg_store(at + slot * 256 + 8 * i, 0xBADBADBADull);
}

static void *receiver(void *arg)
{
    uint64_t n = 0, words[8];
    double end = seconds() + 600;

    (void)arg;
    while (!get(&stop)) {
        bool last = get(&over);
        const struct dtu_header *m = rx_msg(x, R, ring_fetch(&x->pe[R].r, RX_RECV));

        if (!m) {
            if (last && n == __atomic_load_n(&accepted, __ATOMIC_SEQ_CST))
                break;
            if (last && seconds() > end)
                WRONG("message %lu of %lu is lost", (unsigned long)n, (unsigned long)accepted);
            sched_yield();
            continue;
        }
        memcpy(words, m + 1, sizeof(words));
        for (unsigned i = 0; i < 8; i++)
            if (words[i] != n || m->length != sizeof(words) || m->reply_label != n)
                WRONG("message %lu: word %u is %#lx", (unsigned long)n, i, (unsigned long)words[i]);
        ring_ack(&x->pe[R].r, m);
        n++;
    }
    __atomic_fetch_add(&messages, n, __ATOMIC_RELAXED);
    return NULL;
}

static void open_channel(unsigned ep_credits)
{
    rx_gate(x, S, RX_SEND, R, ep_credits);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
}

START_TEST(revoke_any_time)
{
    double end = limit();

    x = rx_new(2);
    rounds = messages = revoked_alive = 0;
    stop = false;
    while (!get(&stop) && seconds() < end) {
        pthread_t a, b;

        accepted = 0;
        over = false;
        open_channel(DTU_CREDITS_UNLIM);
        ck_assert_uint_ne(rg_table(&x->pe[S].r)->out[RX_SEND], RING_NO_ENTRY);
        ck_assert_int_eq(pthread_create(&a, NULL, sender, NULL), 0);
        ck_assert_int_eq(pthread_create(&b, NULL, receiver, NULL), 0);
        for (volatile unsigned i = 0; i < delay; i++)
            ;
        delay = (delay * 1103515245u + 12345u) % 300000;
        rx_revoke(x, S, RX_SEND);
        pthread_join(a, NULL);
        scribble();
        pthread_join(b, NULL);
        rounds++;
        /* Both sides look once more, so that the channel can be used again. */
        ck_assert_ptr_null(ring_fetch(&x->pe[R].r, RX_RECV));
        x->pe[S].r.version = ~0ull;
        ck_assert_ptr_null(ring_fetch(&x->pe[S].r, RX_REPLY));
    }
    ck_assert_msg(!wrong[0], "%s", wrong);
    /* On one busy core a channel may be revoked before its first message. */
    ck_assert_uint_gt(rounds, 0);
    ck_assert_uint_gt(messages, 0);
    printf("revoke_any_time: %lu rounds, %lu messages\n", rounds, messages);
    rx_free(x);
}
END_TEST

/* ---- two that answer each other, and sleep in between ---- */

static void wait_for(struct rx_pe *p)
{
    for (unsigned i = 0; i < 50; i++)
        if (ring_any(&p->r))
            return;
    if (!ring_sleep(&p->r))
        return;
    __atomic_fetch_add(&slept, 1, __ATOMIC_RELAXED);
    /* What the VMM does: sleeps unless the bell rang, and until it does. */
    while (!(vdtu_poll(p->d) & VDTU_BELL) && !get(&stop))
        sched_yield();
    ring_awake(&p->r);
}

static void *server(void *arg)
{
    struct rx_pe *p = &x->pe[R];

    (void)arg;
    while (!get(&stop)) {
        const struct dtu_header *m = ring_fetch(&p->r, RX_RECV);
        uint64_t v;

        if (!m) {
            wait_for(p);
            continue;
        }
        memcpy(&v, m + 1, 8);
        v = ~v;
        if (ring_reply(&p->r, m, &v, 8) != SE_OK)
            WRONG("an answer was refused");
    }
    return NULL;
}

START_TEST(sleep_and_wake)
{
    double end = limit(), stuck;
    struct rx_pe *p;
    pthread_t t;
    uint64_t n = 0, v;

    x = rx_new(2);
    p = &x->pe[S];
    stop = false;
    slept = 0;
    open_channel(256);
    ck_assert_int_eq(pthread_create(&t, NULL, server, NULL), 0);
    while (!get(&stop) && seconds() < end) {
        const struct dtu_header *m = NULL;

        ck_assert_uint_eq(ring_send(&p->r, RX_SEND, &n, 8, RX_REPLY, n), SE_OK);
        for (stuck = 0; !(m = ring_fetch(&p->r, RX_REPLY)) && !get(&stop);) {
            if (!stuck)
                stuck = seconds() + 60;
            if (n % 3)
                wait_for(p);
            if (seconds() > stuck)
                WRONG("no answer to message %lu", (unsigned long)n);
        }
        if (!m)
            break;
        memcpy(&v, m + 1, 8);
        ck_assert(v == ~n && m->label == n);
        ring_ack(&p->r, m);
        n++;
        for (volatile unsigned i = 0; i < n % 700; i++)
            ;
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    pthread_join(t, NULL);
    ck_assert_msg(!wrong[0], "%s", wrong);
    ck_assert_uint_gt(n, 10);
    printf("sleep_and_wake: %lu round trips, slept %lu times\n", (unsigned long)n, slept);
    rx_free(x);
}
END_TEST

/* ---- credits, by both ways, answers in any order, channels that end and begin ---- */

#define CREDITS 3u

static unsigned any(unsigned *state, unsigned below)
{
    *state = *state * 1103515245u + 12345u;
    return (*state >> 8) % below;
}

static unsigned answer(const struct dtu_header *at, uint64_t v)
{
    struct rx_pe *p = &x->pe[R];

    if (ring_owns(&p->r, at))
        return ring_reply(&p->r, at, &v, 8);
    memcpy(p->mem + 0x1800, &v, 8);
    vdtu_store(p->d, DTU_DATA_ADDR, 0x1800, 8);
    vdtu_store(p->d, DTU_DATA_SIZE, 8, 8);
    vdtu_store(p->d, DTU_OFFSET, (uintptr_t)at, 8);
    vdtu_store(p->d, DTU_COMMAND, DTU_CMD(DTU_REPLY, RX_RECV), 8);
    return (unsigned)(vdtu_reg(p->d, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT);
}

static void *unordered(void *arg)
{
    struct rx_pe *p = &x->pe[R];
    const struct dtu_header *held[CREDITS + 1];
    unsigned n = 0, state = 7;

    (void)arg;
    while (!get(&stop)) {
        const struct dtu_header *at = n < CREDITS + 1 ? ring_fetch(&p->r, RX_RECV) : NULL;

        if (at)
            held[n++] = at;
        if (n > CREDITS)
            WRONG("more messages than credits");
        if (n > 0 && (!at || any(&state, 2))) {
            unsigned i = any(&state, n);
            const struct dtu_header *m = rx_msg(x, R, held[i]);
            uint64_t v;

            memcpy(&v, m + 1, 8);
            if (v != m->reply_label || m->length != 8)
                WRONG("message %lu says %lu", (unsigned long)m->reply_label, (unsigned long)v);
            if (answer(held[i], ~v) != SE_OK)
                WRONG("an answer was refused");
            held[i] = held[--n];
        } else if (!at) {
            sched_yield();
        }
    }
    return NULL;
}

/* Takes answers; each must be to a question that is out, and then is not any more. */
static unsigned take_answers(uint64_t *asked, unsigned out)
{
    struct rx_pe *p = &x->pe[S];
    const struct dtu_header *at, *m;
    uint64_t v;

    while ((at = ring_fetch(&p->r, RX_REPLY))) {
        unsigned i = 0;

        m = rx_msg(x, S, at);
        memcpy(&v, m + 1, 8);
        while (i < out && asked[i] != m->label)
            i++;
        if (i == out || v != ~asked[i])
            WRONG("an answer to nothing: %lu", (unsigned long)m->label);
        else
            asked[i] = asked[--out];
        if (ring_owns(&p->r, at)) {
            ring_ack(&p->r, at);
        } else {
            vdtu_store(p->d, DTU_OFFSET, (uintptr_t)at, 8);
            vdtu_store(p->d, DTU_COMMAND, DTU_CMD(DTU_ACK, RX_REPLY), 8);
        }
    }
    return out;
}

static unsigned ask(uint64_t n, unsigned long *traps)
{
    struct rx_pe *p = &x->pe[S];
    unsigned err = ring_send(&p->r, RX_SEND, &n, 8, RX_REPLY, n);

    if (err != RING_TRAP)
        return err;
    ++*traps;
    vdtu_store(p->d, DTU_REPLY_LABEL, n, 8);
    return rx_trap_send(x, S, RX_SEND, &n, 8);
}

START_TEST(credits_by_both_ways)
{
    unsigned long traps = 0, ends = 0;
    uint64_t asked[CREDITS], n = 0;
    struct vdtu_stats stats;
    unsigned out = 0, state = 3, err;
    double end = limit();
    pthread_t t;

    x = rx_new(2);
    stop = false;
    rx_set_ep(x, S, RX_REPLY, dtu_recv_r0(10, 8), 0x8000, 0);
    open_channel(CREDITS * 256);
    ck_assert_int_eq(pthread_create(&t, NULL, unordered, NULL), 0);
    while (!get(&stop) && seconds() < end) {
        double stuck = seconds() + 60;

        while (out == CREDITS && !get(&stop)) {
            out = take_answers(asked, out);
            if (seconds() > stuck)
                WRONG("no answer");
            sched_yield();
        }
        out = take_answers(asked, out);
        err = ask(n, &traps);
        if (err == SE_OK)
            asked[out++] = n++;
        else
            WRONG("error %u with %u out", err, out);
        if (any(&state, 50) == 0) {
            vdtu_ring_end(x->pe[S].d, RX_SEND);
            ends++;
        }
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    pthread_join(t, NULL);
    ck_assert_msg(!wrong[0], "%s", wrong);
    ck_assert_uint_gt(n, CREDITS);
    vdtu_stats(x->pe[S].d, &stats);
    printf(
        "credits_by_both_ways: %lu messages, %lu by traps, channel ended %lu times, opened %lu\n",
        (unsigned long)n, traps, ends, (unsigned long)stats.channels);
    rx_free(x);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {revoke_any_time, sleep_and_wake, credits_by_both_ways};

    return suite_run("ring_threads", tests, SUITE_COUNT(tests), NULL, NULL, 3600);
}
