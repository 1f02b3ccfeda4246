/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing and reading messages.  Every value starts at a multiple of 8 bytes from the start of the
 * payload and only its own bytes are defined (semperos-platform 7.1); a string is a u64 length and
 * its bytes; a capability range is 12 bytes in 16.
 *
 * Neither side trusts lengths: what does not fit sets `error`, after which a writer writes nothing
 * more and a reader returns zeros, so that a handler checks once, at the end.  Payloads may be
 * unaligned (dtu-spec 3.1).
 */
#ifndef GUEST_MARSHAL_H
#define GUEST_MARSHAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "str.h"
#include "syscalls.h"

static inline size_t msg_pad(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

struct msg_writer {
    uint8_t *buf;
    size_t size; /* of buf */
    size_t len;  /* written so far, a multiple of 8 */
    bool error;  /* something did not fit */
};

static inline void msg_writer_init(struct msg_writer *w, void *buf, size_t size)
{
    *w = (struct msg_writer){.buf = buf, .size = size};
}

/* n bytes, padded with zeros. */
static inline void msg_put_bytes(struct msg_writer *w, const void *data, size_t n)
{
    if (w->error || n > w->size || msg_pad(n) > w->size - w->len) {
        w->error = true;
        return;
    }
    memcpy(w->buf + w->len, data, n);
    memset(w->buf + w->len + n, 0, msg_pad(n) - n);
    w->len += msg_pad(n);
}

static inline void msg_put(struct msg_writer *w, uint64_t v)
{
    msg_put_bytes(w, &v, sizeof(v));
}

static inline void msg_put_str(struct msg_writer *w, const char *s, size_t n)
{
    msg_put(w, n);
    msg_put_bytes(w, s, n);
}

static inline void msg_put_range(struct msg_writer *w, struct cap_range r)
{
    msg_put_bytes(w, &r, sizeof(r));
}

struct msg_reader {
    const uint8_t *buf;
    size_t len; /* of the payload */
    size_t pos; /* a multiple of 8, may be up to 7 beyond len */
    bool error; /* something was missing or out of range */
};

static inline void msg_reader_init(struct msg_reader *r, const void *buf, size_t len)
{
    *r = (struct msg_reader){.buf = buf, .len = len};
}

/* n bytes where they lie (unaligned), NULL when there are fewer. */
static inline const uint8_t *msg_get_bytes(struct msg_reader *r, size_t n)
{
    const uint8_t *p;

    if (r->error || r->pos > r->len || n > r->len - r->pos) {
        r->error = true;
        return NULL;
    }
    p = r->buf + r->pos;
    r->pos += msg_pad(n);
    return p;
}

static inline uint64_t msg_get_n(struct msg_reader *r, size_t n)
{
    const uint8_t *p = msg_get_bytes(r, n);
    uint64_t v = 0;

    if (p)
        memcpy(&v, p, n);
    return v;
}

static inline uint64_t msg_get_u64(struct msg_reader *r)
{
    return msg_get_n(r, 8);
}
static inline uint32_t msg_get_u32(struct msg_reader *r)
{
    return (uint32_t)msg_get_n(r, 4);
}
static inline uint16_t msg_get_u16(struct msg_reader *r)
{
    return (uint16_t)msg_get_n(r, 2);
}
static inline uint8_t msg_get_u8(struct msg_reader *r)
{
    return (uint8_t)msg_get_n(r, 1);
}
static inline bool msg_get_bool(struct msg_reader *r)
{
    return msg_get_n(r, 1) != 0;
}

/*
 * A string: copied to dst (size bytes, at least 1), always terminated; its length is returned.
 * One that is longer than size - 1 or contains a NUL is an error.
 */
static inline size_t msg_get_str(struct msg_reader *r, char *dst, size_t size)
{
    uint64_t n = msg_get_u64(r);
    const uint8_t *p;

    dst[0] = 0;
    if (n >= size) {
        r->error = true;
        return 0;
    }
    p = msg_get_bytes(r, n);
    if (!p)
        return 0;
    memcpy(dst, p, n);
    dst[n] = 0;
    if (strnlen(dst, n) != n) {
        r->error = true;
        return 0;
    }
    return n;
}

static inline struct cap_range msg_get_range(struct msg_reader *r)
{
    struct cap_range c = {0, 0, 0};
    const uint8_t *p = msg_get_bytes(r, sizeof(c));

    if (p)
        memcpy(&c, p, sizeof(c));
    return c;
}

/* Bytes not read yet. */
static inline size_t msg_remaining(const struct msg_reader *r)
{
    return r->error || r->pos > r->len ? 0 : r->len - r->pos;
}

#endif
