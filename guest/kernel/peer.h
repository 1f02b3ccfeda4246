/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other kernels: what is known of each, what is on its way to it, and who owns which PE
 * (semperos-platform 7).  Included by kernel.h, which has the rest of the state.
 *
 * Nothing here blocks.  What cannot be sent now waits in a queue: answers in one, requests in
 * another, revocations in a third that needs no memory, since its entries are the children to be
 * revoked (struct rkid) and the capabilities whose revocation is to be reported (struct cap).
 */
#ifndef KERNEL_PEER_H
#define KERNEL_PEER_H

#include "boot.h"
#include "kernelcalls.h"
#include "syscalls.h"

#define KC_NAME 64u

/* A tid with this bit: the request gets a mere acknowledgement, and somebody waits for that. */
#define KC_TID_ACK 0x80000000u

enum peer_state {
    PEER_NONE,
    PEER_BOOTING,    /* we have started it; it has not called yet */
    PEER_CONNECTING, /* has not answered our CONNECT, or not even that could be sent */
    PEER_UP,
};

/*
 * Several to one kernel in one message: behind the first one, and the original's arguments, their
 * number and a pair of words for each.  Only kernels whose keys have serial numbers read that.
 */
#define KC_MORE 120u

/* What one peer may have us keep; an honest one comes nowhere near it. */
#define KC_REPLIES_MAX   32u    /* answers that it does not let us send; it may ask four things */
#define KC_REQUESTS_MAX  4096u  /* requests to it */
#define KC_OWED_MAX      1024u  /* REVOKEFINISH for what was not there */
#define KC_CHILDREN_MAX  32768u /* children of ours that it has */
#define KC_EXCHANGES_MAX 256u   /* it has asked for */
#define KC_SERVICES_MAX  64u    /* it has announced */
#define KC_ITEMS_MAX     1024u  /* it has stored in the hash table */
#define KC_PARKS_MAX     192u   /* calls of its that are parked here, and answers it has to take */
#define KC_PARKED_MAX    256u   /* calls of ours that it may park; answers may be on their way */

/* A message that waits to be sent. */
struct kmsg {
    struct kmsg *next;
    uint16_t len;
    uint32_t tid; /* of a request that gets more than an acknowledgement */
    uint8_t data[];
};
struct kmsg_queue {
    struct kmsg *head, **tail;
    unsigned count;
};

/* A revocation that had nothing to do, which the initiator is told all the same. */
struct kowed {
    struct kowed *next;
    uint64_t parent;
};

/* A request that was sent and not answered. */
struct kreq {
    uint8_t op;
    uint32_t tid;
    uint64_t waited; /* ns */
};

/* One of ours that the peer has parked. */
struct kparked {
    struct kparked *next;
    struct kreq req;
};

/* How long a call of a peer's has waited here, and whether it is parked (park.c). */
struct park {
    bool seen;       /* when it came is not known better than this: before the last tick */
    bool parked;     /* the peer has been told so */
    uint64_t waited; /* ns since then */
};

/* What the peer waits for here: as many as it may have messages under way, and those parked. */
struct kwait {
    bool used;
    uint8_t op;
    uint32_t tid;
    uint16_t pe;
    uint8_t ep;
    uint64_t key;
    struct park park;
};
#define KC_WAITS 32u

