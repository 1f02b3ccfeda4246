/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes between two VPEs, in the original's protocol: a ring of memory, and a gate from the writer
 * to an endpoint of the reader.  For each piece the writer sends {u64 offset, u64 length} and the
 * reader replies with the length when it is done with it; length 0 is the end, from either side.
 * Offsets advance by lengths rounded up to 8.  At most PIPE_MSGS pieces are on their way.
 *
 * When the other side has ended without a word, the kernel has taken the gate away; both sides look
 * for that from time to time.
 */
#ifndef GUEST_PIPE_H
#define GUEST_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "map_gate.h"

#define PIPE_MSGORDER 6u
#define PIPE_ORDER    10u
#define PIPE_MSGS     (1u << (PIPE_ORDER - PIPE_MSGORDER))

struct pipe_reader {
    unsigned ep; /* where messages come; ours already, or to be attached */
    struct gate mem;
    struct map_auto map;
    struct recv_gate recv;
    bool attached, eof;
    const struct dtu_header *msg; /* the piece being read, not replied to yet */
    uint64_t off, left, length;
};

struct pipe_writer {
    uint64_t size;
    struct gate mem, send;
    struct map_auto map;
    struct recv_gate recv; /* replies */
    bool attached, eof;
    uint64_t rdpos, wrpos, free;
    unsigned pending; /* pieces without reply */
};

/* mem: the selector of the memory; endpoint ep is reserved for it. */
void pipe_reader_init(struct pipe_reader *r, unsigned mem, unsigned ep);
/* mem: selector of the memory of size bytes, behind it that of the gate. */
void pipe_writer_init(struct pipe_writer *w, unsigned mem, uint64_t size);

/* As file_read() and file_write(). */
long pipe_read(struct pipe_reader *r, void *buf, size_t n);
long pipe_write(struct pipe_writer *w, const void *buf, size_t n);

/* Tells the other side, and waits until it is done with what was written. */
void pipe_close_reader(struct pipe_reader *r);
void pipe_close_writer(struct pipe_writer *w);

#endif
