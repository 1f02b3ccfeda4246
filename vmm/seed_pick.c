/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who can go on, and whom the policy picks.  Everything here depends on the seed and on what the
 * PEs did, on nothing else.
 */
#include <errno.h>
#include <stdlib.h>

#include "sched_seed_impl.h"

#define STRETCH_MAX 1000u /* steps in a row that SEED_SWITCHES gives a PE unasked */

uint64_t seed_draw(struct seed *s)
{
    s->rng += 0x9E3779B97F4A7C15ull;
    return seed_mix(s->rng, 0, 0, 0);
}

uint64_t seed_clock(const struct seed *s)
{
    return s->steps * SEED_STEP_NS + s->skipped_ns;
}

void seed_ready(struct seed *s, struct co *c)
{
    if (c->state == CO_READY || c->state == CO_OVER)
        return;
    if (c->state == CO_WAITING && c->pe->deadline != VREG_WAIT_FOREVER)
        s->ntimers--;
    if (c->state == CO_SPINNING)
        s->nspinning--;
    c->state = CO_READY;
    c->pos = s->nready;
    s->ready[s->nready++] = (unsigned)(c - s->cos);
}

void seed_unready(struct seed *s, struct co *c, enum co_state state)
{
    unsigned last = s->ready[--s->nready];

    s->ready[c->pos] = last;
    s->cos[last].pos = c->pos;
    c->state = state;
    if (state == CO_WAITING && c->pe->deadline != VREG_WAIT_FOREVER)
        s->ntimers++;
    if (state == CO_SPINNING)
        s->nspinning++;
}

static void expire(struct seed *s)
{
    uint64_t now = seed_clock(s);
    unsigned i;

    for (i = 0; s->ntimers && i < s->ncos; i++)
        if (s->cos[i].state == CO_WAITING && s->cos[i].pe->deadline <= now)
            seed_ready(s, &s->cos[i]);
}

/* Nobody can go on: time goes on to the first deadline.  False if there is none. */
static bool skip_time(struct seed *s)
{
    uint64_t first = VREG_WAIT_FOREVER, now = seed_clock(s);
    unsigned i;

    for (i = 0; i < s->ncos; i++)
        if (s->cos[i].state == CO_WAITING && s->cos[i].pe->deadline < first)
            first = s->cos[i].pe->deadline;
    if (s->wire && seed_wire_next(s) < first)
        first = seed_wire_next(s);
    if (s->wire && seed_next_up(s) < first)
        first = seed_next_up(s);
    if (first == VREG_WAIT_FOREVER)
        return false;
    if (first > now)
        s->skipped_ns += first - now;
    if (s->wire)
        seed_wire_expire(s);
    expire(s);
    return true;
}

static bool unspin(struct seed *s)
{
    unsigned i;

    if (!s->nspinning)
        return false;
    for (i = 0; i < s->ncos; i++)
        if (s->cos[i].state == CO_SPINNING)
            seed_ready(s, &s->cos[i]);
    return true;
}

/* ---- whom the policy picks ---- */

static bool eligible(const struct seed *s, const struct co *c)
{
    return c->not_before <= s->steps;
}

static struct co *pick_uniform(struct seed *s)
{
    unsigned start = (unsigned)(seed_draw(s) % s->nready), i;
    struct co *soonest = &s->cos[s->ready[start]];

    for (i = 0; i < s->nready; i++) {
        struct co *c = &s->cos[s->ready[(start + i) % s->nready]];

        if (eligible(s, c))
            return c;
        if (c->not_before < soonest->not_before)
            soonest = c;
    }
    return soonest;
}

static struct co *pick_robin(struct seed *s)
{
    unsigned n = s->ncos, from = s->current ? (unsigned)(s->current - s->cos) : 0, i;

    for (i = 1; i <= n; i++) {
        struct co *c = &s->cos[(from + i) % n];

        if (c->state == CO_READY && eligible(s, c))
            return c;
    }
    return pick_uniform(s);
}

static struct co *pick_pct(struct seed *s)
{
    struct co *best = NULL;
    unsigned i;

