/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capability tables and the tree of derived capabilities.
 *
 * A table is indexed by selector.  Across all tables, capabilities form a forest: a capability that
 * was delegated, obtained or derived is a child of the one it came from, wherever either is held.
 * Revocation walks that forest, see revoke.c.
 */
#include "far.h"
#include "heap.h"
#include "kernel.h"
#include "srv.h"
#include "str.h"

void move_touch(const struct cap *c)
{
    const struct vpe *v = kern.moves.vpe;

    if (v && (c->holder == v || (c->parent && c->parent->holder == v)))
        kern.moves.dirty = true;
}

struct cap *cap_at(const struct cap_table *t, uint32_t sel)
{
    const struct cap_leaf *leaf;

    if (sel >= CAP_INVALID)
        return NULL;
    leaf = t->leaf[sel / CAP_FANOUT];
    return leaf ? leaf->caps[sel % CAP_FANOUT] : NULL;
}

struct cap *cap_get(const struct cap_table *t, uint32_t sel)
{
    struct cap *c = cap_at(t, sel);

    return c && c->type != CAP_NONE ? c : NULL;
}

struct cap *cap_get_type(const struct cap_table *t, uint32_t sel, unsigned types)
{
    struct cap *c = cap_get(t, sel);

    return c && (c->type & types) ? c : NULL;
}

bool cap_unused(const struct cap_table *t, uint32_t sel)
{
    return sel < CAP_INVALID && !cap_at(t, sel);
}

bool cap_range_valid(uint32_t start, uint32_t count)
{
    return start < CAP_INVALID && count <= CAP_INVALID - start;
}

struct cap *cap_next(const struct cap_table *t, uint32_t sel)
{
    while (sel < CAP_INVALID) {
        const struct cap_leaf *leaf = t->leaf[sel / CAP_FANOUT];

        if (!leaf) {
            sel = (sel / CAP_FANOUT + 1) * CAP_FANOUT;
            continue;
        }
        if (leaf->caps[sel % CAP_FANOUT])
            return leaf->caps[sel % CAP_FANOUT];
        sel++;
    }
    return NULL;
}

static bool table_insert(struct cap_table *t, struct cap *c)
{
    struct cap_leaf **leaf = &t->leaf[c->sel / CAP_FANOUT];

    if (t->count >= VPE_CAPS_MAX)
        return false;
    if (!*leaf)
        *leaf = heap_calloc(1, sizeof(**leaf));
    if (!*leaf)
        return false;
    (*leaf)->caps[c->sel % CAP_FANOUT] = c;
    (*leaf)->used++;
    t->count++;
    return true;
}

void cap_table_remove(struct cap *c)
{
    move_touch(c);
    cap_table_drop(c);
}

void cap_table_drop(struct cap *c)
{
    struct cap_table *t = &c->holder->caps;
    struct cap_leaf **leaf = &t->leaf[c->sel / CAP_FANOUT];

    (*leaf)->caps[c->sel % CAP_FANOUT] = NULL;
    t->count--;
    if (--(*leaf)->used == 0) {
        heap_free(*leaf);
        *leaf = NULL;
    }
}

void cap_link(struct cap *c, struct cap *parent)
{
    c->parent = parent;
    if (!parent)
        return;
    c->next = parent->child;
    if (c->next)
        c->next->prev = c;
    parent->child = c;
}

void cap_unlink(struct cap *c)
{
    move_touch(c);
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else if (c->parent)
        c->parent->child = c->next;
    c->parent = c->next = c->prev = NULL;
}

uint16_t cap_serial(void)
{
    if (++kern.serial == 0)
        kern.serial = 1;
    return kern.serial;
}

struct cap *cap_create(struct vpe *holder, uint32_t sel, enum cap_type type, struct cap *parent)
{
    struct cap *c;

    if (!cap_unused(&holder->caps, sel))
        return NULL;
    c = heap_calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->holder = holder;
    c->sel = (uint16_t)sel;
    c->type = (uint8_t)type;
    c->serial = cap_serial();
    if (!table_insert(&holder->caps, c)) {
        heap_free(c);
        return NULL;
    }
    cap_link(c, parent);
    move_touch(c);
    return c;
}

struct cap *cap_reserve(struct vpe *holder, uint32_t sel, uint16_t serial)
{
    struct cap *c = cap_create(holder, sel, CAP_NONE, NULL);

    if (c)
        c->serial = serial;
    return c;
}

/* Types as keys have them (semperos-platform 7.4). */
static unsigned key_type(unsigned type)
{
    switch (type) {
    case CAP_MSG:
        return DDL_MSGCAP;
    case CAP_MEM:
        return DDL_MEMCAP;
    case CAP_SRV:
    case CAP_FAR_SRV:
        return DDL_SRVCAP;
    case CAP_SESS:
        return DDL_SESSCAP;
    case CAP_VPE:
    case CAP_FAR_VPE:
        return DDL_VPECAP;
    }
    return DDL_NONE;
}

uint64_t cap_key(const struct cap *c)
{
    return ddl_key(c->holder->pe, c->holder->pe, key_type(c->type),
                   (uint64_t)c->serial << 16 | c->sel);
}

struct cap *cap_by_key(uint64_t key)
{
    struct vpe *v = kern.pes[ddl_pe(key)].vpe;
    struct cap *c;

    if (!v || ddl_vpe(key) != ddl_pe(key) || ddl_object(key) >> 32)
        return NULL;
    c = cap_at(&v->caps, ddl_sel(key));
    return c && (ddl_serial(key) == 0 || ddl_serial(key) == c->serial) ? c : NULL;
}

struct rkid *cap_add_rkid(struct cap *c, uint64_t key)
{
    struct peer *p = peer_of_key(key);
    struct rkid *k;

    if (p && p->nchildren >= KC_CHILDREN_MAX) {
        kern.stats.greedy++;
        return NULL;
    }
    k = heap_calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->by = p;
    if (p)
        p->nchildren++;
    k->key = key;
    k->cap = c;
    k->next = c->rkids;
    c->rkids = k;
    move_touch(c);
    return k;
}

void cap_free_rkid(struct cap *c, struct rkid *k)
{
    struct rkid **link = &c->rkids;
    struct session *n = k->session;

    move_touch(c);
    while (*link != k)
        link = &(*link)->next;
    *link = k->next;
    if (k->by && k->by->nchildren > 0)
        k->by->nchildren--;
    heap_free(k);
    if (n)
        session_unpin(n);
}

struct cap *cap_derive(struct cap *src, struct vpe *holder, uint32_t sel)
{
    struct cap *c = cap_create(holder, sel, src->type, src);

    if (!c)
        return NULL;
    switch (src->type) {
    case CAP_MSG:
        c->msg = src->msg;
        break;
    case CAP_MEM:
        c->mem = src->mem;
        c->mem.area = NULL; /* the root frees it */
        break;
    case CAP_VPE:
        c->vpe = src->vpe;
        c->vpe->refs++;
        break;
    case CAP_SRV:
        c->srv = src->srv;
        c->srv->users++;
        break;
    case CAP_FAR_VPE:
        c->far = src->far;
        far_copied(c);
        break;
    case CAP_FAR_SRV:
        c->far_srv = src->far_srv;
        break;
    case CAP_SESS:
        c->sess = src->sess;
        session_cap_added(c->sess);
        break;
    }
    return c;
}
