/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file system against a model in memory: random operations by path and on open files, each with
 * the result that the model says, for thousands of seeds.  Data are written and read as clients do
 * it, straight in the image where fs_file_where() says.  At the end of each seed the checker finds
 * nothing, every file has the model's bytes, and when all is removed all space is free again.
 */
/* LINK: guest/fs tools/fsimg.c tools/fscheck.c */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/fs/open.h"
#include "../../tools/fsimg.h"

#define SEEDS 2500u
#define STEPS 160u
#define NODES 48u
#define FILES 48u
#define OPEN  6u
#define BYTES 60000u
#define IMAGE (400u << 10) /* at most */

struct mfile {
    bool used;
    unsigned links, opens, writers;
    uint32_t size;
    uint8_t *data; /* BYTES */
};

struct mnode {
    bool used, dir;
    unsigned parent; /* 0: root */
    char name;
    unsigned file;
};

struct mopen {
    bool used;
    unsigned no, file, flags;
    uint64_t last_extent, last_off;
};

static struct {
    struct mfile file[FILES];
    struct mnode node[NODES]; /* 0 is the root */
    struct mopen open[OPEN];
    uint8_t *image;
    struct fsimg img;
    struct fs_files files;
    uint64_t rng;
    uint32_t size, inodes; /* of the image */
    unsigned seed, step, full;
} t;

static uint32_t rnd(uint32_t below)
{
    t.rng ^= t.rng << 13;
    t.rng ^= t.rng >> 7;
    t.rng ^= t.rng << 17;
    return (uint32_t)(t.rng >> 20) % below;
}

