/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what happens in a node to the records of its trace.
 */
#ifndef VMM_RECORD_H
#define VMM_RECORD_H

#include "node.h"
#include "trace.h"

/* What the nodes of a run record together. */
struct recording {
    struct trace *trace;
    uint64_t ops_hash, payload_hash; /* seeded: over all records so far */
    size_t compared;                 /* replay: records that were as recorded */
    size_t payload_differences;      /* replay: those whose payload was not */
    bool differs;
    struct trace_record difference[2]; /* replay: recorded, and what happened instead */
};

/*
 * Opens the trace that the machine's description asks for, or whose hash a seeded run prints, and
 * makes the DTUs of all `count` nodes report.  Before any PE runs.  0 or -errno with one line in
 * err.
 */
int record_open(struct node **n, unsigned count, char *err, size_t errsize);

/* Says which PEs a node has, when there are several nodes, and makes its DTUs report. */
void record_node(struct node *n);

/* Ends it: writes the file's end, prints the hash of a seeded run.  0 or -errno (it said why). */
int record_close(struct node **n, unsigned count);

/*
 * Adds a record; step and time are filled in here.  Nothing when nobody asked for a trace.  In
 * a replay the record is compared with the recorded one, and the first difference ends the run.
 */
void node_record(struct node *n, struct trace_record *r);

/* After NODE_DIFFERS: what was recorded, and what happened instead. */
void record_difference(const struct node *n, FILE *out);

#endif
