/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capability that many obtain, and its revocation, eleven times:
 *
 *   captree serve N      the service "captree": hands out copies of one capability; when N were
 *                        obtained and signalled, it revokes it with all of them
 *   captree obtain N     obtains N of them a round, signals each, and finds them dead afterwards
 *
 * The N of all clients together are the N of the service, which needs a slot for each client that
 * waits: at most CLIENTS_MAX of them.  The first round is not counted.
 */
#include "clock.h"
#include "dtu.h"
#include "fmt.h"
#include "print.h"
#include "server.h"
#include "session.h"
#include "start.h"
#include "syscall.h"

#define NAME        "captree"
#define ROUNDS      11u
#define CAPS_MAX    1024u
#define CLIENTS_MAX 30u

enum { GIVE_GATE, GIVE_CAP };

/* ---- the service ---- */

struct tree {
    struct server srv;
    unsigned root, total, signalled, round;
    unsigned long ns; /* of all rounds but the first */
    const struct dtu_header *waiting[CLIENTS_MAX];
    unsigned nwaiting;
};

static unsigned obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                       struct cap_range *give, struct msg_writer *out)
{
    struct tree *t = arg;
    uint64_t what = msg_get_u64(in);

    (void)out;
    if (in->error || count != 1 || what > GIVE_CAP)
        return SE_INV_ARGS;
    give->count = 1;
    give->start = t->root;
    return what == GIVE_GATE ? server_gate(&t->srv, ident, &give->start) : SE_OK;
}

static void answer_all(struct tree *t, uint64_t err)
{
    static uint64_t word;

    word = err;
    while (t->nwaiting > 0)
        server_answer(&t->srv, t->waiting[--t->nwaiting], &word, sizeof(word));
}

/* All have theirs: the root goes, and another one comes. */
static void revoke_tree(struct tree *t)
{
    uint64_t begin = clock_ns();
    unsigned err = sysc_revoke(cap_range(t->root, 1), true);
    uint64_t ns = clock_ns() - begin;

    print("captree: round %u: %u revoked in %lu ns\n", t->round, t->total, (unsigned long)ns);
    if (t->round++ > 0)
        t->ns += ns;
    t->signalled = 0;
    if (!err)
        err = sysc_reqmem(t->root, SYSC_MEM_ANY, 8, DTU_PERM_RW);
    if (err)
        print("captree: round %u: error %u\n", t->round, err);
    answer_all(t, err);
}

/* `count` of the client's are there; when there are more to come from it, it is answered at once.
 */
static void message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    struct tree *t = arg;
    bool last = msg_get_u64(in) != 0;

    (void)label;
    if (in->error || t->signalled == t->total || (last && t->nwaiting == CLIENTS_MAX)) {
        msg_put(out, SE_INV_ARGS);
        return;
    }
    if (last)
        t->waiting[t->nwaiting++] = server_keep(&t->srv);
    else
        msg_put(out, SE_OK);
    if (++t->signalled == t->total && t->nwaiting > 0)
        revoke_tree(t);
}

static int serve(unsigned n)
{
    static const struct server_ops ops = {.obtain = obtain, .message = message};
    static struct tree t;
    unsigned err;

    t.total = n;
    t.root = sel_alloc(1);
    err = sysc_reqmem(t.root, SYSC_MEM_ANY, 8, DTU_PERM_RW);
    if (!err)
        err = server_create(&t.srv, NAME, &ops, &t);
    if (err)
        panic("captree: error %u", err);
    server_run(&t.srv);
    print("captree: %u rounds of %u capabilities, avg. revoke %lu ns\n", t.round, n,
          t.round > 1 ? t.ns / (t.round - 1) : 0);
    return server_destroy(&t.srv) || t.round != ROUNDS;
}

/* ---- a client ---- */

static struct session sess;
static struct gate server;
static struct recv_gate answers;

static void check(unsigned err, const char *what, unsigned round)
{
    if (err)
        panic("captree: %s, round %u: error %u", what, round, err);
}

static unsigned get(unsigned sel, uint64_t what)
{
    struct session_args a = {.in = &what, .nin = 1};

    return session_obtain(&sess, sel, 1, &a);
}

static unsigned signal(bool last)
{
    static uint64_t word;
    const struct dtu_header *msg;
    unsigned err;

    word = last;
    err = gate_send(&server, &word, sizeof(word), answers.ep, 0);
    msg = err ? NULL : recv_gate_wait(&answers);
    if (!msg)
        return err ? err : SE_RECV_GONE;
    err = msg->length >= 4 ? *dtu_payload(msg) : SE_INV_ARGS;
    dtu_ack(answers.ep, msg);
    return err;
}

static int client(unsigned n)
{
    unsigned caps = sel_alloc(n);

    server.sel = sel_alloc(1);
    check(recv_gate_create(&answers, 9, 8), "receive gate", 0);
    check(session_open(&sess, NAME, NULL, 0), "open", 0);
    check(get(server.sel, GIVE_GATE), "obtain the gate", 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < n; i++) {
            check(get(caps + i, GIVE_CAP), "obtain", round);
            check(signal(i == n - 1), "signal", round);
        }
        for (unsigned i = 0; i < n; i++) {
            struct gate g = {.sel = caps + i};

            if (gate_activate(&g) == SE_OK)
                panic("captree: capability %u survived round %u", i, round);
        }
    }
    check(session_close(&sess), "close", ROUNDS);
    print("captree: %u rounds, %u capabilities obtained in each, all dead afterwards\n", ROUNDS, n);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long n = 0;
    bool is_server = argc == 3 && strcmp(argv[1], "serve") == 0;

    if (argc != 3 || (!is_server && strcmp(argv[1], "obtain") != 0) || !fmt_parse(argv[2], &n) ||
        n == 0 || n > CAPS_MAX)
        panic("usage: captree serve N, or captree obtain N, N from 1 to %u", CAPS_MAX);
    return is_server ? serve((unsigned)n) : client((unsigned)n);
}
