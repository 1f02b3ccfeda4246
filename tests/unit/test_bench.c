/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: tests/bench/stats.c tests/bench/budget.c tests/bench/json.c tests/bench/check.c */
/* LINK: tests/bench/report.c */
/*
 * What the benchmarks are counted and judged with: percentiles, ratios, budgets, results.
 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../bench/check.h"
#include "../bench/stats.h"

static struct samples a, b;
static struct budgets list;
static char err[256];

static void setup(void)
{
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
}

/* ---- statistics ---- */

START_TEST(percentiles_are_of_the_nearest_rank)
{
    for (int i = 100; i >= 1; i--)
        samples_add(&a, i);
    ck_assert_double_eq(samples_at(&a, 0), 1);
    ck_assert_double_eq(samples_at(&a, 0.01), 1);
    ck_assert_double_eq(samples_at(&a, 0.5), 50);
    ck_assert_double_eq(samples_at(&a, 0.99), 99);
    ck_assert_double_eq(samples_at(&a, 1), 100);
    ck_assert_double_eq(samples_mean(&a), 50.5);
}
END_TEST

START_TEST(percentiles_of_few_samples)
{
    ck_assert_double_eq(samples_at(&a, 0.5), 0);
    ck_assert_double_eq(samples_mean(&a), 0);
    samples_add(&a, 7);
    ck_assert_double_eq(samples_at(&a, 0), 7);
    ck_assert_double_eq(samples_at(&a, 0.99), 7);
    samples_add(&a, 5);
    ck_assert_double_eq(samples_at(&a, 0.5), 5);
    ck_assert_double_eq(samples_at(&a, 0.51), 7);
    samples_add(&a, 6);
    ck_assert_double_eq(samples_at(&a, 0.5), 6);
}
END_TEST

START_TEST(what_is_no_number_is_no_sample)
{
    samples_add(&a, NAN);
    samples_add(&a, INFINITY);
    ck_assert_uint_eq(a.n, 0);
    for (unsigned i = 0; i < BENCH_SAMPLES + 10; i++)
        samples_add(&a, 1);
    ck_assert_uint_eq(a.n, BENCH_SAMPLES);
}
END_TEST

START_TEST(a_ratio_is_median_by_median)
{
    static const double value[] = {300, 10, 20}, base[] = {1, 10, 1000, 8, 9};

    ck_assert_double_eq(samples_ratio(&a, &b), 0);
    for (unsigned i = 0; i < 3; i++)
        samples_add(&a, value[i]);
    ck_assert_double_eq(samples_ratio(&a, &b), 0);
    for (unsigned i = 0; i < 5; i++)
        samples_add(&b, base[i]);
    ck_assert_double_eq_tol(samples_ratio(&a, &b), 20.0 / 9, 1e-9);
}
END_TEST

/* ---- budgets ---- */

START_TEST(budget_lines)
{
    struct budget g;

    ck_assert_int_eq(budget_parse("", &g, err, sizeof(err)), 0);
    ck_assert_int_eq(budget_parse("  # msg 1 2\n", &g, err, sizeof(err)), 0);
    ck_assert_int_eq(budget_parse("msg_rtt_64\t3.5  0.01\n", &g, err, sizeof(err)), 1);
    ck_assert_str_eq(g.name, "msg_rtt_64");
    ck_assert_double_eq(g.ratio, 3.5);
    ck_assert(!g.any_exits);
    ck_assert_double_eq(g.exits, 0.01);
    ck_assert_int_eq(budget_parse("boot 3 -", &g, err, sizeof(err)), 1);
    ck_assert(g.any_exits);
}
END_TEST

static const char *const bad_lines[] = {
    "msg",
    "msg 3",
    "msg 3 - -",
    "msg three -",
    "msg 3x -",
    "msg 0 -",
    "msg -1 -",
    "msg nan -",
    "msg inf -",
    "msg 3 -1",
    "msg 3 --",
    "msg 3 some",
    "a_name_that_is_much_longer_than_any_case_has_ever_had 1 -",
};

START_TEST(budget_lines_that_make_no_sense)
{
    struct budget g;

    strcpy(err, "");
    ck_assert_int_eq(budget_parse(bad_lines[_i], &g, err, sizeof(err)), -EINVAL);
    ck_assert_str_ne(err, "");
    ck_assert(!strchr(err, '\n'));
}
END_TEST

