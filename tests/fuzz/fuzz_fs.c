/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: guest/fs tools/fsimg.c tools/fscheck.c */
/*
 * A file system on anything.  The input changes bytes of a sound image, and then uses it through
 * everything that the service does.  Nothing may happen but errors; and an image that the checker
 * accepts must not be called damaged by any operation, and must be sound after all of them.
 *
 * Input: triples {u16 offset / 4 in units that reach metadata, u32 value}, ended by 0xFFFF, then
 * operations of three bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/fs/open.h"
#include "../../tools/fsimg.h"

#define IMAGE  (128u << 10)
#define BLOCK  1024u
#define INODES 24u
#define OPS    200u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth, const char *text)
{
    if (!truth) {
        fprintf(stderr, "not so: %s\n", text);
        abort();
    }
}

/* A sound image with folders, links, a file of many extents, an empty one. */
static const uint8_t *base(void)
{
    static uint8_t image[IMAGE], bytes[5000];
    static int made;
    struct fs_inode in;
    struct fs_extent e;
    struct fsimg img;
    unsigned err;

    if (made)
        return image;
    made = 1;
    err = fsimg_format(&img, image, IMAGE, BLOCK, INODES);
    err |= fs_mkdir(&img.fs, "/d", 0755) | fs_mkdir(&img.fs, "/d/e", 0755);
    err |= fs_create(&img.fs, "/d/f", 0644, &in) | fs_append(&img.fs, &in, bytes, sizeof(bytes));
    err |= fs_link(&img.fs, "/d/f", "/g");
    err |= fs_create(&img.fs, "/h", 0644, &in);
    for (unsigned i = 0; i < 12; i++)
        err |= fs_grow(&img.fs, &in, 1, false, &e);
    err |= fs_create(&img.fs, "/i", 0644, &in);
    must(err == SE_OK, "the base image can be made");
    fsimg_detach(&img);
    return image;
}

static const char *const paths[] = {"/",  "/d",   "/d/e", "/d/f",  "/g", "/h",        "/i",
                                    "/j", "/d/k", "/l/m", "/d/..", "",   "/d/e/../f", "/d/e/n"};
#define PATHS (sizeof(paths) / sizeof(paths[0]))

static unsigned use_open(struct fs_files *files, const uint8_t *op)
{
    uint64_t extent = op[2] & 15, extoff = op[2] * 37u, pos;
    struct fs_where w;
    unsigned no, err = fs_file_open(files, paths[op[1] % PATHS], op[2] & 63, &no);

    if (err)
        return err;
    err = fs_file_where(files, no, op[1] >> 4, op[0] & 16, 1 + (op[1] & 3), op[2] >> 5, &w);
    for (unsigned i = 0; i < w.count && !err; i++)
        must(w.extent[i].length > 0 &&
                 w.extent[i].start + (uint64_t)w.extent[i].length <= files->fs->sb.total_blocks &&
                 w.extent[i].start >= files->fs->data &&
                 w.bytes[i] <= (uint64_t)w.extent[i].length * BLOCK * 4,
             "an extent lies in the data blocks");
    if (!err || err == SE_NO_SPACE)
        err = fs_file_seek(files, no, (int8_t)op[1], op[2] % 4, &extent, &extoff, &pos);
    if (op[0] & 32) /* stays open, until there are no more */
        return err;
    no = fs_file_close(files, no, op[0] & 64, extent, extoff);
    return err == FS_CORRUPT ? err : no;
}

static unsigned one_op(struct fs *fs, struct fs_files *files, const uint8_t *op)
{
    const char *a = paths[op[1] % PATHS], *b = paths[op[2] % PATHS];
    static uint8_t bytes[3000];
    struct fs_inode in;
    size_t done;
    unsigned err;

    switch (op[0] % 9) {
    case 0:
        return fs_mkdir(fs, a, 0755);
    case 1:
        return fs_rmdir(fs, a);
    case 2:
        return fs_link(fs, a, b);
    case 3:
        return fs_unlink(fs, a);
    case 4:
        return fs_rename(fs, a, b);
    case 5:
        err = fs_lookup(fs, a, &in);
        return err ? err : fs_pread(fs, &in, op[2] * 64u, bytes, sizeof(bytes), &done);
    case 6:
        err = fs_create(fs, a, 0644, &in);
        return err ? err : fs_append(fs, &in, bytes, op[2] * 11u);
    default:
        return use_open(files, op);
    }
}

static void use(uint8_t *image, const uint8_t *data, size_t size, bool sound)
{
    static struct fs_files files;
    struct fscheck c = {0};
    struct fsimg img;

    if (fsimg_attach(&img, image, IMAGE)) {
        must(!sound, "a sound image can be mounted");
        return;
    }
    fs_files_init(&files, &img.fs);
    for (unsigned i = 0; i < OPS && size >= 3; i++, data += 3, size -= 3)
        must(one_op(&img.fs, &files, data) != FS_CORRUPT || !sound, "a sound image stays so");
    for (unsigned i = 0; i < FS_OPEN_MAX; i++)
        if (files.file[i].used)
            must(fs_file_close(&files, i, false, 0, 0) != FS_CORRUPT || !sound, "closing is fine");
    fsimg_detach(&img);
    must(!sound || fscheck(&c, image, IMAGE), "the checker agrees afterwards");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *image = malloc(IMAGE);
    struct fscheck c = {0};
    struct fs_super sb;
    uint32_t value;
    uint16_t at;

    if (!image)
        return 0;
    memcpy(image, base(), IMAGE);
    while (size >= 6) {
        memcpy(&at, data, 2);
        memcpy(&value, data + 2, 4);
        data += at == 0xFFFF ? 2 : 6;
        size -= at == 0xFFFF ? 2 : 6;
        if (at == 0xFFFF)
            break;
        memcpy(image + at % (IMAGE / 4) * 4, &value, 4);
    }
    memcpy(&sb, image, sizeof(sb));
    sb.checksum = fs_super_sum(&sb); /* or nothing would ever get further */
    memcpy(image, &sb, sizeof(sb));
    use(image, data, size, fscheck(&c, image, IMAGE));
    free(image);
    return 0;
}
