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

/* What a PE begins with. */
struct start {
    const struct loader_module *program;
    int argc;
    char *const *argv;
    uint64_t kenv;
};

static void fill_pe(const struct machine *m, unsigned pe, uint8_t *mem, const struct start *s)
{
    struct boot_env env = {
        .coreid = pe,
        .argc = (uint32_t)s->argc,
        .argv = PE_ENV_ADDR + sizeof(env) + (s->kenv ? sizeof(struct boot_kenv) : 0),
        .kenv = s->kenv,
        .pe = pe_desc(pe, machine_spm(m, pe), PE_TYPE_SPM),
    };

    copy_segments(&s->program->elf, mem);
    memcpy(mem + PE_ENV_ADDR, &env, sizeof(env));
    write_args(mem, env.argv, s->argc, s->argv);
}

/* ---- the bridge's arguments: which node it is, and all of them ---- */

#define BRIDGE_ARGS (4 + MACHINE_MAX_NODES)

static int bridge_args(const struct machine *m, char *argv[BRIDGE_ARGS])
{
    int argc = 0, r = asprintf(&argv[argc++], "%s", m->link_program);

    if (r >= 0)
        r = asprintf(&argv[argc++], "self=%u", m->self);
    for (unsigned k = 0; k < m->nnodes && r >= 0; k++) {
        const struct machine_node *n = &m->node[k];

        r = asprintf(&argv[argc++], "node=%u,%u,%u,%u,%u,%02x:%02x:%02x:%02x:%02x:%02x,%s%s%s", k,
                     n->first, n->last, n->memory, n->bridge, n->mac[0], n->mac[1], n->mac[2],
                     n->mac[3], n->mac[4], n->mac[5], n->ip4, n->ip6[0] ? "," : "", n->ip6);
    }
    if (r >= 0)
        r = asprintf(&argv[argc++], "lines=%x sizes=%x", machine_lines_hash(m),
                     machine_sizes_hash(m));
    if (r >= 0 && m->link_options)
        r = asprintf(&argv[argc++], "%s", m->link_options);
    if (r < 0)
        argv[argc - 1] = NULL; /* what it is then, nobody says */
    return r < 0 ? -ENOMEM : argc;
}

static int fill_bridge(const struct machine *m, uint8_t *mem, const struct loader_module *program)
{
    char *argv[BRIDGE_ARGS] = {NULL};
    int argc = bridge_args(m, argv);

    if (argc > 0)
        fill_pe(m, machine_bridge(m), mem,
                &(struct start){.program = program, .argc = argc, .argv = argv});
    for (unsigned i = 0; i < BRIDGE_ARGS; i++)
        free(argv[i]);
    return argc < 0 ? argc : 0;
}

int loader_fill_pes(const struct machine *m, const struct loader_mem *mem, struct loader_result *r)
{
    static char name[] = "idle";
    char *const idle_argv[] = {name};
    const struct start idle = {.program = loader_find(r, name), .argc = 1, .argv = idle_argv};
    const struct start first = {.program = m->argc ? loader_find(r, m->argv[0]) : NULL,
                                .argc = m->argc,
                                .argv = m->argv,
                                .kenv = r->kenv};
    int e = 0;

    r->entry = calloc(r->pes + 1, sizeof(*r->entry));
    if (!r->entry)
        return -ENOMEM;
    for (unsigned i = 0; i < r->pes && e == 0; i++) {
        const struct start *s = i == 0 && m->argc ? &first : &idle;
        const struct loader_module *program = s->program;

        if (machine_pe(m, i) == machine_bridge(m)) {
            program = loader_find(r, m->link_program);
            e = fill_bridge(m, mem->mem[1 + i], program);
        } else {
            fill_pe(m, machine_pe(m, i), mem->mem[1 + i], s);
        }
        r->entry[1 + i] = program->elf.entry;
    }
    return e;
}
