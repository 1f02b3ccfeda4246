/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host thread per PE.  A PE that waits blocks on a condition variable, so a machine at rest uses
 * no CPU time, however many PEs it has.
 *
 * `awake` counts the PEs that may still do something by themselves: those that run and those that
 * wait with a limit.  Whoever wakes a PE counts it before it lets go, so when the count reaches
 * zero nobody is left who could wake anybody: the machine is at rest.
 *
 * The other count is the one that PEs see (window.h): those that have a core or want one.  It, too,
 * is raised by whoever wakes a PE: the PE itself could do so only once it has a core, which those
 * who spin would keep from it.
 */
#include "cores.h"
#include "nic.h"
#include "sched.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "window.h"

#define STACK_SIZE (1u << 20) /* sanitizers need most of it; only touched pages cost */
#define GUARD_SIZE 4096u

struct runner {
    pthread_t joinable; /* the main thread's */
    pthread_t thread;   /* valid once `live` */
    struct pe *pe;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool started;     /* the thread exists; only the main thread looks */
    atomic_bool live; /* `thread` may be signalled */
    bool token;       /* woken since it last looked; under lock */
    bool unparked;    /* the same for park(); under lock */
    bool parked;      /* is in park(); under lock */
    bool resting;     /* waits without a limit, not in `awake`; under lock */
    bool asleep;      /* wants no core (window.h); under lock */
    bool unplaced;    /* woken, and nobody has looked for a core yet; under lock */
    bool slept;       /* since it last ran; its own */
    struct seat seat;
};

struct threads {
    atomic_uint awake, over; /* over: PEs that have ended */
    struct runner *runners;
    struct cores *cores; /* NULL: the host's scheduler has the choice */
};

/*
 * Those that this thread has woken, but not yet signalled: a DTU's lock may be held when a PE is
 * woken, and who wakes on the same core would at once wait for it.  Nor have they a core before it
 * is known whether this PE goes on or sleeps now, and leaves them its own.
 */
#define DUE_MAX 8u

static _Thread_local struct runner *self; /* NULL: this thread runs no PE */
static _Thread_local struct runner *due[DUE_MAX];
static _Thread_local unsigned ndue;

static struct runner *runner_of(struct pe *pe)
{
    return &((struct threads *)pe->node->sched_state)->runners[pe->place];
}

static void kick_handler(int sig)
{
    (void)sig;
}

static uint64_t threads_now(struct node *n)
{
    return host_now() - n->start_ns;
}

static struct cores *cores_of(const struct runner *r)
{
    return ((struct threads *)r->pe->node->sched_state)->cores;
}

/* By the runner itself, its lock held. */
static void fall_asleep(struct runner *r)
{
    if (r->asleep)
        return;
    r->asleep = r->slept = true;
    windows_asleep(r->pe->node, 1);
    cores_leave(cores_of(r), &r->seat);
}

/* By whoever wakes it, the lock held. */
static void wake_up(struct runner *r)
{
    if (!r->asleep)
        return;
    r->asleep = false;
    windows_asleep(r->pe->node, -1);
    r->unplaced = r != self;
}

static void place(struct runner *r)
{
    pthread_mutex_lock(&r->lock);
    if (r->unplaced && !r->asleep)
        cores_wake(cores_of(r), &r->seat, self ? &self->seat : NULL);
    r->unplaced = false;
    pthread_mutex_unlock(&r->lock);
}

/* By the runner itself: it goes on, whoever woke it, or nobody did. */
static void go_on(struct runner *r)
{
    wake_up(r);
    r->unplaced = false;
    if (r->slept)
        cores_runs(cores_of(r), &r->seat);
    r->slept = false;
}

static void signal_one(struct runner *r)
{
    place(r);
    pthread_cond_signal(&r->cond);
    if (r->pe->nic)
        nic_poke(r->pe->nic);
}

static void signal_due(void)
{
    for (unsigned i = 0; i < ndue; i++)
        signal_one(due[i]);
    ndue = 0;
}

/*
 * By a runner that waits now unless `*news` has come: its core is free for those it has woken. What
 * comes from here on only makes it go on.
 */
static void hand_on(struct runner *r, const bool *news)
{
    pthread_mutex_lock(&r->lock);
    if (ndue && !*news)
        fall_asleep(r);
    pthread_mutex_unlock(&r->lock);
    signal_due();
}

static void threads_enter(struct pe *pe)
{
    (void)pe;
    signal_due();
}

