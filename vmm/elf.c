/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF64, as little of it as a PE needs: load segments and symbols.
 *
 * Every structure is copied out of the buffer with memcpy (it need not be aligned there) after its
 * extent was compared with the buffer's.  Extents are compared by subtraction, never by a sum of
 * two values from the file.  Symbols only serve reports, so damage there means "no symbols".
 */
#include "elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../include/boot.h"

/* Is [off, off + len) inside of [0, size)? */
static bool inside(uint64_t off, uint64_t len, uint64_t size)
{
    return off <= size && len <= size - off;
}

static bool overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
    return alen && blen && (a < b ? b - a < alen : a - b < blen);
}

static int __attribute__((format(printf, 2, 3))) bad(char *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, ELF_ERR, fmt, ap);
    va_end(ap);
    return -ENOEXEC;
}

static Elf64_Phdr phdr(const struct elf *e, unsigned i)
{
    Elf64_Phdr p;

    memcpy(&p, e->data + e->phoff + (uint64_t)i * sizeof(p), sizeof(p));
    return p;
}

static int check_ident(const Elf64_Ehdr *h, char *err)
{
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return bad(err, "is no ELF file");
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
        return bad(err, "is not a 64-bit little-endian ELF file; compile it with -m64");
    if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT)
        return bad(err, "has ELF version %u, want 1", (unsigned)h->e_version);
    if (h->e_machine != EM_X86_64)
        return bad(err, "is for machine %u, want x86-64 (62)", h->e_machine);
    if (h->e_type != ET_EXEC)
        return bad(err, "is of type %u, want an executable (2); link it with -static -no-pie",
                   h->e_type);
    return 0;
}

static int check_segment(struct elf *e, const Elf64_Phdr *p, unsigned i, char *err)
{
    if (p->p_memsz < p->p_filesz)
        return bad(err, "segment %u is larger in the file than in memory", i);
    if (p->p_memsz == 0)
        return 0;
    if (!inside(p->p_offset, p->p_filesz, e->size))
        return bad(err, "segment %u reaches beyond the end of the file; it is truncated", i);
    if (p->p_paddr > UINT64_MAX - p->p_memsz)
        return bad(err, "segment %u wraps around the end of the address space", i);
    if (p->p_paddr != p->p_vaddr)
        return bad(err, "segment %u has two addresses (%#" PRIx64 ", %#" PRIx64 ")", i,
                   (uint64_t)p->p_vaddr, (uint64_t)p->p_paddr);
    if (e->nseg == ELF_MAX_SEGMENTS)
        return bad(err, "has more than %u segments to load", ELF_MAX_SEGMENTS);
    e->seg[e->nseg++] = (uint16_t)i;
    return 0;
}

static int read_segments(struct elf *e, const Elf64_Ehdr *h, char *err)
{
    int r = 0;

    if (h->e_phnum == 0 || h->e_phnum == PN_XNUM)
        return bad(err, "has no usable program headers");
    if (h->e_phentsize != sizeof(Elf64_Phdr))
        return bad(err, "has program headers of %u bytes, want 56", h->e_phentsize);
    if (!inside(h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr), e->size))
        return bad(err, "program headers reach beyond the end of the file; it is truncated");
    e->phoff = h->e_phoff;
    for (unsigned i = 0; i < h->e_phnum && r == 0; i++) {
        Elf64_Phdr p = phdr(e, i);

        if (p.p_type == PT_INTERP || p.p_type == PT_DYNAMIC)
            return bad(err, "is dynamically linked; link it with -static -no-pie");
        if (p.p_type == PT_LOAD)
            r = check_segment(e, &p, i, err);
    }
    if (r == 0 && e->nseg == 0)
        return bad(err, "has nothing to load");
    return r;
}

static Elf64_Shdr shdr(const struct elf *e, const Elf64_Ehdr *h, unsigned i)
{
    Elf64_Shdr s;

    memcpy(&s, e->data + h->e_shoff + (uint64_t)i * sizeof(s), sizeof(s));
    return s;
}

static void find_symbols(struct elf *e, const Elf64_Ehdr *h)
{
    if (h->e_shentsize != sizeof(Elf64_Shdr) ||
        !inside(h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr), e->size))
        return;
    for (unsigned i = 0; i < h->e_shnum; i++) {
        Elf64_Shdr s = shdr(e, h, i), str;

        if (s.sh_type != SHT_SYMTAB || s.sh_entsize != sizeof(Elf64_Sym) ||
            s.sh_link >= h->e_shnum || !inside(s.sh_offset, s.sh_size, e->size))
            continue;
        str = shdr(e, h, s.sh_link);
        /* With a NUL at its end every name in the table is terminated. */
        if (str.sh_type != SHT_STRTAB || str.sh_size == 0 ||
            !inside(str.sh_offset, str.sh_size, e->size) ||
            e->data[str.sh_offset + str.sh_size - 1] != 0)
            continue;
        e->symoff = s.sh_offset;
        e->nsym = s.sh_size / sizeof(Elf64_Sym);
        e->stroff = str.sh_offset;
        e->strsize = str.sh_size;
        return;
    }
}

