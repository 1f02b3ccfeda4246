/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nodes of a seeded run: how they end, crash and begin again, each for itself, as processes on
 * hosts of their own would.
 */
#include "record.h"
#include "sched_seed_impl.h"

#define DOWN_MIN_NS 10000000ull   /* how long a crashed node is away: at least */
#define DOWN_MAX_NS 2000000000ull /* and less than that more */
#define STUCK_NS    150000000000ull

enum { DRAW_AWAY = 200, DRAW_RETURNS };

struct co *seed_co_by_id(struct seed *s, unsigned id)
{
    return id < DTU_PES && s->by_id[id] ? &s->cos[s->by_id[id] - 1] : NULL;
}

struct co *seed_co(struct seed *s, const struct pe *pe)
{
    return seed_co_by_id(s, pe->id);
}

bool seed_drawn(struct seed *s, unsigned who, unsigned draw, uint64_t count, uint32_t rate,
                enum trace_inject kind)
{
    const struct seed_faults *f = &s->opts->faults;
    unsigned i;

    for (i = 0; i < f->nnamed; i++)
        if (f->named[i].kind == kind && f->named[i].pe == who && f->named[i].step <= s->steps &&
            !s->struck[i]) {
            s->struck[i] = true;
            return true;
        }
    return rate && seed_mix(s->opts->seed, kind, draw, count) % 1000000 < rate;
}

void seed_inject(struct seed *s, unsigned pe, enum trace_inject kind, uint64_t label)
{
    node_record(s->node, &(struct trace_record){.op = TR_INJECT,
                                                .pe = (uint16_t)pe,
                                                .ep = (uint8_t)kind,
                                                .peer = SEED_NOBODY,
                                                .label = label});
}

/* ---- the end ---- */

static bool runs(const struct seed_node *n)
{
    return atomic_load(&n->node->end) == NODE_RUNS;
}

bool seed_over(struct seed *s)
{
    unsigned k;

    if (atomic_load(&s->stop))
        return true;
    for (k = 0; k < s->nnodes; k++)
        if (runs(&s->nodes[k]) || atomic_load(&s->nodes[k].node->returns))
            return false;
    return true;
}

void seed_finish(struct seed *s, enum node_end why)
{
    unsigned k;

    for (k = 0; k < s->nnodes; k++) {
        atomic_store(&s->nodes[k].node->returns, false);
        if (runs(&s->nodes[k]))
            node_finish(s->nodes[k].node, why, 0);
    }
}

static void co_over(struct seed *s, struct co *c)
{
    seed_ready(s, c); /* so that it is in one list only */
    if (c->state == CO_READY)
        seed_unready(s, c, CO_OVER);
}

static void retire(struct seed *s, struct seed_node *n)
{
    unsigned i;

    n->retired = true;
    for (i = 0; i < n->node->npes; i++)
        co_over(s, seed_co(s, &n->node->pes[i]));
}

void seed_retire(struct seed *s)
{
    unsigned k;

    for (k = 0; k < s->nnodes; k++)
        if (!s->nodes[k].retired && !runs(&s->nodes[k]))
            retire(s, &s->nodes[k]);
}

/* ---- nodes that go on for nothing ---- */

/*
 * Bridges ask each other for signs of life, and kernels theirs, for ever; so a run of several nodes
 * is over when no program has done anything for longer than any limit of theirs (the kernel's
 * longest is 120 s), and none waits for a time to come.
 */
static bool is_program(const struct co *c)
{
    const struct node *n = c->pe->node;

    if (c->pe->id == n->bridge_pe)
        return false;
    return !machine_has_kernel(n->desc) || !(vdtu_reg(c->pe->dtu, DTU_STATUS) & DTU_STATUS_PRIV);
}

static bool may_go_on(const struct co *c)
{
    return c->state == CO_READY || c->state == CO_SPINNING ||
           (c->state == CO_WAITING && c->pe->deadline != VREG_WAIT_FOREVER);
}

bool seed_stuck(struct seed *s, const struct co *c)
{
    uint64_t now = seed_clock(s);
    unsigned i;

    if (is_program(c) || seed_next_up(s) != SEED_NEVER)
        s->progress_ns = now;
    if (now - s->progress_ns < STUCK_NS)
        return false;
    for (i = 0; i < s->ncos; i++)
        if (is_program(&s->cos[i]) && may_go_on(&s->cos[i])) {
            s->progress_ns = now;
            return false;
        }
    return true;
}

