/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes ELF files for the tests of the loader: segments, a symbol table, in a buffer of fixed
 * layout, so that a test can damage any field by its place.
 */
#ifndef TESTS_ELF_BUILD_H
#define TESTS_ELF_BUILD_H

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EB_SEGMENTS 4
#define EB_SYMBOLS  4
#define EB_STRINGS  64
#define EB_DATA     256 /* bytes of each segment in the file */

struct eb_file {
    Elf64_Ehdr h;
    Elf64_Phdr p[EB_SEGMENTS];
    Elf64_Shdr s[3]; /* null, symbols, strings */
    Elf64_Sym sym[EB_SYMBOLS];
    char str[EB_STRINGS];
    uint8_t data[EB_SEGMENTS][EB_DATA];
};

/* A segment of EB_DATA bytes in the file and MEMSZ in memory, filled with a pattern of SEED. */
static inline void eb_segment(struct eb_file *f, uint64_t addr, uint64_t memsz, uint32_t flags,
                              uint8_t seed)
{
    unsigned i = f->h.e_phnum++;

    f->p[i] = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = flags,
        .p_offset = offsetof(struct eb_file, data) + i * EB_DATA,
        .p_vaddr = addr,
        .p_paddr = addr,
        .p_filesz = EB_DATA < memsz ? EB_DATA : memsz,
        .p_memsz = memsz,
    };
    for (unsigned j = 0; j < EB_DATA; j++)
        f->data[i][j] = (uint8_t)(seed + j * 7);
}

static inline void eb_symbol(struct eb_file *f, const char *name, uint64_t value, uint64_t size,
                             unsigned char type)
{
    Elf64_Shdr *s = &f->s[1];
    size_t at = 1;

    while (f->str[at])
        at += strlen(f->str + at) + 1;
    strncpy(f->str + at, name, EB_STRINGS - at - 1);
    f->sym[s->sh_size / sizeof(Elf64_Sym)] = (Elf64_Sym){
        .st_name = (Elf64_Word)at,
        .st_info = ELF64_ST_INFO(STB_GLOBAL, type),
        .st_shndx = 1,
        .st_value = value,
        .st_size = size,
    };
    s->sh_size += sizeof(Elf64_Sym);
}

/* Without segments and symbols; the entry point is that of the first segment to come. */
static inline void eb_init(struct eb_file *f, uint64_t entry)
{
    memset(f, 0, sizeof(*f));
    memcpy(f->h.e_ident, ELFMAG, SELFMAG);
    f->h.e_ident[EI_CLASS] = ELFCLASS64;
    f->h.e_ident[EI_DATA] = ELFDATA2LSB;
    f->h.e_ident[EI_VERSION] = EV_CURRENT;
    f->h.e_type = ET_EXEC;
    f->h.e_machine = EM_X86_64;
    f->h.e_version = EV_CURRENT;
    f->h.e_entry = entry;
    f->h.e_phoff = offsetof(struct eb_file, p);
    f->h.e_shoff = offsetof(struct eb_file, s);
    f->h.e_ehsize = sizeof(Elf64_Ehdr);
    f->h.e_phentsize = sizeof(Elf64_Phdr);
    f->h.e_shentsize = sizeof(Elf64_Shdr);
    f->h.e_shnum = 3;
    f->s[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                           .sh_offset = offsetof(struct eb_file, sym),
                           .sh_link = 2,
                           .sh_entsize = sizeof(Elf64_Sym)};
    f->s[2] = (Elf64_Shdr){
        .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct eb_file, str), .sh_size = EB_STRINGS};
}

/* A program as a linker would make it: text at ADDR, data behind it with 100 bytes of bss. */
static inline void eb_program(struct eb_file *f, uint64_t addr, uint8_t seed)
{
    eb_init(f, addr);
    eb_segment(f, addr, EB_DATA, PF_R | PF_X, seed);
    eb_segment(f, addr + 0x1000, EB_DATA + 100, PF_R | PF_W, (uint8_t)(seed + 1));
    eb_symbol(f, "main", addr + 0x10, 0x20, STT_FUNC);
    eb_symbol(f, "label", addr + 0x40, 0, STT_NOTYPE);
    eb_symbol(f, "var", addr + 0x1000, 8, STT_OBJECT);
}

#endif
