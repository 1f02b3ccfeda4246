/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the vDTU.  The input is a script: loads and stores of four PEs (one of them the memory
 * PE), endpoint words of any kind, commands, packets as from another node, posted stores, and bytes
 * poked into the PEs' memories, message headers included.  Memories and register files are
 * allocated to the byte, so the address sanitizer sees every access outside; what else must hold is
 * in check().
 */
#include <stdlib.h>
#include <string.h>

#include "../../vdtu/vdtu.h"
#include "../../vmm/trace.h"

#define PES   4
#define DEPTH 2 /* steps may run while a command waits for another node */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct pe {
    struct vdtu *d;
    uint8_t *mem;
    size_t size;
    uint64_t *regs;
    struct {
        uint64_t off, value;
        unsigned size;
    } queue[4];
    unsigned queued;
    uint64_t words[DTU_EPS][3]; /* before the step */
};

static const size_t sizes[PES] = {9001, 5000, 12345, 0};
static struct vdtu_noc *noc;
static struct pe pe[PES];
static const uint8_t *in, *in_end;
static unsigned depth;
static bool raw; /* this step may have written endpoints raw */

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* ---- the script ---- */

static uint8_t byte(void)
{
    return in < in_end ? *in++ : 0;
}

static uint64_t bytes(unsigned n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | byte();
    return v;
}

/* A number: small, wild, or one of those where something begins or ends. */
static uint64_t number(void)
{
    static const uint64_t edge[] = {
        0,          ~0ull,          DTU_BASE,   DTU_BASE + DTU_WINDOW,
        1ull << 37, DTU_RW_BARRIER, 1ull << 63, (1ull << 61) - 1,
        4096,       4071,           25,         0xFFFF,
    };
    uint8_t how = byte();
    uint64_t v;

    switch (how & 7) {
    case 0:
        return bytes(8);
    case 1:
        v = edge[byte() % (sizeof(edge) / sizeof(edge[0]))];
        return v + (uint64_t)(int64_t)(int8_t)byte();
    case 2:
        return sizes[how >> 6] + (uint64_t)(int64_t)(int8_t)byte();
    case 3:
        return DTU_BASE + bytes(2) % 0x210;
    case 4:
        return byte();
    default:
        return bytes(2) & 0x3FFF;
    }
}

/* The words of an endpoint that makes sense, mostly. */
static void endpoint(uint64_t w[3])
{
    unsigned target = byte();

    switch (byte() & 7) {
    case 0:
    case 1:
    case 2:
        w[0] = (uint64_t)DTU_EP_RECV << 61 | bytes(1) << 32 | (bytes(1) & 0x3F) << 16;
        w[1] = number();
        w[2] = 0;
        break;
    case 3:
    case 4:
        w[0] = dtu_send_r0(DTU_VPE_INVALID * !(target & 0x80) * !!(target & 7), (unsigned)bytes(1));
        w[1] = dtu_send_r1(target & 7, byte() & 0x1F, target & 0x40 ? 0xFFFF : (unsigned)bytes(2));
        w[2] = number();
        break;
    case 5:
    case 6:
        w[0] = dtu_mem_r0(number());
        w[1] = number();
        w[2] = dtu_mem_r2(target & 7, DTU_VPE_INVALID * !(target & 0x80) * !!(target & 7), byte());
        break;
    default:
        w[0] = bytes(8);
        w[1] = bytes(8);
        w[2] = bytes(8);
    }
}

/* ---- callbacks ---- */

static void drain(void *arg)
{
    struct pe *p = arg;

    raw |= p->queued != 0;
    for (unsigned i = 0; i < p->queued; i++)
        if (p->queue[i].size == 7)
            vdtu_posted_ack(p->d, (unsigned)(p->queue[i].value >> 56), p->queue[i].off);
        else
            vdtu_posted(p->d, p->queue[i].off, p->queue[i].value, p->queue[i].size);
    p->queued = 0;
}

static void step(void);

/* The other node: any answer, and this node does not stand still meanwhile. */
static unsigned remote(void *arg, struct vdtu_pkt *pkt)
{
    uint8_t what = byte();

    (void)arg;
    must(pkt->len <= DTU_MAX_PACKET && pkt->dst_pe >= PES && pkt->dst_pe < DTU_PES);
    if (pkt->type == VDTU_PKT_READ)
        memset(pkt->data, what, what & 0x80 ? pkt->len : pkt->len / 2);
    else if (pkt->len)
        must(*(volatile uint8_t *)pkt->data == *(uint8_t *)pkt->data);
    for (unsigned i = what & 3; depth < DEPTH && i; i--)
        step();
    return what & 0x40 ? what & 0x3F : 0;
}

