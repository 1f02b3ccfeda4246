/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot line: the words that the first kernel gets, cut into groups by `--`, and within a group
 * that starts another kernel by `++`.  Internal to the machine description.
 */
#ifndef VMM_BOOTLINE_H
#define VMM_BOOTLINE_H

#include "machine.h"

/* argv[first..end), without the separator. */
struct boot_group {
    int first, end;
    bool kernel; /* starts a kernel with programs of its own */
};

/* What a boot line asks for. */
struct boot_needs {
    unsigned pes;     /* core PEs, that of the first kernel included */
    unsigned kernels; /* the first one included */
};

/* The next group in argv[*at..end); moves *at behind it.  False at the end. */
bool bootline_next(const struct machine *m, const char *separator, int *at, int end,
                   struct boot_group *g);

/* Where the first group begins: behind the program of PE 1 and a kernel's own words, id= and peer=.
 */
int bootline_first(const struct machine *m);

/* Replace the machine's boot line by copies of these words.  -ENOMEM. */
int bootline_set(struct machine *m, int argc, char *const argv[]);

/* The same from text, words separated by blanks; IMPLY: apply the rule on the first word, below. */
int bootline_from_text(struct machine *m, const char *text, bool imply, int line, struct diag *d);

/* Append a word.  -ENOMEM. */
int bootline_add(struct machine *m, const char *word);

/*
 * Put `kernel` in front when the first group is one that only a kernel may start (`kernel ...
 * pes=n`), and drop a `--` right behind the first kernel.  -ENOMEM.
 */
int bootline_imply_kernel(struct machine *m);

/* Check all words and groups; what they need goes to *NEEDS. */
void bootline_check(const struct machine *m, struct boot_needs *needs, struct diag *d);

/* Bytes of argument pointers and strings behind PE 1's Env. */
uint64_t bootline_bytes(const struct machine *m);

/* The value behind "KEY=" in a word, NULL if it does not begin so. */
const char *bootline_value(const char *word, const char *key);

#endif
