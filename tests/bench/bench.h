/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `make bench`: every case runs beside its baseline, in the same run and interleaved with it, so
 * that what counts, the ratio, does not depend on the machine's mood.
 *
 * A file of cases is any tests/bench/NAME.c with a list of them, handed in at file scope:
 *
 *     static const struct bench_case kernel_cases[] = {
 *         {"exchange_spanning", "EXCHANGE over two kernels, in the VPE", "ns",
 *          "6,484 cycles, published for simulated DTU hardware", run_exchange},
 *     };
 *     BENCH_CASES(kernel_cases)
 *
 * and a line for each in tests/bench/budgets.  The cases of a file run one after the other in a
 * child process of their own, in the order of the list, so they may keep what they share in static
 * variables, and what goes wrong in one file costs no other file its results.  What a case prints
 * goes between the lines of the table: begin it with the case's name.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats.h"

struct bench_case {
    const char *name;
    const char *interval; /* what one sample measures, from where to where */
    const char *unit;
    const char *baseline; /* what the ratio compares with */
    /* Fills both; exits: VM exits of one operation, or as the interval says; left alone where
     * nobody counts them.  0, or 1: skipped (why says so), or -errno. */
    int (*run)(struct samples *value, struct samples *base, double *exits, char *why, size_t size);
};

#define BENCH_CASES(list)                                                 \
    __attribute__((constructor)) static void bench_register_##list(void)  \
    {                                                                     \
        bench_register(__FILE__, list, sizeof(list) / sizeof((list)[0])); \
    }
/* The list is kept, not copied. */
void bench_register(const char *file, const struct bench_case *list, unsigned n);

/* ---- cases that a program measures inside a machine (guest.c) ---- */
/*
 * Such a program prints for each case one line of time-stamp ticks of one operation each (or of a
 * batch's mean), and the exits of its PE in all of them:
 *
 *     BENCH name EXITS OPERATIONS: TICKS...
 */
struct guest_case {
    char name[32];
    double exits, ops;
    struct samples s; /* ns */
};
/*
 * Runs `build/sempervm run --timeout 300 --no-prefix ARGS`, each PE pinned to a core (its number
 * modulo the cores), and adds what it says to the list, which ends with the first unnamed of `max`
 * places.  0, or -EIO when it failed or said nothing; its standard error is in
 * build/bench-guest.log.
 */
int bench_guest(const char *args, struct guest_case *list, unsigned max);
/* The same, but the host places the PEs: where more of them than cores take turns. */
int bench_guest_free(const char *args, struct guest_case *list, unsigned max);
/* That case; a new one where there is room and it is not there yet, else NULL. */
struct guest_case *guest_case_find(struct guest_case *list, unsigned max, const char *name);
/* The same case as a result: samples, exits per operation; the caller fills the baseline. */
int guest_case_result(struct guest_case *list, unsigned max, const char *name, struct samples *v,
                      double *exits, char *why, size_t size);

/* ---- the bare side: KVM without a VMM ---- */
struct bare;
/* One VM, one vCPU, running the loop of guest/apps/trapbench at CPL 3.  NULL on failure. */
struct bare *bare_open(void);
void bare_close(struct bare *b);
/* One batch of trapped stores; seconds, negative on failure. */
#define BARE_BATCH 1000u
double bare_batch(struct bare *b);
/* Into the guest and, by its next trapped store, out again; false: it failed. */
bool bare_once(struct bare *b);
/* Creates n VMs with one vCPU and one memory slot in a child process, and lets it end; seconds from
 * fork to reaped, or to the last VM created if only_create.  Negative on failure. */
double bare_vms(unsigned n, int only_create);

/* ---- without PEs: two threads (native.c) ---- */
enum native_kind {
    NATIVE_LINE,        /* one cache line there, one back */
    NATIVE_RING,        /* 64-byte messages, 32 slots, one way */
    NATIVE_RING_SLOTS,  /* the same with 24 bytes before each, as the rings of PEs have */
    NATIVE_PIPE,        /* 64 bytes there and back */
    NATIVE_SOCKET,      /* the same, AF_UNIX */
    NATIVE_EVENTFD,     /* there and back */
    NATIVE_PIPE_TPUT,   /* 64 bytes, one way */
    NATIVE_SHM,         /* 64 bytes there and back through shared memory, copied at both ends */
    NATIVE_SHM_PROCESS, /* the same between two processes */
    NATIVE_COUNT
};
/* n samples, each the mean of a batch in ns.  0 or -errno. */
int bench_native(enum native_kind kind, unsigned n, struct samples *s);
/* The same with messages of so many bytes (not NATIVE_LINE, _RING, _EVENTFD). */
#define NATIVE_SIZE_MAX 4096u
int bench_native_size(enum native_kind kind, size_t size, unsigned n, struct samples *s);
/* The calling thread runs on that core (modulo their number), on all it may again. */
void bench_pin(unsigned core);
void bench_unpin(void);

/* ---- without nodes: two processes on the loopback (udp.c) ---- */
/* n samples in ns: 64 bytes there and back (the mean of a batch); a datagram of 64 bytes received
 * of many that are sent with sendmmsg().  0 or -errno. */
int bench_udp_rtt(unsigned n, struct samples *s);
int bench_udp_rate(unsigned n, struct samples *s);
/* measure(fd, n, s), while peer() has the other end of that socket in a process of its own, which
 * is killed afterwards.  What measure() returned, or -errno. */
int bench_udp_peer(void (*peer)(int fd), int (*measure)(int fd, unsigned n, struct samples *s),
                   unsigned n, struct samples *s);

/* What a message between nodes cannot do without, and no work besides (netchain.c): n samples in
 * ns, there and back.  0 or -errno. */
int bench_net_chain(unsigned n, struct samples *s);

double bench_now(void); /* seconds */
/* n, or, for a run that only shows that the suite works, at most 3. */
unsigned bench_n(unsigned n);
/* Whether what began then has had its time (on a busy machine), so that what there is must do. */
bool bench_late(double since);
/* The rate of the time-stamp counter, which all cores and guests share; takes 0.1 s,
 * the first time. */
double bench_tsc_hz(void);

#endif
