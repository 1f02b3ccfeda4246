/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes a run a function of a seed: how the scheduler chooses, and what it does to the PEs.
 */
#ifndef VMM_SEED_H
#define VMM_SEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

enum seed_policy {
    SEED_UNIFORM,  /* any PE that can go on, at every step */
    SEED_ROBIN,    /* the next one by number, at every step */
    SEED_PCT,      /* by random priority, which changes at a bounded number of steps */
    SEED_LIST,     /* as a trace says; where it says nothing, go on with the same PE */
    SEED_SWITCHES, /* as a trace's switches say, each at its PE's own step (seed_pick.c) */
};

#define SEED_NAMED 16u /* faults at a named step */
#define SEED_ANY   16u /* PEs of which the seed chooses one */

/* Shares are out of a million. */
struct seed_faults {
    uint32_t refuse, delay, spurious, crash;
    uint32_t loss, dup, reorder, stall; /* of frames between nodes */
    uint32_t down, up;                  /* of nodes; of those that return */
    struct {
        uint8_t kind; /* enum trace_inject */
        uint16_t pe;  /* or node, for TI_LOSS and above */
        uint64_t step;
        uint64_t last;          /* SEED_ANY: `step` is to be one up to here, */
        uint8_t npes;           /* and `pe` one of these; 0: both are settled */
        uint16_t pes[SEED_ANY]; /* (seed_settle_faults()) */
    } named[SEED_NAMED];
    unsigned nnamed;
};

struct seed_opts {
    bool on;
    uint64_t seed;
    enum seed_policy policy;
    unsigned changes; /* SEED_PCT: priority change points */
    uint64_t horizon; /* SEED_PCT: steps among which they lie */
    struct seed_faults faults;
    const char *trace; /* file to write, or NULL */
    const char *args;  /* the command line, strings with their NULs, for the trace */
    size_t args_len;

    const char *schedule; /* trace whose switches to follow (SEED_SWITCHES), or NULL */

    /* SEED_LIST, SEED_SWITCHES: the recorded run, owned by the caller. */
    const struct trace_record *list;
    size_t nlist;
    uint64_t machine; /* the recorded machine's hash */
    bool compare;     /* every record must be the recorded one */
    uint64_t until;   /* stop at this step and print all DTUs; ~0: run to the end */
};

/*
 * Parse "17" or "0x11"; "uniform", "rr", "pct", "pct:DEPTH" or "pct:DEPTH:STEPS";
 * "refuse=0.01,delay=0.1,spurious=0.05,crash=3@1200"; "crash=3+5@1000..9000" leaves it to the seed
 * which of these PEs and at which of these steps.  0, or -EINVAL with one line in err.
 */
int seed_parse(struct seed_opts *o, const char *text, char *err, size_t size);
int seed_parse_policy(struct seed_opts *o, const char *text, char *err, size_t size);
int seed_parse_faults(struct seed_opts *o, const char *text, char *err, size_t size);

/* What the list of faults leaves to the seed, when that is known; again changes nothing. */
void seed_settle_faults(struct seed_opts *o);

/* A number that depends on all of its arguments and nothing else. */
uint64_t seed_mix(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);

#endif
