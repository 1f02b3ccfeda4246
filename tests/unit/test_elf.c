/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/elf.c */
/*
 * ELF files, above all bad ones: each field that the reader believes is set to something it must
 * not believe.  Every file lies in an allocation of exactly its size, so that AddressSanitizer sees
 * any step behind its end.
 */
#include "../../vmm/elf.h"

#include <check.h>
#include <errno.h>
#include <stddef.h>

#include "../../include/boot.h"
#include "elf_build.h"

#define MEM  PE_SPM_DEFAULT
#define TEXT 0x200000ull

static struct eb_file file;
static char err[ELF_ERR];

static void setup(void)
{
    eb_program(&file, TEXT, 3);
    err[0] = 0;
}

/* Parse and check the first SIZE bytes of the file; on success look up symbols everywhere. */
static int try_size(size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct elf e;
    uint64_t off;
    int r;

    memcpy(copy, &file, size);
    r = elf_parse(&e, copy, size, err);
    if (r == 0)
        r = elf_check(&e, MEM, err);
    if (r == 0)
        for (uint64_t a = TEXT - 0x10; a < TEXT + 0x1200; a += 8)
            elf_symbol(&e, a, &off);
    free(copy);
    return r;
}

static int try(void)
{
    return try_size(sizeof(file));
}

/* The file is refused with this in the reason. */
static void refused(const char *why)
{
    ck_assert_int_eq(try(), -ENOEXEC);
    ck_assert_msg(strstr(err, why) != NULL, "'%s' does not say '%s'", err, why);
    ck_assert_ptr_null(strchr(err, '\n'));
}

START_TEST(good)
{
    struct elf e;
    struct elf_segment s;

    ck_assert_int_eq(elf_parse(&e, &file, sizeof(file), err), 0);
    ck_assert_int_eq(elf_check(&e, MEM, err), 0);
    ck_assert_uint_eq(e.nseg, 2);
    ck_assert_uint_eq(e.entry, TEXT);
    elf_segment(&e, 1, &s);
    ck_assert_uint_eq(s.addr, TEXT + 0x1000);
    ck_assert_uint_eq(s.filesz, EB_DATA);
    ck_assert_uint_eq(s.memsz, EB_DATA + 100);
    ck_assert_ptr_eq(s.bytes, file.data[1]);
    ck_assert_uint_eq(s.flags, PF_R | PF_W);
}
END_TEST

/* Cut off anywhere: refused while a segment is cut; in no case read behind the end. */
START_TEST(truncated)
{
    size_t whole = offsetof(struct eb_file, data) + 2 * EB_DATA;

    for (size_t n = 0; n < whole; n++) {
        ck_assert_int_eq(try_size(n), -ENOEXEC);
        if (n >= 4)
            ck_assert_msg(strstr(err, "truncated") != NULL, "%zu bytes: '%s'", n, err);
    }
    ck_assert_int_eq(try_size(whole), 0);
}
END_TEST

/* One random byte after the other: never a crash, never a segment outside. */
START_TEST(damaged)
{
    size_t heads = offsetof(struct eb_file, data);
    static const uint8_t values[] = {0, 1, 0x7F, 0x80, 0xFF};

    for (size_t i = 0; i < heads; i++)
        for (size_t v = 0; v < sizeof(values); v++) {
            setup();
            ((uint8_t *)&file)[i] = values[v];
            (void)try();
        }
}
END_TEST

START_TEST(identity)
{
    file.h.e_ident[1] = 'X';
    refused("no ELF file");
    setup();
    file.h.e_ident[EI_CLASS] = ELFCLASS32;
    refused("64-bit");
    setup();
    file.h.e_ident[EI_DATA] = ELFDATA2MSB;
    refused("little-endian");
    setup();
    file.h.e_version = 2;
    refused("version");
    setup();
    file.h.e_machine = EM_AARCH64;
    refused("machine 183");
    setup();
    file.h.e_type = ET_DYN;
    refused("-no-pie");
    setup();
    file.h.e_type = ET_REL;
    refused("want an executable");
}
END_TEST

START_TEST(program_headers)
{
    file.h.e_phnum = 0;
    refused("program headers");
    setup();
    file.h.e_phnum = 0xFFFF;
    refused("program headers");
    setup();
    file.h.e_phnum = 0xFFFE;
    refused("truncated");
    setup();
    file.h.e_phentsize = 32;
    refused("32 bytes");
    setup();
    file.h.e_phoff = UINT64_MAX - 7;
    refused("truncated");
    setup();
    file.p[0].p_type = PT_INTERP;
    refused("dynamically linked");
    setup();
    file.p[0].p_type = file.p[1].p_type = PT_NOTE;
    refused("nothing to load");
}
END_TEST

START_TEST(segments)
{
    file.p[1].p_filesz = file.p[1].p_memsz + 1;
    refused("larger in the file");
    setup();
    file.p[1].p_offset = UINT64_MAX - 4;
    refused("truncated");
    setup();
    file.p[1].p_filesz = file.p[1].p_memsz = UINT64_MAX;
    refused("truncated");
    setup();
    file.p[1].p_memsz = UINT64_MAX;
    refused("wraps");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = UINT64_MAX - 10;
    refused("wraps");
    setup();
    file.p[1].p_vaddr += 0x1000;
    refused("two addresses");
}
END_TEST

