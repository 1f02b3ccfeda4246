/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that crash: what they held goes, whatever they were in the middle of, and everything
 * else stays.  fake_end() checks that in no kernel anything is left.
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c guest/kernel/over.c
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

#define OTHERS 600u /* selector of what has nothing to do with who crashes */

static void crash(unsigned kernel, unsigned pe)
{
    fake_over(pe);
    fake_use(kernel);
    vpe_bury();
}

static void deliver(unsigned most)
{
    for (unsigned i = 0; i < most && fake_deliver_one(); i++)
        ;
}

/* A client of another kernel and a service, in the middle of an obtain, a delegation, a revocation:
 * either of them crashes when so many messages between the kernels have arrived. */
START_TEST(anywhere)
{
    const bool server = _i % 2, obtains = _i / 2 % 2;
    const unsigned before = (unsigned)_i / 4;

    ck_assert_int_eq(CALL(p0, SYSC_REQMEM, OTHERS, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(p1, SYSC_REQMEM, OTHERS, ~0ull, 4096, 3), SE_OK);
    open_session(pc, SESS, 1);
    obtain(pc, GOT, MEM, 1);
    ck_assert_int_eq(CALL(pc, SYSC_REQMEM, OTHERS, ~0ull, 4096, 3), SE_OK);
    delegate(pc, OTHERS, OTHERS, 1);
    ck_assert_ptr_nonnull(cap(srv, OTHERS));
    fake_auto = false;
    CALL(pc, obtains ? SYSC_OBTAIN : SYSC_DELEGATE, 0, SESS, RANGE(obtains ? GOT + 1 : OTHERS, 1));
    deliver(before);
    if (fake_request(ps)->there)
        ANSWER(ps, SE_OK, RANGE(obtains ? GATE : OTHERS + 1, 1));
    CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1);
    deliver(before / 2);
    crash(server ? 0 : 1, server ? ps : pc);
    fake_auto = true;
    fake_deliver();
    for (unsigned i = 0; i < 70; i++) {
        fake_time(SECOND);
        if (!server && fake_request(ps)->there)
            ANSWER(ps, SE_NO_PERM);
    }
    fake_check();
    if (server) {
        ck_assert_ptr_null(cap(cli, GOT));
        ck_assert_ptr_null(cap(cli, GOT + 1));
        ck_assert_ptr_null(cap(cli, SESS));
        ck_assert_ptr_nonnull(cap(cli, OTHERS));
        ck_assert_ptr_null(cap(cli, OTHERS)->rkids);
        ck_assert_uint_eq(cli->wait.kind, WAIT_NONE);
    } else {
        ck_assert_ptr_null(cap(srv, OTHERS));
        ck_assert_ptr_null(cap(srv, OTHERS + 1));
        ck_assert_ptr_null(cap(srv, MEM)); /* it revoked that itself */
        ck_assert_ptr_null(cap(srv, SRV)->rkids);
        ck_assert_uint_eq(srv->wait.kind, WAIT_NONE);
    }
    ck_assert_ptr_nonnull(cap(by0, OTHERS));
    ck_assert_ptr_nonnull(cap(by1, OTHERS));
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        ck_assert_ptr_null(kern.revocations);
        ck_assert_ptr_null(kern.peers.exchanges);
    }
}
END_TEST

/* Once, whoever else is looked at; who waits for it hears of it. */
START_TEST(awaited)
{
    const uint64_t label = srv->label;

    fake_use(0);
    vpe_bury();
    ck_assert_ptr_eq(kern.pes[p0].vpe, by0);
    crash(0, p0);
    ck_assert_ptr_null(kern.pes[p0].vpe);
    ck_assert_uint_eq(kern.stats.failed, 1);
    ck_assert(strstr(fake_console(), "has crashed"));
    vpe_bury();
    ck_assert_uint_eq(kern.stats.failed, 1);
    ck_assert_uint_eq(srv->label, label);
    ck_assert_int_eq(
        CALL(ps, SYSC_CREATEVPE, 700, 701, 1, 'c', pe_desc(0, 0, PE_TYPE_SPM), 0xFFFF, 0), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_VPECTRL, 700, VPECTRL_START, 0), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_VPECTRL, 700, VPECTRL_WAIT, 0), FAKE_LATER);
    crash(0, cap_at(&srv->caps, 700)->vpe->pe);
    ck_assert_uint_eq(fake_reply(ps)->word[0], SE_OK);
    ck_assert_uint_eq(fake_reply(ps)->word[1], VPE_CRASHED);
    ck_assert_uint_eq(kern.stats.failed, 1); /* somebody asked */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("programs that crash");
    TCase *t = tcase_create("over");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, anywhere, 0, 40);
    tcase_add_test(t, awaited);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
