/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings: messages between two PEs of one node without an exit (vdtu/RINGS.md is the text of
 * record).  A PE that stores to VREG_RING gets two things: a *table* behind our register page,
 * which only the host writes, and a *window*, memory in which the host maps what PEs share.  A
 * channel, from one send endpoint to one receive endpoint, takes one entry of the table and one of
 * the window at either end.
 */
#ifndef SEMPER_RING_H
#define SEMPER_RING_H

#include <stdint.h>

#include "dtu.h"

#define RING_ENTRIES_MAX 1024u
#define RING_SLOTS_MAX   32u
#define RING_AREA        0x4000u /* bytes of slots in one direction */
#define RING_NO_ENTRY    0xFFFFu
#define RING_PAGE        4096u

/*
 * Lanes: a kernel sends to more receivers than it has endpoints.  A privileged PE, which could
 * write any words to an endpoint of its own, may ask for a channel for words that are none's: with
 * a store of this struct's local address to VREG_RING_LANE.  A lane's channel is the sender's like
 * that of send endpoint DTU_EPS + lane.
 */
#define RING_LANES 128u
#define RING_SENDS (DTU_EPS + RING_LANES)
struct ring_lane {
    uint64_t lane;
    uint64_t words[3]; /* of a send endpoint with unlimited credits */
};

/* ---- the table: read-only for the PE ---- */

#define RING_TABLE_GPA  0x5C0002000ull
#define RING_STAMPS_OFF 0x1000u /* uint64_t [DTU_EPS][DTU_MAX_SLOTS] */
#define RING_DESC_OFF   0x2000u /* struct ring_desc [RING_ENTRIES_MAX] */
#define RING_TABLE_SIZE 0x12000u

struct ring_table {
    uint64_t version;         /* changes with anything in here */
    uint32_t entries;         /* as granted */
    uint32_t high;            /* entries from here on were never used */
    uint16_t out[RING_SENDS]; /* the live channel of a send endpoint or lane, or RING_NO_ENTRY */
};

enum ring_state {
    RING_FREE = 0,
    RING_LIVE = 1,
    RING_DYING = 2, /* the host is between LIVE and DEAD */
    RING_DEAD = 3,  /* nothing is accepted any more; what was can be taken and answered */
    RING_GONE = 4,  /* besides, the receiver has no endpoint, or one side is gone: no answers */
};
enum ring_role { RING_OUT = 1, RING_IN = 2 };

/* One end of a channel.  `word` is generation << 8 | state; all else is valid while it is. */
struct ring_desc {
    uint64_t word;
    uint64_t label; /* IN: the header's label */
    uint64_t last;  /* OUT, when dead: messages below this index were accepted; IN, when gone: */
                    /* answers below were kept */
    uint16_t peer_pe, peer_vpe;
    uint8_t role, ep, peer_ep;
    uint8_t sender_ep;  /* IN: the header's */
    uint16_t slots;     /* a power of two */
    uint16_t cap;       /* messages that may be out at once */
    uint16_t stride;    /* bytes from slot to slot, forward */
    uint16_t rstride;   /* for answers */
    uint16_t max, rmax; /* payload bytes of a message, of an answer */
    uint8_t limited;    /* cap is credits, which answers bring back; else slots, which ACKs free */
    uint8_t fewer; /* than the receiver's endpoint has: when they are full that may have room */
    uint8_t pad[14];
};
_Static_assert(sizeof(struct ring_desc) == 64, "a cache line each");
_Static_assert(sizeof(struct ring_table) <= RING_STAMPS_OFF, "behind it");

#define RING_WORD(gen, state) ((uint64_t)(gen) << 8 | (state))
#define RING_STATE(word)      ((unsigned)((word)&0xFF))
#define RING_GEN(word)        ((uint32_t)((word) >> 8))

/*
 * Of a message that came by a trap while its sender had a channel to the same endpoint: entry + 1
 * (15:0), generation (31:16), and how many of the channel's messages were sent before (63:32).
 * 0: none.
 */
