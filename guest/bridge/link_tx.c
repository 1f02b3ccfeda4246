/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that go out: what is acknowledged, what counts as lost, how many may be under way, and
 * how packets and answers are put into frames.
 */
#include "link_int.h"

bool link_send(struct link *l, struct link_peer *p, const void *buf, size_t len)
{
    if (!l->cfg.ops->send(l->cfg.arg, p->node, buf, len)) {
        l->st.send_full++;
        l->blocked = true;
        return false;
    }
    l->st.frames_out++;
    l->st.bytes_out += len;
    return true;
}

/* ---- acknowledgements ---- */

/* RFC 6298, with the other side's delay taken off; stamps make it right for frames sent again. */
static void rtt_sample(struct link *l, struct link_peer *p, uint64_t rtt)
{
    if (!p->srtt) {
        p->srtt = rtt ? rtt : 1;
        p->rttvar = rtt / 2;
    } else {
        uint64_t diff = rtt > p->srtt ? rtt - p->srtt : p->srtt - rtt;
        p->rttvar += diff / 4 - p->rttvar / 4;
        p->srtt += rtt / 8 - p->srtt / 8;
    }
    p->rto = p->srtt + 4 * p->rttvar;
    if (p->rto < RTO_MIN)
        p->rto = RTO_MIN;
    if (p->rto > l->rto_max)
        p->rto = l->rto_max;
}

static void note_echo(struct link *l, struct link_peer *p, const struct link_head *h, uint64_t now)
{
    uint32_t rtt_us = (uint32_t)(now / 1000) - h->echo;

    if (!(h->flags & LINK_F_ECHO) || rtt_us >= 1u << 31)
        return;
    if (p->have_echo && !seq_before(p->echo_seen, h->echo))
        return;
    p->have_echo = true;
    p->echo_seen = h->echo;
    p->heard = now;
    rtt_sample(l, p, 1000ull * (rtt_us - (h->hold < rtt_us ? h->hold : rtt_us)));
}

static void frame_acked(struct link *l, struct link_peer *p, struct link_frame *f, uint64_t now)
{
    uint32_t passed = p->acked_order - f->order;

    if (f->state == FRAME_SENT)
        p->in_flight--;
    if (f->tries == 1) {
        /* Later ones were here before it, and it was not lost: that much reordering is normal. */
        if (seq_before(f->order, p->acked_order) && passed >= p->reorder)
            p->reorder = passed + 1 < REORDER_MAX ? passed + 1 : REORDER_MAX;
    } else if (now - f->sent < p->srtt / 2) {
        /* Too soon for the answer to the repetition. */
        l->st.spurious++;
        if (p->reorder < REORDER_MAX / 2)
            p->reorder *= 2;
        f->state = FRAME_ACKED;
        return;
    }
    if (seq_before(p->acked_order, f->order))
        p->acked_order = f->order;
    f->state = FRAME_ACKED;
}

static void grow(struct link_peer *p, unsigned acked)
{
    if (p->cwnd < p->ssthresh) {
        p->cwnd += acked;
    } else {
        p->cwnd_part += acked;
        if (p->cwnd_part >= p->cwnd) {
            p->cwnd_part -= p->cwnd;
            p->cwnd++;
        }
    }
    if (p->cwnd > LINK_WINDOW)
        p->cwnd = LINK_WINDOW;
}

/* The acknowledgement in a frame that is in order (ack_ok() in link_rx.c). */
void link_acked(struct link *l, struct link_peer *p, const struct link_head *h, uint64_t now)
{
    unsigned acked = 0;

    note_echo(l, p, h, now);
    if (seq_before(h->ack, p->una))
        return;
    for (uint32_t s = p->una; s != p->next; s++) {
        uint32_t d = s - h->ack;
        bool got = seq_before(s, h->ack) || (d > 0 && d <= 64 && h->sack >> (d - 1) & 1);
        struct link_frame *f = link_frame(p, s);
        if (!got || f->state == FRAME_ACKED)
            continue;
        frame_acked(l, p, f, now);
        acked++;
    }
    while (p->una != p->next && link_frame(p, p->una)->state == FRAME_ACKED) {
        p->una++;
        p->una_at = now;
    }
    if (acked) {
        grow(p, acked);
        p->rto_now = p->rto;
    }
}

/* ---- losses ---- */

static void shrink(struct link_peer *p, uint32_t seq)
{
    /* Once for all losses of what was under way then. */
    if (seq_before(seq, p->recover))
        return;
    p->recover = p->next;
    p->cwnd = p->cwnd / 2 > CWND_MIN ? p->cwnd / 2 : CWND_MIN;
    p->ssthresh = p->cwnd;
}

