/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending, and the answers that come back.
 *
 * What an answer is about is this side's own record of the message it names: the receiver of a
 * message can say no more than "this is the answer to number n", once, if n is out.
 */
#include "ring_impl.h"
#include "str.h"

#define HEADER ((unsigned)sizeof(struct dtu_header))

static struct ring_out *state_of(struct rings *r, unsigned entry)
{
    const uint64_t word = rg_acquire(&rg_desc(r, entry)->word);
    struct ring_out *st = (struct ring_out *)(void *)(rg_entry(r, entry) + RING_STATE_OFF);

    if (st->gen != RING_GEN(word)) {
        memset(st, 0, sizeof(*st));
        st->gen = RING_GEN(word);
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
    r->hw.open(r->arg, ep);
    return __atomic_load_n(&rg_table(r)->out[ep], __ATOMIC_ACQUIRE);
}

/* How long an answer at that endpoint may be, plus 1; 0: there can be none. */
static unsigned answer_max(const struct rings *r, unsigned ep)
{
    uint64_t r0 = ep < DTU_EPS ? rg_load(&r->regs[DTU_EP(ep, 0) / 8]) : 0;
    unsigned size = r0 >> 32 & 0xFFFF;

    return dtu_ep_type(r0) == DTU_EP_RECV && size >= HEADER ? size - HEADER + 1 : 0;
}

/* Answers that have come, taken or not: so many credits are back. */
static uint64_t credits_back(const struct rings *r, unsigned entry, const struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const uint8_t *area = rg_entry(r, entry) + RING_REP_OFF;
    uint64_t n = st->rtaken;

    while (n - st->rtaken < d->slots &&
           rg_acquire(area + (n & (d->slots - 1u)) * d->rstride) == n + 1)
        n++;
    return n;
}

/* SE_OK: there is room for message `sent`. */
static unsigned room(struct rings *r, unsigned entry, struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);
    const struct ring_ctl *ctl = rg_ctl(rg_entry(r, entry));

    if (d->limited) {
        if (st->sent - st->granted >= d->cap &&
            st->sent - (st->granted + credits_back(r, entry, st) - st->rtaken) >= d->cap)
            return SE_MISS_CREDITS;
    } else if (st->sent - st->freed >= d->cap) {
        st->freed = rg_acquire(&ctl->freed);
        if (st->sent - st->freed >= d->cap)
            return SE_NO_RING_SPACE;
    }
    if (st->sent - st->floor >= d->slots) {
        st->floor = rg_acquire(&ctl->floor);
        if (st->sent - st->floor >= d->slots)
            return RING_TRAP; /* room, but an old one is in the way */
    }
    return SE_OK;
}

/* The channel died while we wrote: was that one accepted? */
static unsigned outcome(struct rings *r, unsigned entry, struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);

    r->hw.sync(r->arg);
    if (RING_STATE(rg_acquire(&d->word)) == RING_DYING)
        r->hw.sync(r->arg);
    if (RING_GEN(rg_acquire(&d->word)) == st->gen && rg_load(&d->last) > st->sent) {
        st->sent++;
        return SE_OK;
    }
    st->rec[st->sent & (d->slots - 1u)].open = 0;
    return RING_TRAP;
}

static bool pump_one(struct rings *r, unsigned entry, struct ring_out *st);

unsigned ring_send(struct rings *r, unsigned ep, const void *data, size_t len, unsigned reply_ep,
                   uint64_t reply_label)
{
    unsigned entry = RING_NO_ENTRY, err, rmax, slot;
    const struct ring_desc *d;
    struct ring_out *st;
    uint64_t word;
    uint8_t *at;

    if (!r->on || ep >= DTU_EPS || r->own >> ep & 1)
        return RING_TRAP;
    entry = __atomic_load_n(&rg_table(r)->out[ep], __ATOMIC_ACQUIRE);
    if (entry >= RING_ENTRIES_MAX && (entry = by_trap(r, ep)) >= RING_ENTRIES_MAX)
        return RING_TRAP;
    d = rg_desc(r, entry);
    word = rg_acquire(&d->word);
    if (RING_STATE(word) != RING_LIVE || d->role != RING_OUT || d->ep != ep)
        return RING_TRAP;
    st = state_of(r, entry);
    if (len > d->max)
        return SE_INV_ARGS;
    rmax = answer_max(r, reply_ep);
    if (rmax > d->rmax + 1u)
        return RING_TRAP;
    err = room(r, entry, st);
    if (err)
        return err;
    slot = (unsigned)(st->sent & (d->slots - 1u));
    /* The record there is still of use to an answer that has come and was not looked at. */
    while (st->rec[slot].open && pump_one(r, entry, st))
        ;
    st->rec[slot] =
        (struct ring_record){st->sent, reply_label, (uint16_t)rmax, (uint8_t)reply_ep, rmax != 0};
    at = rg_entry(r, entry) + RING_FWD_OFF + slot * d->stride;
    rg_copy_in(at + RING_HEAD, data, len);
    rg_store(at + 8 * RING_LABEL, reply_label);
    rg_store(at + 8 * RING_META, len | (uint64_t)rmax << 16 | (uint64_t)(reply_ep & 0xFF) << 32);
    rg_release(at, st->sent + 1);
    ring_fence(); /* published, then: does it live, does it sleep? */
    if (rg_load(&d->word) != word)
        return outcome(r, entry, st);
    st->sent++;
    r->uses[ep] = 0;
    rg_notify(r, entry);
    return SE_OK;
}

