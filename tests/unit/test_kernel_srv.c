/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services and sessions: registration, the service protocol, what is refused, and what happens when
 * one of the two sides ends in the middle of a request.  fake_end() checks that nothing is left.
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

#include "kernel_fake.h"

#define RB     (FAKE_PE_MEM - PE_RECVBUF_SIZE)
#define LABEL  0x77u
#define NAME   2ull, 0x7366ull /* "fs" */
#define GATE   20u
#define SRV    21u
#define SESS   30u
#define SECOND 1000000000ull

enum { OPEN, OBTAIN, DELEGATE, CLOSE, SHUTDOWN };

static struct vpe *srv, *a, *b;
static unsigned ps, pa, pb;

static void setup(void)
{
    fake_boot(5);
    srv = fake_vpe();
    a = fake_vpe();
    b = fake_vpe();
    ps = srv->pe;
    pa = a->pe;
    pb = b->pe;
    ck_assert_int_eq(CALL(ps, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_CREATEGATE, 0, GATE, LABEL, 2, 256), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV, NAME), SE_OK);
}

static void teardown(void)
{
    fake_check();
    fake_end();
}

static void open_session(unsigned pe, uint64_t ident)
{
    ck_assert_int_eq(CALL(pe, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ANSWER(ps, SE_OK, ident);
    ck_assert_uint_eq(fake_reply(pe)->word[0], SE_OK);
}

START_TEST(registration)
{
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV + 1, NAME), SE_EXISTS);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV + 1, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV, 1, 'x'), SE_INV_ARGS);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE + 5, SRV + 1, 1, 'x'), SE_INV_ARGS);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, CAP_INVALID, 1, 'x'), SE_INV_ARGS);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV + 1, ~0ull, 'x'), SE_INV_ARGS);
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(SRV, 1), 1), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV, NAME), SE_OK);
}
END_TEST

/* A gate to another VPE does not make that one a service. */
START_TEST(foreign_gate)
{
    cap_derive(cap_get(&srv->caps, GATE), a, 40);
    ck_assert_int_eq(CALL(pa, SYSC_CREATESRV, 40, 41, 1, 'x'), SE_INV_ARGS);
}
END_TEST

START_TEST(too_many)
{
    unsigned n = 1;
    int err;

    while ((err = CALL(ps, SYSC_CREATESRV, GATE, SRV + n, 1, 'A' + n)) == SE_OK)
        n++;
    ck_assert_int_eq(err, SE_NO_SPACE);
    ck_assert_uint_eq(n, 32);
}
END_TEST

START_TEST(sessions)
{
    const struct fake_request *r = fake_request(ps);

    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME, 0x1234), FAKE_LATER);
    ck_assert(r->there);
    ck_assert_uint_eq(r->ep, 2);
    ck_assert_uint_eq(r->label, LABEL);
    ck_assert_uint_eq(r->len, 16);
    ck_assert_uint_eq(r->word[0], OPEN);
    ck_assert_uint_eq(r->word[1], 0x1234);
    ANSWER(ps, SE_OK, 99);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_OK);
    ck_assert_ptr_nonnull(cap_get_type(&a->caps, SESS, CAP_SESS));
    /* Denied, without an ident, to a used selector, unknown. */
    ck_assert_int_eq(CALL(pb, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ANSWER(ps, SE_NO_PERM);
    ck_assert_uint_eq(fake_reply(pb)->word[0], SE_NO_PERM);
    ck_assert_int_eq(CALL(pb, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ANSWER(ps, SE_OK);
    ck_assert_uint_eq(fake_reply(pb)->word[0], SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS + 1, 1, 'y'), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 5, SESS + 1, NAME), SE_INV_ARGS);
    /* Close: the service hears of it, once. */
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(SESS, 1), 1), SE_OK);
    ck_assert(r->there);
    ck_assert_uint_eq(r->word[0], CLOSE);
    ck_assert_uint_eq(r->word[1], 99);
    ANSWER(ps, SE_OK);
    ck_assert(!r->there);
}
END_TEST

