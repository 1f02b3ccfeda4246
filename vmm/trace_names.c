/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names for the numbers in a trace.
 */
#include "trace_names.h"

#include <string.h>

#include "../include/errors.h"
#include "../include/syscalls.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Where a kernel hears VPEs and other kernels (semperos-platform 7). */
enum { SYSCALL_EP_LAST = 5, KERNELCALL_EP_FIRST = 6, KERNELCALL_EP_LAST = 13 };

static const char *const ops[] = {
    [TR_SEND] = "SEND",     [TR_REPLY] = "REPLY", [TR_READ] = "READ",   [TR_WRITE] = "WRITE",
    [TR_FETCH] = "FETCH",   [TR_ACK] = "ACK",     [TR_DEBUG] = "DEBUG", [TR_SCHED] = "SCHED",
    [TR_WAIT] = "WAIT",     [TR_WAKE] = "WAKE",   [TR_EXIT] = "EXIT",   [TR_FAULT] = "FAULT",
    [TR_INJECT] = "INJECT", [TR_RESET] = "RESET", [TR_NODE] = "NODE",   [TR_WIRE] = "WIRE",
    [TR_END] = "END",
};

static const char *const errors[] = {
    [SE_OK] = "OK",
    [SE_MISS_CREDITS] = "MISS_CREDITS",
    [SE_NO_RING_SPACE] = "NO_RING_SPACE",
    [SE_VPE_GONE] = "VPE_GONE",
    [SE_NO_MAPPING] = "NO_MAPPING",
    [SE_INV_ARGS] = "INV_ARGS",
    [SE_OUT_OF_MEM] = "OUT_OF_MEM",
    [SE_NO_SUCH_FILE] = "NO_SUCH_FILE",
    [SE_NO_PERM] = "NO_PERM",
    [SE_NOT_SUP] = "NOT_SUP",
    [SE_NO_FREE_CORE] = "NO_FREE_CORE",
    [SE_INVALID_ELF] = "INVALID_ELF",
    [SE_NO_SPACE] = "NO_SPACE",
    [SE_EXISTS] = "EXISTS",
    [SE_XFS_LINK] = "XFS_LINK",
    [SE_DIR_NOT_EMPTY] = "DIR_NOT_EMPTY",
    [SE_IS_DIR] = "IS_DIR",
    [SE_IS_NO_DIR] = "IS_NO_DIR",
    [SE_EP_INVALID] = "EP_INVALID",
    [SE_RECV_GONE] = "RECV_GONE",
    [SE_END_OF_FILE] = "END_OF_FILE",
    [SE_MSGS_WAITING] = "MSGS_WAITING",
    [SE_XFS_RENAME] = "XFS_RENAME",
};

static const char *const syscalls[] = {
    [SYSC_PAGEFAULT] = "PAGEFAULT",
    [SYSC_CREATESRV] = "CREATESRV",
    [SYSC_CREATESESS] = "CREATESESS",
    [SYSC_CREATESESSAT] = "CREATESESSAT",
    [SYSC_CREATEGATE] = "CREATEGATE",
    [SYSC_CREATEVPE] = "CREATEVPE",
    [SYSC_CREATEMAP] = "CREATEMAP",
    [SYSC_ATTACHRB] = "ATTACHRB",
    [SYSC_DETACHRB] = "DETACHRB",
    [SYSC_EXCHANGE] = "EXCHANGE",
    [SYSC_VPECTRL] = "VPECTRL",
    [SYSC_DELEGATE] = "DELEGATE",
    [SYSC_OBTAIN] = "OBTAIN",
    [SYSC_ACTIVATE] = "ACTIVATE",
    [SYSC_REQMEM] = "REQMEM",
    [SYSC_DERIVEMEM] = "DERIVEMEM",
    [SYSC_REVOKE] = "REVOKE",
    [SYSC_EXIT] = "EXIT",
    [SYSC_NOOP] = "NOOP",
};
_Static_assert(COUNT(syscalls) == SYSC_COUNT, "a system call has no name");

/* semperos-platform 7.3, by number. */
static const char *const kernelcalls[] = {
    "SIGVITAL",
    "KCREATEVPE",
    "KEXIT",
    "MHTGET",
    "MHTGETTRY",
    "MHTGETLOCKING",
    "MHTPUT",
    "MHTPUTUNLOCKING",
    "MHTLOCK",
    "MHTUNLOCK",
    "MHTREMOVE",
    "MHTRESERVE",
    "MHTRELEASE",
    "MEMBERUPDATE",
    "PARTITIONMIG",
    "CREATESESSFWD",
    "CREATESESSRESP",
    "CREATESESSFAIL",
    "EXCHANGEOSESS",
    "EXCHANGEOSESSREPLY",
    "EXCHANGEOSESSACK",
    "REMOVECHILDCAPPTR",
    "RECVBUFISATTACHED",
    "RECVBUFATTACHED",
    "ANNOUNCESRV",
    "REVOKE",
    "REVOKEFINISH",
    "SHUTDOWNREQUEST",
    "SHUTDOWN",
    "ANNOUNCEKRNLS",
    "CONNECT",
    "REPLYKRNLC",
    "STARTAPPS",
};
_Static_assert(COUNT(kernelcalls) == 33, "semperos-platform 7.3");

static const char *look_up(const char *const *table, size_t count, uint32_t i)
{
    return i < count ? table[i] : NULL;
}

const char *trace_op_name(unsigned op)
{
    return look_up(ops, COUNT(ops), op);
}

const char *trace_error_name(uint32_t error)
{
    return look_up(errors, COUNT(errors), error);
}

const char *trace_syscall_name(uint32_t opcode)
{
    return look_up(syscalls, COUNT(syscalls), opcode);
}

const char *trace_kernelcall_name(uint32_t opcode)
{
    return look_up(kernelcalls, COUNT(kernelcalls), opcode);
}

/* Setting up endpoints, privileges, VPE ids: no kernel goes without. */
void trace_find_kernels(struct trace_kernels *k, const struct trace_record *r, size_t count)
{
    memset(k, 0, sizeof(*k));
    for (size_t i = 0; i < count; i++)
        if (r[i].op == TR_WRITE && r[i].result == 0 && r[i].pe < DTU_PES && r[i].peer != r[i].pe &&
            r[i].offset >= DTU_BASE && r[i].offset - DTU_BASE < DTU_WINDOW)
            k->is[r[i].pe] = true;
}

enum trace_call trace_call(const struct trace_kernels *k, const struct trace_record *r)
{
    if (r->op != TR_SEND || r->len == 0 || r->peer >= DTU_PES || !k->is[r->peer])
        return TRACE_NO_CALL;
    if (r->offset <= SYSCALL_EP_LAST)
        return TRACE_SYSCALL;
    return r->offset >= KERNELCALL_EP_FIRST && r->offset <= KERNELCALL_EP_LAST ? TRACE_KERNELCALL
                                                                               : TRACE_NO_CALL;
}

/* An opcode is 4 bytes; what stands behind it up to the next value is garbage
 * (semperos-platform 7.1). */
const char *trace_call_name(const struct trace_kernels *k, const struct trace_record *r)
{
    switch (trace_call(k, r)) {
    case TRACE_SYSCALL:
        return trace_syscall_name((uint32_t)r->first);
    case TRACE_KERNELCALL:
        return trace_kernelcall_name((uint32_t)r->first);
    default:
        return NULL;
    }
}
