/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory endpoints: READ and WRITE at the initiator and at the target (dtu-spec 5), and the one
 * place where addresses become pointers.
 *
 * A transfer is a sequence of packets of at most 4096 bytes; locks are free in between, and the
 * endpoint is read again for each.  The whole rest is checked each time, so that a transfer that
 * does not fit does not begin (edge 53).
 */
#include "internal.h"

#define PAGE 4096u

uint8_t *vdtu_mem_span(const struct vdtu *d, uint64_t addr, uint64_t len)
{
    if (!d->mem || addr > d->mem_size || len > d->mem_size - addr)
        return NULL;
    return d->mem + addr;
}

/* How many of len bytes at addr are inside; counts an access that is not all inside. */
static uint64_t clip(struct vdtu *d, uint64_t addr, uint64_t len)
{
    if (vdtu_mem_span(d, addr, len) || !len)
        return len;
    d->stats.outside++;
    return addr < d->mem_size ? d->mem_size - addr : 0;
}

uint64_t vdtu_mem_get(struct vdtu *d, uint64_t addr, void *buf, uint64_t len)
{
    uint64_t n = clip(d, addr, len);

    if (n)
        memmove(buf, d->mem + addr, n);
    if (n < len)
        memset((uint8_t *)buf + n, 0, len - n);
    return n;
}

uint64_t vdtu_mem_put(struct vdtu *d, uint64_t addr, const void *buf, uint64_t len)
{
    uint64_t n = clip(d, addr, len);

    if (n)
        memmove(d->mem + addr, buf, n);
    return n;
}

uint64_t vdtu_mem_read(struct vdtu *d, uint64_t addr, void *buf, uint64_t len)
{
    uint64_t n;

    vdtu_lock(d);
    n = vdtu_mem_get(d, addr, buf, len);
    vdtu_unlock(d);
    return n;
}

uint64_t vdtu_mem_write(struct vdtu *d, uint64_t addr, const void *buf, uint64_t len)
{
    uint64_t n;

    vdtu_lock(d);
    n = vdtu_mem_put(d, addr, buf, len);
    vdtu_unlock(d);
    return n;
}

/* ---- the initiator ---- */

/* READ may not overwrite the receive buffers of its own PE (dtu-spec 5.5). */
static bool below_barrier(const struct vdtu *d, uint64_t addr, uint64_t len)
{
    uint64_t barrier = vdtu_get(d, DTU_RWB);

    return len <= barrier && addr <= barrier - len;
}

/* Inside the endpoint, and every packet of it starts at an address that the NoC can express. */
static bool range_ok(const struct vdtu_cmd *c, uint64_t base, uint64_t ep_size)
{
    const uint64_t limit = 1ull << DTU_OFFSET_BITS;

    if (c->offset > ep_size || c->size > ep_size - c->offset || base >= limit)
        return false;
    /* No sum here overflows: the size of an endpoint has 61 bits. */
    return base + c->offset + (c->size - 1) / DTU_MAX_PACKET * DTU_MAX_PACKET < limit;
}

static unsigned mem_prepare(struct vdtu *d, struct vdtu_cmd *c, struct vdtu_pkt *pkt)
{
    uint64_t r0 = vdtu_get(d, DTU_EP(c->ep, 0)), r1 = vdtu_get(d, DTU_EP(c->ep, 1));
    uint64_t r2 = vdtu_get(d, DTU_EP(c->ep, 2));
    bool read = c->op == DTU_READ;

    if (dtu_ep_type(r0) != DTU_EP_MEM)
        return SE_EP_INVALID;
    if (read && !below_barrier(d, c->addr, c->size))
        return SE_INV_ARGS;
    if (!(r2 & (read ? DTU_PERM_R : DTU_PERM_W)))
        return SE_NO_PERM;
    if (!range_ok(c, r1, r0 & ((1ull << 61) - 1)))
        return SE_INV_ARGS;
    pkt->type = read ? VDTU_PKT_READ : VDTU_PKT_WRITE;
    pkt->dst_pe = r2 >> 4 & 0x3FF;
    pkt->dst_vpe = r2 >> 14 & 0x7FF;
    pkt->offset = r1 + c->offset;
    pkt->len = c->size < DTU_MAX_PACKET ? (uint32_t)c->size : DTU_MAX_PACKET;
    return SE_OK;
}

