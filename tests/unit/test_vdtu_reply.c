/* SPDX-License-Identifier: BSD-2-Clause */
/* REPLY and credits: the edge cases of dtu-spec 10.2, numbered as there. */
/* LINK: vdtu */
#include "vdtu_fixture.h"

/* A's message is in B's slot 0 and fetched. */
static void fetched(void)
{
    fx_first_message();
    fx_fetch(B, 2, FX_RBUF);
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 1);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_check(fx);
}

/*
 * Writing an endpoint word makes the vDTU forget what it delivered there: the slot's message is
 * then whatever lies in memory, as on the original.
 */
static void forget_delivery(void)
{
    fx_set(B, DTU_EP(2, 2), 1);
}

/* B's slot 0 after any reply to it. */
static void want_slot_free(void)
{
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 0);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
}

static void want_reply(const void *data, unsigned len)
{
    fx_want_msg(A, FX_REPLIES, fx_hdr_reply(len), data);
    fx_want_ep(A, 1, 0x4001010000010001, FX_REPLIES, 0x100000001);
    fx_want(A, DTU_MSG_CNT, 1);
}

/* Sends one message that A's endpoint 4 pays for: `left` credits remain. */
static void fetched_paid(unsigned credits, unsigned left)
{
    struct fx_hdr h = fx_hdr_a(8);

    fx_set(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, credits));
    fx_send(A, 4, "message1", 8, 0);
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, left));
    h.ep = 4;
    fx_want_msg(B, FX_RBUF, h, "message1");
    fx_fetch(B, 2, FX_RBUF);
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 1);
    fx_check(fx);
}

static void want_reply_4(void)
{
    struct fx_hdr h = fx_hdr_reply(5);

    h.reply_ep = 4;
    fx_want_msg(A, FX_REPLIES, h, "reply");
    fx_want_ep(A, 1, 0x4001010000010001, FX_REPLIES, 0x100000001);
    fx_want(A, DTU_MSG_CNT, 1);
}

static void fill_a(void)
{
    fx_set_ep(A, 1, dtu_recv_r0(8, 8) | 1ull << 48, FX_REPLIES, 1);
}

START_TEST(edge_24)
{
    fetched();
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    want_reply("reply", 5);
    want_slot_free();
    fx_check(fx);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, FX_B, FX_A), 1);
    ck_assert_uint_eq(A->mem[FX_REPLIES], 3);
}
END_TEST

START_TEST(edge_25)
{
    fetched();
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    ck_assert_uint_eq(B->mem[FX_RBUF], 0x10);
    fx_accept(fx);
}
END_TEST

/* A request with the page-fault flag: the reply has it, the slot keeps it. */
START_TEST(pagefault_flag)
{
    struct fx_hdr h = fx_hdr_reply(5);

    fetched();
    forget_delivery();
    fx_poke(B, FX_RBUF, "\x0C", 1);
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    h.flags = 0x0B;
    fx_want_msg(A, FX_REPLIES, h, "reply");
    fx_want_ep(A, 1, 0x4001010000010001, FX_REPLIES, 0x100000001);
    fx_want(A, DTU_MSG_CNT, 1);
    want_slot_free();
    fx_want_mem(B, FX_RBUF, "\x18", 1);
}
END_TEST

START_TEST(edge_26)
{
    fetched();
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    fx_accept(fx);
    fx_reply(B, 2, FX_RBUF, "again", 5, SE_INV_ARGS);
    fx_check(fx);
    /* Occupied, but its message was replied to. */
    fx_set(B, DTU_EP(2, 2), 1);
    fx_reply(B, 2, FX_RBUF, "again", 5, SE_INV_ARGS);
    fx_check(fx);
}
END_TEST

START_TEST(edge_26_refilled)
{
    struct fx_hdr h = fx_hdr_reply(5);

    fx_set_ep(B, 2, dtu_recv_r0(8, 8), FX_RBUF, 0);
    fx_send(A, 4, "old", 3, 0);
    fx_fetch(B, 2, FX_RBUF);
    fx_ack(B, 2, FX_RBUF);
    fx_set(A, DTU_EP(4, 2), 0x99);
    vdtu_store(A->d, DTU_DATA_SIZE, 3, 8);
    vdtu_store(A->d, DTU_REPLY_LABEL, 0x1234, 8);
    vdtu_store(A->d, DTU_COMMAND, DTU_CMD(DTU_SEND, 4), 8);
    fx_accept(fx);

    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK); /* to the new message, unfetched */
    h.label = 0x1234;
    fx_want_msg(A, FX_REPLIES, h, "reply");
    fx_want_ep(A, 1, 0x4001010000010001, FX_REPLIES, 0x100000001);
    fx_want(A, DTU_MSG_CNT, 1);
    fx_want_ep(B, 2, 0x4041010000010000, FX_RBUF, 0);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
}
END_TEST

