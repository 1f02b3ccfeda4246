/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel 8259A, 231468-003.  What of it a PC's chip set changes: see pic.h.
 */
#include "pic.h"

#include <string.h>

enum { MASTER = 0, SLAVE = 1, CASCADE = 2, NONE = 8 };

static bool slave_output(const struct pic *p);

/* IRR. */
static uint8_t requests(const struct pic *p, unsigned chip)
{
    const struct pic_chip *c = &p->chip[chip];
    uint8_t irr = (uint8_t)((c->lines & c->elcr) | c->edges);

    if (chip == MASTER && !c->single)
        irr = (uint8_t)((irr & ~(1u << CASCADE)) | (unsigned)slave_output(p) << CASCADE);
    return irr;
}

/* How far down the order of priorities the first of these inputs is; NONE: there is none. */
static unsigned rank(const struct pic_chip *c, uint8_t inputs)
{
    unsigned r = 0;

    while (r < NONE && !(inputs >> (c->first + r) % 8 & 1))
        r++;
    return r;
}

static unsigned at_rank(const struct pic_chip *c, unsigned r)
{
    return (c->first + r) % 8;
}

/* The input that would interrupt now, or NONE: one in service holds up those that are no better. */
static unsigned winner(const struct pic *p, unsigned chip)
{
    const struct pic_chip *c = &p->chip[chip];
    uint8_t isr = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
    unsigned r = rank(c, requests(p, chip) & (uint8_t)~c->imr);

    return r < NONE && r < rank(c, isr) ? at_rank(c, r) : NONE;
}

static bool slave_output(const struct pic *p)
{
    return winner(p, SLAVE) != NONE;
}

bool pic_output(const struct pic *p)
{
    return winner(p, MASTER) != NONE;
}

static void take(struct pic_chip *c, unsigned input)
{
    uint8_t bit = (uint8_t)(1u << input);

    c->edges &= (uint8_t)~bit;
    if (!c->auto_eoi)
        c->isr |= bit;
    else if (c->auto_rotate)
        c->first = (uint8_t)((input + 1) % 8);
}

uint8_t pic_acknowledge(struct pic *p)
{
    struct pic_chip *m = &p->chip[MASTER], *s = &p->chip[SLAVE];
    unsigned input = winner(p, MASTER);

    if (input == NONE)
        return (uint8_t)(m->base + 7);
    if (input != CASCADE || m->single) {
        take(m, input);
        return (uint8_t)(m->base + input);
    }
    input = winner(p, SLAVE); /* it is what has raised CASCADE, so there is one */
    take(m, CASCADE);
    take(s, input);
    return (uint8_t)(s->base + input);
}

void pic_line(struct pic *p, unsigned irq, bool level, bool risen)
{
    struct pic_chip *c = &p->chip[irq / 8 % 2];
    uint8_t bit = (uint8_t)(1u << irq % 8);

    if ((risen || (level && !(c->lines & bit))) && !(c->elcr & bit))
        c->edges |= bit;
    c->lines = (uint8_t)(level ? c->lines | bit : c->lines & ~bit);
}

/* ---- programming ---- */

static void begin(struct pic_chip *c, uint8_t icw1)
{
    c->edges = c->imr = c->isr = c->first = 0;
    c->auto_eoi = c->auto_rotate = c->special_mask = c->read_isr = c->poll = false;
    c->want4 = icw1 & 1;
    c->single = icw1 & 2;
    c->icw = 2;
}

static void end_of_interrupt(struct pic_chip *c, uint8_t ocw2)
{
    bool rotate = ocw2 & 0x80, specific = ocw2 & 0x40;
    unsigned r = rank(c, c->isr), input = specific ? ocw2 & 7u : at_rank(c, r);

    if (!specific && r == NONE)
        return;
    c->isr &= (uint8_t) ~(1u << input);
    if (rotate)
        c->first = (uint8_t)((input + 1) % 8);
}

static void command(struct pic_chip *c, uint8_t v)
{
    if (v & 0x10) {
        begin(c, v);
    } else if (v & 0x08) {
        if (v & 0x02)
            c->read_isr = v & 1;
        if (v & 0x40)
            c->special_mask = v & 0x20;
        c->poll = v & 0x04;
    } else if (v & 0x20) {
        end_of_interrupt(c, v);
    } else if (!(v & 0x40)) {
        c->auto_rotate = v & 0x80;
    } else if (v & 0x80) {
        c->first = (uint8_t)((v + 1) % 8);
    }
}

static void data(struct pic_chip *c, uint8_t v)
{
    switch (c->icw) {
    case 2:
        c->base = v & 0xF8;
        c->icw = !c->single ? 3 : c->want4 ? 4 : 0;
        break;
    case 3: /* a PC's wiring is what it is */
        c->icw = c->want4 ? 4 : 0;
        break;
    case 4:
        c->auto_eoi = v & 2;
        c->icw = 0;
        break;
    default:
        c->imr = v;
        break;
    }
}

static uint8_t poll(struct pic *p, unsigned chip)
{
    unsigned input = winner(p, chip);

    p->chip[chip].poll = false;
    if (input == NONE)
        return 0;
    take(&p->chip[chip], input);
    return (uint8_t)(0x80 | input);
}

/* What no PCI device may have stays edge-triggered: timer, keyboard, cascade; clock, FPU. */
static const uint8_t elcr_mask[2] = {0xF8, 0xDE};

static int chip_of(uint16_t port)
{
    return (port & 0xFFFE) == 0x20 ? MASTER : (port & 0xFFFE) == 0xA0 ? SLAVE : -1;
}

bool pic_write(struct pic *p, uint16_t port, uint8_t v)
{
    int chip = chip_of(port);

    if ((port & 0xFFFE) == 0x4D0) {
        p->chip[port & 1].elcr = v & elcr_mask[port & 1];
        p->chip[port & 1].edges &= (uint8_t)~p->chip[port & 1].elcr;
        return true;
    }
    if (chip < 0)
        return false;
    (port & 1 ? data : command)(&p->chip[chip], v);
    return true;
}

bool pic_read(struct pic *p, uint16_t port, uint8_t *v)
{
    int chip = chip_of(port);

    if ((port & 0xFFFE) == 0x4D0) {
        *v = p->chip[port & 1].elcr;
        return true;
    }
    if (chip < 0)
        return false;
    if (p->chip[chip].poll)
        *v = poll(p, (unsigned)chip);
    else if (port & 1)
        *v = p->chip[chip].imr;
    else
        *v = p->chip[chip].read_isr ? p->chip[chip].isr : requests(p, (unsigned)chip);
    return true;
}

void pic_set_level(struct pic *p, unsigned irq)
{
    p->chip[irq / 8 % 2].elcr |= (uint8_t)(1u << irq % 8) & elcr_mask[irq / 8 % 2];
}

void pic_reset(struct pic *p)
{
    memset(p, 0, sizeof(*p));
    p->chip[MASTER].imr = p->chip[SLAVE].imr = 0xFF;
}
