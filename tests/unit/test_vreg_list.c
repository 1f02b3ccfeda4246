/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vdtu vmm/vreg_list.c */
/*
 * VREG_LIST: each step is the command that it would be alone, the list ends with the first that
 * fails, and nothing but the results is written, none of it where the program may not write.
 */
#include <stdatomic.h>

#include "vdtu_fixture.h"

#include "../../vmm/exits.h"
#include "../../vmm/node.h"
#include "../../vmm/sched.h"

#define AT        0x3000u
#define SLOT(i)   (FX_RBUF + 256u * (i))
#define STEP_SIZE sizeof(struct vreg_step)

static struct node node;
static struct pe pe;
static unsigned steps, stop_after;

/* Others may go first: somebody resets the PE meanwhile. */
static void on_step(struct pe *p)
{
    steps++;
    if (steps == stop_after)
        atomic_store(&p->kicked, true);
}

static const struct sched sched = {.name = "test", .step = on_step};

static void list_of(struct fx_pe *p)
{
    memset(&pe, 0, sizeof(pe));
    memset(&node, 0, sizeof(node));
    node.sched = &sched;
    pe.node = &node;
    pe.dtu = p->d;
    atomic_store(&pe.barrier, FX_MEM);
    steps = stop_after = 0;
}

static void put(struct fx_pe *p, uint64_t at, unsigned i, struct vreg_step s)
{
    memcpy(p->mem + at + i * STEP_SIZE, &s, STEP_SIZE);
}

static struct vreg_step get(const struct fx_pe *p, unsigned i)
{
    struct vreg_step s;

    memcpy(&s, p->mem + AT + i * STEP_SIZE, STEP_SIZE);
    return s;
}

static struct vreg_step a_send(unsigned ep)
{
    return (struct vreg_step){.command = DTU_CMD(DTU_SEND, ep),
                              .data_addr = FX_SRC,
                              .data_size = 5,
                              .offset = 0x77,
                              .reply_ep = 1,
                              .result = 0xEE,
                              .config = 0};
}

START_TEST(sends_and_fetches)
{
    memcpy(A->mem + FX_SRC, "hello", 5);
    list_of(A);
    for (unsigned i = 0; i < 5; i++)
        put(A, AT, i, a_send(4));
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 3)), 3);
    ck_assert_uint_eq(steps, 2); /* the store itself was the first */
    ck_assert_uint_eq(get(A, 2).result, SE_OK);
    ck_assert_uint_eq(get(A, 3).result, 0xEE);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_MSG_CNT), 3);
    /* Four slots: the second of these finds none, the third is not tried. */
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 3)), 1);
    ck_assert_uint_eq(get(A, 0).result, SE_OK);
    ck_assert_uint_eq(get(A, 1).result, SE_NO_RING_SPACE);
    ck_assert_uint_eq(get(A, 2).result, SE_OK); /* as it was */
    ck_assert_uint_eq(get(A, 4).result, 0xEE);

    list_of(B);
    for (unsigned i = 0; i < 6; i++)
        put(B, AT, i, (struct vreg_step){.command = DTU_CMD(DTU_FETCH, 2), .offset = 1});
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 6)), 6);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(get(B, i).offset, SLOT(i));
    ck_assert_uint_eq(get(B, 4).offset, 0);
    ck_assert_uint_eq(get(B, 5).offset, 0);
    ck_assert_uint_eq(B->mem[SLOT(3) + 25], 'h');
    fx_accept(fx);
}
END_TEST

START_TEST(interrupted)
{
    list_of(A);
    for (unsigned i = 0; i < 4; i++)
        put(A, AT, i, a_send(4));
    stop_after = 2;
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 4)), 2);
    ck_assert_uint_eq(get(A, 2).result, 0xEE);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_MSG_CNT), 2);
    atomic_store(&pe.kicked, false);
    stop_after = 0;
    atomic_store(&node.end, NODE_EXITED);
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 4)), 1);
    fx_accept(fx);
}
END_TEST

