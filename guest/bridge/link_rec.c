/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records in frames that come in: packets of the other side's PEs for ours, put together from
 * their parts and delivered, and answers to ours.  All records of a frame are checked before the
 * first is taken.
 */
#include "link_int.h"

/* A record, read out of the frame. */
struct record {
    struct link_rec r;
    struct link_target t;
    struct dtu_header hdr;
    const uint8_t *data;
};

/* Reads the record at *pos and moves on; false: it is cut off, or cannot be one. */
static bool next_record(const uint8_t **pos, const uint8_t *end, struct record *rec)
{
    size_t left = (size_t)(end - *pos);
    size_t need = sizeof(rec->r);

    if (left < need)
        return false;
    memcpy(&rec->r, *pos, sizeof(rec->r));
    bool first = rec->r.flags & LINK_FIRST;
    bool target = first && rec->r.op != LINK_ANSWER;
    bool header = target && rec->r.op == LINK_MSG;

    need += (target ? sizeof(rec->t) : 0) + (header ? sizeof(rec->hdr) : 0) + rec->r.len;
    if (left < need)
        return false;
    *pos += sizeof(rec->r);
    if (target) {
        memcpy(&rec->t, *pos, sizeof(rec->t));
        *pos += sizeof(rec->t);
    }
    if (header) {
        memcpy(&rec->hdr, *pos, sizeof(rec->hdr));
        *pos += sizeof(rec->hdr);
    }
    rec->data = *pos;
    *pos += rec->r.len;
    return true;
}

/* What must hold for every record of that op, whatever is under way. */
static bool shape_ok(const struct record *rec)
{
    const struct link_rec *r = &rec->r;
    unsigned max = r->op == LINK_MSG ? DTU_MAX_PACKET - sizeof(struct dtu_header) : BRIDGE_DATA;
    bool last = r->off + r->len == r->total;

    if (r->op < LINK_MSG || r->op > LINK_ANSWER || r->flags & ~LINK_FIRST || r->total > max)
        return false;
    if (!(r->flags & LINK_FIRST) != (r->off != 0))
        return false;
    if (r->op != LINK_ANSWER && r->result)
        return false;
    if (r->result > 0xFFFF || (r->result && r->total))
        return false;
    if (r->op == LINK_READ)
        return r->len == 0 && r->off == 0;
    if (r->off % LINK_UNIT || r->off + r->len > r->total || (!last && r->len % LINK_UNIT))
        return false;
    return r->len || r->total == 0;
}

/* A packet that follows another one, not itself. */
static bool after_ok(const struct link *l, const struct record *rec)
{
    unsigned slot = link_after_slot(rec->t.after);

    return !rec->t.after || (rec->t.after & 0x8000 && slot < l->slots && slot != rec->r.slot);
}

static bool target_ok(struct link *l, const struct link_peer *p, const struct record *rec)
{
    const struct link_target *t = &rec->t;

    if (link_node_of(l, t->src_pe) != p->node || link_node_of(l, t->dst_pe) != l->cfg.node) {
        link_drop(l, LINK_DROP_PE);
        return false;
    }
    if (!after_ok(l, rec) || t->dst_vpe > DTU_VPE_INVALID ||
        (rec->r.op == LINK_MSG &&
         (rec->hdr.length != rec->r.total || rec->hdr.sender_pe != t->src_pe))) {
        link_drop(l, LINK_DROP_RECORD);
        return false;
    }
    return true;
}

/* Our packet that the answer is for, or NULL. */
static struct link_req *answered_req(struct link *l, const struct link_peer *p,
                                     const struct link_rec *r)
{
    if (r->slot >= p->slots_far || !(p->slots_busy >> r->slot & 1))
        return NULL;
    struct link_req *q = &l->req[p->slot_req[r->slot]];
    if (q->state != REQ_WAITING || q->gen != r->gen)
        return NULL;
    unsigned total = q->op == LINK_READ && r->result == SE_OK ? q->total : 0;
    if (r->total != total || q->got & link_units(r->off, r->len))
        return NULL;
    return q;
}

static bool state_ok(struct link *l, struct link_peer *p, const struct record *rec)
{
    const struct link_rec *r = &rec->r;
    bool ok;

    if (r->op == LINK_ANSWER) {
        ok = answered_req(l, p, r) != NULL;
    } else {
        struct link_slot *s = r->slot < l->slots ? &p->slot[r->slot] : NULL;
        ok = s && (s->state == SLOT_FREE ||
                   (s->state == SLOT_PART && s->gen == r->gen && s->op == r->op &&
                    s->total == r->total && !(s->got & link_units(r->off, r->len))));
    }
    if (!ok)
        link_drop(l, LINK_DROP_SLOT);
    return ok;
}

