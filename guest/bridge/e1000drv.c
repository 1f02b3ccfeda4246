/* SPDX-License-Identifier: BSD-2-Clause */
/* The 82540EM: finding it, setting it up, its interrupts.  See e1000drv.h; rings: e1000ring.c. */
#include "e1000drv.h"

#include "e1000hw.h"
#include "str.h"

#define RESET_POLLS  200u /* of RESET_GAP each; the manual: some ms until the EEPROM is loaded */
#define RESET_GAP    1000000ull
#define EEPROM_POLLS 1000u
#define EEPROM_GAP   10000ull

#define IRQS (HW_INT_LSC | HW_INT_RXDMT0 | HW_INT_RXO | HW_INT_RXT0)

static uint32_t rd(const struct e1000 *d, uint32_t reg)
{
    return d->bus.reg_read(d->bus.arg, d->bar + reg);
}

static void wr(const struct e1000 *d, uint32_t reg, uint32_t value)
{
    d->bus.reg_write(d->bus.arg, d->bar + reg, value);
}

static uint32_t pci_read(const struct e1000 *d, unsigned slot, unsigned reg)
{
    d->bus.port_out(d->bus.arg, PCI_ADDR, PCI_ENABLE | slot << 11 | reg);
    return d->bus.port_in(d->bus.arg, PCI_DATA);
}

static void pci_write(const struct e1000 *d, unsigned slot, unsigned reg, uint32_t value)
{
    d->bus.port_out(d->bus.arg, PCI_ADDR, PCI_ENABLE | slot << 11 | reg);
    d->bus.port_out(d->bus.arg, PCI_DATA, value);
}

/* Function 0 of each slot of bus 0 is where a PE's or a PC's 82540EM is. */
static bool pci_setup(struct e1000 *d, const char **why)
{
    unsigned slot = 0;
    uint32_t command, bar;

    while (slot < 32 && pci_read(d, slot, 0) != PCI_ID_82540EM)
        slot++;
    if (slot == 32) {
        *why = "no 82540EM on PCI bus 0";
        return false;
    }
    bar = pci_read(d, slot, PCI_BAR0);
    if (bar & 1) {
        *why = "its BAR 0 is not memory";
        return false;
    }
    if ((bar & ~0xFu) == 0) {
        pci_write(d, slot, PCI_BAR0, E1000_BAR_HERE);
        bar = pci_read(d, slot, PCI_BAR0);
    }
    d->bar = bar & ~(E1000_BAR_SIZE - 1);
    if (d->bar == 0) {
        *why = "its BAR 0 cannot be set";
        return false;
    }
    /* The status half is write-1-clears: writing zeros leaves it. */
    command = pci_read(d, slot, PCI_COMMAND) & 0xFFFF & ~PCI_CMD_NOINTX;
    pci_write(d, slot, PCI_COMMAND, command | PCI_CMD_MEM | PCI_CMD_MASTER);
    return true;
}

static bool eeprom_word(const struct e1000 *d, unsigned word, uint16_t *value)
{
    uint32_t v;

    wr(d, HW_EERD, HW_EERD_START | word << 8);
    for (unsigned i = 0; i < EEPROM_POLLS; i++) {
        v = rd(d, HW_EERD);
        if (v & HW_EERD_DONE) {
            *value = (uint16_t)(v >> 16);
            return true;
        }
        d->bus.delay(d->bus.arg, EEPROM_GAP);
    }
    return false;
}

/* From the EEPROM; where that does not answer, what the device loaded from it into RA 0. */
static bool read_mac(struct e1000 *d)
{
    uint32_t low, high;
    uint16_t w[3];

    if (!eeprom_word(d, 0, &w[0]) || !eeprom_word(d, 1, &w[1]) || !eeprom_word(d, 2, &w[2])) {
        low = rd(d, HW_RAL0);
        high = rd(d, HW_RAH0);
        if (!(high & HW_RAH_AV))
            return false;
        w[0] = (uint16_t)low;
        w[1] = (uint16_t)(low >> 16);
        w[2] = (uint16_t)high;
    }
    for (unsigned i = 0; i < 6; i++)
        d->mac[i] = (uint8_t)(w[i / 2] >> (i % 2 * 8));
    return !(d->mac[0] & 1) &&
           (d->mac[0] | d->mac[1] | d->mac[2] | d->mac[3] | d->mac[4] | d->mac[5]) != 0;
}

