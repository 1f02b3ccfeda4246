/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls; see syscall.h. */
#include "syscall.h"

#include "boot.h"
#include "dtu_drv.h"
#include "marshal.h"
#include "session.h"

#define NAME_MAX 63u

static void (*waiting_fn)(void *);
static void *waiting_arg;

void sysc_while_waiting(void (*fn)(void *), void *arg)
{
    waiting_fn = fn;
    waiting_arg = arg;
}

/* The DTU reads the message from here; one system call at a time. */
static uint8_t request[256];

static struct msg_writer begin(enum syscall_op op)
{
    struct msg_writer w;

    msg_writer_init(&w, request, sizeof(request));
    msg_put(&w, op);
    return w;
}

/*
 * Sends w and waits.  Returns the error code; the words behind it go to a->out as far as they come.
 * Whether the answer comes as REPLY or, delayed, as SEND makes no difference (dtu-spec 3.2).
 */
static unsigned call_words(struct msg_writer *w, struct session_args *a)
{
    const struct dtu_header *msg;
    struct msg_reader r;
    unsigned err, n = 0;

    if (w->error)
        return SE_INV_ARGS;
    err = dtu_call(VPE_EP_SYSC, w->buf, w->len, VPE_EP_RECV, 0);
    if (err)
        return err;
    do {
        if (!dtu_wait_ep(VPE_EP_RECV, waiting_fn, waiting_arg))
            return SE_RECV_GONE;
        msg = dtu_fetch(VPE_EP_RECV);
    } while (!msg);
    msg_reader_init(&r, dtu_payload(msg), msg->length);
    err = msg_get_u32(&r);
    for (; a && !err && n < a->nout && msg_remaining(&r) > 0; n++)
        a->out[n] = msg_get_n(&r, msg_remaining(&r) < 8 ? 4 : 8);
    if (a)
        a->nout = n;
    if (r.error)
        err = SE_INV_ARGS;
    dtu_ack(VPE_EP_RECV, msg);
    return err;
}

/* The same with one value, which there must be if it is asked for. */
static unsigned call(struct msg_writer *w, uint64_t *value)
{
    struct session_args a = {.out = value, .nout = value ? 1 : 0};
    unsigned err = call_words(w, &a);

    return !err && value && a.nout == 0 ? SE_INV_ARGS : err;
}

unsigned sysc_noop(void)
{
    struct msg_writer w = begin(SYSC_NOOP);

    return call(&w, NULL);
}

unsigned sysc_kernel_ticks(uint64_t *ticks)
{
    struct msg_writer w = begin(SYSC_NOOP);

    msg_put(&w, SYSC_NOOP_TIME);
    return call(&w, ticks);
}

unsigned sysc_creategate(unsigned vpe, unsigned dst, uint64_t label, unsigned ep, unsigned maxmsg)
{
    struct msg_writer w = begin(SYSC_CREATEGATE);

    msg_put(&w, vpe);
    msg_put(&w, dst);
    msg_put(&w, label);
    msg_put(&w, ep);
    msg_put(&w, maxmsg);
    return call(&w, NULL);
}

unsigned sysc_revoke(struct cap_range range, bool own)
{
    struct msg_writer w = begin(SYSC_REVOKE);

    msg_put_range(&w, range);
    msg_put(&w, own);
    return call(&w, NULL);
}

unsigned sysc_exchange(unsigned vpe, struct cap_range own, struct cap_range other, bool obtain)
{
    struct msg_writer w = begin(SYSC_EXCHANGE);

    msg_put(&w, vpe);
    msg_put_range(&w, own);
    msg_put_range(&w, other);
    msg_put(&w, obtain);
    return call(&w, NULL);
}

unsigned sysc_reqmem(unsigned dst, uint64_t addr, uint64_t size, unsigned perm)
{
    struct msg_writer w = begin(SYSC_REQMEM);

    msg_put(&w, dst);
    msg_put(&w, addr);
    msg_put(&w, size);
    msg_put(&w, perm);
    return call(&w, NULL);
}

unsigned sysc_derivemem(unsigned src, unsigned dst, uint64_t off, uint64_t size, unsigned perm)
{
    struct msg_writer w = begin(SYSC_DERIVEMEM);

    msg_put(&w, src);
    msg_put(&w, dst);
    msg_put(&w, off);
    msg_put(&w, size);
    msg_put(&w, perm);
    return call(&w, NULL);
}

