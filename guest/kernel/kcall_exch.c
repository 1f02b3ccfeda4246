/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities over sessions with services of other kernels: EXCHANGEOSESS, its answer, and the
 * acknowledgement that a delegation needs (semperos-platform 7.3; the original never had that).
 *
 * OBTAIN: the client's kernel reserves selectors and asks; the service's kernel asks the service,
 * enters the children and sends the capabilities; the client's kernel fills the selectors.
 * DELEGATE: the service's kernel asks the service and reserves the selectors that it names; the
 * client's kernel, told which, enters the children and sends the capabilities, with -ACK; the
 * service's kernel fills the selectors.  Children are always entered before the capability is sent,
 * and selectors are reserved before it can come: so a revocation that overtakes it finds both.
 */
#include "far.h"
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "srv.h"
#include "str.h"

#define RESERVE_MAX 32u /* capabilities in one message, and then some */

/* The key that comes next is of a capability that p has. */
static bool key_of(const struct peer *p, const struct msg_reader *in)
{
    struct msg_reader look = *in;
    uint64_t key = msg_get_u64(&look);

    return !look.error && peer_of_key(key) == p;
}

/* p has noted a child of that parent that there will not be. */
static void no_child(struct peer *p, uint64_t parent, unsigned holder, uint16_t serial,
                     uint32_t sel)
{
    uint64_t child = ddl_key(holder, holder, ddl_type(parent),
                             (uint64_t)(ddl_serial(parent) ? serial : 0) << 16 | sel);

    peer_request(p, (const uint64_t[]){KC_REMOVECHILDCAPPTR, parent, 1, child, 1},
                 5 * sizeof(uint64_t), 0);
}

/* Those of the selectors from start on that are in the set are free again, and p is told. */
static void unfill(struct vpe *v, uint32_t start, uint32_t set)
{
    for (uint32_t i = 0; set; i++, set >>= 1)
        if (set & 1)
            cap_revoke(cap_at(&v->caps, start + i));
}

/*
 * Makes what *in has of the reserved selectors from start on, children of what the other kernel p
 * has: all of them or none.  What is not to be, that kernel is told.  A selector that is not
 * reserved any more was revoked meanwhile, and is no error.
 */
static int fill(struct peer *p, struct msg_reader *in, unsigned holder, uint16_t serial,
                uint32_t start, uint32_t count, bool holes)
{
    struct vpe *v = kern.pes[holder].vpe;
    int result = v ? SE_OK : SE_RECV_GONE;
    uint32_t filled = 0;

    _Static_assert(RESERVE_MAX <= 32, "a bit each");
    for (uint32_t i = 0; i < count && i < RESERVE_MAX; i++) {
        struct cap *c = v && result == SE_OK ? cap_at(&v->caps, start + i) : NULL;
        uint64_t key = 0;
        int err;

        if (holes && msg_get_u64(in) == 0 && !in->error)
            continue;
        if (c && (c->type != CAP_NONE || c->serial != serial))
            c = NULL;
        /* First: what has no parent that we can name, nobody could revoke. */
        err = key_of(p, in) ? kcap_get(in, c, &key) : SE_INV_ARGS;
        if (c && err == SE_OK) {
            c->rparent = key;
            /* Who has no serial numbers (the original) does not know ours either. */
            if (ddl_serial(key) == 0)
                c->serial = 0;
            filled |= 1u << i;
            continue;
        }
        if (err != SE_OK)
            result = err;
        if (key == 0 || in->error)
            break; /* what follows cannot be read */
        no_child(p, key, holder, serial, start + i);
    }
    if (count > RESERVE_MAX)
        result = SE_INV_ARGS;
    if (result != SE_OK && v)
        unfill(v, start, filled);
    return result;
}

/* The key of what holder gets from a capability with that key. */
static uint64_t child_key(const struct cap *parent, unsigned holder, uint16_t serial, uint32_t sel)
{
    return ddl_key(holder, holder, ddl_type(cap_key(parent)),
                   (uint64_t)(parent->serial ? serial : 0) << 16 | sel);
}

/* ---- the client's side ---- */