/* ---- steps ---- */

static void store(struct pe *p)
{
    uint64_t off = bytes(1) % 62 * 8, value = number();

    if (off == DTU_COMMAND)
        off = DTU_DATA_ADDR;
    raw |= off >= DTU_EP0 && p->regs[0] & DTU_STATUS_PRIV;
    vdtu_store(p->d, off, value, 8);
}

/* Any offset and size, but not COMMAND, which command() does. */
static void wild_access(struct pe *p)
{
    uint64_t off = byte() & 1 ? number() : bytes(2) & 0x3FF;
    unsigned n = byte();

    n = n & 0xE0 ? 8 : n;
    vdtu_load(p->d, off, n);
    raw = true;
    if (off != DTU_COMMAND)
        vdtu_store(p->d, off, number(), n);
}

static void write_ep(struct pe *p)
{
    unsigned ep = byte() % DTU_EPS;
    uint64_t w[3];

    endpoint(w);
    raw = true;
    for (unsigned i = 0; i < 3; i++)
        vdtu_store(p->d, DTU_EP(ep, i), w[i], 8);
}

static bool known_error(uint64_t err)
{
    const uint32_t known = 1u << SE_OK | 1u << SE_MISS_CREDITS | 1u << SE_NO_RING_SPACE |
                           1u << SE_VPE_GONE | 1u << SE_INV_ARGS | 1u << SE_NO_PERM |
                           1u << SE_EP_INVALID | 1u << SE_RECV_GONE;

    return err < 32 && known >> err & 1;
}

/* A long transfer is many packets like the first: keep the fuzzer fast. */
static void shorten(struct pe *p)
{
    uint64_t n = vdtu_load(p->d, DTU_DATA_SIZE, 8);

    if (n > 0x8000 && n <= 1ull << 40)
        vdtu_store(p->d, DTU_DATA_SIZE, n & 0x7FFF, 8);
}

static void run(struct pe *p, unsigned op, uint64_t arg)
{
    const uint8_t *before = in;
    uint8_t *copy = NULL;
    uint64_t limit, size;

    if (op == DTU_READ || op == DTU_WRITE)
        shorten(p);
    raw |= op == DTU_WRITE;
    limit = vdtu_load(p->d, DTU_RWB, 8);
    size = p->size > limit ? p->size - limit : 0;
    if (op == DTU_READ && size) {
        copy = malloc(size);
        must(copy != NULL);
        memcpy(copy, p->mem + limit, size);
    }
    vdtu_store(p->d, DTU_COMMAND, op | arg << 3, 8);
    /* Unless it went to another node, where anything may have happened: */
    if (in == before && depth == 1 && op != DTU_IDLE) {
        must((p->regs[DTU_COMMAND / 8] & 0x7FF) == 0);
        must(known_error(p->regs[DTU_COMMAND / 8] >> 11));
        must(!copy || !memcmp(copy, p->mem + limit, size));
    }
    free(copy);
}

static void command(struct pe *p)
{
    uint8_t b = byte();
    uint64_t arg = b & 0x80 ? number() : b >> 3 & 0xF;

    run(p, b & 7, arg);
}

/* A command with arguments that fit an endpoint of start(), mostly. */
static void aimed(struct pe *p)
{
    uint8_t b = byte();
    unsigned ep = b >> 3 & 3;
    uint64_t base = vdtu_load(p->d, DTU_EP(ep, 1), 8), slot = 64u * (byte() & 3);

    vdtu_store(p->d, DTU_DATA_ADDR, bytes(2), 8);
    vdtu_store(p->d, DTU_DATA_SIZE, b & 0x40 ? bytes(2) & 0x3FFF : byte() & 0x3F, 8);
    vdtu_store(p->d, DTU_OFFSET,
               b & 0x20                      ? number()
               : (b & 7) > 4 || (b & 7) == 2 ? base + slot
                                             : 0,
               8);
    vdtu_store(p->d, DTU_REPLY_EPID, b & 0x80 ? byte() : 0, 8);
    run(p, b & 7, ep);
}

