/* SPDX-License-Identifier: BSD-2-Clause */
/* READ and WRITE on memory: the edge cases 51 to 64 of dtu-spec 10.4, numbered as there. */
/* LINK: vdtu */
#include "vdtu_fixture.h"

#define BASE  0x4000u /* what A's endpoint 6 shows of B's memory */
#define SIZE  0x8000u
#define LOCAL 0x2000u

static void mem_ep(unsigned pe, unsigned vpe, uint64_t base, uint64_t size, unsigned perm)
{
    fx_set_ep(A, 6, dtu_mem_r0(size), base, dtu_mem_r2(pe, vpe, perm));
}

static void setup(void)
{
    static uint8_t noise[FX_MEM];
    uint32_t x = 1;

    fx_setup();
    for (unsigned pe = 0; pe < FX_PES; pe++) {
        for (unsigned i = 0; i < FX_MEM; i++) {
            x = x * 1664525 + 1013904223;
            noise[i] = (uint8_t)(x >> 24);
        }
        fx_poke(&fx->pe[pe], 0, noise, FX_MEM);
    }
    mem_ep(FX_B, 3, BASE, SIZE, DTU_PERM_RW);
}

static void want_read(const struct fx_pe *from, uint64_t addr, uint64_t at, unsigned len)
{
    fx_want_mem(A, addr, from->want_mem + at, len);
}

START_TEST(edge_51)
{
    /* Nothing is looked at: not the type, not the flags, not the range. */
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 0, 0);
    fx_xfer(A, DTU_WRITE, 6, ~0ull, ~0ull, 0, 0);
    fx_xfer(A, DTU_READ, 9, LOCAL, 0, 0, 0);
    ck_assert_uint_eq(A->regs[DTU_COMMAND / 8], 0);
}
END_TEST

START_TEST(edge_52)
{
    fx_xfer(A, DTU_READ, 6, LOCAL, SIZE - 100, 100, 0);
    want_read(B, LOCAL, BASE + SIZE - 100, 100);
    fx_check(fx);
    fx_xfer(A, DTU_WRITE, 6, LOCAL + 500, SIZE - 100, 100, 0);
    fx_want_mem(B, BASE + SIZE - 100, A->want_mem + LOCAL + 500, 100);
    fx_check(fx);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, SIZE, 0); /* all of it: 8 packets */
    want_read(B, LOCAL, BASE, SIZE);
}
END_TEST

START_TEST(edge_53)
{
    fx_xfer(A, DTU_READ, 6, LOCAL, SIZE - 99, 100, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, SIZE - 99, 100, SE_INV_ARGS);
    fx_check(fx);
    /* The first packets would fit; none is sent. */
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, SIZE + 1, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, SIZE + 1, SE_INV_ARGS);
    fx_check(fx);
    fx_xfer(A, DTU_READ, 6, LOCAL, SIZE, 1, SE_INV_ARGS);
    fx_xfer(A, DTU_READ, 6, LOCAL, SIZE + 1, 1, SE_INV_ARGS);
}
END_TEST

START_TEST(edge_54)
{
    mem_ep(FX_B, 3, BASE, (1ull << 61) - 1, DTU_PERM_RW);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, ~0ull, 1, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, ~0ull, 2, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 8, ~0ull - 7, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 8, ~0ull, SE_INV_ARGS);
    fx_xfer(A, DTU_READ, 6, LOCAL, ~0ull - 7, 16, SE_INV_ARGS);
    fx_xfer(A, DTU_READ, 6, LOCAL, 1ull << 63, 1ull << 63, SE_INV_ARGS);
}
END_TEST

START_TEST(edge_55)
{
    const uint64_t r0[] = {0, dtu_send_r0(3, 256), dtu_recv_r0(8, 8), 4ull << 61,
                           7ull << 61 | SIZE};

    mem_ep(FX_B, 3, BASE, SIZE, DTU_PERM_W);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, SE_NO_PERM);
    mem_ep(FX_B, 3, BASE, SIZE, DTU_PERM_R);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 8, SE_NO_PERM);
    mem_ep(FX_B, 3, BASE, SIZE, 4);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, SE_NO_PERM);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 8, SE_NO_PERM);
    for (unsigned i = 0; i < 5; i++) {
        fx_set(A, DTU_EP(6, 0), r0[i]);
        fx_set(A, DTU_EP(6, 2), dtu_mem_r2(FX_B, 3, DTU_PERM_RW));
        fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, SE_EP_INVALID);
        fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 8, SE_EP_INVALID);
    }
}
END_TEST

