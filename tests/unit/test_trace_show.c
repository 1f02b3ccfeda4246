/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/trace_cmd.c vmm/trace_chrome.c vmm/trace_flow.c vmm/trace_diff.c vmm/trace_summary.c */
/* LINK: vmm/trace_print.c vmm/trace_filter.c vmm/trace_names.c vmm/trace_read.c */
/*
 * What `sempervm trace` makes of a trace: names, filters, text, differences; and the command
 * itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/wait.h>

#include "../../vmm/trace_cmd.h"
#include "../../vmm/trace_print.h"
#include "json_check.h"
#include "trace_story.h"

/* ---- names ----------------------------------------------------------------------------------- */

START_TEST(kernels_found)
{
    for (unsigned pe = 0; pe < DTU_PES; pe++)
        ck_assert_int_eq(kernels.is[pe], pe == 1 || pe == 3);
}
END_TEST

/* Neither a write that failed, nor one of memory, nor of one's own registers makes a kernel. */
START_TEST(no_kernels)
{
    const struct trace_record r[] = {
        {.pe = 1, .op = TR_WRITE, .peer = 2, .offset = DTU_BASE, .result = SE_NO_PERM},
        {.pe = 2, .op = TR_WRITE, .peer = 3, .offset = DTU_BASE - 8},
        {.pe = 3, .op = TR_WRITE, .peer = 2, .offset = DTU_BASE + DTU_WINDOW},
        {.pe = 4, .op = TR_READ, .peer = 2, .offset = DTU_BASE},
        {.pe = 5, .op = TR_WRITE, .peer = 5, .offset = DTU_BASE},
        {.pe = 0xFFFF, .op = TR_WRITE, .peer = 5, .offset = DTU_BASE},
    };

    trace_find_kernels(&kernels, r, 6);
    for (unsigned pe = 0; pe < DTU_PES; pe++)
        ck_assert(!kernels.is[pe]);
}
END_TEST

START_TEST(calls)
{
    struct trace_record r = story[5];

    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_SYSCALL);
    ck_assert_str_eq(trace_call_name(&kernels, &r), "OBTAIN");
    r.offset = 5;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_SYSCALL);
    r.offset = 6;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_KERNELCALL);
    r.offset = 13;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_KERNELCALL);
    r.offset = 14;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_NO_CALL);
    r.offset = 0;
    r.peer = 2;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_NO_CALL);
    r.peer = NONE;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_NO_CALL);
    r.peer = 1;
    r.first = SYSC_COUNT;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_SYSCALL);
    ck_assert_ptr_null(trace_call_name(&kernels, &r));
    r.op = TR_REPLY;
    ck_assert_int_eq(trace_call(&kernels, &r), TRACE_NO_CALL);
    ck_assert_str_eq(trace_call_name(&kernels, &story[11]), "REVOKE");
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(trace_syscall_name(SYSC_CREATEVPE), "CREATEVPE");
    ck_assert_str_eq(trace_syscall_name(SYSC_NOOP), "NOOP");
    ck_assert_ptr_null(trace_syscall_name(UINT32_MAX));
    ck_assert_str_eq(trace_kernelcall_name(0), "SIGVITAL");
    ck_assert_str_eq(trace_kernelcall_name(10), "MHTREMOVE");
    ck_assert_str_eq(trace_kernelcall_name(21), "REMOVECHILDCAPPTR");
    ck_assert_str_eq(trace_kernelcall_name(26), "REVOKEFINISH");
    ck_assert_str_eq(trace_kernelcall_name(32), "STARTAPPS");
    ck_assert_ptr_null(trace_kernelcall_name(33));
    ck_assert_str_eq(trace_error_name(SE_XFS_RENAME), "XFS_RENAME");
    ck_assert_ptr_null(trace_error_name(23));
    ck_assert_str_eq(trace_op_name(TR_SEND), "SEND");
    ck_assert_ptr_null(trace_op_name(8));
    ck_assert_ptr_null(trace_op_name(255));
}
END_TEST

/* ---- filters --------------------------------------------------------------------------------- */

