/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers: map, reset and access rules of dtu-spec 1, external commands (2.6), sleeping (6.3),
 * and the edge cases 65 to 77 of 10.4, numbered as there.
 */
/* LINK: vdtu */
#include "vdtu_fixture.h"

/* ---- reset, creation, encodings ---- */

START_TEST(reset)
{
    for (unsigned pe = 0; pe < FX_PES; pe++) {
        for (unsigned off = 0; off < DTU_WINDOW; off += 8) {
            uint64_t want = 0;

            if (off == 0x00)
                want = 1;
            else if (off == 0x08 && pe)
                want = 1ull << 59 | ((6160ull << 20) + ((uint64_t)pe << 23));
            else if (off == 0x20 && pe)
                want = 0x5B0000000;
            else if (off == 0x28 && pe)
                want = 0x7FF;
            ck_assert_uint_eq(vdtu_load(fx->pe[pe].d, off, 8), want);
            ck_assert_uint_eq(vdtu_reg(fx->pe[pe].d, off), want);
            ck_assert_uint_eq(fx->pe[pe].regs[off / 8], want);
        }
        ck_assert_uint_eq(vdtu_poll(fx->pe[pe].d), 0);
        ck_assert_uint_eq(vdtu_pe(fx->pe[pe].d), pe);
    }
}
END_TEST

/* Garbage in the page is not taken over, and the rest of the page is not touched. */
START_TEST(register_page)
{
    uint64_t regs[512];
    struct vdtu_config cfg = {.pe = 9, .regs = regs};
    struct vdtu *d;

    memset(regs, 0xAA, sizeof(regs));
    ck_assert_int_eq(vdtu_new(fx->noc, &cfg, &d), 0);
    ck_assert_uint_eq(regs[0], 1);
    ck_assert_uint_eq(regs[DTU_MSG_CNT / 8], 0);
    ck_assert_uint_eq(regs[DTU_EP(15, 2) / 8], 0);
    vdtu_store(d, DTU_EP(15, 2), 5, 8);
    vdtu_store(d, DTU_WINDOW, 5, 8);
    for (unsigned i = DTU_WINDOW / 8; i < 512; i++)
        ck_assert_uint_eq(regs[i], 0xAAAAAAAAAAAAAAAA);
    vdtu_free(d);
    ck_assert_int_eq(vdtu_new(fx->noc, &cfg, &d), 0); /* its number is free again */
    vdtu_free(d);
}
END_TEST

START_TEST(bad_config)
{
    uint64_t regs[64];
    uint8_t mem[8];
    struct vdtu_config good = {.pe = 1022, .mem = mem, .mem_size = 8, .regs = regs}, c;
    struct vdtu *d = NULL;

    c = good, c.pe = 1023;
    ck_assert_int_eq(vdtu_new(fx->noc, &c, &d), -22);
    c = good, c.pe = 0xFFFF;
    ck_assert_int_eq(vdtu_new(fx->noc, &c, &d), -22);
    c = good, c.mem = NULL;
    ck_assert_int_eq(vdtu_new(fx->noc, &c, &d), -22);
    c = good, c.mem_size = (1ull << 37) + 1;
    ck_assert_int_eq(vdtu_new(fx->noc, &c, &d), -22);
    c = good, c.regs = NULL;
    ck_assert_int_eq(vdtu_new(fx->noc, &c, &d), -22);
    c = good, c.regs = (char *)regs + 4;
    ck_assert_int_eq(vdtu_new(fx->noc, &c, &d), -22);
    c = good, c.pe = FX_A;
    ck_assert_int_eq(vdtu_new(fx->noc, &c, &d), -17);
    ck_assert_ptr_null(d);
    ck_assert_int_eq(vdtu_new(fx->noc, &good, &d), 0);
    vdtu_free(d);
    vdtu_free(NULL);
    vdtu_noc_free(NULL);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, 1023, 0), 0);
    ck_assert_uint_eq(vdtu_noc_pair(fx->noc, 0, 1023), 0);
}
END_TEST

