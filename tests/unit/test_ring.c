/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels: what the DTU promises holds on them, too, whatever the other side writes (RINGS.md).
 * PE 1 sends, PE 2 receives, PE 3 is somebody else, PE 0 plays the kernel through the NoC.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_pair.h"

static uint8_t *shared(unsigned pe, unsigned entry)
{
    return rg_entry(&x->pe[pe].r, entry);
}

START_TEST(message_and_answer)
{
    const struct dtu_header *m;
    uint64_t answer = 77;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 5), SE_OK);
    ck_assert(ring_pending(&x->pe[R].r, RX_RECV));
    ck_assert(!ring_pending(&x->pe[R].r, RX_REPLY));
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 5);
    ck_assert_uint_eq(m->flags, DTU_HD_REPLY_ENABLED);
    ck_assert_uint_eq(m->sender_pe, S);
    ck_assert_uint_eq(m->sender_vpe, S);
    ck_assert_uint_eq(m->sender_ep, DTU_NO_CREDIT_EP);
    ck_assert_uint_eq(m->reply_ep, RX_REPLY);
    ck_assert_uint_eq(m->length, 8);
    ck_assert(m->label == RX_LABEL + S);
    ck_assert(m->reply_label == 0x1005);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, &answer, 8), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, &answer, 8), SE_INV_ARGS);
    m = fetch(S, RX_REPLY);
    ck_assert_uint_eq(value_of(m), 77);
    ck_assert_uint_eq(m->flags, DTU_HD_REPLY | DTU_HD_GRANT);
    ck_assert_uint_eq(m->sender_pe, R);
    ck_assert_uint_eq(m->sender_ep, RX_RECV);
    ck_assert(m->label == 0x1005);
    ring_ack(&x->pe[S].r, m);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
}
END_TEST

/* Lists of commands are for endpoints that have no channel. */
START_TEST(lists_where_no_channel_is)
{
    ck_assert(ring_traps(&x->pe[S].r, RX_SEND));
    ck_assert(ring_silent(&x->pe[R].r, RX_RECV));
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert(!ring_traps(&x->pe[S].r, RX_SEND));
    ck_assert(!ring_silent(&x->pe[R].r, RX_RECV));
    ck_assert(ring_silent(&x->pe[R].r, RX_REPLY));
    ck_assert(!ring_silent(&x->pe[S].r, RX_REPLY)); /* answers come back */
    ck_assert(ring_traps(&x->pe[S].r, DTU_EPS));
    x->pe[S].r.own |= 1u << RX_SEND; /* of those that it configures itself the table may be old */
    ck_assert(ring_traps(&x->pe[S].r, RX_SEND));
    x->pe[R].r.on = false;
    ck_assert(ring_silent(&x->pe[R].r, RX_RECV));
    x->pe[R].r.on = true;
}
END_TEST

START_TEST(full)
{
    const struct dtu_header *m[4];

    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(send(S, i), SE_OK);
    ck_assert_uint_eq(send(S, 4), SE_NO_RING_SPACE);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(value_of(m[i] = fetch(R, RX_RECV)), i);
    ck_assert_uint_eq(send(S, 4), SE_NO_RING_SPACE); /* fetched is not free (dtu-spec 4) */
    ring_ack(&x->pe[R].r, m[2]);
    ck_assert_uint_eq(send(S, 4), SE_OK); /* in any order, as in the DTU */
    ring_ack(&x->pe[R].r, m[0]);
    ring_ack(&x->pe[R].r, m[1]);
    ck_assert_uint_eq(send(S, 5), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 4);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 5);
}
END_TEST

START_TEST(credits)
{
    const struct dtu_header *m;

    open_channel(S, 256);
    ck_assert_uint_eq(vdtu_reg(x->pe[S].d, DTU_EP(RX_SEND, 1)) & 0xFFFF, 0);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_MISS_CREDITS);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(m->sender_ep, RX_SEND);
    ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(send(S, 2), SE_MISS_CREDITS); /* an ACK brings nothing back */
    rx_gate(x, S, RX_SEND, R, 256);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(send(S, 3), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "y", 1), SE_OK);
    ck_assert_uint_eq(send(S, 4), SE_OK); /* the answer is there, though not fetched */
    ck_assert_uint_eq(send(S, 5), SE_MISS_CREDITS);
}
END_TEST

