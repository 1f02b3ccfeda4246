/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several kernels: sessions, exchange in both directions, gates and revocation across them, what
 * overtakes what, and the end of a kernel in the middle of it.  fake_end() checks that in no kernel
 * anything is left.
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
#include <string.h>

#include "kernel_pair.h"

START_TEST(session)
{
    open_session(pc, SESS, 99);
    ck_assert_ptr_nonnull(cap_get_type(&cli->caps, SESS, CAP_SESS));
    ck_assert_ptr_nonnull(cap(srv, SRV)->rkids);
    /* Closed by the client: the service hears of it. */
    ck_assert_int_eq(revoke(pc, SESS, 1), SE_OK);
    ck_assert(fake_request(ps)->there);
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ck_assert_uint_eq(fake_request(ps)->word[1], 99);
    ck_assert_ptr_null(cap(srv, SRV)->rkids);
    ANSWER(ps, SE_OK);
    /* Denied; unknown; to a used selector. */
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ANSWER(ps, SE_NO_PERM);
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
    ck_assert_ptr_null(cap(cli, SESS));
    CALL(pc, SYSC_CREATESESS, 0, SESS, 1, 'x');
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
    ck_assert_ptr_null(cap(cli, SESS));
}
END_TEST

/* A service that is not announced is found by asking all kernels. */
START_TEST(hidden_service)
{
    const uint64_t name[2] = {4, 0x65706970}; /* "pipe" */

    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV + 5, name[0], name[1]), SE_OK);
    ck_assert_int_eq(CALL(p2, SYSC_CREATESESS, 0, SESS, name[0], name[1]), FAKE_LATER);
    ANSWER(ps, SE_OK, 7);
    ck_assert_int_eq(last(p2), SE_OK);
}
END_TEST

/* A service ends, of which nobody is told, and begins again at another kernel, which all are told.
 */
START_TEST(begun_elsewhere)
{
    service(p2, 's'); /* the first of that name stays it */
    open_session(pc, SESS, 9);
    CALL(ps, SYSC_EXIT, 0);
    ck_assert_int_eq(CALL(p1, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ck_assert(fake_request(p2)->there);
    ANSWER(p2, SE_OK, 9);
    ck_assert_int_eq(last(p1), SE_OK);
    /* The only one says no: it is not forgotten. */
    ck_assert_int_eq(CALL(p1, SYSC_CREATESESS, 0, SESS + 1, NAME), FAKE_LATER);
    ANSWER(p2, SE_NO_PERM);
    ck_assert_int_eq(last(p1), SE_INV_ARGS);
    fake_use(1);
    ck_assert(rservice_exists("fs"));
}
END_TEST

/* A kernel that ends while it is asked has no service; it depends on the others. */
START_TEST(asked_kernel_ends)
{
    unsigned end[2] = {0, 2};

    fake_auto = false;
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESS, 0, SESS, 2ull, 0x7878ull), FAKE_LATER);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(fake_last(1, end[i])->word[0], KC_CREATESESSFWD);
        ck_assert_uint_eq(fake_reply(pc)->count, 0);
        fake_kill(end[i]);
        fake_use(1);
        peer_lost(peer_find(end[i]), "test");
    }
    ck_assert_uint_eq(fake_reply(pc)->count, 1);
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
    ck_assert_ptr_null(cap(cli, SESS));
}
END_TEST

START_TEST(obtained)
{
    struct cap *m, *g;

    open_session(pc, SESS, 1);
    obtain(pc, GOT, GATE, 2);
    g = cap(cli, GOT);
    m = cap(cli, GOT + 1);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(g->type, CAP_MSG);
    ck_assert_uint_eq(g->msg.label, LABEL);
    ck_assert_uint_eq(g->msg.pe, ps);
    ck_assert_uint_eq(g->msg.ep, 2);
    ck_assert_uint_eq(g->msg.maxmsg, 256);
    ck_assert_uint_eq(m->mem.addr, cap(srv, MEM)->mem.addr);
    ck_assert_uint_eq(m->mem.size, 4096);
    ck_assert_uint_eq(m->mem.perms, 3);
    /* The endpoint is configured once the other kernel has said that it receives. */
    CALL(pc, SYSC_ACTIVATE, 4, CAP_INVALID, GOT);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pc, 4), DTU_EP_SEND);
    ck_assert_int_eq(CALL(pc, SYSC_ACTIVATE, 5, CAP_INVALID, GOT + 1), SE_OK);
    /* Revoked at the far side: dead here. */
    ck_assert_int_eq(revoke(ps, GATE, 1), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pc, 4), DTU_EP_INVALID);
    ck_assert_ptr_null(cap(cli, GOT));
    ck_assert_ptr_nonnull(cap(cli, GOT + 1));
    ck_assert_int_eq(revoke(pc, GOT + 1, 1), SE_OK);
    ck_assert_ptr_null(cap(srv, MEM)->rkids);
}
END_TEST

