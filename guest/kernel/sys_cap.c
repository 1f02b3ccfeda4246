/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls on capabilities: CREATEGATE, EXCHANGE, REVOKE, ACTIVATE. */
#include "far.h"
#include "kernel.h"

#define MAXMSG_LIMIT 0xFFFFu /* field width, dtu-spec 1.4 */

int sys_creategate(struct sys_call *c)
{
    uint32_t tsel = msg_get_u32(&c->in);
    uint32_t sel = msg_get_u32(&c->in);
    uint64_t label = msg_get_u64(&c->in);
    uint64_t ep = msg_get_u64(&c->in);
    uint64_t credits = msg_get_u64(&c->in);
    struct cap *target = cap_get_type(&c->v->caps, tsel, CAP_VPE | CAP_FAR_VPE), *gate;

    if (c->in.error || !target)
        return SE_INV_ARGS;
    if (ep == 0 || ep >= DTU_EPS || credits > MAXMSG_LIMIT || !cap_unused(&c->v->caps, sel))
        return SE_INV_ARGS;
    if (target->type == CAP_FAR_VPE)
        return far_creategate(c->v, target, sel, (const uint64_t[]){label, ep, credits});
    if (target->vpe->state == VPE_ZOMBIE)
        return SE_INV_ARGS;
    /* A child of the target itself: when that ends, so do all gates to it. */
    gate = cap_create(c->v, sel, CAP_MSG, cap_get(&target->vpe->caps, CAP_SELF_VPE));
    if (!gate)
        return SE_OUT_OF_MEM;
    gate->msg.label = label;
    gate->msg.maxmsg = (uint32_t)credits;
    gate->msg.pe = gate->msg.vpe = target->vpe->pe;
    gate->msg.ep = (uint8_t)ep;
    return SE_OK;
}

static bool range_unused(const struct cap_table *t, const struct cap_range *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (cap_at(t, r->start + i))
            return false;
    return true;
}

/*
 * Copies what is in `from` of src to `to` of dst; empty selectors stay empty, as in the original.
 * All or nothing.  SE_INV_ARGS: there was nothing to copy, and that is not what services may give.
 */
static int copy_range(struct vpe *src, const struct cap_range *from, struct vpe *dst,
                      const struct cap_range *to, bool none_ok)
{
    unsigned copied = 0;

    for (uint32_t i = 0; i < from->count; i++) {
        struct cap *c = cap_get(&src->caps, from->start + i);

        if (c && !cap_derive(c, dst, to->start + i)) {
            for (uint32_t k = 0; k < i; k++)
                if ((c = cap_get(&dst->caps, to->start + k)))
                    cap_revoke(c);
            return SE_OUT_OF_MEM;
        }
        copied += c ? 1 : 0;
    }
    return copied > 0 || from->count == 0 || none_ok ? SE_OK : SE_INV_ARGS;
}

int sys_copy_range(struct vpe *src, const struct cap_range *from, struct vpe *dst,
                   const struct cap_range *to, enum sys_copy kind)
{
    bool obtain = kind != COPY_DELEGATE;

    if (from->type != to->type)
        return SE_INV_ARGS;
    if (from->type != CRD_OBJ)
        return from->type == CRD_MAP ? SE_NOT_SUP : SE_INV_ARGS;
    if (obtain ? from->count > to->count : from->count != to->count)
        return SE_INV_ARGS;
    if (!cap_range_valid(from->start, from->count) || !cap_range_valid(to->start, to->count) ||
        !range_unused(&dst->caps, to))
        return SE_INV_ARGS;
    if (src == dst && from->start < to->start + to->count && to->start < from->start + from->count)
        return SE_INV_ARGS;
    return copy_range(src, from, dst, to, kind == COPY_SERVICE);
}

int sys_exchange(struct sys_call *c)
{
    uint32_t tsel = msg_get_u32(&c->in);
    struct cap_range own = msg_get_range(&c->in);
    struct cap_range other = msg_get_range(&c->in);
    bool obtain = msg_get_bool(&c->in);
    struct cap *target = cap_get_type(&c->v->caps, tsel, CAP_VPE | CAP_FAR_VPE);

    if (c->in.error || !target)
        return SE_INV_ARGS;
    if (target->type == CAP_FAR_VPE)
        return far_exchange(c, target, &own, &other, obtain);
    if (target->vpe->state == VPE_ZOMBIE)
        return SE_INV_ARGS;
    if (obtain)
        return sys_copy_range(target->vpe, &other, c->v, &own, COPY_OBTAIN);
    return sys_copy_range(c->v, &own, target->vpe, &other, COPY_DELEGATE);
}

int sys_revoke(struct sys_call *c)
{
    const struct revoke_for who = {.waiter = c->v};
    struct cap_range r = msg_get_range(&c->in);
    bool own = msg_get_bool(&c->in);
    unsigned found = 0;
    int err = SE_OK;
    struct cap *cap;

    if (c->in.error || (r.type != CRD_OBJ && r.type != CRD_MAP))
        return SE_INV_ARGS;
    if (r.type == CRD_MAP)
        return SE_NOT_SUP;
    /* One's own VPE and memory stay. */
    if (r.start <= CAP_SELF_MEM || !cap_range_valid(r.start, r.count))
        return SE_INV_ARGS;
    c->v->wait = (struct wait){.kind = WAIT_REVOKE, .msg = c->msg, .count = 1};
    peer_cork(); /* what the whole range has elsewhere goes there together */
    /* No look behind the range: what comes next may be the whole table away. */
    for (uint32_t sel = r.start; sel < r.start + r.count; sel++) {
        cap = cap_next(&c->v->caps, sel);
        if (!cap || cap->sel >= r.start + r.count)
            break;
        sel = cap->sel;
        found++;
        if (own)
            cap_revoke_for(cap, &who);
        else if (!cap_revoke_children(cap, &who))
            err = SE_OUT_OF_MEM;
    }
    peer_uncork();
    if (--c->v->wait.count > 0)
        return SYS_LATER;
    c->v->wait.kind = WAIT_NONE;
    return found > 0 || r.count == 0 ? err : SE_INV_ARGS;
}

