/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VPE that runs moves to another kernel with all that it has, while it, and others, exchange and
 * revoke.
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

static uint64_t free_memory(unsigned k)
{
    fake_use(k);
    return memmap_available(&kern.mem);
}

START_TEST(with_all)
{
    furnish();
    for (unsigned round = 0; round < 3; round++) {
        unsigned to = round == 0 ? 2 : round == 1 ? 0 : 1;

        move_to(pc, to);
        ck_assert_int_eq(CALL(pc, SYSC_NOOP), SE_OK);
        ck_assert_uint_eq(fake_ep_type(pc, 4), DTU_EP_SEND);
        ck_assert_uint_eq(fake_ep_type(pc, 5), DTU_EP_MEM);
        ck_assert_ptr_nonnull(at(pc, KIDS + 1));
        ck_assert_int_eq(CALL(pc, SYSC_REQMEM, 90 + round, ~0ull, 64, 3), SE_OK);
        /* Its session is what it was. */
        CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(100 + round, 1));
        ck_assert_uint_eq(fake_request(ps)->word[0], OBTAIN);
        ck_assert_uint_eq(fake_request(ps)->word[1], 9);
        ANSWER(ps, SE_OK, RANGE(MEM, 1));
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_ptr_nonnull(at(pc, 100 + round));
    }
    /* What it got at home has come home with it, what it got elsewhere is theirs. */
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        ck_assert_uint_eq(kern.moves.loans != NULL, k != 1);
        ck_assert(!kern.moves.loans || !kern.moves.loans->next);
    }
}
END_TEST

/* From above, in the middle and below; by the old owner, the new one and the third. */
START_TEST(revoked_afterwards)
{
    for (unsigned to = 0; to < 3; to += 2) {
        fake_end();
        setup();
        furnish();
        move_to(pc, to);
        /* The bystander at its old kernel takes what it gave back. */
        ck_assert_int_eq(revoke(p1, MEM, 1), SE_OK);
        ck_assert_ptr_null(at(pc, MEM));
        ck_assert_ptr_null(at(p1, MEM + 1));
        /* The service takes memory back: at the client, and what that gave on. */
        ck_assert_int_eq(revoke(ps, MEM, 1), SE_OK);
        ck_assert_ptr_null(at(pc, GOT + 1));
        ck_assert_ptr_null(at(p1, GOT));
        ck_assert_int_eq(revoke(ps, GATE, 1), SE_OK);
        ck_assert_uint_eq(fake_ep_type(pc, 4), DTU_EP_INVALID);
        /* A leaf goes, and its parent knows. */
        ck_assert_int_eq(revoke(ps, GOT, 1), SE_OK);
        fake_deliver();
        ck_assert_ptr_null(at(pc, KIDS)->rkids);
        /* All of the client's own: the memory is its old kernel's again. */
        ck_assert_uint_lt(free_memory(1), FAKE_MEMORY);
        ck_assert_int_eq(revoke(pc, ROOT, 1), SE_OK);
        fake_deliver();
        ck_assert_ptr_null(at(p1, ROOT));
        ck_assert_ptr_null(at(pc, KIDS + 1));
        ck_assert_uint_eq(fake_ep_type(pc, 5), DTU_EP_INVALID);
        ck_assert_uint_eq(free_memory(1), FAKE_MEMORY);
        /* The session closes. */
        ck_assert_int_eq(revoke(pc, SESS, 1), SE_OK);
        ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
        ck_assert_uint_eq(fake_request(ps)->word[1], 9);
        ANSWER(ps, SE_OK);
        /* It ends there, and the PE is its new kernel's. */
        CALL(pc, SYSC_EXIT, 0);
        fake_settle();
        fake_use(to);
        ck_assert_int_eq(kern.pes[pc].state, PE_FREE);
        fake_check();
    }
}
END_TEST