START_TEST(encodings)
{
    ck_assert_uint_eq(dtu_recv_r0(8, 8), 0x4000010000010000);
    ck_assert_uint_eq(dtu_recv_r0(14, 9), 0x4000020000200000);
    ck_assert_uint_eq(dtu_recv_r0(16, 11), 0x4000080000200000);
    ck_assert_uint_eq(dtu_recv_r0(13, 8), 0x4000010000200000);
    ck_assert_uint_eq(dtu_send_r0(5, 512), 0x2000000000050200);
    ck_assert_uint_eq(dtu_send_r1(7, 3, DTU_CREDITS_UNLIM), 0x000000000703FFFF);
    ck_assert_uint_eq(dtu_mem_r0(0x1000), 0x6000000000001000);
    ck_assert_uint_eq(dtu_mem_r2(7, 5, DTU_PERM_RW), 0x0000000000014073);
    ck_assert_uint_eq(DTU_EP(0, 0), 0x70);
    ck_assert_uint_eq(DTU_EP(1, 0), 0x88);
    ck_assert_uint_eq(DTU_EP(15, 0), 0x1D8);
    ck_assert_uint_eq(DTU_CMD(DTU_WRITE, 14), 0x74);
    ck_assert_uint_eq(dtu_noc_addr(3, 0x5C0000028) | 0x7FFull << 38, 0x0807FFC5C0000028);
}
END_TEST

/* ---- who may write what: every register, privileged or not, from the CPU and from the NoC ---- */

START_TEST(cpu_rights)
{
    for (unsigned priv = 0; priv < 2; priv++) {
        fx_kreg(K, FX_B, 3, DTU_STATUS, priv);
        fx_want(B, DTU_STATUS, priv);
        for (unsigned off = 0; off < DTU_WINDOW; off += 8) {
            uint64_t value = 0x0123456789ABCD00 + off; /* an INVALID endpoint, COMMAND: IDLE */

            vdtu_store(B->d, off, value, 8);
            if (off == DTU_COMMAND)
                B->want_stats.cmds[DTU_IDLE]++;
            if (off >= 0x40 && (off < 0x70 || priv))
                fx_want(B, off, value);
            else
                B->want_stats.ignored_stores++;
            fx_check(fx);
        }
    }
}
END_TEST

START_TEST(noc_rights)
{
    for (unsigned off = 0; off < DTU_WINDOW; off += 8) {
        uint64_t value = 0x0123456789ABCD00 + off, back;

        if (off == DTU_VPE_ID) /* the low 16 bits are compared, so keep them */
            value = 0x0123456700000003;
        if (off == DTU_EXT_CMD)
            value = DTU_EXT_INV_TLB;
        fx_kreg(K, FX_B, 3, off, value);
        if (off == DTU_EP(2, 0)) /* who waits for it is to know that it does not receive any more */
            B->want_wakes++;
        if (off == DTU_EXT_CMD)
            B->want_stats.ext_cmds[DTU_EXT_INV_TLB]++;
        if (off == DTU_MSG_CNT || off == DTU_COMMAND)
            B->want_stats.ignored_noc++;
        else
            fx_want(B, off, value);
        fx_check(fx);
        fx_kread(K, FX_B, 3, DTU_BASE + off, &back, 8, 0);
        ck_assert_uint_eq(back, B->want[off / 8]);
    }
}
END_TEST

START_TEST(cpu_sizes)
{
    static const struct {
        uint64_t off;
        unsigned size;
    } t[] = {{0x48, 4},   {0x48, 1},
             {0x48, 2},   {0x48, 16},
             {0x4C, 8},   {0x49, 8},
             {0x48, 0},   {0x40, 4},
             {0x1F0, 8},  {0x1EC, 8},
             {0x1000, 8}, {~0ull - 7, 8},
             {~0ull, 8},  {1ull << 32 | 0x48, 8}};

    fx_set(B, DTU_DATA_ADDR, 0x1111);
    vdtu_store(B->d, t[_i].off, ~0ull, t[_i].size);
    B->want_stats.ignored_stores++;
    ck_assert_uint_eq(vdtu_load(B->d, t[_i].off, t[_i].size), 0);
}
END_TEST

/* One packet of many registers: ascending, and the external command when all are there. */
static unsigned irq_saw;

static void irq_looks(void *arg, uint8_t vector)
{
    ck_assert_uint_eq(vector, 0x40);
    irq_saw = (unsigned)((uint64_t *)arg)[DTU_EP(15, 2) / 8];
}

