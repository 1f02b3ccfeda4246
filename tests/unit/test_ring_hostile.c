/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One check after the other that stands between what a side writes, or a program gets wrong, and
 * the other side (RINGS.md): lengths, numbers, addresses, and the ends of channels, which one side
 * may not want to see or see too early.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_pair.h"

/* An old message is answered once more, with the number that a new one has by now. */
START_TEST(answer_to_an_old_message)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "a", 1), SE_OK);
    ring_ack(&x->pe[S].r, fetch(S, RX_REPLY));
    ck_assert_uint_eq(send(S, 2), SE_OK);
    forge_answer(1, 0, 0, 0xE711);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(x->pe[S].r.dropped, 1);
    forge_answer(2, 1, 0, 0xE711);
    ck_assert(fetch(S, RX_REPLY)->label == 0x1002);
}
END_TEST

/*
 * Once S has said that it expects nothing more the host may use the entry for another channel: an
 * answer that comes then would be taken out of S's hands.
 */
START_TEST(answer_after_the_end)
{
    uint64_t *own;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    rx_revoke(x, S, RX_SEND);
    /* R says, to both, that it is done, and is not. */
    own = own_words(R, 0);
    rg_ctl(rg_entry(&x->pe[R].r, 0))->dst_closed = own[RING_OWN_GEN];
    own[RING_OWN_CLOSED] = own[RING_OWN_GEN];
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0));
    forge_answer(0, 0, 0, 0xE711);
    ck_assert(!ring_any(&x->pe[S].r));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
}
END_TEST

/* The same without malice: R's endpoint is taken from it, and it answers what it has all the same.
 */
START_TEST(answer_without_an_endpoint)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 1);
    rx_revoke(x, R, RX_RECV);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0));
    ck_assert_uint_ne(ring_reply(&x->pe[R].r, m, "late", 4), SE_OK); /* nobody would see it */
    forge_answer(0, 0, 0, 0xE711);
    ck_assert(!ring_any(&x->pe[S].r));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    /* The entry is used again, and nothing of all this is in the next one. */
    rx_gate(x, S, RX_SEND + 1, T, DTU_CREDITS_UNLIM);
    vdtu_ring_open(x->pe[S].d, RX_SEND + 1);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND + 1], 0);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
}
END_TEST

/* A message beyond S's credits that S leaves behind keeps no entry of R: nobody may take it. */
START_TEST(left_behind_without_credits)
{
    const struct dtu_header *m;
    uint64_t *w;

    open_channel(S, 256);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    w = (uint64_t *)(void *)(rg_entry(&x->pe[S].r, 0) + RING_FWD_OFF + 256);
    w[RING_META] = 8;
    w[RING_SEQ] = 2;
    m = fetch(R, RX_RECV);
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(!closed(R, 0)); /* it holds one */
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(closed(R, 0));
}
END_TEST

/* Who has no endpoint there any more has nothing to wake the other for. */
START_TEST(no_bell_without_an_endpoint)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    x->pe[S].bells = 0;
    vdtu_ring_bell(x->pe[R].d, 0);
    ck_assert_uint_eq(x->pe[S].bells, 1);
    rx_revoke(x, R, RX_RECV);
    x->pe[S].bells = 0;
    vdtu_ring_bell(x->pe[R].d, 0);
    ck_assert_uint_eq(x->pe[S].bells, 0);
}
END_TEST

/* ---- what has no channel ---- */

static bool opens(unsigned from, unsigned to, unsigned ep, unsigned msg, unsigned credits)
{
    rx_set_ep(x, from, RX_SEND, dtu_send_r0(to, msg), dtu_send_r1(to, ep, credits), 0);
    vdtu_ring_open(x->pe[from].d, RX_SEND);
    return rg_table(&x->pe[from].r)->out[RX_SEND] != RING_NO_ENTRY;
}

