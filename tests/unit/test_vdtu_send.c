/* SPDX-License-Identifier: BSD-2-Clause */
/* SEND: the edge cases of dtu-spec 10.1, numbered as there. */
/* LINK: vdtu */
#include "vdtu_fixture.h"

static uint8_t big[DTU_MAX_PACKET];

static void limit_credits(unsigned credits)
{
    fx_set(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, credits));
}

static void want_credits(unsigned credits)
{
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, credits));
}

/* Four messages, none fetched; every word of the result is in test_vdtu_golden.c. */
static void fill_b(void)
{
    for (unsigned i = 0; i < 4; i++)
        fx_send(A, 4, "fill", 4, 0);
    ck_assert_uint_eq(B->regs[DTU_MSG_CNT / 8], 4);
    fx_accept(fx);
}

/* B's endpoint 2 becomes one slot of `size` bytes. */
static void one_slot(unsigned size)
{
    fx_set_ep(B, 2, (uint64_t)DTU_EP_RECV << 61 | (uint64_t)size << 32 | 1 << 16, FX_RBUF, 0);
}

static void want_one_slot_filled(unsigned size)
{
    fx_want_ep(B, 2, (uint64_t)DTU_EP_RECV << 61 | 1ull << 48 | (uint64_t)size << 32 | 1 << 16 | 1,
               FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}

START_TEST(edge_01)
{
    limit_credits(100);
    fx_send(A, 4, "x", 1, SE_MISS_CREDITS);
    ck_assert_uint_eq(A->regs[DTU_COMMAND / 8], 0x800);
}
END_TEST

START_TEST(edge_02)
{
    limit_credits(255);
    fx_send(A, 4, "x", 1, SE_MISS_CREDITS);
}
END_TEST

START_TEST(edge_03)
{
    struct fx_hdr h = fx_hdr_a(1);

    limit_credits(256);
    fx_send(A, 4, "x", 1, SE_OK);
    want_credits(0);
    h.ep = 4;
    fx_want_msg(B, FX_RBUF, h, "x");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_check(fx);
    fx_send(A, 4, "x", 1, SE_MISS_CREDITS);
}
END_TEST

/* Paying rewrites the endpoint without its unused bits (dtu-spec 1.4); not paying leaves them. */
START_TEST(unused_bits)
{
    uint64_t r0 = dtu_send_r0(3, 256), r1 = dtu_send_r1(FX_B, 2, 0x1FF);

    fx_set_ep(A, 4, r0 | 1ull << 60 | 1ull << 27, r1 | 3ull << 40, FX_LABEL);
    fx_send(A, 4, "x", 1, SE_OK);
    ck_assert_uint_eq(A->regs[DTU_EP(4, 0) / 8], r0);
    ck_assert_uint_eq(A->regs[DTU_EP(4, 1) / 8], dtu_send_r1(FX_B, 2, 0xFF));
    fx_set_ep(A, 4, r0 | 1ull << 60, r1 | 3ull << 40 | 0xFFFF, FX_LABEL);
    fx_send(A, 4, "x", 1, SE_OK);
    ck_assert_uint_eq(A->regs[DTU_EP(4, 0) / 8], r0 | 1ull << 60);
    ck_assert_uint_eq(A->regs[DTU_EP(4, 1) / 8], r1 | 3ull << 40 | 0xFFFF);
    fx_accept(fx);
}
END_TEST

START_TEST(edge_04)
{
    fx_first_message(); /* sender endpoint 16 in the header, r1 unchanged */
    ck_assert_uint_eq(A->regs[DTU_EP(4, 1) / 8], 0x000000000302FFFF);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, FX_A, FX_B), 1);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, FX_B, FX_A), 0);
}
END_TEST

START_TEST(edge_05)
{
    fill_b();
    limit_credits(512);
    fx_send(A, 4, "x", 1, SE_NO_RING_SPACE);
    want_credits(256);
    B->want_stats.refused_full++;
    fx_check(fx);
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(9, 256));
    fx_send(A, 4, "x", 1, SE_VPE_GONE);
    want_credits(0);
    B->want_stats.refused_vpe++;
    fx_check(fx);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, FX_A, FX_B), 4);
}
END_TEST

