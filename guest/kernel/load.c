/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs into PEs (semperos-platform 5.6): the segments of a boot module, arguments, Env, idle.
 * Everything goes through a buffer here, READ from the memory PE and WRITE to the other.
 *
 * A free PE's memory is zero but for idle (pe.c), so .bss needs no writing.
 */
#include "elf.h"
#include "hw.h"
#include "kernel.h"
#include "str.h"

#define ARGS_ADDR     (PE_ENV_ADDR + sizeof(struct boot_env))
#define ARGS_MAX      16384u
#define SP_AT_ENTRY   (PE_STACK_TOP - 8)
#define NOC_PE(a)     ((unsigned)((a) >> 49) & 0x3FFu)
#define NOC_OFFSET(a) ((a) & ((1ull << DTU_OFFSET_BITS) - 1))

static uint8_t buf[65536];
static struct elf_image image;

const struct boot_module *load_find(const char *name)
{
    size_t n = strlen(name);

    for (unsigned i = 0; i < kern.nmods; i++) {
        const char *m = kern.mods[i].name;

        if (n < sizeof(kern.mods[i].name) && strncmp(m, name, n) == 0 && (m[n] == 0 || m[n] == ' '))
            return &kern.mods[i];
    }
    return NULL;
}

/* n bytes at `off` of the module to buf. */
static int read_module(const struct boot_module *m, uint64_t off, size_t n)
{
    if (off > m->size || n > m->size - off || n > sizeof(buf))
        return SE_INV_ARGS;
    return hw_read(NOC_PE(m->addr), 0, NOC_OFFSET(m->addr) + off, buf, n);
}

/* Reads and checks the headers; what must lie in [lo, hi) goes to `image`. */
static const char *read_headers(const struct boot_module *m, uint64_t lo, uint64_t hi)
{
    const char *error;

    if (read_module(m, 0, ELF_HEADER) != SE_OK)
        return "the module cannot be read";
    error = elf_header(buf, m->size, &image);
    if (error)
        return error;
    if (read_module(m, image.phoff, image.phnum * ELF_PHEADER) != SE_OK)
        return "the module cannot be read";
    return elf_segments(buf, m->size, lo, hi, &image);
}

static int copy_segment(unsigned pe, unsigned vpe, const struct boot_module *m,
                        const struct elf_segment *s)
{
    for (uint64_t done = 0; done < s->filesz;) {
        uint64_t left = s->filesz - done;
        size_t n = left < sizeof(buf) ? left : sizeof(buf);
        int err = read_module(m, s->offset + done, n);

        if (err == SE_OK)
            err = hw_write(pe, vpe, s->addr + done, buf, n);
        if (err != SE_OK)
            return err;
        done += n;
    }
    return SE_OK;
}

/* Pointers and behind them the strings, in order (semperos-platform 1).  0: they do not fit. */
static size_t build_args(int argc, char *const *argv)
{
    size_t at = (size_t)argc * sizeof(uint64_t);

    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]) + 1;
        uint64_t ptr = ARGS_ADDR + at;

        if (at > ARGS_MAX || n > ARGS_MAX - at)
            return 0;
        memcpy(buf + (size_t)i * sizeof(ptr), &ptr, sizeof(ptr));
        memcpy(buf + at, argv[i], n);
        at += n;
    }
    return at;
}

/* coreid stays 0: the program waits for it, and vpe_start() sets it. */
static int write_env(struct vpe *v, int argc)
{
    struct boot_env env = {
        .argc = (uint32_t)argc,
        .argv = ARGS_ADDR,
        .sp = SP_AT_ENTRY,
        .entry = image.entry,
        .pe = kern.pes[v->pe].desc,
        .secondaryrecvbuf = v->mem_size - PE_RECVBUF_SIZE - v->recvbuf,
    };

    return hw_write(v->pe, v->pe, PE_ENV_ADDR, &env, sizeof(env));
}

const char *load_program(struct vpe *v, int argc, char *const *argv)
{
    const struct boot_module *m = load_find(bootline_name(argv[0]));
    const char *error;
    size_t n;

    if (!m)
        return "there is no such boot module";
    error = read_headers(m, PE_STACK_TOP, v->recvbuf);
    if (error)
        return error;
    for (unsigned i = 0; i < image.segments; i++)
        if (copy_segment(v->pe, v->pe, m, &image.segment[i]) != SE_OK)
            return "it cannot be copied to the PE";
    n = build_args(argc, argv);
    if (n == 0)
        return "too many arguments";
    if (hw_write(v->pe, v->pe, ARGS_ADDR, buf, n) != SE_OK || write_env(v, argc) != SE_OK)
        return "it cannot be copied to the PE";
    return NULL;
}

static uint64_t image_end(void)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < image.segments; i++)
        if (image.segment[i].addr + image.segment[i].memsz > end)
            end = image.segment[i].addr + image.segment[i].memsz;
    return (end + 4095) & ~4095ull;
}

/* As the original does it (semperos-platform 7): all memory behind the program is heap. */
const char *load_kernel(unsigned pe, int argc, char *const *argv, uint64_t kenv)
{
    const struct boot_module *m = load_find(bootline_name(argv[0]));
    uint64_t size = pe_desc_size(kern.pes[pe].desc);
    struct boot_env env = {.coreid = pe,
                           .argc = (uint32_t)argc,
                           .argv = ARGS_ADDR,
                           .sp = SP_AT_ENTRY,
                           .kenv = kenv,
                           .pe = kern.pes[pe].desc};
    const char *error;
    size_t n;

    if (!m)
        return "there is no such boot module";
    error = read_headers(m, PE_STACK_TOP, size);
    if (error)
        return error;
    env.entry = image.entry;
    env.heapsize = size - image_end();
    for (unsigned i = 0; i < image.segments; i++)
        if (copy_segment(pe, DTU_VPE_INVALID, m, &image.segment[i]) != SE_OK)
            return "it cannot be copied to the PE";
    n = build_args(argc, argv);
    if (n == 0)
        return "too many arguments";
    if (hw_write(pe, DTU_VPE_INVALID, ARGS_ADDR, buf, n) != SE_OK ||
        hw_write(pe, DTU_VPE_INVALID, PE_ENV_ADDR, &env, sizeof(env)) != SE_OK)
        return "it cannot be copied to the PE";
    return NULL;
}

/* The segments of idle that have none of the flags `without` (ELF_*). */
static int copy_idle(unsigned pe, unsigned vpe, uint32_t without)
{
    const struct boot_module *m = load_find("idle");
    int err = SE_OK;

    if (!m)
        return SE_NO_SUCH_FILE;
    if (read_headers(m, PE_IDLE_ADDR, PE_ENV_ADDR))
        return SE_INVALID_ELF;
    for (unsigned i = 0; i < image.segments && err == SE_OK; i++)
        if (!(image.segment[i].flags & without))
            err = copy_segment(pe, vpe, m, &image.segment[i]);
    return err;
}

int load_idle(const struct pe *pe)
{
    return copy_idle(pe_id(pe), DTU_VPE_INVALID, 0);
}

/*
 * Who created the VPE could write all of its memory, idle too.  Only what idle does not write is
 * copied: it may be running just now (a message wakes it), and has its stack in the other segment.
 */
int load_idle_again(const struct vpe *v)
{
    int err = copy_idle(v->pe, v->pe, ELF_W);

    return err == SE_OK ? hw_set_reg(v->pe, v->pe, DTU_RWB, v->recvbuf) : err;
}
