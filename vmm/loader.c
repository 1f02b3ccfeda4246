/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader: the memory PE.  semperos-platform 1 has the map: images from offset 0, boot modules
 * and KEnv from MEM_MODULES.  Every program is read once; the copies in the memory PE and in the
 * PEs come from that buffer, which stays for naming addresses.
 */
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../include/boot.h"
#include "../include/dtu.h"
#include "bootline.h"
#include "loader_impl.h"
#include "machine_impl.h"

#define MAX_PROGRAM (64u << 20)
#define PAGE        4096u

static uint64_t round_up(uint64_t v, uint64_t to)
{
    return (v + to - 1) / to * to;
}

static const char *boot_place(const struct machine *m, int *line)
{
    *line = m->where[KEY_BOOT];
    return *line ? m->file : NULL;
}

/* ---- programs -------------------------------------------------------------------------------- */

static int read_module(const struct machine *m, struct loader_module *mod, const char *folder,
                       const char *name, struct diag *d)
{
    char *path = NULL, err[ELF_ERR];
    int r, line;
    const char *file = boot_place(m, &line);

    mod->name = strdup(name);
    if (!mod->name || asprintf(&path, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    r = read_whole(path, MAX_PROGRAM, (char **)&mod->data, &mod->size);
    if (r < 0 && r != -ENOMEM) {
        diag_add(d, file, line, "program %s: %s; build it or give its folder with --images", path,
                 r == -EFBIG ? "larger than 64 MiB" : strerror(-r));
        r = r == -EIO ? r : -EINVAL;
    } else if (r == 0 && elf_parse(&mod->elf, mod->data, mod->size, err) < 0) {
        diag_add(d, NULL, 0, "program %s: %s", path, err);
        r = -EINVAL;
    }
    free(path);
    return r;
}

/* Any PE may be given any boot module, so each of them must fit into the smallest PE. */
static int check_module(const struct machine *m, const struct loader_module *mod, uint64_t size,
                        struct diag *d)
{
    char err[ELF_ERR];

    if (elf_check(&mod->elf, size, err) == 0)
        return 0;
    diag_add(d, NULL, 0, "program %s/%s: %s", m->images, mod->name, err);
    return -EINVAL;
}

/* Of the PEs that this node's kernel may load programs into. */
static uint64_t smallest_pe(const struct machine *m)
{
    uint64_t least = machine_spm(m, machine_first_pe(m));

    for (unsigned pe = 1; pe <= MACHINE_MAX_PES; pe++)
        if (machine_owns(m, pe) && machine_spm(m, pe) < least)
            least = machine_spm(m, pe);
    return least;
}

/* A program that one PE runs and that may be no boot module: appended to the N names, once. */
static int add_program(const char *name[], int n, const char *program)
{
    for (int i = 0; i < n; i++)
        if (strcmp(name[i], program) == 0)
            return n;
    name[n] = program;
    return n + 1;
}

/* How much memory a program must fit into. */
static uint64_t room_for(const struct machine *m, const char *program)
{
    if (machine_bridge(m) && strcmp(program, m->link_program) == 0)
        return machine_spm(m, machine_bridge(m));
    return machine_spm(m, machine_first_pe(m));
}

/* The boot modules, and behind them the first program and the bridge's when they are none.  Goes on
 * after errors. */
static int read_modules(const struct machine *m, struct loader_result *out, struct diag *d)
{
    const char *name[BOOT_MODULES + 2];
    int n = machine_modules(m, name, BOOT_MODULES), result = 0;
    uint64_t least = smallest_pe(m);

    if (n < 0)
        return -EINVAL;
    out->nboot = (unsigned)n;
    if (m->argc)
        n = add_program(name, n, m->argv[0]);
    if (machine_bridge(m))
        n = add_program(name, n, m->link_program);
    out->mod = calloc((size_t)n, sizeof(*out->mod));
    if (!out->mod)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        struct loader_module *mod = &out->mod[out->nmod++];
        uint64_t size = i < (int)out->nboot ? least : room_for(m, name[i]);
        bool bridge =
            i >= (int)out->nboot && machine_bridge(m) && strcmp(name[i], m->link_program) == 0;
        int r = read_module(m, mod, bridge ? m->link_images : m->images, name[i], d);

        if (r == 0)
            r = check_module(m, mod, size, d);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            result = r;
    }
    return result;
}

const struct loader_module *loader_find(const struct loader_result *r, const char *name)
{
    for (unsigned i = 0; i < r->nmod; i++)
        if (strcmp(r->mod[i].name, name) == 0)
            return &r->mod[i];
    return NULL;
}

/* ---- boot modules and KEnv ------------------------------------------------------------------- */

/* Where each module goes; its record follows it.  Returns where KEnv goes. */
static uint64_t place_modules(const struct machine *m, struct loader_result *out)
{
    uint64_t at = MEM_MODULES;

    for (unsigned i = 0; i < out->nboot; i++) {
        out->mod[i].addr = dtu_noc_addr(machine_mem_pe(m), at);
        at = round_up(at + out->mod[i].size, 8) + sizeof(struct boot_module);
        at = round_up(at, PAGE);
    }
    return at;
}

static int layout(const struct machine *m, struct loader_result *out, struct diag *d)
{
    uint64_t at, end;

    if (machine_mem_pe(m) == MACHINE_NO_PE)
        return 0;
    at = place_modules(m, out);
    end = at + sizeof(struct boot_kenv);
    if (end > MEM_MODULES + MEM_MODULES_MAX) {
        diag_add(d, NULL, 0,
                 "the %u boot modules in %s need %" PRIu64
                 " KiB and there is room for 16384; strip them or start fewer programs",
                 out->nboot, m->images, (uint64_t)((end - MEM_MODULES) >> 10));
        return -EINVAL;
    }
    out->kenv = machine_has_kernel(m) ? dtu_noc_addr(machine_mem_pe(m), at) : 0;
    return 0;
}

static uint64_t offset_of(uint64_t noc)
{
    return noc & ((1ull << DTU_OFFSET_BITS) - 1);
}

/* Returns the NoC address of the module's record. */
static uint64_t write_module(uint8_t *dram, const struct loader_module *mod)
{
    uint64_t at = offset_of(mod->addr), record = round_up(at + mod->size, 8);
    struct boot_module b = {.addr = mod->addr, .size = mod->size};

    memcpy(dram + at, mod->data, mod->size);
    snprintf(b.name, sizeof(b.name), "%s", mod->name);
    memcpy(dram + record, &b, sizeof(b));
    return mod->addr - at + record;
}

/* The machine as this node's kernel sees it: its own PEs and its memory, bridges not at all. */
static void fill_pes(const struct machine *m, struct boot_kenv *k)
{
    unsigned mem = machine_mem_pe(m);

    for (unsigned pe = 1; pe <= MACHINE_MAX_PES; pe++)
        if (machine_owns(m, pe)) {
            k->pes[pe] = pe_desc(pe, machine_spm(m, pe), PE_TYPE_SPM);
            k->pe_count = pe + 1;
        }
    k->pes[mem] = pe_desc(mem, m->dram_size, PE_TYPE_MEM);
    k->mem_mods[0] = (struct boot_mem_mod){.pe = mem, .offset = 0, .size = m->dram_size};
}

static int write_modules(const struct machine *m, uint8_t *dram, const struct loader_result *out)
{
    struct boot_kenv *k;

    if (!out->kenv)
        return 0;
    k = calloc(1, sizeof(*k));
    if (!k)
        return -ENOMEM;
    for (unsigned i = 0; i < out->nboot; i++)
        k->mods[i] = write_module(dram, &out->mod[i]);
    fill_pes(m, k);
    memcpy(dram + offset_of(out->kenv), k, sizeof(*k));
    free(k);
    return 0;
}

/* ---- file-system images ---------------------------------------------------------------------- */

static int read_range(int fd, uint8_t *to, off_t from, off_t end)
{
    while (from < end) {
        ssize_t n = pread(fd, to + from, (size_t)(end - from), from);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        from += n;
    }
    return 0;
}

/* Copies what the file holds and leaves its holes alone: memory never touched costs nothing. */
static int read_sparse(int fd, uint8_t *to, uint64_t size)
{
    off_t at = 0, end = (off_t)size, hole;
    int r = 0;

    while (at < end && r == 0) {
        off_t data = lseek(fd, at, SEEK_DATA);

        if (data < 0 && errno == ENXIO)
            break; /* a hole up to the end */
        if (data < 0)
            return read_range(fd, to, at, end); /* this file system knows no holes */
        hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0 || hole > end)
            hole = end;
        if (data < hole)
            r = read_range(fd, to, data, hole);
        at = hole;
    }
    return r;
}

