/* SPDX-License-Identifier: BSD-2-Clause */
/* The secret that one program holds and another must never see (apps/secret, apps/attack). */
#ifndef GUEST_SECRET_H
#define GUEST_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Word i of a secret.  Built at run time from two halves, so that the value stands in the memory of
 * nobody who did not call this to keep it.
 */
static inline uint64_t secret_word(size_t i)
{
    volatile uint64_t high = 0x5ec2e75ull;

    return high << 36 | (i & 0xfffffffffull);
}

/* Does a word that was found somewhere look like one? */
static inline bool secret_like(uint64_t word)
{
    volatile uint64_t high = 0x5ec2e75ull;

    return word >> 36 == high;
}

static inline void secret_fill(uint64_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        words[i] = secret_word(i);
}

/* The first word that is not as it was, n: all are. */
static inline size_t secret_check(const volatile uint64_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (words[i] != secret_word(i))
            return i;
    return n;
}

#endif
