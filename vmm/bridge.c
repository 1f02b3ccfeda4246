/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge port: two rings, and the commands that wait for somebody on another node.
 *
 * A PE has one command, or one list of commands, at a time; what waits lies with its caller, and a
 * table by PE finds it.  A packet's id names its row: bits 9..0 the PE, above them a count of that
 * PE's packets, so that an id comes back only after four million of them, and those that are under
 * way together, at most VDTU_BATCH, differ in the count modulo VDTU_BATCH.
 *
 * A packet is first queued, in the order of arrival, and moves into `out` when there is room.  Who
 * takes the room is not told when the bridge consumes entries, so every store of the bridge, every
 * wait of it and every new packet looks.
 */
#include "bridge.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define ID_PE_BITS 10u
#define SEQ_MASK   ((1u << (32 - ID_PE_BITS)) - 1)
#define AREA_ALIGN 64u
#define RESULT_MAX SE_XFS_RENAME

/* Lists share so much: who waits for a node that is away keeps it until that is sure, and the rest
 * is for who has nothing under way. */
#define LISTS_MAX (BRIDGE_SLOTS / 4 * 3)

enum waits { QUEUED, OUT, DONE };

/* A packet that an initiator waits for, in its memory. */
struct item {
    enum waits state;
    uint32_t id;
    unsigned *result;
    struct vdtu_pkt *pkt;
    TAILQ_ENTRY(item) link; /* while QUEUED */
};

struct row {
    uint32_t seq;
    uint32_t id;    /* of the first of those that wait, or waited */
    unsigned left;  /* how many are not done */
    unsigned under; /* how many of those are OUT */
    uint16_t to;
    bool ended; /* it is among bridge->ended */
    bool stuck; /* it gave up waiting and has done nothing since */
    uint64_t packets, failed;
    struct {
        struct item *item; /* NULL: none, or it was abandoned and may be completed yet */
        uint32_t id;
    } open[VDTU_BATCH]; /* by the count, modulo their number */
};

struct bridge {
    struct vdtu_noc *noc;
    const struct bridge_ops *ops;
    void *arg;
    uint8_t *mem;
    uint64_t mem_size;
    uint16_t pe;

    pthread_mutex_t lock;
    struct bridge_area *area; /* in the bridge PE's memory; changed only by who runs that */
    uint32_t out_tail, out_head, in_head;
    unsigned under; /* packets that are OUT */
    bool latched;   /* `out` has grown since the last bridge_poll() */
    bool over;
    TAILQ_HEAD(, item) queue;
    uint16_t ended[DTU_PES]; /* whom to wake when the lock is free */
    unsigned nended;
    struct bridge_stats stats;
    struct row row[DTU_PES];
    uint8_t data[BRIDGE_DATA]; /* of the packet that is served; by who runs the bridge PE */
};

