/* SPDX-License-Identifier: BSD-2-Clause */
/* See elf.h.  Pure code. */
#include "elf.h"

#include <stdbool.h>

#include "str.h"

#define ET_EXEC   2u
#define EM_X86_64 62u
#define PT_LOAD   1u

/* Little-endian number of n bytes at byte `off`. */
static uint64_t field(const void *base, size_t off, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, (const uint8_t *)base + off, n);
    return v;
}

const char *elf_header(const void *header, uint64_t file_size, struct elf_image *out)
{
    static const uint8_t ident[] = {0x7F, 'E', 'L', 'F', 2, 1, 1}; /* 64 bit, little endian */
    uint64_t phnum = field(header, 56, 2);

    memset(out, 0, sizeof(*out));
    if (file_size < ELF_HEADER || memcmp(header, ident, sizeof(ident)) != 0)
        return "not a 64-bit little-endian ELF file";
    if (field(header, 16, 2) != ET_EXEC || field(header, 18, 2) != EM_X86_64)
        return "not an executable for x86-64";
    out->entry = field(header, 24, 8);
    out->phoff = field(header, 32, 8);
    if (field(header, 54, 2) != ELF_PHEADER || phnum == 0 || phnum > ELF_PHEADERS)
        return "strange program headers";
    out->phnum = (unsigned)phnum;
    if (out->phoff > file_size || phnum * ELF_PHEADER > file_size - out->phoff)
        return "program headers outside the file";
    return NULL;
}

/* Is [addr, addr + size) within [lo, hi)?  Nothing wraps. */
static bool within(uint64_t addr, uint64_t size, uint64_t lo, uint64_t hi)
{
    return addr >= lo && addr <= hi && size <= hi - addr;
}

static bool overlaps(const struct elf_image *img, const struct elf_segment *s)
{
    for (unsigned i = 0; i < img->segments; i++) {
        const struct elf_segment *t = &img->segment[i];

        if (s->addr < t->addr + t->memsz && t->addr < s->addr + s->memsz)
            return true;
    }
    return false;
}

const char *elf_segments(const void *phdrs, uint64_t file_size, uint64_t lo, uint64_t hi,
                         struct elf_image *out)
{
    bool entry = false;

    for (unsigned i = 0; i < out->phnum; i++) {
        const uint8_t *p = (const uint8_t *)phdrs + i * ELF_PHEADER;
        struct elf_segment s = {.offset = field(p, 8, 8),
                                .filesz = field(p, 32, 8),
                                .addr = field(p, 16, 8),
                                .memsz = field(p, 40, 8),
                                .flags = (uint32_t)field(p, 4, 4)};

        if (field(p, 0, 4) != PT_LOAD || s.memsz == 0)
            continue;
        if (s.filesz > s.memsz || !within(s.offset, s.filesz, 0, file_size))
            return "a segment is not in the file";
        if (!within(s.addr, s.memsz, lo, hi))
            return "a segment does not fit into the PE's memory";
        if (out->segments == ELF_SEGMENTS || overlaps(out, &s))
            return "segments overlap, or there are too many";
        if ((s.flags & ELF_X) && out->entry >= s.addr && out->entry - s.addr < s.memsz)
            entry = true;
        out->segment[out->segments++] = s;
    }
    return entry ? NULL : "no segment with the entry point";
}
