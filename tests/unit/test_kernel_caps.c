/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capability tables and revocation: the radix table, long chains, wide and random trees against a
 * naive model, and that revoking leaves neither endpoints nor heap behind.
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/move.c guest/kernel/move_give.c guest/kernel/move_take.c
 * LINK: guest/kernel/move_hold.c guest/kernel/park.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "kernel_fake.h"

#define CHAIN 10000u

static struct vpe *a, *b, *c;

static void setup(void)
{
    fake_boot(4);
    a = fake_vpe();
    b = fake_vpe();
    c = fake_vpe();
}

static void teardown(void)
{
    fake_check();
    fake_end();
}

static struct cap *root(struct vpe *v, uint32_t sel)
{
    struct cap *gate = cap_create(v, sel, CAP_MSG, cap_get(&v->caps, CAP_SELF_VPE));

    ck_assert_ptr_nonnull(gate);
    gate->msg.label = sel;
    gate->msg.maxmsg = 128;
    gate->msg.pe = gate->msg.vpe = v->pe;
    gate->msg.ep = 2;
    return gate;
}

START_TEST(table_takes_all_selectors)
{
    /* Every leaf's ends, and the ends of the range. */
    for (uint32_t leaf = 0; leaf < 256; leaf++) {
        uint32_t first = leaf * CAP_FANOUT, last = first + CAP_FANOUT - 1;

        if (first > 1)
            ck_assert_ptr_nonnull(root(a, first));
        if (last < CAP_INVALID)
            ck_assert_ptr_nonnull(root(a, last));
    }
    ck_assert_uint_eq(a->caps.count, 2 * 256 - 1 + 1); /* 0 was there, 1 too; 0xFFFF cannot be */
    ck_assert_ptr_null(cap_get(&a->caps, CAP_INVALID));
    ck_assert_ptr_null(cap_get(&a->caps, ~0u));
    ck_assert(!cap_unused(&a->caps, CAP_INVALID));
    ck_assert(!cap_unused(&a->caps, CAP_FANOUT));
    ck_assert(cap_unused(&a->caps, CAP_FANOUT + 1));
    ck_assert_uint_eq(cap_next(&a->caps, CAP_FANOUT + 1)->sel, 2 * CAP_FANOUT - 1);
    ck_assert_ptr_null(cap_next(&a->caps, CAP_INVALID));
    ck_assert_ptr_null(cap_next(&a->caps, CAP_INVALID - 1));
}
END_TEST

START_TEST(ranges)
{
    ck_assert(cap_range_valid(0, 0));
    ck_assert(cap_range_valid(2, CAP_INVALID - 2));
    ck_assert(!cap_range_valid(2, CAP_INVALID - 1));
    ck_assert(!cap_range_valid(CAP_INVALID, 0));
    ck_assert(!cap_range_valid(2, ~0u));
    ck_assert(!cap_range_valid(~0u, 2));
}
END_TEST

START_TEST(table_is_limited)
{
    size_t before = fake_heap_used();
    struct cap *first = root(a, 2);

    for (uint32_t sel = 3; sel < VPE_CAPS_MAX; sel++)
        ck_assert_ptr_nonnull(cap_derive(first, a, sel));
    ck_assert_ptr_null(cap_derive(first, a, VPE_CAPS_MAX));
    cap_revoke(first);
    ck_assert_uint_eq(a->caps.count, 2);
    ck_assert_uint_eq(fake_heap_used(), before);
}
END_TEST

START_TEST(no_heap_no_capability)
{
    for (size_t left = 0; left < 2; left++) {
        fake_heap_left = left;
        ck_assert_ptr_null(cap_create(a, 1000, CAP_MSG, NULL));
        ck_assert(cap_unused(&a->caps, 1000));
    }
    fake_heap_left = ~(size_t)0;
}
END_TEST

/* Revocation of n capabilities must not need more stack than that of one. */
static void limit_stack(void)
{
    const struct rlimit small = {.rlim_cur = 256 << 10, .rlim_max = 256 << 10};

    ck_assert_int_eq(setrlimit(RLIMIT_STACK, &small), 0);
}

