/* SPDX-License-Identifier: BSD-2-Clause */
/* Between capforest's client (main.c) and its service (service.c). */
#ifndef CAPFOREST_FOREST_H
#define CAPFOREST_FOREST_H

#include "syscall.h"

#define BASE    1000u /* first selector of the tables */
#define SLOTS   48u   /* of each client in each of them */
#define CLIENTS 16u   /* of one service */
#define PLACES  8u    /* a client's own table is number 0 */
#define LOOK    40u   /* steps from one comparison to the next */

#define MS      1000000ull
#define POLL_NS (2 * MS)
#define POLLS   60000u /* two minutes, and more where the machine is slow */

enum ask { ASK_REVOKE = 1, ASK_THERE, ASK_QUIT };

/* Is there a capability at that selector?  Then endpoint ep can be configured from it. */
static inline bool is_there(unsigned ep, unsigned sel)
{
    return sysc_activate(ep, CAP_INVALID, sel) == SE_OK;
}

/* At which of the SLOTS selectors from base on there is one. */
static inline uint64_t there_mask(unsigned ep, unsigned base)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < SLOTS; i++)
        mask |= is_there(ep, base + i) ? 1ull << i : 0;
    return mask;
}

/* The service of that name, until `count` clients or the kernel have told it to end; exit status.
 */
int forest_serve(const char *name, unsigned count);

#endif
