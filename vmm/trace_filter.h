/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which records of a trace are wanted.
 */
#ifndef VMM_TRACE_FILTER_H
#define VMM_TRACE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace_names.h"

#define TRACE_PES_MAX 1024u

/* One bit for each PE. */
struct trace_pe_set {
    uint64_t bits[TRACE_PES_MAX / 64];
};

struct trace_filter {
    bool by_pe, by_peer, errors;
    struct trace_pe_set pes, peers;
    const char *ops;   /* names with commas between, NULL: all; the caller's */
    uint64_t from, to; /* steps, both included */
};

/* Everything is wanted. */
void trace_filter_init(struct trace_filter *f);

/*
 * Add "3" or "1,2,5"; name operations and calls, as "send,fetch" or "syscall" or "obtain"; set a
 * step.  0, or -EINVAL with one line in err, beginning with `option`.
 */
int trace_filter_pes(struct trace_pe_set *set, const char *option, const char *text, char *err,
                     size_t size);
int trace_filter_ops(struct trace_filter *f, const char *option, const char *text, char *err,
                     size_t size);
int trace_filter_step(uint64_t *step, const char *option, const char *text, char *err, size_t size);

bool trace_wanted(const struct trace_filter *f, const struct trace_kernels *k,
                  const struct trace_record *r);

#endif
