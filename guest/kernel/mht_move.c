/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PE, and what is stored for its part of the namespace, becomes another kernel's (semperos-
 * platform 7.3, 7.4): PARTITIONMIG, as many as it takes, then MEMBERUPDATE to all others.
 *
 * The original's message is the number of partitions and, for each, its PE, the number of items and
 * those; it has no word for "more follows", which is one behind all that.  The new owner takes the
 * PE with the last message.  The old one has forgotten the items by then, and sends on what others
 * still ask of it (mht.c): messages between two kernels keep their order.
 *
 * A VPE does not move, its capabilities are linked by address with those of its kernel's others.
 * When it has one, the PE gets none after it, and moves when that has ended, what others had of it
 * is gone, and it was reset; until then it is marked as migrating, and all goes on as before.
 */
#include "hw.h"
#include "kernel.h"
#include "str.h"

/* ---- the new owner ---- */

/* Are there n items of that PE, all that there may be?  *in is behind them. */
static bool check_items(struct msg_reader *in, unsigned pe, uint64_t n)
{
    const uint8_t *body;
    uint32_t length;
    uint64_t key;
    size_t len;

    for (uint64_t i = 0; i < n; i++)
        if (!mht_get_item(in, &key, &length, &body, &len) || ddl_pe(key) != pe)
            return false;
    return true;
}

/* All partitions of a message make sense; *more: there will be another one. */
static bool check(const struct kcall *c, struct msg_reader in, bool *more)
{
    uint32_t parts = msg_get_u32(&in);
    bool held = false;

    for (uint32_t i = 0; i < parts; i++) {
        unsigned pe = msg_get_u16(&in);
        uint64_t n = msg_get_u64(&in);

        if (in.error || pe >= BOOT_PES || peer_owner(pe) != c->p->id || pe == c->p->pe ||
            n > MHT_ITEMS_MAX || !check_items(&in, pe, n))
            return false;
        held |= kern.moves.hold && kern.moves.hold_pe == pe;
    }
    *more = msg_remaining(&in) > 0 && msg_get_u64(&in) == 1;
    return parts > 0 && (*more || !held); /* what goes with its VPE is given by COMMIT */
}

static void take_items(struct kcall *c, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *body;
        struct mht_item *old;
        uint32_t length;
        uint64_t key;
        size_t len;

        mht_get_item(c->in, &key, &length, &body, &len);
        old = mht_find(key); /* of an attempt that failed */
        if (old)
            mht_remove(old);
        if (!mht_insert(c->p, key, length, body, len))
            kern.stats.kdropped++;
    }
}

/* What has come with it does not count as what its old owner has us keep. */
void mht_own(unsigned pe)
{
    for (struct mht_item *i = kern.mht.items; i; i = i->next)
        if (ddl_pe(i->key) == pe)
            i->by = (uint16_t)kern.id;
}

void kc_partitionmig(struct kcall *c)
{
    struct msg_reader look = *c->in;
    bool more;

    if (msg_get_u32(&look) == 0 && !look.error && msg_remaining(&look) > 0) {
        move_told(c); /* no partitions: what our kernels say of a VPE that moves with its PE */
        return;
    }
    if (!check(c, *c->in, &more)) {
        kcall_bad(c);
        peer_ack(c->p);
        return;
    }
    for (uint32_t parts = msg_get_u32(c->in); parts > 0; parts--) {
        unsigned pe = msg_get_u16(c->in);

        take_items(c, msg_get_u64(c->in));
        if (more)
            continue;
        connect_member(kern.id, kern.peers.descs[pe], MEMBER_NONE);
        mht_own(pe);
        pe_add(kern.peers.descs[pe]);
    }
    peer_ack(c->p);
}

/* ---- the old owner ---- */

struct parcel {
    struct peer *to;
    struct msg_writer w;
    uint64_t n; /* items in it */
    bool live;  /* a VPE comes behind it, and only then it is the new owner's */
    uint8_t buf[KC_MSG_MAX];
};

#define COUNT_AT 24u /* behind the number, that of partitions and the PE */

static void open_parcel(struct parcel *p, unsigned pe)
{
    msg_writer_init(&p->w, p->buf, sizeof(p->buf));
    msg_put(&p->w, KC_PARTITIONMIG);
    msg_put(&p->w, 1);
    msg_put(&p->w, pe);
    msg_put(&p->w, 0);
    p->n = 0;
}