/* The steps of the story that a filter wants, as a set of bits. */
static uint64_t wanted(const struct trace_filter *f)
{
    uint64_t steps = 0;

    for (size_t i = 0; i < STORY; i++)
        if (trace_wanted(f, &kernels, &story[i]))
            steps |= 1ull << story[i].step;
    return steps;
}

#define STEP(n) (1ull << (n))

static uint64_t of_op(const char *ops)
{
    struct trace_filter f;
    char err[320];

    trace_filter_init(&f);
    ck_assert_int_eq(trace_filter_ops(&f, "--op", ops, err, sizeof(err)), 0);
    return wanted(&f);
}

START_TEST(filter_ops)
{
    ck_assert_uint_eq(of_op("send"), STEP(6) | STEP(12) | STEP(13));
    ck_assert_uint_eq(of_op("SEND,Wait"), STEP(6) | STEP(12) | STEP(13) | STEP(4));
    ck_assert_uint_eq(of_op("syscall"), STEP(6));
    ck_assert_uint_eq(of_op("kernelcall"), STEP(12));
    ck_assert_uint_eq(of_op("obtain"), STEP(6));
    ck_assert_uint_eq(of_op("revoke"), STEP(12));
    ck_assert_uint_eq(of_op("revokefinish"), 0);
    ck_assert_uint_eq(of_op("exit,fault,inject"), STEP(14) | STEP(15) | STEP(16));
}
END_TEST

START_TEST(filter_bad_ops)
{
    static const char *const bad[] = {
        "",      ",",         "send,", "sen",
        "sendx", "send,,ack", "end",   "a-name-that-is-longer-than-any-operation-could-be"};
    struct trace_filter f;
    char err[320];

    trace_filter_init(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(trace_filter_ops(&f, "--op", bad[i], err, sizeof(err)), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err, "--op: "));
    }
    ck_assert_ptr_null(f.ops);
}
END_TEST

START_TEST(filter_pes)
{
    struct trace_filter f;
    char err[200];

    trace_filter_init(&f);
    f.by_pe = true;
    ck_assert_int_eq(trace_filter_pes(&f.pes, "--pe", "4,3", err, sizeof(err)), 0);
    ck_assert_uint_eq(wanted(&f), STEP(3) | STEP(12) | STEP(15) | STEP(16));
    trace_filter_init(&f);
    f.by_peer = true;
    ck_assert_int_eq(trace_filter_pes(&f.peers, "--peer", "2", err, sizeof(err)), 0);
    ck_assert_uint_eq(wanted(&f), STEP(2) | STEP(8) | STEP(9));
}
END_TEST

START_TEST(filter_steps_and_errors)
{
    struct trace_filter f;
    char err[200];

    trace_filter_init(&f);
    ck_assert_uint_eq(wanted(&f), (STEP(17) - 1) * 2);
    f.errors = true;
    ck_assert_uint_eq(wanted(&f), STEP(13) | STEP(14) | STEP(15));
    ck_assert_int_eq(trace_filter_step(&f.from, "--from", "14", err, sizeof(err)), 0);
    ck_assert_uint_eq(wanted(&f), STEP(14) | STEP(15));
    ck_assert_int_eq(trace_filter_step(&f.to, "--to", "0xe", err, sizeof(err)), 0);
    ck_assert_uint_eq(wanted(&f), STEP(14));
}
END_TEST

START_TEST(filter_bad_numbers)
{
    static const char *const bad[] = {
        "", "x", "-1", "+1", " 1", "1x", "1,", ",1", "1,,2", "1,x", "99999999999999999999"};
    struct trace_pe_set set = {.bits = {0}};
    uint64_t step = 5;
    char err[200];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(trace_filter_pes(&set, "--pe", bad[i], err, sizeof(err)), -EINVAL);
        ck_assert_int_eq(trace_filter_step(&step, "--to", bad[i], err, sizeof(err)), -EINVAL);
    }
    ck_assert_int_eq(trace_filter_pes(&set, "--pe", "1023", err, sizeof(err)), -EINVAL);
    ck_assert_int_eq(trace_filter_pes(&set, "--pe", "1022", err, sizeof(err)), 0);
    ck_assert_int_eq(trace_filter_step(&step, "--to", "1,2", err, sizeof(err)), -EINVAL);
}
END_TEST

