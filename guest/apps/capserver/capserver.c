/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capserver N: a service that hands out N capabilities, one for each OBTAIN, and revokes them when
 * asked to by a message.  At shutdown it says how long a revocation took on average, in cycles.
 */
#include "capserver.h"

#include "dtu.h"
#include "fmt.h"
#include "print.h"
#include "server.h"
#include "start.h"
#include "syscall.h"

struct capserver {
    struct server srv;
    unsigned caps; /* first selector */
    unsigned total, given, revoked;
    unsigned long cycles;
};

static unsigned obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                       struct cap_range *give, struct msg_writer *out)
{
    struct capserver *c = arg;
    uint64_t what = msg_get_u64(in);
    unsigned err;

    (void)out;
    if (in->error || count != 1)
        return SE_INV_ARGS;
    give->count = 1;
    if (what == CAPSERVER_GATE) {
        err = server_gate(&c->srv, ident, &give->start);
        return err;
    }
    if (c->given == c->total)
        return SE_NO_SPACE;
    give->start = c->caps + c->given++;
    return SE_OK;
}

static void message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    struct capserver *c = arg;
    uint64_t i = msg_get_u64(in);
    unsigned long begin = __builtin_ia32_rdtsc();
    unsigned err = SE_INV_ARGS;

    (void)label;
    if (!in->error && i < c->given)
        err = sysc_revoke(cap_range(c->caps + (unsigned)i, 1), true);
    if (!err) {
        c->cycles += __builtin_ia32_rdtsc() - begin;
        c->revoked++;
    }
    msg_put(out, err);
}

static const struct server_ops ops = {.obtain = obtain, .message = message};

int main(int argc, char **argv)
{
    static struct capserver c;
    unsigned long n = 0;
    unsigned err = SE_OK;

    if (argc != 2 || !fmt_parse(argv[1], &n) || n == 0 || n > CAPSERVER_MAX)
        panic("usage: capserver N, N from 1 to %u", CAPSERVER_MAX);
    c.total = (unsigned)n;
    c.caps = sel_alloc(c.total);
    for (unsigned i = 0; i < c.total && !err; i++)
        err = sysc_reqmem(c.caps + i, SYSC_MEM_ANY, 8, DTU_PERM_RW);
    if (!err)
        err = server_create(&c.srv, CAPSERVER_NAME, &ops, &c);
    if (err)
        panic("capserver: error %u", err);
    server_run(&c.srv);
    print("capserver: %u capabilities given, %u revoked", c.given, c.revoked);
    if (c.revoked)
        print(", avg. revoke %lu cycles", c.cycles / c.revoked);
    print("\n");
    return server_destroy(&c.srv) ? 1 : 0;
}
