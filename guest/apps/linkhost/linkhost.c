/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nodes of one machine, from the DTU's side: each node runs this program alone on its first PE,
 * without a kernel, and so may set endpoints itself.
 *
 *     linkhost PE PE...        the PEs of all nodes that run it, this one included
 *
 * Every one of them does all tests with every other, and serves the others meanwhile.  Addresses
 * are the same everywhere, because the program is.
 */
#include "dtu_drv.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"

enum { EP_SERVE = 1, EP_ANSWER = 2, EP_FULL = 3, EP_SEND = 4, EP_ONE = 5, EP_MEM = 6, EP_NONE = 9 };
enum { OP_ECHO = 1, OP_HOLD, OP_RELEASE, OP_DONE };

#define PEERS       16u
#define SLOT_ORDER  12u
#define BIG         2048u
#define AREA        (64u << 10)
#define PINGS       200u
#define PATIENCE_NS 240000000000ull
#define PAUSE_NS    2000000u

struct msg {
    uint32_t op, number;
    uint8_t data[BIG];
};
#define HEAD 8u

static uint8_t serve_buf[16u << SLOT_ORDER] __attribute__((aligned(64)));
static uint8_t answer_buf[2u << SLOT_ORDER] __attribute__((aligned(64)));
static uint8_t full_buf[128] __attribute__((aligned(64)));
static uint8_t area[PEERS][AREA], copy[AREA];
static const struct dtu_header *held[PEERS];
static unsigned peers[PEERS], npeers, self, me, done, passed, failed;

static uint64_t now(void)
{
    vreg_set(VREG_TIME, 0);
    return vreg_get(VREG_TIME);
}

static void report(unsigned peer, bool good, const char *what)
{
    uint64_t t = now() / 1000;

    print("[%5u.%06u] PE %u -> PE %u: %s  %s\n", (unsigned)(t / 1000000), (unsigned)(t % 1000000),
          self, peer, good ? "ok" : "FAIL", what);
    if (good)
        passed++;
    else
        failed++;
}

/* An error code is what a test wants. */
static void expect(unsigned peer, unsigned got, unsigned want, const char *what)
{
    char text[128];

    if (got == want) {
        report(peer, true, what);
        return;
    }
    fmt_snprintf(text, sizeof(text), "%s: error %u, not %u", what, got, want);
    report(peer, false, text);
}

/* ---- serving the others ---- */

static unsigned index_of(unsigned pe)
{
    unsigned i;

    for (i = 0; i + 1 < npeers && peers[i] != pe; i++)
        continue;
    return i;
}

static void serve_one(const struct dtu_header *h)
{
    const struct msg *m = (const struct msg *)(const void *)dtu_payload(h);
    unsigned i = index_of(h->sender_pe);
    uint32_t op, zero = 0;

    memcpy(&op, m, sizeof(op));
    switch (op) {
    case OP_ECHO:
        dtu_reply(EP_SERVE, h, m, h->length);
        return;
    case OP_HOLD:
        held[i] = h;
        return;
    case OP_RELEASE:
        if (held[i])
            dtu_reply(EP_SERVE, held[i], &zero, sizeof(zero));
        held[i] = NULL;
        break;
    case OP_DONE:
        done++;
        break;
    default:
        break;
    }
    dtu_reply(EP_SERVE, h, &zero, sizeof(zero));
}

static void serve(void *arg)
{
    const struct dtu_header *h;

    (void)arg;
    while ((h = dtu_fetch(EP_SERVE)))
        serve_one(h);
    dtu_fetch(EP_FULL); /* read, so that we can sleep, but its slot stays taken */
}

/* ---- tests ---- */

static struct msg out;

static void fill(unsigned number, unsigned len)
{
    unsigned i;

    out.op = OP_ECHO;
    out.number = number;
    for (i = 0; i + HEAD < len; i++)
        out.data[i] = (uint8_t)(number * 7 + i);
}

