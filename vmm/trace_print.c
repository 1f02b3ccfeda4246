/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces as text: a line for each record, in columns that stay where they are, so that cut, sort
 * and diff can go on from here.  What has no value is "-".
 */
#include "trace_print.h"

#include <inttypes.h>
#include <string.h>

#include "../include/vreg.h"

#define NOBODY 0xFFFFu

struct text {
    char s[64];
};

static struct text no_text(void)
{
    return (struct text){"-"};
}

/* ---- columns --------------------------------------------------------------------------------- */

static struct text op_text(const struct trace_record *r)
{
    const char *name = trace_op_name(r->op);
    struct text t;

    if (name)
        snprintf(t.s, sizeof(t.s), "%s", name);
    else
        snprintf(t.s, sizeof(t.s), "op %u", r->op);
    return t;
}

/* "2", or with where at that PE: "2:0" an endpoint, "2+0x1000" an address, "2@0x7e0000" the address
 * here of a message from there. */
static struct text peer_text(const struct trace_record *r)
{
    struct text t = no_text();

    if (r->peer == NOBODY)
        return t;
    switch (r->op) {
    case TR_SEND:
    case TR_REPLY:
        snprintf(t.s, sizeof(t.s), "%u:%" PRIu64, r->peer, r->offset);
        break;
    case TR_READ:
    case TR_WRITE:
        snprintf(t.s, sizeof(t.s), "%u+%#" PRIx64, r->peer, r->offset);
        break;
    case TR_FETCH:
    case TR_ACK:
        snprintf(t.s, sizeof(t.s), "%u@%#" PRIx64, r->peer, r->offset);
        break;
    default:
        snprintf(t.s, sizeof(t.s), "%u", r->peer);
    }
    return t;
}

static struct text result_text(const struct trace_record *r)
{
    const char *name = trace_is_command(r) ? trace_error_name(r->result) : NULL;
    struct text t = no_text();

    if (name)
        snprintf(t.s, sizeof(t.s), "%s", r->result ? name : "ok");
    else if (trace_is_command(r) || r->op == TR_EXIT || r->op == TR_WAKE)
        snprintf(t.s, sizeof(t.s), "%" PRIu32, r->result);
    return t;
}

static struct text hash_text(const struct trace_record *r)
{
    struct text t = no_text();

    if (r->hash)
        snprintf(t.s, sizeof(t.s), "%016" PRIx64, r->hash);
    return t;
}

static struct text ep_text(const struct trace_record *r)
{
    struct text t = no_text();

    if (trace_is_command(r) && r->op != TR_DEBUG)
        snprintf(t.s, sizeof(t.s), "%u", r->ep);
    return t;
}

static struct text label_text(const struct trace_record *r)
{
    struct text t = no_text();

    if (r->op == TR_SEND || r->op == TR_REPLY || r->op == TR_DEBUG ||
        ((r->op == TR_FETCH || r->op == TR_ACK) && r->peer != NOBODY))
        snprintf(t.s, sizeof(t.s), "%" PRIx64, r->label);
    return t;
}

/* ---- what else there is to say --------------------------------------------------------------- */

static struct text call_text(const struct trace_record *r, const struct trace_kernels *k)
{
    enum trace_call call = trace_call(k, r);
    const char *kind = call == TRACE_SYSCALL ? "system call" : "kernel call";
    const char *name = trace_call_name(k, r);
    struct text t = {""};

    if (name)
        snprintf(t.s, sizeof(t.s), "%s %s", kind, name);
    else if (call != TRACE_NO_CALL)
        snprintf(t.s, sizeof(t.s), "%s %" PRIu32, kind, (uint32_t)r->first);
    return t;
}

static struct text wait_text(const struct trace_record *r)
{
    const char *how = r->ep == 1 ? "HLT" : r->ep == 2 ? "wait register" : "?";
    struct text t;

    if (r->label == VREG_WAIT_FOREVER)
        snprintf(t.s, sizeof(t.s), "%s", how);
    else
        snprintf(t.s, sizeof(t.s), "%s, until %" PRIu64, how, r->label);
    return t;
}

static struct text wake_text(const struct trace_record *r)
{
    struct text t;

