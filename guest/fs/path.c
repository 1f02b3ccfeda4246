/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations by path. */
#include "fs.h"

#include "str.h"

/* The next component of *path: its length; *path behind it and the slashes that follow. */
static size_t component(const char **path, const char **name)
{
    const char *p = *path;

    while (*p == '/')
        p++;
    *name = p;
    while (*p && *p != '/')
        p++;
    *path = p;
    while (**path == '/')
        ++*path;
    return (size_t)(p - *name);
}

static unsigned step(struct fs *fs, struct fs_inode *at, const char *name, size_t n)
{
    uint32_t ino;
    unsigned err;

    if (n == 1 && name[0] == '.')
        return fs_is_dir(at->mode) ? SE_OK : SE_IS_NO_DIR;
    err = fs_dir_find(fs, at, name, n, &ino, NULL);
    return err ? err : fs_iget(fs, ino, at);
}

unsigned fs_lookup(struct fs *fs, const char *path, struct fs_inode *out)
{
    const char *name;
    size_t n;
    unsigned err = fs_iget(fs, FS_ROOT, out);

    while (!err && (n = component(&path, &name)) > 0)
        err = step(fs, out, name, n);
    return err;
}

/* The directory that path's last component is in, and that; SE_INV_ARGS: it has none. */
static unsigned parent(struct fs *fs, const char *path, struct fs_inode *dir, const char **name,
                       size_t *n)
{
    unsigned err = fs_iget(fs, FS_ROOT, dir);

    *n = component(&path, name);
    while (!err && *path) {
        err = step(fs, dir, *name, *n);
        *n = component(&path, name);
    }
    if (err)
        return err;
    if (!fs_is_dir(dir->mode))
        return SE_IS_NO_DIR;
    if (*n == 0 || *n > FS_NAME_MAX || (*n <= 2 && memcmp(*name, "..", *n) == 0))
        return SE_INV_ARGS;
    return SE_OK;
}

/* The same, when nothing has that name yet: SE_EXISTS. */
static unsigned parent_of_new(struct fs *fs, const char *path, struct fs_inode *dir,
                              const char **name, size_t *n)
{
    uint32_t ino;
    unsigned err = parent(fs, path, dir, name, n);

    if (err == SE_INV_ARGS && fs_lookup(fs, path, dir) == SE_OK)
        return SE_EXISTS;
    if (err)
        return err;
    err = fs_dir_find(fs, dir, *name, *n, &ino, NULL);
    return err == SE_NO_SUCH_FILE ? SE_OK : err ? err : SE_EXISTS;
}

/* A name less.  Without names the inode goes, unless somebody uses it; then that frees it. */
static unsigned drop_name(struct fs *fs, struct fs_inode *in)
{
    if (in->links > 0)
        in->links--;
    if (in->links > 0)
        return fs_iput(fs, in);
    if (fs->busy && fs->busy(fs->arg, in->inode))
        return fs_iput(fs, in);
    return fs_ifree(fs, in);
}

unsigned fs_create(struct fs *fs, const char *path, uint32_t mode, struct fs_inode *out)
{
    struct fs_inode dir;
    const char *name;
    size_t n;
    unsigned err = parent_of_new(fs, path, &dir, &name, &n);

    if (!err)
        err = fs_icreate(fs, FS_IFREG | (mode & FS_PERMS), out);
    if (err)
        return err;
    out->links = 1;
    err = fs_iput(fs, out);
    if (!err)
        err = fs_dir_add(fs, &dir, name, n, out->inode);
    if (err)
        fs_ifree(fs, out);
    return err;
}

/* "." and ".." into a new directory. */
static unsigned add_dots(struct fs *fs, struct fs_inode *in, uint32_t up)
{
    unsigned err = fs_dir_add(fs, in, ".", 1, in->inode);

    return err ? err : fs_dir_add(fs, in, "..", 2, up);
}

unsigned fs_mkdir(struct fs *fs, const char *path, uint32_t mode)
{
    struct fs_inode dir, in;
    const char *name;
    size_t n;
    unsigned err = parent_of_new(fs, path, &dir, &name, &n);

    if (!err)
        err = fs_icreate(fs, FS_IFDIR | (mode & FS_PERMS), &in);
    if (err)
        return err;
    in.links = 2;
    err = add_dots(fs, &in, dir.inode);
    if (!err)
        err = fs_iput(fs, &in);
    if (!err)
        err = fs_dir_add(fs, &dir, name, n, in.inode);
    if (err) {
        fs_ifree(fs, &in);
        return err;
    }
    dir.links++;
    return fs_iput(fs, &dir);
}

