/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a machine description makes sense as a whole.  All complaints are collected; only a
 * description without any may be loaded.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../include/boot.h"
#include "bootline.h"
#include "loader.h"
#include "machine_impl.h"

#define PAGE          4096u
#define KERNEL_MEMORY (32ull << 20) /* of the memory PE, per kernel (semperos-platform 1) */

/* The file and line of a key for a message; a key that an option or nobody gave has none. */
static const char *place(const struct machine *m, enum machine_key key, int *line)
{
    *line = m->where[key];
    return *line ? m->file : NULL;
}

/* Is it a PE with a CPU, of any node? */
static bool is_core(const struct machine *m, unsigned pe)
{
    for (unsigned k = 0; k < m->nnodes; k++)
        if ((pe >= m->node[k].first && pe <= m->node[k].last) || pe == m->node[k].bridge)
            return true;
    return m->nnodes == 0 && pe <= m->pes;
}

static void check_spm(const char *file, int line, uint64_t size, struct diag *d)
{
    if (size < MACHINE_SPM_MIN || size > MACHINE_SPM_MAX || size % PAGE)
        diag_add(d, file, line, "spm of %" PRIu64 " bytes: want a multiple of 4 KiB from 1M to 1G",
                 size);
}

static void check_sizes(const struct machine *m, const struct boot_needs *needs, struct diag *d)
{
    uint64_t least = MEM_FREE + (uint64_t)needs->kernels * KERNEL_MEMORY;
    const char *file;
    int line;

    file = place(m, KEY_SPM, &line);
    check_spm(file, line, m->spm_size, d);
    file = place(m, KEY_DRAM, &line);
    if (m->dram_size < least || m->dram_size > MACHINE_DRAM_MAX || m->dram_size % PAGE)
        diag_add(d, file, line,
                 "dram of %" PRIu64 " MiB with %u kernels: want a multiple of 4 KiB from %" PRIu64
                 " MiB to 128 GiB",
                 m->dram_size >> 20, needs->kernels, least >> 20);
    for (unsigned i = 0; i < m->npe; i++) {
        if (!is_core(m, m->pe[i].pe))
            diag_add(d, m->file, m->pe[i].line,
                     m->nnodes ? "[pe %u]: no node of the machine has that PE"
                               : "[pe %u]: the machine has only %u; raise pes",
                     m->pe[i].pe, m->pes);
        if (m->pe[i].spm_size)
            check_spm(m->file, m->pe[i].line, m->pe[i].spm_size, d);
    }
}

/* The boot line of one of several nodes: are there PEs enough for it? */
static void check_node_pes(const struct machine *m, const struct boot_needs *needs, struct diag *d)
{
    unsigned have = 0;

    for (unsigned pe = 1; pe <= MACHINE_MAX_PES; pe++)
        have += machine_owns(m, pe);
    if (needs->pes > have)
        diag_add(d, m->file, m->where[KEY_BOOT],
                 "boot line needs %u PEs (kernels and programs), node %u has %u; raise pes or drop "
                 "programs",
                 needs->pes, m->self, have);
}

/* As many PEs as the boot line needs, where nobody said how many. */
static void check_pes(struct machine *m, const struct boot_needs *needs, struct diag *d)
{
    const char *file;
    int line;

    if (!m->given[KEY_PES] && m->pes < needs->pes && needs->pes <= MACHINE_MAX_PES)
        m->pes = needs->pes;
    if (needs->pes <= m->pes)
        return;
    file = place(m, KEY_PES, &line);
    diag_add(d, file, line, "boot line needs %u PEs (kernels and programs), the machine has %u; %s",
             needs->pes, m->pes,
             needs->pes <= MACHINE_MAX_PES ? "raise pes or drop programs"
                                           : "start fewer programs, 1022 PEs are the most");
}

/* ---- programs -------------------------------------------------------------------------------- */

/* key: what named the program. */
static void check_program(const struct machine *m, const char *folder, const char *name,
                          enum machine_key key, struct diag *d)
{
    char *path = NULL;
    struct stat st;
    const char *file, *how = key == KEY_LINK_PROGRAM ? "build it (`make bridge`)" : "build it";
    int line;

