/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings with threads: PEs that map, write and close, a kernel that revokes while they do, and a
 * target that is reset.  Once a revocation has returned nothing that is written arrives, even from
 * the middle of a copy; and what a PE wrote and then found the mapping alive has arrived.
 *
 * MAP_SECONDS says how long that runs (2).
 */
/* LINK: vdtu vmm/mapwin.c */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "map_fixture.h"
#include "suite.h"
#include "threads_fixture.h"

enum { M = 0, A = 1, B = 2, C = 3 };
enum { EP = 5 };

static struct mx *x;
static uint64_t stored;  /* atomic: stores of A, whether or not they arrive */
static uint64_t arrived; /* atomic: the last that A knows to have arrived */
static uint64_t looked;  /* atomic: rounds whose revocation has been looked at */
static uint64_t mapped;  /* by C; atomic */

static bool stopped(void)
{
    return __atomic_load_n(&stop, __ATOMIC_SEQ_CST);
}

/* A guest's stores: no sanitizer sees them, as it sees no guest. */
static void put(uint64_t *p, uint64_t v)
{
    __asm__ volatile("movq %1, %0" : "=m"(*p) : "r"(v) : "memory");
}
static uint64_t get(const uint64_t *p)
{
    uint64_t v;

    __asm__ volatile("movq %1, %0" : "=r"(v) : "m"(*p) : "memory");
    return v;
}

static void revoke_and_give(unsigned pe, unsigned target)
{
    const uint64_t w[3] = {dtu_mem_r0(MX_MEM), 0, dtu_mem_r2(target, target, DTU_PERM_RW)};

    mx_revoke(x, pe, EP);
    mx_write_reg(x, pe, DTU_EP(EP, 0), w, 3);
}

/* Writes two words, always the same, until the mapping is dead and that has been looked at. */
static void *writer(void *arg)
{
    uint64_t *at = (uint64_t *)(void *)x->pe[A].win.at, n = 0;

    (void)arg;
    while (!stopped()) {
        uint64_t r = mx_ask(x, A, (struct map_request){MAP_WINDOW_GPA, 2 * MAP_PAGE, 0, EP, 3});
        bool alive = true, over = false;
        uint64_t round = __atomic_load_n(&looked, __ATOMIC_SEQ_CST);

        if (MAP_RESULT_ERROR(r)) {
            if (MAP_RESULT_ERROR(r) != SE_EP_INVALID)
                WRONG("error %u", MAP_RESULT_ERROR(r));
            sched_yield();
            continue;
        }
        while (!over && !stopped()) {
            over = !alive && __atomic_load_n(&looked, __ATOMIC_SEQ_CST) != round;
            n++;
            put(&at[8], n);
            put(&at[8 + MAP_PAGE / 8], n);
            __atomic_store_n(&stored, n, __ATOMIC_SEQ_CST);
            if (alive && mx_state(x, A, MAP_RESULT_ENTRY(r)) == MAP_LIVE)
                __atomic_store_n(&arrived, n, __ATOMIC_SEQ_CST);
            else
                alive = false;
        }
        if (!alive && get(&at[8]) != n)
            WRONG("store %lu is not in the page of its own", (unsigned long)n);
        vdtu_map_close(x->pe[A].d, MAP_RESULT_ENTRY(r));
    }
    return NULL;
}

/* Maps and closes, of PE 0 and of B, in parts. */
static void *restless(void *arg)
{
    unsigned n = 0;

    (void)arg;
    while (!stopped()) {
        uint64_t r;

        n++;
        usleep(n % 4 ? 0 : 300); /* mutexes are not fair: others get their turn */
        if (n % 16 == 0)
            mx_gate(x, C, EP, n % 32 ? M : B, 0, MX_MEM, DTU_PERM_RW);
        r = mx_ask(x, C,
                   (struct map_request){MAP_WINDOW_GPA + n % 8 * MAP_PAGE, MAP_PAGE,
                                        n % 5 * MAP_PAGE, EP, 1 + n % 2 * 2});
        if (MAP_RESULT_ERROR(r) == SE_OK) {
            __atomic_fetch_add(&mapped, 1, __ATOMIC_RELAXED);
            if (mx_state(x, C, MAP_RESULT_ENTRY(r)) == MAP_FREE)
                WRONG("a mapping is gone before it is closed");
        }
        if (n % 3)
            vdtu_map_close(x->pe[C].d, n % 7);
        if (n % 500 == 0)
            vdtu_map_enable(x->pe[C].d, MX_WIN, mx_table(x, C));
    }
    return NULL;
}

/* B's own thread: its CPU starts anew, or it is another VPE for a moment. */
static void *target(void *arg)
{
    (void)arg;
    while (!stopped()) {
        vdtu_reset_cpu(x->pe[B].d, NULL);
        mx_vpe(x, B, 9);
        mx_vpe(x, B, B);
        for (unsigned i = 0; i < 200; i++)
            sched_yield();
    }
    return NULL;
}

/* Waits until the writer has stored that much more. */
static void wait_for(uint64_t *what, uint64_t more)
{
    uint64_t from = __atomic_load_n(what, __ATOMIC_SEQ_CST);
    double stuck = seconds() + 600;

    while (__atomic_load_n(what, __ATOMIC_SEQ_CST) < from + more && !stopped()) {
        sched_yield();
        if (seconds() > stuck)
            WRONG("the writer is stuck");
    }
}

START_TEST(revoke_any_time)
{
    const char *s = getenv("MAP_SECONDS");
    double end = seconds() + (s ? strtod(s, NULL) : 2);
    unsigned long rounds = 0;
    pthread_t t[3];

    x = mx_new();
    stop = false;
    revoke_and_give(A, M);
    ck_assert_int_eq(pthread_create(&t[0], NULL, writer, NULL), 0);
    ck_assert_int_eq(pthread_create(&t[1], NULL, restless, NULL), 0);
    ck_assert_int_eq(pthread_create(&t[2], NULL, target, NULL), 0);
    while (!stopped() && (seconds() < end || rounds < 4 || get(&mapped) < 4)) {
        const uint64_t *there = (const uint64_t *)(void *)x->pe[M].mem + 8;
        uint64_t was[2], known, next;

        wait_for(&arrived, 1 + rounds % 40);
        known = __atomic_load_n(&arrived, __ATOMIC_SEQ_CST);
        mx_revoke(x, A, EP);
        was[0] = get(there);
        was[1] = get(there + MAP_PAGE / 8);
        if (was[0] < known || was[1] < known)
            WRONG("store %lu has not arrived", (unsigned long)known);
        known = __atomic_load_n(&arrived, __ATOMIC_SEQ_CST);
        wait_for(&stored, 100);
        next = __atomic_load_n(&arrived, __ATOMIC_SEQ_CST);
        if (get(there) != was[0] || get(there + MAP_PAGE / 8) != was[1])
            WRONG("round %lu: a store after the revocation has arrived", rounds);
        if (next > was[0] || next < known)
            WRONG("the writer is wrong about store %lu", (unsigned long)next);
        __atomic_fetch_add(&looked, 1, __ATOMIC_SEQ_CST);
        revoke_and_give(A, M);
        rounds++;
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    ck_assert_msg(!wrong[0], "%s", wrong);
    printf("revoke_any_time: %lu rounds, %lu other mappings\n", rounds, (unsigned long)mapped);
    mx_free(x);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {revoke_any_time};

    return suite_run("map_threads", tests, SUITE_COUNT(tests), NULL, NULL, 3600);
}
