/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev/address.c netdev/backend_udp.c netdev/seal.c */
/* The UDP backend over loopback: switching, batches, who is believed, and a thread each way. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../netdev/address.h"
#include "../../netdev/backend_udp.h"

#define HANGS 20000 /* ms; only ends what hangs */
#define NODES 4u

static cpu_set_t everywhere;
static int marker[2] = {-1, -1};
static const uint8_t key[SEAL_KEY_BYTES] = {7, 7, 7};
static uint8_t big[70000];

static struct backend_udp *node[NODES];

static struct backend_udp *open_one(const char *local, const uint8_t *with, uint16_t me,
                                    size_t frame_max)
{
    struct backend_udp_config c = {local, with, me, frame_max};
    struct backend_udp *u;

    ck_assert_int_eq(backend_udp_open(&c, &u), 0);
    return u;
}

static const char *where(struct backend_udp *u, const char *format)
{
    static char text[64];

    snprintf(text, sizeof(text), format, backend_udp_port(u));
    return text;
}

/* Peer k of node i is node k, or k + 1 from i on; its MAC ends with its number. */
static unsigned index_of(unsigned i, unsigned other)
{
    return other < i ? other : other - 1;
}

static void add(unsigned i, unsigned other, const char *format)
{
    struct backend_udp_peer p = {.address = where(node[other], format),
                                 .mac = {2, 0, 0, 0, 0, (uint8_t)(other + 1)},
                                 .node = (uint16_t)(other + 1)};

    ck_assert_int_eq(backend_udp_add(node[i], &p), (int)index_of(i, other));
}

static void mesh(unsigned nodes, const uint8_t *with, const char *any, const char *format)
{
    for (unsigned i = 0; i < nodes; i++)
        node[i] = open_one(any, with, (uint16_t)(i + 1), 0);
    for (unsigned i = 0; i < nodes; i++)
        for (unsigned k = 0; k < nodes; k++)
            if (k != i)
                add(i, k, format);
}

static void end(void)
{
    sched_setaffinity(0, sizeof(everywhere), &everywhere);
    for (unsigned i = 0; i < 2; i++)
        close(marker[i]);
    for (unsigned i = 0; i < NODES; i++) {
        backend_udp_close(node[i]);
        node[i] = NULL;
    }
}

/*
 * A datagram over loopback waits in a queue of the sending core until that core's softirq is
 * served: mostly before sendto() returns, later when it is behind.  All tests but those of threads
 * stay on one core, so when a marker has come through the same queue, what was sent before it has
 * come, too.
 */
static void settle(void)
{
    struct pollfd p = {marker[0], POLLIN, 0};
    char c = 0;

    ck_assert_int_eq(send(marker[1], &c, 1, 0), 1);
    ck_assert_int_eq(poll(&p, 1, HANGS), 1);
    ck_assert_int_eq(recv(marker[0], &c, 1, 0), 1);
}

static void setup(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);
    cpu_set_t here;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(everywhere), &everywhere), 0);
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(here), &here), 0);
    for (unsigned i = 0; i < 2; i++)
        marker[i] = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(marker[0], (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(marker[0], (struct sockaddr *)&a, &len), 0);
    ck_assert_int_eq(connect(marker[1], (struct sockaddr *)&a, len), 0);
}

/* One batch when something waits; ms: how long it may take to come. */
static int take(struct backend_udp *u, struct backend_frame *f, unsigned max, int ms)
{
    struct pollfd p = {backend_udp_fd(u), POLLIN, 0};

    return poll(&p, 1, ms) == 1 ? backend_udp_receive(u, f, max) : -EAGAIN;
}

static struct backend_frame next(struct backend_udp *u)
{
    struct backend_frame f;

    for (unsigned i = 0; i < 100; i++)
        if (take(u, &f, 1, HANGS) == 1)
            return f;
    ck_abort_msg("no frame");
}

static void quiet(struct backend_udp *u)
{
    struct backend_frame f;

    settle();
    for (unsigned i = 0; i < 100; i++) {
        int n = backend_udp_receive(u, &f, 1);

        if (n == -EAGAIN)
            return;
        ck_assert_int_eq(n, 0);
    }
}

/* Until all are proven to each other.  On loopback a datagram waits when sendto() returns. */
static void greet(unsigned nodes)
{
    for (unsigned round = 0; round < 5; round++)
        for (unsigned i = 0; i < nodes; i++)
            quiet(node[i]);
    for (unsigned i = 0; i < nodes; i++)
        for (unsigned k = 0; k + 1 < nodes; k++)
            ck_assert(backend_udp_ready(node[i], k));
}

