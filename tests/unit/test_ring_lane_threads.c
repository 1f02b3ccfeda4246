/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes while others have their say: who is privileged, what the receiver has, and what a hostile
 * receiver writes.
 *
 * RING_SECONDS says how long the first test runs (2).
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
/* TSAN: the DTUs' side of it; the windows are several mappings of the same pages. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include <check.h>

#include "ring_fixture.h"
#include "suite.h"
#include "threads_fixture.h"

enum { S = 1, R = 2, OTHER = 3 };

#define TARGETS 6u /* as many as have a place for sure, and some that have not */

static struct rx *x;
static unsigned long accepted, taken, trapped, closings; /* atomic */

static bool over(void)
{
    return __atomic_load_n(&stop, __ATOMIC_SEQ_CST);
}

static void add(unsigned long *n)
{
    __atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
}

static unsigned any(unsigned *state, unsigned below)
{
    *state = *state * 1103515245u + 12345u;
    return (*state >> 8) % below;
}

static bool has_lane(unsigned pe)
{
    const struct ring_table *t = rg_table(&x->pe[pe].r);

    for (unsigned n = 0; n < RING_LANES; n++)
        if (__atomic_load_n(&t->out[DTU_EPS + n], __ATOMIC_SEQ_CST) != RING_NO_ENTRY)
            return true;
    return false;
}

/* Of each label the messages have numbers; the payload says both. */
static void *sender(void *arg)
{
    struct rings *r = &x->pe[S].r;
    uint64_t n[TARGETS] = {0};
    unsigned state = 5;

    (void)arg;
    while (!over()) {
        unsigned i = any(&state, TARGETS), pe = i % 2 ? R : OTHER;
        const struct ring_to to = {.pe = pe, .vpe = pe, .ep = RX_RECV, .label = i};
        const struct dtu_header *m;

        /* In rows, and as if each had been asked for three times: channels come and go. */
        for (unsigned lane = 0; lane < RING_LANES; lane++)
            r->uses[DTU_EPS + lane] = 3;
        for (unsigned row = any(&state, 12); row > 0; row--) {
            uint64_t words[4] = {i, n[i], ~n[i], i};
            unsigned err = ring_send_to(r, &to, words, sizeof(words), RX_REPLY, n[i]);

            if (err == SE_OK) {
                n[i]++;
                add(&accepted);
            } else if (err == RING_TRAP) {
                add(&trapped);
            } else if (err != SE_NO_RING_SPACE) {
                WRONG("send: error %u", err);
            }
        }
        while ((m = ring_fetch(r, RX_REPLY)))
            ring_ack(r, m);
    }
    return NULL;
}

/* What stands for a PE that is reset: its program does nothing meanwhile. */
static bool halt[RX_PES], halted[RX_PES]; /* atomic */

static void halt_here(unsigned pe)
{
    __atomic_store_n(&halted[pe], true, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&halt[pe], __ATOMIC_SEQ_CST) && !over())
        sched_yield();
    __atomic_store_n(&halted[pe], false, __ATOMIC_SEQ_CST);
}

/*
 * Some are answered, in any order, others only acknowledged.  What the kernel takes from a receiver
 * with its endpoint is lost, but what comes is in order and as it was sent.
 */
static void *receiver(void *arg)
{
    const unsigned pe = (unsigned)(uintptr_t)arg;
    const struct dtu_header *held[2] = {NULL, NULL};
    struct rings *r = &x->pe[pe].r;
    uint64_t next[TARGETS] = {0}, words[4];
    unsigned state = pe;

    while (!over()) {
        const struct dtu_header *m;
        unsigned i = any(&state, 2);

        if (__atomic_load_n(&halt[pe], __ATOMIC_SEQ_CST)) {
            halt_here(pe);
            held[0] = held[1] = NULL;
        }
        m = ring_fetch(r, RX_RECV);

        if (held[i] && any(&state, 2))
            ring_reply(r, held[i], "answer", 6);
        else if (held[i])
            ring_ack(r, held[i]);
        held[i] = m;
        if (!m) {
            sched_yield();
            continue;
        }
        memcpy(words, m + 1, sizeof(words));
        if (m->length != sizeof(words) || m->label >= TARGETS || words[0] != m->label ||
            words[3] != m->label || words[2] != ~words[1] || m->reply_label != words[1] ||
            m->sender_pe != S || words[1] < next[words[0]]) {
            WRONG("PE %u has got %lu.%lu with label %lu, reply label %lu, length %u, behind %lu",
                  pe, (unsigned long)words[0], (unsigned long)words[1], (unsigned long)m->label,
                  (unsigned long)m->reply_label, m->length,
                  (unsigned long)next[words[0] % TARGETS]);
            break;
        }
        next[words[0]] = words[1] + 1;
        add(&taken);
    }
    return NULL;
}

