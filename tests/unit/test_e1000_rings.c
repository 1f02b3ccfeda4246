/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev */
/*
 * Receive and transmit: rings, several buffers, FCS, filters, offloads against a reference of the
 * test's own, statistics, deferred work.
 */
#include "e1000_fixture.h"

/* ---- references: bit by bit, byte by byte ---- */

static uint32_t ref_crc(const uint8_t *p, size_t len)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < 8 * len; i++) {
        crc ^= p[i / 8] >> i % 8 & 1;
        crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

/* The ones' complement sum of bytes, as a receiver computes it: FFFFh for a good checksum. */
static uint32_t ref_sum(const uint8_t *p, size_t len, uint64_t start)
{
    for (size_t i = 0; i < len; i++)
        start += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return (uint32_t)(start % 0xFFFF ? start % 0xFFFF : 0xFFFF);
}

/* ---- receive ---- */

static uint64_t status_of(unsigned i)
{
    return get(RX_RING + 16 * i + 8);
}

START_TEST(receive_fcs)
{
    uint32_t crc = ref_crc(frame(100), 100), got;

    ck_assert_int_eq(netdev_receive(n, frame(100), 100), NETDEV_RX_OK);
    ck_assert_uint_eq(status_of(0) & ~0xFFFF0000ull,
                      (uint64_t)(RXD_DD | RXD_EOP | RXD_IXSM) << 32 | 104);
    ck_assert_uint_eq(status_of(0) >> 16 & 0xFFFF, ref_sum(frame(100), 100, 0));
    ck_assert_mem_eq(ram + RX_BUF(0), frame(100), 100);
    memcpy(&got, ram + RX_BUF(0) + 100, 4);
    ck_assert_uint_eq(got, crc);
    wr(E_RCTL, rd(E_RCTL) | RCTL_SECRC);
    ck_assert_int_eq(netdev_receive(n, frame(100), 100), NETDEV_RX_OK);
    ck_assert_uint_eq(status_of(1) & 0xFFFF, 100);
    ck_assert_uint_eq(ram[RX_BUF(1) + 100], 0);
    ck_assert_uint_eq(rd(E_RDH), 2);
}
END_TEST

START_TEST(receive_pieces)
{
    wr(E_RCTL, RCTL_EN | RCTL_SECRC | 3u << RCTL_BSIZE_SHIFT); /* 256 bytes */
    ck_assert_int_eq(netdev_receive(n, frame(600), 600), NETDEV_RX_OK);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(status_of(i) & 0xFFFF, i < 2 ? 256 : 88);
        ck_assert_uint_eq(status_of(i) >> 32 & 3, i < 2 ? RXD_DD : RXD_DD | RXD_EOP);
        ck_assert_mem_eq(ram + RX_BUF(i), frame(600) + 256 * i, i < 2 ? 256 : 88);
    }
    /* A null address is passed over, and written back. */
    rings();
    wr(E_RCTL, RCTL_EN | RCTL_SECRC);
    put(RX_RING, 0);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OK);
    ck_assert_uint_eq(status_of(0) >> 32 & 3, RXD_DD);
    ck_assert_uint_eq(status_of(1) >> 32 & 3, RXD_DD | RXD_EOP);
}
END_TEST

START_TEST(receive_wraps_and_fills)
{
    for (unsigned i = 0; i < 7; i++)
        ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OK);
    ck_assert(!netdev_can_receive(n));
    rd(E_ICR);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_NO_BUFFER);
    ck_assert_uint_eq(rd(E_ICR), ICR_RXO);
    ck_assert_uint_eq(rd(E_RNBC), 1);
    ck_assert_uint_eq(rd(E_RNBC), 0);
    ready = 0;
    wr(E_RDT, 2);
    ck_assert_uint_eq(ready, 1);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OK);
    ck_assert_uint_eq(rd(E_RDH), 2);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_NO_BUFFER);
}
END_TEST

START_TEST(receive_threshold)
{
    for (unsigned shift = 0; shift < 3; shift++) {
        rings();
        wr(E_RCTL, RCTL_EN | shift << RCTL_RDMTS_SHIFT);
        rd(E_ICR);
        for (unsigned left = 6; left > 0; left--) {
            netdev_receive(n, frame(60), 60);
            ck_assert_uint_eq(rd(E_ICR), ICR_RXT0 | (left * 2 <= DESCS >> shift ? ICR_RXDMT0 : 0));
        }
    }
}
END_TEST

