/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which records of a trace are wanted.
 *
 * A name stands for all that is called so: `exit` is the operation and the system call, `revoke`
 * the system call and the kernel call, `syscall` and `kernelcall` are all of a kind.
 */
#include "trace_filter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../include/syscalls.h"

void trace_filter_init(struct trace_filter *f)
{
    *f = (struct trace_filter){.to = UINT64_MAX};
}

/* The number at *text, which must be followed by `end` or the text's end, and go no further than
 * max; *text is moved behind it. */
static int number(const char **text, char end, uint64_t max, uint64_t *out)
{
    char *stop;

    if (**text < '0' || **text > '9')
        return -EINVAL;
    errno = 0;
    *out = strtoull(*text, &stop, 0);
    if (errno || *out > max || (*stop && *stop != end) || (*stop && !stop[1]))
        return -EINVAL;
    *text = *stop ? stop + 1 : stop;
    return 0;
}

int trace_filter_pes(struct trace_pe_set *set, const char *option, const char *text, char *err,
                     size_t size)
{
    const char *at = text;
    uint64_t pe;

    do {
        if (number(&at, ',', DTU_PES - 1, &pe) < 0) {
            snprintf(err, size, "%s: '%s' is no list of PEs; want numbers up to %u: 1,2", option,
                     text, DTU_PES - 1);
            return -EINVAL;
        }
        set->bits[pe / 64] |= 1ull << pe % 64;
    } while (*at);
    return 0;
}

int trace_filter_step(uint64_t *step, const char *option, const char *text, char *err, size_t size)
{
    const char *at = text;

    if (number(&at, '\0', UINT64_MAX, step) == 0)
        return 0;
    snprintf(err, size, "%s: '%s' is no step; want a number", option, text);
    return -EINVAL;
}

/* ---- operations ------------------------------------------------------------------------------ */

/* Does `name` stand in the list? */
static bool listed(const char *list, const char *name)
{
    size_t len = name ? strlen(name) : 0;

    if (!len)
        return false;
    for (;;) {
        size_t n = strcspn(list, ",");

        if (n == len && strncasecmp(list, name, n) == 0)
            return true;
        if (!list[n])
            return false;
        list += n + 1;
    }
}

static bool known(const char *word)
{
    if (listed("syscall,kernelcall", word))
        return true;
    /* No table has more entries. */
    for (unsigned i = 0; i < 64; i++)
        if (i != TR_END && (listed(word, trace_op_name(i)) || listed(word, trace_syscall_name(i)) ||
                            listed(word, trace_kernelcall_name(i))))
            return true;
    return false;
}

int trace_filter_ops(struct trace_filter *f, const char *option, const char *text, char *err,
                     size_t size)
{
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ",");
        char word[32];

        snprintf(word, sizeof(word), "%.*s", n < sizeof(word) ? (int)n : 0, at);
        if (!known(word)) {
            snprintf(err, size,
                     "%s: '%.*s' is no operation; want send, reply, read, write, fetch, ack, debug,"
                     " sched, wait, wake, exit, fault, inject, reset, syscall, kernelcall or a "
                     "call's name",
                     option, n < 100 ? (int)n : 100, at);
            return -EINVAL;
        }
        at += n;
        if (!*at)
            break;
    }
    f->ops = text;
    return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool in_set(const struct trace_pe_set *set, unsigned pe)
{
    return pe < TRACE_PES_MAX && (set->bits[pe / 64] >> pe % 64 & 1);
}

static bool named(const char *list, const struct trace_kernels *k, const struct trace_record *r)
{
    static const char *const kinds[] = {
        [TRACE_NO_CALL] = NULL, [TRACE_SYSCALL] = "syscall", [TRACE_KERNELCALL] = "kernelcall"};

    return listed(list, trace_op_name(r->op)) || listed(list, kinds[trace_call(k, r)]) ||
           listed(list, trace_call_name(k, r));
}

bool trace_wanted(const struct trace_filter *f, const struct trace_kernels *k,
                  const struct trace_record *r)
{
    return r->step >= f->from && r->step <= f->to && (!f->by_pe || in_set(&f->pes, r->pe)) &&
           (!f->by_peer || in_set(&f->peers, r->peer)) && (!f->errors || trace_is_error(r)) &&
           (!f->ops || named(f->ops, k, r));
}
