/* SPDX-License-Identifier: BSD-2-Clause */
/* The C string functions that programs here (and the compiler) need, with their usual meaning. */
#ifndef GUEST_STR_H
#define GUEST_STR_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
/* So that the compiler copies itself what is short and of a known length. */
#define memcpy(dst, src, n) __builtin_memcpy(dst, src, n)
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

#endif
