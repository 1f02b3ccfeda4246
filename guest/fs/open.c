/* SPDX-License-Identifier: BSD-2-Clause */
/* Open files; see open.h. */
#include "open.h"

#include "str.h"

static bool is_busy(void *arg, uint32_t ino)
{
    const struct fs_files *t = arg;

    for (unsigned i = 0; i < FS_OPEN_MAX; i++)
        if (t->file[i].used && t->file[i].ino == ino)
            return true;
    return false;
}

void fs_files_init(struct fs_files *t, struct fs *fs)
{
    memset(t, 0, sizeof(*t));
    t->fs = fs;
    fs->busy = is_busy;
    fs->arg = t;
}

static unsigned get(struct fs_files *t, unsigned no, struct fs_file **f, struct fs_inode *in)
{
    if (no >= FS_OPEN_MAX || !t->file[no].used)
        return SE_INV_ARGS;
    *f = &t->file[no];
    return fs_iget(t->fs, t->file[no].ino, in);
}

/* Another open file than `no` that made the inode grow; FS_OPEN_MAX: none. */
static unsigned other_grower(const struct fs_files *t, unsigned no, uint32_t ino)
{
    for (unsigned i = 0; i < FS_OPEN_MAX; i++)
        if (i != no && t->file[i].used && t->file[i].grew && t->file[i].ino == ino)
            return i;
    return FS_OPEN_MAX;
}

/* The true size of all that have the inode open and made it grow. */
static void set_size(struct fs_files *t, uint32_t ino, uint32_t size)
{
    for (unsigned i = 0; i < FS_OPEN_MAX; i++)
        if (t->file[i].used && t->file[i].grew && t->file[i].ino == ino)
            t->size[i] = size;
}

/* File `no` makes its inode, which has that many bytes, run ahead. */
static void grows(struct fs_files *t, unsigned no, uint32_t size)
{
    unsigned other;

    if (t->file[no].grew)
        return;
    other = other_grower(t, no, t->file[no].ino);
    t->size[no] = other < FS_OPEN_MAX ? t->size[other] : size;
    t->file[no].grew = true;
}

static unsigned check_mode(const struct fs_inode *in, uint32_t flags)
{
    if (fs_is_dir(in->mode) && (flags & (FS_W | FS_TRUNC)))
        return SE_IS_DIR;
    if (!fs_is_dir(in->mode) && !fs_is_reg(in->mode))
        return SE_NOT_SUP;
    if (((flags & FS_W) && !(in->mode & FS_IWUSR)) || ((flags & FS_R) && !(in->mode & FS_IRUSR)))
        return SE_NO_PERM;
    return SE_OK;
}

unsigned fs_file_open(struct fs_files *t, const char *path, uint32_t flags, unsigned *no)
{
    struct fs_inode in;
    unsigned err, i = 0;

    while (i < FS_OPEN_MAX && t->file[i].used)
        i++;
    if (i == FS_OPEN_MAX)
        return SE_NO_SPACE;
    if ((flags & (FS_R | FS_W)) == 0 || ((flags & FS_TRUNC) && !(flags & FS_W)))
        return SE_INV_ARGS;
    err = fs_lookup(t->fs, path, &in);
    if (err == SE_NO_SUCH_FILE && (flags & FS_CREATE))
        err = fs_create(t->fs, path, 0644, &in);
    if (!err)
        err = check_mode(&in, flags);
    if (!err && (flags & FS_TRUNC)) {
        err = fs_truncate(t->fs, &in, 0);
        if (!err)
            set_size(t, in.inode, 0);
    }
    if (err)
        return err;
    t->file[i] = (struct fs_file){.used = true, .ino = in.inode, .flags = flags};
    *no = i;
    return SE_OK;
}

/* Bytes up to byte extoff of that extent, at most those that there are. */
static unsigned position(struct fs *fs, const struct fs_inode *in, uint64_t extent, uint64_t extoff,
                         uint32_t *pos)
{
    uint64_t at = 0;
    struct fs_extent e;
    unsigned err;

    for (uint32_t i = 0; i < in->extents && i <= extent; i++) {
        uint64_t bytes;

        err = fs_extent_get(fs, in, i, &e);
        if (err)
            return err;
        bytes = (uint64_t)e.length * fs->sb.blocksize;
        at += i < extent || extoff > bytes ? bytes : extoff;
    }
    *pos = at < in->size ? (uint32_t)at : in->size;
    return SE_OK;
}

static bool is_held(const struct fs *fs, uint32_t ino)
{
    return fs->held && fs->held(fs->arg, ino);
}

/* The file's true end is known: what is behind it goes, or, without a name, all of it. */
static unsigned finish(struct fs_files *t, unsigned no)
{
    struct fs_file *f = &t->file[no];
    struct fs_inode in;
    unsigned err = fs_iget(t->fs, f->ino, &in);

    f->closing = !err && is_held(t->fs, f->ino);
    if (f->closing)
        return SE_OK;
    if (!err && f->grew && other_grower(t, no, f->ino) == FS_OPEN_MAX) {
        err = fs_truncate(t->fs, &in, t->size[no]);
        f->closing = err && is_held(t->fs, f->ino);
        if (f->closing)
            return SE_OK;
    }
    f->used = false;
    if (!err && in.links == 0 && !is_busy(t, in.inode))
        err = fs_ifree(t->fs, &in);
    return err;
}

