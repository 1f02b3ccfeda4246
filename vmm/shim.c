/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building the shim.  Layout, one row a page:
 *
 *     0        PML4
 *     1        PDPT
 *     2..25    page directories of the 24 GiB that are identity-mapped for the program
 *     26, 27   page directory and page table of the shim itself, supervisor only
 *     28       page table of the program's first 2 MiB, because of the guard below its stack
 *     29       GDT, TSS with its I/O bitmap
 *     30       IDT
 *     31       exception stubs
 *     32       exception stack, private to the PE
 *     33       bounce page, the only one that the program may use
 *     34..36   TSS with a bit for every port, in PEs that have a device
 *
 * The identity map covers more than there is: accesses without memory behind them leave the guest
 * as MMIO and read as zero, as on the original (dtu-spec 12.3).  One page of it is missing: a stack
 * that grows down to it faults, before it reaches what programs keep below.
 */
#include "shim.h"

#include <cpuid.h>
#include <string.h>

#include "../include/boot.h"

enum {
    PG_PML4 = 0,
    PG_PDPT = 1,
    PG_PD = 2,
    PG_SHIM_PD = 26,
    PG_SHIM_PT = 27,
    PG_LOW_PT = 28,
    PG_DESC = 29,
    PG_IDT = 30,
    PG_STUBS = 31,
    PG_STACK = 32,
    PG_BOUNCE = 33,
    PG_TSS = 34,
};

_Static_assert(SHIM_SHARED_SIZE == PG_STACK * 4096u, "as the header says");
_Static_assert(SHIM_OWN_GPA == SHIM_GPA + PG_STACK * 4096u, "as the header says");
_Static_assert(SHIM_TSS_GPA == SHIM_GPA + PG_TSS * 4096u, "as the header says");
_Static_assert(SHIM_BOUNCE_GPA == SHIM_GPA + PG_BOUNCE * 4096u, "as the header says");

#define GPA(page)   (SHIM_GPA + (uint64_t)(page)*4096u)
#define TSS_OFFSET  0x100u
#define TSS_BITMAP  0x68u
#define TSS_PORTS   0xD00u /* the bitmap reaches up to the PCI configuration ports */
#define TSS_SIZE    (TSS_BITMAP + TSS_PORTS / 8 + 1)
#define OWN_PORTS   0x10000u
#define OWN_SIZE    (TSS_BITMAP + OWN_PORTS / 8 + 1)
#define STUB_STRIDE 16u
#define STACK_TOP   GPA(PG_STACK + 1)

/* Page-table bits.  A and D are preset so that no walk needs to write. */
enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };

enum { SEL_KCODE = 0x08, SEL_KDATA = 0x10, SEL_UCODE = 0x18, SEL_UDATA = 0x20, SEL_TSS = 0x28 };

struct idt_gate {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, zero;
};
_Static_assert(sizeof(struct idt_gate) == 16, "Intel SDM 3A 6.14.1");
_Static_assert(PG_PD + PE_IDENTITY_SIZE / (1ull << 30) == PG_SHIM_PD, "24 page directories");

static uint64_t *table(uint8_t *t, unsigned page)
{
    return (uint64_t *)(t + page * 4096u);
}

static void build_tables(uint8_t *t)
{
    unsigned gib, i;

    table(t, PG_PML4)[0] = GPA(PG_PDPT) | P | RW | US | A;
    for (gib = 0; gib < PG_SHIM_PD - PG_PD; gib++) {
        table(t, PG_PDPT)[gib] = GPA(PG_PD + gib) | P | RW | US | A;
        for (i = 0; i < 512; i++)
            table(t, PG_PD + gib)[i] =
                ((uint64_t)gib << 30 | (uint64_t)i << 21) | P | RW | US | A | D | PS;
    }
    for (i = 0; i < 512; i++)
        table(t, PG_LOW_PT)[i] = i * 4096ull == PE_GUARD ? 0 : i * 4096ull | P | RW | US | A | D;
    table(t, PG_PD)[0] = GPA(PG_LOW_PT) | P | RW | US | A;
    table(t, PG_PDPT)[SHIM_GPA >> 30] = GPA(PG_SHIM_PD) | P | RW | US | A;
    table(t, PG_SHIM_PD)[0] = GPA(PG_SHIM_PT) | P | RW | US | A;
    for (i = PG_DESC; i <= PG_STACK; i++)
        table(t, PG_SHIM_PT)[i] = GPA(i) | P | RW | A | D;
    for (i = PG_TSS; i < PG_TSS + SHIM_TSS_SIZE / 4096u; i++)
        table(t, PG_SHIM_PT)[i] = GPA(i) | P | RW | A | D;
    table(t, PG_SHIM_PT)[PG_BOUNCE] = GPA(PG_BOUNCE) | P | US | A | D;
}

