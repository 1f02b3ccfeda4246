/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel on one page: its state, and every function by file.
 *
 * The kernel runs on a PE of its own and has no special instructions: all it does to others, it
 * does through its DTU.  A VPE is a program on a PE; it talks to the kernel by messages (system
 * calls) and to nobody else until the kernel has configured an endpoint of its PE for it.  What it
 * may ask for is in its capability table.
 *
 * One thread of control, no locks: a system call is handled to its end before the next one is
 * fetched.  A call that has to wait (for an exit, a receive buffer, a PE) keeps its message slot
 * and is answered later; its VPE has a single message's worth of credits and so cannot call again
 * in the meantime.
 *
 * Everything but hw.c and main.c is free of hardware, so unit tests run it on the host against
 * another hw.h.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot.h"
#include "bootline.h"
#include "dtu.h"
#include "errors.h"
#include "marshal.h"
#include "memmap.h"
#include "move.h"
#include "peer.h"
#include "syscalls.h"

/* The kernel's own endpoints (dtu-spec 8.1).  6-13 are for other kernels, see peer.h. */
#define KERN_SYSC_EPS   6u
#define KERN_SYSC_ORDER 9u /* 512-byte slots */
#define KERN_EP_SCRATCH 14u
#define KERN_EP_SRV     15u /* answers of services */
#define KERN_SRV_ORDER  8u  /* 256-byte slots */

#define VPE_MAX       (KERN_SYSC_EPS * DTU_MAX_SLOTS) /* a message slot for each */
#define VPE_CAPS_MAX  12288u                          /* capabilities in one table */
#define VPE_NAME      32u
#define SYSC_MSG_MAX  (1u << KERN_SYSC_ORDER) /* header included */
#define RECV_ORDER    8u                      /* endpoint 1 of a VPE: one slot of 256 bytes */
#define LOADGEN_SPACE (1ull << 20)            /* more receive buffer space for "loadgen" */

struct vpe;
struct pe;
struct peer;
struct service;
struct session;
struct rexchange;

/* ---- capabilities (cap.c, revoke.c) ---- */

/* Values as in the original, where they form sets. */
enum cap_type {
    CAP_NONE = 0,
    CAP_SRV = 0x01,
    CAP_SESS = 0x02,
    CAP_MSG = 0x04,
    CAP_MEM = 0x08,
    CAP_VPE = 0x20,
    CAP_FAR_VPE = 0x40, /* of another kernel (far.c); the original knows these two as above */
    CAP_FAR_SRV = 0x80,
};

/* A child that another kernel has.  While that is being revoked, k->queued or ->sent. */
struct rkid {
    struct rkid *next;  /* of the same parent */
    struct rkid *queue; /* of those to be revoked at the same peer */
    uint64_t key;
    struct cap *cap;         /* the parent */
    struct session *session; /* pinned; NULL: it is no session that we opened for it */
    struct peer *by;         /* counted among its nchildren; NULL: among nobody's */
    struct peer *asked;      /* to be revoked: there, and it answers; NULL: not yet */
    bool queued, sent;
};

/* A revocation that began at this capability and waits for others (revoke.c). */
struct revocation {
    struct cap *next;   /* kern.revocations */
    unsigned waits;     /* answers and other revocations outstanding */
    bool walking;       /* the tree is still being taken apart */
    struct cap *parent; /* the root's parent, as long as that is alive */
    struct cap *up;     /* revocation that waits for this one */
    struct vpe *waiter; /* system call that waits for it */
    struct peer *peer;  /* kernel that asked for it, */
    uint64_t peer_key;  /* in the name of this capability */
    struct pe *pe;      /* PE that is not used again before it is done */
    uint64_t waited;    /* ns without an answer */
};

