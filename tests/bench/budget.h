/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of budgets: name, ratio at most, exits per operation at most (- for any). */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#define BUDGET_FILE "tests/bench/budgets"
#define BUDGETS_MAX 160u
#define BUDGET_NAME 48u

struct budget {
    char name[BUDGET_NAME];
    double ratio;
    bool any_exits;
    double exits; /* unless any */
};

struct budgets {
    unsigned n;
    struct budget b[BUDGETS_MAX];
};

/*
 * One line of the file.  1: *b is filled; 0: nothing in it (empty, comment); -EINVAL, with why in
 * err, for anything but three words of which the numbers are finite and not negative (the ratio:
 * above 0).
 */
int budget_parse(const char *line, struct budget *b, char *err, size_t size);

/* The whole file.  0, or negative errno with one line in err: file, line, what is wrong. */
int budgets_read(struct budgets *list, const char *path, char *err, size_t size);

/* NULL: it has none. */
const struct budget *budget_find(const struct budgets *list, const char *name);

/* Whether a result keeps within; a ratio of 0 or below is none and does not. */
bool budget_holds(const struct budget *b, double ratio, double exits);

#endif
