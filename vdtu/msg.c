/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages: SEND and REPLY at the initiator, acceptance at the target (dtu-spec 2.4, 3, 4.4).
 *
 * A message is checked, copied into its slot, counted and announced while the target's lock is held
 * throughout: nobody sees a slot half written, and an endpoint cannot be rewritten in between
 * (edge 45).  Payment comes before transmission and is not undone by a refusal (dtu-spec 2.4).
 */
#include "internal.h"

#define HEADER      ((uint32_t)sizeof(struct dtu_header))
#define MAX_PAYLOAD (DTU_MAX_PACKET - HEADER)

/* A send endpoint, decoded (dtu-spec 1.4). */
struct send_ep {
    unsigned vpe, max;
    unsigned pe, ep, credits;
};

static bool send_get(const struct vdtu *d, unsigned ep, struct send_ep *s)
{
    uint64_t r0 = vdtu_get(d, DTU_EP(ep, 0)), r1 = vdtu_get(d, DTU_EP(ep, 1));

    if (dtu_ep_type(r0) != DTU_EP_SEND)
        return false;
    s->vpe = r0 >> 16 & 0x7FF;
    s->max = r0 & 0xFFFF;
    s->pe = r1 >> 24 & 0x3FF;
    s->ep = r1 >> 16 & 0xFF;
    s->credits = r1 & 0xFFFF;
    return true;
}

/* Rewriting drops the unused bits, as the original does (dtu-spec 1.4). */
static void set_credits(struct vdtu *d, unsigned ep, const struct send_ep *s, unsigned credits)
{
    vdtu_set_ep(d, ep, 0, dtu_send_r0(s->vpe, s->max));
    vdtu_set_ep(d, ep, 1, dtu_send_r1(s->pe, s->ep, credits));
}

static uint16_t own_vpe(const struct vdtu *d)
{
    return (uint16_t)vdtu_get(d, DTU_VPE_ID);
}

/* To another PE's memory straight from here; otherwise, or if source and slot may overlap, a copy.
 */
static unsigned send_payload(struct vdtu *d, struct vdtu *t, uint64_t addr, struct vdtu_pkt *pkt)
{
    uint8_t copy[MAX_PAYLOAD];

    if (t && t != d)
        pkt->data = vdtu_mem_span(d, addr, pkt->len);
    if (!pkt->data) {
        vdtu_mem_get(d, addr, copy, pkt->len);
        pkt->data = copy;
    }
    return vdtu_transmit(d, t, pkt);
}

/* ---- SEND ---- */

static unsigned send_prepare(struct vdtu *d, struct vdtu_cmd *c, struct vdtu_pkt *pkt)
{
    struct send_ep s;

    if (!send_get(d, c->ep, &s))
        return SE_EP_INVALID;
    if (c->size > MAX_PAYLOAD || c->size + HEADER > s.max)
        return SE_INV_ARGS;
    if (s.credits != DTU_CREDITS_UNLIM && s.credits < s.max)
        return SE_MISS_CREDITS;
    pkt->type = VDTU_PKT_MSG;
    pkt->dst_pe = (uint16_t)s.pe;
    pkt->dst_vpe = (uint16_t)s.vpe;
    pkt->offset = s.ep;
    pkt->len = (uint32_t)c->size;
    pkt->hdr = (struct dtu_header){
        .flags = DTU_HD_REPLY_ENABLED,
        .sender_pe = d->pe,
        .sender_ep = (uint8_t)(s.credits == DTU_CREDITS_UNLIM ? DTU_NO_CREDIT_EP : c->ep),
        .reply_ep = c->reply_ep,
        .length = (uint16_t)c->size,
        .sender_vpe = own_vpe(d),
        .label = vdtu_get(d, DTU_EP(c->ep, 2)),
        .reply_label = c->reply_label,
    };
    return SE_OK;
}

static unsigned send_commit(struct vdtu *d, struct vdtu *t, struct vdtu_cmd *c,
                            struct vdtu_pkt *pkt)
{
    struct send_ep s;

    if (send_get(d, c->ep, &s) && s.credits != DTU_CREDITS_UNLIM)
        set_credits(d, c->ep, &s, s.credits - s.max);
    return send_payload(d, t, c->addr, pkt);
}

unsigned vdtu_cmd_send(struct vdtu *d, struct vdtu_cmd *c)
{
    static const struct vdtu_action send = {send_prepare, send_commit};

    vdtu_ring_settle(d, c->ep);
    return vdtu_act(d, &send, c);
}

/* ---- REPLY ---- */

/* The header of the message in a slot: as it was delivered, whatever the slot says by now. */
static bool request_header(struct vdtu *d, const struct vdtu_recv *r, struct vdtu_cmd *c)
{
    const uint8_t *slot;

    if (d->has_header[c->ep] >> c->slot & 1) {
        c->request = d->header[c->ep][c->slot];
        return true;
    }
    slot = vdtu_mem_span(d, vdtu_slot_addr(r, c->slot), HEADER);
    if (!slot) {
        d->stats.outside++;
        return false;
    }
    memcpy(&c->request, slot, HEADER);
    return true;
}

