/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls: each one's rules, and every way to ask wrongly that the encoding allows.  Error
 * codes are the original's where it has one (semperos-platform 7.2).
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

#define NONE   CAP_INVALID
#define RB     (FAKE_PE_MEM - PE_RECVBUF_SIZE)
#define OPTHER 7u /* selector of `b` in a's table */

static struct vpe *a, *b;
static unsigned pa, pb;

static void setup(void)
{
    fake_boot(4);
    a = fake_vpe();
    b = fake_vpe();
    pa = a->pe;
    pb = b->pe;
    /* a has a capability for b. */
    ck_assert_ptr_nonnull(cap_derive(cap_get(&b->caps, CAP_SELF_VPE), a, OPTHER));
}

static void teardown(void)
{
    fake_check();
    fake_end();
}

START_TEST(noop)
{
    ck_assert_int_eq(CALL(pa, SYSC_NOOP), SE_OK);
    ck_assert_uint_eq(fake_reply(pa)->len, 8);
    ck_assert_uint_eq(kern.stats.syscalls, 1);
    /* Ours: how long the call before it took; the fake's clock moves on by 10 with each look. */
    ck_assert_int_eq(CALL(pa, SYSC_NOOP, SYSC_NOOP_TIME), SE_OK);
    ck_assert_uint_eq(fake_reply(pa)->len, 16);
    ck_assert_uint_eq(fake_reply(pa)->word[1], 10);
    /* Anything else behind a NOOP is as if it were not there. */
    ck_assert_int_eq(CALL(pa, SYSC_NOOP, SYSC_NOOP_TIME + 1), SE_OK);
    ck_assert_uint_eq(fake_reply(pa)->len, 8);
}
END_TEST

START_TEST(unknown_and_unsupported)
{
    static const unsigned unsupported[] = {SYSC_PAGEFAULT, SYSC_CREATEMAP};

    for (unsigned i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
        ck_assert_int_eq(CALL(pa, unsupported[i], 0, 0, 0), SE_NOT_SUP);
    ck_assert_int_eq(CALL(pa, SYSC_COUNT), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, 0xFFFFFFFF), SE_INV_ARGS);
    /* Only four bytes of the number count: the rest is padding. */
    ck_assert_int_eq(CALL(pa, 0xDEADBEEFull << 32 | SYSC_NOOP), SE_OK);
}
END_TEST

START_TEST(messages_of_nobody)
{
    struct dtu_header h = {
        .sender_pe = (uint16_t)pa, .sender_vpe = (uint16_t)pa, .label = a->label};
    const uint32_t op = SYSC_EXIT;
    struct dtu_header bad[6];

    h.length = sizeof(op);
    for (unsigned i = 0; i < 6; i++)
        bad[i] = h;
    bad[0].label += 1ull << 32; /* another generation */
    bad[1].label = ~0ull;       /* no PE */
    bad[2].label = b->label;    /* b's gate from a's PE */
    bad[3].sender_pe = (uint16_t)pb;
    bad[4].sender_vpe = (uint16_t)pb;
    bad[5].label = 9; /* a PE without VPE */
    for (unsigned i = 0; i < 6; i++)
        fake_message(a->sysc_ep, bad[i], &op);
    fake_message(a->sysc_ep + 1, h, &op); /* not its endpoint */
    ck_assert_uint_eq(kern.stats.strays, 7);
    ck_assert_uint_eq(kern.stats.syscalls, 0);
    ck_assert_int_eq(a->state, VPE_RUNNING);
}
END_TEST

/* Every handler with every length shorter than its arguments: refused, and nothing changed. */
START_TEST(truncated)
{
    static const struct {
        unsigned op, len; /* shortest valid payload */
        uint64_t arg[8];
    } calls[] = {
        {SYSC_CREATEGATE, 48, {0, 20, 1, 2, 128}},
        {SYSC_CREATEVPE, 52, {20, 21, 3, 'x', 0, NONE, 0}},
        {SYSC_ATTACHRB, 44, {0, 2, RB + 4096, 9, 8, 0}},
        {SYSC_DETACHRB, 24, {0, 2}},
        {SYSC_EXCHANGE, 49, {OPTHER, RANGE(1, 1), RANGE(20, 1), 0}},
        {SYSC_VPECTRL, 28, {0, VPECTRL_START, 0}},
        {SYSC_ACTIVATE, 20, {2, NONE, 1}},
        {SYSC_REQMEM, 36, {20, ~0ull, 64, 3}},
        {SYSC_DERIVEMEM, 44, {1, 20, 0, 64, 3}},
        {SYSC_REVOKE, 25, {RANGE(OPTHER, 1), 1}},
        {SYSC_EXIT, 12, {0}},
    };

    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        uint64_t words[9] = {calls[i].op};
        unsigned caps = a->caps.count;

        memcpy(words + 1, calls[i].arg, sizeof(calls[i].arg));
        for (size_t len = 0; len < calls[i].len; len++)
            ck_assert_msg(fake_call_bytes(pa, words, len) == SE_INV_ARGS, "op %u, %zu bytes",
                          calls[i].op, len);
        ck_assert_uint_eq(a->caps.count, caps);
        ck_assert_int_eq(a->state, VPE_RUNNING);
        fake_check();
    }
}
END_TEST

