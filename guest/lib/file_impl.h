/* SPDX-License-Identifier: BSD-2-Clause */
/* What is behind the descriptors; for file.c, mount.c, regfile.c, pipe.c and child.c. */
#ifndef GUEST_FILE_IMPL_H
#define GUEST_FILE_IMPL_H

#include "file.h"
#include "map_gate.h"
#include "marshal.h"
#include "pipe.h"
#include "session.h"
#include "syscall.h"

/* ---- mounts (mount.c) ---- */

#define MOUNT_MAX  4u /* as in the original */
#define MOUNT_PATH 32u

struct mount {
    bool used;
    char path[MOUNT_PATH];
    char service[MOUNT_PATH]; /* "": not known, it was handed to us */
    struct session sess;
    struct gate gate;
};
/* The mounts in use, longest path first, from 0 on without gaps. */
extern struct mount mounts[MOUNT_MAX];

/* The mount of a path, and *rest the path within it; NULL. */
struct mount *mount_resolve(const char *path, const char **rest);
unsigned mount_add(const struct mount *m);
/* The endpoint for answers is not ours any more: we are a copy. */
void mount_forget(void);

/*
 * A request through the mount's gate.  The reply's values behind the error are at in, valid until
 * mount_done(), which must follow when it returned SE_OK.
 */
struct msg_writer mount_request(enum m3fs_op op);
unsigned mount_call(struct mount *m, struct msg_writer *w, struct msg_reader *in);
void mount_done(void);

/* OPEN; *fd is the service's. */
unsigned mount_open(struct mount *m, const char *path, unsigned flags, uint32_t *fd);

/* ---- open files ---- */

/* The letters are the original's. */
enum file_type {
    FILE_NONE = 0,
    FILE_SERIAL = 'S',
    FILE_REG = 'M',
    FILE_WPIPE = 'P',
    FILE_RPIPE = 'Q'
};

/* A file of a file system: an extent at a time, with the capabilities of some. */
struct regfile {
    struct mount *mount;
    uint32_t fd; /* the service's */
    /* Position: byte extoff of extent number `extent`, which begins at byte `begin`. */
    uint64_t extent, extoff, begin;
    /* Extents first .. first + locs.count, at selectors sel ...; for_write: got with blocks added.
     */
    uint64_t first;
    struct m3fs_locs locs;
    bool for_write;
    unsigned sel; /* 0: not allocated */
    unsigned got; /* capabilities there */
    struct gate mem;
    struct map_auto map;
    /*
     * When we may have got more than the file has: where it ends.  The service counts whole blocks
     * until we say at the end how far we wrote.
     */
    bool extended;
    uint64_t end;
    uint64_t last_extent, last_off;
};

struct file {
    enum file_type type;
    unsigned flags;
    union {
        struct regfile reg;
        struct pipe_reader rpipe;
        struct pipe_writer wpipe;
    };
};
extern struct file files[FILE_MAX];

/* Reads what whoever started us left for us; every entry of file.h begins with it. */
void file_init(void);
/* A descriptor without file, -SE_NO_SPACE. */
int file_alloc(void);

/* regfile.c: as file_...() */
long regfile_read(struct file *f, void *buf, size_t n);
long regfile_write(struct file *f, const void *buf, size_t n);
long regfile_seek(struct file *f, long off, enum file_whence whence);
unsigned regfile_stat(struct file *f, struct m3fs_info *info);
unsigned regfile_close(struct file *f);

/* adopt.c: mounts and files that were handed over (semperos-platform 1: Env), if any. */
void file_adopt(void);

#endif
