/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/trace_chrome.c vmm/trace_flow.c vmm/trace_diff.c vmm/trace_summary.c vmm/trace_print.c
 */
/* LINK: vmm/trace_filter.c vmm/trace_names.c vmm/trace_read.c */
/*
 * The reader of traces on anything, and all that `sempervm trace` does on what it accepts.
 *
 * No input has the right hash by chance, so each is tried as it is and once more repaired: with
 * magic, version, PEs, count and hash as they should be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../vmm/trace_chrome.h"
#include "../../vmm/trace_flow.h"
#include "../../vmm/trace_hash.h"
#include "../../vmm/trace_print.h"
#include "../unit/json_check.h"

#define RECORD sizeof(struct trace_record)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(truth) must_at((truth), #truth, __LINE__)

static void must_at(int truth, const char *text, int line)
{
    if (!truth) {
        fprintf(stderr, "line %d: not so: %s\n", line, text);
        abort();
    }
}

/* ---- what the reader promises ---------------------------------------------------------------- */

static void check_file(const struct trace_file *f, size_t size)
{
    size_t args = 0;

    must(f->header.pes < DTU_PES);
    must(f->count <= size / RECORD);
    for (int i = 0; i < f->argc; i++)
        args += strlen(f->argv[i]) + 1;
    must(args == f->header.args_len && !f->argv[f->argc]);
    for (size_t i = 0; i < f->count; i++) {
        must(f->records[i].pe <= f->header.pes && f->records[i].op != TR_END);
        must(i == 0 || f->header.flags & TRACE_SEEDED ||
             f->records[i - 1].step <= f->records[i].step);
    }
}

static void check_flows(const struct trace_file *f)
{
    struct trace_flows flows;

    must(trace_flows(&flows, f->records, f->count) == 0);
    for (uint32_t i = 0; i < f->count; i++) {
        uint32_t next = flows.next[i], head = flows.head[i];

        must(next == TRACE_FLOW_NONE || (next < f->count && flows.prev[next] == i));
        must(head == TRACE_FLOW_NONE || flows.prev[head] == TRACE_FLOW_NONE);
        must(next == TRACE_FLOW_NONE || flows.head[next] == head);
    }
    trace_flows_free(&flows);
}

/* A filter out of the trace itself, so that it depends on the input. */
static void make_filter(struct trace_filter *filter, const struct trace_file *f)
{
    trace_filter_init(filter);
    if (f->count < 2)
        return;
    filter->errors = f->header.seed & 1;
    filter->from = f->header.seed & 2 ? f->records[0].step : 0;
    filter->ops = f->header.seed & 4 ? "syscall,kernelcall,fetch,reply,wait,revoke" : NULL;
    filter->by_pe = f->header.seed & 8;
    filter->pes.bits[0] = f->header.machine;
}

static void use(const struct trace_file *f)
{
    struct trace_kernels kernels;
    struct trace_side side = {"a", f, &kernels};
    struct trace_filter filter;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    trace_find_kernels(&kernels, f->records, f->count);
    make_filter(&filter, f);
    must(trace_chrome(f, &filter, &kernels, out) == 0);
    fflush(out);
    must(json_valid(text));
    trace_print_head("a", f, out);
    for (size_t i = 0; i < f->count; i++)
        if (trace_wanted(&filter, &kernels, &f->records[i]))
            trace_print_record(' ', &f->records[i], &kernels, out);
    must(trace_print_summary(f, &filter, &kernels, out) == 0);
    must(trace_print_diff(&side, &side, &filter, true, out));
    fclose(out);
    free(text);
}

static int try(const uint8_t *data, size_t size)
{
    struct trace_file f;
    char err[100] = "";
    int r = trace_parse(data, size, &f, err, sizeof(err));

    if (r < 0) {
        must(err[0] != 0 && memchr(err, 0, sizeof(err)) && !strchr(err, '\n'));
        must(!f.records && !f.argv && !f.args);
        return r;
    }
    check_file(&f, size);
    check_flows(&f);
    use(&f);
    trace_free(&f);
    return 0;
}

/* ---- repair ---------------------------------------------------------------------------------- */

static void repair_records(uint8_t *at, size_t count, uint32_t pes)
{
    struct trace_record end = {.op = TR_END, .label = TRACE_HASH_INIT, .first = count}, r;

    for (size_t i = 0; i < count; i++) {
        memcpy(&r, at + i * RECORD, RECORD);
        r.pe = (uint16_t)(r.pe % (pes + 1));
        if (r.op == TR_END)
            r.op = TR_FETCH;
        memcpy(at + i * RECORD, &r, RECORD);
        end.label = trace_hash_record(end.label, &r);
    }
    memcpy(at + count * RECORD, &end, RECORD);
}

/* What is left over behind header and records is the command line. */
static void try_repaired(const uint8_t *data, size_t size)
{
    struct trace_header h;
    uint8_t *copy = malloc(size);
    size_t rest = size - sizeof(h) - RECORD;

    must(copy != NULL);
    memcpy(copy, data, size);
    memcpy(&h, data, sizeof(h));
    h.magic = TRACE_MAGIC;
    h.version = TRACE_VERSION;
    h.pes %= DTU_PES;
    h.args_len = (uint32_t)(rest % RECORD);
    memcpy(copy, &h, sizeof(h));
    if (h.args_len)
        copy[sizeof(h) + h.args_len - 1] = 0;
    repair_records(copy + sizeof(h) + h.args_len, rest / RECORD, h.pes);
    must(try(copy, size) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try(data, size);
    if (size >= sizeof(struct trace_header) + RECORD)
        try_repaired(data, size);
    return 0;
}
