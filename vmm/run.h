/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the pure part of sempervm (command line, machine description, loader) hands over to the
 * part that owns KVM.
 */
#ifndef VMM_RUN_H
#define VMM_RUN_H

#include "machine.h"

/* What sempervm and run_machine() exit with (vmm/README.md). */
enum exit_status {
    EXIT_OK = 0,
    EXIT_GUEST = 1,    /* a guest failed */
    EXIT_USAGE = 2,    /* command line or machine description */
    EXIT_HOST = 3,     /* the host cannot */
    EXIT_TIMEOUT = 4,  /* --timeout expired */
    EXIT_DEADLOCK = 5, /* every PE waits and nothing can wake one */
};

/* Build, load and run a validated machine; prints its own errors.  Returns the exit status. */
int run_machine(const struct machine *m);

/*
 * The same for all nodes of a machine of several, each as its own description sees it: in one
 * process, by a seed, which all must have.
 */
int run_machines(const struct machine *m, unsigned count);

#endif