START_TEST(creategate)
{
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 2, 0x1234, 3, 256), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 2, 1, 3, 256), SE_INV_ARGS); /* used */
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 1, 3, 1, 3, 256), SE_INV_ARGS); /* not a VPE */
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 99, 3, 1, 3, 256), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, NONE, 1, 3, 256), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, ~0u, 1, 3, 256), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 3, 1, 0, 256), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 3, 1, 16, 256), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 3, 1, 1ull << 32 | 3, 256), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 3, 1, 3, ~0ull), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 3, 1, 3, 0x10000), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, OPTHER, 0xFFFE, 1, 1, 0xFFFF), SE_OK);
    ck_assert_uint_eq(cap_get(&a->caps, 0xFFFE)->msg.pe, pb);
}
END_TEST

START_TEST(creategate_without_heap)
{
    fake_heap_left = 0;
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 2, 1, 3, 256), SE_OUT_OF_MEM);
    fake_heap_left = 1; /* the capability, but not the leaf */
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 5000, 1, 3, 256), SE_OUT_OF_MEM);
}
END_TEST

START_TEST(activate_writes_the_endpoint)
{
    ck_assert_int_eq(CALL(pb, SYSC_ATTACHRB, 0, 3, RB + 256, 10, 8, 0), SE_OK);
    ck_assert_uint_eq(fake_reg(pb, DTU_EP(3, 0)), dtu_recv_r0(10, 8));
    ck_assert_uint_eq(fake_reg(pb, DTU_EP(3, 1)), RB + 256);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, OPTHER, 2, 0xABCD, 3, 256), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, NONE, 2), SE_OK);
    ck_assert_uint_eq(fake_reg(pa, DTU_EP(5, 0)), dtu_send_r0(pb, 256));
    ck_assert_uint_eq(fake_reg(pa, DTU_EP(5, 1)), dtu_send_r1(pb, 3, DTU_CREDITS_UNLIM));
    ck_assert_uint_eq(fake_reg(pa, DTU_EP(5, 2)), 0xABCD);
    /* Memory in its place, then nothing. */
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, 2, 1), SE_OK);
    ck_assert_uint_eq(fake_reg(pa, DTU_EP(5, 0)), dtu_mem_r0(DTU_RW_BARRIER));
    ck_assert_uint_eq(fake_reg(pa, DTU_EP(5, 2)), dtu_mem_r2(pa, pa, 7));
    ck_assert_uint_eq(cap_get(&a->caps, 2)->eps, 0);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, 1, NONE), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pa, 5), DTU_EP_INVALID);
}
END_TEST

START_TEST(activate_refuses)
{
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, RB + 256, 8, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 0, NONE, 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 1, NONE, 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 4, NONE, 1), SE_INV_ARGS); /* receives */
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 16, NONE, 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, ~0ull, NONE, 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, NONE, NONE), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, 77, NONE), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, 1, 77), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, NONE, 0), SE_INV_ARGS); /* a VPE is no gate */
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, 77, 1), SE_OK); /* wrong about what was there */
}
END_TEST

START_TEST(activate_waits_for_the_receiver)
{
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, OPTHER, 2, 1, 3, 256), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, NONE, 2), FAKE_LATER);
    ck_assert_int_eq(CALL(pb, SYSC_ATTACHRB, 0, 4, RB + 4096, 8, 8, 0), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pa, 5), DTU_EP_INVALID);
    ck_assert_int_eq(CALL(pb, SYSC_ATTACHRB, 0, 3, RB + 256, 8, 8, 0), SE_OK);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_OK);
    ck_assert_uint_eq(fake_ep_type(pa, 5), DTU_EP_SEND);
    ck_assert_int_eq(a->wait.kind, WAIT_NONE);
    /* The answer brought the credits back. */
    ck_assert_int_eq(CALL(pa, SYSC_NOOP), SE_OK);
}
END_TEST

