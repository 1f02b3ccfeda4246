/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machines of several nodes: the [node K] sections, which of them this process is, and whether they
 * fit together.  PE numbers are the whole machine's, so every check looks at all nodes.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../include/boot.h"
#include "bootline.h"
#include "machine_impl.h"

/* ---- values ---------------------------------------------------------------------------------- */

static int parse_pe(const char *s, unsigned least, unsigned *out, const char **end)
{
    char *stop;
    unsigned long n = strtoul(s, &stop, 10);

    if (!isdigit((unsigned char)*s) || n < least || n > MACHINE_MAX_PES)
        return -EINVAL;
    *out = (unsigned)n;
    *end = stop;
    return 0;
}

static int parse_range(const char *s, unsigned *first, unsigned *last)
{
    const char *end;
    unsigned a, b;

    if (parse_pe(s, 1, &a, &end) < 0)
        return -EINVAL;
    b = a;
    end += strspn(end, " \t");
    if (*end == '-') {
        end++;
        if (parse_pe(end + strspn(end, " \t"), 1, &b, &end) < 0)
            return -EINVAL;
    }
    if (*end || b < a)
        return -EINVAL;
    *first = a;
    *last = b;
    return 0;
}

static int parse_one(const char *s, unsigned least, unsigned *out)
{
    const char *end;

    return parse_pe(s, least, out, &end) < 0 || *end ? -EINVAL : 0;
}

int machine_parse_mac(const char *s, uint8_t mac[6])
{
    static const uint8_t none[6];
    uint8_t v[6];

    for (int i = 0; i < 6; i++) {
        if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]))
            return -EINVAL;
        v[i] = (uint8_t)strtoul((char[]){s[0], s[1], 0}, NULL, 16);
        if (s[2] != (i < 5 ? ':' : 0))
            return -EINVAL;
        s += 3;
    }
    if ((v[0] & 1) || memcmp(v, none, 6) == 0)
        return -EINVAL;
    memcpy(mac, v, 6);
    return 0;
}

bool machine_is_address(const char *s)
{
    const char *colon = strrchr(s, ':');
    char *end;
    unsigned long port;

    if (!colon || colon == s || !isdigit((unsigned char)colon[1]))
        return false;
    port = strtoul(colon + 1, &end, 10);
    if (*end || port > 65535)
        return false;
    if (*s == '[')
        return colon[-1] == ']' && colon - s > 3;
    for (const char *p = s; p < colon; p++)
        if (!isalnum((unsigned char)*p) && !strchr(".-_", *p))
            return false;
    return true;
}

bool machine_is_stream(const char *s)
{
    size_t n = strcspn(s, ":");

    if (strncmp(s, "listen:", 7) != 0 && strncmp(s, "connect:", 8) != 0)
        return false;
    s += n + 1;
    if (strncmp(s, "unix:", 5) == 0)
        return s[5] != 0;
    return strncmp(s, "tcp:", 4) == 0 && machine_is_address(s + 4);
}

/* Of one host: others can neither be asked for nor sent to. */
static bool is_unicast4(const struct in_addr *a)
{
    unsigned first = ntohl(a->s_addr) >> 24;

    return first != 0 && first != 127 && first < 224;
}

static bool is_unicast6(const struct in6_addr *a)
{
    return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_LOOPBACK(a) && !IN6_IS_ADDR_MULTICAST(a);
}

/* "v4", "v6" or "v4, v6". */
static int parse_ips(struct machine_node *n, const char *v)
{
    char text[128], *save = NULL;
    struct in6_addr six;
    struct in_addr four;

    n->ip4[0] = n->ip6[0] = 0;
    if (snprintf(text, sizeof(text), "%s", v) >= (int)sizeof(text))
        return -EINVAL;
    for (char *w = strtok_r(text, ", \t", &save); w; w = strtok_r(NULL, ", \t", &save)) {
        if (!n->ip4[0] && inet_pton(AF_INET, w, &four) == 1 && is_unicast4(&four))
            inet_ntop(AF_INET, &four, n->ip4, sizeof(n->ip4));
        else if (!n->ip6[0] && inet_pton(AF_INET6, w, &six) == 1 && is_unicast6(&six))
            inet_ntop(AF_INET6, &six, n->ip6, sizeof(n->ip6));
        else
            return -EINVAL;
    }
    return n->ip4[0] ? 0 : -EINVAL;
}