static void notify(struct pe *pe, bool token, bool unpark)
{
    struct runner *r = runner_of(pe);
    struct threads *t = pe->node->sched_state;
    bool news;

    pthread_mutex_lock(&r->lock);
    r->token |= token;
    r->unparked |= unpark;
    news = r->parked ? unpark : token;
    if (news) {
        wake_up(r);
        if (r->resting)
            atomic_fetch_add(&t->awake, 1);
        r->resting = false;
    }
    pthread_mutex_unlock(&r->lock);
    if (!news && !pe->nic)
        return;
    if (!self) {
        signal_one(r);
        return;
    }
    if (ndue == DUE_MAX)
        signal_due();
    due[ndue++] = r;
}

static void threads_wake(struct pe *pe)
{
    notify(pe, true, false);
}

static void threads_unpark(struct pe *pe)
{
    notify(pe, false, true);
}

static void threads_kick(struct pe *pe)
{
    struct runner *r = runner_of(pe);

    pe_kick(pe);
    if (atomic_load(&r->live))
        pthread_kill(r->thread, SIGUSR1);
    notify(pe, true, true);
}

static void one_less(struct node *n)
{
    struct threads *t = n->sched_state;

    if (atomic_fetch_sub(&t->awake, 1) == 1)
        node_finish(n, NODE_AT_REST, 0);
}

/* A PE whose NIC is on the network: its own thread waits for frames, too (nic_io.c). */
static void block_at_nic(struct runner *r)
{
    struct pe *pe = r->pe;
    struct node *n = pe->node;
    uint64_t until = pe->deadline, since = host_now(), now = since;
    bool woken = false;

    while (!woken && atomic_load(&n->end) == NODE_RUNS) {
        if (until != VREG_WAIT_FOREVER && now >= until + n->start_ns)
            break;
        nic_listen(pe->nic, true);
        pthread_mutex_lock(&r->lock);
        woken = r->token;
        if (!woken)
            fall_asleep(r);
        r->token = false;
        pthread_mutex_unlock(&r->lock);
        if (!woken)
            nic_sleep(pe->nic, until == VREG_WAIT_FOREVER ? ~0ull : until + n->start_ns - now);
        nic_listen(pe->nic, false);
        now = host_now();
    }
    pthread_mutex_lock(&r->lock);
    go_on(r);
    pthread_mutex_unlock(&r->lock);
    pe->wait_ns += now - since;
}

static void block(struct runner *r)
{
    struct pe *pe = r->pe;
    struct node *n = pe->node;
    uint64_t until = pe->deadline, since = host_now();
    struct timespec ts;

    hand_on(r, &r->token);
    if (pe->nic && nic_is_direct(pe->nic)) {
        block_at_nic(r);
        return;
    }
    pthread_mutex_lock(&r->lock);
    while (!r->token && atomic_load(&n->end) == NODE_RUNS) {
        fall_asleep(r);
        if (until == VREG_WAIT_FOREVER) {
            if (!r->resting) {
                r->resting = true;
                one_less(n);
                continue;
            }
            pthread_cond_wait(&r->cond, &r->lock);
            continue;
        }
        ts.tv_sec = (time_t)((until + n->start_ns) / 1000000000u);
        ts.tv_nsec = (long)((until + n->start_ns) % 1000000000u);
        if (pthread_cond_timedwait(&r->cond, &r->lock, &ts) == ETIMEDOUT)
            break;
    }
    r->token = false;
    go_on(r);
    pthread_mutex_unlock(&r->lock);
    pe->wait_ns += host_now() - since;
}

/* A PE that waits for an answer rests like one that waits for a message. */
static void threads_park(struct pe *pe)
{
    struct runner *r = runner_of(pe);
    struct node *n = pe->node;
    uint64_t since = host_now();

    hand_on(r, &r->unparked);
    pthread_mutex_lock(&r->lock);
    r->parked = true;
    while (!r->unparked && atomic_load(&n->end) == NODE_RUNS) {
        fall_asleep(r);
        if (!r->resting) {
            r->resting = true;
            one_less(n);
            continue;
        }
        pthread_cond_wait(&r->cond, &r->lock);
    }
    r->parked = r->unparked = false;
    go_on(r);
    pthread_mutex_unlock(&r->lock);
    pe->wait_ns += host_now() - since;
}

static void *runner_main(void *arg)
{
    struct runner *r = arg;
    struct pe *pe = r->pe;
    struct node *n = pe->node;
    char err[256], name[16];

    snprintf(name, sizeof(name), "pe %u", pe->id);
    prctl(PR_SET_NAME, name);   /* for top -H, and for whoever pins PEs to cores */
    r->thread = pthread_self(); /* pthread_create may not have stored it yet */
    self = r;
    cores_begin(cores_of(r), &r->seat);
    atomic_store(&r->live, true);
    if (pe_open(pe, &n->kvm, err, sizeof(err)) < 0) {
        node_log(n, LOG_ERROR, "%s", err);
        node_finish(n, NODE_HOST, 0);
    }
    while (atomic_load(&n->end) == NODE_RUNS) {
        enum pe_why why = pe_run(pe);

        if (why == PE_WAITS)
            block(r);
        else if (why == PE_OVER)
            break;
    }
    signal_due();
    windows_asleep(n, 1); /* for ever: nobody wakes it any more */
    cores_over(cores_of(r), &r->seat);
    if (pe->end != PE_RUNNING) {
        struct threads *t = n->sched_state;

        one_less(n);
        if (atomic_fetch_add(&t->over, 1) + 1 == n->npes && n->control)
            one_less(n); /* nobody is left to be looked at */
    }
    if (pe->end != PE_RUNNING && pe->nic &&
        n->external) /* nor does its NIC wake anybody any more */
        one_less(n);
    return NULL;
}

