/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames over a connection, TCP or Unix, each behind its length (32 bits, big endian): what QEMU's
 * `-netdev stream` and `socket,listen=` speak.  Non-blocking.
 */
#ifndef BACKEND_STREAM_H
#define BACKEND_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define BACKEND_STREAM_MAX 69632u /* QEMU's bound; a longer frame ends the connection */

struct backend_stream_stats {
    uint64_t sent, received;
    uint64_t tx_full;   /* the connection had no room: dropped */
    uint64_t tx_size;   /* empty or too long */
    uint64_t rx_empty;  /* length 0: skipped */
    uint64_t rx_length; /* too long: connection given up */
    uint64_t rx_room;   /* longer than the caller's buffer */
    uint64_t lost;      /* frames cut off by the end of the connection */
};

struct backend_stream;

/*
 * where: "unix:PATH" or "tcp:host:port".  _connect: a connected socket; _listen: a listening one.
 * The descriptor or -errno.  A Unix socket that a killed process has left is replaced.
 */
int backend_stream_connect(const char *where);
int backend_stream_listen(const char *where);
/* Takes over the connected socket fd; over TCP, an end that is silent for 5 s is gone.  NULL and
 * errno. */
struct backend_stream *backend_stream_new(int fd);
void backend_stream_close(struct backend_stream *s);
int backend_stream_fd(const struct backend_stream *s);
/* 0; -EAGAIN, -EMSGSIZE with the frame dropped; -EPIPE: the connection is over. */
int backend_stream_send(struct backend_stream *s, const void *frame, size_t len);
/* Sends what waits of a frame begun; 0, -EAGAIN (poll for writing) or -EPIPE. */
int backend_stream_flush(struct backend_stream *s);
/* Bytes of the next frame; -EAGAIN: none yet; -EPIPE: over; -EPROTO: the peer talks nonsense. */
long backend_stream_receive(struct backend_stream *s, void *frame, size_t size);
const struct backend_stream_stats *backend_stream_stats(const struct backend_stream *s);

#endif
