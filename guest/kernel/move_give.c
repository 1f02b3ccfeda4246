/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VPE moves to another kernel (move.h): can it, can it now, what is said of it, and how it leaves
 * what stays here.
 *
 * Capabilities that were linked by address with others of ours become their parents and children at
 * another kernel.  What that takes is allocated before anything is sent.  Memory of ours cannot
 * leave our free memory: its capability goes as the child of a key that stands for the loan, and
 * the memory is free again when that child is gone, as with any child elsewhere.
 */
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "srv.h"
#include "str.h"

#define mv kern.moves

/* ---- can it? ---- */

static bool cap_possible(const struct vpe *v, const struct cap *c)
{
    if (c->sel == CAP_SELF_VPE) {
        for (const struct rkid *k = c->rkids; k; k = k->next)
            if (ddl_type(k->key) == DDL_VPECAP)
                return false;
        return c->vpe == v;
    }
    return c->type == CAP_NONE || c->type == CAP_MSG || c->type == CAP_MEM ||
           (c->type == CAP_SESS && !c->sess_owner);
}

int move_possible(const struct vpe *v)
{
    const struct cap *c;

    if (v->state != VPE_RUNNING || v->refs > 0 || (v->flags & VPE_F_TOLD))
        return SE_NOT_SUP;
    for (const struct service *s = kern.services; s; s = s->next)
        if (s->vpe == v)
            return SE_NOT_SUP;
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        if (!cap_possible(v, c))
            return SE_NOT_SUP;
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP && !kern.peers.peer[i].ours)
            return SE_NOT_SUP; /* the original would not know where to look for it */
    return SE_OK;
}

/* ---- can it now? ---- */

/* Something that is on its way there is about children, and has to come before the others' SWITCH.
 */
static bool tells_of_children(const struct peer *p)
{
    if (p->removed)
        return true;
    for (unsigned i = 0; i < p->inflight; i++)
        if (p->req[i].op == KC_REMOVECHILDCAPPTR || p->req[i].op == KC_CREATESESSFAIL)
            return true;
    for (const struct kmsg *m = p->requests.head; m; m = m->next)
        if (m->data[0] == KC_REMOVECHILDCAPPTR || m->data[0] == KC_CREATESESSFAIL)
            return true;
    return false;
}

/* Somebody gets or gives capabilities of v's, or may have to undo that. */
static bool exchanges(const struct vpe *v)
{
    for (const struct vpe *w = kern.vpes; w; w = w->next)
        if (w->wait.kind == WAIT_KERNEL && w->wait.serial && w->wait.holder == v->pe)
            return true;
    for (const struct klate *l = kern.peers.late; l; l = l->next)
        if (l->holder == v->pe)
            return true;
    for (const struct rexchange *x = kern.peers.exchanges; x; x = x->next)
        if (x->waits_ack && x->holder == v->pe)
            return true;
    return false;
}

/* Its service may have gone while the revocation of the session takes its way by other kernels. */
static bool session_stands(const struct cap *c)
{
    return c->type != CAP_SESS || !c->sess->srv || c->sess->srv->cap;
}

bool move_quiet(const struct vpe *v)
{
    const struct cap *c;

    if (v->wait.kind != WAIT_NONE || v->move.carried || kern.pes[v->pe].held > 0 ||
        mht_locked(v->pe) || exchanges(v) || revoke_concerns(v->pe))
        return false;
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        if (c->type == CAP_NONE || c->nrev > 0 || !session_stands(c))
            return false;
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP && tells_of_children(&kern.peers.peer[i]))
            return false;
    return true;
}

/* ---- what is said of it ---- */

struct parcel {
    struct msg_writer w;
    int err;
    uint8_t buf[KC_MSG_MAX];
};

static void begin_parcel(struct parcel *p)
{
    move_put(&p->w, p->buf, MOVE_STATE, 0, mv.pe);
}

