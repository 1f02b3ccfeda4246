/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocations across kernels: how many messages they take, that nothing can keep them waiting, and
 * what comes of messages about many capabilities that make no sense.
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

/* n children of the service's memory in the client's table, from GOT on. */
static void children(unsigned n)
{
    open_session(pc, SESS, 1);
    for (unsigned i = 0; i < n; i++)
        obtain(pc, GOT + i, MEM, 1);
}

static void all_gone(const struct vpe *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ck_assert_ptr_null(cap(v, GOT + i));
}

/* One REVOKE, one REVOKEFINISH that answers it, and an ack for that. */
START_TEST(children_of_one)
{
    unsigned there, back;

    children(100);
    there = sent(0, 1);
    back = sent(1, 0);
    fake_auto = false;
    ck_assert_int_eq(revoke(ps, MEM, 1), FAKE_LATER);
    ck_assert_uint_eq(fake_last(0, 1)->word[0], KC_REVOKE);
    ck_assert_uint_eq(fake_last(0, 1)->word[4], 99);
    fake_deliver_one();
    ck_assert_uint_eq(fake_last(1, 0)->word[0], KC_REVOKEFINISH);
    ck_assert_int_eq((int32_t)fake_last(1, 0)->word[2], -100);
    ck_assert_uint_eq(fake_last(1, 0)->word[3], 1);
    all_gone(cli, 100);
    fake_deliver();
    ck_assert_int_eq(last(ps), SE_OK);
    ck_assert_uint_eq(sent(0, 1), there + 2);
    ck_assert_uint_eq(sent(1, 0), back + 1);
}
END_TEST

/* More than one message has place for. */
START_TEST(more_than_fit)
{
    unsigned there;

    children(3 * (KC_MORE + 1) + 5);
    there = sent(0, 1);
    ck_assert_int_eq(revoke(ps, MEM, 1), SE_OK);
    ck_assert_uint_le(sent(0, 1), there + 2 * 4);
    all_gone(cli, 3 * (KC_MORE + 1) + 5);
    fake_use(0);
    ck_assert_ptr_null(kern.revocations);
}
END_TEST

/* A range of capabilities, each with a child there: many parents in one message. */
START_TEST(many_parents)
{
    unsigned there, back;

    open_session(pc, SESS, 1);
    for (unsigned i = 0; i < 60; i++)
        ck_assert_int_eq(CALL(ps, SYSC_DERIVEMEM, MEM, 100 + i, 0, 8, 1), SE_OK);
    obtain(pc, GOT, 100, 30);
    obtain(pc, GOT + 30, 130, 30);
    there = sent(0, 1);
    back = sent(1, 0);
    ck_assert_int_eq(revoke(ps, 100, 60), SE_OK);
    ck_assert_uint_eq(sent(0, 1), there + 2);
    ck_assert_uint_eq(sent(1, 0), back + 1);
    all_gone(cli, 60);
}
END_TEST

/* A VPE ends: what it had from others is unhooked there, what others had from it revoked. */
START_TEST(the_end_of_a_vpe)
{
    unsigned there;

    open_session(pc, SESS, 1);
    for (unsigned i = 0; i < 30; i++)
        ck_assert_int_eq(CALL(ps, SYSC_DERIVEMEM, MEM, 100 + i, 0, 8, 1), SE_OK);
    obtain(pc, GOT, 100, 30);
    there = sent(1, 0);
    fake_auto = false;
    CALL(pc, SYSC_EXIT, 0);
    fake_deliver();
    ck_assert_uint_le(sent(1, 0), there + 2);
    for (unsigned i = 0; i < 30; i++)
        ck_assert_ptr_null(cap(srv, 100 + i)->rkids);
    /* The same from the other side. */
    fake_auto = true;
    ANSWER(ps, SE_OK); /* CLOSE */
    open_session(p1, SESS, 2);
    obtain(p1, GOT, 100, 30);
    there = sent(0, 1);
    CALL(ps, SYSC_EXIT, 0);
    ck_assert_uint_le(sent(0, 1), there + 3);
    all_gone(by1, 30);
}
END_TEST

