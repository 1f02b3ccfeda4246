/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/elf.c */
/*
 * The ELF reader on anything.  What it accepts must hold what its header promises: segments inside
 * of the PE, off Env and stack and each other, and file bytes inside of the file.
 */
#include "../../vmm/elf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../include/boot.h"

#define MEM PE_SPM_DEFAULT

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(truth) must_at((truth), #truth, __LINE__)

static void must_at(int truth, const char *text, int line)
{
    if (!truth) {
        fprintf(stderr, "line %d: not so: %s\n", line, text);
        abort();
    }
}

/* A sum of the bytes, so that all of them are read. */
static unsigned read_all(const struct elf_segment *s)
{
    unsigned sum = 0;

    for (uint64_t i = 0; i < s->filesz; i++)
        sum += s->bytes[i];
    return sum;
}

static void check_segments(const struct elf *e)
{
    struct elf_segment s, o;

    for (unsigned i = 0; i < e->nseg; i++) {
        elf_segment(e, i, &s);
        must(s.memsz > 0 && s.filesz <= s.memsz);
        must(s.addr < MEM && s.memsz <= MEM - s.addr);
        must(s.addr + s.memsz <= PE_ENV_ADDR || s.addr >= PE_STACK_TOP);
        must(read_all(&s) <= 255 * s.filesz);
        for (unsigned j = 0; j < i; j++) {
            elf_segment(e, j, &o);
            must(s.addr + s.memsz <= o.addr || o.addr + o.memsz <= s.addr);
        }
    }
}

static void look_up(const struct elf *e, uint64_t addr)
{
    const char *name;
    uint64_t off = 0;
    uint8_t bytes[16] = {0};

    name = elf_symbol(e, addr, &off);
    must(!name || (strlen(name) > 0 && off <= addr));
    must(elf_match(e, addr, bytes, sizeof(bytes)) <= sizeof(bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_segment s;
    char err[ELF_ERR] = "";
    struct elf e;

    if (elf_parse(&e, data, size, err) < 0) {
        must(err[0] != 0 && memchr(err, 0, sizeof(err)) != NULL);
        return 0;
    }
    for (unsigned i = 0; i < e.nseg; i++) {
        elf_segment(&e, i, &s);
        must(s.bytes >= data && s.filesz <= size - (size_t)(s.bytes - data));
        look_up(&e, s.addr);
        look_up(&e, s.addr + s.memsz - 1);
        look_up(&e, s.addr + s.filesz - 1);
    }
    look_up(&e, e.entry);
    if (elf_check(&e, MEM, err) == 0)
        check_segments(&e);
    return 0;
}
