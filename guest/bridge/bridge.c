/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bridge PE: takes this node's packets for PEs of other nodes, and brings theirs in
 * (architecture.md law 6).  What is between is the link protocol over UDP, lwIP and the e1000.
 *
 * One loop, without interrupts and without an exit per packet: a round of everything, then one
 * store (VREG_BRIDGE_TURN) that delivers what came in, has what goes out sent (TDT is posted) and
 * sleeps in the VMM until there is a packet, a frame, or the next deadline.
 *
 * Time is what VREG_TIME was latched to last, by a turn, a wait, VREG_BRIDGE_RUN or a store of our
 * own, never a counter of the CPU: so a seeded run is exact.
 */
#include <stdbool.h>

#include "args.h"
#include "dtu_drv.h"
#include "heap.h"
#include "linger.h"
#include "link.h"
#include "net.h"
#include "noc.h"
#include "print.h"
#include "siphash.h"
#include "start.h"
#include "str.h"

#define LINK_PORT    21328u /* UDP, 5350h */
#define LINK_MTU     1344u  /* with all headers and a seal a frame still fits a 1,500-byte path */
#define RX_BURST     64u    /* frames a round */
#define STALE_ROUNDS 4u     /* without a store that latches the time */
#define SPIN_CORES   3u     /* from so many host cores on it pays to look again before sleeping */
#define SPIN_ROUNDS  400u
#define HEAP_SPARE   65536u
#define LEAST_WAIT   20000u /* ns: something is due now, but could not be done in this round */
#define NS_PER_S     1000000000ull
#define NS_PER_MS    1000000ull
#define NS_PER_US    1000u

static struct args args;
static struct e1000 nic;
static struct noc noc;
static struct link *link;
static struct bridge_area area __attribute__((aligned(4096)));
static uint8_t dma[E1000_DMA_SIZE] __attribute__((aligned(4096)));
static bool was_live[LINK_NODES];
static uint64_t now_ns;
static unsigned rounds_since_time;

/* Stores that leave the PE, by what they were for. */
static struct {
    uint64_t waits, turns, wakes_nic, wakes_noc, times, regs, lingers;
} exits;

static struct habit habit;

void net_broken(const char *what);

_Noreturn void net_broken(const char *what)
{
    panic("lwIP: %s", what);
}

int atoi(const char *s);

/* For addresses in text: lwIP wants it. */
int atoi(const char *s)
{
    int v = 0;

    while (*s >= '0' && *s <= '9' && v < 100000)
        v = v * 10 + (*s++ - '0');
    return v;
}

/* ---- time ---- */

static void read_time(void)
{
    uint64_t t = vreg_get(VREG_TIME);

    if (t > now_ns)
        now_ns = t;
    net_time(now_ns);
    rounds_since_time = 0;
}

static void latch_time(void)
{
    exits.times++;
    vreg_set(VREG_TIME, 0);
    read_time();
}

static void wait(uint64_t until)
{
    uint64_t ns = until > now_ns + LEAST_WAIT ? until - now_ns : LEAST_WAIT;

    exits.waits++;
    vreg_set(VREG_WAIT, ns);
    read_time();
}

/* ---- the NIC's bus ---- */

static uint32_t port_in(void *arg, uint16_t port)
{
    uint32_t v;

    (void)arg;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static void port_out(void *arg, uint16_t port, uint32_t value)
{
    (void)arg;
    __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port));
}

static uint32_t reg_read(void *arg, uint64_t addr)
{
    uint32_t v;

    (void)arg;
    exits.regs++;
    __asm__ volatile("movl %1, %0" : "=r"(v) : "m"(*(volatile uint32_t *)addr) : "memory");
    return v;
}

static void reg_write(void *arg, uint64_t addr, uint32_t value)
{
    (void)arg;
    exits.regs++;
    __asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)addr) : "r"(value) : "memory");
}

static void delay(void *arg, uint64_t ns)
{
    uint64_t end;

    (void)arg;
    latch_time();
    for (end = now_ns + ns; now_ns < end;)
        wait(end);
}

static void open_nic(void)
{
    static const struct e1000_bus bus = {.port_in = port_in,
                                         .port_out = port_out,
                                         .reg_read = reg_read,
                                         .reg_write = reg_write,
                                         .delay = delay};
    const char *why = "";

    if (!vreg_has(VREG_F_NIC))
        panic("this PE has no network interface");
    if (!e1000_open(&nic, &bus, dma, (uintptr_t)dma, &why))
        panic("the network interface cannot be used: %s", why);
}

