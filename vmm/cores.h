/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which core a PE gets when it is woken.
 *
 * A PE that waits for another one spins as long as cores are to spare (vdtu/RINGS.md), so all cores
 * look busy to the host's scheduler.  It then leaves a thread where it ran last, behind one that
 * spins, while another core has nothing to do: for a tick, or until the one in front has spun
 * enough.  Who wakes a PE knows better: which cores have PEs that are awake.
 */
#ifndef VMM_CORES_H
#define VMM_CORES_H

#include <stdbool.h>
#include <sys/types.h>

struct cores;

/* Of a thread; its own, to be zeroed before cores_begin(). */
struct seat {
    pid_t tid;                  /* 0: not begun */
    int core;                   /* where it is counted, or slept last */
    bool counted, moved, woken; /* woken: and has not run since */
    struct seat *by;            /* who woke it, of the same cores */
};

/* NULL: out of memory, or there are not two cores to choose from.  All the rest takes NULL, too. */
struct cores *cores_new(void);
void cores_free(struct cores *c);

/* By the thread itself: it begins, awake; it runs again after cores_wake(); it is over. */
void cores_begin(struct cores *c, struct seat *s);
void cores_runs(struct cores *c, struct seat *s);
void cores_over(struct cores *c, struct seat *s);

/*
 * By the thread itself, before it sleeps: its core is for another.  Who was woken and found none is
 * moved there.
 */
void cores_leave(struct cores *c, struct seat *s);

/*
 * Any thread, before it wakes s: to a core where no PE is awake, if there is one.  `by` is that
 * thread's own seat, or NULL.  If it has left that, because it sleeps next, s gets its core: so a
 * chain of PEs, each of which wakes the next one and sleeps, stays where it is.
 */
void cores_wake(struct cores *c, struct seat *s, struct seat *by);

#endif
