/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A short trace with a bit of everything, and somewhere to print it to.
 *
 * PE 1 is a kernel: it writes a register of PE 2.  PE 2 makes a system call, PE 3 is another kernel
 * that makes a kernel call.
 */
#ifndef TRACE_STORY_H
#define TRACE_STORY_H

#include "../../include/errors.h"
#include "../../include/syscalls.h"
#include "../../vmm/trace_names.h"
#include "trace_fixture.h"

#define NONE 0xFFFFu

static const struct trace_record story[] = {
    {.step = 1, .time = 1000, .pe = 1, .op = TR_SCHED, .peer = NONE},
    {.step = 2,
     .time = 2000,
     .pe = 1,
     .op = TR_WRITE,
     .ep = 14,
     .peer = 2,
     .offset = DTU_BASE,
     .len = 8},
    {.step = 3,
     .time = 3000,
     .pe = 3,
     .op = TR_WRITE,
     .ep = 14,
     .peer = 4,
     .offset = DTU_BASE + 0x70,
     .len = 24},
    {.step = 4, .time = 4000, .pe = 1, .op = TR_WAIT, .ep = 1, .peer = NONE, .label = ~0ull},
    {.step = 5, .time = 5000, .pe = 2, .op = TR_SCHED, .peer = 1},
    /* garbage above the opcode's 4 bytes */
    {.step = 6,
     .time = 6000,
     .pe = 2,
     .vpe = 9,
     .op = TR_SEND,
     .peer = 1,
     .offset = 3,
     .label = 0x42,
     .len = 32,
     .hash = 0x1234,
     .first = 0xFFFFFFFF00000000ull | SYSC_OBTAIN},
    {.step = 7, .time = 7000, .pe = 1, .op = TR_WAKE, .peer = NONE, .result = 1},
    {.step = 8,
     .time = 8000,
     .pe = 1,
     .op = TR_FETCH,
     .ep = 3,
     .peer = 2,
     .label = 0x42,
     .offset = 0x8000,
     .len = 32},
    {.step = 9,
     .time = 9000,
     .pe = 1,
     .op = TR_REPLY,
     .ep = 3,
     .peer = 2,
     .label = 0x77,
     .offset = 1,
     .len = 8},
    {.step = 10,
     .time = 9000,
     .pe = 2,
     .vpe = 9,
     .op = TR_FETCH,
     .ep = 1,
     .peer = 1,
     .label = 0x77,
     .offset = 0x9000,
     .len = 8},
    {.step = 11,
     .time = 9000,
     .pe = 2,
     .vpe = 9,
     .op = TR_ACK,
     .ep = 1,
     .peer = 1,
     .label = 0x77,
     .offset = 0x9000,
     .len = 8},
    {.step = 12,
     .time = 12000,
     .pe = 3,
     .op = TR_SEND,
     .ep = 14,
     .peer = 1,
     .offset = 6,
     .label = 1,
     .len = 16,
     .first = 25},
    {.step = 13,
     .time = 13000,
     .pe = 2,
     .vpe = 9,
     .op = TR_SEND,
     .ep = 4,
     .peer = NONE,
     .result = SE_MISS_CREDITS},
    {.step = 14, .time = 14000, .pe = 2, .op = TR_EXIT, .ep = 0, .peer = NONE, .result = 3},
    {.step = 15, .time = 15000, .pe = 4, .op = TR_FAULT, .peer = NONE, .label = 0x201000},
    {.step = 16, .time = 16000, .pe = 3, .op = TR_INJECT, .ep = TI_DELAY, .peer = NONE},
    {.step = 17, .time = 17000, .pe = 1, .op = 29, .peer = NONE},
};
#define STORY (sizeof(story) / sizeof(story[0]))

static struct trace_kernels kernels;

/* The file that a test's text was printed to; printed() ends it. */
static FILE *out;
static char *text;
static size_t text_size;

static inline void start_text(void)
{
    out = open_memstream(&text, &text_size);
    ck_assert_ptr_nonnull(out);
}

static inline const char *printed(void)
{
    fclose(out);
    out = NULL;
    return text;
}

static inline void setup(void)
{
    trace_find_kernels(&kernels, story, STORY);
    start_text();
}

static inline void teardown(void)
{
    if (out)
        fclose(out);
    free(text);
}

static inline unsigned count_of(const char *in, const char *what)
{
    unsigned n = 0;

    for (const char *p = in; (p = strstr(p, what)); p++)
        n++;
    return n;
}

#endif
