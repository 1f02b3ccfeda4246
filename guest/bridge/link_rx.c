/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that come in.  Everything in them is checked before anything changes: the header here,
 * the acknowledgement in link_tx.c, the records in link_rec.c.  A frame that is not valid is not
 * acknowledged either.
 */
#include "link_int.h"

static struct link_peer *find_peer(struct link *l, unsigned node, const struct link_head *h)
{
    unsigned n = h->src_node;

    return h->dst_node == l->cfg.node && (node == LINK_NODE_ANY || node == n) ? link_peer_of(l, n)
                                                                              : NULL;
}

/* A frame of another version of this protocol; not from one with whom we speak, who is hostile. */
static void note_version(struct link *l, unsigned node, uint32_t magic)
{
    struct link_peer *p = link_peer_of(l, node);

    if (p && p->state != LINK_LIVE && ((magic ^ LINK_MAGIC) & 0xFFFFFF) == 0)
        p->differs = LINK_DIFFERS_VERSION;
}

static bool head_ok(const struct link_head *h)
{
    if (h->slots == 0 || h->slots > LINK_SLOTS || h->src_epoch == 0)
        return false;
    switch (h->type) {
    case LINK_HELLO:
        return h->dst_epoch == 0 && h->flags == 0 && h->len == sizeof(struct link_hello);
    case LINK_WELCOME:
        return h->dst_epoch != 0 && h->flags == 0 && h->len == sizeof(struct link_hello);
    case LINK_DATA:
        return h->dst_epoch != 0 && !(h->flags & ~(LINK_F_SEQ | LINK_F_ECHO)) &&
               (h->flags & LINK_F_SEQ || h->len == 0);
    default:
        return false;
    }
}

static void handshake(struct link *l, struct link_peer *p, const struct link_head *h,
                      const uint8_t *body, uint64_t now)
{
    const struct link_hello *m = &l->cfg.machine;
    struct link_hello b;
    unsigned differs;

    memcpy(&b, body, sizeof(b));
    differs = (b.nodes != m->nodes ? LINK_DIFFERS_NODES : 0) |
              (b.lines != m->lines ? LINK_DIFFERS_LINES : 0) |
              (b.sizes != m->sizes ? LINK_DIFFERS_SIZES : 0);
    if (!differs) {
        link_handshake(l, p, h, now);
        return;
    }
    link_drop(l, LINK_DROP_MACHINE);
    if (p->state != LINK_LIVE)
        p->differs = (uint8_t)differs;
}

/*
 * Is the frame of the live connection?  One to an epoch of ours that we have offered, from another
 * than we are connected with, makes the connection.  So does one to our present epoch, as long as
 * nothing has come from whom we connected with on the strength of a WELCOME: that one may have been
 * late, and its sender have begun another attempt since.
 */
static bool connection_ok(struct link *l, struct link_peer *p, const struct link_head *h,
                          uint64_t now)
{
    bool live = p->state == LINK_LIVE;

    if (live && h->src_epoch == p->theirs) {
        p->confirmed |= h->dst_epoch == p->mine;
        return h->dst_epoch == p->mine;
    }
    if (h->dst_epoch != p->mine ? !live || h->dst_epoch != p->offered : live && p->confirmed)
        return false;
    link_connect(l, p, h->dst_epoch, h, now);
    p->confirmed = true;
    return true;
}

/* Is what the frame says to have got something that we have sent? */
static bool ack_ok(const struct link_peer *p, const struct link_head *h)
{
    uint32_t sent = p->next - h->ack; /* frames that we sent from `ack` on */

    /* Overtaken by a later one: its numbers say nothing, and are not used. */
    if (seq_before(h->ack, p->una))
        return true;
    if (sent > p->next - p->una)
        return false;
    /* Bit i is frame ack + 1 + i, which must be before p->next; and frame `ack` is not there. */
    return h->sack == 0 || (sent >= 2 && h->sack >> (sent - 1) == 0);
}

/* Has it come before?  Notes nothing. */
static bool seq_new(struct link *l, const struct link_peer *p, uint32_t seq)
{
    uint32_t d = seq - p->rx_next;

    if (d >= 1u << 31 || (d && d <= 64 && p->rx_bits >> (d - 1) & 1)) {
        link_drop(l, LINK_DROP_OLD);
        return false;
    }
    if (d >= LINK_WINDOW) {
        link_drop(l, LINK_DROP_WINDOW);
        return false;
    }
    return true;
}

static void note_seq(struct link *l, struct link_peer *p, uint32_t seq, uint64_t now)
{
    uint32_t d = seq - p->rx_next;

    p->unacked++;
    if (d) {
        /* A gap: the other side should know at once. */
        p->rx_bits |= 1ull << (d - 1);
        p->ack_due = now;
        return;
    }
    bool gap = p->rx_bits != 0;
    bool more;
    do {
        more = p->rx_bits & 1;
        p->rx_bits >>= 1;
        p->rx_next++;
    } while (more);
    uint64_t due = gap || p->unacked >= ACK_EVERY ? now : now + l->cfg.ack_ns;
    if (due < p->ack_due)
        p->ack_due = due;
}

/* Round trip and sign of life. */
static void note_stamps(struct link_peer *p, const struct link_head *h, uint64_t now)
{
    if (!p->have_stamp || seq_before(p->stamp_seen, h->stamp)) {
        p->have_stamp = true;
        p->stamp_seen = h->stamp;
        p->stamp_at = now;
    }
}

void link_input(struct link *l, unsigned node, const void *buf, size_t len)
{
    struct link_head h;
    const uint8_t *body = (const uint8_t *)buf + sizeof(h);
    uint64_t now = link_now(l);
    struct link_peer *p;

    l->st.frames_in++;
    l->st.bytes_in += len;
    if (len < sizeof(h)) {
        link_drop(l, LINK_DROP_SHORT);
        return;
    }
    memcpy(&h, buf, sizeof(h));
    if (h.magic != LINK_MAGIC) {
        link_drop(l, LINK_DROP_MAGIC);
        note_version(l, node, h.magic);
    } else if (h.len != len - sizeof(h)) {
        link_drop(l, LINK_DROP_SHORT);
    } else if (!head_ok(&h)) {
        link_drop(l, LINK_DROP_HEADER);
    } else if (!(p = find_peer(l, node, &h))) {
        link_drop(l, LINK_DROP_NODE);
    } else if (h.type != LINK_DATA) {
        handshake(l, p, &h, body, now);
    } else if (!connection_ok(l, p, &h, now)) {
        link_drop(l, LINK_DROP_EPOCH);
    } else if (!ack_ok(p, &h)) {
        link_drop(l, LINK_DROP_ACK);
    } else {
        /* What it acknowledges is true whether or not its records are taken. */
        note_stamps(p, &h, now);
        link_acked(l, p, &h, now);
        if (!(h.flags & LINK_F_SEQ))
            return;
        if (!seq_new(l, p, h.seq)) {
            p->ack_due = now;
        } else if (link_records(l, p, body, h.len)) {
            note_seq(l, p, h.seq, now);
        }
    }
}
