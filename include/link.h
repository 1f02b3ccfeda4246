/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What travels between two bridges: the frame of the link protocol, one in each UDP datagram.  How
 * it is used is told in guest/bridge/README.md; this is the layout, to the bit.
 *
 * Little endian, no gaps.  A frame is a struct link_head and `len` bytes of body:
 *
 *   HELLO, WELCOME   one struct link_hello
 *   DATA             records, one behind the other, up to the end; without LINK_F_SEQ: none
 *
 * A record is a struct link_rec, then, as its op and flags say:
 *
 *   LINK_MSG with LINK_FIRST           struct link_target, struct dtu_header, `len` bytes
 *   LINK_READ, LINK_WRITE with FIRST   struct link_target, `len` bytes (READ: none)
 *   LINK_ANSWER, and without FIRST     `len` bytes
 *
 * A packet whose data do not fit into one record is cut: each part says where it begins (`off`, a
 * multiple of LINK_UNIT) and how long the whole is (`total`); every part but the last is a multiple
 * of LINK_UNIT long.  LINK_FIRST is set in the part with off 0 and in no other.  Parts may arrive
 * in any order.  READ has one record, with len 0; `total` is how much it wants.
 */
#ifndef SEMPER_LINK_H
#define SEMPER_LINK_H

#include "dtu.h"

#define LINK_MAGIC     0x334B4C53u /* "SLK3"; the digit is the version */
#define LINK_NODES     64u         /* node numbers 0..63 */
#define LINK_FRAME_MAX 1472u       /* UDP payload of a 1500 byte IPv4 packet */
#define LINK_FRAME_MIN 256u        /* smallest frame limit that a node may be set to */
#define LINK_WINDOW    64u         /* frames under way in one direction */
#define LINK_SLOTS     64u         /* most packets under way in one direction */
#define LINK_UNIT      64u         /* parts of a packet begin at multiples of this */

enum link_type {
    LINK_HELLO = 1,   /* I am src_epoch; dst_epoch 0 */
    LINK_WELCOME = 2, /* answer to the HELLO of dst_epoch: speak to me as src_epoch */
    LINK_DATA = 3,    /* of the connection src_epoch, dst_epoch */
};

enum link_head_flags {
    LINK_F_SEQ = 0x01,  /* counts: `seq` is this frame's number, it will be acknowledged */
    LINK_F_ECHO = 0x02, /* `echo` and `hold` are set */
};

/*
 * Numbers of frames count up modulo 2^32 from the low half of the sender's epoch.  The fields from
 * `slots` on, epochs apart, are 0 in HELLO and WELCOME, `slots` excepted.
 */
struct link_head {
    uint32_t magic;
    uint8_t type;       /* enum link_type */
    uint8_t flags;      /* enum link_head_flags */
    uint16_t len;       /* bytes behind this header */
    uint8_t src_node;   /* 0..63 */
    uint8_t dst_node;   /* 0..63 */
    uint16_t slots;     /* packets that the sender of this frame takes at a time, 1..LINK_SLOTS */
    uint32_t hold;      /* us between the arrival of what `echo` came in and this frame */
    uint64_t src_epoch; /* never 0 */
    uint64_t dst_epoch; /* 0 in HELLO only */
    uint32_t seq;       /* with LINK_F_SEQ this frame's number, else that of the next such */
    uint32_t ack;       /* every frame before this number has arrived */
    uint64_t sack;      /* bit i: frame ack + 1 + i has arrived */
    uint32_t stamp;     /* the sender's clock in us, when this frame left (again) */
    uint32_t echo;      /* newest stamp that came from the other side */
};
_Static_assert(sizeof(struct link_head) == 56, "the layout above");
_Static_assert(__builtin_offsetof(struct link_head, src_epoch) == 16, "no gaps");
_Static_assert(__builtin_offsetof(struct link_head, sack) == 40, "no gaps");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written as they lie in memory");

/* Hashes of the machine description: both nodes must have the same. */
struct link_hello {
    uint64_t nodes; /* which there are: PEs and addresses inside the machine */
    uint32_t lines; /* boot lines: programs and their arguments */
    uint32_t sizes; /* of memories */
};
_Static_assert(sizeof(struct link_hello) == 16, "the layout above");

enum link_op {
    LINK_MSG = 1,    /* a message or a reply */
    LINK_READ = 2,   /* memory or registers */
    LINK_WRITE = 3,  /* memory or registers */
    LINK_ANSWER = 4, /* the far DTU's result; of a READ the data too */
};
enum link_rec_flags { LINK_FIRST = 0x01 };

struct link_rec {
    uint8_t op;      /* enum link_op */
    uint8_t flags;   /* enum link_rec_flags */
    uint16_t slot;   /* which of the asking node's packets, below the answering node's `slots` */
    uint16_t gen;    /* how often the slot was used, modulo 2^16 */
    uint16_t len;    /* data bytes in this record */
    uint16_t off;    /* where in the packet's data they lie */
    uint16_t total;  /* data bytes of the packet: MSG 0..4071, else 0..4096 */
    uint32_t result; /* ANSWER: enum semper_error, at most 0xFFFF; else 0 */
};
_Static_assert(sizeof(struct link_rec) == 16, "the layout above");

struct link_target {
    uint16_t src_pe;  /* of the asking node */
    uint16_t dst_pe;  /* of the answering node */
    uint16_t dst_vpe; /* 0..2047 */
    uint16_t after;   /* link_after(): the packet to be taken before this one; 0: none */
    uint64_t offset;  /* MSG: endpoint; else local address */
};
_Static_assert(sizeof(struct link_target) == 16, "the layout above");

/*
 * Of the packets of one PE that are under way together, each names the one before it, by its slot
 * and the low bits of its gen.  A slot cannot be used again more often than there are frames in a
 * window before the packet that names it has come, so these bits tell before from after.
 */
#define LINK_AFTER_GEN 0x1FFu
static inline uint16_t link_after(unsigned slot, unsigned gen)
{
    return (uint16_t)(0x8000u | slot << 9 | (gen & LINK_AFTER_GEN));
}
static inline unsigned link_after_slot(uint16_t after)
{
    return after >> 9 & (LINK_SLOTS - 1);
}

#endif
