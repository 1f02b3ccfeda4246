/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bare PE: its CPU begins at CPL 0 with nothing between it and its program, as gem5 starts one
 * (semperos-platform 2), and it has a PC's two interrupt controllers (pic.h).  It is the PE of a
 * NIC with `irq`, for programs that bring their own descriptor tables and want the NIC's line as an
 * interrupt.  The DTU, our register page and all limits of a PE are as in any other: what a PE
 * reaches is not the page tables' affair.
 *
 * The controllers are the VMM's, not KVM's: so HLT leaves the guest and is a wait like any other,
 * that messages end as well, and runs by a seed stay exact.  All functions are for whoever runs the
 * PE; for one that is not bare they are not called.
 */
#ifndef VMM_BARE_H
#define VMM_BARE_H

#include <linux/kvm.h>
#include <stdbool.h>

#include "pic.h"

struct pe;

struct bare {
    struct pic pic;
    unsigned irq;   /* the NIC's input */
    unsigned rises; /* of its line, up to the last look */
    bool if_set;    /* the program's IF when it left the guest last */
    uint64_t interrupts;
};

/* Makes PE bare; its NIC, if it has one, is at that input.  0 or -ENOMEM. */
int bare_new(struct pe *pe, unsigned irq);
void bare_free(struct pe *pe);

/* As after power-on, and after firmware has set the NIC's input to level. */
void bare_reset(struct pe *pe);
void bare_regs(struct kvm_sregs *s);

/* Is there an interrupt that the program would take now? */
bool bare_interrupt(struct pe *pe);
/* Before KVM_RUN: hands an interrupt over, or asks to be told when the program can take one. */
int bare_enter(struct pe *pe);
/* After it. */
void bare_leave(struct pe *pe);
/* A port that the program used: a controller, the NIC, or nothing, which reads as ones. */
void bare_port(struct pe *pe);

#endif
