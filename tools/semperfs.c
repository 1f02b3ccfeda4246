/* SPDX-License-Identifier: BSD-2-Clause */
/* semperfs: images for m3fs; see tools/README.md. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsimg.h"

enum status { OK = 0, DAMAGED = 1, USAGE = 2, HOST = 3 };

#define LINES_MAX 20u /* of what is wrong with an image */

static const char usage_text[] =
    "usage: semperfs make [OPTION...] IMAGE DIR [SIZE]   an image of a folder\n"
    "       semperfs make [OPTION...] IMAGE SIZE         an empty one\n"
    "       semperfs check IMAGE                         is it sound?\n"
    "       semperfs ls IMAGE [PATH]                     a folder in it\n"
    "       semperfs cat IMAGE PATH                      a file in it\n"
    "       semperfs export IMAGE DIR                    all of it to a new folder\n"
    "options of make: --inodes N, --block-size 1024|2048|4096, --spread BLOCKS (of an extent)\n"
    "SIZE: bytes, or with K, M or G behind the number\n";

static int complain(enum status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int complain(enum status status, const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "semperfs: ");
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    return status;
}

/* A number with K, M or G behind it; false: it is none. */
static bool parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "KMG";
    unsigned long long n;
    unsigned shift = 0;
    const char *unit;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, 0);
    if (*end && (unit = strchr(units, *end)) != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (errno || *end || n == 0 || n > UINT64_MAX >> shift)
        return false;
    *out = n << shift;
    return true;
}

/* ---- images that exist ---- */

struct mapped {
    uint8_t *bytes; /* private: nothing that happens here changes the file */
    uint64_t size;
};

static enum status map_image(const char *path, struct mapped *m)
{
    int fd = open(path, O_RDONLY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        complain(HOST, "cannot read %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return HOST;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        close(fd);
        return (enum status)complain(DAMAGED, "%s: it is empty or no file", path);
    }
    m->size = (uint64_t)st.st_size;
    m->bytes = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (m->bytes == MAP_FAILED)
        return (enum status)complain(HOST, "cannot read %s: %s", path, strerror(errno));
    return OK;
}

static enum status open_image(const char *path, struct mapped *m, struct fsimg *img)
{
    enum status status = map_image(path, m);
    unsigned err;

