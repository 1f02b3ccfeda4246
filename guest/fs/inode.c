/* SPDX-License-Identifier: BSD-2-Clause */
/* Inodes and their extents. */
#include "fs.h"

#include "str.h"

#define BYTES_MAX UINT32_MAX /* of a file */

static uint32_t per_block(const struct fs *fs)
{
    return fs->sb.blocksize / (uint32_t)sizeof(struct fs_extent);
}

uint32_t fs_extents_max(const struct fs *fs)
{
    return FS_DIRECT + per_block(fs) + per_block(fs) * per_block(fs);
}

static void inode_place(const struct fs *fs, uint32_t ino, uint32_t *block, uint32_t *off)
{
    uint64_t at = (uint64_t)ino * sizeof(struct fs_inode);

    *block = fs->inode_table + (uint32_t)(at / fs->sb.blocksize);
    *off = (uint32_t)(at % fs->sb.blocksize);
}

unsigned fs_iget(struct fs *fs, uint32_t ino, struct fs_inode *out)
{
    uint32_t block, off;
    bool used;
    unsigned err = fs_bit(fs, fs->inode_map, ino, &used);

    if (err)
        return err;
    inode_place(fs, ino, &block, &off);
    err = fs_read(fs, block, off, out, sizeof(*out));
    if (err)
        return err;
    if (!used || out->inode != ino || out->extents > fs_extents_max(fs))
        return FS_CORRUPT;
    return SE_OK;
}

unsigned fs_iput(struct fs *fs, const struct fs_inode *in)
{
    uint32_t block, off;

    if (in->inode >= fs->sb.total_inodes)
        return FS_CORRUPT;
    inode_place(fs, in->inode, &block, &off);
    return fs_write(fs, block, off, in, sizeof(*in));
}

unsigned fs_icreate(struct fs *fs, uint32_t mode, struct fs_inode *out)
{
    uint32_t ino;
    unsigned err = fs_alloc_inode(fs, &ino);

    if (err)
        return err;
    *out = (struct fs_inode){.inode = ino, .mode = mode};
    return fs_iput(fs, out);
}

unsigned fs_ifree(struct fs *fs, struct fs_inode *in)
{
    unsigned err = fs_truncate(fs, in, 0);

    return err ? err : fs_free_inode(fs, in->inode);
}

/* ---- where extent i stands ---- */

struct slot {
    uint32_t outer, outer_off; /* place of the entry in the double-indirect block, 0: not used */
    uint32_t block, off;       /* place of the extent, 0: in the inode */
};

/* Reads block number at a place of the double-indirect block; 0: none yet. */
static unsigned outer_block(struct fs *fs, const struct slot *s, uint32_t *block)
{
    struct fs_extent e;
    unsigned err = fs_read(fs, s->outer, s->outer_off, &e, sizeof(e));

    *block = e.length ? e.start : 0;
    if (!err && *block && (*block < fs->data || *block >= fs->sb.total_blocks || e.length != 1))
        err = FS_CORRUPT;
    return err;
}

static unsigned new_block(struct fs *fs, uint32_t *block)
{
    uint32_t got;

    return fs_alloc(fs, 0, 1, block, &got);
}

/* With create, blocks of extents are made as needed (in changes); without, they must be there. */
static unsigned find_slot(struct fs *fs, struct fs_inode *in, uint32_t i, bool create,
                          struct slot *s)
{
    uint32_t n = per_block(fs);
    struct fs_extent e = {0, 1};
    unsigned err = SE_OK;

    memset(s, 0, sizeof(*s));
    if (i < FS_DIRECT)
        return SE_OK;
    i -= FS_DIRECT;
    if (i < n) {
        if (in->indirect == 0 && create)
            err = new_block(fs, &in->indirect);
        s->block = in->indirect;
    } else {
        i -= n;
        if (i / n >= n)
            return SE_NO_SPACE;
        if (in->dindirect == 0 && create)
            err = new_block(fs, &in->dindirect);
        s->outer = in->dindirect;
        s->outer_off = i / n * (uint32_t)sizeof(e);
        if (!err && s->outer)
            err = outer_block(fs, s, &s->block);
        if (!err && s->outer && s->block == 0 && create) {
            err = new_block(fs, &e.start);
            if (!err)
                err = fs_write(fs, s->outer, s->outer_off, &e, sizeof(e));
            s->block = e.start;
        }
    }
    s->off = i % n * (uint32_t)sizeof(e);
    if (!err && s->block < fs->data)
        err = FS_CORRUPT;
    return err;
}

