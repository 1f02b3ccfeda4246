/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages by size and by the number of PEs, and transfers of a memory gate: guest/apps/msgbench,
 * a machine for each.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define ROUNDS 3u
#define CASES  8u

/* A message of 4 KiB is one with its header of 25 bytes. */
#define PAYLOAD_4K 4071u

/* ---- by size ---- */

static struct by_size {
    unsigned size;
    int state; /* 0: not run yet, 1: done, negative: failed */
    struct guest_case guest[CASES];
    struct samples shm; /* there and back, two native threads */
} by_size[] = {{.size = 8}, {.size = 64}, {.size = 256}, {.size = 1024}, {.size = PAYLOAD_4K}};

static int run_size(struct by_size *t)
{
    double since = bench_now();
    char args[128];

    if (t->state)
        return t->state;
    t->state = 1;
    snprintf(args, sizeof(args), "--pes 3 --rings yes -- kernel msgbench %u %u", t->size,
             bench_n(150));
    for (unsigned i = 0; i < bench_n(ROUNDS) && t->state > 0 && !(i && bench_late(since)); i++)
        if (bench_native_size(NATIVE_SHM, t->size, bench_n(80), &t->shm) < 0 ||
            bench_guest(args, t->guest, CASES) < 0 ||
            bench_native_size(NATIVE_SHM, t->size, bench_n(80), &t->shm) < 0)
            t->state = -EIO;
    return t->state;
}

static void print_phases(unsigned at)
{
    static const char *const names[3] = {"send", "wait", "ack"};
    double ns[3];

    for (unsigned i = 0; i < 3; i++)
        ns[i] = samples_at(&guest_case_find(by_size[at].guest, CASES, names[i])->s, 0.5);
    printf("msg_rtt of %u bytes by phase, medians in ns: SEND %.0f, until the answer is fetched "
           "%.0f, its copy and ACK %.0f\n",
           by_size[at].size, ns[0], ns[1], ns[2]);
}

/* what: "rtt", or "oneway", which compares with half of the way there and back. */
static int size_result(unsigned at, const char *what, struct samples *v, struct samples *b,
                       double *exits, char *why, size_t size)
{
    struct by_size *t = &by_size[at];
    bool half = strcmp(what, "oneway") == 0;
    int r = run_size(t);

    if (r < 0) {
        snprintf(why, size, "msgbench %u did not run to its end: see build/bench-guest.log",
                 t->size);
        return r;
    }
    if (!half)
        print_phases(at);
    for (unsigned i = 0; i < t->shm.n; i++)
        samples_add(b, half ? t->shm.v[i] / 2 : t->shm.v[i]);
    return guest_case_result(t->guest, CASES, what, v, exits, why, size);
}

#define ARGS struct samples *v, struct samples *b, double *exits, char *why, size_t size
#define BY_SIZE(name, at)                                         \
    static int rtt_##name(ARGS)                                   \
    {                                                             \
        return size_result(at, "rtt", v, b, exits, why, size);    \
    }                                                             \
    static int oneway_##name(ARGS)                                \
    {                                                             \
        return size_result(at, "oneway", v, b, exits, why, size); \
    }

BY_SIZE(8, 0)
BY_SIZE(64, 1)
BY_SIZE(256, 2)
BY_SIZE(1024, 3)
BY_SIZE(4096, 4)

/* ---- by the number of PEs that sleep ---- */

/*
 * The host may place the two cores anew at any time, and a line between them then takes a quarter
 * or four times as long.  So each round compares a machine with sleepers with those just before and
 * after it, and the round whose ratio is the median of all is the result: one round that was placed
 * differently in the middle says nothing, and a cost that grows is in all of them.
 */
#define PES_ROUNDS 5u

struct pes_round {
    struct guest_case guest[CASES], alone[CASES];
};
static struct by_pes {
    unsigned pes, asleep; /* VPEs that have a channel to the kernel; the other PEs never ran */
    int state;            /* 0: not run yet, positive: so many rounds, negative: failed */
    struct pes_round round[PES_ROUNDS];
} by_pes[] = {{.pes = 16, .asleep = 13}, {.pes = 64, .asleep = 61}, {.pes = 640, .asleep = 180}};

