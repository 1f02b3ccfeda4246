/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge's network as a neighbour sees it: netdev's model of the NIC, the driver, lwIP.  Frames
 * go in and come out at the wire.  Everything of it runs under ASan and UBSan, lwIP too.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/bridge/net.h"
#include "../../netdev/netdev.h"
#include "frames.h"

#define MS     1000000ull
#define PORT   21328u
#define FRAMES 64u

static struct netdev *n;
static struct e1000 nic;
static uint8_t dma[E1000_DMA_SIZE] __attribute__((aligned(16)));
static uint64_t now = 1000 * MS;
static uint8_t out[FRAMES][1600];
static size_t out_len[FRAMES];
static unsigned outs;
static uint8_t got[20000];
static size_t got_len;
static unsigned gots;
static struct net_addr got_from;
static bool known = true;

_Noreturn void net_broken(const char *what);
_Noreturn void net_broken(const char *what)
{
    ck_abort_msg("lwIP: %s", what);
}

/* ---- the NIC ---- */

static int dma_read(void *arg, uint64_t at, void *buf, size_t len)
{
    (void)arg;
    if (at > sizeof(dma) || len > sizeof(dma) - at)
        return -EFAULT;
    memcpy(buf, dma + at, len);
    return 0;
}

static int dma_write(void *arg, uint64_t at, const void *buf, size_t len)
{
    (void)arg;
    if (at > sizeof(dma) || len > sizeof(dma) - at)
        return -EFAULT;
    memcpy(dma + at, buf, len);
    return 0;
}

static void transmit(void *arg, const void *frame, size_t len)
{
    (void)arg;
    if (outs < FRAMES) {
        memcpy(out[outs], frame, len);
        out_len[outs] = len;
    }
    outs++;
}

static uint32_t port_in(void *arg, uint16_t port)
{
    uint32_t v = ~0u;

    (void)arg;
    netdev_port_read(n, port, 4, &v);
    return v;
}

static void port_out(void *arg, uint16_t port, uint32_t value)
{
    (void)arg;
    netdev_port_write(n, port, 4, value);
}

static uint32_t reg_read(void *arg, uint64_t addr)
{
    (void)arg;
    return (uint32_t)netdev_mmio_read(n, (uint32_t)(addr - E1000_BAR_HERE), 4);
}

static void reg_write(void *arg, uint64_t addr, uint32_t value)
{
    (void)arg;
    netdev_mmio_write(n, (uint32_t)(addr - E1000_BAR_HERE), 4, value);
}

static void delay(void *arg, uint64_t ns)
{
    (void)arg;
    now += ns;
}

static bool receive(void *arg, const struct net_addr *from, const uint8_t *data, size_t len)
{
    (void)arg;
    gots++;
    got_from = *from;
    got_len = len;
    memcpy(got, data, len);
    return known;
}

static void setup(void)
{
    static const struct netdev_ops ops = {
        .dma_read = dma_read, .dma_write = dma_write, .transmit = transmit};
    static const struct e1000_bus bus = {.port_in = port_in,
                                         .port_out = port_out,
                                         .reg_read = reg_read,
                                         .reg_write = reg_write,
                                         .delay = delay};
    struct netdev_config c = {.slot = 3, .ops = &ops};
    struct net_config nc = {.nic = &nic, .port = PORT, .receive = receive, .random = 7};
    const char *why;

    memcpy(c.mac, us, 6);
    n = netdev_new(&c);
    ck_assert(e1000_open(&nic, &bus, dma, 0, &why));
    ck_assert(net_parse(OUR_IP4, &nc.ip4));
    ck_assert(net_parse(OUR_IP6, &nc.ip6));
    ck_assert(net_open(&nc, now));
    e1000_tx_flush(&nic); /* it announces itself */
    outs = 0;
}

static void teardown(void)
{
    netdev_free(n);
}

/* One round of the bridge's loop. */
static void round_of(void)
{
    net_time(now);
    net_poll(1000);
    net_timers();
    e1000_tx_flush(&nic);
}

static void in(const uint8_t *frame, size_t len)
{
    ck_assert_int_eq(netdev_receive(n, frame, len), NETDEV_RX_OK);
    round_of();
}

static void pass(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 100) {
        now += 100 * MS;
        round_of();
    }
}

/* Makes us known, as the neighbour's own request does. */
static void introduce(void)
{
    uint8_t f[60];

    arp(f, 1, us4);
    in(f, 60);
    outs = 0;
}

