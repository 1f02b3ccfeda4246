/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PE and its part of the hash table move to another kernel: in many messages, while others use
 * what is stored there, and with a kernel that ends, or lies, in the middle of it.
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
#include "kernel_pair.h"

#define ITEMS 100u
#define LONG  200u /* bytes of each */

static unsigned pe; /* the one that moves */

static uint64_t key(unsigned n)
{
    return ddl_key(pe, pe, DDL_NONE, n);
}

static void put(unsigned from, unsigned to, unsigned n, uint64_t value)
{
    uint64_t words[4 + LONG / 8] = {KC_MHTPUT, key(n), 8, LONG, value};

    fake_kcall(from, to, words, sizeof(words));
}

static uint64_t get(unsigned from, unsigned to, unsigned n)
{
    KCALL(from, to, KC_MHTGET, 0, 5, key(n));
    return fake_last(to, from)->word[1] == KC_REPLY_STAGE ? fake_last(to, from)->word[6] : 0;
}

static void begin(void)
{
    setup();
    fake_use(0);
    pe = pe_id(pe_find(PE_TYPE_SPM));
    for (unsigned i = 0; i < ITEMS; i++)
        put(2, 0, i, 1000 + i);
}

static int migrate(unsigned from, unsigned to)
{
    fake_use(from);
    return mht_migrate(pe, peer_find(to));
}

START_TEST(in_several_messages)
{
    unsigned before = sent(0, 1);

    ck_assert_int_eq(migrate(0, 1), SE_OK);
    fake_deliver();
    ck_assert_uint_ge(sent(0, 1), before + ITEMS * LONG / KC_MSG_MAX);
    fake_use(0);
    ck_assert_uint_eq(kern.mht.count, 0);
    fake_use(1);
    ck_assert_uint_eq(kern.mht.count, ITEMS);
    ck_assert_int_eq(kern.pes[pe].state, PE_FREE);
    for (unsigned i = 0; i < ITEMS; i++)
        ck_assert_uint_eq(get(2, 1, i), 1000 + i);
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        ck_assert_uint_eq(peer_owner(pe), 1);
    }
    /* It is used there, and comes back. */
    fake_use(1);
    ck_assert_ptr_nonnull(fake_vpe());
    ck_assert_ptr_nonnull(fake_vpe());
    ck_assert_int_eq(kern.pes[pe].state, PE_USED);
    vpe_exit(kern.pes[pe].vpe, 0);
    fake_settle();
    ck_assert_int_eq(migrate(1, 0), SE_OK);
    fake_deliver();
    ck_assert_uint_eq(get(2, 0, 7), 1007);
}
END_TEST

/* A PE with a VPE, whose capabilities are in use here and elsewhere, goes when that has ended. */
START_TEST(with_a_vpe)
{
    struct vpe *v = on(0);
    unsigned pv = v->pe;

    open_session(p2, SESS, 1);
    ck_assert_ptr_nonnull(cap_derive(cap(v, CAP_SELF_MEM), srv, 70));
    obtain(p2, GOT, 70, 1);
    pe = pv;
    put(2, 0, ITEMS + 2, 7);
    ck_assert_int_eq(migrate(0, 1), SE_OK);
    ck_assert_int_eq(migrate(0, 1), SE_INV_ARGS);
    fake_use(0);
    ck_assert_uint_eq(kern.peers.flags[pv], MEMBER_MIGRATING);
    fake_time(SECOND);
    /* All goes on. */
    ck_assert_uint_eq(get(2, 0, ITEMS + 2), 7);
    ck_assert_int_eq(CALL(pv, SYSC_REQMEM, 80, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(p2, SYSC_ACTIVATE, 5, CAP_INVALID, GOT), SE_OK);
    fake_use(0);
    ck_assert(peer_is_ours(pv));
    /* It ends, but what kernel 2 has of it is still there. */
    fake_auto = false;
    CALL(pv, SYSC_EXIT, 0);
    fake_settle();
    fake_time(SECOND);
    fake_use(0);
    ck_assert_int_eq(kern.pes[pv].state, PE_WAITING);
    fake_auto = true;
    fake_deliver();
    ck_assert_ptr_null(cap(by2, GOT));
    fake_settle();
    fake_use(0);
    ck_assert_int_eq(kern.pes[pv].state, PE_FREE);
    ck_assert(pe_find(PE_TYPE_SPM) != &kern.pes[pv]);
    /* Something is locked: later. */
    KCALL(2, 0, KC_MHTLOCK, 0, 1, key(ITEMS + 2));
    fake_time(SECOND);
    fake_use(0);
    ck_assert(peer_is_ours(pv));
    KCALL(2, 0, KC_MHTUNLOCK, key(ITEMS + 2), fake_last(0, 2)->word[3]);
    fake_time(SECOND);
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        ck_assert_uint_eq(peer_owner(pv), 1);
    }
    fake_use(0);
    ck_assert_uint_eq(kern.mht.moving, 0);
    ck_assert_uint_eq(get(2, 1, ITEMS + 2), 7);
    fake_use(1);
    ck_assert_int_eq(kern.pes[pv].state, PE_FREE);
}
END_TEST