/* What can happen to a waiting ACTIVATE instead. */
START_TEST(activate_waits_in_vain)
{
    static const int results[] = {SE_RECV_GONE, SE_RECV_GONE, SE_INV_ARGS};
    unsigned count;

    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, OPTHER, 2, 1, 3, 256), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, NONE, 2), FAKE_LATER);
    count = fake_reply(pa)->count;
    if (_i == 0)
        ck_assert_int_eq(CALL(pb, SYSC_DETACHRB, 0, 3), SE_OK);
    else if (_i == 1)
        ck_assert_int_eq(CALL(pb, SYSC_EXIT, 0), FAKE_LATER);
    else
        cap_revoke(cap_get(&a->caps, 2));
    ck_assert_uint_eq(fake_reply(pa)->count, count + 1);
    ck_assert_int_eq((int)fake_reply(pa)->word[0], results[_i]);
    ck_assert_uint_eq(fake_ep_type(pa, 5), DTU_EP_INVALID);
}
END_TEST

START_TEST(attachrb)
{
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 2, RB + 256, 9, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 2, RB + 8192, 9, 8, 0), SE_EXISTS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 3, RB + 512, 9, 8, 0), SE_INV_ARGS); /* overlap */
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 3, RB, 8, 8, 0), SE_INV_ARGS);       /* EP 1's */
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 3, RB - 256, 8, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, FAKE_PE_MEM - 128, 8, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 3, FAKE_PE_MEM - 256, 8, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, ~0ull - 127, 8, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, RB + 4096, 21, 16, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, RB + 4096, 8, 9, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, RB + 4096, 14, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, RB + 4096, 4, 4, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 4, RB + 4096, -1u, -1u, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 1, RB + 4096, 8, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 16, RB + 4096, 8, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 1, 4, RB + 4096, 8, 8, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DETACHRB, 0, 2), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pa, 2), DTU_EP_INVALID);
    ck_assert_int_eq(CALL(pa, SYSC_DETACHRB, 0, 2), SE_OK); /* as in the original */
    ck_assert_int_eq(CALL(pa, SYSC_DETACHRB, 0, 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DETACHRB, 0, 16), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DETACHRB, 50, 3), SE_INV_ARGS);
    /* For somebody else, over a gate. */
    ck_assert_int_eq(CALL(pb, SYSC_ACTIVATE, 6, NONE, 1), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, OPTHER, 6, RB + 4096, 8, 8, 0), SE_OK);
    ck_assert_uint_eq(cap_get(&b->caps, 1)->eps, 0);
}
END_TEST

START_TEST(exchange)
{
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 10, ~0ull, 64, 3), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 12, ~0ull, 64, 3), SE_OK);
    /* Delegate a range with a hole. */
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, 3), RANGE(20, 3), 0), SE_OK);
    ck_assert_ptr_eq(cap_get(&b->caps, 20)->parent, cap_get(&a->caps, 10));
    ck_assert_ptr_null(cap_get(&b->caps, 21));
    ck_assert_ptr_nonnull(cap_get(&b->caps, 22));
    /* Obtain: from their `other` to our `own`. */
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(30, 2), RANGE(22, 1), 1), SE_OK);
    ck_assert_ptr_eq(cap_get(&a->caps, 30)->parent, cap_get(&b->caps, 22));
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, 0), RANGE(40, 0), 0), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(12, 1), 1), SE_OK);
    ck_assert_ptr_null(cap_get(&a->caps, 30));
    ck_assert_ptr_null(cap_get(&b->caps, 22));
    ck_assert_ptr_nonnull(cap_get(&b->caps, 20));
}
END_TEST

START_TEST(exchange_refuses)
{
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 10, ~0ull, 64, 3), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, 10, RANGE(10, 1), RANGE(20, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, 1), RANGE(20, 2), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(30, 1), RANGE(0, 2), 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, 1), RANGE(1, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(11, 1), RANGE(20, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, ~0u), RANGE(20, ~0u), 0),
                     SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, 1), RANGE(NONE, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, 1), RANGE(~0u, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, 10ull << 32 | CRD_MAP, 1, RANGE(20, 1), 0),
                     SE_INV_ARGS);
    ck_assert_int_eq(
        CALL(pa, SYSC_EXCHANGE, OPTHER, 10ull << 32 | CRD_MAP, 1, 20ull << 32 | CRD_MAP, 1, 0),
        SE_NOT_SUP);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, 0, RANGE(9, 3), RANGE(11, 3), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, 0, RANGE(10, 1), RANGE(11, 1), 0), SE_OK);
}
END_TEST

