/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Something happens in the middle of a copy, every time and not by luck: a page of a channel is not
 * there, and who touches it finds that it has just happened.
 */
#ifndef RING_TRAP_H
#define RING_TRAP_H

#include <signal.h>
#include <ucontext.h>

#include "ring_pair.h"

/* The page; the one that is laid in its place when it is touched, NULL: none; how often it was. */
static uint8_t *trap_page, *next_trap;
static volatile sig_atomic_t caught;
static void (*trap_does)(void); /* at the last of them */
static bool trap_behind;        /* behind the instruction that touches it, not before */

#define TRAP_FLAG 0x100 /* the CPU's: an exception behind the next instruction */

static void trap_stepped(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    trap_does();
}

static void trap_touched(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    if ((uintptr_t)info->si_addr / RING_PAGE != (uintptr_t)trap_page / RING_PAGE ||
        mprotect(trap_page, RING_PAGE, PROT_READ | PROT_WRITE) < 0)
        abort();
    caught++;
    if (!next_trap) {
        if (trap_behind)
            ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
        else
            trap_does();
        return;
    }
    trap_page = next_trap;
    next_trap = NULL;
    if (mprotect(trap_page, RING_PAGE, PROT_NONE) < 0)
        abort();
}

static inline void lay_trap(uint8_t *page, uint8_t *next, void (*does)(void))
{
    const struct sigaction a = {.sa_sigaction = trap_touched, .sa_flags = SA_SIGINFO | SA_NODEFER};

    caught = 0;
    trap_behind = false;
    ck_assert_int_eq(sigaction(SIGSEGV, &a, NULL), 0);
    trap_page = page;
    next_trap = next;
    trap_does = does;
    ck_assert_int_eq(mprotect(page, RING_PAGE, PROT_NONE), 0);
}

/* Who reads from the page reads what was there before. */
static inline void lay_trap_behind(uint8_t *page, void (*does)(void))
{
    const struct sigaction a = {.sa_sigaction = trap_stepped, .sa_flags = SA_SIGINFO | SA_NODEFER};

    ck_assert_int_eq(sigaction(SIGTRAP, &a, NULL), 0);
    lay_trap(page, NULL, does);
    trap_behind = true;
}

#endif
