/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VPE moves between kernels and one of those dies in the middle of it, at every point, or says
 * what makes no sense.
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

/* ---- deaths ---- */

static void lose(unsigned dead)
{
    fake_kill(dead);
    for (unsigned k = 0; k < fake_kernels(); k++) {
        fake_use(k);
        if (k != dead && peer_find(dead))
            peer_lost(peer_find(dead), "test");
        fake_deliver();
    }
}

/* The kernels that are left agree on whose the client's PE is, and nothing waits; whose? */
static unsigned agree(unsigned dead)
{
    unsigned owner;

    fake_use(dead == 0 ? 1 : 0);
    owner = peer_owner(pc);
    ck_assert(owner == 1 || owner == 2 || owner == KC_NO_KERNEL);
    ck_assert(owner != dead);
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        if (k == dead)
            continue;
        ck_assert(!kern.moves.hold && !kern.moves.from);
        ck_assert_uint_eq(kern.moves.phase, MOVE_IDLE);
        ck_assert_ptr_null(kern.revocations);
        ck_assert_uint_eq(peer_owner(pc), owner);
        ck_assert_uint_eq(kern.pes[pc].vpe != NULL, k == owner);
    }
    return owner;
}

static void die_after(unsigned dead, unsigned before)
{
    ck_assert_int_eq(begin_move(pc, 2), SE_OK);
    for (unsigned i = 0; i < before; i++)
        fake_deliver_one();
    CALL(pc, SYSC_NOOP);
    if (before % 2)
        CALL(p0, SYSC_NOOP);
    if (before % 3 == 0 && dead != 0)
        CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1);
    lose(dead);
    fake_auto = true;
    for (unsigned i = 0; i < 20; i++)
        fake_time(SECOND);
}

/* Whoever dies, wherever the messages are. */
START_TEST(killed_anywhere)
{
    unsigned dead = (unsigned)_i, owner, seen[3] = {0};

    for (unsigned before = 0; before < POINTS; before++) {
        fake_end();
        setup();
        furnish();
        fake_auto = false;
        die_after(dead, before);
        owner = agree(dead);
        seen[owner == KC_NO_KERNEL ? 0 : owner]++;
        if (owner != KC_NO_KERNEL)
            ck_assert_int_eq(CALL(pc, SYSC_NOOP), SE_OK);
        else
            ck_assert_ptr_null(cap(srv, GOT)); /* it was its child */
        fake_check();
        if (dead != 0)
            ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(GATE, 1), 1), SE_OK);
        fake_restart(dead, false); /* so that its heap is gone */
    }
    if (dead == 0)
        ck_assert_uint_eq(seen[2], POINTS); /* it moves all the same */
    if (dead == 1)
        ck_assert_uint_eq(seen[0], POINTS); /* its PE was that kernel's first */
    if (dead == 2)
        ck_assert(seen[1] > 0 && seen[0] > 0); /* it stayed, or was gone with it */
}
END_TEST

/* ---- lies ---- */

START_TEST(lies)
{
    uint64_t before;
    unsigned was = sent(0, 2);

    fake_auto = false;
    /* Not its own; nobody to go to; the same twice; to somebody else. */
    KCALL(2, 0, KC_PARTITIONMIG, 0, MOVE_HOLD, 1, p1, 1);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_HOLD, 1, fake_kernel_pe(1), 2);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_HOLD, 1, p1, 7);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_HOLD, 1);
    fake_use(0);
    ck_assert(!kern.moves.hold);
    ck_assert_uint_ge(sent(0, 2), was + 1);
    before = kern.stats.bad_kcalls;
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_STATE, 0, p1, MOVE_R_VPE);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_END, 3, p1, 2);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_COMMIT, 0, p1, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_SWITCH, 3, p2, pe_desc(p2, FAKE_PE_MEM, PE_TYPE_SPM));
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_DONE, 0, p1);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_DEAD, 0, p2);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_OFF, 0, p2);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_CALL, 0, p0, 1, 0, 16, SYSC_EXIT, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_CALL, 0, 5000, 1, 0, 16, SYSC_EXIT, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 0, 99, 0, p1);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_HELD, 4, p1, 0);
    fake_use(0);
    ck_assert_uint_gt(kern.stats.bad_kcalls, before);
    ck_assert_uint_eq(peer_owner(p2), 2);
    ck_assert_uint_eq(peer_owner(p1), 1);
    fake_check();
}
END_TEST

