/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/diag.c vmm/elf.c vmm/bootline.c vmm/machine.c vmm/images.c vmm/ini.c vmm/cfg.c */
/* LINK: vmm/nodes.c vmm/nodes_check.c vmm/validate.c vmm/loader.c vmm/loader_pe.c vmm/symbol.c */
/*
 * What the loader writes where, byte by byte against semperos-platform 1, computed here by hand
 * from offsets rather than with the structures the loader uses.
 */
#include "../../vmm/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "machine_fixture.h"

#define GIB  (1ull << 30)
#define MODS 0x180000000ull
#define NOC  (1ull << 59) /* PE 0, valid */

static struct loader_mem mem;
static struct loader_result res;
static void *memory[MACHINE_MAX_PES + 1];
static uint8_t *dram;

static void setup(void)
{
    fx_setup();
    mem.mem = memory;
}

static void teardown(void)
{
    loader_free(&res);
    fx_teardown();
}

static void *zeros(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

static uint64_t u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static uint32_t u32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* How many bytes of [from, to) are not zero. */
static size_t dirt(const uint8_t *p, uint64_t from, uint64_t to)
{
    size_t n = 0;

    for (uint64_t i = from; i < to; i++)
        n += p[i] != 0;
    return n;
}

static void describe(const char *ini)
{
    ck_assert_int_eq(machine_from_text(&m, at("m.ini"), ini, &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    dram = memory[0] = zeros(m.dram_size);
    for (unsigned i = 1; i <= m.pes; i++)
        memory[i] = zeros(machine_spm(&m, i));
}

static void boot(const char *ini)
{
    describe(ini);
    ck_assert_int_eq(loader_boot(&m, &mem, &res, &d), 0);
    no_complaint();
}

/* ---- the memory PE --------------------------------------------------------------------------- */

/* The module NUMBER is NAME, with all its bytes, at offset AT; returns where its record ends. */
static uint64_t want_module(const uint8_t *kenv, unsigned number, const char *name, uint64_t where)
{
    uint64_t size = sizeof(struct eb_file), record = (where + size + 7) & ~7ull;
    FILE *f = fopen(at(name), "r");
    uint8_t *bytes = malloc(size);

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(bytes, 1, size, f), size);
    fclose(f);
    ck_assert_int_eq(memcmp(dram + where, bytes, size), 0);
    free(bytes);
    ck_assert_uint_eq(u64(kenv + number * 8), NOC | record);
    ck_assert_str_eq((char *)dram + record, name);
    ck_assert_uint_eq(dirt(dram, record + strlen(name), record + 128), 0);
    ck_assert_uint_eq(u64(dram + record + 128), NOC | where);
    ck_assert_uint_eq(u64(dram + record + 136), size);
    return (record + 144 + 4095) & ~4095ull;
}

START_TEST(memory_pe)
{
    const uint8_t *kenv;
    uint64_t where = MODS;

    boot("[machine]\npes = 5\n[boot]\nline = kernel kernel hello pes=2 -- hello\n[pe 3]\nspm = "
         "16M\n");
    kenv = dram + (u64((uint8_t *)memory[1] + 0x3000 + 116) & (NOC - 1));
    where = want_module(kenv, 0, "hello", where);
    where = want_module(kenv, 1, "kernel", where);
    where = want_module(kenv, 2, "idle", where);
    ck_assert_uint_eq((uint64_t)(kenv - dram), where);
    ck_assert_uint_eq(dirt(kenv, 24, 512), 0);

    ck_assert_uint_eq(u64(kenv + 512), 6);
    ck_assert_uint_eq(u64(kenv + 520), 8 * GIB | 2);
    ck_assert_uint_eq(u64(kenv + 528), 1ull << 54 | 8 << 20);
    ck_assert_uint_eq(u64(kenv + 536), 2ull << 54 | 8 << 20);
    ck_assert_uint_eq(u64(kenv + 544), 3ull << 54 | 16 << 20);
    ck_assert_uint_eq(u64(kenv + 560), 5ull << 54 | 8 << 20);
    /* Behind the PEs only the size of the memory module is not zero. */
    ck_assert_uint_eq(u64(kenv + 8748), 8 * GIB);
    ck_assert_uint_eq(dirt(kenv, 568, 8748) + dirt(kenv, 8756, 8860), 0);
    ck_assert_uint_eq(dirt(dram, where + 8860, where + 0x10000), 0);
    ck_assert_uint_eq(dirt(dram, MODS - 0x10000, MODS), 0);
}
END_TEST

START_TEST(module_alignment)
{
    struct eb_file f;
    uint8_t big[sizeof(f) + 4096] = {0};

    /* A file whose record ends exactly at a page's end, and one byte more. */
    eb_program(&f, 0x210000, 1);
    memcpy(big, &f, sizeof(f));
    put_bytes("hello", big, 4096 - 144 + (size_t)_i);
    boot("[boot]\nline = kernel hello\n");
    ck_assert_uint_eq(res.nboot, 2);
    ck_assert_uint_eq(res.mod[0].addr, NOC | MODS);
    ck_assert_uint_eq(res.mod[1].addr, NOC | (MODS + (_i ? 8192 : 4096)));
    ck_assert_str_eq((char *)dram + MODS + 4096 - 144 + _i * 8, "hello");
}
END_TEST

START_TEST(images)
{
    static const char a[] = "first image", b[] = "second";
    uint64_t at_b = 2 * (sizeof(a) - 1);

    put("a.img", a);
    put("b.img", b);
    boot("[boot]\nline = kernel hello\nfs = a.img:2\n  b.img:3\n");
    ck_assert_int_eq(memcmp(dram, "first imagefirst image", at_b), 0);
    ck_assert_int_eq(memcmp(dram + at_b, "secondsecondsecond", 18), 0);
    ck_assert_uint_eq(dirt(dram, at_b + 18, 0x10000), 0);
}
END_TEST

/* A hole in the image stays one: reading it would cost its size in memory. */
START_TEST(sparse_image)
{
    unsigned char resident[256];
    uint64_t size = 1 << 20;
    int fd;

    put("s.img", "head");
    ck_assert_int_eq(truncate(at("s.img"), (off_t)size), 0);
    fd = open(at("s.img"), O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "tail", 4, (off_t)size - 4), 4);
    close(fd);
    boot("[boot]\nline = kernel hello\nfs = s.img:2\n");
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *p = dram + i * size;

        ck_assert_int_eq(mincore((void *)(uintptr_t)p, size, resident), 0);
        ck_assert_int_eq(resident[128] & 1, 0);
        ck_assert_int_eq(memcmp(p, "head", 4), 0);
        ck_assert_int_eq(memcmp(p + size - 4, "tail", 4), 0);
    }
}
END_TEST

