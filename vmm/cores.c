/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread is moved by a mask of one core, and gives itself all of them again as soon as it runs:
 * the host's scheduler stays free to do what it knows better.  A thread whose mask is another than
 * this process had at the start was pinned by somebody, and is left where it is.
 */
#include "cores.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cores {
    pthread_mutex_t lock; /* for all of it, and for seats */
    cpu_set_t all;        /* that this process may use */
    int n;                /* none of them is above */
    struct seat *waits;   /* the last one that found no core and has not run since */
    unsigned busy[CPU_SETSIZE];
};

struct cores *cores_new(void)
{
    struct cores *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    if (sched_getaffinity(0, sizeof(c->all), &c->all) < 0 || CPU_COUNT(&c->all) < 2) {
        free(c);
        return NULL;
    }
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &c->all))
            c->n = i + 1;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void cores_free(struct cores *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static int this_core(const struct cores *c)
{
    int core = sched_getcpu();

    return core >= 0 && core < c->n ? core : 0;
}

static void count(struct cores *c, struct seat *s, int core)
{
    if (s->counted)
        c->busy[s->core]--;
    s->core = core;
    s->counted = true;
    c->busy[core]++;
}

static bool is_pinned(const struct cores *c, const struct seat *s)
{
    cpu_set_t now;

    return !s->moved &&
           (sched_getaffinity(s->tid, sizeof(now), &now) < 0 || !CPU_EQUAL(&now, &c->all));
}

static void stay_anywhere(struct cores *c, struct seat *s)
{
    if (s->moved)
        sched_setaffinity(s->tid, sizeof(c->all), &c->all);
    s->moved = false;
}

/*
 * If it cannot be moved it is where the host's scheduler puts it.  One that sleeps still looks at
 * its mask when it wakes; any other is moved by now.
 */
static void move(struct cores *c, struct seat *s, int core)
{
    cpu_set_t one;

    if (is_pinned(c, s))
        return;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    if (sched_setaffinity(s->tid, sizeof(one), &one) < 0)
        return;
    s->moved = true;
    count(c, s, core);
    if (!s->woken)
        stay_anywhere(c, s);
}

/* Its own, if that is free; -1: none. */
static int free_core(const struct cores *c, const struct seat *s)
{
    if (!c->busy[s->core])
        return s->core;
    for (int i = 0; i < c->n; i++)
        if (!c->busy[i] && CPU_ISSET(i, &c->all))
            return i;
    return -1;
}

void cores_begin(struct cores *c, struct seat *s)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    s->tid = gettid();
    count(c, s, this_core(c));
    pthread_mutex_unlock(&c->lock);
}

/*
 * Who woke s on its own core does not run meanwhile, and it may be what s will wait for: it gets
 * the next core that is free.
 */
static void push_aside(struct cores *c, struct seat *s)
{
    struct seat *by = s->by;
    int core;

    s->by = NULL;
    if (!by || !by->counted || by->core != s->core)
        return;
    core = free_core(c, by);
    if (core >= 0)
        move(c, by, core);
    else
        c->waits = by;
}

void cores_runs(struct cores *c, struct seat *s)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    if (c->waits == s)
        c->waits = NULL;
    s->woken = false;
    stay_anywhere(c, s);
    count(c, s, this_core(c));
    push_aside(c, s);
    pthread_mutex_unlock(&c->lock);
}

static void leave(struct cores *c, struct seat *s)
{
    struct seat *next = c->waits == s ? NULL : c->waits;

    if (s->counted)
        c->busy[s->core]--;
    s->counted = false;
    s->core = this_core(c);
    c->waits = next;
    if (!next || (next->core != s->core && c->busy[s->core]))
        return;
    c->waits = NULL;
    if (next->core != s->core)
        move(c, next, s->core);
}

void cores_leave(struct cores *c, struct seat *s)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    leave(c, s);
    pthread_mutex_unlock(&c->lock);
}

void cores_over(struct cores *c, struct seat *s)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    leave(c, s);
    s->tid = 0;
    pthread_mutex_unlock(&c->lock);
}

/* That of who woke it and sleeps now goes first: it is awake already, an idle one is not. */
static int core_for(const struct cores *c, const struct seat *s, const struct seat *by)
{
    return by && !by->counted && !c->busy[by->core] ? by->core : free_core(c, s);
}

void cores_wake(struct cores *c, struct seat *s, struct seat *by)
{
    int core;

    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    s->by = by;
    if (s->tid && !s->counted) {
        s->woken = true;
        core = core_for(c, s, by);
        if (core >= 0)
            move(c, s, core);
        else
            c->waits = s;
        if (!s->counted)
            count(c, s, s->core);
    }
    pthread_mutex_unlock(&c->lock);
}
