/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the vDTU share.  A command is served in three layers: cmd.c decodes it and
 * finds and locks the DTUs that take part, msg.c and mem.c say what SEND, REPLY, READ and WRITE
 * mean at the initiator and at the target, regs.c holds the register file and its rules.
 *
 * Every function that takes a struct vdtu expects its lock to be held, unless it says otherwise.
 * Between initiator and target travels a struct vdtu_pkt, whether the target is another DTU of this
 * NoC or one on another node, so that there is one set of checks (dtu-spec 12.2).
 */
#ifndef VDTU_INTERNAL_H
#define VDTU_INTERNAL_H

#include <pthread.h>
#include <string.h>

#include "vdtu.h"

struct vdtu {
    pthread_mutex_t lock;
    struct vdtu_noc *noc;
    uint8_t *mem;
    uint64_t mem_size;
    uint64_t *regs;
    struct vdtu_ops ops;
    void *arg;
    uint32_t ep_gen[DTU_EPS]; /* raw writes to an endpoint, see reply_commit() */
    /*
     * The headers of the messages that were delivered here, by endpoint and slot, and a bit per
     * slot that has one.  A slot lies in the program's memory, so what a reply goes by is this copy
     * (architecture.md law 4).  The original reads the slot; a slot that was not filled by a
     * delivery, because somebody wrote the endpoint's words, is still read.
     */
    struct dtu_header header[DTU_EPS][DTU_MAX_SLOTS];
    uint32_t has_header[DTU_EPS];
    uint16_t pe;
    bool memory_pe;
    bool busy;              /* a command runs, perhaps with the lock dropped */
    bool wakeup;            /* a WAKEUP that nobody has consumed */
    bool belled;            /* atomic: a bell that nobody has consumed (ring.h) */
    struct vdtu_ring *ring; /* NULL: its PE wants no rings; changes under both locks */
    struct vdtu_map *map;   /* NULL: no window (map.c); changes under both locks */
    struct mapping *shown;  /* what others map of this memory; maps' lock */
    uint32_t nshown;        /* how many; atomic */
    uint64_t maps_revoked;  /* atomic */
    uint32_t owed[DTU_EPS]; /* credits to give back, see vdtu_ring_settle(); rings' lock, atomic */
    uint32_t owing;         /* endpoints that a channel may still owe some; the same */
    struct vdtu_stats stats;
    struct vdtu_event ev;     /* of the command that runs, when somebody traces */
    struct vdtu_batch *batch; /* where a SEND to another node may go; of vdtu_begin() */
    unsigned refusal;         /* what the transit callback wants its packet to end with */
};

struct vdtu_noc {
    struct vdtu *dtu[DTU_PES];
    vdtu_remote_fn remote;
    vdtu_remote_many_fn remote_many; /* NULL: one at a time */
    void *remote_arg;
    vdtu_transit_fn transit;
    void *transit_arg;
    vdtu_trace_fn trace;
    void *trace_arg;
    struct vdtu_rings *rings; /* NULL: nobody provides memory for them */
    struct vdtu_maps *maps;   /* NULL: nobody maps */
    bool halted;              /* atomic */
    uint64_t *pairs;          /* [from * DTU_PES + to], NULL: not counted */
};

/* ---- noc.c ---- */

/* Takes the lock and lets the owner hand in its posted stores.  Lock not held. */
void vdtu_lock(struct vdtu *d);
void vdtu_unlock(struct vdtu *d);

/* The DTU of a PE, NULL if it is not on this node (or nowhere). */
struct vdtu *vdtu_noc_find(const struct vdtu_noc *noc, unsigned pe);

/*
 * Hands a packet of d to its target: t, whose lock is held, or, when t is NULL, another node, for
 * which the lock of d is dropped and taken again.  Returns the error code.
 */
unsigned vdtu_transmit(struct vdtu *d, struct vdtu *t, struct vdtu_pkt *pkt);

/* Accepts or refuses a packet at its target. */
unsigned vdtu_accept(struct vdtu *t, struct vdtu_pkt *pkt);

/* Counts a message that was accepted.  No lock needed. */
void vdtu_count_pair(struct vdtu_noc *noc, unsigned from, unsigned to);
void vdtu_count_pairs(struct vdtu_noc *noc, unsigned from, unsigned to, uint64_t n);

/* Notes a packet's payload for the trace, if there is one. */
void vdtu_note(struct vdtu *d, const struct vdtu_pkt *pkt);

/* ---- regs.c ---- */

/* One register, by its byte offset, which must be that of a register. */
uint64_t vdtu_get(const struct vdtu *d, unsigned off);
void vdtu_set(struct vdtu *d, unsigned off, uint64_t value);

/* An endpoint word as the DTU itself writes it; word 0 keeps MSG_CNT right (dtu-spec 4.6). */
void vdtu_set_ep(struct vdtu *d, unsigned ep, unsigned word, uint64_t value);

void vdtu_reset(struct vdtu *d);

/* Register access from the NoC (dtu-spec 1.5, 1.6).  Never fails; what is not allowed is ignored.
 */
void vdtu_noc_load(struct vdtu *d, uint64_t off, void *buf, uint64_t len);
void vdtu_noc_store(struct vdtu *d, uint64_t off, const void *buf, uint64_t len);

/* ---- ext.c ---- */

void vdtu_ext_command(struct vdtu *d, uint64_t value);
void vdtu_wake(struct vdtu *d);  /* calls ops->wake */
void vdtu_latch(struct vdtu *d); /* and remembers it, as EXT_CMD WAKEUP does */

