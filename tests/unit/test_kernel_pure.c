/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's parts that know no machine: memory map, boot line, ELF headers. */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/move.c guest/kernel/move_give.c guest/kernel/move_take.c
 * LINK: guest/kernel/move_hold.c guest/kernel/park.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/kernel/elf.h"
#include "../../guest/kernel/ktime.h"
#include "heap.h"
#include "kernel_fake.h"

/* ---- memory map ---- */

#define UNITS 256u /* of 8 bytes */
#define BASE  0x1000ull

static struct memmap map;

static void map_begin(void)
{
    fake_boot(1);
    ck_assert_int_eq(memmap_init(&map, BASE, UNITS * 8), 0);
}

static void map_end(void)
{
    ck_assert_uint_eq(memmap_available(&map), UNITS * 8);
    ck_assert_ptr_null(map.free->next);
    heap_free(map.free);
    fake_end();
}

START_TEST(map_first_fit)
{
    struct mem_area *a = memmap_alloc(&map, 64), *b = memmap_alloc(&map, 128);
    struct mem_area *c = memmap_alloc(&map, 64), *d;

    ck_assert_uint_eq(a->addr, BASE);
    ck_assert_uint_eq(b->addr, BASE + 64);
    ck_assert_uint_eq(c->addr, BASE + 192);
    memmap_free(&map, b);
    d = memmap_alloc(&map, 32);
    ck_assert_uint_eq(d->addr, BASE + 64);
    ck_assert_ptr_null(memmap_alloc(&map, 0));
    ck_assert_ptr_null(memmap_alloc(&map, UNITS * 8));
    ck_assert_ptr_null(memmap_alloc(&map, ~0ull));
    memmap_free(&map, a);
    memmap_free(&map, c);
    memmap_free(&map, d);
}
END_TEST

START_TEST(map_all_of_it)
{
    struct mem_area *a = memmap_alloc(&map, UNITS * 8);

    ck_assert_ptr_nonnull(a);
    ck_assert_uint_eq(memmap_available(&map), 0);
    ck_assert_ptr_null(memmap_alloc(&map, 8));
    memmap_free(&map, a);
}
END_TEST

START_TEST(map_without_heap)
{
    struct mem_area *a;

    fake_heap_left = 0;
    ck_assert_ptr_null(memmap_alloc(&map, 8));
    a = memmap_alloc(&map, UNITS * 8); /* needs no node of its own */
    ck_assert_ptr_nonnull(a);
    memmap_free(&map, a);
    ck_assert_int_lt(memmap_init(&(struct memmap){NULL}, 0, 8), 0);
    fake_heap_left = ~(size_t)0;
}
END_TEST

/* Against an array that says who has each unit. */
START_TEST(map_random)
{
    struct mem_area *held[64] = {NULL};
    int owner[UNITS];

    srand((unsigned)_i);
    memset(owner, -1, sizeof(owner));
    for (unsigned round = 0; round < 3000; round++) {
        unsigned i = (unsigned)rand() % 64;
        unsigned units = 1 + (unsigned)rand() % 40;

        if (held[i]) {
            for (unsigned u = 0; u < UNITS; u++)
                owner[u] = owner[u] == (int)i ? -1 : owner[u];
            memmap_free(&map, held[i]);
            held[i] = NULL;
        } else if ((held[i] = memmap_alloc(&map, units * 8))) {
            unsigned first = (unsigned)(held[i]->addr - BASE) / 8;

            ck_assert_uint_le(first + units, UNITS);
            for (unsigned u = first; u < first + units; u++) {
                ck_assert_int_eq(owner[u], -1);
                owner[u] = (int)i;
            }
        } else { /* then there is really no such gap */
            for (unsigned u = 0, run = 0; u < UNITS; u++) {
                run = owner[u] == -1 ? run + 1 : 0;
                ck_assert_uint_lt(run, units);
            }
        }
    }
    for (unsigned i = 0; i < 64; i++)
        if (held[i])
            memmap_free(&map, held[i]);
}
END_TEST

/* ---- boot line ---- */

#define W(s) (char *)(s)
#define LINE(...)                 \
    char *argv[] = {__VA_ARGS__}; \
    int argc = (int)(sizeof(argv) / sizeof(argv[0])), pos = 0

static struct boot_app app;
static const char *error;

#define NEXT() bootline_next(argc, argv, "--", 16, &pos, &app, &error)

