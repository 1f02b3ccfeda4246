/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The little of an operating system that an interrupt needs: descriptor tables of our own, the two
 * 8259As.
 */
#include "irqtest.h"

#include "print.h"
#include "start.h"

enum { SEL_CODE = 0x08, SEL_TSS = 0x28, EXCEPTIONS = 32, INVALID_OPCODE = 6 };

struct gate {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, zero;
};

struct table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

extern const char irq_entries[], ud_entry[], fault_entry[];
void user_enter(void (*fn)(uint64_t arg), uint64_t arg, uint64_t stack);
void on_fault(const uint64_t *frame);

uint8_t tss[104] __attribute__((aligned(8)));
static uint64_t gdt[7];
static struct gate idt[VECTORS];
static uint8_t user_stack[4096] __attribute__((aligned(16)));

void on_fault(const uint64_t *frame)
{
    panic("an exception: %llx %llx %llx\n", (unsigned long long)frame[0],
          (unsigned long long)frame[1], (unsigned long long)frame[2]);
}

static void set_gate(unsigned vector, const char *to)
{
    uint64_t at = (uintptr_t)to;

    idt[vector] = (struct gate){.offset0 = (uint16_t)at,
                                .selector = SEL_CODE,
                                .type = 0x8E,
                                .offset1 = (uint16_t)(at >> 16),
                                .offset2 = (uint32_t)(at >> 32)};
}

void cpu_init(void)
{
    uint64_t base = (uintptr_t)tss;
    struct table g = {sizeof(gdt) - 1, (uintptr_t)gdt}, i = {sizeof(idt) - 1, (uintptr_t)idt};
    unsigned v;

    gdt[1] = 0x00AF9B000000FFFFull; /* as those that the CPU came with */
    gdt[2] = 0x00CF93000000FFFFull;
    gdt[3] = 0x00AFFB000000FFFFull;
    gdt[4] = 0x00CFF3000000FFFFull;
    gdt[SEL_TSS / 8] =
        (sizeof(tss) - 1) | (base & 0xFFFFFF) << 16 | 0x89ull << 40 | (base >> 24 & 0xFF) << 56;
    gdt[SEL_TSS / 8 + 1] = base >> 32;
    tss[102] = sizeof(tss); /* no I/O bitmap */
    for (v = 0; v < EXCEPTIONS; v++)
        set_gate(v, v == INVALID_OPCODE ? ud_entry : fault_entry);
    for (; v < VECTORS; v++)
        set_gate(v, irq_entries + 16 * (v - EXCEPTIONS));
    __asm__ volatile("lgdt %0" : : "m"(g) : "memory");
    __asm__ volatile("lidt %0" : : "m"(i) : "memory");
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

void user_run(void (*fn)(uint64_t arg), uint64_t arg)
{
    user_enter(fn, arg, (uintptr_t)user_stack + sizeof(user_stack) - 8);
    cli();
}

/* ---- the controllers ---- */

static uint16_t pic_port(unsigned irq)
{
    return irq < 8 ? 0x20 : 0xA0;
}

void pic_init(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uint16_t port = pic_port(8 * i);

        outb(port, 0x11);
        outb(port + 1, (uint8_t)(VECTOR_BASE + 8 * i));
        outb(port + 1, i ? 2 : 4);
        outb(port + 1, 1);
        outb(port + 1, i ? 0xFF : 0xFB);
    }
}

void pic_mask(unsigned irq, bool masked)
{
    uint16_t port = (uint16_t)(pic_port(irq) + 1);
    uint8_t m = inb(port);

    outb(port, masked ? m | pic_bit(irq) : m & (uint8_t)~pic_bit(irq));
}

uint8_t pic_irr(unsigned irq)
{
    outb(pic_port(irq), 0x0A);
    return inb(pic_port(irq)) & pic_bit(irq);
}

void pic_eoi(unsigned irq)
{
    if (irq >= 8)
        outb(0xA0, 0x20);
    outb(0x20, 0x20);
}
