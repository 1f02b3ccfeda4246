/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader: core PEs.  PE 1 gets the first program with the boot line's words, all others idle,
 * each with the Env that gem5 writes (semperos-platform 1).  A machine may have a thousand of them,
 * so only bytes that are not zero are stored: every page left alone is one the host need not have.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../include/boot.h"
#include "loader_impl.h"

static void copy_segments(const struct elf *e, uint8_t *mem)
{
    for (unsigned i = 0; i < e->nseg; i++) {
        struct elf_segment s;

        elf_segment(e, i, &s);
        memcpy(mem + s.addr, s.bytes, s.filesz);
    }
}

/* Pointers, then strings, contiguous and in order: a kernel walks across the NULs. */
static void write_args(uint8_t *mem, uint64_t at, int argc, char *const argv[])
{
    uint64_t string = at + 8 * (uint64_t)argc;

    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]) + 1;

        memcpy(mem + at + 8 * (uint64_t)i, &string, 8);
        memcpy(mem + string, argv[i], n);
        string += n;
    }
}

static void fill_pe(const struct machine *m, unsigned pe, uint8_t *mem,
                    const struct loader_module *program, uint64_t kenv)
{
    static char idle[] = "idle";
    char *const idle_argv[] = {idle};
    int argc = pe == KERNEL_PE ? m->argc : 1;
    struct boot_env env = {
        .coreid = pe,
        .argc = (uint32_t)argc,
        .argv = PE_ENV_ADDR + sizeof(env) + (kenv ? sizeof(struct boot_kenv) : 0),
        .kenv = kenv,
        .pe = pe_desc(pe, machine_spm(m, pe), PE_TYPE_SPM),
    };

    copy_segments(&program->elf, mem);
    memcpy(mem + PE_ENV_ADDR, &env, sizeof(env));
    write_args(mem, env.argv, argc, pe == KERNEL_PE ? m->argv : idle_argv);
}

int loader_fill_pes(const struct machine *m, const struct loader_mem *mem, struct loader_result *r)
{
    const struct loader_module *first = loader_find(r, m->argv[0]), *idle = loader_find(r, "idle");

    r->entry = calloc(m->pes + 1, sizeof(*r->entry));
    if (!r->entry)
        return -ENOMEM;
    for (unsigned pe = 1; pe <= m->pes; pe++) {
        const struct loader_module *program = pe == KERNEL_PE ? first : idle;

        fill_pe(m, pe, mem->mem[pe], program, pe == KERNEL_PE ? r->kenv : 0);
        r->entry[pe] = program->elf.entry;
    }
    return 0;
}
