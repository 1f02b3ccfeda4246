/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/wire.c netdev */
/*
 * What is between NIC and backends: names that mean something else later, keys that do not fit, and
 * what the user is told.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../vmm/wire.h"

#define HANGS 10000 /* ms; only ends what hangs */

static struct machine m;
static struct wire *w;
static char err[256], said[256], key_path[64];
static unsigned lines, questions;
static in_addr_t pod;     /* what the name pod.example means */
static in_addr_t pods[3]; /* and 0.example to 2.example; 0: nobody knows now */
static time_t skipped;    /* s, by which our clock is ahead */
static struct backend_frame frames[WIRE_BATCH];

/* The resolver: numbers, and one name. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in6 addr;
    } *r = calloc(1, sizeof(*r));
    struct sockaddr_in *v4 = (struct sockaddr_in *)&r->addr;

    (void)hints;
    r->info.ai_addr = (struct sockaddr *)&r->addr;
    r->info.ai_addrlen = sizeof(*v4);
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)atoi(service));
    if (strcmp(host, "pod.example") == 0) {
        questions++;
        v4->sin_addr.s_addr = pod;
    } else if (host[0] >= '0' && host[0] <= '2' && strcmp(host + 1, ".example") == 0) {
        if (pods[host[0] - '0'] == 0) {
            free(r);
            return EAI_AGAIN;
        }
        v4->sin_addr.s_addr = pods[host[0] - '0'];
    } else if (strcmp(host, "::1") == 0) {
        r->addr = (struct sockaddr_in6){AF_INET6, htons((uint16_t)atoi(service)), 0,
                                        IN6ADDR_LOOPBACK_INIT, 0};
        r->info.ai_addrlen = sizeof(r->addr);
    } else {
        v4->sin_addr.s_addr = inet_addr(host);
    }
    *found = &r->info;
    return 0;
}

int clock_gettime(clockid_t which, struct timespec *t)
{
    long r = syscall(SYS_clock_gettime, which, t);

    t->tv_sec += skipped;
    return (int)r;
}

void freeaddrinfo(struct addrinfo *found)
{
    free(found);
}

static void say(void *arg, const char *line)
{
    (void)arg;
    lines++;
    snprintf(said, sizeof(said), "%s", line);
}

static int our_port(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    struct pollfd p;

    wire_poll(w, &p);
    ck_assert_int_eq(getsockname(p.fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static int bound(in_addr_t at, uint16_t port)
{
    struct sockaddr_in a = {AF_INET, htons(port), {at}, {0}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* Sends a datagram to the wire; how many frames it was for it. */
static unsigned arrives(int fd)
{
    struct sockaddr_in to = {AF_INET, htons((uint16_t)our_port()), {htonl(INADDR_LOOPBACK)}, {0}};
    static const uint8_t data[100] = {1};
    struct pollfd p;

    ck_assert_int_eq(sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)), 100);
    wire_poll(w, &p);
    ck_assert_int_eq(poll(&p, 1, HANGS), 1);
    return wire_receive(w, frames);
}

static int open_wire(const char *udp, const char *peer)
{
    m.nic.udp = (char *)(uintptr_t)udp;
    m.nic.peer = (char *)(uintptr_t)peer;
    return wire_open(&m, &w, err, sizeof(err));
}

static void setup(void)
{
    memset(&m, 0, sizeof(m));
    w = NULL;
    lines = questions = 0;
    said[0] = err[0] = 0;
    snprintf(key_path, sizeof(key_path), "/tmp/sempervm-wire-%d.key", (int)getpid());
}

static void teardown(void)
{
    wire_close(w);
    unlink(key_path);
}

