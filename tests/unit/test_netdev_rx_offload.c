/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev */
/*
 * Receive checksum offload against packets that are built, and summed up, byte by byte here; and
 * the EEPROM as a driver writes it.
 */
#include "e1000_fixture.h"

/* A packet to be built: what differs from case to case. */
struct shape {
    bool v6, udp, tag, strip;
    unsigned options, payload; /* bytes of IPv4 options */
    unsigned fragment;         /* the flags and offset word */
    unsigned next;             /* another protocol number */
};

static uint8_t pkt[2000];

static void put_be(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static unsigned ref_sum(const uint8_t *p, size_t len, unsigned start)
{
    unsigned long sum = start;

    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (unsigned)sum;
}

static size_t ip_at(const struct shape *s)
{
    return s->tag ? 18 : 14;
}

static size_t l4_at(const struct shape *s)
{
    return ip_at(s) + (s->v6 ? 40 : 20 + s->options);
}

/* A good packet; its length. */
static size_t build(const struct shape *s)
{
    unsigned head = s->udp ? 8 : 20, proto = s->udp ? 17 : 6, l4 = head + s->payload, sum;
    uint8_t *ip = pkt + ip_at(s), *t = pkt + l4_at(s);
    size_t len = l4_at(s) + l4;

    for (size_t i = 0; i < sizeof(pkt); i++)
        pkt[i] = (uint8_t)(i * 13 + 5);
    memcpy(pkt, our_mac, 6);
    if (s->tag)
        memcpy(pkt + 12, "\x81\0\0\x07", 4);
    put_be(ip - 2, s->v6 ? 0x86DD : 0x0800);
    if (s->v6) {
        memset(ip, 0, 8);
        ip[0] = 0x60;
        put_be(ip + 4, l4);
        ip[6] = (uint8_t)(s->next ? s->next : proto);
        ip[7] = 64;
        sum = ref_sum(ip + 8, 32, l4 + proto);
    } else {
        ip[0] = (uint8_t)(0x45 + s->options / 4);
        put_be(ip + 2, 20 + s->options + l4);
        put_be(ip + 6, s->fragment);
        ip[9] = (uint8_t)(s->next ? s->next : proto);
        put_be(ip + 10, 0);
        put_be(ip + 10, ~ref_sum(ip, 20 + s->options, 0) & 0xFFFF);
        sum = ref_sum(ip + 12, 8, l4 + proto);
    }
    if (s->udp)
        put_be(t + 4, l4);
    put_be(t + (s->udp ? 6 : 16), 0);
    sum = ~ref_sum(t, l4, sum) & 0xFFFF;
    put_be(t + (s->udp ? 6 : 16), sum ? sum : 0xFFFF);
    return len;
}

/* Status and errors without DD, EOP and VP: errors << 8 | status. */
static unsigned verdict(size_t len, bool strip)
{
    uint64_t d;

    rings();
    wr(E_RCTL, RCTL_EN | RCTL_SECRC);
    wr(E_CTRL, CTRL_SLU | (strip ? CTRL_VME : 0));
    ck_assert_int_eq(netdev_receive(n, pkt, len), NETDEV_RX_OK);
    d = get(RX_RING + 8);
    ck_assert_uint_eq(d >> 32 & (RXD_DD | RXD_EOP), RXD_DD | RXD_EOP);
    return (unsigned)(d >> 32) & 0xFFF4;
}

#define IP_BAD  (RXD_IPE << 8)
#define TCP_BAD (RXD_TCPE << 8)

static const struct shape shapes[] = {
    {.payload = 100},
    {.payload = 101},
    {.payload = 0},
    {.payload = 1400},
    {.udp = true, .payload = 33},
    {.options = 8, .payload = 50},
    {.options = 40, .payload = 3, .udp = true},
    {.tag = true, .payload = 60},
    {.tag = true, .strip = true, .payload = 61},
    {.v6 = true, .payload = 77},
    {.v6 = true, .udp = true, .payload = 12},
    {.v6 = true, .tag = true, .strip = true, .payload = 5},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

START_TEST(good_and_bad)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        size_t len = build(s);
        unsigned ip = s->v6 ? 0 : RXD_IPCS;

        wr(E_RXCSUM, 0);
        ck_assert_uint_eq(verdict(len, s->strip), RXD_IXSM);
        wr(E_RXCSUM, RXCSUM_IPOFL);
        ck_assert_uint_eq(verdict(len, s->strip), ip ? ip : RXD_IXSM);
        wr(E_RXCSUM, RXCSUM_TUOFL);
        ck_assert_uint_eq(verdict(len, s->strip), RXD_TCPCS);
        wr(E_RXCSUM, RXCSUM_TUOFL | RXCSUM_IPOFL);
        ck_assert_uint_eq(verdict(len, s->strip), RXD_TCPCS | ip);
        pkt[len - 1] ^= 1;
        ck_assert_uint_eq(verdict(len, s->strip), RXD_TCPCS | ip | (len > l4_at(s) ? TCP_BAD : 0));
        pkt[len - 1] ^= 1;
        if (!s->v6) {
            pkt[ip_at(s) + 8] ^= 1; /* TTL: not in the pseudo header */
            ck_assert_uint_eq(verdict(len, s->strip), RXD_TCPCS | ip | IP_BAD);
            pkt[ip_at(s) + 8] ^= 1;
        }
        pkt[ip_at(s) + (s->v6 ? 8 : 12)] ^= 0x40; /* an address */
        ck_assert_uint_eq(verdict(len, s->strip) & TCP_BAD, TCP_BAD);
    }
}
END_TEST