START_TEST(places)
{
    file.p[1].p_paddr = file.p[1].p_vaddr = MEM;
    refused("outside");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = MEM - file.p[1].p_memsz + 1;
    refused("outside");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = MEM - file.p[1].p_memsz;
    ck_assert_int_eq(try(), 0);
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = TEXT + EB_DATA - 1;
    refused("overlap");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = TEXT - file.p[1].p_memsz + 1;
    refused("overlap");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = TEXT + EB_DATA;
    ck_assert_int_eq(try(), 0);
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = PE_ENV_ADDR - file.p[1].p_memsz + 1;
    refused("Env");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = PE_STACK_TOP - 1;
    refused("Env");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = 0x1000;
    file.p[1].p_memsz = 0x400000;
    refused("Env");
    setup();
    file.p[1].p_paddr = file.p[1].p_vaddr = PE_STACK_TOP;
    ck_assert_int_eq(try(), 0);
}
END_TEST

START_TEST(entry_points)
{
    file.h.e_entry = TEXT + EB_DATA;
    refused("entry point");
    setup();
    file.h.e_entry = TEXT + 0x1000;
    refused("entry point");
    setup();
    file.h.e_entry = TEXT + EB_DATA - 1;
    ck_assert_int_eq(try(), 0);
}
END_TEST

/* Empty segments are ignored wherever they say they are. */
START_TEST(empty_segment)
{
    file.p[1].p_filesz = file.p[1].p_memsz = 0;
    file.p[1].p_paddr = UINT64_MAX;
    file.p[1].p_offset = UINT64_MAX;
    ck_assert_int_eq(try(), 0);
}
END_TEST

START_TEST(too_many_segments)
{
    size_t size = sizeof(Elf64_Ehdr) + (ELF_MAX_SEGMENTS + 1) * sizeof(Elf64_Phdr);
    uint8_t *buf = calloc(1, size);
    struct elf e;

    file.h.e_phnum = ELF_MAX_SEGMENTS + 1;
    file.h.e_phoff = sizeof(file.h);
    memcpy(buf, &file.h, sizeof(file.h));
    for (unsigned i = 0; i <= ELF_MAX_SEGMENTS; i++) {
        Elf64_Phdr p = {.p_type = PT_LOAD, .p_memsz = 1, .p_vaddr = i, .p_paddr = i};

        memcpy(buf + sizeof(file.h) + i * sizeof(p), &p, sizeof(p));
    }
    ck_assert_int_eq(elf_parse(&e, buf, size, err), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(err, "more than 32"));
    free(buf);
}
END_TEST

static const char *symbol(uint64_t addr, uint64_t *off)
{
    static struct elf e;

    ck_assert_int_eq(elf_parse(&e, &file, sizeof(file), err), 0);
    return elf_symbol(&e, addr, off);
}

START_TEST(symbols)
{
    uint64_t off = 99;

    ck_assert_ptr_null(symbol(TEXT, &off));
    ck_assert_str_eq(symbol(TEXT + 0x10, &off), "main");
    ck_assert_uint_eq(off, 0);
    ck_assert_str_eq(symbol(TEXT + 0x2F, &off), "main");
    ck_assert_uint_eq(off, 0x1F);
    /* Behind the end of main it is still the nearest name. */
    ck_assert_str_eq(symbol(TEXT + 0x30, &off), "main");
    ck_assert_str_eq(symbol(TEXT + 0x4A, &off), "label");
    ck_assert_uint_eq(off, 0xA);
    ck_assert_str_eq(symbol(TEXT + 0x1004, &off), "var");
    ck_assert_ptr_null(symbol(TEXT + EB_DATA, &off));
    ck_assert_ptr_null(symbol(TEXT - 1, &off));
    ck_assert_ptr_null(symbol(UINT64_MAX, &off));
}
END_TEST

/* Damage in the symbols costs the symbols, not the program. */
START_TEST(bad_symbols)
{
    uint64_t off;

    file.s[1].sh_offset = UINT64_MAX - 3;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.s[1].sh_size = UINT64_MAX;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.s[1].sh_link = 3;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.s[1].sh_link = 1;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.s[1].sh_entsize = 8;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.str[EB_STRINGS - 1] = 'x';
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.sym[0].st_name = EB_STRINGS;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.sym[0].st_shndx = SHN_UNDEF;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.sym[0].st_size = UINT64_MAX;
    ck_assert_str_eq(symbol(TEXT + 0x50, &off), "main");
    setup();
    file.h.e_shnum = 0xFFFF;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
    setup();
    file.h.e_shoff = UINT64_MAX;
    ck_assert_ptr_null(symbol(TEXT + 0x10, &off));
}
END_TEST

START_TEST(match)
{
    struct elf e;

    ck_assert_int_eq(elf_parse(&e, &file, sizeof(file), err), 0);
    ck_assert_uint_eq(elf_match(&e, TEXT + 5, file.data[0] + 5, 16), 16);
    ck_assert_uint_eq(elf_match(&e, TEXT + 5, file.data[0] + 6, 16), 0);
    ck_assert_uint_eq(elf_match(&e, TEXT + EB_DATA - 4, file.data[0] + EB_DATA - 4, 4), 4);
    ck_assert_uint_eq(elf_match(&e, TEXT + EB_DATA, file.data[0], 4), 0);
    ck_assert_uint_eq(elf_match(&e, TEXT + 0x1000 + EB_DATA + 50, file.data[0], 4), 0);
    ck_assert_uint_eq(elf_match(&e, UINT64_MAX, file.data[0], 4), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("elf");
    TCase *t = tcase_create("elf");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, good);
    tcase_add_test(t, truncated);
    tcase_add_test(t, damaged);
    tcase_add_test(t, identity);
    tcase_add_test(t, program_headers);
    tcase_add_test(t, segments);
    tcase_add_test(t, places);
    tcase_add_test(t, entry_points);
    tcase_add_test(t, empty_segment);
    tcase_add_test(t, too_many_segments);
    tcase_add_test(t, symbols);
    tcase_add_test(t, bad_symbols);
    tcase_add_test(t, match);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
