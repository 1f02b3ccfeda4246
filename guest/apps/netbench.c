/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netbench rtt|rate|apart PE COUNT ROUNDS: messages between two nodes, without kernels, for
 * `make bench`.
 *
 * Both nodes run it on their first PE.  PEs PE.. receive; the PEs 1.. of the other node send, the
 * i-th to the i-th.  COUNT pairs; a program starts copies of itself on all but the first.
 *
 * rtt prints the time-stamp ticks of a round trip (the mean of ten), and the exits of the sender in
 * all of them:
 *
 *     BENCH net_rtt_64 EXITS OPERATIONS: TICKS...
 *
 * rate prints, for each sender, the time in ns since the node started after each batch of messages
 * that the receivers have taken, and how often a receiver had no room:
 *
 *     RATE BATCH RETRIES: NS...
 *
 * apart is rate, and at each receiver a message that nobody fetches lies at another endpoint.
 */
#include "bench_line.h"
#include "clone.h"
#include "dtu_drv.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"

enum { EP_RECV = 0, EP_REPLY = 1, EP_SEND = 2, EP_MEM = 3 };

#define SIZE        64u
#define SLOT_ORDER  7u
#define RTT_BATCH   10u
#define RATE_BATCH  64u
#define ROUNDS_MAX  400u
#define PATIENCE_NS 30000000000ull
#define PAUSE_NS    2000000u
#define BATCH       16u   /* messages of rate that are handed over at a time */
#define HOLD_US     5000u /* how long the receivers wait for so many */

/* What a message wants, its first word. */
enum { TAKE = 0, ANSWER = 1, END = 2 };

static uint8_t recv_buf[32u << SLOT_ORDER] __attribute__((aligned(64)));
static uint8_t reply_buf[2u << SLOT_ORDER] __attribute__((aligned(64)));
static uint64_t message[SIZE / 8], samples[ROUNDS_MAX], retries;
static volatile uint64_t ended; /* read from afar */
static unsigned self, first, count, rounds;
static bool rate, apart;
static bool is_copy;

static uint64_t now(void)
{
    vreg_set(VREG_TIME, 0);
    return vreg_get(VREG_TIME);
}

/* ---- receiving ---- */

/* Not before our bridge has told the sender that its message was taken. */
static _Noreturn void end_machine(void)
{
    uint64_t end = now() + 10 * PAUSE_NS;

    while (now() < end)
        dtu_relax(PAUSE_NS);
    vreg_set(VREG_EXIT, (uint64_t)VREG_EXIT_MACHINE << 32);
    guest_halt(0);
}

static void leave_unread(void)
{
    dtu_config_recv(EP_REPLY, reply_buf, SLOT_ORDER + 1, SLOT_ORDER);
    dtu_config_send(EP_SEND, self, DTU_VPE_INVALID, EP_REPLY, 1u << SLOT_ORDER, DTU_CREDITS_UNLIM,
                    0);
    if (dtu_send(EP_SEND, message, SIZE, DTU_NO_REPLY, 0) != SE_OK)
        panic("netbench: no message to ourselves\n");
}

static _Noreturn void receive(void)
{
    const struct dtu_header *msgs[BATCH], *h;
    unsigned n, done = 0;

    dtu_config_recv(EP_RECV, recv_buf, SLOT_ORDER + 5, SLOT_ORDER);
    if (apart)
        leave_unread();
    for (;;) {
        n = dtu_fetch_many(EP_RECV, msgs, done, rate ? BATCH : 1, HOLD_US);
        done = 0;
        for (unsigned i = 0; i < n; i++) {
            h = msgs[i];
            memcpy(message, dtu_payload(h), h->length < SIZE ? h->length : SIZE);
            if (message[0] == END)
                end_machine();
            if (message[0] != ANSWER) {
                msgs[done++] = h;
                continue;
            }
            if (dtu_reply_wait(EP_RECV, h, message, SIZE) != SE_OK)
                print("netbench: a reply was refused\n");
        }
    }
}

/* ---- sending ---- */

static void config_send(void)
{
    dtu_config_send(EP_SEND, first + self - 1, DTU_VPE_INVALID, EP_RECV, 1u << SLOT_ORDER,
                    DTU_CREDITS_UNLIM, self);
}

static unsigned ask(void)
{
    const struct dtu_header *h;
    unsigned err;

    message[0] = ANSWER;
    err = dtu_call(EP_SEND, message, SIZE, EP_REPLY, 0);
    if (err)
        return err;
    if (!dtu_wait_ep(EP_REPLY, NULL, NULL) || !(h = dtu_fetch(EP_REPLY)))
        return SE_EP_INVALID;
    if (h->length != SIZE)
        panic("netbench: an answer of %u bytes\n", h->length);
    dtu_ack(EP_REPLY, h);
    return SE_OK;
}

