/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `sempervm trace`.
 */
#include "trace_cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "trace_chrome.h"
#include "trace_print.h"

enum {
    OPT_PE = 0x100,
    OPT_OP,
    OPT_PEER,
    OPT_FROM,
    OPT_TO,
    OPT_ERRORS,
    OPT_DIFF,
    OPT_PAYLOAD,
    OPT_CHROME,
    OPT_SUMMARY
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Which records:", 1},
    {"pe", OPT_PE, "N[,N...]", 0, "Of these PEs", 1},
    {"peer", OPT_PEER, "N[,N...]", 0, "With these PEs on the other side", 1},
    {"op", OPT_OP, "NAME[,NAME...]", 0,
     "These operations (send, reply, read, write, fetch, ack, debug, sched, wait, wake, exit, "
     "fault, "
     "inject, reset), all system or kernel calls (syscall, kernelcall), or calls by name (obtain)",
     1},
    {"from", OPT_FROM, "STEP", 0, "From this step on", 1},
    {"to", OPT_TO, "STEP", 0, "Up to this step", 1},
    {"errors", OPT_ERRORS, NULL, 0, "Those with an error", 1},
    {NULL, 0, NULL, 0, "What to do with them, instead of printing them:", 2},
    {"summary", OPT_SUMMARY, NULL, 0, "Count operations, calls and messages", 2},
    {"diff", OPT_DIFF, "FILE2", OPTION_ARG_OPTIONAL, "Compare with another trace", 2},
    {"payload", OPT_PAYLOAD, NULL, 0, "With --diff: what messages say must be the same, too", 2},
    {"chrome", OPT_CHROME, "OUT.json", 0, "Write them for Perfetto (- for standard output)", 2},
    {NULL, 0, NULL, 0, NULL, 0},
};

struct options {
    const char *path[2];
    unsigned npaths;
    bool diff, payload, summary;
    const char *chrome;
    struct trace_filter filter;
};

/* ---- the command line ------------------------------------------------------------------------ */

