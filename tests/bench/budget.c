/* SPDX-License-Identifier: BSD-2-Clause */
/* See budget.h. */
#include "budget.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANK " \t\r\n"

/* The next word of *at, which ends up behind it; NULL: none. */
static const char *word(const char **at, size_t *len)
{
    const char *from = *at + strspn(*at, BLANK);

    *len = strcspn(from, BLANK);
    *at = from + *len;
    return *len ? from : NULL;
}

static bool number(const char *from, size_t len, double *v)
{
    char *end;

    *v = strtod(from, &end);
    return end == from + len && isfinite(*v) && *v >= 0;
}

int budget_parse(const char *line, struct budget *b, char *err, size_t size)
{
    const char *w[4], *at = line;
    size_t len[4];
    unsigned n = 0;

    while (n < 4 && (w[n] = word(&at, &len[n])))
        n++;
    if (n == 0 || w[0][0] == '#')
        return 0;
    if (n != 3) {
        snprintf(err, size, "%s, want name, ratio, exits",
                 n < 3 ? "too few words" : "too many words");
        return -EINVAL;
    }
    if (len[0] >= sizeof(b->name)) {
        snprintf(err, size, "a name of more than %zu letters", sizeof(b->name) - 1);
        return -EINVAL;
    }
    memset(b, 0, sizeof(*b));
    memcpy(b->name, w[0], len[0]);
    b->any_exits = len[2] == 1 && w[2][0] == '-';
    if (!number(w[1], len[1], &b->ratio) || b->ratio <= 0) {
        snprintf(err, size, "%s: the ratio is no number above 0", b->name);
        return -EINVAL;
    }
    if (!b->any_exits && !number(w[2], len[2], &b->exits)) {
        snprintf(err, size, "%s: the exits are neither a number nor -", b->name);
        return -EINVAL;
    }
    return 1;
}

static int add(struct budgets *list, const char *line, char *err, size_t size)
{
    struct budget b;
    int r = budget_parse(line, &b, err, size);

    if (r <= 0)
        return r;
    if (budget_find(list, b.name)) {
        snprintf(err, size, "%s: there is one already", b.name);
        return -EINVAL;
    }
    if (list->n == BUDGETS_MAX) {
        snprintf(err, size, "more than %u budgets", BUDGETS_MAX);
        return -ENOSPC;
    }
    list->b[list->n++] = b;
    return 0;
}

int budgets_read(struct budgets *list, const char *path, char *err, size_t size)
{
    FILE *f = fopen(path, "r");
    char line[512], why[256];
    unsigned n = 0;
    int r = 0;

    list->n = 0;
    if (!f) {
        r = -errno;
        snprintf(err, size, "%s: %s", path, strerror(errno));
        return r;
    }
    while (r == 0 && fgets(line, sizeof(line), f)) {
        n++;
        if (strlen(line) == sizeof(line) - 1) {
            snprintf(why, sizeof(why), "the line is too long");
            r = -EINVAL;
        } else {
            r = add(list, line, why, sizeof(why));
        }
    }
    fclose(f);
    if (r < 0)
        snprintf(err, size, "%s:%u: %s", path, n, why);
    return r;
}

const struct budget *budget_find(const struct budgets *list, const char *name)
{
    for (unsigned i = 0; i < list->n; i++)
        if (strcmp(list->b[i].name, name) == 0)
            return &list->b[i];
    return NULL;
}

bool budget_holds(const struct budget *b, double ratio, double exits)
{
    return ratio > 0 && ratio <= b->ratio && (b->any_exits || exits <= b->exits);
}
