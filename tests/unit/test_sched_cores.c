/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/sched_threads.c */
/* TSAN: */
/*
 * When the scheduler asks for a core for a PE that was woken: not before it is known whether who
 * woke it goes on or sleeps.  The cores are the test's own, and write down what is asked.
 */
#include <pthread.h>

#include "../../vmm/cores.h"
#include "sched_fixture.h"
#include "suite.h"

/* What was asked in the round: which of the two, and had the waker left its core then? */
static atomic_int left_it; /* -1: nobody was woken by another PE */
static atomic_bool goes_on, parks;
static atomic_uint rounds, woken;
static char some_cores;

struct cores *cores_new(void)
{
    return (struct cores *)(void *)&some_cores;
}
void cores_free(struct cores *c)
{
    (void)c;
}
void cores_begin(struct cores *c, struct seat *s)
{
    (void)c;
    s->counted = true;
}
void cores_runs(struct cores *c, struct seat *s)
{
    (void)c;
    s->counted = true;
}
void cores_over(struct cores *c, struct seat *s)
{
    (void)c;
    (void)s;
}
void cores_leave(struct cores *c, struct seat *s)
{
    (void)c;
    s->counted = false;
}
void cores_wake(struct cores *c, struct seat *s, struct seat *by)
{
    (void)c;
    (void)s;
    if (by)
        atomic_store(&left_it, !by->counted);
}

/* PE 1 wakes PE 2 once a round, and then does what it is told to. */
enum pe_why pe_run(struct pe *pe)
{
    unsigned left = atomic_load(&rounds);

    node.sched->enter(pe);
    pe->deadline = VREG_WAIT_FOREVER;
    if (pe->place == 1)
        atomic_fetch_add(&woken, 1);
    if (pe->place != 0 || !left)
        return PE_WAITS;
    atomic_store(&rounds, left - 1);
    node.sched->wake(&pes[1]);
    if (atomic_load(&goes_on))
        node.sched->enter(pe);
    if (atomic_load(&parks))
        node.sched->park(pe);
    return PE_WAITS;
}

static void round_of(bool on, bool park)
{
    unsigned before = atomic_load(&woken);

    atomic_store(&left_it, -1);
    atomic_store(&goes_on, on);
    atomic_store(&parks, park);
    atomic_store(&rounds, 1);
    sched_threads.wake(&pes[0]);
    while (atomic_load(&woken) == before)
        sched_yield();
    if (park)
        sched_threads.unpark(&pes[0]);
    until_awake(0);
}

START_TEST(who_goes_on_keeps_its_core)
{
    begin();
    for (unsigned i = 0; i < 100; i++) {
        round_of(true, false);
        ck_assert_int_eq(atomic_load(&left_it), 0);
    }
    end();
}
END_TEST

START_TEST(who_waits_has_left_it)
{
    begin();
    for (unsigned i = 0; i < 100; i++) {
        round_of(false, false);
        ck_assert_int_eq(atomic_load(&left_it), 1);
    }
    end();
}
END_TEST

START_TEST(who_parks_has_left_it)
{
    begin();
    for (unsigned i = 0; i < 100; i++) {
        round_of(false, true);
        ck_assert_int_eq(atomic_load(&left_it), 1);
    }
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {who_goes_on_keeps_its_core, who_waits_has_left_it,
                                  who_parks_has_left_it};

    return suite_run("sched_cores", tests, SUITE_COUNT(tests), NULL, NULL, 120);
}
