/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the two halves of the seeded scheduler: who can go on and whom the policy picks
 * (seed_pick.c), and giving way, the runner and the watchdog (sched_seed.c).
 */
#ifndef VMM_SCHED_SEED_IMPL_H
#define VMM_SCHED_SEED_IMPL_H

#include <pthread.h>
#include <ucontext.h>

#include "sched.h"
#include "sched_seed.h"

#define SEED_STEP_NS 1000u
#define SEED_NOBODY  0xFFFFu /* as a PE in a trace */

enum co_state { CO_READY, CO_WAITING, CO_SPINNING, CO_PARKED, CO_OVER };

struct co {
    ucontext_t ctx;
    struct pe *pe;
    enum co_state state;
    unsigned pos;        /* in `ready` while CO_READY */
    uint64_t not_before; /* step before which it is not picked (a delayed packet) */
    uint64_t priority;   /* SEED_PCT */
    uint64_t ops;        /* its own steps: what injected faults are drawn from */
    bool unparked;       /* its command may go on */
    bool spurious;       /* its wait is to end for no reason */
    size_t list_at;      /* SEED_SWITCHES: its own place in the list */
};

struct seed {
    struct node *node;
    const struct seed_opts *opts;
    ucontext_t main;
    struct co *cos; /* by PE id - 1 */
    unsigned *ready, nready, ntimers, nspinning;
    struct co *current;      /* who runs, or ran last */
    struct co *next;         /* who is to run next, if that is already decided */
    bool struck[SEED_NAMED]; /* named faults that have happened */
    uint64_t rng, steps, skipped_ns;
    uint64_t *changes; /* SEED_PCT: steps, ascending */
    unsigned nchanges, change;
    size_t list_at;   /* SEED_LIST */
    uint64_t stretch; /* steps in a row of the current PE */
    uint8_t *stacks;
    size_t stacks_size;
    pthread_t thread, watchdog;
    bool started;
    pthread_mutex_t lock; /* guards `ended` for the watchdog */
    pthread_cond_t cond;
    bool ended;
    atomic_bool stuck;            /* the watchdog wants the current PE set aside */
    _Atomic uint64_t steps_seen;  /* the runner's `steps`, for the watchdog */
    _Atomic(struct pe *) running; /* whom to kick */
};

/* A PE that waited or was set aside can go on; nothing for one that is over. */
void seed_ready(struct seed *s, struct co *c);

/* A PE that could go on no longer can. */
void seed_unready(struct seed *s, struct co *c, enum co_state state);

/* Whose turn it is.  NULL: nobody can go on, and no time limit will change that. */
struct co *seed_pick(struct seed *s);

/* Draws the priorities of SEED_PCT.  0 or -ENOMEM. */
int seed_make_priorities(struct seed *s);

uint64_t seed_clock(const struct seed *s); /* virtual ns */
uint64_t seed_draw(struct seed *s);

#endif