/* More than was asked for, or nothing; and nothing is left of the attempt. */
START_TEST(what_does_not_travel)
{
    open_session(pc, SESS, 1);
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK, RANGE(GATE, 2)); /* more than was asked for */
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    ANSWER(ps, SE_NO_PERM);
    ck_assert_int_eq(last(pc), SE_NO_PERM);
    ck_assert_ptr_null(cap(cli, GOT));
}
END_TEST

/* The original panics here. */
START_TEST(delegated)
{
    open_session(pc, SESS, 1);
    ck_assert_int_eq(CALL(pc, SYSC_REQMEM, MEM, ~0ull, 8192, 1), SE_OK);
    delegate(pc, MEM, GOT, 1);
    ck_assert_int_eq(cap(srv, GOT)->type, CAP_MEM);
    ck_assert_uint_eq(cap(srv, GOT)->mem.size, 8192);
    ck_assert_int_eq(CALL(ps, SYSC_ACTIVATE, 7, CAP_INVALID, GOT), SE_OK);
    ck_assert_int_eq(revoke(pc, MEM, 1), SE_OK);
    ck_assert_ptr_null(cap(srv, GOT));
    ck_assert_uint_eq(fake_ep_type(ps, 7), DTU_EP_INVALID);
    /* Where the service has something already. */
    ck_assert_int_eq(CALL(pc, SYSC_REQMEM, MEM, ~0ull, 8192, 1), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_DELEGATE, 0, SESS, RANGE(MEM, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK, RANGE(GATE, 1));
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
}
END_TEST

/* Kernel 0 -> 1 -> 0 -> 2: one revocation reaches all, and comes back only then. */
START_TEST(chain)
{
    open_session(pc, SESS, 1);
    open_session(p2, SESS, 2);
    obtain(pc, GOT, MEM, 1);
    delegate(pc, GOT, GOT, 1);
    obtain(p2, GOT, GOT, 1);
    ck_assert_ptr_nonnull(cap(by2, GOT));
    fake_auto = false;
    ck_assert_int_eq(revoke(ps, MEM, 1), FAKE_LATER);
    ck_assert_ptr_null(cap(srv, MEM));
    while (fake_reply(ps)->count == 0 || fake_wire())
        if (!fake_deliver_one())
            break;
    ck_assert_int_eq(last(ps), SE_OK);
    ck_assert_ptr_null(cap(cli, GOT));
    ck_assert_ptr_null(cap(srv, GOT));
    ck_assert_ptr_null(cap(by2, GOT));
}
END_TEST

/* Two revocations of a chain, from its top and its middle, in any order of arrival. */
START_TEST(overlapping)
{
    for (unsigned before = 0; before < 12; before++) {
        open_session(pc, SESS, 1);
        open_session(p2, SESS, 2);
        ck_assert_int_eq(CALL(p0, SYSC_NOOP), SE_OK);
        obtain(pc, GOT, MEM, 1);
        delegate(pc, GOT, GOT, 1);
        obtain(p2, GOT, GOT, 1);
        fake_auto = false;
        ck_assert_int_eq(revoke(pc, GOT, 1), FAKE_LATER);
        for (unsigned i = 0; i < before; i++)
            fake_deliver_one();
        CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1);
        fake_deliver();
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_int_eq(last(ps), SE_OK);
        ck_assert_ptr_null(cap(by2, GOT));
        ck_assert_ptr_null(cap(srv, GOT));
        fake_check();
        fake_auto = true;
        ck_assert_int_eq(CALL(ps, SYSC_REQMEM, MEM, ~0ull, 4096, 3), SE_OK);
        revoke(pc, SESS, 1);
        ANSWER(ps, SE_OK);
        revoke(p2, SESS, 1);
        ANSWER(ps, SE_OK);
    }
}
END_TEST