#define must(truth) \
    ck_assert_msg(truth, "seed %u step %u line %d: %s", t.seed, t.step, __LINE__, #truth)
#define same(got, expected) same_at(got, expected, #got, __LINE__)

static void same_at(unsigned got, unsigned expected, const char *what, int line)
{
    ck_assert_msg(got == expected, "seed %u step %u line %d: %s is %u, not %u", t.seed, t.step,
                  line, what, got, expected);
}

/* ---- the model ---- */

static unsigned find_child(unsigned dir, char name)
{
    for (unsigned i = 1; i < NODES; i++)
        if (t.node[i].used && t.node[i].parent == dir && t.node[i].name == name)
            return i;
    return 0;
}

static unsigned new_node(unsigned parent, char name, bool dir, unsigned file)
{
    for (unsigned i = 1; i < NODES; i++)
        if (!t.node[i].used) {
            t.node[i] = (struct mnode){true, dir, parent, name, file};
            return i;
        }
    return 0;
}

static unsigned new_file(void)
{
    for (unsigned i = 1; i < FILES; i++)
        if (!t.file[i].used) {
            t.file[i].used = true;
            t.file[i].links = 1;
            t.file[i].opens = t.file[i].writers = t.file[i].size = 0;
            memset(t.file[i].data, 0, BYTES);
            return i;
        }
    return 0;
}

static void drop_link(unsigned file)
{
    if (--t.file[file].links == 0 && t.file[file].opens == 0)
        t.file[file].used = false;
}

/* A random path of one to three names, where it leads and what the last lookup says. */
struct where {
    char path[16];
    unsigned parent, node; /* node 0: nothing there (or the root) */
    char name;
    unsigned err; /* of the way to the parent */
};

static void random_path(struct where *w)
{
    unsigned depth = 1 + rnd(3), n = 0;

    *w = (struct where){.err = SE_OK};
    for (unsigned i = 0; i < depth; i++) {
        char name = (char)('a' + rnd(5));

        if (i > 0 && w->err == SE_OK) {
            w->err = w->node == 0 ? SE_NO_SUCH_FILE : t.node[w->node].dir ? SE_OK : SE_IS_NO_DIR;
            w->parent = w->node;
        }
        w->path[n++] = '/';
        if (rnd(8) == 0)
            w->path[n++] = '/';
        w->path[n++] = name;
        w->name = name;
        w->node = w->err == SE_OK ? find_child(w->parent, name) : 0;
    }
    w->path[n] = 0;
}

/* Is SE_NO_SPACE believable? */
static bool may_be_full(void)
{
    return t.img.fs.sb.free_blocks < 16 || t.img.fs.sb.free_inodes == 0;
}

/* The result, unless there was no space; true: the operation happened. */
static bool result(unsigned got, unsigned expected, int line)
{
    if (got == SE_NO_SPACE && expected == SE_OK && may_be_full()) {
        t.full++;
        return false;
    }
    same_at(got, expected, "result", line);
    return got == SE_OK;
}

/* ---- operations ---- */

static void op_mkdir(void)
{
    struct where w;

    random_path(&w);
    if (result(fs_mkdir(&t.img.fs, w.path, 0755),
               w.err    ? w.err
               : w.node ? SE_EXISTS
                        : SE_OK,
               __LINE__))
        must(new_node(w.parent, w.name, true, 0));
}

static void op_rmdir(void)
{
    unsigned expected = SE_OK;
    struct where w;

    random_path(&w);
    if (w.err || !w.node)
        expected = w.err ? w.err : SE_NO_SUCH_FILE;
    else if (!t.node[w.node].dir)
        expected = SE_IS_NO_DIR;
    for (unsigned i = 1; i < NODES && !expected; i++)
        if (t.node[i].used && t.node[i].parent == w.node)
            expected = SE_DIR_NOT_EMPTY;
    if (result(fs_rmdir(&t.img.fs, w.path), expected, __LINE__))
        t.node[w.node].used = false;
}

static void op_unlink(void)
{
    unsigned expected = SE_OK;
    struct where w;

    random_path(&w);
    if (w.err || !w.node)
        expected = w.err ? w.err : SE_NO_SUCH_FILE;
    else if (t.node[w.node].dir)
        expected = SE_IS_DIR;
    if (result(fs_unlink(&t.img.fs, w.path), expected, __LINE__)) {
        t.node[w.node].used = false;
        drop_link(t.node[w.node].file);
    }
}

static void op_link(void)
{
    unsigned expected = SE_OK;
    struct where from, to;

    random_path(&from);
    random_path(&to);
    if (from.err || !from.node)
        expected = from.err ? from.err : SE_NO_SUCH_FILE;
    else if (t.node[from.node].dir)
        expected = SE_IS_DIR;
    else if (to.err || to.node)
        expected = to.err ? to.err : SE_EXISTS;
    if (result(fs_link(&t.img.fs, from.path, to.path), expected, __LINE__)) {
        must(new_node(to.parent, to.name, false, t.node[from.node].file));
        t.file[t.node[from.node].file].links++;
    }
}

static void op_rename(void)
{
    unsigned expected = SE_OK, file;
    struct where from, to;

    random_path(&from);
    random_path(&to);
    if (from.err || !from.node)
        expected = from.err ? from.err : SE_NO_SUCH_FILE;
    else if (t.node[from.node].dir)
        expected = SE_IS_DIR;
    else if (to.err)
        expected = to.err;
    else if (to.node && t.node[to.node].dir)
        expected = SE_IS_DIR;
    else if (to.node && t.node[to.node].file == t.node[from.node].file)
        expected = SE_INV_ARGS;
    if (!result(fs_rename(&t.img.fs, from.path, to.path), expected, __LINE__))
        return;
    file = t.node[from.node].file;
    t.node[from.node].used = false;
    if (to.node) {
        drop_link(t.node[to.node].file);
        t.node[to.node].file = file;
    } else {
        must(new_node(to.parent, to.name, false, file));
    }
}

static void op_open(void)
{
    static const unsigned flags[] = {
        FS_R, FS_R | FS_W, FS_W | FS_CREATE, FS_W | FS_TRUNC, FS_R | FS_W | FS_CREATE, FS_CREATE};
    unsigned i = 0, f = flags[rnd(6)], expected = SE_OK, no;
    struct where w;

    random_path(&w);
    while (i < OPEN && t.open[i].used)
        i++;
    /* Two that write and one that cuts: nobody can say how long the file is then. */
    if (i == OPEN || (w.node && (f & FS_TRUNC) && t.file[t.node[w.node].file].writers))
        return;
    if (!(f & (FS_R | FS_W)))
        expected = SE_INV_ARGS;
    else if (w.err)
        expected = w.err;
    else if (!w.node && !(f & FS_CREATE))
        expected = SE_NO_SUCH_FILE;
    else if (w.node && t.node[w.node].dir && (f & FS_W))
        expected = SE_IS_DIR;
    if (!result(fs_file_open(&t.files, w.path, f, &no), expected, __LINE__))
        return;
    if (w.node && t.node[w.node].dir) {
        same(fs_file_close(&t.files, no, true, 0, 0), SE_OK);
        return;
    }
    if (!w.node)
        w.node = new_node(w.parent, w.name, false, new_file());
    t.open[i] = (struct mopen){.used = true, .no = no, .file = t.node[w.node].file, .flags = f};
    t.file[t.open[i].file].opens++;
    t.file[t.open[i].file].writers += (f & FS_W) != 0;
    if (f & FS_TRUNC)
        t.file[t.open[i].file].size = 0;
}

/* Up to n bytes at off, to or from data, as a client: false: no more there. */
static bool transfer(struct mopen *o, uint32_t off, uint8_t *data, uint32_t n, bool write)
{
    uint64_t extent = 0, extoff = 0, pos;
    struct fs_where w;
    unsigned err = fs_file_seek(&t.files, o->no, off, FS_SEEK_SET, &extent, &extoff, &pos);

    same(err, SE_OK);
    must(pos == off);
    while (n > 0) {
        uint64_t k;

        err =
            fs_file_where(&t.files, o->no, extent, false, 1 + rnd(4), write ? 1 + rnd(12) : 0, &w);
        if (err == SE_NO_SPACE && write && may_be_full())
            return false;
        same(err, SE_OK);
        if (w.count == 0 || w.bytes[0] <= extoff)
            return false;
        k = w.bytes[0] - extoff < n ? w.bytes[0] - extoff : n;
        must(w.bytes[0] <= (uint64_t)w.extent[0].length * t.img.fs.sb.blocksize);
        uint8_t *at = t.image + (uint64_t)w.extent[0].start * t.img.fs.sb.blocksize + extoff;
        if (write)
            memcpy(at, data, k);
        else
            memcpy(data, at, k);
        if (write &&
            (extent > o->last_extent || (extent == o->last_extent && extoff + k > o->last_off))) {
            o->last_extent = extent;
            o->last_off = extoff + k;
        }
        data += k;
        n -= (uint32_t)k;
        off += (uint32_t)k;
        if (write && off > t.file[o->file].size)
            t.file[o->file].size = off;
        extoff += k;
        if (extoff == (uint64_t)w.extent[0].length * t.img.fs.sb.blocksize) {
            extent++;
            extoff = 0;
        }
    }
    return true;
}

static void op_write(void)
{
    struct mopen *o = &t.open[rnd(OPEN)];
    static uint8_t data[9000];
    struct mfile *f = &t.file[o->file];
    uint32_t off, n = 1 + rnd(rnd(2) ? 200 : sizeof(data)), size;

    if (!o->used || !(o->flags & FS_W))
        return;
    off = rnd(3) == 0 ? rnd(f->size + 1) : f->size;
    if (off > BYTES - n)
        return;
    for (uint32_t i = 0; i < n; i++)
        data[i] = (uint8_t)rnd(256);
    size = f->size;
    /* Where there was no space the model has what was written by then. */
    if (transfer(o, off, data, n, true))
        memcpy(f->data + off, data, n);
    else
        memcpy(f->data + off, data, f->size > off ? (f->size - off < n ? f->size - off : n) : 0);
    if (f->size < off + n && f->size == size) {
        /* Nothing behind the old end, but perhaps something before it. */
        static uint8_t now[BYTES];

        if (f->size)
            transfer(o, 0, now, f->size, false);
        memcpy(f->data, now, f->size);
    }
}

static void check_data(struct mopen *o)
{
    static uint8_t data[BYTES];
    struct mfile *f = &t.file[o->file];

    if (f->size && !transfer(o, 0, data, f->size, false))
        must(!"the file is shorter than the model's");
    must(memcmp(data, f->data, f->size) == 0);
}

static void op_read(void)
{
    struct mopen *o = &t.open[rnd(OPEN)];
    struct fs_inode in;

    if (!o->used)
        return;
    check_data(o);
    same(fs_file_stat(&t.files, o->no, &in), SE_OK);
    same(in.links, t.file[o->file].links);
    must(in.size >= t.file[o->file].size);
    must(in.size == t.file[o->file].size || t.file[o->file].writers > 0);
}

static void close_open(struct mopen *o)
{
    struct mfile *f = &t.file[o->file];

    same(fs_file_close(&t.files, o->no, true, o->last_extent, o->last_off), SE_OK);
    o->used = false;
    f->writers -= (o->flags & FS_W) != 0;
    if (--f->opens == 0 && f->links == 0)
        f->used = false;
}

static void op_close(void)
{
    struct mopen *o = &t.open[rnd(OPEN)];

    if (o->used)
        close_open(o);
    same(fs_file_close(&t.files, FS_OPEN_MAX - 1, true, 0, 0), SE_INV_ARGS);
}

static void op_lookup(void)
{
    unsigned expected = SE_OK;
    struct fs_inode in;
    struct where w;

    random_path(&w);
    if (w.err || !w.node)
        expected = w.err ? w.err : SE_NO_SUCH_FILE;
    same(fs_lookup(&t.img.fs, w.path, &in), expected);
    if (expected)
        return;
    must(fs_is_dir(in.mode) == t.node[w.node].dir);
    if (!t.node[w.node].dir && t.file[t.node[w.node].file].writers == 0)
        same(in.size, t.file[t.node[w.node].file].size);
}

static void op_remount(void)
{
    for (unsigned i = 0; i < OPEN; i++)
        if (t.open[i].used)
            return;
    fsimg_detach(&t.img);
    same(fsimg_attach(&t.img, t.image, t.size), SE_OK);
    fs_files_init(&t.files, &t.img.fs);
}

/* ---- seeds ---- */

static void say(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "seed %u: %s\n", t.seed, text);
}