/* A call at any point of a move is answered once, by whoever has it then. */
START_TEST(calls_on_the_way)
{
    furnish();
    for (unsigned before = 0; before < POINTS; before++) {
        unsigned seen = fake_reply(pc)->count, to = before % 2 ? 1 : 2;

        fake_auto = false;
        ck_assert_int_eq(begin_move(pc, to), SE_OK);
        for (unsigned i = 0; i < before; i++)
            fake_deliver_one();
        CALL(pc, SYSC_REQMEM, 200 + before, ~0ull, 8, 3);
        rest();
        must_be_at(pc, to);
        ck_assert_uint_eq(fake_reply(pc)->count, seen + 1);
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_ptr_nonnull(at(pc, 200 + before));
        fake_check();
    }
}
END_TEST

/* One that had been sent before and comes only after all is over. */
START_TEST(late_call)
{
    const uint64_t noop = SYSC_NOOP;
    uint64_t label = cli->label;
    unsigned ep = cli->sysc_ep, seen;
    struct dtu_header h = {.flags = DTU_HD_REPLY_ENABLED,
                           .sender_pe = (uint16_t)pc,
                           .sender_vpe = (uint16_t)pc,
                           .reply_ep = VPE_EP_RECV,
                           .length = sizeof(noop),
                           .label = label};

    move_to(pc, 2);
    seen = fake_reply(pc)->count;
    fake_use(1);
    fake_message(ep, h, &noop);
    fake_deliver();
    ck_assert_uint_eq(fake_reply(pc)->count, seen + 1);
    /* Another's name is of no use. */
    h.sender_pe = (uint16_t)p1;
    fake_use(1);
    fake_message(ep, h, &noop);
    fake_deliver();
    ck_assert_uint_eq(kern.stats.strays, 1);
    ck_assert_uint_eq(fake_reply(pc)->count, seen + 1);
}
END_TEST

/* The same, when it is about to go on. */
START_TEST(late_call_on_the_way)
{
    unsigned seen;

    move_to(pc, 2);
    seen = fake_reply(pc)->count;
    fake_auto = false;
    ck_assert_int_eq(begin_move(pc, 0), SE_OK);
    ck_assert(where(pc, NULL)->move.frozen);
    KCALL(1, 2, KC_PARTITIONMIG, 0, MOVE_CALL, 0, pc, VPE_EP_RECV, 0, 8, SYSC_NOOP);
    fake_use(2);
    ck_assert_int_eq(mht_migrate(pc, peer_find(1)), SE_INV_ARGS);
    rest();
    must_be_at(pc, 0);
    ck_assert_uint_eq(fake_reply(pc)->count, seen + 1);
}
END_TEST

/* It has come, and is to move on, before all know where it is: until then it waits all the same. */
START_TEST(on_before_it_is_there)
{
    unsigned seen = fake_reply(pc)->count;

    fake_auto = false;
    ck_assert_int_eq(begin_move(pc, 2), SE_OK);
    CALL(pc, SYSC_NOOP);
    fake_use(2);
    while (!kern.pes[pc].vpe) {
        ck_assert(fake_deliver_one());
        fake_use(2);
    }
    ck_assert_int_eq(move_begin(pc, peer_find(0)), SE_OK);
    for (unsigned i = 0; i < 12; i++)
        fake_time(SECOND);
    fake_use(2);
    ck_assert_int_eq(kern.moves.phase, MOVE_IDLE);
    ck_assert(kern.pes[pc].vpe->move.frozen);
    ck_assert_uint_eq(fake_reply(pc)->count, seen);
    rest();
    must_be_at(pc, 2);
    ck_assert_uint_eq(fake_reply(pc)->count, seen + 1);
}
END_TEST

/* Its service has gone, and the revocation of its session has not come yet. */
START_TEST(session_of_nobody)
{
    struct session *n;
    struct cap *was;

    open_session(pc, SESS, 1);
    move_to(pc, 0);
    n = at(pc, SESS)->sess;
    ck_assert_ptr_nonnull(n->srv);
    ck_assert(move_quiet(where(pc, NULL)));
    was = n->srv->cap;
    n->srv->cap = NULL;
    ck_assert(!move_quiet(where(pc, NULL)));
    n->srv->cap = was;
}
END_TEST

