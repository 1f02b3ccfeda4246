/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: guest/bridge/link.c guest/bridge/link_hs.c guest/bridge/link_rx.c */
/* LINK: guest/bridge/link_rec.c guest/bridge/link_tx.c */
/*
 * What a link takes and what it does not: every drop cause, and that what is dropped changes
 * nothing but its counter.
 */
#include <check.h>
#include <stdio.h>

#include "link_puppet.h"

static struct puppet *p;
static uint8_t body[65536];
static uint8_t *before;

static void setup(void)
{
    p = puppet_new(4);
    before = malloc(p->size);
    puppet_connect(p);
    memset(body, 0, sizeof(body));
}

static void teardown(void)
{
    free(before);
    puppet_free(p);
}

static void remember(void)
{
    memcpy(before, p->mem, p->size);
}

/* Is the link as it was, its counters aside? */
static bool unchanged(void)
{
    size_t off = (size_t)((const uint8_t *)link_stats(p->link) - (uint8_t *)p->mem);

    memcpy(before + off, link_stats(p->link), sizeof(struct link_stats));
    return memcmp(before, p->mem, p->size) == 0;
}

static uint64_t drops(unsigned cause)
{
    return link_stats(p->link)->drops[cause];
}

/* The frame is dropped for this reason, and that is all that happens. */
static void dropped(const struct link_head *h, size_t len, enum link_drop cause)
{
    uint64_t n = drops(cause), all = 0, was = 0;
    unsigned frames = p->frames;

    for (unsigned i = 0; i < LINK_DROPS; i++)
        was += drops(i);
    remember();
    puppet_frame(p, h, body, len);
    for (unsigned i = 0; i < LINK_DROPS; i++)
        all += drops(i);
    ck_assert_msg(drops(cause) == n + 1, "not dropped as %s", link_drop_name(cause));
    ck_assert_uint_eq(all, was + 1);
    ck_assert(unchanged());
    ck_assert_uint_eq(p->frames, frames);
}

START_TEST(headers)
{
    const struct link_head good = {
        .magic = LINK_MAGIC,
        .type = LINK_DATA,
        .src_node = 1,
        .slots = 64,
        .src_epoch = PUPPET_EPOCH,
        .dst_epoch = p->theirs,
        .seq = p->seq,
        .ack = p->ack,
    };
    struct link_head h;

#define BAD(field, value, len, cause) \
    do {                              \
        h = good;                     \
        h.field = (value);            \
        dropped(&h, len, cause);      \
    } while (0)
    BAD(magic, LINK_MAGIC + 1, 0, LINK_DROP_MAGIC);
    BAD(len, 1, 0, LINK_DROP_SHORT);
    BAD(len, 0, 1, LINK_DROP_SHORT);
    BAD(len, 0xFFFF, 0, LINK_DROP_SHORT);
    BAD(type, 0, 0, LINK_DROP_HEADER);
    BAD(type, 4, 0, LINK_DROP_HEADER);
    BAD(type, LINK_HELLO, 0, LINK_DROP_HEADER);
    BAD(type, LINK_WELCOME, 0, LINK_DROP_HEADER);
    BAD(flags, 4, 0, LINK_DROP_HEADER);
    BAD(len, 16, 16, LINK_DROP_HEADER); /* records in a frame without a number */
    BAD(slots, 0, 0, LINK_DROP_HEADER);
    BAD(slots, LINK_SLOTS + 1, 0, LINK_DROP_HEADER);
    BAD(src_epoch, 0, 0, LINK_DROP_HEADER);
    BAD(dst_epoch, 0, 0, LINK_DROP_HEADER);
    BAD(src_node, 0, 0, LINK_DROP_NODE);
    BAD(src_node, 2, 0, LINK_DROP_NODE);
    BAD(src_node, 255, 0, LINK_DROP_NODE);
    BAD(dst_node, 1, 0, LINK_DROP_NODE);
    BAD(src_epoch, PUPPET_EPOCH + 1, 0, LINK_DROP_EPOCH);
    BAD(dst_epoch, p->theirs + 1, 0, LINK_DROP_EPOCH);
    BAD(ack, p->ack + 1, 0, LINK_DROP_ACK);
    BAD(ack, p->ack + 0x7FFFFFFF, 0, LINK_DROP_ACK);
    BAD(sack, 1, 0, LINK_DROP_ACK);
    BAD(sack, 1ull << 63, 0, LINK_DROP_ACK);

    for (size_t len = 0; len < sizeof(h); len++) {
        remember();
        puppet_raw(p, &good, len);
        ck_assert(unchanged());
    }
    ck_assert_uint_eq(drops(LINK_DROP_SHORT), 3 + sizeof(h));
    remember();
    link_input(p->link, 0, &good, sizeof(good)); /* from another's address */
    link_input(p->link, 5, &good, sizeof(good));
    ck_assert(unchanged());
    ck_assert_uint_eq(drops(LINK_DROP_NODE), 6);
}
END_TEST