static struct backend_udp_stats stats(const struct backend_udp *u)
{
    struct backend_udp_stats s;

    backend_udp_stats(u, &s);
    return s;
}

static unsigned send_one(unsigned i, const void *data, size_t len)
{
    struct backend_frame f = {data, len, 0};
    unsigned n = backend_udp_send(node[i], &f, 1);

    settle();
    return n;
}

static bool have_v6(void)
{
    struct backend_udp_config c = {.local = "[::1]:0"};
    struct backend_udp *u;

    if (backend_udp_open(&c, &u))
        return false;
    backend_udp_close(u);
    return true;
}

/* Families, with and without a key; every size. */
START_TEST(sizes)
{
    static const char *const any[] = {"127.0.0.1:0", "[::1]:0", "[::]:0"};
    static const char *const format[] = {"127.0.0.1:%u", "[::1]:%u", "127.0.0.1:%u"};
    static const size_t size[] = {1, 13, 14, 60, 1514, 9000, SEAL_FRAME_MAX, BACKEND_UDP_MAX};
    const uint8_t *with = _i >= 3 ? key : NULL;
    size_t most = with ? SEAL_FRAME_MAX : BACKEND_UDP_MAX;

    if (_i % 3 && !have_v6())
        return;
    mesh(2, with, any[_i % 3], format[_i % 3]);
    greet(2);
    for (unsigned i = 0; i < 8 && size[i] <= most; i++) {
        struct backend_frame f;

        ck_assert_uint_eq(send_one(0, big + i, size[i]), 1);
        f = next(node[1]);
        ck_assert_uint_eq(f.len, size[i]);
        ck_assert_mem_eq(f.data, big + i, size[i]);
        ck_assert_uint_eq(f.peer, 0);
    }
    ck_assert_uint_eq(send_one(0, big, 0), 0);
    ck_assert_uint_eq(send_one(0, big, most + 1), 0);
    ck_assert_uint_eq(stats(node[0]).tx_size, 2);
    ck_assert_uint_eq(stats(node[0]).sent, with ? 7 : 8);
    ck_assert_uint_eq(stats(node[1]).received, with ? 7 : 8);
}
END_TEST

