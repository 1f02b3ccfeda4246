/* SPDX-License-Identifier: BSD-2-Clause */
/* Selectors, endpoints and gates; see gate.h. */
#include "gate.h"

#include "boot.h"
#include "print.h"
#include "ring_lib.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

#define GONE_RETRIES 64 /* SE_VPE_GONE: the receiver moved; more often it is really gone */

static uint64_t sels[(SEL_END - SEL_OWN) / 64]; /* bit set: in use */
static unsigned sel_hint;                       /* no free one below */
static bool ep_taken[DTU_EPS];
static unsigned ep_sel[DTU_EPS]; /* selector of the gate that is there, 0: none */
static unsigned ep_victim = VPE_EP_FREE;
static uint64_t recvbuf_next; /* 0: not set up */
static uint8_t ep_pins[DTU_EPS];
static unsigned pins, life = 1; /* pins: endpoints that have some */

static bool sel_used(unsigned i)
{
    return sels[i / 64] >> (i % 64) & 1;
}

unsigned sel_alloc(unsigned count)
{
    unsigned n = 0;

    for (unsigned i = sel_hint; i < SEL_END - SEL_OWN; i++) {
        n = sel_used(i) ? 0 : n + 1;
        if (n == count) {
            unsigned start = i + 1 - count;

            for (unsigned j = start; j <= i; j++)
                sels[j / 64] |= 1ull << (j % 64);
            if (start == sel_hint)
                sel_hint = i + 1;
            return SEL_OWN + start;
        }
    }
    panic("no %u free selectors", count);
}

void sel_free(unsigned start, unsigned count)
{
    for (unsigned i = start - SEL_OWN; count > 0 && i < SEL_END - SEL_OWN; i++, count--) {
        sels[i / 64] &= ~(1ull << (i % 64));
        if (i < sel_hint)
            sel_hint = i;
    }
}

/* An endpoint for a gate or, taken, for something that stays. */
static unsigned ep_choose(void)
{
    for (unsigned ep = VPE_EP_FREE; ep < DTU_EPS; ep++)
        if (!ep_taken[ep] && !ep_sel[ep])
            return ep;
    for (unsigned i = VPE_EP_FREE; i < DTU_EPS; i++) {
        unsigned ep = ep_victim;

        ep_victim = ep + 1 < DTU_EPS ? ep + 1 : VPE_EP_FREE;
        if (!ep_taken[ep])
            return ep;
    }
    /* What is mapped through an endpoint goes with it, and then by commands. */
    for (unsigned ep = VPE_EP_FREE; ep < DTU_EPS; ep++)
        if (ep_pins[ep]) {
            ep_pins[ep] = 0;
            ep_taken[ep] = false;
            pins--;
            return ep;
        }
    panic("no free endpoint");
}

/* ACTIVATE fails when the capability was revoked; then the endpoint is empty already. */
static void ep_clear(unsigned ep)
{
    if (ep_sel[ep])
        sysc_activate(ep, ep_sel[ep], CAP_INVALID);
    ep_sel[ep] = 0;
}

unsigned ep_alloc(void)
{
    unsigned ep = ep_choose();

    ep_clear(ep);
    ep_taken[ep] = true;
    return ep;
}

void ep_reserve(unsigned ep)
{
    if (ep >= DTU_EPS)
        panic("there is no endpoint %u", ep);
    ep_clear(ep);
    ep_taken[ep] = true;
}

void ep_free(unsigned ep)
{
    ep_taken[ep] = false;
}

void gate_reset(void)
{
    memset(sels, 0, sizeof(sels));
    memset(ep_taken, 0, sizeof(ep_taken));
    memset(ep_sel, 0, sizeof(ep_sel));
    sel_hint = 0;
    memset(ep_pins, 0, sizeof(ep_pins));
    pins = 0;
    life++;
    ep_victim = VPE_EP_FREE;
    recvbuf_next = 0;
}

unsigned recv_gate_attach(struct recv_gate *g, unsigned ep, unsigned order, unsigned msgorder)
{
    unsigned err;

    /* The kernel keeps endpoint 1's slot at the start (dtu-spec 8.1). */
    if (!recvbuf_next)
        recvbuf_next = guest_recvbuf_start() + 256;
    if (order > 20 || 1ull << order > guest_mem_size() - recvbuf_next)
        return SE_NO_SPACE;
    *g = (struct recv_gate){ep, recvbuf_next, order, msgorder};
    err = sysc_attachrb(CAP_SELF_VPE, g->ep, g->addr, order, msgorder);
    if (!err)
        recvbuf_next += 1ull << order;
    return err;
}

unsigned recv_gate_create(struct recv_gate *g, unsigned order, unsigned msgorder)
{
    unsigned ep = ep_alloc(), err = recv_gate_attach(g, ep, order, msgorder);

    if (err)
        ep_free(ep);
    return err;
}