struct cap {
    struct vpe *holder;         /* whose table it is in */
    struct cap *parent, *child; /* derived from; first of those derived from it */
    struct cap *next, *prev;    /* siblings; `next` also links a list being revoked */
    struct rkid *rkids;         /* children that other kernels have */
    uint64_t rparent;           /* key of the parent, when another kernel has it; 0: none */
    uint64_t key;               /* its own, once it is being revoked */
    struct revocation rev;
    unsigned nrev;   /* revocations under way that began at a child of it */
    uint16_t serial; /* part of its key (kernelcalls.h) */
    uint16_t sel;
    uint16_t eps;    /* bit e: endpoint e of the holder was configured from it */
    uint8_t type;    /* enum cap_type; CAP_NONE: the selector is reserved */
    bool sess_owner; /* CAP_SESS: the service's own, by CREATESESSAT */
    union {
        struct {
            uint64_t label;
            uint32_t maxmsg; /* what the interface calls credits */
            uint16_t pe, vpe;
            uint8_t ep;
        } msg;
        struct {
            uint64_t addr, size;
            struct mem_area *area; /* set in the one capability that has to free it */
            uint16_t pe, vpe;
            uint8_t perms; /* enum dtu_perm, and 4 = execute */
        } mem;
        struct vpe *vpe;
        struct service *srv;
        struct session *sess;
        struct far_vpe *far;
        uint64_t far_srv; /* key of the service */
    };
};

/* A radix tree of two levels over 16-bit selectors; leaves exist while they hold something. */
#define CAP_FANOUT 256u
struct cap_leaf {
    unsigned used;
    struct cap *caps[CAP_FANOUT];
};
struct cap_table {
    unsigned count;
    struct cap_leaf *leaf[CAP_FANOUT];
};

/* ---- VPEs and PEs (vpe.c, pe.c) ---- */

enum vpe_state {
    VPE_CREATED, /* has a PE, was not started */
    VPE_RUNNING,
    VPE_ZOMBIE, /* has ended; others still hold capabilities for it */
};

enum vpe_flags {
    VPE_F_BOOT = 1,   /* named in the boot line: lives without anybody's capability for it */
    VPE_F_DAEMON = 2, /* the machine ends without waiting for it */
    VPE_F_TOLD = 4,   /* has been sent SHUTDOWN, and gets some time to end */
};

enum vpe_ep_use { EP_FREE, EP_GATE, EP_RECV };
struct vpe_ep {
    enum vpe_ep_use use;
    struct cap *cap; /* EP_GATE */
    uint64_t addr;   /* EP_RECV */
    uint8_t order, msgorder;
};

/* A system call that is answered later. */
enum wait_kind {
    WAIT_NONE,
    WAIT_EXIT,   /* VPECTRL WAIT: until `target` ends, or, NULL, what `sel` names elsewhere */
    WAIT_RECV,   /* ACTIVATE: until endpoint `target_ep` of `target` receives */
    WAIT_PE,     /* CREATEVPE: until a PE that is being reset is free */
    WAIT_SRV,    /* CREATESESS, OBTAIN, DELEGATE: until the service has answered */
    WAIT_REVOKE, /* REVOKE: until `count` revocations are done */
    WAIT_KERNEL, /* any of these: until another kernel has answered */
};

/* Who waits for a service: a VPE's system call, or an exchange that another kernel asked for. */
struct srv_client {
    struct srv_client *next; /* the next one that waits for the same service */
    struct session *session; /* pinned */
    struct vpe *vpe;
    struct rexchange *remote;
    uint8_t op; /* enum srv_op */
};

struct wait {
    enum wait_kind kind;
    const struct dtu_header *msg;
    struct vpe *target;
    uint8_t target_ep;
    uint8_t ep;          /* WAIT_RECV: the endpoint to configure */
    uint16_t sel, sel2;  /* WAIT_RECV: gate; WAIT_PE: VPE and memory */
    enum pe_type type;   /* WAIT_PE */
    char name[VPE_NAME]; /* WAIT_PE */
    /* WAIT_SRV; sel: of the VPE whose table is meant, sel2: of the session to create */
    struct srv_client client;
    struct cap_range range;
    uint16_t args;  /* where the service's arguments begin in the message */
    unsigned count; /* WAIT_REVOKE */
    /* WAIT_KERNEL; also sel, sel2, range, ep as above */
    uint32_t tid; /* names the call in the answer */
    uint16_t peer;
    uint8_t call;     /* enum kernelcall_op: what was asked */
    bool all;         /* CREATESESSFWD: asks one kernel after the other */
    uint16_t serial;  /* of the capabilities that it creates */
    uint16_t holder;  /* PE of the VPE that gets or gives them, */
    uint64_t label;   /* and which one: it may end meanwhile, and another one have its PE */
    uint64_t srv_key; /* the service's */
    uint64_t waited;  /* ns */
};

