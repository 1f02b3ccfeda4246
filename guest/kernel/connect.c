/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How kernels get to know each other: CONNECT, membership, announced services (semperos-platform
 * 7).
 *
 * A CONNECT is a message to endpoint 13 of a kernel that need not know its sender; the answer says
 * where further messages go.  Behind the original's arguments we send a number of this run.  When a
 * known kernel calls with another number, it has started again, or has lost us: what was between us
 * is gone.
 */
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "srv.h"
#include "str.h"

#define CONNECT_PES 200u /* descriptors in one message */
#define REFUSED     (~0u)

void connect_member(unsigned id, uint64_t desc, unsigned flags)
{
    unsigned pe = pe_desc_id(desc);

    kern.peers.owner[pe] = (uint16_t)id;
    kern.peers.descs[pe] = desc;
    if (flags != MEMBER_NOCHANGE)
        kern.peers.flags[pe] = (uint8_t)flags;
    if (kern.peers.claim[pe].id == id)
        kern.peers.claim[pe].desc = 0;
}

void connect_ownerless(unsigned pe)
{
    const struct claim *c = &kern.peers.claim[pe];

    kern.peers.owner[pe] = KC_NO_KERNEL;
    if (c->desc)
        connect_member(c->id, c->desc, MEMBER_NONE);
}

void connect_forget(unsigned id)
{
    for (unsigned i = 0; i < BOOT_PES; i++) {
        if (kern.peers.claim[i].id == id)
            kern.peers.claim[i].desc = 0;
        if (kern.peers.owner[i] == id)
            connect_ownerless(i);
    }
}

/* Our PEs from *at on; at most CONNECT_PES. */
static unsigned put_pes(struct msg_writer *w, unsigned *at)
{
    unsigned n = 0;
    size_t count_at = w->len;

    msg_put(w, 0);
    for (; *at < BOOT_PES && n < CONNECT_PES; ++*at) {
        if (!peer_is_ours(*at) || kern.peers.descs[*at] == 0)
            continue;
        msg_put(w, kern.peers.descs[*at]);
        n++;
    }
    memcpy(w->buf + count_at, &n, sizeof(n));
    return n;
}

/*
 * The number of our run and of what it could have known of us: it may not have noticed that we have
 * forgotten all that was between us.  NULL: one that is refused.
 */
static uint64_t number(const struct peer *p)
{
    return kern.peers.incarnation && p ? kern.peers.incarnation + ((uint64_t)p->losses << 40)
                                       : kern.peers.incarnation;
}

void connect_send(struct peer *p)
{
    const struct hw_target to = {.pe = p->pe, .vpe = p->id, .ep = KC_SETUP_EP, .label = kern.id};
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;
    unsigned at = 0;

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_CONNECT);
    msg_put(&w, KC_REQUEST_STAGE);
    msg_put(&w, kern.id);
    msg_put(&w, kern.own_pe);
    msg_put(&w, peer_ep(p));
    msg_put(&w, MEMBER_NONE);
    put_pes(&w, &at);
    msg_put(&w, number(p));
    hw_send(&to, buf, w.len, peer_ep(p), p->id); /* tried again until it is answered */
}

/* PEs that had no place in CONNECT. */
static void send_more_pes(struct peer *p)
{
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;
    unsigned at = 0;

    msg_writer_init(&w, buf, sizeof(buf));
    put_pes(&w, &at);
    while (at < BOOT_PES) {
        msg_writer_init(&w, buf, sizeof(buf));
        msg_put(&w, KC_MEMBERUPDATE);
        msg_put(&w, kern.id);
        msg_put(&w, kern.own_pe);
        msg_put(&w, MEMBER_NONE);
        if (put_pes(&w, &at) > 0)
            peer_request(p, buf, w.len, 0);
    }
}

void connect_announce_one(uint64_t key, const char *name)
{
    uint8_t buf[KC_NAME + 32];
    struct msg_writer w;

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_ANNOUNCESRV);
    msg_put(&w, ddl_typed(key, DDL_SERVICE));
    msg_put_str(&w, name, strlen(name));
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP)
            peer_request(&kern.peers.peer[i], buf, w.len, 0);
}

void connect_announce(struct peer *p)
{
    for (struct service *s = kern.services; s; s = s->next) {
        uint8_t buf[KC_NAME + 32];
        struct msg_writer w;

        if (!s->cap || s->hidden)
            continue;
        msg_writer_init(&w, buf, sizeof(buf));
        msg_put(&w, KC_ANNOUNCESRV);
        msg_put(&w, ddl_typed(cap_key(s->cap), DDL_SERVICE));
        msg_put_str(&w, s->name, strlen(s->name));
        peer_request(p, buf, w.len, 0);
    }
}

static struct peer *known(unsigned id)
{
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state != PEER_NONE && kern.peers.peer[i].id == id)
            return &kern.peers.peer[i];
    return NULL;
}

/* Behind the original's arguments: our number, and the PEs that we have.  False: not now. */
static bool answer(unsigned id, unsigned pe, unsigned remote_ep, unsigned ep)
{
    const struct hw_target to = {
        .pe = (uint16_t)pe, .vpe = (uint16_t)id, .ep = (uint8_t)remote_ep, .label = kern.id};
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;
    unsigned at = 0;

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_CONNECT);
    msg_put(&w, KC_REPLY_STAGE);
    msg_put(&w, kern.id);
    msg_put(&w, kern.own_pe);
    msg_put(&w, (uint32_t)ep);
    msg_put(&w, number(known(id)));
    put_pes(&w, &at);
    return hw_send(&to, buf, w.len, ep == REFUSED ? KC_SETUP_EP : ep, id) == SE_OK;
}