START_TEST(edge_06)
{
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 33));
    fx_first_message();
}
END_TEST

START_TEST(edge_07)
{
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 32));
    fx_send(A, 4, "message1", 8, SE_INV_ARGS);
    /* A max size that does not even hold the header, and sizes that wrap when 25 is added. */
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 24));
    fx_send(A, 4, NULL, 0, SE_INV_ARGS);
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 256));
    fx_set(A, DTU_DATA_SIZE, ~0ull);
    fx_cmd(A, DTU_SEND, 4, SE_INV_ARGS);
    fx_set(A, DTU_DATA_SIZE, ~0ull - 24);
    fx_cmd(A, DTU_SEND, 4, SE_INV_ARGS);
    fx_set(A, DTU_DATA_SIZE, 1ull << 32 | 1);
    fx_cmd(A, DTU_SEND, 4, SE_INV_ARGS);
}
END_TEST

/* Nothing is paid for what is refused before it is sent. */
START_TEST(too_long_costs_nothing)
{
    limit_credits(512);
    fx_send(A, 4, big, 232, SE_INV_ARGS);
    limit_credits(0); /* and the size is looked at first */
    fx_send(A, 4, big, 232, SE_INV_ARGS);
}
END_TEST

START_TEST(edge_08)
{
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 4096));
    one_slot(4096);
    memset(big, 0x5A, sizeof(big));
    fx_send(A, 4, big, 4071, SE_OK);
    fx_want_msg(B, FX_RBUF, fx_hdr_a(4071), big);
    want_one_slot_filled(4096);
}
END_TEST

START_TEST(edge_09)
{
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 8192));
    one_slot(8192);
    fx_send(A, 4, big, 4072, SE_INV_ARGS);
}
END_TEST

START_TEST(edge_10)
{
    fx_send(A, 4, NULL, 0, SE_OK);
    fx_want_msg(B, FX_RBUF, fx_hdr_a(0), "");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

START_TEST(edge_11)
{
    const uint64_t r0[] = {0,
                           dtu_recv_r0(8, 8),
                           dtu_mem_r0(4096),
                           4ull << 61,
                           5ull << 61 | 256,
                           6ull << 61 | 256,
                           7ull << 61 | 256};

    fx_set_ep(A, 5, r0[_i], dtu_send_r1(FX_B, 2, DTU_CREDITS_UNLIM), 0);
    fx_send(A, 5, "x", 1, SE_EP_INVALID);
}
END_TEST

START_TEST(edge_12)
{
    one_slot(33);
    fx_send(A, 4, "message12", 9, SE_INV_ARGS);
    B->want_stats.refused_ep++;
    fx_check(fx);
    fx_send(A, 4, "message1", 8, SE_OK);
    fx_want_msg(B, FX_RBUF, fx_hdr_a(8), "message1");
    want_one_slot_filled(33);
}
END_TEST

START_TEST(edge_13)
{
    const uint64_t r0[] = {0, dtu_send_r0(3, 256), dtu_mem_r0(4096), 7ull << 61};

    fx_set_ep(B, 2, r0[_i], FX_RBUF, 0);
    fx_send(A, 4, "x", 1, SE_RECV_GONE);
    B->want_stats.refused_ep++;
}
END_TEST

START_TEST(edge_14)
{
    const unsigned ep[] = {16, 17, 128, 255};

    fx_set(A, DTU_EP(4, 1), dtu_send_r1(FX_B, ep[_i], 256));
    fx_send(A, 4, "x", 1, SE_RECV_GONE);
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FX_B, ep[_i], 0));
    B->want_stats.refused_ep++;
    fx_check(fx);
    /* The endpoint number comes before the VPE (dtu-spec 12.2). */
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(9, 256));
    fx_set(A, DTU_EP(4, 1), dtu_send_r1(FX_B, ep[_i], 256));
    fx_send(A, 4, "x", 1, SE_RECV_GONE);
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FX_B, ep[_i], 0));
    B->want_stats.refused_ep++;
}
END_TEST

