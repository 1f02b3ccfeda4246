/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev/address.c netdev/backend_stream.c netdev/pcap.c */
/* The stream backend over socket pairs and loopback; and the capture file, read by a reader of its
 * own.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../netdev/address.h"
#include "../../netdev/backend_stream.h"
#include "../../netdev/pcap.h"

#define HANGS 10000 /* ms; only ends what hangs */

static uint8_t big[BACKEND_STREAM_MAX + 1], got[BACKEND_STREAM_MAX + 1];

static void readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    ck_assert_int_eq(poll(&p, 1, HANGS), 1);
}

START_TEST(addresses)
{
    static const char *const bad[] = {
        "",      ":",    "1.2.3.4", "1.2.3.4:",  ":5",     "::1:5",
        "[::1]", "[]:5", "[::1:5",  "1.2.3.4:x", "[::1]5", "1.2.3.4:70000x"};
    struct sockaddr_storage a, b;
    socklen_t len;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(address_parse(bad[i], SOCK_DGRAM, &a, &len) == -EINVAL, "%s", bad[i]);
    ck_assert_int_eq(address_parse("127.0.0.1:5001", SOCK_DGRAM, &a, &len), 0);
    ck_assert_uint_eq(address_port(&a), 5001);
    ck_assert_int_eq(address_parse("[::1]:5001", SOCK_DGRAM, &b, &len), 0);
    ck_assert_int_eq(b.ss_family, AF_INET6);
    ck_assert(!address_same(&a, &b));
    ck_assert(address_same(&b, &b));
}
END_TEST

static struct backend_stream *stream_pair(int *raw)
{
    int fd[2];
    struct backend_stream *s;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    *raw = fd[1];
    s = backend_stream_new(fd[0]);
    ck_assert_ptr_nonnull(s);
    return s;
}

START_TEST(stream_bytes)
{
    int raw;
    struct backend_stream *s = stream_pair(&raw);
    static const uint8_t wire[] = {0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 2, 'd', 'e'};
    unsigned frames = 0;

    /* Byte by byte, an empty frame first. */
    for (unsigned i = 0; i < sizeof(wire); i++) {
        long n;

        ck_assert_int_eq(write(raw, wire + i, 1), 1);
        n = backend_stream_receive(s, got, 3);
        if (i == 10 || i == 16) {
            ck_assert_int_eq(n, frames ? 2 : 3);
            ck_assert_mem_eq(got, frames++ ? "de" : "abc", (size_t)n);
        } else {
            ck_assert_int_eq(n, -EAGAIN);
        }
    }
    ck_assert_uint_eq(backend_stream_stats(s)->rx_empty, 1);
    ck_assert_int_eq(backend_stream_send(s, "xyz", 3), 0);
    ck_assert_int_eq(read(raw, got, 100), 7);
    ck_assert_mem_eq(got, "\0\0\0\3xyz", 7);
    /* Too big for the caller; then cut off. */
    ck_assert_int_eq(write(raw, "\0\0\0\5hello\0\0\0\5he", 15), 15);
    ck_assert_int_eq(backend_stream_receive(s, got, 3), -EAGAIN);
    ck_assert_uint_eq(backend_stream_stats(s)->rx_room, 1);
    close(raw);
    ck_assert_int_eq(backend_stream_receive(s, got, 3), -EPIPE);
    ck_assert_uint_eq(backend_stream_stats(s)->lost, 1);
    ck_assert_int_eq(backend_stream_send(s, "x", 1), -EPIPE);
    backend_stream_close(s);
}
END_TEST

START_TEST(stream_nonsense)
{
    int raw;
    struct backend_stream *s = stream_pair(&raw);

    ck_assert_int_eq(write(raw, "\0\1\x10\1", 4), 4); /* 69,633 */
    ck_assert_int_eq(backend_stream_receive(s, got, sizeof(got)), -EPROTO);
    ck_assert_int_eq(backend_stream_receive(s, got, sizeof(got)), -EPIPE);
    ck_assert_uint_eq(backend_stream_stats(s)->rx_length, 1);
    ck_assert_int_eq(backend_stream_send(s, big, BACKEND_STREAM_MAX + 1), -EMSGSIZE);
    close(raw);
    backend_stream_close(s);
}
END_TEST

/* A peer that does not read: frames are dropped whole; what was begun arrives whole. */
START_TEST(stream_full)
{
    int raw;
    struct backend_stream *s = stream_pair(&raw), *peer = backend_stream_new(raw);
    unsigned begun = 0, arrived = 0;

    for (unsigned i = 0; i < 1000; i++) {
        big[0] = (uint8_t)begun;
        if (backend_stream_send(s, big, 5000) == 0)
            begun++;
    }
    ck_assert_uint_gt(backend_stream_stats(s)->tx_full, 0);
    for (unsigned i = 0; i < 3000 && arrived < begun; i++) {
        long n = backend_stream_receive(peer, got, sizeof(got));

        if (n == -EAGAIN) {
            backend_stream_flush(s);
            continue;
        }
        ck_assert_int_eq(n, 5000);
        ck_assert_uint_eq(got[0], arrived++ & 0xFF);
    }
    ck_assert_uint_eq(arrived, begun);
    backend_stream_close(s);
    backend_stream_close(peer);
}
END_TEST

