/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/sched_threads.c vmm/cores.c */
/* TSAN: */
/*
 * The scheduler with a thread per PE, with PEs that are made of a function: how many are awake is
 * known at every moment to those who spin (vdtu/RINGS.md), is raised by who wakes one before it
 * returns, and does not drift.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "../../vmm/cores.h"
#include "sched_fixture.h"
#include "suite.h"

#define ROUNDS 3000u

static atomic_uint runs[PES];
static atomic_bool held[PES], over[PES];

/* A PE that runs as long as it is held, then wakes its neighbour if it is told to, and waits. */
static atomic_uint passes;

enum pe_why pe_run(struct pe *pe)
{
    unsigned i = pe->place, left;

    atomic_fetch_add(&runs[i], 1);
    node.sched->enter(pe);
    while (atomic_load(&held[i]) && atomic_load(&node.end) == NODE_RUNS)
        sched_yield();
    if (atomic_load(&over[i])) {
        pe->end = PE_EXITED;
        return PE_OVER;
    }
    left = atomic_load(&passes);
    while (left && !atomic_compare_exchange_weak(&passes, &left, left - 1))
        continue;
    if (left) {
        node.sched->wake(&pes[(i + 1 + left % (PES - 1)) % PES]);
        if (left % 7 == 0)
            node.sched->unpark(&pes[(i + left) % PES]);
        if (left % 11 == 0)
            node.sched->kick(&pes[(i + left) % PES]);
    }
    pe->deadline =
        left % 5 == 1 ? host_now() - node.start_ns + left % 3 * 50000 : VREG_WAIT_FOREVER;
    return PE_WAITS;
}

/* ---- tests ---- */

START_TEST(raised_by_who_wakes)
{
    begin();
    for (unsigned round = 0; round < 200; round++) {
        unsigned i = round % PES, before = atomic_load(&runs[i]);

        atomic_store(&held[i], true);
        sched_threads.wake(&pes[i]);
        ck_assert_int_eq(atomic_load(&awake), 1); /* whether it has a core by now or not */
        sched_threads.wake(&pes[i]);              /* counted once */
        ck_assert_int_eq(atomic_load(&awake), 1);
        while (atomic_load(&runs[i]) == before)
            sched_yield();
        ck_assert_int_eq(atomic_load(&awake), 1);
        atomic_store(&held[i], false);
        until_awake(0);
    }
    end();
}
END_TEST

START_TEST(does_not_drift)
{
    begin();
    atomic_store(&passes, ROUNDS);
    for (unsigned i = 0; i < 3; i++)
        sched_threads.wake(&pes[i]);
    while (atomic_load(&passes)) {
        sched_threads.wake(&pes[atomic_load(&passes) % PES]); /* should a kick have ended it */
        sched_yield();
    }
    until_awake(0);
    ck_assert_uint_gt(atomic_load(&at_rest), 0);
    end();
}
END_TEST

START_TEST(those_that_are_over)
{
    begin();
    atomic_store(&over[1], true);
    atomic_store(&over[4], true);
    sched_threads.wake(&pes[1]);
    sched_threads.kick(&pes[4]);
    until_awake(0);
    sched_threads.wake(&pes[2]);
    until_awake(0);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {raised_by_who_wakes, does_not_drift, those_that_are_over};

    return suite_run("sched_threads", tests, SUITE_COUNT(tests), NULL, NULL, 120);
}
