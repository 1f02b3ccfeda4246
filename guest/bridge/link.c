/* SPDX-License-Identifier: BSD-2-Clause */
/* The link protocol as its owner sees it: set-up, packets in and out, time. */
#include "link_int.h"

#define MS   1000000ull
#define LATE (20 * MS) /* more than that is not our own doing */

const char *link_drop_name(unsigned cause)
{
    static const char *const name[LINK_DROPS] = {
        [LINK_DROP_SHORT] = "length",    [LINK_DROP_MAGIC] = "magic",
        [LINK_DROP_HEADER] = "header",   [LINK_DROP_NODE] = "node",
        [LINK_DROP_MACHINE] = "machine", [LINK_DROP_EPOCH] = "epoch",
        [LINK_DROP_ACK] = "ack",         [LINK_DROP_OLD] = "duplicate",
        [LINK_DROP_WINDOW] = "window",   [LINK_DROP_RECORD] = "record",
        [LINK_DROP_PE] = "pe",           [LINK_DROP_SLOT] = "slot",
    };

    return cause < LINK_DROPS ? name[cause] : "?";
}

/* ---- set-up ---- */

size_t link_need(unsigned nodes, unsigned slots)
{
    size_t peers = nodes - 1;

    return sizeof(struct link) + peers * sizeof(struct link_peer) +
           peers * slots * sizeof(struct link_slot);
}

static bool take_ranges(struct link *l, const struct link_config *cfg)
{
    memset(l->node_of, 0xFF, sizeof(l->node_of));
    for (unsigned i = 0; i < cfg->n_ranges; i++) {
        const struct link_range *r = &cfg->ranges[i];
        if (r->node >= cfg->nodes || r->first > r->last || r->last >= DTU_PES)
            return false;
        for (unsigned pe = r->first; pe <= r->last; pe++) {
            if (l->node_of[pe] != 0xFF)
                return false;
            l->node_of[pe] = (uint8_t)r->node;
        }
    }
    return true;
}

static bool take_config(struct link *l, const struct link_config *cfg)
{
    struct link_config *c = &l->cfg;

    *c = *cfg;
    c->mtu = c->mtu ? c->mtu : LINK_FRAME_MAX;
    c->dead_ns = c->dead_ns ? c->dead_ns : 2000 * MS;
    c->keepalive_ns = c->keepalive_ns ? c->keepalive_ns : c->dead_ns / 4;
    c->boot_ns = c->boot_ns ? c->boot_ns : 30000 * MS;
    c->hello_ns = c->hello_ns ? c->hello_ns : 200 * MS;
    c->ack_ns = c->ack_ns ? c->ack_ns : 2 * MS;
    /* Twenty tries before a node counts as dead, so that losses alone do not make it so. */
    l->rto_max = c->dead_ns / 20 > RTO_MIN ? c->dead_ns / 20 : RTO_MIN;
    return c->mtu >= LINK_FRAME_MIN && c->mtu <= LINK_FRAME_MAX && c->dead_ns >= 100 * MS &&
           take_ranges(l, cfg);
}

struct link *link_new(void *mem, size_t size, const struct link_config *cfg)
{
    struct link *l = mem;
    unsigned slots = LINK_SLOTS;

    if (cfg->nodes < 2 || cfg->nodes > LINK_NODES || cfg->node >= cfg->nodes || (uintptr_t)mem % 16)
        return NULL;
    while (slots && link_need(cfg->nodes, slots) > size)
        slots--;
    if (!slots)
        return NULL;
    memset(l, 0, offsetof(struct link, req));
    if (!take_config(l, cfg))
        return NULL;
    l->slots = slots;
    l->n_peers = cfg->nodes - 1u;
    l->peer = (struct link_peer *)(l + 1);
    l->ticked = link_now(l);
    l->started = l->ticked;
    for (unsigned i = 0; i < LINK_REQS; i++) {
        l->req[i].state = REQ_FREE;
        l->req[i].next = (uint16_t)(i + 1 < LINK_REQS ? i + 1 : NONE);
    }
    struct link_slot *slot = (struct link_slot *)(l->peer + l->n_peers);
    for (unsigned i = 0; i < l->n_peers; i++) {
        struct link_peer *p = &l->peer[i];
        memset(p, 0, offsetof(struct link_peer, frame));
        p->node = (uint16_t)(i < cfg->node ? i : i + 1);
        p->reqs = p->answers = (struct link_queue){NONE, NONE};
        p->slot = slot + (size_t)i * slots;
        link_seek(l, p, LINK_SEEKING, l->ticked);
    }
    return l;
}

