/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VPE that runs moves to another kernel, with its PE, its capabilities and what is stored for its
 * part of the namespace.  Keys stay as they are; what changes is who owns the PE.
 *
 * Only kernels of ours take part: all that are connected, or the VPE stays.  One move at a time in
 * the whole system; each takes a few messages:
 *
 *   HOLD      old owner to all       no requests to me for now, I may give that PE to that kernel
 *   HELD      answer                 what I had sent has come before this; or: I cannot now
 *   STATE     old owner to new one   the VPE and its capabilities, in as many as it takes
 *   END       the last of those
 *   READY     answer                 I could take it; or: why I cannot
 *   COMMIT    old owner to new one   it is yours; a call of its that came meanwhile
 *   GIVEN     old owner to others    I have sent COMMIT: believe the new owner
 *   SWITCH    new owner to all       it is mine; what you have kept back for it goes to me
 *   SWITCHED  answer
 *   DONE      new owner to old one   all know it
 *   OFF       old owner to all       it stays mine
 *   DEAD      old or new owner       the other one is gone, and the PE with it
 *   LOST      others to new owner    I have lost the old owner: is that PE yours?  SWITCH or DEAD
 *   CALL      old owner to new one   a call of its that has come late
 *
 * Until it sends COMMIT the old owner has changed nothing, and if anything fails it goes on as if
 * nothing had been; from then on the PE is the new owner's, whoever dies.  The VPE's calls wait in
 * between, at most one, which is handled once, by one of the two.  Whatever goes on with the VPE's
 * capabilities (revocation) has come to its end first; whatever begins meanwhile waits in the
 * queues that kernels have for each other (peer.h).
 *
 * On the wire all of them are PARTITIONMIG of no partitions, with what it is, a number, and the PE
 * behind: the original would see nothing to do.
 */
#ifndef KERNEL_MOVE_H
#define KERNEL_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "boot.h"

enum move_msg {
    MOVE_HOLD = 1,
    MOVE_HELD,
    MOVE_STATE,
    MOVE_END,
    MOVE_READY,
    MOVE_COMMIT,
    MOVE_SWITCH,
    MOVE_SWITCHED,
    MOVE_DONE,
    MOVE_OFF,
    MOVE_DEAD,
    MOVE_CALL,
    MOVE_LOST,
    MOVE_GIVEN_AWAY,
};
#define MOVE_ANSWER_MAX 256u /* of a call that came along */
#define MOVE_WORDS      5u   /* each begins with: PARTITIONMIG, 0, which of these, number, PE */

/* What stands in STATE, from bit 0 of a word on. */
enum move_record {
    MOVE_R_VPE = 1, /* flags 8:15, serial 16:31, first owner 32:47; descriptor; buffers; name */
    MOVE_R_CAP,   /* type 8:15, selector 16:31, serial 32:47, endpoints 48:63; parent; what it is */
    MOVE_R_CHILD, /* selector 16:31; key */
    MOVE_R_RECV,  /* endpoint 8:15, order 16:23, message order 24:31; address */
};

enum move_phase {
    MOVE_IDLE,
    MOVE_WAITING, /* until nothing is under way with it */
    MOVE_HOLDING, /* until all have answered HOLD */
    MOVE_SENDING, /* until the new owner is ready */
    MOVE_GIVEN,   /* until it is done */
};

/* What a peer has, or has to get, of a move of ours. */
enum move_peer {
    MOVE_P_NONE,
    MOVE_P_ASKED,  /* HOLD or SWITCH, */
    MOVE_P_TOLD,   /* and has answered */
    MOVE_P_OFF,    /* gets OFF, */
    MOVE_P_DEAD,   /* DEAD, */
    MOVE_P_GIVEN,  /* GIVEN, */
    MOVE_P_SWITCH, /* SWITCH, as soon as there is memory for it */
};

struct vpe;
struct peer;
struct cap;
struct rkid;
struct kcall;
struct msg_reader;
struct dtu_header;
struct mem_area;

/* A VPE on its way between kernels. */
struct vpe_move {
    bool frozen;                   /* its calls wait: */
    const struct dtu_header *held; /* the one here; */
    struct dtu_header *carried;    /* or it came along, in a copy, and is answered by SEND, */
    bool owed;                     /* which has not been possible so far; it is in there */
    bool came;           /* it began elsewhere, and has not called us yet: a late call comes from */
    uint16_t from, home; /* these, its last kernel and its PE's first */
};

