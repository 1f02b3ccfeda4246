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
};

struct sched;
struct windows;

struct node {
    const struct machine *desc;
    const struct sched *sched;
    void *sched_state; /* the scheduler's own */
    struct kvm kvm;
    uint8_t *shim; /* tables and stubs: once, or once a PE */
    size_t shim_size;
    bool shim_readonly; /* once */
    struct vdtu_noc *noc;
    struct windows *windows; /* rings (window.h); NULL: none */

    uint8_t *dram; /* the memory PE's, sparse */
    uint8_t *mem;  /* all local memories, sparse, in the order of the PEs */
    uint64_t mem_size;
    uint8_t *pages; /* PAGES_PER_PE pages a PE, the memory PE's first */
    struct vdtu *dram_dtu;

    unsigned npes;
    struct pe *pes; /* pes[i] is PE i + 1 */
    struct loader_result boot;

    int wake_fd; /* eventfd: the run is over, see `end` */
    atomic_bool ending;
    atomic_int end;
    uint32_t exit_status; /* with NODE_EXITED */
    uint64_t start_ns, tsc_hz, host_cores;
    struct console *console;

    struct trace *trace;               /* NULL: nobody asked */
    uint64_t ops_hash, payload_hash;   /* seeded: over all records so far */
    size_t compared;                   /* replay: records that were as recorded */
    size_t payload_differences;        /* replay: those whose payload was not */
    struct trace_record difference[2]; /* replay: recorded, and what happened instead */
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

/* Ends the run, once; any thread.  Returns whether this was the first call. */
bool node_finish(struct node *n, enum node_end why, uint32_t status);

/* CLOCK_MONOTONIC in ns. */
uint64_t host_now(void);

/* One line on standard error, "sempervm: ..."; any thread. */
void node_log(const struct node *n, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
