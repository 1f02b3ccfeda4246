/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server side of services (semperos-platform 8).  The kernel asks a service to open and close
 * sessions and to exchange capabilities over them, one request at a time; messages of clients come
 * to the same endpoint and are told apart by their label: the kernel's is SERVER_KERNEL_LABEL,
 * those of clients are what server_gate() was given.
 */
#ifndef GUEST_SERVER_H
#define GUEST_SERVER_H

#include "gate.h"
#include "marshal.h"

#define SERVER_KERNEL_LABEL 0ull /* labels of clients' gates: not 0 */
#define SERVER_ORDER        13u
#define SERVER_MSGORDER     8u
#define SERVER_MSG_MAX      (1u << SERVER_MSGORDER) /* header included */
#define SERVER_KRNL_SLOTS   1u                      /* of its 32 slots, for the kernel */

/* The service protocol's operations. */
enum server_op {
    SERVER_OPEN = 0,
    SERVER_OBTAIN = 1,
    SERVER_DELEGATE = 2,
    SERVER_CLOSE = 3,
    SERVER_SHUTDOWN = 4,
};

/*
 * What a service does.  Each may be NULL, and returns an error code (errors.h).  `in` is behind
 * what is passed; `out` goes behind what the library answers.  arg: the server's.
 */
struct server_ops {
    /* A session; *ident is what it will be called.  NULL: 1, 2, 3, ... */
    unsigned (*open)(void *arg, struct msg_reader *in, uint64_t *ident);
    /* At most count capabilities for the client: *give.  NULL: SE_NOT_SUP. */
    unsigned (*obtain)(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                       struct cap_range *give, struct msg_writer *out);
    /* count capabilities of the client's: *take says where to.  NULL: SE_NOT_SUP. */
    unsigned (*delegate)(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                         struct cap_range *take, struct msg_writer *out);
    void (*close)(void *arg, uint64_t ident);
    void (*shutdown)(void *arg);
    /* A message of a client; *out (behind nothing) is the reply. */
    void (*message)(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out);
};

struct server {
    const struct server_ops *ops;
    void *arg;
    struct recv_gate gate;
    unsigned sel, control; /* the service's capability; that of the kernel's gate */
    uint64_t idents;
    bool stop;
    const struct dtu_header *current; /* the client's message being handled, NULL: it was kept */
};

/* Registers the service.  Errors of CREATESRV, SE_EXISTS among them; then nothing is left. */
unsigned server_create(struct server *s, const char *name, const struct server_ops *ops, void *arg);

/* A gate for a client, at a new selector; messages come with that label.  Errors of CREATEGATE. */
unsigned server_gate(struct server *s, uint64_t label, unsigned *sel);

/*
 * In `message`: the message is answered later, by server_answer() with n bytes; it keeps its slot
 * until then.
 */
const struct dtu_header *server_keep(struct server *s);
void server_answer(struct server *s, const struct dtu_header *msg, const void *data, size_t n);

/* Serves until SHUTDOWN has come or `stop` is set by a callback. */
void server_run(struct server *s);

/* Revokes the service, and so its sessions. */
unsigned server_destroy(struct server *s);

#endif
