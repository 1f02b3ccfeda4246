/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bad network on one host: carries UDP datagrams between the nodes of a machine and loses,
 * repeats, reorders and delays them, as a function of a seed and of what comes.
 *
 *     lossy [loss=%] [dup=%] [reorder=N] [stall=MS] [flood=N] [seed=N] [version=C]
 *           node=NEAR,FAR node=...
 *
 * Node k listens at FAR (127.0.0.1:port) and is known to the others at NEAR, which is ours.  What
 * node i sends to j's NEAR is sent on from i's NEAR to j's FAR, so that each sees the addresses it
 * expects.
 *
 *   reorder=N   every tenth datagram waits until up to N others of its direction have passed it
 *   stall=MS    once a second a direction stands still for so long
 *   flood=N     so many hostile datagrams a second to every node, from each other's address: noise,
 *               old datagrams again, and old ones with bytes changed
 *
 *   version=C   link frames have C, a number, in place of the digit of LINK_MAGIC, as from a bridge
 *               of another version
 *
 * Prints `ready`, runs until SIGTERM, then prints what it did; exit status 0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NODES     16u
#define HELD      8192u
#define SIZE      2048u
#define MS        1000000ull
#define HOLD_MOST (50 * MS) /* a held datagram goes when nobody passes it */

struct held {
    bool used;
    uint8_t from, to;
    uint32_t order; /* goes when its direction has passed so many datagrams */
    uint64_t due;   /* and at the latest then, ns */
    uint64_t not_before;
    size_t len;
    uint8_t data[SIZE];
};

static struct {
    int fd;
    struct sockaddr_in near, far;
} node[NODES];
static unsigned nodes;
static unsigned loss, twice, reorder, stall, flood, version;
static uint64_t rng = 88172645463325252ull;

static struct held held[HELD];
static unsigned held_count;
static uint32_t passed[NODES][NODES];
static uint64_t stalled_until[NODES][NODES], next_stall[NODES][NODES];
static uint8_t old[NODES][NODES][SIZE]; /* the last datagram of each direction */
static size_t old_len[NODES][NODES];
static struct {
    unsigned long in, sent, lost, doubled, held, stalls, flooded, full, strangers;
} count;
static volatile sig_atomic_t ended;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void on_term(int sig)
{
    (void)sig;
    ended = 1;
}

/* The link's header in a frame: behind Ethernet, IPv4 and UDP. */
#define LINK_AT 42u

static const uint8_t *other_version(const uint8_t *data, size_t len)
{
    static uint8_t copy[SIZE];

    if (!version || len < LINK_AT + 4 || memcmp(data + LINK_AT, "SLK", 3) != 0)
        return data;
    memcpy(copy, data, len);
    copy[LINK_AT + 3] = (uint8_t)version;
    memset(copy + LINK_AT - 2, 0, 2); /* UDP: no checksum */
    return copy;
}

static void send_on(unsigned from, unsigned to, const uint8_t *data, size_t len)
{
    data = other_version(data, len);
    if (sendto(node[from].fd, data, len, 0, (struct sockaddr *)&node[to].far,
               sizeof(node[to].far)) == (ssize_t)len)
        count.sent++;
    else
        count.full++; /* no room, or the node is down: lost like any other */
    passed[from][to]++;
}

static void hold(unsigned from, unsigned to, const uint8_t *data, size_t len, unsigned behind,
                 uint64_t not_before)
{
    for (unsigned i = 0; i < HELD; i++) {
        struct held *h = &held[i];

        if (h->used)
            continue;
        h->used = true;
        h->from = (uint8_t)from;
        h->to = (uint8_t)to;
        h->order = passed[from][to] + behind;
        h->not_before = not_before;
        h->due = (not_before ? not_before : now()) + HOLD_MOST;
        h->len = len;
        memcpy(h->data, data, len);
        held_count++;
        return;
    }
    count.full++;
}

static void release(void)
{
    uint64_t t = now();

    for (unsigned i = 0; i < HELD && held_count; i++) {
        struct held *h = &held[i];

        if (!h->used || t < h->not_before)
            continue;
        if (t < h->due && (int32_t)(passed[h->from][h->to] - h->order) < 0)
            continue;
        h->used = false;
        held_count--;
        send_on(h->from, h->to, h->data, h->len);
    }
}

static void forward(unsigned from, unsigned to, const uint8_t *data, size_t len)
{
    uint64_t t = now(), wait = 0;

    memcpy(old[from][to], data, len);
    old_len[from][to] = len;
    if (stall && t >= next_stall[from][to]) {
        next_stall[from][to] = t + 500 * MS + rnd() % (1000 * MS);
        stalled_until[from][to] = t + stall * MS;
        count.stalls++;
    }
    if (t < stalled_until[from][to])
        wait = stalled_until[from][to];
    if (rnd() % 100 < loss) {
        count.lost++;
        return;
    }
    if (rnd() % 100 < twice) {
        count.doubled++;
        hold(from, to, data, len, (unsigned)(rnd() % 20), wait);
    }
    if (reorder && rnd() % 10 == 0) {
        count.held++;
        hold(from, to, data, len, 1 + (unsigned)(rnd() % reorder), wait);
    } else if (wait) {
        hold(from, to, data, len, 0, wait);
    } else {
        send_on(from, to, data, len);
    }
}

