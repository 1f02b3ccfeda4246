/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces as text.
 */
#ifndef VMM_TRACE_PRINT_H
#define VMM_TRACE_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "trace_filter.h"
#include "trace_names.h"
#include "trace_read.h"

/* The machine, the command line, the hash; lines that begin with '#'. */
void trace_print_head(const char *path, const struct trace_file *f, FILE *out);

/* The names of the columns. */
void trace_print_columns(FILE *out);

/* One record, one line of those columns; mark is its first character. */
void trace_print_record(char mark, const struct trace_record *r, const struct trace_kernels *k,
                        FILE *out);

/* The records that are wanted: counts of operations, calls and pairs of PEs.  0 or -ENOMEM. */
int trace_print_summary(const struct trace_file *f, const struct trace_filter *filter,
                        const struct trace_kernels *k, FILE *out);

/*
 * Compares the wanted records of two traces, and prints the first difference with some of what came
 * before and after.  Of traces of which one is not of a seeded run, steps and times do not count.
 * What
 * messages say (hash and first bytes) counts with `payload`; else it says how many differ there.
 * Returns whether they are equal.
 */
struct trace_side {
    const char *path;
    const struct trace_file *file;
    const struct trace_kernels *kernels;
};
bool trace_print_diff(const struct trace_side *a, const struct trace_side *b,
                      const struct trace_filter *filter, bool payload, FILE *out);

#endif