struct vpe {
    struct vpe *next; /* kern.vpes */
    struct vpe *reap; /* kern.reap */
    uint64_t label;   /* of its system calls: generation << 32 | PE */
    enum vpe_state state;
    uint16_t pe; /* also its VPE id */
    uint8_t sysc_ep;
    uint8_t flags; /* enum vpe_flags */
    bool reaping;  /* in kern.reap */
    bool abroad;   /* another kernel was sent a capability for it */
    int32_t exitcode;
    unsigned refs;    /* VPE capabilities for it, its own at selector 0 not counted */
    uint64_t recvbuf; /* local address where its receive buffers begin */
    uint64_t mem_size;
    char name[VPE_NAME];
    uint64_t since, ticks; /* of its system call's beginning; how many the last one took */
    struct wait wait;
    struct vpe_move move;
    struct vpe_ep ep[DTU_EPS];
    unsigned nrequires; /* VPE_F_BOOT: services that must be there before it starts */
    const char *requires[BOOT_REQUIRES];
    struct cap_table caps;
};

enum pe_state {
    PE_NONE,      /* no such PE, memory, or a kernel */
    PE_FREE,      /* waits in idle, all other memory is zero */
    PE_USED,      /* has a VPE */
    PE_RESETTING, /* the VPE is gone; its program is, once the machine has reset the CPU */
    PE_WAITING,   /* the VPE is gone, but other kernels may still have capabilities for the PE */
    PE_USED_UP,   /* the VPE is gone, and the machine cannot reset CPUs: not used again */
    PE_KERNEL,    /* another kernel has it or runs on it */
    PE_LOST,      /* the reset does not end, or its DTU does not answer: not used again */
};

struct pe {
    uint64_t desc;
    enum pe_state state;
    unsigned polls;       /* PE_RESETTING: how often we looked */
    unsigned held;        /* revocations that have to end before it is used again */
    struct peer *goes_to; /* it gets no VPE any more: that kernel gets it, NULL: nobody */
    struct vpe *vpe;
    struct pe_move move;
};

/* ---- all of it ---- */

struct kern_stats {
    uint64_t syscalls, refused, strays; /* strays: messages that belong to no VPE */
    uint64_t late;                      /* answers that nobody waits for any more */
    uint64_t kcalls, bad_kcalls;        /* kernel calls; those that made no sense */
    uint64_t kdropped;                  /* messages to kernels that were lost */
    uint64_t greedy;                    /* refused to a kernel that has too much from us */
    uint64_t parked;                    /* calls of kernels that gave their place back */
    uint64_t moved, stayed;             /* VPEs that went to another kernel, or could not */
    unsigned started, failed;
    unsigned regular; /* programs in the boot line that are no daemons */
};

struct kernel {
    uint32_t id;
    uint16_t own_pe;
    uint32_t generation; /* of the last VPE */
    unsigned pe_count;   /* entries of pe_order */
    uint16_t pe_order[BOOT_PES];
    struct pe pes[BOOT_PES];
    struct vpe *vpes, *reap;
    unsigned nvpes, ndaemons; /* VPEs that have a PE; daemons among them */
    unsigned nresetting;      /* PEs in PE_RESETTING */
    bool told_used_up;        /* said why PEs in PE_USED_UP are not used */
    uint8_t sysc_used[KERN_SYSC_EPS];
    unsigned nmods;
    struct boot_module mods[BOOT_MODULES];
    uint64_t mod_addr[BOOT_MODULES]; /* where they are described, for further kernels */
    uint16_t mem_pe;
    struct memmap mem;
    uint64_t mem_fresh; /* memory from here on was never given to anybody */
    struct service *services;
    uint32_t srv_ids;
    bool ending;        /* only daemons are left; services were told */
    uint64_t ending_ns; /* time without messages since then */
    bool srv_news;      /* a service was registered since start_pending() last looked */
    uint64_t no_news;   /* ns since then, while programs wait for a service */
    bool pe_news;       /* a PE became free or lost since pe_poll() last told who waits for one */
    uint16_t serial;    /* of the last capability */
    uint32_t tids;      /* the last call to another kernel */
    uint64_t fs_end;    /* REQMEM with an address: below this in the memory PE */
    struct cap *revocations; /* under way, waiting */
    struct peers peers;
    struct mht mht;
    struct moves moves;
    struct boot boot;
    struct kern_stats stats;
};

