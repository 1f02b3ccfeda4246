/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files, as the m3fs protocol has them: the service says where the parts of a file are, the
 * client reads and writes them itself, and says at the end how far it wrote.
 *
 * A writer gets whole blocks in advance, so the inode's size runs ahead of the data.  What is true
 * is kept here per inode while it is open; when the last of those who made it grow has closed it,
 * the file is cut to that.
 */
#ifndef FS_OPEN_H
#define FS_OPEN_H

#include "fs.h"

#define FS_OPEN_MAX 1024u
#define FS_LOCS     4u
#define FS_GROW_MAX 4096u /* blocks at a time */

enum fs_open_flags {
    FS_R = 1,
    FS_W = 2,
    FS_X = 4,
    FS_TRUNC = 8,
    FS_APPEND = 16,
    FS_CREATE = 32,
};

struct fs_file {
    bool used, grew;
    bool closing; /* closed, but its blocks must stay for now: fs_files_retry() */
    uint32_t ino;
    uint32_t flags;
};

struct fs_files {
    struct fs *fs;
    struct fs_file file[FS_OPEN_MAX];
    /* Of those that grew: the true size by now; the same for all files of one inode. */
    uint32_t size[FS_OPEN_MAX];
};

/* Empties the table; sets fs->busy. */
void fs_files_init(struct fs_files *t, struct fs *fs);

/* *no: its number.  SE_IS_DIR: directories are only read. SE_NO_SPACE: too many are open. */
unsigned fs_file_open(struct fs_files *t, const char *path, uint32_t flags, unsigned *no);

/*
 * told: the client says that it wrote up to byte extoff of that extent (0, 0: nothing); otherwise
 * all blocks count as written.
 */
unsigned fs_file_close(struct fs_files *t, unsigned no, bool told, uint64_t extent,
                       uint64_t extoff);

/* What could not be closed for fs->held is, where that has changed. */
void fs_files_retry(struct fs_files *t);

/* Its inode; size is the true one as far as it is known. */
unsigned fs_file_stat(struct fs_files *t, unsigned no, struct fs_inode *out);

struct fs_where {
    unsigned count;
    struct fs_extent extent[FS_LOCS];
    uint64_t bytes[FS_LOCS]; /* of the file in each, at most all of it */
    bool extended;           /* there is a new one among them */
    uint64_t first;          /* by byte: the offset in the first */
};
/*
 * `count` extents from number `at` on, or, by_byte, from the one with byte `at`.  blocks: how many
 * to add where the file ends.  Nothing there: count 0.
 */
unsigned fs_file_where(struct fs_files *t, unsigned no, uint64_t at, bool by_byte, uint64_t count,
                       uint64_t blocks, struct fs_where *out);

enum fs_whence { FS_SEEK_SET = 0, FS_SEEK_CUR = 1, FS_SEEK_END = 2 };
/* *extent and *extoff are where it is and become where it is then, *pos the byte of that. */
unsigned fs_file_seek(struct fs_files *t, unsigned no, int64_t off, int whence, uint64_t *extent,
                      uint64_t *extoff, uint64_t *pos);

#endif
