/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SENDs to other nodes that are under way together.  Each is begun as it would be alone: endpoint,
 * size and credits are checked, the price is paid, the message is read.  What a command does after
 * that does not depend on the endpoint any more, so the packets can wait for each other.
 */
#include "internal.h"

bool vdtu_batch_take(struct vdtu *d, const struct vdtu_pkt *pkt)
{
    struct vdtu_batch *b = d->batch;
    struct vdtu_pkt *p = &b->pkt[b->n < VDTU_BATCH ? b->n : 0];

    if (!d->noc->remote_many || pkt->type != VDTU_PKT_MSG || b->n == VDTU_BATCH ||
        pkt->len > sizeof(b->data) - b->used)
        return false;
    *p = *pkt;
    p->data = b->data + b->used;
    memcpy(p->data, pkt->data, pkt->len);
    b->used += pkt->len;
    b->n++;
    return true;
}

void vdtu_batch_event(struct vdtu *d)
{
    d->batch->ev[d->batch->n - 1] = d->ev;
}

bool vdtu_is_near(struct vdtu *d, uint64_t command)
{
    uint32_t ep = (uint32_t)(command >> 3);
    bool near = false;

    vdtu_lock(d);
    if (ep < DTU_EPS && dtu_ep_type(vdtu_get(d, DTU_EP(ep, 0))) == DTU_EP_SEND)
        near = vdtu_noc_find(d->noc, vdtu_get(d, DTU_EP(ep, 1)) >> 24 & 0x3FF) != NULL;
    vdtu_unlock(d);
    return near;
}

bool vdtu_begin(struct vdtu *d, struct vdtu_batch *b, uint64_t command)
{
    unsigned n = b->n;

    vdtu_lock(d);
    if ((command & 7) == DTU_SEND && !d->busy)
        d->batch = b;
    vdtu_command(d, command);
    d->batch = NULL;
    vdtu_unlock(d);
    return b->n > n;
}

static void ended(struct vdtu *d, struct vdtu_batch *b, unsigned i)
{
    const struct vdtu_pkt *pkt = &b->pkt[i];
    unsigned err = b->result[i];

    if (err) {
        d->stats.cmd_errors[err < 24 ? err : 23]++;
    } else {
        d->stats.msgs_sent++;
        d->stats.bytes_sent += pkt->len;
        vdtu_count_pair(d->noc, pkt->src_pe, pkt->dst_pe);
    }
    if (d->noc->trace) {
        b->ev[i].result = err;
        d->noc->trace(d->noc->trace_arg, &b->ev[i]);
    }
}

void vdtu_finish(struct vdtu *d, struct vdtu_batch *b)
{
    if (!b->n)
        return;
    d->noc->remote_many(d->noc->remote_arg, b->pkt, b->n, b->result);
    vdtu_lock(d);
    for (unsigned i = 0; i < b->n; i++)
        ended(d, b, i);
    vdtu_unlock(d);
}
