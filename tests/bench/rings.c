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

#define ROUNDS   3u
#define CASES    16u
#define LINE_MAX (1u << 16)

static struct guest_case {
    char name[32];
    double exits, ops;
    struct samples s; /* ns */
} by_ring[CASES], by_trap[CASES];

static struct samples native[NATIVE_COUNT];
static double tsc_hz;
static int state; /* 0: not run yet, 1: done, negative: failed */

static struct guest_case *find(struct guest_case *list, const char *name)
{
    for (unsigned i = 0; i < CASES; i++) {
        if (!list[i].name[0])
            snprintf(list[i].name, sizeof(list[i].name), "%s", name);
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    }
    return NULL;
}

/* "BENCH name EXITS OPERATIONS: TICKS..." */
static void parse(struct guest_case *list, char *line)
{
    char *name = strtok(line + strlen("BENCH "), " "), *word;
    struct guest_case *c = name ? find(list, name) : NULL;

    if (!c)
        return;
    word = strtok(NULL, " ");
    c->exits += word ? strtod(word, NULL) : 0;
    word = strtok(NULL, " ");
    c->ops += word ? strtod(word, NULL) : 0;
    while ((word = strtok(NULL, " \n")))
        samples_add(&c->s, strtod(word, NULL) * 1e9 / tsc_hz);
}

double bench_tsc_hz(void)
{
    double since = bench_now();
    uint64_t from = __builtin_ia32_rdtsc();

    while (bench_now() - since < 0.1)
        ;
    return (double)(__builtin_ia32_rdtsc() - from) / (bench_now() - since);
}

static int run_guest(const char *rings, unsigned rounds, struct guest_case *list)
{
    static char line[LINE_MAX];
    unsigned lines = 0;
    char cmd[256];
    FILE *f;

    snprintf(cmd, sizeof(cmd),
             "exec build/sempervm run --timeout 300 --pes 3 --rings %s --no-prefix -- kernel "
             "ringbench %u 2>/dev/null",
             rings, rounds);
    f = popen(cmd, "r");
    if (!f)
        return -errno;
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, "BENCH ", 6) == 0) {
            parse(list, line);
            lines++;
        }
    return pclose(f) == 0 && lines > 0 ? 0 : -EIO;
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
    state = 1;
    tsc_hz = bench_tsc_hz();
    for (unsigned i = 0; i < ROUNDS && state > 0; i++) {
        if (run_native(50) < 0 || run_guest("yes", 100, by_ring) < 0 || run_native(50) < 0)
            state = -EIO;
        if (state > 0 && i < 2 && run_guest("no", 10, by_trap) < 0)
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
    struct guest_case *c;
    int r = run_all(why, size);

    if (r < 0)
        return r;
    c = find(list, name);
    if (!c || c->s.n == 0) {
        snprintf(why, size, "ringbench said nothing of %s", name);
        return -EIO;
    }
    *v = c->s;
    *b = *base;
    *exits = c->ops > 0 ? c->exits / c->ops : 0;
    return 0;
}

#define RESULT(name, list, base) return result(name, list, base, v, b, exits, why, size)
#define ARGS                     struct samples *v, struct samples *b, double *exits, char *why, size_t size

int case_msg_rtt(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_LINE]);
}
int case_msg_rtt_pipe(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_PIPE]);
}
int case_msg_rtt_socket(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_SOCKET]);
}
int case_msg_rtt_eventfd(ARGS)
{
    RESULT("msg_rtt_64", by_ring, &native[NATIVE_EVENTFD]);
}
int case_msg_rtt_trap(ARGS)
{
    RESULT("msg_rtt_64", by_trap, &native[NATIVE_LINE]);
}
int case_msg_tput(ARGS)
{
    RESULT("msg_tput_64", by_ring, &native[NATIVE_RING]);
}
int case_msg_tput_pipe(ARGS)
{
    RESULT("msg_tput_64", by_ring, &native[NATIVE_PIPE_TPUT]);
}
int case_msg_tput_trap(ARGS)
{
    RESULT("msg_tput_64", by_trap, &native[NATIVE_RING]);
}
int case_wake_sleeper(ARGS)
{
    RESULT("wake_sleeper", by_ring, &native[NATIVE_EVENTFD]);
}
int case_syscall_noop(ARGS)
{
    RESULT("syscall_noop", by_ring, &find(by_ring, "msg_rtt_64")->s);
}
int case_syscall_noop_trap(ARGS)
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

int case_exchange_local(ARGS)
{
    return published("exchange_local", 3597, v, b, exits, why, size);
}
int case_revoke_local(ARGS)
{
    return published("revoke_local", 1997, v, b, exits, why, size);
}

/* The kernel writes another PE's endpoint: one exit is what it costs at least. */
int case_ep_configure(ARGS)
{
    struct bare *bare = bare_open();
    int r = result("ep_configure", by_ring, &native[NATIVE_LINE], v, b, exits, why, size);

    b->n = 0;
    for (unsigned i = 0; r == 0 && i < 20; i++) {
        double s = bare ? bare_batch(bare) : -1;

        if (s < 0)
            r = -EIO;
        samples_add(b, s * 1e9 / 1000);
    }
    if (bare)
        bare_close(bare);
    return r;
}
