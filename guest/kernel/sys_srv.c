/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on services and sessions: CREATESRV, CREATESESS, CREATESESSAT, DELEGATE, OBTAIN, and
 * what they become on their way to the service and back (semperos-platform 7.2, 8).
 *
 * While a call waits, anything may happen to the capabilities it named.  So nothing but selectors
 * and the pinned session is kept, and everything is looked up again when the answer has come.
 */
#include "far.h"
#include "hw.h"
#include "srv.h"

int sys_createsrv(struct sys_call *c)
{
    char name[SRV_NAME];
    struct cap *gate = cap_get_type(&c->v->caps, msg_get_u32(&c->in), CAP_MSG);
    uint32_t sel = msg_get_u32(&c->in);
    size_t len = msg_get_str(&c->in, name, sizeof(name));

    if (c->in.error || !gate || len == 0 || !cap_unused(&c->v->caps, sel))
        return SE_INV_ARGS;
    /* Requests go to the caller, not to whom it has a gate for. */
    if (gate->msg.vpe != c->v->pe)
        return SE_INV_ARGS;
    if (srv_find(name))
        return SE_EXISTS;
    return srv_create(c->v, sel, gate, name);
}

struct vpe *sys_target(struct vpe *v, uint32_t sel)
{
    struct cap *c = cap_get_type(&v->caps, sel, CAP_VPE);

    return c && c->vpe->state != VPE_ZOMBIE ? c->vpe : NULL;
}

static int wait_for(struct sys_call *c, struct session *n, enum srv_op op, const struct wait *w)
{
    c->v->wait = *w;
    c->v->wait.kind = WAIT_SRV;
    c->v->wait.msg = c->msg;
    c->v->wait.client = (struct srv_client){.session = n, .vpe = c->v, .op = (uint8_t)op};
    c->v->wait.args = (uint16_t)c->in.pos;
    session_pin(n);
    srv_request(n->srv, &c->v->wait.client);
    return SYS_LATER;
}

int sys_createsess(struct sys_call *c)
{
    char name[SRV_NAME];
    uint32_t tsel = msg_get_u32(&c->in);
    uint32_t sel = msg_get_u32(&c->in);
    struct session *n;
    struct service *s;
    struct vpe *target;

    msg_get_str(&c->in, name, sizeof(name));
    target = sys_target(c->v, tsel);
    if (c->in.error || !target || !cap_unused(&target->caps, sel))
        return SE_INV_ARGS;
    s = srv_find(name);
    if (!s)
        return rsession_open(c, target, tsel, sel, name);
    if (s->shutdown)
        return SE_INV_ARGS;
    n = session_create(s);
    if (!n)
        return SE_OUT_OF_MEM;
    return wait_for(c, n, SRV_OPEN, &(struct wait){.sel = (uint16_t)tsel, .sel2 = (uint16_t)sel});
}

/* The session of a service gets a capability, derived from the service's. */
static int add_session_cap(struct session *n, struct vpe *holder, uint32_t sel, bool owner)
{
    struct cap *c;

    if (!n->srv->cap || !cap_unused(&holder->caps, sel))
        return SE_INV_ARGS;
    c = cap_create(holder, sel, CAP_SESS, n->srv->cap);
    if (!c)
        return SE_OUT_OF_MEM;
    c->sess = n;
    c->sess_owner = owner;
    session_cap_added(n);
    return SE_OK;
}

int sys_createsessat(struct sys_call *c)
{
    struct cap *srv = cap_get_type(&c->v->caps, msg_get_u32(&c->in), CAP_SRV | CAP_FAR_SRV);
    uint32_t sel = msg_get_u32(&c->in);
    uint64_t ident = msg_get_u64(&c->in);
    struct session *n;
    int err;

    if (c->in.error || !srv || !cap_unused(&c->v->caps, sel))
        return SE_INV_ARGS;
    if (srv->type == CAP_FAR_SRV)
        return far_createsessat(c->v, srv, sel, ident);
    if (!srv->srv->cap || srv->srv->shutdown)
        return SE_INV_ARGS;
    n = session_create(srv->srv);
    if (!n)
        return SE_OUT_OF_MEM;
    session_pin(n);
    n->ident = ident;
    n->server_owned = true;
    err = add_session_cap(n, c->v, sel, true);
    n->pins--; /* not unpinned: that its only capability is the owner's means nothing yet */
    if (err != SE_OK) {
        n->server_owned = false;
        session_pin(n);
        session_unpin(n);
    } else {
        n->open = true;
    }
    return err;
}