/* Each flag alone is enough for its command. */
START_TEST(one_flag)
{
    mem_ep(FX_B, 3, BASE, SIZE, DTU_PERM_W);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 8, 0);
    fx_want_mem(B, BASE, A->want_mem + LOCAL, 8);
    mem_ep(FX_B, 3, BASE, SIZE, DTU_PERM_R | 4 | 8);
    fx_xfer(A, DTU_READ, 6, LOCAL, 8, 8, 0);
    want_read(B, LOCAL, BASE + 8, 8);
}
END_TEST

START_TEST(edge_56)
{
    const uint64_t bar = 0x3000;

    fx_kreg(K, FX_A, 2, DTU_RWB, bar);
    fx_want(A, DTU_RWB, bar);
    ck_assert_uint_eq(A->barrier, bar);
    fx_xfer(A, DTU_READ, 6, bar - 8, 0, 8, 0); /* ends at the barrier */
    want_read(B, bar - 8, BASE, 8);
    fx_check(fx);
    fx_xfer(A, DTU_READ, 6, bar - 7, 0, 8, SE_INV_ARGS);
    fx_xfer(A, DTU_READ, 6, bar, 0, 1, SE_INV_ARGS);
    fx_xfer(A, DTU_READ, 6, bar + 8, 0, 8, SE_INV_ARGS);
    fx_xfer(A, DTU_READ, 6, ~0ull - 3, 0, 8, SE_INV_ARGS);
    /* A long one: nothing at all is written. */
    fx_xfer(A, DTU_READ, 6, LOCAL - 0x1000, 0, 0x2001, SE_INV_ARGS);
    fx_check(fx);
    fx_xfer(A, DTU_READ, 6, LOCAL - 0x1000, 0, 0x2000, 0);
    want_read(B, LOCAL - 0x1000, BASE, 0x2000);
}
END_TEST

/* On the memory PE the barrier resets to 0: it can WRITE, but never READ. */
START_TEST(barrier_of_memory_pe)
{
    fx_set_ep(M, 6, dtu_mem_r0(SIZE), BASE, dtu_mem_r2(FX_B, 3, DTU_PERM_RW));
    fx_xfer(M, DTU_READ, 6, 0, 0, 1, SE_INV_ARGS);
    fx_xfer(M, DTU_WRITE, 6, 0, 0, 16, 0);
    fx_want_mem(B, BASE, M->want_mem, 16);
}
END_TEST

START_TEST(edge_57)
{
    fx_kreg(K, FX_A, 2, DTU_RWB, 0x1000);
    fx_want(A, DTU_RWB, 0x1000);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 5000, 0);
    fx_want_mem(B, BASE, A->want_mem + LOCAL, 5000);
}
END_TEST

/* The barrier of the target is no matter. */
START_TEST(barrier_of_target)
{
    fx_kreg(K, FX_B, 3, DTU_RWB, 0x1000);
    fx_want(B, DTU_RWB, 0x1000);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 8, 0);
    fx_want_mem(B, BASE, A->want_mem + LOCAL, 8);
}
END_TEST

START_TEST(edge_58)
{
    static const struct {
        unsigned addr, off, len;
    } t[] = {{1, 3, 1},        {7, 5, 4095}, {1, 2, 4096},     {3, 1, 4097},
             {0x61, 3, 10000}, {0, 0, 8192}, {5, 4091, 12289}, {2, 9, 79}};

    fx_xfer(A, DTU_READ, 6, LOCAL + t[_i].addr, t[_i].off, t[_i].len, 0);
    want_read(B, LOCAL + t[_i].addr, BASE + t[_i].off, t[_i].len);
    fx_check(fx);
    fx_xfer(A, DTU_WRITE, 6, 0xA001, t[_i].off, t[_i].len, 0);
    fx_want_mem(B, BASE + t[_i].off, A->want_mem + 0xA001, t[_i].len);
}
END_TEST

/* Unaligned or behind the end of the registers: success, and nothing (also edge_60). */
START_TEST(edge_59)
{
    static const struct {
        unsigned off, len;
    } t[] = {{4, 8}, {0x71, 8}, {0x70, 4}, {0x70, 12}, {0x28, 1}, {0x2C, 4}, {0x6C, 24}};
    const uint8_t zero[24] = {0};

    mem_ep(FX_B, 3, DTU_BASE + t[_i].off, 64, DTU_PERM_RW);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, t[_i].len, 0);
    B->want_stats.ignored_noc++;
    fx_check(fx);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, t[_i].len, 0);
    fx_want_mem(A, LOCAL, zero, t[_i].len);
}
END_TEST

