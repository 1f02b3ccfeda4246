/* SPDX-License-Identifier: BSD-2-Clause */
/* The two bitmaps: who is free, and changing that. */
#include "fs.h"

#include "str.h"

#define CHUNK 128u /* bytes of a bitmap looked at at a time */

/* Bits of a map, read as they are needed. */
struct bits {
    struct fs *fs;
    uint32_t map;
    uint32_t have; /* first byte in buf, UINT32_MAX: none */
    uint8_t buf[CHUNK];
    unsigned err;
};

static void bits_init(struct bits *b, struct fs *fs, uint32_t map)
{
    b->fs = fs;
    b->map = map;
    b->have = UINT32_MAX;
    b->err = SE_OK;
}

/* The byte with bit no. */
static uint8_t byte_at(struct bits *b, uint32_t no)
{
    uint32_t byte = no / 8, first = byte / CHUNK * CHUNK, bs = b->fs->sb.blocksize;

    if (first != b->have && !b->err) {
        b->err = fs_read(b->fs, b->map + first / bs, first % bs, b->buf, CHUNK);
        b->have = first;
    }
    return b->err ? 0xFF : b->buf[byte - first];
}

static bool bit_at(struct bits *b, uint32_t no)
{
    return byte_at(b, no) >> (no % 8) & 1;
}

unsigned fs_bit(struct fs *fs, uint32_t map, uint32_t no, bool *set)
{
    uint8_t byte;
    unsigned err;
    uint32_t total = map == fs->inode_map ? fs->sb.total_inodes : fs->sb.total_blocks;

    if (no >= total)
        return FS_CORRUPT;
    err = fs_read(fs, map + no / 8 / fs->sb.blocksize, no / 8 % fs->sb.blocksize, &byte, 1);
    *set = byte >> (no % 8) & 1;
    return err;
}

/* [start, start + count) becomes used or free.  FS_CORRUPT: one of them was so already. */
static unsigned set_bits(struct fs *fs, uint32_t map, uint32_t start, uint32_t count, bool used,
                         uint32_t *changed)
{
    uint32_t bs = fs->sb.blocksize, no = start, end = start + count;
    unsigned err = SE_OK, result = SE_OK;
    uint8_t buf[CHUNK];

    *changed = 0;
    while (no < end && !err) {
        uint32_t first = no / 8 / CHUNK * CHUNK, begin = no / 8 - first;

        err = fs_read(fs, map + first / bs, first % bs, buf, CHUNK);
        for (; no < end && no / 8 - first < CHUNK && !err; no++) {
            uint8_t *byte = &buf[no / 8 - first], bit = (uint8_t)(1u << (no % 8));

            if (!(*byte & bit) == !used)
                result = FS_CORRUPT;
            else
                ++*changed;
            *byte = (uint8_t)(used ? *byte | bit : *byte & ~bit);
        }
        if (!err)
            err = fs_write(fs, map + first / bs, first % bs + begin, buf + begin,
                           (no - 1) / 8 - first - begin + 1);
    }
    return err ? err : result;
}

/* What find_run() found. */
struct run {
    uint32_t start, length; /* 0: nothing */
    uint32_t first;         /* the first free one seen */
};

/* A run of free bits in [from, to): the first of `want`, else the longest. */
static unsigned find_run(struct fs *fs, uint32_t map, uint32_t from, uint32_t to, uint32_t want,
                         struct run *best)
{
    struct bits b;
    uint32_t no = from;

    bits_init(&b, fs, map);
    *best = (struct run){.first = UINT32_MAX};
    while (no < to && best->length < want && !b.err) {
        uint32_t start;

        if (no % 8 == 0 && byte_at(&b, no) == 0xFF) {
            no += 8;
            continue;
        }
        if (bit_at(&b, no)) {
            no++;
            continue;
        }
        for (start = no; no < to && no - start < want && !bit_at(&b, no); no++)
            ;
        if (best->first == UINT32_MAX)
            best->first = start;
        if (no - start > best->length) {
            best->start = start;
            best->length = no - start;
        }
    }
    return b.err;
}

/* Takes up to `want` from a map; updates *hint, below which nothing is free, and *free. */
static unsigned take(struct fs *fs, uint32_t map, uint32_t total, uint32_t *hint, uint32_t *left,
                     uint32_t want, struct run *out)
{
    uint32_t changed;
    unsigned err = find_run(fs, map, *hint < total ? *hint : 0, total, want, out);

    if (err)
        return err;
    if (out->length == 0)
        return SE_NO_SPACE;
    err = set_bits(fs, map, out->start, out->length, true, &changed);
    if (err)
        return err;
    *hint = out->start == out->first ? out->start + out->length : out->first;
    *left -= *left < changed ? *left : changed;
    return fs_write_super(fs);
}

