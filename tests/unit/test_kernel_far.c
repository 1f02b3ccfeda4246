/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Capabilities for VPEs and services of other kernels: what can be done with them, what not, and
 * how they end.
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

#define CHILD 50u /* the service has it, and its memory behind it */
#define FAR   60u /* the client's capability for it */

static struct vpe *child;
static unsigned pv;

/* The service creates a VPE and gives the client a capability for it. */
static void with_child(void)
{
    setup();
    open_session(pc, SESS, 1);
    ck_assert_int_eq(
        CALL(ps, SYSC_CREATEVPE, CHILD, CHILD + 1, 1, 'c', pe_desc(0, 0, PE_TYPE_SPM), 0xFFFF, 0),
        SE_OK);
    child = cap(srv, CHILD)->vpe;
    pv = child->pe;
    obtain(pc, FAR, CHILD, 1);
    ck_assert_int_eq(cap(cli, FAR)->type, CAP_FAR_VPE);
}

/* A call that another kernel answers. */
#define LATER(pe, ...)                        \
    ({                                        \
        int err_ = CALL(pe, __VA_ARGS__);     \
        err_ == FAKE_LATER ? last(pe) : err_; \
    })

static void start_child(void)
{
    ck_assert_int_eq(LATER(pc, SYSC_VPECTRL, FAR, VPECTRL_START, 0), SE_OK);
    ck_assert_int_eq(child->state, VPE_RUNNING);
}

START_TEST(started_and_awaited)
{
    ck_assert_int_eq(child->state, VPE_CREATED);
    start_child();
    ck_assert_int_eq(LATER(pc, SYSC_VPECTRL, FAR, VPECTRL_START, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, 7, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_WAIT, 0), FAKE_LATER);
    CALL(pv, SYSC_EXIT, 42);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_uint_eq(fake_reply(pc)->word[1], 42);
    /* The exit code can still be asked for, but nothing else. */
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_WAIT, 0), SE_OK);
    ck_assert_uint_eq(fake_reply(pc)->word[1], 42);
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_START, 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_CREATEGATE, FAR, 70, 1, 4, 9), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_EXCHANGE, FAR, RANGE(GOT, 1), RANGE(1, 1), 1), SE_INV_ARGS);
    /* It is nobody's child any more. */
    ck_assert_ptr_null(cap(srv, CHILD)->rkids);
    ck_assert_int_eq(revoke(ps, CHILD, 1), SE_OK);
    ck_assert_ptr_nonnull(cap(cli, FAR));
    ck_assert_int_eq(revoke(pc, FAR, 1), SE_OK);
}
END_TEST

