/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding messages in a trace.
 *
 * Records carry no message numbers, because the DTU has none.  But what one PE sends to one
 * endpoint of another stays in order, so the first of a sender's messages with some label and
 * length is the first fetched there with those, and so on.  Both kinds are sorted by that key and
 * then go through in step.
 *
 * A reply names the PE that it goes to and the endpoint that the request came in at: it is taken
 * for the answer to the oldest request from there that was fetched and not yet answered.  An ACK
 * names the message's address and takes that one out.  Slots bound how many there can be.
 */
#include "trace_flow.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../include/dtu.h"

struct end {
    uint16_t from, to;
    uint8_t ep; /* of the receiver */
    uint32_t len;
    uint64_t label;
    uint32_t index;
};

static int compare_keys(const struct end *x, const struct end *y)
{
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->ep != y->ep)
        return x->ep < y->ep ? -1 : 1;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->len != y->len ? (x->len < y->len ? -1 : 1) : 0;
}

static int compare_ends(const void *a, const void *b)
{
    const struct end *x = a, *y = b;
    int r = compare_keys(x, y);

    return r ? r : x->index < y->index ? -1 : x->index > y->index;
}

static void link_records(struct trace_flows *f, uint32_t from, uint32_t to)
{
    f->next[from] = to;
    f->prev[to] = from;
}

/* ---- from sending to fetching ---------------------------------------------------------------- */

static bool is_sent(const struct trace_record *r)
{
    return (r->op == TR_SEND || r->op == TR_REPLY) && r->result == 0 && r->peer < DTU_PES &&
           r->offset < DTU_EPS;
}

static bool is_fetched(const struct trace_record *r)
{
    return r->op == TR_FETCH && r->result == 0 && r->peer < DTU_PES && r->ep < DTU_EPS;
}

static size_t collect(struct end *out, const struct trace_record *r, size_t count, bool sent)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (sent ? !is_sent(&r[i]) : !is_fetched(&r[i]))
            continue;
        out[n++] = (struct end){.from = sent ? r[i].pe : r[i].peer,
                                .to = sent ? r[i].peer : r[i].pe,
                                .ep = sent ? (uint8_t)r[i].offset : r[i].ep,
                                .len = r[i].len,
                                .label = r[i].label,
                                .index = (uint32_t)i};
    }
    qsort(out, n, sizeof(*out), compare_ends);
    return n;
}

static int link_messages(struct trace_flows *f, const struct trace_record *r, size_t count)
{
    struct end *sent = malloc((count + 1) * sizeof(*sent));
    struct end *fetched = malloc((count + 1) * sizeof(*fetched));
    size_t ns, nf, i = 0, j = 0;
    int ret = -ENOMEM;

    if (!sent || !fetched)
        goto out;
    ns = collect(sent, r, count, true);
    nf = collect(fetched, r, count, false);
    while (i < ns && j < nf) {
        int order = compare_keys(&sent[i], &fetched[j]);

        if (order == 0)
            link_records(f, sent[i].index, fetched[j].index);
        i += order <= 0;
        j += order >= 0;
    }
    ret = 0;
out:
    free(fetched);
    free(sent);
    return ret;
}

/* ---- from fetching to replying --------------------------------------------------------------- */

/* What was fetched at one endpoint and waits for a reply, oldest first. */
struct waiting {
    unsigned n;
    uint32_t index[DTU_MAX_SLOTS];
};

static void take_out(struct waiting *w, unsigned i)
{
    for (w->n--; i < w->n; i++)
        w->index[i] = w->index[i + 1];
}

/* The oldest from that PE; or, with one given, at that address.  w->n: none. */
static unsigned find(const struct waiting *w, const struct trace_record *r, uint16_t peer,
                     const uint64_t *addr)
{
    unsigned i;

    for (i = 0; i < w->n; i++) {
        const struct trace_record *fetched = &r[w->index[i]];

        if (addr ? fetched->offset == *addr : fetched->peer == peer)
            break;
    }
    return i;
}

static void follow(struct trace_flows *f, struct waiting *w, const struct trace_record *r,
                   uint32_t index)
{
    const struct trace_record *now = &r[index];
    unsigned i = find(w, r, now->peer, now->op == TR_REPLY ? NULL : &now->offset);

    if (i < w->n) {
        if (now->op == TR_REPLY)
            link_records(f, w->index[i], index);
        take_out(w, i);
    }
    if (now->op != TR_FETCH)
        return;
    if (w->n == DTU_MAX_SLOTS)
        take_out(w, 0);
    w->index[w->n++] = index;
}

static int link_replies(struct trace_flows *f, const struct trace_record *r, size_t count)
{
    struct waiting **table = calloc((size_t)DTU_PES * DTU_EPS, sizeof(struct waiting *));
    int ret = table ? 0 : -ENOMEM;

    for (size_t i = 0; ret == 0 && i < count; i++) {
        struct waiting **w;

        if (r[i].pe >= DTU_PES || r[i].ep >= DTU_EPS || r[i].result != 0 ||
            !(is_fetched(&r[i]) || r[i].op == TR_REPLY || r[i].op == TR_ACK))
            continue;
        w = &table[r[i].pe * DTU_EPS + r[i].ep];
        if (!*w)
            *w = calloc(1, sizeof(**w));
        if (*w)
            follow(f, *w, r, (uint32_t)i);
        else
            ret = -ENOMEM;
    }
    for (size_t i = 0; table && i < (size_t)DTU_PES * DTU_EPS; i++)
        free(table[i]);
    free(table);
    return ret;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int trace_flows(struct trace_flows *out, const struct trace_record *r, size_t count)
{
    int ret = -ENOMEM;

    if (count >= TRACE_FLOW_NONE)
        return -E2BIG;
    out->next = malloc((count + 1) * sizeof(*out->next));
    out->prev = malloc((count + 1) * sizeof(*out->prev));
    out->head = malloc((count + 1) * sizeof(*out->head));
    if (out->next && out->prev && out->head) {
        for (size_t i = 0; i < count; i++)
            out->next[i] = out->prev[i] = TRACE_FLOW_NONE;
        ret = link_messages(out, r, count);
        if (ret == 0)
            ret = link_replies(out, r, count);
        trace_flow_heads(out, count);
    }
    if (ret < 0)
        trace_flows_free(out);
    return ret;
}

void trace_flows_free(struct trace_flows *f)
{
    free(f->next);
    free(f->prev);
    free(f->head);
    *f = (struct trace_flows){NULL, NULL, NULL};
}

void trace_flow_cut(struct trace_flows *f, uint32_t i)
{
    if (f->next[i] != TRACE_FLOW_NONE)
        f->prev[f->next[i]] = TRACE_FLOW_NONE;
    f->next[i] = TRACE_FLOW_NONE;
}

void trace_flow_heads(struct trace_flows *f, size_t count)
{
    for (size_t i = 0; i < count; i++)
        f->head[i] = TRACE_FLOW_NONE;
    /* A record has one at most before it, so none is met twice. */
    for (size_t i = 0; i < count; i++)
        if (f->prev[i] == TRACE_FLOW_NONE && f->next[i] != TRACE_FLOW_NONE)
            for (uint32_t j = (uint32_t)i; j != TRACE_FLOW_NONE; j = f->next[j])
                f->head[j] = (uint32_t)i;
}