    while (s->change < s->nchanges && s->changes[s->change] <= s->steps) {
        s->change++;
        if (s->current)
            s->current->priority = s->nchanges - s->change; /* below every first priority */
    }
    for (i = 0; i < s->nready; i++) {
        struct co *c = &s->cos[s->ready[i]];

        if (eligible(s, c) && (!best || c->priority > best->priority ||
                               (c->priority == best->priority && c->pe->id < best->pe->id)))
            best = c;
    }
    return best ? best : pick_uniform(s);
}

/* As recorded; between the recorded switches the same PE goes on, or the first that can. */
static struct co *pick_list(struct seed *s)
{
    const struct seed_opts *o = s->opts;
    unsigned i;

    while (s->list_at < o->nlist &&
           (o->list[s->list_at].op != TR_SCHED || o->list[s->list_at].step < s->steps))
        s->list_at++;
    if (s->list_at < o->nlist && o->list[s->list_at].step == s->steps) {
        unsigned pe = o->list[s->list_at++].pe;

        struct co *c = seed_co_by_id(s, pe);

        if (c && c->state == CO_READY)
            return c;
    }
    if (s->current && s->current->state == CO_READY)
        return s->current;
    for (i = 0; i < s->ncos; i++)
        if (s->cos[i].state == CO_READY)
            return &s->cos[i];
    return NULL;
}

/*
 * A switch away from a PE belongs to that PE's own step, by number, not to the machine's: so when
 * some switches are left out of a recorded list, the others still happen where they did (explore.h
 * shrinks schedules that way).  Between the listed ones the same PE goes on, but not for ever.
 */
static struct co *listed(struct seed *s, struct co *c)
{
    const struct seed_opts *o = s->opts;
    size_t *at = c ? &c->list_at : &s->list_at;
    unsigned from = c ? c->pe->id : SEED_NOBODY;
    uint64_t ops = c ? c->ops : 0;
    const struct trace_record *r;
    struct co *to;

    for (; *at < o->nlist; ++*at) {
        r = &o->list[*at];
        if (r->op != TR_SCHED || r->peer != from || r->label < ops)
            continue;
        to = seed_co_by_id(s, r->pe);
        return r->label > ops || !to || to->state != CO_READY ? NULL : to;
    }
    return NULL;
}

static struct co *pick_switches(struct seed *s)
{
    struct co *c = s->current, *to = listed(s, c);
    unsigned n = s->ncos, from, i;

    if (to)
        return to;
    if (c && c->state == CO_READY && s->stretch < STRETCH_MAX)
        return c;
    from = c ? (unsigned)(c - s->cos) : n - 1;
    for (i = 1; i <= n; i++)
        if (s->cos[(from + i) % n].state == CO_READY)
            return &s->cos[(from + i) % n];
    return NULL;
}

struct co *seed_pick(struct seed *s)
{
    if (s->wire)
        seed_wire_expire(s);
    if (s->ntimers)
        expire(s);
    while (!s->nready) {
        /* A bridge has timers for ever: those who compute come before time is skipped. */
        if (s->wire && unspin(s))
            break;
        if (s->wire && seed_next_up(s) <= seed_clock(s))
            return NULL; /* a node begins again first */
        if (!skip_time(s) && !unspin(s))
            return NULL;
    }
    switch (s->opts->policy) {
    case SEED_ROBIN:
        return pick_robin(s);
    case SEED_PCT:
        return pick_pct(s);
    case SEED_LIST:
        return pick_list(s);
    case SEED_SWITCHES:
        return pick_switches(s);
    default:
        return pick_uniform(s);
    }
}

/* ---- priorities ---- */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int seed_make_priorities(struct seed *s)
{
    unsigned i;

    s->nchanges = s->opts->changes;
    s->changes = calloc(s->nchanges + 1, sizeof(*s->changes));
    if (!s->changes)
        return -ENOMEM;
    for (i = 0; i < s->nchanges; i++)
        s->changes[i] = 1 + seed_draw(s) % s->opts->horizon;
    qsort(s->changes, s->nchanges, sizeof(*s->changes), compare_u64);
    for (i = 0; i < s->ncos; i++)
        s->cos[i].priority = s->nchanges + 1 + seed_draw(s) % 0xFFFFFFFFu;
    return 0;
}