static void make_key(void)
{
    int fd = open(key_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    ck_assert_int_eq(write(fd, "0123456789abcdef0123456789abcdef", 32), 32);
    close(fd);
    m.link_key = key_path;
}

/* A peer without a key that was started again somewhere else is known when it speaks. */
START_TEST(moved)
{
    in_addr_t before = htonl(INADDR_LOOPBACK + 1), after = htonl(INADDR_LOOPBACK + 2);
    char peer[32];
    uint16_t port;
    int old = bound(before, 0), new, stranger;
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    ck_assert_int_eq(getsockname(old, (struct sockaddr *)&a, &len), 0);
    port = ntohs(a.sin_port);
    new = bound(after, port);
    stranger = bound(htonl(INADDR_LOOPBACK + 3), port);
    snprintf(peer, sizeof(peer), "pod.example:%u", port);
    pod = before;
    ck_assert_int_eq(open_wire("127.0.0.1:0", peer), 0);
    ck_assert_uint_eq(arrives(old), 1);
    questions = 0;
    wire_work(w, say, NULL);
    ck_assert_uint_eq(questions, 0); /* no reason to ask */
    pod = after;
    ck_assert_uint_eq(arrives(new), 0);
    wire_work(w, say, NULL);
    ck_assert_uint_eq(questions, 1);
    ck_assert_uint_eq(arrives(new), 1);
    ck_assert_uint_eq(arrives(old), 0);
    ck_assert_uint_eq(arrives(stranger), 0);
    wire_work(w, say, NULL);
    ck_assert_uint_eq(questions, 1); /* strangers do not make it ask again at once */
    close(old);
    close(new);
    close(stranger);
}
END_TEST

/* A resolver that does not answer holds up who asks, for one name at a time. */
START_TEST(one_question_at_a_time)
{
    char names[3][32];
    int stranger = bound(htonl(INADDR_LOOPBACK + 3), 0);

    m.nnodes = 4;
    m.node[0].listen = (char *)(uintptr_t) "127.0.0.1:0";
    for (unsigned i = 0; i < 3; i++) { /* the name means each node's address when it is asked */
        snprintf(names[i], sizeof(names[i]), "pod.example:%u", 1000 + i);
        m.node[i + 1].at = names[i];
        m.node[i + 1].mac[5] = (uint8_t)(i + 1);
    }
    pod = htonl(INADDR_LOOPBACK + 1);
    ck_assert_int_eq(wire_open(&m, &w, err, sizeof(err)), 0);
    ck_assert_uint_eq(arrives(stranger), 0);
    questions = 0;
    for (unsigned i = 1; i <= 3; i++) {
        wire_work(w, say, NULL);
        ck_assert_uint_eq(questions, i);
    }
    wire_work(w, say, NULL);
    ck_assert_uint_eq(questions, 3);
    close(stranger);
}
END_TEST

/* A datagram from fd that says to be node k's: is it taken? */
static unsigned speaks(int fd, unsigned k)
{
    struct sockaddr_in to = {AF_INET, htons((uint16_t)our_port()), {htonl(INADDR_LOOPBACK)}, {0}};
    uint8_t data[60] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, [11] = (uint8_t)k};
    struct pollfd p;

    ck_assert_int_eq(sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)), 60);
    wire_poll(w, &p);
    ck_assert_int_eq(poll(&p, 1, HANGS), 1);
    return wire_receive(w, frames);
}

/* Does a frame for node k come to fd, and to none of the others? */
static bool reaches(unsigned k, const int *fd, unsigned where)
{
    uint8_t data[60] = {[5] = (uint8_t)k, [11] = 100}, got[100];
    struct pollfd p = {.fd = fd[where], .events = POLLIN};
    bool there;

    wire_send(w, &(struct backend_frame){.data = data, .len = sizeof(data)}, 1);
    there = poll(&p, 1, HANGS) == 1 && recv(fd[where], got, sizeof(got), 0) == sizeof(data);
    for (unsigned i = 0; i < 3; i++)
        there &= recv(fd[i], got, sizeof(got), MSG_DONTWAIT) < 0;
    return there;
}

static char names[3][32];