START_TEST(receive_switches)
{
    cfg_write(4, 3);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OFF);
    ready = 0;
    cfg_write(4, 7);
    ck_assert_uint_eq(ready, 1);
    netdev_set_link(n, false);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OFF);
    ck_assert(!(rd(E_STATUS) & STATUS_LU));
    netdev_set_link(n, true);
    ck_assert(rd(E_ICR) & ICR_LSC);
    wr(E_RCTL, 0);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OFF);
}
END_TEST

static enum netdev_rx to(uint8_t a, uint8_t e, uint8_t f, uint32_t rctl)
{
    uint8_t *p = frame(60);

    memset(p, a, 6);
    p[4] = e;
    p[5] = f;
    rings();
    wr(E_RCTL, RCTL_EN | rctl);
    return netdev_receive(n, p, 60);
}

START_TEST(filters)
{
    ck_assert_int_eq(to(0xFF, 0xFF, 0xFF, 0), NETDEV_RX_FILTERED);
    ck_assert_int_eq(to(0xFF, 0xFF, 0xFF, RCTL_BAM), NETDEV_RX_OK);
    ck_assert_int_eq(to(0x02, 1, 2, RCTL_BAM | RCTL_MPE), NETDEV_RX_FILTERED);
    ck_assert_int_eq(to(0x02, 1, 2, RCTL_UPE), NETDEV_RX_OK);
    ck_assert_int_eq(to(0x03, 1, 2, RCTL_UPE), NETDEV_RX_FILTERED);
    ck_assert_int_eq(to(0x03, 1, 2, RCTL_MPE), NETDEV_RX_OK);
    for (unsigned mo = 0; mo < 4; mo++) {
        static const unsigned shift[] = {4, 3, 2, 0};
        unsigned hash = 0xB5A1u >> shift[mo] & 0xFFF;

        wr(E_MTA + hash / 32 * 4, 1u << hash % 32);
        ck_assert_int_eq(to(0x03, 0xA1, 0xB5, mo << RCTL_MO_SHIFT), NETDEV_RX_OK);
        wr(E_MTA + hash / 32 * 4, ~(1u << hash % 32));
        ck_assert_int_eq(to(0x03, 0xA1, 0xB5, mo << RCTL_MO_SHIFT), NETDEV_RX_FILTERED);
        wr(E_MTA + hash / 32 * 4, 0);
    }
    /* The sixteenth address, valid or not. */
    wr(E_RA + 15 * 8, 0x02020202);
    wr(E_RA + 15 * 8 + 4, 0x0201);
    ck_assert_int_eq(to(0x02, 1, 2, 0), NETDEV_RX_FILTERED);
    wr(E_RA + 15 * 8 + 4, RAH_AV | 0x0201);
    ck_assert_int_eq(to(0x02, 1, 2, 0), NETDEV_RX_OK);
    ck_assert_uint_eq(rd(E_BPRC), 1);
    ck_assert_uint_eq(rd(E_MPRC), 5);
}
END_TEST

START_TEST(vlan)
{
    uint8_t *f = frame(64);

    f[12] = 0x81;
    f[13] = 0;
    f[14] = 0x61;
    f[15] = 0x23;
    wr(E_RCTL, RCTL_EN | RCTL_VFE | RCTL_SECRC);
    ck_assert_int_eq(netdev_receive(n, f, 64), NETDEV_RX_FILTERED);
    wr(E_VFTA + 0x123 / 32 * 4, 1u << 0x123 % 32);
    ck_assert_int_eq(netdev_receive(n, f, 64), NETDEV_RX_OK);
    ck_assert_uint_eq(status_of(0) & 0xFFFF, 64);
    wr(E_CTRL, CTRL_VME | CTRL_SLU);
    ck_assert_int_eq(netdev_receive(n, f, 64), NETDEV_RX_OK);
    ck_assert_uint_eq(status_of(1) & 0xFFFF, 60);
    ck_assert_uint_eq(status_of(1) >> 48, 0x6123);
    ck_assert(status_of(1) >> 32 & RXD_VP);
    ck_assert_mem_eq(ram + RX_BUF(1) + 12, f + 16, 48);
    /* And out again: the tag is inserted. */
    memcpy(ram + TX_BUF(0), ram + RX_BUF(1), 60);
    tx_desc(0, TX_BUF(0), EOP | VLE | 60 | 0x6123ull << 48);
    wr(E_TDT, 1);
    ck_assert_uint_eq(out_len[0], 64);
    ck_assert_mem_eq(out[0], f, 64);
}
END_TEST

