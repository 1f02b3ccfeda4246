/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocation: a capability and everything derived from it, in whatever tables of whatever kernels,
 * with the endpoints that were configured from it.
 *
 * The tree is walked without recursion and without extra memory.  A list begins with the capability
 * to revoke, the root; each one, when its turn comes, appends its children.  The same list,
 * complete, is then what has to be freed.  In the first pass every capability leaves its table and
 * its endpoints become invalid; only when none can be used any longer, here or elsewhere, are
 * memory areas and VPEs released in the second.
 *
 * Children of other kernels (struct rkid) are only noted during the walk; then each kernel is asked
 * for all that it has, many in a message.  Until all have been answered the root stays in
 * kern.revocations, and its struct revocation says who waits.  What is being revoked is in no
 * table, so nothing new can be derived from it.
 *
 * Overlapping revocations.  One begins at P while another that began at P's child C is still under
 * way: C is in no list of P's any more, but C's revocation knows P; P's finds it when it takes P
 * out of use, and waits for it.  When P is another kernel's, that kernel's REVOKE for C finds C
 * among the roots here, and is answered when that one is done.  A revocation has one root, so who
 * waits for whom follows the tree, and no two can wait for each other.
 */
#include "far.h"
#include "heap.h"
#include "kernel.h"
#include "srv.h"

/* ---- done ---- */

static void release(struct cap *c)
{
    if (c->type == CAP_MEM && c->mem.area)
        memmap_free(&kern.mem, c->mem.area);
    if (c->type == CAP_VPE && c->sel != CAP_SELF_VPE)
        vpe_put(c->vpe);
    if (c->type == CAP_SRV)
        srv_cap_gone(c);
    if (c->type == CAP_FAR_VPE)
        far_released(c);
    if (c->type == CAP_SESS)
        session_cap_gone(c->sess, c->sess_owner);
}

static void unlist(struct cap *root)
{
    struct cap **link = &kern.revocations;

    while (*link && *link != root)
        link = &(*link)->rev.next;
    if (*link)
        *link = root->rev.next;
}

/* Whose child root was is told; the root is freed, now or when that has been sent. */
static void tell_parent(struct cap *root)
{
    const struct revocation *r = &root->rev;
    struct peer *p = r->peer;

    if (r->parent)
        r->parent->nrev--;
    if (p) {
        root->key = r->peer_key;
        peer_finished(p, root);
        return;
    }
    p = root->rparent ? peer_of_key(root->rparent) : NULL;
    if (p)
        peer_removed(p, root);
    else
        heap_free(root);
}

/* Frees all that was revoked with root; the one that waits for it, if it need not any longer. */
static struct cap *finish(struct cap *root)
{
    struct revocation r = root->rev;
    struct cap *next = root->next;

    unlist(root);
    release(root);
    for (struct cap *c = next; c; c = next) {
        next = c->next;
        release(c);
        heap_free(c);
    }
    tell_parent(root);
    if (r.waiter && --r.waiter->wait.count == 0)
        sys_answer(r.waiter, SE_OK, NULL);
    if (r.pe)
        pe_release(r.pe);
    return r.up && --r.up->rev.waits == 0 && !r.up->rev.walking ? r.up : NULL;
}

/* n answers less to wait for. */
static void answered(struct cap *root, unsigned n)
{
    root->rev.waits -= n;
    root->rev.waited = 0;
    if (root->rev.walking)
        return;
    for (struct cap *c = root->rev.waits == 0 ? root : NULL; c; c = finish(c))
        ;
}

/* ---- the walk ---- */

/* Revocations that began at children of c, which goes, too: root waits for them. */
static void adopt(struct cap *root, struct cap *c)
{
    for (struct cap *r = kern.revocations; r && c->nrev > 0; r = r->rev.next) {
        if (r->rev.parent != c)
            continue;
        r->rev.parent = NULL;
        r->rev.up = root;
        root->rev.waits++;
        c->nrev--;
    }
}

