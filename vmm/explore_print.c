/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an exploration says: a progress line on standard error, results on standard output.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "explore_impl.h"

#define REWRITE_NS 100000000u    /* on a terminal */
#define APPEND_NS  5000000000ull /* elsewhere */
#define SHOWN      12u           /* switches of a schedule */

static const char *const names[VERDICT_COUNT] = {
    [VERDICT_NONE] = "not run",       [VERDICT_OK] = "ok",
    [VERDICT_GUEST] = "guest failed", [VERDICT_DEADLOCK] = "deadlock",
    [VERDICT_TIMEOUT] = "timeout",    [VERDICT_EXPECT] = "output missing",
    [VERDICT_CHECK] = "check failed", [VERDICT_SIGNAL] = "sempervm died",
};

const char *explore_verdict_name(enum verdict v)
{
    return v < VERDICT_COUNT ? names[v] : "cannot run";
}

void explore_clear(const struct explore *e)
{
    if (e->terminal)
        fputs("\r\033[K", stderr);
}

void explore_progress(struct explore *e, bool now)
{
    uint64_t t = explore_ns(), total = e->last - e->first + 1, fresh = e->ndone - e->nold;
    double rate = (double)fresh * 1e9 / (double)(t - e->begin_ns + 1);
    uint64_t left;

    if (!now && t - e->printed_ns < (e->terminal ? REWRITE_NS : APPEND_NS))
        return;
    e->printed_ns = t;
    explore_clear(e);
    fprintf(stderr, "explore: %" PRIu64 "/%" PRIu64 " seeds, %zu failing, %.1f/s", e->ndone, total,
            e->nfailures, rate);
    if (fresh) {
        left = (uint64_t)((double)(total - e->ndone) / rate);
        fprintf(stderr, ", %" PRIu64 ":%02" PRIu64 " left", left / 60, left % 60);
    }
    fputs(e->terminal ? "" : "\n", stderr);
}

/* Where the schedule gives way although the PE could have gone on. */
static void print_switches(const struct explore *e, const struct failure *f)
{
    char path[PATH_MAX], err[256];
    struct trace_record *r;
    struct trace_header h;
    size_t n, i;

    explore_seed_path(e, f->seed, "switches", path);
    if (explore_switches(path, &r, &n, &h, err, sizeof(err)) < 0)
        return;
    for (i = 0; i < n && i < SHOWN; i++)
        if (r[i].peer == 0xFFFF)
            printf("    PE %u goes first\n", r[i].pe);
        else
            printf("    PE %u at its step %" PRIu64 " gives way to PE %u\n", r[i].peer, r[i].label,
                   r[i].pe);
    if (n > SHOWN)
        printf("    and %zu more\n", n - SHOWN);
    free(r);
}

void explore_print_failure(const struct explore *e, const struct failure *f)
{
    explore_clear(e);
    printf("seed %" PRIu64 ": %s", f->seed, explore_verdict_name(f->outcome.verdict));
    if (f->outcome.verdict == VERDICT_EXPECT && f->outcome.detail <= e->nlines)
        printf(" (\"%s\")", e->lines[f->outcome.detail - 1]);
    if (f->outcome.verdict == VERDICT_SIGNAL)
        printf(" (signal %u)", f->outcome.detail);
    if (f->trouble)
        printf("; %s", f->trouble);
    else if (f->runs)
        printf("; shrunk from %zu context switches to %zu, %zu of them chosen (%u runs)", f->from,
               f->to, f->chosen, f->runs);
    printf("\n");
    if (f->shrunk)
        print_switches(e, f);
    printf("  sempervm replay %s/seed-%" PRIu64 ".trace\n", e->dir, f->seed);
    fflush(stdout);
}

void explore_print_end(const struct explore *e)
{
    const char *sep = ": ";
    unsigned v;

    explore_clear(e);
    printf("%" PRIu64 " seeds", e->ndone);
    if (e->nold)
        printf(" (%" PRIu64 " of them earlier)", e->nold);
    for (v = VERDICT_OK; v < VERDICT_COUNT; v++)
        if (e->counts[v] || v == VERDICT_OK) {
            printf("%s%" PRIu64 " %s", sep, e->counts[v], names[v]);
            sep = ", ";
        }
    printf("\n");
    fflush(stdout);
}
