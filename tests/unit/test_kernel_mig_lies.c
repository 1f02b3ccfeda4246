/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernels that lie while VPEs move: they give what they have said is dead, or have given already,
 * take and tell nobody, or make a capability its own ancestor.
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
#include "migrate_fixture.h"

#define SAY(from, to, kind, pe, ...) KCALL(from, to, KC_PARTITIONMIG, 0, kind, 1, pe, __VA_ARGS__)

/* The PE of kernel k that has no VPE. */
static unsigned free_pe(unsigned k)
{
    return fake_kernel_pe(k) + 3;
}

/* A VPE that kernel `from` has made up, on a PE of its own, which was `home`'s first; the answer.
 */
static unsigned make_up(unsigned from, unsigned to, unsigned pe, unsigned home)
{
    const uint64_t state[] = {KC_PARTITIONMIG, 0, MOVE_STATE, 0, pe,
                              MOVE_R_VPE | 7ull << 16 | (uint64_t)home << 32,
                              pe_desc(pe, FAKE_PE_MEM, PE_TYPE_SPM), RB, FAKE_PE_MEM, 'x', 0, 0, 0,
                              /* itself and its memory */
                              MOVE_R_CAP | (uint64_t)CAP_VPE << 8 | 5ull << 32, 0, 0, 0, 0,
                              MOVE_R_CAP | (uint64_t)CAP_MEM << 8 | 1ull << 16 | 5ull << 32, 0, 0,
                              4096, pe | pe << 16 | 3ull << 32};

    SAY(from, to, MOVE_HOLD, pe, to);
    ck_assert_uint_eq(fake_last(to, from)->word[2], MOVE_HELD);
    ck_assert_uint_eq(fake_last(to, from)->word[5], SE_OK);
    fake_kcall(from, to, state, sizeof(state));
    SAY(from, to, MOVE_END, pe, 2);
    ck_assert_uint_eq(fake_last(to, from)->word[2], MOVE_READY);
    return (unsigned)fake_last(to, from)->word[5];
}

static void begin(void)
{
    setup();
    fake_auto = false;
}

