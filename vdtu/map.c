/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests for mappings, and the DTU's hooks that end them.
 *
 * Locks: those of the DTUs, then that of the maps.  A mapping is made with the locks of both DTUs
 * held and ends with either's, so both have a count that is exact for who holds their lock: where
 * it is 0 a hook is done.  d->map changes with d's lock and that of the maps held, so either
 * suffices to read it.
 */
#include "map.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* One entry of a PE that has a window. */
struct mapping {
    struct vdtu *owner, *target; /* target NULL: revoked, or free */
    struct mapping *next;        /* of those of the same target */
    uint64_t at, size;           /* in the window; size 0: the entry is free */
    uint8_t ep;
};

struct vdtu_map {
    struct map_table *table;
    uint64_t window;
    uint32_t live[DTU_EPS]; /* mappings through an endpoint; atomic */
    struct mapping m[MAP_ENTRIES];
};

struct vdtu_maps {
    pthread_mutex_t lock;
    struct vdtu_map_mem mem;
    void *arg;
    uint32_t gens;
};

int vdtu_noc_maps(struct vdtu_noc *noc, const struct vdtu_map_mem *mem, void *arg)
{
    struct vdtu_maps *m = calloc(1, sizeof(*m));

    if (!m || pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        return -ENOMEM;
    }
    m->mem = *mem;
    m->arg = arg;
    noc->maps = m;
    return 0;
}

void vdtu_maps_free(struct vdtu_noc *noc)
{
    if (!noc->maps)
        return;
    pthread_mutex_destroy(&noc->maps->lock);
    free(noc->maps);
}

void vdtu_map_free(struct vdtu *d)
{
    free(d->map);
}

static struct vdtu_maps *lock(const struct vdtu *d)
{
    pthread_mutex_lock(&d->noc->maps->lock);
    return d->noc->maps;
}

static void unlock(struct vdtu_maps *maps)
{
    pthread_mutex_unlock(&maps->lock);
}