/* The original, known by keys without serial numbers, gets one REVOKE for each child. */
START_TEST(one_by_one_for_the_original)
{
    unsigned there = sent(0, 1), revokes = 0;

    for (unsigned i = 0; i < 10; i++)
        ck_assert_ptr_nonnull(cap_add_rkid(cap(srv, MEM), ddl_key(pc, pc, DDL_MEMCAP, GOT + i)));
    fake_auto = false;
    ck_assert_int_eq(revoke(ps, MEM, 1), FAKE_LATER);
    do {
        if (sent(0, 1) == there)
            continue;
        there = sent(0, 1);
        if (fake_last(0, 1)->word[0] == KC_REVOKE)
            ck_assert_uint_eq(fake_last(0, 1)->len, 4 * sizeof(uint64_t));
        revokes += fake_last(0, 1)->word[0] == KC_REVOKE ? 1 : 0;
    } while (fake_deliver_one());
    ck_assert_uint_gt(revokes, 3); /* the first three are sent at once, and we see the last one */
    ck_assert_int_eq(last(ps), SE_OK);
}
END_TEST

/*
 * Both kernels wait for services of the other one, in both places that requests may have, and
 * revoke: neither REVOKE may have to wait for a place that the other's takes.
 */
START_TEST(nothing_keeps_them_waiting)
{
    const unsigned of1[] = {ps, p0, on(0)->pe}, of0[] = {pc, on(1)->pe};

    service(p1, 't');
    for (unsigned i = 0; i < 2; i++)
        open_session(of0[i], SESS, 1 + i);
    obtain(pc, GOT, MEM, 1);
    for (unsigned i = 0; i < 3; i++) {
        CALL(of1[i], SYSC_CREATESESS, 0, SESS + 1, 2, 't' << 8 | 'f');
        ANSWER(p1, SE_OK, 7 + i);
        ck_assert_int_eq(last(of1[i]), SE_OK);
    }
    ck_assert_int_eq(CALL(ps, SYSC_OBTAIN, 0, SESS + 1, RANGE(GOT, 1)), FAKE_LATER);
    ANSWER(p1, SE_OK, RANGE(MEM, 1));
    ck_assert_int_eq(last(ps), SE_OK);
    /* From here on the services say nothing. */
    for (unsigned i = 0; i < 2; i++) {
        CALL(of0[i], SYSC_OBTAIN, 0, SESS, RANGE(GOT + 9, 1));
        CALL(of1[1 + i], SYSC_OBTAIN, 0, SESS + 1, RANGE(GOT + 9, 1));
    }
    fake_auto = false;
    for (unsigned k = 0; k < 2; k++) {
        fake_use(k);
        ck_assert_uint_eq(peer_find(1 - k)->inflight, 2);
        peer_find(1 - k)->last_reply = true; /* as after any answer */
    }
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1), FAKE_LATER);
    ck_assert_int_eq(CALL(p1, SYSC_REVOKE, RANGE(MEM, 1), 1), FAKE_LATER);
    fake_deliver();
    ck_assert_int_eq(last(ps), SE_OK);
    ck_assert_int_eq(last(p1), SE_OK);
    ck_assert_ptr_null(cap(cli, GOT));
    ck_assert_ptr_null(cap(srv, GOT));
    for (unsigned i = 0; i < 2; i++) {
        ANSWER(ps, SE_NO_PERM);
        ANSWER(p1, SE_NO_PERM);
        fake_deliver();
    }
}
END_TEST

/* 400 links between two kernels, revoked at the top: a stack of any depth would show it. */
START_TEST(long_chain)
{
    unsigned n = 400;

    open_session(pc, SESS, 1);
    obtain(pc, GOT, MEM, 1);
    for (unsigned i = 1; i < n; i += 2) {
        delegate(pc, GOT + i - 1, 1000 + i, 1);
        obtain(pc, GOT + i + 1, 1000 + i, 1);
    }
    ck_assert_int_eq(revoke(ps, MEM, 1), SE_OK);
    for (unsigned i = 0; i <= n; i++) {
        ck_assert_ptr_null(cap(cli, GOT + i));
        ck_assert_ptr_null(cap(srv, 1000 + i));
    }
}
END_TEST

