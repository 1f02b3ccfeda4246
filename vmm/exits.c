/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The exit loop, and the callbacks through which a PE's DTU reaches its CPU.
 *
 * A PE leaves its guest for four things: a store to a register that acts (COMMAND, our own page),
 * a store that found the queue full, an access where nothing is, and an exception, which the shim
 * turns into an `out` (trap.c).  Everything else is reported as a fault of that PE.
 */
#include "exits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "bare.h"
#include "bridge.h"
#include "control.h"
#include "mapped.h"
#include "nic.h"
#include "node.h"
#include "record.h"
#include "sched.h"

/* ---- what the DTU asks of its owner; called with the DTU's lock held ---- */

static void on_wake(void *arg)
{
    struct pe *pe = arg;

    pe->node->sched->wake(pe);
}

static void on_drain(void *arg)
{
    struct pe *pe = arg;
    struct kvm_coalesced_mmio_ring *ring = atomic_load_explicit(&pe->ring, memory_order_acquire);
    uint32_t first, last, max;

    if (!ring)
        return;
    max = (uint32_t)((4096 - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]));
    first = ring->first;
    last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
    if (first == last || first >= max || last >= max)
        return;
    while (first != last) {
        struct kvm_coalesced_mmio *m = &ring->coalesced_mmio[first];
        uint64_t value = 0;

        memcpy(&value, m->data, m->len <= 8 ? m->len : 8);
        if (m->phys_addr == VREG_BASE + VREG_ACK && m->len == 8) {
            vdtu_posted_ack(pe->dtu, (unsigned)(value >> 56), value & ((1ull << 56) - 1));
            pe->posted++;
        } else if (!pe->nic || !nic_posted(pe->nic, m->phys_addr, value, m->len)) {
            vdtu_posted(pe->dtu, m->phys_addr - DTU_BASE, value, m->len);
            pe->posted++;
        }
        first = (first + 1) % max;
    }
    __atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
}

static void on_barrier(void *arg, uint64_t barrier)
{
    struct pe *pe = arg;

    atomic_store(&pe->barrier, barrier);
    pe->node->sched->kick(pe);
}

static void on_irq(void *arg, uint8_t vector)
{
    struct pe *pe = arg;

    /*
     * The program's interrupt flag is never set (sti has no effect in the shim), so an interrupt
     * is never deliverable (dtu-spec 6.7; nobody injects any on this platform).  Counted.
     */
    (void)vector;
    pe->irqs++;
}

/* The NoC at our own page: only a kernel has an endpoint that reaches it. */
static uint64_t on_page_load(void *arg, unsigned off)
{
    struct pe *pe = arg;

    if (off == VREG_OVER)
        return atomic_load(&pe->over);
    return off == VREG_RESET ? atomic_load(&pe->resetting) : 0;
}

static void on_page_store(void *arg, unsigned off, uint64_t value)
{
    struct pe *pe = arg;

    if (off == VREG_GOODBYE && bridge_over_told(pe, value))
        return;
    if (off != VREG_RESET) {
        pe->ignored_vreg++;
        return;
    }
    atomic_store(&pe->reset_to, value);
    atomic_store(&pe->resetting, true);
    pe->node->sched->kick(pe);
}

static void on_debug(void *arg, uint32_t value)
{
    struct pe *pe = arg;

    node_log(pe->node, LOG_DEBUG, "PE %u: DEBUG_MSG %#x", pe->id, value);
}

const struct vdtu_ops pe_dtu_ops = {
    .wake = on_wake,
    .bell = on_wake,
    .drain = on_drain,
    .barrier = on_barrier,
    .irq = on_irq,
    .debug = on_debug,
    .page_load = on_page_load,
    .page_store = on_page_store,
};

/* ---- waiting ---- */

static void step(struct pe *pe)
{
    if (pe->node->sched->step)
        pe->node->sched->step(pe);
}