/* Every byte that says which connection and where from: any other value, and the frame is nothing.
 */
START_TEST(every_byte)
{
    uint8_t buf[sizeof(struct link_head) + 200];
    struct link_rec r = {.op = LINK_WRITE, .flags = LINK_FIRST, .len = 100, .total = 100};
    size_t len = puppet_rec(body, 0, r, NULL);
    struct link_head h = puppet_head(p, LINK_DATA, len);

    h.flags = LINK_F_SEQ;
    h.seq = p->seq;
    h.ack = p->ack;
    memcpy(buf, &h, sizeof(h));
    memcpy(buf + sizeof(h), body, len);
    for (unsigned i = 0; i < 32; i++) {
        if (i == 5 || i == 10 || i == 11 || (i >= 12 && i < 16))
            continue; /* flags, slots, hold: other values can be right */
        uint8_t was = buf[i];
        for (unsigned v = 0; v < 256; v++) {
            if (v == was)
                continue;
            buf[i] = (uint8_t)v;
            remember();
            puppet_raw(p, buf, sizeof(h) + len);
            ck_assert_msg(unchanged(), "byte %u value %u", i, v);
        }
        buf[i] = was;
    }
    ck_assert_uint_eq(p->delivered, 0);
    puppet_raw(p, buf, sizeof(h) + len);
    ck_assert_uint_eq(p->delivered, 1);
}
END_TEST

static const struct {
    const char *what;
    struct link_rec r;
    enum link_drop cause;
} bad_records[] = {
    {"op 0", {.op = 0, .flags = 1}, LINK_DROP_RECORD},
    {"op 5", {.op = 5, .flags = 1}, LINK_DROP_RECORD},
    {"flags", {.op = LINK_WRITE, .flags = 3}, LINK_DROP_RECORD},
    {"first, not at 0",
     {.op = LINK_WRITE, .flags = 1, .off = 64, .len = 1, .total = 65},
     LINK_DROP_RECORD},
    {"at 0, not first", {.op = LINK_WRITE, .len = 1, .total = 1}, LINK_DROP_RECORD},
    {"result in a request", {.op = LINK_WRITE, .flags = 1, .result = 1}, LINK_DROP_RECORD},
    {"total too big", {.op = LINK_WRITE, .flags = 1, .len = 64, .total = 4097}, LINK_DROP_RECORD},
    {"message too big", {.op = LINK_MSG, .flags = 1, .len = 64, .total = 4072}, LINK_DROP_RECORD},
    {"read with data", {.op = LINK_READ, .flags = 1, .len = 1, .total = 1}, LINK_DROP_RECORD},
    {"read not at 0", {.op = LINK_READ, .off = 64, .total = 65}, LINK_DROP_RECORD},
    {"part off the grid",
     {.op = LINK_WRITE, .off = 65, .len = 64, .total = 1000},
     LINK_DROP_RECORD},
    {"part not whole", {.op = LINK_WRITE, .off = 64, .len = 65, .total = 1000}, LINK_DROP_RECORD},
    {"part too long", {.op = LINK_WRITE, .flags = 1, .len = 101, .total = 100}, LINK_DROP_RECORD},
    {"part behind the end",
     {.op = LINK_WRITE, .off = 128, .len = 64, .total = 100},
     LINK_DROP_RECORD},
    {"wraps", {.op = LINK_WRITE, .off = 0xFFC0, .len = 0x80, .total = 64}, LINK_DROP_RECORD},
    {"empty part", {.op = LINK_WRITE, .flags = 1, .len = 0, .total = 64}, LINK_DROP_RECORD},
    {"no such slot", {.op = LINK_WRITE, .flags = 1, .slot = 4}, LINK_DROP_SLOT},
    {"no such slot", {.op = LINK_WRITE, .flags = 1, .slot = 0xFFFF}, LINK_DROP_SLOT},
    {"answer to nothing", {.op = LINK_ANSWER, .flags = 1}, LINK_DROP_SLOT},
    {"answer to no slot", {.op = LINK_ANSWER, .flags = 1, .slot = 0xFFFF}, LINK_DROP_SLOT},
    {"error with data",
     {.op = LINK_ANSWER, .flags = 1, .len = 1, .total = 1, .result = 3},
     LINK_DROP_RECORD},
    {"error too big", {.op = LINK_ANSWER, .flags = 1, .result = 0x10000}, LINK_DROP_RECORD},
};
#define BAD_RECORDS (sizeof(bad_records) / sizeof(bad_records[0]))

