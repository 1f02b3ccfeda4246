/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver for the Intel 82540EM, written to the PCI/PCI-X Family of Gigabit Ethernet Controllers
 * Software Developer's Manual: finds the function, resets it, runs its legacy rings.  Freestanding;
 * ports, registers and time come through struct e1000_bus, so that the same code runs in a PE, on
 * bare metal under QEMU and on the host against a model of the chip.
 *
 * The device is not trusted: what it writes back is read once, checked and copied, every wait for
 * it is bounded, and addresses and indices are always the driver's own.
 *
 * No locks: one thread of control per device.  Sending is in two steps, so that any number of
 * frames costs one store to a register: e1000_tx() per frame, then e1000_tx_flush().
 */
#ifndef BRIDGE_E1000DRV_H
#define BRIDGE_E1000DRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define E1000_RX_RING  256u /* descriptors, a multiple of 8 */
#define E1000_TX_RING  256u
#define E1000_BUF      2048u
#define E1000_FRAME    1514u /* bytes of the longest frame sent, without FCS; received: 1518 */
#define E1000_BAR_SIZE 0x20000u
#define E1000_BAR_HERE 0xFEB80000u /* where the registers go when no firmware has placed them */
#define E1000_HANG_NS  2000000000ull

/* All 32 bits wide; addr is physical. */
struct e1000_bus {
    uint32_t (*port_in)(void *arg, uint16_t port);
    void (*port_out)(void *arg, uint16_t port, uint32_t value);
    uint32_t (*reg_read)(void *arg, uint64_t addr);
    void (*reg_write)(void *arg, uint64_t addr, uint32_t value);
    void (*delay)(void *arg, uint64_t ns); /* at least so long */
    void *arg;
};

struct e1000_stats {
    uint64_t rx_frames, rx_bytes;
    uint64_t rx_bad; /* descriptors with an error, in pieces, or with a length that cannot be */
    uint64_t tx_frames, tx_bytes;
    uint64_t tx_full;   /* no free descriptor */
    uint64_t tx_size;   /* longer than E1000_FRAME, or empty */
    uint64_t doorbells; /* stores to TDT */
    uint64_t refills;   /* stores to RDT */
    uint64_t irqs;      /* reads of ICR that found a cause */
    uint64_t overruns;  /* of those, receiver overruns */
    uint64_t resets;
};

struct e1000_desc;

/* Read mac, link and stats; the rest is the driver's. */
struct e1000 {
    struct e1000_bus bus;
    uint64_t bar;
    uint8_t *dma;      /* E1000_DMA_SIZE bytes as the CPU sees them ... */
    uint64_t dma_addr; /* ... and as the device does */
    uint8_t mac[6];
    bool link;
    uint32_t rx_next;  /* the descriptor that fills next */
    uint32_t rx_owed;  /* consumed since the last store to RDT */
    bool rx_piece;     /* in the middle of a frame that takes several descriptors */
    uint32_t tx_next;  /* the next to fill; */
    uint32_t tx_told;  /* TDT; */
    uint32_t tx_clean; /* the oldest that is not known to be sent */
    uint32_t mta[128];
    uint64_t tx_progress; /* ns: when tx_clean last moved, or everything was sent */
    struct e1000_stats stats;
};

/* Rings first (16 bytes a descriptor), then the buffers. */
#define E1000_DMA_SIZE ((E1000_RX_RING + E1000_TX_RING) * (16u + E1000_BUF))

/*
 * Scans PCI bus 0, places the registers if need be, switches on memory and bus mastering, and
 * resets the device.  dma: E1000_DMA_SIZE bytes, 16-byte aligned, used as long as the device is.
 * False: there is none, or it does not come out of its reset; *why then says which.
 */
bool e1000_open(struct e1000 *d, const struct e1000_bus *bus, void *dma, uint64_t dma_addr,
                const char **why);

/* Resets and sets up again; frames in the rings are lost, the MAC address and filters stay. */
bool e1000_reset(struct e1000 *d);

/* Accepts frames to this multicast address (and those that share its hash). */
void e1000_multicast(struct e1000 *d, const uint8_t mac[6]);

/* Descriptors that e1000_tx() can still fill now. */
uint32_t e1000_tx_room(struct e1000 *d);
/*
 * Queues a copy of a frame, padded to 60 bytes.  Returns its buffer, len bytes of which the caller
 * fills before e1000_tx_flush(); NULL when the ring is full or len is 0 or above E1000_FRAME.
 */
uint8_t *e1000_tx(struct e1000 *d, size_t len);
/* Hands what was queued to the device: one store, none when there is nothing. */
void e1000_tx_flush(struct e1000 *d);

/*
 * The next good frame, or NULL; *len is 14 to 1518.  It is valid until e1000_rx_done(), which must
 * follow before the next call.  Looks at no more than a ring's worth of descriptors.
 */
const uint8_t *e1000_rx(struct e1000 *d, size_t *len);
void e1000_rx_done(struct e1000 *d);
/* Is there a descriptor to look at?  A load from memory. */
bool e1000_rx_pending(const struct e1000 *d);
/* Gives consumed descriptors back to the device, when they are enough to be worth a store. */
void e1000_rx_refill(struct e1000 *d);

/* Takes the causes of interrupts away (the line drops) and notes changes of the link. */
void e1000_irq(struct e1000 *d);
/* The same when somebody else has read ICR. */
void e1000_causes(struct e1000 *d, uint32_t causes);

/*
 * Call now and then, and at least every second while frames wait to be sent: true when the device
 * has sent none of them for E1000_HANG_NS, and was reset.
 */
bool e1000_watch(struct e1000 *d, uint64_t now_ns);

#endif
