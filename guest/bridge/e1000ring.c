/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's rings (manual chapter 3).  Descriptor i of either ring always has buffer i, whatever
 * the device wrote into it.  Loads and stores of descriptors are volatile and whole; x86 keeps
 * stores in order, so a compiler barrier stands where another machine would need a fence.
 */
#include "e1000drv.h"
#include "e1000hw.h"
#include "str.h"

#define ETH_MIN      60u
#define ETH_HEADER   14u
#define RX_FRAME_MAX 1518u                /* one VLAN tag */
#define RX_BATCH     (E1000_RX_RING / 4u) /* descriptors that are worth a store to RDT */

#define barrier() __asm__ volatile("" ::: "memory")

void e1000_rings_init(struct e1000 *d);

static volatile struct e1000_desc *rx_desc(const struct e1000 *d, uint32_t i)
{
    return (volatile struct e1000_desc *)(void *)(d->dma + 16u * i);
}

static volatile struct e1000_desc *tx_desc(const struct e1000 *d, uint32_t i)
{
    return (volatile struct e1000_desc *)(void *)(d->dma + 16u * (E1000_RX_RING + i));
}

/* Offset of a buffer; those of the transmit ring follow the receive ring's. */
static uint32_t buf_offset(uint32_t i)
{
    return 16u * (E1000_RX_RING + E1000_TX_RING) + E1000_BUF * i;
}

static void rx_arm(struct e1000 *d, uint32_t i)
{
    rx_desc(d, i)->addr = d->dma_addr + buf_offset(i);
    rx_desc(d, i)->rest = 0;
}

void e1000_rings_init(struct e1000 *d)
{
    for (uint32_t i = 0; i < E1000_RX_RING; i++)
        rx_arm(d, i);
    for (uint32_t i = 0; i < E1000_TX_RING; i++) {
        tx_desc(d, i)->addr = 0;
        tx_desc(d, i)->rest = 0;
    }
    d->rx_next = 0;
    d->rx_owed = 0;
    d->rx_piece = false;
    d->tx_next = 0;
    d->tx_told = 0;
    d->tx_clean = 0;
    barrier();
}

/* ---- transmit ---- */

static void tx_reclaim(struct e1000 *d)
{
    while (d->tx_clean != d->tx_told && (tx_desc(d, d->tx_clean)->rest & HW_TX_DD))
        d->tx_clean = (d->tx_clean + 1) % E1000_TX_RING;
}

uint32_t e1000_tx_room(struct e1000 *d)
{
    tx_reclaim(d);
    return (d->tx_clean + E1000_TX_RING - d->tx_next - 1) % E1000_TX_RING;
}

uint8_t *e1000_tx(struct e1000 *d, size_t len)
{
    volatile struct e1000_desc *t = tx_desc(d, d->tx_next);
    uint32_t at = buf_offset(E1000_RX_RING + d->tx_next);
    size_t wire = len < ETH_MIN ? ETH_MIN : len;

    if (len == 0 || len > E1000_FRAME) {
        d->stats.tx_size++;
        return NULL;
    }
    if ((d->tx_next + 1) % E1000_TX_RING == d->tx_clean && e1000_tx_room(d) == 0) {
        d->stats.tx_full++;
        return NULL;
    }
    memset(d->dma + at + len, 0, wire - len);
    t->addr = d->dma_addr + at;
    t->rest = wire | HW_TX_EOP | HW_TX_IFCS | HW_TX_RS;
    d->tx_next = (d->tx_next + 1) % E1000_TX_RING;
    d->stats.tx_frames++;
    d->stats.tx_bytes += len;
    return d->dma + at;
}

void e1000_tx_flush(struct e1000 *d)
{
    if (d->tx_told == d->tx_next)
        return;
    if (d->tx_clean == d->tx_told)
        d->tx_progress = 0; /* nothing was to be sent, for however long: time begins now */
    barrier();              /* descriptors and frames before the doorbell */
    d->tx_told = d->tx_next;
    d->bus.reg_write(d->bus.arg, d->bar + HW_TDT, d->tx_told);
    d->stats.doorbells++;
}

bool e1000_watch(struct e1000 *d, uint64_t now_ns)
{
    uint32_t before = d->tx_clean;

    tx_reclaim(d);
    if (d->tx_clean != before || d->tx_clean == d->tx_told || d->tx_progress == 0 || !d->link) {
        d->tx_progress = now_ns;
        return false;
    }
    if (now_ns - d->tx_progress < E1000_HANG_NS)
        return false;
    d->tx_progress = now_ns;
    e1000_reset(d);
    return true;
}

/* ---- receive ---- */

bool e1000_rx_pending(const struct e1000 *d)
{
    return (rx_desc(d, d->rx_next)->rest >> 32 & HW_RX_DD) != 0;
}

void e1000_rx_done(struct e1000 *d)
{
    rx_arm(d, d->rx_next);
    d->rx_next = (d->rx_next + 1) % E1000_RX_RING;
    d->rx_owed++;
}

const uint8_t *e1000_rx(struct e1000 *d, size_t *len)
{
    for (unsigned i = 0; i < E1000_RX_RING; i++) {
        uint64_t rest = rx_desc(d, d->rx_next)->rest;
        uint32_t status = rest >> 32 & 0xFF, errors = rest >> 40 & 0xFF;
        uint32_t got = rest & 0xFFFF;

        if (!(status & HW_RX_DD))
            return NULL;
        barrier(); /* the frame is read after its status */
        /*
         * A frame of ours fits one buffer, so a piece without EOP is none, and the piece that
         * ends it comes with a length that belongs to no frame: both are passed over.
         */
        if ((status & HW_RX_EOP) && !errors && got >= ETH_HEADER && got <= RX_FRAME_MAX &&
            !d->rx_piece) {
            d->stats.rx_frames++;
            d->stats.rx_bytes += got;
            *len = got;
            return d->dma + buf_offset(d->rx_next);
        }
        d->rx_piece = !(status & HW_RX_EOP);
        d->stats.rx_bad++;
        e1000_rx_done(d);
    }
    return NULL;
}

void e1000_rx_refill(struct e1000 *d)
{
    if (d->rx_owed < RX_BATCH)
        return;
    barrier();
    d->rx_owed = 0;
    d->stats.refills++;
    /* The descriptor before the next to fill stays the driver's. */
    d->bus.reg_write(d->bus.arg, d->bar + HW_RDT, (d->rx_next + E1000_RX_RING - 1) % E1000_RX_RING);
}
