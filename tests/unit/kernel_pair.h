/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three kernels with a service on kernel 0, a client of it on kernel 1 and bystanders on all, for
 * tests of what kernels say to each other.
 */
#ifndef KERNEL_PAIR_H
#define KERNEL_PAIR_H

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_fake.h"

#define RB     (FAKE_PE_MEM - PE_RECVBUF_SIZE)
#define LABEL  0x77u
#define NAME   2ull, 0x7366ull /* "fs" */
#define GATE   20u
#define SRV    25u
#define MEM    21u
#define SESS   30u
#define GOT    40u
#define SECOND 1000000000ull

enum { OPEN, OBTAIN, DELEGATE, CLOSE, SHUTDOWN };

static struct vpe *srv, *cli, *by0, *by1, *by2;
static unsigned ps, pc, p0, p1, p2; /* their PEs */

static inline struct vpe *on(unsigned kernel)
{
    fake_use(kernel);
    return fake_vpe();
}

static inline void service(unsigned pe, uint64_t letter)
{
    ck_assert_int_eq(CALL(pe, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0), SE_OK);
    ck_assert_int_eq(CALL(pe, SYSC_CREATEGATE, 0, GATE, LABEL, 2, 256), SE_OK);
    ck_assert_int_eq(CALL(pe, SYSC_REQMEM, MEM, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(pe, SYSC_CREATESRV, GATE, SRV, 2, letter << 8 | 'f'), SE_OK);
}

static inline void place(void)
{
    srv = on(0);
    by0 = on(0);
    cli = on(1);
    by1 = on(1);
    by2 = on(2);
    ps = srv->pe;
    p0 = by0->pe;
    pc = cli->pe;
    p1 = by1->pe;
    p2 = by2->pe;
    service(ps, 's');
}

static inline void setup(void)
{
    fake_boot_many(3, 3);
    place();
}

static inline void teardown(void)
{
    fake_auto = true;
    fake_deliver();
    fake_check();
    fake_end();
}

static inline struct cap *cap(const struct vpe *v, unsigned sel)
{
    return cap_at(&v->caps, sel);
}

static inline int last(unsigned pe)
{
    return (int)fake_reply(pe)->word[0];
}

static inline void open_session(unsigned pe, unsigned sel, uint64_t ident)
{
    ck_assert_int_eq(CALL(pe, SYSC_CREATESESS, 0, sel, NAME), FAKE_LATER);
    ck_assert(fake_request(ps)->there);
    ck_assert_uint_eq(fake_request(ps)->word[0], OPEN);
    ANSWER(ps, SE_OK, ident);
    ck_assert_int_eq(last(pe), SE_OK);
}

/* n of the service's capabilities from theirs on to ours, or the other way round. */
static inline void exchange(unsigned op, unsigned pe, unsigned ours, unsigned theirs, unsigned n)
{
    ck_assert_int_eq(CALL(pe, op, 0, SESS, RANGE(ours, n)), FAKE_LATER);
    ck_assert_uint_eq(fake_request(ps)->word[0], op == SYSC_OBTAIN ? OBTAIN : DELEGATE);
    ANSWER(ps, SE_OK, RANGE(theirs, n));
    ck_assert_int_eq(last(pe), SE_OK);
}

static inline void obtain(unsigned pe, unsigned ours, unsigned theirs, unsigned n)
{
    exchange(SYSC_OBTAIN, pe, ours, theirs, n);
}

static inline void delegate(unsigned pe, unsigned ours, unsigned theirs, unsigned n)
{
    exchange(SYSC_DELEGATE, pe, ours, theirs, n);
}

static inline int revoke(unsigned pe, unsigned sel, unsigned n)
{
    int err = CALL(pe, SYSC_REVOKE, RANGE(sel, n), 1);

    return err == FAKE_LATER && fake_auto ? last(pe) : err;
}

/* Messages from one kernel to another so far. */
static inline unsigned sent(unsigned from, unsigned to)
{
    return fake_last(from, to)->count;
}

static inline uint64_t bad(unsigned kernel)
{
    fake_use(kernel);
    return kern.stats.bad_kcalls;
}

static inline int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
