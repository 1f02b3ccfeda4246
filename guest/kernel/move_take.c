/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VPE moves to us (move.h).  Until COMMIT comes it is in none of our books: its capabilities have
 * a table, the keys of their parents, and notes of their children, as if all of those were at other
 * kernels.  Then those of them that are here are linked.
 *
 * What comes is another kernel's word: selectors, parents and endpoints are checked as they come,
 * so that whatever it says there are no cycles, and nothing but what a VPE can have.
 */
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "srv.h"
#include "str.h"

#define LOOK_NS 1000000000ull

#define mv kern.moves

void move_drop_taken(void)
{
    struct vpe *v = mv.taken;
    struct cap *c;

    mv.from = NULL;
    mv.taken = NULL;
    if (!peer_is_ours(mv.taken_pe))
        mht_forget(mv.taken_pe);
    if (!v)
        return;
    kern.sysc_used[v->sysc_ep]--;
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
        sel = c->sel;
        while (c->rkids)
            cap_free_rkid(c, c->rkids);
        if (c->type == CAP_SESS)
            session_cap_gone(c->sess, false);
        cap_table_drop(c);
        heap_free(c);
    }
    heap_free(v->move.carried);
    heap_free(v);
}

/* ---- what it is ---- */

static int begin(unsigned pe)
{
    int ep;

    if (kern.pes[pe].vpe || pe == kern.own_pe)
        return SE_INV_ARGS;
    if (group_is_ending())
        return SE_NO_FREE_CORE;
    ep = vpe_sysc_ep();
    if (ep < 0)
        return SE_NO_FREE_CORE;
    mv.taken = heap_calloc(1, sizeof(*mv.taken));
    if (!mv.taken) {
        kern.sysc_used[ep]--;
        return SE_OUT_OF_MEM;
    }
    mv.taken->pe = (uint16_t)pe;
    mv.taken->sysc_ep = (uint8_t)ep;
    mv.taken->state = VPE_RUNNING;
    mv.taken->move.frozen = true;
    mv.children = 0;
    return SE_OK;
}

static int get_vpe(struct vpe *v, uint64_t first, struct msg_reader *in)
{
    const uint8_t *name;

    v->flags = (first >> 8) & (VPE_F_BOOT | VPE_F_DAEMON);
    mv.serial = (uint16_t)(first >> 16);
    mv.home = (uint16_t)(first >> 32);
    mv.desc = msg_get_u64(in);
    v->recvbuf = msg_get_u64(in);
    v->mem_size = msg_get_u64(in);
    name = msg_get_bytes(in, VPE_NAME);
    if (!name || pe_desc_id(mv.desc) != v->pe || pe_desc_type(mv.desc) == PE_TYPE_MEM ||
        v->mem_size != pe_desc_size(mv.desc) || v->recvbuf > v->mem_size ||
        (mv.home == kern.id && !kern.peers.moved[v->pe]))
        return SE_INV_ARGS;
    for (unsigned i = 0; i < VPE_NAME - 1 && name[i]; i++)
        v->name[i] = name[i] >= ' ' && name[i] < 0x7F ? (char)name[i] : '?';
    return SE_OK;
}

static int get_recv(struct vpe *v, uint64_t first, struct msg_reader *in)
{
    unsigned ep = (first >> 8) & 0xFF;

    if (ep < VPE_EP_RECV || ep >= DTU_EPS || v->ep[ep].use != EP_FREE ||
        (first >> 16 & 0xFF) > 20 || (first >> 24 & 0xFF) > (first >> 16 & 0xFF))
        return SE_INV_ARGS;
    v->ep[ep] = (struct vpe_ep){.use = EP_RECV,
                                .addr = msg_get_u64(in),
                                .order = (uint8_t)(first >> 16),
                                .msgorder = (uint8_t)(first >> 24)};
    return SE_OK;
}

/* ---- its capabilities ---- */

static int get_msg(struct cap *c, const uint64_t w[3])
{
    unsigned ep = (w[2] >> 32) & 0xFF;

    if ((w[2] & 0xFFFF) >= BOOT_PES || (w[2] >> 16 & 0xFFFF) != (w[2] & 0xFFFF) || ep == 0 ||
        ep >= DTU_EPS || w[1] > 0xFFFF)
        return SE_INV_ARGS;
    c->msg.label = w[0];
    c->msg.maxmsg = (uint32_t)w[1];
    c->msg.pe = (uint16_t)w[2];
    c->msg.vpe = (uint16_t)(w[2] >> 16);
    c->msg.ep = (uint8_t)ep;
    return SE_OK;
}

