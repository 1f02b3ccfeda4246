/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of complaints.  Whoever reads a machine description goes on after an error, so that the
 * user sees all of them at once; each is one line: what failed, on what, what to do about it.
 */
#ifndef VMM_DIAG_H
#define VMM_DIAG_H

#include <stddef.h>
#include <stdio.h>

struct diag_entry {
    char *file; /* NULL: no file, e.g. the command line */
    int line;   /* from 1; 0: the file as a whole */
    char *text;
};

/* All zero is an empty list.  Owns its strings. */
struct diag {
    struct diag_entry *v;
    size_t n;
    size_t dropped; /* beyond DIAG_MAX, or when memory ran out */
};
#define DIAG_MAX 200

/* Append one complaint.  FILE may be NULL, LINE 0.  Control characters in the text become '?'. */
void diag_add(struct diag *d, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* "FILE:LINE: text", "FILE: text" or "sempervm: text", one line each, ordered by line; those
 * without a line come last. */
void diag_print(const struct diag *d, FILE *out);

/* The number of complaints, the dropped ones included. */
size_t diag_count(const struct diag *d);

void diag_free(struct diag *d);

#endif