static int exchange(struct sys_call *c, enum srv_op op)
{
    uint32_t tsel = msg_get_u32(&c->in);
    uint32_t sel = msg_get_u32(&c->in);
    struct cap_range range = msg_get_range(&c->in);
    struct vpe *target = sys_target(c->v, tsel);
    struct cap *sess = target ? cap_get_type(&target->caps, sel, CAP_SESS) : NULL;
    struct service *s = sess ? sess->sess->srv : NULL;

    if (c->in.error || !sess || (s && (!s->cap || s->shutdown)))
        return SE_INV_ARGS;
    if (range.type != CRD_OBJ)
        return range.type == CRD_MAP ? SE_NOT_SUP : SE_INV_ARGS;
    if (!cap_range_valid(range.start, range.count))
        return SE_INV_ARGS;
    if (!s)
        return rsession_exchange(c, target, sess->sess, &range, op == SRV_OBTAIN);
    return wait_for(c, sess->sess, op, &(struct wait){.sel = (uint16_t)tsel, .range = range});
}

int sys_obtain(struct sys_call *c)
{
    return exchange(c, SRV_OBTAIN);
}

int sys_delegate(struct sys_call *c)
{
    return exchange(c, SRV_DELEGATE);
}

size_t srv_build(struct vpe *v, void *buf, size_t size)
{
    const struct dtu_header *msg = v->wait.msg;
    const uint8_t *payload = (const uint8_t *)(msg + 1);
    struct msg_writer w;

    msg_writer_init(&w, buf, size);
    msg_put(&w, v->wait.client.op);
    if (v->wait.client.op != SRV_OPEN) {
        /* Closed while this call waited for its turn. */
        if (v->wait.client.session->caps == 0)
            return 0;
        msg_put(&w, v->wait.client.session->ident);
        msg_put(&w, v->wait.range.count);
    }
    if (v->wait.args < msg->length)
        msg_put_bytes(&w, payload + v->wait.args, msg->length - v->wait.args);
    return w.error ? 0 : w.len;
}

static int opened(struct vpe *v, struct session *n)
{
    struct vpe *target = sys_target(v, v->wait.sel);

    return target ? add_session_cap(n, target, v->wait.sel2, false) : SE_INV_ARGS;
}

static int exchanged(struct vpe *v, struct service *s, const struct session *n,
                     struct msg_reader *in)
{
    struct vpe *target = sys_target(v, v->wait.sel);
    struct cap_range theirs = msg_get_range(in);

    if (in->error || !target || !s->cap || !s->vpe || n->caps == 0)
        return SE_INV_ARGS;
    if (v->wait.client.op == SRV_OBTAIN)
        return sys_copy_range(s->vpe, &theirs, target, &v->wait.range, COPY_SERVICE);
    return sys_copy_range(target, &v->wait.range, s->vpe, &theirs, COPY_DELEGATE);
}

void srv_answered(struct vpe *v, struct service *s, struct session *n, struct msg_reader *in)
{
    uint8_t buf[1u << KERN_SRV_ORDER];
    struct msg_writer w;
    size_t rest;
    int err = v->wait.client.op == SRV_OPEN ? opened(v, n) : exchanged(v, s, n, in);

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, (unsigned)err);
    rest = msg_remaining(in);
    if (err == SE_OK && v->wait.client.op != SRV_OPEN && rest > 0)
        msg_put_bytes(&w, msg_get_bytes(in, rest), rest);
    sys_answer_bytes(v, buf, w.len);
}
