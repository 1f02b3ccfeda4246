/* SPDX-License-Identifier: BSD-2-Clause */
#include "stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "console.h"
#include "doctor.h"
#include "nic.h"
#include "sched_seed.h"

static const char *const op_names[8] = {"idle",  "send",  "reply", "read",
                                        "write", "fetch", "ack",   "debug"};

static void print_list(FILE *out, const char *title, const char *const *names, const uint64_t *v,
                       unsigned n)
{
    unsigned i;

    fprintf(out, "  %-9s", title);
    for (i = 0; i < n; i++)
        if (v[i])
            fprintf(out, " %s %" PRIu64, names[i], v[i]);
    fprintf(out, "\n");
}

static void print_kvm_exits(FILE *out, const struct pe *pe)
{
    unsigned i;

    fprintf(out, "  kvm exits");
    for (i = 0; i <= KVM_EXIT_NAMES; i++)
        if (pe->kvm_exits[i])
            fprintf(out, " %s %" PRIu64, i < KVM_EXIT_NAMES ? kvm_exit_name(i) : "beyond",
                    pe->kvm_exits[i]);
    fprintf(out, "\n");
}

static void print_refused(FILE *out, const struct vdtu_stats *s, const struct pe *pe)
{
    static const char *const names[] = {"full", "vpe",       "ep",     "stores",
                                        "noc",  "acks",      "grants", "outside-memory",
                                        "vreg", "interrupts"};
    const uint64_t v[] = {s->refused_full,  s->refused_vpe, s->refused_ep,  s->ignored_stores,
                          s->ignored_noc,   s->bad_acks,    s->lost_grants, s->outside,
                          pe->ignored_vreg, pe->irqs};
    unsigned i;

    for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        if (v[i]) {
            print_list(out, "refused", names, v, sizeof(v) / sizeof(v[0]));
            return;
        }
}

static const char *end_name(const struct pe *pe)
{
    switch (pe->end) {
    case PE_FAULTED:
        return "faulted";
    case PE_EXITED:
        return "exited";
    default:
        return pe->waiting == PE_NOT_WAITING ? "running" : "waiting";
    }
}

static void print_pe(struct pe *pe, FILE *out)
{
    struct vdtu_stats s;
    uint64_t mmio;

    vdtu_stats(pe->dtu, &s);
    mmio = pe->exits[PX_COMMAND] + pe->exits[PX_REGISTER] + pe->exits[PX_VREG] +
           pe->exits[PX_OUTSIDE] + pe->exits[PX_BARRIER];
    fprintf(out, "PE %u: %s, waited %.3f ms, mmio exits %" PRIu64 ", posted stores %" PRIu64 "\n",
            pe->id, end_name(pe), (double)pe->wait_ns / 1e6, mmio, pe->posted);
    print_list(out, "exits", pe_exit_names, pe->exits, PX_COUNT);
    print_kvm_exits(out, pe);
    print_list(out, "commands", op_names, s.cmds, 8);
    fprintf(out,
            "  messages  sent %" PRIu64 " (%" PRIu64 " bytes) received %" PRIu64 " (%" PRIu64
            " bytes)\n  memory    read %" PRIu64 " bytes written %" PRIu64 " bytes\n",
            s.msgs_sent, s.bytes_sent, s.msgs_received, s.bytes_received, s.bytes_read,
            s.bytes_written);
    if (s.ring_sent || s.ring_received || s.channels)
        fprintf(out, "  rings     sent %" PRIu64 " received %" PRIu64 " channels %" PRIu64 "\n",
                s.ring_sent, s.ring_received, s.channels);
    if (s.maps || s.maps_refused)
        fprintf(out, "  mapped    made %" PRIu64 " refused %" PRIu64 " revoked %" PRIu64 "\n",
                s.maps, s.maps_refused, s.maps_revoked);
    print_refused(out, &s, pe);
    bridge_print_stats(pe, out);
}

void stats_print(struct node *n, FILE *out)
{
    struct vdtu_stats s;
    unsigned i, quiet = 0;

    fprintf(out, "-- statistics: %.3f ms, KVM flavour %s", (double)(host_now() - n->start_ns) / 1e6,
            doctor_kvm_flavour());
    if (n->desc->seed.on)
        fprintf(out, ", %" PRIu64 " steps", sched_seed_steps(n));
    fprintf(out, "\n");
    for (i = 0; i < n->npes; i++) {
        vdtu_stats(n->pes[i].dtu, &s);
        /* A PE that only ever waited in idle says nothing that its neighbours do not. */
        if (n->npes > 4 && n->pes[i].end == PE_RUNNING && n->pes[i].exits[PX_COMMAND] == 0 &&
            n->pes[i].exits[PX_VREG] == 0 && s.msgs_received == 0 && s.ext_cmds[0] == 0)
            quiet++;
        else
            print_pe(&n->pes[i], out);
    }
    if (quiet)
        fprintf(out, "%u further PEs stayed idle\n", quiet);
    if (node_nic(n))
        nic_stats(node_nic(n)->nic, out);
    if (console_lost(n->console))
        fprintf(out, "console: %" PRIu64 " bytes lost\n", console_lost(n->console));
}

/* The PEs that ran a program which noted its end: the machine's applications. */
static unsigned applications(struct node *n, uint16_t *ids)
{
    unsigned i, k = 0;

    for (i = 0; i < n->npes; i++)
        if (n->pes[i].noted)
            ids[k++] = n->pes[i].id;
    return k;
}

void stats_pairs(struct node *n, FILE *out)
{
    uint16_t *ids = calloc(n->npes, sizeof(*ids));
    unsigned k = ids ? applications(n, ids) : 0, i, j;

    fprintf(out, "messages, from row to column\n%8s", "");
    for (j = 0; j < k; j++)
        fprintf(out, " %6s%u", "PE ", ids[j]);
    fprintf(out, "\n");
    for (i = 0; i < k; i++) {
        fprintf(out, "   PE %-2u", ids[i]);
        for (j = 0; j < k; j++)
            fprintf(out, " %7" PRIu64, vdtu_noc_pair(n->noc, ids[i], ids[j]));
        fprintf(out, "\n");
    }
    free(ids);
}

void stats_exits(struct node *n, FILE *out)
{
    unsigned i, all = 0, good = 0;

    for (i = 0; i < n->npes; i++) {
        const struct pe *pe = &n->pes[i];

        if (!pe->noted && pe->end != PE_FAULTED)
            continue;
        all++;
        good += pe->end != PE_FAULTED && pe->noted_status == 0;
    }
    fprintf(out, "%u/%u PEs exited 0\n", good, all);
}
