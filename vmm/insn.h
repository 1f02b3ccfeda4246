/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Just enough of an x86-64 decoder for what the shim serves: privileged instructions that have no
 * effect on a PE, and SSE instructions with a memory operand.  Pure; the input is hostile.
 */
#ifndef VMM_INSN_H
#define VMM_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSN_MAX 15u

struct insn {
    uint8_t bytes[INSN_MAX];
    unsigned len;
    bool opsize; /* 66 */
    uint8_t rep; /* F2, F3 or 0 */
    uint8_t rex; /* 40..4F or 0 */
    uint8_t seg; /* a segment prefix (bases are all zero) or 0 */
    uint8_t map; /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
    uint8_t opcode;
    bool has_modrm;
    uint8_t modrm;
    unsigned imm_len; /* bytes of immediate behind the operand */
    /* The memory operand, when modrm has one: base + index * scale + disp (+ next RIP). */
    bool memory;
    int base, index; /* register numbers, -1 for none; base 16 is RIP */
    unsigned scale;
    int64_t disp;
};

/*
 * Decodes one instruction from n readable bytes.  Knows all two- and three-byte opcodes that have
 * a ModRM byte, and the one-byte opcodes F4 (hlt), FA and FB (cli, sti).  Returns false for
 * anything else and when the bytes end within it.
 */
bool insn_decode(const uint8_t *bytes, size_t n, struct insn *in);

/* The address of the memory operand; gpr[0..15] in hardware order (rax, rcx, rdx, rbx, rsp ...). */
uint64_t insn_address(const struct insn *in, const uint64_t gpr[16], uint64_t rip);

/* Privileged, and without effect on a PE: lgdt, lidt, lldt, ltr, lmsw, cli, sti. */
bool insn_is_noop(const struct insn *in);

/* What an SSE instruction does with a 16-byte memory operand that it wants aligned. */
enum insn_sse {
    INSN_SSE_NONE,  /* not such an instruction */
    INSN_SSE_LOAD,  /* xmm := memory */
    INSN_SSE_STORE, /* memory := xmm */
    INSN_SSE_OTHER, /* reads memory and computes */
};
enum insn_sse insn_sse(const struct insn *in);

/* The xmm register that modrm names. */
static inline unsigned insn_xmm(const struct insn *in)
{
    return (unsigned)(in->modrm >> 3 & 7) | (in->rex & 4 ? 8u : 0u);
}

/*
 * The same instruction with its memory operand replaced by one at next RIP + disp.  Writes at most
 * INSN_MAX bytes to out and returns their number.
 */
unsigned insn_relocate(const struct insn *in, int32_t disp, uint8_t out[INSN_MAX]);

#endif