void fs_files_retry(struct fs_files *t)
{
    for (unsigned i = 0; i < FS_OPEN_MAX; i++)
        if (t->file[i].used && t->file[i].closing)
            finish(t, i);
}

unsigned fs_file_close(struct fs_files *t, unsigned no, bool told, uint64_t extent, uint64_t extoff)
{
    struct fs_inode in;
    struct fs_file *f;
    uint32_t pos;
    unsigned err;

    if (no >= FS_OPEN_MAX || !t->file[no].used)
        return SE_INV_ARGS;
    f = &t->file[no];
    err = fs_iget(t->fs, f->ino, &in);
    if (!err && f->grew) {
        pos = in.size;
        if (told)
            err = position(t->fs, &in, extent, extoff, &pos);
        if (!err && pos > t->size[no])
            set_size(t, f->ino, pos);
    }
    if (err) {
        f->used = false;
        return err;
    }
    return finish(t, no);
}

unsigned fs_file_stat(struct fs_files *t, unsigned no, struct fs_inode *out)
{
    struct fs_file *f;

    return get(t, no, &f, out);
}

/* The end of the last extent is where the file ends, unless it is being written. */
static unsigned fill_in(struct fs_files *t, struct fs_inode *in, uint32_t i, bool writing,
                        struct fs_where *out)
{
    uint32_t bs = t->fs->sb.blocksize, over = in->size % bs;
    struct fs_extent e;
    unsigned err = fs_extent_get(t->fs, in, i, &e);

    if (err)
        return err;
    out->extent[out->count] = e;
    out->bytes[out->count] = (uint64_t)e.length * bs;
    if (i == in->extents - 1 && over) {
        if (writing) {
            if (in->size > UINT32_MAX - bs)
                return SE_NO_SPACE;
            in->size += bs - over;
            err = fs_iput(t->fs, in);
        } else {
            out->bytes[out->count] -= bs - over;
        }
    }
    if (!err)
        out->count++;
    return err;
}

unsigned fs_file_where(struct fs_files *t, unsigned no, uint64_t at, bool by_byte, uint64_t count,
                       uint64_t blocks, struct fs_where *out)
{
    struct fs_extent added;
    struct fs_inode in;
    struct fs_file *f;
    struct fs_pos pos;
    unsigned err = get(t, no, &f, &in);

    memset(out, 0, sizeof(*out));
    if (err)
        return err;
    if (count == 0 || count > FS_LOCS)
        return SE_INV_ARGS;
    if (!(f->flags & FS_W))
        blocks = 0;
    if (by_byte) {
        err = fs_locate(t->fs, &in, at, &pos);
        at = pos.extent;
        out->first = pos.extoff;
    }
    /* Who may write may write behind the end, where another one had blocks added. */
    if (!err && blocks > 0)
        grows(t, no, in.size);
    for (uint64_t i = 0; i < count && !err; i++) {
        if (at + i > in.extents || at + i < at)
            break;
        if (at + i == in.extents) {
            if (blocks == 0 || out->count > 0)
                break;
            err = fs_grow(t->fs, &in, blocks < FS_GROW_MAX ? (uint32_t)blocks : FS_GROW_MAX, false,
                          &added);
            if (err)
                break;
            out->extended = true;
        }
        err = fill_in(t, &in, (uint32_t)(at + i), blocks > 0, out);
    }
    return err;
}

/* Byte of the file at which that extent begins. */
static unsigned extent_start(struct fs *fs, const struct fs_inode *in, uint64_t extent,
                             uint64_t *start)
{
    struct fs_extent e;
    unsigned err = SE_OK;

    *start = 0;
    for (uint32_t i = 0; i < in->extents && i < extent && !err; i++) {
        err = fs_extent_get(fs, in, i, &e);
        *start += (uint64_t)e.length * fs->sb.blocksize;
    }
    return err;
}

unsigned fs_file_seek(struct fs_files *t, unsigned no, int64_t off, int whence, uint64_t *extent,
                      uint64_t *extoff, uint64_t *pos)
{
    struct fs_inode in;
    struct fs_file *f;
    struct fs_pos p;
    uint64_t from = 0, to;
    unsigned err = get(t, no, &f, &in);

    if (err)
        return err;
    if (whence == FS_SEEK_CUR) {
        err = extent_start(t->fs, &in, *extent, &from);
        if (*extoff > INT64_MAX - from)
            return SE_INV_ARGS;
        from += *extoff;
    } else if (whence == FS_SEEK_END) {
        from = in.size;
    } else if (whence != FS_SEEK_SET) {
        return SE_INV_ARGS;
    }
    if (off < 0 ? (uint64_t) - (off + 1) >= from : (uint64_t)off > INT64_MAX - from)
        return SE_INV_ARGS;
    to = from + (uint64_t)off;
    if (!err)
        err = fs_locate(t->fs, &in, to, &p);
    if (err)
        return err;
    *extent = p.extent;
    *extoff = p.extoff;
    *pos = to;
    return SE_OK;
}