START_TEST(edge_15)
{
    const unsigned pe[] = {4, 500, 1022, 1023};

    fx_set(A, DTU_EP(4, 1), dtu_send_r1(pe[_i], 2, DTU_CREDITS_UNLIM));
    fx_send(A, 4, "x", 1, SE_EP_INVALID);
}
END_TEST

START_TEST(edge_16)
{
    fx_set_ep(B, 2, 0, 0, 0);
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(9, 256));
    fx_send(A, 4, "x", 1, SE_VPE_GONE);
    B->want_stats.refused_vpe++;
}
END_TEST

START_TEST(edge_17)
{
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(9, 256));
    for (unsigned i = 0; i < 5; i++) {
        fx_send(A, 4, "x", 1, SE_VPE_GONE);
        B->want_stats.refused_vpe++;
        fx_check(fx);
    }
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 256));
    fx_first_message(); /* still into slot 0 */
}
END_TEST

START_TEST(edge_18)
{
    fill_b();
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(9, 256));
    fx_send(A, 4, "x", 1, SE_VPE_GONE);
    B->want_stats.refused_vpe++;
}
END_TEST

START_TEST(edge_19)
{
    fill_b();
    fx_send(A, 4, "x", 1, SE_NO_RING_SPACE);
    B->want_stats.refused_full++; /* and nothing else: no wake-up */
}
END_TEST

START_TEST(edge_20)
{
    struct fx_hdr h = fx_hdr_a(1);

    fx_poke(A, FX_SRC, "x", 1);
    fx_set(A, DTU_DATA_ADDR, FX_SRC);
    fx_set(A, DTU_DATA_SIZE, 1);
    fx_set(A, DTU_REPLY_EPID, ~0ull);
    fx_set(A, DTU_REPLY_LABEL, FX_RLABEL);
    fx_cmd(A, DTU_SEND, 4, SE_OK);
    fx_want_sent(A, 1);
    h.reply_ep = 0xFF;
    fx_want_msg(B, FX_RBUF, h, "x");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_check(fx);

    fx_fetch(B, 2, FX_RBUF);
    fx_reply(B, 2, FX_RBUF, "y", 1, SE_RECV_GONE);
    A->want_stats.refused_ep++;
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 0);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
}
END_TEST

START_TEST(edge_21)
{
    struct fx_hdr h = {DTU_HD_REPLY_ENABLED, FX_B, 16, 1, 8, 3, 0x77, FX_RLABEL};

    fx_set_ep(B, 4, dtu_send_r0(3, 256), dtu_send_r1(FX_B, 2, DTU_CREDITS_UNLIM), 0x77);
    fx_set_ep(B, 1, dtu_recv_r0(8, 8), FX_REPLIES, 0);
    fx_send(B, 4, "to me   ", 8, SE_OK);
    fx_want_msg(B, FX_RBUF, h, "to me   ");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_check(fx);

    fx_fetch(B, 2, FX_RBUF);
    fx_reply(B, 2, FX_RBUF, "and back", 8, SE_OK);
    fx_want_msg(B, FX_REPLIES, fx_hdr_reply(8), "and back");
    fx_want_ep(B, 1, 0x4001010000010001, FX_REPLIES, 0x100000001);
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 0);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

/* The payload lies in the slot that it is sent to: it arrives as it was before. */
START_TEST(self_overlap)
{
    struct fx_hdr h = {DTU_HD_REPLY_ENABLED, FX_B, 16, 0, 64, 3, 0x77, 0};
    uint8_t data[64];

    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i + 1);
    fx_poke(B, FX_RBUF + 10, data, sizeof(data));
    fx_set_ep(B, 4, dtu_send_r0(3, 256), dtu_send_r1(FX_B, 2, DTU_CREDITS_UNLIM), 0x77);
    fx_set(B, DTU_DATA_ADDR, FX_RBUF + 10);
    fx_set(B, DTU_DATA_SIZE, sizeof(data));
    fx_cmd(B, DTU_SEND, 4, SE_OK);
    fx_want_sent(B, 64);
    fx_want_msg(B, FX_RBUF, h, data);
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

