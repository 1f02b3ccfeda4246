/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user would have instead of PEs: two threads, or two processes, with a cache line, a ring
 * or a slot each way between them, a pipe, a Unix socket, an eventfd.  Each end has a core to
 * itself where there are two.  A sample is the mean time of one operation of a batch, in ns.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define SLOTS 32u
#define SIZE  64u
#define HEAD  24u  /* a slot of our rings begins with that much about the message */
#define WHOLE 128u /* and is so long for one of 64 bytes */
/* Of a call: on a busy machine, where each wake-up may take ten milliseconds, fewer samples. */
#define LIMIT_S 1.5

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
    uint8_t whole[SLOTS][WHOLE] __attribute__((aligned(128)));
    uint8_t there[NATIVE_SIZE_MAX] __attribute__((aligned(128)));
    uint8_t back[NATIVE_SIZE_MAX] __attribute__((aligned(128)));
    uint64_t limit __attribute__((aligned(128)));
    size_t size;
    int a[2], b[2];
} * sh;

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
    for (uint64_t i = 1; i <= get(&sh->limit); i++) {
        until(&sh->ping, i);
        put(&sh->pong, i);
    }
    return arg;
}

/* What a message needs at least: both sides copy it, out of their own memory and into it. */
static void *shm_peer(void *arg)
{
    static uint8_t copy[NATIVE_SIZE_MAX];

    for (uint64_t i = 1; i <= get(&sh->limit); i++) {
        until(&sh->ping, i);
        memcpy(copy, sh->there, sh->size);
        __asm__ volatile("" : : "r"(copy) : "memory");
        memcpy(sh->back, copy, sh->size);
        put(&sh->pong, i);
    }
    return arg;
}

static void *ring_peer(void *arg)
{
    static uint8_t copy[SIZE];

    for (uint64_t i = 0; i < get(&sh->limit); i++) {
        until(&sh->tail, i + 1);
        memcpy(copy, sh->slot[i % SLOTS], SIZE);
        __asm__ volatile("" : : "r"(copy) : "memory");
        put(&sh->head, i + 1);
    }
    return arg;
}

static void *slots_peer(void *arg)
{
    static uint8_t copy[HEAD + SIZE];

    for (uint64_t i = 0; i < get(&sh->limit); i++) {
        until(&sh->tail, i + 1);
        memcpy(copy, sh->whole[i % SLOTS], HEAD + SIZE);
        __asm__ volatile("" : : "r"(copy) : "memory");
        put(&sh->head, i + 1);
    }
    return arg;
}

static void *fd_peer(void *arg)
{
    const size_t size = sh->size;
    uint8_t buf[NATIVE_SIZE_MAX];

    for (uint64_t i = 0; i < get(&sh->limit); i++)
        if (read(sh->a[0], buf, size) != (ssize_t)size ||
            write(sh->b[1], buf, size) != (ssize_t)size)
            break;
    return arg;
}

/* Takes only. */
static void *fd_sink(void *arg)
{
    const size_t size = sh->size;
    uint8_t buf[NATIVE_SIZE_MAX];

    for (uint64_t i = 0; i < get(&sh->limit); i++)
        if (read(sh->a[0], buf, size) != (ssize_t)size)
            break;
    return arg;
}

/* ---- this side ---- */

static int line_op(uint64_t i, size_t size)
{
    (void)size;
    put(&sh->ping, i + 1);
    until(&sh->pong, i + 1);
    return 0;
}

static int shm_op(uint64_t i, size_t size)
{
    static uint8_t copy[NATIVE_SIZE_MAX];

    memcpy(sh->there, copy, size);
    put(&sh->ping, i + 1);
    until(&sh->pong, i + 1);
    memcpy(copy, sh->back, size);
    __asm__ volatile("" : : "r"(copy) : "memory");
    return 0;
}

static int ring_op(uint64_t i, size_t size)
{
    static uint8_t message[SIZE];

    (void)size;
    if (i >= SLOTS)
        until(&sh->head, i - SLOTS + 1);
    memcpy(sh->slot[i % SLOTS], message, SIZE);
    __asm__ volatile("" : : "r"(message) : "memory");
    put(&sh->tail, i + 1);
    return 0;
}

static int slots_op(uint64_t i, size_t size)
{
    static uint8_t message[HEAD + SIZE];

    (void)size;
    if (i >= SLOTS)
        until(&sh->head, i - SLOTS + 1);
    memcpy(sh->whole[i % SLOTS], message, HEAD + SIZE);
    __asm__ volatile("" : : "r"(message) : "memory");
    put(&sh->tail, i + 1);
    return 0;
}

static int fd_op(uint64_t i, size_t size)
{
    uint8_t buf[NATIVE_SIZE_MAX] = {1};

    (void)i;
    return write(sh->a[1], buf, size) == (ssize_t)size && read(sh->b[0], buf, size) == (ssize_t)size
               ? 0
               : -EIO;
}

static int fd_send(uint64_t i, size_t size)
{
    const uint8_t buf[NATIVE_SIZE_MAX] = {1};

    (void)i;
    return write(sh->a[1], buf, size) == (ssize_t)size ? 0 : -EIO;
}

