/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See backend_stream.h.  A frame is begun only when nothing of an earlier one waits, and then
 * always finished: what the socket does not take stays in `rest`.  So a frame is dropped whole or
 * not.
 */
#include "backend_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"

#define SKIP_MAX  64u
#define QUIET_S   2 /* then a TCP connection asks whether its other end is there, */
#define PROBE_S   1 /* so often, */
#define PROBES    3 /* and so many times */
#define UNACKED_S (QUIET_S + PROBE_S * PROBES)

struct backend_stream {
    int fd;
    bool over;
    struct backend_stream_stats stats;
    size_t rest_at, rest_len; /* of rest[] */
    size_t got;               /* in in[]: length word and frame */
    uint8_t rest[4 + BACKEND_STREAM_MAX];
    uint8_t in[4 + BACKEND_STREAM_MAX];
};

static int address_of(const char *where, struct sockaddr_storage *addr, socklen_t *len)
{
    struct sockaddr_un *un = (struct sockaddr_un *)addr;

    if (strncmp(where, "tcp:", 4) == 0)
        return address_parse(where + 4, SOCK_STREAM, addr, len);
    if (strncmp(where, "unix:", 5) || !where[5] || strlen(where + 5) >= sizeof(un->sun_path))
        return -EINVAL;
    memset(addr, 0, sizeof(*addr));
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, where + 5);
    *len = sizeof(*un);
    return 0;
}

/* A socket that nobody listens at any more: whoever did was killed. */
static bool is_left_over(const struct sockaddr_storage *addr, socklen_t len)
{
    const struct sockaddr_un *un = (const void *)addr;
    struct stat st;
    int fd;
    bool dead;

    if (addr->ss_family != AF_UNIX || lstat(un->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    dead = fd >= 0 && connect(fd, (const struct sockaddr *)addr, len) && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return dead;
}

static int bind_to(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
    const struct sockaddr *a = (const void *)addr;

    if (bind(fd, a, len) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -1;
    if (is_left_over(addr, len) && unlink(((const struct sockaddr_un *)addr)->sun_path) == 0)
        return bind(fd, a, len);
    errno = EADDRINUSE;
    return -1;
}

/* A host that lost its power says no goodbye; its connection must end all the same. */
static void bound_silence(int fd)
{
    static const struct {
        int level, name, value;
    } opts[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                {IPPROTO_TCP, TCP_KEEPIDLE, QUIET_S},
                {IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S},
                {IPPROTO_TCP, TCP_KEEPCNT, PROBES},
                {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_S * 1000}};

    for (size_t i = 0; i < sizeof(opts) / sizeof(opts[0]); i++) /* a Unix socket has none of them */
        setsockopt(fd, opts[i].level, opts[i].name, &opts[i].value, sizeof(opts[i].value));
}

static int open_socket(const char *where, bool listening)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int one = 1, fd, ret = address_of(where, &addr, &len);

    if (ret)
        return ret;
    fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (listening) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        ret = bind_to(fd, &addr, len) || listen(fd, 1);
    } else {
        ret = connect(fd, (struct sockaddr *)&addr, len);
    }
    if (ret) {
        ret = -errno;
        close(fd);
        return ret;
    }
    return fd;
}

int backend_stream_connect(const char *where)
{
    return open_socket(where, false);
}

int backend_stream_listen(const char *where)
{
    return open_socket(where, true);
}

struct backend_stream *backend_stream_new(int fd)
{
    struct backend_stream *s = calloc(1, sizeof(*s));
    int flags = fcntl(fd, F_GETFL);

    if (!s)
        return NULL;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
        free(s);
        return NULL;
    }
    bound_silence(fd);
    s->fd = fd;
    return s;
}

void backend_stream_close(struct backend_stream *s)
{
    if (!s)
        return;
    close(s->fd);
    free(s);
}

int backend_stream_fd(const struct backend_stream *s)
{
    return s->fd;
}

static int end(struct backend_stream *s, int why)
{
    if (!s->over && (s->got || s->rest_at < s->rest_len))
        s->stats.lost++;
    s->over = true;
    return why;
}

int backend_stream_flush(struct backend_stream *s)
{
    if (s->over)
        return -EPIPE;
    while (s->rest_at < s->rest_len) {
        ssize_t n = send(s->fd, s->rest + s->rest_at, s->rest_len - s->rest_at, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return -EAGAIN;
        if (n <= 0)
            return end(s, -EPIPE);
        s->rest_at += (size_t)n;
    }
    return 0;
}

int backend_stream_send(struct backend_stream *s, const void *frame, size_t len)
{
    int ret;

    if (len == 0 || len > BACKEND_STREAM_MAX) {
        s->stats.tx_size++;
        return -EMSGSIZE;
    }
    ret = backend_stream_flush(s);
    if (ret == -EAGAIN)
        s->stats.tx_full++;
    if (ret)
        return ret;
    for (unsigned i = 0; i < 4; i++)
        s->rest[i] = (uint8_t)(len >> (24 - 8 * i));
    memcpy(s->rest + 4, frame, len);
    s->rest_at = 0;
    s->rest_len = 4 + len;
    ret = backend_stream_flush(s);
    if (ret == -EPIPE)
        return ret;
    s->stats.sent++;
    return 0;
}

/* Reads until in[] holds `want` bytes. */
static int fill(struct backend_stream *s, size_t want)
{
    while (s->got < want) {
        ssize_t n = recv(s->fd, s->in + s->got, want - s->got, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return -EAGAIN;
        if (n <= 0)
            return end(s, -EPIPE);
        s->got += (size_t)n;
    }
    return 0;
}

long backend_stream_receive(struct backend_stream *s, void *frame, size_t size)
{
    for (unsigned i = 0; i < SKIP_MAX; i++) {
        uint32_t len;
        int ret = s->over ? -EPIPE : fill(s, 4);

        if (ret)
            return ret;
        len = (uint32_t)s->in[0] << 24 | (uint32_t)s->in[1] << 16 | (uint32_t)s->in[2] << 8 |
              s->in[3];
        if (len > BACKEND_STREAM_MAX) {
            s->stats.rx_length++;
            return end(s, -EPROTO);
        }
        ret = fill(s, 4 + len);
        if (ret)
            return ret;
        s->got = 0;
        if (len == 0) {
            s->stats.rx_empty++;
        } else if (len > size) {
            s->stats.rx_room++;
        } else {
            memcpy(frame, s->in + 4, len);
            s->stats.received++;
            return len;
        }
    }
    return -EAGAIN;
}

const struct backend_stream_stats *backend_stream_stats(const struct backend_stream *s)
{
    return &s->stats;
}
