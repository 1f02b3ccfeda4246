/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VPE moves to another kernel (move.h): its old owner; deaths in the middle of it; late calls.
 */
#include "hw.h"
#include "kernel.h"
#include "print.h"

#define MS        1000000ull
#define RETRY_NS  (2 * MS)
#define TRY_NS    (10000 * MS)
#define TRIES_MAX 64u
#define HOLD_NS   (60000 * MS) /* nobody holds others for that long */
#define CLAIM_NS  (20000 * MS) /* its new owner waits 30 s for us; the old one has said COMMIT */
#define GIVEN_NS  (45000 * MS) /* the new owner waits 30 s for others; they would lose us */
#define TICK_NS   (100 * MS)

#define mv kern.moves

/* ---- messages ---- */

void move_put(struct msg_writer *w, void *buf, enum move_msg kind, uint32_t tid, unsigned pe)
{
    msg_writer_init(w, buf, KC_MSG_MAX);
    msg_put(w, KC_PARTITIONMIG);
    msg_put(w, 0);
    msg_put(w, kind);
    msg_put(w, tid);
    msg_put(w, pe);
}

int move_send(struct peer *p, enum move_msg kind, uint32_t tid, unsigned pe, uint64_t arg)
{
    const uint64_t msg[MOVE_WORDS + 1] = {KC_PARTITIONMIG, 0, kind, tid, pe, arg};

    return peer_urgent(p, msg, sizeof(msg), tid);
}

void move_reply(struct peer *p, enum move_msg kind, uint32_t tid, unsigned pe, int err)
{
    const uint64_t msg[MOVE_WORDS + 1] = {KC_PARTITIONMIG, 0, kind, tid, pe, (unsigned)err};

    peer_reply(p, msg, sizeof(msg));
}

static bool is_answer(uint32_t kind)
{
    return kind == MOVE_HELD || kind == MOVE_READY || kind == MOVE_SWITCHED || kind == MOVE_LOST;
}

bool move_is_answer(const struct msg_reader *in)
{
    struct msg_reader look = *in;

    return msg_get_u32(&look) == 0 && is_answer(msg_get_u32(&look)) && !look.error;
}

/* ---- the beginning and the end of a move ---- */

/* It goes on here, with the call that has come meanwhile. */
static void thaw(struct vpe *v)
{
    bool frozen = v->move.frozen;

    if (v == kern.moves.taken)
        return; /* it has just come, and goes on when all know: move_release() */
    v->move.frozen = false;
    if (v->move.held)
        sys_thaw(v);
    else if (frozen && v->move.carried)
        sys_handle_carried(v);
}

static void over(int result)
{
    struct vpe *v = mv.vpe;

    if (peer_is_ours(mv.pe))
        kern.peers.flags[mv.pe] = MEMBER_NONE;
    move_drop_prepared();
    mv.phase = MOVE_IDLE;
    mv.vpe = NULL;
    mv.result = result;
    *(result == SE_OK ? &kern.stats.moved : &kern.stats.stayed) += 1;
    if (v)
        thaw(v);
}

int move_begin(unsigned id, struct peer *to)
{
    struct pe *pe = &kern.pes[id < BOOT_PES ? id : 0];
    int err;

    if (id >= BOOT_PES || !peer_is_ours(id) || !pe->vpe || pe->goes_to)
        return SE_INV_ARGS;
    if (mv.phase != MOVE_IDLE || !kern.peers.started) /* others may still be starting */
        return SE_MSGS_WAITING;
    if (!to || to->state != PEER_UP)
        return SE_RECV_GONE;
    err = move_possible(pe->vpe);
    if (err != SE_OK)
        return err;
    mv.phase = MOVE_WAITING;
    mv.pe = (uint16_t)id;
    mv.vpe = pe->vpe;
    mv.to = to;
    mv.tries = 0;
    mv.waited = mv.retry = 0;
    kern.peers.flags[id] = MEMBER_MIGRATING;
    move_step();
    return SE_OK;
}

bool move_concerns(unsigned pe)
{
    return mv.phase != MOVE_IDLE && mv.pe == pe;
}

/* Who has asked whose a PE is may itself owe us such an answer: this one is not kept back. */
static void tell_asked(struct peer *p)
{
    const uint64_t dead[MOVE_WORDS + 1] = {KC_PARTITIONMIG, 0, MOVE_DEAD, 0, p->asks_pe};

    if (p->asks_pe && p->move == MOVE_P_NONE && peer_late(p, dead, sizeof(dead)))
        p->asks_pe = 0;
}