unsigned sysc_activate(unsigned ep, unsigned prev, unsigned next)
{
    struct msg_writer w = begin(SYSC_ACTIVATE);

    msg_put(&w, ep);
    msg_put(&w, prev);
    msg_put(&w, next);
    return call(&w, NULL);
}

unsigned sysc_attachrb(unsigned vpe, unsigned ep, uint64_t addr, unsigned order, unsigned msgorder)
{
    struct msg_writer w = begin(SYSC_ATTACHRB);

    msg_put(&w, vpe);
    msg_put(&w, ep);
    msg_put(&w, addr);
    msg_put(&w, order);
    msg_put(&w, msgorder);
    msg_put(&w, 0); /* flags: none are defined for this DTU */
    return call(&w, NULL);
}

unsigned sysc_detachrb(unsigned vpe, unsigned ep)
{
    struct msg_writer w = begin(SYSC_DETACHRB);

    msg_put(&w, vpe);
    msg_put(&w, ep);
    return call(&w, NULL);
}

unsigned sysc_createvpe(unsigned vpe, unsigned mem, const char *name, uint64_t *desc)
{
    struct msg_writer w = begin(SYSC_CREATEVPE);
    size_t n = strnlen(name, NAME_MAX + 1);

    if (n > NAME_MAX)
        return SE_INV_ARGS;
    msg_put(&w, vpe);
    msg_put(&w, mem);
    msg_put_str(&w, name, n);
    msg_put(&w, *desc);
    msg_put(&w, CAP_INVALID); /* no page-fault gate, and its endpoint */
    msg_put(&w, 0);
    return call(&w, desc);
}

static unsigned vpectrl(unsigned vpe, enum vpectrl_op op, uint64_t *value)
{
    struct msg_writer w = begin(SYSC_VPECTRL);

    msg_put(&w, vpe);
    msg_put(&w, op);
    msg_put(&w, 0); /* pid: for hosts without PEs */
    return call(&w, value);
}

unsigned sysc_start(unsigned vpe)
{
    return vpectrl(vpe, VPECTRL_START, NULL);
}

unsigned sysc_wait(unsigned vpe, int *status)
{
    uint64_t value = 0;
    unsigned err = vpectrl(vpe, VPECTRL_WAIT, &value);

    if (!err)
        *status = (int)(uint32_t)value;
    return err;
}

unsigned sysc_createsrv(unsigned gate, unsigned srv, const char *name)
{
    struct msg_writer w = begin(SYSC_CREATESRV);

    msg_put(&w, gate);
    msg_put(&w, srv);
    msg_put_str(&w, name, strnlen(name, sizeof(request)));
    return call(&w, NULL);
}

unsigned sysc_createsess(unsigned vpe, unsigned sess, const char *name, const void *args, size_t n)
{
    struct msg_writer w = begin(SYSC_CREATESESS);

    msg_put(&w, vpe);
    msg_put(&w, sess);
    msg_put_str(&w, name, strnlen(name, sizeof(request)));
    if (n > 0)
        msg_put_bytes(&w, args, n);
    return call(&w, NULL);
}

unsigned sysc_createsessat(unsigned srv, unsigned sess, uint64_t ident)
{
    struct msg_writer w = begin(SYSC_CREATESESSAT);

    msg_put(&w, srv);
    msg_put(&w, sess);
    msg_put(&w, ident);
    return call(&w, NULL);
}

static unsigned over_session(enum syscall_op op, unsigned vpe, unsigned sess,
                             struct cap_range range, struct session_args *a)
{
    struct msg_writer w = begin(op);

    msg_put(&w, vpe);
    msg_put(&w, sess);
    msg_put_range(&w, range);
    for (unsigned i = 0; a && i < a->nin; i++)
        msg_put(&w, a->in[i]);
    return call_words(&w, a);
}

unsigned sysc_obtain(unsigned vpe, unsigned sess, struct cap_range range, struct session_args *a)
{
    return over_session(SYSC_OBTAIN, vpe, sess, range, a);
}

unsigned sysc_delegate(unsigned vpe, unsigned sess, struct cap_range range, struct session_args *a)
{
    return over_session(SYSC_DELEGATE, vpe, sess, range, a);
}

unsigned sysc_raw(const void *payload, size_t len)
{
    struct msg_writer w;

    msg_writer_init(&w, request, sizeof(request));
    msg_put_bytes(&w, payload, len);
    if (!w.error)
        w.len = len;
    return call(&w, NULL);
}
