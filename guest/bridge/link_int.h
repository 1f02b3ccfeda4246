/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the link protocol: what link.c (set-up, packets of the owner, time), link_hs.c
 * (connections), link_rx.c (frames that come), link_rec.c (records in them) and link_tx.c (frames
 * that go) share.
 */
#ifndef BRIDGE_LINK_INT_H
#define BRIDGE_LINK_INT_H

#include "link.h"
#include "str.h"

#define NONE 0xFFFFu /* end of a list of requests or slots */

#define CWND_FIRST    16u /* congestion window, frames */
#define CWND_MIN      8u  /* after a loss */
#define CWND_RTO      4u  /* after the timer ran out */
#define REORDER_FIRST 3u  /* later frames that have to arrive before one counts as lost */
#define REORDER_MAX   (LINK_WINDOW - 8)
#define RTO_MIN       10000000ull /* 10 ms: a host that is busy is no loss */
#define ACK_EVERY     8u          /* frames that one delayed acknowledgement may stand for */
#define PART_MIN      256u        /* do not begin to cut a packet for less than this */

/* A frame that was sent and may have to be sent again. */
enum frame_state { FRAME_NEW, FRAME_SENT, FRAME_LOST, FRAME_ACKED };

struct link_frame {
    uint64_t sent;  /* when, last */
    uint32_t order; /* counts transmissions of the peer */
    uint16_t len;   /* header included */
    uint8_t state;  /* enum frame_state */
    uint8_t tries;
    uint8_t buf[LINK_FRAME_MAX];
};

/* A packet of ours for another node, from link_submit() to complete(). */
enum req_state { REQ_FREE, REQ_QUEUED, REQ_WAITING };

struct link_req {
    uint32_t id;
    uint16_t next; /* in the peer's queue, or of the free ones */
    uint8_t op;    /* enum link_op */
    uint8_t state; /* enum req_state */
    uint16_t peer, slot, gen;
    uint16_t total;  /* data bytes; READ: asked for */
    uint16_t packed; /* data bytes that are in frames */
    uint64_t got;    /* READ: LINK_UNITs of the answer that are here */
    struct link_target target;
    struct dtu_header hdr;
    uint8_t data[BRIDGE_DATA]; /* to be sent; READ: the answer */
};

/* A packet of a peer for us.  HELD: all here, but the one before it is not. */
enum slot_state { SLOT_FREE, SLOT_PART, SLOT_HELD, SLOT_GIVEN, SLOT_ANSWER };

struct link_slot {
    uint8_t state; /* enum slot_state */
    uint8_t op;    /* enum link_op */
    bool used;     /* in this connection */
    uint16_t gen;
    uint16_t next;   /* in the queue of answers */
    uint16_t total;  /* data bytes; ANSWER: of the answer */
    uint16_t packed; /* ANSWER: data bytes that are in frames */
    uint16_t wanted; /* READ: bytes asked for */
    uint32_t result;
    uint64_t got; /* LINK_UNITs that are here */
    struct link_target target;
    struct dtu_header hdr;
    uint8_t data[BRIDGE_DATA];
};

struct link_queue {
    uint16_t head, tail;
};

struct link_peer {
    uint16_t node;
    uint8_t state;   /* enum link_state */
    uint8_t differs; /* enum link_differs */
    uint16_t told;   /* a bit for each value of it that link_differs_news() gave */
    bool answer_turn;
    bool confirmed;        /* a frame of this connection has come */
    uint64_t mine, theirs; /* the connection; theirs 0: none */
    uint64_t offered;      /* LIVE: what a new connection would have as `mine` */
    uint32_t conn;         /* counts connections; part of a handle */
    uint64_t heard;        /* when the other side last proved that it hears us */
    uint64_t hello_at;     /* not LIVE: when the next HELLO is due */

    /* Frames that go. */
    uint32_t una, next; /* oldest not acknowledged, next new one */
    uint64_t una_at;    /* when `una` became the oldest, or was sent */
    uint32_t order, acked_order, reorder;
    uint32_t cwnd, cwnd_part, ssthresh, recover, in_flight;
    uint64_t srtt, rttvar, rto, rto_now;
    uint32_t echo_seen;
    bool have_echo;
    bool greet; /* send a numbered frame even if it is empty */

