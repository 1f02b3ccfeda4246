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

const uint64_t rg_nothing;

static const uint8_t *slot_at(const struct rings *r, unsigned entry, unsigned state, uint64_t index)
{
    const struct ring_desc *d = rg_desc(r, entry);
    unsigned area = state == RING_LIVE || state == RING_DYING ? RING_FWD_OFF : RING_FROZEN_OFF;

    return rg_entry(r, entry) + area + (index & (d->slots - 1u)) * d->stride;
}

/* Nothing more to come (what is beyond the sender's credits is nothing: no more answers bring any)
 * and nothing in our hands: the host may have it back. */
static void close_if_done(struct rings *r, unsigned entry, struct ring_in *st, const uint8_t *slot)
{
    if (st->closed == st->gen || st->freed != st->taken ||
        (rg_acquire(slot) == st->taken + 1 && rg_allowed(rg_desc(r, entry), st)))
        return;
    rg_store(&rg_ctl(rg_entry(r, entry))->dst_closed, st->gen);
    rg_release(&st->closed, st->gen);
}

/* Is that a place of the endpoint's?  The entry may be another's since the lists were made. */
static bool listed(const struct rings *r, unsigned ep, unsigned pos)
{
    return ep < DTU_EPS && pos >= r->first[ep] && pos < r->first[ep + 1];
}

/*
 * What changed while the lists were made may have no place in them, and `pos` is from older ones:
 * it is looked at when they are made again.
 */
void rg_in_scan(struct rings *r, unsigned entry, unsigned pos)
{
    struct ring_scan *scan = &rg_scan(r)[pos];
    const struct ring_desc *d;
    struct ring_in *st;
    const uint8_t *slot;
    uint64_t word, gen, closed;

    if (r->in[pos] != entry)
        return;
    *scan = (struct ring_scan){&rg_nothing, ~0ull};
    if (entry == RING_NO_ENTRY)
        return;
    d = rg_desc(r, entry);
    st = rg_in_state(r, entry);
    word = rg_acquire(&d->word);
    gen = rg_acquire(&st->gen);
    closed = rg_acquire(&st->closed);
    /* What we have closed the host may be using for another channel just now: then the word has
     * changed before what we have said there went, and so will the table's version. */
    if (RING_STATE(word) == RING_FREE || rg_acquire(&d->word) != word ||
        (RING_GEN(word) == gen && closed == gen) || d->slots == 0 || !listed(r, d->ep, pos))
        return;
    if (gen != RING_GEN(word)) { /* which the host reads last of all this */
        memset(&st->taken, 0, sizeof(*st) - offsetof(struct ring_in, taken));
        rg_release(&st->gen, RING_GEN(word));
    }
    st->pos = pos;
    slot = slot_at(r, entry, RING_STATE(word), st->taken);
    if (rg_allowed(d, st)) /* else the sender could write ~0 there */
        *scan = (struct ring_scan){(const uint64_t *)(const void *)slot, st->taken + 1};
    if (RING_STATE(word) == RING_DEAD || RING_STATE(word) == RING_GONE)
        close_if_done(r, entry, st, slot);
}

/* ---- which to look at ---- */

static bool is_there(const struct rings *r, unsigned pos)
{
    return rg_is_there(&rg_scan(r)[pos]);
}

/* Ends the run of quick messages (ring_quick.c): what it has left was counted as if taken. */
static void settle(struct rings *r)
{
    r->watch.run[r->now.ep] = (uint8_t)(r->watch.run[r->now.ep] - r->now.left);
    r->now.left = 0;
}

