/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction format: Intel SDM 2A chapter 2; opcode maps: 2D appendix A.
 */
#include "insn.h"

#include <string.h>

struct cursor {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};

static uint8_t next(struct cursor *c)
{
    if (c->at >= c->n) {
        c->bad = true;
        return 0;
    }
    return c->p[c->at++];
}

static void prefixes(struct cursor *c, struct insn *in)
{
    for (;;) {
        uint8_t b = next(c);

        if (b == 0x66)
            in->opsize = true;
        else if (b == 0xF2 || b == 0xF3)
            in->rep = b;
        else if (b == 0x2E || b == 0x36 || b == 0x3E || b == 0x26 || b == 0x64 || b == 0x65)
            in->seg = b;
        else if ((b & 0xF0) == 0x40) {
            in->rex = b; /* counts only directly in front of the opcode */
            b = next(c);
            if (!c->bad)
                c->at--;
            if ((b & 0xF0) != 0x40 && b != 0x66 && b != 0xF2 && b != 0xF3)
                return;
            in->rex = 0;
        } else {
            if (!c->bad)
                c->at--;
            return;
        }
        if (c->bad)
            return;
    }
}

static void opcode(struct cursor *c, struct insn *in)
{
    in->opcode = next(c);
    if (in->opcode != 0x0F)
        return;
    in->map = 1;
    in->opcode = next(c);
    if (in->opcode == 0x38 || in->opcode == 0x3A) {
        in->map = in->opcode == 0x38 ? 2 : 3;
        in->opcode = next(c);
    }
}

static int64_t displacement(struct cursor *c, unsigned size)
{
    uint32_t v = 0;
    unsigned i;

    for (i = 0; i < size; i++)
        v |= (uint32_t)next(c) << (8 * i);
    return size == 1 ? (int8_t)v : (int32_t)v;
}

static void operand(struct cursor *c, struct insn *in)
{
    unsigned mod, rm, disp = 0;
    uint8_t sib;

    in->modrm = next(c);
    in->base = in->index = -1;
    mod = in->modrm >> 6;
    rm = in->modrm & 7;
    if (mod == 3)
        return;
    in->memory = true;
    disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (rm == 4) {
        sib = next(c);
        in->scale = 1u << (sib >> 6);
        in->index = (sib >> 3 & 7) | (in->rex & 2 ? 8 : 0);
        if (in->index == 4)
            in->index = -1;
        in->base = (sib & 7) | (in->rex & 1 ? 8 : 0);
        if ((sib & 7) == 5 && mod == 0) {
            in->base = -1;
            disp = 4;
        }
    } else if (rm == 5 && mod == 0) {
        in->base = 16;
        disp = 4;
    } else {
        in->base = (int)rm | (in->rex & 1 ? 8 : 0);
    }
    in->disp = displacement(c, disp);
}

/* Map 0F opcodes with ModRM that also have an 8-bit immediate. */
static bool has_imm8(const struct insn *in)
{
    if (in->map == 3)
        return true;
    if (in->map != 1)
        return false;
    return (in->opcode >= 0x70 && in->opcode <= 0x73) || in->opcode == 0xA4 || in->opcode == 0xAC ||
           in->opcode == 0xBA || in->opcode == 0xC2 || (in->opcode >= 0xC4 && in->opcode <= 0xC6);
}

/* Map 0F opcodes without ModRM. */
static bool lacks_modrm(uint8_t op)
{
    return (op >= 0x04 && op <= 0x0C) || op == 0x0E || (op >= 0x30 && op <= 0x37) || op == 0x77 ||
           (op >= 0x80 && op <= 0x8F) || (op >= 0xA0 && op <= 0xA2) || (op >= 0xA8 && op <= 0xAA) ||
           (op >= 0xC8 && op <= 0xCF) || op == 0xFF;
}

