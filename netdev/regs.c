/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers, one row each: where, how many, reset value, which bits can be read and written,
 * and functions where storing is not all.  Nothing else decides what a register access does.
 * Reading applies the read mask to what the read function, or the store, gives; a write function
 * gets the masked value and does the storing itself.
 */
#include "internal.h"

typedef uint32_t (*read_fn)(struct netdev *n, uint32_t offset);
typedef void (*write_fn)(struct netdev *n, uint32_t offset, uint32_t value);

#define ALL (~0u)

static void ctrl_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    if (value & CTRL_PHY_RST)
        nd_phy_reset(n);
    if (value & CTRL_RST) {
        nd_soft_reset(n);
        return;
    }
    MAC(n, offset) = value & ~CTRL_PHY_RST;
}

static uint32_t ims_read(struct netdev *n, uint32_t offset)
{
    (void)offset;
    return n->ims;
}

static uint32_t ics_read(struct netdev *n, uint32_t offset)
{
    (void)offset;
    return MAC(n, E_ICR);
}

/* A write that may let waiting frames in. */
static void rx_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    MAC(n, offset) = value;
    if (netdev_can_receive(n) && n->config.ops->rx_ready)
        n->config.ops->rx_ready(n->config.arg);
}

static void tx_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    MAC(n, offset) = value;
    nd_tx_kick(n);
}

static void itr_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    MAC(n, offset) = value;
    nd_irq_update(n);
}

static const struct reg {
    uint16_t offset, count; /* count: consecutive words */
    uint32_t reset, rmask, wmask;
    read_fn read;
    write_fn write;
    const char *name;
} table[] = {
    {E_CTRL, 1, 0x00140240, ALL, ALL, 0, ctrl_write, "CTRL"},
    {E_STATUS, 1, 0x80080783, ALL, 0, 0, 0, "STATUS"},
    {E_EECD, 1, 0, ALL, ALL, nd_eecd_read, nd_eecd_write, "EECD"},
    {E_EERD, 1, 0, ALL, 0xFF01, nd_eerd_read, 0, "EERD"},
    {0x0018, 2, 0, 0, ALL, 0, 0, "CTRL_EXT FLA"},
    {E_MDIC, 1, MDIC_READY, ALL, ALL, 0, nd_mdic_write, "MDIC"},
    {0x0028, 3, 0, ALL, ALL, 0, 0, "FCAL FCAH FCT"},
    {E_VET, 1, 0x8100, 0xFFFF, 0xFFFF, 0, 0, "VET"},
    {E_ICR, 1, 0, ALL, ALL, nd_icr_read, nd_icr_write, "ICR"},
    {E_ITR, 1, 0, 0xFFFF, 0xFFFF, 0, itr_write, "ITR"},
    {E_ICS, 1, 0, ALL, ALL, ics_read, nd_ics_write, "ICS"},
    {E_IMS, 1, 0, ALL, ALL, ims_read, nd_ims_write, "IMS"},
    {E_IMC, 1, 0, 0, ALL, 0, nd_imc_write, "IMC"},
    {E_RCTL, 1, 0, ALL, ALL, 0, rx_write, "RCTL"},
    {0x0170, 1, 0, 0xFFFF, 0xFFFF, 0, 0, "FCTTV"},
    {0x0178, 1, 0, ALL, ALL, 0, 0, "TXCW"},
    {0x0180, 1, 0, ALL, 0, 0, 0, "RXCW"},
    {E_TCTL, 1, 0, ALL, ALL, 0, tx_write, "TCTL"},
    {0x0410, 1, 0, ALL, ALL, 0, 0, "TIPG"},
    {0x0448, 1, 0, ALL, ALL, 0, 0, "TBT"},
    {0x0458, 1, 0, 0xFFFF, 0xFFFF, 0, 0, "AIT"},
    {0x0E00, 1, 0x0602, ALL, ALL, 0, 0, "LEDCTL"},
    {0x1000, 1, 0x00100030, ALL, ALL, 0, 0, "PBA"},
    {0x2160, 1, 0, ALL, ALL, 0, 0, "FCRTL"},
    {0x2168, 1, 0, ALL, ALL, 0, 0, "FCRTH"},
    {0x2410, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "RDFH"},
    {0x2418, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "RDFT"},
    {0x2420, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "RDFHS"},
    {0x2428, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "RDFTS"},
    {0x2430, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "RDFPC"},
    {E_RDBAL, 1, 0, ALL, 0xFFFFFFF0, 0, 0, "RDBAL"},
    {E_RDBAH, 1, 0, ALL, ALL, 0, 0, "RDBAH"},
    {E_RDLEN, 1, 0, ALL, 0xFFF80, 0, 0, "RDLEN"},
    {E_RDH, 1, 0, ALL, 0xFFFF, 0, 0, "RDH"},
    {E_RDT, 1, 0, ALL, 0xFFFF, 0, rx_write, "RDT"},
    {0x2820, 1, 0, 0xFFFF, 0xFFFF, 0, 0, "RDTR"},
    {0x2828, 1, 0, ALL, ALL, 0, 0, "RXDCTL"},
    {0x282C, 1, 0, 0xFFFF, 0xFFFF, 0, 0, "RADV"},
    {0x2C00, 1, 0, ALL, ALL, 0, 0, "RSRPD"},
    {0x3410, 1, 0, 0x7FF, 0x7FF, 0, 0, "TDFH"},
    {0x3418, 1, 0, 0x7FF, 0x7FF, 0, 0, "TDFT"},
    {0x3420, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "TDFHS"},
    {0x3428, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "TDFTS"},
    {0x3430, 1, 0, 0x1FFF, 0x1FFF, 0, 0, "TDFPC"},
    {E_TDBAL, 1, 0, ALL, 0xFFFFFFF0, 0, 0, "TDBAL"},
    {E_TDBAH, 1, 0, ALL, ALL, 0, 0, "TDBAH"},
    {E_TDLEN, 1, 0, ALL, 0xFFF80, 0, 0, "TDLEN"},
    {E_TDH, 1, 0, ALL, 0xFFFF, 0, 0, "TDH"},
    {E_TDT, 1, 0, ALL, 0xFFFF, 0, tx_write, "TDT"},
    {0x3820, 1, 0, 0xFFFF, 0xFFFF, 0, 0, "TIDV"},
    {0x3828, 1, 0, ALL, ALL, 0, 0, "TXDCTL"},
    {0x382C, 1, 0, 0xFFFF, 0xFFFF, 0, 0, "TADV"},
    {0x3830, 1, 0, ALL, ALL, 0, 0, "TSPMT"},
    {E_STATS, 64, 0, ALL, 0, nd_stat_read, 0, "statistics"},
    {E_RXCSUM, 1, 0, ALL, ALL, 0, 0, "RXCSUM"},
    {E_MTA, 128, 0, ALL, ALL, 0, 0, "MTA"},
    {E_RA, 32, 0, ALL, ALL, 0, 0, "RA"},
    {E_VFTA, 128, 0, ALL, ALL, 0, 0, "VFTA"},
    {0x5800, 1, 0, ALL, ALL, 0, 0, "WUC"},
    {0x5808, 1, 0, ALL, ALL, 0, 0, "WUFC"},
    {0x5810, 1, 0, ALL, ALL, 0, 0, "WUS"},
    {0x5820, 1, 0x00222300, ALL, ALL, 0, 0, "MANC"},
};

