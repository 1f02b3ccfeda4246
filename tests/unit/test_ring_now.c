/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The channel in hand (struct ring_now): it is given up with what it stands for, what is taken from
 * it is taken once, and who has it keeps the endpoint from nobody.  And the pause when a stream
 * runs dry, and copies of every length.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_pair.h"

static struct ring_in *state_of(unsigned entry)
{
    return (struct ring_in *)(void *)(rg_entry(&x->pe[R].r, entry) + RING_STATE_OFF);
}

static struct ring_desc *in_desc(unsigned entry)
{
    return (struct ring_desc *)(void *)(RX_TABLE(&x->pe[R]) + RING_DESC_OFF) + entry;
}

/* So many looks may be needed for one who is seen behind others. */
static bool comes_from(unsigned pe, unsigned looks)
{
    while (looks--) {
        const struct dtu_header *m = fetch(R, RX_RECV);

        if (m && m->sender_pe == pe)
            return true;
    }
    return false;
}

/* ---- the endpoint is everybody's ---- */

/* S has no credits left and writes the number of "none" where its next message would be. */
START_TEST(the_number_of_none)
{
    open_channel(S, 256);
    open_channel(T, 256);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    slot_of(S, 1)[RING_SEQ] = ~0ull;
    ck_assert(!ring_pending(&x->pe[R].r, RX_RECV));
    ck_assert(ring_sleep(&x->pe[R].r)); /* nothing to stay awake for */
    ring_awake(&x->pe[R].r);
    ck_assert_uint_eq(send(T, 2), SE_OK);
    ck_assert(comes_from(T, 1));
}
END_TEST

/* Whenever R looks there is one more that is longer than its slot. */
START_TEST(a_flood_of_what_is_too_long)
{
    bool came = false;

    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(send(T, 2), SE_OK);
    for (unsigned n = 1; n < 20 && !came; n++) {
        slot_of(S, n % 4)[RING_META] = 0xFFFF;
        slot_of(S, n % 4)[RING_SEQ] = n + 1;
        came = comes_from(T, 1);
    }
    ck_assert(came);
}
END_TEST

/* There is one to be seen, but for now none to be taken: others go on. */
START_TEST(seen_and_not_to_be_had)
{
    uint64_t word;

    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert_uint_eq(send(T, 3), SE_OK);
    word = in_desc(0)->word;
    ck_assert_uint_eq(in_desc(0)->peer_pe, S);
    in_desc(0)->word = RING_WORD(RING_GEN(word), RING_DYING);
    ck_assert(comes_from(T, 3));
    ck_assert_uint_eq(send(T, 4), SE_OK);
    ck_assert(comes_from(T, 3));
    in_desc(0)->word = word;
    ck_assert(!ring_sleep(&x->pe[R].r)); /* it is not forgotten */
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
}
END_TEST

/* ---- it ends with what it stands for ---- */

/* The host has ended the channel and is about to say so in the version: the kept copy counts. */
START_TEST(dead_before_the_version)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    rx_revoke(x, S, RX_SEND);
    x->pe[R].r.version = rg_table(&x->pe[R].r)->version;
    slot_of(S, 1)[RING_DATA] = 0xBAD;
    slot_of(S, 2)[RING_META] = 8;
    slot_of(S, 2)[RING_SEQ] = 3;
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* An entry before it goes: its place in the lists is another channel's then. */
START_TEST(another_at_its_place)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    open_channel(P, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(in_desc(1)->peer_pe, T);
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(R, RX_RECV)); /* R has closed */
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(send(T, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(x->pe[R].r.now.pos, 1);
    vdtu_ring_disable(x->pe[S].d); /* reaps */
    ck_assert_uint_eq(RING_STATE(in_desc(0)->word), RING_FREE);
    ck_assert_uint_eq(send(P, 2), SE_OK);
    ck_assert(comes_from(P, 1));
    ck_assert_uint_eq(x->pe[R].r.now.entry, 2);
}
END_TEST

/* The endpoint is written while its channel is in hand: what comes later is nobody's. */
START_TEST(endpoint_written)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    m = fetch(R, RX_RECV);
    rx_revoke(x, R, RX_RECV);
    slot_of(S, 2)[RING_META] = 8;
    slot_of(S, 2)[RING_SEQ] = 3;
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_ne(ring_reply(&x->pe[R].r, m, "late", 4), SE_OK);
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* The entry is another channel's, of a generation that is not told yet: that one's state stays. */
START_TEST(ack_of_an_old_generation)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    in_desc(0)->word = RING_WORD(RING_GEN(in_desc(0)->word) + 1, RING_LIVE);
    ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(state_of(0)->freed, 0);
    ck_assert_ptr_null(fetch(R, RX_RECV)); /* nor is anything taken there */
    ck_assert_uint_eq(state_of(0)->taken, 1);
}
END_TEST

/* T's channel ended while the lists were made, and it has no place in them: what is done with a
 * message that R has of it leaves alone where S's next one will be. */
