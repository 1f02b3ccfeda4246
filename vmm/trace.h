/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces: every operation of a run, one record each.
 *
 * A file is a header, the command line that made the run (so that `replay` can make it again), then
 * records, the last of them TR_END with the count and the hash of all before it: a file that was
 * cut short lacks it.  All numbers are little endian.
 *
 * In a seeded run the records are in order.  In an ordinary run each PE fills a buffer of its own,
 * and a reader sorts by `step`, which is drawn from one counter while the DTU's lock is held: the
 * records of one DTU are in the order in which things happened there.
 */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_MAGIC   0x3145434152545653ull /* "SVTRACE1" */
#define TRACE_VERSION 1u

/* What happened.  1..7 are the DTU's commands (include/dtu.h). */
enum trace_op {
    TR_SEND = 1,
    TR_REPLY = 2,
    TR_READ = 3,
    TR_WRITE = 4,
    TR_FETCH = 5,
    TR_ACK = 6,
    TR_DEBUG = 7,   /* label = the marker */
    TR_SCHED = 16,  /* the scheduler went on with this PE (seeded runs; only when it changed) */
    TR_WAIT = 17,   /* the PE begins to wait; label = deadline, ~0 for none; ep = 1: HLT, 2: WAIT */
    TR_WAKE = 18,   /* it goes on; result = enum vreg_cause */
    TR_EXIT = 19,   /* a program or PE ended; ep = enum vreg_exit, result = status */
    TR_FAULT = 20,  /* the PE faulted; label = RIP */
    TR_RESET = 22,  /* the PE's CPU was reset; label = where it waits */
    TR_INJECT = 21, /* the scheduler did something to the PE; ep = enum trace_inject */
    TR_NODE = 23,   /* the PE is of that node; ep = node, result = how often it began before */
    TR_WIRE = 24,   /* a frame from the PE's NIC reached peer's; label = its number, len, hash */
    TR_END = 31,    /* label = hash, first = number of records before this one */
};

enum trace_inject {
    TI_REFUSE = 1,
    TI_DELAY = 2,
    TI_SPURIOUS = 3,
    TI_CRASH = 4,
    /* The wire between nodes: the PE is the sender's bridge, label = the frame's number. */
    TI_LOSS = 5,
    TI_DUP = 6,
    TI_REORDER = 7,
    TI_STALL = 8,
    /* The PE's whole node is lost, or begins anew. */
    TI_DOWN = 9,
    TI_UP = 10,
};

struct trace_record {
    uint64_t step;   /* seeded: scheduler's step; ordinary: sequence number */
    uint64_t time;   /* ns, virtual in a seeded run */
    uint16_t pe;     /* who did it */
    uint16_t vpe;    /* commands: its VPE_ID register */
    uint8_t op;      /* enum trace_op */
    uint8_t ep;      /* endpoint of the command */
    uint16_t peer;   /* the other PE; of a FETCH: who sent the message; 0xFFFF: none */
    uint64_t label;  /* of the message sent or fetched */
    uint64_t offset; /* READ, WRITE: address at the peer; SEND, REPLY: its endpoint; FETCH, ACK:
                        local address of the message, 0 for none */
    uint32_t len;    /* payload bytes */
    uint32_t result; /* error code */
    uint64_t hash;   /* of the payload, 0 without one */
    uint64_t first;  /* the first 8 bytes of the payload: opcode of a system or kernel call */
};
_Static_assert(sizeof(struct trace_record) == 64, "the file format");

enum trace_flags { TRACE_SEEDED = 1 };

struct trace_header {
    uint64_t magic;
    uint32_t version;
    uint32_t flags;
    uint64_t seed;
    uint64_t machine; /* hash of what the run depends on: sizes, boot line, programs, images */
    uint32_t pes;
    uint32_t args_len; /* bytes of the command line behind the header: strings with their NULs */
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct trace_header) == 64, "the file format");

/*
 * Writing.  path NULL: nothing is written, only the hash is computed.  ordered: records come from
 * one thread in order; otherwise from any thread, each PE's from one thread at a time.  args: the
 * command line, strings with their NULs.  0 or -errno with one line in err.
 */
struct trace;
int trace_open(struct trace **out, const char *path, const struct trace_header *h, const char *args,
               bool ordered, char *err, size_t errsize);

/* Adds a record; fills in `step` itself when the trace is not ordered.  Errors are kept for the
 * end. */
void trace_add(struct trace *t, struct trace_record *r);

/* The hash over all records so far (ordered traces). */
uint64_t trace_hash(const struct trace *t);

/* Writes what is left and TR_END, and frees it.  0, or -errno of the first write that failed. */
int trace_close(struct trace *t);

#endif
