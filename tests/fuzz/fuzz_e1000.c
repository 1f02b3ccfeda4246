/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev */
/*
 * A script of register and port accesses, guest memory stores, incoming frames and resets.  Guest
 * memory is one exact allocation, so that ASan sees its end.  What must hold after each step: the
 * line is what ICR and the mask say, a doorbell did a bounded number of accesses, frames have a
 * length that the callers were promised.
 *
 * A step is an opcode and its operands; bytes that run out read as zero.
 */
#include "../../netdev/netdev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../netdev/e1000.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM       0x4000u
#define STEPS     200u
#define DMA_TOTAL 2000000u /* per input; an honest upper bound of the work in it */

#define must(truth) must_at((truth), #truth, __LINE__)

static void must_at(int truth, const char *text, int line)
{
    if (!truth) {
        fprintf(stderr, "line %d: not so: %s\n", line, text);
        abort();
    }
}

static uint8_t *ram;
static struct netdev *dev;
static bool level;
static uint64_t dma, frames, now;
static const uint8_t *in;
static size_t left;
static unsigned sum, echo;

static uint64_t take(unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes && left; i++, left--)
        v |= (uint64_t)*in++ << 8 * i;
    return v;
}

static int do_read(void *arg, uint64_t gpa, void *buf, size_t len)
{
    (void)arg;
    dma++;
    if (gpa > RAM || len > RAM - gpa)
        return -EFAULT;
    memcpy(buf, ram + gpa, len);
    return 0;
}

static int do_write(void *arg, uint64_t gpa, const void *buf, size_t len)
{
    (void)arg;
    dma++;
    if (gpa > RAM || len > RAM - gpa)
        return -EFAULT;
    memcpy(ram + gpa, buf, len);
    return 0;
}

static void do_send(void *arg, const void *frame, size_t len)
{
    const uint8_t *p = frame;

    (void)arg;
    must(len >= 1 && len <= NETDEV_FRAME_MAX);
    sum += p[0] + p[len - 1];
    frames++;
    /* A rude wire: now and then it answers, rings the bell or resets from inside. */
    if (echo & 1)
        netdev_receive(dev, frame, len);
    if (echo & 2)
        netdev_mmio_write(dev, E_TDT, 4, frames % 16);
    if ((echo & 4) && frames % 5 == 0)
        netdev_mmio_write(dev, E_CTRL, 4, CTRL_RST);
}

static void do_irq(void *arg, bool on)
{
    (void)arg;
    must(on != level);
    level = on;
}

static uint64_t do_now(void *arg)
{
    (void)arg;
    return now;
}

static void do_timer(void *arg, uint64_t at)
{
    (void)arg;
    (void)at;
}

static uint32_t reg_of(unsigned code)
{
    static const uint16_t common[] = {
        E_CTRL, E_EECD,   E_EERD,  E_MDIC,   E_ICR, E_ITR,  E_ICS,   E_IMS,   E_IMC,
        E_RCTL, E_TCTL,   E_RDBAL, E_RDLEN,  E_RDH, E_RDT,  E_TDBAL, E_TDLEN, E_TDH,
        E_TDT,  E_RXCSUM, E_RA,    E_RA + 4, E_VET, E_VFTA, E_RDBAH, E_TDBAH,
    };

    return common[code % (sizeof(common) / sizeof(common[0]))];
}

static void receive(void)
{
    size_t len = take(2);
    uint8_t *frame = malloc(len ? len : 1);
    bool match = take(1) & 1;

    if (!frame)
        return;
    memset(frame, (int)take(1), len ? len : 1);
    if (match && len >= 6)
        memset(frame, 0xFF, 6);
    if (match && len >= 14) {
        frame[12] = 0x81;
        frame[13] = 0;
    }
    netdev_receive(dev, frame, len);
    free(frame);
}

static void step(void)
{
    unsigned op = (unsigned)take(1);
    uint32_t v32, at;
    unsigned count;

    switch (op % 12) {
    case 0:
    case 1:
    case 2:
        at = reg_of((unsigned)take(1));
        netdev_mmio_write(dev, at, 4, take(4));
        break;
    case 3:
        at = (uint32_t)take(3);
        netdev_mmio_write(dev, at, 1u << (op >> 4 & 3), take(8));
        break;
    case 4:
        at = (uint32_t)take(3);
        sum += (unsigned)netdev_mmio_read(dev, at, 1u << (op >> 4 & 3));
        break;
    case 5:
        at = (uint32_t)take(2);
        netdev_port_write(dev, (uint16_t)at, 1u << (op >> 4) % 3, (uint32_t)take(4));
        break;
    case 6:
        at = (uint32_t)take(2);
        if (netdev_port_read(dev, (uint16_t)at, 1u << (op >> 4) % 3, &v32))
            sum += v32;
        break;
    case 7:
        at = (uint32_t)take(2) % RAM;
        for (count = (unsigned)take(1); count && at < RAM && left; count--)
            ram[at++] = (uint8_t)take(1);
        break;
    case 8:
        receive();
        break;
    case 9:
        netdev_poll(dev);
        break;
    case 10:
        now += take(3);
        netdev_tick(dev);
        break;
    default:
        echo = op >> 4 & 7;
        netdev_set_link(dev, op >> 7);
    }
}

static void start(unsigned flags)
{
    static const struct netdev_ops ops = {.dma_read = do_read,
                                          .dma_write = do_write,
                                          .transmit = do_send,
                                          .irq = do_irq,
                                          .now = do_now,
                                          .timer = do_timer};
    struct netdev_config c = {.slot = 4,
                              .defer_tx = flags & 1,
                              .throttle = flags & 2,
                              .autoneg_ns = flags & 4 ? 1000 : 0,
                              .ops = &ops};

    level = false;
    dma = frames = now = echo = 0;
    ram = calloc(1, RAM);
    dev = netdev_new(&c);
    must(ram && dev);
    netdev_port_write(dev, 0xCF8, 4, 0x80002014);
    netdev_port_write(dev, 0xCFC, 4, 0xC000);
    netdev_port_write(dev, 0xCF8, 4, 0x80002004);
    netdev_port_write(dev, 0xCFC, 4, 7);
    netdev_mmio_write(dev, E_RDLEN, 4, 256);
    netdev_mmio_write(dev, E_TDBAL, 4, 0x100);
    netdev_mmio_write(dev, E_TDLEN, 4, 256);
    netdev_mmio_write(dev, E_RCTL, 4, RCTL_EN | RCTL_BAM);
    netdev_mmio_write(dev, E_TCTL, 4, TCTL_EN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned flags;
    uint32_t command;

    in = data;
    left = size;
    flags = (unsigned)take(1);
    start(flags);
    for (unsigned i = 0; i < STEPS && left && dma < DMA_TOTAL; i++) {
        uint64_t before = dma;

        step();
        /* A lap of the largest ring, or 4 MiB cut into the smallest pieces; and loopback. */
        must(dma - before < 40000000);
        netdev_port_write(dev, 0xCF8, 4, 0x80002004);
        netdev_port_read(dev, 0xCFC, 4, &command);
        if (!(flags & 2))
            must(level == (!(command & 0x400) && (netdev_mmio_read(dev, E_ICS, 4) &
                                                  netdev_mmio_read(dev, E_IMS, 4)) != 0));
    }
    netdev_free(dev);
    free(ram);
    return 0;
}
