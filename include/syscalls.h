/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls as they travel from a VPE's endpoint 0 to its kernel (semperos-platform 7.1, 7.2).
 * Every value starts at a multiple of 8 bytes; only its own bytes are defined, the padding is
 * garbage.  The first value of every reply is the error code (errors.h).
 */
#ifndef SEMPER_SYSCALLS_H
#define SEMPER_SYSCALLS_H

#include <stdint.h>

enum syscall_op {
    SYSC_PAGEFAULT = 0,
    SYSC_CREATESRV = 1,
    SYSC_CREATESESS = 2,
    SYSC_CREATESESSAT = 3,
    SYSC_CREATEGATE = 4,
    SYSC_CREATEVPE = 5,
    SYSC_CREATEMAP = 6,
    SYSC_ATTACHRB = 7,
    SYSC_DETACHRB = 8,
    SYSC_EXCHANGE = 9,
    SYSC_VPECTRL = 10,
    SYSC_DELEGATE = 11,
    SYSC_OBTAIN = 12,
    SYSC_ACTIVATE = 13,
    SYSC_REQMEM = 14,
    SYSC_DERIVEMEM = 15,
    SYSC_REVOKE = 16,
    SYSC_EXIT = 17,
    SYSC_NOOP = 18,
    SYSC_COUNT = 19,
};

/*
 * Ours: a NOOP with this as its second value is answered with the time-stamp ticks that the VPE's
 * system call before it took in the kernel, from its fetch to just before its answer.  The original
 * does not look at what stands behind the number, and answers with the error code alone.
 */
#define SYSC_NOOP_TIME 0x454D49544C4E524Bull

enum vpectrl_op { VPECTRL_START = 0, VPECTRL_WAIT = 1 };
#define VPE_CRASHED 139 /* exit code, with our kernel, of a VPE that ended without EXIT */

#define CAP_INVALID  0xFFFFu /* no capability */
#define CAP_SELF_VPE 0u      /* selector of one's own VPE */
#define CAP_SELF_MEM 1u      /* selector of one's own memory */

enum crd_type { CRD_OBJ = 0, CRD_MAP = 1 };

/* A range of capability selectors; 12 bytes in 16. */
struct cap_range {
    uint32_t type;
    uint32_t start;
    uint32_t count;
};
_Static_assert(sizeof(struct cap_range) == 12, "semperos-platform 7.1");

#endif
