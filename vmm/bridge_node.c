/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge port of a node: which PEs live elsewhere, and how its commands wait (sched.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "bridge.h"
#include "nic.h"
#include "node.h"
#include "sched.h"

bool node_pe_remote(const struct node *n, unsigned pe)
{
    return pe < DTU_PES && n->remote[pe / 64] >> pe % 64 & 1;
}

static void add_remote(struct node *n, unsigned pe)
{
    if (pe < DTU_PES)
        n->remote[pe / 64] |= 1ull << pe % 64;
}

static void fill_remote(struct node *n)
{
    const struct machine *m = n->desc;
    unsigned k, pe;

    for (k = 0; k < m->nnodes; k++) {
        const struct machine_node *other = &m->node[k];

        if (k == m->self || !other->there)
            continue;
        for (pe = other->first; pe <= other->last; pe++)
            add_remote(n, pe);
        add_remote(n, other->memory); /* MACHINE_NO_PE is none */
        add_remote(n, other->bridge);
    }
}

/* ---- what the port asks of its node ---- */

static bool on_remote(void *arg, unsigned pe)
{
    return node_pe_remote(arg, pe);
}

static void on_park(void *arg, unsigned pe)
{
    struct node *n = arg;

    n->sched->park(node_pe(n, pe));
}

static void on_unpark(void *arg, unsigned pe)
{
    struct node *n = arg;

    n->sched->unpark(node_pe(n, pe));
}

static bool on_abandoned(void *arg, unsigned pe)
{
    struct node *n = arg;

    return atomic_load(&n->end) != NODE_RUNS || atomic_load(&node_pe(n, pe)->resetting);
}

static void on_wake(void *arg)
{
    struct node *n = arg;

    n->sched->wake(node_pe(n, n->bridge_pe));
}

static void on_touched(void *arg, unsigned pe)
{
    struct node *n = arg;
    struct pe *p = node_pe(n, pe);

    if (p && n->sched->touched)
        n->sched->touched(p);
}

static const struct bridge_ops node_ops = {
    .remote = on_remote,
    .park = on_park,
    .unpark = on_unpark,
    .abandoned = on_abandoned,
    .wake = on_wake,
    .touched = on_touched,
};

/* ---- the node's bridge PE ---- */

/* Other nodes tell this run from the one before by it: bridges, and kernels among themselves. */
static void set_epochs(struct node *n)
{
    uint64_t e = 0;

    if (n->desc->seed.on)
        e = seed_mix(n->desc->seed.seed, VREG_EPOCH, n->desc->self, n->life);
    else if (getrandom(&e, sizeof(e), 0) != (ssize_t)sizeof(e))
        e = seed_mix(host_now(), n->start_ns, n->desc->self, 0);
    for (unsigned i = 0; i < n->npes; i++)
        *pe_vreg(&n->pes[i], VREG_EPOCH) = e ? e : 1;
}

int bridge_attach(struct node *n)
{
    unsigned id = machine_bridge(n->desc);
    struct pe *pe = id ? node_pe(n, id) : NULL;

    atomic_store(&n->leaving, 0);
    set_epochs(n);
    if (!pe)
        return 0;
    fill_remote(n);
    n->bridge = bridge_new(n->noc, pe->id, pe->mem, pe->mem_size, &node_ops, n);
    if (!n->bridge)
        return -ENOMEM;
    n->bridge_pe = pe->id;
    vdtu_noc_remote(n->noc, bridge_packet, n->bridge);
    vdtu_noc_remote_many(n->noc, bridge_packets);
    *pe_vreg(pe, VREG_FEATURES) |= VREG_F_BRIDGE;
    return 0;
}

void bridge_new_life(struct node *n)
{
    set_epochs(n);
}

void bridge_detach(struct node *n)
{
    bridge_free(n->bridge);
    n->bridge = NULL;
}

static struct bridge *port(const struct pe *pe)
{
    return pe->id == pe->node->bridge_pe ? pe->node->bridge : NULL;
}

unsigned bridge_causes(struct pe *pe)
{
    struct bridge *b = port(pe);
    uint64_t now;
    uint32_t ns;

    if (!b)
        return 0;
    if (bridge_few(b, &ns)) {
        now = pe->node->sched->now(pe->node);
        pe->held = pe->held ? pe->held : now + ns;
        if (now < pe->held) {
            pe->deadline = pe->deadline < pe->held ? pe->deadline : pe->held;
            return 0;
        }
    }
    return bridge_poll(b) ? VREG_CAUSE_BRIDGE : 0;
}

void bridge_pe_reset(struct pe *pe)
{
    if (pe->node->bridge)
        bridge_forget(pe->node->bridge, pe->id);
    if (port(pe))
        bridge_reset(port(pe));
}

/*
 * A node without its bridge has no part in the machine: others take it for dead, and what it still
 * does may wait for them for ever.  Whoever started it learns so at once; started again it is new.
 */
void bridge_pe_over(struct pe *pe)
{
    struct node *n = pe->node;

    if (!port(pe))
        return;
    bridge_over(port(pe));
    if (node_finish(n, NODE_EXITED, 1))
        node_log(n, LOG_ERROR,
                 "node %u ends: its bridge, PE %u, is over, as that says; start the node again",
                 n->desc->self, pe->id);
}

/* ---- the end of the machine ---- */

/*
 * One to take the packet in, one to send the answer, and one more because that may wait for company
 * (guest/bridge/linger.h).
 */
#define LAST_TURNS 3u

void bridge_tell_over(struct pe *pe, uint32_t status)
{
    const struct machine *m = pe->node->desc;
    uint64_t value = VREG_GOODBYE_BY | status;
    unsigned k;

    for (k = 0; pe->node->bridge && m->self == 0 && k < m->nnodes; k++) {
        struct vdtu_pkt pkt = {.type = VDTU_PKT_WRITE,
                               .src_pe = pe->id,
                               .dst_pe = (uint16_t)m->node[k].bridge,
                               .dst_vpe = DTU_VPE_INVALID,
                               .offset = VREG_BASE + VREG_GOODBYE,
                               .data = &value,
                               .len = sizeof(value)};

        /* Who does not hear of it is lost, and the link has waited for it as long as is right. */
        if (m->node[k].there && !m->node[k].boot && k != m->self &&
            bridge_packet(pe->node->bridge, &pkt))
            node_log(pe->node, LOG_INFO, "node %u was not told that the machine is over", k);
    }
}

bool bridge_over_told(struct pe *pe, uint64_t value)
{
    struct node *n = pe->node;
    unsigned none = 0;

    if (!port(pe) || n->desc->node[n->desc->self].boot || value >> 32 != VREG_GOODBYE_BY >> 32)
        return false;
    if (atomic_load(&n->leaving) == 0)
        n->leave_status = (uint32_t)value;
    atomic_compare_exchange_strong(&n->leaving, &none, LAST_TURNS);
    return true;
}

/* The bridge has had a turn. */
static void leave(struct node *n)
{
    if (atomic_load(&n->leaving) && atomic_fetch_sub(&n->leaving, 1) == 1)
        node_finish(n, NODE_EXITED, n->leave_status);
}

/* Whatever the bridge has not seen ends the wait that begins now. */
static void take_turn(struct pe *pe, struct bridge *b)
{
    uint32_t next = bridge_turn(b), causes = 0;

    if (pe->nic && nic_take_causes(pe->nic, next, &causes))
        pe->pending |= VREG_CAUSE_NIC;
    bridge_nic_causes(b, causes);
}

bool bridge_store(struct pe *pe, unsigned off, uint64_t value)
{
    struct bridge *b = port(pe);

    if (!b)
        return false;
    if (off == VREG_BRIDGE_AREA) {
        bridge_set_area(b, value);
        *pe_vreg(pe, VREG_BRIDGE_AREA) = bridge_area(b);
    } else if (off == VREG_BRIDGE_TURN) {
        leave(pe->node);
        bridge_run(b);
        take_turn(pe, b);
    } else {
        bridge_run(b);
        *pe_vreg(pe, VREG_TIME) = pe->node->sched->now(pe->node);
    }
    return true;
}

/* ---- reports ---- */

static void print_port(struct bridge *b, FILE *out)
{
    struct bridge_stats s;

    bridge_get_stats(b, &s);
    fprintf(out,
            "  bridge    taken %" PRIu64 " (waited %" PRIu64 ") completed %" PRIu64
            " injected %" PRIu64 " refused %" PRIu64 "\n",
            s.taken, s.waited, s.completed, s.injected, s.refused);
    if (s.bad_op | s.bad_len | s.bad_source | s.bad_id | s.bad_result | s.bad_index | s.late |
        s.abandoned | s.gone)
        fprintf(out,
                "            bad: op %" PRIu64 " length %" PRIu64 " source %" PRIu64 " id %" PRIu64
                " result %" PRIu64 " index %" PRIu64 "; late %" PRIu64 " abandoned %" PRIu64
                " gone %" PRIu64 "\n",
                s.bad_op, s.bad_len, s.bad_source, s.bad_id, s.bad_result, s.bad_index, s.late,
                s.abandoned, s.gone);
}

void bridge_print_stats(struct pe *pe, FILE *out)
{
    struct bridge *b = pe->node->bridge;
    uint64_t packets, failed;

    if (!b)
        return;
    bridge_pe_stats(b, pe->id, &packets, &failed);
    if (packets)
        fprintf(out, "  remote    packets %" PRIu64 " refused %" PRIu64 "\n", packets, failed);
    if (port(pe))
        print_port(b, out);
}
