/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credits and places of channels: who has credits can send, in whatever order messages are answered
 * and answers looked at, by a channel and by traps (RINGS.md, "Room").
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_pair.h"

/* A message that stays unanswered is in nobody's way but its own: credits are what counts. */
START_TEST(credits_in_any_order)
{
    const struct dtu_header *old, *m;

    open_channel(S, 3 * 256);
    ck_assert_uint_eq(send(S, 1000), SE_OK);
    old = fetch(R, RX_RECV);
    for (unsigned i = 0; i < 500; i++) {
        const struct dtu_header *two[2];

        ck_assert_uint_eq(send(S, i), SE_OK);
        ck_assert_uint_eq(send(S, i + 1), SE_OK);
        ck_assert_uint_eq(send(S, i + 2), SE_MISS_CREDITS);
        ck_assert_uint_eq(value_of(two[0] = fetch(R, RX_RECV)), i);
        ck_assert_uint_eq(value_of(two[1] = fetch(R, RX_RECV)), i + 1);
        for (unsigned k = 0; k < 2; k++) {
            uint64_t v = value_of(two[1 - k]);

            ck_assert_uint_eq(ring_reply(&x->pe[R].r, two[1 - k], &v, 8), SE_OK);
        }
        for (unsigned k = 0; k < 2; k++) {
            m = fetch(S, RX_REPLY);
            ck_assert_uint_eq(value_of(m), i + 1 - k);
            ck_assert(m->label == 0x1000 + i + 1 - k);
            ring_ack(&x->pe[S].r, m);
        }
    }
    ck_assert_uint_eq(value_of(old), 1000);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, old, "late", 4), SE_OK);
    m = fetch(S, RX_REPLY);
    ck_assert(m->label == 0x1000 + 1000);
    ck_assert_uint_eq(x->pe[S].r.dropped, 0);
}
END_TEST

/* Answers that nobody looks at keep the endpoint's places, not those of later ones. */
START_TEST(answers_unread)
{
    const struct dtu_header *first, *m;

    open_channel(S, 256);
    ck_assert_uint_eq(send(S, 0), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "0", 1), SE_OK);
    first = fetch(S, RX_REPLY);
    for (unsigned i = 1; i < 32; i++) {
        ck_assert_uint_eq(send(S, i), SE_OK);
        ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), &i, 4), SE_OK);
    }
    for (unsigned i = 1; i < 32; i++) {
        m = fetch(S, RX_REPLY);
        ck_assert(value_of(m) == i && m->label == 0x1000 + i);
        ring_ack(&x->pe[S].r, m);
    }
    ck_assert_uint_eq(*(const char *)(first + 1), '0');
}
END_TEST

/* Many messages that get no answer, though they could: their records come back. */
START_TEST(acknowledged)
{
    const struct dtu_header *old = NULL;
    unsigned traps = 0;

    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 1000; i++) {
        const struct dtu_header *m;
        unsigned err = send(S, i);

        if (err == RING_TRAP) { /* the oldest keeps all records: by the DTU */
            traps++;
            ck_assert_ptr_nonnull(old);
            ck_assert_uint_eq(ring_reply(&x->pe[R].r, old, "x", 1), SE_OK);
            old = NULL;
            m = fetch(S, RX_REPLY);
            ck_assert(m && m->label == 0x1000 + 500);
            ring_ack(&x->pe[S].r, m);
            err = send(S, i);
        }
        ck_assert_uint_eq(err, SE_OK);
        m = fetch(R, RX_RECV);
        ck_assert_uint_eq(value_of(m), i);
        if (i == 500)
            old = m;
        else
            ring_ack(&x->pe[R].r, m);
    }
    ck_assert_uint_eq(traps, 1);
}
END_TEST

