/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending, and the answers that come back.
 *
 * What an answer is about is this side's own record of the message it names: the receiver of a
 * message can say no more than "this is the answer to number n", once, if n is out.
 */
#include "ring_impl.h"
#include "str.h"

#define SLICE       4u  /* see gather() */
#define PATIENCE    12u /* pauses, a third of a microsecond, before */
#define PATIENT_CAP 8u  /* a sender with so many slots looks for room again */

/* Is the entry, as that generation has it, one for what we send? */
static bool outgoing(const struct ring_desc *d, uint32_t gen)
{
    bool out = __atomic_load_n(&d->role, __ATOMIC_ACQUIRE) == RING_OUT;
    uint64_t word = rg_acquire(&d->word);

    return out && RING_STATE(word) != RING_FREE && RING_GEN(word) == gen;
}

/*
 * Starts anew for a new channel.  What we have closed the host may be using just now for one to us,
 * which is not for us here to begin: then the state says, as before, that all is closed.
 */
static struct ring_out *state_of(struct rings *r, unsigned entry)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const uint64_t word = rg_acquire(&d->word);
    struct ring_out *st = (struct ring_out *)(void *)(rg_entry(r, entry) + RING_STATE_OFF);

    if (st->gen != RING_GEN(word) && outgoing(d, RING_GEN(word))) {
        memset(&st->sent, 0, sizeof(*st) - offsetof(struct ring_out, sent));
        rg_release(&st->gen, RING_GEN(word)); /* which the host reads first of all this */
    }
    return st;
}

/* ---- SEND ---- */

/* After some sends the DTU's way, and then ever more rarely, a channel is asked for. */
static unsigned by_trap(struct rings *r, unsigned ep)
{
    uint32_t n = ++r->uses[ep];

    if (n < 4 || (n & (n - 1)))
        return RING_NO_ENTRY;
    if (ep < DTU_EPS) {
        r->hw.open(r->arg, ep);
    } else {
        struct ring_lane lane = {.lane = ep - DTU_EPS};

        memcpy(lane.words, r->target[ep - DTU_EPS].words, sizeof(lane.words));
        r->hw.lane(r->arg, &lane);
    }
    return __atomic_load_n(&rg_table(r)->out[ep], __ATOMIC_ACQUIRE);
}

/* Where answers are: once nobody may give any, in what the host kept of them. */
static const uint8_t *answers(const struct rings *r, unsigned entry, uint64_t word)
{
    return rg_entry(r, entry) + (RING_STATE(word) == RING_GONE ? RING_FROZEN_OFF : RING_REP_OFF);
}

/* Answers that have come, taken or not: so many credits are back. */
static uint64_t credits_back(const struct rings *r, unsigned entry, const struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const uint8_t *area = answers(r, entry, rg_acquire(&d->word));
    uint64_t n = st->rtaken;

    while (n - st->rtaken < d->slots &&
           rg_acquire(area + (n & (d->slots - 1u)) * d->rstride) == n + 1)
        n++;
    return n;
}

static bool pump_one(struct rings *r, unsigned entry, struct ring_out *st);

/*
 * What stands in the ring now, and no more: a receiver that writes answers as fast as we drop them
 * would keep us here.
 */
static void pump(struct rings *r, unsigned entry, struct ring_out *st)
{
    unsigned slots = rg_desc(r, entry)->slots;

    while (slots-- > 0 && pump_one(r, entry, st))
        ;
}

/* The next answer's place in the ring, where it is while the channel lives. */
static inline const uint8_t *ring_answer(const struct rings *r, unsigned entry,
                                         const struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);

    return rg_entry(r, entry) + RING_REP_OFF + (st->rtaken & (d->slots - 1u)) * d->rstride;
}

/* Its place as the channel is. */
static inline const uint8_t *next_answer(const struct rings *r, unsigned entry,
                                         const struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);

    return answers(r, entry, rg_acquire(&d->word)) + (st->rtaken & (d->slots - 1u)) * d->rstride;
}

/* What answers to messages sent by traps have brought back is the endpoint's. */
static unsigned no_credits(const struct rings *r, unsigned ep)
{
    unsigned price = rg_load(&r->regs[DTU_EP(ep, 0) / 8]) & 0xFFFF;

    return (rg_load(&r->regs[DTU_EP(ep, 1) / 8]) & 0xFFFF) < price ? SE_MISS_CREDITS : RING_TRAP;
}

