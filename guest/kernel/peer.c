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

#define MS         1000000ull
#define FAIL_NS    (10000 * MS) /* unreachable */
#define ACK_NS     (30000 * MS) /* acknowledgements, which need nobody's help */
#define ANSWER_NS  (60000 * MS) /* answers that services or others have a part in */
#define QUIET_NS   (1000 * MS)  /* then we look whether it lives */
#define RETRY_NS   (5 * MS)
#define TICK_NS    (100 * MS)
#define CONNECT_NS (200 * MS)

static void queue_init(struct kmsg_queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
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
                       .created = old.created};
    queue_init(&p->requests);
    queue_init(&p->replies);
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

static bool may_reply(const struct peer *p)
{
    return p->state == PEER_UP && p->failing == 0 &&
           (p->inflight < KC_INFLIGHT - 1 || !p->last_reply);
}

static bool send_request(struct peer *p, unsigned op, const void *data, size_t n, uint32_t tid)
{
    if (!send_now(p, data, n))
        return false;
    p->req[p->inflight++] = (struct kreq){.op = (uint8_t)op, .tid = tid};
    return true;
}

static struct kmsg *keep(struct kmsg_queue *q, const void *data, size_t n, uint32_t tid)
{
    struct kmsg *m = heap_alloc(sizeof(*m) + n);

    if (!m)
        return NULL;
    m->next = NULL;
    m->len = (uint16_t)n;
    m->tid = tid;
    memcpy(m->data, data, n);
    *q->tail = m;
    q->tail = &m->next;
    return m;
}

static void drop_head(struct kmsg_queue *q)
{
    struct kmsg *m = q->head;

    q->head = m->next;
    if (!q->head)
        q->tail = &q->head;
    heap_free(m);
}

int peer_request(struct peer *p, const void *data, size_t n, uint32_t tid)
{
    if (!p || p->state != PEER_UP)
        return SE_RECV_GONE;
    if (!p->requests.head && !p->removed && may_request(p, false) &&
        send_request(p, *(const uint8_t *)data, data, n, tid))
        return SE_OK;
    return keep(&p->requests, data, n, tid) ? SE_OK : SE_OUT_OF_MEM;
}

