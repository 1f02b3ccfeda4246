/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is KVM there and does it run a guest?  Sixteen bytes of real-mode code that add two registers
 * and write the sum to a port.  The stock-KVM test runs it first, so that a broken machine under
 * QEMU is told apart from a broken sempervm.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define LOAD_ADDR 0x1000u

static const uint8_t code[] = {
    0xba, 0xf8, 0x03, /* mov $0x3f8, %dx */
    0x00, 0xd8,       /* add %bl, %al */
    0xee,             /* out %al, (%dx) */
    0xf4,             /* hlt */
};

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int enter_at_load_addr(int vcpu)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = LOAD_ADDR, .rax = 19, .rbx = 23, .rflags = 2};

    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        return -1;
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0)
        return -1;
    return ioctl(vcpu, KVM_SET_REGS, &regs);
}

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        return fail("/dev/kvm");
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        return fail("KVM_CREATE_VM");
    uint8_t *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED)
        return fail("mmap");
    memcpy(mem, code, sizeof(code));
    struct kvm_userspace_memory_region slot = {
        .guest_phys_addr = LOAD_ADDR, .memory_size = 4096, .userspace_addr = (uintptr_t)mem};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
        return fail("KVM_SET_USER_MEMORY_REGION");
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vcpu < 0 || size < 0)
        return fail("KVM_CREATE_VCPU");
    struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED || enter_at_load_addr(vcpu) < 0)
        return fail("vcpu");
    if (ioctl(vcpu, KVM_RUN, 0) < 0)
        return fail("KVM_RUN");
    uint8_t sum = *((uint8_t *)run + run->io.data_offset);
    if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x3f8 || sum != 42) {
        fprintf(stderr, "probe: exit reason %u, sum %u\n", run->exit_reason, sum);
        return 1;
    }
    printf("kvm: API %d, a guest ran\n", ioctl(kvm, KVM_GET_API_VERSION, 0));
    return 0;
}