unsigned link_node_of(const struct link *l, unsigned pe)
{
    return pe < DTU_PES && l->node_of[pe] != 0xFF ? l->node_of[pe] : LINK_NODE_ANY;
}

enum link_state link_state(const struct link *l, unsigned node)
{
    const struct link_peer *p = link_peer_of(l, node);

    return p ? p->state : LINK_LOST;
}

unsigned link_differs(const struct link *l, unsigned node)
{
    const struct link_peer *p = link_peer_of(l, node);

    return p ? p->differs : 0;
}

unsigned link_differs_news(struct link *l, unsigned node)
{
    struct link_peer *p = link_peer_of(l, node);

    if (!p || !p->differs || (p->told & 1u << p->differs))
        return 0;
    p->told |= (uint16_t)(1u << p->differs);
    return p->differs;
}

uint64_t link_rtt(const struct link *l, unsigned node)
{
    const struct link_peer *p = link_peer_of(l, node);

    return p && p->state == LINK_LIVE ? p->srtt : 0;
}

const struct link_stats *link_stats(const struct link *l)
{
    return &l->st;
}

/* ---- packets of this node ---- */

bool link_ready(const struct link *l)
{
    return l->free_req != NONE;
}

/* Ends the packet in request i, which is in no queue any more. */
void link_req_done(struct link *l, uint16_t i, uint32_t result)
{
    struct link_req *q = &l->req[i];
    struct link_peer *p = &l->peer[q->peer];
    bool data = q->op == LINK_READ && result == SE_OK;

    if (q->state == REQ_WAITING || q->packed)
        p->slots_busy &= ~(1ull << q->slot);
    if (p->last[q->target.src_pe] == i + 1)
        p->last[q->target.src_pe] = 0;
    q->state = REQ_FREE;
    l->st.completed++;
    l->cfg.ops->complete(l->cfg.arg, q->id, q->target.src_pe, result, data ? q->data : NULL,
                         data ? q->total : 0);
    q->next = l->free_req;
    l->free_req = i;
}

/* The node is lost: everything for it fails, begun or not. */
void link_fail_all(struct link *l, struct link_peer *p)
{
    uint16_t index = (uint16_t)(p - l->peer);

    p->reqs = (struct link_queue){NONE, NONE};
    for (uint16_t i = 0; i < LINK_REQS; i++)
        if (l->req[i].state != REQ_FREE && l->req[i].peer == index) {
            l->st.failed++;
            link_req_done(l, i, SE_RECV_GONE);
        }
    p->slots_busy = 0;
}

static void refuse(struct link *l, const struct bridge_pkt *pkt, uint32_t result)
{
    l->st.completed++;
    l->cfg.ops->complete(l->cfg.arg, pkt->id, pkt->src_pe, result, NULL, 0);
}

/* What a frame to the other side must look like for it to be taken (link_rec.c). */
static bool pkt_ok(const struct link *l, const struct bridge_pkt *pkt)
{
    if (pkt->dst_vpe > DTU_VPE_INVALID || link_node_of(l, pkt->src_pe) != l->cfg.node)
        return false;
    if (pkt->op == BRIDGE_MSG)
        return pkt->len <= BRIDGE_DATA - sizeof(struct dtu_header) && pkt->hdr.length == pkt->len &&
               pkt->hdr.sender_pe == pkt->src_pe;
    return (pkt->op == BRIDGE_READ || pkt->op == BRIDGE_WRITE) && pkt->len <= BRIDGE_DATA;
}

bool link_submit(struct link *l, const struct bridge_pkt *from, const void *data)
{
    static const uint8_t op[] = {
        [BRIDGE_MSG] = LINK_MSG, [BRIDGE_READ] = LINK_READ, [BRIDGE_WRITE] = LINK_WRITE};
    const struct bridge_pkt copy = *(const volatile struct bridge_pkt *)from, *pkt = &copy;
    struct link_peer *p = link_peer_of(l, link_node_of(l, pkt->dst_pe));
    uint16_t i = l->free_req;

    if (i == NONE) {
        l->st.submit_full++;
        return false;
    }
    l->st.submitted++;
    if (!p || !pkt_ok(l, pkt)) {
        refuse(l, pkt, p ? SE_INV_ARGS : SE_EP_INVALID);
        return true;
    }
    if (p->state == LINK_LOST) {
        l->st.failed++;
        refuse(l, pkt, SE_RECV_GONE);
        return true;
    }
    struct link_req *q = &l->req[i];
    l->free_req = q->next;
    q->id = pkt->id;
    q->next = NONE;
    q->op = op[pkt->op];
    q->state = REQ_QUEUED;
    q->peer = (uint16_t)(p - l->peer);
    q->total = pkt->len;
    q->packed = 0;
    q->got = 0;
    q->target = (struct link_target){.src_pe = pkt->src_pe,
                                     .dst_pe = pkt->dst_pe,
                                     .dst_vpe = pkt->dst_vpe,
                                     .offset = pkt->offset};
    q->hdr = pkt->hdr;
    if (pkt->op != BRIDGE_READ)
        memcpy(q->data, data, pkt->len);
    if (p->reqs.head == NONE)
        p->reqs.head = i;
    else
        l->req[p->reqs.tail].next = i;
    p->reqs.tail = i;
    return true;
}

