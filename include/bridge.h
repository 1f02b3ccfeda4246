/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a bridge PE takes and injects NoC packets (architecture.md law 6): two rings in its own local
 * memory, at the address that it stores to VREG_BRIDGE_AREA.  The text of record is
 * vdtu/README.md; what travels between two bridges is link.h.
 *
 * `out`: packets of this node's PEs for PEs that live elsewhere.  The host appends and wakes the
 * bridge (VREG_CAUSE_BRIDGE); the bridge consumes.  The initiator's command stays busy until the
 * bridge completes the packet's id: one packet of an initiator is under way at a time.
 *
 * `in`: what the bridge asks of this node: packets from elsewhere to deliver, and completions of
 * packets that it took.  The bridge appends any number, then stores to VREG_BRIDGE_RUN; when that
 * store returns all of them are served, with result, and for a READ data and len, filled in.
 *
 * A bridge that has served its round stores to VREG_BRIDGE_TURN instead: that is RUN; then the
 * receive causes of its NIC are taken out of ICR (nic_causes says which there were); then WAIT for
 * the time stored, unless there is something that it has not seen: entries of `out` from out_head
 * on, or frames from the receive descriptor nic_next on.  So one exit a round is enough, and
 * nothing is slept over.  Entries that it expects to come soon in greater number it has the host
 * collect first: out_want, out_hold (0: no).
 *
 * The store to VREG_BRIDGE_AREA sets all four indices to 0; where it names no place for an area
 * (outside local memory, or not aligned to 64) the register reads 0 afterwards.
 *
 * Indices count up freely, modulo 2^32; an entry's slot is its index modulo BRIDGE_SLOTS.  The host
 * keeps copies of its own indices and reads each of the bridge's once: a bridge that scribbles over
 * them harms its own traffic only.
 */
#ifndef SEMPER_BRIDGE_H
#define SEMPER_BRIDGE_H

#include <stdint.h>

#include "dtu.h"

#define BRIDGE_SLOTS 256u
#define BRIDGE_DATA  DTU_MAX_PACKET

enum bridge_op {
    BRIDGE_MSG = 0,      /* a message or a reply: hdr, data */
    BRIDGE_READ = 1,     /* len bytes at offset (registers too: at or above DTU_BASE) */
    BRIDGE_WRITE = 2,    /* data to offset */
    BRIDGE_COMPLETE = 3, /* `in` only: id, result; of a READ len and data */
};

struct bridge_pkt {
    uint8_t op;
    uint8_t reserved[3];
    uint32_t id;      /* out, COMPLETE: which initiator waits; never 0, not reused soon */
    uint16_t src_pe;  /* initiator */
    uint16_t dst_pe;  /* target */
    uint16_t dst_vpe; /* VPE id that the initiator's endpoint names */
    uint16_t len;     /* payload bytes, 0..BRIDGE_DATA (MSG: header not counted) */
    uint64_t offset;  /* MSG: endpoint; READ, WRITE: local address at the target */
    uint32_t result;  /* in: enum semper_error */
    struct dtu_header hdr;
    uint8_t pad[11];
};
_Static_assert(sizeof(struct bridge_pkt) == 64, "one cache line");

struct bridge_area {
    /* Written by the host. */
    uint32_t out_tail;   /* entries appended so far */
    uint32_t in_head;    /* entries served so far */
    uint32_t nic_causes; /* what the last TURN took out of ICR */
    uint8_t pad0[52];
    /* Written by the bridge. */
    uint32_t out_head; /* entries consumed so far */
    uint32_t in_tail;  /* entries appended so far */
    uint32_t nic_next; /* the receive descriptor that it looks at next */
    uint32_t out_want; /* so many entries of `out` end its wait at once ... */
    uint32_t out_hold; /* ... fewer so many ns after the first of them */
    uint8_t pad1[44];
    struct bridge_pkt out[BRIDGE_SLOTS];
    struct bridge_pkt in[BRIDGE_SLOTS];
    uint8_t out_data[BRIDGE_SLOTS][BRIDGE_DATA];
    uint8_t in_data[BRIDGE_SLOTS][BRIDGE_DATA];
};
_Static_assert(__builtin_offsetof(struct bridge_area, out_head) == 64, "cache lines of its own");
_Static_assert(__builtin_offsetof(struct bridge_area, out) == 128, "vdtu/README.md");

#endif