/* One that began further down, in the same kernel, waits for another: so does the one above it. */
START_TEST(overlapping_in_one_kernel)
{
    fake_use(0);
    ck_assert_ptr_nonnull(cap_derive(cap(srv, MEM), by0, GOT));
    service(p0, 't');
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESS, 0, SESS, 2, 't' << 8 | 'f'), FAKE_LATER);
    ANSWER(p0, SE_OK, 5);
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    ANSWER(p0, SE_OK, RANGE(GOT, 1));
    ck_assert_int_eq(last(pc), SE_OK);
    fake_auto = false;
    ck_assert_int_eq(CALL(p0, SYSC_REVOKE, RANGE(GOT, 1), 1), FAKE_LATER);
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1), FAKE_LATER);
    fake_deliver();
    ck_assert_int_eq(last(p0), SE_OK);
    ck_assert_int_eq(last(ps), SE_OK);
    ck_assert_ptr_null(cap(cli, GOT));
}
END_TEST

/* A revocation that overtakes the capability it is for. */
START_TEST(overtaken)
{
    open_session(pc, SESS, 1);
    for (unsigned before = 0; before < 6; before++) {
        fake_auto = false;
        ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
        fake_deliver();
        ANSWER(ps, SE_OK, RANGE(MEM, 1));
        for (unsigned i = 0; i < before; i++)
            fake_deliver_one();
        CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1);
        fake_deliver();
        ck_assert_int_eq(last(ps), SE_OK);
        ck_assert_int_eq(last(pc), SE_OK);
        ck_assert_ptr_null(cap(cli, GOT));
        fake_check();
        fake_auto = true;
        ck_assert_int_eq(CALL(ps, SYSC_REQMEM, MEM, ~0ull, 4096, 3), SE_OK);
    }
}
END_TEST

/* The same with what is delegated, revoked between the service's answer and its arrival. */
START_TEST(overtaken_delegation)
{
    open_session(pc, SESS, 1);
    for (unsigned before = 0; before < 6; before++) {
        ck_assert_int_eq(CALL(pc, SYSC_REQMEM, MEM, ~0ull, 8192, 1), SE_OK);
        ck_assert_int_eq(CALL(pc, SYSC_EXCHANGE, 0, RANGE(MEM, 1), RANGE(MEM + 60, 1), 0), SE_OK);
        cap_derive(cap(cli, MEM), by1, MEM);
        fake_auto = false;
        ck_assert_int_eq(CALL(pc, SYSC_DELEGATE, 0, SESS, RANGE(MEM + 60, 1)), FAKE_LATER);
        fake_deliver();
        ANSWER(ps, SE_OK, RANGE(GOT, 1));
        for (unsigned i = 0; i < before; i++)
            fake_deliver_one();
        fake_use(1);
        cap_revoke(cap(cli, MEM));
        fake_deliver();
        ck_assert_ptr_null(cap(srv, GOT));
        fake_check();
        fake_auto = true;
    }
}
END_TEST

/* Whoever ends, wherever the messages are. */
START_TEST(ends_anywhere)
{
    for (unsigned who = 0; who < 2; who++) {
        for (unsigned before = 0; before < 8; before++) {
            fake_end();
            setup();
            open_session(pc, SESS, 1);
            obtain(pc, GOT, MEM, 1);
            fake_auto = false;
            ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT + 1, 1)), FAKE_LATER);
            if (before > 0)
                fake_deliver();
            if (before > 1)
                ANSWER(ps, SE_OK, RANGE(GATE, 1));
            for (unsigned i = 2; i < before; i++)
                fake_deliver_one();
            fake_use(who ? 0 : 1);
            vpe_exit(who ? srv : cli, 0);
            fake_deliver();
            fake_check();
            if (who)
                ck_assert_ptr_null(cap(cli, GOT));
        }
    }
}
END_TEST

/* The PE of a VPE that has ended is not used again before others have lost what they had of it. */
START_TEST(pe_waits)
{
    struct cap *m;

    open_session(pc, SESS, 1);
    fake_use(1);
    m = cap_get(&cli->caps, CAP_SELF_MEM);
    ck_assert_ptr_nonnull(m);
    delegate(pc, CAP_SELF_MEM, GOT, 1);
    fake_auto = false;
    ck_assert_int_eq(CALL(pc, SYSC_EXIT, 0), FAKE_LATER);
    fake_use(1);
    ck_assert_int_eq(kern.pes[pc].state, PE_WAITING);
    ck_assert_ptr_nonnull(cap(srv, GOT));
    fake_deliver();
    ck_assert_ptr_null(cap(srv, GOT));
    fake_use(1);
    ck_assert_int_eq(kern.pes[pc].state, PE_RESETTING);
}
END_TEST