START_TEST(line_groups)
{
    LINE(W("--"), W("bin/a"), W("x"), W("daemon"), W("--"), W("--"), W("b"), W("1"), W("2"),
         W("requires=fs"), W("repeat=16"), W("requires=net"), W("--"), W("idle"), W("--"));

    ck_assert_int_eq(NEXT(), 1);
    ck_assert_int_eq(app.argc, 2);
    ck_assert_ptr_eq(app.argv, argv + 1);
    ck_assert(app.daemon && !app.kernel && !app.idle);
    ck_assert_uint_eq(app.repeat, 1);
    ck_assert_int_eq(NEXT(), 1);
    ck_assert_int_eq(app.argc, 3);
    ck_assert(!app.daemon);
    ck_assert_uint_eq(app.repeat, 16);
    ck_assert_uint_eq(app.nrequires, 2);
    ck_assert_str_eq(app.requires[1], "net");
    ck_assert_int_eq(NEXT(), 1);
    ck_assert(app.idle);
    ck_assert_int_eq(NEXT(), 0);
    ck_assert_int_eq(NEXT(), 0);
}
END_TEST

START_TEST(line_kernel)
{
    LINE(W("kernel"), W("hello"), W("daemon"), W("++"), W("x"), W("pes=3"), W("--"), W("kernel"));

    ck_assert_int_eq(NEXT(), 1);
    ck_assert(app.kernel && !app.daemon);
    ck_assert_int_eq(app.argc, 5);
    ck_assert_uint_eq(app.pes, 3);
    ck_assert_int_eq(NEXT(), 1);
    ck_assert_uint_eq(app.pes, 1);
    ck_assert_int_eq(NEXT(), 0);
}
END_TEST

START_TEST(line_errors)
{
    static const char *const bad[] = {
        "repeat=",   "repeat=0",  "repeat=17", "repeat=x",          "repeat=1x",
        "requires=", "repeat=-1", "pes=2",     "repeat=99999999999"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        LINE(W("a"), W(bad[i]), W("--"), W("b"));

        ck_assert_int_eq(NEXT(), -1);
        ck_assert_ptr_nonnull(error);
        ck_assert_int_eq(NEXT(), 1); /* goes on behind it */
        ck_assert_str_eq(app.argv[0], "b");
    }
    {
        LINE(W("a"), W("daemon"), W("x"));
        ck_assert_int_eq(NEXT(), -1);
    }
    {
        LINE(W("kernel"), W("pes=17"));
        ck_assert_int_eq(NEXT(), -1);
    }
    {
        LINE(W("a"), W("requires=1"), W("requires=2"), W("requires=3"), W("requires=4"),
             W("requires=5"), W("requires=6"), W("requires=7"), W("requires=8"), W("requires=9"));
        ck_assert_int_eq(NEXT(), -1);
    }
}
END_TEST

START_TEST(line_name)
{
    ck_assert_str_eq(bootline_name("a"), "a");
    ck_assert_str_eq(bootline_name("bin/a"), "a");
    ck_assert_str_eq(bootline_name("/x/y/a"), "a");
    ck_assert_str_eq(bootline_name("a/"), "a/");
    ck_assert_str_eq(bootline_name(""), "");
}
END_TEST

START_TEST(module_names)
{
    fake_boot(1);
    fake_module("hello", "x", 1);
    fake_module("hello2 with words", "x", 1);
    ck_assert_ptr_eq(load_find("hello"), &kern.mods[0]);
    ck_assert_ptr_eq(load_find("hello2"), &kern.mods[1]);
    ck_assert_ptr_null(load_find("hell"));
    ck_assert_ptr_null(load_find("hello3"));
    memset(kern.mods[0].name, 'h', sizeof(kern.mods[0].name)); /* not terminated */
    ck_assert_ptr_null(load_find("hhhh"));
    fake_end();
}
END_TEST

/* ---- ELF ---- */

static uint8_t file[512];
static struct elf_image image;

static const char *parse(uint64_t size)
{
    const char *wrong = elf_header(file, size, &image);

    if (wrong)
        return wrong;
    ck_assert_uint_le(image.phoff + image.phnum * ELF_PHEADER, size);
    if (image.phoff + image.phnum * ELF_PHEADER > sizeof(file))
        return "test";
    return elf_segments(file + image.phoff, size, PE_STACK_TOP, 0x400000, &image);
}

START_TEST(elf_good)
{
    size_t n = fake_elf(file, PE_PROGRAM_ADDR, ELF_R | ELF_X, 0x3000);

    ck_assert_ptr_null(parse(n));
    ck_assert_uint_eq(image.entry, PE_PROGRAM_ADDR);
    ck_assert_uint_eq(image.segments, 1);
    ck_assert_uint_eq(image.segment[0].filesz, 16);
    ck_assert_uint_eq(image.segment[0].memsz, 0x3000);
    for (size_t k = 0; k < n; k++)
        ck_assert_ptr_nonnull(parse(k)); /* truncated anywhere */
}
END_TEST

