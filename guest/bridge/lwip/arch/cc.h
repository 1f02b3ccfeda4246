/* SPDX-License-Identifier: BSD-2-Clause */
/* What lwIP wants to know about compiler and platform; x86-64 in a PE or in a test on the host. */
#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <stddef.h>
#include <stdint.h>

#define LWIP_NO_CTYPE_H  1
#define LWIP_NO_LIMITS_H 1
#define LWIP_NO_UNISTD_H 1

#if __STDC_HOSTED__
#include <sys/types.h>
#else
#define LWIP_NO_INTTYPES_H 1
typedef long ssize_t;
#endif
#ifndef INT_MAX
#define INT_MAX __INT_MAX__
#endif
#ifndef SSIZE_MAX
#define SSIZE_MAX __LONG_MAX__
#endif

/* An invariant of lwIP itself does not hold: net_broken() does not return. */
_Noreturn void net_broken(const char *what);
uint32_t net_random(void);

#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) net_broken(x)
#define LWIP_RAND()             net_random()

#endif
