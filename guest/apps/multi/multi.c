/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * multi PEERS [MESSAGES]: PEERS application PEs (this one included), each of which sends MESSAGES
 * messages to every other and receives as many from each.
 *
 * The first creates the others, gives each a receive endpoint and hands out gates: one per
 * receiver, the same for all senders, because who sent a message is said by its header, which
 * nobody can forge.  Receivers are more than endpoints, so the gates take turns on those there are
 * (gate.h).  Nobody sends before the first message of the first: a PE that is still in idle could
 * not sleep with messages waiting.
 */
#include "boot.h"
#include "env.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

#define PEERS_MAX    64u
#define MESSAGES_MAX 100000u
#define RECV_EP      2u
#define SLOT_ORDER   6u  /* 64 bytes, header included */
#define BUFFER_ORDER 11u /* 32 slots */
#define RETRY_NS     200000u
#define RETRIES      100000u /* in a row, to one receiver, before we give up */
#define MAGIC        0x6d756c7469000000ull

struct message {
    uint16_t from, to;
    uint32_t seq;
    uint64_t check;
};
_Static_assert(sizeof(struct message) + sizeof(struct dtu_header) <= 1u << SLOT_ORDER, "slot");

static unsigned peers, messages, self;
static unsigned pe_of[PEERS_MAX];
static struct vpe vpes[PEERS_MAX];
static struct gate gates[PEERS_MAX];
static unsigned got[PEERS_MAX]; /* messages from each, in order */
static unsigned errors;

static uint64_t check_of(unsigned from, unsigned to, unsigned seq)
{
    return MAGIC ^ (uint64_t)from << 48 ^ (uint64_t)to << 32 ^ seq * 0x9e3779b1ull;
}

static const char *wrong_with(const struct dtu_header *h, const struct message *m)
{
    if (h->length != sizeof(*m))
        return "length";
    if (h->label != self || m->to != self)
        return "receiver";
    if (m->from >= peers || m->from == self || h->sender_pe != pe_of[m->from])
        return "sender";
    if (m->seq != got[m->from] || m->seq >= messages)
        return "order";
    return m->check == check_of(m->from, self, m->seq) ? NULL : "contents";
}

/* Takes what has arrived.  Also called while a system call is outstanding. */
static void drain(void *arg)
{
    const struct dtu_header *msg;

    (void)arg;
    while ((msg = dtu_fetch(RECV_EP))) {
        const char *wrong;
        struct message m;

        memset(&m, 0, sizeof(m));
        memcpy(&m, dtu_payload(msg), msg->length < sizeof(m) ? msg->length : sizeof(m));
        wrong = wrong_with(msg, &m);
        if (wrong) {
            errors++;
            print("message from PE %u (peer %u, number %u): wrong %s\n", msg->sender_pe, m.from,
                  m.seq, wrong);
        } else {
            got[m.from]++;
        }
        dtu_ack(RECV_EP, msg);
    }
}

/* A full receiver empties its slots some time; we go on emptying ours, so nobody waits in a ring.
 */
static unsigned send_one(unsigned to, unsigned seq)
{
    static struct message m;
    unsigned err = SE_NO_RING_SPACE;

    m = (struct message){(uint16_t)self, (uint16_t)to, seq, check_of(self, to, seq)};
    for (unsigned i = 0; i < RETRIES && err == SE_NO_RING_SPACE; i++) {
        if (i > 0) {
            drain(NULL);
            dtu_relax(RETRY_NS);
        }
        err = gate_send(&gates[to], &m, sizeof(m), DTU_NO_REPLY, 0);
    }
    return err;
}

static unsigned received(unsigned *senders)
{
    unsigned sum = 0;

    *senders = 0;
    for (unsigned i = 0; i < peers; i++) {
        sum += got[i];
        *senders += got[i] > 0;
    }
    return sum;
}

/* Everybody starts with another receiver. */
static void send_all(void)
{
    for (unsigned i = 1; i < peers; i++) {
        unsigned to = (self + i) % peers;

        for (unsigned seq = 0; seq < messages; seq++) {
            unsigned err = send_one(to, seq);

            if (err) {
                errors++;
                print("send to peer %u: error %u\n", to, err);
                break;
            }
        }
    }
}

