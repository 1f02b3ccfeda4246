/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hw.h by means of the DTU.  Endpoint 14 is configured anew for each operation (dtu-spec 8.2),
 * except for messages that can go by a ring; unlike the original, errors are looked at.
 */
#include "hw.h"

#include "dtu_drv.h"
#include "kernel.h"
#include "ring_lib.h"

static void config_mem(unsigned pe, unsigned vpe, uint64_t addr, size_t n)
{
    const uint64_t words[3] = {dtu_mem_r0(n), addr, dtu_mem_r2(pe, vpe, DTU_PERM_RW)};

    dtu_config_for_command(KERN_EP_SCRATCH, words);
}

int hw_read(unsigned pe, unsigned vpe, uint64_t addr, void *buf, size_t n)
{
    config_mem(pe, vpe, addr, n);
    return (int)dtu_read(KERN_EP_SCRATCH, buf, n, 0);
}

int hw_write(unsigned pe, unsigned vpe, uint64_t addr, const void *buf, size_t n)
{
    config_mem(pe, vpe, addr, n);
    return (int)dtu_write(KERN_EP_SCRATCH, buf, n, 0);
}

int hw_wipe(unsigned pe, unsigned vpe, uint64_t addr, uint64_t end)
{
    static uint8_t zero[65536]; /* not const: .bss, not part of the file */
    int err = SE_OK;

    while (addr < end && err == SE_OK) {
        size_t n = end - addr < sizeof(zero) ? end - addr : sizeof(zero);

        err = hw_write(pe, vpe, addr, zero, n);
        addr += n;
    }
    return err;
}

int hw_set_reg(unsigned pe, unsigned vpe, unsigned reg, uint64_t value)
{
    return hw_write(pe, vpe, DTU_BASE + reg, &value, sizeof(value));
}

bool hw_can_reset(void)
{
    return vreg_has(VREG_F_RESET);
}

int hw_send(const struct hw_target *to, const void *data, size_t n, unsigned reply_ep,
            uint64_t reply_label)
{
    const struct ring_to where = {to->pe, to->vpe, to->ep, to->label};
    const uint64_t words[3] = {dtu_send_r0(to->vpe, (unsigned)(n + sizeof(struct dtu_header))),
                               dtu_send_r1(to->pe, to->ep, DTU_CREDITS_UNLIM), to->label};
    unsigned err = RING_TRAP;

    /* A service has one endpoint for us and its clients: what a client sends when its call has been
     * answered must not overtake what that call made us send, as it could by another ring. */
    if (reply_ep != KERN_EP_SRV)
        err = ring_send_to(&ring_self, &where, data, n, reply_ep, reply_label);
    if (err != RING_TRAP)
        return (int)err;
    dtu_config_for_command(KERN_EP_SCRATCH, words);
    return (int)dtu_send(KERN_EP_SCRATCH, data, n, reply_ep, reply_label);
}

uint64_t hw_ticks(void)
{
    return __builtin_ia32_rdtsc();
}

int hw_reply(unsigned ep, const struct dtu_header *msg, const void *data, size_t n)
{
    return (int)dtu_reply(ep, msg, data, n);
}

void hw_ack(unsigned ep, const struct dtu_header *msg)
{
    dtu_ack(ep, msg);
}
