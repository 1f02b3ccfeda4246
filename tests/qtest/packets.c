/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets to transmit, with what they should become; and frames from the wire. */
#include <string.h>

#include "script.h"

#define CMD(x)   ((uint64_t)(x) << 24)
#define EOP      CMD(1)
#define IFCS     CMD(2)
#define IC       CMD(4)
#define TSE      CMD(4)
#define RS       CMD(8)
#define DEXT     CMD(0x20)
#define VLE      CMD(0x40)
#define IDE      CMD(0x80)
#define DATA     (DEXT | TXD_DTYP_D)
#define POPTS(x) ((uint64_t)(x) << 40)
#define TAG(x)   ((uint64_t)(x) << 48)

static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static uint32_t room(const struct script *s)
{
    uint32_t head = (uint32_t)netdev_mmio_read(s->p->n, E_TDH, 4);

    return (head + s->tx_size - s->tx_tail - 1) % s->tx_size;
}

static void desc(struct script *s, uint64_t address, uint64_t rest)
{
    pair_put64(s->p, TX_RING + 16 * s->tx_tail, address);
    pair_put64(s->p, TX_RING + 16 * s->tx_tail + 8, rest);
    s->tx_tail = (s->tx_tail + 1) % s->tx_size;
}

static uint64_t some(struct script *s, uint64_t bits)
{
    return chance(s, 2) ? bits : 0;
}

