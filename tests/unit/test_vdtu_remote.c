/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets to and from other nodes, and everything that can happen while a command has dropped its
 * locks: a second command (edge 72), endpoints rewritten, targets that move, barriers that fall.
 * Interference is scripted, through the remote function and ops->drain, so each case is exact.
 */
#include "vdtu_fixture.h"

#define FAR 9u /* a PE on the other node */

static struct {
    unsigned calls, err;
    struct vdtu_pkt pkt;
    uint8_t data[DTU_MAX_PACKET];
    void (*meanwhile)(void);
} net;

static unsigned remote(void *arg, struct vdtu_pkt *pkt)
{
    ck_assert_ptr_eq(arg, &net);
    net.calls++;
    net.pkt = *pkt;
    if (pkt->type == VDTU_PKT_READ)
        memcpy(pkt->data, net.data, pkt->len);
    else
        memcpy(net.data, pkt->data, pkt->len);
    if (net.meanwhile)
        net.meanwhile();
    return net.err;
}

static void setup(void)
{
    fx_setup();
    memset(&net, 0, sizeof(net));
    vdtu_noc_remote(fx->noc, remote, &net);
    fx_set_ep(A, 5, dtu_send_r0(7, 256), dtu_send_r1(FAR, 3, 512), 0xF00);
    fx_set_ep(A, 6, dtu_mem_r0(0x8000), 0x4000, dtu_mem_r2(FAR, 7, DTU_PERM_RW));
}

START_TEST(send_away)
{
    fx_send(A, 5, "far away", 8, 0);
    fx_want(A, DTU_EP(5, 1), dtu_send_r1(FAR, 3, 256));
    fx_check(fx);
    ck_assert_uint_eq(net.calls, 1);
    ck_assert_int_eq(net.pkt.type, VDTU_PKT_MSG);
    ck_assert_uint_eq(net.pkt.src_pe, FX_A);
    ck_assert_uint_eq(net.pkt.dst_pe, FAR);
    ck_assert_uint_eq(net.pkt.dst_vpe, 7);
    ck_assert_uint_eq(net.pkt.offset, 3);
    ck_assert_uint_eq(net.pkt.len, 8);
    ck_assert_uint_eq(net.pkt.hdr.flags, 4);
    ck_assert_uint_eq(net.pkt.hdr.sender_ep, 5);
    ck_assert_uint_eq(net.pkt.hdr.length, 8);
    ck_assert_uint_eq(net.pkt.hdr.sender_pe, FX_A);
    ck_assert_uint_eq(net.pkt.hdr.label, 0xF00);
    ck_assert_mem_eq(net.data, "far away", 8);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, FX_A, FAR), 1);
}
END_TEST

/* The other node's answer is the command's; what was paid is gone. */
START_TEST(send_away_fails)
{
    const unsigned err[] = {2, 3, 5, 19, 23, 24, 1000};

    net.err = err[_i];
    fx_poke(A, FX_SRC, "x", 1);
    fx_set(A, DTU_DATA_ADDR, FX_SRC);
    fx_set(A, DTU_DATA_SIZE, 1);
    vdtu_store(A->d, DTU_COMMAND, DTU_CMD(DTU_SEND, 5), 8);
    fx_want(A, DTU_COMMAND, (uint64_t)err[_i] << 11);
    fx_want(A, DTU_EP(5, 1), dtu_send_r1(FAR, 3, 256));
    A->want_stats.cmds[DTU_SEND]++;
    A->want_stats.cmd_errors[err[_i] < 24 ? err[_i] : 23]++;
}
END_TEST

/* PE 1023 is nowhere (dtu-spec 7), and no other node is asked about it. */
START_TEST(nowhere)
{
    fx_set(A, DTU_EP(5, 1), dtu_send_r1(1023, 3, DTU_CREDITS_UNLIM));
    fx_set(A, DTU_EP(6, 2), dtu_mem_r2(1023, 7, DTU_PERM_RW));
    fx_send(A, 5, "x", 1, SE_EP_INVALID);
    fx_xfer(A, DTU_READ, 6, 0x2000, 0, 8, SE_EP_INVALID);
    fx_xfer(A, DTU_WRITE, 6, 0x2000, 0, 8, SE_EP_INVALID);
    ck_assert_uint_eq(net.calls, 0);
}
END_TEST

