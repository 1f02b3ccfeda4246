/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file system's edges: files with more extents than fit into the inode and the indirect block,
 * images that lie, directories with holes, and an end in the middle of an operation.
 */
/* LINK: guest/fs tools/fsimg.c tools/fscheck.c */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/fs/open.h"
#include "../../tools/fsimg.h"

#define IMAGE (8u << 20)

static uint8_t *image;
static struct fsimg img;
static struct fs *fs;

static void setup_with(uint32_t blocksize, uint32_t inodes)
{
    image = calloc(1, IMAGE);
    ck_assert_ptr_nonnull(image);
    ck_assert_uint_eq(fsimg_format(&img, image, IMAGE, blocksize, inodes), SE_OK);
    fs = &img.fs;
}

static void setup(void)
{
    setup_with(1024, 200);
}

static void teardown(void)
{
    fsimg_detach(&img);
    free(image);
}

static void print_report(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s\n", text);
}

static bool sound(void)
{
    struct fscheck c = {.report = print_report};

    return fscheck(&c, image, IMAGE);
}

/* The checker finds exactly something. */
static void wrong_with(const char *what)
{
    struct fscheck c = {0};

    ck_assert_msg(!fscheck(&c, image, IMAGE), "%s was not found", what);
}

/* ---- many extents ---- */

/* Each block of the file is an extent of its own, and says which. */
static void make_fragmented(const char *path, uint32_t blocks, struct fs_inode *in)
{
    struct fs_extent e;

    ck_assert_uint_eq(fs_create(fs, path, 0644, in), SE_OK);
    for (uint32_t i = 0; i < blocks; i++) {
        ck_assert_uint_eq(fs_grow(fs, in, 1, false, &e), SE_OK);
        ck_assert_uint_eq(e.length, 1);
        memcpy(image + (size_t)e.start * 1024, &i, sizeof(i));
    }
}

static void check_fragmented(const struct fs_inode *in, uint32_t blocks)
{
    uint32_t word;
    size_t done;

    ck_assert_uint_eq(in->extents, blocks);
    ck_assert_uint_eq(in->size, blocks * 1024);
    for (uint32_t i = 0; i < blocks; i++) {
        ck_assert_uint_eq(fs_pread(fs, in, i * 1024ull, &word, sizeof(word), &done), SE_OK);
        ck_assert_uint_eq(done, sizeof(word));
        ck_assert_uint_eq(word, i);
    }
}

/* 128 extents to a block: direct, indirect and three blocks of the double-indirect one. */
START_TEST(all_levels)
{
    static const uint32_t steps[] = {500, 390, 388, 387, 386, 260, 259,
                                     258, 132, 131, 130, 4,   3,   2};
    uint32_t before = fs->sb.free_blocks;
    struct fs_inode in, again;

    make_fragmented("/f", 500, &in);
    ck_assert_uint_ne(in.dindirect, 0);
    ck_assert(sound());
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        ck_assert_uint_eq(fs_truncate(fs, &in, steps[i] * 1024), SE_OK);
        ck_assert_uint_eq(fs_lookup(fs, "/f", &again), SE_OK);
        check_fragmented(&again, steps[i]);
        ck_assert(sound());
    }
    ck_assert_uint_eq(in.indirect, 0);
    ck_assert_uint_eq(fs_unlink(fs, "/f"), SE_OK);
    ck_assert_uint_eq(fs->sb.free_blocks, before);
    ck_assert(sound());
}
END_TEST

/* Appending in pieces joins extents as long as nothing is in the way. */
START_TEST(joined)
{
    static uint8_t bytes[3000];
    struct fs_inode in;

    ck_assert_uint_eq(fs_create(fs, "/f", 0644, &in), SE_OK);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_eq(fs_append(fs, &in, bytes, sizeof(bytes)), SE_OK);
    ck_assert_uint_eq(in.extents, 1);
    ck_assert_uint_eq(in.size, 300000);
    ck_assert(sound());
}
END_TEST

START_TEST(full)
{
    uint32_t left = fs->sb.free_blocks, inodes = fs->sb.free_inodes;
    struct fs_inode in;
    struct fs_extent e;
    char name[16];
    unsigned err;

    ck_assert_uint_eq(fs_create(fs, "/f", 0644, &in), SE_OK);
    while ((err = fs_grow(fs, &in, 1000, false, &e)) == SE_OK)
        ;
    ck_assert_uint_eq(err, SE_NO_SPACE);
    ck_assert_uint_eq(fs->sb.free_blocks, 0);
    ck_assert_uint_eq(fs_mkdir(fs, "/d", 0755), SE_NO_SPACE);
    ck_assert(sound());
    ck_assert_uint_eq(fs_unlink(fs, "/f"), SE_OK);
    ck_assert_uint_eq(fs->sb.free_blocks, left);
    for (unsigned i = 0; i < inodes; i++) {
        snprintf(name, sizeof(name), "/n%u", i);
        ck_assert_uint_eq(fs_create(fs, name, 0644, &in), SE_OK);
    }
    ck_assert_uint_eq(fs_create(fs, "/more", 0644, &in), SE_NO_SPACE);
    ck_assert(sound());
}
END_TEST

