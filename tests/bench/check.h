/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done with results once there are some: `make bench-check`, `make bench-report`. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include "budget.h"
#include "json.h"

/*
 * The results in a file, checked: an object with a list "cases" of objects with a name each, a
 * ratio, exits, n, p50, p99 and a baseline.  NULL with one line on standard error.
 */
struct json *check_load(const char *path);

/*
 * Prints a line for each case: PASS or FAIL, or SKIP for those that did not run here, and how many.
 * The number of those that failed: over their budget, without one, failed to run, or, of those with
 * a budget, missing.
 */
unsigned check_print(const struct json *results, const struct budgets *budgets);

/* One page of HTML that needs nothing else.  0 or -errno, with one line on standard error. */
int report_write(const struct json *results, const struct budgets *budgets, const char *path);

#endif