static int run_pes(struct by_pes *t)
{
    static const char alone[] = "--pes 3 --rings yes -- kernel msgbench 64 50 0";
    double since = bench_now();
    char args[128];

    if (t->state)
        return t->state;
    snprintf(args, sizeof(args), "--pes %u --rings yes -- kernel msgbench 64 %u %u", t->pes,
             bench_n(100), t->asleep);
    for (unsigned i = 0; i < bench_n(PES_ROUNDS) && t->state >= 0; i++) {
        struct pes_round *p = &t->round[i];

        if (i && bench_late(since))
            break;
        if (bench_guest(alone, p->alone, CASES) < 0 || bench_guest(args, p->guest, CASES) < 0 ||
            bench_guest(alone, p->alone, CASES) < 0)
            t->state = -EIO;
        else
            t->state++;
    }
    return t->state;
}

static double round_ratio(struct pes_round *p, const char *what)
{
    return samples_ratio(&guest_case_find(p->guest, CASES, what)->s,
                         &guest_case_find(p->alone, CASES, what)->s);
}

/* The round whose ratio as many exceed as do not. */
static struct pes_round *median_round(struct by_pes *t, const char *what)
{
    struct pes_round *order[PES_ROUNDS];
    unsigned n = (unsigned)t->state;

    for (unsigned i = 0; i < n; i++) {
        unsigned k = i;

        for (; k > 0 && round_ratio(order[k - 1], what) > round_ratio(&t->round[i], what); k--)
            order[k] = order[k - 1];
        order[k] = &t->round[i];
    }
    printf("msg_rtt_64_pes_%u: %s, ratio round by round, sorted:", t->pes, what);
    for (unsigned i = 0; i < n; i++)
        printf(" %.2f", round_ratio(order[i], what));
    printf("\n");
    return order[n / 2];
}

static int pes_result(unsigned at, const char *what, struct samples *v, struct samples *b,
                      double *exits, char *why, size_t size)
{
    struct by_pes *t = &by_pes[at];
    struct pes_round *p;
    double ignored;
    int r = run_pes(t);

    if (r < 0) {
        snprintf(why, size,
                 "msgbench with %u PEs did not run to its end: see build/bench-guest.log", t->pes);
        return r;
    }
    p = median_round(t, what);
    r = guest_case_result(p->alone, CASES, what, b, &ignored, why, size);
    return r < 0 ? r : guest_case_result(p->guest, CASES, what, v, exits, why, size);
}

#define BY_PES(name, at)                                       \
    static int rtt_pes_##name(ARGS)                            \
    {                                                          \
        return pes_result(at, "rtt", v, b, exits, why, size);  \
    }                                                          \
    static int noop_pes_##name(ARGS)                           \
    {                                                          \
        return pes_result(at, "noop", v, b, exits, why, size); \
    }

BY_PES(16, 0)
BY_PES(64, 1)
BY_PES(640, 2)

/* ---- transfers ---- */

static struct guest_case transfers[CASES];
static struct samples exit_ns;
static int transfer_state;

static int run_transfers(void)
{
    struct bare *bare;
    char args[128];

    if (transfer_state)
        return transfer_state;
    transfer_state = 1;
    bare = bare_open();
    snprintf(args, sizeof(args), "--pes 3 --rings yes -- kernel msgbench memory %u", bench_n(100));
    for (unsigned i = 0; i < bench_n(ROUNDS) && transfer_state > 0; i++) {
        for (unsigned k = 0; bare && k < bench_n(10); k++)
            samples_add(&exit_ns, bare_batch(bare) * 1e9 / BARE_BATCH);
        if (!bare || bench_guest(args, transfers, CASES) < 0)
            transfer_state = -EIO;
    }
    if (bare)
        bare_close(bare);
    return transfer_state;
}

