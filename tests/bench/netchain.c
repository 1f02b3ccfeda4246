/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limit of a round trip between two nodes whose PEs sleep: the same threads, in two processes,
 * hand over to each other as PEs and bridges do, by UDP in between, and each of them goes once into
 * a guest and out again where a PE or a bridge must.  So it is six exits, six wake-ups and
 * two datagrams, and nothing is done with any of it: no DTU, no NIC, no IP in the guest.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define FRAME   232u /* bytes of one with a message and an answer */
#define LIMIT_S 10
#define BATCH   10u

struct half {
    int fd;   /* to the other half */
    int poke; /* wakes the bridge */
    sem_t go; /* wakes the program */
    bool ends;
};

static bool poke(struct half *h)
{
    uint64_t one = 1;

    return write(h->poke, &one, sizeof(one)) == (ssize_t)sizeof(one);
}

static bool wait_go(struct half *h)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_sec += LIMIT_S;
    while (sem_timedwait(&h->go, &ts) < 0)
        if (errno != EINTR)
            return false;
    return true;
}

/* Out: a datagram, when the program wants one.  In: the program is woken. */
static bool bridge_turn(struct half *h, struct bare *vm)
{
    struct pollfd p[2] = {{.fd = h->poke, .events = POLLIN}, {.fd = h->fd, .events = POLLIN}};
    static uint8_t out[FRAME];
    uint8_t in[FRAME];
    uint64_t n;

    if (poll(p, 2, LIMIT_S * 1000) <= 0 || h->ends)
        return false;
    if (p[0].revents &&
        (read(h->poke, &n, sizeof(n)) < 0 || !bare_once(vm) || send(h->fd, out, FRAME, 0) < 0))
        return false;
    if (!p[1].revents)
        return true;
    return recv(h->fd, in, FRAME, 0) > 0 && bare_once(vm) && sem_post(&h->go) == 0;
}

static void *bridge(void *arg)
{
    struct half *h = arg;
    struct bare *vm = bare_open();

    while (vm && bridge_turn(h, vm))
        ;
    if (vm)
        bare_close(vm);
    return NULL;
}

static int ask(struct half *h, struct bare *vm, unsigned n, struct samples *s)
{
    for (unsigned k = 0; k <= n; k++) {
        double since = bench_now();

        for (unsigned i = 0; i < BATCH; i++)
            if (!bare_once(vm) || !poke(h) || !wait_go(h))
                return -EIO;
        if (k > 0) /* the first one warms up */
            samples_add(s, (bench_now() - since) * 1e9 / BATCH);
    }
    return 0;
}

static void answer(struct half *h, struct bare *vm)
{
    while (wait_go(h) && bare_once(vm) && poke(h))
        ;
}

/* With s it asks, otherwise it answers. */
static int run_half(int fd, unsigned n, struct samples *s)
{
    struct half h = {.fd = fd, .poke = eventfd(0, EFD_CLOEXEC)};
    struct bare *vm = bare_open();
    int r = vm && h.poke >= 0 ? 0 : -EIO;
    pthread_t thread;

    sem_init(&h.go, 0, 0);
    if (r == 0)
        r = -pthread_create(&thread, NULL, bridge, &h);
    if (r == 0) {
        if (s)
            r = ask(&h, vm, n, s);
        else
            answer(&h, vm);
        h.ends = true;
        poke(&h);
        pthread_join(thread, NULL);
    }
    if (h.poke >= 0)
        close(h.poke);
    if (vm)
        bare_close(vm);
    return r;
}

static void half_that_answers(int fd)
{
    run_half(fd, 0, NULL);
}

int bench_net_chain(unsigned n, struct samples *s)
{
    return bench_udp_peer(half_that_answers, run_half, n, s);
}
