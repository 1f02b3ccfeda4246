/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other kernels: membership, and what is on its way to each (peer.h).
 *
 * Flow control is the original's (semperos-platform 7): of the four slots that a kernel has at its
 * peer, requests use at most two, revocations one more, and one is left for answers; so neither
 * revocations nor answers can starve, whatever waits.  A message that cannot be delivered now (the
 * peer is slow, or gone, or its node is) stays at the head of its queue and is tried again; a peer
 * that cannot be reached for FAIL_NS, or that owes an acknowledgement for ACK_NS, is lost.
 */
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "srv.h"
#include "str.h"

static void queue_init(struct kmsg_queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
    q->count = 0;
}

/* ---- membership ---- */

uint16_t peer_owner(unsigned pe)
{
    return pe < BOOT_PES ? kern.peers.owner[pe] : KC_NO_KERNEL;
}

bool peer_is_ours(unsigned pe)
{
    return peer_owner(pe) == kern.id;
}

static struct peer *peer_known(unsigned id)
{
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state != PEER_NONE && kern.peers.peer[i].id == id)
            return &kern.peers.peer[i];
    return NULL;
}

struct peer *peer_find(unsigned id)
{
    struct peer *p = peer_known(id);

    return p && p->state == PEER_UP ? p : NULL;
}

struct peer *peer_of_key(uint64_t key)
{
    uint16_t id = peer_owner(ddl_pe(key));

    return id == kern.id ? NULL : peer_find(id);
}

unsigned peer_ep(const struct peer *p)
{
    return KC_EP + (unsigned)(p - kern.peers.peer) * KC_INFLIGHT / DTU_MAX_SLOTS;
}

static void reset(struct peer *p)
{
    const struct peer old = *p;

    *p = (struct peer){.id = old.id,
                       .pe = old.pe,
                       .state = old.state,
                       .configured = old.configured,
                       .created = old.created,
                       .losses = old.losses};
    queue_init(&p->requests);
    queue_init(&p->replies);
    queue_init(&p->urgent);
    queue_init(&p->late);
    p->revokes_tail = &p->revokes;
    p->finished_tail = &p->finished;
    p->removed_tail = &p->removed;
}

struct peer *peer_add(unsigned id, unsigned pe)
{
    if (id == kern.id || id >= KC_NO_KERNEL || pe >= BOOT_PES || peer_known(id))
        return NULL;
    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_NONE)
            continue;
        *p = (struct peer){.id = (uint16_t)id, .pe = (uint16_t)pe, .state = PEER_CONNECTING};
        reset(p);
        return p;
    }
    return NULL;
}

/* ---- sending ---- */

/* False: not now. */
static bool send_now(struct peer *p, const void *data, size_t n)
{
    const struct hw_target to = {.pe = p->pe, .vpe = p->id, .ep = p->remote_ep, .label = kern.id};

    if (hw_send(&to, data, n, peer_ep(p), p->id) != SE_OK) {
        p->failing += p->failing == 0 ? 1 : 0;
        return false;
    }
    p->failing = 0;
    p->quiet = 0;
    return true;
}

static bool may_request(const struct peer *p, bool revocation)
{
    return p->state == PEER_UP && p->failing == 0 &&
           p->inflight < KC_INFLIGHT - (revocation ? 1 : 2);
}

/*
 * Behind as many requests as may be there is place for one answer.  We need not see that it was
 * taken when the peer has as many requests under way, too, all unanswered: it has taken what it got
 * for earlier ones.  Without that, two kernels could wait for each other's places.
 */
static bool may_reply(const struct peer *p)
{
    return p->state == PEER_UP && p->failing == 0 &&
           (p->inflight < KC_INFLIGHT - 1 || !p->last_reply || p->unanswered >= KC_INFLIGHT - 1);
}

static void replied(struct peer *p)
{
    p->last_reply = true;
    p->unanswered -= p->unanswered > 0 ? 1 : 0;
}

void peer_asked(struct peer *p)
{
    p->unanswered += p->unanswered < KC_INFLIGHT - 1 ? 1 : 0;
}

static bool send_request(struct peer *p, unsigned op, const void *data, size_t n, uint32_t tid)
{
    if (!send_now(p, data, n))
        return false;
    p->req[p->inflight++] = (struct kreq){.op = (uint8_t)op, .tid = tid};
    return true;
}

