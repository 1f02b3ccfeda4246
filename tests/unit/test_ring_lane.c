/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes: channels for words that are in no endpoint (RINGS.md), which only who is privileged may
 * have, and what they do when the receiver, the words or the right to them change.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include <check.h>

#include "ring_pair.h"

#define LABEL 0xABCDEF0000ull

static void lanes_setup(void)
{
    setup();
    x->pe[S].r.lanes = true;
}

static unsigned send_to(unsigned pe, uint64_t label, uint64_t value)
{
    const struct ring_to to = {.pe = pe, .vpe = pe, .ep = RX_RECV, .label = label};

    return ring_send_to(&x->pe[S].r, &to, &value, sizeof(value), RX_REPLY, 0x1000 + value);
}

/* The lane that has a channel; RING_LANES: none. */
static unsigned open_lane(unsigned from)
{
    for (unsigned n = from; n < RING_LANES; n++)
        if (rg_table(&x->pe[S].r)->out[DTU_EPS + n] != RING_NO_ENTRY)
            return n;
    return RING_LANES;
}

/* The fourth one asks and has it. */
static void open_to(unsigned pe, uint64_t label)
{
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send_to(pe, label, i), RING_TRAP);
    ck_assert_uint_eq(send_to(pe, label, 100), SE_OK);
}

static void set_status(unsigned pe, uint64_t status)
{
    rx_write_reg(x, pe, DTU_STATUS, &status, 1);
}

/* What a kernel does for a message where there is no ring. */
static unsigned trap_to(unsigned pe, uint64_t label, uint64_t value)
{
    rx_set_ep(x, S, RX_SEND, dtu_send_r0(pe, 256), dtu_send_r1(pe, RX_RECV, DTU_CREDITS_UNLIM),
              label);
    return rx_trap_send(x, S, RX_SEND, &value, sizeof(value));
}

START_TEST(message_and_answer)
{
    const struct dtu_header *m;
    uint64_t answer = 9;

    open_to(R, LABEL);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(value_of(m), 100);
    ck_assert(m->label == LABEL && m->sender_pe == S && m->sender_vpe == S);
    ck_assert_uint_eq(m->sender_ep, DTU_NO_CREDIT_EP);
    ck_assert_uint_eq(m->flags, DTU_HD_REPLY_ENABLED);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, &answer, 8), SE_OK);
    m = fetch(S, RX_REPLY);
    ck_assert_uint_eq(value_of(m), 9);
    ck_assert(m->label == 0x1000 + 100 && m->sender_pe == R && m->sender_ep == RX_RECV);
    ring_ack(&x->pe[S].r, m);
}
END_TEST

START_TEST(full_like_the_dtu)
{
    const struct dtu_header *m;

    open_to(R, LABEL);
    for (unsigned i = 1; i < 4; i++)
        ck_assert_uint_eq(send_to(R, LABEL, i), SE_OK);
    ck_assert_uint_eq(send_to(R, LABEL, 4), SE_NO_RING_SPACE);
    m = fetch(R, RX_RECV);
    ck_assert_uint_eq(send_to(R, LABEL, 4), SE_NO_RING_SPACE);
    ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(send_to(R, LABEL, 4), SE_OK);
}
END_TEST

/* 32 slots of 2048 bytes, as kernels have: 8 of them have place.  The others are the DTU's. */
START_TEST(what_has_no_place_goes_by_a_trap)
{
    const struct dtu_header *m;
    static uint8_t longest[4096];
    const struct ring_to to = {.pe = R, .vpe = R, .ep = RX_RECV, .label = LABEL};

    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(16, 11), 0x10000, 0);
    open_to(R, LABEL);
    for (unsigned i = 1; i < 8; i++)
        ck_assert_uint_eq(send_to(R, LABEL, i), SE_OK);
    ck_assert_uint_eq(send_to(R, LABEL, 8), RING_TRAP);
    ck_assert_uint_eq(trap_to(R, LABEL, 8), SE_OK);
    ck_assert_uint_eq(value_of(m = fetch(R, RX_RECV)), 100);
    ring_ack(&x->pe[R].r, m);
    ck_assert_uint_eq(send_to(R, LABEL, 9), SE_OK);
    for (unsigned i = 1; i < 10; i++)
        ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), i);
    /* Whether that fits into a slot is the DTU's to say. */
    ck_assert_uint_eq(ring_send_to(&x->pe[S].r, &to, longest, 2049 - 25, RX_REPLY, 0), RING_TRAP);
}
END_TEST

