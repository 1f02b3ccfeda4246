/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * External commands (dtu-spec 2.6) and what is left of sleeping (6.3, 12.4): the DTU tells its
 * owner that there is a reason to run, and remembers a WAKEUP that found nobody asleep.
 */
#include "internal.h"
#include "map.h"
#include "ring.h"

void vdtu_wake(struct vdtu *d)
{
    if (d->ops.wake)
        d->ops.wake(d->arg);
}

void vdtu_latch(struct vdtu *d)
{
    d->wakeup = true;
    vdtu_wake(d);
}

void vdtu_ext_command(struct vdtu *d, uint64_t value)
{
    unsigned op = value & 7;

    d->stats.ext_cmds[op]++;
    switch (op) {
    case DTU_EXT_WAKEUP:
        vdtu_latch(d);
        break;
    case DTU_EXT_INV_PAGE: /* no TLB and no cache to invalidate */
    case DTU_EXT_INV_TLB:
    case DTU_EXT_INV_CACHE:
        break;
    case DTU_EXT_INJECT_IRQ:
        if (d->ops.irq)
            d->ops.irq(d->arg, (uint8_t)(value >> 3));
        break;
    default:
        d->stats.ignored_noc++;
    }
}

void vdtu_wakeup(struct vdtu *d)
{
    vdtu_lock(d);
    vdtu_latch(d);
    vdtu_unlock(d);
}

/* What is there besides messages; consumed. */
static unsigned take_latched(struct vdtu *d)
{
    unsigned why = d->wakeup ? VDTU_WAKEUP : 0;

    d->wakeup = false;
    if (__atomic_load_n(&d->belled, __ATOMIC_RELAXED) &&
        __atomic_exchange_n(&d->belled, false, __ATOMIC_SEQ_CST))
        why |= VDTU_BELL;
    return why;
}

unsigned vdtu_poll(struct vdtu *d)
{
    unsigned why;

    vdtu_lock(d);
    why = take_latched(d) | (vdtu_get(d, DTU_MSG_CNT) ? VDTU_MESSAGE : 0);
    vdtu_unlock(d);
    return why;
}

unsigned vdtu_poll_ep(struct vdtu *d, unsigned ep)
{
    unsigned why;
    uint64_t r0;

    vdtu_lock(d);
    r0 = vdtu_get(d, DTU_EP(ep, 0));
    why = take_latched(d);
    if (dtu_ep_type(r0) != DTU_EP_RECV)
        why |= VDTU_WAKEUP;
    else if (r0 & 0xFFFF) /* unread messages (dtu-spec 1.4) */
        why |= VDTU_MESSAGE;
    vdtu_unlock(d);
    return why;
}

void vdtu_reset_cpu(struct vdtu *d, void (*wipe)(void *arg))
{
    unsigned off;

    vdtu_ring_disable(d);
    vdtu_map_disable(d);
    vdtu_lock(d); /* the old program's queued stores are applied, then what they did goes */
    for (off = DTU_COMMAND; off < DTU_EP0; off += 8)
        vdtu_set(d, off, 0);
    d->wakeup = false;
    vdtu_map_vpe_changed(d); /* what is to be zero must not be shown */
    if (wipe)
        wipe(d->arg);
    vdtu_unlock(d);
}