static struct kmsg *keep(struct kmsg_queue *q, unsigned most, const void *data, size_t n,
                         uint32_t tid)
{
    struct kmsg *m = q->count < most ? heap_alloc(sizeof(*m) + n) : NULL;

    if (!m)
        return NULL;
    m->next = NULL;
    m->len = (uint16_t)n;
    m->tid = tid;
    memcpy(m->data, data, n);
    *q->tail = m;
    q->tail = &m->next;
    q->count++;
    return m;
}

static void drop_head(struct kmsg_queue *q)
{
    struct kmsg *m = q->head;

    q->head = m->next;
    if (!q->head)
        q->tail = &q->head;
    q->count--;
    heap_free(m);
}

int peer_request(struct peer *p, const void *data, size_t n, uint32_t tid)
{
    if (!p || p->state != PEER_UP)
        return SE_RECV_GONE;
    if (!p->requests.head && !p->removed && !p->held && may_request(p, false) &&
        send_request(p, *(const uint8_t *)data, data, n, tid))
        return SE_OK;
    if (keep(&p->requests, KC_REQUESTS_MAX, data, n, tid))
        return SE_OK;
    kern.stats.kdropped++;
    return SE_OUT_OF_MEM;
}

int peer_urgent(struct peer *p, const void *data, size_t n, uint32_t tid)
{
    if (!keep(&p->urgent, KC_REQUESTS_MAX, data, n, tid)) {
        kern.stats.kdropped++;
        return SE_OUT_OF_MEM;
    }
    peer_flush(p);
    return SE_OK;
}

void peer_reply(struct peer *p, const void *data, size_t n)
{
    if (p->state != PEER_UP)
        return;
    if (!p->replies.head && may_reply(p) && send_now(p, data, n)) {
        replied(p);
        return;
    }
    if (!keep(&p->replies, KC_REPLIES_MAX, data, n, 0))
        kern.stats.kdropped++;
}

bool peer_late(struct peer *p, const void *data, size_t n)
{
    if (p->state != PEER_UP || !keep(&p->late, KC_REQUESTS_MAX, data, n, 0))
        return false;
    peer_flush(p);
    return true;
}

void peer_ack(struct peer *p)
{
    p->acks++;
    peer_flush(p);
}

static void add_cap(struct peer *p, struct cap *c, struct cap ***tail)
{
    if (p->state != PEER_UP) {
        heap_free(c);
        return;
    }
    c->next = NULL;
    **tail = c;
    *tail = &c->next;
    peer_flush(p);
}

void peer_finished(struct peer *p, struct cap *c)
{
    add_cap(p, c, &p->finished_tail);
}

void peer_removed(struct peer *p, struct cap *c)
{
    add_cap(p, c, &p->removed_tail);
}

void peer_gone(struct peer *p, uint64_t parent)
{
    struct kowed *o = p->nowed < KC_OWED_MAX ? heap_alloc(sizeof(*o)) : NULL;

    if (!o) { /* it does not take what we owe it; its own time limit ends its waiting */
        kern.stats.kdropped++;
        return;
    }
    *o = (struct kowed){.next = p->owed, .parent = parent};
    p->owed = o;
    p->nowed++;
    peer_flush(p);
}

void peer_revoke(struct peer *p, struct rkid *k)
{
    k->queued = true;
    k->asked = p;
    k->queue = NULL;
    *p->revokes_tail = k;
    p->revokes_tail = &k->queue;
    peer_flush(p);
}

/* ---- queues ---- */

/* n of the pairs behind a message's own arguments; without them when there are none. */
static size_t with_pairs(uint64_t *msg, size_t args, unsigned n)
{
    if (n == 0)
        return args * sizeof(*msg);
    msg[args] = n;
    return (args + 1 + 2 * n) * sizeof(*msg);
}

/* Notes that one more revocation of that initiator is done; false: that needs another message. */
static bool add_finish(uint64_t *msg, unsigned *n, uint64_t initiator)
{
    uint64_t *last = *n > 0 ? &msg[5 + 2 * (*n - 1)] : &msg[1];

    if (msg[2] != 0 && last[0] == initiator) {
        last[1] = (uint32_t)(last[1] - 1);
        return true;
    }
    if (msg[2] == 0) {
        msg[1] = initiator;
        msg[2] = (uint32_t)-1;
        return true;
    }
    if (*n == KC_MORE || ddl_serial(initiator) == 0 || ddl_serial(msg[1]) == 0)
        return false;
    msg[5 + 2 * *n] = initiator;
    msg[6 + 2 * *n] = (uint32_t)-1;
    ++*n;
    return true;
}

