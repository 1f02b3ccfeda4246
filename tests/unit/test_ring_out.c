/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sender's side of channels: when one is asked for, what SEND says when the host is at work,
 * and whose answers come out where (RINGS.md, "Right to answer", "Revocation").
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_trap.h"

#define SECOND 7u /* another endpoint of S for answers */

/* What a test does in the place of the host, when S or R asks it to finish what it has begun. */
static void (*host_finishes)(void);
static unsigned asked;

static void hook_sync(void *arg)
{
    (void)arg;
    if (host_finishes)
        host_finishes();
}
static void hook_open(void *arg, unsigned ep)
{
    asked++;
    rx_hw_open(arg, ep);
}

static struct ring_desc *desc_of(unsigned pe)
{
    return (struct ring_desc *)(void *)(RX_TABLE(&x->pe[pe]) + RING_DESC_OFF);
}

static void set_state(unsigned pe, unsigned state)
{
    desc_of(pe)->word = RING_WORD(RING_GEN(desc_of(pe)->word), state);
}

/* ---- a channel is asked for ---- */

/* After four sends by traps, and then ever more rarely; one that has a channel begins anew. */
START_TEST(asked_for_ever_more_rarely)
{
    struct rx_pe *p = &x->pe[S];

    p->r.hw.open = hook_open;
    rx_gate(x, S, RX_SEND, R, DTU_CREDITS_UNLIM);
    vdtu_ring_disable(x->pe[R].d); /* so it is refused */
    asked = 0;
    for (unsigned i = 1; i <= 64; i++) {
        unsigned before = asked;

        ck_assert_uint_eq(send(S, i), RING_TRAP);
        ck_assert_uint_eq(asked - before, i >= 4 && (i & (i - 1)) == 0);
    }
    rx_enable(x, R);
    for (unsigned i = 65; i < 128; i++)
        ck_assert_uint_eq(send(S, i), RING_TRAP);
    ck_assert_uint_eq(send(S, 128), SE_OK);
    rx_gate(x, S, RX_SEND, T, DTU_CREDITS_UNLIM);
    for (unsigned i = 1; i < 4; i++)
        ck_assert_uint_eq(send(S, i), RING_TRAP);
    ck_assert_uint_eq(send(S, 4), SE_OK);
}
END_TEST

/* ---- what the table says may be old, or be changing ---- */

START_TEST(table_of_another_time)
{
    uint16_t *out = ((struct ring_table *)(void *)RX_TABLE(&x->pe[S]))->out;

    open_channel(S, DTU_CREDITS_UNLIM);
    /* An endpoint that S configures itself. */
    x->pe[S].r.own = 1u << RX_SEND;
    ck_assert_uint_eq(send(S, 1), RING_TRAP);
    x->pe[S].r.own = 0;
    /* The entry is another endpoint's by now, or one where S receives. */
    out[RX_SEND + 1] = 0;
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND + 1, "x", 1, DTU_EPS, 0), RING_TRAP);
    desc_of(S)->role = RING_IN;
    ck_assert_uint_eq(send(S, 1), RING_TRAP);
    desc_of(S)->role = RING_OUT;
    ck_assert_uint_eq(send(S, 1), SE_OK);
    /* The channel has ended since S looked there. */
    rx_revoke(x, S, RX_SEND);
    out[RX_SEND] = 0;
    ck_assert_uint_eq(send(S, 2), RING_TRAP);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

static void is_dying(void)
{
    set_state(S, RING_DYING);
}
static void was_accepted(void)
{
    desc_of(S)->last = 1;
    set_state(S, RING_DEAD);
}
static void was_not(void)
{
    desc_of(S)->last = 0;
    set_state(S, RING_DEAD);
}

/* The host has begun to end the channel: S waits for its word whether the message was accepted. */
START_TEST(while_it_is_dying)
{
    for (unsigned accepted = 0; accepted < 2; accepted++) {
        open_channel(S, DTU_CREDITS_UNLIM);
        x->pe[S].r.hw.sync = hook_sync;
        host_finishes = accepted ? was_accepted : was_not;
        lay_trap((uint8_t *)slot_of(S, 0), NULL, is_dying);
        ck_assert_uint_eq(send(S, 1), accepted ? SE_OK : RING_TRAP);
        ck_assert_int_eq(caught, 1);
        ck_assert_uint_eq(RING_STATE(desc_of(S)->word), RING_DEAD);
        teardown();
        setup();
    }
}
END_TEST