START_TEST(elf_bad)
{
    static const struct {
        unsigned off, size;
        uint64_t value;
    } bad[] = {
        {0, 1, 0},
        {4, 1, 1},
        {5, 1, 2},
        {16, 2, 3},
        {18, 2, 3},
        {54, 2, 55},
        {54, 2, 0},
        {56, 2, 0},
        {56, 2, 33},
        {56, 2, 0xFFFF},
        {32, 8, ~0ull},
        {32, 8, ~0ull - 55},
        {32, 8, 100},
        {24, 8, 0},
        {24, 8, 0x203000},
        {24, 8, ~0ull},
        {72, 8, 121},
        {72, 8, ~0ull},
        {72, 8, ~0ull - 8},
        {80, 8, 0},
        {80, 8, PE_ENV_ADDR},
        {80, 8, 0x400000 - 0x2FF8},
        {80, 8, ~0ull - 8},
        {96, 8, 0x3001},
        {96, 8, 17},
        {96, 8, ~0ull},
        {104, 8, 15},
        {104, 8, ~0ull},
        {104, 8, 1ull << 63},
        {68, 4, ELF_R | ELF_W},
        {64, 4, 6},
        {104, 8, 0},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = fake_elf(file, PE_PROGRAM_ADDR, ELF_R | ELF_X, 0x3000);

        memcpy(file + bad[i].off, &bad[i].value, bad[i].size);
        ck_assert_msg(parse(n) != NULL, "case %u", i);
    }
}
END_TEST

/* A second header behind the first, at `addr`. */
static const char *two_segments(uint64_t addr)
{
    uint16_t two = 2;
    uint64_t off = 240;

    fake_elf(file, PE_PROGRAM_ADDR, ELF_R | ELF_X, 0x3000);
    memcpy(file + 120, file + 64, 56);
    memcpy(file + 56, &two, 2);
    memcpy(file + 72, &off, 8);
    memcpy(file + 120 + 8, &off, 8);
    memcpy(file + 120 + 16, &addr, 8);
    return parse(256);
}

START_TEST(elf_overlap)
{
    ck_assert_ptr_nonnull(two_segments(PE_PROGRAM_ADDR));
    ck_assert_ptr_nonnull(two_segments(PE_PROGRAM_ADDR + 0x2FFF));
    ck_assert_ptr_nonnull(two_segments(PE_PROGRAM_ADDR - 0x2FFF));
    ck_assert_ptr_null(two_segments(PE_PROGRAM_ADDR + 0x3000));
    ck_assert_ptr_null(two_segments(PE_PROGRAM_ADDR - 0x3000));
    ck_assert_uint_eq(image.segments, 2);
}
END_TEST

/* ---- time ---- */

/* Hours without a step, or with messages all the time, are no more than a second for who waits. */
START_TEST(time_steps)
{
    struct ktime t = {0};
    uint64_t now = 90ull * 1000000000, sum = 0;

    ck_assert(ktime_step(&t, now) == 0); /* the first: from when, nobody knows */
    ck_assert(ktime_step(&t, now) == 0);
    ck_assert(ktime_step(&t, now + 5) == 5);
    ck_assert(ktime_step(&t, now) == 0 && ktime_step(&t, now + 6) == 1);
    now += 3600ull * 1000000000;
    ck_assert(ktime_step(&t, now) == KTIME_STEP && ktime_step(&t, now) == 0);
    for (unsigned i = 0; i < 1000; i++)
        sum += ktime_step(&t, now += 70000000);
    ck_assert(sum == 1000 * 70000000ull);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernel, pure parts");
    TCase *m = tcase_create("memmap"), *t = tcase_create("texts");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(m, map_begin, map_end);
    tcase_add_test(m, map_first_fit);
    tcase_add_test(m, map_all_of_it);
    tcase_add_test(m, map_without_heap);
    tcase_add_loop_test(m, map_random, 0, 8);
    tcase_add_test(t, time_steps);
    tcase_add_test(t, line_groups);
    tcase_add_test(t, line_kernel);
    tcase_add_test(t, line_errors);
    tcase_add_test(t, line_name);
    tcase_add_test(t, module_names);
    tcase_add_test(t, elf_good);
    tcase_add_test(t, elf_bad);
    tcase_add_test(t, elf_overlap);
    suite_add_tcase(s, m);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