START_TEST(without_a_place)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(T, 11), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    ck_assert_uint_eq(send(T, 12), SE_OK);
    rx_revoke(x, T, RX_SEND);
    x->pe[R].r.version = rg_table(&x->pe[R].r)->version;
    state_of(1)->pos = 0; /* as older lists had it */
    ck_assert_uint_gt(x->pe[R].r.now.left, 0);
    ring_ack(&x->pe[R].r, m);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 12);
    ck_assert_uint_eq(m->sender_pe, T);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 2);
    ck_assert_uint_eq(m->sender_pe, S);
}
END_TEST

/* ---- once ---- */

START_TEST(freed_once)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_OK);
    ck_assert_uint_eq(state_of(0)->freed, 1);
    ring_ack(&x->pe[R].r, m); /* still the last one */
    ck_assert_uint_eq(state_of(0)->freed, 1);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    m = fetch(R, RX_RECV);
    ring_ack(&x->pe[R].r, m);
    ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(state_of(0)->freed, 2);
}
END_TEST

/* An ACK of nothing frees nothing, though nothing was taken since the channel came to hand. */
START_TEST(ack_of_nothing)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    x->pe[R].r.now.msg = NULL;
    ring_ack(&x->pe[R].r, NULL);
    ck_assert_uint_eq(state_of(0)->freed, 0);
}
END_TEST

/* S goes on publishing; R takes what there are credits for, and one more for each answer. */
START_TEST(credits_in_hand)
{
    const struct dtu_header *m[2];

    open_channel(S, 2 * 256);
    ck_assert_uint_eq(send(S, 0), SE_OK);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    for (unsigned n = 2; n < 4; n++) {
        slot_of(S, n)[RING_META] = 8 | 9 << 16;
        slot_of(S, n)[RING_DATA] = n;
        slot_of(S, n)[RING_SEQ] = n + 1;
    }
    m[0] = fetch(R, RX_RECV);
    m[1] = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m[1]), 1);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ring_ack(&x->pe[R].r, m[1]); /* brings back no credits */
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m[0], "a", 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* ---- a stream that runs dry ---- */

static unsigned send_only(uint64_t value)
{
    return ring_send(&x->pe[S].r, RX_SEND, &value, sizeof(value), DTU_EPS, 0);
}

START_TEST(gathers_once)
{
    const bool *stream = &x->pe[R].r.now.stream;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send_only(1), SE_OK);
    ck_assert_uint_eq(send_only(2), SE_OK);
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    ck_assert(*stream);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2); /* not while there are more */
    ck_assert(*stream);
    ck_assert_ptr_null(fetch(R, RX_REPLY)); /* nor at other endpoints */
    ck_assert(*stream);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(!*stream);
    ck_assert_uint_eq(send_only(3), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 3);
    /* Who is about to sleep looks, and does not wait. */
    ck_assert(ring_sleep(&x->pe[R].r));
    ck_assert(*stream);
    ring_awake(&x->pe[R].r);
}
END_TEST

/* Who waits for an answer sends nothing meanwhile. */
START_TEST(no_stream_of_questions)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send_only(1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ck_assert(!x->pe[R].r.now.stream);
}
END_TEST

/* ---- copies ---- */

static bool all_are(const uint8_t *p, size_t n, uint8_t v)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != v)
            return false;
    return true;
}

/* Of every length, in every slot: all of it, and in the inbox nothing before or behind it. */
START_TEST(every_length)
{
    uint8_t data[SLOT], *inbox;

    open_channel(S, DTU_CREDITS_UNLIM);
    inbox = rg_entry(&x->pe[R].r, 0) + RING_INBOX_OFF;
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + 1);
    for (unsigned n = 0; n < 4 * (SLOT - sizeof(struct dtu_header) + 1); n++) {
        const unsigned len = n / 4;
        const uint8_t *m;

        memset(inbox, 0xA5, RING_AREA);
        ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, len, DTU_EPS, 0), SE_OK);
        ck_assert_uint_eq(slot_of(S, (n + 1) % 4)[RING_SEQ], n < 3 ? 0 : n - 2);
        m = (const uint8_t *)(const void *)fetch(R, RX_RECV);
        ck_assert_ptr_nonnull(m);
        ck_assert(m >= inbox && memcmp(m + sizeof(struct dtu_header), data, len) == 0);
        ck_assert(all_are(inbox, (size_t)(m - inbox), 0xA5));
        m += sizeof(struct dtu_header) + len;
        ck_assert(all_are(m, (size_t)(inbox + RING_AREA - m), 0xA5));
        ring_ack(&x->pe[R].r, (const void *)(m - sizeof(struct dtu_header) - len));
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_number_of_none,
        a_flood_of_what_is_too_long,
        seen_and_not_to_be_had,
        dead_before_the_version,
        another_at_its_place,
        endpoint_written,
        ack_of_an_old_generation,
        without_a_place,
        freed_once,
        ack_of_nothing,
        credits_in_hand,
        gathers_once,
        no_stream_of_questions,
        every_length,
    };

    return RING_SUITE("ring_now", tests);
}