static int append(char **to, const char *v)
{
    char *s = NULL;

    if (asprintf(&s, "%s%s%s", *to ? *to : "", *to ? " " : "", v) < 0)
        return -ENOMEM;
    free(*to);
    *to = s;
    return 0;
}

static int replace(char **to, const char *v, bool good)
{
    char *copy;

    if (!good)
        return -EINVAL;
    copy = strdup(v);
    if (!copy)
        return -ENOMEM;
    free(*to);
    *to = copy;
    return 0;
}

static const struct {
    const char *name, *want;
} node_keys[NODE_KEYS] = {
    [NODE_PES] = {"pes", "PEs like 1-8, from 1 to 1022"},
    [NODE_BOOT] = {"line", "a boot line like kernel hello"},
    [NODE_MEMORY] = {"memory", "the number of a PE from 0 to 1022"},
    [NODE_BRIDGE] = {"bridge", "the number of a PE from 1 to 1022"},
    [NODE_LISTEN] = {"listen", "host:port"},
    [NODE_AT] = {"at", "host:port"},
    [NODE_STREAM] = {"stream", "listen: or connect: and tcp:host:port or unix:PATH"},
    [NODE_MAC] = {"mac", "six bytes like 52:54:00:12:34:56, no group address"},
    [NODE_ADDRESS] = {"address",
                      "an IPv4 address of a host, and perhaps an IPv6 one behind a comma"},
};

static int parse_node_key(struct machine_node *n, enum node_key key, const char *v)
{
    switch (key) {
    case NODE_PES:
        return parse_range(v, &n->first, &n->last);
    case NODE_BOOT:
        return append(&n->boot, v);
    case NODE_MEMORY:
        return parse_one(v, 0, &n->memory);
    case NODE_BRIDGE:
        return parse_one(v, 1, &n->bridge);
    case NODE_LISTEN:
        return replace(&n->listen, v, machine_is_address(v));
    case NODE_AT:
        return replace(&n->at, v, machine_is_address(v));
    case NODE_STREAM:
        return replace(&n->stream, v, machine_is_stream(v));
    case NODE_MAC:
        return machine_parse_mac(v, n->mac);
    case NODE_ADDRESS:
        return parse_ips(n, v);
    default:
        return -EINVAL;
    }
}

int machine_node_set(struct machine *m, unsigned k, enum node_key key, const char *value, int line,
                     struct diag *d)
{
    struct machine_node *n = &m->node[k];
    int r;

    if (key >= NODE_KEYS)
        return -EINVAL;
    r = parse_node_key(n, key, value);
    if (n->where[key] == 0 || key != NODE_BOOT)
        n->where[key] = line;
    if (r == -EINVAL)
        diag_add(d, line ? m->file : NULL, line, "bad value '%s' of %s, want %s", value,
                 node_keys[key].name, node_keys[key].want);
    return r;
}

void nodes_free(struct machine *m)
{
    for (unsigned k = 0; k < MACHINE_MAX_NODES; k++) {
        free(m->node[k].boot);
        free(m->node[k].listen);
        free(m->node[k].at);
        free(m->node[k].stream);
    }
    free(m->link_key);
    free(m->link_program);
    free(m->link_images);
    free(m->link_options);
    free(m->nic.udp);
    free(m->nic.peer);
    free(m->nic.stream);
    free(m->pcap);
}

