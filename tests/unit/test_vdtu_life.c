/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a SemperOS kernel does with DTUs, as a script: the boot trace of dtu-spec 8.6 and the life
 * of a VPE and of a further kernel (8.3 to 8.5).  K is the kernel's PE here, M its memory.
 */
#include "vdtu_fixture.h"

#define ENV     0x3000u
#define KENV    0x10000u
#define BARRIER 0x22000u
#define SYSC    0u /* the kernel's first endpoint for system calls */

/* Steps 1, 3 and 4: the kernel's own VPE id, through the NoC, with itself as target. */
static void own_id(void)
{
    fx_kreg(K, FX_K, DTU_VPE_INVALID, DTU_VPE_ID, 0);
    fx_want(K, DTU_VPE_ID, 0);
    fx_check(fx);
}

/* Step 2: the kernel's environment, 8860 bytes in three packets. */
static void read_kenv(void)
{
    static uint8_t kenv[8860];

    for (unsigned i = 0; i < sizeof(kenv); i++)
        kenv[i] = (uint8_t)(i * 7 + i / 256);
    fx_poke(M, KENV, kenv, sizeof(kenv));
    fx_set_ep(K, 14, dtu_mem_r0(8860), KENV, dtu_mem_r2(FX_M, 0, DTU_PERM_RW));
    fx_xfer(K, DTU_READ, 14, 0xA000, 0, 8860, 0);
    fx_want_mem(K, 0xA000, kenv, sizeof(kenv));
    fx_check(fx);
}

/* Step 5: three stores each, type first. */
static void receive_eps(void)
{
    for (unsigned ep = 6; ep <= 14; ep++)
        fx_set_ep(K, ep, dtu_recv_r0(16, 11), 0x10000, 0);
    for (unsigned ep = 0; ep <= 5; ep++)
        fx_set_ep(K, ep, dtu_recv_r0(14, 9), 0x1C000, 0);
    fx_set_ep(K, 15, dtu_recv_r0(13, 8), 0x20000, 0);
    ck_assert_uint_eq(K->regs[DTU_EP(6, 0) / 8], 0x4000080000200000);
    ck_assert_uint_eq(K->regs[DTU_EP(0, 0) / 8], 0x4000020000200000);
    ck_assert_uint_eq(K->regs[DTU_EP(15, 0) / 8], 0x4000010000200000);
    fx_check(fx);
}

static void deprivilege(struct fx_pe *p, unsigned pe)
{
    fx_kreg(K, pe, DTU_VPE_INVALID, DTU_STATUS, 0);
    fx_want(p, DTU_STATUS, 0);
    fx_check(fx);
    /* From here on its program cannot set endpoints. */
    vdtu_store(p->d, DTU_EP(3, 0), dtu_recv_r0(8, 8), 8);
    p->want_stats.ignored_stores++;
    fx_check(fx);
}

/* Step 7: the id, then endpoint 1 for replies, then endpoint 0 to the kernel. */
static void create_vpe(struct fx_pe *p, unsigned pe)
{
    const uint64_t ep1[3] = {dtu_recv_r0(8, 8), BARRIER, 0};
    const uint64_t ep0[3] = {dtu_send_r0(0, 512), dtu_send_r1(FX_K, SYSC, DTU_CREDITS_UNLIM),
                             0xC0FFEE00 + pe};

    fx_kreg(K, pe, DTU_VPE_INVALID, DTU_VPE_ID, pe);
    fx_want(p, DTU_VPE_ID, pe);
    fx_kwrite(K, pe, pe, DTU_BASE + 0x88, ep1, 24, 0);
    fx_want_ep(p, 1, ep1[0], ep1[1], ep1[2]);
    fx_kwrite(K, pe, pe, DTU_BASE + 0x70, ep0, 24, 0);
    fx_want_ep(p, 0, ep0[0], ep0[1], ep0[2]);
    fx_check(fx);
}

/* Steps 8 to 10: a module's entry, a segment from M to the PE, the barrier, the wake-up. */
static void start_vpe(struct fx_pe *p, unsigned pe)
{
    uint8_t entry[144], segment[4096];
    const uint64_t coreid = pe;

    fx_kread(K, FX_M, 0, KENV, entry, sizeof(entry), 0);
    ck_assert_mem_eq(entry, M->mem + KENV, sizeof(entry));
    for (unsigned at = 0; at < 8192; at += 4096) {
        fx_kread(K, FX_M, 0, KENV + at, segment, sizeof(segment), 0);
        fx_kwrite(K, pe, pe, 0x8000 + at, segment, sizeof(segment), 0);
        fx_want_mem(p, 0x8000 + at, M->want_mem + KENV + at, 4096);
        fx_check(fx);
    }
    fx_kreg(K, pe, pe, DTU_RWB, BARRIER);
    fx_want(p, DTU_RWB, BARRIER);
    fx_kwrite(K, pe, pe, ENV, &coreid, 8, 0);
    fx_want_mem(p, ENV, &coreid, 8);
    fx_kreg(K, pe, pe, DTU_EXT_CMD, 0);
    p->want_stats.ext_cmds[DTU_EXT_WAKEUP]++;
    p->want_wakes++;
    fx_check(fx);
    ck_assert_uint_eq(p->barrier, BARRIER);
    ck_assert_uint_eq(vdtu_poll(p->d), VDTU_WAKEUP);
}

