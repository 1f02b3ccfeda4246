/* SPDX-License-Identifier: BSD-2-Clause */
/* Between ring.c, ring_in.c and ring_out.c; and the tests, which play hostile PEs. */
#ifndef GUEST_RING_IMPL_H
#define GUEST_RING_IMPL_H

#include "dtu.h"
#include "ring.h"
#include "ring_lib.h"

/* The private page of an entry.  It starts as zeros; `gen` says whose state it is. */
struct ring_in {
    uint64_t closed; /* enum ring_own: where the host looks, too */
    uint64_t gen;
    uint64_t taken, freed; /* out of the ring; of those, answered or acknowledged */
    uint64_t granted;      /* answers given: credits that went back */
    uint64_t rtaken;       /* the sender's, as last read */
    uint32_t held;         /* slots of the inbox that the program has; of their messages: */
    uint32_t pos;          /* in the list and the scan array */
    uint64_t index[RING_SLOTS_MAX];
    uint64_t meta[RING_SLOTS_MAX]; /* enum ring_slot */
};

/*
 * Of a message that may still be answered.  There are as many as can be out and, besides, answered
 * while the program has not looked.
 */
#define RING_RECORDS (2 * RING_SLOTS_MAX)
struct ring_record {
    uint64_t index, label;
    uint16_t rmax;
    uint8_t ep;
};
struct ring_out {
    uint64_t closed;
    uint64_t gen;
    uint64_t sent, freed;     /* the latter as last read */
    uint64_t rtaken, granted; /* answers looked at; those that were right */
    uint64_t open;            /* records in use */
    uint32_t busy, unread;    /* by slot of the inbox */
    uint32_t pos;             /* in the list and the scan array */
    uint64_t order[RING_SLOTS_MAX];
    uint8_t to[RING_SLOTS_MAX]; /* endpoint that an unread answer is for */
    struct ring_record rec[RING_RECORDS];
};
_Static_assert(sizeof(struct ring_in) <= RING_INBOX_OFF - RING_STATE_OFF &&
                   sizeof(struct ring_out) <= RING_INBOX_OFF - RING_STATE_OFF &&
                   RING_INBOX_OFF + RING_AREA <= RING_FROZEN_OFF &&
                   RING_FROZEN_OFF + RING_AREA <= RING_ENTRY_SIZE,
               "in each other's way");
_Static_assert(offsetof(struct ring_in, closed) == 8 * RING_OWN_CLOSED &&
                   offsetof(struct ring_in, gen) == 8 * RING_OWN_GEN &&
                   offsetof(struct ring_in, taken) == 8 * RING_OWN_TAKEN &&
                   offsetof(struct ring_in, granted) == 8 * RING_OWN_GRANTED &&
                   offsetof(struct ring_out, closed) == 8 * RING_OWN_CLOSED &&
                   offsetof(struct ring_out, gen) == 8 * RING_OWN_GEN &&
                   offsetof(struct ring_out, rtaken) == 8 * RING_OWN_RTAKEN,
               "where the host looks");

static inline uint64_t rg_load(const void *p)
{
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
}
static inline uint64_t rg_acquire(const void *p)
{
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}
static inline void rg_store(void *p, uint64_t v)
{
    __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED);
}
static inline void rg_release(void *p, uint64_t v)
{
    __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE);
}

static inline const struct ring_table *rg_table(const struct rings *r)
{
    return (const struct ring_table *)(const void *)r->table;
}
static inline const struct ring_desc *rg_desc(const struct rings *r, unsigned entry)
{
    return (const struct ring_desc *)(const void *)(r->table + RING_DESC_OFF) + entry;
}
static inline uint8_t *rg_entry(const struct rings *r, unsigned entry)
{
    return r->window + RING_ENTRY0_OFF + entry * (size_t)RING_ENTRY_SIZE;
}
/* The book-keeping of an entry by which something comes. */
static inline struct ring_in *rg_in_state(const struct rings *r, unsigned entry)
{
    return (struct ring_in *)(void *)(rg_entry(r, entry) + RING_STATE_OFF);
}
static inline struct ring_ctl *rg_ctl(uint8_t *at)
{
    return (struct ring_ctl *)(void *)(at + RING_CTL_OFF);
}
/* The same for answers, by position in `out`. */
static inline struct ring_scan *rg_out_scan(const struct rings *r)
{
    return (struct ring_scan *)(void *)(r->window + RING_SCAN_OFF +
                                        RING_ENTRIES_MAX * sizeof(struct ring_scan));
}

