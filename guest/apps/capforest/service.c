/* SPDX-License-Identifier: BSD-2-Clause */
/* The service of capforest: a table of capabilities for each client (main.c). */
#include "forest.h"
#include "print.h"
#include "server.h"
#include "start.h"

static struct server srv;
static unsigned probe_ep;
static bool taken[CLIENTS];  /* by sessions */
static unsigned most, quits; /* sessions at a time; how many may still tell us to end */

static unsigned slot_of(uint64_t ident, uint64_t slot)
{
    return BASE + (unsigned)(ident - 1) * SLOTS + (unsigned)slot;
}

static unsigned do_open(void *arg, struct msg_reader *in, uint64_t *ident)
{
    (void)arg;
    (void)in;
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (taken[i])
            continue;
        taken[i] = true;
        most = most > i ? most : i + 1;
        *ident = i + 1;
        return SE_OK;
    }
    return SE_NO_SPACE;
}

static void do_close(void *arg, uint64_t ident)
{
    (void)arg;
    if (ident - 1 < CLIENTS)
        taken[ident - 1] = false;
}

static unsigned one_slot(uint64_t ident, unsigned count, struct msg_reader *in,
                         struct cap_range *range)
{
    uint64_t what = msg_get_u64(in);

    if (in->error || count != 1 || what >= SLOTS)
        return SE_INV_ARGS;
    *range = cap_range(slot_of(ident, what), 1);
    return SE_OK;
}

/* A gate to this service for messages, or what is in a slot. */
static unsigned do_obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                          struct cap_range *give, struct msg_writer *out)
{
    struct msg_reader look = *in;

    (void)arg;
    (void)out;
    if (msg_get_u64(&look) != ~0ull)
        return one_slot(ident, count, in, give);
    give->count = 1;
    return server_gate(&srv, ident, &give->start);
}

static unsigned do_delegate(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                            struct cap_range *take, struct msg_writer *out)
{
    (void)arg;
    (void)out;
    return one_slot(ident, count, in, take);
}

static void message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    uint64_t op = msg_get_u64(in), slot = msg_get_u64(in), err = SE_OK, value = 0;

    (void)arg;
    if (in->error || slot >= SLOTS)
        err = SE_INV_ARGS;
    else if (op == ASK_QUIT)
        srv.stop = --quits == 0;
    else if (op == ASK_REVOKE)
        err = sysc_revoke(cap_range(slot_of(label, slot), 1), true);
    else
        value = there_mask(probe_ep, slot_of(label, 0));
    msg_put(out, err);
    msg_put(out, value);
}

/*
 * How much there is of clients that have left.  They have taken back all that was theirs, or died,
 * and then their kernel has, in its own time.
 */
static unsigned left_behind(void)
{
    unsigned n = 0;

    for (uint64_t waited = 0, ns = POLL_NS; waited < POLLS * POLL_NS; waited += ns, ns += ns / 2) {
        n = 0;
        for (unsigned i = 0; i < most; i++)
            for (uint64_t bits = taken[i] ? 0 : there_mask(probe_ep, BASE + i * SLOTS); bits;
                 bits &= bits - 1)
                n++;
        if (n == 0)
            break;
        dtu_relax(ns);
    }
    return n;
}

int forest_serve(const char *name, unsigned count)
{
    static const struct server_ops ops = {.open = do_open,
                                          .obtain = do_obtain,
                                          .delegate = do_delegate,
                                          .close = do_close,
                                          .message = message};
    unsigned err = server_create(&srv, name, &ops, NULL), left;

    quits = count;

    if (err)
        panic("capforest: the service %s cannot be registered: error %u", name, err);
    probe_ep = ep_alloc();
    server_run(&srv);
    left = left_behind();
    if (left)
        print("capforest: service %s: %u capabilities should be gone\n", name, left);
    return server_destroy(&srv) || left ? 1 : 0;
}
