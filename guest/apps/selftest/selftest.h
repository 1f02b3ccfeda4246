/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The selftest's parts.  A test returns NULL when all is well, else why not.  Two VPEs take part:
 * the first runs the tests; the second, the servant, is a copy of the same program that does what
 * it is asked to by messages (servant.c).
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"
#include "vpe.h"

/* A reason, formatted into a static buffer. */
const char *fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CHECK(cond, ...)              \
    do {                              \
        if (!(cond))                  \
            return fail(__VA_ARGS__); \
    } while (0)

/* What the servant can be asked for: arguments, then results behind the error code. */
enum servant_op {
    SV_ECHO,      /* - ; label of the gate the question came through */
    SV_SEND,      /* selector, value ; put it on an endpoint, send value (as struct note) */
    SV_SEND_MORE, /* value ; send again through the same endpoint */
    SV_PROBE,     /* first selector, count ; how many of them can be activated */
    SV_GATE,      /* selector, label ; create a gate to our own command endpoint */
    SV_FORGE,     /* value ; as SV_SEND_MORE, with everything false that can be */
    SV_BAD_REPLY, /* - ; reply after changing the question's header in memory, which fails */
    SV_STORE,     /* - ; store to every register that is not ours, count those that changed */
    SV_EXIT,      /* status */
};
#define SV_WORDS 4u

/* What a test sends to the first VPE through a gate. */
struct note {
    uint64_t value;
    uint64_t lies[6]; /* looks like a header to whoever trusts payloads */
};

extern struct vpe servant;
extern struct recv_gate heard; /* notes arrive here */

#define SERVANT_EP     2u  /* where the servant takes questions */
#define SERVANT_SEL    16u /* its selectors for tests: from here up */
#define SERVANT_STATUS 0   /* its exit status; another one would fail the run */

/* Creates and starts it.  NULL or why not. */
const char *servant_begin(void);
/* Asks; in: SV_WORDS arguments, out: as many results (or NULL).  The error code of the answer. */
unsigned servant_ask(enum servant_op op, const uint64_t in[SV_WORDS], uint64_t out[SV_WORDS]);
unsigned servant_ask2(enum servant_op op, uint64_t a, uint64_t b, uint64_t *result);
/* The same through another gate to its command endpoint. */
unsigned servant_ask_through(struct gate *g, enum servant_op op, const uint64_t in[SV_WORDS],
                             uint64_t out[SV_WORDS]);
/* Ends it and compares its exit status. */
const char *servant_end(void);

/* A new gate to `heard`, or CAP_INVALID. */
unsigned gate_to_me(uint64_t label);
/* Waits for a note and compares label, value and sender.  NULL or what is wrong. */
const char *hear(uint64_t label, uint64_t value, const struct vpe *sender);
/* Has any note arrived? */
bool heard_something(void);
/* Stores to all registers a program may not write; how many changed. */
unsigned store_everywhere(void);

const char *test_noop(void);
const char *test_creategate(void);
const char *test_revoke(void);
const char *test_revoke_missing(void);
const char *test_create_revoke(void);
const char *test_delegate(void);
const char *test_cross_revoke(void);
const char *test_exchange_revoke(void);
const char *test_obtain(void);
const char *test_chain_1(void);
const char *test_chain_10(void);
const char *test_chain_100(void);
const char *test_chain_1000(void);
const char *test_mem_transfer(void);
const char *test_mem_bounds(void);
const char *test_mem_perm(void);
const char *test_forge(void);
const char *test_store(void);

#endif
