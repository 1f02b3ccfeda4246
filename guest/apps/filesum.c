/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filesum [FILE]: bytes and the sum of the 32-bit words of a file or of standard input; bytes
 * behind the last whole word do not count, as in the original's filechksum.
 */
#include "file.h"
#include "print.h"
#include "start.h"
#include "str.h"

struct sum {
    unsigned long bytes;
    uint32_t sum, word;
};

static void add(struct sum *s, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->word |= (uint32_t)p[i] << (s->bytes++ % 4 * 8);
        if (s->bytes % 4 == 0) {
            s->sum += s->word;
            s->word = 0;
        }
    }
}

int main(int argc, char **argv)
{
    static uint8_t buf[16384];
    struct sum s = {0};
    int fd = FILE_IN;
    long n;

    file_root();
    if (argc > 1)
        fd = file_open(argv[1], FILE_R);
    while ((n = fd < 0 ? fd : file_read(fd, buf, sizeof(buf))) > 0)
        add(&s, buf, (size_t)n);
    if (n < 0) {
        print("filesum: %s: error %ld\n", argc > 1 ? argv[1] : "standard input", -n);
        return 1;
    }
    file_print(FILE_OUT, "Read %lu bytes; checksum=%u\n", s.bytes, s.sum);
    return 0;
}
