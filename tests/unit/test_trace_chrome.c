/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/trace_chrome.c vmm/trace_flow.c vmm/trace_print.c vmm/trace_filter.c */
/* LINK: vmm/trace_names.c vmm/trace_read.c */
/*
 * Which records are one message, and the JSON that viewers draw arrows from.
 */
#include "../../vmm/trace_chrome.h"
#include "../../vmm/trace_flow.h"
#include "../../vmm/trace_print.h"
#include "json_check.h"
#include "trace_story.h"

/* ---- messages -------------------------------------------------------------------------------- */

static struct trace_flows flows_of(const struct trace_record *r, size_t count)
{
    struct trace_flows f;

    ck_assert_int_eq(trace_flows(&f, r, count), 0);
    return f;
}

START_TEST(flow_of_a_call)
{
    struct trace_flows f = flows_of(story, STORY);

    ck_assert_uint_eq(f.next[5], 7);
    ck_assert_uint_eq(f.next[7], 8);
    ck_assert_uint_eq(f.next[8], 9);
    ck_assert_uint_eq(f.next[9], TRACE_FLOW_NONE);
    ck_assert_uint_eq(f.next[11], TRACE_FLOW_NONE); /* never fetched */
    ck_assert_uint_eq(f.prev[5], TRACE_FLOW_NONE);
    ck_assert_uint_eq(f.prev[9], 8);
    ck_assert_uint_eq(f.head[9], 5);
    ck_assert_uint_eq(f.head[11], TRACE_FLOW_NONE);
    trace_flow_cut(&f, 7);
    trace_flow_heads(&f, STORY);
    ck_assert_uint_eq(f.head[7], 5);
    ck_assert_uint_eq(f.head[9], 8);
    trace_flows_free(&f);
}
END_TEST

/* Two senders, two endpoints, two labels: each finds its own, and the order of the same is kept,
 * even when the fetch is recorded before the send. */
START_TEST(flow_by_key)
{
    const struct trace_record r[] = {
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 1, .label = 9},
        {.pe = 1, .op = TR_SEND, .peer = 2, .offset = 4, .label = 9},
        {.pe = 1, .op = TR_SEND, .peer = 2, .offset = 4, .label = 9},
        {.pe = 1, .op = TR_SEND, .peer = 2, .offset = 4, .label = 8},
        {.pe = 3, .op = TR_SEND, .peer = 2, .offset = 4, .label = 9},
        {.pe = 1, .op = TR_SEND, .peer = 2, .offset = 5, .label = 9},
        {.pe = 1, .op = TR_SEND, .peer = 2, .offset = 4, .label = 9, .result = SE_NO_RING_SPACE},
        {.pe = 2, .op = TR_FETCH, .ep = 5, .peer = 1, .label = 9},
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 3, .label = 9},
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 1, .label = 8},
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 1, .label = 9},
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 1, .label = 9},
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = NONE},
    };
    static const uint32_t next[] = {0, 0, 10, 9, 8, 7};
    struct trace_flows f = flows_of(r, 13);

    for (unsigned i = 1; i < 6; i++)
        ck_assert_uint_eq(f.next[i], next[i]);
    ck_assert_uint_eq(f.next[6], TRACE_FLOW_NONE);
    ck_assert_uint_eq(f.prev[11], TRACE_FLOW_NONE);
    trace_flows_free(&f);
}
END_TEST

/* A reply answers the oldest request that was not acknowledged. */
START_TEST(flow_after_ack)
{
    const struct trace_record r[] = {
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 1, .offset = 0x100},
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 1, .offset = 0x200},
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 3, .offset = 0x300},
        {.pe = 2, .op = TR_ACK, .ep = 4, .peer = 1, .offset = 0x100},
        {.pe = 2, .op = TR_REPLY, .ep = 4, .peer = 1, .offset = 1},
        {.pe = 2, .op = TR_REPLY, .ep = 4, .peer = 3, .offset = 1},
        {.pe = 2, .op = TR_REPLY, .ep = 4, .peer = 1, .offset = 1},
    };
    struct trace_flows f = flows_of(r, 7);

    ck_assert_uint_eq(f.next[0], TRACE_FLOW_NONE);
    ck_assert_uint_eq(f.next[1], 4);
    ck_assert_uint_eq(f.next[2], 5);
    ck_assert_uint_eq(f.prev[6], TRACE_FLOW_NONE);
    trace_flows_free(&f);
}
END_TEST

