/* SPDX-License-Identifier: BSD-2-Clause */
/* FETCH, ACK and receive endpoints: the edge cases of dtu-spec 10.3, numbered as there. */
/* LINK: vdtu */
#include "vdtu_fixture.h"

#define SLOT(i) (FX_RBUF + 256u * (i))

static void send_n(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fx_send(A, 4, &(uint8_t){(uint8_t)('a' + i)}, 1, 0);
    fx_accept(fx);
}

START_TEST(edge_37)
{
    fx_set(B, DTU_OFFSET, 0x1234);
    fx_fetch(B, 2, 0); /* and not a bit of the endpoint changes */
}
END_TEST

START_TEST(edge_38)
{
    const uint64_t r0[] = {0, dtu_send_r0(3, 256), dtu_mem_r0(4096), 4ull << 61, 7ull << 61};

    fx_set_ep(B, 5, r0[_i], FX_RBUF, 0x100000001);
    fx_set(B, DTU_OFFSET, 0x1234);
    fx_fetch(B, 5, 0);
}
END_TEST

START_TEST(edge_39)
{
    fx_first_message();
    fx_ack(B, 2, FX_RBUF);
    fx_want_ep(B, 2, 0x4001010000040000, FX_RBUF, 0);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_check(fx);
    fx_fetch(B, 2, 0);
}
END_TEST

START_TEST(edge_40)
{
    fx_ack(B, 2, FX_RBUF);
    B->want_stats.bad_acks++;
    fx_check(fx);
    fx_first_message();
    fx_ack(B, 2, SLOT(1));
    B->want_stats.bad_acks++;
    fx_check(fx);
    fx_ack(B, 2, FX_RBUF);
    fx_want_ep(B, 2, 0x4001010000040000, FX_RBUF, 0);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_ack(B, 2, FX_RBUF); /* twice */
    B->want_stats.bad_acks++;
}
END_TEST

START_TEST(edge_41)
{
    const unsigned at[] = {0, 1, 25, 255};

    send_n(2);
    fx_fetch(B, 2, SLOT(0));
    fx_fetch(B, 2, SLOT(1));
    fx_accept(fx);
    fx_ack(B, 2, SLOT(1) + at[_i]);
    fx_want_ep(B, 2, 0x4082010000040000, FX_RBUF, 1);
}
END_TEST

START_TEST(edge_42)
{
    const uint64_t off[] = {FX_RBUF - 1,           0, SLOT(4), SLOT(31), SLOT(32), ~0ull,
                            FX_RBUF + (1ull << 40)};

    send_n(4);
    fx_set(B, DTU_EP(2, 2), 0xFFFFFFFF); /* slots that are not there seem occupied */
    fx_set(B, DTU_EP(2, 0), dtu_recv_r0(10, 8));
    fx_want(B, DTU_MSG_CNT, 0);
    fx_ack(B, 2, off[_i]);
    B->want_stats.bad_acks++;
}
END_TEST

START_TEST(edge_43)
{
    const uint64_t r0[] = {0, dtu_send_r0(3, 256), dtu_mem_r0(4096), 4ull << 61, 7ull << 61};

    fx_set_ep(B, 5, r0[_i], FX_RBUF, 1);
    fx_ack(B, 5, FX_RBUF);
    B->want_stats.bad_acks++;
}
END_TEST

START_TEST(edge_44)
{
    const uint64_t words[3] = {0};

    send_n(3);
    ck_assert_uint_eq(B->regs[DTU_MSG_CNT / 8], 3);
    fx_set_ep(B, 3, dtu_recv_r0(8, 8) | 2, 0x18000, 0x300000003);
    fx_want(B, DTU_MSG_CNT, 5);
    fx_check(fx);
    switch (_i) {
    case 0: /* by the CPU, with nothing */
        fx_set(B, DTU_EP(2, 0), 0);
        fx_want(B, DTU_MSG_CNT, 2);
        break;
    case 1: /* by another endpoint whose low bits look like a count */
        fx_set(B, DTU_EP(2, 0), dtu_send_r0(3, 256));
        fx_want(B, DTU_MSG_CNT, 2);
        break;
    case 2: /* by an endpoint with a count */
        fx_set(B, DTU_EP(2, 0), dtu_recv_r0(10, 8) | 7);
        fx_want(B, DTU_MSG_CNT, 9);
        break;
    default: /* by the kernel */
        fx_kwrite(K, FX_B, 3, DTU_BASE + DTU_EP(2, 0), words, 24, 0);
        fx_want_ep(B, 2, 0, 0, 0);
        fx_want(B, DTU_MSG_CNT, 2);
        B->want_wakes++; /* who waits for it is to know */
        break;
    }
}
END_TEST

