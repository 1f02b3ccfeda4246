/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reply to a reused slot.  The server has one slot, and acknowledges a request before it is
 * answered, to have room for the next.  Replying is then refused, and the answer goes through a
 * gate instead.  The bug: when the next request is there already, the reply is not refused but
 * answers that one.
 */
#include "planted.h"
#include "print.h"
#include "str.h"

static unsigned answer_one(void)
{
    static struct message answer;
    const struct recv_gate in = {.ep = IN_EP};
    const struct dtu_header *msg = recv_gate_wait(&in);
    unsigned from = (unsigned)msg->label;

    memcpy(&answer, dtu_payload(msg), sizeof(answer));
    dtu_ack(IN_EP, msg);
    answer.value *= 2;
    if (dtu_reply(IN_EP, msg, &answer, sizeof(answer)))
        return say(from, ANSWER, answer.value, false);
    return SE_OK;
}

static int serve(void)
{
    go(1);
    go(2);
    for (unsigned i = 0; i < 2; i++)
        answer_one();
    return 0;
}

/* The answer comes here or there. */
static int ask(unsigned self)
{
    struct message m;

    if (self == 2) {
        work();
        dawdle(2);
    }
    say(0, ANSWER, self, true);
    while (!dtu_unread(IN_EP) && !dtu_unread(ANSWER_EP))
        dtu_wait(VREG_WAIT_FOREVER);
    m = hear(dtu_unread(IN_EP) ? IN_EP : ANSWER_EP, NULL);
    if (m.value == 2 * self)
        return 0;
    print("party %u got the answer %u\n", self, m.value);
    return 1;
}

const struct bug bug_slot = {"slot", 2, 0, serve, ask};
