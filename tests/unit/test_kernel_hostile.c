/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that wants too much, or gives what nobody can use: what it may have us keep is bounded
 * and counted, others are served as before, and what is half wrong is refused as a whole.
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

static uint64_t greedy(void)
{
    fake_use(0);
    return kern.stats.greedy;
}

START_TEST(many_services)
{
    uint64_t key = ddl_key(pc, pc, DDL_SERVICE, 1);
    unsigned n = 0;

    for (unsigned i = 0; i < 150; i++)
        KCALL(1, 0, KC_ANNOUNCESRV, key + i, 4, 0x41414141ull + i);
    ck_assert_uint_eq(greedy(), 150 - KC_SERVICES_MAX);
    for (const struct rservice *s = kern.peers.services; s; s = s->next)
        n++;
    ck_assert_uint_eq(n, KC_SERVICES_MAX);
    /* The latest ones are, as the others may have ended. */
    ck_assert(rservice_exists("\326AAA"));
    ck_assert(!rservice_exists("AAAA"));
    /* Another kernel's are known all the same. */
    KCALL(2, 0, KC_ANNOUNCESRV, ddl_key(p2, p2, DDL_SERVICE, 1), 1, 'z');
    fake_use(0);
    ck_assert(rservice_exists("z"));
    /* Nobody announces for others: their clients would be sent there. */
    KCALL(1, 0, KC_ANNOUNCESRV, ddl_key(p2, p2, DDL_SERVICE, 2), 1, 'y');
    KCALL(1, 0, KC_ANNOUNCESRV, ddl_key(p0, p0, DDL_SERVICE, 2), 1, 'y');
    fake_use(0);
    ck_assert(!rservice_exists("y"));
}
END_TEST

START_TEST(many_items)
{
    for (unsigned i = 0; i < KC_ITEMS_MAX + 50; i++)
        KCALL(1, 0, i % 2 ? KC_MHTPUT : KC_MHTRESERVE, i % 2 ? ddl_key(p0, p0, 0, i) : 0,
              i % 2 ? 8 : 1, i % 2 ? 0 : ddl_key(p0, p0, 0, i));
    ck_assert_uint_eq(greedy(), 50);
    ck_assert_uint_eq(kern.mht.count, KC_ITEMS_MAX);
    KCALL(2, 0, KC_MHTPUT, ddl_key(p0, p0, 0, 5000), 8, 0);
    ck_assert_uint_eq(greedy(), 50);
    ck_assert_uint_eq(kern.mht.count, KC_ITEMS_MAX + 1);
}
END_TEST

/* What has come with a PE does not count as what its old owner has us keep. */
START_TEST(items_of_a_pe_that_has_moved)
{
    struct vpe *v = by1;
    unsigned pe = v->pe, n = KC_ITEMS_MAX - 10;

    for (unsigned i = 1; i <= n; i++)
        KCALL(2, 1, KC_MHTPUT, ddl_key(pe, pe, 0, i), 8, 0);
    fake_use(1);
    ck_assert_uint_eq(kern.mht.count, n);
    vpe_exit(v, 0);
    fake_deliver();
    fake_settle();
    fake_use(1);
    ck_assert_int_eq(mht_migrate(pe, peer_find(0)), SE_OK);
    fake_deliver();
    fake_use(0);
    ck_assert_uint_eq(kern.mht.count, n);
    for (unsigned i = 1; i <= 100; i++)
        KCALL(1, 0, KC_MHTPUT, ddl_key(p0, p0, 0, i), 8, 0);
    fake_use(0);
    ck_assert_uint_eq(kern.mht.count, n + 100);
    ck_assert_uint_eq(kern.stats.greedy, 0);
}
END_TEST

