/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may differ between QEMU's model and ours, and how exactly.  The names are those of the table
 * in netdev/README.md.
 */
#include <string.h>

#include "pair.h"

const char *const rule_names[RULES] = {
    [RULE_STORE] = "registers without meaning here",
    [RULE_CLEAR] = "statistics that stay",
    [RULE_COUNTS] = "statistics",
    [RULE_EEPROM] = "EEPROM contents",
    [RULE_EECD] = "EECD",
    [RULE_MDIC] = "MDIC",
    [RULE_AN_DONE] = "negotiation at power-on",
    [RULE_PHY_RESET] = "PHY reset",
    [RULE_CTRL] = "CTRL.PHY_RST",
    [RULE_PCI] = "PCI configuration",
    [RULE_TXQE] = "empty doorbell",
    [RULE_FCS] = "frame check sequence",
    [RULE_RXCSUM] = "receive checksum offload",
    [RULE_PSP] = "TCTL.PSP",
    [RULE_IC] = "legacy checksum",
    [RULE_TSO_EMPTY] = "TSO, empty segment",
    [RULE_TSO_IPV6] = "TSO over IPv6",
    [RULE_FILTER] = "filters",
    [RULE_LOOP] = "loopback",
};

static bool in(uint32_t reg, uint32_t first, uint32_t last)
{
    return reg >= first && reg <= last;
}

/* Registers that only one of the two models keeps; what ours does with them is in its table. */
static bool stored(uint32_t reg)
{
    static const uint32_t only[][2] = {{0x0018, 0x001C}, {0x0028, 0x0030}, {0x0170, 0x0180},
                                       {0x0410, 0x0410}, {0x0448, 0x0448}, {0x2160, 0x2168},
                                       {0x2828, 0x2828}, {0x2C00, 0x2C00}, {0x3820, 0x3820},
                                       {0x3830, 0x3830}, {0x4058, 0x4058}, {E_RXCSUM, E_RXCSUM},
                                       {0x5820, 0x5820}, {0x5838, 0x588C}, {0x5A00, 0x5A7C},
                                       {0x5B50, 0x5B50}, {0x5F00, 0x5F18}};

    for (unsigned i = 0; i < sizeof(only) / sizeof(only[0]); i++)
        if (in(reg, only[i][0], only[i][1]))
            return true;
    return false;
}

static bool allow(struct pair *p, enum rule r, bool truth)
{
    if (truth)
        pair_rule(p, r);
    return truth;
}

/* MDIC, word by word: what was asked for is in the register. */
static bool mdic_allows(struct pair *p, uint32_t ours, uint32_t theirs)
{
    uint32_t op = ours & MDIC_OP, reg = ours >> 16 & 31, differ = ours ^ theirs;

    if (ours == MDIC_READY && theirs == 0) /* power-on */
        return allow(p, RULE_MDIC, true);
    if ((ours >> 21 & 31) != 1) /* theirs keeps the last good value */
        return allow(p, RULE_MDIC, (ours & theirs & MDIC_ERROR) && (ours & theirs & MDIC_READY));
    if (op != MDIC_READ && op != MDIC_WRITE)
        return allow(p, RULE_MDIC, (ours & MDIC_ERROR) && (ours & theirs & MDIC_READY));
    if (op == MDIC_READ && reg == 1)
        return allow(p, RULE_AN_DONE, differ == BMSR_AN_DONE && (ours & BMSR_AN_DONE));
    if (op == MDIC_READ && reg == 5)
        return allow(p, RULE_AN_DONE, differ == LPAR_ACK && (ours & LPAR_ACK));
    return false;
}

static bool eeprom_allows(struct pair *p, uint32_t ours, uint32_t theirs)
{
    uint32_t word = ours >> 8 & 0xFF;
    /* The address and the ids are the same; the rest is the board maker's. */
    bool ours_own = word > 2 && word < 0x40 && (word < 0x0C || word > 0x0E);

    return allow(p, RULE_EEPROM, ours_own && !((ours ^ theirs) & 0xFFFF));
}

static bool eecd_allows(struct pair *p, uint32_t ours, uint32_t theirs)
{
    uint32_t differ = ours ^ theirs, grant = ours & EECD_REQ ? 0 : EECD_GNT;

    /* DO: script.c compares the words that come out of it. */
    return allow(p, RULE_EECD, !(differ & ~(grant | EECD_DO)) && (theirs & EECD_GNT));
}