/* Credits that a message by a trap got back are the endpoint's, and good for another such. */
START_TEST(credits_by_both_ways)
{
    const struct dtu_header *m;

    rx_gate(x, S, RX_SEND, R, 2 * 256);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_OK);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_MISS_CREDITS);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(m->length, 1);
    vdtu_store(x->pe[R].d, DTU_DATA_SIZE, 0, 8);
    vdtu_store(x->pe[R].d, DTU_OFFSET, (uintptr_t)m - (uintptr_t)x->pe[R].mem, 8);
    vdtu_store(x->pe[R].d, DTU_COMMAND, DTU_CMD(DTU_REPLY, RX_RECV), 8);
    ck_assert_uint_eq(vdtu_reg(x->pe[R].d, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT, SE_OK);
    ck_assert_uint_eq(send(S, 2), RING_TRAP);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "yz", 2), SE_OK);
    ck_assert_uint_eq(send(S, 3), SE_MISS_CREDITS);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 2);
}
END_TEST

/* An answer may be longer than the channel was made for: by the DTU, and no credit gets lost. */
START_TEST(longer_answers)
{
    const struct dtu_header *m, *held;
    uint64_t v = 7;

    open_channel(S, 3 * 256);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    held = fetch(R, RX_RECV);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_OK);
    rx_set_ep(x, S, 7, dtu_recv_r0(12, 10), 0xC000, 0);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, &v, 8, 7, 0), RING_TRAP);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "b", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "c", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "d", 1), SE_MISS_CREDITS);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, held, "late", 4), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "d", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "e", 1), SE_MISS_CREDITS);
    for (unsigned i = 0; i < 2; i++) {
        m = fetch(S, RX_REPLY);
        ck_assert_uint_eq(m->length, i ? 4 : 1);
        ring_ack(&x->pe[S].r, m);
    }
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(*(const char *)(fetch(R, RX_RECV) + 1), 'b' + i);
    /* Where there are no credits a channel is no less for it. */
    rx_gate(x, S, RX_SEND + 1, T, DTU_CREDITS_UNLIM);
    vdtu_ring_open(x->pe[S].d, RX_SEND + 1);
    rx_set_ep(x, S, 6, dtu_recv_r0(12, 11), 0xD000, 0);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND + 1, &v, 8, 6, 0), RING_TRAP);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND + 1, &v, 8, 7, 0), SE_OK);
    /* Another endpoint in its place has the credits that it was given. */
    rx_gate(x, S, RX_SEND, R, 0);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "f", 1), SE_MISS_CREDITS);
}
END_TEST

/* Who writes answers to itself, or takes back what was taken, gets no credit for it. */
START_TEST(forged_answers)
{
    uint8_t *at = rg_entry(&x->pe[S].r, 0);
    const struct dtu_header *first, *m;
    const struct ring_desc *d;

    open_channel(S, 3 * 256);
    d = rg_desc(&x->pe[S].r, rg_table(&x->pe[S].r)->out[RX_SEND]);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    first = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(first), 0);
    for (unsigned i = 0; i < 3; i++)
        rg_store(at + RING_REP_OFF + i * d->rstride, i + 1);
    for (unsigned i = 0; i < d->slots; i++)
        rg_store(at + RING_FWD_OFF + i * d->stride, 0);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "a", 1), SE_OK); /* two that never were sent */
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "b", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "c", 1), SE_MISS_CREDITS);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, first, "x", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "c", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "d", 1), SE_MISS_CREDITS);
    for (unsigned i = 0; i < 3; i++) {
        m = fetch(R, RX_RECV);
        ck_assert_uint_eq(*(const char *)(m + 1), 'a' + i);
    }
}
END_TEST

/* One register of the endpoint is written, so that it has none, while its channel lives. */
START_TEST(credits_are_taken)
{
    const uint64_t none = dtu_send_r1(R, RX_RECV, 0);

    open_channel(S, SLOT);
    rx_write_reg(x, S, DTU_EP(RX_SEND, 1), &none, 1);
    ck_assert_uint_eq(send(S, 1), RING_TRAP);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
}
END_TEST

/* What was answered until then is the sender's who wants no rings any more, and nothing later; and
 * when nobody does, no memory is left behind. */
START_TEST(sender_without_rings)
{
    const struct dtu_header *m;

    open_channel(S, 3 * SLOT);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "x", 1), SE_OK);
    m = fetch(R, RX_RECV);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    vdtu_ring_disable(x->pe[S].d);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "x", 1), SE_VPE_GONE);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "a", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "b", 1), SE_MISS_CREDITS);
    vdtu_ring_bell(x->pe[R].d, 0);
    vdtu_ring_disable(x->pe[R].d);
    ck_assert_uint_eq(x->nspare, x->fresh);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "b", 1), SE_MISS_CREDITS);
}
END_TEST