static void put_record(struct parcel *p, const uint64_t *words, unsigned n)
{
    if (p->err == SE_OK && p->w.size - p->w.len < n * sizeof(*words)) {
        p->err = peer_urgent(mv.to, p->buf, p->w.len, 0);
        begin_parcel(p);
    }
    if (p->err == SE_OK)
        msg_put_bytes(&p->w, words, n * sizeof(*words));
}

static void put_vpe(struct parcel *p, const struct vpe *v)
{
    const struct pe *pe = &kern.pes[v->pe];
    uint64_t w[4 + VPE_NAME / 8] = {MOVE_R_VPE | (uint64_t)v->flags << 8 |
                                        (uint64_t)kern.serial << 16 |
                                        (uint64_t)(pe->move.guest ? pe->move.home : kern.id) << 32,
                                    pe->desc, v->recvbuf, v->mem_size};

    memcpy(w + 4, v->name, VPE_NAME);
    put_record(p, w, 4 + VPE_NAME / 8);
    for (unsigned ep = 0; ep < DTU_EPS; ep++) {
        const struct vpe_ep *e = &v->ep[ep];

        if (e->use == EP_RECV)
            put_record(p,
                       (const uint64_t[]){MOVE_R_RECV | ep << 8 | (uint64_t)e->order << 16 |
                                              (uint64_t)e->msgorder << 24,
                                          e->addr},
                       2);
    }
}

/* The key that its parent is known by elsewhere. */
static uint64_t parent_key(const struct cap *c)
{
    const struct loan *l = mv.lent;

    if (c->parent)
        return cap_key(c->parent);
    while (l && l->child != cap_key(c))
        l = l->next;
    return l ? l->key : c->rparent;
}

static void put_cap(struct parcel *p, const struct cap *c)
{
    uint64_t w[5] = {MOVE_R_CAP | (uint64_t)c->type << 8 | (uint64_t)c->sel << 16 |
                         (uint64_t)c->serial << 32 | (uint64_t)c->eps << 48,
                     parent_key(c)};

    if (c->type == CAP_MSG) {
        w[2] = c->msg.label;
        w[3] = c->msg.maxmsg;
        w[4] = c->msg.pe | (uint64_t)c->msg.vpe << 16 | (uint64_t)c->msg.ep << 32;
    } else if (c->type == CAP_MEM) {
        w[2] = c->mem.addr;
        w[3] = c->mem.size;
        w[4] = c->mem.pe | (uint64_t)c->mem.vpe << 16 | (uint64_t)c->mem.perms << 32;
    } else if (c->type == CAP_SESS) {
        w[2] = c->sess->ident;
        w[3] = session_srv_key(c->sess);
    }
    put_record(p, w, 5);
    for (const struct rkid *k = c->rkids; k; k = k->next)
        put_record(p, (const uint64_t[]){MOVE_R_CHILD | (uint64_t)c->sel << 16, k->key}, 2);
    for (const struct cap *d = c->child; d; d = d->next)
        if (d->holder != c->holder)
            put_record(p, (const uint64_t[]){MOVE_R_CHILD | (uint64_t)c->sel << 16, cap_key(d)}, 2);
}

static struct cap *own_child(const struct cap *c)
{
    struct cap *d = c->child;

    while (d && d->holder != c->holder)
        d = d->next;
    return d;
}

static struct cap *own_sibling(const struct cap *c)
{
    struct cap *d = c->next;

    while (d && d->holder != c->holder)
        d = d->next;
    return d;
}

/* top and what of v's was derived from it: parents first. */
static void put_tree(struct parcel *p, const struct cap *top)
{
    const struct cap *c = top, *next;

    while (c) {
        put_cap(p, c);
        next = own_child(c);
        while (!next && c != top) {
            next = own_sibling(c);
            if (!next)
                c = c->parent;
        }
        c = next;
    }
}

