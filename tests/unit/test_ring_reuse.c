/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a channel: answers are frozen when the right to answer is lost, each end has its entry
 * back whatever the other does, and an entry is not another channel's while its PE may be in the
 * middle of something.  tests/spin/reuse.pml is the model.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_trap.h"

static unsigned opened_freely(unsigned pe, unsigned ep, unsigned to)
{
    return opened(pe, ep, to, DTU_CREDITS_UNLIM);
}

/* S looks only after R has lost its endpoint: what was answered before counts, nothing else. */
START_TEST(answers_are_frozen)
{
    const uint64_t first = 0xA1;
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), &first, 8), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    rx_revoke(x, R, RX_RECV);
    forge_answer(1, 1, 1, 0xBAD);
    answer_slot(R, 0)[RING_DATA] = 0xBAD;
    rx_revoke(x, R, RX_RECV); /* nor if R loses it once more */
    m = fetch(S, RX_REPLY);
    ck_assert_uint_eq(value_of(m), first);
    ck_assert(m->label == 0x1000);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(!ring_any(&x->pe[S].r));
    ck_assert_uint_eq(x->pe[S].r.dropped, 0);
}
END_TEST

/* The same when R's PE starts anew. */
START_TEST(answers_of_one_that_is_reset)
{
    const uint64_t first = 0xA2;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 0), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), &first, 8), SE_OK);
    vdtu_reset_cpu(x->pe[R].d, NULL);
    vdtu_ring_disable(x->pe[R].d);
    ck_assert_uint_eq(value_of(fetch(S, RX_REPLY)), first);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
}
END_TEST

/* ---- in the middle of an answer ---- */

static void revoke_now(void)
{
    rx_revoke(x, R, RX_RECV);
    /* S sees that nobody answers any more, and R's entry is wanted for another one at once. */
    if (!fetch(S, RX_REPLY))
        opened_freely(T, RX_SEND, R);
}

/*
 * R has begun to write when its endpoint goes: it is told, and what it writes is in no ring that
 * anybody looks at, least of all in another's, whose first answer it would be.
 */
START_TEST(while_it_answers)
{
    const struct dtu_header *m;
    uint64_t v = 7;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 0), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_ptr_nonnull(m);
    lay_trap((uint8_t *)answer_slot(R, 0), NULL, revoke_now);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, &v, 8), SE_EP_INVALID);
    ck_assert_int_eq(caught, 1);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_ptr_null(fetch(T, RX_REPLY));
    /* Now it may be: the endpoint is set anew, and R's entry is free again. */
    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(10, 8), 0x10000, 0);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(opened_freely(T, RX_SEND, R), 0);
    ck_assert_uint_eq(rg_desc(&x->pe[R].r, 0)->peer_pe, T);
    ck_assert_uint_eq(send(T, 1), SE_OK);
    ck_assert_ptr_null(fetch(T, RX_REPLY));
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
}
END_TEST

/* It has published the answer, and then its endpoint goes: S has it, and R is told so. */
START_TEST(just_after_it_answered)
{
    const struct dtu_header *m;
    uint64_t v = 7;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 0), SE_OK);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_ptr_nonnull(fetch(R, RX_RECV)); /* so its entry is not free before */
    lay_trap((uint8_t *)answer_slot(R, 0), RX_TABLE(&x->pe[R]) + RING_DESC_OFF, revoke_now);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, &v, 8), SE_OK);
    ck_assert_int_eq(caught, 2);
    ck_assert_uint_eq(x->pe[S].r.dropped, 0);
    ck_assert(
        !(((struct ring_out *)(void *)(rg_entry(&x->pe[S].r, 0) + RING_STATE_OFF))->open & 1));
}
END_TEST

/* S is in the middle of taking one: the copy counts for nothing, the one that was kept does. */
static void change_now(void)
{
    rx_revoke(x, R, RX_RECV);
    for (unsigned i = RING_DATA; i < RING_DATA + 6000 / 8; i++)
        answer_slot(R, 0)[i] = 0xBAD;
}

START_TEST(while_an_answer_is_taken)
{
    static uint64_t words[6000 / 8];
    const struct dtu_header *m;
    uint64_t w;

    for (unsigned i = 0; i < 6000 / 8; i++)
        words[i] = 5;
    rx_set_ep(x, S, 7, dtu_recv_r0(13, 13), 0xC000, 0);
    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(9, 8), 0x10000, 0); /* two slots */
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, "x", 1, 7, 0), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), words, 6000), SE_OK);
    lay_trap((uint8_t *)answer_slot(S, 0) + RING_PAGE, NULL, change_now);
    m = fetch(S, 7);
    ck_assert_int_eq(caught, 1);
    if (!m)
        m = fetch(S, 7);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->length, 6000);
    for (unsigned i = 0; i < 6000 / 8; i++) {
        memcpy(&w, (const uint8_t *)(m + 1) + 8 * i, 8);
        ck_assert_uint_eq(w, 5);
    }
}
END_TEST

