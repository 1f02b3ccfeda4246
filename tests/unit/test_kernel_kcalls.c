/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel calls one by one, as they stand in semperos-platform 7.3: well and badly formed, from who
 * may send them and who may not; the store of the hash table; beginning and ending together.
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

#include "kernel_fake.h"

#define PE0 2u /* a PE of kernel 0 */

static void setup(void)
{
    fake_boot_many(3, 3);
    fake_auto = true;
}

static void teardown(void)
{
    fake_check();
    fake_end();
}

static uint64_t bad(unsigned kernel)
{
    fake_use(kernel);
    return kern.stats.bad_kcalls;
}

/* What kernel `to` sent last to kernel `from`. */
static const uint64_t *answer(unsigned from, unsigned to)
{
    return fake_last(to, from)->word;
}

/* Each number with nothing behind it, from a kernel that has no reason to send it. */
START_TEST(short_calls)
{
    for (unsigned op = 0; op < KC_STARTAPPS; op++) { /* that one has nothing behind it */
        uint64_t before = bad(0);

        KCALL(1, 0, op);
        ck_assert_msg(bad(0) == before + 1, "kernel call %u", op);
    }
    KCALL(1, 0, KC_COUNT);
    KCALL(1, 0, 0xFFFFFFFF);
    fake_kcall(1, 0, "", 0);
}
END_TEST

/* Every length and many values: errors only. */
START_TEST(random_calls)
{
    uint64_t x = 88172645463325252ull, words[16];

    fake_use(0);
    fake_vpe();
    for (unsigned i = 0; i < 20000; i++) {
        unsigned n = 1 + i % 15;

        for (unsigned k = 0; k < 16; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            words[k] = x >> (x & 63);
        }
        words[0] = x % KC_COUNT;
        if (words[0] == KC_EXIT)
            continue;
        fake_kcall(1 + i % 2, 0, words, n * 8 - i % 3);
    }
    fake_check();
}
END_TEST

/* A message that claims to be of somebody else, or comes from a PE that is no kernel. */
START_TEST(false_senders)
{
    const uint64_t get[4] = {KC_MHTGET, KC_REQUEST_STAGE, 1, ddl_key(PE0, PE0, DDL_NONE, 1)};
    struct dtu_header h = {.sender_pe = (uint16_t)fake_kernel_pe(1),
                           .sender_vpe = 1,
                           .length = sizeof(get),
                           .label = 1};
    unsigned sent = fake_last(0, 1)->count;
    uint64_t before = bad(0);

    h.label = 2;
    fake_kcall_header(0, KC_SETUP_EP, h, get);
    h.label = 1;
    h.sender_pe = PE0;
    fake_kcall_header(0, KC_SETUP_EP, h, get);
    h.sender_pe = (uint16_t)fake_kernel_pe(1);
    h.sender_vpe = 2;
    fake_kcall_header(0, KC_SETUP_EP, h, get);
    ck_assert_uint_eq(bad(0), before + 3);
    ck_assert_uint_eq(fake_last(0, 1)->count, sent);
    h.sender_vpe = 1;
    fake_kcall_header(0, KC_SETUP_EP, h, get);
    ck_assert_uint_eq(fake_last(0, 1)->count, sent + 1);
}
END_TEST

START_TEST(connect_lies)
{
    uint64_t before = bad(0);

    /* Another id than its own; kernel 0's own id; an endpoint that kernels do not have. */
    KCALL(1, 0, KC_CONNECT, 0, 2, fake_kernel_pe(1), 6, 0, 0);
    KCALL(1, 0, KC_CONNECT, 0, 0, fake_kernel_pe(1), 6, 0, 0);
    KCALL(1, 0, KC_CONNECT, 0, 1, fake_kernel_pe(1), 3, 0, 0);
    KCALL(1, 0, KC_CONNECT, 0, 1, fake_kernel_pe(1), 6, 0, 1000);
    KCALL(1, 0, KC_CONNECT, 2, 1, fake_kernel_pe(1), 6, 0, 0);
    KCALL(1, 0, KC_CONNECT, 1, 1, fake_kernel_pe(2), 6);
    ck_assert_uint_eq(bad(0), before + 6);
    /* That it has PEs of ours. */
    KCALL(1, 0, KC_CONNECT, 0, 1, fake_kernel_pe(1), 6, 0, 1, pe_desc(PE0, 1 << 20, 0), 77);
    fake_use(0);
    ck_assert(peer_is_ours(PE0));
}
END_TEST

/* ---- the hash table ---- */

static uint64_t key(unsigned n)
{
    return ddl_key(PE0, PE0, DDL_NONE, n);
}

