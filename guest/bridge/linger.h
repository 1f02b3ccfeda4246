/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether what is ready to leave should wait for company.
 *
 * First, the answer to a message.  The far command ends when it arrives.
 *
 * A message that was delivered is answered to the other node, so that the command of its sender
 * ends.  Most receivers soon send a message of their own, the reply; if both travel in one frame,
 * both nodes save the work of one.  But a receiver that sends nothing must cost its sender nothing.
 * So it is watched: only where the last messages were followed by a packet within LINGER_MAX does
 * an answer wait, and for no longer than four times what that took.
 *
 * Time is the caller's, in ns; no locks.
 */
#ifndef BRIDGE_LINGER_H
#define BRIDGE_LINGER_H

#include <stdbool.h>
#include <stdint.h>

#define LINGER_MIN  50000u /* ns */
#define LINGER_MAX  1000000u
#define LINGER_SURE 2u /* so often a packet came lately: then it is worth waiting */
#define LINGER_TOP  4u

/* Starts as zeros. */
struct linger {
    bool open; /* messages were delivered at `at`, and no packet has left since */
    uint64_t at;
    uint64_t average; /* from there to the packet */
    unsigned sure;
};

/* For how long the answers of messages that are about to be delivered may wait; 0: not at all. */
static inline uint64_t linger_ns(const struct linger *l)
{
    uint64_t ns = 4 * l->average;

    if (l->sure < LINGER_SURE)
        return 0;
    return ns < LINGER_MIN ? LINGER_MIN : ns > LINGER_MAX ? LINGER_MAX : ns;
}

static inline void linger_doubt(struct linger *l)
{
    l->sure -= l->sure > 0;
}

/* Messages are delivered now. */
static inline void linger_delivered(struct linger *l, uint64_t now)
{
    if (l->open)
        linger_doubt(l);
    l->open = true;
    l->at = now;
}

/* A packet of this node leaves now. */
static inline void linger_packet(struct linger *l, uint64_t now)
{
    uint64_t took = now - l->at;

    if (!l->open)
        return;
    l->open = false;
    if (took > LINGER_MAX) {
        linger_doubt(l);
        return;
    }
    l->average = l->average ? (3 * l->average + took) / 4 : took;
    l->sure += l->sure < LINGER_TOP;
}

/*
 * Packets of this node wait for each other as small segments do in TCP: while GATHER_LEAST are
 * under way, others are collected until an answer comes, or a frame's worth is there, or GATHER_MAX
 * is over.  So a few initiators are not held up at all, and of many the frames are full.
 */
#define GATHER_LEAST 4u
#define GATHER_FRAME 11u
#define GATHER_MAX   500000u /* ns */

/* How many are worth waiting for, `under_way` having left; 0: do not. */
static inline unsigned gather_want(uint64_t under_way)
{
    return under_way < GATHER_LEAST ? 0 : GATHER_FRAME;
}

#endif
