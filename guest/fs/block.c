/* SPDX-License-Identifier: BSD-2-Clause */
/* Superblock, and the cache of metadata blocks: set-associative, write-through. */
#include "fs.h"

#include "str.h"

#define SUM_START 1u

uint32_t fs_super_sum(const struct fs_super *sb)
{
    return SUM_START + sb->blocksize * 2 + sb->total_inodes * 3 + sb->total_blocks * 5 +
           sb->free_inodes * 7 + sb->free_blocks * 11 + sb->first_free_inode * 13 +
           sb->first_free_block * 17;
}

/* Blocks that n bytes take. */
static uint64_t blocks_of(uint64_t n, uint32_t blocksize)
{
    return (n + blocksize - 1) / blocksize;
}

const char *fs_super_check(struct fs *fs, const struct fs_super *sb, uint64_t size)
{
    uint32_t bs = sb->blocksize;
    uint64_t inode_map = 1, block_map, table, data;

    if (sb->checksum != fs_super_sum(sb))
        return "the superblock's checksum is wrong";
    if (bs < FS_BLOCK_MIN || bs > FS_BLOCK_MAX || (bs & (bs - 1)))
        return "the block size is none";
    if (sb->total_blocks == 0 || (uint64_t)sb->total_blocks * bs > size)
        return "it has more blocks than the device";
    if (sb->total_inodes == 0)
        return "it has no inodes";
    block_map = inode_map + blocks_of(blocks_of(sb->total_inodes, 8), bs);
    table = block_map + blocks_of(blocks_of(sb->total_blocks, 8), bs);
    data = table + blocks_of((uint64_t)sb->total_inodes * sizeof(struct fs_inode), bs);
    if (data >= sb->total_blocks)
        return "bitmaps and inodes leave no block for data";
    if (sb->free_blocks > sb->total_blocks || sb->free_inodes > sb->total_inodes)
        return "more is free than there is";
    fs->sb = *sb;
    fs->inode_map = (uint32_t)inode_map;
    fs->block_map = (uint32_t)block_map;
    fs->inode_table = (uint32_t)table;
    fs->data = (uint32_t)data;
    return NULL;
}

static void init(struct fs *fs, const struct fs_dev *dev, void *cache, unsigned blocks)
{
    memset(fs, 0, sizeof(*fs));
    fs->dev = *dev;
    fs->nlines = blocks / FS_WAYS * FS_WAYS;
    fs->bytes = cache;
    fs->lines = (struct fs_line *)(void *)(fs->bytes + (size_t)fs->nlines * FS_BLOCK_MAX);
    memset(fs->lines, 0, fs->nlines * sizeof(struct fs_line));
}

unsigned fs_mount(struct fs *fs, const struct fs_dev *dev, void *cache, unsigned blocks)
{
    struct fs_super sb;
    struct fs_inode root;
    unsigned err;

    init(fs, dev, cache, blocks);
    if (dev->size < sizeof(sb) || fs->nlines == 0)
        return SE_INV_ARGS;
    err = dev->read(dev->ctx, &sb, sizeof(sb), 0);
    if (err)
        return err;
    if (fs_super_check(fs, &sb, dev->size))
        return FS_CORRUPT;
    err = fs_count_free(fs);
    if (!err)
        err = fs_iget(fs, FS_ROOT, &root);
    if (err)
        return err;
    return fs_is_dir(root.mode) ? SE_OK : FS_CORRUPT;
}

unsigned fs_write_super(struct fs *fs)
{
    fs->sb.checksum = fs_super_sum(&fs->sb);
    return fs->dev.write(fs->dev.ctx, &fs->sb, sizeof(fs->sb), 0);
}

/* Sets bits [0, n) of the map at block `map`, which is zero. */
static unsigned mark_first(struct fs *fs, uint32_t map, uint32_t n)
{
    uint8_t ones[64], last;
    unsigned err = SE_OK;
    uint32_t bs = fs->sb.blocksize;

    memset(ones, 0xFF, sizeof(ones));
    for (uint32_t done = 0; done < n / 8 && !err;) {
        uint32_t left = n / 8 - done;
        uint32_t k = left < sizeof(ones) ? left : (uint32_t)sizeof(ones);

        err = fs_write(fs, map + done / bs, done % bs, ones, k);
        done += k;
    }
    last = (uint8_t)((1u << (n % 8)) - 1);
    if (!err && last)
        err = fs_write(fs, map + n / 8 / bs, n / 8 % bs, &last, 1);
    return err;
}

