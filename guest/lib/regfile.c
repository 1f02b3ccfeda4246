/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of a file system.  The service tells where extents are (OBTAIN, m3fs_proto.h) and we read
 * and write them ourselves.  A capability that was taken from us meanwhile, because somebody cut
 * the file, is asked for again once.
 */
#include "file_impl.h"

#define GROW_BLOCKS 512u /* at a time */

static void drop_mem(struct regfile *r)
{
    map_auto_drop(&r->map);
    gate_deactivate(&r->mem);
}

static unsigned get_locs(struct regfile *r, bool for_write)
{
    uint64_t in[5] = {r->fd, r->extent, M3FS_LOCS, for_write ? GROW_BLOCKS : 0, 0}, out[7] = {0};
    struct session_args args = {.in = in, .nin = 5, .out = out, .nout = 7};
    unsigned err;

    drop_mem(r);
    if (r->sel == 0)
        r->sel = sel_alloc(M3FS_LOCS);
    /* The service may have revoked them already. */
    if (r->got)
        sysc_revoke(cap_range(r->sel, r->got), true);
    r->got = 0;
    r->locs.count = 0;
    err = session_obtain(&r->mount->sess, r->sel, M3FS_LOCS, &args);
    if (err)
        return err;
    if (args.nout < 6 || out[0] > M3FS_LOCS)
        return SE_INV_ARGS;
    memcpy(&r->locs, out, sizeof(r->locs));
    r->got = (unsigned)out[0];
    r->first = r->extent;
    r->for_write = for_write;
    return SE_OK;
}

static unsigned stat_fd(struct regfile *r, struct m3fs_info *info)
{
    struct msg_writer w = mount_request(M3FS_FSTAT);
    struct msg_reader in;
    const uint8_t *p;
    unsigned err;

    memset(info, 0, sizeof(*info));
    msg_put(&w, r->fd);
    err = mount_call(r->mount, &w, &in);
    if (err)
        return err;
    p = msg_get_bytes(&in, sizeof(*info));
    if (p)
        memcpy(info, p, sizeof(*info));
    mount_done();
    return p ? SE_OK : SE_INV_ARGS;
}

/* Before the first blocks are added: where the file ends. */
static unsigned note_end(struct regfile *r)
{
    struct m3fs_info info;
    unsigned err;

    if (r->extended)
        return SE_OK;
    err = stat_fd(r, &info);
    r->end = info.size;
    r->extended = !err;
    return err;
}

/*
 * The extent at the position, with its length in *bytes and r->mem for it; when the position is at
 * its end, the next one.  *bytes 0: the file ends here.
 */
static unsigned locate(struct regfile *r, bool for_write, uint64_t *bytes)
{
    unsigned err = for_write ? note_end(r) : SE_OK;

    while (!err) {
        uint64_t i = r->extent - r->first, length;

        if (i >= r->locs.count || (for_write && !r->for_write)) {
            err = get_locs(r, for_write);
            i = 0;
        }
        length = !err && r->locs.count ? r->locs.bytes[i] : 0;
        *bytes = length;
        if (!for_write && r->extended && length > 0)
            *bytes = r->end < r->begin            ? 0
                     : r->end - r->begin < length ? r->end - r->begin
                                                  : length;
        if (*bytes == 0 || r->extoff > length || (r->extoff >= *bytes && *bytes < length)) {
            *bytes = 0;
            break;
        }
        if (r->extoff < *bytes) {
            if (r->mem.sel != r->sel + i)
                drop_mem(r);
            r->mem.sel = r->sel + (unsigned)i;
            break;
        }
        r->begin += r->extoff;
        r->extent++;
        r->extoff = 0;
    }
    return err;
}

typedef unsigned transfer_fn(struct regfile *r, void *buf, size_t n);

static unsigned do_read(struct regfile *r, void *buf, size_t n)
{
    return map_auto_read(&r->map, &r->mem, buf, n, r->extoff);
}

static unsigned do_write(struct regfile *r, void *buf, size_t n)
{
    return map_auto_write(&r->map, &r->mem, buf, n, r->extoff);
}

