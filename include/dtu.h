/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DTU as programs and the vDTU both see it: registers, endpoint words, commands, message
 * header, NoC addresses.  Everything here is the hardware's (dtu-spec.md sections 1-3 and 7);
 * what is ours lives in vreg.h.  Freestanding: host and guests include the same file.
 */
#ifndef SEMPER_DTU_H
#define SEMPER_DTU_H

#include <stdint.h>

/* The register window (dtu-spec 1.1). */
#define DTU_BASE          0x5C0000000ull
#define DTU_WINDOW        0x1F0u
#define DTU_EPS           16u
#define DTU_RW_BARRIER    0x5B0000000ull /* reset value on a PE with a CPU */
#define DTU_VPE_INVALID   0x7FFu         /* reset value of VPE_ID on a PE with a CPU */
#define DTU_MAX_PACKET    4096u          /* NoC packet, header included */
#define DTU_MAX_SLOTS     32u
#define DTU_CREDITS_UNLIM 0xFFFFu
#define DTU_PES           1023u /* PE ids 0..1022 (dtu-spec 7) */
#define DTU_NO_CREDIT_EP  16u   /* header.sender_ep of a message from an unlimited endpoint */

/* DTU and command registers, byte offsets (dtu-spec 1.2, 1.3). */
enum dtu_reg {
    DTU_STATUS = 0x00,
    DTU_ROOT_PT = 0x08,
    DTU_PF_EP = 0x10,
    DTU_LAST_PF = 0x18,
    DTU_RWB = 0x20,
    DTU_VPE_ID = 0x28,
    DTU_MSG_CNT = 0x30,
    DTU_EXT_CMD = 0x38,
    DTU_COMMAND = 0x40,
    DTU_DATA_ADDR = 0x48,
    DTU_DATA_SIZE = 0x50,
    DTU_OFFSET = 0x58,
    DTU_REPLY_EPID = 0x60,
    DTU_REPLY_LABEL = 0x68,
    DTU_EP0 = 0x70,
};
#define DTU_EP_STRIDE    0x18u
#define DTU_EP(ep, word) (DTU_EP0 + DTU_EP_STRIDE * (unsigned)(ep) + 8u * (unsigned)(word))

enum dtu_status { DTU_STATUS_PRIV = 1, DTU_STATUS_PAGEFAULTS = 2 };

/* Commands (dtu-spec 2.1, 2.2): op 2:0, endpoint 10:3; when done, error << 11. */
enum dtu_op {
    DTU_IDLE = 0,
    DTU_SEND = 1,
    DTU_REPLY = 2,
    DTU_READ = 3,
    DTU_WRITE = 4,
    DTU_FETCH = 5,
    DTU_ACK = 6,
    DTU_DEBUG = 7,
};
#define DTU_CMD(op, ep)   ((uint64_t)(op) | (uint64_t)(ep) << 3)
#define DTU_CMD_ERR_SHIFT 11

/* External commands (dtu-spec 2.6): op 2:0, argument above. */
enum dtu_ext {
    DTU_EXT_WAKEUP = 0,
    DTU_EXT_INV_PAGE = 1,
    DTU_EXT_INV_TLB = 2,
    DTU_EXT_INV_CACHE = 3,
    DTU_EXT_INJECT_IRQ = 4,
};

/* Endpoint words (dtu-spec 1.4). */
enum dtu_ep_type { DTU_EP_INVALID = 0, DTU_EP_SEND = 1, DTU_EP_RECV = 2, DTU_EP_MEM = 3 };
enum dtu_perm { DTU_PERM_R = 1, DTU_PERM_W = 2, DTU_PERM_RW = 3 };

static inline unsigned dtu_ep_type(uint64_t r0)
{
    return (unsigned)(r0 >> 61);
}
static inline uint64_t dtu_send_r0(unsigned vpe, unsigned maxmsg)
{
    return (uint64_t)DTU_EP_SEND << 61 | (uint64_t)(vpe & 0x7FF) << 16 | (maxmsg & 0xFFFF);
}
static inline uint64_t dtu_send_r1(unsigned pe, unsigned ep, unsigned credits)
{
    return (uint64_t)(pe & 0x3FF) << 24 | (uint64_t)(ep & 0xFF) << 16 | (credits & 0xFFFF);
}
/* An empty receive endpoint of 2^(order-msgorder) slots of 2^msgorder bytes. */
static inline uint64_t dtu_recv_r0(unsigned order, unsigned msgorder)
{
    return (uint64_t)DTU_EP_RECV << 61 | (uint64_t)((1ull << msgorder) & 0xFFFF) << 32 |
           ((1ull << (order - msgorder)) & 0xFFFF) << 16;
}
static inline uint64_t dtu_mem_r0(uint64_t size)
{
    return (uint64_t)DTU_EP_MEM << 61 | (size & ((1ull << 61) - 1));
}
static inline uint64_t dtu_mem_r2(unsigned pe, unsigned vpe, unsigned perm)
{
    return (uint64_t)(vpe & 0x7FF) << 14 | (uint64_t)(pe & 0x3FF) << 4 | (perm & 0xF);
}

/* Message header, 25 bytes, little endian, unaligned payload behind it (dtu-spec 3.1). */
struct dtu_header {
    uint8_t flags;
    uint16_t sender_pe;
    uint8_t sender_ep; /* 16 = that endpoint has unlimited credits */
    uint8_t reply_ep;  /* in a reply: the endpoint that gets the credits */
    uint16_t length;   /* payload bytes */
    uint16_t sender_vpe;
    uint64_t label;
    uint64_t reply_label;
} __attribute__((packed));
_Static_assert(sizeof(struct dtu_header) == 25, "dtu-spec 3.1");

enum dtu_header_flags {
    DTU_HD_REPLY = 0x01,
    DTU_HD_GRANT = 0x02,
    DTU_HD_REPLY_ENABLED = 0x04,
    DTU_HD_PAGEFAULT = 0x08,
    DTU_HD_REPLY_FAILED = 0x10,
};

/* NoC address (dtu-spec 7): PE 58:49, VPE 48:38, offset 36:0; bit 59 = valid. */
#define DTU_NOC_VALID   (1ull << 59)
#define DTU_OFFSET_BITS 37
static inline uint64_t dtu_noc_addr(unsigned pe, uint64_t offset)
{
    return DTU_NOC_VALID | (uint64_t)(pe & 0x3FF) << 49 |
           (offset & ((1ull << DTU_OFFSET_BITS) - 1));
}

#endif
