/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One link (node 0) and, as its only peer (node 1), whatever bytes a test likes.  PEs 0..9 are node
 * 0's, 10..19 node 1's.  What the link does is noted; deliveries are answered at once.
 */
#ifndef LINK_PUPPET_H
#define LINK_PUPPET_H

#include <stdlib.h>
#include <string.h>

#include "../../guest/bridge/link.h"

#define PUPPET_EPOCH 0xBADC0FFEE0DDF00Dull
#define PUPPET_LOG   300u

struct puppet {
    struct link *link;
    void *mem;
    size_t size;
    uint64_t now, random;
    bool hold; /* do not answer deliveries */
    bool full; /* send() says no */
    /* What came out of it. */
    uint8_t frame[LINK_FRAME_MAX]; /* the last frame */
    size_t frame_len;
    struct link_head head;
    unsigned frames, delivered, completed, states, state;
    uint64_t handle;
    struct bridge_pkt pkt;       /* the last delivery */
    uint8_t data[BRIDGE_DATA];   /* its data, or those of the last completion */
    uint32_t result[PUPPET_LOG]; /* of the last completions */
    uint32_t id[PUPPET_LOG];
    /* The peer's side. */
    uint64_t theirs; /* the link's epoch */
    uint32_t seq, ack;
};

static uint64_t puppet_now(void *arg)
{
    return ((struct puppet *)arg)->now;
}

static uint64_t puppet_random(void *arg)
{
    struct puppet *p = arg;

    p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
    return p->random;
}

static bool puppet_send(void *arg, unsigned node, const void *buf, size_t len)
{
    struct puppet *p = arg;

    if (node != 1 || len > LINK_FRAME_MAX || len < sizeof(p->head))
        abort();
    if (p->full)
        return false;
    memcpy(p->frame, buf, len);
    memcpy(&p->head, buf, sizeof(p->head));
    p->frame_len = len;
    p->frames++;
    return true;
}

static void puppet_deliver(void *arg, uint64_t handle, const struct bridge_pkt *pkt,
                           const void *data)
{
    struct puppet *p = arg;

    p->delivered++;
    p->handle = handle;
    p->pkt = *pkt;
    if (pkt->len > BRIDGE_DATA || pkt->src_pe / 10 != 1 || pkt->dst_pe / 10 != 0)
        abort();
    if (data)
        memcpy(p->data, data, pkt->len); /* all of it can be read */
    if (!p->hold)
        link_delivered(p->link, handle, SE_OK, p->data);
}

static void puppet_complete(void *arg, uint32_t id, uint16_t src_pe, uint32_t result,
                            const void *data, uint16_t len)
{
    struct puppet *p = arg;

    (void)src_pe;
    p->id[p->completed % PUPPET_LOG] = id;
    p->result[p->completed % PUPPET_LOG] = result;
    p->completed++;
    if (len)
        memcpy(p->data, data, len);
}

static void puppet_state(void *arg, unsigned node, unsigned state)
{
    struct puppet *p = arg;

    (void)node;
    p->states++;
    p->state = state;
}

/* The memory of the last one again, if the size is right: a fuzzer makes many. */
static void *puppet_last;
static size_t puppet_last_size;

static inline void *puppet_mem(size_t size)
{
    if (puppet_last_size != size) {
        free(puppet_last);
        puppet_last = malloc(size);
        puppet_last_size = size;
    }
    void *mem = puppet_last;
    puppet_last = NULL;
    puppet_last_size = 0;
    return mem;
}

static inline struct puppet *puppet_new(unsigned slots)
{
    static const struct link_ops ops = {puppet_now,      puppet_send,   puppet_deliver,
                                        puppet_complete, puppet_random, puppet_state};
    static const struct link_range range[] = {{0, 0, 9}, {1, 10, 19}};
    struct link_config cfg = {.nodes = 2,
                              .ranges = range,
                              .n_ranges = 2,
                              .machine = {.nodes = 77, .lines = 78, .sizes = 79},
                              .ops = &ops};
    struct puppet *p = calloc(1, sizeof(*p));

    if (!p)
        abort();
    p->size = link_need(2, slots);
    p->mem = puppet_mem(p->size);
    p->now = 1000000;
    cfg.arg = p;
    p->link = p->mem ? link_new(p->mem, p->size, &cfg) : NULL;
    if (!p->link)
        abort();
    return p;
}

