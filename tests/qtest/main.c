/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qtest [--seed N] [--count N] [--seconds N] [--verbose]
 *
 * Runs scripts from seeds N, N + 1, ... against QEMU's e1000 and ours.  Prints PASS and FAIL lines
 * and how often each known difference was met; exit status 1 when something else differed, 2 when
 * QEMU could not be had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "script.h"

#define FAILURES_MAX 5u

static unsigned long number(int argc, char **argv, const char *name, unsigned long otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return strtoul(argv[i + 1], NULL, 0);
    return otherwise;
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    unsigned long seed = number(argc, argv, "--seed", 1),
                  count = number(argc, argv, "--count", 1000);
    double end = seconds() + (double)number(argc, argv, "--seconds", 600);
    struct pair *p = calloc(1, sizeof(*p));
    unsigned long done = 0, steps = 0;
    unsigned failures = 0;

    if (!p)
        return 2;
    pair_start(p);
    p->verbose = argc > 1 && strcmp(argv[argc - 1], "--verbose") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (script_sweep(p))
        printf("PASS qtest sweep: all registers, four patterns each\n");
    else
        printf("FAIL qtest sweep: registers differ\n"), failures++;
    for (; done < count && failures < FAILURES_MAX && seconds() < end; done++) {
        if (!script_run(p, seed + done))
            failures++;
        steps += p->step;
    }
    for (unsigned r = 0; r < RULES; r++)
        printf("     %-32s %llu times\n", rule_names[r], (unsigned long long)p->used[r]);
    if (failures)
        printf("FAIL qtest scripts: %u of %lu differ\n", failures, done);
    else
        printf("PASS qtest scripts: %lu from seed %lu, %lu steps, no other difference\n", done,
               seed, steps);
    pair_stop(p);
    free(p);
    return failures != 0;
}
