/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link protocol: carries DTU packets between the bridges of a machine's nodes, exactly once,
 * through a network that loses, repeats, reorders and delays.  README.md tells how; the frames are
 * include/link.h.
 *
 * A library without clock, threads, memory or network of its own: the owner passes those in.  One
 * thread; no locks.  The owner's loop:
 *
 *     for each datagram that has come:   link_input()      -> ops->deliver, ops->complete
 *     serve what deliver() was given:    link_delivered()
 *     for each packet of the `out` ring: link_submit()     (false: leave it there)
 *     link_tick()                                          -> ops->send, ops->complete
 *     sleep until link_deadline(), a datagram, a packet
 *
 * Frames leave in link_tick() only (but for the answer to a HELLO), so whatever was handed in since
 * the last one travels together: call it once per round, after the rest.
 */
#ifndef BRIDGE_LINK_H
#define BRIDGE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../include/bridge.h"
#include "../../include/errors.h"
#include "../../include/link.h"

#define LINK_REQS     BRIDGE_SLOTS /* packets that link_submit() holds, for all nodes together */
#define LINK_NODE_ANY 0xFFFFu      /* link_input(): the address tells nothing */
#define LINK_FOREVER  (~0ull)

struct link;

/*
 * What the owner provides; none may be NULL.  They are called from within link_input(),
 * link_submit() and link_tick() and must not call back into the library, except for
 * link_delivered() from within deliver().
 */
struct link_ops {
    /* Nanoseconds from any start; never goes back. */
    uint64_t (*now)(void *arg);
    /*
     * Sends one UDP payload, at most config.mtu bytes; `buf` is the library's again on return.
     * False: not now (queue full); the library tries again with the next link_tick().
     */
    bool (*send)(void *arg, unsigned node, const void *buf, size_t len);
    /*
     * A packet from another node for the `in` ring: op, src_pe, dst_pe, dst_vpe, len, offset and,
     * for BRIDGE_MSG, hdr are set, the rest is 0.  `data` are pkt->len bytes (BRIDGE_READ: NULL),
     * valid until this returns.  It must be answered with link_delivered(), now or later, once.
     */
    void (*deliver)(void *arg, uint64_t handle, const struct bridge_pkt *pkt, const void *data);
    /*
     * The packet that link_submit() took with this id (and src_pe) is done: BRIDGE_COMPLETE.
     * result: the far DTU's, or SE_RECV_GONE when its node is lost, or SE_EP_INVALID when no node
     * has that PE.  Of a successful READ `data` are its `len` bytes, else len is 0.
     */
    void (*complete)(void *arg, uint32_t id, uint16_t src_pe, uint32_t result, const void *data,
                     uint16_t len);
    /* 64 bits that nobody else can guess and that do not come again. */
    uint64_t (*random)(void *arg);
    /* The connection to a node changed; for messages.  See enum link_state. */
    void (*state)(void *arg, unsigned node, unsigned state);
};

enum link_state {
    LINK_SEEKING = 0, /* since the start: never connected yet; packets wait */
    LINK_LIVE = 1,    /* connected (again: what was outstanding to it has failed) */
    LINK_LOST = 2,    /* dead, or not there after boot_ns: packets fail at once */
};

/* PEs first..last, both included, live on `node`. */
struct link_range {
    uint16_t node, first, last;
};

struct link_config {
    uint16_t node;                   /* this node, below `nodes` */
    uint16_t nodes;                  /* 2..LINK_NODES */
    const struct link_range *ranges; /* of all nodes, ours too; copied */
    unsigned n_ranges;
    uint16_t mtu;              /* UDP payload, LINK_FRAME_MIN..LINK_FRAME_MAX; 0: LINK_FRAME_MAX */
    struct link_hello machine; /* the same on all nodes of a machine */
    /* Nanoseconds; 0 stands for the default. */
    uint64_t dead_ns;      /* without acknowledgement: dead; 2 s, at least 100 ms */
    uint64_t keepalive_ns; /* idle time after which a sign of life is asked for; dead_ns / 4 */
    uint64_t boot_ns;      /* how long packets wait for the first connection; 30 s */
    uint64_t hello_ns;     /* between two HELLOs; 200 ms */
    uint64_t ack_ns;       /* how long an acknowledgement may wait for company; 2 ms */
    const struct link_ops *ops;
    void *arg;
};

/* What a node and this one do not agree about, so that they do not connect. */
enum link_differs {
    LINK_DIFFERS_VERSION = 1, /* of the protocol; then nobody knows the rest */
    LINK_DIFFERS_NODES = 2,   /* of struct link_hello */
    LINK_DIFFERS_LINES = 4,
    LINK_DIFFERS_SIZES = 8,
};