/* Kernel 0 has been told that p1 may go to kernel 2, which says so before kernel 1 does. */
static void claim(void)
{
    const uint64_t was = bad(0);

    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_HOLD, 1, p1, 2);
    KCALL(2, 0, KC_PARTITIONMIG, 0, MOVE_DEAD, 0, p1);
    KCALL(2, 0, KC_PARTITIONMIG, 0, MOVE_SWITCH, 3, p1, pe_desc(p1, FAKE_PE_MEM, PE_TYPE_SPM));
    fake_use(0);
    ck_assert(kern.moves.hold);
    ck_assert_uint_eq(peer_owner(p1), 1);
    ck_assert_uint_eq(bad(0), was);
    KCALL(2, 0, KC_PARTITIONMIG, 0, MOVE_SWITCH, 3, p1, pe_desc(p1, FAKE_PE_MEM, PE_TYPE_SPM));
    ck_assert_uint_eq(bad(0), was + 1);
    KCALL(2, 0, KC_PARTITIONMIG, 0, MOVE_GIVEN_AWAY, 0, p1);
    ck_assert_uint_eq(bad(0), was + 2);
    fake_use(0);
    ck_assert_uint_eq(peer_owner(p1), 1);
}

/* What is only offered is not its new owner's, whatever that says. */
START_TEST(claimed_too_early)
{
    fake_auto = false;
    claim();
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_OFF, 0, p1);
    fake_use(0);
    ck_assert(!kern.moves.hold);
    ck_assert_uint_eq(peer_owner(p1), 1);
    /* It is refused, and told so. */
    ck_assert_uint_eq(fake_last(0, 2)->word[2], MOVE_SWITCHED);
    ck_assert_uint_eq(fake_last(0, 2)->word[5], SE_INV_ARGS);
    KCALL(2, 0, KC_PARTITIONMIG, 0, MOVE_SWITCH, 3, p1, pe_desc(p1, FAKE_PE_MEM, PE_TYPE_SPM));
    fake_use(0);
    ck_assert_uint_eq(peer_owner(p1), 1);
}
END_TEST

/* It was given, or who could say so is dead. */
START_TEST(claimed_rightly)
{
    const bool lost = _i;

    fake_auto = false;
    claim();
    if (lost) {
        fake_use(0);
        peer_lost(peer_find(1), "test");
    } else {
        KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_GIVEN_AWAY, 0, p1);
    }
    fake_use(0);
    ck_assert(!kern.moves.hold);
    ck_assert_uint_eq(peer_owner(p1), 2);
}
END_TEST

/* A VPE of the new owner's that waits to move itself ends: that is nothing to those told of
 * another.
 */
START_TEST(waiting_one_ends)
{
    fake_auto = false;
    ck_assert_int_eq(begin_move(pc, 2), SE_OK);
    fake_use(2);
    while (!kern.moves.ours) {
        ck_assert(fake_deliver_one());
        fake_use(2);
    }
    ck_assert_int_eq(begin_move(p2, 0), SE_OK);
    vpe_exit(by2, 0);
    fake_time(MS);
    fake_use(2);
    ck_assert(kern.moves.ours); /* until they have answered */
    ck_assert(kern.pes[pc].vpe->move.frozen);
    /* And nothing else is asked of who has not. */
    ck_assert(peer_find(0)->held);
    fake_auto = true;
    rest();
    must_be_at(pc, 2);
    fake_use(2);
    ck_assert(!peer_find(0)->held && !peer_find(1)->held);
}
END_TEST

/*
 * Kernel 1 has begun anew and says to kernel 0 that pc is its own, before kernel 2, where pc was,
 * says that it has it no more.
 */
