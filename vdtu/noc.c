/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NoC: which DTUs there are, their locks, and how a packet gets from one to another.
 *
 * There is no lock of the NoC itself.  Its table changes only while nobody uses it, so looking up a
 * PE costs a load.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

struct vdtu_noc *vdtu_noc_new(void)
{
    return calloc(1, sizeof(struct vdtu_noc));
}

void vdtu_noc_free(struct vdtu_noc *noc)
{
    if (noc) {
        vdtu_rings_free(noc);
        vdtu_maps_free(noc);
        free(noc->pairs);
    }
    free(noc);
}

int vdtu_noc_count_pairs(struct vdtu_noc *noc)
{
    if (!noc->pairs)
        noc->pairs = calloc((size_t)DTU_PES * DTU_PES, sizeof(*noc->pairs));
    return noc->pairs ? 0 : -ENOMEM;
}

uint64_t vdtu_noc_pair(const struct vdtu_noc *noc, unsigned from, unsigned to)
{
    if (!noc->pairs || from >= DTU_PES || to >= DTU_PES)
        return 0;
    return __atomic_load_n(&noc->pairs[(size_t)from * DTU_PES + to], __ATOMIC_RELAXED);
}

void vdtu_count_pairs(struct vdtu_noc *noc, unsigned from, unsigned to, uint64_t n)
{
    if (noc->pairs && from < DTU_PES && to < DTU_PES)
        __atomic_fetch_add(&noc->pairs[(size_t)from * DTU_PES + to], n, __ATOMIC_RELAXED);
}

void vdtu_count_pair(struct vdtu_noc *noc, unsigned from, unsigned to)
{
    vdtu_count_pairs(noc, from, to, 1);
}

void vdtu_noc_remote(struct vdtu_noc *noc, vdtu_remote_fn fn, void *arg)
{
    noc->remote = fn;
    noc->remote_arg = arg;
}

void vdtu_noc_remote_many(struct vdtu_noc *noc, vdtu_remote_many_fn fn)
{
    noc->remote_many = fn;
}

void vdtu_noc_halt(struct vdtu_noc *noc)
{
    __atomic_store_n(&noc->halted, true, __ATOMIC_RELAXED);
}

void vdtu_noc_transit(struct vdtu_noc *noc, vdtu_transit_fn fn, void *arg)
{
    noc->transit = fn;
    noc->transit_arg = arg;
}

void vdtu_noc_trace(struct vdtu_noc *noc, vdtu_trace_fn fn, void *arg)
{
    noc->trace = fn;
    noc->trace_arg = arg;
}

static bool config_ok(const struct vdtu_config *cfg)
{
    return cfg->pe < DTU_PES && cfg->mem_size <= 1ull << DTU_OFFSET_BITS &&
           (cfg->mem || !cfg->mem_size) && cfg->regs && (uintptr_t)cfg->regs % 8 == 0;
}

int vdtu_new(struct vdtu_noc *noc, const struct vdtu_config *cfg, struct vdtu **out)
{
    struct vdtu *d;
    int err;

    if (!config_ok(cfg))
        return -EINVAL;
    if (noc->dtu[cfg->pe])
        return -EEXIST;
    d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    err = -pthread_mutex_init(&d->lock, NULL);
    if (err) {
        free(d);
        return err;
    }
    d->noc = noc;
    d->mem = cfg->mem;
    d->mem_size = cfg->mem_size;
    d->regs = cfg->regs;
    d->pe = cfg->pe;
    d->memory_pe = cfg->memory_pe;
    d->arg = cfg->arg;
    if (cfg->ops)
        d->ops = *cfg->ops;
    vdtu_reset(d);
    noc->dtu[d->pe] = d;
    *out = d;
    return 0;
}

