/* SPDX-License-Identifier: BSD-2-Clause */
/* See pair.h. */
#include "pair.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES (sizeof(((struct pair *)0)->history) / sizeof(((struct pair *)0)->history[0]))

static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static int dma_read(void *arg, uint64_t gpa, void *buf, size_t len)
{
    struct pair *p = arg;

    if (gpa > QEMU_RAM || len > QEMU_RAM - gpa)
        return -EFAULT;
    memcpy(buf, p->ram + gpa, len);
    return 0;
}

static int dma_write(void *arg, uint64_t gpa, const void *buf, size_t len)
{
    struct pair *p = arg;

    if (gpa > QEMU_RAM || len > QEMU_RAM - gpa)
        return -EFAULT;
    memcpy(p->ram + gpa, buf, len);
    return 0;
}

static void log_frame(struct frame_log *l, const void *frame, size_t len)
{
    if (l->count == FRAMES_MAX)
        return;
    l->data[l->count] = malloc(len + 1);
    memcpy(l->data[l->count], frame, len);
    l->len[l->count++] = len;
}

static void log_empty(struct frame_log *l)
{
    while (l->count)
        free(l->data[--l->count]);
}

static void transmit(void *arg, const void *frame, size_t len)
{
    struct pair *p = arg;

    log_frame(&p->ours, frame, len);
}

static const struct netdev_ops ops = {
    .dma_read = dma_read, .dma_write = dma_write, .transmit = transmit};

void pair_start(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->ram = malloc(QEMU_RAM);
    if (!p->ram) {
        perror("qtest");
        exit(2);
    }
    qemu_start(&p->q, mac);
}

void pair_stop(struct pair *p)
{
    qemu_stop(&p->q);
    netdev_free(p->n);
    log_empty(&p->ours);
    log_empty(&p->theirs);
    free(p->ram);
}

void pair_say(struct pair *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->history[p->step % LINES], sizeof(p->history[0]), format, args);
    va_end(args);
    if (p->verbose)
        printf("  %4u %s\n", p->step, p->history[p->step % LINES]);
    p->step++;
}

void pair_differ(struct pair *p, const char *format, ...)
{
    va_list args;

    if (p->failed)
        return;
    p->failed = true;
    printf("seed %llu, step %u: ", (unsigned long long)p->seed, p->step);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    for (unsigned i = p->step > 12 ? p->step - 12 : 0; i < p->step; i++)
        printf("  %4u %s\n", i, p->history[i % LINES]);
}

void pair_rule(struct pair *p, enum rule r)
{
    p->used[r]++;
}

/* ---- memory --------------------------------------------------------------------------------- */

void pair_put(struct pair *p, uint32_t gpa, const void *data, uint32_t len)
{
    memcpy(p->ram + gpa, data, len);
    memcpy(p->q.ram + gpa, data, len);
}

void pair_put64(struct pair *p, uint32_t gpa, uint64_t value)
{
    pair_put(p, gpa, &value, 8);
}

void pair_compare_memory(struct pair *p)
{
    if (memcmp(p->ram + GUEST, p->q.ram + GUEST, GUEST_N) == 0)
        return;
    for (uint32_t i = GUEST; i < GUEST + GUEST_N; i++)
        if (p->ram[i] != p->q.ram[i]) {
            pair_differ(p, "memory at %x: %02x, QEMU %02x", i, p->ram[i], p->q.ram[i]);
            return;
        }
}

/* ---- registers ------------------------------------------------------------------------------ */

void pair_write(struct pair *p, uint32_t reg, uint32_t value)
{
    pair_say(p, "write %04x %08x", reg, value);
    netdev_mmio_write(p->n, reg, 4, value);
    qemu_writel(&p->q, BAR + reg, value);
    if (reg == E_RCTL) /* its model waits a second */
        p->settled = false;
    if (reg == E_MDIC) /* negotiation */
        qemu_wait(&p->q, 600);
}

static uint32_t compare(struct pair *p, uint32_t reg, uint32_t theirs)
{
    uint32_t ours = (uint32_t)netdev_mmio_read(p->n, reg, 4);

    if ((uint32_t)(theirs + p->more[REG(reg)]) != ours && !rule_allows(p, reg, ours, theirs))
        pair_differ(p, "register %04x: %08x, QEMU %08x (and %lld)", reg, ours, theirs,
                    (long long)p->more[REG(reg)]);
    rule_was_read(p, reg, theirs);
    return ours;
}

uint32_t pair_read(struct pair *p, uint32_t reg)
{
    pair_say(p, "read %04x", reg);
    return compare(p, reg, qemu_readl(&p->q, BAR + reg));
}

void pair_read_many(struct pair *p, const uint16_t *regs, unsigned count)
{
    uint32_t theirs[64];

    qemu_read_many(&p->q, BAR, regs, count, theirs);
    for (unsigned i = 0; i < count; i++)
        compare(p, regs[i], theirs[i]);
}

