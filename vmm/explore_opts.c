/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The options of `sempervm explore`.  What follows `--` is handed to every run unread.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore_impl.h"
#include "seed.h"

#define SEEDS_MAX 100000000ull
#define JOBS_MAX  256u

enum {
    OPT_SEEDS = 0x100,
    OPT_JOBS,
    OPT_POLICY,
    OPT_FAULTS,
    OPT_EXPECT,
    OPT_CHECK,
    OPT_DIR,
    OPT_LIMIT,
    OPT_FRESH,
    OPT_STOP,
    OPT_SHRINK,
    OPT_SHRINK_RUNS
};

static const struct argp_option options[] = {
    {"seeds", OPT_SEEDS, "A..B", 0, "Seeds to run the machine with", 1},
    {"jobs", OPT_JOBS, "N", 0, "Runs at the same time (one per core)", 1},
    {"policy", OPT_POLICY, "NAME", 0, "As of run: uniform (default), rr, pct[:CHANGES[:STEPS]]", 1},
    {"faults", OPT_FAULTS, "LIST", 0, "As of run: refuse, delay, spurious, crash", 1},
    {"limit", OPT_LIMIT, "SECONDS", 0, "For each run (60)", 1},
    {"expect", OPT_EXPECT, "FILE", 0, "Each of its lines must occur in a run's output", 2},
    {"check", OPT_CHECK, "PROGRAM", 0, "Gets a run's output; 0 means that it is right", 2},
    {"dir", OPT_DIR, "DIR", 0, "Where the log and the failing runs are kept (build/explore)", 3},
    {"fresh", OPT_FRESH, NULL, 0, "Forget what was explored earlier", 3},
    {"stop", OPT_STOP, "N", 0, "Stop after N failing seeds (never)", 3},
    {"shrink", OPT_SHRINK, "N", 0, "Failing seeds to shrink (3)", 3},
    {"shrink-runs", OPT_SHRINK_RUNS, "N", 0, "Runs to shrink one with (400)", 3},
    {NULL, 0, NULL, 0, NULL, 0},
};

/* A whole number from min to max, ended by the string's end or `end`, which *at then points at. */
static int number(const char **at, char end, uint64_t min, uint64_t max, uint64_t *out)
{
    char *stop;

    if (**at < '0' || **at > '9')
        return -EINVAL;
    errno = 0;
    *out = strtoull(*at, &stop, 0);
    *at = stop;
    return errno || *stop != end || *out < min || *out > max ? -EINVAL : 0;
}

static error_t parse_seeds(struct explore *e, const char *arg)
{
    const char *at = arg;

    if (number(&at, '.', 0, UINT64_MAX, &e->first) == 0 && at[1] == '.') {
        at += 2;
        if (number(&at, '\0', 0, UINT64_MAX, &e->last) == 0 && e->last >= e->first &&
            e->last - e->first < SEEDS_MAX)
            return 0;
    }
    fprintf(stderr,
            "sempervm: --seeds: '%s': want A..B, two numbers, A not above B, at most %llu seeds\n",
            arg, SEEDS_MAX);
    return EINVAL;
}

static error_t parse_count(const char *name, const char *arg, uint64_t min, uint64_t max,
                           unsigned *out)
{
    const char *at = arg;
    uint64_t value;

    if (number(&at, '\0', min, max, &value) < 0) {
        fprintf(stderr, "sempervm: --%s: '%s': want a number from %" PRIu64 " to %" PRIu64 "\n",
                name, arg, min, max);
        return EINVAL;
    }
    *out = (unsigned)value;
    return 0;
}

static error_t parse_limit(struct explore *e, const char *arg)
{
    char *end;
    double s = strtod(arg, &end);

    if (end == arg || *end || !(s > 0 && s <= 1e6)) {
        fprintf(stderr, "sempervm: --limit: '%s': want seconds, above 0\n", arg);
        return EINVAL;
    }
    e->limit_ns = (uint64_t)(s * 1e9);
    return 0;
}

/* What run itself would say of every one of the runs is said once, here. */
static error_t parse_run_option(int key, char *arg, const char **out)
{
    struct seed_opts o = {0};
    char err[256];
    int r = key == OPT_POLICY ? seed_parse_policy(&o, arg, err, sizeof(err))
                              : seed_parse_faults(&o, arg, err, sizeof(err));

    *out = arg;
    if (r == -EINVAL)
        fprintf(stderr, "sempervm: %s\n", err);
    return -r;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct explore *e = state->input;

    switch (key) {
    case OPT_SEEDS:
        return parse_seeds(e, arg);
    case OPT_JOBS:
        return parse_count("jobs", arg, 1, JOBS_MAX, &e->njobs);
    case OPT_STOP:
        return parse_count("stop", arg, 1, UINT32_MAX, &e->stop);
    case OPT_SHRINK:
        return parse_count("shrink", arg, 0, KEEP_MAX, &e->shrink);
    case OPT_SHRINK_RUNS:
        return parse_count("shrink-runs", arg, 4, UINT32_MAX, &e->shrink_runs);
    case OPT_LIMIT:
        return parse_limit(e, arg);
    case OPT_POLICY:
        return parse_run_option(key, arg, &e->policy);
    case OPT_FAULTS:
        return parse_run_option(key, arg, &e->faults);
    case OPT_EXPECT:
        e->expect = arg;
        return 0;
    case OPT_CHECK:
        e->check = arg;
        return 0;
    case OPT_DIR:
        e->dir = arg;
        return 0;
    case OPT_FRESH:
        e->fresh = true;
        return 0;
    case ARGP_KEY_ARG:
        fprintf(stderr, "sempervm: explore: '%s': the machine follows --\n", arg);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int explore_parse(struct explore *e, int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse_option,
                                     "--seeds A..B [OPTION...] -- RUN OPTION... FILE|-- BOOT LINE",
                                     "Run a machine under many seeds.",
                                     NULL,
                                     NULL,
                                     NULL};
    static char name[] = "sempervm explore";
    int i;

    for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        ;
    e->run = argv + i + 1;
    e->nrun = argc - i - 1;
    argv[0] = name;
    if (argp_parse(&argp, i, argv, 0, NULL, e) != 0)
        return -EINVAL;
    if (e->first > e->last)
        fprintf(stderr, "sempervm: explore: no seeds; give --seeds A..B\n");
    else if (e->nrun <= 0)
        fprintf(stderr, "sempervm: explore: no machine; what run would get follows --\n");
    else
        return 0;
    return -EINVAL;
}