/* Who should get it is gone before that: it stays, and is used again. */
START_TEST(nobody_to_go_to)
{
    struct vpe *v = on(0);

    pe = v->pe;
    ck_assert_int_eq(migrate(0, 1), SE_OK);
    CALL(pe, SYSC_EXIT, 0);
    fake_settle();
    fake_use(0);
    ck_assert_ptr_null(pe_find(PE_TYPE_SPM));
    peer_lost(peer_find(1), "test");
    ck_assert_uint_eq(kern.mht.moving, 0);
    ck_assert_uint_eq(kern.peers.flags[pe], MEMBER_NONE);
    ck_assert_ptr_eq(pe_find(PE_TYPE_SPM), &kern.pes[pe]);
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_use(0);
    fake_can_reset = false;
    v = fake_vpe();
    ck_assert_int_eq(mht_migrate(v->pe, peer_find(2)), SE_NOT_SUP);
}
END_TEST

/* Those who have not heard of it yet ask the old owner, at any point. */
START_TEST(while_in_use)
{
    uint32_t handle;

    for (unsigned before = 0; before < 40; before += 3) {
        fake_auto = false;
        ck_assert_int_eq(migrate(0, 1), SE_OK);
        for (unsigned i = 0; i < before; i++)
            fake_deliver_one();
        put(2, 0, 3, 5555 + before);
        put(2, 0, ITEMS + 1, 1);
        KCALL(2, 0, KC_MHTREMOVE, key(ITEMS + 1), 0);
        KCALL(2, 0, KC_MHTGETTRY, 0, 9, key(3));
        ck_assert_uint_eq(fake_last(0, 2)->word[0], KC_MHTGETTRY);
        ck_assert_uint_eq(fake_last(0, 2)->word[1], KC_FORWARD_STAGE);
        ck_assert_uint_eq(fake_last(0, 2)->word[2], 9);
        ck_assert_uint_eq(fake_last(0, 2)->word[3], 1);
        ck_assert_uint_eq(fake_last(0, 2)->word[4], key(3));
        fake_deliver();
        fake_auto = true;
        ck_assert_uint_eq(get(2, 1, 3), 5555 + before);
        ck_assert_uint_eq(get(2, 1, ITEMS + 1), 0);
        fake_use(1);
        ck_assert_uint_eq(kern.mht.count, ITEMS);
        /* What is locked stays until it is not. */
        KCALL(2, 1, KC_MHTLOCK, 0, 1, key(5));
        handle = (uint32_t)fake_last(1, 2)->word[3];
        ck_assert_int_eq(migrate(1, 0), SE_MSGS_WAITING);
        KCALL(2, 1, KC_MHTUNLOCK, key(5), handle);
        ck_assert_int_eq(migrate(1, 0), SE_OK);
        fake_deliver();
    }
}
END_TEST

