/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guests' formatting against the C library's, which is the reference for all that fmt.h
 * promises.
 */
/* LINK: guest/lib/fmt.c */
#include <check.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/lib/fmt.h"

/* Both, into a buffer of every size from 0 up. */
#define SAME(...)                                                                 \
    do {                                                                          \
        char want[256], got[256];                                                 \
        int len = snprintf(want, sizeof(want), __VA_ARGS__);                      \
        for (size_t size = 0; size <= (size_t)len + 2; size++) {                  \
            memset(want, '~', sizeof(want));                                      \
            memset(got, '~', sizeof(got));                                        \
            snprintf(want, size, __VA_ARGS__);                                    \
            ck_assert_uint_eq(fmt_snprintf(got, size, __VA_ARGS__), (size_t)len); \
            ck_assert_mem_eq(want, got, sizeof(want));                            \
        }                                                                         \
    } while (0)

START_TEST(plain)
{
    SAME("nothing to do");
    SAME("100%%");
    SAME("%s", "");
    SAME("%c%c%c", 'a', ' ', 'z');
    SAME("%s and %s", "one", "two");
}
END_TEST

START_TEST(integers)
{
    static const long values[] = {
        0,        1,        -1,       9,         10,       -10,  255, 256,   INT_MAX, INT_MIN,
        UINT_MAX, LONG_MAX, LONG_MIN, 123456789, 0x5c0000, -128, 128, 32768, -32769};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        long v = values[i];

        SAME("%d|%i|%u|%x|%X", (int)v, (int)v, (unsigned)v, (unsigned)v, (unsigned)v);
        SAME("%ld|%lu|%lx|%#lx", v, (unsigned long)v, (unsigned long)v, (unsigned long)v);
        SAME("%lld|%llu|%llx", (long long)v, (unsigned long long)v, (unsigned long long)v);
        SAME("%zu|%zx|%zd", (size_t)v, (size_t)v, (ssize_t)v);
        SAME("%hhd|%hhu|%hhx", (signed char)v, (unsigned char)v, (unsigned char)v);
        SAME("%hd|%hu|%hx", (short)v, (unsigned short)v, (unsigned short)v);
        SAME("%8d|%-8d|%08d|%+d|%+08d", (int)v, (int)v, (int)v, (int)v, (int)v);
        SAME("%16lx|%-16lx|%016lx|%#018lx|%-#18lx|%.5lx|%12.5lx", (unsigned long)v,
             (unsigned long)v, (unsigned long)v, (unsigned long)v, (unsigned long)v,
             (unsigned long)v, (unsigned long)v);
        SAME("%*d|%-*d|%*d|%.*d", 12, (int)v, 12, (int)v, -12, (int)v, 4, (int)v);
    }
}
END_TEST

START_TEST(strings)
{
    SAME("%10s|%-10s|%.2s|%10.2s|%-10.2s|%.0s", "text", "text", "text", "text", "text", "text");
    SAME("%*s|%.*s|%-*.*s", 7, "abc", 2, "abc", 7, 2, "abc");
    SAME("%5c|%-5c|", 'x', 'x');
    SAME("%2s", "longer than its field");
}
END_TEST

START_TEST(pointers)
{
    SAME("%p %20p %-20p|", (void *)0x1234, (void *)0x5c0000000, (void *)1);
}
END_TEST

START_TEST(unknown)
{
    char buf[64];

    const char *volatile none = NULL;

    ck_assert_uint_eq(fmt_snprintf(buf, sizeof(buf), "%s", none), 6);
    ck_assert_str_eq(buf, "(null)");
    /* Not in the list: as it stands.  Through a variable, since the compiler knows better. */
    const char *volatile odd = "%q %5w %";
    fmt_snprintf(buf, sizeof(buf), odd);
    ck_assert_str_eq(buf, "%q %5w %");
    odd = "%99999999d|";
    ck_assert_uint_lt(fmt_snprintf(buf, sizeof(buf), odd, 1), 50000); /* bounded */
}
END_TEST

START_TEST(parse)
{
    static const struct {
        const char *text;
        bool ok;
        unsigned long value;
    } cases[] = {
        {"0", true, 0},
        {"42", true, 42},
        {"0x2a", true, 42},
        {"0X2A", true, 42},
        {"18446744073709551615", true, ULONG_MAX},
        {"0xffffffffffffffff", true, ULONG_MAX},
        {"18446744073709551616", false, 0},
        {"0x10000000000000000", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"0x", false, 0},
        {"-1", false, 0},
        {"12a", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"0xg", false, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned long v = 0;

        ck_assert_msg(fmt_parse(cases[i].text, &v) == cases[i].ok, "%s", cases[i].text);
        ck_assert_uint_eq(v, cases[i].value);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("guest fmt");
    TCase *t = tcase_create("fmt");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, plain);
    tcase_add_test(t, integers);
    tcase_add_test(t, strings);
    tcase_add_test(t, pointers);
    tcase_add_test(t, unknown);
    tcase_add_test(t, parse);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
