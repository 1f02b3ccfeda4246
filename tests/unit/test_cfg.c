/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/diag.c vmm/elf.c vmm/bootline.c vmm/machine.c vmm/images.c vmm/ini.c vmm/cfg.c */
/* LINK: vmm/nodes.c vmm/nodes_check.c vmm/validate.c vmm/loader.c vmm/loader_pe.c */
/*
 * SemperOS' boot files, in a small checkout of our own: boot/, build/gem5-release/bin and images.
 * And where programs are looked for.
 */
#include "machine_fixture.h"

#include <errno.h>

static void setup(void)
{
    static const char *const variables[] = {"M3_TARGET", "M3_BUILD", "M3_FS",     "M3_CORE",
                                            "M3_NUMFS",  "M3_CORES", "M3_CLIENTS"};

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    fx_setup();
    machine_free(&m);
    ck_assert_int_eq(machine_defaults(&m), 0);
    put_folder("boot");
    put_folder("build");
    put_folder("build/gem5-debug");
    put_folder("build/gem5-debug/bin");
    put_folder("build/gem5-release");
    put_folder("build/gem5-release/bin");
    put_program("build/gem5-release/bin/kernel", 0x200000, 1);
    put_program("build/gem5-release/bin/idle", 0x1000, 2);
    put_program("build/gem5-release/bin/hello", 0x210000, 3);
    put_program("build/gem5-release/bin/m3fs", 0x220000, 4);
    put_program("build/gem5-debug/bin/kernel", 0x200000, 1);
    put("build/gem5-release/default.img", "0123456789");
    put("build/gem5-release/other.img", "0123");
}

static int cfg(const char *text)
{
    put("boot/x.cfg", text);
    return machine_from_file(&m, at("boot/x.cfg"), &d);
}

static const struct {
    const char *text, *argv;
    unsigned pes;
} good[] = {
    {"kernel\nhello\nhello\n", "kernel hello -- hello", 16},
    {"kernel\nhello", "kernel hello", 16},
    {"kernel", "kernel", 16},
    {"kernel\nkernel hello pes=2\nhello\n", "kernel kernel hello pes=2 -- hello", 16},
    {"\n kernel\r\n\n\thello  1\t2 \n\n", "kernel hello 1 2", 16},
    {"#!/bin/sh\necho kernel\necho hello $M3_TARGET-$M3_BUILD\n", "kernel hello gem5-release", 16},
    {"#!/usr/bin/env sh\necho kernel\necho hello $M3_CORE $M3_NUMFS $M3_FS\n",
     "kernel hello x86_64 1 default.img", 16},
};

START_TEST(texts)
{
    ck_assert_int_eq(cfg(good[_i].text), 0);
    no_complaint();
    ck_assert_str_eq(words(), good[_i].argv);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.pes, good[_i].pes);
    ck_assert_str_eq(m.images, at("build/gem5-release/bin"));
    ck_assert_uint_eq(m.nfs, 0);
}
END_TEST

/* The option of the interpreter counts: with -e the script fails. */
START_TEST(interpreter_option)
{
    ck_assert_int_eq(cfg("#! /bin/sh -e\necho kernel; false; echo hello\n"), -EINVAL);
    complains(1, "script failed (status 1)");
    ck_assert_int_eq(cfg("#!/bin/sh\necho kernel; false; echo; echo hello\n"), 0);
    ck_assert_str_eq(words(), "kernel hello");
}
END_TEST

/* It runs in the root of the checkout, with the user's settings, and nothing on its input. */
START_TEST(environment)
{
    int fd[2];

    ck_assert_int_eq(pipe(fd), 0);
    ck_assert_int_eq(write(fd[1], "words of ours\n", 14), 14);
    ck_assert_int_eq(dup2(fd[0], STDIN_FILENO), STDIN_FILENO);
    setenv("M3_CLIENTS", "7", 1);
    setenv("M3_FS", "other.img", 1);
    ck_assert_int_eq(cfg("#!/bin/sh\n"
                         "read nothing && echo $nothing\n"
                         "fs=build/$M3_TARGET-$M3_BUILD/$M3_FS\n"
                         "echo kernel\n"
                         "echo m3fs `stat --format=%s $fs` daemon\n"
                         "echo hello $M3_CLIENTS requires=m3fs\n"),
                     0);
    ck_assert_str_eq(words(), "kernel m3fs 4 daemon -- hello 7 requires=m3fs");
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.nfs, 1);
    ck_assert_str_eq(m.fs[0].path, at("build/gem5-release/other.img"));
}
END_TEST

