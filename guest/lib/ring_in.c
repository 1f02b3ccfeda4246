/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receiving: messages of others to our receive endpoints.
 *
 * A message is copied to the inbox and then the channel is looked at: if it lives, all that was
 * copied had been written while it lived.  If it has died, the copy counts for nothing, and the
 * message is looked for in what the host kept (RINGS.md, "Revocation").
 */
#include "ring_impl.h"
#include "str.h"

#define SLICE    4u
#define PASS_MAX DTU_MAX_SLOTS /* messages by trap that can be older than one by a channel */
#define AHEAD    2u            /* messages to fetch into the cache before they are asked for */
#define RUN_MAX  8u            /* messages of one channel before the others are looked at */

static struct ring_in *state_of(const struct rings *r, unsigned entry)
{
    return (struct ring_in *)(void *)(rg_entry(r, entry) + RING_STATE_OFF);
}

static const uint8_t *slot_at(const struct rings *r, unsigned entry, unsigned state, uint64_t index)
{
    const struct ring_desc *d = rg_desc(r, entry);
    unsigned area = state == RING_LIVE || state == RING_DYING ? RING_FWD_OFF : RING_FROZEN_OFF;

    return rg_entry(r, entry) + area + (index & (d->slots - 1u)) * d->stride;
}

/* The inbox has as many slots as the ring; they are used in any order. */
static uint32_t free_slots(const struct ring_desc *d, const struct ring_in *st)
{
    return ~st->held & (uint32_t)((1ull << d->slots) - 1);
}

/* May the sender have this message here?  What it claims about its credits is not asked. */
static bool allowed(const struct ring_desc *d, const struct ring_in *st)
{
    if (!free_slots(d, st))
        return false;
    return d->limited ? st->taken < d->cap + st->granted : st->taken - st->freed < d->cap;
}

/*
 * Nothing more to come and nothing in our hands: the host may have it back.  What stands there but
 * is beyond the sender's credits will never be taken: no more answers bring it any.
 */
static void close_if_done(struct rings *r, unsigned entry, struct ring_in *st, const uint8_t *slot)
{
    if (st->closed == st->gen || st->freed != st->taken ||
        (rg_acquire(slot) == st->taken + 1 && allowed(rg_desc(r, entry), st)))
        return;
    rg_store(&rg_ctl(rg_entry(r, entry))->dst_closed, st->gen);
    rg_release(&st->closed, st->gen);
}

void rg_in_scan(struct rings *r, unsigned entry, unsigned pos)
{
    static const uint64_t nothing;
    struct ring_scan *scan = &rg_scan(r)[pos];
    const struct ring_desc *d;
    struct ring_in *st;
    const uint8_t *slot;
    uint64_t word;

    *scan = (struct ring_scan){&nothing, ~0ull};
    if (entry == RING_NO_ENTRY)
        return;
    d = rg_desc(r, entry);
    st = state_of(r, entry);
    word = rg_acquire(&d->word);
    if (RING_STATE(word) == RING_FREE || d->slots == 0)
        return;
    if (st->gen != RING_GEN(word)) { /* which the host reads last of all this */
        memset(&st->taken, 0, sizeof(*st) - offsetof(struct ring_in, taken));
        rg_release(&st->gen, RING_GEN(word));
    }
    st->pos = pos;
    slot = slot_at(r, entry, RING_STATE(word), st->taken);
    if (st->closed != st->gen && allowed(d, st)) /* else the sender could write ~0 there */
        *scan = (struct ring_scan){(const uint64_t *)(const void *)slot, st->taken + 1};
    if (RING_STATE(word) == RING_DEAD || RING_STATE(word) == RING_GONE)
        close_if_done(r, entry, st, slot);
}

/* ---- which to look at ---- */

static bool is_there(const struct rings *r, unsigned pos)
{
    return rg_is_there(&rg_scan(r)[pos]);
}

/* Marks the position if there is a message; true if that is news. */
static bool mark(struct rings *r, unsigned pos)
{
    struct ring_watch *w = &r->watch;

    if (w->marked[pos / 64] >> (pos % 64) & 1 || !is_there(r, pos))
        return false;
    w->marked[pos / 64] |= 1ull << (pos % 64);
    w->marks[__atomic_load_n(&rg_desc(r, r->in[pos])->ep, __ATOMIC_RELAXED) % DTU_EPS]++;
    return true;
}

static void unmark(struct rings *r, unsigned ep, unsigned pos)
{
    struct ring_watch *w = &r->watch;

    if (!(w->marked[pos / 64] >> (pos % 64) & 1))
        return;
    w->marked[pos / 64] &= ~(1ull << (pos % 64));
    w->marks[ep]--;
}