int rexchange_send(struct sys_call *c, struct vpe *target, const struct rexchange_call *call)
{
    const struct cap_range *r = call->range;
    uint16_t serial = cap_serial();
    uint8_t buf[1024];
    struct msg_writer w;
    uint32_t got = 0;
    int err = SE_OK;

    for (; call->obtain && err == SE_OK && got < r->count && got < RESERVE_MAX; got++)
        if (!cap_reserve(target, r->start + got, serial))
            err = cap_at(&target->caps, r->start + got) ? SE_INV_ARGS : SE_OUT_OF_MEM;
    c->v->wait = (struct wait){.msg = c->msg,
                               .range = {CRD_OBJ, r->start, r->count},
                               .serial = serial,
                               .holder = target->pe,
                               .label = target->label,
                               .srv_key = call->holder_key,
                               .sel2 = call->obtain};
    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_EXCHANGEOSESS);
    msg_put(&w, kcall_wait(c->v, call->p, KC_EXCHANGEOSESS));
    msg_put(&w, call->obtain);
    msg_put(&w, ddl_key(target->pe, target->pe, DDL_VPECAP, (uint64_t)serial << 16));
    msg_put(&w, call->key);
    msg_put(&w, call->ident);
    msg_put(&w, r->type);
    msg_put(&w, r->start);
    msg_put(&w, r->count);
    msg_put_bytes(&w, call->rest, call->rest_len);
    if (err == SE_OK)
        err = w.error ? SE_INV_ARGS : peer_request(call->p, buf, w.len, c->v->wait.tid);
    if (err == SE_OK)
        return SYS_LATER;
    kcall_done(c->v);
    return err;
}

int rsession_exchange(struct sys_call *c, struct vpe *target, const struct session *n,
                      const struct cap_range *r, bool obtain)
{
    const struct rexchange_call call = {
        .p = peer_of_key(n->key),
        .key = n->key,
        .ident = n->ident,
        .holder_key = n->key,
        .range = r,
        .obtain = obtain,
        .rest = (const uint8_t *)(c->msg + 1) + c->in.pos,
        .rest_len = msg_remaining(&c->in),
    };

    return call.p ? rexchange_send(c, target, &call) : SE_RECV_GONE;
}

/* The service's answer, behind what the kernels needed. */
static void answer_rest(struct vpe *v, int err, struct msg_reader *in)
{
    uint8_t buf[1u << KERN_SRV_ORDER];
    size_t rest = msg_remaining(in);
    struct msg_writer w;

    msg_writer_init(&w, buf, sizeof(buf) - sizeof(struct dtu_header));
    msg_put(&w, (unsigned)err);
    if (err == SE_OK && rest > 0 && msg_pad(rest) <= w.size - w.len)
        msg_put_bytes(&w, msg_get_bytes(in, rest), rest);
    sys_answer_bytes(v, buf, w.len);
}

static void send_ack(struct peer *p, uint32_t their_tid, int err, uint32_t tid)
{
    const uint64_t msg[3] = {KC_EXCHANGEOSESSACK, their_tid, (unsigned)err};

    peer_request(p, msg, sizeof(msg), tid);
}

/* The children are entered and the capabilities sent. */
static int send_caps(struct vpe *v, struct peer *p, uint32_t their_tid, uint32_t start)
{
    struct vpe *from = kcall_holder(v);
    unsigned to = ddl_pe(v->wait.srv_key);
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;
    uint32_t i;

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_EXCHANGEOSESSACK);
    msg_put(&w, their_tid);
    msg_put(&w, SE_OK);
    msg_put(&w, v->wait.range.count);
    for (i = 0; from && i < v->wait.range.count && !w.error; i++) {
        struct cap *c = cap_get(&from->caps, v->wait.range.start + i);

        if (c && !kcap_travels(c, false)) /* the original has no delegation across kernels */
            return SE_NOT_SUP;
        msg_put(&w, c ? 1 : 0);
        if (c)
            kcap_put(&w, c);
    }
    if (!from || w.error)
        return from ? SE_NO_SPACE : SE_RECV_GONE;
    for (i = 0; i < v->wait.range.count; i++) {
        struct cap *c = cap_get(&from->caps, v->wait.range.start + i);

        if (c && !cap_add_rkid(c, child_key(c, to, (uint16_t)their_tid, start + i)))
            break;
    }
    if (i == v->wait.range.count &&
        peer_request(p, buf, w.len, KC_TID_ACK | kcall_wait(v, p, KC_EXCHANGEOSESSACK)) == SE_OK)
        return SE_OK;
    while (i-- > 0) {
        struct cap *c = cap_get(&from->caps, v->wait.range.start + i);

        if (c)
            cap_free_rkid(c, c->rkids);
    }
    return SE_OUT_OF_MEM;
}

