/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A message like the one before.
 *
 * A sender's channel in hand (struct ring_ready) and a receiver's (struct ring_now) have all that
 * their next message needs, for as long as the descriptor's word is what it was: the host changes
 * it before anything else of a channel.  Whatever is not as with the message before goes the long
 * way, which does the same from the tables.  Here instructions count: they bound the rate of
 * messages as much as the lines do that go from core to core (tests/bench/README.md).
 */
#ifndef GUEST_RING_QUICK_H
#define GUEST_RING_QUICK_H

#include "ring_impl.h"

/* As ring_send(); RING_TRAP: not like the one before.  Inline, and then its caller saves nothing.
 */
static inline unsigned rg_quick_send(struct rings *r, unsigned ep, const void *data, size_t len,
                                     unsigned reply_ep, uint64_t reply_label)
{
    const struct ring_ready *to = &r->ready[ep % DTU_EPS];
    const uint64_t word = to->word;
    struct ring_out *st = to->st;
    uint64_t sent, meta = len | (uint64_t)(reply_ep & 0xFF) << 32, rec = 0;
    uint8_t *at;

    if (!word || ep >= DTU_EPS || rg_acquire(&to->d->word) != word || len > to->max ||
        r->own >> ep & 1)
        return RING_TRAP;
    sent = st->sent;
    /* An answer that has come brings back credits and leaves its place first. */
    if (sent - *to->back >= to->cap ||
        (st->open &&
         rg_acquire(to->answers + (st->rtaken & to->mask) * to->rstride) == st->rtaken + 1))
        return RING_TRAP;
    if (reply_ep < DTU_EPS) {
        const unsigned rmax = rg_answer_max(r, reply_ep);

        if (rmax > to->rmax + 1u || !~st->open)
            return RING_TRAP;
        if (rmax) {
            unsigned i = (unsigned)__builtin_ctzll(~st->open);

            st->rec[i] = (struct ring_record){sent, reply_label, (uint16_t)rmax, (uint8_t)reply_ep};
            rec = 1ull << i;
            st->open |= rec;
            meta |= (uint64_t)rmax << 16 | (uint64_t)i << 40;
        }
    }
    at = to->area + (sent & to->mask) * to->stride;
    rg_copy_in(at + RING_HEAD, data, len);
    rg_store(at + 8 * RING_LABEL, reply_label);
    rg_store(at + 8 * RING_META, meta);
    rg_release(at, sent + 1);
    /*
     * The fence waits until both lines of the slot are ours.  They are the receiver's, who has read
     * them a round ago: so each message asks for those of a later one, and its own are there.
     */
    at = to->area + ((sent + to->lead) & to->mask) * to->stride;
    rg_prefetch_own(at);
    rg_prefetch_own(at + 64);
    ring_fence(); /* published, then: does it live, does it sleep? */
    if (rg_load(&to->d->word) != word)
        return rg_outcome(r, to->entry, st, rec);
    st->sent = sent + 1;
    if (rec)
        rg_asked(r, st->pos);
    if (__atomic_load_n(to->sleeping, __ATOMIC_RELAXED))
        rg_notify(r, to->entry);
    return SE_OK;
}

#endif
