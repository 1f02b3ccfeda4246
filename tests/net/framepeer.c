/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of a NIC, for the system tests: sends every frame back.
 *
 *     framepeer udp PORT        datagrams on the loopback
 *     framepeer unix PATH       a stream: connects to that socket, waiting for it to be there
 *
 * Says `ready` when it listens or is connected; ends when it is killed, when the stream ends, or
 * when nothing has come for IDLE_S.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define IDLE_S 300

static char buf[65536];

static int fail(const char *what)
{
    fprintf(stderr, "framepeer: %s: %s\n", what, strerror(errno));
    return 1;
}

static int wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, IDLE_S * 1000) == 1 ? 0 : -1;
}

static int udp(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(port)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof(a);
    ssize_t n;

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return fail("bind");
    puts("ready");
    fflush(stdout);
    while (wait_for(fd) == 0) {
        n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&a, &len);
        if (n > 0) /* one that cannot be sent is the other end's to notice */
            sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&a, len);
    }
    return 0;
}

static int put_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

        if (k <= 0)
            return -1;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

/* Length and frame go back as they come, so the bytes of the stream do, too. */
static int stream(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), i;
    ssize_t n;

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    for (i = 0; connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0; i++) {
        if (i == IDLE_S * 10)
            return fail(path);
        usleep(100000);
    }
    puts("ready");
    fflush(stdout);
    while (wait_for(fd) == 0 && (n = recv(fd, buf, sizeof(buf), 0)) > 0)
        if (put_all(fd, buf, (size_t)n) < 0)
            break;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "udp") == 0)
        return udp(argv[2]);
    if (argc == 3 && strcmp(argv[1], "unix") == 0)
        return stream(argv[2]);
    fprintf(stderr, "usage: framepeer udp PORT | unix PATH\n");
    return 2;
}
