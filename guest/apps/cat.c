/* SPDX-License-Identifier: BSD-2-Clause */
/* cat [FILE...]: files, or standard input, to standard output. */
#include "file.h"
#include "print.h"
#include "start.h"

static int copy(int fd, const char *name)
{
    static char buf[16384];
    long n, done = 0;

    while ((n = file_read(fd, buf, sizeof(buf))) > 0) {
        done = file_write(FILE_OUT, buf, (size_t)n);
        if (done < 0)
            break;
    }
    if (n < 0 || done < 0)
        print("cat: %s: error %ld\n", name, n < 0 ? -n : -done);
    return n < 0 || done < 0;
}

int main(int argc, char **argv)
{
    int status = 0;

    file_root();
    if (argc < 2)
        return copy(FILE_IN, "standard input");
    for (int i = 1; i < argc; i++) {
        int fd = file_open(argv[i], FILE_R);

        if (fd < 0) {
            print("cat: %s: error %d\n", argv[i], -fd);
            status = 1;
            continue;
        }
        status |= copy(fd, argv[i]);
        file_close(fd);
    }
    return status;
}
