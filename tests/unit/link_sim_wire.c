/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire of link_sim.h: datagrams under way, in the order in which they arrive. */
#include <stdlib.h>
#include <string.h>

#include "link_sim.h"

struct sim_packet {
    uint64_t at, order;
    unsigned from, to;
    unsigned life;    /* of the receiver: a host that is down has no socket */
    uint64_t release; /* held: when so many have passed */
    struct sim_packet *next;
    size_t len;
    uint8_t buf[];
};

static void heap_push(struct sim *s, struct sim_packet *p)
{
    size_t i = s->heap_n++;

    if (i == s->heap_max) {
        s->heap_max = s->heap_max ? 2 * s->heap_max : 256;
        s->heap = realloc(s->heap, s->heap_max * sizeof(*s->heap));
        sim_must(s, s->heap);
    }
    p->order = s->order++;
    while (i) {
        struct sim_packet *up = s->heap[(i - 1) / 2];
        if (up->at < p->at || (up->at == p->at && up->order < p->order))
            break;
        s->heap[i] = up;
        i = (i - 1) / 2;
    }
    s->heap[i] = p;
}

static bool earlier(const struct sim_packet *a, const struct sim_packet *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static struct sim_packet *heap_pop(struct sim *s)
{
    struct sim_packet *top = s->heap[0];
    struct sim_packet *last = s->heap[--s->heap_n];
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= s->heap_n)
            break;
        if (c + 1 < s->heap_n && earlier(s->heap[c + 1], s->heap[c]))
            c++;
        if (!earlier(s->heap[c], last))
            break;
        s->heap[i] = s->heap[c];
        i = c;
    }
    if (s->heap_n)
        s->heap[i] = last;
    return top;
}

/* When a datagram that would arrive at `at` does: after the stall that it falls into. */
static uint64_t after_stall(struct sim *s, uint64_t at)
{
    uint64_t stall = s->cfg.wire.stall;

    if (!stall)
        return at;
    while (at >= s->stall_to) {
        s->stall_from = s->stall_to + 2 * stall + sim_below(s, 6 * stall);
        s->stall_to = s->stall_from + stall;
    }
    return at < s->stall_from ? at : s->stall_to;
}

/* Others have overtaken them: what was held goes on. */
static void release_held(struct sim *s, unsigned from, unsigned to)
{
    for (struct sim_packet **at = &s->held; *at;) {
        struct sim_packet *p = *at;
        if ((p->from == from && p->to == to && s->passed[from][to] >= p->release) ||
            p->at <= s->now) {
            *at = p->next;
            p->at = after_stall(s, s->now + s->cfg.wire.delay);
            heap_push(s, p);
        } else {
            at = &p->next;
        }
    }
}

void sim_wire_send(struct sim *s, unsigned from, unsigned to, const void *buf, size_t len)
{
    const struct sim_wire *w = &s->cfg.wire;
    struct sim_packet *p = malloc(sizeof(*p) + len);

    sim_must(s, p);
    p->from = from;
    p->to = to;
    p->len = len;
    memcpy(p->buf, buf, len);
    s->passed[from][to]++;
    if (sim_chance(s, w->reorder)) {
        /* Held until others have passed, or for 20 ms if there are none. */
        p->release = s->passed[from][to] + 1 + sim_below(s, w->distance);
        p->at = s->now + 20 * SIM_MS;
        p->next = s->held;
        s->held = p;
    } else {
        p->at = s->now + w->delay + (w->jitter ? sim_below(s, w->jitter) : 0);
        p->at = after_stall(s, p->at);
        heap_push(s, p);
    }
    release_held(s, from, to);
}

uint64_t sim_wire_next(const struct sim *s)
{
    uint64_t at = s->heap_n ? s->heap[0]->at : LINK_FOREVER;

    for (struct sim_packet *p = s->held; p; p = p->next)
        at = p->at < at ? p->at : at;
    return at;
}

/* A host that is down takes nothing; one that is up again gets what was sent to it before. */
void sim_wire_arrivals(struct sim *s)
{
    release_held(s, SIM_NODES, SIM_NODES);
    while (s->heap_n && s->heap[0]->at <= s->now) {
        struct sim_packet *p = heap_pop(s);
        if (s->node[p->to].up && s->node[p->to].frozen > s->now) {
            p->at = s->node[p->to].frozen;
            heap_push(s, p);
            continue;
        }
        s->node[p->to].woken = true;
        if (s->node[p->to].up)
            link_input(s->node[p->to].link, p->from, p->buf, p->len);
        free(p);
    }
}

void sim_wire_free(struct sim *s)
{
    while (s->heap_n)
        free(heap_pop(s));
    while (s->held) {
        struct sim_packet *p = s->held;
        s->held = p->next;
        free(p);
    }
    free(s->heap);
}