/* ---- tests ---- */

START_TEST(answers_arp)
{
    uint8_t f[60];

    outs = 0;
    arp(f, 1, us4);
    in(f, 60);
    ck_assert_uint_eq(outs, 1);
    ck_assert_mem_eq(out[0], them, 6);
    ck_assert_uint_eq(get16(out[0] + 12), 0x0806);
    ck_assert_uint_eq(get16(out[0] + 20), 2);
    ck_assert_mem_eq(out[0] + 22, us, 6);
    ck_assert_mem_eq(out[0] + 28, us4, 4);
    outs = 0;
    arp(f, 1, them4); /* somebody else's address */
    in(f, 60);
    ck_assert_uint_eq(outs, 0);
}
END_TEST

static void ping(size_t payload)
{
    static uint8_t whole[9000];
    uint8_t f[1600], back[9000];
    size_t len = payload + 8, at = 0;

    memset(whole, 0, 8);
    whole[0] = 8;
    put16(whole + 4, 77);
    pattern(whole + 8, payload);
    put16(whole + 2, fold(sum(0, whole, len)));
    outs = 0;
    for (size_t part; at < len; at += part) {
        part = len - at > 1480 ? 1480 : len - at;
        ip4(f, 1, part, (unsigned)payload, (unsigned)at, at + part < len);
        memcpy(f + IP4, whole + at, part);
        in(f, IP4 + part);
    }
    ck_assert_uint_eq(outs, (len + 1479) / 1480);
    memset(back, 0xEE, sizeof(back));
    for (unsigned i = 0; i < outs; i++) {
        const uint8_t *h = out[i] + ETH;

        ck_assert_uint_eq(fold(sum(0, h, 20)), 0);
        ck_assert_mem_eq(h + 16, them4, 4);
        memcpy(back + (get16(h + 6) & 0x1FFF) * 8, h + 20, get16(h + 2) - 20);
    }
    ck_assert_uint_eq(back[0], 0);
    ck_assert_uint_eq(fold(sum(0, back, len)), 0);
    ck_assert_mem_eq(back + 4, whole + 4, len - 4);
}

START_TEST(answers_ping)
{
    introduce();
    for (size_t len = 0; len < 1472; len += 13)
        ping(len);
}
END_TEST

START_TEST(answers_ping_in_pieces)
{
    introduce();
    for (size_t len = 1473; len < 8000; len += 397)
        ping(len);
}
END_TEST

START_TEST(udp_echo)
{
    uint8_t f[1600];

    introduce();
    for (size_t len = 0; len <= 1472; len += 64) {
        outs = 0;
        pattern(f + IP4 + 8, len);
        udp4_frame(f, len, 5555, 7);
        in(f, IP4 + 8 + len);
        ck_assert_uint_eq(outs, 1);
        ck_assert_uint_eq(get16(out[0] + IP4), 7);
        ck_assert_uint_eq(get16(out[0] + IP4 + 2), 5555);
        ck_assert_uint_eq(upper(out[0] + ETH + 12, 8, 17, out[0] + IP4, len + 8), 0);
        ck_assert_mem_eq(out[0] + IP4 + 8, f + IP4 + 8, len);
    }
    outs = 0;
    udp4_frame(f, 10, 7, 7); /* another echo: that would never end */
    in(f, IP4 + 18);
    ck_assert_uint_eq(outs, 0);
}
END_TEST

START_TEST(datagrams_in)
{
    uint8_t f[1600], whole[6008];
    size_t len = sizeof(whole);

    known = true;
    introduce();
    pattern(f + IP4 + 8, 500);
    udp4_frame(f, 500, PORT, PORT);
    in(f, IP4 + 508);
    ck_assert_uint_eq(gots, 1);
    ck_assert_uint_eq(got_len, 500);
    ck_assert_mem_eq(got, f + IP4 + 8, 500);
    ck_assert_uint_eq(got_from.kind, 4);
    ck_assert_mem_eq(got_from.bytes, them4, 4);
    known = false;
    in(f, IP4 + 508);
    ck_assert_uint_eq(net_stats()->rx_stranger, 1);
    known = true;
    f[IP4 + 100] ^= 1; /* a bit flips on the way */
    in(f, IP4 + 508);
    ck_assert_uint_eq(gots, 2);
    udp4_frame(f, 500, 1234, PORT); /* not from the link's port */
    in(f, IP4 + 508);
    ck_assert_uint_eq(gots, 2);
    ck_assert_uint_eq(net_stats()->rx_stranger, 2);

    /* In pieces, the last one first. */
    pattern(whole + 8, len - 8);
    udp(whole, len, PORT, PORT);
    for (size_t at = len / 1480 * 1480;; at -= 1480) {
        size_t part = len - at > 1480 ? 1480 : len - at;

        ip4(f, 17, part, 99, (unsigned)at, at + part < len);
        memcpy(f + IP4, whole + at, part);
        in(f, IP4 + part);
        if (at == 0)
            break;
    }
    ck_assert_uint_eq(gots, 3);
    ck_assert_uint_eq(got_len, len - 8);
    ck_assert_mem_eq(got, whole + 8, len - 8);
}
END_TEST