START_TEST(edge_22)
{
    static const struct {
        uint64_t addr;
        unsigned inside;
    } t[] = {{FX_MEM, 0}, {FX_MEM - 3, 3}, {~0ull - 3, 0}, {DTU_BASE, 0}, {1ull << 63, 0}};
    uint8_t want[8] = {0};

    fx_poke(A, FX_MEM - 3, "end", 3);
    memcpy(want, "end", t[_i].inside);
    fx_set(A, DTU_DATA_ADDR, t[_i].addr);
    fx_set(A, DTU_DATA_SIZE, 8);
    fx_set(A, DTU_REPLY_EPID, 1);
    fx_set(A, DTU_REPLY_LABEL, FX_RLABEL);
    fx_cmd(A, DTU_SEND, 4, SE_OK);
    fx_want_sent(A, 8);
    A->want_stats.outside++;
    fx_want_msg(B, FX_RBUF, fx_hdr_a(8), want);
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

START_TEST(edge_23)
{
    fx_kreg(K, FX_A, 2, DTU_RWB, FX_SRC);
    fx_want(A, DTU_RWB, FX_SRC);
    fx_first_message();
}
END_TEST

/* Messages may come to an endpoint whose slots lie (partly) outside of memory: dropped there. */
START_TEST(slot_outside)
{
    static const uint64_t base[] = {FX_MEM - 28, FX_MEM, ~0ull - 10};
    uint8_t msg[28];

    fx_set_ep(B, 2, dtu_recv_r0(10, 8), base[_i], 0);
    fx_send(A, 4, "message1", 8, SE_OK);
    fx_want_msg(B, FX_RBUF, fx_hdr_a(8), "message1"); /* as it would be, to take its bytes */
    memcpy(msg, B->want_mem + FX_RBUF, sizeof(msg));
    memset(B->want_mem + FX_RBUF, 0, 33);
    if (_i == 0)
        fx_want_mem(B, FX_MEM - 28, msg, 28);
    B->want_stats.outside++;
    fx_want_ep(B, 2, 0x4001010000040001, base[_i], 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu send");
    TCase *c = tcase_create("send");

    tcase_add_checked_fixture(c, fx_setup, fx_teardown);
    tcase_add_test(c, edge_01);
    tcase_add_test(c, edge_02);
    tcase_add_test(c, edge_03);
    tcase_add_test(c, unused_bits);
    tcase_add_test(c, edge_04);
    tcase_add_test(c, edge_05);
    tcase_add_test(c, edge_06);
    tcase_add_test(c, edge_07);
    tcase_add_test(c, too_long_costs_nothing);
    tcase_add_test(c, edge_08);
    tcase_add_test(c, edge_09);
    tcase_add_test(c, edge_10);
    tcase_add_loop_test(c, edge_11, 0, 7);
    tcase_add_test(c, edge_12);
    tcase_add_loop_test(c, edge_13, 0, 4);
    tcase_add_loop_test(c, edge_14, 0, 4);
    tcase_add_loop_test(c, edge_15, 0, 4);
    tcase_add_test(c, edge_16);
    tcase_add_test(c, edge_17);
    tcase_add_test(c, edge_18);
    tcase_add_test(c, edge_19);
    tcase_add_test(c, edge_20);
    tcase_add_test(c, edge_21);
    tcase_add_test(c, self_overlap);
    tcase_add_loop_test(c, edge_22, 0, 5);
    tcase_add_test(c, edge_23);
    tcase_add_loop_test(c, slot_outside, 0, 3);
    suite_add_tcase(s, c);
    return fx_run(s);
}
