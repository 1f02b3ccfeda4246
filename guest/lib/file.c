/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors; see file.h. */
#include "file.h"

#include "file_impl.h"
#include "fmt.h"
#include "print.h"

struct file files[FILE_MAX];
static bool ready;

void file_init(void)
{
    if (ready)
        return;
    ready = true;
    file_adopt();
    for (unsigned fd = FILE_IN; fd <= FILE_ERR; fd++)
        if (files[fd].type == FILE_NONE)
            files[fd] = (struct file){.type = FILE_SERIAL, .flags = FILE_RW};
}

void file_reset(void)
{
    memset(files, 0, sizeof(files));
    memset(mounts, 0, sizeof(mounts));
    mount_forget();
    ready = false;
}

int file_alloc(void)
{
    for (unsigned fd = 0; fd < FILE_MAX; fd++)
        if (files[fd].type == FILE_NONE)
            return (int)fd;
    return -SE_NO_SPACE;
}

static struct file *get(int fd)
{
    file_init();
    if (fd < 0 || fd >= (int)FILE_MAX || files[fd].type == FILE_NONE)
        return NULL;
    return &files[fd];
}

int file_open(const char *path, unsigned flags)
{
    const char *rest;
    struct mount *m = mount_resolve(path, &rest);
    int fd = file_alloc();
    uint32_t theirs;
    unsigned err;

    if (!m)
        return -SE_NO_SUCH_FILE;
    if (fd < 0)
        return fd;
    err = mount_open(m, rest, flags, &theirs);
    if (err)
        return -(int)err;
    files[fd] = (struct file){.type = FILE_REG, .flags = flags, .reg = {.mount = m, .fd = theirs}};
    if (flags & FILE_APPEND) {
        long pos = file_seek(fd, 0, FILE_END);

        if (pos < 0) {
            file_close(fd);
            return (int)pos;
        }
    }
    return fd;
}

unsigned file_close(int fd)
{
    struct file *f = get(fd);
    unsigned err = SE_OK;

    if (!f)
        return SE_INV_ARGS;
    if (f->type == FILE_REG)
        err = regfile_close(f);
    else if (f->type == FILE_RPIPE)
        pipe_close_reader(&f->rpipe);
    else if (f->type == FILE_WPIPE)
        pipe_close_writer(&f->wpipe);
    f->type = FILE_NONE;
    return err;
}

void file_exit(void)
{
    file_init(); /* pipes that were handed over and never used must be closed, too */
    for (unsigned fd = 0; fd < FILE_MAX; fd++)
        if (files[fd].type != FILE_NONE)
            file_close((int)fd);
    ready = false;
}

long file_read(int fd, void *buf, size_t n)
{
    struct file *f = get(fd);

    if (!f)
        return -SE_INV_ARGS;
    if (f->type == FILE_REG)
        return regfile_read(f, buf, n);
    if (f->type == FILE_RPIPE)
        return pipe_read(&f->rpipe, buf, n);
    return f->type == FILE_SERIAL ? 0 : -SE_NO_PERM;
}

long file_write(int fd, const void *buf, size_t n)
{
    struct file *f = get(fd);

    if (!f)
        return -SE_INV_ARGS;
    if (f->type == FILE_REG)
        return regfile_write(f, buf, n);
    if (f->type == FILE_WPIPE)
        return pipe_write(&f->wpipe, buf, n);
    if (f->type != FILE_SERIAL)
        return -SE_NO_PERM;
    print_text(buf, n);
    return (long)n;
}

void file_print(int fd, const char *format, ...)
{
    char buf[FILE_LINE];
    va_list ap;
    size_t n;

    va_start(ap, format);
    n = fmt_vsnprintf(buf, sizeof(buf), format, ap);
    va_end(ap);
    file_write(fd, buf, n < sizeof(buf) ? n : sizeof(buf) - 1);
}

long file_seek(int fd, long off, enum file_whence whence)
{
    struct file *f = get(fd);

    if (!f)
        return -SE_INV_ARGS;
    return f->type == FILE_REG ? regfile_seek(f, off, whence) : -SE_NOT_SUP;
}

unsigned file_fstat(int fd, struct m3fs_info *info)
{
    struct file *f = get(fd);

    if (!f)
        return SE_INV_ARGS;
    return f->type == FILE_REG ? regfile_stat(f, info) : SE_NOT_SUP;
}

/* The format of directories is that of the disk: inode, length of the name, distance, name. */
unsigned file_readdir(int fd, struct file_dirent *out)
{
    uint32_t head[3];
    long n;

    do {
        n = file_read(fd, head, sizeof(head));
        if (n <= 0)
            return n < 0 ? (unsigned)-n : SE_END_OF_FILE;
        if (n != sizeof(head) || head[1] >= sizeof(out->name) || head[2] < sizeof(head) + head[1])
            return SE_INV_ARGS;
        n = head[1] ? file_read(fd, out->name, head[1]) : 0;
        if (n != head[1])
            return n < 0 ? (unsigned)-n : SE_INV_ARGS;
        out->name[n] = 0;
        out->inode = head[0];
        n = file_seek(fd, head[2] - (long)sizeof(head) - (long)head[1], FILE_CUR);
        if (n < 0)
            return (unsigned)-n;
    } while (head[1] == 0);
    return SE_OK;
}