static unsigned make_root(struct fs *fs)
{
    struct fs_inode root = {.mode = FS_IFDIR | 0755, .links = 2};
    unsigned err = mark_first(fs, fs->inode_map, 1);

    if (!err)
        err = fs_iput(fs, &root);
    if (!err)
        err = fs_dir_add(fs, &root, ".", 1, FS_ROOT);
    if (!err)
        err = fs_dir_add(fs, &root, "..", 2, FS_ROOT);
    return err;
}

unsigned fs_format(struct fs *fs, const struct fs_dev *dev, uint32_t blocksize, uint32_t inodes,
                   void *cache, unsigned blocks)
{
    uint64_t total = blocksize ? dev->size / blocksize : 0;
    struct fs_super sb = {.blocksize = blocksize, .total_inodes = inodes};
    unsigned err;

    init(fs, dev, cache, blocks);
    if (fs->nlines == 0 || total > UINT32_MAX)
        return SE_INV_ARGS;
    sb.total_blocks = (uint32_t)total;
    sb.checksum = fs_super_sum(&sb);
    if (fs_super_check(fs, &sb, dev->size))
        return SE_INV_ARGS;
    fs->sb.free_inodes = inodes - 1;
    fs->sb.first_free_inode = 1;
    fs->sb.free_blocks = fs->sb.total_blocks - fs->data;
    fs->sb.first_free_block = fs->data;
    err = mark_first(fs, fs->block_map, fs->data);
    if (!err)
        err = make_root(fs);
    return err ? err : fs_write_super(fs);
}

/* ---- the cache ---- */

static uint8_t *line_bytes(const struct fs *fs, unsigned i)
{
    return fs->bytes + (size_t)i * FS_BLOCK_MAX;
}

/* The line of a block, nlines: it has none; *victim: the one to use then. */
static unsigned find_line(const struct fs *fs, uint32_t block, unsigned *victim)
{
    unsigned set = block % (fs->nlines / FS_WAYS) * FS_WAYS;

    *victim = set;
    for (unsigned i = set; i < set + FS_WAYS; i++) {
        if (fs->lines[i].block == block)
            return i;
        if (fs->lines[i].block == 0 ||
            (fs->lines[*victim].block != 0 &&
             fs->stamp - fs->lines[i].stamp > fs->stamp - fs->lines[*victim].stamp))
            *victim = i;
    }
    return fs->nlines;
}

static bool in_block(const struct fs *fs, uint32_t block, uint32_t off, uint32_t n)
{
    return block > 0 && block < fs->sb.total_blocks && off <= fs->sb.blocksize &&
           n <= fs->sb.blocksize - off;
}

unsigned fs_read(struct fs *fs, uint32_t block, uint32_t off, void *buf, uint32_t n)
{
    uint32_t bs = fs->sb.blocksize;
    unsigned line, victim, err;

    if (!in_block(fs, block, off, n))
        return FS_CORRUPT;
    line = find_line(fs, block, &victim);
    if (line == fs->nlines) {
        line = victim;
        fs->lines[line].block = 0;
        err = fs->dev.read(fs->dev.ctx, line_bytes(fs, line), bs, (uint64_t)block * bs);
        if (err)
            return err;
        fs->lines[line].block = block;
    }
    fs->lines[line].stamp = ++fs->stamp;
    memcpy(buf, line_bytes(fs, line) + off, n);
    return SE_OK;
}

unsigned fs_write(struct fs *fs, uint32_t block, uint32_t off, const void *buf, uint32_t n)
{
    unsigned line, victim;

    if (!in_block(fs, block, off, n) || n == 0)
        return FS_CORRUPT;
    line = find_line(fs, block, &victim);
    if (line != fs->nlines)
        memcpy(line_bytes(fs, line) + off, buf, n);
    return fs->dev.write(fs->dev.ctx, buf, n, (uint64_t)block * fs->sb.blocksize + off);
}

unsigned fs_zero(struct fs *fs, uint32_t block, uint32_t count)
{
    static const uint8_t zeros[65536];
    uint64_t at = (uint64_t)block * fs->sb.blocksize;
    uint64_t left = (uint64_t)count * fs->sb.blocksize;
    unsigned err = SE_OK, line, victim;

    if (block < fs->data || block > fs->sb.total_blocks || count > fs->sb.total_blocks - block)
        return FS_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        line = find_line(fs, block + i, &victim);
        if (line != fs->nlines)
            fs->lines[line].block = 0;
    }
    while (left > 0 && !err) {
        size_t n = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

        err = fs->dev.write(fs->dev.ctx, zeros, n, at);
        at += n;
        left -= n;
    }
    return err;
}
