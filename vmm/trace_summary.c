/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A trace in numbers: how many of each operation and call, and who talks to whom.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "trace_print.h"

#define OPS   32u
#define CALLS 64u /* more than there are of either kind */

struct counts {
    uint64_t op[OPS], failed[OPS];
    uint64_t call[2][CALLS], unnamed[2];
    uint64_t first_time, last_time, records;
};

/* Accepted messages of a pair of PEs. */
struct pair {
    uint16_t from, to;
    uint64_t messages, bytes;
};

static bool is_message(const struct trace_record *r)
{
    return (r->op == TR_SEND || r->op == TR_REPLY) && r->result == 0 && r->peer < DTU_PES;
}

static void count(struct counts *c, const struct trace_record *r, const struct trace_kernels *k)
{
    enum trace_call call = trace_call(k, r);

    if (!c->records++ || r->time < c->first_time)
        c->first_time = r->time;
    if (r->time > c->last_time)
        c->last_time = r->time;
    if (r->op < OPS) {
        c->op[r->op]++;
        c->failed[r->op] += trace_is_error(r);
    }
    if (call == TRACE_NO_CALL)
        return;
    if (trace_call_name(k, r))
        c->call[call - TRACE_SYSCALL][(uint32_t)r->first % CALLS]++;
    else
        c->unnamed[call - TRACE_SYSCALL]++;
}

static void print_calls(const char *kind, const char *(*name)(uint32_t), const uint64_t *n,
                        uint64_t unnamed, FILE *out)
{
    for (uint32_t i = 0; i < CALLS; i++)
        if (n[i])
            fprintf(out, "%-12s %-20s %10" PRIu64 "\n", kind, name(i), n[i]);
    if (unnamed)
        fprintf(out, "%-12s %-20s %10" PRIu64 "\n", kind, "(no such)", unnamed);
}

static void print_counts(const struct counts *c, FILE *out)
{
    fprintf(out, "%-12s %-20s %10" PRIu64 "  in %" PRIu64 " ns\n", "records", "", c->records,
            c->last_time - c->first_time);
    for (unsigned i = 0; i < OPS; i++) {
        if (!c->op[i])
            continue;
        fprintf(out, "%-12s %-20s %10" PRIu64, "operation",
                trace_op_name(i) ? trace_op_name(i) : "?", c->op[i]);
        if (c->failed[i])
            fprintf(out, "  %" PRIu64 " with an error", c->failed[i]);
        fputc('\n', out);
    }
    print_calls("system call", trace_syscall_name, c->call[0], c->unnamed[0], out);
    print_calls("kernel call", trace_kernelcall_name, c->call[1], c->unnamed[1], out);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    return x->from != y->from ? x->from - y->from : x->to - y->to;
}

/* Makes one of all that are of the same pair; returns how many are left. */
static size_t merge(struct pair *p, size_t n)
{
    size_t kept = 0;

    qsort(p, n, sizeof(*p), by_pair);
    for (size_t i = 0; i < n; i++)
        if (kept && by_pair(&p[kept - 1], &p[i]) == 0) {
            p[kept - 1].messages += p[i].messages;
            p[kept - 1].bytes += p[i].bytes;
        } else {
            p[kept++] = p[i];
        }
    return kept;
}

int trace_print_summary(const struct trace_file *f, const struct trace_filter *filter,
                        const struct trace_kernels *k, FILE *out)
{
    struct pair *pairs = malloc((f->count + 1) * sizeof(*pairs));
    struct counts c = {0};
    size_t n = 0;

    if (!pairs)
        return -ENOMEM;
    for (size_t i = 0; i < f->count; i++) {
        const struct trace_record *r = &f->records[i];

        if (!trace_wanted(filter, k, r))
            continue;
        count(&c, r, k);
        if (is_message(r))
            pairs[n++] = (struct pair){r->pe, r->peer, 1, r->len};
    }
    print_counts(&c, out);
    n = merge(pairs, n);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%-12s %4u -> %-12u %10" PRIu64 "  %" PRIu64 " bytes\n", "messages",
                pairs[i].from, pairs[i].to, pairs[i].messages, pairs[i].bytes);
    free(pairs);
    return 0;
}
