/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities as they travel between kernels (semperos-platform 7.3): a key, whose type says what
 * follows.
 */
#include "far.h"
#include "kernel.h"
#include "srv.h"

bool kcap_travels(const struct cap *c, bool original)
{
    switch (c->type) {
    case CAP_MSG:
    case CAP_MEM:
        return true;
    case CAP_SESS:
        return c->sess->srv ? c->sess->srv->cap != NULL : true;
    case CAP_VPE: /* one that has ended has nothing left that would name it */
        return !original && c->vpe->state != VPE_ZOMBIE;
    }
    return !original; /* CAP_SRV, CAP_FAR_SRV, CAP_FAR_VPE */
}

void kcap_put(struct msg_writer *w, const struct cap *c)
{
    msg_put(w, cap_key(c));
    if (c->type == CAP_SESS) {
        msg_put(w, c->sess->ident);
        msg_put(w, session_srv_key(c->sess));
        return;
    }
    if (c->type == CAP_VPE || c->type == CAP_FAR_VPE)
        msg_put(w, far_vpe_key(c));
    if (c->type != CAP_MSG && c->type != CAP_MEM)
        return;
    if (c->type == CAP_MSG) {
        msg_put(w, ddl_key(c->msg.pe, c->msg.vpe, DDL_MSGOBJ, c->msg.label));
        msg_put(w, c->msg.label);
        msg_put(w, c->msg.pe);
        msg_put(w, c->msg.vpe);
        msg_put(w, c->msg.ep);
        msg_put(w, c->msg.maxmsg);
        return;
    }
    msg_put(w, ddl_key(c->mem.pe, c->mem.vpe, DDL_MEMOBJ, 0));
    msg_put(w, c->mem.addr | c->mem.perms);
    msg_put(w, c->mem.pe);
    msg_put(w, c->mem.vpe);
    msg_put(w, 0);
    msg_put(w, c->mem.size);
}

static int get_gate(struct msg_reader *in, unsigned type, struct cap *c)
{
    uint64_t label, size;
    uint32_t pe, vpe, ep;

    msg_get_u64(in); /* the object: nothing that we would look up */
    label = msg_get_u64(in);
    pe = msg_get_u32(in);
    vpe = msg_get_u32(in);
    ep = msg_get_u32(in);
    size = msg_get_u64(in);
    if (in->error || pe >= BOOT_PES || vpe > DTU_VPE_INVALID)
        return SE_INV_ARGS;
    if (!c)
        return SE_OK;
    if (type == DDL_MSGCAP) {
        if (ep == 0 || ep >= DTU_EPS || size > 0xFFFF || vpe != pe)
            return SE_INV_ARGS;
        c->msg.label = label;
        c->msg.maxmsg = (uint32_t)size;
        c->msg.pe = (uint16_t)pe;
        c->msg.vpe = (uint16_t)vpe;
        c->msg.ep = (uint8_t)ep;
        c->type = CAP_MSG;
        return SE_OK;
    }
    /* The DTU's own registers are nobody's memory. */
    if ((label & ~7ull) > DTU_RW_BARRIER || size > DTU_RW_BARRIER - (label & ~7ull) || size == 0)
        return SE_INV_ARGS;
    c->mem.area = NULL;
    c->mem.addr = label & ~7ull;
    c->mem.perms = label & 7;
    c->mem.size = size;
    c->mem.pe = (uint16_t)pe;
    c->mem.vpe = (uint16_t)vpe;
    c->type = CAP_MEM;
    return SE_OK;
}

int kcap_get(struct msg_reader *in, struct cap *into, uint64_t *key)
{
    struct session *n;
    uint64_t ident, srv;
    unsigned type;

    *key = msg_get_u64(in);
    type = ddl_type(*key);
    if (in->error)
        return SE_INV_ARGS;
    switch (type) {
    case DDL_MSGCAP:
    case DDL_MEMCAP:
        return get_gate(in, type, into);
    case DDL_SESSCAP:
        ident = msg_get_u64(in);
        srv = msg_get_u64(in);
        if (in->error || !into)
            return in->error ? SE_INV_ARGS : SE_OK;
        n = session_remote(srv, ident);
        if (!n)
            return SE_OUT_OF_MEM;
        into->sess = n;
        into->type = CAP_SESS;
        session_cap_added(n);
        return SE_OK;
    case DDL_VPECAP:
        srv = msg_get_u64(in);
        if (in->error || !into)
            return in->error ? SE_INV_ARGS : SE_OK;
        return far_get_vpe(srv, into);
    case DDL_SRVCAP:
        if (into) {
            into->far_srv = *key;
            into->type = CAP_FAR_SRV;
        }
        return SE_OK;
    }
    in->error = true; /* its length is not known */
    return SE_INV_ARGS;
}