/* ---- transmit ---- */

START_TEST(transmit_legacy)
{
    memcpy(ram + TX_BUF(0), frame(200), 200);
    tx_desc(0, TX_BUF(0), 100);
    tx_desc(1, TX_BUF(0) + 100, EOP | RS | 100);
    wr(E_IMS, ICR_TXDW);
    wr(E_TDT, 2);
    ck_assert_uint_eq(sent, 1);
    ck_assert_uint_eq(out_len[0], 200);
    ck_assert_mem_eq(out[0], frame(200), 200);
    ck_assert_uint_eq(ram[TX_RING + 12], 0);
    ck_assert_uint_eq(ram[TX_RING + 28], TXD_DD);
    ck_assert(line);
    ck_assert_uint_eq(rd(E_ICR), ICR_TXDW | ICR_TXQE);
    ck_assert(!line);
    /* Legacy checksum; padding when asked for. */
    memset(ram + TX_BUF(1), 0, 20);
    memset(ram + TX_BUF(1) + 14, 0x12, 6);
    wr(E_TCTL, TCTL_EN | TCTL_PSP);
    tx_desc(2, TX_BUF(1), EOP | IC | 20 | 10u << 16 | 14ull << 40);
    wr(E_TDT, 3);
    ck_assert_uint_eq(out_len[1], 60);
    ck_assert_uint_eq(be16(out[1] + 10), (~(3 * 0x1212u)) & 0xFFFF);
}
END_TEST

START_TEST(transmit_wraps)
{
    for (unsigned i = 0; i < 50; i++) {
        tx_desc(i, TX_BUF(0), EOP | RS | (60 + i));
        wr(E_TDT, (i + 1) % DESCS);
        ck_assert_uint_eq(sent, i + 1);
        ck_assert_uint_eq(out_len[i], 60 + i);
    }
    wr(E_TCTL, 0);
    wr(E_TDT, 5);
    ck_assert_uint_eq(sent, 50);
    wr(E_TCTL, TCTL_EN);
    ck_assert_uint_eq(sent, 53);
    ck_assert_uint_eq(rd(E_GPTC), 53);
}
END_TEST

START_TEST(transmit_deferred)
{
    start((struct netdev_config){.defer_tx = true});
    for (unsigned i = 0; i < 5; i++)
        tx_desc(i, TX_BUF(0), EOP | 60);
    wr(E_TDT, 2);
    wr(E_TDT, 5);
    ck_assert_uint_eq(sent, 0);
    ck_assert_uint_eq(kicks, 2);
    ck_assert(!netdev_poll(n));
    ck_assert_uint_eq(sent, 5);
    ck_assert(!netdev_poll(n));
    ck_assert_uint_eq(netdev_stats(n)->polls, 1);
}
END_TEST

/* Ethernet, IPv4 or IPv6, TCP or UDP, `payload` bytes; as a driver prepares it for segmentation. */
static uint32_t build(uint8_t *p, bool v4, bool tcp, uint32_t payload)
{
    uint32_t l4 = 14 + (v4 ? 20 : 40), hdr = l4 + (tcp ? 20 : 8);
    uint32_t sum;

    memcpy(p, frame(hdr + payload), hdr + payload);
    p[12] = v4 ? 0x08 : 0x86;
    p[13] = v4 ? 0x00 : 0xDD;
    p[14] = v4 ? 0x45 : 0x60;
    if (v4) {
        memset(p + 24, 0, 2);
        p[23] = tcp ? 6 : 17;
    } else {
        p[20] = tcp ? 6 : 17;
    }
    if (tcp) {
        p[l4 + 12] = 0x50;
        p[l4 + 13] = 0x19; /* FIN PSH ACK */
    }
    sum = ref_sum(p + l4 - (v4 ? 8 : 32), v4 ? 8 : 32, tcp ? 6 : 17);
    p[l4 + (tcp ? 16 : 6)] = (uint8_t)(sum >> 8);
    p[l4 + (tcp ? 17 : 7)] = (uint8_t)sum;
    return hdr;
}