/* The areas have 16 KiB, the library has places for 32 messages: more than that never begins. */
START_TEST(what_does_not_fit)
{
    ck_assert(!opens(S, R, RX_RECV, 256, 33 * 256));
    ck_assert(!opens(S, R, RX_RECV, 256, 255));              /* no credits */
    ck_assert(!opens(S, R, RX_RECV, 16, DTU_CREDITS_UNLIM)); /* a header is longer */
    rx_set_ep(x, R, 6, dtu_recv_r0(8, 4), 0x10000, 0);
    ck_assert(!opens(S, R, 6, 256, DTU_CREDITS_UNLIM));
    ck_assert(opens(S, R, RX_RECV, 256, 32 * 256));
    rx_set_ep(x, S, RX_SEND, 0, 0, 0);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(!opens(S, S, RX_RECV, 256, DTU_CREDITS_UNLIM)); /* to itself */
    rx_set_ep(x, R, 6, dtu_recv_r0(15, 13), 0x10000, 0);
    ck_assert(!opens(S, R, 6, 8192, DTU_CREDITS_UNLIM)); /* two slots of 8 KiB are too few */
    rx_set_ep(x, R, 6, dtu_recv_r0(15, 12), 0x10000, 0);
    ck_assert(!opens(S, R, 6, 4096, 5 * 4096));
    ck_assert(opens(S, R, 6, 4096, 4 * 4096));
    /* Answers of 4 KiB. */
    rx_set_ep(x, T, 7, dtu_recv_r0(12, 12), 0xC000, 0);
    ck_assert(!opens(T, R, RX_RECV, 256, 5 * 256));
    ck_assert(opens(T, R, RX_RECV, 256, 4 * 256));
    /* One message, one answer that is longer than the area. */
    rx_set_ep(x, R, 6, dtu_recv_r0(15, 15), 0x10000, 0);
    ck_assert(!opens(S, R, 6, 0x8000, 0x8000));
    rx_set_ep(x, T, 7, dtu_recv_r0(15, 15), 0x10000, 0);
    ck_assert(!opens(T, R, RX_RECV, 256, 256));
}
END_TEST

/* Two endpoints of R are two ways there.  Who asks for rings again has none of its channels, and
 * what a PE may not ask for is refused. */
START_TEST(asked_again)
{
    struct rx_pe *p = &x->pe[R];

    open_channel(S, DTU_CREDITS_UNLIM);
    rx_set_ep(x, S, RX_SEND + 1, dtu_send_r0(R, SLOT), dtu_send_r1(R, RX_REPLY, 0xFFFF), 0);
    vdtu_ring_open(x->pe[S].d, RX_SEND + 1);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND + 1], 1);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_int_ne(vdtu_ring_enable(p->d, 0, RX_TABLE(p), NULL), 0);
    ck_assert_int_ne(vdtu_ring_enable(p->d, RING_ENTRIES_MAX + 1, RX_TABLE(p), NULL), 0);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    rx_enable(x, R);
    ck_assert_uint_eq(send(S, 2), RING_TRAP);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(RING_STATE(rg_desc(&p->r, 0)->word), RING_FREE);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(opened(S, RX_SEND, R, DTU_CREDITS_UNLIM), 0);
}
END_TEST

/* What R says that it has closed while it lives stays, and is nobody else's. */
START_TEST(closed_while_it_lives)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    own_words(R, 0)[RING_OWN_CLOSED] = RING_GEN(rg_desc(&x->pe[R].r, 0)->word);
    open_channel(T, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(rg_desc(&x->pe[R].r, 1)->peer_pe, T);
    ck_assert_uint_eq(send(T, 2), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    own_words(R, 0)[RING_OWN_CLOSED] = 0;
    x->pe[R].r.version = ~0ull;
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
}
END_TEST

/* ---- lengths ---- */

START_TEST(too_long_to_send)
{
    static const uint8_t data[512];

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, 232, RX_REPLY, 0), SE_INV_ARGS);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, 231, RX_REPLY, 0), SE_OK);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 231);
    /* What the sender's endpoint says counts, too. */
    ck_assert(opens(T, R, RX_RECV, 128, DTU_CREDITS_UNLIM));
    ck_assert_uint_eq(ring_send(&x->pe[T].r, RX_SEND, data, 104, DTU_EPS, 0), SE_INV_ARGS);
    ck_assert_uint_eq(ring_send(&x->pe[T].r, RX_SEND, data, 103, DTU_EPS, 0), SE_OK);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 103);
    ck_assert(opens(P, R, RX_RECV, 512, DTU_CREDITS_UNLIM));
    ck_assert_uint_eq(ring_send(&x->pe[P].r, RX_SEND, data, 232, DTU_EPS, 0), SE_INV_ARGS);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* What a message claims to have must not be copied out of its slot's size. */
