/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The golden sequences of dtu-spec 11: what the original message unit did, word for word.  Steps
 * with r0 == 0 are those for which the specification gives no words.
 */
#include "vdtu_fixture.h"

#define REPLY_RBUF 0x20000

enum what { SEND, FETCH, ACK };
struct step {
    enum what what;
    char name;     /* of the message sent, or that the fetch must find */
    unsigned slot; /* where it is, or goes; FETCH: NONE, nothing there */
    unsigned err;
    uint64_t r0, r2;
    unsigned msg_cnt;
};
#define NONE 99

static void payload(uint8_t *p, char name)
{
    memset(p, name, 8);
}

static void run_step(const struct step *s)
{
    const uint64_t addr = FX_RBUF + 256u * s->slot;
    uint8_t data[8];

    payload(data, s->name);
    if (s->what == SEND) {
        fx_send(A, 4, data, 8, s->err);
        ck_assert_uint_eq(A->regs[DTU_COMMAND / 8], (uint64_t)s->err << 11);
        if (s->err)
            B->want_stats.refused_full++;
        else
            fx_want_msg(B, addr, fx_hdr_a(8), data);
    } else if (s->what == FETCH) {
        fx_fetch(B, 2, s->slot == NONE ? 0 : addr);
        if (s->slot != NONE)
            ck_assert_mem_eq(B->mem + addr + 25, data, 8);
    } else {
        fx_ack(B, 2, addr);
    }
    if (s->r0) {
        fx_want_ep(B, 2, s->r0, FX_RBUF, s->r2);
        fx_want(B, DTU_MSG_CNT, s->msg_cnt);
        fx_check(fx);
    } else {
        fx_accept(fx);
    }
}

static const struct step wraparound[] = {
    {SEND, 'A', 0, 0, 0x4001010000040001, 0x0000000100000001, 1},
    {SEND, 'B', 1, 0, 0x4002010000040002, 0x0000000300000003, 2},
    {FETCH, 'A', 0, 0, 0x4042010000040001, 0x0000000200000003, 1},
    {SEND, 'C', 2, 0, 0x4043010000040002, 0x0000000600000007, 2},
    {SEND, 'D', 3, 0, 0x4044010000040003, 0x0000000E0000000F, 3},
    {SEND, 'E', 0, SE_NO_RING_SPACE, 0x4044010000040003, 0x0000000E0000000F, 3},
    {ACK, 0, 0, 0, 0x4044010000040003, 0x0000000E0000000E, 3},
    {SEND, 'F', 0, 0, 0x4041010000040004, 0x0000000F0000000F, 4},
    {FETCH, 'B', 1, 0, 0x4081010000040003, 0x0000000D0000000F, 3},
    {FETCH, 'C', 2, 0, 0x40C1010000040002, 0x000000090000000F, 2},
    {FETCH, 'D', 3, 0, 0x4101010000040001, 0x000000010000000F, 1},
    {FETCH, 'F', 0, 0, 0x4041010000040000, 0x000000000000000F, 0},
    {FETCH, 0, NONE, 0, 0x4041010000040000, 0x000000000000000F, 0},
};

static const struct step inverted[] = {
    {SEND, 'A', 0, 0, 0, 0, 0},  {SEND, 'B', 1, 0, 0, 0, 0},
    {FETCH, 'A', 0, 0, 0, 0, 0}, {FETCH, 'B', 1, 0, 0, 0, 0},
    {ACK, 0, 1, 0, 0, 0, 0},     {SEND, 'C', 2, 0, 0, 0, 0},
    {SEND, 'D', 3, 0, 0, 0, 0},  {SEND, 'E', 1, 0, 0, 0, 0},
    {ACK, 0, 0, 0, 0, 0, 0},     {SEND, 'F', 0, 0, 0x4081010000040004, 0x0000000F0000000F, 4},
    {FETCH, 'C', 2, 0, 0, 0, 0}, {FETCH, 'D', 3, 0, 0, 0, 0},
    {FETCH, 'F', 0, 0, 0, 0, 0}, {FETCH, 'E', 1, 0, 0, 0, 0},
};