static inline void puppet_free(struct puppet *p)
{
    free(puppet_last);
    puppet_last = p->mem;
    puppet_last_size = p->size;
    free(p);
}

/* A frame to the link, from an allocation of its exact size. */
static inline void puppet_raw(struct puppet *p, const void *buf, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy)
        abort();
    if (len)
        memcpy(copy, buf, len);
    link_input(p->link, 1, copy, len);
    free(copy);
}

static inline struct link_head puppet_head(const struct puppet *p, unsigned type, size_t len)
{
    return (struct link_head){
        .magic = LINK_MAGIC,
        .type = (uint8_t)type,
        .len = (uint16_t)len,
        .src_node = 1,
        .slots = LINK_SLOTS,
        .src_epoch = PUPPET_EPOCH,
        .dst_epoch = p->theirs,
    };
}

static inline void puppet_frame(struct puppet *p, const struct link_head *h, const void *body,
                                size_t len)
{
    uint8_t buf[65536];

    memcpy(buf, h, sizeof(*h));
    if (len)
        memcpy(buf + sizeof(*h), body, len);
    puppet_raw(p, buf, sizeof(*h) + len);
}

/* A numbered frame that acknowledges all up to p->ack. */
static inline void puppet_data(struct puppet *p, const void *body, size_t len)
{
    struct link_head h = puppet_head(p, LINK_DATA, len);

    h.flags = LINK_F_SEQ;
    h.seq = p->seq++;
    h.ack = p->ack;
    puppet_frame(p, &h, body, len);
}

static inline void puppet_tick(struct puppet *p, uint64_t ns)
{
    p->now += ns;
    link_tick(p->link);
}

/* Time passes for an owner that runs whenever it is due. */
static inline void puppet_pass(struct puppet *p, uint64_t ns)
{
    for (uint64_t end = p->now + ns; p->now < end;) {
        uint64_t due = link_deadline(p->link);

        due = due > p->now ? due : p->now + 1000000;
        puppet_tick(p, (due < end ? due : end) - p->now);
    }
}

static inline void puppet_hello(struct puppet *p, unsigned type, uint64_t src, uint64_t dst,
                                uint64_t machine)
{
    struct link_hello b = {.nodes = machine, .lines = 78, .sizes = 79};
    struct link_head h = puppet_head(p, type, sizeof(b));

    h.src_epoch = src;
    h.dst_epoch = dst;
    puppet_frame(p, &h, &b, sizeof(b));
}

/* The three-way handshake, from the peer's side; the link's first frame is acknowledged. */
static inline void puppet_connect(struct puppet *p)
{
    puppet_hello(p, LINK_HELLO, PUPPET_EPOCH, 0, 77);
    if (p->head.type != LINK_WELCOME || p->head.dst_epoch != PUPPET_EPOCH)
        abort();
    p->theirs = p->head.src_epoch;
    p->seq = (uint32_t)PUPPET_EPOCH;
    p->ack = (uint32_t)p->theirs;
    puppet_data(p, NULL, 0);
    if (link_state(p->link, 1) != LINK_LIVE)
        abort();
    puppet_tick(p, 0);
    p->ack++;
    puppet_data(p, NULL, 0);
}

/* Appends a record; returns the new length. */
static inline size_t puppet_rec(uint8_t *body, size_t at, struct link_rec r, const void *data)
{
    struct link_target t = {.src_pe = 12, .dst_pe = 3, .dst_vpe = 5, .offset = 6};
    struct dtu_header h = {.sender_pe = 12, .length = r.total};

    memcpy(body + at, &r, sizeof(r));
    at += sizeof(r);
    if (r.flags & LINK_FIRST && r.op != LINK_ANSWER) {
        memcpy(body + at, &t, sizeof(t));
        at += sizeof(t);
        if (r.op == LINK_MSG) {
            memcpy(body + at, &h, sizeof(h));
            at += sizeof(h);
        }
    }
    if (r.len && data)
        memcpy(body + at, data, r.len);
    return at + r.len;
}

static inline bool puppet_submit(struct puppet *p, unsigned op, unsigned len, uint32_t id)
{
    static const uint8_t data[BRIDGE_DATA] = {1, 2, 3};
    struct bridge_pkt pkt = {
        .op = (uint8_t)op,
        .id = id,
        .src_pe = 4,
        .dst_pe = 15,
        .len = (uint16_t)len,
        .hdr = {.sender_pe = 4, .length = (uint16_t)len},
    };

    return link_submit(p->link, &pkt, data);
}

#endif