/* Whether [goal, goal + want) begins with free blocks: they are taken. */
static unsigned take_goal(struct fs *fs, uint32_t goal, uint32_t want, struct run *out)
{
    struct bits b;
    uint32_t n = 0, changed;
    unsigned err;

    *out = (struct run){.start = goal};
    bits_init(&b, fs, fs->block_map);
    while (n < want && goal + n < fs->sb.total_blocks && !bit_at(&b, goal + n))
        n++;
    if (b.err || n == 0)
        return b.err;
    err = set_bits(fs, fs->block_map, goal, n, true, &changed);
    if (err)
        return err;
    out->length = n;
    if (fs->sb.first_free_block == goal)
        fs->sb.first_free_block = goal + n;
    fs->sb.free_blocks -= fs->sb.free_blocks < n ? fs->sb.free_blocks : n;
    return fs_write_super(fs);
}

unsigned fs_alloc(struct fs *fs, uint32_t goal, uint32_t want, uint32_t *start, uint32_t *got)
{
    struct run r = {0, 0, 0};
    unsigned err = SE_OK;

    if (want == 0)
        return SE_INV_ARGS;
    if (goal >= fs->data && goal < fs->sb.total_blocks)
        err = take_goal(fs, goal, want, &r);
    if (!err && r.length == 0)
        err = take(fs, fs->block_map, fs->sb.total_blocks, &fs->sb.first_free_block,
                   &fs->sb.free_blocks, want, &r);
    if (err)
        return err;
    /* The bitmap of a hostile image may say that the inodes are free. */
    if (r.start < fs->data)
        return FS_CORRUPT;
    *start = r.start;
    *got = r.length;
    return fs_zero(fs, r.start, r.length);
}

unsigned fs_free(struct fs *fs, uint32_t start, uint32_t count)
{
    uint32_t changed;
    unsigned err, err2;

    if (start < fs->data || start > fs->sb.total_blocks || count > fs->sb.total_blocks - start)
        return FS_CORRUPT;
    err = set_bits(fs, fs->block_map, start, count, false, &changed);
    fs->sb.free_blocks += changed;
    if (start < fs->sb.first_free_block)
        fs->sb.first_free_block = start;
    err2 = fs_write_super(fs);
    return err ? err : err2;
}

unsigned fs_alloc_inode(struct fs *fs, uint32_t *ino)
{
    struct run r;
    unsigned err = take(fs, fs->inode_map, fs->sb.total_inodes, &fs->sb.first_free_inode,
                        &fs->sb.free_inodes, 1, &r);

    *ino = r.start;
    return !err && r.start == FS_ROOT ? FS_CORRUPT : err;
}

unsigned fs_free_inode(struct fs *fs, uint32_t ino)
{
    uint32_t changed;
    unsigned err, err2;

    if (ino == FS_ROOT || ino >= fs->sb.total_inodes)
        return FS_CORRUPT;
    err = set_bits(fs, fs->inode_map, ino, 1, false, &changed);
    fs->sb.free_inodes += changed;
    if (ino < fs->sb.first_free_inode)
        fs->sb.first_free_inode = ino;
    err2 = fs_write_super(fs);
    return err ? err : err2;
}

static unsigned count_map(struct fs *fs, uint32_t map, uint32_t total, uint32_t *left,
                          uint32_t *first)
{
    struct bits b;

    bits_init(&b, fs, map);
    *left = 0;
    *first = total;
    for (uint32_t no = 0; no < total && !b.err;) {
        if (no % 8 == 0 && byte_at(&b, no) == 0xFF) {
            no += 8;
            continue;
        }
        if (!bit_at(&b, no)) {
            if (*left == 0)
                *first = no;
            ++*left;
        }
        no++;
    }
    return b.err;
}

unsigned fs_count_free(struct fs *fs)
{
    unsigned err = count_map(fs, fs->inode_map, fs->sb.total_inodes, &fs->sb.free_inodes,
                             &fs->sb.first_free_inode);

    if (!err)
        err = count_map(fs, fs->block_map, fs->sb.total_blocks, &fs->sb.free_blocks,
                        &fs->sb.first_free_block);
    return err;
}