START_TEST(chain_of_ten_thousand)
{
    struct vpe *holders[] = {a, b, c};
    size_t before = fake_heap_used();
    struct cap *first = root(a, 2), *last = first;

    limit_stack();
    for (uint32_t i = 1; i < CHAIN; i++) {
        last = cap_derive(last, holders[i % 3], 2 + i);
        ck_assert_ptr_nonnull(last);
    }
    ck_assert_int_eq(ep_activate(last->holder, 5, last), SE_OK);
    ck_assert_uint_eq(fake_ep_type(holders[(CHAIN - 1) % 3]->pe, 5), DTU_EP_SEND);
    fake_check();
    cap_revoke(first);
    ck_assert_uint_eq(fake_ep_type(holders[(CHAIN - 1) % 3]->pe, 5), DTU_EP_INVALID);
    ck_assert_uint_eq(a->caps.count + b->caps.count + c->caps.count, 6);
    ck_assert_uint_eq(fake_heap_used(), before);
}
END_TEST

START_TEST(ten_thousand_children)
{
    size_t before = fake_heap_used();
    struct cap *first = root(a, 2);

    limit_stack();
    for (uint32_t i = 0; i < CHAIN; i++)
        ck_assert_ptr_nonnull(cap_derive(first, b, 2 + i));
    cap_revoke_children(first, NULL);
    ck_assert_ptr_eq(cap_get(&a->caps, 2), first);
    ck_assert_ptr_null(first->child);
    ck_assert_uint_eq(b->caps.count, 2);
    cap_revoke(first);
    ck_assert_uint_eq(fake_heap_used(), before);
}
END_TEST

START_TEST(inner_revoke_leaves_the_rest)
{
    struct cap *r = root(a, 2);
    struct cap *left = cap_derive(r, b, 2), *mid = cap_derive(r, b, 3),
               *right = cap_derive(r, b, 4);

    ck_assert_ptr_nonnull(cap_derive(mid, c, 2));
    cap_revoke(mid);
    ck_assert_ptr_eq(cap_get(&b->caps, 2), left);
    ck_assert_ptr_null(cap_get(&b->caps, 3));
    ck_assert_ptr_eq(cap_get(&b->caps, 4), right);
    ck_assert_ptr_null(cap_get(&c->caps, 2));
    fake_check();
    cap_revoke(right);
    cap_revoke(left);
    ck_assert_ptr_null(r->child);
}
END_TEST

START_TEST(one_gate_on_several_endpoints)
{
    struct cap *r = root(a, 2);
    struct cap *g = cap_derive(r, b, 2), *other = cap_derive(r, b, 3);

    ck_assert_int_eq(ep_activate(b, 4, g), SE_OK);
    ck_assert_int_eq(ep_activate(b, 9, g), SE_OK);
    ck_assert_int_eq(ep_activate(b, 15, g), SE_OK);
    ck_assert_int_eq(ep_activate(b, 9, other), SE_OK); /* takes its place */
    fake_check();
    cap_revoke(g);
    ck_assert_uint_eq(fake_ep_type(b->pe, 4), DTU_EP_INVALID);
    ck_assert_uint_eq(fake_ep_type(b->pe, 9), DTU_EP_SEND);
    ck_assert_uint_eq(fake_ep_type(b->pe, 15), DTU_EP_INVALID);
    fake_check();
    cap_revoke(r);
    ck_assert_uint_eq(fake_ep_type(b->pe, 9), DTU_EP_INVALID);
}
END_TEST

START_TEST(memory_is_freed_once_and_last)
{
    uint64_t before = memmap_available(&kern.mem);

    ck_assert_int_eq(CALL(a->pe, SYSC_REQMEM, 2, ~0ull, 4096, DTU_PERM_RW), SE_OK);
    ck_assert_uint_eq(memmap_available(&kern.mem), before - 4096);
    ck_assert_int_eq(CALL(a->pe, SYSC_DERIVEMEM, 2, 3, 1024, 1024, DTU_PERM_R), SE_OK);
    ck_assert_ptr_nonnull(cap_derive(cap_get(&a->caps, 3), b, 7));
    cap_revoke(cap_get(&a->caps, 3));
    ck_assert_ptr_null(cap_get(&b->caps, 7));
    ck_assert_uint_eq(memmap_available(&kern.mem), before - 4096);
    cap_revoke(cap_get(&a->caps, 2));
    ck_assert_uint_eq(memmap_available(&kern.mem), before);
}
END_TEST

