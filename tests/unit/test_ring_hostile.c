/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends of channels that one side does not want to see, or wants to see too early: what it writes
 * then costs the other neither an entry nor a message (RINGS.md).
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c guest/lib/dtu_drv.c */
#include <check.h>

#include "ring_pair.h"

enum { T = 3 };

static bool closed(unsigned pe, unsigned entry)
{
    const uint64_t *own =
        (const uint64_t *)(void *)(rg_entry(&x->pe[pe].r, entry) + RING_STATE_OFF);

    return own[RING_OWN_CLOSED] == RING_GEN(rg_desc(&x->pe[pe].r, entry)->word);
}

/* An answer that R writes by hand, to message `index`, which has record `number`. */
static void forge_answer(uint64_t place, uint64_t index, uint64_t number)
{
    uint64_t *w = (uint64_t *)(void *)(rg_entry(&x->pe[R].r, 0) + RING_REP_OFF +
                                       place * rg_desc(&x->pe[R].r, 0)->rstride);

    w[RING_LABEL] = index;
    w[RING_META] = 8 | number << 16;
    w[RING_DATA] = 0xE711;
    w[RING_SEQ] = place + 1;
}

/*
 * Once S has said that it expects nothing more the host may use the entry for another channel: an
 * answer that comes then would be taken out of S's hands.
 */
START_TEST(answer_after_the_end)
{
    uint64_t *own;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    rx_revoke(x, S, RX_SEND);
    /* R says, to both, that it is done, and is not. */
    own = (uint64_t *)(void *)(rg_entry(&x->pe[R].r, 0) + RING_STATE_OFF);
    rg_ctl(rg_entry(&x->pe[R].r, 0))->dst_closed = own[RING_OWN_GEN];
    own[RING_OWN_CLOSED] = own[RING_OWN_GEN];
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0));
    forge_answer(0, 0, 0);
    ck_assert(!ring_any(&x->pe[S].r));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
}
END_TEST

/* The same without malice: R's endpoint is taken from it, and it answers what it has all the same.
 */
START_TEST(answer_without_an_endpoint)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 1);
    rx_revoke(x, R, RX_RECV);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0));
    ck_assert_uint_ne(ring_reply(&x->pe[R].r, m, "late", 4), SE_OK); /* nobody would see it */
    forge_answer(0, 0, 0);
    ck_assert(!ring_any(&x->pe[S].r));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    /* The entry is used again, and nothing of all this is in the next one. */
    rx_gate(x, S, RX_SEND + 1, T, DTU_CREDITS_UNLIM);
    vdtu_ring_open(x->pe[S].d, RX_SEND + 1);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND + 1], 0);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
}
END_TEST

/* A message beyond S's credits that S leaves behind keeps no entry of R: nobody may take it. */
START_TEST(left_behind_without_credits)
{
    const struct dtu_header *m;
    uint64_t *w;

    open_channel(S, 256);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    w = (uint64_t *)(void *)(rg_entry(&x->pe[S].r, 0) + RING_FWD_OFF + 256);
    w[RING_META] = 8;
    w[RING_SEQ] = 2;
    m = fetch(R, RX_RECV);
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(!closed(R, 0)); /* it holds one */
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(closed(R, 0));
}
END_TEST

/* Who has no endpoint there any more has nothing to wake the other for. */
START_TEST(no_bell_without_an_endpoint)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    x->pe[S].bells = 0;
    vdtu_ring_bell(x->pe[R].d, 0);
    ck_assert_uint_eq(x->pe[S].bells, 1);
    rx_revoke(x, R, RX_RECV);
    x->pe[S].bells = 0;
    vdtu_ring_bell(x->pe[R].d, 0);
    ck_assert_uint_eq(x->pe[S].bells, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        answer_after_the_end,
        answer_without_an_endpoint,
        left_behind_without_credits,
        no_bell_without_an_endpoint,
    };
    TCase *tc = tcase_create("ring_hostile");
    Suite *s = suite_create("ring_hostile");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