/* Its PE may be another node's: whether it has crashed has to be asked. */
START_TEST(guests_are_looked_at)
{
    move_to(pc, 2);
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        kern.moves.arrived = false;
    }
    fake_time(SECOND);
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        ck_assert_int_eq(kern.moves.arrived, k == 2);
    }
}
END_TEST

enum what { W_OBTAIN, W_DELEGATE, W_REVOKE_UP, W_REVOKE_OWN, W_REVOKE_BY, W_ACTIVATE, W_COUNT };

/* Something begins, and the service does its part when it is asked. */
static void start_it(enum what w)
{
    switch (w) {
    case W_OBTAIN:
        CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(120, 1));
        break;
    case W_DELEGATE:
        CALL(pc, SYSC_DELEGATE, 0, SESS, RANGE(ROOT, 1));
        break;
    case W_REVOKE_UP:
        CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1);
        break;
    case W_REVOKE_OWN:
        CALL(pc, SYSC_REVOKE, RANGE(ROOT, 1), 1);
        break;
    case W_REVOKE_BY:
        CALL(p1, SYSC_REVOKE, RANGE(MEM, 1), 1);
        break;
    case W_ACTIVATE:
        CALL(pc, SYSC_ACTIVATE, 6, CAP_INVALID, GOT);
        break;
    default:
        break;
    }
}

static void serve(enum what w)
{
    if (fake_request(ps)->there && w == W_OBTAIN)
        ANSWER(ps, SE_OK, RANGE(MEM, 1));
    if (fake_request(ps)->there && w == W_DELEGATE)
        ANSWER(ps, SE_OK, RANGE(120, 1));
}

static void judge(enum what w)
{
    switch (w) {
    case W_OBTAIN:
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_ptr_nonnull(at(pc, 120));
        ck_assert_int_eq(revoke(ps, MEM, 1), SE_OK);
        ck_assert_ptr_null(at(pc, 120));
        break;
    case W_DELEGATE:
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_ptr_nonnull(at(ps, 120));
        ck_assert_int_eq(revoke(pc, ROOT, 1), SE_OK);
        ck_assert_ptr_null(at(ps, 120));
        break;
    case W_REVOKE_UP:
        ck_assert_int_eq(last(ps), SE_OK);
        ck_assert_ptr_null(at(pc, GOT + 1));
        ck_assert_ptr_null(at(p1, GOT));
        break;
    case W_REVOKE_OWN:
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_ptr_null(at(ps, GOT));
        ck_assert_ptr_null(at(p1, ROOT));
        break;
    case W_REVOKE_BY:
        ck_assert_int_eq(last(p1), SE_OK);
        ck_assert_ptr_null(at(pc, MEM));
        ck_assert_ptr_null(at(p1, MEM + 1));
        break;
    case W_ACTIVATE:
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_uint_eq(fake_ep_type(pc, 6), DTU_EP_SEND);
        break;
    default:
        break;
    }
}

/* It is under way, at any point, when the move begins; or begins at any point of the move. */
static void meet(enum what w, unsigned before, bool move_first, unsigned to)
{
    fake_end();
    setup();
    furnish();
    fake_auto = false;
    if (move_first)
        ck_assert_int_eq(begin_move(pc, to), SE_OK);
    else
        start_it(w);
    for (unsigned i = 0; i < before; i++) {
        fake_deliver_one();
        if (i % 3 == 2)
            serve(w);
    }
    if (move_first)
        start_it(w);
    else
        ck_assert_int_eq(begin_move(pc, to), SE_OK);
    for (unsigned i = 0; i < 300; i++) {
        fake_deliver();
        serve(w);
        fake_time(5 * MS);
        if (!moving() && !fake_request(ps)->there && !fake_wire())
            break;
    }
    ck_assert(!moving());
    must_be_at(pc, to);
    fake_check();
    fake_auto = true;
    judge(w);
    fake_check();
    ck_assert_int_eq(CALL(pc, SYSC_NOOP), SE_OK);
}

