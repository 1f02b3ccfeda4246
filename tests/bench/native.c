/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user would have instead of PEs: two threads with a cache line or a ring between them, a
 * pipe, a Unix socket, an eventfd.  A sample is the mean time of one operation of a batch, in ns.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define SLOTS 32u
#define SIZE  64u

static uint64_t get(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static void put(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* One line each, two cache lines apart because they are fetched in pairs. */
static struct shared {
    uint64_t ping __attribute__((aligned(128)));
    uint64_t pong __attribute__((aligned(128)));
    uint64_t head __attribute__((aligned(128)));
    uint64_t tail __attribute__((aligned(128)));
    uint8_t slot[SLOTS][SIZE] __attribute__((aligned(128)));
    uint64_t limit __attribute__((aligned(128)));
    int a[2], b[2];
} sh;

/* The other one may share our core: do not spin for a whole time slice. */
static void until(const uint64_t *p, uint64_t least)
{
    unsigned spins = 0;

    while (get(p) < least)
        if (++spins % 4096 == 0)
            sched_yield();
}

/* ---- the other side ---- */

static void *line_peer(void *arg)
{
    for (uint64_t i = 1; i <= sh.limit; i++) {
        until(&sh.ping, i);
        put(&sh.pong, i);
    }
    return arg;
}

static void *ring_peer(void *arg)
{
    static uint8_t copy[SIZE];

    for (uint64_t i = 0; i < sh.limit; i++) {
        until(&sh.tail, i + 1);
        memcpy(copy, sh.slot[i % SLOTS], SIZE);
        __asm__ volatile("" : : "r"(copy) : "memory");
        put(&sh.head, i + 1);
    }
    return arg;
}

static void *fd_peer(void *arg)
{
    const size_t *size = arg;
    uint8_t buf[SIZE];

    for (uint64_t i = 0; i < sh.limit; i++)
        if (read(sh.a[0], buf, *size) != (ssize_t)*size ||
            write(sh.b[1], buf, *size) != (ssize_t)*size)
            break;
    return NULL;
}

/* Takes only. */
static void *fd_sink(void *arg)
{
    const size_t *size = arg;
    uint8_t buf[SIZE];

    for (uint64_t i = 0; i < sh.limit; i++)
        if (read(sh.a[0], buf, *size) != (ssize_t)*size)
            break;
    return NULL;
}

/* ---- this side ---- */

static int line_op(uint64_t i, size_t size)
{
    (void)size;
    put(&sh.ping, i + 1);
    until(&sh.pong, i + 1);
    return 0;
}

static int ring_op(uint64_t i, size_t size)
{
    static uint8_t message[SIZE];

    (void)size;
    if (i >= SLOTS)
        until(&sh.head, i - SLOTS + 1);
    memcpy(sh.slot[i % SLOTS], message, SIZE);
    __asm__ volatile("" : : "r"(message) : "memory");
    put(&sh.tail, i + 1);
    return 0;
}

static int fd_op(uint64_t i, size_t size)
{
    uint8_t buf[SIZE] = {1};

    (void)i;
    return write(sh.a[1], buf, size) == (ssize_t)size && read(sh.b[0], buf, size) == (ssize_t)size
               ? 0
               : -EIO;
}

static int fd_send(uint64_t i, size_t size)
{
    const uint8_t buf[SIZE] = {1};

    (void)i;
    return write(sh.a[1], buf, size) == (ssize_t)size ? 0 : -EIO;
}

static const struct native {
    void *(*peer)(void *);
    int (*op)(uint64_t i, size_t size);
    size_t size;
    unsigned batch;
} natives[] = {
    [NATIVE_LINE] = {line_peer, line_op, 8, 1000},
    [NATIVE_RING] = {ring_peer, ring_op, SIZE, 2000},
    [NATIVE_PIPE] = {fd_peer, fd_op, SIZE, 50},
    [NATIVE_SOCKET] = {fd_peer, fd_op, SIZE, 50},
    [NATIVE_EVENTFD] = {fd_peer, fd_op, 8, 50},
    [NATIVE_PIPE_TPUT] = {fd_sink, fd_send, SIZE, 500},
};

static int open_fds(enum native_kind kind)
{
    sh.a[0] = sh.a[1] = sh.b[0] = sh.b[1] = -1;
    switch (kind) {
    case NATIVE_PIPE:
    case NATIVE_PIPE_TPUT:
        return pipe(sh.a) < 0 || pipe(sh.b) < 0 ? -errno : 0;
    case NATIVE_SOCKET: {
        int s[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
            return -errno;
        sh.a[0] = sh.b[1] = s[0];
        sh.a[1] = sh.b[0] = s[1];
        return 0;
    }
    case NATIVE_EVENTFD:
        sh.a[0] = sh.a[1] = eventfd(0, 0);
        sh.b[0] = sh.b[1] = eventfd(0, 0);
        return sh.a[0] < 0 || sh.b[0] < 0 ? -errno : 0;
    default:
        return 0;
    }
}

static void close_fds(void)
{
    const int fd[4] = {sh.a[0], sh.a[1], sh.b[0], sh.b[1]};

    for (unsigned i = 0; i < 4; i++) {
        bool again = false;

        for (unsigned k = 0; k < i; k++)
            again |= fd[k] == fd[i];
        if (fd[i] >= 0 && !again)
            close(fd[i]);
    }
}

int bench_native(enum native_kind kind, unsigned n, struct samples *s)
{
    const struct native *t = &natives[kind];
    size_t size = t->size;
    pthread_t thread;
    uint64_t i = 0;
    int r = open_fds(kind);

    sh.ping = sh.pong = sh.head = sh.tail = 0;
    sh.limit = (uint64_t)(n + 1) * t->batch;
    if (r == 0)
        r = -pthread_create(&thread, NULL, t->peer, &size);
    if (r < 0)
        return r;
    for (unsigned k = 0; k <= n; k++) {
        double since = bench_now();

        for (unsigned b = 0; b < t->batch && r == 0; b++)
            r = t->op(i++, size);
        if (k > 0) /* the first one warms up */
            samples_add(s, (bench_now() - since) * 1e9 / t->batch);
    }
    pthread_join(thread, NULL);
    close_fds();
    return r;
}