/* 14.3: interrupts and both directions off before the reset, interrupts off again behind it. */
static bool hw_reset(struct e1000 *d)
{
    unsigned i;

    wr(d, HW_IMC, ~0u);
    wr(d, HW_RCTL, 0);
    wr(d, HW_TCTL, 0);
    wr(d, HW_CTRL, rd(d, HW_CTRL) | HW_CTRL_RST);
    /* Not to be accessed for a microsecond. */
    d->bus.delay(d->bus.arg, RESET_GAP);
    for (i = 0; i < RESET_POLLS && (rd(d, HW_CTRL) & HW_CTRL_RST); i++)
        d->bus.delay(d->bus.arg, RESET_GAP);
    if (i == RESET_POLLS)
        return false;
    wr(d, HW_IMC, ~0u);
    rd(d, HW_ICR);
    d->stats.resets++;
    return true;
}

static void setup_filters(struct e1000 *d)
{
    const uint8_t *m = d->mac;

    wr(d, HW_RAL0, m[0] | (uint32_t)m[1] << 8 | (uint32_t)m[2] << 16 | (uint32_t)m[3] << 24);
    wr(d, HW_RAH0, m[4] | (uint32_t)m[5] << 8 | HW_RAH_AV);
    for (unsigned i = 0; i < 128; i++)
        wr(d, HW_MTA + 4 * i, d->mta[i]);
}

static void setup_rings(struct e1000 *d)
{
    uint64_t rx = d->dma_addr, tx = rx + 16ull * E1000_RX_RING;

    wr(d, HW_RDBAL, (uint32_t)rx);
    wr(d, HW_RDBAH, (uint32_t)(rx >> 32));
    wr(d, HW_RDLEN, 16 * E1000_RX_RING);
    wr(d, HW_RDH, 0);
    wr(d, HW_RDT, 0);
    wr(d, HW_RDTR, 0);
    wr(d, HW_TDBAL, (uint32_t)tx);
    wr(d, HW_TDBAH, (uint32_t)(tx >> 32));
    wr(d, HW_TDLEN, 16 * E1000_TX_RING);
    wr(d, HW_TDH, 0);
    wr(d, HW_TDT, 0);
    wr(d, HW_TIDV, 0);
}

void e1000_rings_init(struct e1000 *d);

bool e1000_reset(struct e1000 *d)
{
    if (!hw_reset(d))
        return false;
    /* Copper: the PHY negotiates, the MAC follows its speed; no flow control (13.4.1, 8.5). */
    wr(d, HW_CTRL, HW_CTRL_SLU | HW_CTRL_ASDE | HW_CTRL_FD);
    wr(d, HW_FCAL, 0);
    wr(d, HW_FCAH, 0);
    wr(d, HW_FCT, 0);
    wr(d, HW_FCTTV, 0);
    wr(d, HW_ITR, 0);
    setup_filters(d);
    e1000_rings_init(d);
    setup_rings(d);
    wr(d, HW_TIPG, HW_TIPG_SETUP);
    wr(d, HW_TCTL, HW_TCTL_SETUP);
    wr(d, HW_RCTL, HW_RCTL_SETUP);
    /* One descriptor stays the driver's: head = tail means that the device has none. */
    wr(d, HW_RDT, E1000_RX_RING - 1);
    wr(d, HW_IMS, IRQS);
    d->link = rd(d, HW_STATUS) & HW_STATUS_LU;
    return true;
}

bool e1000_open(struct e1000 *d, const struct e1000_bus *bus, void *dma, uint64_t dma_addr,
                const char **why)
{
    memset(d, 0, sizeof(*d));
    d->bus = *bus;
    d->dma = dma;
    d->dma_addr = dma_addr;
    if (!pci_setup(d, why))
        return false;
    *why = "it does not come out of its reset";
    if (!hw_reset(d))
        return false;
    *why = "it has no MAC address";
    if (!read_mac(d))
        return false;
    *why = "it does not come out of its second reset";
    return e1000_reset(d);
}

void e1000_multicast(struct e1000 *d, const uint8_t mac[6])
{
    uint32_t hash = (mac[4] >> 4 | (uint32_t)mac[5] << 4) & 0xFFF; /* 13.5.1, MO 0 */

    d->mta[hash / 32] |= 1u << hash % 32;
    wr(d, HW_MTA + 4 * (hash / 32), d->mta[hash / 32]);
}

void e1000_irq(struct e1000 *d)
{
    e1000_causes(d, rd(d, HW_ICR));
}

void e1000_causes(struct e1000 *d, uint32_t causes)
{
    if (causes == 0)
        return;
    d->stats.irqs++;
    if (causes & HW_INT_RXO)
        d->stats.overruns++;
    if (causes & HW_INT_LSC)
        d->link = rd(d, HW_STATUS) & HW_STATUS_LU;
}
