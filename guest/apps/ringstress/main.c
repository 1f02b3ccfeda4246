/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ringstress [CLIENTS [ROUNDS]]: messages and answers between PEs while the gates they go through
 * are revoked, given anew, put on endpoints again, and VPEs at either end come and go.  Nothing
 * that was accepted may be lost, come twice or changed, and every error must be the right one. With
 * and without rings: the promises are the DTU's.
 *
 * CLIENTS (4) talk to a server (client.c, server.c).  The first VPE is the one that takes gates
 * away, ROUNDS (60) times.
 */
#include "boot.h"
#include "fmt.h"
#include "print.h"
#include "ringstress.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

static struct vpe server, clients[CLIENTS_MAX], dying;
static unsigned nclients = 4, gates, to_victim, victims;
static struct gate mine;
static struct recv_gate answers;

static void want(unsigned err, const char *what)
{
    if (err)
        panic("ringstress: %s: error %u", what, err);
}

static void attach(const struct vpe *v)
{
    want(sysc_attachrb(v->sel, RECV_EP, guest_recvbuf_start() + 256, BUFFER_ORDER, SLOT_ORDER),
         "ATTACHRB");
}

static void creategate(const struct vpe *v, unsigned sel, unsigned label)
{
    want(sysc_creategate(v->sel, sel, label, RECV_EP, 1u << SLOT_ORDER), "CREATEGATE");
}

static void start_all_of_them(void)
{
    want(vpe_create(&server, "ringstress"), "CREATEVPE");
    attach(&server);
    gates = sel_alloc(LABELS);
    for (unsigned i = 0; i < LABELS; i++)
        creategate(&server, gates + i, i);
    mine.sel = gates + LABEL_ROOT;
    want(vpe_run(&server, serve, NULL), "starting the server");
    for (unsigned i = 0; i < nclients; i++) {
        want(vpe_create(&clients[i], "ringstress"), "CREATEVPE");
        want(vpe_delegate(&clients[i], gates + i, TO_SERVER, 1), "EXCHANGE");
        want(vpe_run(&clients[i], client, (void *)(uintptr_t)i), "starting a client");
    }
    to_victim = sel_alloc(CLIENTS_MAX);
}

/* Another victim, to whom clients have gates of their own, each with its label. */
static void make_victim(void)
{
    want(vpe_create(&dying, "ringstress"), "CREATEVPE");
    attach(&dying);
    want(vpe_delegate(&dying, gates + LABEL_VICTIM, TO_SERVER, 1), "EXCHANGE");
    want(vpe_run(&dying, victim, (void *)(uintptr_t)++victims), "starting a victim");
    for (unsigned i = 0; i < nclients; i++) {
        creategate(&dying, to_victim + i, i);
        want(vpe_delegate(&clients[i], to_victim + i, TO_VICTIM, 1), "EXCHANGE");
    }
}

/* It ends by itself, any time; its gates go with it, in our table and in the clients'. */
static void bury_victim(void)
{
    int status;

    want(vpe_wait(&dying, &status), "waiting for a victim");
    want(vpe_destroy(&dying), "REVOKE of a VPE");
    for (unsigned i = 0; i < nclients; i++)
        sysc_revoke(cap_range(to_victim + i, 1), true);
}

static void disturb(void)
{
    unsigned i = chance(nclients);

    dtu_relax(chance(3) * 500000u);
    if (chance(6) == 0) {
        bury_victim();
        make_victim();
        return;
    }
    want(sysc_revoke(cap_range(gates + i, 1), false), "REVOKE");
    dtu_relax(chance(3) * 200000u);
    want(vpe_delegate(&clients[i], gates + i, TO_SERVER, 1), "EXCHANGE");
}

static uint64_t ask(enum op op)
{
    static uint32_t seq;
    const struct dtu_header *m;
    struct message q;
    struct answer a;
    size_t len = message_fill(&q, LABEL_ROOT, op, 0, seq);
    unsigned err;

    while ((err = gate_send(&mine, &q, len, answers.ep, seq)) == SE_NO_RING_SPACE)
        dtu_relax(100000);
    want(err, "SEND");
    m = recv_gate_wait(&answers);
    if (!m || m->length != sizeof(a))
        panic("ringstress: no answer");
    memcpy(&a, m + 1, sizeof(a));
    dtu_ack(answers.ep, m);
    if (a.seq != seq++)
        panic("ringstress: the answer to %u, not %u", a.seq, seq - 1);
    return a.check;
}

static bool number(int argc, char **argv, int i, unsigned long least, unsigned long most,
                   unsigned long *n)
{
    return i >= argc || (fmt_parse(argv[i], n) && *n >= least && *n <= most);
}

int main(int argc, char **argv)
{
    unsigned long n = nclients, rounds = 60;
    unsigned failed = 0, wrong;
    int status;

    if (argc > 3 || !number(argc, argv, 1, 1, CLIENTS_MAX, &n) ||
        !number(argc, argv, 2, 1, 1000000, &rounds)) {
        print("usage: ringstress [CLIENTS [ROUNDS]], 1..%u, 1..1000000\n", CLIENTS_MAX);
        return 2;
    }
    nclients = (unsigned)n;
    want(recv_gate_create(&answers, SLOT_ORDER, SLOT_ORDER), "ATTACHRB");
    start_all_of_them();
    make_victim();
    for (unsigned long i = 0; i < rounds; i++)
        disturb();
    ask(OP_STOP);
    for (unsigned i = 0; i < nclients; i++) {
        want(vpe_wait(&clients[i], &status), "waiting for a client");
        failed += status != 0;
    }
    bury_victim();
    wrong = (unsigned)ask(OP_QUIT);
    want(vpe_wait(&server, &status), "waiting for the server");
    print("ringstress: %lu rounds, %u victims; %u clients failed, %u messages wrong\n", rounds,
          victims, failed, wrong);
    return failed || wrong || status;
}
