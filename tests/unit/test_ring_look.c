/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which channels a receiver looks at, and in what order it takes what is there (RINGS.md, "Sleep
 * and wake", "Order"): nobody is overlooked, none waits longer than it should, and what is for one
 * endpoint does not come out of another.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#define MANY       50u
#define RX_PES     (MANY + 4u)
#define RX_ENTRIES 64u
#define RX_BLOCKS  128u
#include "ring_pair.h"

#define FIRST  4u /* sender number i is PE FIRST + i, in this order in R's lists */
#define OTHER  RX_REPLY
#define BEHIND (RX_RECV + 1u) /* an endpoint whose channels come behind in R's lists */

static void open_many(void)
{
    for (unsigned i = 0; i < MANY; i++)
        open_channel(FIRST + i, DTU_CREDITS_UNLIM);
    while (ring_any(&x->pe[R].r))
        ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
}

/* P has a channel to another endpoint of R. */
static void open_other(unsigned ep)
{
    if (ep == BEHIND)
        rx_set_ep(x, R, BEHIND, dtu_recv_r0(10, 8), 0x18000, 0);
    rx_set_ep(x, P, RX_SEND, dtu_send_r0(R, SLOT), dtu_send_r1(R, ep, DTU_CREDITS_UNLIM), 0);
    vdtu_ring_open(x->pe[P].d, RX_SEND);
    ck_assert_uint_ne(rg_table(&x->pe[P].r)->out[RX_SEND], RING_NO_ENTRY);
}

/* So many looks until there is one, which is from that PE. */
static unsigned looks_until(unsigned pe, unsigned most)
{
    for (unsigned n = 1; n <= most; n++) {
        const struct dtu_header *m = fetch(R, RX_RECV);

        if (!m)
            continue;
        ck_assert_uint_eq(m->sender_pe, pe);
        ring_ack(&x->pe[R].r, m);
        return n;
    }
    return most + 1;
}

/* Of those that have been silent some are looked at each time, in turn. */
START_TEST(silent_ones)
{
    open_many();
    for (unsigned i = 0; i < 3 * MANY; i++) {
        unsigned pe = FIRST + i * 23 % MANY;

        ck_assert_uint_eq(send(pe, i), SE_OK);
        ck_assert_uint_le(looks_until(pe, MANY), MANY / 4 + 1);
    }
}
END_TEST

/* The eight that spoke last are looked at each time, whoever else was among them before. */
START_TEST(those_that_spoke_last)
{
    open_many();
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 8; i++) {
            unsigned pe = FIRST + (round % 3 * 8 + i * 3) % MANY;

            for (unsigned k = 0; k < 2; k++) {
                ck_assert_uint_eq(send(pe, i), SE_OK);
                ck_assert_uint_le(looks_until(pe, MANY), MANY);
            }
        }
        /* Two of them in turn: these are no more than two. */
        for (unsigned i = 0; i < 16; i++) {
            unsigned pe = FIRST + (round % 3 * 8 + i % 2 * 3) % MANY;

            ck_assert_uint_eq(send(pe, i), SE_OK);
            ck_assert_uint_eq(looks_until(pe, MANY), 1);
        }
        for (unsigned i = 0; i < 8; i++) {
            unsigned pe = FIRST + (round % 3 * 8 + i * 3) % MANY;

            ck_assert_uint_eq(send(pe, i), SE_OK);
            ck_assert_uint_eq(looks_until(pe, MANY), 1);
        }
    }
}
END_TEST

/* One floods, and all the silent ones speak at once: when one of these is seen they all are, so
 * that the flood has one turn of many. */
START_TEST(all_at_once)
{
    unsigned flood = 0;

    open_many();
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_eq(send(FIRST + i, i), SE_OK);
    for (unsigned left = MANY - 1; left > 0;) {
        const struct dtu_header *m = fetch(R, RX_RECV);

        ck_assert_ptr_nonnull(m);
        if (m->sender_pe == FIRST) {
            ring_ack(&x->pe[R].r, m);
            ck_assert_uint_eq(send(FIRST, 0), SE_OK);
            flood++;
            continue;
        }
        ring_ack(&x->pe[R].r, m);
        left--;
    }
    ck_assert_uint_le(flood, 2);
}
END_TEST

/* Lists that are made anew overlook none, either. */
START_TEST(lists_made_anew)
{
    open_many();
    for (unsigned i = 0; i < MANY; i += 7) {
        ck_assert_uint_eq(send(FIRST + i, i), SE_OK);
        x->pe[R].r.version = ~0ull;
        ck_assert_uint_eq(looks_until(FIRST + i, MANY), 1);
    }
}
END_TEST

