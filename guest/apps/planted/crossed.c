/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A deadlock by crossed requests.  Each of two parties asks the other and serves the other.  The
 * bug: while it waits for its answer it serves nobody, so when both ask at once, both wait.
 */
#include "planted.h"
#include "str.h"

static int watch(void)
{
    go(2);
    go(1);
    return 0;
}

static const struct dtu_header *request; /* taken, and to be served later */

static void take(void *arg)
{
    const struct dtu_header *msg = dtu_fetch(IN_EP);

    (void)arg;
    if (msg)
        request = msg;
}

static void serve_one(void)
{
    static struct message answer;

    while (!request && dtu_wait_ep(IN_EP, NULL, NULL))
        take(NULL);
    memcpy(&answer, dtu_payload(request), sizeof(answer));
    dtu_reply(IN_EP, request, &answer, sizeof(answer));
}

static int call(unsigned to, unsigned self)
{
    say(to, ANSWER, self, true);
    dtu_wait_ep(ANSWER_EP, take, NULL);
    return hear(ANSWER_EP, NULL).value == self ? 0 : 1;
}

/* The second has long been asked when it is done with its work, and serves that first. */
static int talk(unsigned self)
{
    int status;

    if (self == 1) {
        status = call(2, self);
        serve_one();
        return status;
    }
    work();
    dawdle(4);
    if (dtu_unread(IN_EP)) {
        serve_one();
        return call(1, self);
    }
    status = call(1, self);
    serve_one();
    return status;
}

const struct bug bug_crossed = {"crossed", 2, 2, watch, talk};