/* ---- text ------------------------------------------------------------------------------------ */

/* The line of one record, blanks made one. */
static const char *line(size_t i)
{
    static char words[200];
    char *to = words;

    trace_print_record(' ', &story[i], &kernels, out);
    for (const char *p = printed(); *p && *p != '\n'; p++)
        if (*p != ' ' || (to > words && to[-1] != ' '))
            *to++ = *p;
    *to = '\0';
    free(text);
    start_text();
    return words;
}

START_TEST(lines)
{
    ck_assert_str_eq(line(1), "2 2000 1 0 WRITE 14 2+0x5c0000000 - 8 ok -");
    ck_assert_str_eq(line(3), "4 4000 1 - WAIT - - - - - - HLT");
    ck_assert_str_eq(line(5), "6 6000 2 9 SEND 0 1:3 42 32 ok 0000000000001234 system call OBTAIN");
    ck_assert_str_eq(line(6), "7 7000 1 - WAKE - - - - 1 - by message");
    ck_assert_str_eq(line(7), "8 8000 1 0 FETCH 3 2@0x8000 42 32 ok -");
    ck_assert_str_eq(line(11), "12 12000 3 0 SEND 14 1:6 1 16 ok - kernel call REVOKE");
    ck_assert_str_eq(line(12), "13 13000 2 9 SEND 4 - 0 - MISS_CREDITS -");
    ck_assert_str_eq(line(13), "14 14000 2 - EXIT - - - - 3 - program");
    ck_assert_str_eq(line(14), "15 15000 4 - FAULT - - - - - - at 0x201000");
    ck_assert_str_eq(line(15), "16 16000 3 - INJECT - - - - - - delayed");
    ck_assert_str_eq(line(16), "17 17000 1 - op 29 - - - - - -");
}
END_TEST

START_TEST(summary)
{
    struct trace_file f = trace_of(story, STORY);
    struct trace_filter all;

    trace_filter_init(&all);
    ck_assert_int_eq(trace_print_summary(&f, &all, &kernels, out), 0);
    printed();
    ck_assert_ptr_nonnull(strstr(text, "17  in 16000 ns\n"));
    ck_assert_ptr_nonnull(strstr(text, "SEND                          3  1 with an error\n"));
    ck_assert_ptr_nonnull(strstr(text, "system call  OBTAIN                        1\n"));
    ck_assert_ptr_nonnull(strstr(text, "kernel call  REVOKE                        1\n"));
    ck_assert_ptr_nonnull(strstr(text, "messages        2 -> 1                     1  32 bytes\n"));
    ck_assert_uint_eq(count_of(text, "messages"), 3);
    trace_free(&f);
}
END_TEST

/* ---- differences ----------------------------------------------------------------------------- */

static bool diff(struct trace_file *a, struct trace_file *b, const struct trace_filter *f)
{
    struct trace_side x = {"a", a, &kernels}, y = {"b", b, &kernels};

    return trace_print_diff(&x, &y, f, true, out);
}

START_TEST(diff_of_each_record)
{
    struct trace_file a = trace_of(story, STORY), b = trace_of(story, STORY);
    struct trace_filter all, only;
    char want[64];

    trace_filter_init(&all);
    trace_filter_init(&only);
    only.to = 3;
    b.records[_i].hash++;
    ck_assert(!diff(&a, &b, &all));
    snprintf(want, sizeof(want), "different from record %d on\n", _i);
    printed();
    ck_assert_ptr_nonnull(strstr(text, want));
    /* The four before it, no more, and then five of each. */
    snprintf(want, sizeof(want), "\n<%10" PRIu64 " ", story[_i].step);
    ck_assert_ptr_nonnull(strstr(text, want));
    ck_assert_uint_eq(count_of(text, "\n  "), _i < 4 ? _i : 4);
    ck_assert_uint_eq(count_of(text, "\n< "), _i > 11 ? 18 - _i : 5);
    ck_assert_uint_eq(count_of(text, "\n> "), _i > 11 ? 18 - _i : 5);
    free(text);
    start_text();
    ck_assert_int_eq(diff(&a, &b, &only), _i >= 3);
    trace_free(&a);
    trace_free(&b);
}
END_TEST

