/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands of semperfs share: images as files, the checker, the builder. */
#ifndef FSIMG_H
#define FSIMG_H

#include <stdbool.h>
#include <stdio.h>

#include "../guest/fs/fs.h"

#define FSIMG_CACHE 64u /* blocks */

/* An image in memory. */
struct fsimg {
    struct fs fs;
    uint8_t *bytes;
    uint64_t size;
    void *cache;
};

/* On bytes[0, size), which stay the caller's.  Error of fs_mount(), SE_OUT_OF_MEM. */
unsigned fsimg_attach(struct fsimg *img, uint8_t *bytes, uint64_t size);
/* The same, and makes an empty file system of it. */
unsigned fsimg_format(struct fsimg *img, uint8_t *bytes, uint64_t size, uint32_t blocksize,
                      uint32_t inodes);
void fsimg_detach(struct fsimg *img);

/* A line for an error of errors.h. */
const char *fsimg_error(unsigned err);

/* ---- fscheck.c ---- */

struct fscheck {
    /* NULL, or: called with each thing that is wrong, a line without its end. */
    void (*report)(void *arg, const char *text);
    void *arg;
    unsigned errors;
    unsigned files, dirs;
};
/*
 * Everything that an image promises: the tree, inodes, extents, bitmaps, counts.  True: all well.
 * The image is not changed.
 */
bool fscheck(struct fscheck *c, const uint8_t *bytes, uint64_t size);

/* ---- fsmake.c ---- */

struct fsmake {
    uint64_t size;      /* of the image, 0: what the folder needs and a quarter more */
    uint32_t inodes;    /* 0: one for 8 KiB */
    uint32_t blocksize; /* 0: 4096 */
    uint32_t spread;    /* at most so many blocks in an extent, 0: no limit; for tests */
};
/*
 * A new image of a folder on the host, entries in the order of their names, times 0, so that the
 * same folder gives the same image.  dir NULL: an empty one.  False: err (256 bytes) says why.
 * Links, devices and the like are left out and counted in *skipped.
 */
bool fsmake(const struct fsmake *opt, const char *image, const char *dir, unsigned *skipped,
            char err[256]);

#endif