    /* Frames that come. */
    uint32_t rx_next;
    uint64_t rx_bits; /* bit i: rx_next + 1 + i is here */
    uint64_t ack_due; /* LINK_FOREVER: nothing to acknowledge */
    uint32_t unacked;
    uint32_t stamp_seen;
    uint64_t stamp_at;
    bool have_stamp;

    /* Packets. */
    struct link_queue reqs;    /* of ours, not all in frames yet */
    struct link_queue answers; /* of theirs, answered, not all in frames yet */
    uint64_t slots_busy;       /* of theirs: bit per slot */
    uint32_t slots_far;        /* how many those are */
    uint16_t slot_req[LINK_SLOTS];
    uint16_t slot_gen[LINK_SLOTS];
    uint16_t held;          /* of our slots, how many are SLOT_HELD */
    uint16_t last[DTU_PES]; /* 1 + the packet of that PE that began last; 0: it is done */
    struct link_slot *slot; /* of ours, l->slots of them */
    struct link_frame frame[LINK_WINDOW];
};

struct link {
    struct link_config cfg;
    unsigned n_peers;
    unsigned slots;   /* per peer */
    unsigned turn;    /* the peer that may send first */
    uint64_t started; /* when link_new() ran */
    uint64_t ticked;  /* when link_tick() ran last */
    uint64_t due;     /* when it was to run next, at the latest */
    uint64_t rto_max;
    bool blocked; /* send() said no in this tick */
    uint16_t free_req;
    struct link_stats st;
    uint8_t node_of[DTU_PES]; /* 0xFF: none */
    struct link_peer *peer;
    struct link_req req[LINK_REQS]; /* last: link_new() clears what is before */
};

static inline uint64_t link_now(const struct link *l)
{
    return l->cfg.ops->now(l->cfg.arg);
}

/* NULL: no other node has that number. */
static inline struct link_peer *link_peer_of(const struct link *l, unsigned node)
{
    if (node >= l->cfg.nodes || node == l->cfg.node)
        return NULL;
    return &l->peer[node < l->cfg.node ? node : node - 1];
}

static inline void link_drop(struct link *l, enum link_drop cause)
{
    l->st.drops[cause]++;
}

/* Serial number arithmetic: is a before b? */
static inline bool seq_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline struct link_frame *link_frame(struct link_peer *p, uint32_t seq)
{
    return &p->frame[seq % LINK_WINDOW];
}

/* Bits of the LINK_UNITs that `len` bytes at `off` cover; both checked. */
static inline uint64_t link_units(unsigned off, unsigned len)
{
    unsigned n = (len + LINK_UNIT - 1) / LINK_UNIT;

    return (n >= 64 ? ~0ull : (1ull << n) - 1) << (off / LINK_UNIT);
}
_Static_assert(BRIDGE_DATA / LINK_UNIT == 64, "one bit each");

/* link.c */
void link_req_done(struct link *l, uint16_t i, uint32_t result);
void link_fail_all(struct link *l, struct link_peer *p);

/* link_hs.c */
void link_seek(struct link *l, struct link_peer *p, enum link_state state, uint64_t now);
void link_connect(struct link *l, struct link_peer *p, uint64_t mine, const struct link_head *h,
                  uint64_t now);
void link_handshake(struct link *l, struct link_peer *p, const struct link_head *h, uint64_t now);
void link_hello_tick(struct link *l, struct link_peer *p, uint64_t now);

/* link_rec.c: checks all records of a frame and then takes them; false: none was taken. */
bool link_records(struct link *l, struct link_peer *p, const uint8_t *body, size_t len);

/* link_tx.c */
void link_acked(struct link *l, struct link_peer *p, const struct link_head *h, uint64_t now);
void link_tx_tick(struct link *l, struct link_peer *p, uint64_t now);
uint64_t link_tx_deadline(const struct link *l, const struct link_peer *p);
bool link_send(struct link *l, struct link_peer *p, const void *buf, size_t len);

#endif