/* Descriptors carry the accessed bit, the TSS is marked busy: the CPU has nothing to write. */
static void build_gdt(uint8_t *t)
{
    uint64_t *gdt = table(t, PG_DESC);
    uint64_t base = GPA(PG_DESC) + TSS_OFFSET, limit = TSS_SIZE - 1;

    gdt[SEL_KCODE / 8] = 0x00AF9B000000FFFFull;
    gdt[SEL_KDATA / 8] = 0x00CF93000000FFFFull;
    gdt[SEL_UCODE / 8] = 0x00AFFB000000FFFFull;
    gdt[SEL_UDATA / 8] = 0x00CFF3000000FFFFull;
    gdt[SEL_TSS / 8] = limit | (base & 0xFFFFFF) << 16 | 0x8Bull << 40 | (base >> 24 & 0xFF) << 56;
    gdt[SEL_TSS / 8 + 1] = base >> 32;
}

/* ---- a TSS with ports ---- */

static void build_tss_at(uint8_t *tss, unsigned ports)
{
    uint64_t rsp0 = STACK_TOP;
    uint16_t bitmap = TSS_BITMAP;

    memcpy(tss + 4, &rsp0, sizeof(rsp0));
    memcpy(tss + 0x66, &bitmap, sizeof(bitmap));
    memset(tss + TSS_BITMAP, 0xFF, ports / 8 + 1); /* no port is the program's */
}

static void build_tss(uint8_t *t)
{
    build_tss_at(t + PG_DESC * 4096u + TSS_OFFSET, TSS_PORTS);
}

_Static_assert(OWN_SIZE <= SHIM_TSS_SIZE, "three pages");

void shim_build_tss(void *mem)
{
    build_tss_at(mem, OWN_PORTS);
}

void shim_tss_ports(void *mem, uint16_t first, unsigned n, bool grant)
{
    uint8_t *bits = (uint8_t *)mem + TSS_BITMAP;

    for (unsigned port = first; port < first + n && port < OWN_PORTS; port++) {
        uint8_t bit = (uint8_t)(1u << port % 8);

        bits[port / 8] = grant ? bits[port / 8] & (uint8_t)~bit : bits[port / 8] | bit;
    }
}

void shim_own_tss(struct kvm_sregs *s)
{
    s->tr.base = SHIM_TSS_GPA;
    s->tr.limit = OWN_SIZE - 1;
}

bool shim_port_is_free(uint16_t first, unsigned n)
{
    return (first >= SHIM_PORT + SHIM_VECTORS || first + n <= SHIM_PORT) &&
           (first >= 0xD00 || first + n <= 0xCF8) && first + n <= OWN_PORTS;
}

bool shim_needs_iopl(void)
{
    unsigned a, b, c, d;
    char name[12];

    __cpuid(1, a, b, c, d);
    if (!(c & 1u << 31)) /* no hypervisor below us */
        return false;
    __cpuid(0x40000000, a, b, c, d);
    memcpy(name, &b, 4);
    memcpy(name + 4, &c, 4);
    memcpy(name + 8, &d, 4);
    return memcmp(name, "TCGTCGTCGTCG", 12) == 0;
}

/* ---- stubs ---- */

static int pushes_error(unsigned vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
           vector == 29 || vector == 30;
}

