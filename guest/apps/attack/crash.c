/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks after which the program cannot go on. */
#include "attack.h"
#include "print.h"

#include "boot.h"
#include "start.h"
#include "str.h"

#define NONCANONICAL 0x0123456789abcdefull
#define SUPERVISOR   0x700000000ull /* where the VMM may keep what is its own: above our 24 GiB */

/*
 * Fills all of local memory, this code included: the instruction goes on with what it has already
 * fetched, then the PE runs into what it wrote, which is no instruction.
 */
int attack_wipe(uint64_t seed)
{
    const uint64_t behind = PE_GUARD + 0x1000;
    uint64_t words = PE_GUARD / 8, to = 0;

    (void)seed;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(~0ull) : "memory");
    to = behind;
    words = (guest_mem_size() - behind) / 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(~0ull) : "memory");
    return 1;
}

static void call(const void *code)
{
    __asm__ volatile("call *%0" : : "r"(code) : "memory", "cc");
}

/* Text is no code: 'a' is not even an instruction in 64-bit mode. */
int attack_jump(uint64_t seed)
{
    static const char text[] = "a program that jumps into its data";

    (void)seed;
    call(text);
    return 1;
}

/* A page of random bytes, and nothing valid behind it. */
int attack_random(uint64_t seed)
{
    static uint64_t code[512 + 2];

    for (unsigned i = 0; i < 512; i++)
        code[i] = attack_next(&seed);
    memset(code + 512, 0x06, 16);
    call(code);
    return 1;
}

int attack_divide(uint64_t seed)
{
    volatile uint64_t zero = 0;

    return (int)(seed / zero);
}

int attack_ud2(uint64_t seed)
{
    (void)seed;
    __asm__ volatile("ud2");
    return 1;
}

/* Page 0 is memory; it holds zeros, which are "add %al, (%rax)". */
int attack_null(uint64_t seed)
{
    (void)seed;
    __asm__ volatile("call *%1" : : "a"(NONCANONICAL), "r"(0ull) : "memory", "cc");
    return 1;
}

int attack_noncanonical(uint64_t seed)
{
    volatile uint64_t *p = (volatile uint64_t *)NONCANONICAL;

    *p = seed;
    return 1;
}

int attack_unmapped(uint64_t seed)
{
    volatile uint64_t *p = (volatile uint64_t *)PE_IDENTITY_SIZE;

    *p = seed;
    return 1;
}

int attack_super(uint64_t seed)
{
    volatile uint64_t *p = (volatile uint64_t *)SUPERVISOR;

    *p = seed;
    return 1;
}

/* Down through everything below the stack. */
int attack_stack(uint64_t seed)
{
    __asm__ volatile("1: pushq %0; jmp 1b" : : "r"(seed) : "memory");
    return 1;
}

/* No tail call, and a buffer that is written: each level takes its place. */
static __attribute__((noinline)) uint64_t deeper(uint64_t depth, volatile uint8_t *of,
                                                 unsigned step)
{
    volatile uint8_t mine[64];

    mine[depth % sizeof(mine)] = *of;
    return depth == 0 ? 0 : deeper(depth - 1, mine, step) + mine[step % sizeof(mine)];
}

/* A recursion without end. */
int attack_recurse(uint64_t seed)
{
    volatile uint8_t mine = (uint8_t)seed;

    return (int)deeper(~0ull, &mine, (unsigned)seed);
}

/* One step that is far larger than the guard, and what it writes lies behind that. */
int attack_leap(uint64_t seed)
{
    volatile uint8_t mine[0x1F000];

    mine[seed % 64] = 1;
    return mine[seed % 64];
}

/* Prints as fast as it can, for ever. */
int attack_flood(uint64_t seed)
{
    for (;;)
        print("flood %lu\n", seed++);
}