int elf_parse(struct elf *e, const void *data, size_t size, char *err)
{
    Elf64_Ehdr h;
    int r;

    *e = (struct elf){.data = data, .size = size};
    if (size < sizeof(h)) {
        if (size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0)
            return bad(err, "ends within its ELF header; it is truncated");
        return bad(err, "is no ELF file");
    }
    memcpy(&h, data, sizeof(h));
    if ((r = check_ident(&h, err)) < 0 || (r = read_segments(e, &h, err)) < 0)
        return r;
    e->entry = h.e_entry;
    find_symbols(e, &h);
    return 0;
}

void elf_segment(const struct elf *e, unsigned i, struct elf_segment *s)
{
    Elf64_Phdr p = phdr(e, e->seg[i]);

    *s = (struct elf_segment){
        .addr = p.p_paddr,
        .memsz = p.p_memsz,
        .bytes = e->data + p.p_offset,
        .filesz = p.p_filesz,
        .flags = p.p_flags,
    };
}

static int check_place(const struct elf *e, unsigned i, uint64_t mem_size, char *err)
{
    struct elf_segment s, o;

    elf_segment(e, i, &s);
    if (!inside(s.addr, s.memsz, mem_size))
        return bad(err,
                   "segment %#" PRIx64 "..%#" PRIx64 " is outside of the PE's %" PRIu64
                   " KiB; link it lower or give more spm",
                   s.addr, s.addr + s.memsz, mem_size >> 10);
    if (overlap(s.addr, s.memsz, PE_ENV_ADDR, PE_STACK_TOP - PE_ENV_ADDR))
        return bad(err, "segment %#" PRIx64 "..%#" PRIx64 " overlaps Env and stack (%#llx..%#llx)",
                   s.addr, s.addr + s.memsz, PE_ENV_ADDR, PE_STACK_TOP);
    for (unsigned j = 0; j < i; j++) {
        elf_segment(e, j, &o);
        if (overlap(s.addr, s.memsz, o.addr, o.memsz))
            return bad(err, "segments %u and %u overlap at %#" PRIx64, e->seg[j], e->seg[i],
                       s.addr > o.addr ? s.addr : o.addr);
    }
    return 0;
}

int elf_check(const struct elf *e, uint64_t mem_size, char *err)
{
    bool entry = false;
    int r;

    for (unsigned i = 0; i < e->nseg; i++) {
        struct elf_segment s;

        if ((r = check_place(e, i, mem_size, err)) < 0)
            return r;
        elf_segment(e, i, &s);
        if ((s.flags & PF_X) && e->entry >= s.addr && e->entry - s.addr < s.memsz)
            entry = true;
    }
    if (!entry)
        return bad(err, "entry point %#" PRIx64 " is in no executable segment", e->entry);
    return 0;
}

/* The segment that holds ADDR; false if none does. */
static bool find_segment(const struct elf *e, uint64_t addr, struct elf_segment *s)
{
    for (unsigned i = 0; i < e->nseg; i++) {
        elf_segment(e, i, s);
        if (addr >= s->addr && addr - s->addr < s->memsz)
            return true;
    }
    return false;
}

const char *elf_symbol(const struct elf *e, uint64_t addr, uint64_t *offset)
{
    struct elf_segment seg;
    Elf64_Sym s, best = {0};

    if (!find_segment(e, addr, &seg))
        return NULL;
    for (uint64_t i = 0; i < e->nsym; i++) {
        unsigned type;

        memcpy(&s, e->data + e->symoff + i * sizeof(s), sizeof(s));
        type = ELF64_ST_TYPE(s.st_info);
        if (type > STT_FUNC || s.st_shndx == SHN_UNDEF || s.st_shndx >= SHN_LORESERVE ||
            s.st_name >= e->strsize || e->data[e->stroff + s.st_name] == 0 || s.st_value > addr ||
            s.st_value < seg.addr)
            continue;
        if (addr - s.st_value < s.st_size) {
            best = s;
            break;
        }
        if (best.st_name == 0 || s.st_value > best.st_value)
            best = s;
    }
    if (best.st_name == 0)
        return NULL;
    *offset = addr - best.st_value;
    return (const char *)e->data + e->stroff + best.st_name;
}

size_t elf_match(const struct elf *e, uint64_t addr, const uint8_t *bytes, size_t n)
{
    struct elf_segment s;
    size_t same = 0;

    if (!find_segment(e, addr, &s))
        return 0;
    for (uint64_t at = addr - s.addr, i = 0; i < n && at + i < s.filesz; i++)
        same += s.bytes[at + i] == bytes[i];
    return same;
}
