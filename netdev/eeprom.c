/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EEPROM: 64 words, read through EERD or bit by bit as a Microwire 93C46, and written so.  What
 * a guest writes lasts as long as the device: a reset loads the address from there, as on the
 * board.
 *
 * Bit by bit: the rise of CS starts over; each rise of SK takes a bit from DI (start bit, two bits
 * opcode, six bits address); after a read's ninth, each fall of SK brings the next bit to DO: a
 * zero first, then the words one after the other.  A write takes sixteen more bits from DI, if
 * writing was enabled by an instruction of its own; the fall of CS stores the word.  Writing all
 * words with one instruction is not there: no driver does.
 */
#include <string.h>

#include "internal.h"

/* Start bit and opcode; with opcode 0 the upper two bits of the address say what. */
enum { OP_MISC = 4, OP_WRITE = 5, OP_READ = 6, OP_ERASE = 7 };
enum { MISC_DISABLE = 0, MISC_ENABLE = 3 };

#define HEAD_BITS 9u

void nd_eeprom_init(struct netdev *n)
{
    static const uint16_t fixed[16] = {
        [0x03] = 0,      [0x04] = 0xFFFF, [0x08] = 0x3000, [0x09] = 0x1000, [0x0A] = 0x640B,
        [0x0B] = 0x001E, [0x0C] = 0x8086, [0x0D] = 0x100E, [0x0E] = 0x8086, [0x0F] = 0x3040,
    };
    uint16_t sum = 0;

    memset(n->eeprom, 0, sizeof(n->eeprom));
    memcpy(n->eeprom, fixed, sizeof(fixed));
    for (unsigned i = 0; i < 3; i++)
        n->eeprom[i] = (uint16_t)get16le(n->config.mac + 2 * i);
    for (unsigned i = 0; i < EEPROM_WORDS - 1; i++)
        sum = (uint16_t)(sum + n->eeprom[i]);
    n->eeprom[EEPROM_WORDS - 1] = (uint16_t)(0xBABA - sum);
}

void nd_eeprom_reset(struct netdev *n)
{
    memset(&n->ee, 0, sizeof(n->ee));
}

static bool data_out(const struct netdev *n)
{
    if (!n->ee.reading)
        return true; /* ready */
    if (n->ee.out == 0)
        return false; /* the zero before the first word */
    return n->eeprom[((n->ee.shift & 0x3F) + (n->ee.out - 1) / 16) % EEPROM_WORDS] >>
               (15 - (n->ee.out - 1) % 16) &
           1;
}

uint32_t nd_eecd_read(struct netdev *n, uint32_t offset)
{
    uint32_t value = n->ee.pins | EECD_PRES;

    (void)offset;
    if (n->ee.pins & EECD_REQ)
        value |= EECD_GNT;
    return value | (data_out(n) ? EECD_DO : 0);
}

/* Nine bits are in. */
static void instruction(struct netdev *n)
{
    uint32_t op = n->ee.shift >> 6 & 7, address = n->ee.shift & 0x3F;

    n->ee.reading = op == OP_READ;
    if (op == OP_MISC && address >> 4 == MISC_ENABLE)
        n->ee.writable = true;
    if (op == OP_MISC && address >> 4 == MISC_DISABLE)
        n->ee.writable = false;
}

/* The end of an instruction: CS fell. */
static void store(struct netdev *n)
{
    uint32_t write = n->ee.bits == HEAD_BITS + 16, head = write ? n->ee.shift >> 16 : n->ee.shift;
    uint32_t op = head >> 6 & 7, address = head & 0x3F;

    if (!n->ee.writable)
        return;
    if (write && op == OP_WRITE)
        n->eeprom[address] = (uint16_t)n->ee.shift;
    if (n->ee.bits == HEAD_BITS && op == OP_ERASE)
        n->eeprom[address] = 0xFFFF;
}

static void clock_rise(struct netdev *n, bool di)
{
    if (n->ee.reading || n->ee.bits > HEAD_BITS + 16)
        return;
    if (n->ee.bits == 0 && !di)
        return; /* not a start bit */
    n->ee.bits++;
    n->ee.shift = n->ee.shift << 1 | di;
    if (n->ee.bits == HEAD_BITS)
        instruction(n);
}

void nd_eecd_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    uint32_t changed = value ^ n->ee.pins;

    (void)offset;
    n->ee.pins = value & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
    if (changed & EECD_CS) {
        if (!(value & EECD_CS))
            store(n);
        n->ee.shift = n->ee.bits = n->ee.out = 0;
        n->ee.reading = false;
    }
    if (!(value & EECD_CS) || !(changed & EECD_SK))
        return;
    if (value & EECD_SK)
        clock_rise(n, value & EECD_DI);
    else if (n->ee.reading)
        n->ee.out = n->ee.out == 16 * EEPROM_WORDS ? 1 : n->ee.out + 1;
}

uint32_t nd_eerd_read(struct netdev *n, uint32_t offset)
{
    uint32_t value = MAC(n, offset) & 0xFF00, word = value >> 8;

    if (!(MAC(n, offset) & EERD_START))
        return value;
    if (word < EEPROM_WORDS)
        value |= (uint32_t)n->eeprom[word] << 16;
    return value | EERD_DONE;
}
