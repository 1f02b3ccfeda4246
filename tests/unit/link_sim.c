/* SPDX-License-Identifier: BSD-2-Clause */
/* The simulated wire and its nodes (link_sim.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link_sim.h"

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

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

/* What packet `number` of a PE holds, or what a READ of a PE's memory gives for it. */
static uint8_t byte_of(unsigned pe, uint32_t number, unsigned i)
{
    uint32_t x = (pe * 2654435761u) ^ (number * 40503u) ^ (i * 2246822519u);

    return (uint8_t)(x >> 13 ^ x);
}

/* Mostly success, and every error that a far DTU can give. */
static uint32_t result_of(unsigned pe, uint32_t number)
{
    static const uint8_t err[] = {SE_NO_RING_SPACE, SE_VPE_GONE, SE_INV_ARGS, SE_EP_INVALID};
    uint32_t x = pe * 31 + number * 7;

    return x % 5 ? SE_OK : err[x / 5 % 4];
}

static uint16_t len_of(const struct sim *s, unsigned op, uint64_t h)
{
    static const uint16_t edge[] = {0,    1,    63,   64,   65,   1280, 1302, 1303,
                                    1304, 1343, 1344, 1345, 1359, 1360, 1400, 4071};

    if (s->cfg.max)
        return (uint16_t)(h % (s->cfg.max + 1));
    switch (h >> 32 & 3) {
    case 0:
        return edge[h % (sizeof(edge) / sizeof(edge[0]))];
    case 1:
        return (uint16_t)(h % (op == BRIDGE_MSG ? 4072 : 4097));
    case 2:
        return op == BRIDGE_MSG ? (uint16_t)(4071 - h % 3) : (uint16_t)(4096 - h % 3);
    default:
        return (uint16_t)(h % 100);
    }
}

static struct sim_job job_of(const struct sim *s, unsigned pe, uint32_t number)
{
    uint64_t h = mix(s->cfg.seed ^ mix(pe * 0x100000000ull + number));
    unsigned to = (pe / SIM_PES + 1 + (unsigned)(h % (s->cfg.nodes - 1))) % s->cfg.nodes;
    struct sim_job j = {.op = s->cfg.msg_only ? BRIDGE_MSG : (uint8_t)(h >> 8 & 0xFF) % 3};

    j.dst = (uint16_t)(to * SIM_PES + (h >> 16 & 0xFF) % s->cfg.pes);
    j.vpe = h >> 24 & 0x7FF;
    j.len = len_of(s, j.op, mix(h));
    /* So that the far side knows which packet it is. */
    j.offset = (uint64_t)number << 32 | (uint32_t)h;
    if (s->cfg.job)
        s->cfg.job(&j, pe, number);
    return j;
}