void peer_reply(struct peer *p, const void *data, size_t n)
{
    if (p->state != PEER_UP)
        return;
    if (!p->replies.head && may_reply(p) && send_now(p, data, n)) {
        p->last_reply = true;
        return;
    }
    if (!keep(&p->replies, data, n, 0))
        kern.stats.kdropped++;
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
    if (p->ngone == KC_WAITS) { /* it has more under way than it may */
        kern.stats.kdropped++;
        return;
    }
    p->gone[p->ngone++] = parent;
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

void peer_unqueue(struct peer *p, struct rkid *k)
{
    struct rkid **link = &p->revokes;

    while (*link && *link != k)
        link = &(*link)->queue;
    if (!*link)
        return;
    *link = k->queue;
    if (p->revokes_tail == &k->queue)
        p->revokes_tail = link;
    k->queued = false;
}

/* ---- queues ---- */

static bool flush_finish(struct peer *p, uint64_t initiator, bool with_reply)
{
    const uint64_t msg[4] = {KC_REVOKEFINISH, initiator, (uint32_t)-1, with_reply};

    return send_request(p, KC_REVOKEFINISH, msg, sizeof(msg), 0);
}

static bool flush_revocation(struct peer *p)
{
    struct cap *c = p->finished;
    struct rkid *k = p->revokes;

    if (p->ngone > 0) {
        if (!flush_finish(p, p->gone[0], true))
            return false;
        memmove(p->gone, p->gone + 1, --p->ngone * sizeof(p->gone[0]));
        return true;
    }
    if (c) {
        if (!flush_finish(p, c->key, c->rev.with_reply))
            return false;
        p->finished = c->next;
        if (!p->finished)
            p->finished_tail = &p->finished;
        heap_free(c);
        return true;
    }
    if (k) {
        const uint64_t parent = ddl_typed(k->cap->key, DDL_ANYCAP);
        const uint64_t msg[4] = {KC_REVOKE, k->key, parent, parent};

        if (!send_request(p, KC_REVOKE, msg, sizeof(msg), 0))
            return false;
        p->revokes = k->queue;
        if (!p->revokes)
            p->revokes_tail = &p->revokes;
        k->queued = false;
        k->sent = true;
        return true;
    }
    return false;
}

static bool flush_request(struct peer *p)
{
    struct cap *c = p->removed;
    struct kmsg *m = p->requests.head;

    if (c) {
        const uint64_t msg[5] = {KC_REMOVECHILDCAPPTR, c->rparent, 1, c->key, 1};

        if (!send_request(p, KC_REMOVECHILDCAPPTR, msg, sizeof(msg), 0))
            return false;
        p->removed = c->next;
        if (!p->removed)
            p->removed_tail = &p->removed;
        heap_free(c);
        return true;
    }
    if (!m || !send_request(p, m->data[0], m->data, m->len, m->tid))
        return false;
    drop_head(&p->requests);
    return true;
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
    p->last_reply = true;
    return true;
}

void peer_flush(struct peer *p)
{
    if (p->flushing)
        return;
    p->flushing = true;
    while (may_reply(p) && flush_reply(p))
        ;
    while (may_request(p, true) && flush_revocation(p))
        ;
    while (may_request(p, false) && flush_request(p))
        ;
    p->flushing = false;
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
    unsigned i = answered_one(p, op, *tid);

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

static void drop_caps(struct cap *c)
{
    for (struct cap *next; c; c = next) {
        next = c->next;
        heap_free(c);
    }
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
    p->state = PEER_CONNECTING;
    drop_queue(&p->requests);
    drop_queue(&p->replies);
    drop_caps(p->finished);
    drop_caps(p->removed);
    p->revokes = NULL;
    fail_waiting(p);
    rexchange_peer_gone(p);
    revoke_peer_gone(p);
    rservice_peer_gone(p);
    mht_peer_gone(p);
    kcall_drop_late(p);
    for (unsigned i = 0; i < BOOT_PES; i++)
        if (kern.peers.owner[i] == p->id)
            kern.peers.owner[i] = KC_NO_KERNEL;
    reset(p);
    if (!p->configured)
        p->state = PEER_NONE;
    kern.srv_news = true;
    vpe_reap();
}

bool peer_sending(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        const struct peer *p = &kern.peers.peer[i];

        if (p->state == PEER_UP && (p->requests.head || p->replies.head || p->acks > 0 ||
                                    p->revokes || p->finished || p->removed || p->ngone > 0))
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

/* ---- time ---- */

/* Who acknowledges all else, but never answers this, would hold its place for ever. */
static uint64_t longest(const struct kreq *r)
{
    if (r->tid == 0 || r->tid & KC_TID_ACK)
        return ACK_NS;
    return r->op == KC_SHUTDOWNREQUEST ? ~0ull : 2 * ANSWER_NS; /* until its programs have ended */
}

/* NULL, or why p is lost. */
static const char *tick_requests(struct peer *p, uint64_t ns)
{
    const char *why = NULL;

    for (unsigned i = 0; i < p->inflight; i++) {
        struct kreq *r = &p->req[i];

        r->waited += ns;
        if (r->waited > longest(r))
            why = "it does not answer";
    }
    return why;
}

static const char *tick_life(struct peer *p, uint64_t ns)
{
    uint64_t id;

    p->quiet += ns;
    if (p->failing) {
        p->failing += ns;
        if (p->failing > FAIL_NS)
            return "it cannot be reached";
        return NULL;
    }
    if (p->quiet < QUIET_NS || (p->inflight == 0 && !p->configured))
        return NULL;
    p->quiet = 0;
    if (hw_read(p->pe, p->id, DTU_BASE + DTU_VPE_ID, &id, sizeof(id)) != SE_OK)
        p->failing = 1;
    return NULL;
}

/* While it cannot be reached: is it there again? */
static void try_again(struct peer *p)
{
    uint64_t failing = p->failing, id;

    if (!failing || hw_read(p->pe, p->id, DTU_BASE + DTU_VPE_ID, &id, sizeof(id)) != SE_OK)
        return;
    p->failing = 0;
    peer_flush(p);
    if (p->failing)
        p->failing = failing;
}

static void tick_waits(struct peer *p, uint64_t ns)
{
    for (unsigned i = 0; i < KC_WAITS; i++) {
        struct kwait *w = &p->waits[i];

        if (!w->used)
            continue;
        w->waited += ns;
        if (w->op == KC_RECVBUFISATTACHED && w->waited > ACK_NS / 2)
            kcall_recv_ready(w->pe, w->ep, false);
    }
}

static uint64_t tick_connect(struct peer *p, uint64_t ns)
{
    p->failing += ns;
    if (!p->configured && p->failing > ANSWER_NS) {
        peer_lost(p, "it does not connect");
        return TICK_NS;
    }
    p->retry = p->retry > ns ? p->retry - ns : 0;
    if (p->retry == 0) {
        p->retry = CONNECT_NS;
        connect_send(p);
    }
    return CONNECT_NS;
}

static uint64_t tick_peer(struct peer *p, uint64_t ns)
{
    const char *why;

    if (p->state == PEER_CONNECTING)
        return tick_connect(p, ns);
    if (p->state != PEER_UP)
        return 0;
    tick_waits(p, ns);
    why = tick_requests(p, ns);
    if (!why)
        why = tick_life(p, ns);
    if (why) {
        peer_lost(p, why);
        return TICK_NS;
    }
    try_again(p);
    if (p->failing)
        return RETRY_NS;
    return p->inflight > 0 || p->configured ? TICK_NS : 0;
}

static uint64_t tick_calls(uint64_t ns)
{
    uint64_t again = 0;

    for (struct vpe *v = kern.vpes; v; v = v->next) {
        if (v->wait.kind != WAIT_KERNEL)
            continue;
        v->wait.waited += ns;
        again = TICK_NS;
        if (v->wait.waited > ANSWER_NS)
            kcall_failed(v, SE_RECV_GONE);
    }
    return again;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b && b < a) ? b : a;
}

uint64_t peer_tick(uint64_t ns)
{
    uint64_t again = sooner(tick_calls(ns), rexchange_tick(ns));

    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state != PEER_NONE)
            again = sooner(again, tick_peer(&kern.peers.peer[i], ns));
    return sooner(again, kboot_tick(ns));
}
