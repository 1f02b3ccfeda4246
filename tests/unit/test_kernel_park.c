/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that wait for a silent service, or for one that is to receive, give their place at its
 * kernel back (kernelcalls.h, park.c): others' calls go on, and the answer comes when there is one,
 * whoever ends meanwhile.
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
#include "park_fixture.h"

/* ---- others go on ---- */

START_TEST(silent_service)
{
    make_call((unsigned)_i, pc);
    make_call((unsigned)_i, p1);
    ck_assert_int_eq(CALL(more->pe, SYSC_CREATESESS, 0, SESS, OTHER), FAKE_LATER);
    ck_assert(!fake_request(p0)->there); /* there is no place for it */
    wait_ms(200);
    ck_assert(fake_request(p0)->there);
    ANSWER(p0, SE_OK, 5);
    ck_assert_int_eq(last(more->pe), SE_OK);
    ck_parked(2);
    ck_assert_uint_eq(cli->wait.kind, WAIT_KERNEL);
    wait_ms(10000);
    answer((unsigned)_i, 2);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_int_eq(last(p1), SE_OK);
    if (_i == ACTIVATES)
        ck_assert_uint_eq(fake_ep_type(pc, 5), DTU_EP_SEND);
    else
        ck_assert_ptr_nonnull(_i == OPENS     ? cap(cli, SESS + 1)
                              : _i == OBTAINS ? cap(cli, GOT + 1)
                                              : cap(srv, GOT));
    nothing_parked();
}
END_TEST

/* Who answers soon is not disturbed, even if its kernel has slept before. */
START_TEST(not_at_once)
{
    unsigned before;

    make_call((unsigned)_i, pc);
    before = sent(0, 1);
    fake_time(SECOND);
    wait_ms(50);
    ck_assert_uint_eq(sent(0, 1), before);
    answer((unsigned)_i, 1);
    ck_assert_int_eq(last(pc), SE_OK);
    fake_use(0);
    ck_assert_uint_eq(kern.stats.parked, 0);
    nothing_parked();
}
END_TEST

/* More than two at a time, which wait for each other at the service. */
START_TEST(many_at_once)
{
    make_call(OBTAINS, pc);
    make_call(OBTAINS, p1);
    wait_ms(200);
    ck_assert_int_eq(CALL(more->pe, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    wait_ms(200);
    ck_parked(3);
    answer(OBTAINS, 2);
    answer(OPENS, 1);
    ck_assert_int_eq(last(more->pe), SE_OK);
    nothing_parked();
}
END_TEST

/* A wait that nothing else wakes the kernel for. */
START_TEST(somebody_looks)
{
    make_call((unsigned)_i, pc);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < 2; k++) {
            fake_use(k);
            ck_assert_uint_ne(peer_tick(100 * MS), 0);
            ck_assert_uint_le(peer_tick(1), 100 * MS);
        }
        fake_deliver();
    }
    ck_parked(1);
    answer((unsigned)_i, 1);
    nothing_parked();
}
END_TEST

/* ---- ends ---- */

START_TEST(parked_caller_ends)
{
    make_call((unsigned)_i, pc);
    wait_ms(200);
    ck_parked(1);
    fake_use(1);
    vpe_exit(cli, 0);
    fake_deliver();
    answer((unsigned)_i, 1);
    if (_i == OPENS) { /* the session that nobody wants is closed, as is the one of before */
        ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
        ANSWER(ps, SE_OK);
    }
    ck_assert_ptr_null(cap(srv, MEM)->rkids);
    ck_assert_ptr_null(cap(srv, GOT));
    if (_i != OPENS && fake_request(ps)->there)
        ANSWER(ps, SE_OK);
    nothing_parked();
    fake_check();
}
END_TEST

START_TEST(parked_service_ends)
{
    make_call((unsigned)_i, pc);
    wait_ms(200);
    ck_parked(1);
    fake_use(0);
    vpe_exit(srv, 0);
    fake_deliver();
    ck_assert_int_eq(last(pc), _i == OPENS ? SE_INV_ARGS : SE_RECV_GONE);
    nothing_parked();
    fake_check();
}
END_TEST

