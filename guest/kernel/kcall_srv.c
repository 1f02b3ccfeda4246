/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions with services of other kernels: CREATESESSFWD, -RESP, -FAIL (semperos-platform 7.3).
 *
 * The client's kernel reserves the selector first, so that nobody else takes it, and so that a
 * revocation that overtakes the answer finds something to revoke.  At the service's kernel the
 * session is a child of the service's capability, held by another kernel; its session object closes
 * when that child goes.
 */
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "srv.h"
#include "str.h"

/* ---- services elsewhere ---- */

/* The first that was announced by that name; p: at that kernel, NULL: at any. */
static struct rservice *rservice_find(const struct peer *p, const char *name)
{
    struct rservice *first = NULL;

    for (struct rservice *s = kern.peers.services; s; s = s->next)
        if (strcmp(s->name, name) == 0 && (!p || s->peer == p->id))
            first = s; /* new ones stand in front */
    return first;
}

/* The first of the same name but for s. */
static struct rservice *rservice_other(const struct rservice *s)
{
    struct rservice *first = NULL;

    for (struct rservice *r = kern.peers.services; r; r = r->next)
        if (r != s && strcmp(r->name, s->name) == 0)
            first = r;
    return first;
}

static void rservice_forget(struct rservice *s)
{
    struct rservice **link = &kern.peers.services;

    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    heap_free(s);
}

bool rservice_exists(const char *name)
{
    return rservice_find(NULL, name) != NULL;
}

/* The oldest one of too many makes place: nobody says that a service has ended. */
static struct rservice *rservice_new(const struct peer *p)
{
    struct rservice **oldest = NULL, *s;
    unsigned n = 0;

    for (struct rservice **link = &kern.peers.services; *link; link = &(*link)->next) {
        if ((*link)->peer != p->id)
            continue;
        oldest = link;
        n++;
    }
    if (n < KC_SERVICES_MAX)
        return heap_calloc(1, sizeof(*s));
    kern.stats.greedy++;
    s = *oldest;
    *oldest = s->next;
    *s = (struct rservice){0};
    return s;
}

bool rservice_add(struct peer *p, uint64_t key, const char *name)
{
    struct rservice *s = rservice_find(p, name);

    if (!s) {
        s = rservice_new(p);
        if (!s)
            return false;
        memcpy(s->name, name, strlen(name));
        s->next = kern.peers.services;
        kern.peers.services = s;
    }
    s->peer = p->id;
    s->key = key;
    return true;
}

void rservice_peer_gone(const struct peer *p)
{
    struct rservice **link = &kern.peers.services;

    while (*link) {
        struct rservice *s = *link;

        if (s->peer != p->id) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        heap_free(s);
    }
}

/* ---- the client's side ---- */

/* The next kernel to ask behind `after` (NULL: the first). */
static struct peer *next_peer(const struct peer *after)
{
    unsigned i = after ? (unsigned)(after - kern.peers.peer) + 1 : 0;

    for (; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP)
            return &kern.peers.peer[i];
    return NULL;
}

static uint64_t session_key(unsigned holder, unsigned serial, unsigned sel)
{
    return ddl_key(holder, holder, DDL_SESSCAP, (uint64_t)serial << 16 | sel);
}

/* What v's CREATESESS asks for. */
static void asked_for(const struct vpe *v, char name[SRV_NAME])
{
    struct msg_reader in;

    msg_reader_init(&in, v->wait.msg + 1, v->wait.msg->length);
    in.pos = 3 * sizeof(uint64_t); /* operation and two selectors */
    msg_get_str(&in, name, SRV_NAME);
}

static int send_open(struct vpe *v, struct peer *p)
{
    const struct dtu_header *msg = v->wait.msg;
    const uint8_t *payload = (const uint8_t *)(msg + 1);
    char name[SRV_NAME];
    uint8_t buf[1024];
    struct msg_writer w;

    asked_for(v, name);
    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_CREATESESSFWD);
    msg_put(&w, v->pe);
    msg_put_str(&w, name, strlen(name));
    msg_put(&w, session_key(v->wait.holder, v->wait.serial, v->wait.range.start));
    msg_put(&w, kcall_wait(v, p, KC_CREATESESSFWD));
    if (v->wait.args < msg->length)
        msg_put_bytes(&w, payload + v->wait.args, msg->length - v->wait.args);
    return w.error ? SE_INV_ARGS : peer_request(p, buf, w.len, v->wait.tid);
}

/* Asks those behind `after`, until one can be asked. */
static bool ask_next(struct vpe *v, const struct peer *after)
{
    struct peer *p = next_peer(after);

    while (p && send_open(v, p) != SE_OK)
        p = next_peer(p);
    return p != NULL;
}

/* p has no such service (any more): another kernel may have one, begun later. */
static bool ask_other(struct vpe *v, const struct peer *p)
{
    struct rservice *s, *other;
    char name[SRV_NAME];

    asked_for(v, name);
    s = rservice_find(p, name);
    while (s && (other = rservice_other(s))) {
        rservice_forget(s);
        if (send_open(v, peer_find(other->peer)) == SE_OK)
            return true;
        s = other;
    }
    return false;
}

bool rsession_next(struct vpe *v)
{
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].id == v->wait.peer && kern.peers.peer[i].state != PEER_NONE)
            return ask_next(v, &kern.peers.peer[i]);
    return false;
}