/* The range that the service gave or wants them at: one of ours, of the right length. */
static bool right_range(const struct vpe *v, const struct cap_range *r)
{
    bool obtain = v->wait.sel2;

    return r->type == CRD_OBJ && cap_range_valid(r->start, r->count) &&
           (obtain ? r->count <= v->wait.range.count : r->count == v->wait.range.count);
}

static void late_reply(struct kcall *c, uint32_t tid, int err)
{
    struct klate l;
    uint32_t their_tid = msg_get_u32(c->in);
    struct cap_range r;

    r.type = msg_get_u32(c->in);
    r.start = msg_get_u32(c->in);
    r.count = msg_get_u32(c->in);
    if (!kcall_was_late(c->p, KC_EXCHANGEOSESS, tid, &l) || err != SE_OK || c->in->error)
        return;
    if (l.obtain)
        fill(c->p, c->in, l.holder, l.serial, l.start, r.count, false);
    else
        send_ack(c->p, their_tid, SE_RECV_GONE, 0);
}

void kc_exchangereply(struct kcall *c)
{
    uint32_t tid = msg_get_u32(c->in), their_tid;
    int err = (int)msg_get_u32(c->in);
    struct cap_range r;
    struct vpe *v;

    if (c->in->error || !peer_answered(c->p, KC_EXCHANGEOSESS, &tid)) {
        kcall_bad(c);
        return;
    }
    v = kcall_waiting(c->p, KC_EXCHANGEOSESS, tid);
    if (!v) {
        late_reply(c, tid, err);
        return;
    }
    if (err != SE_OK) {
        kcall_done(v);
        sys_answer(v, err, NULL);
        return;
    }
    their_tid = msg_get_u32(c->in);
    r.type = msg_get_u32(c->in);
    r.start = msg_get_u32(c->in);
    r.count = msg_get_u32(c->in);
    if (c->in->error || !right_range(v, &r)) {
        kcall_bad(c);
        kcall_done(v);
        sys_answer(v, SE_INV_ARGS, NULL);
        return;
    }
    if (v->wait.sel2) {
        err = r.count > RESERVE_MAX ? SE_INV_ARGS
                                    : fill(c->p, c->in, v->wait.holder, v->wait.serial,
                                           v->wait.range.start, r.count, false);
        kcall_done(v);
        answer_rest(v, err, c->in);
        return;
    }
    err = send_caps(v, c->p, their_tid, r.start);
    if (err != SE_OK) {
        send_ack(c->p, their_tid, err, 0);
        sys_answer(v, err, NULL);
    }
}

/* ---- the service's side ---- */

struct rexchange *rexchange_new(struct kcall *c, unsigned op, uint32_t tid)
{
    size_t n = msg_remaining(c->in);
    struct rexchange *x;

    if (c->p->nexchanges >= KC_EXCHANGES_MAX) {
        kern.stats.greedy++;
        return NULL;
    }
    x = n <= SRV_REQ_MAX ? heap_calloc(1, sizeof(*x) + n) : NULL;
    if (!x)
        return NULL;
    c->p->nexchanges++;
    x->client.op = (uint8_t)op;
    x->client.remote = x;
    x->peer = c->p->id;
    x->tid = tid;
    x->args_len = (uint16_t)n;
    if (n > 0)
        memcpy(x->args, msg_get_bytes(c->in, n), n);
    x->next = kern.peers.exchanges;
    kern.peers.exchanges = x;
    return x;
}

void rexchange_free(struct rexchange *x)
{
    struct rexchange **link = &kern.peers.exchanges;
    struct peer *p = peer_find(x->peer);

    if (p && p->nexchanges > 0)
        p->nexchanges--;
    while (*link != x)
        link = &(*link)->next;
    *link = x->next;
    heap_free(x);
}

size_t rexchange_build(const struct rexchange *x, void *buf, size_t size)
{
    struct msg_writer w;

    msg_writer_init(&w, buf, size);
    msg_put(&w, x->client.op);
    if (x->client.op != SRV_OPEN) {
        if (!x->client.session->srv->cap)
            return 0;
        msg_put(&w, x->client.session->ident);
        msg_put(&w, x->range.count);
    }
    if (x->args_len > 0)
        msg_put_bytes(&w, x->args, x->args_len);
    return w.error ? 0 : w.len;
}

