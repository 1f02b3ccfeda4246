/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shim: what stands between a PE's program and its bare vCPU.
 *
 * PE programs run at CPL 3 (kvm-notes.md: on kvm_pvm CPL 0 is interpreted, CPL 3 is native; a DTU
 * machine needs no privileged mode on its cores).  Page tables, GDT, TSS, IDT and exception stubs
 * lie in a memory slot of their own, mapped for the supervisor only.  Each stub raises one `out`;
 * the VMM reads the frame that the CPU pushed, acts, and lets the stub's iretq resume the program.
 * That behaves the same on every KVM flavour.
 *
 * All but two pages of it are the same for every PE and never written (accessed, dirty and busy
 * bits are preset); the program cannot name them.  Where the CPU does not walk the tables itself
 * (kvm_pvm) they are there once, in a read-only slot of every VM; elsewhere a walk counts as a
 * write, so each PE has a copy.  The exception stack and the bounce page are always each PE's own.
 */
#ifndef VMM_SHIM_H
#define VMM_SHIM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#define SHIM_GPA         0x700000000ull /* 28 GiB: above everything a PE can name */
#define SHIM_SHARED_SIZE (31u * 4096u)
#define SHIM_OWN_GPA     (SHIM_GPA + SHIM_SHARED_SIZE)
#define SHIM_OWN_SIZE    (2u * 4096u) /* exception stack, bounce page */
#define SHIM_PORT        0xC0u        /* a stub writes to SHIM_PORT + vector */
#define SHIM_VECTORS     32u

/* A page that the program may execute and read: instructions that run out of line (trap.c). */
#define SHIM_BOUNCE_GPA  (SHIM_OWN_GPA + 4096u)
#define SHIM_BOUNCE_DATA 0x100u
#define SHIM_LSTAR       (SHIM_BOUNCE_GPA + 0x800u) /* where `syscall` ends on kvm_pvm */

/* What the CPU and the stub leave on the exception stack, lowest address first. */
struct shim_frame {
    uint64_t error; /* 0 for vectors that push none */
    uint64_t rip;
    uint64_t cs;
    uint64_t rflags;
    uint64_t rsp;
    uint64_t ss;
};

/* Builds the shared part in SHIM_SHARED_SIZE bytes of zeros, page-aligned. */
void shim_build(void *mem);

/* The frame of the exception that has just raised its `out`; own: the PE's two pages. */
struct shim_frame *shim_frame(void *own);

/* The host's view of the bounce page; and the page as new. */
uint8_t *shim_bounce(void *own);
void shim_reset_bounce(void *own);

/* Sets a vCPU to the start of a program at CPL 3 (semperos-platform 2). */
void shim_sregs(struct kvm_sregs *s);
void shim_regs(struct kvm_regs *r, uint64_t entry);

/* "#GP" and so on. */
const char *shim_vector_name(unsigned vector);

#endif
