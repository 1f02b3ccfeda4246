/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of the rings.  All functions want the lock of the rings held.
 */
#ifndef VDTU_RING_IMPL_H
#define VDTU_RING_IMPL_H

#include "internal.h"
#include "ring.h"

enum { SRC = 0, DST = 1 };

struct vdtu_chan {
    struct vdtu_chan *next; /* noc->rings */
    uint32_t gen;
    enum ring_state state;
    /* By end: its DTU, entry and endpoint (the sender's may be a lane); is the entry still its;
     * does it need it no more. */
    struct vdtu *d[2];
    uint16_t entry[2];
    uint8_t ep[2];
    bool attached[2], done[2];
    bool left; /* the sender has its entry back, the receiver has not taken all */
    uint16_t slots, stride, rstride;
    uint16_t credits; /* messages that were taken from the endpoint's credits; 0: unlimited */
    uint16_t price;   /* credits of one message */
    bool kept;        /* the host's copy is what counts */
    bool mute;        /* so it is of answers: the receiver has no endpoint any more, or is gone */
    bool back;        /* its credits go back to the endpoint; so many messages' did: */
    uint16_t given;
    uint64_t total;      /* messages, once it is not alive */
    uint64_t counted[2]; /* of what each end has sent */
    struct vdtu_ring_block block;
};

/* What a DTU whose PE wants rings has. */
struct vdtu_ring {
    unsigned entries;
    uint8_t *table;
    struct ring_status *status;
    unsigned left; /* channels to here whose senders have their entries back */
    /* Channels that begin at the endpoint or lane and live, or end there; atomic. */
    uint32_t live[RING_SENDS];
    uint64_t lane[RING_LANES][3]; /* words; the DTU's lock */
    struct vdtu_chan *chan[RING_ENTRIES_MAX];
};

struct vdtu_rings {
    pthread_mutex_t lock;
    struct vdtu_ring_mem mem;
    void *arg;
    uint32_t gens;
    struct vdtu_chan *chans;
};

static inline uint64_t ring_get(const void *p)
{
    return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
}
static inline void ring_set(void *p, uint64_t value)
{
    __atomic_store_n((uint64_t *)p, value, __ATOMIC_RELAXED);
}

struct ring_desc *vdtu_chan_desc(const struct vdtu_chan *c, unsigned end);
struct ring_table *vdtu_ring_table(const struct vdtu *d);

/* The table of d has changed. */
void vdtu_ring_touch(struct vdtu *d);

/* What `end` has sent, as the slots say: what its PE wrote, so good for its own affairs only. */
uint64_t vdtu_chan_sent(const struct vdtu_chan *c, unsigned end);

/*
 * Nothing is accepted any more.  keep: what was sent is the receiver's to take; else it is lost
 * with its endpoint.  Then, for each end that is gone, the other learns that.
 */
void vdtu_chan_kill(struct vdtu_chan *c, bool keep);
void vdtu_chan_gone(struct vdtu_chan *c, unsigned end);
/*
 * The receiver has lost its endpoint, and so its right to answer what it has.  It still has its
 * entry: it may be in the middle of an answer, which must not come to be in another channel.
 */
void vdtu_chan_no_endpoint(struct vdtu_chan *c);
/* Besides, what it has not taken is lost.  The channel does not live. */
void vdtu_chan_discard(struct vdtu_chan *c);

/*
 * With `back`: owes the endpoint what has become free since, as the receiver's own words say, and
 * so nothing once that is gone.  The sender is attached.
 */
void vdtu_chan_give(struct vdtu_chan *c);

/*
 * Each end that has no use for it any more gets its entry back, whatever the other says; when
 * neither has, it is freed.
 */
void vdtu_chan_reap(struct vdtu_chan *c);

/* Counts what was sent since the last time. */
void vdtu_chan_count(struct vdtu_chan *c);

#endif
