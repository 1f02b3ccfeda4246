/* SPDX-License-Identifier: BSD-2-Clause */
/* Time from the VMM, which is virtual when it runs by a seed; never from the CPU. */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include "dtu_drv.h"

/* Nanoseconds since the machine started; 0 where the VMM is not ours. */
static inline uint64_t clock_ns(void)
{
    if (!vreg_has(VREG_F_TIME))
        return 0;
    vreg_set(VREG_TIME, 0);
    return vreg_get(VREG_TIME);
}

#endif
