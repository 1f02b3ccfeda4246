/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernels tell of their capabilities, as `sempervm caps` puts it together: every capability of
 * every table is there, and hangs below what it was derived from, in whichever kernel that is.
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c guest/kernel/dump.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/move.c guest/kernel/move_give.c guest/kernel/move_take.c
 * LINK: guest/kernel/move_hold.c guest/kernel/park.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 * LINK: vmm/caps.c vmm/caps_print.c
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/kernel/dump.h"
#include "../../vmm/caps.h"
#include "kernel_fake.h"

#define RB       (FAKE_PE_MEM - PE_RECVBUF_SIZE)
#define NAME     2ull, 0x7366ull /* "fs" */
#define GATE     20u
#define SRV      25u
#define MEM      21u
#define SESS     30u
#define QUESTION 0x501u

static struct vpe *srv, *cli;
static unsigned ps, pc;

static void setup(void)
{
    fake_boot_many(2, 3);
    fake_use(0);
    srv = fake_vpe();
    ps = srv->pe;
    fake_use(1);
    cli = fake_vpe();
    pc = cli->pe;
    ck_assert_int_eq(CALL(ps, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_CREATEGATE, 0, GATE, 0x77, 2, 256), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_REQMEM, MEM, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(ps, SYSC_CREATESRV, GATE, SRV, NAME), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_CREATESESS, 0, SESS, NAME), FAKE_LATER);
    ANSWER(ps, SE_OK, 99);
}

static void teardown(void)
{
    fake_auto = true;
    fake_deliver();
    fake_check();
    fake_end();
}

static void obtain(unsigned ours, unsigned theirs)
{
    ck_assert_int_eq(CALL(pc, SYSC_OBTAIN, 0, SESS, RANGE(ours, 1)), FAKE_LATER);
    ANSWER(ps, SE_OK, RANGE(theirs, 1));
    ck_assert_int_eq((int)fake_reply(pc)->word[0], SE_OK);
}

/* ---- one kernel after the other ---- */

struct told {
    struct capdump *r;
    size_t n;
};

static void put(void *arg, const struct capdump *r)
{
    struct told *t = arg;

    t->r = realloc(t->r, (t->n + 1) * sizeof(*r));
    ck_assert_ptr_nonnull(t->r);
    t->r[t->n++] = *r;
}

static void add(struct caps *c, unsigned kernel)
{
    struct told t = {0};
    char err[200] = "";

    fake_use(kernel);
    dump_caps(QUESTION, put, &t);
    ck_assert_msg(caps_add(c, fake_kernel_pe(kernel), QUESTION, t.r, t.n * sizeof(*t.r), err,
                           sizeof(err)) == 0,
                  "%s", err);
    free(t.r);
}

static struct caps all(void)
{
    struct caps c = {0};

    for (unsigned k = 0; k < fake_kernels(); k++)
        add(&c, k);
    ck_assert_int_eq(caps_link(&c), 0);
    ck_assert_uint_eq(c.doubles + c.circles, 0);
    return c;
}

static const struct caps_cap *at(const struct caps *c, unsigned pe, unsigned sel)
{
    for (uint32_t i = 0; i < c->ncaps; i++)
        if (c->cap[i].pe == pe && c->cap[i].sel == sel)
            return &c->cap[i];
    ck_abort_msg("PE%u:%u was not told", pe, sel);
    return NULL;
}

static const struct caps_cap *parent(const struct caps *c, const struct caps_cap *p)
{
    ck_assert_uint_ne(p->parent, CAPS_NONE);
    return &c->cap[p->parent];
}

START_TEST(all_of_two_kernels)
{
    const struct caps_cap *p;
    struct caps c;

    obtain(40, MEM);
    ck_assert_int_eq(CALL(pc, SYSC_DERIVEMEM, 40, 41, 1024, 512, 1), SE_OK);
    c = all();
    ck_assert_uint_eq(c.nkernels, 2);
    ck_assert_uint_eq(c.nvpes, 2);
    ck_assert_uint_eq(c.ncaps, srv->caps.count + cli->caps.count);
    ck_assert_uint_eq(c.orphans + c.strangers, 0);
    /* Across the kernels, and on below. */
    p = at(&c, pc, 41);
    ck_assert_ptr_eq(parent(&c, p), at(&c, pc, 40));
    ck_assert_uint_eq(p->size, 512);
    ck_assert_uint_eq(p->perms, 1);
    p = parent(&c, p);
    ck_assert_ptr_eq(parent(&c, p), at(&c, ps, MEM));
    ck_assert_uint_ne(p->kernel, parent(&c, p)->kernel);
    ck_assert_ptr_eq(parent(&c, at(&c, pc, SESS)), at(&c, ps, SRV));
    ck_assert_str_eq(at(&c, ps, SRV)->service, "fs");
    ck_assert_uint_eq(at(&c, ps, GATE)->addr, 0x77);
    caps_free(&c);
}
END_TEST

START_TEST(only_one_of_them)
{
    struct caps c = {0};

    obtain(40, MEM);
    add(&c, 0);
    ck_assert_int_eq(caps_link(&c), 0);
    ck_assert_uint_eq(c.orphans, 0);
    ck_assert_uint_eq(c.strangers, 2); /* the session and the memory */
    caps_free(&c);
    add(&c, 1);
    ck_assert_int_eq(caps_link(&c), 0);
    ck_assert_uint_eq(c.orphans, 2);
    ck_assert_uint_eq(c.strangers, 0);
    caps_free(&c);
}
END_TEST

START_TEST(after_revocation)
{
    struct caps c;

    obtain(40, MEM);
    CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1);
    c = all();
    ck_assert_uint_eq(c.ncaps, srv->caps.count + cli->caps.count);
    for (uint32_t i = 0; i < c.ncaps; i++)
        ck_assert(c.cap[i].sel != MEM && c.cap[i].sel != 40);
    ck_assert_uint_eq(c.orphans + c.strangers, 0);
    caps_free(&c);
}
END_TEST

/* Taken apart in the middle of a revocation: the other kernel has not heard of it yet. */
START_TEST(during_revocation)
{
    struct caps c;

    obtain(40, MEM);
    fake_auto = false;
    ck_assert_int_eq(CALL(ps, SYSC_REVOKE, RANGE(MEM, 1), 1), FAKE_LATER);
    c = all();
    ck_assert_uint_eq(c.kernel[0].revocations, 1);
    ck_assert(at(&c, pc, 40)->orphan);
    ck_assert_uint_eq(c.orphans, 1);
    caps_free(&c);
}
END_TEST

/* Nothing is changed by telling. */
START_TEST(twice_the_same)
{
    struct told a = {0}, b = {0};

    obtain(40, MEM);
    fake_use(0);
    dump_caps(QUESTION, put, &a);
    dump_caps(QUESTION, put, &b);
    ck_assert_uint_eq(a.n, b.n);
    ck_assert_mem_eq(a.r, b.r, a.n * sizeof(*a.r));
    free(a.r);
    free(b.r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernel_dump");
    TCase *t = tcase_create("dump");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, all_of_two_kernels);
    tcase_add_test(t, only_one_of_them);
    tcase_add_test(t, after_revocation);
    tcase_add_test(t, during_revocation);
    tcase_add_test(t, twice_the_same);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
