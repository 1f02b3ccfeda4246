/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel tells of its capabilities when the VMM asks.  Only the VMM can: the question is
 * in the register page of the kernel's own PE, which no endpoint of a VPE reaches.
 */
#include "dump.h"

#include "kernel.h"
#include "kernelcalls.h"
#include "srv.h"
#include "str.h"

struct dump {
    dump_fn *put;
    void *arg;
    uint64_t records;
};

static void put(struct dump *d, const struct capdump *r)
{
    d->put(d->arg, r);
    d->records++;
}

static void copy_name(char *to, size_t size, const char *from)
{
    for (size_t i = 0; i + 1 < size && from[i]; i++)
        to[i] = from[i];
}

/* What it stands for. */
static void describe(struct capdump *r, const struct cap *c)
{
    switch (c->type) {
    case CAP_MSG:
        r->to_pe = c->msg.pe;
        r->to_vpe = c->msg.vpe;
        r->ep = c->msg.ep;
        r->cap.addr = c->msg.label;
        r->cap.size = c->msg.maxmsg;
        break;
    case CAP_MEM:
        r->to_pe = c->mem.pe;
        r->to_vpe = c->mem.vpe;
        r->perms = c->mem.perms;
        r->cap.addr = c->mem.addr;
        r->cap.size = c->mem.size;
        break;
    case CAP_VPE:
        r->to_pe = r->to_vpe = c->vpe->pe;
        break;
    case CAP_SRV:
        copy_name(r->service, sizeof(r->service), c->srv->name);
        break;
    case CAP_SESS:
        r->cap.addr = c->sess->ident;
        if (c->sess->srv)
            copy_name(r->service, sizeof(r->service), c->sess->srv->name);
        break;
    default:
        break;
    }
}

static void put_cap(struct dump *d, const struct cap *c)
{
    struct capdump r = {.kind = CAPDUMP_CAP, .pe = c->holder->pe, .sel = c->sel};

    r.cap.key = cap_key(c);
    r.cap.parent = c->parent ? cap_key(c->parent) : c->rparent;
    r.type = (uint8_t)ddl_type(r.cap.key);
    describe(&r, c);
    put(d, &r);
    for (const struct rkid *k = c->rkids; k; k = k->next) {
        r = (struct capdump){.kind = CAPDUMP_CHILD, .pe = c->holder->pe, .sel = c->sel};
        r.cap.key = k->key;
        put(d, &r);
    }
}

static void put_vpe(struct dump *d, const struct vpe *v)
{
    static const uint8_t state[] = {[VPE_CREATED] = CAPDUMP_CREATED,
                                    [VPE_RUNNING] = CAPDUMP_RUNNING,
                                    [VPE_ZOMBIE] = CAPDUMP_ENDED};
    struct capdump r = {.kind = CAPDUMP_VPE, .pe = v->pe, .type = state[v->state]};
    uint32_t sel = 0;

    r.n = (uint32_t)v->exitcode;
    copy_name(r.name, sizeof(r.name), v->name);
    put(d, &r);
    for (const struct cap *c; (c = cap_next(&v->caps, sel)); sel = c->sel + 1u)
        put_cap(d, c);
}

void dump_caps(uint64_t question, dump_fn *fn, void *arg)
{
    struct dump d = {.put = fn, .arg = arg};
    struct capdump r = {.kind = CAPDUMP_KERNEL, .pe = kern.own_pe, .n = kern.id};

    r.cap.key = question;
    for (const struct cap *c = kern.revocations; c; c = c->rev.next)
        r.cap.size++;
    put(&d, &r);
    for (const struct vpe *v = kern.vpes; v; v = v->next)
        put_vpe(&d, v);
    r = (struct capdump){.kind = CAPDUMP_END, .pe = kern.own_pe, .n = kern.id};
    r.cap.key = question;
    r.cap.size = d.records;
    put(&d, &r);
}
