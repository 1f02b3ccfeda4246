/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PEs and when they can be used again.
 *
 * A program that has sent EXIT is still on its CPU, and nothing that it does or leaves in memory
 * proves that it is going: it may keep code where nobody looks and act in the name of whoever comes
 * next.  So it is not asked.  The machine stops the CPU wherever it is, clears all local memory and
 * has it wait for idle (VREG_RESET); what says that this is done is a register that the PE itself
 * cannot reach.  That also settles when its memory may be overwritten (semperos-platform 11.6).
 */
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "vreg.h"

#define RESET_REG    (VREG_BASE + VREG_RESET)
#define POLL_FIRST   50000ull /* ns; doubles every POLL_STEP polls up to */
#define POLL_STEP    8u
#define POLL_DOUBLES 9u
#define POLLS_MAX    400u /* then the PE is lost: after about 8 s */

uint16_t pe_id(const struct pe *pe)
{
    return (uint16_t)(pe - kern.pes);
}

static struct pe *find(enum pe_type type, enum pe_state state)
{
    for (unsigned i = 0; i < kern.pe_count; i++) {
        struct pe *pe = &kern.pes[kern.pe_order[i]];

        if (pe->state == state && pe_desc_type(pe->desc) == type && !pe->goes_to)
            return pe;
    }
    return NULL;
}

struct pe *pe_find(enum pe_type type)
{
    struct pe *pe = find(type, PE_FREE);

    if (!pe && !kern.told_used_up && find(type, PE_USED_UP)) {
        kern.told_used_up = true;
        print("kernel %u: this machine cannot reset PEs, so each is used only once\n", kern.id);
    }
    return pe;
}

bool pe_expected(enum pe_type type)
{
    return find(type, PE_RESETTING) || find(type, PE_WAITING);
}

static void settle(struct pe *pe, enum pe_state state)
{
    kern.pe_news = true;
    pe->state = state;
    kern.nresetting--;
    if (state == PE_LOST)
        print("kernel %u: PE %u cannot be reset; it is not used again\n", kern.id, pe_id(pe));
}

void pe_leave(struct pe *pe)
{
    const uint64_t start = PE_IDLE_ADDR;

    if (pe->held > 0) {
        pe->state = PE_WAITING;
        return;
    }
    if (pe->move.dead && revoke_concerns(pe_id(pe))) {
        pe->state = PE_WAITING; /* others may not be told before that; pe_bury() looks again */
        return;
    }
    if (pe->move.dead) {
        kern.moves.ndead--;
        pe->move.dead = pe->move.guest = false;
        pe->state = PE_KERNEL;
        move_pe_dead(pe_id(pe));
        return;
    }
    if (!hw_can_reset()) {
        pe->state = PE_USED_UP;
        return;
    }
    pe->state = PE_RESETTING;
    pe->polls = 0;
    kern.nresetting++;
    if (hw_write(pe_id(pe), DTU_VPE_INVALID, RESET_REG, &start, sizeof(start)) != SE_OK)
        settle(pe, PE_LOST);
}

void pe_dead(struct pe *pe)
{
    pe->move.dead = true;
    kern.moves.ndead++;
    if (pe->state == PE_RESETTING)
        kern.nresetting--;
    if (pe->vpe)
        vpe_exit(pe->vpe, 1);
    else
        pe_leave(pe);
}

void pe_bury(void)
{
    for (unsigned i = 0; i < kern.pe_count && kern.moves.ndead > 0; i++) {
        struct pe *pe = &kern.pes[kern.pe_order[i]];

        if (pe->move.dead && pe->state == PE_WAITING && pe->held == 0)
            pe_leave(pe);
    }
}

void pe_release(struct pe *pe)
{
    pe->held--;
    if (pe->held == 0 && pe->state == PE_WAITING)
        pe_leave(pe);
}

void pe_add(uint64_t desc)
{
    unsigned id = pe_desc_id(desc), i = 0;
    struct pe *pe = &kern.pes[id];

    if (desc == 0 || pe_desc_type(desc) == PE_TYPE_MEM || id == kern.own_pe ||
        (pe->state != PE_NONE && pe->state != PE_KERNEL))
        return;
    pe->desc = desc;
    pe->state = PE_FREE;
    kern.pe_news = true;
    while (i < kern.pe_count && kern.pe_order[i] != id)
        i++;
    if (i == kern.pe_count)
        kern.pe_order[kern.pe_count++] = (uint16_t)id;
}

void pe_remove(unsigned pe)
{
    kern.pes[pe].state = PE_KERNEL;
}

/* Idle is there before anybody can wake the CPU, which a message to the next VPE does. */
static void poll_one(struct pe *pe)
{
    uint64_t busy;

    if (hw_read(pe_id(pe), DTU_VPE_INVALID, RESET_REG, &busy, sizeof(busy)) != SE_OK)
        settle(pe, PE_LOST);
    else if (busy == 0)
        settle(pe, load_idle(pe) == SE_OK ? PE_FREE : PE_LOST);
    else if (++pe->polls > POLLS_MAX)
        settle(pe, PE_LOST);
}

uint64_t pe_poll(void)
{
    unsigned least = POLLS_MAX, doubles;

    for (unsigned i = 0; i < kern.pe_count && kern.nresetting > 0; i++) {
        struct pe *pe = &kern.pes[kern.pe_order[i]];

        if (pe->state != PE_RESETTING)
            continue;
        poll_one(pe);
        if (pe->polls < least)
            least = pe->polls;
    }
    if (kern.pe_news) {
        kern.pe_news = false;
        sys_pe_ready();
    }
    if (kern.nresetting == 0)
        return 0;
    doubles = least / POLL_STEP;
    return POLL_FIRST << (doubles < POLL_DOUBLES ? doubles : POLL_DOUBLES);
}
