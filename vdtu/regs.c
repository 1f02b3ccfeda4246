/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The register file (dtu-spec 1) and its two doors: the own CPU and the NoC.
 *
 * The registers live in a page that the guest maps read-only and reads without an exit, so each is
 * written with one 64-bit store; between registers a reader without the lock may see any mixture,
 * as on the hardware.  MSG_CNT follows every write to word 0 of an endpoint (dtu-spec 4.6), whoever
 * makes it.
 */
#include "internal.h"

/* Where the boot loader puts the page-table slice of a PE without a scratchpad (dtu-spec 7). */
#define ROOT_PT_BASE  (6160ull << 20)
#define ROOT_PT_SLICE (8ull << 20)

uint64_t vdtu_get(const struct vdtu *d, unsigned off)
{
    return __atomic_load_n(&d->regs[off / 8], __ATOMIC_RELAXED);
}

void vdtu_set(struct vdtu *d, unsigned off, uint64_t value)
{
    __atomic_store_n(&d->regs[off / 8], value, __ATOMIC_RELEASE);
}

static uint64_t unread(uint64_t r0)
{
    return dtu_ep_type(r0) == DTU_EP_RECV ? r0 & 0xFFFF : 0;
}

void vdtu_set_ep(struct vdtu *d, unsigned ep, unsigned word, uint64_t value)
{
    unsigned off = DTU_EP(ep, word);

    if (word == 0)
        vdtu_set(d, DTU_MSG_CNT,
                 vdtu_get(d, DTU_MSG_CNT) - unread(vdtu_get(d, off)) + unread(value));
    vdtu_set(d, off, value);
}

void vdtu_reset(struct vdtu *d)
{
    for (unsigned off = 0; off < DTU_WINDOW; off += 8)
        vdtu_set(d, off, 0);
    vdtu_set(d, DTU_STATUS, DTU_STATUS_PRIV);
    if (d->memory_pe)
        return;
    vdtu_set(d, DTU_ROOT_PT, dtu_noc_addr(0, ROOT_PT_BASE + ROOT_PT_SLICE * d->pe));
    vdtu_set(d, DTU_RWB, DTU_RW_BARRIER);
    vdtu_set(d, DTU_VPE_ID, DTU_VPE_INVALID);
}

/* Multiples of 8, inside the window, else the whole access is nothing (dtu-spec 1.5). */
static bool access_ok(uint64_t off, uint64_t len)
{
    return off % 8 == 0 && len % 8 == 0 && off < DTU_WINDOW && len <= DTU_WINDOW - off;
}

static void raw_store(struct vdtu *d, unsigned off, uint64_t value)
{
    if (off < DTU_EP0) {
        vdtu_set(d, off, value);
        if (off == DTU_STATUS && !(value & DTU_STATUS_PRIV))
            vdtu_ring_unprivileged(d);
        if (off == DTU_VPE_ID) {
            vdtu_ring_vpe_changed(d);
            vdtu_map_vpe_changed(d);
        }
    } else {
        unsigned ep = (off - DTU_EP0) / DTU_EP_STRIDE;

        d->ep_gen[ep]++;
        d->has_header[ep] = 0;
        vdtu_ring_ep_changed(d, ep);
        vdtu_map_ep_changed(d, ep);
        vdtu_set_ep(d, ep, (off - DTU_EP0) % DTU_EP_STRIDE / 8, value);
    }
}

/* ---- the CPU's door ---- */

/* DTU registers never, endpoints only when privileged, the rest always (dtu-spec 1.5). */
static bool cpu_may_store(const struct vdtu *d, uint64_t off, unsigned size)
{
    if (size != 8 || !access_ok(off, size))
        return false;
    if (off < DTU_COMMAND)
        return false;
    return off < DTU_EP0 || vdtu_get(d, DTU_STATUS) & DTU_STATUS_PRIV;
}

void vdtu_posted(struct vdtu *d, uint64_t off, uint64_t value, unsigned size)
{
    if (off == DTU_COMMAND || !cpu_may_store(d, off, size))
        d->stats.ignored_stores++;
    else
        raw_store(d, (unsigned)off, value);
}

