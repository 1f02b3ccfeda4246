/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands: decoding, completion, and finding the second DTU.
 *
 * A store to COMMAND runs the command to its end before it returns, as dtu-spec 2.2 allows.  Which
 * PE is the target stands in an endpoint (or, for a reply, in a slot), which may be looked at only
 * under the own lock; but the two locks are taken in PE order.  So vdtu_act() reads the endpoint,
 * drops the lock, takes both, and reads again: if the endpoint names another target by now, it
 * starts over.  Somebody has to rewrite the endpoint for each round, so after a few the command
 * fails instead.
 *
 * While the lock is dropped COMMAND shows the command, and `busy` keeps a second one out.  A
 * scheduler that orders the packets of a run holds them up at the same place.
 */
#include "internal.h"

#define MAX_ROUNDS 16

/* Swaps the second lock for that of t; the lock of d is dropped and taken again. */
static struct vdtu *relock(struct vdtu *d, struct vdtu *second, struct vdtu *t)
{
    if (second)
        vdtu_unlock(second);
    vdtu_unlock(d);
    if (t->pe < d->pe) {
        vdtu_lock(t);
        vdtu_lock(d);
    } else {
        vdtu_lock(d);
        vdtu_lock(t);
    }
    return t;
}

/* Lets the scheduler hold the packet up; the lock of d is dropped and taken again. */
static void in_transit(struct vdtu *d, const struct vdtu_pkt *pkt)
{
    unsigned refusal;

    vdtu_unlock(d);
    refusal = d->noc->transit(d->noc->transit_arg, pkt);
    vdtu_lock(d);
    d->refusal = refusal;
}

unsigned vdtu_act(struct vdtu *d, const struct vdtu_action *a, struct vdtu_cmd *c)
{
    struct vdtu *second = NULL;
    unsigned err = SE_EP_INVALID;
    bool travelled = !d->noc->transit;

    for (unsigned round = 0; round < MAX_ROUNDS; round++) {
        struct vdtu_pkt pkt = {.src_pe = d->pe};
        struct vdtu *t;

        err = a->prepare(d, c, &pkt);
        if (err)
            break;
        if (!travelled) {
            travelled = true;
            in_transit(d, &pkt);
            continue;
        }
        t = vdtu_noc_find(d->noc, pkt.dst_pe);
        if (!t && second) { /* another node: not with a neighbour's lock held */
            vdtu_unlock(second);
            second = NULL;
        }
        if (!t || t == d || t == second) {
            err = a->commit(d, t, c, &pkt);
            break;
        }
        second = relock(d, second, t);
        err = SE_EP_INVALID;
    }
    if (second)
        vdtu_unlock(second);
    d->refusal = SE_OK;
    return err;
}

static unsigned run(struct vdtu *d, struct vdtu_cmd *c)
{
    switch (c->op) {
    case DTU_SEND:
        return vdtu_cmd_send(d, c);
    case DTU_REPLY:
        return vdtu_cmd_reply(d, c);
    case DTU_READ:
    case DTU_WRITE:
        return vdtu_cmd_mem(d, c);
    case DTU_FETCH:
        return vdtu_cmd_fetch(d, c);
    case DTU_ACK:
        return vdtu_cmd_ack(d, c);
    }
    return SE_OK;
}

static unsigned start(struct vdtu *d, unsigned op, uint32_t arg)
{
    struct vdtu_cmd c = {
        .op = op,
        .ep = arg,
        .addr = vdtu_get(d, DTU_DATA_ADDR),
        .size = vdtu_get(d, DTU_DATA_SIZE),
        .offset = vdtu_get(d, DTU_OFFSET),
        .reply_ep = (uint8_t)vdtu_get(d, DTU_REPLY_EPID),
        .reply_label = vdtu_get(d, DTU_REPLY_LABEL),
    };

    if (op == DTU_DEBUG) { /* all 32 bits of the argument are the marker (dtu-spec 2.2) */
        if (d->ops.debug)
            d->ops.debug(d->arg, arg);
        return SE_OK;
    }
    return arg < DTU_EPS ? run(d, &c) : SE_EP_INVALID;
}

static void begin_event(struct vdtu *d, unsigned op, uint32_t arg)
{
    if (!d->noc->trace)
        return;
    d->ev = (struct vdtu_event){
        .pe = d->pe,
        .vpe = (uint16_t)vdtu_get(d, DTU_VPE_ID),
        .op = (uint8_t)op,
        .ep = (uint8_t)(op == DTU_DEBUG ? 0 : arg),
        .peer = 0xFFFF,
        .label = op == DTU_DEBUG ? arg : 0,
    };
}

/* While another command has the lock dropped, its event and arguments stay its own. */
void vdtu_posted_ack(struct vdtu *d, unsigned ep, uint64_t msg)
{
    struct vdtu_cmd c = {.op = DTU_ACK, .ep = ep, .offset = msg};
    struct vdtu_event kept = d->ev;

    if (ep >= DTU_EPS) {
        d->stats.ignored_stores++;
        return;
    }
    d->stats.cmds[DTU_ACK]++;
    begin_event(d, DTU_ACK, ep);
    vdtu_cmd_ack(d, &c);
    if (d->noc->trace)
        d->noc->trace(d->noc->trace_arg, &d->ev);
    d->ev = kept;
}

void vdtu_ack(struct vdtu *d, unsigned ep, uint64_t msg)
{
    vdtu_lock(d);
    vdtu_posted_ack(d, ep, msg);
    vdtu_unlock(d);
}

void vdtu_command(struct vdtu *d, uint64_t value)
{
    unsigned op = value & 7, err;

    if (d->busy) {
        d->stats.ignored_stores++;
        return;
    }
    d->stats.cmds[op]++;
    vdtu_set(d, DTU_COMMAND, value);
    if (op == DTU_IDLE)
        return;
    d->busy = true;
    begin_event(d, op, (uint32_t)(value >> 3));
    err = start(d, op, (uint32_t)(value >> 3));
    d->busy = false;
    if (err == VDTU_BEGUN) {
        vdtu_set(d, DTU_COMMAND, 0);
        vdtu_batch_event(d);
        return;
    }
    if (err)
        d->stats.cmd_errors[err < 24 ? err : 23]++;
    vdtu_set(d, DTU_COMMAND, (uint64_t)err << DTU_CMD_ERR_SHIFT);
    if (d->noc->trace) {
        d->ev.result = err;
        d->noc->trace(d->noc->trace_arg, &d->ev);
    }
}
