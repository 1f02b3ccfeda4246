/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pattern write BYTES: a known pattern of so many bytes to standard output; pattern read BYTES:
 * standard input must be that and then end.  For pipes, and files behind < and >.
 */
#include "file.h"
#include "fmt.h"
#include "print.h"
#include "start.h"
#include "str.h"

#define PIECE 10000u /* no power of two, so that pieces lie everywhere */

static uint8_t buf[PIECE];

static uint8_t at(unsigned long i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static int produce(unsigned long bytes)
{
    for (unsigned long done = 0; done < bytes;) {
        size_t n = bytes - done < PIECE ? bytes - done : PIECE;
        long err;

        for (size_t i = 0; i < n; i++)
            buf[i] = at(done + i);
        err = file_write(FILE_OUT, buf, n);
        if (err < 0) {
            print("pattern: writing at %lu: error %ld\n", done, -err);
            return 1;
        }
        done += n;
    }
    return 0;
}

static int consume(unsigned long bytes)
{
    unsigned long done = 0;
    long n;

    while ((n = file_read(FILE_IN, buf, sizeof(buf))) > 0)
        for (long i = 0; i < n; i++, done++)
            if (buf[i] != at(done)) {
                print("pattern: byte %lu is %u, not %u\n", done, buf[i], at(done));
                return 1;
            }
    if (n < 0 || done != bytes) {
        print("pattern: %lu bytes, not %lu (error %ld)\n", done, bytes, n < 0 ? -n : 0);
        return 1;
    }
    print("pattern: %lu bytes are right\n", done);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long bytes;

    if (argc != 3 || !fmt_parse(argv[2], &bytes) ||
        (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "read") != 0))
        panic("usage: pattern write BYTES, or pattern read BYTES");
    return argv[1][0] == 'w' ? produce(bytes) : consume(bytes);
}
