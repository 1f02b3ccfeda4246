/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 600 clients with one message's worth of credits each on one endpoint, as system calls are: every
 * message arrives and is answered, nobody waits longer than one turn of all others.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#define CLIENTS    600u
#define RX_PES     (CLIENTS + 3u)
#define RX_ENTRIES 640u
#define RX_BLOCKS  640u
#define FIRST      3u
#define MESSAGES   20u
#define R          2u
#include "ring_fixture.h"
#include "suite.h"

static struct rx *x;
static unsigned sent[RX_PES], answered[RX_PES], served[RX_PES];

static void client(unsigned pe)
{
    const struct dtu_header *m;
    uint64_t v = (uint64_t)pe << 32 | sent[pe], answer;

    m = ring_fetch(&x->pe[pe].r, RX_REPLY);
    if (m) {
        memcpy(&answer, m + 1, 8);
        ck_assert(answer == ~((uint64_t)pe << 32 | answered[pe]));
        ck_assert_uint_eq(m->label, answered[pe]);
        answered[pe]++;
        ring_ack(&x->pe[pe].r, m);
    }
    if (sent[pe] == answered[pe] && sent[pe] < MESSAGES) {
        ck_assert_uint_eq(ring_send(&x->pe[pe].r, RX_SEND, &v, 8, RX_REPLY, sent[pe]), SE_OK);
        sent[pe]++;
    }
}

START_TEST(every_message_of_600)
{
    unsigned left = CLIENTS * MESSAGES, turns = 0;

    x = rx_new(5);
    for (unsigned pe = FIRST; pe < RX_PES; pe++) {
        rx_gate(x, pe, RX_SEND, R, 256);
        vdtu_ring_open(x->pe[pe].d, RX_SEND);
        ck_assert_uint_ne(rg_table(&x->pe[pe].r)->out[RX_SEND], RING_NO_ENTRY);
    }
    while (left > 0) {
        unsigned least = ~0u, most = 0;

        for (unsigned pe = FIRST; pe < RX_PES; pe++)
            client(pe);
        for (unsigned i = 0; i < CLIENTS; i++) {
            const struct dtu_header *m = ring_fetch(&x->pe[R].r, RX_RECV);
            uint64_t v;

            if (!m)
                break;
            memcpy(&v, m + 1, 8);
            ck_assert_uint_eq(v >> 32, m->sender_pe);
            ck_assert_uint_eq((uint32_t)v, served[m->sender_pe]);
            served[m->sender_pe]++;
            v = ~v;
            ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, &v, 8), SE_OK);
            left--;
        }
        for (unsigned pe = FIRST; pe < RX_PES; pe++) {
            least = served[pe] < least ? served[pe] : least;
            most = served[pe] > most ? served[pe] : most;
        }
        ck_assert_uint_le(most - least, 1);
        ck_assert_uint_le(++turns, MESSAGES + 1);
    }
    ck_assert(!ring_any(&x->pe[R].r));
    rx_free(x);
}
END_TEST

/* One client speaks all the time: the others get their turn all the same. */
START_TEST(one_that_floods)
{
    unsigned others = 0, flood = 0;

    x = rx_new(5);
    for (unsigned pe = FIRST; pe < FIRST + 50; pe++) {
        rx_gate(x, pe, RX_SEND, R, DTU_CREDITS_UNLIM);
        vdtu_ring_open(x->pe[pe].d, RX_SEND);
    }
    while (ring_send(&x->pe[FIRST].r, RX_SEND, "x", 1, RX_REPLY, 0) == SE_OK)
        ;
    for (unsigned pe = FIRST + 1; pe < FIRST + 50; pe++)
        ck_assert_uint_eq(ring_send(&x->pe[pe].r, RX_SEND, "y", 1, RX_REPLY, 0), SE_OK);
    for (unsigned i = 0; i < 50; i++) {
        const struct dtu_header *m = ring_fetch(&x->pe[R].r, RX_RECV);

        ck_assert_ptr_nonnull(m);
        flood += m->sender_pe == FIRST;
        others += m->sender_pe != FIRST;
        ring_ack(&x->pe[R].r, m);
        ring_send(&x->pe[FIRST].r, RX_SEND, "x", 1, RX_REPLY, 0);
    }
    ck_assert_uint_eq(others, 49);
    ck_assert_uint_eq(flood, 1);
    rx_free(x);
}
END_TEST