/*
 * Stacks of our own: the C library gives those it made back to the kernel page by page when a
 * thread ends, and each time KVM looks at every VM of the process.  It does so for every guard page
 * as well, so they are made while there is no VM yet.
 */
static int threads_prepare(struct node *n)
{
    unsigned i;

    if (n->stacks)
        return 0;
    n->stacks_size = n->npes * (size_t)(GUARD_SIZE + STACK_SIZE);
    n->stacks = mmap(NULL, n->stacks_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (n->stacks == MAP_FAILED) {
        n->stacks = NULL;
        return -ENOMEM;
    }
    for (i = 0; i < n->npes; i++)
        if (mprotect(n->stacks + i * (size_t)(GUARD_SIZE + STACK_SIZE), GUARD_SIZE, PROT_NONE) < 0)
            return -errno;
    return 0;
}

static int start_runner(struct threads *t, unsigned i)
{
    struct runner *r = &t->runners[i];
    pthread_attr_t attr;
    pthread_t thread;
    int e;

    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr,
                          r->pe->node->stacks + i * (size_t)(GUARD_SIZE + STACK_SIZE) + GUARD_SIZE,
                          STACK_SIZE);
    e = pthread_create(&thread, &attr, runner_main, r);
    pthread_attr_destroy(&attr);
    r->started = e == 0;
    if (e == 0)
        r->joinable = thread;
    return -e;
}

static int make_runners(struct node *n, struct threads *t)
{
    pthread_condattr_t attr;
    unsigned i;

    t->runners = calloc(n->npes, sizeof(*t->runners));
    if (!t->runners)
        return -ENOMEM;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    for (i = 0; i < n->npes; i++) {
        t->runners[i].pe = &n->pes[i];
        pthread_mutex_init(&t->runners[i].lock, NULL);
        pthread_cond_init(&t->runners[i].cond, &attr);
    }
    pthread_condattr_destroy(&attr);
    /* Who asks for a control socket wants to look at a machine that is stuck, too. */
    atomic_store(&t->awake, n->npes + n->external + (n->control != NULL));
    return 0;
}

static int threads_start(struct node *n, char *err, size_t errsize)
{
    struct sigaction sa = {.sa_handler = kick_handler};
    struct threads *t = calloc(1, sizeof(*t));
    unsigned i;
    int r;

    n->sched_state = t;
    if (!t || make_runners(n, t) < 0 || threads_prepare(n) < 0) {
        snprintf(err, errsize, "out of memory for %u PEs: use fewer (--pes)", n->npes);
        return -ENOMEM;
    }
    t->cores = windows_on(n) ? cores_new() : NULL;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGUSR1, &sa, NULL);
    for (i = 0; i < n->npes; i++) {
        r = start_runner(t, i);
        if (r < 0) {
            snprintf(err, errsize,
                     "cannot start a thread for PE %u: %s: use fewer PEs or raise `ulimit -u`",
                     n->pes[i].id, strerror(-r));
            node_finish(n, NODE_HOST, 0);
            return r;
        }
    }
    return 0;
}

static void threads_stop(struct node *n)
{
    struct threads *t = n->sched_state;
    unsigned i;

    if (!t)
        return;
    for (i = 0; t->runners && i < n->npes; i++)
        if (t->runners[i].started)
            threads_kick(t->runners[i].pe);
    for (i = 0; t->runners && i < n->npes; i++)
        if (t->runners[i].started)
            pthread_join(t->runners[i].joinable, NULL);
    for (i = 0; t->runners && i < n->npes; i++) { /* nobody signals any more */
        pthread_mutex_destroy(&t->runners[i].lock);
        pthread_cond_destroy(&t->runners[i].cond);
    }
    cores_free(t->cores);
    free(t->runners);
    free(t);
    n->sched_state = NULL;
}

const struct sched sched_threads = {
    .name = "threads",
    .prepare = threads_prepare,
    .start = threads_start,
    .stop = threads_stop,
    .wake = threads_wake,
    .kick = threads_kick,
    .park = threads_park,
    .unpark = threads_unpark,
    .now = threads_now,
    .enter = threads_enter,
};
