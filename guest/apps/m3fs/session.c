/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions, and capabilities for parts of files. */
#include "m3fs.h"

static struct m3fs_session *find(struct m3fs *m, uint64_t ident)
{
    uint64_t i = (ident & 0xFF) - 1;

    if (i >= M3FS_SESSIONS || !m->session[i].used || m->session[i].ident != ident)
        return NULL;
    return &m->session[i];
}

static bool revoked(struct m3fs *m, const struct m3fs_range *r)
{
    if (r->count == 0 || m->caps.revoke(m->caps.arg, r->start, r->count) == SE_OK)
        return true;
    m->failed++;
    return false;
}

/* It was for that file's blocks. */
static void drop_range(struct m3fs *m, uint32_t ino, struct m3fs_range *r)
{
    const bool gone = revoked(m, r);

    if (!gone && m->nkept < M3FS_KEPT)
        m->kept[m->nkept++] = (struct m3fs_kept){ino, *r};
    else if (!gone)
        m->lost = true;
    r->count = 0;
}

static void drop_ranges(struct m3fs *m, struct m3fs_fd *fd)
{
    for (unsigned i = 0; i < M3FS_RANGES; i++)
        drop_range(m, m->files.file[fd->file].ino, &fd->given[i]);
}

/* fs->held */
static bool is_kept(void *arg, uint32_t ino)
{
    const struct m3fs *m = arg;
    unsigned i = 0;

    while (i < m->nkept && m->kept[i].ino != ino)
        i++;
    return !m->ending && (m->lost || i < m->nkept);
}

/* One of what could not be revoked, the next time the next one. */
static void retry(struct m3fs *m)
{
    struct m3fs_kept *k;

    if (m->nkept == 0)
        return;
    m->retry %= m->nkept;
    k = &m->kept[m->retry];
    if (!revoked(m, &k->range)) {
        m->retry++;
        return;
    }
    *k = m->kept[--m->nkept];
    fs_files_retry(&m->files);
}

/* fs->revoke: arg is m->files. */
static unsigned revoke_inode(void *arg, uint32_t ino)
{
    struct m3fs *m = arg;

    for (unsigned i = 0; i < M3FS_SESSIONS; i++)
        for (unsigned j = 0; j < M3FS_FILES && m->session[i].used; j++) {
            struct m3fs_fd *fd = &m->session[i].fd[j];

            if (fd->file != M3FS_NO_FILE && m->files.file[fd->file].ino == ino)
                drop_ranges(m, fd);
        }
    return is_kept(m, ino) ? SE_MSGS_WAITING : SE_OK;
}

void m3fs_init(struct m3fs *m, const struct m3fs_caps *caps)
{
    fs_files_init(&m->files, &m->fs);
    m->fs.revoke = revoke_inode;
    m->fs.held = is_kept;
    m->caps = *caps;
    m->generation = 0;
    m->nkept = m->retry = 0;
    m->lost = m->ending = false;
    m->failed = 0;
    memset(m->session, 0, sizeof(m->session));
}

unsigned m3fs_open_session(void *arg, struct msg_reader *in, uint64_t *ident)
{
    struct m3fs *m = arg;

    (void)in;
    for (unsigned i = 0; i < M3FS_SESSIONS; i++) {
        struct m3fs_session *s = &m->session[i];

        if (s->used)
            continue;
        memset(s, 0, sizeof(*s));
        for (unsigned j = 0; j < M3FS_FILES; j++)
            s->fd[j].file = M3FS_NO_FILE;
        s->used = true;
        s->ident = *ident = ++m->generation << 8 | (i + 1);
        return SE_OK;
    }
    return SE_NO_SPACE;
}

static unsigned close_fd(struct m3fs *m, struct m3fs_fd *fd, bool told, uint64_t extent,
                         uint64_t extoff)
{
    unsigned file = fd->file;

    /* First, so that nobody uses what the file gives back. */
    drop_ranges(m, fd);
    fd->file = M3FS_NO_FILE;
    return fs_file_close(&m->files, file, told, extent, extoff);
}

void m3fs_close_session(void *arg, uint64_t ident)
{
    struct m3fs *m = arg;
    struct m3fs_session *s = find(m, ident);

    retry(m);
    if (!s)
        return;
    for (unsigned j = 0; j < M3FS_FILES; j++)
        if (s->fd[j].file != M3FS_NO_FILE)
            close_fd(m, &s->fd[j], false, 0, 0);
    if (s->gate)
        drop_range(m, M3FS_NO_INO, &(struct m3fs_range){(uint16_t)s->gate, 1});
    s->used = false;
}

