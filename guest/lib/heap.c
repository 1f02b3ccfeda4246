/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See heap.h.  Pure code apart from panic(), also compiled for the host by the unit tests.
 *
 * The heap is a sequence of blocks from `begin` to `top`, then untouched memory up to `end`.  A
 * block is a struct block, the caller's bytes, and GUARD bytes of a pattern directly behind them.
 * Two free blocks are never neighbours and the last block before `top` is never free.
 */
#include "heap.h"

#include <stdbool.h>
#include <stdint.h>

#include "print.h"
#include "str.h"

struct block {
    size_t size; /* whole block, header included; a multiple of ALIGN */
    size_t prev; /* size of the block before, 0 for the first */
    size_t want; /* bytes the caller asked for; 0: free */
    uint64_t magic;
};
/* In the caller's part of a free block. */
struct links {
    struct block *next, *prev;
};

#define ALIGN      16u
#define GUARD      8u
#define MIN_SIZE   (sizeof(struct block) + sizeof(struct links) + GUARD + 8u)
#define MAGIC_USED 0x75736564626c6f63ull
#define MAGIC_FREE 0x66726565626c6f63ull
#define GUARD_WORD 0x5a5aa5a5c3c33c3cull
/* Lists: one per multiple of ALIGN below 1 KiB, then one per power of two. */
#define EXACT 64u
#define LISTS (EXACT + 40u)
_Static_assert(MIN_SIZE % ALIGN == 0 && sizeof(struct block) % ALIGN == 0, "blocks stay aligned");

static struct {
    uint8_t *begin, *top, *end;
    size_t last; /* size of the block that ends at top, 0: none */
    size_t used, blocks;
    struct block *lists[LISTS];
} heap;

static uint64_t magic(const struct block *b, uint64_t kind)
{
    return kind ^ (uintptr_t)b;
}

static struct links *links(struct block *b)
{
    return (struct links *)(b + 1);
}

static uint8_t *end_of(struct block *b)
{
    return (uint8_t *)b + b->size;
}

static unsigned list_of(size_t size)
{
    size_t units = size / ALIGN;

    if (units < EXACT)
        return (unsigned)units;
    return EXACT + (unsigned)(63 - __builtin_clzl(units)) - 6;
}

static void list_add(struct block *b)
{
    struct block **head = &heap.lists[list_of(b->size)];

    b->want = 0;
    b->magic = magic(b, MAGIC_FREE);
    links(b)->prev = NULL;
    links(b)->next = *head;
    if (*head)
        links(*head)->prev = b;
    *head = b;
}

static void list_remove(struct block *b)
{
    struct links *l = links(b);

    if (b->magic != magic(b, MAGIC_FREE))
        panic("heap: free block %p is damaged", (void *)b);
    if (l->next)
        links(l->next)->prev = l->prev;
    if (l->prev)
        links(l->prev)->next = l->next;
    else
        heap.lists[list_of(b->size)] = l->next;
    b->magic = 0;
}

/* Tells the block behind b (or the top) how long b is. */
static void tag_next(struct block *b)
{
    uint8_t *next = end_of(b);

    if (next == heap.top)
        heap.last = b->size;
    else
        ((struct block *)next)->prev = b->size;
}

