/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/console.c */
/*
 * The console: whole lines, prefixes, escape sequences, and threads that print at once.
 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../vmm/console.h"

#define PES   8u
#define LINES 400u

static char *contents(int fd)
{
    off_t n = lseek(fd, 0, SEEK_END);
    char *p = calloc(1, (size_t)n + 1);

    ck_assert_int_eq(pread(fd, p, (size_t)n, 0), n);
    return p;
}

static void expect(bool prefix, bool colour, const char *const *pieces, const char *want)
{
    int fd = memfd_create("console", 0);
    struct console *c = console_new(fd, PES, prefix, colour);
    char *got;

    for (; *pieces; pieces++)
        console_write(c, 3, *pieces, strlen(*pieces));
    console_free(c);
    got = contents(fd);
    ck_assert_str_eq(got, want);
    free(got);
    close(fd);
}

START_TEST(lines)
{
    expect(false, false, (const char *[]){"one", " line\ntwo", NULL}, "one line\ntwo\n");
    expect(true, false, (const char *[]){"a\n\nb", NULL}, "[PE 3] a\n[PE 3] \n[PE 3] b\n");
    expect(false, false, (const char *[]){"", NULL}, "");
}
END_TEST

START_TEST(escapes)
{
    const char *p[] = {"\033[0;3", "2m[kernel] x", "\n\033[0m", NULL};

    expect(false, false, p, "[kernel] x\n");
    expect(false, true, p, "\033[0;32m[kernel] x\n\033[0m\n");
    expect(false, false, (const char *[]){"a\033", "[2Kb\033cd\n", NULL}, "abd\n");
}
END_TEST

START_TEST(long_line)
{
    char *big = malloc(10001), *got;
    int fd = memfd_create("console", 0);
    struct console *c = console_new(fd, PES, false, false);
    size_t i, text = 0;

    memset(big, 'x', 10000);
    big[10000] = '\n';
    console_write(c, 1, big, 10001);
    console_free(c);
    got = contents(fd);
    for (i = 0; got[i]; i++)
        text += got[i] == 'x';
    ck_assert_uint_eq(text, 10000);
    free(got);
    free(big);
    close(fd);
}
END_TEST

START_TEST(lost_is_counted)
{
    int fd = open("/dev/full", O_WRONLY);
    struct console *c = console_new(fd, PES, false, false);

    console_write(c, 1, "gone\n", 5);
    ck_assert_uint_eq(console_lost(c), 5);
    console_free(c);
    close(fd);
}
END_TEST

struct talker {
    struct console *c;
    unsigned pe;
};

static void *talk(void *arg)
{
    struct talker *t = arg;
    char line[64];
    unsigned i;

    for (i = 0; i < LINES; i++) {
        int n = snprintf(line, sizeof(line), "PE %u says %u\n", t->pe, i);

        console_write(t->c, t->pe, line, 5);
        console_write(t->c, t->pe, line + 5, (size_t)n - 5);
    }
    return NULL;
}

/* Lines of different PEs are whole, and those of one PE in order. */
START_TEST(threads)
{
    int fd = memfd_create("console", 0);
    struct console *c = console_new(fd, PES, true, false);
    pthread_t th[PES];
    struct talker t[PES];
    unsigned i, seen[PES + 1] = {0}, total = 0;
    char *got, *line, *save = NULL;

    for (i = 0; i < PES; i++) {
        t[i] = (struct talker){c, i + 1};
        ck_assert_int_eq(pthread_create(&th[i], NULL, talk, &t[i]), 0);
    }
    for (i = 0; i < PES; i++)
        pthread_join(th[i], NULL);
    console_free(c);
    got = contents(fd);
    for (line = strtok_r(got, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned pe, again, n;
        int end = 0;

        ck_assert_msg(sscanf(line, "[PE %u] PE %u says %u%n", &pe, &again, &n, &end) == 3 &&
                          line[end] == 0 && pe == again && pe <= PES,
                      "%s", line);
        ck_assert_uint_eq(n, seen[pe]++);
        total++;
    }
    ck_assert_uint_eq(total, PES * LINES);
    free(got);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("console");
    TCase *t = tcase_create("console");
    SRunner *r;
    int failed;

    tcase_add_test(t, lines);
    tcase_add_test(t, escapes);
    tcase_add_test(t, long_line);
    tcase_add_test(t, lost_is_counted);
    tcase_add_test(t, threads);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
