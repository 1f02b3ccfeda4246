/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service behind the protocol: sessions, their open files and the capabilities given out for
 * them.  Free of hardware, so that tests run it on the host.
 *
 * Clients are hostile.  What they say is an index into a table of their own session or a path.  A
 * session has M3FS_FILES files with at most M3FS_RANGES ranges of capabilities each; the oldest is
 * revoked for a new one.  Before blocks of a file change owner, all capabilities for it are
 * revoked.  Where that fails (a kernel does not answer) the blocks stay the file's, which nobody
 * sees closed, and with each request one of those revocations is tried again.
 */
#ifndef M3FS_SERVICE_H
#define M3FS_SERVICE_H

#include "../../fs/open.h"
#include "m3fs_proto.h"
#include "marshal.h"

#define M3FS_SESSIONS 64u /* their files are FS_OPEN_MAX */
#define M3FS_RANGES   8u
#define M3FS_NO_FILE  0xFFFFu
#define M3FS_NO_INO   UINT32_MAX
#define M3FS_KEPT     64u /* with more, no blocks are free again at all */

_Static_assert(M3FS_SESSIONS *M3FS_FILES == FS_OPEN_MAX, "every session can open all its files");

struct m3fs_range {
    uint16_t start, count; /* count 0: none */
};

struct m3fs_fd {
    uint16_t file; /* number in struct fs_files, M3FS_NO_FILE: closed */
    uint16_t oldest;
    struct m3fs_range given[M3FS_RANGES];
};

struct m3fs_session {
    bool used;
    uint64_t ident; /* what the kernel and the gate's label call it: generation << 8 | index + 1 */
    unsigned gate;  /* selector, 0: not given yet */
    struct m3fs_fd fd[M3FS_FILES];
};

/* Capabilities, as system calls make them. */
struct m3fs_caps {
    /* A gate whose messages carry that label. */
    unsigned (*gate)(void *arg, uint64_t label, unsigned *sel);
    /* count selectors. */
    unsigned (*select)(void *arg, unsigned count);
    /* Memory of the image at a selector. */
    unsigned (*derive)(void *arg, unsigned sel, uint64_t off, uint64_t size, unsigned perms);
    /* Revokes them and gives the selectors back; an error: neither, it can be tried again. */
    unsigned (*revoke)(void *arg, unsigned start, unsigned count);
    void *arg;
};

/* Capabilities for a file's blocks, or M3FS_NO_INO, a gate, that could not be revoked. */
struct m3fs_kept {
    uint32_t ino;
    struct m3fs_range range;
};

struct m3fs {
    struct fs_files files; /* first: fs->arg points to it */
    struct fs fs;
    struct m3fs_caps caps;
    uint64_t generation;
    struct m3fs_session session[M3FS_SESSIONS];
    struct m3fs_kept kept[M3FS_KEPT];
    unsigned nkept, retry; /* retry: the next one */
    bool lost;             /* there was one more; which is not known */
    bool ending;           /* nobody gets blocks any more */
    uint64_t failed;       /* REVOKEs, tries included */
};

/* fs is mounted already (m->fs). */
void m3fs_init(struct m3fs *m, const struct m3fs_caps *caps);

/* The service protocol's requests; arg: struct m3fs (guest/lib/server.h). */
unsigned m3fs_open_session(void *arg, struct msg_reader *in, uint64_t *ident);
void m3fs_close_session(void *arg, uint64_t ident);
unsigned m3fs_obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                     struct cap_range *give, struct msg_writer *out);
/* A client's message. */
void m3fs_message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out);
/* Closes everything. */
void m3fs_shutdown(void *arg);

#endif
