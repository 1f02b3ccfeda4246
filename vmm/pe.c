/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a PE's virtual machine.
 *
 * Memory slots: 0 is the local memory below `split`; 1 and 4 the shim; 2 the two register pages
 * and the tables of rings and of mapped gates, read-only, so that a load costs nothing and a store
 * becomes an MMIO exit; 3 the local memory from `split` up, read-only too, so that stores there
 * leave the guest and can be dropped when they are at or above RW_BARRIER (dtu-spec 5.5).
 *
 * Taking a slot away from a VM costs milliseconds (the kernel waits for its readers), and a slot
 * cannot become read-only.  So `split` begins where a kernel will put the barrier of an
 * application: below the receive buffers.  A PE without a barrier that stores up there pays once:
 * the store is carried out for it and the slots are laid out anew.
 */
#include "pe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../include/boot.h"
#include "../include/mapped.h"
#include "exits.h"
#include "nic.h"
#include "node.h"
#include "window.h"

enum { SLOT_MEM = 0, SLOT_SHIM = 1, SLOT_REGS = 2, SLOT_ABOVE_SPLIT = 3, SLOT_SHIM_OWN = 4 };

#define PAGE 4096ull

const char *const pe_exit_names[PX_COUNT] = {
    [PX_COMMAND] = "command", [PX_REGISTER] = "register", [PX_VREG] = "vreg",
    [PX_OUTSIDE] = "outside", [PX_BARRIER] = "barrier",   [PX_HLT] = "hlt",
    [PX_GEM5] = "gem5",       [PX_PRIVILEGED] = "priv",   [PX_SSE] = "sse",
    [PX_FAULT] = "fault",     [PX_INTR] = "interrupted",  [PX_NIC] = "nic",
    [PX_OTHER] = "other",
};

static int set_slot(struct pe *pe, unsigned slot, uint64_t gpa, uint64_t size, void *host,
                    unsigned flags)
{
    struct kvm_userspace_memory_region r = {.slot = slot,
                                            .flags = flags,
                                            .guest_phys_addr = gpa,
                                            .memory_size = size,
                                            .userspace_addr = (uint64_t)(uintptr_t)host};

    return ioctl(pe->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0 ? -errno : 0;
}

/* Lays the local memory out anew; the vCPU must not be in KVM_RUN. */
static int move_split(struct pe *pe, uint64_t now)
{
    uint64_t old = pe->split;
    int r = 0;

    if (old == now)
        return 0;
    pe->split = now;
    if (old > 0)
        r = set_slot(pe, SLOT_MEM, 0, 0, pe->mem, 0);
    if (r == 0 && old < pe->mem_size)
        r = set_slot(pe, SLOT_ABOVE_SPLIT, old, 0, pe->mem + old, KVM_MEM_READONLY);
    if (r == 0 && now > 0)
        r = set_slot(pe, SLOT_MEM, 0, now, pe->mem, 0);
    if (r == 0 && now < pe->mem_size)
        r = set_slot(pe, SLOT_ABOVE_SPLIT, now, pe->mem_size - now, pe->mem + now,
                     KVM_MEM_READONLY);
    return r;
}

/* How much of the local memory the barrier leaves writable, in whole pages. */
static uint64_t writable(const struct pe *pe)
{
    uint64_t barrier = atomic_load(&pe->barrier);

    return barrier >= pe->mem_size ? pe->mem_size : barrier & ~(PAGE - 1);
}

int pe_apply_barrier(struct pe *pe)
{
    uint64_t limit = writable(pe);

    return limit < pe->split ? move_split(pe, limit) : 0;
}

bool pe_split_is_low(const struct pe *pe)
{
    return pe->split < writable(pe);
}

int pe_raise_split(struct pe *pe)
{
    return move_split(pe, writable(pe));
}

static int add_memory(struct pe *pe, void *shim, unsigned flags)
{
    uint64_t low = pe->mem_size - PE_RECVBUF_SIZE;
    int r;

    if (writable(pe) < low)
        low = writable(pe);
    pe->split = low;
    shim_reset_bounce(pe->shim);
    r = low ? set_slot(pe, SLOT_MEM, 0, low, pe->mem, 0) : 0;
    if (r == 0 && low < pe->mem_size)
        r = set_slot(pe, SLOT_ABOVE_SPLIT, low, pe->mem_size - low, pe->mem + low,
                     KVM_MEM_READONLY);
    if (r == 0)
        r = set_slot(pe, SLOT_SHIM, SHIM_GPA, SHIM_SHARED_SIZE, shim, flags);
    if (r == 0)
        r = set_slot(pe, SLOT_SHIM_OWN, SHIM_OWN_GPA, SHIM_OWN_SIZE, pe->shim, 0);
    if (r == 0)
        r = set_slot(pe, SLOT_REGS, DTU_BASE, 2 * PAGE + RING_TABLE_SIZE + MAP_TABLE_SIZE, pe->regs,
                     KVM_MEM_READONLY);
    return r;
}

/* All DTU registers but COMMAND, and ACK: their stores wait in a queue until somebody looks. */
static int add_queue(struct pe *pe)
{
    struct kvm_coalesced_mmio_zone low = {.addr = DTU_BASE, .size = DTU_COMMAND};
    struct kvm_coalesced_mmio_zone high = {.addr = DTU_BASE + DTU_COMMAND + 8,
                                           .size = DTU_WINDOW - DTU_COMMAND - 8};
    struct kvm_coalesced_mmio_zone ack = {.addr = VREG_BASE + VREG_ACK, .size = 8};

    if (ioctl(pe->vm_fd, KVM_REGISTER_COALESCED_MMIO, &low) < 0 ||
        ioctl(pe->vm_fd, KVM_REGISTER_COALESCED_MMIO, &high) < 0 ||
        ioctl(pe->vm_fd, KVM_REGISTER_COALESCED_MMIO, &ack) < 0)
        return -errno;
    return 0;
}

/* 0 where KVM does not let us, which costs a wrong RIP in a report (trap.c). */
static void set_lstar(struct pe *pe)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = {.head = {.nmsrs = 1}, .entry = {.index = 0xC0000082, .data = SHIM_LSTAR}};

    ioctl(pe->vcpu_fd, KVM_SET_MSRS, &m);
}