/* Sends `out` and waits for the answer: is it the same? */
static bool round_trip(unsigned ep, unsigned len)
{
    const struct dtu_header *h;
    bool same;

    if (dtu_send(ep, &out, len, EP_ANSWER, me) != SE_OK)
        return false;
    if (!dtu_wait_ep(EP_ANSWER, serve, NULL) || !(h = dtu_fetch(EP_ANSWER)))
        return false;
    same = out.op != OP_ECHO ||
           (h->length == len && h->label == me && memcmp(dtu_payload(h), &out, len) == 0);
    dtu_ack(EP_ANSWER, h);
    return same;
}

/* Its program may not have begun, and the link may not be up. */
static bool reach(unsigned peer)
{
    uint64_t end = now() + PATIENCE_NS;

    dtu_config_send(EP_SEND, peer, DTU_VPE_INVALID, EP_SERVE, 1u << SLOT_ORDER, DTU_CREDITS_UNLIM,
                    self);
    fill(0, 64);
    while (!round_trip(EP_SEND, 64)) {
        serve(NULL);
        if (now() > end)
            return false;
        dtu_relax(PAUSE_NS);
    }
    return true;
}

static void test_messages(unsigned peer)
{
    char text[96];
    unsigned i, good = 0;
    uint64_t t = now();

    for (i = 0; i < PINGS; i++) {
        fill(i, 64);
        good += round_trip(EP_SEND, 64);
    }
    t = (now() - t) / 1000;
    fmt_snprintf(text, sizeof(text), "%u of %u messages of 64 bytes answered, %u us each", good,
                 PINGS, (unsigned)(t / PINGS));
    report(peer, good == PINGS, text);
    for (i = good = 0; i < 50; i++) {
        fill(i, BIG);
        good += round_trip(EP_SEND, BIG);
    }
    fmt_snprintf(text, sizeof(text), "%u of 50 messages of %u bytes answered", good, BIG);
    report(peer, good == 50, text);
}

static void test_memory(unsigned peer)
{
    unsigned e, i;

    /* The peer's area number `me` is ours alone. */
    dtu_config_mem(EP_MEM, peer, DTU_VPE_INVALID, (uintptr_t)area[me], AREA, DTU_PERM_RW);
    for (i = 0; i < AREA; i++)
        copy[i] = (uint8_t)(i * 13 + self);
    e = dtu_write(EP_MEM, copy, AREA, 0);
    expect(peer, e, SE_OK, "64 KiB written to its memory");
    memset(copy, 0, AREA);
    e = dtu_read(EP_MEM, copy, AREA, 0);
    for (i = 0; i < AREA && copy[i] == (uint8_t)(i * 13 + self); i++)
        continue;
    expect(peer, i == AREA ? e : ~0u, SE_OK, "and read back as they were");
    expect(peer, dtu_read(EP_MEM, copy, 16, AREA - 8), SE_INV_ARGS, "memory gate: bounds");
    dtu_config_mem(EP_MEM, peer, DTU_VPE_INVALID, (uintptr_t)area[me], AREA, DTU_PERM_R);
    expect(peer, dtu_write(EP_MEM, copy, 16, 0), SE_NO_PERM, "memory gate: permission");
    dtu_config_mem(EP_MEM, peer, 77, (uintptr_t)area[me], AREA, DTU_PERM_RW);
    expect(peer, dtu_read(EP_MEM, copy, 16, 0), SE_VPE_GONE, "memory of a VPE that is gone");
}

static void test_credits(unsigned peer)
{
    const struct dtu_header *h;
    unsigned e;

    dtu_config_send(EP_ONE, peer, DTU_VPE_INVALID, EP_SERVE, 1u << SLOT_ORDER, 1u << SLOT_ORDER,
                    self);
    out.op = OP_HOLD;
    e = dtu_send(EP_ONE, &out, 64, EP_ANSWER, me);
    expect(peer, e, SE_OK, "a message takes the only credit");
    e = dtu_send(EP_ONE, &out, 64, EP_ANSWER, me);
    expect(peer, e, SE_MISS_CREDITS, "no credits");
    out.op = OP_RELEASE;
    e = dtu_send(EP_SEND, &out, 64, DTU_NO_REPLY, me);
    if (dtu_wait_ep(EP_ANSWER, serve, NULL) && (h = dtu_fetch(EP_ANSWER)))
        dtu_ack(EP_ANSWER, h);
    fill(1, 64);
    expect(peer, round_trip(EP_ONE, 64) ? SE_OK : ~0u, SE_OK, "the answer brings it back");
}

