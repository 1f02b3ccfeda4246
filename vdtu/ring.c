/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has channels: PEs that want them, channels on request, and the DTU's hooks that end them.
 *
 * Locks: those of the DTUs, then that of the rings.  d->ring changes with both held, so either
 * suffices to read it.
 */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>

#include "ring_impl.h"

#define HEADER    ((unsigned)sizeof(struct dtu_header))
#define SLOTS_MIN 4u

int vdtu_noc_rings(struct vdtu_noc *noc, const struct vdtu_ring_mem *mem, void *arg)
{
    struct vdtu_rings *r = calloc(1, sizeof(*r));

    if (!r || pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return -ENOMEM;
    }
    r->mem = *mem;
    r->arg = arg;
    noc->rings = r;
    return 0;
}

/* The DTUs may be gone by now: so are their windows. */
void vdtu_rings_free(struct vdtu_noc *noc)
{
    struct vdtu_chan *c;

    if (!noc->rings)
        return;
    while ((c = noc->rings->chans)) {
        noc->rings->chans = c->next;
        free(c);
    }
    pthread_mutex_destroy(&noc->rings->lock);
    free(noc->rings);
}

void vdtu_ring_free(struct vdtu *d)
{
    free(d->ring);
}

static struct vdtu_rings *lock(struct vdtu *d)
{
    pthread_mutex_lock(&d->noc->rings->lock);
    return d->noc->rings;
}

static void unlock(struct vdtu_rings *r)
{
    pthread_mutex_unlock(&r->lock);
}

/* Which end of c is that entry's? */
static unsigned end_of(const struct vdtu_chan *c, const struct vdtu *d, unsigned entry)
{
    return c->attached[SRC] && c->d[SRC] == d && c->entry[SRC] == entry ? SRC : DST;
}

/* ---- the hooks ---- */

/* Lanes never owe: their credits are unlimited. */
static bool owes_any(const struct vdtu *d, unsigned ep)
{
    if (ep >= DTU_EPS)
        return false;
    return __atomic_load_n(&d->owed[ep], __ATOMIC_RELAXED) ||
           __atomic_load_n(&d->owing, __ATOMIC_RELAXED) >> ep & 1;
}

/* The receiver is about to end c: the sender's endpoint gets its credits back (ring_settle). */
static void owe(struct vdtu_chan *c)
{
    if (c->credits == 0)
        return;
    __atomic_store_n(&c->d[SRC]->owed[c->ep[SRC]], c->credits * c->price, __ATOMIC_RELAXED);
}

void vdtu_ring_ep_changed(struct vdtu *d, unsigned ep)
{
    struct vdtu_rings *r;

    /*
     * `live` goes up with d's lock held only, so a zero is one.  `owed` goes up without it, but
     * before the `live` of its channel goes down: who sees the zero here sees what is owed, too.
     * What was owed to the endpoint as it was is not the new one's, rings or no rings.
     */
    if ((!d->ring || !__atomic_load_n(&d->ring->live[ep], __ATOMIC_ACQUIRE)) && !owes_any(d, ep))
        return;
    r = lock(d);
    __atomic_store_n(&d->owed[ep], 0, __ATOMIC_RELAXED);
    __atomic_fetch_and(&d->owing, ~(1u << ep), __ATOMIC_RELAXED);
    for (unsigned e = 0; d->ring && e < vdtu_ring_table(d)->high; e++) {
        struct vdtu_chan *c = d->ring->chan[e];
        unsigned end = c ? end_of(c, d, e) : 0;

        if (!c || c->ep[end] != ep)
            continue;
        if (end == SRC)
            c->back = false;
        else if (c->state == RING_LIVE)
            owe(c);
        vdtu_chan_kill(c, end == SRC);
        if (end == DST)
            vdtu_chan_discard(c);
    }
    unlock(r);
}

static void end_all(struct vdtu *d)
{
    for (unsigned e = 0; e < vdtu_ring_table(d)->high; e++) {
        struct vdtu_chan *c = d->ring->chan[e];

        if (!c)
            continue;
        if (c->state == RING_LIVE && end_of(c, d, e) == DST)
            owe(c);
        vdtu_chan_kill(c, true);
        if (end_of(c, d, e) == DST && c->attached[SRC])
            vdtu_chan_give(c); /* the last time that the receiver can be asked */
        vdtu_chan_gone(c, end_of(c, d, e));
    }
}

