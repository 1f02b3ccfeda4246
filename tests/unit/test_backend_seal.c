/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev/seal.c */
/* Sealed datagrams, without a network: two nodes and someone in between who keeps everything. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../netdev/seal.h"

#define ROOM 2048u

static const uint8_t key[SEAL_KEY_BYTES] = {1, 2, 3, 4, 5, 6, 7};
static struct seal *a, *b; /* nodes 1 and 2; peer 0 of each is the other */
static struct seal_opened o;

struct letter {
    uint8_t bytes[ROOM];
    size_t len;
};

static struct seal *boot(uint16_t me, uint16_t other)
{
    struct seal *s = seal_new(key, me, NULL, NULL);

    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(seal_add(s, other), 0);
    return s;
}

static void set_up(void)
{
    a = boot(1, 2);
    b = boot(2, 1);
}

static void tear_down(void)
{
    seal_free(a);
    seal_free(b);
}

/* Opens a copy: whoever is in between keeps his. */
static enum seal_verdict deliver(struct seal *to, const struct letter *l)
{
    static uint8_t copy[ROOM];

    memcpy(copy, l->bytes, l->len);
    return seal_open(to, copy, l->len, &o);
}

static struct letter hello_of(struct seal *s)
{
    struct letter l;

    l.len = seal_hello(s, 0, l.bytes);
    ck_assert_uint_eq(l.len, SEAL_HELLO_LEN);
    return l;
}

static struct letter answer_of(struct seal *s)
{
    struct letter l;

    ck_assert(o.answer);
    l.len = seal_answer(s, &o, l.bytes);
    ck_assert_uint_eq(l.len, SEAL_HELLO_LEN);
    return l;
}

static struct letter frame_of(struct seal *s, const char *text)
{
    struct letter l;
    long len = seal_frame(s, 0, text, strlen(text), l.bytes);

    ck_assert_int_eq(len, (long)(strlen(text) + SEAL_OVERHEAD));
    l.len = (size_t)len;
    return l;
}

static void meet(struct seal *x, struct seal *y)
{
    struct letter l = hello_of(x);

    ck_assert_int_eq(deliver(y, &l), SEAL_GREETING);
    ck_assert(!o.fresh);
    l = answer_of(y);
    ck_assert_int_eq(deliver(x, &l), SEAL_GREETING);
    ck_assert(o.fresh && seal_ready(x, 0));
    if (!o.answer)
        return; /* y knew x */
    l = answer_of(x);
    ck_assert_int_eq(deliver(y, &l), SEAL_GREETING);
    ck_assert(o.fresh && seal_ready(y, 0));
    ck_assert(!o.answer);
}

static void arrives(struct seal *from, struct seal *to, const char *text)
{
    struct letter l = frame_of(from, text);

    ck_assert_int_eq(deliver(to, &l), SEAL_FRAME);
    ck_assert(o.fresh && !o.answer && !o.challenge);
    ck_assert_uint_eq(o.len, strlen(text));
    ck_assert_mem_eq(o.frame, text, o.len);
    ck_assert_int_eq(deliver(to, &l), SEAL_REPLAYED);
    ck_assert(!o.fresh && !o.frame);
}

START_TEST(session)
{
    uint8_t out[ROOM];

    ck_assert_int_eq(seal_frame(a, 0, "x", 1, out), -ENOTCONN);
    meet(a, b);
    arrives(a, b, "hello");
    arrives(b, a, "you");
    meet(b, a); /* once more changes nothing */
    arrives(a, b, "again");
    ck_assert_int_eq(seal_frame(a, 0, "", 0, out), -EMSGSIZE);
    ck_assert_int_eq(seal_frame(a, 0, out, SEAL_FRAME_MAX + 1, out), -EMSGSIZE);
    ck_assert_int_eq(seal_add(a, 1), -EEXIST);
    ck_assert_int_eq(seal_add(a, 2), -EEXIST);
    for (unsigned i = 1; i < SEAL_PEERS_MAX; i++)
        ck_assert_int_eq(seal_add(a, (uint16_t)(i + 2)), (int)i);
    ck_assert_int_eq(seal_add(a, 1000), -ENOSPC);
}
END_TEST

/* Both greet at once, and answers cross. */
START_TEST(crossing)
{
    struct letter ha = hello_of(a), hb = hello_of(b), ra, rb;

    deliver(b, &ha);
    rb = answer_of(b);
    deliver(a, &hb);
    ra = answer_of(a);
    ck_assert_int_eq(deliver(a, &rb), SEAL_GREETING);
    ck_assert_int_eq(deliver(b, &ra), SEAL_GREETING);
    arrives(a, b, "one");
    arrives(b, a, "two");
}
END_TEST

/* Nothing of the text or of two equal texts can be seen. */
START_TEST(secret)
{
    struct letter x, y;

    meet(a, b);
    x = frame_of(a, "the same text");
    y = frame_of(a, "the same text");
    ck_assert_ptr_null(memmem(x.bytes, x.len, "same", 4));
    ck_assert(memcmp(x.bytes + 32, y.bytes + 32, 24) != 0);
    ck_assert(memcmp(x.bytes + SEAL_HEADER, y.bytes + SEAL_HEADER, 13) != 0);
    ck_assert_mem_eq(x.bytes, "SV\1\0\0\1\0\2", 8);
}
END_TEST