/* ---- the link's owner ---- */

static uint64_t link_now(void *arg)
{
    (void)arg;
    return now_ns;
}

static bool link_send(void *arg, unsigned node, const void *buf, size_t len)
{
    (void)arg;
    /* An answer of the neighbour's ARP is awaited by lwIP; a full ring is ours to wait for. */
    if (e1000_tx_room(&nic) == 0)
        e1000_tx_flush(&nic);
    return e1000_tx_room(&nic) > 0 && net_send(&args.node[node].ip4, buf, len);
}

static void link_deliver(void *arg, uint64_t handle, const struct bridge_pkt *pkt, const void *data)
{
    (void)arg;
    noc_deliver(&noc, handle, pkt, data);
}

static void link_complete(void *arg, uint32_t id, uint16_t src_pe, uint32_t result,
                          const void *data, uint16_t len)
{
    (void)arg;
    noc_complete(&noc, id, src_pe, result, data, len);
}

static uint64_t link_random(void *arg)
{
    static uint64_t count;

    (void)arg;
    return siphash(vreg_get(VREG_EPOCH), args.self, count++);
}

/* Sizes are listed by PE: where PEs differ they do, too. */
static const char *what_differs(unsigned d)
{
    if (d & LINK_DIFFERS_NODES)
        return "PEs or addresses";
    if (!(d & LINK_DIFFERS_SIZES))
        return "boot lines";
    return d & LINK_DIFFERS_LINES ? "boot lines, sizes of memories (spm, dram)"
                                  : "sizes of memories (spm, dram)";
}

/* Told when it is first seen: nobody fills our console by frames. */
static void complain(unsigned node)
{
    unsigned d = link_differs_news(link, node);

    if (!d)
        return;
    if (d & LINK_DIFFERS_VERSION)
        print("node %u speaks another version of the link protocol: give all nodes the same "
              "build\n",
              node);
    else
        print("node %u has another machine file: not the same %s; give all nodes the same one\n",
              node, what_differs(d));
}

static void link_state_changed(void *arg, unsigned node, unsigned state)
{
    const char *what = NULL;

    (void)arg;
    if (state == LINK_LIVE)
        what = was_live[node] ? "node %u is back" : "link up node %u";
    else if (state == LINK_LOST)
        what = was_live[node] ? "node %u is dead" : "node %u is not there";
    was_live[node] |= state == LINK_LIVE;
    if (!what)
        return;
    print(what, node);
    print(" at %llu.%06llu s", (unsigned long long)(now_ns / NS_PER_S),
          (unsigned long long)(now_ns % NS_PER_S / NS_PER_US));
    if (state == LINK_LOST && !was_live[node])
        print(": %s", link_differs(link, node)
                          ? "what comes from it does not fit, as was said"
                          : "nothing was heard from it: is it started, are its address, port and "
                            "key right, does a firewall let UDP through?");
    print("\n");
}

static void open_link(void)
{
    static const struct link_ops ops = {.now = link_now,
                                        .send = link_send,
                                        .deliver = link_deliver,
                                        .complete = link_complete,
                                        .random = link_random,
                                        .state = link_state_changed};
    static struct link_range ranges[3 * LINK_NODES];
    struct link_config c = {.node = (uint16_t)args.self,
                            .nodes = (uint16_t)args.nodes,
                            .ranges = ranges,
                            .mtu = args.mtu ? args.mtu : LINK_MTU,
                            .machine = args.machine,
                            .dead_ns = args.dead_ms * NS_PER_MS,
                            .boot_ns = args.boot_ms * NS_PER_MS,
                            .ops = &ops};
    size_t size = link_need(args.nodes, LINK_SLOTS), most = heap_available();

    if (size + HEAP_SPARE > most)
        size = most - HEAP_SPARE;
    for (unsigned k = 0; k < args.nodes; k++) {
        const struct args_node *n = &args.node[k];

        if (!n->there)
            continue;
        ranges[c.n_ranges++] = (struct link_range){(uint16_t)k, n->first, n->last};
        if (n->memory != ARGS_NO_PE)
            ranges[c.n_ranges++] = (struct link_range){(uint16_t)k, n->memory, n->memory};
        if (n->bridge != ARGS_NO_PE && (n->bridge < n->first || n->bridge > n->last))
            ranges[c.n_ranges++] = (struct link_range){(uint16_t)k, n->bridge, n->bridge};
    }
    link = link_new(heap_alloc(size), size, &c);
    if (!link)
        panic("no link: %zu bytes of memory, %u nodes", size, args.nodes);
}