static int exchange_messages(void)
{
    unsigned senders, all = (peers - 1) * messages, sum;

    send_all();
    while ((sum = received(&senders)) < all && errors == 0) {
        if (!dtu_wait_ep(RECV_EP, NULL, NULL))
            break;
        drain(NULL);
    }
    print("PE %u got %u messages from %u peers\n", pe_of[self], sum, senders);
    return errors == 0 && sum == all ? 0 : 1;
}

static int peer_main(void *arg)
{
    self = (unsigned)(uintptr_t)arg;
    if (ep_alloc() != RECV_EP) /* attached by our creator */
        return 1;
    for (unsigned i = 0; i < peers; i++)
        gates[i] = (struct gate){.sel = SEL_GIVEN + i};
    sysc_while_waiting(drain, NULL);
    while (got[0] == 0) {
        if (!dtu_wait_ep(RECV_EP, NULL, NULL))
            return 1;
        drain(NULL);
    }
    print("hello from PE %u, peer %u of %u\n", pe_of[self], self, peers);
    return exchange_messages();
}

/* The other VPEs and all gates to everybody. */
static unsigned create_all(void)
{
    uint64_t buffer = guest_recvbuf_start() + 256; /* behind endpoint 1's slot */
    unsigned err = 0, first = sel_alloc(peers);

    for (unsigned i = 1; i < peers && !err; i++) {
        err = vpe_create(&vpes[i], "multi");
        pe_of[i] = pe_desc_id(vpes[i].desc);
        if (!err)
            err = sysc_attachrb(vpes[i].sel, RECV_EP, buffer, BUFFER_ORDER, SLOT_ORDER);
    }
    for (unsigned i = 0; i < peers && !err; i++) {
        gates[i] = (struct gate){.sel = first + i};
        err = sysc_creategate(i ? vpes[i].sel : CAP_SELF_VPE, first + i, i, RECV_EP,
                              1u << SLOT_ORDER);
    }
    for (unsigned i = 1; i < peers && !err; i++)
        err = vpe_delegate(&vpes[i], first, SEL_GIVEN, peers);
    return err;
}

static unsigned start_all(void)
{
    unsigned err = 0;

    for (unsigned i = 1; i < peers && !err; i++)
        err = vpe_run(&vpes[i], peer_main, (void *)(uintptr_t)i);
    return err;
}

/* Until all others have exited; how many did so with status 0. */
static unsigned wait_all(void)
{
    unsigned good = 0;

    for (unsigned i = 1; i < peers; i++) {
        int status = -1;
        unsigned err = vpe_wait(&vpes[i], &status);

        if (err || status)
            print("peer %u: error %u, status %d\n", i, err, status);
        else
            good++;
        vpe_destroy(&vpes[i]);
    }
    return good;
}

int main(int argc, char **argv)
{
    unsigned long n = 0, m = 8;
    struct recv_gate in;
    unsigned err, good;

    if (argc < 2 || argc > 3 || !fmt_parse(argv[1], &n) || (argc > 2 && !fmt_parse(argv[2], &m)) ||
        n < 2 || n > PEERS_MAX || m < 1 || m > MESSAGES_MAX) {
        print("usage: multi PEERS [MESSAGES], 2..%u and 1..%u\n", PEERS_MAX, MESSAGES_MAX);
        return 2;
    }
    peers = (unsigned)n;
    messages = (unsigned)m;
    pe_of[0] = (unsigned)env()->coreid;
    err = recv_gate_create(&in, BUFFER_ORDER, SLOT_ORDER);
    if (!err)
        err = create_all();
    if (!err) {
        sysc_while_waiting(drain, NULL);
        err = start_all();
    }
    if (err) {
        print("cannot start %u peers: error %u\n", peers, err);
        return 1;
    }
    print("hello from PE %u, peer 0 of %u\n", pe_of[0], peers);
    good = exchange_messages() == 0;
    good += wait_all();
    print("%u of %u peers exchanged %u messages with each other\n", good, peers, messages);
    return good == peers ? 0 : 1;
}