/* A sender that writes what it likes: it can only speak for itself, and only as much as it may. */
START_TEST(hostile_sender)
{
    struct ring_scan *scan = rg_scan(&x->pe[R].r);
    uint64_t *w;
    const struct dtu_header *m;

    open_channel(S, 256);
    w = (uint64_t *)(void *)(shared(S, 0) + RING_FWD_OFF);
    memset(shared(S, 0) + RING_SHARED_OFF, 0xFF, RING_SHARED_LEN);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    w[RING_LABEL] = ~0ull;
    w[RING_META] = 0xFFFF; /* longer than a slot */
    w[RING_SEQ] = 1;
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_uint_eq(x->pe[R].r.dropped, 1);
    ck_assert(!ring_pending(&x->pe[R].r, RX_RECV));
    /* One message's worth of credits went with it: more is not taken without an answer. */
    w[RING_META] = 4;
    w[RING_SEQ] = 2;
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(!ring_any(&x->pe[R].r));
    ck_assert(scan[0].want == ~0ull);

    open_channel(T, DTU_CREDITS_UNLIM); /* somebody else's messages come all the same */
    ck_assert_uint_eq(send(T, 9), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 9);
    ck_assert_uint_eq(m->sender_pe, T);
}
END_TEST

START_TEST(hostile_indices)
{
    open_channel(S, DTU_CREDITS_UNLIM);
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t *at = shared(S, 0) + RING_SHARED_OFF;
        const struct dtu_header *m;

        for (unsigned i = 0; i < 64; i++)
            at[(unsigned)rand() % RING_SHARED_LEN] = (uint8_t)rand();
        if (round % 3 == 0)
            *(uint64_t *)(void *)(at + 0x1000 + (round / 3 % 4) * 256) = round / 3 + 1;
        m = fetch(R, RX_RECV);
        if (m) {
            ck_assert_uint_eq(m->sender_pe, S);
            ck_assert(m->label == RX_LABEL + S);
            ck_assert_uint_le(m->length, 231);
            ring_reply(&x->pe[R].r, m, "z", 1);
        }
        fetch(S, RX_REPLY);
        send(S, round);
    }
    rx_revoke(x, S, RX_SEND);
    ck_assert_uint_eq(send(S, 1), RING_TRAP);
    ck_assert_uint_eq(RING_STATE(rg_desc(&x->pe[R].r, 0)->word), RING_DEAD);
}
END_TEST

/* A receiver that answers what it was not asked, or twice. */
START_TEST(hostile_receiver)
{
    const struct dtu_header *m;
    uint64_t *w;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_OK);
    w = (uint64_t *)(void *)(shared(R, 0) + RING_REP_OFF + 256);
    w[RING_LABEL] = 0; /* message 0 again */
    w[RING_META] = 1;
    w[RING_SEQ] = 2;
    m = fetch(S, RX_REPLY);
    ck_assert_uint_eq(m->length, 1);
    ring_ack(&x->pe[S].r, m);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(x->pe[S].r.dropped, 1);
    w = (uint64_t *)(void *)(shared(R, 0) + RING_REP_OFF + 512);
    w[RING_LABEL] = 12345; /* never sent */
    w[RING_SEQ] = 3;
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(x->pe[S].r.dropped, 2);
}
END_TEST

START_TEST(revoked)
{
    const struct dtu_header *m;
    uint64_t *w;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    rx_revoke(x, S, RX_SEND);
    ck_assert_uint_eq(send(S, 3), RING_TRAP);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_EP_INVALID);
    /* It still maps the page; nobody reads it any more. */
    w = (uint64_t *)(void *)(shared(S, 0) + RING_FWD_OFF);
    w[RING_DATA] = 666;
    w[256 / 8 + RING_DATA] = 666;
    w[2 * 256 / 8 + RING_META] = 8;
    w[2 * 256 / 8 + RING_SEQ] = 3;
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 1);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "late", 4), SE_OK); /* it may still be answered */
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 2);
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(!ring_any(&x->pe[R].r));
    m = fetch(S, RX_REPLY);
    ck_assert_uint_eq(m->length, 4);
    ring_ack(&x->pe[S].r, m);
}
END_TEST