/* Why a frame that came in was dropped. */
enum link_drop {
    LINK_DROP_SHORT,   /* smaller than a header, or len is not what has come */
    LINK_DROP_MAGIC,   /* another protocol or version */
    LINK_DROP_HEADER,  /* type, flags, slots or body of a handshake not as they must be */
    LINK_DROP_NODE,    /* not for us, or not from where it says */
    LINK_DROP_MACHINE, /* handshake of another machine description */
    LINK_DROP_EPOCH,   /* of a connection that is over, or never was */
    LINK_DROP_ACK,     /* acknowledges what was never sent */
    LINK_DROP_OLD,     /* arrived before: a duplicate */
    LINK_DROP_WINDOW,  /* further ahead than the window */
    LINK_DROP_RECORD,  /* a record that is cut off, or not as it must be */
    LINK_DROP_PE,      /* a PE that is not of that node */
    LINK_DROP_SLOT,    /* does not fit what is under way: its slot, generation, part */
    LINK_DROPS
};

struct link_stats {
    uint64_t frames_in, frames_out; /* all that came, all that send() took */
    uint64_t bytes_in, bytes_out;   /* UDP payload */
    uint64_t records_in, records_out;
    uint64_t acks_out;    /* frames that only acknowledge */
    uint64_t resent;      /* frames sent again, in all */
    uint64_t fast;        /* of these: later ones had arrived */
    uint64_t timeouts;    /* times the retransmission timer ran out */
    uint64_t spurious;    /* sent again although the first had arrived */
    uint64_t send_full;   /* send() said no */
    uint64_t submit_full; /* link_submit() said no */
    uint64_t submitted, delivered, completed;
    uint64_t held;   /* of the delivered: waited for one before them */
    uint64_t failed; /* of the completed: node lost */
    uint64_t stale;  /* link_delivered() for a connection that is over */
    uint64_t hellos_in, hellos_out;
    uint64_t connects; /* times a connection came up */
    uint64_t losses;   /* times one was declared dead */
    uint64_t restarts; /* times the other side proved to have started anew */
    uint64_t drops[LINK_DROPS];
};

/* Short text for a drop cause, for reports. */
const char *link_drop_name(unsigned cause);

/*
 * Makes a link in `mem` (16-byte aligned, `size` bytes, which stay the caller's and must outlive
 * it).  The more memory, the more packets of each node can be under way (up to LINK_SLOTS).
 * NULL: the configuration is not valid, or link_need(nodes, 1) bytes are not there.
 */
struct link *link_new(void *mem, size_t size, const struct link_config *cfg);

/* Bytes for so many nodes with so many packets each: about 3.4 MiB for 8 nodes, 64 packets. */
size_t link_need(unsigned nodes, unsigned slots);

/*
 * A datagram has come.  `node`: whose address it came from, or LINK_NODE_ANY.  Any bytes are
 * allowed; what is not a valid frame of the live connection is counted and changes nothing else.
 */
void link_input(struct link *l, unsigned node, const void *buf, size_t len);

/*
 * Takes a copy of a packet of the `out` ring (BRIDGE_MSG, BRIDGE_READ, BRIDGE_WRITE) and its data
 * (pkt->len bytes; not read for BRIDGE_READ).  It ends in ops->complete, perhaps before this
 * returns.  False: all LINK_REQS are in use; try again after the next ops->complete.
 */
bool link_submit(struct link *l, const struct bridge_pkt *pkt, const void *data);

/* Would link_submit() take a packet? */
bool link_ready(const struct link *l);

/*
 * The answer to what ops->deliver was given: result is an enum semper_error.  For a READ with
 * result SE_OK `data` are the bytes asked for, and are copied.  Ignored (and counted) if the
 * connection that it came from has ended since.
 */
void link_delivered(struct link *l, uint64_t handle, uint32_t result, const void *data);

/* Timers and sending: after every round, and at link_deadline(). */
void link_tick(struct link *l);

/*
 * When link_tick() has something to do at the latest, in ops->now's time; may be in the past.  A
 * link_tick() that comes later than the owner was told last means that the owner did not run: that
 * time counts for nobody's silence.
 */
uint64_t link_deadline(struct link *l);

enum link_state link_state(const struct link *l, unsigned node);

/*
 * enum link_differs, or-ed: what was wrong with the last frame from a node's address that told; 0
 * if it never was, and since it is connected.
 */
unsigned link_differs(const struct link *l, unsigned node);

/*
 * The same for who tells a user: each value once, then 0, until the node has been connected.  So
 * frames, which anybody may have sent, cause a bounded number of lines.
 */
unsigned link_differs_news(struct link *l, unsigned node);

/* Smoothed round-trip time to a node in ns, 0 if not known. */
uint64_t link_rtt(const struct link *l, unsigned node);

/* The node that a PE lives on, or LINK_NODE_ANY. */
unsigned link_node_of(const struct link *l, unsigned pe);

const struct link_stats *link_stats(const struct link *l);

#endif
