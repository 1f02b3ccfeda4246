/* SPDX-License-Identifier: BSD-2-Clause */
/* See results.h. */
#include "results.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../vmm/doctor.h"

static char folder[256], commit[80], cpu[128];
static bool modified; /* beyond that commit */
static const struct budgets *budgets;

static void read_line(const char *cmd, char *buf, size_t size)
{
    FILE *f = popen(cmd, "r");

    if (!f || !fgets(buf, (int)size, f))
        snprintf(buf, size, "unknown");
    buf[strcspn(buf, "\n\"\\")] = 0;
    if (f)
        pclose(f);
}

int results_open(const char *to, const struct budgets *b)
{
    char path[320];

    budgets = b;
    snprintf(folder, sizeof(folder), "%s", to);
    snprintf(path, sizeof(path), "%s/bench.d", folder);
    if (mkdir(path, 0777) < 0 && errno != EEXIST) {
        int r = -errno;

        fprintf(stderr, "bench: cannot make %s: %s\n", path, strerror(errno));
        return r;
    }
    read_line("git rev-parse HEAD 2>/dev/null", commit, sizeof(commit));
    modified = system("git diff --quiet HEAD 2>/dev/null") != 0;
    read_line("sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1", cpu, sizeof(cpu));
    return 0;
}

/* ---- the table ---- */

void results_heading(void)
{
    printf(
        "KVM flavour %s, %ld cores, %s, commit %.12s%s\n%-26s %5s %10s %10s %10s %-6s %10s %8s %8s "
        "%8s\n",
        doctor_kvm_flavour(), sysconf(_SC_NPROCESSORS_ONLN), cpu, commit,
        modified ? " and changes" : "", "case", "n", "min", "p50", "p99", "unit", "baseline",
        "ratio", "budget", "exits");
    fflush(stdout);
}

void results_print(const struct bench_case *c, struct result *r)
{
    const struct budget *b = budget_find(budgets, c->name);
    double ratio = samples_ratio(&r->value, &r->base);
    char exits[32] = "-";

    if (isfinite(r->exits))
        snprintf(exits, sizeof(exits), "%.3f", r->exits);
    if (r->status != 0)
        printf("%-26s %s %s\n", c->name, r->status > 0 ? "SKIP" : "FAILED", r->why);
    else
        printf("%-26s %5u %10.3f %10.3f %10.3f %-6s %10.3f %8.3f %8.2f %8s %s\n", c->name,
               r->value.n, samples_at(&r->value, 0), samples_at(&r->value, 0.5),
               samples_at(&r->value, 0.99), c->unit, samples_at(&r->base, 0.5), ratio,
               b ? b->ratio : 0, exits,
               !b                                 ? "no budget"
               : budget_holds(b, ratio, r->exits) ? "ok"
                                                  : "OVER");
    fflush(stdout);
}

/* ---- JSON ---- */