static bool record_ok(struct link *l, struct link_peer *p, const struct record *rec)
{
    if (!shape_ok(rec)) {
        link_drop(l, LINK_DROP_RECORD);
        return false;
    }
    if (rec->r.op != LINK_ANSWER && rec->r.flags & LINK_FIRST && !target_ok(l, p, rec))
        return false;
    return state_ok(l, p, rec);
}

static bool complete_set(uint64_t got, unsigned total)
{
    return got == link_units(0, total);
}

/* All of it is here: `data` is either the slot's buffer or still in the frame. */
static void give(struct link *l, struct link_peer *p, struct link_slot *s, const uint8_t *data)
{
    static const uint8_t op[] = {
        [LINK_MSG] = BRIDGE_MSG, [LINK_READ] = BRIDGE_READ, [LINK_WRITE] = BRIDGE_WRITE};
    struct bridge_pkt pkt = {
        .op = op[s->op],
        .src_pe = s->target.src_pe,
        .dst_pe = s->target.dst_pe,
        .dst_vpe = s->target.dst_vpe,
        .len = s->total,
        .offset = s->target.offset,
    };
    uint64_t handle =
        (uint64_t)p->conn << 32 | (uint64_t)(p - l->peer) << 16 | (uint64_t)(s - p->slot);

    if (s->op == LINK_MSG)
        pkt.hdr = s->hdr;
    s->state = SLOT_GIVEN;
    s->wanted = s->op == LINK_READ ? s->total : 0;
    l->st.delivered++;
    l->cfg.ops->deliver(l->cfg.arg, handle, &pkt, s->op == LINK_READ ? NULL : data);
}

/* Has the packet been given that this one follows? */
static bool its_turn(const struct link_peer *p, const struct link_slot *s)
{
    const struct link_slot *prev = &p->slot[link_after_slot(s->target.after)];
    unsigned since = (prev->gen - s->target.after) & LINK_AFTER_GEN;

    if (!s->target.after)
        return true;
    if (!prev->used || since > LINK_AFTER_GEN / 2)
        return false; /* it has not come */
    return since > 0 || (prev->state != SLOT_PART && prev->state != SLOT_HELD);
}

/* Those whose turn it is now. */
static void give_next(struct link *l, struct link_peer *p)
{
    bool any = true;

    while (any && p->held) {
        any = false;
        for (unsigned i = 0; i < l->slots; i++) {
            struct link_slot *s = &p->slot[i];

            if (s->state != SLOT_HELD || !its_turn(p, s))
                continue;
            p->held--;
            any = true;
            give(l, p, s, s->data);
        }
    }
}

static void all_here(struct link *l, struct link_peer *p, struct link_slot *s, const uint8_t *data)
{
    if (its_turn(p, s)) {
        give(l, p, s, data);
        give_next(l, p);
        return;
    }
    if (data != s->data && s->op != LINK_READ)
        memcpy(s->data, data, s->total);
    s->state = SLOT_HELD;
    p->held++;
    l->st.held++;
}

static void take_part(struct link *l, struct link_peer *p, const struct record *rec)
{
    const struct link_rec *r = &rec->r;
    struct link_slot *s = &p->slot[r->slot];

    if (s->state == SLOT_FREE) {
        s->state = SLOT_PART;
        s->used = true;
        s->op = r->op;
        s->gen = r->gen;
        s->total = r->total;
        s->got = 0;
    }
    if (r->flags & LINK_FIRST) {
        s->target = rec->t;
        s->hdr = rec->hdr;
    }
    if (r->op == LINK_READ || r->len == r->total) {
        all_here(l, p, s, rec->data);
        return;
    }
    memcpy(s->data + r->off, rec->data, r->len);
    s->got |= link_units(r->off, r->len);
    if (complete_set(s->got, s->total))
        all_here(l, p, s, s->data);
}

static void take_answer(struct link *l, struct link_peer *p, const struct link_rec *r,
                        const uint8_t *data)
{
    struct link_req *q = answered_req(l, p, r);

    memcpy(q->data + r->off, data, r->len);
    q->got |= link_units(r->off, r->len);
    if (r->total && !complete_set(q->got, r->total))
        return;
    link_req_done(l, (uint16_t)(q - l->req), r->result);
}

bool link_records(struct link *l, struct link_peer *p, const uint8_t *body, size_t len)
{
    const uint8_t *end = body + len;
    struct record rec = {0};

    for (const uint8_t *pos = body; pos < end;) {
        if (!next_record(&pos, end, &rec)) {
            link_drop(l, LINK_DROP_RECORD);
            return false;
        }
        if (!record_ok(l, p, &rec))
            return false;
    }
    /* Again, as one record may have changed what the next one meets. */
    for (const uint8_t *pos = body; pos < end;) {
        next_record(&pos, end, &rec);
        if (!state_ok(l, p, &rec))
            continue;
        l->st.records_in++;
        if (rec.r.op == LINK_ANSWER)
            take_answer(l, p, &rec.r, rec.data);
        else
            take_part(l, p, &rec);
    }
    return true;
}
