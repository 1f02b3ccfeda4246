/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev/address.c netdev/backend_udp.c netdev/backend_stream.c netdev/seal.c */
/*
 * What comes in from the network: bytes of a stream in pieces of any size, whose frames a second
 * parser here predicts; and datagrams for a UDP backend with and without a key, where only what
 * the right peer sent arrives.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../netdev/address.h"
#include "../../netdev/backend_stream.h"
#include "../../netdev/backend_udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME_MAX 2000u

#define must(truth) must_at((truth), #truth, __LINE__)

static void must_at(int truth, const char *text, int line)
{
    if (!truth) {
        fprintf(stderr, "line %d: not so: %s\n", line, text);
        abort();
    }
}

/* What a stream's bytes mean: frames found in order, until one is too long. */
struct expect {
    const uint8_t *at, *end;
    bool broken;
};

/* The next frame of 1..FRAME_MAX bytes that is there whole; its length, or 0. */
static uint32_t expected(struct expect *e, const uint8_t **frame)
{
    while (!e->broken && e->end - e->at >= 4) {
        uint32_t len = (uint32_t)e->at[0] << 24 | (uint32_t)e->at[1] << 16 |
                       (uint32_t)e->at[2] << 8 | e->at[3];

        if (len > BACKEND_STREAM_MAX)
            e->broken = true;
        else if ((size_t)(e->end - e->at) - 4 < len)
            return 0;
        else
            e->at += 4 + len;
        if (!e->broken && len && len <= FRAME_MAX) {
            *frame = e->at - len;
            return len;
        }
    }
    return 0;
}

static void drain(struct backend_stream *s, struct expect *e)
{
    uint8_t frame[FRAME_MAX];
    const uint8_t *want;
    uint32_t len;

    while ((len = expected(e, &want)) != 0) {
        long got = -EAGAIN;

        /* -EAGAIN may mean 64 frames that were skipped. */
        for (unsigned i = 0; i < 2000 && got == -EAGAIN; i++)
            got = backend_stream_receive(s, frame, sizeof(frame));
        must(got == (long)len);
        must(memcmp(frame, want, len) == 0);
    }
    /* What is skipped or incomplete is taken off the socket, so that it never fills up. */
    for (unsigned i = 0; i < 40; i++)
        must(backend_stream_receive(s, frame, sizeof(frame)) < 0);
}

static void stream(const uint8_t *data, size_t size)
{
    struct expect e = {data, data, false};
    struct backend_stream *s;
    uint8_t frame[FRAME_MAX];
    int fd[2];
    long got = 0;

    must(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    s = backend_stream_new(fd[0]);
    must(s != NULL);
    while (size && !e.broken) {
        size_t part = data[0] * 8u + 1;

        part = part > size ? size : part;
        must(write(fd[1], data, part) == (ssize_t)part);
        data += part;
        size -= part;
        e.end = data;
        drain(s, &e);
    }
    close(fd[1]);
    for (unsigned i = 0; i < 2000 && got != -EPIPE; i++) {
        got = backend_stream_receive(s, frame, sizeof(frame));
        must(got < 0);
    }
    must(got == -EPIPE);
    must(backend_stream_stats(s)->rx_length == (e.broken ? 1 : 0));
    backend_stream_close(s);
}

static struct backend_udp *open_one(const uint8_t *key, uint16_t node)
{
    struct backend_udp_config c = {"127.0.0.1:0", key, node, FRAME_MAX};
    struct backend_udp *u;

    must(backend_udp_open(&c, &u) == 0);
    return u;
}

/* Datagrams: a byte of length * 8 or so, a byte whether the peer or a stranger sends it, bytes. */
static void datagrams(const uint8_t *data, size_t size, const uint8_t *key)
{
    struct backend_udp *u = open_one(key, 2);
    int fd[2] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
    struct sockaddr_storage to, from;
    socklen_t len = sizeof(from), to_len;
    struct backend_frame f[4];
    char text[32];

    snprintf(text, sizeof(text), "127.0.0.1:%u", backend_udp_port(u));
    must(address_parse(text, SOCK_DGRAM, &to, &to_len) == 0);
    must(address_parse("127.0.0.1:0", SOCK_DGRAM, &from, &len) == 0);
    must(bind(fd[0], (struct sockaddr *)&from, len) == 0);
    must(getsockname(fd[0], (struct sockaddr *)&from, &len) == 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", address_port(&from));
    must(backend_udp_add(u, &(struct backend_udp_peer){.address = text, .node = 1}) == 0);
    for (unsigned i = 0; i < 50 && size > 2; i++) {
        size_t part = data[0] * 10u;
        bool stranger = data[1] & 1, good;
        int got;

        data += 2;
        size -= 2;
        part = part > size ? size : part;
        must(sendto(fd[stranger], data, part, 0, (struct sockaddr *)&to, to_len) >= 0);
        good = !key && !stranger && part && part <= FRAME_MAX;
        got = backend_udp_receive(u, f, 4);
        must(got == good);
        must(!good || (f[0].len == part && memcmp(f[0].data, data, part) == 0));
        data += part;
        size -= part;
    }
    backend_udp_close(u);
    close(fd[0]);
    close(fd[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[SEAL_KEY_BYTES] = {1};

    if (size == 0)
        return 0;
    switch (data[0] % 4) {
    case 0:
        datagrams(data + 1, size - 1, NULL);
        break;
    case 1:
        datagrams(data + 1, size - 1, key);
        break;
    default:
        stream(data + 1, size - 1);
    }
    return 0;
}