static unsigned read_commit(struct vdtu *d, struct vdtu *t, struct vdtu_cmd *c,
                            struct vdtu_pkt *pkt)
{
    uint8_t copy[DTU_MAX_PACKET];
    unsigned err;

    if (t)
        pkt->data = vdtu_mem_span(d, c->addr, pkt->len);
    if (!pkt->data)
        pkt->data = memset(copy, 0, sizeof(copy));
    err = vdtu_transmit(d, t, pkt);
    if (err)
        return err;
    if (pkt->data == copy) {
        /* The barrier may have moved while the lock was dropped. */
        if (!below_barrier(d, c->addr, pkt->len))
            return SE_INV_ARGS;
        vdtu_mem_put(d, c->addr, copy, pkt->len);
    }
    d->stats.bytes_read += pkt->len;
    return SE_OK;
}

static unsigned write_commit(struct vdtu *d, struct vdtu *t, struct vdtu_cmd *c,
                             struct vdtu_pkt *pkt)
{
    uint8_t copy[DTU_MAX_PACKET];
    unsigned err;

    if (t)
        pkt->data = vdtu_mem_span(d, c->addr, pkt->len);
    if (!pkt->data) {
        vdtu_mem_get(d, c->addr, copy, pkt->len);
        pkt->data = copy;
    }
    err = vdtu_transmit(d, t, pkt);
    if (!err)
        d->stats.bytes_written += pkt->len;
    return err;
}

unsigned vdtu_cmd_mem(struct vdtu *d, struct vdtu_cmd *c)
{
    static const struct vdtu_action read = {mem_prepare, read_commit};
    static const struct vdtu_action write = {mem_prepare, write_commit};

    while (c->size) { /* nothing to do is done (edge 51) */
        uint64_t n = c->size < DTU_MAX_PACKET ? c->size : DTU_MAX_PACKET;
        unsigned err;

        if (__atomic_load_n(&d->noc->halted, __ATOMIC_RELAXED))
            return SE_INV_ARGS;
        err = vdtu_act(d, c->op == DTU_READ ? &read : &write, c);

        if (err)
            return err;
        c->addr += n;
        c->offset += n;
        c->size -= n;
    }
    return SE_OK;
}

/* ---- the target ---- */

/* The owner's own registers, in the page behind ours. */
static void access_page(struct vdtu *t, struct vdtu_pkt *pkt, uint64_t off)
{
    bool one = pkt->len == 8 && off % 8 == 0;
    uint64_t value = 0;

    if (pkt->type == VDTU_PKT_READ) {
        memset(pkt->data, 0, pkt->len);
        if (one && t->ops.page_load) {
            value = t->ops.page_load(t->arg, (unsigned)off);
            memcpy(pkt->data, &value, 8);
        }
    } else if (one && t->ops.page_store) {
        memcpy(&value, pkt->data, 8);
        t->ops.page_store(t->arg, (unsigned)off, value);
    } else {
        t->stats.ignored_noc++;
    }
}

static void access_registers(struct vdtu *t, struct vdtu_pkt *pkt)
{
    uint64_t off = pkt->offset - DTU_BASE;

    if (off >= PAGE && off < 2 * PAGE) {
        access_page(t, pkt, off - PAGE);
        return;
    }
    if (pkt->type == VDTU_PKT_READ)
        vdtu_noc_load(t, off, pkt->data, pkt->len);
    else
        vdtu_noc_store(t, off, pkt->data, pkt->len);
}

unsigned vdtu_accept_mem(struct vdtu *t, struct vdtu_pkt *pkt)
{
    if ((uint16_t)vdtu_get(t, DTU_VPE_ID) != pkt->dst_vpe) {
        t->stats.refused_vpe++;
        return SE_VPE_GONE;
    }
    if (pkt->offset >= DTU_BASE) {
        access_registers(t, pkt);
        return SE_OK;
    }
    if (t->memory_pe && !vdtu_mem_span(t, pkt->offset, pkt->len)) { /* edge 62 */
        t->stats.outside++;
        return SE_INV_ARGS;
    }
    if (pkt->type == VDTU_PKT_READ)
        vdtu_mem_get(t, pkt->offset, pkt->data, pkt->len);
    else
        vdtu_mem_put(t, pkt->offset, pkt->data, pkt->len);
    return SE_OK;
}
