/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's machine "pc" with one e1000, driven by the qtest protocol: its processor halts at once,
 * so nobody else touches the device.  Guest memory is shared; frames go over UDP on loopback; the
 * virtual clock jumps to the next timer when all is idle (-icount sleep=off).
 *
 * Every function ends the program with a message if QEMU does not do as it is told.
 */
#ifndef QTEST_QEMU_H
#define QTEST_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_RAM (16u << 20)

struct qemu {
    int pid;
    int qtest, qmp, net; /* sockets; net carries frames, one a datagram */
    uint8_t *ram;        /* QEMU_RAM bytes, the guest's */
    char in[8192];
    size_t have;
};

/* mac: 6 bytes. */
void qemu_start(struct qemu *q, const uint8_t *mac);
void qemu_stop(struct qemu *q);
/* As the reset button. */
void qemu_reset(struct qemu *q);
uint32_t qemu_inl(struct qemu *q, uint16_t port);
void qemu_outl(struct qemu *q, uint16_t port, uint32_t value);
uint32_t qemu_readl(struct qemu *q, uint64_t address);
/* `count` (at most 64) registers at base + offset, with one turn of the protocol. */
void qemu_read_many(struct qemu *q, uint64_t base, const uint16_t *offset, unsigned count,
                    uint32_t *value);
void qemu_writel(struct qemu *q, uint64_t address, uint32_t value);
/* Until frames that were sent before have been taken. */
void qemu_settle(struct qemu *q);
/* Until that much virtual time has gone by, with what was due in it. */
void qemu_wait(struct qemu *q, unsigned ms);
void qemu_send(struct qemu *q, const void *frame, size_t len);
/* The next transmitted frame: its length, or -1. */
long qemu_receive(struct qemu *q, void *frame, size_t size);

#endif