unsigned fs_extent_get(struct fs *fs, const struct fs_inode *in, uint32_t i, struct fs_extent *out)
{
    struct fs_inode copy = *in;
    struct slot s;
    unsigned err;

    *out = (struct fs_extent){0, 0};
    if (i >= in->extents)
        return FS_CORRUPT;
    if (i < FS_DIRECT) {
        *out = in->direct[i];
    } else {
        err = find_slot(fs, &copy, i, false, &s);
        if (!err)
            err = fs_read(fs, s.block, s.off, out, sizeof(*out));
        if (err)
            return err;
    }
    if (out->start < fs->data || out->length == 0 || out->start >= fs->sb.total_blocks ||
        out->length > fs->sb.total_blocks - out->start)
        return FS_CORRUPT;
    return SE_OK;
}

static unsigned set_extent(struct fs *fs, struct fs_inode *in, uint32_t i, struct fs_extent e)
{
    struct slot s;
    unsigned err = find_slot(fs, in, i, true, &s);

    if (err)
        return err;
    if (i < FS_DIRECT) {
        in->direct[i] = e;
        return SE_OK;
    }
    return fs_write(fs, s.block, s.off, &e, sizeof(e));
}

unsigned fs_blocks(struct fs *fs, const struct fs_inode *in, uint32_t *blocks)
{
    struct fs_extent e;
    unsigned err;

    *blocks = 0;
    for (uint32_t i = 0; i < in->extents; i++) {
        err = fs_extent_get(fs, in, i, &e);
        if (err)
            return err;
        if (e.length > fs->sb.total_blocks - *blocks)
            return FS_CORRUPT;
        *blocks += e.length;
    }
    return SE_OK;
}

unsigned fs_locate(struct fs *fs, const struct fs_inode *in, uint64_t off, struct fs_pos *pos)
{
    struct fs_extent e;
    uint32_t blocks = 0;
    unsigned err;

    *pos = (struct fs_pos){.extoff = off};
    for (; pos->extent < in->extents; pos->extent++) {
        uint64_t bytes;

        err = fs_extent_get(fs, in, pos->extent, &e);
        if (err)
            return err;
        if (e.length > fs->sb.total_blocks - blocks)
            return FS_CORRUPT;
        blocks += e.length;
        bytes = (uint64_t)e.length * fs->sb.blocksize;
        if (pos->extoff < bytes)
            return SE_OK;
        pos->extoff -= bytes;
        pos->start += bytes;
    }
    return SE_OK;
}

/* ---- growing ---- */

/* Blocks joined to the last extent; *joined 0 when there are none behind it. */
static unsigned join_last(struct fs *fs, struct fs_inode *in, uint32_t want, uint32_t *joined)
{
    uint32_t last = in->extents - 1, start = 0;
    struct fs_extent e;
    bool used = true;
    unsigned err = fs_extent_get(fs, in, last, &e);

    *joined = 0;
    if (err || e.start + e.length >= fs->sb.total_blocks)
        return err;
    err = fs_bit(fs, fs->block_map, e.start + e.length, &used);
    if (err || used)
        return err;
    err = fs_alloc(fs, e.start + e.length, want, &start, joined);
    if (err)
        return err;
    e.length += *joined;
    return set_extent(fs, in, last, e);
}

/*
 * A new last extent.  Where it has taken the blocks that noting it needs (one of extents, or two),
 * its own last ones are given back for that: a file can have all blocks but those.
 */