/* ---- which one are we? ----------------------------------------------------------------------- */

static int ordinal(const char *s)
{
    char *end;
    unsigned long n = strtoul(s, &end, 10);

    return isdigit((unsigned char)*s) && *end == 0 && n < MACHINE_MAX_NODES ? (int)n : -ENOENT;
}

int machine_node_auto(void)
{
    static const char *const ranks[] = {"SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"};
    char host[256];
    const char *v, *dash;

    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++)
        if ((v = getenv(ranks[i])) && *v)
            return ordinal(v);
    if (!(v = getenv("HOSTNAME")) || !*v) {
        if (gethostname(host, sizeof(host) - 1) < 0)
            return -ENOENT;
        host[sizeof(host) - 1] = 0;
        v = host;
    }
    dash = strrchr(v, '-');
    return dash ? ordinal(dash + 1) : -ENOENT;
}

int machine_set_node(struct machine *m, const char *value, struct diag *d)
{
    bool automatic = strcmp(value, "auto") == 0;
    int k = automatic ? machine_node_auto() : ordinal(value);

    if (k < 0) {
        if (automatic)
            diag_add(d, NULL, 0,
                     "--node auto: no number below %u in SLURM_PROCID, OMPI_COMM_WORLD_RANK or "
                     "PMI_RANK, and HOSTNAME does not end in -NUMBER; give --node K",
                     MACHINE_MAX_NODES);
        else
            diag_add(d, NULL, 0, "bad value '%s' of --node, want a number from 0 to %u or auto",
                     value, MACHINE_MAX_NODES - 1);
        return -EINVAL;
    }
    m->selected = true;
    m->self = (unsigned)k;
    return 0;
}

int machine_set_peer(struct machine *m, const char *value, struct diag *d)
{
    char *end;
    unsigned long k = strtoul(value, &end, 10);

    if (!isdigit((unsigned char)*value) || *end != '=' || k >= MACHINE_MAX_NODES ||
        !machine_is_address(end + 1)) {
        diag_add(d, NULL, 0, "bad value '%s' of --peer, want NODE=host:port", value);
        return -EINVAL;
    }
    if (!m->node[k].there) {
        diag_add(d, NULL, 0, "--peer %s: the machine has no node %lu", value, k);
        return -EINVAL;
    }
    return machine_node_set(m, (unsigned)k, NODE_AT, end + 1, 0, d);
}

int machine_set_listen(struct machine *m, const char *value, struct diag *d)
{
    struct machine_node *n;

    if (!machine_is_address(value)) {
        diag_add(d, NULL, 0, "bad value '%s' of --listen, want host:port", value);
        return -EINVAL;
    }
    if (!m->selected || !m->node[m->self].there) {
        diag_add(d, NULL, 0, "--listen %s: of which node? Give --node K of a machine file with it",
                 value);
        return -EINVAL;
    }
    /* Where the others find us does not change by it. */
    n = &m->node[m->self];
    if (!n->at && n->listen && !(n->at = strdup(n->listen)))
        return -ENOMEM;
    return machine_node_set(m, m->self, NODE_LISTEN, value, 0, d);
}

int machine_set_nic(struct machine *m, const char *value, struct diag *d)
{
    static const struct {
        const char *name, *option;
        enum machine_key key;
    } keys[] = {{"pe", "--nic pe", KEY_NIC_PE},
                {"mac", "--nic mac", KEY_NIC_MAC},
                {"udp", "--nic udp", KEY_NIC_UDP},
                {"peer", "--nic peer", KEY_NIC_PEER},
                {"stream", "--nic stream", KEY_NIC_STREAM},
                {"irq", "--nic irq", KEY_NIC_IRQ}};
    char *copy = strdup(value), *save = NULL;
    int r = copy ? 0 : -ENOMEM;

    m->nic.on = true;
    for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w && r != -ENOMEM;
         w = strtok_r(NULL, ",", &save)) {
        size_t i, n = sizeof(keys) / sizeof(keys[0]);
        const char *v = NULL;

        for (i = 0; i < n && !(v = bootline_value(w, keys[i].name)); i++)
            continue;
        if (i == n)
            diag_add(d, NULL, 0, "--nic: '%s': want pe=N, mac=M, udp=A, peer=A, stream=S or irq=N",
                     w);
        else
            r = machine_set(m, keys[i].key, v, keys[i].option, 0, d);
    }
    free(copy);
    return r;
}

