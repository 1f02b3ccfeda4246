/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every call that waits for another kernel: that one says nothing any more, or is lost, or the
 * caller ends.  The caller gets an error in bounded time, what was reserved is free again, and what
 * the other kernel did all the same, late, is undone.
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

#define OWN 100u /* the client's memory */
#define FAR 60u

static void seconds(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fake_time(SECOND);
}

/* With a session, memory, a gate to where nobody receives, and a VPE of the other kernel. */
static void begin(void)
{
    setup();
    open_session(pc, SESS, 1);
    ck_assert_int_eq(CALL(pc, SYSC_REQMEM, OWN, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_CREATEGATE, 0, GATE + 50, LABEL, 9, 256), SE_OK);
    obtain(pc, GOT, GATE + 50, 1);
    obtain(pc, FAR, 0, 1);
    fake_auto = false;
}

enum { CALLS = 6 };

static void make_call(unsigned n)
{
    switch (n) {
    case 0:
        CALL(pc, SYSC_CREATESESS, 0, SESS + 1, NAME);
        break;
    case 1:
        CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT + 1, 2));
        break;
    case 2:
        CALL(pc, SYSC_DELEGATE, 0, SESS, RANGE(OWN, 1));
        break;
    case 3:
        CALL(pc, SYSC_ACTIVATE, 5, CAP_INVALID, GOT);
        break;
    case 4:
        CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_START, 0);
        break;
    default:
        CALL(pc, SYSC_EXCHANGE, FAR, RANGE(GOT + 1, 1), RANGE(MEM, 1), 1);
    }
}

static void nothing_reserved(void)
{
    ck_assert_uint_eq(cli->wait.kind, WAIT_NONE);
    ck_assert_ptr_null(cap(cli, SESS + 1));
    ck_assert_ptr_null(cap(cli, GOT + 1));
    ck_assert_ptr_null(cap(cli, GOT + 2));
    ck_assert_uint_eq(fake_ep_type(pc, 5), DTU_EP_INVALID);
}

/* The other kernel goes on, and what it does comes too late. */
static void late(unsigned n)
{
    fake_auto = true;
    fake_deliver();
    seconds(20); /* endpoint 9 will not receive */
    if (fake_request(ps)->there)
        ANSWER(ps, SE_OK, n == 0 ? 77 : CRD_OBJ | (uint64_t)MEM << 32, 1);
    if (fake_request(ps)->there)
        ANSWER(ps, SE_OK); /* CLOSE */
    fake_check();
    ck_assert_ptr_null(cap(srv, MEM)->rkids);
}

START_TEST(it_is_silent)
{
    make_call((unsigned)_i);
    ck_assert_uint_eq(cli->wait.kind, WAIT_KERNEL);
    seconds(59);
    ck_assert_uint_eq(cli->wait.kind, WAIT_KERNEL);
    seconds(3);
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    nothing_reserved();
    late((unsigned)_i);
    nothing_reserved();
    fake_use(1);
    ck_assert_ptr_nonnull(peer_find(0));
    ck_assert_ptr_null(kern.peers.late);
}
END_TEST

/* It acknowledges what it must, and answers never: then it is lost. */
START_TEST(it_stays_silent)
{
    make_call((unsigned)_i);
    seconds(125);
    fake_use(1);
    ck_assert_ptr_null(peer_find(0));
    nothing_reserved();
    ck_assert_ptr_null(cap(cli, SESS));
    fake_use(0);
    peer_lost(peer_find(1), "test");
}
END_TEST

START_TEST(it_is_lost)
{
    make_call((unsigned)_i);
    fake_deliver_one(); /* it has the request */
    fake_kill(0);
    fake_use(1);
    peer_lost(peer_find(0), "test");
    nothing_reserved();
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    fake_restart(0, false);
}
END_TEST

START_TEST(the_caller_ends)
{
    make_call((unsigned)_i);
    for (unsigned n = 0; n < (unsigned)_i; n++)
        fake_deliver_one();
    fake_use(1);
    vpe_exit(cli, 0);
    late((unsigned)_i);
}
END_TEST

