/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a machine from its description to its exit status.
 *
 * The main thread owns the signals: they are blocked before any PE runs and read from a descriptor,
 * so Ctrl-C, a timeout and the machine's own end come out of one poll().
 */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "../vdtu/ring.h"
#include "console.h"
#include "control.h"
#include "deadlock.h"
#include "nic.h"
#include "node.h"
#include "record.h"
#include "sched.h"
#include "sched_seed.h"
#include "stats.h"

#define VIRTUAL_SLACK 20u /* real time for a limit of virtual time */
#define REPORT_S      10u /* that a report has from the first signal on */

static const int enders[] = {SIGINT, SIGTERM, SIGHUP};

/* Blocks or unblocks those that end a run; returns them. */
static sigset_t signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof(enders) / sizeof(enders[0]); i++)
        sigaddset(&set, enders[i]);
    sigprocmask(how, &set, NULL);
    return set;
}

static volatile sig_atomic_t late_signo;

static void end_now(int signo)
{
    (void)signo;
    raise(late_signo);
}

static void end_soon(int signo)
{
    late_signo = signo;
    for (unsigned i = 0; i < sizeof(enders) / sizeof(enders[0]); i++)
        signal(enders[i], SIG_DFL);
    alarm(REPORT_S);
}

/*
 * The run is over, and what is left is to say how it was.  Who ends several nodes sends signals to
 * some that have just ended by themselves: that must not cut their reports short.  But nobody may
 * be reading those: so the first signal leaves it a while, and another one ends us at once.
 */
static void late_signals(void)
{
    struct sigaction soon = {.sa_handler = end_soon, .sa_flags = SA_RESTART};
    struct sigaction now = {.sa_handler = end_now, .sa_flags = SA_RESTART};

    soon.sa_mask = signals(SIG_BLOCK); /* one at a time: the next one finds that it is the second */
    sigemptyset(&now.sa_mask);
    sigaction(SIGALRM, &now, NULL);
    for (unsigned i = 0; i < sizeof(enders) / sizeof(enders[0]); i++)
        sigaction(enders[i], &soon, NULL);
    signals(SIG_UNBLOCK);
}