static bool op_send(void *arg, unsigned node, const void *buf, size_t len)
{
    struct sim_ctx *c = arg;
    struct sim *s = c->s;
    const struct sim_wire *w = &s->cfg.wire;

    sim_must(s, node < s->cfg.nodes && node != c->node);
    sim_must(s, len <= (s->cfg.link.mtu ? s->cfg.link.mtu : LINK_FRAME_MAX));
    if (sim_chance(s, w->full))
        return false;
    if (s->tap && !s->tap(s, c->node, node, buf, len))
        return true;
    if (s->cut[c->node][node] || sim_chance(s, w->loss))
        return true;
    sim_wire_send(s, c->node, node, buf, len);
    if (sim_chance(s, w->dup))
        sim_wire_send(s, c->node, node, buf, len);
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

/* Is a packet of that PE under way? */
static bool under_way(const struct sim_pe *pe, uint32_t number)
{
    uint32_t back = pe->number - number;

    return back < 64 && pe->busy >> back & 1;
}

static unsigned depth(const struct sim *s)
{
    return s->cfg.depth ? s->cfg.depth : 1;
}

/* Also where the oldest is so old that its bit would be lost. */
static bool full(const struct sim *s, const struct sim_pe *pe)
{
    return (unsigned)__builtin_popcountll(pe->busy) >= depth(s) || pe->busy >> 62;
}

unsigned sim_busy_to(const struct sim *s, unsigned node, unsigned other)
{
    const struct sim_node *n = &s->node[node];
    unsigned count = 0;

    for (unsigned i = 0; i < s->cfg.pes; i++)
        for (unsigned b = 0; b < 64; b++)
            if (n->pe[i].busy >> b & 1)
                count += job_of(s, node * SIM_PES + i, n->pe[i].number - b).dst / SIM_PES == other;
    return count;
}

/* Nothing that was under way to what the node was before may be left. */
static void check_nothing_left(struct sim *s, unsigned node, unsigned other)
{
    sim_must(s, sim_busy_to(s, node, other) == 0);
}

static void op_state(void *arg, unsigned node, unsigned state)
{
    struct sim_ctx *c = arg;
    struct sim_node *n = &c->s->node[c->node];

    if (n->state[node] == LINK_LIVE || state == LINK_LOST)
        check_nothing_left(c->s, c->node, node);
    if (n->state[node] == LINK_LIVE)
        n->downs[node]++;
    if (state == LINK_LIVE) {
        n->ups[node]++;
        n->peer_life[node] = c->s->node[node].life;
    }
    n->state[node] = state;
}

static struct sim_pe *pe_of(struct sim *s, unsigned pe)
{
    return &s->node[pe / SIM_PES].pe[pe % SIM_PES];
}

/* It comes for the first time, in order, and may come at all. */
static void check_arrival(struct sim *s, unsigned node, unsigned src, uint32_t number)
{
    struct sim_node *n = &s->node[node], *from = &s->node[src / SIM_PES];
    struct sim_pe *pe = pe_of(s, src);

    sim_must(s, src / SIM_PES < s->cfg.nodes && src / SIM_PES != node);
    sim_must(s, number <= pe->number && number > pe->delivered[node]);
    pe->delivered[node] = number;
    if (number < pe->first) {
        /* Of a node that has died since: only until the new one has been heard. */
        sim_must(s, n->seen_life[src / SIM_PES] < from->life);
        return;
    }
    n->seen_life[src / SIM_PES] = from->life;
    if (under_way(pe, number))
        sim_must(s, pe->target_life[number % 64] == ~0u || pe->target_life[number % 64] == n->life);
    else if (from->up) /* its sender may have given us up, but then it has been told so */
        sim_must(s, pe->number - number > 63 || pe->gone >> (pe->number - number) & 1);
}

static struct sim_answer *new_answer(struct sim *s, struct sim_node *n)
{
    struct sim_answer *a = calloc(1, sizeof(*a));

    sim_must(s, a);
    a->next = n->answers;
    n->answers = a;
    a->at = s->now + (s->cfg.async ? sim_below(s, 50 * SIM_US) : 0);
    return a;
}

static void op_deliver(void *arg, uint64_t handle, const struct bridge_pkt *pkt, const void *data)
{
    struct sim_ctx *c = arg;
    struct sim *s = c->s;
    struct sim_node *n = &s->node[c->node];
    uint32_t number = (uint32_t)(pkt->offset >> 32);
    struct sim_job j = job_of(s, pkt->src_pe, number);
    const uint8_t *bytes = data;

    sim_must(s, j.op == pkt->op && j.dst == pkt->dst_pe && j.vpe == pkt->dst_vpe);
    sim_must(s, j.len == pkt->len && j.offset == pkt->offset && j.dst / SIM_PES == c->node);
    check_arrival(s, c->node, pkt->src_pe, number);
    if (pkt->op == BRIDGE_MSG) {
        sim_must(s, pkt->hdr.length == pkt->len && pkt->hdr.sender_pe == pkt->src_pe);
        sim_must(s, pkt->hdr.label == number && pkt->hdr.flags == DTU_HD_REPLY_ENABLED);
    }
    sim_must(s, (pkt->op == BRIDGE_READ) == (data == NULL));
    for (unsigned i = 0; data && i < pkt->len; i++)
        sim_must(s, bytes[i] == byte_of(pkt->src_pe, number, i));
    s->delivered++;

    struct sim_answer *a = new_answer(s, n);
    a->handle = handle;
    a->result = result_of(pkt->src_pe, number);
    a->read = pkt->op == BRIDGE_READ;
    for (unsigned i = 0; a->read && i < pkt->len; i++)
        a->data[i] = byte_of(pkt->dst_pe, number, i);
    if (!s->cfg.async) {
        n->answers = a->next;
        link_delivered(n->link, handle, a->result, a->read ? a->data : NULL);
        free(a);
    }
}

static void op_complete(void *arg, uint32_t id, uint16_t src_pe, uint32_t result, const void *data,
                        uint16_t len)
{
    struct sim_ctx *c = arg;
    struct sim *s = c->s;
    struct sim_pe *pe = pe_of(s, src_pe);
    const uint8_t *bytes = data;

    sim_must(s, src_pe / SIM_PES == c->node);
    sim_must(s, under_way(pe, id));
    pe->busy &= ~(1ull << (pe->number - id));
    pe->next = s->now + (s->cfg.think ? sim_below(s, s->cfg.think) : 0);
    s->completed++;
    if (s->now - pe->since[id % 64] > s->node[c->node].longest)
        s->node[c->node].longest = s->now - pe->since[id % 64];
    if (result == SE_RECV_GONE) {
        sim_must(s, len == 0);
        pe->gone |= 1ull << (pe->number - id);
        s->gone++;
        return;
    }
    pe->done++;
    struct sim_job j = job_of(s, src_pe, id);
    sim_must(s, pe->delivered[j.dst / SIM_PES] >= id);
    sim_must(s, result == result_of(src_pe, id));
    bool read = j.op == BRIDGE_READ && result == SE_OK;
    sim_must(s, len == (read ? j.len : 0));
    for (unsigned i = 0; i < len; i++)
        sim_must(s, bytes[i] == byte_of(j.dst, id, i));
}

static const struct link_ops ops = {
    .now = op_now,
    .send = op_send,
    .deliver = op_deliver,
    .complete = op_complete,
    .random = op_random,
    .state = op_state,
};

static void begin(struct sim *s, unsigned node, unsigned i)
{
    static uint8_t data[BRIDGE_DATA];
    struct sim_node *n = &s->node[node];
    struct sim_pe *pe = &n->pe[i];
    unsigned src = node * SIM_PES + i;

    if (!link_ready(n->link))
        return;
    pe->number++;
    pe->gone <<= 1;
    pe->busy = pe->busy << 1 | 1;
    struct sim_job job = job_of(s, src, pe->number);
    unsigned to = job.dst / SIM_PES;
    pe->target_life[pe->number % 64] = n->state[to] == LINK_LIVE ? n->peer_life[to] : ~0u;
    pe->since[pe->number % 64] = s->now;
    s->begun++;

    struct bridge_pkt pkt = {
        .op = job.op,
        .id = pe->number,
        .src_pe = (uint16_t)src,
        .dst_pe = job.dst,
        .dst_vpe = job.vpe,
        .len = job.len,
        .offset = job.offset,
        .hdr = {.flags = DTU_HD_REPLY_ENABLED,
                .sender_pe = (uint16_t)src,
                .length = job.len,
                .label = pe->number},
    };
    for (unsigned k = 0; k < pkt.len; k++)
        data[k] = byte_of(src, pe->number, k);
    sim_must(s, link_submit(n->link, &pkt, data));
}

static bool may_begin(const struct sim *s, unsigned node)
{
    return !s->paused && (!s->target || s->begun < s->target) && (!s->cfg.one_way || !node);
}

/* One round of an owner's loop. */
static void owner(struct sim *s, unsigned node)
{
    struct sim_node *n = &s->node[node];

    if (!n->up || n->frozen > s->now)
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
    for (unsigned i = 0; may_begin(s, node) && i < s->cfg.pes; i++)
        for (unsigned k = 0; k < depth(s) && may_begin(s, node); k++)
            if (!full(s, &n->pe[i]) && n->pe[i].next <= s->now)
                begin(s, node, i);
    link_tick(n->link);
    /* Whatever it could do at once it has done. */
    sim_must(s, link_deadline(n->link) > s->now);
}

/* ---- running ---- */

/* When the owner of a link has something to do, if no datagram comes. */
static uint64_t node_due(const struct sim *s, unsigned k)
{
    const struct sim_node *n = &s->node[k];

    if (!n->up)
        return LINK_FOREVER;
    if (n->frozen > s->now)
        return n->frozen;
    uint64_t at = link_deadline(n->link);
    for (const struct sim_answer *a = n->answers; a; a = a->next)
        at = a->at < at ? a->at : at;
    for (unsigned i = 0; may_begin(s, k) && i < s->cfg.pes; i++)
        if (!full(s, &n->pe[i]) && n->pe[i].next < at)
            at = n->pe[i].next;
    return at;
}

bool sim_step(struct sim *s)
{
    uint64_t at = sim_wire_next(s), due[SIM_NODES];

    for (unsigned k = 0; k < s->cfg.nodes; k++) {
        due[k] = node_due(s, k);
        at = due[k] < at ? due[k] : at;
        s->node[k].woken = false;
    }
    if (at == LINK_FOREVER)
        return false;
    /* Time passes with every step, so a library that asks to be called at once for ever shows. */
    s->now = at > s->now ? at : s->now + 100;
    sim_wire_arrivals(s);
    for (unsigned k = 0; k < s->cfg.nodes; k++)
        if (s->node[k].woken || due[k] <= s->now)
            owner(s, k);
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
    memset(n->seen_life, 0, sizeof(n->seen_life));
    for (unsigned i = 0; i < SIM_PES; i++)
        n->pe[i].first = n->pe[i].number + 1;
    n->up = true;
    n->life++;
    n->frozen = 0;
    n->link = link_new(n->mem, mem_size(s), &cfg);
    sim_must(s, n->link);
}

/* Its PEs are gone with it, and what they had under way. */
void sim_crash(struct sim *s, unsigned k)
{
    struct sim_node *n = &s->node[k];

    n->up = false;
    for (unsigned i = 0; i < SIM_PES; i++)
        n->pe[i].busy = 0;
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
    s->now = cfg->start;
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
    sim_wire_free(s);
    free(s);
}
