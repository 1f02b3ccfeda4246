/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What waits for long gives its place back (kernelcalls.h).
 *
 * A kernel may ask another one two things at a time.  A call that waits there for a service, or for
 * a program that is to receive, would hold one of those places for as long as that likes, and all
 * that the kernel wants besides would wait for it.  So the callee parks what it cannot answer soon:
 * it says so in place of an answer, which gives the place back, and answers later in a message that
 * is like a request.  Each of the two keeps its own count of such calls, and what is beyond holds
 * its place as before: neither needs the other's word for it.
 */
#include "heap.h"
#include "kernel.h"
#include "srv.h"

#define MS         1000000ull
#define PARK_NS    (100 * MS)
#define GIVE_UP_NS (60000 * MS) /* what its kernel waits for, too */
#define TICK_NS    (100 * MS)

/* ---- calls of others ---- */

void park_answer(struct peer *p, const struct park *k, const void *data, size_t n)
{
    if (!k->parked) {
        peer_reply(p, data, n);
        return;
    }
    p->nparks -= p->nparks > 0 ? 1 : 0;
    if (p->state == PEER_UP && !peer_late(p, data, n))
        kern.stats.kdropped++;
}

void park_wait(struct peer *p, struct park *k, unsigned op, uint32_t tid, uint64_t ns)
{
    const uint64_t msg[3] = {KC_REPLY, op, tid};

    /* We may have slept until it came. */
    if (!k->seen) {
        k->seen = true;
        return;
    }
    k->waited += ns;
    if (k->parked || !p->ours || k->waited < PARK_NS)
        return;
    if (p->nparks + p->late.count >= KC_PARKS_MAX) {
        kern.stats.greedy += k->waited - ns < PARK_NS ? 1 : 0;
        return;
    }
    k->parked = true;
    p->nparks++;
    kern.stats.parked++;
    peer_reply(p, msg, sizeof(msg));
}

/* One that waits for too long; the original's wait for as long as they like. */
static struct rexchange *overdue(void)
{
    struct rexchange *x = kern.peers.exchanges;

    while (x && (x->park.waited <= GIVE_UP_NS || (!x->waits_ack && !peer_find(x->peer)->ours)))
        x = x->next;
    return x;
}

uint64_t rexchange_tick(uint64_t ns)
{
    struct rexchange *x;

    for (x = kern.peers.exchanges; x; x = x->next) {
        if (x->waits_ack)
            x->park.waited += ns;
        else
            park_wait(peer_find(x->peer), &x->park,
                      x->client.op == SRV_OPEN ? KC_CREATESESSFWD : KC_EXCHANGEOSESS, x->tid, ns);
    }
    /* Each may lead to others' ends. */
    while ((x = overdue()))
        rexchange_give_up(x);
    return kern.peers.exchanges ? TICK_NS : 0;
}

/* ---- calls of ours ---- */

bool park_told(struct peer *p, unsigned op, uint32_t tid)
{
    struct kparked *k;
    unsigned i = 0;

    if (op != KC_CREATESESSFWD && op != KC_EXCHANGEOSESS && op != KC_RECVBUFISATTACHED)
        return false;
    while (i < p->inflight && (p->req[i].op != op || p->req[i].tid != tid))
        i++;
    if (i == p->inflight)
        return false;
    k = p->nparked < KC_PARKED_MAX ? heap_alloc(sizeof(*k)) : NULL;
    if (!k) { /* it holds its place, as it would with the original */
        kern.stats.greedy++;
        return true;
    }
    k->req = p->req[i];
    k->next = p->parked;
    p->parked = k;
    p->nparked++;
    return peer_answered(p, op, &tid);
}

bool park_answered(struct peer *p, unsigned op, uint32_t *tid)
{
    if (!p->ours || !(*tid & KC_TID_LATE))
        return false;
    *tid &= ~KC_TID_LATE;
    for (struct kparked **link = &p->parked; *link; link = &(*link)->next) {
        struct kparked *k = *link;

        if (k->req.op != op || k->req.tid != *tid)
            continue;
        *link = k->next;
        p->nparked--;
        heap_free(k);
        return true;
    }
    return false;
}

bool park_is_late(const struct peer *p, unsigned op, const struct msg_reader *in)
{
    struct msg_reader look = *in;

    if (op == KC_CREATESESSRESP)
        msg_get_u32(&look); /* the VPE */
    else if (op != KC_EXCHANGEOSESSREPLY && op != KC_RECVBUFATTACHED)
        return false;
    return p->ours && (msg_get_u32(&look) & KC_TID_LATE) && !look.error;
}

void park_drop(struct peer *p)
{
    for (struct kparked *k; (k = p->parked);) {
        p->parked = k->next;
        heap_free(k);
    }
    p->nparked = 0;
}
