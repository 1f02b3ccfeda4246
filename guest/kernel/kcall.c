/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel calls (semperos-platform 7.3): from a message to a handler, the calls that need few lines,
 * and the calls of VPEs that wait for another kernel.  Sessions are in kcall_srv.c, exchanges in
 * kcall_exch.c, the hash table in mht.c, CONNECT in connect.c.
 *
 * A peer is another machine's word against ours: its messages are read like those of VPEs.  Who it
 * is says the DTU; what it asks for is looked up; numbers that it hands back (tids) are compared
 * with what we wait for from it.
 */
#include "far.h"
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "srv.h"
#include "str.h"

static kcall_fn *const handlers[KC_COUNT] = {
    [KC_SIGVITAL] = kc_sigvital,
    [KC_CREATEVPE] = kc_createvpe,
    [KC_EXIT] = kc_exit,
    [KC_MHTGET] = kc_mhtget,
    [KC_MHTGETTRY] = kc_mhtgettry,
    [KC_MHTGETLOCKING] = kc_mhtgetlocking,
    [KC_MHTPUT] = kc_mhtput,
    [KC_MHTPUTUNLOCKING] = kc_mhtputunlocking,
    [KC_MHTLOCK] = kc_mhtlock,
    [KC_MHTUNLOCK] = kc_mhtunlock,
    [KC_MHTREMOVE] = kc_mhtremove,
    [KC_MHTRESERVE] = kc_mhtreserve,
    [KC_MHTRELEASE] = kc_mhtrelease,
    [KC_MEMBERUPDATE] = kc_memberupdate,
    [KC_PARTITIONMIG] = kc_partitionmig,
    [KC_CREATESESSFWD] = kc_createsessfwd,
    [KC_CREATESESSRESP] = kc_createsessresp,
    [KC_CREATESESSFAIL] = kc_createsessfail,
    [KC_EXCHANGEOSESS] = kc_exchange,
    [KC_EXCHANGEOSESSREPLY] = kc_exchangereply,
    [KC_EXCHANGEOSESSACK] = kc_exchangeack,
    [KC_REMOVECHILDCAPPTR] = kc_removechild,
    [KC_RECVBUFISATTACHED] = kc_recvbufisattached,
    [KC_RECVBUFATTACHED] = kc_recvbufattached,
    [KC_ANNOUNCESRV] = kc_announcesrv,
    [KC_REVOKE] = kc_revoke,
    [KC_REVOKEFINISH] = kc_revokefinish,
    [KC_SHUTDOWNREQUEST] = kc_shutdownrequest,
    [KC_SHUTDOWN] = kc_shutdown,
    [KC_ANNOUNCEKRNLS] = kc_announcekrnls,
    [KC_REPLY] = kc_reply,
    [KC_STARTAPPS] = kc_startapps,
};

void kcall_bad(struct kcall *c)
{
    (void)c;
    kern.stats.bad_kcalls++;
}

/* The kernel that sent it, as the DTU has it, NULL: none that we know. */
static struct peer *sender(unsigned ep, const struct dtu_header *msg)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if ((p->state != PEER_UP && p->state != PEER_BOOTING) || p->pe != msg->sender_pe ||
            p->id != msg->sender_vpe || p->id != msg->label)
            continue;
        return ep == peer_ep(p) || ep == KC_SETUP_EP ? p : NULL;
    }
    return NULL;
}

/* Does the original's interface have an answer to it?  (But for those that are late: park.c.) */
static bool is_request(unsigned op, const struct msg_reader *in)
{
    struct msg_reader look = *in;

    switch (op) {
    case KC_EXIT:
        return msg_remaining(&look) > sizeof(uint64_t);
    case KC_PARTITIONMIG:
        return !move_is_answer(&look);
    case KC_SIGVITAL:
    case KC_CREATESESSRESP:
    case KC_EXCHANGEOSESSREPLY:
    case KC_RECVBUFATTACHED:
    case KC_REPLY:
        return false;
    case KC_CREATEVPE:
    case KC_MHTGET:
    case KC_MHTGETTRY:
    case KC_MHTGETLOCKING:
    case KC_MHTLOCK:
    case KC_MHTRESERVE:
    case KC_SHUTDOWNREQUEST:
    case KC_SHUTDOWN:
        return msg_get_u8(&look) == KC_REQUEST_STAGE;
    }
    return true;
}