/* A numbered frame with this body is dropped, with all that is in it, and not acknowledged. */
static void frame_refused(size_t len, enum link_drop cause)
{
    struct link_head h = puppet_head(p, LINK_DATA, len);
    uint64_t n = drops(cause);
    unsigned delivered = p->delivered, completed = p->completed;

    h.flags = LINK_F_SEQ;
    h.seq = p->seq;
    h.ack = p->ack;
    puppet_frame(p, &h, body, len);
    ck_assert_uint_eq(drops(cause), n + 1);
    ck_assert_uint_eq(p->delivered, delivered);
    ck_assert_uint_eq(p->completed, completed);
    puppet_tick(p, 10000000);
    ck_assert_uint_eq(p->head.ack, p->seq);
}

START_TEST(records)
{
    const struct link_rec ok = {.op = LINK_MSG, .flags = LINK_FIRST, .len = 8, .total = 8};
    size_t len = puppet_rec(body, 0, ok, NULL);

    /* Behind a good one: neither is taken. */
    len = puppet_rec(body, len, bad_records[_i].r, NULL);
    frame_refused(len, bad_records[_i].cause);
    /* The link goes on. */
    len = puppet_rec(body, 0, ok, NULL);
    puppet_data(p, body, len);
    ck_assert_uint_eq(p->delivered, 1);
}
END_TEST

/* A record, or its data, that ends behind the frame. */
START_TEST(cut_off)
{
    const struct link_rec r = {.op = LINK_MSG, .flags = LINK_FIRST, .len = 8, .total = 8};
    size_t len = puppet_rec(body, 0, r, NULL);

    for (size_t n = 1; n < len; n++)
        frame_refused(n, LINK_DROP_RECORD);
    puppet_data(p, body, len);
    ck_assert_uint_eq(p->delivered, 1);
}
END_TEST

/* PEs that are not where the packet says. */
START_TEST(wrong_pes)
{
    static const struct {
        uint16_t src, dst, vpe, after, sender, length;
        enum link_drop cause;
    } t[] = {
        {3, 3, 5, 0, 3, 8, LINK_DROP_PE},
        {20, 3, 5, 0, 20, 8, LINK_DROP_PE},
        {1023, 3, 5, 0, 1023, 8, LINK_DROP_PE},
        {0xFFFF, 3, 5, 0, 0xFFFF, 8, LINK_DROP_PE},
        {12, 12, 5, 0, 12, 8, LINK_DROP_PE},
        {12, 20, 5, 0, 12, 8, LINK_DROP_PE},
        {12, 0xFFFF, 5, 0, 12, 8, LINK_DROP_PE},
        {12, 3, 2048, 0, 12, 8, LINK_DROP_RECORD},
        {12, 3, 5, 1, 12, 8, LINK_DROP_RECORD},
        {12, 3, 5, 0, 13, 8, LINK_DROP_RECORD},
        {12, 3, 5, 0, 12, 9, LINK_DROP_RECORD},
        {12, 3, 5, 0x7FFF, 12, 8, LINK_DROP_RECORD},
        {12, 3, 5, 0x8000, 12, 8, LINK_DROP_RECORD}, /* behind itself */
    };
    const struct link_rec r = {.op = LINK_MSG, .flags = LINK_FIRST, .len = 8, .total = 8};
    size_t len = puppet_rec(body, 0, r, NULL);

    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct link_target to = {t[i].src, t[i].dst, t[i].vpe, t[i].after, 6};
        struct dtu_header h = {.sender_pe = t[i].sender, .length = t[i].length};
        memcpy(body + sizeof(r), &to, sizeof(to));
        memcpy(body + sizeof(r) + sizeof(to), &h, sizeof(h));
        frame_refused(len, t[i].cause);
    }
}
END_TEST

