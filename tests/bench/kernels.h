/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cases of kernels.c.  VPE: from before the system call to behind its answer, in the VPE.
 * KERNEL: the same calls, from the fetch of the message in the VPE's kernel to just before its
 * answer, by that kernel's own clock; other kernels' and services' work in between is part of it.
 */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include "bench.h"

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

#define KERNELS_DECLARE(name, interval, baseline) \
    int case_##name(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
KERNELS_LIST(KERNELS_DECLARE)

/* Rows of the list. */
#define KERNELS_ROW(name, interval, baseline) {#name, interval, "cycles", baseline, case_##name},

#endif
