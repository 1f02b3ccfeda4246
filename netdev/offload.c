/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to a frame on its way out: segment headers, checksums, padding, VLAN tag, loopback.
 * Offsets come from the guest; each is compared with the frame before it is used (e1000.md, holes
 * 17 and 19).  Loopback delivers to the receive side, which never transmits, so it is one deep (9).
 */
#include <string.h>

#include "internal.h"

uint32_t nd_sum16(const uint8_t *p, uint32_t len)
{
    uint32_t sum = 0; /* at most 32,768 terms: no overflow */

    for (; len > 1; p += 2, len -= 2)
        sum += get16be(p);
    return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

uint32_t nd_fold(uint32_t sum)
{
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (sum & 0xFFFF) + (sum >> 16);
}

/* Sum of [start, end] (end 0: to the end of the frame) at `at`; 0 is sent as FFFFh. */
static void insert_sum(struct netdev *n, uint32_t at, uint32_t start, uint32_t end)
{
    struct tx_packet *p = &n->tx;
    uint32_t stop = end && end < p->size ? end + 1 : p->size, sum;

    if (at + 2 > p->size || start >= stop) {
        n->stats.bad_offload++;
        return;
    }
    sum = ~nd_fold(nd_sum16(p->data + start, stop - start)) & 0xFFFF;
    put16be(p->data + at, sum ? sum : 0xFFFF);
}

/* The headers of segment number p->frames; good_tso() has checked that they fit. */
static void segment_header(struct netdev *n)
{
    struct tx_packet *p = &n->tx;
    const struct tx_context *c = &p->ctx;
    uint8_t *ip = p->data + c->ipcss, *l4 = p->data + c->tucss;

    if (c->ip) {
        put16be(ip + 2, p->size - c->ipcss);
        put16be(ip + 4, get16be(ip + 4) + p->frames);
    } else {
        put16be(ip + 4, p->size - c->ipcss - 40);
    }
    if (c->tcp) {
        put32be(l4 + 4, get32be(l4 + 4) + p->frames * c->mss);
        if (!p->last)
            l4[13] &= (uint8_t)~0x09; /* FIN, PSH */
    } else {
        put16be(l4 + 4, p->size - c->tucss);
    }
    /* The driver left the pseudo header's sum without the length. */
    if ((p->popts & TXP_TXSM) && c->tucso + 2u <= p->size) {
        uint8_t *at = p->data + c->tucso;

        put16be(at, nd_fold(get16be(at) + p->size - c->tucss));
    }
    n->stats.tso_segments++;
}

static void checksums(struct netdev *n)
{
    const struct tx_packet *p = &n->tx;

    if (p->popts & TXP_TXSM)
        insert_sum(n, p->ctx.tucso, p->ctx.tucss, p->ctx.tucse);
    if (p->popts & TXP_IXSM)
        insert_sum(n, p->ctx.ipcso, p->ctx.ipcss, p->ctx.ipcse);
    if (p->ic)
        insert_sum(n, p->ic_cso, p->ic_css, 0);
}

static void count(struct netdev *n, const uint8_t *frame, uint32_t wire)
{
    static const uint8_t all[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

    nd_count(n, E_TPT);
    nd_count(n, E_GPTC);
    nd_count64(n, E_TOTL, wire);
    nd_count64(n, E_GOTCL, wire);
    nd_count_size(n, E_PTC64, wire);
    if (memcmp(frame, all, 6) == 0)
        nd_count(n, E_BPTC);
    else if (frame[0] & 1)
        nd_count(n, E_MPTC);
    n->stats.tx_frames++;
    n->stats.tx_bytes += wire - 4;
}

static void put_out(struct netdev *n, uint32_t len)
{
    bool loop = (MAC(n, E_RCTL) & RCTL_LBM) || (n->phy[0] & BMCR_LOOPBACK);

    /* Too short for addresses: the counters see zeros. */
    if (len < 6)
        memset(n->out + len, 0, 6 - len);
    count(n, n->out, len + 4);
    if (loop) {
        n->stats.tx_looped++;
        nd_receive(n, n->out, len);
    } else if ((MAC(n, E_STATUS) & STATUS_LU) && n->config.ops->transmit) {
        n->config.ops->transmit(n->config.arg, n->out, len);
    }
}

/* Sends what p->data holds; p->data itself may be changed. */
void nd_tx_send(struct netdev *n)
{
    struct tx_packet *p = &n->tx;
    uint32_t len = p->size, head = len < 12 ? len : 12, tag = p->vlan && len >= 12 ? 4 : 0;

    if (p->tso)
        segment_header(n);
    checksums(n);
    memcpy(n->out, p->data, head);
    if (tag) {
        put16be(n->out + 12, MAC(n, E_VET));
        put16be(n->out + 14, p->tag);
    }
    memcpy(n->out + head + tag, p->data + head, len - head);
    len += tag;
    if (len < ETH_MIN && (MAC(n, E_TCTL) & TCTL_PSP)) {
        memset(n->out + len, 0, ETH_MIN - len);
        len = ETH_MIN;
    }
    put_out(n, len);
}
