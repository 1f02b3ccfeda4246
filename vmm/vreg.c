/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our own register page (include/vreg.h; documented in vdtu/README.md): time, wait, console, exit.
 */
#include <string.h>

#include "../vdtu/map.h"
#include "../vdtu/ring.h"
#include "bridge.h"
#include "console.h"
#include "control.h"
#include "exits.h"
#include "mapped.h"
#include "node.h"
#include "record.h"
#include "sched.h"
#include "window.h"

#define PRINT_CHUNK 4096u

void vreg_reset(struct pe *pe)
{
    *pe_vreg(pe, VREG_MAGIC) = VREG_MAGIC_VALUE;
    *pe_vreg(pe, VREG_VERS) = VREG_VERSION;
    *pe_vreg(pe, VREG_FEATURES) = VREG_F_TIME | VREG_F_WAIT | VREG_F_CONSOLE | VREG_F_EXIT |
                                  VREG_F_RESET | VREG_F_CALL | VREG_F_TOGETHER | VREG_F_ONLY |
                                  VREG_F_OVER | (pe->node->desc->seed.on ? 0 : VREG_F_EXITS) |
                                  (windows_on(pe->node) ? VREG_F_RING | VREG_F_LANE : 0) |
                                  (pe->node->mapped ? VREG_F_MAP : 0);
    if (pe->nic)
        *pe_vreg(pe, VREG_FEATURES) |= VREG_F_NIC | (pe->bare ? VREG_F_BARE : 0);
    if (pe->node->desc->control)
        *pe_vreg(pe, VREG_FEATURES) |= VREG_F_ASK;
    *pe_vreg(pe, VREG_PE) = pe->id;
    *pe_vreg(pe, VREG_NODE) = pe->node->desc->self;
    *pe_vreg(pe, VREG_TSC_HZ) = pe->node->tsc_hz;
    *pe_vreg(pe, VREG_HOST_CORES) = pe->node->host_cores;
    *pe_vreg(pe, VREG_MEM_SIZE) = pe->mem_size;
}

/* Prints local memory; what lies beyond it is not printed.  Returns the bytes printed. */
uint64_t pe_print(struct pe *pe, uint64_t addr, uint64_t len)
{
    char buf[PRINT_CHUNK];
    uint64_t done = 0, n;

    if (len > VREG_CONSOLE_MAX)
        len = VREG_CONSOLE_MAX;
    while (done < len) {
        n = len - done < sizeof(buf) ? len - done : sizeof(buf);
        n = vdtu_mem_read(pe->dtu, addr + done, buf, n);
        if (n == 0)
            break;
        console_write(pe->node->console, pe->id, buf, n);
        done += n;
    }
    pe->console_bytes += done;
    return done;
}

enum pe_why pe_exit_program(struct pe *pe, uint32_t status, enum vreg_exit scope)
{
    bool privileged = vdtu_reg(pe->dtu, DTU_STATUS) & DTU_STATUS_PRIV;

    node_record(
        pe->node,
        &(struct trace_record){
            .op = TR_EXIT, .pe = pe->id, .peer = 0xFFFF, .ep = (uint8_t)scope, .result = status});
    if (scope == VREG_EXIT_PROGRAM) {
        pe->noted = true;
        if (pe->noted_status == 0)
            pe->noted_status = status;
        return PE_KICKED;
    }
    if (scope == VREG_EXIT_MACHINE && privileged)
        bridge_tell_over(pe, status);
    pe->end = PE_EXITED;
    pe->status = status;
    pe_tell_over(pe);
    if (scope == VREG_EXIT_MACHINE && privileged)
        node_finish(pe->node, NODE_EXITED, status);
    return PE_OVER;
}

/* The exit loop sees that the PE waits, and polls first: a wait that need not block does not. */
static void start_wait(struct pe *pe, uint64_t limit)
{
    uint64_t now = pe->node->sched->now(pe->node);

    if (limit != VREG_WAIT_FOREVER && limit < VREG_WAIT_FOREVER - now)
        pe_wait_begin(pe, PE_WAIT_VREG, now + limit);
    else
        pe_wait_begin(pe, PE_WAIT_VREG, VREG_WAIT_FOREVER);
}

