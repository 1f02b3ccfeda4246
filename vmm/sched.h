/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one interface behind which PEs are scheduled (architecture.md law 8): run a PE until it
 * waits, wake it.  A host thread per PE is its first implementation (sched_threads.c), a single
 * runner that a seeded generator steers its second (sched_seed.c).  `now` and the callbacks of a
 * DTU get the node, not a global: a runner may carry PEs of several nodes.
 */
#ifndef VMM_SCHED_H
#define VMM_SCHED_H

#include <stddef.h>
#include <stdint.h>

#include "node.h"

struct sched {
    const char *name;
    /*
     * What is better done before the node's VMs are made: n->stacks, which node_close() gives back.
     * 0 or -errno.  May be NULL; `start` calls it for a node that has not been prepared.
     */
    int (*prepare)(struct node *n);
    /*
     * Begins to run every PE of the node; each is opened by whoever runs it.  0 or -errno with one
     * line in err; then nothing runs.  A PE that cannot be opened later ends the node (NODE_HOST).
     */
    int (*start)(struct node *n, char *err, size_t errsize);
    /* After node_finish(): gets every PE out of its guest and returns when none runs any more. */
    void (*stop)(struct node *n);
    /* Something happened that the PE may be waiting for.  Any thread, DTU locks held. */
    void (*wake)(struct pe *pe);
    /* pe_kick() plus whatever gets its runner out of KVM_RUN.  Any thread, DTU locks held. */
    void (*kick)(struct pe *pe);
    /*
     * The PE's command waits for something outside of the node.  By whoever runs the PE, no DTU
     * lock held.  Returns after `unpark`, also if that came first, or after `kick`; perhaps without
     * a reason; not at all when the run has ended, or else at once.
     */
    void (*park)(struct pe *pe);
    void (*unpark)(struct pe *pe); /* any thread */
    /* ns since the node started, as the PEs see it. */
    uint64_t (*now)(struct node *n);

    /* The rest may be NULL.  All are called by whoever runs the PE, no DTU lock held. */

    /* The PE is about to do something that others can see; they may go first. */
    void (*step)(struct pe *pe);
    /* Should its wait end now, for no reason? */
    bool (*spurious)(struct pe *pe);
    /* Somebody outside of the node wrote to the PE's memory. */
    void (*touched)(struct pe *pe);
    /* The PE goes into its guest now: what it has done to others is done. */
    void (*enter)(struct pe *pe);
    /* KVM_RUN was interrupted by a signal. */
    void (*interrupted)(struct pe *pe);
};

extern const struct sched sched_threads;
extern const struct sched sched_seed;

#endif
