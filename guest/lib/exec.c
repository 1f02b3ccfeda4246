/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a child, and programs from files. */
#include "../kernel/elf.h"

#include "child_impl.h"
#include "file_impl.h"
#include "start.h"
#include "syscall.h"

static uint8_t state[CHILD_STATE_MAX];
static uint8_t buf[16384];

/* ---- state ---- */

static void put_mounts(const struct child *c, struct msg_writer *w)
{
    unsigned n = 0;

    while (n < MOUNT_MAX && mounts[n].used)
        n++;
    msg_put(w, n);
    for (unsigned i = 0; i < n; i++) {
        msg_put_str(w, mounts[i].path, strlen(mounts[i].path));
        msg_put(w, 'M');
        msg_put(w, c->sess[i]);
        msg_put(w, c->sess[i] + 1);
    }
    msg_put(w, CHILD_NAMES);
    for (unsigned i = 0; i < n; i++)
        msg_put_str(w, mounts[i].service, strlen(mounts[i].service));
}

static void put_file(const struct child_file *f, struct msg_writer *w)
{
    struct child_pos pos = {.local = M3FS_LOCS};

    if (f->type == FILE_REG) {
        msg_put(w, f->fd);
        msg_put(w, f->flags);
        msg_put(w, f->mount);
        msg_put(w, 0); /* nothing was added yet */
        msg_put(w, 0); /* begins at 0 */
        msg_put_bytes(w, &pos, sizeof(pos));
        msg_put(w, 0);
        msg_put(w, 0);
    } else if (f->type != FILE_SERIAL) {
        msg_put(w, f->sel);
        msg_put(w, f->size);
    }
}

static void put_files(const struct child *c, struct msg_writer *w)
{
    msg_put(w, CHILD_FILES);
    for (unsigned i = 0; i < CHILD_FILES; i++) {
        struct child_file f = c->file[i];

        if (f.type == FILE_NONE)
            f.type = FILE_SERIAL;
        msg_put(w, i);
        msg_put(w, (uint8_t)f.type);
        put_file(&f, w);
    }
}

/* Bits [0, n) of a field of `total`. */
static void put_bits(unsigned n, unsigned total, struct msg_writer *w)
{
    static struct child_bits bits;

    memset(&bits, 0, sizeof(bits));
    bits.first_clear = n;
    for (unsigned i = 0; i < n; i++)
        bits.words[i / 64] |= 1ull << (i % 64);
    msg_put_bytes(w, &bits, 8 + (total + 63) / 64 * 8);
}

unsigned child_state(struct child *c, struct boot_env *e)
{
    struct msg_writer w;

    msg_writer_init(&w, state, sizeof(state));
    put_mounts(c, &w);
    e->mounts = CHILD_STATE_ADDR;
    e->mounts_len = (uint32_t)w.len;
    e->fds = CHILD_STATE_ADDR + w.len;
    put_files(c, &w);
    e->fds_len = (uint32_t)(CHILD_STATE_ADDR + w.len - e->fds);
    e->caps = CHILD_STATE_ADDR + w.len;
    put_bits(c->sels, CHILD_SELS, &w);
    e->eps = CHILD_STATE_ADDR + w.len;
    put_bits(c->eps, DTU_EPS, &w);
    return w.error ? SE_NO_SPACE : gate_write(&c->vpe.mem, state, w.len, CHILD_STATE_ADDR);
}

/* ---- programs ---- */

/* n bytes at off of the file to buf. */
static unsigned read_at(int fd, uint64_t off, void *to, size_t n)
{
    uint8_t *at = to;
    long done = file_seek(fd, (long)off, FILE_SET);

    if (done < 0)
        return (unsigned)-done;
    while (n > 0) {
        done = file_read(fd, at, n);
        if (done <= 0)
            return done < 0 ? (unsigned)-done : SE_INVALID_ELF;
        at += done;
        n -= (size_t)done;
    }
    return SE_OK;
}

static unsigned read_headers(int fd, uint64_t limit, struct elf_image *image)
{
    struct m3fs_info info;
    unsigned err = file_fstat(fd, &info);

    if (!err)
        err = info.size < ELF_HEADER ? SE_INVALID_ELF : read_at(fd, 0, buf, ELF_HEADER);
    if (err)
        return err;
    if (elf_header(buf, info.size, image))
        return SE_INVALID_ELF;
    err = read_at(fd, image->phoff, buf, image->phnum * ELF_PHEADER);
    if (!err && elf_segments(buf, info.size, PE_STACK_TOP, limit, image))
        err = SE_INVALID_ELF;
    return err;
}

static unsigned load_segment(struct child *c, int fd, const struct elf_segment *s)
{
    unsigned err = SE_OK;

    for (uint64_t done = 0; done < s->memsz && !err;) {
        bool data = done < s->filesz;
        uint64_t left = (data ? s->filesz : s->memsz) - done;
        size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf);

        if (data)
            err = read_at(fd, s->offset + done, buf, n);
        else
            memset(buf, 0, n);
        if (!err)
            err = gate_write(&c->vpe.mem, buf, n, s->addr + done);
        done += n;
    }
    return err;
}

/* Pointers and behind them the strings, in order (semperos-platform 1). */
static unsigned write_args(struct child *c, int argc, const char *const *argv)
{
    size_t at = (size_t)argc * sizeof(uint64_t);

    for (int i = 0; i < argc; i++) {
        uint64_t ptr = CHILD_ARGS_ADDR + at;
        size_t n = strlen(argv[i]) + 1;

        if (at > CHILD_ARGS_MAX || n > CHILD_ARGS_MAX - at)
            return SE_INV_ARGS;
        memcpy(buf + (size_t)i * sizeof(ptr), &ptr, sizeof(ptr));
        memcpy(buf + at, argv[i], n);
        at += n;
    }
    return gate_write(&c->vpe.mem, buf, at, CHILD_ARGS_ADDR);
}

static unsigned load(struct child *c, const char *path, uint64_t *entry)
{
    static struct elf_image image;
    int fd = file_open(path, FILE_R);
    unsigned err;

    if (fd < 0)
        return (unsigned)-fd;
    err = read_headers(fd, pe_desc_size(c->vpe.desc) - PE_RECVBUF_SIZE, &image);
    for (unsigned i = 0; i < image.segments && !err; i++)
        err = load_segment(c, fd, &image.segment[i]);
    *entry = image.entry;
    file_close(fd);
    return err;
}

unsigned child_exec(struct child *c, int argc, const char *const *argv)
{
    struct boot_env e = {
        .argc = (uint32_t)argc,
        .argv = CHILD_ARGS_ADDR,
        .sp = START_STACK_TOP,
        .pe = c->vpe.desc,
    };
    uint64_t entry = 0;
    unsigned err = argc < 1 ? SE_INV_ARGS : load(c, argv[0], &entry);

    if (!err)
        err = write_args(c, argc, argv);
    if (!err)
        err = child_state(c, &e);
    e.entry = entry;
    if (!err)
        err = gate_write(&c->vpe.mem, &e, sizeof(e), PE_ENV_ADDR);
    gate_deactivate(&c->vpe.mem);
    return err ? err : sysc_start(c->vpe.sel);
}