static void check_image(void)
{
    struct fscheck c = {.report = say};

    must(fscheck(&c, t.image, t.size));
}

static void remove_all(void)
{
    struct fs_super sb = t.img.fs.sb;

    for (unsigned round = 0; round < 4; round++)
        for (unsigned i = 1; i < NODES; i++) {
            char path[16];
            unsigned n = 0, up[3], depth = 0;

            if (!t.node[i].used)
                continue;
            for (unsigned at = i; at; at = t.node[at].parent)
                up[depth++] = at;
            while (depth-- > 0) {
                path[n++] = '/';
                path[n++] = t.node[up[depth]].name;
            }
            path[n] = 0;
            if ((t.node[i].dir ? fs_rmdir : fs_unlink)(&t.img.fs, path) == SE_OK)
                t.node[i].used = false;
        }
    same(t.img.fs.sb.free_inodes, t.inodes - 1);
    must(t.img.fs.sb.free_blocks >= sb.free_blocks);
    /* All but the root's first block; more of them go when its names do. */
    must(t.img.fs.sb.free_blocks + 3 >= t.img.fs.sb.total_blocks - t.img.fs.data);
    check_image();
}

static void run_seed(unsigned seed)
{
    static void (*const ops[])(void) = {
        op_mkdir, op_rmdir, op_unlink, op_link,  op_rename, op_open,  op_open,   op_open,
        op_write, op_write, op_write,  op_write, op_read,   op_close, op_lookup, op_remount};

    t.seed = seed;
    t.rng = 0x9E3779B97F4A7C15ull * (seed + 1);
    memset(t.node, 0, sizeof(t.node));
    memset(t.open, 0, sizeof(t.open));
    for (unsigned i = 0; i < FILES; i++)
        t.file[i].used = false;
    memset(t.image, 0, IMAGE);
    t.size = rnd(2) ? IMAGE : (64u + 4 * rnd(40)) << 10;
    t.inodes = 10 + rnd(40);
    same(fsimg_format(&t.img, t.image, t.size, 1024u << rnd(3), t.inodes), SE_OK);
    fs_files_init(&t.files, &t.img.fs);
    for (t.step = 0; t.step < STEPS; t.step++)
        ops[rnd(sizeof(ops) / sizeof(ops[0]))]();
    for (unsigned i = 0; i < OPEN; i++)
        if (t.open[i].used) {
            check_data(&t.open[i]);
            close_open(&t.open[i]);
        }
    check_image();
    remove_all();
    fsimg_detach(&t.img);
}

START_TEST(model)
{
    t.image = malloc(IMAGE);
    for (unsigned i = 0; i < FILES; i++)
        t.file[i].data = malloc(BYTES);
    for (unsigned seed = 0; seed < SEEDS; seed++)
        run_seed(seed);
    ck_assert_uint_gt(t.full, 0); /* it was full at times, too */
    for (unsigned i = 0; i < FILES; i++)
        free(t.file[i].data);
    free(t.image);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs model");
    TCase *c = tcase_create("model");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_set_timeout(c, 600);
    tcase_add_test(c, model);
    suite_add_tcase(s, c);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
