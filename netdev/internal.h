/* SPDX-License-Identifier: BSD-2-Clause */
/* What the device's files share.  Lengths are uint32_t; a subtraction stands behind its comparison.
 */
#ifndef NETDEV_INTERNAL_H
#define NETDEV_INTERNAL_H

#include "e1000.h"
#include "netdev.h"

#define REG_WORDS    0x1800u /* registers end at 0x6000 */
#define EEPROM_WORDS 64u
#define ETH_MIN      60u                    /* without FCS */
#define HEADER_MAX   240u                   /* TSO */
#define PACKET_MAX   (NETDEV_FRAME_MAX - 4) /* bytes gathered for one frame: a tag fits */
#define SEGMENTS_MAX 4096u                  /* frames cut from one packet */
#define KICK_BYTES   (4u << 20)

#define MAC(n, reg) ((n)->mac[(reg) / 4])

/* The last context descriptor of one kind, decoded. */
struct tx_context {
    uint8_t ipcss, ipcso, tucss, tucso;
    uint16_t ipcse, tucse;
    uint32_t paylen;
    uint16_t mss;
    uint8_t hdrlen;
    bool tcp, ip;
};

/* The packet under construction. */
struct tx_packet {
    uint32_t size;          /* bytes in data[] */
    bool started, bad, tso; /* a data descriptor came; not to be sent; is cut into segments */
    bool last;              /* EOP was seen */
    bool vlan, header_ok;   /* insert tag; header[] is filled */
    uint8_t popts;          /* of the first descriptor */
    uint8_t ic_css, ic_cso; /* legacy checksum */
    bool ic;
    uint16_t tag;
    uint32_t frames;            /* segments sent */
    struct tx_context ctx;      /* fixed when the packet starts */
    uint8_t header[HEADER_MAX]; /* as the guest wrote it */
    uint8_t data[PACKET_MAX];
};

struct netdev {
    struct netdev_config config;
    struct netdev_stats stats;
    uint32_t mac[REG_WORDS];
    uint8_t row[REG_WORDS]; /* index into the register table + 1 */
    uint32_t noted[NETDEV_BAR0_SIZE / 4 / 32];
    uint32_t generation; /* counts resets: work in progress ends when it changed */
    bool wire, negotiating, in_tx, line;
    uint32_t ims;
    uint64_t autoneg_at, irq_at, irq_last;

    uint32_t pci_addr, io_addr;
    uint8_t pci[256];

    uint16_t eeprom[EEPROM_WORDS];
    struct {
        uint32_t pins, shift, bits, out;
        bool reading, writable;
    } ee;
    uint16_t phy[32];

    struct tx_context tx_plain, tx_tso; /* latest contexts */
    struct tx_packet tx;
    uint8_t out[NETDEV_FRAME_MAX];
};

static inline uint32_t get16le(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t get32le(const uint8_t *p)
{
    return get16le(p) | get16le(p + 2) << 16;
}

static inline uint32_t get16be(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32be(const uint8_t *p)
{
    return get16be(p) << 16 | get16be(p + 2);
}

static inline void put16le(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put32le(uint8_t *p, uint32_t v)
{
    put16le(p, v);
    put16le(p + 2, v >> 16);
}

static inline void put16be(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put32be(uint8_t *p, uint32_t v)
{
    put16be(p, v >> 16);
    put16be(p + 2, v);
}

/* netdev.c */
int nd_dma_read(struct netdev *n, uint64_t gpa, void *buf, uint32_t len);
int nd_dma_write(struct netdev *n, uint64_t gpa, const void *buf, uint32_t len);
void nd_note(struct netdev *n, const char *what, uint32_t offset);
void nd_soft_reset(struct netdev *n);
uint64_t nd_now(const struct netdev *n);
void nd_arm_timer(struct netdev *n);
/* pci.c */
void nd_pci_init(struct netdev *n);
bool nd_pci_master(const struct netdev *n);
bool nd_pci_intx(const struct netdev *n);
void nd_pci_abort(struct netdev *n);
void nd_pci_irq_status(struct netdev *n, bool asserted);
/* regs.c */
void nd_regs_reset(struct netdev *n);
void nd_regs_index(struct netdev *n);
uint32_t nd_reg_read(struct netdev *n, uint32_t offset);
void nd_reg_write(struct netdev *n, uint32_t offset, uint32_t value);
/* eeprom.c */
void nd_eeprom_init(struct netdev *n);
void nd_eeprom_reset(struct netdev *n);
uint32_t nd_eecd_read(struct netdev *n, uint32_t offset);
void nd_eecd_write(struct netdev *n, uint32_t offset, uint32_t value);
uint32_t nd_eerd_read(struct netdev *n, uint32_t offset);
/* phy.c */
void nd_phy_reset(struct netdev *n);
void nd_phy_link(struct netdev *n);
void nd_phy_negotiated(struct netdev *n);
void nd_mdic_write(struct netdev *n, uint32_t offset, uint32_t value);
/* irq.c */
void nd_irq_raise(struct netdev *n, uint32_t causes);
void nd_irq_update(struct netdev *n);
uint32_t nd_icr_read(struct netdev *n, uint32_t offset);
void nd_icr_write(struct netdev *n, uint32_t offset, uint32_t value);
void nd_ics_write(struct netdev *n, uint32_t offset, uint32_t value);
void nd_ims_write(struct netdev *n, uint32_t offset, uint32_t value);
void nd_imc_write(struct netdev *n, uint32_t offset, uint32_t value);
/* stats.c */
void nd_count(struct netdev *n, uint32_t reg);
void nd_count64(struct netdev *n, uint32_t low, uint32_t bytes);
void nd_count_size(struct netdev *n, uint32_t first, uint32_t bytes);
uint32_t nd_stat_read(struct netdev *n, uint32_t offset);
/* filter.c */
bool nd_filter(struct netdev *n, const uint8_t *frame, bool tagged);
/* rx.c */
enum netdev_rx nd_receive(struct netdev *n, const uint8_t *frame, uint32_t len);
bool nd_rx_room(const struct netdev *n);
/* tx.c */
void nd_tx_kick(struct netdev *n);
bool nd_tx_run(struct netdev *n);
bool nd_tx_pending(const struct netdev *n);
/* offload.c */
void nd_tx_send(struct netdev *n);
uint32_t nd_sum16(const uint8_t *p, uint32_t len);
uint32_t nd_fold(uint32_t sum);
/* rxcsum.c */
struct rx_sums {
    uint16_t packet; /* ones' complement sum from PCSS on, not inverted */
    uint8_t status, errors;
};
struct rx_sums nd_rx_sums(const struct netdev *n, const uint8_t *frame, uint32_t len);

#endif
