/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls on VPEs: CREATEVPE, VPECTRL, EXIT. */
#include "far.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "str.h"

/* v gets capabilities for a new VPE on pe and for its memory. */
static int create_on(struct vpe *v, struct pe *pe, const char *name, uint32_t sel, uint32_t memsel)
{
    struct vpe *child;
    int err = vpe_create(name, pe, 0, &child);

    if (err != SE_OK)
        return err;
    child->refs++; /* until v has one, or has not */
    if (!cap_derive(cap_get(&child->caps, CAP_SELF_VPE), v, sel)) {
        err = SE_OUT_OF_MEM;
    } else if (!cap_derive(cap_get(&child->caps, CAP_SELF_MEM), v, memsel)) {
        cap_revoke(cap_get(&v->caps, sel));
        err = SE_OUT_OF_MEM;
    }
    vpe_put(child);
    return err;
}

int sys_createvpe(struct sys_call *c)
{
    char name[256];
    uint32_t sel = msg_get_u32(&c->in);
    uint32_t memsel = msg_get_u32(&c->in);
    size_t len = msg_get_str(&c->in, name, sizeof(name));
    uint64_t desc = msg_get_u64(&c->in);
    uint32_t pfgate = msg_get_u32(&c->in);
    enum pe_type type = pe_desc_type(desc);
    struct pe *pe;

    msg_get_u64(&c->in); /* endpoint for page faults: there are none */
    if (c->in.error || sel == memsel || !cap_unused(&c->v->caps, sel) ||
        !cap_unused(&c->v->caps, memsel))
        return SE_INV_ARGS;
    if (pfgate != CAP_INVALID)
        return cap_get_type(&c->v->caps, pfgate, CAP_MSG) ? SE_NO_FREE_CORE : SE_INV_ARGS;
    pe = type == PE_TYPE_MEM ? NULL : pe_find(type);
    if (!pe && !pe_expected(type))
        return SE_NO_FREE_CORE;
    if (!pe) {
        c->v->wait = (struct wait){.kind = WAIT_PE,
                                   .msg = c->msg,
                                   .sel = (uint16_t)sel,
                                   .sel2 = (uint16_t)memsel,
                                   .type = type};
        memcpy(c->v->wait.name, name, len < VPE_NAME ? len : VPE_NAME - 1);
        return SYS_LATER;
    }
    c->has_value = true;
    c->value = pe->desc;
    return create_on(c->v, pe, name, sel, memsel);
}

/* The CREATEVPE that v waits for, if that can be decided now. */
static void retry_create(struct vpe *v)
{
    struct pe *pe = pe_find(v->wait.type);
    uint64_t desc = pe ? pe->desc : 0;
    int err = SE_NO_FREE_CORE;

    if (!pe && pe_expected(v->wait.type))
        return;
    if (pe) {
        err = SE_INV_ARGS; /* somebody else may have put something there meanwhile */
        if (cap_unused(&v->caps, v->wait.sel) && cap_unused(&v->caps, v->wait.sel2))
            err = create_on(v, pe, v->wait.name, v->wait.sel, v->wait.sel2);
    }
    sys_answer(v, err, err == SE_OK ? &desc : NULL);
}

void sys_pe_ready(void)
{
    /* New VPEs come to the front of the list, behind us. */
    for (struct vpe *v = kern.vpes; v; v = v->next)
        if (v->wait.kind == WAIT_PE)
            retry_create(v);
}

int sys_vpectrl(struct sys_call *c)
{
    struct cap *cap = cap_get_type(&c->v->caps, msg_get_u32(&c->in), CAP_VPE | CAP_FAR_VPE);
    uint32_t op = msg_get_u32(&c->in);
    struct vpe *target;

    msg_get_u32(&c->in); /* pid: of no use on this hardware */
    if (c->in.error || !cap)
        return SE_INV_ARGS;
    if (cap->type == CAP_FAR_VPE)
        return far_vpectrl(c, cap, op);
    target = cap->vpe;
    if (op == VPECTRL_START) {
        int err = target->flags & VPE_F_BOOT ? SE_INV_ARGS : vpe_start(target);

        kern.stats.started += err == SE_OK ? 1 : 0;
        return err;
    }
    if (op != VPECTRL_WAIT || target == c->v)
        return SE_INV_ARGS;
    if (target->state == VPE_ZOMBIE) {
        c->has_value = true;
        c->value = (uint32_t)target->exitcode;
        return SE_OK;
    }
    c->v->wait = (struct wait){.kind = WAIT_EXIT, .msg = c->msg, .target = target};
    return SYS_LATER;
}

void sys_vpe_ended(struct vpe *target)
{
    uint64_t code = (uint32_t)target->exitcode;

    for (struct vpe *v = kern.vpes; v; v = v->next)
        if (v->wait.kind == WAIT_EXIT && v->wait.target == target)
            sys_answer(v, SE_OK, &code);
}

/* When the last one has ended well, so has the machine: what programs said stands last. */
static void report(const struct vpe *v, int32_t code)
{
    if (code != 0 || kern.nvpes - kern.ndaemons > 1 || (v->flags & VPE_F_DAEMON))
        print("kernel %u: %s on PE %u ended, exit code %d\n", kern.id, v->name, v->pe, code);
}

int sys_exit(struct sys_call *c)
{
    struct vpe *v = c->v;
    int32_t code = (int32_t)msg_get_u32(&c->in);

    if (c->in.error)
        return SE_INV_ARGS;
    report(v, code);
    /* Who holds a capability for it can ask; otherwise it is up to us to tell. */
    if (code != 0 && (v->refs == 0 || (v->flags & VPE_F_BOOT)))
        kern.stats.failed++;
    sys_drop(v, c->msg);
    vpe_exit(v, code);
    return SYS_LATER;
}