/* The extent that takes all that is left leaves place for the blocks of extents that note it. */
START_TEST(full_but_for_the_indirect_blocks)
{
    static const unsigned tables[] = {[FS_DIRECT] = 1, [FS_DIRECT + 128] = 2};
    unsigned extents = _i ? FS_DIRECT + 128 : FS_DIRECT;
    struct fs_inode in;
    struct fs_extent e;
    uint32_t left;

    make_fragmented("/f", extents, &in);
    left = fs->sb.free_blocks;
    ck_assert_uint_eq(fs_grow(fs, &in, UINT32_MAX, false, &e), SE_OK);
    ck_assert_uint_eq(e.length, left - tables[extents]);
    ck_assert_uint_eq(fs->sb.free_blocks, 0);
    ck_assert_uint_eq(in.extents, extents + 1);
    ck_assert(sound());
    ck_assert_uint_eq(fs_grow(fs, &in, 1, false, &e), SE_NO_SPACE);
    ck_assert_uint_eq(fs_unlink(fs, "/f"), SE_OK);
    ck_assert(sound());
}
END_TEST

/* ---- directories ---- */

/* Names of all lengths, removed in another order: entries move up, blocks go. */
START_TEST(directory_holes)
{
    char path[300] = "/d/";
    struct fs_inode dir, in;

    ck_assert_uint_eq(fs_mkdir(fs, "/d", 0755), SE_OK);
    for (unsigned i = 0; i < 150; i++) {
        memset(path + 3, 'a' + i % 26, 1 + i);
        path[4 + i] = 0;
        ck_assert_uint_eq(fs_create(fs, path, 0644, &in), SE_OK);
    }
    ck_assert(sound());
    for (unsigned k = 0; k < 150; k++) {
        unsigned i = k * 67 % 150;

        memset(path + 3, 'a' + i % 26, 1 + i);
        path[4 + i] = 0;
        ck_assert_uint_eq(fs_rmdir(fs, "/d"), SE_DIR_NOT_EMPTY);
        ck_assert_uint_eq(fs_unlink(fs, path), SE_OK);
        ck_assert_uint_eq(fs_unlink(fs, path), SE_NO_SUCH_FILE);
        ck_assert(sound());
    }
    ck_assert_uint_eq(fs_lookup(fs, "/d", &dir), SE_OK);
    ck_assert_uint_eq(fs_rmdir(fs, "/d"), SE_OK);
    ck_assert(sound());
}
END_TEST

START_TEST(odd_paths)
{
    char name[260] = "/";
    struct fs_inode in;

    ck_assert_uint_eq(fs_mkdir(fs, "//d///", 0755), SE_OK);
    ck_assert_uint_eq(fs_create(fs, "d/f", 0644, &in), SE_OK);
    ck_assert_uint_eq(fs_lookup(fs, "/d/../d/./f", &in), SE_OK);
    ck_assert_uint_eq(fs_lookup(fs, "/../../d/f", &in), SE_OK);
    ck_assert_uint_eq(fs_lookup(fs, "", &in), SE_OK);
    ck_assert_uint_eq(in.inode, FS_ROOT);
    ck_assert_uint_eq(fs_lookup(fs, "/d/f/.", &in), SE_IS_NO_DIR);
    ck_assert_uint_eq(fs_rmdir(fs, "/"), SE_INV_ARGS);
    ck_assert_uint_eq(fs_rmdir(fs, "/d/."), SE_INV_ARGS);
    ck_assert_uint_eq(fs_rmdir(fs, "/d/.."), SE_INV_ARGS);
    ck_assert_uint_eq(fs_unlink(fs, "/d/.."), SE_IS_DIR);
    ck_assert_uint_eq(fs_mkdir(fs, "/", 0755), SE_EXISTS);
    ck_assert_uint_eq(fs_rename(fs, "/d/f", "/d/.."), SE_INV_ARGS);
    memset(name + 1, 'x', 256);
    ck_assert_uint_eq(fs_create(fs, name, 0644, &in), SE_INV_ARGS);
    name[256] = 0;
    ck_assert_uint_eq(fs_create(fs, name, 0644, &in), SE_OK);
    ck_assert(sound());
}
END_TEST

/* ---- lies ---- */

