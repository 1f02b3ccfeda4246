/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of `sempervm explore`: options (explore_opts.c), the log of finished seeds and the loop
 * over seeds (explore.c), runs as processes of their own and their verdicts (explore_run.c), what
 * is printed (explore_print.c) and the shrinking of schedules (explore_shrink.c).
 */
#ifndef VMM_EXPLORE_IMPL_H
#define VMM_EXPLORE_IMPL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace.h"

/* How a run ended.  Anything from VERDICT_GUEST on is a failure. */
enum verdict {
    VERDICT_NONE, /* not run, or stopped by us */
    VERDICT_OK,
    VERDICT_GUEST,    /* a guest failed */
    VERDICT_DEADLOCK, /* every PE waits */
    VERDICT_TIMEOUT,  /* --limit, or a --timeout of the run */
    VERDICT_EXPECT,   /* detail: the line of --expect that is missing */
    VERDICT_CHECK,    /* the check program said no; detail: its wait status */
    VERDICT_SIGNAL,   /* sempervm itself died; detail: signal */
    VERDICT_COUNT,
    VERDICT_USAGE = 100, /* the run's command line is no good */
    VERDICT_HOST,        /* the host cannot */
};

struct outcome {
    enum verdict verdict;
    unsigned detail;
    uint64_t ns;
};

static inline bool same_way(const struct outcome *a, const struct outcome *b)
{
    return a->verdict == b->verdict && a->detail == b->detail;
}

/* One run: what to run, and, while it lasts, its process. */
struct job {
    uint64_t seed;
    const char *schedule; /* switches to follow, or NULL; not owned */
    unsigned tag;         /* the caller's */
    pid_t pid;            /* 0: free */
    int pidfd;
    uint64_t start_ns, kill_ns;
    char trace[PATH_MAX], out[PATH_MAX];
    struct outcome result;
};

struct failure {
    uint64_t seed;
    struct outcome outcome;
    bool shrunk;         /* in an earlier session, too */
    size_t from, to;     /* context switches of the run before and after */
    size_t chosen;       /* of the latter, those the schedule asks for */
    unsigned runs;       /* that the shrinking took */
    const char *trouble; /* why it was not shrunk, or NULL */
};

struct explore {
    /* Options. */
    uint64_t first, last;
    unsigned njobs, stop, shrink, shrink_runs;
    uint64_t limit_ns;
    const char *policy, *faults, *expect, *check, *dir; /* not owned */
    bool fresh;
    char **run; /* the words behind `--` */
    int nrun;

    char **lines; /* of --expect; owned */
    size_t nlines;
    struct job *jobs; /* njobs of them */
    int signal_fd;
    int signo; /* what asked us to end; 0: nothing */

    uint8_t *done; /* a bit per seed of the range */
    uint64_t next; /* seed to start next */
    uint64_t ndone, nold, counts[VERDICT_COUNT];
    struct failure *failures; /* by their order of being found */
    size_t nfailures, cap_failures;
    uint64_t key; /* of this exploration in the log */
    int log_fd;
    bool terminal;
    uint64_t begin_ns, printed_ns;
};

/* ---- explore_opts.c ---- */

#define KEEP_MAX 100u /* failing seeds whose traces are kept */

/* argv[0] is replaced.  0, or -EINVAL after one line. */
int explore_parse(struct explore *e, int argc, char **argv);

/* ---- explore_run.c ---- */

/* Reads --expect.  0 or -errno, which it printed. */
int explore_read_lines(struct explore *e);

/* Starts j->seed with j->schedule in slot j; its files are named there.  0 or -errno, printed. */
int explore_start(struct explore *e, struct job *j);

/* The next job that has ended, with its result, its slot free; NULL: none has for `ms`, or
 * e->signo says why. */
struct job *explore_wait(struct explore *e, int ms);

/* Ends all jobs at once. */
void explore_kill(struct explore *e);

uint64_t explore_ns(void);

/* DIR/NAME, or DIR/seed-S.NAME. */
void explore_path(const struct explore *e, const char *name, char out[PATH_MAX]);
void explore_seed_path(const struct explore *e, uint64_t seed, const char *name,
                       char out[PATH_MAX]);

/* ---- explore_print.c ---- */

/* The progress line, now and then, or at once. */
void explore_progress(struct explore *e, bool now);
/* Makes room for other output. */
void explore_clear(const struct explore *e);
void explore_print_failure(const struct explore *e, const struct failure *f);
void explore_print_end(const struct explore *e);
const char *explore_verdict_name(enum verdict v);

/* ---- explore_shrink.c ---- */

/*
 * The records of a trace's switches (malloc'd, the caller's) and its header, without arguments.  0
 * or -errno with one line in err.
 */
int explore_switches(const char *path, struct trace_record **out, size_t *n, struct trace_header *h,
                     char *err, size_t errsize);

/* Shrinks one failing seed; its trace is replaced by the shrunk run's.  0, or -EINTR. */
int explore_shrink(struct explore *e, struct failure *f);

#endif
