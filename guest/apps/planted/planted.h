/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs with a bug each, for `sempervm explore` to find.  All have the same cast: party 0, which
 * creates the others, one or two children, a gate from each to each, and a piece of the memory PE
 * that all can read and write.
 *
 * What keeps the bugs from showing in ordinary runs is time: a party works long before it does what
 * another had better done before.  Under a seed work takes no time, only steps do.
 */
#ifndef PLANTED_H
#define PLANTED_H

#include <stdbool.h>
#include <stdint.h>

#include "vpe.h"

#define IN_EP     2u /* every party takes messages here */
#define ANSWER_EP 3u /* and replies here */

enum word { READY = 1, GO, WAKE, ANSWER, FREE, DONE };

struct message {
    uint32_t word; /* enum word */
    uint32_t value;
};

/* Words of the shared memory, 8 bytes each. */
enum shared { SHARED_ITEMS, SHARED_SLEEPING, SHARED_LIVE, SHARED_WORDS };

struct bug {
    const char *name;
    unsigned children;
    unsigned slots_order;   /* log2 of the slots of party 0's IN_EP */
    int (*first)(void);     /* party 0, once all are ready; 0 or an exit status */
    int (*child)(unsigned); /* party 1 and 2, told to go; the same */
};

extern const struct bug bug_wakeup, bug_order, bug_free, bug_slot, bug_crossed;

/* Sends to a party, again while it has no room.  reply: it shall reply to our ANSWER_EP. */
unsigned say(unsigned to, enum word word, uint32_t value, bool reply);

/* The next message on our ep, which is acknowledged; label is who sent it. */
struct message hear(unsigned ep, unsigned *from);

/* Tells child i to go. */
void go(unsigned i);

/* Long for the clock, nothing for a seeded scheduler. */
void work(void);

/* n operations that nobody else can notice. */
void dawdle(unsigned n);

uint64_t shared_get(enum shared i);
void shared_set(enum shared i, uint64_t value);

#endif
