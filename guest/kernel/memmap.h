/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free memory of the memory PE: areas in order of address, first fit, neighbours merged.
 *
 * Freeing must not need memory, because revocation must not fail.  So every allocation brings a
 * list node with it, which it takes into the list when it is freed.
 */
#ifndef KERNEL_MEMMAP_H
#define KERNEL_MEMMAP_H

#include <stdint.h>

struct mem_area {
    uint64_t addr, size;
    struct mem_area *next;
};

struct memmap {
    struct mem_area *free;
};

/* One free area [addr, addr + size), or none if size is 0.  0 or -ENOMEM. */
int memmap_init(struct memmap *m, uint64_t addr, uint64_t size);

/* size > 0 bytes; the caller owns the area until memmap_free().  NULL: no space, or no heap. */
struct mem_area *memmap_alloc(struct memmap *m, uint64_t size);
/* The same, from the end of the last area that is larger. */
struct mem_area *memmap_alloc_last(struct memmap *m, uint64_t size);
void memmap_free(struct memmap *m, struct mem_area *a);

uint64_t memmap_available(const struct memmap *m);

#endif