/* A system call: message, the kernel finds it in its work loop, replies; the VPE fetches. */
static void system_call(struct fx_pe *p, unsigned pe)
{
    struct fx_hdr h = {0x04, pe, 16, 1, 16, pe, 0xC0FFEE00 + pe, FX_RLABEL};
    struct fx_hdr r = {0x03, FX_K, SYSC, 16, 8, 0, FX_RLABEL, 0};
    const uint64_t slot = 0x1C000;

    fx_send(p, 0, "a system call...", 16, 0);
    fx_want_msg(K, slot, h, "a system call...");
    fx_want_ep(K, SYSC, 0x4001020000200001, 0x1C000, 0x100000001);
    fx_want(K, DTU_MSG_CNT, 1);
    fx_check(fx);
    ck_assert_uint_eq(vdtu_poll(K->d), VDTU_MESSAGE);
    for (unsigned ep = 6; ep <= 13; ep++)
        fx_fetch(K, ep, 0);
    fx_fetch(K, SYSC, slot);
    fx_reply(K, SYSC, slot, "answered", 8, 0);
    fx_want_ep(K, SYSC, 0x4041020000200000, 0x1C000, 0);
    fx_want(K, DTU_MSG_CNT, 0);
    fx_want_mem(K, slot, "\x10", 1);
    fx_want_msg(p, BARRIER, r, "answered");
    fx_want_ep(p, 1, 0x4001010000010001, BARRIER, 0x100000001);
    fx_want(p, DTU_MSG_CNT, 1);
    fx_check(fx);
    fx_fetch(p, 1, BARRIER);
    fx_ack(p, 1, BARRIER);
    fx_want_ep(p, 1, 0x4041010000010000, BARRIER, 0);
    fx_want(p, DTU_MSG_CNT, 0);
    fx_check(fx);
    fx_set_ep(K, SYSC, dtu_recv_r0(14, 9), 0x1C000, 0); /* as new for the next */
}

static void boot(void)
{
    own_id();
    read_kenv();
    fx_kreg(K, FX_K, 0, DTU_VPE_ID, DTU_VPE_INVALID);
    fx_want(K, DTU_VPE_ID, DTU_VPE_INVALID);
    fx_check(fx);
    own_id();
    receive_eps();
    deprivilege(A, FX_A);
    deprivilege(B, FX_B);
    create_vpe(A, FX_A);
    start_vpe(A, FX_A);
}

START_TEST(boot_trace)
{
    boot();
    system_call(A, FX_A);
}
END_TEST

/* 8.4: activate, attach, use, exit. */
START_TEST(life_of_a_vpe)
{
    const uint64_t gate[3] = {dtu_recv_r0(10, 8), FX_RBUF, 0};
    const uint64_t send[3] = {dtu_send_r0(FX_B, 256), dtu_send_r1(FX_B, 2, DTU_CREDITS_UNLIM),
                              FX_LABEL};
    const uint64_t memory[3] = {dtu_mem_r0(4096), 0x1000, dtu_mem_r2(FX_M, 0, DTU_PERM_R)};
    static const uint64_t zero[48];

    boot();
    create_vpe(B, FX_B);
    start_vpe(B, FX_B);
    fx_kwrite(K, FX_B, FX_B, DTU_BASE + DTU_EP(2, 0), gate, 24, 0);
    fx_want_ep(B, 2, gate[0], gate[1], gate[2]);
    fx_kwrite(K, FX_A, FX_A, DTU_BASE + DTU_EP(4, 0), send, 24, 0);
    fx_want_ep(A, 4, send[0], send[1], send[2]);
    fx_kwrite(K, FX_A, FX_A, DTU_BASE + DTU_EP(5, 0), memory, 24, 0);
    fx_want_ep(A, 5, memory[0], memory[1], memory[2]);
    fx_check(fx);

    fx_first_message();
    fx_xfer(A, DTU_READ, 5, 0x600, 8, 64, 0);
    fx_want_mem(A, 0x600, M->want_mem + 0x1008, 64);
    fx_xfer(A, DTU_WRITE, 5, 0x600, 8, 64, SE_NO_PERM);
    fx_check(fx);

    /* B exits: endpoints 2 to 15 in one packet, then all, then the id. */
    fx_kwrite(K, FX_B, FX_B, DTU_BASE + DTU_EP(2, 0), zero, 336, 0);
    fx_want_ep(B, 2, 0, 0, 0);
    fx_want(B, DTU_MSG_CNT, 0);
    B->want_wakes++; /* who waits for it is to know */
    fx_check(fx);
    fx_send(A, 4, "late", 4, SE_RECV_GONE);
    B->want_stats.refused_ep++;
    fx_kwrite(K, FX_B, FX_B, DTU_BASE + DTU_EP(0, 0), zero, 384, 0);
    B->want_wakes++; /* its system calls get no answer any more */
    fx_want_ep(B, 0, 0, 0, 0);
    fx_want_ep(B, 1, 0, 0, 0);
    fx_kreg(K, FX_B, FX_B, DTU_VPE_ID, DTU_VPE_INVALID);
    fx_want(B, DTU_VPE_ID, DTU_VPE_INVALID);
    fx_check(fx);
    fx_send(A, 4, "later", 5, SE_VPE_GONE);
    B->want_stats.refused_vpe++;
    fx_kwrite(K, FX_B, FX_B, ENV, zero, 8, SE_VPE_GONE);
    B->want_stats.refused_vpe++;
    fx_check(fx);
    /* STATUS, barrier and command registers keep their values; a new VPE starts as the first did.
     */
    ck_assert_uint_eq(B->regs[DTU_RWB / 8], BARRIER);
    create_vpe(B, FX_B);
}
END_TEST

