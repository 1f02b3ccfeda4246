/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * msgbench SIZE ROUNDS [SLEEPERS]: messages of SIZE bytes (8..4096) to a second VPE and as many
 * back, for `make bench`; with SLEEPERS, that many further VPEs, which have called the kernel, so
 * have a channel to it, and sleep.
 * msgbench memory ROUNDS: transfers of a memory gate.
 *
 * Each case prints a line like ringbench's; the first rounds warm up.
 *
 * The way there is measured by two clocks: the receiver says when it took the message.  What they
 * differ by (nothing, where guests see the host's counter) is taken from the fastest round trip,
 * whose halves are taken to be alike.
 */
#include "bench_line.h"
#include "boot.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

#define SERVER_EP    2u
#define SIZE_MAX_    4096u
#define AREA         (1u << 14) /* of a channel, one way (RINGS.md) */
#define ROUNDS_MAX   400u
#define WARM_UP      200u
#define SLEEPERS_MAX 180u
#define BATCH        20u /* system calls, transfers */
#define GATE_SIZE    65536u

static struct vpe server, sleeper[SLEEPERS_MAX];
static struct gate to_server, to_sleeper[SLEEPERS_MAX], memory;
static struct recv_gate answers;
static uint64_t words[SIZE_MAX_ / 8], got[SIZE_MAX_ / 8];
static uint64_t sent_at[ROUNDS_MAX], taken_at[ROUNDS_MAX], ticks[ROUNDS_MAX];
/* Parts of a round trip: SEND; until the answer is fetched; its copy and ACK. */
static uint64_t part[3][ROUNDS_MAX];
static unsigned size = 64, rounds = 100, sleepers;

static void want(unsigned err, const char *what)
{
    if (err)
        panic("msgbench: %s: error %u", what, err);
}

/* ---- the others ---- */

/* Until a message of 0 comes: the first word is not 0 otherwise. */
static int serve(void *arg)
{
    const struct recv_gate g = {.ep = SERVER_EP};

    (void)arg;
    if (ep_alloc() != SERVER_EP)
        return 1;
    for (;;) {
        const struct dtu_header *m = recv_gate_wait(&g);
        uint64_t at = bench_ticks();

        if (!m || m->length > sizeof(words) || m->length < 8)
            return 1;
        memcpy(words, m + 1, m->length);
        if (!words[0]) {
            dtu_reply(SERVER_EP, m, words, 8);
            return 0;
        }
        words[0] = at;
        dtu_reply(SERVER_EP, m, words, m->length);
    }
}

/* Until a message comes. */
static int doze(void *arg)
{
    const struct recv_gate g = {.ep = SERVER_EP};

    (void)arg;
    if (ep_alloc() != SERVER_EP)
        return 1;
    for (unsigned i = 0; i < 8; i++)
        want(sysc_noop(), "NOOP of a sleeper");
    return recv_gate_wait(&g) ? 0 : 1;
}

static unsigned slot_order(void)
{
    unsigned order = 6;

    while (1u << order < size + sizeof(struct dtu_header))
        order++;
    return order;
}

/* Another VPE, which receives at SERVER_EP; g sends there. */
static void start(struct vpe *v, struct gate *g, const char *name, unsigned order,
                  int (*fn)(void *))
{
    unsigned buffer = order;

    while (buffer < order + 5 && 2u << buffer <= AREA)
        buffer++;
    want(vpe_create(v, name), "creating a VPE");
    want(sysc_attachrb(v->sel, SERVER_EP, guest_recvbuf_start() + 256, buffer, order), "ATTACHRB");
    g->sel = sel_alloc(1);
    want(sysc_creategate(v->sel, g->sel, 7, SERVER_EP, 1u << order), "CREATEGATE");
    want(vpe_run(v, fn, NULL), "starting a VPE");
}

static void start_all(void)
{
    unsigned order = slot_order();

    start(&server, &to_server, "server", order, serve);
    want(recv_gate_create(&answers, order + 1, order), "a gate for answers");
    for (unsigned i = 0; i < sleepers; i++)
        start(&sleeper[i], &to_sleeper[i], "sleeper", 6, doze);
    if (sleepers) /* the last ones have to get there */
        dtu_relax(500000000);
}

static void end_sleepers(void)
{
    int status;

    for (unsigned i = 0; i < sleepers; i++) {
        want(gate_send(&to_sleeper[i], words, 8, DTU_NO_REPLY, 0), "ending a sleeper");
        want(vpe_wait(&sleeper[i], &status), "waiting for a sleeper");
    }
}

/* ---- messages ---- */

static void ask(uint64_t first, unsigned round)
{
    const struct dtu_header *m;
    uint64_t since = bench_ticks(), sent, fetched, done;

    words[0] = first;
    want(gate_send(&to_server, words, first ? size : 8, answers.ep, 0), "send");
    sent = bench_ticks();
    m = recv_gate_wait(&answers);
    fetched = bench_ticks();
    if (!m || (first && m->length != size))
        panic("msgbench: no answer, or a wrong one");
    memcpy(got, m + 1, m->length);
    dtu_ack(answers.ep, m);
    done = bench_ticks();
    if (round < rounds) {
        ticks[round] = done - since;
        part[0][round] = sent - since;
        part[1][round] = fetched - sent;
        part[2][round] = done - fetched;
        sent_at[round] = since;
        taken_at[round] = got[0];
    }
}

static void one_way(void)
{
    unsigned fastest = 0;
    int64_t apart;

    for (unsigned i = 1; i < rounds; i++)
        if (ticks[i] < ticks[fastest])
            fastest = i;
    apart = (int64_t)(taken_at[fastest] - sent_at[fastest]) - (int64_t)(ticks[fastest] / 2);
    for (unsigned i = 0; i < rounds; i++)
        ticks[i] = taken_at[i] - sent_at[i] - (uint64_t)apart;
}

static void messages(void)
{
    uint64_t before = 0;

    for (unsigned i = 0; i < WARM_UP; i++)
        ask(1, ~0u);
    before = vreg_get(VREG_EXITS);
    for (unsigned i = 0; i < rounds; i++)
        ask(1, i);
    before = vreg_get(VREG_EXITS) - before;
    bench_line("rtt", "", before, rounds, ticks, rounds);
    one_way();
    bench_line("oneway", "", before, rounds, ticks, rounds);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[3] = {"send", "wait", "ack"};

        memcpy(ticks, part[i], rounds * sizeof(ticks[0]));
        bench_line(names[i], "", 0, rounds, ticks, rounds);
    }
}

