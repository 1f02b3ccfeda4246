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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHIM_GPA         0x700000000ull /* 28 GiB: above everything a PE can name */
#define SHIM_SHARED_SIZE (32u * 4096u)
#define SHIM_OWN_GPA     (SHIM_GPA + SHIM_SHARED_SIZE)
#define SHIM_OWN_SIZE    (2u * 4096u) /* exception stack, bounce page */
#define SHIM_TSS_GPA     (SHIM_OWN_GPA + SHIM_OWN_SIZE)
#define SHIM_TSS_SIZE    (3u * 4096u) /* TSS of a PE that may use I/O ports */
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
/* The same at CPL 0, without an IDT: the program brings its own. */
void shim_sregs_bare(struct kvm_sregs *s);

/*
 * A PE that may use I/O ports has a TSS of its own with a bit for every port, in a slot at
 * SHIM_TSS_GPA.  shim_build_tss() makes one in SHIM_TSS_SIZE bytes of zeros that grants none;
 * shim_tss_ports() grants or takes n of them, at any time; shim_own_tss() lets a vCPU use it.
 *
 * QEMU's TCG refuses every port to CPL 3 when the TSS is marked busy, as it is in any running task
 * (helper_check_io() wants type 9).  There shim_needs_iopl() is true: the program then runs with
 * IOPL 3, all ports leave the guest, and the VMM refuses those that are not the PE's.
 */
void shim_build_tss(void *mem);
void shim_tss_ports(void *mem, uint16_t first, unsigned n, bool grant);
void shim_own_tss(struct kvm_sregs *s);
bool shim_needs_iopl(void);
/* May a device of the program have these ports?  Not those of the stubs and of configuration. */
bool shim_port_is_free(uint16_t first, unsigned n);
#define SHIM_IOPL3 0x3000u /* in RFLAGS */

/* "#GP" and so on. */
const char *shim_vector_name(unsigned vector);

#endif
