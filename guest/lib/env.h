/* SPDX-License-Identifier: BSD-2-Clause */
/* The environment block at its fixed place (semperos-platform 1). */
#ifndef GUEST_ENV_H
#define GUEST_ENV_H

#include "boot.h"

/*
 * Volatile, because the kernel writes it from another PE while we look at it.  The compiler cannot
 * see an object at that address; the asm keeps it from reasoning about one.
 */
static inline volatile struct boot_env *env(void)
{
    uintptr_t p = PE_ENV_ADDR;

    __asm__("" : "+r"(p));
    return (volatile struct boot_env *)p;
}

#endif
