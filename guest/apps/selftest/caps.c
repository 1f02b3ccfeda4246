/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of capabilities: creating, handing on, revoking. */
#include "print.h"
#include "selftest.h"
#include "str.h"
#include "syscall.h"

const char *test_noop(void)
{
    for (unsigned i = 0; i < 3; i++) {
        unsigned err = sysc_noop();

        CHECK(!err, "call %u: error %u", i + 1, err);
    }
    return NULL;
}

/* Sends a note to ourselves through whatever is at selector sel. */
static unsigned send_to_self(struct gate *g, uint64_t value)
{
    static struct note n;

    n = (struct note){.value = value};
    return gate_send(g, &n, sizeof(n), DTU_NO_REPLY, 0);
}

static unsigned drop(unsigned sel)
{
    unsigned err = sysc_revoke(cap_range(sel, 1), true);

    if (!err)
        sel_free(sel, 1);
    return err;
}

const char *test_creategate(void)
{
    struct gate g = {.sel = gate_to_me(0x1234)};
    const char *wrong;
    unsigned err;

    CHECK(g.sel != CAP_INVALID, "refused");
    err = send_to_self(&g, 1);
    CHECK(!err, "send through it: error %u", err);
    wrong = hear(0x1234, 1, NULL);
    if (wrong)
        return wrong;
    err = sysc_creategate(CAP_SELF_VPE, g.sel, 1, heard.ep, 128);
    CHECK(err == SE_INV_ARGS, "a used selector: error %u", err);
    err = sysc_creategate(CAP_SELF_VPE, g.sel + 1, 1, 0, 128);
    CHECK(err == SE_INV_ARGS, "endpoint 0: error %u", err);
    err = sysc_creategate(CAP_SELF_VPE, g.sel + 1, 1, DTU_EPS, 128);
    CHECK(err == SE_INV_ARGS, "endpoint 16: error %u", err);
    gate_deactivate(&g);
    err = drop(g.sel);
    CHECK(!err, "revoke: error %u", err);
    return NULL;
}

const char *test_revoke(void)
{
    struct gate g = {.sel = gate_to_me(7)};
    unsigned err;

    CHECK(g.sel != CAP_INVALID, "CREATEGATE refused");
    err = gate_activate(&g);
    CHECK(!err, "ACTIVATE: error %u", err);
    err = drop(g.sel);
    CHECK(!err, "error %u", err);
    err = send_to_self(&g, 2);
    CHECK(err == SE_EP_INVALID, "send through the revoked gate: error %u", err);
    CHECK(!heard_something(), "the message arrived all the same");
    gate_deactivate(&g);
    return NULL;
}

const char *test_revoke_missing(void)
{
    unsigned sel = sel_alloc(1), err;

    err = sysc_revoke(cap_range(sel, 1), true);
    CHECK(err == SE_INV_ARGS, "error %u", err);
    sel_free(sel, 1);
    err = sysc_revoke(cap_range(CAP_SELF_VPE, 1), true);
    CHECK(err == SE_INV_ARGS, "selector 0: error %u", err);
    err = sysc_revoke(cap_range(CAP_SELF_MEM, 1), true);
    CHECK(err == SE_INV_ARGS, "selector 1: error %u", err);
    return NULL;
}

/*
 * The same selector every time: a capability that outlived its revoke would be in the way.  What
 * the kernel keeps without a selector shows in its heap line at shutdown.
 */
const char *test_create_revoke(void)
{
    unsigned sel = sel_alloc(1);

    for (unsigned i = 0; i < 10000; i++) {
        unsigned err = sysc_creategate(CAP_SELF_VPE, sel, i, heard.ep, 128);

        CHECK(!err, "round %u: CREATEGATE: error %u", i, err);
        err = sysc_revoke(cap_range(sel, 1), true);
        CHECK(!err, "round %u: REVOKE: error %u", i, err);
    }
    sel_free(sel, 1);
    return NULL;
}

/* The gate that the next two tests use: delegated in one, revoked in the other. */
static unsigned given = CAP_INVALID;

const char *test_delegate(void)
{
    unsigned err;

    given = gate_to_me(0xde1e);
    CHECK(given != CAP_INVALID, "CREATEGATE refused");
    err = vpe_delegate(&servant, given, SERVANT_SEL, 1);
    CHECK(!err, "EXCHANGE: error %u", err);
    err = servant_ask2(SV_SEND, SERVANT_SEL, 0xcafe, NULL);
    CHECK(!err, "the second VPE's send: error %u", err);
    return hear(0xde1e, 0xcafe, &servant);
}

const char *test_cross_revoke(void)
{
    const char *wrong;
    unsigned err;

    err = servant_ask2(SV_SEND_MORE, 1, 0, NULL);
    CHECK(!err, "send before the revoke: error %u", err);
    wrong = hear(0xde1e, 1, &servant);
    if (wrong)
        return wrong;
    err = drop(given);
    CHECK(!err, "REVOKE: error %u", err);
    err = servant_ask2(SV_SEND_MORE, 2, 0, NULL);
    CHECK(err == SE_EP_INVALID, "send after the revoke: error %u", err);
    CHECK(!heard_something(), "the message arrived all the same");
    err = servant_ask2(SV_SEND, SERVANT_SEL, 3, NULL);
    CHECK(err == SE_INV_ARGS, "activating it again: error %u", err);
    return NULL;
}