/*
 * Who fills a ring is faster than the receiver.  To look all the time would only make that one
 * slower: each look takes away the line that it writes with each message it is done with.
 */
static void look_for_room(struct rings *r, unsigned entry, struct ring_out *st)
{
    const uint64_t *freed = &rg_ctl(rg_entry(r, entry))->freed;
    const unsigned cap = rg_desc(r, entry)->cap;

    st->freed = rg_acquire(freed);
    if (cap < PATIENT_CAP || st->sent - st->freed < cap - cap / 4)
        return;
    for (unsigned i = 0; i < PATIENCE; i++)
        __builtin_ia32_pause();
    st->freed = rg_acquire(freed);
}

/*
 * SE_OK: message `sent` may be out.  Then its slot is free: of those before it, fewer than the ring
 * has slots are neither answered nor freed, and a message leaves its slot before either.
 */
static unsigned room(struct rings *r, unsigned entry, struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);

    if (!d->limited && st->sent - st->freed >= d->cap)
        look_for_room(r, entry, st);
    /* After that: so all answers but those to what is still out are in our hands, and one that
     * comes finds room, unless the program has not looked at as many as an endpoint can hold. */
    if (rg_acquire(ring_answer(r, entry, st)) == st->rtaken + 1)
        pump(r, entry, st);
    if (!d->limited && st->sent - st->freed >= d->cap)
        return d->fewer ? RING_TRAP : SE_NO_RING_SPACE;
    if (!d->limited)
        return SE_OK;
    if (st->sent - st->granted >= d->cap &&
        st->sent - (st->granted + credits_back(r, entry, st) - st->rtaken) >= d->cap)
        return no_credits(r, d->ep);
    return SE_OK;
}

/* A free record; -1: none.  Only where there are no credits can that be, for want of answers. */
static int record(struct rings *r, unsigned entry, struct ring_out *st)
{
    uint64_t floor;

    if (~st->open == 0 && !rg_desc(r, entry)->limited) {
        floor = rg_acquire(&rg_ctl(rg_entry(r, entry))->floor);
        pump(r, entry, st);
        for (unsigned i = 0; i < RING_RECORDS && credits_back(r, entry, st) == st->rtaken; i++)
            if (st->rec[i].index < floor) /* nobody can answer it any more */
                st->open &= ~(1ull << i);
    }
    return ~st->open ? __builtin_ctzll(~st->open) : -1;
}

unsigned rg_outcome(struct rings *r, unsigned entry, struct ring_out *st, uint64_t rec)
{
    const struct ring_desc *d = rg_desc(r, entry);

    r->hw.sync(r->arg);
    if (RING_STATE(rg_acquire(&d->word)) == RING_DYING)
        r->hw.sync(r->arg);
    if (RING_GEN(rg_acquire(&d->word)) == st->gen && rg_load(&d->last) > st->sent) {
        st->sent++;
        return SE_OK;
    }
    st->open &= ~rec;
    return RING_TRAP;
}

bool ring_traps(struct rings *r, unsigned ep)
{
    if (!r->on || ep >= DTU_EPS || r->own >> ep & 1)
        return true;
    return __atomic_load_n(&rg_table(r)->out[ep], __ATOMIC_ACQUIRE) >= RING_ENTRIES_MAX &&
           by_trap(r, ep) >= RING_ENTRIES_MAX;
}

/* All that the channel's next messages need (ring_quick.c). */
static void hold(struct rings *r, unsigned entry, uint64_t word, struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);
    uint8_t *at = rg_entry(r, entry);

    r->ready[d->ep] = (struct ring_ready){
        .word = word,
        .d = d,
        .st = st,
        .area = at + RING_FWD_OFF,
        .answers = at + RING_REP_OFF,
        .sleeping = &((const struct ring_status *)(const void *)(at + RING_PEER_OFF))->sleeping,
        .back = d->limited ? &st->granted : &st->freed,
        .mask = d->slots - 1u,
        .stride = d->stride,
        .rstride = d->rstride,
        .max = d->max,
        .rmax = d->rmax,
        .cap = d->cap,
        .entry = entry,
        .lead = d->slots / 2u < RING_LEAD ? d->slots / 2u : RING_LEAD,
    };
}