static int send_parcel(struct parcel *p, bool more)
{
    memcpy(p->buf + COUNT_AT, &p->n, sizeof(p->n));
    msg_put(&p->w, more);
    if (p->w.error)
        return SE_NO_SPACE;
    return p->live ? peer_urgent(p->to, p->buf, p->w.len, 0)
                   : peer_request(p->to, p->buf, p->w.len, 0);
}

/* Into this message or the next one, with place left for the word behind all items. */
static int add_item(struct parcel *p, unsigned pe, const struct mht_item *i)
{
    const struct msg_writer before = p->w;
    int err;

    mht_put_item(&p->w, i->key);
    if (!p->w.error && p->w.size - p->w.len >= sizeof(uint64_t)) {
        p->n++;
        return SE_OK;
    }
    p->w = before;
    if (p->n == 0)
        return SE_NO_SPACE;
    err = send_parcel(p, true);
    if (err != SE_OK)
        return err;
    open_parcel(p, pe);
    return add_item(p, pe, i);
}

int mht_send_items(unsigned pe, struct peer *to, bool live)
{
    struct parcel p = {.to = to, .live = live};
    int err = SE_OK;

    open_parcel(&p, pe);
    for (const struct mht_item *i = kern.mht.items; i && err == SE_OK; i = i->next)
        if (ddl_pe(i->key) == pe)
            err = add_item(&p, pe, i);
    return err == SE_OK ? send_parcel(&p, live) : err;
}

static void tell_others(unsigned pe, const struct peer *to)
{
    const uint64_t msg[6] = {KC_MEMBERUPDATE, to->id, to->pe, MEMBER_NONE, 1, kern.peers.descs[pe]};

    for (unsigned k = 0; k < KC_PEERS; k++)
        if (kern.peers.peer[k].state == PEER_UP && &kern.peers.peer[k] != to)
            peer_request(&kern.peers.peer[k], msg, sizeof(msg), 0);
}

bool mht_locked(unsigned pe)
{
    const struct mht_item *i = kern.mht.items;

    while (i && (ddl_pe(i->key) != pe || !i->lock))
        i = i->next;
    return i != NULL;
}

void mht_forget(unsigned pe)
{
    struct mht_item *next;

    for (struct mht_item *i = kern.mht.items; i; i = next) {
        next = i->next;
        if (ddl_pe(i->key) == pe)
            mht_remove(i);
    }
}

static int move(unsigned pe, struct peer *to)
{
    int err;

    if (mht_locked(pe))
        return SE_MSGS_WAITING;
    err = mht_send_items(pe, to, false);
    if (err != SE_OK)
        return err;
    mht_forget(pe);
    pe_remove(pe);
    connect_member(to->id, kern.peers.descs[pe], MEMBER_NONE);
    kern.peers.moved[pe] = true;
    tell_others(pe, to);
    return SE_OK;
}

/* It stays after all, or has gone. */
static void settled(struct pe *pe)
{
    pe->goes_to = NULL;
    kern.mht.moving--;
    if (peer_is_ours(pe_id(pe)))
        kern.peers.flags[pe_id(pe)] = MEMBER_NONE;
    kern.pe_news = true;
}

int mht_migrate(unsigned id, struct peer *to)
{
    struct pe *pe = &kern.pes[id < BOOT_PES ? id : 0];

    if (id >= BOOT_PES || !peer_is_ours(id) || pe->goes_to || move_concerns(id) ||
        (pe->state != PE_FREE && pe->state != PE_USED && pe->state != PE_WAITING &&
         pe->state != PE_RESETTING))
        return SE_INV_ARGS;
    if (!to || to->state != PEER_UP)
        return SE_RECV_GONE;
    if (pe->state == PE_FREE)
        return move(id, to);
    if (!hw_can_reset()) /* it would never be free */
        return SE_NOT_SUP;
    pe->goes_to = to;
    kern.mht.moving++;
    kern.peers.flags[id] = MEMBER_MIGRATING;
    return SE_OK;
}

void mht_move_ready(void)
{
    for (unsigned i = 0; i < kern.pe_count && kern.mht.moving > 0; i++) {
        struct pe *pe = &kern.pes[kern.pe_order[i]];

        if (!pe->goes_to)
            continue;
        if (pe->state == PE_LOST ||
            (pe->state == PE_FREE && move(pe_id(pe), pe->goes_to) != SE_MSGS_WAITING))
            settled(pe); /* when that failed it stays ours */
    }
}

void mht_move_peer_gone(const struct peer *p)
{
    for (unsigned i = 0; i < kern.pe_count; i++)
        if (kern.pes[kern.pe_order[i]].goes_to == p)
            settled(&kern.pes[kern.pe_order[i]]);
}
