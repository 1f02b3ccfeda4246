/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VPEs and PEs: the boot line, loading, starting, waiting, ending, and using a PE again only when
 * its last program is off it and has left nothing.
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/move.c guest/kernel/move_give.c guest/kernel/move_take.c
 * LINK: guest/kernel/move_hold.c guest/kernel/park.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_fake.h"

#define NONE CAP_INVALID
#define RB   (FAKE_PE_MEM - PE_RECVBUF_SIZE)

static uint8_t idle_elf[256], prog_elf[256];
static size_t prog_size;

static void setup(void)
{
    fake_boot(4);
    fake_module("idle", idle_elf, fake_elf(idle_elf, PE_IDLE_ADDR, 5, 16));
    prog_size = fake_elf(prog_elf, PE_PROGRAM_ADDR, 5, 0x2000);
    fake_module("prog and its words", prog_elf, prog_size);
}

static void teardown(void)
{
    fake_check();
    fake_end();
}

#define START(...)                                                 \
    do {                                                           \
        char *argv_[] = {(char *)"kernel", __VA_ARGS__};           \
        start_all((int)(sizeof(argv_) / sizeof(argv_[0])), argv_); \
    } while (0)
#define W(s) (char *)(s)

static uint64_t env_u64(unsigned pe, size_t off)
{
    uint64_t v;

    memcpy(&v, fake_mem(pe, PE_ENV_ADDR + off, 8), 8);
    return v;
}

