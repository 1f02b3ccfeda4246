/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VPE moves between two other kernels, or to us (move.h): nothing is asked of the old owner until
 * it is known whose the PE is; then what has waited for the old owner and is about that PE goes to
 * the new one.
 */
#include "heap.h"
#include "kernel.h"

#define EXIT_KEY       2u /* words of KEXIT and RECVBUFISATTACHED */
#define REMOVED_PARENT 1u
#define RECV_PE        2u

static uint64_t word(const struct kmsg *m, unsigned i)
{
    return m->len >= (i + 1) * sizeof(uint64_t) ? ((const uint64_t *)(const void *)m->data)[i] : 0;
}

static void release(void)
{
    struct peer *from = peer_find(kern.moves.hold_from), *to = peer_find(kern.moves.hold_to);

    if (kern.moves.claimed && to) /* in vain */
        move_reply(to, MOVE_SWITCHED, kern.moves.claimed_tid, kern.moves.hold_pe, SE_INV_ARGS);
    kern.moves.hold = kern.moves.given = kern.moves.claimed = false;
    if (from) {
        from->held = false;
        peer_flush(from);
    }
    if (to) {
        to->held = false;
        peer_flush(to);
    }
}

void move_hold(struct kcall *c, uint32_t tid, unsigned pe)
{
    unsigned to = msg_get_u16(c->in);
    int err = SE_OK;

    if (c->in->error || pe >= BOOT_PES || peer_owner(pe) != c->p->id || pe == c->p->pe) {
        kcall_bad(c);
        err = SE_INV_ARGS;
    } else if (kern.moves.hold || kern.moves.from || kern.moves.phase >= MOVE_HOLDING ||
               move_pending() || (to != kern.id && !peer_find(to)) || c->p->urgent.head) {
        /* The last: it would wait as well, and may be an OFF that the other one waits for. */
        err = SE_MSGS_WAITING;
    }
    move_reply(c->p, MOVE_HELD, tid, pe, err);
    if (err != SE_OK)
        return;
    kern.moves.hold = true;
    kern.moves.hold_pe = (uint16_t)pe;
    kern.moves.hold_from = c->p->id;
    kern.moves.hold_to = (uint16_t)to;
    kern.moves.hold_waited = 0;
    kern.moves.given = kern.moves.claimed = kern.moves.hold_lost = false;
    c->p->held = true;
}

bool move_is_switch(const struct kmsg *m)
{
    const uint64_t *word = (const uint64_t *)(const void *)m->data;

    return m->len >= MOVE_WORDS * sizeof(*word) && word[0] == KC_PARTITIONMIG && word[1] == 0 &&
           word[2] == MOVE_SWITCH;
}

/* ---- queues ---- */

static void redirect_revokes(struct peer *p, unsigned pe, struct peer *to)
{
    struct rkid *k = p->revokes, *next;

    p->revokes = NULL;
    p->revokes_tail = &p->revokes;
    for (; k; k = next) {
        struct peer *q = ddl_pe(k->key) == pe ? to : p;

        next = k->queue;
        k->queue = NULL;
        k->asked = q; /* nobody: revoke_come_home(), or never */
        if (!q)
            continue;
        *q->revokes_tail = k;
        q->revokes_tail = &k->queue;
    }
}

static void redirect_removed(struct peer *p, unsigned pe, struct peer *to)
{
    struct cap *c = p->removed, *next;

    p->removed = NULL;
    p->removed_tail = &p->removed;
    for (; c; c = next) {
        struct peer *q = ddl_pe(c->rparent) == pe ? to : p;

        next = c->next;
        c->next = NULL;
        if (!q) {
            heap_free(c);
            continue;
        }
        *q->removed_tail = c;
        q->removed_tail = &c->next;
    }
}

/*
 * ACTIVATEs that have not been asked yet, the ends of VPEs that it has capabilities for, and
 * children of its that there will not be (kcall_exch.c).
 */
static bool about(const struct kmsg *m, unsigned pe)
{
    return (m->data[0] == KC_RECVBUFISATTACHED && (uint32_t)word(m, RECV_PE) == pe) ||
           (m->data[0] == KC_REMOVECHILDCAPPTR && ddl_pe(word(m, REMOVED_PARENT)) == pe) ||
           (m->data[0] == KC_EXIT && m->len > EXIT_KEY * sizeof(uint64_t) &&
            ddl_pe(word(m, EXIT_KEY)) == pe);
}

static void redirect_messages(struct kmsg_queue *q, unsigned pe, struct peer *to)
{
    struct kmsg **link = &q->head, *m;

    while ((m = *link)) {
        struct vpe *v = kern.vpes;

        if (!about(m, pe)) {
            link = &m->next;
            continue;
        }
        *link = m->next;
        q->count--;
        if (m->data[0] == KC_EXIT && to)
            peer_urgent(to, m->data, m->len, 0);
        if (m->data[0] == KC_REMOVECHILDCAPPTR && to)
            peer_request(to, m->data, m->len, 0);
        if (m->data[0] == KC_RECVBUFISATTACHED)
            while (v && (v->wait.kind != WAIT_KERNEL || v->wait.tid != m->tid ||
                         v->wait.call != KC_RECVBUFISATTACHED))
                v = v->next;
        if (m->data[0] == KC_RECVBUFISATTACHED && v)
            sys_ask_again(v);
        heap_free(m);
    }
    q->tail = link;
}

void move_redirect(struct peer *p, unsigned pe, struct peer *to)
{
    redirect_revokes(p, pe, to);
    redirect_removed(p, pe, to);
    redirect_messages(&p->urgent, pe, to);
    redirect_messages(&p->requests, pe, to);
}

