/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire between the NICs of a seeded run: a switch that loses, doubles, holds back and delays
 * frames as the seed says.
 *
 * All of it is drawn from the number of the sender's frame, not from the scheduler's generator, so
 * that a recorded schedule meets the same wire again.  Frames of one sender to one receiver stay in
 * order unless one is held back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "nic.h"
#include "record.h"
#include "sched_seed_impl.h"
#include "trace_hash.h"

#define LATENCY_NS 20000u     /* the least */
#define JITTER_NS  40000u     /* and up to so much more */
#define REORDER_NS 2500000u   /* held back: about 50 frames' time */
#define STALL_NS   200000000u /* at most */
#define RETRY_NS   50000u     /* a frame that finds no buffer is offered again */
#define HOLD_NS    100000000u /* for so long */
#define FRAMES_MAX 8192u
#define ALL_NODES  MACHINE_MAX_NODES

enum draw { DRAW_LATENCY = 100, DRAW_REORDER, DRAW_STALL, DRAW_DUP };

struct frame {
    TAILQ_ENTRY(frame) link;
    uint64_t due, since, id;
    unsigned from, to;
    size_t len;
    uint8_t data[];
};

struct port {
    struct seed *s;
    unsigned k;
    uint64_t sent;            /* frames it gave to the wire, copies for several counted each */
    uint64_t stalled;         /* until then nothing of it arrives */
    uint64_t last[ALL_NODES]; /* when its last frame to that node arrives */
};

struct seed_wire {
    TAILQ_HEAD(frames, frame) frames; /* by `due`, then in order of sending */
    unsigned nframes;
    struct port port[ALL_NODES];
    uint64_t ids, arrived, lost, doubled, reordered, stalls, no_node, no_buffer, too_many;
};

static uint64_t draw(const struct port *p, enum draw what, uint64_t range)
{
    return seed_mix(p->s->opts->seed, what, p->k, p->sent) % range;
}

static void insert(struct seed_wire *w, struct frame *f)
{
    struct frame *at = TAILQ_LAST(&w->frames, frames);

    while (at && at->due > f->due)
        at = TAILQ_PREV(at, frames, link);
    if (at)
        TAILQ_INSERT_AFTER(&w->frames, at, f, link);
    else
        TAILQ_INSERT_HEAD(&w->frames, f, link);
    w->nframes++;
}

static void add(struct seed_wire *w, const struct port *p, unsigned to, uint64_t id, uint64_t due,
                const void *data, size_t len)
{
    struct frame *f = w->nframes < FRAMES_MAX ? malloc(sizeof(*f) + len) : NULL;

    if (!f) {
        w->too_many++;
        return;
    }
    *f = (struct frame){.due = due, .since = due, .id = id, .from = p->k, .to = to, .len = len};
    memcpy(f->data, data, len);
    insert(w, f);
}

static bool strikes(struct port *p, uint32_t rate, enum trace_inject kind, uint64_t id)
{
    struct seed *s = p->s;
    unsigned pe = s->nodes[p->k].bridge->id;

    if (!seed_drawn(s, p->k, pe, p->sent, rate, kind))
        return false;
    seed_inject(s, pe, kind, id);
    return true;
}

static void send_to(struct port *p, unsigned to, const void *data, size_t len)
{
    const struct seed_faults *rate = &p->s->opts->faults;
    struct seed_wire *w = p->s->wire;
    uint64_t now = seed_clock(p->s), id = ++w->ids, due;

    p->sent++;
    if (strikes(p, rate->loss, TI_LOSS, id)) {
        w->lost++;
        return;
    }
    if (strikes(p, rate->stall, TI_STALL, id)) {
        w->stalls++;
        p->stalled = now + 1 + draw(p, DRAW_STALL, STALL_NS);
    }
    due = now + LATENCY_NS + draw(p, DRAW_LATENCY, JITTER_NS);
    if (due < p->stalled)
        due = p->stalled;
    if (strikes(p, rate->reorder, TI_REORDER, id)) {
        w->reordered++;
        due += draw(p, DRAW_REORDER, REORDER_NS);
    } else {
        if (due <= p->last[to])
            due = p->last[to] + 1;
        p->last[to] = due;
    }
    add(w, p, to, id, due, data, len);
    if (strikes(p, rate->dup, TI_DUP, id)) {
        w->doubled++;
        add(w, p, to, id, due + draw(p, DRAW_DUP, REORDER_NS), data, len);
    }
}

