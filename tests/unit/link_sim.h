/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nodes that speak the link protocol over a simulated wire, in virtual time, all from one seed.
 *
 * Each node has initiators (PEs) that do as a DTU's do: one packet at a time to a random PE of
 * another node, the next one when that is complete.  Every packet says who sent it, its number and
 * what it holds; the far side checks all of it, answers with what the sender can check in turn, and
 * notes that it came.  Whatever is wrong aborts, with the seed.
 */
#ifndef LINK_SIM_H
#define LINK_SIM_H

#include "../../guest/bridge/link.h"

#define SIM_NODES 8u
#define SIM_PES   100u /* per node, at most; node k has PEs k * SIM_PES + ... */
#define SIM_US    1000ull
#define SIM_MS    1000000ull
#define SIM_S     1000000000ull

struct sim_wire {
    unsigned loss;    /* of 1000 */
    unsigned dup;     /* of 1000 */
    unsigned reorder; /* of 1000: held back until up to `distance` others have overtaken it */
    unsigned distance;
    uint64_t delay;  /* ns, one way */
    uint64_t jitter; /* ns more, at random: reorders too */
    uint64_t stall;  /* ns for which nothing passes, about every five times as long */
    unsigned full;   /* of 1000: send() says no */
};

struct sim_config {
    uint64_t seed;
    unsigned nodes, pes; /* pes: initiators per node */
    unsigned max;        /* largest payload, 0: all kinds */
    unsigned peer_only;  /* not 0: node 0 alone initiates */
    bool msg_only;
    bool async;         /* answers come later, not within deliver() */
    uint64_t epoch_low; /* not 0: low half of all epochs */
    struct link_config link;
    struct sim_wire wire;
    size_t mem; /* of each link; 0: enough for LINK_SLOTS */
};

struct sim_pe {
    uint32_t number;    /* of the packet under way, or of the last */
    uint32_t delivered; /* highest number that arrived anywhere */
    uint32_t done;      /* completed with the far side's result */
    uint32_t gone;      /* completed with SE_RECV_GONE */
    bool busy;
    uint16_t dst;
    uint8_t op;
    uint16_t len;
    uint64_t offset;
    unsigned target_life; /* what the sender was connected to, ~0u: nothing */
    uint64_t since;       /* when it was submitted */
};

struct sim_node {
    struct link *link;
    void *mem;
    bool up;
    unsigned life; /* counts starts */
    unsigned state[SIM_NODES];
    unsigned peer_life[SIM_NODES]; /* of the other, when the connection came up */
    struct sim_pe pe[SIM_PES];
    struct sim_answer *answers;
    uint64_t ups[SIM_NODES], downs[SIM_NODES]; /* connections that came and went */
};

struct sim {
    struct sim_config cfg;
    uint64_t now, rng;
    struct sim_node node[SIM_NODES];
    struct sim_packet **heap;
    size_t heap_n, heap_max;
    uint64_t order;
    uint64_t passed[SIM_NODES][SIM_NODES]; /* datagrams that were sent, for reordering */
    struct sim_packet *held;
    uint64_t stall_from, stall_to;
    bool paused;                         /* initiators begin nothing new */
    bool cut[SIM_NODES][SIM_NODES];      /* this direction is dead */
    uint64_t delivered, completed, gone; /* of all */
    uint64_t target;                     /* begin no more packets than this, 0: no limit */
    uint64_t begun;
    /* Not NULL: sees every datagram that is sent; false: it is lost. */
    bool (*tap)(struct sim *s, unsigned from, unsigned to, const uint8_t *buf, size_t len);
    void *tap_arg;
};

struct sim *sim_new(const struct sim_config *cfg);
void sim_free(struct sim *s);
uint64_t sim_random(struct sim *s);
static inline uint64_t sim_below(struct sim *s, uint64_t n)
{
    return sim_random(s) % n;
}

/* One event; false: nothing will ever happen again. */
bool sim_step(struct sim *s);
/* Until `packets` have completed in all, or virtual time `until`. */
void sim_run(struct sim *s, uint64_t packets, uint64_t until);
/* Until all are connected; aborts if that takes longer than `limit`. */
void sim_connect(struct sim *s, uint64_t limit);
/* No more packets begin; until none is under way.  Aborts if that takes longer than `limit`. */
void sim_drain(struct sim *s, uint64_t limit);

void sim_crash(struct sim *s, unsigned node);
void sim_start(struct sim *s, unsigned node);
/* A datagram arrives at a node, now. */
void sim_inject(struct sim *s, unsigned to, unsigned node, const void *buf, size_t len);

/* What packet `number` of a PE holds at byte i; what a READ of that PE's memory gives there. */
uint8_t sim_byte(unsigned pe, uint32_t number, unsigned i);
uint32_t sim_result(unsigned pe, uint32_t number);

#define sim_must(s, cond)                               \
    do {                                                \
        if (!(cond))                                    \
            sim_failed((s), #cond, __FILE__, __LINE__); \
    } while (0)
_Noreturn void sim_failed(const struct sim *s, const char *what, const char *file, int line);

#endif