static int transfer_result(const char *what, ARGS)
{
    int r = run_transfers();

    if (r < 0) {
        snprintf(why, size, "msgbench memory did not run to its end: see build/bench-guest.log");
        return r;
    }
    *b = exit_ns;
    return guest_case_result(transfers, CASES, what, v, exits, why, size);
}

static int posted(ARGS)
{
    return transfer_result("posted_store", v, b, exits, why, size);
}
static int read_256(ARGS)
{
    return transfer_result("memgate_read_256", v, b, exits, why, size);
}
static int write_256(ARGS)
{
    return transfer_result("memgate_write_256", v, b, exits, why, size);
}
static int read_4096(ARGS)
{
    return transfer_result("memgate_read_4096", v, b, exits, why, size);
}
static int write_4096(ARGS)
{
    return transfer_result("memgate_write_4096", v, b, exits, why, size);
}

/* ---- all ---- */

#define RTT                                                                                      \
    "a message of that size to another PE and as much back, in the sender: from before SEND to " \
    "after ACK"
#define ONE_WAY                                                                             \
    "a message of that size, from before SEND in the sender to FETCH in the receiver (two " \
    "clocks, "                                                                              \
    "taken to agree in the fastest round trip)"
#define SHM  "as much through shared memory there and back, copied at both ends, two native threads"
#define HALF "half of: " SHM
#define PES(n)                                                                                     \
    "64 bytes to another PE and 64 back, in a machine where " n " PEs sleep, that have a channel " \
    "to the kernel"
#define NOOP(n) \
    "NOOP, in the VPE, in a machine where " n " PEs sleep, that have a channel to the kernel"
#define OF(what) \
    what " with 3 PEs, just before and after (of five rounds that with the median ratio)"
#define GATE(what) what " through a memory gate to the memory PE, by a trap"
#define EXIT       "a bare KVM_RUN loop taking one exit"

static const struct bench_case message_cases[] = {
    {"msg_rtt_8", RTT, "ns", SHM, rtt_8},
    {"msg_rtt_64_shm", RTT " (64 bytes)", "ns", SHM, rtt_64},
    {"msg_rtt_256", RTT, "ns", SHM, rtt_256},
    {"msg_rtt_1024", RTT, "ns", SHM, rtt_1024},
    {"msg_rtt_4096", RTT " (4,071 bytes: 4 KiB with the header)", "ns", SHM, rtt_4096},
    {"msg_oneway_8", ONE_WAY, "ns", HALF, oneway_8},
    {"msg_oneway_64", ONE_WAY, "ns", HALF, oneway_64},
    {"msg_oneway_256", ONE_WAY, "ns", HALF, oneway_256},
    {"msg_oneway_1024", ONE_WAY, "ns", HALF, oneway_1024},
    {"msg_oneway_4096", ONE_WAY " (4,071 bytes)", "ns", HALF, oneway_4096},
    {"msg_rtt_64_pes_16", PES("13"), "ns", OF("it"), rtt_pes_16},
    {"msg_rtt_64_pes_64", PES("61"), "ns", OF("it"), rtt_pes_64},
    {"msg_rtt_64_pes_640", PES("637 (180 of them)"), "ns", OF("it"), rtt_pes_640},
    {"syscall_noop_pes_16", NOOP("13"), "ns", OF("it"), noop_pes_16},
    {"syscall_noop_pes_64", NOOP("61"), "ns", OF("it"), noop_pes_64},
    {"syscall_noop_pes_640", NOOP("637 (180 of them)"), "ns", OF("it"), noop_pes_640},
    {"posted_store", "a store to a DTU register other than COMMAND, in the program", "ns", EXIT,
     posted},
    {"memgate_read_256", GATE("READ of 256 bytes"), "ns", EXIT, read_256},
    {"memgate_write_256", GATE("WRITE of 256 bytes"), "ns", EXIT, write_256},
    {"memgate_read_4096", GATE("READ of 4,096 bytes"), "ns", EXIT, read_4096},
    {"memgate_write_4096", GATE("WRITE of 4,096 bytes"), "ns", EXIT, write_4096},
};
BENCH_CASES(message_cases)
