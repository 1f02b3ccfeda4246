/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services and sessions: what srv.c keeps and sys_srv.c asks of it.
 *
 * A service is a name and an endpoint of its VPE.  It lives as long as its capability; it has one
 * request at most, and what else there is for it waits in lists that need no memory: a client waits
 * in its own struct wait (the request is still in its message slot), a CLOSE in its session.
 */
#ifndef KERNEL_SRV_H
#define KERNEL_SRV_H

#include "kernel.h"

#define SRV_NAME    64u
#define SRV_MAX     32u  /* one slot of endpoint 15 each */
#define SRV_REQ_MAX 512u /* as long as a system call */

enum srv_op { SRV_OPEN = 0, SRV_OBTAIN = 1, SRV_DELEGATE = 2, SRV_CLOSE = 3, SRV_SHUTDOWN = 4 };

struct session {
    struct service *srv;
    struct session *next; /* in srv->closing */
    uint64_t ident;       /* what the service calls it */
    unsigned caps;        /* capabilities for it */
    unsigned pins;        /* requests over it that wait or are in flight */
    bool server_owned;    /* by CREATESESSAT: one of the capabilities is the service's own */
    bool open;            /* the service has it and was not told to close it */
    bool queued;          /* in srv->closing, or that CLOSE is in flight */
};

struct service {
    struct service *next; /* kern.services */
    struct vpe *vpe;      /* NULL: ended */
    struct cap *cap;      /* NULL: revoked; then it only waits for the answer to its last request */
    uint32_t id;
    uint8_t ep;
    uint64_t label;
    unsigned users; /* sessions and copies of the capability, which all point here */
    bool shutdown;  /* is to be told, or was */
    bool told;
    bool in_next; /* srv_next() is at work on it */
    /* In flight: */
    bool busy;
    uint8_t op;              /* enum srv_op */
    uint32_t seq;            /* tells its answer from an older one */
    struct vpe *client;      /* NULL: has ended, or nobody waits */
    struct session *session; /* OPEN, OBTAIN, DELEGATE: pinned; CLOSE: that one */
    uint64_t waited;         /* ns for which nothing came */
    /* Waiting: */
    struct vpe *head, **tail;
    struct session *closing, **closing_tail;
    char name[SRV_NAME];
};

/* The service of that name, NULL: none. */
struct service *srv_find(const char *name);

/* A service of v, receiving at the gate's endpoint; its capability goes to sel. */
int srv_create(struct vpe *v, uint32_t sel, const struct cap *gate, const char *name);

/* A session without capabilities.  NULL: no memory. */
struct session *session_create(struct service *s);
/* Its last request or capability is gone. */
void session_pin(struct session *s);
void session_unpin(struct session *s);

/* The call in v->wait (kind WAIT_SRV, its session pinned) joins the requests for s. */
void srv_request(struct service *s, struct vpe *v);

/* sys_srv.c: the request that v waits for as a message to its service; its length, 0: nothing. */
size_t srv_build(struct vpe *v, void *buf, size_t size);
/* sys_srv.c: the service has answered; answers v.  *in is behind the (good) error code. */
void srv_answered(struct vpe *v, struct service *s, struct session *session, struct msg_reader *in);

#endif