struct peer {
    uint16_t id, pe;
    enum peer_state state;
    bool configured; /* by peer=: connected to again when it is gone */
    bool created;    /* by us, or our creator, or announced: shares our start and end */
    uint8_t remote_ep;
    uint64_t incarnation; /* 0: it has not told */
    unsigned losses;      /* how often we have forgotten what it had of us */
    bool last_reply;      /* the last message either way was a reply of ours */
    bool ours;            /* it knows what stands behind the original's arguments */
    bool held;            /* it gives a PE away, or does not know yet that one is ours: requests
                           * to it wait (move.h) */
    uint8_t move;         /* enum move_peer: what it has of a move of ours */
    uint16_t move_pe;     /* that OFF or DEAD is about */
    uint16_t asks_pe;     /* whose this PE is, which we have not got: it gets DEAD; 0: nothing */
    bool flushing;
    unsigned unanswered; /* requests of its own that we have not answered */
    unsigned inflight;
    struct kreq req[KC_INFLIGHT]; /* oldest first */
    struct kmsg_queue requests, replies, urgent;
    struct kmsg_queue late;                /* answers to what was parked */
    struct kparked *parked;                /* calls of ours */
    struct rkid *revokes, **revokes_tail;  /* REVOKE for each */
    struct cap *finished, **finished_tail; /* REVOKEFINISH for each, key: the initiator's */
    struct cap *removed, **removed_tail;   /* REMOVECHILDCAPPTR for each */
    unsigned acks;                         /* REPLYKRNLC owed */
    struct kowed *owed;                    /* REVOKEFINISH for each */
    unsigned nowed, nchildren, nexchanges; /* see KC_OWED_MAX and the like */
    unsigned nparks, nparked;              /* calls of its here, of ours there */
    struct kwait waits[KC_WAITS];
    uint64_t failing;                  /* ns for which it could not be reached */
    uint64_t quiet;                    /* ns since it was last seen to live */
    uint64_t retry;                    /* ns until the next CONNECT */
    bool start_sign;                   /* STARTAPPS came from it */
    bool asked_end, may_end, told_end; /* SHUTDOWNREQUEST, its answer, SHUTDOWN */
    uint64_t end_waited;
    unsigned starting; /* KCREATEVPEs that it has not answered */
};

/* A service of another kernel. */
struct rservice {
    struct rservice *next;
    uint16_t peer;
    uint64_t key;
    char name[KC_NAME];
};

/* A call whose VPE does not wait any more: what the answer has created there must go again. */
struct klate {
    struct klate *next;
    uint32_t tid;
    uint16_t peer, holder, serial;
    uint8_t op;
    bool obtain;
    uint32_t start; /* first selector */
};

/* Who says of another kernel's PE that it is its own: it is when the other one's no more. */
struct claim {
    uint64_t desc; /* 0: none */
    uint16_t id;
};

struct peers {
    struct peer peer[KC_PEERS]; /* the index is the place at our endpoints */
    uint16_t owner[BOOT_PES];   /* of each PE; KC_NO_KERNEL: not known */
    uint8_t flags[BOOT_PES];    /* enum member_flags */
    bool moved[BOOT_PES];       /* was ours */
    struct claim claim[BOOT_PES];
    uint64_t descs[BOOT_PES]; /* PE descriptors, as far as known */
    uint64_t incarnation;     /* ours */
    unsigned max_id;          /* highest id given to a kernel that we started */
    struct rservice *services;
    struct klate *late;
    struct rexchange *exchanges; /* that other kernels have asked for */
    bool independent;            /* booted by itself, id= */
    bool secondary;              /* created by another kernel, */
    uint16_t creator;            /* this one, */
    uint32_t creator_thread;     /* where this thread waits for us */
    bool announced;              /* ANNOUNCEKRNLS came */
    bool start_sent;             /* STARTAPPS: our own programs could run */
    bool started;                /* and so could those of all others */
    bool end_asked;              /* kernel 0 wants to know when we could end; */
    bool end_offered;            /* we have told it */
    bool end_told;               /* SHUTDOWN came */
    bool left;                   /* KEXIT came from somebody */
    unsigned corked;             /* peer_cork() without peer_uncork() */
    uint64_t dirty;              /* a bit for each peer to be flushed by the last of those */
};

/* ---- the store of the distributed hash table (mht.c) ---- */

#define MHT_BODY_MAX 512u
struct mht_item {
    struct mht_item *next;
    uint64_t key;
    uint32_t length; /* as the original counts it */
    uint32_t lock;   /* handle; 0: not locked */
    uint16_t locker; /* who has it, also a reservation */
    uint16_t by;     /* who has put it there */
    bool reserved;   /* a place without an item */
    uint16_t body_len;
    uint8_t body[];
};
struct mht {
    struct mht_item *items;
    unsigned count;
    uint32_t handles; /* the last one */
    unsigned moving;  /* PEs that go to another kernel */
};
#define MHT_ITEMS_MAX 4096u

/* ---- starting other kernels (kboot.c) ---- */

enum boot_state { BOOT_IDLE, BOOT_LINE, BOOT_ALIVE, BOOT_CONNECTED };
struct boot {
    enum boot_state state;
    int argc, pos;
    char **argv;
    struct peer *peer; /* the one that is starting */
    uint16_t pes[BOOT_PES];
    unsigned npes;
    uint64_t waited;
};