START_TEST(claimed_lengths)
{
    const uint64_t claims[] = {0xFFFF, 0x8000, 233, 232};
    uint8_t *r = rg_entry(&x->pe[R].r, 0);

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    memset(r + RING_INBOX_OFF, 0x5A, RING_ENTRY_SIZE - RING_INBOX_OFF);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t *w = (uint64_t *)(void *)(rg_entry(&x->pe[S].r, 0) + RING_FWD_OFF + i * 256);

        w[RING_META] = claims[i];
        w[RING_SEQ] = i + 1;
        ck_assert_ptr_null(fetch(R, RX_RECV));
    }
    ck_assert_uint_eq(x->pe[R].r.dropped, 4);
    for (unsigned i = RING_INBOX_OFF + 4 * 256; i < RING_ENTRY_SIZE; i++)
        ck_assert_uint_eq(r[i], 0x5A);
}
END_TEST

/* How long an answer may be the sender says, but never longer than the slots for answers. */
START_TEST(answers_too_long)
{
    static const uint8_t data[4096];
    const struct dtu_header *m;
    uint64_t *w;

    rx_set_ep(x, S, 7, dtu_recv_r0(8, 6), 0xC000, 0);
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, 1, 7, 0), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, data, 64 - 24), SE_INV_ARGS);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, 1, 7, 0), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), data, 64 - 25), SE_OK);
    ck_assert_uint_eq(fetch(S, 7)->length, 64 - 25);
    /* The receiver does it by hand. */
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, 1, 7, 0), SE_OK);
    forge_answer(1, 2, 1, 0xE711);
    w = (uint64_t *)(void *)(rg_entry(&x->pe[R].r, 0) + RING_REP_OFF +
                             rg_desc(&x->pe[R].r, 0)->rstride);
    for (unsigned number = 0; number < 2; number++) {
        w[RING_META] = 100 | number << 16;
        w[RING_SEQ] = 2;
    }
    ck_assert_ptr_null(fetch(S, 7));
    ck_assert_uint_eq(x->pe[S].r.dropped, 1);
    /* A sender that has endpoints of 64 KiB, as it says. */
    w = (uint64_t *)(void *)(rg_entry(&x->pe[S].r, 0) + RING_FWD_OFF + 3 * 256);
    w[RING_META] = 8 | 0xFFFFull << 16;
    w[RING_SEQ] = 4;
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 1);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(m->length, 8);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, data, 232), SE_INV_ARGS);
}
END_TEST

START_TEST(no_answer_wanted)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, "x", 1, DTU_EPS, 0), SE_OK);
    ck_assert(ring_sleep(&x->pe[S].r));
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "y", 1), SE_RECV_GONE);
    ck_assert_uint_eq(x->pe[S].bells, 0); /* nothing to wake it for */
    ck_assert_ptr_null(fetch(S, RX_REPLY));
}
END_TEST

/* ---- how many ---- */

