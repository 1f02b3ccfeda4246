/* SPDX-License-Identifier: BSD-2-Clause */
/* See script.h. */
#include "script.h"

#include <string.h>

uint32_t chance(struct script *s, uint32_t n)
{
    s->state = s->state * 6364136223846793005ull + 1442695040888963407ull;
    return n ? (uint32_t)((s->state >> 33) % n) : 0;
}

static uint32_t bits(struct script *s)
{
    return chance(s, 0x10000) << 16 | chance(s, 0x10000);
}

/* ---- registers that store, and tables ---------------------------------------------------------
 */

static const uint16_t plain[] = {0x0018, 0x001C, 0x0028, 0x002C, 0x0030,  0x0170, 0x0178, 0x0410,
                                 0x0448, 0x0458, 0x0E00, 0x1000, 0x2160,  0x2168, 0x2410, 0x2418,
                                 0x2420, 0x2428, 0x2430, 0x2820, 0x2828,  0x282C, 0x3410, 0x3418,
                                 0x3420, 0x3428, 0x3430, 0x3820, 0x3828,  0x382C, 0x3830, 0x5800,
                                 0x5808, 0x5810, 0x5820, E_ITR,  E_RXCSUM};
#define PLAIN (sizeof(plain) / sizeof(plain[0]))

static void op_register(struct script *s)
{
    uint32_t reg, value = chance(s, 2) ? bits(s) : chance(s, 4096);

    switch (chance(s, 5)) {
    case 0:
        reg = E_MTA + 4 * chance(s, 128);
        value |= chance(s, 2) ? bits(s) : 0;
        break;
    case 1:
        reg = E_VFTA + 4 * chance(s, 2);
        break;
    case 2:
        reg = E_RA + 8 + 4 * chance(s, 30);
        break;
    default:
        reg = plain[chance(s, PLAIN)];
    }
    if (chance(s, 2))
        pair_write(s->p, reg, value);
    pair_read(s->p, reg);
}

static void op_interrupts(struct script *s)
{
    static const uint16_t regs[] = {E_ICS, E_ICS, E_IMS, E_IMC, E_ICR};
    uint32_t reg = regs[chance(s, 5)];

    if (reg == E_ICR && chance(s, 2))
        pair_read(s->p, E_ICR);
    else
        pair_write(s->p, reg, bits(s) & bits(s) & 0xFFFF);
    pair_compare_state(s->p);
}

static void op_statistics(struct script *s)
{
    pair_read(s->p, E_STATS + 4 * chance(s, 64));
}

/* ---- EEPROM, PHY, configuration space ---------------------------------------------------------
 */

/* A word of both, bit by bit; the same sixteen falls of the clock for both. */
static void op_microwire(struct script *s)
{
    uint32_t word = chance(s, 64), head = 6u << 6 | word, ours = 0, theirs = 0;
    uint32_t pins = EECD_CS | (chance(s, 2) ? EECD_REQ : 0);
    struct pair *p = s->p;

    pair_write(p, E_EECD, pins & EECD_REQ);
    pair_write(p, E_EECD, pins);
    for (unsigned i = 9; i-- > 0;) {
        uint32_t di = head >> i & 1 ? EECD_DI : 0;

        pair_write(p, E_EECD, pins | di);
        pair_write(p, E_EECD, pins | di | EECD_SK);
        pair_read(p, E_EECD);
    }
    for (unsigned i = 0; i < 16; i++) {
        pair_write(p, E_EECD, pins);
        ours = ours << 1 | ((uint32_t)netdev_mmio_read(p->n, E_EECD, 4) >> 3 & 1);
        theirs = theirs << 1 | (qemu_readl(&p->q, BAR + E_EECD) >> 3 & 1);
        pair_write(p, E_EECD, pins | EECD_SK);
    }
    pair_write(p, E_EECD, 0);
    pair_write(p, E_EERD, word << 8 | EERD_START);
    if (ours != pair_read(p, E_EERD) >> 16 || theirs != qemu_readl(&p->q, BAR + E_EERD) >> 16)
        pair_differ(p, "EEPROM word %u bit by bit: %04x, QEMU %04x", word, ours, theirs);
}

static void op_eerd(struct script *s)
{
    pair_write(s->p, E_EERD, chance(s, 80) << 8 | (chance(s, 4) ? EERD_START : 0));
    pair_read(s->p, E_EERD);
}

