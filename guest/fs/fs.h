/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file system on a memory region or an image file, in the format of the original's m3fs
 * (semperos-platform 8).  The service, the host tools, the tests and the fuzzer are all built from
 * this folder.
 *
 * Layout, in blocks: superblock, bitmap of inodes, bitmap of blocks, inodes, data.  All numbers are
 * little endian, 32 bits.  A file is a list of extents: three in the inode, then those of the
 * indirect block, then those of the blocks that the double-indirect block names.  A directory is a
 * file of entries that do not cross blocks; its last entry reaches to the end of the block.
 *
 * An image is hostile: whatever is read is checked before it is used, every loop is bounded by what
 * the superblock (checked once, kept here) says, and what cannot be is FS_CORRUPT.  Nothing points
 * into the cache; all goes by copies.
 *
 * Writes go through to the device at once, in an order in which an end in the middle loses space,
 * but never gives a block to two owners: a new block is marked used before something refers to it,
 * and an old one is marked free when nothing does any more.  There is no journal.
 *
 * One thread of control.  All functions return an error of errors.h, SE_OK = 0, unless they say
 * otherwise; device errors come through as they are.
 */
#ifndef FS_H
#define FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"

#define FS_CORRUPT SE_NO_MAPPING /* the image says something that cannot be */

/* ---- on the device ---- */

struct fs_super {
    uint32_t blocksize; /* power of two, FS_BLOCK_MIN..FS_BLOCK_MAX */
    uint32_t total_inodes;
    uint32_t total_blocks;
    uint32_t free_inodes;
    uint32_t free_blocks;
    uint32_t first_free_inode; /* none below is free */
    uint32_t first_free_block;
    uint32_t checksum; /* fs_super_sum() */
};
_Static_assert(sizeof(struct fs_super) == 32, "m3fs superblock");

#define FS_BLOCK_MIN 1024u
#define FS_BLOCK_MAX 4096u

struct fs_extent {
    uint32_t start; /* block */
    uint32_t length;
};

#define FS_DIRECT 3u

struct fs_inode {
    uint8_t devno;
    uint8_t pad[3];
    uint32_t inode; /* its own number */
    uint32_t mode;
    uint32_t links;
    uint32_t size; /* bytes */
    uint32_t lastaccess, lastmod;
    uint32_t extents; /* in use, without gaps */
    struct fs_extent direct[FS_DIRECT];
    uint32_t indirect;  /* block of extents, 0: none */
    uint32_t dindirect; /* block of extents of one block, each full of extents; 0: none */
};
_Static_assert(sizeof(struct fs_inode) == 64, "m3fs inode");

struct fs_dirent_head {
    uint32_t ino;
    uint32_t namelen; /* 0: nothing here */
    uint32_t next;    /* distance to the next entry of this block */
};
_Static_assert(sizeof(struct fs_dirent_head) == 12, "m3fs directory entry");

#define FS_ROOT     0u
#define FS_NAME_MAX 255u

enum fs_mode {
    FS_IFMT = 0160000,
    FS_IFREG = 0100000,
    FS_IFDIR = 0040000,
    FS_IRUSR = 0400,
    FS_IWUSR = 0200,
    FS_PERMS = 0777,
};
static inline bool fs_is_dir(uint32_t mode)
{
    return (mode & FS_IFMT) == FS_IFDIR;
}
static inline bool fs_is_reg(uint32_t mode)
{
    return (mode & FS_IFMT) == FS_IFREG;
}

/* ---- an open file system ---- */

/* Where the image is.  Whole transfers or an error; n is never 0. */
struct fs_dev {
    unsigned (*read)(void *ctx, void *buf, size_t n, uint64_t off);
    unsigned (*write)(void *ctx, const void *buf, size_t n, uint64_t off);
    void *ctx;
    uint64_t size; /* bytes */
};

