/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One error space for the DTU's commands and the system calls (dtu-spec 2.3, 12.2;
 * semperos-platform 7.1).  The DTU itself raises 1-3; the vDTU uses some of the software codes
 * where the gem5 model would stop the simulation.
 */
#ifndef SEMPER_ERRORS_H
#define SEMPER_ERRORS_H

enum semper_error {
    SE_OK = 0,
    SE_MISS_CREDITS = 1,
    SE_NO_RING_SPACE = 2,
    SE_VPE_GONE = 3, /* never for a permanent condition: libraries retry it for ever */
    SE_NO_MAPPING = 4,
    SE_INV_ARGS = 5,
    SE_OUT_OF_MEM = 6,
    SE_NO_SUCH_FILE = 7,
    SE_NO_PERM = 8,
    SE_NOT_SUP = 9,
    SE_NO_FREE_CORE = 10,
    SE_INVALID_ELF = 11,
    SE_NO_SPACE = 12,
    SE_EXISTS = 13,
    SE_XFS_LINK = 14,
    SE_DIR_NOT_EMPTY = 15,
    SE_IS_DIR = 16,
    SE_IS_NO_DIR = 17,
    SE_EP_INVALID = 18,
    SE_RECV_GONE = 19,
    SE_END_OF_FILE = 20,
    SE_MSGS_WAITING = 21,
    SE_XFS_RENAME = 22,
};

#endif
