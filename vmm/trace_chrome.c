/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chrome-trace JSON.
 *
 * A record is a moment, but an arrow needs a span to begin and end at, spans of one track must not
 * overlap halfway, and none may be empty.  So a command is drawn as the SPAN ns before its record,
 * cut where the PE's last span ends, and moved by single ns where records share a time, as they do
 * when time is counted in steps.  A send is recorded when it is over, by then the message may long
 * have been fetched: its span begins before that fetch.
 */
#include "trace_chrome.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "trace_flow.h"

#define SPAN      200u  /* ns, of a command */
#define SCHEDULER 1023u /* its track: no PE has that number */

struct span {
    uint64_t start, end;
};

struct chrome {
    const struct trace_file *f;
    const struct trace_kernels *k;
    FILE *out;
    const char *comma; /* between events */
    struct span *span; /* of each record; {0, 0}: not drawn */
    struct trace_flows flows;
    bool seen[SCHEDULER + 1];
};

/* ---- when ------------------------------------------------------------------------------------ */

static uint64_t sub(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* When the message must have been on its way. */
static uint64_t send_by(const struct chrome *c, size_t i)
{
    uint32_t next = c->flows.next[i];
    const struct trace_record *r = &c->f->records[i];
    bool message = r->op == TR_SEND || r->op == TR_REPLY;

    return message && next != TRACE_FLOW_NONE && c->f->records[next].time < r->time
               ? c->f->records[next].time
               : r->time;
}

static bool ends_wait(const struct trace_record *r)
{
    return r->op == TR_WAKE || r->op == TR_WAIT || r->op == TR_RESET || trace_is_command(r);
}

/*
 * Times of a file may be anything; what cannot be drawn piles up at the end of time.  A wait ends
 * with its WAKE, or with whatever else the PE does next.
 */
static void place(struct chrome *c, size_t i, uint64_t *last, size_t *waits)
{
    const struct trace_record *r = &c->f->records[i];
    uint64_t floor = last[r->pe];
    uint64_t end = r->time > floor ? r->time : floor + (floor < UINT64_MAX);
    uint64_t start = trace_is_command(r) ? sub(send_by(c, i), SPAN) : end - 1;

    if (r->op == TR_SCHED)
        return;
    if (waits[r->pe] && ends_wait(r)) {
        c->span[waits[r->pe] - 1].end = r->op == TR_WAKE ? end : floor;
        waits[r->pe] = 0;
    }
    if (r->op == TR_WAIT)
        waits[r->pe] = i + 1;
    c->span[i] = (struct span){start > floor && start < end ? start : floor, end};
    last[r->pe] = end;
}

/* Spans of all that is wanted. */
static int place_all(struct chrome *c, const struct trace_filter *filter)
{
    uint64_t *last = calloc(SCHEDULER + 1, sizeof(*last));
    size_t *waits = calloc(SCHEDULER + 1, sizeof(*waits)); /* the open one's index + 1 */
    uint64_t over = 0;
    int r = -ENOMEM;

    c->span = calloc(c->f->count + 1, sizeof(*c->span));
    if (c->span && last && waits) {
        for (size_t i = 0; i < c->f->count; i++)
            if (trace_wanted(filter, c->k, &c->f->records[i]))
                place(c, i, last, waits);
        for (unsigned pe = 0; pe < SCHEDULER; pe++)
            over = last[pe] > over ? last[pe] : over;
        for (unsigned pe = 0; pe < SCHEDULER; pe++)
            if (waits[pe])
                c->span[waits[pe] - 1].end = over;
        r = 0;
    }
    free(waits);
    free(last);
    return r;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* A string of the file: bytes beyond ASCII may be no UTF-8, so they are taken for Latin-1. */
static void print_string(const char *s, FILE *out)
{
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;

        if (ch == '"' || ch == '\\')
            fprintf(out, "\\%c", ch);
        else if (ch < 0x20 || ch >= 0x7F)
            fprintf(out, "\\u%04x", ch);
        else
            fputc(ch, out);
    }
}

/* Up to its closing brace. */
static void begin(struct chrome *c, const char *ph, unsigned track, uint64_t ns)
{
    fprintf(c->out, "%s\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%u,\"ts\":%" PRIu64 ".%03u", c->comma, ph,
            track, ns / 1000, (unsigned)(ns % 1000));
    c->comma = ",";
    c->seen[track] = true;
}

static void duration(struct chrome *c, struct span s)
{
    uint64_t ns = s.end - s.start;

    fprintf(c->out, ",\"dur\":%" PRIu64 ".%03u", ns / 1000, (unsigned)(ns % 1000));
}

/* "SEND OBTAIN"; what follows a call has its name, too. */
static void print_name(struct chrome *c, size_t i)
{
    const struct trace_record *r = &c->f->records[i];
    uint32_t head = c->flows.head[i];
    const char *op = trace_op_name(r->op);
    const char *call = trace_call_name(c->k, head == TRACE_FLOW_NONE ? r : &c->f->records[head]);

    if (r->op == TR_WAIT)
        op = r->ep == 1 ? "HLT" : "WAIT";
    fputs(",\"name\":\"", c->out);
    if (op)
        fputs(op, c->out);
    else
        fprintf(c->out, "op %u", r->op);
    fprintf(c->out, "%s%s\"", call ? " " : "", call ? call : "");
}

static void print_args(struct chrome *c, const struct trace_record *r)
{
    const char *error = trace_is_command(r) ? trace_error_name(r->result) : NULL;

    fprintf(c->out, ",\"args\":{\"step\":%" PRIu64 ",\"vpe\":%u,\"ep\":%u", r->step, r->vpe, r->ep);
    if (r->peer < DTU_PES)
        fprintf(c->out, ",\"peer\":%u", r->peer);
    /* In strings: JavaScript's numbers end at 53 bits. */
    fprintf(c->out,
            ",\"label\":\"%#" PRIx64 "\",\"offset\":\"%#" PRIx64 "\",\"length\":%" PRIu32
            ",\"hash\":\"%016" PRIx64 "\"",
            r->label, r->offset, r->len, r->hash);
    if (error)
        fprintf(c->out, ",\"result\":\"%s\"}", error);
    else
        fprintf(c->out, ",\"result\":%" PRIu32 "}", r->result);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void print_arrow(struct chrome *c, size_t i)
{
    uint32_t next = c->flows.next[i], prev = c->flows.prev[i];
    const struct trace_record *r = &c->f->records[i];
    const char *ph = prev == TRACE_FLOW_NONE ? "s" : next == TRACE_FLOW_NONE ? "f" : "t";
    struct span s = c->span[i];

    if (c->flows.head[i] == TRACE_FLOW_NONE)
        return;
    /* It leaves at the beginning of a send, and arrives at the end of a fetch. */
    begin(c, ph, r->pe, r->op == TR_FETCH ? s.end - 1 : s.start);
    fprintf(c->out, ",\"id\":%" PRIu32 ",\"cat\":\"message\",\"name\":\"message\"%s}",
            c->flows.head[i], *ph == 's' ? "" : ",\"bp\":\"e\"");
}

static void print_record(struct chrome *c, size_t i)
{
    const struct trace_record *r = &c->f->records[i];
    bool span = trace_is_command(r) || r->op == TR_WAIT;

    if (c->span[i].end == 0 || r->op == TR_WAKE)
        return;
    begin(c, span ? "X" : "i", r->pe, c->span[i].start);
    if (span)
        duration(c, c->span[i]);
    fprintf(c->out, ",\"cat\":\"%s\"%s",
            trace_is_error(r) ? "error"
            : span            ? "dtu"
                              : "event",
            span ? "" : ",\"s\":\"t\"");
    print_name(c, i);
    print_args(c, r);
    fputc('}', c->out);
    print_arrow(c, i);
}

/* Which PE the scheduler let run, from one change to the next. */
static void print_schedule(struct chrome *c, const struct trace_filter *filter)
{
    const struct trace_record *on = NULL;

    for (size_t i = 0; i <= c->f->count; i++) {
        const struct trace_record *r = i < c->f->count ? &c->f->records[i] : NULL;

        if (r && r->op != TR_SCHED)
            continue;
        if (!r && c->f->count > 0)
            r = &c->f->records[c->f->count - 1];
        if (on && r && r->time > on->time && trace_wanted(filter, c->k, on)) {
            begin(c, "X", SCHEDULER, on->time);
            duration(c, (struct span){on->time, r->time});
            fprintf(c->out, ",\"name\":\"PE %u\",\"args\":{\"step\":%" PRIu64 "}}", on->pe,
                    on->step);
        }
        on = r;
    }
}

static void print_track(struct chrome *c, unsigned track)
{
    fprintf(c->out,
            "%s\n{\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_sort_index\","
            "\"args\":{\"sort_index\":%u}}",
            c->comma, track, track == SCHEDULER ? 0 : track + 1);
    fprintf(c->out, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_name\",\"args\":{",
            track);
    if (track == SCHEDULER)
        fputs("\"name\":\"scheduler\"}}", c->out);
    else
        fprintf(c->out, "\"name\":\"PE %u%s\"}}", track, c->k->is[track] ? " (kernel)" : "");
    c->comma = ",";
}

static void print_head(struct chrome *c)
{
    const struct trace_header *h = &c->f->header;

    fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"command\":\"sempervm run", c->out);
    for (int i = 0; i < c->f->argc; i++) {
        fputc(' ', c->out);
        print_string(c->f->argv[i], c->out);
    }
    fprintf(c->out, "\",\"seed\":\"%" PRIu64 "\",\"hash\":\"%016" PRIx64 "\"},\n\"traceEvents\":[",
            h->seed, trace_hashes(c->f).trace);
    fputs("\n{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"sempervm\"}}",
          c->out);
    c->comma = ",";
}

/* An arrow needs both its ends, and time to go forward between them. */
static void cut_arrows(struct chrome *c)
{
    for (size_t i = 0; i < c->f->count; i++) {
        uint32_t next = c->flows.next[i];

        if (next != TRACE_FLOW_NONE && (c->span[i].end == 0 || c->span[next].end == 0 ||
                                        c->span[next].end <= c->span[i].start))
            trace_flow_cut(&c->flows, (uint32_t)i);
    }
    trace_flow_heads(&c->flows, c->f->count);
}

int trace_chrome(const struct trace_file *f, const struct trace_filter *filter,
                 const struct trace_kernels *k, FILE *out)
{
    struct chrome c = {.f = f, .k = k, .out = out, .comma = ""};
    int r = trace_flows(&c.flows, f->records, f->count);

    if (r == 0)
        r = place_all(&c, filter);
    if (r == 0) {
        cut_arrows(&c);
        print_head(&c);
        for (size_t i = 0; i < f->count; i++)
            print_record(&c, i);
        print_schedule(&c, filter);
        for (unsigned i = 0; i <= SCHEDULER; i++)
            if (c.seen[i])
                print_track(&c, i);
        fputs("\n]}\n", out);
    }
    free(c.span);
    trace_flows_free(&c.flows);
    return r;
}