START_TEST(exchanged_with)
{
    struct cap *m;

    start_child();
    ck_assert_int_eq(CALL(pc, SYSC_REQMEM, 80, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(LATER(pc, SYSC_EXCHANGE, FAR, RANGE(80, 1), RANGE(90, 1), 0), SE_OK);
    m = cap(child, 90);
    ck_assert_ptr_nonnull(m);
    ck_assert_int_eq(m->type, CAP_MEM);
    ck_assert_int_eq(CALL(pv, SYSC_ACTIVATE, 5, 0xFFFF, 90), SE_OK);
    ck_assert_int_eq(LATER(pc, SYSC_EXCHANGE, FAR, RANGE(GOT, 1), RANGE(1, 1), 1), SE_OK);
    ck_assert_int_eq(cap(cli, GOT)->type, CAP_MEM);
    ck_assert_uint_eq(cap(cli, GOT)->mem.pe, pv);
    /* Where something is already; what is not there; ranges that do not fit. */
    ck_assert_int_eq(LATER(pc, SYSC_EXCHANGE, FAR, RANGE(80, 1), RANGE(90, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(LATER(pc, SYSC_EXCHANGE, FAR, RANGE(GOT, 1), RANGE(1, 1), 1), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_EXCHANGE, FAR, RANGE(80, 2), RANGE(92, 1), 0), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_EXCHANGE, FAR, RANGE(0xFFF0, 99), RANGE(1, 1), 1), SE_INV_ARGS);
    /* Revoked here, dead there. */
    ck_assert_int_eq(revoke(pc, 80, 1), SE_OK);
    ck_assert_ptr_null(cap(child, 90));
    ck_assert_uint_eq(fake_ep_type(pv, 5), DTU_EP_INVALID);
    /* With the VPE goes what was obtained from it. */
    CALL(pv, SYSC_EXIT, 0);
    ck_assert_ptr_null(cap(cli, GOT));
}
END_TEST

/* Its PE is not used again while a gate to it is left anywhere. */
START_TEST(gates_to_it)
{
    start_child();
    ck_assert_int_eq(CALL(pc, SYSC_CREATEGATE, FAR, 70, 0x99, 4, 256), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_CREATEGATE, FAR, 71, 0x99, 0, 256), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_ACTIVATE, 5, 0xFFFF, 70), FAKE_LATER);
    ck_assert_int_eq(CALL(pv, SYSC_ATTACHRB, 0, 4, RB + 8192, 12, 8, 0), SE_OK);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_uint_eq(fake_ep_type(pc, 5), DTU_EP_SEND);
    fake_auto = false;
    CALL(pv, SYSC_EXIT, 3);
    fake_use(0);
    ck_assert_int_eq(kern.pes[pv].state, PE_WAITING);
    ck_assert_uint_eq(fake_ep_type(pc, 5), DTU_EP_SEND);
    fake_deliver();
    ck_assert_uint_eq(fake_ep_type(pc, 5), DTU_EP_INVALID);
    ck_assert_ptr_null(cap(cli, 70));
    ck_assert_ptr_nonnull(cap(cli, FAR));
    fake_use(0);
    ck_assert_int_eq(kern.pes[pv].state, PE_RESETTING);
}
END_TEST

/* Given on to a third kernel, and back to its own. */
START_TEST(passed_on)
{
    service(p1, 't');
    ck_assert_int_eq(CALL(pc, SYSC_EXCHANGE, 0, RANGE(FAR, 1), RANGE(FAR + 1, 1), 0), SE_OK);
    fake_use(1);
    ck_assert_ptr_nonnull(cap_derive(cap(cli, FAR + 1), by1, FAR));
    CALL(p2, SYSC_CREATESESS, 0, SESS, 2, 't' << 8 | 'f');
    ANSWER(p1, SE_OK, 5);
    ck_assert_int_eq(CALL(p2, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    ANSWER(p1, SE_OK, RANGE(FAR, 1));
    ck_assert_int_eq(last(p2), SE_OK);
    ck_assert_int_eq(cap(by2, GOT)->type, CAP_FAR_VPE);
    /* The owner does not know that one: it can wait, and that is all. */
    ck_assert_int_eq(CALL(p2, SYSC_VPECTRL, GOT, VPECTRL_START, 0), SE_NOT_SUP);
    ck_assert_int_eq(CALL(p2, SYSC_CREATEGATE, GOT, 70, 1, 4, 9), SE_NOT_SUP);
    ck_assert_int_eq(CALL(p2, SYSC_EXCHANGE, GOT, RANGE(80, 1), RANGE(1, 1), 1), SE_NOT_SUP);
    /* At its own kernel it is the VPE's as before. */
    delegate(pc, FAR + 1, 200, 1);
    ck_assert_int_eq(cap(srv, 200)->type, CAP_VPE);
    ck_assert_ptr_eq(cap(srv, 200)->vpe, child);
    ck_assert_int_eq(CALL(ps, SYSC_VPECTRL, 200, VPECTRL_START, 0), SE_OK);
    ck_assert_int_eq(CALL(p2, SYSC_VPECTRL, GOT, VPECTRL_WAIT, 0), FAKE_LATER);
    ck_assert_int_eq(CALL(p1, SYSC_VPECTRL, FAR, VPECTRL_WAIT, 0), FAKE_LATER);
    CALL(pv, SYSC_EXIT, 9);
    ck_assert_uint_eq(fake_reply(p2)->word[1], 9);
    ck_assert_uint_eq(fake_reply(p1)->word[1], 9);
}
END_TEST

/* Its creator revokes it, or its kernel goes, while somebody waits. */
START_TEST(waits_in_vain)
{
    start_child();
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_WAIT, 0), FAKE_LATER);
    ck_assert_int_eq(revoke(ps, CHILD, 1), SE_OK);
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    ck_assert_ptr_null(cap(cli, FAR));
    obtain(pc, FAR, 0, 1); /* the service itself */
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_WAIT, 0), FAKE_LATER);
    fake_auto = false;
    fake_use(1);
    peer_lost(peer_find(0), "test");
    ck_assert_int_eq(last(pc), SE_RECV_GONE);
    fake_use(0);
    peer_lost(peer_find(1), "test");
}
END_TEST