/* One request at a time; the second client waits its turn. */
START_TEST(one_in_flight)
{
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME, 1), FAKE_LATER);
    ck_assert_int_eq(CALL(pb, SYSC_CREATESESS, 0, SESS, NAME, 2), FAKE_LATER);
    ck_assert_uint_eq(fake_request(ps)->word[1], 1);
    ANSWER(ps, SE_OK, 1);
    ck_assert_uint_eq(fake_reply(pa)->count, 1);
    ck_assert_uint_eq(fake_reply(pb)->count, 0);
    ck_assert_uint_eq(fake_request(ps)->word[1], 2);
    ANSWER(ps, SE_OK, 2);
    ck_assert_uint_eq(fake_reply(pb)->count, 1);
}
END_TEST

START_TEST(obtain_and_delegate)
{
    const struct fake_request *r = fake_request(ps);

    open_session(pa, 5);
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(50, 2), 0xAA), FAKE_LATER);
    ck_assert_uint_eq(r->word[0], OBTAIN);
    ck_assert_uint_eq(r->word[1], 5);
    ck_assert_uint_eq(r->word[2], 2);
    ck_assert_uint_eq(r->word[3], 0xAA);
    ANSWER(ps, SE_OK, RANGE(GATE, 1), 0xBB);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_OK);
    ck_assert_uint_eq(fake_reply(pa)->word[1], 0xBB);
    ck_assert_ptr_eq(cap_get(&a->caps, 50)->parent, cap_get(&srv->caps, GATE));
    /* Back: over the same session, to where the service says. */
    ck_assert_int_eq(CALL(pa, SYSC_DELEGATE, 0, SESS, RANGE(1, 1)), FAKE_LATER);
    ck_assert_uint_eq(r->word[0], DELEGATE);
    ANSWER(ps, SE_OK, RANGE(60, 1));
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_OK);
    ck_assert_ptr_eq(cap_get(&srv->caps, 60)->parent, cap_get(&a->caps, 1));
    /* Too many, none there, to a used place, no range, refused. */
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(70, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK, RANGE(GATE, 2));
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(70, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK, RANGE(500, 1));
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_OK); /* as the original: nothing to copy */
    ck_assert_ptr_null(cap_get(&a->caps, 70));
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(50, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK, RANGE(GATE, 1));
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DELEGATE, 0, SESS, RANGE(1, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_DELEGATE, 0, SESS, RANGE(1, 1)), FAKE_LATER);
    ANSWER(ps, SE_NO_PERM);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_NO_PERM);
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, 1, RANGE(70, 1)), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(0xFFFF, 2)), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, 50ull << 32 | CRD_MAP, 1), SE_NOT_SUP);
}
END_TEST

/* The server revokes: the client's copy goes.  It revokes the service: sessions go. */
START_TEST(server_revokes)
{
    open_session(pa, 5);
    CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(50, 1));
    ANSWER(ps, SE_OK, RANGE(GATE, 1));
    ck_assert_ptr_nonnull(cap_get(&a->caps, 50));
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(GATE, 1), 1), SE_OK);
    ck_assert_ptr_null(cap_get(&a->caps, 50));
    ck_assert_ptr_nonnull(cap_get(&a->caps, SESS));
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(SRV, 1), 1), SE_OK);
    ck_assert_ptr_null(cap_get(&a->caps, SESS));
    ck_assert(!fake_request(ps)->there);
}
END_TEST

