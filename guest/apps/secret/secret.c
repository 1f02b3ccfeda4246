/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret [ROUNDS]: fills its heap with a secret and looks after it, a system call between two
 * looks.  Exit status 0 when it is intact to the end.  Runs beside `attack`.
 */
#include "secret.h"

#include "fmt.h"
#include "heap.h"
#include "print.h"
#include "start.h"
#include "syscall.h"

#define WORDS (1u << 17) /* 1 MiB */

int main(int argc, char **argv)
{
    uint64_t *words = heap_alloc(WORDS * sizeof(*words));
    unsigned long rounds = 200;
    size_t at = WORDS;

    if (argc > 2 || (argc == 2 && !fmt_parse(argv[1], &rounds))) {
        print("usage: secret [ROUNDS]\n");
        return 2;
    }
    if (!words)
        panic("no memory for the secret");
    secret_fill(words, WORDS);
    print("secret: kept\n");
    for (unsigned long i = 0; i < rounds && at == WORDS; i++) {
        unsigned err = sysc_noop();

        if (err)
            panic("NOOP: error %u", err);
        at = secret_check(words, WORDS);
    }
    if (at < WORDS) {
        print("secret: DAMAGED: word %zu is %#lx\n", at, words[at]);
        return 1;
    }
    print("secret: intact after %lu rounds\n", rounds);
    return 0;
}