START_TEST(golden_11_1)
{
    struct fx_hdr h = {0x03, 3, 2, 16, 16, 3, 0xBEEF, 0};

    ck_assert_uint_eq(B->regs[DTU_EP(2, 0) / 8], 0x4000010000040000);
    for (unsigned i = 0; i < sizeof(wraparound) / sizeof(wraparound[0]); i++)
        run_step(&wraparound[i]);
    ck_assert_uint_eq(B->mem[FX_RBUF], 0x04); /* header: flags, sender EP, reply EP, length */
    ck_assert_uint_eq(B->mem[FX_RBUF + 3], 16);
    ck_assert_uint_eq(B->mem[FX_RBUF + 4], 1);
    ck_assert_uint_eq(B->mem[FX_RBUF + 5], 8);

    fx_reply(B, 2, 0x10000, "sixteen bytes...", 16, 0);
    fx_want_msg(A, REPLY_RBUF, h, "sixteen bytes...");
    fx_want_ep(A, 1, 0x4001010000010001, REPLY_RBUF, 0x0000000100000001);
    fx_want(A, DTU_MSG_CNT, 1);
    fx_want(B, DTU_EP(2, 2), 0x000000000000000E);
    fx_want_mem(B, 0x10000, "\x10", 1);
    fx_check(fx);
    fx_fetch(A, 1, REPLY_RBUF);
    fx_accept(fx);
}
END_TEST

START_TEST(golden_11_2)
{
    for (unsigned i = 0; i < sizeof(inverted) / sizeof(inverted[0]); i++)
        run_step(&inverted[i]);
}
END_TEST

static void paid_send(unsigned slot, uint64_t r1)
{
    struct fx_hdr h = fx_hdr_a(8);

    h.ep = 4;
    fx_send(A, 4, "8 bytes.", 8, 0);
    fx_want(A, DTU_EP(4, 1), r1);
    fx_want_msg(B, FX_RBUF + 256 * slot, h, "8 bytes.");
    fx_want_ep(B, 2, 0x4000010000040000 | (slot + 1ull) << 48 | (slot + 1), FX_RBUF,
               slot ? 0x300000003 : 0x100000001);
    fx_want(B, DTU_MSG_CNT, slot + 1);
    fx_check(fx);
}

START_TEST(golden_11_3)
{
    struct fx_hdr h = {0x03, 3, 2, 4, 2, 3, 0xBEEF, 0};

    fx_set(A, DTU_EP(4, 1), 0x0000000003020200);
    paid_send(0, 0x0000000003020100);
    paid_send(1, 0x0000000003020000);
    fx_send(A, 4, "8 bytes.", 8, SE_MISS_CREDITS);
    ck_assert_uint_eq(A->regs[DTU_COMMAND / 8], 0x800);
    fx_check(fx);
    fx_fetch(B, 2, 0x10000);
    fx_fetch(B, 2, 0x10100);
    fx_want_ep(B, 2, 0x4082010000040000, FX_RBUF, 3);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_check(fx);

    fx_reply(B, 2, 0x10000, "re", 2, 0);
    fx_want_msg(A, REPLY_RBUF, h, "re");
    fx_want_ep(A, 1, 0x4001010000010001, REPLY_RBUF, 0x100000001);
    fx_want(A, DTU_MSG_CNT, 1);
    fx_want(A, DTU_EP(4, 1), 0x0000000003020100);
    fx_want(B, DTU_EP(2, 2), 2);
    fx_want_mem(B, 0x10000, "\x10", 1);
    fx_check(fx);

    fx_reply(B, 2, 0x10100, "re", 2, SE_NO_RING_SPACE);
    ck_assert_uint_eq(B->regs[DTU_COMMAND / 8], 0x1000);
    A->want_stats.refused_full++;
    fx_want(B, DTU_EP(2, 2), 0);
    fx_want_mem(B, 0x10100, "\x10", 1);
}
END_TEST

START_TEST(golden_11_4)
{
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(9, 256));
    fx_send(A, 4, "8 bytes.", 8, SE_VPE_GONE);
    ck_assert_uint_eq(A->regs[DTU_COMMAND / 8], 0x1800);
    B->want_stats.refused_vpe++; /* and both words as they were */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu golden sequences");
    TCase *c = tcase_create("golden");

    tcase_add_checked_fixture(c, fx_setup, fx_teardown);
    tcase_add_test(c, golden_11_1);
    tcase_add_test(c, golden_11_2);
    tcase_add_test(c, golden_11_3);
    tcase_add_test(c, golden_11_4);
    suite_add_tcase(s, c);
    return fx_run(s);
}