void heap_init(void *begin, void *end)
{
    uintptr_t from = ((uintptr_t)begin + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    uintptr_t to = (uintptr_t)end & ~(uintptr_t)(ALIGN - 1);

    memset(&heap, 0, sizeof(heap));
    heap.begin = heap.top = (uint8_t *)from;
    heap.end = (uint8_t *)(to > from ? to : from);
}

/* A listed block of at least size bytes, taken off its list; NULL: none. */
static struct block *take(size_t size)
{
    for (unsigned i = list_of(size); i < LISTS; i++) {
        for (struct block *b = heap.lists[i]; b; b = links(b)->next) {
            if (b->size >= size) {
                list_remove(b);
                return b;
            }
        }
    }
    return NULL;
}

static struct block *grow(size_t size)
{
    struct block *b = (struct block *)heap.top;

    if ((size_t)(heap.end - heap.top) < size)
        return NULL;
    b->prev = heap.last;
    b->size = size;
    heap.top += size;
    heap.last = size;
    return b;
}

/* Gives back what b has beyond size bytes. */
static void split(struct block *b, size_t size)
{
    struct block *rest;

    if (b->size - size < MIN_SIZE)
        return;
    rest = (struct block *)((uint8_t *)b + size);
    rest->size = b->size - size;
    rest->prev = size;
    b->size = size;
    tag_next(rest);
    list_add(rest);
}

void *heap_alloc(size_t want)
{
    const uint64_t guard = GUARD_WORD;
    struct block *b;
    size_t size;

    if (want == 0 || want > (size_t)(heap.end - heap.begin))
        return NULL;
    size = (sizeof(*b) + want + GUARD + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size < MIN_SIZE)
        size = MIN_SIZE;
    b = take(size);
    if (b)
        split(b, size);
    else
        b = grow(size);
    if (!b)
        return NULL;
    b->want = want;
    b->magic = magic(b, MAGIC_USED);
    memcpy((uint8_t *)(b + 1) + want, &guard, sizeof(guard));
    heap.used += b->size;
    heap.blocks++;
    return b + 1;
}

void *heap_calloc(size_t n, size_t size)
{
    size_t total;
    void *p;

    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    p = heap_alloc(total);
    if (p)
        memset(p, 0, total);
    return p;
}

/* Is p a block in use, whole and with its guard intact?  NULL, or what is wrong. */
static const char *inspect(const struct block *b)
{
    uint64_t guard;

    if ((uint8_t *)b < heap.begin || (uint8_t *)(b + 1) > heap.top || (uintptr_t)b % ALIGN)
        return "not a block of the heap";
    if (b->magic == magic(b, MAGIC_FREE))
        return "freed twice";
    if (b->magic != magic(b, MAGIC_USED))
        return "not a block in use, freed twice, or overwritten";
    if (b->size > (size_t)(heap.top - (uint8_t *)b) || b->want == 0 ||
        b->want > b->size - sizeof(*b) - GUARD)
        return "header overwritten";
    memcpy(&guard, (const uint8_t *)(b + 1) + b->want, sizeof(guard));
    return guard == GUARD_WORD ? NULL : "written past its end";
}

void heap_free(void *p)
{
    struct block *b;
    const char *wrong;

    if (!p)
        return;
    b = (struct block *)((uintptr_t)p - sizeof(*b));
    wrong = inspect(b);
    if (wrong)
        panic("heap: free(%p): %s", p, wrong);
    heap.used -= b->size;
    heap.blocks--;
    b->magic = 0;
    if (end_of(b) < heap.top && ((struct block *)end_of(b))->want == 0) {
        struct block *next = (struct block *)end_of(b);

        list_remove(next);
        b->size += next->size;
    }
    if (b->prev && ((struct block *)((uint8_t *)b - b->prev))->want == 0) {
        b = (struct block *)((uint8_t *)b - b->prev);
        list_remove(b);
        b->size += ((struct block *)end_of(b))->size;
    }
    if (end_of(b) == heap.top) {
        heap.top = (uint8_t *)b;
        heap.last = b->prev;
        return;
    }
    tag_next(b);
    list_add(b);
}

size_t heap_used(void)
{
    return heap.used;
}

size_t heap_blocks(void)
{
    return heap.blocks;
}

size_t heap_available(void)
{
    return (size_t)(heap.end - heap.begin) - heap.used;
}

void *heap_top(void)
{
    return heap.top;
}

void heap_check(void)
{
    size_t prev = 0, used = 0, blocks = 0, listed = 0, free_blocks = 0;

    for (uint8_t *p = heap.begin; p < heap.top; p += prev) {
        struct block *b = (struct block *)p;
        const char *wrong = b->want ? inspect(b) : NULL;

        if (wrong || b->prev != prev || b->size < MIN_SIZE || b->size % ALIGN)
            panic("heap: block %p: %s", (void *)b, wrong ? wrong : "tags");
        used += b->want ? b->size : 0;
        blocks += b->want ? 1 : 0;
        free_blocks += b->want ? 0 : 1;
        prev = b->size;
    }
    for (unsigned i = 0; i < LISTS; i++)
        for (struct block *b = heap.lists[i]; b && listed <= free_blocks; b = links(b)->next)
            listed++;
    if (prev != heap.last || used != heap.used || blocks != heap.blocks || listed != free_blocks)
        panic("heap: totals are wrong");
}