static void refuse(const struct rexchange *x, struct peer *p, int err)
{
    const uint64_t msg[3] = {KC_EXCHANGEOSESSREPLY, park_tid(&x->park, x->tid), (unsigned)err};

    if (p)
        park_answer(p, &x->park, msg, sizeof(msg));
}

/*
 * What the service gives, up to the first empty selector: its answer has no word for a gap.  None
 * is right, too, as in the original, whose m3fs names more than it has.
 */
static int give(struct rexchange *x, struct peer *p, struct vpe *from, struct cap_range *r,
                struct msg_reader *in)
{
    uint16_t serial = (uint16_t)ddl_serial(x->key);
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;
    size_t rest;
    uint32_t i, n = 0;

    for (; n < r->count && cap_get(&from->caps, r->start + n); n++)
        if (!kcap_travels(cap_get(&from->caps, r->start + n), serial == 0))
            return SE_NOT_SUP;
    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, KC_EXCHANGEOSESSREPLY);
    msg_put(&w, park_tid(&x->park, x->tid));
    msg_put(&w, SE_OK);
    msg_put(&w, 0); /* our tid, which an OBTAIN does not need */
    msg_put(&w, r->type);
    msg_put(&w, r->start);
    msg_put(&w, n);
    for (i = 0; i < n; i++)
        kcap_put(&w, cap_get(&from->caps, r->start + i));
    rest = msg_remaining(in);
    if (rest > 0)
        msg_put_bytes(&w, msg_get_bytes(in, rest), rest);
    if (w.error || n > RESERVE_MAX)
        return SE_NO_SPACE;
    for (i = 0; i < n; i++) {
        struct cap *c = cap_get(&from->caps, r->start + i);

        if (!cap_add_rkid(c, child_key(c, ddl_pe(x->key), serial, x->range.start + i)))
            break;
    }
    if (i == n) {
        park_answer(p, &x->park, buf, w.len);
        return SE_OK;
    }
    while (i-- > 0) {
        struct cap *c = cap_get(&from->caps, r->start + i);

        cap_free_rkid(c, c->rkids);
    }
    return SE_OUT_OF_MEM;
}

/* Where the service wants them is reserved; SE_OK: x waits for the capabilities. */
static int take(struct rexchange *x, struct peer *p, struct vpe *to, const struct cap_range *r)
{
    uint64_t msg[7] = {
        KC_EXCHANGEOSESSREPLY, park_tid(&x->park, x->tid), SE_OK, 0, r->type, r->start, r->count};
    uint32_t got = 0;

    if (r->count > RESERVE_MAX)
        return SE_NO_SPACE;
    kern.tids = kern.tids % 0x7FFFFFFFu + 1;
    if ((kern.tids & 0xFFFF) == 0)
        kern.tids++; /* its lower half is the serial number of what comes */
    x->my_tid = kern.tids;
    x->holder = to->pe;
    x->range = *r;
    while (got < r->count && cap_reserve(to, r->start + got, (uint16_t)x->my_tid))
        got++;
    if (got == r->count) {
        x->waits_ack = true;
        msg[3] = x->my_tid;
        park_answer(p, &x->park, msg, sizeof(msg));
        x->park.waited = 0;
        return SE_OK;
    }
    while (got-- > 0)
        cap_revoke(cap_at(&to->caps, r->start + got));
    return SE_INV_ARGS;
}

/* With a VPE of ours, which need not be asked (far.c). */
static void exchange_with_vpe(struct kcall *c, struct rexchange *x, struct vpe *v, bool obtain)
{
    struct msg_reader in;
    struct cap_range r;
    int err = SE_INV_ARGS;

    msg_reader_init(&in, x->args, x->args_len);
    r = msg_get_range(&in);
    if (!in.error && r.type == CRD_OBJ && cap_range_valid(r.start, r.count) &&
        (obtain ? r.count <= x->range.count : r.count == x->range.count))
        err = obtain ? give(x, c->p, v, &r, &in) : take(x, c->p, v, &r);
    if (err != SE_OK)
        refuse(x, c->p, err);
    if (!x->waits_ack)
        rexchange_free(x);
}