START_TEST(privileged_only)
{
    const struct ring_lane lane = {
        3, {dtu_send_r0(R, 256), dtu_send_r1(R, RX_RECV, DTU_CREDITS_UNLIM), LABEL}};

    set_status(S, 0);
    ck_assert(!vdtu_ring_lane(x->pe[S].d, &lane));
    ck_assert_uint_eq(open_lane(0), RING_LANES);
    for (unsigned i = 0; i < 9; i++)
        ck_assert_uint_eq(send_to(R, LABEL, i), RING_TRAP);
    set_status(S, DTU_STATUS_PRIV);
    ck_assert(vdtu_ring_lane(x->pe[S].d, &lane));
    ck_assert_uint_eq(open_lane(0), 3);
}
END_TEST

START_TEST(not_words_of_a_lane)
{
    struct ring_lane lane = {
        RING_LANES, {dtu_send_r0(R, 256), dtu_send_r1(R, RX_RECV, DTU_CREDITS_UNLIM), LABEL}};

    ck_assert(!vdtu_ring_lane(x->pe[S].d, &lane));
    lane.lane = (1ull << 32) + 3;
    ck_assert(!vdtu_ring_lane(x->pe[S].d, &lane));
    lane.lane = RING_LANES - 1;
    lane.words[1] = dtu_send_r1(R, RX_RECV, 256); /* credits must be kept somewhere */
    ck_assert(!vdtu_ring_lane(x->pe[S].d, &lane));
    lane.words[0] = dtu_recv_r0(10, 8);
    lane.words[1] = dtu_send_r1(R, RX_RECV, DTU_CREDITS_UNLIM);
    ck_assert(!vdtu_ring_lane(x->pe[S].d, &lane));
    /* Refused like an endpoint's: nobody is there, it is S itself, another VPE, no such endpoint.
     */
    lane.words[0] = dtu_send_r0(R + 1, 256);
    ck_assert(vdtu_ring_lane(x->pe[S].d, &lane));
    lane.words[0] = dtu_send_r0(R, 256);
    lane.words[1] = dtu_send_r1(900, RX_RECV, DTU_CREDITS_UNLIM);
    ck_assert(vdtu_ring_lane(x->pe[S].d, &lane));
    lane.words[1] = dtu_send_r1(S, RX_RECV, DTU_CREDITS_UNLIM);
    ck_assert(vdtu_ring_lane(x->pe[S].d, &lane));
    lane.words[1] = dtu_send_r1(R, 200, DTU_CREDITS_UNLIM);
    ck_assert(vdtu_ring_lane(x->pe[S].d, &lane));
    ck_assert_uint_eq(open_lane(0), RING_LANES);
    lane.words[1] = dtu_send_r1(R, RX_RECV, DTU_CREDITS_UNLIM);
    ck_assert(vdtu_ring_lane(x->pe[S].d, &lane));
    ck_assert_uint_eq(open_lane(0), RING_LANES - 1);
}
END_TEST

/* It could no longer write such words itself; what it had sent has been sent. */
START_TEST(privilege_is_lost)
{
    open_to(R, LABEL);
    ck_assert_uint_eq(send_to(R, LABEL, 1), SE_OK);
    set_status(S, 0);
    ck_assert_uint_eq(open_lane(0), RING_LANES);
    for (unsigned i = 0; i < 9; i++)
        ck_assert_uint_eq(send_to(R, LABEL, 2), RING_TRAP);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 100);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 1);
    ck_assert_ptr_null(fetch(R, RX_RECV));
}
END_TEST

/* Its channel ends as any does, and the lane gets another when there is somebody again. */
START_TEST(receiver_changes)
{
    const uint64_t other = R + 100, same = R;

    open_to(R, LABEL);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 100);
    rx_write_reg(x, R, DTU_VPE_ID, &other, 1);
    ck_assert_uint_eq(open_lane(0), RING_LANES);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(send_to(R, LABEL, i), RING_TRAP);
    ck_assert_uint_eq(trap_to(R, LABEL, 0), SE_VPE_GONE);
    rx_write_reg(x, R, DTU_VPE_ID, &same, 1);
    rx_enable(x, R); /* a program that begins anew */
    ck_assert_uint_eq(send_to(R, LABEL, 7), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 7);
    rx_set_ep(x, R, RX_RECV, dtu_recv_r0(10, 8), 0x10000, 0);
    ck_assert_uint_eq(open_lane(0), RING_LANES);
}
END_TEST

/* Who has sent by a ring and then by a trap has sent in that order. */
START_TEST(order)
{
    open_to(R, LABEL);
    ck_assert_uint_eq(trap_to(R, LABEL, 1), SE_OK);
    ck_assert_uint_eq(send_to(R, LABEL, 2), SE_OK);
    ck_assert_uint_eq(trap_to(R, LABEL, 3), SE_OK);
    ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), 100);
    for (unsigned i = 1; i < 4; i++)
        ck_assert_uint_eq(value_of(fetch(R, RX_RECV)), i);
}
END_TEST