static void check_segment(const uint8_t *p, size_t len, const uint8_t *orig, bool v4, bool tcp,
                          unsigned number, unsigned mss, bool last)
{
    uint32_t l4 = 14 + (v4 ? 20 : 40), hdr = l4 + (tcp ? 20 : 8);
    uint32_t l4_len = (uint32_t)len - l4;
    const uint8_t *addr = p + l4 - (v4 ? 8 : 32);

    ck_assert_mem_eq(p, orig, 14);
    ck_assert_mem_eq(addr, orig + (addr - p), v4 ? 8 : 32);
    if (v4) {
        ck_assert_uint_eq(be16(p + 16), len - 14);
        ck_assert_uint_eq(be16(p + 18), (be16(orig + 18) + number) & 0xFFFF);
        ck_assert_uint_eq(ref_sum(p + 14, 20, 0), 0xFFFF);
    } else {
        ck_assert_uint_eq(be16(p + 18), l4_len);
    }
    ck_assert_uint_eq(
        ref_sum(p + l4, l4_len, ref_sum(addr, v4 ? 8 : 32, 0) + (tcp ? 6 : 17) + l4_len), 0xFFFF);
    if (tcp) {
        ck_assert_uint_eq(be32(p + l4 + 4), be32(orig + l4 + 4) + number * mss);
        ck_assert_uint_eq(p[l4 + 13], last ? 0x19 : 0x10);
    } else {
        ck_assert_uint_eq(be16(p + l4 + 4), l4_len);
    }
    ck_assert_mem_eq(p + hdr, orig + hdr + number * mss, len - hdr);
}

START_TEST(segmentation)
{
    static const uint32_t size[] = {1, 99, 100, 101, 200, 1000, 1001, 5000};
    uint8_t *orig = ram + 0x60000;

    for (unsigned k = 0; k < 4 * 8; k++) {
        bool v4 = k & 1, tcp = k & 2;
        uint32_t len = size[k / 4], mss = k % 3 ? 100 : 536, l4 = 14 + (v4 ? 20 : 40);
        uint32_t hdr = build(orig, v4, tcp, len), first = hdr + len / 3;
        unsigned frames = (len + mss - 1) / mss;

        rings();
        sent = 0;
        context(0, OFFSETS(14, 24, 33, l4, l4 + (tcp ? 16 : 6), 0), len,
                TSE | CMD((tcp ? 1 : 0) | (v4 ? 2 : 0)), hdr, mss);
        tx_desc(1, 0x60000, DATA | TSE | (hdr / 2) | POPTS(v4 ? 3 : 2));
        tx_desc(2, 0x60000 + hdr / 2, DATA | TSE | (first - hdr / 2));
        tx_desc(3, 0x60000 + first, DATA | TSE | EOP | RS | (hdr + len - first));
        wr(E_TDT, 4);
        ck_assert_uint_eq(sent, frames);
        for (unsigned i = 0; i < frames; i++) {
            ck_assert_uint_eq(out_len[i], hdr + (i + 1 < frames ? mss : len - i * mss));
            check_segment(out[i], out_len[i], orig, v4, tcp, i, mss, i + 1 == frames);
        }
    }
    ck_assert_uint_eq(rd(E_TSCTC), 32);
    ck_assert_uint_eq(netdev_stats(n)->bad_offload, 0);
}
END_TEST

START_TEST(checksum_only)
{
    uint8_t *p = ram + TX_BUF(0);
    uint32_t hdr = build(p, true, false, 101), sum;

    p[16] = 0;
    p[17] = (uint8_t)(hdr - 14 + 101);
    p[38] = 0;
    p[39] = 109;
    sum = ref_sum(p + 26, 8, 17 + 109);
    p[40] = (uint8_t)(sum >> 8);
    p[41] = (uint8_t)sum;
    context(0, OFFSETS(14, 24, 33, 34, 40, 0), 0, 0, 0, 0);
    tx_desc(1, TX_BUF(0), DATA | EOP | (hdr + 101) | POPTS(3));
    wr(E_TDT, 2);
    ck_assert_uint_eq(out_len[0], hdr + 101);
    ck_assert_uint_eq(ref_sum(out[0] + 14, 20, 0), 0xFFFF);
    ck_assert_uint_eq(ref_sum(out[0] + 34, 109, ref_sum(out[0] + 26, 8, 17 + 109)), 0xFFFF);
}
END_TEST