START_TEST(large_packet)
{
    uint64_t regs[FX_NREGS], mem[512];
    struct vdtu_ops ops = {.irq = irq_looks};
    uint64_t page[FX_NREGS];
    struct vdtu_config cfg = {
        .pe = 7, .mem = mem, .mem_size = 4096, .regs = page, .ops = &ops, .arg = page};
    struct vdtu *d;

    ck_assert_int_eq(vdtu_new(fx->noc, &cfg, &d), 0);
    for (unsigned i = 0; i < FX_NREGS; i++)
        regs[i] = i;
    regs[DTU_EXT_CMD / 8] = 0x204;
    regs[DTU_COMMAND / 8] = DTU_CMD(DTU_FETCH, 0);
    fx_kwrite(K, 7, DTU_VPE_INVALID, DTU_BASE, regs, sizeof(regs), 0);
    ck_assert_uint_eq(irq_saw, DTU_EP(15, 2) / 8);
    regs[DTU_MSG_CNT / 8] = 0;
    regs[DTU_COMMAND / 8] = 0;
    ck_assert_mem_eq(page, regs, sizeof(regs));
    vdtu_free(d);
}
END_TEST

/* MSG_CNT follows raw writes (dtu-spec 4.6). */
START_TEST(msg_cnt)
{
    fx_set(B, DTU_EP(7, 0), dtu_recv_r0(10, 8) | 3);
    fx_want(B, DTU_MSG_CNT, 3);
    fx_set(B, DTU_EP(8, 0), dtu_recv_r0(10, 8) | 0xFFFF);
    fx_want(B, DTU_MSG_CNT, 0x10002);
    fx_check(fx);
    fx_set(B, DTU_EP(7, 0), dtu_recv_r0(10, 8) | 1);
    fx_want(B, DTU_MSG_CNT, 0x10000);
    fx_set(B, DTU_EP(8, 0), 4ull << 61 | 0xFFFF);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_set(B, DTU_EP(7, 1), ~0ull); /* the other words do not matter */
    fx_set(B, DTU_EP(7, 2), ~0ull);
    fx_check(fx);
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), 0);
    fx_want(B, DTU_EP(7, 0), 0);
    fx_want(B, DTU_MSG_CNT, 0);
    B->want_wakes++; /* who waits for it is to know */
    fx_check(fx);
    /* An endpoint that comes with unread messages wakes, when the kernel writes it. */
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), dtu_recv_r0(10, 8) | 2);
    fx_want(B, DTU_EP(7, 0), dtu_recv_r0(10, 8) | 2);
    fx_want(B, DTU_MSG_CNT, 2);
    B->want_wakes++;
}
END_TEST

/* Who waits for the answer to what it sent is woken when its way there ends, asleep or not yet. */
START_TEST(noc_ends_send_endpoint)
{
    const uint64_t send = dtu_send_r0(FX_A, 256), memory = dtu_mem_r0(4096);

    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), send);
    fx_want(B, DTU_EP(7, 0), send);
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), send); /* written anew: it goes on */
    ck_assert_uint_eq(vdtu_poll(B->d), 0);
    fx_check(fx);
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), 0);
    fx_want(B, DTU_EP(7, 0), 0);
    B->want_wakes++;
    fx_check(fx);
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_WAKEUP);
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), 0); /* nothing was there */
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), memory);
    fx_kreg(K, FX_B, 3, DTU_EP(7, 0), 0); /* no answers come by memory */
    ck_assert_uint_eq(vdtu_poll(B->d), 0);
}
END_TEST

/* ---- posted stores ---- */

