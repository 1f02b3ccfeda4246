/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of calls that give their place back: clients on kernel 1, and a service on kernel 0
 * that answers when the test says so.
 */
#ifndef PARK_FIXTURE_H
#define PARK_FIXTURE_H

#include "../../guest/kernel/srv.h"
#include "kernel_pair.h"

#define OWN   100u            /* the client's memory */
#define OTHER 2ull, 0x6766ull /* "fg", by0's service */
#define MS    1000000ull

static struct vpe *more;

/* As setup(), but kernel 1 has a third VPE, there is a second service, and all clients have a
 * session, memory, and a gate to where nobody receives. */
static inline void begin(void)
{
    setup();
    more = on(1);
    service(p0, 'g');
    ck_assert_int_eq(CALL(ps, SYSC_CREATEGATE, 0, GATE + 50, LABEL, 9, 256), SE_OK);
    for (unsigned i = 0; i < 2; i++) {
        unsigned pe = i ? p1 : pc;

        open_session(pe, SESS, 1 + i);
        ck_assert_int_eq(CALL(pe, SYSC_REQMEM, OWN, ~0ull, 4096, 3), SE_OK);
        obtain(pe, GOT, GATE + 50, 1);
    }
}

static inline void wait_ms(unsigned n)
{
    for (; n > 0; n -= n < 50 ? n : 50)
        fake_time((n < 50 ? n : 50) * MS);
}

enum { OPENS, OBTAINS, DELEGATES, ACTIVATES, KINDS };

static inline void make_call(unsigned kind, unsigned pe)
{
    int err = FAKE_LATER;

    if (kind == OPENS)
        err = CALL(pe, SYSC_CREATESESS, 0, SESS + 1, NAME);
    else if (kind == OBTAINS)
        err = CALL(pe, SYSC_OBTAIN, 0, SESS, RANGE(GOT + 1, 1));
    else if (kind == DELEGATES)
        err = CALL(pe, SYSC_DELEGATE, 0, SESS, RANGE(OWN, 1));
    else
        err = CALL(pe, SYSC_ACTIVATE, 5, CAP_INVALID, GOT);
    ck_assert_int_eq(err, FAKE_LATER);
}

/* The service does what it was asked; n: of how many calls. */
static inline void answer(unsigned kind, unsigned n)
{
    if (kind == ACTIVATES)
        ck_assert_int_eq(CALL(ps, SYSC_ATTACHRB, 0, 9, RB + 8192, 12, 8, 0), SE_OK);
    for (unsigned i = 0; kind != ACTIVATES && i < n; i++) {
        ck_assert(fake_request(ps)->there);
        if (fake_request(ps)->word[0] == CLOSE)
            ANSWER(ps, SE_OK);
        ck_assert_uint_eq(fake_request(ps)->word[0], kind);
        if (kind == OPENS)
            ANSWER(ps, SE_OK, 70 + i);
        else
            ANSWER(ps, SE_OK, RANGE(kind == OBTAINS ? MEM : GOT + i, 1));
    }
}

static inline void nothing_parked(void)
{
    for (unsigned k = 0; k < 2; k++) {
        struct peer *p;

        fake_use(k);
        p = peer_find(1 - k);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq(p->inflight, 0);
        ck_assert_uint_eq(p->unanswered, 0);
        ck_assert_ptr_null(p->parked);
        ck_assert_uint_eq(p->nparked, 0);
        ck_assert_uint_eq(p->nparks, 0);
        ck_assert_ptr_null(p->late.head);
        ck_assert_ptr_null(kern.peers.late);
        ck_assert_uint_eq(kern.stats.bad_kcalls, 0);
        ck_assert_uint_eq(kern.stats.greedy, 0);
    }
}

static inline void ck_parked(unsigned n)
{
    fake_use(1);
    ck_assert_uint_eq(peer_find(0)->nparked, n);
    ck_assert_uint_eq(peer_find(0)->inflight, 0);
    fake_use(0);
    ck_assert_uint_eq(peer_find(1)->nparks, n);
}

#endif