static void set64(uint64_t *to, uint64_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static struct map_entry *entry_of(const struct mapping *m)
{
    const struct vdtu_map *map = m->owner->map;

    return &map->table->entry[m - map->m];
}

/* ---- the end of a mapping ---- */

static void set_state(const struct mapping *m, enum map_state state)
{
    struct map_entry *e = entry_of(m);

    __atomic_store_n(&e->word, (e->word & ~0xFFull) | state, __ATOMIC_SEQ_CST);
}

/* Out of the target's list and both counts. */
static void unlink_target(struct mapping *m)
{
    struct mapping **link = &m->target->shown;

    while (*link != m)
        link = &(*link)->next;
    *link = m->next;
    __atomic_fetch_sub(&m->target->nshown, 1, __ATOMIC_RELEASE);
    __atomic_fetch_sub(&m->owner->map->live[m->ep], 1, __ATOMIC_RELEASE);
    m->target = NULL;
}

/*
 * The state first: a PE that copies and then finds the state LIVE has seen, or written, the target
 * with all of the copy.
 */
static void revoke(struct vdtu_maps *maps, struct mapping *m)
{
    set_state(m, MAP_DEAD);
    maps->mem.cut(maps->arg, m->owner->pe, m->at, m->size);
    unlink_target(m);
    __atomic_fetch_add(&m->owner->maps_revoked, 1, __ATOMIC_RELAXED);
}

void vdtu_map_ep_changed(struct vdtu *d, unsigned ep)
{
    struct vdtu_maps *maps;

    if (!d->map || !__atomic_load_n(&d->map->live[ep], __ATOMIC_ACQUIRE))
        return;
    maps = lock(d);
    for (unsigned i = 0; i < MAP_ENTRIES; i++)
        if (d->map->m[i].target && d->map->m[i].ep == ep)
            revoke(maps, &d->map->m[i]);
    unlock(maps);
}

void vdtu_map_vpe_changed(struct vdtu *d)
{
    struct vdtu_maps *maps;

    if (!d->map && !__atomic_load_n(&d->nshown, __ATOMIC_ACQUIRE))
        return;
    maps = lock(d);
    while (d->shown)
        revoke(maps, d->shown);
    for (unsigned i = 0; d->map && i < MAP_ENTRIES; i++)
        if (d->map->m[i].target)
            revoke(maps, &d->map->m[i]);
    unlock(maps);
}

static void close_entry(struct vdtu_maps *maps, struct mapping *m)
{
    if (m->size == 0)
        return;
    set_state(m, MAP_FREE);
    maps->mem.clear(maps->arg, m->owner->pe, m->at, m->size);
    if (m->target)
        unlink_target(m);
    m->size = 0;
}

void vdtu_map_close(struct vdtu *d, uint64_t entry)
{
    struct vdtu_maps *maps;

    if (!d->noc->maps || entry >= MAP_ENTRIES)
        return;
    maps = lock(d);
    if (d->map)
        close_entry(maps, &d->map->m[entry]);
    unlock(maps);
}

/* ---- PEs with a window ---- */

void vdtu_map_disable(struct vdtu *d)
{
    struct vdtu_maps *maps;

    if (!d->noc->maps)
        return;
    vdtu_lock(d);
    maps = lock(d);
    if (d->map) {
        for (unsigned i = 0; i < MAP_ENTRIES; i++)
            close_entry(maps, &d->map->m[i]);
        memset(d->map->table, 0, sizeof(*d->map->table));
        free(d->map);
        d->map = NULL;
    }
    unlock(maps);
    vdtu_unlock(d);
}

int vdtu_map_enable(struct vdtu *d, uint64_t window, struct map_table *table)
{
    struct vdtu_map *map;

    if (!d->noc->maps || window == 0 || window % MAP_PAGE || window > MAP_WINDOW_MAX)
        return -EINVAL;
    map = calloc(1, sizeof(*map));
    if (!map)
        return -ENOMEM;
    map->table = table;
    map->window = window;
    for (unsigned i = 0; i < MAP_ENTRIES; i++)
        map->m[i].owner = d;
    vdtu_map_disable(d);
    vdtu_lock(d);
    lock(d);
    memset(table, 0, sizeof(*table));
    set64(&table->window, window);
    d->map = map;
    unlock(d->noc->maps);
    vdtu_unlock(d);
    return 0;
}

/* ---- a request ---- */

/* What a request comes to: found() fills it in. */
struct place {
    struct map_request r;
    unsigned pe, vpe; /* the target */
    uint64_t off;     /* there */
};

static bool pages(uint64_t from, uint64_t size)
{
    return from % MAP_PAGE == 0 && size % MAP_PAGE == 0 && size != 0;
}

/* The request against the window and the endpoint as it is now. */
static unsigned find(const struct vdtu *d, struct place *p)
{
    const struct map_request *r = &p->r;
    uint64_t r0, base, r2, ep_size;

    if (!d->map)
        return SE_NOT_SUP;
    if (r->ep >= DTU_EPS)
        return SE_EP_INVALID;
    /* Pages that can be written but not read do not exist. */
    if (r->perm != DTU_PERM_R && r->perm != DTU_PERM_RW)
        return SE_INV_ARGS;
    if (!pages(r->addr, r->size) || r->addr < MAP_WINDOW_GPA || r->size > d->map->window ||
        r->addr - MAP_WINDOW_GPA > d->map->window - r->size)
        return SE_INV_ARGS;
    r0 = vdtu_get(d, DTU_EP(r->ep, 0));
    base = vdtu_get(d, DTU_EP(r->ep, 1));
    r2 = vdtu_get(d, DTU_EP(r->ep, 2));
    ep_size = r0 & ((1ull << 61) - 1);
    if (dtu_ep_type(r0) != DTU_EP_MEM)
        return SE_EP_INVALID;
    if (r->perm & ~r2)
        return SE_NO_PERM;
    /* Below DTU_BASE: what is above are registers.  No sum here overflows. */
    if (r->offset > ep_size || r->size > ep_size - r->offset || base >= DTU_BASE ||
        r->offset > DTU_BASE - base || r->size > DTU_BASE - base - r->offset ||
        !pages(base + r->offset, r->size))
        return SE_INV_ARGS;
    p->off = base + r->offset;
    p->pe = r2 >> 4 & 0x3FF;
    p->vpe = r2 >> 14 & 0x7FF;
    return SE_OK;
}

static bool overlaps(const struct vdtu_map *map, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < MAP_ENTRIES; i++)
        if (map->m[i].size && at < map->m[i].at + map->m[i].size && map->m[i].at < at + size)
            return true;
    return false;
}