static void op_mdic(struct script *s)
{
    uint32_t phy = chance(s, 8) ? 1 : chance(s, 32),
             reg = chance(s, 3) ? chance(s, 8) : chance(s, 32);
    uint32_t op = chance(s, 3) ? MDIC_READ : MDIC_WRITE, data = chance(s, 0x10000);
    uint32_t interrupt = chance(s, 4) ? 0 : MDIC_INT_EN;

    if (phy == 1 && reg == 0 && op == MDIC_WRITE) {
        data = (data & 0x3FFF) | (chance(s, 2) ? BMCR_AN_EN : 0);
        if (chance(s, 3) == 0)
            data |= BMCR_LOOPBACK;
        s->loop = data & BMCR_LOOPBACK;
    }
    if (chance(s, 16) == 0)
        op = chance(s, 2) ? 0 : MDIC_OP;
    if (phy == 1 && op == MDIC_OP)
        op = 0;
    pair_write(s->p, E_MDIC, op | phy << 21 | reg << 16 | data | interrupt);
    pair_read(s->p, E_MDIC);
    if (phy != 1) /* QEMU's model looks at the command before */
        pair_level_cause(s->p, ICR_MDAC, RULE_MDIC);
    pair_compare_state(s->p);
}

static void op_config(struct script *s)
{
    static const uint8_t regs[] = {0x04, 0x0C, 0x3C, 0x10, 0x14, 0x30, 0x2C, 0x00};
    unsigned reg = regs[chance(s, 8)];

    if (chance(s, 2)) {
        pair_config(s->p, 4 * chance(s, 64));
        return;
    }
    if (reg == 0x04)
        pair_config_write(s->p, reg, 7 | (chance(s, 2) ? 0x400 : 0) | (bits(s) & 0x40));
    else if (reg != 0x10 && reg != 0x14)
        pair_config_write(s->p, reg, bits(s));
    pair_config(s->p, reg);
}

/* The line is what configuration says of it, once QEMU's model has waited as it does. */
static void op_line(struct script *s)
{
    qemu_wait(&s->p->q, 350);
    pair_config(s->p, 0x04);
}

/* Both PHYs have what ours has; QEMU's model does not reset its own. */
static void level_phy(struct script *s)
{
    static const uint8_t regs[] = {4, 9, 16, 20, 0};
    struct pair *p = s->p;

    for (unsigned i = 0; i < sizeof(regs); i++) {
        uint32_t at = 1u << 21 | (uint32_t)regs[i] << 16;

        netdev_mmio_write(p->n, E_MDIC, 4, MDIC_READ | at);
        qemu_writel(&p->q, BAR + E_MDIC,
                    MDIC_WRITE | at | (netdev_mmio_read(p->n, E_MDIC, 4) & 0xFFFF));
    }
    s->loop = false;
    pair_rule(p, RULE_PHY_RESET);
    pair_write(p, E_MDIC, MDIC_READ | 1u << 21);
    pair_read(p, E_MDIC);
}

static void op_phy_reset(struct script *s)
{
    if (chance(s, 2)) {
        pair_write(s->p, E_MDIC, MDIC_WRITE | 1u << 21 | BMCR_RESET | BMCR_AN_EN | 0x140);
    } else {
        uint32_t ctrl = (uint32_t)netdev_mmio_read(s->p->n, E_CTRL, 4);

        pair_write(s->p, E_CTRL, ctrl | CTRL_PHY_RST);
        pair_read(s->p, E_CTRL);
        pair_write(s->p, E_CTRL, ctrl);
    }
    level_phy(s);
    pair_compare_state(s->p);
}

/* ---- rings ------------------------------------------------------------------------------------
 */

static uint32_t random_rctl(struct script *s)
{
    uint32_t v = RCTL_EN | (bits(s) & (RCTL_SBP | RCTL_LPE | 3u << RCTL_RDMTS_SHIFT |
                                       3u << RCTL_MO_SHIFT | RCTL_BAM | RCTL_VFE));

    if (chance(s, 2))
        v |= RCTL_SECRC;
    if (chance(s, 2))
        v |= RCTL_UPE;
    if (chance(s, 3) == 0)
        v |= RCTL_MPE;
    if (chance(s, 2))
        v |= chance(s, 4) << RCTL_BSIZE_SHIFT;
    if (v >> RCTL_BSIZE_SHIFT & 3 && chance(s, 3) == 0)
        v |= RCTL_BSEX;
    return v;
}

