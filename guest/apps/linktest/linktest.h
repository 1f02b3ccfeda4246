/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linktest: traffic between PEs of different nodes, without kernels; see main.c.  Each PE has the
 * same endpoints:
 */
#ifndef LINKTEST_H
#define LINKTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtu_drv.h"

enum {
    EP_REQUESTS = 0, /* 32 slots of 4096 bytes: what the others send */
    EP_REPLIES = 1,
    EP_MEM = 2,    /* set anew for each use */
    EP_PEER = 3,   /* EP_PEER + i: to pair i's other PE */
    EP_SMALL = 13, /* 2 slots of 256 bytes, which nobody empties meanwhile */
    EP_SCRATCH = 14,
    EP_INVALID = 15, /* never set */
};

#define PAIRS_MAX  10u /* of one PE */
#define GLOBAL_MAX 64u /* of all */
#define VPE        DTU_VPE_INVALID
#define SLOT_ORDER 12u
#define MSG_MAX    (DTU_MAX_PACKET - sizeof(struct dtu_header))
#define SINK_SIZE  16384u
#define SMALL_SIZE 256u

enum kind { KIND_HELLO = 1, KIND_DATA = 2, KIND_BYE = 3 };
enum verdict { VERDICT_OK = 0, VERDICT_UNKNOWN = 1 };

/* A message; content bytes follow. */
struct request {
    uint32_t kind;
    uint32_t len; /* of the content */
    uint64_t session;
    uint64_t seq;
};

struct answer {
    uint64_t session;
    uint64_t seq;
    uint32_t sum;
    uint32_t verdict;
};

struct pair {
    unsigned index; /* in the list of all pairs: names the region of the other's memory */
    unsigned pe;    /* the other one */
    unsigned ep;
    /* What we send. */
    bool up; /* the other one has answered this session's HELLO */
    bool done;
    uint64_t session, next, answered;
    unsigned sessions;
    uint64_t idle_since, retry_at;
    /* What we receive. */
    uint64_t from_session, from_next, from_total;
    bool bye;
};

extern unsigned passed, failed;

void good(const char *what);
__attribute__((format(printf, 1, 2))) void wrong(const char *format, ...);

/* The time in ns: one exit. */
uint64_t time_now(void);

/* Content number `seq` of a session, and its checksum. */
void content_fill(uint8_t *p, size_t len, uint64_t session, uint64_t seq);
uint32_t content_sum(const uint8_t *p, size_t len);

/* Every error code, registers, bounds: with a PE of another node that is there. */
void test_errors(const struct pair *p);
/* One random write into the other's memory, read back. */
bool test_memory(const struct pair *p, uint64_t number, unsigned *err);

/* Copies this program to another PE of this node and starts it there with our arguments. */
void clone_to(unsigned pe);
/* Until that copy has ended; its number of failures. */
unsigned clone_wait(unsigned pe);

extern uint8_t sink[GLOBAL_MAX][SINK_SIZE];
/* 0, or when this program has ended its failures + 1; clone_wait() reads it from afar. */
extern volatile uint64_t ended;

#endif
