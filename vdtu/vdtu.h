/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDTU: DTUs and the NoC that joins them, as a library.
 *
 * It knows registers, endpoints, commands, slots and memory transfers, and nothing about KVM,
 * threads or time: whoever owns a DTU passes in its local memory, its register page and a few
 * callbacks, and calls in from whatever thread serves that PE.  The contract is dtu-spec.md; where
 * the gem5 model would stop the simulation, the program gets an error code (dtu-spec 12.2, the
 * "vDTU" column of section 10) and an event is counted.
 *
 * Locking.  One mutex per DTU.  An operation that involves two DTUs takes both in ascending PE
 * order (once, when they are the same).  The callbacks are called with the lock of the DTU they
 * belong to held, so they must not call back into this library except vdtu_posted(), and must not
 * block.  No function may be called with a vdtu lock held, except where it says so.
 *
 * Every guest-controlled value is read once into a local copy (architecture.md law 2).
 */
#ifndef VDTU_H
#define VDTU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/dtu.h"
#include "../include/errors.h"

struct vdtu;
struct vdtu_noc;

/* What the owner of a DTU provides.  Every member may be NULL. */
struct vdtu_ops {
    /* A message became visible or a WAKEUP was latched; the PE may be asleep. */
    void (*wake)(void *arg);
    /*
     * Somebody is about to look at this DTU's state: hand in, with vdtu_posted(), the stores that
     * its CPU has made and that wait in a queue (coalesced MMIO), oldest first.
     */
    void (*drain)(void *arg);
    /* RW_BARRIER changed: stores of the CPU at or above it (below the window) are to vanish. */
    void (*barrier)(void *arg, uint64_t barrier);
    /* EXT_CMD INJECT_IRQ (dtu-spec 6.7). */
    void (*irq)(void *arg, uint8_t vector);
    /*
     * Access of the NoC to the page behind the register window, 8 bytes at byte offset `off` of
     * that page: registers of the owner's own.  A load gives 0, a store is ignored, without these.
     */
    uint64_t (*page_load)(void *arg, unsigned off);
    void (*page_store)(void *arg, unsigned off, uint64_t value);
    /* Somebody rang the bell (ring.h): as wake, but called with no DTU lock held for sure. */
    void (*bell)(void *arg);
    /* DEBUG_MSG command: a trace marker (dtu-spec 2.2). */
    void (*debug)(void *arg, uint32_t value);
};

struct vdtu_config {
    uint16_t pe;       /* 0..1022, unique in the NoC */
    bool memory_pe;    /* VPE_ID and RW_BARRIER reset to 0; no CPU */
    void *mem;         /* local memory, owned by the caller, outlives the DTU */
    uint64_t mem_size; /* bytes, at most 2^37 */
    void *regs;        /* at least DTU_WINDOW bytes, 8-byte aligned, owned by the caller: the
                          register file lives here, so that it can be mapped read-only into the
                          guest; the rest of the page is not touched */
    const struct vdtu_ops *ops;
    void *arg; /* passed to ops */
};

/* Counted under the DTU's lock; read them when the PE is stopped, or through vdtu_stats(). */
struct vdtu_stats {
    uint64_t cmds[8];                    /* commands issued, by opcode (0: IDLE stores) */
    uint64_t cmd_errors[24];             /* commands that ended with an error, by code */
    uint64_t msgs_sent, msgs_received;   /* accepted messages and replies */
    uint64_t bytes_sent, bytes_received; /* their payload */
    uint64_t bytes_read, bytes_written;  /* by READ and WRITE commands */
    uint64_t ext_cmds[8];
    uint64_t ignored_stores; /* to registers the CPU may not write, wrong size or alignment */
    uint64_t ignored_noc;    /* same, from the NoC; and external commands 5-7 */
    uint64_t refused_full;   /* incoming messages refused: no free slot */
    uint64_t refused_vpe;    /* incoming packets refused: VPE id */
    uint64_t refused_ep;     /* incoming messages refused: not a receive endpoint, too long */
    uint64_t bad_acks;       /* ACKs of nothing (dtu-spec 10.3) */
    uint64_t lost_grants;    /* credits whose endpoint was no longer SEND (dtu-spec 3.4) */
    uint64_t outside;        /* accesses beyond the local memory: zeros / dropped */
    uint64_t ring_sent, ring_received;         /* by channels, counted when those end (ring.h) */
    uint64_t channels;                         /* opened from here */
    uint64_t maps, maps_refused, maps_revoked; /* mappings this PE asked for (map.h) */
};