START_TEST(posted_before_command)
{
    fx_poke(A, 0x500, "posted", 6);
    fx_post(A, DTU_DATA_ADDR, 0x9999, 8);
    fx_post(A, DTU_DATA_ADDR, 0x500, 8); /* oldest first */
    fx_post(A, DTU_DATA_SIZE, 6, 8);
    fx_post(A, DTU_REPLY_EPID, 1, 8);
    fx_post(A, DTU_REPLY_LABEL, FX_RLABEL, 8);
    fx_cmd(A, DTU_SEND, 4, 0);
    fx_want(A, DTU_DATA_ADDR, 0x500);
    fx_want(A, DTU_DATA_SIZE, 6);
    fx_want(A, DTU_REPLY_EPID, 1);
    fx_want(A, DTU_REPLY_LABEL, FX_RLABEL);
    fx_want_sent(A, 6);
    fx_want_msg(B, FX_RBUF, fx_hdr_a(6), "posted");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

/* B has detached its endpoint, though only in its queue: the message that follows sees it. */
START_TEST(posted_before_packet)
{
    fx_post(B, DTU_EP(2, 0), 0, 8);
    fx_send(A, 4, "x", 1, SE_RECV_GONE);
    fx_want(B, DTU_EP(2, 0), 0);
    B->want_stats.refused_ep++;
    fx_check(fx);
    fx_post(B, DTU_DATA_ADDR, 0x77, 8);
    ck_assert_uint_eq(vdtu_load(B->d, DTU_DATA_ADDR, 8), 0x77);
    fx_post(B, DTU_DATA_ADDR, 0x78, 8);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_DATA_ADDR), 0x78);
    fx_post(B, DTU_EP(2, 0), dtu_recv_r0(10, 8) | 1, 8);
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_MESSAGE);
    fx_want(B, DTU_DATA_ADDR, 0x78);
    fx_want(B, DTU_EP(2, 0), dtu_recv_r0(10, 8) | 1);
    fx_want(B, DTU_MSG_CNT, 1);
}
END_TEST

START_TEST(posted_rights)
{
    fx_kreg(K, FX_B, 3, DTU_STATUS, 0);
    fx_want(B, DTU_STATUS, 0);
    fx_post(B, DTU_COMMAND, DTU_CMD(DTU_FETCH, 2), 8);
    fx_post(B, DTU_VPE_ID, 5, 8);
    fx_post(B, DTU_EP(3, 0), 5, 8);
    fx_post(B, DTU_OFFSET, 5, 4);
    fx_post(B, DTU_OFFSET, 6, 8);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_OFFSET), 6);
    fx_want(B, DTU_OFFSET, 6);
    B->want_stats.ignored_stores += 4;
}
END_TEST

/* ---- external commands and sleeping ---- */

START_TEST(external)
{
    for (unsigned op = 0; op < 5; op++) {
        uint64_t value = 0x200 | op;

        fx_kreg(K, FX_B, 3, DTU_EXT_CMD, value);
        fx_want(B, DTU_EXT_CMD, value);
        B->want_stats.ext_cmds[op]++;
        B->want_wakes += op == DTU_EXT_WAKEUP;
        ck_assert_uint_eq(B->irqs, op == DTU_EXT_INJECT_IRQ);
        fx_check(fx);
    }
    ck_assert_uint_eq(B->irq, 0x40);
}
END_TEST

START_TEST(barrier_callback)
{
    fx_kreg(K, FX_B, 3, DTU_RWB, 0x7E0000);
    fx_kreg(K, FX_B, 3, DTU_RWB, 0x7E0000);
    fx_want(B, DTU_RWB, 0x7E0000);
    ck_assert_uint_eq(B->barriers, 1); /* it changed once */
    ck_assert_uint_eq(B->barrier, 0x7E0000);
}
END_TEST

/* All 32 bits of a marker (dtu-spec 2.2), above them nothing; no endpoint check. */
START_TEST(debug)
{
    static const uint64_t t[][2] = {
        {0x00000000FF880007, 0x1FF10000}, {0x7, 0}, {0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF}};

    vdtu_store(B->d, DTU_COMMAND, t[_i][0], 8);
    ck_assert_uint_eq(B->debugs, 1);
    ck_assert_uint_eq(B->debug, t[_i][1]);
    fx_want(B, DTU_COMMAND, 0);
    B->want_stats.cmds[DTU_DEBUG]++;
}
END_TEST

START_TEST(idle)
{
    vdtu_store(B->d, DTU_COMMAND, 0xDEADBEE8, 8);
    fx_want(B, DTU_COMMAND, 0xDEADBEE8);
    B->want_stats.cmds[DTU_IDLE]++;
}
END_TEST

