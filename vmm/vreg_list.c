/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VREG_LIST: commands from a list in local memory, one after the other, in one exit.  Each is what
 * it would be alone; the program could have stored it to the registers itself.
 */
#include "bridge.h"
#include "exits.h"
#include "node.h"
#include "sched.h"

static unsigned run_step(struct pe *pe, struct vreg_step *s)
{
    vdtu_store(pe->dtu, DTU_DATA_ADDR, s->data_addr, 8);
    vdtu_store(pe->dtu, DTU_DATA_SIZE, s->data_size, 8);
    vdtu_store(pe->dtu, DTU_OFFSET, s->offset, 8);
    vdtu_store(pe->dtu, DTU_REPLY_LABEL, s->reply_label, 8);
    vdtu_store(pe->dtu, DTU_REPLY_EPID, s->reply_ep, 8);
    vdtu_store(pe->dtu, DTU_COMMAND, s->command, 8);
    s->offset = vdtu_reg(pe->dtu, DTU_OFFSET);
    s->result = vdtu_reg(pe->dtu, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT;
    return (unsigned)s->result;
}

/* Others go first, as before any command; does it still make sense after that? */
static bool may_go_on(struct pe *pe)
{
    if (pe->node->sched->step)
        pe->node->sched->step(pe);
    return atomic_load(&pe->node->end) == NODE_RUNS && !atomic_load(&pe->kicked);
}

/* The results are stores of the program: not above RW_BARRIER (dtu-spec 5.5). */
uint64_t vreg_run_list(struct pe *pe, uint64_t value)
{
    uint64_t at = value & ((1ull << 48) - 1), count = value >> 48, barrier, i;
    struct vreg_step s;
    unsigned err;

    if (count > VREG_STEPS_MAX)
        return 0;
    for (i = 0; i < count; i++, at += sizeof(s)) {
        barrier = atomic_load(&pe->barrier);
        if (at % 8 || at > barrier || barrier - at < sizeof(s) || (i > 0 && !may_go_on(pe)) ||
            vdtu_mem_read(pe->dtu, at, &s, sizeof(s)) != sizeof(s))
            break;
        err = run_step(pe, &s);
        vdtu_mem_write(pe->dtu, at + offsetof(struct vreg_step, offset), &s.offset, 8);
        vdtu_mem_write(pe->dtu, at + offsetof(struct vreg_step, result), &s.result, 8);
        if (err)
            break;
    }
    return i;
}