static int load_image(const struct machine_fs *fs, uint8_t *to, struct diag *d)
{
    int fd = open(fs->path, O_RDONLY | O_CLOEXEC), r = 0;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        r = -errno;
    else if ((uint64_t)st.st_size != fs->size)
        r = -ENODATA;
    for (unsigned i = 0; i < fs->replicas && r == 0; i++)
        r = read_sparse(fd, to + i * fs->size, fs->size);
    if (fd >= 0)
        close(fd);
    if (r < 0)
        diag_add(d, NULL, 0, "file-system image %s: %s", fs->path,
                 r == -ENODATA ? "it changed while it was read; try again" : strerror(-r));
    return r == -ENODATA ? -EIO : r;
}

static int load_images(const struct machine *m, uint8_t *dram, struct diag *d)
{
    uint64_t at = 0;
    int r = 0;

    for (unsigned i = 0; i < m->nfs && r == 0 && dram; i++) {
        r = load_image(&m->fs[i], dram + at, d);
        at += m->fs[i].size * m->fs[i].replicas;
    }
    return r;
}

/* ---- the whole ------------------------------------------------------------------------------- */

int loader_boot(const struct machine *m, const struct loader_mem *mem, struct loader_result *out,
                struct diag *d)
{
    size_t before = diag_count(d);
    int r;

    *out = (struct loader_result){.pes = machine_npes(m)};
    r = read_modules(m, out, d);
    if (r == 0)
        r = layout(m, out, d);
    if (r == 0)
        r = load_images(m, mem->mem[0], d);
    if (r == 0)
        r = write_modules(m, mem->mem[0], out);
    if (r == 0)
        r = loader_fill_pes(m, mem, out);
    if (r == -ENOMEM && diag_count(d) == before)
        diag_add(d, NULL, 0, "no memory for the programs in %s; end other programs", m->images);
    if (r < 0)
        loader_free(out);
    return r;
}

int loader_check(const struct machine *m, struct diag *d)
{
    struct loader_result out = {.pes = machine_npes(m)};
    int r = read_modules(m, &out, d);

    if (r == 0)
        r = layout(m, &out, d);
    loader_free(&out);
    return r;
}

void loader_free(struct loader_result *r)
{
    for (unsigned i = 0; i < r->nmod; i++) {
        free(r->mod[i].name);
        free(r->mod[i].data);
    }
    free(r->mod);
    free(r->entry);
    *r = (struct loader_result){0};
}
