/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a channel.
 *
 * A sender publishes a message and then looks whether the channel lives; the host says that it is
 * dying and then looks what was published; between either two stands a full fence.  So whoever
 * comes second sees the other: a message that its sender believes sent is among those that are
 * kept.  A receiver copies a message and then looks whether the channel lives; if so, the copy was
 * made while it did.  If not, it takes the host's copy.  What the sender writes once the channel is
 * dead is read by nobody, though it still maps the page.
 */
#include <stdlib.h>

#include "ring_impl.h"

struct ring_table *vdtu_ring_table(const struct vdtu *d)
{
    return (struct ring_table *)(void *)d->ring->table;
}

struct ring_desc *vdtu_chan_desc(const struct vdtu_chan *c, unsigned end)
{
    if (!c->attached[end])
        return NULL;
    return (struct ring_desc *)(void *)(c->d[end]->ring->table + RING_DESC_OFF) + c->entry[end];
}

void vdtu_ring_touch(struct vdtu *d)
{
    struct ring_table *t = vdtu_ring_table(d);

    __atomic_store_n(&t->version, ring_get(&t->version) + 1, __ATOMIC_RELEASE);
}

/* The sequence number in slot i; 0: none that could be there. */
static uint64_t seq_at(const uint8_t *area, unsigned i, unsigned slots, unsigned stride)
{
    uint64_t seq = __atomic_load_n((const uint64_t *)(const void *)(area + i * (size_t)stride),
                                   __ATOMIC_ACQUIRE);

    return seq > 0 && (seq - 1) % slots == i ? seq : 0;
}

/* How many messages there were, from the sequence numbers in `slots` slots. */
static uint64_t highest(const uint8_t *area, unsigned slots, unsigned stride)
{
    uint64_t top = 0;

    for (unsigned i = 0; i < slots; i++) {
        uint64_t seq = seq_at(area, i, slots, stride);

        top = seq > top ? seq : top;
    }
    return top;
}

/*
 * Of a channel that has died only what the host kept was ever sent: a message that was published
 * behind its back, while it was dying, is refused.
 */
uint64_t vdtu_chan_sent(const struct vdtu_chan *c, unsigned end)
{
    unsigned off = (end == SRC ? RING_FWD_OFF : RING_REP_OFF) - RING_SHARED_OFF;

    if (end == SRC && c->kept)
        return c->total;
    return highest(c->block.shared + off, c->slots, end == SRC ? c->stride : c->rstride);
}

void vdtu_chan_count(struct vdtu_chan *c)
{
    for (unsigned end = 0; end < 2; end++) {
        struct vdtu *from = c->d[end], *to = c->d[!end];
        uint64_t sent = end == SRC && c->state != RING_LIVE ? c->total : vdtu_chan_sent(c, end);
        uint64_t n = sent - c->counted[end];

        if (sent <= c->counted[end])
            continue;
        c->counted[end] = sent;
        __atomic_fetch_add(&from->stats.ring_sent, n, __ATOMIC_RELAXED);
        __atomic_fetch_add(&to->stats.ring_received, n, __ATOMIC_RELAXED);
        vdtu_count_pairs(from->noc, from->pe, to->pe, n);
    }
}

/* A word of that end's own; 0 if it has not looked at the channel. */
static uint64_t own(const struct vdtu_chan *c, unsigned end, enum ring_own word)
{
    const uint64_t *page = c->block.closed[end];

    return __atomic_load_n(page + RING_OWN_GEN, __ATOMIC_ACQUIRE) == c->gen
               ? __atomic_load_n(page + word, __ATOMIC_ACQUIRE)
               : 0;
}

/*
 * Both ends write to what they share, so what stands there is not asked: a sender could answer its
 * own messages, or take back those that were taken.  Who answers too often gives away what is his:
 * places for messages to him.
 */
void vdtu_chan_give(struct vdtu_chan *c)
{
    uint64_t answers, sent, out, free;

    if (!c->back || !c->attached[DST])
        return;
    answers = own(c, DST, RING_OWN_GRANTED); /* then what it took, which is no less */
    sent = own(c, DST, RING_OWN_TAKEN);
    sent = sent > c->total ? sent : c->total;
    out = answers < sent ? sent - answers : 0;
    free = out < c->credits ? c->credits - out : 0;
    if (free <= c->given)
        return;
    __atomic_fetch_add(&c->d[SRC]->owed[c->ep[SRC]], (uint32_t)(free - c->given) * c->price,
                       __ATOMIC_RELAXED);
    c->given = (uint16_t)free;
}

static void set_state(struct vdtu_chan *c, enum ring_state state)
{
    c->state = state;
    for (unsigned end = 0; end < 2; end++) {
        struct ring_desc *desc = vdtu_chan_desc(c, end);

        if (desc)
            __atomic_store_n(&desc->word, RING_WORD(c->gen, state), __ATOMIC_SEQ_CST);
    }
}

/*
 * Copies what `end` has not taken yet of what the other has sent: mostly nothing, and then the
 * pages of its frozen area are not touched.  How many there were at all.
 */
static uint64_t freeze(struct vdtu_chan *c, unsigned end)
{
    const bool fwd = end == DST;
    const uint8_t *from = c->block.shared + ((fwd ? RING_FWD_OFF : RING_REP_OFF) - RING_SHARED_OFF);
    const unsigned stride = fwd ? c->stride : c->rstride;
    uint64_t taken = own(c, end, fwd ? RING_OWN_TAKEN : RING_OWN_RTAKEN), top = 0;

    for (unsigned slot = 0; slot < c->slots; slot++) {
        uint8_t *to = c->block.frozen[end] + slot * (size_t)stride;
        uint64_t seq = seq_at(from, slot, c->slots, stride);

        top = seq > top ? seq : top;
        if (seq <= taken)
            continue;
        for (size_t i = 8; i < stride; i += 8)
            ring_set(to + i, ring_get(from + slot * (size_t)stride + i));
        ring_set(to, seq);
    }
    return top;
}

