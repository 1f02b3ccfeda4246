/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases that run the program sempervm as a user does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define SEMPERVM    "build/sempervm"
#define DEMO        "demos/run-kernel.ini"
#define DEMO_ROUNDS 21u
#define LIMIT_S     "60"

/* Starts sempervm with its standard output (or standard error) in a pipe. */
static pid_t start(char *const argv[], int from, int *out)
{
    int p[2];
    pid_t pid;

    if (pipe(p) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, STDIN_FILENO);
        dup2(from == STDOUT_FILENO ? p[1] : null, STDOUT_FILENO);
        dup2(from == STDERR_FILENO ? p[1] : null, STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    close(p[1]);
    *out = p[0];
    return pid;
}

static double first_line(void)
{
    char *argv[] = {SEMPERVM, "run", "--timeout", LIMIT_S, DEMO, NULL}, ch = 0;
    double since = bench_now(), at = -1;
    int out, status;
    pid_t pid = start(argv, STDOUT_FILENO, &out);

    if (pid < 0)
        return -1;
    while (at < 0 && read(out, &ch, 1) == 1)
        if (ch == '\n')
            at = bench_now() - since;
    kill(pid, SIGTERM);
    close(out);
    waitpid(pid, &status, 0);
    return at;
}

/* The number of PEs that the demo's machine has. */
static unsigned demo_pes(void)
{
    FILE *f = fopen(DEMO, "r");
    unsigned n = 0;
    char line[256];

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, " pes = %u", &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

static int case_first_line(struct samples *v, struct samples *b, double *exits, char *why,
                           size_t size)
{
    unsigned i, pes = demo_pes();

    if (!pes) {
        snprintf(why, size, "%s does not say how many PEs it has", DEMO);
        return -EINVAL;
    }
    for (i = 0; i < bench_n(DEMO_ROUNDS); i++) {
        double own = first_line(), bare = bare_vms(pes, 1);

        if (own < 0 || bare < 0) {
            snprintf(why, size, "cannot run %s", DEMO);
            return -EIO;
        }
        samples_add(v, own * 1e3);
        samples_add(b, bare * 1e3);
    }
    (void)exits; /* of an interval that ends before the machine does nobody knows them */
    return 0;
}

/* "PE 1: ..., mmio exits N, ..." in the statistics. */
static double kernel_exits(const char *cfg)
{
    char *argv[] = {SEMPERVM, "run", "--timeout", LIMIT_S, "--stats", (char *)cfg, NULL};
    int out, status = 1;
    pid_t pid = start(argv, STDERR_FILENO, &out);
    FILE *f = pid < 0 ? NULL : fdopen(out, "r");
    uint64_t n = 0;
    char line[1024], *at;

    while (f && fgets(line, sizeof(line), f)) {
        at = strstr(line, "mmio exits ");
        if (at && strncmp(line, "PE 1:", 5) == 0)
            n = strtoull(at + strlen("mmio exits "), NULL, 10);
    }
    if (f)
        fclose(f);
    if (pid > 0)
        waitpid(pid, &status, 0);
    return status == 0 ? (double)n : -1;
}

static int case_capbench(struct samples *v, struct samples *b, double *exits, char *why,
                         size_t size)
{
    const char *root = getenv("SEMPEROS");
    char cfg[512];
    unsigned i;

    if (!root) {
        snprintf(why, size, "set SEMPEROS to a built SemperOS checkout");
        return 1;
    }
    snprintf(cfg, sizeof(cfg), "%s/boot/capbench.cfg", root);
    setenv("M3_CLIENTS", "1", 1);
    setenv("M3_NUMCAPS", "10", 1);
    for (i = 0; i < bench_n(9); i++) {
        double n = kernel_exits(cfg);

        if (n <= 0) {
            snprintf(why, size, "%s did not run to its end", cfg);
            return -EIO;
        }
        samples_add(v, n);
        samples_add(b, 1500);
    }
    *exits = samples_at(v, 0.5);
    return 0;
}

/* ---- whole runs of the demo, in seconds ---- */

#define RUN_ROUNDS 5u

/* Seconds; the steps that a run by a seed had, and the exits of all PEs. */
static double whole_run(char *const argv[], double *steps, double *exits)
{
    double since = bench_now();
    int out, status = 1;
    pid_t pid = start(argv, STDERR_FILENO, &out);
    FILE *f = pid < 0 ? NULL : fdopen(out, "r");
    char line[1024], *at;

    if (exits)
        *exits = 0;
    while (f && fgets(line, sizeof(line), f)) {
        at = strstr(line, "mmio exits ");
        if (at && exits)
            *exits += strtod(at + strlen("mmio exits "), NULL);
        at = strstr(line, "KVM flavour");
        if (at && steps && (at = strchr(at, ',')))
            *steps = strtod(at + 1, NULL);
    }
    if (f)
        fclose(f);
    if (pid > 0)
        waitpid(pid, &status, 0);
    return status == 0 ? bench_now() - since : -1;
}

/*
 * The demo with an option and its value beside the demo without.  Where every message is a step or
 * a record there are no rings, so the baseline has none either; what rings would have saved is a
 * line.
 */
static int compare_runs(struct samples *v, struct samples *b, const char *name, char *option,
                        char *value, double *steps, double *exits, char *why, size_t size)
{
    char *with[] = {SEMPERVM, "run", "--timeout", LIMIT_S, "--stats", option, value, DEMO, NULL};
    char *plain[] = {SEMPERVM, "run", "--timeout", LIMIT_S, "--stats", "--rings", "no", DEMO, NULL};
    char *rings[] = {SEMPERVM, "run", "--timeout", LIMIT_S, "--stats", DEMO, NULL};
    struct samples ringed = {0};
    unsigned i;

    for (i = 0; i < bench_n(RUN_ROUNDS); i++) {
        double own = whole_run(with, steps, exits), base = whole_run(plain, NULL, NULL);
        double fast = whole_run(rings, NULL, NULL);

        if (own < 0 || base < 0 || fast < 0) {
            snprintf(why, size, "cannot run %s", DEMO);
            return -EIO;
        }
        samples_add(v, own * 1e3);
        samples_add(b, base * 1e3);
        samples_add(&ringed, fast * 1e3);
    }
    printf("%s: %.1f times a run without rings, %.1f times one with rings (%.1f ms)\n", name,
           samples_at(v, 0.5) / samples_at(b, 0.5), samples_at(v, 0.5) / samples_at(&ringed, 0.5),
           samples_at(&ringed, 0.5));
    return 0;
}

static int case_seeded(struct samples *v, struct samples *b, double *exits, char *why, size_t size)
{
    double steps = 0;
    int r = compare_runs(v, b, "seeded_run", "--seed", "1", &steps, exits, why, size);

    if (r == 0)
        printf("seeded_run: %.0f steps, %.0f steps per second\n", steps,
               steps * 1e3 / samples_at(v, 0.5));
    return r;
}

static int case_traced(struct samples *v, struct samples *b, double *exits, char *why, size_t size)
{
    return compare_runs(v, b, "traced_run", "--trace", "build/bench.trace", NULL, exits, why, size);
}

static const struct bench_case program_cases[] = {
    {"boot_first_line", "run-kernel, from process start to the kernel's first line", "ms",
     "a bare loop creating as many VMs, to the last one created", case_first_line},
    {"seeded_run", "run-kernel by a seed, from process start to its end; exits: MMIO, of all PEs",
     "ms", "an ordinary run of it with --rings no", case_seeded},
    {"traced_run", "an ordinary run of run-kernel that records a trace; exits: MMIO, of all PEs",
     "ms", "an ordinary run of it with --rings no", case_traced},
    {"semperos_capbench_exits",
     "MMIO exits of the first kernel in the original's capbench, two kernels, 10 capabilities, to "
     "the "
     "machine's end; about 340 more when the server gets to its own revocations before that end",
     "exits", "1,500 exits", case_capbench},
};
BENCH_CASES(program_cases)