void vdtu_store(struct vdtu *d, uint64_t off, uint64_t value, unsigned size)
{
    vdtu_lock(d);
    if (off == DTU_COMMAND && size == 8)
        vdtu_command(d, value);
    else
        vdtu_posted(d, off, value, size);
    vdtu_unlock(d);
}

uint64_t vdtu_load(struct vdtu *d, uint64_t off, unsigned size)
{
    uint64_t value = 0;

    vdtu_lock(d);
    if (size == 8 && access_ok(off, size))
        value = vdtu_get(d, (unsigned)off);
    vdtu_unlock(d);
    return value;
}

uint64_t vdtu_reg(struct vdtu *d, unsigned off)
{
    return vdtu_load(d, off, 8);
}

/* ---- the NoC's door ---- */

void vdtu_noc_load(struct vdtu *d, uint64_t off, void *buf, uint64_t len)
{
    uint8_t *out = buf;

    if (!access_ok(off, len)) {
        memset(buf, 0, len);
        return;
    }
    for (uint64_t i = 0; i < len; i += 8) {
        uint64_t value = vdtu_get(d, (unsigned)(off + i));

        memcpy(out + i, &value, 8);
    }
}

/* RW_BARRIER and MSG_CNT reach beyond the register file: the owner learns of both. */
static void noc_store_one(struct vdtu *d, unsigned off, uint64_t value)
{
    uint64_t old = vdtu_get(d, off);

    /* A COMMAND from the NoC could chain commands over PEs without end (edge 70): ignored. */
    if (off == DTU_MSG_CNT || off == DTU_COMMAND) {
        d->stats.ignored_noc++;
        return;
    }
    raw_store(d, off, value);
    if (off == DTU_RWB && value != old && d->ops.barrier)
        d->ops.barrier(d->arg, value);
}

/* Does this store end a receive endpoint, or bring messages to one?  Who waits for that endpoint
 * only, is to look. */
static bool concerns_receiver(const struct vdtu *d, unsigned off, uint64_t value)
{
    if (off < DTU_EP0 || (off - DTU_EP0) % DTU_EP_STRIDE != 0)
        return false;
    if (dtu_ep_type(value) == DTU_EP_RECV)
        return value & 0xFFFF;
    return dtu_ep_type(vdtu_get(d, off)) == DTU_EP_RECV;
}

/* Does this store end a send endpoint? */
static bool ends_sending(const struct vdtu *d, unsigned off, uint64_t value)
{
    return off >= DTU_EP0 && (off - DTU_EP0) % DTU_EP_STRIDE == 0 &&
           dtu_ep_type(value) == DTU_EP_INVALID && dtu_ep_type(vdtu_get(d, off)) == DTU_EP_SEND;
}

void vdtu_noc_store(struct vdtu *d, uint64_t off, const void *buf, uint64_t len)
{
    const uint8_t *in = buf;
    uint64_t msgs = vdtu_get(d, DTU_MSG_CNT), value;
    bool ext = false, ended = false, receiver = false;

    if (!access_ok(off, len)) {
        d->stats.ignored_noc++;
        return;
    }
    for (uint64_t i = 0; i < len; i += 8) {
        memcpy(&value, in + i, 8);
        ended |= ends_sending(d, (unsigned)(off + i), value);
        receiver |= concerns_receiver(d, (unsigned)(off + i), value);
        noc_store_one(d, (unsigned)(off + i), value);
        ext |= off + i == DTU_EXT_CMD;
    }
    if (ext)
        vdtu_ext_command(d, vdtu_get(d, DTU_EXT_CMD));
    /* An endpoint written with unread messages in it: the PE must not sleep over them; nor for an
     * answer to what it sent through an endpoint that is gone. */
    if (ended)
        vdtu_latch(d);
    else if (receiver || vdtu_get(d, DTU_MSG_CNT) > msgs)
        vdtu_wake(d);
}