START_TEST(switching)
{
    uint8_t frame[60] = {0};
    static const uint8_t to[][6] = {{2, 0, 0, 0, 0, 3},
                                    {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
                                    {1, 0, 0x5E, 0, 0, 3},
                                    {2, 0, 0, 0, 0, 9}};

    mesh(NODES, _i ? key : NULL, "127.0.0.1:0", "127.0.0.1:%u");
    greet(NODES);
    for (unsigned t = 0; t < 4; t++) {
        memcpy(frame, to[t], 6);
        ck_assert_uint_eq(send_one(0, frame, 60), t ? 3 : 1);
        for (unsigned i = 1; i < NODES; i++) {
            if (t == 0 && i != 2) {
                quiet(node[i]);
                continue;
            }
            ck_assert_mem_eq(next(node[i]).data, frame, 60);
            quiet(node[i]);
        }
    }
    /* Too short for an address. */
    ck_assert_uint_eq(send_one(0, to[0], 5), 3);
}
END_TEST

START_TEST(batches)
{
    enum { N = 3 * BACKEND_UDP_BATCH + 5 };
    static uint8_t data[N][60];
    struct backend_frame f[N], got[BACKEND_UDP_BATCH + 9];
    unsigned at = 0;

    mesh(2, _i ? key : NULL, "127.0.0.1:0", "127.0.0.1:%u");
    greet(2);
    for (unsigned i = 0; i < N; i++) {
        data[i][20] = (uint8_t)i;
        f[i] = (struct backend_frame){data[i], 14 + i % 47, 0};
    }
    ck_assert_uint_eq(backend_udp_send(node[0], f, N), N);
    settle();
    while (at < N) {
        int n = take(node[1], got, BACKEND_UDP_BATCH + 9, HANGS);

        ck_assert_int_ge(n, 0);
        ck_assert_int_le(n, BACKEND_UDP_BATCH);
        for (int i = 0; i < n; i++, at++) {
            ck_assert_uint_eq(got[i].len, f[at].len);
            ck_assert_mem_eq(got[i].data, data[at], got[i].len);
        }
    }
    ck_assert_int_eq(backend_udp_receive(node[1], got, 5), -EAGAIN);
}
END_TEST

static void raw(int fd, struct backend_udp *to, const void *data, size_t len)
{
    struct sockaddr_storage addr;
    socklen_t addr_len;

    ck_assert_int_eq(address_parse(where(to, "127.0.0.1:%u"), SOCK_DGRAM, &addr, &addr_len), 0);
    ck_assert_int_eq(sendto(fd, data, len, 0, (struct sockaddr *)&addr, addr_len), (ssize_t)len);
    settle();
}

/* Bad ones between good ones, in one batch. */
START_TEST(drops)
{
    int stranger = socket(AF_INET, SOCK_DGRAM, 0);
    struct backend_frame got[8];
    struct backend_udp_stats s;
    bool sealed = _i;

    node[0] = open_one("127.0.0.1:0", sealed ? key : NULL, 1, 0);
    node[1] = open_one("127.0.0.1:0", sealed ? key : NULL, 2, 200);
    add(0, 1, "127.0.0.1:%u");
    add(1, 0, "127.0.0.1:%u");
    greet(2);
    raw(stranger, node[1], "stranger", 8);
    ck_assert_uint_eq(send_one(0, "good", 4), 1);
    raw(backend_udp_fd(node[0]), node[1], "", 0);
    ck_assert_uint_eq(send_one(0, big, 201), 1);
    ck_assert_uint_eq(send_one(0, big, 200), 1);
    ck_assert_int_eq(take(node[1], got, 8, HANGS), 2);
    ck_assert_mem_eq(got[0].data, "good", 4);
    ck_assert_uint_eq(got[1].len, 200);
    ck_assert_mem_eq(got[1].data, big, 200);
    s = stats(node[1]);
    ck_assert_uint_eq(s.rx_empty, 1);
    ck_assert_uint_eq(s.rx_oversize, 1);
    ck_assert_uint_eq(s.rx_stranger, sealed ? 0 : 1);
    ck_assert_uint_eq(s.rx_seal[SEAL_SHORT], sealed ? 1 : 0);
    ck_assert_uint_eq(s.received, 2);
    close(stranger);
}
END_TEST

START_TEST(bad_configuration)
{
    struct backend_udp_config c = {.local = "127.0.0.1"};
    struct backend_udp_peer p = {.address = "127.0.0.1:9"};

    ck_assert_int_eq(backend_udp_open(&c, &node[1]), -EINVAL);
    c.local = "192.0.2.1:5"; /* nobody's */
    ck_assert_int_eq(backend_udp_open(&c, &node[1]), -EADDRNOTAVAIL);
    node[1] = NULL;
    node[0] = open_one("127.0.0.1:0", NULL, 1, 0);
    ck_assert_int_eq(backend_udp_add(node[0], &p), 0);
    ck_assert_int_eq(backend_udp_add(node[0], &p), -EEXIST);
    p.address = "[::1]:5";
    ck_assert_int_eq(backend_udp_add(node[0], &p), -EAFNOSUPPORT);
    p.address = "here";
    ck_assert_int_eq(backend_udp_add(node[0], &p), -EINVAL);
    p.address = NULL; /* only who can prove himself may come from anywhere */
    ck_assert_int_eq(backend_udp_add(node[0], &p), -EINVAL);
    p.address = "127.0.0.1:10";
    ck_assert_int_eq(backend_udp_add(node[0], &p), 1);
    ck_assert_int_eq(backend_udp_address(node[0], 1, "127.0.0.1:9"), -EEXIST);
    ck_assert_int_eq(backend_udp_address(node[0], 1, "127.0.0.1:11"), 0);
}
END_TEST

/* An address is learnt from who proves itself, and from nobody else. */
START_TEST(learns)
{
    struct backend_udp_peer p = {.node = 1};
    int stranger = socket(AF_INET, SOCK_DGRAM, 0);
    uint8_t copy[200];
    ssize_t len;

    node[0] = open_one("127.0.0.1:0", key, 1, 0);
    node[1] = open_one("127.0.0.1:0", key, 2, 0);
    ck_assert_int_eq(backend_udp_add(node[1], &p), 0);
    ck_assert_uint_eq(send_one(1, "nowhere", 7), 0);
    ck_assert_uint_eq(stats(node[1]).tx_no_address, 1);
    add(0, 1, "127.0.0.1:%u");
    greet(2);
    ck_assert_uint_eq(send_one(1, "there", 5), 1);
    ck_assert_mem_eq(next(node[0]).data, "there", 5);
    /* A recorded datagram, sent again from elsewhere: first fresh, then not. */
    ck_assert_uint_eq(send_one(0, "recorded", 8), 1);
    len = recv(backend_udp_fd(node[1]), copy, sizeof(copy), 0);
    raw(stranger, node[1], copy, (size_t)len);
    ck_assert_mem_eq(next(node[1]).data, "recorded", 8);
    ck_assert_uint_eq(stats(node[1]).moved, 1);
    ck_assert_uint_eq(send_one(0, "back", 4), 1);
    next(node[1]);
    ck_assert_uint_eq(stats(node[1]).moved, 2);
    raw(stranger, node[1], copy, (size_t)len);
    quiet(node[1]);
    ck_assert_uint_eq(stats(node[1]).moved, 2);
    ck_assert_uint_eq(stats(node[1]).rx_seal[SEAL_REPLAYED], 1);
    ck_assert_uint_eq(send_one(1, "still", 5), 1);
    ck_assert_mem_eq(next(node[0]).data, "still", 5);
    close(stranger);
}
END_TEST

/* A node that was killed comes back at another port; the first frames to it are lost, no more. */
START_TEST(restart)
{
    mesh(2, key, "127.0.0.1:0", "127.0.0.1:%u");
    greet(2);
    for (unsigned round = 0; round < 5; round++) {
        backend_udp_close(node[1]);
        node[1] = open_one("127.0.0.1:0", key, 2, 0);
        send_one(0, "into the void", 13);
        add(1, 0, "127.0.0.1:%u");
        greet(2);
        ck_assert_uint_eq(stats(node[0]).moved, round + 1);
        ck_assert_uint_eq(send_one(0, "hello", 5), 1);
        ck_assert_mem_eq(next(node[1]).data, "hello", 5);
        ck_assert_uint_eq(send_one(1, "hi", 2), 1);
        ck_assert_mem_eq(next(node[0]).data, "hi", 2);
    }
}
END_TEST

/* Hellos that get lost: the next frame asks again. */
START_TEST(lost_hellos)
{
    uint8_t sink[200];

    mesh(2, key, "127.0.0.1:0", "127.0.0.1:%u");
    settle();
    for (unsigned i = 0; i < 2; i++)
        while (recv(backend_udp_fd(node[i]), sink, sizeof(sink), 0) > 0)
            continue;
    ck_assert(!backend_udp_ready(node[0], 0));
    ck_assert_uint_eq(send_one(0, "lost", 4), 1); /* the hello in its place */
    ck_assert_uint_eq(stats(node[0]).tx_no_session, 1);
    ck_assert_uint_eq(stats(node[0]).sent, 0);
    greet(2);
    ck_assert_uint_eq(send_one(0, "found", 5), 1);
    ck_assert_mem_eq(next(node[1]).data, "found", 5);
}
END_TEST

/* A flood of replayed hellos and frames of no session draws a few answers for each batch. */
/* What the kernel drops before we see it is counted, too. */
START_TEST(overflow)
{
    struct backend_frame frame = {big, 1000, 0}, in[BACKEND_UDP_BATCH];
    struct backend_udp_stats s, r;
    int n;

    mesh(2, NULL, "127.0.0.1:0", "127.0.0.1:%u");
    for (unsigned i = 0; i < 20000; i++)
        backend_udp_send(node[0], &frame, 1);
    settle();
    while ((n = backend_udp_receive(node[1], in, BACKEND_UDP_BATCH)) >= 0)
        continue;
    backend_udp_stats(node[0], &s);
    backend_udp_stats(node[1], &r);
    ck_assert_uint_eq(s.tx_refused, 0);
    ck_assert_uint_eq(s.sent + s.tx_full, 20000);
    ck_assert_uint_gt(r.rx_overflow, 0);
    ck_assert_uint_eq(s.sent, r.received + r.rx_overflow);
}
END_TEST

START_TEST(flood)
{
    int evil = socket(AF_INET, SOCK_DGRAM, 0);
    uint8_t hello[200];
    ssize_t len;
    uint64_t before;

    mesh(2, key, "127.0.0.1:0", "127.0.0.1:%u");
    settle();
    len = recv(backend_udp_fd(node[1]), hello, sizeof(hello), 0);
    ck_assert_int_eq(len, SEAL_HELLO_LEN);
    before = stats(node[1]).hello_sent;
    for (unsigned i = 0; i < 200; i++)
        raw(evil, node[1], hello, (size_t)len);
    for (unsigned i = 0; i < 10; i++) {
        struct backend_frame f[BACKEND_UDP_BATCH];

        backend_udp_receive(node[1], f, BACKEND_UDP_BATCH);
    }
    ck_assert_uint_le(stats(node[1]).hello_sent - before, 4 * 4);
    ck_assert_uint_ge(stats(node[1]).rx_seal[SEAL_GREETING], 200);
    close(evil);
}
END_TEST

/* Each node sends and receives in threads of their own, and is looked at meanwhile. */
static unsigned arrived[2];
static atomic_bool all_sent;

static void *sender(void *arg)
{
    unsigned me = *(unsigned *)arg;
    uint8_t frame[2][60] = {{0}};

    for (unsigned i = 0; i < 300; i++) {
        struct backend_frame f[2] = {{frame[0], 60, 0}, {frame[1], 60, 0}};
        struct timespec pause = {0, 100000};

        backend_udp_send(node[me], f, 2);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void *receiver(void *arg)
{
    unsigned me = *(unsigned *)arg;
    struct backend_frame f[8];
    int n;

    do {
        bool last = atomic_load(&all_sent);

        n = take(node[me], f, 8, 500);
        arrived[me] += n > 0 ? (unsigned)n : 0;
        if (last && n < 0)
            return NULL;
    } while (true);
}

START_TEST(threads)
{
    unsigned id[2] = {0, 1};
    pthread_t t[4];

    mesh(2, key, "127.0.0.1:0", "127.0.0.1:%u");
    sched_setaffinity(0, sizeof(everywhere), &everywhere);
    arrived[0] = arrived[1] = 0;
    atomic_store(&all_sent, false);
    for (unsigned i = 0; i < 2; i++) {
        pthread_create(&t[i], NULL, sender, &id[i]);
        pthread_create(&t[2 + i], NULL, receiver, &id[i]);
    }
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_le(stats(node[0]).sent, 600);
    for (unsigned i = 0; i < 4; i++) {
        atomic_store(&all_sent, i >= 2);
        pthread_join(t[i], NULL);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct backend_udp_stats s = stats(node[i]);

        ck_assert_uint_eq(arrived[i], s.received);
        ck_assert_uint_gt(arrived[i], 0);
        ck_assert_uint_eq(s.sent + s.tx_no_session + s.tx_full, 600);
    }
}
END_TEST

/* Its peers become known one by one while it receives; those that are not yet are strangers. */
START_TEST(added_late)
{
    const uint8_t *with = _i ? key : NULL;
    struct backend_frame f = {.data = big, .len = 100};
    struct backend_udp_stats s;
    unsigned me = 0;
    pthread_t t;

    for (unsigned i = 0; i < NODES; i++)
        node[i] = open_one("127.0.0.1:0", with, (uint16_t)(i + 1), 0);
    sched_setaffinity(0, sizeof(everywhere), &everywhere);
    arrived[0] = 0;
    atomic_store(&all_sent, false);
    ck_assert_int_eq(pthread_create(&t, NULL, receiver, &me), 0);
    for (unsigned i = 1; i < NODES; i++) {
        add(i, 0, "127.0.0.1:%u");
        backend_udp_send(node[i], &f, 1);
        add(0, i, "127.0.0.1:%u");
        while (take(node[i], (struct backend_frame[8]){{0}}, 8, with ? 200 : 0) >= 0)
            ;
        backend_udp_send(node[i], &f, 1);
    }
    atomic_store(&all_sent, true);
    pthread_join(t, NULL);
    s = stats(node[0]);
    ck_assert_uint_eq(arrived[0], s.received);
    ck_assert_uint_ge(arrived[0], NODES - 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("udp");
    TCase *t = tcase_create("udp");
    SRunner *r;
    int failed;

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 31 >> 3);
    tcase_add_checked_fixture(t, setup, end);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, sizes, 0, 6);
    tcase_add_loop_test(t, switching, 0, 2);
    tcase_add_loop_test(t, batches, 0, 2);
    tcase_add_loop_test(t, drops, 0, 2);
    tcase_add_test(t, bad_configuration);
    tcase_add_test(t, learns);
    tcase_add_test(t, restart);
    tcase_add_test(t, lost_hellos);
    tcase_add_test(t, overflow);
    tcase_add_test(t, flood);
    tcase_add_test(t, threads);
    tcase_add_loop_test(t, added_late, 0, 2);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
