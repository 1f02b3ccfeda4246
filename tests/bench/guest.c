/* SPDX-License-Identifier: BSD-2-Clause */
/* Cases that a program measures inside a machine; see bench.h. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define LINE_MAX  (1u << 16)
#define PIN_TRIES 500u
#define PIN_MS    20

struct guest_case *guest_case_find(struct guest_case *list, unsigned max, const char *name)
{
    for (unsigned i = 0; i < max; i++) {
        if (!list[i].name[0])
            snprintf(list[i].name, sizeof(list[i].name), "%s", name);
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    }
    return NULL;
}

static bool parse(struct guest_case *list, unsigned max, char *line, double hz)
{
    char *name = strtok(line + strlen("BENCH "), " "), *word;
    struct guest_case *c = name ? guest_case_find(list, max, name) : NULL;

    if (!c)
        return false;
    word = strtok(NULL, " ");
    c->exits += word ? strtod(word, NULL) : 0;
    word = strtok(NULL, " ");
    c->ops += word ? strtod(word, NULL) : 0;
    while ((word = strtok(NULL, " \n")))
        samples_add(&c->s, strtod(word, NULL) * 1e9 / hz);
    return true;
}

/* Where a thread of the process is named "pe N", it is pinned. */
static void pin_pes(pid_t pid)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char path[64], name[32];
    struct dirent *d;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    while (dir && (d = readdir(dir))) {
        pid_t tid = (pid_t)atoi(d->d_name);
        unsigned pe;
        cpu_set_t set;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
        f = tid > 0 ? fopen(path, "r") : NULL;
        if (!f)
            continue;
        if (fgets(name, sizeof(name), f) && sscanf(name, "pe %u", &pe) == 1) {
            CPU_ZERO(&set);
            CPU_SET(pe % (unsigned)cores, &set);
            sched_setaffinity(tid, sizeof(set), &set);
        }
        fclose(f);
    }
    if (dir)
        closedir(dir);
}

static pid_t start_machine(const char *args, int *out)
{
    char cmd[512];
    int p[2];
    pid_t pid;

    snprintf(cmd, sizeof(cmd),
             "exec build/sempervm run --timeout 300 --no-prefix %s 2>build/bench-guest.log", args);
    if (pipe(p) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        bench_unpin();
        dup2(p[1], STDOUT_FILENO);
        close(p[0]);
        close(p[1]);
        execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
        _exit(127);
    }
    close(p[1]);
    *out = p[0];
    return pid;
}

/* The threads are there when the machine has begun; it takes a while, and says nothing until then.
 */
static void wait_and_pin(pid_t pid, int out)
{
    struct pollfd p = {.fd = out, .events = POLLIN};

    for (unsigned i = 0; i < PIN_TRIES; i++) {
        int r = poll(&p, 1, PIN_MS);

        pin_pes(pid);
        if (r != 0)
            break;
    }
}

static int run(const char *args, struct guest_case *list, unsigned max, bool pin)
{
    static char line[LINE_MAX];
    double hz = bench_tsc_hz();
    unsigned lines = 0;
    int out, status = 1;
    pid_t pid;
    FILE *f;

    pid = start_machine(args, &out);
    if (pid < 0)
        return -errno;
    if (pin)
        wait_and_pin(pid, out);
    f = fdopen(out, "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "BENCH ", 6) == 0)
            lines += parse(list, max, line, hz);
    if (f)
        fclose(f);
    waitpid(pid, &status, 0);
    return status == 0 && lines > 0 ? 0 : -EIO;
}

int bench_guest(const char *args, struct guest_case *list, unsigned max)
{
    return run(args, list, max, true);
}

int bench_guest_free(const char *args, struct guest_case *list, unsigned max)
{
    return run(args, list, max, false);
}

int guest_case_result(struct guest_case *list, unsigned max, const char *name, struct samples *v,
                      double *exits, char *why, size_t size)
{
    struct guest_case *c = guest_case_find(list, max, name);

    if (!c || c->s.n == 0) {
        snprintf(why, size, "the machine said nothing of %s", name);
        return -EIO;
    }
    *v = c->s;
    *exits = c->ops > 0 ? c->exits / c->ops : 0;
    return 0;
}

double bench_tsc_hz(void)
{
    static double hz;
    double since = bench_now();
    uint64_t from = __builtin_ia32_rdtsc();

    while (hz <= 0 && bench_now() - since < 0.1)
        ;
    if (hz <= 0)
        hz = (double)(__builtin_ia32_rdtsc() - from) / (bench_now() - since);
    return hz;
}