/* Those that have been asked get OFF; what cannot be sent now is sent by move_tick(). */
static void tell_end(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];
        enum move_msg kind = p->move == MOVE_P_OFF     ? MOVE_OFF
                             : p->move == MOVE_P_DEAD  ? MOVE_DEAD
                             : p->move == MOVE_P_GIVEN ? MOVE_GIVEN_AWAY
                                                       : MOVE_SWITCH;
        bool ours = kind == MOVE_SWITCH;

        tell_asked(p);
        if (p->state != PEER_UP || p->move < MOVE_P_OFF)
            continue;
        if (move_send(p, kind, ours ? mv.tid : 0, ours ? mv.taken_pe : p->move_pe, mv.desc) ==
            SE_OK)
            p->move = ours ? MOVE_P_ASKED : p->move == MOVE_P_GIVEN ? MOVE_P_TOLD : MOVE_P_NONE;
    }
}

static void mark(enum move_peer from, enum move_peer to, unsigned pe)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_UP || p->move < from)
            continue;
        p->move = (uint8_t)to;
        p->move_pe = (uint16_t)pe;
    }
    tell_end();
}

bool move_pending(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP &&
            (kern.peers.peer[i].move == MOVE_P_ASKED || kern.peers.peer[i].move >= MOVE_P_OFF))
            return true;
    return false;
}

static void forget_peers(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++)
        kern.peers.peer[i].move = MOVE_P_NONE;
}

/* Two that meet are not to meet again: by our number and how often it was, and no clock. */
static uint64_t backoff(void)
{
    uint32_t x = (kern.id + 1) * 0x9E3779B9u + mv.tries * 0x85EBCA6Bu;

    x ^= x >> 15;
    x *= 0x2C1B3C6Du;
    x ^= x >> 13;
    return RETRY_NS * (1 + x % 16);
}

/* Not now: the VPE goes on here, and perhaps it is tried again. */
static void try_later(int why)
{
    struct vpe *v = mv.vpe;

    move_drop_prepared();
    mark(MOVE_P_ASKED, MOVE_P_OFF, mv.pe);
    mv.phase = MOVE_WAITING;
    mv.retry = backoff();
    if (++mv.tries > TRIES_MAX || (why != SE_OK && why != SE_MSGS_WAITING)) {
        over(why == SE_OK ? SE_MSGS_WAITING : why);
        return;
    }
    thaw(v);
}

/* ---- step by step ---- */

static void hold_all(void)
{
    kern.tids = kern.tids % 0x7FFFFFFFu + 1;
    mv.tid = kern.tids;
    mv.vpe->move.frozen = true;
    mv.dirty = false;
    mv.phase = MOVE_HOLDING;
}

/* Asks those that have not been asked, which may have come in the middle; have all answered? */
static bool all_held(void)
{
    bool all = true;

    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_UP || p->move == MOVE_P_TOLD)
            continue;
        all = false;
        if (p->move == MOVE_P_NONE && move_send(p, MOVE_HOLD, mv.tid, mv.pe, mv.to->id) == SE_OK)
            p->move = MOVE_P_ASKED;
    }
    return all;
}

static void wait(void)
{
    int err = move_possible(mv.vpe);

    if (err != SE_OK)
        over(err);
    else if (mv.retry == 0 && !mv.hold && !mv.from && mv.vpe->wait.kind == WAIT_NONE &&
             !move_pending() && move_quiet(mv.vpe))
        hold_all();
}

static void send_state(void)
{
    int err = move_quiet(mv.vpe) ? move_send_state() : SE_MSGS_WAITING;

    if (err == SE_OK)
        mv.phase = MOVE_SENDING;
    else
        try_later(err);
}

void move_step(void)
{
    if (mv.phase == MOVE_WAITING)
        wait();
    if (mv.phase == MOVE_HOLDING && all_held())
        send_state();
}

/* ---- answers ---- */

static void held(struct kcall *c, int err)
{
    if (mv.phase != MOVE_HOLDING || c->p->move != MOVE_P_ASKED)
        return;
    c->p->move = MOVE_P_TOLD;
    if (err != SE_OK)
        try_later(SE_MSGS_WAITING);
}

/* COMMIT is sent: all others may believe who gets it. */
static void tell_given(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_UP || p == mv.to || p->move != MOVE_P_TOLD)
            continue;
        p->move = MOVE_P_GIVEN;
        p->move_pe = mv.pe;
    }
    tell_end();
}

static void ready(struct kcall *c, int err)
{
    if (mv.phase != MOVE_SENDING || c->p != mv.to)
        return;
    if (err != SE_OK)
        try_later(err);
    else if (mv.dirty || !move_quiet(mv.vpe) || !all_held() || !move_give())
        try_later(SE_OK);
    else {
        mv.phase = MOVE_GIVEN;
        mv.waited = 0;
        tell_given();
    }
}