static void test_errors(unsigned peer)
{
    unsigned i, e = SE_OK;

    dtu_config_send(EP_ONE, peer, DTU_VPE_INVALID, EP_FULL, 64, DTU_CREDITS_UNLIM, self);
    for (i = 0; i < 4 && e == SE_OK; i++)
        e = dtu_send(EP_ONE, "full", 4, DTU_NO_REPLY, 0);
    expect(peer, e, SE_NO_RING_SPACE, "no space");
    dtu_config_send(EP_ONE, peer, 77, EP_SERVE, 64, DTU_CREDITS_UNLIM, self);
    expect(peer, dtu_send(EP_ONE, "x", 1, DTU_NO_REPLY, 0), SE_VPE_GONE, "VPE gone");
    dtu_config_send(EP_ONE, peer, DTU_VPE_INVALID, EP_NONE, 64, DTU_CREDITS_UNLIM, self);
    expect(peer, dtu_send(EP_ONE, "x", 1, DTU_NO_REPLY, 0), SE_RECV_GONE, "no receive endpoint");
    dtu_config_send(EP_ONE, peer, DTU_VPE_INVALID, EP_FULL, 1u << SLOT_ORDER, DTU_CREDITS_UNLIM,
                    self);
    expect(peer, dtu_send(EP_ONE, &out, 512, DTU_NO_REPLY, 0), SE_INV_ARGS, "longer than a slot");
}

static void test_peer(unsigned peer)
{
    bool reached = reach(peer);

    report(peer, reached, "its program answers");
    if (!reached)
        return;
    test_messages(peer);
    test_memory(peer);
    test_credits(peer);
    test_errors(peer);
}

/* Nobody leaves before all have done with him; the last words may be lost with who said them. */
static void finish(void)
{
    uint64_t end = now() + PATIENCE_NS;
    unsigned i;

    out.op = OP_DONE;
    for (i = 0; i < npeers; i++) {
        if (peers[i] == self)
            continue;
        dtu_config_send(EP_SEND, peers[i], DTU_VPE_INVALID, EP_SERVE, 1u << SLOT_ORDER,
                        DTU_CREDITS_UNLIM, self);
        round_trip(EP_SEND, 64);
    }
    while (done + 1 < npeers && now() < end) {
        serve(NULL);
        dtu_relax(PAUSE_NS);
    }
    for (i = 0; i < 50; i++) { /* the bridge carries the answers away */
        serve(NULL);
        dtu_relax(PAUSE_NS);
    }
}

int main(int argc, char **argv)
{
    unsigned long pe;
    int i;

    self = (unsigned)vreg_get(VREG_PE);
    for (i = 1; i < argc && npeers < PEERS; i++)
        if (fmt_parse(argv[i], &pe))
            peers[npeers++] = (unsigned)pe;
    me = index_of(self);
    dtu_config_recv(EP_ANSWER, answer_buf, SLOT_ORDER + 1, SLOT_ORDER);
    dtu_config_recv(EP_FULL, full_buf, 7, 7);
    dtu_config_recv(EP_SERVE, serve_buf, SLOT_ORDER + 4, SLOT_ORDER);
    for (unsigned p = 0; p < npeers; p++)
        if (peers[p] != self)
            test_peer(peers[p]);
    dtu_config_send(EP_ONE, 900, DTU_VPE_INVALID, EP_SERVE, 64, DTU_CREDITS_UNLIM, self);
    expect(900, dtu_send(EP_ONE, "x", 1, DTU_NO_REPLY, 0), SE_EP_INVALID, "a PE that nobody has");
    finish();
    print("%u passed, %u failed\n", passed, failed);
    print_flush();
    vreg_set(VREG_EXIT, (failed ? 1 : 0) | (uint64_t)VREG_EXIT_MACHINE << 32);
    guest_halt(failed ? 1 : 0);
}