void pe_wait_begin(struct pe *pe, enum pe_wait how, uint64_t deadline)
{
    /* A store to the wait register has been one.  With messages unread HLT goes on at once, and
     * idle with HLT again: others must get their turn. */
    if (how == PE_WAIT_HLT)
        step(pe);
    node_record(
        pe->node,
        &(struct trace_record){
            .op = TR_WAIT, .pe = pe->id, .peer = 0xFFFF, .ep = (uint8_t)how, .label = deadline});
    pe->waiting = how;
    pe->deadline = deadline;
    pe->held = 0;
    pe->fetch = -1;
    pe->only = false;
    pe->want = 0;
}

/* Unread messages, of those that it waits for. */
static uint64_t unread(struct pe *pe)
{
    return pe->only ? vdtu_reg(pe->dtu, DTU_EP((unsigned)pe->fetch, 0)) & 0xFFFF
                    : vdtu_reg(pe->dtu, DTU_MSG_CNT);
}

/* Messages, but fewer than the program wants to be woken for, and not for long yet? */
static bool few_messages(struct pe *pe, unsigned cause, uint64_t now)
{
    if (cause != VREG_CAUSE_MESSAGE || unread(pe) >= pe->want)
        return false;
    pe->held = pe->held ? pe->held : now + pe->hold;
    pe->deadline = pe->deadline < pe->held ? pe->deadline : pe->held;
    return now < pe->held;
}

/* HLT of a bare PE ends by an interrupt, which a line that its controller masks is not. */
static bool nic_ends_wait(struct pe *pe)
{
    if (pe->bare && (pe->waiting == PE_WAIT_HLT || !nic_line(pe->nic)))
        return bare_interrupt(pe);
    return nic_line(pe->nic);
}

/* Has what the PE waits for happened?  The wait register says why, HLT just ends. */
static bool wait_over(struct pe *pe)
{
    const struct sched *sched = pe->node->sched;
    unsigned cause = pe->only ? vdtu_poll_ep(pe->dtu, (unsigned)pe->fetch) : vdtu_poll(pe->dtu);
    uint64_t now = sched->now(pe->node);

    cause |= bridge_causes(pe) | control_causes(pe) | pe->pending;
    if (pe->nic && nic_ends_wait(pe))
        cause |= VREG_CAUSE_NIC;
    if (pe->want > 1 && few_messages(pe, cause, now))
        return false;
    if (!cause && pe->deadline != VREG_WAIT_FOREVER && now >= pe->deadline)
        cause = VREG_CAUSE_TIMEOUT;
    if (!cause && !(sched->spurious && sched->spurious(pe)))
        return false;
    node_record(pe->node, &(struct trace_record){
                              .op = TR_WAKE, .pe = pe->id, .peer = 0xFFFF, .result = cause});
    if (pe->waiting == PE_WAIT_VREG) {
        *pe_vreg(pe, VREG_WAIT_CAUSE) = cause;
        *pe_vreg(pe, VREG_TIME) = now;
    }
    pe->waiting = PE_NOT_WAITING;
    pe->was_reset = false;
    pe->pending = 0;
    if (pe->fetch >= 0 && (cause & VREG_CAUSE_MESSAGE)) {
        vdtu_store(pe->dtu, DTU_COMMAND, DTU_CMD(DTU_FETCH, (unsigned)pe->fetch), 8);
        *pe_vreg(pe, VREG_CALL) = vdtu_reg(pe->dtu, DTU_OFFSET);
    }
    return true;
}
_Static_assert((int)VDTU_MESSAGE == VREG_CAUSE_MESSAGE && (int)VDTU_WAKEUP == VREG_CAUSE_WAKEUP &&
                   (int)VDTU_BELL == VREG_CAUSE_RING,
               "one set of causes");

/* ---- exits ---- */