/* ACTIVATE waits for a receiver elsewhere, but not for ever. */
START_TEST(receiver_elsewhere)
{
    open_session(pc, SESS, 1);
    ck_assert_int_eq(CALL(ps, SYSC_CREATEGATE, 0, GATE + 50, LABEL, 9, 256), SE_OK);
    obtain(pc, GOT, GATE + 50, 1);
    ck_assert_int_eq(CALL(pc, SYSC_ACTIVATE, 4, CAP_INVALID, GOT), FAKE_LATER);
    ck_assert_int_eq(CALL(ps, SYSC_ATTACHRB, 0, 9, RB + 8192, 12, 8, 0), SE_OK);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pc, 4), DTU_EP_SEND);
    ck_assert_int_eq(CALL(ps, SYSC_DETACHRB, 0, 9), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_ACTIVATE, 5, CAP_INVALID, GOT), FAKE_LATER);
    for (unsigned i = 0; i < 100 && fake_reply(pc)->word[0] != SE_RECV_GONE; i++)
        fake_time(SECOND);
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    /* Revoked while it waits. */
    ck_assert_int_eq(CALL(pc, SYSC_ACTIVATE, 5, CAP_INVALID, GOT), FAKE_LATER);
    ck_assert_int_eq(revoke(ps, GATE + 50, 1), SE_OK);
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
}
END_TEST

/* Capabilities of a VPE's children only. */
START_TEST(children_only)
{
    open_session(pc, SESS, 1);
    obtain(pc, GOT, MEM, 1);
    CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 0);
    ck_assert_int_eq(last(ps), SE_OK);
    ck_assert_ptr_nonnull(cap(srv, MEM));
    ck_assert_ptr_null(cap(cli, GOT));
    /* Both at once: the second waits for the first. */
    obtain(pc, GOT, MEM, 1);
    fake_auto = false;
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 0), FAKE_LATER);
    fake_use(0);
    cap_revoke(cap(srv, MEM));
    ck_assert_ptr_nonnull(kern.revocations);
    fake_deliver();
    ck_assert_int_eq(last(ps), SE_OK);
}
END_TEST

/* No more than two requests, a revocation and an answer are under way to a kernel. */
START_TEST(flow_control)
{
    unsigned most = 0;

    open_session(pc, SESS, 1);
    for (unsigned i = 0; i < 30; i++) {
        ck_assert_int_eq(CALL(ps, SYSC_DERIVEMEM, MEM, 100 + i, 0, 8, 1), SE_OK);
        obtain(pc, 100 + i, 100 + i, 1);
    }
    fake_auto = false;
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(100, 30), 1), FAKE_LATER);
    for (unsigned i = 0; i < 20; i++)
        connect_announce_one(cap_key(cap(srv, SRV)), "other");
    while (fake_wire()) {
        most = fake_wire() > most ? fake_wire() : most;
        fake_deliver_one();
    }
    ck_assert_uint_le(most, 3 * 4); /* two pairs of kernels, and answers */
    ck_assert_int_eq(last(ps), SE_OK);
    for (unsigned i = 0; i < 30; i++)
        ck_assert_ptr_null(cap(cli, 100 + i));
}
END_TEST

/* ---- the end of a kernel ---- */

static void start_again(unsigned configured)
{
    fake_end();
    fake_boot_apart(3, 3, configured);
    fake_auto = true;
    fake_time(SECOND);
    fake_time(SECOND);
    place();
}

START_TEST(connect_late)
{
    start_again(true);
    fake_use(0);
    ck_assert_ptr_nonnull(peer_find(1));
    ck_assert_ptr_nonnull(peer_find(2));
    open_session(pc, SESS, 1);
    fake_kill(2);
    fake_use(0);
    for (unsigned i = 0; i < 60 && peer_find(2); i++)
        fake_time(SECOND);
    fake_use(0);
    ck_assert_ptr_null(peer_find(2));
    ck_assert_ptr_nonnull(peer_find(1));
    fake_restart(2, true);
    fake_time(SECOND);
    fake_use(0);
    ck_assert_ptr_nonnull(peer_find(2));
    fake_use(2);
    by2 = fake_vpe();
    p2 = by2->pe;
    open_session(p2, SESS, 5);
}
END_TEST

/* Who is taken for dead, and has not noticed, is told when it is called again: nothing is left. */
START_TEST(one_sided)
{
    unsigned client, service;

    start_again(true);
    open_session(pc, SESS, 1);
    ck_assert_ptr_nonnull(cap(cli, SESS));
    client = fake_kernel_of(pc);
    service = fake_kernel_of(ps);
    fake_use(_i ? client : service);
    peer_lost(peer_find(_i ? service : client), "test");
    for (unsigned i = 0; i < 4; i++)
        fake_time(SECOND);
    ck_assert_ptr_null(cap(cli, SESS));
    fake_use(service);
    ck_assert_uint_eq(peer_find(client)->losses, 1);
    ck_assert_ptr_null(cap(srv, SRV)->rkids);
    ANSWER(ps, SE_OK); /* it has been told to close it */
    open_session(pc, SESS, 2);
}
END_TEST

