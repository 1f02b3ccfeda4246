/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the kernel can do to the world outside its PE.  hw.c does it with the DTU; the unit
 * tests and the fuzzer bring their own.  Functions return enum semper_error.
 */
#ifndef KERNEL_HW_H
#define KERNEL_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtu.h"

/*
 * n bytes from or to local address addr of a PE, whose VPE id must be vpe; addresses from DTU_BASE
 * on are its DTU's registers, from VREG_BASE on those of the page behind them.  SE_VPE_GONE: it has
 * another VPE id.
 */
int hw_read(unsigned pe, unsigned vpe, uint64_t addr, void *buf, size_t n);
int hw_write(unsigned pe, unsigned vpe, uint64_t addr, const void *buf, size_t n);

/* Memory [addr, end) of a PE becomes zero. */
int hw_wipe(unsigned pe, unsigned vpe, uint64_t addr, uint64_t end);

/* One register of a PE's DTU. */
int hw_set_reg(unsigned pe, unsigned vpe, unsigned reg, uint64_t value);

/* Have PEs the register VREG_RESET? */
bool hw_can_reset(void);

/* Where a message goes. */
struct hw_target {
    uint16_t pe, vpe;
    uint8_t ep;
    uint64_t label;
};
/* Sends n bytes; the answer comes to endpoint reply_ep with reply_label. */
int hw_send(const struct hw_target *to, const void *data, size_t n, unsigned reply_ep,
            uint64_t reply_label);

/* The time-stamp counter; only for telling a VPE how long its call took. */
uint64_t hw_ticks(void);

/* Answers a system call, or drops it; either frees the slot. */
int hw_reply(unsigned ep, const struct dtu_header *msg, const void *data, size_t n);
void hw_ack(unsigned ep, const struct dtu_header *msg);

#endif
