/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace holds the command line of its run and every choice of its scheduler, so replaying means
 * running that command line again with the choices already made.
 */
#include "replay.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "run.h"
#include "seed.h"
#include "trace_read.h"

enum { OPT_UNTIL = 0x100, OPT_TRACE };

struct replay {
    const char *file, *trace;
    uint64_t until;
};

static const struct argp_option options[] = {
    {"until", OPT_UNTIL, "STEP", 0, "Stop at that step and print the state of all DTUs", 0},
    {"trace", OPT_TRACE, "FILE", 0, "Record this run, too", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct replay *r = state->input;
    char *end;

    switch (key) {
    case OPT_UNTIL:
        errno = 0;
        r->until = strtoull(arg, &end, 0);
        if (errno || end == arg || *end || *arg == '-')
            argp_error(state, "--until: '%s' is no step; give a number", arg);
        return 0;
    case OPT_TRACE:
        r->trace = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (r->file)
            argp_error(state, "one trace is enough: %s, %s", r->file, arg);
        r->file = arg;
        return 0;
    case ARGP_KEY_END:
        if (!r->file)
            argp_error(state, "no trace; name the file that --trace wrote");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A schedule may only name PEs that the machine has. */
static const char *unusable(const struct trace_file *f)
{
    size_t i;

    if (!(f->header.flags & TRACE_SEEDED))
        return "it is of an ordinary run, which has no schedule: record with --seed";
    for (i = 0; i < f->count; i++)
        if (f->records[i].op == TR_SCHED &&
            (f->records[i].pe == 0 || f->records[i].pe > f->header.pes))
            return "its schedule names PEs that do not exist: record it again";
    return NULL;
}

static int replay(const struct replay *r, const struct trace_file *f)
{
    struct seed_opts recorded = {.on = true,
                                 .seed = f->header.seed,
                                 .trace = r->trace,
                                 .list = f->records,
                                 .nlist = f->count,
                                 .machine = f->header.machine,
                                 .compare = true,
                                 .until = r->until};
    char **argv = calloc((size_t)f->argc + 2, sizeof(*argv));
    int status;

    if (!argv) {
        fprintf(stderr, "sempervm: out of memory; end other programs\n");
        return EXIT_HOST;
    }
    argv[0] = "run";
    memcpy(argv + 1, f->argv, (size_t)f->argc * sizeof(*argv));
    status = cli_run(f->argc + 1, argv, &recorded);
    free(argv);
    return status;
}

int replay_command(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse_option, "TRACE", "Run a recorded schedule again.", NULL, NULL, NULL};
    static char name[] = "sempervm replay";
    struct replay r = {.until = UINT64_MAX};
    struct trace_file f = {0};
    const char *why;
    char err[512];
    int e, status;

    argv[0] = name;
    e = argp_parse(&argp, argc, argv, 0, NULL, &r);
    if (e)
        return EXIT_USAGE;
    e = trace_load(r.file, &f, err, sizeof(err));
    why = e < 0 ? NULL : unusable(&f);
    if (e < 0 || why) {
        if (why)
            fprintf(stderr, "sempervm: cannot replay %s: %s\n", r.file, why);
        else
            fprintf(stderr, "sempervm: %s\n", err);
        status = e == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
    } else {
        status = replay(&r, &f);
    }
    trace_free(&f);
    return status;
}