/* Exchanges that the service has no time for. */
START_TEST(many_exchanges)
{
    uint64_t vpe = ddl_key(pc, pc, DDL_VPECAP, 1 << 16), service_key;
    size_t before;
    unsigned n = 0;

    open_session(pc, SESS, 1);
    service_key = cap(cli, SESS)->sess->key;
    before = fake_heap_used();
    for (unsigned i = 0; i < KC_EXCHANGES_MAX + 100; i++)
        KCALL(1, 0, KC_EXCHANGEOSESS, 1000 + i, 1, vpe, service_key, 1, CRD_OBJ, GOT, 1, 7, 7, 7);
    ck_assert_uint_eq(greedy(), 100);
    for (const struct rexchange *x = kern.peers.exchanges; x; x = x->next)
        n++;
    ck_assert_uint_eq(n, KC_EXCHANGES_MAX);
    ck_assert_uint_eq(fake_last(0, 1)->word[0], KC_EXCHANGEOSESSREPLY);
    ck_assert_uint_eq(fake_last(0, 1)->word[2], SE_OUT_OF_MEM);
    ck_assert_uint_lt(fake_heap_used() - before, 1u << 20);
    /* Another kernel is served, in its turn. */
    ck_assert_int_eq(CALL(p2, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    for (unsigned i = 0; i < KC_EXCHANGES_MAX; i++)
        ANSWER(ps, SE_NO_PERM);
    ck_assert_uint_eq(fake_request(ps)->word[0], OPEN);
    ANSWER(ps, SE_OK, 9);
    ck_assert_int_eq(last(p2), SE_OK);
    fake_use(0);
    ck_assert_uint_eq(peer_find(1)->nexchanges, 0);
}
END_TEST

START_TEST(many_children)
{
    struct cap *m = cap(srv, MEM);
    struct peer *p;

    fake_use(0);
    p = peer_find(1);
    for (unsigned i = 0; i < KC_CHILDREN_MAX; i++)
        ck_assert_ptr_nonnull(cap_add_rkid(m, ddl_key(pc, pc, DDL_MEMCAP, i)));
    ck_assert_ptr_null(cap_add_rkid(m, ddl_key(pc, pc, DDL_MEMCAP, 1)));
    ck_assert_uint_eq(greedy(), 1);
    /* An exchange says so. */
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ANSWER(ps, SE_OK, 1);
    ck_assert_int_eq(last(pc), SE_INV_ARGS);
    ANSWER(ps, SE_OK); /* CLOSE */
    /* Others may. */
    open_session(p2, SESS, 2);
    obtain(p2, GOT, MEM, 1);
    fake_use(0);
    cap_free_rkid(m, m->rkids->next);
    ck_assert_uint_eq(p->nchildren, KC_CHILDREN_MAX - 1);
    peer_lost(p, "test");
    ck_assert_uint_eq(p->nchildren, 0);
}
END_TEST

/* It asks and asks and takes no answer. */
START_TEST(takes_no_answers)
{
    size_t before;

    fake_auto = false;
    fake_use(0);
    before = fake_heap_used();
    for (unsigned i = 0; i < 500; i++)
        KCALL(1, 0, KC_MHTGET, 0, i, ddl_key(p0, p0, 0, 1));
    fake_use(0);
    ck_assert_uint_le(peer_find(1)->replies.count, KC_REPLIES_MAX);
    ck_assert_uint_gt(kern.stats.kdropped, 300);
    ck_assert_uint_lt(fake_heap_used() - before, KC_REPLIES_MAX * 256);
    /* The same with revocations of what is not there. */
    before = kern.stats.kdropped;
    for (unsigned i = 0; i < KC_OWED_MAX + 200; i++)
        KCALL(1, 0, KC_REVOKE, ddl_key(p0, p0, 0, 9), ddl_key(pc, pc, DDL_MEMCAP, 1 << 16 | i), 0);
    fake_use(0);
    ck_assert_uint_le(peer_find(1)->nowed, KC_OWED_MAX);
    ck_assert_uint_ge(kern.stats.kdropped, before + 100);
}
END_TEST

/* Only its owner says what a PE is. */
START_TEST(others_descriptors)
{
    uint64_t was, lie = pe_desc(p1, 1 << 20, PE_TYPE_MEM);
    uint64_t before = bad(0);

    was = kern.peers.descs[p1];
    KCALL(2, 0, KC_MEMBERUPDATE, 1, fake_kernel_pe(1), 1, 1, lie);
    ck_assert_uint_eq(bad(0), before);
    ck_assert_uint_eq(kern.peers.descs[p1], was);
    ck_assert_uint_eq(kern.peers.flags[p1], 0);
    KCALL(2, 0, KC_MEMBERUPDATE, 2, fake_kernel_pe(2), 1, 1, lie);
    ck_assert_uint_eq(bad(0), before + 1);
    ck_assert_uint_eq(peer_owner(p1), 1);
    /* To a kernel that nobody knows: its own PE, but where would it be? */
    KCALL(1, 0, KC_MEMBERUPDATE, 9, 99, 0, 1, was);
    fake_use(0);
    ck_assert_uint_eq(peer_owner(p1), 1);
    KCALL(1, 0, KC_MEMBERUPDATE, 1, fake_kernel_pe(1), 1, 1, was | 1 << 12);
    fake_use(0);
    ck_assert_uint_eq(kern.peers.flags[p1], MEMBER_MIGRATING);
    /* Nor does a third one take the PE of the kernel that has started us. */
    fake_use(1);
    kern.peers.secondary = true;
    kern.peers.creator = 0;
    KCALL(2, 1, KC_CONNECT, 0, 2, fake_kernel_pe(2), 6, 0, 2,
          pe_desc(fake_kernel_pe(0), 1 << 20, 0), pe_desc(p0, 1 << 20, 0), 5);
    fake_use(1);
    ck_assert_uint_eq(peer_owner(fake_kernel_pe(0)), 0);
    ck_assert_uint_eq(peer_owner(p0), 2);
}
END_TEST

/* ---- all or nothing ---- */

#define MEMCAP(i, size)                                                                           \
    ddl_key(ps, ps, DDL_MEMCAP, (uint64_t)(7 + (i)) << 16 | (100 + (i))), 0, 0x1000 | 3, 0, 0, 0, \
        size
#define NOTHING_LEFT(v)                           \
    do {                                          \
        for (unsigned i_ = 0; i_ < 3; i_++)       \
            ck_assert_ptr_null(cap(v, GOT + i_)); \
    } while (0)

/* The second of three makes no sense, or there is no memory for it: the first goes again. */
START_TEST(half_an_obtain)
{
    open_session(pc, SESS, 1);
    for (unsigned how = 0; how < 4; how++) {
        uint64_t bad_size = how == 0 ? 0 : 4096, removed = 0;
        unsigned type = how == 1 ? DDL_MAPCAP : DDL_MEMCAP;

        fake_auto = false;
        ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(GOT, 3)), FAKE_LATER);
        fake_use(1);
        if (how == 2)
            KCALL(0, 1, KC_EXCHANGEOSESSREPLY, cli->wait.tid, 0, 0, CRD_OBJ, 100, 3,
                  MEMCAP(0, 4096), MEMCAP(1, 4096), 5);
        else if (how == 3)
            KCALL(0, 1, KC_EXCHANGEOSESSREPLY, cli->wait.tid, 0, 0, CRD_OBJ, 100, 2,
                  MEMCAP(0, 4096), ddl_key(p2, p2, DDL_MEMCAP, 1 << 16 | 1), 0, 3, 0, 0, 0, 4096);
        else
            KCALL(0, 1, KC_EXCHANGEOSESSREPLY, cli->wait.tid, 0, 0, CRD_OBJ, 100, 3,
                  MEMCAP(0, 4096), ddl_key(ps, ps, type, 8 << 16 | 101), 0, 0x1003, 0, 0, 0,
                  bad_size, MEMCAP(2, 4096));
        ck_assert_int_eq(last(pc), SE_INV_ARGS);
        NOTHING_LEFT(cli);
        /* What the other kernel has noted, it is told to forget. */
        do {
            if (fake_last(1, 0)->word[0] == KC_REMOVECHILDCAPPTR)
                removed |= 1u << ((unsigned)fake_last(1, 0)->word[1] & 3);
        } while (fake_deliver_one());
        ck_assert_uint_ne(removed, 0);
        fake_auto = true;
        ANSWER(ps, SE_NO_PERM); /* to what the real kernel 0 has asked; it comes late */
        fake_check();
    }
}
END_TEST