void m3fs_shutdown(void *arg)
{
    struct m3fs *m = arg;

    for (unsigned i = 0; i < M3FS_SESSIONS; i++)
        m3fs_close_session(m, m->session[i].ident);
    /* What is left is revoked with its VPE; until then no block gets another owner. */
    m->ending = true;
    fs_files_retry(&m->files);
}

/* ---- parts of files ---- */

/* A place for a range more; the oldest goes. */
static struct m3fs_range *new_range(struct m3fs *m, struct m3fs_fd *fd)
{
    struct m3fs_range *r = &fd->given[fd->oldest];

    fd->oldest = (uint16_t)((fd->oldest + 1) % M3FS_RANGES);
    drop_range(m, m->files.file[fd->file].ino, r);
    return r;
}

static unsigned give_parts(struct m3fs *m, struct m3fs_fd *fd, const struct fs_where *w,
                           struct cap_range *give)
{
    struct m3fs_range *r = new_range(m, fd);
    uint64_t bs = m->fs.sb.blocksize;
    unsigned err = SE_OK, perms = m->files.file[fd->file].flags & (FS_R | FS_W | FS_X);

    r->start = (uint16_t)m->caps.select(m->caps.arg, w->count);
    r->count = (uint16_t)w->count;
    for (unsigned i = 0; i < w->count && !err; i++)
        err = m->caps.derive(m->caps.arg, r->start + i, w->extent[i].start * bs,
                             w->extent[i].length * bs, perms);
    if (err)
        drop_range(m, m->files.file[fd->file].ino, r);
    give->start = r->start;
    give->count = r->count;
    return err;
}

static struct m3fs_fd *get_fd(struct m3fs_session *s, uint32_t fd)
{
    if (!s || fd >= M3FS_FILES || s->fd[fd].file == M3FS_NO_FILE)
        return NULL;
    return &s->fd[fd];
}

static unsigned get_locs(struct m3fs *m, struct m3fs_session *s, unsigned room,
                         struct msg_reader *in, struct cap_range *give, struct msg_writer *out)
{
    struct m3fs_fd *fd = get_fd(s, msg_get_u32(in));
    uint64_t at = msg_get_u64(in), count = msg_get_u64(in), blocks = msg_get_u64(in);
    uint32_t flags = msg_get_u32(in);
    struct m3fs_locs locs = {0};
    struct fs_where w;
    unsigned err;

    if (in->error || !fd || count == 0 || count > M3FS_LOCS)
        return SE_INV_ARGS;
    err = fs_file_where(&m->files, fd->file, at, flags & M3FS_BYTE_OFFSET,
                        count < room ? count : room, blocks, &w);
    if (!err && w.count > 0)
        err = give_parts(m, fd, &w, give);
    if (err)
        return err;
    locs.count = w.count;
    for (unsigned i = 0; i < w.count; i++)
        locs.bytes[i] = w.bytes[i];
    msg_put_bytes(out, &locs, sizeof(locs));
    msg_put(out, w.extended);
    msg_put(out, w.first);
    return SE_OK;
}

unsigned m3fs_obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                     struct cap_range *give, struct msg_writer *out)
{
    struct m3fs *m = arg;
    struct m3fs_session *s = find(m, ident);
    unsigned err;

    retry(m);
    if (!s || count == 0)
        return SE_INV_ARGS;
    if (s->gate)
        return get_locs(m, s, count, in, give, out);
    if (count != 1)
        return SE_INV_ARGS;
    err = m->caps.gate(m->caps.arg, ident, &s->gate);
    if (err)
        s->gate = 0;
    *give = (struct cap_range){CRD_OBJ, s->gate, err ? 0 : 1};
    return err;
}

/* ---- messages ---- */

static void put_info(struct msg_writer *out, const struct fs_inode *in)
{
    struct m3fs_info info = {
        .devno = in->devno,
        .inode = in->inode,
        .mode = in->mode,
        .links = in->links,
        .size = in->size,
        .lastaccess = in->lastaccess,
        .lastmod = in->lastmod,
        .extents = in->extents,
        .firstblock = in->direct[0].start,
    };

    msg_put(out, SE_OK);
    msg_put_bytes(out, &info, sizeof(info));
}

static unsigned do_open(struct m3fs *m, struct m3fs_session *s, struct msg_reader *in,
                        struct msg_writer *out)
{
    char path[M3FS_MSG_MAX];
    unsigned i = 0, file, err;
    uint32_t flags;