static void receive(unsigned to)
{
    uint8_t data[SIZE];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    ssize_t len;

    for (unsigned i = 0; i < 256; i++, size = sizeof(from)) {
        unsigned k = 0;

        len = recvfrom(node[to].fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from,
                       &size);
        if (len < 0 && errno == ECONNREFUSED)
            continue; /* a node that is down */
        if (len < 0)
            return;
        while (k < nodes && from.sin_port != node[k].far.sin_port)
            k++;
        count.in++;
        if (k == nodes)
            count.strangers++;
        else
            forward(k, to, data, (size_t)len);
    }
}

static void flood_one(unsigned from, unsigned to)
{
    uint8_t data[SIZE];
    size_t len = old_len[from][to];
    unsigned kind = (unsigned)(rnd() % 4);

    /* Whoever sends plain frames can poison ARP, and then nothing arrives: only a key helps. */
    if (kind == 0 || len < 14 || (old[from][to][12] == 8 && old[from][to][13] == 6)) {
        len = rnd() % 1500 + 1;
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)rnd();
    } else {
        memcpy(data, old[from][to], len);
        for (unsigned i = kind == 1 ? 0 : 1 + (unsigned)(rnd() % 4); i > 0; i--)
            data[rnd() % len] = (uint8_t)rnd();
        if (kind == 3)
            len = 1 + rnd() % len;
    }
    sendto(node[from].fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&node[to].far,
           sizeof(node[to].far));
    count.flooded++;
}

static void flooding(void)
{
    static uint64_t last, owed;
    uint64_t t = now();

    if (last)
        owed += (t - last) * flood;
    last = t;
    for (unsigned n = 0; owed >= 1000000000ull && n < 2000; n++, owed -= 1000000000ull)
        for (unsigned i = 0; i < nodes; i++)
            for (unsigned j = 0; j < nodes; j++)
                if (i != j)
                    flood_one(i, j);
}

static bool address(const char *s, struct sockaddr_in *a, char end)
{
    char host[32];
    const char *colon = strchr(s, ':');
    char *stop;

    if (!colon || (size_t)(colon - s) >= sizeof(host))
        return false;
    memcpy(host, s, (size_t)(colon - s));
    host[colon - s] = 0;
    a->sin_family = AF_INET;
    a->sin_port = htons((uint16_t)strtoul(colon + 1, &stop, 10));
    return inet_pton(AF_INET, host, &a->sin_addr) == 1 && *stop == end;
}

static bool add_node(const char *s)
{
    const char *comma = strchr(s, ',');
    int size = 4 << 20;

    if (nodes == NODES || !comma || !address(s, &node[nodes].near, ',') ||
        !address(comma + 1, &node[nodes].far, 0))
        return false;
    node[nodes].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(node[nodes].fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(node[nodes].fd, (struct sockaddr *)&node[nodes].near, sizeof(node[nodes].near)) < 0)
        return false;
    nodes++;
    return true;
}

static bool argument(const char *s)
{
    static const struct {
        const char *name;
        unsigned *value;
    } numbers[] = {{"loss=", &loss},   {"dup=", &twice},   {"reorder=", &reorder},
                   {"stall=", &stall}, {"flood=", &flood}, {"version=", &version}};

    if (strncmp(s, "node=", 5) == 0)
        return add_node(s + 5);
    if (strncmp(s, "seed=", 5) == 0) {
        rng ^= strtoull(s + 5, NULL, 0) * 0x9E3779B97F4A7C15ull;
        return rng != 0;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strncmp(s, numbers[i].name, strlen(numbers[i].name)) == 0) {
            *numbers[i].value = (unsigned)strtoul(s + strlen(numbers[i].name), NULL, 10);
            return true;
        }
    return false;
}

static void run(void)
{
    struct pollfd fds[NODES];
    int timeout = flood ? 1 : held_count ? 1 : 100;

    for (unsigned i = 0; i < nodes; i++)
        fds[i] = (struct pollfd){.fd = node[i].fd, .events = POLLIN};
    if (poll(fds, nodes, timeout) > 0)
        for (unsigned i = 0; i < nodes; i++)
            if (fds[i].revents)
                receive(i);
    release();
    if (flood)
        flooding();
}

int main(int argc, char **argv)
{
    struct sigaction sa = {.sa_handler = on_term};

    for (int i = 1; i < argc; i++)
        if (!argument(argv[i])) {
            fprintf(stderr, "lossy: cannot use %s%s%s\n", argv[i], errno ? ": " : "",
                    errno ? strerror(errno) : "");
            return 2;
        }
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    printf("ready\n");
    fflush(stdout);
    while (!ended)
        run();
    printf("lossy: %lu in, %lu sent, %lu lost, %lu doubled, %lu held back, %lu stalls, %lu "
           "hostile, %lu strangers, %lu without room\n",
           count.in, count.sent, count.lost, count.doubled, count.held, count.stalls, count.flooded,
           count.strangers, count.full);
    return 0;
}