/* ---- cmd.c ---- */

/*
 * A command: its arguments, copied from the registers once, when it starts (READ and WRITE advance
 * them from packet to packet), and for REPLY what prepare() found in the slot.
 */
struct vdtu_cmd {
    unsigned op, ep;
    uint64_t addr, size, offset;
    uint64_t reply_label;
    uint8_t reply_ep;
    int slot;
    struct dtu_header request;
};

/*
 * A command that involves a second DTU.  prepare() looks at d only, changes no state of it and
 * names the target; it is called again whenever the locks had to be dropped.  commit() then does
 * the work with both locks held.  Both return an error code.
 */
struct vdtu_action {
    unsigned (*prepare)(struct vdtu *d, struct vdtu_cmd *c, struct vdtu_pkt *pkt);
    unsigned (*commit)(struct vdtu *d, struct vdtu *t, struct vdtu_cmd *c, struct vdtu_pkt *pkt);
};
unsigned vdtu_act(struct vdtu *d, const struct vdtu_action *a, struct vdtu_cmd *c);

/* A store to COMMAND. */
void vdtu_command(struct vdtu *d, uint64_t value);

/* ---- batch.c ---- */

#define VDTU_BEGUN 0x100u /* instead of an error code: the packet is in d->batch */

/* Puts a packet for another node into d->batch; false: it has to be sent at once. */
bool vdtu_batch_take(struct vdtu *d, const struct vdtu_pkt *pkt);
/* Of the command that put it there: what a trace says when it is done. */
void vdtu_batch_event(struct vdtu *d);

/* ---- msg.c ---- */

unsigned vdtu_cmd_send(struct vdtu *d, struct vdtu_cmd *c);
unsigned vdtu_cmd_reply(struct vdtu *d, struct vdtu_cmd *c);
unsigned vdtu_accept_msg(struct vdtu *t, struct vdtu_pkt *pkt);

/* ---- ring.c: hooks, for which nothing is to do where d->ring is NULL ---- */

/* A word of the endpoint, or VPE_ID, was written: channels from there and to there end. */
void vdtu_ring_ep_changed(struct vdtu *d, unsigned ep);
void vdtu_ring_vpe_changed(struct vdtu *d);
/* Its PE is not privileged any more: its lanes end; what was sent stays. */
void vdtu_ring_unprivileged(struct vdtu *d);
/* The credits of a channel that its receiver ended come back to the endpoint. */
void vdtu_ring_settle(struct vdtu *d, unsigned ep);
/* A message of PE src has got that slot: where it stands among those that come by a channel. */
void vdtu_ring_stamp(struct vdtu *d, unsigned ep, int slot, unsigned src);
void vdtu_rings_free(struct vdtu_noc *noc);
void vdtu_ring_free(struct vdtu *d);

/* ---- map.c: hooks, for which nothing is to do where nothing is mapped ---- */

/* A word of the endpoint is about to be written: what is mapped through it is so no longer. */
void vdtu_map_ep_changed(struct vdtu *d, unsigned ep);
/* VPE_ID was written, or the PE is reset: likewise what it maps, and what others map of it. */
void vdtu_map_vpe_changed(struct vdtu *d);
void vdtu_maps_free(struct vdtu_noc *noc);
void vdtu_map_free(struct vdtu *d);

/* ---- slots.c ---- */

/* A receive endpoint, decoded (dtu-spec 1.4). */
struct vdtu_recv {
    unsigned rd, wr;
    unsigned slot_size;
    unsigned slots; /* as written, may exceed DTU_MAX_SLOTS */
    unsigned count;
    uint64_t base;
    uint32_t unread, occupied;
};

/* False, and all zeros, if the endpoint is not a receive endpoint. */
bool vdtu_recv_get(const struct vdtu *d, unsigned ep, struct vdtu_recv *r);
void vdtu_recv_set(struct vdtu *d, unsigned ep, const struct vdtu_recv *r);

/* Slot number of a local address (dtu-spec 4.5), or -1. */
int vdtu_slot_index(const struct vdtu_recv *r, uint64_t addr);
uint64_t vdtu_slot_addr(const struct vdtu_recv *r, int slot);
int vdtu_slot_alloc(struct vdtu_recv *r); /* -1: full */
void vdtu_slot_fill(struct vdtu_recv *r, int slot);
void vdtu_slot_free(struct vdtu_recv *r, int slot);

unsigned vdtu_cmd_fetch(struct vdtu *d, struct vdtu_cmd *c);
unsigned vdtu_cmd_ack(struct vdtu *d, struct vdtu_cmd *c);

/* ---- mem.c ---- */

unsigned vdtu_cmd_mem(struct vdtu *d, struct vdtu_cmd *c);
unsigned vdtu_accept_mem(struct vdtu *t, struct vdtu_pkt *pkt);

/* Local memory.  span: NULL unless all of [addr, addr+len) is inside. */
uint8_t *vdtu_mem_span(const struct vdtu *d, uint64_t addr, uint64_t len);
/* Copies; what is outside reads as zeros and is dropped.  Returns the bytes that were inside. */
uint64_t vdtu_mem_get(struct vdtu *d, uint64_t addr, void *buf, uint64_t len);
uint64_t vdtu_mem_put(struct vdtu *d, uint64_t addr, const void *buf, uint64_t len);

#endif