START_TEST(edge_60)
{
    static const struct {
        unsigned off, len;
    } t[] = {{0x1F0, 8},  {0x1E8, 16}, {0x1F8, 8},   {0, 0x1F8},
             {0x1000, 8}, {0, 4096},   {0x70, 0x188}};
    static const uint8_t zero[4096];

    mem_ep(FX_B, 3, DTU_BASE + t[_i].off, 4096, DTU_PERM_RW);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, t[_i].len, 0);
    B->want_stats.ignored_noc++;
    fx_check(fx);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, t[_i].len, 0);
    fx_want_mem(A, LOCAL, zero, t[_i].len);
}
END_TEST

START_TEST(edge_61)
{
    uint8_t want[16] = {0};

    /* The target's memory ends in the middle. */
    mem_ep(FX_B, 3, FX_MEM - 6, 1 << 20, DTU_PERM_RW);
    memcpy(want, B->mem + FX_MEM - 6, 6);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 16, 0);
    fx_want_mem(A, LOCAL, want, 16);
    B->want_stats.outside++;
    fx_check(fx);
    fx_xfer(A, DTU_WRITE, 6, LOCAL + 64, 0, 16, 0);
    fx_want_mem(B, FX_MEM - 6, A->want_mem + LOCAL + 64, 6);
    B->want_stats.outside++;
    fx_check(fx);
    /* It begins behind. */
    memset(want, 0, sizeof(want));
    fx_xfer(A, DTU_READ, 6, LOCAL, 0x1000, 16, 0);
    fx_want_mem(A, LOCAL, want, 16);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0x1000, 16, 0);
    B->want_stats.outside += 2;
    fx_check(fx);
    /* From just below the registers into them: memory, by its start (dtu-spec 1.6). */
    mem_ep(FX_B, 3, DTU_BASE - 8, 64, DTU_PERM_RW);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 64, 0);
    B->want_stats.outside++;
}
END_TEST

/* The same at the initiator. */
START_TEST(edge_61_local)
{
    uint8_t want[16] = {0};

    fx_xfer(A, DTU_READ, 6, FX_MEM - 6, 0, 16, 0);
    fx_want_mem(A, FX_MEM - 6, B->want_mem + BASE, 6);
    fx_xfer(A, DTU_READ, 6, 1ull << 32, 0, 5000, 0);
    A->want_stats.outside += 3;
    fx_check(fx);
    memcpy(want, A->mem + FX_MEM - 6, 6);
    fx_xfer(A, DTU_WRITE, 6, FX_MEM - 6, 0, 16, 0);
    fx_want_mem(B, BASE, want, 16);
    A->want_stats.outside++;
    fx_check(fx);
    memset(want, 0, sizeof(want));
    fx_xfer(A, DTU_WRITE, 6, ~0ull - 7, 0, 16, 0);
    fx_want_mem(B, BASE, want, 16);
    A->want_stats.outside++;
}
END_TEST

START_TEST(edge_62)
{
    mem_ep(FX_M, 0, FX_MEM - 8, 1ull << 40, DTU_PERM_RW);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, 0);
    want_read(M, LOCAL, FX_MEM - 8, 8);
    fx_check(fx);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 9, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 9, SE_INV_ARGS);
    fx_xfer(A, DTU_READ, 6, LOCAL, 8, 1, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0x100000, 8, SE_INV_ARGS);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, DTU_BASE - FX_MEM, 8, SE_INV_ARGS);
    M->want_stats.outside += 5;
    fx_check(fx);
    /* Its registers are there, though. */
    mem_ep(FX_M, 0, DTU_BASE, 64, DTU_PERM_RW);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, 0);
    fx_want_mem(A, LOCAL, "\1\0\0\0\0\0\0\0", 8);
}
END_TEST

START_TEST(edge_63)
{
    static const struct {
        uint64_t base, off, len;
        unsigned err;
    } t[] = {
        {1ull << 37, 0, 8, SE_INV_ARGS},
        {(1ull << 37) - 8, 8, 8, SE_INV_ARGS},
        {~0ull, 8, 8, SE_INV_ARGS}, /* wraps */
        {0, 1ull << 37, 8, SE_INV_ARGS},
        {0, (1ull << 61) - 8, 8, SE_INV_ARGS},       /* the largest there is */
        {(1ull << 37) - 4096, 0, 4097, SE_INV_ARGS}, /* the second packet */
        {(1ull << 37) - 4096, 0, 4096, SE_OK},
        {(1ull << 37) - 8, 0, 16, SE_OK}, /* starts below; B has no register there */
    };

    mem_ep(FX_B, 3, t[_i].base, ~0ull, DTU_PERM_RW);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, t[_i].off, t[_i].len, t[_i].err);
    B->want_stats.ignored_noc += !t[_i].err;
}
END_TEST

