/* SPDX-License-Identifier: BSD-2-Clause */
/* At which endpoints is something: what who serves many asks instead of each (ring_news()). */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_pair.h"

#define OTHER 5u /* a second receive endpoint of R, and T's way there */

static uint32_t news(unsigned pe)
{
    return ring_news(&x->pe[pe].r);
}

static void open_other(void)
{
    rx_set_ep(x, R, OTHER, dtu_recv_r0(10, 8), 0x14000, 0);
    rx_set_ep(x, T, RX_SEND, dtu_send_r0(R, 256), dtu_send_r1(R, OTHER, DTU_CREDITS_UNLIM), 0);
    vdtu_ring_open(x->pe[T].d, RX_SEND);
}

START_TEST(each_endpoint_has_its_bit)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    open_other();
    ck_assert_uint_eq(news(R), 0);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(news(R), 1u << RX_RECV);
    ck_assert_uint_eq(send(T, 2), SE_OK);
    ck_assert_uint_eq(news(R), 1u << RX_RECV | 1u << OTHER);
    ck_assert_uint_eq(value_of(fetch(R, OTHER)), 2);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(R, OTHER));
    ck_assert_uint_eq(news(R), 0);
}
END_TEST

START_TEST(answers_and_what_was_fetched)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(news(S), 0);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_OK);
    ck_assert_uint_eq(news(S), 1u << RX_REPLY);
    ring_ack(&x->pe[S].r, fetch(S, RX_REPLY));
    ck_assert_uint_eq(news(S), 0);
    ring_fetched(&x->pe[R].r, 9, 0x1000);
    ck_assert_uint_eq(news(R), 1u << 9);
    x->pe[R].r.on = false; /* by traps only: nobody asks */
    ck_assert_uint_eq(news(R), 0);
    x->pe[R].r.on = true;
}
END_TEST

static void take_one(uint64_t value)
{
    ck_assert_uint_eq(send(S, value), SE_OK);
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
}

/* Both channels are there, and a run of S' messages is under way. */
static void start_run(void)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    open_other();
    for (unsigned i = 0; i < 3; i++)
        take_one(i);
}

/* Who sends without end keeps the others' bit away for one run of messages, not for ever. */
START_TEST(a_run_ends)
{
    unsigned runs = 0;

    start_run();
    ck_assert_uint_eq(send(T, 7), SE_OK);
    do {
        take_one(runs);
        ck_assert_uint_eq(send(S, runs), SE_OK);
        if (news(R) & 1u << OTHER)
            break;
        ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    } while (++runs < 2 * RING_RUN_ALONE);
    ck_assert_uint_le(runs, RING_RUN_ALONE);
    ck_assert_uint_eq(value_of(fetch(R, OTHER)), 7);
}
END_TEST

/* Nor for ever who sends one after the other, so that each look begins a run anew. */
START_TEST(one_at_a_time)
{
    unsigned n = 0;

    open_channel(S, DTU_CREDITS_UNLIM);
    open_other();
    for (; n < 3; n++) {
        take_one(n);
        ck_assert_ptr_null(fetch(R, RX_RECV));
    }
    ck_assert_uint_eq(send(T, 7), SE_OK);
    do {
        ck_assert_uint_eq(send(S, n), SE_OK);
        if (news(R) & 1u << OTHER)
            break;
        ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
        ck_assert_ptr_null(fetch(R, RX_RECV));
    } while (++n < 2 * RING_RUN_ALONE);
    ck_assert_uint_le(n, RING_RUN_ALONE);
    ck_assert_uint_eq(value_of(fetch(R, OTHER)), 7);
}
END_TEST

/* The same where R, as a kernel does, takes each time as many as it may: where it stops is then the
 * same place of a run each time, and never its end. */
START_TEST(a_run_follows_another)
{
    unsigned turns = 0;

    start_run();
    ck_assert_uint_eq(send(S, 3), SE_OK); /* so the next one is always there */
    ck_assert_uint_eq(send(T, 7), SE_OK);
    for (; !(news(R) & 1u << OTHER) && turns < 10; turns++)
        for (unsigned i = 0; i < DTU_MAX_SLOTS; i++)
            take_one(i);
    ck_assert_uint_eq(turns, 1);
    ck_assert_uint_eq(news(R), 1u << RX_RECV | 1u << OTHER);
    ck_assert_uint_eq(value_of(fetch(R, OTHER)), 7);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_endpoint_has_its_bit, answers_and_what_was_fetched, a_run_ends, one_at_a_time,
        a_run_follows_another,
    };

    return RING_SUITE("ring_news", tests);
}