static int refused_in; /* sends that still succeed */

static unsigned refuse_one(void)
{
    return refused_in-- == 0 ? SE_NO_RING_SPACE : SE_OK;
}

/*
 * Any one message of kernels that get to know each other finds no space: they connect all the same,
 * and none waits for what another could not understand yet.
 */
START_TEST(connect_refused)
{
    fake_end();
    fake_boot_apart(3, 3, false);
    fake_auto = true;
    place();
    service(p1, 't');
    fake_use(0);
    peer_add(1, fake_kernel_pe(1))->configured = true; /* kernel 1 learns of 0 when that calls */
    refused_in = _i;
    fake_refuse = refuse_one;
    for (unsigned i = 0; i < 40; i++)
        fake_time(SECOND);
    fake_refuse = NULL;
    ck_assert_int_lt(refused_in, 0);
    ck_assert_ptr_null(strstr(fake_console(), "is gone"));
    fake_use(0);
    ck_assert_ptr_nonnull(peer_find(1));
    ck_assert(rservice_exists("ft"));
    fake_use(1);
    ck_assert_ptr_nonnull(peer_find(0));
    ck_assert(rservice_exists("fs"));
}
END_TEST

/* Killed at any point of a spanning obtain and revoke; then it comes again. */
START_TEST(killed_anywhere)
{
    for (unsigned who = 0; who < 2; who++) {
        for (unsigned before = 0; before < 10; before++) {
            start_again(true);
            open_session(pc, SESS, 1);
            obtain(pc, GOT, MEM, 1);
            delegate(pc, GOT, GOT, 1);
            fake_auto = false;
            ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT + 1, 1)), FAKE_LATER);
            for (unsigned i = 0; i < before && fake_deliver_one(); i++)
                ;
            if (before > 3 && fake_request(ps)->there)
                ANSWER(ps, SE_OK, RANGE(GATE, 1));
            CALL(p0, SYSC_NOOP);
            CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1);
            for (unsigned i = 3; i < before && fake_deliver_one(); i++)
                ;
            fake_auto = true;
            fake_restart(who, true);
            for (unsigned i = 0; i < 40; i++) {
                fake_time(SECOND);
                if (who == 1 && fake_request(ps)->there)
                    ANSWER(ps, SE_NO_PERM);
            }
            fake_check();
            if (who == 0) {
                ck_assert_ptr_null(cap(cli, GOT));
                ck_assert_ptr_null(cap(cli, SESS));
                ck_assert_uint_eq(cli->wait.kind, WAIT_NONE);
            } else {
                ck_assert_ptr_null(cap(srv, GOT));
                ck_assert_ptr_null(cap(srv, SRV)->rkids);
                ck_assert_uint_eq(srv->wait.kind, WAIT_NONE);
            }
            fake_use(who);
            ck_assert_ptr_nonnull(peer_find(1 - who));
            ck_assert_ptr_null(kern.revocations);
            fake_use(1 - who);
            ck_assert_ptr_nonnull(peer_find(who));
            ck_assert_ptr_null(kern.revocations);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("several kernels");
    TCase *t = tcase_create("krnl");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, session);
    tcase_add_test(t, hidden_service);
    tcase_add_test(t, asked_kernel_ends);
    tcase_add_test(t, begun_elsewhere);
    tcase_add_test(t, obtained);
    tcase_add_test(t, what_does_not_travel);
    tcase_add_test(t, delegated);
    tcase_add_test(t, chain);
    tcase_add_test(t, overlapping);
    tcase_add_test(t, overlapping_in_one_kernel);
    tcase_add_test(t, overtaken);
    tcase_add_test(t, overtaken_delegation);
    tcase_add_test(t, ends_anywhere);
    tcase_add_test(t, pe_waits);
    tcase_add_test(t, receiver_elsewhere);
    tcase_add_test(t, children_only);
    tcase_add_test(t, flow_control);
    tcase_add_test(t, connect_late);
    tcase_add_loop_test(t, one_sided, 0, 2);
    tcase_add_loop_test(t, connect_refused, 0, 6);
    tcase_add_test(t, killed_anywhere);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
