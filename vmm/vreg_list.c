/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VREG_LIST: commands from a list in local memory, in one exit.  Each is what it would be alone;
 * the program could have stored it to the registers itself.  They follow each other, or, where the
 * program says that it wants so (VREG_TOGETHER), SENDs to other nodes are under way together: their
 * packets are gathered and handed over at once, when another kind of step, the end of the list or
 * the end of the room for them comes.
 */
#include <stdlib.h>

#include "bridge.h"
#include "exits.h"
#include "node.h"
#include "sched.h"

struct list {
    struct pe *pe;
    struct vdtu_batch *batch; /* NULL: one after the other */
    uint64_t at[VDTU_BATCH];  /* where the steps lie whose packets are in the batch */
    struct vreg_step of[VDTU_BATCH];
    unsigned run, failed;
};

/* The stores that the program would have made to the command's endpoint; r0 goes last. */
static bool configure(struct pe *pe, const struct vreg_step *s)
{
    unsigned ep = s->command >> 3 & 0xFF;
    uint64_t words[3];

    if (s->config == 0)
        return true;
    if (ep >= DTU_EPS || s->config % 8 ||
        vdtu_mem_read(pe->dtu, s->config, words, sizeof(words)) != sizeof(words))
        return false;
    for (unsigned i = 3; i-- > 0;)
        vdtu_store(pe->dtu, DTU_EP(ep, i), words[i], 8);
    return true;
}

/* The results are stores of the program: not above RW_BARRIER (dtu-spec 5.5). */
static bool inside(struct pe *pe, uint64_t at)
{
    uint64_t barrier = atomic_load(&pe->barrier);

    return at % 8 == 0 && at <= barrier && barrier - at >= sizeof(struct vreg_step);
}

static void put_result(struct list *l, uint64_t at, const struct vreg_step *s)
{
    struct vdtu *d = l->pe->dtu;

    l->failed += s->result != SE_OK;
    if (!inside(l->pe, at)) /* no longer */
        return;
    vdtu_mem_write(d, at + offsetof(struct vreg_step, offset), &s->offset, 8);
    vdtu_mem_write(d, at + offsetof(struct vreg_step, result), &s->result, 8);
}

/* What is under way comes to its end. */
static void finish(struct list *l)
{
    struct vdtu_batch *b = l->batch;

    if (!b)
        return;
    vdtu_finish(l->pe->dtu, b);
    for (unsigned i = 0; i < b->n; i++) {
        l->of[i].result = b->result[i];
        put_result(l, l->at[i], &l->of[i]);
    }
    b->n = 0;
    b->used = 0;
}

/* May what is under way stay so?  Where there is no room it goes first, or it would be overtaken;
 * so it would be by a message to a neighbour, which may be about what was sent before it. */
static bool may_join(struct vdtu *d, const struct vdtu_batch *b, const struct vreg_step *s)
{
    return (s->command & 7) == DTU_SEND && b->n < VDTU_BATCH &&
           s->data_size <= sizeof(b->data) - b->used && !(b->n && vdtu_is_near(d, s->command));
}

static void run_step(struct list *l, uint64_t at, struct vreg_step *s)
{
    struct vdtu *d = l->pe->dtu;

    if (l->batch && !may_join(d, l->batch, s))
        finish(l);
    vdtu_store(d, DTU_DATA_ADDR, s->data_addr, 8);
    vdtu_store(d, DTU_DATA_SIZE, s->data_size, 8);
    vdtu_store(d, DTU_OFFSET, s->offset, 8);
    vdtu_store(d, DTU_REPLY_LABEL, s->reply_label, 8);
    vdtu_store(d, DTU_REPLY_EPID, s->reply_ep, 8);
    if (l->batch && vdtu_begin(d, l->batch, s->command)) {
        l->at[l->batch->n - 1] = at;
        l->of[l->batch->n - 1] = *s;
        return;
    }
    if (!l->batch)
        vdtu_store(d, DTU_COMMAND, s->command, 8);
    s->offset = vdtu_reg(d, DTU_OFFSET);
    s->result = vdtu_reg(d, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT;
    put_result(l, at, s);
}

/* Others go first, as before any command; does it still make sense after that? */
static bool may_go_on(struct pe *pe)
{
    if (pe->node->sched->step)
        pe->node->sched->step(pe);
    return atomic_load(&pe->node->end) == NODE_RUNS && !atomic_load(&pe->kicked);
}

static void run_steps(struct list *l, uint64_t at, unsigned count, bool together)
{
    struct pe *pe = l->pe;
    struct vreg_step s;

    for (; l->run < count && (together || !l->failed); l->run++, at += sizeof(s)) {
        if (!inside(pe, at) || (l->run > 0 && !may_go_on(pe)) ||
            vdtu_mem_read(pe->dtu, at, &s, sizeof(s)) != sizeof(s))
            break;
        if (s.config)
            finish(l); /* it is sent from what the endpoint was */
        if (!configure(pe, &s))
            break;
        run_step(l, at, &s);
    }
    finish(l);
}

uint64_t vreg_run_list(struct pe *pe, uint64_t value)
{
    uint64_t at = value & ((1ull << 48) - 1);
    unsigned count = (value & ~VREG_TOGETHER) >> 48;
    bool together = value & VREG_TOGETHER;
    struct list l = {.pe = pe};

    if (count > VREG_STEPS_MAX)
        return 0;
    /* Without memory for it each goes alone, which is slower and nothing else. */
    if (together && !pe->batch)
        pe->batch = calloc(1, sizeof(*pe->batch));
    l.batch = together ? pe->batch : NULL;
    run_steps(&l, at, count, together);
    return together ? l.run | (uint64_t)l.failed << 32 : l.run - l.failed;
}