START_TEST(meets_anything)
{
    for (unsigned before = 0; before < POINTS; before++)
        for (unsigned to = 0; to < 3; to += 2) {
            meet((enum what)_i, before, false, to);
            meet((enum what)_i, before, true, to);
        }
}
END_TEST

/* An ACTIVATE of another VPE's that waits until the one that moves receives. */
START_TEST(awaited_receiver)
{
    unsigned to[3] = {2, 0, 1};

    furnish();
    ck_assert_int_eq(CALL(pc, SYSC_CREATEGATE, 0, 70, LABEL, 7, 256), SE_OK);
    fake_use(1);
    ck_assert_ptr_nonnull(cap_derive(cap(cli, 70), by1, 70));
    delegate(pc, 70, 71, 1);
    ck_assert_int_eq(CALL(p1, SYSC_ACTIVATE, 6, CAP_INVALID, 70), FAKE_LATER);
    ck_assert_int_eq(CALL(ps, SYSC_ACTIVATE, 6, CAP_INVALID, 71), FAKE_LATER);
    for (unsigned i = 0; i < 3; i++)
        move_to(pc, to[i]);
    ck_assert_uint_eq(fake_ep_type(p1, 6), DTU_EP_INVALID);
    ck_assert_int_eq(CALL(pc, SYSC_ATTACHRB, 0, 7, RB + 8192, 12, 8, 0), SE_OK);
    ck_assert_uint_eq(fake_ep_type(p1, 6), DTU_EP_SEND);
    ck_assert_uint_eq(fake_ep_type(ps, 6), DTU_EP_SEND);
    ck_assert_int_eq(last(p1), SE_OK);
    ck_assert_int_eq(last(ps), SE_OK);
}
END_TEST

/* Items of its partition come along. */
START_TEST(items)
{
    uint64_t key = ddl_key(pc, pc, DDL_NONE, 77);

    KCALL(2, 1, KC_MHTPUT, key, 8, 8, 4711);
    KCALL(2, 1, KC_MHTLOCK, 0, 1, key);
    ck_assert_int_eq(begin_move(pc, 0), SE_OK);
    fake_time(50 * MS);
    must_be_at(pc, 1); /* until it is not locked */
    KCALL(2, 1, KC_MHTUNLOCK, key, fake_last(1, 2)->word[3]);
    rest();
    must_be_at(pc, 0);
    KCALL(2, 0, KC_MHTGET, 0, 5, key);
    ck_assert_uint_eq(fake_last(0, 2)->word[6], 4711);
    KCALL(2, 1, KC_MHTGET, 0, 5, key);
    ck_assert_uint_eq(fake_last(1, 2)->word[1], KC_FORWARD_STAGE);
}
END_TEST