static inline uint64_t ring_stamp(unsigned entry, uint32_t gen, uint64_t index)
{
    return (entry + 1u) | (uint64_t)(gen & 0xFFFF) << 16 | index << 32;
}

/* ---- the window ---- */

#define RING_WINDOW_GPA  0x5D0000000ull
#define RING_STATUS_OFF  0x0000u  /* struct ring_status of this PE; others see it read-only */
#define RING_NODE_OFF    0x1000u  /* struct ring_node, read-only */
#define RING_SCRATCH_OFF 0x2000u  /* the PE's own: */
#define RING_SCAN_OFF    0x2400u  /* where it looks for messages */
#define RING_ENTRY0_OFF  0x10000u /* entry 0 */
#define RING_ENTRY_SIZE  0x14000u

struct ring_status {
    uint32_t sleeping; /* is about to wait: ring its bell */
};
struct ring_node {
    uint32_t running; /* PEs that are not asleep */
    uint32_t cores;
};

/*
 * Within an entry.  What is used for every message begins at different places of its pages: else
 * all of it would compete for the same few lines of the first cache.  A payload in the inbox begins
 * with a line: the header, 25 bytes, is before.
 */
#define RING_PEER_OFF    0x0000u /* the other PE's status page, read-only */
#define RING_SHARED_OFF  0x1000u /* what both ends map: */
#define RING_CTL_OFF     0x1C00u
#define RING_FWD_OFF     0x2000u
#define RING_REP_OFF     0x6000u
#define RING_SHARED_LEN  0x9000u
#define RING_PRIVATE_OFF (RING_SHARED_OFF + RING_SHARED_LEN) /* from here on this PE's alone: */
#define RING_STATE_OFF   0xA800u                             /* its book-keeping, */
#define RING_INBOX_OFF   0xB227u /* where messages are copied to before anything reads them, */
#define RING_FROZEN_OFF  0xF280u /* IN: what the host kept of a channel that has died; OUT: */
                                 /* of the answers, once it is gone */

/* Never trusted by the other side for more than its own good. */
struct ring_ctl {
    /* the receiver's */
    uint64_t floor;      /* unlimited: messages below were all answered or acknowledged, */
    uint64_t freed;      /* and so many were */
    uint64_t dst_closed; /* generation: takes and answers nothing any more */
    uint64_t pad0[13];
    /* the sender's */
    uint64_t rtaken; /* answers taken out of the ring */
    uint64_t pad1[15];
};
_Static_assert(sizeof(struct ring_ctl) == 256, "two pairs of cache lines");

/* The head of a slot, in words of 8 bytes; the payload follows. */
enum ring_slot {
    RING_SEQ = 0,   /* index + 1, written last */
    RING_LABEL = 1, /* message: reply label; answer: index of the message */
    RING_META = 2,  /* length (15:0); message: length of an answer (31:16), reply EP (39:32), */
                    /* the sender's own number for it (47:40), which the answer has in (23:16) */
    RING_DATA = 3,
};
#define RING_HEAD (8u * RING_DATA)

/*
 * Between a store and a load that must not pass it: both sides of two protocols do that, and at
 * least one sees the other (RINGS.md).  A locked instruction costs half of what MFENCE does.
 */
static inline void ring_fence(void)
{
    __asm__ volatile("lock; addl $0, -8(%%rsp)" : : : "memory", "cc");
}

/*
 * Words at RING_STATE_OFF that the host looks at; the other side cannot reach them.  CLOSED: the PE
 * has no more use for the channel of that generation, holds none of its messages and expects no
 * answer.  The receiver's, of generation GEN: messages it has taken, and answers it has given.
 */
enum ring_own {
    RING_OWN_CLOSED = 0,
    RING_OWN_GEN = 1,
    RING_OWN_TAKEN = 2,
    RING_OWN_GRANTED = 4,
    RING_OWN_RTAKEN = 4, /* the sender's: answers it has taken */
};

#endif
