/* SPDX-License-Identifier: BSD-2-Clause */
/* lwIP's interface to the driver, and its users.  See net.h. */
#include "net.h"

#include "arch/cc.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/init.h"
#include "lwip/ip_addr.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/stats.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include "str.h"

#define NS_PER_MS 1000000ull

static struct net_config cfg;
static struct net_stats stats;
static struct netif netif;
static struct udp_pcb *port_pcb;
static uint64_t time_now;
static uint64_t random_state;

u32_t sys_now(void)
{
    return (u32_t)(time_now / NS_PER_MS);
}

/* xorshift64*; good enough for identifiers, and a function of the seed. */
uint32_t net_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 0x2545F4914F6CDD1Dull >> 32);
}

/* ---- addresses ---- */

static void to_lwip(const struct net_addr *a, ip_addr_t *out)
{
    u32_t w[4];

    memcpy(w, a->bytes, sizeof(w));
    if (a->kind == 6)
        IP_ADDR6(out, w[0], w[1], w[2], w[3]);
    else
        ip_addr_set_ip4_u32(out, w[0]);
}

static void from_lwip(const ip_addr_t *a, struct net_addr *out)
{
    memset(out, 0, sizeof(*out));
    out->kind = IP_IS_V6(a) ? 6 : 4;
    if (out->kind == 6)
        memcpy(out->bytes, ip_2_ip6(a)->addr, 16);
    else
        memcpy(out->bytes, &ip_2_ip4(a)->addr, 4);
}

bool net_parse(const char *text, struct net_addr *addr)
{
    ip_addr_t a;

    if (!ipaddr_aton(text, &a))
        return false;
    from_lwip(&a, addr);
    return true;
}

bool net_same(const struct net_addr *a, const struct net_addr *b)
{
    return a->kind == b->kind && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* ---- frames ---- */

static err_t link_output(struct netif *nif, struct pbuf *p)
{
    uint8_t *frame = e1000_tx(cfg.nic, p->tot_len);

    (void)nif;
    if (!frame) {
        /* What is queued may be all of the ring: let the device have it, and look again. */
        e1000_tx_flush(cfg.nic);
        frame = e1000_tx(cfg.nic, p->tot_len);
    }
    if (!frame) {
        stats.tx_full++;
        return ERR_MEM;
    }
    pbuf_copy_partial(p, frame, p->tot_len, 0);
    return ERR_OK;
}

static err_t netif_start(struct netif *nif)
{
    static const uint8_t all_nodes[6] = {0x33, 0x33, 0, 0, 0, 1};

    nif->name[0] = 'e';
    nif->name[1] = '0';
    nif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(nif->hwaddr, cfg.nic->mac, ETH_HWADDR_LEN);
    nif->mtu = NET_MTU;
    nif->flags =
        NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    nif->output = etharp_output;
    nif->output_ip6 = ethip6_output;
    nif->linkoutput = link_output;
    e1000_multicast(cfg.nic, all_nodes);
    return ERR_OK;
}

/* A frame from the NIC's buffer into lwIP's, so that the device cannot change what was checked. */
static void input(const uint8_t *frame, size_t len)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_POOL);

    if (!p) {
        stats.rx_no_memory++;
        return;
    }
    pbuf_take(p, frame, (u16_t)len);
    if (netif.input(p, &netif) != ERR_OK)
        pbuf_free(p);
}

unsigned net_poll(unsigned max)
{
    unsigned n = 0;
    const uint8_t *frame;
    size_t len;

    while (n < max && (frame = e1000_rx(cfg.nic, &len)) != NULL) {
        input(frame, len);
        e1000_rx_done(cfg.nic);
        n++;
    }
    e1000_rx_refill(cfg.nic);
    return n;
}

/* ---- users ---- */

/* Not to port 7 of the sender: two echoes would never end.  Not to groups either. */
static void echo(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
    (void)arg;
    if (port != NET_ECHO_PORT && !ip_addr_ismulticast(ip_current_dest_addr()) &&
        !ip_addr_isbroadcast(ip_current_dest_addr(), &netif)) {
        stats.echoes++;
        if (udp_sendto(pcb, p, from, port) != ERR_OK)
            stats.tx_refused++;
    }
    pbuf_free(p);
}

