/* SPDX-License-Identifier: BSD-2-Clause */
/* The NIC as test programs drive it by hand (nictest, irqtest): registers, descriptors, ports. */
#ifndef APPS_NIC_H
#define APPS_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "print.h"

#define BAR0  0xFEB00000u
#define RING  64u
#define FRAME 2048u

enum reg {
    CTRL = 0x0000,
    STATUS = 0x0008,
    EERD = 0x0014,
    MDIC = 0x0020,
    ICR = 0x00C0,
    ITR = 0x00C4,
    ICS = 0x00C8,
    IMS = 0x00D0,
    IMC = 0x00D8,
    RCTL = 0x0100,
    TCTL = 0x0400,
    RDBAL = 0x2800,
    RDBAH = 0x2804,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    TDBAL = 0x3800,
    TDBAH = 0x3804,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    RAL = 0x5400,
    RAH = 0x5404,
};

struct desc {
    uint64_t addr;
    uint16_t len;
    uint8_t cso, cmd;
    uint8_t status, css;
    uint16_t special;
};
_Static_assert(sizeof(struct desc) == 16, "datasheet 3.2.3, 3.3.3");

static inline uint32_t get(unsigned reg)
{
    uint32_t v;

    __asm__ volatile("movl %1, %0" : "=r"(v) : "m"(*(volatile uint32_t *)(uintptr_t)(BAR0 + reg)));
    return v;
}

static inline void set(unsigned reg, uint32_t v)
{
    __asm__ volatile("movl %1, %0"
                     : "=m"(*(volatile uint32_t *)(uintptr_t)(BAR0 + reg))
                     : "r"(v)
                     : "memory");
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static inline void out32(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "d"(port) : "memory");
}

/* Its configuration: device 0 of bus 0. */
static inline uint32_t pci(unsigned reg)
{
    out32(0xCF8, 0x80000000u | reg);
    return in32(0xCFC);
}

static inline void pci_set(unsigned reg, uint32_t v)
{
    out32(0xCF8, 0x80000000u | reg);
    out32(0xCFC, v);
}

static unsigned passed, failed;

static inline void check(bool good, const char *what)
{
    print("%s  %s\n", good ? "ok" : "FAIL", what);
    if (good)
        passed++;
    else
        failed++;
}

#endif