#define FS_WAYS 4u
struct fs_line {
    uint32_t block; /* 0: empty; the superblock is not cached */
    uint32_t stamp;
};

struct fs {
    struct fs_dev dev;
    struct fs_super sb;
    uint32_t inode_map, block_map, inode_table, data; /* first blocks of each */
    /* Metadata blocks: nlines of FS_BLOCK_MAX bytes, in sets of FS_WAYS. */
    struct fs_line *lines;
    uint8_t *bytes;
    unsigned nlines;
    uint32_t stamp;
    /*
     * NULL, or: the blocks of inode ino are about to change owner; nobody may use them through
     * what was handed out.  An error: somebody still may, and they must stay.  Not NULL, too: does
     * somebody still use the inode, which has no name?  Is there something handed out for it that
     * could not be taken back, so that its blocks must stay?
     */
    unsigned (*revoke)(void *arg, uint32_t ino);
    bool (*busy)(void *arg, uint32_t ino);
    bool (*held)(void *arg, uint32_t ino);
    void *arg;
};

/* Memory that a cache of n blocks takes. */
#define FS_CACHE_SIZE(n) ((n) * (FS_BLOCK_MAX + sizeof(struct fs_line)))

/*
 * Opens what is on dev.  cache: memory of FS_CACHE_SIZE(blocks), 8-byte aligned, blocks a multiple
 * of FS_WAYS and not 0; the caller's, in use as long as fs.  FS_CORRUPT: no such file system.  Free
 * counts that disagree with the bitmaps are corrected here.
 */
unsigned fs_mount(struct fs *fs, const struct fs_dev *dev, void *cache, unsigned blocks);

/* An empty file system of the whole device (a multiple of the block size, zeros in it). */
unsigned fs_format(struct fs *fs, const struct fs_dev *dev, uint32_t blocksize, uint32_t inodes,
                   void *cache, unsigned blocks);

/* Is this a superblock for a device of that size?  NULL, or what is wrong.  With layout to fs. */
const char *fs_super_check(struct fs *fs, const struct fs_super *sb, uint64_t size);
uint32_t fs_super_sum(const struct fs_super *sb);

/* ---- block.c ---- */

/* n bytes at off of a block, which all must exist. */
unsigned fs_read(struct fs *fs, uint32_t block, uint32_t off, void *buf, uint32_t n);
unsigned fs_write(struct fs *fs, uint32_t block, uint32_t off, const void *buf, uint32_t n);
/* Zeros in [block, block + count), past the cache. */
unsigned fs_zero(struct fs *fs, uint32_t block, uint32_t count);
unsigned fs_write_super(struct fs *fs);

/* ---- alloc.c ---- */

/*
 * Blocks next to each other, zeroed: want of them where there are that many, else as many as there
 * are in one place (*got).  goal: where to look first, 0: anywhere.  SE_NO_SPACE.
 */
unsigned fs_alloc(struct fs *fs, uint32_t goal, uint32_t want, uint32_t *start, uint32_t *got);
/* FS_CORRUPT when they are no data blocks or one of them is free already; that is left alone. */
unsigned fs_free(struct fs *fs, uint32_t start, uint32_t count);
unsigned fs_alloc_inode(struct fs *fs, uint32_t *ino);
unsigned fs_free_inode(struct fs *fs, uint32_t ino);
/* Is the bit set? map: fs->inode_map or fs->block_map. */
unsigned fs_bit(struct fs *fs, uint32_t map, uint32_t no, bool *set);
/* Counts from the bitmaps, and the first free ones; for fs_mount(). */
unsigned fs_count_free(struct fs *fs);

/* ---- inode.c ---- */

/* A valid inode that is in use. */
unsigned fs_iget(struct fs *fs, uint32_t ino, struct fs_inode *out);
unsigned fs_iput(struct fs *fs, const struct fs_inode *in);
/* A new one with no names and no blocks. */
unsigned fs_icreate(struct fs *fs, uint32_t mode, struct fs_inode *out);
/* Its blocks and itself. */
unsigned fs_ifree(struct fs *fs, struct fs_inode *in);

