/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/trace.c vmm/trace_read.c */
/*
 * Writing traces and reading them again: what is read is what was written, in order; and what is no
 * whole trace of this version is refused with one line.  The threads are for ThreadSanitizer.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "trace_fixture.h"

#define ARGS     "--seed\0005\0hello world"
#define ARGS_LEN (sizeof(ARGS))

static const struct trace_header head = {
    .flags = TRACE_SEEDED, .seed = 5, .machine = 0xABCDEF, .pes = 4, .args_len = ARGS_LEN};

/* Different in every field from those of another i. */
static struct trace_record record(uint64_t i)
{
    return (struct trace_record){.step = i,
                                 .time = i * 1000,
                                 .pe = (uint16_t)(1 + i % 4),
                                 .vpe = (uint16_t)(i % 7),
                                 .op = (uint8_t)(TR_SEND + i % 7),
                                 .ep = (uint8_t)(i % 16),
                                 .peer = (uint16_t)(i % 5),
                                 .label = i * 3,
                                 .offset = i * 5,
                                 .len = (uint32_t)i * 11,
                                 .result = (uint32_t)(i % 3),
                                 .hash = i * 13,
                                 .first = i * 17};
}

static void check_one_line(const char *err)
{
    ck_assert_int_gt(strlen(err), 0);
    ck_assert_ptr_null(strchr(err, '\n'));
}

/* ---- writing and reading --------------------------------------------------------------------- */

static uint64_t write_ordered(const char *path, const char *args, size_t count)
{
    char err[200];
    struct trace *t;
    uint64_t hash;

    ck_assert_int_eq(trace_open(&t, path, &head, args, true, err, sizeof(err)), 0);
    for (size_t i = 0; i < count; i++) {
        struct trace_record r = record(i / 3); /* several in one step */
        trace_add(t, &r);
    }
    hash = trace_hash(t);
    ck_assert_int_eq(trace_close(t), 0);
    return hash;
}

/* Counts around the writer's buffer. */
START_TEST(round_trip)
{
    static const size_t counts[] = {0, 1, 2, 511, 512, 513, 1024, 5000};
    size_t count = counts[_i];
    char path[64], err[200] = "";
    struct trace_file f;
    uint64_t hash;

    temp_path(path);
    hash = write_ordered(path, ARGS, count);
    ck_assert_msg(trace_load(path, &f, err, sizeof(err)) == 0, "%s", err);
    ck_assert_uint_eq(f.hash, hash);
    ck_assert_uint_eq(f.header.seed, 5);
    ck_assert_uint_eq(f.header.machine, 0xABCDEF);
    ck_assert_uint_eq(f.header.version, TRACE_VERSION);
    ck_assert_int_eq(f.argc, 3);
    ck_assert_str_eq(f.argv[0], "--seed");
    ck_assert_str_eq(f.argv[1], "5");
    ck_assert_str_eq(f.argv[2], "hello world");
    ck_assert_ptr_null(f.argv[3]);
    ck_assert_uint_eq(f.count, count);
    for (size_t i = 0; i < count; i++) {
        struct trace_record r = record(i / 3);
        ck_assert_mem_eq(&f.records[i], &r, sizeof(r));
    }
    trace_free(&f);
    trace_free(&f);
    unlink(path);
}
END_TEST

/* The hash alone is that of the file; and it depends on every byte of every record. */
START_TEST(hash_without_file)
{
    char path[64];
    uint64_t hash;

    temp_path(path);
    hash = write_ordered(path, ARGS, 2000);
    ck_assert_uint_eq(write_ordered(NULL, NULL, 2000), hash);
    ck_assert_uint_ne(write_ordered(NULL, NULL, 1999), hash);
    unlink(path);
}
END_TEST

START_TEST(hash_of_every_byte)
{
    struct trace_record r = record(9), s;

    for (size_t i = 0; i < sizeof(r); i++) {
        s = r;
        ((uint8_t *)&s)[i] ^= 1;
        ck_assert_uint_ne(trace_hash_record(TRACE_HASH_INIT, &r),
                          trace_hash_record(TRACE_HASH_INIT, &s));
    }
}
END_TEST

START_TEST(hash_of_bytes)
{
    static const uint8_t data[24];

    /* Zeros, one more each time. */
    for (size_t i = 0; i < sizeof(data); i++)
        ck_assert_uint_ne(trace_hash_bytes(1, data, i), trace_hash_bytes(1, data, i + 1));
}
END_TEST

START_TEST(no_command_line)
{
    struct trace_header h = head;
    struct trace_file f;
    char err[200];
    size_t size;
    uint8_t *bytes;

    h.args_len = 0;
    bytes = build_trace(h, "", NULL, 0, &size);
    ck_assert_int_eq(trace_parse(bytes, size, &f, err, sizeof(err)), 0);
    ck_assert_int_eq(f.argc, 0);
    ck_assert_ptr_null(f.argv[0]);
    ck_assert_uint_eq(f.count, 0);
    trace_free(&f);
    free(bytes);
}
END_TEST

