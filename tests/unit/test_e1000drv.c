/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev guest/bridge/e1000drv.c guest/bridge/e1000ring.c */
/*
 * The bridge's driver against netdev's model: set-up, frames of all sizes, wrapping rings,
 * overload, resets under traffic; and against a device that lies.
 */
#include "e1000drv_fixture.h"

/* ---- tests ---- */

START_TEST(finds_it)
{
    uint64_t base, size;
    uint32_t command;

    for (unsigned slot = 0; slot < 32; slot++) {
        start(slot, false);
        ck_assert_mem_eq(drv.mac, our_mac, 6);
        ck_assert(drv.link);
        ck_assert(netdev_window(n, 0, &base, &size));
        ck_assert_uint_eq(base, E1000_BAR_HERE);
        port_out(NULL, 0xCF8, 0x80000004u | slot << 11);
        command = port_in(NULL, 0xCFC);
        ck_assert_uint_eq(command & 6, 6);
    }
}
END_TEST

START_TEST(keeps_the_firmwares_place)
{
    const char *why;
    uint64_t base, size;

    netdev_reset(n);
    port_out(NULL, 0xCF8, 0x80000010u | 3u << 11);
    port_out(NULL, 0xCFC, 0xE0100000u);
    ck_assert(e1000_open(&drv, &bus, ram + DMA_ADDR, DMA_ADDR, &why));
    ck_assert(netdev_window(n, 0, &base, &size));
    ck_assert_uint_eq(base, 0xE0100000u);
}
END_TEST

START_TEST(nothing_there)
{
    const char *why = NULL;

    teardown();
    ck_assert(!e1000_open(&drv, &bus, NULL, 0, &why));
    ck_assert_str_eq(why, "no 82540EM on PCI bus 0");
}
END_TEST

START_TEST(all_sizes_out)
{
    for (size_t len = 1; len <= E1000_FRAME; len++) {
        wires = 0;
        send(len, (uint32_t)len);
        ck_assert_uint_eq(wires, 0);
        e1000_tx_flush(&drv);
        ck_assert_uint_eq(wires, 1);
        want_sent(0, len, (uint32_t)len);
    }
    ck_assert_ptr_null(e1000_tx(&drv, 0));
    ck_assert_ptr_null(e1000_tx(&drv, E1000_FRAME + 1));
    ck_assert_ptr_null(e1000_tx(&drv, SIZE_MAX));
    ck_assert_uint_eq(drv.stats.tx_size, 3);
    ck_assert_uint_eq(drv.stats.tx_frames, E1000_FRAME);
}
END_TEST

START_TEST(all_sizes_in)
{
    size_t len;

    for (len = 6; len <= 1518; len++) {
        ck_assert(!e1000_rx_pending(&drv));
        ck_assert_int_eq(offer(len, (uint32_t)len), NETDEV_RX_OK);
        ck_assert(e1000_rx_pending(&drv));
        want_frame(len, (uint32_t)len);
        e1000_rx_refill(&drv);
    }
    /* With a second VLAN tag: taken by the device, but longer than what we understand. */
    ck_assert_int_eq(offer(1522, 0), NETDEV_RX_OK);
    ck_assert_ptr_null(e1000_rx(&drv, &len));
    ck_assert_uint_eq(drv.stats.rx_bad, 1);
    ck_assert_int_eq(offer(1523, 0), NETDEV_RX_OVERSIZE);
}
END_TEST

/* Batches of any size around both rings many times; one store to TDT per batch, few to RDT. */
START_TEST(wraps)
{
    uint32_t out = 0, in = 0, batches = 0;

    while (out < 20000) {
        unsigned batch = rnd() % E1000_TX_RING, lens[E1000_TX_RING];
        uint64_t before = accesses;

        wires = 0;
        for (unsigned i = 0; i < batch; i++)
            send(lens[i] = 1 + rnd() % E1000_FRAME, out + i);
        ck_assert_uint_eq(accesses, before);
        e1000_tx_flush(&drv);
        ck_assert_uint_le(accesses, before + 1);
        ck_assert_uint_eq(wires, batch);
        for (unsigned i = 0; i < batch; i++)
            want_sent(i, lens[i], out + i);
        out += batch;
        batches += batch > 0;

        batch = rnd() % 150;
        for (unsigned i = 0; i < batch; i++)
            ck_assert_int_eq(offer(lens[i] = 14 + rnd() % 1500, in + i), NETDEV_RX_OK);
        for (unsigned i = 0; i < batch; i++)
            want_frame(lens[i], in + i);
        ck_assert(!e1000_rx_pending(&drv));
        e1000_rx_refill(&drv);
        in += batch;
    }
    ck_assert_uint_eq(drv.stats.doorbells, batches);
    ck_assert_uint_le(drv.stats.refills, in / 64);
    ck_assert_uint_eq(drv.stats.rx_frames, in);
    ck_assert_uint_eq(drv.stats.rx_bad, 0);
}
END_TEST

/* A device that takes its time: the ring fills, the rest is refused and counted, nothing is lost.
 */
