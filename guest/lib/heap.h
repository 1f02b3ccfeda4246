/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap.  Blocks carry boundary tags, so that freeing merges neighbours at once; free blocks
 * hang in lists by size; everything above the highest used block is untouched memory, so that
 * what a program never used costs nothing (and need not be copied by vpe_run()).
 *
 * A double free, the free of something else and a write past the end of a block end in panic().
 * Not reentrant: a PE has one thread of control.
 */
#ifndef GUEST_HEAP_H
#define GUEST_HEAP_H

#include <stddef.h>

/* Memory [begin, end) becomes the heap; the old one, if any, is forgotten. */
void heap_init(void *begin, void *end);

/* size bytes, 16-byte aligned, contents undefined; NULL when size is 0 or there is no space. */
void *heap_alloc(size_t size);
/* Zeroed; NULL also when n * size overflows. */
void *heap_calloc(size_t n, size_t size);
/* A block of heap_alloc(); NULL is fine. */
void heap_free(void *p);

/* Bytes that blocks in use occupy, overhead included; and how many they are. */
size_t heap_used(void);
size_t heap_blocks(void);
/* Bytes that are not in use (perhaps in pieces). */
size_t heap_available(void);
/* First byte above every block in use or listed as free. */
void *heap_top(void);
/* Walks all blocks and panics when tags or lists are inconsistent.  For tests. */
void heap_check(void);

#endif
