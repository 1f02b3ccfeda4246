/* SPDX-License-Identifier: BSD-2-Clause */
/* The guests' heap: against a model that knows who owns which bytes, and with every misuse. */
/* LINK: guest/lib/heap.c */
#include <check.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/lib/heap.h"
#include "../../guest/lib/print.h"

#define SIZE (1u << 20)

static uint8_t *memory;
static jmp_buf on_panic;
static bool expect_panic;
static char message[256];

void panic(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    if (!expect_panic) {
        ck_abort_msg("panic: %s", message);
        abort();
    }
    longjmp(on_panic, 1);
}

/* Does the statement panic, with that word in the message? */
#define PANICS(word, statement)                              \
    do {                                                     \
        expect_panic = true;                                 \
        if (setjmp(on_panic) == 0) {                         \
            statement;                                       \
            ck_abort_msg("no panic: %s", #statement);        \
        }                                                    \
        expect_panic = false;                                \
        ck_assert_msg(strstr(message, word), "%s", message); \
    } while (0)

static void setup(void)
{
    memory = aligned_alloc(16, SIZE);
    ck_assert_ptr_nonnull(memory);
    heap_init(memory, memory + SIZE);
}

static void teardown(void)
{
    free(memory);
}

static void expect_empty(void)
{
    heap_check();
    ck_assert_uint_eq(heap_used(), 0);
    ck_assert_uint_eq(heap_blocks(), 0);
    ck_assert_ptr_eq(heap_top(), memory);
    ck_assert_uint_eq(heap_available(), SIZE);
}

START_TEST(basics)
{
    void *a, *b;

    expect_empty();
    ck_assert_ptr_null(heap_alloc(0));
    heap_free(NULL);
    a = heap_alloc(1);
    b = heap_alloc(100);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq((uintptr_t)a % 16 + (uintptr_t)b % 16, 0);
    memset(b, 0xee, 100);
    ck_assert_uint_eq(heap_blocks(), 2);
    ck_assert_uint_ge(heap_used(), 101);
    heap_check();
    heap_free(a);
    heap_free(b);
    expect_empty();
    a = heap_calloc(25, 4);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_eq(((uint8_t *)a)[i], 0);
    heap_free(a);
    expect_empty();
}
END_TEST

START_TEST(limits)
{
    size_t n = 0;
    void *p, *first = NULL;

    ck_assert_ptr_null(heap_alloc(SIZE));
    ck_assert_ptr_null(heap_alloc(SIZE_MAX));
    ck_assert_ptr_null(heap_alloc(SIZE_MAX - 30));
    ck_assert_ptr_null(heap_calloc(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(heap_calloc((size_t)1 << 33, (size_t)1 << 33));
    p = heap_alloc(SIZE - 256);
    ck_assert_ptr_nonnull(p);
    heap_free(p);
    while ((p = heap_alloc(1000))) {
        *(void **)p = first;
        first = p;
        n++;
    }
    ck_assert_uint_ge(n, SIZE / 1100);
    heap_check();
    while (first) {
        p = *(void **)first;
        heap_free(first);
        first = p;
    }
    expect_empty();
}
END_TEST

/* Freed neighbours become one block again, in whatever order. */
START_TEST(coalescing)
{
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    void *keep, *p[3], *big;

    for (unsigned i = 0; i < 6; i++) {
        for (unsigned j = 0; j < 3; j++)
            p[j] = heap_alloc(3000);
        keep = heap_alloc(10);
        for (unsigned j = 0; j < 3; j++)
            heap_free(p[orders[i][j]]);
        heap_check();
        big = heap_alloc(9000);
        ck_assert_ptr_eq(big, p[0]);
        heap_free(big);
        heap_free(keep);
        expect_empty();
    }
}
END_TEST

START_TEST(misuse)
{
    uint8_t *a = heap_alloc(40), *b = heap_alloc(40), *c = heap_alloc(40);
    uint8_t local[64];

    heap_free(b);
    PANICS("twice", heap_free(b));
    PANICS("block", heap_free(a + 16));
    PANICS("block", heap_free(a + 1));
    PANICS("not a block", heap_free(local + 32));
    a[40] = 0;
    PANICS("past its end", heap_free(a));
    memset(a + 40, 0, 64); /* up to the free block behind it */
    PANICS("past its end", heap_free(a));
    PANICS("block", heap_check());
    memset(c - 32, 0xff, 32);
    PANICS("overwritten", heap_free(c));
}
END_TEST

/* A block that was merged into its neighbour is not free'able either. */
START_TEST(double_free_merged)
{
    uint8_t *a = heap_alloc(40), *b = heap_alloc(40), *c = heap_alloc(40);

    heap_free(a);
    heap_free(b);
    PANICS("freed twice", heap_free(b));
    heap_free(c);
    PANICS("", heap_free(c));
    expect_empty();
}
END_TEST

/* Random use; each block is filled with its own byte and looked at before it goes. */
/* One check a block: Check writes each to a file. */
static bool all(const uint8_t *p, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != value)
            return false;
    return true;
}

START_TEST(model)
{
    static struct {
        uint8_t *p;
        size_t size;
        uint8_t fill;
    } blocks[300];
    uint64_t x = 88172645463325252ull + (uint64_t)_i;
    size_t used = 0;

    memset(blocks, 0, sizeof(blocks));
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        i = (unsigned)(x % 300);
        if (blocks[i].p) {
            ck_assert_msg(all(blocks[i].p, blocks[i].size, blocks[i].fill), "a block was changed");
            heap_free(blocks[i].p);
            used -= blocks[i].size;
            blocks[i].p = NULL;
        } else {
            blocks[i].size = (x >> 20) % (x >> 60 ? 200 : 20000) + 1;
            blocks[i].p = heap_alloc(blocks[i].size);
            if (!blocks[i].p)
                continue;
            blocks[i].fill = (uint8_t)(x >> 40);
            memset(blocks[i].p, blocks[i].fill, blocks[i].size);
            used += blocks[i].size;
        }
        ck_assert_uint_ge(heap_used(), used);
        if (step % 1000 == 0)
            heap_check();
    }
    for (unsigned i = 0; i < 300; i++)
        heap_free(blocks[i].p);
    expect_empty();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("guest heap");
    TCase *t = tcase_create("heap");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, basics);
    tcase_add_test(t, limits);
    tcase_add_test(t, coalescing);
    tcase_add_test(t, misuse);
    tcase_add_test(t, double_free_merged);
    tcase_add_loop_test(t, model, 0, 8);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