struct msg_writer;
struct msg_reader;
struct dtu_header;

/* ---- peer.c: membership and messages ---- */

/* Who owns that PE: our id, that of another kernel, KC_NO_KERNEL. */
uint16_t peer_owner(unsigned pe);
bool peer_is_ours(unsigned pe);

/* The kernel of that id, NULL: not connected. */
struct peer *peer_find(unsigned id);
/* The kernel that owns a key's PE, NULL: we, or nobody that is connected. */
struct peer *peer_of_key(uint64_t key);

/* A place for a kernel.  NULL: there is one of that id, or no place. */
struct peer *peer_add(unsigned id, unsigned pe);

/* Our endpoint for its messages. */
unsigned peer_ep(const struct peer *p);

/*
 * A request of n bytes, sent as soon as there may be one more.  tid: of the answer, 0: it will be a
 * mere acknowledgement.  SE_OK, SE_OUT_OF_MEM, SE_RECV_GONE (not connected).
 */
int peer_request(struct peer *p, const void *data, size_t n, uint32_t tid);
/* The same, but no REVOKE and no request that is sent later overtakes it. */
int peer_urgent(struct peer *p, const void *data, size_t n, uint32_t tid);
/* A request came from it. */
void peer_asked(struct peer *p);
/* An answer; what cannot be kept is counted as dropped. */
void peer_reply(struct peer *p, const void *data, size_t n);
void peer_ack(struct peer *p);
/* An answer that needs a place like a request; nothing but that keeps it back.  False: no memory.
 */
bool peer_late(struct peer *p, const void *data, size_t n);

/* REVOKE for k; REVOKEFINISH and REMOVECHILDCAPPTR for c, which is then peer.c's to free. */
void peer_revoke(struct peer *p, struct rkid *k);
void peer_finished(struct peer *p, struct cap *c);
void peer_removed(struct peer *p, struct cap *c);
/* REVOKEFINISH for something that is not there. */
void peer_gone(struct peer *p, uint64_t parent);
/* All that a REVOKE asked for has begun: it is answered, with what is done or with an ack. */
void peer_revoke_begun(struct peer *p);

/*
 * Until as many calls of peer_uncork() revocations are only noted, so that what one kernel is to be
 * told can be told in few messages.
 */
void peer_cork(void);
void peer_uncork(void);

/*
 * An answer came, to the request of that op and *tid; or, op KC_COUNT, an acknowledgement for the
 * oldest that gets no more than that, *tid says which.  False: there is no such request.  What the
 * message had in *tid besides is gone from there.
 */
bool peer_answered(struct peer *p, unsigned op, uint32_t *tid);

/* Sends what can be sent. */
void peer_flush(struct peer *p);

/*
 * It is gone, for a reason that is printed: its capabilities die, who waits for it gets an error.
 */
void peer_lost(struct peer *p, const char *why);

/* Is anything still to be sent?  And the end of all peers, without a word. */
bool peer_sending(void);
void peer_close_all(void);

/* ns have passed.  Call it again after so many, 0: no need to. */
uint64_t peer_tick(uint64_t ns);

/* ---- park.c: what waits for long gives its place back (kernelcalls.h) ---- */

/* Our side: the tid in the answer to a call of p's; the answer itself. */
static inline uint32_t park_tid(const struct park *k, uint32_t tid)
{
    return k->parked ? tid | KC_TID_LATE : tid;
}
void park_answer(struct peer *p, const struct park *k, const void *data, size_t n);
/* ns more have passed for a call of p's, of that op and tid: it is parked when it is time. */
void park_wait(struct peer *p, struct park *k, unsigned op, uint32_t tid, uint64_t ns);

/* Our calls.  p says that it has parked one.  False: we have no such call there. */
bool park_told(struct peer *p, unsigned op, uint32_t tid);
/* An answer: to a parked one?  It is none any more.  *tid: as peer_answered(). */
bool park_answered(struct peer *p, unsigned op, uint32_t *tid);
/* Is that message of p's an answer that is to be acknowledged? */
bool park_is_late(const struct peer *p, unsigned op, const struct msg_reader *in);
/* All of them go. */
void park_drop(struct peer *p);

/* ---- connect.c ---- */

