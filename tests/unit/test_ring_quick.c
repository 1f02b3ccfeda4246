/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages like the one before (ring_quick.h): each way in which the next one is not like it, after
 * one that was.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include <check.h>

#include "ring_pair.h"

#define SLOTS 4u /* of the fixture's endpoints, 256 bytes each */

/* S has a channel with which two messages were sent, taken and acknowledged. */
static void open_and_use(unsigned pe, unsigned credits)
{
    open_channel(pe, credits);
    for (unsigned n = 0; n < 2; n++) {
        const struct dtu_header *m;

        ck_assert_uint_eq(send(pe, n), SE_OK);
        m = fetch(R, RX_RECV);
        ck_assert_uint_eq(value_of(m), n);
        ck_assert_uint_eq(m->sender_pe, pe);
        ring_ack(&x->pe[R].r, m);
    }
}

/* ---- the sender's ---- */

START_TEST(own_endpoint)
{
    open_and_use(S, DTU_CREDITS_UNLIM);
    x->pe[S].r.own |= 1u << RX_SEND;
    ck_assert_uint_eq(send(S, 2), RING_TRAP);
}
END_TEST

START_TEST(no_such_endpoint)
{
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND + DTU_EPS, "a", 1, DTU_EPS, 0), RING_TRAP);
    ck_assert_ptr_null(ring_fetch(&x->pe[R].r, RX_RECV + DTU_EPS));
}
END_TEST

START_TEST(longer_than_a_message)
{
    static const uint8_t big[512];
    unsigned max;

    open_and_use(S, DTU_CREDITS_UNLIM);
    max = x->pe[S].r.ready[RX_SEND].max;
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, big, max + 1, DTU_EPS, 0), SE_INV_ARGS);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, big, max, DTU_EPS, 0), SE_OK);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, max);
}
END_TEST

/* What is no longer is not sent to; nor is what was before. */
START_TEST(another_generation)
{
    open_and_use(S, DTU_CREDITS_UNLIM);
    rx_revoke(x, S, RX_SEND);
    ck_assert_uint_eq(send(S, 2), RING_TRAP);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(S, RX_REPLY)); /* both have closed */
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(x->pe[S].r.ready[RX_SEND].word & 0xFF, RING_LIVE);
}
END_TEST

START_TEST(room)
{
    const struct dtu_header *m;

    open_and_use(S, DTU_CREDITS_UNLIM);
    for (unsigned n = 2; n < 2 + SLOTS; n++)
        ck_assert_uint_eq(send(S, n), SE_OK);
    ck_assert_uint_eq(send(S, 9), SE_NO_RING_SPACE);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 2);
    ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(send(S, 6), SE_OK);
    ck_assert_uint_eq(send(S, 9), SE_NO_RING_SPACE);
    for (unsigned n = 3; n < 7; n++)
        ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), n);
}
END_TEST

/* A slot of its own for each, and of the inbox: none is written over while the program has it. */
START_TEST(credits)
{
    const struct dtu_header *m[2];

    open_channel(S, 2 * 256);
    for (unsigned n = 0; n < 20; n++) {
        ck_assert_uint_eq(send(S, 2 * n), SE_OK);
        ck_assert_uint_eq(send(S, 2 * n + 1), SE_OK);
        ck_assert_uint_eq(send(S, 99), SE_MISS_CREDITS);
        m[0] = fetch(R, RX_RECV);
        m[1] = fetch(R, RX_RECV);
        ck_assert_uint_eq(value_of(m[0]), 2 * n);
        ck_assert_uint_eq(value_of(m[1]), 2 * n + 1);
        ck_assert_uint_eq(ring_reply(&x->pe[R].r, m[n % 2], &n, sizeof(n)), SE_OK);
        ck_assert_uint_eq(ring_reply(&x->pe[R].r, m[!(n % 2)], &n, sizeof(n)), SE_OK);
        for (unsigned i = 0; i < 2; i++) {
            m[i] = fetch(S, RX_REPLY);
            ck_assert_uint_eq(value_of(m[i]), n);
            ck_assert_uint_eq(m[i]->label, 0x1000 + 2 * n + (i ? !(n % 2) : n % 2));
            ring_ack(&x->pe[S].r, m[i]);
        }
    }
}
END_TEST

/*
 * Acknowledged and not answered, so nobody has said that the records are free.  One without: the
 * last is used up where the sender does not have to look for room as well.
 */