START_TEST(mht_items)
{
    KCALL(1, 0, KC_MHTPUT, key(1), 8, 3, 0x616263);
    ck_assert_uint_eq(answer(1, 0)[0], KC_REPLY);
    KCALL(2, 0, KC_MHTGET, 0, 5, key(1));
    ck_assert_uint_eq(answer(2, 0)[0], KC_MHTGET);
    ck_assert_uint_eq(answer(2, 0)[1], KC_REPLY_STAGE);
    ck_assert_uint_eq(answer(2, 0)[2], 5);
    ck_assert_uint_eq(answer(2, 0)[3], key(1));
    ck_assert_uint_eq(answer(2, 0)[4], 8);
    ck_assert_uint_eq(answer(2, 0)[5], 3);
    ck_assert_uint_eq(answer(2, 0)[6], 0x616263);
    /* What is not there can be said (lineage 1.7). */
    KCALL(2, 0, KC_MHTGETTRY, 0, 6, key(2));
    ck_assert_uint_eq(answer(2, 0)[0], KC_MHTGETTRY);
    ck_assert_uint_eq(answer(2, 0)[3], 0);
    /* Not ours; too long; of a type that we could not carry. */
    uint64_t before = bad(0);
    KCALL(1, 0, KC_MHTPUT, ddl_key(900, 0, 0, 1), 8, 3, 0);
    KCALL(1, 0, KC_MHTPUT, key(3), 8, 100000, 0);
    KCALL(1, 0, KC_MHTGET, 0, 7, ddl_key(900, 0, 0, 1));
    ck_assert_uint_eq(bad(0), before + 3);
    KCALL(1, 0, KC_MHTREMOVE, key(1), 0);
    KCALL(2, 0, KC_MHTGET, 0, 8, key(1));
    ck_assert_uint_eq(answer(2, 0)[3], 0);
}
END_TEST

START_TEST(mht_locks)
{
    uint32_t handle;
    unsigned sent;

    KCALL(1, 0, KC_MHTPUT, key(1), 8, 3, 0x616263);
    KCALL(1, 0, KC_MHTLOCK, 0, 1, key(1));
    ck_assert_uint_eq(answer(1, 0)[0], KC_MHTLOCK);
    handle = (uint32_t)answer(1, 0)[3];
    ck_assert_uint_ne(handle, 0);
    /* The other one waits, or is told at once. */
    sent = fake_last(0, 2)->count;
    KCALL(2, 0, KC_MHTGETLOCKING, 0, 2, key(1));
    ck_assert_uint_eq(fake_last(0, 2)->count, sent);
    KCALL(2, 0, KC_MHTGETTRY, 0, 3, key(1));
    ck_assert_uint_eq(answer(2, 0)[3], 0);
    uint64_t before = bad(0);
    KCALL(2, 0, KC_MHTUNLOCK, key(1), handle + 1);
    KCALL(2, 0, KC_MHTPUT, key(1), 8, 1, 'x');
    KCALL(2, 0, KC_MHTPUTUNLOCKING, handle + 1, key(1), 8, 1, 'x');
    KCALL(2, 0, KC_MHTREMOVE, key(1), handle + 1);
    ck_assert_uint_eq(bad(0), before + 4);
    /* Handles can be guessed: from another kernel the right one is as bad. */
    KCALL(2, 0, KC_MHTUNLOCK, key(1), handle);
    KCALL(2, 0, KC_MHTPUTUNLOCKING, handle, key(1), 8, 1, 'x');
    KCALL(2, 0, KC_MHTREMOVE, key(1), handle);
    ck_assert_uint_eq(bad(0), before + 7);
    sent = fake_last(0, 2)->count;
    KCALL(1, 0, KC_MHTPUTUNLOCKING, handle, key(1), 8, 1, 'y');
    ck_assert_uint_gt(fake_last(0, 2)->count, sent);
    ck_assert_uint_eq(answer(2, 0)[0], KC_MHTGETLOCKING);
    ck_assert_uint_eq(answer(2, 0)[6], 'y');
    handle = (uint32_t)answer(2, 0)[7];
    ck_assert_uint_ne(handle, 0);
    KCALL(2, 0, KC_MHTUNLOCK, key(1), handle);
    /* A kernel that owns it answers; another one says who does. */
    KCALL(2, 1, KC_MHTLOCK, 0, 9, key(1));
    ck_assert_uint_eq(answer(2, 1)[1], KC_FORWARD_STAGE);
    ck_assert_uint_eq(answer(2, 1)[3], 0);
}
END_TEST

