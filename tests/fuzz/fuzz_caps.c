/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/caps.c vmm/caps_print.c */
/*
 * What kernels tell, as anything.  An input is several answers: a byte says how many records each
 * has.  What is accepted hangs together, and can be printed.
 */
#include "../../vmm/caps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../include/capdump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(truth) must_at((truth), #truth, __LINE__)

static void must_at(int truth, const char *text, int line)
{
    if (!truth) {
        fprintf(stderr, "line %d: not so: %s\n", line, text);
        abort();
    }
}

/* Every capability hangs once: at a parent, or nowhere. */
static void check(const struct caps *c)
{
    uint32_t kids = 0, roots = 0;

    for (uint32_t i = 0; i < c->ncaps; i++) {
        roots += c->cap[i].parent == CAPS_NONE;
        for (uint32_t k = c->cap[i].child; k != CAPS_NONE; k = c->cap[k].next, kids++)
            must(c->cap[k].parent == i);
        must(c->cap[i].vpe < c->nvpes && c->cap[i].kernel < c->nkernels);
    }
    must(kids + roots == c->ncaps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct caps c = {0};
    char err[200], *text = NULL;
    size_t len, at = 0, length;
    struct capdump first;
    FILE *f;

    while (size - at >= 1 && c.nkernels < 8) {
        len = (size_t)data[at++] * sizeof(first);
        if (len > size - at)
            len = size - at;
        memset(&first, 0, sizeof(first));
        memcpy(&first, data + at, len < sizeof(first) ? len : sizeof(first));
        err[0] = 0;
        /* As if it had been asked just that. */
        if (caps_add(&c, first.pe, first.cap.key, data + at, len, err, sizeof(err)) < 0)
            must(err[0] != 0 && strchr(err, '\n') == NULL);
        at += len;
    }
    must(caps_link(&c) == 0);
    check(&c);
    f = open_memstream(&text, &length);
    if (f) {
        caps_print_text(&c, f);
        caps_print_dot(&c, f);
        fclose(f);
        must(strlen(text) == length);
    }
    free(text);
    caps_free(&c);
    return 0;
}
