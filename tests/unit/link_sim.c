/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated wire and its nodes (link_sim.h). */
#include <stdio.h>
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

/* A delivery that is answered later. */
struct sim_answer {
    struct sim_answer *next;
    uint64_t at, handle;
    uint32_t result;
    uint16_t len;
    bool read;
    uint8_t data[BRIDGE_DATA];
};

struct sim_ctx {
    struct sim *s;
    unsigned node;
};
static struct sim_ctx ctx[SIM_NODES];

_Noreturn void sim_failed(const struct sim *s, const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: seed %llu at %.6f s: %s\n", file, line, (unsigned long long)s->cfg.seed,
            (double)s->now / 1e9, what);
    abort();
}

uint64_t sim_random(struct sim *s)
{
    uint64_t z = s->rng += 0x9E3779B97F4A7C15ull;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static bool chance(struct sim *s, unsigned permille)
{
    return permille && sim_below(s, 1000) < permille;
}

uint8_t sim_byte(unsigned pe, uint32_t number, unsigned i)
{
    uint32_t x = (pe * 2654435761u) ^ (number * 40503u) ^ (i * 2246822519u);

    return (uint8_t)(x >> 13 ^ x);
}

/* Mostly success, and every error a DTU can give. */
uint32_t sim_result(unsigned pe, uint32_t number)
{
    static const uint8_t err[] = {SE_NO_RING_SPACE, SE_VPE_GONE, SE_INV_ARGS, SE_EP_INVALID};
    uint32_t x = pe * 31 + number * 7;

    return x % 5 ? SE_OK : err[x / 5 % 4];
}

/* ---- the wire ---- */

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

static void wire_send(struct sim *s, unsigned from, unsigned to, const void *buf, size_t len)
{
    const struct sim_wire *w = &s->cfg.wire;
    struct sim_packet *p = malloc(sizeof(*p) + len);

    sim_must(s, p);
    p->from = from;
    p->to = to;
    p->len = len;
    p->life = s->node[to].life;
    memcpy(p->buf, buf, len);
    s->passed[from][to]++;
    if (chance(s, w->reorder)) {
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

static bool op_send(void *arg, unsigned node, const void *buf, size_t len)
{
    struct sim_ctx *c = arg;
    struct sim *s = c->s;
    const struct sim_wire *w = &s->cfg.wire;

    sim_must(s, node < s->cfg.nodes && node != c->node);
    sim_must(s, len <= (s->cfg.link.mtu ? s->cfg.link.mtu : LINK_FRAME_MAX));
    if (chance(s, w->full))
        return false;
    if (s->tap && !s->tap(s, c->node, node, buf, len))
        return true;
    if (s->cut[c->node][node] || chance(s, w->loss))
        return true;
    wire_send(s, c->node, node, buf, len);
    if (chance(s, w->dup))
        wire_send(s, c->node, node, buf, len);
    return true;
}

/* ---- what the owner of a link does ---- */

static uint64_t op_now(void *arg)
{
    return ((struct sim_ctx *)arg)->s->now;
}

static uint64_t op_random(void *arg)
{
    struct sim *s = ((struct sim_ctx *)arg)->s;
    uint64_t r = sim_random(s);

    return s->cfg.epoch_low ? (r & ~0xFFFFFFFFull) | s->cfg.epoch_low : r;
}

static void op_state(void *arg, unsigned node, unsigned state)
{
    struct sim_ctx *c = arg;
    struct sim_node *n = &c->s->node[c->node];

    if (state == LINK_LIVE) {
        n->ups[node]++;
        n->peer_life[node] = c->s->node[node].life;
    } else if (n->state[node] == LINK_LIVE) {
        n->downs[node]++;
    }
    n->state[node] = state;
}

static struct sim_pe *pe_of(struct sim *s, unsigned pe)
{
    return &s->node[pe / SIM_PES].pe[pe % SIM_PES];
}

static void op_deliver(void *arg, uint64_t handle, const struct bridge_pkt *pkt, const void *data)
{
    struct sim_ctx *c = arg;
    struct sim *s = c->s;
    struct sim_node *n = &s->node[c->node];
    struct sim_pe *pe = pe_of(s, pkt->src_pe);
    struct sim_answer now, *a = &now;
    const uint8_t *bytes = data;

    /* It is the packet that its sender has under way, all of it, and for the first time. */
    sim_must(s, pkt->src_pe / SIM_PES != c->node && pkt->dst_pe / SIM_PES == c->node);
    sim_must(s, pe->busy && pe->op == pkt->op && pe->dst == pkt->dst_pe);
    sim_must(s, pe->len == pkt->len && pe->offset == pkt->offset);
    sim_must(s, pkt->dst_vpe == (pe->number & 0x7FF));
    sim_must(s, pe->delivered < pe->number);
    sim_must(s, pe->target_life == ~0u || pe->target_life == n->life);
    if (pkt->op == BRIDGE_MSG) {
        sim_must(s, pkt->hdr.length == pkt->len && pkt->hdr.sender_pe == pkt->src_pe);
        sim_must(s, pkt->hdr.label == pe->number && pkt->hdr.flags == DTU_HD_REPLY_ENABLED);
    }
    if (pkt->op == BRIDGE_READ)
        sim_must(s, data == NULL);
    else
        for (unsigned i = 0; i < pkt->len; i++)
            sim_must(s, bytes[i] == sim_byte(pkt->src_pe, pe->number, i));
    pe->delivered = pe->number;
    s->delivered++;

    if (s->cfg.async) {
        a = malloc(sizeof(*a));
        sim_must(s, a);
        a->next = n->answers;
        n->answers = a;
        a->at = s->now + sim_below(s, 50 * SIM_US);
    }
    a->handle = handle;
    a->result = sim_result(pkt->src_pe, pe->number);
    a->read = pkt->op == BRIDGE_READ;
    for (unsigned i = 0; a->read && i < pkt->len; i++)
        a->data[i] = sim_byte(pkt->dst_pe, pe->number, i);
    if (!s->cfg.async)
        link_delivered(n->link, handle, a->result, a->read ? a->data : NULL);
}

static void op_complete(void *arg, uint32_t id, uint16_t src_pe, uint32_t result, const void *data,
                        uint16_t len)
{
    struct sim_ctx *c = arg;
    struct sim *s = c->s;
    struct sim_pe *pe = pe_of(s, src_pe);
    const uint8_t *bytes = data;

    sim_must(s, src_pe / SIM_PES == c->node);
    sim_must(s, pe->busy && id == pe->number);
    pe->busy = false;
    s->completed++;
    if (result == SE_RECV_GONE) {
        sim_must(s, len == 0);
        pe->gone++;
        s->gone++;
        return;
    }
    pe->done++;
    sim_must(s, pe->delivered == pe->number);
    sim_must(s, result == sim_result(src_pe, id));
    bool read = pe->op == BRIDGE_READ && result == SE_OK;
    sim_must(s, len == (read ? pe->len : 0));
    for (unsigned i = 0; i < len; i++)
        sim_must(s, bytes[i] == sim_byte(pe->dst, id, i));
}

static const struct link_ops ops = {
    .now = op_now,
    .send = op_send,
    .deliver = op_deliver,
    .complete = op_complete,
    .random = op_random,
    .state = op_state,
};

static unsigned pick_len(struct sim *s)
{
    static const uint16_t edge[] = {0, 1, 63, 64, 65, 1302, 1303, 1304, 1400, 4070, 4071};

    if (s->cfg.max)
        return (unsigned)sim_below(s, s->cfg.max + 1);
    switch (sim_below(s, 4)) {
    case 0:
        return edge[sim_below(s, sizeof(edge) / sizeof(edge[0]))];
    case 1:
        return (unsigned)sim_below(s, 4072);
    default:
        return (unsigned)sim_below(s, 100);
    }
}

static void begin(struct sim *s, unsigned node, unsigned i)
{
    static uint8_t data[BRIDGE_DATA];
    struct sim_node *n = &s->node[node];
    struct sim_pe *pe = &n->pe[i];
    unsigned to = (node + 1 + (unsigned)sim_below(s, s->cfg.nodes - 1)) % s->cfg.nodes;
    unsigned src = node * SIM_PES + i;

    pe->number++;
    pe->op = s->cfg.msg_only ? BRIDGE_MSG : (uint8_t)sim_below(s, 3);
    pe->dst = (uint16_t)(to * SIM_PES + sim_below(s, s->cfg.pes));
    pe->len = (uint16_t)pick_len(s);
    if (!s->cfg.max && pe->op != BRIDGE_MSG && sim_below(s, 20) == 0)
        pe->len = BRIDGE_DATA;
    pe->offset = pe->op == BRIDGE_MSG ? sim_below(s, 16) : sim_random(s);
    pe->target_life = n->state[to] == LINK_LIVE ? n->peer_life[to] : ~0u;
    pe->since = s->now;

    struct bridge_pkt pkt = {
        .op = pe->op,
        .id = pe->number,
        .src_pe = (uint16_t)src,
        .dst_pe = pe->dst,
        .dst_vpe = pe->number & 0x7FF,
        .len = pe->len,
        .offset = pe->offset,
        .hdr = {.flags = DTU_HD_REPLY_ENABLED,
                .sender_pe = (uint16_t)src,
                .length = pe->len,
                .label = pe->number},
    };
    for (unsigned k = 0; k < pe->len; k++)
        data[k] = sim_byte(src, pe->number, k);
    pe->busy = true;
    if (!link_submit(n->link, &pkt, data)) {
        pe->busy = false;
        pe->number--;
        return;
    }
    s->begun++;
}

/* One round of an owner's loop. */
static void owner(struct sim *s, unsigned node)
{
    struct sim_node *n = &s->node[node];

    if (!n->up)
        return;
    for (struct sim_answer **at = &n->answers; *at;) {
        struct sim_answer *a = *at;
        if (a->at > s->now) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        link_delivered(n->link, a->handle, a->result, a->read ? a->data : NULL);
        free(a);
    }
    for (unsigned i = 0; !s->paused && i < s->cfg.pes && (!s->cfg.peer_only || !node); i++)
        if (!n->pe[i].busy && (!s->target || s->begun < s->target))
            begin(s, node, i);
    link_tick(n->link);
}

/* ---- running ---- */

static uint64_t next_event(struct sim *s)
{
    uint64_t at = s->heap_n ? s->heap[0]->at : LINK_FOREVER;

    for (struct sim_packet *p = s->held; p; p = p->next)
        at = p->at < at ? p->at : at;
    for (unsigned k = 0; k < s->cfg.nodes; k++) {
        struct sim_node *n = &s->node[k];
        if (!n->up)
            continue;
        uint64_t d = link_deadline(n->link);
        at = d < at ? d : at;
        for (struct sim_answer *a = n->answers; a; a = a->next)
            at = a->at < at ? a->at : at;
    }
    return at;
}

bool sim_step(struct sim *s)
{
    uint64_t at = next_event(s);
    bool woken[SIM_NODES] = {false};

    if (at == LINK_FOREVER)
        return false;
    /* Time passes with every step, so a library that asks to be called at once for ever shows. */
    s->now = at > s->now ? at : s->now + 100;
    release_held(s, SIM_NODES, SIM_NODES);
    while (s->heap_n && s->heap[0]->at <= s->now) {
        struct sim_packet *p = heap_pop(s);
        struct sim_node *n = &s->node[p->to];
        if (n->up)
            link_input(n->link, p->from, p->buf, p->len);
        woken[p->to] = true;
        free(p);
    }
    for (unsigned k = 0; k < s->cfg.nodes; k++)
        owner(s, k);
    (void)woken;
    return true;
}

void sim_run(struct sim *s, uint64_t packets, uint64_t until)
{
    while (s->completed < packets && s->now < until && sim_step(s))
        ;
}

static bool all_connected(struct sim *s)
{
    for (unsigned a = 0; a < s->cfg.nodes; a++)
        for (unsigned b = 0; b < s->cfg.nodes; b++)
            if (a != b && (!s->node[a].up || link_state(s->node[a].link, b) != LINK_LIVE))
                return false;
    return true;
}

void sim_connect(struct sim *s, uint64_t limit)
{
    limit += s->now;
    while (!all_connected(s)) {
        sim_must(s, s->now < limit);
        sim_must(s, sim_step(s));
    }
}

static bool any_busy(const struct sim *s)
{
    for (unsigned k = 0; k < s->cfg.nodes; k++)
        for (unsigned i = 0; i < s->cfg.pes; i++)
            if (s->node[k].up && s->node[k].pe[i].busy)
                return true;
    return false;
}

void sim_drain(struct sim *s, uint64_t limit)
{
    limit += s->now;
    s->paused = true;
    while (any_busy(s)) {
        sim_must(s, s->now < limit);
        sim_must(s, sim_step(s));
    }
    s->paused = false;
}

void sim_inject(struct sim *s, unsigned to, unsigned node, const void *buf, size_t len)
{
    if (s->node[to].up)
        link_input(s->node[to].link, node, buf, len);
}

static size_t mem_size(const struct sim *s)
{
    return s->cfg.mem ? s->cfg.mem : link_need(s->cfg.nodes, LINK_SLOTS);
}

void sim_start(struct sim *s, unsigned k)
{
    struct sim_node *n = &s->node[k];
    struct link_range range[SIM_NODES];
    struct link_config cfg = s->cfg.link;

    for (unsigned i = 0; i < s->cfg.nodes; i++)
        range[i] = (struct link_range){(uint16_t)i, (uint16_t)(i * SIM_PES),
                                       (uint16_t)(i * SIM_PES + SIM_PES - 1)};
    cfg.node = (uint16_t)k;
    cfg.nodes = (uint16_t)s->cfg.nodes;
    cfg.ranges = range;
    cfg.n_ranges = s->cfg.nodes;
    cfg.ops = &ops;
    cfg.arg = &ctx[k];
    ctx[k] = (struct sim_ctx){s, k};
    memset(n->mem, 0xA5, mem_size(s));
    memset(n->state, 0, sizeof(n->state));
    n->up = true;
    n->life++;
    n->link = link_new(n->mem, mem_size(s), &cfg);
    sim_must(s, n->link);
}

/* Its PEs are gone with it, and what they had under way. */
void sim_crash(struct sim *s, unsigned k)
{
    struct sim_node *n = &s->node[k];

    n->up = false;
    for (unsigned i = 0; i < SIM_PES; i++)
        n->pe[i].busy = false;
    while (n->answers) {
        struct sim_answer *a = n->answers;
        n->answers = a->next;
        free(a);
    }
}

struct sim *sim_new(const struct sim_config *cfg)
{
    struct sim *s = calloc(1, sizeof(*s));

    if (!s)
        abort();
    s->cfg = *cfg;
    s->rng = cfg->seed;
    for (unsigned k = 0; k < cfg->nodes; k++) {
        s->node[k].mem = malloc(mem_size(s));
        sim_must(s, s->node[k].mem);
        sim_start(s, k);
    }
    return s;
}

void sim_free(struct sim *s)
{
    for (unsigned k = 0; k < s->cfg.nodes; k++) {
        sim_crash(s, k);
        free(s->node[k].mem);
    }
    while (s->heap_n)
        free(heap_pop(s));
    while (s->held) {
        struct sim_packet *p = s->held;
        s->held = p->next;
        free(p);
    }
    free(s->heap);
    free(s);
}
