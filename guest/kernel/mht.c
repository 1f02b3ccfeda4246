/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The distributed hash table: each kernel stores the items whose keys belong to its PEs, and the
 * others put, get, lock and reserve them by kernel calls (semperos-platform 7.3, 7.4).  An item is
 * a key, a length and a body whose form follows from the key's type; to us it is bytes.  Items of
 * capability types that are in a table here are read from there.
 *
 * A lock has a handle, which who locked it has to name; from others it is none.  Who wants a locked
 * item waits in its peer's list; who is gone gives its locks and reservations back.  An item that
 * is not there is answered as one of key 0 and length 0.
 */
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "str.h"

#define BODY_WORDS_GATE 7u /* key, object, label, PE, VPE, endpoint, credits */

/* ---- the store ---- */

struct mht_item *mht_find(uint64_t key)
{
    struct mht_item *i = kern.mht.items;

    while (i && i->key != key)
        i = i->next;
    return i;
}

void mht_remove(struct mht_item *item)
{
    struct mht_item **link = &kern.mht.items;

    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    kern.mht.count--;
    heap_free(item);
}

/* For p, which may not have us keep too many. */
struct mht_item *mht_insert(const struct peer *p, uint64_t key, uint32_t length, const void *body,
                            size_t n)
{
    struct mht_item *i;
    unsigned has = 0;

    for (i = kern.mht.items; i; i = i->next)
        has += i->by == p->id ? 1 : 0;
    if (kern.mht.count >= MHT_ITEMS_MAX || has >= KC_ITEMS_MAX) {
        kern.stats.greedy++;
        return NULL;
    }
    i = heap_calloc(1, sizeof(*i) + n);
    if (!i)
        return NULL;
    i->key = key;
    i->length = length;
    i->body_len = (uint16_t)n;
    i->locker = KC_NO_KERNEL;
    i->by = p->id;
    if (n > 0)
        memcpy(i->body, body, n);
    i->next = kern.mht.items;
    kern.mht.items = i;
    kern.mht.count++;
    return i;
}

static uint32_t lock(struct mht_item *i, const struct peer *p)
{
    if (++kern.mht.handles == 0)
        kern.mht.handles = 1;
    i->lock = kern.mht.handles;
    i->locker = p->id;
    return i->lock;
}

/* Is it p's to change?  Handles are numbers that others could guess. */
static bool has_lock(const struct mht_item *i, const struct peer *p, uint32_t handle)
{
    return i->lock == handle && (i->lock == 0 || i->locker == p->id);
}

void mht_free_all(void)
{
    while (kern.mht.items)
        mht_remove(kern.mht.items);
}

/* ---- items in messages ---- */

static size_t body_words(uint64_t key)
{
    switch (ddl_type(key)) {
    case DDL_MSGCAP:
    case DDL_MEMCAP:
        return BODY_WORDS_GATE;
    case DDL_SRVCAP:
        return 1;
    case DDL_SESSCAP:
        return 3;
    case DDL_VPECAP:
        return 2;
    }
    return 0; /* a string */
}

bool mht_get_item(struct msg_reader *in, uint64_t *key, uint32_t *length, const uint8_t **body,
                  size_t *n)
{
    size_t at;
    uint64_t len;

    *key = msg_get_u64(in);
    *length = msg_get_u32(in);
    *n = body_words(*key) * sizeof(uint64_t);
    at = in->pos;
    if (*n == 0) {
        len = msg_get_u64(in);
        if (len > MHT_BODY_MAX)
            in->error = true;
        *n = in->error ? 0 : sizeof(uint64_t) + len;
        in->pos = at;
    }
    *body = msg_get_bytes(in, *n);
    return !in->error;
}

void mht_put_item(struct msg_writer *w, uint64_t key)
{
    struct mht_item *i = mht_find(key);
    struct cap *c = body_words(key) > 0 ? cap_by_key(key) : NULL;
    size_t n = body_words(key) * sizeof(uint64_t);

    if (c && cap_key(c) == key && kcap_travels(c, true)) {
        msg_put(w, key);
        msg_put(w, n);
        kcap_put(w, c);
    } else if (i && !i->reserved) {
        msg_put(w, i->key);
        msg_put(w, i->length);
        msg_put_bytes(w, i->body, i->body_len);
    } else {
        msg_put(w, 0);
        msg_put(w, 0);
        msg_put(w, 0);
    }
}

