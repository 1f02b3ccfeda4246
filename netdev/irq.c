/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Causes, mask and line.  The line is a function of ICR & IMS and is computed anew after every
 * change of either (e1000.md, hole 22); only with config.throttle may its rise wait for ITR.
 */
#include "internal.h"

/* May the line rise now?  If not, the timer is set to when it may. */
static bool allowed(struct netdev *n)
{
    uint64_t gap = (MAC(n, E_ITR) & 0xFFFF) * 256ull, now, before = n->irq_at;

    n->irq_at = NETDEV_NEVER;
    if (!n->config.throttle || gap == 0 || !n->config.ops->now || !n->config.ops->timer)
        return true;
    now = nd_now(n);
    if (n->irq_last == 0 || now >= n->irq_last + gap)
        return true;
    n->irq_at = n->irq_last + gap;
    if (n->irq_at != before)
        nd_arm_timer(n);
    return false;
}

void nd_irq_update(struct netdev *n)
{
    bool pending = MAC(n, E_ICR) & n->ims, level = pending && nd_pci_intx(n);

    nd_pci_irq_status(n, pending);
    if (level == n->line || (level && !allowed(n)))
        return;
    if (level) {
        n->stats.irqs++;
        if (n->config.throttle)
            n->irq_last = nd_now(n);
    }
    n->line = level;
    if (n->config.ops->irq)
        n->config.ops->irq(n->config.arg, level);
}

void nd_irq_raise(struct netdev *n, uint32_t causes)
{
    MAC(n, E_ICR) |= causes;
    nd_irq_update(n);
}

uint32_t nd_icr_read(struct netdev *n, uint32_t offset)
{
    uint32_t causes = MAC(n, offset);

    MAC(n, E_ICR) = 0;
    nd_irq_update(n);
    return causes;
}

void nd_icr_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    MAC(n, offset) &= ~value;
    nd_irq_update(n);
}

void nd_ics_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    (void)offset;
    nd_irq_raise(n, value);
}

void nd_ims_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    (void)offset;
    n->ims |= value;
    nd_irq_update(n);
}

void nd_imc_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    (void)offset;
    n->ims &= ~value;
    nd_irq_update(n);
}