/* The neighbour is asked for first; meanwhile datagrams wait. */
START_TEST(datagrams_out)
{
    struct net_addr to;
    uint8_t data[1472], f[60];

    pattern(data, sizeof(data));
    ck_assert(net_parse("10.83.0.2", &to));
    outs = 0;
    ck_assert(net_send(&to, data, 1000));
    ck_assert(net_send(&to, data, 1472));
    memset(data, 0, sizeof(data)); /* it was copied */
    round_of();
    ck_assert_uint_eq(outs, 1);
    ck_assert_uint_eq(get16(out[0] + 12), 0x0806);
    ck_assert_mem_eq(out[0] + 38, them4, 4);
    outs = 0;
    arp(f, 2, us4);
    memcpy(f, us, 6);
    memcpy(f + 32, us, 6);
    in(f, 60);
    pattern(data, sizeof(data));
    ck_assert_uint_eq(outs, 2);
    for (unsigned i = 0; i < 2; i++) {
        size_t len = i ? 1472 : 1000;

        ck_assert_mem_eq(out[i], them, 6);
        ck_assert_uint_eq(get16(out[i] + IP4), PORT);
        ck_assert_uint_eq(get16(out[i] + IP4 + 2), PORT);
        ck_assert_uint_eq(upper(out[i] + ETH + 12, 8, 17, out[i] + IP4, len + 8), 0);
        ck_assert_mem_eq(out[i] + IP4 + 8, data, len);
    }
    ck_assert(!net_send(&to, data, 70000));
    ck_assert_uint_eq(net_stats()->tx_refused, 1);
}
END_TEST

/* Frames to send are in the ring until the flush: any number, one doorbell. */
START_TEST(one_doorbell)
{
    struct net_addr to;
    uint64_t before;
    uint8_t data[200] = {0};

    introduce();
    ck_assert(net_parse("10.83.0.2", &to));
    before = nic.stats.doorbells;
    for (unsigned i = 0; i < 50; i++)
        ck_assert(net_send(&to, data, sizeof(data)));
    ck_assert_uint_eq(outs, 0);
    e1000_tx_flush(&nic);
    ck_assert_uint_eq(outs, 50);
    ck_assert_uint_eq(nic.stats.doorbells, before + 1);
    /* More than the ring holds: what is queued goes first. */
    outs = 0;
    for (unsigned i = 0; i < 600; i++)
        ck_assert(net_send(&to, data, sizeof(data)));
    e1000_tx_flush(&nic);
    ck_assert_uint_eq(outs, 600);
}
END_TEST

