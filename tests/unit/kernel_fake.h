/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine for the kernel's host tests: PEs that consist of DTU registers, a little memory and
 * idle; a heap that counts and can fail; a console that remembers.  It implements the kernel's hw.h
 * and the parts of guest/lib that the kernel uses.
 *
 * The fake keeps the promises of the real DTU that the kernel relies on: the VPE id is compared,
 * the header is filled in by "hardware", a system call costs the credits of endpoint 0.  And it
 * ends the test where a program could meet its successor: a PE gets a VPE while its last program
 * runs, or is woken without idle.
 */
#ifndef KERNEL_FAKE_H
#define KERNEL_FAKE_H

#include "../../guest/kernel/kernel.h"

#define FAKE_PES     42u /* ids 0 (memory), 1 (kernel), 2.. */
#define FAKE_KERNELS 8u
#define FAKE_PE_MEM  (4ull << 20)
#define FAKE_MEMORY  (1ull << 20) /* free memory of the memory PE */
#define FAKE_LATER   (-1)         /* the call was not answered (yet) */

struct fake_reply {
    unsigned count; /* replies so far */
    size_t len;
    uint64_t word[30];
};

/* A machine after boot with `pes` PEs that can have VPEs; PE 2 is the first.  The rest is zero. */
void fake_boot(unsigned pes);
/* Ends all VPEs and checks that nothing is left: heap, messages, memory. */
void fake_end(void);

/*
 * So many kernels, each on a PE with `pes` for VPEs behind it, that have connected to each other;
 * their ids are 0, 1, ...  fake_boot() is one kernel.
 */
void fake_boot_many(unsigned kernels, unsigned pes);
/* The same, but they know of each other only what `configured` says, and nothing was sent yet. */
void fake_boot_apart(unsigned kernels, unsigned pes, bool configured);
/* From now on `kern` and the functions of the kernel are that one. */
void fake_use(unsigned kernel);
unsigned fake_kernels(void);
unsigned fake_kernel_pe(unsigned kernel);
/* The kernel that has that PE. */
unsigned fake_kernel_of(unsigned pe);

/* Messages between kernels: do they arrive by themselves, whenever a test has done something? */
extern bool fake_auto;
/* The oldest one arrives; false: there is none.  All; how many. */
bool fake_deliver_one(void);
unsigned fake_deliver(void);
unsigned fake_wire(void);
/*
 * One of those that are the oldest from their sender to their receiver, by number: what a network
 * may do.  False: there is none.
 */
bool fake_deliver_some(unsigned number);
/* One that another kernel might have sent, as it stands. */
void fake_kcall(unsigned from, unsigned to, const void *payload, size_t len);
void fake_kcall_header(unsigned to, unsigned ep, struct dtu_header header, const void *payload);
#define KCALL(from, to, ...) \
    fake_kcall(from, to, (uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}))
/* What the kernel sent last to that one, whether it has arrived or not. */
struct fake_kmsg {
    unsigned count; /* so far */
    size_t len;
    uint64_t word[256];
};
const struct fake_kmsg *fake_last(unsigned from, unsigned to);
/* Messages to the kernel on a dead PE fail, and what is under way to it is lost. */
void fake_kill(unsigned kernel);
/* It begins anew, with nothing. */
void fake_restart(unsigned kernel, bool configured);
/* ns pass for every kernel that lives. */
void fake_time(uint64_t ns);

/* For make test-calls: how often each number was sent in this process, [0] well, [1] badly. */
extern unsigned long fake_sys_count[SYSC_COUNT][2], fake_kc_count[KC_COUNT][2];

/* Places, starts and returns a VPE without a program on the next PE. */
struct vpe *fake_vpe(void);

/*
 * A system call of the VPE on `pe`: n words, or len bytes.  Returns the code of the reply, or
 * FAKE_LATER.
 */
int fake_call(unsigned pe, unsigned n, const uint64_t *words);
int fake_call_bytes(unsigned pe, const void *payload, size_t len);
#define CALL(pe, ...) \
    fake_call(pe, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]){__VA_ARGS__})
/* The two words of a capability range. */
#define RANGE(start, count) ((uint64_t)CRD_OBJ | (uint64_t)(start) << 32), (uint64_t)(count)

const struct fake_reply *fake_reply(unsigned pe);

/* What the kernel sent to a service: at most one message per PE, until it is answered. */
struct fake_request {
    bool there;
    uint8_t ep;
    uint64_t label, reply_label;
    size_t len;
    uint64_t word[64];
};
const struct fake_request *fake_request(unsigned pe);
/* The service on that PE answers it. */
void fake_answer(unsigned pe, unsigned n, const uint64_t *words);
#define ANSWER(pe, ...) \
    fake_answer(pe, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]){__VA_ARGS__})
/* Any message to the kernel's endpoint for services. */
void fake_srv_message(struct dtu_header header, const void *payload);
/* What the next hw_send() returns, once; 0: it works. */
extern int fake_send_error;
/* Asked before each hw_send(): an error to refuse it with, or 0; NULL: nobody is asked. */
extern unsigned (*fake_refuse)(void);

/* A message with any header, straight to the kernel's endpoint. */
void fake_message(unsigned ep, struct dtu_header header, const void *payload);

/* An endpoint word or register as the PE's DTU has it. */
uint64_t fake_reg(unsigned pe, unsigned reg);
unsigned fake_ep_type(unsigned pe, unsigned ep);

/* Until then a PE that is being reset goes on with its program, whatever that does. */
void fake_reset_ends(unsigned pe);
/* All resets end, and the kernel takes notice. */
void fake_settle(void);
/* Has the machine VREG_RESET?  true after fake_boot(). */
extern bool fake_can_reset;
/* Does the PE's CPU wait in idle? */
bool fake_in_idle(unsigned pe);
/* Its program has crashed.  (The kernel learns of it by vpe_bury(); here it can be reset.) */
void fake_over(unsigned pe);
/* Accesses to that PE fail from now on. */
void fake_break(unsigned pe, bool broken);
/* Local memory of a PE, NULL where the fake has none. */
void *fake_mem(unsigned pe, uint64_t addr, size_t n);

/* A boot module; data must live as long as it is used. */
void fake_module(const char *name, const void *data, size_t size);
/* The smallest ELF program: one segment at addr. */
size_t fake_elf(void *out, uint64_t addr, uint32_t flags, uint64_t memsz);

/* The heap: allocations that succeed before all others fail; ~0: no limit. */
extern size_t fake_heap_left;
size_t fake_heap_used(void);

/* What was printed since fake_boot(). */
const char *fake_console(void);
/* Bytes of the memory PE that the kernel set to zero since fake_boot(). */
uint64_t fake_wiped(void);
/* Commands on memory or registers of others, in all. */
extern unsigned long fake_hw_ops;

/* Are all tables, trees and endpoint books consistent?  Ends the test if not. */
void fake_check(void);

#endif