static int get_mem(struct cap *c, const uint64_t w[3])
{
    if ((w[2] & 0xFFFF) >= BOOT_PES || (w[2] >> 16 & 0xFFFF) > DTU_VPE_INVALID || w[2] >> 35 ||
        w[0] % 8 || w[0] > DTU_RW_BARRIER || w[1] > DTU_RW_BARRIER - w[0] || w[1] == 0)
        return SE_INV_ARGS;
    c->mem.addr = w[0];
    c->mem.size = w[1];
    c->mem.pe = (uint16_t)w[2];
    c->mem.vpe = (uint16_t)(w[2] >> 16);
    c->mem.perms = (uint8_t)(w[2] >> 32);
    return SE_OK;
}

static int get_kind(struct vpe *v, struct cap *c, const uint64_t w[3])
{
    if ((c->sel == CAP_SELF_VPE) != (c->type == CAP_VPE))
        return SE_INV_ARGS;
    switch (c->type) {
    case CAP_VPE:
        c->vpe = v;
        return SE_OK;
    case CAP_MSG:
        return get_msg(c, w);
    case CAP_MEM:
        return get_mem(c, w);
    case CAP_SESS:
        c->sess = session_remote(w[1], w[0]);
        if (!c->sess)
            return SE_OUT_OF_MEM;
        session_cap_added(c->sess);
        return SE_OK;
    }
    return SE_INV_ARGS;
}

static int bind_eps(struct vpe *v, struct cap *c, unsigned eps)
{
    for (unsigned ep = 0; ep < DTU_EPS; ep++) {
        if (!(eps & 1u << ep))
            continue;
        if (ep < VPE_EP_FREE || v->ep[ep].use != EP_FREE ||
            (c->type != CAP_MSG && c->type != CAP_MEM))
            return SE_INV_ARGS;
        v->ep[ep] = (struct vpe_ep){.use = EP_GATE, .cap = c};
        c->eps |= (uint16_t)(1u << ep);
    }
    return SE_OK;
}

static int get_cap(struct vpe *v, uint64_t first, struct msg_reader *in)
{
    unsigned type = (first >> 8) & 0xFF, sel = (first >> 16) & 0xFFFF;
    uint64_t parent = msg_get_u64(in), w[3];
    const struct cap *q = ddl_pe(parent) == v->pe ? cap_at(&v->caps, ddl_sel(parent)) : NULL;
    struct cap *c;
    int err;

    for (unsigned i = 0; i < 3; i++)
        w[i] = msg_get_u64(in);
    /* Parents come first. */
    if (in->error || (parent && ddl_pe(parent) == v->pe && (!q || !ddl_same(cap_key(q), parent))))
        return SE_INV_ARGS;
    if (!cap_unused(&v->caps, sel))
        return SE_INV_ARGS;
    c = cap_create(v, sel, CAP_NONE, NULL);
    if (!c)
        return SE_OUT_OF_MEM;
    c->type = (uint8_t)type;
    c->serial = (uint16_t)(first >> 32);
    err = get_kind(v, c, w);
    if (err != SE_OK) {
        c->type = CAP_NONE; /* nothing to give back */
        return err;
    }
    c->rparent = parent;
    return bind_eps(v, c, (unsigned)(first >> 48));
}

static int get_child(struct vpe *v, uint64_t first, struct msg_reader *in)
{
    struct cap *c = cap_get(&v->caps, (first >> 16) & 0xFFFF);
    uint64_t key = msg_get_u64(in);
    struct rkid *k;

    if (in->error || !c || ddl_pe(key) == v->pe || mv.children >= KC_CHILDREN_MAX)
        return SE_INV_ARGS;
    k = heap_calloc(1, sizeof(*k));
    if (!k)
        return SE_OUT_OF_MEM;
    mv.children++;
    *k = (struct rkid){.key = key, .cap = c, .next = c->rkids};
    c->rkids = k;
    return SE_OK;
}

