/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Revocation from the middle of a copy, every time and not by luck: the second page of a message is
 * not there, and who touches it finds that the kernel has just written the sender's endpoint.
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "ring_trap.h"

#define BIG_EP 6u
#define SIZE   6000u /* a page and a half */

static bool scribble;

static void revoke_now(void)
{
    rx_revoke(x, S, RX_SEND);
    for (unsigned i = RING_DATA; scribble && i < RING_DATA + SIZE / 8; i++)
        slot_of(S, 0)[i] = 666; /* what it still maps */
}

/* From now on PE `pe` does not get beyond the first page of a slot, which has two. */
static void lay(unsigned pe, unsigned slot, uint8_t *next)
{
    uint8_t *at = rg_entry(&x->pe[pe].r, 0) + RING_FWD_OFF;

    lay_trap(at + (2 * slot + 1) * RING_PAGE, next, revoke_now);
}

static void open_big(void)
{
    rx_set_ep(x, R, BIG_EP, dtu_recv_r0(14, 13), 0x10000, 0); /* 2 slots of 8 KiB */
    rx_set_ep(x, S, RX_SEND, dtu_send_r0(R, 8192), dtu_send_r1(R, BIG_EP, DTU_CREDITS_UNLIM), 9);
    vdtu_ring_open(x->pe[S].d, RX_SEND);
    ck_assert_uint_eq(rg_table(&x->pe[S].r)->out[RX_SEND], 0);
}

static unsigned send_big(uint64_t value)
{
    static uint64_t words[SIZE / 8];

    for (unsigned i = 0; i < SIZE / 8; i++)
        words[i] = value;
    return ring_send(&x->pe[S].r, RX_SEND, words, SIZE, RX_REPLY, value);
}

/* The receiver is in the middle: it takes what was sent, and nothing of what was written since. */
START_TEST(while_it_is_taken)
{
    const struct dtu_header *m;
    uint64_t w;

    open_big();
    ck_assert_uint_eq(send_big(5), SE_OK);
    scribble = true;
    lay(R, 0, NULL);
    m = fetch(R, BIG_EP);
    ck_assert_int_eq(caught, 1);
    if (!m) /* the copy counts for nothing; the message is what the host has kept */
        m = fetch(R, BIG_EP);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->length, SIZE);
    for (unsigned i = 0; i < SIZE / 8; i++) {
        memcpy(&w, (const uint8_t *)(m + 1) + 8 * i, 8);
        ck_assert_uint_eq(w, 5);
    }
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, BIG_EP));
}
END_TEST

/* The sender is: its SEND was none, and it says so. */
START_TEST(while_it_is_sent)
{
    open_big();
    scribble = false;
    lay(S, 0, NULL);
    ck_assert_uint_eq(send_big(5), RING_TRAP);
    ck_assert_int_eq(caught, 1);
    ck_assert_uint_eq(slot_of(S, 0)[RING_SEQ], 1); /* written all the same */
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert(closed(S, 0)); /* it expects no answer */
    ck_assert_ptr_null(fetch(R, BIG_EP));
    ck_assert(!ring_any(&x->pe[R].r));
    ck_assert_uint_eq(rx_trap_send(x, S, RX_SEND, "x", 1), SE_EP_INVALID);
}
END_TEST

/*
 * It has published the message and is about to look whether the channel lives: what the host found
 * in the ring was sent, and the sender is told so.
 */
START_TEST(just_after_it_was_sent)
{
    const struct dtu_header *m;

    open_big();
    scribble = false;
    lay(S, 0, RX_TABLE(&x->pe[S]) + RING_DESC_OFF);
    ck_assert_uint_eq(send_big(5), SE_OK);
    ck_assert_int_eq(caught, 2);
    ck_assert_uint_eq(send_big(6), RING_TRAP);
    m = fetch(R, BIG_EP);
    ck_assert_uint_eq(value_of(m), 5);
    ring_ack(&x->pe[R].r, m);
    ck_assert_ptr_null(fetch(R, BIG_EP));
}
END_TEST

/* The same with one before it that was accepted. */
START_TEST(while_the_second_is_sent)
{
    const struct dtu_header *m;

    open_big();
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, "first", 6, RX_REPLY, 0), SE_OK);
    scribble = false;
    lay(S, 1, NULL);
    ck_assert_uint_eq(send_big(5), RING_TRAP);
    ck_assert_int_eq(caught, 1);
    m = fetch(R, BIG_EP);
    ck_assert_ptr_nonnull(m);
    ck_assert_str_eq((const char *)(m + 1), "first");
    ck_assert_ptr_null(fetch(R, BIG_EP));
}
END_TEST

/* The second one wants no answer: that the first one does is not forgotten with it. */
START_TEST(while_one_without_answer_is_sent)
{
    static const uint8_t data[SIZE];
    const struct dtu_header *m;

    open_big();
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, "first", 6, RX_REPLY, 0), SE_OK);
    scribble = false;
    lay(S, 1, NULL);
    ck_assert_uint_eq(ring_send(&x->pe[S].r, RX_SEND, data, SIZE, DTU_EPS, 0), RING_TRAP);
    ck_assert_int_eq(caught, 1);
    m = fetch(R, BIG_EP);
    ck_assert_ptr_null(fetch(S, RX_REPLY));
    ck_assert_uint_eq(ring_reply(&x->pe[R].r, m, "yes", 4), SE_OK);
    m = fetch(S, RX_REPLY);
    ck_assert_ptr_nonnull(m);
    ck_assert_str_eq((const char *)(m + 1), "yes");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {while_it_is_taken, while_it_is_sent, just_after_it_was_sent,
                                  while_the_second_is_sent, while_one_without_answer_is_sent};

    return RING_SUITE("ring_middle", tests);
}