void vdtu_ring_vpe_changed(struct vdtu *d)
{
    struct vdtu_rings *r;

    if (!d->ring)
        return;
    r = lock(d);
    end_all(d);
    unlock(r);
}

void vdtu_ring_disable(struct vdtu *d)
{
    struct vdtu_rings *r;

    if (!d->noc->rings)
        return;
    vdtu_lock(d);
    r = lock(d);
    if (d->ring) {
        end_all(d);
        r->mem.drop(r->arg, d->pe);
        for (unsigned e = 0; e < d->ring->entries; e++) {
            struct vdtu_chan *c = d->ring->chan[e];

            if (!c)
                continue;
            if (end_of(c, d, e) == SRC)
                vdtu_chan_give(c);
            c->attached[end_of(c, d, e)] = false;
            vdtu_chan_reap(c);
        }
        memset(d->ring->table, 0, RING_TABLE_SIZE);
        free(d->ring);
        d->ring = NULL;
        /* From now on nobody can ring: a CPU that was reset sleeps until somebody means it. */
        __atomic_store_n(&d->belled, false, __ATOMIC_SEQ_CST);
    }
    unlock(r);
    vdtu_unlock(d);
}

/* Channels that have ended and whose answers bring back the endpoint's credits. */
static void collect(struct vdtu *d, unsigned ep)
{
    bool more = false;

    for (unsigned e = 0; d->ring && e < vdtu_ring_table(d)->high; e++) {
        struct vdtu_chan *c = d->ring->chan[e];

        if (!c || end_of(c, d, e) != SRC || c->ep[SRC] != ep || !c->back)
            continue;
        vdtu_chan_give(c);
        more = true;
    }
    if (!more)
        __atomic_fetch_and(&d->owing, ~(1u << ep), __ATOMIC_RELAXED);
}

/* d's lock and that of the rings held. */
static void settle(struct vdtu *d, unsigned ep)
{
    uint32_t owed, credits;
    uint64_t r1;

    collect(d, ep);
    r1 = vdtu_get(d, DTU_EP(ep, 1));
    credits = r1 & 0xFFFF;
    owed = d->owed[ep];
    if (owed > DTU_CREDITS_UNLIM - 1 - credits) /* must not reach the fields above */
        owed = DTU_CREDITS_UNLIM - 1 - credits;
    if (credits != DTU_CREDITS_UNLIM && dtu_ep_type(vdtu_get(d, DTU_EP(ep, 0))) == DTU_EP_SEND)
        vdtu_set_ep(d, ep, 1, r1 + owed);
    __atomic_store_n(&d->owed[ep], 0, __ATOMIC_RELAXED);
}

void vdtu_ring_settle(struct vdtu *d, unsigned ep)
{
    struct vdtu_rings *r;

    if (ep >= DTU_EPS || !owes_any(d, ep))
        return;
    r = lock(d);
    settle(d, ep);
    unlock(r);
}

/* The channel from PE src to endpoint ep of d that is not drained, NULL: none. */
static struct vdtu_chan *from(const struct vdtu *d, unsigned src, unsigned ep)
{
    const struct vdtu *s = vdtu_noc_find(d->noc, src);

    /* A sender has few; one that is gone has none, but what it sent may still be there. */
    for (unsigned e = 0; s && s->ring && e < vdtu_ring_table(s)->high; e++) {
        struct vdtu_chan *c = s->ring->chan[e];

        if (c && c->d[DST] == d && c->ep[DST] == ep && end_of(c, s, e) == SRC && c->attached[DST])
            return c;
    }
    for (unsigned e = 0; d->ring && d->ring->left && e < vdtu_ring_table(d)->high; e++) {
        struct vdtu_chan *c = d->ring->chan[e];

        if (c && c->left && c->d[DST] == d && c->ep[DST] == ep && c->d[SRC]->pe == src)
            return c;
    }
    return NULL;
}

void vdtu_ring_stamp(struct vdtu *d, unsigned ep, int slot, unsigned src)
{
    struct vdtu_chan *c;
    struct vdtu_rings *r;
    uint64_t stamp = 0;

    if (!d->ring)
        return;
    r = lock(d);
    c = from(d, src, ep);
    if (c)
        stamp = ring_stamp(c->entry[DST], c->gen,
                           c->state == RING_LIVE ? vdtu_chan_sent(c, SRC) : c->total);
    ring_set(d->ring->table + RING_STAMPS_OFF + 8 * (ep * DTU_MAX_SLOTS + (unsigned)slot), stamp);
    unlock(r);
}