/* Any bit changed, any length: never a frame, never a change. */
START_TEST(forged)
{
    struct letter l;
    unsigned counts[SEAL_VERDICTS] = {0};

    meet(a, b);
    l = frame_of(a, "payload");
    for (size_t bit = 0; bit < 8 * l.len; bit++) {
        struct letter bad = l;

        bad.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        counts[deliver(b, &bad)]++;
        ck_assert(!o.fresh && !o.frame && !o.answer && !o.challenge);
    }
    ck_assert_uint_eq(counts[SEAL_FORMAT], 32);
    ck_assert_uint_eq(counts[SEAL_STRANGER], 16);
    ck_assert_uint_eq(counts[SEAL_ELSEWHERE], 16);
    ck_assert_uint_eq(counts[SEAL_FORGED], 8 * l.len - 64);
    for (size_t len = 0; len < l.len; len++) {
        struct letter cut = l;

        cut.len = len;
        ck_assert_int_eq(deliver(b, &cut), len <= SEAL_OVERHEAD ? SEAL_SHORT : SEAL_FORGED);
    }
    l.bytes[l.len++] = 0;
    ck_assert_int_eq(deliver(b, &l), SEAL_FORGED);
    l.len--;
    ck_assert_int_eq(deliver(b, &l), SEAL_FRAME);
}
END_TEST

START_TEST(other_key)
{
    uint8_t wrong[SEAL_KEY_BYTES] = {9};
    struct seal *evil = seal_new(wrong, 1, NULL, NULL);
    struct letter l;

    seal_add(evil, 2);
    l = hello_of(evil);
    ck_assert_int_eq(deliver(b, &l), SEAL_FORGED);
    ck_assert(!o.answer);
    seal_free(evil);
}
END_TEST

START_TEST(misdirected)
{
    struct seal *c = boot(3, 1);
    struct letter l;

    seal_add(c, 2);
    meet(a, b);
    l = frame_of(a, "for two");
    ck_assert_int_eq(deliver(c, &l), SEAL_ELSEWHERE);
    ck_assert_int_eq(deliver(a, &l), SEAL_STRANGER); /* reflected */
    l = hello_of(c);
    ck_assert_int_eq(deliver(a, &l), SEAL_STRANGER);
    seal_free(c);
}
END_TEST

/* Numbers over a window, in every order that a small model can tell. */
START_TEST(window)
{
    enum { N = 6000 };
    struct letter *l = calloc(N, sizeof(*l));
    bool had[N + 1] = {false};
    unsigned highest = 0, x = 7, verdicts[SEAL_VERDICTS] = {0};

    meet(a, b);
    for (unsigned i = 0; i < N; i++)
        l[i] = frame_of(a, "n");
    for (unsigned i = 0; i < 40000; i++) {
        unsigned near, n;
        enum seal_verdict want;

        x = x * 1103515245 + 12345;
        near = highest < 3000 ? 0 : highest - 3000;
        n = x >> 31 ? highest + 1 + (x >> 8) % 3 : near + (x >> 8) % 3001;
        if ((x >> 20) % 512 == 0)
            n = highest + (x >> 8) % 2500;
        if (n < 1 || n > N)
            continue;
        want = n + SEAL_WINDOW <= highest ? SEAL_LATE : had[n] ? SEAL_REPLAYED : SEAL_FRAME;
        ck_assert_int_eq(deliver(b, &l[n - 1]), want);
        verdicts[want]++;
        had[n] = true;
        highest = n > highest ? n : highest;
    }
    ck_assert_uint_gt(verdicts[SEAL_LATE], 50);
    ck_assert_uint_gt(verdicts[SEAL_REPLAYED], 50);
    ck_assert_uint_gt(verdicts[SEAL_FRAME], 1000);
    free(l);
}
END_TEST

/* The receiver was restarted: what was for its former boot never arrives, and they find together.
 */
START_TEST(receiver_restarts)
{
    struct letter old[3], l;

    meet(a, b);
    for (unsigned i = 0; i < 3; i++)
        old[i] = frame_of(a, "old");
    ck_assert_int_eq(deliver(b, &old[0]), SEAL_FRAME);
    seal_free(b);
    b = boot(2, 1);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(deliver(b, &old[i]), SEAL_OTHER_BOOT);
        ck_assert(o.challenge && !o.fresh);
    }
    l = hello_of(b);
    ck_assert_int_eq(deliver(a, &l), SEAL_GREETING);
    l = answer_of(a);
    ck_assert_int_eq(deliver(b, &l), SEAL_GREETING);
    l = answer_of(b);
    ck_assert_int_eq(deliver(a, &l), SEAL_GREETING);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(deliver(b, &old[i]), SEAL_OTHER_BOOT);
    arrives(a, b, "new");
    arrives(b, a, "new");
}
END_TEST

