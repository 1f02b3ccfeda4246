/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the transmit ring into packets.
 *
 * A doorbell does a bounded amount of work: at most one lap of the ring and about KICK_BYTES, read
 * or sent, as segments may be a header each; the rest is left for netdev_poll().  Each descriptor
 * is copied once.  A packet keeps the context that was current at its first descriptor, so that
 * none can change under it (e1000.md, hole 13).  The gathered size never exceeds its limit, which
 * only a checked context sets (2, 8, 12, 14, 16, 20).
 */
#include <stdatomic.h>
#include <string.h>

#include "internal.h"

#define HEAD_BYTES offsetof(struct tx_packet, header)

static uint32_t ring_size(const struct netdev *n)
{
    return MAC(n, E_TDLEN) / 16;
}

static bool ready(const struct netdev *n)
{
    return (MAC(n, E_TCTL) & TCTL_EN) && nd_pci_master(n);
}

static bool good_ring(const struct netdev *n)
{
    return MAC(n, E_TDH) < ring_size(n) && MAC(n, E_TDT) < ring_size(n);
}

bool nd_tx_pending(const struct netdev *n)
{
    return ready(n) && good_ring(n) && MAC(n, E_TDH) != MAC(n, E_TDT);
}

void nd_tx_kick(struct netdev *n)
{
    if (!ready(n))
        return;
    n->stats.kicks++;
    if (!good_ring(n) && MAC(n, E_TDT) != MAC(n, E_TDH)) {
        n->stats.tx_bad_ring++;
        nd_note(n, "transmit ring makes no sense", E_TDT);
        return;
    }
    if (n->in_tx || !nd_tx_pending(n))
        return;
    if ((n->config.defer_tx || nd_tx_run(n)) && n->config.ops->kick)
        n->config.ops->kick(n->config.arg);
}

static void read_context(struct netdev *n, const uint8_t *desc)
{
    uint32_t cmd = get32le(desc + 8);
    struct tx_context *c = cmd & TXD_TSE ? &n->tx_tso : &n->tx_plain;

    c->ipcss = desc[0];
    c->ipcso = desc[1];
    c->ipcse = (uint16_t)get16le(desc + 2);
    c->tucss = desc[4];
    c->tucso = desc[5];
    c->tucse = (uint16_t)get16le(desc + 6);
    c->paylen = cmd & 0xFFFFF;
    c->tcp = cmd & TXC_TCP;
    c->ip = cmd & TXC_IP;
    c->hdrlen = desc[13];
    c->mss = (uint16_t)get16le(desc + 14);
}

/* Would segmentation with this context write inside of the header only, and make progress? */
static bool good_tso(const struct tx_context *c)
{
    uint32_t ip = c->ipcss + (c->ip ? 20u : 40u), l4 = c->tucss + (c->tcp ? 20u : 8u);

    return c->mss > 0 && c->hdrlen <= HEADER_MAX && ip <= c->hdrlen && l4 <= c->hdrlen &&
           c->ipcss < c->tucss && (uint32_t)c->hdrlen + c->mss <= PACKET_MAX;
}

static void start_packet(struct netdev *n, const uint8_t *desc, uint32_t cmd)
{
    struct tx_packet *p = &n->tx;
    bool data = cmd & TXD_DEXT;

    memset(p, 0, HEAD_BYTES);
    p->started = true;
    if (!data)
        return;
    p->popts = desc[13];
    p->tso = cmd & TXD_TSE;
    p->ctx = p->tso ? n->tx_tso : n->tx_plain;
    if (p->tso && !good_tso(&p->ctx)) {
        n->stats.bad_offload++;
        nd_count(n, E_TSCTFC);
        p->bad = true;
    }
}

static uint32_t limit(const struct tx_packet *p)
{
    return p->tso ? (uint32_t)p->ctx.hdrlen + p->ctx.mss : PACKET_MAX;
}

/* A full segment goes out only when more bytes follow, so that the last one is known as such. */
static void next_segment(struct netdev *n)
{
    struct tx_packet *p = &n->tx;

    if (!p->tso || p->frames >= SEGMENTS_MAX) {
        p->bad = true;
        return;
    }
    nd_tx_send(n);
    p->frames++;
    memcpy(p->data, p->header, p->ctx.hdrlen);
    p->size = p->ctx.hdrlen;
}

