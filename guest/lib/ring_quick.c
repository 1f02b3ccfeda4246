/* SPDX-License-Identifier: BSD-2-Clause */
/* The quick ways of messages that are like the one before, and else the long ones. */
#include "ring_quick.h"

unsigned ring_send(struct rings *r, unsigned ep, const void *data, size_t len, unsigned reply_ep,
                   uint64_t reply_label)
{
    unsigned err = rg_quick_send(r, ep, data, len, reply_ep, reply_label);

    return err != RING_TRAP ? err : rg_send(r, ep, data, len, reply_ep, reply_label);
}

const struct dtu_header *ring_fetch(struct rings *r, unsigned ep)
{
    struct ring_now *now = &r->now;
    const struct dtu_header *msg;
    const uint8_t *slot;
    uint64_t want, meta;

    if (now->ep != ep || !now->left)
        return rg_fetch(r, ep);
    slot = (const uint8_t *)now->scan->seq;
    want = now->scan->want;
    /*
     * Seen, and then there is none by a trap.  What has come by other channels, and answers for the
     * endpoint, wait for the end of the run.
     */
    if (rg_acquire(slot) != want || rg_acquire(now->r0) & 0xFFFF)
        return rg_fetch(r, ep);
    meta = rg_load(slot + 8 * RING_META);
    if ((meta & 0xFFFF) > now->max || !(msg = rg_take(now, slot, want - 1, meta, meta & 0xFFFF)))
        return rg_fetch(r, ep);
    rg_look_ahead(now, want);
    now->left--;
    r->passed[ep] = 0;
    return msg;
}

void ring_ack(struct rings *r, const struct dtu_header *msg)
{
    struct ring_now *now = &r->now;
    struct ring_in *st = now->st;

    /* Of another generation, or none at all: by address. */
    if (!msg || msg != now->msg || rg_acquire(&now->d->word) != now->word) {
        rg_ack(r, msg);
        return;
    }
    now->msg = NULL;
    st->held &= ~(1u << now->slot);
    st->freed++;
    if (now->back == &st->freed)
        rg_say_freed(now->ctl, st);
    if (now->scan->want == ~0ull)
        rg_in_scan(r, now->entry, now->pos);
}