/* One line, and over. */
static void usage(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void usage(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("sempervm: trace: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputs("; trace --help tells more\n", stderr);
    va_end(ap);
    exit(EXIT_USAGE);
}

static void add_path(struct options *o, char *path)
{
    if (o->npaths == 2)
        usage("two traces are enough: leave out %s", path);
    o->path[o->npaths++] = path;
}

/* 0 or -EINVAL, ARGP_ERR_UNKNOWN: none of these. */
static int parse_filter(struct trace_filter *f, int key, const char *arg, char *err, size_t size)
{
    switch (key) {
    case OPT_PE:
        f->by_pe = true;
        return trace_filter_pes(&f->pes, "--pe", arg, err, size);
    case OPT_PEER:
        f->by_peer = true;
        return trace_filter_pes(&f->peers, "--peer", arg, err, size);
    case OPT_OP:
        return trace_filter_ops(f, "--op", arg, err, size);
    case OPT_FROM:
        return trace_filter_step(&f->from, "--from", arg, err, size);
    case OPT_TO:
        return trace_filter_step(&f->to, "--to", arg, err, size);
    case OPT_ERRORS:
        f->errors = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void check_usage(const struct options *o)
{
    if (o->npaths == 0)
        usage("no trace; name a FILE that run --trace wrote");
    if (o->diff && o->npaths < 2)
        usage("--diff compares two traces, and there is one; name another");
    if (!o->diff && o->npaths == 2)
        usage("two traces without --diff; leave out %s", o->path[1]);
    if (o->payload && !o->diff)
        usage("--payload is about --diff; leave it out");
    if (o->diff + o->summary + !!o->chrome > 1)
        usage("--diff, --summary and --chrome exclude each other; use one");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char err[320];
    int r;

    switch (key) {
    case ARGP_KEY_ARG:
        add_path(o, arg);
        return 0;
    case ARGP_KEY_END:
        check_usage(o);
        return 0;
    case OPT_DIFF:
        o->diff = true;
        if (arg)
            add_path(o, arg);
        return 0;
    case OPT_PAYLOAD:
        o->payload = true;
        return 0;
    case OPT_SUMMARY:
        o->summary = true;
        return 0;
    case OPT_CHROME:
        o->chrome = arg;
        return 0;
    default:
        r = parse_filter(&o->filter, key, arg, err, sizeof(err));
        if (r == -EINVAL)
            usage("%s", err);
        return r;
    }
}

/* ---- what it does ---------------------------------------------------------------------------- */

static int out_of_memory(void)
{
    fputs("sempervm: out of memory for the trace; end other programs\n", stderr);
    return EXIT_HOST;
}

/* Have all that was printed arrived?  Closes it, unless it is standard output. */
static int finish(FILE *out, const char *name, int status)
{
    bool failed = ferror(out) != 0;

    errno = 0;
    failed |= (out == stdout ? fflush(out) : fclose(out)) != 0;
    if (!failed)
        return status;
    fprintf(stderr, "sempervm: cannot write %s: %s; free space there or name another file\n", name,
            errno ? strerror(errno) : "it failed");
    return EXIT_HOST;
}

static int export_chrome(const struct options *o, const struct trace_file *f,
                         const struct trace_kernels *k)
{
    bool to_stdout = strcmp(o->chrome, "-") == 0;
    FILE *out = to_stdout ? stdout : fopen(o->chrome, "we");
    int r;

    if (!out) {
        fprintf(stderr, "sempervm: cannot create %s: %s; name another file\n", o->chrome,
                strerror(errno));
        return EXIT_HOST;
    }
    r = trace_chrome(f, &o->filter, k, out);
    if (r == -E2BIG)
        fprintf(stderr, "sempervm: %s: too many records to draw; use --from and --to\n",
                o->path[0]);
    r = r == 0 ? EXIT_OK : r == -E2BIG ? EXIT_USAGE : out_of_memory();
    return finish(out, to_stdout ? "standard output" : o->chrome, r);
}

static int print(const struct options *o, const struct trace_file *f, const struct trace_kernels *k)
{
    trace_print_head(o->path[0], f, stdout);
    if (o->summary) {
        if (trace_print_summary(f, &o->filter, k, stdout) < 0)
            return out_of_memory();
        return finish(stdout, "standard output", EXIT_OK);
    }
    trace_print_columns(stdout);
    for (size_t i = 0; i < f->count && !ferror(stdout); i++)
        if (trace_wanted(&o->filter, k, &f->records[i]))
            trace_print_record(' ', &f->records[i], k, stdout);
    return finish(stdout, "standard output", EXIT_OK);
}

static int diff(const struct options *o, const struct trace_file *f, const struct trace_kernels *k)
{
    struct trace_side side[2];
    bool equal;

    for (unsigned i = 0; i < 2; i++)
        side[i] = (struct trace_side){o->path[i], &f[i], &k[i]};
    equal = trace_print_diff(&side[0], &side[1], &o->filter, o->payload, stdout);
    return finish(stdout, "standard output", equal ? EXIT_OK : EXIT_GUEST);
}

static int act(const struct options *o, const struct trace_file *f)
{
    static struct trace_kernels k[2];

    for (unsigned i = 0; i < o->npaths; i++)
        trace_find_kernels(&k[i], f[i].records, f[i].count);
    if (o->diff)
        return diff(o, f, k);
    return o->chrome ? export_chrome(o, f, k) : print(o, f, k);
}

int trace_command(int argc, char **argv)
{
    static char name[] = "sempervm trace";
    static const struct argp argp = {options,
                                     parse_option,
                                     "FILE [FILE2]",
                                     "Print, compare or convert what run --trace recorded.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct options o = {.npaths = 0};
    struct trace_file f[2] = {{.count = 0}};
    int status = EXIT_OK;

    trace_filter_init(&o.filter);
    argv[0] = name;
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
        return out_of_memory();
    for (unsigned i = 0; i < o.npaths && status == EXIT_OK; i++) {
        char err[4400];
        int r = trace_load(o.path[i], &f[i], err, sizeof(err));

        if (r < 0)
            fprintf(stderr, "sempervm: %s\n", err);
        status = r == 0 ? EXIT_OK : r == -ENOMEM ? EXIT_HOST : EXIT_USAGE;
    }
    if (status == EXIT_OK)
        status = act(&o, f);
    trace_free(&f[0]);
    trace_free(&f[1]);
    return status;
}