/* No capability has it: the PE is our own. */
static uint64_t loan_key(uint32_t n)
{
    return ddl_key(kern.own_pe, kern.own_pe, DDL_MEMCAP,
                   (uint64_t)(n / 0x10000 + 1) << 16 | n % 0x10000);
}

/* Where it hangs on to what stays here. */
static bool prepare_cap(const struct cap *c)
{
    struct loan *l;
    struct rkid *k;

    if (c->type == CAP_MEM && c->mem.area) {
        l = heap_calloc(1, sizeof(*l));
        if (!l)
            return false;
        l->key = loan_key(mv.lends++);
        l->child = cap_key(c);
        l->next = mv.lent;
        mv.lent = l;
    }
    if (c->parent && c->parent->holder != c->holder) {
        k = heap_calloc(1, sizeof(*k));
        if (!k)
            return false;
        k->next = mv.kids;
        mv.kids = k;
    }
    return true;
}

void move_drop_prepared(void)
{
    for (struct rkid *k; (k = mv.kids);) {
        mv.kids = k->next;
        heap_free(k);
    }
    for (struct loan *l; (l = mv.lent);) {
        mv.lent = l->next;
        heap_free(l);
    }
}

int move_send_state(void)
{
    const struct vpe *v = mv.vpe;
    struct parcel p = {.err = SE_OK};
    const struct cap *c;

    move_drop_prepared();
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        if (!prepare_cap(c))
            return SE_OUT_OF_MEM;
    begin_parcel(&p);
    put_vpe(&p, v);
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        if (!c->parent || c->parent->holder != v)
            put_tree(&p, c);
    if (p.err == SE_OK)
        p.err = peer_urgent(mv.to, p.buf, p.w.len, 0);
    if (p.err == SE_OK)
        p.err = mht_send_items(v->pe, mv.to, true);
    return p.err == SE_OK ? move_send(mv.to, MOVE_END, mv.tid, v->pe, v->caps.count) : p.err;
}

void move_put_call(struct msg_writer *w, const struct dtu_header *msg)
{
    msg_put(w, msg->reply_ep);
    msg_put(w, msg->reply_label);
    msg_put(w, msg->length);
    msg_put_bytes(w, msg + 1, msg->length);
}

/* ---- how it leaves ---- */

/* What it came from stays: now it has a child elsewhere. */
static void leave_parent(struct cap *c)
{
    struct cap *q = c->parent;
    struct rkid *k = mv.kids;

    mv.kids = k->next;
    *k = (struct rkid){.key = cap_key(c), .cap = q, .by = mv.to, .next = q->rkids};
    mv.to->nchildren++;
    q->rkids = k;
    if (c->type == CAP_SESS && q->type == CAP_SRV && c->sess->srv) {
        k->session = c->sess;
        session_pin(c->sess);
    }
    cap_unlink(c);
}

static void leave_children(struct cap *c)
{
    struct cap *next;

    for (struct cap *d = c->child; d; d = next) {
        next = d->next;
        cap_unlink(d);
        if (d->holder != c->holder)
            d->rparent = cap_key(c);
    }
}

static void lend(struct cap *c)
{
    struct loan **link = &mv.lent, *l;

    while (*link && (*link)->child != cap_key(c))
        link = &(*link)->next;
    l = *link;
    *link = l->next;
    l->area = c->mem.area;
    l->next = mv.loans;
    mv.loans = l;
}

static void leave_cap(struct cap *c)
{
    while (c->rkids)
        cap_free_rkid(c, c->rkids);
    if (c->type == CAP_MEM && c->mem.area)
        lend(c);
    if (c->type == CAP_SESS)
        session_cap_gone(c->sess, false);
    cap_table_drop(c);
    heap_free(c);
}

static void leave(struct vpe *v)
{
    struct vpe **link = &kern.vpes;
    struct cap *c;

    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        if (c->parent && c->parent->holder != v)
            leave_parent(c);
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        leave_children(c);
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
        sel = c->sel;
        leave_cap(c);
    }
    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
    kern.nvpes--;
    kern.ndaemons -= v->flags & VPE_F_DAEMON ? 1 : 0;
}