void pe_start_regs(const struct pe *pe, struct kvm_sregs *s, struct kvm_regs *r, uint64_t entry)
{
    shim_sregs(s);
    shim_regs(r, entry);
    if (pe->bare)
        shim_sregs_bare(s);
    if (!pe->nic || pe->bare)
        return;
    shim_own_tss(s);
    if (shim_needs_iopl())
        r->rflags |= SHIM_IOPL3;
}

static int add_vcpu(struct pe *pe, const struct kvm *kvm)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    void *run;

    pe->vcpu_fd = ioctl(pe->vm_fd, KVM_CREATE_VCPU, 0);
    if (pe->vcpu_fd < 0)
        return -errno;
    run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, pe->vcpu_fd, 0);
    if (run == MAP_FAILED)
        return -errno;
    pe->run = run;
    if (ioctl(pe->vcpu_fd, KVM_SET_CPUID2, kvm->cpuid) < 0 ||
        ioctl(pe->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    pe_start_regs(pe, &sregs, &regs, pe->entry);
    if (ioctl(pe->vcpu_fd, KVM_SET_SREGS, &sregs) < 0 ||
        ioctl(pe->vcpu_fd, KVM_SET_REGS, &regs) < 0)
        return -errno;
    set_lstar(pe);
    atomic_store_explicit(
        &pe->ring, (struct kvm_coalesced_mmio_ring *)(void *)((uint8_t *)run + kvm->coalesced_off),
        memory_order_release);
    return 0;
}

static const char *remedy(int r)
{
    switch (-r) {
    case EMFILE:
    case ENFILE:
        return "use fewer PEs or raise `ulimit -n`";
    case ENOMEM:
        return "use fewer PEs or free memory";
    default:
        return "try `sempervm doctor`";
    }
}

static int failed(const struct pe *pe, const char *what, int r, char *err, size_t errsize)
{
    snprintf(err, errsize, "PE %u: cannot %s: %s: %s", pe->id, what, strerror(-r), remedy(r));
    return r;
}

int pe_create(struct pe *pe, const struct kvm *kvm, char *err, size_t errsize)
{
    pe->vm_fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
    return pe->vm_fd < 0 ? failed(pe, "create the VM", -errno, err, errsize) : 0;
}

int pe_open(struct pe *pe, const struct kvm *kvm, char *err, size_t errsize)
{
    struct node *n = pe->node;
    uint8_t *shim = n->shim + (n->shim_readonly ? 0 : pe->place * (size_t)SHIM_SHARED_SIZE);
    int r;

    if ((r = add_memory(pe, shim, pe->node->shim_readonly ? KVM_MEM_READONLY : 0)) < 0)
        return failed(pe, "add the memory slots", r, err, errsize);
    if ((r = window_open(pe)) < 0)
        return failed(pe, "add the window for rings", r, err, errsize);
    if ((r = add_queue(pe)) < 0)
        return failed(pe, "queue register stores", r, err, errsize);
    if ((r = add_vcpu(pe, kvm)) < 0)
        return failed(pe, "create the vCPU", r, err, errsize);
    if (pe->nic && (r = nic_attach(pe->nic)) < 0)
        return failed(pe, "attach the NIC", r, err, errsize);
    return 0;
}

void pe_close(struct pe *pe)
{
    atomic_store(&pe->ring, NULL);
    if (pe->run)
        munmap(pe->run, pe->node->kvm.run_size);
    pe->run = NULL;
    if (pe->vcpu_fd >= 0)
        close(pe->vcpu_fd);
    if (pe->vm_fd >= 0)
        close(pe->vm_fd);
    pe->vcpu_fd = pe->vm_fd = -1;
    free(pe->batch);
    pe->batch = NULL;
}
