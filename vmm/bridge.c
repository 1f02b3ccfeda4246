/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge port: two rings, and the commands that wait for somebody on another node.
 *
 * A PE has one command at a time, so it has one packet at a time, and a table by PE is all the
 * memory that waiting takes.  A packet's id names its row: bits 9..0 the PE, above them a count of
 * that PE's packets, so that an id comes back only after four million of them.
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
#define GIVEN_UP   4u /* per PE; it begins anew each time */

enum waits { IDLE, QUEUED, OUT, DONE };

struct row {
    enum waits state;
    uint32_t id, given_up[GIVEN_UP]; /* of packets that were abandoned and may be completed yet */
    uint32_t seq;
    unsigned result;
    uint16_t to;
    bool stuck;           /* it gave up waiting and has done nothing since */
    struct vdtu_pkt *pkt; /* the initiator's, while it waits */
    uint64_t packets, failed;
    TAILQ_ENTRY(row) link; /* while QUEUED */
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
    bool latched; /* `out` has grown since the last bridge_poll() */
    bool over;
    TAILQ_HEAD(, row) queue;
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

static void put_out(struct bridge *b, const struct row *r)
{
    uint32_t slot = b->out_tail % BRIDGE_SLOTS;
    const struct vdtu_pkt *pkt = r->pkt;

    b->area->out[slot] = (struct bridge_pkt){.op = ops_out[pkt->type],
                                             .id = r->id,
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
    uint32_t head;
    struct row *r;

    if (!b->area)
        return;
    head = get_index(&b->area->out_head);
    if (head - b->out_head > b->out_tail - b->out_head)
        b->stats.bad_index++; /* it claims what it was never given: no news */
    else
        b->out_head = head;
    while ((r = TAILQ_FIRST(&b->queue)) && b->out_tail - b->out_head < BRIDGE_SLOTS) {
        TAILQ_REMOVE(&b->queue, r, link);
        put_out(b, r);
        r->state = OUT;
        b->out_tail++;
        b->stats.taken++;
        b->latched = true;
    }
    set_index(&b->area->out_tail, b->out_tail);
}

static void finish(struct bridge *b, struct row *r, unsigned result)
{
    r->state = DONE;
    r->result = result;
    b->ops->unpark(b->arg, (unsigned)(r - b->row));
}

static void end_all(struct bridge *b, bool queued)
{
    unsigned i;

    for (i = 0; i < DTU_PES; i++) {
        struct row *r = &b->row[i];

        if (r->state != OUT && !(queued && r->state == QUEUED))
            continue;
        if (r->state == QUEUED)
            TAILQ_REMOVE(&b->queue, r, link);
        b->stats.gone++;
        finish(b, r, SE_RECV_GONE);
    }
}

/* ---- the initiator ---- */

/* As many as end a wait at once? */
static bool enough(struct bridge *b)
{
    uint32_t want = b->area ? get_index(&b->area->out_want) : 0;

    return want && b->out_tail - b->out_head >= want;
}

static void enqueue(struct bridge *b, struct row *r, struct vdtu_pkt *pkt)
{
    bool latched = b->latched, full = enough(b);

    r->seq = (r->seq + 1) & SEQ_MASK;
    r->id = r->seq << ID_PE_BITS | pkt->src_pe;
    r->pkt = pkt;
    r->to = pkt->dst_pe;
    r->stuck = false;
    r->state = QUEUED;
    TAILQ_INSERT_TAIL(&b->queue, r, link);
    pump(b);
    if (r->state == QUEUED)
        b->stats.waited++;
    /* Who was woken by the first may be waiting for the others (bridge_few()). */
    if (b->latched && (!latched || (!full && enough(b))))
        b->ops->wake(b->arg);
}

static uint32_t *given_up(struct row *r, uint32_t id)
{
    return &r->given_up[(id >> ID_PE_BITS) % GIVEN_UP];
}

static void give_up(struct bridge *b, struct row *r)
{
    if (r->state == QUEUED)
        TAILQ_REMOVE(&b->queue, r, link);
    else
        *given_up(r, r->id) = r->id; /* somebody may still complete it */
    r->result = SE_RECV_GONE;
    r->stuck = true;
    b->stats.abandoned++;
}

static unsigned wait(struct bridge *b, struct row *r, unsigned pe)
{
    while (r->state != DONE) {
        pthread_mutex_unlock(&b->lock);
        if (b->ops->abandoned(b->arg, pe)) {
            pthread_mutex_lock(&b->lock);
            if (r->state != DONE)
                give_up(b, r);
            break;
        }
        b->ops->park(b->arg, pe);
        pthread_mutex_lock(&b->lock);
    }
    r->state = IDLE;
    r->pkt = NULL;
    return r->result;
}

unsigned bridge_packet(void *arg, struct vdtu_pkt *pkt)
{
    struct bridge *b = arg;
    unsigned pe = pkt->src_pe, err;
    struct row *r;

    /* A bridge that waited for itself would wait for ever. */
    if (pe >= DTU_PES || pe == b->pe || !b->ops->remote(b->arg, pkt->dst_pe))
        return SE_EP_INVALID;
    r = &b->row[pe];
    pthread_mutex_lock(&b->lock);
    r->packets++;
    if (b->over) {
        b->stats.gone++;
        err = SE_RECV_GONE;
    } else {
        enqueue(b, r, pkt);
        err = wait(b, r, pe);
    }
    r->failed += err != SE_OK;
    pthread_mutex_unlock(&b->lock);
    return err;
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

    if (r->state != OUT || r->id != p->id) {
        if (p->id && *given_up(r, p->id) == p->id) {
            *given_up(r, p->id) = 0;
            b->stats.late++;
            return SE_OK;
        }
        b->stats.bad_id++;
        return SE_INV_ARGS;
    }
    if (result > RESULT_MAX) {
        b->stats.bad_result++;
        result = SE_INV_ARGS;
    }
    if (r->pkt->type == VDTU_PKT_READ && result == SE_OK) {
        if (p->len != r->pkt->len) {
            b->stats.bad_len++;
            result = SE_INV_ARGS;
        } else {
            memcpy(r->pkt->data, data, p->len);
        }
    }
    b->stats.completed++;
    finish(b, r, result);
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
    pthread_mutex_unlock(&b->lock);
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
    pthread_mutex_unlock(&b->lock);
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
    pthread_mutex_unlock(&b->lock);
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
    if (r->state == QUEUED || r->state == OUT || r->stuck) {
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
