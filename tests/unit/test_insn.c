/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/insn.c */
/*
 * The instruction decoder of the shim.  Expected lengths and addresses were worked out by hand from
 * the Intel SDM; each row is an instruction as gas assembles it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../vmm/insn.h"

static const uint64_t gpr[16] = {0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000, 0x8000,
                                 0x9000, 0xA000, 0xB000, 0xC000, 0xD000, 0xE000, 0xF000, 0x10000};
#define RIP 0x200000u

struct row {
    const char *what;
    uint8_t bytes[15];
    unsigned len;
    enum insn_sse sse;
    uint64_t address;
    unsigned xmm;
};

static const struct row rows[] = {
    {"movaps %xmm2,-0x20(%rbp)", {0x0F, 0x29, 0x55, 0xE0}, 4, INSN_SSE_STORE, 0x5FE0, 2},
    {"movaps (%rsp),%xmm2", {0x0F, 0x28, 0x14, 0x24}, 4, INSN_SSE_LOAD, 0x5000, 2},
    {"movaps %xmm9,0x10(%r13,%r12,8)",
     {0x47, 0x0F, 0x29, 0x4C, 0xE5, 0x10},
     6,
     INSN_SSE_STORE,
     0xE000 + 8 * 0xD000 + 0x10,
     9},
    {"movdqa 0x11223344(%rip),%xmm0",
     {0x66, 0x0F, 0x6F, 0x05, 0x44, 0x33, 0x22, 0x11},
     8,
     INSN_SSE_LOAD,
     RIP + 8 + 0x11223344,
     0},
    {"movdqa %xmm15,(%rax)", {0x66, 0x44, 0x0F, 0x7F, 0x38}, 5, INSN_SSE_STORE, 0x1000, 15},
    {"movntdq %xmm1,(%rdi)", {0x66, 0x0F, 0xE7, 0x0F}, 4, INSN_SSE_STORE, 0x8000, 1},
    {"movapd 0x1000,%xmm3",
     {0x66, 0x0F, 0x28, 0x1C, 0x25, 0x00, 0x10, 0x00, 0x00},
     9,
     INSN_SSE_LOAD,
     0x1000,
     3},
    {"paddq -0x8(%rsi),%xmm3", {0x66, 0x0F, 0xD4, 0x5E, 0xF8}, 5, INSN_SSE_OTHER, 0x6FF8, 3},
    {"shufps $5,(%rbx),%xmm1", {0x0F, 0xC6, 0x0B, 0x05}, 4, INSN_SSE_OTHER, 0x4000, 1},
    {"pshufd $0,(%r8),%xmm0", {0x66, 0x41, 0x0F, 0x70, 0x00, 0x00}, 6, INSN_SSE_OTHER, 0x9000, 0},
    {"pshufb (%rcx),%xmm4", {0x66, 0x0F, 0x38, 0x00, 0x21}, 5, INSN_SSE_OTHER, 0x2000, 4},
    {"palignr $3,(%rdx),%xmm5", {0x66, 0x0F, 0x3A, 0x0F, 0x2A, 3}, 6, INSN_SSE_OTHER, 0x3000, 5},
    {"movntdqa (%r15),%xmm8", {0x66, 0x45, 0x0F, 0x38, 0x2A, 0x07}, 6, INSN_SSE_LOAD, 0x10000, 8},
    {"movups (%rax),%xmm0: may be misaligned", {0x0F, 0x10, 0x00}, 3, INSN_SSE_NONE, 0x1000, 0},
    {"movq (%rax),%mm0: MMX", {0x0F, 0x6F, 0x00}, 3, INSN_SSE_NONE, 0x1000, 0},
    {"cmpxchg16b (%rdi)", {0x48, 0x0F, 0xC7, 0x0F}, 4, INSN_SSE_NONE, 0x8000, 1},
    {"fxsave (%rax)", {0x0F, 0xAE, 0x00}, 3, INSN_SSE_NONE, 0x1000, 0},
};

START_TEST(memory_operands)
{
    const struct row *r = &rows[_i];
    struct insn in;

    ck_assert_msg(insn_decode(r->bytes, sizeof(r->bytes), &in), "%s", r->what);
    ck_assert_msg(in.len == r->len, "%s: length %u", r->what, in.len);
    ck_assert_msg(in.memory, "%s", r->what);
    ck_assert_msg(insn_sse(&in) == r->sse, "%s: kind %d", r->what, insn_sse(&in));
    ck_assert_msg(insn_address(&in, gpr, RIP) == r->address, "%s: %lx", r->what,
                  (unsigned long)insn_address(&in, gpr, RIP));
    ck_assert_msg(insn_xmm(&in) == r->xmm, "%s: xmm%u", r->what, insn_xmm(&in));
}
END_TEST

/* Cut anywhere, an instruction is refused; it is never read past its end (ASan watches). */
START_TEST(truncated)
{
    const struct row *r = &rows[_i];
    struct insn in;
    unsigned n;

    for (n = 0; n < r->len; n++) {
        uint8_t *exact = malloc(n ? n : 1);

        memcpy(exact, r->bytes, n);
        ck_assert_msg(!insn_decode(exact, n, &in), "%s cut at %u", r->what, n);
        free(exact);
    }
}
END_TEST