/* ---- packets of other nodes ---- */

void link_delivered(struct link *l, uint64_t handle, uint32_t result, const void *data)
{
    unsigned peer = handle >> 16 & 0xFFFF;
    unsigned i = handle & 0xFFFF;
    struct link_peer *p = peer < l->n_peers ? &l->peer[peer] : NULL;

    if (!p || p->state != LINK_LIVE || p->conn != (uint32_t)(handle >> 32) || i >= l->slots ||
        p->slot[i].state != SLOT_GIVEN) {
        l->st.stale++;
        return;
    }
    struct link_slot *s = &p->slot[i];
    s->state = SLOT_ANSWER;
    s->result = result <= 0xFFFF ? result : SE_INV_ARGS;
    s->total = s->op == LINK_READ && result == SE_OK ? s->wanted : 0;
    s->packed = 0;
    s->next = NONE;
    if (s->total)
        memcpy(s->data, data, s->total);
    if (p->answers.head == NONE)
        p->answers.head = (uint16_t)i;
    else
        p->slot[p->answers.tail].next = (uint16_t)i;
    p->answers.tail = (uint16_t)i;
}

/* ---- time ---- */

static void declare_lost(struct link *l, struct link_peer *p, uint64_t now)
{
    if (p->state == LINK_LIVE)
        l->st.losses++;
    link_fail_all(l, p);
    link_seek(l, p, LINK_LOST, now);
}

static void peer_tick(struct link *l, struct link_peer *p, uint64_t now)
{
    bool dead;

    switch (p->state) {
    case LINK_LIVE:
        dead = now - p->heard >= l->cfg.dead_ns;
        /* It hears us, but one frame it never takes: no connection either. */
        dead |= p->una != p->next && now - p->una_at >= 4 * l->cfg.dead_ns;
        if (dead)
            declare_lost(l, p, now);
        else
            link_tx_tick(l, p, now);
        break;
    case LINK_SEEKING:
        if (now - l->started >= l->cfg.boot_ns)
            declare_lost(l, p, now);
        break;
    }
    if (p->state != LINK_LIVE)
        link_hello_tick(l, p, now);
}

/*
 * We should have run `late` ns ago: a host that is busy did not let us, and perhaps the others
 * neither.  Nobody is silent in a time in which we could not hear.
 */
static void was_late(struct link *l, uint64_t now, uint64_t late)
{
    l->started += late;
    for (unsigned i = 0; i < l->n_peers; i++) {
        struct link_peer *p = &l->peer[i];
        /* What came in this round already counts as heard now. */
        p->heard = p->heard + late < now ? p->heard + late : now;
        p->una_at = p->una_at + late < now ? p->una_at + late : now;
    }
}

void link_tick(struct link *l)
{
    uint64_t now = link_now(l);
    uint64_t due = l->due > l->ticked ? l->due : l->ticked;

    if (now > due && now - due > LATE)
        was_late(l, now, now - due);
    l->ticked = now;
    l->blocked = false;
    l->turn = l->turn + 1 < l->n_peers ? l->turn + 1 : 0;
    for (unsigned k = 0; k < l->n_peers; k++)
        peer_tick(l, &l->peer[(l->turn + k) % l->n_peers], now);
}

static uint64_t deadline(const struct link *l)
{
    uint64_t due = LINK_FOREVER;

    /* send() has said no: what is due can only be tried again. */
    if (l->blocked)
        return l->ticked + MS;

    for (unsigned i = 0; i < l->n_peers; i++) {
        const struct link_peer *p = &l->peer[i];
        uint64_t d = p->state == LINK_LIVE ? link_tx_deadline(l, p) : p->hello_at;
        if (p->state == LINK_SEEKING && l->started + l->cfg.boot_ns < d)
            d = l->started + l->cfg.boot_ns;
        due = d < due ? d : due;
    }
    return due;
}

uint64_t link_deadline(struct link *l)
{
    l->due = deadline(l);
    return l->due;
}