static inline struct ring_scan *rg_scan(const struct rings *r)
{
    return (struct ring_scan *)(void *)(r->window + RING_SCAN_OFF);
}

/*
 * Payloads go through rings in blocks and words; the buffer on our side may lie anywhere.  What the
 * other side changes meanwhile is a payload like any other.
 */
typedef long long rg_block __attribute__((vector_size(16), aligned(1), may_alias));

/* Anywhere. */
static inline void rg_put(void *to, uint64_t v)
{
    __builtin_memcpy(to, &v, sizeof(v));
}

static inline void rg_move_block(void *to, const void *from)
{
    *(volatile rg_block *)to = *(const volatile rg_block *)from;
}

static inline void rg_move_line(void *to, const void *from)
{
    const uint8_t *f = from;
    uint8_t *t = to;

    rg_move_block(t + 48, f + 48);
    rg_move_block(t + 32, f + 32);
    rg_move_block(t + 16, f + 16);
    rg_move_block(t, f);
}

/*
 * From the end to the beginning: the first line, which the other side polls, is written last and in
 * one go.  Else the poll takes it away in between, and it has to be fetched back.
 */
static inline void rg_copy_in(uint8_t *slot, const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t lines = len & ~(size_t)63, at = len & ~(size_t)15;
    uint64_t w = 0;

    if (len & 63) {
        if (len & 7) {
            __builtin_memcpy(&w, from + (len & ~(size_t)7), len & 7);
            rg_store(slot + (len & ~(size_t)7), w);
        }
        if (len & 8) {
            __builtin_memcpy(&w, from + at, 8);
            rg_store(slot + at, w);
        }
        for (; at > lines; at -= 16)
            rg_move_block(slot + at - 16, from + at - 16);
    }
    for (; lines; lines -= 64)
        rg_move_line(slot + lines - 64, from + lines - 64);
}

static inline void rg_copy_out(void *data, const uint8_t *slot, size_t len)
{
    uint8_t *to = data;
    uint64_t w;

    for (size_t lines = len >> 6; lines; lines--, to += 64, slot += 64) {
        rg_move_block(to, slot);
        rg_move_block(to + 16, slot + 16);
        rg_move_block(to + 32, slot + 32);
        rg_move_block(to + 48, slot + 48);
    }
    if (!(len & 63))
        return;
    for (len &= 63; len >= 16; len -= 16, to += 16, slot += 16)
        rg_move_block(to, slot);
    if (len & 8) {
        w = rg_load(slot);
        __builtin_memcpy(to, &w, 8);
        to += 8, slot += 8;
    }
    if (len & 7) {
        w = rg_load(slot);
        __builtin_memcpy(to, &w, len & 7);
    }
}

/*
 * Copies the message in a slot to h, of which `meta` is what the slot said, and `len` bytes of
 * payload; false: the channel is not as it was.  The header in words: the third holds the end of
 * one field and the beginning of the next.
 */
static inline bool rg_copy_message(const struct ring_now *now, const uint8_t *slot, uint8_t *h,
                                   uint64_t meta, size_t len)
{
    const uint64_t reply_label = rg_load(slot + 8 * RING_LABEL);

    rg_put(h, now->head[0] | (meta & 0xFFull << 32) | (meta & 0xFFFF) << 40);
    rg_put(h + 8, now->head[1]);
    rg_put(h + offsetof(struct dtu_header, label), now->label);
    rg_put(h + offsetof(struct dtu_header, reply_label), reply_label);
    rg_copy_out(h + sizeof(struct dtu_header), slot + RING_HEAD, len);
    __asm__ volatile("" : : : "memory"); /* the copy, then the state: x86 keeps loads in order */
    return rg_load(&now->d->word) == now->word;
}