bool rule_allows(struct pair *p, uint32_t reg, uint32_t ours, uint32_t theirs)
{
    switch (reg) {
    case E_MDIC:
        return mdic_allows(p, ours, theirs);
    case E_EERD:
        return eeprom_allows(p, ours, theirs);
    case E_EECD:
        return eecd_allows(p, ours, theirs);
    case E_CTRL:
        return allow(p, RULE_CTRL, (ours ^ theirs) == CTRL_PHY_RST && (theirs & CTRL_PHY_RST));
    case E_VET: /* sixteen bits */
        return allow(p, RULE_STORE, ours == (theirs & 0xFFFF));
    case E_RDBAL: /* rings begin at multiples of sixteen */
    case E_TDBAL:
        return allow(p, RULE_STORE, ours == (theirs & ~0xFu));
    }
    return stored(reg) && allow(p, RULE_STORE, true);
}

bool rule_allows_config(struct pair *p, unsigned reg, uint32_t ours, uint32_t theirs)
{
    uint32_t differ = ours ^ theirs;

    switch (reg) {
    case 0x04: /* DEVSEL timing, parity response */
        return allow(p, RULE_PCI, !(differ & ~0x02000040u));
    case 0x0C: /* cache line size, latency timer */
        return allow(p, RULE_PCI, !(differ & ~0xFFFFu));
    case 0x2C:
        return allow(p, RULE_PCI, ours == 0x001E8086 && theirs == 0x11001AF4);
    case 0x3C: /* interrupt line, Min_Gnt */
        return allow(p, RULE_PCI, !(differ & ~0x00FF00FFu));
    }
    if (reg >= 0x40) /* behind the header, where ours has nothing */
        return allow(p, RULE_PCI, ours == 0);
    return false;
}

/* ---- statistics ----------------------------------------------------------------------------- */

void rule_was_read(struct pair *p, uint32_t reg, uint32_t theirs)
{
    if (!in(reg, E_STATS, E_STATS + 0xFF))
        return;
    switch (reg) {
    case E_GORCL:
    case E_GOTCL:
    case E_TORL:
    case E_TOTL:
        return;
    case E_GORCL + 4:
    case E_GOTCL + 4:
    case E_TORL + 4:
    case E_TOTL + 4:
        p->more[REG(reg) - 1] = 0;
        return;
    case E_MPC:
    case E_RNBC:
        /* Ours is zero now. */
        p->more[REG(reg)] = -(int64_t)theirs;
        if (theirs)
            pair_rule(p, RULE_CLEAR);
        return;
    }
    p->more[REG(reg)] = 0;
}

static void more(struct pair *p, uint32_t reg, int64_t by)
{
    p->more[REG(reg)] += by;
    if (by)
        pair_rule(p, RULE_COUNTS);
}

/* The counter by size, of six from `first`, FCS included; QEMU's has none below 64. */
static void more_size(struct pair *p, uint32_t first, uint32_t ours, uint32_t theirs)
{
    static const uint32_t limit[] = {64, 127, 255, 511, 1023, ~0u};
    unsigned i = 0, k = 0;

    while (ours > limit[i])
        i++;
    while (theirs > limit[k])
        k++;
    if (i == k && theirs >= 64)
        return;
    more(p, first + 4 * i, 1);
    if (theirs >= 64)
        more(p, first + 4 * k, -1);
}

static void count_tx_frame(struct pair *p, const struct packet *k, uint32_t len, bool psp)
{
    uint32_t ours = len + k->tag, theirs = len + k->tag;

    if (psp && ours < 60)
        ours = 60;
    /* QEMU's octets are without the tag. */
    more(p, E_TOTL, (int64_t)ours - len);
    more(p, E_GOTCL, (int64_t)ours - len);
    more_size(p, E_PTC64, ours + 4, theirs + 4);
}

void rule_count_tx(struct pair *p, const struct packet *k, bool psp)
{
    uint32_t segments = k->mss ? (k->payload + k->mss - 1) / k->mss : 1, theirs = 0;
    static const uint32_t sums[] = {E_TPT, E_GPTC};

    for (uint32_t i = 0; i < segments; i++) {
        uint32_t rest = k->payload - i * k->mss;

        count_tx_frame(p, k, k->mss ? k->len + (rest < k->mss ? rest : k->mss) : k->len, psp);
    }
    if (!k->mss)
        return;
    if (k->payload % k->mss == 0) { /* QEMU's empty segment */
        uint32_t wire = k->len + k->tag + 4;

        for (unsigned i = 0; i < 2; i++)
            more(p, sums[i], -1);
        more(p, E_TOTL, -(int64_t)k->len - 4);
        more(p, E_GOTCL, -(int64_t)k->len - 4);
        more_size(p, E_PTC64, 64, wire);
        more(p, E_PTC64, -1);
        if (k->broadcast || k->multicast)
            more(p, k->broadcast ? E_BPTC : E_MPTC, -1);
        segments++;
    }
    /* TSCTC: QEMU's counts TCP segments behind the first that end the payload, ours packets. */
    for (uint32_t i = 1; k->tcp && i < segments; i++)
        theirs += k->payload - i * k->mss <= k->mss;
    more(p, E_TSCTC, 1 - (int64_t)theirs);
}