/* An endpoint replaced between two messages: the first is lost, the second is in the new buffer. */
START_TEST(edge_45)
{
    const uint64_t words[3] = {dtu_recv_r0(9, 8), 0x18000, 0};

    fx_first_message();
    fx_kwrite(K, FX_B, 3, DTU_BASE + DTU_EP(2, 0), words, 24, 0);
    fx_want_ep(B, 2, words[0], words[1], words[2]);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_check(fx);
    fx_send(A, 4, "message2", 8, 0);
    fx_want_msg(B, 0x18000, fx_hdr_a(8), "message2");
    fx_want_ep(B, 2, words[0] | 1ull << 48 | 1, 0x18000, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

START_TEST(edge_46)
{
    fx_set_ep(B, 2, 0x4000010000010000, FX_RBUF, 0);
    for (unsigned i = 0; i < 3; i++) {
        fx_send(A, 4, "one", 3, 0);
        fx_want_msg(B, FX_RBUF, fx_hdr_a(3), "one");
        fx_want_ep(B, 2, 0x4001010000010001 | (i ? 1ull << 54 : 0), FX_RBUF, 0x100000001);
        fx_want(B, DTU_MSG_CNT, 1);
        fx_check(fx);
        fx_send(A, 4, "two", 3, SE_NO_RING_SPACE);
        B->want_stats.refused_full++;
        fx_fetch(B, 2, FX_RBUF);
        fx_want_ep(B, 2, 0x4041010000010000, FX_RBUF, 1);
        fx_want(B, DTU_MSG_CNT, 0);
        fx_check(fx);
        fx_send(A, 4, "two", 3, SE_NO_RING_SPACE); /* fetched, but not free */
        B->want_stats.refused_full++;
        fx_ack(B, 2, FX_RBUF);
        fx_want_ep(B, 2, 0x4041010000010000, FX_RBUF, 0);
        fx_check(fx);
    }
}
END_TEST

START_TEST(edge_47)
{
    send_n(2);
    fx_fetch(B, 2, SLOT(0));
    fx_fetch(B, 2, SLOT(1));
    fx_ack(B, 2, SLOT(1));
    fx_accept(fx);
    send_n(3); /* slots 2, 3, 1 */
    fx_ack(B, 2, SLOT(0));
    fx_accept(fx);
    send_n(1); /* slot 0 */
    fx_fetch(B, 2, SLOT(2));
    fx_fetch(B, 2, SLOT(3));
    fx_fetch(B, 2, SLOT(0)); /* the youngest before the older one */
    fx_fetch(B, 2, SLOT(1));
    fx_accept(fx);
}
END_TEST

START_TEST(edge_48)
{
    const unsigned slots[] = {33, 64, 1024, 65535};
    uint64_t r0 = (uint64_t)DTU_EP_RECV << 61 | 64ull << 32 | (uint64_t)slots[_i] << 16;

    fx_set_ep(B, 2, r0, FX_RBUF, 0);
    for (unsigned i = 0; i < 32; i++) {
        fx_send(A, 4, "m", 1, 0);
        fx_want_msg(B, FX_RBUF + 64 * i, fx_hdr_a(1), "m");
    }
    fx_want_ep(B, 2, r0 | 32ull << 48 | 32, FX_RBUF, 0xFFFFFFFFFFFFFFFF);
    fx_want(B, DTU_MSG_CNT, 32);
    fx_check(fx);
    fx_send(A, 4, "m", 1, SE_NO_RING_SPACE);
    B->want_stats.refused_full++;
    fx_check(fx);
    fx_ack(B, 2, FX_RBUF + 64 * 32);
    B->want_stats.bad_acks++;
    fx_check(fx);
    for (unsigned i = 0; i < 32; i++)
        fx_fetch(B, 2, FX_RBUF + 64 * i);
    fx_fetch(B, 2, 0);
    fx_want_ep(B, 2, r0 | 32ull << 54 | 32ull << 48, FX_RBUF, 0x00000000FFFFFFFF);
    fx_want(B, DTU_MSG_CNT, 0);
}
END_TEST

/* 65536 is not a slot size: the field would be 0, and no message fits. */
START_TEST(edge_49)
{
    ck_assert_uint_eq(dtu_recv_r0(18, 16), (uint64_t)DTU_EP_RECV << 61 | 4 << 16);
    fx_set_ep(B, 2, dtu_recv_r0(18, 16), FX_RBUF, 0);
    fx_send(A, 4, "x", 1, SE_INV_ARGS);
    B->want_stats.refused_ep++;
}
END_TEST

START_TEST(no_slots)
{
    fx_set_ep(B, 2, (uint64_t)DTU_EP_RECV << 61 | 256ull << 32, FX_RBUF, 0);
    fx_send(A, 4, "x", 1, SE_NO_RING_SPACE);
    B->want_stats.refused_full++;
    fx_fetch(B, 2, 0);
    fx_ack(B, 2, FX_RBUF);
    B->want_stats.bad_acks++;
}
END_TEST

START_TEST(edge_50)
{
    send_n(4);
    for (unsigned i = 0; i < 4; i++)
        fx_fetch(B, 2, SLOT(i));
    fx_fetch(B, 2, 0);
    fx_want_ep(B, 2, 0x4104010000040000, FX_RBUF, 0xF);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_check(fx);
    fx_send(A, 4, "x", 1, SE_NO_RING_SPACE);
    B->want_stats.refused_full++;
    fx_check(fx);
    fx_ack(B, 2, SLOT(2));
    fx_want_ep(B, 2, 0x4104010000040000, FX_RBUF, 0xB);
    fx_check(fx);
    fx_send(A, 4, "x", 1, SE_OK);
    fx_want_msg(B, SLOT(2), fx_hdr_a(1), "x");
    fx_want_ep(B, 2, 0x4103010000040001, FX_RBUF, 0x40000000F);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

/* The slot keeps what lies behind a shorter message (dtu-spec 3.1). */
START_TEST(rest_of_slot)
{
    uint8_t old[256];

    memset(old, 0xEE, sizeof(old));
    fx_poke(B, FX_RBUF, old, sizeof(old));
    fx_first_message();
    ck_assert_uint_eq(B->mem[FX_RBUF + 33], 0xEE);
}
END_TEST

/* ---- words that no DTU would have written ---- */

START_TEST(count_without_messages)
{
    fx_set_ep(B, 2, dtu_recv_r0(10, 8) | 3, FX_RBUF, 0);
    fx_want(B, DTU_MSG_CNT, 3);
    fx_check(fx);
    fx_fetch(B, 2, 0);
    fx_want(B, DTU_EP(2, 0), dtu_recv_r0(10, 8));
    fx_want(B, DTU_MSG_CNT, 0);
}
END_TEST

START_TEST(messages_without_count)
{
    fx_set_ep(B, 2, dtu_recv_r0(10, 8), FX_RBUF, 0x300000003);
    fx_fetch(B, 2, 0);
    fx_ack(B, 2, FX_RBUF); /* the count stays 0 */
    fx_want(B, DTU_EP(2, 2), 0x200000002);
}
END_TEST

START_TEST(unread_but_free)
{
    fx_set_ep(B, 2, dtu_recv_r0(10, 8) | 1, FX_RBUF, 0x100000000);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_send(A, 4, "message1", 8, 0); /* into the slot that counts already */
    fx_want_msg(B, FX_RBUF, fx_hdr_a(8), "message1");
    fx_want_ep(B, 2, dtu_recv_r0(10, 8) | 1ull << 48 | 1, FX_RBUF, 0x100000001);
}
END_TEST

START_TEST(count_is_full)
{
    const unsigned count[] = {4, 5, 0xFFFF};

    fx_set_ep(B, 2, dtu_recv_r0(10, 8) | count[_i], FX_RBUF, 0);
    fx_want(B, DTU_MSG_CNT, count[_i]);
    fx_send(A, 4, "x", 1, SE_NO_RING_SPACE);
    B->want_stats.refused_full++;
}
END_TEST

/* Positions beyond the slots: the search starts over at 0. */
START_TEST(wild_positions)
{
    uint64_t r0 = dtu_recv_r0(10, 8);

    fx_set_ep(B, 2, r0 | 63ull << 54 | 63ull << 48, FX_RBUF, 0x1);
    fx_send(A, 4, "message1", 8, 0);
    fx_want_msg(B, SLOT(1), fx_hdr_a(8), "message1");
    fx_want_ep(B, 2, r0 | 63ull << 54 | 2ull << 48 | 1, FX_RBUF, 0x200000003);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_check(fx);
    fx_fetch(B, 2, SLOT(1));
    fx_want_ep(B, 2, r0 | 2ull << 54 | 2ull << 48, FX_RBUF, 0x3);
    fx_want(B, DTU_MSG_CNT, 0);
}
END_TEST

/* Bit 60 survives a raw write, and goes when the DTU rewrites the word (dtu-spec 1.4). */
/* An ACK that waits in the queue is there for whoever looks, and touches no command register. */
START_TEST(posted_ack)
{
    struct vdtu_stats st;

    send_n(4);
    for (unsigned i = 0; i < 4; i++)
        fx_fetch(B, 2, SLOT(i));
    fx_send(A, 4, "e", 1, SE_NO_RING_SPACE);
    B->want_stats.refused_full++;
    fx_set(B, DTU_DATA_SIZE, 77);
    fx_accept(fx);
    fx_post(B, 2, SLOT(1) + 3, 0);
    fx_send(A, 4, "f", 1, SE_OK); /* finds the room */
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_MSG_CNT), 1);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_DATA_SIZE), 77);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_OFFSET), SLOT(3));
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_EP(2, 2)), 0x20000000F);
    vdtu_stats(B->d, &st);
    ck_assert_uint_eq(st.cmds[DTU_ACK], 1);
    ck_assert_uint_eq(st.bad_acks, 0);
    fx_accept(fx);
    vdtu_ack(B->d, 2, SLOT(3));
    fx_want_ep(B, 2, vdtu_reg(B->d, DTU_EP(2, 0)), FX_RBUF, 0x200000007);
    vdtu_ack(B->d, 2, SLOT(3)); /* of nothing */
    B->want_stats.bad_acks++;
    B->want_stats.cmds[DTU_ACK] += 2;
    vdtu_ack(B->d, DTU_EPS, SLOT(3));
    vdtu_ack(B->d, 255, SLOT(3));
    B->want_stats.ignored_stores += 2;
}
END_TEST