START_TEST(transfer_away)
{
    for (unsigned i = 0; i < 4096; i++)
        net.data[i] = (uint8_t)(i * 3);
    fx_xfer(A, DTU_READ, 6, 0x2000, 0x10, 5000, 0);
    fx_want_mem(A, 0x2000, net.data, 4096);
    fx_want_mem(A, 0x3000, net.data, 904);
    fx_check(fx);
    ck_assert_uint_eq(net.calls, 2);
    ck_assert_uint_eq(net.pkt.offset, 0x5010);
    ck_assert_uint_eq(net.pkt.len, 904);
    fx_poke(A, 0x8000, "to be written", 13);
    fx_xfer(A, DTU_WRITE, 6, 0x8000, 0, 13, 0);
    ck_assert_int_eq(net.pkt.type, VDTU_PKT_WRITE);
    ck_assert_mem_eq(net.data, "to be written", 13);
    net.err = SE_VPE_GONE;
    fx_xfer(A, DTU_READ, 6, 0x2000, 0, 64, SE_VPE_GONE);
}
END_TEST

/* A remote function that fills in nothing: zeros, not what the host's stack held. */
static unsigned lazy(void *arg, struct vdtu_pkt *pkt)
{
    (void)arg, (void)pkt;
    return 0;
}

START_TEST(read_of_nothing)
{
    static const uint8_t zero[4096];

    vdtu_noc_remote(fx->noc, lazy, NULL);
    memset(A->mem + 0x2000, 0xFF, 4096);
    fx_xfer(A, DTU_READ, 6, 0x2000, 0, 4096, 0);
    fx_want_mem(A, 0x2000, zero, 4096);
}
END_TEST

static void busy(void)
{
    ck_assert_uint_eq(vdtu_reg(A->d, DTU_COMMAND), DTU_CMD(DTU_SEND, 5));
    vdtu_store(A->d, DTU_COMMAND, DTU_CMD(DTU_FETCH, 1), 8);
    vdtu_store(A->d, DTU_COMMAND, 0, 8); /* IDLE neither */
    A->want_stats.ignored_stores += 2;
    ck_assert_uint_eq(vdtu_reg(A->d, DTU_COMMAND), DTU_CMD(DTU_SEND, 5));
    fx_set(A, DTU_OFFSET, 0x55); /* other registers take stores */
    /* Messages arrive meanwhile (dtu-spec 2.2). */
    fx_set_ep(K, 4, dtu_send_r0(2, 256), dtu_send_r1(FX_A, 1, DTU_CREDITS_UNLIM), 0);
    fx_send(K, 4, "incoming", 8, 0);
    fx_want_msg(A, FX_REPLIES, (struct fx_hdr){4, FX_K, 16, 1, 8, 0, 0, FX_RLABEL}, "incoming");
    fx_want_ep(A, 1, 0x4001010000010001, FX_REPLIES, 0x100000001);
    fx_want(A, DTU_MSG_CNT, 1);
    net.meanwhile = NULL;
}

START_TEST(edge_72)
{
    net.meanwhile = busy;
    fx_send(A, 5, "far away", 8, 0);
    fx_want(A, DTU_EP(5, 1), dtu_send_r1(FAR, 3, 256));
    fx_check(fx);
    fx_fetch(A, 1, FX_REPLIES); /* and afterwards commands run again */
    fx_accept(fx);
}
END_TEST

static void barrier_falls(void)
{
    fx_kreg(K, FX_A, 2, DTU_RWB, 0x2000);
    fx_want(A, DTU_RWB, 0x2000);
}

START_TEST(barrier_meanwhile)
{
    memset(net.data, 0xFF, sizeof(net.data));
    net.meanwhile = barrier_falls;
    fx_xfer(A, DTU_READ, 6, 0x2000, 0, 64, SE_INV_ARGS);
}
END_TEST

/* ---- replies that travel ---- */

