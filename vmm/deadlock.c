/* SPDX-License-Identifier: BSD-2-Clause */
#include "deadlock.h"

#include <inttypes.h>

#include "bridge.h"
#include "sched_seed.h"

static const char *const ep_types[8] = {"invalid", "send",   "receive", "memory",
                                        "type 4",  "type 5", "type 6",  "type 7"};

static const char *wait_name(const struct pe *pe)
{
    if (pe->end == PE_FAULTED)
        return "faulted";
    if (pe->end == PE_EXITED)
        return "exited";
    return pe->waiting == PE_WAIT_HLT    ? "waits in HLT"
           : pe->waiting == PE_WAIT_VREG ? "waits"
                                         : "runs";
}

/* The endpoints on which a message would wake it. */
static void print_receivers(struct pe *pe, FILE *out)
{
    const char *sep = " for a message on endpoint ";
    unsigned ep;

    for (ep = 0; ep < DTU_EPS; ep++)
        if (dtu_ep_type(vdtu_reg(pe->dtu, DTU_EP(ep, 0))) == DTU_EP_RECV) {
            fprintf(out, "%s%u", sep, ep);
            sep = ", ";
        }
}

void deadlock_report(struct node *n, FILE *out)
{
    unsigned i, waiting = 0;

    for (i = 0; i < n->npes; i++)
        waiting += n->pes[i].end == PE_RUNNING;
    fprintf(
        out,
        "sempervm: deadlock: %u PEs wait for messages that nobody is left to send: see --stats, "
        "or use --until-idle if that is the goal\n",
        waiting);
    for (i = 0; i < n->npes; i++) {
        struct pe *pe = &n->pes[i];
        unsigned vpe = (unsigned)vdtu_reg(pe->dtu, DTU_VPE_ID);

        unsigned to = 0;
        uint32_t id = n->bridge ? bridge_waits(n->bridge, pe->id, &to) : 0;

        if (vpe == DTU_VPE_INVALID && !id)
            continue; /* idle: it waits for a program */
        fprintf(out, "  PE %u, VPE %u: ", pe->id, vpe);
        if (id)
            fprintf(out, "waits for packet %" PRIu32 " to PE %u", id, to);
        else
            fprintf(out, "%s", wait_name(pe));
        if (pe->end == PE_RUNNING && !id)
            print_receivers(pe, out);
        fprintf(out, "\n");
    }
}

static void dump_dtu(struct vdtu *d, FILE *out)
{
    unsigned ep;

    fprintf(out,
            " STATUS %" PRIx64 " VPE_ID %" PRIu64 " RW_BARRIER %" PRIx64 " MSG_CNT %" PRIu64
            " COMMAND %" PRIx64 " DATA_ADDR %" PRIx64 " DATA_SIZE %" PRIx64 " OFFSET %" PRIx64 "\n",
            vdtu_reg(d, DTU_STATUS), vdtu_reg(d, DTU_VPE_ID), vdtu_reg(d, DTU_RWB),
            vdtu_reg(d, DTU_MSG_CNT), vdtu_reg(d, DTU_COMMAND), vdtu_reg(d, DTU_DATA_ADDR),
            vdtu_reg(d, DTU_DATA_SIZE), vdtu_reg(d, DTU_OFFSET));
    for (ep = 0; ep < DTU_EPS; ep++) {
        uint64_t r0 = vdtu_reg(d, DTU_EP(ep, 0));

        if (dtu_ep_type(r0) != DTU_EP_INVALID)
            fprintf(out, "  endpoint %2u %-7s %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", ep,
                    ep_types[dtu_ep_type(r0)], r0, vdtu_reg(d, DTU_EP(ep, 1)),
                    vdtu_reg(d, DTU_EP(ep, 2)));
    }
}

void deadlock_dump(struct node *n, FILE *out)
{
    unsigned i;

    fprintf(out, "DTUs at step %" PRIu64 "\n", sched_seed_steps(n));
    if (n->dram_dtu) {
        fprintf(out, "PE %u:", vdtu_pe(n->dram_dtu));
        dump_dtu(n->dram_dtu, out);
    }
    for (i = 0; i < n->npes; i++) {
        fprintf(out, "PE %u, %s:", n->pes[i].id, wait_name(&n->pes[i]));
        dump_dtu(n->pes[i].dtu, out);
    }
}
