/* SPDX-License-Identifier: BSD-2-Clause */
/* The client side of services; see session.h. */
#include "session.h"

#include "syscall.h"

unsigned session_open(struct session *s, const char *service, const void *args, size_t n)
{
    unsigned err;

    s->sel = sel_alloc(1);
    err = sysc_createsess(CAP_SELF_VPE, s->sel, service, args, n);
    if (err)
        sel_free(s->sel, 1);
    return err;
}

unsigned session_close(struct session *s)
{
    unsigned err = sysc_revoke(cap_range(s->sel, 1), true);

    sel_free(s->sel, 1);
    return err;
}

unsigned session_obtain(struct session *s, unsigned sel, unsigned count, struct session_args *args)
{
    return sysc_obtain(CAP_SELF_VPE, s->sel, cap_range(sel, count), args);
}

unsigned session_delegate(struct session *s, unsigned sel, unsigned count,
                          struct session_args *args)
{
    return sysc_delegate(CAP_SELF_VPE, s->sel, cap_range(sel, count), args);
}