/*
 * More targets than there are lanes: each message says whose it is, and a lane's channel goes to no
 * one but for whom it was opened.  Of the labels for one endpoint one has the channel at a time.
 */
START_TEST(more_targets_than_lanes)
{
    unsigned rings = 0, traps = 0;

    for (uint64_t label = 1; label <= 4 * RING_LANES; label++)
        for (unsigned i = 0; i < 12; i++) {
            unsigned to = label % 2 ? R : 3;
            unsigned err = send_to(to, label, label * 16 + i);
            const struct dtu_header *m;

            ck_assert(err == SE_OK || err == RING_TRAP);
            rings += err == SE_OK;
            traps += err == RING_TRAP;
            if (err == RING_TRAP)
                ck_assert_uint_eq(trap_to(to, label, label * 16 + i), SE_OK);
            m = ring_fetch(&x->pe[to].r, RX_RECV);
            ck_assert_uint_eq(value_of(rx_msg(x, to, m)), label * 16 + i);
            ck_assert(rx_msg(x, to, m)->label == label);
            if (err == RING_TRAP)
                vdtu_ack(x->pe[to].d, RX_RECV, (uintptr_t)m);
            else
                ring_ack(&x->pe[to].r, m);
        }
    ck_assert_uint_gt(rings, 4 * 9); /* not only the first two labels', 9 each */
    ck_assert_uint_gt(traps, rings);
}
END_TEST

/* Without rings, and without the right, there is nothing but traps, and nobody is asked. */
START_TEST(not_without_rings)
{
    x->pe[S].r.lanes = false;
    for (unsigned i = 0; i < 9; i++)
        ck_assert_uint_eq(send_to(R, LABEL, i), RING_TRAP);
    x->pe[S].r.lanes = true;
    vdtu_ring_disable(x->pe[S].d);
    ck_assert(!vdtu_ring_lane(x->pe[S].d, &(struct ring_lane){.lane = 0}));
    vdtu_ring_end(x->pe[S].d, DTU_EPS);
    set_status(S, 0);
}
END_TEST

/* Its channel goes to another target while messages are out: their answers come all the same. */
START_TEST(answers_after_the_lane_is_anothers)
{
    const struct ring_to third = {.pe = 3, .vpe = 3, .ep = RX_RECV, .label = LABEL};
    const struct dtu_header *held[2];
    struct rings *r = &x->pe[S].r;
    unsigned lane;

    rx_set_ep(x, S, RX_REPLY, dtu_recv_r0(10, 8), 0x8000, 0);
    open_to(R, LABEL);
    ck_assert_uint_eq(send_to(R, LABEL, 1), SE_OK);
    held[0] = fetch(R, RX_RECV); /* the second one is still in the ring */
    lane = open_lane(0);
    for (unsigned i = 0; open_lane(lane) == lane; i++) {
        ck_assert_uint_lt(i, 100 * RING_LANES);
        send_to(R, LABEL + 1 + i, 0);
    }
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(ring_send_to(r, &third, "x", 1, RX_REPLY, 7), i < 3 ? RING_TRAP : SE_OK);
    ck_assert_uint_eq(value_of(held[1] = fetch(R, RX_RECV)), 1);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, held[1], "b", 1), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[3].r, fetch(3, RX_RECV), "c", 1), SE_OK);
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, held[0], "a", 1), SE_OK);
    for (unsigned seen = 0, i = 0; i < 3; i++) {
        const struct dtu_header *m = fetch(S, RX_REPLY);

        ck_assert_ptr_nonnull(m);
        ck_assert(m->label == 0x1000 + 100 || m->label == 0x1000 + 1 || m->label == 7);
        ck_assert_uint_eq(seen >> (m->label & 31) & 1, 0);
        seen |= 1u << (m->label & 31);
        ring_ack(r, m);
    }
    /* All is done, so R's endpoint can have a channel again. */
    ck_assert_ptr_null(fetch(R, RX_RECV));
    open_to(R, LABEL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ring_lane");
    TCase *tc = tcase_create("all");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(tc, lanes_setup, teardown);
    tcase_add_test(tc, message_and_answer);
    tcase_add_test(tc, full_like_the_dtu);
    tcase_add_test(tc, what_has_no_place_goes_by_a_trap);
    tcase_add_test(tc, privileged_only);
    tcase_add_test(tc, not_words_of_a_lane);
    tcase_add_test(tc, privilege_is_lost);
    tcase_add_test(tc, receiver_changes);
    tcase_add_test(tc, order);
    tcase_add_test(tc, more_targets_than_lanes);
    tcase_add_test(tc, not_without_rings);
    tcase_add_test(tc, answers_after_the_lane_is_anothers);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