static void packet(struct pe *p)
{
    uint8_t *data = malloc(DTU_MAX_PACKET);
    struct vdtu_pkt pkt = {.data = data};
    uint8_t b = byte();
    uint64_t w[3];

    must(data != NULL);
    memset(data, b, DTU_MAX_PACKET);
    endpoint(w);
    memcpy(data, w, sizeof(w));
    pkt.type = (enum vdtu_pkt_type)(b & 3);
    pkt.src_pe = pkt.hdr.sender_pe = b & 4 ? (uint16_t)bytes(2) : 100;
    pkt.dst_pe = b & 8 ? (uint16_t)bytes(2) : (uint16_t)(p - pe);
    pkt.dst_vpe = (uint16_t)(b & 16 ? bytes(2) : p->regs[DTU_VPE_ID / 8]);
    pkt.offset = b & 32 ? number() : DTU_BASE + (byte() % 62u) * 8;
    pkt.len = b & 64 ? (uint32_t)number() : 8u * (byte() & 0x3F);
    if (pkt.type == VDTU_PKT_MSG) {
        pkt.offset = byte() & 0x1F;
        pkt.hdr.flags = byte();
        pkt.hdr.sender_ep = byte();
        pkt.hdr.reply_ep = byte();
        pkt.hdr.length = (uint16_t)(pkt.len + !(byte() & 15));
    }
    raw |= pkt.type == VDTU_PKT_WRITE;
    vdtu_deliver(noc, &pkt);
    free(data);
}

static void poke(struct pe *p)
{
    uint64_t at = bytes(2);
    unsigned n = byte() & 0x1F;

    for (unsigned i = 0; i < n; i++) {
        uint8_t v = byte();

        if (at + i < p->size)
            p->mem[at + i] = v;
    }
}

static void post(struct pe *p)
{
    unsigned i = p->queued;

    if (i == sizeof(p->queue) / sizeof(p->queue[0]))
        return;
    p->queue[i].off = byte() & 1 ? number() : bytes(1) % 63 * 8;
    p->queue[i].value = number();
    p->queue[i].size = byte() & 0xF0 ? 8 : byte();
    p->queued++;
}

static void host(struct pe *p)
{
    uint8_t buf[64] = {0};
    uint64_t at = number(), n = byte() & 0x3F;

    vdtu_poll(p->d);
    if (byte() & 1)
        vdtu_wakeup(p->d);
    must(vdtu_mem_read(p->d, at, buf, n) <= n);
    must(vdtu_mem_write(p->d, at, buf, n) <= n);
}

/* ---- what must hold ---- */

static unsigned bits(uint32_t v)
{
    return (unsigned)__builtin_popcount(v);
}

/* The count is that of the unread slots, as every DTU keeps it that was set up soundly. */
static bool sound(const uint64_t w[3])
{
    unsigned slots = w[0] >> 16 & 0xFFFF;
    uint32_t there = slots >= 32 ? ~0u : (1u << slots) - 1;

    return (w[0] & 0xFFFF) == bits((uint32_t)(w[2] >> 32) & there);
}

static void remember(void)
{
    for (unsigned i = 0; i < PES; i++)
        memcpy(pe[i].words, &pe[i].regs[DTU_EP0 / 8], sizeof(pe[i].words));
}

static void check_ep(const uint64_t before[3], const uint64_t now[3])
{
    if (raw)
        return;
    must(dtu_ep_type(before[0]) == dtu_ep_type(now[0]));
    if (dtu_ep_type(now[0]) == DTU_EP_RECV) {
        must(before[1] == now[1] && (before[0] ^ now[0]) << 16 >> 32 == 0); /* base, size, slots */
        must(!sound(before) || sound(now));
    } else if (dtu_ep_type(now[0]) != DTU_EP_SEND) {
        must(!memcmp(before, now, 24));
    } else {
        must(before[2] == now[2]);
    }
}

static void check(void)
{
    for (unsigned i = 0; i < PES; i++) {
        uint64_t unread = 0;

        for (unsigned ep = 0; ep < DTU_EPS; ep++) {
            const uint64_t *now = &pe[i].regs[DTU_EP(ep, 0) / 8];

            if (dtu_ep_type(now[0]) == DTU_EP_RECV)
                unread += now[0] & 0xFFFF;
            check_ep(pe[i].words[ep], now);
        }
        must(pe[i].regs[DTU_MSG_CNT / 8] == unread);
    }
}

static void step(void)
{
    static void (*const steps[])(struct pe *) = {aimed,   store, wild_access, write_ep, aimed,
                                                 command, aimed, packet,      poke,     post,
                                                 host,    aimed, store};
    uint8_t b = byte();
    struct pe *p = &pe[b & 3];

    depth++;
    steps[(b >> 2) % (sizeof(steps) / sizeof(steps[0]))](p);
    depth--;
}

