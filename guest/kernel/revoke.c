/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocation: a capability and everything derived from it, in whatever tables, with the endpoints
 * that were configured from it.
 *
 * The tree is walked without recursion and without extra memory.  A list begins with the
 * capabilities to revoke; each one, when its turn comes, appends its children.  The same list,
 * complete, is then what has to be freed.  In the first pass every capability leaves its table and
 * its endpoints become invalid; only when none can be used any longer are memory areas and VPEs
 * released in the second.
 */
#include "heap.h"
#include "kernel.h"

struct list {
    struct cap *head, **tail;
};

static void list_init(struct list *l)
{
    l->head = NULL;
    l->tail = &l->head;
}

static void list_add(struct list *l, struct cap *c)
{
    cap_unlink(c);
    *l->tail = c;
    l->tail = &c->next;
}

/* Takes c out of use; its children join the list. */
static void disable(struct list *l, struct cap *c)
{
    struct cap *child = c->child;

    c->child = NULL;
    cap_table_remove(c);
    ep_forget_cap(c);
    sys_gate_gone(c);
    if (child)
        *l->tail = child;
    for (; child; child = child->next) {
        child->parent = child->prev = NULL;
        l->tail = &child->next;
    }
}

static void release(struct cap *c)
{
    if (c->type == CAP_MEM && c->mem.area)
        memmap_free(&kern.mem, c->mem.area);
    if (c->type == CAP_VPE && c->sel != CAP_SELF_VPE)
        vpe_put(c->vpe);
    if (c->type == CAP_SRV)
        srv_cap_gone(c);
    if (c->type == CAP_SESS)
        session_cap_gone(c->sess, c->sess_owner);
    heap_free(c);
}

static void list_revoke(struct list *l)
{
    struct cap *next;

    for (struct cap *c = l->head; c; c = c->next)
        disable(l, c);
    for (struct cap *c = l->head; c; c = next) {
        next = c->next;
        release(c);
    }
}

void cap_revoke(struct cap *c)
{
    struct list l;

    list_init(&l);
    list_add(&l, c);
    list_revoke(&l);
}

void cap_revoke_children(struct cap *c)
{
    struct list l;

    list_init(&l);
    while (c->child)
        list_add(&l, c->child);
    list_revoke(&l);
}

void cap_revoke_all(struct vpe *v)
{
    struct cap *self = cap_get(&v->caps, CAP_SELF_VPE);
    struct cap *c, *next;

    /* Others may still ask how it ended: capabilities for it become roots.  Its own go below. */
    for (c = self ? self->child : NULL; c; c = next) {
        next = c->next;
        if (c->type == CAP_VPE)
            cap_unlink(c);
    }
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
        sel = c->sel;
        cap_revoke(c);
    }
}
