/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/diag.c vmm/elf.c vmm/bootline.c vmm/machine.c vmm/images.c vmm/ini.c vmm/cfg.c */
/* LINK: vmm/nodes.c vmm/nodes_check.c vmm/validate.c vmm/loader.c vmm/loader_pe.c */
/*
 * The machine description: boot lines, machine files, and what is wrong with them, by line.
 */
#include "machine_fixture.h"

#include <errno.h>

/* ---- boot lines ------------------------------------------------------------------------------ */

/* machine_from_bootline() with the words of TEXT; a word is what blanks separate. */
static int bootline(const char *text)
{
    char copy[4096], *argv[256], *save = NULL;
    int n = 0;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *w = strtok_r(copy, " ", &save); w && n < 256; w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    return machine_from_bootline(&m, n, argv, &d);
}

/* Modules in one string. */
static const char *modules(void)
{
    static char buf[4096];
    const char *name[BOOT_MODULES];
    int n = machine_modules(&m, name, BOOT_MODULES);
    size_t used = 0;

    buf[0] = 0;
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(buf + used, sizeof(buf) - used, "%s%s", i ? " " : "", name[i]);
    return n < 0 ? "too many" : buf;
}

/* What was typed, what PE 1 gets, boot modules, core PEs that it takes. */
static const struct {
    const char *typed, *argv, *modules;
    unsigned pes;
} good_lines[] = {
    {"kernel", "kernel", "idle", 1},
    {"kernel hello", "kernel hello", "hello idle", 2},
    {"kernel -- hello", "kernel hello", "hello idle", 2},
    {"kernel hello -- hello", "kernel hello -- hello", "hello idle", 3},
    {"kernel hello pes=2 -- hello", "kernel kernel hello pes=2 -- hello", "hello kernel idle", 4},
    {"kernel kernel hello pes=2 -- hello", "kernel kernel hello pes=2 -- hello",
     "hello kernel idle", 4},
    {"kernel kernel", "kernel kernel", "kernel idle", 2},
    {"kernel pes=3", "kernel kernel pes=3", "kernel idle", 4},
    {"kernel hello 1 requires=x daemon -- hello 2 repeat=3",
     "kernel hello 1 requires=x daemon -- hello 2 repeat=3", "hello idle", 5},
    {"kernel kernel hello ++ hello repeat=2 requires=y pes=5 -- hello daemon",
     "kernel kernel hello ++ hello repeat=2 requires=y pes=5 -- hello daemon", "hello kernel idle",
     7},
    {"kernel idle -- hello", "kernel idle -- hello", "hello idle", 2},
    {"hello", "hello", "idle", 1},
    {"hello pes=2 -- ++ daemon x", "hello pes=2 -- ++ daemon x", "idle", 1},
};

START_TEST(boot_lines)
{
    ck_assert_int_eq(bootline(good_lines[_i].typed), 0);
    ck_assert_str_eq(words(), good_lines[_i].argv);
    ck_assert_ptr_null(m.argv[m.argc]);
    ck_assert_str_eq(modules(), good_lines[_i].modules);
    ck_assert_int_eq(machine_set(&m, KEY_PES, "1", "--pes", 0, &d), 0);
    if (good_lines[_i].pes > 1) {
        char text[64];

        ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
        snprintf(text, sizeof(text), "needs %u PEs", good_lines[_i].pes);
        complains(0, text);
        diag_free(&d);
        m.pes = good_lines[_i].pes;
    }
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    no_complaint();
}
END_TEST

