/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cases of the machine itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../vmm/node.h"
#include "../../vmm/sched.h"
#include "bench.h"

#define BATCH       1000u
#define BATCHES     100u
#define WARM_UP     5u
#define BOOT_PES    640u
#define BOOT_ROUNDS 7u
#define REST_MS     60000

/* ---- trap_command: this process runs the PE itself ---- */

static void no_wake(struct pe *pe)
{
    (void)pe;
}

static uint64_t bench_clock(struct node *n)
{
    return host_now() - n->start_ns;
}

static const struct sched sched_bench = {
    .name = "bench", .wake = no_wake, .kick = no_wake, .now = bench_clock};

static int describe(struct machine *m, unsigned pes, char *program, struct diag *d)
{
    char count[16], *argv[] = {program};

    snprintf(count, sizeof(count), "%u", pes);
    if (machine_defaults(m) < 0 || machine_set(m, KEY_PES, count, "--pes", 0, d) < 0 ||
        machine_set(m, KEY_IMAGES, "build/guest", "--images", 0, d) < 0 ||
        machine_from_bootline(m, 1, argv, d) < 0)
        return -EINVAL;
    return machine_validate(m, d);
}

static int trap_batches(struct pe *pe, struct bare *b, struct samples *v, struct samples *base)
{
    unsigned i;

    for (i = 0; i < WARM_UP + bench_n(BATCHES); i++) {
        double bare = bare_batch(b), since, own;

        bench_pin(0);
        since = bench_now();
        if (pe_run(pe) != PE_WAITS || bare < 0)
            return -EIO;
        own = bench_now() - since;
        bench_unpin();
        vdtu_wakeup(pe->dtu);
        if (i >= WARM_UP) {
            samples_add(v, own * 1e6 / BATCH);
            samples_add(base, bare * 1e6 / BATCH);
        }
    }
    return 0;
}

static int case_trap(struct samples *v, struct samples *b, double *exits, char *why, size_t size)
{
    struct bare *bare = bare_open();
    struct machine m;
    struct diag d = {0};
    struct node n;
    int r = -EINVAL;

    snprintf(why, size, "cannot set up the machine");
    if (!bare)
        return -EIO;
    if (describe(&m, 1, (char[]){"trapbench"}, &d) == 0) {
        r = node_open(&n, &m, &d, why, size);
        n.sched = &sched_bench;
        if (r == 0)
            r = pe_open(&n.pes[0], &n.kvm, why, size);
        if (r == 0)
            r = trap_batches(&n.pes[0], bare, v, b);
        *exits = 1;
        node_close(&n);
    }
    diag_print(&d, stderr);
    diag_free(&d);
    machine_free(&m);
    bare_close(bare);
    return r;
}

/* ---- boot_640, mem_per_pe: the program itself, in a child process ---- */

static double mem_available(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    double kib = 0;
    char line[128];

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %lf", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib / 1024;
}

/* What a boot comes to: memory of a PE that waits, and exits of all PEs to user space. */
struct rest {
    double mib, exits;
};

/* Boots PEs that all run idle, and says what that is once they all wait. */
static int boot_and_rest(unsigned pes, struct rest *rest)
{
    struct machine m;
    struct diag d = {0};
    struct node n;
    char err[512] = "";
    double before = mem_available();
    int r = describe(&m, pes, (char[]){"idle"}, &d);

    if (r == 0)
        r = node_open(&n, &m, &d, err, sizeof(err));
    if (r < 0) {
        fprintf(stderr, "bench: %s\n", err);
        diag_print(&d, stderr);
        return r;
    }
    r = n.sched->start(&n, err, sizeof(err));
    if (r == 0 && poll(&(struct pollfd){.fd = n.wake_fd, .events = POLLIN}, 1, REST_MS) != 1)
        node_finish(&n, NODE_TIMEOUT, 0);
    rest->mib = (before - mem_available()) / pes;
    for (unsigned i = 0; i < n.npes; i++)
        for (unsigned k = 0; k < PX_COUNT; k++)
            rest->exits += (double)n.pes[i].exits[k];
    if (atomic_load(&n.end) != NODE_AT_REST)
        r = -EIO;
    n.sched->stop(&n);
    return r;
}

