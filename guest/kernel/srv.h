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
    struct service *srv;  /* NULL: another kernel's, */
    uint64_t key;         /* of which this is the service */
    struct session *list; /* srv->sessions */
    struct session *next; /* in srv->closing */
    uint64_t ident;       /* what the service calls it */
    unsigned caps;        /* capabilities for it */
    unsigned pins;        /* requests over it that wait or are in flight */
    bool server_owned;    /* by CREATESESSAT: one of the capabilities is the service's own */
    bool open;            /* the service has it and was not told to close it */
    bool remote;          /* other kernels may have it */
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
    struct session *sessions;
    bool hidden;   /* other kernels are not told of it */
    bool shutdown; /* is to be told, or was */
    bool told;
    bool in_next; /* srv_next() is at work on it */
    bool full;    /* its endpoint took nothing; waited: since then */
    /* In flight: */
    bool busy;
    uint8_t op;                /* enum srv_op */
    uint32_t seq;              /* tells its answer from an older one */
    struct srv_client *client; /* NULL: has ended, or nobody waits */
    struct session *session;   /* OPEN, OBTAIN, DELEGATE: pinned; CLOSE: that one */
    uint64_t waited;           /* ns for which nothing came */
    /* Waiting: */
    struct srv_client *head, **tail;
    struct session *closing, **closing_tail;
    char name[SRV_NAME];
};

/* The service of that name, NULL: none. */
struct service *srv_find(const char *name);

/* A service of v, receiving at the gate's endpoint; its capability goes to sel. */
int srv_create(struct vpe *v, uint32_t sel, const struct cap *gate, const char *name);

/* An exchange or OPEN that another kernel has asked for (kcall_exch.c). */
struct rexchange {
    struct rexchange *next; /* kern.peers.exchanges */
    struct srv_client client;
    uint16_t peer;
    uint32_t tid; /* the peer's */
    uint32_t vpe; /* OPEN: handed back */
    uint64_t key; /* OPEN: the session's; otherwise the VPE's, with a serial number */
    struct cap_range range;
    bool waits_ack;  /* DELEGATE: the service has answered, the capabilities have not come; */
    uint32_t my_tid; /* they come with this */
    uint16_t holder; /* to this PE's VPE */
    struct park park;
    uint16_t args_len;
    uint8_t args[];
};

/* A session without capabilities.  NULL: no memory. */
struct session *session_create(struct service *s);
/* One with a service of another kernel. */
struct session *session_remote(uint64_t srv, uint64_t ident);
/* The session of that ident that other kernels may use, NULL: none. */
struct session *session_find(struct service *s, uint64_t ident);
/* The key of its service. */
uint64_t session_srv_key(struct session *n);
/* Its last request or capability is gone. */
void session_pin(struct session *s);
void session_unpin(struct session *s);

/* c (with its session pinned) joins the requests for s. */
void srv_request(struct service *s, struct srv_client *c);

/* sys_srv.c: the request that v waits for as a message to its service; its length, 0: nothing. */
size_t srv_build(struct vpe *v, void *buf, size_t size);
/* sys_srv.c: the service has answered; answers v.  *in is behind the (good) error code. */
void srv_answered(struct vpe *v, struct service *s, struct session *session, struct msg_reader *in);

#endif