/* Dead in the middle of a message: written, but not published. */
START_TEST(revoked_in_the_middle)
{
    uint64_t *w;

    open_channel(S, DTU_CREDITS_UNLIM);
    w = (uint64_t *)(void *)(shared(S, 0) + RING_FWD_OFF);
    w[RING_META] = 8;
    w[RING_DATA] = 1;
    rx_revoke(x, S, RX_SEND);
    w[RING_SEQ] = 1;
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(rg_desc(&x->pe[S].r, 0)->last == 0);
}
END_TEST

/* The block is used again only when both are done, and then there is nothing in it. */
START_TEST(used_again)
{
    const struct dtu_header *m;
    uint64_t word;

    open_channel(S, DTU_CREDITS_UNLIM);
    word = rg_desc(&x->pe[S].r, 0)->word;
    ck_assert_uint_eq(send(S, 0x5EC4E7), SE_OK);
    rx_revoke(x, S, RX_SEND);
    rx_gate(x, S, RX_SEND, R, DTU_CREDITS_UNLIM);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(send(S, 1), RING_TRAP); /* the old one is not drained */
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 0x5EC4E7);
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    x->pe[S].r.version = ~0ull;
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(x->fresh, 1);
    ck_assert_uint_ne(rg_desc(&x->pe[S].r, 0)->word, word); /* what was known of it is void */
    for (unsigned i = 0; i < RING_SHARED_LEN; i++)
        ck_assert_uint_eq(shared(S, 0)[RING_SHARED_OFF + i], 0);
    for (unsigned i = 0; i < RING_AREA; i++)
        ck_assert_uint_eq(shared(R, 0)[RING_INBOX_OFF + i] | shared(R, 0)[RING_FROZEN_OFF + i], 0);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
}
END_TEST

/* Neither side can give back for the other. */
START_TEST(closed_by_one)
{
    const struct dtu_header *m;
    struct ring_ctl *ctl;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 3), SE_OK);
    m = fetch(R, RX_RECV);
    rx_revoke(x, S, RX_SEND);
    ctl = rg_ctl(shared(S, 0));
    ctl->dst_closed = rg_desc(&x->pe[S].r, 0)->word >> 8;
    *(uint64_t *)(void *)(shared(S, 0) + RING_STATE_OFF) = ctl->dst_closed;
    rx_gate(x, S, RX_SEND, R, DTU_CREDITS_UNLIM);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], RING_NO_ENTRY);
    ck_assert_uint_eq(value_of(m), 3);
}
END_TEST

/* Before message `when` is taken the VMM fetches one that came by a trap; 0: never. */
static void order_of_five(unsigned when)
{
    struct rings *r = &x->pe[R].r;
    const struct dtu_header *m;
    uint64_t v;

    open_channel(S, DTU_CREDITS_UNLIM);
    rx_gate(x, S, RX_SEND + 1, R, DTU_CREDITS_UNLIM); /* a second gate has no channel */
    vdtu_ring_open(x->pe[S].d, RX_SEND + 1);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND + 1], RING_NO_ENTRY);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    v = 3;
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND + 1, &v, 8), SE_OK);
    ck_assert_uint_eq(send(S, 4), SE_OK);
    v = 5;
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, &v, 8), SE_OK);
    for (unsigned i = 1; i <= 5; i++) {
        if (i == when && !r->stashed)
            ring_fetched(r, RX_RECV, rx_hw_fetch(&x->pe[R], RX_RECV));
        ck_assert(ring_any(r));
        m = fetch(R, RX_RECV);
        ck_assert_uint_eq(value_of(m), i);
    }
    ck_assert_ptr_null(fetch(R, RX_RECV));
    ck_assert(!ring_any(r));
}

