/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine, its complaints, and a folder of files for them: for the tests of the machine
 * description and of the loader.
 */
#ifndef TESTS_MACHINE_FIXTURE_H
#define TESTS_MACHINE_FIXTURE_H

#include <check.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../include/boot.h"
#include "../../vmm/machine.h"
#include "elf_build.h"

static struct machine m;
static struct diag d;
static char dir[PATH_MAX - 256]; /* without a / at its end */

static void __attribute__((unused)) put_bytes(const char *name, const void *data, size_t size)
{
    char path[PATH_MAX];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

static void __attribute__((unused)) put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static void __attribute__((unused)) put_folder(const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

/* The path of a file in the folder; one at a time. */
static __attribute__((unused)) const char *at(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static __attribute__((unused)) void put_program(const char *name, uint64_t addr, uint8_t seed)
{
    struct eb_file f;

    eb_program(&f, addr, seed);
    put_bytes(name, &f, sizeof(f));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* A machine with its defaults, and programs that all machines of the tests find. */
static void fx_setup(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(dir, sizeof(dir), "%s/sempervm-test-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    put_program("idle", 0x1000, 1);
    put_program("kernel", 0x200000, 20);
    put_program("hello", 0x210000, 40);
    ck_assert_int_eq(machine_defaults(&m), 0);
    ck_assert_int_eq(machine_set(&m, KEY_IMAGES, dir, "--images", 0, &d), 0);
}

static void fx_teardown(void)
{
    machine_free(&m);
    diag_free(&d);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* There is a complaint about LINE (0: about none) that has TEXT in it. */
static void __attribute__((unused)) complains(int line, const char *text)
{
    for (size_t i = 0; i < d.n; i++)
        if (d.v[i].line == line && strstr(d.v[i].text, text))
            return;
    diag_print(&d, stderr);
    ck_abort_msg("no complaint '%s' about line %d", text, line);
}

static void __attribute__((unused)) no_complaint(void)
{
    diag_print(&d, stderr);
    ck_assert_uint_eq(diag_count(&d), 0);
}

/* Forget everything said so far. */
static void __attribute__((unused)) again(void)
{
    machine_free(&m);
    diag_free(&d);
    ck_assert_int_eq(machine_defaults(&m), 0);
    ck_assert_int_eq(machine_set(&m, KEY_IMAGES, dir, "--images", 0, &d), 0);
}

/* The boot line in one string, words separated by one blank. */
static __attribute__((unused)) const char *words(void)
{
    static char buf[4096];
    size_t n = 0;

    buf[0] = 0;
    for (int i = 0; i < m.argc; i++)
        n += (size_t)snprintf(buf + n, sizeof(buf) - n, "%s%s", i ? " " : "", m.argv[i]);
    return buf;
}

#endif
