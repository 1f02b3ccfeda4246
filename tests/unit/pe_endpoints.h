/* SPDX-License-Identifier: BSD-2-Clause */
/* How a PE's endpoints come about, for fixtures around the real vDTU: its own stores, a kernel's.
 */
#ifndef PE_ENDPOINTS_H
#define PE_ENDPOINTS_H

#include <stdlib.h>

#include "../../vdtu/vdtu.h"

/* Also for the fuzzers, which have no check library. */
#define PE_WANT(x) ((x) ? (void)0 : abort())

static inline void pe_set_ep(struct vdtu *d, unsigned ep, uint64_t r0, uint64_t r1, uint64_t r2)
{
    vdtu_store(d, DTU_EP(ep, 2), r2, 8);
    vdtu_store(d, DTU_EP(ep, 1), r1, 8);
    vdtu_store(d, DTU_EP(ep, 0), r0, 8);
}

/* The kernel's way: n words through the NoC, to registers of PE `pe`, which is d. */
static inline void pe_write_reg(struct vdtu_noc *noc, struct vdtu *d, unsigned pe, unsigned reg,
                                const uint64_t *words, unsigned n)
{
    struct vdtu_pkt pkt = {.type = VDTU_PKT_WRITE,
                           .dst_pe = (uint16_t)pe,
                           .dst_vpe = (uint16_t)vdtu_reg(d, DTU_VPE_ID),
                           .offset = DTU_BASE + reg,
                           .data = (void *)(uintptr_t)words,
                           .len = 8 * n};

    PE_WANT(vdtu_deliver(noc, &pkt) == SE_OK);
}

static inline void pe_revoke(struct vdtu_noc *noc, struct vdtu *d, unsigned pe, unsigned ep)
{
    const uint64_t zero[3] = {0, 0, 0};

    pe_write_reg(noc, d, pe, DTU_EP(ep, 0), zero, 3);
}

#endif