START_TEST(without_effect)
{
    static const struct {
        uint8_t bytes[15];
        unsigned len;
        bool noop;
    } t[] = {
        {{0xFB}, 1, true},                   /* sti */
        {{0xFA}, 1, true},                   /* cli */
        {{0xF4}, 1, false},                  /* hlt: waits */
        {{0x0F, 0x01, 0x10}, 3, true},       /* lgdt (%rax) */
        {{0x0F, 0x01, 0x18}, 3, true},       /* lidt (%rax) */
        {{0x0F, 0x01, 0xD8}, 3, false},      /* vmrun */
        {{0x0F, 0x01, 0xD0}, 3, false},      /* xgetbv */
        {{0x0F, 0x00, 0xD8}, 3, true},       /* ltr %ax */
        {{0x0F, 0x00, 0xD0}, 3, true},       /* lldt %ax */
        {{0x0F, 0x00, 0xC8}, 3, false},      /* str %ax */
        {{0x0F, 0x01, 0x38}, 3, false},      /* invlpg */
        {{0x0F, 0x01, 0x5D, 0xF0}, 4, true}, /* lidt -0x10(%rbp) */
    };
    struct insn in;
    unsigned i;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        ck_assert_msg(insn_decode(t[i].bytes, 15, &in), "row %u", i);
        ck_assert_uint_eq(in.len, t[i].len);
        ck_assert_msg(insn_is_noop(&in) == t[i].noop, "row %u", i);
    }
}
END_TEST

START_TEST(refused)
{
    static const uint8_t t[][4] = {
        {0x90},
        {0xCC},
        {0x0F, 0x04, 0x21, 0x00},
        {0x0F, 0x05},
        {0x0F, 0x0B, 0, 0},
        {0xE6, 0xC0},
        {0x66, 0x66, 0x66, 0x66},
    };
    struct insn in;
    unsigned i;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        ck_assert_msg(!insn_decode(t[i], 4, &in), "row %u", i);
}
END_TEST

/* The relocated copy decodes to the same operation on the new address. */
START_TEST(relocation)
{
    const struct row *r = &rows[_i];
    uint8_t copy[INSN_MAX];
    struct insn in, out;
    unsigned n;

    ck_assert(insn_decode(r->bytes, sizeof(r->bytes), &in));
    n = insn_relocate(&in, 0x40, copy);
    ck_assert_uint_gt(n, 0);
    ck_assert(insn_decode(copy, n, &out));
    ck_assert_uint_eq(out.len, n);
    ck_assert_int_eq(insn_sse(&out), r->sse);
    ck_assert_uint_eq(insn_xmm(&out), r->xmm);
    ck_assert_uint_eq(out.imm_len, in.imm_len);
    ck_assert(insn_address(&out, gpr, RIP) == RIP + n + 0x40);
    if (in.imm_len)
        ck_assert_uint_eq(copy[n - 1], r->bytes[r->len - 1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("insn");
    TCase *t = tcase_create("decode");
    SRunner *r;
    int failed;

    tcase_add_loop_test(t, memory_operands, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(t, truncated, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(t, relocation, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(t, without_effect);
    tcase_add_test(t, refused);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
