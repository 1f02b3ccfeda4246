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
#define SEED_NEVER   (~0ull)

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

/* A node of the run, and what becomes of it. */
struct seed_node {
    struct node *node;
    struct pe *bridge; /* whose NIC is on the wire; NULL: none */
    bool retired;      /* its end has been seen: its PEs are over */
    uint64_t up_at;    /* virtual time at which it begins again; SEED_NEVER */
};

struct seed {
    struct seed_node nodes[MACHINE_MAX_NODES];
    unsigned nnodes;
    struct node *node;      /* the first one: for what they share */
    struct seed_wire *wire; /* NULL: the only node */
    unsigned ncos;
    uint16_t by_id[DTU_PES]; /* place in `cos` of PE id, and 1 */
    const struct seed_opts *opts;
    ucontext_t main;
    struct co *cos; /* by node, then by place */
    unsigned *ready, nready, ntimers, nspinning;
    struct co *current;      /* who runs, or ran last */
    struct co *next;         /* who is to run next, if that is already decided */
    bool struck[SEED_NAMED]; /* named faults that have happened */
    uint64_t rng, steps, skipped_ns;
    uint64_t progress_ns; /* of several nodes: when a program last took a step */
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
    atomic_bool stop;             /* the same for the runner */
    atomic_int wish;              /* enum node_end: with what somebody wants all to end */
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

/* The coroutine of a PE.  by id: NULL if no node of the run has it. */
struct co *seed_co(struct seed *s, const struct pe *pe);
struct co *seed_co_by_id(struct seed *s, unsigned id);

/* ---- seed_nodes.c: nodes come and go ---- */

/* Has the run ended: every node, and none will begin again? */
bool seed_over(struct seed *s);
/* Ends every node that runs. */
void seed_finish(struct seed *s, enum node_end why);
/* The PEs of nodes that have ended are over. */
void seed_retire(struct seed *s);
/* After a step of c: does its node crash, as --faults says?  Then c is over, too. */
void seed_node_faults(struct seed *s, struct co *c);
/* When a node is next to begin again, and doing so, which opens its PEs; by the runner, not by a
 * coroutine. */
uint64_t seed_next_up(const struct seed *s);
void seed_begin_again(struct seed *s);
/* Opens all PEs of a node; false: it has ended with NODE_HOST, with a line that says why. */
bool seed_open_pes(struct node *n);
/* c has taken a step.  Of several nodes: has no program taken one for so long, and waits for
 * anything, that only bridges and kernels keep each other busy?  Then they are at rest. */
bool seed_stuck(struct seed *s, const struct co *c);
/* Gives a PE its coroutine, from its beginning, on the stack that is its own. */
void seed_start_co(struct seed *s, struct co *c, struct pe *pe);

/*
 * Does a fault of this kind strike now?  A named one strikes once, at the first opportunity of its
 * PE or node `who` from its step on; the others are drawn from `count`, of which `draw` is the
 * owner.
 */
bool seed_drawn(struct seed *s, unsigned who, unsigned draw, uint64_t count, uint32_t rate,
                enum trace_inject kind);
void seed_inject(struct seed *s, unsigned pe, enum trace_inject kind, uint64_t label);

/* ---- seed_wire.c: the wire between the NICs ---- */

/* 0 or -ENOMEM. */
int seed_wire_new(struct seed *s);
void seed_wire_free(struct seed *s);
/* Joins a node's NIC to it, again when it has begun anew. */
void seed_wire_join(struct seed *s, unsigned k);
/* When the next frame arrives (SEED_NEVER), and handing in those whose time has come. */
uint64_t seed_wire_next(const struct seed *s);
void seed_wire_expire(struct seed *s);
void seed_wire_stats(struct seed *s, FILE *out);

#endif
