/* SPDX-License-Identifier: BSD-2-Clause */
/* PE 1 sends over a channel to PE 2, with checks: for the tests of channels. */
#ifndef RING_PAIR_H
#define RING_PAIR_H

#include <check.h>

#include "ring_fixture.h"

enum { S = 1, R = 2 };

static struct rx *x;

static inline void setup(void)
{
    x = rx_new(2); /* 4 slots */
}
static inline void teardown(void)
{
    rx_free(x);
}

static inline unsigned send(unsigned pe, uint64_t value)
{
    return ring_send(&x->pe[pe].r, RX_SEND, &value, sizeof(value), RX_REPLY, 0x1000 + value);
}

static inline void open_channel(unsigned pe, unsigned credits)
{
    rx_gate(x, pe, RX_SEND, R, credits);
    vdtu_ring_open(x->pe[pe].d, RX_SEND);
    ck_assert_uint_ne(rg_table(&x->pe[pe].r)->out[RX_SEND], RING_NO_ENTRY);
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

#endif