void kcall_handle(unsigned ep, const struct dtu_header *msg)
{
    struct msg_reader in;
    struct kcall c = {.msg = msg, .in = &in};
    uint32_t op;
    bool late;

    kern.stats.kcalls++;
    msg_reader_init(&in, msg + 1, msg->length <= KC_MSG_MAX ? msg->length : 0);
    op = msg_get_u32(&in);
    if (!in.error && op == KC_CONNECT) {
        connect_handle(msg, &in);
    } else {
        c.p = sender(ep, msg);
        if (!c.p || in.error || op >= KC_COUNT || (c.p->state != PEER_UP && op != KC_SIGVITAL)) {
            kcall_bad(&c);
        } else {
            c.p->quiet = 0;
            late = park_is_late(c.p, op, &in);
            if (late || is_request(op, &in))
                peer_asked(c.p);
            handlers[op](&c);
            if (late)
                peer_ack(c.p);
            if (c.p->state == PEER_UP)
                peer_flush(c.p);
        }
    }
    hw_ack(ep, msg);
    vpe_reap();
    move_step();
}

/* ---- calls of VPEs that wait for another kernel ---- */

uint32_t kcall_wait(struct vpe *v, struct peer *p, unsigned op)
{
    kern.tids = kern.tids % 0x7FFFFFFFu + 1;
    v->wait.kind = WAIT_KERNEL;
    v->wait.tid = kern.tids;
    v->wait.peer = p->id;
    v->wait.call = (uint8_t)op;
    v->wait.waited = 0;
    return kern.tids;
}

struct vpe *kcall_waiting(const struct peer *p, unsigned op, uint32_t tid)
{
    for (struct vpe *v = kern.vpes; v; v = v->next)
        if (v->wait.kind == WAIT_KERNEL && v->wait.tid == tid && v->wait.call == op &&
            v->wait.peer == p->id)
            return v;
    return NULL;
}

/* The answer will still come, and has to be undone then. */
static void note_late(const struct vpe *v)
{
    struct klate *l;

    if (!peer_find(v->wait.peer) ||
        (v->wait.call != KC_CREATESESSFWD && v->wait.call != KC_EXCHANGEOSESS))
        return;
    l = heap_calloc(1, sizeof(*l));
    if (!l)
        return; /* then the other kernel has a child too many until somebody revokes it */
    l->tid = v->wait.tid;
    l->peer = v->wait.peer;
    l->holder = v->wait.holder;
    l->serial = v->wait.serial;
    l->op = v->wait.call;
    l->obtain = v->wait.sel2;
    l->start = v->wait.range.start;
    l->next = kern.peers.late;
    kern.peers.late = l;
}

bool kcall_was_late(const struct peer *p, unsigned op, uint32_t tid, struct klate *out)
{
    for (struct klate **link = &kern.peers.late; *link; link = &(*link)->next) {
        struct klate *l = *link;

        if (l->peer != p->id || l->op != op || l->tid != tid)
            continue;
        *link = l->next;
        *out = *l;
        heap_free(l);
        return true;
    }
    kern.stats.late++;
    return false;
}

void kcall_drop_late(const struct peer *p)
{
    struct klate **link = &kern.peers.late;

    while (*link) {
        struct klate *l = *link;

        if (l->peer != p->id) {
            link = &l->next;
            continue;
        }
        *link = l->next;
        heap_free(l);
    }
}

struct vpe *kcall_holder(const struct vpe *v)
{
    struct vpe *holder = kern.pes[v->wait.holder].vpe;

    return holder && holder->label == v->wait.label ? holder : NULL;
}

bool kcall_reserved(const struct cap *c, const struct peer *p)
{
    const struct rexchange *x = kern.peers.exchanges;

    for (const struct vpe *v = kern.vpes; v; v = v->next)
        if (v->wait.kind == WAIT_KERNEL && v->wait.peer == p->id && v->wait.serial == c->serial &&
            kcall_holder(v) == c->holder)
            return true;
    while (x && (!x->waits_ack || x->peer != p->id || x->holder != c->holder->pe ||
                 (uint16_t)x->my_tid != c->serial))
        x = x->next;
    return x != NULL;
}

/* What was reserved for the answer is free again. */
static void unreserve(const struct vpe *v)
{
    struct vpe *holder = kcall_holder(v);
    uint32_t n = v->wait.range.count, start = v->wait.range.start;

    for (uint32_t i = 0; holder && v->wait.serial && i < n; i++) {
        struct cap *c = cap_at(&holder->caps, start + i);

        if (c && c->type == CAP_NONE && c->serial == v->wait.serial)
            cap_revoke(c);
    }
}

void kcall_forget(struct vpe *v)
{
    v->wait.kind = WAIT_NONE;
    unreserve(v);
    note_late(v);
}