void vdtu_free(struct vdtu *d)
{
    if (!d)
        return;
    d->noc->dtu[d->pe] = NULL;
    vdtu_ring_free(d);
    vdtu_map_free(d);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

uint16_t vdtu_pe(const struct vdtu *d)
{
    return d->pe;
}

void vdtu_lock(struct vdtu *d)
{
    pthread_mutex_lock(&d->lock);
    if (d->ops.drain)
        d->ops.drain(d->arg);
}

void vdtu_unlock(struct vdtu *d)
{
    pthread_mutex_unlock(&d->lock);
}

struct vdtu *vdtu_noc_find(const struct vdtu_noc *noc, unsigned pe)
{
    return pe < DTU_PES ? noc->dtu[pe] : NULL;
}

unsigned vdtu_accept(struct vdtu *t, struct vdtu_pkt *pkt)
{
    return pkt->type == VDTU_PKT_MSG ? vdtu_accept_msg(t, pkt) : vdtu_accept_mem(t, pkt);
}

static unsigned transmit_remote(struct vdtu *d, struct vdtu_pkt *pkt)
{
    const struct vdtu_noc *noc = d->noc;
    unsigned err;

    if (!noc->remote || pkt->dst_pe >= DTU_PES)
        return SE_EP_INVALID;
    if (d->batch && vdtu_batch_take(d, pkt))
        return VDTU_BEGUN;
    vdtu_unlock(d);
    err = noc->remote(noc->remote_arg, pkt);
    vdtu_lock(d);
    return err;
}

/* Not a strong hash: it has to tell payloads apart, and to cost little beside the copy. */
static uint64_t mix(uint64_t h, const uint8_t *p, uint32_t len)
{
    uint64_t w;

    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&w, p, 8);
        h = (h ^ w) * 0x9E3779B97F4A7C15ull;
        h ^= h >> 29;
    }
    for (; len; len--, p++)
        h = (h ^ *p) * 0x100000001B3ull;
    return h;
}

void vdtu_note(struct vdtu *d, const struct vdtu_pkt *pkt)
{
    struct vdtu_event *ev = &d->ev;

    if (!d->noc->trace)
        return;
    if (ev->len == 0) {
        ev->hash = 0xCBF29CE484222325ull;
        ev->offset = pkt->offset;
        memcpy(&ev->first, pkt->data, pkt->len < 8 ? pkt->len : 8);
    }
    ev->peer = pkt->dst_pe;
    if (pkt->type == VDTU_PKT_MSG)
        ev->label = pkt->hdr.label;
    ev->len += pkt->len;
    ev->hash = mix(ev->hash, pkt->data, pkt->len);
}

unsigned vdtu_transmit(struct vdtu *d, struct vdtu *t, struct vdtu_pkt *pkt)
{
    unsigned err = d->refusal;

    d->refusal = SE_OK;
    if (!err)
        err = t ? vdtu_accept(t, pkt) : transmit_remote(d, pkt);
    vdtu_note(d, pkt);
    if (!err && pkt->type == VDTU_PKT_MSG) {
        d->stats.msgs_sent++;
        d->stats.bytes_sent += pkt->len;
        vdtu_count_pair(d->noc, pkt->src_pe, pkt->dst_pe);
    }
    return err;
}

/*
 * The other node's DTU filled this in, but a network lay between: what the own DTU guarantees for
 * its packets is checked here for foreign ones.
 */
static bool packet_ok(const struct vdtu_pkt *pkt)
{
    switch (pkt->type) {
    case VDTU_PKT_MSG:
        return pkt->len <= DTU_MAX_PACKET - sizeof(struct dtu_header) &&
               pkt->hdr.length == pkt->len && pkt->hdr.sender_pe == pkt->src_pe;
    case VDTU_PKT_READ:
    case VDTU_PKT_WRITE:
        return pkt->len <= DTU_MAX_PACKET && pkt->offset < 1ull << DTU_OFFSET_BITS;
    }
    return false;
}

unsigned vdtu_deliver(struct vdtu_noc *noc, struct vdtu_pkt *pkt)
{
    struct vdtu *t = vdtu_noc_find(noc, pkt->dst_pe);
    unsigned err;

    if (!t)
        return SE_EP_INVALID;
    if (!packet_ok(pkt))
        return SE_INV_ARGS;
    vdtu_lock(t);
    err = vdtu_accept(t, pkt);
    vdtu_unlock(t);
    if (!err && pkt->type == VDTU_PKT_MSG)
        vdtu_count_pair(noc, pkt->src_pe, pkt->dst_pe);
    return err;
}