/* ---- where the other side waits ---- */

/* The service has answered, the capabilities never come. */
START_TEST(delegation_without_capabilities)
{
    make_call(2);
    fake_deliver();
    ANSWER(ps, SE_OK, RANGE(GOT, 1));
    ck_assert_ptr_nonnull(cap(srv, GOT));
    if (_i == 0) {
        seconds(63);
    } else {
        fake_use(0);
        peer_lost(peer_find(1), "test");
        fake_use(1);
        peer_lost(peer_find(0), "test");
    }
    ck_assert_ptr_null(cap(srv, GOT));
    fake_use(0);
    ck_assert_ptr_null(kern.peers.exchanges);
}
END_TEST

/* They are sent, and not acknowledged. */
START_TEST(delegation_without_ack)
{
    make_call(2);
    fake_deliver();
    ANSWER(ps, SE_OK, RANGE(GOT, 1));
    fake_deliver_one();
    ck_assert_ptr_nonnull(cap(cli, OWN)->rkids);
    seconds(32);
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    ck_assert_ptr_null(cap(cli, OWN)->rkids);
    fake_use(1);
    ck_assert_ptr_null(peer_find(0));
    fake_deliver();
    fake_use(0);
    peer_lost(peer_find(1), "test");
    ck_assert_ptr_null(cap(srv, GOT));
}
END_TEST

/* Revocation: not acknowledged; or acknowledged, and never finished. */
START_TEST(revocation)
{
    uint64_t tid = 0;

    fake_auto = true;
    obtain(pc, GOT + 1, MEM, 1);
    fake_auto = false;
    ck_assert_int_eq(revoke(ps, MEM, 1), FAKE_LATER);
    if (_i == 1)
        KCALL(1, 0, KC_REPLY, tid);
    seconds(_i ? 59 : 29);
    ck_assert_uint_eq(srv->wait.kind, WAIT_REVOKE);
    seconds(3);
    ck_assert_int_eq(last(ps), _i ? SE_RECV_GONE : SE_OK); /* with the kernel all is gone */
    if (_i == 1) {
        fake_use(0);
        ck_assert_ptr_nonnull(kern.revocations);
        ck_assert_ptr_nonnull(peer_find(1));
        seconds(60);
        ck_assert_int_eq(CALL(ps, SYSC_NOOP), SE_OK);
        seconds(130);
    }
    fake_use(0);
    ck_assert_ptr_null(kern.revocations);
    ck_assert_ptr_null(peer_find(1));
    fake_use(1);
    peer_lost(peer_find(0), "test");
}
END_TEST

/* A PE whose memory another kernel has is free again when that kernel is given up. */
START_TEST(held_pe)
{
    fake_auto = true;
    obtain(pc, GOT + 1, 1, 1);
    fake_auto = false;
    CALL(ps, SYSC_EXIT, 0);
    for (unsigned i = 0; i < 3; i++)
        KCALL(1, 0, KC_REPLY);
    fake_use(0);
    ck_assert_int_eq(kern.pes[ps].state, PE_WAITING);
    seconds(245);
    fake_use(0);
    ck_assert_int_eq(kern.pes[ps].state, PE_RESETTING);
    fake_use(1);
    peer_lost(peer_find(0), "test");
}
END_TEST

/* Who asked for a revocation is given up later than who makes us wait with it. */
START_TEST(revocation_for_another)
{
    struct peer *p;

    fake_auto = true;
    open_session(p2, SESS, 2);
    delegate(pc, OWN, GOT, 1);
    obtain(p2, GOT, GOT, 1);
    fake_auto = false;
    ck_assert_int_eq(revoke(pc, OWN, 1), FAKE_LATER);
    fake_deliver_one(); /* kernel 0 acknowledges and asks kernel 2 */
    KCALL(2, 0, KC_REPLY);
    fake_use(1);
    p = peer_find(0);
    ck_assert_uint_eq(p->inflight, 1);
    KCALL(0, 1, KC_REPLY);
    seconds(125);
    fake_use(0);
    ck_assert_ptr_null(peer_find(2));
    ck_assert_ptr_nonnull(peer_find(1));
    fake_use(1);
    ck_assert_ptr_nonnull(peer_find(0));
    fake_use(2);
    peer_lost(peer_find(0), "test");
    fake_deliver();
    fake_use(1);
    ck_assert_ptr_null(kern.revocations);
}
END_TEST

