/* SPDX-License-Identifier: BSD-2-Clause */
/* See stats.h. */
#include "stats.h"

#include <math.h>
#include <stdlib.h>

void samples_add(struct samples *s, double v)
{
    if (s->n < BENCH_SAMPLES && isfinite(v))
        s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double samples_at(struct samples *s, double q)
{
    double rank;

    if (s->n == 0)
        return 0;
    qsort(s->v, s->n, sizeof(s->v[0]), compare);
    rank = ceil(q * s->n);
    if (rank < 1)
        rank = 1;
    return s->v[rank > s->n ? s->n - 1 : (unsigned)rank - 1];
}

double samples_mean(const struct samples *s)
{
    double sum = 0;

    for (unsigned i = 0; i < s->n; i++)
        sum += s->v[i];
    return s->n ? sum / s->n : 0;
}

double samples_ratio(struct samples *value, struct samples *base)
{
    double b = samples_at(base, 0.5);

    return b > 0 ? samples_at(value, 0.5) / b : 0;
}