/* No list there, or only the beginning of one. */
START_TEST(bad_places)
{
    static const uint64_t bad[] = {FX_MEM, FX_MEM - 8,        FX_MEM - 56,     AT + 4,
                                   AT + 1, (1ull << 48) - 64, (1ull << 48) - 8};

    list_of(A);
    put(A, AT, 0, a_send(4));
    put(A, AT, 1, a_send(4));
    fx_accept(fx);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(bad[i], 2)), 0);
    fx_check(fx);                              /* nothing was even looked at */
    atomic_store(&pe.barrier, DTU_RW_BARRIER); /* no barrier: memory ends all the same */
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(bad[i], 2)), 0);
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 0)), 0);
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, VREG_STEPS_MAX + 1)), 0);
    ck_assert_uint_eq(vreg_run_list(&pe, ~0ull), 0);
    ck_assert_uint_eq(vdtu_reg(B->d, DTU_MSG_CNT), 0);
    put(A, FX_MEM - 64, 0, a_send(4));
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(FX_MEM - 64, 2)), 1);
    atomic_store(&pe.barrier, AT + 100); /* the second is not the program's to write */
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 2)), 1);
    ck_assert_uint_eq(get(A, 1).result, 0xEE);
    fx_accept(fx);
}
END_TEST

#define WORDS 0x5000u

/* What `p` stores to its endpoint 14 and then does with it: 8 bytes to B's memory. */
static unsigned configured_write(struct fx_pe *p, uint64_t at, unsigned ep)
{
    const uint64_t words[3] = {dtu_mem_r0(0x100), 0x6000, dtu_mem_r2(3, 3, DTU_PERM_RW)};

    list_of(p);
    memcpy(p->mem + WORDS, words, sizeof(words));
    memcpy(p->mem + FX_SRC, "eightbyt", 8);
    put(p, AT, 0,
        (struct vreg_step){.command = DTU_CMD(DTU_WRITE, ep),
                           .data_addr = FX_SRC,
                           .data_size = 8,
                           .offset = 0x10,
                           .result = 0xEE,
                           .config = at});
    return (unsigned)vreg_run_list(&pe, vreg_list(AT, 1));
}

/* Words for the endpoint are stores by the PE: they are its DTU's to take or not. */
START_TEST(configures)
{
    ck_assert_uint_eq(configured_write(K, WORDS, 14), 1);
    ck_assert_int_eq(memcmp(B->mem + 0x6010, "eightbyt", 8), 0);
    ck_assert_uint_eq(vdtu_reg(K->d, DTU_EP(14, 1)), 0x6000);
    fx_accept(fx);
    fx_kreg(K, 2, 2, DTU_STATUS, 0);
    ck_assert_uint_eq(configured_write(A, WORDS, 14), 0); /* may not configure: no endpoint there */
    ck_assert_uint_eq(vdtu_reg(A->d, DTU_EP(14, 1)), 0);
    memcpy(B->mem + 0x6010, "--------", 8);
    ck_assert_uint_eq(configured_write(K, FX_MEM - 16, 14), 0);
    ck_assert_uint_eq(configured_write(K, WORDS + 4, 14), 0);
    ck_assert_uint_eq(configured_write(K, ~7ull, 14), 0);
    ck_assert_uint_eq(configured_write(K, WORDS, DTU_EPS), 0);
    ck_assert_int_eq(memcmp(B->mem + 0x6010, "--------", 8), 0);
    ck_assert_uint_eq(*(uint64_t *)(void *)(K->mem + AT + offsetof(struct vreg_step, result)),
                      0xEE); /* none of these was run */
    fx_accept(fx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vreg list");
    TCase *c = tcase_create("list");

    tcase_add_checked_fixture(c, fx_setup, fx_teardown);
    tcase_add_test(c, sends_and_fetches);
    tcase_add_test(c, interrupted);
    tcase_add_test(c, bad_places);
    tcase_add_test(c, configures);
    suite_add_tcase(s, c);
    return fx_run(s);
}
