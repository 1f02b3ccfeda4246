/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two NoCs joined by bridges that a test plays itself: what a bridge program does with its area,
 * without a network in between.  A is PE 2 with VPE 2, K is PE 1 with VPE 0, both of node 0; B is
 * PE 3 with VPE 3, M the memory PE, both of node 1.  bx_local() is the same with all four on one
 * node, to compare with.
 *
 * There is one thread: whoever parks runs the bridges.
 */
#ifndef BRIDGE_FIXTURE_H
#define BRIDGE_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../vmm/bridge.h"

#define BX_MEM     0x24000u /* local memory of a PE */
#define BX_AREA    0x1000u  /* where a bridge has its area */
#define BX_BRIDGE  (BX_AREA + sizeof(struct bridge_area) + 0x1000)
#define BX_LABEL   0x1122334455667788ull
#define BX_RLABEL  0xBEEFull
#define BX_RBUF    0x10000u
#define BX_REPLIES 0x20000u

enum { BX_M, BX_K, BX_A, BX_B, BX_PES }; /* PE numbers, too */

struct bx_pe {
    struct bx *bx;
    struct vdtu *d;
    uint8_t *mem;
    uint64_t *regs;
    uint64_t mem_size;
    unsigned wakes, irqs, stores;
    uint64_t stored; /* to the page behind the registers */
};

struct bx_node {
    struct vdtu_noc *noc;
    struct bridge *bridge;
    struct bx_pe pe; /* the bridge PE, number 20 or 21 */
    struct bridge_area *area;
    uint64_t there; /* a bit for each PE that lives on the other node */
    unsigned wakes, unparks[32];
};

struct bx {
    unsigned nodes;
    struct bx_node node[2];
    struct bx_pe pe[BX_PES];
    void (*meanwhile)(struct bx *); /* instead of carrying packets, while somebody parks */
    bool abandoned;
};

/* ---- callbacks ---- */

static inline void bx_wake_pe(void *arg)
{
    ((struct bx_pe *)arg)->wakes++;
}

static inline void bx_irq(void *arg, uint8_t vector)
{
    ((struct bx_pe *)arg)->irqs += vector;
}

static inline uint64_t bx_page_load(void *arg, unsigned off)
{
    return off == 0x70 ? ((struct bx_pe *)arg)->stored : 0;
}

static inline void bx_page_store(void *arg, unsigned off, uint64_t value)
{
    ((struct bx_pe *)arg)->stores += off;
    ((struct bx_pe *)arg)->stored = value;
}

static const struct vdtu_ops bx_dtu_ops = {
    .wake = bx_wake_pe,
    .irq = bx_irq,
    .page_load = bx_page_load,
    .page_store = bx_page_store,
};

/* ---- a bridge program ---- */

/* One packet of node i, to the other one and back as a completion. */
static inline void bx_carry(struct bx *x, unsigned i)
{
    struct bx_node *from = &x->node[i], *to = &x->node[!i];
    struct bridge_area *f = from->area, *t = to->area;
    uint32_t o = f->out_head % BRIDGE_SLOTS, k = t->in_tail % BRIDGE_SLOTS, c;

    t->in[k] = f->out[o];
    memcpy(t->in_data[k], f->out_data[o], BRIDGE_DATA);
    f->out_head++;
    t->in_tail++;
    bridge_run(to->bridge);
    ck_assert_uint_eq(t->in_head, t->in_tail);
    c = f->in_tail++ % BRIDGE_SLOTS;
    f->in[c] = (struct bridge_pkt){
        .op = BRIDGE_COMPLETE, .id = f->out[o].id, .len = t->in[k].len, .result = t->in[k].result};
    memcpy(f->in_data[c], t->in_data[k], BRIDGE_DATA);
    bridge_run(from->bridge);
    ck_assert_uint_eq(f->in[c].result, SE_OK);
}

static inline void bx_carry_all(struct bx *x)
{
    for (unsigned i = 0; i < 2; i++)
        while (x->node[i].area->out_head != x->node[i].area->out_tail)
            bx_carry(x, i);
}