unsigned recv_gate_destroy(struct recv_gate *g)
{
    if (recvbuf_next == g->addr + (1ull << g->order))
        recvbuf_next = g->addr;
    ep_free(g->ep);
    return sysc_detachrb(CAP_SELF_VPE, g->ep);
}

const struct dtu_header *recv_gate_wait(const struct recv_gate *g)
{
    const struct dtu_header *msg;

    do { /* what was fetched already goes with the endpoint, see dtu_wait_ep() */
        if (dtu_type(g->ep) == DTU_EP_RECV && (msg = dtu_fetch(g->ep)))
            return msg;
    } while (dtu_wait_ep(g->ep, NULL, NULL));
    return NULL;
}

/* The VMM wakes us when a kernel takes a send endpoint away. */
const struct dtu_header *recv_gate_wait_answer(const struct recv_gate *g, const struct gate *to)
{
    const struct dtu_header *msg;
    bool sending;

    do {
        sending = dtu_type(to->ep) == DTU_EP_SEND; /* before the last look for an answer */
        msg = dtu_fetch(g->ep);
        if (msg || !sending || dtu_type(g->ep) != DTU_EP_RECV)
            return msg;
        if (dtu_get(DTU_MSG_CNT) || ring_any(&ring_self))
            dtu_wait_only(g->ep); /* something else has come */
        else
            dtu_wait(VREG_WAIT_FOREVER);
    } while (true);
}

/* Another gate may have taken the endpoint since. */
static bool has_ep(const struct gate *g)
{
    return g->ep && ep_sel[g->ep] == g->sel;
}

static __attribute__((noinline)) unsigned activate(struct gate *g)
{
    unsigned ep = ep_choose(), err;

    err = sysc_activate(ep, ep_sel[ep] ? ep_sel[ep] : CAP_INVALID, g->sel);
    if (err)
        return err;
    ep_sel[ep] = g->sel;
    g->ep = ep;
    return SE_OK;
}

unsigned gate_activate(struct gate *g)
{
    return has_ep(g) ? SE_OK : activate(g);
}

void gate_deactivate(struct gate *g)
{
    if (has_ep(g)) {
        if (ep_pins[g->ep])
            ep_pins[g->ep] = 1;
        gate_unpin(g);
        ep_clear(g->ep);
    }
    g->ep = 0;
}

unsigned gate_pin(struct gate *g)
{
    unsigned err = gate_activate(g);

    if (err)
        return err;
    if (!ep_pins[g->ep]) {
        if (pins == GATE_PINS)
            return SE_NO_SPACE;
        pins++;
        ep_taken[g->ep] = true;
    }
    ep_pins[g->ep]++;
    return SE_OK;
}

void gate_unpin(struct gate *g)
{
    if (!has_ep(g) || !ep_pins[g->ep] || --ep_pins[g->ep])
        return;
    ep_taken[g->ep] = false;
    pins--;
}

unsigned gate_life(void)
{
    return life;
}

struct transfer {
    unsigned op;
    void *buf;
    const void *data;
    size_t len;
    uint64_t off; /* or reply label */
    unsigned reply_ep;
};

/* Inline, and so one for each operation: a message's way through here counts. */
static inline __attribute__((always_inline)) unsigned transfer(struct gate *g,
                                                               const struct transfer *t)
{
    unsigned err = SE_VPE_GONE;

    for (unsigned i = 0; i < GONE_RETRIES && err == SE_VPE_GONE; i++) {
        if (i > 0) {
            err = sysc_activate(g->ep, g->sel, g->sel); /* where it is now (dtu-spec 8.7) */
            if (err)
                return err;
        }
        err = has_ep(g) ? SE_OK : activate(g);
        if (err)
            return err;
        switch (t->op) {
        case DTU_SEND:
            err = dtu_send(g->ep, t->data, t->len, t->reply_ep, t->off);
            break;
        case DTU_READ:
            err = dtu_read(g->ep, t->buf, t->len, t->off);
            break;
        default:
            err = dtu_write(g->ep, t->data, t->len, t->off);
            break;
        }
    }
    return err;
}

unsigned gate_send(struct gate *g, const void *data, size_t len, unsigned reply_ep,
                   uint64_t reply_label)
{
    return transfer(
        g, &(struct transfer){
               .op = DTU_SEND, .data = data, .len = len, .off = reply_label, .reply_ep = reply_ep});
}

unsigned gate_read(struct gate *g, void *buf, size_t len, uint64_t off)
{
    return transfer(g, &(struct transfer){.op = DTU_READ, .buf = buf, .len = len, .off = off});
}

unsigned gate_write(struct gate *g, const void *buf, size_t len, uint64_t off)
{
    return transfer(g, &(struct transfer){.op = DTU_WRITE, .data = buf, .len = len, .off = off});
}