/* Who waits until it receives asks its new kernel. */
static void ask_there(const struct vpe *v)
{
    for (struct vpe *w = kern.vpes; w; w = w->next)
        if (w->wait.kind == WAIT_RECV && w->wait.target == v)
            sys_ask_again(w);
    for (unsigned ep = 0; ep < DTU_EPS; ep++)
        kcall_recv_ready(v->pe, ep, false); /* others ask again, too */
}

bool move_give(void)
{
    struct vpe *v = mv.vpe;
    struct pe *pe = &kern.pes[v->pe];
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;

    move_put(&w, buf, MOVE_COMMIT, 0, mv.pe);
    msg_put(&w, v->move.held != NULL);
    if (v->move.held)
        move_put_call(&w, v->move.held);
    if (peer_urgent(mv.to, buf, w.len, 0) != SE_OK)
        return false;
    mv.vpe = NULL;
    if (v->move.held)
        sys_drop(v, v->move.held);
    mv.sysc_ep = v->sysc_ep; /* what is on its way may still come there */
    pe->move.gone_label = v->label;
    pe->move.gone_ep = v->sysc_ep;
    pe->vpe = NULL;
    pe_remove(mv.pe);
    connect_member(mv.to->id, pe->desc, MEMBER_NONE);
    kern.peers.moved[mv.pe] = true;
    mht_forget(mv.pe);
    leave(v);
    ask_there(v);
    heap_free(v);
    return true;
}

/* What it has called before its endpoint was set again. */
bool move_forward(unsigned ep, const struct dtu_header *msg)
{
    uint32_t id = (uint32_t)msg->label;
    const struct pe *pe = id < BOOT_PES ? &kern.pes[id] : NULL;
    struct peer *to = pe ? peer_find(peer_owner(id)) : NULL;
    uint64_t err = SE_OUT_OF_MEM;
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;

    if (!to || pe->move.gone_label != msg->label || pe->move.gone_ep != ep ||
        msg->sender_pe != id || msg->sender_vpe != id || msg->length > SYSC_MSG_MAX - sizeof(*msg))
        return false;
    move_put(&w, buf, MOVE_CALL, 0, id);
    move_put_call(&w, msg);
    if (peer_urgent(to, buf, w.len, 0) == SE_OK)
        hw_ack(ep, msg);
    else
        hw_reply(ep, msg, &err, sizeof(err));
    return true;
}

/* ---- loans ---- */

static void over(struct loan **link)
{
    struct loan *l = *link;

    *link = l->next;
    memmap_free(&kern.mem, l->area);
    heap_free(l);
}

bool loan_home(struct cap *c)
{
    struct loan **link = &mv.loans, *l;

    while (*link && ((*link)->key != c->rparent || !ddl_same((*link)->child, cap_key(c))))
        link = &(*link)->next;
    l = *link;
    if (!l || c->type != CAP_MEM)
        return false;
    *link = l->next;
    c->mem.area = l->area;
    c->rparent = 0;
    heap_free(l);
    return true;
}

bool loan_over(const struct peer *p, uint64_t parent, uint64_t child)
{
    for (struct loan **link = &mv.loans; *link; link = &(*link)->next) {
        if (!ddl_same((*link)->key, parent) || !ddl_same((*link)->child, child) ||
            peer_of_key(child) != p)
            continue;
        over(link);
        return true;
    }
    return false;
}

void loan_pe_gone(unsigned pe)
{
    struct loan **link = &mv.loans;

    while (*link)
        if (ddl_pe((*link)->child) == pe)
            over(link);
        else
            link = &(*link)->next;
}

void loan_peer_gone(const struct peer *p)
{
    struct loan **link = &mv.loans;

    while (*link)
        if (peer_owner(ddl_pe((*link)->child)) == p->id)
            over(link);
        else
            link = &(*link)->next;
}