/* The service is revoked or ends with one request in flight and one waiting. */
START_TEST(server_ends)
{
    open_session(pa, 5);
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(50, 1)), FAKE_LATER);
    ck_assert_int_eq(CALL(pb, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    if (_i == 0)
        ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(SRV, 1), 1), SE_OK);
    else
        ck_assert_int_eq(CALL(ps, SYSC_EXIT, 0), FAKE_LATER);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_RECV_GONE);
    ck_assert_uint_eq(fake_reply(pb)->word[0], SE_RECV_GONE);
    ck_assert_int_eq(CALL(pb, SYSC_CREATESESS, 0, SESS, NAME), SE_INV_ARGS);
    /* Its late answer changes nothing. */
    ANSWER(ps, SE_OK, RANGE(GATE, 1));
    ck_assert_uint_eq(fake_reply(pa)->count, 2);
    ck_assert_ptr_null(cap_get(&a->caps, 50));
    ck_assert_ptr_null(kern.services);
}
END_TEST

/* The client ends: while it waits for its turn, and with its request in flight. */
START_TEST(client_ends)
{
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ck_assert_int_eq(CALL(pb, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    vpe_exit(b, 0);
    vpe_exit(a, 0);
    ck_assert_uint_eq(fake_request(ps)->word[0], OPEN);
    ANSWER(ps, SE_OK, 8);
    /* The service opened a session that nobody has. */
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ck_assert_uint_eq(fake_request(ps)->word[1], 8);
    ANSWER(ps, SE_OK);
}
END_TEST

/* The session is revoked by its own holder's other capability while a request waits. */
START_TEST(session_revoked)
{
    open_session(pa, 5);
    ck_assert_ptr_nonnull(cap_derive(cap_get(&a->caps, CAP_SELF_VPE), b, 7));
    ck_assert_int_eq(CALL(pb, SYSC_OBTAIN, 7, SESS, RANGE(50, 1)), FAKE_LATER);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(SESS, 1), 1), SE_OK);
    ANSWER(ps, SE_OK, RANGE(GATE, 1));
    ck_assert_uint_eq(fake_reply(pb)->word[0], SE_INV_ARGS);
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ANSWER(ps, SE_OK);
}
END_TEST

START_TEST(sessions_of_the_server)
{
    ck_assert_int_eq(CALL(ps, SYSC_CREATESESSAT, SRV, SESS, 17), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESESSAT, SRV, SESS, 17), SE_INV_ARGS);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESESSAT, GATE, SESS + 1, 17), SE_INV_ARGS);
    ck_assert(!fake_request(ps)->there);
    /* A client gets it and loses it: the service is told, and keeps its own. */
    cap_derive(cap_get(&srv->caps, SESS), a, SESS);
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(SESS, 1), 1), SE_OK);
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ck_assert_uint_eq(fake_request(ps)->word[1], 17);
    ANSWER(ps, SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(SESS, 1), 1), SE_OK);
    ck_assert(!fake_request(ps)->there);
}
END_TEST

/* Answers that are none: from another PE, of another request, twice. */
START_TEST(false_answers)
{
    const uint64_t words[] = {SE_OK, 1};
    struct dtu_header h = {.sender_pe = (uint16_t)pa, .length = 16};

    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    h.label = fake_request(ps)->reply_label;
    fake_srv_message(h, words);
    h.sender_pe = (uint16_t)ps;
    h.label++;
    fake_srv_message(h, words);
    ck_assert_uint_eq(fake_reply(pa)->count, 0);
    ANSWER(ps, SE_OK, 1);
    h.label--;
    fake_srv_message(h, words);
    ck_assert_uint_eq(fake_reply(pa)->count, 1);
    ck_assert_uint_eq(kern.stats.late, 3);
}
END_TEST

START_TEST(cannot_be_sent)
{
    fake_send_error = SE_INV_ARGS;
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), SE_INV_ARGS);
    open_session(pa, 1);
}
END_TEST

static unsigned always_full(void)
{
    return SE_NO_RING_SPACE;
}

