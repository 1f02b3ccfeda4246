/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A neighbour of the bridge on the Ethernet that QEMU's `-netdev dgram` and our `udp` make of UDP
 * datagrams: asks for its address, pings it, has datagrams echoed, in IPv4 and IPv6, and overloads
 * it.
 *
 *     neighbour LOCAL-PORT PEER-PORT [COUNT]
 *
 * COUNT datagrams are echoed (2,000).  PASS and FAIL lines; exit status 1 after a FAIL.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"

#define PATIENCE_MS 500
#define TRIES       60
#define WINDOW      32u

static int fd;
static int failures;
static uint8_t got[65536];
static size_t got_len;

static void verdict(bool good, const char *what, const char *why)
{
    printf("%s %s%s%s\n", good ? "PASS" : "FAIL", what, good ? "" : ": ", good ? "" : why);
    fflush(stdout);
    failures += !good;
}

static void out(const uint8_t *f, size_t len)
{
    if (send(fd, f, len, 0) < 0)
        usleep(1000); /* nobody listens yet, or the socket is full: as a wire that loses */
}

/* The next frame for us within ms; false when none comes. */
static bool in(int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, ms) > 0) {
        ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);

        if (n >= 14 && memcmp(got, them, 6) == 0) {
            got_len = (size_t)n;
            return true;
        }
        /* It asks for us, too. */
        if (n >= 42 && get16(got + 12) == 0x0806 && get16(got + 20) == 1 &&
            memcmp(got + 38, them4, 4) == 0) {
            uint8_t f[60];

            arp(f, 2, us4);
            memcpy(f, us, 6);
            memcpy(f + 32, us, 6);
            out(f, sizeof(f));
        }
    }
    return false;
}

static bool answers_arp(void)
{
    uint8_t f[60];

    for (int i = 0; i < TRIES; i++) {
        arp(f, 1, us4);
        out(f, sizeof(f));
        while (in(PATIENCE_MS))
            if (get16(got + 12) == 0x0806 && get16(got + 20) == 2)
                return memcmp(got + 22, us, 6) == 0 && memcmp(got + 28, us4, 4) == 0;
    }
    return false;
}

static bool ping_once(const uint8_t *message, size_t len, unsigned id)
{
    static uint8_t back[9000];
    uint8_t f[1600];
    size_t have = 0, part;

    for (size_t at = 0; at < len; at += part) {
        part = len - at > 1480 ? 1480 : len - at;
        ip4(f, 1, part, id, (unsigned)at, at + part < len);
        memcpy(f + IP4, message + at, part);
        out(f, IP4 + part);
    }
    while (have < len && in(PATIENCE_MS)) {
        const uint8_t *h = got + ETH;
        size_t at = (size_t)(get16(h + 6) & 0x1FFF) * 8, n = get16(h + 2) - 20u;

        if (get16(got + 12) != 0x0800 || h[9] != 1 || at + n > sizeof(back) || got_len < IP4 + n)
            continue;
        memcpy(back + at, h + 20, n);
        have += n;
    }
    return have == len && back[0] == 0 && fold(sum(0, back, len)) == 0 &&
           memcmp(back + 4, message + 4, len - 4) == 0;
}

static bool answers_ping(size_t from, size_t to, size_t step)
{
    static uint8_t m[9000];

    for (size_t payload = from; payload <= to; payload += step) {
        int tries = 0;

        memset(m, 0, 8);
        m[0] = 8;
        put16(m + 4, 77);
        put16(m + 6, (unsigned)payload);
        pattern(m + 8, payload);
        put16(m + 2, fold(sum(0, m, payload + 8)));
        while (!ping_once(m, payload + 8, (unsigned)(payload * 16 + (size_t)tries)))
            if (++tries == 5)
                return false;
    }
    return true;
}

/* Number i of that many bytes, from our port 5555 to the echo. */
static void echo_out(uint32_t i)
{
    uint8_t f[1600];
    size_t len = 4 + i * 7919u % 1469;

    pattern(f + IP4 + 8, len);
    memcpy(f + IP4 + 8, &i, 4);
    udp4_frame(f, len, 5555, 7);
    out(f, IP4 + 8 + len);
}

/* 0: not an echo; 1: good, its number in *i; -1: wrong. */
static int echo_in(uint32_t *i)
{
    uint8_t want[1600];
    size_t len;

    if (got_len < IP4 + 12 || get16(got + 12) != 0x0800 || got[ETH + 9] != 17)
        return 0;
    memcpy(i, got + IP4 + 8, 4);
    len = 4 + *i * 7919u % 1469;
    pattern(want, len);
    memcpy(want, i, 4);
    return get16(got + IP4 + 4) == len + 8 && got_len >= IP4 + 8 + len &&
                   upper(got + ETH + 12, 8, 17, got + IP4, len + 8) == 0 &&
                   memcmp(got + IP4 + 8, want, len) == 0
               ? 1
               : -1;
}

