/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines are assembled in a buffer per PE and written with one write() under one lock.  A line
 * longer than the buffer is cut into lines.  Programs are not trusted with the terminal: of their
 * escape sequences (ESC [ ... letter) only colours pass, and those only when colours are on (the
 * original kernel colours every line it logs); control characters are removed.
 */
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u
#define WRITE_MAX      4096u /* a pipe that polls writable takes so much without blocking */
#define POLL_MS        50
#define SEQUENCE_MAX   16u

struct line {
    char *buf; /* allocated at the first byte: most PEs never print */
    size_t len;
    enum { TEXT, ESCAPE, SEQUENCE } state;
    char seq[SEQUENCE_MAX]; /* of an escape sequence: what follows ESC [ */
    unsigned nseq;
};

struct console {
    pthread_mutex_t lock;
    int fd;
    unsigned npes;
    bool prefix, colour;
    atomic_bool give_up;
    uint64_t lost;
    struct line *lines;
};

struct console *console_new(int fd, unsigned npes, bool prefix, bool colour)
{
    struct console *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->lines = calloc(npes + 1u, sizeof(*c->lines));
    if (!c->lines) {
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->fd = fd;
    c->npes = npes;
    c->prefix = prefix;
    c->colour = colour;
    return c;
}

/* Waits for a reader that is slow, unless the run is being ended. */
static bool writable(struct console *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};

    while (poll(&p, 1, 0) == 0) {
        if (atomic_load(&c->give_up))
            return false;
        poll(&p, 1, POLL_MS);
    }
    return true; /* or an error, which write() will tell */
}

static void write_all(struct console *c, const char *buf, size_t len)
{
    ssize_t n;

    while (len) {
        n = writable(c) ? write(c->fd, buf, len < WRITE_MAX ? len : WRITE_MAX) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            c->lost += len;
            return;
        }
        buf += n;
        len -= (size_t)n;
    }
}

void console_give_up(struct console *c)
{
    atomic_store(&c->give_up, true);
}

/* Hues that differ for neighbours: the six bright colours in turn. */
static int prefix_of(const struct console *c, unsigned pe, char *out, size_t size)
{
    if (!c->prefix)
        return 0;
    if (c->colour)
        return snprintf(out, size, "\033[1;%um[PE %u]\033[0m ", 31 + pe % 6, pe);
    return snprintf(out, size, "[PE %u] ", pe);
}

static void flush_line(struct console *c, unsigned pe)
{
    struct line *l = &c->lines[pe];
    char out[LINE_MAX_BYTES + 64];
    size_t n = (size_t)prefix_of(c, pe, out, sizeof(out));

    memcpy(out + n, l->buf, l->len);
    n += l->len;
    out[n++] = '\n';
    l->len = 0;
    pthread_mutex_lock(&c->lock);
    write_all(c, out, n);
    pthread_mutex_unlock(&c->lock);
}

static void put(struct console *c, unsigned pe, char ch)
{
    struct line *l = &c->lines[pe];

    if (ch == '\n' || l->len == LINE_MAX_BYTES)
        flush_line(c, pe);
    if (ch != '\n')
        l->buf[l->len++] = ch;
}

/* A sequence has ended: colours (ESC [ ... m) may pass, what moves the cursor may not. */
static void end_sequence(struct console *c, unsigned pe, char last)
{
    struct line *l = &c->lines[pe];
    unsigned i;

    l->state = TEXT;
    if (!c->colour || last != 'm' || l->nseq >= SEQUENCE_MAX)
        return;
    put(c, pe, '\033');
    put(c, pe, '[');
    for (i = 0; i < l->nseq; i++)
        put(c, pe, l->seq[i]);
    put(c, pe, 'm');
}

static void take(struct console *c, unsigned pe, char ch)
{
    struct line *l = &c->lines[pe];
    unsigned char u = (unsigned char)ch;

    switch (l->state) {
    case ESCAPE:
        l->state = ch == '[' ? SEQUENCE : TEXT;
        l->nseq = 0;
        return;
    case SEQUENCE:
        if (u >= 0x40 && u <= 0x7E)
            end_sequence(c, pe, ch);
        else if (l->nseq < SEQUENCE_MAX)
            l->seq[l->nseq++] = ch;
        return;
    default:
        break;
    }
    if (ch == '\033')
        l->state = ESCAPE;
    else if (u >= 0x20 ? u != 0x7F : ch == '\n' || ch == '\t')
        put(c, pe, ch);
}

void console_write(struct console *c, unsigned pe, const char *buf, size_t len)
{
    struct line *l;
    size_t i;

    if (pe > c->npes)
        return;
    l = &c->lines[pe];
    if (!l->buf && !(l->buf = malloc(LINE_MAX_BYTES))) {
        pthread_mutex_lock(&c->lock);
        c->lost += len;
        pthread_mutex_unlock(&c->lock);
        return;
    }
    for (i = 0; i < len; i++)
        take(c, pe, buf[i]);
}

void console_flush(struct console *c)
{
    unsigned i;

    for (i = 0; i <= c->npes; i++)
        if (c->lines[i].len)
            flush_line(c, i);
}

void console_free(struct console *c)
{
    unsigned i;

    if (!c)
        return;
    console_flush(c);
    for (i = 0; i <= c->npes; i++)
        free(c->lines[i].buf);
    pthread_mutex_destroy(&c->lock);
    free(c->lines);
    free(c);
}

uint64_t console_lost(struct console *c)
{
    uint64_t lost;

    pthread_mutex_lock(&c->lock);
    lost = c->lost;
    pthread_mutex_unlock(&c->lock);
    return lost;
}