static void nudge(struct vdtu *d)
{
    __atomic_store_n(&d->belled, true, __ATOMIC_SEQ_CST);
    if (d->ops.bell)
        d->ops.bell(d->arg);
}

/*
 * Has the receiver something to do about the end of the channel?  One that sleeps and has taken all
 * learns of it when it wakes for something else: until then it keeps an entry, and no core.
 */
static bool must_look(const struct vdtu_chan *c)
{
    return !c->kept || own(c, DST, RING_OWN_TAKEN) < c->total;
}

void vdtu_chan_kill(struct vdtu_chan *c, bool keep)
{
    struct ring_desc *src = vdtu_chan_desc(c, SRC);

    if (c->state != RING_LIVE)
        return;
    if (src && vdtu_ring_table(c->d[SRC])->out[c->ep[SRC]] == c->entry[SRC])
        __atomic_store_n(&vdtu_ring_table(c->d[SRC])->out[c->ep[SRC]], RING_NO_ENTRY,
                         __ATOMIC_RELAXED);
    set_state(c, RING_DYING);
    ring_fence();
    c->total = keep ? freeze(c, DST) : vdtu_chan_sent(c, SRC);
    c->kept = keep;
    vdtu_chan_count(c);
    if (src)
        ring_set(&src->last, c->total);
    set_state(c, RING_DEAD);
    for (unsigned end = 0; end < 2; end++)
        if (c->attached[end]) {
            if (end == SRC)
                __atomic_fetch_sub(&c->d[SRC]->ring->live[c->ep[SRC]], 1, __ATOMIC_RELEASE);
            vdtu_ring_touch(c->d[end]);
            if (end == SRC || must_look(c))
                nudge(c->d[end]);
        }
}

static void say_gone(struct vdtu_chan *c, unsigned end)
{
    struct ring_desc *desc = vdtu_chan_desc(c, end);

    if (!desc)
        return;
    __atomic_store_n(&desc->word, RING_WORD(c->gen, RING_GONE), __ATOMIC_SEQ_CST);
    vdtu_ring_touch(c->d[end]);
}

/*
 * As with messages: who publishes an answer and then sees that the channel is not gone has one that
 * is kept.
 */
void vdtu_chan_no_endpoint(struct vdtu_chan *c)
{
    struct ring_desc *own = vdtu_chan_desc(c, DST);

    if (c->mute)
        return;
    say_gone(c, DST);
    ring_fence();
    if (c->attached[SRC]) {
        uint64_t kept = freeze(c, SRC);

        if (own)
            ring_set(&own->last, kept);
        say_gone(c, SRC);
        nudge(c->d[SRC]);
    }
    c->mute = true;
}

/* First it is said that there are none any more: a copy that is being made counts for nothing. */
void vdtu_chan_discard(struct vdtu_chan *c)
{
    vdtu_chan_no_endpoint(c);
    for (unsigned slot = 0; c->kept && slot < c->slots; slot++)
        ring_set(c->block.frozen[DST] + slot * (size_t)c->stride, 0);
}

void vdtu_chan_gone(struct vdtu_chan *c, unsigned end)
{
    c->done[end] = true;
    if (end == DST) {
        vdtu_chan_no_endpoint(c);
    } else if (c->attached[DST]) {
        say_gone(c, DST);
        nudge(c->d[DST]);
    }
}

/* Has that end said so itself, where only it can?  What it then loses is its own. */
static bool closed(const struct vdtu_chan *c, unsigned end)
{
    return c->done[end] || __atomic_load_n(c->block.closed[end], __ATOMIC_ACQUIRE) == c->gen;
}

/* From here on that end cannot be asked: its page is another channel's. */
static void leave(struct vdtu_chan *c, unsigned end)
{
    struct vdtu_rings *rings = c->d[SRC]->noc->rings;
    struct ring_desc *desc = vdtu_chan_desc(c, end);

    c->done[end] = true;
    if (!desc)
        return;
    if (end == DST) {
        if (c->attached[SRC])
            vdtu_chan_give(c);
        vdtu_chan_no_endpoint(c); /* the sender waits for no more answers */
        __atomic_fetch_sub(&c->d[DST]->ring->live[c->ep[DST]], 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&desc->word, RING_WORD(c->gen, RING_FREE), __ATOMIC_RELEASE);
    rings->mem.unmap(rings->arg, c->d[end]->pe, c->entry[end]);
    c->d[end]->ring->chan[c->entry[end]] = NULL;
    c->attached[end] = false;
    if (c->left)
        c->d[DST]->ring->left--;
    c->left = end == SRC && c->attached[DST];
    if (c->left)
        c->d[DST]->ring->left++;
    vdtu_ring_touch(c->d[end]);
}

void vdtu_chan_reap(struct vdtu_chan *c)
{
    struct vdtu_rings *rings = c->d[SRC]->noc->rings;
    struct vdtu_chan **link = &rings->chans;

    if (c->state == RING_LIVE)
        return;
    if (closed(c, DST))
        leave(c, DST);
    if (closed(c, SRC) && (c->done[DST] || !c->back)) /* else its credits may still come */
        leave(c, SRC);
    if (!c->done[SRC] || !c->done[DST])
        return;
    vdtu_chan_count(c); /* answers that came later */
    rings->mem.put(rings->arg, &c->block);
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    free(c);
}
