/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces for viewers of Chrome's trace format: Perfetto, chrome://tracing.
 */
#ifndef VMM_TRACE_CHROME_H
#define VMM_TRACE_CHROME_H

#include <stdio.h>

#include "trace_filter.h"
#include "trace_names.h"
#include "trace_read.h"

/*
 * Writes the records that are wanted as one JSON object: a track for each PE and one for the
 * scheduler of a seeded run, commands and waits as spans, all else as instants, and arrows from
 * send to fetch to reply to its fetch.  0, -ENOMEM or -E2BIG; errors of `out` are the caller's to
 * ask for.
 */
int trace_chrome(const struct trace_file *f, const struct trace_filter *filter,
                 const struct trace_kernels *k, FILE *out);

#endif
