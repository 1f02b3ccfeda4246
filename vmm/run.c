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
#include "deadlock.h"
#include "node.h"
#include "record.h"
#include "sched.h"
#include "stats.h"

/* Blocks or unblocks those that end a run; returns them. */
static sigset_t signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(how, &set, NULL);
    return set;
}

static int open_signals(void)
{
    sigset_t set = signals(SIG_BLOCK);

    mallopt(M_ARENA_MAX, 1);  /* an arena per thread would be mapped while VMs look on */
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away must not end the machine silently */
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Milliseconds until the machine's time is up, rounded up; -1 without a limit. */
static int time_left(const struct node *n)
{
    uint64_t now, until;

    if (!n->desc->timeout_ns)
        return -1;
    now = host_now();
    until = n->start_ns + n->desc->timeout_ns;
    if (now >= until)
        return 0;
    return until - now > 1000000000000u ? 1000000 : (int)((until - now + 999999) / 1000000);
}

static int signal_seen(int fd)
{
    struct signalfd_siginfo info;

    return read(fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

/* The user wants it to end: nobody waits for a reader of the output any more. */
static void end_early(struct node *n, enum node_end why)
{
    console_give_up(n->console);
    node_finish(n, why, 0);
}

/* Waits until the run has ended, by itself or because it must. */
static void supervise(struct node *n, int signal_fd, int *signo)
{
    struct pollfd p[2] = {{.fd = n->wake_fd, .events = POLLIN},
                          {.fd = signal_fd, .events = POLLIN}};
    int r;

    while (atomic_load(&n->end) == NODE_RUNS) {
        r = poll(p, signal_fd < 0 ? 1 : 2, time_left(n));
        if (r == 0 && time_left(n) == 0)
            end_early(n, NODE_TIMEOUT);
        if (r > 0 && (p[1].revents & POLLIN) && (*signo = signal_seen(signal_fd)))
            end_early(n, NODE_SIGNAL);
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
static void stop(struct node *n, int signal_fd)
{
    struct watch w = {.node = n, .signal_fd = signal_fd};
    pthread_t thread;

    w.done_fd = eventfd(0, EFD_CLOEXEC);
    w.started = w.done_fd >= 0 && pthread_create(&thread, NULL, watch_end, &w) == 0;
    n->sched->stop(n);
    console_flush(n->console);
    if (w.started) {
        uint64_t one = 1;

        if (write(w.done_fd, &one, sizeof(one)) == sizeof(one))
            pthread_join(thread, NULL);
    }
    if (w.done_fd >= 0)
        close(w.done_fd);
    signals(SIG_UNBLOCK); /* nothing is left to take apart: from here on they simply end us */
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

static void report(struct node *n, int status)
{
    if (console_lost(n->console))
        fprintf(stderr,
                "sempervm: %" PRIu64 " bytes of output were lost: standard output was full, "
                "closed, or not read\n",
                console_lost(n->console));
    vdtu_noc_rings_settle(n->noc);
    if (n->desc->report & REPORT_PAIRS)
        stats_pairs(n, stdout);
    if (n->desc->report & REPORT_EXITS)
        stats_exits(n, stdout);
    fflush(stdout);
    if (n->desc->stats || status >= 128)
        stats_print(n, stderr);
}

static bool when(enum machine_when w)
{
    return w == WHEN_ALWAYS || (w == WHEN_AUTO && isatty(STDOUT_FILENO));
}

static int run_node(struct node *n, int signal_fd)
{
    char err[512];
    int r, status, signo = 0;

    n->console = console_new(STDOUT_FILENO, n->npes, when(n->desc->prefix), when(n->desc->color));
    if (!n->console) {
        fprintf(stderr, "sempervm: out of memory: use fewer PEs (--pes)\n");
        return EXIT_HOST;
    }
    r = record_open(n, err, sizeof(err));
    if (r < 0) {
        fprintf(stderr, "sempervm: %s\n", err);
        console_free(n->console);
        return r == -EINVAL ? EXIT_USAGE : EXIT_HOST;
    }
    r = n->sched->start(n, err, sizeof(err));
    if (r < 0)
        fprintf(stderr, "sempervm: %s\n", err);
    else
        supervise(n, signal_fd, &signo);
    stop(n, signal_fd);
    status = r < 0 ? EXIT_HOST : exit_status(n, signo);
    if (record_close(n) < 0 && status == EXIT_OK)
        status = EXIT_HOST;
    report(n, status);
    console_free(n->console);
    return status;
}

int run_machine(const struct machine *m)
{
    int signal_fd = open_signals(), r, status = EXIT_HOST;
    struct diag diag = {0};
    char err[512] = "";
    static struct node n; /* never closed: see node_close() */

    r = node_open(&n, m, &diag, err, sizeof(err));
    if (r == 0)
        status = run_node(&n, signal_fd);
    else if (diag_count(&diag)) {
        diag_print(&diag, stderr);
        status = r == -EINVAL ? EXIT_USAGE : EXIT_HOST;
    } else
        fprintf(stderr, "sempervm: %s\n", err);
    diag_free(&diag);
    if (signal_fd >= 0)
        close(signal_fd);
    return status;
}
