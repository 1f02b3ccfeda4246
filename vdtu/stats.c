/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of one DTU, as a consistent copy. */
#include "internal.h"

void vdtu_stats(struct vdtu *d, struct vdtu_stats *out)
{
    vdtu_lock(d);
    *out = d->stats;
    out->maps_revoked = __atomic_load_n(&d->maps_revoked, __ATOMIC_RELAXED);
    vdtu_unlock(d);
}
