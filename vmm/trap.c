/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program does that a bare CPU at CPL 3 refuses, served without touching its code
 * (kvm-notes.md "What this forces", 3): HLT, gem5's pseudo-instructions, descriptor loads, and
 * aligned SSE accesses to misaligned addresses, which gem5 never checked.
 *
 * The stub has pushed a frame and waits in its `out`; changing the frame changes where and how the
 * program goes on, so most traps cost one exit and no register access.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../include/boot.h"
#include "exits.h"
#include "fault.h"
#include "insn.h"
#include "node.h"

enum { VEC_BP = 3, VEC_UD = 6, VEC_GP = 13, VEC_PF = 14 };

#define READ_CHUNK 4096u

/* Did the program reach the guard below its stack? */
static bool overflows(struct pe *pe, unsigned vector)
{
    struct kvm_sregs s;

    return vector == VEC_PF && ioctl(pe->vcpu_fd, KVM_GET_SREGS, &s) == 0 && s.cr2 >= PE_GUARD &&
           s.cr2 < PE_GUARD + 4096;
}

static enum pe_why fault(struct pe *pe, unsigned vector)
{
    pe->exits[PX_FAULT]++;
    fault_report(pe, overflows(pe, vector) ? "#PF stack overflow" : shim_vector_name(vector), true);
    pe->end = PE_FAULTED;
    pe_tell_over(pe);
    return PE_OVER;
}

/* The program's general registers in hardware order; RSP is in the frame. */
static int read_gprs(struct pe *pe, const struct shim_frame *f, struct kvm_regs *r,
                     uint64_t gpr[16])
{
    if (ioctl(pe->vcpu_fd, KVM_GET_REGS, r) < 0)
        return -errno;
    memcpy(gpr,
           (uint64_t[16]){r->rax, r->rcx, r->rdx, r->rbx, f->rsp, r->rbp, r->rsi, r->rdi, r->r8,
                          r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15},
           16 * sizeof(uint64_t));
    return 0;
}

/* ---- gem5's pseudo-instructions: 0F 04 imm16 (semperos-platform 6) ---- */

static int set_rax(struct pe *pe, uint64_t value)
{
    struct kvm_regs r;
    int e = pe_complete(pe);

    if (e < 0 || ioctl(pe->vcpu_fd, KVM_GET_REGS, &r) < 0)
        return -EIO;
    r.rax = value;
    return ioctl(pe->vcpu_fd, KVM_SET_REGS, &r) < 0 ? -errno : 0;
}

/* Reads standard input into the PE's memory; one read, so a terminal gives a line. */
static uint64_t read_input(struct pe *pe, uint64_t addr, uint64_t max)
{
    char buf[READ_CHUNK];
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = pe->node->wake_fd, .events = POLLIN}};
    ssize_t n;

    while (poll(p, 2, -1) < 0 && errno == EINTR && atomic_load(&pe->node->end) == NODE_RUNS)
        continue;
    if (p[1].revents & POLLIN) /* the run has ended */
        return 0;
    n = read(STDIN_FILENO, buf, max < sizeof(buf) ? max : sizeof(buf));
    return n > 0 ? vdtu_mem_write(pe->dtu, addr, buf, (uint64_t)n) : 0;
}

static enum pe_why gem5_op(struct pe *pe, struct shim_frame *f, unsigned op)
{
    uint64_t gpr[16], rax;
    struct kvm_regs r;

    if (read_gprs(pe, f, &r, gpr) < 0)
        return fault(pe, VEC_UD);
    pe->exits[PX_GEM5]++;
    switch (op) {
    case GEM5_EXIT:
        return pe_exit_program(pe, 0, VREG_EXIT_MACHINE);
    case GEM5_WRITEFILE:
        rax = pe_print(pe, r.rdi, r.rsi);
        break;
    case GEM5_READFILE:
        rax = read_input(pe, r.rdi, r.rsi);
        break;
    default:
        pe->exits[PX_GEM5]--;
        return fault(pe, VEC_UD);
    }
    f->rip += 4;
    return set_rax(pe, rax) < 0 ? fault(pe, VEC_UD) : PE_KICKED;
}

/* ---- misaligned SSE ---- */

static int sse_move(struct pe *pe, const struct insn *in, uint64_t addr, enum insn_sse kind)
{
    uint64_t barrier = atomic_load(&pe->barrier);
    struct kvm_fpu fpu;
    unsigned x = insn_xmm(in);
    int r;

    /* Only then does KVM hold the program's registers and take new ones. */
    r = pe_complete(pe);
    if (r < 0)
        return r;
    if (ioctl(pe->vcpu_fd, KVM_GET_FPU, &fpu) < 0)
        return -errno;
    if (kind == INSN_SSE_STORE) {
        /* What lies at or above the barrier is dropped, as of any store (dtu-spec 5.5). */
        if (addr < barrier)
            vdtu_mem_write(pe->dtu, addr, fpu.xmm[x], barrier - addr < 16 ? barrier - addr : 16);
        return 0;
    }
    vdtu_mem_read(pe->dtu, addr, fpu.xmm[x], 16);
    return ioctl(pe->vcpu_fd, KVM_SET_FPU, &fpu) < 0 ? -errno : 0;
}