/* Gives descriptors that have been used back, but for a few. */
static void op_refill(struct script *s)
{
    uint32_t head = (uint32_t)netdev_mmio_read(s->p->n, E_RDH, 4), keep = 1 + chance(s, 2);

    for (; s->rx_seen != head; s->rx_seen = (s->rx_seen + 1) % s->rx_size) {
        pair_put64(s->p, RX_RING + 16 * s->rx_seen, RX_BUF(s->rx_seen));
        pair_put64(s->p, RX_RING + 16 * s->rx_seen + 8, 0);
    }
    pair_write(s->p, E_RDT, (head + s->rx_size - keep) % s->rx_size);
}

static void op_receive(struct script *s)
{
    static uint8_t frame[20000];
    uint32_t n = 1 + chance(s, 3);

    for (; n && !s->p->failed; n--)
        pair_inject(s->p, frame, script_frame(s, frame));
    if (chance(s, 3))
        op_refill(s);
}

static void op_transmit(struct script *s)
{
    uint32_t n = 1 + chance(s, 4);
    const uint8_t *loop = NULL;

    s->npackets = 0;
    if (s->loop)
        loop = script_loop_packet(s);
    else
        while (n-- && script_packet(s))
            continue;
    pair_doorbell(s->p, E_TDT, s->tx_tail, s->packets, s->npackets, loop);
}

/* Off, and on again with what was queued meanwhile. */
static void op_tctl(struct script *s)
{
    uint32_t tctl = (bits(s) & TCTL_PSP) | (bits(s) & 0x3FFFF0);

    s->npackets = 0;
    pair_doorbell(s->p, E_TCTL, tctl, NULL, 0, NULL);
    if (!s->loop && chance(s, 2)) {
        script_packet(s);
        pair_write(s->p, E_TDT, s->tx_tail);
    }
    pair_doorbell(s->p, E_TCTL, tctl | TCTL_EN, s->packets, s->npackets, NULL);
}

static void op_control(struct script *s)
{
    uint32_t ctrl = (bits(s) & 0x00140B41) | CTRL_SLU | (bits(s) & CTRL_VME);

    if (chance(s, 2))
        pair_write(s->p, E_CTRL, ctrl);
    else
        pair_write(s->p, E_RCTL, random_rctl(s));
    pair_read(s->p, E_CTRL);
    pair_read(s->p, E_RCTL);
}

/* ---- whole scripts ----------------------------------------------------------------------------
 */

static void set_up(struct script *s)
{
    struct pair *p = s->p;
    uint32_t word[4];

    for (uint32_t at = POOL; at < POOL + POOL_N; at += 16) {
        for (unsigned i = 0; i < 4; i++)
            word[i] = bits(s);
        pair_put(p, at, word, 16);
    }
    s->tx_size = 8 * (1 + chance(s, 8));
    s->rx_size = 8 * (1 + chance(s, 4));
    pair_write(p, E_TDBAL, TX_RING | chance(s, 16));
    pair_write(p, E_RDBAL, RX_RING);
    pair_write(p, E_TDLEN, 16 * s->tx_size);
    pair_write(p, E_RDLEN, 16 * s->rx_size | chance(s, 128));
    s->tx_tail = chance(s, s->tx_size);
    pair_write(p, E_TDH, s->tx_tail);
    pair_write(p, E_TDT, s->tx_tail);
    s->rx_seen = chance(s, s->rx_size);
    pair_write(p, E_RDH, s->rx_seen);
    for (uint32_t i = 0; i < s->rx_size; i++)
        pair_put64(p, RX_RING + 16 * i, RX_BUF(i));
    pair_write(p, E_RDT, (s->rx_seen + s->rx_size - 1) % s->rx_size);
    for (uint32_t i = chance(s, 8) ? 128 : 0; i < 128; i++)
        pair_write(p, E_MTA + 4 * i, bits(s));
    pair_doorbell(p, E_TCTL, TCTL_EN, NULL, 0, NULL);
    op_control(s);
    pair_write(p, E_RCTL, random_rctl(s));
}

