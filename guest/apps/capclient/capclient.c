/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capclient N: obtains N capabilities from capserver, has each revoked, and prints the average time
 * of both in cycles, seen from here.  The first of each is not counted.
 */
#include "../capserver/capserver.h"

#include "fmt.h"
#include "print.h"
#include "session.h"
#include "start.h"
#include "syscall.h"

static struct session sess;
static struct gate server;
static struct recv_gate answers;

static void check(unsigned err, const char *what, unsigned round)
{
    if (err)
        panic("capclient: %s, round %u: error %u", what, round, err);
}

static unsigned obtain(unsigned sel, uint64_t what)
{
    struct session_args a = {.in = &what, .nin = 1};

    return session_obtain(&sess, sel, 1, &a);
}

/* Asks the server to revoke its capability i; ours is derived from it. */
static unsigned revoke(unsigned i)
{
    static uint64_t request;
    const struct dtu_header *msg;
    unsigned err;

    request = i;
    err = gate_send(&server, &request, sizeof(request), answers.ep, 0);
    if (err)
        return err;
    msg = recv_gate_wait(&answers);
    if (!msg)
        return SE_RECV_GONE;
    err = msg->length >= 4 ? *dtu_payload(msg) : SE_INV_ARGS;
    dtu_ack(answers.ep, msg);
    return err;
}

int main(int argc, char **argv)
{
    unsigned long n = 0, begin, spent, obtains = 0, revokes = 0;
    unsigned caps;

    if (argc != 2 || !fmt_parse(argv[1], &n) || n < 2 || n > CAPSERVER_MAX)
        panic("usage: capclient N, N from 2 to %u", CAPSERVER_MAX);
    caps = sel_alloc((unsigned)n);
    server.sel = sel_alloc(1);
    check(recv_gate_create(&answers, 9, 8), "receive gate", 0);
    check(session_open(&sess, CAPSERVER_NAME, NULL, 0), "open", 0);
    check(obtain(server.sel, CAPSERVER_GATE), "obtain the gate", 0);
    for (unsigned i = 0; i < n; i++) {
        begin = __builtin_ia32_rdtsc();
        check(obtain(caps + i, CAPSERVER_CAP), "obtain", i);
        spent = __builtin_ia32_rdtsc() - begin;
        obtains += i ? spent : 0;
    }
    for (unsigned i = 0; i < n; i++) {
        begin = __builtin_ia32_rdtsc();
        check(revoke(i), "revoke", i);
        spent = __builtin_ia32_rdtsc() - begin;
        revokes += i ? spent : 0;
        if (sysc_activate(answers.ep + 1, CAP_INVALID, caps + i) == SE_OK)
            panic("capclient: capability %u survived its revocation", i);
    }
    check(session_close(&sess), "close", 0);
    print("capclient: %lu rounds, avg. obtain %lu cycles, avg. revoke %lu cycles\n", n - 1,
          obtains / (n - 1), revokes / (n - 1));
    return 0;
}
