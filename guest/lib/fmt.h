/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatting, as printf does it, for %d %i %u %x %X %c %s %p %% with the flags '-', '0', '#', '+',
 * a width and a precision (numbers or *), and the lengths hh, h, l, ll, z, j, t.  No floating
 * point.  A conversion outside this list is printed as it stands.
 */
#ifndef GUEST_FMT_H
#define GUEST_FMT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Writes at most size bytes to buf, NUL included (nothing when size is 0), and returns the length
 * that the whole text would have.
 */
size_t fmt_vsnprintf(char *buf, size_t size, const char *format, va_list ap);
size_t fmt_snprintf(char *buf, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Decimal or 0x... number that is all of s; false when it is none or does not fit. */
_Bool fmt_parse(const char *s, unsigned long *out);

#endif
