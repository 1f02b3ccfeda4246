/* SPDX-License-Identifier: BSD-2-Clause */
/* Scripts from seeds. */
#ifndef QTEST_SCRIPT_H
#define QTEST_SCRIPT_H

#include "pair.h"

#define TX_RING    0x100000u
#define RX_RING    0x102000u
#define RX_BUF(i)  (0x110000u + 0x4000u * (i)) /* 32 of 16 KiB */
#define TX_HEAD(i) (0x200000u + 0x100u * (i))  /* headers */
#define POOL       0x220000u                   /* random bytes */
#define POOL_N     0x40000u

struct script {
    struct pair *p;
    uint64_t state;
    uint32_t tx_size, tx_tail, rx_size, rx_seen; /* descriptors */
    uint32_t heads;                              /* used of TX_HEAD */
    bool loop;
    struct packet packets[16];
    unsigned npackets;
};

/* A number below n, of this script. */
uint32_t chance(struct script *s, uint32_t n);
/* One script, wholly; false when something differed. */
bool script_run(struct pair *p, uint64_t seed);
/* What needs no seed: all registers and the configuration space, as they are and as written. */
bool script_sweep(struct pair *p);

/* packets.c: descriptors of a packet into the ring (false: no room), and a frame from the wire. */
bool script_packet(struct script *s);
/* Loopback: a packet of one descriptor; its bytes. */
const uint8_t *script_loop_packet(struct script *s);
uint32_t script_frame(struct script *s, uint8_t *frame);

#endif