unsigned fs_rmdir(struct fs *fs, const char *path)
{
    struct fs_inode dir, in;
    const char *name;
    uint32_t ino;
    size_t n;
    unsigned err = parent(fs, path, &dir, &name, &n);

    if (!err)
        err = fs_dir_find(fs, &dir, name, n, &ino, NULL);
    if (!err)
        err = fs_iget(fs, ino, &in);
    if (err)
        return err;
    if (!fs_is_dir(in.mode))
        return SE_IS_NO_DIR;
    if (in.inode == FS_ROOT || in.inode == dir.inode)
        return FS_CORRUPT;
    err = fs_dir_empty(fs, &in);
    if (!err)
        err = fs_dir_remove(fs, &dir, name, n);
    if (err)
        return err;
    if (dir.links > 2) {
        dir.links--;
        err = fs_iput(fs, &dir);
    }
    /* A directory has one name, whatever the host's count was when the image was made. */
    in.links = 1;
    return err ? err : drop_name(fs, &in);
}

unsigned fs_link(struct fs *fs, const char *from, const char *to)
{
    struct fs_inode dir, in;
    const char *name;
    size_t n;
    unsigned err = fs_lookup(fs, from, &in);

    if (err)
        return err;
    if (fs_is_dir(in.mode))
        return SE_IS_DIR;
    if (in.links == UINT32_MAX)
        return FS_CORRUPT;
    err = parent_of_new(fs, to, &dir, &name, &n);
    if (err)
        return err;
    in.links++;
    err = fs_iput(fs, &in);
    if (err)
        return err;
    err = fs_dir_add(fs, &dir, name, n, in.inode);
    if (err) {
        in.links--;
        fs_iput(fs, &in);
    }
    return err;
}

unsigned fs_unlink(struct fs *fs, const char *path)
{
    struct fs_inode dir, in;
    const char *name;
    uint32_t ino;
    size_t n;
    unsigned err = parent(fs, path, &dir, &name, &n);

    if (err == SE_INV_ARGS && fs_lookup(fs, path, &in) == SE_OK)
        return SE_IS_DIR; /* "/", "." and ".." */
    if (!err)
        err = fs_dir_find(fs, &dir, name, n, &ino, NULL);
    if (!err)
        err = fs_iget(fs, ino, &in);
    if (err)
        return err;
    if (fs_is_dir(in.mode))
        return SE_IS_DIR;
    err = fs_dir_remove(fs, &dir, name, n);
    return err ? err : drop_name(fs, &in);
}

/* `from` gets the name of an existing file, which loses it. */
static unsigned take_over(struct fs *fs, const struct fs_inode *in, const struct fs_dirpos *pos,
                          uint32_t old)
{
    struct fs_inode gone;
    unsigned err = fs_iget(fs, old, &gone);

    if (err)
        return err;
    if (fs_is_dir(gone.mode))
        return SE_IS_DIR;
    err = fs_dir_replace(fs, pos, in->inode);
    return err ? err : drop_name(fs, &gone);
}

unsigned fs_rename(struct fs *fs, const char *from, const char *to)
{
    struct fs_inode in, dir;
    struct fs_dirpos pos;
    const char *name;
    uint32_t old;
    size_t n;
    bool found, named;
    unsigned err = fs_lookup(fs, from, &in), err2;

    if (err)
        return err;
    if (fs_is_dir(in.mode))
        return SE_IS_DIR;
    if (in.links == UINT32_MAX)
        return FS_CORRUPT;
    err = parent(fs, to, &dir, &name, &n);
    if (err)
        return err;
    err = fs_dir_find(fs, &dir, name, n, &old, &pos);
    if (err && err != SE_NO_SUCH_FILE)
        return err;
    if (!err && old == in.inode)
        return SE_INV_ARGS; /* the same file, as in the original */
    /* For a moment it has both names. */
    in.links++;
    found = !err;
    err = fs_iput(fs, &in);
    if (!err && found)
        err = take_over(fs, &in, &pos, old);
    else if (!err)
        err = fs_dir_add(fs, &dir, name, n, in.inode);
    named = !err;
    if (!err)
        err = parent(fs, from, &dir, &name, &n);
    if (!err)
        err = fs_dir_remove(fs, &dir, name, n);
    if (err && named)
        return err; /* and it keeps both */
    in.links--;
    err2 = fs_iput(fs, &in);
    return err ? err : err2;
}
