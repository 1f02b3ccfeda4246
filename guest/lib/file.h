/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files: descriptors 0 to FILE_MAX - 1 of this program.  0, 1 and 2 are standard input, output and
 * errors: what whoever started us put there (child.h), else the console, whose input is empty.
 *
 * A path is absolute and belongs to the mount with the longest prefix.  Data of files goes straight
 * to and from memory (m3fs_proto.h), so reads and writes may begin and end anywhere.
 *
 * Counts of bytes and descriptors come back as they are, errors (errors.h) negative.  Everything
 * else returns an error, 0 = done.  At the end of the program all files are closed; after panic()
 * they are not.
 */
#ifndef GUEST_FILE_H
#define GUEST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate.h"
#include "m3fs_proto.h"

#define FILE_MAX 16u

enum file_std { FILE_IN = 0, FILE_OUT = 1, FILE_ERR = 2 };

enum file_flags {
    FILE_R = 1,
    FILE_W = 2,
    FILE_X = 4, /* may be mapped; no difference here */
    FILE_RW = FILE_R | FILE_W,
    FILE_TRUNC = 8,
    FILE_APPEND = 16,
    FILE_CREATE = 32,
};

/* The file system that a service offers, at a path like "/".  SE_NO_SPACE; errors of a session. */
unsigned file_mount(const char *path, const char *service);
unsigned file_unmount(const char *path);
/* "/" from the service m3fs, unless whoever started us gave us mounts. */
unsigned file_root(void);

int file_open(const char *path, unsigned flags);
unsigned file_close(int fd);
/* 0: the end. */
long file_read(int fd, void *buf, size_t n);
/* All n, or an error.  A pipe that nobody reads: SE_END_OF_FILE. */
long file_write(int fd, const void *buf, size_t n);
/* As printf, see fmt.h; at most FILE_LINE - 1 bytes. */
#define FILE_LINE 512u
void file_print(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum file_whence { FILE_SET = 0, FILE_CUR = 1, FILE_END = 2 };
/* The new position; SE_NOT_SUP for what is no file of a file system. */
long file_seek(int fd, long off, enum file_whence whence);
unsigned file_fstat(int fd, struct m3fs_info *info);

unsigned file_stat(const char *path, struct m3fs_info *info);
unsigned file_mkdir(const char *path, unsigned mode);
unsigned file_rmdir(const char *path);
/* SE_XFS_LINK, SE_XFS_RENAME: not on one mount. */
unsigned file_link(const char *from, const char *to);
unsigned file_unlink(const char *path);
unsigned file_rename(const char *from, const char *to);

struct file_dirent {
    uint32_t inode;
    char name[256];
};
/* The next entry of an open directory, with "." and ".."; SE_END_OF_FILE. */
unsigned file_readdir(int fd, struct file_dirent *out);

/* Closes all; also called at the end of a program that uses files. */
void file_exit(void);
/* Forgets all: for a VPE that begins as a copy of another (vpe.h). */
void file_reset(void);

#endif