/* ---- R's endpoint is written when S's has been ---- */

/* What R had not taken is lost with its endpoint, as in the DTU, and so is its right to answer. */
START_TEST(both_endpoints_written)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 1; i <= 3; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    m = fetch(R, RX_RECV);
    rx_revoke(x, S, RX_SEND);
    ck_assert(ring_pending(&x->pe[R].r, RX_RECV));
    rx_revoke(x, R, RX_RECV);
    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(10, 8), 0x10000, 0);
    ck_assert(!ring_pending(&x->pe[R].r, RX_RECV));
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(ring_sleep(&x->pe[R].r));
    ring_awake(&x->pe[R].r);
    ck_assert_uint_eq(value_of(m), 1); /* what it has it has */
    ck_assert_uint_ne(ring_reply(&x->pe[R].r, m, "late", 4), SE_OK);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0));
    /* Nothing of it is in the next one. */
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(opened_freely(S, RX_SEND, R), 0);
    ck_assert_uint_eq(send(S, 4), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 4);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* The same when S is gone altogether. */
START_TEST(written_when_the_sender_is_gone)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    vdtu_reset_cpu(x->pe[S].d, NULL);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    rx_revoke(x, R, RX_RECV);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* S's endpoint stands, and only its channel has ended: what R has answered by then are its credits,
 * the others are lost. */
START_TEST(written_when_the_channel_has_ended)
{
    const struct dtu_header *m;

    open_channel(S, 3 * SLOT);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "a", 1), SE_OK);
    m = fetch(R, RX_RECV);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    rx_revoke(x, R, RX_RECV);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_EP_INVALID);
    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(10, 8), 0x10000, 0);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(closed(R, 0));
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
    ck_assert_uint_eq(fetch(S, RX_REPLY)->length, 1); /* the answer that was given */
}
END_TEST

static void receive_no_more(void)
{
    rx_revoke(x, R, RX_RECV);
}

/* R is in the middle of taking one: then it was not taken. */
START_TEST(written_while_it_is_taken)
{
    static uint8_t data[6000];

    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(14, 13), 0x10000, 0); /* 2 slots of 8 KiB */
    rx_set_ep(x, S, RX_SEND, dtu_send_r0(R, 8192), dtu_send_r1(R, RX_RECV, DTU_CREDITS_UNLIM), 9);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, 6000, RX_REPLY, 0), SE_OK);
    rx_revoke(x, S, RX_SEND);
    lay_trap(rg_entry(&x->pe[R].r, 0) + RING_FROZEN_OFF / RING_PAGE * RING_PAGE + RING_PAGE, NULL,
             receive_no_more);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_int_eq(caught, 1);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(closed(R, 0));
}
END_TEST

/* ---- who does not close keeps no entry but its own ---- */

/* R does not look; S, which waits for nothing, has its entry again, and order is kept all the same.
 */
START_TEST(receiver_that_does_not_close)
{
    const struct dtu_header *m;
    uint64_t v = 2;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, "\1\0\0\0\0\0\0", 8, DTU_EPS, 0), SE_OK);
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(opened_freely(S, RX_SEND + 1, T), 0);
    ck_assert_uint_eq(rg_desc(&x->pe[S].r, 0)->peer_pe, T);
    ck_assert_uint_eq(opened_freely(S, RX_SEND, R), RING_NO_ENTRY); /* not drained */
    /* Which is about S and that endpoint. */
    ck_assert_uint_eq(opened_freely(P, RX_SEND, R), 0);
    rx_set_ep(x, S, RX_SEND, dtu_send_r0(R, SLOT), dtu_send_r1(R, RX_REPLY, 0xFFFF), 0);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], 1);
    rx_gate(x, S, RX_SEND, R, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, &v, 8), SE_OK);
    ring_fetched(&x->pe[R].r, RX_RECV, rx_hw_fetch(&x->pe[R], RX_RECV));
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 1);
    ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 2);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_ne(opened_freely(S, RX_SEND, R), RING_NO_ENTRY);
    ck_assert_uint_eq(send(S, 3), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 3);
}
END_TEST