/* ---- core PEs -------------------------------------------------------------------------------- */

static void want_segments(const uint8_t *pe, uint64_t addr, uint8_t seed)
{
    for (unsigned i = 0; i < EB_DATA; i++) {
        ck_assert_uint_eq(pe[addr + i], (uint8_t)(seed + i * 7));
        ck_assert_uint_eq(pe[addr + 0x1000 + i], (uint8_t)(seed + 1 + i * 7));
    }
    ck_assert_uint_eq(dirt(pe, addr + 0x1000 + EB_DATA, addr + 0x10000), 0);
}

START_TEST(kernel_pe)
{
    static const char *const args[] = {"kernel", "kernel", "hello", "pes=2", "--", "hello"};
    const uint8_t *pe, *env;
    uint64_t argv = 0x3000 + 140 + 8860, string = argv + 6 * 8;

    boot("[boot]\nline = kernel hello pes=2 -- hello\n");
    pe = memory[1];
    env = pe + 0x3000;
    ck_assert_uint_eq(u64(env), 1);
    ck_assert_uint_eq(u32(env + 8), 6);
    ck_assert_uint_eq(u64(env + 12), argv);
    ck_assert_uint_eq(dirt(env, 20, 116), 0); /* sp, entry, heapsize, ... */
    ck_assert_uint_eq(u64(env + 116), res.kenv);
    ck_assert_uint_eq(u64(env + 124), 1ull << 54 | 8 << 20);
    ck_assert_uint_eq(u64(env + 132), 0);
    ck_assert_uint_eq(dirt(env, 140, 140 + 8860), 0);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(u64(pe + argv + i * 8), string);
        ck_assert_str_eq((const char *)pe + string, args[i]);
        string += strlen(args[i]) + 1;
    }
    ck_assert_uint_eq(dirt(pe, string, 0x200000), 0);
    ck_assert_uint_eq(dirt(pe, 0, 0x3000), 0);
    want_segments(pe, 0x200000, 20);
    ck_assert_uint_eq(dirt(pe, 0x210000, 8 << 20), 0);
    ck_assert_uint_eq(res.entry[1], 0x200000);
}
END_TEST