/* The limits of before hold: 30 s for the service, 15 s for one that is to receive. */
START_TEST(parked_until_the_end)
{
    make_call((unsigned)_i, pc);
    wait_ms(_i == ACTIVATES ? 14000 : 29000);
    ck_parked(1);
    wait_ms(3000);
    ck_assert_int_eq(last(pc), _i == OPENS ? SE_INV_ARGS : SE_RECV_GONE);
    nothing_parked();
    wait_ms(130000);
    fake_use(1);
    ck_assert_ptr_nonnull(peer_find(0));
}
END_TEST

/* That somebody has waited for one to receive for too long says nothing of who came later. */
START_TEST(own_time)
{
    make_call(ACTIVATES, pc);
    wait_ms(10000);
    make_call(ACTIVATES, p1);
    wait_ms(6000);
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    ck_assert_uint_eq(by1->wait.kind, WAIT_KERNEL);
    answer(ACTIVATES, 1);
    ck_assert_int_eq(last(p1), SE_OK);
    nothing_parked();
}
END_TEST

/* A service that answers, but slowly: who waits behind too many others is told so in time. */
START_TEST(far_behind)
{
    const unsigned n = 8;

    fake_use(0);
    srv_find("fs")->busy = true; /* at something else, which it will answer: never too late */
    make_call((unsigned)_i, pc);
    for (unsigned i = 0; i < n; i++) {
        wait_ms(20000);
        fake_use(0);
        srv_find("fs")->waited = 0;
    }
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    nothing_parked();
    fake_use(0);
    ck_assert_ptr_null(kern.peers.exchanges);
    srv_find("fs")->busy = false;
    fake_use(1);
    ck_assert_ptr_nonnull(peer_find(0));
}
END_TEST

/* The same while the service is at work on it, and answers in the end. */
START_TEST(given_up_in_flight)
{
    make_call((unsigned)_i, pc);
    for (unsigned i = 0; i < 4; i++) {
        wait_ms(20000);
        fake_use(0);
        srv_find("fs")->waited = 0;
    }
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    answer((unsigned)_i, 1);
    if (_i == OPENS) {
        ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
        ANSWER(ps, SE_OK);
    }
    ck_assert_ptr_null(cap(srv, MEM)->rkids);
    ck_assert_ptr_null(cap(srv, GOT));
    nothing_parked();
}
END_TEST

/* The capabilities of a delegation have their own time, from the answer on. */
START_TEST(capabilities_take_time)
{
    make_call(DELEGATES, pc);
    for (unsigned i = 0; i < 2; i++) {
        wait_ms(25000);
        fake_use(0);
        srv_find("fs")->waited = 0;
    }
    fake_auto = false;
    answer(DELEGATES, 1);
    ck_assert(fake_deliver_one());
    wait_ms(20000);
    fake_use(0);
    ck_assert_ptr_nonnull(kern.peers.exchanges);
    fake_auto = true;
    fake_deliver();
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_uint_eq(cap(srv, GOT)->type, CAP_MEM);
    nothing_parked();
}
END_TEST

/* The kernel that has parked it dies: that is noticed although nothing is under way to it. */
START_TEST(parking_kernel_dies)
{
    make_call((unsigned)_i, pc);
    wait_ms(200);
    ck_parked(1);
    fake_kill(0);
    wait_ms(13000);
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    fake_use(1);
    ck_assert_ptr_null(peer_find(0));
    fake_use(2);
    peer_lost(peer_find(0), "test");
    fake_restart(0, false);
}
END_TEST

/* The caller's kernel dies, or begins anew: nobody gets the answer. */
START_TEST(parked_kernel_dies)
{
    unsigned kind = (unsigned)_i % KINDS;

    make_call(kind, pc);
    wait_ms(200);
    ck_parked(1);
    fake_restart(1, false);
    fake_use(0);
    peer_lost(peer_find(1), "test");
    ck_assert_ptr_null(kern.peers.exchanges);
    fake_use(2);
    peer_lost(peer_find(1), "test");
    if (_i >= KINDS) { /* it is there again */
        fake_use(1);
        for (unsigned i = 0; i < 3; i++)
            if (i != 1)
                connect_send(peer_add(i, fake_kernel_pe(i)));
        fake_deliver();
        fake_use(0);
        ck_assert_ptr_nonnull(peer_find(1));
    }
    answer(kind, 1);
    while (fake_request(ps)->there)
        ANSWER(ps, SE_OK); /* sessions are closed */
    ck_assert_ptr_null(cap(srv, MEM)->rkids);
    if (_i >= KINDS)
        nothing_parked();
    fake_check();
}
END_TEST