static void spoke(struct rings *r, unsigned pos)
{
    struct ring_watch *w = &r->watch;
    unsigned old = w->hot[w->next_hot];

    if (w->is_hot[pos / 64] >> (pos % 64) & 1)
        return;
    if (old < RING_ENTRIES_MAX)
        w->is_hot[old / 64] &= ~(1ull << (old % 64));
    w->is_hot[pos / 64] |= 1ull << (pos % 64);
    w->hot[w->next_hot] = (uint16_t)pos;
    w->next_hot = (w->next_hot + 1) % RING_HOT;
}

static void look(struct rings *r)
{
    struct ring_watch *w = &r->watch;
    bool all = w->all || r->nin <= RING_HOT + SLICE;

    if (!all) {
        for (unsigned i = 0; i < RING_HOT; i++)
            if (w->hot[i] < r->nin)
                mark(r, w->hot[i]);
        for (unsigned i = 0; i < SLICE; i++) {
            all |= mark(r, w->slice);
            w->slice = (uint16_t)(w->slice + 1u < r->nin ? w->slice + 1u : 0);
        }
    }
    for (unsigned pos = 0; all && pos < r->nin; pos++)
        mark(r, pos);
    w->all = false;
}

/* The first marked position in a range where there still is a message, -1: none. */
static int next_marked(struct rings *r, unsigned ep, unsigned pos, unsigned end)
{
    while (pos < end) {
        uint64_t bits = r->watch.marked[pos / 64] >> (pos % 64);

        pos = bits ? pos + (unsigned)__builtin_ctzll(bits) : (pos / 64 + 1) * 64;
        if (!bits || pos >= end)
            continue;
        if (is_there(r, pos))
            return (int)pos;
        unmark(r, ep, pos);
        pos++;
    }
    return -1;
}

/* In turn, from where the last one was. */
static int marked(struct rings *r, unsigned ep)
{
    const unsigned first = r->first[ep], end = r->first[ep + 1];
    unsigned at = first + r->cursor[ep];
    int pos;

    if (!r->watch.marks[ep])
        return -1;
    if (at >= end)
        at = first;
    pos = next_marked(r, ep, at, end);
    return pos >= 0 ? pos : next_marked(r, ep, first, at);
}

int rg_in_find(struct rings *r, unsigned ep)
{
    struct ring_watch *w = &r->watch;
    int pos;

    /* Who has sent a message has mostly sent another; but what was seen of others goes first. */
    if (!w->marks[ep] && w->last[ep] && is_there(r, w->last[ep] - 1u)) {
        if (w->run[ep] < RUN_MAX)
            return w->last[ep] - 1;
        w->skips = 0;
    }
    w->run[ep] = 0;
    pos = marked(r, ep);
    if (pos >= 0 || r->first[ep] == r->first[ep + 1])
        return pos;
    /* Who asks for one endpoint after the other asks the same again. */
    if (w->skips > 0) {
        w->skips--;
        return -1;
    }
    w->skips = (uint16_t)(w->neps - 1);
    look(r);
    return marked(r, ep);
}

void rg_in_watch(struct rings *r)
{
    struct ring_watch *w = &r->watch;

    memset(w, 0, sizeof(*w));
    memset(w->hot, 0xFF, sizeof(w->hot));
    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        if (r->first[ep] < r->first[ep + 1]) {
            w->eps |= 1u << ep;
            w->neps++;
        }
    w->all = true;
}

static bool any_marked(struct rings *r)
{
    for (uint32_t eps = r->watch.eps; eps; eps &= eps - 1)
        if (marked(r, (unsigned)__builtin_ctz(eps)) >= 0)
            return true;
    return false;
}

bool rg_in_any(struct rings *r, bool all)
{
    if (any_marked(r))
        return true;
    r->watch.all |= all;
    look(r);
    return any_marked(r);
}

/*
 * One more is free.  Where there are credits the answers say all; else the sender looks here, for
 * room and for which messages nobody can answer any more.
 */
static void one_freed(struct rings *r, unsigned entry, struct ring_in *st)
{
    struct ring_ctl *ctl = rg_ctl(rg_entry(r, entry));
    const struct ring_desc *d = rg_desc(r, entry);
    uint64_t floor = st->taken;

    st->freed++;
    if (!d->limited) {
        for (uint32_t bits = st->held; bits; bits &= bits - 1)
            if (st->index[__builtin_ctz(bits)] < floor)
                floor = st->index[__builtin_ctz(bits)];
        rg_store(&ctl->floor, floor);
        rg_release(&ctl->freed, st->freed);
    }
    /* Else nothing is allowed that was not before. */
    if (rg_scan(r)[st->pos].want == ~0ull || RING_STATE(rg_acquire(&d->word)) != RING_LIVE)
        rg_in_scan(r, entry, st->pos);
}

