/* SPDX-License-Identifier: BSD-2-Clause */
/* srvtest's two sides: what the service can be asked for. */
#ifndef SRVTEST_H
#define SRVTEST_H

#include <stdint.h>

#define SRVTEST_NAME "srvtest"
#define SRVTEST_MEM  4096u
#define SRVTEST_WORD 0x5e55104ull /* in the memory that it gives */

/* OBTAIN, first word. */
enum srvtest_give {
    GIVE_GATE,
    GIVE_MEM,
    GIVE_REFUSE,
    GIVE_TOO_MANY,
    GIVE_NOTHING_THERE,
    GIVE_DIE,
    GIVE_CRASH
};

/* Messages: words in, words out; the first one out is an error code. */
enum srvtest_op {
    ASK_REVOKE, /* the memory it gave last */
    ASK_READ,   /* the first word of the memory that was delegated last */
    ASK_OPEN,   /* sessions that are open */
};

/* The service; name: what it is called. */
int srvtest_serve(const char *name);

#endif
