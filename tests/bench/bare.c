/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The baselines: KVM used directly, with nothing around the ioctl.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../include/dtu.h"
#include "../../include/vreg.h"
#include "../../vmm/kvm.h"
#include "../../vmm/shim.h"
#include "bench.h"

#define CODE_GPA 0x1000u
#define MEM_SIZE (1u << 20)

/* guest/apps/trapbench, assembled. */
static const uint8_t loop_code[] = {
    0x48, 0xBB, 0x40, 0x00, 0x00, 0xC0, 0x05, 0, 0, 0, /* movabs $COMMAND, %rbx */
    0x48, 0xBA, 0x48, 0x10, 0x00, 0xC0, 0x05, 0, 0, 0, /* movabs $WAIT, %rdx */
    0xB9, 0xE8, 0x03, 0x00, 0x00,                      /* 1: mov $1000, %ecx */
    0x48, 0xC7, 0x03, 0x15, 0x00, 0x00, 0x00,          /* 2: movq $0x15, (%rbx) */
    0xFF, 0xC9,                                        /* dec %ecx */
    0x75, 0xF5,                                        /* jnz 2b */
    0x48, 0xC7, 0x02, 0xFF, 0xFF, 0xFF, 0xFF,          /* movq $-1, (%rdx) */
    0xEB, 0xE7,                                        /* jmp 1b */
};

struct bare {
    struct kvm kvm;
    int vm, vcpu;
    struct kvm_run *run;
    uint8_t *mem, *regs, *shim, *own;
};

static int slot(int vm, unsigned n, uint64_t gpa, uint64_t size, void *host, unsigned flags)
{
    struct kvm_userspace_memory_region r = {.slot = n,
                                            .flags = flags,
                                            .guest_phys_addr = gpa,
                                            .memory_size = size,
                                            .userspace_addr = (uint64_t)(uintptr_t)host};

    return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static int start(struct bare *b)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs;

    memcpy(b->mem + CODE_GPA, loop_code, sizeof(loop_code));
    if (slot(b->vm, 0, 0, MEM_SIZE, b->mem, 0) < 0 ||
        slot(b->vm, 1, SHIM_GPA, SHIM_SHARED_SIZE, b->shim, 0) < 0 ||
        slot(b->vm, 3, SHIM_OWN_GPA, SHIM_OWN_SIZE, b->own, 0) < 0 ||
        slot(b->vm, 2, DTU_BASE, 8192, b->regs, KVM_MEM_READONLY) < 0 ||
        ioctl(b->vcpu, KVM_SET_CPUID2, b->kvm.cpuid) < 0 ||
        ioctl(b->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return -1;
    shim_sregs(&sregs);
    shim_regs(&regs, CODE_GPA);
    return ioctl(b->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(b->vcpu, KVM_SET_REGS, &regs) < 0 ? -1
                                                                                                : 0;
}

static void *anonymous(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

struct bare *bare_open(void)
{
    struct bare *b = calloc(1, sizeof(*b));
    char err[256];
    void *run;

    if (!b || kvm_open(&b->kvm, err, sizeof(err)) < 0) {
        free(b);
        return NULL;
    }
    b->mem = anonymous(MEM_SIZE);
    b->regs = anonymous(8192);
    b->own = anonymous(SHIM_OWN_SIZE);
    b->shim = anonymous(SHIM_SHARED_SIZE);
    if (b->shim)
        shim_build(b->shim);
    b->vm = ioctl(b->kvm.fd, KVM_CREATE_VM, 0);
    b->vcpu = b->vm < 0 ? -1 : ioctl(b->vm, KVM_CREATE_VCPU, 0);
    run = b->vcpu < 0 ? MAP_FAILED
                      : mmap(NULL, b->kvm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, b->vcpu, 0);
    b->run = run == MAP_FAILED ? NULL : run;
    if (!b->mem || !b->regs || !b->shim || !b->own || !b->run || start(b) < 0) {
        bare_close(b);
        return NULL;
    }
    return b;
}

void bare_close(struct bare *b)
{
    if (b->run)
        munmap(b->run, b->kvm.run_size);
    if (b->vcpu >= 0)
        close(b->vcpu);
    if (b->vm >= 0)
        close(b->vm);
    if (b->shim)
        munmap(b->shim, SHIM_SHARED_SIZE);
    if (b->own)
        munmap(b->own, SHIM_OWN_SIZE);
    if (b->mem)
        munmap(b->mem, MEM_SIZE);
    if (b->regs)
        munmap(b->regs, 8192);
    kvm_close(&b->kvm);
    free(b);
}

double bare_batch(struct bare *b)
{
    double since, took = -1;

    bench_pin(0);
    since = bench_now();
    while (ioctl(b->vcpu, KVM_RUN, 0) == 0 && b->run->exit_reason == KVM_EXIT_MMIO)
        if (b->run->mmio.phys_addr == VREG_BASE + VREG_WAIT) {
            took = bench_now() - since;
            break;
        }
    bench_unpin();
    return took;
}

bool bare_once(struct bare *b)
{
    return ioctl(b->vcpu, KVM_RUN, 0) == 0 && b->run->exit_reason == KVM_EXIT_MMIO;
}

static int create_vms(unsigned n)
{
    struct kvm k;
    char err[256];
    unsigned i;

    if (kvm_open(&k, err, sizeof(err)) < 0)
        return -1;
    for (i = 0; i < n; i++) {
        void *mem = anonymous(MEM_SIZE);
        int vm = ioctl(k.fd, KVM_CREATE_VM, 0);

        if (!mem || vm < 0 || slot(vm, 0, 0, MEM_SIZE, mem, 0) < 0 ||
            ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
            return -1;
    }
    return 0;
}

double bare_vms(unsigned n, int only_create)
{
    double since = bench_now(), created = 0;
    int p[2], status = 1;
    pid_t pid;

    if (pipe(p) < 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        char ok = (char)create_vms(n);

        _exit(write(p[1], &ok, 1) == 1 && ok == 0 ? 0 : 1);
    }
    close(p[1]);
    if (pid > 0) {
        char ok = 1;

        if (read(p[0], &ok, 1) == 1)
            created = bench_now() - since;
        waitpid(pid, &status, 0);
    }
    close(p[0]);
    if (pid < 0 || status != 0)
        return -1;
    return only_create ? created : bench_now() - since;
}