static void drop_owed(struct peer *p, const struct kowed *end)
{
    for (struct kowed *o; (o = p->owed) != end;) {
        p->owed = o->next;
        p->nowed--;
        heap_free(o);
    }
}

static void drop_caps(struct cap *c, const struct cap *end)
{
    for (struct cap *next; c != end; c = next) {
        next = c->next;
        heap_free(c);
    }
}

/* REVOKEFINISH for as many as one message can tell of; as_reply: it answers a REVOKE, too. */
static bool flush_finish(struct peer *p, bool as_reply)
{
    uint64_t msg[5 + 2 * KC_MORE];
    struct kowed *o = p->owed;
    struct cap *c = p->finished;
    unsigned n = 0;

    msg[0] = KC_REVOKEFINISH;
    msg[2] = 0;
    msg[3] = as_reply;
    while (o && add_finish(msg, &n, o->parent))
        o = o->next;
    while (!o && c && add_finish(msg, &n, c->key))
        c = c->next;
    if (!send_request(p, KC_REVOKEFINISH, msg, with_pairs(msg, 4, n), 0))
        return false;
    drop_owed(p, o);
    drop_caps(p->finished, c);
    p->finished = c;
    if (!c)
        p->finished_tail = &p->finished;
    return true;
}

void peer_revoke_begun(struct peer *p)
{
    /* When there is no place for it now, an ack frees the place that REVOKE has over there. */
    if ((!p->owed && !p->finished) || !may_request(p, true) || !flush_finish(p, true))
        p->acks++;
    else
        p->unanswered -= p->unanswered > 0 ? 1 : 0;
    peer_flush(p);
}

/* The next ones of the queue, REVOKE in one message; those of the original one by one. */
static bool flush_revoke(struct peer *p)
{
    const struct rkid *first = p->revokes;
    uint64_t parent = ddl_typed(first->cap->key, DDL_ANYCAP);
    uint64_t msg[5 + 2 * KC_MORE];
    struct rkid *k = first->queue;
    unsigned n = 0;

    msg[0] = KC_REVOKE;
    msg[1] = first->key;
    msg[2] = msg[3] = parent;
    for (; k && n < KC_MORE && ddl_serial(first->key) && ddl_serial(k->key); k = k->queue, n++) {
        msg[5 + 2 * n] = k->key;
        msg[6 + 2 * n] = ddl_typed(k->cap->key, DDL_ANYCAP);
    }
    if (!send_request(p, KC_REVOKE, msg, with_pairs(msg, 4, n), 0))
        return false;
    for (struct rkid *s = p->revokes; s != k; s = s->queue) {
        s->queued = false;
        s->sent = true;
    }
    p->revokes = k;
    if (!k)
        p->revokes_tail = &p->revokes;
    return true;
}

static bool flush_revocation(struct peer *p)
{
    struct kmsg *m = p->held ? NULL : p->urgent.head;

    if (m) {
        if (!send_request(p, m->data[0], m->data, m->len, m->tid))
            return false;
        p->held = move_is_switch(m); /* until it knows, what we ask of it would make no sense */
        drop_head(&p->urgent);
        return true;
    }
    if (p->owed || p->finished)
        return flush_finish(p, false);
    return p->revokes && !p->held && flush_revoke(p);
}

static bool flush_removed(struct peer *p)
{
    uint64_t msg[6 + 2 * KC_MORE];
    struct cap *c = p->removed->next;
    unsigned n = 0;

    msg[0] = KC_REMOVECHILDCAPPTR;
    msg[1] = p->removed->rparent;
    msg[3] = p->removed->key;
    msg[2] = msg[4] = 1;
    for (; c && n < KC_MORE && ddl_serial(msg[1]) && ddl_serial(c->rparent); c = c->next, n++) {
        msg[6 + 2 * n] = c->rparent;
        msg[7 + 2 * n] = c->key;
    }
    if (!send_request(p, KC_REMOVECHILDCAPPTR, msg, with_pairs(msg, 5, n), 0))
        return false;
    drop_caps(p->removed, c);
    p->removed = c;
    if (!c)
        p->removed_tail = &p->removed;
    return true;
}

static bool flush_queue(struct peer *p, struct kmsg_queue *q)
{
    struct kmsg *m = q->head;

    if (!m || !send_request(p, m->data[0], m->data, m->len, m->tid))
        return false;
    drop_head(q);
    return true;
}

static bool flush_request(struct peer *p)
{
    return p->removed ? flush_removed(p) : flush_queue(p, &p->requests);
}

