/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VPEs that a program creates: it gets a PE, copies itself there through the memory capability and
 * has a function run on it.  The copy has all data of the creator as they were at vpe_run(), but a
 * capability table and endpoints of its own, so gates of the creator mean nothing to it; what it
 * shall have is delegated to selectors below SEL_OWN.
 */
#ifndef GUEST_VPE_H
#define GUEST_VPE_H

#include <stdint.h>

#include "gate.h"

struct vpe {
    unsigned sel;    /* of the VPE; its memory's is sel + 1 */
    struct gate mem; /* its local memory, offset = local address */
    uint64_t desc;   /* PE descriptor: id and memory size */
};

/* Errors of CREATEVPE, notably SE_NO_FREE_CORE. */
unsigned vpe_create(struct vpe *v, const char *name);

/* Copies `count` capabilities from our selector own to its selector theirs, and back. */
unsigned vpe_delegate(const struct vpe *v, unsigned own, unsigned theirs, unsigned count);
unsigned vpe_obtain(const struct vpe *v, unsigned own, unsigned theirs, unsigned count);

/* Copies this program there and starts fn(arg); its result becomes the exit status. */
unsigned vpe_run(struct vpe *v, int (*fn)(void *), void *arg);
/* The same; mounts, files, caps and eps of its environment are those of *more (child.h). */
struct boot_env;
unsigned vpe_run_env(struct vpe *v, int (*fn)(void *), void *arg, const struct boot_env *more);

/* Until it has exited. */
unsigned vpe_wait(const struct vpe *v, int *status);

/* Revokes our capabilities for it, and so what hangs on them. */
unsigned vpe_destroy(struct vpe *v);

#endif
