/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `make bench`: every case runs beside its baseline, in the same run and interleaved with it, so
 * that what counts, the ratio, does not depend on the machine's mood.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_SAMPLES 512u

/* Samples of one quantity; sorted by bench_finish(). */
struct samples {
    unsigned n;
    double v[BENCH_SAMPLES];
};

struct bench_case {
    const char *name;
    const char *interval; /* what one sample measures, from where to where */
    const char *unit;
    const char *baseline; /* what the ratio compares with */
    /* Fills both; exits: VM exits of one operation, or as the interval says.  0, or 1: skipped
     * (why says so), or -errno. */
    int (*run)(struct samples *value, struct samples *base, double *exits, char *why, size_t size);
};

void samples_add(struct samples *s, double v);
/* The value that a share q (0..1) of the samples does not exceed; sorts. */
double samples_at(struct samples *s, double q);

/* ---- the bare side: KVM without a VMM ---- */
struct bare;
/* One VM, one vCPU, running the loop of guest/apps/trapbench at CPL 3.  NULL on failure. */
struct bare *bare_open(void);
void bare_close(struct bare *b);
/* One batch of 1,000 trapped stores; seconds. */
double bare_batch(struct bare *b);
/* Creates n VMs with one vCPU and one memory slot in a child process, and lets it end; seconds from
 * fork to reaped, or to the last VM created if only_create.  Negative on failure. */
double bare_vms(unsigned n, int only_create);

/* ---- without PEs: two threads (native.c) ---- */
enum native_kind {
    NATIVE_LINE,      /* one cache line there, one back */
    NATIVE_RING,      /* 64-byte messages, 32 slots, one way */
    NATIVE_PIPE,      /* 64 bytes there and back */
    NATIVE_SOCKET,    /* the same, AF_UNIX */
    NATIVE_EVENTFD,   /* there and back */
    NATIVE_PIPE_TPUT, /* 64 bytes, one way */
    NATIVE_COUNT
};
/* n samples, each the mean of a batch in ns.  0 or -errno. */
int bench_native(enum native_kind kind, unsigned n, struct samples *s);

/* ---- without nodes: two processes on the loopback (udp.c) ---- */
/* n samples in ns: 64 bytes there and back (the mean of a batch); a datagram of 64 bytes received
 * of many that are sent with sendmmsg().  0 or -errno. */
int bench_udp_rtt(unsigned n, struct samples *s);
int bench_udp_rate(unsigned n, struct samples *s);

/* ---- the cases ---- */
int case_trap(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_boot_640(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_mem_per_pe(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_first_line(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_seeded(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_traced(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_capbench(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_msg_rtt(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_msg_rtt_pipe(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_msg_rtt_socket(struct samples *v, struct samples *b, double *exits, char *why,
                        size_t size);
int case_msg_rtt_eventfd(struct samples *v, struct samples *b, double *exits, char *why,
                         size_t size);
int case_msg_rtt_trap(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_msg_tput(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_msg_tput_pipe(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_msg_tput_trap(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_wake_sleeper(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_syscall_noop(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_syscall_noop_trap(struct samples *v, struct samples *b, double *exits, char *why,
                           size_t size);
int case_exchange_local(struct samples *v, struct samples *b, double *exits, char *why,
                        size_t size);
int case_revoke_local(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_ep_configure(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_fanin_1(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_fanin_8(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_fanin_64(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_fanin_512(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_noop_among_sleepers(struct samples *v, struct samples *b, double *exits, char *why,
                             size_t size);
int case_net_rtt(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_net_rate(struct samples *v, struct samples *b, double *exits, char *why, size_t size);
int case_capbench_nodes(struct samples *v, struct samples *b, double *exits, char *why,
                        size_t size);

double bench_now(void); /* seconds */
/* The rate of the time-stamp counter, which all cores and guests share; takes 0.1 s. */
double bench_tsc_hz(void);

#endif
