/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ringattack [peer]: a VPE that writes what it likes into the memory it shares with another, while
 * a third talks to that other.  The first to arrive in main() starts a server and a client that
 * behave; the server says how often something was not as the DTU promises.
 *
 * With `peer` it ends by a write to the server's status page, which it may only read.
 */
#include "boot.h"
#include "print.h"
#include "ring_impl.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

#define RECV_EP      2u
#define SLOT_ORDER   7u
#define BUFFER_ORDER 12u
#define ATTACKER     7u /* labels */
#define CLIENT       8u
#define MINE         9u
#define ASKS         2000u
#define ATTACKS      20000u

enum { OP_ECHO = 1, OP_WRONG = 2 };

static struct vpe server, client;
static unsigned failed;

static void line(bool good, const char *what)
{
    print("%s %s\n", good ? "ok  " : "FAIL", what);
    failed += good ? 0 : 1;
}

/* Waits for the answer of what was just sent. */
static bool answer(uint64_t *value)
{
    const struct dtu_header *m = NULL;

    while (!m && dtu_wait_ep(VPE_EP_RECV, NULL, NULL))
        m = dtu_fetch(VPE_EP_RECV);
    if (!m)
        return false;
    *value = 0;
    memcpy(value, m + 1, m->length < 8 ? m->length : 8);
    dtu_ack(VPE_EP_RECV, m);
    return true;
}

static int serve(void *arg)
{
    const struct recv_gate g = {.ep = RECV_EP};
    uint64_t wrong = 0, words[2];
    unsigned pe[MINE + 1] = {0};

    (void)arg;
    if (ep_alloc() != RECV_EP)
        return 1;
    for (;;) {
        const struct dtu_header *m = recv_gate_wait(&g);

        if (!m)
            return 1;
        memset(words, 0, sizeof(words));
        if (m->length <= (1u << SLOT_ORDER) - sizeof(*m))
            memcpy(words, m + 1, m->length < sizeof(words) ? m->length : sizeof(words));
        else
            wrong++;
        /* A label belongs to one PE, whoever that is, for ever. */
        if (m->label < ATTACKER || m->label > MINE || m->sender_vpe != m->sender_pe)
            wrong++;
        else if (!pe[m->label])
            pe[m->label] = m->sender_pe;
        else
            wrong += pe[m->label] != m->sender_pe;
        if (m->label == CLIENT && words[0] != OP_ECHO)
            wrong++;
        if (m->label == MINE && words[0] == OP_WRONG) {
            dtu_reply(RECV_EP, m, &wrong, sizeof(wrong));
            return 0;
        }
        dtu_reply(RECV_EP, m, &words[1], sizeof(words[1]));
    }
}

static int behave(void *arg)
{
    struct gate g = {.sel = SEL_GIVEN};

    (void)arg;
    for (uint64_t i = 0; i < ASKS; i++) {
        const uint64_t words[2] = {OP_ECHO, i * i};
        uint64_t got;

        if (gate_send(&g, words, sizeof(words), VPE_EP_RECV, i) || !answer(&got) || got != i * i)
            return 1;
    }
    return 0;
}

static unsigned start(struct gate *evil, struct gate *mine)
{
    const unsigned sels = sel_alloc(3);
    unsigned err = vpe_create(&server, "ringattack");

    if (!err)
        err = sysc_attachrb(server.sel, RECV_EP, guest_recvbuf_start() + 256, BUFFER_ORDER,
                            SLOT_ORDER);
    for (unsigned i = 0; i < 3 && !err; i++)
        err = sysc_creategate(server.sel, sels + i, ATTACKER + i, RECV_EP, 1u << SLOT_ORDER);
    *evil = (struct gate){.sel = sels};
    *mine = (struct gate){.sel = sels + 2};
    if (!err)
        err = vpe_create(&client, "ringattack");
    if (!err)
        err = vpe_delegate(&client, sels + 1, SEL_GIVEN, 1);
    if (!err)
        err = vpe_run(&server, serve, NULL);
    return err ? err : vpe_run(&client, behave, NULL);
}

static uint64_t any(void)
{
    static uint64_t s = 88172645463325252ull;

    s ^= s << 13;
    s ^= s >> 7;
    return s ^= s << 17;
}

/* Bytes, whole words that look right, and everything at once. */
static void scribble(uint8_t *at)
{
    uint64_t *slot = (uint64_t *)(void *)(at + RING_FWD_OFF + any() % 32 * 128);

    at[RING_SHARED_OFF + any() % RING_SHARED_LEN] = (uint8_t)any();
    slot[RING_META] = any();
    slot[RING_LABEL] = any();
    slot[RING_SEQ] = any() % 64;
    if (any() % 512 == 0)
        memset(at + RING_SHARED_OFF, (int)any(), RING_SHARED_LEN);
}

/* Words of its own choice, for anybody's endpoints and with another's label: only kernels may. */
static bool gets_a_lane(void)
{
    struct ring_lane lane = {0, {0, 0, 1}};

    for (unsigned pe = 1; pe <= 5; pe++)
        for (unsigned ep = 0; ep < DTU_EPS; ep++) {
            lane.lane = (lane.lane + 1) % RING_LANES;
            lane.words[0] = dtu_send_r0(pe, 0xFFFF);
            lane.words[1] = dtu_send_r1(pe, ep, DTU_CREDITS_UNLIM);
            vreg_set(VREG_RING_LANE, (uintptr_t)&lane);
        }
    for (unsigned n = 0; n < RING_LANES; n++)
        if (rg_table(&ring_self)->out[DTU_EPS + n] != RING_NO_ENTRY)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct gate evil, mine;
    uint64_t got = 1;
    unsigned err = start(&evil, &mine), entry = RING_NO_ENTRY;
    const uint64_t words[2] = {OP_ECHO, 1};
    uint8_t *at;
    int status = 1;

    for (unsigned i = 0; i < 8 && !err; i++)
        if (!(err = gate_send(&evil, words, sizeof(words), VPE_EP_RECV, 0)))
            answer(&got);
    if (!err && ring_self.on)
        entry = rg_table(&ring_self)->out[evil.ep];
    line(!err && entry < RING_ENTRIES_MAX, "there is a channel to attack");
    if (err || entry >= RING_ENTRIES_MAX)
        return 1;
    at = rg_entry(&ring_self, entry);
    line(!gets_a_lane(), "it gets no channel for words");
    for (unsigned i = 0; i < ATTACKS; i++) {
        scribble(at);
        if (i % 64 == 0)
            vreg_set(VREG_RING_BELL, any() % 70);
        if (i % 256 == 0)
            vreg_set(VREG_RING_OPEN, any() % 20);
    }
    err = sysc_revoke(cap_range(evil.sel, 1), true);
    line(!err, "its gate is revoked");
    for (unsigned i = 0; i < ATTACKS; i++)
        scribble(at);
    line(dtu_send(evil.ep, words, sizeof(words), VPE_EP_RECV, 0) == SE_EP_INVALID,
         "it cannot send any more");
    err = vpe_wait(&client, &status);
    line(!err && status == 0, "the client got all its answers");
    if (!(err = gate_send(&mine, (const uint64_t[2]){OP_WRONG, 0}, 16, VPE_EP_RECV, 0)))
        answer(&got);
    line(!err && got == 0, "the server saw what the DTU promises");
    if (argc > 1 && strncmp(argv[1], "peer", 5) == 0)
        *(volatile uint32_t *)(void *)(rg_entry(&ring_self, 0) + RING_PEER_OFF) = 0;
    vpe_wait(&server, &status);
    print("ringattack: %u failed\n", failed);
    return failed != 0;
}