uint32_t pair_config(struct pair *p, unsigned reg)
{
    uint32_t ours, theirs, at = 0x80000000u | 4u << 11 | reg;

    pair_say(p, "config read %02x", reg);
    netdev_port_write(p->n, 0xCF8, 4, at);
    netdev_port_read(p->n, 0xCFC, 4, &ours);
    qemu_outl(&p->q, 0xCF8, at);
    theirs = qemu_inl(&p->q, 0xCFC);
    if (ours != theirs && !rule_allows_config(p, reg, ours, theirs))
        pair_differ(p, "configuration %02x: %08x, QEMU %08x", reg, ours, theirs);
    return ours;
}

void pair_config_write(struct pair *p, unsigned reg, uint32_t value)
{
    uint32_t at = 0x80000000u | 4u << 11 | reg;

    pair_say(p, "config write %02x %08x", reg, value);
    netdev_port_write(p->n, 0xCF8, 4, at);
    netdev_port_write(p->n, 0xCFC, 4, value);
    qemu_outl(&p->q, 0xCF8, at);
    qemu_outl(&p->q, 0xCFC, value);
}

void pair_reset(struct pair *p, uint64_t seed)
{
    struct netdev_config c = {.slot = 4, .ops = &ops, .arg = p};

    p->seed = seed;
    p->step = 0;
    p->failed = false;
    p->settled = true;
    memset(p->more, 0, sizeof(p->more));
    memcpy(c.mac, mac, 6);
    netdev_free(p->n);
    p->n = netdev_new(&c);
    if (!p->n) {
        perror("qtest");
        exit(2);
    }
    qemu_reset(&p->q);
    memset(p->ram + GUEST, 0, GUEST_N);
    memset(p->q.ram + GUEST, 0, GUEST_N);
    log_empty(&p->ours);
    log_empty(&p->theirs);
    pair_config_write(p, 0x10, BAR);
    pair_config_write(p, 0x14, 0xC000);
    pair_config_write(p, 0x04, 7);
    pair_write(p, E_EECD, 0); /* its reset leaves the EEPROM's clock where it was */
    pair_write(p, E_EECD, EECD_CS);
    pair_write(p, E_EECD, 0);
}

/* ---- rings ---------------------------------------------------------------------------------- */

/* A cause that only one of them raises, by a rule, is made the same again. */
void pair_level_cause(struct pair *p, uint32_t cause, enum rule r)
{
    uint32_t ours = (uint32_t)netdev_mmio_read(p->n, E_ICS, 4);
    uint32_t theirs = qemu_readl(&p->q, BAR + E_ICS);

    if ((ours ^ theirs) != cause)
        return;
    qemu_writel(&p->q, BAR + (ours & cause ? E_ICS : E_ICR), cause);
    pair_rule(p, r);
}

