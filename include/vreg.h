/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our own register page, directly behind the DTU's (architecture.md law 5).  A program that does
 * not know it never meets it; one that does first compares VREG_MAGIC.  Reads never exit; each
 * store is one exit.  The text of record is vdtu/README.md.
 */
#ifndef SEMPER_VREG_H
#define SEMPER_VREG_H

#include <stdint.h>

#define VREG_BASE        0x5C0001000ull
#define VREG_SIZE        0x1000u
#define VREG_MAGIC_VALUE 0x4D565245504D4553ull /* "SEMPERVM", little endian */
#define VREG_VERSION     1u

enum vreg {
    VREG_MAGIC = 0x00,
    VREG_VERS = 0x08,
    VREG_FEATURES = 0x10,
    VREG_PE = 0x18,
    VREG_NODE = 0x20,
    VREG_TSC_HZ = 0x28,      /* 0: not known */
    VREG_HOST_CORES = 0x30,  /* cores that the PEs of this node share */
    VREG_MEM_SIZE = 0x38,    /* bytes of local memory */
    VREG_TIME = 0x40,        /* store anything: latches ns since the machine started */
    VREG_WAIT = 0x48,        /* store: block for at most so many ns, ~0 = no limit */
    VREG_WAIT_CAUSE = 0x50,  /* why the last wait ended, enum vreg_cause bits */
    VREG_CONSOLE = 0x58,     /* store address | length << 40: print that local memory */
    VREG_CONSOLE_LEN = 0x60, /* bytes that the last console store printed */
    VREG_EXIT = 0x68,        /* store status | enum vreg_exit << 32 */
    VREG_RESET = 0x70,       /* only through the NoC: store an address to reset the CPU */
    /* With VREG_F_BRIDGE only; bridge.h */
    VREG_BRIDGE_AREA = 0x78, /* store the local address of a struct bridge_area; 0: none */
    VREG_BRIDGE_RUN = 0x80,  /* store anything: serve what is new in `in`; latches TIME, too */
    VREG_EPOCH = 0x88,       /* a random number of this run of the node, never 0 */
    /* With VREG_F_RING only; ring.h */
    VREG_RING = 0x90, /* store how many entries are wanted, 0: none; load: how many there are */
    VREG_RING_OPEN = 0x98, /* store the number of a send endpoint: a channel for it, please; */
                           /* with VREG_RING_END or-ed: the one there is shall end (lanes, too) */
    VREG_RING_BELL = 0xA0, /* store the number of an entry: the PE at its other end shall wake */
    /* With VREG_F_LANE, privileged: store the address of a struct ring_lane: a channel for its */
    /* words, please; the lane's last one ends */
    VREG_RING_LANE = 0x108,
    VREG_EXITS = 0xA8, /* with VREG_F_EXITS: stores of this PE that were exits so far */
    /* With VREG_F_CALL only */
    VREG_CALL = 0xB0, /* store vreg_call(): command, wait, FETCH in one; load: what was fetched */
    VREG_LIST = 0xE8, /* store vreg_list(): several commands; load: how many went well */
    VREG_STEP = 0xF8, /* store vreg_call_step(): as CALL, the command from a struct vreg_step */
    /* With VREG_F_OVER only */
    VREG_OVER = 0xF0, /* load: PEs of this node that are over (they crashed or have ended); store
                         anything, privileged: WAKEUP whenever there is another one.  Through the
                         NoC, READ of another PE's: 1 if that is over */
    VREG_ACK = 0xB8,  /* store vreg_ack(): an ACK that is posted, so no exit */
    /* With VREG_F_BRIDGE only; bridge.h */
    VREG_BRIDGE_TURN = 0xC0, /* store ns: RUN, take the NIC's causes, then WAIT */
    /* With VREG_F_MAP only; mapped.h */
    VREG_MAP_WINDOW = 0xC8, /* store how many bytes are wanted, 0: none; load: how many there are */
    VREG_MAP = 0xD0,        /* store the address of a struct map_request; load: what came of it */
    VREG_UNMAP = 0xD8,      /* store the number of an entry: it is not needed any more */
    /* With VREG_F_ASK only, for kernels: the VMM's questions (capdump.h) */
    VREG_ASK = 0xE0, /* load: the question, 0: none; store: VREG_ASK_HERE, or a part of the answer
                        as of VREG_CONSOLE; of no bytes: that was all */
    /* Only through the NoC, of the bridge PE of a node without a boot line: store VREG_GOODBYE_BY |
       status: the machine that its PEs belong to is over. */
    VREG_GOODBYE = 0x100,
};
#define VREG_GOODBYE_BY (1ull << 32)

