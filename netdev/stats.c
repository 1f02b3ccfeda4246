/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics registers: they stop at their maximum, and reading clears. */
#include "internal.h"

void nd_count(struct netdev *n, uint32_t reg)
{
    if (MAC(n, reg) != ~0u)
        MAC(n, reg)++;
}

void nd_count64(struct netdev *n, uint32_t low, uint32_t bytes)
{
    uint64_t sum = MAC(n, low) | (uint64_t)MAC(n, low + 4) << 32;

    sum = sum + bytes < sum ? ~0ull : sum + bytes;
    MAC(n, low) = (uint32_t)sum;
    MAC(n, low + 4) = (uint32_t)(sum >> 32);
}

/* One of six counters by size, FCS included: 64, -127, -255, -511, -1023, more. */
void nd_count_size(struct netdev *n, uint32_t first, uint32_t bytes)
{
    unsigned i = 0;

    for (uint32_t limit = 64; i < 5 && bytes > limit; i++)
        limit = 2 * limit + (i == 0 ? -1 : 1);
    nd_count(n, first + 4 * i);
}

/* A 64-bit pair is cleared by reading its high half. */
uint32_t nd_stat_read(struct netdev *n, uint32_t offset)
{
    uint32_t value = MAC(n, offset);

    switch (offset) {
    case E_GORCL:
    case E_GOTCL:
    case E_TORL:
    case E_TOTL:
        return value;
    case E_GORCL + 4:
    case E_GOTCL + 4:
    case E_TORL + 4:
    case E_TOTL + 4:
        MAC(n, offset - 4) = 0;
    }
    MAC(n, offset) = 0;
    return value;
}