static const struct native {
    void *(*peer)(void *);
    int (*op)(uint64_t i, size_t size);
    size_t size;
    unsigned batch;
    bool process; /* the other side is one */
} natives[] = {
    [NATIVE_LINE] = {line_peer, line_op, 8, 200, false},
    [NATIVE_RING] = {ring_peer, ring_op, SIZE, 500, false},
    [NATIVE_RING_SLOTS] = {slots_peer, slots_op, SIZE, 500, false},
    [NATIVE_PIPE] = {fd_peer, fd_op, SIZE, 20, false},
    [NATIVE_SOCKET] = {fd_peer, fd_op, SIZE, 20, false},
    [NATIVE_EVENTFD] = {fd_peer, fd_op, 8, 20, false},
    [NATIVE_PIPE_TPUT] = {fd_sink, fd_send, SIZE, 200, false},
    [NATIVE_SHM] = {shm_peer, shm_op, SIZE, 100, false},
    [NATIVE_SHM_PROCESS] = {shm_peer, shm_op, SIZE, 100, true},
};

static int open_fds(enum native_kind kind)
{
    sh->a[0] = sh->a[1] = sh->b[0] = sh->b[1] = -1;
    switch (kind) {
    case NATIVE_PIPE:
    case NATIVE_PIPE_TPUT:
        return pipe(sh->a) < 0 || pipe(sh->b) < 0 ? -errno : 0;
    case NATIVE_SOCKET: {
        int s[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
            return -errno;
        sh->a[0] = sh->b[1] = s[0];
        sh->a[1] = sh->b[0] = s[1];
        return 0;
    }
    case NATIVE_EVENTFD:
        sh->a[0] = sh->a[1] = eventfd(0, 0);
        sh->b[0] = sh->b[1] = eventfd(0, 0);
        return sh->a[0] < 0 || sh->b[0] < 0 ? -errno : 0;
    default:
        return 0;
    }
}

static void close_fds(void)
{
    const int fd[4] = {sh->a[0], sh->a[1], sh->b[0], sh->b[1]};

    for (unsigned i = 0; i < 4; i++) {
        bool again = false;

        for (unsigned k = 0; k < i; k++)
            again |= fd[k] == fd[i];
        if (fd[i] >= 0 && !again)
            close(fd[i]);
    }
}

/* ---- pinning ---- */

static cpu_set_t everywhere;

void bench_pin(unsigned core)
{
    cpu_set_t one;

    if (CPU_COUNT(&everywhere) == 0)
        sched_getaffinity(0, sizeof(everywhere), &everywhere);
    CPU_ZERO(&one);
    CPU_SET(core % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &one);
    sched_setaffinity(0, sizeof(one), &one); /* not allowed: then not */
}

void bench_unpin(void)
{
    if (CPU_COUNT(&everywhere) > 0)
        sched_setaffinity(0, sizeof(everywhere), &everywhere);
}

/* ---- both ---- */

static void *peer_main(void *arg)
{
    const struct native *t = arg;

    bench_pin(1);
    return t->peer(arg);
}

static pid_t fork_peer(const struct native *t)
{
    pid_t pid = fork();

    if (pid == 0) {
        peer_main((void *)(uintptr_t)t);
        _exit(0);
    }
    return pid;
}

static int measure(const struct native *t, size_t size, unsigned n, struct samples *s)
{
    double end = bench_now() + LIMIT_S;
    uint64_t i = 0;
    int r = 0;

    for (unsigned k = 0; k <= n && r == 0 && (k < 2 || bench_now() < end); k++) {
        double since = bench_now();

        for (unsigned b = 0; b < t->batch && r == 0; b++)
            r = t->op(i++, size);
        if (k > 0 && r == 0) /* the first one warms up */
            samples_add(s, (bench_now() - since) * 1e9 / t->batch);
    }
    put(&sh->limit, i + 1); /* the other side's last one */
    return r == 0 ? t->op(i, size) : r;
}

int bench_native_size(enum native_kind kind, size_t size, unsigned n, struct samples *s)
{
    const struct native *t = &natives[kind];
    pthread_t thread;
    pid_t pid = 0;
    int r;

    if (size > NATIVE_SIZE_MAX)
        return -EINVAL;
    if (!sh) {
        void *p =
            mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
            return -errno;
        sh = p;
    }
    r = open_fds(kind);
    sh->ping = sh->pong = sh->head = sh->tail = 0;
    sh->limit = ~0ull;
    sh->size = size;
    if (r == 0 && t->process && (pid = fork_peer(t)) < 0)
        r = -errno;
    else if (r == 0 && !t->process)
        r = -pthread_create(&thread, NULL, peer_main, (void *)(uintptr_t)t);
    if (r < 0)
        return r;
    bench_pin(0);
    r = measure(t, size, n, s);
    bench_unpin();
    if (pid > 0)
        waitpid(pid, NULL, 0);
    else
        pthread_join(thread, NULL);
    close_fds();
    return r;
}

int bench_native(enum native_kind kind, unsigned n, struct samples *s)
{
    return bench_native_size(kind, natives[kind].size, n, s);
}
