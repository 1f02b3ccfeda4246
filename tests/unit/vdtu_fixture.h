/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A NoC to test the vDTU with, and the way its tests check: the fixture keeps, for each PE, what
 * every register, every byte of memory, every counter and the number of wake-ups *should* be.  A
 * test states what an operation changes (fx_want_*), and fx_check() compares everything, so that
 * whatever else changed is a failure, too.
 *
 * The PEs are those of dtu-spec 11: A is PE 2 with VPE 2, B is PE 3 with VPE 3 and has a receive
 * endpoint 2 of 4 slots of 256 bytes at 0x10000; A's endpoint 4 sends to it, A's endpoint 1 has one
 * slot at 0x20000 for replies.  K (PE 1, VPE 0) plays the kernel, M (PE 0) is the memory PE.
 */
#ifndef VDTU_FIXTURE_H
#define VDTU_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../vdtu/vdtu.h"

#define FX_PES     4
#define FX_MEM     0x24000u
#define FX_NREGS   (DTU_WINDOW / 8)
#define FX_LABEL   0x1122334455667788ull
#define FX_RLABEL  0xBEEFull
#define FX_RBUF    0x10000u /* B's slots */
#define FX_REPLIES 0x20000u /* A's slot for replies */
#define FX_SRC     0x1000u  /* where fx_send() takes the payload from */
#define FX_REGPAGE 0x1000u

enum { FX_M, FX_K, FX_A, FX_B };

struct fx;
struct fx_queued {
    uint64_t off, value;
    unsigned size;
};

struct fx_pe {
    struct fx *fx;
    struct vdtu *d;
    uint8_t *mem, *want_mem;
    uint64_t *regs, want[FX_NREGS];
    struct vdtu_stats want_stats;
    unsigned wakes, want_wakes;
    unsigned drains, barriers, irqs, debugs;
    uint64_t barrier;
    uint8_t irq;
    uint32_t debug;
    struct fx_queued queue[8]; /* posted stores, handed in at the next drain */
    unsigned queued;
    void (*on_drain)(struct fx_pe *); /* tests interfere here */
};

struct fx {
    struct vdtu_noc *noc;
    struct fx_pe pe[FX_PES];
};

static inline void fx_op_wake(void *arg)
{
    ((struct fx_pe *)arg)->wakes++;
}

static inline void fx_op_drain(void *arg)
{
    struct fx_pe *p = arg;

    p->drains++;
    if (p->on_drain)
        p->on_drain(p);
    for (unsigned i = 0; i < p->queued; i++)
        if (p->queue[i].size) /* 0: an ACK */
            vdtu_posted(p->d, p->queue[i].off, p->queue[i].value, p->queue[i].size);
        else
            vdtu_posted_ack(p->d, (unsigned)p->queue[i].off, p->queue[i].value);
    p->queued = 0;
}

static inline void fx_op_barrier(void *arg, uint64_t barrier)
{
    struct fx_pe *p = arg;

    p->barriers++;
    p->barrier = barrier;
}

static inline void fx_op_irq(void *arg, uint8_t vector)
{
    struct fx_pe *p = arg;

    p->irqs++;
    p->irq = vector;
}

static inline void fx_op_debug(void *arg, uint32_t value)
{
    struct fx_pe *p = arg;

    p->debugs++;
    p->debug = value;
}

static const struct vdtu_ops fx_ops = {
    .wake = fx_op_wake,
    .drain = fx_op_drain,
    .barrier = fx_op_barrier,
    .irq = fx_op_irq,
    .debug = fx_op_debug,
};

static inline void fx_post(struct fx_pe *p, uint64_t off, uint64_t value, unsigned size)
{
    ck_assert_uint_lt(p->queued, 8);
    p->queue[p->queued++] = (struct fx_queued){off, value, size};
}

/* ---- expectations ---- */

/* What is now is right. */
static inline void fx_accept(struct fx *f)
{
    for (unsigned i = 0; i < FX_PES; i++) {
        struct fx_pe *p = &f->pe[i];

        memcpy(p->want, p->regs, sizeof(p->want));
        memcpy(p->want_mem, p->mem, FX_MEM);
        vdtu_stats(p->d, &p->want_stats);
        p->want_wakes = p->wakes;
    }
}

static inline void fx_want(struct fx_pe *p, unsigned off, uint64_t value)
{
    p->want[off / 8] = value;
}