START_TEST(edge_65)
{
    fx_kreg(K, FX_B, 3, DTU_VPE_ID, 9);
    fx_want(B, DTU_VPE_ID, 9);
    fx_check(fx);
    fx_set_ep(K, 14, dtu_mem_r0(8), DTU_BASE + DTU_VPE_ID, dtu_mem_r2(FX_B, 3, DTU_PERM_RW));
    fx_xfer(K, DTU_WRITE, 14, 0x8000, 0, 8, SE_VPE_GONE);
    B->want_stats.refused_vpe++;
}
END_TEST

START_TEST(edge_66)
{
    for (unsigned off = DTU_STATUS; off < DTU_COMMAND; off += 8) {
        vdtu_store(B->d, off, 0, 8);
        vdtu_store(B->d, off, ~0ull, 8);
        B->want_stats.ignored_stores += 2;
        fx_check(fx);
    }
    ck_assert_uint_eq(B->barriers + B->irqs, 0); /* EXT_CMD did not run either */
}
END_TEST

START_TEST(edge_67)
{
    fx_kreg(K, FX_B, 3, DTU_STATUS, ~1ull); /* every bit but PRIV */
    fx_want(B, DTU_STATUS, ~1ull);
    for (unsigned ep = 0; ep < DTU_EPS; ep++) {
        for (unsigned w = 0; w < 3; w++) {
            vdtu_store(B->d, DTU_EP(ep, w), ~0ull >> ep, 8);
            B->want_stats.ignored_stores++;
        }
    }
}
END_TEST

START_TEST(edge_68)
{
    fx_kreg(K, FX_B, 3, DTU_STATUS, 0);
    fx_want(B, DTU_STATUS, 0);
    for (unsigned off = DTU_DATA_ADDR; off < DTU_EP0; off += 8)
        fx_set(B, off, 0x1000 + off);
    fx_check(fx);
    fx_fetch(B, 2, 0); /* commands run, too */
}
END_TEST

START_TEST(edge_69)
{
    const uint64_t words[3] = {3 /* VPE_ID */, 77 /* MSG_CNT */, DTU_EXT_WAKEUP};

    fx_kwrite(K, FX_B, 3, DTU_BASE + DTU_VPE_ID, words, 24, 0);
    B->want_stats.ignored_noc++;
    B->want_stats.ext_cmds[DTU_EXT_WAKEUP]++;
    B->want_wakes++;
}
END_TEST

START_TEST(edge_70)
{
    const uint64_t words[2] = {DTU_CMD(DTU_FETCH, 2), 0x1234};

    fx_first_message();
    fx_kwrite(K, FX_B, 3, DTU_BASE + DTU_COMMAND, words, 16, 0);
    B->want_stats.ignored_noc++;
    fx_want(B, DTU_DATA_ADDR, 0x1234);
}
END_TEST

START_TEST(edge_71)
{
    const uint64_t arg[] = {16, 17, 31, 255, 256, 1 << 8 | 2, 0xFFFFFFFF};

    fx_first_message();
    for (unsigned op = DTU_SEND; op <= DTU_ACK; op++) {
        vdtu_store(B->d, DTU_COMMAND, op | arg[_i] << 3, 8);
        fx_want(B, DTU_COMMAND, 18ull << 11);
        B->want_stats.cmds[op]++;
        B->want_stats.cmd_errors[SE_EP_INVALID]++;
        fx_check(fx);
    }
}
END_TEST

/* edge_72 needs a command that is under way: test_vdtu_remote.c. */

START_TEST(edge_73)
{
    fx_set(B, DTU_DATA_ADDR, 0x1122334455667788);
    ck_assert_uint_eq(vdtu_load(B->d, DTU_DATA_ADDR, 4), 0);
    ck_assert_uint_eq(vdtu_load(B->d, DTU_DATA_ADDR + 4, 4), 0);
    vdtu_store(B->d, DTU_DATA_ADDR, 0, 4);
    vdtu_store(B->d, DTU_COMMAND, DTU_CMD(DTU_FETCH, 2), 4);
    B->want_stats.ignored_stores += 2;
}
END_TEST