    msg_get_str(in, path, sizeof(path));
    flags = msg_get_u32(in);
    if (in->error)
        return SE_INV_ARGS;
    while (i < M3FS_FILES && s->fd[i].file != M3FS_NO_FILE)
        i++;
    if (i == M3FS_FILES)
        return SE_NO_SPACE;
    err = fs_file_open(&m->files, path, flags, &file);
    if (err)
        return err;
    s->fd[i] = (struct m3fs_fd){.file = (uint16_t)file};
    msg_put(out, SE_OK);
    msg_put(out, i);
    return SE_OK;
}

static unsigned do_stat(struct m3fs *m, struct msg_reader *in, struct msg_writer *out)
{
    char path[M3FS_MSG_MAX];
    struct fs_inode inode;
    unsigned err;

    msg_get_str(in, path, sizeof(path));
    if (in->error)
        return SE_INV_ARGS;
    err = fs_lookup(&m->fs, path, &inode);
    if (!err)
        put_info(out, &inode);
    return err;
}

static unsigned do_fstat(struct m3fs *m, struct m3fs_session *s, struct msg_reader *in,
                         struct msg_writer *out)
{
    struct m3fs_fd *fd = get_fd(s, msg_get_u32(in));
    struct fs_inode inode;
    unsigned err;

    if (in->error || !fd)
        return SE_INV_ARGS;
    err = fs_file_stat(&m->files, fd->file, &inode);
    if (!err)
        put_info(out, &inode);
    return err;
}

static unsigned do_seek(struct m3fs *m, struct m3fs_session *s, struct msg_reader *in,
                        struct msg_writer *out)
{
    struct m3fs_fd *fd = get_fd(s, msg_get_u32(in));
    int64_t off = (int64_t)msg_get_u64(in);
    int whence = (int)msg_get_u32(in);
    uint64_t extent = msg_get_u64(in), extoff = msg_get_u64(in), pos;
    unsigned err;

    if (in->error || !fd)
        return SE_INV_ARGS;
    err = fs_file_seek(&m->files, fd->file, off, whence, &extent, &extoff, &pos);
    if (err)
        return err;
    msg_put(out, SE_OK);
    msg_put(out, extent);
    msg_put(out, extoff);
    msg_put(out, pos);
    return SE_OK;
}

static unsigned do_close(struct m3fs *m, struct m3fs_session *s, struct msg_reader *in)
{
    struct m3fs_fd *fd = get_fd(s, msg_get_u32(in));
    uint64_t extent = msg_get_u64(in), extoff = msg_get_u64(in);

    if (in->error || !fd)
        return SE_INV_ARGS;
    return close_fd(m, fd, true, extent, extoff);
}

/* Operations with a path and nothing to answer. */
static unsigned do_path(struct m3fs *m, uint32_t op, struct msg_reader *in)
{
    char path[M3FS_MSG_MAX], second[M3FS_MSG_MAX];
    uint32_t mode = 0;

    msg_get_str(in, path, sizeof(path));
    if (op == M3FS_MKDIR)
        mode = msg_get_u32(in);
    if (op == M3FS_LINK || op == M3FS_RENAME)
        msg_get_str(in, second, sizeof(second));
    if (in->error)
        return SE_INV_ARGS;
    switch (op) {
    case M3FS_MKDIR:
        return fs_mkdir(&m->fs, path, mode);
    case M3FS_RMDIR:
        return fs_rmdir(&m->fs, path);
    case M3FS_LINK:
        return fs_link(&m->fs, path, second);
    case M3FS_UNLINK:
        return fs_unlink(&m->fs, path);
    default:
        return fs_rename(&m->fs, path, second);
    }
}

void m3fs_message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    struct m3fs *m = arg;
    struct m3fs_session *s = find(m, label);
    uint32_t op = msg_get_u32(in);
    unsigned err = SE_INV_ARGS;

    retry(m);
    if (s && !in->error) {
        switch (op) {
        case M3FS_OPEN:
            err = do_open(m, s, in, out);
            break;
        case M3FS_STAT:
            err = do_stat(m, in, out);
            break;
        case M3FS_FSTAT:
            err = do_fstat(m, s, in, out);
            break;
        case M3FS_SEEK:
            err = do_seek(m, s, in, out);
            break;
        case M3FS_CLOSE:
            err = do_close(m, s, in);
            break;
        case M3FS_MKDIR:
        case M3FS_RMDIR:
        case M3FS_LINK:
        case M3FS_UNLINK:
        case M3FS_RENAME:
            err = do_path(m, op, in);
            break;
        }
    }
    if (err || out->len == 0) /* what succeeded with something to say has said so */
        msg_put(out, err);
}
