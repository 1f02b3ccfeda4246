/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run was made of: `--stats` and `--report`.  Called when no PE runs any more.
 */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <stdio.h>

#include "node.h"

/* Per PE: exits by reason, commands by kind, messages, bytes, time waiting; then what was refused.
 */
void stats_print(struct node *n, FILE *out);

/* Accepted messages per pair of PEs, of the PEs that exchanged any with another than a kernel. */
void stats_pairs(struct node *n, FILE *out);

/* "4/4 PEs exited 0": of the PEs whose program noted an exit status. */
void stats_exits(struct node *n, FILE *out);

#endif
