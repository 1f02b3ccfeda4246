/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of the boot line (semperos-platform 1, 5.5):
 *
 *     line  = group { "--" group }
 *     group = program { argument } { "daemon" | "requires=" name | "repeat=" n }
 *           | "kernel" { argument } "pes=" n        a further kernel; its own line uses "++"
 *           | "idle"
 *
 * Words for the kernel come behind those for the program.
 */
#ifndef KERNEL_BOOTLINE_H
#define KERNEL_BOOTLINE_H

#include <stdbool.h>

#define BOOT_REQUIRES 8u

struct boot_app {
    int argc; /* argv[0] is the program */
    char **argv;
    bool daemon, kernel, idle;
    unsigned repeat; /* instances, at least 1 */
    unsigned pes;    /* kernels: PEs for it, at least 1 */
    unsigned nrequires;
    const char *requires[BOOT_REQUIRES];
};

/*
 * Reads the group that begins at argv[*pos] and moves *pos behind it.  max bounds the numbers.
 * Returns 1: *app was set (it points into argv); 0: there are no more; -1: *error says what is
 * wrong with it, *pos is behind it all the same.
 */
int bootline_next(int argc, char **argv, const char *separator, unsigned max, int *pos,
                  struct boot_app *app, const char **error);

/* A path's last part. */
const char *bootline_name(const char *path);

#endif
