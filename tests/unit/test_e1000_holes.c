/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev */
/*
 * The published holes of other e1000 models (e1000.md), one test each, by number.  All of them run
 * against exact allocations under ASan; the bounds of work are counted, not timed.
 */
#include "e1000_fixture.h"

#define TCP4 OFFSETS(14, 24, 33, 34, 50, 0)

/* Sends what the ring holds up to descriptor `tail`, and says how many frames that were. */
static unsigned go(unsigned tail)
{
    unsigned before = sent;

    wr(E_TDT, tail % DESCS);
    return sent - before;
}

START_TEST(hole_01)
{
    static const uint32_t len[] = {1522, 1523, 16384, 16385, 65535};

    for (unsigned mode = 0; mode < 8; mode++)
        for (unsigned i = 0; i < 5; i++) {
            bool lpe = mode & 1, sbp = mode & 2;
            bool fits = sbp || len[i] <= 1522 || (lpe && len[i] <= 16384);
            uint32_t buf = mode & 4 ? 16384 : 2048;
            enum netdev_rx got;

            rings();
            memset(ram + 0x20000, 0xEE, 8);
            for (unsigned d = 0; d < DESCS; d++)
                put(RX_RING + 16 * d, 0x20000 + d * 0x4000);
            wr(E_RCTL, RCTL_EN | (lpe ? RCTL_LPE : 0) | (sbp ? RCTL_SBP : 0) |
                           (mode & 4 ? RCTL_BSEX | 1u << 16 : 0));
            got = netdev_receive(n, frame(len[i]), len[i]);
            if (!fits) {
                ck_assert_int_eq(got, NETDEV_RX_OVERSIZE);
                ck_assert_uint_eq(get(0x20000), 0xEEEEEEEEEEEEEEEEull);
                ck_assert_uint_eq(rd(E_ROC), 1);
            } else {
                bool room = len[i] + 4 <= 7 * buf;

                ck_assert_int_eq(got, room ? NETDEV_RX_OK : NETDEV_RX_NO_BUFFER);
            }
        }
    ck_assert_int_eq(netdev_receive(n, frame(65535), 65536), NETDEV_RX_OVERSIZE);
}
END_TEST

START_TEST(hole_02)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        rings();
        context(0, bits & 4 ? TCP4 : 0, bits & 8 ? 100 : 0, TSE | CMD(3), bits & 1 ? 54 : 0,
                bits & 2 ? 50 : 0);
        tx_desc(1, TX_BUF(0), DATA | TSE | EOP | RS | 154 | POPTS(3));
        dma_calls = 0;
        ck_assert_uint_le(go(2), 2);
        ck_assert_uint_le(dma_calls, 8);
        ck_assert_uint_eq(rd(E_TDH), 2);
    }
    ck_assert_uint_gt(netdev_stats(n)->bad_offload, 0);
}
END_TEST

START_TEST(hole_03)
{
    tx_desc(0, TX_BUF(0), EOP | RS | 60);
    wr(E_TDH, 0xFFFF);
    dma_calls = 0;
    ck_assert_uint_eq(go(3), 0);
    wr(E_TDH, 0);
    wr(E_TDT, 0xFFFF);
    ck_assert(!netdev_poll(n));
    ck_assert_uint_eq(sent, 0);
    ck_assert_uint_eq(dma_calls, 0);
    ck_assert_uint_ge(netdev_stats(n)->tx_bad_ring, 2);
}
END_TEST

START_TEST(hole_04)
{
    wr(E_RDH, 0xFFFF);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_BAD_RING);
    wr(E_RDH, 0);
    wr(E_RDT, 8);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_BAD_RING);
    wr(E_RDT, 3);
    wr(E_RDLEN, 0);
    wr(E_TDLEN, 0);
    dma_calls = 0;
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_BAD_RING);
    ck_assert(!netdev_can_receive(n));
    ck_assert_uint_eq(go(5), 0);
    ck_assert_uint_eq(dma_calls, 0);
}
END_TEST