/* A PE that has come or gone. */
struct pe_move {
    bool dead;           /* with the kernel that had it first: nothing there is ours to touch */
    bool guest;          /* another kernel had it first, */
    uint16_t home;       /* this one */
    uint64_t gone_label; /* of the VPE that has left with it: calls that come late go on, */
    uint8_t gone_ep;     /* from this endpoint */
};

/* Memory of ours whose capability has left with its VPE: a child of a key that is nothing else. */
struct loan {
    struct loan *next;
    uint64_t key, child;
    struct mem_area *area;
};

struct moves {
    /* We give one away. */
    enum move_phase phase;
    uint16_t pe;
    struct vpe *vpe; /* until it is given */
    struct peer *to;
    uint32_t tid;
    bool dirty; /* a capability of its, or next to one of its, has changed since HOLD */
    unsigned tries;
    int result; /* of the last move */
    uint64_t waited, retry;
    struct rkid *kids; /* for those whose parents stay; loans */
    struct loan *lent;
    uint8_t sysc_ep; /* its slot, until it is done */

    /* We get one. */
    struct peer *from; /* NULL: no */
    struct vpe *taken;
    uint16_t taken_pe;
    bool ours;    /* COMMIT has come */
    bool arrived; /* one may have crashed when nobody looked (over.c): on its way, or as a guest */
    uint64_t looked; /* ns since then */
    int error;
    uint64_t desc;
    uint16_t serial, home;
    unsigned children;

    /* Somebody gives hold_pe, of kernel hold_from, to kernel hold_to. */
    bool hold;
    uint16_t hold_pe, hold_from, hold_to;
    uint64_t hold_waited;
    bool given;           /* hold_from has said GIVEN, or is lost: what hold_to says is true */
    bool hold_lost;       /* hold_to was lost meanwhile: it may know nothing of us any more */
    bool claimed;         /* hold_to has said SWITCH before that: */
    uint32_t claimed_tid; /* it waits for this answer, */
    uint64_t claimed_desc, claimed_waited;

    struct loan *loans;
    uint32_t lends; /* so far: numbers of their keys */
    unsigned ndead; /* PEs that died with their first owner, and whose capabilities go (pe.c) */
    unsigned roam, calls; /* the boot line's roam=, 0: none; system calls so far */
    unsigned owing;       /* VPEs with an answer that could not be sent (sys.c) */
};

/* ---- move.c ---- */

/*
 * The PE of a VPE that runs is to become that kernel's; moves.phase says when that is over and
 * moves.result how.  At once, nothing changed: SE_INV_ARGS (not ours, nobody runs there),
 * SE_RECV_GONE, SE_NOT_SUP (it cannot, see move_possible()), SE_MSGS_WAITING (another one moves).
 */
int move_begin(unsigned pe, struct peer *to);
/* Is that PE on its way, with its VPE? */
bool move_concerns(unsigned pe);
/* Something has happened that it may have waited for. */
void move_step(void);
uint64_t move_tick(uint64_t ns);
/* v has made a call.  True: it waits. */
bool move_call(struct vpe *v);
/* v ends. */
void move_vpe_ends(const struct vpe *v);
/* p is lost: before and after it is forgotten. */
void move_peer_going(struct peer *p);
void move_peer_gone(struct peer *p);
/* That PE is gone with the kernel that had it first. */
void move_pe_dead(unsigned pe);
/* Is this no time for us to end? */
bool move_keeps_us(void);
/* c, or one derived from it, changes. */
void move_touch(const struct cap *c);
/* Has somebody not answered, or not been told? */
bool move_pending(void);
/* A message: is it an answer?  It is handled. */
bool move_is_answer(const struct msg_reader *in);
void move_told(struct kcall *c);
/* A message that waits: is it SWITCH? */
struct kmsg;
bool move_is_switch(const struct kmsg *m);

/* For the parts: begins a message; what has it in it goes to p, an answer or not. */
struct msg_writer;
void move_put(struct msg_writer *w, void *buf, enum move_msg kind, uint32_t tid, unsigned pe);
int move_send(struct peer *p, enum move_msg kind, uint32_t tid, unsigned pe, uint64_t arg);
void move_reply(struct peer *p, enum move_msg kind, uint32_t tid, unsigned pe, int err);

/* ---- move_give.c: the old owner ---- */

