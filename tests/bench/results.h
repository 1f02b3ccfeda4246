/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where results are kept: a file for each case in FOLDER/bench.d, written as soon as the case has
 * ended, and FOLDER/bench.json, which is put together from all of them.  So the results of other
 * cases outlive one that is interrupted or run alone; each says which commit it was measured at.
 */
#ifndef RESULTS_H
#define RESULTS_H

#include "bench.h"
#include "budget.h"

struct result {
    int status; /* 0 ran, 1 skipped, negative failed */
    struct samples value, base;
    double exits;
    char why[256];
};

/* Folder, commit, CPU, KVM flavour, cores.  0, or -errno with a line on standard error. */
int results_open(const char *folder, const struct budgets *budgets);
void results_heading(void);
/* A line of the table. */
void results_print(const struct bench_case *c, struct result *r);
/* To bench.d. */
int results_keep(const struct bench_case *c, struct result *r);
/* bench.json, of these cases in this order. */
int results_join(const struct bench_case *const *list, unsigned n);

#endif