START_TEST(hole_05)
{
    for (unsigned i = 0; i < DESCS; i++)
        put(RX_RING + 16 * i, 0);
    dma_calls = 0;
    ck_assert_int_eq(netdev_receive(n, frame(1000), 1000), NETDEV_RX_NO_BUFFER);
    ck_assert_uint_le(dma_calls, 3 * DESCS);
    ck_assert_uint_eq(rd(E_RDH), DESCS - 1);
    ck_assert_uint_eq(rd(E_MPC), 1);
    ck_assert(rd(E_ICR) & ICR_RXO);
    ck_assert(ram[RX_RING + 12] & RXD_DD);
}
END_TEST

START_TEST(hole_06)
{
    cfg_write(0x10, BAR);
    memset(ram + BAR, 0x55, 0x4000);
    tx_desc(0, BAR + E_TDT, EOP | RS | 60);
    ck_assert_uint_eq(go(1), 0);
    ck_assert_uint_eq(netdev_stats(n)->dma_errors, 1);
    put(RX_RING, BAR);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OK);
    ck_assert_uint_eq(ram[BAR], 0x55);
    ck_assert(cfg_read(4) & 0x20000000);
}
END_TEST

START_TEST(hole_07)
{
    static const uint64_t kinds[] = {0, DATA, DATA | TSE, DEXT | 5u << 20, VLE, IC, DATA | VLE};

    wr(E_CTRL, CTRL_VME | CTRL_SLU);
    for (unsigned a = 0; a < 7; a++)
        for (unsigned b = 0; b < 7; b++)
            for (unsigned len = 0; len < 16; len++) {
                rings();
                tx_desc(0, TX_BUF(0), kinds[a] | len);
                tx_desc(1, TX_BUF(1), kinds[b]);
                tx_desc(2, TX_BUF(2), kinds[a] | EOP | RS | POPTS(3));
                ck_assert_uint_le(go(3), 1);
                ck_assert_uint_eq(rd(E_TDH), 3);
            }
}
END_TEST

static void again(void)
{
    wr(E_TDT, (rd(E_TDT) + 1) % DESCS);
}

START_TEST(hole_08)
{
    context(0, TCP4, 1000, TSE | CMD(3), 54, 10);
    tx_desc(1, TX_BUF(0), DATA | TSE | 64 | POPTS(3));
    tx_desc(2, TX_BUF(0), DATA | TSE | 0);
    tx_desc(3, TX_BUF(0), DATA | TSE | 64);
    tx_desc(4, TX_BUF(0), DATA | TSE | EOP | RS | 1);
    ck_assert_uint_eq(go(5), 8); /* 10 + 64 + 1 bytes by 10 */

    /* A transmitter that rings the bell again: nothing twice, and no more than a lap. */
    rings();
    for (unsigned i = 0; i < DESCS; i++)
        tx_desc(i, TX_BUF(0), EOP | 60);
    on_send = again;
    sent = 0;
    go(1);
    ck_assert_uint_eq(sent, DESCS);
    ck_assert_uint_eq(kicks, 1);
}
END_TEST

START_TEST(hole_09)
{
    wr(E_MDIC, MDIC_WRITE | 1u << 21 | BMCR_LOOPBACK);
    wr(E_RDBAL, TX_RING);
    wr(E_RCTL, RCTL_EN | RCTL_UPE);
    for (unsigned i = 0; i < DESCS; i++)
        tx_desc(i, TX_RING, EOP | RS | 128);
    dma_calls = 0;
    go(DESCS - 1);
    ck_assert_uint_eq(sent, 0);
    ck_assert_uint_ge(netdev_stats(n)->tx_looped, 1);
    ck_assert_uint_le(dma_calls, 16 * DESCS);
}
END_TEST

static void reset_now(void)
{
    wr(E_CTRL, CTRL_RST);
}

START_TEST(hole_10)
{
    /* Both rings in the device's own window: refused before anything is decoded. */
    cfg_write(0x10, BAR);
    wr(E_TDBAL, BAR + E_TDBAL);
    wr(E_RDBAL, BAR + E_RDBAL);
    ck_assert_uint_eq(go(3), 0);
    ck_assert_uint_eq(rd(E_TDH), 0);
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_BAD_RING);
    ck_assert_uint_eq(netdev_stats(n)->dma_errors, 2);
    /* A reset out of the middle of a segmented packet ends it. */
    rings();
    context(0, TCP4, 1000, TSE | CMD(3), 54, 10);
    tx_desc(1, TX_BUF(0), DATA | TSE | EOP | RS | 1054);
    on_send = reset_now;
    ck_assert_uint_eq(go(2), 1);
    ck_assert_uint_eq(rd(E_TDH), 0);
    ck_assert_uint_eq(rd(E_GPTC), 0);
}
END_TEST