/* What is not checked says so, and no length in it is believed. */
START_TEST(unchecked)
{
    struct shape s = {.payload = 100};
    size_t len;

    wr(E_RXCSUM, RXCSUM_TUOFL | RXCSUM_IPOFL);
    for (unsigned f = 0; f < 3; f++) {
        s.fragment = f == 0 ? 0x2000 : f == 1 ? 0x0005 : 0x4000; /* more, offset, do not */
        len = build(&s);
        ck_assert_uint_eq(verdict(len, false), f == 2 ? RXD_IPCS | RXD_TCPCS : RXD_IPCS);
    }
    s.fragment = 0;
    s.next = 1;
    len = build(&s);
    ck_assert_uint_eq(verdict(len, false), RXD_IPCS);
    s.v6 = true;
    s.next = 43; /* a routing header */
    len = build(&s);
    ck_assert_uint_eq(verdict(len, false), RXD_IXSM);
    s = (struct shape){.udp = true, .payload = 9};
    len = build(&s);
    put_be(pkt + l4_at(&s) + 6, 0); /* UDP without a checksum */
    ck_assert_uint_eq(verdict(len, false), RXD_IPCS);
    len = build(&s);
    put_be(pkt + 12, 0x0806);
    ck_assert_uint_eq(verdict(len, false), RXD_IXSM);
}
END_TEST

START_TEST(lying_lengths)
{
    struct shape s = {.payload = 100};
    size_t len = build(&s);

    wr(E_RXCSUM, RXCSUM_TUOFL | RXCSUM_IPOFL);
    for (unsigned v = 0; v < 0x10000; v += 7) {
        uint8_t *exact = malloc(len);

        build(&s);
        put_be(pkt + 16, v);
        memcpy(exact, pkt, len);
        rings();
        netdev_receive(n, exact, len);
        ck_assert_uint_eq(get(RX_RING + 8) >> 32 & RXD_IXSM, v < 20 || v > len - 14 ? RXD_IXSM : 0);
        free(exact);
    }
    for (unsigned v = 0; v < 256; v++) {
        build(&s);
        pkt[14] = (uint8_t)v;
        ck_assert_uint_eq(verdict(len, false) == RXD_IXSM, v >> 4 != 4 || (v & 15) < 5);
    }
    s.udp = true;
    for (unsigned v = 0; v < 300; v++) {
        len = build(&s);
        put_be(pkt + l4_at(&s) + 4, v);
        ck_assert_uint_eq(verdict(len, false) & RXD_TCPCS, v >= 8 && v <= 108 ? RXD_TCPCS : 0);
    }
    s = (struct shape){.v6 = true, .payload = 100};
    for (unsigned v = 0; v < 200; v++) {
        len = build(&s);
        put_be(pkt + 18, v);
        ck_assert_uint_eq(verdict(len, false) & RXD_TCPCS, v >= 20 && v <= 120 ? RXD_TCPCS : 0);
    }
    /* Any length of frame, headers cut anywhere. */
    for (size_t cut = 0; cut < 120; cut++)
        for (unsigned i = 0; i < SHAPES; i++) {
            uint8_t *exact = malloc(cut ? cut : 1);

            build(&shapes[i]);
            memcpy(exact, pkt, cut);
            rings();
            netdev_receive(n, exact, cut);
            free(exact);
        }
}
END_TEST