/* Do all know that the PE is ours?  Then its VPE goes on. */
static void released(void)
{
    struct peer *from = mv.from;

    if (!mv.ours || move_pending())
        return;
    if (mv.taken)
        move_release();
    if (from->state == PEER_UP && move_send(from, MOVE_DONE, 0, mv.taken_pe, 0) != SE_OK)
        return; /* move_tick() tries again */
    mv.from = NULL;
    mv.ours = false;
    forget_peers();
}

static void done(const struct kcall *c)
{
    peer_ack(c->p);
    if (mv.phase != MOVE_GIVEN || c->p != mv.to)
        return;
    kern.sysc_used[mv.sysc_ep]--;
    forget_peers();
    over(SE_OK);
}

static void answer(struct kcall *c, uint32_t kind, uint32_t tid, int err)
{
    if (c->in->error || !peer_answered(c->p, KC_PARTITIONMIG, &tid)) {
        kcall_bad(c);
        return;
    }
    if (tid != mv.tid)
        return; /* to what has been given up */
    if (kind == MOVE_HELD)
        held(c, err);
    else if (kind == MOVE_READY)
        ready(c, err);
    else if (mv.ours && c->p->move == MOVE_P_ASKED) {
        c->p->move = MOVE_P_TOLD;
        c->p->held = false;
        released();
        peer_flush(c->p);
    }
}

/*
 * A call of a VPE that is ours by now.  That it is its call, and not what another kernel would like
 * it to say, only those can know that it was sent to.
 */
static void late_call(struct kcall *c, unsigned pe)
{
    struct vpe *v = pe < BOOT_PES && peer_is_ours(pe) ? kern.pes[pe].vpe : NULL;

    peer_ack(c->p);
    if (!v || !v->move.came || (c->p->id != v->move.from && c->p->id != v->move.home))
        kcall_bad(c);
    else if (!move_carry(v, c->in))
        kern.stats.strays++;
    else if (!v->move.frozen)
        sys_handle_carried(v);
}

/* The others are told whose it is before they are told what that leads to. */
static void commit(struct kcall *c, unsigned pe)
{
    peer_cork();
    if (move_commit(c, pe)) {
        kern.tids = kern.tids % 0x7FFFFFFFu + 1;
        mv.tid = kern.tids;
        mark(MOVE_P_NONE, MOVE_P_SWITCH, pe);
    }
    peer_uncork();
}

void move_told(struct kcall *c)
{
    uint32_t kind, tid;
    unsigned pe;

    msg_get_u32(c->in);
    kind = msg_get_u32(c->in);
    tid = msg_get_u32(c->in);
    pe = msg_get_u16(c->in);
    if (!is_answer(kind) && (c->in->error || !c->p->ours)) {
        kcall_bad(c);
        peer_ack(c->p);
        return;
    }
    switch (kind) {
    case MOVE_HOLD:
        move_hold(c, tid, pe);
        break;
    case MOVE_STATE:
    case MOVE_END:
        move_state(c, tid, pe, kind == MOVE_END);
        break;
    case MOVE_COMMIT:
        commit(c, pe);
        break;
    case MOVE_SWITCH:
        move_switch(c, tid, pe);
        break;
    case MOVE_OFF:
        move_off(c, pe);
        break;
    case MOVE_DEAD:
        move_dead(c, pe);
        break;
    case MOVE_GIVEN_AWAY:
        move_given(c, pe);
        break;
    case MOVE_DONE:
        done(c);
        break;
    case MOVE_CALL:
        late_call(c, pe);
        break;
    case MOVE_LOST:
        if (move_lost(c, pe))
            tell_end();
        break;
    case MOVE_HELD:
    case MOVE_READY:
    case MOVE_SWITCHED:
        answer(c, kind, tid, (int)msg_get_u32(c->in));
        break;
    default:
        kcall_bad(c);
        peer_ack(c->p);
    }
}

/* ---- calls ---- */

/* The kernel of the next higher number, or of the lowest. */
static struct peer *next_kernel(void)
{
    struct peer *next = NULL, *lowest = NULL;

    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_UP)
            continue;
        if (p->id > kern.id && (!next || p->id < next->id))
            next = p;
        if (!lowest || p->id < lowest->id)
            lowest = p;
    }
    return next ? next : lowest;
}

/* What the boot line's roam= asks for. */
static void roam(const struct vpe *v)
{
    if (mv.roam && ++mv.calls % mv.roam == 0 && kern.boot.state == BOOT_IDLE)
        move_begin(v->pe, next_kernel());
}

bool move_call(struct vpe *v)
{
    roam(v);
    if (mv.phase == MOVE_WAITING && mv.vpe == v)
        move_step(); /* it is here, and nothing of it is under way: now or never */
    return v->move.frozen;
}