/* The session that it came over is closed meanwhile. */
START_TEST(parked_session_closed)
{
    make_call((unsigned)_i, pc);
    wait_ms(200);
    fake_use(1);
    cap_revoke(cap(cli, SESS));
    fake_deliver();
    answer((unsigned)_i, 1);
    ck_assert_uint_eq(cli->wait.kind, WAIT_NONE);
    if (fake_request(ps)->there)
        ANSWER(ps, SE_OK);
    nothing_parked();
}
END_TEST

/* ---- the answer ---- */

/* It takes a place like a request, one of two, and waits for that. */
static void use_places(void)
{
    const uint64_t item[5] = {KC_MHTPUT, ddl_key(pc, pc, DDL_NONE, 1), 8, 1, 'x'};

    fake_use(0);
    for (unsigned i = 0; i < KC_INFLIGHT - 2; i++)
        peer_request(peer_find(1), item, sizeof(item), 0);
}

/* REVOKE, which has a place of its own, overtakes it. */
START_TEST(overtaken)
{
    make_call((unsigned)_i, pc);
    wait_ms(200);
    fake_auto = false;
    use_places();
    answer((unsigned)_i, 1);
    fake_use(0);
    ck_assert_ptr_nonnull(peer_find(1)->late.head);
    if (_i != DELEGATES)
        CALL(ps, SYSC_REVOKE, RANGE(_i == OPENS ? SRV : MEM, 1), 1);
    fake_auto = true;
    fake_deliver();
    ck_assert_int_eq(last(pc), _i == OPENS ? SE_RECV_GONE : SE_OK);
    ck_assert_ptr_null(cap(cli, SESS + 1));
    ck_assert_ptr_null(cap(cli, GOT + 1));
    nothing_parked();
    fake_check();
}
END_TEST

/* A VPE on the move keeps requests back, answers not. */
START_TEST(not_held)
{
    make_call((unsigned)_i, pc);
    wait_ms(200);
    fake_use(0);
    peer_find(1)->held = true;
    answer((unsigned)_i, 1);
    ck_assert_int_eq(last(pc), SE_OK);
    fake_use(0);
    peer_find(1)->held = false;
    nothing_parked();
}
END_TEST

/* Who waits for it stays where it is. */
START_TEST(does_not_move)
{
    make_call((unsigned)_i, pc);
    wait_ms(200);
    fake_use(1);
    ck_assert_int_eq(move_begin(pc, peer_find(2)), SE_OK);
    wait_ms(11000);
    fake_use(1);
    ck_assert_int_eq(kern.moves.result, SE_MSGS_WAITING);
    answer((unsigned)_i, 1);
    ck_assert_int_eq(last(pc), SE_OK);
    nothing_parked();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("calls that wait for long");
    TCase *t = tcase_create("park");

    tcase_add_checked_fixture(t, begin, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, silent_service, 0, KINDS);
    tcase_add_loop_test(t, not_at_once, 0, KINDS);
    tcase_add_test(t, many_at_once);
    tcase_add_loop_test(t, somebody_looks, 0, KINDS);
    tcase_add_loop_test(t, parked_caller_ends, 0, KINDS);
    tcase_add_loop_test(t, parked_service_ends, 0, KINDS);
    tcase_add_loop_test(t, parked_until_the_end, 0, KINDS);
    tcase_add_test(t, own_time);
    tcase_add_loop_test(t, far_behind, 0, ACTIVATES);
    tcase_add_loop_test(t, given_up_in_flight, 0, ACTIVATES);
    tcase_add_test(t, capabilities_take_time);
    tcase_add_loop_test(t, parking_kernel_dies, 0, KINDS);
    tcase_add_loop_test(t, parked_kernel_dies, 0, 2 * KINDS);
    tcase_add_loop_test(t, parked_session_closed, OBTAINS, ACTIVATES);
    tcase_add_loop_test(t, overtaken, 0, ACTIVATES);
    tcase_add_loop_test(t, not_held, 0, KINDS);
    tcase_add_loop_test(t, does_not_move, 0, KINDS);
    suite_add_tcase(s, t);
    return run_suite(s);
}
