/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a machine looks like that stands still.  Called when no PE runs any more.
 */
#ifndef VMM_DEADLOCK_H
#define VMM_DEADLOCK_H

#include <stdio.h>

#include "node.h"

/* One line "deadlock: ...", then one per PE that belongs to a VPE: who waits for what. */
void deadlock_report(struct node *n, FILE *out);

/* The state of all DTUs: registers and endpoints that are not invalid. */
void deadlock_dump(struct node *n, FILE *out);

#endif