/* S does not look; R is done. */
START_TEST(sender_that_does_not_close)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(opened_freely(T, RX_SEND, R), 0);
    ck_assert_uint_eq(rg_desc(&x->pe[R].r, 0)->peer_pe, T);
    ck_assert_uint_eq(rg_desc(&x->pe[S].r, 0)->word & 0xFF, RING_GONE);
    ck_assert_uint_eq(opened_freely(S, RX_SEND, R), 1); /* R waits for nothing from there */
    ck_assert_ptr_null(fetch(S, RX_REPLY)); /* and when it does look, it waits for nothing */
    ck_assert(closed(S, 0));
}
END_TEST

/* R says to the host, and not to S, that it is done: S does not wait for ever. */
START_TEST(receiver_that_lies)
{
    uint64_t *own;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    rx_revoke(x, S, RX_SEND);
    own = own_words(R, 0);
    own[RING_OWN_CLOSED] = own[RING_OWN_GEN];
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    x->pe[S].bells = 0;
    ck_assert_uint_eq(opened_freely(T, RX_SEND, R), 0);
    ck_assert_uint_ge(x->pe[S].bells, 1);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(opened_freely(S, RX_SEND + 1, T), 0);
}
END_TEST

/* ---- it is used again while its PE, which has closed it, looks at it once more ---- */

#define OTHER 5u /* a second receive endpoint of R */

/* S has closed entry 0, and knows nothing of what comes now. */
static void closed_by_sender(void)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0));
}

static void give_to_receive(void)
{
    opened_freely(T, RX_SEND, S);
}

/* What S saw of its own channel it does not do to the one from T. */
START_TEST(closing_is_for_one_channel)
{
    closed_by_sender();
    lay_trap_behind(RX_TABLE(&x->pe[S]) + RING_DESC_OFF, give_to_receive);
    rg_out_close(&x->pe[S].r, 0);
    ck_assert_int_eq(caught, 1);
    ck_assert_uint_eq(rg_desc(&x->pe[S].r, 0)->role, RING_IN);
    ck_assert(!closed(S, 0));
    ck_assert_uint_eq(send(T, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(S, RX_RECV)), 1);
}
END_TEST

/* S's list still has it as one to send by: T, which writes answers to itself, gains no credits. */
START_TEST(answers_to_oneself)
{
    closed_by_sender();
    ck_assert_uint_eq(opened(T, RX_SEND, S, SLOT), 0);
    rg_out_rescan(&x->pe[S].r, 0, 0);
    answer_slot(T, 0)[RING_SEQ] = 1;
    ck_assert(!rg_out_pending(&x->pe[S].r, RX_REPLY));
    ck_assert_uint_eq(own_words(S, 0)[RING_OWN_GRANTED], 0);
    ck_assert_uint_eq(x->pe[S].r.dropped, 0);
    ck_assert_uint_eq(send(T, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(S, RX_RECV)), 1);
}
END_TEST

/* T has another channel now, and both endpoints of R have something. */
static void give_to_other(void)
{
    rx_set_ep(x, T, RX_SEND, dtu_send_r0(R, SLOT), dtu_send_r1(R, OTHER, DTU_CREDITS_UNLIM), 0);
    vdtu_ring_open(x->pe[T].d, RX_SEND);
    if (send(S, 2) != SE_OK || send(T, 3) != SE_OK)
        abort();
}

/* R has made its lists and is about to look where its channels stand. */
START_TEST(another_endpoints_entry)
{
    const struct dtu_header *m;

    rx_set_ep(x, R, OTHER, dtu_recv_r0(10, 8), 0x14000, 0);
    open_channel(S, DTU_CREDITS_UNLIM);
    open_channel(T, DTU_CREDITS_UNLIM);
    rx_revoke(x, T, RX_SEND);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(closed(R, 1));
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1); /* after that it would be T's turn */
    x->pe[R].r.version--;
    lay_trap(rg_entry(&x->pe[R].r, 0) + RING_PRIVATE_OFF, NULL, give_to_other);
    m = fetch(R, RX_RECV);
    ck_assert_int_eq(caught, 1);
    ck_assert_uint_eq(rg_desc(&x->pe[R].r, 1)->ep, OTHER);
    ck_assert_uint_eq(value_of(m), 2);
    ck_assert_uint_eq(value_of(fetch(R, OTHER)), 3);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        answers_are_frozen,
        answers_of_one_that_is_reset,
        while_it_answers,
        just_after_it_answered,
        while_an_answer_is_taken,
        receiver_that_does_not_close,
        both_endpoints_written,
        written_when_the_sender_is_gone,
        written_when_the_channel_has_ended,
        written_while_it_is_taken,
        sender_that_does_not_close,
        receiver_that_lies,
        closing_is_for_one_channel,
        answers_to_oneself,
        another_endpoints_entry,
    };

    return RING_SUITE("ring_reuse", tests);
}