void kcall_done(struct vpe *v)
{
    v->wait.kind = WAIT_NONE;
    unreserve(v);
}

void kcall_failed(struct vpe *v, int error)
{
    /* Where a service is looked for, a kernel that is gone has none: the next one is asked. */
    if (v->wait.call == KC_CREATESESSFWD && v->wait.all) {
        note_late(v);
        if (rsession_next(v))
            return;
        kcall_done(v);
        sys_answer(v, SE_INV_ARGS, NULL);
        return;
    }
    kcall_forget(v);
    sys_answer(v, error, NULL);
}

void kc_recvbufattached(struct kcall *c)
{
    uint32_t tid = msg_get_u32(c->in);
    int err = (int)msg_get_u32(c->in);
    struct vpe *v;

    if (c->in->error || !peer_answered(c->p, KC_RECVBUFISATTACHED, &tid)) {
        kcall_bad(c);
        return;
    }
    v = kcall_waiting(c->p, KC_RECVBUFISATTACHED, tid);
    if (v && err != SE_OK && move_since_asked(v, c->p))
        sys_ask_again(v);
    else if (v)
        sys_answer(v, sys_activate_late(v, err == SE_OK), NULL);
    else
        kern.stats.late++;
}

static void recv_answer(struct peer *p, const struct park *k, uint32_t tid, int err)
{
    const uint64_t msg[3] = {KC_RECVBUFATTACHED, park_tid(k, tid), (unsigned)err};

    park_answer(p, k, msg, sizeof(msg));
}

void kcall_recv_over(struct peer *p, struct kwait *w, int err)
{
    w->used = false;
    recv_answer(p, &w->park, w->tid, err);
}

void kcall_recv_ready(unsigned pe, unsigned ep, bool ok)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        for (unsigned k = 0; p->state == PEER_UP && k < KC_WAITS; k++) {
            struct kwait *w = &p->waits[k];

            if (w->used && w->op == KC_RECVBUFISATTACHED && w->pe == pe && w->ep == ep)
                kcall_recv_over(p, w, ok ? SE_OK : SE_RECV_GONE);
        }
    }
}

void kc_recvbufisattached(struct kcall *c)
{
    uint32_t tid = msg_get_u32(c->in), pe = msg_get_u32(c->in), ep = msg_get_u32(c->in);
    struct vpe *v = pe < BOOT_PES && peer_is_ours(pe) ? kern.pes[pe].vpe : NULL;
    const struct park at_once = {.parked = false};

    if (c->in->error || ep >= DTU_EPS) {
        kcall_bad(c);
        recv_answer(c->p, &at_once, tid, SE_INV_ARGS);
        return;
    }
    if (!v) {
        recv_answer(c->p, &at_once, tid, SE_RECV_GONE);
        return;
    }
    if (v->ep[ep].use == EP_RECV) {
        recv_answer(c->p, &at_once, tid, SE_OK);
        return;
    }
    for (unsigned k = 0; k < KC_WAITS; k++) {
        if (c->p->waits[k].used)
            continue;
        c->p->waits[k] = (struct kwait){.used = true,
                                        .op = KC_RECVBUFISATTACHED,
                                        .tid = tid,
                                        .pe = (uint16_t)pe,
                                        .ep = (uint8_t)ep};
        return;
    }
    recv_answer(c->p, &at_once, tid, SE_RECV_GONE);
}

/* ---- capabilities ---- */

/* The pairs that follow, if any; false: something is missing. */
static bool more_pairs(struct msg_reader *in, uint64_t *n)
{
    *n = !in->error && msg_remaining(in) > 0 ? msg_get_u64(in) : 0;
    return !in->error && *n <= KC_MORE && msg_remaining(in) >= 2 * sizeof(uint64_t) * *n;
}

void kc_revoke(struct kcall *c)
{
    uint64_t key = msg_get_u64(c->in), parent = msg_get_u64(c->in);
    uint64_t n;

    msg_get_u64(c->in); /* where it began: nobody asks */
    if (!more_pairs(c->in, &n)) {
        kcall_bad(c);
        peer_ack(c->p);
        return;
    }
    peer_cork();
    for (uint64_t i = 0; i <= n; i++) {
        /*
         * Whose parent another kernel has is not its to revoke.  But it may know better than we
         * whose a PE is, and is not to wait for an answer.
         */
        if (peer_of_key(parent) != c->p) {
            kcall_bad(c);
            peer_gone(c->p, parent);
        } else {
            revoke_asked(c->p, key, parent);
        }
        if (i < n) {
            key = msg_get_u64(c->in);
            parent = msg_get_u64(c->in);
        }
    }
    peer_revoke_begun(c->p);
    peer_uncork();
}