START_TEST(edge_64)
{
    mem_ep(FX_B, 4, BASE, SIZE, DTU_PERM_RW);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 10000, SE_VPE_GONE);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 10000, SE_VPE_GONE);
    mem_ep(FX_B, DTU_VPE_INVALID, DTU_BASE, 64, DTU_PERM_RW);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, SE_VPE_GONE);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 8, SE_VPE_GONE);
    B->want_stats.refused_vpe += 4;
    fx_check(fx);
    /* Before the question whether the memory is there. */
    mem_ep(FX_M, 1, FX_MEM, SIZE, DTU_PERM_RW);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, SE_VPE_GONE);
    M->want_stats.refused_vpe++;
}
END_TEST

START_TEST(no_such_pe)
{
    const unsigned pe[] = {4, 1022, 1023};

    mem_ep(pe[_i], 0, BASE, SIZE, DTU_PERM_RW);
    fx_xfer(A, DTU_READ, 6, LOCAL, 0, 8, SE_EP_INVALID);
    fx_xfer(A, DTU_WRITE, 6, LOCAL, 0, 8, SE_EP_INVALID);
}
END_TEST

/* To and from itself, overlapping: packet by packet, each as if copied out first. */
START_TEST(self)
{
    uint8_t want[300];

    mem_ep(FX_A, 2, 0, FX_MEM, DTU_PERM_RW);
    memcpy(want, A->mem + 0x5000, sizeof(want));
    fx_xfer(A, DTU_READ, 6, 0x5000 + 100, 0x5000, 300, 0);
    fx_want_mem(A, 0x5000 + 100, want, 300);
    fx_check(fx);
    memcpy(want, A->mem + 0x6000, sizeof(want));
    fx_xfer(A, DTU_WRITE, 6, 0x6000, 0x6000 - 100, 300, 0);
    fx_want_mem(A, 0x6000 - 100, want, 300);
}
END_TEST

/* The host's own window into local memory. */
START_TEST(host_access)
{
    uint8_t buf[32];

    ck_assert_uint_eq(vdtu_mem_read(B->d, FX_MEM - 10, buf, 32), 10);
    ck_assert_mem_eq(buf, B->mem + FX_MEM - 10, 10);
    for (unsigned i = 10; i < 32; i++)
        ck_assert_uint_eq(buf[i], 0);
    ck_assert_uint_eq(vdtu_mem_write(B->d, FX_MEM - 4, "abcdefgh", 8), 4);
    fx_want_mem(B, FX_MEM - 4, "abcd", 4);
    ck_assert_uint_eq(vdtu_mem_read(B->d, ~0ull, buf, 32), 0);
    ck_assert_uint_eq(vdtu_mem_write(B->d, FX_MEM, "abcd", 4), 0);
    ck_assert_uint_eq(vdtu_mem_write(B->d, FX_MEM - 4, "ABCD", ~0ull), 4);
    fx_want_mem(B, FX_MEM - 4, "ABCD", 4);
    B->want_stats.outside += 5;
    ck_assert_uint_eq(vdtu_mem_write(B->d, 0x100, "abcd", 4), 4);
    fx_want_mem(B, 0x100, "abcd", 4);
    ck_assert_uint_eq(vdtu_mem_read(B->d, FX_MEM, buf, 0), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu memory");
    TCase *c = tcase_create("memory");

    tcase_add_checked_fixture(c, setup, fx_teardown);
    tcase_add_test(c, edge_51);
    tcase_add_test(c, edge_52);
    tcase_add_test(c, edge_53);
    tcase_add_test(c, edge_54);
    tcase_add_test(c, edge_55);
    tcase_add_test(c, one_flag);
    tcase_add_test(c, edge_56);
    tcase_add_test(c, barrier_of_memory_pe);
    tcase_add_test(c, edge_57);
    tcase_add_test(c, barrier_of_target);
    tcase_add_loop_test(c, edge_58, 0, 8);
    tcase_add_loop_test(c, edge_59, 0, 7);
    tcase_add_loop_test(c, edge_60, 0, 7);
    tcase_add_test(c, edge_61);
    tcase_add_test(c, edge_61_local);
    tcase_add_test(c, edge_62);
    tcase_add_loop_test(c, edge_63, 0, 8);
    tcase_add_test(c, edge_64);
    tcase_add_loop_test(c, no_such_pe, 0, 3);
    tcase_add_test(c, self);
    tcase_add_test(c, host_access);
    suite_add_tcase(s, c);
    return fx_run(s);
}
