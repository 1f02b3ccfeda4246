/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program can do wrong, one function per mode of `attack`.  seed: for the random ones. */
#ifndef ATTACK_H
#define ATTACK_H

#include <stdint.h>

/* These come back: 0, or 1 when they found what they must not. */
int attack_walk(uint64_t seed);
int attack_scribble(uint64_t seed);
int attack_successor(uint64_t seed);

/* These never should; coming back is a failure (status 1). */
int attack_wipe(uint64_t seed);
int attack_jump(uint64_t seed);
int attack_random(uint64_t seed);
int attack_divide(uint64_t seed);
int attack_ud2(uint64_t seed);
int attack_null(uint64_t seed);
int attack_noncanonical(uint64_t seed);
int attack_unmapped(uint64_t seed);
int attack_super(uint64_t seed);
int attack_stack(uint64_t seed);
int attack_recurse(uint64_t seed);
int attack_leap(uint64_t seed);
int attack_flood(uint64_t seed);

/* xorshift64*; *state is not 0. */
uint64_t attack_next(uint64_t *state);

#endif