/* The sum from PCSS on, in the last descriptor. */
START_TEST(packet_sum)
{
    struct shape s = {.payload = 500};
    size_t len = build(&s);

    for (unsigned pcss = 0; pcss < 256; pcss += 5) {
        wr(E_RXCSUM, pcss);
        verdict(len, false);
        ck_assert_uint_eq(get(RX_RING + 8) >> 16 & 0xFFFF, ref_sum(pkt + pcss, len - pcss, 0));
    }
    wr(E_RXCSUM, 255);
    verdict(60, false);
    ck_assert_uint_eq(get(RX_RING + 8) >> 16 & 0xFFFF, 0);
    wr(E_RXCSUM, 14);
    rings();
    wr(E_RCTL, RCTL_EN | RCTL_SECRC | 3u << RCTL_BSIZE_SHIFT);
    netdev_receive(n, pkt, len);
    ck_assert_uint_eq(get(RX_RING + 8) >> 16 & 0xFFFF, 0);
    ck_assert_uint_eq(get(RX_RING + 16 * 2 + 8) >> 16 & 0xFFFF, ref_sum(pkt + 14, len - 14, 0));
}
END_TEST

/* ---- EEPROM ---- */

static void clock_out(unsigned bits, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        uint32_t pins = EECD_REQ | EECD_CS | (bits >> i & 1 ? EECD_DI : 0);

        wr(E_EECD, pins);
        wr(E_EECD, pins | EECD_SK);
        wr(E_EECD, pins);
    }
}

static void instruction(unsigned op, unsigned address, unsigned word, unsigned more)
{
    wr(E_EECD, EECD_REQ);
    wr(E_EECD, EECD_REQ | EECD_CS);
    clock_out(4 | op, 3);
    clock_out(address, 6);
    clock_out(word, more);
    wr(E_EECD, EECD_REQ);
    /* A driver waits for this after a write. */
    wr(E_EECD, EECD_REQ | EECD_CS);
    ck_assert(rd(E_EECD) & EECD_DO);
    wr(E_EECD, 0);
}

static unsigned eerd(unsigned word)
{
    wr(E_EERD, word << 8 | EERD_START);
    return rd(E_EERD) >> 16;
}

START_TEST(eeprom_write)
{
    unsigned before = eerd(5);

    instruction(1, 5, 0x1234, 16);
    ck_assert_uint_eq(eerd(5), before); /* not enabled */
    instruction(0, 0x30, 0, 0);
    instruction(1, 5, 0x1234, 15);
    ck_assert_uint_eq(eerd(5), before); /* a bit is missing */
    instruction(1, 5, 0x1234, 17);
    ck_assert_uint_eq(eerd(5), before); /* one too many */
    instruction(1, 5, 0x1234, 16);
    ck_assert_uint_eq(eerd(5), 0x1234);
    instruction(3, 5, 0, 0);
    ck_assert_uint_eq(eerd(5), 0xFFFF);
    instruction(1, 0, 0xBBAA, 16);
    wr(E_CTRL, CTRL_RST);
    ck_assert_uint_eq(rd(E_RA), 0x1200BBAA);
    netdev_reset(n);
    ck_assert_uint_eq(rd(E_RA), 0x1200BBAA);
    ck_assert_uint_eq(eerd(5), 0xFFFF);
    instruction(1, 5, 1, 16); /* a reset does not enable */
    ck_assert_uint_eq(eerd(5), 0xFFFF);
    instruction(0, 0x30, 0, 0);
    instruction(0, 0x00, 0, 0);
    instruction(1, 5, 1, 16);
    ck_assert_uint_eq(eerd(5), 0xFFFF);
}
END_TEST

static void fill(TCase *t)
{
    tcase_set_timeout(t, 120);
    tcase_add_test(t, good_and_bad);
    tcase_add_test(t, unchecked);
    tcase_add_test(t, lying_lengths);
    tcase_add_test(t, packet_sum);
    tcase_add_test(t, eeprom_write);
}

int main(void)
{
    return run_all(fill);
}