    file = place(m, key, &line);
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return;
    if (stat(path, &st) < 0)
        diag_add(d, file, line, "program '%s' in %s: %s; %s or give its folder with --images", name,
                 folder, strerror(errno), how);
    else if (!S_ISREG(st.st_mode))
        diag_add(d, file, line, "program '%s' in %s is no file; name another one", name, folder);
    else if (access(path, R_OK) < 0)
        diag_add(d, file, line, "program '%s' in %s: %s; make it readable", name, folder,
                 strerror(errno));
    free(path);
}

/*
 * The bridge's program is in the image folder like the others, or, when those are somebody else's
 * (a SemperOS checkout), next to this program.  A name that neither has is missed in the first.
 */
static void check_bridge(struct machine *m, const char *folder, struct diag *d)
{
    char *ours = NULL, *copy;
    bool here = false;

    if (asprintf(&ours, "%s/%s", folder, m->link_program) >= 0)
        here = access(ours, F_OK) == 0;
    free(ours);
    ours = here ? NULL : images_find(m->link_images, m->link_program);
    copy = ours ? ours : strdup(folder);
    if (!copy)
        return; /* the loader misses it */
    free(m->link_images);
    m->link_images = copy;
    check_program(m, m->link_images, m->link_program, KEY_LINK_PROGRAM, d);
}

/* Any of the programs tells which folder it is: one of them may be missing. */
static char *find_folder(const struct machine *m, const char *const name[], int n)
{
    char *folder = m->argc ? images_find(m->images, m->argv[0]) : NULL;

    for (int i = n - 1; i >= 0 && !folder; i--)
        folder = images_find(m->images, name[i]);
    return folder;
}

static int check_programs(struct machine *m, struct diag *d)
{
    const char *name[BOOT_MODULES];
    const char *file;
    int line, n = machine_modules(m, name, BOOT_MODULES);
    bool first = false;
    char *folder;

    file = place(m, KEY_BOOT, &line);
    if (n < 0) {
        diag_add(d, file, line, "boot line names more than %u programs; start fewer",
                 BOOT_MODULES - 1);
        return 0;
    }
    folder = find_folder(m, name, n);
    if (!folder) {
        file = place(m, KEY_IMAGES, &line);
        diag_add(d, file, line, "no program '%s' in image folder %s; build it or give --images",
                 m->argc ? m->argv[0] : name[0], m->images);
        return 0;
    }
    for (int i = 0; i < n; i++) {
        first |= m->argc && strcmp(name[i], m->argv[0]) == 0;
        check_program(m, folder, name[i], KEY_BOOT, d);
    }
    if (!first && m->argc)
        check_program(m, folder, m->argv[0], KEY_BOOT, d);
    if (m->nnodes)
        check_bridge(m, folder, d);
    free(m->images);
    m->images = folder;
    return 0;
}

/* ---- images ---------------------------------------------------------------------------------- */

/* m3fs of a .cfg: <build>/$M3_FS, where the programs are in <build>/bin. */
static int default_fs(struct machine *m, struct diag *d)
{
    const char *name = getenv("M3_FS"), *copies = getenv("M3_NUMFS");
    char *value = NULL;
    size_t n = strlen(m->images);
    int r;

    if (!m->wants_fs || m->nfs)
        return 0;
    if (n >= 4 && strcmp(m->images + n - 4, "/bin") == 0)
        n -= 4;
    if (asprintf(&value, "%.*s/%s:%s", (int)n, m->images, name && *name ? name : "default.img",
                 copies && *copies ? copies : "1") < 0)
        return -ENOMEM;
    r = machine_add_fs(m, value, "M3_FS, M3_NUMFS (environment)", 0, d);
    free(value);
    return r == -ENOMEM ? r : 0;
}

static void check_fs(const struct machine *m, struct machine_fs *fs, uint64_t *total,
                     struct diag *d)
{
    const char *file = fs->line ? m->file : NULL;
    struct stat st;