/* Everything that both have, at the end. */
static void compare_all(struct script *s)
{
    static const uint16_t regs[] = {E_CTRL,  E_STATUS, E_VET,   E_ITR,   E_IMS,   E_RCTL,
                                    E_TCTL,  E_RDBAL,  E_RDBAH, E_RDLEN, E_TDBAL, E_TDBAH,
                                    E_TDLEN, E_ICR,    E_RA,    E_RA + 4};

    uint16_t stats[64];

    for (unsigned i = 0; i < 64; i++)
        stats[i] = (uint16_t)(E_STATS + 4 * i);
    pair_say(s->p, "all of it");
    pair_read_many(s->p, regs, sizeof(regs) / sizeof(regs[0]));
    pair_read_many(s->p, plain, PLAIN);
    pair_read_many(s->p, stats, 64);
    for (unsigned i = 0; i < 64 && !s->p->failed; i++)
        pair_config(s->p, 4 * i);
}

/* Our reset by CTRL.RST has to give what power-on gives QEMU's model. */
static void reset_compare(struct script *s)
{
    struct pair *p = s->p;
    uint16_t regs[64];

    pair_write(p, E_CTRL, CTRL_RST | CTRL_PHY_RST);
    pair_say(p, "power-on for QEMU");
    qemu_reset(&p->q);
    memset(p->more, 0, sizeof(p->more));
    pair_config_write(p, 0x10, BAR);
    pair_config_write(p, 0x04, 7);
    for (uint32_t at = 0; at < 0x6000; at += 4 * 64) {
        for (unsigned i = 0; i < 64; i++)
            regs[i] = (uint16_t)(at + 4 * i);
        pair_read_many(p, regs, 64);
    }
    for (uint32_t reg = 0; reg < 32; reg++) {
        pair_write(p, E_MDIC, MDIC_READ | 1u << 21 | reg << 16);
        pair_read(p, E_MDIC);
    }
}

bool script_run(struct pair *p, uint64_t seed)
{
    static void (*const ops[])(struct script *) = {
        op_register, op_interrupts, op_statistics, op_microwire, op_eerd,    op_mdic,
        op_config,   op_line,       op_phy_reset,  op_receive,   op_receive, op_receive,
        op_transmit, op_transmit,   op_transmit,   op_refill,    op_control, op_tctl,
    };
    struct script s = {.p = p, .state = seed * 0x9E3779B97F4A7C15ull + 1};
    uint32_t steps;

    pair_reset(p, seed);
    set_up(&s);
    steps = 20 + chance(&s, 40);
    while (steps-- && !p->failed)
        ops[chance(&s, sizeof(ops) / sizeof(ops[0]))](&s);
    if (!p->failed)
        compare_all(&s);
    if (!p->failed && chance(&s, 4) == 0)
        reset_compare(&s);
    return !p->failed;
}

/* May a sweep write to it?  Not what moves data, resets, or is a machine of its own. */
static bool sweepable(uint32_t reg)
{
    static const uint16_t not [] = {E_CTRL, E_EECD, E_EERD, E_MDIC, E_ICR, E_ICS, E_IMS,
                                    E_IMC,  E_RCTL, E_TCTL, E_TDT,  E_RDT, E_TDH, E_RDH};

    for (unsigned i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        if (reg == not [i])
            return false;
    return true;
}

/* The configuration space: as it is, and every word as written, which sizes the BARs, too. */
static unsigned sweep_config(struct pair *p, const uint32_t *values)
{
    unsigned differences = 0;

    for (unsigned v = 0; v < 5; v++)
        for (uint32_t reg = 0; reg < 0x100; reg += 4) {
            p->failed = false;
            if (v)
                pair_config_write(p, reg, values[v - 1]);
            pair_config(p, reg);
            differences += p->failed;
        }
    return differences;
}

bool script_sweep(struct pair *p)
{
    static const uint32_t values[] = {0xFFFFFFFF, 0x55555555, 0xAAAAAAAA, 0};
    unsigned differences;

    pair_reset(p, 0);
    differences = sweep_config(p, values);
    pair_reset(p, 0);
    for (unsigned v = 0; v < 5; v++)
        for (uint32_t reg = 0; reg < 0x6000; reg += 4) {
            p->failed = false;
            if (v && sweepable(reg))
                pair_write(p, reg, values[v - 1]);
            pair_read(p, reg);
            differences += p->failed;
        }
    return differences == 0;
}