static void up(struct peer *p, unsigned ep, uint64_t incarnation)
{
    p->state = PEER_UP;
    p->remote_ep = (uint8_t)ep;
    p->incarnation = incarnation;
    p->failing = 0;
    if (kern.peers.independent)
        print("kernel %u: connected to kernel %u on PE %u\n", kern.id, p->id, p->pe);
    connect_announce(p);
    send_more_pes(p);
    kern.srv_news = true;
}

/* Who starts kernels gives them PEs of its own, and the others hear of it from the new ones. */
static bool may_have(unsigned id, unsigned pe)
{
    uint16_t owner = peer_owner(pe);
    const struct peer *creator = known(kern.peers.creator);

    if (owner == KC_NO_KERNEL || owner == id)
        return true;
    return kern.peers.secondary && owner == kern.peers.creator && creator && creator->pe != pe;
}

/*
 * It may not say that it owns what others own.  But who has begun anew does not know that a PE of
 * its own was with another kernel, which may tell us later than it that this is over.
 */
static bool take_pes(unsigned id, struct msg_reader *in, unsigned flags)
{
    uint32_t n = msg_get_u32(in);

    if (in->error || n > CONNECT_PES || n * sizeof(uint64_t) > msg_remaining(in))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t desc = msg_get_u64(in);

        if (desc != 0 && may_have(id, pe_desc_id(desc)))
            connect_member(id, desc, flags);
        else if (desc != 0)
            kern.peers.claim[pe_desc_id(desc)] = (struct claim){desc, (uint16_t)id};
    }
    return true;
}

static bool request(unsigned id, unsigned pe, unsigned ep, struct msg_reader *in)
{
    struct msg_reader look = *in;
    struct peer *p = known(id);
    unsigned flags = msg_get_u8(in);
    uint64_t incarnation;
    size_t at;
    uint32_t n;

    msg_get_u8(&look);
    n = msg_get_u32(&look);
    if (look.error || n > CONNECT_PES || n * sizeof(uint64_t) > msg_remaining(&look))
        return false;
    look.pos += n * sizeof(uint64_t);
    at = look.pos;
    incarnation = msg_remaining(&look) >= sizeof(uint64_t) ? msg_get_u64(&look) : 0;
    if (p && p->pe != pe)
        return false;
    if (p && p->state == PEER_UP && p->incarnation == incarnation) {
        answer(id, pe, ep, peer_ep(p)); /* it has not got the first one */
        return true;
    }
    if (p && p->state == PEER_UP)
        peer_lost(p, "it has started again");
    p = known(id);
    if (!p)
        p = peer_add(id, pe);
    if (!p) {
        answer(id, pe, ep, REFUSED);
        return true;
    }
    take_pes(id, in, flags);
    p->ours = look.pos > at; /* there was a number of its run */
    p->created |= !kern.peers.independent;
    /* Without an answer it would not know us, and drop what we send it next.  It calls again. */
    if (answer(id, pe, ep, peer_ep(p)))
        up(p, ep, incarnation);
    return true;
}

static bool reply(unsigned id, unsigned pe, uint32_t ep, struct msg_reader *in)
{
    struct peer *p = known(id);
    bool ours = msg_remaining(in) >= sizeof(uint64_t);
    uint64_t incarnation = ours ? msg_get_u64(in) : 0;

    if (!p || p->pe != pe)
        return false;
    if (ep == REFUSED) {
        if (p->state != PEER_CONNECTING)
            return false;
        print("kernel %u: kernel %u has no place for us\n", kern.id, id);
        if (!p->configured)
            peer_lost(p, NULL);
        return true;
    }
    if (p->state == PEER_UP && p->incarnation != incarnation)
        return false; /* it will call, and then we know for sure */
    if (p->state == PEER_CONNECTING) {
        if (msg_remaining(in) > 0)
            take_pes(id, in, MEMBER_NONE);
        p->ours = ours;
        up(p, ep, incarnation);
    }
    return true;
}

void connect_handle(const struct dtu_header *msg, struct msg_reader *in)
{
    uint8_t stage = msg_get_u8(in);
    uint16_t id = msg_get_u16(in), pe = msg_get_u16(in);
    uint32_t ep = msg_get_u32(in);
    bool ok;

    /* What the DTU says of the sender decides. */
    ok = !in->error && id != kern.id && id < KC_NO_KERNEL && pe < BOOT_PES && msg->label == id &&
         msg->sender_pe == pe && msg->sender_vpe == id;
    if (ok && ((ep < KC_EP || ep > KC_SETUP_EP) && !(stage == KC_REPLY_STAGE && ep == REFUSED)))
        ok = false;
    if (ok)
        ok = stage == KC_REQUEST_STAGE ? request(id, pe, ep, in)
             : stage == KC_REPLY_STAGE ? reply(id, pe, ep, in)
                                       : false;
    if (!ok)
        kern.stats.bad_kcalls++;
}
