/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node: the PEs of one sempervm process, the NoC between them, and how their run ends.
 */
#ifndef VMM_NODE_H
#define VMM_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../vdtu/vdtu.h"
#include "diag.h"
#include "kvm.h"
#include "loader.h"
#include "machine.h"
#include "pe.h"
#include "trace.h"

/* Why a machine ended; the first reason counts. */
enum node_end {
    NODE_RUNS,
    NODE_EXITED,  /* a privileged PE ended it */
    NODE_AT_REST, /* every PE is over or waits, without a limit, for another one */
    NODE_TIMEOUT,
    NODE_SIGNAL,
    NODE_STOPPED, /* at the step that was asked for */
    NODE_DIFFERS, /* a replay came to something that was not recorded */
    NODE_HOST,    /* the host refused something while the machine ran */
    NODE_LOST,    /* crashed by --faults; it may be started again */
};

struct bridge;
struct control;
struct mapped;
struct recording;
struct sched;
struct windows;

struct node {
    const struct machine *desc;
    const struct sched *sched;
    void *sched_state; /* the scheduler's own */
    uint8_t *stacks;   /* of its threads, or NULL */
    size_t stacks_size;
    struct kvm kvm;
    uint8_t *shim; /* tables and stubs: once, or once a PE */
    size_t shim_size;
    bool shim_readonly; /* once */
    struct vdtu_noc *noc;
    struct windows *windows; /* rings (window.h); NULL: none */
    struct mapped *mapped;   /* mapped memory gates (mapped.h); NULL: none */

    uint8_t *dram; /* the memory PE's, sparse; NULL: the node has none */
    uint8_t *mem;  /* all local memories, sparse, in the order of the PEs */
    uint64_t mem_size;
    bool files;          /* the memories are files, which can be mapped again: */
    int dram_fd, mem_fd; /* -1: no */
    uint8_t *pages;      /* PAGES_PER_PE pages a PE, the memory PE's first */
    struct vdtu *dram_dtu;

    unsigned npes;
    struct pe *pes; /* by place; of a machine of one node pes[i] is PE i + 1 */
    struct loader_result boot;

    /* Other nodes of the machine: bridge_attach() sets these up from the description. */
    struct bridge *bridge;             /* NULL: there are none */
    uint16_t bridge_pe;                /* 0: none */
    uint64_t remote[DTU_PES / 64 + 1]; /* a bit per PE: lives on another node */
    unsigned life;                     /* seeded: how often the node was started before */
    atomic_uint leaving;               /* the machine is over: in so many turns of the bridge */
    uint32_t leave_status;
    bool external; /* something outside of the node can wake PEs: it is never at rest */

    int wake_fd; /* eventfd: the run is over, see `end` */
    atomic_bool ending;
    atomic_int end;
    atomic_bool returns;  /* after NODE_LOST: it will be started again */
    uint32_t exit_status; /* with NODE_EXITED */
    uint64_t start_ns, tsc_hz, host_cores;
    struct console *console;

    struct control *control; /* the control socket; NULL: nobody asked for one */
    struct recording *rec;   /* shared by the nodes of a run; NULL: nobody asked for a trace */
};

/*
 * Builds a node of a validated machine, ready to run.  0; otherwise -errno and either complaints in
 * diag or one line in err.  node_close() undoes it, also after a failure; no PE may be running.
 * (A program that is about to end need not: the host takes hundreds of VMs apart faster with their
 * process than one by one.)
 */
int node_open(struct node *n, const struct machine *desc, struct diag *diag, char *err,
              size_t errsize);
void node_close(struct node *n);

/*
 * Builds the node anew, as its process would be started again: everything in it is lost but what
 * it shares with others (console, recording, scheduler).  No PE of it may be running.  0 or -errno
 * with one line in err.
 */
int node_restart(struct node *n, char *err, size_t errsize);

/* PE `id` of this node, NULL if it is none. */
struct pe *node_pe(const struct node *n, unsigned id);

/* Its PE with a NIC, or NULL; and the end of that NIC's thread. */
struct pe *node_nic(const struct node *n);
void node_stop_nic(struct node *n);

/* Does PE `id` live on another node of this machine? */
bool node_pe_remote(const struct node *n, unsigned id);

/* Ends the run, once; any thread.  Returns whether this was the first call. */
bool node_finish(struct node *n, enum node_end why, uint32_t status);

/* CLOCK_MONOTONIC in ns. */
uint64_t host_now(void);

/* One line on standard error, "sempervm: ..."; any thread. */
void node_log(const struct node *n, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
