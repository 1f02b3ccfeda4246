/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages and system calls: guest/apps/ringbench runs in a machine and prints its samples; before
 * and after each run come those of what a user would have instead.  The machine runs ROUNDS times,
 * with rings and, for comparison, by traps alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define ROUNDS 3u
#define CASES  16u

static struct guest_case by_ring[CASES], by_trap[CASES];

static struct samples native[NATIVE_COUNT];
static double tsc_hz;
static int state; /* 0: not run yet, 1: done, negative: failed */

static struct guest_case *find(struct guest_case *list, const char *name)
{
    return guest_case_find(list, CASES, name);
}

static int run_guest(const char *rings, unsigned rounds, const char *only, struct guest_case *list)
{
    char args[128];

    snprintf(args, sizeof(args), "--pes 3 --rings %s -- kernel ringbench %u %s", rings, rounds,
             only);
    return bench_guest(args, list, CASES);
}

/* What there are cases of. */
static int run_traps(void)
{
    static const char *const names[] = {"msg_rtt_64", "msg_tput_64", "syscall_noop"};

    for (unsigned i = 0; i < 3; i++)
        if (run_guest("no", bench_n(50) < 10 ? 10 : 50, names[i], by_trap) < 0)
            return -EIO;
    return 0;
}

static int run_native(unsigned n)
{
    for (unsigned i = 0; i < NATIVE_COUNT; i++) {
        int r = bench_native((enum native_kind)i, n, &native[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

static int run_all(char *why, size_t size)
{
    if (state)
        return state < 0 ? state : 0;
    double since = bench_now();
    unsigned rounds = bench_n(100) < 10 ? 10 : 100; /* ringbench wants 10 at least */

    state = 1;
    tsc_hz = bench_tsc_hz();
    for (unsigned i = 0; i < bench_n(ROUNDS) && state > 0 && !(i && bench_late(since)); i++) {
        if (run_native(bench_n(80)) < 0 || run_guest("yes", rounds, "", by_ring) < 0 ||
            run_native(bench_n(80)) < 0)
            state = -EIO;
        if (state > 0 && i < 1 && run_traps() < 0)
            state = -EIO;
    }
    if (state < 0)
        snprintf(why, size,
                 "ringbench did not run to its end: try build/sempervm run --pes 3 -- "
                 "kernel ringbench 10");
    return state < 0 ? state : 0;
}

static int result(const char *name, struct guest_case *list, const struct samples *base,
                  struct samples *v, struct samples *b, double *exits, char *why, size_t size)
{
    int r = run_all(why, size);

    if (r == 0)
        r = guest_case_result(list, CASES, name, v, exits, why, size);
    if (r == 0)
        *b = *base;
    return r;
}

#define RESULT(name, list, base) return result(name, list, base, v, b, exits, why, size)
#define ARGS                     struct samples *v, struct samples *b, double *exits, char *why, size_t size

static int case_msg_rtt(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_LINE]);
}
static int case_msg_rtt_pipe(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_PIPE]);
}
static int case_msg_rtt_socket(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_SOCKET]);
}
static int case_msg_rtt_eventfd(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_EVENTFD]);
}
static int case_msg_rtt_process(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_SHM_PROCESS]);
}
static int case_msg_rtt_trap(ARGS)
{
    RESULT("msg_rtt_64", by_trap, &native[NATIVE_LINE]);
}
static int case_msg_tput(ARGS)
{
    RESULT("msg_tput_64", by_ring, &native[NATIVE_RING]);
}
static int case_msg_tput_slots(ARGS)
{
    RESULT("msg_tput_64", by_ring, &native[NATIVE_RING_SLOTS]);
}
static int case_msg_tput_pipe(ARGS)
{
    RESULT("msg_tput_64", by_ring, &native[NATIVE_PIPE_TPUT]);
}
static int case_msg_tput_trap(ARGS)
{
    RESULT("msg_tput_64", by_trap, &native[NATIVE_RING]);
}
static int case_wake_sleeper(ARGS)
{
    RESULT("wake_sleeper", by_ring, &native[NATIVE_EVENTFD]);
}
static int case_syscall_noop(ARGS)
{
    RESULT("syscall_noop", by_ring, &find(by_ring, "msg_rtt_64")->s);
}
static int case_syscall_noop_trap(ARGS)
{
    RESULT("syscall_noop", by_trap, &find(by_trap, "msg_rtt_64")->s);
}

/* Against a published number of cycles: simulated hardware, so a ratio of cycles. */
static int published(const char *name, double cycles, ARGS)
{
    static const struct samples none;
    int r = result(name, by_ring, &none, v, b, exits, why, size);

    if (r == 0)
        samples_add(b, cycles * 1e9 / tsc_hz);
    return r;
}