/* SE_OK, or SE_NOT_SUP: it offers a service, has one's capability, or VPEs are involved. */
int move_possible(const struct vpe *v);
/* Is nothing under way with it? */
bool move_quiet(const struct vpe *v);
/* All of it to moves.to, and what give() needs; enum semper_error. */
int move_send_state(void);
void move_drop_prepared(void);
/* COMMIT is sent: it is not ours any more.  False: no memory, nothing has changed. */
bool move_give(void);
/* Loans: c's memory comes back with it; is gone, with the child of that key; was a dead PE's. */
bool loan_home(struct cap *c);
bool loan_over(const struct peer *p, uint64_t parent, uint64_t child);
void loan_pe_gone(unsigned pe);
void loan_peer_gone(const struct peer *p);

/* A call of nobody: of one that has left?  True: it is taken care of. */
bool move_forward(unsigned ep, const struct dtu_header *msg);
/* A call of a VPE's in a message. */
void move_put_call(struct msg_writer *w, const struct dtu_header *msg);

/* ---- move_take.c: the new owner ---- */

/* It becomes v's.  False: it makes no sense, or v has one. */
bool move_carry(struct vpe *v, struct msg_reader *in);

void move_state(struct kcall *c, uint32_t tid, unsigned pe, bool last);
/* True: it is ours now, and all have to be told. */
bool move_commit(struct kcall *c, unsigned pe);
/* What was there of it is gone; nothing was ours. */
void move_drop_taken(void);
/* It runs on, here. */
void move_release(void);
/* Time passes: is it to be asked whether PEs of others have crashed?  As move_tick(). */
uint64_t move_look(uint64_t ns);

/* ---- move_hold.c: everybody else ---- */

void move_hold(struct kcall *c, uint32_t tid, unsigned pe);
void move_switch(struct kcall *c, uint32_t tid, unsigned pe);
/* The sender of c says that pe stays, or is gone. */
void move_off(struct kcall *c, unsigned pe);
void move_dead(struct kcall *c, unsigned pe);
/* hold_to is lost.  If it has the PE that is gone with it. */
void move_taker_lost(void);
/* The sender of c asks whether pe is ours.  True: it has to be told that it is not. */
bool move_lost(struct kcall *c, unsigned pe);
/* It has given pe to whom HOLD said. */
void move_given(struct kcall *c, unsigned pe);
/* hold_from is lost and hold_to has said that the PE is its own: so it is.  False: it has not. */
bool move_believe_claim(void);
/* What waits for p and is about that PE goes to `to`; to NULL: it is ours now, or gone. */
void move_redirect(struct peer *p, unsigned pe, struct peer *to);
/* Has the owner of the receiver that v asked p for changed since, or may it? */
bool move_since_asked(const struct vpe *v, const struct peer *p);

/* ---- elsewhere ---- */

/* revoke.c: that PE's VPE is gone for good: so is what it had from us and what it gave. */
void revoke_pe_gone(unsigned pe);
/* Is a capability of that PE's being revoked? */
bool revoke_concerns(unsigned pe);
/*
 * c has come with its VPE, and its parent is being revoked here: c is revoked, and who waits for
 * that waits for it.  False: it is not.
 */
bool revoke_come_home(struct cap *c);
/* What of the PE has not come is not waited for. */
void revoke_not_come(unsigned pe);
/* c has come; a revocation here that began at that child of its is known to it. */
void revoke_adopt(struct cap *c, uint64_t child);

/* sys.c: the call that v has brought along is handled; the one that was held. */
void sys_handle_carried(struct vpe *v);
void sys_thaw(struct vpe *v);
/* That message of v's gets no answer. */
void sys_drop(struct vpe *v, const struct dtu_header *msg);
/* Answers that could not be sent are sent again; call it again after so many ns, 0: no need to. */
uint64_t sys_tick(uint64_t ns);
/* sys_cap.c: v's ACTIVATE waits for a receiver whose kernel has changed: it looks again. */
void sys_ask_again(struct vpe *v);

/* cap.c: c, a root so far, becomes a child of parent; c leaves its table as it leaves us. */
void cap_link(struct cap *c, struct cap *parent);
void cap_table_drop(struct cap *c);

/* pe.c: it is gone with the kernel that had it first: its VPE ends, and it is nobody's. */
struct pe;
void pe_dead(struct pe *pe);
/* pe.c: PEs that died are nobody's as soon as nothing of theirs is being revoked. */
void pe_bury(void);

/* vpe.c: a kernel endpoint with a message slot left for one more VPE; -1: none. */
int vpe_sysc_ep(void);
/* v's send endpoint for system calls is set. */
int vpe_point_sysc(const struct vpe *v);

#endif
