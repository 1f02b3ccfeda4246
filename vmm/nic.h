/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NIC of a PE: netdev's 82540EM behind the exits of that PE, and what carries its frames.
 *
 * The PE reaches it at I/O ports CF8h-CFFh and at the I/O BAR (its TSS grants them, shim.h), and at
 * the memory BAR, whose accesses leave the guest as MMIO.  Stores to registers that may wait, the
 * doorbells TDT and RDT among them, are queued by KVM (coalesced MMIO) and cost no exit to user
 * space: whoever takes the DTU's stores from that queue hands ours to nic_posted(), and they take
 * effect in order, before anything else that the PE's next exit asks for, or when the I/O thread
 * looks (nic_io.c).
 *
 * Locks, in this order: that of reception; the NIC's; a DTU's (guest memory is read and written
 * through it); the one of the queue of posted stores.  The wire's lock is taken under the NIC's, a
 * scheduler's under any.
 *
 * In a seeded run nobody but the PE's own runner touches the NIC: nic_set_wire() and nic_input()
 * are its wire, and there is no I/O thread.
 */
#ifndef VMM_NIC_H
#define VMM_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../netdev/netdev.h"

#define NIC_BAR0 0xFEB00000u /* where the machine's firmware puts the windows */
#define NIC_BAR1 0xC000u

struct kvm_run;
struct machine;
struct nic;
struct pe;

/* A frame for the wire, without FCS, valid during the call; the NIC's lock is held. */
typedef void (*nic_transmit_fn)(void *arg, const void *frame, size_t len);

/* A NIC in that PE, whose DTU is there and which is bare by then or never; stored to pe->nic.  0 or
 * -ENOMEM. */
int nic_new(struct pe *pe, const uint8_t mac[6]);
void nic_free(struct nic *n); /* NULL is fine */

/* Frames go there from now on; before nic_start(), or instead of it. */
void nic_set_wire(struct nic *n, nic_transmit_fn transmit, void *arg);

/* A frame from the wire.  By whoever runs the PE in a seeded run; no lock held. */
enum netdev_rx nic_input(struct nic *n, const void *frame, size_t len);

/*
 * Joins it to the host's network as the machine says, with an I/O thread; 0, or -errno with one
 * line in err.  nic_stop() ends the thread.
 */
int nic_start(struct nic *n, const struct machine *m, char *err, size_t errsize);
void nic_stop(struct nic *n);
/* No PE runs any more: ends the recording. */
void nic_finish(struct nic *n);

/* ---- for the PE's own runner, no lock held ---- */

/* When its vCPU is there: the slot with its TSS, the queue.  0 or -errno. */
int nic_attach(struct nic *n);
/* As after power-on: the PE is reset. */
void nic_pe_reset(struct nic *n);
/* The guest is about to run / has left. */
void nic_enter(struct nic *n);
void nic_leave(struct nic *n);
/* An exit is the NIC's: then it is served. */
bool nic_port(struct nic *n, struct kvm_run *run);
bool nic_mmio(struct nic *n, struct kvm_run *run);
/*
 * Takes all causes out of ICR: the line goes down.  True if the driver, which will look at receive
 * descriptor `next`, has not seen all frames that there are, or if the link went up or down.
 */
bool nic_take_causes(struct nic *n, uint32_t next, uint32_t *causes);
/* Would a shim's stub have raised this `out`?  False: the program did it itself. */
bool nic_is_stub(struct nic *n);

/*
 * Sleeping where frames arrive.  True: the PE's own thread waits for them, so that none needs a
 * thread in between.  From nic_listen(true) on every nic_poke() ends nic_sleep(), as do frames
 * (they are delivered) and the end of the time, ~0: none; nic_listen(false) is the last thing that
 * has to be done then, and nic_sleep() does it.
 */
bool nic_is_direct(const struct nic *n);
void nic_listen(struct nic *n, bool on);
void nic_sleep(struct nic *n, uint64_t ns);

/* ---- any thread ---- */

/* Something happened that the PE may be waiting for; also with locks held. */
void nic_poke(struct nic *n);

/* The interrupt line, and how often it has risen. */
bool nic_line(const struct nic *n);
unsigned nic_rises(const struct nic *n);
/* A queued store of the PE to guest-physical addr, DTU's lock held.  False: not the NIC's. */
bool nic_posted(struct nic *n, uint64_t addr, uint64_t value, unsigned size);
void nic_stats(struct nic *n, FILE *out);

#endif
