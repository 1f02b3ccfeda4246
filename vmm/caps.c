/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading what kernels tell of their capabilities, and putting it together.  Keys lead from one
 * kernel to another; the type in a key does not count, because a capability may have been reserved
 * before it was known what it would be.
 */
#include "caps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../include/capdump.h"
#include "../include/dtu.h"
#include "../include/kernelcalls.h"

static bool known_type(unsigned type)
{
    return type == DDL_NONE || type == DDL_MSGCAP || type == DDL_SRVCAP || type == DDL_SESSCAP ||
           type == DDL_VPECAP || type == DDL_MEMCAP;
}

static const char *add_vpe(struct caps *c, const struct capdump *r)
{
    struct caps_vpe *v = &c->vpe[c->nvpes];

    if (r->type > CAPDUMP_ENDED)
        return "a VPE in no known state";
    if (r->name[sizeof(r->name) - 1])
        return "a name without an end";
    *v = (struct caps_vpe){
        .kernel = c->nkernels, .exitcode = (int32_t)r->n, .pe = r->pe, .state = r->type};
    memcpy(v->name, r->name, sizeof(r->name));
    c->nvpes++;
    c->kernel[c->nkernels].nvpes++;
    return NULL;
}

static const char *add_cap(struct caps *c, const struct capdump *r, uint32_t first_vpe)
{
    struct caps_cap *p = &c->cap[c->ncaps];

    if (c->nvpes == first_vpe || c->vpe[c->nvpes - 1].pe != r->pe)
        return "a capability in no VPE's table";
    if (!known_type(r->type))
        return "a capability of no known type";
    if (ddl_pe(r->cap.key) != r->pe || ddl_sel(r->cap.key) != r->sel)
        return "a key that is another capability's";
    if (r->service[sizeof(r->service) - 1])
        return "a service's name without an end";
    *p = (struct caps_cap){.key = r->cap.key,
                           .parent_key = r->cap.parent,
                           .addr = r->cap.addr,
                           .size = r->cap.size,
                           .kernel = c->nkernels,
                           .vpe = c->nvpes - 1,
                           .parent = CAPS_NONE,
                           .child = CAPS_NONE,
                           .next = CAPS_NONE,
                           .strangers = CAPS_NONE,
                           .pe = r->pe,
                           .sel = r->sel,
                           .to_pe = r->to_pe,
                           .to_vpe = r->to_vpe,
                           .type = r->type,
                           .perms = r->perms,
                           .ep = r->ep};
    memcpy(p->service, r->service, sizeof(r->service));
    c->ncaps++;
    c->vpe[c->nvpes - 1].ncaps++;
    c->kernel[c->nkernels].ncaps++;
    return NULL;
}

static const char *add_child(struct caps *c, const struct capdump *r, uint32_t first_cap)
{
    const struct caps_cap *p = &c->cap[c->ncaps - (c->ncaps > 0)];

    if (c->ncaps == first_cap || p->pe != r->pe || p->sel != r->sel)
        return "a child of no capability";
    c->kid[c->nchildren++] =
        (struct caps_child){.key = r->cap.key, .cap = c->ncaps - 1, .next = CAPS_NONE};
    return NULL;
}

/* Room for what n records can be at most. */
static int reserve(struct caps *c, size_t n)
{
    struct caps_kernel *kernel = realloc(c->kernel, (c->nkernels + 1) * sizeof(*kernel));
    struct caps_vpe *vpe;
    struct caps_cap *cap;
    struct caps_child *kid;

    if (kernel)
        c->kernel = kernel;
    vpe = realloc(c->vpe, (c->nvpes + n) * sizeof(*vpe));
    if (vpe)
        c->vpe = vpe;
    cap = realloc(c->cap, (c->ncaps + n) * sizeof(*cap));
    if (cap)
        c->cap = cap;
    kid = realloc(c->kid, (c->nchildren + n) * sizeof(*kid));
    if (kid)
        c->kid = kid;
    return kernel && vpe && cap && kid ? 0 : -ENOMEM;
}

/* The frame: the first and the last record.  NULL: all well. */
static const char *check_ends(const struct capdump *first, const struct capdump *last, size_t n,
                              unsigned pe, uint64_t question)
{
    if (first->kind != CAPDUMP_KERNEL || first->pe != pe)
        return "it does not begin with the kernel";
    if (last->kind != CAPDUMP_END || last->cap.size != n - 1)
        return "the end is missing";
    if (first->cap.key != question || last->cap.key != question)
        return "it answers another question";
    return NULL;
}

static const char *read_records(struct caps *c, const uint8_t *data, size_t n, size_t *at)
{
    uint32_t first_vpe = c->nvpes, first_cap = c->ncaps;
    const char *wrong = NULL;
    struct capdump r;

    for (*at = 1; *at < n - 1 && !wrong; ++*at) {
        memcpy(&r, data + *at * sizeof(r), sizeof(r));
        if (r.pe >= DTU_PES)
            wrong = "a PE that cannot be";
        else if (r.kind == CAPDUMP_VPE)
            wrong = add_vpe(c, &r);
        else if (r.kind == CAPDUMP_CAP)
            wrong = add_cap(c, &r, first_vpe);
        else if (r.kind == CAPDUMP_CHILD)
            wrong = add_child(c, &r, first_cap);
        else
            wrong = "no known record";
    }
    return wrong;
}