static int open_signals(void)
{
    sigset_t set = signals(SIG_BLOCK);

    mallopt(M_ARENA_MAX, 1);  /* an arena per thread would be mapped while VMs look on */
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away must not end the machine silently */
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* The nodes that this process runs: one, or in a seeded run all of a machine. */
struct run {
    struct node *node[MACHINE_MAX_NODES];
    unsigned n;
    int signal_fd, signo;
};

/*
 * Milliseconds until the machine's time is up, rounded up; -1 without a limit.  Of several nodes by
 * a seed the limit is one of virtual time, which the scheduler sees to: what is left to the host's
 * clock is to end what hangs.
 */
static int time_left(const struct node *n)
{
    uint64_t now, until, slack = n->desc->seed.on && n->desc->nnodes ? VIRTUAL_SLACK : 1;

    if (!n->desc->timeout_ns)
        return -1;
    now = host_now();
    until = n->start_ns + n->desc->timeout_ns * slack;
    if (now >= until)
        return 0;
    return until - now > 1000000000000u ? 1000000 : (int)((until - now + 999999) / 1000000);
}

static int signal_seen(int fd)
{
    struct signalfd_siginfo info;

    return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

static bool runs(const struct run *r)
{
    unsigned k;

    for (k = 0; k < r->n; k++)
        if (atomic_load(&r->node[k]->end) == NODE_RUNS || atomic_load(&r->node[k]->returns))
            return true;
    return false;
}

/* The user wants it to end: nobody waits for a reader of the output any more. */
static void end_early(struct run *r, enum node_end why)
{
    console_give_up(r->node[0]->console);
    if (r->n == 1)
        node_finish(r->node[0], why, 0);
    else
        sched_seed_end(r->node[0], why);
}

/* Waits until the run has ended, by itself or because it must. */
static void supervise(struct run *r)
{
    struct pollfd p[MACHINE_MAX_NODES + 1] = {{.fd = r->signal_fd, .events = POLLIN}};
    int limit = -1, e;
    bool early = false;
    uint64_t count;
    unsigned k;

    for (k = 0; k < r->n; k++)
        p[k + 1] = (struct pollfd){.fd = r->node[k]->wake_fd, .events = POLLIN};
    while (runs(r)) {
        limit = early ? -1 : time_left(r->node[0]);
        e = poll(p, r->n + 1, limit);
        for (k = 0; k < r->n && r->n > 1; k++) /* one node's end need not be all's */
            if ((p[k + 1].revents & POLLIN) && read(p[k + 1].fd, &count, sizeof(count)) < 0)
                continue;
        if (e == 0 && time_left(r->node[0]) == 0) {
            early = true;
            end_early(r, NODE_TIMEOUT);
        }
        if (e > 0 && (p[0].revents & POLLIN) && (r->signo = signal_seen(r->signal_fd))) {
            early = true;
            end_early(r, NODE_SIGNAL);
        }
    }
}

struct watch {
    struct node *node;
    int signal_fd, done_fd;
    bool started;
};

/* While the PEs come to their end: a signal or the time limit stops them waiting for a reader. */
static void *watch_end(void *arg)
{
    struct watch *w = arg;
    struct pollfd p[2] = {{.fd = w->done_fd, .events = POLLIN},
                          {.fd = w->signal_fd, .events = POLLIN}};

    while (poll(p, w->signal_fd < 0 ? 1 : 2, time_left(w->node)) < 0 && errno == EINTR)
        continue;
    if (!(p[0].revents & POLLIN))
        console_give_up(w->node->console);
    return NULL;
}

/*
 * Takes all PEs to their end.  A PE may be printing to a reader that does not read: Ctrl-C and the
 * time limit count here, too.
 */
static void stop(struct run *r)
{
    struct node *n = r->node[0];
    struct watch w = {.node = n, .signal_fd = r->signal_fd};
    pthread_t thread;
    unsigned k;

    w.done_fd = eventfd(0, EFD_CLOEXEC);
    w.started = w.done_fd >= 0 && pthread_create(&thread, NULL, watch_end, &w) == 0;
    for (k = 0; k < r->n; k++)
        node_stop_nic(r->node[k]); /* its thread wakes PEs */
    control_stop(n);               /* so does this one */
    n->sched->stop(n);
    control_free(n);
    for (k = 0; k < r->n; k++)
        if (node_nic(r->node[k]))
            nic_finish(node_nic(r->node[k])->nic);
    console_flush(n->console);
    if (w.started) {
        uint64_t one = 1;

        if (write(w.done_fd, &one, sizeof(one)) == sizeof(one))
            pthread_join(thread, NULL);
    }
    if (w.done_fd >= 0)
        close(w.done_fd);
    late_signals(); /* nothing is left to take apart */
}

/*
 * Waits for a message that only another PE could send?  Idle PEs that nobody ever used do not
 * count, once there is somebody who did something.
 */
static bool is_waiting(const struct pe *pe)
{
    return pe->end == PE_RUNNING;
}

static bool is_unused(struct pe *pe)
{
    return pe->end == PE_RUNNING && pe->exits[PX_COMMAND] == 0 &&
           vdtu_reg(pe->dtu, DTU_VPE_ID) == DTU_VPE_INVALID;
}

static unsigned count_failures(const struct node *n)
{
    unsigned i, failed = 0;

    for (i = 0; i < n->npes; i++) {
        const struct pe *pe = &n->pes[i];

        failed += pe->end == PE_FAULTED || pe->status != 0 || pe->noted_status != 0;
    }
    return failed;
}

/* Every PE waits: is that what the user wanted to see? */
static int at_rest(struct node *n, unsigned failures)
{
    unsigned i, waiting = 0, unused = 0;

    for (i = 0; i < n->npes; i++) {
        waiting += is_waiting(&n->pes[i]);
        unused += is_unused(&n->pes[i]);
    }
    if (failures)
        return EXIT_GUEST;
    /* What is not over was never begun: the machine has done its work. */
    if (n->desc->until_idle || waiting == 0 || (waiting == unused && waiting < n->npes))
        return EXIT_OK;
    deadlock_report(n, stderr);
    return EXIT_DEADLOCK;
}

static int exit_status(struct node *n, int signo)
{
    unsigned failures = count_failures(n);

    switch (atomic_load(&n->end)) {
    case NODE_EXITED:
        return failures || n->exit_status ? EXIT_GUEST : EXIT_OK;
    case NODE_AT_REST:
        return at_rest(n, failures);
    case NODE_TIMEOUT:
        fprintf(stderr,
                "sempervm: timed out after %.3f s: give --timeout more, or look at --stats for "
                "who waits\n",
                (double)n->desc->timeout_ns / 1e9);
        return EXIT_TIMEOUT;
    case NODE_STOPPED:
        deadlock_dump(n, stdout);
        return EXIT_OK;
    case NODE_LOST:
        return EXIT_OK; /* as --faults wanted */
    case NODE_DIFFERS:
        record_difference(n, stderr);
        return EXIT_GUEST;
    case NODE_SIGNAL:
        fprintf(stderr, "sempervm: ended by signal %d (%s)\n", signo, strsignal(signo));
        return 128 + signo;
    default:
        return EXIT_HOST;
    }
}

/*
 * Those that a limit, the user or the host ended have the same reason; else each node has its own
 * end, and the first that is not well counts.
 */
static int all_statuses(struct run *r)
{
    int status = EXIT_OK, one, end;
    unsigned k;

    for (k = 0; k < r->n; k++) {
        end = atomic_load(&r->node[k]->end);
        one = exit_status(r->node[k], r->signo);
        if (one != EXIT_OK && r->n > 1 && (end == NODE_EXITED || end == NODE_AT_REST))
            fprintf(stderr, "sempervm: node %u ended with status %d\n", r->node[k]->desc->self,
                    one);
        if (status == EXIT_OK)
            status = one;
        if (end == NODE_TIMEOUT || end == NODE_SIGNAL || end == NODE_DIFFERS || end == NODE_HOST)
            return one;
    }
    return status;
}

static void report(struct run *r, int status)
{
    const struct machine *m = r->node[0]->desc;
    struct console *c = r->node[0]->console;
    unsigned k;

    if (console_lost(c))
        fprintf(stderr,
                "sempervm: %" PRIu64 " bytes of output were lost: standard output was full, "
                "closed, or not read\n",
                console_lost(c));
    for (k = 0; k < r->n; k++) {
        vdtu_noc_rings_settle(r->node[k]->noc);
        if (m->report & REPORT_PAIRS)
            stats_pairs(r->node[k], stdout);
        if (m->report & REPORT_EXITS)
            stats_exits(r->node[k], stdout);
    }
    fflush(stdout);
    for (k = 0; k < r->n && (m->stats || status >= 128); k++)
        stats_print(r->node[k], stderr);
    if (m->stats || status >= 128)
        sched_seed_stats(r->node[0], stderr);
}

static unsigned highest_pe(const struct run *r)
{
    unsigned k, i, most = 0;

    for (k = 0; k < r->n; k++)
        for (i = 0; i < r->node[k]->npes; i++)
            if (r->node[k]->pes[i].id > most)
                most = r->node[k]->pes[i].id;
    return most;
}

static bool when(enum machine_when w)
{
    return w == WHEN_ALWAYS || (w == WHEN_AUTO && isatty(STDOUT_FILENO));
}

static int start(struct run *r, char *err, size_t errsize)
{
    return r->n > 1 ? sched_seed_start(r->node, r->n, err, errsize)
                    : r->node[0]->sched->start(r->node[0], err, errsize);
}

static int run_nodes(struct run *r)
{
    const struct machine *m = r->node[0]->desc;
    struct console *c = console_new(STDOUT_FILENO, highest_pe(r), when(m->prefix), when(m->color));
    char err[512];
    unsigned k;
    int e, status;

    if (!c) {
        fprintf(stderr, "sempervm: out of memory: use fewer PEs (--pes)\n");
        return EXIT_HOST;
    }
    for (k = 0; k < r->n; k++)
        r->node[k]->console = c;
    e = record_open(r->node, r->n, err, sizeof(err));
    if (e < 0) {
        fprintf(stderr, "sempervm: %s\n", err);
        console_free(c);
        return e == -EINVAL ? EXIT_USAGE : EXIT_HOST;
    }
    e = control_open(r->node[0], err, sizeof(err));
    if (e == 0)
        e = start(r, err, sizeof(err));
    if (e < 0)
        fprintf(stderr, "sempervm: %s\n", err);
    else
        supervise(r);
    stop(r);
    status = e < 0 ? EXIT_HOST : all_statuses(r);
    if (record_close(r->node, r->n) < 0 && status == EXIT_OK)
        status = EXIT_HOST;
    report(r, status);
    console_free(c);
    return status;
}

/* -errno, or 0 when all of them are there. */
static int open_nodes(struct run *r, const struct machine *m, unsigned count, int *status)
{
    static struct node node[MACHINE_MAX_NODES]; /* never closed: see node_close() */
    struct diag diag = {0};
    char err[512] = "";
    int e = 0;

    for (r->n = 0; e == 0 && r->n < count; r->n++) {
        r->node[r->n] = &node[r->n];
        e = node_open(&node[r->n], &m[r->n], &diag, err, sizeof(err));
    }
    *status = EXIT_HOST;
    if (e < 0 && diag_count(&diag)) {
        diag_print(&diag, stderr);
        *status = e == -EINVAL ? EXIT_USAGE : EXIT_HOST;
    } else if (e < 0) {
        fprintf(stderr, "sempervm: %s\n", err);
    }
    diag_free(&diag);
    return e;
}

int run_machines(const struct machine *m, unsigned count)
{
    struct run r = {.signal_fd = open_signals()};
    int status;

    if (open_nodes(&r, m, count, &status) == 0)
        status = run_nodes(&r);
    if (r.signal_fd >= 0)
        close(r.signal_fd);
    return status;
}

int run_machine(const struct machine *m)
{
    return run_machines(m, 1);
}