START_TEST(transmit_overload)
{
    start(3, true);
    for (unsigned round = 0; round < 5; round++) {
        wires = 0;
        ck_assert_uint_eq(e1000_tx_room(&drv), E1000_TX_RING - 1);
        for (unsigned i = 0; i < E1000_TX_RING - 1; i++)
            send(100, i);
        ck_assert_ptr_null(e1000_tx(&drv, 100));
        e1000_tx_flush(&drv);
        ck_assert_ptr_null(e1000_tx(&drv, 100));
        ck_assert_uint_eq(e1000_tx_room(&drv), 0);
        while (netdev_poll(n))
            ;
        for (unsigned i = 0; i < E1000_TX_RING - 1; i++)
            want_sent(i, 100, i);
    }
    ck_assert_uint_eq(drv.stats.tx_full, 10);
}
END_TEST

START_TEST(receive_overload)
{
    size_t len;

    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < E1000_RX_RING - 1; i++)
            ck_assert_int_eq(offer(80, i), NETDEV_RX_OK);
        ck_assert_int_eq(offer(80, 999), NETDEV_RX_NO_BUFFER);
        ck_assert(line);
        e1000_irq(&drv);
        ck_assert(!line);
        ck_assert_uint_eq(drv.stats.overruns, round + 1);
        for (unsigned i = 0; i < E1000_RX_RING - 1; i++)
            want_frame(80, i);
        ck_assert_ptr_null(e1000_rx(&drv, &len));
        e1000_rx_refill(&drv);
    }
}
END_TEST

START_TEST(interrupts)
{
    ck_assert(!line);
    e1000_irq(&drv);
    ck_assert_uint_eq(drv.stats.irqs, 0);
    offer(100, 1);
    ck_assert(line);
    e1000_irq(&drv);
    ck_assert(!line);
    want_frame(100, 1);
    send(100, 1); /* nobody waits for what is sent */
    e1000_tx_flush(&drv);
    ck_assert(!line);
    netdev_set_link(n, false);
    ck_assert(line);
    e1000_irq(&drv);
    ck_assert(!line && !drv.link);
    netdev_set_link(n, true);
    e1000_irq(&drv);
    ck_assert(drv.link);
    ck_assert_uint_eq(drv.stats.irqs, 3);
}
END_TEST

START_TEST(groups)
{
    static const uint8_t group[6] = {0x33, 0x33, 0xFF, 1, 2, 3};
    uint8_t f[60] = {0};

    memcpy(f, group, 6);
    ck_assert_int_eq(netdev_receive(n, f, 60), NETDEV_RX_FILTERED);
    e1000_multicast(&drv, group);
    ck_assert_int_eq(netdev_receive(n, f, 60), NETDEV_RX_OK);
    f[5] ^= 0x80;
    ck_assert_int_eq(netdev_receive(n, f, 60), NETDEV_RX_FILTERED);
    memcpy(f, group, 6);
    ck_assert(e1000_reset(&drv));
    ck_assert_int_eq(netdev_receive(n, f, 60), NETDEV_RX_OK);
    memset(f, 0xFF, 6);
    ck_assert_int_eq(netdev_receive(n, f, 60), NETDEV_RX_OK);
    memcpy(f, our_mac, 6);
    f[5]++;
    ck_assert_int_eq(netdev_receive(n, f, 60), NETDEV_RX_FILTERED);
}
END_TEST

/* Somebody resets the chip behind the driver's back, at any point: 2 s later all is well again. */
START_TEST(reset_under_traffic)
{
    uint64_t now = 1000000;

    for (unsigned round = 0; round < 50; round++, now += 10 * E1000_HANG_NS) {
        unsigned batch = 1 + rnd() % 200;

        ck_assert(!e1000_watch(&drv, now));
        for (unsigned i = rnd() % 200; i > 0; i--)
            offer(200, i);
        for (unsigned i = 0; i < batch; i++)
            send(100, i);
        netdev_mmio_write(n, E_CTRL, 4, CTRL_RST);
        e1000_tx_flush(&drv);
        ck_assert(!e1000_watch(&drv, now));
        ck_assert(!e1000_watch(&drv, now + E1000_HANG_NS - 1));
        ck_assert(e1000_watch(&drv, now + E1000_HANG_NS));
        ck_assert(!e1000_rx_pending(&drv));
        wires = 0;
        send(77, round);
        e1000_tx_flush(&drv);
        want_sent(0, 77, round);
        ck_assert_int_eq(offer(300, round), NETDEV_RX_OK);
        want_frame(300, round);
    }
}
END_TEST

/* A device that is merely idle is left alone. */
START_TEST(no_needless_reset)
{
    uint64_t resets = drv.stats.resets;

    for (uint64_t t = 1; t < 100; t++) {
        ck_assert(!e1000_watch(&drv, t * E1000_HANG_NS));
        if (t % 3 == 0) {
            wires = 0;
            send(60, 0);
            e1000_tx_flush(&drv);
        }
    }
    ck_assert_uint_eq(drv.stats.resets, resets);
}
END_TEST

