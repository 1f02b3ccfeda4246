/* SPDX-License-Identifier: BSD-2-Clause */
/* The client side of services (semperos-platform 8): sessions, and capabilities over them. */
#ifndef GUEST_SESSION_H
#define GUEST_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "gate.h"

struct session {
    unsigned sel;
};

/* n bytes of args for the service's OPEN.  SE_INV_ARGS: no such service; or what that said. */
unsigned session_open(struct session *s, const char *service, const void *args, size_t n);

/* Revokes it; the service is told when nobody has it any more. */
unsigned session_close(struct session *s);

/* Words that go to the service and come back from it. */
struct session_args {
    const uint64_t *in;
    unsigned nin;
    uint64_t *out;
    unsigned nout; /* the size of out; then, how many came */
};
/*
 * count capabilities of the service's to our selectors from sel on (the service may give fewer), or
 * ours to it.  args may be NULL.  Errors of the service or of the kernel.
 */
unsigned session_obtain(struct session *s, unsigned sel, unsigned count, struct session_args *args);
unsigned session_delegate(struct session *s, unsigned sel, unsigned count,
                          struct session_args *args);

#endif