/* Copies message `taken` from its slot; its meta word, or ~0 when the channel is not as it was. */
static uint64_t copy(struct rings *r, unsigned entry, uint64_t word, const struct ring_in *st,
                     struct dtu_header *h)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const uint8_t *slot = slot_at(r, entry, RING_STATE(word), st->taken);
    uint64_t meta, len, label = d->label;

    if (rg_acquire(slot) != st->taken + 1)
        return ~0ull;
    meta = rg_load(slot + 8 * RING_META) & 0xFFFFFFFFFFFFull;
    len = meta & 0xFFFF;
    *h = (struct dtu_header){
        .flags = DTU_HD_REPLY_ENABLED,
        .sender_pe = d->peer_pe,
        .sender_ep = d->sender_ep,
        .reply_ep = (uint8_t)(meta >> 32),
        .length = (uint16_t)len,
        .sender_vpe = d->peer_vpe,
        .label = label,
        .reply_label = rg_load(slot + 8 * RING_LABEL),
    };
    if (len <= d->max)
        rg_copy_out(h + 1, slot + RING_HEAD, len);
    __asm__ volatile("" : : : "memory"); /* the copy, then the state: x86 keeps loads in order */
    return rg_load(&d->word) == word ? meta : ~0ull;
}

/* The next message of a channel that lives. */
static void expect(struct rings *r, unsigned entry, unsigned pos, const struct ring_desc *d,
                   const struct ring_in *st)
{
    struct ring_scan *scan = &rg_scan(r)[pos];

    scan->seq = (const uint64_t *)(const void *)slot_at(r, entry, RING_LIVE, st->taken);
    scan->want = allowed(d, st) ? st->taken + 1 : ~0ull;
    /* Of a sender that is ahead of us that one is there, too, in the other core's cache. */
    __builtin_prefetch(slot_at(r, entry, RING_LIVE, st->taken + AHEAD));
    __builtin_prefetch(slot_at(r, entry, RING_LIVE, st->taken + AHEAD) + 64);
}

/* One was taken from there. */
static void turn(struct rings *r, unsigned ep, unsigned pos)
{
    struct ring_watch *w = &r->watch;

    w->run[ep]++;
    spoke(r, pos);
    if (w->last[ep] == pos + 1)
        return;
    w->last[ep] = (uint16_t)(pos + 1);
    w->run[ep] = 1;
    r->cursor[ep] = (uint16_t)(pos - r->first[ep] + 1);
}

/* The message at a position of the lists; NULL: not there after all. */
static const struct dtu_header *take(struct rings *r, unsigned pos)
{
    unsigned entry = r->in[pos], slot;
    const struct ring_desc *d = rg_desc(r, entry);
    uint64_t word = rg_acquire(&d->word), meta;
    struct ring_in *st = state_of(r, entry);
    struct dtu_header *h;

    if (RING_STATE(word) == RING_FREE || RING_GEN(word) != st->gen || !allowed(d, st))
        return NULL;
    if (RING_STATE(word) == RING_DYING) /* the host is about to say what there is */
        return NULL;
    slot = (unsigned)__builtin_ctz(free_slots(d, st));
    h = (struct dtu_header *)(void *)(rg_entry(r, entry) + RING_INBOX_OFF + slot * d->stride);
    meta = copy(r, entry, word, st, h);
    if (meta == ~0ull)
        return NULL;
    rg_release(&st->taken, st->taken + 1);
    if ((meta & 0xFFFF) > d->max) { /* longer than its slot: nobody's but the sender's loss */
        r->dropped++;
        one_freed(r, entry, st);
        rg_in_scan(r, entry, pos);
        return NULL;
    }
    st->held |= 1u << slot;
    st->index[slot] = st->taken - 1;
    st->rmax[slot] = (uint16_t)(meta >> 16);
    st->number[slot] = (uint8_t)(meta >> 40);
    if (RING_STATE(word) == RING_LIVE)
        expect(r, entry, pos, d, st);
    else
        rg_in_scan(r, entry, pos);
    unmark(r, d->ep, pos);
    turn(r, d->ep, pos);
    return h;
}

/* ---- one endpoint: channels and traps ---- */

/* The message in the stash came by a trap: first what its sender sent before. */
static const struct dtu_header *unstash(struct rings *r, unsigned ep)
{
    struct ring_stash *s = &r->stash[ep];
    const struct dtu_header *msg;
    unsigned entry = (unsigned)(s->stamp & 0xFFFF) - 1;

    if (s->stamp && entry < RING_ENTRIES_MAX) {
        const struct ring_in *st = state_of(r, entry);
        const struct ring_desc *d = rg_desc(r, entry);
        uint64_t word = rg_acquire(&d->word);
        /* Only what we still hold does the host not use for another channel meanwhile. */
        bool ours = RING_STATE(word) != RING_FREE && RING_GEN(word) == st->gen &&
                    st->closed != st->gen && (st->gen & 0xFFFF) == (s->stamp >> 16 & 0xFFFF) &&
                    d->role == RING_IN && d->ep == ep;

        if (ours && (int32_t)((uint32_t)(s->stamp >> 32) - (uint32_t)st->taken) > 0 &&
            st->pos < r->nin && r->in[st->pos] == entry && (msg = take(r, st->pos)))
            return msg;
    }
    msg = s->msg;
    s->msg = NULL;
    r->stashed--;
    return msg;
}