START_TEST(segments_bounded)
{
    context(0, OFFSETS(14, 24, 33, 34, 50, 0), 0xFFFFF, TSE | CMD(3), 54, 1);
    tx_desc(1, 0, DATA | TSE | EOP | 0xFFFFF);
    wr(E_TDT, 2);
    ck_assert_uint_eq(sent, 4096);
    ck_assert_uint_eq(netdev_stats(n)->tx_dropped, 1);
    ck_assert_uint_eq(rd(E_TDH), 2);
}
END_TEST

/* Segments of one byte: little is read, much is sent.  A doorbell is worth about 4 MiB of either.
 */
START_TEST(doorbell_bounded)
{
    uint64_t before;

    context(0, OFFSETS(14, 24, 33, 34, 50, 0), 0xFFFFF, TSE | CMD(3), 240, 1);
    for (unsigned i = 1; i < DESCS; i++)
        tx_desc(i, 0, DATA | TSE | EOP | (240 + 4096));
    kicks = 0;
    before = netdev_stats(n)->tx_bytes;
    wr(E_TDT, DESCS - 1);
    ck_assert_uint_le(netdev_stats(n)->tx_bytes - before, (4u << 20) + 4096 * 241);
    ck_assert_uint_eq(kicks, 1);
    ck_assert(netdev_poll(n) || rd(E_TDH) == DESCS - 1);
    ck_assert_uint_eq(rd(E_TDH), DESCS - 1);
}
END_TEST

START_TEST(statistics)
{
    static const uint32_t len[] = {60, 61, 123, 124, 251, 252, 507, 508, 1019, 1020, 1500};
    static const uint32_t want[] = {1, 2, 2, 2, 2, 2};

    wr(E_RCTL, RCTL_EN);
    for (unsigned i = 0; i < 11; i++) {
        netdev_receive(n, frame(len[i]), len[i]);
        wr(E_RDT, (rd(E_RDT) + 1) % DESCS);
        memcpy(ram + TX_BUF(0), frame(len[i]), len[i]);
        tx_desc(i, TX_BUF(0), EOP | len[i]);
        wr(E_TDT, (i + 1) % DESCS);
    }
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(rd(E_PRC64 + 4 * i), want[i]);
        ck_assert_uint_eq(rd(E_PTC64 + 4 * i), want[i]);
    }
    ck_assert_uint_eq(rd(E_GPRC), 11);
    ck_assert_uint_eq(rd(E_TPT), 11);
    ck_assert_uint_eq(rd(E_TOTL), rd(E_GORCL));
    ck_assert_uint_eq(rd(E_TORL),
                      60 + 61 + 123 + 124 + 251 + 252 + 507 + 508 + 1019 + 1020 + 1500 + 44);
    ck_assert_uint_eq(rd(E_TORL + 4), 0);
    ck_assert_uint_eq(rd(E_TORL), 0);
    wr(E_GPRC, 5);
    ck_assert_uint_eq(rd(E_GPRC), 0);
}
END_TEST

static void fill(TCase *t)
{
    tcase_add_test(t, receive_fcs);
    tcase_add_test(t, receive_pieces);
    tcase_add_test(t, receive_wraps_and_fills);
    tcase_add_test(t, receive_threshold);
    tcase_add_test(t, receive_switches);
    tcase_add_test(t, filters);
    tcase_add_test(t, vlan);
    tcase_add_test(t, transmit_legacy);
    tcase_add_test(t, transmit_wraps);
    tcase_add_test(t, transmit_deferred);
    tcase_add_test(t, segmentation);
    tcase_add_test(t, checksum_only);
    tcase_add_test(t, segments_bounded);
    tcase_add_test(t, doorbell_bounded);
    tcase_add_test(t, statistics);
}

int main(void)
{
    return run_all(fill);
}