/* Marks the position if there is a message; true if that is news. */
static bool mark(struct rings *r, unsigned pos)
{
    struct ring_watch *w = &r->watch;

    if (w->marked[pos / 64] >> (pos % 64) & 1 || !is_there(r, pos))
        return false;
    settle(r);
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

/* Who has sent a message has mostly sent another; but what was seen of others goes first. */
static inline bool goes_on(struct rings *r, unsigned ep)
{
    const struct ring_watch *w = &r->watch;

    return !w->marks[ep] && w->last[ep] && is_there(r, w->last[ep] - 1u);
}

static int find(struct rings *r, unsigned ep)
{
    struct ring_watch *w = &r->watch;
    int pos;

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

/* Of a position that goes on, too, when it had its turn. */
static inline int find_next(struct rings *r, unsigned ep)
{
    struct ring_watch *w = &r->watch;

    if (goes_on(r, ep)) {
        if (w->run[ep] < RING_RUN)
            return w->last[ep] - 1;
        w->skips = 0;
    }
    return find(r, ep);
}

/* So many messages of the channel in hand may be taken quickly: nothing of others is known. */
static void start_run(struct rings *r, unsigned ep)
{
    unsigned most = r->first[ep + 1] - r->first[ep] == 1 ? RING_RUN_ALONE : RING_RUN;
    struct ring_watch *w = &r->watch;

    if (RING_STATE(r->now.word) != RING_LIVE || r->now.ep != ep || w->last[ep] != r->now.pos + 1 ||
        w->marks[ep] || r->stash[ep].msg || w->run[ep] >= most)
        return;
    r->now.left = most - w->run[ep];
    w->run[ep] = (uint8_t)most;
}

/* Is there what ring_fetch() would take quickly? */
static bool runs(const struct rings *r)
{
    return r->now.left && rg_is_there(r->now.scan);
}

int rg_in_find(struct rings *r, unsigned ep)
{
    int pos;

    if (r->now.ep == ep && runs(r))
        return (int)r->now.pos;
    settle(r);
    pos = find_next(r, ep);
    if (pos < 0)
        start_run(r, ep);
    return pos;
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
    if (runs(r) || any_marked(r))
        return true;
    r->watch.all |= all;
    look(r);
    return any_marked(r);
}

uint32_t rg_in_news(struct rings *r)
{
    uint32_t news = runs(r) ? 1u << r->now.ep : 0;

    if (!news) /* else the others are looked at when its run ends, as with ring_fetch() */
        look(r);
    /* Who takes what is there until a run ends begins the next one: what was seen then counts. */
    for (uint32_t eps = r->watch.eps; eps; eps &= eps - 1)
        if (r->watch.marks[__builtin_ctz(eps)])
            news |= eps & -eps;
    return news;
}

/*
 * Makes the channel at a position the one in hand: all that its next message needs is then found at
 * once, and so is the message when it is acknowledged.  False: nothing can be taken from it now.
 */
static __attribute__((noinline)) bool focus(struct rings *r, unsigned pos)
{
    unsigned entry = r->in[pos];
    const struct ring_desc *d = rg_desc(r, entry);
    uint64_t word = rg_acquire(&d->word);
    struct ring_in *st = rg_in_state(r, entry);
    unsigned state = RING_STATE(word);
    struct dtu_header head;

    settle(r);
    r->now.word = 0;
    /* DYING: the host is about to say what there is. */
    if (state == RING_FREE || state == RING_DYING || RING_GEN(word) != st->gen)
        return false;
    head = (struct dtu_header){.flags = DTU_HD_REPLY_ENABLED,
                               .sender_pe = d->peer_pe,
                               .sender_ep = d->sender_ep,
                               .sender_vpe = d->peer_vpe,
                               .label = d->label};
    r->now = (struct ring_now){
        .word = word,
        .d = d,
        .st = st,
        .ctl = rg_ctl(rg_entry(r, entry)),
        .scan = &rg_scan(r)[pos],
        .r0 = &r->regs[DTU_EP(d->ep, 0) / 8],
        .back = d->limited ? &st->granted : &st->freed,
        .inbox = rg_entry(r, entry) + RING_INBOX_OFF,
        .area = rg_entry(r, entry) + (state == RING_LIVE ? RING_FWD_OFF : RING_FROZEN_OFF),
        .entry = entry,
        .pos = pos,
        .ep = d->ep,
        .mask = d->slots - 1u,
        .stride = d->stride,
        .max = d->max,
        .cap = d->cap,
        .slots = (uint32_t)((1ull << d->slots) - 1),
        .label = d->label,
    };
    memcpy(r->now.head, &head, sizeof(r->now.head));
    return rg_acquire(&d->word) == word;
}

/* Is the channel in hand that one, and as it was? */
static bool focused(const struct rings *r, unsigned pos)
{
    return r->now.word && r->now.pos == pos && rg_acquire(&r->now.d->word) == r->now.word;
}

/* One was taken from there, the channel in hand. */
static void turn(struct rings *r, unsigned ep, unsigned pos)
{
    struct ring_watch *w = &r->watch;

    if (w->marks[ep])
        unmark(r, ep, pos);
    if (w->last[ep] == pos + 1 && w->run[ep]) {
        w->run[ep]++;
    } else {
        spoke(r, pos);
        r->cursor[ep] = (uint16_t)(pos - r->first[ep] + 1);
        w->last[ep] = (uint16_t)(pos + 1);
        w->run[ep] = 1;
    }
    start_run(r, ep);
}

/* Not as it should be, or of a channel that has died. */
static __attribute__((noinline)) bool taken_oddly(struct rings *r, uint64_t meta)
{
    struct ring_now *now = &r->now;
    bool fits = (meta & 0xFFFF) <= now->max;

    now->msg = NULL; /* its ACK must look what has become of the channel */
    if (!fits) {     /* longer than its slot: nobody's but the sender's loss */
        now->st->held &= ~(1u << now->slot);
        r->dropped++;
        rg_one_freed(r, now->entry, now->st);
    }
    rg_in_scan(r, now->entry, now->pos);
    return fits;
}

/* The next message of the channel in hand; NULL: not there after all. */
static const struct dtu_header *serve(struct rings *r)
{
    struct ring_now *now = &r->now;
    const uint64_t taken = now->st->taken;
    const uint8_t *slot = now->area + (taken & now->mask) * now->stride;
    const struct dtu_header *msg;
    uint64_t meta;

    /* What the list says, it says only of a message that may be taken. */
    if (now->scan->want != taken + 1 || rg_acquire(slot) != taken + 1)
        return NULL;
    meta = rg_load(slot + 8 * RING_META);
    msg = rg_take(now, slot, taken, meta, (meta & 0xFFFF) <= now->max ? meta & 0xFFFF : 0);
    if (!msg)
        return NULL;
    if (RING_STATE(now->word) != RING_LIVE || (meta & 0xFFFF) > now->max)
        return taken_oddly(r, meta) ? msg : NULL;
    rg_look_ahead(now, taken + 1);
    return msg;
}

/* The message at a position of the lists; NULL: not there after all. */
static const struct dtu_header *take(struct rings *r, unsigned pos)
{
    const struct dtu_header *msg;

    if (!focused(r, pos) && !focus(r, pos))
        return NULL;
    msg = serve(r);
    if (msg)
        turn(r, r->now.ep, pos);
    return msg;
}

/*
 * Nothing came of what was seen there: the others are looked at before it is again.  Else who sends
 * what is too long, or takes back what it has published, would have the endpoint to itself.
 */
static __attribute__((noinline)) void pass_over(struct rings *r, unsigned ep, unsigned pos)
{
    struct ring_watch *w = &r->watch;

    settle(r);
    unmark(r, ep, pos);
    r->cursor[ep] = (uint16_t)(pos - r->first[ep] + 1);
    w->last[ep] = 0;
    w->skips = 0;
}

/* ---- one endpoint: channels and traps ---- */

/* The message in the stash came by a trap: first what its sender sent before. */
static const struct dtu_header *unstash(struct rings *r, unsigned ep)
{
    struct ring_stash *s = &r->stash[ep];
    const struct dtu_header *msg;
    unsigned entry = (unsigned)(s->stamp & 0xFFFF) - 1;

    if (s->stamp && entry < RING_ENTRIES_MAX) {
        const struct ring_in *st = rg_in_state(r, entry);
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
    settle(r);
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

const struct dtu_header *rg_fetch(struct rings *r, unsigned ep)
{
    const struct dtu_header *msg;
    int pos;

    if (ep >= DTU_EPS)
        return NULL;
    settle(r);
    rg_refresh(r);
    if (r->stash[ep].msg)
        return unstash(r, ep);
    pos = find_next(r, ep);
    /*
     * One that came by a trap may be older than the one that we see, and then it is unread by now.
     * So many may be; more are not, or those who send by traps would have it all.
     */
    if (rg_unread(r, ep) && (pos < 0 || r->passed[ep] < PASS_MAX)) {
        r->passed[ep] = (uint8_t)(pos < 0 ? 0 : r->passed[ep] + 1);
        ring_fetched(r, ep, r->hw.fetch(r->arg, ep));
        if (r->stash[ep].msg)
            return unstash(r, ep);
    }
    r->passed[ep] = 0;
    msg = rg_out_take(r, ep);
    if (!msg && pos >= 0) {
        msg = take(r, (unsigned)pos);
        if (!msg)
            pass_over(r, ep, (unsigned)pos);
        return msg;
    }
    if (msg)
        return msg;
    start_run(r, ep); /* the next one, when it comes */
    if (r->now.stream && r->now.ep == ep)
        rg_gather(&r->now);
    return NULL;
}