START_TEST(home_again)
{
    const bool lost = _i;

    move_to(pc, 2);
    fake_auto = false;
    KCALL(1, 0, KC_CONNECT, KC_REQUEST_STAGE, 1, fake_kernel_pe(1), KC_EP, MEMBER_NONE, 1,
          pe_desc(pc, FAKE_PE_MEM, PE_TYPE_SPM), 4711);
    fake_use(0);
    ck_assert_ptr_nonnull(peer_find(1));
    ck_assert_uint_eq(peer_owner(pc), 2);
    if (lost)
        peer_lost(peer_find(1), "test");
    fake_kill(1);
    fake_use(2);
    peer_lost(peer_find(1), "test");
    fake_deliver();
    fake_use(0);
    ck_assert_uint_eq(peer_owner(pc), lost ? KC_NO_KERNEL : 1);
    fake_restart(1, false); /* so that its heap is gone */
}
END_TEST

/* Kernel 1 asks whose a PE is, while it is to be told something else: the answer waits for that. */
START_TEST(asked_meanwhile)
{
    fake_auto = false;
    fake_use(0);
    peer_find(1)->move = MOVE_P_TOLD;
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_LOST, 0, p2);
    fake_use(0);
    move_tick(MS);
    ck_assert_uint_eq(fake_wire(), 0);
    peer_find(1)->move = MOVE_P_NONE;
    move_tick(MS);
    ck_assert_uint_eq(fake_last(0, 1)->word[2], MOVE_DEAD);
    ck_assert_uint_eq(fake_last(0, 1)->word[4], p2);
}
END_TEST

/* A call in the name of another kernel's VPE. */
static void forge(unsigned from, unsigned to, unsigned pe)
{
    const uint64_t was = bad(to);

    KCALL(from, to, KC_PARTITIONMIG, 0, MOVE_CALL, 0, pe, VPE_EP_RECV, 0, 16, SYSC_EXIT, 0);
    ck_assert_uint_eq(bad(to), was + 1);
    ck_assert_ptr_nonnull(kern.pes[pe].vpe);
}

/* Only who had a VPE hands on what it has called, and of none that comes after it. */
START_TEST(forged_calls)
{
    forge(1, 0, p0);
    move_to(pc, 2);
    forge(0, 2, pc);
    move_to(pc, 0);
    forge(1, 2, p2);
    fake_use(0);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_CALL, 0, pc, VPE_EP_RECV, 0, 16, SYSC_EXIT, 0);
    fake_use(0);
    ck_assert_ptr_null(kern.pes[pc].vpe); /* it was its own */
    fake_settle();
    ck_assert_int_eq(
        CALL(ps, SYSC_CREATEVPE, 700, 701, 1, 'c', pe_desc(0, 0, PE_TYPE_SPM), CAP_INVALID, 0),
        SE_OK);
    while (!kern.pes[pc].vpe)
        ck_assert_ptr_nonnull(on(0));
    forge(1, 0, pc);
    forge(2, 0, pc);
}
END_TEST

/* STATE that nobody has said HOLD before: it keeps nobody from anything. */
START_TEST(unasked)
{
    fake_auto = false;
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_STATE, 0, p1, MOVE_R_VPE);
    fake_use(0);
    ck_assert(!move_keeps_us());
    fake_auto = true;
    move_to(pc, 0);
}
END_TEST

/* The new owner takes it, acknowledges, and says nothing more: it is lost, and nobody else. */
START_TEST(never_done)
{
    fake_auto = false;
    ck_assert_int_eq(begin_move(pc, 2), SE_OK);
    fake_use(1);
    while (kern.moves.phase != MOVE_GIVEN) {
        ck_assert(fake_deliver_one());
        fake_use(1);
    }
    fake_kill(2);
    KCALL(2, 1, KC_REPLY);
    fake_auto = true;
    for (unsigned i = 0; i < 200; i++)
        fake_time(SECOND);
    fake_use(1);
    ck_assert_int_eq(kern.moves.phase, MOVE_IDLE);
    ck_assert(!move_keeps_us());
    ck_assert_ptr_null(peer_find(2));
    ck_assert_ptr_nonnull(peer_find(0));
    fake_use(0);
    ck_assert(!move_keeps_us());
    ck_assert_ptr_nonnull(peer_find(1));
    fake_restart(2, false);
}
END_TEST

