/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of the rings (include/ring.h): windows of PEs and the blocks that two of them share.
 */
#ifndef VMM_WINDOW_H
#define VMM_WINDOW_H

#include <stdint.h>

#include "pe.h"

struct windows;

/*
 * Before there are VMs: makes rings possible on this node, with a window for each of n->pes.  0 or
 * -errno.  windows_close() when no PE runs any more.
 */
int windows_open(struct node *n);
void windows_close(struct node *n);

/* Has this node rings? */
bool windows_on(const struct node *n);

/* Shows the PE its own, before it runs for the first time; nothing where there are none.  0 or
 * -errno. */
int window_open(struct pe *pe);

/* VREG_RING: the PE wants so many entries, 0: none.  By whoever runs it.  Entries it has. */
unsigned window_want(struct pe *pe, uint64_t entries);

/* A PE begins (1) or ends (-1) to be asleep; any thread. */
void windows_asleep(struct node *n, int change);

#endif
