/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fewest context switches that still fail in the same way.
 *
 * A failing run's trace lists its switches, each at a step of the PE that gave way (seed_pick.c).
 * Delta debugging (Zeller's ddmin) leaves out half of them, a quarter, and so on to single ones,
 * for as long as the run still fails; without a listed switch a PE goes on until it waits.  Each
 * try is a run of its own; as many as there are jobs at the same time, and of those that fail the
 * first one counts, so the result does not depend on which ended first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore_impl.h"
#include "trace_read.h"

/* A schedule may run for ever where the seed did not; tries get that many times its time. */
#define SLOWER    20u
#define SLOWER_NS 2000000000u

struct shrink {
    struct explore *e;
    struct failure *f;
    struct trace_header head;
    struct trace_record *list, *candidate;
    size_t n;
    uint64_t limit_ns; /* the exploration's, kept while a shorter one is in force */
};

/* ---- traces ---- */

int explore_switches(const char *path, struct trace_record **out, size_t *n, struct trace_header *h,
                     char *err, size_t errsize)
{
    struct trace_file f = {0};
    int r = trace_load(path, &f, err, errsize);
    size_t i;

    *out = NULL;
    *n = 0;
    if (r < 0)
        return r;
    if (!(f.header.flags & TRACE_SEEDED)) {
        snprintf(err, errsize, "%s: not of a seeded run", path);
        r = -EINVAL;
    }
    for (i = 0; r == 0 && i < f.count; i++)
        if (f.records[i].op == TR_SCHED)
            f.records[(*n)++] = f.records[i];
    *h = f.header;
    h->args_len = 0;
    if (r == 0) {
        *out = f.records; /* the switches are in front now, and the caller's */
        f.records = NULL;
    }
    trace_free(&f);
    return r;
}

/* A schedule is a trace of nothing but switches. */
static int write_schedule(const struct shrink *s, const char *path, const struct trace_record *r,
                          size_t n)
{
    struct trace *t;
    char err[256];
    size_t i;
    int e;

    e = trace_open(&t, path, &s->head, "", true, err, sizeof(err));
    for (i = 0; e == 0 && i < n; i++) {
        struct trace_record copy = r[i];

        trace_add(t, &copy);
    }
    return e ? e : trace_close(t);
}

/* ---- tries ---- */

/* [from, from + len) left out. */
static size_t without(struct shrink *s, size_t from, size_t len)
{
    memcpy(s->candidate, s->list, from * sizeof(*s->list));
    memcpy(s->candidate + from, s->list + from + len, (s->n - from - len) * sizeof(*s->list));
    return s->n - len;
}

static void job_paths(const struct explore *e, unsigned slot, char schedule[PATH_MAX])
{
    char name[32];

    snprintf(name, sizeof(name), "job-%u.switches", slot);
    explore_path(e, name, schedule);
}

/* Waits for every job that runs.  0 or -EINTR. */
static int finish_all(struct explore *e)
{
    unsigned i, busy = 1;

    while (busy && !e->signo) {
        for (i = 0, busy = 0; i < e->njobs; i++)
            busy += e->jobs[i].pid != 0;
        if (busy)
            explore_wait(e, 1000);
    }
    return e->signo ? -EINTR : 0;
}

/* Starts the list without [from, from + len) in a slot.  0 or -errno. */
static int try_without(struct shrink *s, unsigned slot, size_t from, size_t len)
{
    struct job *j = &s->e->jobs[slot];
    static char schedule[PATH_MAX]; /* read by the child's command line only */
    size_t n = without(s, from, len);
    int r;

    job_paths(s->e, slot, schedule);
    r = write_schedule(s, schedule, s->candidate, n);
    j->seed = s->f->seed;
    j->schedule = schedule;
    s->f->runs++;
    return r < 0 ? r : explore_start(s->e, j);
}

/* Does it fail without those?  1 or 0, or -errno. */
static int fails_without(struct shrink *s, size_t from, size_t len)
{
    int r = try_without(s, 0, from, len);

    if (r == 0)
        r = finish_all(s->e);
    return r < 0 ? r : same_way(&s->e->jobs[0].result, &s->f->outcome);
}

/*
 * Tries to leave out one of the chunks from *chunk on, njobs at a time.  1: it was left out, and
 * *chunk is the next one; 0: none could be; or -errno.
 */
static int drop_one(struct shrink *s, size_t size, size_t *chunk)
{
    struct explore *e = s->e;
    size_t chunks = (s->n + size - 1) / size;
    int r = 0;

    while (*chunk < chunks && s->f->runs < e->shrink_runs) {
        unsigned batch = 0, i;

        for (; batch < e->njobs && *chunk + batch < chunks && r == 0; batch++) {
            size_t from = (*chunk + batch) * size;

            r = try_without(s, batch, from, s->n - from < size ? s->n - from : size);
        }
        if (r < 0 || (r = finish_all(e)) < 0)
            return r;
        for (i = 0; i < batch; i++) {
            size_t from = (*chunk + i) * size;

            if (!same_way(&e->jobs[i].result, &s->f->outcome))
                continue;
            s->n = without(s, from, s->n - from < size ? s->n - from : size);
            memcpy(s->list, s->candidate, s->n * sizeof(*s->list));
            *chunk += i; /* the next one is there now */
            return 1;
        }
        *chunk += batch;
        explore_progress(e, false);
    }
    return 0;
}

static int ddmin(struct shrink *s)
{
    size_t size = (s->n + 1) / 2, chunk;
    bool dropped;
    int r;

    while (s->n > 0 && s->f->runs < s->e->shrink_runs) {
        if (size > s->n)
            size = s->n;
        for (chunk = 0, dropped = false; s->n > 0 && (r = drop_one(s, size, &chunk)) != 0;
             dropped = true)
            if (r < 0)
                return r;
        if (size > 1)
            size = (size + 1) / 2;
        else if (!dropped)
            break;
    }
    return 0;
}

/* ---- the result ---- */

/* What is kept of it: its switches, and the run that they make, which must fail as well. */
static int keep(struct shrink *s)
{
    struct job *j = &s->e->jobs[0];
    char path[PATH_MAX], full[PATH_MAX], err[256];
    struct trace_record *list;
    struct trace_header head;
    int r = fails_without(s, 0, 0);

    if (r <= 0)
        return r;
    explore_seed_path(s->e, s->f->seed, "switches", path);
    r = write_schedule(s, path, s->list, s->n);
    if (r < 0)
        return r;
    explore_seed_path(s->e, s->f->seed, "trace", path);
    explore_seed_path(s->e, s->f->seed, "full.trace", full);
    if (rename(path, full) < 0 || rename(j->trace, path) < 0)
        return -errno;
    explore_seed_path(s->e, s->f->seed, "out", full);
    if (rename(j->out, full) < 0)
        return -errno;
    r = explore_switches(path, &list, &s->f->to, &head, err, sizeof(err));
    free(list);
    s->f->chosen = s->n;
    return r < 0 ? r : 1;
}

static int open_shrink(struct shrink *s)
{
    uint64_t ns = s->f->outcome.ns;
    char path[PATH_MAX], err[PATH_MAX + 128];
    int r;

    explore_seed_path(s->e, s->f->seed, "trace", path);
    r = explore_switches(path, &s->list, &s->n, &s->head, err, sizeof(err));
    if (r < 0)
        return r;
    s->candidate = malloc((s->n + 1) * sizeof(*s->candidate));
    s->f->from = s->n;
    if (ns && ns * SLOWER + SLOWER_NS < s->e->limit_ns)
        s->e->limit_ns = ns * SLOWER + SLOWER_NS;
    return s->candidate ? 0 : -ENOMEM;
}

static const char *shrink_trouble(int r)
{
    return r == 0 ? "not shrunk: its switches alone do not make it fail"
                  : "not shrunk: no room for its files";
}

int explore_shrink(struct explore *e, struct failure *f)
{
    struct shrink s = {.e = e, .f = f, .limit_ns = e->limit_ns};
    int r;

    if (f->outcome.verdict == VERDICT_TIMEOUT) {
        f->trouble = "not shrunk, because time is no property of a schedule";
        return 0;
    }
    r = open_shrink(&s);
    if (r == 0)
        r = fails_without(&s, 0, 0);
    if (r > 0) {
        /* None at all, then the rest. */
        r = fails_without(&s, 0, s.n);
        if (r > 0)
            s.n = 0;
        r = r < 0 ? r : ddmin(&s);
        if (r == 0)
            r = keep(&s);
    }
    if (r > 0)
        f->shrunk = true;
    else if (r != -EINTR)
        f->trouble = shrink_trouble(r);
    e->limit_ns = s.limit_ns;
    free(s.list);
    free(s.candidate);
    return r == -EINTR ? r : 0;
}
