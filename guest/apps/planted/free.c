/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A double free by two revokers.  Whoever finds the thing alive writes down that it is not and has
 * the owner revoke it.  The bug: looking and writing are two operations, and the other revoker can
 * look in between.
 */
#include "planted.h"
#include "print.h"
#include "syscall.h"

static int own(void)
{
    unsigned thing = sel_alloc(1), done = 0, err;

    err = sysc_creategate(CAP_SELF_VPE, thing, 0, ANSWER_EP, 64);
    go(1);
    go(2);
    while (done < 2 && !err) {
        if (hear(IN_EP, NULL).word == DONE)
            done++;
        else
            err = sysc_revoke(cap_range(thing, 1), true);
    }
    if (!err)
        return 0;
    print("the thing was freed twice: error %u\n", err);
    return 1;
}

static int revoke(unsigned self)
{
    if (self == 2) {
        work();
        dawdle(3);
    }
    if (shared_get(SHARED_LIVE)) {
        shared_set(SHARED_LIVE, 0);
        say(0, FREE, self, false);
    }
    say(0, DONE, self, false);
    return 0;
}

const struct bug bug_free = {"free", 2, 3, own, revoke};
