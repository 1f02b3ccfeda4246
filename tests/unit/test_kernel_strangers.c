/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What waits for another kernel is for one VPE, one service and one peer: whoever comes to their
 * place meanwhile has no part in it.
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
#include "../../guest/kernel/srv.h"
#include "kernel_pair.h"

#define CHILD 50u
#define DESC  4ull, 0x6C696863ull, (uint64_t)PE_TYPE_SPM /* "chil", any PE */

/* A delegation of what a VPE has that ends, and whose PE is another one's when it is due. */
START_TEST(delegates_for_one_that_has_ended)
{
    struct vpe *child, *stranger;

    ck_assert_int_eq(CALL(pc, SYSC_CREATEVPE, CHILD, CHILD + 1, DESC, CAP_INVALID, 0), SE_OK);
    child = cap(cli, CHILD)->vpe;
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESS, CHILD, SESS, NAME), FAKE_LATER);
    ANSWER(ps, SE_OK, 1);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_DELEGATE, CHILD, SESS, RANGE(1, 1)), FAKE_LATER);
    ck_assert_uint_eq(fake_request(ps)->word[0], DELEGATE);

    fake_use(1);
    vpe_exit(child, 0);
    fake_deliver();
    fake_settle();
    stranger = on(1);
    ck_assert_uint_eq(stranger->pe, child->pe);
    ANSWER(ps, SE_OK, RANGE(GOT, 1));
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    ck_assert_ptr_null(cap(srv, GOT));
    ck_assert_ptr_null(cap(stranger, CAP_SELF_MEM)->rkids);
    ANSWER(ps, SE_OK); /* CLOSE */
}
END_TEST

/* A kernel that nothing was asked of cannot say that the answer has been revoked. */
START_TEST(revokes_what_others_were_asked_for)
{
    uint64_t parent = ddl_key(p2, p2, DDL_SRVCAP, 1);

    ck_assert_int_eq(CALL(pc, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ck_assert_int_eq(cap(cli, SESS)->type, CAP_NONE);
    KCALL(2, 1, KC_REVOKE, ddl_key(pc, pc, DDL_SESSCAP, SESS), parent, parent);
    ck_assert_ptr_nonnull(cap(cli, SESS));
    ANSWER(ps, SE_OK, 1);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_int_eq(cap(cli, SESS)->type, CAP_SESS);
    /* Who was asked may say so of what it gives. */
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    parent = ddl_key(ps, ps, DDL_MEMCAP, MEM);
    KCALL(0, 1, KC_REVOKE, ddl_key(pc, pc, DDL_MEMCAP, GOT), parent, parent);
    ck_assert_ptr_null(cap(cli, GOT));
    ANSWER(ps, SE_OK, RANGE(MEM, 1));
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_ptr_null(cap(cli, GOT));
}
END_TEST

/* A kernel asks for more than the service has time for, and again as somebody new. */
START_TEST(asks_and_goes)
{
    struct service *s;

    for (unsigned i = 0; i < 100; i++)
        KCALL(1, 0, KC_CREATESESSFWD, pc, NAME, ddl_key(pc, pc, DDL_SESSCAP, 1 << 16 | i), 1 + i);
    fake_use(0);
    ck_assert_ptr_nonnull(kern.peers.exchanges);
    peer_lost(peer_find(1), "test");
    ck_assert_ptr_null(kern.peers.exchanges);
    s = srv_find("fs");
    ck_assert_ptr_null(s->head);
    ck_assert_ptr_null(s->sessions->list); /* that of the request in flight */
    ANSWER(ps, SE_OK, 7);
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ck_assert_uint_eq(fake_request(ps)->word[1], 7);
    ANSWER(ps, SE_OK);
    ck_assert_ptr_null(s->sessions);
    /* And another kernel is served. */
    open_session(p2, SESS, 2);
}
END_TEST

/* A message that ends in the middle brings nothing. */
START_TEST(half_a_delegation)
{
    uint64_t key = ddl_key(pc, pc, DDL_MEMCAP, 1 << 16 | MEM), tid;

    open_session(pc, SESS, 1);
    fake_auto = false;
    ck_assert_int_eq(CALL(pc, SYSC_REQMEM, MEM, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_DELEGATE, 0, SESS, RANGE(MEM, 2)), FAKE_LATER);
    fake_deliver();
    ANSWER(ps, SE_OK, RANGE(GOT, 2));
    tid = fake_last(0, 1)->word[3];
    ck_assert_int_eq(cap(srv, GOT)->type, CAP_NONE);
    KCALL(1, 0, KC_EXCHANGEOSESSACK, tid, SE_OK, 2, 1, key, 0, 3, pc, pc, 0, 4096);
    ck_assert_ptr_null(cap(srv, GOT));
    ck_assert_ptr_null(cap(srv, GOT + 1));
    fake_auto = true;
    fake_deliver();
}
END_TEST

static unsigned no_space(void)
{
    return SE_NO_RING_SPACE;
}

/* Who asks for more does not give a service more time that takes nothing. */
START_TEST(asked_again_and_again)
{
    unsigned pe[2];

    fake_boot(4);
    srv = on(0);
    ps = srv->pe;
    service(ps, 's');
    for (unsigned i = 0; i < 2; i++)
        pe[i] = on(0)->pe;
    fake_refuse = no_space;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(CALL(pe[i], SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
        fake_time(14 * SECOND);
    }
    ck_assert(srv_exists("fs"));
    fake_time(3 * SECOND);
    ck_assert(!srv_exists("fs"));
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(last(pe[i]), SE_RECV_GONE);
    fake_refuse = NULL;
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("others in one's place");
    TCase *t = tcase_create("strangers"), *alone = tcase_create("alone");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, delegates_for_one_that_has_ended);
    tcase_add_test(t, revokes_what_others_were_asked_for);
    tcase_add_test(t, asks_and_goes);
    tcase_add_test(t, half_a_delegation);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(alone, NULL, teardown);
    tcase_add_test(alone, asked_again_and_again);
    suite_add_tcase(s, alone);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
