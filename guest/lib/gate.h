/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gates: capabilities for sending and for memory, put onto endpoints as they are used.  A PE has 14
 * endpoints for all of them, so a gate that has none takes one away from another gate, in turn.
 *
 * Selectors: those below SEL_OWN are for what other VPEs put into our table (they choose, see
 * sysc_exchange()); we allocate our own from there up, so that the two never meet.
 */
#ifndef GUEST_GATE_H
#define GUEST_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtu_drv.h"
#include "syscalls.h"

#define SEL_GIVEN 2u    /* first selector that others may use */
#define SEL_OWN   4096u /* first selector of sel_alloc() */
#define SEL_END   8192u

/* count adjacent free selectors; panics when there are none. */
unsigned sel_alloc(unsigned count);
void sel_free(unsigned start, unsigned count);

/* An endpoint that gates no longer take (a receive endpoint, say); panics when there is none. */
unsigned ep_alloc(void);
void ep_free(unsigned ep);
/* That one becomes such; somebody else told us its number. */
void ep_reserve(unsigned ep);

/* Forgets all endpoints and selectors: for a VPE that begins as a copy of another. */
void gate_reset(void);

/* A receive endpoint with its buffer, which lies in the receive buffer space. */
struct recv_gate {
    unsigned ep;
    uint64_t addr;
    unsigned order, msgorder;
};
/* 2^order bytes in slots of 2^msgorder (32 slots at most).  Errors of ATTACHRB; SE_NO_SPACE. */
unsigned recv_gate_create(struct recv_gate *g, unsigned order, unsigned msgorder);
/* The same on endpoint ep, which is reserved. */
unsigned recv_gate_attach(struct recv_gate *g, unsigned ep, unsigned order, unsigned msgorder);
/* Detaches it.  Buffer space is given back only to the latest one created. */
unsigned recv_gate_destroy(struct recv_gate *g);
/* The next message; waits for it.  NULL when the endpoint was taken from us. */
const struct dtu_header *recv_gate_wait(const struct recv_gate *g);
struct gate;
/* The same for an answer to what was sent through `to`: NULL also when that gate was taken from us
 * (revoked, its receiver's kernel gone) and no answer had come before.  `to` must keep its endpoint
 * meanwhile. */
const struct dtu_header *recv_gate_wait_answer(const struct recv_gate *g, const struct gate *to);

/* A send or memory gate.  Zero-initialise and set sel; ep is managed here. */
struct gate {
    unsigned sel;
    unsigned ep; /* 0: on none */
};
/* Gets it an endpoint when it has none.  Error of ACTIVATE. */
unsigned gate_activate(struct gate *g);
/* Empties its endpoint. */
void gate_deactivate(struct gate *g);

/*
 * Activates it, and no other gate takes its endpoint until as many gate_unpin()s or until it is
 * deactivated.  GATE_PINS gates at most, then SE_NO_SPACE.
 */
#define GATE_PINS 6u
unsigned gate_pin(struct gate *g);
void gate_unpin(struct gate *g);

/* Another number after each gate_reset(): what was known of this PE is an other's. */
unsigned gate_life(void);

/* As dtu_send(), dtu_read(), dtu_write(), on whatever endpoint. */
unsigned gate_send(struct gate *g, const void *data, size_t len, unsigned reply_ep,
                   uint64_t reply_label);
unsigned gate_read(struct gate *g, void *buf, size_t len, uint64_t off);
unsigned gate_write(struct gate *g, const void *buf, size_t len, uint64_t off);

#endif
