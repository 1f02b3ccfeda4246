/* SPDX-License-Identifier: BSD-2-Clause */
/* The image builder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsimg.h"

#define DEPTH_MAX 32u /* of folders: a loop of mounts ends somewhere */
#define PATH_SIZE 4096u
#define IMAGE_MAX (6144ull << 20) /* the memory PE's region for images */
#define PIECE     65536u

struct build {
    const struct fsmake *opt;
    struct fsimg img;
    char host[PATH_SIZE], path[PATH_SIZE];
    uint64_t need, entries;
    unsigned skipped, depth;
    char *err;
};

static bool fail(struct build *b, const char *what, const char *on, const char *why)
{
    snprintf(b->err, 256, "%.20s %.120s: %.110s", what, on, why);
    return false;
}

/* Appends "/name"; false: too long. */
static bool push(char *path, const char *name, size_t *old)
{
    *old = strlen(path);
    if (*old + strlen(name) + 2 > PATH_SIZE)
        return false;
    path[*old] = '/';
    strcpy(path + *old + 1, name);
    return true;
}

typedef bool visit_fn(struct build *b, const struct stat *st);

/* fn for b->host and all below it, in the order of names; b->path is the name within the image. */
static bool visit(struct build *b, visit_fn *fn);

static bool visit_entry(struct build *b, const char *name, visit_fn *fn)
{
    size_t host, path;
    bool ok;

    if (!push(b->host, name, &host))
        return fail(b, "cannot read", b->host, "the path is too long");
    if (!push(b->path, name, &path)) {
        b->host[host] = 0;
        return fail(b, "cannot read", b->host, "the path is too long");
    }
    ok = visit(b, fn);
    b->host[host] = 0;
    b->path[path] = 0;
    return ok;
}

static bool visit_folder(struct build *b, visit_fn *fn)
{
    struct dirent **names = NULL;
    int n = scandir(b->host, &names, NULL, alphasort);
    bool ok = true;

    if (n < 0)
        return fail(b, "cannot read", b->host, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;

        if (ok && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            ok = visit_entry(b, name, fn);
        free(names[i]);
    }
    free(names);
    return ok;
}

static bool visit(struct build *b, visit_fn *fn)
{
    struct stat st;
    bool ok;

    /* Only the folder itself may be a link; links in it are left out. */
    if ((b->depth ? lstat : stat)(b->host, &st) != 0)
        return fail(b, "cannot read", b->host, strerror(errno));
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
        b->skipped++;
        return true;
    }
    if (!fn(b, &st))
        return false;
    if (!S_ISDIR(st.st_mode))
        return true;
    if (b->depth == DEPTH_MAX)
        return fail(b, "cannot read", b->host, "too many folders in each other");
    b->depth++;
    ok = visit_folder(b, fn);
    b->depth--;
    return ok;
}

static bool measure(struct build *b, const struct stat *st)
{
    b->entries++;
    b->need += FS_BLOCK_MAX * 2;
    if (S_ISREG(st->st_mode))
        b->need += (uint64_t)st->st_size;
    return true;
}

/* Appends; with opt->spread, in an extent of its own. */
static unsigned append(struct build *b, struct fs_inode *in, const uint8_t *data, size_t n)
{
    uint32_t bs = b->img.fs.sb.blocksize, size = in->size;
    struct fs_extent e;
    unsigned err = SE_OK;

    if (b->opt->spread) {
        err = fs_grow(&b->img.fs, in, (uint32_t)((n + bs - 1) / bs), false, &e);
        in->size = size;
    }
    return err ? err : fs_append(&b->img.fs, in, data, n);
}

static unsigned copy_data(struct build *b, int fd, struct fs_inode *in)
{
    size_t piece = b->opt->spread ? (size_t)b->opt->spread * b->img.fs.sb.blocksize : PIECE;
    uint8_t *buf = malloc(piece);
    unsigned err = buf ? SE_OK : SE_OUT_OF_MEM;
    ssize_t n = 1;

    while (!err && (n = read(fd, buf, piece)) > 0)
        err = append(b, in, buf, (size_t)n);
    free(buf);
    return !err && n < 0 ? SE_END_OF_FILE : err;
}