static void text(FILE *f, const char *name, const char *s)
{
    fprintf(f, "\"%s\": \"", name);
    for (; *s; s++)
        if (*s == '"' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else
            fputc((unsigned char)*s < ' ' ? ' ' : *s, f);
    fputc('"', f);
}

static void numbers(FILE *f, struct samples *s)
{
    static const double share[] = {0, .01, .05, .1, .25, .5, .75, .9, .95, .99, 1};

    fprintf(f,
            "\"n\": %u, \"min\": %.4f, \"p50\": %.4f, \"p99\": %.4f, \"mean\": %.4f,\n"
            "   \"percentiles\": [",
            s->n, samples_at(s, 0), samples_at(s, 0.5), samples_at(s, 0.99), samples_mean(s));
    for (unsigned i = 0; i < sizeof(share) / sizeof(share[0]); i++)
        fprintf(f, "%s[%g, %.4f]", i ? ", " : "", 100 * share[i], samples_at(s, share[i]));
    fprintf(f, "]");
}

static void print_case(FILE *f, const struct bench_case *c, struct result *r)
{
    const struct budget *b = budget_find(budgets, c->name);

    fprintf(f, "  {");
    text(f, "name", c->name);
    fprintf(f, ", \"ratio\": %.4f, ", samples_ratio(&r->value, &r->base));
    if (isfinite(r->exits))
        fprintf(f, "\"exits\": %.3f, ", r->exits);
    else
        fprintf(f, "\"exits\": null, ");
    text(f, "unit", c->unit);
    fprintf(f, ",\n   ");
    numbers(f, &r->value);
    fprintf(f, ",\n   \"baseline\": {");
    text(f, "what", c->baseline);
    fprintf(f, ", ");
    numbers(f, &r->base);
    fprintf(f, "},\n   ");
    text(f, "interval", c->interval);
    if (b)
        fprintf(f, ", \"budget\": %g", b->ratio);
    fprintf(f, ",\n   ");
    text(f, "commit", commit);
    fprintf(f, ", \"modified\": %s, \"time\": %lld}", modified ? "true" : "false",
            (long long)time(NULL));
}

static void path_of(char *path, size_t size, const char *name, const char *kind)
{
    snprintf(path, size, "%s/bench.d/%s.%s", folder, name, kind);
}

static FILE *new_file(const char *path)
{
    FILE *f = fopen(path, "w");

    if (!f)
        fprintf(stderr, "bench: cannot write %s: %s\n", path, strerror(errno));
    return f;
}

/* A reader of the old name finds the old file or the whole new one. */
static int put(FILE *f, const char *from, const char *to)
{
    if (fclose(f) == 0 && rename(from, to) == 0)
        return 0;
    fprintf(stderr, "bench: cannot write %s: %s\n", to, strerror(errno));
    return -EIO;
}

int results_keep(const struct bench_case *c, struct result *r)
{
    char path[320], other[320], part[320];
    FILE *f;

    path_of(path, sizeof(path), c->name, r->status == 0 ? "ran" : "not");
    path_of(other, sizeof(other), c->name, r->status == 0 ? "not" : "ran");
    path_of(part, sizeof(part), c->name, "part");
    f = new_file(part);
    if (!f)
        return -EIO;
    if (r->status == 0) {
        print_case(f, c, r);
    } else {
        fprintf(f, "  {");
        text(f, "name", c->name);
        fprintf(f, ", \"status\": \"%s\", ", r->status > 0 ? "skipped" : "failed");
        text(f, "why", r->why);
        fprintf(f, ", ");
        text(f, "commit", commit);
        fprintf(f, "}");
    }
    unlink(other);
    return put(f, part, path);
}

/* All files of a kind, with commas between. */
static void join(FILE *to, const struct bench_case *const *list, unsigned n, const char *kind)
{
    const char *sep = "";

    for (unsigned i = 0; i < n; i++) {
        char path[320];
        FILE *f;
        int ch;

        path_of(path, sizeof(path), list[i]->name, kind);
        f = fopen(path, "r");
        if (!f)
            continue;
        fprintf(to, "%s\n", sep);
        while ((ch = fgetc(f)) != EOF)
            fputc(ch, to);
        sep = ",";
        fclose(f);
    }
}

int results_join(const struct bench_case *const *list, unsigned n)
{
    char path[320], part[320];
    FILE *f;

    snprintf(path, sizeof(path), "%s/bench.json", folder);
    snprintf(part, sizeof(part), "%s/bench.json.part", folder);
    f = new_file(part);
    if (!f)
        return -EIO;
    fprintf(f, "{");
    text(f, "commit", commit);
    fprintf(f, ", \"modified\": %s, ", modified ? "true" : "false");
    text(f, "cpu", cpu);
    fprintf(f, ", ");
    text(f, "kvm", doctor_kvm_flavour());
    fprintf(f, ", \"cores\": %ld,\n \"cases\": [", sysconf(_SC_NPROCESSORS_ONLN));
    join(f, list, n, "ran");
    fprintf(f, "\n ],\n \"not_run\": [");
    join(f, list, n, "not");
    fprintf(f, "\n ]}\n");
    return put(f, part, path);
}
