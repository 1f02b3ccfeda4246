/* SPDX-License-Identifier: BSD-2-Clause */
/* See fmt.h.  Pure code, also compiled for the host by the unit tests. */
#include "fmt.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct sink {
    char *buf;
    size_t size;
    size_t len;
};

struct spec {
    bool left, zero, alt, plus;
    int width;
    int prec; /* -1: none */
    int size; /* bytes of the argument */
    char conv;
};

static void put(struct sink *s, char c)
{
    if (s->len + 1 < s->size)
        s->buf[s->len] = c;
    s->len++;
}

static void pad(struct sink *s, char c, int n)
{
    for (int i = 0; i < n; i++)
        put(s, c);
}

static void put_string(struct sink *s, const struct spec *sp, const char *str)
{
    size_t max = sp->prec < 0 ? (size_t)INT_MAX : (size_t)sp->prec;
    size_t n = 0;

    if (!str)
        str = "(null)";
    while (n < max && str[n])
        n++;
    if (!sp->left)
        pad(s, ' ', sp->width - (int)n);
    for (size_t i = 0; i < n; i++)
        put(s, str[i]);
    if (sp->left)
        pad(s, ' ', sp->width - (int)n);
}

/* prefix: sign or "0x"; zeros go behind it, blanks in front. */
static void put_number(struct sink *s, const struct spec *sp, uint64_t v, const char *prefix)
{
    const char *digits = sp->conv == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    unsigned base = sp->conv == 'd' || sp->conv == 'u' ? 10 : 16;
    char tmp[24];
    int n = 0, zeros = 0, plen = 0, fill;

    while (v || n == 0) {
        tmp[n++] = digits[v % base];
        v /= base;
    }
    while (prefix[plen])
        plen++;
    if (sp->prec > n)
        zeros = sp->prec - n;
    else if (sp->prec < 0 && sp->zero && !sp->left && sp->width > n + plen)
        zeros = sp->width - n - plen;
    fill = sp->width - n - plen - zeros;
    if (!sp->left)
        pad(s, ' ', fill);
    for (int i = 0; i < plen; i++)
        put(s, prefix[i]);
    pad(s, '0', zeros);
    while (n > 0)
        put(s, tmp[--n]);
    if (sp->left)
        pad(s, ' ', fill);
}

static int parse_int(const char **f)
{
    int v = 0;

    while (**f >= '0' && **f <= '9') {
        if (v < 4096) /* wide enough for any line; keeps the padding loops bounded */
            v = v * 10 + (**f - '0');
        (*f)++;
    }
    return v;
}

static void parse_flags(const char **f, struct spec *sp)
{
    for (;; (*f)++) {
        switch (**f) {
        case '-':
            sp->left = true;
            break;
        case '0':
            sp->zero = true;
            break;
        case '#':
            sp->alt = true;
            break;
        case '+':
            sp->plus = true;
            break;
        default:
            return;
        }
    }
}

static void parse_size(const char **f, struct spec *sp)
{
    sp->size = (int)sizeof(int);
    for (;; (*f)++) {
        switch (**f) {
        case 'h':
            sp->size = sp->size == 2 ? 1 : 2;
            break;
        case 'l':
        case 'z':
        case 'j':
        case 't':
            sp->size = 8;
            break;
        default:
            return;
        }
    }
}

/* The argument, cut to its size. */
static uint64_t narrow(uint64_t v, int size, bool sign)
{
    int shift = 64 - size * 8;

    if (sign)
        return (uint64_t)((int64_t)(v << shift) >> shift);
    return v << shift >> shift;
}

static void put_integer(struct sink *s, struct spec *sp, uint64_t v)
{
    const char *prefix = "";

    if (sp->conv == 'd') {
        v = narrow(v, sp->size, true);
        if ((int64_t)v < 0) {
            v = -v;
            prefix = "-";
        } else if (sp->plus) {
            prefix = "+";
        }
    } else {
        v = narrow(v, sp->size, false);
        if (sp->alt && v && sp->conv != 'u')
            prefix = "0x";
    }
    put_number(s, sp, v, prefix);
}

/* What stands between '%' and the conversion letter. */
static void parse_spec(const char **f, struct spec *sp, va_list *ap)
{
    *sp = (struct spec){.prec = -1};
    parse_flags(f, sp);
    if (**f == '*') {
        sp->width = va_arg(*ap, int);
        (*f)++;
        if (sp->width < 0) {
            sp->left = true;
            sp->width = sp->width < -4096 ? 4096 : -sp->width;
        }
    } else {
        sp->width = parse_int(f);
    }
    if (**f == '.') {
        (*f)++;
        if (**f == '*') {
            sp->prec = va_arg(*ap, int);
            (*f)++;
        } else {
            sp->prec = parse_int(f);
        }
    }
    parse_size(f, sp);
    sp->conv = **f == 'i' ? 'd' : **f;
}

/* false: no conversion that we know. */
static bool convert(struct sink *s, struct spec *sp, va_list *ap)
{
    switch (sp->conv) {
    case 'd':
    case 'u':
    case 'x':
    case 'X':
        put_integer(s, sp, sp->size == 8 ? va_arg(*ap, uint64_t) : (uint64_t)va_arg(*ap, unsigned));
        return true;
    case 'p':
        sp->conv = 'x';
        put_number(s, sp, (uintptr_t)va_arg(*ap, void *), "0x");
        return true;
    case 'c':
        sp->prec = 1;
        put_string(s, sp, (const char[]){(char)va_arg(*ap, int), 0});
        return true;
    case 's':
        put_string(s, sp, va_arg(*ap, const char *));
        return true;
    case '%':
        put(s, '%');
        return true;
    default:
        return false;
    }
}

size_t fmt_vsnprintf(char *buf, size_t size, const char *f, va_list ap)
{
    struct sink s = {buf, size, 0};
    va_list args;

    va_copy(args, ap); /* a va_list parameter cannot be passed on by address */
    while (*f) {
        const char *start = f;
        struct spec sp;

        if (*f++ != '%') {
            put(&s, *start);
            continue;
        }
        parse_spec(&f, &sp, &args);
        if (convert(&s, &sp, &args))
            f++;
        else /* as it stands */
            while (start < f)
                put(&s, *start++);
    }
    va_end(args);
    if (size > 0)
        buf[s.len < size ? s.len : size - 1] = 0;
    return s.len;
}

size_t fmt_snprintf(char *buf, size_t size, const char *format, ...)
{
    va_list ap;
    size_t n;

    va_start(ap, format);
    n = fmt_vsnprintf(buf, size, format, ap);
    va_end(ap);
    return n;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

bool fmt_parse(const char *s, unsigned long *out)
{
    unsigned long v = 0;
    unsigned base = 10;

    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    }
    if (!*s)
        return false;
    for (; *s; s++) {
        unsigned d = (unsigned)digit(*s);

        if (d >= base || v > (ULONG_MAX - d) / base)
            return false;
        v = v * base + d;
    }
    *out = v;
    return true;
}
