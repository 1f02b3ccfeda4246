/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel believes of an ELF file: nothing until it was checked here.  A program comes
 * from the memory PE, where others may have written.
 */
#ifndef KERNEL_ELF_H
#define KERNEL_ELF_H

#include <stddef.h>
#include <stdint.h>

#define ELF_HEADER   64u
#define ELF_PHEADER  56u
#define ELF_PHEADERS 32u /* more than any program here has */
#define ELF_SEGMENTS 16u

struct elf_segment {
    uint64_t offset, filesz; /* in the file */
    uint64_t addr, memsz;    /* in the PE */
    uint32_t flags;          /* ELF_X, ELF_W, ELF_R */
};
enum elf_flags { ELF_X = 1, ELF_W = 2, ELF_R = 4 };

struct elf_image {
    uint64_t entry;
    uint64_t phoff; /* where the program headers are, */
    unsigned phnum; /* and how many */
    unsigned segments;
    struct elf_segment segment[ELF_SEGMENTS];
};

/* Both return NULL or what is wrong.  header: ELF_HEADER bytes of a file of file_size bytes. */
const char *elf_header(const void *header, uint64_t file_size, struct elf_image *out);

/*
 * phdrs: phnum * ELF_PHEADER bytes.  The non-empty PT_LOAD segments, which must lie in the file, in
 * [lo, hi) of the PE, and apart from each other; the entry must be in one that is executable.
 */
const char *elf_segments(const void *phdrs, uint64_t file_size, uint64_t lo, uint64_t hi,
                         struct elf_image *out);

#endif