START_TEST(edge_27)
{
    fetched();
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    fx_accept(fx);
    fx_fetch(A, 1, FX_REPLIES);
    fx_want_ep(A, 1, 0x4041010000010000, FX_REPLIES, 1);
    fx_want(A, DTU_MSG_CNT, 0);
    fx_reply(A, 1, FX_REPLIES, "what?", 5, SE_INV_ARGS);
    fx_check(fx);
    ck_assert_uint_eq(A->mem[FX_REPLIES], 3); /* the slot is not touched */
    fx_ack(A, 1, FX_REPLIES);
    fx_want_ep(A, 1, 0x4041010000010000, FX_REPLIES, 0);
}
END_TEST

START_TEST(edge_28)
{
    fx_first_message();
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    want_reply("reply", 5);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
    fx_want_ep(B, 2, 0x4001010000040000, FX_RBUF, 0);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_check(fx);
    fx_fetch(B, 2, 0);
}
END_TEST

START_TEST(edge_29)
{
    fetched_paid(256, 0);
    fill_a();
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_NO_RING_SPACE);
    A->want_stats.refused_full++;
    want_slot_free();
    fx_check(fx);
    ck_assert_uint_eq(A->regs[DTU_EP(4, 1) / 8] & 0xFFFF, 0); /* no credits back */
}
END_TEST

START_TEST(edge_30)
{
    fetched_paid(256, 0);
    fx_kreg(K, FX_A, 2, DTU_VPE_ID, 77);
    fx_want(A, DTU_VPE_ID, 77);
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_VPE_GONE);
    A->want_stats.refused_vpe++;
    want_slot_free();
}
END_TEST

START_TEST(edge_31)
{
    fetched();
    /* As if the endpoint had been limited since: it is not named in the message, so gets nothing.
     */
    fx_set(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, 100));
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    want_reply("reply", 5);
    want_slot_free();
}
END_TEST

START_TEST(edge_32)
{
    const uint64_t r0[] = {0, dtu_send_r0(3, 256), dtu_mem_r0(4096), 4ull << 61, 7ull << 61};

    fetched();
    fx_set_ep(B, 5, r0[_i], FX_RBUF, 1);
    fx_reply(B, 5, FX_RBUF, "reply", 5, SE_EP_INVALID);
}
END_TEST

START_TEST(edge_33)
{
    const uint64_t off[] = {
        FX_RBUF - 1, 0,          FX_RBUF + 4 * 256,      FX_RBUF + 31 * 256, FX_RBUF + 32 * 256,
        ~0ull,       1ull << 40, FX_RBUF + (1ull << 40), /* its index, cut to 32 bits, would be 0 */
    };

    fetched();
    fx_reply(B, 2, off[_i], "reply", 5, SE_INV_ARGS);
}
END_TEST

/* An endpoint whose slots have no size. */
START_TEST(no_slot_size)
{
    fetched();
    fx_set(B, DTU_EP(2, 0), (uint64_t)DTU_EP_RECV << 61 | 4 << 16);
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_INV_ARGS);
    fx_ack(B, 2, FX_RBUF);
    B->want_stats.bad_acks++;
    fx_send(A, 4, "x", 1, SE_INV_ARGS);
    B->want_stats.refused_ep++;
}
END_TEST

START_TEST(edge_34)
{
    uint8_t data[231];

    memset(data, 0xA5, sizeof(data));
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, 33));
    fetched();
    fx_reply(B, 2, FX_RBUF, data, 231, SE_OK);
    want_reply(data, 231);
    want_slot_free();
}
END_TEST

/* Too long for the requester's slot: refused there, and the slot here is free as after any reply.
 */
START_TEST(reply_too_long)
{
    static uint8_t data[4072];

    fetched();
    fx_reply(B, 2, FX_RBUF, data, 4072, SE_INV_ARGS); /* too long for a packet: nothing happens */
    fx_check(fx);
    fx_set(B, DTU_DATA_SIZE, ~0ull - 10);
    fx_cmd(B, DTU_REPLY, 2, SE_INV_ARGS);
    fx_check(fx);
    fx_reply(B, 2, FX_RBUF, data, 232, SE_INV_ARGS);
    A->want_stats.refused_ep++;
    want_slot_free();
}
END_TEST

