/* SPDX-License-Identifier: BSD-2-Clause */
/* Directories: entries in the blocks of all extents. */
#include "fs.h"

#include "str.h"

#define HEAD ((uint32_t)sizeof(struct fs_dirent_head))

/* Reads the entry at off of a block and checks that it lies in there. */
static unsigned read_entry(struct fs *fs, uint32_t block, uint32_t off, struct fs_dirent *out)
{
    uint32_t bs = fs->sb.blocksize;
    unsigned err;

    if (off > bs - HEAD)
        return FS_CORRUPT;
    err = fs_read(fs, block, off, &out->head, HEAD);
    if (err)
        return err;
    /* A block that was added just when the machine ended. */
    if (off == 0 && out->head.ino == 0 && out->head.namelen == 0 && out->head.next == 0)
        out->head.next = bs;
    if (out->head.namelen > FS_NAME_MAX || out->head.next < HEAD + out->head.namelen ||
        out->head.next > bs - off)
        return FS_CORRUPT;
    err = fs_read(fs, block, off + HEAD, out->name, out->head.namelen);
    out->name[out->head.namelen] = 0;
    return err;
}

/* The block after the one at pos; false: there is none. */
static bool next_block(struct fs_dirpos *pos, const struct fs_extent *e)
{
    pos->off = 0;
    if (++pos->block < e->length)
        return true;
    pos->block = 0;
    pos->extent++;
    return false;
}

unsigned fs_dir_next(struct fs *fs, const struct fs_inode *dir, struct fs_dirpos *pos,
                     struct fs_dirent *out)
{
    struct fs_extent e;
    unsigned err;

    if (pos->extent >= dir->extents)
        return SE_END_OF_FILE;
    err = fs_extent_get(fs, dir, pos->extent, &e);
    if (err)
        return err;
    if (pos->block >= e.length)
        return FS_CORRUPT;
    err = read_entry(fs, e.start + pos->block, pos->off, out);
    if (err)
        return err;
    if (pos->at != e.start + pos->block || pos->off == 0)
        pos->prev = pos->off;
    else
        pos->prev = pos->at_off;
    pos->at = e.start + pos->block;
    pos->at_off = pos->off;
    pos->off += out->head.next;
    if (pos->off >= fs->sb.blocksize)
        next_block(pos, &e);
    return SE_OK;
}

/*
 * Bounds a walk: a hostile directory could name the same blocks again and again.  An entry takes
 * HEAD bytes at least.
 */
static uint64_t walk_limit(const struct fs *fs, const struct fs_inode *dir)
{
    uint64_t all = (uint64_t)fs->sb.total_blocks * (fs->sb.blocksize / HEAD);
    uint64_t most = (uint64_t)fs->sb.total_inodes * 64 + (uint64_t)dir->extents * 1024 + 65536;

    return all < most ? all : most;
}

unsigned fs_dir_find(struct fs *fs, const struct fs_inode *dir, const char *name, size_t n,
                     uint32_t *ino, struct fs_dirpos *pos)
{
    uint64_t limit = walk_limit(fs, dir);
    struct fs_dirpos at = {0};
    struct fs_dirent e;
    unsigned err;

    if (!fs_is_dir(dir->mode))
        return SE_IS_NO_DIR;
    while ((err = fs_dir_next(fs, dir, &at, &e)) == SE_OK) {
        if (limit-- == 0)
            return FS_CORRUPT;
        if (n > 0 && e.head.namelen == n && memcmp(e.name, name, n) == 0) {
            *ino = e.head.ino;
            if (pos)
                *pos = at;
            return SE_OK;
        }
    }
    return err == SE_END_OF_FILE ? SE_NO_SUCH_FILE : err;
}

/* The entry goes to off of a block, and reaches `next` bytes. */
static unsigned put_entry(struct fs *fs, uint32_t block, uint32_t off, uint32_t next, uint32_t ino,
                          const char *name, size_t n)
{
    struct fs_dirent e = {.head = {ino, (uint32_t)n, next}};

    memcpy(e.name, name, n);
    return fs_write(fs, block, off, &e, HEAD + (uint32_t)n);
}

