/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names for the numbers in a trace.
 *
 * A message says nowhere that it is a system call or a kernel call: what makes it one is that it
 * goes to a kernel, and to which of its endpoints (semperos-platform 7, 7.2, 7.3).  A kernel is
 * known by its deeds: only a privileged PE can write the registers of another's DTU.
 */
#ifndef VMM_TRACE_NAMES_H
#define VMM_TRACE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/dtu.h"
#include "trace.h"

/* Static strings in upper case ("SEND", "NO_RING_SPACE", "OBTAIN", "MHTGET"); NULL: no such. */
const char *trace_op_name(unsigned op);
const char *trace_error_name(uint32_t error);
const char *trace_syscall_name(uint32_t opcode);
const char *trace_kernelcall_name(uint32_t opcode);

/* The PEs that are kernels. */
struct trace_kernels {
    bool is[DTU_PES];
};
void trace_find_kernels(struct trace_kernels *k, const struct trace_record *r, size_t count);

enum trace_call { TRACE_NO_CALL, TRACE_SYSCALL, TRACE_KERNELCALL };

/* Which kind of call a record is the sending of. */
enum trace_call trace_call(const struct trace_kernels *k, const struct trace_record *r);

/* The call's name, NULL if it is none or has none. */
const char *trace_call_name(const struct trace_kernels *k, const struct trace_record *r);

/* A DTU command, SEND to DEBUG, whose result is an error code. */
static inline bool trace_is_command(const struct trace_record *r)
{
    return r->op >= TR_SEND && r->op <= TR_DEBUG;
}

/* A command that failed, a fault, or an end with a status other than 0. */
static inline bool trace_is_error(const struct trace_record *r)
{
    return r->op == TR_FAULT || ((trace_is_command(r) || r->op == TR_EXIT) && r->result != 0);
}

#endif