int caps_add(struct caps *c, unsigned pe, uint64_t question, const void *data, size_t len,
             char *err, size_t errsize)
{
    uint32_t nvpes = c->nvpes, ncaps = c->ncaps, nchildren = c->nchildren;
    size_t n = len / sizeof(struct capdump), at = 0;
    struct capdump first, last;
    const char *wrong = NULL;

    if (n < 2 || len % sizeof(first) || len > CAPS_ANSWER_MAX) {
        snprintf(err, errsize, "the kernel on PE %u told %zu bytes, no whole answer", pe, len);
        return -EINVAL;
    }
    if (reserve(c, n) < 0) {
        snprintf(err, errsize, "out of memory for %zu records of PE %u", n, pe);
        return -ENOMEM;
    }
    memcpy(&first, data, sizeof(first));
    memcpy(&last, (const uint8_t *)data + (n - 1) * sizeof(last), sizeof(last));
    c->kernel[c->nkernels] =
        (struct caps_kernel){.id = first.n, .pe = (uint16_t)pe, .revocations = first.cap.size};
    wrong = check_ends(&first, &last, n, pe, question);
    if (!wrong)
        wrong = read_records(c, data, n, &at);
    if (wrong) {
        c->nvpes = nvpes;
        c->ncaps = ncaps;
        c->nchildren = nchildren;
        snprintf(err, errsize, "the kernel on PE %u told nonsense in record %zu of %zu: %s", pe, at,
                 n, wrong);
        return -EINVAL;
    }
    c->nkernels++;
    return 0;
}

/* ---- who was derived from whom ---- */

static uint64_t untyped(uint64_t key)
{
    return key & ~DDL_TYPE_MASK;
}

static int by_key(const void *a, const void *b, void *arg)
{
    const struct caps *c = arg;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    uint64_t x = untyped(c->cap[i].key), y = untyped(c->cap[j].key);

    return x != y ? (x > y) - (x < y) : (i > j) - (i < j);
}

/* The first of those with that key. */
static uint32_t find(const struct caps *c, uint64_t key)
{
    uint32_t low = 0, high = c->ncaps;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (untyped(c->cap[c->order[mid]].key) < untyped(key))
            low = mid + 1;
        else
            high = mid;
    }
    if (low < c->ncaps && ddl_same(c->cap[c->order[low]].key, key))
        return c->order[low];
    return CAPS_NONE;
}

/* Marks what hangs below a root; each capability has one parent, so nothing is met twice. */
static uint32_t reach(struct caps *c, uint32_t root)
{
    uint32_t at = root, n = 0;

    while (at != CAPS_NONE) {
        if (!c->cap[at].reached)
            n++;
        c->cap[at].reached = true;
        if (c->cap[at].child != CAPS_NONE) {
            at = c->cap[at].child;
            continue;
        }
        while (at != root && c->cap[at].next == CAPS_NONE)
            at = c->cap[at].parent;
        at = at == root ? CAPS_NONE : c->cap[at].next;
    }
    return n;
}

static void link_parent(struct caps *c, uint32_t i)
{
    struct caps_cap *p = &c->cap[i];
    uint32_t parent;

    if (p->parent_key == 0)
        return;
    parent = find(c, p->parent_key);
    if (parent == CAPS_NONE) {
        p->orphan = true;
        c->orphans++;
        return;
    }
    p->parent = parent;
    p->next = c->cap[parent].child;
    c->cap[parent].child = i;
}

int caps_link(struct caps *c)
{
    uint32_t reached = 0;

    c->order = calloc(c->ncaps + 1, sizeof(*c->order));
    if (!c->order)
        return -ENOMEM;
    for (uint32_t i = 0; i < c->ncaps; i++)
        c->order[i] = i;
    qsort_r(c->order, c->ncaps, sizeof(*c->order), by_key, c);
    for (uint32_t i = 1; i < c->ncaps; i++)
        c->doubles += ddl_same(c->cap[c->order[i]].key, c->cap[c->order[i - 1]].key);
    for (uint32_t i = c->ncaps; i-- > 0;) /* from the end: siblings in their order */
        link_parent(c, i);
    for (uint32_t i = c->nchildren; i-- > 0;) {
        struct caps_child *k = &c->kid[i];

        if (find(c, k->key) != CAPS_NONE)
            continue;
        k->next = c->cap[k->cap].strangers;
        c->cap[k->cap].strangers = i;
        c->strangers++;
    }
    for (uint32_t i = 0; i < c->ncaps; i++)
        if (c->cap[i].parent == CAPS_NONE)
            reached += reach(c, i);
    c->circles = c->ncaps - reached;
    return 0;
}

void caps_free(struct caps *c)
{
    free(c->kernel);
    free(c->vpe);
    free(c->cap);
    free(c->kid);
    free(c->order);
    *c = (struct caps){0};
}
