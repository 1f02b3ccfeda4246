/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nodes that speak the link protocol over a simulated wire, in virtual time, all from one seed.
 *
 * Each node has initiators (PEs) that do as a DTU's do: one packet at a time, or a few, to a random
 * PE of another node, the next one when one is complete.  Every packet says who sent it, its number
 * and what it holds; the far side checks all of it, answers with what the sender can check in turn,
 * and notes that it came.  Whatever is wrong aborts, with the seed.
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

struct sim;

/* A packet of a PE, a function of seed, PE and number. */
struct sim_job {
    uint8_t op;
    uint16_t dst, vpe, len;
    uint64_t offset; /* whose upper half is the number */
};

struct sim_config {
    uint64_t seed;
    unsigned nodes, pes; /* pes: initiators per node */
    unsigned depth;      /* packets that each has under way, at most 32; 0: 1 */
    unsigned max;        /* largest payload, 0: all kinds */
    bool one_way;        /* node 0 alone initiates */
    bool msg_only;
    /* Not NULL: changes the packets that PEs send. */
    void (*job)(struct sim_job *j, unsigned pe, uint32_t number);
    bool async;         /* answers come later, not within deliver() */
    uint64_t think;     /* ns that a PE waits between two packets, at most */
    uint64_t start;     /* what the clock says at first, ns */
    uint64_t epoch_low; /* not 0: low half of all epochs */
    struct link_config link;
    struct sim_wire wire;
    size_t mem; /* of each link; 0: enough for LINK_SLOTS */
};

struct sim_pe {
    uint64_t busy;                 /* bit i: packet number - i is under way */
    uint32_t number;               /* of the last packet that began */
    uint32_t first;                /* number of the first of this life of its node */
    unsigned target_life[64];      /* by number: what the node was connected to; ~0u: nothing */
    uint64_t since[64];            /* by number: when it was submitted */
    uint64_t next;                 /* when it may begin another one */
    uint32_t delivered[SIM_NODES]; /* highest number that arrived there */
    uint64_t gone;                 /* bit i: packet number - i failed with SE_RECV_GONE */
    uint64_t done;                 /* packets with a result of the far side */
};

struct sim_node {
    struct link *link;
    void *mem;
    bool up, woken;
    uint64_t frozen; /* it does not run before; what comes waits in its host */
    unsigned life;   /* counts starts */
    unsigned state[SIM_NODES];
    unsigned peer_life[SIM_NODES]; /* of the other, when the connection came up */
    unsigned seen_life[SIM_NODES]; /* latest life that packets came from */
    struct sim_pe pe[SIM_PES];
    struct sim_answer *answers;
    uint64_t longest;                          /* that a packet was under way */
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

static inline bool sim_chance(struct sim *s, unsigned permille)
{
    return permille && sim_below(s, 1000) < permille;
}

/* One event; false: nothing will ever happen again. */
bool sim_step(struct sim *s);
/* Until `packets` have completed in all, or virtual time `until`. */
void sim_run(struct sim *s, uint64_t packets, uint64_t until);
/* Until all are connected; aborts if that takes longer than `limit`. */
void sim_connect(struct sim *s, uint64_t limit);
/* No more packets begin; until none is under way.  Aborts if that takes longer than `limit`. */
void sim_drain(struct sim *s, uint64_t limit);

/* How many packets of a node's PEs are under way to another node. */
unsigned sim_busy_to(const struct sim *s, unsigned node, unsigned other);

void sim_crash(struct sim *s, unsigned node);
void sim_start(struct sim *s, unsigned node);
/* A datagram arrives at a node, now. */
void sim_inject(struct sim *s, unsigned to, unsigned node, const void *buf, size_t len);

/* link_sim_wire.c */
void sim_wire_send(struct sim *s, unsigned from, unsigned to, const void *buf, size_t len);
uint64_t sim_wire_next(const struct sim *s);
void sim_wire_arrivals(struct sim *s);
void sim_wire_free(struct sim *s);

#define sim_must(s, cond)                               \
    do {                                                \
        if (!(cond))                                    \
            sim_failed((s), #cond, __FILE__, __LINE__); \
    } while (0)
_Noreturn void sim_failed(const struct sim *s, const char *what, const char *file, int line);

#endif
