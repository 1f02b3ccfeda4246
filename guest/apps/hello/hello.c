/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest program: the same line as the original's hello. */
#include "print.h"
#include "start.h"

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    print("Hello World\n");
    return 0;
}
