/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls: from a message to a handler and back (semperos-platform 7.1, 7.2).  Handlers are in
 * sys_cap.c, sys_mem.c, sys_srv.c and sys_vpe.c; a row of the table for every number that the
 * interface has.
 */
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "str.h"

#define OWED_NS      (10000ull * 1000000) /* then its answer is its loss */
#define OWED_TICK_NS 1000000ull

/* Numbers of the interface that this kernel does not serve. */
static int not_supported(struct sys_call *c)
{
    (void)c;
    return SE_NOT_SUP;
}

static int noop(struct sys_call *c)
{
    if (msg_remaining(&c->in) >= 8 && msg_get_u64(&c->in) == SYSC_NOOP_TIME) {
        c->value = c->v->ticks;
        c->has_value = true;
    }
    return SE_OK;
}

static sys_fn *const handlers[SYSC_COUNT] = {
    [SYSC_PAGEFAULT] = not_supported, /* no virtual memory */
    [SYSC_CREATESRV] = sys_createsrv,
    [SYSC_CREATESESS] = sys_createsess,
    [SYSC_CREATESESSAT] = sys_createsessat,
    [SYSC_CREATEGATE] = sys_creategate,
    [SYSC_CREATEVPE] = sys_createvpe,
    [SYSC_CREATEMAP] = not_supported, /* no virtual memory */
    [SYSC_ATTACHRB] = sys_attachrb,
    [SYSC_DETACHRB] = sys_detachrb,
    [SYSC_EXCHANGE] = sys_exchange,
    [SYSC_VPECTRL] = sys_vpectrl,
    [SYSC_DELEGATE] = sys_delegate,
    [SYSC_OBTAIN] = sys_obtain,
    [SYSC_ACTIVATE] = sys_activate,
    [SYSC_REQMEM] = sys_reqmem,
    [SYSC_DERIVEMEM] = sys_derivemem,
    [SYSC_REVOKE] = sys_revoke,
    [SYSC_EXIT] = sys_exit,
    [SYSC_NOOP] = noop,
};

/* It has come with its VPE: the slot was another kernel's, so this is a SEND (move.h). */
static void send_carried(struct vpe *v, const void *data, size_t n)
{
    struct dtu_header *msg = v->move.carried;
    const struct hw_target to = {
        .pe = v->pe, .vpe = v->pe, .ep = msg->reply_ep, .label = msg->reply_label};

    if (hw_send(&to, data, n, KERN_EP_SCRATCH, 0) == SE_NO_RING_SPACE && n <= MOVE_ANSWER_MAX) {
        memmove(msg + 1, data, n); /* a REPLY would not need a place on the way */
        msg->length = (uint16_t)n;
        kern.moves.owing += v->move.owed ? 0 : 1;
        v->wait.waited = v->move.owed ? v->wait.waited : 0;
        v->move.owed = true;
        return;
    }
    sys_drop(v, msg);
}

uint64_t sys_tick(uint64_t ns)
{
    for (struct vpe *v = kern.moves.owing ? kern.vpes : NULL; v; v = v->next) {
        if (!v->move.owed)
            continue;
        v->wait.waited += ns;
        send_carried(v, v->move.carried + 1, v->move.carried->length);
        if (v->move.owed && v->wait.waited > OWED_NS)
            sys_drop(v, v->move.carried);
    }
    return kern.moves.owing ? OWED_TICK_NS : 0;
}

/* A refused reply is its receiver's loss: it has not taken the one before. */
static void reply_bytes(struct vpe *v, const struct dtu_header *msg, const void *data, size_t n)
{
    if (msg == v->move.carried)
        send_carried(v, data, n);
    else
        hw_reply(v->sysc_ep, msg, data, n);
}

static void reply(struct vpe *v, const struct dtu_header *msg, int error, const uint64_t *value)
{
    const uint64_t data[2] = {(uint64_t)(unsigned)error, value ? *value : 0};

    reply_bytes(v, msg, data, value ? sizeof(data) : sizeof(data[0]));
}

void sys_drop(struct vpe *v, const struct dtu_header *msg)
{
    if (msg == v->move.held)
        v->move.held = NULL;
    if (msg == v->move.carried) {
        kern.moves.owing -= v->move.owed ? 1 : 0;
        v->move.owed = false;
        heap_free(v->move.carried);
        v->move.carried = NULL;
    } else {
        hw_ack(v->sysc_ep, msg);
    }
}

/* Its call is done; answering may take an exit, to wake it, and is not the kernel's work. */
static void stop_clock(struct vpe *v)
{
    v->ticks = hw_ticks() - v->since;
}

void sys_answer(struct vpe *v, int error, const uint64_t *value)
{
    v->wait.kind = WAIT_NONE;
    stop_clock(v);
    reply(v, v->wait.msg, error, value);
}

void sys_answer_bytes(struct vpe *v, const void *data, size_t n)
{
    v->wait.kind = WAIT_NONE;
    stop_clock(v);
    reply_bytes(v, v->wait.msg, data, n);
}

static int call(struct vpe *v, const struct dtu_header *msg, struct sys_call *c)
{
    uint32_t op;

    *c = (struct sys_call){.v = v, .msg = msg};
    if (v->state != VPE_RUNNING || msg->length > SYSC_MSG_MAX - sizeof(*msg))
        return SE_INV_ARGS;
    msg_reader_init(&c->in, msg + 1, msg->length);
    op = msg_get_u32(&c->in);
    if (c->in.error || op >= SYSC_COUNT)
        return SE_INV_ARGS;
    return handlers[op](c);
}

static void handle(struct vpe *v, const struct dtu_header *msg)
{
    struct sys_call c;
    int result;

    kern.stats.syscalls++;
    v->since = hw_ticks();
    result = call(v, msg, &c);
    if (result != SE_OK && result != SYS_LATER)
        kern.stats.refused++;
    if (result != SYS_LATER) {
        stop_clock(v);
        reply(v, msg, result, c.has_value && result == SE_OK ? &c.value : NULL);
    }
    vpe_reap();
}

void sys_handle_carried(struct vpe *v)
{
    handle(v, v->move.carried);
}

void sys_thaw(struct vpe *v)
{
    const struct dtu_header *msg = v->move.held;

    v->move.held = NULL;
    handle(v, msg);
}

void sys_handle(unsigned ep, const struct dtu_header *msg)
{
    struct vpe *v = vpe_of_message(ep, msg);

    if (!v && move_forward(ep, msg))
        return;
    /* One call at a time: a second one cannot be there, its VPE had no credits for it. */
    if (!v || v->wait.kind != WAIT_NONE || v->move.held || v->move.carried) {
        kern.stats.strays++;
        hw_ack(ep, msg);
        return;
    }
    v->move.came = false; /* it has had its answer to what it called before */
    if (move_call(v))
        v->move.held = msg;
    else
        handle(v, msg);
    move_step();
}