static bool flush_reply(struct peer *p)
{
    const uint64_t ack = KC_REPLY;

    if (p->acks > 0) {
        if (!send_now(p, &ack, sizeof(ack)))
            return false;
        p->acks--;
    } else {
        if (!p->replies.head || !send_now(p, p->replies.head->data, p->replies.head->len))
            return false;
        drop_head(&p->replies);
    }
    replied(p);
    return true;
}

void peer_flush(struct peer *p)
{
    if (p->flushing)
        return;
    p->flushing = true;
    while (may_reply(p) && flush_reply(p))
        ;
    while (may_request(p, false) && flush_queue(p, &p->late))
        ;
    if (kern.peers.corked > 0)
        kern.peers.dirty |= 1ull << (p - kern.peers.peer);
    while (kern.peers.corked == 0 && may_request(p, true) && flush_revocation(p))
        ;
    while (kern.peers.corked == 0 && !p->held && may_request(p, false) && flush_request(p))
        ;
    p->flushing = false;
}

_Static_assert(KC_PEERS <= 64, "kern.peers.dirty has a bit for each");

void peer_cork(void)
{
    kern.peers.corked++;
}

void peer_uncork(void)
{
    if (--kern.peers.corked > 0)
        return;
    while (kern.peers.dirty) {
        struct peer *p = &kern.peers.peer[__builtin_ctzll(kern.peers.dirty)];

        kern.peers.dirty &= kern.peers.dirty - 1;
        peer_flush(p);
    }
}

/* The oldest request that op and tid answer; inflight: none. */
static unsigned answered_one(const struct peer *p, unsigned op, uint32_t tid)
{
    unsigned i = 0;

    if (op == KC_COUNT)
        while (i < p->inflight && p->req[i].tid != 0 && !(p->req[i].tid & KC_TID_ACK))
            i++;
    else
        while (i < p->inflight && (p->req[i].op != op || p->req[i].tid != tid))
            i++;
    return i;
}

bool peer_answered(struct peer *p, unsigned op, uint32_t *tid)
{
    unsigned i;

    if (park_answered(p, op, tid))
        return true;
    i = answered_one(p, op, *tid);
    if (i == p->inflight)
        return false;
    *tid = p->req[i].tid & ~KC_TID_ACK;
    p->inflight--;
    memmove(&p->req[i], &p->req[i + 1], (p->inflight - i) * sizeof(p->req[0]));
    p->last_reply = false;
    p->quiet = 0;
    return true;
}

/* ---- the end of a peer ---- */

static void drop_queue(struct kmsg_queue *q)
{
    while (q->head)
        drop_head(q);
}

static void fail_waiting(const struct peer *p)
{
    for (struct vpe *v = kern.vpes; v; v = v->next)
        if (v->wait.kind == WAIT_KERNEL && v->wait.peer == p->id)
            kcall_failed(v, SE_RECV_GONE);
}

void peer_lost(struct peer *p, const char *why)
{
    if (p->state == PEER_NONE)
        return;
    if (why && p->state != PEER_CONNECTING)
        print("kernel %u: kernel %u on PE %u is gone: %s\n", kern.id, p->id, p->pe, why);
    move_peer_going(p);
    p->losses += p->state == PEER_UP;
    p->state = PEER_CONNECTING;
    drop_queue(&p->requests);
    drop_queue(&p->replies);
    drop_queue(&p->urgent);
    drop_queue(&p->late);
    park_drop(p);
    drop_caps(p->finished, NULL);
    drop_caps(p->removed, NULL);
    drop_owed(p, NULL);
    p->revokes = NULL;
    fail_waiting(p);
    rexchange_peer_gone(p);
    revoke_peer_gone(p);
    rservice_peer_gone(p);
    mht_peer_gone(p);
    mht_move_peer_gone(p);
    kcall_drop_late(p);
    connect_forget(p->id);
    reset(p);
    if (!p->configured)
        p->state = PEER_NONE;
    move_peer_gone(p);
    kern.srv_news = true;
    vpe_reap();
}

bool peer_sending(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        const struct peer *p = &kern.peers.peer[i];

        if (p->state == PEER_UP &&
            (p->requests.head || p->urgent.head || p->replies.head || p->late.head || p->acks > 0 ||
             p->revokes || p->finished || p->removed || p->owed))
            return true;
    }
    return false;
}

void peer_close_all(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        kern.peers.peer[i].configured = false;
        peer_lost(&kern.peers.peer[i], NULL);
    }
}
