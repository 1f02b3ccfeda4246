/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NIC's host side: an I/O thread that receives, and that carries out posted stores which no
 * exit of the PE follows.
 *
 * While the PE is in its guest the thread looks at the queue of posted stores, at first every
 * LOOK_MIN_NS.  As long as it finds none (a driver that waits with an exit of its own has them
 * served there) the interval doubles up to LOOK_MAX_NS.  A PE that sleeps is not looked at at all.
 * vmm/README.md has what was measured.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "nic_impl.h"
#include "sched.h"

#define LOOK_MIN_NS 50000u
#define LOOK_MAX_NS 2000000u
#define LINGER_NS   10000000u  /* how long a PE sleeps before nobody looks */
#define HOLD_NS     100000000u /* how long received frames wait for buffers */
#define RX_ROUNDS   8u         /* batches in a row before others get a look */

/* ---- frames out; lock held ---- */

void nic_io_flush(struct nic *n)
{
    if (n->nout && n->wire) {
        n->batches++;
        wire_send(n->wire, n->out, n->nout);
    }
    n->nout = 0;
    n->arena_used = 0;
}

void nic_io_transmit(void *arg, const void *frame, size_t len)
{
    struct nic *n = arg;

    if (n->nout == WIRE_BATCH || len > NIC_ARENA - n->arena_used)
        nic_io_flush(n);
    memcpy(n->arena + n->arena_used, frame, len);
    n->out[n->nout++] = (struct backend_frame){.data = n->arena + n->arena_used, .len = len};
    n->arena_used += len;
}

void nic_record_frame(struct nic *n, bool outbound, const void *frame, size_t len)
{
    struct timespec ts;
    uint64_t at;

    if (!n->pcap)
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    at = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    if (n->pe->node->desc->seed.on) /* virtual time, so that recordings of a seed are equal */
        at = n->pe->node->sched->now(n->pe->node);
    if (pcap_frame(n->pcap, at, outbound, frame, len) < 0 && n->pcap_lost++ == 0)
        node_log(n->pe->node, LOG_ERROR, "%s: cannot write: frames are missing in it",
                 n->pe->node->desc->pcap);
}

/* ---- frames in ---- */

/* False: it finds no room.  Who waits is not tried again before there is a buffer at all. */
static bool offer(struct nic *n, const struct backend_frame *f)
{
    if (n->held_since && !netdev_can_receive(n->dev))
        return false;
    if (netdev_receive(n->dev, f->data, f->len) == NETDEV_RX_NO_BUFFER)
        return false;
    nic_record_frame(n, false, f->data, f->len);
    return true;
}

/*
 * Hands in what was received; what finds no buffer stays, for a while.  A frame may find no room
 * though there are buffers, when it is longer than all of them: that, too, is for the next time,
 * since no store of the driver gets through while we hold the lock.
 */
static void deliver(struct nic *n)
{
    pthread_mutex_lock(&n->lock);
    nic_serve_posts(n);
    while (n->in_at < n->nin) {
        if (offer(n, &n->in[n->in_at])) {
            n->in_at++;
            n->held_since = 0;
            continue;
        }
        if (!n->held_since) {
            n->held++;
            n->held_since = host_now();
        }
        if (host_now() - n->held_since < HOLD_NS)
            break;
        n->given_up += n->nin - n->in_at;
        n->in_at = n->nin;
        n->held_since = 0;
    }
    atomic_store(&n->holding, n->in_at < n->nin);
    pthread_mutex_unlock(&n->lock);
}

/* Returns whether there was anything. */
static bool receive(struct nic *n)
{
    bool any = false, more = true;
    unsigned i;

    pthread_mutex_lock(&n->rx_lock);
    for (i = 0; i < RX_ROUNDS && more; i++) {
        if (n->in_at == n->nin) {
            n->in_at = 0;
            n->nin = wire_receive(n->wire, n->in);
        }
        if (n->nin > 0) {
            deliver(n);
            any = true;
        }
        /* A batch that is not full was all: who waits at the socket is told of what came since. */
        more = n->in_at == n->nin && n->nin == WIRE_BATCH;
    }
    pthread_mutex_unlock(&n->rx_lock);
    return any;
}

/* ---- the PE's own thread ---- */

static void wait_fds(struct pollfd p[2], uint64_t ns)
{
    struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u),
                          .tv_nsec = (long)(ns % 1000000000u)};
    uint64_t count;

    p[0].revents = p[1].revents = 0;
    if (ppoll(p, 2, ns == ~0ull ? NULL : &ts, NULL) > 0 && (p[0].revents & POLLIN))
        if (read(p[0].fd, &count, sizeof(count)) < 0)
            return;
}