int rsession_open(struct sys_call *c, struct vpe *target, unsigned tsel, unsigned sel,
                  const char *name)
{
    struct rservice *s = rservice_find(NULL, name);
    struct peer *p = s ? peer_find(s->peer) : next_peer(NULL);
    uint16_t serial = cap_serial();
    struct cap *cap;
    int err;

    if (!p)
        return SE_INV_ARGS;
    cap = cap_reserve(target, sel, serial);
    if (!cap)
        return SE_OUT_OF_MEM;
    c->v->wait = (struct wait){.msg = c->msg,
                               .sel = (uint16_t)tsel,
                               .range = {CRD_OBJ, sel, 1},
                               .args = (uint16_t)c->in.pos,
                               .all = !s,
                               .serial = serial,
                               .holder = target->pe,
                               .label = target->label};
    err = send_open(c->v, p);
    if (err == SE_OK)
        return SYS_LATER;
    kcall_done(c->v);
    return err;
}

static void tell_fail(struct peer *p, uint64_t cap, uint64_t srv)
{
    const uint64_t msg[3] = {KC_CREATESESSFAIL, cap, srv};

    peer_request(p, msg, sizeof(msg), 0);
}

/* The reserved selector becomes the session. */
static int opened(struct kcall *c, struct vpe *v, uint64_t ident, uint64_t srv)
{
    struct vpe *holder = kcall_holder(v);
    struct cap *cap = holder ? cap_at(&holder->caps, v->wait.range.start) : NULL;
    struct session *n;

    if (!cap || cap->type != CAP_NONE || cap->serial != v->wait.serial ||
        peer_of_key(srv) != c->p || !(n = session_remote(srv, ident))) {
        tell_fail(c->p, session_key(v->wait.holder, v->wait.serial, v->wait.range.start),
                  ddl_typed(srv, DDL_SERVICE));
        return SE_RECV_GONE;
    }
    cap->type = CAP_SESS;
    cap->sess = n;
    cap->rparent = srv;
    session_cap_added(n);
    return SE_OK;
}

void kc_createsessresp(struct kcall *c)
{
    uint32_t tid;
    uint64_t ident = 0, srv = 0;
    struct klate late;
    struct vpe *v;
    int err;

    msg_get_u32(c->in); /* the VPE: the tid says it */
    tid = msg_get_u32(c->in);
    err = (int)msg_get_u32(c->in);
    if (err == SE_OK) {
        ident = msg_get_u64(c->in);
        srv = msg_get_u64(c->in);
    }
    if (c->in->error || !peer_answered(c->p, KC_CREATESESSFWD, &tid)) {
        kcall_bad(c);
        return;
    }
    v = kcall_waiting(c->p, KC_CREATESESSFWD, tid);
    if (!v) {
        if (kcall_was_late(c->p, KC_CREATESESSFWD, tid, &late) && err == SE_OK)
            tell_fail(c->p, session_key(late.holder, late.serial, late.start),
                      ddl_typed(srv, DDL_SERVICE));
        return;
    }
    if (err != SE_OK && (v->wait.all ? ask_next(v, c->p) : ask_other(v, c->p)))
        return;
    if (err == SE_OK)
        err = opened(c, v, ident, srv);
    kcall_done(v);
    sys_answer(v, err, NULL);
}

/* ---- the service's side ---- */

/* At once: there will be none. */
static void open_refused(struct peer *p, uint32_t vpe, uint32_t tid, int err)
{
    const uint64_t msg[4] = {KC_CREATESESSRESP, vpe, tid, (unsigned)err};

    peer_reply(p, msg, sizeof(msg));
}

void kc_createsessfwd(struct kcall *c)
{
    char name[SRV_NAME];
    uint32_t vpe = msg_get_u32(c->in), tid;
    struct rexchange *x = NULL;
    struct service *s;
    uint64_t key;

    msg_get_str(c->in, name, sizeof(name));
    key = msg_get_u64(c->in);
    tid = msg_get_u32(c->in);
    s = srv_find(name);
    if (c->in->error || peer_of_key(key) != c->p) {
        kcall_bad(c);
        open_refused(c->p, vpe, tid, SE_INV_ARGS);
        return;
    }
    if (s && !s->shutdown)
        x = rexchange_new(c, SRV_OPEN, tid);
    if (x)
        x->client.session = session_create(s);
    if (!x || !x->client.session) {
        if (x)
            rexchange_free(x);
        open_refused(c->p, vpe, tid, s && !s->shutdown ? SE_OUT_OF_MEM : SE_INV_ARGS);
        return;
    }
    x->vpe = vpe;
    x->key = key;
    session_pin(x->client.session);
    srv_request(s, &x->client);
}

void rexchange_opened(struct rexchange *x, struct service *s, struct session *n, int error)
{
    uint64_t msg[6] = {KC_CREATESESSRESP, x->vpe, park_tid(&x->park, x->tid)};
    struct peer *p = peer_find(x->peer);
    struct rkid *k;

    if (!p) {
        rexchange_free(x);
        return; /* the session is closed again when it is unpinned */
    }
    if (error == SE_OK && !s->cap)
        error = SE_RECV_GONE;
    k = error == SE_OK ? cap_add_rkid(s->cap, x->key) : NULL;
    if (error == SE_OK && !k)
        error = SE_OUT_OF_MEM;
    if (k) {
        k->session = n;
        n->remote = true;
        session_pin(n);
    }
    if (error == SE_OK) {
        msg[4] = n->ident;
        msg[5] = cap_key(s->cap);
    } else {
        msg[3] = SE_INV_ARGS; /* the original takes any other error for success */
    }
    park_answer(p, &x->park, msg, (error == SE_OK ? 6 : 4) * sizeof(msg[0]));
    rexchange_free(x);
}

void kc_createsessfail(struct kcall *c)
{
    uint64_t cap = msg_get_u64(c->in), srv = msg_get_u64(c->in);

    if (c->in->error)
        kcall_bad(c);
    else if (!revoke_child_gone(c->p, srv, cap))
        kern.stats.late++; /* revoked while the answer was on its way */
    peer_ack(c->p);
}
