/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checker.  It reads through the same code as the service, from the root on, notes who owns
 * each block and how many names each inode has, and compares that with what the image says.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fsimg.h"

struct state {
    struct fscheck *c;
    struct fs *fs;
    uint8_t *block_used;            /* a byte each */
    uint32_t *names;                /* of each inode; 0: not in the tree */
    uint32_t *queue, queued, taken; /* directories to visit */
    uint32_t *parent;
};

static void wrong(struct fscheck *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct fscheck *c, const char *format, ...)
{
    char text[256];
    va_list ap;

    c->errors++;
    if (!c->report)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    c->report(c->arg, text);
}

/* Blocks [start, start + count) belong to an inode.  False: one is out of range or has an owner. */
static bool own(struct state *s, uint32_t ino, uint32_t start, uint32_t count)
{
    if (start < s->fs->data || start > s->fs->sb.total_blocks ||
        count > s->fs->sb.total_blocks - start) {
        wrong(s->c, "inode %u: blocks %u+%u are none of data", ino, start, count);
        return false;
    }
    for (uint32_t b = start; b < start + count; b++) {
        if (s->block_used[b]) {
            wrong(s->c, "inode %u: block %u belongs to another one, too", ino, b);
            return false;
        }
        s->block_used[b] = 1;
    }
    return true;
}

/* The blocks that the double-indirect block names: `want` of them, then nothing. */
static bool own_tables(struct state *s, const struct fs_inode *in, uint32_t want)
{
    uint32_t n = s->fs->sb.blocksize / (uint32_t)sizeof(struct fs_extent);
    struct fs_extent e;

    if (!own(s, in->inode, in->dindirect, 1))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (fs_read(s->fs, in->dindirect, i * (uint32_t)sizeof(e), &e, sizeof(e)))
            return false;
        if (i >= want && (e.start || e.length)) {
            wrong(s->c, "inode %u: entry %u of its double-indirect block is not empty", in->inode,
                  i);
            return false;
        }
        if (i < want && (e.length != 1 || !own(s, in->inode, e.start, 1))) {
            wrong(s->c, "inode %u: entry %u of its double-indirect block is wrong", in->inode, i);
            return false;
        }
    }
    return true;
}

/* The blocks of extents that an inode has, which must be those that it needs. */
static bool check_tables(struct state *s, const struct fs_inode *in)
{
    uint32_t n = s->fs->sb.blocksize / (uint32_t)sizeof(struct fs_extent);
    uint32_t behind = in->extents > FS_DIRECT + n ? in->extents - FS_DIRECT - n : 0;

    if ((in->indirect != 0) != (in->extents > FS_DIRECT)) {
        wrong(s->c, "inode %u: %u extents, but its indirect block is %u", in->inode, in->extents,
              in->indirect);
        return false;
    }
    if ((in->dindirect != 0) != (behind > 0)) {
        wrong(s->c, "inode %u: %u extents, but its double-indirect block is %u", in->inode,
              in->extents, in->dindirect);
        return false;
    }
    if (in->indirect && !own(s, in->inode, in->indirect, 1))
        return false;
    return !in->dindirect || own_tables(s, in, (behind + n - 1) / n);
}

static bool check_extents(struct state *s, const struct fs_inode *in)
{
    uint32_t bs = s->fs->sb.blocksize, need = in->size / bs + (in->size % bs != 0);
    uint64_t blocks = 0;
    struct fs_extent e;

    if (!check_tables(s, in))
        return false;
    for (uint32_t i = 0; i < in->extents; i++) {
        if (fs_extent_get(s->fs, in, i, &e)) {
            wrong(s->c, "inode %u: extent %u is wrong", in->inode, i);
            return false;
        }
        if (!own(s, in->inode, e.start, e.length))
            return false;
        blocks += e.length;
    }
    if (blocks == need)
        return true;
    wrong(s->c, "inode %u: %llu blocks, but its size of %u bytes takes %u", in->inode,
          (unsigned long long)blocks, in->size, need);
    return false;
}

/* An inode that a name leads to for the first time. */
static void check_inode(struct state *s, uint32_t ino, uint32_t parent)
{
    struct fs_inode in;

    if (fs_iget(s->fs, ino, &in)) {
        wrong(s->c, "inode %u is named in directory %u, but is free or damaged", ino, parent);
        return;
    }
    if (!fs_is_dir(in.mode))
        s->c->files++;
    if (!check_extents(s, &in) || !fs_is_dir(in.mode))
        return;
    s->c->dirs++;
    s->parent[ino] = parent;
    s->queue[s->queued++] = ino;
}

static void check_dots(struct state *s, uint32_t dir, const struct fs_dirent *e)
{
    uint32_t want = e->head.namelen == 1 ? dir : s->parent[dir];

    if (e->head.ino != want)
        wrong(s->c, "directory %u: \"%s\" is inode %u, not %u", dir, e->name, e->head.ino, want);
}