/* By the channel of a send endpoint or lane. */
static unsigned send_by(struct rings *r, unsigned ep, const void *data, size_t len,
                        unsigned reply_ep, uint64_t reply_label)
{
    unsigned entry = RING_NO_ENTRY, err, rmax;
    const struct ring_desc *d;
    struct ring_out *st;
    uint64_t word;
    uint8_t *at;
    int rec = 0;

    entry = __atomic_load_n(&rg_table(r)->out[ep], __ATOMIC_ACQUIRE);
    if (entry >= RING_ENTRIES_MAX && (entry = by_trap(r, ep)) >= RING_ENTRIES_MAX)
        return RING_TRAP;
    d = rg_desc(r, entry);
    word = rg_acquire(&d->word);
    if (RING_STATE(word) != RING_LIVE || d->role != RING_OUT || d->ep != ep)
        return RING_TRAP;
    st = state_of(r, entry);
    if (len > d->max)
        return ep < DTU_EPS ? SE_INV_ARGS : RING_TRAP;
    rmax = rg_answer_max(r, reply_ep);
    /* A receive endpoint that is newer than the channel.  The DTU asks for the credits it holds. */
    if (rmax > d->rmax + 1u) {
        if (d->limited)
            r->hw.end(r->arg, ep);
        return RING_TRAP;
    }
    err = room(r, entry, st);
    if (err)
        return err;
    if (rmax) {
        rec = record(r, entry, st);
        if (rec < 0)
            return d->limited ? SE_MISS_CREDITS : RING_TRAP;
        st->rec[rec] =
            (struct ring_record){st->sent, reply_label, (uint16_t)rmax, (uint8_t)reply_ep};
        st->open |= 1ull << rec;
    }
    at = rg_entry(r, entry) + RING_FWD_OFF + (st->sent & (d->slots - 1u)) * d->stride;
    rg_copy_in(at + RING_HEAD, data, len);
    rg_store(at + 8 * RING_LABEL, reply_label);
    rg_store(at + 8 * RING_META, len | (uint64_t)rmax << 16 | (uint64_t)(reply_ep & 0xFF) << 32 |
                                     (uint64_t)(unsigned)rec << 40);
    rg_release(at, st->sent + 1);
    ring_fence(); /* published, then: does it live, does it sleep? */
    if (rg_load(&d->word) != word)
        return rg_outcome(r, entry, st, rmax ? 1ull << rec : 0);
    st->sent++;
    r->uses[ep] = 0;
    if (ep < DTU_EPS && r->ready[ep].word != word)
        hold(r, entry, word, st);
    if (rmax)
        rg_asked(r, st->pos);
    rg_notify(r, entry);
    return SE_OK;
}

unsigned rg_send(struct rings *r, unsigned ep, const void *data, size_t len, unsigned reply_ep,
                 uint64_t reply_label)
{
    if (!r->on || ep >= DTU_EPS || r->own >> ep & 1)
        return RING_TRAP;
    return send_by(r, ep, data, len, reply_ep, reply_label);
}

/* The lane that has these words, or else of those that could the one longest unused gets them. */
static unsigned lane_for(struct rings *r, const uint64_t words[3])
{
    const uint64_t hash = (words[0] ^ words[1] ^ words[2] * 31) * 0x9E3779B97F4A7C15ull;
    const unsigned set = (unsigned)(hash >> 32) % (RING_LANES / RING_WAYS) * RING_WAYS;
    unsigned lane = set;

    for (unsigned i = set; i < set + RING_WAYS; i++) {
        if (memcmp(r->target[i].words, words, sizeof(r->target[i].words)) == 0)
            return i;
        if (r->target[i].used < r->target[lane].used)
            lane = i;
    }
    if (__atomic_load_n(&rg_table(r)->out[DTU_EPS + lane], __ATOMIC_ACQUIRE) < RING_ENTRIES_MAX)
        r->hw.end(r->arg, DTU_EPS + lane); /* its channel goes elsewhere */
    memcpy(r->target[lane].words, words, sizeof(r->target[lane].words));
    r->uses[DTU_EPS + lane] = 0;
    return lane;
}