/* A message from PE 9 in B's slot 0, unfetched. */
static unsigned deliver(struct vdtu_pkt *pkt)
{
    static uint8_t hello[] = "hello";
    unsigned err;

    pkt->type = VDTU_PKT_MSG;
    pkt->src_pe = pkt->hdr.sender_pe = FAR;
    pkt->dst_pe = FX_B;
    pkt->dst_vpe = 3;
    pkt->offset = 2;
    pkt->data = hello;
    pkt->len = pkt->hdr.length = 5;
    pkt->hdr.flags = DTU_HD_REPLY_ENABLED;
    pkt->hdr.sender_ep = 11;
    pkt->hdr.reply_ep = 12;
    pkt->hdr.sender_vpe = 7;
    pkt->hdr.reply_label = 0xABCD;
    err = vdtu_deliver(fx->noc, pkt);
    return err;
}

static void from_far(void)
{
    struct vdtu_pkt pkt = {0};

    ck_assert_uint_eq(deliver(&pkt), 0);
    fx_want_msg(B, FX_RBUF, (struct fx_hdr){4, FAR, 11, 12, 5, 7, 0, 0xABCD}, "hello");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_check(fx);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, FAR, FX_B), 1);
    fx_fetch(B, 2, FX_RBUF);
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 1);
    fx_want(B, DTU_MSG_CNT, 0);
    fx_check(fx);
}

START_TEST(reply_away)
{
    from_far();
    net.err = _i ? SE_NO_RING_SPACE : 0;
    fx_reply(B, 2, FX_RBUF, "reply", 5, net.err);
    fx_want_ep(B, 2, 0x4041010000040000, FX_RBUF, 0);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
    ck_assert_uint_eq(net.pkt.hdr.flags, 3);
    ck_assert_uint_eq(net.pkt.hdr.reply_ep, 11);
    ck_assert_uint_eq(net.pkt.hdr.label, 0xABCD);
    ck_assert_uint_eq(net.pkt.offset, 12);
    ck_assert_uint_eq(net.pkt.dst_vpe, 7);
    ck_assert_mem_eq(net.data, "reply", 5);
}
END_TEST

/* The slot shows "replied to" while the reply travels, and another message may arrive. */
static void second_message(void)
{
    ck_assert_uint_eq(B->mem[FX_RBUF], 0);
    fx_send(A, 4, "message2", 8, 0);
    fx_want_msg(B, FX_RBUF + 256, fx_hdr_a(8), "message2");
}

START_TEST(message_meanwhile)
{
    from_far();
    net.meanwhile = second_message;
    fx_reply(B, 2, FX_RBUF, "reply", 5, 0);
    fx_want_ep(B, 2, 0x4042010000040001, FX_RBUF, 0x200000002);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_want_mem(B, FX_RBUF, "\x10", 1);
}
END_TEST

/* The kernel sets the endpoint up anew, and a message is in the same slot when the reply is done.
 */
static void new_endpoint(void)
{
    const uint64_t words[3] = {dtu_recv_r0(10, 8), FX_RBUF, 0};

    fx_kwrite(K, FX_B, 3, DTU_BASE + DTU_EP(2, 0), words, 24, 0);
    fx_send(A, 4, "message2", 8, 0);
    fx_want_msg(B, FX_RBUF, fx_hdr_a(8), "message2");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}

START_TEST(endpoint_meanwhile)
{
    from_far();
    net.meanwhile = new_endpoint;
    fx_reply(B, 2, FX_RBUF, "reply", 5, 0);
    fx_check(fx);
    ck_assert_uint_eq(B->mem[FX_RBUF], 4); /* not ours any more: neither flags nor slot */
    fx_fetch(B, 2, FX_RBUF);
    fx_accept(fx);
}
END_TEST

/* ---- packets that arrive ---- */