static void revoke_rkids(struct cap *root, struct cap *c)
{
    struct rkid *next;

    for (struct rkid *k = c->rkids; k; k = next) {
        struct peer *p = peer_of_key(k->key);

        next = k->next;
        if (!p) {
            cap_free_rkid(c, k);
            continue;
        }
        root->rev.waits++;
        peer_revoke(p, k);
    }
}

/* Takes c out of use; its children join the list that ends at *tail. */
static struct cap **disable(struct cap *root, struct cap *c, struct cap **tail)
{
    struct cap *child = c->child;

    c->child = NULL;
    c->key = cap_key(c);
    cap_table_remove(c);
    ep_forget_cap(c);
    sys_gate_gone(c);
    if (c->type == CAP_SRV)
        srv_cap_disable(c);
    if (c->type == CAP_FAR_VPE)
        far_disabled(c);
    adopt(root, c);
    if (child)
        *tail = child;
    for (; child; child = child->next) {
        child->parent = child->prev = NULL;
        tail = &child->next;
    }
    revoke_rkids(root, c);
    return tail;
}

bool cap_revoke_for(struct cap *root, const struct revoke_for *who)
{
    struct cap **tail = &root->next;
    bool done;

    peer_cork();
    root->rev = (struct revocation){.next = kern.revocations, .walking = true, .waits = 1};
    root->rev.parent = root->parent;
    if (root->parent)
        root->parent->nrev++;
    cap_unlink(root);
    kern.revocations = root;
    for (struct cap *c = root; c; c = c->next)
        tail = disable(root, c, tail);
    root->rev.walking = false;
    if (who) {
        root->rev.waiter = who->waiter;
        root->rev.peer = who->peer;
        root->rev.peer_key = who->parent;
        root->rev.pe = who->pe;
        if (who->waiter)
            who->waiter->wait.count++;
        if (who->pe)
            who->pe->held++;
    }
    done = root->rev.waits == 1;
    if (done)
        answered(root, 1);
    else
        root->rev.waits--;
    peer_uncork();
    return done;
}

void cap_revoke(struct cap *c)
{
    cap_revoke_for(c, NULL);
}

/* The children of c that other kernels have, as those of a capability that only waits for them. */
bool cap_revoke_rkids(struct cap *c, const struct revoke_for *who)
{
    struct cap *proxy = heap_calloc(1, sizeof(*proxy));

    if (!proxy)
        return false;
    proxy->holder = c->holder;
    proxy->key = cap_key(c);
    proxy->rkids = c->rkids;
    c->rkids = NULL;
    for (struct rkid *k = proxy->rkids; k; k = k->next)
        k->cap = proxy;
    proxy->rev = (struct revocation){.next = kern.revocations, .walking = true, .waits = 1};
    /* So that a revocation of c itself finds it. */
    proxy->rev.parent = c;
    c->nrev++;
    kern.revocations = proxy;
    proxy->rev.waiter = who ? who->waiter : NULL;
    if (proxy->rev.waiter)
        proxy->rev.waiter->wait.count++;
    proxy->rev.pe = who ? who->pe : NULL;
    if (proxy->rev.pe)
        proxy->rev.pe->held++;
    peer_cork();
    revoke_rkids(proxy, proxy);
    proxy->rev.walking = false;
    answered(proxy, 1);
    peer_uncork();
    return true;
}

bool cap_revoke_children(struct cap *c, const struct revoke_for *who)
{
    while (c->child)
        cap_revoke_for(c->child, who);
    return !c->rkids || cap_revoke_rkids(c, who);
}

void cap_revoke_all(struct vpe *v)
{
    const struct revoke_for who = {.pe = &kern.pes[v->pe]};
    struct cap *self = cap_get(&v->caps, CAP_SELF_VPE);
    struct cap *c, *next;

    peer_cork();
    /* Others may still ask how it ended: capabilities for it become roots.  Its own go below. */
    for (c = self ? self->child : NULL; c; c = next) {
        next = c->next;
        if (c->type == CAP_VPE)
            cap_unlink(c);
    }
    for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
        sel = c->sel;
        cap_revoke_for(c, &who);
    }
    peer_uncork();
}

void revoke_forget_waiter(const struct vpe *v)
{
    for (struct cap *r = kern.revocations; r; r = r->rev.next)
        if (r->rev.waiter == v)
            r->rev.waiter = NULL;
}