/* Who does not answer HOLD is lost after 30 s. */
START_TEST(silent_holder)
{
    fake_auto = false;
    ck_assert_int_eq(begin_move(pc, 2), SE_OK);
    for (unsigned i = 0; i < 35; i++)
        fake_time(SECOND);
    fake_use(1);
    ck_assert_ptr_null(peer_find(0));
    ck_assert_int_eq(kern.moves.phase, MOVE_IDLE);
    fake_kill(0);
    fake_kill(2);
    fake_restart(0, false);
    fake_restart(2, false);
}
END_TEST

/* A gate to a kernel is none that a VPE can bring along. */
START_TEST(gate_to_us)
{
    fake_auto = false;
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_HOLD, 1, p1, 0);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_STATE, 0, p1,
          MOVE_R_CAP | (uint64_t)CAP_MSG << 8 | 40ull << 16 | 5ull << 32, 0, 1, 256,
          fake_kernel_pe(0) | 0ull << 16 | (uint64_t)KC_SETUP_EP << 32);
    fake_use(0);
    ck_assert_int_eq(kern.moves.error, SE_INV_ARGS);
    KCALL(1, 0, KC_PARTITIONMIG, 0, MOVE_OFF, 0, p1);
    fake_use(0);
    ck_assert(!move_keeps_us());
}
END_TEST

/* To us, but nonsense: nothing of it stays. */
START_TEST(nonsense)
{
    uint64_t words[200] = {KC_PARTITIONMIG, 0, MOVE_HOLD, 1, p1, 2};

    fake_auto = false;
    for (unsigned i = 0; i < 400; i++) {
        words[2] = MOVE_HOLD;
        words[5] = 0;
        fake_kcall(1, 0, words, 6 * 8);
        fake_use(0);
        ck_assert(kern.moves.hold);
        words[2] = MOVE_STATE;
        for (unsigned k = 5; k < 200; k++)
            words[k] = (uint64_t)rand() << 32 ^ (uint64_t)rand();
        words[5] = MOVE_R_CAP | (uint64_t)CAP_MEM << 8 | (uint64_t)(i % 4) << 16 | 5ull << 32;
        words[6] = i % 2 ? 0 : ddl_key(p1, p1, DDL_MEMCAP, 5 << 16 | (i + 1) % 4);
        words[7] = 64;
        words[8] = 8;
        words[9] = 3ull << 32;
        words[10] = MOVE_R_CHILD | (uint64_t)(i % 4) << 16;
        words[12] = 1 + i % 4;
        fake_kcall(1, 0, words, (5 + i % 190) * 8);
        words[2] = MOVE_END;
        words[5] = 1;
        fake_kcall(1, 0, words, 6 * 8);
        words[2] = i % 2 ? MOVE_OFF : MOVE_COMMIT;
        fake_kcall(1, 0, words, 6 * 8);
        words[2] = MOVE_OFF;
        fake_kcall(1, 0, words, 6 * 8);
        fake_use(0);
        ck_assert(!kern.moves.hold && !kern.moves.from);
        ck_assert_uint_eq(peer_owner(p1), 1);
    }
    fake_check();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("VPEs that move, and kernels that die");
    TCase *t = tcase_create("dead");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, killed_anywhere, 0, 3);
    tcase_add_test(t, lies);
    tcase_add_test(t, claimed_too_early);
    tcase_add_loop_test(t, claimed_rightly, 0, 2);
    tcase_add_test(t, waiting_one_ends);
    tcase_add_loop_test(t, home_again, 0, 2);
    tcase_add_test(t, asked_meanwhile);
    tcase_add_test(t, forged_calls);
    tcase_add_test(t, unasked);
    tcase_add_test(t, never_done);
    tcase_add_test(t, silent_holder);
    tcase_add_test(t, gate_to_us);
    tcase_add_test(t, nonsense);
    suite_add_tcase(s, t);
    return run_suite(s);
}