/* ---- PEs that want rings ---- */

int vdtu_ring_enable(struct vdtu *d, unsigned entries, void *table, struct ring_status *status)
{
    struct vdtu_ring *ring;
    struct ring_table *t = table;

    if (!d->noc->rings || entries == 0 || entries > RING_ENTRIES_MAX)
        return -EINVAL;
    ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    vdtu_ring_disable(d);
    ring->entries = entries;
    ring->table = table;
    ring->status = status;
    memset(t->out, 0xFF, sizeof(t->out));
    t->entries = entries;
    t->version = 1;
    vdtu_lock(d);
    lock(d);
    d->ring = ring;
    unlock(d->noc->rings);
    vdtu_unlock(d);
    return 0;
}

/* An entry for a new channel; `high` is raised once the entry is complete. */
static int entry_get(struct vdtu *d)
{
    struct vdtu_ring *ring = d->ring;

    for (unsigned e = 0; e < ring->entries; e++) {
        if (ring->chan[e])
            vdtu_chan_reap(ring->chan[e]);
        if (!ring->chan[e])
            return (int)e;
    }
    return -1;
}

static unsigned log2_up(unsigned n)
{
    unsigned bits = 0;

    while (1u << bits < n)
        bits++;
    return bits;
}

/* Of the send endpoint or lane. */
static uint64_t send_word(const struct vdtu *d, unsigned ep, unsigned i)
{
    return ep < DTU_EPS ? vdtu_get(d, DTU_EP(ep, i)) : d->ring->lane[ep - DTU_EPS][i];
}

/* The longest answer that the sender's receive endpoints take. */
static unsigned answer_size(const struct vdtu *d)
{
    struct vdtu_recv r;
    unsigned size = 0;

    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        if (vdtu_recv_get(d, ep, &r) && r.slot_size > size)
            size = r.slot_size;
    return size;
}

/* So many slots have place in both directions. */
static unsigned slots_max(const struct vdtu_chan *c)
{
    unsigned n = RING_AREA / (c->stride > c->rstride ? c->stride : c->rstride);

    return n < 1 ? 0 : 1u << (31 - __builtin_clz(n));
}

/*
 * As many as may be out, or more if there is place: each side looks at the other's count once a
 * round.  Where credits are unlimited fewer will do: what has no place goes by a trap.
 */
static bool slots_fit(struct vdtu_chan *c, struct ring_desc *desc, unsigned cap)
{
    unsigned most = slots_max(c), want = 1u << log2_up(cap < SLOTS_MIN ? SLOTS_MIN : cap);

    c->slots = (uint16_t)(want < most ? want : most);
    if (c->slots < cap && (desc->limited || c->slots < SLOTS_MIN))
        return false;
    desc->fewer = c->slots < cap;
    desc->cap = (uint16_t)(desc->fewer ? c->slots : cap);
    return true;
}

/* What the two endpoints make of the channel.  False: it does not fit, or there are no credits. */
static bool dimension(struct vdtu *d, unsigned ep, const struct vdtu_recv *r, struct vdtu_chan *c,
                      struct ring_desc *desc)
{
    unsigned max = send_word(d, ep, 0) & 0xFFFF, credits = send_word(d, ep, 1) & 0xFFFF, cap, size;
    unsigned answer = answer_size(d);

    cap = r->slots < RING_SLOTS_MAX ? r->slots : RING_SLOTS_MAX;
    if (max < HEADER || r->slot_size < HEADER || cap == 0)
        return false;
    c->price = (uint16_t)max;
    if (credits != DTU_CREDITS_UNLIM) {
        c->credits = (uint16_t)(credits / max);
        if (c->credits == 0 || c->credits > RING_SLOTS_MAX)
            return false;
        cap = c->credits;
        desc->limited = 1;
    }
    size = max < r->slot_size ? max : r->slot_size;
    c->stride = (uint16_t)((size + 63) & ~63u);
    c->rstride = (uint16_t)(((answer > HEADER ? answer : HEADER) + 63) & ~63u);
    if (size > RING_AREA || answer > RING_AREA || !slots_fit(c, desc, cap))
        return false;
    desc->max = (uint16_t)(size - HEADER);
    desc->rmax = (uint16_t)(answer > HEADER ? answer - HEADER : 0);
    desc->slots = c->slots;
    desc->stride = c->stride;
    desc->rstride = c->rstride;
    return true;
}

