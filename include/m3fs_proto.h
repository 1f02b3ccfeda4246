/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The m3fs protocol (semperos-platform 8), values encoded as in system calls.
 *
 * Messages through the session's gate, an operation (u32) first; the reply begins with an error:
 *
 *   OPEN path flags      -> fd                 MKDIR path mode
 *   STAT path            -> struct m3fs_info   RMDIR path
 *   FSTAT fd             -> struct m3fs_info   LINK old new
 *   SEEK fd off whence extent extoff           UNLINK path
 *        -> extent extoff pos                  RENAME old new
 *   CLOSE fd extent extoff (how far was written; 0 0: not at all)
 *
 * OBTAIN over a session gives, the first time, the gate; from then on memory capabilities for parts
 * of a file: fd, extent (or byte), count, blocks to add at the end, flags
 * -> struct m3fs_locs, bool (something was added), offset in the first.
 */
#ifndef SEMPER_M3FS_PROTO_H
#define SEMPER_M3FS_PROTO_H

#include <stdint.h>

enum m3fs_op {
    M3FS_OPEN = 0,
    M3FS_STAT = 1,
    M3FS_FSTAT = 2,
    M3FS_SEEK = 3,
    M3FS_MKDIR = 4,
    M3FS_RMDIR = 5,
    M3FS_LINK = 6,
    M3FS_UNLINK = 7,
    M3FS_CLOSE = 8,
    M3FS_RENAME = 9,
};

#define M3FS_BYTE_OFFSET 1u /* get_locs: the position is a byte, not an extent */

#define M3FS_MSG_MAX 256u /* header included */
#define M3FS_FILES   16u  /* of a session */

struct m3fs_info {
    uint8_t devno;
    uint8_t pad[3];
    uint32_t inode;
    uint32_t mode;
    uint32_t links;
    uint64_t size;
    uint32_t lastaccess, lastmod;
    uint32_t extents, firstblock;
};
_Static_assert(sizeof(struct m3fs_info) == 40, "m3fs FileInfo");

#define M3FS_LOCS 4u
struct m3fs_locs {
    uint64_t count;
    uint64_t bytes[M3FS_LOCS];
};
_Static_assert(sizeof(struct m3fs_locs) == 40, "m3fs LocList");

#endif