static inline bool bx_op_remote(void *arg, unsigned pe)
{
    return pe < 64 && ((struct bx_node *)arg)->there >> pe & 1;
}

static inline void bx_op_park(void *arg, unsigned pe)
{
    struct bx *x = ((struct bx_node *)arg)->pe.bx;

    (void)pe;
    if (x->meanwhile)
        x->meanwhile(x);
    else
        bx_carry_all(x);
}

static inline void bx_op_unpark(void *arg, unsigned pe)
{
    ((struct bx_node *)arg)->unparks[pe]++;
}

static inline bool bx_op_abandoned(void *arg, unsigned pe)
{
    (void)pe;
    return ((struct bx_node *)arg)->pe.bx->abandoned;
}

static inline void bx_op_wake(void *arg)
{
    ((struct bx_node *)arg)->wakes++;
}

static const struct bridge_ops bx_ops = {
    .remote = bx_op_remote,
    .park = bx_op_park,
    .unpark = bx_op_unpark,
    .abandoned = bx_op_abandoned,
    .wake = bx_op_wake,
};

/* ---- set-up ---- */

static inline void bx_add(struct bx *x, unsigned node, struct bx_pe *p, uint16_t id,
                          uint64_t mem_size)
{
    struct vdtu_config cfg = {.pe = id, .memory_pe = id == BX_M, .ops = &bx_dtu_ops, .arg = p};

    p->bx = x;
    p->mem_size = cfg.mem_size = mem_size;
    p->mem = cfg.mem = aligned_alloc(4096, (mem_size + 4095) & ~4095ull);
    p->regs = cfg.regs = calloc(1, 4096);
    ck_assert(p->mem && p->regs);
    memset(p->mem, 0, mem_size);
    ck_assert_int_eq(vdtu_new(x->node[node].noc, &cfg, &p->d), 0);
}

static inline void bx_ep(struct bx_pe *p, unsigned ep, uint64_t r0, uint64_t r1, uint64_t r2)
{
    vdtu_store(p->d, DTU_EP(ep, 0), r0, 8);
    vdtu_store(p->d, DTU_EP(ep, 1), r1, 8);
    vdtu_store(p->d, DTU_EP(ep, 2), r2, 8);
}

static inline void bx_reg(struct bx_pe *p, unsigned off, uint64_t value)
{
    vdtu_store(p->d, off, value, 8);
}

static inline void bx_set_up(struct bx *x)
{
    static const uint64_t vpe[BX_PES] = {0, 0, 2, 3};

    for (unsigned i = BX_K; i < BX_PES; i++) /* as a kernel does, through the NoC */
        x->pe[i].regs[DTU_VPE_ID / 8] = vpe[i];
    bx_ep(&x->pe[BX_A], 1, dtu_recv_r0(8, 8), BX_REPLIES, 0);
    bx_ep(&x->pe[BX_A], 4, dtu_send_r0(3, 256), dtu_send_r1(BX_B, 2, 512), BX_LABEL);
    bx_ep(&x->pe[BX_A], 5, dtu_mem_r0(0x8000), 0x4000, dtu_mem_r2(BX_B, 3, DTU_PERM_RW));
    bx_ep(&x->pe[BX_A], 6, dtu_mem_r0(0x8000), BX_MEM - 0x2000, dtu_mem_r2(BX_M, 0, DTU_PERM_RW));
    bx_ep(&x->pe[BX_A], 7, dtu_mem_r0(0x2000), DTU_BASE, dtu_mem_r2(BX_B, 3, DTU_PERM_RW));
    bx_ep(&x->pe[BX_B], 2, dtu_recv_r0(10, 8), BX_RBUF, 0);
    for (unsigned i = 0; i < BX_MEM; i++) {
        x->pe[BX_A].mem[i] = (uint8_t)(i * 3 + 1);
        x->pe[BX_B].mem[i] = (uint8_t)(i * 5 + i / 256);
        x->pe[BX_M].mem[i] = (uint8_t)(i * 7 + i / 256);
    }
}