START_TEST(boot_two)
{
    const struct boot_env *env;
    const char *args;

    START(W("bin/prog"), W("x"), W("yz"), W("--"), W("prog"));
    ck_assert_uint_eq(kern.stats.started, 2);
    ck_assert_uint_eq(kern.stats.failed, 0);
    env = fake_mem(2, PE_ENV_ADDR, sizeof(*env));
    ck_assert_uint_eq(env->coreid, 2);
    ck_assert_uint_eq(env->argc, 3);
    ck_assert_uint_eq(env->argv, PE_ENV_ADDR + 140);
    ck_assert_uint_eq(env->sp, PE_STACK_TOP - 8);
    ck_assert_uint_eq(env->entry, PE_PROGRAM_ADDR);
    ck_assert_uint_eq(env->heapsize, 0);
    ck_assert_uint_eq(env->pe, kern.pes[2].desc);
    args = fake_mem(2, env->argv, 64);
    ck_assert_mem_eq(args + 24, "bin/prog\0x\0yz\0", 14);
    ck_assert_uint_eq(env_u64(2, 140 + 8), PE_ENV_ADDR + 140 + 24 + 9);
    ck_assert_uint_eq(((uint8_t *)fake_mem(2, PE_PROGRAM_ADDR, 16))[3], 0xCC);
    ck_assert(!fake_in_idle(2));
    ck_assert(!fake_in_idle(3));
    ck_assert_uint_eq(fake_reg(2, DTU_VPE_ID), 2);
    ck_assert_uint_eq(fake_reg(2, DTU_RWB), RB);
    ck_assert_uint_eq(fake_reg(2, DTU_EP(1, 0)), dtu_recv_r0(8, 8));
    ck_assert_uint_eq(fake_reg(2, DTU_EP(1, 1)), RB);
    ck_assert_uint_eq(fake_reg(2, DTU_EP(0, 0)), dtu_send_r0(0, 512));
    ck_assert(strstr(fake_console(), "started prog on PE 3"));
    ck_assert(!start_finished());
    ck_assert_int_eq(CALL(2, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert(!start_finished());
    ck_assert_int_eq(CALL(3, SYSC_EXIT, 5), FAKE_LATER);
    ck_assert(start_finished());
    ck_assert_uint_eq(kern.stats.failed, 1); /* nobody asked for its exit code */
    ck_assert(strstr(fake_console(), "prog on PE 3 ended, exit code 5"));
}
END_TEST

START_TEST(boot_errors)
{
    uint8_t bad[256];

    fake_module("bad", bad, fake_elf(bad, PE_ENV_ADDR, 5, 64)); /* over the environment */
    START(W("nothing"), W("--"), W("bad"), W("--"), W("prog"), W("requires=fs"), W("--"),
          W("kernel"), W("prog"), W("pes=2"), W("--"), W("prog"), W("daemon"), W("late"), W("--"),
          W("prog"), W("repeat=5"));
    /* Of four PEs, two are still being reset and one waits for its service. */
    ck_assert_uint_eq(kern.stats.started, 1);
    ck_assert_uint_eq(kern.stats.failed, 3 + 5);
    ck_assert(strstr(fake_console(), "cannot start nothing: there is no such boot module"));
    ck_assert(strstr(fake_console(), "cannot start bad: a segment does not fit"));
    ck_assert(strstr(fake_console(), "cannot start kernel: not enough PEs are free"));
    ck_assert(strstr(fake_console(), "no PE is free"));
}
END_TEST

/* It starts when its service is there; when nobody is left who could register it, never. */
START_TEST(required_services)
{
    START(W("prog"), W("requires=fs"), W("--"), W("prog"), W("requires=none"), W("--"), W("prog"),
          W("daemon"));
    ck_assert_uint_eq(kern.stats.started, 1);
    ck_assert(!start_finished());
    ck_assert_int_eq(CALL(4, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(4, SYSC_CREATEGATE, 0, 20, 0, 2, 256), SE_OK);
    ck_assert_int_eq(CALL(4, SYSC_CREATESRV, 20, 21, 2, 0x7366), SE_OK);
    start_pending();
    ck_assert_uint_eq(kern.stats.started, 2);
    ck_assert_int_eq(kern.pes[2].vpe->state, VPE_RUNNING);
    ck_assert_int_eq(kern.pes[3].vpe->state, VPE_CREATED);
    CALL(2, SYSC_EXIT, 0);
    ck_assert(!start_finished());
    CALL(4, SYSC_EXIT, 0);
    ck_assert(start_finished());
    ck_assert_uint_eq(kern.stats.failed, 1);
    ck_assert(strstr(fake_console(), "nobody offers the service none"));
}
END_TEST

/* A daemon that runs might offer it: for two minutes after the last news. */
START_TEST(a_service_that_never_comes)
{
    START(W("prog"), W("requires=fs"), W("--"), W("prog"), W("daemon"));
    ck_assert(!start_finished());
    fake_time(119000000000);
    ck_assert_int_eq(CALL(3, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(3, SYSC_CREATEGATE, 0, 20, 0, 2, 256), SE_OK);
    ck_assert_int_eq(CALL(3, SYSC_CREATESRV, 20, 21, 1, 0x66), SE_OK);
    start_pending();
    fake_time(119000000000);
    ck_assert_int_eq(kern.pes[2].vpe->state, VPE_CREATED);
    ck_assert_ptr_null(strstr(fake_console(), "nobody offers"));
    ck_assert_uint_eq(start_tick(2000000000), 1); /* soon: who sleeps does not end the machine */
    ck_assert(strstr(fake_console(), "nobody offers the service fs"));
    ck_assert_uint_eq(kern.stats.failed, 1);
    ck_assert_uint_eq(kern.nvpes, 1);
    CALL(3, SYSC_EXIT, 0);
    ck_assert(start_finished());
}
END_TEST

START_TEST(daemons_do_not_keep_the_machine)
{
    START(W("prog"), W("daemon"), W("--"), W("prog"));
    ck_assert_uint_eq(kern.ndaemons, 1);
    ck_assert(!start_finished());
    /* A daemon that waits when it is ended. */
    ck_assert_int_eq(CALL(2, SYSC_CREATEGATE, 0, 2, 1, 3, 64), SE_OK);
    ck_assert_int_eq(CALL(2, SYSC_ACTIVATE, 4, NONE, 2), FAKE_LATER);
    ck_assert_int_eq(CALL(3, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert(start_finished());
    ck_assert_uint_eq(kern.nvpes, 0);
    ck_assert_uint_eq(kern.stats.failed, 0);
}
END_TEST

START_TEST(loadgen_has_more_receive_buffers)
{
    fake_module("loadgen", prog_elf, prog_size);
    START(W("loadgen"));
    ck_assert_uint_eq(fake_reg(2, DTU_RWB), RB - (1u << 20));
    ck_assert_uint_eq(((struct boot_env *)fake_mem(2, PE_ENV_ADDR, 140))->secondaryrecvbuf,
                      1u << 20);
}
END_TEST

#define CREATE(pe, sel, type) CALL(pe, SYSC_CREATEVPE, sel, (sel) + 1, 4, 0x6C696863, type, NONE, 0)

START_TEST(child)
{
    struct vpe *v = fake_vpe();
    unsigned count;

    ck_assert_int_eq(CREATE(v->pe, 10, 0), SE_OK);
    ck_assert_uint_eq(fake_reply(v->pe)->len, 16);
    ck_assert_uint_eq(fake_reply(v->pe)->word[1], kern.pes[3].desc);
    ck_assert_str_eq(kern.pes[3].vpe->name, "chil");
    ck_assert_uint_eq(cap_get(&v->caps, 11)->mem.pe, 3);
    ck_assert_uint_eq(cap_get(&v->caps, 11)->mem.size, DTU_RW_BARRIER);
    /* The parent has written a program there. */
    memcpy(fake_mem(3, PE_ENV_ADDR + 28, 8), &(uint64_t){PE_PROGRAM_ADDR}, 8);
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 10, VPECTRL_START, 0), SE_OK);
    ck_assert_uint_eq(env_u64(3, 0), 3);
    ck_assert(!fake_in_idle(3));
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 10, VPECTRL_START, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 0, VPECTRL_WAIT, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 11, VPECTRL_WAIT, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 10, 2, 0), SE_INV_ARGS);
    count = fake_reply(v->pe)->count;
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 10, VPECTRL_WAIT, 0), FAKE_LATER);
    ck_assert_int_eq(CALL(3, SYSC_EXIT, (uint32_t)-3), FAKE_LATER);
    ck_assert_uint_eq(fake_reply(v->pe)->count, count + 1);
    ck_assert_int_eq((int32_t)fake_reply(v->pe)->word[1], -3);
    ck_assert_uint_eq(kern.stats.failed, 0); /* its parent knows */
    /* Its memory is gone, its exit code is not. */
    ck_assert_ptr_null(cap_get(&v->caps, 11));
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 10, VPECTRL_WAIT, 0), SE_OK);
    ck_assert_int_eq((int32_t)fake_reply(v->pe)->word[1], -3);
    ck_assert_int_eq(CALL(v->pe, SYSC_CREATEGATE, 10, 20, 1, 2, 64), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_EXCHANGE, 10, RANGE(1, 1), RANGE(5, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_ATTACHRB, 10, 2, RB + 4096, 8, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_DETACHRB, 10, 2), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_REVOKE, RANGE(10, 2), 1), SE_OK);
    ck_assert_uint_eq(kern.nvpes, 1);
    ck_assert_ptr_null(kern.vpes->next);
}
END_TEST

