/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's side of the bridge port (include/bridge.h; vdtu/README.md is the text of record):
 * packets of this node's PEs for PEs that live elsewhere go into the bridge PE's `out` ring, what
 * the bridge puts into `in` is delivered here.  It knows a NoC, the bridge PE's memory and a few
 * callbacks, and nothing about KVM or threads; bridge_node.c ties it to a node.
 *
 * The bridge PE is a guest: all that it writes is hostile.  What it gets wrong is refused and
 * counted, and costs nobody but those whose packets it carries.
 *
 * Locking: a lock of its own, held for no longer than a copy.  No function may be called with a
 * DTU's lock held, except where it says so.  No callback is called with that lock held.
 */
#ifndef VMM_BRIDGE_H
#define VMM_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../include/bridge.h"
#include "../vdtu/vdtu.h"

struct bridge;
struct node;
struct pe;

/* What the owner provides; all are required. */
struct bridge_ops {
    /* Does that PE live on another node of this machine? */
    bool (*remote)(void *arg, unsigned pe);
    /*
     * The command of PE `pe` waits; called by whoever runs that PE, no lock held.  Returns after
     * `unpark` for it was called, also if that was before; may return without a reason.
     */
    void (*park)(void *arg, unsigned pe);
    void (*unpark)(void *arg, unsigned pe);
    /* Should that PE's command end although nobody has completed it (reset, end of the run)? */
    bool (*abandoned)(void *arg, unsigned pe);
    /* The bridge PE may be asleep, and there is something for it. */
    void (*wake)(void *arg);
    /* A transfer wrote to that PE's memory.  May be NULL. */
    void (*touched)(void *arg, unsigned pe);
};

/* `out` and `in` as the bridge PE's counters show them. */
struct bridge_stats {
    uint64_t taken;      /* packets put into `out` */
    uint64_t completed;  /* of those, completed by the bridge */
    uint64_t injected;   /* packets from `in` that a DTU here accepted */
    uint64_t refused;    /* packets from `in` that a DTU here refused: the result says why */
    uint64_t bad_op;     /* entries of `in`: no such operation */
    uint64_t bad_len;    /* longer than a packet; a READ completed with another length */
    uint64_t bad_source; /* a sender that does not live on another node */
    uint64_t bad_id;     /* completions of packets that do not wait */
    uint64_t bad_result; /* completions with a number that is no error code */
    uint64_t bad_index;  /* out_head or in_tail that cannot be; AREA outside memory or misaligned;
                            RUN without an area */
    uint64_t late;       /* completions of packets whose initiator had given up */
    uint64_t abandoned;  /* packets whose initiator was reset while it waited */
    uint64_t gone;       /* packets that ended because the bridge was over, reset or moved */
    uint64_t waited;     /* packets that found `out` full, or no area, and waited in the queue */
};

/*
 * A bridge port for PE `pe`, whose local memory is `mem`, mem_size bytes; both outlive it.  NULL
 * when out of memory.  The caller makes bridge_packet() the NoC's remote function, and frees the
 * port when nobody uses the NoC any more.
 */
struct bridge *bridge_new(struct vdtu_noc *noc, uint16_t pe, void *mem, uint64_t mem_size,
                          const struct bridge_ops *ops, void *arg);
void bridge_free(struct bridge *b);

/*
 * vdtu_remote_fn, with the port as `arg`: blocks the initiator until its packet is completed.
 * SE_EP_INVALID for PEs that live nowhere and for packets of the bridge PE itself; SE_RECV_GONE
 * (not SE_VPE_GONE, which libraries retry for ever) when there is no bridge any more, or when the
 * initiator is to stop.
 */
unsigned bridge_packet(void *arg, struct vdtu_pkt *pkt);

/*
 * vdtu_remote_many_fn: the same for n packets of one PE, at most VDTU_BATCH, which are under way
 * together and come in their order.  Its waiting ends when all of them are done.
 */
void bridge_packets(void *arg, struct vdtu_pkt *pkts, unsigned n, unsigned *results);

/* ---- by whoever runs the bridge PE ---- */

/*
 * Stores to VREG_BRIDGE_AREA and VREG_BRIDGE_RUN.  A new area, or none, ends the packets that were
 * in the old one; those that wait in the queue go on waiting.
 */
void bridge_set_area(struct bridge *b, uint64_t addr);
void bridge_run(struct bridge *b);

/*
 * What of VREG_BRIDGE_TURN follows bridge_run(): forgets that `out` has grown if the bridge has
 * seen all of it.  Returns its nic_next.  bridge_nic_causes() stores nic_causes.
 */
uint32_t bridge_turn(struct bridge *b);
void bridge_nic_causes(struct bridge *b, uint32_t causes);

/* Is all that bridge_poll() would report less than the bridge wants at once?  For *ns at most. */
bool bridge_few(struct bridge *b, uint32_t *ns);

/* Where the area is, 0: there is none (the store named no place for one). */
uint64_t bridge_area(const struct bridge *b);

/* Were packets put into `out` since the last call?  Also fills what room there is. */
bool bridge_poll(struct bridge *b);

/* Its CPU was reset: as before it registered an area, but all that waited has ended. */
void bridge_reset(struct bridge *b);
/* It is over: nothing waits for it any more, now or later. */
void bridge_over(struct bridge *b);

/* ---- any thread ---- */

/*
 * Does PE `pe` wait for a packet, or was it stopped while it did?  Its id, or 0; *to is the
 * packet's target.  bridge_forget(): it begins anew.
 */
uint32_t bridge_waits(struct bridge *b, unsigned pe, unsigned *to);
void bridge_forget(struct bridge *b, unsigned pe);
void bridge_get_stats(struct bridge *b, struct bridge_stats *out);
/* Packets of PE `pe` for other nodes, and how many of them ended with an error. */
void bridge_pe_stats(struct bridge *b, unsigned pe, uint64_t *packets, uint64_t *failed);

/* ---- bridge_node.c: the port of a node ---- */

/* Gives the node's bridge PE, if it has one, its port.  Before any PE runs.  0 or -ENOMEM. */
int bridge_attach(struct node *n);
void bridge_detach(struct node *n);

/* The node's `life` has changed, and with it its epoch. */
void bridge_new_life(struct node *n);

/* The PE was reset, bridge or not. */
void bridge_pe_reset(struct pe *pe);

/* These do nothing for a PE that is not its node's bridge. */
unsigned bridge_causes(struct pe *pe); /* VREG_CAUSE_BRIDGE, or 0; may bring the deadline forward */
void bridge_pe_over(struct pe *pe);
/* A store to one of the port's registers; false: this PE has none. */
bool bridge_store(struct pe *pe, unsigned off, uint64_t value);

/*
 * The end of a machine whose PEs are on several nodes.  bridge_tell_over(): PE `pe` is about to end
 * the machine of this node; the nodes that have no boot line, whose PEs belong to it, are told with
 * what status.  By whoever runs the PE, no lock held; returns when all have heard of it or are
 * lost. bridge_over_told(): this node was told so (a store to VREG_GOODBYE); false: it is no such
 * node, PE or value.  Its bridge still gets some turns, for its answer must reach the one who told.
 */
void bridge_tell_over(struct pe *pe, uint32_t status);
bool bridge_over_told(struct pe *pe, uint64_t value);

void bridge_print_stats(struct pe *pe, FILE *out);

#endif