enum vreg_feature {
    VREG_F_TIME = 1 << 0,
    VREG_F_WAIT = 1 << 1,
    VREG_F_CONSOLE = 1 << 2,
    VREG_F_EXIT = 1 << 3,
    VREG_F_RESET = 1 << 4,
    VREG_F_BRIDGE = 1 << 5,    /* may take and inject NoC packets */
    VREG_F_NIC = 1 << 6,       /* has an 82540EM on PCI bus 0 */
    VREG_F_RING = 1 << 7,      /* messages without exits */
    VREG_F_EXITS = 1 << 8,     /* VREG_EXITS counts */
    VREG_F_CALL = 1 << 9,      /* several steps in one store */
    VREG_F_MAP = 1 << 10,      /* targets of memory endpoints can be mapped */
    VREG_F_ASK = 1 << 11,      /* somebody may ask kernels (`--control`) */
    VREG_F_TOGETHER = 1 << 12, /* VREG_LIST knows VREG_TOGETHER */
    VREG_F_ONLY = 1 << 13,     /* VREG_CALL_ONLY */
    VREG_F_OVER = 1 << 14,     /* VREG_OVER */
    VREG_F_BARE = 1 << 15, /* CPL 0 and interrupt controllers: the NIC's PCI registers say where */
    VREG_F_LANE = 1 << 16, /* VREG_RING_LANE */
};

enum vreg_cause {
    VREG_CAUSE_MESSAGE = 1, /* MSG_CNT > 0 */
    VREG_CAUSE_WAKEUP = 2,  /* a latched WAKEUP was consumed */
    VREG_CAUSE_TIMEOUT = 4,
    VREG_CAUSE_BRIDGE = 8, /* packets were appended to `out` since the last wait; consumed */
    VREG_CAUSE_NIC = 16,   /* the NIC's interrupt line is raised */
    VREG_CAUSE_RING = 32,  /* somebody has rung the bell; consumed */
    VREG_CAUSE_ASK = 64,   /* there is a new question in VREG_ASK; consumed */
};

/* What an exit store ends.  A status other than 0 makes the run end with exit status 1. */
enum vreg_exit {
    VREG_EXIT_PROGRAM = 0, /* notes how a program ended; the PE goes on (back to idle) */
    VREG_EXIT_PE = 1,      /* the PE is over */
    VREG_EXIT_MACHINE = 2, /* the machine is over; only a privileged PE may, else as EXIT_PE */
};

/* A question: what is asked for in bits 7:0, above that a number, another one each time. */
enum vreg_ask { VREG_ASK_NONE = 0, VREG_ASK_CAPS = 1 };
#define VREG_ASK_HERE     (~0ull) /* this PE answers questions; only a privileged PE is asked */
#define VREG_WAIT_FOREVER (~0ull)
#define VREG_RING_END     (1u << 8)
#define VREG_CONSOLE_MAX  0xFFFFFFull /* bytes a console store can name */

/*
 * Runs `command` as a store to COMMAND would (0: none), and if that went well waits until a message
 * is unread, and if one is unread at `ep` then, fetches it.  With us the wait is bounded: without
 * `want` it is at most so many microseconds; with it, it goes on for so long after the first
 * message unless `want` are there.
 *
 * With VREG_CALL_ONLY or-ed to the endpoint, what is unread elsewhere neither ends the wait nor
 * counts: only messages of that endpoint do, and that it does not receive any more (cause WAKEUP).
 */
static inline uint64_t vreg_call(uint32_t command, unsigned ep, unsigned us, unsigned want)
{
    return command | (uint64_t)(ep & 0xFF) << 32 | (uint64_t)(us & 0xFFFF) << 40 |
           (uint64_t)want << 56;
}
#define VREG_CALL_NO_EP 0xFFu
#define VREG_CALL_ONLY  0x80u /* with VREG_F_ONLY */

/* The same, the command being the step at local address `step`, a multiple of 8 below 32 GiB. */
static inline uint64_t vreg_call_step(uint64_t step, unsigned ep, unsigned us, unsigned want)
{
    return vreg_call((uint32_t)(step >> 3), ep, us, want);
}

/* One command of a list: its registers, and what it ended with. */
struct vreg_step {
    uint64_t command; /* as for COMMAND */
    uint64_t data_addr, data_size;
    uint64_t offset; /* of FETCH, afterwards: the message's address, or 0 */
    uint64_t reply_label, reply_ep;
    uint64_t result; /* afterwards: the command's error */
    uint64_t config; /* local address of three words that the endpoint gets first; 0: none */
};
_Static_assert(sizeof(struct vreg_step) == 64, "vdtu/README.md");
#define VREG_STEPS_MAX 64u

/* Runs the `count` steps at local address addr, up to the first that fails. */
static inline uint64_t vreg_list(uint64_t addr, unsigned count)
{
    return (addr & ((1ull << 48) - 1)) | (uint64_t)count << 48;
}

/*
 * With a list: its SENDs to other nodes may be under way together, and no step that fails ends it.
 * VREG_LIST then loads how many steps were run, and in bits 63:32 how many of those failed.
 */
#define VREG_TOGETHER (1ull << 63)

/* ACK of the message at local address msg, fetched from ep. */
static inline uint64_t vreg_ack(unsigned ep, uint64_t msg)
{
    return (msg & ((1ull << 56) - 1)) | (uint64_t)ep << 56;
}

static inline uint64_t vreg_console(uint64_t addr, uint64_t len)
{
    return (addr & ((1ull << 40) - 1)) | len << 40;
}

#endif
