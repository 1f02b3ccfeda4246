/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Console.  Text is collected until a line is complete, so that a line is one console operation
 * and is never interleaved with another PE's.
 */
#ifndef GUEST_PRINT_H
#define GUEST_PRINT_H

#include <stdarg.h>
#include <stddef.h>

/* Formats as fmt.h says.  A single call prints at most PRINT_MAX - 1 bytes; the rest is cut. */
#define PRINT_MAX 512u
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *format, va_list ap);

/* Any length of text, by lines, too. */
void print_text(const char *text, size_t len);

/* Prints what was collected of an unfinished line. */
void print_flush(void);

/* Writes len bytes to the console as they are, past the line buffer. */
void print_raw(const char *text, size_t len);

/* Prints "PANIC: ..." and ends the program with PANIC_STATUS. */
#define PANIC_STATUS 255
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