static int get_records(struct vpe *v, struct msg_reader *in)
{
    int err = SE_OK;

    while (err == SE_OK && msg_remaining(in) >= 2 * sizeof(uint64_t)) {
        uint64_t first = msg_get_u64(in);

        switch (first & 0xFF) {
        case MOVE_R_VPE:
            err = get_vpe(v, first, in);
            break;
        case MOVE_R_CAP:
            err = get_cap(v, first, in);
            break;
        case MOVE_R_CHILD:
            err = get_child(v, first, in);
            break;
        case MOVE_R_RECV:
            err = get_recv(v, first, in);
            break;
        default:
            err = SE_INV_ARGS;
        }
    }
    return in->error ? SE_INV_ARGS : err;
}

static int ready(const struct vpe *v, uint32_t caps)
{
    if (mv.error != SE_OK)
        return mv.error;
    return v && mv.desc && v->caps.count == caps && cap_get(&v->caps, CAP_SELF_VPE) &&
                   cap_get_type(&v->caps, CAP_SELF_MEM, CAP_MEM)
               ? SE_OK
               : SE_INV_ARGS;
}

void move_state(struct kcall *c, uint32_t tid, unsigned pe, bool last)
{
    int err;

    /* Without HOLD there is no time limit on what it does next. */
    if (!mv.from && mv.hold && mv.hold_pe == pe && mv.hold_from == c->p->id &&
        mv.hold_to == kern.id) {
        mv.from = c->p;
        mv.taken_pe = (uint16_t)pe;
        mv.desc = 0;
        mv.error = begin(pe);
    }
    if (mv.from != c->p || mv.taken_pe != pe || mv.ours) {
        kcall_bad(c);
        if (last)
            move_reply(c->p, MOVE_READY, tid, pe, SE_INV_ARGS);
        else
            peer_ack(c->p);
        return;
    }
    if (!last) {
        if (mv.error == SE_OK)
            mv.error = get_records(mv.taken, c->in);
        peer_ack(c->p);
        return;
    }
    err = ready(mv.taken, msg_get_u32(c->in));
    if (err != SE_OK) {
        kern.stats.stayed++;
        move_drop_taken();
    }
    move_reply(c->p, MOVE_READY, tid, pe, err);
}

/* ---- it is ours ---- */

static struct rkid *note_of(struct cap *parent, const struct cap *c)
{
    struct rkid *k = parent->rkids;

    while (k && !ddl_same(k->key, cap_key(c)))
        k = k->next;
    return k;
}

/* A session with a service of ours is one like any other here. */
static void session_home(struct cap *c, struct session *known)
{
    struct session *was = c->sess, *n = known;
    struct cap *srv = peer_is_ours(ddl_pe(was->key)) ? cap_by_key(was->key) : NULL;

    if (!n && srv && srv->type == CAP_SRV && srv->srv->cap == srv)
        n = session_find(srv->srv, was->ident);
    if (!n)
        return;
    session_cap_added(n);
    c->sess = n;
    session_cap_gone(was, false);
}

static void link_parent(struct vpe *v, struct cap *c)
{
    struct session *known = NULL;
    struct cap *parent = NULL;
    struct rkid *k = NULL;

    if (c->rparent && ddl_pe(c->rparent) == v->pe) {
        parent = cap_at(&v->caps, ddl_sel(c->rparent));
    } else if (c->rparent && !loan_home(c) && peer_is_ours(ddl_pe(c->rparent))) {
        parent = cap_by_key(c->rparent);
        k = parent ? note_of(parent, c) : NULL;
        if (!k)
            return; /* revoke_orphans() */
        known = k->session;
    }
    if (c->type == CAP_SESS)
        session_home(c, known);
    if (k)
        cap_free_rkid(parent, k);
    if (!parent)
        return;
    c->rparent = 0;
    cap_link(c, parent);
}

/* Is c d, or derived from it?  Two kernels can each say that the other one's is the parent. */
static bool below(const struct cap *c, const struct cap *d)
{
    while (c && c != d)
        c = c->parent;
    return c != NULL;
}