/* A block more, with this entry alone in it. */
static unsigned add_block(struct fs *fs, struct fs_inode *dir, const char *name, size_t n,
                          uint32_t ino)
{
    struct fs_inode grown = *dir;
    struct fs_extent last, e;
    uint32_t blocks, block;
    unsigned err;

    /* The space behind the last entry of the directory is empty until the entry is there. */
    err = fs_grow(fs, &grown, 1, true, &e);
    if (err)
        return err;
    *dir = grown;
    err = fs_extent_get(fs, dir, dir->extents - 1, &last);
    if (err)
        return err;
    block = last.start + last.length - 1;
    err = put_entry(fs, block, 0, fs->sb.blocksize, ino, name, n);
    if (err && fs_blocks(fs, dir, &blocks) == SE_OK)
        fs_truncate(fs, dir, (blocks - 1) * fs->sb.blocksize);
    return err;
}

unsigned fs_dir_add(struct fs *fs, struct fs_inode *dir, const char *name, size_t n, uint32_t ino)
{
    uint64_t limit = walk_limit(fs, dir);
    struct fs_dirpos pos = {0};
    struct fs_dirent e;
    unsigned err;

    if (n == 0 || n > FS_NAME_MAX)
        return SE_INV_ARGS;
    while ((err = fs_dir_next(fs, dir, &pos, &e)) == SE_OK) {
        uint32_t used = e.head.namelen ? HEAD + e.head.namelen : 0;

        if (limit-- == 0)
            return FS_CORRUPT;
        if (e.head.next - used < HEAD + n)
            continue;
        err = put_entry(fs, pos.at, pos.at_off + used, e.head.next - used, ino, name, n);
        if (err || used == 0)
            return err;
        e.head.next = used; /* last, so that the new entry is whole before it can be seen */
        return fs_write(fs, pos.at, pos.at_off, &e.head, HEAD);
    }
    return err == SE_END_OF_FILE ? add_block(fs, dir, name, n, ino) : err;
}

/* The first entry of a block goes: what follows moves up, or the block is empty. */
static unsigned remove_first(struct fs *fs, struct fs_inode *dir, uint32_t block,
                             const struct fs_dirent *gone)
{
    struct fs_dirent e;
    struct fs_extent last;
    uint32_t blocks;
    unsigned err;

    if (gone->head.next < fs->sb.blocksize) {
        err = read_entry(fs, block, gone->head.next, &e);
        if (err)
            return err;
        return put_entry(fs, block, 0, gone->head.next + e.head.next, e.head.ino, e.name,
                         e.head.namelen);
    }
    err = fs_blocks(fs, dir, &blocks);
    if (!err)
        err = fs_extent_get(fs, dir, dir->extents - 1, &last);
    if (err)
        return err;
    if (blocks > 1 && block == last.start + last.length - 1)
        return fs_truncate(fs, dir, (blocks - 1) * fs->sb.blocksize);
    /* The original's checker follows even an empty entry, so it names the directory itself. */
    return put_entry(fs, block, 0, fs->sb.blocksize, dir->inode, "", 0);
}

unsigned fs_dir_remove(struct fs *fs, struct fs_inode *dir, const char *name, size_t n)
{
    struct fs_dirpos pos;
    struct fs_dirent e, prev;
    uint32_t ino;
    unsigned err = fs_dir_find(fs, dir, name, n, &ino, &pos);

    if (!err)
        err = read_entry(fs, pos.at, pos.at_off, &e);
    if (err)
        return err;
    if (pos.at_off == 0)
        return remove_first(fs, dir, pos.at, &e);
    err = read_entry(fs, pos.at, pos.prev, &prev);
    if (err)
        return err;
    if (pos.prev + prev.head.next != pos.at_off)
        return FS_CORRUPT;
    prev.head.next += e.head.next;
    return fs_write(fs, pos.at, pos.prev, &prev.head, HEAD);
}

unsigned fs_dir_replace(struct fs *fs, const struct fs_dirpos *pos, uint32_t ino)
{
    return fs_write(fs, pos->at, pos->at_off, &ino, sizeof(ino));
}

unsigned fs_dir_empty(struct fs *fs, const struct fs_inode *dir)
{
    uint64_t limit = walk_limit(fs, dir);
    struct fs_dirpos pos = {0};
    struct fs_dirent e;
    unsigned err;

    while ((err = fs_dir_next(fs, dir, &pos, &e)) == SE_OK) {
        bool dots = e.head.namelen <= 2 && memcmp(e.name, "..", e.head.namelen) == 0;

        if (limit-- == 0)
            return FS_CORRUPT;
        if (!dots)
            return SE_DIR_NOT_EMPTY;
    }
    return err == SE_END_OF_FILE ? SE_OK : err;
}