static void find_losses(struct link *l, struct link_peer *p, uint64_t now)
{
    bool timeout = false;

    for (uint32_t s = p->una; s != p->next; s++) {
        struct link_frame *f = link_frame(p, s);
        if (f->state != FRAME_SENT)
            continue;
        bool late = now - f->sent >= p->rto_now;
        bool passed =
            seq_before(f->order, p->acked_order) && p->acked_order - f->order >= p->reorder;
        if (!late && !passed)
            continue;
        f->state = FRAME_LOST;
        p->in_flight--;
        if (passed) {
            l->st.fast++;
            shrink(p, s);
        } else {
            timeout = true;
        }
    }
    if (timeout) {
        l->st.timeouts++;
        p->reorder = REORDER_FIRST;
        p->ssthresh = p->cwnd / 2 > CWND_MIN ? p->cwnd / 2 : CWND_MIN;
        p->cwnd = CWND_RTO;
        p->recover = p->next;
        p->rto_now += p->rto_now / 2;
        if (p->rto_now > l->rto_max)
            p->rto_now = l->rto_max;
    }
}

/* ---- sending ---- */

/* What every frame says, as of now. */
static struct link_head head_now(struct link *l, struct link_peer *p, uint64_t now)
{
    struct link_head h = {
        .magic = LINK_MAGIC,
        .type = LINK_DATA,
        .src_node = (uint8_t)l->cfg.node,
        .dst_node = (uint8_t)p->node,
        .slots = (uint16_t)l->slots,
        .src_epoch = p->mine,
        .dst_epoch = p->theirs,
        .seq = p->next,
        .ack = p->rx_next,
        .sack = p->rx_bits,
        .stamp = (uint32_t)(now / 1000),
    };

    if (p->have_stamp) {
        uint64_t hold = (now - p->stamp_at) / 1000;
        h.flags = LINK_F_ECHO;
        h.echo = p->stamp_seen;
        h.hold = hold > UINT32_MAX ? UINT32_MAX : (uint32_t)hold;
    }
    return h;
}

static void acks_went(struct link_peer *p)
{
    p->ack_due = LINK_FOREVER;
    p->unacked = 0;
}

static bool send_frame(struct link *l, struct link_peer *p, uint32_t seq, uint64_t now)
{
    struct link_frame *f = link_frame(p, seq);
    struct link_head h = head_now(l, p, now);

    h.flags |= LINK_F_SEQ;
    h.seq = seq;
    h.len = (uint16_t)(f->len - sizeof(h));
    memcpy(f->buf, &h, sizeof(h));
    if (!link_send(l, p, f->buf, f->len))
        return false;
    if (f->tries)
        l->st.resent++;
    else if (seq == p->una)
        p->una_at = now;
    if (f->tries < UINT8_MAX)
        f->tries++;
    f->sent = now;
    f->order = ++p->order;
    f->state = FRAME_SENT;
    p->in_flight++;
    acks_went(p);
    return true;
}

/* ---- packing ---- */

/*
 * How many of `left` data bytes go into `space` behind `over` bytes of headers: all, or as many
 * whole units as fit, if the frame is empty or that is worth a cut.  -1: nothing.
 */
static int fit(const struct link *l, size_t space, size_t over, unsigned left)
{
    size_t empty = l->cfg.mtu - sizeof(struct link_head);

    if (space < over)
        return -1;
    if (left <= space - over)
        return (int)left;
    unsigned n = (unsigned)(space - over) / LINK_UNIT * LINK_UNIT;
    return n >= PART_MIN || space == empty ? (int)n : -1;
}
_Static_assert(sizeof(struct link_head) + sizeof(struct link_rec) + sizeof(struct link_target) +
                       sizeof(struct dtu_header) + LINK_UNIT <=
                   LINK_FRAME_MIN,
               "an empty frame takes part of any packet");

static uint8_t *put(uint8_t *at, const void *from, size_t n)
{
    memcpy(at, from, n);
    return at + n;
}

/* The other side's slots that none of our packets is in. */
static uint64_t free_slots(const struct link_peer *p)
{
    return ~p->slots_busy & (p->slots_far >= 64 ? ~0ull : (1ull << p->slots_far) - 1);
}

/* The frames may come in any order, the packets of a PE must be taken in theirs. */
static void follow(struct link *l, struct link_peer *p, uint16_t i)
{
    struct link_req *q = &l->req[i];
    uint16_t last = p->last[q->target.src_pe];

    if (last)
        q->target.after = link_after(l->req[last - 1].slot, l->req[last - 1].gen);
    p->last[q->target.src_pe] = (uint16_t)(i + 1);
}

/* A slot for a packet that begins; false: all are in use. */
static bool take_slot(struct link *l, struct link_peer *p, uint16_t i)
{
    uint64_t free = free_slots(p);

    if (!free)
        return false;
    unsigned s = (unsigned)__builtin_ctzll(free);
    p->slots_busy |= 1ull << s;
    p->slot_req[s] = i;
    l->req[i].slot = (uint16_t)s;
    l->req[i].gen = ++p->slot_gen[s];
    follow(l, p, i);
    return true;
}

