/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4 of one 64-bit word (Aumasson, Bernstein 2012): numbers nobody can guess from others.
 */
#ifndef BRIDGE_SIPHASH_H
#define BRIDGE_SIPHASH_H

#include <stdint.h>

static inline uint64_t sip_rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = sip_rotl(v[1], 13) ^ v[0];
    v[0] = sip_rotl(v[0], 32);
    v[2] += v[3];
    v[3] = sip_rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = sip_rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = sip_rotl(v[1], 17) ^ v[2];
    v[2] = sip_rotl(v[2], 32);
}

static inline uint64_t siphash(uint64_t key0, uint64_t key1, uint64_t word)
{
    uint64_t v[4] = {key0 ^ 0x736F6D6570736575ull, key1 ^ 0x646F72616E646F6Dull,
                     key0 ^ 0x6C7967656E657261ull, key1 ^ 0x7465646279746573ull};
    const uint64_t blocks[2] = {word, 8ull << 56};

    for (unsigned i = 0; i < 2; i++) {
        v[3] ^= blocks[i];
        sip_round(v);
        sip_round(v);
        v[0] ^= blocks[i];
    }
    v[2] ^= 0xFF;
    for (unsigned i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
