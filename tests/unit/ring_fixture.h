/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PEs with rings, on the host: the real vDTU, the real library of the PEs, and windows that are two
 * mappings of one memfd.  There is no register page: a PE stores to its DTU by function call.
 */
#ifndef RING_FIXTURE_H
#define RING_FIXTURE_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../guest/lib/ring_impl.h"
#include "../../vdtu/ring.h"
#include "pe_endpoints.h"

#ifndef RX_PES
#define RX_PES 4u
#endif
#ifndef RX_ENTRIES
#define RX_ENTRIES 8u
#define RX_BLOCKS  64u
#endif
#define RX_MEM 0x20000u
/* Only the receiver needs many. */
#define RX_ENTRIES_OF(pe) ((pe) == 2 ? RX_ENTRIES : 8u)
#define RX_LABEL          0xC0FFEEull
#define RX_RECV           2u /* receive endpoint of everybody: slots of 256 bytes */
#define RX_REPLY          1u
#define RX_SEND           4u

#define RX_WINDOW(pe) (RING_ENTRY0_OFF + RX_ENTRIES_OF(pe) * (size_t)RING_ENTRY_SIZE)

struct rx;
struct rx_pe {
    struct rx *rx;
    struct vdtu *d;
    uint8_t *mem, *window;
    uint64_t *regs; /* then the table */
    struct rings r;
    unsigned bells; /* that this PE was woken by; atomic */
};

struct rx {
    struct vdtu_noc *noc;
    int fd;
    uint8_t *map;
    unsigned fresh, nspare, spare[RX_BLOCKS];
    struct rx_pe pe[RX_PES];
};

#define RX_TABLE(p) ((uint8_t *)(p)->regs + 4096)

static inline void rx_op_bell(void *arg)
{
    __atomic_fetch_add(&((struct rx_pe *)arg)->bells, 1, __ATOMIC_SEQ_CST);
}
static const struct vdtu_ops rx_ops = {.bell = rx_op_bell};

static inline size_t rx_block(unsigned id)
{
    return RX_PES * 4096 + id * (size_t)RING_SHARED_LEN;
}
static inline uint8_t *rx_entry(struct rx *x, unsigned pe, unsigned entry)
{
    return x->pe[pe].window + RING_ENTRY0_OFF + entry * (size_t)RING_ENTRY_SIZE;
}

