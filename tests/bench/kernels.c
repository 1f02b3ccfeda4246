/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capability operations of one kernel and of two: guest/apps/kernbench runs in machines and prints
 * its samples.  Published figures are cycles of other clocks, so cycles are what is compared.
 */
#include "kernels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS   3u
#define CASES    32u
#define LINE_MAX (1u << 16)

static struct kern_case {
    char name[32];
    double exits, ops;
    struct samples s; /* cycles */
} cases[CASES];

static int state; /* 0: not run yet, 1: done, negative: failed */

/* That case, a new one if there is none; NULL: there are too many. */
static struct kern_case *find(const char *name)
{
    for (unsigned i = 0; i < CASES; i++) {
        if (!cases[i].name[0])
            snprintf(cases[i].name, sizeof(cases[i].name), "%s", name);
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    }
    return NULL;
}

/* "BENCH name EXITS OPERATIONS: TICKS..." */
static void parse(char *line)
{
    char *name = strtok(line + strlen("BENCH "), " "), *word;
    struct kern_case *c = name ? find(name) : NULL;

    if (!c)
        return;
    word = strtok(NULL, " ");
    c->exits += word ? strtod(word, NULL) : 0;
    word = strtok(NULL, " ");
    c->ops += word ? strtod(word, NULL) : 0;
    while ((word = strtok(NULL, " \n")))
        samples_add(&c->s, strtod(word, NULL));
}

static int run_guest(const char *words)
{
    static char line[LINE_MAX];
    unsigned lines = 0;
    char cmd[256];
    FILE *f;

    snprintf(cmd, sizeof(cmd),
             "exec build/sempervm run --timeout 300 --pes 5 --no-prefix -- kernel %s 2>/dev/null",
             words);
    f = popen(cmd, "r");
    if (!f)
        return -errno;
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, "BENCH ", 6) == 0) {
            parse(line);
            lines++;
        }
    return pclose(f) == 0 && lines > 0 ? 0 : -EIO;
}

#define LOCAL   "kernbench serve daemon -- kernbench local 50 requires=kernbench"
#define SESSION "kernel kernbench serve daemon pes=2 -- kernbench session 50 requires=kernbench"

static int run_all(char *why, size_t size)
{
    if (state == 0)
        state = 1;
    else
        return state < 0 ? state : 0;
    for (unsigned i = 0; i < ROUNDS && state > 0; i++)
        if (run_guest(LOCAL) < 0 || run_guest(SESSION) < 0)
            state = -EIO;
    if (state < 0)
        snprintf(why, size, "kernbench did not run to its end: try build/sempervm run -- kernel %s",
                 LOCAL);
    return state < 0 ? state : 0;
}

/* What a case is called by the program; what it is compared with: cycles, or times another case. */
static const struct {
    const char *name, *guest;
    double published;
    const char *other;
} compare[] = {
    {"syscall_noop_kernel", "noop_kernel", 1, "noop"},
    {"exchange_local_kernel", NULL, 366, NULL},
    {"revoke_local_kernel", NULL, 6096, NULL},
    {"obtain_local", NULL, 3597, NULL},
    {"obtain_local_kernel", NULL, 3597, NULL},
    {"exchange_spanning", NULL, 6484, NULL},
    {"exchange_spanning_kernel", NULL, 6484, NULL},
    {"revoke_spanning", NULL, 3876, NULL},
    {"revoke_spanning_kernel", NULL, 3876, NULL},
    {"chain_10", NULL, 30748, NULL},
    {"chain_10_kernel", NULL, 30748, NULL},
    {"chain_50", NULL, 153500, NULL},
    {"chain_50_kernel", NULL, 153500, NULL},
    {"chain_100", NULL, 200000, NULL},
    {"chain_100_kernel", NULL, 315638, NULL},
    {"tree_100", NULL, 100, "revoke_local"},
    {"tree_100_kernel", NULL, 100, "revoke_local_kernel"},
    {"tree_100_spanning", NULL, 100, "revoke_spanning"},
    {"tree_100_spanning_kernel", NULL, 100, "revoke_spanning_kernel"},
};

static int result(const char *name, struct samples *v, struct samples *b, double *exits, char *why,
                  size_t size)
{
    struct kern_case *c, *o;
    unsigned i = 0;
    int r = run_all(why, size);

    if (r < 0)
        return r;
    while (strcmp(compare[i].name, name) != 0)
        i++;
    c = find(compare[i].guest ? compare[i].guest : name);
    o = compare[i].other ? find(compare[i].other) : NULL;
    if (!c || c->s.n == 0 || (o && o->s.n == 0)) {
        snprintf(why, size, "kernbench said nothing of %s", name);
        return -EIO;
    }
    *v = c->s;
    for (unsigned k = 0; o && k < o->s.n; k++)
        samples_add(b, o->s.v[k] * compare[i].published);
    if (!o)
        samples_add(b, compare[i].published);
    *exits = c->ops > 0 ? c->exits / c->ops : 0;
    return 0;
}

#define KERNELS_DEFINE(name, interval, baseline)                                                 \
    int case_##name(struct samples *v, struct samples *b, double *exits, char *why, size_t size) \
    {                                                                                            \
        return result(#name, v, b, exits, why, size);                                            \
    }
KERNELS_LIST(KERNELS_DEFINE)

static const struct bench_case kernel_cases[] = {KERNELS_LIST(KERNELS_ROW)};
BENCH_CASES(kernel_cases)
