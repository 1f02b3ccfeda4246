/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the seeded scheduler offers beside the scheduling interface (sched.h).
 */
#ifndef VMM_SCHED_SEED_H
#define VMM_SCHED_SEED_H

#include <stdio.h>

#include "node.h"

/* Steps made so far; 0 when the node does not run by a seed. */
uint64_t sched_seed_steps(struct node *n);

/*
 * As sched.start, for several nodes of one machine: one runner carries the PEs of all, and their
 * NICs are on a simulated wire.  The seed and its faults are those of the first.  stop() of any of
 * them stops all.
 */
int sched_seed_start(struct node **n, unsigned count, char *err, size_t errsize);

/* The run of several nodes is to end, for that reason; soon.  Any thread. */
void sched_seed_end(struct node *n, enum node_end why);

/* What became of the frames on the wire; nothing when there is none. */
void sched_seed_stats(struct node *n, FILE *out);

#endif
