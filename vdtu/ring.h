/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels between DTUs of one NoC: messages that need nobody's help (RINGS.md, include/ring.h).
 *
 * The vDTU decides who may have one, writes the descriptors, and ends it; the memory comes from the
 * owner of the NoC.  The lock of the rings comes after all DTU locks, and the callbacks here are
 * called with it held: they must not call back and must not block.
 */
#ifndef VDTU_RING_H
#define VDTU_RING_H

#include "../include/ring.h"
#include "vdtu.h"

/* The memory of one channel as the host sees it. */
struct vdtu_ring_block {
    uint8_t *shared;     /* RING_SHARED_LEN bytes that both ends map */
    uint8_t *frozen[2];  /* sender's, receiver's: RING_AREA bytes that only that one maps */
    uint64_t *closed[2]; /* sender's, receiver's private words at RING_STATE_OFF (ring_own) */
    unsigned id;         /* the owner's */
};

struct vdtu_ring_mem {
    /*
     * Zeroed memory, mapped at entry `se` of src's window and `de` of dst's (RING_SHARED_OFF), with
     * the other's status page at RING_PEER_OFF, read-only, and zeroed private memory behind.
     * 0 or -errno.
     */
    int (*map)(void *arg, unsigned src, unsigned se, unsigned dst, unsigned de,
               struct vdtu_ring_block *b);
    /* Takes the entry of `pe` out of its window: zeroed memory of its own is there instead. */
    void (*unmap)(void *arg, unsigned pe, unsigned entry);
    /* The same with the whole window. */
    void (*drop)(void *arg, unsigned pe);
    /* Nobody maps the block any more. */
    void (*put)(void *arg, const struct vdtu_ring_block *b);
};

/* Says where memory comes from; set before any use.  0 or -ENOMEM. */
int vdtu_noc_rings(struct vdtu_noc *noc, const struct vdtu_ring_mem *mem, void *arg);

/*
 * The PE wants `entries` entries (at most RING_ENTRIES_MAX) and has the table (RING_TABLE_SIZE
 * bytes, zeroed) and its own status page; all channels it had are gone.  No lock held.  0, -ENOMEM,
 * -EINVAL.
 */
int vdtu_ring_enable(struct vdtu *d, unsigned entries, void *table, struct ring_status *status);

/* It wants none any more, or its CPU starts anew.  No lock held. */
void vdtu_ring_disable(struct vdtu *d);

/*
 * A channel for send endpoint ep, which is refused when the receiver is on another node or wants
 * none, when the endpoint's slots do not fit, or when one from this PE to that endpoint exists or
 * is not drained.  Also gives back the credits of a channel that its receiver ended.  No lock held.
 */
void vdtu_ring_open(struct vdtu *d, unsigned ep);

/*
 * The same for a lane, whose channel so far, if any, ends (vdtu_ring_end()): its words say where
 * messages go.  False, and nothing was done: there is no such lane, the PE has no rings or is not
 * privileged, or these are not words of a send endpoint with unlimited credits.  No lock held.
 */
bool vdtu_ring_lane(struct vdtu *d, const struct ring_lane *lane);

/*
 * The channel of send endpoint or lane (DTU_EPS + its number) ep shall end; what was sent stays,
 * and so do the credits: those that are not out go back to the endpoint, the others when their
 * answers have come.  No lock held.
 */
void vdtu_ring_end(struct vdtu *d, unsigned ep);

/* The PE at the other end of an entry shall wake.  No lock held. */
void vdtu_ring_bell(struct vdtu *d, unsigned entry);

/* Counts messages that were not yet (vdtu_noc_pair(), vdtu_stats()).  All PEs must stand still. */
void vdtu_noc_rings_settle(struct vdtu_noc *noc);

#endif