unsigned ring_send_to(struct rings *r, const struct ring_to *to, const void *data, size_t len,
                      unsigned reply_ep, uint64_t reply_label)
{
    /* As long as the receiver takes: the channel is for messages of all lengths. */
    const uint64_t words[3] = {dtu_send_r0(to->vpe, 0xFFFF),
                               dtu_send_r1(to->pe, to->ep, DTU_CREDITS_UNLIM), to->label};
    unsigned lane;

    if (!r->on || !r->lanes)
        return RING_TRAP;
    lane = lane_for(r, words);
    r->target[lane].used = ++r->lane_sends;
    return send_by(r, DTU_EPS + lane, data, len, reply_ep, reply_label);
}

/* ---- answers ---- */

static void rescan(struct rings *r, unsigned entry, const struct ring_out *st)
{
    static const uint64_t nothing;

    if (st->closed == st->gen) {
        rg_out_scan(r)[st->pos] = (struct ring_scan){&nothing, ~0ull};
        return;
    }
    rg_out_scan(r)[st->pos] = (struct ring_scan){
        (const uint64_t *)(const void *)next_answer(r, entry, st), st->rtaken + 1};
}

void rg_out_rescan(struct rings *r, unsigned entry, unsigned pos)
{
    struct ring_out *st = state_of(r, entry);

    st->pos = pos;
    for (uint32_t bits = st->unread; bits; bits &= bits - 1) {
        r->answers++;
        r->unread[st->to[__builtin_ctz(bits)]]++;
    }
    rescan(r, entry, st);
}

/* Slots of the inbox; they are used in any order. */
static uint32_t inbox(const struct ring_desc *d)
{
    unsigned n = RING_AREA / d->rstride;

    return n < RING_SLOTS_MAX ? (1u << n) - 1 : ~0u;
}

/*
 * Copies one answer to the inbox; false when there is none, or no place for it.  What comes once we
 * have closed has no place: the host may use the entry for another channel.  As with messages, a
 * copy counts only if the channel is still as it was: who may not answer any more may write.
 */
static bool pump_one(struct rings *r, unsigned entry, struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const uint64_t word = rg_acquire(&d->word);
    uint8_t *at = rg_entry(r, entry);
    const uint8_t *from = answers(r, entry, word) + (st->rtaken & (d->slots - 1u)) * d->rstride;
    const struct ring_record *rec;
    uint64_t index, meta, len;
    struct dtu_header *h;
    unsigned slot;
    bool fits;

    if (rg_acquire(from) != st->rtaken + 1 || !(inbox(d) & ~st->busy) || st->closed == st->gen)
        return false;
    slot = (unsigned)__builtin_ctz(inbox(d) & ~st->busy);
    h = (struct dtu_header *)(void *)(at + RING_INBOX_OFF + slot * d->rstride);
    index = rg_load(from + 8 * RING_LABEL);
    meta = rg_load(from + 8 * RING_META);
    len = meta & 0xFFFF;
    rec = &st->rec[meta >> 16 & (RING_RECORDS - 1u)];
    fits = (st->open >> (rec - st->rec) & 1) && rec->index == index && len <= rec->rmax - 1u &&
           len <= d->rmax;
    if (fits)
        rg_copy_out(h + 1, from + RING_HEAD, len);
    __asm__ volatile("" : : : "memory"); /* the copy, then the state */
    if (rg_load(&d->word) != word)
        return false;
    rg_release(&st->rtaken, st->rtaken + 1); /* the host looks */
    if (!fits) {
        r->dropped++;
    } else {
        *h = (struct dtu_header){
            .flags = DTU_HD_REPLY | DTU_HD_GRANT,
            .sender_pe = d->peer_pe,
            .sender_ep = d->peer_ep,
            .reply_ep = d->sender_ep,
            .length = (uint16_t)len,
            .sender_vpe = d->peer_vpe,
            .label = rec->label,
        };
        st->open &= ~(1ull << (rec - st->rec));
        st->granted++;
        st->busy |= 1u << slot;
        st->unread |= 1u << slot;
        r->answers++;
        r->unread[rec->ep]++;
        st->order[slot] = st->rtaken;
        st->to[slot] = rec->ep;
    }
    rg_release(&rg_ctl(at)->rtaken, st->rtaken);
    rescan(r, entry, st);
    return true;
}

/* The slot of the oldest unread answer for ep in our hands, -1: none. */
static int oldest(struct rings *r, unsigned entry, unsigned ep)
{
    const struct ring_out *st = state_of(r, entry);
    int best = -1;

    for (uint32_t bits = st->unread; bits; bits &= bits - 1) {
        int i = __builtin_ctz(bits);

        if (st->to[i] == ep && (best < 0 || st->order[i] < st->order[best]))
            best = i;
    }
    return best;
}

