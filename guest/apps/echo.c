/* SPDX-License-Identifier: BSD-2-Clause */
/* echo WORD...: the words to standard output. */
#include "file.h"
#include "start.h"
#include "str.h"

int main(int argc, char **argv)
{
    long err = 0;

    for (int i = 1; i < argc && err >= 0; i++) {
        err = file_write(FILE_OUT, argv[i], strlen(argv[i]));
        if (err >= 0)
            err = file_write(FILE_OUT, i + 1 < argc ? " " : "\n", 1);
    }
    return err < 0;
}
