/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services: who waits for which, and what is on its way (semperos-platform 8).
 *
 * A service that ends, or whose capability is revoked, answers nobody any more: all that waits for
 * it gets SE_RECV_GONE at once.  If a request was in flight, its remains stay in kern.services
 * until the answer has come or the VPE has ended, so that there are never more answers under way
 * than endpoint 15 has slots.
 */
#include "srv.h"

#include "heap.h"
#include "hw.h"
#include "print.h"
#include "str.h"

#define ANSWER_MAX_NS (30ull * 1000000000) /* silence after which a service is given up */
#define TICK_NS       100000000ull
#define RETRY_NS      1000000ull

struct service *srv_find(const char *name)
{
    for (struct service *s = kern.services; s; s = s->next)
        if (s->cap && strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

bool srv_exists(const char *name)
{
    return srv_find(name) != NULL;
}

/* Services that many have, one for each group of programs, are found by asking (as upstream). */
static bool has_word(const char *s, const char *word)
{
    for (; *s; s++)
        if (strncmp(s, word, strlen(word)) == 0)
            return true;
    return false;
}

int srv_create(struct vpe *v, uint32_t sel, const struct cap *gate, const char *name)
{
    struct service *s;
    unsigned n = 0;

    for (s = kern.services; s; s = s->next)
        n++;
    s = n < SRV_MAX ? heap_calloc(1, sizeof(*s)) : NULL;
    if (!s)
        return n < SRV_MAX ? SE_OUT_OF_MEM : SE_NO_SPACE;
    s->cap = cap_create(v, sel, CAP_SRV, NULL);
    if (!s->cap) {
        heap_free(s);
        return SE_OUT_OF_MEM;
    }
    s->cap->srv = s;
    s->vpe = v;
    s->id = ++kern.srv_ids;
    s->ep = gate->msg.ep;
    s->label = gate->msg.label;
    s->tail = &s->head;
    s->closing_tail = &s->closing;
    memcpy(s->name, name, strlen(name));
    s->hidden = has_word(name, "pipe");
    s->next = kern.services;
    kern.services = s;
    kern.srv_news = true;
    if (!s->hidden)
        connect_announce_one(cap_key(s->cap), s->name);
    return SE_OK;
}

/* Nothing can come for it or from it any more, and nothing points to it. */
static void srv_free_unused(struct service *s)
{
    struct service **link = &kern.services;

    if (s->cap || s->busy || s->users)
        return;
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    heap_free(s);
}

/* ---- sessions ---- */

struct session *session_create(struct service *s)
{
    struct session *n = heap_calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->srv = s;
    n->list = s->sessions;
    s->sessions = n;
    s->users++;
    return n;
}

struct session *session_remote(uint64_t srv, uint64_t ident)
{
    struct session *n = heap_calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->key = ddl_typed(srv, DDL_SERVICE);
    n->ident = ident;
    return n;
}

struct session *session_find(struct service *s, uint64_t ident)
{
    struct session *n = s->sessions;

    while (n && (n->ident != ident || !n->open || !n->remote))
        n = n->list;
    return n;
}

uint64_t session_srv_key(struct session *n)
{
    if (!n->srv)
        return n->key;
    n->remote = true;
    return ddl_typed(cap_key(n->srv->cap), DDL_SERVICE);
}

static void session_free(struct session *n)
{
    struct session **link = &n->srv->sessions;

    while (*link != n)
        link = &(*link)->list;
    *link = n->list;
    heap_free(n);
}

static void srv_next(struct service *s);

/* Tells the service when the clients are gone; frees the session when all are. */
static void session_settle(struct session *n)
{
    struct service *s = n->srv;

    if (n->pins > 0 || n->caps > (n->server_owned ? 1u : 0u))
        return;
    if (!s) {
        heap_free(n);
        return;
    }
    if (n->open && s->cap && !s->shutdown) {
        n->open = false;
        n->queued = true;
        *s->closing_tail = n;
        s->closing_tail = &n->next;
        n->next = NULL;
        srv_next(s);
        return;
    }
    if (n->caps > 0 || n->queued)
        return;
    session_free(n);
    s->users--;
    srv_free_unused(s);
}

void session_pin(struct session *n)
{
    n->pins++;
}

void session_unpin(struct session *n)
{
    n->pins--;
    session_settle(n);
}

void session_cap_added(struct session *n)
{
    n->caps++;
}

void session_cap_gone(struct session *n, bool by_owner)
{
    n->caps--;
    if (by_owner && n->server_owned) {
        n->server_owned = false;
        n->open = false; /* who closes it needs not be told */
    }
    session_settle(n);
}

/* ---- requests ---- */

/* Nothing came of it. */
static void client_error(struct srv_client *c, struct service *s, int error)
{
    struct session *n = c->session;

    c->session = NULL;
    if (c->remote)
        rexchange_answered(c->remote, s, n, error, NULL);
    else
        sys_answer(c->vpe, error, NULL);
}

static void client_answer(struct srv_client *c, struct service *s, int error)
{
    struct session *n = c->session;

    client_error(c, s, error);
    session_unpin(n);
}

void srv_request(struct service *s, struct srv_client *c)
{
    c->next = NULL;
    *s->tail = c;
    s->tail = &c->next;
    srv_next(s);
}

static struct srv_client *pop_client(struct service *s)
{
    struct srv_client *c = s->head;

    s->head = c->next;
    if (!s->head)
        s->tail = &s->head;
    return c;
}

static struct session *pop_closing(struct service *s)
{
    struct session *n = s->closing;

    s->closing = n->next;
    if (!s->closing)
        s->closing_tail = &s->closing;
    return n;
}

/*
 * The reply label names the request; no address is in it.  SE_NO_RING_SPACE: nothing has changed,
 * and srv_tick() will try again.
 */
static int send(struct service *s, enum srv_op op, const void *msg, size_t len)
{
    struct hw_target to = {.pe = s->vpe->pe, .vpe = s->vpe->pe, .ep = s->ep, .label = s->label};
    int err;

    s->seq++;
    err = hw_send(&to, msg, len, KERN_EP_SRV, (uint64_t)s->id << 32 | s->seq);
    s->busy = err == SE_OK;
    s->op = (uint8_t)op;
    s->waited = 0;
    s->full = err == SE_NO_RING_SPACE;
    s->client = NULL;
    s->session = NULL;
    return err;
}

static void send_close(struct service *s)
{
    const uint64_t msg[2] = {SRV_CLOSE, s->closing->ident};
    int err = send(s, SRV_CLOSE, msg, sizeof(msg));
    struct session *n = err == SE_NO_RING_SPACE ? NULL : pop_closing(s);

    if (err == SE_OK) {
        s->session = n;
    } else if (n) {
        n->queued = false;
        session_settle(n);
    }
}

static void send_request(struct service *s)
{
    uint8_t buf[SRV_REQ_MAX];
    struct srv_client *c = s->head;
    struct session *n = c->session;
    size_t len = c->remote ? rexchange_build(c->remote, buf, sizeof(buf))
                           : srv_build(c->vpe, buf, sizeof(buf));
    int err = len ? send(s, c->op, buf, len) : SE_INV_ARGS;

    if (err == SE_NO_RING_SPACE)
        return;
    pop_client(s);
    if (err != SE_OK) {
        client_answer(c, s, err);
        return;
    }
    s->client = c;
    s->session = n;
}

static void send_shutdown(struct service *s)
{
    static const uint64_t bye = SRV_SHUTDOWN;

    if (send(s, SRV_SHUTDOWN, &bye, sizeof(bye)) == SE_NO_RING_SPACE)
        return;
    s->told = true;
    s->vpe->flags |= VPE_F_TOLD;
}

/*
 * Sends what comes next: CLOSE first, SHUTDOWN last.  How long there has been no space for it is
 * not forgotten, whoever asks.
 */
static void srv_next(struct service *s)
{
    uint64_t waited = s->full ? s->waited : 0;

    if (s->in_next)
        return; /* what answering a client has led to; the loop below sees it */
    s->in_next = true;
    s->full = false;
    while (!s->busy && s->cap && !s->full) {
        if (s->closing)
            send_close(s);
        else if (s->head)
            send_request(s);
        else if (s->shutdown && !s->told)
            send_shutdown(s);
        else
            break;
    }
    if (s->full)
        s->waited = waited;
    s->in_next = false;
}

/* ---- answers ---- */

static struct service *srv_of_answer(const struct dtu_header *msg)
{
    struct service *s = kern.services;

    while (s && s->id != msg->label >> 32)
        s = s->next;
    if (!s || !s->busy || s->seq != (uint32_t)msg->label || !s->vpe || s->vpe->pe != msg->sender_pe)
        return NULL;
    return s;
}

/* The request in flight is over: with *in, or, NULL, with an error. */
static void finish(struct service *s, int error, struct msg_reader *in)
{
    struct srv_client *c = s->client;
    struct session *n = s->session;
    enum srv_op op = s->op;

    s->busy = false;
    s->client = NULL;
    s->session = NULL;
    if (op == SRV_CLOSE) {
        n->queued = false;
        session_settle(n);
        return;
    }
    if (!n)
        return;
    if (op == SRV_OPEN && error == SE_OK) {
        n->ident = msg_get_u64(in);
        error = in->error ? SE_INV_ARGS : SE_OK;
        n->open = !in->error;
    }
    if (c && c->remote)
        rexchange_answered(c->remote, s, n, error, in);
    else if (c && error == SE_OK)
        srv_answered(c->vpe, s, n, in);
    else if (c)
        client_error(c, s, error);
    session_unpin(n);
}

void srv_handle(const struct dtu_header *msg)
{
    struct service *s = srv_of_answer(msg);
    struct msg_reader in;
    int error;

    if (!s) {
        kern.stats.late++;
        hw_ack(KERN_EP_SRV, msg);
        return;
    }
    msg_reader_init(&in, msg + 1, msg->length);
    error = (int)msg_get_u32(&in);
    s->users++; /* it stays until we are done */
    finish(s, in.error ? SE_INV_ARGS : error, &in);
    hw_ack(KERN_EP_SRV, msg);
    srv_next(s);
    s->users--;
    srv_free_unused(s);
    vpe_reap();
}

/* ---- ends ---- */

void srv_cap_disable(struct cap *c)
{
    struct service *s = c->srv;

    if (s->cap != c) /* a copy */
        return;
    s->cap = NULL;
    s->users++; /* until srv_cap_gone() */
    if (s->client) {
        struct srv_client *client = s->client;

        s->client = NULL;
        client_error(client, s, SE_RECV_GONE); /* its session: pinned by the request in flight */
    }
    while (s->head)
        client_answer(pop_client(s), s, SE_RECV_GONE);
    while (s->closing) {
        struct session *n = pop_closing(s);

        n->queued = false;
        session_settle(n);
    }
}

void srv_cap_gone(struct cap *c)
{
    c->srv->users--;
    srv_free_unused(c->srv);
}

void srv_vpe_ended(struct vpe *v)
{
    struct service *next;

    for (struct service *s = kern.services; s; s = next) {
        next = s->next;
        if (s->vpe != v)
            continue;
        /* Its capability was revoked; what was in flight will not be answered. */
        s->vpe = NULL;
        s->users++;
        if (s->busy)
            finish(s, SE_RECV_GONE, NULL);
        s->users--;
        next = s->next;
        srv_free_unused(s);
    }
}

void srv_forget_client(struct srv_client *c)
{
    struct session *n = c->session;
    struct service *s = n->srv;
    struct srv_client **link = &s->head;

    c->session = NULL;
    if (s->client == c) {
        s->client = NULL; /* the request keeps the session pinned until it is answered */
        return;
    }
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    if (s->tail == &c->next)
        s->tail = link;
    session_unpin(n);
}

bool srv_shutdown(void)
{
    unsigned left = 0;

    kern.ending = true;
    for (struct service *s = kern.services; s; s = s->next) {
        if (!s->cap)
            continue;
        s->shutdown = true;
        srv_next(s); /* frees no service: this one is alive, and it is the only one concerned */
        left += s->told ? 0 : 1;
    }
    for (struct vpe *v = kern.vpes; v; v = v->next)
        left += v->state == VPE_RUNNING && (v->flags & VPE_F_TOLD) ? 1 : 0;
    if (left > 0 && kern.ending_ns >= ANSWER_MAX_NS) {
        print("kernel %u: %u services did not end\n", kern.id, left);
        kern.stats.failed++;
        return false;
    }
    return left > 0;
}

uint64_t srv_tick(uint64_t ns)
{
    uint64_t again = kern.ending ? TICK_NS : 0;
    struct service *next;

    kern.ending_ns += kern.ending ? ns : 0;
    for (struct service *s = kern.services; s; s = next) {
        next = s->next;
        if (!s->cap || !(s->busy || s->full))
            continue;
        s->waited += ns;
        if (s->waited < ANSWER_MAX_NS) {
            again = s->full ? RETRY_NS : again ? again : TICK_NS;
            if (s->full)
                srv_next(s);
            continue;
        }
        again = again ? again : TICK_NS;
        print("kernel %u: service %s does not answer; it is not used any more\n", kern.id, s->name);
        kern.stats.failed++;
        cap_revoke(s->cap);
        next = kern.services; /* revoking may have freed any; it cannot come to this one again */
    }
    return again;
}
