/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Endpoints of VPEs.  The kernel writes the registers of the PE's DTU (dtu-spec 8.3) and keeps book
 * of what it wrote: an endpoint knows its capability and a capability knows its endpoints, so that
 * what was revoked cannot be used an instant longer.
 */
#include "hw.h"
#include "kernel.h"
#include "str.h"

static int write_ep(struct vpe *v, unsigned ep, const uint64_t words[3])
{
    if (kern.pes[v->pe].move.dead)
        return SE_VPE_GONE;
    return hw_write(v->pe, v->pe, DTU_BASE + DTU_EP(ep, 0), words, 3 * sizeof(*words));
}

static int invalidate(struct vpe *v, unsigned ep)
{
    static const uint64_t zero[3];

    return write_ep(v, ep, zero);
}

/* The gate that ep was, if any, is not there any more. */
static void unbind(struct vpe *v, unsigned ep)
{
    if (v->ep[ep].use == EP_GATE)
        v->ep[ep].cap->eps &= (uint16_t) ~(1u << ep);
    v->ep[ep] = (struct vpe_ep){.use = EP_FREE};
}

int ep_activate(struct vpe *v, unsigned ep, struct cap *c)
{
    uint64_t w[3] = {0, 0, 0};
    int err;

    if (c && c->type == CAP_MEM) {
        w[0] = dtu_mem_r0(c->mem.size);
        w[1] = c->mem.addr;
        w[2] = dtu_mem_r2(c->mem.pe, c->mem.vpe, c->mem.perms);
    } else if (c) {
        /* As in the original, gates have unlimited credits; slots are counted in software. */
        w[0] = dtu_send_r0(c->msg.vpe, c->msg.maxmsg);
        w[1] = dtu_send_r1(c->msg.pe, c->msg.ep, DTU_CREDITS_UNLIM);
        w[2] = c->msg.label;
    }
    unbind(v, ep);
    err = write_ep(v, ep, w);
    if (err != SE_OK || !c)
        return err;
    v->ep[ep] = (struct vpe_ep){.use = EP_GATE, .cap = c};
    c->eps |= (uint16_t)(1u << ep);
    return SE_OK;
}

void ep_forget_cap(struct cap *c)
{
    for (unsigned ep = 0; ep < DTU_EPS && c->eps; ep++) {
        if (!(c->eps & 1u << ep))
            continue;
        unbind(c->holder, ep);
        invalidate(c->holder, ep);
    }
}

static bool disjoint(const struct vpe *v, uint64_t addr, uint64_t size)
{
    for (unsigned i = 0; i < DTU_EPS; i++) {
        const struct vpe_ep *e = &v->ep[i];

        if (e->use == EP_RECV && addr < e->addr + (1ull << e->order) && e->addr < addr + size)
            return false;
    }
    return true;
}

int recvbuf_attach(struct vpe *v, unsigned ep, uint64_t addr, unsigned order, unsigned msgorder)
{
    const uint64_t w[3] = {dtu_recv_r0(order, msgorder), addr, 0};
    uint64_t size = 1ull << order;
    int err;

    if (v->ep[ep].use == EP_RECV)
        return SE_EXISTS;
    if (addr < v->recvbuf || addr > v->mem_size || size > v->mem_size - addr ||
        !disjoint(v, addr, size))
        return SE_INV_ARGS;
    unbind(v, ep);
    err = write_ep(v, ep, w);
    if (err != SE_OK)
        return err;
    v->ep[ep] = (struct vpe_ep){
        .use = EP_RECV, .addr = addr, .order = (uint8_t)order, .msgorder = (uint8_t)msgorder};
    sys_recv_ready(v, ep, true);
    return SE_OK;
}

void recvbuf_detach(struct vpe *v, unsigned ep)
{
    if (v->ep[ep].use == EP_RECV) {
        unbind(v, ep);
        invalidate(v, ep);
    }
    sys_recv_ready(v, ep, false);
}

void ep_clear(struct vpe *v)
{
    static const uint64_t zero[3 * DTU_EPS];

    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        unbind(v, ep);
    if (!kern.pes[v->pe].move.dead)
        hw_write(v->pe, v->pe, DTU_BASE + DTU_EP(0, 0), zero, sizeof(zero));
    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        sys_recv_ready(v, ep, false);
}