void connect_send(struct peer *p);
void connect_handle(const struct dtu_header *msg, struct msg_reader *in);
/* Our services' names to a kernel that has just been connected, or NULL: a new one to all. */
void connect_announce(struct peer *p);
void connect_announce_one(uint64_t key, const char *name);
/* These PEs are of that kernel now. */
void connect_member(unsigned id, uint64_t desc, unsigned flags);
/* That PE's owner has it no more: it is whose it said it was, or nobody's. */
void connect_ownerless(unsigned pe);
/* id owns nothing and claims nothing any more. */
void connect_forget(unsigned id);

/* ---- kcall.c, kcall_srv.c, kcall_mht.c: kernel calls ---- */

struct kcall {
    struct peer *p;
    const struct dtu_header *msg;
    struct msg_reader *in;
};
typedef void kcall_fn(struct kcall *c);

/* A message at one of endpoints 6-13; it is acknowledged. */
void kcall_handle(unsigned ep, const struct dtu_header *msg);

/* It made no sense. */
void kcall_bad(struct kcall *c);

kcall_fn kc_sigvital, kc_createvpe, kc_exit, kc_memberupdate, kc_announcekrnls, kc_reply;
kcall_fn kc_startapps, kc_shutdownrequest, kc_shutdown, kc_recvbufisattached, kc_recvbufattached;
kcall_fn kc_removechild, kc_revoke, kc_revokefinish, kc_announcesrv;
kcall_fn kc_createsessfwd, kc_createsessresp, kc_createsessfail; /* kcall_srv.c */
kcall_fn kc_exchange, kc_exchangereply, kc_exchangeack;          /* kcall_exch.c */
kcall_fn kc_mhtget, kc_mhtgettry, kc_mhtgetlocking, kc_mhtput, kc_mhtputunlocking; /* mht.c */
kcall_fn kc_mhtlock, kc_mhtunlock, kc_mhtremove, kc_mhtreserve, kc_mhtrelease, kc_partitionmig;

/* A tid for a call of v, whose wait is set up for the answer of op. */
struct vpe;
struct cap;
uint32_t kcall_wait(struct vpe *v, struct peer *p, unsigned op);
/* Who waits for that answer; NULL: nobody (any more). */
struct vpe *kcall_waiting(const struct peer *p, unsigned op, uint32_t tid);
/* The VPE that v's call gets or gives capabilities for, NULL: it has ended. */
struct vpe *kcall_holder(const struct vpe *v);
/* Is c, a reserved selector, for something that p was asked for, or has said that it gives? */
bool kcall_reserved(const struct cap *c, const struct peer *p);
/* v's call has failed: reserved selectors are free again, v gets the error. */
void kcall_failed(struct vpe *v, int error);
/* The same without an answer: v is ending. */
void kcall_forget(struct vpe *v);
/* The answer has come: what it did not need is not reserved any longer. */
void kcall_done(struct vpe *v);
/* Was that answer given up?  Then *out says what it was about. */
bool kcall_was_late(const struct peer *p, unsigned op, uint32_t tid, struct klate *out);
void kcall_drop_late(const struct peer *p);
/* Endpoint ep of a PE of ours receives (or never will): tells the kernels that wait for it. */
void kcall_recv_ready(unsigned pe, unsigned ep, bool ok);
/* p's wait for such an endpoint is over: err is the answer. */
void kcall_recv_over(struct peer *p, struct kwait *w, int err);

/* ---- kcall_srv.c: sessions and exchange over them, across kernels ---- */

/* OPEN or an exchange with a service of another kernel; SYS_LATER or an error. */
struct sys_call;
struct session;
struct service;
int rsession_open(struct sys_call *c, struct vpe *target, unsigned tsel, unsigned sel,
                  const char *name);
/* The kernel that was asked for the service is gone: asks the next.  False: there is none. */
bool rsession_next(struct vpe *v);
int rsession_exchange(struct sys_call *c, struct vpe *target, const struct session *n,
                      const struct cap_range *r, bool obtain);

/* An exchange over a session, or with a VPE, of another kernel. */
struct rexchange_call {
    struct peer *p;
    uint64_t key, ident;           /* of the service, and of the session there; or as in far.c */
    uint64_t holder_key;           /* whose PE is that of the VPE which gives or gets them */
    const struct cap_range *range; /* ours */
    bool obtain;
    const void *rest; /* what follows the arguments */
    size_t rest_len;
};
/* target's capabilities are meant.  SYS_LATER or an error. */
int rexchange_send(struct sys_call *c, struct vpe *target, const struct rexchange_call *call);