/* -n: so many answers; more to wait for is nothing that one could ask of us. */
static void revocations_done(struct kcall *c, uint64_t initiator, uint32_t delta)
{
    if ((int32_t)delta >= 0 || !revoke_answered(c->p, initiator, 0u - delta))
        kern.stats.late++;
}

/* The oldest request that gets no more than an acknowledgement has got it. */
static void acknowledged(struct kcall *c)
{
    uint32_t tid = 0;
    struct vpe *v;

    if (!peer_answered(c->p, KC_COUNT, &tid)) {
        kcall_bad(c);
        return;
    }
    v = tid ? kcall_waiting(c->p, KC_EXCHANGEOSESSACK, tid) : NULL;
    if (v)
        sys_answer(v, SE_OK, NULL);
}

void kc_revokefinish(struct kcall *c)
{
    uint64_t initiator = msg_get_u64(c->in);
    uint32_t delta = msg_get_u32(c->in), tid = 0;
    bool with_reply = msg_get_bool(c->in);
    uint64_t n;

    if (!more_pairs(c->in, &n)) {
        kcall_bad(c);
    } else {
        /*
         * An acknowledgement does not say what for: the one of a later request may have overtaken
         * this answer and have been taken for the REVOKE's.  Then this is that request's.
         */
        if (with_reply && !peer_answered(c->p, KC_REVOKE, &tid))
            acknowledged(c);
        peer_cork();
        revocations_done(c, initiator, delta);
        for (; n > 0; n--) {
            initiator = msg_get_u64(c->in);
            revocations_done(c, initiator, msg_get_u32(c->in));
        }
        peer_uncork();
    }
    peer_ack(c->p);
}

static void child_gone(struct kcall *c, uint64_t parent, uint64_t child)
{
    if (!revoke_child_gone(c->p, parent, child))
        kern.stats.late++;
}

void kc_removechild(struct kcall *c)
{
    uint64_t parent = msg_get_u64(c->in);
    uint32_t n = msg_get_u32(c->in);
    uint64_t child = msg_get_u64(c->in);
    uint32_t m = msg_get_u32(c->in);
    uint64_t more;

    if (!more_pairs(c->in, &more) || n != m || n > VPE_CAPS_MAX) {
        kcall_bad(c);
    } else {
        for (uint32_t i = 0; i < n; i++)
            child_gone(c, parent + i, child + i);
        for (; more > 0; more--) {
            parent = msg_get_u64(c->in);
            child_gone(c, parent, msg_get_u64(c->in));
        }
    }
    peer_ack(c->p);
}

/* ---- the rest ---- */

void kc_reply(struct kcall *c)
{
    uint32_t op;

    if (!c->p->ours || msg_remaining(c->in) < 2 * sizeof(uint64_t)) {
        acknowledged(c);
        return;
    }
    op = msg_get_u32(c->in);
    if (!park_told(c->p, op, msg_get_u32(c->in)))
        kcall_bad(c);
}

void kc_exit(struct kcall *c)
{
    uint32_t code = msg_get_u32(c->in); /* the kernel's own machine says that */

    if (!c->in->error && msg_remaining(c->in) > 0) {
        far_end_told(c, (int32_t)code);
        peer_ack(c->p);
        return;
    }
    if (c->in->error || c->p->created) {
        kcall_bad(c); /* kernels that begin together end together */
        return;
    }
    kern.peers.left = true;
    peer_lost(c->p, NULL);
}

void kc_sigvital(struct kcall *c)
{
    uint32_t thread = msg_get_u32(c->in);
    uint32_t err = msg_get_u32(c->in);

    (void)thread; /* the original's; we know whom we started */
    c->p->ours = !c->in->error && msg_remaining(c->in) > 0;
    if (c->in->error || c->p != kern.boot.peer || kern.boot.state == BOOT_IDLE) {
        kcall_bad(c);
        return;
    }
    kboot_alive(c->p, (int)err);
}

void kc_announcesrv(struct kcall *c)
{
    char name[KC_NAME];
    uint64_t key = msg_get_u64(c->in);
    size_t len = msg_get_str(c->in, name, sizeof(name));

    if (c->in->error || len == 0 || peer_of_key(key) != c->p || !rservice_add(c->p, key, name))
        kcall_bad(c);
    else
        kern.srv_news = true;
    peer_ack(c->p);
}