START_TEST(unused_bit)
{
    fx_set(B, DTU_EP(2, 0), dtu_recv_r0(10, 8) | 1ull << 60);
    fx_fetch(B, 2, 0);
    fx_check(fx);
    fx_first_message();
}
END_TEST

/* Who wants messages of one endpoint only hears of those, and when there will be none. */
START_TEST(poll_of_one_endpoint)
{
    const uint64_t recv = dtu_recv_r0(10, 8);

    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), recv); /* nothing in it: nobody is woken */
    fx_want(B, DTU_EP(7, 0), recv);
    fx_first_message(); /* at endpoint 2 */
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_MESSAGE);
    ck_assert_uint_eq(vdtu_poll_ep(B->d, 2), VDTU_MESSAGE);
    ck_assert_uint_eq(vdtu_poll_ep(B->d, 7), 0);
    vdtu_wakeup(B->d);
    B->want_wakes++;
    ck_assert_uint_eq(vdtu_poll_ep(B->d, 7), VDTU_WAKEUP);
    ck_assert_uint_eq(vdtu_poll_ep(B->d, 7), 0); /* it was consumed */
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), recv | 1); /* as many unread as before, but here */
    fx_want(B, DTU_EP(7, 0), recv | 1);
    fx_want(B, DTU_MSG_CNT, 2);
    B->want_wakes++;
    fx_check(fx);
    ck_assert_uint_eq(vdtu_poll_ep(B->d, 7), VDTU_MESSAGE);
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), 0); /* none will come any more */
    fx_want(B, DTU_EP(7, 0), 0);
    fx_want(B, DTU_MSG_CNT, 1);
    B->want_wakes++;
    fx_check(fx);
    ck_assert_uint_eq(vdtu_poll_ep(B->d, 7), VDTU_WAKEUP);
    ck_assert_uint_eq(vdtu_poll_ep(B->d, 7), VDTU_WAKEUP); /* for as long as that is so */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu receive");
    TCase *c = tcase_create("receive");

    tcase_add_checked_fixture(c, fx_setup, fx_teardown);
    tcase_add_test(c, edge_37);
    tcase_add_loop_test(c, edge_38, 0, 5);
    tcase_add_test(c, edge_39);
    tcase_add_test(c, edge_40);
    tcase_add_loop_test(c, edge_41, 0, 4);
    tcase_add_loop_test(c, edge_42, 0, 7);
    tcase_add_loop_test(c, edge_43, 0, 5);
    tcase_add_loop_test(c, edge_44, 0, 4);
    tcase_add_test(c, edge_45);
    tcase_add_test(c, edge_46);
    tcase_add_test(c, edge_47);
    tcase_add_loop_test(c, edge_48, 0, 4);
    tcase_add_test(c, edge_49);
    tcase_add_test(c, no_slots);
    tcase_add_test(c, edge_50);
    tcase_add_test(c, rest_of_slot);
    tcase_add_test(c, count_without_messages);
    tcase_add_test(c, messages_without_count);
    tcase_add_test(c, unread_but_free);
    tcase_add_loop_test(c, count_is_full, 0, 3);
    tcase_add_test(c, wild_positions);
    tcase_add_test(c, posted_ack);
    tcase_add_test(c, unused_bit);
    tcase_add_test(c, poll_of_one_endpoint);
    suite_add_tcase(s, c);
    return fx_run(s);
}
