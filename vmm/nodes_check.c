/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the nodes of a machine fit together; and whether its NIC, in a machine of one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../include/boot.h"
#include "machine_impl.h"

/* Where PEs that nobody numbered go: out of the way, and apart for MACHINE_MAX_NODES nodes. */
#define BRIDGE_OF(k) (1022u - (k))
#define MEMORY_OF(k) ((k) ? 990u + (k) : MEM_PE)

static int line_of(const struct machine_node *n, enum node_key key)
{
    return n->where[key] ? n->where[key] : n->line;
}

#define COMPLAIN(m, n, key, ...) diag_add(d, (m)->file, line_of(n, key), __VA_ARGS__)

static void defaults(struct machine *m, unsigned k, struct diag *d)
{
    struct machine_node *n = &m->node[k];

    if (!n->where[NODE_PES])
        COMPLAIN(m, n, NODE_PES, "[node %u] has no PEs; give it pes = FIRST-LAST", k);
    if (n->boot && n->boot[strspn(n->boot, " \t\r\v\f")] == 0)
        COMPLAIN(m, n, NODE_BOOT, "[node %u]: empty boot line; remove it, or name programs", k);
    if (!n->where[NODE_MEMORY])
        n->memory = n->boot ? MEMORY_OF(k) : MACHINE_NO_PE;
    if (!n->where[NODE_BRIDGE])
        n->bridge = BRIDGE_OF(k);
    if (!n->where[NODE_MAC])
        memcpy(n->mac, (uint8_t[6]){0x52, 0x53, 0x56, 0, 0, (uint8_t)k}, 6);
    if (!n->ip4[0])
        snprintf(n->ip4, sizeof(n->ip4), "10.83.0.%u", (k + 1) & 0xFF);
    if (!n->where[NODE_ADDRESS])
        snprintf(n->ip6, sizeof(n->ip6), "fd83::%x", (k + 1) & 0xFF);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* Port 0, or a host part that means "all of mine": nobody can send there. */
static bool is_vague(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0 ||
           strcmp(strrchr(address, ':'), ":0") == 0;
}

static int address_of(struct machine *m, unsigned k, struct diag *d)
{
    struct machine_node *n = &m->node[k];

    if (n->stream) {
        if (m->nnodes != 2)
            COMPLAIN(m, n, NODE_STREAM, "stream joins two nodes, the machine has %u; use listen",
                     m->nnodes);
        if (n->listen || n->at)
            COMPLAIN(m, n, NODE_STREAM, "[node %u] has stream and an address for UDP; remove one",
                     k);
        return 0;
    }
    if (!n->listen && !n->at) {
        COMPLAIN(m, n, NODE_LISTEN, "[node %u] has no address; give it listen = host:port", k);
        return 0;
    }
    if (!n->listen && !(n->listen = strdup(n->at)))
        return -ENOMEM;
    if (!n->at && !(n->at = strdup(n->listen)))
        return -ENOMEM;
    if (is_vague(n->at) && !(m->selected && k == m->self))
        COMPLAIN(m, n, n->where[NODE_AT] ? NODE_AT : NODE_LISTEN,
                 "nobody can send to %s; say with at = host:port where node %u is", n->at, k);
    return 0;
}

/* ---- numbers --------------------------------------------------------------------------------- */

struct claim {
    unsigned first, last, k;
    const char *what;
    enum node_key key;
};

static unsigned claims_of(const struct machine *m, unsigned k, struct claim c[3])
{
    const struct machine_node *n = &m->node[k];
    unsigned count = 0;

    if (n->first)
        c[count++] = (struct claim){n->first, n->last, k, "pes", NODE_PES};
    c[count++] = (struct claim){n->bridge, n->bridge, k, "bridge", NODE_BRIDGE};
    if (n->memory != MACHINE_NO_PE)
        c[count++] = (struct claim){n->memory, n->memory, k, "memory", NODE_MEMORY};
    return count;
}

/* No PE may be two things. */
static void check_overlaps(const struct machine *m, struct diag *d)
{
    struct claim c[3 * MACHINE_MAX_NODES];
    unsigned n = 0;

    for (unsigned k = 0; k < m->nnodes; k++)
        n += claims_of(m, k, c + n);
    for (unsigned i = 1; i < n; i++)
        for (unsigned j = 0; j < i; j++)
            if (c[i].first <= c[j].last && c[j].first <= c[i].last) {
                unsigned pe = c[i].first > c[j].first ? c[i].first : c[j].first;

                COMPLAIN(m, &m->node[c[i].k], c[i].key,
                         "PE %u is among %s of node %u and %s of node %u; renumber one", pe,
                         c[j].what, c[j].k, c[i].what, c[i].k);
                break;
            }
}

static void check_twins(const struct machine *m, unsigned k, struct diag *d)
{
    const struct machine_node *n = &m->node[k];

    for (unsigned j = 0; j < k; j++) {
        const struct machine_node *o = &m->node[j];

        if (memcmp(n->mac, o->mac, 6) == 0)
            COMPLAIN(m, n, NODE_MAC, "nodes %u and %u have the same mac; change one", j, k);
        if (strcmp(n->ip4, o->ip4) == 0 || (n->ip6[0] && strcmp(n->ip6, o->ip6) == 0))
            COMPLAIN(m, n, NODE_ADDRESS, "nodes %u and %u have the same address; change one", j, k);
        if (n->at && o->at && strcmp(n->at, o->at) == 0)
            COMPLAIN(m, n, n->where[NODE_AT] ? NODE_AT : NODE_LISTEN,
                     "nodes %u and %u are both at %s; change one", j, k, n->at);
    }
}

/* What belongs to a machine of one node only. */
static void check_single(const struct machine *m, struct diag *d)
{
    static const struct {
        enum machine_key key;
        const char *what;
    } keys[] = {{KEY_PES, "pes of its own; give each [node K] its own"},
                {KEY_BOOT, "boot line of its own; give each [node K] its own line"},
                {KEY_NIC_PE, "[nic]; each bridge has its own"},
                {KEY_NIC_MAC, "[nic]; each bridge has its own"},
                {KEY_NIC_UDP, "[nic]; each bridge has its own"},
                {KEY_NIC_STREAM, "[nic]; each bridge has its own"},
                {KEY_NIC_IRQ, "[nic]; each bridge has its own"}};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (m->given[keys[i].key])
            diag_add(d, m->where[keys[i].key] ? m->file : NULL, m->where[keys[i].key],
                     "a machine of several nodes has no %s", keys[i].what);
}

static void check_streams(const struct machine *m, struct diag *d)
{
    const struct machine_node *n = m->node;

    if (m->nnodes != 2 || (!n[0].stream && !n[1].stream))
        return;
    if (!n[0].stream || !n[1].stream)
        COMPLAIN(m, &n[!n[1].stream], NODE_STREAM, "one node has a stream, the other has none");
    else if ((*n[0].stream == 'l') == (*n[1].stream == 'l'))
        COMPLAIN(m, &n[1], NODE_STREAM, "of two streams one must listen: and one connect:");
    if (m->link_key)
        diag_add(d, m->where[KEY_LINK_KEY] ? m->file : NULL, m->where[KEY_LINK_KEY],
                 "a stream is not sealed; remove key, or use listen");
}

void nodes_check(struct machine *m, struct diag *d)
{
    check_single(m, d);
    for (unsigned k = 0; k < m->nnodes; k++)
        if (!m->node[k].there)
            diag_add(d, m->file, 0, "no section [node %u]; number the nodes from 0", k);
    if (m->nnodes < 2)
        diag_add(d, m->file, m->node[0].line, "only one [node K]; add another, or remove it");
    for (unsigned k = 0; k < m->nnodes; k++) {
        if (!m->node[k].there)
            return;
        defaults(m, k, d);
        if (address_of(m, k, d) < 0)
            diag_add(d, NULL, 0, "out of memory for the nodes; end other programs");
        check_twins(m, k, d);
    }
    if (!m->node[0].boot)
        COMPLAIN(m, &m->node[0], NODE_BOOT, "[node 0] has no boot line; give it line = kernel ...");
    check_overlaps(m, d);
    check_streams(m, d);
    if (m->selected && m->self >= m->nnodes)
        diag_add(d, NULL, 0, "--node %u: the machine has nodes 0 to %u", m->self, m->nnodes - 1);
}

/* ---- one node -------------------------------------------------------------------------------- */

void nic_check(const struct machine *m, struct diag *d)
{
    const struct machine_nic *n = &m->nic;
    int line = m->where[KEY_NIC_PE];
    const char *file = line ? m->file : NULL;

    if (m->selected)
        diag_add(d, NULL, 0, "--node: the machine has one node only; leave it out");
    if (!n->on)
        return;
    if (!n->pe)
        diag_add(d, NULL, 0, "the NIC is in no PE; give it pe = N");
    else if (n->pe > m->pes)
        diag_add(d, file, line, "the NIC is in PE %u, the machine has only %u; raise pes", n->pe,
                 m->pes);
    if (n->stream ? n->udp || n->peer : !n->udp || !n->peer)
        diag_add(d, file, line, "a NIC wants udp and peer, or stream and neither of them");
}
