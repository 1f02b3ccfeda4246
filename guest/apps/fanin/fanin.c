/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fanin CLIENTS CALLS [WINDOW_MS]: CLIENTS VPEs make system calls at the same time, CALLS each, or
 * all that they can in WINDOW_MS.  Every one must be answered.  One line,
 *
 *     FANIN CLIENTS TICKS: CALLS...
 *
 * says how many each has made, in that time if there was one; a second one, FANINEXITS EXITS CALLS,
 * how many exits all clients had from the first call to the last, and for how many calls.
 *
 * fanin sleep CLIENTS ROUNDS: what one call costs this VPE with CLIENTS (or no) others that sleep
 * and have made calls; a line BENCH as ringbench's.
 */
#include "bench_line.h"
#include "boot.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

#define CLIENTS_MAX  180u
#define RECV_EP      2u
#define SLOT_ORDER   6u
#define BUFFER_ORDER 8u /* four slots: all that we ever send one, however late it looks */
#define SAMPLES_MAX  200u
#define BATCH        50u
#define LATE         (1ull << 40)

/* The first: begin, so many calls at least.  The second: count those of a time, and end with it. */
struct go {
    uint64_t calls;
    uint64_t from, until; /* time-stamp counter; 0: there is no second */
};

/* What a client says in the end. */
struct said {
    uint64_t counted, exits, calls;
};

static struct vpe clients[CLIENTS_MAX];
static struct gate gates[CLIENTS_MAX];
static uint64_t ticks[SAMPLES_MAX];

static void want(unsigned err, const char *what)
{
    if (err)
        panic("fanin: %s: error %u", what, err);
}

/* Waits to be told what to do, and then to be asked for the number of calls when time was over. */
static int client(void *arg)
{
    const struct recv_gate in = {.ep = RECV_EP};
    const struct dtu_header *m;
    uint64_t counted = 0, n = 0, t, exits;
    struct said said;
    struct go go = {0};
    bool told;

    (void)arg;
    if (ep_alloc() != RECV_EP)
        panic("fanin: endpoint %u is taken", RECV_EP);
    for (unsigned i = 0; i < 8; i++) /* so that it has a channel, if there are such */
        want(sysc_noop(), "NOOP");
    m = recv_gate_wait(&in);
    if (!m || m->length != sizeof(go))
        panic("fanin: no start");
    memcpy(&go, m + 1, sizeof(go));
    dtu_ack(RECV_EP, m);
    told = !go.until;
    exits = vreg_get(VREG_EXITS);
    do {
        want(sysc_noop(), "NOOP");
        n++;
        t = bench_ticks();
        counted += !go.until || (told && t >= go.from && t < go.until);
        if (!told && (m = dtu_fetch(RECV_EP))) {
            memcpy(&go, m + 1, sizeof(go));
            dtu_ack(RECV_EP, m);
            told = true;
            if (bench_ticks() > go.from)
                counted = LATE;
        }
    } while (!told || n < go.calls || t < go.until);
    said = (struct said){counted, vreg_get(VREG_EXITS) - exits, n};
    m = recv_gate_wait(&in);
    if (!m)
        panic("fanin: nobody asks");
    want(dtu_reply(RECV_EP, m, &said, sizeof(said)), "REPLY");
    return 0;
}

static struct said ask(unsigned i)
{
    const struct dtu_header *m = NULL;
    const uint64_t n = 0;
    struct said said;

    want(gate_send(&gates[i], &n, sizeof(n), VPE_EP_RECV, i), "SEND");
    while (!m && dtu_wait_ep(VPE_EP_RECV, NULL, NULL))
        m = dtu_fetch(VPE_EP_RECV);
    if (!m || m->length != sizeof(said))
        panic("fanin: no answer");
    memcpy(&said, m + 1, sizeof(said));
    dtu_ack(VPE_EP_RECV, m);
    return said;
}

static void wait_for_all(unsigned n)
{
    int status = 0;

    for (unsigned i = 0; i < n; i++) {
        want(vpe_wait(&clients[i], &status), "waiting for a client");
        if (status)
            panic("fanin: a client failed: %d", status);
    }
}