static inline void rx_unmap(void *arg, unsigned pe, unsigned entry)
{
    if (mmap(rx_entry(arg, pe, entry), RING_ENTRY_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        abort();
}

static inline void rx_end(struct rx *x, unsigned pe, unsigned entry, unsigned peer, unsigned id)
{
    uint8_t *at = rx_entry(x, pe, entry);

    if (mmap(at + RING_PEER_OFF, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, x->fd, peer * 4096L) ==
            MAP_FAILED ||
        mmap(at + RING_SHARED_OFF, RING_SHARED_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             x->fd, (off_t)rx_block(id)) == MAP_FAILED)
        abort();
}

static inline int rx_map(void *arg, unsigned src, unsigned se, unsigned dst, unsigned de,
                         struct vdtu_ring_block *b)
{
    struct rx *x = arg;

    if (!x->nspare && x->fresh == RX_BLOCKS)
        return -1;
    b->id = x->nspare ? x->spare[--x->nspare] : x->fresh++;
    b->shared = x->map + rx_block(b->id);
    rx_end(x, src, se, dst, b->id);
    rx_end(x, dst, de, src, b->id);
    b->frozen[0] = rx_entry(x, src, se) + RING_FROZEN_OFF;
    b->frozen[1] = rx_entry(x, dst, de) + RING_FROZEN_OFF;
    b->closed[0] = (uint64_t *)(void *)(rx_entry(x, src, se) + RING_STATE_OFF);
    b->closed[1] = (uint64_t *)(void *)(rx_entry(x, dst, de) + RING_STATE_OFF);
    return 0;
}

static inline void rx_put(void *arg, const struct vdtu_ring_block *b)
{
    struct rx *x = arg;

    memset(b->shared, 0, RING_SHARED_LEN);
    x->spare[x->nspare++] = b->id;
}

static inline void rx_drop(void *arg, unsigned pe)
{
    for (unsigned e = 0; e < RX_ENTRIES_OF(pe); e++)
        rx_unmap(arg, pe, e);
}

/* ---- a PE's registers ---- */

static inline uint64_t rx_hw_fetch(void *arg, unsigned ep)
{
    struct rx_pe *p = arg;

    vdtu_store(p->d, DTU_COMMAND, DTU_CMD(DTU_FETCH, ep), 8);
    return vdtu_reg(p->d, DTU_OFFSET);
}
static inline void rx_hw_open(void *arg, unsigned ep)
{
    vdtu_ring_open(((struct rx_pe *)arg)->d, ep);
}
static inline void rx_hw_lane(void *arg, const struct ring_lane *lane)
{
    vdtu_ring_lane(((struct rx_pe *)arg)->d, lane);
}
static inline void rx_hw_end(void *arg, unsigned ep)
{
    vdtu_ring_end(((struct rx_pe *)arg)->d, ep);
}
static inline void rx_hw_bell(void *arg, unsigned entry)
{
    vdtu_ring_bell(((struct rx_pe *)arg)->d, entry);
}
static inline void rx_hw_sync(void *arg)
{
    vdtu_store(((struct rx_pe *)arg)->d, DTU_COMMAND, DTU_IDLE, 8);
}
static const struct ring_hw rx_hw = {rx_hw_fetch, rx_hw_open, rx_hw_lane,
                                     rx_hw_end,   rx_hw_bell, rx_hw_sync};

static inline void rx_set_ep(struct rx *x, unsigned pe, unsigned ep, uint64_t r0, uint64_t r1,
                             uint64_t r2)
{
    pe_set_ep(x->pe[pe].d, ep, r0, r1, r2);
}

/* credits: of one message, or DTU_CREDITS_UNLIM. */
static inline void rx_gate(struct rx *x, unsigned from, unsigned ep, unsigned to, unsigned credits)
{
    rx_set_ep(x, from, ep, dtu_send_r0(to, 256), dtu_send_r1(to, RX_RECV, credits),
              RX_LABEL + from);
}

/* The kernel's way. */
static inline void rx_write_reg(struct rx *x, unsigned pe, unsigned reg, const uint64_t *words,
                                unsigned n)
{
    pe_write_reg(x->noc, x->pe[pe].d, pe, reg, words, n);
}
static inline void rx_revoke(struct rx *x, unsigned pe, unsigned ep)
{
    pe_revoke(x->noc, x->pe[pe].d, pe, ep);
}

static inline void rx_enable(struct rx *x, unsigned pe)
{
    struct rx_pe *p = &x->pe[pe];

    PE_WANT(vdtu_ring_enable(p->d, RX_ENTRIES_OF(pe), RX_TABLE(p),
                             (struct ring_status *)(void *)(x->map + pe * 4096)) == 0);
    ring_setup(&p->r, p->regs, RX_TABLE(p), p->window, &rx_hw, p);
}

static inline struct rx *rx_new(unsigned slots_order)
{
    static const struct vdtu_ring_mem mem = {rx_map, rx_unmap, rx_drop, rx_put};
    struct rx *x = calloc(1, sizeof(*x));

    x->fd = memfd_create("ring-test", 0);
    PE_WANT(ftruncate(x->fd, (off_t)rx_block(RX_BLOCKS)) == 0);
    x->map = mmap(NULL, rx_block(RX_BLOCKS), PROT_READ | PROT_WRITE, MAP_SHARED, x->fd, 0);
    PE_WANT(x->map != MAP_FAILED);
    x->noc = vdtu_noc_new();
    PE_WANT(vdtu_noc_rings(x->noc, &mem, x) == 0);
    for (unsigned i = 0; i < RX_PES; i++) {
        struct rx_pe *p = &x->pe[i];
        const uint64_t id = i;
        struct vdtu_config cfg = {.pe = (uint16_t)i, .mem_size = RX_MEM, .ops = &rx_ops, .arg = p};

        p->rx = x;
        p->mem = cfg.mem = calloc(1, RX_MEM);
        p->regs = cfg.regs = aligned_alloc(4096, 4096 + RING_TABLE_SIZE);
        memset(p->regs, 0, 4096 + RING_TABLE_SIZE);
        PE_WANT(vdtu_new(x->noc, &cfg, &p->d) == 0);
        p->window = mmap(NULL, RX_WINDOW(i), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        PE_WANT(mmap(p->window, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, x->fd,
                     i * 4096L) != MAP_FAILED);
        rx_write_reg(x, i, DTU_VPE_ID, &id, 1);
        rx_set_ep(x, i, RX_RECV, dtu_recv_r0(8 + slots_order, 8), 0x10000, 0);
        rx_set_ep(x, i, RX_REPLY, dtu_recv_r0(8, 8), 0x8000, 0);
        rx_enable(x, i);
    }
    return x;
}

static inline void rx_free(struct rx *x)
{
    for (unsigned i = 0; i < RX_PES; i++) {
        vdtu_free(x->pe[i].d);
        free(x->pe[i].mem);
        free(x->pe[i].regs);
        munmap(x->pe[i].window, RX_WINDOW(i));
    }
    vdtu_noc_free(x->noc);
    munmap(x->map, rx_block(RX_BLOCKS));
    close(x->fd);
    free(x);
}

/* A SEND the DTU's way; from address 0x1000 of the sender. */
static inline unsigned rx_trap_send(struct rx *x, unsigned pe, unsigned ep, const void *data,
                                    unsigned len)
{
    struct rx_pe *p = &x->pe[pe];

    memcpy(p->mem + 0x1000, data, len);
    vdtu_store(p->d, DTU_DATA_ADDR, 0x1000, 8);
    vdtu_store(p->d, DTU_DATA_SIZE, len, 8);
    vdtu_store(p->d, DTU_REPLY_EPID, RX_REPLY, 8);
    vdtu_store(p->d, DTU_COMMAND, DTU_CMD(DTU_SEND, ep), 8);
    return (unsigned)(vdtu_reg(p->d, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT);
}

/* What a fetched message is on the host: its address may be a PE's local one. */
static inline const struct dtu_header *rx_msg(struct rx *x, unsigned pe, const struct dtu_header *m)
{
    if (!m || ring_owns(&x->pe[pe].r, m))
        return m;
    PE_WANT((uintptr_t)m < RX_MEM);
    return (const struct dtu_header *)(void *)(x->pe[pe].mem + (uintptr_t)m);
}

#endif