START_TEST(exchange_is_all_or_nothing)
{
    unsigned before = b->caps.count;

    for (unsigned i = 0; i < 8; i++)
        ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 10 + i, ~0ull, 64, 3), SE_OK);
    fake_heap_left = 5;
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(10, 8), RANGE(20, 8), 0), SE_OUT_OF_MEM);
    ck_assert_uint_eq(b->caps.count, before);
}
END_TEST

START_TEST(revoke)
{
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 2, 1, 3, 256), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 4, 1, 3, 256), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(2, 1), RANGE(9, 1), 0), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 1), 0), SE_OK);
    ck_assert_ptr_nonnull(cap_get(&a->caps, 2));
    ck_assert_ptr_null(cap_get(&b->caps, 9));
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(0, 1), 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(1, 3), 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(3, 1), 1), SE_INV_ARGS); /* nothing there */
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(NONE, 1), 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, ~0u), 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, 2ull << 32 | CRD_MAP, 1, 1), SE_NOT_SUP);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, 2ull << 32 | 2, 1, 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 3), 1), SE_OK);
    ck_assert_ptr_null(cap_get(&a->caps, 2));
    ck_assert_ptr_null(cap_get(&a->caps, 4));
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 1), 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 0), 1), SE_OK);
}
END_TEST

START_TEST(revoke_reaches_endpoints_elsewhere)
{
    ck_assert_int_eq(CALL(pa, SYSC_ATTACHRB, 0, 3, RB + 256, 8, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_CREATEGATE, 0, 2, 1, 3, 256), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_EXCHANGE, OPTHER, RANGE(2, 1), RANGE(9, 1), 0), SE_OK);
    ck_assert_int_eq(CALL(pb, SYSC_ACTIVATE, 7, NONE, 9), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pb, 7), DTU_EP_SEND);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 1), 1), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pb, 7), DTU_EP_INVALID);
    ck_assert_int_eq(CALL(pb, SYSC_ACTIVATE, 7, NONE, 9), SE_INV_ARGS);
}
END_TEST

START_TEST(reqmem)
{
    uint64_t before = memmap_available(&kern.mem);

    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, FAKE_MEMORY + 8, 3), SE_OUT_OF_MEM);
    ck_assert_ptr_null(cap_get(&a->caps, 2));
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, 0, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, 12, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, 64, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, 64, 8), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 1, ~0ull, 64, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, NONE, ~0ull, 64, 3), SE_INV_ARGS);
    /* The region of file systems: bounded, and not given back to anybody. */
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, MEM_MODULES - 64, 64, 3), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 3, MEM_MODULES - 64, 72, 3), SE_OUT_OF_MEM);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 3, MEM_MODULES, 64, 3), SE_OUT_OF_MEM);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 3, ~0ull - 7, 64, 3), SE_OUT_OF_MEM);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 3, 64, ~0ull - 7, 3), SE_OUT_OF_MEM);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 1), 1), SE_OK);
    ck_assert_uint_eq(memmap_available(&kern.mem), before);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, FAKE_MEMORY, 7), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 3, ~0ull, 8, 7), SE_OUT_OF_MEM);
    ck_assert_int_eq(CALL(pa, SYSC_ACTIVATE, 5, NONE, 2), SE_OK);
    ck_assert_uint_eq(fake_reg(pa, DTU_EP(5, 1)), MEM_FREE);
    ck_assert_uint_eq(fake_reg(pa, DTU_EP(5, 2)), dtu_mem_r2(MEM_PE, 0, 7));
}
END_TEST

/* Programs that others start get at files through the service only. */
START_TEST(images_are_for_the_boot_line)
{
    unsigned pe;

    ck_assert_int_eq(CALL(pa, SYSC_CREATEVPE, 2, 3, 1, 'c', pe_desc(0, 0, PE_TYPE_SPM), 0xFFFF, 0),
                     SE_OK);
    pe = cap_get(&a->caps, 2)->vpe->pe;
    ck_assert_int_eq(CALL(pa, SYSC_VPECTRL, 2, VPECTRL_START, 0), SE_OK);
    ck_assert_int_eq(CALL(pe, SYSC_REQMEM, 2, 0, 64, 3), SE_NO_PERM);
    ck_assert_int_eq(CALL(pe, SYSC_REQMEM, 2, MEM_MODULES - 64, 64, 1), SE_NO_PERM);
    ck_assert_ptr_null(cap_at(&kern.pes[pe].vpe->caps, 2));
    ck_assert_int_eq(CALL(pe, SYSC_REQMEM, 2, ~0ull, 64, 3), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 4, 0, 64, 3), SE_OK);
    CALL(pe, SYSC_EXIT, 0);
}
END_TEST

