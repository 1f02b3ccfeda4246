/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the fake machine share (kernel_fake.h). */
#ifndef KERNEL_FAKE_IMPL_H
#define KERNEL_FAKE_IMPL_H

#include "kernel_fake.h"

#include "../../guest/kernel/hw.h"

#define LOW_SIZE  0x24000u /* idle, Env, arguments, stack */
#define PROG_SIZE 0x10000u /* from PE_PROGRAM_ADDR */

struct fake_pe {
    uint64_t reg[DTU_WINDOW / 8];
    uint8_t low[LOW_SIZE], prog[PROG_SIZE];
    bool idle, broken;
    bool resetting; /* VREG_RESET was written and its program still runs */
    bool over;      /* it has crashed (VREG_OVER) */
    struct fake_reply reply;
    unsigned kernel;
    bool is_kernel;
    unsigned slots[DTU_EPS]; /* of a kernel: messages of kernels that have not arrived */
    uint8_t slot[SYSC_MSG_MAX] __attribute__((aligned(8))); /* in the kernel */
    bool slot_used;
    unsigned slot_at; /* in that kernel; dies with it */
    struct fake_request request;
};
extern struct fake_pe fake[FAKE_PES];

/* The heap, the console, what was cleared: as at boot. */
void fake_reset_all(void);
extern size_t heap_bytes;
/* A kernel that is dead is only forgotten: nothing that it does reaches hardware. */
extern bool fake_dead;

_Noreturn void fake_die(const char *what);

/* A message between kernels; enum semper_error. */
int fake_wire_send(const struct hw_target *to, const void *data, size_t n, unsigned reply_ep,
                   uint64_t reply_label);

#endif