/* ---- answers ---- */

static void rescan(struct rings *r, unsigned entry, const struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);

    rg_out_scan(r)[st->pos] = (struct ring_scan){
        (const uint64_t *)(const void *)(rg_entry(r, entry) + RING_REP_OFF +
                                         (st->rtaken & (d->slots - 1u)) * d->rstride),
        st->rtaken + 1};
}

void rg_out_rescan(struct rings *r, unsigned entry, unsigned pos)
{
    struct ring_out *st = state_of(r, entry);

    st->pos = pos;
    for (uint32_t bits = st->unread; bits; bits &= bits - 1)
        r->answers++;
    rescan(r, entry, st);
}

/* Copies one answer to the inbox; false when there is none, or no place for it. */
static bool pump_one(struct rings *r, unsigned entry, struct ring_out *st)
{
    const struct ring_desc *d = rg_desc(r, entry);
    unsigned slot = (unsigned)(st->rtaken & (d->slots - 1u));
    uint8_t *at = rg_entry(r, entry);
    const uint8_t *from = at + RING_REP_OFF + slot * d->rstride;
    struct dtu_header *h = (struct dtu_header *)(void *)(at + RING_INBOX_OFF + slot * d->rstride);
    struct ring_record *rec;
    uint64_t index, len;

    if (st->busy >> slot & 1 || rg_acquire(from) != st->rtaken + 1)
        return false;
    index = rg_load(from + 8 * RING_LABEL);
    len = rg_load(from + 8 * RING_META) & 0xFFFF;
    rec = &st->rec[index & (d->slots - 1u)];
    st->rtaken++;
    if (!rec->open || rec->index != index || len > rec->rmax - 1u || len > d->rmax) {
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
        rg_copy_out(h + 1, from + RING_HEAD, len);
        rec->open = 0;
        st->granted++;
        st->busy |= 1u << slot;
        st->unread |= 1u << slot;
        r->answers++;
        st->order[slot] = st->rtaken;
        st->to[slot] = rec->ep;
    }
    rg_release(&rg_ctl(at)->rtaken, st->rtaken);
    rescan(r, entry, st);
    return true;
}

/* The slot of the oldest unread answer for ep (DTU_EPS: for any), -1: none. */
static int oldest(struct rings *r, unsigned entry, unsigned ep)
{
    struct ring_out *st = state_of(r, entry);
    unsigned slots = rg_desc(r, entry)->slots;
    int best = -1;

    if (RING_STATE(rg_load(&rg_desc(r, entry)->word)) == RING_FREE || slots == 0)
        return -1;
    for (unsigned i = 0; i < slots && pump_one(r, entry, st); i++)
        ;
    for (unsigned i = 0; st->unread >> i && i < slots; i++)
        if (st->unread >> i & 1 && (ep == DTU_EPS || st->to[i] == ep) &&
            (best < 0 || st->order[i] < st->order[best]))
            best = (int)i;
    return best;
}

/* Is there anything to look at more closely? */
static bool something(const struct rings *r)
{
    const struct ring_scan *scan = rg_out_scan(r);

    if (r->answers)
        return true;
    for (unsigned i = 0; i < r->nout; i++)
        if (rg_acquire(scan[i].seq) == scan[i].want)
            return true;
    return false;
}

bool rg_out_pending(struct rings *r, unsigned ep)
{
    if (!something(r))
        return false;
    for (unsigned i = 0; i < r->nout; i++)
        if (oldest(r, r->out[i], ep) >= 0)
            return true;
    return false;
}

const struct dtu_header *rg_out_take(struct rings *r, unsigned ep)
{
    if (!something(r))
        return NULL;
    for (unsigned i = 0; i < r->nout; i++) {
        int slot = oldest(r, r->out[i], ep);

        if (slot < 0)
            continue;
        state_of(r, r->out[i])->unread &= ~(1u << slot);
        r->answers--;
        return (const struct dtu_header *)(void *)(rg_entry(r, r->out[i]) + RING_INBOX_OFF +
                                                   (unsigned)slot * rg_desc(r, r->out[i])->rstride);
    }
    return NULL;
}

void rg_out_free(struct rings *r, unsigned entry, const void *msg)
{
    const struct ring_desc *d = rg_desc(r, entry);
    uintptr_t off = (uintptr_t)msg - (uintptr_t)(rg_entry(r, entry) + RING_INBOX_OFF);

    if (d->rstride == 0 || off % d->rstride || off / d->rstride >= d->slots)
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
    const uint8_t *area = rg_entry(r, entry) + RING_REP_OFF;
    bool waits = false;

    if ((state != RING_DEAD && state != RING_GONE) || st->closed == st->gen)
        return;
    for (unsigned i = 0; i < d->slots; i++)
        waits |= st->rec[i].open;
    if (state == RING_GONE || rg_acquire(&rg_ctl(rg_entry(r, entry))->dst_closed) == st->gen)
        waits = false;
    if (waits || st->busy ||
        rg_acquire(area + (st->rtaken & (d->slots - 1u)) * d->rstride) == st->rtaken + 1)
        return;
    rg_release(&st->closed, st->gen);
}