/* An empty NoC.  NULL and errno when out of memory.  The caller frees it after its DTUs. */
struct vdtu_noc *vdtu_noc_new(void);
void vdtu_noc_free(struct vdtu_noc *noc);

/*
 * Count accepted messages per pair of PEs from now on.  Call before any DTU is used.
 * vdtu_noc_pair() returns how many messages `from` had accepted by `to` (both 0..1022).
 * 0 or -ENOMEM.
 */
int vdtu_noc_count_pairs(struct vdtu_noc *noc);
uint64_t vdtu_noc_pair(const struct vdtu_noc *noc, unsigned from, unsigned to);

/*
 * The machine is about to end: memory transfers that run stop at their next packet, with
 * SE_INV_ARGS, however much they have left.  Any thread.
 */
void vdtu_noc_halt(struct vdtu_noc *noc);

/*
 * Adds a DTU in its reset state (dtu-spec 1.2).  Not concurrent with any other call on the NoC.
 * 0, -EEXIST (PE id taken), -EINVAL (a field out of range), -ENOMEM.
 */
int vdtu_new(struct vdtu_noc *noc, const struct vdtu_config *cfg, struct vdtu **out);

/* Removes it.  No other thread may be using the NoC any more. */
void vdtu_free(struct vdtu *d);

/*
 * A load or store by the PE's own CPU at byte offset `off` from DTU_BASE.  `off` may be anything
 * (dtu-spec 1.5: sizes other than 8, misaligned and beyond the window are ignored; loads of them
 * give 0).  A store to COMMAND runs the command to its end before it returns.
 */
void vdtu_store(struct vdtu *d, uint64_t off, uint64_t value, unsigned size);
uint64_t vdtu_load(struct vdtu *d, uint64_t off, unsigned size);

/*
 * A queued store, from within ops->drain only (lock held).  COMMAND must not be queued: such a
 * store is counted as ignored.
 */
void vdtu_posted(struct vdtu *d, uint64_t off, uint64_t value, unsigned size);

/*
 * ACK of the message at local address msg, fetched from endpoint ep, as the command does it but
 * without COMMAND, whose registers stay: vdtu_posted_ack() from within ops->drain only, vdtu_ack()
 * from anywhere else (it takes the lock).
 */
void vdtu_posted_ack(struct vdtu *d, unsigned ep, uint64_t msg);
void vdtu_ack(struct vdtu *d, unsigned ep, uint64_t msg);

/*
 * Should the CPU go to sleep (HLT or wait register; dtu-spec 6.3, 12.4)?  0: yes.  Otherwise
 * VDTU_MESSAGE (MSG_CNT > 0), VDTU_WAKEUP (a latched WAKEUP, consumed by this call), VDTU_BELL
 * (a bell, likewise).  A
 * message or WAKEUP that comes after this call was made calls ops->wake.
 */
enum { VDTU_MESSAGE = 1, VDTU_WAKEUP = 2, VDTU_BELL = 32 };
unsigned vdtu_poll(struct vdtu *d);

/*
 * The same for who wants messages of endpoint ep only (0..DTU_EPS-1): VDTU_MESSAGE if one is unread
 * there, VDTU_WAKEUP also if ep is no receive endpoint (any more), so that none will come. Whatever
 * changes either calls ops->wake.
 */
unsigned vdtu_poll_ep(struct vdtu *d, unsigned ep);

/* Latches a wake-up from outside (as EXT_CMD WAKEUP does) and calls ops->wake. */
void vdtu_wakeup(struct vdtu *d);

/*
 * The CPU starts anew: its queued stores, the command registers' arguments and a latched WAKEUP are
 * gone, and all of the local memory is zero (`wipe` does that, with the lock held).  Endpoints and
 * the DTU's own registers stay.  The CPU must stand still.
 */
void vdtu_reset_cpu(struct vdtu *d, void (*wipe)(void *arg));

/*
 * Copies local memory under the DTU's lock, so that it is ordered against transfers of other PEs.
 * Returns the number of bytes inside the memory; the rest of a read is zeros, of a write dropped.
 */
uint64_t vdtu_mem_read(struct vdtu *d, uint64_t addr, void *buf, uint64_t len);
uint64_t vdtu_mem_write(struct vdtu *d, uint64_t addr, const void *buf, uint64_t len);

uint64_t vdtu_reg(struct vdtu *d, unsigned off); /* one register, under the lock; 0 if no such */
void vdtu_stats(struct vdtu *d, struct vdtu_stats *out);
uint16_t vdtu_pe(const struct vdtu *d);

