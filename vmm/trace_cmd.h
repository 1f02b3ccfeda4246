/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `sempervm trace`: what is in a trace.
 */
#ifndef VMM_TRACE_CMD_H
#define VMM_TRACE_CMD_H

/*
 * `sempervm trace [OPTION...] FILE [FILE2]`, argv[0] being "trace".  Prints to standard output,
 * errors to standard error; --help and errors of usage end the process.  Returns the exit status:
 * 0, 1 when two traces differ, 2 for a file that cannot be used, 3 when the output cannot be
 * written.
 */
int trace_command(int argc, char **argv);

#endif