static void answer_item(struct peer *p, unsigned op, uint32_t tid, uint64_t key, uint32_t handle)
{
    uint8_t buf[KC_MSG_MAX];
    struct msg_writer w;

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, op);
    msg_put(&w, KC_REPLY_STAGE);
    msg_put(&w, tid);
    mht_put_item(&w, key);
    if (op == KC_MHTGETLOCKING)
        msg_put(&w, handle);
    peer_reply(p, buf, w.len);
}

static void answer_number(struct peer *p, unsigned op, uint32_t tid, uint32_t number)
{
    const uint64_t msg[4] = {op, KC_REPLY_STAGE, tid, number};

    peer_reply(p, msg, sizeof(msg));
}

/* ---- waiting ---- */

static void serve(struct peer *p, unsigned op, uint32_t tid, uint64_t key)
{
    struct mht_item *i = mht_find(key);
    uint32_t handle = i && op != KC_MHTGET && op != KC_MHTGETTRY ? lock(i, p) : 0;

    if (op == KC_MHTLOCK)
        answer_number(p, op, tid, handle);
    else
        answer_item(p, op, tid, key, handle);
}

/* False: it has more under way than it may. */
static bool wait_for(struct peer *p, unsigned op, uint32_t tid, uint64_t key)
{
    for (unsigned k = 0; k < KC_WAITS; k++) {
        if (p->waits[k].used)
            continue;
        p->waits[k] = (struct kwait){.used = true, .op = (uint8_t)op, .tid = tid, .key = key};
        return true;
    }
    return false;
}

/* The item is not locked any more: whoever waits gets it, until one has locked it again. */
static void unlocked(uint64_t key)
{
    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        for (unsigned k = 0; p->state == PEER_UP && k < KC_WAITS; k++) {
            struct kwait *w = &p->waits[k];
            struct mht_item *item = mht_find(key);

            if (item && item->lock)
                return;
            if (!w->used || w->op == KC_RECVBUFISATTACHED || w->key != key)
                continue;
            w->used = false;
            serve(p, w->op, w->tid, key);
        }
    }
}

static void give_back(struct mht_item *i)
{
    uint64_t key = i->key;

    i->lock = 0;
    i->locker = KC_NO_KERNEL;
    if (i->reserved)
        mht_remove(i);
    unlocked(key);
}

void mht_wait_over(struct peer *p, struct kwait *w)
{
    w->used = false;
    if (w->op == KC_MHTLOCK)
        answer_number(p, w->op, w->tid, 0);
    else
        answer_item(p, w->op, w->tid, 0, 0);
}

void mht_peer_gone(const struct peer *p)
{
    struct mht_item *i, *next;

    for (i = kern.mht.items; i; i = next) {
        next = i->next;
        if (i->by == p->id && !peer_is_ours(ddl_pe(i->key)))
            mht_remove(i); /* of a PE that it meant to give us */
    }
    do {
        for (i = kern.mht.items; i && i->locker != p->id; i = i->next)
            ;
        if (i)
            give_back(i);
    } while (i);
}

/* ---- calls ---- */

/* Reads what GET, LOCK and RESERVE begin with.  False: answered. */
static bool asked(struct kcall *c, uint32_t *tid, uint64_t *key)
{
    uint8_t stage = msg_get_u8(c->in);

    *tid = msg_get_u32(c->in);
    *key = msg_get_u64(c->in);
    if (!c->in->error && stage == KC_REQUEST_STAGE)
        return true;
    kcall_bad(c); /* we ask nobody for items, so no answers come */
    return false;
}