static uint64_t answers_kept;
static void is_gone(void)
{
    set_state(R, RING_GONE);
}
static void says_what_it_kept(void)
{
    desc_of(R)->last = answers_kept;
}

/* The same with an answer, whose right has just been lost. */
START_TEST(while_the_right_is_lost)
{
    for (unsigned kept = 0; kept < 2; kept++) {
        const struct dtu_header *m;

        open_channel(S, DTU_CREDITS_UNLIM);
        ck_assert_uint_eq(send(S, 1), SE_OK);
        m = fetch(R, RX_RECV);
        x->pe[R].r.hw.sync = hook_sync;
        host_finishes = says_what_it_kept;
        answers_kept = kept;
        lay_trap((uint8_t *)answer_slot(R, 0), NULL, is_gone);
        ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), kept ? SE_OK : SE_VPE_GONE);
        ck_assert_int_eq(caught, 1);
        teardown();
        setup();
    }
}
END_TEST

/* ---- answers ---- */

static unsigned ask(uint64_t value, unsigned reply_ep)
{
    return ring_send(&x->pe[S].r, RX_SEND, &value, 8, reply_ep, value);
}

static void answer(uint64_t value)
{
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), &value, 8), SE_OK);
}

START_TEST(each_at_its_endpoint)
{
    rx_set_ep(x, S, SECOND, dtu_recv_r0(10, 8), 0xC000, 0);
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ask(1, SECOND), SE_OK);
    ck_assert_uint_eq(ask(2, RX_REPLY), SE_OK);
    answer(1);
    answer(2);
    ck_assert(ring_pending(&x->pe[S].r, RX_REPLY) && ring_pending(&x->pe[S].r, SECOND));
    ck_assert_uint_eq(value_of(fetch(S, RX_REPLY)), 2);
    ck_assert(!ring_pending(&x->pe[S].r, RX_REPLY));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(value_of(fetch(S, SECOND)), 1);
    ck_assert_ptr_null(fetch(S, SECOND));
}
END_TEST

/* In the order in which they were given, wherever in the inbox they are. */
START_TEST(in_their_order)
{
    const struct dtu_header *first;

    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 1; i <= 4; i++)
        ck_assert_uint_eq(ask(i, RX_REPLY), SE_OK);
    answer(1);
    answer(2);
    first = fetch(S, RX_REPLY);
    ck_assert_uint_eq(value_of(first), 1);
    ring_ack(&x->pe[S].r, first);
    answer(3);
    answer(4);
    for (unsigned i = 2; i <= 4; i++)
        ck_assert_uint_eq(value_of(fetch(S, RX_REPLY)), i);
}
END_TEST

/* Of several channels. */
START_TEST(of_several_channels)
{
    uint64_t v = 2;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(opened(S, RX_SEND + 1, T, DTU_CREDITS_UNLIM), 1);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND + 1, &v, 8, RX_REPLY, 2), SE_OK);
        ck_assert_uint_eq(ring_reply(&x->pe[T].r, fetch(T, RX_RECV), &v, 8), SE_OK);
        ck_assert(ring_any(&x->pe[S].r));
        ck_assert_uint_eq(value_of(fetch(S, RX_REPLY)), 2);
        ck_assert_ptr_null(fetch(S, RX_REPLY));
        ck_assert_uint_eq(ask(1, RX_REPLY), SE_OK);
        answer(1);
        ck_assert_uint_eq(value_of(fetch(S, RX_REPLY)), 1);
    }
}
END_TEST

/* One that SEND has found and put away is found by who asks for it, and wakes who would sleep; also
 * when the lists have been made anew. */
START_TEST(found_by_the_way)
{
    for (unsigned anew = 0; anew < 2; anew++) {
        open_channel(S, DTU_CREDITS_UNLIM);
        ck_assert_uint_eq(ask(1, RX_REPLY), SE_OK);
        ck_assert(!ring_any(&x->pe[S].r)); /* nor are its own messages any to it */
        ck_assert(ring_sleep(&x->pe[S].r));
        ring_awake(&x->pe[S].r);
        answer(1);
        ck_assert_uint_eq(ask(2, RX_REPLY), SE_OK);
        if (anew)
            x->pe[S].r.version = ~0ull;
        ck_assert(ring_any(&x->pe[S].r));
        ck_assert(!ring_sleep(&x->pe[S].r));
        ck_assert_uint_eq(value_of(fetch(S, RX_REPLY)), 1);
        ck_assert_ptr_null(fetch(S, RX_REPLY));
        ck_assert(!ring_any(&x->pe[S].r));
        teardown();
        setup();
    }
}
END_TEST

