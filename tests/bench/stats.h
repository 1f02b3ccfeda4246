/* SPDX-License-Identifier: BSD-2-Clause */
/* Samples and what is said of them: shares that lie below a value, and ratios. */
#ifndef STATS_H
#define STATS_H

#define BENCH_SAMPLES 512u

/* Of one quantity; sorted by samples_at(). */
struct samples {
    unsigned n;
    double v[BENCH_SAMPLES];
};

/* Those beyond BENCH_SAMPLES are left out; so is what is not a finite number. */
void samples_add(struct samples *s, double v);
/* The smallest sample that a share q (0..1) of them does not exceed (nearest rank; 0: the least,
 * 1: the greatest); sorts.  0 without samples. */
double samples_at(struct samples *s, double q);
double samples_mean(const struct samples *s);
/* Median by median; 0 when there is nothing to divide by. */
double samples_ratio(struct samples *value, struct samples *base);

#endif