static void make(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        want(vpe_create(&clients[i], "fanin"), "CREATEVPE");
        want(sysc_attachrb(clients[i].sel, RECV_EP, guest_recvbuf_start() + 256, BUFFER_ORDER,
                           SLOT_ORDER),
             "ATTACHRB");
        gates[i].sel = sel_alloc(1);
        want(sysc_creategate(clients[i].sel, gates[i].sel, i, RECV_EP, 1u << SLOT_ORDER),
             "CREATEGATE");
        want(vpe_run(&clients[i], client, NULL), "starting a client");
    }
}

static void tell(unsigned n, const struct go *go)
{
    for (unsigned i = 0; i < n; i++)
        want(gate_send(&gates[i], go, sizeof(*go), DTU_NO_REPLY, 0), "SEND");
}

static int all_together(unsigned n, uint64_t calls, uint64_t window)
{
    const uint64_t ms = vreg_get(VREG_TSC_HZ) / 1000;
    struct go go = {.calls = calls, .until = window};
    uint64_t since, total = 0, exits = 0, made = 0;
    unsigned few = 0, late = 0;

    make(n);
    since = bench_ticks();
    tell(n, &go);
    if (window) { /* all are at it; when all know the time it begins */
        go.from = bench_ticks() + 4 * (bench_ticks() - since) + 500 * ms;
        go.until = go.from + window * ms;
        tell(n, &go);
    }
    for (unsigned i = 0; i < n; i++) {
        const struct said said = ask(i);

        ticks[i] = said.counted;
        exits += said.exits;
        made += said.calls;
        total += ticks[i];
        late += ticks[i] >= LATE;
        few += !window && ticks[i] != calls;
    }
    wait_for_all(n);
    print("FANIN %u %lu:", n, (unsigned long)(bench_ticks() - since));
    for (unsigned i = 0; i < n; i++)
        print(" %lu", (unsigned long)ticks[i]);
    print("\nFANINEXITS %lu %lu\n", (unsigned long)exits, (unsigned long)made);
    print("fanin: %u clients, %lu calls answered, %u clients with too few\n", n,
          (unsigned long)total, few);
    if (late)
        print("fanin: %u clients were told too late: give more time\n", late);
    return few != 0 || late != 0;
}

/* ---- do those that sleep cost anything? ---- */

static void measure(const char *name, unsigned rounds)
{
    uint64_t exits;

    for (unsigned i = 0; i < 10 * BATCH; i++)
        want(sysc_noop(), "NOOP");
    exits = vreg_get(VREG_EXITS);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t since = bench_ticks();

        for (unsigned k = 0; k < BATCH; k++)
            want(sysc_noop(), "NOOP");
        ticks[i] = (bench_ticks() - since) / BATCH;
    }
    bench_line(name, "", vreg_get(VREG_EXITS) - exits, rounds * BATCH, ticks, rounds);
}

static int asleep(unsigned n, unsigned rounds)
{
    if (n == 0) {
        measure("awake_alone", rounds);
        return 0;
    }
    make(n);
    dtu_relax(100000000); /* they make their calls and fall asleep */
    measure("among_sleepers", rounds);
    tell(n, &(struct go){.calls = 1});
    for (unsigned i = 0; i < n; i++)
        ask(i);
    wait_for_all(n);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long n, calls, window = 0;
    bool sleep = argc == 4 && strncmp(argv[1], "sleep", 6) == 0;

    if (sleep && fmt_parse(argv[2], &n) && n <= CLIENTS_MAX && fmt_parse(argv[3], &calls) &&
        calls > 0 && calls <= SAMPLES_MAX)
        return asleep((unsigned)n, (unsigned)calls);
    if (!sleep && (argc == 3 || argc == 4) && fmt_parse(argv[1], &n) && n > 0 && n <= CLIENTS_MAX &&
        fmt_parse(argv[2], &calls) && (argc == 3 || fmt_parse(argv[3], &window)))
        return all_together((unsigned)n, calls, window);
    print("usage: fanin CLIENTS CALLS [WINDOW_MS] | fanin sleep CLIENTS ROUNDS\n");
    return 2;
}