static const struct {
    const char *typed, *complaint;
} bad_lines[] = {
    {"", "no boot line"},
    {"kernel hello --", "behind the last '--'"},
    {"kernel hello -- -- hello", "empty group at '--'"},
    {"kernel -- -- hello", "empty group at '--'"},
    {"kernel kernel hello ++ pes=3", "behind the last '++'"},
    {"kernel kernel hello ++ ++ hello pes=3", "empty group at '++'"},
    {"kernel kernel ++ hello pes=3", "empty group at '++'"},
    {"kernel hello pes=2 x -- hello", "at the end"},
    {"kernel kernel hello pes=2 x", "at the end"},
    {"kernel hello -- hello pes=2", "at the end"},
    {"kernel kernel hello pes=1", "make it pes=2"},
    {"kernel kernel hello ++ hello repeat=4 pes=5", "make it pes=6"},
    {"kernel kernel hello", "end it with pes=2"},
    {"kernel kernel kernel pes=2", "only the first one may start kernels"},
    {"kernel kernel hello pes=0", "'pes=0' wants a number"},
    {"kernel kernel hello pes=", "'pes=' wants a number"},
    {"kernel kernel hello pes=-1", "'pes=-1' wants a number"},
    {"kernel kernel hello pes=9999", "'pes=9999' wants a number"},
    {"kernel hello repeat=x", "'repeat=x' wants a number"},
    {"kernel hello repeat=2x", "'repeat=2x' wants a number"},
    {"kernel hello daemon 5", "'5' of 'hello' stands behind 'daemon'"},
    {"kernel hello requires=x 5", "stands behind 'requires=x'"},
    {"kernel hello ++ hello", "++ separates"},
    {"kernel ../hello", "no program name"},
    {"kernel ..", "no program name"},
    {"bin/kernel hello", "no program name"},
    {"kernel daemon=1", "name the program first"},
    {"kernel nosuch", "program 'nosuch' in "},
    {"nosuch", "program 'nosuch' in "},
    {"kernel dir", "is no file"},
    {"kernel hello repeat=1022", "1022 PEs are the most"},
};