static struct mapping *free_entry(struct vdtu_map *map)
{
    for (unsigned i = 0; i < MAP_ENTRIES; i++)
        if (map->m[i].size == 0)
            return &map->m[i];
    return NULL;
}

static void publish(const struct mapping *m, const struct place *p, uint32_t gen)
{
    struct map_entry *e = entry_of(m);

    set64(&e->addr, p->r.addr);
    set64(&e->size, p->r.size);
    set64(&e->offset, p->r.offset);
    __atomic_store_n(&e->ep, p->r.ep, __ATOMIC_RELAXED);
    __atomic_store_n(&e->perm, p->r.perm, __ATOMIC_RELAXED);
    __atomic_store_n(&e->word, MAP_WORD(gen, MAP_LIVE), __ATOMIC_RELEASE);
}

/* Both DTUs' locks and that of the maps held. */
static unsigned make(struct vdtu_maps *maps, struct vdtu *d, struct vdtu *t, const struct place *p,
                     unsigned *entry)
{
    uint64_t at = p->r.addr - MAP_WINDOW_GPA;
    struct mapping *m = free_entry(d->map);

    if (overlaps(d->map, at, p->r.size))
        return SE_EXISTS;
    if (!m)
        return SE_NO_SPACE;
    if (maps->mem.show(maps->arg, d->pe, at, t->pe, p->off, p->r.size, p->r.perm == DTU_PERM_RW) <
        0)
        return SE_OUT_OF_MEM;
    *m = (struct mapping){.owner = d,
                          .target = t,
                          .next = t->shown,
                          .at = at,
                          .size = p->r.size,
                          .ep = (uint8_t)p->r.ep};
    t->shown = m;
    __atomic_fetch_add(&t->nshown, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&d->map->live[m->ep], 1, __ATOMIC_RELAXED);
    publish(m, p, ++maps->gens);
    *entry = (unsigned)(m - d->map->m);
    return SE_OK;
}

/* Both locks held; what was looked at without that of t may have changed. */
static unsigned map_locked(struct vdtu *d, struct vdtu *t, struct place *p, unsigned *entry)
{
    struct vdtu_maps *maps;
    unsigned err = find(d, p);

    if (err)
        return err;
    if (p->pe != t->pe) /* somebody changes the endpoint just now */
        return SE_EP_INVALID;
    if ((uint16_t)vdtu_get(t, DTU_VPE_ID) != p->vpe)
        return SE_VPE_GONE;
    if (!vdtu_mem_span(t, p->off, p->r.size))
        return SE_INV_ARGS;
    maps = lock(d);
    err = make(maps, d, t, p, entry);
    unlock(maps);
    return err;
}

/* Reads the request, once, and the endpoint's target. */
static unsigned prepare(struct vdtu *d, uint64_t addr, struct place *p, struct vdtu **t)
{
    unsigned err;

    if (addr % 8 || !vdtu_mem_span(d, addr, sizeof(p->r)))
        return SE_INV_ARGS;
    vdtu_mem_get(d, addr, &p->r, sizeof(p->r));
    err = find(d, p);
    if (err)
        return err;
    *t = vdtu_noc_find(d->noc, p->pe);
    return *t && *t != d ? SE_OK : SE_NOT_SUP;
}

uint64_t vdtu_map_request(struct vdtu *d, uint64_t addr)
{
    struct vdtu *t = NULL;
    unsigned err, entry = 0;
    struct place p;

    if (!d->noc->maps)
        return (uint64_t)SE_NOT_SUP << 32;
    vdtu_lock(d);
    err = prepare(d, addr, &p, &t);
    if (!err) {
        vdtu_unlock(d);
        vdtu_lock(t->pe < d->pe ? t : d);
        vdtu_lock(t->pe < d->pe ? d : t);
        err = map_locked(d, t, &p, &entry);
        vdtu_unlock(t);
    }
    if (err)
        d->stats.maps_refused++;
    else
        d->stats.maps++;
    vdtu_unlock(d);
    return (uint64_t)err << 32 | entry;
}