START_TEST(diff_of_lengths)
{
    struct trace_file a = trace_of(story, STORY), b = trace_of(story, _i ? STORY - 1 : 0);
    struct trace_filter all;

    trace_filter_init(&all);
    ck_assert(diff(&a, &a, &all));
    ck_assert(!diff(&a, &b, &all));
    ck_assert(!diff(&b, &a, &all));
    printed();
    ck_assert_ptr_nonnull(strstr(text, "equal: 17 records\n"));
    ck_assert_uint_eq(count_of(text, "\n<        (the end)\n"), _i ? 2 : 1);
    trace_free(&a);
    trace_free(&b);
}
END_TEST

/* What messages say is another question than what happened. */
START_TEST(diff_of_payloads)
{
    struct trace_file a = trace_of(story, STORY), b = trace_of(story, STORY);
    struct trace_side x = {"a", &a, &kernels}, y = {"b", &b, &kernels};
    struct trace_filter all;

    trace_filter_init(&all);
    b.records[5].hash++;
    b.records[11].first++;
    ck_assert(trace_print_diff(&x, &y, &all, false, out));
    ck_assert(!trace_print_diff(&x, &y, &all, true, out));
    b.records[5].label++;
    ck_assert(!trace_print_diff(&x, &y, &all, false, out));
    printed();
    ck_assert_ptr_nonnull(strstr(text, "equal: 17 records\n2 of them with another payload"));
    trace_free(&a);
    trace_free(&b);
}
END_TEST

/* The hash that a run prints and the one it keeps of what was said. */
START_TEST(head)
{
    struct trace_file a = trace_of(story, STORY), b = trace_of(story, STORY);
    struct trace_hashes x = trace_hashes(&a), y;
    char want[100];

    b.records[5].hash++;
    y = trace_hashes(&b);
    ck_assert_uint_eq(x.trace, y.trace);
    ck_assert_uint_ne(x.payload, y.payload);
    b.records[5].label++;
    ck_assert_uint_ne(x.trace, trace_hashes(&b).trace);
    trace_print_head("p", &a, out);
    snprintf(want, sizeof(want), "# p: seed 7, trace hash %016" PRIx64 ", payload hash %016" PRIx64,
             x.trace, x.payload);
    ck_assert_ptr_nonnull(strstr(printed(), want));
    ck_assert_ptr_nonnull(strstr(text, "8 PEs, 17 records"));
    ck_assert_ptr_nonnull(strstr(text, "\n# run --seed 7\n"));
    trace_free(&a);
    trace_free(&b);
}
END_TEST

/* Steps and times are what an ordinary run has of its own. */
START_TEST(diff_of_ordinary_runs)
{
    struct trace_file a = trace_of(story, STORY), b = trace_of(story, STORY);
    struct trace_filter all;

    trace_filter_init(&all);
    b.records[4].time++;
    b.records[5].step++;
    ck_assert(!diff(&a, &b, &all));
    b.header.flags = 0;
    ck_assert(diff(&a, &b, &all));
    b.records[5].len++;
    ck_assert(!diff(&a, &b, &all));
    trace_free(&a);
    trace_free(&b);
}
END_TEST

/* ---- the command ----------------------------------------------------------------------------- */

static char trace_path[64];

