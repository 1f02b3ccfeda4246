/* SPDX-License-Identifier: BSD-2-Clause */
/* What programs of `make bench` need: the time-stamp counter, and a line for tests/bench/guest.c.
 */
#ifndef BENCH_LINE_H
#define BENCH_LINE_H

#include <stdint.h>

#include "print.h"

/* Not before what stands before it has been done. */
static inline uint64_t bench_ticks(void)
{
    uint32_t lo, hi;

    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return (uint64_t)hi << 32 | lo;
}

/* `BENCH name EXITS OPERATIONS: TICKS...`, n of them; `tail` is a further part of the name. */
static inline void bench_line(const char *name, const char *tail, uint64_t exits, unsigned ops,
                              const uint64_t *ticks, unsigned n)
{
    print("BENCH %s%s %lu %u:", name, tail, (unsigned long)exits, ops);
    for (unsigned i = 0; i < n; i++)
        print(" %lu", (unsigned long)ticks[i]);
    print("\n");
}

#endif