static void gather(struct netdev *n, uint64_t addr, uint32_t len)
{
    struct tx_packet *p = &n->tx;
    uint32_t generation = n->generation;

    while (len && !p->bad) {
        uint32_t part;

        if (p->size == limit(p))
            next_segment(n);
        if (n->generation != generation || p->bad)
            return;
        part = limit(p) - p->size;
        if (part > len)
            part = len;
        if (nd_dma_read(n, addr, p->data + p->size, part)) {
            p->bad = true;
            return;
        }
        p->size += part;
        addr += part;
        len -= part;
        if (p->tso && !p->header_ok && p->size >= p->ctx.hdrlen) {
            memcpy(p->header, p->data, p->ctx.hdrlen);
            p->header_ok = true;
        }
    }
}

static void end_packet(struct netdev *n)
{
    struct tx_packet *p = &n->tx;

    p->last = true;
    if (p->tso && !p->bad && !p->header_ok) {
        n->stats.bad_offload++;
        p->bad = true;
    }
    if (p->bad || p->size == 0)
        n->stats.tx_dropped++;
    else
        nd_tx_send(n);
    if (p->tso && !p->bad)
        nd_count(n, E_TSCTC);
    p->started = false;
    p->size = 0;
}

static void take_data(struct netdev *n, const uint8_t *desc, uint32_t cmd)
{
    struct tx_packet *p = &n->tx;
    uint32_t generation = n->generation;
    bool data = cmd & TXD_DEXT;

    if (!p->started)
        start_packet(n, desc, cmd);
    if ((cmd & TXD_VLE) && (MAC(n, E_CTRL) & CTRL_VME)) {
        p->vlan = true;
        p->tag = (uint16_t)get16le(desc + 14);
    }
    if (!data && (cmd & TXD_IC)) {
        p->ic = true;
        p->ic_cso = desc[10];
        p->ic_css = desc[13];
    }
    gather(n, get32le(desc) | (uint64_t)get32le(desc + 4) << 32, cmd & (data ? 0xFFFFF : 0xFFFF));
    if (n->generation == generation && (cmd & TXD_EOP))
        end_packet(n);
}

/*
 * Serves the descriptor at TDH.  Returns its causes, or -1 when the ring is not in RAM or a reset
 * came meanwhile.
 */
static int serve(struct netdev *n, uint32_t *bytes)
{
    uint64_t at = (MAC(n, E_TDBAL) | (uint64_t)MAC(n, E_TDBAH) << 32) + 16ull * MAC(n, E_TDH);
    uint32_t generation = n->generation, head = MAC(n, E_TDH) + 1, cmd;
    uint8_t desc[16], status;

    if (nd_dma_read(n, at, desc, sizeof(desc)))
        return -1;
    cmd = get32le(desc + 8);
    if ((cmd & TXD_DEXT) && (cmd & TXD_DTYP) == 0) {
        read_context(n, desc);
    } else {
        take_data(n, desc, cmd);
        *bytes += cmd & (cmd & TXD_DEXT ? 0xFFFFF : 0xFFFF);
    }
    if (n->generation != generation)
        return -1;
    MAC(n, E_TDH) = head >= ring_size(n) ? 0 : head;
    if (!(cmd & (TXD_RS | TXD_RPS)))
        return 0;
    status = (desc[12] & 0xF0) | TXD_DD;
    atomic_thread_fence(memory_order_release);
    nd_dma_write(n, at + 12, &status, 1);
    return ICR_TXDW;
}

bool nd_tx_run(struct netdev *n)
{
    uint32_t lap = ring_size(n), bytes = 0, causes = 0, generation = n->generation;
    uint64_t before = n->stats.tx_bytes;
    int ret = 0;

    n->in_tx = true;
    while (nd_tx_pending(n) && lap-- && bytes < KICK_BYTES &&
           n->stats.tx_bytes - before < KICK_BYTES) {
        ret = serve(n, &bytes);
        if (ret < 0)
            break;
        causes |= (uint32_t)ret;
    }
    n->in_tx = false;
    if (n->generation != generation)
        return nd_tx_pending(n);
    if (ret < 0)
        n->stats.tx_bad_ring++;
    else if (!nd_tx_pending(n))
        causes |= ICR_TXQE;
    nd_irq_raise(n, causes);
    return ret >= 0 && nd_tx_pending(n);
}