static unsigned add_extent(struct fs *fs, struct fs_inode *in, uint32_t want, struct fs_extent *out)
{
    unsigned err;

    if (in->extents >= fs_extents_max(fs))
        return SE_NO_SPACE;
    err = fs_alloc(fs, 0, want, &out->start, &out->length);
    if (err)
        return err;
    while ((err = set_extent(fs, in, in->extents, *out)) == SE_NO_SPACE && out->length > 1) {
        err = fs_free(fs, out->start + --out->length, 1);
        if (err)
            break;
    }
    if (err)
        fs_free(fs, out->start, out->length);
    else
        in->extents++;
    return err;
}

unsigned fs_grow(struct fs *fs, struct fs_inode *in, uint32_t want, bool join,
                 struct fs_extent *out)
{
    uint32_t blocks, bs = fs->sb.blocksize, joined = 0;
    unsigned err = fs_blocks(fs, in, &blocks);

    *out = (struct fs_extent){0, 0};
    if (err)
        return err;
    if (want > BYTES_MAX / bs || blocks > BYTES_MAX / bs - want)
        want = blocks < BYTES_MAX / bs ? BYTES_MAX / bs - blocks : 0;
    if (want == 0)
        return SE_NO_SPACE;
    if (join && in->extents > 0)
        err = join_last(fs, in, want, &joined);
    if (err)
        return err;
    if (joined == 0)
        err = add_extent(fs, in, want, out);
    if (err)
        return err;
    in->size = (blocks + joined + out->length) * bs;
    return fs_iput(fs, in);
}

/* ---- shrinking ---- */

/* What drop_last() leaves to be freed once the inode does not refer to it any more. */
struct dropped {
    struct fs_extent extent;
    uint32_t tables[2]; /* blocks of extents, 0: none */
};

/* Takes the last extent off in; blocks of extents that are empty then go with it. */
static unsigned drop_last(struct fs *fs, struct fs_inode *in, struct dropped *d)
{
    static const struct fs_extent none;
    uint32_t i = in->extents - 1, n = per_block(fs);
    struct slot s;
    unsigned err = fs_extent_get(fs, in, i, &d->extent);

    memset(d->tables, 0, sizeof(d->tables));
    if (!err)
        err = find_slot(fs, in, i, false, &s);
    if (err)
        return err;
    in->extents--;
    if (i < FS_DIRECT) {
        in->direct[i] = none;
        return SE_OK;
    }
    err = fs_write(fs, s.block, s.off, &none, sizeof(none));
    if (err || s.off != 0)
        return err;
    d->tables[0] = s.block;
    if (s.outer == 0) {
        in->indirect = 0;
        return SE_OK;
    }
    if (i == FS_DIRECT + n) {
        d->tables[1] = in->dindirect;
        in->dindirect = 0;
    }
    return fs_write(fs, s.outer, s.outer_off, &none, sizeof(none));
}

static unsigned remove_last(struct fs *fs, struct fs_inode *in)
{
    struct dropped d;
    unsigned err = drop_last(fs, in, &d), err2 = SE_OK;

    if (!err)
        err = fs_iput(fs, in);
    if (err)
        return err;
    err = fs_free(fs, d.extent.start, d.extent.length);
    for (unsigned i = 0; i < 2; i++)
        if (d.tables[i] && !err2)
            err2 = fs_free(fs, d.tables[i], 1);
    return err ? err : err2;
}

/* Zeros from byte `from` of the extent to the end of its block. */
static unsigned clear_tail(struct fs *fs, const struct fs_extent *e, uint64_t from)
{
    static const uint8_t zeros[FS_BLOCK_MAX];
    uint32_t bs = fs->sb.blocksize, in_block = (uint32_t)(from % bs);

    if (in_block == 0)
        return SE_OK;
    return fs_write(fs, e->start + (uint32_t)(from / bs), in_block, zeros, bs - in_block);
}

/* The last extent to `keep` of its blocks. */
static unsigned cut_last(struct fs *fs, struct fs_inode *in, uint32_t keep)
{
    struct fs_extent e;
    uint32_t length;
    unsigned err = fs_extent_get(fs, in, in->extents - 1, &e);

    if (err)
        return err;
    length = e.length;
    e.length = keep;
    err = set_extent(fs, in, in->extents - 1, e);
    if (!err)
        err = fs_iput(fs, in);
    return err ? err : fs_free(fs, e.start + keep, length - keep);
}