/* Extent i < in->extents, checked. */
unsigned fs_extent_get(struct fs *fs, const struct fs_inode *in, uint32_t i, struct fs_extent *out);
/* How many extents a file can have. */
uint32_t fs_extents_max(const struct fs *fs);
/* Blocks of all extents. */
unsigned fs_blocks(struct fs *fs, const struct fs_inode *in, uint32_t *blocks);

/*
 * One more extent, of at most `want` blocks; size becomes all blocks.  With `join`, the last extent
 * grows when there is space behind it.  SE_NO_SPACE.
 */
unsigned fs_grow(struct fs *fs, struct fs_inode *in, uint32_t want, bool join,
                 struct fs_extent *out);
/* Down to size bytes (up: only within the last block).  When blocks go
 * calls fs->revoke, and an error of that is its own, before anything has changed. */
unsigned fs_truncate(struct fs *fs, struct fs_inode *in, uint32_t size);

/* Where byte off of the file is; *extent = in->extents when it is behind all blocks. */
struct fs_pos {
    uint32_t extent;
    uint64_t extoff; /* bytes into it */
    uint64_t start;  /* of that extent in the file, bytes */
};
unsigned fs_locate(struct fs *fs, const struct fs_inode *in, uint64_t off, struct fs_pos *pos);

/* File data through this code, for tools.  *done bytes; reading stops at the end of the file. */
unsigned fs_pread(struct fs *fs, const struct fs_inode *in, uint64_t off, void *buf, size_t n,
                  size_t *done);
unsigned fs_append(struct fs *fs, struct fs_inode *in, const void *buf, size_t n);

/* ---- dir.c ---- */

struct fs_dirpos {
    uint32_t extent, block, off; /* zero: the beginning */
    uint32_t prev;               /* offset of the entry before, in the same block */
    uint32_t at, at_off;         /* block and offset of the entry last returned */
};
struct fs_dirent {
    struct fs_dirent_head head;
    char name[FS_NAME_MAX + 1];
};
/* The next entry, empty ones too; SE_END_OF_FILE behind the last. */
unsigned fs_dir_next(struct fs *fs, const struct fs_inode *dir, struct fs_dirpos *pos,
                     struct fs_dirent *out);

/* SE_NO_SUCH_FILE.  pos may be NULL. */
unsigned fs_dir_find(struct fs *fs, const struct fs_inode *dir, const char *name, size_t n,
                     uint32_t *ino, struct fs_dirpos *pos);
unsigned fs_dir_add(struct fs *fs, struct fs_inode *dir, const char *name, size_t n, uint32_t ino);
unsigned fs_dir_remove(struct fs *fs, struct fs_inode *dir, const char *name, size_t n);
/* The entry at pos is for another inode from now on. */
unsigned fs_dir_replace(struct fs *fs, const struct fs_dirpos *pos, uint32_t ino);
/* SE_DIR_NOT_EMPTY when there is more than "." and "..". */
unsigned fs_dir_empty(struct fs *fs, const struct fs_inode *dir);

/* ---- path.c: paths are absolute, with or without the first slash ---- */

unsigned fs_lookup(struct fs *fs, const char *path, struct fs_inode *out);
unsigned fs_create(struct fs *fs, const char *path, uint32_t mode, struct fs_inode *out);
unsigned fs_mkdir(struct fs *fs, const char *path, uint32_t mode);
unsigned fs_rmdir(struct fs *fs, const char *path);
/* Files only; SE_IS_DIR. */
unsigned fs_link(struct fs *fs, const char *from, const char *to);
unsigned fs_unlink(struct fs *fs, const char *path);
/* Files only, as in the original; a file `to` is replaced. */
unsigned fs_rename(struct fs *fs, const char *from, const char *to);

#endif