    if (status)
        return status;
    err = fsimg_attach(img, m->bytes, m->size);
    if (err) {
        munmap(m->bytes, m->size);
        return (enum status)complain(DAMAGED, "%s: %s; try semperfs check", path, fsimg_error(err));
    }
    return OK;
}

static void close_image(struct mapped *m, struct fsimg *img)
{
    fsimg_detach(img);
    munmap(m->bytes, m->size);
}

/* ---- the commands ---- */

static int cmd_make(int argc, char **argv)
{
    struct fsmake opt = {0};
    const char *dir = NULL;
    unsigned skipped = 0;
    uint64_t n;
    char err[256];

    for (; argc > 2 && argv[0][0] == '-'; argc -= 2, argv += 2) {
        if (!parse_size(argv[1], &n) || n > UINT32_MAX)
            return complain(USAGE, "make: %s wants a number, not %s", argv[0], argv[1]);
        if (strcmp(argv[0], "--inodes") == 0)
            opt.inodes = (uint32_t)n;
        else if (strcmp(argv[0], "--block-size") == 0)
            opt.blocksize = (uint32_t)n;
        else if (strcmp(argv[0], "--spread") == 0)
            opt.spread = (uint32_t)n;
        else
            return complain(USAGE, "make: unknown option %s; see semperfs --help", argv[0]);
    }
    if (argc < 2 || argc > 3)
        return complain(USAGE, "make wants IMAGE and DIR or SIZE; see semperfs --help");
    if (argc == 3 || !parse_size(argv[1], &opt.size))
        dir = argv[1];
    if (argc == 3 && !parse_size(argv[2], &opt.size))
        return complain(USAGE, "make: %s is no size", argv[2]);
    if (!fsmake(&opt, argv[0], dir, &skipped, err))
        return complain(HOST, "%s", err);
    if (skipped)
        fprintf(stderr, "semperfs: %s: %u left out, neither files nor folders\n", argv[0], skipped);
    return OK;
}

struct reporting {
    const char *image;
    unsigned lines;
};

static void print_wrong(void *arg, const char *text)
{
    struct reporting *r = arg;

    if (r->lines++ < LINES_MAX)
        fprintf(stderr, "semperfs: %s: %s\n", r->image, text);
}

static int cmd_check(int argc, char **argv)
{
    struct reporting r = {argc == 1 ? argv[0] : "", 0};
    struct fscheck c = {.report = print_wrong, .arg = &r};
    struct fs_super sb;
    struct mapped m;
    enum status status;

    if (argc != 1)
        return complain(USAGE, "check wants IMAGE; see semperfs --help");
    status = map_image(argv[0], &m);
    if (status)
        return status;
    if (fscheck(&c, m.bytes, m.size)) {
        memcpy(&sb, m.bytes, sizeof(sb));
        printf("%s: ok: %u files, %u folders, %u of %u blocks and %u of %u inodes free\n", argv[0],
               c.files, c.dirs, sb.free_blocks, sb.total_blocks, sb.free_inodes, sb.total_inodes);
    } else {
        if (r.lines > LINES_MAX)
            fprintf(stderr, "semperfs: %s: and %u more\n", argv[0], r.lines - LINES_MAX);
        status = DAMAGED;
    }
    munmap(m.bytes, m.size);
    return status;
}

static unsigned list(struct fs *fs, const struct fs_inode *dir)
{
    struct fs_dirpos pos = {0};
    struct fs_dirent e;
    struct fs_inode in;
    unsigned err;

    while ((err = fs_dir_next(fs, dir, &pos, &e)) == SE_OK) {
        if (e.head.namelen == 0)
            continue;
        err = fs_iget(fs, e.head.ino, &in);
        if (err)
            return err;
        printf("%c%03o %3u %10u %s\n", fs_is_dir(in.mode) ? 'd' : '-', in.mode & FS_PERMS, in.links,
               in.size, e.name);
    }
    return err == SE_END_OF_FILE ? SE_OK : err;
}

static unsigned print_file(struct fs *fs, const struct fs_inode *in, FILE *out)
{
    static uint8_t buf[65536];
    uint64_t off = 0;
    size_t n;
    unsigned err;

    while ((err = fs_pread(fs, in, off, buf, sizeof(buf), &n)) == SE_OK && n > 0) {
        if (fwrite(buf, 1, n, out) != n)
            break;
        off += n;
    }
    return err;
}

/* ls and cat: what PATH is. */
static int cmd_show(int argc, char **argv, bool ls)
{
    const char *path = argc == 2 ? argv[1] : "/";
    struct fs_inode in;
    struct fsimg img;
    struct mapped m;
    enum status status;
    unsigned err;

    if (argc < (ls ? 1 : 2) || argc > 2)
        return complain(USAGE, "%s wants IMAGE and PATH; see semperfs --help", ls ? "ls" : "cat");
    status = open_image(argv[0], &m, &img);
    if (status)
        return status;
    err = fs_lookup(&img.fs, path, &in);
    if (!err && ls)
        err = fs_is_dir(in.mode) ? list(&img.fs, &in) : SE_IS_NO_DIR;
    else if (!err)
        err = fs_is_dir(in.mode) ? SE_IS_DIR : print_file(&img.fs, &in, stdout);
    if (err)
        status = (enum status)complain(DAMAGED, "%s: %s: %s", argv[0], path, fsimg_error(err));
    else if (fflush(stdout) != 0 || ferror(stdout))
        status = (enum status)complain(HOST, "cannot write: %s", strerror(errno));
    close_image(&m, &img);
    return status;
}

static enum status export_dir(struct fs *fs, const struct fs_inode *dir, const char *to,
                              unsigned depth);

/* A name that is one on the host, too, and stays within the folder. */
static bool plain(const struct fs_dirent *e)
{
    return e->head.namelen > 0 && strlen(e->name) == e->head.namelen && !strchr(e->name, '/') &&
           strcmp(e->name, ".") != 0 && strcmp(e->name, "..") != 0;
}

static enum status export_file(struct fs *fs, const struct fs_inode *in, const char *to)
{
    /* O_EXCL: a hostile image has a name twice, or one that is a link on the host by now. */
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL, in->mode & FS_PERMS);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    unsigned err;