/* ---- random forests against a model that is as simple as can be ---- */

#define NODES  300
#define ROUNDS 60

struct node {
    bool alive;
    int parent; /* -1: root */
    struct vpe *holder;
    uint32_t sel;
    int ep; /* -1: not activated */
};
static struct node model[NODES];

static bool below(int i, int top)
{
    for (int steps = 0; i >= 0 && steps <= NODES; steps++) {
        if (i == top)
            return true;
        i = model[i].parent;
    }
    return false;
}

static void model_revoke(int top, bool own)
{
    bool dead[NODES];

    for (int i = 0; i < NODES; i++)
        dead[i] = model[i].alive && below(i, top) && (own || i != top);
    for (int i = 0; i < NODES; i++)
        if (dead[i])
            model[i].alive = false;
}

/* The real tables hold exactly what the model says, and so do the endpoints. */
static void compare(void)
{
    unsigned alive = 0;

    for (int i = 0; i < NODES; i++) {
        struct cap *cap = cap_get(&model[i].holder->caps, model[i].sel);

        if (!model[i].alive) {
            ck_assert_ptr_null(cap);
            continue;
        }
        alive++;
        ck_assert_ptr_nonnull(cap);
        if (model[i].parent >= 0)
            ck_assert_uint_eq(cap->parent->sel, model[model[i].parent].sel);
        if (model[i].ep >= 0)
            ck_assert_uint_eq(cap->eps, 1u << model[i].ep);
    }
    ck_assert_uint_eq(a->caps.count + b->caps.count + c->caps.count, alive + 6);
    fake_check();
}

static void grow(int i)
{
    struct vpe *holders[] = {a, b, c};
    struct cap *parent = NULL, *cap;
    struct node *n = &model[i];

    *n = (struct node){.alive = true, .parent = -1, .holder = holders[rand() % 3], .ep = -1};
    n->sel = 2 + (uint32_t)i * 211; /* spread over leaves, unique */
    if (i > 0 && rand() % 10) {
        int p = rand() % i;

        if (model[p].alive) {
            n->parent = p;
            parent = cap_get(&model[p].holder->caps, model[p].sel);
        }
    }
    cap = parent ? cap_derive(parent, n->holder, n->sel) : root(n->holder, n->sel);
    ck_assert_ptr_nonnull(cap);
    if (rand() % 4 == 0) {
        n->ep = 2 + rand() % 14;
        for (int k = 0; k < i; k++)
            if (model[k].alive && model[k].holder == n->holder && model[k].ep == n->ep)
                model[k].ep = -1;
        ck_assert_int_eq(ep_activate(n->holder, (unsigned)n->ep, cap), SE_OK);
    }
}

START_TEST(random_forests)
{
    size_t before = fake_heap_used();

    srand((unsigned)_i + 1);
    for (int i = 0; i < NODES; i++)
        grow(i);
    compare();
    for (int r = 0; r < ROUNDS; r++) {
        int top = rand() % NODES;
        bool own = rand() % 3 != 0;

        if (!model[top].alive)
            continue;
        if (own)
            cap_revoke(cap_get(&model[top].holder->caps, model[top].sel));
        else
            cap_revoke_children(cap_get(&model[top].holder->caps, model[top].sel), NULL);
        model_revoke(top, own);
        compare();
    }
    for (int i = 0; i < NODES; i++)
        if (model[i].alive) {
            cap_revoke(cap_get(&model[i].holder->caps, model[i].sel));
            model_revoke(i, true);
        }
    compare();
    ck_assert_uint_eq(fake_heap_used(), before);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernel capabilities");
    TCase *t = tcase_create("caps");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, table_takes_all_selectors);
    tcase_add_test(t, ranges);
    tcase_add_test(t, table_is_limited);
    tcase_add_test(t, no_heap_no_capability);
    tcase_add_test(t, chain_of_ten_thousand);
    tcase_add_test(t, ten_thousand_children);
    tcase_add_test(t, inner_revoke_leaves_the_rest);
    tcase_add_test(t, one_gate_on_several_endpoints);
    tcase_add_test(t, memory_is_freed_once_and_last);
    tcase_add_loop_test(t, random_forests, 0, 20);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