/* After a long time it is as in the beginning. */
START_TEST(for_long)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 34000; i++) {
        ck_assert_uint_eq(send(S, i), SE_OK);
        ck_assert_uint_eq(send(T, i), SE_OK);
        for (unsigned k = 0; k < 2; k++) {
            const struct dtu_header *m = fetch(R, RX_RECV);

            ck_assert(ring_any(&x->pe[R].r) == (k == 0));
            ck_assert_uint_eq(value_of(m), i);
            ring_ack(&x->pe[R].r, m);
        }
    }
}
END_TEST

/* ---- several endpoints ---- */

/* What was seen for one is not given to who asks for another. */
static void each_at(unsigned ep)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM); /* whose turn it would be */
    open_other(ep);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(send(S, i), SE_OK);
        ck_assert_uint_eq(send(P, i + 100), SE_OK);
        ck_assert(ring_any(&x->pe[R].r));
        m = fetch(R, RX_RECV);
        ck_assert_uint_eq(value_of(m), i);
        ring_ack(&x->pe[R].r, m);
        ck_assert_ptr_null(fetch(R, RX_RECV));
        m = fetch(R, ep);
        ck_assert_uint_eq(value_of(m), i + 100);
        ring_ack(&x->pe[R].r, m);
    }
}

START_TEST(each_at_its_endpoint)
{
    each_at(OTHER);
    teardown();
    setup();
    each_at(BEHIND);
}
END_TEST

/* Nor does who sleeps for one endpoint overlook what has come there since it asked for another. */
START_TEST(asleep_for_one)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    open_other(OTHER);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < i; k++)
            ck_assert_ptr_null(fetch(R, k % 2 ? OTHER : RX_RECV));
        ck_assert(ring_sleep_for(&x->pe[R].r, RX_RECV));
        ring_awake(&x->pe[R].r);
        ck_assert_uint_eq(send(i % 2 ? T : S, i), SE_OK);
        ck_assert(!ring_sleep_for(&x->pe[R].r, RX_RECV));
        ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), i);
    }
}
END_TEST

/* Nor when an endpoint has lost channels since the last one had its turn. */
START_TEST(fewer_channels_than_before)
{
    open_other(BEHIND);
    for (unsigned i = 0; i < 3; i++)
        open_channel(FIRST + i, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send(FIRST + i, i), SE_OK);
    for (unsigned i = 0; i < 3; i++)
        ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    for (unsigned i = 1; i < 3; i++) {
        rx_revoke(x, FIRST + i, RX_SEND);
        ck_assert_ptr_null(fetch(R, RX_RECV));
        vdtu_ring_disable(x->pe[FIRST + i].d);
    }
    ck_assert_uint_eq(send(P, 100), SE_OK);
    ck_assert_uint_eq(send(FIRST, 5), SE_OK);
    ck_assert(ring_any(&x->pe[R].r));
    slot_of(FIRST, 1)[RING_SEQ] = 0; /* it is taken back */
    ck_assert_ptr_null(fetch(R, RX_RECV));
    slot_of(FIRST, 1)[RING_SEQ] = 2;
    ck_assert_uint_le(looks_until(FIRST, 3), 3);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(value_of(fetch(R, BEHIND)), 100);
}
END_TEST

/* While one's messages are taken in a row another one speaks: eight later it is seen, whatever was
 * asked of other endpoints in between. */
START_TEST(eight_in_a_row)
{
    const struct dtu_header *m = NULL;
    unsigned row = 0;

    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(13, 8), 0x10000, 0); /* 32 slots */
    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    open_other(OTHER);
    for (unsigned i = 0; i < 32; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(R, OTHER));
    ck_assert_uint_eq(send(T, 100), SE_OK);
    for (; (m = fetch(R, RX_RECV)) && m->sender_pe == S; row++)
        ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_le(row, 8);
}
END_TEST

/* S has another one whenever R looks, and R looks for another endpoint in between. */
START_TEST(in_turn)
{
    const struct dtu_header *m;

    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(13, 8), 0x10000, 0);
    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    open_other(OTHER);
    ck_assert_uint_eq(send(S, 0), SE_OK);
    ck_assert_uint_eq(send(T, 0), SE_OK);
    for (unsigned i = 0; i < 10; i++) {
        unsigned from_s = 0;

        for (unsigned k = 0; k < 2; k++) {
            for (unsigned n = 0; n < 2; n++) /* at least every other look is one */
                ck_assert_ptr_null(fetch(R, OTHER));
            m = fetch(R, RX_RECV);
            ck_assert_ptr_nonnull(m);
            from_s += m->sender_pe == S;
            ck_assert_uint_eq(send(m->sender_pe, i), SE_OK);
            ring_ack(&x->pe[R].r, m);
        }
        ck_assert_uint_eq(from_s, 1);
    }
}
END_TEST

