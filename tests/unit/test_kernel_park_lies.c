/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernels that say that they have parked what they were not asked, answer what is not parked, never
 * answer, or ask for too much; and those that know nothing of it.
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

/* What kernel 1 asks kernel 0 in that call; the tid. */
static uint32_t asked(unsigned kind, unsigned *op, unsigned *answer)
{
    *op = kind == OPENS       ? KC_CREATESESSFWD
          : kind == ACTIVATES ? KC_RECVBUFISATTACHED
                              : KC_EXCHANGEOSESS;
    *answer = kind == OPENS       ? KC_CREATESESSRESP
              : kind == ACTIVATES ? KC_RECVBUFATTACHED
                                  : KC_EXCHANGEOSESSREPLY;
    return cli->wait.tid;
}

/* An answer of that number: an error. */
static void say(unsigned from, unsigned answer, uint32_t tid)
{
    if (answer == KC_CREATESESSRESP)
        KCALL(from, 1, answer, 0, tid, SE_INV_ARGS);
    else
        KCALL(from, 1, answer, tid, SE_INV_ARGS);
}

/* "Parked": not by those who were not asked, nor what was not asked, nor twice. */
START_TEST(false_parks)
{
    unsigned op, answer;
    uint32_t tid;

    fake_auto = false;
    make_call((unsigned)_i, pc);
    tid = asked((unsigned)_i, &op, &answer);
    KCALL(2, 1, KC_REPLY, op, tid);
    KCALL(0, 1, KC_REPLY, op, tid + 1);
    KCALL(0, 1, KC_REPLY, op, tid | KC_TID_LATE);
    KCALL(0, 1, KC_REPLY, (op + 7) % KC_COUNT, tid);
    KCALL(0, 1, KC_REPLY, KC_COUNT, tid);
    ck_assert_uint_eq(bad(1), 5);
    ck_assert_uint_eq(peer_find(0)->inflight, 1);
    ck_assert_uint_eq(peer_find(0)->nparked, 0);
    KCALL(0, 1, KC_REPLY, op, tid);
    ck_assert_uint_eq(bad(1), 5);
    ck_assert_uint_eq(peer_find(0)->inflight, 0);
    ck_assert_uint_eq(peer_find(0)->nparked, 1);
    KCALL(0, 1, KC_REPLY, op, tid);
    ck_assert_uint_eq(bad(1), 6);
    ck_assert_uint_eq(peer_find(0)->nparked, 1);
    say(0, answer, tid | KC_TID_LATE);
    ck_assert_uint_eq(cli->wait.kind, WAIT_NONE);
    fake_auto = true;
    fake_deliver();
}
END_TEST

/* What gets no more than an acknowledgement, or none at all, cannot be parked. */
START_TEST(not_parkable)
{
    const uint64_t item[5] = {KC_MHTPUT, ddl_key(p0, p0, DDL_NONE, 1), 8, 1, 'x'};

    fake_auto = false;
    fake_use(1);
    peer_request(peer_find(0), item, sizeof(item), 0);
    peer_request(peer_find(0), (const uint64_t[]){KC_MHTLOCK, 0, 77, item[1]}, 32, 77);
    KCALL(0, 1, KC_REPLY, KC_MHTPUT, 0);
    KCALL(0, 1, KC_REPLY, KC_MHTLOCK, 77);
    KCALL(0, 1, KC_REPLY, KC_EXCHANGEOSESS, 0);
    ck_assert_uint_eq(bad(1), 3);
    ck_assert_uint_eq(peer_find(0)->inflight, 2);
    fake_auto = true;
    fake_deliver();
}
END_TEST

/* Late answers to what is not parked: each is acknowledged, and nothing else comes of it. */
START_TEST(false_answers)
{
    unsigned op, answer, before[3];
    uint32_t tid;

    fake_auto = false;
    make_call((unsigned)_i, pc);
    tid = asked((unsigned)_i, &op, &answer);
    KCALL(0, 1, KC_REPLY, op, tid);
    before[0] = sent(1, 0);
    before[2] = sent(1, 2);
    say(0, answer, tid); /* not late: there is no such request */
    ck_assert_uint_eq(sent(1, 0), before[0]);
    say(2, answer, tid | KC_TID_LATE);
    ck_assert_uint_eq(sent(1, 2), before[2] + 1);
    ck_assert_uint_eq(fake_last(1, 2)->word[0], KC_REPLY);
    say(0, answer, (tid + 1) | KC_TID_LATE);
    ck_assert_uint_eq(sent(1, 0), before[0] + 1);
    say(0, answer == KC_CREATESESSRESP ? KC_RECVBUFATTACHED : KC_CREATESESSRESP, tid | KC_TID_LATE);
    ck_assert_uint_eq(sent(1, 0), before[0] + 2);
    ck_assert_uint_eq(bad(1), 4);
    ck_assert_uint_eq(cli->wait.kind, WAIT_KERNEL);
    say(0, answer, tid | KC_TID_LATE);
    ck_assert_uint_eq(cli->wait.kind, WAIT_NONE);
    ck_assert_uint_eq(sent(1, 0), before[0] + 3);
    ck_assert_uint_eq(bad(1), 4);
    say(0, answer, tid | KC_TID_LATE); /* twice */
    ck_assert_uint_eq(bad(1), 5);
    ck_assert_uint_eq(peer_find(0)->nparked, 0);
    ck_assert_uint_eq(peer_find(0)->unanswered, 0);
    fake_auto = true;
    fake_deliver();
}
END_TEST