/* A window of them at a time; a lost one is sent again. */
static const char *echoes(uint32_t count)
{
    static uint8_t done[1000000];
    uint32_t base = 0, next = 0, i;
    int quiet = 0, r;

    memset(done, 0, sizeof(done));
    while (base < count) {
        while (next < count && next < base + WINDOW)
            echo_out(next++);
        if (!in(PATIENCE_MS)) {
            if (++quiet == TRIES)
                return "an echo never comes";
            next = base; /* those of the window that came are sent again, too */
            continue;
        }
        quiet = 0;
        r = echo_in(&i);
        if (r < 0 || (r > 0 && i >= count))
            return "an echo is not what was sent";
        if (r > 0)
            done[i] = 1;
        while (base < count && done[base])
            base++;
    }
    return NULL;
}

static bool ipv6(void)
{
    uint8_t f[1600];

    for (int i = 0; i < TRIES; i++) {
        solicit(f);
        out(f, IP6 + 32);
        while (in(PATIENCE_MS))
            if (get16(got + 12) == 0x86DD && got[IP6] == 136)
                return memcmp(got + IP6 + 8, us6, 16) == 0 &&
                       upper(got + ETH + 8, 32, 58, got + IP6, 32) == 0;
    }
    return false;
}

static bool ping6(void)
{
    uint8_t f[1600];

    for (int i = 0; i < TRIES; i++) {
        ip6(f, 58, 1008);
        memset(f + IP6, 0, 8);
        f[IP6] = 128;
        pattern(f + IP6 + 8, 1000);
        put16(f + IP6 + 2, upper(f + ETH + 8, 32, 58, f + IP6, 1008));
        out(f, IP6 + 1008);
        while (in(PATIENCE_MS)) {
            if (get16(got + 12) == 0x86DD && got[IP6] == 135) { /* it asks for us */
                uint8_t a[1600];

                ip6(a, 58, 32);
                memset(a + IP6, 0, 32);
                a[IP6] = 136;
                a[IP6 + 4] = 0x60;
                memcpy(a + IP6 + 8, them6, 16);
                a[IP6 + 24] = 2;
                a[IP6 + 25] = 1;
                memcpy(a + IP6 + 26, them, 6);
                put16(a + IP6 + 2, upper(a + ETH + 8, 32, 58, a + IP6, 32));
                out(a, IP6 + 32);
            } else if (get16(got + 12) == 0x86DD && got[IP6] == 129) {
                return memcmp(got + IP6 + 8, f + IP6 + 8, 1000) == 0;
            }
        }
    }
    return false;
}

/* More than any ring holds at once; then it must still be there. */
static const char *overload(void)
{
    unsigned came = 0;
    uint32_t i;

    for (unsigned burst = 0; burst < 10; burst++) {
        for (uint32_t k = 0; k < 2000; k++)
            echo_out(k);
        while (in(burst == 9 ? PATIENCE_MS : 1)) {
            int r = echo_in(&i);

            if (r < 0)
                return "an echo is not what was sent";
            came += r > 0;
        }
    }
    if (came == 0)
        return "no echo at all";
    return echoes(100);
}

static bool open_wire(const char *local, const char *peer)
{
    struct sockaddr_in a = {.sin_family = AF_INET}, b = a;
    int size = 4 << 20;

    a.sin_addr.s_addr = b.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)atoi(local));
    b.sin_port = htons((uint16_t)atoi(peer));
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
           connect(fd, (struct sockaddr *)&b, sizeof(b)) == 0;
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 3 ? (uint32_t)atoi(argv[3]) : 2000;
    const char *why;

    if (argc < 3 || count > 1000000 || !open_wire(argv[1], argv[2])) {
        fprintf(stderr, "neighbour: wants two UDP ports of this host that are free, and a number "
                        "up to 1000000\n");
        return 2;
    }
    verdict(answers_arp(), "ARP", "no answer");
    if (failures)
        return 1;
    verdict(answers_ping(0, 1472, 46), "ping, 0 to 1,472 bytes", "no answer, or a wrong one");
    verdict(answers_ping(1473, 8000, 725), "ping in fragments", "no answer, or a wrong one");
    why = echoes(count);
    verdict(!why, "UDP echo", why ? why : "");
    verdict(ipv6(), "neighbour discovery", "no answer, or a wrong one");
    verdict(ping6(), "ping over IPv6", "no answer, or a wrong one");
    why = overload();
    verdict(!why, "overload", why ? why : "");
    return failures > 0;
}
