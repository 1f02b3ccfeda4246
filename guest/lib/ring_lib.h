/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages without exits (vdtu/RINGS.md): the PE's side of channels.  dtu_drv.c asks here first and
 * takes the DTU's own way where there is no channel, so programs need not know of any of it.
 *
 * Nothing that another PE writes is believed: a message is copied once, its length is checked, its
 * header comes from the host's table, and whether it may be there is counted on this side.
 *
 * A struct rings is one PE's; the functions take it as argument so that the tests have several.
 */
#ifndef GUEST_RING_LIB_H
#define GUEST_RING_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"
#include "ring.h"

#define RING_TRAP (~0u) /* not an error code: take the DTU's way */

/* What only the PE's registers can do. */
struct ring_hw {
    /* FETCH: address of the message, 0 for none. */
    uint64_t (*fetch)(void *arg, unsigned ep);
    void (*open)(void *arg, unsigned ep);
    void (*lane)(void *arg, const struct ring_lane *lane);
    void (*end)(void *arg, unsigned ep);
    void (*bell)(void *arg, unsigned entry);
    /* Returns when what the host has begun with this PE's endpoints is done. */
    void (*sync)(void *arg);
};

/* Where the next message of a channel will be, and how one sees that it is. */
struct ring_scan {
    const uint64_t *seq;
    uint64_t want; /* ~0: none would be taken now */
};

struct ring_stash { /* a message that came by a trap and must let others pass */
    const struct dtu_header *msg;
    uint64_t stamp;
};

#define RING_HOT 8u

/*
 * Which incoming channels are looked at.  Most are silent, so a look is at those that spoke last
 * and, in turn, at some of the others: its cost does not depend on how many there are.  When one of
 * those others speaks all are looked at, so that it does not have to wait for its turn.
 */
struct ring_watch {
    uint16_t hot[RING_HOT], next_hot;       /* positions */
    uint16_t slice;                         /* whose turn it is */
    uint16_t skips;                         /* questions that the last look is good for, too */
    uint16_t last[DTU_EPS];                 /* position + 1 that an endpoint's last message had */
    uint8_t run[DTU_EPS];                   /* so many came from there in a row */
    bool all;                               /* the next look is at all */
    uint32_t eps, neps;                     /* endpoints that have channels */
    uint16_t marks[DTU_EPS];                /* positions of an endpoint that are marked: */
    uint64_t marked[RING_ENTRIES_MAX / 64]; /* a message was seen there */
    uint64_t is_hot[RING_ENTRIES_MAX / 64];
};

/* The same for answers, by position in `out`. */
struct ring_asked {
    uint16_t hot[RING_HOT], last; /* where was sent to; hot[last]: whose place is the newest */
    uint16_t slice;
    bool all;
};

/*
 * Where this PE has sent without an endpoint of its own, by means of any: each place has one set of
 * words at a time, that of the target to which it sent last.
 */
#define RING_WAYS                                                                  \
    8u /* lanes that a target may have, one of a set: 64 kernels have their places \
        */
struct ring_target {
    uint64_t words[3]; /* [0] 0: none yet */
    uint64_t used;     /* when, in sends */
};

struct ring_in;

/*
 * The incoming channel that spoke last, in hand: mostly the next message is its, too, and what is
 * acknowledged next is its last one.
 */
struct ring_now {
    uint32_t ep;
    uint32_t left; /* messages that may be taken before others are looked at */
    struct ring_scan *scan;
    const uint64_t *r0; /* of its endpoint: has something come by a trap? */
    struct ring_in *st;
    uint8_t *inbox;
    const uint8_t *area;               /* of slots */
    uint32_t mask, stride, slots, max; /* slots: a bit for each */
    uint64_t head[2], label;           /* the header's words that never change */
    const struct ring_desc *d;
    uint64_t word;        /* the descriptor's when this was filled in; 0: there is none */
    const uint64_t *back; /* what has come back of `cap`: answers given or, unlimited, freed */
    uint32_t cap;
    uint32_t slot;   /* of the inbox: of the message taken last, */
    const void *msg; /* which was here, */
    bool stream;     /* and wanted no answer */
    uint32_t entry, pos;
    struct ring_ctl *ctl;
};

struct ring_out;

/* The live channel of a send endpoint, in hand after its first message. */
struct ring_ready {
    uint64_t word; /* the descriptor's when this was filled in; 0: there is none */
    const struct ring_desc *d;
    struct ring_out *st;
    uint8_t *area;            /* of slots */
    const uint8_t *answers;   /* of those */
    const uint32_t *sleeping; /* the receiver's */
    const uint64_t *back;     /* what has come back of `cap`: answers, or, unlimited, freed */
    uint32_t mask, stride, rstride, max, rmax, cap, entry;
    uint32_t lead; /* messages until that whose slot is asked for with each */
};

