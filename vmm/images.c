/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding programs on the host.  Our own build puts them into one folder; a checkout of SemperOS
 * keeps them in build/<target>-<build>/bin, and a user may name any level of that.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine_impl.h"

int read_whole(const char *path, size_t max, char **out, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
    struct stat st;
    size_t got = 0;
    char *buf = NULL;

    *out = NULL;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (!S_ISREG(st.st_mode))
        r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    else if ((uint64_t)st.st_size > max)
        r = -EFBIG;
    else if (!(buf = malloc((size_t)st.st_size + 1)))
        r = -ENOMEM;
    while (r == 0 && got < (size_t)st.st_size) {
        ssize_t n = read(fd, buf + got, (size_t)st.st_size - got);

        if (n < 0 && errno != EINTR)
            r = -errno;
        else if (n == 0)
            break; /* it shrank meanwhile: what is there counts */
        else if (n > 0)
            got += (size_t)n;
    }
    close(fd);
    if (r < 0) {
        free(buf);
        return r;
    }
    buf[got] = 0;
    *out = buf;
    *size = got;
    return 0;
}

static bool has(const char *folder, const char *program)
{
    struct stat st;
    char *path = NULL;
    bool there;

    if (asprintf(&path, "%s/%s", folder, program) < 0)
        return false;
    there = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    free(path);
    return there;
}

/* "FOLDER/SUB" if the program is there; else NULL. */
static char *try_folder(const char *folder, const char *sub, const char *program)
{
    char *path = NULL;

    if (asprintf(&path, "%s%s%s", folder, *sub ? "/" : "", sub) < 0)
        return NULL;
    if (!has(path, program)) {
        free(path);
        return NULL;
    }
    return path;
}

/* Of two folders of build/, the better: release before anything else, then by name. */
static bool better(const char *a, const char *b)
{
    bool ra = strstr(a, "release") != NULL, rb = strstr(b, "release") != NULL;

    return ra != rb ? ra : strcmp(a, b) < 0;
}

static char *try_checkout(const char *folder, const char *program)
{
    char *build = NULL, *best = NULL, *sub, *path;
    struct dirent *e;
    DIR *dir;

    if (asprintf(&build, "%s/build", folder) < 0)
        return NULL;
    dir = opendir(build);
    while (dir && (e = readdir(dir))) {
        if (e->d_name[0] == '.' || asprintf(&sub, "%s/bin", e->d_name) < 0)
            continue;
        path = try_folder(build, sub, program);
        free(sub);
        if (path && (!best || better(path, best))) {
            free(best);
            best = path;
        } else {
            free(path);
        }
    }
    if (dir)
        closedir(dir);
    free(build);
    return best;
}

char *images_find(const char *folder, const char *program)
{
    char *path = try_folder(folder, "", program);

    if (!path)
        path = try_folder(folder, "bin", program);
    if (!path)
        path = try_checkout(folder, program);
    return path;
}