/* A forged trace: the reply to a message is that message. */
START_TEST(flow_in_a_circle)
{
    const struct trace_record r[] = {
        {.pe = 2, .op = TR_FETCH, .ep = 4, .peer = 2, .label = 9},
        {.pe = 2, .op = TR_REPLY, .ep = 4, .peer = 2, .offset = 4, .label = 9},
    };
    struct trace_file file = trace_of(r, 2);
    struct trace_flows f = flows_of(r, 2);
    struct trace_filter all;

    ck_assert_uint_eq(f.next[1], 0);
    ck_assert_uint_eq(f.next[0], 1);
    ck_assert_uint_eq(f.head[0], TRACE_FLOW_NONE);
    trace_flows_free(&f);
    trace_filter_init(&all);
    ck_assert_int_eq(trace_chrome(&file, &all, &kernels, out), 0);
    ck_assert(json_valid(printed()));
    trace_free(&file);
}
END_TEST

/* ---- JSON ------------------------------------------------------------------------------------ */

/* The checker itself: what is JSON and what is not. */
START_TEST(checker)
{
    static const char *const good[] = {"1", " [ ] ", "{\"a\":[-0.5e+3,{}],\"b\":\"\\u00e9\\n\"}",
                                       "true", "[0,10]"};
    static const char *const bad[] = {"",      "[1,]",      "{\"a\":}", "{a:1}",   "[1",
                                      "01",    "\"\n\"",    "1.",       "\"\\x\"", "\"\\u12\"",
                                      "[1] x", "{\"a\" 1}", "-",        "\"",      "tru"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(json_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!json_valid(bad[i]), "%s", bad[i]);
}
END_TEST

static const char *chrome(const struct trace_filter *filter)
{
    struct trace_file f = trace_of(story, STORY);

    ck_assert_int_eq(trace_chrome(&f, filter, &kernels, out), 0);
    trace_free(&f);
    ck_assert(json_valid(printed()));
    return text;
}

START_TEST(chrome_events)
{
    struct trace_filter all;
    const char *s;

    trace_filter_init(&all);
    s = chrome(&all);
    ck_assert_ptr_nonnull(strstr(s, "{\"name\":\"PE 1 (kernel)\"}"));
    ck_assert_ptr_nonnull(strstr(s, "{\"name\":\"PE 2\"}"));
    ck_assert_ptr_nonnull(strstr(s, "{\"name\":\"scheduler\"}"));
    ck_assert_uint_eq(count_of(s, "\"thread_name\""), 5);
    /* 9 commands, one wait, two turns of the scheduler */
    ck_assert_uint_eq(count_of(s, "\"ph\":\"X\""), 12);
    ck_assert_uint_eq(count_of(s, "\"ph\":\"i\""), 4);
    ck_assert_ptr_nonnull(strstr(s, "\"name\":\"SEND OBTAIN\""));
    ck_assert_ptr_nonnull(strstr(s, "\"name\":\"REPLY OBTAIN\""));
    ck_assert_uint_eq(count_of(s, "\"name\":\"FETCH OBTAIN\""), 2);
    /* The wait goes on until the wake-up. */
    ck_assert_ptr_nonnull(
        strstr(s, "\"tid\":1,\"ts\":3.999,\"dur\":3.001,\"cat\":\"dtu\",\"name\":\"HLT\""));
}
END_TEST

START_TEST(chrome_arrows)
{
    struct trace_filter all;
    const char *s;

    trace_filter_init(&all);
    s = chrome(&all);
    ck_assert_uint_eq(count_of(s, "\"cat\":\"message\""), 4);
    ck_assert_uint_eq(count_of(s, "\"id\":5,"), 4);
    ck_assert_ptr_nonnull(strstr(s, "{\"ph\":\"s\",\"pid\":1,\"tid\":2,\"ts\":5.800,\"id\":5"));
    ck_assert_ptr_nonnull(strstr(s, "{\"ph\":\"t\",\"pid\":1,\"tid\":1,\"ts\":7.999,\"id\":5"));
    ck_assert_ptr_nonnull(strstr(s, "{\"ph\":\"t\",\"pid\":1,\"tid\":1,\"ts\":8.800,\"id\":5"));
    ck_assert_ptr_nonnull(strstr(s, "{\"ph\":\"f\",\"pid\":1,\"tid\":2,\"ts\":8.999,\"id\":5"));
}
END_TEST

/* Without PE 1 there is nothing for an arrow to go to. */
START_TEST(chrome_filtered)
{
    struct trace_filter two;
    char err[100];
    const char *s;

    trace_filter_init(&two);
    two.by_pe = true;
    trace_filter_pes(&two.pes, "--pe", "2", err, sizeof(err));
    s = chrome(&two);
    ck_assert_uint_eq(count_of(s, "\"cat\":\"message\""), 0);
    ck_assert_uint_eq(count_of(s, "\"tid\":1,"), 0);
    ck_assert_uint_eq(count_of(s, "\"name\":\"SEND"), 2);
}
END_TEST

/* A send whose record is later than the fetch begins before it all the same. */
START_TEST(chrome_late_record)
{
    const struct trace_record r[] = {
        {.pe = 2, .time = 5000, .op = TR_FETCH, .ep = 4, .peer = 1},
        {.pe = 1, .time = 9000, .op = TR_SEND, .peer = 2, .offset = 4},
    };
    struct trace_file f = trace_of(r, 2);
    struct trace_filter all;

    trace_filter_init(&all);
    ck_assert_int_eq(trace_chrome(&f, &all, &kernels, out), 0);
    printed();
    ck_assert_ptr_nonnull(strstr(text, "{\"ph\":\"s\",\"pid\":1,\"tid\":1,\"ts\":4.800,"));
    ck_assert_ptr_nonnull(strstr(text, "{\"ph\":\"f\",\"pid\":1,\"tid\":2,\"ts\":4.999,"));
    trace_free(&f);
}
END_TEST

/* What the command line of a trace holds is text, whatever it is. */
START_TEST(chrome_strings)
{
    struct trace_header h = {.pes = 1, .args_len = 8};
    struct trace_filter all;
    struct trace_file f;
    char err[100];
    size_t size;
    uint8_t *bytes = build_trace(h, "\"\\\n\xE9\x7F\x01z", NULL, 0, &size);

    trace_filter_init(&all);
    ck_assert_int_eq(trace_parse(bytes, size, &f, err, sizeof(err)), 0);
    ck_assert_int_eq(trace_chrome(&f, &all, &kernels, out), 0);
    trace_print_head("na\nme", &f, out);
    printed();
    ck_assert_ptr_nonnull(strstr(text, "run \\\"\\\\\\u000a\\u00e9\\u007f\\u0001z\""));
    ck_assert_ptr_nonnull(strstr(text, "# na?me: ordinary run"));
    *strstr(text, "\n# na") = '\0';
    ck_assert(json_valid(text));
    trace_free(&f);
    free(bytes);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const tests[] = {
        flow_of_a_call, flow_by_key,   flow_after_ack,  flow_in_a_circle,   checker,
        chrome_events,  chrome_arrows, chrome_filtered, chrome_late_record, chrome_strings};
    Suite *s = suite_create("trace_chrome");
    TCase *t = tcase_create("chrome");

    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
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