START_TEST(mht_reservations)
{
    uint32_t n;

    KCALL(1, 0, KC_MHTRESERVE, 0, 1, key(4));
    n = (uint32_t)answer(1, 0)[3];
    ck_assert_uint_ne(n, 0);
    KCALL(2, 0, KC_MHTRESERVE, 0, 2, key(4));
    ck_assert_uint_eq(answer(2, 0)[3], 0);
    KCALL(2, 0, KC_MHTRELEASE, key(4), n + 1);
    KCALL(2, 0, KC_MHTRELEASE, key(4), n); /* guessed */
    KCALL(2, 0, KC_MHTRESERVE, 0, 2, key(4));
    ck_assert_uint_eq(answer(2, 0)[3], 0);
    KCALL(1, 0, KC_MHTRELEASE, key(4), n);
    KCALL(2, 0, KC_MHTRESERVE, 0, 2, key(4));
    ck_assert_uint_ne(answer(2, 0)[3], 0);
    /* Who is gone has reserved nothing. */
    fake_use(0);
    peer_lost(peer_find(2), "test");
    ck_assert_uint_eq(kern.mht.count, 0);
}
END_TEST

/* A PE, and what is stored for it, moves from kernel 0 to kernel 1; all three know. */
START_TEST(migration)
{
    unsigned pe;

    KCALL(1, 0, KC_MHTPUT, key(1), 8, 3, 0x616263);
    fake_use(0);
    ck_assert_int_eq(mht_migrate(PE0, peer_find(1)), SE_OK);
    fake_deliver();
    ck_assert_int_eq(mht_migrate(PE0, peer_find(1)), SE_INV_ARGS);
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        ck_assert_uint_eq(peer_owner(PE0), 1);
    }
    KCALL(2, 1, KC_MHTGET, 0, 5, key(1));
    ck_assert_uint_eq(answer(2, 1)[6], 0x616263);
    fake_use(1);
    ck_assert_int_eq(kern.pes[PE0].state, PE_FREE);
    /* Nobody gives away what he has not. */
    pe = fake_kernel_pe(1) + 1;
    uint64_t before = bad(0);
    KCALL(2, 0, KC_MEMBERUPDATE, 2, fake_kernel_pe(2), 0, 1, pe_desc(pe, 1 << 20, 0));
    KCALL(2, 0, KC_PARTITIONMIG, pe, 0);
    ck_assert_uint_eq(bad(0), before + 2);
    /* Nor revokes the children of what others have. */
    KCALL(2, 0, KC_REVOKE, key(5), ddl_key(pe, pe, DDL_MEMCAP, 7), 0);
    ck_assert_uint_eq(bad(0), before + 3);
    ck_assert_uint_eq(answer(2, 0)[0], KC_REVOKEFINISH); /* of nothing */
    ck_assert_uint_eq(answer(2, 0)[1], ddl_key(pe, pe, DDL_MEMCAP, 7));
    fake_use(0);
    ck_assert_uint_eq(peer_owner(pe), 1);
    /* Of a kernel that is not known: answered all the same (the original is silent). */
    KCALL(1, 0, KC_MEMBERUPDATE, 9, 99, 0, 1, pe_desc(pe, 1 << 20, 0));
    ck_assert_uint_eq(answer(1, 0)[0], KC_REPLY);
}
END_TEST

/* ---- together ---- */

static void group(void)
{
    for (unsigned k = 0; k < 3; k++) {
        fake_use(k);
        kern.peers.started = false;
        if (k > 0) {
            kern.peers.secondary = true;
            kern.peers.creator = 0;
        }
    }
}

static bool may_start(unsigned k, bool missing)
{
    bool r;

    fake_use(k);
    r = group_may_start(missing);
    fake_deliver();
    return r;
}

static bool may_end(unsigned k)
{
    bool r;

    fake_use(k);
    r = group_may_end();
    fake_deliver();
    return r;
}

START_TEST(barrier)
{
    group();
    ck_assert(!may_start(0, false));
    ck_assert(!may_start(1, true));
    ck_assert(!may_start(0, false));
    ck_assert(!may_start(1, false));
    ck_assert(!may_start(0, false));
    ck_assert(!may_start(2, false));
    ck_assert(!may_start(0, true));
    ck_assert(may_start(0, false));
    ck_assert(may_start(1, false));
    ck_assert(may_start(2, false));
    /* A sign from who has none to give. */
    uint64_t before = bad(1);
    KCALL(2, 1, KC_STARTAPPS);
    ck_assert_uint_eq(bad(1), before + 1);
}
END_TEST

