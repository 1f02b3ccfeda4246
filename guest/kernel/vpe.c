/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a VPE (dtu-spec 8.4): created on a free PE with its id (the PE's number), the two
 * endpoints for system calls and capabilities 0 (itself) and 1 (its memory); started; ended.
 *
 * When it ends, all that it held goes and its PE can be used again.  Others may hold capabilities
 * for it, to ask for its exit code: as long as they do, a zombie remains, which has no PE.
 */
#include "far.h"
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "str.h"

/* Memory capabilities end here, below the DTU's registers (the original's MEMCAP_END). */
#define MEMCAP_END DTU_RW_BARRIER

/* Does s contain `loadgen`?  Such programs get more space for receive buffers (as upstream). */
static bool is_loadgen(const char *s)
{
    for (; *s; s++)
        if (strncmp(s, "loadgen", 7) == 0)
            return true;
    return false;
}

struct vpe *vpe_of_message(unsigned ep, const struct dtu_header *msg)
{
    uint32_t id = (uint32_t)msg->label;
    struct vpe *v;

    /* The label came from us; all the same, nothing in a message is an address. */
    v = id < BOOT_PES ? kern.pes[id].vpe : NULL;
    if (!v || v->label != msg->label || v->sysc_ep != ep || v->pe != msg->sender_pe ||
        v->pe != msg->sender_vpe)
        return NULL;
    return v;
}

int vpe_sysc_ep(void)
{
    for (unsigned i = 0; i < KERN_SYSC_EPS; i++) {
        if (kern.sysc_used[i] < DTU_MAX_SLOTS) {
            kern.sysc_used[i]++;
            return (int)i;
        }
    }
    return -1;
}

static int own_caps(struct vpe *v)
{
    struct cap *c = cap_create(v, CAP_SELF_VPE, CAP_VPE, NULL);

    if (!c)
        return SE_OUT_OF_MEM;
    c->vpe = v;
    c = cap_create(v, CAP_SELF_MEM, CAP_MEM, NULL);
    if (!c)
        return SE_OUT_OF_MEM;
    c->mem.size = MEMCAP_END;
    c->mem.pe = c->mem.vpe = v->pe;
    c->mem.perms = DTU_PERM_RW | 4;
    return SE_OK;
}

/*
 * Credits for one message, which the reply brings back: a VPE cannot fill the slots that it shares
 * with others.
 */
int vpe_point_sysc(const struct vpe *v)
{
    const uint64_t sysc[3] = {
        dtu_send_r0(kern.id, SYSC_MSG_MAX),
        dtu_send_r1(kern.own_pe, v->sysc_ep, SYSC_MSG_MAX),
        v->label,
    };

    return hw_write(v->pe, v->pe, DTU_BASE + DTU_EP(VPE_EP_SYSC, 0), sysc, sizeof(sysc));
}

/* The VPE id, and endpoints 1 and 0. */
static int configure(struct vpe *v)
{
    int err = hw_set_reg(v->pe, DTU_VPE_INVALID, DTU_VPE_ID, v->pe);

    if (err == SE_OK)
        err = recvbuf_attach(v, VPE_EP_RECV, v->recvbuf, RECV_ORDER, RECV_ORDER);
    if (err == SE_OK)
        err = vpe_point_sysc(v);
    return err;
}

/* Everything that v holds, and its PE. */
static void tear_down(struct vpe *v)
{
    struct pe *pe = &kern.pes[v->pe];
    bool waits = v->wait.kind != WAIT_NONE;

    move_vpe_ends(v);
    if (v->wait.kind == WAIT_SRV)
        srv_forget_client(&v->wait.client);
    if (v->wait.kind == WAIT_KERNEL)
        kcall_forget(v);
    if (v->wait.kind == WAIT_REVOKE)
        revoke_forget_waiter(v);
    if (waits)
        sys_drop(v, v->wait.msg);
    if (v->move.held)
        sys_drop(v, v->move.held);
    if (v->move.carried) /* and not begun */
        sys_drop(v, v->move.carried);
    v->wait.kind = WAIT_NONE;
    ep_clear(v);
    far_tell_end(v);
    cap_revoke_all(v);
    srv_vpe_ended(v);
    if (!pe->move.dead)
        hw_set_reg(v->pe, v->pe, DTU_VPE_ID, DTU_VPE_INVALID);
    kern.sysc_used[v->sysc_ep]--;
    kern.nvpes--;
    if (v->flags & VPE_F_DAEMON)
        kern.ndaemons--;
    pe->vpe = NULL;
    pe_leave(pe);
}

static void vpe_free(struct vpe *v)
{
    struct vpe **link = &kern.vpes;

    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
    heap_free(v);
}

static struct vpe *vpe_new(const char *name, struct pe *pe, unsigned flags, unsigned ep)
{
    struct vpe *v = heap_calloc(1, sizeof(*v));
    uint64_t extra = is_loadgen(name) ? LOADGEN_SPACE : 0;

    if (!v)
        return NULL;
    v->pe = pe_id(pe);
    v->label = (uint64_t)++kern.generation << 32 | v->pe;
    v->state = VPE_CREATED;
    v->sysc_ep = (uint8_t)ep;
    v->flags = (uint8_t)flags;
    v->mem_size = pe_desc_size(pe->desc);
    v->recvbuf = v->mem_size - PE_RECVBUF_SIZE - extra;
    for (unsigned i = 0; i < VPE_NAME - 1 && name[i]; i++)
        v->name[i] = name[i] >= ' ' && name[i] < 0x7F ? name[i] : '?'; /* it gets printed */
    v->next = kern.vpes;
    kern.vpes = v;
    kern.nvpes++;
    kern.ndaemons += flags & VPE_F_DAEMON ? 1 : 0;
    pe->vpe = v;
    pe->state = PE_USED;
    return v;
}

int vpe_create(const char *name, struct pe *pe, unsigned flags, struct vpe **out)
{
    struct vpe *v;
    int ep, err;

    if (pe_desc_size(pe->desc) < PE_STACK_TOP + PE_RECVBUF_SIZE + LOADGEN_SPACE)
        return SE_NO_FREE_CORE;
    ep = vpe_sysc_ep();
    if (ep < 0)
        return SE_NO_FREE_CORE;
    v = vpe_new(name, pe, flags, (unsigned)ep);
    if (!v) {
        kern.sysc_used[ep]--;
        return SE_OUT_OF_MEM;
    }
    err = own_caps(v);
    if (err == SE_OK)
        err = configure(v);
    if (err != SE_OK) {
        tear_down(v);
        vpe_free(v);
        return err;
    }
    *out = v;
    return SE_OK;
}

int vpe_start(struct vpe *v)
{
    uint64_t id = v->pe;
    int err;

    if (v->state != VPE_CREATED)
        return SE_INV_ARGS;
    err = load_idle_again(v);
    if (err != SE_OK)
        return err;
    /* Programs wait for coreid, so this is the order (semperos-platform 5.7). */
    err = hw_write(v->pe, v->pe, PE_ENV_ADDR, &id, sizeof(id));
    if (err == SE_OK)
        err = hw_set_reg(v->pe, v->pe, DTU_EXT_CMD, DTU_EXT_WAKEUP);
    if (err == SE_OK)
        v->state = VPE_RUNNING;
    return err;
}

void vpe_exit(struct vpe *v, int32_t code)
{
    v->exitcode = code;
    tear_down(v);
    v->state = VPE_ZOMBIE;
    sys_vpe_ended(v);
    if (v->refs == 0 && !v->reaping)
        vpe_free(v);
}

void vpe_put(struct vpe *v)
{
    v->refs--;
    if (v->refs > 0 || v->reaping || v->state == VPE_RUNNING)
        return;
    if (v->state == VPE_CREATED && (v->flags & VPE_F_BOOT))
        return;
    /* Ending it revokes more capabilities: not in the middle of a revocation. */
    v->reaping = true;
    v->reap = kern.reap;
    kern.reap = v;
}

void vpe_reap(void)
{
    struct vpe *v;

    while ((v = kern.reap)) {
        kern.reap = v->reap;
        v->reaping = false;
        if (v->refs > 0)
            continue;
        if (v->state == VPE_CREATED) {
            tear_down(v);
            v->state = VPE_ZOMBIE;
            sys_vpe_ended(v);
        }
        vpe_free(v);
    }
}
