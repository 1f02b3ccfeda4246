/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What other kernels have time for: nothing that waits for one does so without end (peer.h).
 *
 * A peer that cannot be reached for FAIL_NS, that owes an acknowledgement for ACK_NS or any other
 * answer for twice ANSWER_NS, is lost; a system call that waits for one gets an error after
 * ANSWER_NS, whatever comes of it later.
 */
#include "hw.h"
#include "kernel.h"
#include "srv.h"

#define MS         1000000ull
#define FAIL_NS    (10000 * MS) /* unreachable */
#define ACK_NS     (30000 * MS) /* acknowledgements, which need nobody's help */
#define ANSWER_NS  (60000 * MS) /* answers that services or others have a part in */
#define QUIET_NS   (1000 * MS)  /* then we look whether it lives */
#define RETRY_NS   (5 * MS)
#define TICK_NS    (100 * MS)
#define CONNECT_NS (200 * MS)

/* Who acknowledges all else, but never answers this, would hold its place for ever. */
static uint64_t longest(const struct kreq *r)
{
    if (r->tid == 0 || r->tid & KC_TID_ACK || r->op == KC_PARTITIONMIG)
        return ACK_NS; /* what is said of moves needs nobody's help, either */
    return r->op == KC_SHUTDOWNREQUEST ? ~0ull : 2 * ANSWER_NS; /* until its programs have ended */
}

static bool tick_request(struct kreq *r, uint64_t ns)
{
    r->waited += ns;
    return r->waited <= longest(r);
}

/* NULL, or why p is lost. */
static const char *tick_requests(struct peer *p, uint64_t ns)
{
    const char *why = NULL;

    for (unsigned i = 0; i < p->inflight; i++)
        if (!tick_request(&p->req[i], ns))
            why = "it does not answer";
    for (struct kparked *k = p->parked; k; k = k->next)
        if (!tick_request(&k->req, ns))
            why = "it does not answer";
    return why;
}

static const char *tick_life(struct peer *p, uint64_t ns)
{
    uint64_t id;

    p->quiet += ns;
    if (p->failing) {
        p->failing += ns;
        if (p->failing > FAIL_NS)
            return "it cannot be reached";
        return NULL;
    }
    if (p->quiet < QUIET_NS || (p->inflight == 0 && !p->parked && !p->configured))
        return NULL;
    p->quiet = 0;
    if (hw_read(p->pe, p->id, DTU_BASE + DTU_VPE_ID, &id, sizeof(id)) != SE_OK)
        p->failing = 1;
    return NULL;
}

/* While it cannot be reached: is it there again? */
static void try_again(struct peer *p)
{
    uint64_t failing = p->failing, id;

    if (!failing || hw_read(p->pe, p->id, DTU_BASE + DTU_VPE_ID, &id, sizeof(id)) != SE_OK)
        return;
    p->failing = 0;
    peer_flush(p);
    if (p->failing)
        p->failing = failing;
}

static unsigned waits(const struct peer *p)
{
    unsigned n = 0;

    for (unsigned i = 0; i < KC_WAITS; i++)
        n += p->waits[i].used;
    return n;
}

static void tick_wait(struct peer *p, struct kwait *w, uint64_t ns)
{
    /* The last places are for those that are not parked. */
    if (w->op == KC_RECVBUFISATTACHED && waits(p) <= KC_WAITS - KC_INFLIGHT)
        park_wait(p, &w->park, w->op, w->tid, ns);
    else
        w->park.waited += ns;
    if (w->park.waited <= ACK_NS / 2)
        return;
    if (w->op == KC_RECVBUFISATTACHED)
        kcall_recv_over(p, w, SE_RECV_GONE);
    else
        mht_wait_over(p, w);
}

/* Is there any? */
static bool tick_waits(struct peer *p, uint64_t ns)
{
    for (unsigned i = 0; i < KC_WAITS; i++)
        if (p->waits[i].used)
            tick_wait(p, &p->waits[i], ns);
    return waits(p) > 0;
}

static uint64_t tick_connect(struct peer *p, uint64_t ns)
{
    p->failing += ns;
    if (!p->configured && p->failing > ANSWER_NS) {
        peer_lost(p, "it does not connect");
        return TICK_NS;
    }
    p->retry = p->retry > ns ? p->retry - ns : 0;
    if (p->retry == 0) {
        p->retry = CONNECT_NS;
        connect_send(p);
    }
    return CONNECT_NS;
}

static uint64_t tick_peer(struct peer *p, uint64_t ns)
{
    const char *why;
    bool busy;

    if (p->state == PEER_CONNECTING)
        return tick_connect(p, ns);
    if (p->state != PEER_UP)
        return 0;
    busy = tick_waits(p, ns) || p->configured;
    why = tick_requests(p, ns);
    if (!why)
        why = tick_life(p, ns);
    if (why) {
        peer_lost(p, why);
        return TICK_NS;
    }
    try_again(p);
    if (p->failing)
        return RETRY_NS;
    return busy || p->inflight > 0 || p->parked ? TICK_NS : 0;
}

static uint64_t tick_calls(uint64_t ns)
{
    uint64_t again = 0;

    for (struct vpe *v = kern.vpes; v; v = v->next) {
        if (v->wait.kind != WAIT_KERNEL && v->wait.kind != WAIT_REVOKE)
            continue;
        v->wait.waited += ns;
        again = TICK_NS;
        if (v->wait.waited <= ANSWER_NS)
            continue;
        if (v->wait.kind == WAIT_KERNEL) {
            kcall_failed(v, SE_RECV_GONE);
            continue;
        }
        /* It goes on; what it has to do here is done. */
        revoke_forget_waiter(v);
        sys_answer(v, SE_RECV_GONE, NULL);
    }
    return again;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b && b < a) ? b : a;
}

uint64_t peer_tick(uint64_t ns)
{
    uint64_t again = sooner(tick_calls(ns), rexchange_tick(ns));

    again = sooner(again, revoke_tick(ns));
    if (kern.mht.moving > 0) {
        mht_move_ready();
        again = sooner(again, TICK_NS);
    }
    again = sooner(sooner(again, move_tick(ns)), sys_tick(ns));
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state != PEER_NONE)
            again = sooner(again, tick_peer(&kern.peers.peer[i], ns));
    return sooner(again, kboot_tick(ns));
}
