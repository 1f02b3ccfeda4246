/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes back to a sender when the program is done with its message: the place, and an answer.
 *
 * An answer is published before the state of the channel is looked at, as a message is: who sees
 * that it is not gone has one that is kept (RINGS.md, "Revocation").
 */
#include "ring_impl.h"

/* The message's slot, if the program has it; else -1. */
static int held(const struct rings *r, unsigned entry, const void *msg)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const struct ring_in *st = rg_in_state(r, entry);
    uint32_t off = (uint32_t)((uintptr_t)msg - (uintptr_t)(rg_entry(r, entry) + RING_INBOX_OFF));
    uint64_t word = rg_acquire(&d->word);
    unsigned slot;

    if (RING_STATE(word) == RING_FREE || RING_GEN(word) != st->gen || st->closed == st->gen ||
        d->stride == 0)
        return -1;
    slot = off / d->stride; /* of 32 bits: that is what it costs */
    if (slot * d->stride != off || slot >= d->slots)
        return -1;
    return st->held >> slot & 1 ? (int)slot : -1;
}

static void release(struct rings *r, unsigned entry, int slot)
{
    struct ring_in *st = rg_in_state(r, entry);

    st->held &= ~(1u << slot);
    if (st == r->now.st && (unsigned)slot == r->now.slot)
        r->now.msg = NULL;
    rg_one_freed(r, entry, st);
}

void rg_in_free(struct rings *r, unsigned entry, const void *msg)
{
    int slot = held(r, entry, msg);

    if (slot >= 0)
        release(r, entry, slot);
}

static unsigned answer(struct rings *r, unsigned entry, int from, const void *data, size_t len)
{
    const struct ring_desc *d = rg_desc(r, entry);
    struct ring_in *st = rg_in_state(r, entry);
    uint8_t *at = rg_entry(r, entry), *slot;
    unsigned rmax = (uint16_t)(st->meta[from] >> 16);

    if (RING_STATE(rg_acquire(&d->word)) == RING_GONE)
        return rg_late(r, entry, ~0ull);
    if (!rmax)
        return SE_RECV_GONE;
    if (len > rmax - 1u || len > d->rmax)
        return SE_INV_ARGS;
    if (st->granted - st->rtaken >= d->slots) {
        st->rtaken = rg_acquire(&rg_ctl(at)->rtaken);
        if (st->granted - st->rtaken >= d->slots)
            return SE_NO_RING_SPACE;
    }
    slot = at + RING_REP_OFF + (st->granted & (d->slots - 1u)) * d->rstride;
    rg_copy_in(slot + RING_HEAD, data, len);
    rg_store(slot + 8 * RING_LABEL, st->index[from]);
    rg_store(slot + 8 * RING_META, len | (st->meta[from] >> 40 & 0xFF) << 16);
    rg_release(&st->granted, st->granted + 1); /* who sees the answer sees that */
    rg_release(slot, st->granted);
    return SE_OK;
}

unsigned rg_in_reply(struct rings *r, unsigned entry, const struct dtu_header *msg,
                     const void *data, size_t len)
{
    int slot = held(r, entry, msg);
    unsigned err;

    if (slot < 0)
        return SE_INV_ARGS;
    err = answer(r, entry, slot, data, len);
    if (err == SE_OK) {
        ring_fence(); /* published, then: may it be read, does the sender sleep? */
        if (RING_STATE(rg_load(&rg_desc(r, entry)->word)) == RING_GONE)
            err = rg_late(r, entry, rg_in_state(r, entry)->granted);
    }
    release(r, entry, slot); /* after that the entry may be another channel's */
    if (err == SE_OK)
        rg_notify(r, entry);
    return err;
}