START_TEST(order_of_one_sender)
{
    for (unsigned when = 0; when <= 5; when++) {
        order_of_five(when);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(fetched_without_rings)
{
    struct rings none = {0};

    ring_fetched(&none, 3, 0); /* nothing */
    ring_fetched(&none, DTU_EPS, 0x1000);
    ck_assert(ring_sleep(&none));
    ring_fetched(&none, 3, 0x1000);
    ck_assert(ring_any(&none));
    ck_assert(ring_pending(&none, 3));
    ck_assert(!ring_pending(&none, 4));
    ck_assert(!ring_sleep(&none));
    ck_assert_ptr_null(ring_take_fetched(&none, 4));
    ck_assert_uint_eq((uintptr_t)ring_take_fetched(&none, 3), 0x1000);
    ck_assert_ptr_null(ring_take_fetched(&none, 3));
    ck_assert(!ring_any(&none));
    ck_assert(ring_sleep(&none));
}
END_TEST

START_TEST(receiver_is_reset)
{
    const struct dtu_header *m;

    open_channel(S, 256);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 1);
    vdtu_reset_cpu(x->pe[R].d, NULL);
    ck_assert_uint_eq(send(S, 2), RING_TRAP);
    ck_assert_uint_eq(RING_STATE(rg_desc(&x->pe[S].r, 0)->word), RING_GONE);
    for (unsigned i = 0; i < RING_AREA; i++)
        ck_assert_uint_eq(shared(R, 0)[RING_INBOX_OFF + i], 0);
    ck_assert_uint_eq(vdtu_poll(x->pe[R].d) & VDTU_BELL, 0);
    /* Its credits are back with the endpoint, not more of them. */
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
    rx_enable(x, R);
    open_channel(T, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(T, 8), SE_OK);
}
END_TEST

/* Credits that were owed to an endpoint are not those of the next one in its place. */
START_TEST(owed_to_the_old_endpoint)
{
    const uint64_t unlimited = dtu_send_r1(R, RX_RECV, DTU_CREDITS_UNLIM);

    open_channel(S, 256);
    vdtu_reset_cpu(x->pe[R].d, NULL);
    vdtu_ring_disable(x->pe[S].d);
    rx_gate(x, S, RX_SEND, R, 0);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
    rx_enable(x, S);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);

    rx_enable(x, R);
    open_channel(S, 256);
    vdtu_reset_cpu(x->pe[R].d, NULL);
    vdtu_ring_disable(x->pe[S].d);
    rx_gate(x, S, RX_SEND, R, DTU_CREDITS_UNLIM);
    rx_enable(x, S);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(vdtu_reg(x->pe[S].d, DTU_EP(RX_SEND, 1)), unlimited);
}
END_TEST

/* Nor does a sender lose them that wants no rings any more. */
START_TEST(owed_without_rings)
{
    open_channel(S, 256);
    vdtu_reset_cpu(x->pe[R].d, NULL);
    vdtu_ring_disable(x->pe[S].d);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_OK);
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_MISS_CREDITS);
}
END_TEST

/* 0: with its VPE; 1: its endpoint before, and it has written on. */
static void sender_goes(bool before)
{
    const uint64_t none = DTU_VPE_INVALID, id = S;
    const struct dtu_header *m;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ck_assert_uint_eq(send(S, 2), SE_OK);
    m = fetch(R, RX_RECV);
    if (before) {
        rx_revoke(x, S, RX_SEND);
        slot_of(S, 2)[RING_META] = 8;
        slot_of(S, 2)[RING_SEQ] = 3;
    }
    rx_write_reg(x, S, DTU_VPE_ID, &none, 1);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "a", 1), SE_VPE_GONE);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 2);
    ck_assert_uint_eq(m->sender_vpe, S);
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, RX_RECV));
    /* The next one on its PE has the entry, whether or not anybody has closed it. */
    rx_write_reg(x, S, DTU_VPE_ID, &id, 1);
    ck_assert_uint_eq(opened(S, RX_SEND + 1, T, DTU_CREDITS_UNLIM), 0);
}

START_TEST(sender_is_gone)
{
    sender_goes(false);
    teardown();
    setup();
    sender_goes(true);
}
END_TEST

START_TEST(receive_endpoint_is_taken)
{
    open_channel(S, 256);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    rx_revoke(x, R, RX_RECV);
    ck_assert_uint_eq(send(S, 2), RING_TRAP);
    ck_assert_ptr_null(fetch(R, RX_RECV)); /* invalidating discards (dtu-spec 4.6) */
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_RECV_GONE);
}
END_TEST