START_TEST(half_a_delegation)
{
    for (unsigned how = 0; how < 3; how++) {
        uint32_t tid;

        if (how == 0)
            open_session(pc, SESS, 1);
        for (unsigned i = 0; i < 3; i++)
            CALL(pc, SYSC_REQMEM, 100 + i, ~0ull, 4096, 1);
        ck_assert_int_eq(CALL(pc, SYSC_DELEGATE, 0, SESS, RANGE(100, 3)), FAKE_LATER);
        fake_auto = false;
        ANSWER(ps, SE_OK, RANGE(GOT, 3));
        tid = (uint32_t)fake_last(0, 1)->word[3];
        fake_use(0);
        ck_assert_ptr_nonnull(cap(srv, GOT + 2));
        if (how == 0)
            KCALL(1, 0, KC_EXCHANGEOSESSACK, tid, 0, 3, 1,
                  ddl_key(pc, pc, DDL_MEMCAP, 7 << 16 | 100), 0, 3, 0, 0, 0, 4096, 1,
                  ddl_key(pc, pc, DDL_MEMCAP, 8 << 16 | 101), 0, 3, 0, 0, 0, 0, 0);
        else if (how == 1)
            KCALL(1, 0, KC_EXCHANGEOSESSACK, tid, 0, 3, 0, 1,
                  ddl_key(pc, pc, DDL_MEMCAP, 7 << 16 | 101), 0, 3, 0, 0, 0, 4096, 1, 99);
        else
            KCALL(1, 0, KC_EXCHANGEOSESSACK, tid, 0, 2, 0, 0);
        fake_use(0);
        NOTHING_LEFT(srv);
        fake_auto = true;
        fake_deliver();
        fake_check();
        revoke(pc, 100, 3);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernels that want too much");
    TCase *t = tcase_create("hostile");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, many_services);
    tcase_add_test(t, many_items);
    tcase_add_test(t, items_of_a_pe_that_has_moved);
    tcase_add_test(t, many_exchanges);
    tcase_add_test(t, many_children);
    tcase_add_test(t, takes_no_answers);
    tcase_add_test(t, others_descriptors);
    tcase_add_test(t, half_an_obtain);
    tcase_add_test(t, half_a_delegation);
    suite_add_tcase(s, t);
    return run_suite(s);
}