/* ---- many threads ---------------------------------------------------------------------------- */

#define THREADS 4u
#define EACH    3000u

static struct trace *shared;

/* One PE.  A lock that all share, as DTUs have, orders every second record. */
static void *run_pe(void *arg)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t order;
    uint16_t pe = *(uint16_t *)arg;

    for (uint32_t i = 0; i < EACH; i++) {
        struct trace_record r = {.pe = pe, .op = TR_SEND, .len = i};

        if (i % 2) {
            trace_add(shared, &r);
            continue;
        }
        pthread_mutex_lock(&lock);
        r.label = ++order;
        trace_add(shared, &r);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Steps are 0, 1, 2 and so on; each PE's records are in its order, and the lock's in the lock's. */
static void check_order(const struct trace_file *f)
{
    uint32_t of_pe[THREADS + 1] = {0};
    uint64_t order = 0;

    ck_assert_uint_eq(f->count, THREADS * EACH);
    for (size_t i = 0; i < f->count; i++) {
        const struct trace_record *r = &f->records[i];

        ck_assert_uint_eq(r->step, i);
        ck_assert_uint_eq(r->len, of_pe[r->pe]);
        of_pe[r->pe]++;
        if (r->label) {
            ck_assert_uint_eq(r->label, order + 1);
            order++;
        }
    }
    ck_assert_uint_eq(order, THREADS * EACH / 2);
}

START_TEST(threads)
{
    struct trace_header h = {.pes = THREADS};
    char path[64], err[200] = "";
    pthread_t thread[THREADS];
    uint16_t pe[THREADS];
    struct trace_file f;

    temp_path(path);
    ck_assert_int_eq(trace_open(&shared, path, &h, NULL, false, err, sizeof(err)), 0);
    for (uint16_t i = 0; i < THREADS; i++) {
        pe[i] = i + 1;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_pe, &pe[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    ck_assert_int_eq(trace_close(shared), 0);
    ck_assert_msg(trace_load(path, &f, err, sizeof(err)) == 0, "%s", err);
    check_order(&f);
    trace_free(&f);
    unlink(path);
}
END_TEST

/* ---- what the writer cannot do --------------------------------------------------------------- */

START_TEST(cannot_create)
{
    char err[200] = "";
    struct trace *t;

    ck_assert_int_eq(trace_open(&t, "/nowhere/to/be/found", &head, ARGS, true, err, sizeof(err)),
                     -ENOENT);
    check_one_line(err);
    ck_assert_ptr_nonnull(strstr(err, "/nowhere/to/be/found"));
}
END_TEST

/* Already the header does not fit. */
START_TEST(disk_full_at_once)
{
    char err[200] = "";
    struct trace *t;

    ck_assert_int_eq(trace_open(&t, "/dev/full", &head, ARGS, true, err, sizeof(err)), -ENOSPC);
    check_one_line(err);
}
END_TEST

/* A disk that is full later: the file is moved away under the writer.  What it left has no end. */
START_TEST(disk_full_later)
{
    char path[64], err[200] = "";
    struct trace_record r;
    struct trace_file f;
    struct trace *t;
    int full, fd;

    temp_path(path);
    full = open("/dev/full", O_WRONLY);
    ck_assert_int_ge(full, 0);
    fd = dup(full); /* the number that the writer is about to get */
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(trace_open(&t, path, &head, ARGS, _i == 0, err, sizeof(err)), 0);
    ck_assert_int_eq(dup2(full, fd), fd);
    for (uint64_t i = 0; i < 4000; i++) {
        r = record(i);
        trace_add(t, &r);
    }
    ck_assert_int_eq(trace_close(t), -ENOSPC);
    ck_assert_int_eq(trace_load(path, &f, err, sizeof(err)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "cut short"));
    close(full);
    unlink(path);
}
END_TEST

START_TEST(pe_out_of_range)
{
    struct trace_record r = {.pe = 1023, .op = TR_SEND};
    char path[64], err[200] = "";
    struct trace *t;

    temp_path(path);
    ck_assert_int_eq(trace_open(&t, path, &head, ARGS, false, err, sizeof(err)), 0);
    trace_add(t, &r);
    ck_assert_int_eq(trace_close(t), -EINVAL);
    unlink(path);
}
END_TEST

/* ---- what the reader refuses ----------------------------------------------------------------- */

/* An exact copy, so that the sanitizer sees a read behind its end. */
static int parse_copy(const uint8_t *bytes, size_t size, char *err, size_t errsize)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct trace_file f;
    int r;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, size);
    err[0] = '\0';
    r = trace_parse(copy, size, &f, err, errsize);
    free(copy);
    if (r < 0)
        ck_assert(!f.records && !f.argv && !f.args);
    trace_free(&f);
    return r;
}

static uint8_t *three_records(size_t *size)
{
    struct trace_record r[3] = {record(1), record(2), record(3)};

    return build_trace(head, ARGS, r, 3, size);
}

START_TEST(cut_at_every_byte)
{
    size_t size;
    uint8_t *bytes = three_records(&size);
    char err[200];

    ck_assert_int_eq(parse_copy(bytes, size, err, sizeof(err)), 0);
    for (size_t i = 0; i < size; i++) {
        ck_assert_int_eq(parse_copy(bytes, i, err, sizeof(err)), -EINVAL);
        check_one_line(err);
        if (i >= 8)
            ck_assert_ptr_nonnull(strstr(err, "cut short"));
    }
    free(bytes);
}
END_TEST

/* A flipped bit in the records is always found; elsewhere it may only mean something else. */
START_TEST(every_bit_flipped)
{
    size_t size, records = sizeof(head) + ARGS_LEN;
    uint8_t *bytes = three_records(&size);
    char err[200];

    for (size_t i = 0; i < size * 8; i++) {
        int r;

        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        r = parse_copy(bytes, size, err, sizeof(err));
        if (i / 8 >= records && i / 8 < records + 3 * sizeof(struct trace_record))
            ck_assert_int_eq(r, -EINVAL);
        if (r < 0)
            check_one_line(err);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    free(bytes);
}
END_TEST

static void refused(void (*damage)(struct trace_header *h), const char *text)
{
    struct trace_header h;
    char err[200];
    size_t size;
    uint8_t *bytes = three_records(&size);

    memcpy(&h, bytes, sizeof(h));
    damage(&h);
    memcpy(bytes, &h, sizeof(h));
    ck_assert_int_eq(parse_copy(bytes, size, err, sizeof(err)), -EINVAL);
    ck_assert_msg(strstr(err, text) != NULL, "%s", err);
    free(bytes);
}

static void other_version(struct trace_header *h)
{
    h->version = 2;
}

static void other_magic(struct trace_header *h)
{
    h->magic++;
}

static void too_many_pes(struct trace_header *h)
{
    h->pes = 1023;
}

static void too_few_pes(struct trace_header *h)
{
    h->pes = 2;
}

static void much_command_line(struct trace_header *h)
{
    h->args_len = UINT32_MAX;
}

static void half_a_string(struct trace_header *h)
{
    h->args_len -= 2;
}

START_TEST(wrong_header)
{
    refused(other_version, "trace of version 2, this program reads 1");
    refused(other_magic, "no trace of sempervm");
    refused(too_many_pes, "1023 PEs");
    refused(too_few_pes, "of PE 3, but the machine has 2");
    refused(much_command_line, "cut short");
    refused(half_a_string, "command line");
}
END_TEST

/* Two traces in one file: an end in the middle, and the count of the last one is wrong. */
START_TEST(end_in_the_middle)
{
    struct trace_record r[3] = {record(1), {.op = TR_END, .first = 1}, record(3)};
    char err[200];
    size_t size;
    uint8_t *bytes = build_trace(head, ARGS, r, 3, &size);

    ck_assert_int_eq(parse_copy(bytes, size, err, sizeof(err)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "ends at record 1 of 3"));
    free(bytes);
}
END_TEST

START_TEST(wrong_count)
{
    struct trace_record end;
    char err[200];
    size_t size;
    uint8_t *bytes = three_records(&size);

    memcpy(&end, bytes + size - sizeof(end), sizeof(end));
    end.first = 4;
    memcpy(bytes + size - sizeof(end), &end, sizeof(end));
    ck_assert_int_eq(parse_copy(bytes, size, err, sizeof(err)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "3 records instead of 4"));
    free(bytes);
}
END_TEST

START_TEST(no_files)
{
    struct trace_file f;
    char err[200] = "";

    ck_assert_int_eq(trace_load("/nowhere", &f, err, sizeof(err)), -ENOENT);
    check_one_line(err);
    ck_assert_int_eq(trace_load("/", &f, err, sizeof(err)), -EISDIR);
    ck_assert_int_lt(trace_load("/dev/zero", &f, err, sizeof(err)), 0);
    ck_assert_ptr_nonnull(strstr(err, "/dev/zero: "));
    ck_assert_int_eq(trace_load("/dev/full", &f, err, 12), -ESPIPE);
    ck_assert_uint_eq(strlen(err), 11);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("trace");
    TCase *t = tcase_create("trace");

    tcase_add_loop_test(t, round_trip, 0, 8);
    tcase_add_test(t, hash_without_file);
    tcase_add_test(t, hash_of_every_byte);
    tcase_add_test(t, hash_of_bytes);
    tcase_add_test(t, no_command_line);
    tcase_add_test(t, threads);
    tcase_add_test(t, cannot_create);
    tcase_add_test(t, disk_full_at_once);
    tcase_add_loop_test(t, disk_full_later, 0, 2);
    tcase_add_test(t, pe_out_of_range);
    tcase_add_test(t, cut_at_every_byte);
    tcase_add_test(t, every_bit_flipped);
    tcase_add_test(t, wrong_header);
    tcase_add_test(t, end_in_the_middle);
    tcase_add_test(t, wrong_count);
    tcase_add_test(t, no_files);
    tcase_set_timeout(t, 300);
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
