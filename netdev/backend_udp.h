/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames in UDP datagrams, one each and nothing else: what QEMU's `-netdev dgram` and `socket,udp=`
 * speak (wire-and-lwip.md).  Does I/O, so it stands beside the device library.  Not thread-safe per
 * object, except that one thread may send while another receives.
 */
#ifndef BACKEND_UDP_H
#define BACKEND_UDP_H

#include <stddef.h>
#include <stdint.h>

#define BACKEND_UDP_MAX 65507u

struct backend_udp_stats {
    uint64_t sent, received;
    uint64_t tx_full;      /* the socket had no room */
    uint64_t tx_refused;   /* nobody listens, no route */
    uint64_t tx_size;      /* empty or longer than a datagram */
    uint64_t rx_empty;     /* zero bytes */
    uint64_t rx_truncated; /* longer than the caller's buffer */
    uint64_t rx_stranger;  /* not from the peer */
};

struct backend_udp;

/*
 * local and peer: "host:port" or "[v6 address]:port"; port 0 in local picks one.  0 or -errno
 * (-EINVAL: not an address; -EAFNOSUPPORT: of two families).
 */
int backend_udp_open(const char *local, const char *peer, struct backend_udp **out);
/* Changes the peer, as "host:port". */
int backend_udp_peer(struct backend_udp *u, const char *peer);
void backend_udp_close(struct backend_udp *u);
int backend_udp_fd(const struct backend_udp *u); /* non-blocking, for poll() */
uint16_t backend_udp_port(const struct backend_udp *u);
/* 0, or -errno with the frame dropped and counted. */
int backend_udp_send(struct backend_udp *u, const void *frame, size_t len);
/* Bytes of the next good frame, -EAGAIN when there is none.  Skips at most 64 bad ones. */
long backend_udp_receive(struct backend_udp *u, void *frame, size_t size);
const struct backend_udp_stats *backend_udp_stats(const struct backend_udp *u);

#endif