START_TEST(hole_11)
{
    static const unsigned len[] = {0, 1, 13, 14, 59};

    for (unsigned loop = 0; loop < 3; loop++)
        for (unsigned i = 0; i < 5; i++) {
            uint8_t *exact = malloc(len[i] ? len[i] : 1);

            memcpy(exact, frame(60), len[i]);
            rings();
            memset(ram + RX_BUF(0), 0xEE, 0x800);
            wr(E_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_SECRC | (loop == 1 ? 1u << 6 : 0));
            wr(E_MDIC, MDIC_WRITE | 1u << 21 | (loop == 2 ? BMCR_LOOPBACK : 0));
            if (loop) {
                memcpy(ram + TX_BUF(0), exact, len[i]);
                tx_desc(0, TX_BUF(0), EOP | len[i]);
                go(1);
            } else {
                netdev_receive(n, exact, len[i]);
            }
            free(exact);
            if (loop && len[i] == 0)
                continue; /* nothing to loop */
            ck_assert_uint_eq(get(RX_RING + 8) & 0xFFFF, 60);
            ck_assert_uint_eq(ram[RX_BUF(0) + len[i]], 0);
            ck_assert_uint_eq(ram[RX_BUF(0) + 59], 0);
            ck_assert_uint_eq(ram[RX_BUF(0) + 60], 0xEE);
        }
}
END_TEST

START_TEST(hole_12)
{
    static const unsigned hdr[] = {240, 241, 255, 54}, mss[] = {65535, 65281, 65477, 16234};

    for (unsigned h = 0; h < 4; h++)
        for (unsigned m = 0; m < 4; m++) {
            rings();
            context(0, TCP4, 0xFFFFF, TSE | CMD(3), hdr[h], mss[m]);
            for (unsigned i = 1; i < 7; i++)
                tx_desc(i, 0x1000, DATA | TSE | (i == 6 ? EOP : 0) | 0xF0000 | POPTS(3));
            dma_calls = 0;
            go(7);
            /* Five of them are a doorbell's worth. */
            if (rd(E_TDH) != 7)
                ck_assert(!netdev_poll(n));
            ck_assert_uint_le(dma_calls, 6 * (0xF0000 / 16234 + 2) + 10);
            ck_assert_uint_eq(rd(E_TDH), 7);
        }
}
END_TEST

START_TEST(hole_13)
{
    context(0, TCP4, 3000, TSE | CMD(3), 54, 1400);
    tx_desc(1, TX_BUF(0), DATA | TSE | 1000 | POPTS(3));
    context(2, TCP4, 100, TSE | CMD(3), 54, 10);
    tx_desc(3, TX_BUF(1), DATA | TSE | 1000);
    tx_desc(4, TX_BUF(2), DATA | TSE | EOP | 54);
    ck_assert_uint_eq(go(5), 2);
    ck_assert_uint_eq(out_len[0], 1454);
    ck_assert_uint_eq(out_len[1], 54 + 600);
}
END_TEST

START_TEST(hole_14)
{
    static const uint32_t len[] = {0xFFFE, 0xFFFF, 0x10000, 0x10001, 0x1FFFF, 0x7FFFF, 0xFFFFF};

    for (unsigned i = 0; i < 7; i++) {
        uint64_t before = netdev_stats(n)->tx_dropped;

        rings();
        tx_desc(0, 0x100, DATA | len[i]);
        tx_desc(1, 0x100, DATA | EOP | 2);
        ck_assert_uint_eq(go(2), 0); /* 65,536 at least */
        ck_assert_uint_eq(netdev_stats(n)->tx_dropped, before + 1);
    }
}
END_TEST