START_TEST(image)
{
    setenv("M3_NUMFS", "3", 1);
    ck_assert_int_eq(cfg("kernel\nm3fs 10 daemon\n"), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.nfs, 1);
    ck_assert_str_eq(m.fs[0].path, at("build/gem5-release/default.img"));
    ck_assert_uint_eq(m.fs[0].replicas, 3);
    ck_assert_uint_eq(m.fs[0].size, 10);
    machine_free(&m);
    /* An image of the user's comes in its place. */
    ck_assert_int_eq(machine_defaults(&m), 0);
    ck_assert_int_eq(cfg("kernel\nm3fs 10 daemon\n"), 0);
    ck_assert_int_eq(machine_add_fs(&m, at("idle"), "--fs", 0, &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.nfs, 1);
    ck_assert_str_eq(m.fs[0].path, at("idle"));
    machine_free(&m);
    ck_assert_int_eq(machine_defaults(&m), 0);
    ck_assert_int_eq(unlink(at("build/gem5-release/default.img")), 0);
    ck_assert_int_eq(cfg("kernel\nm3fs 10 daemon\n"), 0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(0, "default.img: No such file");
}
END_TEST

START_TEST(cores)
{
    setenv("M3_CORES", "24", 1);
    ck_assert_int_eq(cfg("kernel\nhello\n"), 0);
    ck_assert_uint_eq(m.pes, 24);
    setenv("M3_CORES", "2", 1);
    ck_assert_int_eq(cfg("kernel\nhello\nhello\nhello\nhello\n"), 0);
    ck_assert_uint_eq(m.pes, 24); /* given, by the first file */
    machine_free(&m);
    ck_assert_int_eq(machine_defaults(&m), 0);
    ck_assert_int_eq(cfg("kernel\nhello\nhello\nhello\nhello\n"), 0);
    ck_assert_uint_eq(m.pes, 5);
    setenv("M3_CORES", "x", 1);
    machine_free(&m);
    ck_assert_int_eq(machine_defaults(&m), 0);
    ck_assert_int_eq(cfg("kernel\nhello\n"), -EINVAL);
    complains(0, "M3_CORES");
}
END_TEST

static const struct {
    const char *text;
    int line;
    const char *complaint;
} bad[] = {
    {"", 1, "no boot line"},
    {"\n\n", 1, "no boot line"},
    {"#!/bin/sh\nexit 0\n", 1, "no boot line"},
    {"#!/bin/sh\necho kernel; exit 3\n", 1, "status 3"},
    {"#!/bin/sh\nkill -9 $$\n", 1, "signal 9"},
    {"#!/no/such/interpreter\nkernel\n", 1, "cannot run interpreter '/no/such/interpreter'"},
    {"#!\nkernel\n", 1, "cannot run interpreter ''"},
    {"#!/bin/sh\nyes kernel\n", 1, "more than 1 MiB"},
    {"kernel\nnosuch\n", 1, "program 'nosuch'"},
    {"kernel\nhello pes=2\n", 1, "pes="},
};

START_TEST(bad_texts)
{
    int r = cfg(bad[_i].text);

    if (r == 0)
        r = machine_validate(&m, &d);
    ck_assert_int_eq(r, -EINVAL);
    complains(bad[_i].line, bad[_i].complaint);
}
END_TEST

START_TEST(not_text)
{
    put_bytes("boot/x.cfg", "kernel\0hello\n", 13);
    ck_assert_int_eq(machine_from_file(&m, at("boot/x.cfg"), &d), -EINVAL);
    complains(0, "no text file");
    diag_free(&d);
    ck_assert_int_eq(machine_from_file(&m, at("boot/nosuch.cfg"), &d), -EINVAL);
    complains(0, "nosuch.cfg: No such file");
}
END_TEST

/* Any level of a checkout names the folder of its programs. */
START_TEST(image_folders)
{
    static const char *const folders[] = {"", "/build/gem5-release", "/build/gem5-release/bin"};
    char kernel[] = "kernel", hello[] = "hello", *argv[] = {kernel, hello}, path[PATH_MAX];

    ck_assert_int_eq(unlink(at("kernel")), 0); /* those of the fixture stand in the root */
    ck_assert_int_eq(unlink(at("idle")), 0);
    ck_assert_int_eq(unlink(at("hello")), 0);
    snprintf(path, sizeof(path), "%s%s", dir, folders[_i]);
    ck_assert_int_eq(machine_set(&m, KEY_IMAGES, path, "--images", 0, &d), 0);
    ck_assert_int_eq(machine_from_bootline(&m, 2, argv, &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_str_eq(m.images, at("build/gem5-release/bin"));
}
END_TEST

/* Without a release build any other does. */
START_TEST(debug_build)
{
    put_program("build/gem5-debug/bin/idle", 0x1000, 2);
    setenv("M3_BUILD", "debug", 1);
    ck_assert_int_eq(cfg("kernel\n"), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_str_eq(m.images, at("build/gem5-debug/bin"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cfg");
    TCase *t = tcase_create("cfg");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, fx_teardown);
    tcase_add_loop_test(t, texts, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_test(t, interpreter_option);
    tcase_add_test(t, environment);
    tcase_add_test(t, image);
    tcase_add_test(t, cores);
    tcase_add_loop_test(t, bad_texts, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(t, not_text);
    tcase_add_loop_test(t, image_folders, 0, 3);
    tcase_add_test(t, debug_build);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