/* A host process may hold several kernels; here is the one at work. */
extern struct kernel *kern_now;
#define kern (*kern_now)

/* ---- cap.c ---- */

/* What is at a selector, reserved ones included. */
struct cap *cap_at(const struct cap_table *t, uint32_t sel);

/* The capability at a selector, NULL: none.  With types: only if it is one of them. */
struct cap *cap_get(const struct cap_table *t, uint32_t sel);
struct cap *cap_get_type(const struct cap_table *t, uint32_t sel, unsigned types);

/* May a capability be put at sel: in range and nothing there? */
bool cap_unused(const struct cap_table *t, uint32_t sel);

/* Is [start, start + count) a range of selectors (possibly empty)? */
bool cap_range_valid(uint32_t start, uint32_t count);

/*
 * A new capability of `holder` at an unused selector, derived from parent (NULL: a root).  The
 * caller fills in what it stands for.  NULL: no memory, or the table has VPE_CAPS_MAX.
 */
struct cap *cap_create(struct vpe *holder, uint32_t sel, enum cap_type type, struct cap *parent);

/*
 * Reserves sel of holder, for what another kernel is asked for; every copy that this kernel hands
 * out in the answer has that serial number.  cap_revoke() gives it up.  NULL: as cap_create().
 */
struct cap *cap_reserve(struct vpe *holder, uint32_t sel, uint16_t serial);

/* A serial number for new capabilities, never 0. */
uint16_t cap_serial(void);

/* The key under which other kernels know c. */
uint64_t cap_key(const struct cap *c);

/* The capability (or reserved selector) of that key, NULL: it is not there. */
struct cap *cap_by_key(uint64_t key);

/* Notes or forgets a child of c that another kernel has.  NULL: no memory, or it has too many. */
struct rkid *cap_add_rkid(struct cap *c, uint64_t key);
void cap_free_rkid(struct cap *c, struct rkid *k);

/* A copy of c, derived from it; same conditions. */
struct cap *cap_derive(struct cap *c, struct vpe *holder, uint32_t sel);

/* For revoke.c: away from its parent and siblings; out of its table. */
void cap_unlink(struct cap *c);
void cap_table_remove(struct cap *c);

/* The first capability at or above sel, NULL: none. */
struct cap *cap_next(const struct cap_table *t, uint32_t sel);

/* ---- revoke.c ---- */

/*
 * Revokes c and all that was derived from it, wherever it is.  None of it can be used in this
 * kernel from now on; what others have takes a while.  Who is told when all is gone:
 */
struct revoke_for {
    struct vpe *waiter; /* wait.count of its call was raised for this */
    struct peer *peer;  /* another kernel, in the name of the capability parent there */
    uint64_t parent;
    struct pe *pe; /* this PE can be used again */
};
/* True: it is done. */
bool cap_revoke_for(struct cap *c, const struct revoke_for *who);
void cap_revoke(struct cap *c);
/* Only what was derived from c.  False: no memory, and children elsewhere are still there. */
bool cap_revoke_children(struct cap *c, const struct revoke_for *who);
/* Only those of them that other kernels have. */
bool cap_revoke_rkids(struct cap *c, const struct revoke_for *who);

/* v's call does not wait any more. */
void revoke_forget_waiter(const struct vpe *v);

/*
 * From other kernels: REVOKE (which who calls it answers, peer_revoke_begun()), REVOKEFINISH (n
 * answers), REMOVECHILDCAPPTR.
 */