static void address(struct script *s, uint8_t *to)
{
    static const uint8_t all[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uint32_t kind = chance(s, 8);

    for (unsigned i = 0; i < 6; i++)
        to[i] = (uint8_t)chance(s, 256);
    if (kind < 3)
        memcpy(to, mac, 6);
    else if (kind == 3)
        memcpy(to, all, 6);
    else if (kind < 6)
        to[0] |= 1;
    else
        to[0] &= 0xFE;
}

/* Ethernet, IP and TCP or UDP headers; returns their length, *l4: where the last begins. */
static uint32_t headers(struct script *s, uint8_t *h, bool v6, bool tcp, uint32_t *l4)
{
    uint32_t options = tcp ? 4 * chance(s, 4) : 0, len;

    for (unsigned i = 0; i < 0x100; i++)
        h[i] = (uint8_t)chance(s, 256);
    address(s, h);
    h[12] = v6 ? 0x86 : 0x08;
    h[13] = v6 ? 0xDD : 0x00;
    *l4 = 14 + (v6 ? 40 : 20);
    len = *l4 + (tcp ? 20 + options : 8);
    h[14] = v6 ? 0x60 : 0x45;
    if (tcp)
        h[*l4 + 12] = (uint8_t)((20 + options) / 4 << 4);
    return len;
}

static struct packet *packet(struct script *s, const uint8_t *head)
{
    static const uint8_t all[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    struct packet *k = &s->packets[s->npackets++];

    memset(k, 0, sizeof(*k));
    k->broadcast = memcmp(head, all, 6) == 0;
    k->multicast = head[0] & 1;
    return k;
}

/* The data descriptors of a packet: head bytes from `head`, then payload from the pool. */
static void pieces(struct script *s, uint32_t head, uint32_t head_len, uint32_t len, uint64_t cmd,
                   uint64_t last)
{
    uint32_t n = chance(s, 4) + 1, from = POOL + chance(s, POOL_N - 0x10000);

    if (head_len)
        desc(s, head, cmd | head_len | (len ? some(s, RS) : last | EOP));
    for (; n && len; n--) {
        uint32_t part = n == 1 ? len : chance(s, len) + 1;

        len -= part;
        desc(s, from, cmd | part | (len ? some(s, RS) : last | EOP));
        from += part;
    }
}

static void legacy(struct script *s)
{
    uint32_t at = POOL + chance(s, POOL_N - 0x10000), len = 14 + chance(s, 1600), cut;
    struct packet *k = packet(s, s->p->ram + at);
    uint64_t last = EOP | some(s, RS) | some(s, IFCS) | some(s, IDE);

    if (chance(s, 4) == 0)
        len = 14 + chance(s, 60);
    k->len = len;
    if (chance(s, 3) == 0) {
        last |= VLE | TAG(chance(s, 0x10000));
        k->tag = netdev_mmio_read(s->p->n, E_CTRL, 4) & CTRL_VME ? 4 : 0;
    }
    if (!k->tag && chance(s, 4) == 0) {
        k->ic = true;
        k->ic_css = (uint8_t)chance(s, len < 200 ? len - 2 : 200);
        /* Behind the addresses, by which frames are counted. */
        k->ic_cso = (uint8_t)(12 + chance(s, len < 200 ? len - 13 : 180));
        last |= IC | (uint64_t)k->ic_cso << 16 | (uint64_t)k->ic_css << 40;
    }
    cut = chance(s, len);
    if (cut)
        desc(s, at, cut | some(s, RS));
    desc(s, at + cut, (len - cut) | last);
}

static void context(struct script *s, uint32_t l4, bool v6, bool tcp, uint64_t cmd, uint32_t hdr,
                    uint32_t mss, uint32_t paylen)
{
    uint64_t ip = 14 | (v6 ? 0 : 24 << 8 | (uint64_t)(l4 - 1) << 16);
    uint64_t tu = l4 | (uint64_t)(l4 + (tcp ? 16 : 6)) << 8;

    desc(s, ip | tu << 32,
         DEXT | cmd | (tcp ? CMD(1) : 0) | (v6 ? 0 : CMD(2)) | paylen | (uint64_t)hdr << 40 |
             (uint64_t)mss << 48 | some(s, RS));
}

static uint64_t tag_for(struct script *s, struct packet *k)
{
    if (chance(s, 3))
        return 0;
    k->tag = netdev_mmio_read(s->p->n, E_CTRL, 4) & CTRL_VME ? 4 : 0;
    return VLE | TAG(chance(s, 0x10000));
}

static void extended(struct script *s, bool tso)
{
    bool v6 = chance(s, 3) == 0, tcp = chance(s, 4) != 0;
    uint32_t l4, at = TX_HEAD(s->heads++ % 256), len, head, mss = 50 + chance(s, 1450);
    uint64_t opts = POPTS(tso ? (v6 ? 2 : 3) : chance(s, v6 ? 2 : 4) & (v6 ? 2 : 3)), cmd = DATA;
    uint8_t h[0x100];
    struct packet *k;

    head = headers(s, h, v6, tcp, &l4);
    pair_put(s->p, at, h, sizeof(h));
    k = packet(s, h);
    len = tso ? 1 + chance(s, chance(s, 4) ? 4000 : 30000) : 1 + chance(s, 1500);
    if (tso && chance(s, 4) == 0)
        len = mss * (1 + chance(s, 4));
    k->len = tso ? head : head + len;
    if (tso) {
        k->mss = mss;
        k->payload = len;
        k->tcp = tcp;
        k->ipv6 = v6;
        k->ip = 14;
        cmd |= TSE;
    }
    cmd |= opts | tag_for(s, k);
    if (tso || chance(s, 2) || !s->heads)
        context(s, l4, v6, tcp, tso ? TSE : 0, tso ? head : 0, tso ? mss : 0, tso ? len : 0);
    else
        context(s, l4, v6, tcp, 0, 0, 0, chance(s, 0x10000));
    pieces(s, at, head, len, cmd, some(s, RS) | some(s, IDE));
}

bool script_packet(struct script *s)
{
    if (room(s) < 7 || s->npackets == 16)
        return false;
    switch (chance(s, 4)) {
    case 0:
    case 1:
        legacy(s);
        break;
    case 2:
        extended(s, false);
        break;
    default:
        extended(s, true);
    }
    return true;
}

const uint8_t *script_loop_packet(struct script *s)
{
    static uint8_t frame[2000];
    uint32_t len = script_frame(s, frame), at = POOL + POOL_N;
    struct packet *k = packet(s, frame);

    if (len > 1522)
        len = 1522;
    k->len = len;
    pair_put(s->p, at, frame, len);
    desc(s, at, len | EOP | some(s, RS));
    return frame;
}

static uint32_t length(struct script *s)
{
    switch (chance(s, 8)) {
    case 0:
        return 14 + chance(s, 60);
    case 1:
        return 1500 + chance(s, 40);
    case 2:
        return chance(s, 4) ? 14 + chance(s, 9000) : 16370 + chance(s, 30);
    default:
        return 14 + chance(s, 1500);
    }
}

/* At most 1,999 bytes are written; a longer frame repeats them. */
uint32_t script_frame(struct script *s, uint8_t *frame)
{
    uint32_t len = s->loop ? 14 + chance(s, 1500) : length(s), vet, l4, head, kind = chance(s, 4);

    head = headers(s, frame, kind & 1, kind & 2, &l4);
    for (uint32_t i = head; i < len; i++)
        frame[i] = i < 0x100 ? frame[i] : (uint8_t)(i * 7 + s->state % 251);
    if (chance(s, 3) == 0) {
        vet = (uint32_t)netdev_mmio_read(s->p->n, E_VET, 4);
        frame[12] = (uint8_t)(vet >> 8);
        frame[13] = (uint8_t)vet;
        frame[14] = (uint8_t)chance(s, 2);
        frame[15] = (uint8_t)chance(s, 8);
    }
    return len;
}