/* Nobody looked for long, and a frame is on its way just now: that is no hang yet. */
START_TEST(no_reset_after_pause)
{
    uint64_t now = 1000000;

    ck_assert(!e1000_watch(&drv, now));
    netdev_mmio_write(n, E_TCTL, 4, 0);
    now += 10 * E1000_HANG_NS;
    send(60, 0);
    e1000_tx_flush(&drv);
    ck_assert(!e1000_watch(&drv, now));
    ck_assert(!e1000_watch(&drv, now + E1000_HANG_NS - 1));
    ck_assert(e1000_watch(&drv, now + E1000_HANG_NS));
}
END_TEST

/* The memory that the device may write holds anything at any time. */
START_TEST(garbage_in_descriptors)
{
    uint8_t *dma = ram + DMA_ADDR;
    size_t len;

    for (unsigned round = 0; round < 20000; round++) {
        const uint8_t *p;

        for (unsigned i = 0; i < 64; i++) {
            uint32_t at = rnd() % (16 * (E1000_RX_RING + E1000_TX_RING)) / 8 * 8;
            uint64_t v = (uint64_t)rnd() << 32 | rnd();

            /* Half of them look plausible. */
            if (rnd() % 2)
                v = (v & 0xFFFF) | (uint64_t)(rnd() % 4) << 32;
            memcpy(dma + at, &v, 8);
        }
        for (unsigned i = 0; i < 300 && (p = e1000_rx(&drv, &len)) != NULL; i++) {
            ck_assert_uint_ge(len, 14);
            ck_assert_uint_le(len, 1518);
            ck_assert(p >= dma && p + len <= dma + E1000_DMA_SIZE);
            e1000_rx_done(&drv);
        }
        e1000_rx_refill(&drv);
        if (e1000_tx(&drv, 1 + rnd() % E1000_FRAME))
            e1000_tx_flush(&drv);
        wires = 0;
        e1000_watch(&drv, round * 1000000ull);
    }
    ck_assert(e1000_reset(&drv));
    ck_assert_int_eq(offer(300, 1), NETDEV_RX_OK);
    want_frame(300, 1);
}
END_TEST

/* A frame in several descriptors is none of ours, and neither is its last piece. */
START_TEST(pieces)
{
    size_t len;

    netdev_mmio_write(n, E_RCTL, 4, RCTL_EN | RCTL_SECRC | 3u << RCTL_BSIZE_SHIFT);
    ck_assert_int_eq(offer(600, 1), NETDEV_RX_OK);
    ck_assert_int_eq(offer(100, 2), NETDEV_RX_OK);
    want_frame(100, 2);
    ck_assert_ptr_null(e1000_rx(&drv, &len));
    ck_assert_uint_eq(drv.stats.rx_bad, 3);
}
END_TEST

/* ---- a device that is none: registers read as a constant, or as noise ---- */

static uint32_t constant;

static uint32_t lie(void *arg, uint64_t addr)
{
    (void)addr;
    accesses++;
    return arg ? rnd() : constant;
}

static void ignore(void *arg, uint64_t addr, uint32_t value)
{
    (void)arg;
    (void)addr;
    (void)value;
    accesses++;
}

static uint32_t lie_port(void *arg, uint16_t port)
{
    accesses++;
    (void)port;
    return arg && rnd() % 3 ? rnd() : 0x100E8086u;
}

static void ignore_port(void *arg, uint16_t port, uint32_t value)
{
    ignore(arg, port, value);
}

START_TEST(liars)
{
    struct e1000_bus b = {lie_port, ignore_port, lie, ignore, delay, NULL};
    static const uint32_t constants[] = {0, ~0u, 1u << 26, 0x10};
    const char *why;

    for (unsigned i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        constant = constants[i];
        accesses = 0;
        ck_assert(!e1000_open(&drv, &b, ram + DMA_ADDR, DMA_ADDR, &why));
        ck_assert_uint_lt(accesses, 10000);
    }
    b.arg = &b;
    for (unsigned i = 0; i < 2000; i++) {
        accesses = 0;
        if (e1000_open(&drv, &b, ram + DMA_ADDR, DMA_ADDR, &why)) {
            e1000_irq(&drv);
            ck_assert_ptr_nonnull(e1000_tx(&drv, 100));
            e1000_tx_flush(&drv);
        }
        ck_assert_uint_lt(accesses, 10000);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("e1000drv");
    TCase *t = tcase_create("e1000drv");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, finds_it);
    tcase_add_test(t, keeps_the_firmwares_place);
    tcase_add_test(t, nothing_there);
    tcase_add_test(t, all_sizes_out);
    tcase_add_test(t, all_sizes_in);
    tcase_add_test(t, wraps);
    tcase_add_test(t, transmit_overload);
    tcase_add_test(t, receive_overload);
    tcase_add_test(t, interrupts);
    tcase_add_test(t, groups);
    tcase_add_test(t, reset_under_traffic);
    tcase_add_test(t, no_needless_reset);
    tcase_add_test(t, no_reset_after_pause);
    tcase_add_test(t, garbage_in_descriptors);
    tcase_add_test(t, pieces);
    tcase_add_test(t, liars);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