bool insn_decode(const uint8_t *bytes, size_t n, struct insn *in)
{
    struct cursor c = {.p = bytes, .n = n < INSN_MAX ? n : INSN_MAX};

    memset(in, 0, sizeof(*in));
    in->base = in->index = -1;
    prefixes(&c, in);
    opcode(&c, in);
    if (c.bad)
        return false;
    if (in->map == 0) {
        if (in->opcode != 0xF4 && in->opcode != 0xFA && in->opcode != 0xFB)
            return false;
    } else if (in->map == 1 && lacks_modrm(in->opcode)) {
        return false;
    } else {
        in->has_modrm = true;
        operand(&c, in);
        in->imm_len = has_imm8(in);
        if (in->imm_len)
            next(&c);
    }
    if (c.bad)
        return false;
    in->len = (unsigned)c.at;
    memcpy(in->bytes, bytes, in->len);
    return true;
}

uint64_t insn_address(const struct insn *in, const uint64_t gpr[16], uint64_t rip)
{
    uint64_t a = (uint64_t)in->disp;

    if (in->base == 16)
        a += rip + in->len;
    else if (in->base >= 0)
        a += gpr[in->base];
    if (in->index >= 0)
        a += gpr[in->index] * in->scale;
    return a;
}

bool insn_is_noop(const struct insn *in)
{
    unsigned reg = in->modrm >> 3 & 7;

    if (in->map == 0)
        return in->opcode == 0xFA || in->opcode == 0xFB;
    if (in->map != 1)
        return false;
    if (in->opcode == 0x00)
        return reg == 2 || reg == 3; /* lldt, ltr */
    if (in->opcode == 0x01)
        return (in->memory && (reg == 2 || reg == 3)) || reg == 6; /* lgdt, lidt, lmsw */
    return false;
}

enum insn_sse insn_sse(const struct insn *in)
{
    if (!in->memory || in->map == 0)
        return INSN_SSE_NONE;
    if (in->map == 1 && !in->rep) {
        switch (in->opcode) {
        case 0x28: /* movaps, movapd */
            return INSN_SSE_LOAD;
        case 0x29:
        case 0x2B: /* movntps, movntpd */
            return INSN_SSE_STORE;
        case 0x6F: /* movdqa; without 66 it is MMX */
            return in->opsize ? INSN_SSE_LOAD : INSN_SSE_NONE;
        case 0x7F:
        case 0xE7: /* movntdq */
            return in->opsize ? INSN_SSE_STORE : INSN_SSE_NONE;
        default:
            break;
        }
    }
    if (in->map == 2 && in->opsize && in->opcode == 0x2A) /* movntdqa */
        return INSN_SSE_LOAD;
    /* Computing instructions: packed floats need no prefix, packed integers 66. */
    if (in->map == 1 && ((in->opcode >= 0x50 && in->opcode <= 0x5F) || in->opcode == 0x14 ||
                         in->opcode == 0x15 || in->opcode == 0xC2 || in->opcode == 0xC6))
        return INSN_SSE_OTHER;
    if (in->map == 1 && (in->opsize || in->rep) &&
        ((in->opcode >= 0x60 && in->opcode <= 0x76) || in->opcode == 0x7C || in->opcode == 0x7D ||
         in->opcode == 0xE6 || (in->opcode >= 0xD0 && in->opcode != 0xD6)))
        return INSN_SSE_OTHER;
    if (in->map >= 2 && in->opsize && in->opcode < 0x80)
        return INSN_SSE_OTHER;
    return INSN_SSE_NONE;
}

unsigned insn_relocate(const struct insn *in, int32_t disp, uint8_t out[INSN_MAX])
{
    uint8_t code[INSN_MAX + 8];
    unsigned n = 0;

    if (in->opsize)
        code[n++] = 0x66;
    if (in->rep)
        code[n++] = in->rep;
    if (in->rex)
        code[n++] = in->rex & (uint8_t)~3; /* no base, no index */
    code[n++] = 0x0F;
    if (in->map >= 2)
        code[n++] = in->map == 2 ? 0x38 : 0x3A;
    code[n++] = in->opcode;
    code[n++] = (uint8_t)((in->modrm & 0x38) | 5); /* [rip + disp32] */
    memcpy(code + n, &disp, 4);
    n += 4;
    if (in->imm_len)
        code[n++] = in->bytes[in->len - 1];
    if (n > INSN_MAX)
        return 0;
    memcpy(out, code, n);
    return n;
}