/* Something that works to begin with: slots, a way to the next PE's, its memory, its registers. */
static void endpoints(unsigned i)
{
    unsigned next = i + 1 < PES ? i + 1 : 1, vpe = DTU_VPE_INVALID;
    const uint64_t words[4][3] = {
        {dtu_recv_r0(8, 6), 256, 0},
        {dtu_send_r0(vpe, 64), dtu_send_r1(next, 0, i == 1 ? 0xFFFF : 200), i},
        {dtu_mem_r0(8192), 0, dtu_mem_r2(next, vpe, DTU_PERM_RW)},
        {dtu_mem_r0(4096), DTU_BASE, dtu_mem_r2(next, vpe, DTU_PERM_RW)},
    };

    for (unsigned ep = 0; ep < 4; ep++) {
        for (unsigned w = 0; w < 3; w++)
            vdtu_store(pe[i].d, DTU_EP(ep, w), words[ep][w], 8);
    }
}

/* One PE has a barrier in the middle of its memory. */
static void barrier(unsigned i, uint64_t at)
{
    struct vdtu_pkt pkt = {.type = VDTU_PKT_WRITE,
                           .dst_pe = (uint16_t)i,
                           .dst_vpe = DTU_VPE_INVALID,
                           .offset = DTU_BASE + DTU_RWB,
                           .data = &at,
                           .len = 8};

    must(vdtu_deliver(noc, &pkt) == 0);
}

static void start(void)
{
    static const struct vdtu_ops ops = {.drain = drain};

    noc = vdtu_noc_new();
    must(noc != NULL);
    vdtu_noc_remote(noc, remote, NULL);
    memset(pe, 0, sizeof(pe));
    for (unsigned i = 0; i < PES; i++) {
        struct vdtu_config cfg = {.pe = (uint16_t)i, .memory_pe = i == 0, .ops = &ops};

        cfg.mem_size = pe[i].size = sizes[i];
        cfg.mem = pe[i].mem = sizes[i] ? malloc(sizes[i]) : NULL;
        cfg.regs = pe[i].regs = malloc(DTU_WINDOW);
        cfg.arg = &pe[i];
        must(cfg.regs && (cfg.mem || !sizes[i]));
        if (sizes[i])
            memset(cfg.mem, 0xA0 + (int)i, sizes[i]);
        must(vdtu_new(noc, &cfg, &pe[i].d) == 0);
        endpoints(i);
    }
    barrier(2, sizes[2] / 2);
}

/* ---- a seed's trace as a script ---- */

/*
 * `sempervm run --seed N --trace FILE` makes inputs with the rhythm of real programs: each command
 * that was recorded is run by one of our PEs, on that endpoint of start() which fits it.
 */
static void recorded(const struct trace_record *r)
{
    static const uint8_t ep[8] = {[DTU_SEND] = 1, [DTU_READ] = 2, [DTU_WRITE] = 2, [DTU_REPLY] = 0};
    struct pe *p = &pe[1 + r->pe % (PES - 1)];
    bool regs = r->offset >= DTU_BASE;

    if (r->op == DTU_IDLE || r->op > DTU_DEBUG)
        return;
    vdtu_store(p->d, DTU_DATA_ADDR, r->hash & 0x1FFF, 8);
    vdtu_store(p->d, DTU_DATA_SIZE, r->len, 8);
    vdtu_store(p->d, DTU_OFFSET, regs ? r->offset - DTU_BASE : r->offset, 8);
    if (r->op == DTU_ACK || r->op == DTU_REPLY)
        vdtu_store(p->d, DTU_OFFSET, 256 + 64 * (r->offset >> 6 & 3), 8);
    vdtu_store(p->d, DTU_REPLY_LABEL, r->label, 8);
    run(p, r->op, regs ? 3u : ep[r->op]);
}

static bool is_trace(size_t size)
{
    struct trace_header h;

    if (size < sizeof(h))
        return false;
    memcpy(&h, in, sizeof(h));
    if (h.magic != TRACE_MAGIC || h.args_len > size - sizeof(h))
        return false;
    in += sizeof(h) + h.args_len;
    return true;
}

static void run_trace(void)
{
    struct trace_record r;

    while ((size_t)(in_end - in) >= sizeof(r)) {
        memcpy(&r, in, sizeof(r));
        in += sizeof(r);
        raw = false;
        remember();
        depth = 1;
        recorded(&r);
        depth = 0;
        check();
    }
    in = in_end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = data;
    in_end = data + size;
    start();
    if (is_trace(size))
        run_trace();
    while (in < in_end) {
        raw = false;
        remember();
        step();
        check();
    }
    for (unsigned i = 0; i < PES; i++) {
        vdtu_free(pe[i].d);
        free(pe[i].mem);
        free(pe[i].regs);
    }
    vdtu_noc_free(noc);
    return 0;
}