/* The endpoint has two slots, the ring has four. */
START_TEST(more_than_the_endpoint_has)
{
    const struct dtu_header *m;

    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(9, 8), 0x10000, 0);
    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t *w = (uint64_t *)(void *)(rg_entry(&x->pe[S].r, 0) + RING_FWD_OFF + i * 256);

        w[RING_META] = 8;
        w[RING_SEQ] = i + 1;
    }
    m = fetch(R, RX_RECV);
    ck_assert_ptr_nonnull(m);
    ck_assert_ptr_nonnull(fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_nonnull(fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* Who takes no answers gets no more than there are slots; the receiver goes on. */
START_TEST(answers_that_nobody_takes)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 6; i++) {
        uint64_t *w = (uint64_t *)(void *)(rg_entry(&x->pe[S].r, 0) + RING_FWD_OFF + i % 4 * 256);

        w[RING_META] = 8 | 100 << 16;
        w[RING_SEQ] = i + 1;
        ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "y", 1),
                          i < 4 ? SE_OK : SE_NO_RING_SPACE);
    }
}
END_TEST

/* Messages by traps, always one more: the one by a channel is seen all the same. */
START_TEST(a_flood_of_traps)
{
    const struct dtu_header *m;
    unsigned i;

    open_channel(S, DTU_CREDITS_UNLIM);
    rx_gate(x, T, RX_SEND, R, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    for (i = 0; i < 100; i++) {
        ck_assert_uint_eq(rx_trap_send(x, T, RX_SEND, "x", 1), SE_OK);
        m = ring_fetch(&x->pe[R].r, RX_RECV);
        ck_assert_ptr_nonnull(m);
        if (ring_owns(&x->pe[R].r, m))
            break;
        vdtu_store(x->pe[R].d, DTU_OFFSET, (uintptr_t)m, 8);
        vdtu_store(x->pe[R].d, DTU_COMMAND, DTU_CMD(DTU_ACK, RX_RECV), 8);
    }
    ck_assert_uint_le(i, DTU_MAX_SLOTS);
}
END_TEST

/* ---- a program's own mistakes ---- */

START_TEST(addresses_of_no_message)
{
    const struct dtu_header *m;
    const uint8_t *at;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    at = (const uint8_t *)m;
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, (const void *)(at + 8), "x", 1), SE_INV_ARGS);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, (const void *)(at + 256), "x", 1), SE_INV_ARGS);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, (const void *)(at + 5 * 256), "x", 1), SE_INV_ARGS);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, (const void *)(at + 40 * 256), "x", 1), SE_INV_ARGS);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, (const void *)(at - 256), "x", 1), SE_INV_ARGS);
    ring_ack(&x->pe[R].r, (const void *)(at + 8));
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "x", 1), SE_OK);
}
END_TEST

/* ---- the host at work ---- */

/* While it says what there is nothing is taken: it may be counted as not accepted. */
START_TEST(dying)
{
    struct ring_desc *d = (struct ring_desc *)(void *)(RX_TABLE(&x->pe[R]) + RING_DESC_OFF);
    uint64_t word;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    word = d->word;
    d->word = RING_WORD(RING_GEN(word), RING_DYING);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    d->word = word;
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ring_ack(&x->pe[R].r, x->pe[R].r.now.msg);
    /* There is nothing, but there may be, until it is dead: one may have been published just now.
     */
    d->word = RING_WORD(RING_GEN(word), RING_DYING);
    x->pe[R].r.version = ~0ull;
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(!closed(R, 0));
    d->word = word;
    ck_assert_uint_eq(send(S, 2), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
}
END_TEST

/* The stamp of a message by a trap names a channel that is not there any more. */
START_TEST(an_old_stamp)
{
    struct rings *r = &x->pe[R].r;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_ptr_null(fetch(R, RX_REPLY)); /* it has its lists */
    for (unsigned slot = 0; slot < DTU_MAX_SLOTS; slot++)
        ((uint64_t *)(void *)(RX_TABLE(&x->pe[R]) +
                              RING_STAMPS_OFF))[RX_RECV * DTU_MAX_SLOTS + slot] =
            ring_stamp(0, RING_GEN(rg_desc(r, 0)->word) + 1, 5);
    ring_fetched(r, RX_RECV, 0x10000);
    ck_assert_uint_eq((uintptr_t)ring_fetch(r, RX_RECV), 0x10000);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
}
END_TEST

/*
 * The host believes S when it says how many of its messages are older than one by a trap.  None of
 * those is taken for it that is not there, or that S has no credits for.
 */
START_TEST(older_ones_that_are_none)
{
    const struct dtu_header *m;

    open_channel(S, SLOT);
    rx_gate(x, S, RX_SEND + 1, R, DTU_CREDITS_UNLIM);
    slot_of(S, 1)[RING_META] = 8;
    slot_of(S, 1)[RING_SEQ] = 2;
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND + 1, "abc", 3), SE_OK);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 3);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 1);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND + 1, "abcd", 4), SE_OK);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 4);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_OK);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 8); /* now it has */
}
END_TEST

