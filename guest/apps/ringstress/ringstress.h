/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the parts of ringstress (main.c): messages, their contents, chance. */
#ifndef RINGSTRESS_H
#define RINGSTRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "gate.h"

#define CLIENTS_MAX  8u
#define RECV_EP      2u
#define SLOT_ORDER   7u  /* 128 bytes */
#define BUFFER_ORDER 12u /* 32 slots */
#define WORDS_MAX    10u
#define TO_SERVER    SEL_GIVEN
#define TO_VICTIM    (SEL_GIVEN + 1u)

/* Labels: a client's is its number. */
enum { LABEL_VICTIM = 14, LABEL_ROOT = 15, LABELS = 16 };

enum op {
    OP_TELL = 1, /* no answer */
    OP_ASK = 2,  /* answered, in any order */
    OP_DONE = 3, /* so many were accepted: seq */
    OP_STOP = 4, /* from now on answers say so */
    OP_QUIT = 5, /* how many were wrong? */
};

struct message {
    uint16_t op, life; /* of a victim: which one */
    uint32_t seq;
    uint64_t words[WORDS_MAX];
};
struct answer {
    uint32_t seq;
    uint32_t stop;
    uint64_t check;
};
_Static_assert(sizeof(struct message) + sizeof(struct dtu_header) <= 1u << SLOT_ORDER, "slot");

/* Each VPE has its own; a copy of a program must begin with another seed. */
extern uint64_t chance_state;
unsigned chance(unsigned below);

/* The bytes of the message with that number of that sender, and what they are. */
size_t message_fill(struct message *m, unsigned label, enum op op, unsigned life, uint32_t seq);
bool message_right(const struct dtu_header *h, const struct message *m);
uint64_t answer_check(unsigned label, uint32_t seq);

/* What the VPEs do. */
int serve(void *arg);
int client(void *arg); /* arg: its number */
int victim(void *arg); /* arg: which one it is */

#endif
