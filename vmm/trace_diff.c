/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where two runs part.
 *
 * The same seed on the same machine gives the same records, so the first that is not the same is
 * where to look; all that follow are its consequences.
 */
#include <inttypes.h>
#include <string.h>

#include "trace_print.h"

#define CONTEXT 5u /* records before the difference, and from it on */

struct cursor {
    const struct trace_side *side;
    const struct trace_filter *filter;
    size_t at;            /* the next record to look at */
    size_t last[CONTEXT]; /* those given out last, as a ring */
    size_t given;
};

/* The next record that is wanted, NULL at the end. */
static const struct trace_record *next(struct cursor *c)
{
    const struct trace_file *f = c->side->file;

    while (c->at < f->count) {
        const struct trace_record *r = &f->records[c->at++];

        if (trace_wanted(c->filter, c->side->kernels, r)) {
            c->last[c->given++ % CONTEXT] = c->at - 1;
            return r;
        }
    }
    return NULL;
}

static bool same_payload(const struct trace_record *a, const struct trace_record *b)
{
    return a->hash == b->hash && a->first == b->first;
}

static bool same(const struct trace_record *a, const struct trace_record *b, bool seeded,
                 bool payload)
{
    struct trace_record x = *a;

    if (!seeded) {
        x.step = b->step;
        x.time = b->time;
    }
    if (!payload) {
        x.hash = b->hash;
        x.first = b->first;
    }
    return memcmp(&x, b, sizeof(x)) == 0;
}

/* What both had before the records that differ. */
static void print_before(const struct cursor *c, FILE *out)
{
    const struct trace_file *f = c->side->file;
    size_t last = c->given - 1; /* the one that differs */

    for (size_t i = last > CONTEXT - 1 ? last - (CONTEXT - 1) : 0; i < last; i++)
        trace_print_record(' ', &f->records[c->last[i % CONTEXT]], c->side->kernels, out);
}

static void print_from(struct cursor *c, char mark, const struct trace_record *r, FILE *out)
{
    for (unsigned i = 0; r && i < CONTEXT; i++) {
        trace_print_record(mark, r, c->side->kernels, out);
        r = next(c);
    }
    if (!r)
        fprintf(out, "%c        (the end)\n", mark);
}

static void print_runs(const struct trace_side *a, const struct trace_side *b, FILE *out)
{
    const struct trace_header *x = &a->file->header, *y = &b->file->header;

    trace_print_head(a->path, a->file, out);
    trace_print_head(b->path, b->file, out);
    if (x->machine != y->machine)
        fputs("# not the same machine: programs, images or sizes differ\n", out);
    if (!(x->flags & y->flags & TRACE_SEEDED))
        fputs("# not both seeded: steps and times are not compared\n", out);
}

bool trace_print_diff(const struct trace_side *a, const struct trace_side *b,
                      const struct trace_filter *filter, bool payload, FILE *out)
{
    bool seeded = a->file->header.flags & b->file->header.flags & TRACE_SEEDED;
    struct cursor x = {.side = a, .filter = filter}, y = {.side = b, .filter = filter};
    const struct trace_record *r, *s;
    size_t payloads = 0;

    print_runs(a, b, out);
    for (;;) {
        r = next(&x);
        s = next(&y);
        if (!r && !s) {
            fprintf(out, "equal: %zu records\n", x.given);
            if (payloads)
                fprintf(out, "%zu of them with another payload; --payload shows the first\n",
                        payloads);
            return true;
        }
        if (!r || !s || !same(r, s, seeded, payload))
            break;
        payloads += !same_payload(r, s);
    }
    fprintf(out, "different from record %zu on\n", r ? x.at - 1 : a->file->count);
    trace_print_columns(out);
    /* The longer of the two has given out the record that differs, so its ring fits. */
    print_before(r ? &x : &y, out);
    print_from(&x, '<', r, out);
    print_from(&y, '>', s, out);
    return false;
}