/* ---- crashes ---- */

static struct seed_node *node_of(struct seed *s, const struct co *c)
{
    unsigned k = 0;

    while (s->nodes[k].node != c->pe->node)
        k++;
    return &s->nodes[k];
}

/* Is there a named one that has not happened?  Its place and 1. */
static unsigned named_up(const struct seed *s, unsigned k)
{
    const struct seed_faults *f = &s->opts->faults;
    unsigned i;

    for (i = 0; i < f->nnamed; i++)
        if (f->named[i].kind == TI_UP && f->named[i].pe == k && !s->struck[i])
            return i + 1;
    return 0;
}

void seed_node_faults(struct seed *s, struct co *c)
{
    const struct seed_faults *f = &s->opts->faults;
    struct seed_node *n = node_of(s, c);
    unsigned k = (unsigned)(n - s->nodes), id = c->pe->id;
    bool returns;

    if (n->retired || !seed_drawn(s, n->node->desc->self, id, c->ops, f->down, TI_DOWN))
        return;
    seed_inject(s, id, TI_DOWN, n->node->desc->self);
    n->up_at = SEED_NEVER;
    returns = named_up(s, n->node->desc->self) ||
              seed_mix(s->opts->seed, DRAW_RETURNS, id, c->ops) % 1000000 < f->up;
    if (returns && !named_up(s, n->node->desc->self))
        n->up_at = seed_clock(s) + DOWN_MIN_NS +
                   seed_mix(s->opts->seed, DRAW_AWAY, k, c->ops) % DOWN_MAX_NS;
    atomic_store(&n->node->returns, returns);
    node_log(s->node, LOG_INFO, "node %u is lost, as --faults says", n->node->desc->self);
    node_finish(n->node, NODE_LOST, 0);
    seed_retire(s);
}

/* ---- and beginnings ---- */

/* A named one is due at its step; when nothing else is left to happen, steps do not pass. */
static uint64_t up_time(const struct seed *s, const struct seed_node *n)
{
    unsigned i;

    if (!n->retired || !atomic_load(&n->node->returns))
        return SEED_NEVER;
    i = named_up(s, n->node->desc->self);
    if (!i)
        return n->up_at;
    return s->opts->faults.named[i - 1].step <= s->steps || !s->nready ? seed_clock(s) : SEED_NEVER;
}

uint64_t seed_next_up(const struct seed *s)
{
    uint64_t first = SEED_NEVER, t;
    unsigned k;

    for (k = 0; k < s->nnodes; k++)
        if ((t = up_time(s, &s->nodes[k])) < first)
            first = t;
    return first;
}

static void begin_again(struct seed *s, unsigned k)
{
    struct seed_node *n = &s->nodes[k];
    unsigned i = named_up(s, n->node->desc->self);
    char err[512];

    if (i)
        s->struck[i - 1] = true;
    if (node_restart(n->node, err, sizeof(err)) < 0) {
        node_log(n->node, LOG_ERROR, "%s", err);
        seed_finish(s, NODE_HOST);
        atomic_store(&s->stop, true);
        return;
    }
    n->retired = false;
    n->up_at = SEED_NEVER;
    seed_wire_join(s, k);
    record_node(n->node);
    seed_inject(s, n->node->pes[0].id, TI_UP, n->node->desc->self);
    node_log(s->node, LOG_INFO, "node %u begins again", n->node->desc->self);
    if (!seed_open_pes(n->node))
        return;
    for (i = 0; i < n->node->npes; i++)
        seed_start_co(s, seed_co(s, &n->node->pes[i]), &n->node->pes[i]);
}

void seed_begin_again(struct seed *s)
{
    unsigned k;

    for (k = 0; k < s->nnodes; k++)
        if (up_time(s, &s->nodes[k]) <= seed_clock(s)) {
            pthread_mutex_lock(&s->lock); /* whoever kicks looks at `running` under it */
            atomic_store(&s->running, NULL);
            begin_again(s, k);
            pthread_mutex_unlock(&s->lock);
        }
}
