/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive endpoints: slots, positions and the two bitmaps (dtu-spec 4).
 *
 * The search order is reproduced exactly, because programs can see it (dtu-spec 11.2): positions
 * are stored one behind the last slot used, without wrapping.  A kernel may write any nonsense into
 * the words, so nothing here trusts that count, bitmaps and positions fit each other.
 */
#include "internal.h"

bool vdtu_recv_get(const struct vdtu *d, unsigned ep, struct vdtu_recv *r)
{
    uint64_t r0 = vdtu_get(d, DTU_EP(ep, 0)), r2 = vdtu_get(d, DTU_EP(ep, 2));

    memset(r, 0, sizeof(*r));
    if (dtu_ep_type(r0) != DTU_EP_RECV)
        return false;
    r->rd = r0 >> 54 & 0x3F;
    r->wr = r0 >> 48 & 0x3F;
    r->slot_size = r0 >> 32 & 0xFFFF;
    r->slots = r0 >> 16 & 0xFFFF;
    r->count = r0 & 0xFFFF;
    r->base = vdtu_get(d, DTU_EP(ep, 1));
    r->unread = (uint32_t)(r2 >> 32);
    r->occupied = (uint32_t)r2;
    return true;
}

void vdtu_recv_set(struct vdtu *d, unsigned ep, const struct vdtu_recv *r)
{
    vdtu_set_ep(d, ep, 2, (uint64_t)r->unread << 32 | r->occupied);
    vdtu_set_ep(d, ep, 0,
                (uint64_t)DTU_EP_RECV << 61 | (uint64_t)r->rd << 54 | (uint64_t)r->wr << 48 |
                    (uint64_t)r->slot_size << 32 | (uint64_t)r->slots << 16 | r->count);
}

static unsigned usable(const struct vdtu_recv *r)
{
    return r->slots < DTU_MAX_SLOTS ? r->slots : DTU_MAX_SLOTS;
}

int vdtu_slot_index(const struct vdtu_recv *r, uint64_t addr)
{
    uint64_t i;

    if (!r->slot_size)
        return -1;
    i = (addr - r->base) / r->slot_size;
    return i < usable(r) ? (int)i : -1;
}

uint64_t vdtu_slot_addr(const struct vdtu_recv *r, int slot)
{
    return r->base + (uint64_t)slot * r->slot_size;
}

/* The first slot from `pos` on, then from 0, whose bit is set; -1 if there is none. */
static int find_slot(uint32_t bits, unsigned pos, unsigned slots)
{
    for (unsigned i = pos; i < slots; i++) {
        if (bits >> i & 1)
            return (int)i;
    }
    for (unsigned i = 0; i < pos && i < slots; i++) {
        if (bits >> i & 1)
            return (int)i;
    }
    return -1;
}

int vdtu_slot_alloc(struct vdtu_recv *r)
{
    int slot;

    if (r->count >= usable(r))
        return -1;
    slot = find_slot(~r->occupied, r->wr, usable(r));
    if (slot >= 0) {
        r->occupied |= 1u << slot;
        r->wr = (unsigned)slot + 1;
    }
    return slot;
}

static void clear_unread(struct vdtu_recv *r, int slot)
{
    if (!(r->unread >> slot & 1))
        return;
    r->unread &= ~(1u << slot);
    if (r->count)
        r->count--;
}

void vdtu_slot_fill(struct vdtu_recv *r, int slot)
{
    if (!(r->unread >> slot & 1))
        r->count++;
    r->unread |= 1u << slot;
}

/* A message that was never fetched goes, too, with its count (edges 28, 39). */
void vdtu_slot_free(struct vdtu_recv *r, int slot)
{
    r->occupied &= ~(1u << slot);
    clear_unread(r, slot);
}

/* What a FETCH or ACK was about, for the trace. */
static void note_slot(struct vdtu *d, const struct vdtu_cmd *c, uint64_t addr, int slot)
{
    const struct dtu_header *h = &d->header[c->ep][slot];

    d->ev.offset = addr;
    if (!(d->has_header[c->ep] >> slot & 1))
        return;
    d->ev.peer = h->sender_pe;
    d->ev.label = h->label;
    d->ev.len = h->length;
}

unsigned vdtu_cmd_fetch(struct vdtu *d, struct vdtu_cmd *c)
{
    struct vdtu_recv r;
    uint64_t addr = 0;

    if (vdtu_recv_get(d, c->ep, &r) && r.count) {
        int slot = find_slot(r.unread, r.rd, usable(&r));

        if (slot >= 0) {
            clear_unread(&r, slot);
            r.rd = (unsigned)slot + 1;
            addr = vdtu_slot_addr(&r, slot);
            note_slot(d, c, addr, slot);
        } else {
            r.count = 0; /* a count written without messages must not keep the PE awake */
        }
        vdtu_recv_set(d, c->ep, &r);
    }
    vdtu_set(d, DTU_OFFSET, addr);
    return SE_OK;
}

/* ACKs of nothing are no errors: the kernel may have detached the endpoint (edges 40, 42, 43). */
unsigned vdtu_cmd_ack(struct vdtu *d, struct vdtu_cmd *c)
{
    struct vdtu_recv r;
    int slot = -1;

    if (vdtu_recv_get(d, c->ep, &r))
        slot = vdtu_slot_index(&r, c->offset);
    if (slot < 0 || !(r.occupied >> slot & 1)) {
        d->stats.bad_acks++;
        return SE_OK;
    }
    note_slot(d, c, vdtu_slot_addr(&r, slot), slot);
    vdtu_slot_free(&r, slot);
    vdtu_recv_set(d, c->ep, &r);
    return SE_OK;
}