START_TEST(memory_comes_empty)
{
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 3, ~0ull, 4096, 3), SE_OK);
    ck_assert_uint_eq(fake_wiped(), 0); /* nobody had it before */
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 1), 1), SE_OK);
    ck_assert_int_eq(CALL(pb, SYSC_REQMEM, 2, ~0ull, 1024, 3), SE_OK);
    ck_assert_uint_eq(fake_wiped(), 1024);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(3, 1), 1), SE_OK);
    ck_assert_int_eq(CALL(pb, SYSC_REQMEM, 3, ~0ull, 16384, 3), SE_OK);
    ck_assert_uint_eq(fake_wiped(), 1024 + 7168);
}
END_TEST

START_TEST(derivemem)
{
    ck_assert_int_eq(CALL(pa, SYSC_REQMEM, 2, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 3, 1024, 3072, 7), SE_OK);
    ck_assert_uint_eq(cap_get(&a->caps, 3)->mem.addr, MEM_FREE + 1024);
    ck_assert_uint_eq(cap_get(&a->caps, 3)->mem.size, 3072);
    ck_assert_uint_eq(cap_get(&a->caps, 3)->mem.perms, 3);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 4, 1024, 3080, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 4, 4096, 8, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 4, ~0ull - 7, 16, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 4, 8, ~0ull - 7, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 4, 4, 8, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 4, 0, 0, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 4, 0, 8, 8), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 2, 3, 0, 8, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 0, 4, 0, 8, 3), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DERIVEMEM, 3, 4, 1024, 1024, 1), SE_OK);
    ck_assert_uint_eq(cap_get(&a->caps, 4)->mem.addr, MEM_FREE + 2048);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(2, 1), 1), SE_OK);
    ck_assert_ptr_null(cap_get(&a->caps, 4));
}
END_TEST

/* All handlers with words that are often wrong in interesting ways. */
START_TEST(hostile_words)
{
    static const uint64_t nasty[] = {0,          1,         2,       7,          15,  16,
                                     0xFFFE,     0xFFFF,    0x10000, 1ull << 31, ~0u, 1ull << 32,
                                     1ull << 63, ~0ull - 7, ~0ull,   MEM_MODULES};
    const unsigned n = sizeof(nasty) / sizeof(nasty[0]);

    srand((unsigned)_i);
    for (unsigned round = 0; round < 4000; round++) {
        uint64_t w[9];
        unsigned op = (unsigned)rand() % SYSC_COUNT;

        if (op == SYSC_EXIT || a->wait.kind != WAIT_NONE)
            continue;
        w[0] = op;
        for (unsigned i = 1; i < 9; i++)
            w[i] = nasty[(unsigned)rand() % n];
        fake_call_bytes(pa, w, (size_t)(rand() % 73));
        fake_check();
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernel system calls");
    TCase *t = tcase_create("sys");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, noop);
    tcase_add_test(t, unknown_and_unsupported);
    tcase_add_test(t, messages_of_nobody);
    tcase_add_test(t, truncated);
    tcase_add_test(t, creategate);
    tcase_add_test(t, creategate_without_heap);
    tcase_add_test(t, activate_writes_the_endpoint);
    tcase_add_test(t, activate_refuses);
    tcase_add_test(t, activate_waits_for_the_receiver);
    tcase_add_loop_test(t, activate_waits_in_vain, 0, 3);
    tcase_add_test(t, attachrb);
    tcase_add_test(t, exchange);
    tcase_add_test(t, exchange_refuses);
    tcase_add_test(t, exchange_is_all_or_nothing);
    tcase_add_test(t, revoke);
    tcase_add_test(t, revoke_reaches_endpoints_elsewhere);
    tcase_add_test(t, reqmem);
    tcase_add_test(t, images_are_for_the_boot_line);
    tcase_add_test(t, memory_comes_empty);
    tcase_add_test(t, derivemem);
    tcase_add_loop_test(t, hostile_words, 0, 10);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