bool nic_is_direct(const struct nic *n)
{
    return n->direct;
}

void nic_listen(struct nic *n, bool on)
{
    atomic_store(&n->listening, on);
}

void nic_poke(struct nic *n)
{
    uint64_t one = 1;

    if (atomic_load(&n->listening) && write(n->poke_fd, &one, sizeof(one)) < 0)
        return; /* a counter that is full wakes it just as well */
}

void nic_sleep(struct nic *n, uint64_t ns)
{
    struct pollfd p[2] = {{.fd = n->poke_fd, .events = POLLIN}, {.fd = -1}};

    wire_poll(n->wire, &p[1]);
    if (atomic_load(&n->holding)) {
        p[1].fd = -1; /* first those that wait for buffers */
        ns = ns < LOOK_MAX_NS ? ns : LOOK_MAX_NS;
    }
    wait_fds(p, ns);
    nic_listen(n, false); /* what we deliver is no news to us */
    if ((p[1].revents || atomic_load(&n->holding)) && receive(n))
        n->direct_rx++;
}

/* ---- the thread ---- */

struct look {
    uint64_t every;     /* ns */
    uint64_t inside_at; /* when the PE was last seen in its guest */
};

/* Carries out what was posted.  How long to wait until the next look, in ns; ~0: nobody need look.
 */
static uint64_t look(struct nic *n, struct look *l)
{
    uint64_t t = host_now();

    if (!atomic_load(&n->watched))
        return ~0ull;
    if (nic_has_posts(n)) {
        pthread_mutex_lock(&n->lock);
        n->thread_flushes++;
        nic_serve_posts(n);
        pthread_mutex_unlock(&n->lock);
        l->every = LOOK_MIN_NS;
    } else {
        n->thread_looks++;
        l->every = l->every * 2 > LOOK_MAX_NS ? LOOK_MAX_NS : l->every * 2;
    }
    if (atomic_load(&n->inside))
        l->inside_at = t;
    if (t - l->inside_at < LINGER_NS)
        return l->every;
    atomic_store(&n->watched, false);
    if (atomic_load(&n->inside)) { /* it came back just now, and saw us still watching */
        atomic_store(&n->watched, true);
        return l->every;
    }
    l->every = LOOK_MIN_NS;
    return ~0ull;
}

static void say(void *arg, const char *line)
{
    struct nic *n = arg;

    node_log(n->pe->node, LOG_WARN, "%s", line);
}

static void sleep_until_something(struct nic *n, uint64_t ns)
{
    struct pollfd p[2] = {{.fd = n->wake_fd, .events = POLLIN}, {.fd = -1}};
    int ms = wire_poll(n->wire, &p[1]);

    if (atomic_load(&n->holding))
        ns = ns < LOOK_MAX_NS ? ns : LOOK_MAX_NS;
    if (n->direct || atomic_load(&n->holding))
        p[1].fd = -1;
    if (ms >= 0 && (uint64_t)ms * 1000000u < ns)
        ns = (uint64_t)ms * 1000000u;
    wait_fds(p, ns);
}

static void *io_main(void *arg)
{
    struct nic *n = arg;
    struct look l = {.every = LOOK_MIN_NS};
    uint64_t work_at = 0, t;

    prctl(PR_SET_TIMERSLACK, 1000);
    while (!atomic_load(&n->stop)) {
        t = host_now();
        if (t >= work_at) {
            wire_work(n->wire, say, n);
            work_at = t + 100000000u;
        }
        if (atomic_load(&n->more)) {
            pthread_mutex_lock(&n->lock);
            nic_serve_posts(n);
            pthread_mutex_unlock(&n->lock);
        }
        if (!n->direct || atomic_load(&n->inside) || atomic_load(&n->holding))
            receive(n);
        sleep_until_something(n, look(n, &l));
    }
    return NULL;
}

static int record(struct nic *n, const char *path, char *err, size_t errsize)
{
    int r = path ? pcap_open(path, &n->pcap) : 0;

    if (r < 0)
        snprintf(err, errsize, "--pcap %s: %s: give another file", path, strerror(-r));
    return r;
}