START_TEST(shutdown_together)
{
    group();
    ck_assert(!may_end(1)); /* asks */
    ck_assert(!may_end(0)); /* kernel 2 is not done */
    ck_assert(!may_end(2));
    ck_assert(!may_end(0));
    ck_assert(may_end(1));
    ck_assert(may_end(2));
    group_ended();
    fake_deliver();
    ck_assert(!may_end(0));
    fake_use(1);
    group_ended();
    fake_deliver();
    ck_assert(may_end(0));
    fake_use(0);
    ck_assert_ptr_null(peer_find(1));
}
END_TEST

START_TEST(alive_and_announced)
{
    group();
    fake_use(0);
    kern.boot.peer = peer_find(1);
    kern.boot.state = BOOT_CONNECTED;
    KCALL(2, 0, KC_SIGVITAL, 0, 0);
    ck_assert_int_eq(kern.boot.state, BOOT_CONNECTED);
    KCALL(1, 0, KC_SIGVITAL, 0, 0);
    fake_use(0);
    ck_assert_int_eq(kern.boot.state, BOOT_IDLE);
    KCALL(2, 1, KC_ANNOUNCEKRNLS, 0);
    fake_use(1);
    ck_assert(!kern.peers.announced);
    fake_use(0);
    kern.boot.state = BOOT_CONNECTED;
    kern.boot.peer = peer_find(1);
    KCALL(0, 1, KC_ANNOUNCEKRNLS, 1, 2, fake_kernel_pe(2));
    fake_use(1);
    ck_assert(kern.peers.announced);
    fake_use(0);
    ck_assert_int_eq(kern.boot.state, BOOT_IDLE);
}
END_TEST

/* A program that has no PE here starts there; a program that is nowhere does not. */
START_TEST(start_elsewhere)
{
    uint8_t prog[256], idle[256];

    fake_use(1);
    fake_module("idle", idle, fake_elf(idle, PE_IDLE_ADDR, 5, 16));
    fake_module("prog", prog, fake_elf(prog, PE_PROGRAM_ADDR, 5, 64));
    fake_use(0);
    ck_assert(group_start_elsewhere("prog"));
    fake_deliver();
    fake_use(1);
    ck_assert_uint_eq(kern.nvpes, 1);
    start_pending();
    ck_assert_int_eq(kern.vpes->state, VPE_RUNNING);
    fake_use(0);
    ck_assert_uint_eq(kern.stats.failed, 0);
    ck_assert(group_start_elsewhere("nothing"));
    fake_deliver();
    ck_assert_uint_eq(kern.stats.failed, 1);
}
END_TEST

START_TEST(goodbye)
{
    fake_end();
    fake_boot_apart(2, 3, true);
    fake_auto = true;
    fake_time(1000000000);
    fake_use(0);
    ck_assert_ptr_nonnull(peer_find(1));
    fake_use(1);
    group_ended();
    fake_deliver();
    fake_use(0);
    ck_assert_ptr_null(peer_find(1));
    ck_assert(kern.peers.left);
}
END_TEST

/* CREATESESSFAIL takes the child away again (the original sends it without its number). */
START_TEST(session_failed)
{
    struct vpe *v;
    struct cap *c;

    fake_use(0);
    v = fake_vpe();
    c = cap_create(v, 50, CAP_SRV, NULL);
    ck_assert_ptr_nonnull(c);
    c->type = CAP_MEM;
    c->mem.area = NULL;
    cap_add_rkid(c, ddl_key(fake_kernel_pe(1) + 1, fake_kernel_pe(1) + 1, DDL_SESSCAP, 7));
    KCALL(2, 0, KC_CREATESESSFAIL,
          ddl_key(fake_kernel_pe(1) + 1, fake_kernel_pe(1) + 1, DDL_SESSCAP, 7), cap_key(c));
    ck_assert_ptr_nonnull(c->rkids);
    KCALL(1, 0, KC_CREATESESSFAIL,
          ddl_key(fake_kernel_pe(1) + 1, fake_kernel_pe(1) + 1, DDL_SESSCAP, 7), cap_key(c));
    ck_assert_ptr_null(c->rkids);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("kernel calls");
    TCase *t = tcase_create("calls");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, short_calls);
    tcase_add_test(t, random_calls);
    tcase_add_test(t, false_senders);
    tcase_add_test(t, connect_lies);
    tcase_add_test(t, mht_items);
    tcase_add_test(t, mht_locks);
    tcase_add_test(t, mht_reservations);
    tcase_add_test(t, migration);
    tcase_add_test(t, barrier);
    tcase_add_test(t, shutdown_together);
    tcase_add_test(t, alive_and_announced);
    tcase_add_test(t, start_elsewhere);
    tcase_add_test(t, goodbye);
    tcase_add_test(t, session_failed);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