/* `sempervm trace` with these words; its exit status, and what it printed is in `text`. */
static int command(const char *a, const char *b, const char *c)
{
    char name[] = "trace", *argv[] = {name, (char *)a, (char *)b, (char *)c, NULL};
    int argc = 1 + !!a + !!b + !!c, status;
    char path[64], buf[20000];
    pid_t child;
    size_t n;

    temp_path(path);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        if (!freopen(path, "w", stdout) || dup2(1, 2) < 0)
            _exit(99);
        status = trace_command(argc, argv);
        fflush(stdout);
        _exit(status);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    FILE *f = fopen(path, "r");
    n = fread(buf, 1, sizeof(buf) - 1, f);
    fclose(f);
    unlink(path);
    fwrite(buf, 1, n, out);
    printed();
    return WEXITSTATUS(status);
}

static void setup_file(void)
{
    struct trace_header h = {.flags = TRACE_SEEDED, .pes = 8};
    size_t size;
    uint8_t *bytes = build_trace(h, "", story, STORY, &size);
    FILE *f;

    setup();
    temp_path(trace_path);
    f = fopen(trace_path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
    free(bytes);
}

static void teardown_file(void)
{
    unlink(trace_path);
    teardown();
}

START_TEST(command_prints)
{
    ck_assert_int_eq(command(trace_path, NULL, NULL), 0);
    ck_assert_uint_eq(count_of(text, "\n"), STORY + 3);
}
END_TEST

START_TEST(command_filters)
{
    ck_assert_int_eq(command(trace_path, "--op=obtain", "--from=6"), 0);
    ck_assert_uint_eq(count_of(text, "\n"), 1 + 3);
}
END_TEST

START_TEST(command_diffs)
{
    ck_assert_int_eq(command("--diff", trace_path, trace_path), 0);
    ck_assert_ptr_nonnull(strstr(text, "equal: 17 records"));
}
END_TEST

START_TEST(command_exports)
{
    ck_assert_int_eq(command("--chrome=-", trace_path, NULL), 0);
    ck_assert(json_valid(text));
}
END_TEST

START_TEST(command_refuses)
{
    static const char *const words[][3] = {
        {NULL},
        {"--diff"},
        {"/nowhere"},
        {"--pe=x", trace_path},
        {"--op=x", trace_path},
        {"--frob", trace_path},
        {trace_path, trace_path},
        {"--diff=/nowhere", trace_path},
        {"--summary", "--chrome=-", trace_path},
    };

    ck_assert_int_eq(command(words[_i][0], words[_i][1], words[_i][2]), 2);
    ck_assert_ptr_nonnull(strstr(text, "sempervm"));
    ck_assert_uint_le(count_of(text, "\n"), _i == 5 ? 2 : 1); /* argp has more to say */
}
END_TEST

START_TEST(command_cannot_write)
{
    ck_assert_int_eq(command("--chrome=/dev/full", trace_path, NULL), 3);
    ck_assert_ptr_nonnull(strstr(text, "cannot write /dev/full: No space left"));
}
END_TEST

static void add_case(Suite *s, const char *name, const TTest *const *tests, size_t n,
                     void (*before)(void), void (*after)(void))
{
    TCase *t = tcase_create(name);

    tcase_add_checked_fixture(t, before, after);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
}

static Suite *suite(void)
{
    const TTest *const show[] = {kernels_found,
                                 no_kernels,
                                 calls,
                                 names,
                                 filter_ops,
                                 filter_bad_ops,
                                 filter_pes,
                                 filter_steps_and_errors,
                                 filter_bad_numbers,
                                 lines,
                                 summary,
                                 diff_of_ordinary_runs,
                                 diff_of_payloads,
                                 head};
    const TTest *const commands[] = {command_prints, command_filters, command_diffs,
                                     command_exports, command_cannot_write};
    Suite *s = suite_create("trace_show");
    TCase *t = tcase_create("loops"), *u = tcase_create("refusals");

    add_case(s, "show", show, sizeof(show) / sizeof(show[0]), setup, teardown);
    add_case(s, "command", commands, sizeof(commands) / sizeof(commands[0]), setup_file,
             teardown_file);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, diff_of_each_record, 0, STORY);
    tcase_add_loop_test(t, diff_of_lengths, 0, 2);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(u, setup_file, teardown_file);
    tcase_add_loop_test(u, command_refuses, 0, 9);
    suite_add_tcase(s, u);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    int failed;

    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