START_TEST(createvpe_refuses)
{
    struct vpe *v = fake_vpe();

    ck_assert_int_eq(CREATE(v->pe, 0, 0), SE_INV_ARGS);
    ck_assert_int_eq(CREATE(v->pe, 0xFFFE, 0), SE_INV_ARGS);
    ck_assert_int_eq(CREATE(v->pe, 10, 1), SE_NO_FREE_CORE); /* no such PEs */
    ck_assert_int_eq(CREATE(v->pe, 10, 2), SE_NO_FREE_CORE); /* memory */
    ck_assert_int_eq(CALL(v->pe, SYSC_CREATEVPE, 10, 10, 0, 0, NONE, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_CREATEVPE, 10, 11, 0, 0, 1, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_CREATEVPE, 10, 11, ~0ull, 0, NONE, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(v->pe, SYSC_CREATEVPE, 10, 11, 400, 0, NONE, 0), SE_INV_ARGS);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(CREATE(v->pe, 10 + 2 * i, 0), SE_OK);
    ck_assert_int_eq(CREATE(v->pe, 30, 0), SE_NO_FREE_CORE);
    ck_assert_ptr_null(cap_get(&v->caps, 30));
}
END_TEST

/* At every allocation that CREATEVPE makes. */
START_TEST(createvpe_without_heap)
{
    struct vpe *v = fake_vpe();
    unsigned n = 0;
    int err;

    do {
        fake_heap_left = n++;
        err = CREATE(v->pe, 1000, 0);
        fake_heap_left = ~(size_t)0;
        ck_assert_uint_lt(n, 20);
        if (err != SE_OK) {
            ck_assert_int_eq(err, SE_OUT_OF_MEM);
            ck_assert_uint_eq(kern.nvpes, 1);
            ck_assert(cap_unused(&v->caps, 1000));
            fake_settle();
        }
        fake_check();
    } while (err != SE_OK);
    ck_assert_uint_gt(n, 5);
}
END_TEST

START_TEST(unstarted_child_goes_with_its_last_capability)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();

    ck_assert_int_eq(CREATE(v->pe, 10, 0), SE_OK);
    ck_assert_int_eq(CREATE(v->pe, 12, 0), SE_OK);
    /* Each holds a capability for the other, none was started. */
    ck_assert_int_eq(CALL(v->pe, SYSC_EXCHANGE, 10, RANGE(12, 1), RANGE(5, 1), 0), SE_OK);
    ck_assert_int_eq(CALL(v->pe, SYSC_EXCHANGE, 12, RANGE(10, 1), RANGE(5, 1), 0), SE_OK);
    ck_assert_uint_eq(kern.nvpes, 4);
    ck_assert_int_eq(CALL(v->pe, SYSC_REVOKE, RANGE(10, 1), 1), SE_OK);
    ck_assert_uint_eq(kern.nvpes, 3);
    ck_assert_ptr_null(cap_get(&v->caps, 11));
    ck_assert_int_eq(CALL(v->pe, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert_uint_eq(kern.nvpes, 1);
    ck_assert_ptr_eq(kern.vpes, w);
}
END_TEST

START_TEST(gates_end_with_their_target)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe(), *x = fake_vpe();

    ck_assert_ptr_nonnull(cap_derive(cap_get(&w->caps, 0), v, 7));
    ck_assert_int_eq(CALL(w->pe, SYSC_ATTACHRB, 0, 3, RB + 256, 8, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(v->pe, SYSC_CREATEGATE, 7, 8, 1, 3, 64), SE_OK);
    ck_assert_ptr_nonnull(cap_derive(cap_get(&v->caps, 8), x, 9));
    ck_assert_int_eq(CALL(x->pe, SYSC_ACTIVATE, 5, NONE, 9), SE_OK);
    ck_assert_int_eq(CALL(w->pe, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert_uint_eq(fake_ep_type(x->pe, 5), DTU_EP_INVALID);
    ck_assert_ptr_null(cap_get(&x->caps, 9));
    ck_assert_ptr_null(cap_get(&v->caps, 8));
    ck_assert_ptr_nonnull(cap_get(&v->caps, 7)); /* a zombie */
    ck_assert_int_eq(kern.pes[3].state, PE_RESETTING);
}
END_TEST

START_TEST(exit_takes_everything)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();
    unsigned pe = v->pe;

    ck_assert_ptr_nonnull(cap_derive(cap_get(&w->caps, 0), v, 7));
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(CALL(pe, SYSC_REQMEM, 100 + i, ~0ull, 64, 3), SE_OK);
        ck_assert_int_eq(CALL(pe, SYSC_EXCHANGE, 7, RANGE(100 + i, 1), RANGE(200 + i, 1), 0),
                         SE_OK);
    }
    ck_assert_int_eq(CALL(w->pe, SYSC_ACTIVATE, 5, NONE, 250), SE_OK);
    ck_assert_int_eq(CALL(pe, SYSC_ACTIVATE, 5, NONE, 150), SE_OK);
    ck_assert_int_eq(CALL(pe, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert_uint_eq(fake_ep_type(w->pe, 5), DTU_EP_INVALID);
    ck_assert_uint_eq(w->caps.count, 2);
    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        ck_assert_uint_eq(fake_ep_type(pe, ep), DTU_EP_INVALID);
    ck_assert_uint_eq(fake_reg(pe, DTU_VPE_ID), DTU_VPE_INVALID);
    ck_assert_uint_eq(memmap_available(&kern.mem), FAKE_MEMORY);
}
END_TEST

/* All PEs but one have VPEs; the VPE on that one, w, exits, and v asks for another. */
static void exit_and_create(struct vpe *v, struct vpe *w)
{
    ck_assert_int_eq(CREATE(v->pe, 10, 0), SE_OK);
    ck_assert_int_eq(CREATE(v->pe, 12, 0), SE_OK);
    ck_assert_int_eq(CALL(w->pe, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert_int_eq(CREATE(v->pe, 14, 0), FAKE_LATER);
}

START_TEST(pe_is_used_again_when_it_was_reset)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();
    unsigned pe = w->pe, count;

    exit_and_create(v, w);
    count = fake_reply(v->pe)->count;
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_gt(pe_poll(), 0);
    ck_assert_int_eq(kern.pes[pe].state, PE_RESETTING);
    ck_assert_uint_eq(fake_reply(v->pe)->count, count);
    fake_reset_ends(pe);
    ck_assert_uint_eq(pe_poll(), 0);
    ck_assert_uint_eq(fake_reply(v->pe)->count, count + 1);
    ck_assert_uint_eq(fake_reply(v->pe)->word[0], SE_OK);
    ck_assert_uint_eq(fake_reply(v->pe)->word[1], kern.pes[pe].desc);
    ck_assert_uint_eq(kern.pes[pe].vpe->label >> 32, kern.generation);
    vpe_reap();
    ck_assert_ptr_eq(cap_get(&v->caps, 14)->vpe, kern.pes[pe].vpe);
    /* And once more. */
    memcpy(fake_mem(pe, PE_ENV_ADDR + 28, 8), &(uint64_t){PE_PROGRAM_ADDR}, 8);
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 14, VPECTRL_START, 0), SE_OK);
    ck_assert(!fake_in_idle(pe));
    ck_assert_int_eq(CALL(pe, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert_int_eq(kern.pes[pe].state, PE_RESETTING);
    fake_settle();
    ck_assert_int_eq(kern.pes[pe].state, PE_FREE);
}
END_TEST

static void put(unsigned pe, uint64_t addr, uint64_t value)
{
    memcpy(fake_mem(pe, addr, 8), &value, 8);
}

/* It says all that a program in idle would have said, and keeps what it can. */
START_TEST(hostile_predecessor)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();
    const uint8_t *low;
    unsigned pe = w->pe;

    exit_and_create(v, w);
    for (unsigned i = 0; i < 100; i++) {
        memset(fake_mem(pe, 0, 0x3000), 0x5E, 0x3000);
        memset(fake_mem(pe, PE_PROGRAM_ADDR, 64), 0x5E, 64);
        put(pe, PE_ENV_ADDR + 28, 0);
        put(pe, 0x2FF0, 0x1D1E);
        ck_assert_uint_gt(pe_poll(), 0);
        ck_assert_ptr_null(kern.pes[pe].vpe);
        ck_assert_uint_eq(fake_reg(pe, DTU_VPE_ID), DTU_VPE_INVALID);
    }
    fake_settle();
    ck_assert_ptr_nonnull(kern.pes[pe].vpe);
    /* The whole of idle, and nothing else. */
    low = fake_mem(pe, 0, PE_STACK_TOP);
    for (unsigned i = 0; i < PE_STACK_TOP; i++)
        ck_assert_uint_eq(low[i], i - PE_IDLE_ADDR < 16 ? 0xCC : 0);
    for (unsigned i = 0; i < 64; i++)
        ck_assert_uint_eq(((uint8_t *)fake_mem(pe, PE_PROGRAM_ADDR, 64))[i], 0);
}
END_TEST

/* Idle's data is there from the reset on; at the start it is left alone, the code is not. */
START_TEST(idle_is_loaded_anew)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();
    unsigned pe = w->pe;

    fake_elf(idle_elf, PE_IDLE_ADDR, _i == 0 ? 5 : 7, 16);
    exit_and_create(v, w);
    fake_settle();
    ck_assert_uint_eq(*(uint8_t *)fake_mem(pe, PE_IDLE_ADDR, 1), 0xCC);
    put(pe, PE_IDLE_ADDR, 0x5E);
    put(pe, PE_ENV_ADDR + 28, PE_PROGRAM_ADDR);
    ck_assert_int_eq(CALL(v->pe, SYSC_VPECTRL, 14, VPECTRL_START, 0), SE_OK);
    ck_assert_uint_eq(*(uint8_t *)fake_mem(pe, PE_IDLE_ADDR, 1), _i == 0 ? 0xCC : 0x5E);
}
END_TEST

/* 0: the program crashed, 1: the DTU refuses, 2: idle cannot be loaded any more. */
START_TEST(pe_that_cannot_be_reset)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();
    unsigned polls = 0;

    exit_and_create(v, w);
    if (_i == 1)
        fake_break(3, true);
    if (_i == 2) {
        idle_elf[0] = 0;
        fake_reset_ends(3);
    }
    while (pe_poll())
        ck_assert_uint_lt(++polls, 10000);
    ck_assert_uint_eq(fake_reply(v->pe)->word[0], SE_NO_FREE_CORE);
    ck_assert_int_eq(kern.pes[3].state, PE_LOST);
    ck_assert(strstr(fake_console(), "PE 3 cannot be reset"));
    fake_break(3, false);
    fake_reset_ends(3); /* too late */
    ck_assert_uint_eq(pe_poll(), 0);
    ck_assert_int_eq(CREATE(v->pe, 14, 0), SE_NO_FREE_CORE);
}
END_TEST

START_TEST(machine_that_cannot_reset)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();
    const char *said;

    fake_can_reset = false;
    ck_assert_int_eq(CREATE(v->pe, 10, 0), SE_OK);
    ck_assert_int_eq(CALL(w->pe, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert_int_eq(CALL(v->pe, SYSC_REVOKE, RANGE(10, 1), 1), SE_OK); /* never started */
    ck_assert_uint_eq(pe_poll(), 0);
    ck_assert_int_eq(CREATE(v->pe, 12, 0), SE_OK); /* the last PE without a past */
    ck_assert_ptr_null(strstr(fake_console(), "cannot reset"));
    ck_assert_int_eq(CREATE(v->pe, 14, 0), SE_NO_FREE_CORE);
    ck_assert_int_eq(CREATE(v->pe, 14, 0), SE_NO_FREE_CORE);
    said = strstr(fake_console(), "this machine cannot reset PEs");
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_null(strstr(said + 1, "this machine"));
    ck_assert_int_eq(kern.pes[3].state, PE_USED_UP);
    ck_assert_int_eq(kern.pes[4].state, PE_USED_UP);
    ck_assert_ptr_null(kern.pes[3].vpe);
}
END_TEST

/* Somebody gives the waiting VPE a capability where it wanted the new one. */
START_TEST(waiting_createvpe_checks_again)
{
    struct vpe *v = fake_vpe(), *w = fake_vpe();

    exit_and_create(v, w);
    ck_assert_ptr_nonnull(cap_derive(cap_get(&v->caps, 10), v, 15));
    fake_settle();
    ck_assert_uint_eq(fake_reply(v->pe)->word[0], SE_INV_ARGS);
    ck_assert_int_eq(kern.pes[3].state, PE_FREE);
}
END_TEST

START_TEST(never_started_vpe_cannot_call)
{
    struct vpe *v = fake_vpe();

    ck_assert_int_eq(CREATE(v->pe, 10, 0), SE_OK);
    ck_assert_int_eq(CALL(3, SYSC_NOOP), SE_INV_ARGS);
    ck_assert_int_eq(CALL(3, SYSC_EXIT, 0), SE_INV_ARGS);
}
END_TEST

START_TEST(broken_pe_at_creation)
{
    struct vpe *v = fake_vpe();

    fake_break(3, true);
    ck_assert_int_eq(CREATE(v->pe, 10, 0), SE_INV_ARGS);
    ck_assert_int_eq(kern.pes[3].state, PE_LOST);
    ck_assert_int_eq(CREATE(v->pe, 10, 0), SE_OK); /* the next one */
    ck_assert_uint_eq(cap_get(&v->caps, 10)->vpe->pe, 4);
}
END_TEST

START_TEST(names_are_printable)
{
    struct vpe *v = fake_vpe();

    ck_assert_int_eq(CALL(v->pe, SYSC_CREATEVPE, 10, 11, 4,
                          'a' | 0x1Bull << 8 | '[' << 16 | '\n' << 24, 0, NONE, 0),
                     SE_OK);
    ck_assert_str_eq(kern.pes[3].vpe->name, "a?[?");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernel VPEs");
    TCase *t = tcase_create("vpe");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, boot_two);
    tcase_add_test(t, boot_errors);
    tcase_add_test(t, required_services);
    tcase_add_test(t, a_service_that_never_comes);
    tcase_add_test(t, daemons_do_not_keep_the_machine);
    tcase_add_test(t, loadgen_has_more_receive_buffers);
    tcase_add_test(t, child);
    tcase_add_test(t, createvpe_refuses);
    tcase_add_test(t, createvpe_without_heap);
    tcase_add_test(t, unstarted_child_goes_with_its_last_capability);
    tcase_add_test(t, gates_end_with_their_target);
    tcase_add_test(t, exit_takes_everything);
    tcase_add_test(t, pe_is_used_again_when_it_was_reset);
    tcase_add_test(t, hostile_predecessor);
    tcase_add_loop_test(t, idle_is_loaded_anew, 0, 2);
    tcase_add_loop_test(t, pe_that_cannot_be_reset, 0, 3);
    tcase_add_test(t, machine_that_cannot_reset);
    tcase_add_test(t, waiting_createvpe_checks_again);
    tcase_add_test(t, never_started_vpe_cannot_call);
    tcase_add_test(t, broken_pe_at_creation);
    tcase_add_test(t, names_are_printable);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
