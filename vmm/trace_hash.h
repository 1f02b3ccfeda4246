/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hash of traces: over records, payloads, and whatever makes up a machine.  It must be the same
 * everywhere and cheap enough to run at every operation; it is no defence against forgers.
 */
#ifndef VMM_TRACE_HASH_H
#define VMM_TRACE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TRACE_HASH_INIT 0xCBF29CE484222325ull

static inline uint64_t trace_hash_word(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9E3779B97F4A7C15ull;
    return h ^ h >> 29;
}

/* Adds len bytes, and their number, so that pieces cannot be shifted unnoticed. */
static inline uint64_t trace_hash_bytes(uint64_t h, const void *data, size_t len)
{
    const char *p = data;
    uint64_t word;
    size_t left = len;

    for (; left >= sizeof(word); left -= sizeof(word), p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        h = trace_hash_word(h, word);
    }
    word = 0;
    if (left)
        memcpy(&word, p, left);
    return trace_hash_word(trace_hash_word(h, word), len);
}

/* Adds one record (struct trace_record): all its 64 bytes. */
static inline uint64_t trace_hash_record(uint64_t h, const void *record)
{
    uint64_t words[8];

    memcpy(words, record, sizeof(words));
    for (unsigned i = 0; i < 8; i++)
        h = trace_hash_word(h, words[i]);
    return h;
}

#endif