static void publish(struct vdtu_chan *c, unsigned end, struct ring_desc desc)
{
    struct vdtu *d = c->d[end], *peer = c->d[!end];
    struct ring_table *t = vdtu_ring_table(d);
    struct ring_desc *to = (struct ring_desc *)(void *)(d->ring->table + RING_DESC_OFF);

    desc.role = end == SRC ? RING_OUT : RING_IN;
    desc.ep = c->ep[end];
    desc.peer_ep = c->ep[!end];
    desc.peer_pe = peer->pe;
    desc.peer_vpe = (uint16_t)vdtu_get(peer, DTU_VPE_ID);
    desc.label = end == DST ? send_word(peer, c->ep[SRC], 2) : 0;
    desc.sender_ep = desc.limited ? c->ep[SRC] : DTU_NO_CREDIT_EP;
    to += c->entry[end];
    for (unsigned i = 1; i < sizeof(desc) / 8; i++)
        ring_set((uint64_t *)(void *)to + i, ((const uint64_t *)(const void *)&desc)[i]);
    d->ring->chan[c->entry[end]] = c;
    c->attached[end] = true;
    __atomic_fetch_add(&d->ring->live[c->ep[end]], 1, __ATOMIC_RELAXED);
    if (t->high <= c->entry[end])
        __atomic_store_n(&t->high, c->entry[end] + 1u, __ATOMIC_RELAXED);
    __atomic_store_n(&to->word, RING_WORD(c->gen, RING_LIVE), __ATOMIC_RELEASE);
    if (end == SRC)
        __atomic_store_n(&t->out[c->ep[SRC]], c->entry[SRC], __ATOMIC_RELEASE);
    vdtu_ring_touch(d);
}

static int start(struct vdtu_rings *r, struct vdtu_chan *c, const struct ring_desc *desc)
{
    int se = entry_get(c->d[SRC]), de;

    if (se < 0)
        return -ENOSPC;
    de = entry_get(c->d[DST]);
    if (de < 0)
        return -ENOSPC;
    if (r->mem.map(r->arg, c->d[SRC]->pe, (unsigned)se, c->d[DST]->pe, (unsigned)de, &c->block) < 0)
        return -ENOMEM;
    c->entry[SRC] = (uint16_t)se;
    c->entry[DST] = (uint16_t)de;
    c->gen = ++r->gens ? r->gens : ++r->gens;
    c->state = RING_LIVE;
    publish(c, DST, *desc);
    publish(c, SRC, *desc);
    c->next = r->chans;
    r->chans = c;
    return 0;
}

/* Both DTUs' locks held. */
static void open_locked(struct vdtu *d, struct vdtu *t, unsigned ep)
{
    struct vdtu_rings *r = lock(d);
    struct vdtu_chan *c = calloc(1, sizeof(*c)), *old;
    uint64_t r0, r1;
    struct ring_desc desc = {0};
    struct vdtu_recv recv;

    if (!c || !d->ring || !t->ring || vdtu_ring_table(d)->out[ep] != RING_NO_ENTRY)
        goto refuse;
    r0 = send_word(d, ep, 0);
    r1 = send_word(d, ep, 1);
    c->d[SRC] = d;
    c->d[DST] = t;
    c->ep[SRC] = (uint8_t)ep;
    c->ep[DST] = (uint8_t)(r1 >> 16 & 0xFF);
    old = c->ep[DST] < DTU_EPS ? from(t, d->pe, c->ep[DST]) : NULL;
    if (old)
        vdtu_chan_reap(old);
    /* What the last channel's answers have brought back by now is this one's: while it lives, the
     * program does not ask for more than the endpoint says. */
    if (owes_any(d, ep))
        settle(d, ep);
    r1 = send_word(d, ep, 1);
    if (c->ep[DST] >= DTU_EPS || (r0 >> 16 & 0x7FF) != (uint16_t)vdtu_get(t, DTU_VPE_ID) ||
        !vdtu_recv_get(t, c->ep[DST], &recv) || !dimension(d, ep, &recv, c, &desc))
        goto refuse;
    if (from(t, d->pe, c->ep[DST]) || start(r, c, &desc) < 0)
        goto refuse;
    if (desc.limited)
        vdtu_set_ep(d, ep, 1, r1 - c->credits * (uint64_t)c->price);
    d->stats.channels++;
    unlock(r);
    return;
refuse:
    unlock(r);
    free(c);
}