/* ---- the machine as one of them sees it ------------------------------------------------------ */

unsigned machine_mem_pe(const struct machine *m)
{
    return m->nnodes ? m->node[m->self].memory : MEM_PE;
}

unsigned machine_first_pe(const struct machine *m)
{
    return m->nnodes ? m->node[m->self].first : KERNEL_PE;
}

unsigned machine_npes(const struct machine *m)
{
    const struct machine_node *n = &m->node[m->self];

    return m->nnodes ? n->last - n->first + 2 : m->pes;
}

unsigned machine_pe(const struct machine *m, unsigned place)
{
    const struct machine_node *n = &m->node[m->self];

    if (!m->nnodes)
        return place + 1;
    return place <= n->last - n->first ? n->first + place : n->bridge;
}

unsigned machine_bridge(const struct machine *m)
{
    return m->nnodes ? m->node[m->self].bridge : 0;
}

unsigned machine_nic_pe(const struct machine *m)
{
    return m->nnodes ? m->node[m->self].bridge : m->nic.on ? m->nic.pe : 0;
}

bool machine_owns(const struct machine *m, unsigned pe)
{
    if (!m->nnodes)
        return pe >= 1 && pe <= m->pes;
    for (unsigned k = 0; k < m->nnodes; k++) {
        const struct machine_node *n = &m->node[k];

        if (pe >= n->first && pe <= n->last)
            return k == m->self || (m->self == 0 && !n->boot);
    }
    return false;
}

/* ---- what all nodes must have the same, besides the nodes themselves --------------------------
 */

#define FNV_BASIS 0x811C9DC5u
#define FNV_PRIME 0x01000193u

static uint32_t hash(uint32_t h, const void *data, size_t len)
{
    for (const uint8_t *p = data, *end = p + len; p < end; p++)
        h = (h ^ *p) * FNV_PRIME;
    return h;
}

/* Words with an end each, so that what is between them does not count. */
static uint32_t hash_words(uint32_t h, const char *s)
{
    static const char blank[] = " \t\r\v\f\n";

    for (s += strspn(s, blank); *s; s += strspn(s, blank)) {
        size_t n = strcspn(s, blank);

        h = hash(hash(h, s, n), "", 1);
        s += n;
    }
    return h;
}

uint32_t machine_lines_hash(const struct machine *m)
{
    uint32_t h = FNV_BASIS;

    for (unsigned k = 0; k < m->nnodes; k++)
        h = hash(hash_words(h, m->node[k].boot ? m->node[k].boot : ""), "", 1);
    return h;
}

uint32_t machine_sizes_hash(const struct machine *m)
{
    uint32_t h = hash(FNV_BASIS, &m->dram_size, sizeof(m->dram_size));

    for (unsigned k = 0; k < m->nnodes; k++)
        for (unsigned pe = m->node[k].first; pe <= m->node[k].last; pe++) {
            uint64_t size = machine_spm(m, pe);

            h = hash(h, &size, sizeof(size));
        }
    return h;
}

int machine_become(struct machine *m, unsigned k, struct diag *d)
{
    struct machine_node *n = &m->node[k];

    m->self = k;
    m->where[KEY_BOOT] = n->boot ? n->where[NODE_BOOT] : n->line;
    return bootline_from_text(m, n->boot ? n->boot : "", n->boot != NULL, m->where[KEY_BOOT], d);
}