static void received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                     u16_t port)
{
    static uint8_t flat[NET_DATAGRAM];
    const uint8_t *data = p->payload;
    struct net_addr sender;

    (void)arg;
    (void)pcb;
    from_lwip(from, &sender);
    if (p->tot_len > sizeof(flat)) {
        stats.rx_long++;
    } else {
        if (p->len != p->tot_len) {
            pbuf_copy_partial(p, flat, p->tot_len, 0);
            data = flat;
        }
        if (port != cfg.port || !cfg.receive(cfg.arg, &sender, data, p->tot_len))
            stats.rx_stranger++;
    }
    pbuf_free(p);
}

static bool listen(u16_t port, udp_recv_fn fn, struct udp_pcb **out)
{
    *out = udp_new_ip_type(IPADDR_TYPE_ANY);
    if (!*out || udp_bind(*out, IP_ANY_TYPE, port) != ERR_OK)
        return false;
    udp_recv(*out, fn, NULL);
    return true;
}

/* The solicited-node groups of our addresses, where neighbours ask for us (RFC 4861 7.2.1). */
static void add_ip6(void)
{
    uint8_t group[6] = {0x33, 0x33, 0xFF};
    ip_addr_t a;
    s8_t index;

    netif_create_ip6_linklocal_address(&netif, 1);
    netif_ip6_addr_set_state(&netif, 0, IP6_ADDR_PREFERRED);
    memcpy(group + 3, cfg.nic->mac + 3, 3);
    e1000_multicast(cfg.nic, group);
    if (cfg.ip6.kind != 6)
        return;
    to_lwip(&cfg.ip6, &a);
    if (netif_add_ip6_address(&netif, ip_2_ip6(&a), &index) != ERR_OK)
        return;
    netif_ip6_addr_set_state(&netif, index, IP6_ADDR_PREFERRED);
    memcpy(group + 3, cfg.ip6.bytes + 13, 3);
    e1000_multicast(cfg.nic, group);
}

bool net_open(const struct net_config *config, uint64_t time_ns)
{
    u32_t bits = config->prefix4 ? ~0u << (32 - config->prefix4) : 0;
    ip4_addr_t mask, none = {0};
    static struct udp_pcb *echo_pcb;
    ip_addr_t ip;

    cfg = *config;
    memset(&stats, 0, sizeof(stats));
    random_state = config->random | 1;
    time_now = time_ns;
    lwip_init();
    to_lwip(&cfg.ip4, &ip);
    mask.addr = lwip_htonl(bits);
    if (!netif_add(&netif, ip_2_ip4(&ip), &mask, &none, NULL, netif_start, netif_input))
        return false;
    netif_set_default(&netif);
    netif_set_up(&netif);
    add_ip6();
    return listen(cfg.port, received, &port_pcb) && listen(NET_ECHO_PORT, echo, &echo_pcb);
}

void net_time(uint64_t ns)
{
    time_now = ns;
}

void net_timers(void)
{
    sys_check_timeouts();
}

uint64_t net_deadline(void)
{
    u32_t ms = sys_timeouts_sleeptime();

    return ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? NET_NEVER
                                                 : (time_now / NS_PER_MS + ms) * NS_PER_MS;
}

/* The payload is not copied here: lwIP puts a header in front, and copies what it has to keep. */
bool net_send(const struct net_addr *to, const void *data, size_t len)
{
    struct pbuf *p = len <= 0xFFFF ? pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_REF) : NULL;
    ip_addr_t ip;
    err_t err = ERR_MEM;

    if (p) {
        p->payload = (void *)(uintptr_t)data;
        to_lwip(to, &ip);
        err = udp_sendto(port_pcb, p, &ip, cfg.port);
        pbuf_free(p);
    }
    if (err != ERR_OK)
        stats.tx_refused++;
    return err == ERR_OK;
}

const struct net_stats *net_stats(void)
{
    return &stats;
}

uint64_t net_dropped(void)
{
    const struct stats_proto *protos[] = {&lwip_stats.link,     &lwip_stats.etharp, &lwip_stats.ip,
                                          &lwip_stats.ip_frag,  &lwip_stats.icmp,   &lwip_stats.ip6,
                                          &lwip_stats.ip6_frag, &lwip_stats.icmp6,  &lwip_stats.nd6,
                                          &lwip_stats.udp};
    uint64_t n = 0;

    for (size_t i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
        n += protos[i]->drop;
    return n;
}
