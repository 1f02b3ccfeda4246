/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `sempervm explore`: the loop over the seeds, and the log that lets it go on after an
 * interruption.
 *
 * The log, DIR/progress, has one line per finished seed: what was explored, as a hash over the
 * command line and the machine, the seed and how it ended.  The machine's hash comes out of the
 * first seed's trace; so that seed is run every time.
 */
#include "explore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "explore_impl.h"
#include "run.h"
#include "trace_hash.h"

#define DEFAULT_LIMIT 60u

/* ---- seeds that are done ---- */

static bool is_done(const struct explore *e, uint64_t seed)
{
    uint64_t i = seed - e->first;

    return e->done[i / 8] >> (i % 8) & 1;
}

static struct failure *add_failure(struct explore *e, uint64_t seed, struct outcome o)
{
    if (e->nfailures == e->cap_failures) {
        size_t cap = e->cap_failures * 2 + 16;
        struct failure *more = realloc(e->failures, cap * sizeof(*more));

        if (!more)
            return NULL;
        e->failures = more;
        e->cap_failures = cap;
    }
    e->failures[e->nfailures] = (struct failure){.seed = seed, .outcome = o};
    return &e->failures[e->nfailures++];
}

static void set_done(struct explore *e, uint64_t seed, struct outcome o)
{
    uint64_t i = seed - e->first;

    if (is_done(e, seed))
        return;
    e->done[i / 8] |= (uint8_t)(1u << (i % 8));
    e->ndone++;
    e->counts[o.verdict]++;
    if (o.verdict >= VERDICT_GUEST)
        add_failure(e, seed, o);
}

static void log_seed(struct explore *e, uint64_t seed, const struct outcome *o, const char *word)
{
    dprintf(e->log_fd, "%016" PRIx64 " %" PRIu64 " %u %u %s\n", e->key, seed, o->verdict, o->detail,
            word);
}

static void note_shrunk(struct explore *e, uint64_t seed)
{
    size_t i;

    for (i = 0; i < e->nfailures; i++)
        if (e->failures[i].seed == seed)
            e->failures[i].shrunk = true;
}

/* Lines of other explorations, and a last one that was cut short, mean nothing here. */
static int read_log(struct explore *e, const char *path)
{
    FILE *in = fopen(path, "re");
    char line[256], word[16];
    struct outcome o = {0};
    uint64_t key, seed;
    unsigned verdict;

    while (in && fgets(line, sizeof(line), in)) {
        if (sscanf(line, "%" SCNx64 " %" SCNu64 " %u %u %15s", &key, &seed, &verdict, &o.detail,
                   word) != 5 ||
            key != e->key || seed < e->first || seed > e->last || verdict == VERDICT_NONE ||
            verdict >= VERDICT_COUNT)
            continue;
        o.verdict = (enum verdict)verdict;
        if (strcmp(word, "shrunk") == 0)
            note_shrunk(e, seed);
        else
            set_done(e, seed, o);
    }
    if (in)
        fclose(in);
    e->nold = e->ndone;
    return 0;
}

static int open_log(struct explore *e)
{
    char path[PATH_MAX];

    explore_path(e, "progress", path);
    if (!e->fresh)
        read_log(e, path);
    e->log_fd =
        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (e->fresh ? O_TRUNC : 0), 0666);
    if (e->log_fd >= 0)
        return 0;
    fprintf(stderr, "sempervm: %s: %s; name another --dir\n", path, strerror(errno));
    return -EINVAL;
}

static uint64_t key_of(const struct explore *e, uint64_t machine)
{
    const char *words[] = {e->policy, e->faults, e->expect, e->check};
    uint64_t h = trace_hash_word(TRACE_HASH_INIT, machine);
    int i;

    for (i = 0; i < 4; i++)
        h = words[i] ? trace_hash_bytes(h, words[i], strlen(words[i])) : trace_hash_word(h, 1);
    for (i = 0; i < e->nrun; i++)
        h = trace_hash_bytes(h, e->run[i], strlen(e->run[i]));
    return h;
}

