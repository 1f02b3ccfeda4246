/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An Intel 82540EM as a driver sees it: a PCI function behind configuration mechanism 1, its
 * registers, descriptor rings, offloads and filters.
 *
 * A library like the vDTU's: no KVM, no threads, no clock, no I/O.  The owner passes in accessors
 * to guest memory and callbacks; guest memory, registers and received frames are all hostile.
 *
 * Locking: none inside.  The owner serialises all calls on one device.  Callbacks run inside of the
 * call that caused them.  A callback may call back into the device (a write to TDT, a reset, a
 * frame delivered): work in progress notices and nothing is done twice.
 */
#ifndef NETDEV_H
#define NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETDEV_BAR0_SIZE 0x20000u /* memory window: registers */
#define NETDEV_BAR1_SIZE 0x40u    /* I/O window: IOADDR, IODATA */
#define NETDEV_FRAME_MAX 65535u   /* bytes, without FCS */
#define NETDEV_NEVER     (~0ull)

struct netdev;

/* What the owner provides; dma_read and dma_write are required. */
struct netdev_ops {
    /* Copies len bytes; 0, or -EFAULT unless all of it is guest RAM (never another device). */
    int (*dma_read)(void *arg, uint64_t gpa, void *buf, size_t len);
    int (*dma_write)(void *arg, uint64_t gpa, const void *buf, size_t len);
    /* A frame for the wire, without FCS; valid during the call only. */
    void (*transmit)(void *arg, const void *frame, size_t len);
    void (*irq)(void *arg, bool level); /* the INTx line; only called on changes */
    void (*kick)(void *arg);            /* there is work for netdev_poll() */
    void (*rx_ready)(void *arg);        /* a refused frame may be offered again */
    void (*windows)(void *arg);         /* a window moved or was switched: see netdev_window() */
    uint64_t (*now)(void *arg);         /* ns, monotonic */
    /* Call netdev_tick() at that time (NETDEV_NEVER: don't); replaces an earlier request. */
    void (*timer)(void *arg, uint64_t deadline_ns);
    void (*note)(void *arg, const char *what, uint32_t offset); /* trace: odd things, once each */
};

struct netdev_config {
    uint8_t mac[6];
    uint8_t slot;        /* PCI device number on bus 0, 0..31 */
    bool defer_tx;       /* TDT only calls kick(); netdev_poll() transmits */
    bool throttle;       /* honour ITR (needs now and timer); otherwise interrupts are immediate */
    uint32_t autoneg_ns; /* duration of a link negotiation (needs now and timer); 0: at once */
    const struct netdev_ops *ops;
    void *arg; /* passed to ops */
};

/* What became of a received frame. */
enum netdev_rx {
    NETDEV_RX_OK,
    NETDEV_RX_OFF,       /* receiver off, link down or bus mastering off: may be offered again */
    NETDEV_RX_NO_BUFFER, /* counted by the device as missed; may be offered again */
    NETDEV_RX_FILTERED,
    NETDEV_RX_OVERSIZE,
    NETDEV_RX_BAD_RING, /* RDLEN, RDH or RDT make no sense, or the ring is not in RAM */
    NETDEV_RX_CAUSES
};

struct netdev_stats {
    uint64_t rx[NETDEV_RX_CAUSES]; /* frames offered, by what became of them */
    uint64_t rx_bytes;             /* of accepted frames */
    uint64_t tx_frames, tx_bytes;
    uint64_t tx_looped;    /* frames that loopback kept off the wire */
    uint64_t tx_bad_ring;  /* transmission refused: as NETDEV_RX_BAD_RING */
    uint64_t tx_dropped;   /* packets not sent: buffer outside RAM, too long, no payload */
    uint64_t tso_segments; /* frames cut from larger packets */
    uint64_t bad_offload;  /* checksum or TSO settings that do not fit the packet */
    uint64_t dma_errors;   /* accesses to what is not RAM */
    uint64_t kicks, polls; /* transmit doorbells; netdev_poll() calls that found work */
    uint64_t irqs;         /* rises of the line */
    uint64_t unknown_regs; /* accesses to registers that do not exist */
    uint64_t bad_access;   /* wrong width or alignment */
    uint64_t resets;
};

/* NULL and errno (EINVAL: slot or ops; ENOMEM).  The link is up. */
struct netdev *netdev_new(const struct netdev_config *config);
void netdev_free(struct netdev *n);
/* As the RST# pin: PCI configuration included. */
void netdev_reset(struct netdev *n);

/*
 * I/O ports: CF8h-CFFh and the I/O window.  size is 1, 2 or 4.  False: not ours.  A write to CF8h
 * is ours and the host's alike; configuration of other devices reads as all ones.
 */
bool netdev_port_read(struct netdev *n, uint16_t port, unsigned size, uint32_t *value);
bool netdev_port_write(struct netdev *n, uint16_t port, unsigned size, uint32_t value);
/* Where BAR 0 (memory) or 1 (I/O) is; false when COMMAND has switched it off. */
bool netdev_window(const struct netdev *n, unsigned bar, uint64_t *addr, uint64_t *size);

/* Registers; offset within BAR 0, size 1, 2, 4 or 8.  Narrow writes have no effect. */
uint64_t netdev_mmio_read(struct netdev *n, uint32_t offset, unsigned size);
void netdev_mmio_write(struct netdev *n, uint32_t offset, unsigned size, uint64_t value);
/* True for a register whose writes may wait in a queue (coalesced MMIO), handed in before others.
 */
bool netdev_mmio_lazy(uint32_t offset);

/* A frame from the wire, without FCS, 0..NETDEV_FRAME_MAX bytes; short ones are padded. */
enum netdev_rx netdev_receive(struct netdev *n, const void *frame, size_t len);
/* False: netdev_receive() would refuse any frame now. */
bool netdev_can_receive(const struct netdev *n);
/* Transmits, a bounded amount; true if there is more to do. */
bool netdev_poll(struct netdev *n);
void netdev_tick(struct netdev *n);
void netdev_set_link(struct netdev *n, bool up);
const struct netdev_stats *netdev_stats(const struct netdev *n);
const char *netdev_rx_name(enum netdev_rx cause);

#endif