/* For want of space: tried again, OPEN and CLOSE; and when it lasts, that is silence, too. */
START_TEST(no_space)
{
    fake_refuse = always_full;
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ck_assert(!fake_request(ps)->there);
    ck_assert_uint_le(srv_tick(SECOND), SECOND / 100);
    ck_assert(!fake_request(ps)->there);
    fake_refuse = NULL;
    srv_tick(SECOND);
    ck_assert_uint_eq(fake_request(ps)->word[0], OPEN);
    ANSWER(ps, SE_OK, 1);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_OK);
    fake_refuse = always_full;
    ck_assert_int_eq(CALL(pa, SYSC_REVOKE, RANGE(SESS, 1), 1), SE_OK);
    ck_assert(!fake_request(ps)->there);
    fake_refuse = NULL;
    srv_tick(SECOND);
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ANSWER(ps, SE_OK);
    fake_refuse = always_full;
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    for (unsigned i = 0; i < 29; i++)
        srv_tick(SECOND);
    ck_assert_uint_eq(kern.stats.failed, 0);
    srv_tick(2 * SECOND);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_RECV_GONE);
    fake_refuse = NULL;
}
END_TEST

/* A service that crashed tells nobody; after a while of silence it is given up. */
START_TEST(silence)
{
    ck_assert_uint_eq(srv_tick(1000 * SECOND), 0);
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ck_assert_uint_ne(srv_tick(SECOND), 0);
    ck_assert_uint_eq(fake_reply(pa)->count, 0);
    srv_tick(30 * SECOND);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_RECV_GONE);
    ck_assert_uint_eq(kern.stats.failed, 1);
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), SE_INV_ARGS);
}
END_TEST

START_TEST(shutdown)
{
    open_session(pa, 1);
    ck_assert(srv_shutdown());
    ck_assert_uint_eq(fake_request(ps)->word[0], SHUTDOWN);
    ck_assert_int_eq(CALL(pb, SYSC_CREATESESS, 0, SESS, NAME), SE_INV_ARGS);
    /* So is a session that was there, as in the original: a kernel that ends waits for nobody. */
    ck_assert_int_eq(CALL(pa, SYSC_DELEGATE, 0, SESS, RANGE(1, 1)), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pa, SYSC_OBTAIN, 0, SESS, RANGE(50, 1)), SE_INV_ARGS);
    ANSWER(ps, SE_OK);
    ck_assert(srv_shutdown());
    ck_assert(!fake_request(ps)->there);
    CALL(ps, SYSC_EXIT, 0);
    ck_assert(!srv_shutdown());
}
END_TEST

START_TEST(no_heap)
{
    fake_heap_left = 0;
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, SESS, NAME), SE_OUT_OF_MEM);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV + 1, 1, 'x'), SE_OUT_OF_MEM);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESESSAT, SRV, SESS, 1), SE_OUT_OF_MEM);
    fake_heap_left = 1;
    ck_assert_int_eq(CALL(ps, SYSC_CREATESESSAT, SRV, SESS, 1), SE_OUT_OF_MEM);
    fake_heap_left = 1;
    ck_assert_int_eq(CALL(pa, SYSC_CREATESESS, 0, 3000, NAME), FAKE_LATER);
    ANSWER(ps, SE_OK, 4);
    ck_assert_uint_eq(fake_reply(pa)->word[0], SE_OUT_OF_MEM);
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ANSWER(ps, SE_OK);
    fake_heap_left = ~(size_t)0;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernel_srv");
    TCase *c = tcase_create("srv");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, registration);
    tcase_add_test(c, foreign_gate);
    tcase_add_test(c, too_many);
    tcase_add_test(c, sessions);
    tcase_add_test(c, one_in_flight);
    tcase_add_test(c, obtain_and_delegate);
    tcase_add_test(c, server_revokes);
    tcase_add_loop_test(c, server_ends, 0, 2);
    tcase_add_test(c, client_ends);
    tcase_add_test(c, session_revoked);
    tcase_add_test(c, sessions_of_the_server);
    tcase_add_test(c, false_answers);
    tcase_add_test(c, cannot_be_sent);
    tcase_add_test(c, no_space);
    tcase_add_test(c, silence);
    tcase_add_test(c, shutdown);
    tcase_add_test(c, no_heap);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
