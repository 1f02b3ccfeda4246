/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two 8259A interrupt controllers as a PC has them: ports 20h, 21h and, behind input 2 of those,
 * A0h, A1h; which inputs are level-triggered is said at ports 4D0h, 4D1h (ELCR).  A library without
 * KVM, threads or locks: whoever runs the PE owns it.
 *
 * Not there, because no PC uses it: special fully nested mode, buffered mode, MCS-80 vectors, and
 * LTIM of ICW1, which ELCR replaces.
 */
#ifndef VMM_PIC_H
#define VMM_PIC_H

#include <stdbool.h>
#include <stdint.h>

#define PIC_INPUTS 16u

struct pic_chip {
    uint8_t lines; /* the inputs as they are */
    uint8_t edges; /* edge-triggered ones that have risen and were not acknowledged */
    uint8_t imr, isr, elcr;
    uint8_t base;  /* of the vectors */
    uint8_t first; /* the input of highest priority */
    uint8_t icw;   /* the initialisation word that comes next; 0: none */
    bool single, want4, auto_eoi, auto_rotate, special_mask, read_isr, poll;
};

struct pic {
    struct pic_chip chip[2];
};

/* As after power-on, with all inputs masked and low, and edge-triggered. */
void pic_reset(struct pic *p);

/* Firmware's part: input irq is level-triggered, as PCI's are. */
void pic_set_level(struct pic *p, unsigned irq);

/*
 * Input irq is `level` now.  `risen`: it has risen since the last call, though it may be low again.
 */
void pic_line(struct pic *p, unsigned irq, bool level, bool risen);

/* The INTR pin: is there an interrupt for the CPU? */
bool pic_output(const struct pic *p);

/* The CPU takes it; returns its vector: without one, that of the master's input 7 (spurious). */
uint8_t pic_acknowledge(struct pic *p);

/* One byte at one of the ports; false: it is not ours. */
bool pic_read(struct pic *p, uint16_t port, uint8_t *value);
bool pic_write(struct pic *p, uint16_t port, uint8_t value);

#endif