/*
 * What travels between DTUs.  The initiator fills it in, the NoC routes it, the target accepts or
 * refuses it (dtu-spec 4.4, 5.3).  Register accesses are READ/WRITE packets at or above DTU_BASE.
 */
enum vdtu_pkt_type { VDTU_PKT_MSG, VDTU_PKT_READ, VDTU_PKT_WRITE };
struct vdtu_pkt {
    enum vdtu_pkt_type type;
    uint16_t src_pe, dst_pe;
    uint16_t dst_vpe;
    uint64_t offset;       /* target EP number, or target's local address */
    struct dtu_header hdr; /* VDTU_PKT_MSG */
    void *data;            /* payload; READ: where the result goes */
    uint32_t len;          /* payload bytes, at most DTU_MAX_PACKET (MSG: without header) */
};

/*
 * Where packets for PEs without a DTU here go (another node).  Called with the initiator's lock
 * NOT held; returns the command's error code.  Without one they fail with SE_EP_INVALID
 * (dtu-spec 10.1 #15).  The data are a copy in host memory, not the PE's.
 */
typedef unsigned (*vdtu_remote_fn)(void *arg, struct vdtu_pkt *pkt);
void vdtu_noc_remote(struct vdtu_noc *noc, vdtu_remote_fn fn, void *arg);

/*
 * A packet is about to travel: the command's arguments and endpoint have been checked, nothing has
 * been paid or sent.  Called with no lock held, COMMAND shows the command; afterwards everything is
 * looked at again.  Whoever orders the operations of a run (a seeded scheduler) waits in here.
 * Returns an error code with which the target refuses the packet, or SE_OK.  Set before any use.
 */
typedef unsigned (*vdtu_transit_fn)(void *arg, const struct vdtu_pkt *pkt);
void vdtu_noc_transit(struct vdtu_noc *noc, vdtu_transit_fn fn, void *arg);

/*
 * The same for n packets of one PE, which may be under way together: results[i] is that of pkts[i].
 * They arrive in this order.  Optional; set before any use, with the argument of the other.
 */
typedef void (*vdtu_remote_many_fn)(void *arg, struct vdtu_pkt *pkts, unsigned n,
                                    unsigned *results);
void vdtu_noc_remote_many(struct vdtu_noc *noc, vdtu_remote_many_fn fn);

/* A command that has completed, for a trace. */
struct vdtu_event {
    uint16_t pe, vpe;
    uint8_t op, ep;
    uint16_t peer;   /* the other PE; FETCH, ACK: who sent the message; 0xFFFF: none */
    uint64_t label;  /* of the message; DEBUG: the marker */
    uint64_t offset; /* READ, WRITE: address at the peer; SEND, REPLY: its endpoint; FETCH, ACK:
                        local address of the message, 0 for none */
    uint32_t len;    /* payload bytes */
    uint32_t result; /* error code */
    uint64_t hash;   /* of the payload of what was sent, read or written */
    uint64_t first;  /* its first 8 bytes */
};

/* Called for every command with the initiator's lock held; set before any use. */
typedef void (*vdtu_trace_fn)(void *arg, const struct vdtu_event *ev);
void vdtu_noc_trace(struct vdtu_noc *noc, vdtu_trace_fn fn, void *arg);

/*
 * SENDs to other nodes that are under way together, for VREG_LIST.  All zeros to begin with.  Where
 * nobody set vdtu_noc_remote_many(), and where the batch has no room, a SEND is done at once.
 */
#define VDTU_BATCH      64u
#define VDTU_BATCH_DATA 65536u
struct vdtu_batch {
    unsigned n;
    struct vdtu_pkt pkt[VDTU_BATCH];
    unsigned result[VDTU_BATCH]; /* after vdtu_finish() */
    struct vdtu_event ev[VDTU_BATCH];
    size_t used;
    uint8_t data[VDTU_BATCH_DATA];
};

/*
 * As a store to COMMAND, but a SEND to another node is only begun: checked, paid for and read from
 * local memory.  Then true is returned, b->n has grown by one, and COMMAND is as after success.
 */
bool vdtu_begin(struct vdtu *d, struct vdtu_batch *b, uint64_t command);
/* Would this SEND go to a DTU of this node?  It is done at once, so what was begun goes first. */
bool vdtu_is_near(struct vdtu *d, uint64_t command);
/* Sends what was begun and returns when all of it is done; the caller empties the batch then. */
void vdtu_finish(struct vdtu *d, struct vdtu_batch *b);

/* A packet from another node arrives here.  Returns the error code for its initiator. */
unsigned vdtu_deliver(struct vdtu_noc *noc, struct vdtu_pkt *pkt);

#endif
