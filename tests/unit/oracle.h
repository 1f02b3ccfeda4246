/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The oracle: random forests of capabilities over 1 to 8 kernels of the fake machine, beside a
 * model that knows nothing of kernels, only who has what from whom.
 *
 * Programs (actors) create, derive and exchange capabilities, locally and over sessions with
 * services of any kernel, revoke them, start and end VPEs, move from one kernel to another, and
 * die, without waiting for each other; messages between kernels arrive in between, in any order
 * that a network could bring about, some refused at first.  Programs may crash and kernels, too,
 * which start again.  Now and then all is left to settle; then every table must be the model's,
 * what one kernel says of another must be true, and nothing may wait, be reserved or be owed.
 *
 * One process runs one forest at a time.  What is wrong is printed with the seed and ends the
 * process by abort().
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "kernel_fake.h"

#define ORACLE_ACTORS 20u
#define ORACLE_TABLES (2 * ORACLE_ACTORS) /* of actors; of the VPEs that they have created */
#define ORACLE_SELS   480u                /* that the model knows of each table, */
#define ORACLE_FIRST  1000u               /* from here on */
#define ORACLE_RANGE  8u                  /* capabilities in one operation, at most */

/* A capability: selector ORACLE_FIRST + s of table t is node t * ORACLE_SELS + s. */
struct oracle_node {
    bool there;
    bool pending; /* what an exchange that is not over may bring */
    int parent, child, next;
    bool lent;       /* memory of the memory PE, */
    unsigned lender; /* this kernel's, wherever its VPE goes */
};

struct oracle_table {
    bool live;
    unsigned kernel, pe, used; /* used: selectors below were given out */
};

enum oracle_does { DOES_NOTHING, DOES_REVOKE, DOES_EXCHANGE };

struct oracle_actor {
    bool alive, crashed;
    bool unsure; /* a kernel died in the middle of its move: is it alive?  It does nothing */
    bool roams;  /* no service and no child, so that its VPE can move to other kernels */
    enum oracle_does does;
    unsigned seen; /* replies before the call it waits for */
    /* DOES_EXCHANGE: with which service, what of ours, what of theirs */
    unsigned with, ours, theirs, count;
    bool obtains, answered;
};

struct oracle {
    uint64_t seed, state;
    unsigned kernels, nactors;
    bool refusals, crashes, deaths; /* what this seed injects */
    bool moves;                     /* some actors roam */
    bool slow;                      /* services take their time, so that calls are parked */
    bool injected;                  /* any of that happened since all had settled */
    struct oracle_actor actor[ORACLE_ACTORS];
    struct oracle_table table[ORACLE_TABLES];
    struct oracle_node node[ORACLE_TABLES * ORACLE_SELS];
    unsigned long ops, made, revoked, errors, ends, kills; /* what it did */
    unsigned long moved, stayed; /* VPEs that moved to another kernel, or could not */
    unsigned long parked;        /* calls that gave their place back */
    unsigned most;               /* capabilities at once */
};
extern struct oracle oracle;

/* Runs the forest of that seed. */
void oracle_run(uint64_t seed);

/* ---- oracle_model.c ---- */

/* A number below n, n > 0. */
unsigned oracle_pick(unsigned n);

_Noreturn void oracle_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Node `at` comes to be, derived from `parent` (-1: from nothing), if that is there. */
void oracle_add(unsigned at, int parent);
/* It goes, or only what was derived from it, or all of a table. */
void oracle_revoke(unsigned at);
void oracle_revoke_children(unsigned at);
void oracle_revoke_table(unsigned table);

/* The capability that table t's kernel really has at selector s. */
struct cap *oracle_real(unsigned t, unsigned s);
/* A selector of t with a capability whose exchange is over, -1: none found. */
int oracle_some(unsigned t);

/* All has settled: compares tables, and what kernels say of each other; ends the process if not. */
void oracle_compare(void);

/* ---- oracle_place.c: who is there ---- */

#define ORACLE_CHILD 10u  /* an actor's selector for the VPE that it has created */
#define ORACLE_SESS  100u /* + number of the service: its session with it */

/* Kernels and actors for oracle.seed. */
void oracle_place(void);
/* Whoever has no VPE, or a dead one, gets a new one; kernels that died start again.  All is still.
 */
void oracle_revive(void);
/* Actor v's VPE ends.  A kernel dies, with all that runs there. */
void oracle_end_actor(unsigned v);
void oracle_kill(unsigned kernel);
/* Of a kernel that has to do with a move just now, if there is one. */
void oracle_kill_mover(void);
/* Does it live? */
bool oracle_lives(unsigned kernel);
/* Actor v's VPE is to move to that kernel; does it?  Table t's kernel is found again. */
void oracle_move(unsigned v, unsigned to);
bool oracle_on_its_way(unsigned v);
void oracle_find(unsigned t);

/* Time goes by and messages arrive until nobody waits for anybody; fails if somebody always does.
 */
void oracle_settle(void);
/* Actor v's service answers what it was asked; v's call may have been answered. */
void oracle_answer(unsigned v);
void oracle_look(unsigned v);

#endif
