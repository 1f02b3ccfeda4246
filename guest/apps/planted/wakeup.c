/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lost wake-up.  The consumer looks for items, finds none, says that it sleeps, and sleeps.  The
 * bug: it does not look again after saying so.  An item that comes in between wakes nobody.
 */
#include "planted.h"

static int produce(void)
{
    go(1);
    work();
    shared_set(SHARED_ITEMS, 1);
    if (shared_get(SHARED_SLEEPING))
        say(1, WAKE, 0, false);
    return 0;
}

static int consume(unsigned self)
{
    (void)self;
    if (shared_get(SHARED_ITEMS) == 0) {
        shared_set(SHARED_SLEEPING, 1);
        hear(IN_EP, NULL);
    }
    return shared_get(SHARED_ITEMS) == 1 ? 0 : 1;
}

const struct bug bug_wakeup = {"wakeup", 1, 2, produce, consume};