/* A wire to three peers, i.example at fd[i], that all work. */
static void three_peers(int fd[3])
{
    uint16_t port = 0;
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    m.nnodes = 4;
    m.node[0].listen = (char *)(uintptr_t) "127.0.0.1:0";
    for (unsigned i = 0; i < 3; i++) {
        pods[i] = htonl(INADDR_LOOPBACK + 1 + i);
        fd[i] = bound(pods[i], port);
        ck_assert_int_eq(getsockname(fd[i], (struct sockaddr *)&a, &len), 0);
        port = ntohs(a.sin_port);
        snprintf(names[i], sizeof(names[i]), "%u.example:%u", i, port);
        m.node[i + 1].at = names[i];
        m.node[i + 1].mac[5] = (uint8_t)(i + 1);
    }
    ck_assert_int_eq(wire_open(&m, &w, err, sizeof(err)), 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(speaks(fd[i], i + 1), 1);
        ck_assert(reaches(i + 1, fd, i));
    }
}

/* Peers that were started again, each with an address that was another one's. */
START_TEST(places_changed)
{
    int fd[3];

    three_peers(fd);
    /* Each goes to where the next one was. */
    for (unsigned i = 0; i < 3; i++)
        pods[i] = htonl(INADDR_LOOPBACK + 1 + (i + 1) % 3);
    ck_assert_uint_eq(speaks(fd[1], 1), 1);
    for (unsigned i = 0; i < 6; i++)
        wire_work(w, say, NULL);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(reaches(i + 1, fd, (i + 1) % 3));
    for (unsigned i = 0; i < 3; i++)
        close(fd[i]);
}
END_TEST

/* The same, while the resolver fails in between: who has no address by then is not given up. */
START_TEST(places_changed_unknown)
{
    int fd[3];

    three_peers(fd);
    pods[0] = htonl(INADDR_LOOPBACK + 2);
    pods[1] = 0;
    ck_assert_uint_eq(speaks(fd[1], 1), 1);
    for (unsigned i = 0; i < 3; i++)
        wire_work(w, say, NULL);
    pods[0] = 0;
    for (unsigned i = 0; i < 3; i++)
        wire_work(w, say, NULL);
    pods[0] = htonl(INADDR_LOOPBACK + 2);
    pods[1] = htonl(INADDR_LOOPBACK + 1);
    skipped = 3600;
    for (unsigned i = 0; i < 6; i++)
        wire_work(w, say, NULL);
    skipped = 0; /* the test's own clock goes on as it was */
    ck_assert(reaches(1, fd, 1));
    ck_assert(reaches(2, fd, 0));
    for (unsigned i = 0; i < 3; i++)
        close(fd[i]);
}
END_TEST

START_TEST(other_key)
{
    int fd = bound(htonl(INADDR_LOOPBACK), 0);
    struct pollfd p;

    make_key();
    ck_assert_int_eq(open_wire("127.0.0.1:0", "127.0.0.1:9"), 0);
    wire_work(w, say, NULL);
    ck_assert_uint_eq(lines, 0);
    ck_assert_int_gt(wire_poll(w, &p), 0);
    ck_assert_uint_eq(arrives(fd), 0);
    wire_work(w, say, NULL);
    ck_assert_uint_eq(lines, 1);
    ck_assert_ptr_nonnull(strstr(said, "the same key file"));
    ck_assert_ptr_nonnull(strstr(said, key_path));
    ck_assert_uint_eq(arrives(fd), 0);
    wire_work(w, say, NULL);
    ck_assert_uint_eq(lines, 1);
    ck_assert_int_eq(wire_poll(w, &p), -1);
    close(fd);
}
END_TEST

START_TEST(descriptions)
{
    ck_assert_int_eq(open_wire("127.0.0.1:0", "[::1]:9"), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "listen at [::]:PORT"));
    m.link_key = key_path;
    ck_assert_int_eq(open_wire("127.0.0.1:0", "127.0.0.1:9"), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "no such file: make one"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wire");
    TCase *t = tcase_create("wire");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, moved);
    tcase_add_test(t, one_question_at_a_time);
    tcase_add_test(t, places_changed);
    tcase_add_test(t, places_changed_unknown);
    tcase_add_test(t, other_key);
    tcase_add_test(t, descriptions);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
