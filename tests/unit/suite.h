/* SPDX-License-Identifier: BSD-2-Clause */
/* The main() of a Check program that has one test case. */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>

#define SUITE_COUNT(tests) (sizeof(tests) / sizeof((tests)[0]))

/* `before` and `after` surround each test; NULL: nothing.  In seconds for each. */
static inline int suite_run(const char *name, const TTest *const *tests, size_t n, SFun before,
                            SFun after, double seconds)
{
    TCase *tc = tcase_create(name);
    Suite *s = suite_create(name);
    SRunner *sr = srunner_create(s);
    int failed;

    if (before)
        tcase_add_checked_fixture(tc, before, after);
    tcase_set_timeout(tc, seconds);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

#endif