/* Takes the right to lanes or a receiver's endpoint, and gives it back; or resets a receiver. */
static void *kernel(void *arg)
{
    const uint64_t no = 0, yes = DTU_STATUS_PRIV, gone = DTU_VPE_INVALID;
    const uint64_t recv[3] = {dtu_recv_r0(10, 8), 0x10000, 0};
    unsigned state = 11;

    (void)arg;
    while (!over()) {
        const uint64_t pe = any(&state, 2) ? R : OTHER;

        for (volatile unsigned i = any(&state, 100000); i > 0; i--)
            ;
        switch (any(&state, 3)) {
        case 0:
            rx_write_reg(x, S, DTU_STATUS, &no, 1);
            for (unsigned i = any(&state, 1000); i > 0; i--)
                if (has_lane(S))
                    WRONG("a lane without the right to it");
            rx_write_reg(x, S, DTU_STATUS, &yes, 1);
            break;
        case 1:
            rx_revoke(x, (unsigned)pe, RX_RECV);
            rx_write_reg(x, (unsigned)pe, DTU_EP(RX_RECV, 0), recv, 3);
            break;
        default:
            __atomic_store_n(&halt[pe], true, __ATOMIC_SEQ_CST);
            while (!__atomic_load_n(&halted[pe], __ATOMIC_SEQ_CST) && !over())
                sched_yield();
            if (over())
                return NULL;
            rx_write_reg(x, (unsigned)pe, DTU_VPE_ID, &gone, 1);
            vdtu_ring_disable(x->pe[pe].d);
            rx_write_reg(x, (unsigned)pe, DTU_VPE_ID, &pe, 1);
            rx_enable(x, (unsigned)pe);
            __atomic_store_n(&halt[pe], false, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&halted[pe], __ATOMIC_SEQ_CST) && !over())
                sched_yield();
        }
        add(&closings);
    }
    return NULL;
}

START_TEST(everything_changes)
{
    const char *s = getenv("RING_SECONDS");
    double end = seconds() + (s ? strtod(s, NULL) : 2);
    pthread_t t[4];

    x = rx_new(2);
    x->pe[S].r.lanes = true;
    stop = false;
    ck_assert_int_eq(pthread_create(&t[0], NULL, receiver, (void *)(uintptr_t)R), 0);
    ck_assert_int_eq(pthread_create(&t[1], NULL, receiver, (void *)(uintptr_t)OTHER), 0);
    ck_assert_int_eq(pthread_create(&t[2], NULL, sender, NULL), 0);
    ck_assert_int_eq(pthread_create(&t[3], NULL, kernel, NULL), 0);
    while (!over() && seconds() < end)
        sched_yield();
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    ck_assert_msg(!wrong[0], "%s", wrong);
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_le(taken, accepted);
    printf("everything_changes: %lu accepted, %lu taken, %lu by traps, %lu changes\n", accepted,
           taken, trapped, closings);
    rx_free(x);
}
END_TEST

/* ---- a receiver that answers without end ---- */

static bool begun; /* atomic */

static void *answers(void *arg)
{
    const struct ring_desc *d = rg_desc(&x->pe[R].r, 0);
    uint8_t *at = rg_entry(&x->pe[R].r, 0);

    (void)arg;
    while (!over()) {
        uint64_t n = rg_acquire(&rg_ctl(at)->rtaken);

        /* Whatever is waited for next is there. */
        for (unsigned i = 0; i < d->slots; i++, n++)
            rg_release(at + RING_REP_OFF + (n & (d->slots - 1u)) * d->rstride, n + 1);
        __atomic_store_n(&begun, true, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

START_TEST(answers_without_end)
{
    const struct ring_to to = {.pe = R, .vpe = R, .ep = RX_RECV, .label = 1};
    struct rings *r;
    uint64_t most = 0, all;
    pthread_t t;

    x = rx_new(5);
    r = &x->pe[S].r;
    r->lanes = true;
    stop = false;
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(ring_send_to(r, &to, "q", 1, RX_REPLY, i), i < 3 ? RING_TRAP : SE_OK);
    ck_assert_int_eq(pthread_create(&t, NULL, answers, NULL), 0);
    while (!__atomic_load_n(&begun, __ATOMIC_SEQ_CST))
        sched_yield();
    for (double end = seconds() + 1; seconds() < end;) {
        uint64_t before = r->dropped;

        ring_send_to(r, &to, "q", 1, RX_REPLY, 0);
        most = r->dropped - before > most ? r->dropped - before : most;
    }
    all = r->dropped;
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    pthread_join(t, NULL);
    printf("answers_without_end: %lu, at most %lu at a time\n", (unsigned long)all,
           (unsigned long)most);
    ck_assert_uint_gt(all, 0);
    ck_assert_uint_le(most, 2 * rg_desc(r, 0)->slots); /* in room() and for a record */
    rx_free(x);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {everything_changes, answers_without_end};

    return suite_run("ring_lane_threads", tests, SUITE_COUNT(tests), NULL, NULL, 3600);
}