/* While one channel's messages are taken in a row another one speaks: eight later it is seen. */
START_TEST(one_that_streams)
{
    const struct dtu_header *m = NULL;
    unsigned row = 0;

    x = rx_new(5);
    for (unsigned pe = FIRST; pe < FIRST + 2; pe++) {
        rx_gate(x, pe, RX_SEND, R, DTU_CREDITS_UNLIM);
        vdtu_ring_open(x->pe[pe].d, RX_SEND);
    }
    for (unsigned i = 0; i < 20; i++)
        ck_assert_uint_eq(ring_send(&x->pe[FIRST].r, RX_SEND, "x", 1, RX_REPLY, 0), SE_OK);
    ring_ack(&x->pe[R].r, ring_fetch(&x->pe[R].r, RX_RECV));
    ck_assert_uint_eq(ring_send(&x->pe[FIRST + 1].r, RX_SEND, "y", 1, RX_REPLY, 0), SE_OK);
    for (; (m = ring_fetch(&x->pe[R].r, RX_RECV)) && m->sender_pe == FIRST; row++)
        ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_le(row, 8);
    ring_ack(&x->pe[R].r, m);
    for (row++; (m = ring_fetch(&x->pe[R].r, RX_RECV)); row++)
        ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(row, 20);
    rx_free(x);
}
END_TEST

/* The look before sleeping overlooks none, however many are silent and however long. */
START_TEST(nobody_is_overlooked)
{
    const struct dtu_header *m;

    x = rx_new(5);
    for (unsigned pe = FIRST; pe < FIRST + 50; pe++) {
        rx_gate(x, pe, RX_SEND, R, DTU_CREDITS_UNLIM);
        vdtu_ring_open(x->pe[pe].d, RX_SEND);
    }
    for (unsigned i = 0; i < 50; i++) {
        ck_assert(ring_sleep(&x->pe[R].r));
        ring_awake(&x->pe[R].r);
        ck_assert_uint_eq(ring_send(&x->pe[FIRST + i * 7 % 50].r, RX_SEND, "x", 1, RX_REPLY, 0),
                          SE_OK);
        if (i % 2)
            ck_assert(!ring_sleep(&x->pe[R].r));
        else
            ck_assert(!ring_sleep_for(&x->pe[R].r, RX_RECV));
        m = ring_fetch(&x->pe[R].r, RX_RECV);
        ck_assert_ptr_nonnull(m);
        ck_assert_uint_eq(m->sender_pe, FIRST + i * 7 % 50);
        ring_ack(&x->pe[R].r, m);
    }
    rx_free(x);
}
END_TEST

/* In how many looks. */
static unsigned find_answer(struct rings *r, unsigned pe)
{
    const struct dtu_header *m;
    unsigned looks = 1;

    while (!(m = ring_fetch(r, RX_REPLY)))
        ck_assert_uint_le(++looks, 100);
    ck_assert_uint_eq(m->sender_pe, pe);
    ring_ack(r, m);
    return looks;
}

/*
 * Who has asked many, as a kernel does, sees the answers of those it asked last at once, and those
 * of the others after a quarter of their number of looks; before it sleeps, all.
 */
START_TEST(answers_of_many)
{
    const unsigned many = 63;
    const struct dtu_header *m;
    struct rings *r;
    unsigned looks = 0, at_most = 0;

    x = rx_new(5);
    r = &x->pe[R].r;
    r->lanes = true;
    for (unsigned pe = FIRST; pe < FIRST + many; pe++) {
        const struct ring_to to = {.pe = pe, .vpe = pe, .ep = RX_RECV, .label = 1};

        for (unsigned i = 0; i < 3; i++)
            ck_assert_uint_eq(ring_send_to(r, &to, "q", 1, RX_REPLY, pe), RING_TRAP);
        for (unsigned i = 0; i < 2; i++)
            ck_assert_uint_eq(ring_send_to(r, &to, "q", 1, RX_REPLY, pe), SE_OK);
    }
    ck_assert_ptr_null(ring_fetch(r, RX_REPLY));
    ck_assert_uint_eq(r->nout, many); /* each has a place among the lanes */
    for (unsigned i = 0; i < 2 * many; i++) {
        unsigned pe = FIRST + i * 10 % many, n;

        m = ring_fetch(&x->pe[pe].r, RX_RECV);
        ck_assert_ptr_nonnull(m);
        ck_assert_uint_eq(ring_reply(&x->pe[pe].r, m, "a", 1), SE_OK);
        if (i >= many)
            ck_assert(!ring_sleep(r));
        n = find_answer(r, pe);
        looks += n;
        at_most = n > at_most ? n : at_most;
    }
    ck_assert_uint_le(at_most, many / 4 + 2);
    ck_assert_uint_gt(looks, 3 * many); /* not at all of them every time */
    rx_free(x);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_message_of_600, one_that_floods, one_that_streams,
                                  nobody_is_overlooked, answers_of_many};

    return suite_run("ring_many", tests, SUITE_COUNT(tests), NULL, NULL, 600);
}
