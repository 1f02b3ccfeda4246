/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channels with a hostile PE: it writes what it likes wherever it can write, and the others, the
 * host and two honest PEs, must stay whole.  An honest PE's messages arrive, in order, whatever
 * PE 1 does; what comes from PE 1 says so; nothing is read or written beyond the windows (ASan).
 */
/* LINK: vdtu guest/lib/ring.c guest/lib/ring_in.c guest/lib/ring_out.c */
/* LINK: guest/lib/ring_quick.c guest/lib/ring_back.c guest/lib/dtu_drv.c */
#include "../unit/ring_fixture.h"
#include "input.h"

enum { BAD = 1, R = 2, GOOD = 3 };

struct state {
    struct rx *x;
    const struct dtu_header *held[8]; /* that the receiver has */
    uint64_t sent, got;               /* of the honest sender */
};

static void receive(struct state *s, unsigned slot)
{
    const struct dtu_header *m = rx_msg(s->x, R, ring_fetch(&s->x->pe[R].r, RX_RECV));
    uint64_t v;

    if (!m)
        return;
    PE_WANT(m->sender_pe == BAD || m->sender_pe == GOOD);
    PE_WANT(m->sender_vpe == m->sender_pe && m->label == RX_LABEL + m->sender_pe);
    PE_WANT(m->length <= 256 - sizeof(*m));
    if (m->sender_pe == GOOD) {
        PE_WANT(m->length == 8);
        memcpy(&v, m + 1, 8);
        PE_WANT(v == s->got);
        s->got++;
    }
    if (s->held[slot % 8] && ring_owns(&s->x->pe[R].r, s->held[slot % 8]))
        ring_ack(&s->x->pe[R].r, s->held[slot % 8]);
    s->held[slot % 8] = m;
}

/* Anywhere in what PE 1 maps for writing; its entries are those at 0 and 1. */
static void scribble(struct state *s, struct input *in)
{
    unsigned entry = byte(in) & 1, off = word(in), n = byte(in) % 32;
    uint8_t *at = rg_entry(&s->x->pe[BAD].r, entry) + RING_SHARED_OFF;

    if (entry && off % 2) { /* as a receiver of the other honest PE: its private pages, too */
        at = rg_entry(&s->x->pe[BAD].r, entry) + RING_STATE_OFF;
    }
    for (unsigned i = 0; i < n; i++)
        at[(off + i) % RING_SHARED_LEN] = (uint8_t)byte(in);
}

/* A message with a right number, so that more than the first check is reached. */
static void forge(struct state *s, struct input *in)
{
    const struct ring_in *st =
        (const struct ring_in *)(void *)(rg_entry(&s->x->pe[R].r, 0) + RING_STATE_OFF);
    const struct ring_desc *d = rg_desc(&s->x->pe[BAD].r, 0);
    unsigned slot = d->slots ? (unsigned)(st->taken & (d->slots - 1u)) : 0;
    uint64_t *w = (uint64_t *)(void *)(rg_entry(&s->x->pe[BAD].r, 0) + RING_FWD_OFF + slot * 256);

    w[RING_META] = word(in) | (uint64_t)word(in) << 16 | (uint64_t)byte(in) << 32;
    w[RING_SEQ] = st->taken + 1 + byte(in) % 2;
}

/* Words that a kernel could write, for an honest one or for nobody. */
static void lane(struct state *s, unsigned arg, struct input *in)
{
    const struct ring_lane l = {arg,
                                {dtu_send_r0(R, word(in)),
                                 dtu_send_r1(byte(in) % 8, RX_RECV, DTU_CREDITS_UNLIM),
                                 RX_LABEL + BAD}};

    vdtu_ring_lane(s->x->pe[BAD].d, &l);
    vdtu_ring_end(s->x->pe[BAD].d, byte(in));
}

static void step(struct state *s, struct input *in)
{
    struct rx *x = s->x;
    unsigned op = byte(in), arg = byte(in), i = arg % 8;

    switch (op % 13) {
    case 0:
        scribble(s, in);
        break;
    case 1:
        forge(s, in);
        break;
    case 2:
    case 3:
        receive(s, arg);
        break;
    case 4:
        if (s->held[i] && ring_owns(&x->pe[R].r, s->held[i]))
            ring_reply(&x->pe[R].r, s->held[i], "answer", arg % 7);
        s->held[i] = NULL;
        break;
    case 5:
        if (ring_send(&x->pe[GOOD].r, RX_SEND, &s->sent, 8, RX_REPLY, 0) == SE_OK)
            s->sent++;
        break;
    case 6:
        ring_ack(&x->pe[GOOD].r, ring_fetch(&x->pe[GOOD].r, RX_REPLY));
        break;
    case 7:
        ring_send(&x->pe[BAD].r, RX_SEND, &arg, 4, arg % 3, 0);
        break;
    case 8:
        rx_revoke(x, BAD, RX_SEND);
        break;
    case 9:
        rx_gate(x, BAD, RX_SEND, R, arg & 1 ? DTU_CREDITS_UNLIM : 256);
        break;
    case 10:
        vdtu_ring_open(x->pe[BAD].d, arg);
        vdtu_ring_bell(x->pe[BAD].d, arg);
        break;
    case 11:
        lane(s, arg, in);
        break;
    default:
        vdtu_ring_open(x->pe[BAD].d, RX_SEND);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size < 2048 ? size : 2048};
    struct state s = {.x = rx_new(2)};

    rx_gate(s.x, BAD, RX_SEND, R, DTU_CREDITS_UNLIM);
    vdtu_ring_open(s.x->pe[BAD].d, RX_SEND);
    rx_gate(s.x, GOOD, RX_SEND, R, DTU_CREDITS_UNLIM);
    vdtu_ring_open(s.x->pe[GOOD].d, RX_SEND);
    while (in.left)
        step(&s, &in);
    /* What the honest one sent is all there. */
    for (unsigned i = 0; i < 200 && s.got < s.sent; i++)
        receive(&s, i);
    PE_WANT(s.got == s.sent);
    rx_free(s.x);
    return 0;
}