void ring_fetched(struct rings *r, unsigned ep, uint64_t addr)
{
    uint64_t r0, r1, size, slot;

    if (!addr || ep >= DTU_EPS)
        return;
    r->stash[ep].msg = (const struct dtu_header *)(uintptr_t)addr;
    r->stash[ep].stamp = 0;
    r->stashed++;
    if (!r->on)
        return;
    r0 = rg_load(&r->regs[DTU_EP(ep, 0) / 8]);
    r1 = rg_load(&r->regs[DTU_EP(ep, 1) / 8]);
    size = r0 >> 32 & 0xFFFF;
    slot = size ? (addr - r1) / size : DTU_MAX_SLOTS;
    if (slot < DTU_MAX_SLOTS)
        r->stash[ep].stamp =
            rg_load(r->table + RING_STAMPS_OFF + 8 * (ep * (size_t)DTU_MAX_SLOTS + slot));
}

const struct dtu_header *ring_take_fetched(struct rings *r, unsigned ep)
{
    const struct dtu_header *msg = ep < DTU_EPS ? r->stash[ep].msg : NULL;

    if (msg) {
        r->stash[ep].msg = NULL;
        r->stashed--;
    }
    return msg;
}

static bool unread(const struct rings *r, unsigned ep)
{
    uint64_t r0 = rg_acquire(&r->regs[DTU_EP(ep, 0) / 8]);

    return dtu_ep_type(r0) == DTU_EP_RECV && (r0 & 0xFFFF);
}

const struct dtu_header *ring_fetch(struct rings *r, unsigned ep)
{
    const struct dtu_header *msg;
    int pos;

    if (ep >= DTU_EPS)
        return NULL;
    rg_refresh(r);
    if (r->stash[ep].msg)
        return unstash(r, ep);
    pos = rg_in_find(r, ep);
    /*
     * One that came by a trap may be older than the one that we see, and then it is unread by now.
     * So many may be; more are not, or those who send by traps would have it all.
     */
    if (unread(r, ep) && (pos < 0 || r->passed[ep] < PASS_MAX)) {
        r->passed[ep] = (uint8_t)(pos < 0 ? 0 : r->passed[ep] + 1);
        ring_fetched(r, ep, r->hw.fetch(r->arg, ep));
        if (r->stash[ep].msg)
            return unstash(r, ep);
    }
    r->passed[ep] = 0;
    msg = rg_out_take(r, ep);
    if (!msg && pos >= 0)
        msg = take(r, (unsigned)pos);
    return msg;
}

/* ---- when the program is done with it ---- */

/* The message's slot, if the program has it; else -1. */
static int held(const struct rings *r, unsigned entry, const void *msg)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const struct ring_in *st = state_of(r, entry);
    uint32_t off = (uint32_t)((uintptr_t)msg - (uintptr_t)(rg_entry(r, entry) + RING_INBOX_OFF));
    uint64_t word = rg_acquire(&d->word);
    unsigned slot;

    if (RING_STATE(word) == RING_FREE || RING_GEN(word) != st->gen || d->stride == 0)
        return -1;
    slot = off / d->stride; /* of 32 bits: that is what it costs */
    if (slot * d->stride != off || slot >= d->slots)
        return -1;
    return st->held >> slot & 1 ? (int)slot : -1;
}

static void release(struct rings *r, unsigned entry, int slot)
{
    struct ring_in *st = state_of(r, entry);

    st->held &= ~(1u << slot);
    one_freed(r, entry, st);
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
    struct ring_in *st = state_of(r, entry);
    uint8_t *at = rg_entry(r, entry), *slot;
    unsigned rmax = st->rmax[from];

    if (RING_STATE(rg_acquire(&d->word)) == RING_GONE)
        return dtu_ep_type(rg_load(&r->regs[DTU_EP(d->ep, 0) / 8])) == DTU_EP_RECV ? SE_VPE_GONE
                                                                                   : SE_EP_INVALID;
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
    rg_store(slot + 8 * RING_META, len | (uint64_t)st->number[from] << 16);
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
    release(r, entry, slot);
    if (err == SE_OK) {
        ring_fence();
        rg_notify(r, entry);
    }
    return err;
}
