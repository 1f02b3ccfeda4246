/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rest of the VMM for tests of the scheduler with a thread per PE (vmm/sched_threads.c).  What
 * a PE does is the test's pe_run().
 */
#ifndef SCHED_FIXTURE_H
#define SCHED_FIXTURE_H

#include <check.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "../../vmm/nic.h"
#include "../../vmm/node.h"
#include "../../vmm/sched.h"
#include "../../vmm/window.h"

#define PES 6u

static struct node node;
static struct pe pes[PES];
static atomic_int awake, least, most;
static atomic_uint at_rest;

uint64_t host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool windows_on(const struct node *n)
{
    (void)n;
    return true;
}

void windows_asleep(struct node *n, int change)
{
    int now = atomic_fetch_sub(&awake, change) - change;

    (void)n;
    if (now < 0)
        atomic_store(&least, now);
    if (now > (int)PES)
        atomic_store(&most, now);
}

bool node_finish(struct node *n, enum node_end why, uint32_t status)
{
    (void)status;
    if (why == NODE_AT_REST) {
        atomic_fetch_add(&at_rest, 1);
        return true; /* we go on */
    }
    atomic_store(&n->end, why);
    return true;
}

void node_log(const struct node *n, int level, const char *fmt, ...)
{
    (void)n;
    (void)level;
    (void)fmt;
}

int pe_open(struct pe *pe, const struct kvm *kvm, char *err, size_t size)
{
    (void)pe;
    (void)kvm;
    (void)err;
    (void)size;
    return 0;
}

void pe_kick(struct pe *pe)
{
    atomic_store(&pe->kicked, true);
}

bool nic_is_direct(const struct nic *n)
{
    (void)n;
    return false;
}
void nic_listen(struct nic *n, bool on)
{
    (void)n;
    (void)on;
}
void nic_sleep(struct nic *n, uint64_t ns)
{
    (void)n;
    (void)ns;
}
void nic_poke(struct nic *n)
{
    (void)n;
}

/* A test that waits for ever is ended by its runner. */
static void until_awake(int n)
{
    while (atomic_load(&awake) != n)
        sched_yield();
}

static void begin(void)
{
    char err[128];

    memset(&node, 0, sizeof(node));
    node.sched = &sched_threads;
    node.npes = PES;
    node.pes = pes;
    node.start_ns = host_now();
    atomic_store(&awake, PES);
    for (unsigned i = 0; i < PES; i++) {
        memset(&pes[i], 0, sizeof(pes[i]));
        pes[i].node = &node;
        pes[i].id = (uint16_t)(i + 1);
        pes[i].place = i;
        pes[i].deadline = VREG_WAIT_FOREVER;
    }
    ck_assert_int_eq(sched_threads.start(&node, err, sizeof(err)), 0);
    until_awake(0);
}

static void end(void)
{
    atomic_store(&node.end, NODE_EXITED);
    sched_threads.stop(&node);
    munmap(node.stacks, node.stacks_size); /* as node_close() does */
    ck_assert_int_eq(atomic_load(&awake), 0);
    ck_assert_int_eq(atomic_load(&least), 0);
    ck_assert_int_eq(atomic_load(&most), 0);
}

#endif
