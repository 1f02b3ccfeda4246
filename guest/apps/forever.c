/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forever: never ends, and never waits.  What a kernel that the original left behind may do when
 * its machine is over (tests/README.md), for tests without the original.
 */
#include "dtu_drv.h"
#include "print.h"
#include "start.h"

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    print("here for ever\n");
    for (;;)
        vreg_set(VREG_TIME, 0); /* in a seeded run others get their turn at a store */
}