/* One piece within an extent: its length, 0 at the end of the file, or an error. */
static long piece(struct regfile *r, uint8_t *buf, size_t n, bool for_write, transfer_fn *fn)
{
    const struct regfile was = *r;
    uint64_t bytes = 0;
    unsigned err = SE_OK;

    for (unsigned i = 0; i < 2; i++) {
        err = locate(r, for_write, &bytes);
        if (err || bytes == 0)
            break;
        if (n > bytes - r->extoff)
            n = bytes - r->extoff;
        err = fn(r, buf, n);
        if (!err)
            return (long)n;
        r->locs.count = 0; /* perhaps it was revoked */
    }
    /* The end may move; what comes then is behind the last byte, not in the next extent. */
    r->extent = was.extent;
    r->extoff = was.extoff;
    r->begin = was.begin;
    return -(long)err;
}

/* The position after a write counts. */
static void note_written(struct regfile *r)
{
    if (r->extent > r->last_extent) {
        r->last_extent = r->extent;
        r->last_off = r->extoff;
    } else if (r->extent == r->last_extent && r->extoff > r->last_off) {
        r->last_off = r->extoff;
    }
    if (r->begin + r->extoff > r->end)
        r->end = r->begin + r->extoff;
}

static long transfer(struct file *f, void *buf, size_t n, bool for_write)
{
    uint8_t *at = buf;
    size_t left = n;

    while (left > 0) {
        long done = piece(&f->reg, at, left, for_write, for_write ? do_write : do_read);

        if (done < 0)
            return done;
        if (done == 0)
            break;
        f->reg.extoff += (uint64_t)done;
        if (for_write)
            note_written(&f->reg);
        at += done;
        left -= (size_t)done;
    }
    return (long)(n - left);
}

long regfile_read(struct file *f, void *buf, size_t n)
{
    return f->flags & FILE_R ? transfer(f, buf, n, false) : -(long)SE_NO_PERM;
}

long regfile_write(struct file *f, const void *buf, size_t n)
{
    long done;

    if (!(f->flags & FILE_W))
        return -(long)SE_NO_PERM;
    done = transfer(f, (void *)(uintptr_t)buf, n, true);
    return done >= 0 && (size_t)done < n ? -(long)SE_NO_SPACE : done;
}

long regfile_seek(struct file *f, long off, enum file_whence whence)
{
    struct regfile *r = &f->reg;
    struct msg_writer w = mount_request(M3FS_SEEK);
    uint64_t extent, extoff, pos;
    struct msg_reader in;
    unsigned err;

    /* Within the extent there is nobody to ask. */
    if (whence == FILE_CUR && off >= 0 && r->extent - r->first < r->locs.count &&
        (uint64_t)off < r->locs.bytes[r->extent - r->first] &&
        r->extoff < r->locs.bytes[r->extent - r->first] - (uint64_t)off) {
        r->extoff += (uint64_t)off;
        return (long)(r->begin + r->extoff);
    }
    msg_put(&w, r->fd);
    msg_put(&w, (uint64_t)off);
    msg_put(&w, whence);
    msg_put(&w, r->extent);
    msg_put(&w, r->extoff);
    err = mount_call(r->mount, &w, &in);
    if (err)
        return -(long)err;
    extent = msg_get_u64(&in);
    extoff = msg_get_u64(&in);
    pos = msg_get_u64(&in);
    mount_done();
    if (in.error || pos > INT64_MAX || extoff > pos)
        return -(long)SE_INV_ARGS;
    r->extent = extent;
    r->extoff = extoff;
    r->begin = pos - extoff;
    return (long)pos;
}

unsigned regfile_stat(struct file *f, struct m3fs_info *info)
{
    unsigned err = stat_fd(&f->reg, info);

    if (!err && f->reg.extended)
        info->size = f->reg.end;
    return err;
}

unsigned regfile_close(struct file *f)
{
    struct regfile *r = &f->reg;
    struct msg_writer w = mount_request(M3FS_CLOSE);
    struct msg_reader in;
    unsigned err;

    drop_mem(r);
    msg_put(&w, r->fd);
    msg_put(&w, r->last_extent);
    msg_put(&w, r->last_off);
    err = mount_call(r->mount, &w, &in);
    if (!err)
        mount_done();
    /* The service has revoked what it gave for this file. */
    if (r->sel)
        sel_free(r->sel, M3FS_LOCS);
    return err;
}
