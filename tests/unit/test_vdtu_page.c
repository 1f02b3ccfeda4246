/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an owner adds to its DTU: a page of registers behind the window, reachable through the NoC
 * with the right VPE id only, and the reset of a CPU.
 */
#include "vdtu_fixture.h"

#define PAGE (DTU_BASE + 4096)

static uint64_t page[512];
static unsigned loads, stores;

static uint64_t page_load(void *arg, unsigned off)
{
    (void)arg;
    loads++;
    return page[off / 8];
}

static void page_store(void *arg, unsigned off, uint64_t value)
{
    (void)arg;
    stores++;
    page[off / 8] = value;
}

/* Two DTUs: 1 has a memory endpoint (3) that covers everything of 2; 2 has the page, or not. */
static struct vdtu_noc *noc;
static struct vdtu *one, *two;
static uint8_t mem[2][65536];
static uint64_t regs[2][512];

static void set_up(const struct vdtu_ops *ops)
{
    struct vdtu_config c = {.pe = 1, .mem = mem[0], .mem_size = sizeof(mem[0]), .regs = regs[0]};

    noc = vdtu_noc_new();
    ck_assert_int_eq(vdtu_new(noc, &c, &one), 0);
    c = (struct vdtu_config){
        .pe = 2, .mem = mem[1], .mem_size = sizeof(mem[1]), .regs = regs[1], .ops = ops};
    ck_assert_int_eq(vdtu_new(noc, &c, &two), 0);
    vdtu_store(one, DTU_EP(3, 0), dtu_mem_r0(1ull << 40), 8);
    vdtu_store(one, DTU_EP(3, 2), dtu_mem_r2(2, DTU_VPE_INVALID, DTU_PERM_RW), 8);
}

static void with_page(void)
{
    static const struct vdtu_ops ops = {.page_load = page_load, .page_store = page_store};

    set_up(&ops);
}

static void without_page(void)
{
    set_up(NULL);
}

static void tear_down(void)
{
    vdtu_free(one);
    vdtu_free(two);
    vdtu_noc_free(noc);
}

static unsigned transfer(unsigned op, uint64_t at, uint64_t size)
{
    vdtu_store(one, DTU_DATA_ADDR, 0x100, 8);
    vdtu_store(one, DTU_DATA_SIZE, size, 8);
    vdtu_store(one, DTU_OFFSET, at, 8);
    vdtu_store(one, DTU_COMMAND, DTU_CMD(op, 3), 8);
    return (unsigned)(vdtu_reg(one, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT);
}

static uint64_t ignored(void)
{
    struct vdtu_stats s;

    vdtu_stats(two, &s);
    return s.ignored_noc;
}

START_TEST(through_the_noc)
{
    memset(mem[0] + 0x100, 0x5A, 8);
    ck_assert_uint_eq(transfer(DTU_WRITE, PAGE + 0x70, 8), SE_OK);
    ck_assert_uint_eq(stores, 1);
    ck_assert_uint_eq(page[14], 0x5A5A5A5A5A5A5A5Aull);
    page[14] = 0x77;
    ck_assert_uint_eq(transfer(DTU_READ, PAGE + 0x70, 8), SE_OK);
    ck_assert_uint_eq(loads, 1);
    ck_assert_mem_eq(mem[0] + 0x100, "\x77\0\0\0\0\0\0\0", 8);
    ck_assert_uint_eq(transfer(DTU_WRITE, PAGE + 0xFF8, 8), SE_OK);
    ck_assert_uint_eq(stores, 2);
}
END_TEST

/* Only one aligned register at a time, and nothing beyond the page. */
START_TEST(other_accesses)
{
    static const struct {
        uint64_t at, size;
    } t[] = {{PAGE + 0x70, 16}, {PAGE + 0x70, 4},   {PAGE + 0x71, 8},
             {PAGE + 0xFFC, 8}, {PAGE + 0x1000, 8}, {PAGE - 8, 16}};
    uint64_t before = ignored();

    ck_assert_uint_eq(transfer(DTU_WRITE, t[_i].at, t[_i].size), SE_OK);
    ck_assert_uint_eq(stores, 0);
    ck_assert_uint_eq(ignored(), before + 1);
    memset(mem[0] + 0x100, 0x5A, 16);
    ck_assert_uint_eq(transfer(DTU_READ, t[_i].at, t[_i].size), SE_OK);
    ck_assert_uint_eq(loads, 0);
    ck_assert_uint_eq(mem[0][0x100], 0);
}
END_TEST

START_TEST(wrong_vpe)
{
    vdtu_store(one, DTU_EP(3, 2), dtu_mem_r2(2, 5, DTU_PERM_RW), 8);
    ck_assert_uint_eq(transfer(DTU_WRITE, PAGE + 0x70, 8), SE_VPE_GONE);
    ck_assert_uint_eq(stores, 0);
}
END_TEST

/* The CPU's own stores there are the owner's business, not the DTU's. */
START_TEST(not_for_the_cpu)
{
    vdtu_store(two, 0x1070, 1, 8);
    ck_assert_uint_eq(stores, 0);
    ck_assert_uint_eq(vdtu_load(two, 0x1070, 8), 0);
    ck_assert_uint_eq(loads, 0);
}
END_TEST

START_TEST(nobody_home)
{
    uint64_t before = ignored();

    ck_assert_uint_eq(transfer(DTU_WRITE, PAGE + 0x70, 8), SE_OK);
    ck_assert_uint_eq(ignored(), before + 1);
    mem[0][0x100] = 1;
    ck_assert_uint_eq(transfer(DTU_READ, PAGE + 0x70, 8), SE_OK);
    ck_assert_uint_eq(mem[0][0x100], 0);
}
END_TEST

static unsigned wiped;

static void wipe(void *arg)
{
    (void)arg;
    wiped++;
}

START_TEST(reset)
{
    unsigned off;

    vdtu_store(two, DTU_EP(2, 0), dtu_recv_r0(8, 8), 8);
    vdtu_store(two, DTU_EP(2, 1), 0x1000, 8);
    for (off = DTU_DATA_ADDR; off <= DTU_REPLY_LABEL; off += 8)
        vdtu_store(two, off, 0xABCD, 8);
    vdtu_wakeup(two);
    vdtu_reset_cpu(two, wipe);
    ck_assert_uint_eq(wiped, 1);
    for (off = DTU_COMMAND; off <= DTU_REPLY_LABEL; off += 8)
        ck_assert_uint_eq(vdtu_reg(two, off), 0);
    ck_assert_uint_eq(vdtu_poll(two), 0); /* the wake-up was the old program's */
    ck_assert_uint_eq(vdtu_reg(two, DTU_EP(2, 0)), dtu_recv_r0(8, 8));
    ck_assert_uint_eq(vdtu_reg(two, DTU_STATUS), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu page");
    TCase *t = tcase_create("page"), *u = tcase_create("no page");

    tcase_add_checked_fixture(t, with_page, tear_down);
    tcase_add_test(t, through_the_noc);
    tcase_add_loop_test(t, other_accesses, 0, 6);
    tcase_add_test(t, wrong_vpe);
    tcase_add_test(t, not_for_the_cpu);
    tcase_add_test(t, reset);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(u, without_page, tear_down);
    tcase_add_test(u, nobody_home);
    suite_add_tcase(s, u);
    return fx_run(s);
}
