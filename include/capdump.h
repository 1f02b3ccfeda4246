/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a kernel tells of itself when the VMM asks it through VREG_ASK (vreg.h), for `sempervm
 * caps`: records, read by the host only after every field was checked.
 *
 * First comes CAPDUMP_KERNEL, then each VPE followed by the capabilities in its table, each of
 * these followed by those of its children that other kernels have; CAPDUMP_END is last.  A kernel
 * takes no message in between, so what it tells was true at one moment.
 */
#ifndef SEMPER_CAPDUMP_H
#define SEMPER_CAPDUMP_H

#include <stdint.h>

enum capdump_kind {
    CAPDUMP_KERNEL =
        1,           /* pe: its own; n: its id; cap.key: the question; size: revocations waiting */
    CAPDUMP_VPE = 2, /* pe: where; type: enum capdump_state; n: exit code */
    CAPDUMP_CAP = 3, /* of the VPE before it */
    CAPDUMP_CHILD = 4, /* cap.key: child of the capability before it, in another kernel */
    CAPDUMP_END = 5,   /* cap.key: the question; cap.size: records before it */
};

enum capdump_state { CAPDUMP_CREATED = 0, CAPDUMP_RUNNING = 1, CAPDUMP_ENDED = 2 };

struct capdump {
    uint8_t kind;           /* enum capdump_kind */
    uint8_t type;           /* CAPDUMP_CAP: enum ddl_type of kernelcalls.h; DDL_NONE: reserved */
    uint8_t perms;          /* DDL_MEMCAP: 1 read, 2 write, 4 execute */
    uint8_t ep;             /* DDL_MSGCAP: endpoint that receives */
    uint16_t pe;            /* whose table it is in */
    uint16_t sel;           /* at which selector */
    uint16_t to_pe, to_vpe; /* DDL_MSGCAP, DDL_MEMCAP, DDL_VPECAP: of what it stands for */
    uint32_t n;
    union {
        struct {
            uint64_t key;        /* under which other kernels know it */
            uint64_t parent;     /* the key of what it was derived from, 0: nothing */
            uint64_t addr, size; /* DDL_MEMCAP; DDL_MSGCAP: label and largest message */
        } cap;
        char name[32]; /* CAPDUMP_VPE: zeros behind it */
    };
    char service[16]; /* DDL_SRVCAP, DDL_SESSCAP: the beginning of its name, zeros behind it */
};
_Static_assert(sizeof(struct capdump) == 64, "records of 64 bytes");

#endif
