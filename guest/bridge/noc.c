/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rings between bridge and node; see noc.h.  The host is the only other one that writes the
 * area, but its fields are read once all the same: what counts is what this side has counted.
 */
#include "noc.h"

#include "../../include/errors.h"
#include "str.h"

#define barrier() __asm__ volatile("" ::: "memory")

static uint32_t load(const uint32_t *p)
{
    return *(const volatile uint32_t *)p;
}

static void store(uint32_t *p, uint32_t v)
{
    barrier(); /* what the index hands over was written before */
    *(volatile uint32_t *)p = v;
}

void noc_init(struct noc *n, struct bridge_area *area, const struct noc_ops *ops)
{
    memset(n, 0, sizeof(*n));
    n->area = area;
    n->ops = *ops;
}

const struct bridge_pkt *noc_peek(const struct noc *n, const void **data)
{
    uint32_t slot = n->out_head % BRIDGE_SLOTS;

    if (load(&n->area->out_tail) == n->out_head)
        return NULL;
    barrier();
    *data = n->area->out_data[slot];
    return &n->area->out[slot];
}

void noc_take(struct noc *n)
{
    n->stats.out++;
    store(&n->area->out_head, ++n->out_head);
}

uint32_t noc_room(const struct noc *n)
{
    return BRIDGE_SLOTS - (n->in_tail - n->in_done);
}

bool noc_waiting(const struct noc *n)
{
    return n->in_tail != n->in_done || n->late_count > 0;
}

static struct bridge_pkt *append(struct noc *n, const void *data, size_t len)
{
    uint32_t slot = n->in_tail % BRIDGE_SLOTS;
    struct bridge_pkt *e = &n->area->in[slot];

    if (len)
        memcpy(n->area->in_data[slot], data, len);
    n->in_tail++;
    return e;
}

void noc_deliver(struct noc *n, uint64_t handle, const struct bridge_pkt *pkt, const void *data)
{
    size_t len = pkt->op == BRIDGE_READ || pkt->len > BRIDGE_DATA ? 0 : pkt->len;
    uint32_t slot = n->in_tail % BRIDGE_SLOTS;

    if (noc_room(n) == 0 || pkt->len > BRIDGE_DATA) {
        n->stats.refused++;
        n->ops.delivered(n->ops.arg, handle, SE_NO_RING_SPACE, NULL);
        return;
    }
    n->stats.delivered++;
    n->handle[slot] = handle;
    if (pkt->op == BRIDGE_MSG)
        n->messages++;
    else
        n->transfers++;
    *append(n, data, len) = *pkt;
}

void noc_complete(struct noc *n, uint32_t id, uint16_t src_pe, uint32_t result, const void *data,
                  uint16_t len)
{
    struct bridge_pkt done = {
        .op = BRIDGE_COMPLETE, .id = id, .src_pe = src_pe, .result = result, .len = len};

    n->stats.completed++;
    if (len > BRIDGE_DATA)
        done.len = 0, done.result = SE_RECV_GONE;
    if (noc_room(n) > 0) {
        *append(n, data, done.len) = done;
    } else if (done.len == 0 && n->late_count < BRIDGE_SLOTS) {
        n->late[n->late_count].id = id;
        n->late[n->late_count].src_pe = src_pe;
        n->late[n->late_count++].result = done.result;
    } else {
        n->stats.refused++;
    }
}

unsigned noc_messages(const struct noc *n)
{
    return n->messages;
}

unsigned noc_transfers(const struct noc *n)
{
    return n->transfers;
}

void noc_post(struct noc *n)
{
    store(&n->area->in_tail, n->in_tail);
    n->stats.runs += n->in_tail != n->in_done;
}

/* Those that are served: what became of deliveries goes to their senders. */
void noc_collect(struct noc *n)
{
    unsigned late = n->late_count;

    barrier();
    n->messages = n->transfers = 0;
    while (n->in_done != n->in_tail) {
        uint32_t slot = n->in_done % BRIDGE_SLOTS;
        struct bridge_pkt *e = &n->area->in[slot];
        bool data = e->op == BRIDGE_READ && e->result == SE_OK;

        if (e->op != BRIDGE_COMPLETE)
            n->ops.delivered(n->ops.arg, n->handle[slot], e->result,
                             data ? n->area->in_data[slot] : NULL);
        n->in_done++;
    }
    n->late_count = 0;
    for (unsigned i = 0; i < late; i++) {
        n->stats.completed--; /* counted already */
        noc_complete(n, n->late[i].id, n->late[i].src_pe, n->late[i].result, NULL, 0);
    }
}

static void serve(struct noc *n)
{
    noc_post(n);
    n->ops.run(n->ops.arg);
    noc_collect(n);
}

void noc_run(struct noc *n)
{
    serve(n);
    if (noc_waiting(n))
        serve(n);
}
