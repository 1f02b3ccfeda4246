/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests with threads of their own share: the first thing that is wrong ends them all. */
#ifndef THREADS_FIXTURE_H
#define THREADS_FIXTURE_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static bool stop; /* atomic */
static char wrong[200];

#define WRONG(...)                                       \
    do {                                                 \
        if (!wrong[0])                                   \
            snprintf(wrong, sizeof(wrong), __VA_ARGS__); \
        __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST); \
    } while (0)

static inline double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