START_TEST(edge_74)
{
    for (unsigned op = 5; op < 8; op++) {
        fx_kreg(K, FX_B, 3, DTU_EXT_CMD, 0x200 | op);
        fx_want(B, DTU_EXT_CMD, 0x200 | op);
        B->want_stats.ext_cmds[op]++;
        B->want_stats.ignored_noc++;
    }
    ck_assert_uint_eq(B->irqs, 0);
    ck_assert_uint_eq(vdtu_poll(B->d), 0);
}
END_TEST

START_TEST(edge_75)
{
    fx_kreg(K, FX_B, 3, DTU_EXT_CMD, 0);
    B->want_stats.ext_cmds[DTU_EXT_WAKEUP]++;
    B->want_wakes++;
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_WAKEUP); /* still there */
    ck_assert_uint_eq(vdtu_poll(B->d), 0);           /* once */
    vdtu_wakeup(B->d);
    vdtu_wakeup(B->d);
    B->want_wakes += 2;
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_WAKEUP);
    ck_assert_uint_eq(vdtu_poll(B->d), 0);
}
END_TEST

START_TEST(edge_76)
{
    ck_assert_uint_eq(vdtu_poll(B->d), 0);
    fx_first_message();
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_MESSAGE);
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_MESSAGE);
    vdtu_wakeup(B->d);
    B->want_wakes++;
    ck_assert_uint_eq(vdtu_poll(B->d), VDTU_MESSAGE | VDTU_WAKEUP);
    fx_fetch(B, 2, FX_RBUF);
    ck_assert_uint_eq(vdtu_poll(B->d), 0);
    fx_accept(fx);
}
END_TEST

START_TEST(edge_77)
{
    fx_set_ep(B, 9, dtu_recv_r0(8, 8), 0x18000, 0);
    fx_set(A, DTU_EP(4, 1), dtu_send_r1(FX_B, 9, DTU_CREDITS_UNLIM));
    fx_send(A, 4, "unheard", 7, 0);
    fx_want_msg(B, 0x18000, fx_hdr_a(7), "unheard");
    fx_want_ep(B, 9, 0x4001010000010001, 0x18000, 0x100000001);
    fx_want(B, DTU_MSG_CNT, 1);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(vdtu_poll(B->d), VDTU_MESSAGE);
        fx_fetch(B, 2, 0);
    }
}
END_TEST

static TCase *rights(void)
{
    TCase *c = tcase_create("access");

    tcase_add_checked_fixture(c, fx_setup, fx_teardown);
    tcase_add_test(c, cpu_rights);
    tcase_add_test(c, noc_rights);
    tcase_add_loop_test(c, cpu_sizes, 0, 14);
    tcase_add_test(c, large_packet);
    tcase_add_test(c, msg_cnt);
    tcase_add_test(c, noc_ends_send_endpoint);
    tcase_add_test(c, posted_before_command);
    tcase_add_test(c, posted_before_packet);
    tcase_add_test(c, posted_rights);
    tcase_add_test(c, external);
    tcase_add_test(c, barrier_callback);
    tcase_add_loop_test(c, debug, 0, 3);
    tcase_add_test(c, idle);
    return c;
}

static TCase *edges(void)
{
    TCase *c = tcase_create("edges");

    tcase_add_checked_fixture(c, fx_setup, fx_teardown);
    tcase_add_test(c, edge_65);
    tcase_add_test(c, edge_66);
    tcase_add_test(c, edge_67);
    tcase_add_test(c, edge_68);
    tcase_add_test(c, edge_69);
    tcase_add_test(c, edge_70);
    tcase_add_loop_test(c, edge_71, 0, 7);
    tcase_add_test(c, edge_73);
    tcase_add_test(c, edge_74);
    tcase_add_test(c, edge_75);
    tcase_add_test(c, edge_76);
    tcase_add_test(c, edge_77);
    return c;
}

int main(void)
{
    Suite *s = suite_create("vdtu registers");
    TCase *c = tcase_create("reset");

    tcase_add_checked_fixture(c, fx_setup_bare, fx_teardown);
    tcase_add_test(c, reset);
    tcase_add_test(c, register_page);
    tcase_add_test(c, bad_config);
    tcase_add_test(c, encodings);
    suite_add_tcase(s, c);
    suite_add_tcase(s, rights());
    suite_add_tcase(s, edges());
    return fx_run(s);
}