    if (stat(fs->path, &st) < 0) {
        diag_add(d, file, fs->line, "file-system image %s: %s; give another one with --fs",
                 fs->path, strerror(errno));
        return;
    }
    if (!S_ISREG(st.st_mode) || access(fs->path, R_OK) < 0) {
        diag_add(d, file, fs->line, "file-system image %s: %s", fs->path,
                 S_ISREG(st.st_mode) ? "cannot be read; make it readable"
                                     : "is no plain file; name an image");
        return;
    }
    fs->size = (uint64_t)st.st_size;
    if (fs->size > MEM_MODULES / fs->replicas || *total + fs->size * fs->replicas > MEM_MODULES)
        diag_add(d, file, fs->line,
                 "file-system image %s: %u copies of %" PRIu64
                 " MiB do not fit into 6144 MiB; use fewer replicas",
                 fs->path, fs->replicas, fs->size >> 20);
    else
        *total += fs->size * fs->replicas;
}

/* One boot line, and the programs that it names. */
static int check_boot(struct machine *m, struct boot_needs *needs, struct diag *d)
{
    size_t before = diag_count(d);
    int r = 0;

    bootline_check(m, needs, d);
    if (diag_count(d) == before)
        r = check_programs(m, d);
    if (m->nnodes)
        check_node_pes(m, needs, d);
    else
        check_pes(m, needs, d);
    return r;
}

/* This node's boot line; where none was chosen, that of all, and the first one stays. */
static int check_nodes(struct machine *m, struct boot_needs *needs, struct diag *d)
{
    size_t before = diag_count(d);
    struct boot_needs n;
    int r = 0;

    nodes_check(m, d);
    if (diag_count(d) > before)
        return 0;
    for (unsigned i = 0; i < m->nnodes && r == 0; i++) {
        unsigned k = m->nnodes - 1 - i;

        if (m->selected && k != m->self)
            continue;
        if ((r = machine_become(m, k, d)) == -EINVAL)
            r = 0;
        else if (r == 0 && m->argc) {
            r = check_boot(m, &n, d);
            needs->kernels = n.kernels > needs->kernels ? n.kernels : needs->kernels;
        } else if (r == 0)
            r = check_programs(m, d);
    }
    return r;
}

int machine_validate(struct machine *m, struct diag *d)
{
    size_t before = diag_count(d);
    struct boot_needs needs = {.pes = 1, .kernels = 1};
    uint64_t total = 0;
    int r;

    if (m->nnodes) {
        r = check_nodes(m, &needs, d);
    } else {
        r = check_boot(m, &needs, d);
        nic_check(m, d);
    }
    check_sizes(m, &needs, d);
    if (r == 0)
        r = default_fs(m, d);
    for (unsigned i = 0; i < m->nfs && r == 0; i++)
        check_fs(m, &m->fs[i], &total, d);
    if (r == 0 && diag_count(d) > before)
        r = -EINVAL;
    return r;
}

static void print_ok(const struct machine *m, FILE *out)
{
    const char *name[BOOT_MODULES], *file = m->file ? m->file : "boot line";

    if (m->nnodes) {
        fprintf(out, "%s: ok: %u nodes, programs from %s", file, m->nnodes, m->images);
        for (unsigned k = 0; k < m->nnodes; k++) {
            const struct machine_node *n = &m->node[k];

            fprintf(out, "; node %u: PEs %u-%u, bridge %u, %s", k, n->first, n->last, n->bridge,
                    n->stream ? n->stream : n->at);
        }
        fputc('\n', out);
        return;
    }
    fprintf(out,
            "%s: ok: %u PEs of %" PRIu64 " KiB, %" PRIu64
            " MiB of DRAM, %s with %d boot modules from %s, %u file-system images\n",
            file, m->pes, m->spm_size >> 10, m->dram_size >> 20, m->argv[0],
            machine_modules(m, name, BOOT_MODULES), m->images, m->nfs);
}

int machine_check(struct machine *m, struct diag *d, FILE *out, FILE *err)
{
    int r = machine_validate(m, d);

    if (r == 0 && diag_count(d) == 0)
        r = loader_check(m, d);
    for (unsigned k = 1; k < m->nnodes && r == 0 && !m->selected; k++) {
        r = machine_become(m, k, d);
        if (r == 0)
            r = loader_check(m, d);
    }
    if (r == -ENOMEM)
        diag_add(d, NULL, 0, "out of memory; end other programs");
    if (r < 0 || diag_count(d)) {
        diag_print(d, err);
        return 2;
    }
    print_ok(m, out);
    return 0;
}