    snprintf(t.s, sizeof(t.s), "%s%s%s%s%s", r->result ? "by" : "by nothing",
             r->result & VREG_CAUSE_MESSAGE ? " message" : "",
             r->result & VREG_CAUSE_WAKEUP ? " wake-up" : "",
             r->result & VREG_CAUSE_TIMEOUT  ? " timeout"
             : r->result & VREG_CAUSE_BRIDGE ? " bridge"
                                             : "",
             r->result & VREG_CAUSE_NIC ? " NIC" : "");
    return t;
}

static struct text details(const struct trace_record *r, const struct trace_kernels *k)
{
    static const char *const exits[] = {"program", "PE", "machine"};
    static const char *const injected[] = {"?",
                                           "refused for no ring space",
                                           "delayed",
                                           "spurious wake-up",
                                           "crashed",
                                           "frame lost",
                                           "frame doubled",
                                           "frame held back",
                                           "wire stalls",
                                           "node is lost",
                                           "node starts again"};
    struct text t = {""};

    switch (r->op) {
    case TR_SEND:
        return call_text(r, k);
    case TR_WAIT:
        return wait_text(r);
    case TR_WAKE:
        return wake_text(r);
    case TR_EXIT:
        snprintf(t.s, sizeof(t.s), "%s", r->ep < 3 ? exits[r->ep] : "?");
        break;
    case TR_FAULT:
    case TR_RESET:
        snprintf(t.s, sizeof(t.s), "at %#" PRIx64, r->label);
        break;
    case TR_NODE:
        snprintf(t.s, sizeof(t.s), "of node %u", r->ep);
        break;
    case TR_WIRE:
        snprintf(t.s, sizeof(t.s), "frame %" PRIu64, r->label);
        break;
    case TR_INJECT:
        snprintf(t.s, sizeof(t.s), "%s", r->ep <= TI_UP ? injected[r->ep] : "?");
        break;
    default:
        break;
    }
    return t;
}

/* ---- lines ----------------------------------------------------------------------------------- */

#define NAMES  " %9s %13s %4s %4s %-6s %2s %-17s %12s %6s %-13s %s\n"
#define VALUES " %9" PRIu64 " %13" PRIu64 " %4u %4s %-6s %2s %-17s %12s %6s %-13s %s"

void trace_print_columns(FILE *out)
{
    fprintf(out, "#" NAMES, "step", "ns", "PE", "VPE", "op", "ep", "peer", "label", "length",
            "result", "hash");
}

void trace_print_record(char mark, const struct trace_record *r, const struct trace_kernels *k,
                        FILE *out)
{
    struct text len = no_text(), vpe = no_text(), more = details(r, k);

    if (r->len)
        snprintf(len.s, sizeof(len.s), "%" PRIu32, r->len);
    if (trace_is_command(r) || r->vpe)
        snprintf(vpe.s, sizeof(vpe.s), "%u", r->vpe);
    fprintf(out, "%c" VALUES, mark, r->step, r->time, r->pe, vpe.s, op_text(r).s, ep_text(r).s,
            peer_text(r).s, label_text(r).s, len.s, result_text(r).s, hash_text(r).s);
    if (more.s[0])
        fprintf(out, "%*s %s", r->hash ? 0 : 15, "", more.s);
    fputc('\n', out);
}

/* Strings of a file, which may be anything, without what moves the cursor. */
static void print_clean(const char *s, FILE *out)
{
    for (; *s; s++)
        fputc((unsigned char)*s < 0x20 || *s == 0x7F ? '?' : *s, out);
}

void trace_print_head(const char *path, const struct trace_file *f, FILE *out)
{
    struct trace_hashes h = trace_hashes(f);

    fputs("# ", out);
    print_clean(path, out);
    if (f->header.flags & TRACE_SEEDED)
        fprintf(out, ": seed %" PRIu64 ", trace hash %016" PRIx64 ", payload hash %016" PRIx64,
                f->header.seed, h.trace, h.payload);
    else
        fprintf(out, ": ordinary run");
    fprintf(out, ", %" PRIu32 " PEs, %zu records, machine %016" PRIx64 "\n# run", f->header.pes,
            f->count, f->header.machine);
    for (int i = 0; i < f->argc; i++) {
        fputc(' ', out);
        print_clean(f->argv[i], out);
    }
    fputc('\n', out);
}
