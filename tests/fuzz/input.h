/* SPDX-License-Identifier: BSD-2-Clause */
/* An input of a fuzz target as numbers; once it is used up all of them are 0. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *p;
    size_t left;
};

static inline unsigned byte(struct input *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->p++;
}

static inline unsigned word(struct input *in)
{
    unsigned lo = byte(in);

    return lo | byte(in) << 8;
}

#endif
