/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF64 executables for PEs, read from a buffer.  The file is hostile: nothing in it is believed
 * before it was compared with the size of the buffer, and no sum is formed that can wrap.  No
 * allocation; the buffer must outlive the struct.
 */
#ifndef VMM_ELF_H
#define VMM_ELF_H

#include <stddef.h>
#include <stdint.h>

#define ELF_ERR          128 /* size of an error text */
#define ELF_MAX_SEGMENTS 32u /* PT_LOADs */

struct elf {
    const uint8_t *data;
    size_t size;
    uint64_t entry;
    unsigned nseg;                  /* PT_LOADs that occupy memory */
    uint16_t seg[ELF_MAX_SEGMENTS]; /* their program header numbers */
    uint64_t phoff;
    uint64_t symoff, nsym; /* 0 symbols: none or damaged, which is no error */
    uint64_t stroff, strsize;
};

/* One PT_LOAD.  filesz <= memsz; addr + memsz does not wrap. */
struct elf_segment {
    uint64_t addr; /* in the PE's local memory */
    uint64_t memsz;
    const uint8_t *bytes; /* filesz bytes inside the ELF's buffer */
    uint64_t filesz;
    uint32_t flags; /* PF_R, PF_W, PF_X */
};

/*
 * Read the headers of an x86-64 ET_EXEC.  0, or -ENOEXEC with the reason in ERR (ELF_ERR bytes,
 * no file name, no newline).
 */
int elf_parse(struct elf *e, const void *data, size_t size, char *err);

/*
 * Does it fit into a PE with MEM_SIZE bytes?  Segments must lie inside, off Env, arguments and
 * stack (semperos-platform 3), and off each other; the entry point must lie in an executable one.
 * 0 or -ENOEXEC with the reason in ERR.
 */
int elf_check(const struct elf *e, uint64_t mem_size, char *err);

/* The I-th PT_LOAD, I < e->nseg. */
void elf_segment(const struct elf *e, unsigned i, struct elf_segment *s);

/*
 * The name of the function or object that ADDR lies in (else the nearest label before it in the
 * same segment) and the distance from its start.  NULL if there is none.  Points into the buffer.
 */
const char *elf_symbol(const struct elf *e, uint64_t addr, uint64_t *offset);

/* How many of the N bytes at ADDR of the loaded program come from the file and equal BYTES. */
size_t elf_match(const struct elf *e, uint64_t addr, const uint8_t *bytes, size_t n);

#endif