/* Who holds an answer keeps its entry, however dead the channel is. */
START_TEST(held_answers)
{
    const struct dtu_header *m, *answer;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "answer!", 8), SE_OK);
    answer = fetch(S, RX_REPLY);
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(closed(R, 0));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(!closed(S, 0));
    rx_gate(x, S, RX_SEND, T, DTU_CREDITS_UNLIM);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], 1);
    ck_assert_str_eq((const char *)(answer + 1), "answer!");
    ring_ack(&x->pe[S].r, answer);
    ck_assert(closed(S, 0));
}
END_TEST

/* Answers to what an endpoint had sent bring nothing to the one that stands in its place. */
START_TEST(credits_of_an_old_endpoint)
{
    const struct dtu_header *m;

    open_channel(S, 256);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    rx_gate(x, S, RX_SEND, R, 0);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_OK);
    vdtu_ring_open(x->pe[S].d, RX_SEND); /* gives what is owed */
    ck_assert_uint_eq(vdtu_reg(x->pe[S].d, DTU_EP(RX_SEND, 1)) & 0xFFFF, 0);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
    /* Not either when that one has a channel which ends, and is owed credits of its own. */
    rx_gate(x, S, RX_SEND, T, 256);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
    ck_assert_uint_eq(ring_reply(&x->pe[T].r, fetch(T, RX_RECV), "b", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
}
END_TEST

/* A receiver is told of the end if there is something that it has not taken, or is lost. */
START_TEST(told_of_the_end)
{
    for (unsigned taken = 0; taken < 2; taken++) {
        open_channel(S, DTU_CREDITS_UNLIM);
        ck_assert_uint_eq(send(S, 1), SE_OK);
        if (taken)
            ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
        x->pe[R].bells = 0;
        ck_assert_uint_eq(vdtu_poll(x->pe[R].d) & VDTU_BELL, 0);
        rx_revoke(x, S, RX_SEND);
        ck_assert_uint_eq(x->pe[R].bells, !taken);
        ck_assert_uint_eq(vdtu_poll(x->pe[R].d) & VDTU_BELL, taken ? 0 : VDTU_BELL);
        teardown();
        setup();
    }
    open_channel(S, DTU_CREDITS_UNLIM);
    x->pe[R].bells = 0;
    rx_revoke(x, R, RX_RECV);
    ck_assert_uint_ge(x->pe[R].bells, 1);
}
END_TEST

/* A bell that rang for the program before is none for the one after it. */
START_TEST(bell_before_the_reset)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert(ring_sleep(&x->pe[R].r));
    ck_assert_uint_eq(send(S, 1), SE_OK);
    vdtu_reset_cpu(x->pe[R].d, NULL);
    ck_assert_uint_eq(vdtu_poll(x->pe[R].d) & VDTU_BELL, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        answer_after_the_end,
        answer_to_an_old_message,
        answer_without_an_endpoint,
        left_behind_without_credits,
        no_bell_without_an_endpoint,
        what_does_not_fit,
        asked_again,
        closed_while_it_lives,
        too_long_to_send,
        claimed_lengths,
        answers_too_long,
        no_answer_wanted,
        more_than_the_endpoint_has,
        answers_that_nobody_takes,
        a_flood_of_traps,
        addresses_of_no_message,
        dying,
        an_old_stamp,
        older_ones_that_are_none,
        held_answers,
        credits_of_an_old_endpoint,
        bell_before_the_reset,
        told_of_the_end,
    };

    return RING_SUITE("ring_hostile", tests);
}
