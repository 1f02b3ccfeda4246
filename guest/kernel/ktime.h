/* SPDX-License-Identifier: BSD-2-Clause */
/* The time that waits of the kernel are measured in. */
#ifndef KERNEL_KTIME_H
#define KERNEL_KTIME_H

#include <stdint.h>

/*
 * The most that passes in one step, ns.  The kernel may have slept for minutes because nobody
 * waited for anything, or its host have stood still: that is not held against what was asked for
 * just before the step.
 */
#define KTIME_STEP 1000000000ull

struct ktime {
    uint64_t last; /* clock at the step before, ns; 0: no step yet */
};

/* The clock says `now` (ns, may stand still or be old): how much has passed since the last step. */
static inline uint64_t ktime_step(struct ktime *t, uint64_t now)
{
    uint64_t ns = t->last && now > t->last ? now - t->last : 0;

    if (now > t->last)
        t->last = now;
    return ns < KTIME_STEP ? ns : KTIME_STEP;
}

#endif