/* The end, the revocation and the exchange meet on the way, in any order. */
START_TEST(ends_anywhere)
{
    for (unsigned i = 0; i < 60; i++) {
        fake_end();
        with_child();
        start_child();
        CALL(pc, SYSC_CREATEGATE, FAR, 70, 0x99, 4, 256);
        fake_auto = false;
        CALL(pc, SYSC_EXCHANGE, FAR, RANGE(GOT, 1), RANGE(1, 1), 1);
        for (unsigned k = 0; k < i % 5 && fake_deliver_one(); k++)
            ;
        CALL(pv, SYSC_EXIT, 1);
        for (unsigned k = 0; k < i / 5 % 4 && fake_deliver_one(); k++)
            ;
        if (i / 20 == 1)
            CALL(ps, SYSC_REVOKE, RANGE(CHILD, 1), 1);
        if (i / 20 == 2) {
            fake_use(1);
            cap_revoke(cap(cli, FAR));
        }
        fake_deliver();
        ck_assert_ptr_null(cap(cli, GOT));
        ck_assert_ptr_null(cap(cli, 70));
        ck_assert(cli->wait.kind == WAIT_NONE && srv->wait.kind == WAIT_NONE);
        fake_use(0);
        ck_assert_int_eq(kern.pes[pv].state, PE_RESETTING);
        fake_check();
    }
}
END_TEST

START_TEST(services_too)
{
    obtain(pc, GOT, SRV, 1);
    ck_assert_int_eq(cap(cli, GOT)->type, CAP_FAR_SRV);
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESSAT, GOT, GOT + 1, 1), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, GOT + 1, RANGE(GOT + 2, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK, RANGE(MEM, 1));
    ck_assert_int_eq(last(pc), SE_OK);
    /* A session that it has not. */
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESSAT, GOT, GOT + 3, 77), SE_OK);
    ck_assert_int_eq(LATER(pc, SYSC_OBTAIN, 0, GOT + 3, RANGE(GOT + 4, 1)), SE_INV_ARGS);
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESSAT, GOT, GOT + 3, 1), SE_INV_ARGS);
    /* Gone with the service. */
    ck_assert_int_eq(revoke(ps, SRV, 1), SE_OK);
    ck_assert_ptr_null(cap(cli, GOT));
    ck_assert_ptr_null(cap(cli, GOT + 1));
}
END_TEST

/* A session that comes back to its service's kernel is the one that is there. */
START_TEST(session_comes_home)
{
    delegate(pc, SESS, 200, 1);
    ck_assert_int_eq(cap(srv, 200)->type, CAP_SESS);
    fake_use(0);
    ck_assert_ptr_nonnull(cap_derive(cap(srv, 200), by0, SESS));
    ck_assert_int_eq(CALL(p0, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    ck_assert_uint_eq(fake_request(ps)->word[1], 1);
    ANSWER(ps, SE_OK, RANGE(MEM, 1));
    ck_assert_int_eq(last(p0), SE_OK);
    /* The client closes it: gone everywhere. */
    ck_assert_int_eq(revoke(pc, SESS, 1), SE_OK);
    ck_assert_ptr_null(cap(by0, SESS));
    ck_assert_uint_eq(fake_request(ps)->word[0], CLOSE);
    ANSWER(ps, SE_OK);
}
END_TEST

/* Who has no serial numbers is the original, which such capabilities would kill. */
START_TEST(not_to_the_original)
{
    uint64_t vpe = ddl_key(pc, pc, DDL_VPECAP, 0), key = cap(cli, SESS)->sess->key;
    const unsigned give[2] = {CHILD, SRV};

    for (unsigned i = 0; i < 2; i++) {
        KCALL(1, 0, KC_EXCHANGEOSESS, 1000, 1, vpe, key, 1, CRD_OBJ, GOT, 1);
        ANSWER(ps, SE_OK, RANGE(give[i], 1));
        ck_assert_uint_eq(fake_last(0, 1)->word[0], KC_EXCHANGEOSESSREPLY);
        ck_assert_uint_eq(fake_last(0, 1)->word[2], SE_NOT_SUP);
    }
}
END_TEST

/* What another kernel might claim. */
START_TEST(lies)
{
    uint64_t parent = cap_key(cap(srv, CHILD)), key = cap_key(cap(cli, FAR)), before = bad(0);
    uint64_t v2 = ddl_key(p2, p2, DDL_VPECAP, 1 << 16);

    /* Kernel 2 has no capability for that VPE; kernel 1 not that one; nor for the service. */
    KCALL(2, 0, KC_CREATEVPE, 0, 5, 0, 0, parent, key, VPECTRL_START);
    ck_assert_uint_eq(fake_last(0, 2)->word[5], SE_INV_ARGS);
    KCALL(1, 0, KC_CREATEVPE, 0, 5, 0, 0, parent, key + 1, VPECTRL_START);
    KCALL(1, 0, KC_CREATEVPE, 0, 5, 0, 0, cap_key(cap(srv, MEM)), key, VPECTRL_START);
    KCALL(1, 0, KC_CREATEVPE, 0, 5, 0, 0, parent, key, VPECTRL_WAIT);
    KCALL(1, 0, KC_CREATEVPE, 0, 5, 0, 0, parent);
    ck_assert_uint_eq(bad(0), before + 5);
    ck_assert_int_eq(child->state, VPE_CREATED);
    KCALL(2, 0, KC_EXCHANGEOSESS, 6, 1, v2, parent, key, CRD_OBJ, GOT, 1, (uint64_t)1 << 32, 1);
    ck_assert_uint_eq(fake_last(0, 2)->word[0], KC_EXCHANGEOSESSREPLY);
    ck_assert_uint_eq(fake_last(0, 2)->word[2], SE_INV_ARGS);
    KCALL(1, 0, KC_EXCHANGEOSESS, 6, 1, ddl_key(pc, pc, DDL_VPECAP, 1 << 16), parent, key, CRD_OBJ,
          GOT, 1);
    ck_assert_uint_eq(fake_last(0, 1)->word[2], SE_INV_ARGS);
    /* The end of a VPE that is not its own. */
    fake_use(1);
    before = kern.stats.late;
    KCALL(2, 1, KC_EXIT, 3, key);
    KCALL(0, 1, KC_EXIT, 3, key + 1);
    fake_use(1);
    ck_assert_uint_eq(kern.stats.late, before + 2);
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_WAIT, 0), FAKE_LATER);
    KCALL(0, 1, KC_EXIT, 3, key);
    ck_assert_uint_eq(fake_reply(pc)->word[1], 3);
    KCALL(0, 1, KC_EXIT, 4, key); /* twice */
    ck_assert_int_eq(CALL(pc, SYSC_VPECTRL, FAR, VPECTRL_WAIT, 0), SE_OK);
    ck_assert_uint_eq(fake_reply(pc)->word[1], 3);
    /* A VPE of ours that there is not. */
    fake_auto = false;
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    fake_use(1);
    KCALL(0, 1, KC_EXCHANGEOSESSREPLY, cli->wait.tid, 0, 0, CRD_OBJ, 100, 1, parent,
          ddl_key(pc, pc, DDL_VPECAP, (uint64_t)0xFFF0 << 16));
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
    fake_deliver();
    ANSWER(ps, SE_NO_PERM);
}
END_TEST