START_TEST(ipv6)
{
    uint8_t f[1600];
    struct net_addr to;

    outs = 0;
    solicit(f);
    in(f, IP6 + 32);
    ck_assert_uint_eq(outs, 1);
    ck_assert_uint_eq(out[0][IP6], 136);
    ck_assert_mem_eq(out[0] + IP6 + 8, us6, 16);
    ck_assert_uint_eq(upper(out[0] + ETH + 8, 32, 58, out[0] + IP6, 32), 0);

    outs = 0;
    ip6(f, 58, 108); /* echo request */
    memset(f + IP6, 0, 8);
    f[IP6] = 128;
    pattern(f + IP6 + 8, 100);
    put16(f + IP6 + 2, upper(f + ETH + 8, 32, 58, f + IP6, 108));
    in(f, IP6 + 108);
    ck_assert_uint_eq(outs, 1);
    ck_assert_uint_eq(out[0][IP6], 129);
    ck_assert_mem_eq(out[0] + IP6 + 8, f + IP6 + 8, 100);

    outs = 0;
    ip6(f, 17, 308); /* UDP echo */
    udp(f + IP6, 308, 5555, 7);
    pattern(f + IP6 + 8, 300);
    put16(f + IP6 + 6, upper(f + ETH + 8, 32, 17, f + IP6, 308));
    in(f, IP6 + 308);
    ck_assert_uint_eq(outs, 1);
    ck_assert_uint_eq(get16(out[0] + IP6 + 2), 5555);
    ck_assert_mem_eq(out[0] + IP6 + 8, f + IP6 + 8, 300);

    outs = 0;
    ck_assert(net_parse("fd00::2", &to));
    ck_assert(net_send(&to, f, 99));
    round_of();
    ck_assert_uint_eq(outs, 1);
    ck_assert_mem_eq(out[0] + ETH + 24, them6, 16);
    ck_assert_uint_eq(get16(out[0] + IP6 + 2), PORT);
}
END_TEST

static uint32_t rnd(void)
{
    static uint32_t s = 12345;

    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    return s;
}

/* A frame of any of the kinds above, then bytes of it changed. */
static size_t hostile(uint8_t *f)
{
    size_t len = 60 + rnd() % 1455;

    for (size_t i = 0; i < len; i++)
        f[i] = (uint8_t)rnd();
    switch (rnd() % 6) {
    case 0:
        arp(f, 1 + rnd() % 2, us4);
        memcpy(f + 28, f + 200, rnd() % 5);
        break;
    case 1:
        udp4_frame(f, len - IP4 - 8, PORT, rnd() % 2 ? PORT : 7);
        break;
    case 2: /* fragments that overlap, never end, or begin nowhere */
        ip4(f, rnd() % 2 ? 17 : 1, len - IP4, rnd() % 40, rnd() % 8192 * 8, rnd() % 2);
        break;
    case 3:
        solicit(f);
        break;
    case 4: /* a chain of extension headers, fragments among them */
        ip6(f, (unsigned[]){0, 43, 44, 60, 58, 17}[rnd() % 6], len - IP6);
        f[IP6] = (uint8_t)(unsigned[]){0, 43, 44, 60, 58, 59}[rnd() % 6];
        f[IP6 + 1] = (uint8_t)(rnd() % 4);
        break;
    default:
        ip4(f, 1, len - IP4, 0, 0, false);
        break;
    }
    for (unsigned i = rnd() % 4; i > 0; i--)
        f[12 + rnd() % (len - 12)] = (uint8_t)rnd();
    if (rnd() % 8 == 0)
        len = 14 + rnd() % (len - 13);
    return len;
}

START_TEST(flood)
{
    static uint8_t f[1600];

    memset(f, 0, sizeof(f));
    for (unsigned i = 0; i < 150000; i++) {
        size_t len = hostile(f);

        netdev_receive(n, f, len);
        if (rnd() % 16 == 0) {
            now += rnd() % 20 * MS;
            round_of();
        }
        outs = 0;
    }
    round_of();
    pass(20000); /* what waits for the rest of it is given up */
    introduce();
    ping(1000);
    ping(7000);
    ck_assert_uint_gt(net_dropped(), 1000);
}
END_TEST

/* The next deadline is when a timer is due, and running it there moves it on. */
START_TEST(deadlines)
{
    uint64_t at;

    for (unsigned i = 0; i < 1000; i++) {
        at = net_deadline();
        ck_assert_uint_ne(at, NET_NEVER);
        ck_assert_uint_le(at, now + 1100 * MS);
        now = at > now ? at : now + MS;
        net_time(now);
        net_timers();
    }
    ck_assert_uint_gt(now, 100 * 1000 * MS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bridge_net");
    TCase *t = tcase_create("bridge_net");
    SRunner *r;
    int failed;

    /* lwIP cannot be started twice in a process: every test has its own. */
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, answers_arp);
    tcase_add_test(t, answers_ping);
    tcase_add_test(t, answers_ping_in_pieces);
    tcase_add_test(t, udp_echo);
    tcase_add_test(t, datagrams_in);
    tcase_add_test(t, datagrams_out);
    tcase_add_test(t, one_doorbell);
    tcase_add_test(t, ipv6);
    tcase_add_test(t, flood);
    tcase_add_test(t, deadlines);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_set_fork_status(r, CK_FORK);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