static void get(struct kcall *c, unsigned op)
{
    struct mht_item *i;
    uint32_t tid;
    uint64_t key;

    if (!asked(c, &tid, &key))
        return;
    if (!peer_is_ours(ddl_pe(key))) {
        kcall_bad(c);
        if (peer_find(peer_owner(ddl_pe(key))) || op == KC_MHTLOCK) /* ask that one */
            peer_reply(c->p,
                       (const uint64_t[]){op, KC_FORWARD_STAGE, tid, peer_owner(ddl_pe(key)), key},
                       5 * sizeof(uint64_t));
        else
            answer_item(c->p, op, tid, 0, 0);
        return;
    }
    i = mht_find(key);
    if (!i || !i->lock)
        serve(c->p, op, tid, key);
    else if (op == KC_MHTGETTRY || !wait_for(c->p, op, tid, key))
        answer_item(c->p, op, tid, 0, 0);
}

/*
 * What is meant for an item that has migrated goes on to who has it, behind the item itself. False:
 * to nobody.
 */
static bool sent_on(struct kcall *c, uint64_t key)
{
    struct peer *p = peer_of_key(key);

    return p && p != c->p && kern.peers.moved[ddl_pe(key)] &&
           peer_request(p, c->in->buf, c->in->len, 0) == SE_OK;
}

void kc_mhtget(struct kcall *c)
{
    get(c, KC_MHTGET);
}

void kc_mhtgettry(struct kcall *c)
{
    get(c, KC_MHTGETTRY);
}

void kc_mhtgetlocking(struct kcall *c)
{
    get(c, KC_MHTGETLOCKING);
}

void kc_mhtlock(struct kcall *c)
{
    get(c, KC_MHTLOCK);
}

static void put(struct kcall *c, uint32_t handle)
{
    const uint8_t *body;
    struct mht_item *old;
    uint32_t length;
    uint64_t key;
    size_t n;

    if (!mht_get_item(c->in, &key, &length, &body, &n) || key == 0) {
        kcall_bad(c);
    } else if (!peer_is_ours(ddl_pe(key))) {
        if (!sent_on(c, key))
            kcall_bad(c);
    } else {
        old = mht_find(key);
        if (old && !has_lock(old, c->p, handle))
            kcall_bad(c); /* somebody else has it */
        else if (!mht_insert(c->p, key, length, body, n))
            kern.stats.kdropped++;
        else if (old) {
            mht_remove(old);
            unlocked(key);
        }
    }
    peer_ack(c->p);
}

void kc_mhtput(struct kcall *c)
{
    put(c, 0);
}

void kc_mhtputunlocking(struct kcall *c)
{
    put(c, msg_get_u32(c->in));
}

/* UNLOCK, RELEASE, REMOVE: the item of that key, if the handle is right; NULL: acknowledged. */
static struct mht_item *own(struct kcall *c)
{
    uint64_t key = msg_get_u64(c->in);
    uint32_t handle = msg_get_u32(c->in);
    struct mht_item *i = c->in->error ? NULL : mht_find(key);

    if (i && has_lock(i, c->p, handle))
        return i;
    if (c->in->error || !sent_on(c, key))
        kcall_bad(c);
    peer_ack(c->p);
    return NULL;
}

void kc_mhtunlock(struct kcall *c)
{
    struct mht_item *i = own(c);

    if (!i)
        return;
    give_back(i);
    peer_ack(c->p);
}

void kc_mhtrelease(struct kcall *c)
{
    struct mht_item *i = own(c);

    if (!i)
        return;
    if (i->reserved)
        give_back(i);
    else
        kcall_bad(c);
    peer_ack(c->p);
}

void kc_mhtremove(struct kcall *c)
{
    struct mht_item *i = own(c);
    uint64_t key;

    if (!i)
        return;
    key = i->key;
    mht_remove(i);
    unlocked(key);
    peer_ack(c->p);
}

void kc_mhtreserve(struct kcall *c)
{
    struct mht_item *i = NULL;
    uint32_t tid;
    uint64_t key;

    if (!asked(c, &tid, &key))
        return;
    if (!peer_is_ours(ddl_pe(key)))
        kcall_bad(c);
    else if (!mht_find(key))
        i = mht_insert(c->p, key, 0, NULL, 0);
    if (i)
        i->reserved = true;
    answer_number(c->p, KC_MHTRESERVE, tid, i ? lock(i, c->p) : 0);
}
