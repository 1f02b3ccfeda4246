/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which records of a trace belong to one message: sent, fetched, replied to, the reply fetched.
 */
#ifndef VMM_TRACE_FLOW_H
#define VMM_TRACE_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "trace.h"

#define TRACE_FLOW_NONE UINT32_MAX

/* For each record the one that the message goes on with, the one it comes from, and the first. */
struct trace_flows {
    uint32_t *next, *prev, *head;
};

/* Heads included.  0 and the caller frees *out; -ENOMEM, or -E2BIG for more records than 32 bits
 * can number. */
int trace_flows(struct trace_flows *out, const struct trace_record *r, size_t count);
void trace_flows_free(struct trace_flows *f);

/* Record i and what it went on with no longer belong together.  Heads are as before. */
void trace_flow_cut(struct trace_flows *f, uint32_t i);

/* Finds heads anew.  What is part of no message has none, nor have messages that go in a circle,
 * which only a forged trace has. */
void trace_flow_heads(struct trace_flows *f, size_t count);

#endif
