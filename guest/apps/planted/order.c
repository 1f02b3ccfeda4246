/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An order assumption.  Two are asked; the second has far more to do, so the first answer must be
 * the first one's.  The bug: nobody looks at who sent it.
 */
#include "planted.h"
#include "print.h"

#define EFFORT 3u /* operations that the second needs for its answer */

static int ask_both(void)
{
    struct message a, b;

    go(1);
    go(2);
    a = hear(IN_EP, NULL);
    b = hear(IN_EP, NULL);
    if (a.value == 1 && b.value == 2)
        return 0;
    print("the answers are %u and %u\n", a.value, b.value);
    return 1;
}

static int answer(unsigned self)
{
    if (self == 2) {
        work();
        dawdle(EFFORT);
    }
    say(0, ANSWER, self, false);
    return 0;
}

const struct bug bug_order = {"order", 2, 2, ask_both, answer};