static void build_stubs(uint8_t *t)
{
    struct idt_gate *idt = (struct idt_gate *)(t + PG_IDT * 4096u);
    unsigned v;

    for (v = 0; v < SHIM_VECTORS; v++) {
        uint64_t at = GPA(PG_STUBS) + v * STUB_STRIDE;
        uint8_t *code = t + PG_STUBS * 4096u + v * STUB_STRIDE;

        if (!pushes_error(v)) {
            *code++ = 0x6A; /* push $0 */
            *code++ = 0x00;
        }
        *code++ = 0xE6; /* out %al, $port */
        *code++ = (uint8_t)(SHIM_PORT + v);
        memcpy(code, "\x48\x83\xC4\x08\x48\xCF", 6); /* add $8, %rsp; iretq */
        idt[v] = (struct idt_gate){
            .offset0 = (uint16_t)at,
            .selector = SEL_KCODE,
            .type = (uint8_t)(0x8E | (v == 3 || v == 4 ? 0x60 : 0)), /* int3, into: DPL 3 */
            .offset1 = (uint16_t)(at >> 16),
            .offset2 = (uint32_t)(at >> 32),
        };
    }
}

void shim_build(void *mem)
{
    build_tables(mem);
    build_gdt(mem);
    build_tss(mem);
    build_stubs(mem);
}

struct shim_frame *shim_frame(void *own)
{
    return (struct shim_frame *)(void *)((uint8_t *)own + 4096u - sizeof(struct shim_frame));
}

uint8_t *shim_bounce(void *own)
{
    return (uint8_t *)own + 4096u;
}

void shim_reset_bounce(void *own)
{
    memset(shim_bounce(own), 0, 4096);
    memcpy(shim_bounce(own) + (SHIM_LSTAR - SHIM_BOUNCE_GPA), "\x0F\x0B", 2); /* ud2 */
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, uint8_t dpl, int code)
{
    return (struct kvm_segment){.base = 0,
                                .limit = 0xFFFFFFFF,
                                .selector = (uint16_t)(selector | dpl),
                                .type = type,
                                .present = 1,
                                .dpl = dpl,
                                .db = (uint8_t)!code,
                                .s = 1,
                                .l = (uint8_t)code,
                                .g = 1};
}

void shim_sregs(struct kvm_sregs *s)
{
    s->cs = segment(SEL_UCODE, 0xB, 3, 1);
    s->ss = s->ds = s->es = s->fs = s->gs = segment(SEL_UDATA, 0x3, 3, 0);
    s->tr = (struct kvm_segment){.base = GPA(PG_DESC) + TSS_OFFSET,
                                 .limit = TSS_SIZE - 1,
                                 .selector = SEL_TSS,
                                 .type = 0xB,
                                 .present = 1};
    s->ldt = (struct kvm_segment){.unusable = 1};
    s->gdt = (struct kvm_dtable){.base = GPA(PG_DESC), .limit = SEL_TSS + 15};
    s->idt = (struct kvm_dtable){.base = GPA(PG_IDT), .limit = SHIM_VECTORS * 16 - 1};
    s->cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
    s->cr3 = GPA(PG_PML4);
    s->cr4 = 0x620;  /* OSXMMEXCPT, OSFXSR, PAE */
    s->efer = 0x500; /* LMA, LME */
}

void shim_sregs_bare(struct kvm_sregs *s)
{
    shim_sregs(s);
    s->cs = segment(SEL_KCODE, 0xB, 0, 1);
    s->ss = s->ds = s->es = s->fs = s->gs = segment(SEL_KDATA, 0x3, 0, 0);
    s->idt = (struct kvm_dtable){0};
}

void shim_regs(struct kvm_regs *r, uint64_t entry)
{
    memset(r, 0, sizeof(*r));
    r->rflags = 2;
    r->rip = entry;
}

static const char *const vector_names[SHIM_VECTORS] = {
    "#DE divide error",
    "#DB debug",
    "NMI",
    "#BP breakpoint",
    "#OF overflow",
    "#BR bound range",
    "#UD invalid opcode",
    "#NM no FPU",
    "#DF double fault",
    "vector 9",
    "#TS invalid TSS",
    "#NP segment not present",
    "#SS stack segment",
    "#GP protection",
    "#PF page fault",
    "vector 15",
    "#MF x87 error",
    "#AC alignment",
    "#MC machine check",
    "#XM SIMD error",
    "#VE virtualisation",
    "#CP control protection",
};

const char *shim_vector_name(unsigned vector)
{
    return vector < SHIM_VECTORS && vector_names[vector] ? vector_names[vector] : "vector";
}