/* The receiver may not have begun, and the link may not be up. */
static void reach(void)
{
    uint64_t end = now() + PATIENCE_NS;
    unsigned err;

    dtu_config_recv(EP_REPLY, reply_buf, SLOT_ORDER + 1, SLOT_ORDER);
    config_send();
    while ((err = ask()) != SE_OK) {
        if (now() > end)
            panic("netbench: PE %u does not answer: error %u\n", first + self - 1, err);
        dtu_relax(PAUSE_NS);
        config_send();
    }
}

static void measure_rtt(void)
{
    uint64_t since, before = 0;
    unsigned err = SE_OK;

    for (unsigned i = 0; i < rounds + 2; i++) {
        if (i == 2) /* the first two warm up */
            before = vreg_get(VREG_EXITS);
        since = bench_ticks();
        for (unsigned k = 0; k < RTT_BATCH && !err; k++)
            err = ask();
        if (i >= 2)
            samples[i - 2] = (bench_ticks() - since) / RTT_BATCH;
    }
    if (err)
        panic("netbench: a message was refused: error %u\n", err);
    print("BENCH net_rtt_64 %llu %u:", (unsigned long long)(vreg_get(VREG_EXITS) - before),
          rounds * RTT_BATCH);
}

/* How many of n were accepted: they are all the same, so any others make up for the rest. */
static unsigned send_some(struct dtu_out *out, unsigned n)
{
    unsigned sent = 0;

    dtu_send_many(EP_SEND, out, n);
    for (unsigned i = 0; i < n; i++) {
        sent += out[i].err == SE_OK;
        retries += out[i].err == SE_NO_RING_SPACE;
        if (out[i].err != SE_OK && out[i].err != SE_NO_RING_SPACE)
            panic("netbench: a message was refused: error %u\n", out[i].err);
    }
    return sent;
}

static void measure_rate(void)
{
    struct dtu_out out[BATCH];

    message[0] = TAKE;
    for (unsigned i = 0; i < BATCH; i++)
        out[i] = (struct dtu_out){message, SIZE, SE_OK};
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = 0; k < RATE_BATCH;)
            k += send_some(out, RATE_BATCH - k < BATCH ? RATE_BATCH - k : BATCH);
        samples[i] = now();
    }
    ask(); /* behind all others: they have been taken */
    print("RATE %u %llu:", RATE_BATCH, (unsigned long long)retries);
}

/* The bridges carry on while we look, so not too often. */
static void wait_for_copies(void)
{
    uint64_t done, end = now() + 4 * PATIENCE_NS;

    for (unsigned pe = self + 1; pe < self + count; pe++)
        for (done = 0; !done; dtu_relax(PAUSE_NS * 10)) {
            dtu_config_mem(EP_MEM, pe, DTU_VPE_INVALID, (uintptr_t)&ended, sizeof(ended),
                           DTU_PERM_R);
            if (dtu_read(EP_MEM, &done, sizeof(done), 0) != SE_OK || now() > end)
                panic("netbench: the copy on PE %u does not end\n", pe);
        }
}

static bool parse(int argc, char **argv)
{
    unsigned long n[3];

    if (argc != 5)
        return false;
    apart = strcmp(argv[1], "apart") == 0;
    rate = apart || strcmp(argv[1], "rate") == 0;
    if (!rate && strcmp(argv[1], "rtt") != 0)
        return false;
    for (unsigned i = 0; i < 3; i++)
        if (!fmt_parse(argv[2 + i], &n[i]) || n[i] < 1 || n[i] > 1000)
            return false;
    first = (unsigned)n[0];
    count = (unsigned)n[1];
    rounds = (unsigned)n[2];
    return count < first && rounds <= ROUNDS_MAX;
}

int main(int argc, char **argv)
{
    unsigned err;

    self = (unsigned)vreg_get(VREG_PE);
    if (!parse(argc, argv))
        panic("usage: netbench rtt|rate|apart PE COUNT ROUNDS: to PEs from PE on, of COUNT before "
              "it\n");
    if (!is_copy) {
        is_copy = true; /* what we copy */
        for (unsigned pe = self + 1; pe < self + count; pe++)
            if ((err = clone_self(EP_MEM, pe)) != SE_OK)
                panic("netbench: no copy on PE %u: error %u\n", pe, err);
        is_copy = false;
    }
    if (self >= first)
        receive();
    reach();
    if (rate)
        measure_rate();
    else
        measure_rtt();
    for (unsigned i = 0; i < rounds; i++)
        print(" %llu", (unsigned long long)samples[i]);
    print("\n");
    print_flush();
    ended = 1;
    if (is_copy)
        guest_halt(0);
    wait_for_copies();
    message[0] = END;
    dtu_send(EP_SEND, message, SIZE, DTU_NO_REPLY, 0);
    vreg_set(VREG_EXIT, (uint64_t)VREG_EXIT_MACHINE << 32);
    guest_halt(0);
}