/* Children that are here. */
static void link_children(struct vpe *v, struct cap *c)
{
    struct rkid *next;

    for (struct rkid *k = c->rkids; k; k = next) {
        struct cap *d;

        next = k->next;
        if (!peer_is_ours(ddl_pe(k->key)) || ddl_pe(k->key) == v->pe)
            continue;
        d = cap_by_key(k->key);
        if (!d || !ddl_same(d->rparent, cap_key(c))) {
            revoke_adopt(c, k->key);
        } else {
            d->rparent = 0;
            if (below(c, d))
                kern.stats.bad_kcalls++; /* d is nobody's, and c goes with it */
            else
                cap_link(d, c);
        }
        cap_free_rkid(c, k);
    }
}

/* Their parents were here, and are being revoked, or are gone. */
static void revoke_orphans(struct vpe *v)
{
    struct cap *c;

    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
        sel = c->sel;
        if (c->rparent && peer_is_ours(ddl_pe(c->rparent)) && !revoke_come_home(c)) {
            c->rparent = 0;
            cap_revoke(c);
        }
    }
}

static void enter(struct vpe *v)
{
    struct pe *pe = &kern.pes[v->pe];
    struct peer *from = mv.from;
    struct cap *c;

    connect_member(kern.id, mv.desc, MEMBER_NONE);
    mht_own(v->pe);
    pe_add(mv.desc);
    pe->state = PE_USED;
    pe->vpe = v;
    pe->move.gone_label = 0;
    pe->move.guest = mv.home != kern.id;
    pe->move.home = mv.home;
    v->move.came = true;
    v->move.from = from->id;
    v->move.home = mv.home;
    v->label = (uint64_t)++kern.generation << 32 | v->pe;
    v->next = kern.vpes;
    kern.vpes = v;
    kern.nvpes++;
    kern.ndaemons += v->flags & VPE_F_DAEMON ? 1 : 0;
    if ((int16_t)(uint16_t)(mv.serial - kern.serial) > 0)
        kern.serial = mv.serial; /* so that no key of its comes again too soon */
    vpe_point_sysc(v);
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        link_parent(v, c);
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        link_children(v, c);
    move_redirect(from, v->pe, NULL);
    revoke_orphans(v);
    revoke_not_come(v->pe);
}

bool move_carry(struct vpe *v, struct msg_reader *in)
{
    uint8_t ep = msg_get_u8(in);
    uint64_t label = msg_get_u64(in);
    uint16_t n = msg_get_u16(in);
    const uint8_t *payload = msg_get_bytes(in, n);
    struct dtu_header *h;

    if (in->error || n > SYSC_MSG_MAX - sizeof(*h) || ep >= DTU_EPS || v->move.carried ||
        v->move.held || v->wait.kind != WAIT_NONE)
        return false;
    h = heap_calloc(1, sizeof(*h) + (n > MOVE_ANSWER_MAX ? n : MOVE_ANSWER_MAX));
    if (!h)
        return false;
    h->reply_ep = ep;
    h->reply_label = label;
    h->length = n;
    memcpy(h + 1, payload, n);
    v->move.carried = h;
    return true;
}

bool move_commit(struct kcall *c, unsigned pe)
{
    peer_ack(c->p);
    if (mv.from != c->p || mv.taken_pe != pe || mv.ours || !mv.taken || mv.error != SE_OK ||
        peer_owner(pe) != c->p->id) {
        kcall_bad(c);
        return false;
    }
    mv.ours = true;
    mv.hold = false;
    c->p->held = false;
    if (msg_get_u64(c->in) == 1 && !move_carry(mv.taken, c->in))
        kern.stats.kdropped++; /* no memory: its caller waits, and can be ended */
    enter(mv.taken);
    return true;
}

void move_release(void)
{
    struct vpe *v = mv.taken;

    mv.taken = NULL;
    mv.arrived = true;
    v->move.frozen = false;
    if (v->move.carried)
        sys_handle_carried(v);
    else if (v->move.held)
        sys_thaw(v);
}

/* The VMM tells a kernel of PEs of its own node that are over; those of others have to be asked. */
uint64_t move_look(uint64_t ns)
{
    bool some = false;

    for (unsigned i = 0; i < kern.pe_count && !some; i++) {
        const struct pe *pe = &kern.pes[kern.pe_order[i]];

        some = pe->move.guest && pe->vpe;
    }
    mv.looked = some ? mv.looked + ns : 0;
    if (mv.looked >= LOOK_NS) {
        mv.looked = 0;
        mv.arrived = true;
    }
    return some ? LOOK_NS - mv.looked : 0;
}
