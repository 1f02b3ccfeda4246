/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the seeded scheduler offers beside the scheduling interface (sched.h).
 */
#ifndef VMM_SCHED_SEED_H
#define VMM_SCHED_SEED_H

#include "node.h"

/* Steps made so far; 0 when the node does not run by a seed. */
uint64_t sched_seed_steps(struct node *n);

#endif
