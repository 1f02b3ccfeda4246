/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of complaints.  Adding to it cannot fail from the caller's view: what does not fit is
 * counted, and diag_print() says so, so an error can never get lost into a success.
 */
#include "diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* File names, INI values and ELF contents end up in messages; none may move the cursor. */
static void clean(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            *s = '?';
}

static char *format(const char *fmt, va_list ap)
{
    char *s = NULL;

    if (vasprintf(&s, fmt, ap) < 0)
        return NULL;
    clean(s);
    return s;
}

/* Where a complaint about LINE belongs: behind all of the same or a smaller line. */
static size_t position(const struct diag *d, int line)
{
    size_t i = d->n;

    if (line > 0)
        while (i > 0 && (d->v[i - 1].line == 0 || d->v[i - 1].line > line))
            i--;
    return i;
}

static int insert(struct diag *d, int line, char *file, char *text)
{
    struct diag_entry *v = realloc(d->v, (d->n + 1) * sizeof(*v));
    size_t at;

    if (!v)
        return -1;
    d->v = v;
    at = position(d, line);
    memmove(v + at + 1, v + at, (d->n - at) * sizeof(*v));
    v[at] = (struct diag_entry){.file = file, .line = line, .text = text};
    d->n++;
    return 0;
}

void diag_add(struct diag *d, const char *file, int line, const char *fmt, ...)
{
    char *name = NULL, *text;
    va_list ap;

    if (d->n >= DIAG_MAX) {
        d->dropped++;
        return;
    }
    va_start(ap, fmt);
    text = format(fmt, ap);
    va_end(ap);
    if (file && (name = strdup(file)))
        clean(name);
    if (!text || (file && !name) || insert(d, line, name, text) < 0) {
        free(text);
        free(name);
        d->dropped++;
    }
}

void diag_print(const struct diag *d, FILE *out)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct diag_entry *e = &d->v[i];

        if (!e->file)
            fprintf(out, "sempervm: %s\n", e->text);
        else if (e->line > 0)
            fprintf(out, "%s:%d: %s\n", e->file, e->line, e->text);
        else
            fprintf(out, "%s: %s\n", e->file, e->text);
    }
    if (d->dropped)
        fprintf(out, "sempervm: and %zu more errors; mend those above first\n", d->dropped);
}

size_t diag_count(const struct diag *d)
{
    return d->n + d->dropped;
}

void diag_free(struct diag *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i].file);
        free(d->v[i].text);
    }
    free(d->v);
    *d = (struct diag){0};
}
