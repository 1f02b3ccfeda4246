/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge's side of the two rings between it and its node (include/bridge.h): packets of this
 * node for others come out of `out`, packets of others and completions go into `in`, and one store
 * (VREG_BRIDGE_RUN) has all of them served.
 */
#ifndef BRIDGE_NOC_H
#define BRIDGE_NOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../include/bridge.h"

/*
 * Entries of `in` that must be free before a datagram is looked at: what one can set free at most,
 * packets to deliver and answers with data, all that one node has under way in either direction.
 */
#define NOC_ROOM 128u

struct noc_ops {
    void (*run)(void *arg); /* returns when all of `in` is served */
    /* What became of noc_deliver(); data: of a READ that went well. */
    void (*delivered)(void *arg, uint64_t handle, uint32_t result, const void *data);
    void *arg;
};

struct noc_stats {
    uint64_t out;       /* packets taken from `out` */
    uint64_t delivered; /* packets put into `in` */
    uint64_t completed; /* completions put there */
    uint64_t runs;
    uint64_t refused; /* packets for which `in` had no room: a bound was wrong */
};

/* Read stats; the rest is noc.c's. */
struct noc {
    struct bridge_area *area;
    struct noc_ops ops;
    uint32_t out_head;
    uint32_t in_tail, in_done;
    unsigned messages, transfers; /* of what waits in `in` */
    uint64_t handle[BRIDGE_SLOTS];
    /* Completions without data that `in` had no room for: a node was lost. */
    struct {
        uint32_t id, result;
        uint16_t src_pe;
    } late[BRIDGE_SLOTS];
    unsigned late_count;
    struct noc_stats stats;
};

/* area: zeroed, local memory of this PE; the caller then stores its address. */
void noc_init(struct noc *n, struct bridge_area *area, const struct noc_ops *ops);

/* The oldest packet in `out`, NULL: none; data are its bytes (len, but for a READ). */
const struct bridge_pkt *noc_peek(const struct noc *n, const void **data);
/* Takes what noc_peek() returned. */
void noc_take(struct noc *n);

/* Free entries of `in`. */
uint32_t noc_room(const struct noc *n);
/* Entries that wait for noc_run(). */
bool noc_waiting(const struct noc *n);

/* A packet from another node; its outcome comes by ops.delivered. */
void noc_deliver(struct noc *n, uint64_t handle, const struct bridge_pkt *pkt, const void *data);
/* A packet that noc_take() took is done. */
void noc_complete(struct noc *n, uint32_t id, uint16_t src_pe, uint32_t result, const void *data,
                  uint16_t len);

/* Has all that waits served: one store. */
void noc_run(struct noc *n);

/*
 * The same in two steps, around a store of the caller's that serves `in` and does more
 * (VREG_BRIDGE_TURN).
 */
void noc_post(struct noc *n);
void noc_collect(struct noc *n);
/* Packets to deliver among what waits: messages, and reads and writes. */
unsigned noc_messages(const struct noc *n);
unsigned noc_transfers(const struct noc *n);

#endif