void kc_exchange(struct kcall *c)
{
    uint32_t tid = msg_get_u32(c->in);
    bool obtain = msg_get_bool(c->in);
    uint64_t vpe = msg_get_u64(c->in), srv = msg_get_u64(c->in), ident = msg_get_u64(c->in);
    struct cap *cap = cap_by_key(srv);
    struct rexchange none = {.tid = tid}, *x;
    struct cap_range r;
    struct session *n;
    struct vpe *v;

    r.type = msg_get_u32(c->in);
    r.start = msg_get_u32(c->in);
    r.count = msg_get_u32(c->in);
    if (c->in->error || r.type != CRD_OBJ || !cap_range_valid(r.start, r.count) ||
        peer_of_key(vpe) != c->p) {
        kcall_bad(c);
        refuse(&none, c->p, SE_INV_ARGS);
        return;
    }
    v = far_named(c->p, srv, ident);
    n = cap && cap->type == CAP_SRV && cap->srv->cap == cap && !cap->srv->shutdown
            ? session_find(cap->srv, ident)
            : NULL;
    x = n || v ? rexchange_new(c, obtain ? SRV_OBTAIN : SRV_DELEGATE, tid) : NULL;
    if (!x) {
        refuse(&none, c->p, n || v ? SE_OUT_OF_MEM : SE_INV_ARGS);
        return;
    }
    x->key = vpe;
    x->range = r;
    if (v) {
        exchange_with_vpe(c, x, v, obtain);
        return;
    }
    x->client.session = n;
    session_pin(n);
    srv_request(cap->srv, &x->client);
}

void rexchange_answered(struct rexchange *x, struct service *s, struct session *n, int error,
                        struct msg_reader *in)
{
    struct peer *p = peer_find(x->peer);
    bool obtain = x->client.op == SRV_OBTAIN;
    struct cap_range r = {0, 0, 0};

    if (x->client.op == SRV_OPEN) {
        rexchange_opened(x, s, n, error);
        return;
    }
    if (error == SE_OK && (!s->cap || !s->vpe || !p))
        error = SE_RECV_GONE;
    if (error == SE_OK) {
        r = msg_get_range(in);
        if (in->error || r.type != CRD_OBJ || !cap_range_valid(r.start, r.count) ||
            (obtain ? r.count > x->range.count : r.count != x->range.count))
            error = SE_INV_ARGS;
    }
    if (error == SE_OK)
        error = obtain ? give(x, p, s->vpe, &r, in) : take(x, p, s->vpe, &r);
    if (error != SE_OK)
        refuse(x, p, error);
    if (!x->waits_ack)
        rexchange_free(x);
}

static void unreserve(struct rexchange *x)
{
    struct vpe *v = kern.pes[x->holder].vpe;

    for (uint32_t i = 0; v && i < x->range.count; i++) {
        struct cap *c = cap_at(&v->caps, x->range.start + i);

        if (c && c->type == CAP_NONE && c->serial == (uint16_t)x->my_tid)
            cap_revoke(c);
    }
    rexchange_free(x);
}

void kc_exchangeack(struct kcall *c)
{
    uint32_t tid = msg_get_u32(c->in), n;
    int err = (int)msg_get_u32(c->in);
    struct rexchange *x = kern.peers.exchanges;

    while (x && (!x->waits_ack || x->my_tid != tid || x->peer != c->p->id))
        x = x->next;
    if (c->in->error || !x) {
        kcall_bad(c);
        peer_ack(c->p);
        return;
    }
    if (err == SE_OK) {
        n = msg_get_u32(c->in);
        if (c->in->error || n != x->range.count ||
            fill(c->p, c->in, x->holder, (uint16_t)x->my_tid, x->range.start, n, true) != SE_OK)
            kcall_bad(c);
    }
    unreserve(x);
    peer_ack(c->p);
}

/* Nobody waits for what the service has been, or was to be, asked. */
static void forget(struct rexchange *x)
{
    srv_forget_client(&x->client);
    rexchange_free(x);
}

void rexchange_peer_gone(const struct peer *p)
{
    struct rexchange *next;

    for (struct rexchange *x = kern.peers.exchanges; x; x = next) {
        next = x->next;
        if (x->peer != p->id)
            continue;
        if (x->waits_ack)
            unreserve(x);
        else
            forget(x);
        next = kern.peers.exchanges; /* a session that closes may have led to others' ends */
    }
}

void rexchange_give_up(struct rexchange *x)
{
    if (x->waits_ack) {
        unreserve(x);
        return;
    }
    srv_forget_client(&x->client);
    if (x->client.op == SRV_OPEN) {
        rexchange_opened(x, NULL, NULL, SE_RECV_GONE);
        return;
    }
    refuse(x, peer_find(x->peer), SE_RECV_GONE);
    rexchange_free(x);
}