/* Puts as much of the first packet in the queue into the frame as fits; 0: nothing. */
static size_t pack_req(struct link *l, struct link_peer *p, uint8_t *at, size_t space)
{
    uint16_t i = p->reqs.head;

    if (i == NONE)
        return 0;
    struct link_req *q = &l->req[i];
    bool first = q->packed == 0;
    unsigned left = q->op == LINK_READ ? 0 : q->total - q->packed;
    size_t over = sizeof(struct link_rec);
    if (first)
        over += sizeof(q->target) + (q->op == LINK_MSG ? sizeof(q->hdr) : 0);
    int n = fit(l, space, over, left);
    if (n < 0 || (first && !take_slot(l, p, i)))
        return 0;

    struct link_rec r = {
        .op = q->op,
        .flags = first ? LINK_FIRST : 0,
        .slot = q->slot,
        .gen = q->gen,
        .len = (uint16_t)n,
        .off = q->packed,
        .total = q->total,
    };
    uint8_t *to = put(at, &r, sizeof(r));
    if (first)
        to = put(to, &q->target, sizeof(q->target));
    if (first && q->op == LINK_MSG)
        to = put(to, &q->hdr, sizeof(q->hdr));
    to = put(to, q->data + q->packed, (size_t)n);
    q->packed = (uint16_t)(q->packed + n);
    if ((unsigned)n == left) {
        p->reqs.head = q->next;
        q->state = REQ_WAITING;
    }
    return (size_t)(to - at);
}

static size_t pack_answer(struct link *l, struct link_peer *p, uint8_t *at, size_t space)
{
    uint16_t i = p->answers.head;

    if (i == NONE)
        return 0;
    struct link_slot *s = &p->slot[i];
    unsigned left = s->total - s->packed;
    int n = fit(l, space, sizeof(struct link_rec), left);
    if (n < 0)
        return 0;
    struct link_rec r = {
        .op = LINK_ANSWER,
        .flags = s->packed == 0 ? LINK_FIRST : 0,
        .slot = i,
        .gen = s->gen,
        .len = (uint16_t)n,
        .off = s->packed,
        .total = s->total,
        .result = s->result,
    };
    uint8_t *to = put(at, &r, sizeof(r));
    to = put(to, s->data + s->packed, (size_t)n);
    s->packed = (uint16_t)(s->packed + n);
    if ((unsigned)n == left) {
        p->answers.head = s->next;
        s->state = SLOT_FREE;
    }
    return (size_t)(to - at);
}

/* Fills the next frame, packets and answers in turn; false: there is nothing to send. */
static bool build_frame(struct link *l, struct link_peer *p, bool even_empty)
{
    struct link_frame *f = link_frame(p, p->next);
    size_t len = sizeof(struct link_head);
    unsigned idle = 0;

    while (idle < 2) {
        uint8_t *at = f->buf + len;
        size_t space = l->cfg.mtu - len;
        size_t n = p->answer_turn ? pack_answer(l, p, at, space) : pack_req(l, p, at, space);
        p->answer_turn = !p->answer_turn;
        idle = n ? 0 : idle + 1;
        l->st.records_out += n != 0;
        len += n;
    }
    if (len == sizeof(struct link_head) && !even_empty)
        return false;
    f->len = (uint16_t)len;
    f->tries = 0;
    f->state = FRAME_NEW;
    p->next++;
    return true;
}

static bool room(const struct link_peer *p)
{
    return p->in_flight < p->cwnd && p->next - p->una < LINK_WINDOW;
}

void link_tx_tick(struct link *l, struct link_peer *p, uint64_t now)
{
    if (p->una != p->next)
        find_losses(l, p, now);
    for (uint32_t s = p->una; s != p->next && p->in_flight < p->cwnd; s++) {
        uint8_t state = link_frame(p, s)->state;
        if ((state == FRAME_LOST || state == FRAME_NEW) && !send_frame(l, p, s, now))
            return;
    }
    bool idle = p->una == p->next && now - p->heard >= l->cfg.keepalive_ns;
    while (room(p) && build_frame(l, p, p->greet || idle)) {
        p->greet = idle = false;
        if (!send_frame(l, p, p->next - 1, now))
            return;
    }
    if (p->ack_due <= now) {
        struct link_head h = head_now(l, p, now);
        if (link_send(l, p, &h, sizeof(h))) {
            l->st.acks_out++;
            acks_went(p);
        }
    }
}

/* Is there something that a new frame could carry? */
static bool waiting(const struct link *l, const struct link_peer *p)
{
    return p->greet || p->answers.head != NONE ||
           (p->reqs.head != NONE && (l->req[p->reqs.head].packed || free_slots(p)));
}

uint64_t link_tx_deadline(const struct link *l, const struct link_peer *p)
{
    uint64_t due = p->ack_due;

    if (!l->blocked && room(p) && waiting(l, p))
        return l->ticked;
    for (uint32_t s = p->una; s != p->next; s++) {
        const struct link_frame *f = &p->frame[s % LINK_WINDOW];
        if (f->state == FRAME_SENT && f->sent + p->rto_now < due)
            due = f->sent + p->rto_now;
    }
    if (p->una == p->next && p->heard + l->cfg.keepalive_ns < due)
        due = p->heard + l->cfg.keepalive_ns;
    if (p->heard + l->cfg.dead_ns < due)
        due = p->heard + l->cfg.dead_ns;
    return due;
}