static void check_name(struct state *s, uint32_t dir, const struct fs_dirent *e)
{
    uint32_t ino = e->head.ino;

    if (memchr(e->name, 0, e->head.namelen) || memchr(e->name, '/', e->head.namelen))
        wrong(s->c, "directory %u has a name with a NUL or a slash", dir);
    if (ino >= s->fs->sb.total_inodes) {
        wrong(s->c, "directory %u: \"%s\" is inode %u, which does not exist", dir, e->name, ino);
        return;
    }
    s->names[ino]++;
    if (s->names[ino] == 1)
        check_inode(s, ino, dir);
    else if (s->parent[ino] != UINT32_MAX)
        wrong(s->c, "directory %u has a second name, \"%s\" in directory %u", ino, e->name, dir);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a directory, to find those that are there twice. */
struct names {
    char **name;
    size_t count, room;
};

static void remember(struct names *n, const char *name)
{
    if (n->count == n->room) {
        size_t room = n->room ? n->room * 2 : 64;
        char **more = realloc(n->name, room * sizeof(*more));

        if (!more)
            return;
        n->name = more;
        n->room = room;
    }
    n->name[n->count] = strdup(name);
    if (n->name[n->count])
        n->count++;
}

static void check_twice(struct state *s, uint32_t dir, struct names *n)
{
    if (n->count)
        qsort(n->name, n->count, sizeof(n->name[0]), by_name);
    for (size_t i = 1; i < n->count; i++)
        if (strcmp(n->name[i - 1], n->name[i]) == 0)
            wrong(s->c, "directory %u has \"%s\" twice", dir, n->name[i]);
    for (size_t i = 0; i < n->count; i++)
        free(n->name[i]);
    free(n->name);
}

static void check_dir(struct state *s, uint32_t ino)
{
    unsigned dots = 0, err;
    struct names names = {0};
    struct fs_dirpos pos = {0};
    struct fs_dirent e;
    struct fs_inode dir;

    if (fs_iget(s->fs, ino, &dir))
        return;
    while ((err = fs_dir_next(s->fs, &dir, &pos, &e)) == SE_OK) {
        if (e.head.namelen == 0)
            continue;
        remember(&names, e.name);
        if (strcmp(e.name, ".") == 0 || strcmp(e.name, "..") == 0) {
            dots |= e.head.namelen;
            check_dots(s, ino, &e);
        } else {
            check_name(s, ino, &e);
        }
    }
    if (err != SE_END_OF_FILE)
        wrong(s->c, "directory %u: entry at %u of block %u is damaged", ino, pos.off, pos.block);
    else if (dots != 3)
        wrong(s->c, "directory %u lacks \".\" or \"..\"", ino);
    check_twice(s, ino, &names);
}

/* A file that has more names than it says would be freed while it has some. */
static void check_links(struct state *s)
{
    struct fs_inode in;

    for (uint32_t ino = 0; ino < s->fs->sb.total_inodes; ino++)
        if (s->names[ino] && s->parent[ino] == UINT32_MAX && !fs_iget(s->fs, ino, &in) &&
            in.links < s->names[ino])
            wrong(s->c, "inode %u has %u names, but says %u", ino, s->names[ino], in.links);
}

static void check_map(struct state *s, const char *what, uint32_t map, uint32_t total,
                      const struct fs_super *sb)
{
    bool blocks = map == s->fs->block_map, set;
    uint32_t left = 0, first = total, said, said_first;

    for (uint32_t i = 0; i < total; i++) {
        bool used = blocks ? s->block_used[i] : s->names[i] > 0;

        if (fs_bit(s->fs, map, i, &set))
            return;
        if (set != used)
            wrong(s->c, "%s %u is %sin use, but marked %s", what, i, used ? "" : "not ",
                  set ? "used" : "free");
        left += !set;
        if (!set && first == total)
            first = i;
    }
    said = blocks ? sb->free_blocks : sb->free_inodes;
    said_first = blocks ? sb->first_free_block : sb->first_free_inode;
    if (said != left)
        wrong(s->c, "%u %ss are free, but the superblock says %u", left, what, said);
    if (said_first > first)
        wrong(s->c, "%s %u is free, but the superblock says that none is before %u", what, first,
              said_first);
}

static void walk(struct state *s, const struct fs_super *sb)
{
    memset(s->block_used, 1, s->fs->data);
    memset(s->parent, 0xFF, s->fs->sb.total_inodes * sizeof(s->parent[0]));
    s->names[FS_ROOT] = 1;
    check_inode(s, FS_ROOT, FS_ROOT);
    while (s->taken < s->queued)
        check_dir(s, s->queue[s->taken++]);
    check_links(s);
    /* Behind a damaged inode everything would look lost. */
    if (s->c->errors)
        return;
    check_map(s, "inode", s->fs->inode_map, s->fs->sb.total_inodes, sb);
    check_map(s, "block", s->fs->block_map, s->fs->sb.total_blocks, sb);
}

bool fscheck(struct fscheck *c, const uint8_t *bytes, uint64_t size)
{
    struct state s = {.c = c};
    struct fs_super sb;
    struct fsimg img;
    struct fs layout;
    const char *why;
    unsigned err;

    c->errors = c->files = c->dirs = 0;
    if (size < sizeof(sb)) {
        wrong(c, "it is shorter than a superblock");
        return false;
    }
    memcpy(&sb, bytes, sizeof(sb));
    why = fs_super_check(&layout, &sb, size);
    if (why) {
        wrong(c, "%s", why);
        return false;
    }
    err = fsimg_attach(&img, (uint8_t *)(uintptr_t)bytes, size); /* only read */
    if (err) {
        wrong(c, "the root directory cannot be read: %s", fsimg_error(err));
        return false;
    }
    s.fs = &img.fs;
    s.block_used = calloc(sb.total_blocks, 1);
    s.names = calloc(sb.total_inodes, sizeof(s.names[0]));
    s.queue = calloc(sb.total_inodes, sizeof(s.queue[0]));
    s.parent = calloc(sb.total_inodes, sizeof(s.parent[0]));
    if (s.block_used && s.names && s.queue && s.parent)
        walk(&s, &sb);
    else
        wrong(c, "out of memory");
    free(s.block_used);
    free(s.names);
    free(s.queue);
    free(s.parent);
    fsimg_detach(&img);
    return c->errors == 0;
}