/* The PE that the send endpoint or lane names; DTU_PES: none.  d's lock held. */
static unsigned target(const struct vdtu *d, unsigned ep)
{
    if (!d->ring || dtu_ep_type(send_word(d, ep, 0)) != DTU_EP_SEND)
        return DTU_PES;
    return send_word(d, ep, 1) >> 24 & 0x3FF;
}

static void open_channel(struct vdtu *d, unsigned ep)
{
    struct vdtu *t;

    vdtu_lock(d);
    vdtu_ring_settle(d, ep);
    t = vdtu_noc_find(d->noc, target(d, ep));
    vdtu_unlock(d);
    if (!t || t == d)
        return;
    vdtu_lock(t->pe < d->pe ? t : d);
    vdtu_lock(t->pe < d->pe ? d : t);
    if (target(d, ep) == t->pe)
        open_locked(d, t, ep);
    vdtu_unlock(t);
    vdtu_unlock(d);
}

void vdtu_ring_open(struct vdtu *d, unsigned ep)
{
    if (d->noc->rings && ep < DTU_EPS)
        open_channel(d, ep);
}

/* d's lock held. */
static void end_channel(struct vdtu *d, unsigned ep)
{
    struct vdtu_rings *r = lock(d);
    unsigned e = d->ring ? vdtu_ring_table(d)->out[ep] : RING_NO_ENTRY;
    struct vdtu_chan *c = e < RING_ENTRIES_MAX ? d->ring->chan[e] : NULL;

    if (c && c->state == RING_LIVE) {
        vdtu_chan_kill(c, true);
        c->back = c->credits > 0;
        if (c->back)
            __atomic_fetch_or(&d->owing, 1u << ep, __ATOMIC_RELAXED);
    }
    unlock(r);
}

void vdtu_ring_end(struct vdtu *d, unsigned ep)
{
    if (!d->noc->rings || ep >= RING_SENDS)
        return;
    vdtu_lock(d);
    end_channel(d, ep);
    vdtu_unlock(d);
}

bool vdtu_ring_lane(struct vdtu *d, const struct ring_lane *lane)
{
    const unsigned n = lane->lane < RING_LANES ? (unsigned)lane->lane : RING_LANES;
    bool may;

    if (!d->noc->rings)
        return false;
    vdtu_lock(d);
    /* Only who may write an endpoint's words itself; what it asks for then is no more than that. */
    may = d->ring && vdtu_get(d, DTU_STATUS) & DTU_STATUS_PRIV && n < RING_LANES &&
          dtu_ep_type(lane->words[0]) == DTU_EP_SEND &&
          (lane->words[1] & 0xFFFF) == DTU_CREDITS_UNLIM;
    if (may) {
        end_channel(d, DTU_EPS + n);
        memcpy(d->ring->lane[n], lane->words, sizeof(lane->words));
    }
    vdtu_unlock(d);
    if (may)
        open_channel(d, DTU_EPS + n);
    return may;
}

void vdtu_ring_unprivileged(struct vdtu *d)
{
    if (!d->ring)
        return;
    for (unsigned n = 0; n < RING_LANES; n++) {
        end_channel(d, DTU_EPS + n);
        memset(d->ring->lane[n], 0, sizeof(d->ring->lane[n]));
    }
}

void vdtu_ring_bell(struct vdtu *d, unsigned entry)
{
    struct vdtu_rings *r;
    struct vdtu_chan *c;

    if (!d->noc->rings)
        return;
    r = lock(d);
    c = d->ring && entry < d->ring->entries ? d->ring->chan[entry] : NULL;
    if (c) {
        unsigned other = !end_of(c, d, entry);

        /* Who may not send any more has no reason to wake the receiver, which was told when the
         * channel ended; late answers still come the other way, while it has its endpoint. */
        if (c->attached[other] && !c->done[!other] &&
            (other == SRC ? !c->mute : c->state == RING_LIVE)) {
            struct vdtu *t = c->d[other];

            __atomic_store_n(&t->ring->status->sleeping, 0, __ATOMIC_SEQ_CST);
            __atomic_store_n(&t->belled, true, __ATOMIC_SEQ_CST);
            if (t->ops.bell)
                t->ops.bell(t->arg);
        }
    }
    unlock(r);
}

void vdtu_noc_rings_settle(struct vdtu_noc *noc)
{
    if (!noc->rings)
        return;
    pthread_mutex_lock(&noc->rings->lock);
    for (struct vdtu_chan *c = noc->rings->chans; c; c = c->next)
        vdtu_chan_count(c);
    pthread_mutex_unlock(&noc->rings->lock);
}
