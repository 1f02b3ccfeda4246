/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the CPU's side of irqtest (cpu.c, entry.S) and its tests. */
#ifndef IRQTEST_H
#define IRQTEST_H

#include <stdbool.h>
#include <stdint.h>

#define VECTOR_BASE 0x20u /* of the controllers' 16 inputs */
#define VECTORS     (VECTOR_BASE + 16u)

static inline uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "d"(port) : "memory");
}

static inline void cli(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* Behind it an interrupt that is pending has been taken. */
static inline void sti(void)
{
    __asm__ volatile("sti; nop; nop" : : : "memory");
}

/* Without a gap in which an interrupt could come and nobody wake. */
static inline void sti_hlt(void)
{
    __asm__ volatile("sti; hlt" : : : "memory");
}

/* Descriptor tables; the controllers, all inputs masked but irq, which firmware has set to level.
 */
void cpu_init(void);
void pic_init(void);
void pic_mask(unsigned irq, bool masked);
uint8_t pic_irr(unsigned irq); /* IRR of its controller, and its bit there */
void pic_eoi(unsigned irq);
static inline uint8_t pic_bit(unsigned irq)
{
    return (uint8_t)(1u << irq % 8);
}

/* Runs fn(arg) at CPL 3 with interrupts on, until it executes ud2. */
void user_run(void (*fn)(uint64_t arg), uint64_t arg);

/* The tests': an interrupt of the controllers' input. */
void on_interrupt(unsigned irq);

#endif