static unsigned reply_prepare(struct vdtu *d, struct vdtu_cmd *c, struct vdtu_pkt *pkt)
{
    struct vdtu_recv r;

    if (!vdtu_recv_get(d, c->ep, &r))
        return SE_EP_INVALID;
    c->slot = vdtu_slot_index(&r, c->offset);
    if (c->slot < 0 || !(r.occupied >> c->slot & 1) || c->size > MAX_PAYLOAD)
        return SE_INV_ARGS;
    if (!request_header(d, &r, c))
        return SE_INV_ARGS;
    if (!(c->request.flags & DTU_HD_REPLY_ENABLED))
        return SE_INV_ARGS;
    pkt->type = VDTU_PKT_MSG;
    pkt->dst_pe = c->request.sender_pe;
    pkt->dst_vpe = c->request.sender_vpe;
    pkt->offset = c->request.reply_ep;
    pkt->len = (uint32_t)c->size;
    pkt->hdr = (struct dtu_header){
        .flags = DTU_HD_REPLY | DTU_HD_GRANT | (c->request.flags & DTU_HD_PAGEFAULT),
        .sender_pe = d->pe,
        .sender_ep = (uint8_t)c->ep,
        .reply_ep = c->request.sender_ep,
        .length = (uint16_t)c->size,
        .sender_vpe = own_vpe(d),
        .label = c->request.reply_label,
    };
    return SE_OK;
}

static void mark(struct vdtu *d, const struct vdtu_cmd *c, const struct vdtu_recv *r, uint8_t set)
{
    uint8_t flags = (uint8_t)((c->request.flags & ~DTU_HD_REPLY_ENABLED) | set);

    vdtu_mem_put(d, vdtu_slot_addr(r, c->slot), &flags, 1);
    d->header[c->ep][c->slot].flags = flags;
}

/*
 * The slot is given back whether the reply arrived or not (dtu-spec 2.4), unless somebody rewrote
 * the endpoint while the reply was on its way to another node: then the slot is no longer ours.
 */
static unsigned reply_commit(struct vdtu *d, struct vdtu *t, struct vdtu_cmd *c,
                             struct vdtu_pkt *pkt)
{
    uint32_t gen = d->ep_gen[c->ep];
    struct vdtu_recv r;
    unsigned err;

    vdtu_recv_get(d, c->ep, &r);
    mark(d, c, &r, 0);
    err = send_payload(d, t, c->addr, pkt);
    if (gen == d->ep_gen[c->ep] && vdtu_recv_get(d, c->ep, &r)) {
        mark(d, c, &r, DTU_HD_REPLY_FAILED);
        vdtu_slot_free(&r, c->slot);
        vdtu_recv_set(d, c->ep, &r);
    }
    return err;
}

unsigned vdtu_cmd_reply(struct vdtu *d, struct vdtu_cmd *c)
{
    static const struct vdtu_action reply = {reply_prepare, reply_commit};

    return vdtu_act(d, &reply, c);
}

/* ---- the target ---- */

/* A reply brings the price of one message back to the endpoint it names (dtu-spec 3.4). */
static void grant(struct vdtu *t, const struct dtu_header *h)
{
    const uint8_t both = DTU_HD_REPLY | DTU_HD_GRANT;
    struct send_ep s;

    if ((h->flags & both) != both || h->reply_ep >= DTU_EPS)
        return;
    if (!send_get(t, h->reply_ep, &s))
        t->stats.lost_grants++;
    else if (s.credits != DTU_CREDITS_UNLIM)
        set_credits(t, h->reply_ep, &s, s.credits + s.max);
}

static void store_message(struct vdtu *t, uint64_t addr, const struct vdtu_pkt *pkt)
{
    uint8_t whole[DTU_MAX_PACKET];
    uint8_t *slot = vdtu_mem_span(t, addr, HEADER + pkt->len);

    memcpy(slot ? slot : whole, &pkt->hdr, HEADER);
    memcpy((slot ? slot : whole) + HEADER, pkt->data, pkt->len);
    if (!slot)
        vdtu_mem_put(t, addr, whole, HEADER + pkt->len);
}

static unsigned refuse(uint64_t *counter, unsigned err)
{
    ++*counter;
    return err;
}

unsigned vdtu_accept_msg(struct vdtu *t, struct vdtu_pkt *pkt)
{
    unsigned ep = (unsigned)pkt->offset;
    struct vdtu_recv r;
    int slot;

    if (pkt->offset >= DTU_EPS)
        return refuse(&t->stats.refused_ep, SE_RECV_GONE);
    if (own_vpe(t) != pkt->dst_vpe)
        return refuse(&t->stats.refused_vpe, SE_VPE_GONE);
    if (!vdtu_recv_get(t, ep, &r))
        return refuse(&t->stats.refused_ep, SE_RECV_GONE);
    if (pkt->len + HEADER > r.slot_size)
        return refuse(&t->stats.refused_ep, SE_INV_ARGS);
    slot = vdtu_slot_alloc(&r);
    if (slot < 0)
        return refuse(&t->stats.refused_full, SE_NO_RING_SPACE);

    grant(t, &pkt->hdr);
    store_message(t, vdtu_slot_addr(&r, slot), pkt);
    t->header[ep][slot] = pkt->hdr;
    t->has_header[ep] |= 1u << slot;
    vdtu_slot_fill(&r, slot);
    vdtu_ring_stamp(t, ep, slot, pkt->src_pe);
    vdtu_recv_set(t, ep, &r);
    t->stats.msgs_received++;
    t->stats.bytes_received += pkt->len;
    vdtu_wake(t);
    return SE_OK;
}