struct rings {
    bool on;
    const uint64_t *regs; /* the DTU's */
    const uint8_t *table;
    uint8_t *window;
    struct ring_hw hw;
    void *arg;
    uint64_t version; /* of the table, as the lists below are */
    unsigned nin, nout;
    unsigned stashed, answers;   /* messages in the stash; answers in inboxes, unread, */
    uint16_t unread[DTU_EPS];    /* and for each endpoint */
    uint16_t first[DTU_EPS + 1]; /* incoming channels of an endpoint: in[first[ep]] on */
    uint16_t cursor[DTU_EPS];    /* whose turn it is */
    uint8_t passed[DTU_EPS];     /* messages by trap since one by a channel was seen */
    uint32_t uses[RING_SENDS];   /* sends by trap, of an endpoint or lane */
    uint32_t own; /* endpoints that this PE configures itself: those stores are posted, so what the
                     table says of them may be old */
    struct ring_stash stash[DTU_EPS];
    struct ring_watch watch;
    struct ring_asked asked;
    struct ring_now now;
    struct ring_ready ready[DTU_EPS];
    bool lanes; /* may it have any? */
    uint64_t lane_sends;
    struct ring_target target[RING_LANES];
    uint16_t in[RING_ENTRIES_MAX], out[RING_ENTRIES_MAX];
    uint64_t dropped; /* messages and answers that broke the rules */
};

/* ---- ring.c ---- */

/* The one of this PE; ring_init() asks the VMM for so many entries and forgets all there was. */
extern struct rings ring_self;
void ring_init(unsigned entries);
/* How many; a program may have a definition of its own. */
extern const unsigned ring_entries;

/* Starts with everything else zero. */
void ring_setup(struct rings *r, const uint64_t *regs, const void *table, void *window,
                const struct ring_hw *hw, void *arg);

/* Is msg in the window, i.e. for ring_ack() and ring_reply()? */
static inline bool ring_owns(const struct rings *r, const void *msg)
{
    uintptr_t off = (uintptr_t)msg - (uintptr_t)r->window;

    return r->on && off >= RING_ENTRY0_OFF &&
           off < RING_ENTRY0_OFF + RING_ENTRIES_MAX * (uintptr_t)RING_ENTRY_SIZE;
}

/*
 * SEND through endpoint ep: SE_OK, SE_INV_ARGS (too long), SE_MISS_CREDITS, SE_NO_RING_SPACE, or
 * RING_TRAP: nothing was done.
 */
unsigned ring_send(struct rings *r, unsigned ep, const void *data, size_t len, unsigned reply_ep,
                   uint64_t reply_label);

/*
 * SEND to endpoint `ep` of `pe` with unlimited credits and that label, without an endpoint for it:
 * for PEs that may write endpoints themselves, i.e. kernels.  SE_OK, SE_NO_RING_SPACE or RING_TRAP.
 */
struct ring_to {
    unsigned pe, vpe, ep;
    uint64_t label;
};
unsigned ring_send_to(struct rings *r, const struct ring_to *to, const void *data, size_t len,
                      unsigned reply_ep, uint64_t reply_label);

/* Has ep no channel, so that ring_send() would say RING_TRAP?  Counts and asks for one as that
 * does. */
bool ring_traps(struct rings *r, unsigned ep);
/* Can nothing come to ep by a channel, as they are now? */
bool ring_silent(struct rings *r, unsigned ep);

/* The next message of ep, by channel or by trap, in the order of each sender; NULL: none. */
const struct dtu_header *ring_fetch(struct rings *r, unsigned ep);

/*
 * The VMM has fetched this message from ep (0: none) while we waited: the next ring_fetch() of ep
 * finds it.  Nothing of ep may be in the stash.
 */
void ring_fetched(struct rings *r, unsigned ep, uint64_t addr);
/* Without rings: what ring_fetched() left for ep, or NULL. */
const struct dtu_header *ring_take_fetched(struct rings *r, unsigned ep);

/* Is there one by a channel for ep, for any endpoint, or one that was fetched already? */
bool ring_pending(struct rings *r, unsigned ep);
bool ring_any(struct rings *r);

/*
 * The endpoints, a bit each, for which ring_fetch() may have something by a channel or from the
 * stash; like ring_any() it overlooks what only a look at all would find, and what others have sent
 * since a run of one channel's messages began (RINGS.md): who takes those sees them next time.
 */
uint32_t ring_news(struct rings *r);

void ring_ack(struct rings *r, const struct dtu_header *msg);
/* SE_INV_ARGS (too long, or not to be answered any more), SE_RECV_GONE, SE_VPE_GONE,
 * SE_NO_RING_SPACE; frees the message in any case. */
unsigned ring_reply(struct rings *r, const struct dtu_header *msg, const void *data, size_t len);

/*
 * Before a wait: true if it may begin, and then senders ring the bell.  ring_awake() after it.
 * ring_spare(), where rings are on: cores for which no PE is awake; negative: more PEs than cores.
 */
bool ring_sleep(struct rings *r);
/* The same for who wants messages of endpoint ep only; others ring the bell, too. */
bool ring_sleep_for(struct rings *r, unsigned ep);
void ring_awake(struct rings *r);
int ring_spare(const struct rings *r);

#endif