START_TEST(bad_packets)
{
    uint8_t data[DTU_MAX_PACKET + 8] = {0};
    struct vdtu_pkt good = {0}, p;

    ck_assert_uint_eq(deliver(&good), 0);
    fx_accept(fx);
    good.data = data;
    p = good, p.dst_pe = FAR;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_EP_INVALID);
    p = good, p.dst_pe = 0xFFFF;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_EP_INVALID);
    p = good, p.len = p.hdr.length = 4072;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_INV_ARGS);
    p = good, p.len = 0xFFFFFFFF;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_INV_ARGS);
    p = good, p.hdr.length++;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_INV_ARGS);
    p = good, p.hdr.sender_pe++;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_INV_ARGS);
    p = good, p.type = VDTU_PKT_WRITE, p.offset = 1ull << 37;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_INV_ARGS);
    p = good, p.type = VDTU_PKT_READ, p.len = 4097;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_INV_ARGS);
    p = good, p.type = (enum vdtu_pkt_type)3;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_INV_ARGS);
    fx_check(fx);
    p = good, p.offset = 1ull << 32 | 2; /* an endpoint number is not cut */
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_RECV_GONE);
    B->want_stats.refused_ep++;
    p = good, p.src_pe = p.hdr.sender_pe = 0xFFFF; /* not a PE to count, no harm */
    p.dst_vpe = 4;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_VPE_GONE);
    B->want_stats.refused_vpe++;
}
END_TEST

START_TEST(transfers_arrive)
{
    uint8_t data[16];
    struct vdtu_pkt p = {.src_pe = FAR, .dst_pe = FX_B, .dst_vpe = 3, .data = data, .len = 16};

    fx_poke(B, 0x500, "sixteen bytes...", 16);
    p.type = VDTU_PKT_READ, p.offset = 0x500;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), 0);
    ck_assert_mem_eq(data, "sixteen bytes...", 16);
    p.type = VDTU_PKT_WRITE, p.offset = 0x600;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), 0);
    fx_want_mem(B, 0x600, data, 16);
    fx_check(fx);
    p.offset = DTU_BASE + DTU_REPLY_EPID;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), 0);
    memcpy(&B->want[DTU_REPLY_EPID / 8], data, 16);
    p.dst_vpe = 4;
    ck_assert_uint_eq(vdtu_deliver(fx->noc, &p), SE_VPE_GONE);
    B->want_stats.refused_vpe++;
}
END_TEST

/* ---- targets that move while the locks are taken ---- */

static unsigned moves; /* how often the endpoint still moves */

/* Endpoint 4 alternates between B and K: each time somebody looks, it is another. */
static void move_target(struct fx_pe *p)
{
    if (!moves)
        return;
    moves--;
    vdtu_posted(p->d, DTU_EP(4, 1), dtu_send_r1(moves % 2 ? FX_K : FX_B, 2, 512), 8);
}

START_TEST(moving_target)
{
    struct fx_hdr h = fx_hdr_a(1);

    fx_poke(A, FX_SRC, "x", 1);
    fx_set(A, DTU_DATA_ADDR, FX_SRC);
    fx_set(A, DTU_DATA_SIZE, 1);
    fx_set(A, DTU_REPLY_EPID, 1);
    fx_set(A, DTU_REPLY_LABEL, FX_RLABEL);
    moves = (unsigned)_i;
    A->on_drain = move_target;
    fx_cmd(A, DTU_SEND, 4, 0);
    fx_want_sent(A, 1);
    ck_assert_uint_eq(moves, 0);
    h.ep = 4;
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 2, 256)); /* the last move, paid once */
    fx_want_msg(B, FX_RBUF, h, "x");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

START_TEST(never_still)
{
    fx_set(A, DTU_DATA_SIZE, 1);
    moves = 1000000;
    A->on_drain = move_target;
    fx_cmd(A, DTU_SEND, 4, SE_EP_INVALID); /* and it ends, and nothing is paid */
    A->on_drain = NULL;
    ck_assert_uint_gt(moves, 999900);
    ck_assert_uint_eq(A->regs[DTU_EP(4, 1) / 8] & 0xFFFF, 512);
    fx_want(A, DTU_EP(4, 1), A->regs[DTU_EP(4, 1) / 8]);
}
END_TEST

static unsigned countdown;

static void goes_away(struct fx_pe *p)
{
    if (countdown && !--countdown)
        vdtu_posted(p->d, DTU_EP(4, 1), dtu_send_r1(FAR, 3, DTU_CREDITS_UNLIM), 8);
}

/* To another node at last: the lock of the neighbour taken before must not be held there. */
static void look_around(void)
{
    for (unsigned i = 0; i < FX_PES; i++)
        vdtu_reg(fx->pe[i].d, DTU_STATUS);
}

