/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * talk ADDRESS...
 *
 * Pings each address, IPv4 or IPv6, and has its UDP echo (port 7) answer datagrams of all sizes,
 * one at a time and sixteen at once.  One line per address; exit status 1 when something is missing
 * or comes back changed.  Runs in the Linux guest of interop.sh, statically linked.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PINGS  20u
#define WAIT   2000 /* ms; what is lost is sent again */
#define TRIES  10u
#define WINDOW 16u

static uint8_t out[2000], in[4000];

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t parse(const char *text, uint16_t port, union address *a)
{
    memset(a, 0, sizeof(*a));
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        return sizeof(a->v4);
    }
    if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        return sizeof(a->v6);
    }
    fprintf(stderr, "talk: %s is no address\n", text);
    exit(2);
}

static void fill(size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(i * 31 + seed * 7 + (i >> 8));
}

static ssize_t next(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    return poll(&p, 1, WAIT) == 1 ? recv(fd, in, sizeof(in), 0) : -1;
}

static unsigned sum(size_t len)
{
    unsigned long s = 0;

    for (size_t i = 0; i < len; i++)
        s += i % 2 ? out[i] : out[i] << 8;
    while (s >> 16)
        s = (s & 0xFFFF) + (s >> 16);
    return ~(unsigned)s & 0xFFFF;
}

/* An echo request of len bytes, and the reply to it. */
static int ping(int fd, int v6, unsigned seq, size_t len)
{
    static const uint8_t type[2][2] = {{8, 0}, {128, 129}};

    for (unsigned t = 0; t < TRIES; t++) {
        ssize_t n;

        fill(len, seq);
        memset(out, 0, 8);
        out[0] = type[v6][0];
        out[5] = 77;
        out[7] = (uint8_t)seq;
        if (!v6) { /* the kernel does it for IPv6 */
            unsigned s = sum(len);

            out[2] = (uint8_t)(s >> 8);
            out[3] = (uint8_t)s;
        }
        send(fd, out, len, 0);
        while ((n = next(fd)) > 0) {
            /* IPv4 comes with its header. */
            size_t at = v6 ? 0 : (in[0] & 15) * 4u;

            if ((size_t)n == at + len && in[at] == type[v6][1] && in[at + 5] == 77 &&
                in[at + 7] == seq)
                return memcmp(in + at + 8, out + 8, len - 8) == 0;
        }
    }
    return 0;
}

static unsigned pings(const char *where)
{
    union address a;
    socklen_t len = parse(where, 0, &a);
    int v6 = a.any.sa_family == AF_INET6, fd;
    unsigned good = 0;

    fd = socket(a.any.sa_family, SOCK_RAW, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (fd < 0 || connect(fd, &a.any, len)) {
        perror("talk: ping");
        return 0;
    }
    for (unsigned i = 0; i < PINGS; i++)
        good += (unsigned)ping(fd, v6, i + 1, 8 + i * 1400 / PINGS);
    close(fd);
    return good;
}

/* Sends numbers first..first + count - 1 and waits for their echoes; how many came back right. */
static unsigned echo(int fd, unsigned first, unsigned count, size_t len)
{
    unsigned good = 0;
    uint8_t had[WINDOW] = {0};

    for (unsigned t = 0; t < TRIES && good < count; t++) {
        for (unsigned i = 0; i < count; i++) {
            if (had[i])
                continue;
            fill(len, first + i);
            out[0] = (uint8_t)i;
            send(fd, out, len, 0);
        }
        while (good < count) {
            ssize_t n = next(fd);

            if (n < 0)
                break;
            if ((size_t)n != len || in[0] >= count || had[in[0]])
                continue;
            fill(len, first + in[0]);
            out[0] = in[0];
            if (memcmp(in, out, len) == 0) {
                had[in[0]] = 1;
                good++;
            }
        }
    }
    return good;
}

static int talk(const char *where)
{
    union address a;
    socklen_t len = parse(where, 7, &a);
    unsigned most = a.any.sa_family == AF_INET6 ? 1452 : 1472, sent = 0, good = 0, answered;
    int fd = socket(a.any.sa_family, SOCK_DGRAM, 0);

    if (fd < 0 || connect(fd, &a.any, len)) {
        perror("talk: UDP");
        return 1;
    }
    answered = pings(where);
    for (unsigned size = 1; size <= most; size += size < 70 ? 1 : 37, sent++)
        good += echo(fd, size, 1, size);
    for (unsigned i = 0; i < 20; i++, sent += WINDOW)
        good += echo(fd, 1000 + WINDOW * i, WINDOW, i * 70 + 60);
    good += echo(fd, 5000, 1, most);
    sent++;
    close(fd);
    printf("talk %s: %u of %u pings, %u of %u datagrams\n", where, answered, PINGS, good, sent);
    return answered != PINGS || good != sent;
}

int main(int argc, char **argv)
{
    int wrong = argc < 2;

    for (int i = 1; i < argc; i++)
        wrong |= talk(argv[i]);
    return wrong;
}