    if (!f) {
        complain(HOST, "cannot write %s: %s", to, strerror(errno));
        if (fd >= 0)
            close(fd);
        return HOST;
    }
    err = print_file(fs, in, f);
    if (fclose(f) != 0)
        return (enum status)complain(HOST, "cannot write %s: %s", to, strerror(errno));
    return err ? (enum status)complain(DAMAGED, "%s: %s", to, fsimg_error(err)) : OK;
}

static enum status export_entry(struct fs *fs, const struct fs_dirent *e, const char *to,
                                unsigned depth)
{
    char path[4096];
    struct fs_inode in;
    unsigned err = fs_iget(fs, e->head.ino, &in);

    if (err)
        return (enum status)complain(DAMAGED, "%s/%s: %s", to, e->name, fsimg_error(err));
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", to, e->name) >= sizeof(path))
        return (enum status)complain(HOST, "%s/%s: the path is too long", to, e->name);
    return fs_is_dir(in.mode) ? export_dir(fs, &in, path, depth + 1) : export_file(fs, &in, path);
}

static enum status export_dir(struct fs *fs, const struct fs_inode *dir, const char *to,
                              unsigned depth)
{
    struct fs_dirpos pos = {0};
    struct fs_dirent e;
    enum status status = OK;
    unsigned err = SE_OK;

    if (depth > 64)
        return (enum status)complain(DAMAGED, "%s: folders in each other without end", to);
    if (mkdir(to, 0755) != 0)
        return (enum status)complain(HOST, "cannot make %s: %s", to, strerror(errno));
    while (!status && (err = fs_dir_next(fs, dir, &pos, &e)) == SE_OK)
        if (plain(&e))
            status = export_entry(fs, &e, to, depth);
    if (!status && err != SE_END_OF_FILE)
        return (enum status)complain(DAMAGED, "%s: %s", to, fsimg_error(err));
    return status;
}

static int cmd_export(int argc, char **argv)
{
    struct fs_inode root;
    struct fsimg img;
    struct mapped m;
    enum status status;

    if (argc != 2)
        return complain(USAGE, "export wants IMAGE and DIR; see semperfs --help");
    status = open_image(argv[0], &m, &img);
    if (status)
        return status;
    if (fs_lookup(&img.fs, "/", &root) == SE_OK)
        status = export_dir(&img.fs, &root, argv[1], 0);
    close_image(&m, &img);
    return status;
}

int main(int argc, char **argv)
{
    const char *cmd = argc > 1 ? argv[1] : "";

    if (strcmp(cmd, "--help") == 0) {
        fputs(usage_text, stdout);
        return OK;
    }
    if (strcmp(cmd, "make") == 0)
        return cmd_make(argc - 2, argv + 2);
    if (strcmp(cmd, "check") == 0)
        return cmd_check(argc - 2, argv + 2);
    if (strcmp(cmd, "ls") == 0 || strcmp(cmd, "cat") == 0)
        return cmd_show(argc - 2, argv + 2, cmd[0] == 'l');
    if (strcmp(cmd, "export") == 0)
        return cmd_export(argc - 2, argv + 2);
    return complain(USAGE, "unknown command \"%s\"; see semperfs --help", cmd);
}
