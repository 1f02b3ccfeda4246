/* SPDX-License-Identifier: BSD-2-Clause */
/* See memmap.h.  Pure code. */
#include "memmap.h"

#include <stddef.h>

#include "heap.h"

#define ENOMEM_NEG (-12)

int memmap_init(struct memmap *m, uint64_t addr, uint64_t size)
{
    m->free = NULL;
    if (size == 0)
        return 0;
    m->free = heap_alloc(sizeof(*m->free));
    if (!m->free)
        return ENOMEM_NEG;
    *m->free = (struct mem_area){.addr = addr, .size = size};
    return 0;
}

struct mem_area *memmap_alloc(struct memmap *m, uint64_t size)
{
    struct mem_area **link = &m->free, *a, *out;

    while (*link && (*link)->size < size)
        link = &(*link)->next;
    a = *link;
    if (!a || size == 0)
        return NULL;
    if (a->size == size) {
        *link = a->next;
        a->next = NULL;
        return a;
    }
    out = heap_alloc(sizeof(*out));
    if (!out)
        return NULL;
    *out = (struct mem_area){.addr = a->addr, .size = size};
    a->addr += size;
    a->size -= size;
    return out;
}

struct mem_area *memmap_alloc_last(struct memmap *m, uint64_t size)
{
    struct mem_area *fit = NULL, *rest;

    for (struct mem_area *a = m->free; a; a = a->next)
        if (a->size > size)
            fit = a;
    if (!fit || size == 0)
        return NULL;
    rest = heap_alloc(sizeof(*rest));
    if (!rest)
        return NULL;
    fit->size -= size;
    *rest = (struct mem_area){.addr = fit->addr + fit->size, .size = size};
    return rest;
}

/* Makes one of a and the area behind it if they touch. */
static void merge_next(struct mem_area *a)
{
    struct mem_area *n = a->next;

    if (!n || a->addr + a->size != n->addr)
        return;
    a->size += n->size;
    a->next = n->next;
    heap_free(n);
}

void memmap_free(struct memmap *m, struct mem_area *a)
{
    struct mem_area **link = &m->free, *before = NULL;

    while (*link && (*link)->addr < a->addr) {
        before = *link;
        link = &before->next;
    }
    a->next = *link;
    *link = a;
    merge_next(a);
    if (before)
        merge_next(before);
}

uint64_t memmap_available(const struct memmap *m)
{
    uint64_t sum = 0;

    for (const struct mem_area *a = m->free; a; a = a->next)
        sum += a->size;
    return sum;
}