/* ---- deaths ---- */

void move_vpe_ends(const struct vpe *v)
{
    if (mv.vpe == v) {
        mv.vpe->move.frozen = false;
        mv.vpe = NULL;
        if (mv.phase >= MOVE_HOLDING) /* before, what others were asked is about one that comes */
            mark(MOVE_P_ASKED, MOVE_P_OFF, mv.pe);
        over(SE_VPE_GONE);
    }
    if (mv.taken == v && mv.ours)
        mv.taken = NULL; /* it had not begun here */
}

/* Whose are the PEs that p has been giving away, or getting, just now? */
void move_peer_going(struct peer *p)
{
    struct peer *to = peer_find(mv.hold_to);

    if (mv.hold && mv.hold_to == p->id)
        move_taker_lost();
    if (mv.hold && mv.hold_from == p->id && to && to != p && p->state == PEER_UP) {
        /* Perhaps it is that one's by now; it will say so, and is asked nothing until then. */
        kern.peers.owner[mv.hold_pe] = to->id;
        to->held = true;
        move_redirect(p, mv.hold_pe, to);
        mv.hold_from = to->id;
        mv.given = true;
        mv.hold_waited = 0; /* it has not been asked before */
        if (!move_believe_claim())
            move_reply(to, MOVE_LOST, 0, mv.hold_pe, SE_OK);
    } else if (mv.hold && mv.hold_from == p->id) {
        mv.hold = false;
        if (mv.hold_to == kern.id)
            mark(MOVE_P_NONE, MOVE_P_DEAD, mv.hold_pe);
    }
    loan_peer_gone(p);
}

void move_pe_dead(unsigned pe)
{
    connect_ownerless(pe);
    mht_forget(pe);
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP)
            move_send(&kern.peers.peer[i], MOVE_DEAD, 0, pe, 0);
}

/* PEs that we have from it are gone with it, or it begins anew with them. */
static void lose_guests(const struct peer *p)
{
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct pe *pe = &kern.pes[kern.pe_order[i]];

        if (!pe->move.guest || pe->move.home != p->id || pe->move.dead || !peer_is_ours(pe_id(pe)))
            continue;
        if (pe->vpe)
            print("kernel %u: %s on PE %u is gone with kernel %u\n", kern.id, pe->vpe->name,
                  pe_id(pe), p->id);
        pe_dead(pe);
    }
}

void move_peer_gone(struct peer *p)
{
    if (mv.phase >= MOVE_HOLDING && mv.phase < MOVE_GIVEN && mv.to == p)
        try_later(SE_RECV_GONE);
    else if (mv.phase == MOVE_WAITING && mv.to == p)
        over(SE_RECV_GONE);
    if (mv.phase == MOVE_GIVEN && mv.to == p) {
        kern.sysc_used[mv.sysc_ep]--;
        mark(MOVE_P_ASKED, MOVE_P_DEAD, mv.pe);
        over(SE_RECV_GONE);
    }
    if (mv.from == p && !mv.ours)
        move_drop_taken(); /* the others have been told (move_peer_going()) */
    else if (mv.ours)
        released();
    lose_guests(p);
    move_step();
}

bool move_keeps_us(void)
{
    return mv.phase != MOVE_IDLE || mv.from || mv.hold || (kern.peers.independent && mv.loans);
}

uint64_t move_tick(uint64_t ns)
{
    const uint64_t look = move_look(ns);
    struct peer *owes = peer_find(mv.given ? mv.hold_to : mv.hold_from);

    mv.retry = mv.retry > ns ? mv.retry - ns : 0;
    tell_end();
    released();
    pe_bury();
    if (mv.phase != MOVE_IDLE && mv.phase != MOVE_GIVEN) {
        mv.waited += ns;
        if (mv.waited > TRY_NS && mv.phase == MOVE_WAITING)
            over(SE_MSGS_WAITING);
        else if (mv.waited > TRY_NS)
            try_later(SE_RECV_GONE);
        move_step();
    }
    if (mv.phase == MOVE_GIVEN) {
        mv.waited += ns;
        if (mv.waited > GIVEN_NS)
            peer_lost(mv.to, "it does not say that it has a PE");
    }
    if (mv.hold) {
        mv.hold_waited += ns;
        mv.claimed_waited += ns;
        if ((mv.hold_waited > HOLD_NS || (mv.claimed && mv.claimed_waited > CLAIM_NS)) && owes)
            peer_lost(owes, "it does not say whose a PE is");
    }
    if (mv.phase == MOVE_WAITING)
        return mv.retry ? mv.retry : RETRY_NS;
    if (mv.phase != MOVE_IDLE || mv.hold || mv.from || mv.ndead || move_pending())
        return TICK_NS;
    return look;
}