/* Seconds from fork to reaped. */
static double boot_once(unsigned pes, struct rest *rest)
{
    double since = bench_now();
    int p[2], status = 1;
    pid_t pid;

    if (pipe(p) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        struct rest m = {0};
        int r = boot_and_rest(pes, &m);

        _exit(write(p[1], &m, sizeof(m)) == (ssize_t)sizeof(m) && r == 0 ? 0 : 1);
    }
    close(p[1]);
    if (pid < 0 || read(p[0], rest, sizeof(*rest)) != (ssize_t)sizeof(*rest))
        *rest = (struct rest){0};
    close(p[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    return status == 0 ? bench_now() - since : -1;
}

static int boot(unsigned pes, unsigned rounds, struct samples *v, struct samples *b, double *exits,
                char *why, size_t size)
{
    struct rest rest;
    double own, bare;

    for (unsigned i = 0; i < bench_n(rounds); i++) {
        own = boot_once(pes, &rest);
        bare = bare_vms(pes, 0);
        if (own < 0 || bare < 0) {
            snprintf(why, size, "cannot %s %u VMs", own < 0 ? "boot" : "create", pes);
            return -EIO;
        }
        samples_add(v, own * 1e3);
        samples_add(b, bare * 1e3);
        *exits = rest.exits / pes;
    }
    return 0;
}

#define BOOT(n, rounds)                                                                      \
    static int case_boot_##n(struct samples *v, struct samples *b, double *exits, char *why, \
                             size_t size)                                                    \
    {                                                                                        \
        return boot(n, rounds, v, b, exits, why, size);                                      \
    }

BOOT(1, 41u)
BOOT(16, 21u)
BOOT(64, 11u)
BOOT(640, BOOT_ROUNDS)

static int case_mem_per_pe(struct samples *v, struct samples *b, double *exits, char *why,
                           size_t size)
{
    struct rest rest;
    unsigned i;

    for (i = 0; i < bench_n(BOOT_ROUNDS); i++) {
        if (boot_once(BOOT_PES, &rest) < 0) {
            snprintf(why, size, "cannot boot %u PEs", BOOT_PES);
            return -EIO;
        }
        samples_add(v, rest.mib);
        samples_add(b, 1.0);
    }
    (void)exits;
    return 0;
}

static const struct bench_case machine_cases[] = {
    {"trap_command", "a store to COMMAND (FETCH), from the guest's store to its next instruction",
     "us", "a bare KVM_RUN loop taking the same exit", case_trap},
    {"boot_1",
     "1 PE, from process start over all of them waiting in idle to process end; exits: of a PE",
     "ms", "a bare loop creating 1 VM with one vCPU and one memory slot, to process end",
     case_boot_1},
    {"boot_16",
     "16 PEs, from process start over all of them waiting in idle to process end; exits: of a PE",
     "ms", "a bare loop creating 16 VMs with one vCPU and one memory slot, to process end",
     case_boot_16},
    {"boot_64",
     "64 PEs, from process start over all of them waiting in idle to process end; exits: of a PE",
     "ms", "a bare loop creating 64 VMs with one vCPU and one memory slot, to process end",
     case_boot_64},
    {"boot_640",
     "640 PEs, from process start over all of them waiting in idle to process end; exits: of a PE",
     "ms", "a bare loop creating 640 VMs with one vCPU and one memory slot, to process end",
     case_boot_640},
    {"mem_per_pe", "host memory, kernel memory included, per loaded and waiting PE of 640", "MiB",
     "1 MiB", case_mem_per_pe},
};
BENCH_CASES(machine_cases)