void revoke_asked(struct peer *p, uint64_t key, uint64_t parent);
bool revoke_answered(struct peer *p, uint64_t parent, unsigned n);
bool revoke_child_gone(struct peer *p, uint64_t parent, uint64_t child);

/*
 * ns have passed.  Who says that it revokes, and never that it has, is lost.  Call it again after
 * so many ns, 0: no need to.
 */
uint64_t revoke_tick(uint64_t ns);

/* A kernel is gone: so are all children that it had, and what was derived from its capabilities. */
void revoke_peer_gone(const struct peer *p);

/* Everything in v's table and all derived from it, but VPE capabilities of others for v. */
void cap_revoke_all(struct vpe *v);

/* ---- ep.c: endpoints of VPEs ---- */

/* Endpoint ep becomes the gate c, or is invalidated (c NULL).  enum semper_error. */
int ep_activate(struct vpe *v, unsigned ep, struct cap *c);

/* c is being revoked: no endpoint may use it any longer. */
void ep_forget_cap(struct cap *c);

int recvbuf_attach(struct vpe *v, unsigned ep, uint64_t addr, unsigned order, unsigned msgorder);
void recvbuf_detach(struct vpe *v, unsigned ep);

/* All endpoints of v become invalid. */
void ep_clear(struct vpe *v);

/* ---- vpe.c ---- */

/* The VPE a message comes from, NULL: from none. */
struct vpe *vpe_of_message(unsigned ep, const struct dtu_header *msg);

/*
 * A VPE on a free PE, with endpoints 0 and 1 and capabilities 0 and 1.  SE_NO_FREE_CORE,
 * SE_OUT_OF_MEM, or what the PE's DTU said.
 */
int vpe_create(const char *name, struct pe *pe, unsigned flags, struct vpe **out);

/* Starts what is in its PE's memory. */
int vpe_start(struct vpe *v);

/* It ended.  Afterwards v is a zombie, or gone. */
void vpe_exit(struct vpe *v, int32_t code);

/* One VPE capability for v less. */
void vpe_put(struct vpe *v);

/* VPEs whose PE is over end (over.c). */
void vpe_bury(void);

/* Frees the VPEs that vpe_put() found unused.  Called between system calls. */
void vpe_reap(void);

/* ---- pe.c ---- */

uint16_t pe_id(const struct pe *pe);

/* A PE of ours more, which waits in idle; one less. */
void pe_add(uint64_t desc);
void pe_remove(unsigned pe);

/* The first free PE of that type, NULL: none. */
struct pe *pe_find(enum pe_type type);
/* Is one being reset? */
bool pe_expected(enum pe_type type);

/*
 * Its VPE is gone and VPE_ID is invalid; whatever runs there is stopped, and its memory cleared, as
 * soon as no revocation holds it.
 */
void pe_leave(struct pe *pe);
/* One revocation that holds it less. */
void pe_release(struct pe *pe);

/* Looks after the PEs that are being reset.  Call it again after so many ns, 0: no need to. */
uint64_t pe_poll(void);

/* ---- load.c ---- */

/* The boot module of that name (up to NUL or blank), NULL: none. */
const struct boot_module *load_find(const char *name);

/* The program named argv[0] with these arguments, ready to start.  NULL, or what is wrong. */
const char *load_program(struct vpe *v, int argc, char *const *argv);

/* All of idle, to a PE without VPE that was reset and so is zero.  enum semper_error. */
int load_idle(const struct pe *pe);

/* A kernel and its arguments, separator included, to a PE; NULL or what is wrong. */
const char *load_kernel(unsigned pe, int argc, char *const *argv, uint64_t kenv);

/* Idle's code again and the barrier; part of vpe_start().  enum semper_error. */
int load_idle_again(const struct vpe *v);

/* ---- sys*.c: system calls ---- */

#define SYS_LATER (-1) /* no reply now */

struct sys_call {
    struct vpe *v;
    const struct dtu_header *msg;
    struct msg_reader in; /* behind the operation */
    bool has_value;       /* `value` follows the error code in the reply */
    uint64_t value;
};
/* Returns enum semper_error or SYS_LATER. */
typedef int sys_fn(struct sys_call *c);

