/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench [--tiny] [--out FOLDER] [CASE...]: runs the cases (those whose names begin with an
 * argument, if there are any), prints a table, writes FOLDER/bench.json (build).  A case beyond its
 * budget is marked OVER; that is a result, not a failure.  --tiny: as few samples as show that it
 * works.
 *
 * bench --list: the names of all cases.
 * bench --check [RESULTS [BUDGETS]]: holds build/bench.json against tests/bench/budgets.
 * bench --report [RESULTS [PAGE]]: renders it as build/bench.html.
 *
 * Exit status 0; 1 results beyond their budgets; 2 bad arguments; 3 a case could not run, or there
 * are no results; 130 interrupted.
 */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "results.h"

#define FILES_MAX  32u
#define CASES_MAX  BUDGETS_MAX
#define CASE_LIMIT 900 /* seconds; a case that takes longer hangs */
#define ENOUGH     90  /* seconds after which no further round begins */

static struct {
    const char *file;
    const struct bench_case *list;
    unsigned n;
} files[FILES_MAX];
static unsigned n_files;

static struct budgets budgets;
static bool tiny;
/* What the child is at, for the parent: case by case of the file that runs. */
enum { TO_DO, RUNNING, DONE, DONE_FAILED };
static volatile int *state;

void bench_register(const char *file, const struct bench_case *list, unsigned n)
{
    if (n_files == FILES_MAX || n > CASES_MAX) {
        fprintf(stderr, "bench: no room for the cases of %s\n", file);
        exit(2);
    }
    files[n_files].file = file;
    files[n_files].list = list;
    files[n_files++].n = n;
}

double bench_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

unsigned bench_n(unsigned n)
{
    return tiny && n > 3 ? 3 : n;
}

bool bench_late(double since)
{
    return bench_now() - since > ENOUGH;
}

/* Hundreds of VMs need more descriptors than the usual soft limit. */
static void raise_limits(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static bool is_case(const char *name)
{
    for (unsigned k = 0; k < n_files; k++)
        for (unsigned i = 0; i < files[k].n; i++)
            if (strcmp(files[k].list[i].name, name) == 0)
                return true;
    return false;
}

/* Those so called; where none is, those whose names begin so.  Without names: all. */
static bool asked_for(const char *name, char **names)
{
    bool any = !*names;

    for (; *names; names++)
        any |= is_case(*names) ? strcmp(*names, name) == 0
                               : strncmp(*names, name, strlen(*names)) == 0;
    return any;
}

/* ---- one file of cases ---- */

static void run_case(const struct bench_case *c, volatile int *at)
{
    static struct result r;

    memset(&r, 0, sizeof(r));
    r.exits = NAN; /* not counted, unless the case does */
    *at = RUNNING;
    r.status = c->run(&r.value, &r.base, &r.exits, r.why, sizeof(r.why));
    if (r.status == 0 && (r.value.n == 0 || r.base.n == 0)) {
        snprintf(r.why, sizeof(r.why), "there are no samples");
        r.status = -EIO;
    }
    results_print(c, &r);
    if (results_keep(c, &r) < 0)
        r.status = -EIO;
    *at = r.status < 0 ? DONE_FAILED : DONE;
}

static pid_t start_child(unsigned k, char **names)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid != 0) {
        if (pid > 0)
            setpgid(pid, pid);
        return pid;
    }
    sigset_t none;

    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (unsigned i = 0; i < files[k].n; i++)
        if (state[i] == TO_DO && asked_for(files[k].list[i].name, names))
            run_case(&files[k].list[i], &state[i]);
    fflush(stdout);
    _exit(0);
}

/* The child and all that it started: machines, other processes. */
static void end_child(pid_t pid)
{
    const struct timespec grace = {.tv_sec = 2};
    sigset_t set;

    kill(-pid, SIGTERM);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigtimedwait(&set, NULL, &grace);
    kill(-pid, SIGKILL);
}