/* What a hostile kernel may write into such messages: nothing happens, and it is counted. */
START_TEST(bad_batches)
{
    uint64_t before, mine, other, theirs = ddl_key(p1, p1, DDL_MEMCAP, 1 << 16 | 9);
    uint64_t words[5 + 2 * (KC_MORE + 2)] = {KC_REVOKE, 1, theirs, theirs};

    open_session(pc, SESS, 1);
    obtain(pc, GOT, MEM, 1);
    open_session(p2, SESS, 2);
    obtain(p2, GOT, MEM, 1);
    before = bad(1);
    mine = cap_key(cap(cli, GOT));
    other = cap_key(cap(srv, MEM));
    /* More than may be, and fewer than it says. */
    words[4] = KC_MORE + 1;
    fake_kcall(0, 1, words, sizeof(words));
    words[4] = 2;
    fake_kcall(0, 1, words, 8 * sizeof(uint64_t));
    words[4] = ~0ull;
    fake_kcall(0, 1, words, 9 * sizeof(uint64_t));
    ck_assert_uint_eq(bad(1), before + 3);
    /* Another kernel's children among its own: those stay, and it is told of the rest. */
    KCALL(2, 1, KC_REVOKE, 5, ddl_key(p2, p2, DDL_MEMCAP, 1 << 16 | 9), 0, 1, mine, other);
    ck_assert_uint_eq(bad(1), before + 4);
    ck_assert_uint_eq(fake_last(1, 2)->word[0], KC_REVOKEFINISH);
    ck_assert_int_eq((int32_t)fake_last(1, 2)->word[2], -1);
    ck_assert_ptr_nonnull(cap(cli, GOT));
    /* Finished although nobody asked; removed although it has it not. */
    before = bad(0);
    KCALL(1, 0, KC_REVOKEFINISH, other, -1u, 0, 1, other, -5u);
    KCALL(1, 0, KC_REVOKEFINISH, other, -1u, 0, 3, other);
    KCALL(1, 0, KC_REMOVECHILDCAPPTR, other, 1, cap_key(cap(by2, GOT)), 1, 1, other, 77);
    KCALL(1, 0, KC_REMOVECHILDCAPPTR, other, 1, 77, 1, 5, other, 77);
    fake_use(0);
    ck_assert_ptr_nonnull(cap(srv, MEM)->rkids);
    ck_assert_ptr_nonnull(cap(srv, MEM)->rkids->next);
    ck_assert_uint_eq(kern.stats.late, 4);
    ck_assert_uint_eq(kern.stats.bad_kcalls, before + 2);
}
END_TEST

/* Of a capability's children, and then of itself with one that came later: one answer for both. */
START_TEST(answers_for_two_revocations)
{
    uint64_t key;

    open_session(pc, SESS, 1);
    obtain(pc, GOT, MEM, 1);
    fake_auto = false;
    fake_use(0);
    key = cap_key(cap(srv, MEM));
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 0), FAKE_LATER);
    ck_assert_ptr_nonnull(cap_add_rkid(cap(srv, MEM), ddl_key(pc, pc, DDL_MEMCAP, 1 << 16 | 99)));
    cap_revoke(cap(srv, MEM));
    ck_assert_ptr_nonnull(kern.revocations);
    KCALL(1, 0, KC_REVOKEFINISH, key, (uint32_t)-2, 0);
    fake_use(0);
    ck_assert_ptr_null(kern.revocations);
    ck_assert_int_eq(last(ps), SE_OK);
    fake_deliver();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("revocations in few messages");
    TCase *t = tcase_create("batch");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, children_of_one);
    tcase_add_test(t, more_than_fit);
    tcase_add_test(t, many_parents);
    tcase_add_test(t, the_end_of_a_vpe);
    tcase_add_test(t, one_by_one_for_the_original);
    tcase_add_test(t, nothing_keeps_them_waiting);
    tcase_add_test(t, long_chain);
    tcase_add_test(t, bad_batches);
    tcase_add_test(t, answers_for_two_revocations);
    suite_add_tcase(s, t);
    return run_suite(s);
}