/* Parts that contradict those that are here. */
START_TEST(wrong_parts)
{
    const struct link_rec r = {
        .op = LINK_WRITE, .slot = 2, .gen = 9, .off = 64, .len = 64, .total = 192};
    struct link_rec bad[5] = {r, r, r, r, r};
    size_t len = puppet_rec(body, 0, r, NULL);

    puppet_data(p, body, len);
    bad[1].gen = 8;
    bad[2].total = 193;
    bad[3].op = LINK_MSG;
    bad[4].len = 128; /* overlaps */
    for (unsigned i = 0; i < 5; i++) {
        len = puppet_rec(body, 0, bad[i], NULL);
        frame_refused(len, LINK_DROP_SLOT);
    }
    /* The same part twice in one frame: the second is dropped when the first has been taken. */
    struct link_rec end = r;
    end.off = 128;
    len = puppet_rec(body, puppet_rec(body, 0, end, NULL), end, NULL);
    puppet_data(p, body, len);
    ck_assert_uint_eq(drops(LINK_DROP_SLOT), 6);
    end.off = 0;
    end.flags = LINK_FIRST;
    len = puppet_rec(body, 0, end, NULL);
    p->hold = true;
    puppet_data(p, body, len);
    ck_assert_uint_eq(p->delivered, 1);
    /* A packet in a slot whose packet is not answered yet. */
    end.gen++;
    len = puppet_rec(body, 0, end, NULL);
    frame_refused(len, LINK_DROP_SLOT);
}
END_TEST

/* Answers must be to what was asked, and as long as what was asked for. */
START_TEST(wrong_answers)
{
    struct link_rec a = {.op = LINK_ANSWER, .flags = LINK_FIRST, .len = 100, .total = 100};
    size_t len;

    ck_assert(puppet_submit(p, BRIDGE_READ, 100, 5));
    puppet_tick(p, 1000);
    struct link_rec r;
    memcpy(&r, p->frame + sizeof(struct link_head), sizeof(r));
    ck_assert_uint_eq(r.op, LINK_READ);
    ck_assert_uint_eq(r.total, 100);
    p->ack++;
    a.slot = r.slot;
    a.gen = r.gen;
    struct link_rec bad[4] = {a, a, a, a};
    bad[0].gen++;
    bad[1].slot++;
    bad[2].total = bad[2].len = 101;
    bad[3].total = bad[3].len = 0;
    for (unsigned i = 0; i < 4; i++) {
        len = puppet_rec(body, 0, bad[i], NULL);
        frame_refused(len, LINK_DROP_SLOT);
    }
    static const char text[100] = "the data";
    len = puppet_rec(body, 0, a, text);
    puppet_data(p, body, len);
    ck_assert_uint_eq(p->completed, 1);
    ck_assert_uint_eq(p->id[0], 5);
    ck_assert_uint_eq(p->result[0], SE_OK);
    ck_assert(memcmp(p->data, "the data", 8) == 0);
    frame_refused(len, LINK_DROP_SLOT);
}
END_TEST

/* Numbers: duplicates, and what is beyond the window. */
START_TEST(numbers)
{
    const struct link_rec r = {.op = LINK_MSG, .flags = LINK_FIRST, .len = 8, .total = 8};
    size_t len = puppet_rec(body, 0, r, NULL);
    struct link_head h = puppet_head(p, LINK_DATA, len);

    h.flags = LINK_F_SEQ;
    h.ack = p->ack;
    h.seq = p->seq + LINK_WINDOW; /* one too far */
    puppet_frame(p, &h, body, len);
    h.seq = p->seq + 0x7FFFFFFF;
    puppet_frame(p, &h, body, len);
    ck_assert_uint_eq(drops(LINK_DROP_WINDOW), 2);
    h.seq = p->seq + LINK_WINDOW - 1;
    puppet_frame(p, &h, body, len);
    puppet_frame(p, &h, body, len);
    ck_assert_uint_eq(p->delivered, 1);
    ck_assert_uint_eq(drops(LINK_DROP_OLD), 1);
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->head.ack, p->seq);
    ck_assert(p->head.sack == 1ull << (LINK_WINDOW - 2));
    for (unsigned i = 0; i < LINK_WINDOW - 1; i++)
        puppet_data(p, NULL, 0);
    p->seq++;
    h.seq = p->seq - 1;
    puppet_frame(p, &h, body, len);
    h.seq = p->seq - 0x80000000u;
    puppet_frame(p, &h, body, len);
    ck_assert_uint_eq(p->delivered, 1);
    ck_assert_uint_eq(drops(LINK_DROP_OLD), 3);
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->head.ack, p->seq);
    ck_assert(p->head.sack == 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link_hostile");
    TCase *tc = tcase_create("input");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, headers);
    tcase_add_test(tc, every_byte);
    tcase_add_loop_test(tc, records, 0, BAD_RECORDS);
    tcase_add_test(tc, cut_off);
    tcase_add_test(tc, wrong_pes);
    tcase_add_test(tc, wrong_parts);
    tcase_add_test(tc, wrong_answers);
    tcase_add_test(tc, numbers);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