/* Changes 32 bits at byte `at`; corrects the checksum. */
static void poke(uint64_t at, uint32_t value)
{
    struct fs_super sb;

    memcpy(image + at, &value, sizeof(value));
    memcpy(&sb, image, sizeof(sb));
    sb.checksum = fs_super_sum(&sb);
    memcpy(image, &sb, sizeof(sb));
}

static unsigned mount_again(void)
{
    fsimg_detach(&img);
    return fsimg_attach(&img, image, IMAGE);
}

static uint64_t inode_at(uint32_t ino, size_t field)
{
    return (uint64_t)fs->inode_table * 1024 + ino * sizeof(struct fs_inode) + field;
}

START_TEST(lying_superblock)
{
    static const struct {
        size_t field;
        uint32_t value;
    } lies[] = {
        {offsetof(struct fs_super, blocksize), 0},
        {offsetof(struct fs_super, blocksize), 512},
        {offsetof(struct fs_super, blocksize), 8192},
        {offsetof(struct fs_super, blocksize), 1025},
        {offsetof(struct fs_super, total_blocks), 0},
        {offsetof(struct fs_super, total_blocks), IMAGE / 1024 + 1},
        {offsetof(struct fs_super, total_blocks), UINT32_MAX},
        {offsetof(struct fs_super, total_blocks), 5},
        {offsetof(struct fs_super, total_inodes), 0},
        {offsetof(struct fs_super, total_inodes), UINT32_MAX},
        {offsetof(struct fs_super, free_blocks), UINT32_MAX},
        {offsetof(struct fs_super, free_inodes), 201},
    };

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t was[sizeof(struct fs_super)];

        memcpy(was, image, sizeof(was));
        poke(lies[i].field, lies[i].value);
        ck_assert_uint_eq(mount_again(), FS_CORRUPT);
        wrong_with("a lie in the superblock");
        memcpy(image, was, sizeof(was));
    }
    image[28] ^= 1; /* the checksum itself */
    ck_assert_uint_eq(mount_again(), FS_CORRUPT);
    image[28] ^= 1;
    ck_assert_uint_eq(mount_again(), SE_OK);
}
END_TEST

/* Free counts are corrected, and what was hidden can be used. */
START_TEST(wrong_counts)
{
    uint32_t blocks = fs->sb.free_blocks;

    poke(offsetof(struct fs_super, free_blocks), 0);
    poke(offsetof(struct fs_super, first_free_block), fs->sb.total_blocks);
    wrong_with("a wrong count");
    ck_assert_uint_eq(mount_again(), SE_OK);
    ck_assert_uint_eq(fs->sb.free_blocks, blocks);
    ck_assert_uint_eq(fs_mkdir(fs, "/d", 0755), SE_OK);
    ck_assert(sound());
}
END_TEST

START_TEST(lying_inode)
{
    static const struct {
        size_t field;
        uint32_t value;
    } lies[] = {
        {offsetof(struct fs_inode, inode), 7},
        {offsetof(struct fs_inode, extents), UINT32_MAX},
        {offsetof(struct fs_inode, extents), 200},
        {offsetof(struct fs_inode, extents), 129 + 130 * 128},
        {offsetof(struct fs_inode, direct), 0},
        {offsetof(struct fs_inode, direct), UINT32_MAX},
        {offsetof(struct fs_inode, direct[0].length), UINT32_MAX},
        {offsetof(struct fs_inode, direct[1].length), 0},
        {offsetof(struct fs_inode, indirect), 0},
        {offsetof(struct fs_inode, indirect), 1},
        {offsetof(struct fs_inode, indirect), UINT32_MAX},
    };
    struct fs_inode in;
    uint32_t ino;

    make_fragmented("/f", 50, &in);
    ino = in.inode;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint32_t was;
        size_t done;
        unsigned err;

        memcpy(&was, image + inode_at(ino, lies[i].field), sizeof(was));
        poke(inode_at(ino, lies[i].field), lies[i].value);
        ck_assert_uint_eq(mount_again(), SE_OK);
        wrong_with("a lie in an inode");
        err = fs_lookup(fs, "/f", &in);
        for (uint32_t b = 0; b < 200 && !err; b++)
            err = fs_pread(fs, &in, b * 1024ull, &was, 0, &done);
        if (!err)
            err = fs_truncate(fs, &in, 0);
        ck_assert_msg(err == FS_CORRUPT, "lie %zu: %u", i, err);
        poke(inode_at(ino, lies[i].field), was);
        memcpy(image + inode_at(ino, lies[i].field), &was, sizeof(was));
        fsimg_detach(&img);
        teardown();
        setup();
        make_fragmented("/f", 50, &in);
    }
}
END_TEST