/* ---- other kernels ---- */

/*
 * c's VPE has ended: c stays for its exit code, as nobody's child.  What was derived from it went
 * when that was told (far.c), and p is answered when it is gone.
 */
static bool revoke_ended(struct peer *p, struct cap *c, uint64_t parent)
{
    struct cap *proxy = heap_calloc(1, sizeof(*proxy));

    if (!proxy)
        return false;
    proxy->holder = c->holder;
    proxy->key = cap_key(c);
    proxy->rev = (struct revocation){
        .next = kern.revocations, .walking = true, .waits = 1, .peer = p, .peer_key = parent};
    kern.revocations = proxy;
    adopt(proxy, c);
    c->rparent = 0;
    proxy->rev.walking = false;
    answered(proxy, 1);
    return true;
}

void revoke_asked(struct peer *p, uint64_t key, uint64_t parent)
{
    const struct revoke_for who = {.peer = p, .parent = parent};
    struct cap *c = cap_by_key(key);

    /* Reserved for the answer to an exchange that the parent's revocation has overtaken. */
    if (c && (c->type == CAP_NONE ? kcall_reserved(c, p) : ddl_same(c->rparent, parent))) {
        if (c->type != CAP_FAR_VPE || !far_has_ended(c) || !revoke_ended(p, c, parent))
            cap_revoke_for(c, &who);
        return;
    }
    for (c = kern.revocations; c; c = c->rev.next) {
        if (c->rev.peer || !ddl_same(c->rparent, parent) || !ddl_same(c->key, key))
            continue;
        c->rev.peer = p;
        c->rev.peer_key = parent;
        return;
    }
    peer_gone(p, parent);
}

/* A child of c that p was asked to revoke. */
static struct rkid *asked_of(const struct peer *p, const struct cap *c)
{
    struct rkid *k = c->rkids;

    while (k && (!k->sent || k->asked != p))
        k = k->next;
    return k;
}

/* n answers, or as many of them as one revocation waits for; how many. */
static unsigned answer_one(const struct peer *p, uint64_t parent, unsigned n)
{
    for (struct cap *root = kern.revocations; root; root = root->rev.next) {
        for (struct cap *c = root; c; c = c->next) {
            struct rkid *k = ddl_same(c->key, parent) ? asked_of(p, c) : NULL;
            unsigned done = 0;

            for (; k && done < n; k = asked_of(p, c), done++)
                cap_free_rkid(c, k);
            if (done == 0)
                continue;
            answered(root, done);
            return done;
        }
    }
    return 0;
}

bool revoke_answered(struct peer *p, uint64_t parent, unsigned n)
{
    unsigned done;

    /* Of one capability there may be several: of its children, and then of itself. */
    do {
        done = answer_one(p, parent, n);
        n -= done;
    } while (n > 0 && done > 0);
    return n == 0;
}

bool revoke_child_gone(struct peer *p, uint64_t parent, uint64_t child)
{
    struct cap *c = cap_by_key(parent);

    for (struct rkid *k = c ? c->rkids : NULL; k; k = k->next) {
        if (!ddl_same(k->key, child) || peer_of_key(k->key) != p)
            continue;
        cap_free_rkid(c, k);
        return true;
    }
    return loan_over(p, parent, child);
}

/* All that a kernel had (p), or what a single PE's VPE had. */
struct lost {
    const struct peer *p;
    unsigned pe;
};

static bool had(const struct lost *l, uint64_t key, const struct peer *asked)
{
    /* Who has been asked, and lives, answers. */
    if (!l->p)
        return ddl_pe(key) == l->pe && !asked;
    /* Its PE may have become another kernel's since it was asked. */
    return asked ? asked == l->p : peer_owner(ddl_pe(key)) == l->p->id;
}

/* Children of c that were there; how many were waited for. */
static unsigned forget_rkids(const struct lost *l, struct cap *c)
{
    struct rkid *next;
    unsigned n = 0;

    for (struct rkid *k = c->rkids; k; k = next) {
        next = k->next;
        if (!had(l, k->key, k->asked))
            continue;
        n += k->queued || k->sent ? 1 : 0;
        cap_free_rkid(c, k);
    }
    return n;
}