/* ---- the loop ---- */

/* A run has ended.  0, or the exit status to end with. */
static int take_result(struct explore *e, struct job *j)
{
    char path[PATH_MAX], out[PATH_MAX];
    FILE *in;
    int c;

    if (j->result.verdict >= VERDICT_COUNT) {
        explore_clear(e);
        fprintf(stderr, "sempervm: explore: a run could not be made:\n");
        in = fopen(j->out, "re");
        while (in && (c = fgetc(in)) != EOF)
            fputc(c, stderr);
        if (in)
            fclose(in);
        return j->result.verdict == VERDICT_USAGE ? EXIT_USAGE : EXIT_HOST;
    }
    if (j->result.verdict >= VERDICT_GUEST && e->nfailures < KEEP_MAX) {
        explore_seed_path(e, j->seed, "trace", path);
        explore_seed_path(e, j->seed, "out", out);
        if (rename(j->trace, path) < 0 || rename(j->out, out) < 0)
            fprintf(stderr, "sempervm: cannot keep %s: %s\n", path, strerror(errno));
    }
    set_done(e, j->seed, j->result);
    return 0;
}

static struct job *free_slot(struct explore *e)
{
    unsigned i;

    for (i = 0; i < e->njobs; i++)
        if (!e->jobs[i].pid)
            return &e->jobs[i];
    return NULL;
}

static bool enough(const struct explore *e)
{
    return e->stop && e->nfailures >= e->stop;
}

/* Fills free slots.  True while any run is under way. */
static bool start_some(struct explore *e, int *status)
{
    struct job *j;
    unsigned i;

    while (!enough(e) && e->next - e->first <= e->last - e->first && (j = free_slot(e))) {
        if (!is_done(e, e->next)) {
            j->seed = e->next;
            j->schedule = NULL;
            if (explore_start(e, j) < 0) {
                *status = EXIT_HOST;
                return false;
            }
        }
        if (e->next++ == UINT64_MAX)
            break;
    }
    for (i = 0; i < e->njobs; i++)
        if (e->jobs[i].pid)
            return true;
    return false;
}

/* All seeds that are left.  0, or the exit status to end with. */
static int run_seeds(struct explore *e)
{
    struct job *j;
    int status = 0;

    e->next = e->first;
    while (!status && !e->signo && start_some(e, &status)) {
        j = explore_wait(e, 200);
        if (j && (status = take_result(e, j)) == 0)
            log_seed(e, j->seed, &j->result, "ran");
        explore_progress(e, false);
    }
    return status;
}

/* The first seed says which machine it is.  0, or the exit status to end with. */
static int run_first(struct explore *e)
{
    struct job *j = &e->jobs[0];
    struct trace_record *list;
    struct trace_header h = {0};
    char err[PATH_MAX + 128];
    int status;

    j->seed = e->first;
    if (explore_start(e, j) < 0)
        return EXIT_HOST;
    while (!e->signo && !explore_wait(e, 200))
        explore_progress(e, false);
    if (e->signo)
        return 0;
    if (j->result.verdict < VERDICT_COUNT) {
        explore_switches(j->trace, &list, &(size_t){0}, &h, err, sizeof(err));
        free(list);
    }
    e->key = key_of(e, h.machine);
    if (j->result.verdict < VERDICT_COUNT && open_log(e) < 0)
        return EXIT_USAGE;
    if (is_done(e, e->first))
        return 0;
    status = take_result(e, j);
    if (!status)
        log_seed(e, j->seed, &j->result, "ran");
    return status;
}

static int by_seed(const void *a, const void *b)
{
    const struct failure *x = a, *y = b;

    return (x->seed > y->seed) - (x->seed < y->seed);
}