START_TEST(empty_reply)
{
    fetched();
    fx_reply(B, 2, FX_RBUF + 255, NULL, 0, SE_OK); /* any address in the slot (edge 41) */
    want_reply("", 0);
    want_slot_free();
}
END_TEST

START_TEST(edge_35)
{
    const uint64_t r0[] = {0, dtu_recv_r0(8, 8), dtu_mem_r0(100), 7ull << 61};

    fetched_paid(256, 0);
    fx_set_ep(A, 4, r0[_i], 0x1234, 0);
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    want_reply_4();
    A->want_stats.lost_grants++;
    want_slot_free();
}
END_TEST

START_TEST(credits_come_back)
{
    fetched_paid(256, 0);
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    want_reply_4();
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, 256));
    want_slot_free();
}
END_TEST

/* The endpoint's max size of now; no cap, 16 bits; not if unlimited by now (dtu-spec 3.4). */
START_TEST(grant_sizes)
{
    static const struct {
        unsigned max, before, after;
    } t[] = {{100, 0, 100}, {256, 512, 768}, {0x100, 0xFF80, 0x80}, {256, 0xFFFF, 0xFFFF}};

    fetched_paid(256, 0);
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(3, t[_i].max));
    fx_set(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, t[_i].before));
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    want_reply_4();
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, t[_i].after));
    want_slot_free();
}
END_TEST

/* ACK gives no credits back. */
START_TEST(ack_grants_nothing)
{
    fetched_paid(256, 0);
    fx_ack(B, 2, FX_RBUF);
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 0);
}
END_TEST

START_TEST(edge_36)
{
    static const unsigned ids[] = {128, 200, 256, 512, 1022};
    const unsigned pe = ids[_i];
    uint8_t *mem = calloc(1, 4096);
    uint64_t *regs = calloc(1, DTU_WINDOW);
    struct vdtu_config cfg = {.pe = (uint16_t)pe, .mem = mem, .mem_size = 4096, .regs = regs};
    struct vdtu *far;
    struct fx_hdr h = {DTU_HD_REPLY | DTU_HD_GRANT, pe, 0, 4, 1, DTU_VPE_INVALID, FX_RLABEL, 0};

    ck_assert_int_eq(vdtu_new(fx->noc, &cfg, &far), 0);
    ck_assert_int_eq(vdtu_new(fx->noc, &cfg, &far), -17 /* -EEXIST */);
    vdtu_store(far, DTU_EP(0, 0), dtu_recv_r0(8, 8), 8);
    vdtu_store(far, DTU_EP(0, 1), 0x100, 8);
    fx_set(A, DTU_EP(4, 0), dtu_send_r0(DTU_VPE_INVALID, 256));
    fx_set(A, DTU_EP(4, 1), (uint64_t)pe << 24 | 512);
    fx_send(A, 4, "x", 1, SE_OK);
    fx_want(A, DTU_EP(4, 1), (uint64_t)pe << 24 | 256);
    fx_check(fx);
    ck_assert_mem_eq(mem + 0x100 + 25, "x", 1);

    vdtu_store(far, DTU_OFFSET, 0x100, 8);
    vdtu_store(far, DTU_DATA_ADDR, 0x119, 8);
    vdtu_store(far, DTU_DATA_SIZE, 1, 8);
    vdtu_store(far, DTU_COMMAND, DTU_CMD(DTU_REPLY, 0), 8);
    ck_assert_uint_eq(regs[DTU_COMMAND / 8], 0);
    fx_want(A, DTU_EP(4, 1), (uint64_t)pe << 24 | 512);
    fx_want_msg(A, FX_REPLIES, h, "x");
    fx_want_ep(A, 1, 0x4001010000010001, FX_REPLIES, 0x100000001);
    fx_want(A, DTU_MSG_CNT, 1);
    fx_check(fx);
    vdtu_free(far);
    free(mem);
    free(regs);
}
END_TEST

/* The header is in the program's hands: whatever it names, only an error code results. */
START_TEST(forged_target)
{
    static const struct {
        unsigned pe, ep, vpe, err;
    } t[] = {
        {FX_A, 16, 2, SE_RECV_GONE},        {FX_A, 4, 2, SE_RECV_GONE},
        {4, 1, 2, SE_EP_INVALID},           {1023, 1, 2, SE_EP_INVALID},
        {0xFFFF, 1, 2, SE_EP_INVALID},      {FX_A, 1, 3, SE_VPE_GONE},
        {FX_A, 1, 0x802, SE_VPE_GONE},      {FX_A, 1, 0xFFFF, SE_VPE_GONE},
        {1024 + FX_A, 1, 2, SE_EP_INVALID},
    };
    uint8_t h[9];

    fetched();
    forget_delivery();
    memcpy(h, B->mem + FX_RBUF, sizeof(h));
    fx_le(h + 1, t[_i].pe, 2);
    fx_le(h + 4, t[_i].ep, 1);
    fx_le(h + 7, t[_i].vpe, 2);
    fx_poke(B, FX_RBUF, h, sizeof(h));
    fx_reply(B, 2, FX_RBUF, "reply", 5, t[_i].err);
    A->want_stats.refused_ep += t[_i].err == SE_RECV_GONE;
    A->want_stats.refused_vpe += t[_i].err == SE_VPE_GONE;
    want_slot_free();
}
END_TEST

