/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life of the device, and its two doors: guest memory outwards, register accesses inwards.
 *
 * The owner's accessors know only RAM.  As a second lock, what overlaps our own register window is
 * refused here, so that no descriptor can make the device operate itself (e1000.md, holes 6, 10).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct netdev *netdev_new(const struct netdev_config *config)
{
    struct netdev *n;

    if (!config->ops || !config->ops->dma_read || !config->ops->dma_write || config->slot > 31) {
        errno = EINVAL;
        return NULL;
    }
    n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->config = *config;
    n->wire = true;
    nd_regs_index(n);
    nd_eeprom_init(n);
    netdev_reset(n);
    n->stats.resets = 0;
    return n;
}

void netdev_free(struct netdev *n)
{
    free(n);
}

void netdev_reset(struct netdev *n)
{
    nd_pci_init(n);
    nd_soft_reset(n);
    nd_phy_reset(n);
    if (n->config.ops->windows)
        n->config.ops->windows(n->config.arg);
}

/* CTRL.RST: all but PCI configuration, EEPROM contents and PHY. */
void nd_soft_reset(struct netdev *n)
{
    n->stats.resets++;
    n->generation++;
    n->io_addr = 0;
    n->ims = 0;
    n->irq_at = NETDEV_NEVER;
    n->irq_last = 0;
    memset(&n->tx_plain, 0, sizeof(n->tx_plain));
    memset(&n->tx_tso, 0, sizeof(n->tx_tso));
    memset(&n->tx, 0, offsetof(struct tx_packet, data));
    nd_eeprom_reset(n);
    nd_regs_reset(n);
    if (!n->wire || n->negotiating)
        MAC(n, E_STATUS) &= ~STATUS_LU;
    nd_irq_update(n);
}

static bool own_window(const struct netdev *n, uint64_t gpa, uint32_t len)
{
    uint64_t base, size;

    return netdev_window(n, 0, &base, &size) && gpa < base + size && gpa + len > base;
}

static bool bad_range(const struct netdev *n, uint64_t gpa, uint32_t len)
{
    return gpa + len < gpa || own_window(n, gpa, len);
}

static int dma_failed(struct netdev *n)
{
    n->stats.dma_errors++;
    nd_pci_abort(n);
    return -EFAULT;
}

int nd_dma_read(struct netdev *n, uint64_t gpa, void *buf, uint32_t len)
{
    if (len == 0)
        return 0;
    if (bad_range(n, gpa, len) || n->config.ops->dma_read(n->config.arg, gpa, buf, len))
        return dma_failed(n);
    return 0;
}

int nd_dma_write(struct netdev *n, uint64_t gpa, const void *buf, uint32_t len)
{
    if (len == 0)
        return 0;
    if (bad_range(n, gpa, len) || n->config.ops->dma_write(n->config.arg, gpa, buf, len))
        return dma_failed(n);
    return 0;
}

void nd_note(struct netdev *n, const char *what, uint32_t offset)
{
    uint32_t word = (offset % NETDEV_BAR0_SIZE) / 4, bit = 1u << word % 32;

    if (n->noted[word / 32] & bit)
        return;
    n->noted[word / 32] |= bit;
    if (n->config.ops->note)
        n->config.ops->note(n->config.arg, what, offset);
}

static bool good_access(struct netdev *n, uint32_t offset, unsigned size)
{
    bool power = size == 1 || size == 2 || size == 4 || size == 8;

    if (power && offset % (size == 8 ? 4 : size) == 0 && offset < NETDEV_BAR0_SIZE &&
        size <= NETDEV_BAR0_SIZE - offset)
        return true;
    n->stats.bad_access++;
    nd_note(n, "access of odd width or alignment", offset);
    return false;
}

uint64_t netdev_mmio_read(struct netdev *n, uint32_t offset, unsigned size)
{
    uint32_t word;

    if (!good_access(n, offset, size))
        return 0;
    if (size == 8) {
        word = nd_reg_read(n, offset);
        return word | (uint64_t)nd_reg_read(n, offset + 4) << 32;
    }
    word = nd_reg_read(n, offset & ~3u) >> 8 * (offset & 3);
    return size == 4 ? word : word & ((1u << 8 * size) - 1);
}

void netdev_mmio_write(struct netdev *n, uint32_t offset, unsigned size, uint64_t value)
{
    if (!good_access(n, offset, size))
        return;
    if (size < 4) {
        n->stats.bad_access++;
        nd_note(n, "narrow write ignored", offset);
        return;
    }
    nd_reg_write(n, offset, (uint32_t)value);
    if (size == 8)
        nd_reg_write(n, offset + 4, (uint32_t)(value >> 32));
}

bool netdev_mmio_lazy(uint32_t offset)
{
    switch (offset & ~3u) {
    case E_CTRL:
    case E_EECD:
    case E_EERD:
    case E_MDIC:
    case E_ICR:
    case E_ICS:
    case E_IMS:
    case E_IMC:
    case E_RCTL:
    case E_TCTL:
    case E_TDT:
    case E_RDT:
        return false;
    default:
        return offset < 4 * REG_WORDS;
    }
}

enum netdev_rx netdev_receive(struct netdev *n, const void *frame, size_t len)
{
    if (len > NETDEV_FRAME_MAX) {
        n->stats.rx[NETDEV_RX_OVERSIZE]++;
        return NETDEV_RX_OVERSIZE;
    }
    if (!(MAC(n, E_STATUS) & STATUS_LU)) {
        n->stats.rx[NETDEV_RX_OFF]++;
        return NETDEV_RX_OFF;
    }
    return nd_receive(n, frame, (uint32_t)len);
}

bool netdev_can_receive(const struct netdev *n)
{
    return (MAC(n, E_STATUS) & STATUS_LU) && (MAC(n, E_RCTL) & RCTL_EN) && nd_pci_master(n) &&
           nd_rx_room(n);
}

bool netdev_poll(struct netdev *n)
{
    if (n->in_tx || !nd_tx_pending(n))
        return false;
    n->stats.polls++;
    return nd_tx_run(n);
}

uint64_t nd_now(const struct netdev *n)
{
    return n->config.ops->now ? n->config.ops->now(n->config.arg) : 0;
}

void nd_arm_timer(struct netdev *n)
{
    uint64_t at = n->negotiating ? n->autoneg_at : NETDEV_NEVER;

    if (n->config.ops->timer)
        n->config.ops->timer(n->config.arg, n->irq_at < at ? n->irq_at : at);
}

void netdev_tick(struct netdev *n)
{
    uint64_t now = nd_now(n);

    if (n->negotiating && now >= n->autoneg_at)
        nd_phy_negotiated(n);
    nd_irq_update(n);
    if (n->negotiating || n->irq_at != NETDEV_NEVER)
        nd_arm_timer(n);
}

void netdev_set_link(struct netdev *n, bool up)
{
    if (n->wire == up)
        return;
    n->wire = up;
    nd_phy_link(n);
}

const struct netdev_stats *netdev_stats(const struct netdev *n)
{
    return &n->stats;
}

const char *netdev_rx_name(enum netdev_rx cause)
{
    static const char *const names[] = {
        [NETDEV_RX_OK] = "received",         [NETDEV_RX_OFF] = "receiver off",
        [NETDEV_RX_NO_BUFFER] = "no buffer", [NETDEV_RX_FILTERED] = "filtered",
        [NETDEV_RX_OVERSIZE] = "oversize",   [NETDEV_RX_BAD_RING] = "bad ring",
    };

    return (unsigned)cause < NETDEV_RX_CAUSES ? names[cause] : "?";
}