static inline void fx_want_ep(struct fx_pe *p, unsigned ep, uint64_t r0, uint64_t r1, uint64_t r2)
{
    fx_want(p, DTU_EP(ep, 0), r0);
    fx_want(p, DTU_EP(ep, 1), r1);
    fx_want(p, DTU_EP(ep, 2), r2);
}

static inline void fx_want_mem(struct fx_pe *p, uint64_t addr, const void *data, size_t len)
{
    ck_assert_uint_le(addr + len, FX_MEM);
    memcpy(p->want_mem + addr, data, len);
}

static inline void fx_le(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* A header, byte by byte as dtu-spec 3.1 lists them. */
struct fx_hdr {
    unsigned flags, pe, ep, reply_ep, len, vpe;
    uint64_t label, reply_label;
};

static inline void fx_want_msg(struct fx_pe *p, uint64_t slot, struct fx_hdr h, const void *payload)
{
    uint8_t b[25];

    fx_le(b, h.flags, 1);
    fx_le(b + 1, h.pe, 2);
    fx_le(b + 3, h.ep, 1);
    fx_le(b + 4, h.reply_ep, 1);
    fx_le(b + 5, h.len, 2);
    fx_le(b + 7, h.vpe, 2);
    fx_le(b + 9, h.label, 8);
    fx_le(b + 17, h.reply_label, 8);
    fx_want_mem(p, slot, b, 25);
    fx_want_mem(p, slot + 25, payload, h.len);
    p->want_stats.msgs_received++;
    p->want_stats.bytes_received += h.len;
    p->want_wakes++;
}

static inline void fx_want_sent(struct fx_pe *p, unsigned bytes)
{
    p->want_stats.msgs_sent++;
    p->want_stats.bytes_sent += bytes;
}

static inline void fx_check_pe(struct fx_pe *p, unsigned pe, const char *file, int line)
{
    struct vdtu_stats st;

    for (unsigned r = 0; r < FX_NREGS; r++) {
        if (p->regs[r] != p->want[r])
            ck_abort_msg("%s:%d: PE %u register 0x%03x is %llx, not %llx", file, line, pe, r * 8,
                         (unsigned long long)p->regs[r], (unsigned long long)p->want[r]);
    }
    for (unsigned m = 0; memcmp(p->mem + m, p->want_mem + m, FX_MEM - m); m++) {
        if (p->mem[m] != p->want_mem[m])
            ck_abort_msg("%s:%d: PE %u memory 0x%x is %02x, not %02x", file, line, pe, m, p->mem[m],
                         p->want_mem[m]);
    }
    vdtu_stats(p->d, &st);
    for (unsigned s = 0; s < sizeof(st); s += 8) {
        if (memcmp((char *)&st + s, (char *)&p->want_stats + s, 8))
            ck_abort_msg("%s:%d: PE %u counter at %u of struct vdtu_stats", file, line, pe, s);
    }
    if (p->wakes != p->want_wakes)
        ck_abort_msg("%s:%d: PE %u woken %u times, not %u", file, line, pe, p->wakes,
                     p->want_wakes);
}

static inline void fx_check_at(struct fx *f, const char *file, int line)
{
    for (unsigned i = 0; i < FX_PES; i++)
        fx_check_pe(&f->pe[i], i, file, line);
}
#define fx_check(fx) fx_check_at(fx, __FILE__, __LINE__)

/* ---- operations; each also states what it changes in the registers of the PE itself ---- */

static inline void fx_set(struct fx_pe *p, unsigned off, uint64_t value)
{
    vdtu_store(p->d, off, value, 8);
    fx_want(p, off, value);
}

static inline void fx_set_ep(struct fx_pe *p, unsigned ep, uint64_t r0, uint64_t r1, uint64_t r2)
{
    fx_set(p, DTU_EP(ep, 0), r0);
    fx_set(p, DTU_EP(ep, 1), r1);
    fx_set(p, DTU_EP(ep, 2), r2);
}

static inline void fx_poke(struct fx_pe *p, uint64_t addr, const void *data, size_t len)
{
    ck_assert_uint_le(addr + len, FX_MEM);
    memcpy(p->mem + addr, data, len);
    memcpy(p->want_mem + addr, data, len);
}

/* Runs a command and expects its error code, in COMMAND and in the counters. */
static inline void fx_cmd(struct fx_pe *p, unsigned op, unsigned ep, unsigned err)
{
    vdtu_store(p->d, DTU_COMMAND, DTU_CMD(op, ep), 8);
    ck_assert_msg(p->regs[DTU_COMMAND / 8] == (uint64_t)err << 11, "COMMAND %llx, not error %u",
                  (unsigned long long)p->regs[DTU_COMMAND / 8], err);
    fx_want(p, DTU_COMMAND, (uint64_t)err << 11);
    p->want_stats.cmds[op]++;
    if (err)
        p->want_stats.cmd_errors[err]++;
}

static inline void fx_send(struct fx_pe *p, unsigned ep, const void *data, unsigned len,
                           unsigned err)
{
    if (len)
        fx_poke(p, FX_SRC, data, len);
    fx_set(p, DTU_DATA_ADDR, FX_SRC);
    fx_set(p, DTU_DATA_SIZE, len);
    fx_set(p, DTU_REPLY_EPID, 1);
    fx_set(p, DTU_REPLY_LABEL, FX_RLABEL);
    fx_cmd(p, DTU_SEND, ep, err);
    if (!err)
        fx_want_sent(p, len);
}

static inline void fx_reply(struct fx_pe *p, unsigned ep, uint64_t slot, const void *data,
                            unsigned len, unsigned err)
{
    if (len)
        fx_poke(p, FX_SRC, data, len);
    fx_set(p, DTU_DATA_ADDR, FX_SRC);
    fx_set(p, DTU_DATA_SIZE, len);
    fx_set(p, DTU_OFFSET, slot);
    fx_cmd(p, DTU_REPLY, ep, err);
    if (!err)
        fx_want_sent(p, len);
}

static inline void fx_fetch(struct fx_pe *p, unsigned ep, uint64_t addr)
{
    fx_cmd(p, DTU_FETCH, ep, 0);
    ck_assert_uint_eq(p->regs[DTU_OFFSET / 8], addr);
    fx_want(p, DTU_OFFSET, addr);
}

static inline void fx_ack(struct fx_pe *p, unsigned ep, uint64_t addr)
{
    fx_set(p, DTU_OFFSET, addr);
    fx_cmd(p, DTU_ACK, ep, 0);
}

/* READ or WRITE of local memory `addr` at `off` of a memory endpoint. */
static inline void fx_xfer(struct fx_pe *p, unsigned op, unsigned ep, uint64_t addr, uint64_t off,
                           uint64_t len, unsigned err)
{
    fx_set(p, DTU_DATA_ADDR, addr);
    fx_set(p, DTU_DATA_SIZE, len);
    fx_set(p, DTU_OFFSET, off);
    fx_cmd(p, op, ep, err);
    if (!err && op == DTU_READ)
        p->want_stats.bytes_read += len;
    if (!err && op == DTU_WRITE)
        p->want_stats.bytes_written += len;
}

/* As the kernel does everything: scratch endpoint 14, then one transfer (dtu-spec 8.2). */
static inline void fx_kwrite(struct fx_pe *k, unsigned pe, unsigned vpe, uint64_t at,
                             const void *data, unsigned len, unsigned err)
{
    fx_set_ep(k, 14, dtu_mem_r0(len), at, dtu_mem_r2(pe, vpe, DTU_PERM_RW));
    fx_poke(k, 0x8000, data, len);
    fx_xfer(k, DTU_WRITE, 14, 0x8000, 0, len, err);
}

static inline void fx_kread(struct fx_pe *k, unsigned pe, unsigned vpe, uint64_t at, void *data,
                            unsigned len, unsigned err)
{
    fx_set_ep(k, 14, dtu_mem_r0(len), at, dtu_mem_r2(pe, vpe, DTU_PERM_RW));
    fx_xfer(k, DTU_READ, 14, 0x9000, 0, len, err);
    memcpy(data, k->mem + 0x9000, len);
    memcpy(k->want_mem + 0x9000, k->mem + 0x9000, len);
}

static inline void fx_kreg(struct fx_pe *k, unsigned pe, unsigned vpe, unsigned off, uint64_t value)
{
    fx_kwrite(k, pe, vpe, DTU_BASE + off, &value, 8, 0);
}

/* ---- set-up ---- */

/* Four DTUs in their reset state. */
static inline struct fx *fx_bare(void)
{
    struct fx *f = calloc(1, sizeof(*f));

    ck_assert_ptr_nonnull(f);
    f->noc = vdtu_noc_new();
    ck_assert_ptr_nonnull(f->noc);
    ck_assert_int_eq(vdtu_noc_count_pairs(f->noc), 0);
    for (unsigned i = 0; i < FX_PES; i++) {
        struct fx_pe *p = &f->pe[i];
        struct vdtu_config cfg = {.pe = (uint16_t)i, .memory_pe = i == FX_M, .mem_size = FX_MEM};

        p->fx = f;
        p->mem = calloc(1, FX_MEM);
        p->want_mem = calloc(1, FX_MEM);
        p->regs = calloc(1, FX_REGPAGE);
        ck_assert(p->mem && p->want_mem && p->regs);
        cfg.mem = p->mem;
        cfg.regs = p->regs;
        cfg.ops = &fx_ops;
        cfg.arg = p;
        ck_assert_int_eq(vdtu_new(f->noc, &cfg, &p->d), 0);
    }
    fx_accept(f);
    return f;
}

/* And as the file's head says. */
static inline struct fx *fx_new(void)
{
    struct fx *f = fx_bare();
    struct fx_pe *k = &f->pe[FX_K], *a = &f->pe[FX_A], *b = &f->pe[FX_B];

    fx_kreg(k, FX_K, DTU_VPE_INVALID, DTU_VPE_ID, 0);
    fx_kreg(k, FX_A, DTU_VPE_INVALID, DTU_VPE_ID, 2);
    fx_kreg(k, FX_B, DTU_VPE_INVALID, DTU_VPE_ID, 3);
    fx_set_ep(a, 1, dtu_recv_r0(8, 8), FX_REPLIES, 0);
    fx_set_ep(a, 4, dtu_send_r0(3, 256), dtu_send_r1(FX_B, 2, DTU_CREDITS_UNLIM), FX_LABEL);
    fx_set_ep(b, 2, dtu_recv_r0(10, 8), FX_RBUF, 0);
    fx_accept(f);
    return f;
}

static inline void fx_free(struct fx *f)
{
    for (unsigned i = 0; i < FX_PES; i++) {
        vdtu_free(f->pe[i].d);
        free(f->pe[i].mem);
        free(f->pe[i].want_mem);
        free(f->pe[i].regs);
    }
    vdtu_noc_free(f->noc);
    free(f);
}

/* A set up and torn down fixture for each test of a case. */
static struct fx *fx;
static struct fx_pe *K, *A, *B, *M;

static inline void fx_name(struct fx *f)
{
    fx = f;
    M = &f->pe[FX_M];
    K = &f->pe[FX_K];
    A = &f->pe[FX_A];
    B = &f->pe[FX_B];
}

static inline void fx_setup(void)
{
    fx_name(fx_new());
}

static inline void fx_setup_bare(void)
{
    fx_name(fx_bare());
}

static inline void fx_teardown(void)
{
    fx_check(fx);
    fx_free(fx);
}

/* Runs a suite; what main() returns. */
static inline int fx_run(Suite *s)
{
    SRunner *sr = srunner_create(s);
    int failed;

    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

/* The header of a message from A's endpoint 4 to B, unlimited credits. */
static inline struct fx_hdr fx_hdr_a(unsigned len)
{
    return (struct fx_hdr){DTU_HD_REPLY_ENABLED, FX_A, 16, 1, len, 2, FX_LABEL, FX_RLABEL};
}

/* The header of B's reply to such a message. */
static inline struct fx_hdr fx_hdr_reply(unsigned len)
{
    return (struct fx_hdr){DTU_HD_REPLY | DTU_HD_GRANT, FX_B, 2, 16, len, 3, FX_RLABEL, 0};
}

/* A sends 8 bytes to the empty endpoint of B: arrives in slot 0, with MSG_CNT 1. */
static inline void fx_first_message(void)
{
    fx_send(A, 4, "message1", 8, 0);
    fx_want_msg(B, FX_RBUF, fx_hdr_a(8), "message1");
    fx_want_ep(B, 2, 0x4001010000040001, FX_RBUF, 0x0000000100000001);
    fx_want(B, DTU_MSG_CNT, 1);
    fx_check(fx);
}

#endif
