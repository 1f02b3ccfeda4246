/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a recorded schedule again.
 */
#ifndef VMM_REPLAY_H
#define VMM_REPLAY_H

/*
 * `sempervm replay [--until STEP] [--trace FILE] TRACE`: the run that TRACE records, with its
 * command line and its schedule, from the folder it was made in.  The first record that differs
 * ends it (status 1); --until stops there and prints all DTUs.  argv[0] is "replay".  Returns the
 * exit status.
 */
int replay_command(int argc, char **argv);

#endif
