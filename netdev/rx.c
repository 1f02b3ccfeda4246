/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the wire into the receive ring.
 *
 * All entries (backend, loopback) come through nd_receive(), which pads short frames (e1000.md,
 * hole 11) and refuses long ones (1).  The device owns the descriptors from RDH up to, not
 * including, RDT; a frame takes as many as it fills, null addresses are passed over, and RDT ends
 * it in any case (5). A descriptor's status byte is stored last, as a driver may poll it.
 */
#include <stdatomic.h>
#include <string.h>

#include "internal.h"

#define FRAME_LPE_MAX  16384u
#define FRAME_VLAN_MAX 1522u

static uint32_t ring_size(const struct netdev *n)
{
    return MAC(n, E_RDLEN) / 16;
}

static uint32_t free_descriptors(const struct netdev *n)
{
    uint32_t size = ring_size(n), head = MAC(n, E_RDH), tail = MAC(n, E_RDT);

    if (head >= size || tail >= size)
        return 0;
    return tail >= head ? tail - head : size - head + tail;
}

static uint32_t buffer_size(const struct netdev *n)
{
    uint32_t rctl = MAC(n, E_RCTL), code = rctl >> RCTL_BSIZE_SHIFT & 3;

    /* BSEX multiplies by 16; with code 0 it is reserved and means nothing. */
    return (2048u >> code) * ((rctl & RCTL_BSEX) && code ? 16 : 1);
}

bool nd_rx_room(const struct netdev *n)
{
    return free_descriptors(n) > 0;
}

static uint32_t fcs(const uint8_t *p, uint32_t len)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = ~0u;

    for (uint32_t i = 0; i < len; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

static enum netdev_rx dropped(struct netdev *n, enum netdev_rx cause)
{
    n->stats.rx[cause]++;
    return cause;
}

static enum netdev_rx overrun(struct netdev *n)
{
    nd_count(n, E_RNBC);
    nd_count(n, E_MPC);
    nd_irq_raise(n, ICR_RXO);
    return dropped(n, NETDEV_RX_NO_BUFFER);
}

static void count_good(struct netdev *n, const uint8_t *frame, uint32_t wire)
{
    static const uint8_t all[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

    nd_count(n, E_GPRC);
    nd_count64(n, E_GORCL, wire);
    nd_count_size(n, E_PRC64, wire);
    if (memcmp(frame, all, 6) == 0)
        nd_count(n, E_BPRC);
    else if (frame[0] & 1)
        nd_count(n, E_MPRC);
}

struct fill {
    const uint8_t *data;
    uint32_t len, done;
    uint8_t vp;
    uint16_t tag;
    struct rx_sums sums;
};

/* Serves the descriptor at RDH; -1 when the ring itself is not in RAM. */
static int fill_one(struct netdev *n, struct fill *f)
{
    uint64_t at = (MAC(n, E_RDBAL) | (uint64_t)MAC(n, E_RDBAH) << 32) + 16ull * MAC(n, E_RDH);
    uint8_t desc[16], status = RXD_DD;
    uint32_t part = f->len - f->done, head = MAC(n, E_RDH) + 1;
    uint64_t buffer;

    if (nd_dma_read(n, at, desc, sizeof(desc)))
        return -1;
    buffer = get32le(desc) | (uint64_t)get32le(desc + 4) << 32;
    if (part > buffer_size(n))
        part = buffer_size(n);
    memset(desc + 8, 0, 8);
    if (buffer) {
        nd_dma_write(n, buffer, f->data + f->done, part);
        f->done += part;
        put16le(desc + 8, part);
        put16le(desc + 14, f->tag);
        status |= f->vp;
        if (f->done == f->len) {
            status |= RXD_EOP | f->sums.status;
            put16le(desc + 10, f->sums.packet);
            desc[13] = f->sums.errors;
        }
    }
    if (nd_dma_write(n, at + 8, desc + 8, 8))
        return -1;
    atomic_thread_fence(memory_order_release);
    nd_dma_write(n, at + 12, &status, 1);
    MAC(n, E_RDH) = head >= ring_size(n) ? 0 : head;
    return 0;
}

static enum netdev_rx deliver(struct netdev *n, struct fill *f)
{
    uint32_t room = free_descriptors(n), generation = n->generation, causes = ICR_RXT0;

    if ((uint64_t)room * buffer_size(n) < f->len)
        return overrun(n);
    for (; f->done < f->len; room--) {
        if (room == 0)
            return overrun(n);
        if (fill_one(n, f))
            return dropped(n, NETDEV_RX_BAD_RING);
        if (n->generation != generation)
            return dropped(n, NETDEV_RX_OFF);
    }
    if (room * 16 <= MAC(n, E_RDLEN) >> ((MAC(n, E_RCTL) >> RCTL_RDMTS_SHIFT & 3) + 1))
        causes |= ICR_RXDMT0;
    n->stats.rx[NETDEV_RX_OK]++;
    n->stats.rx_bytes += f->len;
    nd_irq_raise(n, causes);
    return NETDEV_RX_OK;
}

static bool oversize(const struct netdev *n, uint32_t len)
{
    uint32_t rctl = MAC(n, E_RCTL);

    return !(rctl & RCTL_SBP) &&
           (len > FRAME_LPE_MAX || (len > FRAME_VLAN_MAX && !(rctl & RCTL_LPE)));
}

enum netdev_rx nd_receive(struct netdev *n, const uint8_t *frame, uint32_t len)
{
    uint8_t copy[NETDEV_FRAME_MAX + 1 + ETH_MIN];
    struct fill f = {.data = copy};
    enum netdev_rx ret;
    uint32_t wire;
    bool tagged;

    if (!nd_pci_master(n) || !(MAC(n, E_RCTL) & RCTL_EN))
        return dropped(n, NETDEV_RX_OFF);
    if (len > NETDEV_FRAME_MAX || oversize(n, len)) {
        nd_count(n, E_ROC);
        return dropped(n, NETDEV_RX_OVERSIZE);
    }
    if (len)
        memcpy(copy, frame, len);
    memset(copy + len, 0, ETH_MIN);
    if (len < ETH_MIN)
        len = ETH_MIN;
    wire = len + 4;
    nd_count(n, E_TPR);
    nd_count64(n, E_TORL, wire);
    tagged = get16be(copy + 12) == MAC(n, E_VET);
    if (!nd_filter(n, copy, tagged))
        return dropped(n, NETDEV_RX_FILTERED);
    if (MAC(n, E_RDH) >= ring_size(n) || MAC(n, E_RDT) >= ring_size(n)) {
        nd_count(n, E_MPC);
        return dropped(n, NETDEV_RX_BAD_RING);
    }
    if (tagged && (MAC(n, E_CTRL) & CTRL_VME)) {
        f.vp = RXD_VP;
        f.tag = (uint16_t)get16be(copy + 14);
        memmove(copy + 4, copy, 12);
        f.data = copy + 4;
        len -= 4;
    }
    f.sums = nd_rx_sums(n, f.data, len);
    f.len = len;
    if (!(MAC(n, E_RCTL) & RCTL_SECRC)) {
        put32le(copy + (f.data - copy) + len, fcs(f.data, len));
        f.len += 4;
    }
    ret = deliver(n, &f);
    if (ret == NETDEV_RX_OK)
        count_good(n, f.data, wire);
    return ret;
}