START_TEST(stream_connects)
{
    char folder[] = "/tmp/net_backends.XXXXXX", where[64];
    struct backend_stream *a, *b;
    int l, fd;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(where, sizeof(where), "unix:%s/s", folder);
    l = backend_stream_listen(where);
    ck_assert_int_ge(l, 0);
    fd = backend_stream_connect(where);
    ck_assert_int_ge(fd, 0);
    a = backend_stream_new(fd);
    b = backend_stream_new(accept(l, NULL, NULL));
    ck_assert_int_eq(backend_stream_send(a, "hello", 5), 0);
    readable(backend_stream_fd(b));
    ck_assert_int_eq(backend_stream_receive(b, got, 10), 5);
    backend_stream_close(a);
    backend_stream_close(b);
    close(l);
    unlink(where + 5);
    rmdir(folder);
    ck_assert_int_eq(backend_stream_connect(where), -ENOENT);
    ck_assert_int_eq(backend_stream_connect("unix:"), -EINVAL);
    ck_assert_int_eq(backend_stream_connect("udp:1.2.3.4:5"), -EINVAL);
    l = backend_stream_listen("tcp:127.0.0.1:0");
    ck_assert_int_ge(l, 0);
    close(l);
}
END_TEST

static uint32_t word(const uint8_t *p, size_t at)
{
    uint32_t v;

    memcpy(&v, p + at, 4);
    return v;
}

/* A killed listener leaves its file: the next one takes its place, but no place that is in use. */
START_TEST(left_over)
{
    char path[64], where[80];
    int fd, again;

    snprintf(path, sizeof(path), "/tmp/sempervm-stream-%d.sock", (int)getpid());
    snprintf(where, sizeof(where), "unix:%s", path);
    fd = backend_stream_listen(where);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(backend_stream_listen(where), -EADDRINUSE);
    close(fd);
    again = backend_stream_listen(where);
    ck_assert_int_ge(again, 0);
    fd = backend_stream_connect(where);
    ck_assert_int_ge(fd, 0);
    close(fd);
    close(again);
    unlink(path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(backend_stream_listen(where), -EADDRINUSE);
    ck_assert_int_eq(access(path, F_OK), 0);
    unlink(path);
}
END_TEST

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

/* No test can pull a plug here: that the kernel is asked to notice is what can be seen. */
START_TEST(silent_host)
{
    struct backend_stream *s;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    s = backend_stream_new(fd);
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 2);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
    backend_stream_close(s);
}
END_TEST

/* Recording into a pipe never waits: not for a reader, and not for a slow one. */
START_TEST(capture_pipe)
{
    char path[64];
    struct pcap *p;
    int fd, left = 0, ret = 0;
    uint32_t total = 0;
    long n, len = 0;
    uint8_t *all = malloc(8u << 20);

    snprintf(path, sizeof(path), "/tmp/sempervm-pcap-%d.pipe", (int)getpid());
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(pcap_open(path, &p), -ENXIO);
    fd = open(path, O_RDONLY | O_NONBLOCK);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pcap_open(path, &p), 0);
    for (unsigned i = 0; i < 1000 && ret == 0; i++)
        ret = pcap_frame(p, 1, true, big, 1500);
    ck_assert_int_eq(ret, -EIO);
    /* There is room again, but nothing comes behind a record that was cut off. */
    while ((n = read(fd, all + len, 65536)) > 0)
        len += n;
    left = (int)len;
    ck_assert_int_eq(pcap_frame(p, 1, true, big, 1500), -EIO);
    ck_assert_int_eq(pcap_close(p), -EIO);
    while ((n = read(fd, all + len, 65536)) > 0)
        len += n;
    ck_assert_int_gt(left, 60);
    for (long at = 60; at + 8 <= len; at += total) {
        memcpy(&total, all + at + 4, 4);
        ck_assert_uint_eq(total, 1500 + 44);
    }
    close(fd);
    unlink(path);
    free(all);
}
END_TEST

START_TEST(capture)
{
    char path[] = "/tmp/net_capture.XXXXXX";
    static const size_t sizes[] = {60, 61, 1514};
    struct pcap *p;
    size_t len, at = 60;
    uint8_t *file = malloc(4096);
    FILE *f;

    close(mkstemp(path));
    ck_assert_int_eq(pcap_open(path, &p), 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(pcap_frame(p, 0x123456789ABCull + i, i & 1, big + i, sizes[i]), 0);
    ck_assert_int_eq(pcap_close(p), 0);
    f = fopen(path, "rb");
    len = fread(file, 1, 4096, f);
    fclose(f);
    unlink(path);
    ck_assert_uint_eq(word(file, 0), 0x0A0D0D0A);
    ck_assert_uint_eq(word(file, 8), 0x1A2B3C4D);
    ck_assert_uint_eq(word(file, 28), 1);
    ck_assert_uint_eq(word(file, 28 + 8), 1);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t total = word(file, at + 4);

        ck_assert_uint_eq(word(file, at), 6);
        ck_assert_uint_eq(total % 4, 0);
        ck_assert_uint_eq(word(file, at + total - 4), total);
        ck_assert_uint_eq(word(file, at + 12), 0x1234);
        ck_assert_uint_eq(word(file, at + 16), 0x56789ABC + i);
        ck_assert_uint_eq(word(file, at + 20), sizes[i]);
        ck_assert_mem_eq(file + at + 28, big + i, sizes[i]);
        ck_assert_uint_eq(word(file, at + total - 12), i & 1 ? 2 : 1);
        at += total;
    }
    ck_assert_uint_eq(at, len);
    free(file);
    ck_assert_int_eq(pcap_open("/nonexistent/x", &p), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream");
    TCase *t = tcase_create("stream");
    SRunner *r;
    int failed;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 31 >> 3);
    tcase_add_test(t, addresses);
    tcase_add_test(t, stream_bytes);
    tcase_add_test(t, stream_nonsense);
    tcase_add_test(t, stream_full);
    tcase_add_test(t, stream_connects);
    tcase_add_test(t, left_over);
    tcase_add_test(t, silent_host);
    tcase_add_test(t, capture);
    tcase_add_test(t, capture_pipe);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