START_TEST(records)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    for (uint64_t n = 0; n < 3 * RING_RECORDS; n++) {
        const struct dtu_header *m;

        ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, &n, 8, n ? RX_REPLY : DTU_EPS, n), SE_OK);
        m = fetch(R, RX_RECV);
        ck_assert_uint_eq(value_of(m), n);
        ring_ack(&x->pe[R].r, m);
    }
}
END_TEST

/* ---- the receiver's ---- */

static void by_trap(uint64_t n)
{
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, &n, 8), SE_OK);
}

/* Between two of the same sender. */
START_TEST(one_by_a_trap)
{
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    by_trap(3);
    ck_assert_uint_eq(send(S, 4), SE_OK);
    for (unsigned n = 2; n < 5; n++)
        ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), n);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* The first to be fetched is one by a trap, whoever sent more. */
START_TEST(one_by_a_trap_first)
{
    open_and_use(S, DTU_CREDITS_UNLIM);
    by_trap(2);
    ck_assert_uint_eq(send(S, 3), SE_OK);
    ck_assert_uint_gt(x->pe[R].r.now.left, 0);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 3);
}
END_TEST

START_TEST(too_long)
{
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert_uint_eq(send(S, 3), SE_OK);
    slot_of(S, 2)[RING_META] = 0xFFFF;
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(x->pe[R].r.dropped, 1);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 3);
}
END_TEST

/* What was seen of another sender goes first, though a run has begun. */
START_TEST(others_in_between)
{
    open_channel(T, DTU_CREDITS_UNLIM);
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(T, 3), SE_OK);
    ck_assert_uint_gt(x->pe[R].r.now.left, 0);
    ck_assert(ring_any(&x->pe[R].r)); /* sees T's */
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 3);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* Who looks first whether there is one, and who has found none, goes on quickly all the same. */
START_TEST(looked_for)
{
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(x->pe[R].r.now.left, RING_RUN_ALONE);
    ck_assert(!ring_any(&x->pe[R].r));
    ck_assert(!ring_pending(&x->pe[R].r, RX_RECV));
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert(ring_any(&x->pe[R].r));
    ck_assert(ring_pending(&x->pe[R].r, RX_RECV));
    ck_assert_uint_eq(x->pe[R].r.now.left, RING_RUN_ALONE);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ck_assert_uint_eq(x->pe[R].r.now.left, RING_RUN_ALONE - 1);
}
END_TEST

/* T waits for at most a run; alone, S has a longer one. */
static unsigned before_T(void)
{
    unsigned n = 0;

    for (uint64_t k = 2;; k++, n++) {
        const struct dtu_header *m;

        ck_assert_uint_eq(send(S, k), SE_OK);
        m = fetch(R, RX_RECV);
        ck_assert_ptr_nonnull(m);
        if (m->sender_pe == T || n == 100)
            return n;
        ring_ack(&x->pe[R].r, m);
    }
}

START_TEST(runs_end)
{
    open_channel(T, DTU_CREDITS_UNLIM);
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_lt(x->pe[R].r.now.left, RING_RUN);
    ck_assert_uint_eq(send(T, 1), SE_OK);
    ck_assert_uint_le(before_T(), RING_RUN);
}
END_TEST

/* An answer for the same endpoint waits for the end of S's run, and no longer. */
START_TEST(answers_in_between)
{
    const struct dtu_header *m;
    unsigned n;

    rx_gate(x, R, RX_SEND, T, 256);
    vdtu_ring_open(x->pe[R].d, RX_SEND);
    open_and_use(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[R].r, RX_SEND, "q", 1, RX_RECV, 0xA), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[T].r, fetch(T, RX_RECV), "a", 1), SE_OK);
    for (n = 0; n < 100; n++) {
        ck_assert_uint_eq(send(S, n), SE_OK);
        m = fetch(R, RX_RECV);
        ck_assert_ptr_nonnull(m);
        if (m->flags & DTU_HD_REPLY)
            break;
        ring_ack(&x->pe[R].r, m);
    }
    ck_assert_uint_le(n, RING_RUN_ALONE);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("quick");
    Suite *s = suite_create("ring_quick");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, own_endpoint);
    tcase_add_test(tc, no_such_endpoint);
    tcase_add_test(tc, longer_than_a_message);
    tcase_add_test(tc, another_generation);
    tcase_add_test(tc, room);
    tcase_add_test(tc, credits);
    tcase_add_test(tc, records);
    tcase_add_test(tc, one_by_a_trap);
    tcase_add_test(tc, one_by_a_trap_first);
    tcase_add_test(tc, too_long);
    tcase_add_test(tc, others_in_between);
    tcase_add_test(tc, looked_for);
    tcase_add_test(tc, runs_end);
    tcase_add_test(tc, answers_in_between);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
