/* SPDX-License-Identifier: BSD-2-Clause */
/* What the services of hosttest and hostpair both do for a client on another node. */
#ifndef APPS_HOSTASK_H
#define APPS_HOSTASK_H

#include "server.h"
#include "syscall.h"

/* What a client asks for; each of the two has some more. */
enum ask { ASK_ECHO = 1, ASK_READ, ASK_WRITE, ASK_REVOKE, ASK_MORE };

/* The service's end of the memory: what it has given last, and what it was given. */
static struct {
    unsigned given;
    struct gate taken;
} memory;

/* (server_ops) */
static inline unsigned take_memory(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                                   struct cap_range *take, struct msg_writer *out)
{
    (void)arg;
    (void)ident;
    (void)in;
    (void)out;
    if (count != 1)
        return SE_INV_ARGS;
    gate_deactivate(&memory.taken);
    memory.taken.sel = sel_alloc(1);
    take->start = memory.taken.sel;
    take->count = 1;
    return SE_OK;
}

/* One of the four above; *word goes there and comes back. */
static inline unsigned ask_memory(uint64_t op, uint64_t *word)
{
    switch (op) {
    case ASK_ECHO:
        return SE_OK;
    case ASK_READ:
        return gate_read(&memory.taken, word, sizeof(*word), 0);
    case ASK_WRITE:
        return gate_write(&memory.taken, word, sizeof(*word), 8);
    case ASK_REVOKE:
        return sysc_revoke(cap_range(memory.given, 1), true);
    default:
        return SE_INV_ARGS;
    }
}

#endif
