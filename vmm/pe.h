/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PE: one VM with one vCPU, local memory of its own, a DTU.
 *
 * pe_run() is the one exit loop: it runs the guest until it has to wait or is over, and returns.
 * It neither blocks nor knows who calls it; blocking and waking are the scheduler's (sched.h).
 */
#ifndef VMM_PE_H
#define VMM_PE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../include/vreg.h"
#include "../vdtu/vdtu.h"
#include "kvm.h"
#include "shim.h"

struct node;

/* What the exits of a PE are counted as (`--stats`). */
enum pe_exit {
    PX_COMMAND,    /* store to COMMAND */
    PX_REGISTER,   /* store to another DTU register that did not fit the queue */
    PX_VREG,       /* store to our own register page */
    PX_OUTSIDE,    /* access where nothing is */
    PX_BARRIER,    /* store at or above RW_BARRIER, or the first one above `split` */
    PX_HLT,        /* HLT, through the shim */
    PX_GEM5,       /* gem5 pseudo-instruction, through the shim */
    PX_PRIVILEGED, /* lgdt and the like, through the shim: no effect */
    PX_SSE,        /* aligned SSE access to a misaligned address, through the shim */
    PX_FAULT,      /* exception that ended the PE */
    PX_INTR,       /* KVM_RUN was interrupted: kicked by the VMM */
    PX_NIC,        /* port or register of the NIC */
    PX_OTHER,      /* any other KVM exit */
    PX_COUNT,
};
extern const char *const pe_exit_names[PX_COUNT];

enum pe_why { PE_WAITS, PE_KICKED, PE_OVER };

enum pe_wait { PE_NOT_WAITING, PE_WAIT_HLT, PE_WAIT_VREG };

/* How a PE ended. */
enum pe_end { PE_RUNNING, PE_FAULTED, PE_EXITED };

struct pe {
    struct node *node;
    uint16_t id;    /* 1..1022 */
    unsigned place; /* among the node's PEs, 0..npes-1 */
    uint64_t entry;

    /* Memory: owned by the node, mapped for the life of the machine. */
    uint8_t *mem;
    uint64_t mem_size;
    uint8_t *regs; /* the DTU's registers, our own page, the table of the rings */
    uint8_t *shim; /* the shim's pages that are this PE's own */

    struct vdtu *dtu;
    struct nic *nic;          /* NULL: it has none */
    struct vdtu_batch *batch; /* of its lists; NULL: not yet */
    struct bare *bare;        /* NULL: it runs under the shim */

    /* KVM.  The ring is set once, with release order: other threads drain it. */
    int vm_fd, vcpu_fd;
    struct kvm_run *run;
    _Atomic(struct kvm_coalesced_mmio_ring *) ring;
    uint64_t split;            /* the CPU may write below it without an exit */
    _Atomic uint64_t barrier;  /* RW_BARRIER; stores of the CPU at or above it vanish */
    atomic_bool kicked;        /* return from KVM_RUN and look at the flags */
    _Atomic uint64_t reset_to; /* where the CPU waits after a reset */
    atomic_bool resetting;     /* a reset was asked for and is not done */
    atomic_bool over;          /* `end`, for others */
    atomic_bool hears;         /* wants to know when another PE is over (VREG_OVER) */

    /* Waiting: set by pe_run() when it returns PE_WAITS. */
    enum pe_wait waiting;
    uint64_t deadline; /* ns on the scheduler's clock, VREG_WAIT_FOREVER for none */
    uint64_t held;     /* until then the wait goes on although there is a little; 0: none */
    unsigned want;     /* VREG_CALL: fewer messages than that are little, ... */
    uint32_t hold;     /* ... for so many ns */
    unsigned pending;  /* VREG_CAUSE_* that the wait finds at once */
    int fetch;         /* VREG_CALL: the endpoint to fetch from when it is over; -1: none */
    bool was_reset;    /* it waits since a reset: its memory may be empty still */
    bool only;         /* and it is the only one whose messages count */

    /* Results and counters: written by whoever runs the PE. */
    enum pe_end end;
    uint32_t status;
    bool noted;            /* a program noted its exit status */
    uint32_t noted_status; /* the first one that was not 0 */
    uint64_t exits[PX_COUNT];
    uint64_t kvm_exits[KVM_EXIT_NAMES + 1]; /* by KVM's reason; the last: beyond our names */
    uint64_t posted;  /* stores that came through the queue; under the DTU's lock */
    uint64_t irqs;    /* injected interrupts, without effect; under the DTU's lock */
    uint64_t wait_ns; /* time spent waiting */
    uint64_t console_bytes;
    uint64_t ignored_vreg; /* stores to our page that mean nothing */
    struct pe_bounce {
        bool active;
        uint64_t rip;  /* of the instruction that runs out of line */
        uint64_t next; /* of the one behind it */
        uint64_t end;  /* where the breakpoint behind the copy leaves RIP */
    } bounce;
};

/*
 * Builds the VM in two steps: first the bare VM, from any thread (KVM takes a lock on every mapping
 * of the process for each, so all VMs come before anything else is mapped), then memory slots,
 * queue of posted stores and vCPU at `entry`, by whoever will run the PE.  0 or -errno, with one
 * line in err.  pe_close() undoes both, also after a failure.
 */
int pe_create(struct pe *pe, const struct kvm *kvm, char *err, size_t errsize);
int pe_open(struct pe *pe, const struct kvm *kvm, char *err, size_t errsize);
void pe_close(struct pe *pe);

/* Runs the guest until it waits, was kicked or is over. */
enum pe_why pe_run(struct pe *pe);

/*
 * Makes pe_run() return soon, from any thread.  Whoever runs the PE must besides be interrupted
 * by a signal (sched.h does).
 */
void pe_kick(struct pe *pe);

/* Ends the PE with a report (what: "fault", reason in one line), counted as a guest's failure. */
void pe_fault(struct pe *pe, const char *reason);

/* The PE is over, as `end` says already: whoever wanted to know that is woken (VREG_OVER). */
void pe_tell_over(struct pe *pe);
/* The PE's store to VREG_OVER; false: it may not. */
bool pe_hear_over(struct pe *pe);

/*
 * Resets the CPU (VREG_RESET): all registers, the queue of posted stores and the local memory are
 * as new, and the PE waits at `reset_to`.  By whoever runs the PE, outside KVM_RUN.  0 or -errno.
 */
int pe_reset(struct pe *pe);

/* The registers at the start of a program, at `entry`. */
void pe_start_regs(const struct pe *pe, struct kvm_sregs *s, struct kvm_regs *r, uint64_t entry);

/* Finishes the pending exit, so that registers may be set.  0 or -errno. */
int pe_complete(struct pe *pe);

/* ops for the PE's DTU; arg is the struct pe. */
extern const struct vdtu_ops pe_dtu_ops;

/* The value of one of our own registers, for its owner only. */
static inline uint64_t *pe_vreg(struct pe *pe, unsigned off)
{
    return (uint64_t *)(void *)(pe->regs + 4096 + off);
}

#endif