/* The inbox has as many slots as the ring; they are used in any order. */
static inline uint32_t rg_free_slots(const struct ring_desc *d, const struct ring_in *st)
{
    return ~st->held & (uint32_t)((1ull << d->slots) - 1);
}

/* May the sender have this message here?  What it claims about its credits is not asked. */
static inline bool rg_allowed(const struct ring_desc *d, const struct ring_in *st)
{
    if (!rg_free_slots(d, st))
        return false;
    return d->limited ? st->taken < d->cap + st->granted : st->taken - st->freed < d->cap;
}

/* Is there one at the endpoint that came by a trap? */
static inline bool rg_unread(const struct rings *r, unsigned ep)
{
    uint64_t r0 = rg_acquire(&r->regs[DTU_EP(ep, 0) / 8]);

    return dtu_ep_type(r0) == DTU_EP_RECV && (r0 & 0xFFFF);
}

/*
 * Who has taken the last one of a stream of messages that want no answer is faster than its sender.
 * To look at once for the next would take the line away in which that is being written, and each
 * message would travel alone; so, once, some are let gather.
 */
#define RING_GATHER 12u /* pauses: a third of a microsecond */
static inline void rg_gather(struct ring_now *now)
{
    now->stream = false;
    for (unsigned i = 0; i < RING_GATHER; i++)
        __builtin_ia32_pause();
}

void rg_in_scan(struct rings *r, unsigned entry, unsigned pos);

/* One more is free: the sender of an unlimited channel looks there, for room and for which messages
 * nobody can answer any more. */
static inline void rg_say_freed(struct ring_ctl *ctl, const struct ring_in *st)
{
    uint64_t floor = st->taken;

    for (uint32_t bits = st->held; bits; bits &= bits - 1)
        if (st->index[__builtin_ctz(bits)] < floor)
            floor = st->index[__builtin_ctz(bits)];
    rg_store(&ctl->floor, floor);
    rg_release(&ctl->freed, st->freed);
}

/* Where there are credits the answers say all. */
static inline void rg_one_freed(struct rings *r, unsigned entry, struct ring_in *st)
{
    const struct ring_desc *d = rg_desc(r, entry);

    st->freed++;
    if (!d->limited)
        rg_say_freed(rg_ctl(rg_entry(r, entry)), st);
    /* Else nothing is allowed that was not before. */
    if (rg_scan(r)[st->pos].want == ~0ull || RING_STATE(rg_acquire(&d->word)) != RING_LIVE)
        rg_in_scan(r, entry, st->pos);
}

/* For the compiler's own it would have to be told that the CPU has it; one that has not ignores it.
 */
static inline void rg_prefetch_own(const void *p)
{
    __asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)p));
}

#define RING_LEAD 4u /* messages from one to that whose lines it asks for */

/* Where no message will be. */
extern const uint64_t rg_nothing;

#define RING_AHEAD 2u /* messages to fetch into the cache before they are asked for */
/* Messages of one channel before the others are looked at; and where there are no others. */
#define RING_RUN       8u
#define RING_RUN_ALONE 32u

/*
 * Takes message `taken` of the channel in hand, which is in that slot, may be taken, and says that
 * of itself; `len` bytes of payload.  NULL: the channel is not as it was.
 */
static inline const struct dtu_header *rg_take(struct ring_now *now, const uint8_t *slot,
                                               uint64_t taken, uint64_t meta, size_t len)
{
    struct ring_in *st = now->st;
    const uint32_t held = st->held;
    const unsigned to = (unsigned)__builtin_ctz(now->slots & ~held);
    uint8_t *h = now->inbox + to * now->stride;

    if (!rg_copy_message(now, slot, h, meta, len))
        return NULL;
    rg_release(&st->taken, taken + 1);
    st->held = held | 1u << to;
    st->index[to] = taken;
    st->meta[to] = meta;
    now->msg = h;
    now->slot = to;
    now->stream = !(meta >> 16 & 0xFFFF);
    return (const struct dtu_header *)(void *)h;
}