START_TEST(hole_15)
{
    /* Descriptors and rings across the end of memory and of the address space. */
    static const uint64_t at[] = {RAM - 1,    RAM - 59,   RAM,       ~0ull,
                                  ~0ull - 59, 1ull << 63, 0xFFFFFFFF};

    for (unsigned i = 0; i < 7; i++) {
        rings();
        tx_desc(0, at[i], EOP | RS | 60);
        ck_assert_uint_eq(go(1), 0);
        ck_assert(ram[TX_RING + 12] & 1);
        put(RX_RING, at[i]);
        ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OK);
        wr(E_RDBAL, (uint32_t)at[i]);
        wr(E_RDBAH, (uint32_t)(at[i] >> 32));
        wr(E_TDBAL, (uint32_t)at[i]);
        wr(E_TDBAH, (uint32_t)(at[i] >> 32));
        netdev_receive(n, frame(60), 60);
        go(2);
        wr(E_RDBAH, 0);
        wr(E_TDBAH, 0);
    }
    ck_assert_uint_ge(netdev_stats(n)->dma_errors, 14);
}
END_TEST

START_TEST(hole_16)
{
    for (unsigned hdr = 0; hdr < 54; hdr++) {
        rings();
        context(0, TCP4, 100, TSE | CMD(3), hdr, 50);
        tx_desc(1, TX_BUF(0), DATA | TSE | EOP | 154 | POPTS(3));
        ck_assert_uint_eq(go(2), 0);
    }
    ck_assert_uint_eq(netdev_stats(n)->bad_offload, 54);
    ck_assert_uint_eq(rd(E_TSCTFC), 54);
}
END_TEST

START_TEST(hole_17)
{
    static const uint64_t off[] = {OFFSETS(0, 255, 0, 0, 255, 0), OFFSETS(50, 10, 9, 59, 59, 3),
                                   OFFSETS(255, 0, 0, 255, 0, 0), OFFSETS(60, 58, 0, 60, 58, 0),
                                   OFFSETS(0, 59, 0xFFFF, 0, 59, 0xFFFF)};
    uint64_t bad;

    for (unsigned i = 0; i < 5; i++) {
        rings();
        bad = netdev_stats(n)->bad_offload;
        memset(ram + TX_BUF(0), 0x11, 60);
        context(0, off[i], 0, CMD(3), 0, 0);
        tx_desc(1, TX_BUF(0), DATA | EOP | 60 | POPTS(3));
        ck_assert_uint_eq(go(2), 1);
        ck_assert_uint_eq(out_len[sent - 1], 60);
        ck_assert_mem_eq(out[sent - 1], ram + TX_BUF(0), 60);
        ck_assert_uint_eq(netdev_stats(n)->bad_offload, bad + 2);
    }
}
END_TEST

START_TEST(hole_18)
{
    for (uint32_t at = 0; at < NETDEV_BAR0_SIZE + 16; at++)
        for (unsigned size = 0; size <= 9; size++) {
            netdev_mmio_write(n, at, size, at % 2 ? ~0ull : 0x5555555555555555ull);
            netdev_mmio_read(n, at, size);
        }
    for (uint32_t port = 0; port < 0x10000; port++)
        for (unsigned size = 1; size <= 4; size *= 2) {
            uint32_t v;

            netdev_port_write(n, (uint16_t)port, size, ~0u);
            netdev_port_read(n, (uint16_t)port, size, &v);
        }
    ck_assert_uint_gt(netdev_stats(n)->bad_access, 0);
    ck_assert_uint_gt(netdev_stats(n)->unknown_regs, 0);
    netdev_reset(n);
    cfg_write(4, 7);
    rings();
    ck_assert_int_eq(netdev_receive(n, frame(60), 60), NETDEV_RX_OK);
}
END_TEST

START_TEST(hole_19)
{
    context(0, OFFSETS(0, 0, 0, 0, 0, 0), 0, CMD(3), 0, 0);
    tx_desc(1, TX_BUF(0), DATA | EOP | RS | POPTS(3));
    tx_desc(2, TX_BUF(0), EOP | IC | RS);
    tx_desc(3, TX_BUF(0), DATA | EOP | 1 | POPTS(3));
    ck_assert_uint_eq(go(4), 1);
    ck_assert_uint_eq(out_len[0], 1);
    ck_assert_uint_eq(netdev_stats(n)->tx_dropped, 2);
    ck_assert_uint_eq(netdev_stats(n)->bad_offload, 2);
}
END_TEST

