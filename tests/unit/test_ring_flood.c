/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sender that makes a receiver look, and has nothing for it: messages that are longer than their
 * slots, or that are taken back once they were seen.  It keeps the endpoint from nobody else, and
 * with the last thing that it does the receiver can sleep.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_pair.h"

#define OTHER RX_REPLY /* another receive endpoint of R, with a channel of its own */

/* S's first channel is in entry 0 of R, that of T in entry 1: S's comes first in R's lists. */
static void open_all(unsigned credits)
{
    open_channel(S, credits);
    open_channel(T, DTU_CREDITS_UNLIM);
    rx_set_ep(x, P, RX_SEND, dtu_send_r0(R, SLOT), dtu_send_r1(R, OTHER, DTU_CREDITS_UNLIM), 0);
    vdtu_ring_open(x->pe[P].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[P].r)->out[RX_SEND], 0);
    ck_assert_uint_eq(rg_desc(&x->pe[R].r, 0)->peer_pe, S);
    ck_assert_uint_eq(rg_desc(&x->pe[R].r, 1)->peer_pe, T);
    ck_assert_ptr_null(fetch(R, RX_RECV)); /* so R has its lists */
}

static uint64_t taken(void)
{
    return own_words(R, 0)[RING_OWN_TAKEN];
}

/* What S does again and again.  Of a word that means more to R than to the message, too. */
static void too_long(void)
{
    slot_of(S, taken() % 4)[RING_META] = taken() % 2 ? ~0ull : 0xFFFF;
    slot_of(S, taken() % 4)[RING_SEQ] = taken() + 1;
}
static void publish(void)
{
    slot_of(S, taken() % 4)[RING_META] = 8;
    slot_of(S, taken() % 4)[RING_SEQ] = taken() + 1;
}
static void take_back(void)
{
    slot_of(S, taken() % 4)[RING_SEQ] = 0;
}

/* Is T's message there after so many rounds?  R asks for both of its endpoints in turn, and each of
 * these looks may find what S has in the meantime. */
static bool comes_within(unsigned rounds, void (*before)(void), void (*seen)(void))
{
    while (rounds--) {
        const struct dtu_header *m;

        before();
        ck_assert_ptr_null(fetch(R, OTHER));
        if (seen)
            seen();
        m = fetch(R, RX_RECV);
        if (m) {
            ck_assert_uint_eq(m->sender_pe, T);
            ring_ack(&x->pe[R].r, m);
            return true;
        }
    }
    return false;
}

/* S's turn is over when nothing came of what was seen there, whatever has been seen since. */
START_TEST(others_among_what_is_too_long)
{
    open_all(DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(send(T, i), SE_OK);
        ck_assert(comes_within(3, too_long, NULL));
    }
    ck_assert_uint_gt(x->pe[R].r.dropped, 0);
}
END_TEST

START_TEST(others_among_what_is_taken_back)
{
    open_all(DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(send(T, i), SE_OK);
        ck_assert(comes_within(3, publish, take_back));
    }
    ck_assert_uint_eq(taken(), 0);
}
END_TEST

/* So often R did not sleep until it did; each time it asks for what it has seen. */
static unsigned awake(unsigned most)
{
    unsigned n = 0;

    while (n <= most && !ring_sleep(&x->pe[R].r)) {
        n++;
        ck_assert_ptr_null(fetch(R, RX_RECV));
        ck_assert_ptr_null(fetch(R, OTHER));
    }
    ring_awake(&x->pe[R].r);
    return n;
}

/* One look for each that S has published, and it cannot have published more than there are slots.
 */
START_TEST(sleeps_behind_what_is_too_long)
{
    open_all(DTU_CREDITS_UNLIM);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 4; i++) {
            slot_of(S, i)[RING_META] = i % 2 ? ~0ull : 0xFFFF;
            slot_of(S, i)[RING_SEQ] = 4 * round + i + 1;
        }
        ck_assert_uint_eq(awake(5), 4);
    }
    ck_assert_uint_eq(x->pe[R].r.dropped, 40);
}
END_TEST

/* A sender with credits has as many looks as credits, for ever: nobody answers these. */
START_TEST(sleeps_behind_credits)
{
    open_all(2 * SLOT);
    for (unsigned i = 0; i < 10; i++) {
        too_long();
        ck_assert_uint_eq(awake(2), i < 2);
    }
    ck_assert_uint_eq(x->pe[R].r.dropped, 2);
}
END_TEST

/* What was seen and taken back keeps nobody awake: neither where R asks for it nor where not. */
START_TEST(sleeps_when_it_is_taken_back)
{
    struct rings *r = &x->pe[R].r;

    open_all(DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 10; i++) {
        publish();
        ck_assert(ring_any(r));
        ck_assert(!ring_sleep(r));
        ck_assert(!ring_sleep_for(r, RX_RECV));
        take_back();
        if (i % 2)
            ck_assert_ptr_null(fetch(R, RX_RECV));
        ck_assert(!ring_any(r));
        ck_assert(ring_sleep(r));
        ck_assert(ring_sleep_for(r, RX_RECV));
        ring_awake(r);
    }
    ck_assert_uint_eq(send(T, 7), SE_OK);
    ck_assert(!ring_sleep(r));
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 7);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        others_among_what_is_too_long,  others_among_what_is_taken_back,
        sleeps_behind_what_is_too_long, sleeps_behind_credits,
        sleeps_when_it_is_taken_back,
    };

    return RING_SUITE("ring_flood", tests);
}