int nic_start(struct nic *n, const struct machine *m, char *err, size_t errsize)
{
    int r = record(n, m->pcap, err, errsize);

    if (r < 0 || m->seed.on)
        return r;
    r = wire_open(m, &n->wire, err, errsize);
    if (r < 0)
        return r;
    n->arena = malloc(NIC_ARENA);
    n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (n->arena && n->wake_fd >= 0) {
        nic_set_wire(n, nic_io_transmit, n);
        n->poke_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        n->direct = n->poke_fd >= 0 && wire_is_udp(n->wire);
        r = -pthread_create(&n->thread, NULL, io_main, n);
        atomic_store(&n->started, r == 0);
    }
    if (!atomic_load(&n->started)) {
        snprintf(err, errsize, "cannot start a thread for the NIC: %s: use fewer PEs",
                 strerror(r ? -r : ENOMEM));
        return r ? r : -ENOMEM;
    }
    return 0;
}

void nic_io_wake(struct nic *n)
{
    uint64_t one = 1;
    ssize_t r = write(n->wake_fd, &one, sizeof(one));

    (void)r; /* a counter that is full wakes it just as well */
}

void nic_finish(struct nic *n)
{
    pthread_mutex_lock(&n->lock);
    if (n->pcap && pcap_close(n->pcap) < 0)
        node_log(n->pe->node, LOG_ERROR, "%s: frames are missing in it", n->pe->node->desc->pcap);
    n->pcap = NULL;
    pthread_mutex_unlock(&n->lock);
}

void nic_io_close(struct nic *n)
{
    nic_stop(n);
    nic_finish(n);
    wire_close(n->wire);
    if (n->wake_fd >= 0)
        close(n->wake_fd);
    if (n->poke_fd >= 0)
        close(n->poke_fd);
    free(n->arena);
}

void nic_stop(struct nic *n)
{
    struct timespec ts;

    if (atomic_load(&n->started) && !atomic_exchange(&n->stop, true)) {
        nic_io_wake(n);
        do { /* it may be in a connect() that takes its time: a signal ends that */
            clock_gettime(CLOCK_REALTIME, &ts);
            ts.tv_nsec += 50000000;
            ts.tv_sec += ts.tv_nsec / 1000000000;
            ts.tv_nsec %= 1000000000;
        } while (pthread_timedjoin_np(n->thread, NULL, &ts) == ETIMEDOUT &&
                 pthread_kill(n->thread, SIGUSR1) == 0);
    }
}

void nic_stats(struct nic *n, FILE *out)
{
    const struct netdev_stats *s;

    pthread_mutex_lock(&n->lock);
    s = netdev_stats(n->dev);
    fprintf(out,
            "NIC of PE %u: sent %" PRIu64 " frames (%" PRIu64 " bytes) in %" PRIu64
            " batches, received %" PRIu64 " (%" PRIu64 " bytes), interrupts %" PRIu64
            ", resets %" PRIu64 "\n",
            n->pe->id, s->tx_frames, s->tx_bytes, n->batches, s->rx[NETDEV_RX_OK], s->rx_bytes,
            s->irqs, s->resets);
    fprintf(out,
            "  exits     register loads %" PRIu64 " stores %" PRIu64 " ports %" PRIu64
            "; posted stores %" PRIu64 " (merged %" PRIu64 " lost %" PRIu64
            ") served at exits %" PRIu64 " by the thread %" PRIu64 " (in vain %" PRIu64
            "), kicks %" PRIu64 "\n",
            n->mmio_reads, n->mmio_writes, n->ports, n->posted, n->post_merged, n->post_lost,
            n->flushes, n->thread_flushes, n->thread_looks, s->kicks);
    fprintf(out, "  dropped  ");
    for (unsigned i = NETDEV_RX_OFF; i < NETDEV_RX_CAUSES; i++)
        fprintf(out, " %s %" PRIu64 ",", netdev_rx_name((enum netdev_rx)i), s->rx[i]);
    fprintf(out,
            " given up %" PRIu64 " (held %" PRIu64 "), to send %" PRIu64 ", bad ring %" PRIu64
            ", dma %" PRIu64 ", registers %" PRIu64 " unknown %" PRIu64 " crooked\n",
            n->given_up, n->held, s->tx_dropped, s->tx_bad_ring, s->dma_errors, s->unknown_regs,
            s->bad_access);
    if (n->wire)
        wire_stats(n->wire, out);
    if (n->pcap_lost)
        fprintf(out, "  recording lost %" PRIu64 " frames\n", n->pcap_lost);
    pthread_mutex_unlock(&n->lock);
}