static uint32_t reg_of(struct pair *p, uint32_t reg)
{
    return (uint32_t)netdev_mmio_read(p->n, reg, 4);
}

static bool has_address(struct pair *p, const uint8_t *to)
{
    for (uint32_t reg = E_RA; reg < E_RA + 128; reg += 8) {
        uint32_t word[2] = {reg_of(p, reg), reg_of(p, reg + 4)};

        if ((word[1] & RAH_AV) && memcmp(word, to, 6) == 0)
            return true;
    }
    return false;
}

/* The register of the hash table that has the bit of an address; 0: the bit is not set. */
static uint32_t hashed(struct pair *p, const uint8_t *to)
{
    static const uint8_t shift[] = {4, 3, 2, 0};
    uint32_t bit =
        ((uint32_t)to[5] << 8 | to[4]) >> shift[reg_of(p, E_RCTL) >> RCTL_MO_SHIFT & 3] & 0xFFF;
    uint32_t reg = E_MTA + bit / 32 * 4;

    return reg_of(p, reg) >> bit % 32 & 1 ? reg : 0;
}

uint32_t rule_hashed_unicast(struct pair *p, const uint8_t *frame)
{
    uint32_t reg;

    if ((frame[0] & 1) || (reg_of(p, E_RCTL) & RCTL_UPE) || has_address(p, frame))
        return 0;
    reg = hashed(p, frame);
    if (reg)
        pair_rule(p, RULE_FILTER);
    return reg;
}

/* Which counter QEMU's model counts a frame in that its filter lets through; 0: none. */
static uint32_t group_counter(struct pair *p, const uint8_t *to)
{
    static const uint8_t all[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint32_t rctl = reg_of(p, E_RCTL);

    if (!(to[0] & 1))
        return 0;
    if (rctl & RCTL_MPE)
        return E_MPRC;
    if (memcmp(to, all, 6) == 0 && (rctl & RCTL_BAM))
        return E_BPRC;
    return has_address(p, to) ? 0 : E_MPRC;
}

/* Ours counts what was stored, by what it is. */
static void count_group(struct pair *p, const uint8_t *to, bool stored_it)
{
    static const uint8_t all[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint32_t ours = 0, theirs = group_counter(p, to);

    if (stored_it && (to[0] & 1))
        ours = memcmp(to, all, 6) == 0 ? E_BPRC : E_MPRC;
    if (ours == theirs)
        return;
    if (ours)
        more(p, ours, 1);
    if (theirs)
        more(p, theirs, -1);
}

void rule_count_rx(struct pair *p, const uint8_t *frame, uint32_t len, enum netdev_rx what)
{
    uint32_t wire = (len < 60 ? 60 : len) + 4, theirs = wire, sized;
    bool strip = len >= 14 && (netdev_mmio_read(p->n, E_CTRL, 4) & CTRL_VME) &&
                 ((uint32_t)frame[12] << 8 | frame[13]) == netdev_mmio_read(p->n, E_VET, 4);

    if (what == NETDEV_RX_OVERSIZE || what == NETDEV_RX_OFF)
        return;
    if (what == NETDEV_RX_OK || what == NETDEV_RX_NO_BUFFER)
        count_group(p, frame, what == NETDEV_RX_OK);
    if (what != NETDEV_RX_OK) { /* QEMU's totals are of the good ones */
        more(p, E_TPR, 1);
        more(p, E_TORL, wire);
        return;
    }
    theirs -= strip ? 4 : 0;
    more(p, E_TORL, (int64_t)wire - theirs);
    more(p, E_GORCL, (int64_t)wire - theirs);
    sized = theirs - (netdev_mmio_read(p->n, E_RCTL, 4) & RCTL_SECRC ? 4 : 0);
    more_size(p, E_PRC64, wire, sized);
}

/* Ours counts it as missed; QEMU's model knows nothing of it. */
void rule_count_lost(struct pair *p, uint32_t len)
{
    pair_rule(p, RULE_LOOP);
    more(p, E_RNBC, 1);
    more(p, E_MPC, 1);
    more(p, E_TPR, 1);
    more(p, E_TORL, (len < 60 ? 60 : len) + 4);
}
