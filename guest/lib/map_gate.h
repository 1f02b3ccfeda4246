/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A part of a memory gate that is mapped, where the VMM lets us (vdtu/MAPPED.md): reads and writes
 * cost no exit then.  Where it does not, or no more, they are READ and WRITE commands through the
 * gate, and nothing else differs.
 *
 * The gate keeps its endpoint while it is mapped, so only some can be at a time (GATE_PINS).
 */
#ifndef GUEST_MAP_GATE_H
#define GUEST_MAP_GATE_H

#include "gate.h"
#include "mapped.h"

struct map_gate {
    struct gate *gate;
    uint64_t off; /* of the part, in the gate */
    size_t size;
    unsigned perm;
    unsigned entry;
    uint64_t word; /* that the entry has while the mapping lives */
    /*
     * Where it is, NULL: by commands.  For those who use it themselves: map_gate_live() afterwards
     * says whether what was read, or written before a ring_fence(), was the target.  It is not
     * local memory: no command takes its data there, and print() cannot.
     */
    volatile uint8_t *at;
};

/*
 * Bytes [off, off + size) of the gate, which stays where it is until map_gate_close(); perm:
 * DTU_PERM_R or DTU_PERM_RW.  Only whole pages at the target can be mapped.  Error of ACTIVATE;
 * that it cannot be mapped is none.
 */
unsigned map_gate_open(struct map_gate *m, struct gate *g, uint64_t off, size_t size,
                       unsigned perm);
void map_gate_close(struct map_gate *m);

/* Is it mapped, still? */
bool map_gate_live(const struct map_gate *m);

/* Within the part.  As gate_read(), gate_write(); SE_INV_ARGS: not inside, SE_NO_PERM. */
unsigned map_gate_read(struct map_gate *m, void *buf, size_t len, uint64_t off);
unsigned map_gate_write(struct map_gate *m, const void *buf, size_t len, uint64_t off);

#endif
