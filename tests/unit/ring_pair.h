/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PE 1 sends over a channel to PE 2, with checks: for the tests of channels.  PE 3 is somebody
 * else, PE 0 another one, or plays the kernel through the NoC.
 */
#ifndef RING_PAIR_H
#define RING_PAIR_H

#include "ring_fixture.h"
#include "suite.h"

enum { P = 0, S = 1, R = 2, T = 3 };

#define SLOT 256u /* of the fixture's endpoints, in a ring as well */

static struct rx *x;

static inline void setup(void)
{
    x = rx_new(2); /* 4 slots */
}
static inline void teardown(void)
{
    rx_free(x);
}

#define RING_SUITE(name, tests) suite_run(name, tests, SUITE_COUNT(tests), setup, teardown, 120)

static inline unsigned send(unsigned pe, uint64_t value)
{
    return ring_send(&x->pe[pe].r, RX_SEND, &value, sizeof(value), RX_REPLY, 0x1000 + value);
}

/* The entry of ep's channel, once it has been asked for; RING_NO_ENTRY: it was refused. */
static inline unsigned opened(unsigned pe, unsigned ep, unsigned to, unsigned credits)
{
    rx_gate(x, pe, ep, to, credits);
    vdtu_ring_open(x->pe[pe].d, ep);
    return rg_table(&x->pe[pe].r)->out[ep];
}

static inline void open_channel(unsigned pe, unsigned credits)
{
    ck_assert_uint_ne(opened(pe, RX_SEND, R, credits), RING_NO_ENTRY);
}

static inline const struct dtu_header *fetch(unsigned pe, unsigned ep)
{
    return rx_msg(x, pe, ring_fetch(&x->pe[pe].r, ep));
}

static inline uint64_t value_of(const struct dtu_header *m)
{
    uint64_t v = 0;

    ck_assert_ptr_nonnull(m);
    memcpy(&v, m + 1, m->length < 8 ? m->length : 8);
    return v;
}

/* ---- what stands in the memory of a channel ---- */

/* The words of a slot: of messages from pe, which has its channel in entry 0; */
static inline uint64_t *slot_of(unsigned pe, unsigned slot)
{
    return (uint64_t *)(void *)(rg_entry(&x->pe[pe].r, 0) + RING_FWD_OFF + slot * SLOT);
}

/* of answers, in entry 0 of pe. */
static inline uint64_t *answer_slot(unsigned pe, unsigned slot)
{
    return (uint64_t *)(void *)(rg_entry(&x->pe[pe].r, 0) + RING_REP_OFF +
                                slot * (size_t)rg_desc(&x->pe[pe].r, 0)->rstride);
}

/* What R writes by hand: the answer to message `index`, which has record `number`. */
static inline void forge_answer(unsigned place, uint64_t index, uint64_t number, uint64_t value)
{
    uint64_t *w = answer_slot(R, place);

    w[RING_LABEL] = index;
    w[RING_META] = 8 | number << 16;
    w[RING_DATA] = value;
    w[RING_SEQ] = place + 1;
}

/* The words of an entry that the host looks at (enum ring_own). */
static inline uint64_t *own_words(unsigned pe, unsigned entry)
{
    return (uint64_t *)(void *)(rg_entry(&x->pe[pe].r, entry) + RING_STATE_OFF);
}

/* Has pe said that it has no more use for the channel there? */
static inline bool closed(unsigned pe, unsigned entry)
{
    return own_words(pe, entry)[RING_OWN_CLOSED] == RING_GEN(rg_desc(&x->pe[pe].r, entry)->word);
}

#endif