/* A request of c's kernel for a service, with what is left of the message.  NULL: no memory. */
struct rexchange *rexchange_new(struct kcall *c, unsigned op, uint32_t tid);
void rexchange_free(struct rexchange *x);
/* The service has answered, or, in NULL, will not. */
void rexchange_answered(struct rexchange *x, struct service *s, struct session *n, int error,
                        struct msg_reader *in);
void rexchange_opened(struct rexchange *x, struct service *s, struct session *n, int error);
size_t rexchange_build(const struct rexchange *x, void *buf, size_t size);
/* All that a kernel has asked for. */
void rexchange_peer_gone(const struct peer *p);
/* It has waited for too long: for the service, or for the capabilities. */
void rexchange_give_up(struct rexchange *x);
/* park.c */
uint64_t rexchange_tick(uint64_t ns);
/* Is there a service of that name elsewhere? */
bool rservice_exists(const char *name);
bool rservice_add(struct peer *p, uint64_t key, const char *name);
void rservice_peer_gone(const struct peer *p);

/* Capabilities as they travel (semperos-platform 7.3). */
bool kcap_travels(const struct cap *c,
                  bool original); /* may it, to the original or to one like us? */
void kcap_put(struct msg_writer *w, const struct cap *c);
/* Reads one and makes the reserved capability `into` of it; into NULL: only reads its key. */
int kcap_get(struct msg_reader *in, struct cap *into, uint64_t *key);

/* ---- kcall_group.c: beginning and ending together ---- */

/* Nobody runs here but daemons: may they end?  group_ended(): they have, the others are told. */
bool group_may_end(void);
void group_ended(void);
/* Has anybody been told that only daemons are left here, or asked whether that is so elsewhere? */
bool group_is_ending(void);
/* May programs that are not daemons start?  missing: some of ours cannot yet. */
bool group_may_start(bool missing);
/* Are there other kernels, which may offer services? */
bool group_others(void);
/* Asks another kernel to start that program. */
bool group_start_elsewhere(const char *name);

/* ---- mht.c ---- */

void mht_peer_gone(const struct peer *p);
/* p has waited too long for a locked item: the answer is that there is none. */
void mht_wait_over(struct peer *p, struct kwait *w);
void mht_free_all(void);

/* The store: an item, NULL: none; in and out; for p, NULL: no memory, or too many. */
struct mht_item *mht_find(uint64_t key);
void mht_remove(struct mht_item *item);
struct mht_item *mht_insert(const struct peer *p, uint64_t key, uint32_t length, const void *body,
                            size_t n);
/* Items in messages; the body lies in the message.  False: something is missing. */
bool mht_get_item(struct msg_reader *in, uint64_t *key, uint32_t *length, const uint8_t **body,
                  size_t *n);
void mht_put_item(struct msg_writer *w, uint64_t key);
/*
 * mht_move.c: a PE, and what is stored for it, becomes another kernel's: now, or, if it has a VPE,
 * when that is gone (mht_move_ready()).  SE_MSGS_WAITING: something of it is locked or reserved;
 * SE_INV_ARGS: not ours, not usable, or on its way; SE_NOT_SUP: it has a VPE, and PEs cannot be
 * reset; other errors: it is still ours.
 */
int mht_migrate(unsigned pe, struct peer *to);
/* For move.h: its items to p; is one locked or reserved? they are gone; they count as ours. */
int mht_send_items(unsigned pe, struct peer *to, bool live);
bool mht_locked(unsigned pe);
void mht_forget(unsigned pe);
void mht_own(unsigned pe);
/* Those whose VPE is gone by now go.  To p goes none any more. */
void mht_move_ready(void);
void mht_move_peer_gone(const struct peer *p);

/* ---- kboot.c ---- */

/* A further kernel is to be started; it goes on in kboot_alive().  NULL or why not. */
struct boot_app;
const char *kboot_start(const struct boot_app *app);
/* SIGVITAL came from it. */
void kboot_alive(struct peer *p, int error);
uint64_t kboot_tick(uint64_t ns);

#endif