/*
 * Runs a computing instruction out of line: its operand is copied to an aligned place in the
 * shim's bounce page, the instruction is made to read it there, and a breakpoint behind it brings
 * the PE back.
 */
static int sse_out_of_line(struct pe *pe, struct shim_frame *f, const struct insn *in,
                           uint64_t addr)
{
    uint8_t *page = shim_bounce(pe->shim);
    unsigned n = insn_relocate(in, 0, page);
    int32_t disp;

    if (n == 0)
        return -EINVAL;
    disp = (int32_t)(SHIM_BOUNCE_DATA - n);
    insn_relocate(in, disp, page);
    page[n] = 0xCC;
    vdtu_mem_read(pe->dtu, addr, page + SHIM_BOUNCE_DATA, 16);
    pe->bounce.active = true;
    pe->bounce.rip = f->rip;
    pe->bounce.next = f->rip + in->len;
    pe->bounce.end = SHIM_BOUNCE_GPA + n + 1;
    f->rip = SHIM_BOUNCE_GPA;
    return 0;
}

static bool misaligned_sse(struct pe *pe, struct shim_frame *f, const struct insn *in)
{
    enum insn_sse kind = insn_sse(in);
    struct kvm_regs r;
    uint64_t gpr[16], addr;

    if (kind == INSN_SSE_NONE || read_gprs(pe, f, &r, gpr) < 0)
        return false;
    addr = insn_address(in, gpr, f->rip);
    if (addr % 16 == 0 || addr > pe->mem_size || pe->mem_size - addr < 16)
        return false;
    if (kind == INSN_SSE_OTHER) {
        if (sse_out_of_line(pe, f, in, addr) < 0)
            return false;
    } else {
        uint64_t next = f->rip + in->len;

        if (sse_move(pe, in, addr, kind) < 0)
            return false;
        f->rip = next;
    }
    pe->exits[PX_SSE]++;
    return true;
}

/* The breakpoint behind an instruction that ran out of line, or a fault within it. */
static bool bounce_back(struct pe *pe, struct shim_frame *f, unsigned vector)
{
    if (!pe->bounce.active)
        return false;
    pe->bounce.active = false;
    if (vector == VEC_BP && f->rip == pe->bounce.end) {
        f->rip = pe->bounce.next;
        return true;
    }
    f->rip = pe->bounce.rip; /* report where the program thinks it was */
    return false;
}

/* ---- dispatch ---- */

/*
 * kvm_pvm first tries to emulate what the CPU refused with #GP, and raises #UD for what its
 * emulator does not know: both vectors mean the same here.
 */
/*
 * `syscall` is disabled (EFER.SCE is 0) and raises #UD; kvm_pvm goes to LSTAR all the same, where
 * the shim has an undefined instruction.  RCX then points behind the syscall.
 */
static void undo_syscall(struct pe *pe, struct shim_frame *f)
{
    uint64_t gpr[16];
    struct kvm_regs r;

    if (f->rip == SHIM_LSTAR && read_gprs(pe, f, &r, gpr) == 0)
        f->rip = r.rcx - 2;
}

static enum pe_why refused(struct pe *pe, struct shim_frame *f, unsigned vector)
{
    uint8_t bytes[INSN_MAX];
    struct insn in;
    uint64_t n;

    undo_syscall(pe, f);
    n = vdtu_mem_read(pe->dtu, f->rip, bytes, sizeof(bytes));

    if (vector == VEC_UD && n >= 4 && bytes[0] == 0x0F && bytes[1] == 0x04)
        return gem5_op(pe, f, (unsigned)(bytes[2] | bytes[3] << 8));
    if (!insn_decode(bytes, n, &in))
        return fault(pe, vector);
    if (in.map == 0 && in.opcode == 0xF4) {
        pe->exits[PX_HLT]++;
        f->rip += in.len;
        pe_wait_begin(pe, PE_WAIT_HLT, VREG_WAIT_FOREVER);
        return PE_KICKED;
    }
    if (insn_is_noop(&in)) {
        pe->exits[PX_PRIVILEGED]++;
        f->rip += in.len;
        return PE_KICKED;
    }
    if (misaligned_sse(pe, f, &in))
        return PE_KICKED;
    return fault(pe, vector);
}

enum pe_why trap_handle(struct pe *pe, unsigned vector)
{
    struct shim_frame *f = shim_frame(pe->shim);

    if (bounce_back(pe, f, vector))
        return PE_KICKED;
    if (vector == VEC_GP || vector == VEC_UD)
        return refused(pe, f, vector);
    return fault(pe, vector);
}
