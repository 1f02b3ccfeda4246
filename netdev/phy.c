/* SPDX-License-Identifier: BSD-2-Clause */
/* The PHY, an M88E1011 at address 1, behind MDIC; and the state of the link. */
#include <string.h>

#include "internal.h"

enum { BMCR = 0, BMSR = 1, LPAR = 5, PSSR = 17 };

static const struct {
    uint16_t reset;
    bool read, write;
} phy_regs[32] = {
    [0] = {0x1140, true, true},   [1] = {0x7949, true, false},  [2] = {PHY_ID1, true, false},
    [3] = {PHY_ID2, true, false}, [4] = {0x0DE1, true, true},   [5] = {0x01E0, true, false},
    [6] = {0, true, false},       [9] = {0x0E00, true, true},   [10] = {0x3C00, true, false},
    [16] = {0x0360, true, true},  [17] = {0xA800, true, false}, [20] = {0x0D60, true, true},
    [21] = {0, true, false},
};

static void link_state(struct netdev *n, bool up)
{
    uint32_t before = MAC(n, E_STATUS);

    n->phy[BMSR] &= (uint16_t) ~(BMSR_LINK | BMSR_AN_DONE);
    n->phy[LPAR] &= (uint16_t)~LPAR_ACK;
    n->phy[PSSR] &= (uint16_t)~PSSR_LINK;
    MAC(n, E_STATUS) &= ~STATUS_LU;
    if (up) {
        n->phy[BMSR] |= BMSR_LINK | (n->phy[BMCR] & BMCR_AN_EN ? BMSR_AN_DONE : 0);
        n->phy[LPAR] |= n->phy[BMCR] & BMCR_AN_EN ? LPAR_ACK : 0;
        n->phy[PSSR] |= PSSR_LINK;
        MAC(n, E_STATUS) |= STATUS_LU;
    }
    if ((before ^ MAC(n, E_STATUS)) & STATUS_LU && up && n->config.ops->rx_ready)
        n->config.ops->rx_ready(n->config.arg);
}

void nd_phy_reset(struct netdev *n)
{
    for (unsigned i = 0; i < 32; i++)
        n->phy[i] = phy_regs[i].reset;
    n->negotiating = false;
    link_state(n, n->wire);
}

void nd_phy_negotiated(struct netdev *n)
{
    n->negotiating = false;
    link_state(n, n->wire);
    nd_irq_raise(n, ICR_LSC);
}

static void negotiate(struct netdev *n)
{
    if (n->config.autoneg_ns == 0 || !n->config.ops->now || !n->config.ops->timer) {
        nd_phy_negotiated(n);
        return;
    }
    link_state(n, false);
    n->negotiating = true;
    n->autoneg_at = nd_now(n) + n->config.autoneg_ns;
    nd_arm_timer(n);
}

/* The wire was plugged in or pulled. */
void nd_phy_link(struct netdev *n)
{
    if (n->wire && (n->phy[BMCR] & BMCR_AN_EN)) {
        negotiate(n);
        return;
    }
    nd_phy_negotiated(n);
}

static void phy_write(struct netdev *n, unsigned reg, uint32_t value)
{
    if (reg != BMCR) {
        n->phy[reg] = (uint16_t)value;
        return;
    }
    if (value & BMCR_RESET) {
        nd_phy_reset(n);
        return;
    }
    n->phy[BMCR] = (uint16_t)(value & ~(0x3Fu | BMCR_RESTART));
    if ((value & BMCR_RESTART) && (value & BMCR_AN_EN) && n->wire)
        negotiate(n);
}

void nd_mdic_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    unsigned reg = value >> 16 & 31, op = value & MDIC_OP;
    bool ok = (value >> 21 & 31) == 1;

    value &= ~(MDIC_READY | MDIC_ERROR);
    if (ok && op == MDIC_READ && phy_regs[reg].read)
        value = (value & ~0xFFFFu) | n->phy[reg];
    else if (ok && op == MDIC_WRITE && phy_regs[reg].write)
        phy_write(n, reg, value & 0xFFFF);
    else
        value |= MDIC_ERROR;
    MAC(n, offset) = value | MDIC_READY;
    if (value & MDIC_INT_EN)
        nd_irq_raise(n, ICR_MDAC);
}
