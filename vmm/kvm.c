/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening KVM.  Every refusal names the remedy, because this is the first thing that goes wrong on
 * a new user's machine.
 */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CPUID_ENTRIES 256

static const char *const exit_names[KVM_EXIT_NAMES] = {
    [KVM_EXIT_UNKNOWN] = "unknown",
    [KVM_EXIT_EXCEPTION] = "exception",
    [KVM_EXIT_IO] = "io",
    [KVM_EXIT_HYPERCALL] = "hypercall",
    [KVM_EXIT_DEBUG] = "debug",
    [KVM_EXIT_HLT] = "hlt",
    [KVM_EXIT_MMIO] = "mmio",
    [KVM_EXIT_IRQ_WINDOW_OPEN] = "irq-window",
    [KVM_EXIT_SHUTDOWN] = "shutdown",
    [KVM_EXIT_FAIL_ENTRY] = "fail-entry",
    [KVM_EXIT_INTR] = "interrupted",
    [KVM_EXIT_SET_TPR] = "set-tpr",
    [KVM_EXIT_TPR_ACCESS] = "tpr-access",
    [KVM_EXIT_NMI] = "nmi",
    [KVM_EXIT_INTERNAL_ERROR] = "internal-error",
    [KVM_EXIT_SYSTEM_EVENT] = "system-event",
    [KVM_EXIT_DCR] = "dcr",
    [KVM_EXIT_S390_SIEIC] = "s390-sieic",
    [KVM_EXIT_S390_RESET] = "s390-reset",
    [KVM_EXIT_OSI] = "osi",
    [KVM_EXIT_PAPR_HCALL] = "papr",
    [KVM_EXIT_S390_UCONTROL] = "s390-ucontrol",
    [KVM_EXIT_WATCHDOG] = "watchdog",
    [KVM_EXIT_S390_TSCH] = "s390-tsch",
    [KVM_EXIT_EPR] = "epr",
    [KVM_EXIT_S390_STSI] = "s390-stsi",
    [KVM_EXIT_IOAPIC_EOI] = "ioapic-eoi",
    [KVM_EXIT_HYPERV] = "hyperv",
    [KVM_EXIT_ARM_NISV] = "arm-nisv",
    [KVM_EXIT_DIRTY_RING_FULL] = "dirty-ring-full",
    [KVM_EXIT_AP_RESET_HOLD] = "ap-reset-hold",
    [KVM_EXIT_XEN] = "xen",
    [36] = "riscv-csr",
    [37] = "notify",
    [39] = "memory-fault", /* newer than Debian 12's headers */
    [KVM_EXIT_X86_RDMSR] = "rdmsr",
    [KVM_EXIT_X86_WRMSR] = "wrmsr",
    [KVM_EXIT_X86_BUS_LOCK] = "bus-lock",
};

const char *kvm_exit_name(unsigned reason)
{
    return reason < KVM_EXIT_NAMES && exit_names[reason] ? exit_names[reason] : "unnamed";
}

static int open_device(char *err, size_t errsize)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    fd = -errno;
    if (fd == -ENOENT)
        snprintf(err, errsize,
                 "/dev/kvm does not exist: enable virtualisation in the firmware and load the kvm "
                 "module, or use tests/stock/run.sh (QEMU)");
    else if (fd == -EACCES || fd == -EPERM)
        snprintf(err, errsize,
                 "/dev/kvm: permission denied: add yourself to the group kvm, or run as root");
    else
        snprintf(err, errsize, "/dev/kvm: %s: try `sempervm doctor`", strerror(-fd));
    return fd;
}

static int need(int fd, int cap, const char *name, char *err, size_t errsize)
{
    int r = ioctl(fd, KVM_CHECK_EXTENSION, cap);

    if (r <= 0) {
        snprintf(err, errsize, "this KVM lacks %s: use a Linux kernel of version 5.10 or newer",
                 name);
        return -ENOTSUP;
    }
    return r;
}

static int read_cpuid(struct kvm *k)
{
    size_t size = sizeof(*k->cpuid) + CPUID_ENTRIES * sizeof(k->cpuid->entries[0]);

    k->cpuid = calloc(1, size);
    if (!k->cpuid)
        return -ENOMEM;
    k->cpuid->nent = CPUID_ENTRIES;
    return ioctl(k->fd, KVM_GET_SUPPORTED_CPUID, k->cpuid) < 0 ? -errno : 0;
}

int kvm_open(struct kvm *k, char *err, size_t errsize)
{
    int r;

    memset(k, 0, sizeof(*k));
    k->fd = open_device(err, errsize);
    if (k->fd < 0)
        return k->fd;
    r = ioctl(k->fd, KVM_GET_API_VERSION, 0);
    if (r != KVM_API_VERSION) {
        snprintf(err, errsize, "/dev/kvm speaks API version %d, not %d: update the kernel", r,
                 KVM_API_VERSION);
        r = -ENOTSUP;
        goto fail;
    }
    if ((r = need(k->fd, KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM", err, errsize)) < 0 ||
        (r = need(k->fd, KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", err, errsize)) < 0 ||
        (r = need(k->fd, KVM_CAP_COALESCED_MMIO, "KVM_CAP_COALESCED_MMIO", err, errsize)) < 0)
        goto fail;
    k->coalesced_off = (size_t)r * (size_t)sysconf(_SC_PAGESIZE);
    r = ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (r < (int)sizeof(struct kvm_run)) {
        snprintf(err, errsize, "/dev/kvm: bad vCPU area of %d bytes: try `sempervm doctor`", r);
        r = -EIO;
        goto fail;
    }
    k->run_size = (size_t)r;
    r = read_cpuid(k);
    if (r < 0) {
        snprintf(err, errsize, "/dev/kvm: cannot read the supported CPUID: %s", strerror(-r));
        goto fail;
    }
    return 0;
fail:
    kvm_close(k);
    return r;
}

void kvm_close(struct kvm *k)
{
    free(k->cpuid);
    k->cpuid = NULL;
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
}