/* ---- messages by traps that are older ---- */

/* R takes the next one, by whatever way it came; its number. */
static uint64_t take_next(void)
{
    const struct dtu_header *m = ring_fetch(&x->pe[R].r, RX_RECV);
    uint64_t v = value_of(rx_msg(x, R, m));

    if (ring_owns(&x->pe[R].r, m)) {
        ring_ack(&x->pe[R].r, m);
        return v;
    }
    vdtu_store(x->pe[R].d, DTU_OFFSET, (uintptr_t)m, 8);
    vdtu_store(x->pe[R].d, DTU_COMMAND, DTU_CMD(DTU_ACK, RX_RECV), 8);
    return v;
}

/* As many as an endpoint holds were sent before the first by a channel, and come before it; however
 * many came before these. */
START_TEST(a_full_endpoint)
{
    uint64_t n = 0;

    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(13, 8), 0x10000, 0);
    for (unsigned round = 0; round < 3; round++) {
        uint64_t first;

        rx_gate(x, S, RX_SEND, R, DTU_CREDITS_UNLIM);
        for (unsigned i = 0; i < 20; i++, n++) {
            ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, &n, 8), SE_OK);
            ck_assert_uint_eq(take_next(), n);
        }
        for (first = n; n < first + 32; n++)
            ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, &n, 8), SE_OK);
        open_channel(S, DTU_CREDITS_UNLIM);
        ck_assert_uint_eq(send(S, n), SE_OK);
        n++;
        for (uint64_t i = first; i < n; i++)
            ck_assert_uint_eq(take_next(), i);
        rx_revoke(x, S, RX_SEND);
        ck_assert_ptr_null(fetch(R, RX_RECV));
        ck_assert_ptr_null(fetch(S, RX_REPLY));
    }
}
END_TEST

/* ---- before it sleeps ---- */

START_TEST(bell_for_sleepers_only)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    x->pe[R].bells = 0;
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(x->pe[R].bells, 0);
    ck_assert(!ring_sleep(&x->pe[R].r)); /* there is a message */
    ck_assert_uint_eq(send(S, 9), SE_OK);
    ck_assert_uint_eq(x->pe[R].bells, 0);
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    vdtu_poll(x->pe[R].d);
    ck_assert(ring_sleep(&x->pe[R].r));
    ck_assert_uint_eq(vdtu_poll(x->pe[R].d), 0);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert_uint_eq(x->pe[R].bells, 1);
    ck_assert_uint_eq(vdtu_poll(x->pe[R].d), VDTU_BELL);
    ck_assert_uint_eq(send(S, 3), SE_OK); /* it was told already */
    ck_assert_uint_eq(x->pe[R].bells, 1);
}
END_TEST

/* Who waits for one endpoint sleeps over messages for others; their senders ring all the same. */
START_TEST(sleep_for_one_endpoint)
{
    struct rings *r = &x->pe[R].r;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert(!ring_sleep(r));
    ck_assert(!ring_sleep_for(r, RX_RECV));
    x->pe[R].bells = 0;
    ck_assert_uint_eq(send(S, 9), SE_OK); /* it does not sleep */
    ck_assert_uint_eq(x->pe[R].bells, 0);
    ck_assert(ring_sleep_for(r, RX_REPLY));
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert_uint_eq(x->pe[R].bells, 1);
    ck_assert_uint_eq(vdtu_poll_ep(x->pe[R].d, RX_REPLY), VDTU_BELL);
    ring_awake(r);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 9); /* what was passed over is still there */
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ring_fetched(r, RX_REPLY, 0x1000); /* fetched for us while we waited */
    ck_assert(!ring_sleep(r));
    ck_assert(ring_sleep_for(r, RX_SEND));
    ck_assert(!ring_sleep_for(r, RX_REPLY));
    ring_take_fetched(r, RX_REPLY);
    ring_awake(r);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        silent_ones,
        those_that_spoke_last,
        all_at_once,
        lists_made_anew,
        for_long,
        each_at_its_endpoint,
        asleep_for_one,
        fewer_channels_than_before,
        eight_in_a_row,
        in_turn,
        a_full_endpoint,
        bell_for_sleepers_only,
        sleep_for_one_endpoint,
    };

    return RING_SUITE("ring_look", tests);
}