/* A store to local memory that is mapped read-only (pe.c). */
static enum pe_why memory_store(struct pe *pe, uint64_t addr, uint64_t value, unsigned size)
{
    pe->exits[PX_BARRIER]++;
    if (addr >= atomic_load(&pe->barrier))
        return PE_KICKED; /* dropped (dtu-spec 5.5) */
    vdtu_mem_write(pe->dtu, addr, &value, size <= 8 ? size : 8);
    if (pe_raise_split(pe) < 0) {
        pe_fault(pe, "cannot make its memory writable: KVM refuses the memory slots");
        return PE_OVER;
    }
    return PE_KICKED;
}

static enum pe_why mmio_store(struct pe *pe, uint64_t addr, uint64_t value, unsigned size)
{
    if (addr >= DTU_BASE && addr < DTU_BASE + 4096) {
        pe->exits[addr == DTU_BASE + DTU_COMMAND ? PX_COMMAND : PX_REGISTER]++;
        if (addr == DTU_BASE + DTU_COMMAND)
            step(pe);
        vdtu_store(pe->dtu, addr - DTU_BASE, value, size);
        return PE_KICKED;
    }
    if (addr >= VREG_BASE && addr < VREG_BASE + VREG_SIZE) {
        pe->exits[PX_VREG]++;
        step(pe);
        return vreg_store(pe, (unsigned)(addr - VREG_BASE), value, size);
    }
    if (addr < pe->mem_size)
        return memory_store(pe, addr, value, size);
    pe->exits[PX_OUTSIDE]++;
    return PE_KICKED;
}

/* KVM says EFAULT and no address, or, when it emulates the instruction, calls it MMIO. */
static const char not_mapped[] = "an access to a page of a window where nothing is mapped, or a "
                                 "store to one that it may only read";

static enum pe_why handle_mmio(struct pe *pe)
{
    struct kvm_run *run = pe->run;
    uint64_t value = 0;

    if (pe->nic && nic_mmio(pe->nic, run)) {
        pe->exits[PX_NIC]++;
        return PE_KICKED;
    }
    if (mapped_covers(pe, run->mmio.phys_addr)) {
        pe_fault(pe, not_mapped);
        return PE_OVER;
    }
    if (!run->mmio.is_write) {
        /* Nothing is there, or a fetch past the registers: zeros (dtu-spec 5.3, 12.3). */
        memset(run->mmio.data, 0, sizeof(run->mmio.data));
        pe->exits[PX_OUTSIDE]++;
        return PE_KICKED;
    }
    memcpy(&value, run->mmio.data, run->mmio.len <= 8 ? run->mmio.len : 8);
    if (*pe_vreg(pe, VREG_FEATURES) & VREG_F_EXITS)
        ++*pe_vreg(pe, VREG_EXITS);
    return mmio_store(pe, run->mmio.phys_addr, value, run->mmio.len);
}

static enum pe_why handle_other(struct pe *pe, unsigned reason)
{
    char text[160];
    struct kvm_run *run = pe->run;

    pe->exits[PX_OTHER]++;
    /* What KVM cannot emulate may be a store to memory that is only read-only for us (pe.c). */
    if (reason == KVM_EXIT_INTERNAL_ERROR && pe_split_is_low(pe) && pe_raise_split(pe) == 0)
        return PE_KICKED;
    if (reason == KVM_EXIT_INTERNAL_ERROR)
        snprintf(text, sizeof(text), "KVM internal error %u (an instruction KVM cannot emulate)",
                 run->internal.suberror);
    else if (reason == KVM_EXIT_FAIL_ENTRY)
        snprintf(text, sizeof(text), "KVM cannot enter the guest, hardware reason %#llx",
                 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
    else if (reason == KVM_EXIT_SHUTDOWN && pe->bare)
        snprintf(text, sizeof(text),
                 "the CPU shut down: an exception that its program has no handler for");
    else
        snprintf(text, sizeof(text), "unexpected KVM exit %u (%s)", reason, kvm_exit_name(reason));
    pe_fault(pe, text);
    return PE_OVER;
}

/* An `in` or `out`: of a stub (trap.c), or of a program that has a device. */
static enum pe_why handle_io(struct pe *pe)
{
    struct kvm_run *run = pe->run;
    char text[96];