/* The NIC sends; its lock is held. */
static void on_transmit(void *arg, const void *frame, size_t len)
{
    struct port *p = arg;
    struct seed *s = p->s;
    const uint8_t *mac = frame;
    unsigned k, to = ALL_NODES;

    if (len < 6)
        return;
    for (k = 0; k < s->nnodes; k++) {
        const struct machine *m = s->nodes[k].node->desc;

        if (k != p->k && memcmp(m->node[m->self].mac, mac, 6) == 0)
            to = k;
    }
    for (k = 0; k < s->nnodes; k++)
        if (k != p->k && s->nodes[k].bridge && (to == ALL_NODES || to == k))
            send_to(p, k, frame, len);
}

/* ---- arrival ---- */

/* False: it is to be offered again. */
static bool arrive(struct seed *s, struct frame *f)
{
    struct seed_node *to = &s->nodes[f->to], *from = &s->nodes[f->from];
    struct seed_wire *w = s->wire;
    enum netdev_rx r;

    if (to->retired || atomic_load(&to->node->end) != NODE_RUNS) {
        w->no_node++;
        return true;
    }
    r = nic_input(to->bridge->nic, f->data, f->len);
    if (r == NETDEV_RX_NO_BUFFER && seed_clock(s) - f->since < HOLD_NS)
        return false;
    if (r == NETDEV_RX_NO_BUFFER)
        w->no_buffer++;
    w->arrived += r == NETDEV_RX_OK;
    to->node->sched->touched(to->bridge);
    node_record(to->node,
                &(struct trace_record){.op = TR_WIRE,
                                       .pe = s->by_id[from->bridge->id] ? from->bridge->id : 0,
                                       .peer = to->bridge->id,
                                       .label = f->id,
                                       .len = (uint32_t)f->len,
                                       .result = r,
                                       .hash = trace_hash_bytes(TRACE_HASH_INIT, f->data, f->len)});
    return true;
}

void seed_wire_expire(struct seed *s)
{
    struct seed_wire *w = s->wire;
    uint64_t now = seed_clock(s);
    struct frame *f;

    while ((f = TAILQ_FIRST(&w->frames)) && f->due <= now) {
        TAILQ_REMOVE(&w->frames, f, link);
        w->nframes--;
        if (arrive(s, f)) {
            free(f);
        } else {
            f->due = now + RETRY_NS;
            insert(w, f);
        }
    }
}

uint64_t seed_wire_next(const struct seed *s)
{
    const struct frame *f = TAILQ_FIRST(&s->wire->frames);

    return f ? f->due : SEED_NEVER;
}

/* ---- life ---- */

int seed_wire_new(struct seed *s)
{
    s->wire = calloc(1, sizeof(*s->wire));
    if (!s->wire)
        return -ENOMEM;
    TAILQ_INIT(&s->wire->frames);
    return 0;
}

void seed_wire_join(struct seed *s, unsigned k)
{
    struct seed_node *n = &s->nodes[k];
    struct port *p = &s->wire->port[k];
    struct pe *pe = node_nic(n->node);

    n->bridge = pe;
    p->s = s;
    p->k = k;
    if (pe)
        nic_set_wire(pe->nic, on_transmit, p);
}

void seed_wire_free(struct seed *s)
{
    struct frame *f;

    while (s->wire && (f = TAILQ_FIRST(&s->wire->frames))) {
        TAILQ_REMOVE(&s->wire->frames, f, link);
        free(f);
    }
}

void seed_wire_stats(struct seed *s, FILE *out)
{
    const struct seed_wire *w = s->wire;

    if (!w)
        return;
    fprintf(out,
            "wire: frames %" PRIu64 " arrived %" PRIu64 " lost %" PRIu64 " doubled %" PRIu64
            " held back %" PRIu64 " stalls %" PRIu64 "; for nobody %" PRIu64
            ", without buffer %" PRIu64 ", too many %" PRIu64 "\n",
            w->ids, w->arrived, w->lost, w->doubled, w->reordered, w->stalls, w->no_node,
            w->no_buffer, w->too_many);
}