/* Why the child ended otherwise than it should; 0: it did not; 130: we are to end. */
static int await(pid_t pid, char *why, size_t size)
{
    const struct timespec limit = {.tv_sec = CASE_LIMIT};
    int status, sig;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    for (;;) {
        pid_t r = waitpid(pid, &status, WNOHANG);

        if (r == pid)
            break;
        sig = sigtimedwait(&set, NULL, &limit);
        if (sig == SIGCHLD || (sig < 0 && errno == EINTR))
            continue;
        end_child(pid);
        waitpid(pid, &status, 0);
        snprintf(why, size, "took more than %d s", CASE_LIMIT);
        return sig > 0 ? 130 : 1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    end_child(pid);
    if (WIFSIGNALED(status))
        snprintf(why, size, "ended by signal %d", WTERMSIG(status));
    else
        snprintf(why, size, "ended with status %d", WEXITSTATUS(status));
    return 1;
}

/* 0, 3 when a case failed, 130. */
static int run_file(unsigned k, char **names)
{
    int failed = 0, r = 1;

    for (unsigned i = 0; i < files[k].n; i++)
        state[i] = TO_DO;
    while (r == 1) {
        static struct result lost;
        pid_t pid = start_child(k, names);
        bool any = false;

        if (pid < 0)
            return 3;
        r = await(pid, lost.why, sizeof(lost.why));
        for (unsigned i = 0; i < files[k].n; i++) {
            if (state[i] == RUNNING && r == 1) {
                lost.status = -EIO;
                results_print(&files[k].list[i], &lost);
                results_keep(&files[k].list[i], &lost);
                state[i] = DONE_FAILED;
                any = true;
            } else if (state[i] == RUNNING) {
                printf("%-26s interrupted; the other results are kept\n", files[k].list[i].name);
            }
            failed |= state[i] == DONE_FAILED;
        }
        if (r == 1 && !any)
            return 3; /* it ended between cases: not to be tried for ever */
    }
    return r == 130 ? 130 : failed ? 3 : 0;
}

/* ---- all ---- */

static unsigned place(const struct bench_case *c)
{
    const struct budget *b = budget_find(&budgets, c->name);

    return b ? (unsigned)(b - budgets.b) : BUDGETS_MAX;
}

static int by_budget(const void *a, const void *b)
{
    unsigned x = place(*(const struct bench_case *const *)a);
    unsigned y = place(*(const struct bench_case *const *)b);

    return (x > y) - (x < y);
}

static int write_all(void)
{
    static const struct bench_case *all[CASES_MAX];
    unsigned n = 0;

    for (unsigned k = 0; k < n_files; k++)
        for (unsigned i = 0; i < files[k].n && n < CASES_MAX; i++)
            all[n++] = &files[k].list[i];
    qsort(all, n, sizeof(all[0]), by_budget);
    return results_join(all, n) < 0 ? 3 : 0;
}

static bool known(char *name)
{
    char *one[] = {name, NULL};

    for (unsigned k = 0; k < n_files; k++)
        for (unsigned i = 0; i < files[k].n; i++)
            if (asked_for(files[k].list[i].name, one))
                return true;
    fprintf(stderr, "bench: no case begins with %s: tests/bench/budgets lists them\n", name);
    return false;
}

static int run_all(char **names)
{
    int status = 0;

    for (unsigned k = 0; k < n_files && status != 130; k++) {
        bool any = false;

        for (unsigned i = 0; i < files[k].n; i++)
            any |= asked_for(files[k].list[i].name, names);
        if (any) {
            int r = run_file(k, names);

            status = r > status ? r : status;
        }
    }
    return status;
}

/* Those that run_file() waits for. */
static void block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* ---- results that are there ---- */

static int use_results(int argc, char **argv)
{
    bool check = strcmp(argv[1], "--check") == 0;
    const char *results = argc > 2 ? argv[2] : "build/bench.json";
    const char *list = check && argc > 3 ? argv[3] : BUDGET_FILE;
    struct json *j;
    char err[512];
    int r;

    if (argc > 4) {
        fprintf(stderr, "usage: bench --check [RESULTS [BUDGETS]], --report [RESULTS [PAGE]]\n");
        return 2;
    }
    if (budgets_read(&budgets, list, err, sizeof(err)) < 0) {
        fprintf(stderr, "bench: %s\n", err);
        return 2;
    }
    j = check_load(results);
    if (!j)
        return 3;
    if (check)
        r = check_print(j, &budgets) > 0;
    else
        r = report_write(j, &budgets, argc > 3 ? argv[3] : "build/bench.html") < 0 ? 3 : 0;
    json_free(j);
    return r;
}

int main(int argc, char **argv)
{
    const char *folder = "build";
    char err[512], **names = argv + 1;
    int status, r;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (unsigned k = 0; k < n_files; k++)
            for (unsigned i = 0; i < files[k].n; i++)
                puts(files[k].list[i].name);
        return 0;
    }
    if (argc > 1 && (strcmp(argv[1], "--check") == 0 || strcmp(argv[1], "--report") == 0))
        return use_results(argc, argv);
    for (; *names && strncmp(*names, "--", 2) == 0; names++) {
        if (strcmp(*names, "--tiny") == 0) {
            tiny = true;
        } else if (strcmp(*names, "--out") == 0 && names[1]) {
            folder = *++names;
        } else {
            fprintf(stderr, "usage: bench [--tiny] [--out FOLDER] [CASE...]\n");
            return 2;
        }
    }
    for (int i = (int)(names - argv); i < argc; i++)
        if (!known(argv[i]))
            return 2;
    if (budgets_read(&budgets, BUDGET_FILE, err, sizeof(err)) < 0) {
        fprintf(stderr, "bench: %s\n", err);
        return 2;
    }
    state = mmap(NULL, CASES_MAX * sizeof(*state), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED || results_open(folder, &budgets) < 0)
        return 3;
    raise_limits();
    block_signals();
    results_heading();
    status = run_all(names);
    r = write_all();
    return status > r ? status : r;
}