/* CAP_INVALID: no capability, *out = NULL.  False: a selector that names none. */
static bool gate_at(struct vpe *v, uint32_t sel, struct cap **out)
{
    *out = cap_get_type(&v->caps, sel, CAP_MSG | CAP_MEM);
    return *out || sel == CAP_INVALID;
}

static bool receives(const struct cap *gate)
{
    return kern.pes[gate->msg.pe].vpe->ep[gate->msg.ep].use == EP_RECV;
}

/* Its receiver belongs to another kernel, which is asked. */
static int ask_receiver(struct sys_call *c, uint64_t ep, uint32_t sel, const struct cap *gate)
{
    struct peer *p = peer_find(peer_owner(gate->msg.pe));
    uint64_t msg[4] = {KC_RECVBUFISATTACHED, 0, gate->msg.pe, gate->msg.ep};
    int err;

    if (!p)
        return SE_RECV_GONE;
    c->v->wait = (struct wait){.msg = c->msg, .ep = (uint8_t)ep, .sel = (uint16_t)sel};
    msg[1] = kcall_wait(c->v, p, KC_RECVBUFISATTACHED);
    err = peer_request(p, msg, sizeof(msg), c->v->wait.tid);
    if (err == SE_OK)
        return SYS_LATER;
    c->v->wait.kind = WAIT_NONE;
    return err;
}

/* Endpoint ep becomes that gate, or nothing, when its receiver is there. */
static int activate(struct sys_call *c, uint64_t ep, uint32_t newsel, struct cap *gate)
{
    if (gate && gate->type == CAP_MSG && !peer_is_ours(gate->msg.pe))
        return ask_receiver(c, ep, newsel, gate);
    /* What another kernel gave us may name anything. */
    if (gate && gate->type == CAP_MSG && !kern.pes[gate->msg.pe].vpe)
        return SE_RECV_GONE;
    if (gate && gate->type == CAP_MSG && !receives(gate)) {
        c->v->wait = (struct wait){.kind = WAIT_RECV,
                                   .msg = c->msg,
                                   .target = kern.pes[gate->msg.pe].vpe,
                                   .target_ep = gate->msg.ep,
                                   .ep = (uint8_t)ep,
                                   .sel = (uint16_t)newsel};
        return SYS_LATER;
    }
    return ep_activate(c->v, (unsigned)ep, gate);
}

int sys_activate(struct sys_call *c)
{
    uint64_t ep = msg_get_u64(&c->in);
    uint32_t oldsel = msg_get_u32(&c->in);
    uint32_t newsel = msg_get_u32(&c->in);
    struct cap *old, *gate;

    if (c->in.error || ep < VPE_EP_FREE || ep >= DTU_EPS || c->v->ep[ep].use == EP_RECV)
        return SE_INV_ARGS;
    /* `old` says what the caller believes to be there; to us that matters only if it is all. */
    gate_at(c->v, oldsel, &old);
    if (!gate_at(c->v, newsel, &gate) || (!old && !gate))
        return SE_INV_ARGS;
    return activate(c, ep, newsel, gate);
}

void sys_ask_again(struct vpe *v)
{
    struct sys_call c = {.v = v, .msg = v->wait.msg};
    struct cap *gate = cap_get_type(&v->caps, v->wait.sel, CAP_MSG);
    int err = gate ? activate(&c, v->wait.ep, v->wait.sel, gate) : SE_INV_ARGS;

    if (err != SYS_LATER)
        sys_answer(v, err, NULL);
}

int sys_activate_late(struct vpe *v, bool ok)
{
    struct cap *gate = cap_get_type(&v->caps, v->wait.sel, CAP_MSG);

    if (!ok)
        return SE_RECV_GONE;
    if (!gate || v->ep[v->wait.ep].use == EP_RECV)
        return SE_INV_ARGS;
    if (v->wait.kind == WAIT_RECV &&
        (gate->msg.pe != v->wait.target->pe || gate->msg.ep != v->wait.target_ep))
        return SE_INV_ARGS;
    return ep_activate(v, v->wait.ep, gate);
}

void sys_recv_ready(struct vpe *target, unsigned ep, bool ok)
{
    for (struct vpe *v = kern.vpes; v; v = v->next)
        if (v->wait.kind == WAIT_RECV && v->wait.target == target && v->wait.target_ep == ep)
            sys_answer(v, sys_activate_late(v, ok), NULL);
    kcall_recv_ready(target->pe, ep, ok);
}

void sys_gate_gone(struct cap *c)
{
    struct vpe *v = c->holder;

    if (v->wait.sel == c->sel &&
        (v->wait.kind == WAIT_RECV ||
         (v->wait.kind == WAIT_KERNEL && v->wait.call == KC_RECVBUFISATTACHED)))
        sys_answer(v, SE_INV_ARGS, NULL);
}