/* A receiver that rewrites the header in its slot still replies to who sent the request. */
START_TEST(forged_header_is_ignored)
{
    uint8_t h[25];

    fetched();
    fx_send(A, 4, "message2", 8, 0); /* another delivery does not make it forget the first */
    fx_want_msg(B, FX_RBUF + 256, fx_hdr_a(8), "message2");
    fx_want(B, DTU_MSG_CNT, 1);
    memset(h, (int)(0x11 * (unsigned)_i), sizeof(h));
    fx_poke(B, FX_RBUF, h, sizeof(h));
    fx_reply(B, 2, FX_RBUF, "reply", 5, SE_OK);
    want_reply("reply", 5);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
    fx_want_ep(B, 2, 0x4042010000040001, FX_RBUF, 0x0000000200000002);
}
END_TEST

/* Replying into the endpoint that the request is in: two slots change, one is given back. */
START_TEST(reply_to_self_same_ep)
{
    struct fx_hdr h = {DTU_HD_REPLY | DTU_HD_GRANT, FX_B, 2, 16, 2, 3, 5, 0};

    fx_set_ep(B, 4, dtu_send_r0(3, 256), dtu_send_r1(FX_B, 2, DTU_CREDITS_UNLIM), 0x77);
    fx_set(B, DTU_DATA_SIZE, 1);
    fx_set(B, DTU_REPLY_EPID, 2);
    fx_set(B, DTU_REPLY_LABEL, 5);
    vdtu_store(B->d, DTU_COMMAND, DTU_CMD(DTU_SEND, 4), 8);
    fx_accept(fx);
    fx_fetch(B, 2, FX_RBUF);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_reply(B, 2, FX_RBUF, "re", 2, SE_OK);
    fx_want_msg(B, FX_RBUF + 256, h, "re");
    fx_want_mem(B, FX_RBUF, "\x10", 1);
    fx_want_ep(B, 2, 0x4042010000040001, FX_RBUF, 0x200000002);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

START_TEST(slot_outside)
{
    fx_set_ep(B, 2, dtu_recv_r0(10, 8), FX_MEM - 24, 1);
    memset(B->mem + FX_MEM - 24, 0xFF, 24);
    memset(B->want_mem + FX_MEM - 24, 0xFF, 24);
    fx_reply(B, 2, FX_MEM - 24, "reply", 5, SE_INV_ARGS);
    B->want_stats.outside++;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu reply");
    TCase *c = tcase_create("reply");

    tcase_add_checked_fixture(c, fx_setup, fx_teardown);
    tcase_add_test(c, edge_24);
    tcase_add_test(c, edge_25);
    tcase_add_test(c, pagefault_flag);
    tcase_add_test(c, edge_26);
    tcase_add_test(c, edge_26_refilled);
    tcase_add_test(c, edge_27);
    tcase_add_test(c, edge_28);
    tcase_add_test(c, edge_29);
    tcase_add_test(c, edge_30);
    tcase_add_test(c, edge_31);
    tcase_add_loop_test(c, edge_32, 0, 5);
    tcase_add_loop_test(c, edge_33, 0, 8);
    tcase_add_test(c, no_slot_size);
    tcase_add_test(c, edge_34);
    tcase_add_test(c, reply_too_long);
    tcase_add_test(c, empty_reply);
    tcase_add_loop_test(c, edge_35, 0, 4);
    tcase_add_test(c, credits_come_back);
    tcase_add_loop_test(c, grant_sizes, 0, 4);
    tcase_add_test(c, ack_grants_nothing);
    tcase_add_loop_test(c, edge_36, 0, 5);
    tcase_add_loop_test(c, forged_target, 0, 9);
    tcase_add_loop_test(c, forged_header_is_ignored, 0, 16);
    tcase_add_test(c, reply_to_self_same_ep);
    tcase_add_test(c, slot_outside);
    suite_add_tcase(s, c);
    return fx_run(s);
}
