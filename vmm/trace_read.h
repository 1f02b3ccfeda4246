/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading traces (trace.h says what one is).  Whatever a file holds, what is handed out holds what
 * is said here.
 */
#ifndef VMM_TRACE_READ_H
#define VMM_TRACE_READ_H

#include <stddef.h>
#include <stdint.h>

#include "trace.h"

struct trace_file {
    struct trace_header header; /* pes: at most 1022 */
    uint64_t hash;              /* of the whole records: what TR_END says, and what was found */
    int argc;                   /* the command line that made the run */
    char **argv;                /* argc strings and a NULL */
    char *args;                 /* where they are */
    /*
     * All records but TR_END.  In order: of a seeded run that of the file, else sorted by step.
     * Each is of a PE from 0 to header.pes; operations, endpoints and peers may be any number.
     */
    struct trace_record *records;
    size_t count;
};

/*
 * Read the file at `path`, or the `size` bytes at `data`, which are copied.  0 and *f is the
 * caller's to free; or -errno and one line in err, beginning with the path: -EINVAL for what is no
 * whole trace of this version, -ENOMEM, or what the file system said.
 */
int trace_load(const char *path, struct trace_file *f, char *err, size_t errsize);
int trace_parse(const void *data, size_t size, struct trace_file *f, char *err, size_t errsize);

/*
 * What a seeded run printed as its trace hash and payload hash.  The first is of all records
 * without `hash` and `first`: messages carry padding that nobody wrote, so what a run did is one
 * question and which bytes it moved another.
 */
struct trace_hashes {
    uint64_t trace, payload;
};
struct trace_hashes trace_hashes(const struct trace_file *f);

/* Frees what *f holds.  Fine for all zeros, and twice. */
void trace_free(struct trace_file *f);

#endif