START_TEST(not_possible)
{
    fake_use(0);
    ck_assert_int_eq(mht_migrate(fake_kernel_pe(0), peer_find(1)), SE_INV_ARGS);
    ck_assert_int_eq(mht_migrate(BOOT_PES, peer_find(1)), SE_INV_ARGS);
    ck_assert_int_eq(mht_migrate(p1, peer_find(1)), SE_INV_ARGS);
    ck_assert_int_eq(mht_migrate(pe, NULL), SE_RECV_GONE);
    KCALL(2, 0, KC_MHTRESERVE, 0, 1, key(ITEMS + 5));
    ck_assert_int_eq(migrate(0, 1), SE_MSGS_WAITING);
    KCALL(2, 0, KC_MHTRELEASE, key(ITEMS + 5), fake_last(0, 2)->word[3]);
    /* No memory for one of the messages: still ours, and it works later. */
    fake_auto = false;
    fake_heap_left = 3;
    ck_assert_int_eq(migrate(0, 1), SE_OUT_OF_MEM);
    fake_heap_left = ~(size_t)0;
    fake_deliver();
    fake_use(0);
    ck_assert(peer_is_ours(pe));
    ck_assert_uint_eq(kern.mht.count, ITEMS);
    fake_use(1);
    ck_assert_int_eq(kern.pes[pe].state, PE_NONE);
    put(2, 0, 1, 77);
    ck_assert_int_eq(migrate(0, 1), SE_OK);
    fake_deliver();
    fake_auto = true;
    ck_assert_uint_eq(get(2, 1, 1), 77);
    fake_use(1);
    ck_assert_uint_eq(kern.mht.count, ITEMS);
}
END_TEST

/* The old owner is lost before the last message: nothing of it stays. */
START_TEST(sender_is_lost)
{
    fake_auto = false;
    ck_assert_int_eq(migrate(0, 1), SE_OK);
    for (unsigned i = 0; i < 8; i++)
        fake_deliver_one();
    fake_use(1);
    ck_assert_uint_gt(kern.mht.count, 0);
    ck_assert(!peer_is_ours(pe));
    peer_lost(peer_find(0), "test");
    ck_assert_uint_eq(kern.mht.count, 0);
    fake_use(0);
    peer_lost(peer_find(1), "test");
}
END_TEST

/* A message that is half wrong is wrong. */
START_TEST(lies)
{
    unsigned own = fake_kernel_pe(1);
    uint64_t before = bad(0), k = ddl_key(p1, p1, DDL_NONE, 1), mine = key(ITEMS + 9);

    KCALL(1, 0, KC_PARTITIONMIG, 1, p1, 2, k, 8, 0, mine, 8, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 2, p1, 1, k, 8, 0, pe, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 1, p1, 2, k, 8, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 1, p1, ~0ull, k, 8, 0);
    KCALL(1, 0, KC_PARTITIONMIG, ~0u, p1, 1, k, 8, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 1, own, 0);
    KCALL(2, 0, KC_PARTITIONMIG, 1, p1, 1, k, 8, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 1, 5000, 0);
    ck_assert_uint_eq(bad(0), before + 9);
    ck_assert_uint_eq(kern.mht.count, ITEMS);
    ck_assert_uint_eq(peer_owner(p1), 1);
    ck_assert_uint_eq(fake_last(0, 1)->word[0], KC_REPLY);
    /* As the original writes it: nothing behind the partitions. */
    KCALL(1, 0, KC_PARTITIONMIG, 1, p1, 1, k, 8, 0);
    ck_assert_uint_eq(bad(0), before + 9);
    ck_assert_uint_eq(peer_owner(p1), 0);
    ck_assert_uint_eq(kern.mht.count, ITEMS + 1);
    /* What is not on its way goes nowhere. */
    KCALL(2, 0, KC_MHTPUT, ddl_key(pc, pc, DDL_NONE, 1), 8, 0);
    ck_assert_uint_eq(bad(0), before + 10);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("PEs that move");
    TCase *t = tcase_create("move");

    tcase_add_checked_fixture(t, begin, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, in_several_messages);
    tcase_add_test(t, with_a_vpe);
    tcase_add_test(t, nobody_to_go_to);
    tcase_add_test(t, while_in_use);
    tcase_add_test(t, not_possible);
    tcase_add_test(t, sender_is_lost);
    tcase_add_test(t, lies);
    suite_add_tcase(s, t);
    return run_suite(s);
}