START_TEST(moving_away)
{
    fx_poke(A, FX_SRC, "far away", 8);
    fx_set(A, DTU_DATA_ADDR, FX_SRC);
    fx_set(A, DTU_DATA_SIZE, 8);
    countdown = 2; /* the command looks at the endpoint; then, with both locks, it has moved */
    A->on_drain = goes_away;
    net.meanwhile = look_around;
    fx_cmd(A, DTU_SEND, 4, 0);
    A->on_drain = NULL;
    fx_want_sent(A, 8);
    fx_want(A, DTU_EP(4, 1), dtu_send_r1(FAR, 3, DTU_CREDITS_UNLIM));
    ck_assert_uint_eq(net.calls, 1);
    ck_assert_mem_eq(net.data, "far away", 8);
}
END_TEST

static void ep_goes(struct fx_pe *p)
{
    if (countdown && !--countdown)
        vdtu_posted(p->d, DTU_EP(6, 0), 0, 8);
}

/* The endpoint is read again for each packet (dtu-spec 5.1); what is done stays done. */
START_TEST(endpoint_between_packets)
{
    fx_set(A, DTU_EP(6, 2), dtu_mem_r2(FX_B, 3, DTU_PERM_RW));
    memset(B->mem + 0x4000, 0x77, 0x4000);
    memset(B->want_mem + 0x4000, 0x77, 0x4000);
    fx_set(A, DTU_DATA_ADDR, 0x8000);
    fx_set(A, DTU_DATA_SIZE, 0x2800);
    fx_set(A, DTU_OFFSET, 0);
    countdown = 4; /* the command, packet 1, packet 2, packet 3 */
    A->on_drain = ep_goes;
    fx_cmd(A, DTU_READ, 6, SE_EP_INVALID);
    A->on_drain = NULL;
    fx_want(A, DTU_EP(6, 0), 0);
    fx_want_mem(A, 0x8000, B->want_mem + 0x4000, 0x2000);
    A->want_stats.bytes_read += 0x2000;
}
END_TEST

/* As if a kernel had changed the id of the VPE there. */
static void vpe_goes(struct fx_pe *p)
{
    if (countdown && !--countdown)
        p->regs[DTU_VPE_ID / 8] = 9;
}

START_TEST(vpe_between_packets)
{
    fx_set(A, DTU_EP(6, 2), dtu_mem_r2(FX_B, 3, DTU_PERM_RW));
    memset(A->mem + 0x8000, 0x77, 0x4000);
    memset(A->want_mem + 0x8000, 0x77, 0x4000);
    fx_set(A, DTU_DATA_ADDR, 0x8000);
    fx_set(A, DTU_DATA_SIZE, 0x2800);
    fx_set(A, DTU_OFFSET, 0);
    countdown = 2;
    B->on_drain = vpe_goes;
    fx_cmd(A, DTU_WRITE, 6, SE_VPE_GONE);
    fx_want(B, DTU_VPE_ID, 9);
    fx_want_mem(B, 0x4000, A->want_mem + 0x8000, 0x1000);
    A->want_stats.bytes_written += 0x1000;
    B->want_stats.refused_vpe++;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu remote");
    TCase *c = tcase_create("remote");

    tcase_add_checked_fixture(c, setup, fx_teardown);
    tcase_add_test(c, send_away);
    tcase_add_loop_test(c, send_away_fails, 0, 7);
    tcase_add_test(c, nowhere);
    tcase_add_test(c, transfer_away);
    tcase_add_test(c, read_of_nothing);
    tcase_add_test(c, edge_72);
    tcase_add_test(c, barrier_meanwhile);
    tcase_add_loop_test(c, reply_away, 0, 2);
    tcase_add_test(c, message_meanwhile);
    tcase_add_test(c, endpoint_meanwhile);
    tcase_add_test(c, bad_packets);
    tcase_add_test(c, transfers_arrive);
    tcase_add_loop_test(c, moving_target, 1, 15);
    tcase_add_test(c, never_still);
    tcase_add_test(c, moving_away);
    tcase_add_test(c, endpoint_between_packets);
    tcase_add_test(c, vpe_between_packets);
    suite_add_tcase(s, c);
    return fx_run(s);
}
