/* SPDX-License-Identifier: BSD-2-Clause */
/* wc [FILE]: lines, words and bytes of a file or of standard input. */
#include "file.h"
#include "print.h"
#include "start.h"

int main(int argc, char **argv)
{
    static char buf[16384];
    unsigned long lines = 0, words = 0, bytes = 0;
    bool in_word = false;
    int fd = FILE_IN;
    long n;

    file_root();
    if (argc > 1)
        fd = file_open(argv[1], FILE_R);
    while ((n = fd < 0 ? fd : file_read(fd, buf, sizeof(buf))) > 0) {
        bytes += (unsigned long)n;
        for (long i = 0; i < n; i++) {
            bool blank = buf[i] == ' ' || (buf[i] >= '\t' && buf[i] <= '\r');

            lines += buf[i] == '\n';
            words += !blank && !in_word;
            in_word = !blank;
        }
    }
    if (n < 0) {
        print("wc: %s: error %ld\n", argc > 1 ? argv[1] : "standard input", -n);
        return 1;
    }
    file_print(FILE_OUT, "%lu %lu %lu\n", lines, words, bytes);
    return 0;
}