/* It is taken when it is as it should be: what follows fails for other reasons. */
START_TEST(made_up)
{
    unsigned pe = free_pe(1);

    ck_assert_uint_eq(make_up(1, 0, pe, 1), SE_OK);
    SAY(1, 0, MOVE_COMMIT, pe, 0);
    fake_use(0);
    ck_assert_ptr_nonnull(kern.pes[pe].vpe);
    ck_assert_uint_eq(peer_owner(pe), 0);
    peer_lost(peer_find(1), "test");
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* DEAD in the middle ends it, and COMMIT comes too late; others can move. */
START_TEST(said_dead)
{
    unsigned pe = free_pe(1);

    ck_assert_uint_eq(make_up(1, 0, pe, 1), SE_OK);
    SAY(1, 0, MOVE_DEAD, pe, 0);
    fake_use(0);
    ck_assert_ptr_null(kern.moves.from);
    ck_assert_ptr_null(kern.moves.taken);
    SAY(1, 0, MOVE_COMMIT, pe, 0);
    fake_use(0);
    ck_assert_ptr_null(kern.pes[pe].vpe);
    SAY(2, 0, MOVE_HOLD, p2, 0);
    ck_assert_uint_eq(fake_last(0, 2)->word[5], SE_OK);
    SAY(2, 0, MOVE_OFF, p2, 0);
}
END_TEST

/* What comes with a VPE is not given without it meanwhile, so that another one could be there. */
START_TEST(given_without_vpe)
{
    unsigned pe = free_pe(1);
    uint64_t was;

    ck_assert_uint_eq(make_up(1, 0, pe, 1), SE_OK);
    was = bad(0);
    KCALL(1, 0, KC_PARTITIONMIG, 1, pe, 0, 0);
    ck_assert_uint_eq(bad(0), was + 1);
    ck_assert(!peer_is_ours(pe));
    ck_assert_ptr_null(kern.pes[pe].vpe);
    SAY(1, 0, MOVE_OFF, pe, 0);
    fake_use(0);
    ck_assert(!move_keeps_us());
    fake_check();
}
END_TEST

/* What is another one's by then does not come to us. */
START_TEST(given_to_another)
{
    unsigned pe = free_pe(1);
    uint64_t was;

    ck_assert_uint_eq(make_up(1, 0, pe, 1), SE_OK);
    KCALL(1, 0, KC_MEMBERUPDATE, 2, fake_kernel_pe(2), MEMBER_NONE, 1,
          pe_desc(pe, FAKE_PE_MEM, PE_TYPE_SPM));
    was = bad(0);
    SAY(1, 0, MOVE_COMMIT, pe, 0);
    ck_assert_uint_eq(bad(0), was + 1);
    ck_assert_uint_eq(peer_owner(pe), 2);
    ck_assert_ptr_null(kern.pes[pe].vpe);
    SAY(1, 0, MOVE_OFF, pe, 0);
    fake_use(0);
    ck_assert(!move_keeps_us());
}
END_TEST

/* Or to us, so that two have it. */
START_TEST(given_to_us_and_others)
{
    unsigned pe = free_pe(1), owner;

    SAY(1, 0, MOVE_HOLD, pe, 2);
    KCALL(1, 0, KC_PARTITIONMIG, 1, pe, 0, 0);
    SAY(1, 0, MOVE_GIVEN_AWAY, pe, 0);
    SAY(2, 0, MOVE_SWITCH, pe, pe_desc(pe, FAKE_PE_MEM, PE_TYPE_SPM));
    fake_use(0);
    owner = peer_owner(pe);
    ck_assert(owner == 0 || kern.pes[pe].state == PE_KERNEL || kern.pes[pe].state == PE_NONE);
    SAY(1, 0, MOVE_OFF, pe, 0);
    fake_use(0);
    ck_assert(!kern.moves.hold);
}
END_TEST

/* Nobody can give us back what was never ours. */
START_TEST(not_our_home)
{
    unsigned pe = free_pe(1);

    ck_assert_uint_eq(make_up(1, 0, pe, 0), SE_INV_ARGS);
    SAY(1, 0, MOVE_OFF, pe, 0);
    fake_use(0);
    ck_assert(!move_keeps_us());
}
END_TEST

/* Who had it can say what it calls only as long as it has not called us. */
START_TEST(call_too_late)
{
    uint64_t was;

    fake_auto = true;
    move_to(pc, 2);
    ck_assert_int_eq(CALL(pc, SYSC_NOOP), SE_OK);
    was = bad(2);
    SAY(1, 2, MOVE_CALL, pc, VPE_EP_RECV, 0, 16, SYSC_EXIT, 0);
    ck_assert_uint_eq(bad(2), was + 1);
    ck_assert_ptr_nonnull(where(pc, NULL));
}
END_TEST

/* ---- who takes it ---- */

/* Kernel 0 knows that kernel 2 has got p1, which kernel 2 does not say. */
START_TEST(silent_taker)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    SAY(1, 0, MOVE_GIVEN_AWAY, p1, 0);
    for (unsigned i = 0; i < 62; i++) {
        fake_use(0);
        move_tick(SECOND);
    }
    ck_assert_ptr_nonnull(peer_find(1)); /* it has said all */
    ck_assert(!peer_find(1)->held);
    ck_assert_ptr_null(peer_find(2));
    ck_assert(!kern.moves.hold);
    ck_assert_uint_eq(peer_owner(p1), KC_NO_KERNEL);
    fake_use(2);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* The new owner has its own time, which the old one cannot prolong. */
START_TEST(times)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    for (unsigned i = 0; i < 3; i++) {
        fake_use(0);
        for (unsigned k = 0; k < 25; k++)
            move_tick(SECOND);
        ck_assert_ptr_nonnull(peer_find(2));
        SAY(1, 0, MOVE_GIVEN_AWAY, p1, 0);
    }
    ck_assert_uint_eq(bad(0), 2);
    for (unsigned i = 0; i < 12; i++)
        move_tick(SECOND);
    ck_assert_ptr_null(peer_find(2));
    ck_assert_ptr_nonnull(peer_find(1));
    fake_use(2);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* Kernel 2 has got p1 and waits for our answer, and kernel 1 does not say that it has given it. */
START_TEST(not_given)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    for (unsigned i = 0; i < 9; i++) {
        fake_use(0);
        move_tick(SECOND);
    }
    SAY(2, 0, MOVE_SWITCH, p1, pe_desc(p1, FAKE_PE_MEM, PE_TYPE_SPM));
    for (unsigned i = 0; i < 22; i++) {
        ck_assert_uint_eq(peer_owner(p1), i < 21 ? 1 : 2);
        move_tick(SECOND);
    }
    ck_assert_ptr_null(peer_find(1));
    ck_assert_ptr_nonnull(peer_find(2));
    ck_assert_uint_eq(fake_last(0, 2)->word[2], MOVE_SWITCHED);
    ck_assert_uint_eq(fake_last(0, 2)->word[5], SE_OK);
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* Kernel 1 says no more, and is lost; kernel 2, which is asked then, has its own time to answer. */
START_TEST(silent_owner)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    fake_use(0);
    for (unsigned i = 0; i < 61; i++)
        move_tick(SECOND);
    ck_assert_ptr_null(peer_find(1));
    ck_assert_uint_eq(fake_last(0, 2)->word[2], MOVE_LOST);
    for (unsigned i = 0; i < 59; i++)
        move_tick(SECOND);
    ck_assert_ptr_nonnull(peer_find(2));
    SAY(2, 0, MOVE_DEAD, p1, 0);
    fake_use(0);
    ck_assert(!kern.moves.hold);
    ck_assert(!peer_find(2)->held);
    ck_assert_uint_eq(peer_owner(p1), KC_NO_KERNEL);
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* Nor is it left without an answer when the PE is dead. */
START_TEST(claimed_and_dead)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    SAY(2, 0, MOVE_SWITCH, p1, pe_desc(p1, FAKE_PE_MEM, PE_TYPE_SPM));
    SAY(1, 0, MOVE_DEAD, p1, 0);
    ck_assert_uint_eq(fake_last(0, 2)->word[2], MOVE_SWITCHED);
    ck_assert_uint_eq(fake_last(0, 2)->word[5], SE_INV_ARGS);
    fake_use(0);
    ck_assert_uint_eq(peer_owner(p1), KC_NO_KERNEL);
}
END_TEST