/*
 * The sender was restarted.  Everything of its former boot is replayed at every point, hellos and
 * answers too: none brings that boot back.
 */
START_TEST(sender_restarts)
{
    struct letter old[8], l;
    unsigned n = 0;

    /* Its first boot, with an answer to a cookie that stays unspent, held back. */
    old[n++] = l = hello_of(a);
    deliver(b, &l);
    l = answer_of(b);
    deliver(a, &l);
    old[n++] = l = answer_of(a);
    deliver(b, &l);
    old[n++] = l = frame_of(a, "old, arrived");
    ck_assert_int_eq(deliver(b, &l), SEAL_FRAME);
    old[n++] = frame_of(a, "old, held back");
    l = hello_of(b);
    deliver(a, &l);
    old[n++] = answer_of(a); /* b's next cookie, echoed by the first boot */
    seal_free(a);
    a = boot(1, 2);
    for (unsigned i = 0; i < 4; i++) {
        enum seal_verdict v = deliver(b, &old[i]);

        ck_assert(v == (i == 0   ? SEAL_GREETING
                        : i == 1 ? SEAL_BAD_ECHO
                        : i == 2 ? SEAL_REPLAYED
                                 : SEAL_FRAME)); /* delayed, not replayed: b knows no better */
    }
    meet(a, b);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < n; i++) {
            enum seal_verdict v = deliver(b, &old[i]);

            ck_assert(v == (i == 0             ? SEAL_GREETING
                            : i == 1 || i == 4 ? SEAL_BAD_ECHO
                                               : SEAL_EPOCH));
            ck_assert(!o.fresh);
        }
        arrives(a, b, "new");
        arrives(b, a, "new");
    }
}
END_TEST

/* A held-back echo of the boot in force is no new boot: its window stays. */
START_TEST(same_boot)
{
    struct letter f, l;

    meet(a, b);
    f = frame_of(a, "once");
    ck_assert_int_eq(deliver(b, &f), SEAL_FRAME);
    l = hello_of(b);
    deliver(a, &l);
    l = answer_of(a);
    ck_assert_int_eq(deliver(b, &l), SEAL_GREETING);
    ck_assert(o.fresh);
    ck_assert_int_eq(deliver(b, &f), SEAL_REPLAYED);
    ck_assert_int_eq(deliver(b, &l), SEAL_BAD_ECHO);
}
END_TEST

static int load(const char *path, const void *text, size_t len, mode_t mode, uint8_t *out)
{
    FILE *f = fopen(path, "wb");

    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    fclose(f);
    chmod(path, mode);
    return seal_key_load(path, out);
}

START_TEST(key_file)
{
    static const char hex[] =
        "000102030405060708090A0B0c0d0e0f101112131415161718191a1b1c1d1e1f\r\n";
    static const size_t bad[] = {0, 1, 31, 33, 63};
    char path[] = "/tmp/seal_key.XXXXXX";
    uint8_t raw[SEAL_KEY_BYTES], got[SEAL_KEY_BYTES], zero[SEAL_KEY_BYTES] = {0};

    close(mkstemp(path));
    for (unsigned i = 0; i < sizeof(raw); i++)
        raw[i] = (uint8_t)i;
    ck_assert_int_eq(load(path, raw, 32, 0600, got), 0);
    ck_assert_mem_eq(got, raw, 32);
    memset(got, 0, 32);
    ck_assert_int_eq(load(path, hex, 64, 0400, got), 0);
    ck_assert_mem_eq(got, raw, 32);
    ck_assert_int_eq(load(path, hex, 66, 0600, got), 0);
    ck_assert_int_eq(load(path, "x", 1, 0600, got), -EINVAL);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(load(path, hex, bad[i], 0600, got), -EINVAL);
    ck_assert_int_eq(load(path, hex, 65, 0600, got), -EINVAL); /* \r alone */
    ck_assert_int_eq(load(path, zero, 32, 0600, got), -EINVAL);
    ck_assert_int_eq(load(path, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg",
                          64, 0600, got),
                     -EINVAL);
    ck_assert_mem_eq(got, zero, 32);
    for (unsigned bit = 0; bit < 6; bit++)
        ck_assert_int_eq(load(path, raw, 32, (mode_t)(0600 | 1 << bit), got), -EPERM);
    unlink(path);
    ck_assert_int_eq(seal_key_load(path, got), -ENOENT);
    ck_assert_int_eq(seal_key_load("/tmp", got), -EINVAL);
    ck_assert_int_eq(seal_key_load("/dev/null", got), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("seal");
    TCase *t = tcase_create("seal");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, session);
    tcase_add_test(t, crossing);
    tcase_add_test(t, secret);
    tcase_add_test(t, forged);
    tcase_add_test(t, other_key);
    tcase_add_test(t, misdirected);
    tcase_add_test(t, window);
    tcase_add_test(t, receiver_restarts);
    tcase_add_test(t, sender_restarts);
    tcase_add_test(t, same_boot);
    tcase_add_test(t, key_file);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