START_TEST(refused)
{
    rx_gate(x, S, RX_SEND, R, DTU_CREDITS_UNLIM);
    vdtu_ring_disable(x->pe[R].d); /* the receiver does not know rings */
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], RING_NO_ENTRY);
    rx_enable(x, R);
    rx_set_ep(x, S, RX_SEND, dtu_send_r0(9, 256), dtu_send_r1(R, RX_RECV, 0xFFFF), 0); /* its VPE */
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], RING_NO_ENTRY);
    rx_set_ep(x, S, RX_SEND, dtu_send_r0(R, 256), dtu_send_r1(R, 9, 0xFFFF), 0); /* no endpoint */
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], RING_NO_ENTRY);
    rx_set_ep(x, S, RX_SEND, dtu_send_r0(1000, 256), dtu_send_r1(1000, 2, 0xFFFF), 0); /* no PE */
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    vdtu_ring_open(x->pe[S].d, 99);
    vdtu_ring_bell(x->pe[S].d, 5);
    vdtu_ring_bell(x->pe[S].d, 5000);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], RING_NO_ENTRY);
}
END_TEST

/* A sender whose gate is revoked cannot keep the receiver awake; the receiver's answers still wake
 * it. */
START_TEST(no_bell_of_the_revoked)
{
    unsigned entry;

    open_channel(S, DTU_CREDITS_UNLIM);
    entry = rg_table(&x->pe[S].r)->out[RX_SEND];
    ck_assert_uint_eq(send(S, 1), SE_OK);
    x->pe[R].bells = 0;
    vdtu_ring_bell(x->pe[S].d, entry);
    ck_assert_uint_eq(x->pe[R].bells, 1);
    rx_revoke(x, S, RX_SEND);
    x->pe[R].bells = 0;
    for (unsigned i = 0; i < 10; i++)
        vdtu_ring_bell(x->pe[S].d, entry);
    ck_assert_uint_eq(x->pe[R].bells, 0);
    ring_ack(&x->pe[R].r, fetch(R, RX_RECV)); /* what it had sent before is there */
}
END_TEST

START_TEST(counted)
{
    struct vdtu_stats s;

    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(send(S, 1), SE_OK);
    ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "a", 1);
    vdtu_noc_rings_settle(x->noc);
    vdtu_stats(x->pe[S].d, &s);
    ck_assert_uint_eq(s.ring_sent, 1);
    ck_assert_uint_eq(s.ring_received, 1);
    slot_of(S, 0)[RING_SEQ] = 0; /* nothing that was counted is taken back */
    vdtu_noc_rings_settle(x->noc);
    vdtu_stats(x->pe[S].d, &s);
    ck_assert_uint_eq(s.ring_sent, 1);
    ck_assert_uint_eq(s.channels, 1);
    /* An answer that comes when the channel has ended counts, too, and whoever asks first. */
    ck_assert_uint_eq(send(S, 2), SE_OK);
    rx_revoke(x, S, RX_SEND);
    ring_reply(&x->pe[R].r, fetch(R, RX_RECV), "a", 1);
    ring_ack(&x->pe[S].r, fetch(S, RX_REPLY));
    ring_ack(&x->pe[S].r, fetch(S, RX_REPLY));
    ck_assert_ptr_null(fetch(R, RX_RECV));
    open_channel(S, DTU_CREDITS_UNLIM);
    ck_assert_uint_eq(x->fresh, 1);
    vdtu_stats(x->pe[R].d, &s);
    ck_assert_uint_eq(s.ring_sent, 2);
    ck_assert_uint_eq(s.ring_received, 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        message_and_answer,
        lists_where_no_channel_is,
        full,
        credits,
        hostile_sender,
        hostile_indices,
        hostile_receiver,
        revoked,
        revoked_in_the_middle,
        used_again,
        closed_by_one,
        order_of_one_sender,
        fetched_without_rings,
        receiver_is_reset,
        owed_to_the_old_endpoint,
        owed_without_rings,
        sender_is_gone,
        receive_endpoint_is_taken,
        refused,
        no_bell_of_the_revoked,
        counted,
    };

    return RING_SUITE("ring", tests);
}