/* ---- the node's side ---- */

static void noc_store(void *arg)
{
    (void)arg;
    vreg_set(VREG_BRIDGE_RUN, 0);
    read_time();
}

static void noc_delivered(void *arg, uint64_t handle, uint32_t result, const void *data)
{
    (void)arg;
    link_delivered(link, handle, result, data);
}

static bool received(void *arg, const struct net_addr *from, const uint8_t *data, size_t len)
{
    (void)arg;
    for (unsigned k = 0; link && k < args.nodes; k++)
        if (k != args.self && args.node[k].there && net_same(from, &args.node[k].ip4)) {
            if (noc_room(&noc) < NOC_ROOM)
                noc_run(&noc);
            link_input(link, k, data, len);
            complain(k);
            return true;
        }
    return false;
}

static void open_net(void)
{
    struct net_config c = {.nic = &nic,
                           .ip4 = args.node[args.self].ip4,
                           .ip6 = args.node[args.self].ip6,
                           .port = LINK_PORT,
                           .receive = received,
                           .random = siphash(vreg_get(VREG_EPOCH), ~0ull, now_ns)};

    if (!net_open(&c, now_ns))
        panic("no memory for the network");
}

/* ---- the loop ---- */

static unsigned take_packets(void)
{
    const struct bridge_pkt *pkt;
    const void *data;
    unsigned n = 0;

    while (n < BRIDGE_SLOTS && link_ready(link) && (pkt = noc_peek(&noc, &data)) != NULL) {
        if (!link_submit(link, pkt, data))
            break;
        noc_take(&noc);
        n++;
    }
    if (n)
        linger_packet(&habit, now_ns);
    return n;
}

/* One look at everything; returns how much there was. */
static unsigned work(void)
{
    unsigned n = net_poll(RX_BURST);

    if (link) {
        n += take_packets();
        link_tick(link);
    }
    net_timers();
    e1000_tx_flush(&nic);
    e1000_watch(&nic, now_ns);
    return n;
}

static bool anything_new(void)
{
    const void *data;

    return e1000_rx_pending(&nic) || (link && link_ready(link) && noc_peek(&noc, &data));
}

