/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VPEs that run a program from the file system or, as vpe_run() does, a function of this one, and
 * begin with our mounts and with files of our choice.
 *
 * A child gets sessions of its own with the file systems, so that all it opened is closed when it
 * is destroyed, however it ended.  What is handed over is laid down as the original does it
 * (mounts, file table, selectors and endpoints in use), so that its programs can be children, too.
 */
#ifndef GUEST_CHILD_H
#define GUEST_CHILD_H

#include "file.h"
#include "vpe.h"

#define CHILD_FILES 3u /* 0, 1 and 2 can be given */

struct child_file {
    char type; /* enum file_type, 0: the console */
    unsigned flags;
    uint32_t fd; /* 'M': the service's */
    unsigned mount;
    unsigned sel;  /* pipes: its selector of the memory */
    uint64_t size; /* 'P': of the memory; 'Q': the endpoint */
};

struct child {
    struct vpe vpe;
    unsigned sels;                /* its first selector that is free */
    unsigned eps;                 /* its first endpoint that is free */
    unsigned sess[4];             /* its selectors for our mounts, gate behind session */
    unsigned own[4], own_gate[4]; /* ours of the same, 0: none */
    struct child_file file[CHILD_FILES];
};

/* A VPE with sessions for our mounts.  Errors of vpe_create() and of the services. */
unsigned child_create(struct child *c, const char *name);

/* Its descriptor fd is that file, opened now. */
unsigned child_file(struct child *c, unsigned fd, const char *path, unsigned flags);

/* A pipe: what wr writes to its wfd, rd reads from its rfd. */
struct child_pipe {
    unsigned sel; /* memory and gate */
};
unsigned child_pipe(struct child_pipe *p, struct child *wr, unsigned wfd, struct child *rd,
                    unsigned rfd);
/*
 * Says to the reader that it is the end, for a writer that ended by panic() and so did not.  (Not
 * for others: when the reader has ended, too, the original's kernel never answers ACTIVATE.)
 */
void child_pipe_end(struct child_pipe *p);
/* When both have ended. */
void child_pipe_free(struct child_pipe *p);

/* Loads the ELF file argv[0] and starts it.  SE_INVALID_ELF, errors of files. */
unsigned child_exec(struct child *c, int argc, const char *const *argv);
/* Copies this program there and starts fn(arg). */
unsigned child_run(struct child *c, int (*fn)(void *), void *arg);

/* Until it has ended. */
unsigned child_wait(struct child *c, int *status);
/* Frees its PE, ended or not, and closes its sessions. */
void child_destroy(struct child *c);

#endif
