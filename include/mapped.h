/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapped memory gates: the target of a memory endpoint in a PE's own address space
 * (vdtu/MAPPED.md is the text of record).  A PE that stores to VREG_MAP_WINDOW gets a *window*, in
 * which the host maps what it asks for at the places it asks for, and a *table* behind that of the
 * rings, which only the host writes.
 */
#ifndef SEMPER_MAPPED_H
#define SEMPER_MAPPED_H

#include <stdint.h>

#include "ring.h"

#define MAP_PAGE       4096u
#define MAP_WINDOW_GPA 0x5E0000000ull
#define MAP_WINDOW_MAX 0x10000000ull /* bytes; a PE may ask for less */
#define MAP_ENTRIES    63u

/* ---- the table: read-only for the PE ---- */

#define MAP_TABLE_GPA  (RING_TABLE_GPA + RING_TABLE_SIZE)
#define MAP_TABLE_SIZE 0x1000u

enum map_state {
    MAP_FREE = 0,
    MAP_LIVE = 1,
    MAP_DEAD = 2, /* revoked: its pages are zeros that nobody else sees, until it is closed */
};

/* `word` is generation << 8 | state; all else is valid while it is not MAP_FREE. */
struct map_entry {
    uint64_t word;
    uint64_t addr, size; /* where the PE sees it */
    uint64_t offset;     /* in the endpoint */
    uint32_t ep;
    uint32_t perm; /* DTU_PERM_R or DTU_PERM_RW */
    uint64_t pad[3];
};
_Static_assert(sizeof(struct map_entry) == 64, "a cache line each");

struct map_table {
    uint64_t window; /* bytes of the window */
    uint64_t pad[7];
    struct map_entry entry[MAP_ENTRIES];
};
_Static_assert(sizeof(struct map_table) == MAP_TABLE_SIZE, "a page");

#define MAP_WORD(gen, state) ((uint64_t)(gen) << 8 | (state))
#define MAP_STATE(word)      ((unsigned)((word)&0xFF))

/* ---- what a PE asks for: in its local memory, aligned to 8; VREG_MAP takes its address ---- */

struct map_request {
    uint64_t addr;   /* in the window, a multiple of MAP_PAGE; */
    uint64_t size;   /* so is this, not 0, */
    uint64_t offset; /* and the endpoint's address at the target with this added to it */
    uint32_t ep;
    uint32_t perm; /* DTU_PERM_R or DTU_PERM_RW; the endpoint must have it */
};
_Static_assert(sizeof(struct map_request) == 32, "ABI");

/* What a load of VREG_MAP says of the last store. */
#define MAP_RESULT_ERROR(v) ((unsigned)((v) >> 32)) /* errors.h */
#define MAP_RESULT_ENTRY(v) ((unsigned)((v)&0xFFFFFFFF))

#endif
