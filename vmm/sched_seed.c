/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine as a function of a seed: one host thread runs one PE at a time, and a generator
 * chooses which.
 *
 * PEs share nothing but DTU operations, so a run is decided by their order alone.  A step is an
 * operation: a store that acts, the delivery of its packet, the beginning and the end of a wait.
 * Before each, the PE gives way to whomever the policy picks.  Every PE is a coroutine on a stack
 * of its own, so that it can do so anywhere, also in the middle of a command: what it was about to
 * send is then in flight, and other packets may overtake it.
 *
 * Time is virtual: SEED_STEP_NS a step, and when every PE waits, on to the next deadline.
 *
 * A PE that computes on and on without an exit is set aside as a spinner (a watchdog looks at the
 * thread's CPU time, not at the clock on the wall) until another PE does something to it, or until
 * nobody else can go on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "exits.h"
#include "record.h"
#include "sched_seed_impl.h"

#define STACK_SIZE  (256u << 10)
#define GUARD_SIZE  4096u
#define SPIN_CPU_NS 1000000000u
#define WATCH_NS    50000000u
#define DELAY_STEPS 64u
#define NOBODY      SEED_NOBODY

static struct seed *seed_of(struct node *n)
{
    return n->sched_state;
}

static uint64_t seed_now(struct node *n)
{
    return n->sched_state ? seed_clock(seed_of(n)) : 0;
}

void sched_seed_stats(struct node *n, FILE *out)
{
    if (n->sched == &sched_seed && n->sched_state)
        seed_wire_stats(seed_of(n), out);
}

uint64_t sched_seed_steps(struct node *n)
{
    return n->sched == &sched_seed && n->sched_state ? seed_of(n)->steps : 0;
}

/* ---- giving way ---- */

static void settle(struct seed *s, struct co *next)
{
    const struct co *last = s->current;

    if (next != last)
        node_record(s->node, &(struct trace_record){.op = TR_SCHED,
                                                    .pe = next->pe->id,
                                                    .peer = last ? last->pe->id : NOBODY,
                                                    .label = last ? last->ops : 0});
    s->stretch = next == last ? s->stretch + 1 : 0;
    s->current = next;
    atomic_store(&s->running, next->pe);
}

/* The current PE cannot or need not go on: back to the runner, which goes on with another. */
static void leave(struct seed *s, struct co *c)
{
    swapcontext(&c->ctx, &s->main);
}

static bool drawn(struct seed *s, const struct co *c, uint32_t rate, enum trace_inject kind)
{
    return seed_drawn(s, c->pe->id, c->pe->id, c->ops, rate, kind);
}

static void inject(struct seed *s, struct co *c, enum trace_inject kind)
{
    seed_inject(s, c->pe->id, kind, 0);
}

/* Somebody else wants the run to end. */
static void look_at_wishes(struct seed *s)
{
    int why = atomic_load(&s->wish);

    if (why != NODE_RUNS)
        seed_finish(s, (enum node_end)why);
}

/* The PE can do nothing any more: it, its node or the run is over. */
static bool stopped(struct seed *s, const struct co *c)
{
    return c->state == CO_OVER || atomic_load(&c->pe->node->end) != NODE_RUNS ||
           atomic_load(&s->stop);
}

/* One step of the current PE: others may go first. */
static void step(struct seed *s, struct co *c)
{
    struct co *next;

    s->steps++;
    c->ops++;
    atomic_store(&s->steps_seen, s->steps);
    if (s->steps >= s->opts->until)
        seed_finish(s, NODE_STOPPED);
    if (s->wire && s->node->desc->timeout_ns && seed_clock(s) >= s->node->desc->timeout_ns)
        seed_finish(s, NODE_TIMEOUT);
    if (s->wire && seed_stuck(s, c))
        seed_finish(s, NODE_AT_REST);
    if (drawn(s, c, s->opts->faults.crash, TI_CRASH)) {
        inject(s, c, TI_CRASH);
        pe_fault(c->pe, "crashed by --faults");
        seed_unready(s, c, CO_OVER);
    }
    look_at_wishes(s);
    if (s->wire)
        seed_node_faults(s, c);
    while (stopped(s, c))
        leave(s, c); /* for good: what the PE was about to do does not happen */
    next = seed_pick(s);
    if (next == c) {
        settle(s, c);
        return;
    }
    s->next = next;
    leave(s, c);
}

static void seed_step(struct pe *pe)
{
    struct seed *s = seed_of(pe->node);

    step(s, seed_co(s, pe));
}

/*
 * May a message find no space?  Credits are for places that the receiver has kept: neither who paid
 * with some nor who gives some back, in a reply, is ever short of space, and could not try again.
 */
static bool refusable(const struct vdtu_pkt *pkt)
{
    return pkt->type == VDTU_PKT_MSG && pkt->hdr.sender_ep == DTU_NO_CREDIT_EP &&
           !(pkt->hdr.flags & DTU_HD_REPLY);
}

/* A packet is about to travel. */
static unsigned seed_transit(void *arg, const struct vdtu_pkt *pkt)
{
    struct seed *s = seed_of(arg);
    struct co *c = seed_co_by_id(s, pkt->src_pe), *t = seed_co_by_id(s, pkt->dst_pe);
    bool refuse = refusable(pkt) && drawn(s, c, s->opts->faults.refuse, TI_REFUSE);

    if (drawn(s, c, s->opts->faults.delay, TI_DELAY)) {
        inject(s, c, TI_DELAY);
        c->not_before =
            s->steps + 1 + seed_mix(s->opts->seed, TI_DELAY, c->pe->id, ~c->ops) % DELAY_STEPS;
    }
    step(s, c);
    if (t && t->pe->node == arg && t->state == CO_SPINNING)
        seed_ready(s, t); /* it will find what arrives now when it is picked */
    if (!refuse)
        return SE_OK;
    inject(s, c, TI_REFUSE);
    return SE_NO_RING_SPACE;
}

static void seed_wake(struct pe *pe)
{
    struct seed *s = seed_of(pe->node);

    struct co *c = s ? seed_co(s, pe) : NULL;

    if (c && c->state != CO_PARKED)
        seed_ready(s, c);
}

/* What its command waits for has come, perhaps before it began to wait. */
static void seed_unpark(struct pe *pe)
{
    struct seed *s = seed_of(pe->node);
    struct co *c = s ? seed_co(s, pe) : NULL;

    if (!c)
        return;
    c->unparked = true;
    if (c->state == CO_PARKED)
        seed_ready(s, c);
}

/* A wait, and a step of its own when it goes on. */
static void seed_park(struct pe *pe)
{
    struct seed *s = seed_of(pe->node);
    struct co *c = seed_co(s, pe);

    if (!c->unparked) {
        c->ops++;
        seed_unready(s, c, CO_PARKED);
        leave(s, c);
        while (stopped(s, c))
            leave(s, c); /* for good */
    }
    c->unparked = false;
}

static void seed_touched(struct pe *pe)
{
    struct seed *s = seed_of(pe->node);

    struct co *c = s ? seed_co(s, pe) : NULL;

    if (c && c->state == CO_SPINNING)
        seed_ready(s, c);
}

/* The runner is the only thread that runs PEs, so a kick is a note to itself. */
static void seed_kick(struct pe *pe)
{
    pe_kick(pe);
    seed_wake(pe);
    seed_unpark(pe);
}

/* After a reset there may be nothing to run yet: only a kernel knows when there is. */
static bool seed_spurious(struct pe *pe)
{
    struct co *c = seed_co(seed_of(pe->node), pe);
    bool yes = c->spurious && !pe->was_reset;

    c->spurious = false;
    return yes;
}

/* KVM_RUN was interrupted: by the watchdog? */
static void seed_interrupted(struct pe *pe)
{
    struct seed *s = seed_of(pe->node);
    struct co *c = seed_co(s, pe);

    look_at_wishes(s);
    if (!atomic_exchange(&s->stuck, false) || stopped(s, c))
        return;
    c->ops++;
    seed_unready(s, c, CO_SPINNING);
    leave(s, c);
}

/* ---- the runner ---- */

static void wait_here(struct seed *s, struct co *c)
{
    c->ops++;
    seed_unready(s, c, CO_WAITING);
    if (!c->pe->was_reset && drawn(s, c, s->opts->faults.spurious, TI_SPURIOUS)) {
        inject(s, c, TI_SPURIOUS);
        c->spurious = true;
        seed_ready(s, c);
    }
    leave(s, c);
}

static void co_main(unsigned hi, unsigned lo)
{
    struct co *c = (struct co *)((uintptr_t)hi << 32 | lo);
    struct seed *s = seed_of(c->pe->node);

    for (;;) {
        enum pe_why why = pe_run(c->pe);

        if (why == PE_WAITS) {
            wait_here(s, c);
        } else if (why == PE_OVER) {
            c->ops++;
            seed_unready(s, c, CO_OVER);
            leave(s, c);
        } else {
            leave(s, c); /* the run has ended */
        }
    }
}

bool seed_open_pes(struct node *n)
{
    char err[256];
    unsigned i;

    vdtu_noc_transit(n->noc, seed_transit, n);
    for (i = 0; i < n->npes; i++)
        if (pe_open(&n->pes[i], &n->kvm, err, sizeof(err)) < 0) {
            node_log(n, LOG_ERROR, "%s", err);
            node_finish(n, NODE_HOST, 0);
            return false;
        }
    return true;
}

static void *runner_main(void *arg)
{
    struct seed *s = arg;
    struct co *c;
    unsigned k;

    for (k = 0; k < s->nnodes; k++)
        if (!seed_open_pes(s->nodes[k].node)) {
            seed_finish(s, NODE_HOST);
            return NULL;
        }
    while (!seed_over(s)) {
        seed_retire(s);
        seed_begin_again(s);
        c = s->next;
        s->next = NULL;
        if (!c || c->state == CO_OVER) { /* the last one cannot go on: that is a step, too */
            atomic_store(&s->steps_seen, ++s->steps);
            if (s->steps >= s->opts->until) {
                seed_finish(s, NODE_STOPPED);
                break;
            }
            c = seed_pick(s);
        }
        if (!c && seed_next_up(s) <= seed_clock(s))
            continue;
        if (!c) {
            seed_finish(s, NODE_AT_REST);
            break;
        }
        settle(s, c);
        swapcontext(&s->main, &c->ctx);
    }
    look_at_wishes(s);
    return NULL;
}

/* ---- spinners ---- */

static uint64_t cpu_time(pthread_t thread)
{
    struct timespec ts;
    clockid_t clock;

    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &ts) != 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *watchdog_main(void *arg)
{
    struct seed *s = arg;
    uint64_t steps = 0, since = 0, until;
    struct timespec ts;

    pthread_mutex_lock(&s->lock);
    while (!s->ended) {
        until = host_now() + WATCH_NS;
        ts.tv_sec = (time_t)(until / 1000000000u);
        ts.tv_nsec = (long)(until % 1000000000u);
        pthread_cond_timedwait(&s->cond, &s->lock, &ts);
        if (s->ended)
            break;
        if (atomic_load(&s->steps_seen) != steps || since == 0) {
            steps = atomic_load(&s->steps_seen);
            since = cpu_time(s->thread);
        } else if (cpu_time(s->thread) - since > SPIN_CPU_NS) {
            since = cpu_time(s->thread);
            atomic_store(&s->stuck, true);
            pthread_kill(s->thread, SIGUSR1);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- beginning and end ---- */

static void kick_handler(int sig)
{
    (void)sig;
}

static uint8_t *stack_of(struct seed *s, const struct co *c)
{
    return s->stacks + (size_t)(c - s->cos) * (GUARD_SIZE + STACK_SIZE) + GUARD_SIZE;
}

void seed_start_co(struct seed *s, struct co *c, struct pe *pe)
{
    uintptr_t p = (uintptr_t)c;

    c->pe = pe;
    c->state = CO_WAITING;
    c->pe->deadline = VREG_WAIT_FOREVER;
    c->unparked = c->spurious = false;
    c->not_before = 0;
    seed_ready(s, c);
    getcontext(&c->ctx);
    c->ctx.uc_stack.ss_sp = stack_of(s, c);
    c->ctx.uc_stack.ss_size = STACK_SIZE;
    c->ctx.uc_link = &s->main;
    makecontext(&c->ctx, (void (*)(void))co_main, 2, (unsigned)(p >> 32), (unsigned)p);
}

static int make_cos(struct seed *s)
{
    unsigned n = 0, k, i;

    for (k = 0; k < s->nnodes; k++)
        n += s->nodes[k].node->npes;
    s->ncos = n;
    s->cos = calloc(n, sizeof(*s->cos));
    s->ready = calloc(n, sizeof(*s->ready));
    s->stacks_size = n * (size_t)(GUARD_SIZE + STACK_SIZE);
    s->stacks = mmap(NULL, s->stacks_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (s->stacks == MAP_FAILED)
        s->stacks = NULL;
    if (!s->cos || !s->ready || !s->stacks)
        return -ENOMEM;
    n = 0;
    for (k = 0; k < s->nnodes; k++)
        for (i = 0; i < s->nodes[k].node->npes; i++, n++) {
            struct pe *pe = &s->nodes[k].node->pes[i];

            s->by_id[pe->id] = (uint16_t)(n + 1);
            mprotect(stack_of(s, &s->cos[n]) - GUARD_SIZE, GUARD_SIZE, PROT_NONE);
            seed_start_co(s, &s->cos[n], pe);
        }
    return seed_make_priorities(s);
}

static struct seed *make_seed(struct node **n, unsigned count)
{
    struct seed *s = calloc(1, sizeof(*s));
    unsigned k;

    if (!s)
        return NULL;
    s->node = n[0];
    s->nnodes = count;
    s->opts = &n[0]->desc->seed;
    s->rng = seed_mix(s->opts->seed, 0x5EED, 0, 0);
    for (k = 0; k < count; k++) {
        s->nodes[k] = (struct seed_node){.node = n[k], .up_at = SEED_NEVER};
        n[k]->sched_state = s;
    }
    return s;
}

static int make_wire(struct seed *s)
{
    unsigned k;

    if (!s->node->desc->nnodes)
        return 0;
    if (seed_wire_new(s) < 0)
        return -ENOMEM;
    for (k = 0; k < s->nnodes; k++)
        seed_wire_join(s, k);
    return 0;
}

int sched_seed_start(struct node **n, unsigned count, char *err, size_t errsize)
{
    struct sigaction sa = {.sa_handler = kick_handler};
    struct seed *s = make_seed(n, count);
    pthread_condattr_t attr;
    int r;

    if (!s || make_cos(s) < 0 || make_wire(s) < 0) {
        snprintf(err, errsize, "out of memory for %u PEs: use fewer (--pes)", n[0]->npes);
        return -ENOMEM;
    }
    sigemptyset(&sa.sa_mask);
    sigaction(SIGUSR1, &sa, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->cond, &attr);
    pthread_condattr_destroy(&attr);
    r = -pthread_create(&s->thread, NULL, runner_main, s);
    if (r == 0) {
        r = -pthread_create(&s->watchdog, NULL, watchdog_main, s);
        if (r == 0)
            s->started = true;
        if (r < 0) {
            atomic_store(&s->stop, true);
            seed_finish(s, NODE_HOST);
            pthread_join(s->thread, NULL);
        }
    }
    if (r < 0)
        snprintf(err, errsize, "cannot start a thread: %s: raise `ulimit -u`", strerror(-r));
    return r;
}

static int seed_start(struct node *n, char *err, size_t errsize)
{
    return sched_seed_start(&n, 1, err, errsize);
}

static void report_unused(const struct seed *s)
{
    unsigned i;

    for (i = 0; i < s->opts->faults.nnamed; i++)
        if (!s->struck[i])
            node_log(
                s->node, LOG_WARN,
                "--faults: the one for %s %u at step %llu did not strike; the run had %llu steps",
                s->opts->faults.named[i].kind >= TI_LOSS ? "node" : "PE",
                s->opts->faults.named[i].pe, (unsigned long long)s->opts->faults.named[i].step,
                (unsigned long long)s->steps);
}

/* Gets the runner out of the guest that it is in.  Not while a node is built anew. */
static void kick_runner(struct seed *s)
{
    struct pe *pe;

    pthread_mutex_lock(&s->lock);
    pe = atomic_load(&s->running);
    if (pe)
        pe_kick(pe);
    pthread_kill(s->thread, SIGUSR1);
    pthread_mutex_unlock(&s->lock);
}

void sched_seed_end(struct node *n, enum node_end why)
{
    struct seed *s = seed_of(n);
    int none = NODE_RUNS;

    if (!s || !s->started)
        return;
    atomic_compare_exchange_strong(&s->wish, &none, why);
    kick_runner(s);
}

static void seed_stop(struct node *n)
{
    struct seed *s = seed_of(n);

    if (!s)
        return;
    if (s->started) {
        pthread_mutex_lock(&s->lock);
        s->ended = true;
        pthread_cond_signal(&s->cond);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->watchdog, NULL);
        atomic_store(&s->stop, true);
        kick_runner(s);
        pthread_join(s->thread, NULL);
        report_unused(s);
    }
    seed_wire_free(s);
    if (s->stacks)
        munmap(s->stacks, s->stacks_size);
    free(s->changes);
    free(s->ready);
    free(s->cos);
    s->cos = NULL;
}

const struct sched sched_seed = {
    .name = "seed",
    .start = seed_start,
    .stop = seed_stop,
    .wake = seed_wake,
    .kick = seed_kick,
    .park = seed_park,
    .unpark = seed_unpark,
    .touched = seed_touched,
    .now = seed_now,
    .step = seed_step,
    .spurious = seed_spurious,
    .interrupted = seed_interrupted,
};
