/* SPDX-License-Identifier: BSD-2-Clause */
/* The server side of services; see server.h. */
#include "server.h"

#include "str.h"
#include "syscall.h"

unsigned server_create(struct server *s, const char *name, const struct server_ops *ops, void *arg)
{
    unsigned err;

    *s = (struct server){.ops = ops, .arg = arg};
    err = recv_gate_create(&s->gate, SERVER_ORDER, SERVER_MSGORDER);
    if (err)
        return err;
    s->control = sel_alloc(2);
    s->sel = s->control + 1;
    err =
        sysc_creategate(CAP_SELF_VPE, s->control, SERVER_KERNEL_LABEL, s->gate.ep, SERVER_MSG_MAX);
    if (err)
        goto no_gate;
    err = sysc_createsrv(s->control, s->sel, name);
    if (!err)
        return SE_OK;
    sysc_revoke(cap_range(s->control, 1), true);
no_gate:
    sel_free(s->control, 2);
    recv_gate_destroy(&s->gate);
    return err;
}

unsigned server_gate(struct server *s, uint64_t label, unsigned *sel)
{
    unsigned err;

    *sel = sel_alloc(1);
    err = sysc_creategate(CAP_SELF_VPE, *sel, label, s->gate.ep, SERVER_MSG_MAX);
    if (err)
        sel_free(*sel, 1);
    return err;
}

static unsigned do_open(struct server *s, struct msg_reader *in, struct msg_writer *body)
{
    uint64_t ident = ++s->idents;
    unsigned err = s->ops->open ? s->ops->open(s->arg, in, &ident) : SE_OK;

    msg_put(body, ident);
    return err;
}

static unsigned do_exchange(struct server *s, enum server_op op, struct msg_reader *in,
                            struct msg_writer *body)
{
    uint8_t rest[SERVER_MSG_MAX];
    struct msg_writer out;
    struct cap_range range = {CRD_OBJ, 0, 0};
    uint64_t ident = msg_get_u64(in);
    uint32_t count = msg_get_u32(in);
    unsigned err = SE_NOT_SUP;

    if (in->error)
        return SE_INV_ARGS;
    msg_writer_init(&out, rest, sizeof(rest));
    if (op == SERVER_OBTAIN && s->ops->obtain)
        err = s->ops->obtain(s->arg, ident, count, in, &range, &out);
    if (op == SERVER_DELEGATE && s->ops->delegate)
        err = s->ops->delegate(s->arg, ident, count, in, &range, &out);
    msg_put_range(body, range);
    msg_put_bytes(body, rest, out.len);
    return err;
}

static unsigned control(struct server *s, struct msg_reader *in, struct msg_writer *body)
{
    uint32_t op = msg_get_u32(in);

    switch (op) {
    case SERVER_OPEN:
        return do_open(s, in, body);
    case SERVER_OBTAIN:
    case SERVER_DELEGATE:
        return do_exchange(s, op, in, body);
    case SERVER_CLOSE:
        if (s->ops->close)
            s->ops->close(s->arg, msg_get_u64(in));
        return SE_OK;
    case SERVER_SHUTDOWN:
        if (s->ops->shutdown)
            s->ops->shutdown(s->arg);
        s->stop = true;
        return SE_OK;
    default:
        return SE_INV_ARGS;
    }
}

static void handle(struct server *s, const struct dtu_header *msg)
{
    static uint8_t reply[SERVER_MSG_MAX - sizeof(struct dtu_header)];
    struct msg_writer out, body;
    struct msg_reader in;
    uint64_t err;

    msg_reader_init(&in, dtu_payload(msg), msg->length);
    msg_writer_init(&out, reply, sizeof(reply));
    if (msg->label == SERVER_KERNEL_LABEL) {
        msg_writer_init(&body, reply + sizeof(err), sizeof(reply) - sizeof(err));
        err = control(s, &in, &body);
        if (body.error && !err)
            err = SE_NO_SPACE;
        msg_put(&out, err);
        if (!err)
            out.len += body.len;
    } else if (s->ops->message) {
        s->current = msg;
        s->ops->message(s->arg, msg->label, &in, &out);
        if (!s->current)
            return;
    }
    dtu_reply(s->gate.ep, msg, reply, out.len);
}

const struct dtu_header *server_keep(struct server *s)
{
    const struct dtu_header *msg = s->current;

    s->current = NULL;
    return msg;
}

void server_answer(struct server *s, const struct dtu_header *msg, const void *data, size_t n)
{
    dtu_reply(s->gate.ep, msg, data, n);
}

void server_run(struct server *s)
{
    while (!s->stop) {
        const struct dtu_header *msg = recv_gate_wait(&s->gate);

        if (!msg)
            return;
        handle(s, msg);
    }
}

unsigned server_destroy(struct server *s)
{
    unsigned err = sysc_revoke(cap_range(s->control, 2), true);

    sel_free(s->control, 2);
    recv_gate_destroy(&s->gate);
    return err;
}
