/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of sempervm: run, check, doctor (vmm/README.md).
 */
#ifndef VMM_CLI_H
#define VMM_CLI_H

#define SEMPERVM_VERSION "sempervm 0.1.0"

/* All of main(): parse, act, print errors.  Returns the exit status; --help, --version and errors
 * of usage end the process. */
int cli_main(int argc, char **argv);

/* `sempervm run`, argv[0] being its name; recorded: NULL, or the schedule and what a replay has
 * already decided, which overrides the options.  Returns the exit status. */
struct seed_opts;
int cli_run(int argc, char **argv, const struct seed_opts *recorded);

#endif
