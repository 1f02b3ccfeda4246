/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/cores.c */
/*
 * Which core a PE gets when it is woken, by the mask that its thread has until it runs: a thread
 * that sleeps, and a waker whose seat this thread plays.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../vmm/cores.h"

static cpu_set_t all;
static int x, y; /* two cores */
static struct cores *cores;
static struct seat waker, sleeper;
static sem_t sleeps, go;

static void stay_at(int core)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(core, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), core < 0 ? &all : &one), 0);
}

/* Falls asleep on core y, free to be moved unless it is told to stay. */
static void *sleep_there(void *stays)
{
    stay_at(y);
    cores_begin(cores, &sleeper);
    cores_leave(cores, &sleeper);
    if (!stays)
        ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
    sem_post(&sleeps);
    sem_wait(&go);
    cores_over(cores, &sleeper);
    return NULL;
}

static pthread_t begin(bool stays)
{
    pthread_t thread;

    waker = sleeper = (struct seat){0};
    cores = cores_new();
    ck_assert_ptr_nonnull(cores);
    sem_init(&sleeps, 0, 0);
    sem_init(&go, 0, 0);
    stay_at(x);
    cores_begin(cores, &waker);
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_there, stays ? &x : NULL), 0);
    sem_wait(&sleeps);
    return thread;
}

static void end(pthread_t thread)
{
    sem_post(&go);
    pthread_join(thread, NULL);
    cores_free(cores);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* The only core where it may run next; -1: any. */
static int its_core(void)
{
    cpu_set_t mask;

    ck_assert_int_eq(sched_getaffinity(sleeper.tid, sizeof(mask), &mask), 0);
    if (CPU_EQUAL(&mask, &all))
        return -1;
    ck_assert_int_eq(CPU_COUNT(&mask), 1);
    return CPU_ISSET(x, &mask) ? x : y;
}

START_TEST(its_own_if_free)
{
    pthread_t t = begin(false);

    cores_wake(cores, &sleeper, &waker);
    ck_assert_int_eq(its_core(), y);
    end(t);
}
END_TEST

START_TEST(that_of_a_waker_that_sleeps)
{
    pthread_t t = begin(false);

    cores_leave(cores, &waker);
    cores_wake(cores, &sleeper, &waker);
    ck_assert_int_eq(its_core(), x);
    end(t);
}
END_TEST

/* A waker's core is handed on once. */
START_TEST(that_of_a_waker_is_one)
{
    struct seat other = {0};
    pthread_t t = begin(false);

    cores_leave(cores, &waker);
    cores_begin(cores, &other); /* on x, where we are */
    cores_wake(cores, &sleeper, &waker);
    ck_assert_int_eq(its_core(), y);
    end(t);
}
END_TEST

START_TEST(a_free_one_if_not_its_own)
{
    struct seat other = {0};
    pthread_t t = begin(false);

    cores_leave(cores, &waker);
    stay_at(y);
    cores_begin(cores, &other);
    cores_wake(cores, &sleeper, NULL);
    ck_assert_int_ne(its_core(), y);
    end(t);
}
END_TEST

START_TEST(who_is_pinned_stays)
{
    pthread_t t = begin(true);

    cores_leave(cores, &waker);
    cores_wake(cores, &sleeper, &waker);
    ck_assert_int_eq(its_core(), y);
    end(t);
}
END_TEST

/* With all cores taken it gets that of the next that sleeps. */
START_TEST(the_next_one_that_is_left)
{
    struct seat others[CPU_SETSIZE] = {{0}};
    pthread_t t = begin(false);

    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            stay_at(i);
            cores_begin(cores, &others[i]);
        }
    cores_wake(cores, &sleeper, &waker);
    ck_assert_int_eq(its_core(), -1);
    stay_at(x);
    cores_leave(cores, &others[x]);
    ck_assert_int_eq(its_core(), -1); /* the waker is still there */
    cores_leave(cores, &waker);
    ck_assert_int_eq(its_core(), x);
    end(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cores");
    TCase *c = tcase_create("cores");
    SRunner *r;
    int failed;

    x = y = -1;
    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        return 1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            y = x < 0 ? y : y < 0 ? i : y;
            x = x < 0 ? i : x;
        }
    if (y < 0)
        return 0; /* nothing to choose: cores_new() says so, too */
    tcase_add_test(c, its_own_if_free);
    tcase_add_test(c, that_of_a_waker_that_sleeps);
    tcase_add_test(c, that_of_a_waker_is_one);
    tcase_add_test(c, a_free_one_if_not_its_own);
    tcase_add_test(c, who_is_pinned_stays);
    tcase_add_test(c, the_next_one_that_is_left);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