static void forget_in_tables(const struct lost *l)
{
    struct cap *c;

    for (struct vpe *v = kern.vpes; v; v = v->next) {
        for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
            sel = c->sel;
            forget_rkids(l, c);
        }
        for (uint32_t sel = 0; (c = cap_next(&v->caps, sel)); sel++) {
            sel = c->sel;
            if (c->rparent && had(l, c->rparent, NULL))
                cap_revoke(c);
        }
    }
}

static void gone_waits(const struct lost *l)
{
    struct cap *root;
    unsigned n = 0;

    /* Each round ends at least one wait; when none does, it was the last. */
    do {
        for (root = kern.revocations; root; root = root->rev.next) {
            n = 0;
            for (struct cap *c = root; c; c = c->next)
                n += forget_rkids(l, c);
            if (n == 0)
                continue;
            answered(root, n);
            break;
        }
    } while (root);
}

void revoke_peer_gone(const struct peer *p)
{
    for (struct cap *root = kern.revocations; root; root = root->rev.next)
        if (root->rev.peer == p)
            root->rev.peer = NULL;
    forget_in_tables(&(struct lost){.p = p});
    gone_waits(&(struct lost){.p = p});
}

/* ---- a VPE moves (move.h) ---- */

void revoke_pe_gone(unsigned pe)
{
    forget_in_tables(&(struct lost){.pe = pe});
    gone_waits(&(struct lost){.pe = pe});
}

void revoke_not_come(unsigned pe)
{
    gone_waits(&(struct lost){.pe = pe});
}

bool revoke_concerns(unsigned pe)
{
    for (const struct cap *root = kern.revocations; root; root = root->rev.next)
        for (const struct cap *c = root; c; c = c->next)
            if (ddl_pe(c->key) == pe)
                return true;
    return false;
}

/* The note of that child among those of capabilities that are being revoked; *root: by this. */
static struct rkid *note_of(uint64_t parent, uint64_t child, struct cap **root)
{
    for (*root = kern.revocations; *root; *root = (*root)->rev.next)
        for (struct cap *c = *root; c; c = c->next)
            for (struct rkid *k = ddl_same(c->key, parent) ? c->rkids : NULL; k; k = k->next)
                if (ddl_same(k->key, child))
                    return k;
    return NULL;
}

bool revoke_come_home(struct cap *c)
{
    struct cap *root;
    struct rkid *k = note_of(c->rparent, cap_key(c), &root);

    if (!k)
        return false;
    cap_free_rkid(k->cap, k);
    c->rparent = 0;
    if (cap_revoke_for(c, NULL))
        answered(root, 1);
    else
        c->rev.up = root;
    return true;
}

void revoke_adopt(struct cap *c, uint64_t child)
{
    for (struct cap *r = kern.revocations; r; r = r->rev.next) {
        if (r->rev.peer || r->rev.parent || !ddl_same(r->key, child) ||
            !ddl_same(r->rparent, cap_key(c)))
            continue;
        r->rparent = 0;
        r->rev.parent = c;
        c->nrev++;
    }
}

/* ---- time ---- */

#define OVERDUE_NS (120000ull * 1000000)
#define TICK_NS    100000000ull

/* Somebody who has said that he revokes a child of root's and not yet that he has. */
static struct peer *owes(const struct cap *root)
{
    for (const struct cap *c = root; c; c = c->next)
        for (const struct rkid *k = c->rkids; k; k = k->next)
            if (k->asked)
                return k->asked;
    return NULL;
}

uint64_t revoke_tick(uint64_t ns)
{
    struct peer *late = NULL;

    for (struct cap *root = kern.revocations; root; root = root->rev.next) {
        root->rev.waited += ns;
        /* Who asked for it has as much patience with us as we have when nobody did. */
        if (!late && root->rev.waited > (root->rev.peer ? 1 : 2) * OVERDUE_NS)
            late = owes(root);
    }
    if (late)
        peer_lost(late, "it does not end a revocation");
    return kern.revocations ? TICK_NS : 0;
}
