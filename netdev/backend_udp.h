/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames in UDP datagrams between this node and its peers, over one socket.  Without a key one
 * datagram is one frame and nothing else, as QEMU's `-netdev dgram` and `socket,udp=` speak
 * (wire-and-lwip.md), and a peer is who its address says; with a key datagrams are sealed (seal.h),
 * and a peer is who can prove it.
 *
 * A small switch: a frame for a peer's MAC goes to that peer, any other frame to all of them.
 *
 * Does I/O, so it stands beside the device library.  One thread may send while another receives;
 * _add may be called while another receives, not while another sends or adds; _close wants to be
 * alone; _stats and _address are for any thread.
 */
#ifndef BACKEND_UDP_H
#define BACKEND_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seal.h"

#define BACKEND_UDP_MAX   65507u /* bytes of a datagram; of a sealed frame: SEAL_FRAME_MAX */
#define BACKEND_UDP_BATCH 64u    /* datagrams to one system call */

struct backend_udp_config {
    const char *local;  /* "host:port" or "[v6 address]:port"; port 0 picks one */
    const uint8_t *key; /* SEAL_KEY_BYTES, copied; NULL: not sealed */
    uint16_t node;      /* with a key: our number, unique among those that share it */
    size_t frame_max;   /* longest frame; 0: as long as a datagram can be */
};

struct backend_udp_peer {
    /* As local.  IPv4 peers of an IPv6 socket are fine.  NULL with a key: learnt when it speaks. */
    const char *address;
    uint8_t mac[6]; /* zeros: not known, gets what is for nobody else */
    uint16_t node;  /* with a key: its number */
};

struct backend_frame {
    const void *data;
    size_t len;
    unsigned peer; /* received: whom from; sending ignores it */
};

/* Nothing but uint64_t in here. */
struct backend_udp_stats {
    uint64_t sent, received;         /* datagrams with a frame */
    uint64_t hello_sent;             /* sealed ones without */
    uint64_t tx_full;                /* the socket had no room */
    uint64_t tx_refused;             /* no route, or not allowed */
    uint64_t tx_size;                /* empty or too long */
    uint64_t tx_no_session;          /* the peer has not proven itself yet; asked to */
    uint64_t tx_no_address;          /* the peer has not spoken yet */
    uint64_t rx_overflow;            /* the socket was full: dropped by the kernel, modulo 2^32 */
    uint64_t rx_empty;               /* zero bytes */
    uint64_t rx_oversize;            /* longer than frame_max allows */
    uint64_t rx_stranger;            /* not from a peer's address (no key) */
    uint64_t rx_other;               /* of the received: a peer's address, another one's MAC */
    uint64_t moved;                  /* a peer proved itself from another address */
    uint64_t rx_seal[SEAL_VERDICTS]; /* sealed datagrams by what became of them */
};

struct backend_udp;

/* 0 or -errno: -EINVAL: not an address; of the socket and bind(); -ENOMEM. */
int backend_udp_open(const struct backend_udp_config *config, struct backend_udp **out);
/*
 * Adds a peer and, with a key, greets it.  Its index (0, 1, ...) or -errno: -EINVAL: not an
 * address; -EAFNOSUPPORT: IPv6 peer of an IPv4 socket; -EEXIST: same address or node; -ENOSPC.
 */
int backend_udp_add(struct backend_udp *u, const struct backend_udp_peer *peer);
/*
 * Changes a peer's address; as above, but -EEXIST, another peer has it, leaves this one without an
 * address until the next call.
 */
int backend_udp_address(struct backend_udp *u, unsigned peer, const char *address);
void backend_udp_close(struct backend_udp *u);   /* NULL is fine */
int backend_udp_fd(const struct backend_udp *u); /* non-blocking, for poll() */
uint16_t backend_udp_port(const struct backend_udp *u);
/*
 * Sends frames in as few system calls as there are BACKEND_UDP_BATCH datagrams.  Datagrams handed
 * to the kernel; what is dropped is counted.
 */
unsigned backend_udp_send(struct backend_udp *u, const struct backend_frame *frames,
                          unsigned count);
/*
 * Receives up to BACKEND_UDP_BATCH (or max) frames with one system call.  How many of them are
 * good, maybe 0; -EAGAIN: nothing waits.  Their data is valid until the next call.
 */
int backend_udp_receive(struct backend_udp *u, struct backend_frame *frames, unsigned max);
/* True once a peer can be sent to: always without a key. */
bool backend_udp_ready(struct backend_udp *u, unsigned peer);
void backend_udp_stats(const struct backend_udp *u, struct backend_udp_stats *out);

#endif
