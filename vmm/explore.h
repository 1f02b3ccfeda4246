/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `sempervm explore`: a machine under many seeds (vmm/README.md).
 */
#ifndef VMM_EXPLORE_H
#define VMM_EXPLORE_H

/* argv[0] is "explore".  Returns the exit status: 0 no failures, 1 failures, 2 usage, 3 the host
 * cannot, 128 + n ended by signal n; then the same command goes on where it was. */
int explore_command(int argc, char **argv);

#endif