/* What was answered before the receiver went is the sender's, what was not is lost with it. */
START_TEST(receiver_gone)
{
    open_channel(S, 3 * 256);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "x", 1), SE_OK);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    vdtu_ring_disable(x->pe[R].d);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "a", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "b", 1), SE_MISS_CREDITS);
    ring_ack(&x->pe[S].r, fetch(S, RX_REPLY));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(opened(S, RX_SEND + 1, T, SLOT), 0); /* the entry is free */
}
END_TEST

/* R says that it has answered, and then that it has not: what S has got by then stays all it gets.
 */
START_TEST(receiver_that_takes_back)
{
    open_channel(S, 3 * SLOT);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "x", 1), SE_OK);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "a", 1), SE_OK);
    own_words(R, 0)[RING_OWN_GRANTED] = 0;
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "b", 1), SE_MISS_CREDITS);
}
END_TEST

/* Where there are none an end is one like any other: S does not wait for R. */
START_TEST(ended_without_credits)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, "x", 1, DTU_EPS, 0), SE_OK);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(opened(S, RX_SEND + 1, T, SLOT), 0);
    ck_assert_uint_eq(fetch(R, RX_RECV)->length, 1);
}
END_TEST

/* R tells S, and not the host, that it is done, and then answers: S has no answer, but its credits,
 * though its entry was wanted for another endpoint meanwhile. */
START_TEST(receiver_that_lies)
{
    const struct dtu_header *m;

    open_channel(S, SLOT);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    vdtu_ring_end(x->pe[S].d, RX_SEND);
    rg_ctl(rg_entry(&x->pe[R].r, 0))->dst_closed = own_words(R, 0)[RING_OWN_GEN];
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0));
    ck_assert_uint_eq(opened(S, RX_SEND + 1, T, SLOT), 1);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "a", 1), SE_MISS_CREDITS);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "x", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "a", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "b", 1), SE_MISS_CREDITS);
}
END_TEST

/*
 * A channel of S's endpoint has ended, its answers have come since, and its entry is used again for
 * another endpoint: the credits are the first one's all the same, whether it sends by a trap or has
 * a channel once more.
 */
START_TEST(entry_of_another_endpoint)
{
    for (unsigned again = 0; again < 2; again++) {
        const struct dtu_header *m[2];

        open_channel(S, 3 * SLOT);
        ck_assert_uint_eq(send(S, 0), SE_OK);
        ck_assert_uint_eq(send(S, 1), SE_OK);
        m[0] = fetch(R, RX_RECV);
        m[1] = fetch(R, RX_RECV);
        vdtu_ring_end(x->pe[S].d, RX_SEND);
        for (unsigned i = 0; i < 2; i++) {
            ck_assert_uint_eq(ring_reply(&x->pe[R].r, m[i], "a", 1), SE_OK);
            ring_ack(&x->pe[S].r, fetch(S, RX_REPLY));
        }
        ck_assert_ptr_null(fetch(R, RX_RECV));
        ck_assert(closed(S, 0) && closed(R, 0));
        ck_assert_uint_eq(opened(S, RX_SEND + 1, T, SLOT), 0);
        if (again)
            vdtu_ring_open(x->pe[S].d, RX_SEND);
        for (unsigned i = 0; i < 3; i++)
            ck_assert_uint_eq(again ? send(S, i) : rx_trap_send(x, S, RX_SEND, "x", 1), SE_OK);
        ck_assert_uint_eq(again ? send(S, 3) : rx_trap_send(x, S, RX_SEND, "x", 1),
                          SE_MISS_CREDITS);
        teardown();
        setup();
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        credits_in_any_order,
        answers_unread,
        acknowledged,
        credits_by_both_ways,
        longer_answers,
        forged_answers,
        receiver_gone,
        receiver_that_lies,
        receiver_that_takes_back,
        ended_without_credits,
        credits_are_taken,
        sender_without_rings,
        entry_of_another_endpoint,
    };

    return RING_SUITE("ring_credits", tests);
}