/* Where the next message will be: not in the ring if none is allowed, where the sender could write
 * ~0.  `taken` have been. */
static inline void rg_look_ahead(struct ring_now *now, uint64_t taken)
{
    const uint8_t *slot = now->area + (taken & now->mask) * now->stride;
    const bool any = taken - *now->back < now->cap && (now->slots & ~now->st->held);

    now->scan->seq = any ? (const uint64_t *)(const void *)slot : &rg_nothing;
    now->scan->want = any ? taken + 1 : ~0ull;
    /* Of a sender that is ahead of us that one is there, too, in the other core's cache. */
    slot = now->area + ((taken + RING_AHEAD) & now->mask) * now->stride;
    __builtin_prefetch(slot);
    __builtin_prefetch(slot + 64);
}

/* How long an answer at that endpoint may be, plus 1; 0: there can be none. */
static inline unsigned rg_answer_max(const struct rings *r, unsigned ep)
{
    uint64_t r0 = ep < DTU_EPS ? rg_load(&r->regs[DTU_EP(ep, 0) / 8]) : 0;
    unsigned size = r0 >> 32 & 0xFFFF;

    return dtu_ep_type(r0) == DTU_EP_RECV && size >= sizeof(struct dtu_header)
               ? size - (unsigned)sizeof(struct dtu_header) + 1
               : 0;
}

/* Rings the bell of the PE at the other end if it sleeps; behind a ring_fence(). */
void rg_notify(struct rings *r, unsigned entry);

/*
 * Nobody may answer there any more: SE_OK all the same if the host kept the first `granted`
 * answers, else the error.
 */
__attribute__((noinline)) unsigned rg_late(struct rings *r, unsigned entry, uint64_t granted);

/* The lists, when the table has changed. */
void rg_rebuild(struct rings *r);
static inline void rg_refresh(struct rings *r)
{
    if (rg_acquire(&rg_table(r)->version) != r->version)
        rg_rebuild(r);
}

static inline bool rg_is_there(const struct ring_scan *scan)
{
    return rg_acquire(scan->seq) == scan->want;
}

/* ---- ring_in.c ---- */
int rg_in_find(struct rings *r, unsigned ep);
void rg_in_watch(struct rings *r);         /* after the lists have changed */
bool rg_in_any(struct rings *r, bool all); /* all: overlooks none */
uint32_t rg_in_news(struct rings *r);
void rg_in_free(struct rings *r, unsigned entry, const void *msg);
unsigned rg_in_reply(struct rings *r, unsigned entry, const struct dtu_header *msg,
                     const void *data, size_t len);

/* ---- behind the quick ways (ring_quick.c), which do what these do ---- */
const struct dtu_header *rg_fetch(struct rings *r, unsigned ep); /* ring_in.c */
void rg_ack(struct rings *r, const struct dtu_header *msg);      /* ring.c */
unsigned rg_send(struct rings *r, unsigned ep, const void *data, size_t len, unsigned reply_ep,
                 uint64_t reply_label); /* ring_out.c */
/* The channel died while message `sent` was written: SE_OK if it was accepted, else RING_TRAP. */
__attribute__((noinline)) unsigned rg_outcome(struct rings *r, unsigned entry, struct ring_out *st,
                                              uint64_t rec);

/* ---- ring_out.c ---- */
void rg_asked(struct rings *r, unsigned pos); /* a message was sent there that may be answered */
bool rg_out_pending(struct rings *r, unsigned ep); /* DTU_EPS: any */
const struct dtu_header *rg_out_take(struct rings *r, unsigned ep);
void rg_out_free(struct rings *r, unsigned entry, const void *msg);
void rg_out_close(struct rings *r, unsigned entry);
void rg_out_watch(struct rings *r); /* after the lists have changed */
void rg_out_rescan(struct rings *r, unsigned entry, unsigned pos);

#endif
