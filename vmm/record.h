/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what happens in a node to the records of its trace.
 */
#ifndef VMM_RECORD_H
#define VMM_RECORD_H

#include "node.h"
#include "trace.h"

/*
 * Opens the trace that the machine's description asks for, or whose hash a seeded run prints, and
 * makes the DTUs report.  Before any PE runs.  0 or -errno with one line in err.
 */
int record_open(struct node *n, char *err, size_t errsize);

/* Ends it: writes the file's end, prints the hash of a seeded run.  0 or -errno (it said why). */
int record_close(struct node *n);

/*
 * Adds a record; step and time are filled in here.  Nothing when nobody asked for a trace.  In
 * a replay the record is compared with the recorded one, and the first difference ends the run.
 */
void node_record(struct node *n, struct trace_record *r);

/* After NODE_DIFFERS: what was recorded, and what happened instead. */
void record_difference(const struct node *n, FILE *out);

#endif