/* What does not move says so, and goes on. */
START_TEST(refused)
{
    fake_use(0);
    ck_assert_int_eq(move_begin(ps, peer_find(1)), SE_NOT_SUP);
    ck_assert_int_eq(move_begin(pc, peer_find(1)), SE_INV_ARGS);
    ck_assert_int_eq(move_begin(BOOT_PES, peer_find(1)), SE_INV_ARGS);
    ck_assert_int_eq(move_begin(p0, NULL), SE_RECV_GONE);
    ck_assert_int_eq(CALL(p1, SYSC_CREATEVPE, 50, 51, 4, 0x6C696863, PE_TYPE_SPM, CAP_INVALID, 0),
                     SE_OK);
    ck_assert_int_eq(begin_move(p1, 0), SE_NOT_SUP);
    ck_assert_int_eq(begin_move((unsigned)cap(by1, 50)->vpe->pe, 0), SE_NOT_SUP);
    /* The original is among them. */
    fake_use(1);
    peer_find(2)->ours = false;
    ck_assert_int_eq(begin_move(pc, 0), SE_NOT_SUP);
    fake_use(1);
    peer_find(2)->ours = true;
    /* The new owner is about to end. */
    fake_use(0);
    kern.ending = true;
    ck_assert_int_eq(begin_move(pc, 0), SE_OK);
    rest();
    must_be_at(pc, 1);
    fake_use(1);
    ck_assert_int_eq(kern.moves.result, SE_NO_FREE_CORE);
    fake_use(0);
    kern.ending = false;
    /* Its call waits for too long. */
    open_session(pc, SESS, 1);
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    ck_assert_int_eq(begin_move(pc, 0), SE_OK);
    for (unsigned i = 0; i < 15; i++)
        fake_time(SECOND);
    ck_assert(!moving());
    must_be_at(pc, 1);
    fake_use(1);
    ck_assert_int_eq(kern.moves.result, SE_MSGS_WAITING);
    ck_assert_uint_eq(kern.stats.stayed, 2);
    ANSWER(ps, SE_OK, RANGE(MEM, 1));
    ck_assert_int_eq(last(pc), SE_OK);
}
END_TEST

/* No memory at any point, in any kernel: all or nothing. */
START_TEST(no_memory)
{
    unsigned k, moved = 0;

    for (unsigned left = 0; left < 90; left++) {
        fake_end();
        setup();
        furnish();
        fake_auto = false;
        fake_heap_left = left;
        if (begin_move(pc, 2) == SE_OK) {
            fake_deliver();
            fake_time(5 * MS);
            fake_deliver();
        }
        fake_heap_left = ~(size_t)0;
        rest();
        fake_auto = true;
        ck_assert_ptr_nonnull(where(pc, &k));
        must_be_at(pc, k);
        moved += k == 2;
        fake_check();
        ck_assert_int_eq(CALL(pc, SYSC_NOOP), SE_OK);
        ck_assert_int_eq(revoke(ps, MEM, 1), SE_OK);
        ck_assert_ptr_null(at(p1, GOT));
        ck_assert_int_eq(revoke(pc, ROOT, 1), SE_OK);
        ck_assert_ptr_null(at(p1, ROOT));
    }
    ck_assert_uint_gt(moved, 0);
}
END_TEST

/* Two at a time, towards each other: one after the other. */
START_TEST(crossing)
{
    for (unsigned before = 0; before < POINTS; before += 3) {
        fake_end();
        setup();
        furnish();
        fake_auto = false;
        ck_assert_int_eq(begin_move(pc, 2), SE_OK);
        for (unsigned i = 0; i < before; i++)
            fake_deliver_one();
        ck_assert_int_eq(begin_move(p2, 1), SE_OK);
        ck_assert_int_eq(begin_move(p0, 1), SE_OK);
        rest();
        must_be_at(pc, 2);
        must_be_at(p2, 1);
        must_be_at(p0, 1);
        fake_check();
        fake_auto = true;
        ck_assert_int_eq(revoke(pc, ROOT, 1), SE_OK);
        ck_assert_ptr_null(at(p1, ROOT));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("VPEs that move");
    TCase *t = tcase_create("migrate");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, with_all);
    tcase_add_test(t, revoked_afterwards);
    tcase_add_test(t, calls_on_the_way);
    tcase_add_test(t, late_call);
    tcase_add_test(t, late_call_on_the_way);
    tcase_add_test(t, on_before_it_is_there);
    tcase_add_test(t, session_of_nobody);
    tcase_add_test(t, guests_are_looked_at);
    tcase_add_loop_test(t, meets_anything, 0, W_COUNT);
    tcase_add_test(t, awaited_receiver);
    tcase_add_test(t, items);
    tcase_add_test(t, refused);
    tcase_add_test(t, no_memory);
    tcase_add_test(t, crossing);
    suite_add_tcase(s, t);
    return run_suite(s);
}