/* A lock that is not given back: who wants it, too, is told that there is no such item. */
START_TEST(locked_item)
{
    uint64_t key = ddl_key(p0, p0, DDL_NONE, 1);
    unsigned ops[2] = {KC_MHTLOCK, KC_MHTGETLOCKING};

    KCALL(1, 0, KC_MHTPUT, key, 8, 1, 'x');
    KCALL(1, 0, KC_MHTLOCK, 0, 1, key);
    fake_deliver();
    for (unsigned i = 0; i < 2; i++) {
        unsigned before = sent(0, 2);

        KCALL(2, 0, ops[i], 0, 5, key);
        seconds(10);
        ck_assert_uint_eq(sent(0, 2), before);
        seconds(7);
        ck_assert_uint_eq(sent(0, 2), before + 1);
        ck_assert_uint_eq(fake_last(0, 2)->word[0], ops[i]);
        ck_assert_uint_eq(fake_last(0, 2)->word[3], 0);
    }
}
END_TEST

/* KCREATEVPE and SHUTDOWN are answered at once by who lives. */
START_TEST(kernels_for_themselves)
{
    fake_use(0);
    if (_i == 0) {
        ck_assert(group_start_elsewhere("prog"));
    } else {
        peer_find(2)->created = false;
        peer_find(1)->may_end = true;
        ck_assert(!group_may_end());
        ck_assert(peer_find(1)->told_end);
    }
    seconds(125);
    fake_use(0);
    ck_assert_ptr_null(peer_find(1));
    ck_assert_ptr_nonnull(peer_find(2));
    if (_i == 1)
        ck_assert(group_may_end());
    fake_use(1);
    peer_lost(peer_find(0), "test");
}
END_TEST

/* The kernel that gives the sign to start has gone: nobody waits for it. */
START_TEST(no_start_sign)
{
    fake_use(1);
    kern.peers.started = false;
    kern.peers.secondary = true;
    kern.peers.creator = 0;
    kern.peers.announced = true;
    ck_assert(!group_may_start(true));
    peer_lost(peer_find(0), "test");
    ck_assert(group_may_start(false));
    fake_use(0);
    peer_lost(peer_find(1), "test");
}
END_TEST

/* A kernel that does not answer CONNECT and that nobody has configured. */
START_TEST(no_connection)
{
    fake_use(0);
    ck_assert_ptr_nonnull(peer_add(7, p0));
    seconds(59);
    fake_use(0);
    ck_assert_ptr_null(peer_add(7, p0));
    seconds(3);
    fake_use(0);
    ck_assert_ptr_nonnull(peer_add(7, p0));
    seconds(62);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("waiting for other kernels");
    TCase *t = tcase_create("waits");

    tcase_add_checked_fixture(t, begin, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, it_is_silent, 0, CALLS);
    tcase_add_loop_test(t, it_stays_silent, 0, CALLS);
    tcase_add_loop_test(t, it_is_lost, 0, CALLS);
    tcase_add_loop_test(t, the_caller_ends, 0, CALLS);
    tcase_add_loop_test(t, delegation_without_capabilities, 0, 2);
    tcase_add_test(t, delegation_without_ack);
    tcase_add_loop_test(t, revocation, 0, 2);
    tcase_add_test(t, held_pe);
    tcase_add_test(t, revocation_for_another);
    tcase_add_test(t, locked_item);
    tcase_add_loop_test(t, kernels_for_themselves, 0, 2);
    tcase_add_test(t, no_start_sign);
    tcase_add_test(t, no_connection);
    suite_add_tcase(s, t);
    return run_suite(s);
}