/* Who gets it learns of it by COMMIT: until then it is the old owner who keeps it waiting. */
START_TEST(given_to_us)
{
    SAY(1, 0, MOVE_HOLD, p1, 0);
    SAY(1, 0, MOVE_GIVEN_AWAY, p1, 0);
    ck_assert_uint_eq(bad(0), 1);
    for (unsigned i = 0; i < 62; i++)
        move_tick(SECOND);
    ck_assert_ptr_null(peer_find(1));
    ck_assert(!kern.moves.hold);
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* Kernel 0 alone has lost kernel 2, before or after kernel 1 says that it has given p1. */
START_TEST(lost_taker)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    if (_i == 1)
        SAY(1, 0, MOVE_GIVEN_AWAY, p1, 0);
    fake_use(0);
    peer_lost(peer_find(2), "test");
    ck_assert(_i == 1 || kern.moves.hold); /* it may still be OFF */
    if (_i == 0)
        SAY(1, 0, MOVE_GIVEN_AWAY, p1, 0);
    if (_i == 2)
        SAY(1, 0, MOVE_OFF, p1, 0);
    fake_use(0);
    ck_assert(!kern.moves.hold);
    ck_assert(!peer_find(1)->held);
    ck_assert_uint_eq(peer_owner(p1), _i == 2 ? 1 : KC_NO_KERNEL);
    fake_use(2);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* What was to be asked of the PE is not asked, and not waited for. */
START_TEST(revoked_meanwhile)
{
    fake_auto = true;
    furnish();
    fake_auto = false;
    SAY(1, 0, MOVE_HOLD, pc, 2);
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1), FAKE_LATER);
    SAY(1, 0, MOVE_GIVEN_AWAY, pc, 0);
    fake_use(0);
    peer_lost(peer_find(2), "test");
    fake_use(0);
    ck_assert_uint_eq(srv->wait.kind, WAIT_NONE);
    ck_assert_int_eq(last(ps), SE_OK);
    ck_assert_ptr_null(cap(srv, GOT)); /* it came from there */
    peer_lost(peer_find(1), "test");
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_use(2);
    peer_lost(peer_find(0), "test");
    fake_auto = true;
    fake_deliver();
}
END_TEST

/*
 * Kernel 1 has lost kernel 0, which does not know that, and so is not told that p1 moves to kernel
 * 2.
 */
START_TEST(not_told)
{
    const uint64_t parent = ddl_key(p1, p1, DDL_ANYCAP, 5ull << 16 | MEM);
    unsigned before;

    SAY(2, 0, MOVE_SWITCH, p1, pe_desc(p1, FAKE_PE_MEM, PE_TYPE_SPM));
    ck_assert_uint_eq(fake_last(0, 2)->word[5], SE_INV_ARGS);
    fake_use(0);
    ck_assert_uint_eq(peer_owner(p1), 1);
    /* It is not believed, but does not wait in vain. */
    before = sent(0, 2);
    KCALL(2, 0, KC_REVOKE, ddl_key(ps, ps, DDL_MEMCAP, 5ull << 16 | MEM), parent, parent);
    ck_assert_uint_eq(sent(0, 2), before + 1);
    ck_assert_uint_eq(fake_last(0, 2)->word[0], KC_REVOKEFINISH);
    ck_assert_uint_eq(fake_last(0, 2)->word[1], parent);
    ck_assert_ptr_nonnull(cap(srv, MEM));
    fake_use(0);
    peer_lost(peer_find(1), "test");
    ck_assert_uint_eq(peer_owner(p1), 2);
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_deliver();
}
END_TEST

