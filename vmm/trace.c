/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer of traces.
 *
 * An ordinary run must not feel it: a PE's thread fills a buffer of its own, takes a number from
 * the one counter that all share, and meets the others only when its buffer is full, once in
 * BUFFER_RECORDS operations.  The hash in TR_END then follows the order of the file, which is good
 * for finding damage and for nothing else.  In a seeded run there is one buffer, and the hash is
 * the run's fingerprint.
 *
 * A write that fails does not end the machine: the first error is kept, nothing more is written,
 * and trace_close() reports it.  Such a file has no TR_END, so no reader takes it for a whole one.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../include/dtu.h"
#include "trace_hash.h"

#define BUFFER_RECORDS 512u

struct buffer {
    unsigned n;
    struct trace_record r[BUFFER_RECORDS];
};

struct trace {
    int fd; /* -1: only the hash is wanted */
    bool ordered;
    atomic_uint_fast64_t next; /* the next `step` of an unordered trace */
    atomic_int error;          /* -errno, the first one; set under the lock */

    pthread_mutex_t lock; /* unordered: guards the file and what follows */
    uint64_t hash;
    uint64_t count; /* records in the hash */

    /* [0] alone in an ordered trace, else one for each PE, allocated on first use. */
    struct buffer *buffers[DTU_PES];
};

static int write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static void note_error(struct trace *t, int error)
{
    int none = 0;

    atomic_compare_exchange_strong(&t->error, &none, error);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_file(struct trace *t, const char *path, const struct trace_header *h,
                     const char *args)
{
    struct trace_header head = *h;
    int r;

    head.magic = TRACE_MAGIC;
    head.version = TRACE_VERSION;
    t->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (t->fd < 0)
        return -errno;
    r = write_all(t->fd, &head, sizeof(head));
    return r < 0 ? r : write_all(t->fd, args, head.args_len);
}

int trace_open(struct trace **out, const char *path, const struct trace_header *h, const char *args,
               bool ordered, char *err, size_t errsize)
{
    struct trace *t = calloc(1, sizeof(*t));
    int r;

    if (!t) {
        snprintf(err, errsize, "out of memory for the trace; end other programs");
        return -ENOMEM;
    }
    t->fd = -1;
    t->ordered = ordered;
    t->hash = TRACE_HASH_INIT;
    pthread_mutex_init(&t->lock, NULL);
    if (path && (r = open_file(t, path, h, args)) < 0) {
        snprintf(err, errsize, "%s: cannot write the trace: %s; name another --trace FILE", path,
                 strerror(-r));
        goto fail;
    }
    *out = t;
    return 0;

fail:
    if (t->fd >= 0)
        close(t->fd);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return r;
}

/* ---- records --------------------------------------------------------------------------------- */

static void write_buffer(struct trace *t, struct buffer *b)
{
    int r = 0;

    if (atomic_load_explicit(&t->error, memory_order_relaxed) == 0)
        r = write_all(t->fd, b->r, b->n * sizeof(b->r[0]));
    if (r < 0)
        note_error(t, r);
    b->n = 0;
}

/* A PE's buffer is full, or the end has come. */
static void flush_unordered(struct trace *t, struct buffer *b)
{
    pthread_mutex_lock(&t->lock);
    for (unsigned i = 0; i < b->n; i++)
        t->hash = trace_hash_record(t->hash, &b->r[i]);
    t->count += b->n;
    write_buffer(t, b);
    pthread_mutex_unlock(&t->lock);
}

static void flush(struct trace *t, struct buffer *b)
{
    if (t->ordered)
        write_buffer(t, b);
    else
        flush_unordered(t, b);
}

static void store(struct trace *t, struct buffer **slot, const struct trace_record *r)
{
    struct buffer *b = *slot;

    if (!b) {
        b = *slot = malloc(sizeof(*b));
        if (!b) {
            note_error(t, -ENOMEM);
            return;
        }
        b->n = 0;
    }
    b->r[b->n++] = *r;
    if (b->n == BUFFER_RECORDS)
        flush(t, b);
}

void trace_add(struct trace *t, struct trace_record *r)
{
    if (t->ordered) {
        t->hash = trace_hash_record(t->hash, r);
        t->count++;
    } else {
        /* Whoever holds a DTU's lock sees the counter's values in the order of holding it. */
        r->step = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
    }
    if (t->fd < 0)
        return;
    if (r->pe >= DTU_PES)
        note_error(t, -EINVAL);
    else
        store(t, &t->buffers[t->ordered ? 0 : r->pe], r);
}

uint64_t trace_hash(const struct trace *t)
{
    return t->hash;
}

/* ---- closing --------------------------------------------------------------------------------- */

static int write_end(struct trace *t)
{
    struct trace_record end = {
        .step = ~0ull, .op = TR_END, .peer = 0xFFFF, .label = t->hash, .first = t->count};

    return write_all(t->fd, &end, sizeof(end));
}

int trace_close(struct trace *t)
{
    int r;

    for (unsigned i = 0; i < DTU_PES; i++)
        if (t->buffers[i]) {
            flush(t, t->buffers[i]);
            free(t->buffers[i]);
        }
    r = atomic_load(&t->error);
    if (t->fd >= 0) {
        if (r == 0)
            r = write_end(t);
        /* Some file systems tell only now that the disk is full. */
        if (close(t->fd) < 0 && r == 0 && errno != EINTR)
            r = -errno;
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
    return r;
}
