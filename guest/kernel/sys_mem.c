/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls on memory: ATTACHRB, DETACHRB, REQMEM, DERIVEMEM. */
#include "hw.h"
#include "kernel.h"

#define PERM_ALL     7u  /* read, write, execute; memory comes in multiples of 8 bytes */
#define ORDER_MAX    20u /* as in the original */
#define MSGORDER_MIN 5u  /* a header has to fit */
#define MSGORDER_MAX 15u /* field width, dtu-spec 1.4 */
#define SLOTS_ORDER  5u  /* DTU_MAX_SLOTS */
#define REQ_ANY      (~0ull)

int sys_attachrb(struct sys_call *c)
{
    struct cap *target = cap_get_type(&c->v->caps, msg_get_u32(&c->in), CAP_VPE);
    uint64_t ep = msg_get_u64(&c->in);
    uint64_t addr = msg_get_u64(&c->in);
    uint32_t order = msg_get_u32(&c->in);
    uint32_t msgorder = msg_get_u32(&c->in);

    msg_get_u32(&c->in); /* flags: they mean nothing on this hardware */
    if (c->in.error || !target || target->vpe->state == VPE_ZOMBIE)
        return SE_INV_ARGS;
    if (ep < VPE_EP_FREE || ep >= DTU_EPS || order > ORDER_MAX || msgorder > order ||
        msgorder < MSGORDER_MIN || msgorder > MSGORDER_MAX || order - msgorder > SLOTS_ORDER)
        return SE_INV_ARGS;
    return recvbuf_attach(target->vpe, (unsigned)ep, addr, order, msgorder);
}

int sys_detachrb(struct sys_call *c)
{
    struct cap *target = cap_get_type(&c->v->caps, msg_get_u32(&c->in), CAP_VPE);
    uint64_t ep = msg_get_u64(&c->in);

    if (c->in.error || !target || target->vpe->state == VPE_ZOMBIE)
        return SE_INV_ARGS;
    if (ep < VPE_EP_FREE || ep >= DTU_EPS)
        return SE_INV_ARGS;
    recvbuf_detach(target->vpe, (unsigned)ep);
    return SE_OK;
}

/* What the last owner of an area left in it is nobody's business. */
static int forget(const struct mem_area *a)
{
    uint64_t end = a->addr + a->size, used = end < kern.mem_fresh ? end : kern.mem_fresh;

    if (end > kern.mem_fresh)
        kern.mem_fresh = end;
    return hw_wipe(kern.mem_pe, 0, a->addr, used);
}

/*
 * Free memory, or, for file systems, a piece of the image region at the front of the memory PE,
 * which stays allocated to nobody.  All files are in there, so it is for those whom the boot line
 * names: what they start would get around the service.
 */
static int request(struct cap *mem, uint64_t addr, uint64_t size)
{
    if (addr != REQ_ANY) {
        if (!(mem->holder->flags & VPE_F_BOOT))
            return SE_NO_PERM;
        if (addr % 8 || addr > kern.fs_end || size > kern.fs_end - addr)
            return SE_OUT_OF_MEM;
        mem->mem.addr = addr;
        return SE_OK;
    }
    mem->mem.area = memmap_alloc(&kern.mem, size);
    if (!mem->mem.area)
        return SE_OUT_OF_MEM;
    mem->mem.addr = mem->mem.area->addr;
    return forget(mem->mem.area);
}

int sys_reqmem(struct sys_call *c)
{
    uint32_t sel = msg_get_u32(&c->in);
    uint64_t addr = msg_get_u64(&c->in);
    uint64_t size = msg_get_u64(&c->in);
    uint32_t perms = msg_get_u32(&c->in);
    struct cap *mem;
    int err;

    if (c->in.error || !cap_unused(&c->v->caps, sel))
        return SE_INV_ARGS;
    if (size == 0 || size % 8 || perms == 0 || (perms & ~PERM_ALL))
        return SE_INV_ARGS;
    mem = cap_create(c->v, sel, CAP_MEM, NULL);
    if (!mem)
        return SE_OUT_OF_MEM;
    mem->mem.size = size;
    mem->mem.pe = kern.mem_pe;
    mem->mem.perms = (uint8_t)perms;
    err = request(mem, addr, size);
    if (err != SE_OK)
        cap_revoke(mem);
    return err;
}

int sys_derivemem(struct sys_call *c)
{
    struct cap *src = cap_get_type(&c->v->caps, msg_get_u32(&c->in), CAP_MEM), *mem;
    uint32_t sel = msg_get_u32(&c->in);
    uint64_t off = msg_get_u64(&c->in);
    uint64_t size = msg_get_u64(&c->in);
    uint32_t perms = msg_get_u32(&c->in);

    if (c->in.error || !src || !cap_unused(&c->v->caps, sel))
        return SE_INV_ARGS;
    /* Other kernels get address and permissions in one word, so addresses are multiples of 8. */
    if (off > src->mem.size || size > src->mem.size - off || size == 0 || off % 8 ||
        (perms & ~PERM_ALL))
        return SE_INV_ARGS;
    mem = cap_derive(src, c->v, sel);
    if (!mem)
        return SE_OUT_OF_MEM;
    mem->mem.addr += off;
    mem->mem.size = size;
    mem->mem.perms &= (uint8_t)perms;
    return SE_OK;
}