static bool spin(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        if (anything_new())
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

/*
 * Without a link.  The interrupt line stays up from the first frame until ICR is read, so it is
 * read before the sleep rather than found up by it; what came in between is looked for after that.
 */
static void idle(void)
{
    static uint64_t frames;
    uint64_t cause;

    if (frames != nic.stats.rx_frames) {
        frames = nic.stats.rx_frames;
        e1000_irq(&nic);
        if (anything_new())
            return;
    }
    wait(net_deadline());
    cause = vreg_get(VREG_WAIT_CAUSE);
    if (cause & VREG_CAUSE_NIC) {
        exits.wakes_nic++;
        if (!e1000_rx_pending(&nic))
            e1000_irq(&nic); /* not a frame: the link went up or down */
    }
}

/* When there is something to do even if nothing comes. */
static uint64_t next_deadline(void)
{
    uint64_t until = net_deadline(), at = link_deadline(link);

    return at < until ? at : until;
}

/* What the round has left to do, and then sleep: one store. */
static void turn(void)
{
    uint64_t until = next_deadline(), ns, cause;
    bool messages = noc_messages(&noc) > 0;

    ns = until > now_ns + LEAST_WAIT ? until - now_ns : LEAST_WAIT;
    if (messages || noc_transfers(&noc)) {
        uint64_t most = noc_transfers(&noc) ? 0 : linger_ns(&habit);

        exits.lingers += most > 0;
        ns = ns < most ? ns : most;
    }
    area.out_want = gather_want(link_stats(link)->submitted - link_stats(link)->completed);
    area.out_hold = GATHER_MAX;
    area.nic_next = nic.rx_next;
    noc_post(&noc);
    exits.turns++;
    vreg_set(VREG_BRIDGE_TURN, ns);
    if (messages)
        linger_delivered(&habit, now_ns);
    read_time();
    noc_collect(&noc);
    cause = vreg_get(VREG_WAIT_CAUSE);
    exits.wakes_noc += (cause & VREG_CAUSE_BRIDGE) != 0;
    exits.wakes_nic += (cause & VREG_CAUSE_NIC) != 0;
    e1000_causes(&nic, *(volatile uint32_t *)&area.nic_causes);
}

static void print_stats(void)
{
    const struct net_stats *net = net_stats();

    print("NIC: %llu frames in, %llu out, %llu doorbells, %llu bad, %llu overruns, %llu full\n",
          (unsigned long long)nic.stats.rx_frames, (unsigned long long)nic.stats.tx_frames,
          (unsigned long long)nic.stats.doorbells, (unsigned long long)nic.stats.rx_bad,
          (unsigned long long)nic.stats.overruns, (unsigned long long)nic.stats.tx_full);
    print(
        "exits: %llu turns and %llu waits (%llu for frames, %llu for packets, %llu lingered), %llu "
        "batches delivered, %llu registers, %llu time\n",
        (unsigned long long)exits.turns, (unsigned long long)exits.waits,
        (unsigned long long)exits.wakes_nic, (unsigned long long)exits.wakes_noc,
        (unsigned long long)exits.lingers, (unsigned long long)noc.stats.runs,
        (unsigned long long)exits.regs, (unsigned long long)exits.times);
    print("dropped: %llu by lwIP, %llu of strangers, %llu without memory, %llu not sent\n",
          (unsigned long long)net_dropped(), (unsigned long long)net->rx_stranger,
          (unsigned long long)net->rx_no_memory, (unsigned long long)net->tx_refused);
    if (link) {
        const struct link_stats *s = link_stats(link);

        print("link: %llu packets out, %llu in, %llu failed; frames %llu out, %llu in, %llu sent "
              "again, %llu doubtful\n",
              (unsigned long long)s->submitted, (unsigned long long)s->delivered,
              (unsigned long long)s->failed, (unsigned long long)s->frames_out,
              (unsigned long long)s->frames_in, (unsigned long long)s->resent,
              (unsigned long long)s->drops[LINK_DROP_OLD]);
        for (unsigned i = 0; i < LINK_DROPS; i++)
            if (i != LINK_DROP_OLD && s->drops[i])
                print("link: %llu frames dropped: %s\n", (unsigned long long)s->drops[i],
                      link_drop_name(i));
    }
}

/* Nobody tells a bridge that the machine ends; so it reports when a burst of traffic is over. */
static void maybe_stats(void)
{
    static uint64_t seen, at;
    uint64_t frames = nic.stats.rx_frames + nic.stats.tx_frames;

    if (!args.stats || frames < seen + 100 || now_ns < at + NS_PER_S)
        return;
    seen = frames;
    at = now_ns;
    print_stats();
}

/*
 * While there is more, another round is worth more than an exit; but not for long, since the time
 * stands still and what was delivered waits.
 */
static _Noreturn void run_link(unsigned spins)
{
    for (;;) {
        work();
        if (anything_new() && ++rounds_since_time < STALE_ROUNDS)
            continue;
        if (!noc_waiting(&noc) && spin(spins) && ++rounds_since_time < STALE_ROUNDS)
            continue;
        maybe_stats();
        turn();
    }
}

static _Noreturn void run_echo(unsigned spins)
{
    for (;;) {
        unsigned n = work();

        if (++rounds_since_time > STALE_ROUNDS)
            latch_time();
        if (n || spin(spins))
            continue;
        maybe_stats();
        idle();
    }
}

int main(int argc, char **argv)
{
    static const struct noc_ops ops = {.run = noc_store, .delivered = noc_delivered};
    const char *wrong;
    unsigned spins;

    if (!vreg_has(VREG_F_WAIT) || !vreg_has(VREG_F_TIME))
        panic("a bridge needs a VMM with waiting and time");
    if (!args_parse(argc, argv, &args, &wrong))
        panic("bad argument: %s", wrong);
    latch_time();
    open_nic();
    open_net();
    if (args.count > 1) {
        if (!vreg_has(VREG_F_BRIDGE))
            panic("this PE may not take packets of others");
        noc_init(&noc, &area, &ops);
        open_link();
        vreg_set(VREG_BRIDGE_AREA, (uintptr_t)&area);
    }
    spins = vreg_get(VREG_HOST_CORES) >= SPIN_CORES ? SPIN_ROUNDS : 0;
    if (link)
        run_link(spins);
    run_echo(spins);
}
