/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capability operations of one kernel and of two: guest/apps/kernbench runs in machines and prints
 * its samples.  Published figures are cycles of other clocks, so cycles are what is compared.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/*
 * VPE: from before the system call to behind its answer, in the VPE.
 * KERNEL: the same calls, from the fetch of the message in the VPE's kernel to just before its
 * answer, by that kernel's own clock; other kernels' and services' work in between is part of it.
 */
#define GEM5     " cycles at the VPE, published for simulated DTU hardware at 2 GHz"
#define SEL4     " cycles in the kernel, published for the seL4 predecessor at 2.1 GHz"
#define KERNEL   " in the VPE's kernel, from the message's fetch to just before its answer"
#define SAME_RUN " of the same run"

/* name, what was measured, what the ratio compares with */
#define KERNELS_LIST(X)                                                                           \
    X(syscall_noop_kernel, "NOOP," KERNEL, "NOOP at the VPE" SAME_RUN)                            \
    X(exchange_local_kernel, "EXCHANGE of one capability," KERNEL, "366" SEL4)                    \
    X(revoke_local_kernel, "REVOKE of one child," KERNEL, "6,096" SEL4)                           \
    X(obtain_local, "OBTAIN of one capability from a service of the same kernel, in the VPE",     \
      "3,597" GEM5)                                                                               \
    X(obtain_local_kernel, "OBTAIN of one capability, the service's answer included," KERNEL,     \
      "3,597" GEM5)                                                                               \
    X(exchange_spanning, "OBTAIN of one capability from a service of another kernel, in the VPE", \
      "6,484" GEM5)                                                                               \
    X(exchange_spanning_kernel,                                                                   \
      "that OBTAIN, the other kernel's and the service's answer included," KERNEL, "6,484" GEM5)  \
    X(revoke_spanning, "REVOKE of one child that another kernel has, in the VPE", "3,876" GEM5)   \
    X(revoke_spanning_kernel, "that REVOKE, the other kernel's answer included," KERNEL,          \
      "3,876" GEM5)                                                                               \
    X(chain_10, "REVOKE of a chain of 10 to and fro between two VPEs of a kernel, in the VPE",    \
      "30,748" SEL4)                                                                              \
    X(chain_10_kernel, "that REVOKE," KERNEL, "30,748" SEL4)                                      \
    X(chain_50, "REVOKE of a chain of 50, in the VPE", "153,500" SEL4)                            \
    X(chain_50_kernel, "that REVOKE," KERNEL, "153,500" SEL4)                                     \
    X(chain_100, "REVOKE of a chain of 100, in the VPE", "about 200,000" GEM5)                    \
    X(chain_100_kernel, "that REVOKE," KERNEL, "315,638" SEL4)                                    \
    X(tree_100, "REVOKE of 100 children of one capability in another VPE, in the VPE",            \
      "100 times REVOKE of one child" SAME_RUN)                                                   \
    X(tree_100_kernel, "that REVOKE," KERNEL, "100 times that of one child" SAME_RUN)             \
    X(tree_100_spanning, "REVOKE of 100 children that another kernel has, in the VPE",            \
      "100 times REVOKE of one such child" SAME_RUN)                                              \
    X(tree_100_spanning_kernel, "that REVOKE, the other kernel's answers included," KERNEL,       \
      "100 times that of one such child" SAME_RUN)

#define ROUNDS 3u
#define CASES  32u

static struct guest_case cases[CASES];

static int state; /* 0: not run yet, 1: done, negative: failed */

#define LOCAL "--pes 5 -- kernel kernbench serve daemon -- kernbench local 50 requires=kernbench"
#define SESSION                                                                      \
    "--pes 5 -- kernel kernel kernbench serve daemon pes=2 -- kernbench session 50 " \
    "requires=kernbench"

static int run_all(char *why, size_t size)
{
    if (state == 0)
        state = 1;
    else
        return state < 0 ? state : 0;
    for (unsigned i = 0; i < ROUNDS && state > 0; i++)
        if (bench_guest_free(LOCAL, cases, CASES) < 0 ||
            bench_guest_free(SESSION, cases, CASES) < 0)
            state = -EIO;
    if (state < 0)
        snprintf(why, size, "kernbench did not run to its end: try build/sempervm run %s", LOCAL);
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
    double per_ns = bench_tsc_hz() / 1e9;
    struct guest_case *c, *o;
    unsigned i = 0;
    int r = run_all(why, size);

    if (r < 0)
        return r;
    while (strcmp(compare[i].name, name) != 0)
        i++;
    c = guest_case_find(cases, CASES, compare[i].guest ? compare[i].guest : name);
    o = compare[i].other ? guest_case_find(cases, CASES, compare[i].other) : NULL;
    if (!c || c->s.n == 0 || (o && o->s.n == 0)) {
        snprintf(why, size, "kernbench said nothing of %s", name);
        return -EIO;
    }
    for (unsigned k = 0; k < c->s.n; k++)
        samples_add(v, c->s.v[k] * per_ns);
    for (unsigned k = 0; o && k < o->s.n; k++)
        samples_add(b, o->s.v[k] * per_ns * compare[i].published);
    if (!o)
        samples_add(b, compare[i].published);
    if (!strstr(name, "_kernel")) /* of the kernel's own nobody asks */
        *exits = c->ops > 0 ? c->exits / c->ops : 0;
    return 0;
}

#define KERNELS_DEFINE(name, interval, baseline)                                           \
    static int case_##name(struct samples *v, struct samples *b, double *exits, char *why, \
                           size_t size)                                                    \
    {                                                                                      \
        return result(#name, v, b, exits, why, size);                                      \
    }
KERNELS_LIST(KERNELS_DEFINE)

#define KERNELS_ROW(name, interval, baseline) {#name, interval, "cycles", baseline, case_##name},

static const struct bench_case kernel_cases[] = {KERNELS_LIST(KERNELS_ROW)};
BENCH_CASES(kernel_cases)
