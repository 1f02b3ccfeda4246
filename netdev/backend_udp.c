/* SPDX-License-Identifier: BSD-2-Clause */
/* See backend_udp.h. */
#include "backend_udp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

#define SKIP_MAX 64u

struct backend_udp {
    int fd;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    struct backend_udp_stats stats;
};

static int bind_to(struct backend_udp *u, const char *local)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int ret = address_parse(local, SOCK_DGRAM, &addr, &len);

    if (ret)
        return ret;
    u->fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0 || bind(u->fd, (struct sockaddr *)&addr, len))
        return -errno;
    return 0;
}

int backend_udp_peer(struct backend_udp *u, const char *peer)
{
    struct sockaddr_storage local, addr;
    socklen_t len = sizeof(local), addr_len;
    int ret = address_parse(peer, SOCK_DGRAM, &addr, &addr_len);

    if (ret)
        return ret;
    if (getsockname(u->fd, (struct sockaddr *)&local, &len))
        return -errno;
    if (local.ss_family != addr.ss_family)
        return -EAFNOSUPPORT;
    u->peer = addr;
    u->peer_len = addr_len;
    return 0;
}

int backend_udp_open(const char *local, const char *peer, struct backend_udp **out)
{
    struct backend_udp *u = calloc(1, sizeof(*u));
    int ret;

    if (!u)
        return -ENOMEM;
    u->fd = -1;
    ret = bind_to(u, local);
    if (!ret)
        ret = backend_udp_peer(u, peer);
    if (ret)
        goto fail;
    *out = u;
    return 0;
fail:
    backend_udp_close(u);
    return ret;
}

void backend_udp_close(struct backend_udp *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    free(u);
}

int backend_udp_fd(const struct backend_udp *u)
{
    return u->fd;
}

uint16_t backend_udp_port(const struct backend_udp *u)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);

    if (getsockname(u->fd, (struct sockaddr *)&a, &len))
        return 0;
    return address_port(&a);
}

int backend_udp_send(struct backend_udp *u, const void *frame, size_t len)
{
    if (len == 0 || len > BACKEND_UDP_MAX) {
        u->stats.tx_size++;
        return -EMSGSIZE;
    }
    if (sendto(u->fd, frame, len, 0, (struct sockaddr *)&u->peer, u->peer_len) >= 0) {
        u->stats.sent++;
        return 0;
    }
    if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
        u->stats.tx_full++;
    else
        u->stats.tx_refused++;
    return -errno;
}

long backend_udp_receive(struct backend_udp *u, void *frame, size_t size)
{
    for (unsigned i = 0; i < SKIP_MAX; i++) {
        struct sockaddr_storage from;
        struct iovec iov = {frame, size};
        struct msghdr msg = {
            .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
        ssize_t got = recvmsg(u->fd, &msg, 0);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return -EAGAIN;
        if (got < 0)
            continue; /* an earlier datagram was refused: said here, counted there */
        if (!address_same(&from, &u->peer))
            u->stats.rx_stranger++;
        else if (msg.msg_flags & MSG_TRUNC)
            u->stats.rx_truncated++;
        else if (got == 0)
            u->stats.rx_empty++;
        else
            return u->stats.received++, got;
    }
    return -EAGAIN;
}

const struct backend_udp_stats *backend_udp_stats(const struct backend_udp *u)
{
    return &u->stats;
}