const char *test_exchange_revoke(void)
{
    unsigned sel = gate_to_me(1), err;
    uint64_t alive = 0;

    CHECK(sel != CAP_INVALID, "CREATEGATE refused");
    for (unsigned i = 0; i < 1000; i++) {
        err = vpe_delegate(&servant, sel, SERVANT_SEL, 1);
        CHECK(!err, "round %u: EXCHANGE: error %u", i, err);
        if (i == 500) {
            err = servant_ask2(SV_PROBE, SERVANT_SEL, 1, &alive);
            CHECK(!err && alive == 1, "round %u: the copy is not there", i);
        }
        err = sysc_revoke(cap_range(sel, 1), false);
        CHECK(!err, "round %u: REVOKE: error %u", i, err);
    }
    err = servant_ask2(SV_PROBE, SERVANT_SEL, 1, &alive);
    CHECK(!err && alive == 0, "the last copy is alive");
    err = drop(sel);
    CHECK(!err, "our own is gone: error %u", err);
    return NULL;
}

const char *test_obtain(void)
{
    struct gate g = {.sel = sel_alloc(1)};
    const uint64_t in[SV_WORDS] = {0};
    uint64_t out[SV_WORDS];
    unsigned err;

    err = servant_ask2(SV_GATE, SERVANT_SEL, 0x0b7a, NULL);
    CHECK(!err, "the second VPE's CREATEGATE: error %u", err);
    err = vpe_obtain(&servant, g.sel, SERVANT_SEL, 1);
    CHECK(!err, "EXCHANGE: error %u", err);
    err = servant_ask_through(&g, SV_ECHO, in, out);
    CHECK(!err && out[0] == 0x0b7a, "asking through it: error %u, label %#lx", err, out[0]);
    err = vpe_obtain(&servant, g.sel, SERVANT_SEL, 1);
    CHECK(err == SE_INV_ARGS, "to a used selector: error %u", err);
    gate_deactivate(&g);
    err = drop(g.sel);
    CHECK(!err, "REVOKE: error %u", err);
    return NULL;
}

/*
 * A chain: member 0 is ours, member i is derived from i - 1 and belongs to the servant when i is
 * odd, to us when it is even.
 */
struct chain {
    unsigned depth;
    unsigned ours;
};

static unsigned member(const struct chain *c, unsigned i)
{
    return i % 2 ? SERVANT_SEL + 32 + i / 2 : c->ours + i / 2;
}

static const char *chain_build(const struct chain *c)
{
    unsigned err = sysc_creategate(CAP_SELF_VPE, c->ours, c->depth, heard.ep, 128);

    CHECK(!err, "CREATEGATE: error %u", err);
    for (unsigned i = 1; i <= c->depth; i++) {
        err = i % 2 ? vpe_delegate(&servant, member(c, i - 1), member(c, i), 1)
                    : vpe_obtain(&servant, member(c, i), member(c, i - 1), 1);
        CHECK(!err, "member %u: EXCHANGE: error %u", i, err);
    }
    return NULL;
}

/* The last member works: it is put onto an endpoint and stays there. */
static const char *chain_use(const struct chain *c, struct gate *last)
{
    unsigned err;

    last->sel = member(c, c->depth);
    if (c->depth % 2) {
        err = servant_ask2(SV_SEND, last->sel, c->depth, NULL);
        CHECK(!err, "send through the last member: error %u", err);
        return hear(c->depth, c->depth, &servant);
    }
    err = send_to_self(last, c->depth);
    CHECK(!err, "send through the last member: error %u", err);
    return hear(c->depth, c->depth, NULL);
}

static const char *chain_is_dead(const struct chain *c, struct gate *last)
{
    unsigned theirs = (c->depth + 1) / 2, err;
    uint64_t alive = 0;

    err = c->depth % 2 ? servant_ask2(SV_SEND_MORE, 0, 0, NULL) : send_to_self(last, 0);
    CHECK(err == SE_EP_INVALID, "send through the last member's endpoint: error %u", err);
    CHECK(!heard_something(), "the message arrived all the same");
    gate_deactivate(last);
    for (unsigned i = 0; i <= c->depth; i += 2) {
        struct gate g = {.sel = member(c, i)};

        err = gate_activate(&g);
        CHECK(err == SE_INV_ARGS, "activating member %u: error %u", i, err);
    }
    err = servant_ask2(SV_PROBE, member(c, 1), theirs, &alive);
    CHECK(!err && alive == 0, "%lu members of the second VPE are alive (error %u)", alive, err);
    return NULL;
}

static const char *test_chain(unsigned depth)
{
    const unsigned count = depth / 2 + 1;
    const struct chain c = {.depth = depth, .ours = sel_alloc(count)};
    struct gate last = {0};
    const char *wrong = chain_build(&c);
    unsigned err;

    if (!wrong)
        wrong = chain_use(&c, &last);
    if (wrong) {
        gate_deactivate(&last);
        return wrong;
    }
    err = sysc_revoke(cap_range(c.ours, 1), true);
    CHECK(!err, "REVOKE: error %u", err);
    wrong = chain_is_dead(&c, &last);
    if (!wrong)
        sel_free(c.ours, count);
    return wrong;
}

const char *test_chain_1(void)
{
    return test_chain(1);
}

const char *test_chain_10(void)
{
    return test_chain(10);
}

const char *test_chain_100(void)
{
    return test_chain(100);
}

const char *test_chain_1000(void)
{
    return test_chain(1000);
}
