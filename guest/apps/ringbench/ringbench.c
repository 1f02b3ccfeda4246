/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ringbench [ROUNDS [CASE]]: the times of messages and system calls as a program sees them, for
 * `make bench`; all cases, or one.  A second VPE answers.  Each case prints one line,
 *
 *     BENCH name EXITS OPERATIONS: TICKS...
 *
 * time-stamp ticks of one operation (a batch's mean), and the exits in all batches: of this PE and,
 * where it has a part in them, the one that answers.
 */
#include "bench_line.h"
#include "boot.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

#define RECV_EP      2u
#define SLOT_ORDER   7u  /* 128 bytes: 64 and a header fit */
#define BUFFER_ORDER 12u /* 32 slots */
#define SIZE         64u
#define SAMPLES_MAX  200u
#define GIVEN        SEL_GIVEN

enum { OP_ANSWER = 1, OP_TAKE = 2, OP_COUNT = 3, OP_QUIT = 4, OP_EXITS = 5 };

static struct vpe server;
static struct gate to_server;
static uint64_t ticks[SAMPLES_MAX];
static unsigned rounds = 100;
static const char *only; /* NULL: all cases */

static bool asked_for(const char *name)
{
    return !only || strcmp(only, name) == 0;
}

static uint64_t exits(void)
{
    return vreg_get(VREG_EXITS);
}

/* ---- the one who answers ---- */

static int serve(void *arg)
{
    const struct recv_gate g = {.ep = RECV_EP};
    uint64_t taken = 0, answer, op;

    (void)arg;
    if (ep_alloc() != RECV_EP)
        return 1;
    for (;;) {
        const struct dtu_header *m = recv_gate_wait(&g);

        if (!m || m->length < sizeof(op))
            return 1;
        memcpy(&op, m + 1, sizeof(op)); /* the message is our own already: it is read where it is */
        switch (op) {
        case OP_TAKE:
            taken++;
            dtu_ack(RECV_EP, m);
            break;
        case OP_COUNT:
            answer = taken;
            dtu_reply(RECV_EP, m, &answer, sizeof(answer));
            break;
        case OP_EXITS:
            answer = exits();
            dtu_reply(RECV_EP, m, &answer, sizeof(answer));
            break;
        case OP_QUIT:
            dtu_reply(RECV_EP, m, &op, sizeof(op));
            return 0;
        default:
            dtu_reply(RECV_EP, m, m + 1, m->length);
        }
    }
}

static unsigned start_server(void)
{
    unsigned err = vpe_create(&server, "ringbench");

    if (!err)
        err = sysc_attachrb(server.sel, RECV_EP, guest_recvbuf_start() + 256, BUFFER_ORDER,
                            SLOT_ORDER);
    to_server.sel = sel_alloc(1);
    if (!err)
        err = sysc_creategate(server.sel, to_server.sel, 7, RECV_EP, 1u << SLOT_ORDER);
    return err ? err : vpe_run(&server, serve, NULL);
}

/* ---- one operation of each case; an error is the program's end ---- */

static void want(unsigned err, const char *what)
{
    if (err)
        panic("ringbench: %s: error %u", what, err);
}

static uint64_t ask(uint64_t op, size_t len)
{
    static uint64_t words[SIZE / 8];
    const struct dtu_header *m = NULL;
    uint64_t answer = 0;
    unsigned err;

    words[0] = op;
    /* Behind a stream of messages by traps there may be no place yet. */
    while ((err = gate_send(&to_server, words, len, VPE_EP_RECV, 0)) == SE_NO_RING_SPACE)
        __builtin_ia32_pause();
    want(err, "send");
    while (!m && dtu_wait_ep(VPE_EP_RECV, NULL, NULL))
        m = dtu_fetch(VPE_EP_RECV);
    if (!m)
        panic("ringbench: no answer");
    memcpy(&answer, m + 1, 8);
    dtu_ack(VPE_EP_RECV, m);
    return answer;
}

static void rtt(void)
{
    ask(OP_ANSWER, SIZE);
}

static void rtt8(void)
{
    ask(OP_ANSWER, 8);
}

static uint64_t told;

static void one_way(void)
{
    static uint64_t words[SIZE / 8] = {OP_TAKE};
    unsigned err;

    while ((err = gate_send(&to_server, words, SIZE, DTU_NO_REPLY, 0)) == SE_NO_RING_SPACE)
        __builtin_ia32_pause();
    want(err, "send");
    told++;
}

static void noop(void)
{
    want(sysc_noop(), "NOOP");
}

static void exchange(void)
{
    want(vpe_delegate(&server, to_server.sel, GIVEN, 1), "EXCHANGE");
}

static void revoke(void)
{
    want(sysc_revoke(cap_range(to_server.sel, 1), false), "REVOKE");
}

static void activate(void)
{
    want(sysc_activate(to_server.ep, to_server.sel, to_server.sel), "ACTIVATE");
}

static void invalidate(void)
{
    want(sysc_activate(to_server.ep, to_server.sel, CAP_INVALID), "ACTIVATE of nothing");
}

static void restore(void)
{
    want(sysc_activate(to_server.ep, CAP_INVALID, to_server.sel), "ACTIVATE");
}

/* ---- cases ---- */

static uint64_t exits_of(bool both)
{
    const uint64_t own = exits();

    return both ? own + ask(OP_EXITS, SIZE) : own;
}

static void run(const char *name, void (*fn)(void), unsigned batch, bool both)
{
    uint64_t before;

    if (!asked_for(name))
        return;
    for (unsigned i = 0; i < batch + 50; i++)
        fn();
    before = exits_of(both);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t since = bench_ticks();

        for (unsigned k = 0; k < batch; k++)
            fn();
        ticks[i] = (bench_ticks() - since) / batch;
    }
    bench_line(name, "", exits_of(both) - before, rounds * batch, ticks, rounds);
}

