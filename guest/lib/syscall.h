/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls (semperos-platform 7.2): one message through endpoint 0, one reply at endpoint 1.
 * All return the kernel's error code (errors.h), 0 = done, or the DTU's when the message could not
 * be sent.  Selectors are the caller's own unless said otherwise.
 */
#ifndef GUEST_SYSCALL_H
#define GUEST_SYSCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"
#include "syscalls.h"

#define SYSC_MEM_ANY (~0ull) /* REQMEM: anywhere */

static inline struct cap_range cap_range(unsigned start, unsigned count)
{
    return (struct cap_range){CRD_OBJ, start, count};
}

unsigned sysc_noop(void);

/* What our call before this one took in the kernel (SYSC_NOOP_TIME).  SE_INV_ARGS: it does not say.
 */
unsigned sysc_kernel_ticks(uint64_t *ticks);

/*
 * A send gate at selector dst: messages of at most maxmsg bytes (header included) to endpoint ep of
 * VPE vpe, which sees them with that label.
 */
unsigned sysc_creategate(unsigned vpe, unsigned dst, uint64_t label, unsigned ep, unsigned maxmsg);

/* Revokes a range with everything derived from it; own = false: only what is derived. */
unsigned sysc_revoke(struct cap_range range, bool own);

/*
 * Copies capabilities between us (range own) and VPE vpe (range other, its selectors): to it, or,
 * with obtain, from it.
 */
unsigned sysc_exchange(unsigned vpe, struct cap_range own, struct cap_range other, bool obtain);

/* size bytes of the memory PE; addr SYSC_MEM_ANY or an offset.  perm: enum dtu_perm. */
unsigned sysc_reqmem(unsigned dst, uint64_t addr, uint64_t size, unsigned perm);
unsigned sysc_derivemem(unsigned src, unsigned dst, uint64_t off, uint64_t size, unsigned perm);

/*
 * Puts the gate at selector next onto our endpoint ep (CAP_INVALID: empties it); prev is the
 * selector that is there now or CAP_INVALID.  May take until the receiver attaches its buffer.
 */
unsigned sysc_activate(unsigned ep, unsigned prev, unsigned next);

/* Endpoint ep of VPE vpe receives into 2^order bytes at addr, slots of 2^msgorder bytes. */
unsigned sysc_attachrb(unsigned vpe, unsigned ep, uint64_t addr, unsigned order, unsigned msgorder);
unsigned sysc_detachrb(unsigned vpe, unsigned ep);

/*
 * A VPE on a free PE like *desc (a PE descriptor, which becomes that of the PE it got): its
 * capability at vpe, that of its memory at mem.  name: at most 63 bytes.
 */
unsigned sysc_createvpe(unsigned vpe, unsigned mem, const char *name, uint64_t *desc);
unsigned sysc_start(unsigned vpe);
/* Until VPE vpe has exited; its status to *status (on success). */
unsigned sysc_wait(unsigned vpe, int *status);

/* Our endpoint behind the gate becomes a service of that name.  SE_EXISTS: there is one. */
unsigned sysc_createsrv(unsigned gate, unsigned srv, const char *name);

/* A session at selector sess of VPE vpe; n bytes of args go to the service. */
unsigned sysc_createsess(unsigned vpe, unsigned sess, const char *name, const void *args, size_t n);

/* A session of our own service. */
unsigned sysc_createsessat(unsigned srv, unsigned sess, uint64_t ident);

/* Capabilities over a session of VPE vpe; struct session_args (session.h) may be NULL. */
struct session_args;
unsigned sysc_obtain(unsigned vpe, unsigned sess, struct cap_range range, struct session_args *a);
unsigned sysc_delegate(unsigned vpe, unsigned sess, struct cap_range range, struct session_args *a);

/* A call as it stands, for tests; only the error code of the answer is looked at. */
unsigned sysc_raw(const void *payload, size_t len);

/*
 * What to do while a reply is outstanding and messages wait on other endpoints: fn(arg) shall take
 * them (without system calls), so that this PE can sleep.  NULL: nothing.
 */
void sysc_while_waiting(void (*fn)(void *), void *arg);

#endif