/* No memory for it, or too many: it holds its place, and its answer counts all the same. */
START_TEST(cannot_be_parked)
{
    struct peer *p;

    make_call(OBTAINS, pc);
    fake_auto = false;
    wait_ms(200);
    fake_use(1);
    p = peer_find(0);
    if (_i)
        p->nparked = KC_PARKED_MAX;
    else
        fake_heap_left = 0;
    fake_deliver();
    fake_heap_left = ~(size_t)0;
    p->nparked = 0;
    ck_assert_uint_eq(p->inflight, 1);
    ck_assert_uint_eq(kern.stats.greedy, 1);
    kern.stats.greedy = 0;
    fake_auto = true;
    answer(OBTAINS, 1);
    ck_assert_int_eq(last(pc), SE_OK);
    nothing_parked();
}
END_TEST

/* It parks, and never answers: as with any answer. */
START_TEST(parked_for_ever)
{
    unsigned op, answer;

    fake_auto = false;
    make_call((unsigned)_i, pc);
    KCALL(0, 1, KC_REPLY, asked((unsigned)_i, &op, &answer) ? op : 0, cli->wait.tid);
    for (unsigned i = 0; i < 119; i++) {
        fake_use(1);
        peer_tick(SECOND);
        ck_assert_uint_eq(cli->wait.kind, i < 60 ? WAIT_KERNEL : WAIT_NONE);
    }
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    ck_assert_ptr_nonnull(peer_find(0));
    peer_tick(2 * SECOND);
    ck_assert_ptr_null(peer_find(0));
    ck_assert_ptr_null(kern.peers.late);
    fake_use(0);
    peer_lost(peer_find(1), "test");
}
END_TEST

/* A kernel that asks for more than its places let it. */
START_TEST(asks_too_much)
{
    uint64_t vpe = ddl_key(pc, pc, DDL_VPECAP, 1 << 16), key = cap(cli, SESS)->sess->key;
    unsigned n = 0;

    for (unsigned i = 0; i < KC_PARKS_MAX + 8; i++)
        KCALL(1, 0, KC_EXCHANGEOSESS, 1000 + i, 1, vpe, key, 1, CRD_OBJ, GOT, 1);
    for (unsigned i = 0; i < KC_WAITS + 5; i++)
        KCALL(1, 0, KC_RECVBUFISATTACHED, 5000 + i, ps, 9);
    wait_ms(1000);
    fake_use(0);
    for (unsigned i = 0; i < KC_WAITS; i++)
        n += peer_find(1)->waits[i].park.parked;
    ck_assert_uint_le(n, KC_WAITS - KC_INFLIGHT);
    ck_assert_uint_eq(peer_find(1)->nparks, KC_PARKS_MAX);
    ck_assert_uint_eq(kern.stats.parked, KC_PARKS_MAX);
    ck_assert_uint_eq(kern.stats.greedy, 8 + n);
    /* Others' are parked. */
    ck_assert_int_eq(CALL(p2, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    wait_ms(200);
    fake_use(0);
    ck_assert_uint_eq(peer_find(2)->nparks, 1);
    peer_lost(peer_find(1), "test");
    fake_use(1);
    peer_lost(peer_find(0), "test");
    fake_use(0);
    ck_assert_uint_eq(fake_request(ps)->word[0], OBTAIN);
    ANSWER(ps, SE_OK, RANGE(MEM, 1));
    while (fake_request(ps)->there)
        ANSWER(ps, SE_OK, 9); /* CLOSE, or kernel 2's OPEN */
    ck_assert_int_eq(last(p2), SE_OK);
}
END_TEST

/* Or that does not take what its parked calls got: no more of them are parked. */
START_TEST(takes_nothing)
{
    fake_use(0);
    peer_find(1)->late.count = KC_PARKS_MAX;
    make_call((unsigned)_i, pc);
    wait_ms(1000);
    fake_use(0);
    ck_assert_uint_eq(peer_find(1)->nparks, 0);
    peer_find(1)->late.count = 0;
    kern.stats.greedy = 0;
    answer((unsigned)_i, 1);
    ck_assert_int_eq(last(pc), SE_OK);
    nothing_parked();
}
END_TEST

/* The original, on either side, sees and says nothing of all that. */
START_TEST(not_with_the_original)
{
    unsigned op, answer, before, sent_before;
    uint32_t tid;

    fake_use(0);
    peer_find(1)->ours = false;
    fake_use(1);
    peer_find(0)->ours = false;
    make_call((unsigned)_i, pc);
    before = sent(0, 1);
    wait_ms(14000);
    ck_assert_uint_eq(sent(0, 1), before);
    sent_before = sent(1, 0);
    tid = asked((unsigned)_i, &op, &answer);
    say(0, answer, tid | KC_TID_LATE);
    ck_assert_uint_eq(bad(1), 1);
    KCALL(0, 1, KC_REPLY, op, tid); /* an acknowledgement: of nothing */
    ck_assert_uint_eq(bad(1), 2);
    ck_assert_uint_eq(peer_find(0)->inflight, 1);
    ck_assert_uint_eq(sent(1, 0), sent_before);
    peer_find(0)->ours = true;
    fake_use(0);
    peer_find(1)->ours = true;
    wait_ms(20000); /* either limit */
    ck_assert_uint_eq(cli->wait.kind, WAIT_NONE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernels that lie of parked calls");
    TCase *t = tcase_create("lies");

    tcase_add_checked_fixture(t, begin, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, false_parks, 0, KINDS);
    tcase_add_test(t, not_parkable);
    tcase_add_loop_test(t, false_answers, 0, KINDS);
    tcase_add_loop_test(t, cannot_be_parked, 0, 2);
    tcase_add_loop_test(t, parked_for_ever, 0, KINDS);
    tcase_add_test(t, asks_too_much);
    tcase_add_loop_test(t, takes_nothing, 0, KINDS);
    tcase_add_loop_test(t, not_with_the_original, 0, KINDS);
    suite_add_tcase(s, t);
    return run_suite(s);
}
