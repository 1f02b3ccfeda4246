/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge's network: lwIP over the e1000 driver.  One interface with an IPv4 and perhaps an IPv6
 * address, one UDP port for the caller, UDP echo on port 7, and what a neighbour expects (ARP,
 * neighbour discovery, ICMP echo).
 *
 * No locks, no clock: one thread of control; time is what net_time() was last told.
 */
#ifndef BRIDGE_NET_H
#define BRIDGE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "e1000drv.h"

#define NET_ECHO_PORT 7u
#define NET_MTU       1500u
#define NET_DATAGRAM  16384u /* bytes of the longest datagram that is received */
#define NET_NEVER     (~0ull)

/* An address; kind 0 is none. */
struct net_addr {
    uint8_t kind; /* 0, 4 or 6 */
    uint8_t bytes[16];
};

struct net_stats {
    uint64_t rx_no_memory; /* frames for which lwIP had no buffer */
    uint64_t rx_stranger;  /* datagrams that the caller's function refused */
    uint64_t rx_long;      /* datagrams above NET_DATAGRAM */
    uint64_t tx_refused;   /* datagrams that lwIP did not take: no memory, no route */
    uint64_t tx_full;      /* frames that the NIC had no room for */
    uint64_t echoes;
};

/* A datagram for the caller's port; false when nobody knows its sender.  data is valid meanwhile.
 */
typedef bool (*net_receive_fn)(void *arg, const struct net_addr *from, const uint8_t *data,
                               size_t len);

struct net_config {
    struct e1000 *nic;
    struct net_addr ip4, ip6; /* ip6 may be none */
    uint8_t prefix4;          /* bits of the network part, 0..32; IPv6's are 64 */
    uint16_t port;
    net_receive_fn receive;
    void *arg;
    uint64_t random; /* seed of identifiers that strangers should not guess */
};

/* "10.0.0.1" or "fd00::1"; false when it is neither. */
bool net_parse(const char *text, struct net_addr *addr);
bool net_same(const struct net_addr *a, const struct net_addr *b);

/* Once.  time_ns as for net_time(); false when lwIP has no memory for it. */
bool net_open(const struct net_config *config, uint64_t time_ns);

/* Tells the time, which must not go back. */
void net_time(uint64_t ns);
/* Runs lwIP's timers; and when to do that next. */
void net_timers(void);
uint64_t net_deadline(void);

/* Takes at most max frames from the NIC; returns how many there were. */
unsigned net_poll(unsigned max);

/*
 * Queues a datagram from our port to that port of `to`; copied.  It leaves with the next
 * e1000_tx_flush().  False when it was dropped, which is counted.
 */
bool net_send(const struct net_addr *to, const void *data, size_t len);

const struct net_stats *net_stats(void);
/* What lwIP itself dropped: malformed, not for us, no memory. */
uint64_t net_dropped(void);

#endif