static void want_idle(unsigned n)
{
    const uint8_t *pe = memory[n], *env = pe + 0x3000;

    ck_assert_uint_eq(u64(env), n);
    ck_assert_uint_eq(u32(env + 8), 1);
    ck_assert_uint_eq(u64(env + 12), 0x308c);
    ck_assert_uint_eq(dirt(env, 20, 124), 0); /* above all: entry, kenv */
    ck_assert_uint_eq(u64(env + 124), (uint64_t)n << 54 | machine_spm(&m, n));
    ck_assert_uint_eq(u64(pe + 0x308c), 0x3094);
    ck_assert_str_eq((const char *)pe + 0x3094, "idle");
    ck_assert_uint_eq(dirt(pe, 0x3099, machine_spm(&m, n)), 0);
    for (unsigned i = 0; i < EB_DATA; i++)
        ck_assert_uint_eq(pe[0x1000 + i], (uint8_t)(1 + i * 7));
    ck_assert_uint_eq(res.entry[n], 0x1000);
}

START_TEST(idle_pes)
{
    boot("[machine]\npes = 4\nspm = 1M\n[boot]\nline = kernel hello\n[pe 1]\nspm = 4M\n"
         "[pe 2]\nspm = 4M\n[pe 3]\nspm = 4M\n[pe 4]\nspm = 4M\n");
    for (unsigned i = 2; i <= 4; i++)
        want_idle(i);
    ck_assert_uint_eq(res.entry[0], 0);
    ck_assert_uint_eq(res.pes, 4);
}
END_TEST

/* Without a kernel: arguments right behind Env, no KEnv, nothing in the memory PE. */
START_TEST(program_alone)
{
    const uint8_t *pe;

    boot("[machine]\npes = 2\n[boot]\nline = hello a -- b\n");
    pe = memory[1];
    ck_assert_uint_eq(u32(pe + 0x3008), 4);
    ck_assert_uint_eq(u64(pe + 0x300c), 0x308c);
    ck_assert_uint_eq(u64(pe + 0x3000 + 116), 0);
    ck_assert_uint_eq(u64(pe + 0x3000 + 124), 1ull << 54 | 8 << 20);
    ck_assert_int_eq(memcmp(pe + 0x308c + 32, "hello\0a\0--\0b", 13), 0);
    want_segments(pe, 0x210000, 40);
    want_idle(2);
    ck_assert_uint_eq(dirt(dram, MODS, MODS + 0x10000), 0);
    ck_assert_uint_eq(res.kenv, 0);
}
END_TEST