    if (pe->bare) {
        bare_port(pe);
        return PE_KICKED;
    }
    if (run->io.port >= SHIM_PORT && run->io.port < SHIM_PORT + SHIM_VECTORS &&
        run->io.direction == KVM_EXIT_IO_OUT && (!pe->nic || nic_is_stub(pe->nic)))
        return trap_handle(pe, run->io.port - SHIM_PORT);
    if (!pe->nic)
        return handle_other(pe, run->exit_reason);
    pe->exits[PX_NIC]++;
    if (nic_port(pe->nic, run))
        return PE_KICKED;
    snprintf(text, sizeof(text), "#GP protection: port %#x is not this PE's", run->io.port);
    pe_fault(pe, text);
    return PE_OVER;
}

static enum pe_why handle_exit(struct pe *pe)
{
    struct kvm_run *run = pe->run;

    pe->kvm_exits[run->exit_reason < KVM_EXIT_NAMES ? run->exit_reason : KVM_EXIT_NAMES]++;
    switch (run->exit_reason) {
    case KVM_EXIT_MMIO:
        return handle_mmio(pe);
    case KVM_EXIT_IO:
        return handle_io(pe);
    case KVM_EXIT_HLT: /* of a bare one: a program at CPL 3 may not */
        pe->exits[PX_HLT]++;
        pe_wait_begin(pe, PE_WAIT_HLT, VREG_WAIT_FOREVER);
        return PE_KICKED;
    case KVM_EXIT_SET_TPR: /* CR8 of a bare one, lowered: no APIC of ours has a use for it */
        pe->exits[PX_OTHER]++;
        return PE_KICKED;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        pe->exits[PX_INTR]++;
        return PE_KICKED;
    default:
        return handle_other(pe, run->exit_reason);
    }
}

static enum pe_why run_failed(struct pe *pe, int error)
{
    char text[128];