#define ROWS (sizeof(table) / sizeof(table[0]))
_Static_assert(ROWS < 256, "netdev.row has eight bits");

void nd_regs_index(struct netdev *n)
{
    for (unsigned r = 0; r < ROWS; r++)
        for (unsigned i = 0; i < table[r].count; i++)
            n->row[table[r].offset / 4 + i] = (uint8_t)(r + 1);
}

void nd_regs_reset(struct netdev *n)
{
    for (unsigned r = 0; r < ROWS; r++)
        for (unsigned i = 0; i < table[r].count; i++)
            n->mac[table[r].offset / 4 + i] = table[r].reset;
    MAC(n, E_RA) = n->eeprom[0] | (uint32_t)n->eeprom[1] << 16;
    MAC(n, E_RA + 4) = n->eeprom[2] | RAH_AV;
}

static const struct reg *find(struct netdev *n, uint32_t offset)
{
    unsigned row = offset / 4 < REG_WORDS ? n->row[offset / 4] : 0;

    if (row)
        return &table[row - 1];
    n->stats.unknown_regs++;
    nd_note(n, "no such register", offset);
    return NULL;
}

uint32_t nd_reg_read(struct netdev *n, uint32_t offset)
{
    const struct reg *r = find(n, offset);

    if (!r)
        return 0;
    return (r->read ? r->read(n, offset) : MAC(n, offset)) & r->rmask;
}

void nd_reg_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    const struct reg *r = find(n, offset);

    if (!r || !r->wmask)
        return;
    value &= r->wmask;
    if (r->write)
        r->write(n, offset, value);
    else
        MAC(n, offset) = value;
}
