/* SPDX-License-Identifier: BSD-2-Clause */
/* The bridge's driver joined to netdev's model: ports, registers, memory, and the wire. */
#ifndef E1000DRV_FIXTURE_H
#define E1000DRV_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/bridge/e1000drv.h"
#include "../../netdev/e1000.h"
#include "../../netdev/netdev.h"

#define DMA_ADDR 0x40000u
#define RAM      (DMA_ADDR + E1000_DMA_SIZE) /* exact: ASan sees what goes beyond */

static struct netdev *n;
static struct e1000 drv;
static uint8_t *ram;
static bool line;
static uint64_t accesses;
static const uint8_t our_mac[6] = {0x52, 0x54, 0, 0x77, 0x88, 0x99};
static uint32_t rng = 1;

/* What the model transmitted since the last look. */
static uint8_t wire[300][1600];
static size_t wire_len[300];
static unsigned wires;

static inline uint32_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 17;
    rng ^= rng << 5;
    return rng;
}

/* ---- the model's side ---- */

static inline int dma_read(void *arg, uint64_t gpa, void *buf, size_t len)
{
    (void)arg;
    if (gpa > RAM || len > RAM - gpa)
        return -EFAULT;
    memcpy(buf, ram + gpa, len);
    return 0;
}

static inline int dma_write(void *arg, uint64_t gpa, const void *buf, size_t len)
{
    (void)arg;
    if (gpa > RAM || len > RAM - gpa)
        return -EFAULT;
    memcpy(ram + gpa, buf, len);
    return 0;
}

static inline void transmit(void *arg, const void *frame, size_t len)
{
    (void)arg;
    ck_assert_uint_lt(wires, 300);
    ck_assert_uint_le(len, sizeof(wire[0]));
    memcpy(wire[wires], frame, len);
    wire_len[wires++] = len;
}

static inline void irq(void *arg, bool level)
{
    (void)arg;
    line = level;
}

static const struct netdev_ops ops = {
    .dma_read = dma_read, .dma_write = dma_write, .transmit = transmit, .irq = irq};

/* ---- the driver's side ---- */

static inline uint32_t port_in(void *arg, uint16_t port)
{
    uint32_t v = ~0u;

    (void)arg;
    accesses++;
    if (n)
        netdev_port_read(n, port, 4, &v);
    return v;
}

static inline void port_out(void *arg, uint16_t port, uint32_t value)
{
    (void)arg;
    accesses++;
    if (n)
        netdev_port_write(n, port, 4, value);
}

/* Registers answer where the window is, and nowhere else. */
static inline uint32_t offset_of(uint64_t addr)
{
    uint64_t base, size;

    ck_assert(netdev_window(n, 0, &base, &size));
    ck_assert_uint_ge(addr, base);
    ck_assert_uint_lt(addr - base, size);
    return (uint32_t)(addr - base);
}

static inline uint32_t reg_read(void *arg, uint64_t addr)
{
    (void)arg;
    accesses++;
    return (uint32_t)netdev_mmio_read(n, offset_of(addr), 4);
}

static inline void reg_write(void *arg, uint64_t addr, uint32_t value)
{
    (void)arg;
    accesses++;
    netdev_mmio_write(n, offset_of(addr), 4, value);
}

static inline void delay(void *arg, uint64_t ns)
{
    (void)arg;
    (void)ns;
    accesses++;
}

static const struct e1000_bus bus = {.port_in = port_in,
                                     .port_out = port_out,
                                     .reg_read = reg_read,
                                     .reg_write = reg_write,
                                     .delay = delay};

static inline void start(unsigned slot, bool defer)
{
    struct netdev_config c = {.slot = (uint8_t)slot, .defer_tx = defer, .ops = &ops};
    const char *why = NULL;

    netdev_free(n);
    free(ram);
    ram = malloc(RAM);
    memset(ram, 0xA5, RAM);
    memcpy(c.mac, our_mac, 6);
    n = netdev_new(&c);
    ck_assert_ptr_nonnull(n);
    wires = 0;
    line = false;
    ck_assert_msg(e1000_open(&drv, &bus, ram + DMA_ADDR, DMA_ADDR, &why), "%s", why);
}

static inline void setup(void)
{
    start(3, false);
}

static inline void teardown(void)
{
    netdev_free(n);
    n = NULL;
    free(ram);
    ram = NULL;
}

static inline void fill(uint8_t *f, size_t len, uint32_t number)
{
    for (size_t i = 0; i < len; i++)
        f[i] = (uint8_t)(i * 31 + number * 7 + (number >> 8));
    if (len >= 6)
        memcpy(f, our_mac, 6);
}

static inline void send(size_t len, uint32_t number)
{
    uint8_t *f = e1000_tx(&drv, len);

    ck_assert_ptr_nonnull(f);
    fill(f, len, number);
}

/* Frame `number` of that length went out as `at`-th. */
static inline void want_sent(unsigned at, size_t len, uint32_t number)
{
    static const uint8_t zeros[60];
    uint8_t f[1600];

    fill(f, len, number);
    ck_assert_uint_lt(at, wires);
    ck_assert_uint_eq(wire_len[at], len < 60 ? 60 : len);
    ck_assert_mem_eq(wire[at], f, len);
    if (len < 60)
        ck_assert_mem_eq(wire[at] + len, zeros, 60 - len);
}

static inline enum netdev_rx offer(size_t len, uint32_t number)
{
    uint8_t f[1600];

    fill(f, len, number);
    return netdev_receive(n, f, len);
}

static inline void want_frame(size_t len, uint32_t number)
{
    uint8_t f[1600] = {0};
    size_t got;
    const uint8_t *p = e1000_rx(&drv, &got);

    ck_assert_ptr_nonnull(p);
    fill(f, len, number);
    ck_assert_uint_eq(got, len < 60 ? 60 : len);
    ck_assert_mem_eq(p, f, got);
    e1000_rx_done(&drv);
}

#endif
