/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client: asks and tells the server, in bursts and with pauses, makes system calls meanwhile,
 * puts its gate on the endpoint anew, and talks to a victim that may go any time.  When its gate is
 * revoked it waits for another.  Which errors are right is known at every step.
 */
#include "boot.h"
#include "print.h"
#include "ringstress.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

#define OUT_MAX  8u
#define PATIENCE 400000u /* looks; each may be a wait */
#define LOOK_NS  100000u

static unsigned self, failed, out, taken, revoked;
static uint32_t seq, vseq;
static bool stop;
static uint32_t asked[OUT_MAX]; /* numbers of questions that are out */
static struct recv_gate answers;
static struct gate server, other;

static void wrong(const char *what, unsigned n)
{
    failed++;
    if (failed < 10)
        print("ringstress: client %u: %s (%u)\n", self, what, n);
}

/* Takes the answers that are there: also while a system call is outstanding. */
static void take(void *arg)
{
    const struct dtu_header *m;

    (void)arg;
    while ((m = dtu_fetch(answers.ep))) {
        struct answer a = {0};
        unsigned i = 0;

        memcpy(&a, m + 1, m->length < sizeof(a) ? m->length : sizeof(a));
        while (i < out && asked[i] != a.seq)
            i++;
        if (m->length != sizeof(a) || i == out || m->label != a.seq ||
            a.check != answer_check(self, a.seq)) {
            wrong("an answer to nothing", a.seq);
        } else {
            asked[i] = asked[--out];
            taken++;
            stop |= a.stop;
        }
        dtu_ack(answers.ep, m);
    }
}

static void await(unsigned most)
{
    for (unsigned i = 0; out > most && i < PATIENCE; i++) {
        take(NULL);
        if (out > most)
            dtu_wait(LOOK_NS);
    }
    if (out > most) {
        wrong("no answer", asked[0]);
        out = 0;
    }
}

/* Until the gate is there again. */
static bool get_gate(void)
{
    gate_deactivate(&server);
    for (unsigned i = 0; i < PATIENCE; i++) {
        take(NULL);
        if (gate_activate(&server) == SE_OK)
            return true;
        dtu_relax(LOOK_NS);
    }
    wrong("no gate", seq);
    return false;
}

/* One message, however often that takes. */
static bool tell(enum op op)
{
    struct message m;
    size_t len = message_fill(&m, self, op, 0, seq);
    unsigned err;

    for (unsigned i = 0; i < PATIENCE; i++) {
        if (gate_activate(&server) && !get_gate())
            return false;
        err = dtu_send(server.ep, &m, len, op == OP_TELL ? DTU_NO_REPLY : answers.ep, seq);
        switch (err) {
        case SE_OK:
            if (op != OP_TELL)
                asked[out++] = seq;
            seq++;
            return true;
        case SE_NO_RING_SPACE:
            take(NULL);
            if (i % 16 == 15)
                dtu_relax(LOOK_NS);
            break;
        case SE_EP_INVALID:
            revoked++;
            if (!get_gate())
                return false;
            break;
        default:
            wrong("SEND", err);
            return false;
        }
    }
    wrong("the server does not take it", seq);
    return false;
}

/* Whatever comes of it. */
static void tell_victim(void)
{
    struct message m;
    size_t len = message_fill(&m, self, OP_TELL, 0, vseq);
    unsigned err;

    if (gate_activate(&other))
        return;
    err = dtu_send(other.ep, &m, len, DTU_NO_REPLY, 0);
    if (err == SE_MISS_CREDITS || err == SE_INV_ARGS)
        wrong("SEND to a victim", err);
    if (err == SE_OK)
        vseq++;
    else if (err != SE_NO_RING_SPACE)
        gate_deactivate(&other);
}

static void step(void)
{
    unsigned err;

    switch (chance(16)) {
    case 0:
        if ((err = sysc_noop()))
            wrong("NOOP", err);
        break;
    case 1:
        dtu_relax(chance(3) * 100000u);
        break;
    case 2: /* an error: it was revoked, which the next SEND finds */
        if (chance(8) == 0 && gate_activate(&server) == SE_OK)
            sysc_activate(server.ep, server.sel, server.sel);
        break;
    case 3:
    case 4:
    case 5:
        for (unsigned n = chance(40); n > 0 && tell(OP_TELL); n--)
            ;
        break;
    case 6:
        tell_victim();
        break;
    case 7:
        await(0);
        break;
    default:
        await(chance(OUT_MAX));
        tell(OP_ASK);
    }
}

int client(void *arg)
{
    self = (unsigned)(uintptr_t)arg;
    chance_state = 0x9E3779B97F4A7C15ull * (self + 1);
    server.sel = TO_SERVER;
    other.sel = TO_VICTIM;
    if (ep_alloc() != RECV_EP || recv_gate_create(&answers, BUFFER_ORDER, SLOT_ORDER))
        return 1;
    sysc_while_waiting(take, NULL);
    while (!stop && !failed)
        step();
    await(0);
    /* The number of this one is how many there were before. */
    tell(OP_DONE);
    await(0);
    if (taken < 2)
        wrong("no answers", taken);
    print("ringstress: client %u: %u messages, %u answers, revoked %u times, %u to victims\n", self,
          seq, taken, revoked, vseq);
    return failed != 0;
}

int victim(void *arg)
{
    const struct recv_gate in = {.ep = RECV_EP};
    const unsigned life = (unsigned)(uintptr_t)arg;
    const struct dtu_header *msg;
    struct message m;
    uint32_t n = 0;

    self = LABEL_VICTIM;
    chance_state = 0xD1B54A32D192ED03ull * (life + 1);
    server.sel = TO_SERVER;
    if (ep_alloc() != RECV_EP)
        return 1;
    for (unsigned turns = 100 + chance(1500); turns > 0; turns--) {
        while ((msg = dtu_fetch(in.ep))) {
            memset(&m, 0, sizeof(m));
            memcpy(&m, msg + 1, msg->length < sizeof(m) ? msg->length : sizeof(m));
            if (!message_right(msg, &m))
                n += 1000; /* the server sees that */
            dtu_ack(in.ep, msg);
        }
        if (gate_activate(&server) == SE_OK &&
            dtu_send(server.ep, &m, message_fill(&m, self, OP_TELL, life, n), DTU_NO_REPLY, 0) ==
                SE_OK)
            n++;
        if (chance(8) == 0)
            dtu_wait(chance(2) * LOOK_NS);
    }
    return 0;
}
