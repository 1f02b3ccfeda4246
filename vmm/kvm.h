/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/kvm, opened once per process, and the constants of a PE's virtual machine.  Only this file
 * and its users know KVM; the rest of the VMM sees PEs.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

struct kvm {
    int fd;
    size_t run_size;      /* bytes to mmap of a vCPU */
    size_t coalesced_off; /* of the coalesced MMIO ring within them; 0: KVM has none */
    struct kvm_cpuid2 *cpuid;
};

/*
 * Opens KVM and asks it what every PE needs to know.  On failure returns -errno and writes one
 * line (what, and what to do about it) into err.
 */
int kvm_open(struct kvm *k, char *err, size_t errsize);
void kvm_close(struct kvm *k);

/* "MMIO", "SHUTDOWN" ...: the name of a KVM exit reason; "unnamed" if it has none. */
const char *kvm_exit_name(unsigned reason);
#define KVM_EXIT_NAMES 40u

#endif
