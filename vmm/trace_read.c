/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader of traces.
 *
 * The file is read into one allocation of which nothing is believed until it was compared with the
 * size: first the header, then the command line, then TR_END with count and hash, then each record.
 * Records stand behind strings and so at any address; they are moved to the allocation's start,
 * which is where they stay.
 */
#include "trace_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../include/dtu.h"
#include "trace_hash.h"

#define RECORD sizeof(struct trace_record)

/* What is being read, and where complaints go. */
struct reader {
    char *bytes; /* becomes f->records */
    size_t size;
    size_t records_at;
    char *err;
    size_t errsize;
};

static int bad(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int bad(struct reader *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->err, r->errsize, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static int cut_short(struct reader *r)
{
    return bad(r,
               "the trace is cut short: its run did not end, or the disk was full; record again");
}

static int no_memory(struct reader *r)
{
    bad(r, "out of memory for the trace; end other programs");
    return -ENOMEM;
}

/* ---- header and command line ----------------------------------------------------------------- */

static int parse_header(struct reader *r, struct trace_file *f)
{
    const struct trace_header *h = &f->header;

    if (r->size < sizeof(h->magic) || memcmp(r->bytes, &(uint64_t){TRACE_MAGIC}, 8) != 0)
        return bad(r, "no trace of sempervm; record one with run --trace FILE");
    if (r->size < sizeof(*h))
        return cut_short(r);
    memcpy(&f->header, r->bytes, sizeof(f->header));
    if (h->version != TRACE_VERSION)
        return bad(r, "trace of version %" PRIu32 ", this program reads %u; record again",
                   h->version, TRACE_VERSION);
    if (h->pes >= DTU_PES)
        return bad(r, "damaged: a machine of %" PRIu32 " PEs; record again", h->pes);
    if (h->args_len > r->size - sizeof(*h))
        return cut_short(r);
    r->records_at = sizeof(*h) + h->args_len;
    return 0;
}

static int parse_args(struct reader *r, struct trace_file *f)
{
    size_t len = f->header.args_len, n = 0;
    char *args = r->bytes + sizeof(f->header);

    if (len && args[len - 1])
        return bad(r, "damaged: the command line has no end; record again");
    for (size_t i = 0; i < len; i++)
        n += !args[i];
    f->args = malloc(len + 1);
    f->argv = calloc(n + 1, sizeof(*f->argv));
    if (!f->args || !f->argv)
        return no_memory(r);
    memcpy(f->args, args, len);
    f->args[len] = '\0';
    for (size_t at = 0; at < len; at += strlen(f->args + at) + 1)
        f->argv[f->argc++] = f->args + at;
    return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

/* Afterwards the records are at the start of r->bytes, TR_END behind them. */
static int parse_end(struct reader *r, struct trace_file *f)
{
    size_t len = r->size - r->records_at;
    struct trace_record end;

    if (len < RECORD || len % RECORD)
        return cut_short(r);
    memmove(r->bytes, r->bytes + r->records_at, len);
    f->count = len / RECORD - 1;
    memcpy(&end, r->bytes + f->count * RECORD, RECORD);
    if (end.op != TR_END)
        return cut_short(r);
    if (end.first != f->count)
        return bad(r, "damaged: %zu records instead of %" PRIu64 "; record again", f->count,
                   end.first);
    f->hash = end.label;
    return 0;
}

static int check_records(struct reader *r, const struct trace_file *f)
{
    uint64_t hash = TRACE_HASH_INIT;

    for (size_t i = 0; i < f->count; i++) {
        const struct trace_record *rec = &f->records[i];

        if (rec->pe > f->header.pes)
            return bad(r, "record %zu is of PE %u, but the machine has %" PRIu32 "; record again",
                       i, rec->pe, f->header.pes);
        if (rec->op == TR_END)
            return bad(r, "damaged: it ends at record %zu of %zu; record again", i, f->count);
        hash = trace_hash_record(hash, rec);
    }
    if (hash != f->hash)
        return bad(r, "damaged: its hash is %016" PRIx64 " instead of %016" PRIx64 "; record again",
                   hash, f->hash);
    return 0;
}

static int by_step(const void *a, const void *b)
{
    const struct trace_record *x = a, *y = b;

    return (x->step > y->step) - (x->step < y->step);
}

static int parse(struct reader *r, struct trace_file *f)
{
    int ret = parse_header(r, f);

    if (ret == 0)
        ret = parse_args(r, f);
    if (ret == 0)
        ret = parse_end(r, f);
    if (ret < 0)
        return ret;
    f->records = (struct trace_record *)(void *)r->bytes;
    r->bytes = NULL;
    ret = check_records(r, f);
    if (ret == 0 && !(f->header.flags & TRACE_SEEDED))
        qsort(f->records, f->count, RECORD, by_step);
    return ret;
}

/* Takes r->bytes over, whatever happens. */
static int parse_or_free(struct reader *r, struct trace_file *f)
{
    int ret;

    memset(f, 0, sizeof(*f));
    ret = parse(r, f);
    free(r->bytes);
    if (ret < 0)
        trace_free(f);
    return ret;
}

/* ---- where the bytes come from --------------------------------------------------------------- */

int trace_parse(const void *data, size_t size, struct trace_file *f, char *err, size_t errsize)
{
    struct reader r = {.bytes = malloc(size + 1), .size = size, .err = err, .errsize = errsize};

    memset(f, 0, sizeof(*f));
    if (!r.bytes)
        return no_memory(&r);
    if (size)
        memcpy(r.bytes, data, size);
    return parse_or_free(&r, f);
}

static int read_all(int fd, struct reader *r)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -ESPIPE;
    r->bytes = malloc((size_t)st.st_size + 1);
    if (!r->bytes)
        return -ENOMEM;
    while (r->size < (size_t)st.st_size) {
        n = read(fd, r->bytes + r->size, (size_t)st.st_size - r->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break; /* somebody is cutting it; the end is missing then */
        r->size += (size_t)n;
    }
    return 0;
}

int trace_load(const char *path, struct trace_file *f, char *err, size_t errsize)
{
    char why[160] = "";
    struct reader r = {.err = why, .errsize = sizeof(why)};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int ret = fd < 0 ? -errno : read_all(fd, &r);

    memset(f, 0, sizeof(*f));
    if (fd >= 0)
        close(fd);
    if (ret == 0)
        ret = parse_or_free(&r, f);
    else
        free(r.bytes);
    if (ret < 0)
        snprintf(err, errsize, "%s: %s%s", path, why[0] ? "" : "cannot read the trace: ",
                 why[0]           ? why
                 : ret == -ESPIPE ? "not a file; copy it into one"
                                  : strerror(-ret));
    return ret;
}

struct trace_hashes trace_hashes(const struct trace_file *f)
{
    struct trace_hashes h = {TRACE_HASH_INIT, TRACE_HASH_INIT};

    for (size_t i = 0; i < f->count; i++) {
        struct trace_record r = f->records[i];

        h.payload = trace_hash_word(trace_hash_word(h.payload, r.hash), r.first);
        r.hash = r.first = 0;
        h.trace = trace_hash_record(h.trace, &r);
    }
    return h;
}

void trace_free(struct trace_file *f)
{
    free(f->records);
    free(f->argv);
    free(f->args);
    memset(f, 0, sizeof(*f));
}
