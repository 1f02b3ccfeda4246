/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities for VPEs and services of other kernels.
 *
 * They travel as in the original (semperos-platform 7.3): a VPE as a key that names it, a service
 * as nothing but the capability's own key.  The original can send such capabilities and does not
 * survive receiving them (Capability.h:435, 379: VPECapability leaves its pointer uninitialised,
 * ServiceCapability::clone() returns none), so it gets none.
 *
 * What can be done with the VPE: gates to it (CREATEGATE), to start it, to wait for its end, to
 * exchange capabilities with it, to pass the capability on; receive buffers stay its own business.
 * EXCHANGE is EXCHANGEOSESS with the VPE's capability in place of the service's; starting is
 * KCREATEVPE of no name with the capability behind it; and of the end the owner tells by KEXIT with
 * the capability behind the exit code, to all that have one, and revokes them: they stay, as
 * nobody's children, but the gates that were made from them go.  Who asks names the capability that
 * he has and its parent: what the owner's kernel has not given to just that kernel, it refuses.
 *
 * With the service: CREATESESSAT, for another capability to a session that it has.
 */
#include "far.h"
#include "heap.h"
#include "kernel.h"
#include "srv.h"

/* ---- what is known of the VPE ---- */

struct far_vpe {
    uint64_t key; /* of its capability for itself */
    unsigned refs;
    bool ended;
    int32_t exitcode;
};

int far_get_vpe(uint64_t key, struct cap *into)
{
    struct cap *self = peer_is_ours(ddl_pe(key)) ? cap_by_key(key) : NULL;
    struct far_vpe *f;

    if (peer_is_ours(ddl_pe(key))) {
        /* Nobody can hand on what we never gave away, nor name it without its serial number. */
        if (!self || self->type != CAP_VPE || self->vpe != self->holder || !self->vpe->abroad ||
            ddl_serial(key) == 0)
            return SE_INV_ARGS;
        into->vpe = self->vpe;
        into->vpe->refs++;
        into->type = CAP_VPE;
        return SE_OK;
    }
    f = heap_calloc(1, sizeof(*f));
    if (!f)
        return SE_OUT_OF_MEM;
    f->key = key;
    f->refs = 1;
    into->far = f;
    into->type = CAP_FAR_VPE;
    return SE_OK;
}

uint64_t far_vpe_key(const struct cap *c)
{
    if (c->type == CAP_FAR_VPE)
        return c->far->key;
    c->vpe->abroad = true;
    return cap_key(cap_get(&c->vpe->caps, CAP_SELF_VPE));
}

void far_copied(struct cap *c)
{
    c->far->refs++;
}

void far_released(struct cap *c)
{
    if (--c->far->refs == 0)
        heap_free(c->far);
}

/* Whoever waits for its end with this capability waits in vain. */
void far_disabled(struct cap *c)
{
    struct vpe *v = c->holder;

    if (v->wait.kind == WAIT_EXIT && !v->wait.target && v->wait.sel == c->sel)
        sys_answer(v, SE_RECV_GONE, NULL);
}

bool far_has_ended(const struct cap *c)
{
    return c->far->ended;
}

/* The capability that its owner's kernel knows of: c, or what that was copied from. */
static const struct cap *known_as(const struct cap *c)
{
    while (c->parent && c->rparent == 0)
        c = c->parent;
    return c->rparent && ddl_serial(c->rparent) ? c : NULL;
}

/* The kernel to ask about it, if it is that which has given it; NULL: none. */
static struct peer *owner(const struct cap *c, const struct cap **known)
{
    *known = c->far->ended ? NULL : known_as(c);
    return *known && peer_owner(ddl_pe((*known)->rparent)) == peer_owner(ddl_pe(c->far->key))
               ? peer_of_key(c->far->key)
               : NULL;
}

/* ---- system calls ---- */

int far_creategate(struct vpe *v, struct cap *target, uint32_t sel, const uint64_t args[3])
{
    const struct cap *known;
    struct cap *gate;

    if (target->far->ended)
        return SE_INV_ARGS;
    /* The owner's PE is used again when the gates of those are gone whom it knows. */
    if (!owner(target, &known))
        return SE_NOT_SUP;
    gate = cap_create(v, sel, CAP_MSG, target);
    if (!gate)
        return SE_OUT_OF_MEM;
    gate->msg.label = args[0];
    gate->msg.ep = (uint8_t)args[1];
    gate->msg.maxmsg = (uint32_t)args[2];
    gate->msg.pe = gate->msg.vpe = (uint16_t)ddl_pe(target->far->key);
    return SE_OK;
}

static int start(struct sys_call *c, const struct cap *cap)
{
    const struct cap *known;
    struct peer *p = owner(cap, &known);
    uint64_t msg[8] = {KC_CREATEVPE, KC_REQUEST_STAGE};
    int err;

    if (!p)
        return SE_NOT_SUP;
    c->v->wait = (struct wait){.msg = c->msg};
    msg[2] = kcall_wait(c->v, p, KC_CREATEVPE);
    msg[5] = known->rparent;
    msg[6] = cap_key(known);
    msg[7] = VPECTRL_START;
    err = peer_request(p, msg, sizeof(msg), c->v->wait.tid);
    if (err == SE_OK)
        return SYS_LATER;
    c->v->wait.kind = WAIT_NONE;
    return err;
}