unsigned fs_truncate(struct fs *fs, struct fs_inode *in, uint32_t size)
{
    uint32_t blocks, bs = fs->sb.blocksize;
    uint32_t need = size / bs + (size % bs != 0);
    struct fs_extent e;
    unsigned err = fs_blocks(fs, in, &blocks);

    if (err)
        return err;
    if (need > blocks)
        return SE_INV_ARGS;
    err = need < blocks && fs->revoke ? fs->revoke(fs->arg, in->inode) : SE_OK;
    if (err)
        return err;
    in->size = size;
    while (blocks > need && !err) {
        err = fs_extent_get(fs, in, in->extents - 1, &e);
        if (err)
            break;
        if (e.length <= blocks - need) {
            blocks -= e.length;
            err = remove_last(fs, in);
        } else {
            err = cut_last(fs, in, e.length - (blocks - need));
            blocks = need;
        }
    }
    if (!err && need > 0) {
        err = fs_extent_get(fs, in, in->extents - 1, &e);
        if (!err)
            err = clear_tail(fs, &e, (uint64_t)e.length * bs - (uint64_t)need * bs + size);
    }
    return err ? err : fs_iput(fs, in);
}

/* ---- data, for tools ---- */

typedef unsigned transfer_fn(struct fs *fs, void *buf, size_t n, uint64_t at);

static unsigned dev_read(struct fs *fs, void *buf, size_t n, uint64_t at)
{
    return fs->dev.read(fs->dev.ctx, buf, n, at);
}

static unsigned dev_write(struct fs *fs, void *buf, size_t n, uint64_t at)
{
    return fs->dev.write(fs->dev.ctx, buf, n, at);
}

/* n bytes from `off` on; they must all lie in blocks. */
static unsigned transfer(struct fs *fs, const struct fs_inode *in, uint64_t off, uint8_t *buf,
                         size_t n, transfer_fn *fn)
{
    uint64_t bs = fs->sb.blocksize;
    struct fs_extent e;
    struct fs_pos pos;
    unsigned err = fs_locate(fs, in, off, &pos);

    while (n > 0 && !err) {
        uint64_t left;
        size_t k;

        err = fs_extent_get(fs, in, pos.extent, &e);
        if (err)
            break;
        left = e.length * bs - pos.extoff;
        k = left < n ? (size_t)left : n;
        err = fn(fs, buf, k, e.start * bs + pos.extoff);
        buf += k;
        n -= k;
        pos.extent++;
        pos.extoff = 0;
    }
    return err;
}

unsigned fs_pread(struct fs *fs, const struct fs_inode *in, uint64_t off, void *buf, size_t n,
                  size_t *done)
{
    *done = 0;
    if (off >= in->size)
        return SE_OK;
    if (n > in->size - off)
        n = (size_t)(in->size - off);
    *done = n;
    return transfer(fs, in, off, buf, n, dev_read);
}

unsigned fs_append(struct fs *fs, struct fs_inode *in, const void *buf, size_t n)
{
    uint32_t bs = fs->sb.blocksize, blocks, size = in->size;
    struct fs_extent e;
    unsigned err = fs_blocks(fs, in, &blocks);

    if (!err && n > BYTES_MAX - size)
        err = SE_NO_SPACE;
    while (!err && (uint64_t)blocks * bs < (uint64_t)size + n) {
        uint64_t more = (uint64_t)size + n - (uint64_t)blocks * bs;

        err = fs_grow(fs, in, (uint32_t)((more + bs - 1) / bs), true, &e);
        if (!err)
            err = fs_blocks(fs, in, &blocks);
    }
    if (!err)
        err = transfer(fs, in, size, (uint8_t *)(uintptr_t)buf, n, dev_write);
    in->size = err ? size : size + (uint32_t)n;
    return err ? err : fs_iput(fs, in);
}