    if (error == EINTR || error == EAGAIN) {
        pe->exits[PX_INTR]++;
        if (pe->node->sched->interrupted)
            pe->node->sched->interrupted(pe);
        return PE_KICKED;
    }
    if (error == EFAULT && (pe->node->mapped || pe->node->windows))
        snprintf(text, sizeof(text), "%s", not_mapped);
    else
        snprintf(text, sizeof(text), "KVM_RUN failed: %s", strerror(error));
    pe_fault(pe, text);
    return PE_OVER;
}

/* Flags that other threads set.  Returns false when the PE cannot go on. */
static bool look_at_flags(struct pe *pe)
{
    int r;

    /* Cleared before the flags are read: a kick after this line makes KVM_RUN return at once. */
    __atomic_store_n(&pe->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    atomic_store(&pe->kicked, false);
    r = pe_apply_barrier(pe);
    if (r < 0) {
        pe_fault(pe, "cannot move RW_BARRIER: KVM refuses the memory slots");
        return false;
    }
    if (atomic_load(&pe->resetting) && pe_reset(pe) < 0) {
        pe_fault(pe, "cannot reset the CPU: KVM refuses its registers");
        return false;
    }
    return true;
}

#define FRAGMENTS_MAX 16u

static int finish_exits(struct pe *pe)
{
    unsigned i;
    int r = -EBUSY;

    /* A wide store to registers is several exits; the rest of it belongs to the old program. */
    for (i = 0; i < FRAGMENTS_MAX && r == -EBUSY; i++)
        r = pe_complete(pe);
    return r;
}

static void wipe(void *arg)
{
    struct pe *pe = arg;

    /* The pages go and come back as zeros, and cost nothing until then. */
    if (madvise(pe->mem, pe->mem_size, pe->node->files ? MADV_REMOVE : MADV_DONTNEED) < 0)
        memset(pe->mem, 0, pe->mem_size);
    shim_reset_bounce(pe->shim);
}

int pe_reset(struct pe *pe)
{
    struct kvm_vcpu_events events = {0};
    struct kvm_fpu fpu = {.fcw = 0x37F, .mxcsr = 0x1F80};
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    int r = finish_exits(pe);

    if (r < 0)
        return r;
    if (ioctl(pe->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    pe_start_regs(pe, &sregs, &regs, atomic_load(&pe->reset_to));
    if (pe->bare)
        bare_reset(pe);
    if (pe->nic)
        nic_pe_reset(pe->nic);
    if (ioctl(pe->vcpu_fd, KVM_SET_SREGS, &sregs) < 0 ||
        ioctl(pe->vcpu_fd, KVM_SET_REGS, &regs) < 0 || ioctl(pe->vcpu_fd, KVM_SET_FPU, &fpu) < 0 ||
        ioctl(pe->vcpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0)
        return -errno;
    node_record(pe->node, &(struct trace_record){
                              .op = TR_RESET, .pe = pe->id, .peer = 0xFFFF, .label = regs.rip});
    bridge_pe_reset(pe);
    control_pe_over(pe); /* who answers questions says so again */
    pe->bounce.active = false;
    pe->waiting = PE_WAIT_HLT;
    pe->deadline = VREG_WAIT_FOREVER;
    pe->held = 0;
    pe->want = 0;
    pe->pending = 0;
    pe->fetch = -1;
    pe->only = false;
    pe->was_reset = true;
    vdtu_reset_cpu(pe->dtu, wipe);
    mapped_pe_reset(pe);
    atomic_store(&pe->resetting, false);
    return 0;
}

/* Into the guest and out again.  What it posted to the NIC takes effect before its exit does. */
static int enter(struct pe *pe)
{
    int r, e;

    if (pe->node->sched->enter)
        pe->node->sched->enter(pe);
    if (!pe->nic)
        return ioctl(pe->vcpu_fd, KVM_RUN, 0);
    nic_enter(pe->nic);
    if (pe->bare && bare_enter(pe) < 0) {
        nic_leave(pe->nic);
        errno = ENOTSUP;
        return -1;
    }
    r = ioctl(pe->vcpu_fd, KVM_RUN, 0);
    e = errno;
    if (pe->bare)
        bare_leave(pe);
    nic_leave(pe->nic);
    errno = e;
    return r;
}

static enum pe_why over(struct pe *pe)
{
    bridge_pe_over(pe);
    control_pe_over(pe);
    return PE_OVER;
}

enum pe_why pe_run(struct pe *pe)
{
    enum pe_why why = PE_KICKED;
    int r;

    if (pe->end != PE_RUNNING)
        return PE_OVER;
    while (atomic_load(&pe->node->end) == NODE_RUNS) {
        if (atomic_load(&pe->kicked) && !look_at_flags(pe)) /* it has faulted */
            return over(pe);
        if (pe->waiting != PE_NOT_WAITING && !wait_over(pe))
            return PE_WAITS;
        r = enter(pe);
        if (pe->node->rec) /* a posted ACK stands in a trace where it was made */
            vdtu_reg(pe->dtu, DTU_STATUS);
        why = r < 0 ? run_failed(pe, errno) : handle_exit(pe);
        if (why == PE_OVER)
            return over(pe);
    }
    return why;
}

void pe_kick(struct pe *pe)
{
    struct kvm_coalesced_mmio_ring *ring = atomic_load(&pe->ring);

    atomic_store(&pe->kicked, true);
    if (ring) /* published after pe->run */
        __atomic_store_n(&pe->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

int pe_complete(struct pe *pe)
{
    int r;

    __atomic_store_n(&pe->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    r = ioctl(pe->vcpu_fd, KVM_RUN, 0);
    if (r == 0)
        return -EBUSY; /* cannot be: immediate_exit ends KVM_RUN with EINTR */
    r = -errno;
    __atomic_store_n(&pe->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    if (atomic_load(&pe->kicked)) /* a kick meanwhile must not be lost */
        __atomic_store_n(&pe->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    return r == -EINTR ? 0 : r;
}