/* Handles one message; it is answered, acknowledged, or kept in v->wait. */
void sys_handle(unsigned ep, const struct dtu_header *msg);

/* Answers the call that v waits for with n bytes. */
void sys_answer_bytes(struct vpe *v, const void *data, size_t n);

/* Answers the call that v waits for.  extra: value behind the code, NULL: none. */
void sys_answer(struct vpe *v, int error, const uint64_t *extra);

sys_fn sys_creategate, sys_exchange, sys_revoke, sys_activate; /* sys_cap.c */
sys_fn sys_attachrb, sys_detachrb, sys_reqmem, sys_derivemem;  /* sys_mem.c */
sys_fn sys_createvpe, sys_vpectrl, sys_exit;                   /* sys_vpe.c */
sys_fn sys_createsrv, sys_createsess, sys_createsessat;        /* sys_srv.c */
sys_fn sys_delegate, sys_obtain;

/* ACTIVATE's second half: the receiver is there (or never will be); enum semper_error. */
int sys_activate_late(struct vpe *v, bool ok);

/* The VPE that selector sel of v names, if it can have capabilities; NULL: none. */
struct vpe *sys_target(struct vpe *v, uint32_t sel);

enum sys_copy {
    COPY_DELEGATE, /* as many as there is place for, and at least one is there */
    COPY_OBTAIN,   /* or fewer */
    COPY_SERVICE,  /* or none: what a service gives (the original's m3fs names more than it has) */
};

/*
 * Copies what is in `from` of src to `to` of dst; empty selectors stay empty, all else or nothing.
 * enum semper_error.
 */
int sys_copy_range(struct vpe *src, const struct cap_range *from, struct vpe *dst,
                   const struct cap_range *to, enum sys_copy kind);

/* Calls that wait: endpoint ep of v now receives (or never will); v ended; a PE became free. */
void sys_recv_ready(struct vpe *v, unsigned ep, bool ok);
void sys_vpe_ended(struct vpe *v);
void sys_pe_ready(void);
/* A gate that its holder waits to activate is being revoked. */
void sys_gate_gone(struct cap *c);

/* ---- srv.c: services; more of it in srv.h ---- */

/* Is there a service of that name? */
bool srv_exists(const char *name);

/* A message at endpoint 15; it is acknowledged. */
void srv_handle(const struct dtu_header *msg);

/* A capability for a session more or less; by_owner: the service's own one. */
void session_cap_added(struct session *s);
void session_cap_gone(struct session *s, bool by_owner);
/* A service capability is out of use; revoked; v ended and its capabilities are gone. */
void srv_cap_disable(struct cap *c);
void srv_cap_gone(struct cap *c);
void srv_vpe_ended(struct vpe *v);
/* Who waits for a service does not any more. */
void srv_forget_client(struct srv_client *c);

/*
 * Tells all services to shut down, once each.  False when all that were told have ended, or have
 * had their time.
 */
bool srv_shutdown(void);

/*
 * For ns nanoseconds nothing has come.  A service that owed an answer for too long is given up: a
 * program that crashed tells nobody.  Call it again after so many ns, 0: no need to.
 */
uint64_t srv_tick(uint64_t ns);

/* ---- start.c: the boot line ---- */

/*
 * Places, loads and starts the VPEs that the boot line names; argv[0] is the kernel itself.  What
 * could not be started was reported and counted in kern.stats.failed.
 */
void start_all(int argc, char **argv);

/* Goes on with it, after a further kernel was started, or when ours may begin with it. */
void start_line(void);

/* A boot module without arguments, for another kernel; *id: of its VPE. */
bool start_named(const char *name, unsigned *id);

/* Starts those whose required services are there by now. */
void start_pending(void);

/*
 * For ns nanoseconds nothing has come.  Programs that wait for a service are given up when for two
 * minutes none was registered anywhere, and only daemons run here: where there are other kernels,
 * or daemons that go on for ever, nobody ever says that there will be none.  Call it again after so
 * many ns, 0: no need to.
 */
uint64_t start_tick(uint64_t ns);

/*
 * Is nobody left but daemons?  Then services are told to shut down, and when none is left the
 * daemons end and it is true.
 */
bool start_finished(void);

#endif