START_TEST(bad_boot_lines)
{
    put_folder("dir");
    ck_assert_int_eq(bootline(bad_lines[_i].typed), 0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(0, bad_lines[_i].complaint);
}
END_TEST

/* What cannot be read is not counted with, too. */
START_TEST(one_complaint_about_pes)
{
    static const char *const lines[] = {"kernel kernel hello pes=0", "kernel kernel hello pes=x"};

    ck_assert_int_eq(bootline(lines[_i]), 0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    ck_assert_uint_eq(diag_count(&d), 1);
}
END_TEST

START_TEST(boot_line_bounds)
{
    static char big[PE_RT_SIZE];
    size_t room = PE_GUARD - PE_ENV_ADDR - sizeof(struct boot_env) - sizeof(struct boot_kenv);
    char kernel[] = "kernel", hello[] = "hello", *argv[] = {kernel, hello, big};
    size_t fixed = 3 * 8 + sizeof(kernel) + sizeof(hello);

    memset(big, 'x', room - fixed - 1);
    ck_assert_int_eq(machine_from_bootline(&m, 3, argv, &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    big[room - fixed - 1] = 'x';
    ck_assert_int_eq(machine_from_bootline(&m, 3, argv, &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(0, "arguments need 56537 bytes");
    again();
    memset(big, 'x', 128);
    big[128] = 0;
    ck_assert_int_eq(machine_from_bootline(&m, 3, (char *[]){kernel, big, hello}, &d), 0);
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(0, "longer than 127");
}
END_TEST

START_TEST(too_many_modules)
{
    char line[4096] = "kernel p0", word[32];

    for (int i = 1; i < 63; i++) {
        snprintf(word, sizeof(word), " -- p%d", i);
        strcat(line, word);
    }
    ck_assert_int_eq(bootline(line), 0);
    ck_assert_int_eq(strncmp(modules(), "p0 p1 ", 6), 0);
    strcat(line, " -- p63");
    ck_assert_int_eq(bootline(line), 0);
    ck_assert_str_eq(modules(), "too many");
    ck_assert_int_eq(machine_validate(&m, &d), -EINVAL);
    complains(0, "more than 63 programs");
}
END_TEST

/* Without --pes a machine has 16 PEs, or as many as it needs. */
START_TEST(default_pes)
{
    ck_assert_int_eq(bootline("kernel hello"), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.pes, 16);
    ck_assert_int_eq(bootline("kernel hello repeat=30"), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.pes, 31);
}
END_TEST

/* ---- machine files --------------------------------------------------------------------------- */

static int text(const char *ini)
{
    return machine_from_text(&m, at("m.ini"), ini, &d);
}

START_TEST(ini_full)
{
    put("a.img", "aaaa");
    put("b:c.img", "bbbbbbbb");
    ck_assert_int_eq(text("; a comment\n"
                          "# another\n"
                          "[machine]\n"
                          "pes = 20 ; inline\n"
                          "spm=0x200000\r\n"
                          "dram : 7GiB\n"
                          "\n"
                          "[boot]\n"
                          "images = .\n"
                          "line = kernel hello\n"
                          "    -- kernel hello\n"
                          "\t ; a comment in between\n"
                          "       pes=2\n"
                          "fs = a.img:3\n"
                          "  b:c.img\n"
                          "[run]\n"
                          "log = debug\n"
                          "timeout = 1.5\n"
                          "stats = yes\n"
                          "prefix = no\n"
                          "color = always\n"
                          "report = exits, pairs\n"
                          "until-idle = true\n"
                          "[pe 3]\n"
                          "spm = 16M\n"
                          "[pe 20]\n"),
                     0);
    no_complaint();
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.pes, 20);
    ck_assert_uint_eq(m.spm_size, 2 << 20);
    ck_assert_uint_eq(m.dram_size, 7ull << 30);
    ck_assert_str_eq(words(), "kernel hello -- kernel hello pes=2");
    ck_assert_uint_eq(m.nfs, 2);
    ck_assert_str_eq(m.fs[0].path, at("a.img"));
    ck_assert_uint_eq(m.fs[0].replicas, 3);
    ck_assert_uint_eq(m.fs[0].size, 4);
    ck_assert_str_eq(m.fs[1].path, at("b:c.img"));
    ck_assert_uint_eq(m.fs[1].replicas, 1);
    ck_assert_int_eq(m.log_level, LOG_DEBUG);
    ck_assert_uint_eq(m.timeout_ns, 1500000000);
    ck_assert(m.stats && m.until_idle);
    ck_assert_int_eq(m.prefix, WHEN_NEVER);
    ck_assert_int_eq(m.color, WHEN_ALWAYS);
    ck_assert_uint_eq(m.report, REPORT_PAIRS | REPORT_EXITS);
    ck_assert_uint_eq(machine_spm(&m, 3), 16 << 20);
    ck_assert_uint_eq(machine_spm(&m, 4), 2 << 20);
    ck_assert_uint_eq(machine_spm(&m, 20), 2 << 20);
}
END_TEST

/* A bad line of the file, and what is said about it. */
static const struct {
    const char *ini;
    int line;
    const char *complaint;
} bad_inis[] = {
    {"pes = 4\n", 1, "before the first section"},
    {"[machine]\nfoo = 1\n", 2, "unknown key 'foo' in [machine]"},
    {"[machine]\ntimeout = 1\n", 2, "unknown key 'timeout' in [machine]"},
    {"[nowhere]\nx = 1\n", 1, "unknown section [nowhere]"},
    {"[machine]\n\n[machine]\n", 3, "already, in line 1"},
    {"[machine]\npes = 4\nspm = 8M\npes = 5\n", 4, "pes is there already, in line 2"},
    {"[boot]\nline = kernel\nfs = a\nline = x\n", 4, "line is there already, in line 2"},
    {"[boot]\nfs = a\nline = x\nfs = b\n", 4, "fs is there already, in line 2"},
    {"[pe 2]\nspm = 8M\nspm = 8M\n", 3, "spm is there already, in line 2"},
    {"[pe 2]\n[pe 3]\n[pe 2]\n", 3, "already, in line 1"},
    {"[pe 0]\n", 1, "from 1 to 1022"},
    {"[pe 1023]\n", 1, "from 1 to 1022"},
    {"[pe x]\n", 1, "from 1 to 1022"},
    {"[pe]\n", 1, "unknown section [pe]"},
    {"[machine\npes = 2\n", 1, "without ]"},
    {"[machine]\npes\n", 2, "neither"},
    {"[machine]\npes = 4\n\n\nhello world\n", 5, "neither"},
    {"[machine]\npes = 4\n  spm = 8M\n", 3, "continues pes"},
    {"[machine]\npes = 0\n", 2, "a number from 1 to 1022"},
    {"[machine]\npes = 1023\n", 2, "a number from 1 to 1022"},
    {"[machine]\npes = -1\n", 2, "a number"},
    {"[machine]\npes = 3x\n", 2, "a number"},
    {"[machine]\npes =\n", 2, "a number"},
    {"[machine]\npes = 99999999999999999999\n", 2, "a number"},
    {"[machine]\nspm = huge\n", 2, "a size"},
    {"[machine]\nspm = 8T\n", 2, "a size"},
    {"[machine]\nspm = -8M\n", 2, "a size"},
    {"[machine]\nspm = 8MM\n", 2, "a size"},
    {"[machine]\nspm = 99999999999999G\n", 2, "a size"},
    {"[machine]\ndram = 20000000000G\n", 2, "a size"},
    {"[pe 1]\nspm = 0\n", 2, "a size"},
    {"[run]\nlog = loud\n", 2, "error, warn, info or debug"},
    {"[run]\ntimeout = -1\n", 2, "seconds"},
    {"[run]\ntimeout = nan\n", 2, "seconds"},
    {"[run]\ntimeout = inf\n", 2, "seconds"},
    {"[run]\ntimeout = 1e10\n", 2, "seconds"},
    {"[run]\ntimeout = 1s\n", 2, "seconds"},
    {"[run]\ntimeout =\n", 2, "seconds"},
    {"[run]\nstats = maybe\n", 2, "yes or no"},
    {"[run]\nprefix = sometimes\n", 2, "auto, yes or no"},
    {"[run]\ncolor = red\n", 2, "auto, always or never"},
    {"[run]\nreport = pairs, weather\n", 2, "a list of"},
    {"[boot]\nimages =\n", 2, "a folder"},
    {"[boot]\nfs = a:0\n", 2, "1 to 1024 replicas"},
    {"[boot]\nfs = a:1025\n", 2, "1 to 1024 replicas"},
    {"[boot]\nfs = :4\n", 2, "want a file"},
    {"[boot]\n= 4\n", 2, "unknown key ''"},
};

START_TEST(bad_ini)
{
    ck_assert_int_eq(text(bad_inis[_i].ini), -EINVAL);
    complains(bad_inis[_i].line, bad_inis[_i].complaint);
    for (size_t i = 0; i < d.n; i++)
        if (d.v[i].line)
            ck_assert_str_eq(d.v[i].file, at("m.ini"));
}
END_TEST

/* What only the whole description shows still has the line of its key. */
static const struct {
    const char *ini;
    int line;
    const char *complaint;
} bad_wholes[] = {
    {"[boot]\nline = kernel hello\n[machine]\npes = 1\n", 4, "needs 2 PEs"},
    {"[boot]\n\nline = kernel nosuch\n", 3, "program 'nosuch'"},
    {"[boot]\nline = kernel\n  hello\n  --\n", 2, "behind the last '--'"},
    {"[boot]\nline =\n", 2, "no boot line"},
    {"[machine]\n", 0, "no boot line"},
    {"[boot]\nline = kernel\n[machine]\nspm = 512K\n", 4, "from 1M to 1G"},
    {"[boot]\nline = kernel\n[machine]\nspm = 2G\n", 4, "from 1M to 1G"},
    {"[boot]\nline = kernel\n[machine]\nspm = 8388609\n", 4, "multiple of 4 KiB"},
    {"[boot]\nline = kernel\n[machine]\ndram = 1G\n", 4, "from 6192 MiB"},
    {"[boot]\nline = kernel -- kernel pes=1\n[machine]\ndram = 6192M\n", 4, "from 6224 MiB"},
    {"[boot]\nline = kernel\n[machine]\ndram = 200G\n", 4, "to 128 GiB"},
    {"[boot]\nline = kernel\n[machine]\npes = 4\n[pe 5]\n", 5, "[pe 5]: the machine has only 4"},
    {"[boot]\nline = kernel\n[pe 5]\nspm = 1K\n", 3, "from 1M to 1G"},
    {"[boot]\nline = kernel\nfs = nosuch.img\n", 3, "nosuch.img: No such file"},
    {"[boot]\nline = kernel\nfs = idle\n  nosuch.img\n", 4, "nosuch.img"},
    {"[boot]\nline = kernel\nfs = .\n", 3, "no plain file"},
    {"[boot]\nline = kernel\nfs = big.img:1024\n", 3, "do not fit"},
    {"[boot]\nline = kernel\nfs = big.img:700\n    big.img:700\n", 4, "do not fit"},
    {"[boot]\nline = kernel\nimages = nosuch\n", 3, "in image folder"},
};

START_TEST(bad_whole)
{
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size), *none = fopen("/dev/null", "w");

    put("big.img", "");
    ck_assert_int_eq(truncate(at("big.img"), 6553600), 0);
    (void)text(bad_wholes[_i].ini);
    ck_assert_int_eq(machine_check(&m, &d, none, f), 2);
    complains(bad_wholes[_i].line, bad_wholes[_i].complaint);
    fclose(f);
    fclose(none);
    if (bad_wholes[_i].line) {
        char where[64];

        snprintf(where, sizeof(where), "m.ini:%d: ", bad_wholes[_i].line);
        ck_assert_ptr_nonnull(strstr(out, where));
    }
    free(out);
}
END_TEST

/* Everything is said, in the order of the lines. */
START_TEST(all_complaints)
{
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    int r;

    r = text("[machine]\n"
             "pes = 1\n"
             "spm = huge\n"
             "[run]\n"
             "colour = red\n"
             "[boot]\n"
             "line = kernel nosuch -- neither\n");
    ck_assert_int_eq(r, -EINVAL);
    ck_assert_int_eq(machine_check(&m, &d, f, f), 2);
    fclose(f);
    complains(2, "needs 3 PEs");
    complains(3, "huge");
    complains(5, "colour");
    complains(7, "'nosuch'");
    complains(7, "'neither'");
    ck_assert_uint_eq(diag_count(&d), 5);
    ck_assert_ptr_nonnull(strstr(out, "m.ini:2:"));
    ck_assert(strstr(out, "m.ini:2:") < strstr(out, "m.ini:3:"));
    ck_assert(strstr(out, "m.ini:5:") < strstr(out, "m.ini:7:"));
    free(out);
}
END_TEST

START_TEST(long_lines)
{
    char ini[2048];

    snprintf(ini, sizeof(ini), "[boot]\nline = kernel hello %0*d\n[machine]\npes = x\n", 300, 0);
    ck_assert_int_eq(text(ini), -EINVAL);
    complains(2, "longer than 197");
    complains(4, "'x'");
    again();
    snprintf(ini, sizeof(ini), "[boot]\nline = kernel hello\n  %0*d\n  %0*d\n", 190, 0, 195, 1);
    ck_assert_int_eq(text(ini), 0);
    ck_assert_int_eq(m.argc, 4);
    ck_assert_uint_eq(strlen(m.argv[3]), 195);
}
END_TEST

START_TEST(files)
{
    struct stat st;

    ck_assert_int_eq(machine_from_file(&m, at("nosuch.ini"), &d), -EINVAL);
    complains(0, "nosuch.ini: No such file");
    again();
    ck_assert_int_eq(machine_from_file(&m, dir, &d), -EINVAL);
    complains(0, "Is a directory");
    again();
    put_bytes("nul.ini", "[machine]\0\n", 11);
    ck_assert_int_eq(machine_from_file(&m, at("nul.ini"), &d), -EINVAL);
    complains(0, "no text file");
    again();
    put("bom.ini", "\xEF\xBB\xBF[boot]\nline = kernel");
    ck_assert_int_eq(machine_from_file(&m, at("bom.ini"), &d), 0);
    ck_assert_str_eq(words(), "kernel");
    put("huge.ini", "");
    ck_assert_int_eq(truncate(at("huge.ini"), (1 << 20) + 1), 0);
    ck_assert_int_eq(stat(at("huge.ini"), &st), 0);
    ck_assert_int_eq(machine_from_file(&m, at("huge.ini"), &d), -EINVAL);
    complains(0, "larger than 1 MiB");
}
END_TEST

/* A colon with something else than a number behind it belongs to the name. */
START_TEST(colons)
{
    put("a:0x", "a");
    put("b:1:2", "b");
    ck_assert_int_eq(text("[boot]\nline = kernel\nfs = a:0x\n  a:0x:2\n  b:1:2:3\n"), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_str_eq(m.fs[0].path, at("a:0x"));
    ck_assert_uint_eq(m.fs[0].replicas, 1);
    ck_assert_str_eq(m.fs[1].path, at("a:0x"));
    ck_assert_uint_eq(m.fs[1].replicas, 2);
    ck_assert_str_eq(m.fs[2].path, at("b:1:2"));
    ck_assert_uint_eq(m.fs[2].replicas, 3);
}
END_TEST

/* The words behind `--` replace the file's, options its values. */
START_TEST(precedence)
{
    ck_assert_int_eq(text("[machine]\npes = 4\n[boot]\nline = kernel hello\n"), 0);
    ck_assert_int_eq(machine_set(&m, KEY_PES, "7", "--pes", 0, &d), 0);
    ck_assert_int_eq(bootline("kernel"), 0);
    ck_assert_int_eq(machine_validate(&m, &d), 0);
    ck_assert_uint_eq(m.pes, 7);
    ck_assert_str_eq(words(), "kernel");
    ck_assert_int_eq(machine_set(&m, KEY_PES, "0", "--pes", 0, &d), -EINVAL);
    complains(0, "'0' of --pes");
}
END_TEST

/* Nothing from a file or a name reaches the terminal unchanged. */
START_TEST(control_characters)
{
    ck_assert_int_eq(text("[machine]\npes = \033[31mred\n"), -EINVAL);
    complains(2, "'?[31mred'");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine");
    TCase *t = tcase_create("machine");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, fx_setup, fx_teardown);
    tcase_add_loop_test(t, boot_lines, 0, sizeof(good_lines) / sizeof(good_lines[0]));
    tcase_add_loop_test(t, bad_boot_lines, 0, sizeof(bad_lines) / sizeof(bad_lines[0]));
    tcase_add_loop_test(t, one_complaint_about_pes, 0, 2);
    tcase_add_test(t, boot_line_bounds);
    tcase_add_test(t, too_many_modules);
    tcase_add_test(t, default_pes);
    tcase_add_test(t, ini_full);
    tcase_add_loop_test(t, bad_ini, 0, sizeof(bad_inis) / sizeof(bad_inis[0]));
    tcase_add_loop_test(t, bad_whole, 0, sizeof(bad_wholes) / sizeof(bad_wholes[0]));
    tcase_add_test(t, all_complaints);
    tcase_add_test(t, long_lines);
    tcase_add_test(t, files);
    tcase_add_test(t, colons);
    tcase_add_test(t, precedence);
    tcase_add_test(t, control_characters);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
