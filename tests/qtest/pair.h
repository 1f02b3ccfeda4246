/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's model and ours in lock step: each function does the same to both, compares what comes
 * back, and accounts for known differences by rules.  A rule is a row of the table in
 * netdev/README.md; it says exactly what may differ, and nothing else may.
 */
#ifndef QTEST_PAIR_H
#define QTEST_PAIR_H

#include "../../netdev/e1000.h"
#include "../../netdev/netdev.h"
#include "qemu.h"

#define BAR     0xE0000000u
#define GUEST   0x100000u /* what scripts use of guest memory ... */
#define GUEST_N 0x200000u /* ... and how much; compared after every step */

#define FRAMES_MAX 4096u
#define REG(r)     ((r) / 4)

enum rule {
    RULE_STORE,     /* registers without meaning here */
    RULE_CLEAR,     /* statistics that reading does not clear */
    RULE_COUNTS,    /* statistics: what counts, and how long a frame is */
    RULE_EEPROM,    /* contents of the EEPROM */
    RULE_EECD,      /* EECD.GNT; the zero bit before a word */
    RULE_MDIC,      /* MDIC of another PHY, or without an operation */
    RULE_AN_DONE,   /* negotiation complete after power-on */
    RULE_PHY_RESET, /* PHY reset */
    RULE_CTRL,      /* CTRL.PHY_RST clears itself */
    RULE_PCI,       /* configuration space */
    RULE_TXQE,      /* empty doorbell */
    RULE_FCS,       /* frame check sequence in the buffer */
    RULE_RXCSUM,    /* receive checksum offload */
    RULE_PSP,       /* short frames padded on transmit */
    RULE_IC,        /* legacy checksum */
    RULE_TSO_EMPTY, /* empty segment behind the last one */
    RULE_TSO_IPV6,  /* IPv6 payload length */
    RULE_FILTER,    /* unicast by the hash table */
    RULE_LOOP,      /* loopback into an empty ring */
    RULES
};

/* What a transmitted packet is known to become. */
struct packet {
    uint32_t len, tag;          /* bytes gathered, or of a segment's header; 0 or 4 */
    uint32_t mss, payload;      /* TSO: segments; mss 0: none */
    bool tcp, ipv6;             /* TSO */
    bool ic;                    /* legacy checksum */
    uint8_t ic_css, ic_cso, ip; /* ip: IPCSS */
    bool multicast, broadcast;
};

struct frame_log {
    unsigned count;
    size_t len[FRAMES_MAX];
    uint8_t *data[FRAMES_MAX];
};

struct pair {
    struct qemu q;
    struct netdev *n;
    uint8_t *ram; /* ours; QEMU_RAM bytes */
    uint64_t seed;
    bool failed, verbose;
    unsigned step, settled; /* settled: no receive timer runs in QEMU's model */
    int64_t more[0x1800];   /* statistics: ours is QEMU's and this */
    uint64_t used[RULES];
    struct frame_log ours, theirs;
    char history[32][96];
};

extern const char *const rule_names[RULES];

void pair_start(struct pair *p);
void pair_stop(struct pair *p);
/* Power-on for both, memory window at BAR, bus master; memory zeroed. */
void pair_reset(struct pair *p, uint64_t seed);
/* Notes what comes next; shown when something differs. */
void pair_say(struct pair *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says that something differs; the script is over. */
void pair_differ(struct pair *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pair_rule(struct pair *p, enum rule r);

/* Memory of both. */
void pair_put(struct pair *p, uint32_t gpa, const void *data, uint32_t len);
void pair_put64(struct pair *p, uint32_t gpa, uint64_t value);
void pair_compare_memory(struct pair *p);
void pair_write(struct pair *p, uint32_t reg, uint32_t value);
/* Compares and returns ours. */
uint32_t pair_read(struct pair *p, uint32_t reg);
/* Several (at most 64) at once, which is faster. */
void pair_read_many(struct pair *p, const uint16_t *regs, unsigned count);
uint32_t pair_config(struct pair *p, unsigned reg);
void pair_config_write(struct pair *p, unsigned reg, uint32_t value);
/*
 * A store to TDT or TCTL, after which the packets have been sent; loop: the one frame, if it comes
 * back to the receiver instead.
 */
void pair_doorbell(struct pair *p, uint32_t reg, uint32_t value, const struct packet *packets,
                   unsigned count, const uint8_t *loop);
/* A frame from the wire, if there is room; true if it was received. */
bool pair_inject(struct pair *p, const uint8_t *frame, uint32_t len);
void pair_level_cause(struct pair *p, uint32_t cause, enum rule r);
/* Rings, causes and line. */
void pair_compare_state(struct pair *p);

/* rules.c: may a register read as these two?  Counts the rule that says so. */
bool rule_allows(struct pair *p, uint32_t reg, uint32_t ours, uint32_t theirs);
bool rule_allows_config(struct pair *p, unsigned reg, uint32_t ours, uint32_t theirs);
/* After a read of a statistics register. */
void rule_was_read(struct pair *p, uint32_t reg, uint32_t theirs);
void rule_count_tx(struct pair *p, const struct packet *k, bool psp);
/* The MTA register by which QEMU's model lets a unicast frame in, or 0. */
uint32_t rule_hashed_unicast(struct pair *p, const uint8_t *frame);
void rule_count_rx(struct pair *p, const uint8_t *frame, uint32_t len, enum netdev_rx what);
/* Loopback into an empty ring. */
void rule_count_lost(struct pair *p, uint32_t len);
/* frames.c: compares what was transmitted. */
void frames_compare(struct pair *p, const struct packet *packets, unsigned count, bool psp);

#endif
