/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI function, through configuration mechanism 1, and its I/O window.
 *
 * There is one bus with one device.  CF8h selects, CFCh..CFFh carry; what is not ours reads as all
 * ones.  Linux and FreeBSD reset the chip through the I/O window: IOADDR selects a register, IODATA
 * reads or writes it.
 */
#include <string.h>

#include "internal.h"

#define COMMAND  0x04
#define BAR0     0x10
#define BAR1     0x14
#define IRQ_LINE 0x3C

#define CMD_IO     0x0001u
#define CMD_MEM    0x0002u
#define CMD_MASTER 0x0004u
#define CMD_NOINTX 0x0400u
#define CMD_MASK   0x0547u /* and parity response, SERR# */
#define ST_IRQ     0x0008u
#define ST_ABORT   0x2000u /* received master abort */
#define ST_CLEAR   0xF900u /* written 1 to clear */

void nd_pci_init(struct netdev *n)
{
    memset(n->pci, 0, sizeof(n->pci));
    n->pci_addr = 0;
    put16le(n->pci + 0x00, 0x8086);
    put16le(n->pci + 0x02, 0x100E);
    put16le(n->pci + 0x06, 0x0200); /* DEVSEL medium */
    put32le(n->pci + 0x08, 0x02000003);
    put32le(n->pci + BAR1, 1);
    put16le(n->pci + 0x2C, 0x8086);
    put16le(n->pci + 0x2E, 0x001E);
    put32le(n->pci + IRQ_LINE, 0x00FF0100); /* pin A, Min_Gnt */
}

static uint32_t command(const struct netdev *n)
{
    return get16le(n->pci + COMMAND);
}

bool nd_pci_master(const struct netdev *n)
{
    return command(n) & CMD_MASTER;
}

bool nd_pci_intx(const struct netdev *n)
{
    return !(command(n) & CMD_NOINTX);
}

static void set_status(struct netdev *n, uint32_t bit, bool on)
{
    uint32_t status = get16le(n->pci + COMMAND + 2);

    put16le(n->pci + COMMAND + 2, on ? status | bit : status & ~bit);
}

void nd_pci_abort(struct netdev *n)
{
    set_status(n, ST_ABORT, true);
}

void nd_pci_irq_status(struct netdev *n, bool asserted)
{
    set_status(n, ST_IRQ, asserted);
}

bool netdev_window(const struct netdev *n, unsigned bar, uint64_t *addr, uint64_t *size)
{
    if (bar == 0) {
        *addr = get32le(n->pci + BAR0) & ~(NETDEV_BAR0_SIZE - 1);
        *size = NETDEV_BAR0_SIZE;
        return (command(n) & CMD_MEM) && *addr;
    }
    *addr = get32le(n->pci + BAR1) & ~(NETDEV_BAR1_SIZE - 1) & 0xFFFF;
    *size = NETDEV_BAR1_SIZE;
    return bar == 1 && (command(n) & CMD_IO) && *addr;
}

static uint8_t byte_mask(unsigned reg)
{
    static const uint8_t mask[] = {
        [COMMAND] = CMD_MASK & 0xFF,
        [COMMAND + 1] = CMD_MASK >> 8,
        [0x0C] = 0xFF,
        [0x0D] = 0xFF,
        [BAR0 + 2] = 0xFE,
        [BAR0 + 3] = 0xFF,
        [BAR1] = 0xC0,
        [BAR1 + 1] = 0xFF,
        [BAR1 + 2] = 0xFF,
        [BAR1 + 3] = 0xFF,
        [IRQ_LINE] = 0xFF,
    };

    return reg < sizeof(mask) ? mask[reg] : 0;
}

static void config_write(struct netdev *n, unsigned reg, unsigned size, uint32_t value)
{
    uint32_t old = command(n);
    bool windows = false;

    for (unsigned i = 0; i < size; i++, value >>= 8) {
        unsigned at = (reg + i) & 0xFF;
        uint8_t mask = byte_mask(at), was = n->pci[at];

        n->pci[at] = (uint8_t)((was & ~mask) | (value & mask));
        if (at == COMMAND + 3)
            n->pci[at] = was & (uint8_t) ~(value & (ST_CLEAR >> 8));
        windows |= was != n->pci[at] && at >= BAR0 && at < BAR1 + 4;
    }
    windows |= (old ^ command(n)) & (CMD_IO | CMD_MEM);
    if (windows && n->config.ops->windows)
        n->config.ops->windows(n->config.arg);
    nd_irq_update(n);
    if (!(old & CMD_MASTER) && nd_pci_master(n)) {
        nd_tx_kick(n);
        if (netdev_can_receive(n) && n->config.ops->rx_ready)
            n->config.ops->rx_ready(n->config.arg);
    }
}

static bool selected(const struct netdev *n)
{
    return (n->pci_addr & 0x80FFFF00u) == (0x80000000u | (uint32_t)n->config.slot << 11);
}

static bool config_port(uint16_t port, unsigned size)
{
    return port >= 0xCFC && port + size <= 0xD00;
}

/* The offset of a register of the I/O window, or -1. */
static int io_register(const struct netdev *n, uint16_t port, unsigned size)
{
    uint64_t base, len;

    if (!netdev_window(n, 1, &base, &len) || port < base || port + size > base + len)
        return -1;
    return (int)(port - base);
}

bool netdev_port_read(struct netdev *n, uint16_t port, unsigned size, uint32_t *value)
{
    uint32_t ones = size >= 4 ? ~0u : (1u << 8 * size) - 1;
    int io = io_register(n, port, size);

    *value = ones;
    if (port == 0xCF8 && size == 4) {
        *value = n->pci_addr;
        return true;
    }
    if (config_port(port, size)) {
        unsigned reg = (n->pci_addr & 0xFC) | (port & 3);

        if (selected(n))
            *value = get32le(n->pci + (reg & 0xFC)) >> 8 * (reg & 3) & ones;
        return true;
    }
    if (io < 0)
        return false;
    *value = io == 0 ? n->io_addr : io == 4 ? nd_reg_read(n, n->io_addr) : 0;
    *value &= ones;
    return true;
}

bool netdev_port_write(struct netdev *n, uint16_t port, unsigned size, uint32_t value)
{
    int io = io_register(n, port, size);

    if (port == 0xCF8 && size == 4) {
        n->pci_addr = value & 0x80FFFFFCu;
        return true;
    }
    if (config_port(port, size)) {
        if (selected(n))
            config_write(n, (n->pci_addr & 0xFC) | (port & 3), size, value);
        return true;
    }
    if (io < 0)
        return false;
    if (size != 4)
        n->stats.bad_access++;
    else if (io == 0)
        n->io_addr = value & (NETDEV_BAR0_SIZE - 4);
    else if (io == 4)
        nd_reg_write(n, n->io_addr, value);
    return true;
}