static int case_exchange_local(ARGS)
{
    return published("exchange_local", 3597, v, b, exits, why, size);
}
static int case_revoke_local(ARGS)
{
    return published("revoke_local", 1997, v, b, exits, why, size);
}

/* The kernel writes another PE's endpoint: one exit is what it costs at least. */
static int beside_exit(const char *name, ARGS)
{
    struct bare *bare = bare_open();
    int r = result(name, by_ring, &native[NATIVE_LINE], v, b, exits, why, size);

    b->n = 0;
    for (unsigned i = 0; r == 0 && i < bench_n(20); i++) {
        double s = bare ? bare_batch(bare) : -1;

        if (s < 0)
            r = -EIO;
        samples_add(b, s * 1e9 / BARE_BATCH);
    }
    if (bare)
        bare_close(bare);
    return r;
}

static int case_ep_configure(ARGS)
{
    return beside_exit("ep_configure", v, b, exits, why, size);
}
static int case_ep_configure_asleep(ARGS)
{
    return beside_exit("ep_configure_asleep", v, b, exits, why, size);
}
static int case_ep_invalidate(ARGS)
{
    return beside_exit("ep_invalidate", v, b, exits, why, size);
}

static const struct bench_case ring_cases[] = {
    {"msg_rtt_64",
     "64 bytes to another PE and 64 back, in the sender: from before SEND to after ACK; exits: of "
     "both PEs",
     "ns", "a cache line there and back between two native threads", case_msg_rtt},
    {"msg_rtt_64_pipe", "as msg_rtt_64", "ns", "64 bytes through a pipe and back",
     case_msg_rtt_pipe},
    {"msg_rtt_64_socket", "as msg_rtt_64", "ns", "64 bytes through a Unix socket and back",
     case_msg_rtt_socket},
    {"msg_rtt_64_eventfd", "as msg_rtt_64", "ns", "an eventfd there and one back",
     case_msg_rtt_eventfd},
    {"msg_rtt_64_process", "as msg_rtt_64", "ns",
     "64 bytes through shared memory and back, copied at both ends, two native processes",
     case_msg_rtt_process},
    {"msg_rtt_64_trap", "as msg_rtt_64, with --rings no", "ns",
     "a cache line there and back between two native threads", case_msg_rtt_trap},
    {"msg_tput_64",
     "one 64-byte message of many in one direction, in the sender; exits: of both PEs", "ns",
     "a ring of 32 slots between two native threads", case_msg_tput},
    {"msg_tput_64_slots", "as msg_tput_64", "ns",
     "the same ring with slots as ours have: 24 bytes before the message, copied at both ends",
     case_msg_tput_slots},
    {"msg_tput_64_pipe", "as msg_tput_64", "ns", "64 bytes into a pipe that is read",
     case_msg_tput_pipe},
    {"msg_tput_64_trap", "as msg_tput_64, with --rings no", "ns",
     "a ring of 32 slots between two native threads", case_msg_tput_trap},
    {"wake_sleeper", "as msg_rtt_64, to a PE that sleeps; exits: of the sender", "ns",
     "an eventfd there and one back", case_wake_sleeper},
    {"syscall_noop", "NOOP, in the VPE; exits: of the VPE", "ns", "msg_rtt_64 of the same run",
     case_syscall_noop},
    {"syscall_noop_trap", "as syscall_noop, with --rings no", "ns",
     "msg_rtt_64_trap of the same run", case_syscall_noop_trap},
    {"exchange_local", "EXCHANGE of one capability, in the VPE; exits: of the VPE", "ns",
     "3,597 cycles, published for simulated DTU hardware", case_exchange_local},
    {"revoke_local", "REVOKE of one capability's child, in the VPE; exits: of the VPE", "ns",
     "1,997 cycles, published for simulated DTU hardware", case_revoke_local},
    {"ep_invalidate",
     "ACTIVATE that empties an endpoint with a live channel, in the VPE; exits: of the VPE, so not "
     "the one that its kernel takes",
     "ns", "a bare KVM_RUN loop taking one exit", case_ep_invalidate},
    {"ep_configure_asleep",
     "ACTIVATE of an endpoint with a live channel, in the VPE, by a kernel that may have gone to "
     "sleep; exits: of the VPE",
     "ns", "a bare KVM_RUN loop taking one exit", case_ep_configure_asleep},
    {"ep_configure",
     "ACTIVATE of an endpoint with a live channel, in the VPE, by a kernel that is awake; exits: "
     "of "
     "the VPE, so not the one that its kernel takes",
     "ns", "a bare KVM_RUN loop taking one exit", case_ep_configure},
};
BENCH_CASES(ring_cases)