/* The command of VREG_CALL or VREG_STEP; false: there is nothing to wait for. */
static bool call_command(struct pe *pe, unsigned off, uint32_t value)
{
    if (off == VREG_STEP)
        return vreg_run_list(pe, vreg_list((uint64_t)value << 3, 1)) == 1;
    vdtu_store(pe->dtu, DTU_COMMAND, value, 8);
    return vdtu_reg(pe->dtu, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT == 0;
}

/* The wait, if there is one, goes on in exits.c. */
static void call(struct pe *pe, unsigned off, uint64_t value)
{
    uint64_t us = value >> 40 & 0xFFFF;
    unsigned want = value >> 56;
    unsigned ep = value >> 32 & 0xFF;
    bool only = ep & VREG_CALL_ONLY && (ep & ~VREG_CALL_ONLY) < DTU_EPS;

    ep &= only ? ~VREG_CALL_ONLY : ~0u;
    *pe_vreg(pe, VREG_CALL) = 0;
    if (!call_command(pe, off, (uint32_t)value))
        return;
    start_wait(pe, us && !want ? us * 1000 : VREG_WAIT_FOREVER);
    pe->fetch = ep < DTU_EPS ? (int)ep : -1;
    pe->only = only;
    pe->want = want;
    pe->hold = (uint32_t)us * 1000;
}

/* Mapped memory gates; false: no register of theirs, or this node has none. */
static bool map_store(struct pe *pe, unsigned off, uint64_t value)
{
    if (!pe->node->mapped)
        return false;
    switch (off) {
    case VREG_MAP_WINDOW:
        *pe_vreg(pe, VREG_MAP_WINDOW) = mapped_want(pe, value);
        return true;
    case VREG_MAP:
        *pe_vreg(pe, VREG_MAP) = vdtu_map_request(pe->dtu, value);
        return true;
    case VREG_UNMAP:
        vdtu_map_close(pe->dtu, value);
        return true;
    default:
        return false;
    }
}

/* False: a number that is none, or a lane that this PE may not have. */
static bool ring_store(struct pe *pe, unsigned off, uint64_t value)
{
    struct ring_lane lane;

    switch (off) {
    case VREG_RING:
        *pe_vreg(pe, VREG_RING) = window_want(pe, value);
        return true;
    case VREG_RING_OPEN:
        if (value < DTU_EPS)
            vdtu_ring_open(pe->dtu, (unsigned)value);
        else if (value - VREG_RING_END < RING_SENDS)
            vdtu_ring_end(pe->dtu, (unsigned)(value - VREG_RING_END));
        else
            return false;
        return true;
    case VREG_RING_LANE:
        return vdtu_mem_read(pe->dtu, value, &lane, sizeof(lane)) == sizeof(lane) &&
               vdtu_ring_lane(pe->dtu, &lane);
    default:
        if (value < RING_ENTRIES_MAX)
            vdtu_ring_bell(pe->dtu, (unsigned)value);
        return value < RING_ENTRIES_MAX;
    }
}

enum pe_why vreg_store(struct pe *pe, unsigned off, uint64_t value, unsigned size)
{
    uint64_t scope = value >> 32;

    if (size != 8) {
        pe->ignored_vreg++;
        return PE_KICKED;
    }
    switch (off) {
    case VREG_TIME:
        *pe_vreg(pe, VREG_TIME) = pe->node->sched->now(pe->node);
        return PE_KICKED;
    case VREG_WAIT:
        start_wait(pe, value);
        return PE_KICKED;
    case VREG_CONSOLE:
        *pe_vreg(pe, VREG_CONSOLE_LEN) = pe_print(pe, value & ((1ull << 40) - 1), value >> 40);
        return PE_KICKED;
    case VREG_BRIDGE_AREA:
    case VREG_BRIDGE_RUN:
    case VREG_BRIDGE_TURN:
        if (!bridge_store(pe, off, value))
            break;
        if (off == VREG_BRIDGE_TURN)
            start_wait(pe, value);
        return PE_KICKED;
    case VREG_CALL:
    case VREG_STEP:
        call(pe, off, value);
        return PE_KICKED;
    case VREG_LIST:
        *pe_vreg(pe, VREG_LIST) = vreg_run_list(pe, value);
        return PE_KICKED;
    case VREG_ACK: /* the queue was full */
        vdtu_ack(pe->dtu, (unsigned)(value >> 56), value & ((1ull << 56) - 1));
        return PE_KICKED;
    case VREG_EXIT:
        if (scope <= VREG_EXIT_MACHINE)
            return pe_exit_program(pe, (uint32_t)value, (enum vreg_exit)scope);
        break;
    case VREG_RING:
    case VREG_RING_OPEN:
    case VREG_RING_LANE:
    case VREG_RING_BELL:
        if (ring_store(pe, off, value))
            return PE_KICKED;
        break;
    case VREG_OVER:
    case VREG_ASK:
        if (off == VREG_OVER ? pe_hear_over(pe) : control_store(pe, value))
            return PE_KICKED;
        break;
    default:
        if (map_store(pe, off, value))
            return PE_KICKED;
        break;
    }
    pe->ignored_vreg++; /* read-only, reserved, or an exit scope that is none */
    return PE_KICKED;
}
