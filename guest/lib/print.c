/* SPDX-License-Identifier: BSD-2-Clause */
/* Console and panic; see print.h. */
#include "print.h"

#include <stdbool.h>
#include <stdint.h>

#include "boot.h"
#include "dtu_drv.h"
#include "fmt.h"
#include "start.h"
#include "str.h"

static char line[PRINT_MAX];
static size_t line_len;

/*
 * gem5's writefile (semperos-platform 6): on hardware 0F 04 is an invalid opcode, which the VMM's
 * shim serves.
 */
static void gem5_write(const char *text, size_t len)
{
    static const char name[] = "stdout";
    uint64_t written;

    __asm__ volatile(".byte 0x0f, 0x04, 0x4f, 0x00"
                     : "=a"(written)
                     : "D"(text), "S"(len), "d"(0), "c"(name), "0"(0)
                     : "memory");
}

void print_raw(const char *text, size_t len)
{
    if (len == 0)
        return;
    __asm__ volatile("" ::: "memory");
    if (vreg_has(VREG_F_CONSOLE))
        vreg_set(VREG_CONSOLE, vreg_console((uintptr_t)text, len));
    else
        gem5_write(text, len);
}

void print_flush(void)
{
    size_t n = line_len;

    line_len = 0;
    print_raw(line, n);
}

void print_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        line[line_len++] = text[i];
        if (text[i] == '\n' || line_len == sizeof(line))
            print_flush();
    }
}

void vprint(const char *format, va_list ap)
{
    char buf[PRINT_MAX];
    size_t n = fmt_vsnprintf(buf, sizeof(buf), format, ap);

    print_text(buf, n < sizeof(buf) ? n : sizeof(buf) - 1);
}

void print(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vprint(format, ap);
    va_end(ap);
}

void panic(const char *format, ...)
{
    static bool panicking;
    va_list ap;

    if (panicking) /* guest_exit() panics too */
        guest_halt(PANIC_STATUS);
    panicking = true;
    print_flush();
    print("PANIC: ");
    va_start(ap, format);
    vprint(format, ap);
    va_end(ap);
    print("\n");
    guest_exit(PANIC_STATUS);
}