bool move_since_asked(const struct vpe *v, const struct peer *p)
{
    const struct cap *gate = cap_get_type(&v->caps, v->wait.sel, CAP_MSG);

    return gate && ((kern.moves.hold && kern.moves.hold_pe == gate->msg.pe) ||
                    peer_owner(gate->msg.pe) != p->id);
}

/* ---- the end of it ---- */

/* The PE that is held is p's. */
static void switched(struct peer *p, uint32_t tid, uint64_t desc)
{
    struct peer *from = peer_find(kern.moves.hold_from);
    const unsigned pe = kern.moves.hold_pe;

    connect_member(p->id, desc, MEMBER_NONE);
    move_reply(p, MOVE_SWITCHED, tid, pe, SE_OK);
    if (from && from != p)
        move_redirect(from, pe, p);
    kern.moves.claimed = false;
    release();
}

bool move_believe_claim(void)
{
    struct peer *to = peer_find(kern.moves.hold_to);

    if (!kern.moves.hold || !kern.moves.claimed || !to)
        return false;
    switched(to, kern.moves.claimed_tid, kern.moves.claimed_desc);
    return true;
}

/* The PE is nobody's (whose it claimed to be before); p has been its owner, NULL: it is lost. */
static void gone(struct peer *p, unsigned pe)
{
    connect_ownerless(pe);
    if (p)
        move_redirect(p, pe, NULL);
    revoke_pe_gone(pe);
    loan_pe_gone(pe);
}

static void held_is_gone(void)
{
    gone(peer_find(kern.moves.hold_from), kern.moves.hold_pe);
    release();
}

void move_taker_lost(void)
{
    kern.moves.hold_lost = true;
    kern.moves.claimed = false;
    if (kern.moves.given && kern.moves.hold_from != kern.moves.hold_to)
        held_is_gone();
}

/*
 * If it is ours the sender will be told so, or was; while we know who gives it away, when that is
 * over.  Sent like an answer, since requests to us wait.
 */
bool move_lost(struct kcall *c, unsigned pe)
{
    const struct moves *m = &kern.moves;

    if (c->in->error || pe >= BOOT_PES) {
        kcall_bad(c);
        return false;
    }
    /* Its old owner, whom we have lost, has told us that the sender would get it: neither has. */
    if (m->hold && m->hold_pe == pe && m->hold_to == c->p->id && m->hold_from == c->p->id)
        held_is_gone();
    if (peer_is_ours(pe) || (m->hold && m->hold_pe == pe) || (m->from && m->taken_pe == pe))
        return false;
    c->p->asks_pe = (uint16_t)pe; /* perhaps it has something else to be told first */
    return true;
}

void move_given(struct kcall *c, unsigned pe)
{
    peer_ack(c->p);
    if (!kern.moves.hold || kern.moves.hold_from != c->p->id || kern.moves.hold_pe != pe ||
        kern.moves.hold_to == kern.id || kern.moves.given) {
        kcall_bad(c);
        return;
    }
    kern.moves.given = true;
    kern.moves.hold_waited = 0; /* from now on it is the new owner's word that is missing */
    if (!move_believe_claim() && kern.moves.hold_lost)
        move_taker_lost(); /* it would not know that we wait */
}

/* Only who gives it away knows whether it has; until it says so its new owner has to wait. */
void move_switch(struct kcall *c, uint32_t tid, unsigned pe)
{
    uint64_t desc = msg_get_u64(c->in);
    bool held = kern.moves.hold && kern.moves.hold_pe == pe && kern.moves.hold_to == c->p->id;

    /* Who came in the middle of it has not been asked, and knows of no owner. */
    if (c->in->error || pe >= BOOT_PES || pe_desc_id(desc) != pe ||
        (!held && peer_owner(pe) != KC_NO_KERNEL && peer_owner(pe) != c->p->id) ||
        (held && kern.moves.claimed)) {
        kcall_bad(c);
        /* Its old owner may have lost us without our knowledge: then it is true when we notice. */
        if (!c->in->error && pe < BOOT_PES && pe_desc_id(desc) == pe && !held)
            kern.peers.claim[pe] = (struct claim){desc, c->p->id};
        move_reply(c->p, MOVE_SWITCHED, tid, pe, SE_INV_ARGS);
        return;
    }
    if (held && kern.moves.given) {
        switched(c->p, tid, desc);
    } else if (held) {
        kern.moves.claimed = true;
        kern.moves.claimed_tid = tid;
        kern.moves.claimed_desc = desc;
        kern.moves.claimed_waited = 0;
    } else {
        connect_member(c->p->id, desc, MEMBER_NONE);
        move_reply(c->p, MOVE_SWITCHED, tid, pe, SE_OK);
    }
}

void move_off(struct kcall *c, unsigned pe)
{
    peer_ack(c->p);
    if (kern.moves.from == c->p && kern.moves.taken_pe == pe && !kern.moves.ours)
        move_drop_taken();
    if (!kern.moves.hold || kern.moves.hold_from != c->p->id || kern.moves.hold_pe != pe)
        return;
    release();
}

void move_dead(struct kcall *c, unsigned pe)
{
    struct peer *from = peer_find(kern.moves.hold_from);

    bool held =
        kern.moves.hold && kern.moves.hold_pe == pe &&
        (c->p->id == kern.moves.hold_from || (c->p->id == kern.moves.hold_to && kern.moves.given));

    peer_ack(c->p);
    /* Later it is its owner who says so. */
    if (!held && (pe >= BOOT_PES || peer_owner(pe) != c->p->id || pe == c->p->pe))
        return;
    gone(held && from ? from : c->p, pe);
    if (kern.moves.from == c->p && kern.moves.taken_pe == pe && !kern.moves.ours)
        move_drop_taken();
    if (held)
        release();
}
