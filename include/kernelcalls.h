/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel calls as they travel between kernels (semperos-platform 7, 7.1, 7.3, 7.4).  Requests and
 * answers are messages of their own, from endpoint 14 of one kernel to one of 6-13 of the other;
 * the label is the sender's kernel id.  Values are encoded as in system calls.  What stands behind
 * the original's arguments is ours: the original does not look at it, and we do not need it.
 */
#ifndef SEMPER_KERNELCALLS_H
#define SEMPER_KERNELCALLS_H

#include <stdbool.h>
#include <stdint.h>

enum kernelcall_op {
    KC_SIGVITAL = 0,
    KC_CREATEVPE = 1,
    KC_EXIT = 2,
    KC_MHTGET = 3,
    KC_MHTGETTRY = 4,
    KC_MHTGETLOCKING = 5,
    KC_MHTPUT = 6,
    KC_MHTPUTUNLOCKING = 7,
    KC_MHTLOCK = 8,
    KC_MHTUNLOCK = 9,
    KC_MHTREMOVE = 10,
    KC_MHTRESERVE = 11,
    KC_MHTRELEASE = 12,
    KC_MEMBERUPDATE = 13,
    KC_PARTITIONMIG = 14,
    KC_CREATESESSFWD = 15,
    KC_CREATESESSRESP = 16,
    KC_CREATESESSFAIL = 17,
    KC_EXCHANGEOSESS = 18,
    KC_EXCHANGEOSESSREPLY = 19,
    KC_EXCHANGEOSESSACK = 20,
    KC_REMOVECHILDCAPPTR = 21,
    KC_RECVBUFISATTACHED = 22,
    KC_RECVBUFATTACHED = 23,
    KC_ANNOUNCESRV = 24,
    KC_REVOKE = 25,
    KC_REVOKEFINISH = 26,
    KC_SHUTDOWNREQUEST = 27,
    KC_SHUTDOWN = 28,
    KC_ANNOUNCEKRNLS = 29,
    KC_CONNECT = 30,
    KC_REPLY = 31,
    KC_STARTAPPS = 32,
    KC_COUNT = 33,
};

enum kernelcall_stage { KC_REQUEST_STAGE = 0, KC_REPLY_STAGE = 1, KC_FORWARD_STAGE = 2 };

/* Endpoints 6-13 of a kernel; at 13 a kernel takes the first message of one it does not know. */
#define KC_EP        6u
#define KC_EPS       8u
#define KC_SETUP_EP  (KC_EP + KC_EPS - 1)
#define KC_ORDER     11u /* 2048-byte slots */
#define KC_MSG_MAX   ((1u << KC_ORDER) - 25u)
#define KC_INFLIGHT  4u /* slots that a peer may use: two normal, a revocation, a reply */
#define KC_PEERS     (KC_EPS * 32u / KC_INFLIGHT)
#define KC_INIT_MEM  (32ull << 20) /* memory that a new kernel gets from its creator */
#define KC_NO_KERNEL 0xFFFFu

/*
 * Between kernels of ours: what waits for long is parked (CREATESESSFWD, EXCHANGEOSESS and
 * RECVBUFISATTACHED).  REPLYKRNLC with the call's operation and tid behind it gives the call's
 * place back.  The answer then has this bit in its tid, takes a place as a request does, and is
 * acknowledged.  Other kernels are never told.
 */
#define KC_TID_LATE 0x80000000u

/*
 * Keys of the distributed namespace: PE 63:54, VPE 53:43, type 42:36, object 35:0.  For a
 * capability the object is its selector, below a serial number in bits 31:16 that tells it from one
 * that was there before; 0 says nothing (the original has no such number and hands ours on).
 */
enum ddl_type {
    DDL_NONE = 0,
    DDL_MAPCAP = 1,
    DDL_MSGCAP = 2,
    DDL_SRVCAP = 4,
    DDL_SESSCAP = 6,
    DDL_VPECAP = 8,
    DDL_MEMCAP = 10,
    DDL_ANYCAP = 14, /* the bits of all but DDL_MAPCAP */
    DDL_SERVICE = 16,
    DDL_MSGOBJ = 32,
    DDL_MEMOBJ = 64,
};

#define DDL_TYPE_SHIFT 36
#define DDL_TYPE_MASK  (0x7Full << DDL_TYPE_SHIFT)

static inline uint64_t ddl_key(unsigned pe, unsigned vpe, unsigned type, uint64_t object)
{
    return (uint64_t)(pe & 0x3FF) << 54 | (uint64_t)(vpe & 0x7FF) << 43 |
           (uint64_t)(type & 0x7F) << DDL_TYPE_SHIFT | (object & ((1ull << DDL_TYPE_SHIFT) - 1));
}
static inline unsigned ddl_pe(uint64_t key)
{
    return (unsigned)(key >> 54);
}
static inline unsigned ddl_vpe(uint64_t key)
{
    return (unsigned)(key >> 43) & 0x7FF;
}
static inline unsigned ddl_type(uint64_t key)
{
    return (unsigned)(key >> DDL_TYPE_SHIFT) & 0x7F;
}
static inline uint64_t ddl_object(uint64_t key)
{
    return key & ((1ull << DDL_TYPE_SHIFT) - 1);
}
static inline unsigned ddl_sel(uint64_t key)
{
    return (unsigned)key & 0xFFFF;
}
static inline unsigned ddl_serial(uint64_t key)
{
    return (unsigned)(key >> 16) & 0xFFFF;
}
static inline uint64_t ddl_typed(uint64_t key, unsigned type)
{
    return (key & ~DDL_TYPE_MASK) | (uint64_t)(type & 0x7F) << DDL_TYPE_SHIFT;
}

/* Do two keys name the same capability, whatever they say of its type? */
static inline bool ddl_same(uint64_t a, uint64_t b)
{
    return (a & ~DDL_TYPE_MASK) == (b & ~DDL_TYPE_MASK);
}

/* Who owns a PE's part of the namespace; an entry for each PE, the same in every kernel. */
enum member_flags {
    MEMBER_NONE = 0,
    MEMBER_MIGRATING = 1,
    MEMBER_NOCHANGE = 4,
    MEMBER_UNPOPULATED = 0xFF,
};
struct member_entry {
    uint16_t pe;
    uint16_t kernel;
    uint16_t capacity;
    uint8_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct member_entry) == 7, "semperos-platform 7.4");

#endif