static inline struct bx *bx_new(unsigned nodes)
{
    struct bx *x = calloc(1, sizeof(*x));

    ck_assert_ptr_nonnull(x);
    x->nodes = nodes;
    for (unsigned i = 0; i < nodes; i++) {
        struct bx_node *n = &x->node[i];

        n->noc = vdtu_noc_new();
        ck_assert_ptr_nonnull(n->noc);
        if (nodes == 1)
            break;
        bx_add(x, i, &n->pe, (uint16_t)(20 + i), BX_BRIDGE);
        n->bridge = bridge_new(n->noc, (uint16_t)(20 + i), n->pe.mem, BX_BRIDGE, &bx_ops, n);
        ck_assert_ptr_nonnull(n->bridge);
        n->area = (struct bridge_area *)(void *)(n->pe.mem + BX_AREA);
        n->there = i == 0 ? 1u << BX_B | 1u << BX_M | 1u << 21 : 1u << BX_K | 1u << BX_A | 1u << 20;
        vdtu_noc_remote(n->noc, bridge_packet, n->bridge);
        vdtu_noc_remote_many(n->noc, bridge_packets);
        bridge_set_area(n->bridge, BX_AREA);
    }
    for (unsigned i = 0; i < BX_PES; i++)
        bx_add(x, nodes == 2 && (i == BX_B || i == BX_M), &x->pe[i], (uint16_t)i, BX_MEM);
    bx_set_up(x);
    return x;
}

static inline void bx_free_pe(struct bx_pe *p)
{
    vdtu_free(p->d);
    free(p->mem);
    free(p->regs);
}

static inline void bx_free(struct bx *x)
{
    for (unsigned i = 0; i < BX_PES; i++)
        bx_free_pe(&x->pe[i]);
    for (unsigned i = 0; i < x->nodes; i++) {
        bx_free_pe(&x->node[i].pe);
        vdtu_noc_free(x->node[i].noc);
        bridge_free(x->node[i].bridge);
    }
    free(x);
}

/* ---- commands; each returns its error code ---- */

static inline unsigned bx_cmd(struct bx_pe *p, unsigned op, unsigned ep)
{
    vdtu_store(p->d, DTU_COMMAND, DTU_CMD(op, ep), 8);
    ck_assert_uint_eq(vdtu_reg(p->d, DTU_COMMAND) & 0x7FF, 0);
    return (unsigned)(vdtu_reg(p->d, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT);
}

static inline unsigned bx_send(struct bx_pe *p, unsigned ep, uint64_t addr, uint64_t len)
{
    bx_reg(p, DTU_DATA_ADDR, addr);
    bx_reg(p, DTU_DATA_SIZE, len);
    bx_reg(p, DTU_REPLY_EPID, 1);
    bx_reg(p, DTU_REPLY_LABEL, BX_RLABEL);
    return bx_cmd(p, DTU_SEND, ep);
}

static inline unsigned bx_xfer(struct bx_pe *p, unsigned op, unsigned ep, uint64_t addr,
                               uint64_t off, uint64_t len)
{
    bx_reg(p, DTU_DATA_ADDR, addr);
    bx_reg(p, DTU_DATA_SIZE, len);
    bx_reg(p, DTU_OFFSET, off);
    return bx_cmd(p, op, ep);
}

static inline unsigned bx_fetch(struct bx_pe *p, unsigned ep, uint64_t *addr)
{
    unsigned err = bx_cmd(p, DTU_FETCH, ep);

    *addr = vdtu_reg(p->d, DTU_OFFSET);
    return err;
}

static inline unsigned bx_reply(struct bx_pe *p, unsigned ep, uint64_t slot, uint64_t addr,
                                uint64_t len)
{
    bx_reg(p, DTU_DATA_ADDR, addr);
    bx_reg(p, DTU_DATA_SIZE, len);
    bx_reg(p, DTU_OFFSET, slot);
    return bx_cmd(p, DTU_REPLY, ep);
}

static inline int bx_run(Suite *s)
{
    SRunner *sr = srunner_create(s);
    int failed;

    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

#endif
