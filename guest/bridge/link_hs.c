/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections.  Each attempt of either side has a random epoch, and a connection is the pair.  A
 * side connects only when the other has just proved that it got its epoch: by a WELCOME that names
 * it, or by a DATA frame to it.  So no old frame can make or end a connection (README.md).
 */
#include "link_int.h"

static uint64_t fresh_epoch(struct link *l)
{
    uint64_t e = l->cfg.ops->random(l->cfg.arg);

    return e ? e : 1;
}

/* No connection from here on; a new attempt begins. */
void link_seek(struct link *l, struct link_peer *p, enum link_state state, uint64_t now)
{
    bool changed = p->state != state;

    p->state = (uint8_t)state;
    p->mine = fresh_epoch(l);
    p->theirs = 0;
    p->offered = 0;
    p->hello_at = now;
    if (changed)
        l->cfg.ops->state(l->cfg.arg, p->node, state);
}

static void reset_numbers(struct link_peer *p, uint64_t now)
{
    p->una = p->next = (uint32_t)p->mine;
    p->order = p->acked_order = 0;
    p->reorder = REORDER_FIRST;
    p->cwnd = CWND_FIRST;
    p->ssthresh = LINK_WINDOW;
    p->cwnd_part = p->in_flight = 0;
    p->recover = p->next;
    p->have_echo = p->have_stamp = false;
    p->rx_next = (uint32_t)p->theirs;
    p->rx_bits = 0;
    p->ack_due = LINK_FOREVER;
    p->unacked = 0;
    p->heard = p->una_at = now;
    p->answer_turn = false;
    p->srtt = p->rttvar = 0;
}

/*
 * The sender of `h` has proved that it knows `mine`: connected, in place of whatever was.  What
 * was outstanding to the node as it was before is lost.
 */
void link_connect(struct link *l, struct link_peer *p, uint64_t mine, const struct link_head *h,
                  uint64_t now)
{
    if (p->state == LINK_LIVE) {
        l->st.restarts++;
        link_fail_all(l, p);
    }
    p->mine = mine;
    p->theirs = h->src_epoch;
    p->offered = fresh_epoch(l);
    p->conn++;
    reset_numbers(p, now);
    p->rto = p->rto_now = l->rto_max;
    p->slots_busy = 0;
    p->slots_far = h->slots;
    for (unsigned i = 0; i < l->slots; i++) {
        p->slot[i].state = SLOT_FREE;
        p->slot[i].used = false;
    }
    p->held = 0;
    p->answers = (struct link_queue){NONE, NONE};
    p->confirmed = false;
    p->differs = 0;
    p->told = 0;
    p->state = LINK_LIVE;
    p->greet = true; /* the other side waits for a first frame */
    l->st.connects++;
    l->cfg.ops->state(l->cfg.arg, p->node, LINK_LIVE);
}

static void send_handshake(struct link *l, struct link_peer *p, enum link_type type, uint64_t src,
                           uint64_t dst)
{
    struct {
        struct link_head h;
        struct link_hello b;
    } f = {
        .h = {.magic = LINK_MAGIC,
              .type = (uint8_t)type,
              .len = sizeof(f.b),
              .src_node = (uint8_t)l->cfg.node,
              .dst_node = (uint8_t)p->node,
              .slots = (uint16_t)l->slots,
              .src_epoch = src,
              .dst_epoch = dst},
        .b = l->cfg.machine,
    };

    if (link_send(l, p, &f, sizeof(f)))
        l->st.hellos_out++;
}

/* A HELLO or WELCOME that is in order. */
void link_handshake(struct link *l, struct link_peer *p, const struct link_head *h, uint64_t now)
{
    bool live = p->state == LINK_LIVE;

    l->st.hellos_in++;
    if (h->type == LINK_HELLO) {
        /*
         * Perhaps it is old: nothing changes before its sender shows that it got the answer.  The
         * other side of this connection may send one too, when our first frame has not come yet.
         */
        bool same = !live || h->src_epoch == p->theirs;
        send_handshake(l, p, LINK_WELCOME, same ? p->mine : p->offered, h->src_epoch);
    } else if (!live && h->dst_epoch == p->mine) {
        link_connect(l, p, p->mine, h, now);
    } else {
        link_drop(l, LINK_DROP_EPOCH);
    }
}

/* Not connected: say hello when it is time. */
void link_hello_tick(struct link *l, struct link_peer *p, uint64_t now)
{
    if (now < p->hello_at)
        return;
    send_handshake(l, p, LINK_HELLO, p->mine, 0);
    p->hello_at = now + l->cfg.hello_ns;
}