/* 8.5: a further kernel; until it has its id, packets to it are for a VPE that is not there. */
START_TEST(further_kernel)
{
    static const struct {
        unsigned off;
        uint64_t value;
    } w[] = {{DTU_VPE_ID, DTU_VPE_INVALID},
             {DTU_EXT_CMD, DTU_EXT_INV_TLB},
             {DTU_EXT_CMD, DTU_EXT_INV_CACHE},
             {DTU_STATUS, 0},
             {DTU_STATUS, 1}};
    const uint64_t image[2] = {0x1111, 0x2222};

    own_id();
    for (unsigned i = 0; i < 5; i++) {
        fx_kreg(K, FX_B, DTU_VPE_INVALID, w[i].off, w[i].value);
        fx_want(B, w[i].off, w[i].value);
        if (w[i].off == DTU_EXT_CMD)
            B->want_stats.ext_cmds[w[i].value]++;
        fx_check(fx);
    }
    fx_kwrite(K, FX_B, DTU_VPE_INVALID, 0x8000, image, 16, 0);
    fx_want_mem(B, 0x8000, image, 16);
    fx_kreg(K, FX_B, DTU_VPE_INVALID, DTU_EXT_CMD, 0);
    fx_want(B, DTU_EXT_CMD, 0);
    B->want_stats.ext_cmds[DTU_EXT_WAKEUP]++;
    B->want_wakes++;
    fx_check(fx);

    fx_kwrite(K, FX_B, 1, 0x8000, image, 16, SE_VPE_GONE);
    B->want_stats.refused_vpe++;
    fx_check(fx);
    fx_kreg(B, FX_B, DTU_VPE_INVALID, DTU_VPE_ID, 1); /* the new kernel, on itself */
    fx_want(B, DTU_VPE_ID, 1);
    fx_check(fx);
    fx_kwrite(K, FX_B, 1, 0x9000, image, 16, 0);
    fx_want_mem(B, 0x9000, image, 16);
}
END_TEST

/* 8.3, suspend and privilege: the rest of the table. */
START_TEST(suspend)
{
    own_id();
    fx_kreg(K, FX_A, DTU_VPE_INVALID, DTU_EXT_CMD, 2);
    fx_kreg(K, FX_A, DTU_VPE_INVALID, DTU_EXT_CMD, 3);
    fx_kreg(K, FX_A, DTU_VPE_INVALID, DTU_STATUS, 0);
    fx_want(A, DTU_EXT_CMD, 3);
    fx_want(A, DTU_STATUS, 0);
    A->want_stats.ext_cmds[2]++;
    A->want_stats.ext_cmds[3]++;
    fx_check(fx);
    fx_kreg(K, FX_A, DTU_VPE_INVALID, DTU_STATUS, 1);
    fx_want(A, DTU_STATUS, 1);
    fx_set_ep(A, 3, dtu_recv_r0(8, 8), 0x100, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu life");
    TCase *c = tcase_create("life");

    tcase_add_checked_fixture(c, fx_setup_bare, fx_teardown);
    tcase_add_test(c, boot_trace);
    tcase_add_test(c, life_of_a_vpe);
    tcase_add_test(c, further_kernel);
    tcase_add_test(c, suspend);
    suite_add_tcase(s, c);
    return fx_run(s);
}
