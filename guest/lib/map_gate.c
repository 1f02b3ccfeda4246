/* SPDX-License-Identifier: BSD-2-Clause */
/* Mapped memory gates; see map_gate.h.  All that is known of the window stands in its table. */
#include "map_gate.h"

#include "str.h"

#define WINDOW_SIZE (64ull << 20)

static unsigned window_life; /* of the window, see gate_life() */

static const struct map_table *table(void)
{
    return (const struct map_table *)MAP_TABLE_GPA;
}

static uint64_t word_of(unsigned entry)
{
    return __atomic_load_n(&table()->entry[entry].word, __ATOMIC_ACQUIRE);
}

/* What the PE's last program left mapped goes with the first store of a new one. */
static bool have_window(void)
{
    if (!vreg_has(VREG_F_MAP))
        return false;
    if (window_life != gate_life()) {
        window_life = gate_life();
        vreg_set(VREG_MAP_WINDOW, WINDOW_SIZE);
    }
    return vreg_get(VREG_MAP_WINDOW) != 0;
}

static bool is_free(uint64_t addr, uint64_t size)
{
    if (addr + size > MAP_WINDOW_GPA + table()->window)
        return false;
    for (unsigned i = 0; i < MAP_ENTRIES; i++) {
        const struct map_entry *e = &table()->entry[i];

        if (MAP_STATE(word_of(i)) != MAP_FREE && addr < e->addr + e->size && e->addr < addr + size)
            return false;
    }
    return true;
}

/* The beginning of the window, or behind something; 0: there is no room. */
static uint64_t place(uint64_t size)
{
    if (size > table()->window)
        return 0;
    if (is_free(MAP_WINDOW_GPA, size))
        return MAP_WINDOW_GPA;
    for (unsigned i = 0; i < MAP_ENTRIES; i++) {
        const struct map_entry *e = &table()->entry[i];

        if (MAP_STATE(word_of(i)) != MAP_FREE && is_free(e->addr + e->size, size))
            return e->addr + e->size;
    }
    return 0;
}

static unsigned request(struct map_gate *m)
{
    struct map_request r = {.addr = place(m->size),
                            .size = m->size,
                            .offset = m->off,
                            .ep = m->gate->ep,
                            .perm = m->perm};
    uint64_t result;

    if (!r.addr)
        return SE_NO_SPACE;
    __asm__ volatile("" : : "m"(r) : "memory"); /* in memory before the store that has it read */
    vreg_set(VREG_MAP, (uintptr_t)&r);
    result = vreg_get(VREG_MAP);
    if (MAP_RESULT_ERROR(result))
        return MAP_RESULT_ERROR(result);
    m->entry = MAP_RESULT_ENTRY(result);
    m->word = word_of(m->entry);
    m->at = (volatile uint8_t *)r.addr;
    return SE_OK;
}

unsigned map_gate_open(struct map_gate *m, struct gate *g, uint64_t off, size_t size, unsigned perm)
{
    unsigned err;

    *m = (struct map_gate){.gate = g, .off = off, .size = size, .perm = perm};
    if (!have_window())
        return gate_activate(g);
    err = gate_pin(g);
    if (err == SE_NO_SPACE)
        return gate_activate(g);
    if (!err && request(m) != SE_OK)
        gate_unpin(g);
    return err;
}

/* Its entry may be another's by now, if it was a creator's, whose copy we are. */
static void forget(struct map_gate *m)
{
    if (!m->at)
        return;
    m->at = NULL;
    if (m->word >> 8 == word_of(m->entry) >> 8) {
        vreg_set(VREG_UNMAP, m->entry);
        gate_unpin(m->gate);
    }
}

void map_gate_close(struct map_gate *m)
{
    forget(m);
}

/* A load that comes after all loads before it (x86), and after the stores before a fence. */
bool map_gate_live(const struct map_gate *m)
{
    __asm__ volatile("" : : : "memory");
    return m->at && word_of(m->entry) == m->word && MAP_STATE(m->word) == MAP_LIVE;
}

static bool inside(const struct map_gate *m, size_t len, uint64_t off)
{
    return off <= m->size && len <= m->size - off;
}

unsigned map_gate_read(struct map_gate *m, void *buf, size_t len, uint64_t off)
{
    if (!inside(m, len, off))
        return SE_INV_ARGS;
    if (map_gate_live(m)) {
        memcpy(buf, (const void *)(uintptr_t)(m->at + off), len);
        __builtin_ia32_lfence(); /* string instructions may be weaker than loads */
        if (map_gate_live(m))
            return SE_OK;
    }
    forget(m);
    return gate_read(m->gate, buf, len, m->off + off);
}

unsigned map_gate_write(struct map_gate *m, const void *buf, size_t len, uint64_t off)
{
    if (!inside(m, len, off))
        return SE_INV_ARGS;
    if (!(m->perm & DTU_PERM_W))
        return SE_NO_PERM;
    if (map_gate_live(m)) {
        memcpy((void *)(uintptr_t)(m->at + off), buf, len);
        ring_fence();
        if (map_gate_live(m))
            return SE_OK;
    }
    forget(m);
    return gate_write(m->gate, buf, len, m->off + off); /* what had arrived is written again */
}