static char path[] = "/tmp/test_bench.XXXXXX";

static void put(const char *text)
{
    FILE *f;

    strcpy(path + sizeof(path) - 7, "XXXXXX");
    f = fdopen(mkstemp(path), "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

START_TEST(a_file_of_budgets)
{
    put("# budgets\n\nmsg 3 0\nboot 2.5 -\n");
    ck_assert_int_eq(budgets_read(&list, path, err, sizeof(err)), 0);
    unlink(path);
    ck_assert_uint_eq(list.n, 2);
    ck_assert_ptr_null(budget_find(&list, "ms"));
    ck_assert(budget_holds(budget_find(&list, "msg"), 3, 0));
    ck_assert(!budget_holds(budget_find(&list, "msg"), 3.01, 0));
    ck_assert(!budget_holds(budget_find(&list, "msg"), 2, 0.01));
    ck_assert(!budget_holds(budget_find(&list, "msg"), 0, 0));
    ck_assert(budget_holds(budget_find(&list, "boot"), 1, 1e6));
}
END_TEST

START_TEST(files_of_budgets_that_make_no_sense)
{
    put("msg 3 0\n\nmsg 4 0\n");
    ck_assert_int_eq(budgets_read(&list, path, err, sizeof(err)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, ":3: msg: there is one already"));
    unlink(path);
    ck_assert_int_eq(budgets_read(&list, path, err, sizeof(err)), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err, path));
}
END_TEST

/* ---- JSON ---- */

START_TEST(json_values)
{
    struct json *j = json_parse(" {\"a\": [1, -2.5e1, true, null, {}], \"b\": \"x\\n\\\"\\u0041\","
                                " \"c\": [], \"d\\\\\": 7} ",
                                err, sizeof(err));
    const struct json *l;

    ck_assert_ptr_nonnull(j);
    l = json_get(j, "a")->child;
    ck_assert_double_eq(l->number, 1);
    ck_assert_double_eq(l->next->number, -25);
    ck_assert_int_eq(l->next->next->type, JSON_TRUE);
    ck_assert_int_eq(l->next->next->next->type, JSON_NULL);
    ck_assert_int_eq(l->next->next->next->next->type, JSON_OBJECT);
    ck_assert_str_eq(json_string(j, "b", ""), "x\n\"A");
    ck_assert_double_eq(json_number(j, "d\\", 0), 7);
    ck_assert_double_eq(json_number(j, "b", 42), 42);
    ck_assert_str_eq(json_string(j, "e", "none"), "none");
    json_free(j);
}
END_TEST

static const char *const bad_json[] = {
    "",
    "{",
    "[1, 2",
    "[1 2]",
    "{\"a\" 1}",
    "{a: 1}",
    "\"abc",
    "\"a\\x\"",
    "\"a\nb\"",
    "[1,]",
    "tru",
    "nan",
    "1 2",
    "{\"a\": }",
    "\"a\\",
    "\"\\u12\"",
    "[1e999]",
    "{\"a\": 1,}",
    "[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]",
};

START_TEST(json_that_is_none)
{
    strcpy(err, "");
    ck_assert_ptr_null(json_parse(bad_json[_i], err, sizeof(err)));
    ck_assert_str_ne(err, "");
    ck_assert(!strchr(err, '\n'));
}
END_TEST

/* ---- results ---- */

#define CASE(name, ratio, exits)                                       \
    "{\"name\": \"" name "\", \"ratio\": " ratio ", \"exits\": " exits \
    ", \"n\": 3, \"p50\": 2, \"p99\": 3, \"baseline\": {\"what\": \"a <b>\", \"p50\": 1}}"

static const char *const bad_results[] = {
    "{}",
    "[]",
    "{\"cases\": 3}",
    "{\"cases\": []}",
    "{\"cases\": [3]}",
    "{\"cases\": [{\"name\": \"x\"}]}",
    "{\"cases\": [" CASE("msg", "\"1\"", "0") "]}",
    "{\"cases\": [" CASE("msg", "null", "0") "]}",
    "{\"cases\": [" CASE("msg", "1", "\"0\"") "]}",
};

START_TEST(results_that_are_none)
{
    put(bad_results[_i]);
    ck_assert_ptr_null(check_load(path));
    unlink(path);
    ck_assert_ptr_null(check_load(path));
}
END_TEST

static struct json *results(const char *text)
{
    struct json *j;

    put(text);
    j = check_load(path);
    unlink(path);
    ck_assert_ptr_nonnull(j);
    put("msg 3 0\nboot 2 -\n");
    ck_assert_int_eq(budgets_read(&list, path, err, sizeof(err)), 0);
    unlink(path);
    return j;
}

static unsigned failures(const char *text)
{
    struct json *j = results(text);
    unsigned n = check_print(j, &list);

    json_free(j);
    return n;
}

START_TEST(results_are_held_against_budgets)
{
    ck_assert_uint_eq(
        failures("{\"cases\": [" CASE("msg", "3", "0") "," CASE("boot", "2", "9") "]}"), 0);
    ck_assert_uint_eq(
        failures("{\"cases\": [" CASE("msg", "3.1", "0") "," CASE("boot", "2", "9") "]}"), 1);
    ck_assert_uint_eq(
        failures("{\"cases\": [" CASE("msg", "3", "1") "," CASE("boot", "2.5", "9") "]}"), 2);
    /* What nobody counted is not 0. */
    ck_assert_uint_eq(
        failures("{\"cases\": [" CASE("msg", "3", "null") "," CASE("boot", "2", "null") "]}"), 1);
    /* One without a budget, one without a result. */
    ck_assert_uint_eq(failures("{\"cases\": [" CASE("msg", "3", "0") "," CASE("x", "2", "9") "]}"),
                      2);
}
END_TEST

START_TEST(what_did_not_run)
{
    ck_assert_uint_eq(failures("{\"cases\": [" CASE(
                          "msg", "3", "0") "], \"not_run\": [{\"name\": "
                                           "\"boot\", \"status\": \"skipped\", \"why\": \"no\"}]}"),
                      0);
    ck_assert_uint_eq(failures("{\"cases\": [" CASE(
                          "msg", "3", "0") "], \"not_run\": [{\"name\": "
                                           "\"boot\", \"status\": \"failed\", \"why\": \"no\"}]}"),
                      1);
}
END_TEST

START_TEST(the_page)
{
    struct json *j = results("{\"commit\": \"abc\", \"cases\": [" CASE("msg", "9", "0") "," CASE(
        "boot", "2", "null") "]}");
    static char page[65536];
    FILE *f;
    size_t n;

    put("");
    ck_assert_int_eq(report_write(j, &list, path), 0);
    f = fopen(path, "r");
    n = fread(page, 1, sizeof(page) - 1, f);
    page[n] = 0;
    fclose(f);
    unlink(path);
    ck_assert_ptr_nonnull(strstr(page, "<tr class=\"over\"><td>msg"));
    ck_assert_ptr_nonnull(strstr(page, "<tr><td>boot"));
    ck_assert_ptr_nonnull(strstr(page, "a &lt;b>"));
    ck_assert_ptr_null(strstr(page, "http"));
    ck_assert_ptr_nonnull(strstr(page, "49,686"));
    ck_assert_int_eq(report_write(j, &list, "/nowhere/at/all"), -ENOENT);
    json_free(j);
}
END_TEST

#define COUNT(list) (int)(sizeof(list) / sizeof((list)[0]))

int main(void)
{
    Suite *s = suite_create("bench");
    TCase *t = tcase_create("all");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, percentiles_are_of_the_nearest_rank);
    tcase_add_test(t, percentiles_of_few_samples);
    tcase_add_test(t, what_is_no_number_is_no_sample);
    tcase_add_test(t, a_ratio_is_median_by_median);
    tcase_add_test(t, budget_lines);
    tcase_add_loop_test(t, budget_lines_that_make_no_sense, 0, COUNT(bad_lines));
    tcase_add_test(t, a_file_of_budgets);
    tcase_add_test(t, files_of_budgets_that_make_no_sense);
    tcase_add_test(t, json_values);
    tcase_add_loop_test(t, json_that_is_none, 0, COUNT(bad_json));
    tcase_add_loop_test(t, results_that_are_none, 0, COUNT(bad_results));
    tcase_add_test(t, results_are_held_against_budgets);
    tcase_add_test(t, what_did_not_run);
    tcase_add_test(t, the_page);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
