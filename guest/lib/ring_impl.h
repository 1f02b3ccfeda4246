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

/*
 * From the end to the beginning: the first line, which the other side polls, is written last and in
 * one go.  Else the poll takes it away in between, and it has to be fetched back.
 */
static inline void rg_copy_in(uint8_t *slot, const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t words = len & ~(size_t)7, blocks = len & ~(size_t)15;
    uint64_t w = 0;

    if (len > words) {
        __builtin_memcpy(&w, from + words, len - words);
        rg_store(slot + words, w);
    }
    if (words > blocks) {
        __builtin_memcpy(&w, from + blocks, 8);
        rg_store(slot + blocks, w);
    }
    for (; blocks & 63; blocks -= 16)
        rg_move_block(slot + blocks - 16, from + blocks - 16);
    for (; blocks; blocks -= 64) {
        rg_move_block(slot + blocks - 16, from + blocks - 16);
        rg_move_block(slot + blocks - 32, from + blocks - 32);
        rg_move_block(slot + blocks - 48, from + blocks - 48);
        rg_move_block(slot + blocks - 64, from + blocks - 64);
    }
}

static inline void rg_copy_out(void *data, const uint8_t *slot, size_t len)
{
    uint8_t *to = data;
    uint64_t w;

    for (; len >= 64; len -= 64, to += 64, slot += 64) {
        rg_move_block(to, slot);
        rg_move_block(to + 16, slot + 16);
        rg_move_block(to + 32, slot + 32);
        rg_move_block(to + 48, slot + 48);
    }
    for (; len >= 16; len -= 16, to += 16, slot += 16)
        rg_move_block(to, slot);
    if (len >= 8) {
        w = rg_load(slot);
        __builtin_memcpy(to, &w, 8);
        len -= 8, to += 8, slot += 8;
    }
    if (len) {
        w = rg_load(slot);
        __builtin_memcpy(to, &w, len);
    }
}

/*
 * Copies the message in a slot to h; its meta word, or ~0 when the channel is not as it was.  The
 * header in words: the third holds the end of one field and the beginning of the next.
 */
static inline uint64_t rg_copy_message(const struct ring_now *now, const uint8_t *slot, uint8_t *h)
{
    const struct ring_desc *d = now->d;
    const uint64_t word = now->word, reply_label = rg_load(slot + 8 * RING_LABEL);
    const uint64_t meta = rg_load(slot + 8 * RING_META) & 0xFFFFFFFFFFFFull;
    const uint64_t len = meta & 0xFFFF, first = now->head[0], second = now->head[1];
    const uint64_t label = now->label;

    rg_put(h, first | (meta & 0xFFull << 32) | len << 40);
    rg_put(h + 8, second);
    rg_put(h + offsetof(struct dtu_header, label), label);
    rg_put(h + offsetof(struct dtu_header, reply_label), reply_label);
    if (len <= now->max)
        rg_copy_out(h + sizeof(struct dtu_header), slot + RING_HEAD, len);
    __asm__ volatile("" : : : "memory"); /* the copy, then the state: x86 keeps loads in order */
    return rg_load(&d->word) == word ? meta : ~0ull;
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
void rg_in_scan(struct rings *r, unsigned entry, unsigned pos);
int rg_in_find(struct rings *r, unsigned ep);
void rg_in_watch(struct rings *r);         /* after the lists have changed */
bool rg_in_any(struct rings *r, bool all); /* all: overlooks none */
void rg_in_free(struct rings *r, unsigned entry, const void *msg);
/* The same for the message taken last; false: it is not, or not that channel's any more. */
bool rg_in_free_last(struct rings *r, const void *msg);
unsigned rg_in_reply(struct rings *r, unsigned entry, const struct dtu_header *msg,
                     const void *data, size_t len);

/* ---- ring_out.c ---- */
bool rg_out_pending(struct rings *r, unsigned ep); /* DTU_EPS: any */
const struct dtu_header *rg_out_take(struct rings *r, unsigned ep);
void rg_out_free(struct rings *r, unsigned entry, const void *msg);
void rg_out_close(struct rings *r, unsigned entry);
void rg_out_watch(struct rings *r); /* after the lists have changed */
void rg_out_rescan(struct rings *r, unsigned entry, unsigned pos);

#endif