/* S waits for an answer, its channel is dead and R holds the message: S keeps its entry, and has
 * the answer. */
START_TEST(awaited_when_it_is_dead)
{
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ask(1, RX_REPLY), SE_OK);
    m = fetch(R, RX_RECV);
    rx_revoke(x, S, RX_SEND);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(!closed(S, 0));
    ck_assert_uint_eq(opened(S, RX_SEND + 1, T, DTU_CREDITS_UNLIM), 1);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "late", 4), SE_OK);
    ck_assert_uint_eq(fetch(S, RX_REPLY)->length, 4);
}
END_TEST

/* An ACK of what is no answer's beginning frees none. */
START_TEST(addresses_of_no_answer)
{
    const struct dtu_header *held;
    const uint8_t *at;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ask(1, RX_REPLY), SE_OK);
    answer(1);
    held = fetch(S, RX_REPLY);
    at = (const uint8_t *)held;
    ring_ack(&x->pe[S].r, (const void *)(at + 8));
    ring_ack(&x->pe[S].r, (const void *)(at + 40 * SLOT)); /* there are no more than 32 */
    ring_ack(&x->pe[S].r, (const void *)(at - SLOT));
    ck_assert_uint_eq(ask(2, RX_REPLY), SE_OK);
    answer(2);
    ck_assert_uint_eq(value_of(fetch(S, RX_REPLY)), 2);
    ck_assert_uint_eq(value_of(held), 1);
    ck_assert_uint_eq(ring_reply(&x->pe[S].r, held, "x", 1), SE_INV_ARGS); /* which frees it */
    ck_assert_uint_eq(ask(3, RX_REPLY), SE_OK);
    answer(3);
    ck_assert_ptr_eq(fetch(S, RX_REPLY), held);
}
END_TEST

/* Places for 32 answers, of whatever size: so many unread ones and those in the ring, none is lost
 * when records are wanted for new messages. */
START_TEST(unread_when_records_are_wanted)
{
    unsigned answered = 0;

    rx_set_ep(x, S, RX_REPLY, dtu_recv_r0(14, 9), 0x8000, 0); /* 512 bytes each */
    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 32 + 4; i++, answered++) {
        ck_assert_uint_eq(ask(i, RX_REPLY), SE_OK);
        answer(i);
    }
    /* All other records: messages that R does not answer. */
    for (unsigned i = 0; i < 60; i++) {
        ck_assert_uint_eq(ask(1000 + i, RX_REPLY), SE_OK);
        ring_ack(&x->pe[R].r, fetch(R, RX_RECV));
    }
    ck_assert_uint_eq(ask(2000, RX_REPLY), RING_TRAP);
    for (unsigned i = 0; i < answered; i++) {
        const struct dtu_header *m = fetch(S, RX_REPLY);

        ck_assert_uint_eq(value_of(m), i);
        ring_ack(&x->pe[S].r, m);
    }
    ck_assert_uint_eq(x->pe[S].r.dropped, 0);
    ck_assert_uint_eq(ask(2000, RX_REPLY), SE_OK);
}
END_TEST

/* Endpoints where nothing can be received are none for answers. */
START_TEST(no_endpoint_for_answers)
{
    rx_set_ep(x, S, SECOND, dtu_mem_r0(200ull << 32), 0, dtu_mem_r2(0, 0, DTU_PERM_R));
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ask(1, SECOND), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "a", 1), SE_RECV_GONE);
    rx_set_ep(x, S, SECOND, dtu_recv_r0(5, 4), 0xC000, 0); /* a header is longer than its slots */
    ck_assert_uint_eq(ask(2, SECOND), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "a", 1), SE_RECV_GONE);
    ck_assert_ptr_null(fetch(S, SECOND));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        asked_for_ever_more_rarely,
        table_of_another_time,
        while_it_is_dying,
        while_the_right_is_lost,
        each_at_its_endpoint,
        in_their_order,
        of_several_channels,
        found_by_the_way,
        awaited_when_it_is_dead,
        addresses_of_no_answer,
        unread_when_records_are_wanted,
        no_endpoint_for_answers,
    };

    return RING_SUITE("ring_out", tests);
}