static void shrink_all(struct explore *e)
{
    size_t i, n = e->nfailures < KEEP_MAX ? e->nfailures : KEEP_MAX;

    if (n) /* qsort takes no NULL */
        qsort(e->failures, e->nfailures, sizeof(*e->failures), by_seed);
    for (i = 0; i < n && !e->signo; i++) {
        struct failure *f = &e->failures[i];

        if (i < e->shrink && !f->shrunk && explore_shrink(e, f) == 0 && f->shrunk)
            log_seed(e, f->seed, &f->outcome, "shrunk");
        if (!e->signo)
            explore_print_failure(e, f);
    }
}

static int work(struct explore *e)
{
    int status;

    e->begin_ns = e->printed_ns = explore_ns();
    status = run_first(e);
    if (!status && !e->signo)
        status = run_seeds(e);
    explore_kill(e);
    if (!status && !e->signo)
        shrink_all(e);
    explore_kill(e);
    if (status)
        return status;
    explore_print_end(e);
    if (e->signo) {
        fprintf(stderr, "sempervm: explore: interrupted; the same command goes on from here\n");
        return 128 + e->signo;
    }
    return e->nfailures ? EXIT_GUEST : EXIT_OK;
}

/* ---- beginning and end ---- */

static int make_dir(const char *dir)
{
    char path[PATH_MAX];
    size_t i, n = strlen(dir);

    if (n == 0 || n > PATH_MAX - 64) {
        fprintf(stderr, "sempervm: --dir: the name is empty or too long\n");
        return -EINVAL;
    }
    for (i = 1; i <= n; i++)
        if (dir[i] == '/' || dir[i] == '\0') {
            memcpy(path, dir, i);
            path[i] = '\0';
            if (mkdir(path, 0777) < 0 && errno != EEXIST) {
                fprintf(stderr, "sempervm: %s: %s; name another --dir\n", path, strerror(errno));
                return -EINVAL;
            }
        }
    return 0;
}

static int open_explore(struct explore *e)
{
    sigset_t set;
    char name[32];
    unsigned i;

    if (e->njobs == 0)
        e->njobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    e->done = calloc(1, (size_t)((e->last - e->first) / 8 + 1));
    e->jobs = calloc(e->njobs, sizeof(*e->jobs));
    if (!e->done || !e->jobs) {
        fprintf(stderr, "sempervm: out of memory; use fewer seeds\n");
        return -ENOMEM;
    }
    for (i = 0; i < e->njobs; i++) {
        snprintf(name, sizeof(name), "job-%u.trace", i);
        explore_path(e, name, e->jobs[i].trace);
        snprintf(name, sizeof(name), "job-%u.out", i);
        explore_path(e, name, e->jobs[i].out);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    e->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    e->terminal = isatty(STDERR_FILENO);
    return 0;
}

/* The files of the slots are of no use to anybody. */
static void remove_scratch(const struct explore *e)
{
    char name[32], path[PATH_MAX];
    unsigned i;

    for (i = 0; e->jobs && i < e->njobs; i++) {
        unlink(e->jobs[i].trace);
        unlink(e->jobs[i].out);
        snprintf(name, sizeof(name), "job-%u.switches", i);
        explore_path(e, name, path);
        unlink(path);
    }
}

static void close_explore(struct explore *e)
{
    size_t i;

    remove_scratch(e);
    for (i = 0; i < e->nlines; i++)
        free(e->lines[i]);
    free(e->lines);
    free(e->failures);
    free(e->jobs);
    free(e->done);
}

int explore_command(int argc, char **argv)
{
    struct explore e = {.first = 1,
                        .shrink = 3,
                        .shrink_runs = 400,
                        .limit_ns = DEFAULT_LIMIT * 1000000000ull,
                        .dir = "build/explore",
                        .signal_fd = -1,
                        .log_fd = -1};
    int status = EXIT_USAGE;

    if (explore_parse(&e, argc, argv) == 0 && explore_read_lines(&e) == 0 && make_dir(e.dir) == 0)
        status = open_explore(&e) == 0 ? work(&e) : EXIT_HOST;
    close_explore(&e);
    return status;
}
