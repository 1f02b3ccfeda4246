/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EEPROM: 64 words, read through EERD or bit by bit as a Microwire 93C46.  Read-only.
 *
 * Bit by bit: the rise of CS starts over; each rise of SK takes a bit from DI (start bit, two bits
 * opcode, six bits address); after a read's ninth, each fall of SK brings the next bit to DO, and
 * the words follow each other.
 */
#include <string.h>

#include "internal.h"

#define READ_OPCODE 6u /* start bit and 10b */

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
        return false; /* the dummy bit before the first word */
    return n->eeprom[(n->ee.out - 1) / 16 % EEPROM_WORDS] >> (15 - (n->ee.out - 1) % 16) & 1;
}

uint32_t nd_eecd_read(struct netdev *n, uint32_t offset)
{
    uint32_t value = n->ee.pins | EECD_PRES;

    (void)offset;
    if (n->ee.pins & EECD_REQ)
        value |= EECD_GNT;
    return value | (data_out(n) ? EECD_DO : 0);
}

void nd_eecd_write(struct netdev *n, uint32_t offset, uint32_t value)
{
    uint32_t changed = value ^ n->ee.pins;

    (void)offset;
    n->ee.pins = value & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
    if (!(value & EECD_CS))
        return;
    if (changed & EECD_CS) {
        n->ee.shift = n->ee.bits = n->ee.out = 0;
        n->ee.reading = false;
    }
    if (!(changed & EECD_SK))
        return;
    if (!(value & EECD_SK)) {
        if (n->ee.reading)
            n->ee.out = n->ee.out == 16 * EEPROM_WORDS ? 1 : n->ee.out + 1;
        return;
    }
    if (n->ee.bits >= 9)
        return;
    n->ee.shift = n->ee.shift << 1 | (value & EECD_DI ? 1 : 0);
    if (++n->ee.bits == 9 && (n->ee.shift >> 6 & 7) == READ_OPCODE) {
        n->ee.out = (n->ee.shift & 0x3F) * 16;
        n->ee.reading = true;
    }
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
