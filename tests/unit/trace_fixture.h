/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces for tests: written by the writer to a file of their own, or put together in memory, where
 * they can be wrong.
 */
#ifndef TRACE_FIXTURE_H
#define TRACE_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../vmm/trace.h"
#include "../../vmm/trace_hash.h"
#include "../../vmm/trace_read.h"

/* A file name that is taken; `path` has room for 64 bytes. */
static inline void temp_path(char *path)
{
    int fd;

    strcpy(path, P_tmpdir "/test_trace.XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

/* The bytes of a whole trace; the caller frees them. */
static inline uint8_t *build_trace(struct trace_header h, const char *args,
                                   const struct trace_record *r, size_t count, size_t *size)
{
    struct trace_record end = {.op = TR_END, .label = TRACE_HASH_INIT, .first = count};
    uint8_t *bytes, *at;

    for (size_t i = 0; i < count; i++)
        end.label = trace_hash_record(end.label, &r[i]);
    h.magic = TRACE_MAGIC;
    h.version = TRACE_VERSION;
    *size = sizeof(h) + h.args_len + (count + 1) * sizeof(*r);
    at = bytes = malloc(*size);
    ck_assert_ptr_nonnull(bytes);
    at = mempcpy(at, &h, sizeof(h));
    at = mempcpy(at, args, h.args_len);
    if (count)
        at = mempcpy(at, r, count * sizeof(*r));
    memcpy(at, &end, sizeof(end));
    return bytes;
}

/* The same, read: for tests of what is done with traces.  Seeded. */
static inline struct trace_file trace_of(const struct trace_record *r, size_t count)
{
    struct trace_header h = {.flags = TRACE_SEEDED, .seed = 7, .pes = 8, .args_len = 9};
    struct trace_file f;
    char err[200] = "";
    size_t size;
    uint8_t *bytes = build_trace(h, "--seed\0007", r, count, &size);
    int ret = trace_parse(bytes, size, &f, err, sizeof(err));

    free(bytes);
    ck_assert_msg(ret == 0, "%s", err);
    return f;
}

#endif