/* Two inodes with the same block: found, and removing both is an error, not a wrong count. */
START_TEST(shared_block)
{
    struct fs_inode a, b;

    make_fragmented("/a", 3, &a);
    make_fragmented("/b", 3, &b);
    poke(inode_at(b.inode, offsetof(struct fs_inode, direct)), a.direct[0].start);
    ck_assert_uint_eq(mount_again(), SE_OK);
    wrong_with("a block with two owners");
    ck_assert_uint_eq(fs_unlink(fs, "/a"), SE_OK);
    ck_assert_uint_eq(fs_unlink(fs, "/b"), FS_CORRUPT);
    ck_assert_uint_le(fs->sb.free_blocks, fs->sb.total_blocks - fs->data);
}
END_TEST

/* The bitmap says that metadata are free: they are not given to a file. */
START_TEST(bitmap_frees_metadata)
{
    struct fs_inode in;
    struct fs_extent e;

    image[(size_t)fs->block_map * 1024] = 0;
    ck_assert_uint_eq(mount_again(), SE_OK);
    ck_assert_uint_eq(fs_create(fs, "/f", 0644, &in), SE_OK);
    ck_assert_uint_eq(fs_grow(fs, &in, 4, false, &e), FS_CORRUPT);
}
END_TEST

START_TEST(lying_directory)
{
    static const uint32_t lies[][3] = {
        {1, 1, 0},    {1, 1, 12},         {1, 2000, 1024},
        {1, 1, 1020}, {1, 1, UINT32_MAX}, {1, UINT32_MAX, 13},
    };
    struct fs_inode root, in;
    uint64_t at;

    ck_assert_uint_eq(fs_create(fs, "/f", 0644, &in), SE_OK);
    ck_assert_uint_eq(fs_lookup(fs, "/", &root), SE_OK);
    at = root.direct[0].start * 1024ull + 12 + 1 + 12 + 2; /* behind "." and ".." */
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(image + at, lies[i], sizeof(lies[i]));
        ck_assert_uint_eq(mount_again(), SE_OK);
        wrong_with("a lie in a directory");
        ck_assert_uint_eq(fs_lookup(fs, "/nothing", &in), FS_CORRUPT);
        ck_assert_uint_eq(fs_mkdir(fs, "/d", 0755), FS_CORRUPT);
    }
}
END_TEST

/* ---- the end in the middle ---- */

static unsigned writes_left;

static unsigned dying_write(void *ctx, const void *buf, size_t n, uint64_t off)
{
    (void)ctx;
    if (writes_left == 0)
        return SE_VPE_GONE;
    writes_left--;
    memcpy(image + off, buf, n);
    return SE_OK;
}

/* What the checker may find then: lost space and counts, but no block or name with two owners. */
static void only_lost(void *arg, const char *text)
{
    static const char *const fine[] = {"is not in use, but marked used", "are free, but",
                                       "says that none is before"};
    bool ok = false;

    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        ok |= strstr(text, fine[i]) != NULL;
    ck_assert_msg(ok, "after %u writes: %s", *(unsigned *)arg, text);
}

static unsigned some_work(void)
{
    static uint8_t bytes[7000];
    struct fs_inode in;
    unsigned err = fs_mkdir(fs, "/d", 0755);

    if (!err)
        err = fs_create(fs, "/d/a", 0644, &in);
    if (!err)
        err = fs_append(fs, &in, bytes, sizeof(bytes));
    if (!err)
        err = fs_link(fs, "/d/a", "/b");
    if (!err)
        err = fs_rename(fs, "/b", "/c");
    if (!err)
        err = fs_unlink(fs, "/d/a");
    if (!err)
        err = fs_unlink(fs, "/c");
    return err ? err : fs_rmdir(fs, "/d");
}

START_TEST(end_in_the_middle)
{
    unsigned done = 0, err = SE_VPE_GONE;

    for (; err == SE_VPE_GONE && done < 1000; done++) {
        struct fscheck c = {.report = only_lost, .arg = &done};

        teardown();
        setup();
        fs->dev.write = dying_write;
        writes_left = done;
        err = some_work();
        fscheck(&c, image, IMAGE);
    }
    ck_assert_uint_eq(err, SE_OK);
    ck_assert_uint_gt(done, 40);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs");
    TCase *c = tcase_create("fs");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, all_levels);
    tcase_add_test(c, joined);
    tcase_add_test(c, full);
    tcase_add_loop_test(c, full_but_for_the_indirect_blocks, 0, 2);
    tcase_add_test(c, directory_holes);
    tcase_add_test(c, odd_paths);
    tcase_add_test(c, lying_superblock);
    tcase_add_test(c, wrong_counts);
    tcase_add_test(c, lying_inode);
    tcase_add_test(c, shared_block);
    tcase_add_test(c, bitmap_frees_metadata);
    tcase_add_test(c, lying_directory);
    tcase_add_test(c, end_in_the_middle);
    suite_add_tcase(s, c);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
