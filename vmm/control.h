/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a running machine (`--control`): a client asks, the node's kernels are
 * asked through VREG_ASK, and what they tell goes to the client as it is.  The VMM does not read
 * it.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pe.h"

struct control;

/*
 * Before any PE runs: binds node->desc->control, if that was asked for, so that only its owner can
 * connect, and starts the thread that serves it.  0, or -errno with one line in err.
 */
int control_open(struct node *n, char *err, size_t errsize);

/* No more clients; the socket's file goes.  PEs may still run.  Then, when none does, the rest. */
void control_stop(struct node *n);
void control_free(struct node *n);

/* A store to VREG_ASK, by whoever runs the PE.  False: it means nothing now. */
bool control_store(struct pe *pe, uint64_t value);

/* The PE is over or is reset: nobody waits for its answer. */
void control_pe_over(struct pe *pe);

/* Is there a new question for the PE?  Consumes it; enum vreg_cause. */
unsigned control_causes(struct pe *pe);

#endif