/* Each of two kernels has been told that the other one would get p1, and then who said so dies. */
START_TEST(told_two_things)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    SAY(1, 2, MOVE_HOLD, p1, 0);
    fake_kill(1);
    for (unsigned k = 0; k < 3; k += 2) {
        fake_use(k);
        peer_lost(peer_find(1), "test");
        if (_i)
            fake_deliver();
    }
    fake_auto = true;
    fake_deliver();
    for (unsigned i = 0; i < 3; i++)
        fake_time(SECOND);
    for (unsigned k = 0; k < 3; k += 2) {
        fake_use(k);
        ck_assert(!kern.moves.hold);
        ck_assert_uint_eq(peer_owner(p1), KC_NO_KERNEL);
        ck_assert_ptr_nonnull(peer_find(2 - k));
        ck_assert(!peer_find(2 - k)->held);
    }
    fake_restart(1, false);
}
END_TEST

/* The same of two PEs: each owes the other one an answer, and waits for it. */
START_TEST(told_of_two_pes)
{
    SAY(1, 0, MOVE_HOLD, p1, 2);
    SAY(1, 2, MOVE_HOLD, pc, 0);
    fake_kill(1);
    for (unsigned k = 0; k < 3; k += 2) {
        fake_use(k);
        peer_lost(peer_find(1), "test");
    }
    fake_deliver();
    for (unsigned k = 0; k < 3; k += 2) {
        fake_use(k);
        ck_assert(!kern.moves.hold);
        ck_assert(!peer_find(2 - k)->held);
    }
    fake_restart(1, false);
}
END_TEST

/* ---- trees ---- */

/*
 * The service gives memory to the client, which gives it back; and then kernel 1 says that what the
 * client has was made from that.
 */
START_TEST(own_ancestor)
{
    struct cap *mine;

    fake_auto = true;
    open_session(pc, SESS, 9);
    obtain(pc, GOT, MEM, 1);
    delegate(pc, GOT, GOT, 1);
    mine = cap(cli, GOT);
    ck_assert_ptr_nonnull(mine);
    fake_auto = false;
    KCALL(1, 0, KC_EXCHANGEOSESS, 4711, 1,
          ddl_key(pc, pc, DDL_VPECAP, (uint64_t)mine->serial << 16), cap(cli, SESS)->sess->key, 9,
          CRD_OBJ, GOT, 1);
    ANSWER(ps, SE_OK, RANGE(GOT, 1));
    fake_deliver();
    fake_use(0);
    ck_assert_ptr_nonnull(cap(srv, GOT)->rkids);
    fake_use(1);
    mine->rparent = ddl_key(ps, ps, DDL_MEMCAP, (uint64_t)cap(srv, GOT)->serial << 16 | GOT);
    fake_auto = true;
    move_to(pc, 0);
    fake_use(0);
    for (const struct cap *c = cap(srv, GOT), *q = c->parent; q; q = q->parent)
        ck_assert_ptr_ne(q, c);
    ck_assert_uint_gt(kern.stats.bad_kcalls, 0);
    ck_assert_int_eq(revoke(ps, MEM, 1), SE_OK);
    revoke(ps, GOT, 1);
    fake_check();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("VPEs that move, and kernels that lie");
    TCase *t = tcase_create("lies");

    tcase_add_checked_fixture(t, begin, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, made_up);
    tcase_add_test(t, said_dead);
    tcase_add_test(t, given_without_vpe);
    tcase_add_test(t, given_to_another);
    tcase_add_test(t, given_to_us_and_others);
    tcase_add_test(t, not_our_home);
    tcase_add_test(t, call_too_late);
    tcase_add_test(t, silent_taker);
    tcase_add_test(t, times);
    tcase_add_test(t, not_given);
    tcase_add_test(t, silent_owner);
    tcase_add_test(t, claimed_and_dead);
    tcase_add_test(t, given_to_us);
    tcase_add_loop_test(t, lost_taker, 0, 3);
    tcase_add_test(t, revoked_meanwhile);
    tcase_add_test(t, not_told);
    tcase_add_loop_test(t, told_two_things, 0, 2);
    tcase_add_test(t, told_of_two_pes);
    tcase_add_test(t, own_ancestor);
    suite_add_tcase(s, t);
    return run_suite(s);
}