static bool copy_file(struct build *b, const struct stat *st)
{
    struct fs_inode in;
    int fd = open(b->host, O_RDONLY);
    unsigned err;

    if (fd < 0)
        return fail(b, "cannot read", b->host, strerror(errno));
    err = fs_create(&b->img.fs, b->path, st->st_mode, &in);
    if (!err)
        err = copy_data(b, fd, &in);
    close(fd);
    return err ? fail(b, "cannot store", b->host, fsimg_error(err)) : true;
}

static bool store(struct build *b, const struct stat *st)
{
    unsigned err;

    if (S_ISREG(st->st_mode))
        return copy_file(b, st);
    if (b->path[0] == 0)
        return true;
    err = fs_mkdir(&b->img.fs, b->path, st->st_mode);
    return err ? fail(b, "cannot store", b->host, fsimg_error(err)) : true;
}

/* Fills in b->img, which has the image's bytes. */
static bool fill(struct build *b, const char *dir)
{
    b->path[0] = 0;
    b->depth = 0;
    b->skipped = 0;
    return !dir || visit(b, store);
}

/* The size of the image and its number of inodes, as asked for or as needed. */
static bool plan(struct build *b, const char *image, const char *dir, struct fsmake *out)
{
    *out = *b->opt;
    b->need = 64 << 10;
    b->entries = 1;
    if (dir) {
        snprintf(b->host, sizeof(b->host), "%s", dir);
        if (!visit(b, measure))
            return false;
    }
    if (out->blocksize == 0)
        out->blocksize = FS_BLOCK_MAX;
    if (out->size == 0)
        out->size = (b->need + b->need / 4 + b->entries * 64 + 0xFFFF) & ~0xFFFFull;
    if (out->size > IMAGE_MAX)
        return fail(b, "cannot make", image, "an image has at most 6144 MiB");
    if (out->inodes == 0)
        out->inodes =
            (uint32_t)(out->size / 8192 > b->entries + 16 ? out->size / 8192 : b->entries + 16);
    return true;
}

static bool make_in(struct build *b, const struct fsmake *plan_, const char *image, const char *dir,
                    uint8_t *bytes)
{
    bool ok;

    if (fsimg_format(&b->img, bytes, plan_->size, plan_->blocksize, plan_->inodes))
        return fail(b, "cannot make", image,
                    "no file system of that size, block size (1024, 2048, 4096) or so many inodes");
    ok = fill(b, dir);
    fsimg_detach(&b->img);
    return ok;
}

static bool write_image(struct build *b, const struct fsmake *plan_, const char *image,
                        const char *dir)
{
    int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0644);
    uint8_t *bytes;
    bool ok;

    if (fd < 0)
        return fail(b, "cannot write", image, strerror(errno));
    /* Zeros, and blocks of their own, so that a full disk is an error here and no SIGBUS. */
    if ((errno = posix_fallocate(fd, 0, (off_t)plan_->size)) != 0) {
        close(fd);
        return fail(b, "cannot write", image, strerror(errno));
    }
    bytes = mmap(NULL, plan_->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        close(fd);
        return fail(b, "cannot write", image, strerror(errno));
    }
    ok = make_in(b, plan_, image, dir, bytes);
    munmap(bytes, plan_->size);
    if (close(fd) != 0 && ok)
        ok = fail(b, "cannot write", image, strerror(errno));
    return ok;
}

bool fsmake(const struct fsmake *opt, const char *image, const char *dir, unsigned *skipped,
            char err[256])
{
    static struct build b;
    struct fsmake all;
    bool ok;

    memset(&b, 0, sizeof(b));
    b.opt = opt;
    b.err = err;
    ok = plan(&b, image, dir, &all) && write_image(&b, &all, image, dir);
    *skipped = b.skipped;
    return ok;
}
