/* SPDX-License-Identifier: BSD-2-Clause */
/* A client that has some of everything, and how it gets around, for tests of VPEs that move. */
#ifndef MIGRATE_FIXTURE_H
#define MIGRATE_FIXTURE_H

#include "kernel_pair.h"

#include "../../guest/kernel/srv.h"

#define MS     1000000ull
#define ROOT   60u /* memory of the client's own */
#define KIDS   64u /* for what is derived of it */
#define POINTS 40u /* messages after which something happens */

/* Kernel 0: the service; 1: the client, to begin with; 2: a bystander. */

static inline struct vpe *where(unsigned pe, unsigned *kernel)
{
    for (unsigned k = 0; k < fake_kernels(); k++) {
        fake_use(k);
        if (kern.pes[pe].vpe) {
            if (kernel)
                *kernel = k;
            return kern.pes[pe].vpe;
        }
    }
    return NULL;
}

static inline struct cap *at(unsigned pe, unsigned sel)
{
    struct vpe *v = where(pe, NULL);

    return v ? cap_get(&v->caps, sel) : NULL;
}

static inline int begin_move(unsigned pe, unsigned to)
{
    unsigned from = 0;

    ck_assert_ptr_nonnull(where(pe, &from));
    fake_use(from);
    return move_begin(pe, peer_find(to));
}

static inline bool moving(void)
{
    bool some = false;

    for (unsigned k = 0; k < fake_kernels(); k++) {
        fake_use(k);
        some |= kern.moves.phase != MOVE_IDLE || kern.moves.hold || kern.moves.from;
    }
    return some;
}

/* All arrives, and a little time passes, until nobody is on the way. */
static inline void rest(void)
{
    fake_deliver();
    for (unsigned i = 0; i < 400 && moving(); i++) {
        fake_time(5 * MS);
        fake_deliver();
    }
    ck_assert(!moving());
}

static inline void must_be_at(unsigned pe, unsigned kernel)
{
    unsigned k = 99;

    ck_assert_ptr_nonnull(where(pe, &k));
    ck_assert_uint_eq(k, kernel);
    for (k = 0; k < fake_kernels(); k++) {
        fake_use(k);
        ck_assert_uint_eq(peer_owner(pe), kernel);
        ck_assert_uint_eq(kern.pes[pe].vpe != NULL, k == kernel);
    }
}

static inline void move_to(unsigned pe, unsigned to)
{
    ck_assert_int_eq(begin_move(pe, to), SE_OK);
    rest();
    must_be_at(pe, to);
    fake_check();
}

/*
 * The client has a session, a gate of the service's on endpoint 4, memory of the service's (GOT +
 * 1) from which a bystander of its kernel has some, and memory of its own, of which the service, a
 * bystander of its kernel and it itself have some.
 */
static inline void furnish(void)
{
    open_session(pc, SESS, 9);
    obtain(pc, GOT, GATE, 2);
    CALL(pc, SYSC_ACTIVATE, 4, CAP_INVALID, GOT);
    ck_assert_int_eq(last(pc), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_REQMEM, ROOT, ~0ull, 4096, 3), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_DERIVEMEM, ROOT, KIDS, 0, 64, 1), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_DERIVEMEM, KIDS, KIDS + 1, 0, 8, 1), SE_OK);
    ck_assert_int_eq(CALL(pc, SYSC_ACTIVATE, 5, CAP_INVALID, KIDS + 1), SE_OK);
    delegate(pc, KIDS, GOT, 1);
    fake_use(1);
    ck_assert_ptr_nonnull(cap_derive(cap(cli, ROOT), by1, ROOT));
    ck_assert_ptr_nonnull(cap_derive(cap(cli, GOT + 1), by1, GOT));
    /* and what a bystander has given it */
    ck_assert_int_eq(CALL(p1, SYSC_REQMEM, MEM, ~0ull, 4096, 3), SE_OK);
    fake_use(1);
    ck_assert_ptr_nonnull(cap_derive(cap(by1, MEM), cli, MEM));
    ck_assert_ptr_nonnull(cap_derive(cap(cli, MEM), by1, MEM + 1));
}

#endif