START_TEST(largest_machine)
{
    boot("[machine]\npes = 1022\nspm = 4M\n[boot]\nline = kernel hello\n");
    ck_assert_uint_eq(u64((uint8_t *)memory[1022] + 0x3000), 1022);
    ck_assert_uint_eq(u64(dram + (res.kenv & (NOC - 1)) + 512), 1023);
    ck_assert_uint_eq(u64(dram + (res.kenv & (NOC - 1)) + 520 + 8 * 1022), 1022ull << 54 | 4 << 20);
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------- */

static void refused(int line, const char *why)
{
    describe("[boot]\nline = kernel hello\n");
    ck_assert_int_eq(loader_check(&m, &d), -EINVAL);
    complains(line, why);
    diag_free(&d);
    ck_assert_int_eq(loader_boot(&m, &mem, &res, &d), -EINVAL);
    complains(line, why);
    ck_assert_ptr_null(res.mod);
    ck_assert_ptr_null(res.entry);
}

START_TEST(bad_programs)
{
    struct eb_file f;

    put("hello", "#!/bin/sh\n");
    put("idle", "");
    refused(0, "/hello: is no ELF file");
    complains(0, "/idle: is no ELF file");
    again();
    eb_program(&f, 0x210000, 1);
    put_bytes("hello", &f, sizeof(f) / 2);
    put_program("idle", 0x1000, 1);
    refused(0, "truncated");
    again();
    eb_program(&f, 8 << 20, 1);
    put_bytes("hello", &f, sizeof(f));
    refused(0, "outside of the PE's 8192 KiB");
}
END_TEST

START_TEST(too_large)
{
    put_program("hello", 0x210000, 1);
    ck_assert_int_eq(truncate(at("hello"), 17 << 20), 0);
    refused(0, "room for 16384");
    again();
    ck_assert_int_eq(truncate(at("hello"), (64 << 20) + 1), 0);
    refused(2, "larger than 64 MiB");
}
END_TEST

/* Between validation and loading the world may change. */
START_TEST(changed_meanwhile)
{
    put("a.img", "image");
    describe("[boot]\nline = kernel hello\nfs = a.img\n");
    put("a.img", "a longer image");
    ck_assert_int_eq(loader_boot(&m, &mem, &res, &d), -EIO);
    complains(0, "a.img: it changed");
    diag_free(&d);
    ck_assert_int_eq(unlink(at("hello")), 0);
    ck_assert_int_eq(loader_boot(&m, &mem, &res, &d), -EINVAL);
    complains(2, "hello: No such file");
}
END_TEST

/* Every program must fit the smallest PE, the first one only PE 1. */
START_TEST(small_pes)
{
    describe("[boot]\nline = kernel hello\n[pe 1]\nspm = 4M\n[pe 7]\nspm = 1M\n");
    ck_assert_int_eq(loader_boot(&m, &mem, &res, &d), -EINVAL);
    complains(0, "/hello: segment");
    ck_assert_uint_eq(diag_count(&d), 1);
}
END_TEST

/* ---- symbols --------------------------------------------------------------------------------- */

static void want_symbol(uint64_t rip, const uint8_t *bytes, size_t n, const char *want)
{
    char buf[64];

    ck_assert_int_eq(loader_symbol(&res, rip, bytes, n, buf, sizeof(buf)),
                     strcmp(want, "?") == 0 ? -ENOENT : 0);
    ck_assert_str_eq(buf, want);
}

START_TEST(symbols)
{
    const uint8_t *pe;
    uint8_t junk[16];
    char small[8];

    memset(junk, 0xCC, sizeof(junk));
    put_program("other", 0x200000, 90); /* where the kernel is, too */
    boot("[boot]\nline = kernel hello -- other\n");
    pe = memory[1];
    want_symbol(0x200014, pe + 0x200014, 16, "kernel!main+0x4");
    want_symbol(0x200044, pe + 0x200044, 16, "kernel!label+0x4");
    want_symbol(0x200004, pe + 0x200004, 16, "kernel+0x200004");
    want_symbol(0x200014, res.mod[1].data + offsetof(struct eb_file, data) + 0x14, 16,
                "other!main+0x4");
    want_symbol(0x200014, junk, 16, "?");
    want_symbol(0x210014, NULL, 0, "hello!main+0x4");
    want_symbol(0x201004, pe + 0x201004, 16, "?"); /* data */
    want_symbol(0x300000, pe, 16, "?");
    want_symbol(UINT64_MAX, pe, 16, "?");
    ck_assert_int_eq(loader_symbol(&res, 0x200014, pe + 0x200014, 16, small, sizeof(small)), 0);
    ck_assert_str_eq(small, "kernel!");
}
END_TEST

/* Of two programs at one address the one that agrees best is named, whichever comes first. */
START_TEST(twins)
{
    struct eb_file f;

    eb_program(&f, 0x200000, 20);
    f.data[0][0x18] ^= 0xFF;
    put_bytes("before", &f, sizeof(f));
    f.data[0][0x19] ^= 0xFF;
    put_bytes("between", &f, sizeof(f));
    boot("[boot]\nline = kernel before -- between\n");
    want_symbol(0x200014, (uint8_t *)memory[1] + 0x200014, 16, "kernel!main+0x4");
    want_symbol(0x200014, f.data[0] + 0x14, 16, "between!main+0x4");
    f.data[0][0x19] ^= 0xFF;
    want_symbol(0x200014, f.data[0] + 0x14, 16, "before!main+0x4");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loader");
    TCase *t = tcase_create("loader");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, memory_pe);
    tcase_add_loop_test(t, module_alignment, 0, 2);
    tcase_add_test(t, images);
    tcase_add_test(t, sparse_image);
    tcase_add_test(t, kernel_pe);
    tcase_add_test(t, idle_pes);
    tcase_add_test(t, program_alone);
    tcase_add_test(t, largest_machine);
    tcase_add_test(t, bad_programs);
    tcase_add_test(t, too_large);
    tcase_add_test(t, changed_meanwhile);
    tcase_add_test(t, small_pes);
    tcase_add_test(t, symbols);
    tcase_add_test(t, twins);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