/* Two operations in turn, of which the second is timed (or, with `first`, the first). */
static void run_pair(const char *name, void (*a)(void), void (*b)(void), bool first)
{
    uint64_t n_exits = 0;

    if (!asked_for(name))
        return;
    for (unsigned i = 0; i < rounds + 10; i++) {
        uint64_t since = bench_ticks(), e = exits(), middle, e_middle;

        a();
        middle = bench_ticks();
        e_middle = exits();
        b();
        if (i < 10)
            continue;
        ticks[i - 10] = first ? middle - since : bench_ticks() - middle;
        n_exits += first ? e_middle - e : exits() - e_middle;
    }
    bench_line(name, "", n_exits, rounds, ticks, rounds);
}

static void let_sleep(void)
{
    dtu_relax(2000000);
}

static bool emptied;

static void get_live(void)
{
    if (emptied)
        restore();
    for (unsigned i = 0; i < 8; i++)
        rtt();
}

/* So that the kernel is awake, and the server is not: three are more than two cores hold. */
static void get_live_and_call(void)
{
    get_live();
    for (unsigned i = 0; i < 100; i++)
        noop();
}

int main(int argc, char **argv)
{
    unsigned long n = 100;
    int status = 1;

    if (argc > 3 || (argc > 1 && !fmt_parse(argv[1], &n)) || n < 10 || n > SAMPLES_MAX) {
        print("usage: ringbench [ROUNDS [CASE]], 10..%u\n", SAMPLES_MAX);
        return 2;
    }
    rounds = (unsigned)n;
    only = argc > 2 ? argv[2] : NULL;
    want(start_server(), "starting the server");
    run("msg_rtt_8", rtt8, 100, true);
    run("msg_rtt_64", rtt, 100, true);
    run("msg_tput_64", one_way, 500, true);
    if (ask(OP_COUNT, SIZE) != told)
        panic("ringbench: of %lu messages not all arrived", (unsigned long)told);
    run_pair("wake_sleeper", let_sleep, rtt, false);
    run("syscall_noop", noop, 50, false);
    run_pair("exchange_local", exchange, revoke, true);
    run_pair("revoke_local", exchange, revoke, false);
    run_pair("ep_configure", get_live_and_call, activate, false);
    run_pair("ep_configure_asleep", get_live, activate, false);
    if (asked_for("ep_invalidate")) {
        emptied = true;
        invalidate();
        run_pair("ep_invalidate", get_live_and_call, invalidate, false);
        restore();
    }
    ask(OP_QUIT, SIZE);
    want(vpe_wait(&server, &status), "waiting for the server");
    return status;
}
