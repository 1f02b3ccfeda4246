/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks that look for a way out of the PE and come back when there is none. */
#include "attack.h"

#include "dtu_drv.h"
#include "env.h"
#include "gate.h"
#include "print.h"
#include "secret.h"
#include "start.h"
#include "syscall.h"

#define STEP      (2ull << 20)
#define REG_SPACE 0x4000ull /* both register pages and what follows */
#define SELECTORS 64u

uint64_t attack_next(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

static unsigned found;

static void judge(const char *how, uint64_t where, uint64_t word)
{
    if (!secret_like(word))
        return;
    if (found++ == 0)
        print("attack: found the secret by %s at %#lx\n", how, where);
}

/* Reads and, but for the registers, overwrites a word. */
static void touch(uint64_t addr)
{
    judge("a load", addr, mmio_get(addr));
    if (addr < DTU_BASE || addr >= DTU_BASE + REG_SPACE)
        mmio_set(addr, ~addr);
}

/* Every 2 MiB of the address space outside our memory, and the edges of everything. */
static void walk_addresses(void)
{
    const uint64_t size = guest_mem_size();
    const uint64_t edges[] = {
        size,         size + 8,           size + 0xff8,
        2 * size,     DTU_RW_BARRIER - 8, DTU_RW_BARRIER,
        DTU_BASE - 8, DTU_BASE - 0x1000,  DTU_BASE + REG_SPACE,
        MEM_MODULES,  MEM_FREE,           PE_IDENTITY_SIZE - 8,
    };

    for (uint64_t a = (size + STEP - 1) & ~(STEP - 1); a < PE_IDENTITY_SIZE; a += STEP)
        touch(a);
    for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
        touch(edges[i]);
    for (uint64_t a = DTU_BASE; a < DTU_BASE + REG_SPACE; a += 8)
        judge("a load", a, mmio_get(a));
}

/* Every endpoint as a memory gate, whatever it is. */
static void try_endpoints(void)
{
    static uint64_t buf[64];

    for (unsigned ep = 0; ep < DTU_EPS; ep++) {
        for (uint64_t off = 0; off < 4 * STEP; off += STEP / 2) {
            if (dtu_read(ep, buf, sizeof(buf), off) == SE_OK)
                for (unsigned i = 0; i < 64; i++)
                    judge("READ", off + 8 * i, buf[i]);
            buf[0] = ~0ull;
            dtu_write(ep, buf, 8, off);
        }
    }
}

/* Capabilities we do not have, and the one for our own memory beyond its end. */
static void try_capabilities(void)
{
    struct gate mem = {.sel = CAP_SELF_MEM};
    uint64_t word;

    for (unsigned sel = SEL_GIVEN + 1; sel < SEL_GIVEN + SELECTORS; sel++) {
        struct gate g = {.sel = sel};

        if (gate_activate(&g) == SE_OK && found++ == 0)
            print("attack: selector %u is a gate\n", sel);
        gate_deactivate(&g);
    }
    for (uint64_t off = guest_mem_size(); off < DTU_BASE; off += 64 * STEP)
        if (gate_read(&mem, &word, sizeof(word), off) == SE_OK)
            judge("READ of our own memory", off, word);
    /* Our own registers through it: they would make us privileged. */
    word = DTU_STATUS_PRIV;
    if (gate_write(&mem, &word, sizeof(word), DTU_BASE + DTU_STATUS) == SE_OK && found++ == 0)
        print("attack: our memory capability reaches the registers\n");
    gate_deactivate(&mem);
}

int attack_walk(uint64_t seed)
{
    (void)seed;
    walk_addresses();
    try_endpoints();
    if (dtu_type(VPE_EP_SYSC) == DTU_EP_SEND)
        try_capabilities();
    print("attack: walk over, %s\n", found ? "FOUND" : "nothing found");
    return found ? 1 : 0;
}

/*
 * One store to a register of either page.  Left out is only what would end the attack early: the
 * exit register; waits and console output are kept short.
 */
static void scribble(uint64_t *state)
{
    uint64_t value = attack_next(state);
    unsigned reg = (unsigned)(attack_next(state) >> 20) % 128;

    if (attack_next(state) >> 63)
        value &= 0xffff; /* small values are more often valid */
    if (reg < 96) {
        dtu_set(reg * 8, value); /* the window has 62; some beyond it */
        return;
    }
    reg = (reg - 96) * 8;
    if (reg == VREG_EXIT)
        return;
    if (reg == VREG_WAIT)
        value &= 0xffff;
    if (reg == VREG_CALL || reg == VREG_STEP)
        value = vreg_call((uint32_t)value, value >> 32 & 0xff, 1 + value % 100, 0);
    if (reg == VREG_CONSOLE)
        value = vreg_console(value, 4);
    vreg_set(reg, value);
}

int attack_scribble(uint64_t seed)
{
    const bool ours = vreg_present();

    for (unsigned i = 0; i < 4000; i++)
        if (ours)
            scribble(&seed);
        else
            dtu_set((unsigned)(attack_next(&seed) % 62) * 8, attack_next(&seed));
    print("attack: scribbled\n");
    return 0;
}