/* Kernel 0 gives the client what it says is a capability for a VPE of kernel 1 itself. */
static int given(uint64_t vpe)
{
    int err;

    fake_auto = false;
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 1)), FAKE_LATER);
    fake_use(1);
    KCALL(0, 1, KC_EXCHANGEOSESSREPLY, cli->wait.tid, 0, 0, CRD_OBJ, 100, 1,
          cap_key(cap(srv, CHILD)), vpe);
    err = last(pc);
    fake_auto = true;
    fake_deliver();
    ANSWER(ps, SE_NO_PERM);
    return err;
}

/* Only what was given away can come home, and under its full name. */
START_TEST(never_given_away)
{
    uint64_t key, bare;

    fake_use(1);
    key = cap_key(cap(by1, CAP_SELF_VPE));
    bare = ddl_key(p1, p1, DDL_VPECAP, CAP_SELF_VPE);
    ck_assert_int_eq(given(key), SE_INV_ARGS);
    ck_assert_int_eq(given(bare), SE_INV_ARGS);
    ck_assert_ptr_null(cap(cli, GOT));
    fake_use(1);
    ck_assert_ptr_nonnull(cap_derive(cap(by1, CAP_SELF_VPE), cli, 90));
    delegate(pc, 90, 200, 1);
    ck_assert_int_eq(given(bare), SE_INV_ARGS);
    ck_assert_int_eq(given(key), SE_OK);
    ck_assert_ptr_eq(cap(cli, GOT)->vpe, by1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("VPEs and services of other kernels");
    TCase *t = tcase_create("far");

    tcase_add_checked_fixture(t, with_child, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, started_and_awaited);
    tcase_add_test(t, exchanged_with);
    tcase_add_test(t, gates_to_it);
    tcase_add_test(t, passed_on);
    tcase_add_test(t, waits_in_vain);
    tcase_add_test(t, ends_anywhere);
    tcase_add_test(t, services_too);
    tcase_add_test(t, session_comes_home);
    tcase_add_test(t, not_to_the_original);
    tcase_add_test(t, lies);
    tcase_add_test(t, never_given_away);
    suite_add_tcase(s, t);
    return run_suite(s);
}
