/* SPDX-License-Identifier: BSD-2-Clause */
/* The model, and the comparison (oracle.h). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

struct oracle oracle;

unsigned oracle_pick(unsigned n)
{
    oracle.state ^= oracle.state << 13;
    oracle.state ^= oracle.state >> 7;
    oracle.state ^= oracle.state << 17;
    return (unsigned)(oracle.state >> 11) % n;
}

void oracle_fail(const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "oracle: seed %lu: ", (unsigned long)oracle.seed);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    if (getenv("ORACLE_TALK"))
        fprintf(stderr, "%s", fake_console());
    abort();
}

/* ---- the forest ---- */

void oracle_add(unsigned at, int parent)
{
    struct oracle_node *n = &oracle.node[at];

    if (parent >= 0 && !oracle.node[parent].there)
        return;
    *n = (struct oracle_node){
        .there = true, .pending = n->pending, .parent = parent, .child = -1, .next = -1};
    oracle.made++;
    if (parent < 0)
        return;
    n->next = oracle.node[parent].child;
    oracle.node[parent].child = (int)at;
}

void oracle_revoke_children(unsigned at)
{
    /* The list of those to visit goes through `next`, as the children's lists do. */
    int todo = oracle.node[at].child;

    oracle.node[at].child = -1;
    while (todo >= 0) {
        struct oracle_node *n = &oracle.node[todo];
        int next = n->next, c = n->child;

        n->there = n->pending = false;
        oracle.revoked++;
        while (c >= 0) {
            int after = oracle.node[c].next;

            oracle.node[c].next = next;
            next = c;
            c = after;
        }
        n->child = -1;
        todo = next;
    }
}

void oracle_revoke(unsigned at)
{
    struct oracle_node *n = &oracle.node[at];
    int *link;

    if (!n->there)
        return;
    oracle_revoke_children(at);
    for (link = n->parent >= 0 ? &oracle.node[n->parent].child : NULL; link && *link >= 0;
         link = &oracle.node[*link].next) {
        if (*link != (int)at)
            continue;
        *link = n->next;
        break;
    }
    n->there = n->pending = false;
    oracle.revoked++;
}

void oracle_revoke_table(unsigned t)
{
    for (unsigned s = 0; s < oracle.table[t].used; s++)
        oracle_revoke(t * ORACLE_SELS + s);
}

/* ---- the kernels ---- */

static struct vpe *vpe_of(unsigned t)
{
    oracle_find(t);
    fake_use(oracle.table[t].kernel);
    return kern.pes[oracle.table[t].pe].vpe;
}

struct cap *oracle_real(unsigned t, unsigned s)
{
    struct vpe *v = oracle.table[t].live ? vpe_of(t) : NULL;

    return v ? cap_get(&v->caps, ORACLE_FIRST + s) : NULL;
}

int oracle_some(unsigned t)
{
    for (unsigned tries = 0; tries < 20 && oracle.table[t].used > 0; tries++) {
        unsigned s = oracle_pick(oracle.table[t].used);

        if (oracle.node[t * ORACLE_SELS + s].there && !oracle.node[t * ORACLE_SELS + s].pending)
            return (int)s;
    }
    return -1;
}

static void compare_table(unsigned t)
{
    for (unsigned s = 0; s < ORACLE_SELS; s++) {
        bool there = oracle_real(t, s) != NULL;

        if (there != oracle.node[t * ORACLE_SELS + s].there)
            oracle_fail("table %u, selector %u: %s", t, s, there ? "should be gone" : "is missing");
    }
}

/* What kernel k says of a child at another kernel is true there, and the other way round. */
static bool child_knows(unsigned k, const struct cap *parent, const struct rkid *kid)
{
    unsigned other;
    struct cap *c;
    bool knows;

    fake_use(k);
    other = peer_owner(ddl_pe(kid->key));
    if (other >= fake_kernels())
        return false;
    fake_use(other);
    c = cap_by_key(kid->key);
    knows = c && c->type != CAP_NONE;
    fake_use(k);
    return knows && ddl_same(c->rparent, cap_key(parent));
}

static bool parent_knows(unsigned k, const struct cap *c)
{
    uint64_t key = cap_key(c);
    const struct cap *parent;
    unsigned other;

    fake_use(k);
    other = peer_owner(ddl_pe(c->rparent));
    if (other >= fake_kernels())
        return false;
    fake_use(other);
    parent = cap_by_key(c->rparent);
    for (const struct rkid *kid = parent ? parent->rkids : NULL; kid; kid = kid->next)
        if (ddl_same(kid->key, key))
            return true;
    for (const struct loan *l = kern.moves.loans; l; l = l->next)
        if (ddl_same(l->key, c->rparent) && ddl_same(l->child, key))
            return true;
    return false;
}

/* Memory of kernel k's that a VPE has taken along is that VPE's, wherever that is. */
static void compare_loans(unsigned k)
{
    fake_use(k);
    for (const struct loan *l = kern.moves.loans; l; l = l->next) {
        unsigned other = peer_owner(ddl_pe(l->child));
        struct cap *c;

        if (other >= fake_kernels())
            oracle_fail("kernel %u: memory lent to nobody", k);
        fake_use(other);
        c = cap_by_key(l->child);
        if (!c || c->type != CAP_MEM || !ddl_same(c->rparent, l->key))
            oracle_fail("kernel %u: memory lent to PE %u, which has not got it", k,
                        ddl_pe(l->child));
        fake_use(k);
    }
}

static unsigned compare_caps(unsigned k)
{
    unsigned caps = 0;

    compare_loans(k);
    for (const struct vpe *v = kern.vpes; v; v = v->next) {
        for (uint32_t sel = 0; cap_next(&v->caps, sel); sel++, caps++) {
            struct cap *c = cap_next(&v->caps, sel);

            sel = c->sel;
            if (c->type == CAP_NONE)
                oracle_fail("kernel %u, PE %u, selector %u: reserved for nothing", k, v->pe, sel);
            for (const struct rkid *kid = c->rkids; kid; kid = kid->next)
                if (!child_knows(k, c, kid))
                    oracle_fail("kernel %u, PE %u, selector %u: a child that is not there", k,
                                v->pe, sel);
            if (c->rparent && !parent_knows(k, c))
                oracle_fail("kernel %u, PE %u, selector %u: an orphan", k, v->pe, sel);
            fake_use(k);
        }
    }
    return caps;
}

void oracle_compare(void)
{
    unsigned caps = 0;

    fake_check();
    for (unsigned t = 0; t < ORACLE_TABLES; t++)
        compare_table(t);
    for (unsigned k = 0; k < fake_kernels(); k++)
        if (oracle_lives(k))
            caps += compare_caps(k);
    if (caps > oracle.most)
        oracle.most = caps;
}
