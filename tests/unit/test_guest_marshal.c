/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages: layout as semperos-platform 7.1 has it, and every length a hostile sender can choose.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/lib/marshal.h"

START_TEST(layout)
{
    /* EXCHANGE as the original sends it: op, VPE, two ranges of 16 bytes, a bool. */
    static const uint8_t want[] = {
        9, 0, 0, 0, 0, 0, 0, 0,                               /* op */
        5, 0, 0, 0, 0, 0, 0, 0,                               /* VPE */
        0, 0, 0, 0, 7, 0, 0, 0, 2,   0,   0,   0, 0, 0, 0, 0, /* own */
        1, 0, 0, 0, 8, 0, 0, 0, 3,   0,   0,   0, 0, 0, 0, 0, /* other */
        1, 0, 0, 0, 0, 0, 0, 0,                               /* obtain */
        3, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0, 0, /* a string */
    };
    uint8_t buf[sizeof(want) + 1];
    struct msg_writer w;
    struct msg_reader r;
    struct cap_range c;
    char name[4];

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, SYSC_EXCHANGE);
    msg_put(&w, 5);
    msg_put_range(&w, (struct cap_range){CRD_OBJ, 7, 2});
    msg_put_range(&w, (struct cap_range){CRD_MAP, 8, 3});
    msg_put(&w, true);
    msg_put_str(&w, "abc", 3);
    ck_assert(!w.error);
    ck_assert_uint_eq(w.len, sizeof(want));
    ck_assert_mem_eq(buf, want, sizeof(want));

    /* And back, from an odd address, with garbage for padding. */
    memcpy(buf + 1, want, sizeof(want));
    memset(buf + 1 + 4, 0xff, 4);
    memset(buf + 1 + 16 + 12, 0xff, 4);
    memset(buf + 1 + 49, 0xff, 7);
    memset(buf + 1 + 67, 0xff, 5);
    msg_reader_init(&r, buf + 1, sizeof(want));
    ck_assert_uint_eq(msg_get_u32(&r), SYSC_EXCHANGE);
    ck_assert_uint_eq(msg_get_u32(&r), 5);
    c = msg_get_range(&r);
    ck_assert(c.type == CRD_OBJ && c.start == 7 && c.count == 2);
    c = msg_get_range(&r);
    ck_assert(c.type == CRD_MAP && c.start == 8 && c.count == 3);
    ck_assert(msg_get_bool(&r));
    ck_assert_uint_eq(msg_remaining(&r), 16);
    ck_assert_uint_eq(msg_get_str(&r, name, sizeof(name)), 3);
    ck_assert_str_eq(name, "abc");
    ck_assert_uint_eq(msg_remaining(&r), 0);
    ck_assert(!r.error);
}
END_TEST

START_TEST(writer_full)
{
    uint8_t buf[32];
    struct msg_writer w;

    for (size_t size = 0; size < sizeof(buf); size++) {
        memset(buf, 0xaa, sizeof(buf));
        msg_writer_init(&w, buf, size);
        for (unsigned i = 0; i < 4; i++)
            msg_put(&w, i);
        ck_assert(w.error);
        ck_assert_uint_eq(w.len, size / 8 * 8);
        for (size_t i = w.len; i < sizeof(buf); i++)
            ck_assert_uint_eq(buf[i], 0xaa);
        msg_put_bytes(&w, "", 0); /* an error stays */
        ck_assert(w.error);
    }
    msg_writer_init(&w, buf, sizeof(buf));
    msg_put_bytes(&w, buf, SIZE_MAX);
    ck_assert(w.error && w.len == 0);
    msg_writer_init(&w, buf, sizeof(buf));
    msg_put_bytes(&w, buf, SIZE_MAX - 6); /* would wrap when padded */
    ck_assert(w.error && w.len == 0);
}
END_TEST

/* Every shorter length than a message needs is noticed, without a byte being read beyond it. */
START_TEST(reader_short)
{
    for (size_t len = 0; len < 29; len++) {
        uint8_t *exact = malloc(len ? len : 1); /* ASan sees the end */
        struct msg_reader r;

        memset(exact, 0xff, len ? len : 1);
        msg_reader_init(&r, exact, len);
        msg_get_u64(&r);
        msg_get_u32(&r);
        msg_get_range(&r);
        ck_assert_msg(r.error == (len < 28), "length %zu", len);
        ck_assert_uint_eq(msg_remaining(&r), 0);
        ck_assert_uint_eq(r.error ? msg_get_u8(&r) : 0, 0); /* zeros from then on */
        free(exact);
    }
}
END_TEST

START_TEST(reader_strings)
{
    static const uint64_t lengths[] = {5, 8, 9, 1ull << 32, SIZE_MAX, SIZE_MAX - 7, SIZE_MAX - 8};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t *exact = malloc(8 + 4); /* says n bytes, has 4 */
        char dst[16];
        struct msg_reader r;

        memcpy(exact, &lengths[i], 8);
        memset(exact + 8, 'x', 4);
        memset(dst, '!', sizeof(dst));
        msg_reader_init(&r, exact, 12);
        ck_assert_uint_eq(msg_get_str(&r, dst, sizeof(dst)), 0);
        ck_assert(r.error);
        ck_assert_str_eq(dst, "");
        free(exact);
    }
}
END_TEST

START_TEST(reader_string_fits)
{
    uint8_t buf[16] = {4, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c', 'd'};
    char dst[8];
    struct msg_reader r;

    for (size_t size = 1; size < sizeof(dst); size++) {
        msg_reader_init(&r, buf, 12);
        ck_assert_uint_eq(msg_get_str(&r, dst, size), size > 4 ? 4 : 0);
        ck_assert(r.error == (size <= 4));
        ck_assert_str_eq(dst, size > 4 ? "abcd" : "");
    }
    buf[9] = 0; /* a NUL inside: two readers would see two names */
    msg_reader_init(&r, buf, 12);
    msg_get_str(&r, dst, sizeof(dst));
    ck_assert(r.error);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("guest marshal");
    TCase *t = tcase_create("marshal");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(t, layout);
    tcase_add_test(t, writer_full);
    tcase_add_test(t, reader_short);
    tcase_add_test(t, reader_strings);
    tcase_add_test(t, reader_string_fits);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