static inline void gather_at(struct rings *r, unsigned pos)
{
    unsigned entry = r->out[pos];

    if (rg_is_there(&rg_out_scan(r)[pos]) &&
        RING_STATE(rg_load(&rg_desc(r, entry)->word)) != RING_FREE)
        pump(r, entry, state_of(r, entry));
}

/*
 * Takes answers into our hands.  Where there are many channels this looks at eight to which was
 * sent lately (rg_asked()) and, in turn, at some of the others, as with messages (struct
 * ring_watch): a kernel has one to each other kernel, and asks a dozen endpoints for every message.
 */
static void gather(struct rings *r)
{
    struct ring_asked *a = &r->asked;

    if (a->all || r->nout <= RING_HOT + SLICE) {
        a->all = false;
        for (unsigned i = 0; i < r->nout; i++)
            gather_at(r, i);
        return;
    }
    for (unsigned i = 0; i < RING_HOT; i++)
        if (a->hot[i] < r->nout)
            gather_at(r, a->hot[i]);
    for (unsigned i = 0; i < SLICE; i++) {
        gather_at(r, a->slice);
        a->slice = (uint16_t)(a->slice + 1u < r->nout ? a->slice + 1u : 0);
    }
}

void rg_out_watch(struct rings *r)
{
    memset(&r->asked, 0, sizeof(r->asked));
    memset(r->asked.hot, 0xFF, sizeof(r->asked.hot));
    r->asked.all = true;
    r->answers = 0;
    memset(r->unread, 0, sizeof(r->unread));
}

/* Something that may be answered was sent there. */
void rg_asked(struct rings *r, unsigned pos)
{
    struct ring_asked *a = &r->asked;

    for (unsigned i = 0; i < RING_HOT; i++)
        if (a->hot[(a->last + i) % RING_HOT] == pos)
            return;
    a->last = (uint16_t)((a->last + RING_HOT - 1u) % RING_HOT);
    a->hot[a->last] = (uint16_t)pos;
}

bool rg_out_pending(struct rings *r, unsigned ep)
{
    if (ep < DTU_EPS ? r->unread[ep] : r->answers)
        return true;
    gather(r);
    return ep < DTU_EPS ? r->unread[ep] : r->answers;
}

const struct dtu_header *rg_out_take(struct rings *r, unsigned ep)
{
    if (!rg_out_pending(r, ep))
        return NULL;
    for (unsigned i = 0; i < r->nout; i++) {
        int slot = oldest(r, r->out[i], ep);

        if (slot < 0)
            continue;
        state_of(r, r->out[i])->unread &= ~(1u << slot);
        r->answers--;
        r->unread[ep]--;
        return (const struct dtu_header *)(void *)(rg_entry(r, r->out[i]) + RING_INBOX_OFF +
                                                   (unsigned)slot * rg_desc(r, r->out[i])->rstride);
    }
    return NULL;
}

void rg_out_free(struct rings *r, unsigned entry, const void *msg)
{
    const struct ring_desc *d = rg_desc(r, entry);
    uintptr_t off = (uintptr_t)msg - (uintptr_t)(rg_entry(r, entry) + RING_INBOX_OFF);

    if (d->rstride == 0 || off % d->rstride || off / d->rstride >= RING_SLOTS_MAX)
        return;
    state_of(r, entry)->busy &= ~(1u << off / d->rstride);
    rg_out_close(r, entry);
}

/* Dead, with no answers in our hands and none to come: the host may have it back. */
void rg_out_close(struct rings *r, unsigned entry)
{
    const struct ring_desc *d = rg_desc(r, entry);
    unsigned state = RING_STATE(rg_acquire(&d->word));
    struct ring_out *st = state_of(r, entry);
    bool waits = st->open != 0;

    if ((state != RING_DEAD && state != RING_GONE) || st->closed == st->gen)
        return;
    if (state == RING_GONE || rg_acquire(&rg_ctl(rg_entry(r, entry))->dst_closed) == st->gen)
        waits = false;
    if (waits || st->busy || rg_acquire(next_answer(r, entry, st)) == st->rtaken + 1)
        return;
    rg_release(&st->closed, st->gen);
    rescan(r, entry, st);
}