int far_vpectrl(struct sys_call *c, struct cap *cap, uint32_t op)
{
    if (op == VPECTRL_START)
        return cap->far->ended ? SE_INV_ARGS : start(c, cap);
    if (op != VPECTRL_WAIT)
        return SE_INV_ARGS;
    if (cap->far->ended) {
        c->has_value = true;
        c->value = (uint32_t)cap->far->exitcode;
        return SE_OK;
    }
    if (!known_as(cap))
        return SE_NOT_SUP; /* the original would not tell */
    c->v->wait = (struct wait){.kind = WAIT_EXIT, .msg = c->msg, .sel = cap->sel};
    return SYS_LATER;
}

int far_exchange(struct sys_call *c, const struct cap *cap, const struct cap_range *own,
                 const struct cap_range *other, bool obtain)
{
    const struct cap *known;
    struct peer *p = owner(cap, &known);
    struct rexchange_call call = {.p = p, .range = own, .obtain = obtain};

    if (own->type != other->type || (own->type != CRD_OBJ && own->type != CRD_MAP) ||
        !cap_range_valid(own->start, own->count) ||
        (obtain ? other->count > own->count : other->count != own->count))
        return SE_INV_ARGS;
    if (!p || own->type == CRD_MAP)
        return cap->far->ended ? SE_INV_ARGS : SE_NOT_SUP;
    call.key = known->rparent;
    call.ident = cap_key(known);
    call.holder_key = cap->far->key;
    call.rest = other;
    call.rest_len = sizeof(*other);
    return rexchange_send(c, c->v, &call);
}

int far_createsessat(struct vpe *v, struct cap *srv, uint32_t sel, uint64_t ident)
{
    struct session *n = session_remote(srv->far_srv, ident);
    struct cap *c = n ? cap_create(v, sel, CAP_SESS, srv) : NULL;

    if (!c) {
        heap_free(n);
        return SE_OUT_OF_MEM;
    }
    c->sess = n;
    session_cap_added(n);
    return SE_OK;
}

/* ---- the owner's side ---- */

struct vpe *far_named(const struct peer *p, uint64_t parent, uint64_t child)
{
    struct cap *c = peer_is_ours(ddl_pe(parent)) ? cap_by_key(parent) : NULL;
    const struct rkid *k = c && c->type == CAP_VPE ? c->rkids : NULL;

    while (k && (!ddl_same(k->key, child) || peer_of_key(k->key) != p))
        k = k->next;
    return k && c->vpe->state != VPE_ZOMBIE ? c->vpe : NULL;
}

void far_start_asked(struct kcall *c, uint32_t tid)
{
    uint64_t parent = msg_get_u64(c->in), child = msg_get_u64(c->in);
    uint32_t op = msg_get_u32(c->in);
    struct vpe *v = c->in->error ? NULL : far_named(c->p, parent, child);
    int err = SE_INV_ARGS;

    if (!v || op != VPECTRL_START)
        kcall_bad(c);
    else if (!(v->flags & VPE_F_BOOT))
        err = vpe_start(v);
    kern.stats.started += err == SE_OK ? 1 : 0;
    peer_reply(c->p,
               (const uint64_t[]){KC_CREATEVPE, KC_REPLY_STAGE, tid, err == SE_OK, v ? v->pe : 0,
                                  (unsigned)err},
               6 * sizeof(uint64_t));
}

/* Those that have c elsewhere are told. */
static void tell(const struct cap *c, int32_t code)
{
    for (const struct rkid *k = c->rkids; k; k = k->next) {
        const uint64_t msg[3] = {KC_EXIT, (uint32_t)code, k->key};
        struct peer *p = peer_of_key(k->key);

        if (p && p->state == PEER_UP && !k->asked)
            peer_urgent(p, msg, sizeof(msg), 0);
    }
}

void far_tell_end(struct vpe *ended)
{
    const struct revoke_for who = {.pe = &kern.pes[ended->pe]};
    struct cap *self = cap_get(&ended->caps, CAP_SELF_VPE);
    struct cap *c;

    if (self)
        tell(self, ended->exitcode); /* it is revoked next */
    if (ended->refs == 0)
        return;
    for (struct vpe *v = kern.vpes; v; v = v->next) {
        for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
            sel = c->sel;
            if (c->type != CAP_VPE || c->vpe != ended || c == self || !c->rkids)
                continue;
            tell(c, ended->exitcode);
            cap_revoke_rkids(c, &who);
        }
    }
}

/* ---- it has ended ---- */

/* One capability for it: gates to it go; who waits with it is answered; others are told. */
static void ended(struct cap *c)
{
    const struct far_vpe *f = c->far;
    uint64_t code = (uint32_t)f->exitcode;
    struct vpe *v = c->holder;
    struct cap *child, *next;

    for (child = c->child; child; child = next) {
        next = child->next;
        if (child->type == CAP_MSG)
            cap_revoke(child);
    }
    tell(c, f->exitcode);
    if (v->wait.kind == WAIT_EXIT && !v->wait.target && v->wait.sel == c->sel)
        sys_answer(v, SE_OK, &code);
}

void far_end_told(struct kcall *c, int32_t code)
{
    uint64_t key = msg_get_u64(c->in);
    struct cap *cap = c->in->error ? NULL : cap_by_key(key), *other;
    struct far_vpe *f;

    if (!cap || cap->type != CAP_FAR_VPE || cap->far->ended || peer_of_key(cap->rparent) != c->p) {
        kern.stats.late++; /* it was revoked meanwhile */
        return;
    }
    f = cap->far;
    f->ended = true;
    f->exitcode = code;
    for (struct vpe *v = kern.vpes; v; v = v->next) {
        for (uint32_t sel = 0; (other = cap_next(&v->caps, sel)); sel++) {
            sel = other->sel;
            if (other->type == CAP_FAR_VPE && other->far == f)
                ended(other);
        }
    }
}