/* ---- what runs in batches ---- */

static void noop(void)
{
    want(sysc_noop(), "NOOP");
}
static void read_256(void)
{
    want(gate_read(&memory, words, 256, 0), "READ");
}
static void write_256(void)
{
    want(gate_write(&memory, words, 256, 0), "WRITE");
}
static void read_4096(void)
{
    want(gate_read(&memory, words, 4096, 4096), "READ");
}
static void write_4096(void)
{
    want(gate_write(&memory, words, 4096, 4096), "WRITE");
}

/* A store that the host collects: no exit until its queue is full. */
static void posted(void)
{
    dtu_set(DTU_OFFSET, 0);
}

static void run(const char *name, void (*fn)(void), unsigned batch)
{
    uint64_t before, since;

    for (unsigned i = 0; i < WARM_UP / 10; i++)
        fn();
    before = vreg_get(VREG_EXITS);
    for (unsigned i = 0; i < rounds; i++) {
        since = bench_ticks();
        for (unsigned k = 0; k < batch; k++)
            fn();
        ticks[i] = (bench_ticks() - since) / batch;
    }
    bench_line(name, "", vreg_get(VREG_EXITS) - before, rounds * batch, ticks, rounds);
}

static void transfers(void)
{
    memory.sel = sel_alloc(1);
    want(sysc_reqmem(memory.sel, SYSC_MEM_ANY, GATE_SIZE, DTU_PERM_R | DTU_PERM_W), "REQMEM");
    run("posted_store", posted, BATCH);
    run("memgate_read_256", read_256, 1);
    run("memgate_write_256", write_256, 1);
    run("memgate_read_4096", read_4096, 1);
    run("memgate_write_4096", write_4096, 1);
}

static bool parse(int argc, char **argv)
{
    unsigned long n[3] = {64, 100, 0};

    if (argc < 3 || argc > 4)
        return false;
    if (strcmp(argv[1], "memory") == 0)
        n[0] = 8;
    else if (!fmt_parse(argv[1], &n[0]))
        return false;
    for (int i = 2; i < argc; i++)
        if (!fmt_parse(argv[i], &n[i - 1]))
            return false;
    size = (unsigned)n[0];
    rounds = (unsigned)n[1];
    sleepers = (unsigned)n[2];
    return n[0] >= 8 && n[0] <= SIZE_MAX_ && n[1] >= 1 && n[1] <= ROUNDS_MAX &&
           n[2] <= SLEEPERS_MAX;
}

int main(int argc, char **argv)
{
    int status = 1;

    if (!parse(argc, argv)) {
        print("usage: msgbench 8..4096|memory ROUNDS [SLEEPERS]\n");
        return 2;
    }
    if (strcmp(argv[1], "memory") == 0) {
        transfers();
        return 0;
    }
    start_all();
    messages();
    if (argc == 4)
        run("noop", noop, BATCH);
    ask(0, ~0u);
    want(vpe_wait(&server, &status), "waiting for the server");
    end_sleepers();
    return status;
}
