/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader tells a bridge: which node it is and which nodes there are.
 *
 *     bridge self=K node=K,first,last,memory,bridge,mac,ip4[,ip6] ... [lines=H] [sizes=H]
 *            [mtu=N] [dead=MS] [boot=MS] [stats]
 *
 * first..last are the node's core PEs, memory its memory PE (65535: none), bridge its bridge PE.
 * All nodes of a machine get the same node=, lines= and sizes=, or do not connect.  An argument may
 * be several, with blanks between them.
 *
 *   lines=H  a hash of the boot lines of all nodes, in hexadecimal; sizes=H: of their memories
 *   mtu=N    UDP payload of a frame (1344: with all headers and a seal it fits a 1,500-byte path)
 *   dead=MS  how long a node may stay silent until it is dead (2000; at least 100)
 *   boot=MS  how long packets wait for a node that was never there (30000)
 *   stats    report on the console when a burst of traffic is over
 */
#ifndef BRIDGE_ARGS_H
#define BRIDGE_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../include/link.h"
#include "net.h"

#define ARGS_NO_PE 0xFFFFu

struct args_node {
    bool there;
    uint16_t first, last, memory, bridge;
    uint8_t mac[6];
    struct net_addr ip4, ip6;
};

struct args {
    unsigned self;
    unsigned nodes; /* the highest number and 1 */
    unsigned count; /* of them that are there */
    struct args_node node[LINK_NODES];
    uint16_t mtu;              /* 0: not said */
    uint32_t dead_ms;          /* 0: not said */
    uint32_t boot_ms;          /* 0: not said */
    struct link_hello machine; /* `nodes`: a hash of the node= arguments */
    bool stats;
};

/* False: *wrong is the argument that cannot be understood, or what is missing. */
bool args_parse(int argc, char *const *argv, struct args *out, const char **wrong);

#endif