struct bridge *bridge_new(struct vdtu_noc *noc, uint16_t pe, void *mem, uint64_t mem_size,
                          const struct bridge_ops *ops, void *arg)
{
    struct bridge *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->noc = noc;
    b->pe = pe;
    b->mem = mem;
    b->mem_size = mem_size;
    b->ops = ops;
    b->arg = arg;
    TAILQ_INIT(&b->queue);
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

void bridge_free(struct bridge *b)
{
    if (b)
        pthread_mutex_destroy(&b->lock);
    free(b);
}

static uint32_t get_index(uint32_t *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void set_index(uint32_t *index, uint32_t value)
{
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

static void count(struct bridge *b, uint64_t *counter)
{
    pthread_mutex_lock(&b->lock);
    ++*counter;
    pthread_mutex_unlock(&b->lock);
}

/* ---- out; the lock is held ---- */

static const uint8_t ops_out[] = {
    [VDTU_PKT_MSG] = BRIDGE_MSG, [VDTU_PKT_READ] = BRIDGE_READ, [VDTU_PKT_WRITE] = BRIDGE_WRITE};

static void put_out(struct bridge *b, const struct item *it)
{
    uint32_t slot = b->out_tail % BRIDGE_SLOTS;
    const struct vdtu_pkt *pkt = it->pkt;

    b->area->out[slot] = (struct bridge_pkt){.op = ops_out[pkt->type],
                                             .id = it->id,
                                             .src_pe = pkt->src_pe,
                                             .dst_pe = pkt->dst_pe,
                                             .dst_vpe = pkt->dst_vpe,
                                             .len = (uint16_t)pkt->len,
                                             .offset = pkt->offset,
                                             .hdr = pkt->hdr};
    if (pkt->type != VDTU_PKT_READ)
        memcpy(b->area->out_data[slot], pkt->data, pkt->len);
}

/* Moves what waits into the ring while there is room. */
static void pump(struct bridge *b)
{
    struct item *it, *next;
    uint32_t head;

    if (!b->area)
        return;
    head = get_index(&b->area->out_head);
    if (head - b->out_head > b->out_tail - b->out_head)
        b->stats.bad_index++; /* it claims what it was never given: no news */
    else
        b->out_head = head;
    for (it = TAILQ_FIRST(&b->queue); it && b->out_tail - b->out_head < BRIDGE_SLOTS; it = next) {
        struct row *r = &b->row[it->pkt->src_pe];

        next = TAILQ_NEXT(it, link);
        if (b->under >= LISTS_MAX && r->under) /* and so are those behind it of its row */
            continue;
        TAILQ_REMOVE(&b->queue, it, link);
        put_out(b, it);
        it->state = OUT;
        r->under++;
        b->under++;
        b->out_tail++;
        b->stats.taken++;
        b->latched = true;
    }
    set_index(&b->area->out_tail, b->out_tail);
}

/* Not while the lock is held, or who wakes up would wait for it. */
static void unlock_and_wake(struct bridge *b)
{
    uint16_t pe[DTU_PES];
    unsigned n = b->nended;

    for (unsigned i = 0; i < n; i++) {
        pe[i] = b->ended[i];
        b->row[pe[i]].ended = false;
    }
    b->nended = 0;
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < n; i++)
        b->ops->unpark(b->arg, pe[i]);
}

/* It is no longer under way. */
static void leaves(struct bridge *b, struct row *r, const struct item *it)
{
    r->under -= it->state == OUT;
    b->under -= it->state == OUT;
}

/* Its initiator is woken with the next unlock_and_wake(), if that was the last. */
static void finish(struct bridge *b, struct item *it, unsigned result)
{
    unsigned pe = it->pkt->src_pe;
    struct row *r = &b->row[pe];

    leaves(b, r, it);
    it->state = DONE;
    *it->result = result;
    r->open[(it->id >> ID_PE_BITS) % VDTU_BATCH].item = NULL;
    r->open[(it->id >> ID_PE_BITS) % VDTU_BATCH].id = 0;
    if (--r->left == 0 && !r->ended) {
        r->ended = true;
        b->ended[b->nended++] = (uint16_t)pe;
    }
}

static void end_all(struct bridge *b, bool queued)
{
    for (unsigned i = 0; i < DTU_PES; i++)
        for (unsigned k = 0; k < VDTU_BATCH && b->row[i].left; k++) {
            struct item *it = b->row[i].open[k].item;

            if (!it || (it->state != OUT && !(queued && it->state == QUEUED)))
                continue;
            if (it->state == QUEUED)
                TAILQ_REMOVE(&b->queue, it, link);
            b->stats.gone++;
            finish(b, it, SE_RECV_GONE);
        }
}

/* ---- the initiator ---- */

/* As many as end a wait at once? */
static bool enough(struct bridge *b)
{
    uint32_t want = b->area ? get_index(&b->area->out_want) : 0;

    return want && b->out_tail - b->out_head >= want;
}

static void note(struct bridge *b, struct row *r, struct item *it)
{
    unsigned slot;

    r->seq = (r->seq + 1) & SEQ_MASK;
    slot = r->seq % VDTU_BATCH;
    it->id = r->seq << ID_PE_BITS | it->pkt->src_pe;
    it->state = QUEUED;
    r->open[slot].item = it;
    r->open[slot].id = it->id;
    r->left++;
    TAILQ_INSERT_TAIL(&b->queue, it, link);
}

/* Is the bridge to be woken? */
static bool enqueue(struct bridge *b, struct row *r, struct item *items, unsigned n)
{
    bool latched = b->latched, full = enough(b);

    for (unsigned i = 0; i < n; i++)
        note(b, r, &items[i]);
    r->id = items[0].id;
    r->to = items[0].pkt->dst_pe;
    r->stuck = false;
    pump(b);
    for (unsigned i = 0; i < n; i++)
        b->stats.waited += items[i].state == QUEUED;
    /* Who was woken by the first may be waiting for the others (bridge_few()). */
    return b->latched && (!latched || (!full && enough(b)));
}

static void give_up(struct bridge *b, struct row *r, struct item *it)
{
    unsigned slot = (it->id >> ID_PE_BITS) % VDTU_BATCH;

    leaves(b, r, it);
    r->open[slot].item = NULL;
    if (it->state == QUEUED) {
        TAILQ_REMOVE(&b->queue, it, link);
        r->open[slot].id = 0; /* else somebody may still complete it */
    }
    *it->result = SE_RECV_GONE;
    r->left--;
    r->stuck = true;
    b->stats.abandoned++;
}

static void wait(struct bridge *b, struct row *r, unsigned pe, struct item *items, unsigned n,
                 bool wake)
{
    if (wake) { /* it takes the lock first thing */
        pthread_mutex_unlock(&b->lock);
        b->ops->wake(b->arg);
        pthread_mutex_lock(&b->lock);
    }
    while (r->left) {
        pthread_mutex_unlock(&b->lock);
        if (b->ops->abandoned(b->arg, pe)) {
            pthread_mutex_lock(&b->lock);
            for (unsigned i = 0; i < n; i++)
                if (items[i].state != DONE)
                    give_up(b, r, &items[i]);
            break;
        }
        b->ops->park(b->arg, pe);
        pthread_mutex_lock(&b->lock);
    }
}

/* A bridge that waited for itself would wait for ever. */
static bool may_travel(struct bridge *b, const struct vdtu_pkt *pkt)
{
    return pkt->src_pe < DTU_PES && pkt->src_pe != b->pe && b->ops->remote(b->arg, pkt->dst_pe);
}

void bridge_packets(void *arg, struct vdtu_pkt *pkts, unsigned n, unsigned *results)
{
    struct item items[VDTU_BATCH];
    struct bridge *b = arg;
    unsigned pe = pkts[0].src_pe, ok = 0;
    struct row *r = &b->row[pe < DTU_PES ? pe : 0];

    for (unsigned i = 0; i < n; i++)
        results[i] = i < VDTU_BATCH && may_travel(b, &pkts[i]) ? SE_RECV_GONE : SE_EP_INVALID;
    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < n; i++) {
        bool goes = results[i] == SE_RECV_GONE;

        r->packets += goes;
        r->failed += goes && b->over;
        if (goes && b->over)
            b->stats.gone++;
        else if (goes)
            items[ok++] = (struct item){.pkt = &pkts[i], .result = &results[i]};
    }
    if (ok)
        wait(b, r, pe, items, ok, enqueue(b, r, items, ok));
    for (unsigned i = 0; i < ok; i++)
        r->failed += *items[i].result != SE_OK;
    pthread_mutex_unlock(&b->lock);
}

unsigned bridge_packet(void *arg, struct vdtu_pkt *pkt)
{
    unsigned result;

    bridge_packets(arg, pkt, 1, &result);
    return result;
}

/* ---- in ---- */

/*
 * Completes a packet that is in `out`.  An id that the bridge guesses before it has looked at the
 * entry is its own business; one that was never put there is not.
 */
static unsigned complete(struct bridge *b, const struct bridge_pkt *p, const uint8_t *data)
{
    unsigned pe = p->id & ((1u << ID_PE_BITS) - 1), result = p->result;
    struct row *r = &b->row[pe < DTU_PES ? pe : 0];
    unsigned slot = (p->id >> ID_PE_BITS) % VDTU_BATCH;
    struct item *it = r->open[slot].item;

    if (!p->id || r->open[slot].id != p->id || (it && it->state != OUT)) {
        b->stats.bad_id++;
        return SE_INV_ARGS;
    }
    if (!it) {
        r->open[slot].id = 0;
        b->stats.late++;
        return SE_OK;
    }
    if (result > RESULT_MAX) {
        b->stats.bad_result++;
        result = SE_INV_ARGS;
    }
    if (it->pkt->type == VDTU_PKT_READ && result == SE_OK) {
        if (p->len != it->pkt->len) {
            b->stats.bad_len++;
            result = SE_INV_ARGS;
        } else {
            memcpy(it->pkt->data, data, p->len);
        }
    }
    b->stats.completed++;
    finish(b, it, result);
    return SE_OK;
}

static unsigned deliver(struct bridge *b, const struct bridge_pkt *p, enum vdtu_pkt_type type,
                        uint8_t *data)
{
    struct vdtu_pkt pkt = {.type = type,
                           .src_pe = p->src_pe,
                           .dst_pe = p->dst_pe,
                           .dst_vpe = p->dst_vpe,
                           .offset = p->offset,
                           .hdr = p->hdr,
                           .data = b->data,
                           .len = p->len};
    unsigned err;

    if (p->len > BRIDGE_DATA) {
        count(b, &b->stats.bad_len);
        return SE_INV_ARGS;
    }
    /* Nobody here can be forged: a sender is always one of another node (law 4). */
    if (!b->ops->remote(b->arg, p->src_pe)) {
        count(b, &b->stats.bad_source);
        return SE_NO_PERM;
    }
    if (type != VDTU_PKT_READ)
        memcpy(b->data, data, p->len);
    err = vdtu_deliver(b->noc, &pkt);
    count(b, err ? &b->stats.refused : &b->stats.injected);
    if (!err && type == VDTU_PKT_READ)
        memcpy(data, b->data, p->len);
    if (!err && type == VDTU_PKT_WRITE && b->ops->touched)
        b->ops->touched(b->arg, p->dst_pe);
    return err;
}

static unsigned serve(struct bridge *b, const struct bridge_pkt *p, uint8_t *data)
{
    unsigned err;

    switch (p->op) {
    case BRIDGE_MSG:
        return deliver(b, p, VDTU_PKT_MSG, data);
    case BRIDGE_READ:
        return deliver(b, p, VDTU_PKT_READ, data);
    case BRIDGE_WRITE:
        return deliver(b, p, VDTU_PKT_WRITE, data);
    case BRIDGE_COMPLETE:
        pthread_mutex_lock(&b->lock);
        err = complete(b, p, data);
        pthread_mutex_unlock(&b->lock);
        return err;
    default:
        count(b, &b->stats.bad_op);
        return SE_INV_ARGS;
    }
}

void bridge_run(struct bridge *b)
{
    struct bridge_area *a = b->area;
    uint32_t tail = a ? get_index(&a->in_tail) : 0;

    if (!a || tail - b->in_head > BRIDGE_SLOTS) {
        count(b, &b->stats.bad_index);
        return;
    }
    for (; b->in_head != tail; b->in_head++) {
        uint32_t slot = b->in_head % BRIDGE_SLOTS;
        struct bridge_pkt p;

        memcpy(&p, &a->in[slot], sizeof(p));
        __asm__ volatile("" : "+m"(p)); /* from here on it is the copy that counts */
        a->in[slot].result = serve(b, &p, a->in_data[slot]);
        if (p.op == BRIDGE_READ)
            a->in[slot].len = p.len;
    }
    set_index(&a->in_head, b->in_head);
    pthread_mutex_lock(&b->lock);
    pump(b);
    unlock_and_wake(b);
}

/* What comes after this is latched again, and ends the wait that follows. */
uint32_t bridge_turn(struct bridge *b)
{
    uint32_t next = 0;

    pthread_mutex_lock(&b->lock);
    if (b->area) {
        if (b->out_head == b->out_tail)
            b->latched = false;
        next = get_index(&b->area->nic_next);
    }
    pthread_mutex_unlock(&b->lock);
    return next;
}

bool bridge_few(struct bridge *b, uint32_t *ns)
{
    bool few = false;

    pthread_mutex_lock(&b->lock);
    pump(b);
    if (b->area && b->latched) {
        few = b->out_tail - b->out_head < get_index(&b->area->out_want);
        *ns = get_index(&b->area->out_hold);
    }
    pthread_mutex_unlock(&b->lock);
    return few;
}

void bridge_nic_causes(struct bridge *b, uint32_t causes)
{
    if (b->area)
        set_index(&b->area->nic_causes, causes);
}

/* ---- the bridge PE comes and goes ---- */

void bridge_set_area(struct bridge *b, uint64_t addr)
{
    bool ok = addr % AREA_ALIGN == 0 && addr <= b->mem_size &&
              b->mem_size - addr >= sizeof(struct bridge_area);

    pthread_mutex_lock(&b->lock);
    end_all(b, false);
    b->area = NULL;
    b->latched = false;
    b->out_tail = b->out_head = b->in_head = 0;
    if (addr && !ok)
        b->stats.bad_index++;
    if (addr && ok) {
        b->area = (struct bridge_area *)(void *)(b->mem + addr);
        memset(b->area, 0, offsetof(struct bridge_area, out));
        pump(b);
    }
    unlock_and_wake(b);
}

uint64_t bridge_area(const struct bridge *b)
{
    return b->area ? (uint64_t)((uint8_t *)b->area - b->mem) : 0;
}

bool bridge_poll(struct bridge *b)
{
    bool latched;

    pthread_mutex_lock(&b->lock);
    pump(b);
    latched = b->latched;
    b->latched = false;
    pthread_mutex_unlock(&b->lock);
    return latched;
}

static void leave(struct bridge *b, bool for_good)
{
    pthread_mutex_lock(&b->lock);
    b->area = NULL;
    b->latched = false;
    b->over |= for_good;
    end_all(b, true);
    unlock_and_wake(b);
}

void bridge_reset(struct bridge *b)
{
    leave(b, false);
}

void bridge_over(struct bridge *b)
{
    leave(b, true);
}

/* ---- what others want to know ---- */

uint32_t bridge_waits(struct bridge *b, unsigned pe, unsigned *to)
{
    struct row *r = &b->row[pe < DTU_PES ? pe : 0];
    uint32_t id = 0;

    pthread_mutex_lock(&b->lock);
    if (r->left || r->stuck) {
        id = r->id;
        *to = r->to; /* not from the packet: its PE's stack may be gone */
    }
    pthread_mutex_unlock(&b->lock);
    return id;
}

void bridge_forget(struct bridge *b, unsigned pe)
{
    pthread_mutex_lock(&b->lock);
    if (pe < DTU_PES)
        b->row[pe].stuck = false;
    pthread_mutex_unlock(&b->lock);
}

void bridge_get_stats(struct bridge *b, struct bridge_stats *out)
{
    pthread_mutex_lock(&b->lock);
    *out = b->stats;
    pthread_mutex_unlock(&b->lock);
}

void bridge_pe_stats(struct bridge *b, unsigned pe, uint64_t *packets, uint64_t *failed)
{
    pthread_mutex_lock(&b->lock);
    *packets = pe < DTU_PES ? b->row[pe].packets : 0;
    *failed = pe < DTU_PES ? b->row[pe].failed : 0;
    pthread_mutex_unlock(&b->lock);
}