static uint32_t crc_of(const uint8_t *p, uint32_t len)
{
    uint32_t crc = ~0u;

    for (uint32_t i = 0; i < 8 * len; i++) {
        crc ^= p[i / 8] >> i % 8 & 1;
        crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

/* A frame in the receive ring, from descriptor `from` to, not including, `to`. */
struct landed {
    uint32_t at[65600]; /* where each byte is */
    uint32_t len;
    uint32_t last; /* descriptor with EOP */
};

static void find_landed(struct pair *p, uint32_t from, uint32_t to, struct landed *l)
{
    uint32_t ring = (uint32_t)netdev_mmio_read(p->n, E_RDBAL, 4);
    uint32_t size = (uint32_t)netdev_mmio_read(p->n, E_RDLEN, 4) / 16;

    l->len = 0;
    for (uint32_t i = from; i != to; i = i + 1 == size ? 0 : i + 1) {
        const uint8_t *d = p->ram + ring + 16 * i;
        uint32_t buffer, len = d[8] | (uint32_t)d[9] << 8;

        memcpy(&buffer, d, 4);
        l->last = ring + 16 * i;
        for (uint32_t k = 0; buffer && k < len && l->len < 65600; k++)
            l->at[l->len++] = buffer + k;
    }
}

/* Rules for a frame that both have stored; what they explain is made equal. */
static void level_landed(struct pair *p, uint32_t from, uint32_t to)
{
    static struct landed l;
    static uint8_t bytes[65600];
    uint8_t *ours, *theirs;
    uint32_t crc;

    find_landed(p, from, to, &l);
    if (l.len < 56) /* the shortest, with its tag stripped */
        return;
    if (!(netdev_mmio_read(p->n, E_RCTL, 4) & RCTL_SECRC)) {
        for (uint32_t i = 0; i < l.len; i++)
            bytes[i] = p->ram[l.at[i]];
        crc = crc_of(bytes, l.len - 4);
        if (memcmp(&crc, bytes + l.len - 4, 4) != 0)
            pair_differ(p, "frame check sequence %08x is not in the buffer", crc);
        for (uint32_t i = l.len - 4; i < l.len; i++)
            p->q.ram[l.at[i]] = p->ram[l.at[i]];
        pair_rule(p, RULE_FCS);
    }
    ours = p->ram + l.last;
    theirs = p->q.ram + l.last;
    if (theirs[10] || theirs[11] || theirs[13] || !(theirs[12] & RXD_IXSM) ||
        ((ours[12] ^ theirs[12]) & ~(RXD_IXSM | RXD_IPCS | RXD_TCPCS)))
        return;
    memcpy(theirs + 10, ours + 10, 4);
    pair_rule(p, RULE_RXCSUM);
}

static enum netdev_rx became(const struct netdev_stats *before, const struct netdev_stats *after)
{
    for (unsigned i = 0; i < NETDEV_RX_CAUSES; i++)
        if (before->rx[i] != after->rx[i])
            return i;
    return NETDEV_RX_OFF;
}

static void looped(struct pair *p, const uint8_t *frame, uint32_t len, uint32_t rdh,
                   enum netdev_rx what)
{
    uint32_t after = (uint32_t)netdev_mmio_read(p->n, E_RDH, 4);

    if (what == NETDEV_RX_NO_BUFFER && rdh == netdev_mmio_read(p->n, E_RDT, 4)) {
        rule_count_lost(p, len);
        pair_level_cause(p, ICR_RXO, RULE_LOOP);
        return;
    }
    rule_count_rx(p, frame, len, what);
    if (after == qemu_readl(&p->q, BAR + E_RDH) && after != rdh)
        level_landed(p, rdh, after);
}

void pair_doorbell(struct pair *p, uint32_t reg, uint32_t value, const struct packet *packets,
                   unsigned count, const uint8_t *loop)
{
    static uint8_t frame[70000];
    struct netdev_stats before = *netdev_stats(p->n);
    uint32_t tctl = (uint32_t)netdev_mmio_read(p->n, E_TCTL, 4);
    uint32_t rdh = (uint32_t)netdev_mmio_read(p->n, E_RDH, 4);
    long len;

    if (loop && !p->settled) {
        qemu_wait(&p->q, 1100);
        p->settled = true;
    }
    for (unsigned i = 0; i < count; i++)
        pair_say(p, "packet of %u, tag %u, mss %u, payload %u%s%s%s", packets[i].len,
                 packets[i].tag, packets[i].mss, packets[i].payload,
                 packets[i].broadcast   ? ", broadcast"
                 : packets[i].multicast ? ", multicast"
                                        : "",
                 packets[i].tcp ? ", TCP" : "", packets[i].ipv6 ? ", IPv6" : "");
    pair_write(p, reg, value);
    while ((len = qemu_receive(&p->q, frame, sizeof(frame))) >= 0)
        log_frame(&p->theirs, frame, (size_t)len);
    if (count == 0) /* QEMU's model raises it at every doorbell */
        pair_level_cause(p, ICR_TXQE, RULE_TXQE);
    tctl = reg == E_TCTL ? value : tctl;
    for (unsigned i = 0; i < count; i++)
        rule_count_tx(p, &packets[i], tctl & TCTL_PSP);
    if (loop)
        looped(p, loop, packets[0].len, rdh, became(&before, netdev_stats(p->n)));
    else
        frames_compare(p, packets, count, tctl & TCTL_PSP);
    log_empty(&p->ours);
    log_empty(&p->theirs);
    pair_compare_memory(p);
    pair_compare_state(p);
}

bool pair_inject(struct pair *p, const uint8_t *frame, uint32_t len)
{
    uint32_t before = (uint32_t)netdev_mmio_read(p->n, E_RDH, 4), after, hash;
    enum netdev_rx what;

    if (!netdev_can_receive(p->n))
        return false;
    pair_say(p, "frame of %u to %02x:%02x:%02x:%02x:%02x:%02x type %02x%02x", len, frame[0],
             frame[1], frame[2], frame[3], frame[4], frame[5], frame[12], frame[13]);
    if (!p->settled) {
        qemu_wait(&p->q, 1100);
        p->settled = true;
    }
    hash = rule_hashed_unicast(p, frame);
    if (hash)
        qemu_writel(&p->q, BAR + hash, 0);
    what = netdev_receive(p->n, frame, len);
    qemu_send(&p->q, frame, len);
    qemu_settle(&p->q);
    if (hash)
        qemu_writel(&p->q, BAR + hash, (uint32_t)netdev_mmio_read(p->n, hash, 4));
    rule_count_rx(p, frame, len, what);
    after = (uint32_t)netdev_mmio_read(p->n, E_RDH, 4);
    if (after == qemu_readl(&p->q, BAR + E_RDH) && before != after)
        level_landed(p, before, after);
    pair_compare_memory(p);
    pair_compare_state(p);
    return what == NETDEV_RX_OK;
}

void pair_compare_state(struct pair *p)
{
    static const uint16_t regs[] = {E_TDH, E_TDT, E_RDH, E_RDT, E_ICS, E_IMS, E_STATUS};

    pair_read_many(p, regs, sizeof(regs) / sizeof(regs[0]));
}