START_TEST(hole_20)
{
    wr(E_CTRL, CTRL_VME | CTRL_SLU);
    wr(E_TDLEN, 128 * 16);
    for (unsigned last = 1023; last <= 1024; last++) {
        wr(E_TDH, 0);
        wr(E_TDT, 0);
        for (unsigned i = 0; i < 64; i++) {
            put(TX_RING + 16 * i, TX_BUF(0));
            put(TX_RING + 16 * i + 8, VLE | (i == 63 ? EOP | last : 1024));
        }
        wr(E_TDT, 64);
        ck_assert_uint_eq(sent, 0);
        ck_assert_uint_eq(rd(E_TDH), 64);
    }
    ck_assert_uint_eq(netdev_stats(n)->tx_dropped, 2);
    /* The longest that fits, with its tag. */
    tx_desc(0, 0x100, VLE | DATA | 65531 | EOP);
    wr(E_TDH, 0);
    wr(E_TDT, 1);
    ck_assert_uint_eq(sent, 1);
    ck_assert_uint_eq(out_len[0], 65535);
}
END_TEST

START_TEST(hole_21)
{
    uint32_t before[0x1800], after;
    struct netdev *fresh = n;

    wr(E_CTRL, CTRL_RST);
    for (uint32_t i = 0; i < 0x1800; i++)
        before[i] = rd(4 * i);
    rings();
    context(0, TCP4, 1000, TSE | CMD(3), 54, 500);
    tx_desc(1, TX_BUF(0), DATA | TSE | 700 | POPTS(3));
    wr(E_IMS, ~0u);
    wr(E_MTA, 5);
    wr(E_VFTA + 8, 5);
    wr(E_RA, 0);
    go(2);
    netdev_receive(n, frame(60), 60);
    ck_assert(line);
    wr(E_CTRL, CTRL_RST);
    ck_assert(!line);
    for (uint32_t i = 0; i < 0x1800; i++) {
        after = rd(4 * i);
        ck_assert_msg(after == before[i], "%04x: %08x, was %08x", 4 * i, after, before[i]);
    }
    ck_assert_int_eq(netdev_receive(fresh, frame(60), 60), NETDEV_RX_OFF);
    /* The half packet is gone. */
    rings();
    tx_desc(0, TX_BUF(0), EOP | 60);
    sent = 0;
    ck_assert_uint_eq(go(1), 1);
    ck_assert_uint_eq(out_len[0], 60);
}
END_TEST

START_TEST(hole_22)
{
    uint32_t icr = 0, ims = 0, x = 12345;

    rd(E_ICR);
    wr(E_IMC, ~0u);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t v;

        x = x * 1664525 + 1013904223;
        v = 1u << (x >> 8) % 12 | 1u << (x >> 16) % 12;
        switch (x >> 28) {
        case 0:
        case 1:
            wr(E_ICS, v);
            icr |= v;
            break;
        case 2:
        case 3:
            wr(E_IMS, v);
            ims |= v;
            break;
        case 4:
        case 5:
            wr(E_IMC, v);
            ims &= ~v;
            break;
        case 6:
            ck_assert_uint_eq(rd(E_ICR), icr);
            icr = 0;
            break;
        case 7:
            wr(E_ICR, v);
            icr &= ~v;
            break;
        default:
            ck_assert_uint_eq(rd(E_ICS), icr);
            ck_assert_uint_eq(rd(E_IMS), ims);
        }
        ck_assert(line == ((icr & ims) != 0));
    }
    ck_assert_uint_gt(line_changes, 100);
}
END_TEST

static void fill(TCase *t)
{
    const TTest *const all[] = {
        hole_01, hole_02, hole_03, hole_04, hole_05, hole_06, hole_07, hole_08,
        hole_09, hole_10, hole_11, hole_12, hole_13, hole_14, hole_15, hole_16,
        hole_17, hole_18, hole_19, hole_20, hole_21, hole_22,
    };

    tcase_set_timeout(t, 120);
    for (unsigned i = 0; i < 22; i++)
        tcase_add_test(t, all[i]);
}

int main(void)
{
    return run_all(fill);
}
