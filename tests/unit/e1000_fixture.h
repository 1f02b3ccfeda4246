/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device with one MiB of guest memory (an exact allocation, so that ASan sees its end), a log of
 * the frames it transmitted, and its line.  The receive ring is at RX_RING, the transmit ring at
 * TX_RING, buffer i of either at RX_BUF(i), TX_BUF(i).
 */
#ifndef E1000_FIXTURE_H
#define E1000_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../netdev/e1000.h"
#include "../../netdev/netdev.h"

#define RAM       0x100000u
#define RX_RING   0x1000u
#define TX_RING   0x2000u
#define RX_BUF(i) (0x10000u + (i)*0x800u)
#define TX_BUF(i) (0x40000u + (i)*0x800u)
#define DESCS     8u
#define BAR       0x80000u /* inside of RAM, on purpose */
#define IOBAR     0xC000u

static struct netdev *n;
static uint8_t *ram;
static bool line;
static unsigned line_changes, sent, kicks, ready, dma_calls;
static uint8_t *out[256];
static size_t out_len[256];
static void (*on_send)(void);
static uint64_t clock_ns, deadline;
static const uint8_t our_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static int fx_read(void *arg, uint64_t gpa, void *buf, size_t len)
{
    (void)arg;
    dma_calls++;
    if (gpa > RAM || len > RAM - gpa)
        return -EFAULT;
    memcpy(buf, ram + gpa, len);
    return 0;
}

static int fx_write(void *arg, uint64_t gpa, const void *buf, size_t len)
{
    (void)arg;
    dma_calls++;
    if (gpa > RAM || len > RAM - gpa)
        return -EFAULT;
    memcpy(ram + gpa, buf, len);
    return 0;
}

static void fx_send(void *arg, const void *frame, size_t len)
{
    (void)arg;
    if (sent < 256) {
        free(out[sent]);
        out[sent] = malloc(len ? len : 1);
        memcpy(out[sent], frame, len);
        out_len[sent] = len;
    }
    sent++;
    if (on_send)
        on_send();
}

static void fx_irq(void *arg, bool level)
{
    (void)arg;
    ck_assert(line != level);
    line = level;
    line_changes++;
}

static void fx_kick(void *arg)
{
    (void)arg;
    kicks++;
}

static void fx_ready(void *arg)
{
    (void)arg;
    ready++;
}

static uint64_t fx_now(void *arg)
{
    (void)arg;
    return clock_ns;
}

static void fx_timer(void *arg, uint64_t at)
{
    (void)arg;
    deadline = at;
}

static const struct netdev_ops fx_ops = {.dma_read = fx_read,
                                         .dma_write = fx_write,
                                         .transmit = fx_send,
                                         .irq = fx_irq,
                                         .kick = fx_kick,
                                         .rx_ready = fx_ready,
                                         .now = fx_now,
                                         .timer = fx_timer};

static inline uint32_t rd(uint32_t reg)
{
    return (uint32_t)netdev_mmio_read(n, reg, 4);
}

static inline void wr(uint32_t reg, uint32_t value)
{
    netdev_mmio_write(n, reg, 4, value);
}

static inline uint32_t cfg_read(unsigned reg)
{
    uint32_t v;

    ck_assert(netdev_port_write(n, 0xCF8, 4, 0x80000000u | 4u << 11 | reg));
    ck_assert(netdev_port_read(n, 0xCFC, 4, &v));
    return v;
}

static inline void cfg_write(unsigned reg, uint32_t v)
{
    ck_assert(netdev_port_write(n, 0xCF8, 4, 0x80000000u | 4u << 11 | reg));
    ck_assert(netdev_port_write(n, 0xCFC, 4, v));
}

static inline void put(uint32_t at, uint64_t v)
{
    ck_assert_uint_le(at, RAM - 8);
    memcpy(ram + at, &v, 8);
}

static inline uint64_t get(uint32_t at)
{
    uint64_t v;

    memcpy(&v, ram + at, 8);
    return v;
}

/* Rings of DESCS descriptors; receive buffers posted but for one. */
static inline void rings(void)
{
    for (uint32_t i = 0; i < DESCS; i++) {
        put(RX_RING + 16 * i, RX_BUF(i));
        put(RX_RING + 16 * i + 8, 0);
    }
    wr(E_RDBAL, RX_RING);
    wr(E_RDLEN, 16 * DESCS);
    wr(E_RDH, 0);
    wr(E_RDT, DESCS - 1);
    wr(E_TDBAL, TX_RING);
    wr(E_TDLEN, 16 * DESCS);
    wr(E_TDH, 0);
    wr(E_TDT, 0);
    wr(E_RCTL, RCTL_EN | RCTL_BAM);
    wr(E_TCTL, TCTL_EN);
}

static inline void start(struct netdev_config c)
{
    netdev_free(n);
    free(ram);
    ram = calloc(1, RAM);
    sent = kicks = ready = line_changes = dma_calls = 0;
    line = false;
    on_send = NULL;
    clock_ns = 1000000;
    deadline = NETDEV_NEVER;
    c.ops = &fx_ops;
    c.slot = 4;
    memcpy(c.mac, our_mac, 6);
    n = netdev_new(&c);
    ck_assert_ptr_nonnull(n);
    cfg_write(0x14, IOBAR);
    cfg_write(4, 7);
    rings();
}

static inline void setup(void)
{
    start((struct netdev_config){0});
}

static inline void teardown(void)
{
    netdev_free(n);
    n = NULL;
    free(ram);
    ram = NULL;
    for (unsigned i = 0; i < 256; i++) {
        free(out[i]);
        out[i] = NULL;
    }
}

/* A frame to us: addresses, type 0800, then bytes that count. */
static inline uint8_t *frame(size_t len)
{
    static uint8_t f[70000];

    for (size_t i = 0; i < len; i++)
        f[i] = (uint8_t)(i * 7 + 1);
    memcpy(f, our_mac, 6);
    f[12] = 8;
    f[13] = 0;
    return f;
}

static inline void tx_desc(unsigned i, uint64_t addr, uint64_t rest)
{
    put(TX_RING + 16 * (i % DESCS), addr);
    put(TX_RING + 16 * (i % DESCS) + 8, rest);
}

#define CMD(x)   ((uint64_t)(x) << 24)
#define EOP      CMD(1)
#define TSE      CMD(4)
#define IC       CMD(4)
#define RS       CMD(8)
#define DEXT     CMD(0x20)
#define VLE      CMD(0x40)
#define DATA     (DEXT | TXD_DTYP_D)
#define POPTS(x) ((uint64_t)(x) << 40)

/* A context descriptor; css/cso/cse for IP, then for TCP or UDP. */
static inline void context(unsigned i, uint64_t offsets, uint32_t paylen, uint64_t cmd,
                           unsigned hdr, unsigned mss)
{
    tx_desc(i, offsets, DEXT | cmd | paylen | (uint64_t)hdr << 40 | (uint64_t)mss << 48);
}

#define OFFSETS(ipcss, ipcso, ipcse, tucss, tucso, tucse)                   \
    ((uint64_t)(ipcss) | (uint64_t)(ipcso) << 8 | (uint64_t)(ipcse) << 16 | \
     (uint64_t)(tucss) << 32 | (uint64_t)(tucso) << 40 | (uint64_t)(tucse) << 48)

static inline int run_all(void (*fill)(TCase *))
{
    Suite *s = suite_create("e1000");
    TCase *t = tcase_create("e1000");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    fill(t);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

#endif
