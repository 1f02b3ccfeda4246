/* SPDX-License-Identifier: BSD-2-Clause */
/* Images in memory; see fsimg.h. */
#include "fsimg.h"

#include <stdlib.h>
#include <string.h>

static unsigned mem_read(void *ctx, void *buf, size_t n, uint64_t off)
{
    const struct fsimg *img = ctx;

    if (off > img->size || n > img->size - off)
        return SE_INV_ARGS;
    memcpy(buf, img->bytes + off, n);
    return SE_OK;
}

static unsigned mem_write(void *ctx, const void *buf, size_t n, uint64_t off)
{
    struct fsimg *img = ctx;

    if (off > img->size || n > img->size - off)
        return SE_INV_ARGS;
    memcpy(img->bytes + off, buf, n);
    return SE_OK;
}

static unsigned start(struct fsimg *img, uint8_t *bytes, uint64_t size, struct fs_dev *dev)
{
    memset(img, 0, sizeof(*img));
    img->bytes = bytes;
    img->size = size;
    img->cache = malloc(FS_CACHE_SIZE(FSIMG_CACHE));
    *dev = (struct fs_dev){mem_read, mem_write, img, size};
    return img->cache ? SE_OK : SE_OUT_OF_MEM;
}

unsigned fsimg_attach(struct fsimg *img, uint8_t *bytes, uint64_t size)
{
    struct fs_dev dev;
    unsigned err = start(img, bytes, size, &dev);

    if (!err)
        err = fs_mount(&img->fs, &dev, img->cache, FSIMG_CACHE);
    if (err)
        fsimg_detach(img);
    return err;
}

unsigned fsimg_format(struct fsimg *img, uint8_t *bytes, uint64_t size, uint32_t blocksize,
                      uint32_t inodes)
{
    struct fs_dev dev;
    unsigned err = start(img, bytes, size, &dev);

    if (!err)
        err = fs_format(&img->fs, &dev, blocksize, inodes, img->cache, FSIMG_CACHE);
    if (err)
        fsimg_detach(img);
    return err;
}

void fsimg_detach(struct fsimg *img)
{
    free(img->cache);
    img->cache = NULL;
}

const char *fsimg_error(unsigned err)
{
    static const char *const text[] = {
        [SE_NO_MAPPING] = "the image is damaged",
        [SE_INV_ARGS] = "no such name or size",
        [SE_OUT_OF_MEM] = "out of memory",
        [SE_NO_SUCH_FILE] = "no such file",
        [SE_NO_SPACE] = "no space left in the image",
        [SE_EXISTS] = "it exists",
        [SE_IS_DIR] = "it is a directory",
        [SE_IS_NO_DIR] = "it is no directory",
    };

    if (err < sizeof(text) / sizeof(text[0]) && text[err])
        return text[err];
    return "it cannot be read";
}
