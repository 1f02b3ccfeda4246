/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What PEs print.  Output is put together line by line per PE and written a line at a time, so
 * lines of different PEs never mix, however many threads print.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console;

/*
 * A console that writes to `fd` for PEs 1..npes.  prefix: "[PE n] " before each line.  colour: the
 * prefix in a colour of its own, and the programs' own colours passed through.  All other escape
 * sequences and control characters are removed.  NULL when out of memory.
 */
struct console *console_new(int fd, unsigned npes, bool prefix, bool colour);

/*
 * From now on what cannot be written at once is dropped and counted: the run is being ended, and a
 * reader that does not read must not hold it up.  Any thread.
 */
void console_give_up(struct console *c);

/* Writes out what has no end of line yet; no other thread may be using the console. */
void console_flush(struct console *c);

/* The same, then frees it. */
void console_free(struct console *c);

/* Any thread, but for one PE only one at a time.  The bytes are copied. */
void console_write(struct console *c, unsigned pe, const char *buf, size_t len);

/* Bytes that could not be written (the reader is gone). */
uint64_t console_lost(struct console *c);

#endif
