/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two hosts would have instead of nodes: UDP sockets of two processes on the loopback, 64
 * bytes a datagram, nothing around the system calls.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define SIZE      64u
#define RTT_BATCH 10u
#define VECTOR    32u
#define RATE_LEN  2048u /* datagrams a sample */

/* A socket at a port of its own on the loopback; nothing that is lost holds it up for ever. */
static int open_socket(struct sockaddr_in *at)
{
    const struct timeval limit = {.tv_sec = 10};
    socklen_t len = sizeof(*at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd >= 0 && (bind(fd, (struct sockaddr *)at, sizeof(*at)) < 0 ||
                    getsockname(fd, (struct sockaddr *)at, &len) < 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Two sockets that are connected with each other. */
static int udp_pair(int fd[2])
{
    struct sockaddr_in at[2];

    fd[0] = open_socket(&at[0]);
    fd[1] = open_socket(&at[1]);
    if (fd[0] >= 0 && fd[1] >= 0 && connect(fd[0], (struct sockaddr *)&at[1], sizeof(at[1])) == 0 &&
        connect(fd[1], (struct sockaddr *)&at[0], sizeof(at[0])) == 0)
        return 0;
    for (unsigned i = 0; i < 2; i++)
        if (fd[i] >= 0)
            close(fd[i]);
    return -EIO;
}

int bench_udp_peer(void (*peer)(int), int (*measure)(int, unsigned, struct samples *), unsigned n,
                   struct samples *s)
{
    int fd[2], r = udp_pair(fd);
    pid_t pid;

    if (r < 0)
        return r;
    pid = fork();
    if (pid == 0) {
        close(fd[0]);
        peer(fd[1]);
        _exit(0);
    }
    close(fd[1]);
    r = pid < 0 ? -EAGAIN : measure(fd[0], n, s);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(fd[0]);
    return r;
}

static void echo(int fd)
{
    uint8_t buf[SIZE];

    while (recv(fd, buf, SIZE, 0) == (ssize_t)SIZE)
        if (send(fd, buf, SIZE, 0) != (ssize_t)SIZE)
            break;
}

static void vector(struct mmsghdr m[VECTOR], struct iovec io[VECTOR], uint8_t buf[VECTOR][SIZE])
{
    memset(m, 0, VECTOR * sizeof(m[0]));
    for (unsigned i = 0; i < VECTOR; i++) {
        io[i] = (struct iovec){.iov_base = buf[i], .iov_len = SIZE};
        m[i].msg_hdr.msg_iov = &io[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
}

/* As fast as it goes; what the other one has no room for is lost, and not counted there. */
static void flood(int fd)
{
    static uint8_t buf[VECTOR][SIZE];
    struct mmsghdr m[VECTOR];
    struct iovec io[VECTOR];

    vector(m, io, buf);
    while (sendmmsg(fd, m, VECTOR, 0) > 0)
        ;
}

static int rtt(int fd, unsigned n, struct samples *s)
{
    uint8_t buf[SIZE] = {1};

    for (unsigned k = 0; k <= n; k++) {
        double since = bench_now();

        for (unsigned i = 0; i < RTT_BATCH; i++)
            if (send(fd, buf, SIZE, 0) != (ssize_t)SIZE || recv(fd, buf, SIZE, 0) != (ssize_t)SIZE)
                return -EIO;
        if (k > 0) /* the first one warms up */
            samples_add(s, (bench_now() - since) * 1e9 / RTT_BATCH);
    }
    return 0;
}

static int rate(int fd, unsigned n, struct samples *s)
{
    static uint8_t buf[VECTOR][SIZE];
    struct mmsghdr m[VECTOR];
    struct iovec io[VECTOR];

    vector(m, io, buf);
    for (unsigned k = 0; k <= n; k++) {
        double since = bench_now();
        unsigned got = 0;

        while (got < RATE_LEN) {
            int r = recvmmsg(fd, m, VECTOR, MSG_WAITFORONE, NULL);

            if (r <= 0)
                return -EIO;
            got += (unsigned)r;
        }
        if (k > 0)
            samples_add(s, (bench_now() - since) * 1e9 / got);
    }
    return 0;
}

int bench_udp_rtt(unsigned n, struct samples *s)
{
    return bench_udp_peer(echo, rtt, n, s);
}

int bench_udp_rate(unsigned n, struct samples *s)
{
    return bench_udp_peer(flood, rate, n, s);
}
