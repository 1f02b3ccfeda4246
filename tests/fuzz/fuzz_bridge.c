/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vdtu vmm/bridge.c */
/*
 * A bridge PE that does what the input says: any entries, any indices, any area, at any time, also
 * while commands of other PEs wait in it.  Nothing outside of its memory is touched, every command
 * comes to its end, and each packet that was handed out is accounted for once.
 */
#include <stdlib.h>
#include <string.h>

#include "../../vmm/bridge.h"

#define MEM   0x4000u
#define BIG   (0x4000u + (uint32_t)((sizeof(struct bridge_area) + 4095) & ~4095u))
#define DEPTH 6u /* PEs that can wait at a time, each inside of the one before */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BRIDGE = 20, FIRST = 2, FAR = 40 };

static struct {
    const uint8_t *at;
    size_t left;
    struct vdtu_noc *noc;
    struct bridge *bridge;
    struct vdtu *d[64];
    uint8_t *mem[64];
    void *regs[64];
    unsigned depth; /* commands under way */
} f;
static struct vdtu_batch batch[DEPTH];

static void take(void *to, size_t n)
{
    size_t k = n < f.left ? n : f.left;

    memset(to, 0, n);
    memcpy(to, f.at, k);
    f.at += k;
    f.left -= k;
}

static uint32_t number(unsigned bytes)
{
    uint32_t v = 0;

    take(&v, bytes);
    return v;
}

static void must(int ok)
{
    if (!ok)
        abort();
}

static struct bridge_area *area(void)
{
    uint64_t at = bridge_area(f.bridge);

    return at ? (struct bridge_area *)(void *)(f.mem[BRIDGE] + at) : NULL;
}

/* ---- the commands of others ---- */

/* Some of them for PEs that are nowhere, or too long; all of them have an end. */
static void start_list(void)
{
    struct vdtu_batch *b = &batch[f.depth < DEPTH ? f.depth : 0];
    unsigned pe = FIRST + f.depth, n = number(1) % 80;
    struct vdtu *d = f.d[pe];

    if (f.depth == DEPTH)
        return;
    f.depth++;
    b->n = 0;
    b->used = 0;
    for (unsigned i = 0; i < n; i++) {
        vdtu_store(d, DTU_EP(0, 0), dtu_send_r0(1, 4096), 8);
        vdtu_store(d, DTU_EP(0, 1), dtu_send_r1(FAR - 1 + number(1) % 4, 3, DTU_CREDITS_UNLIM), 8);
        vdtu_store(d, DTU_DATA_SIZE, number(2) % 5000, 8);
        vdtu_begin(d, b, DTU_CMD(DTU_SEND, 0));
    }
    vdtu_finish(d, b);
    for (unsigned i = 0; i < b->n; i++)
        must(b->result[i] <= SE_XFS_RENAME);
    f.depth--;
}

static void start_command(void)
{
    unsigned pe = FIRST + f.depth, what = number(1), op = DTU_SEND + what % 4;
    struct vdtu *d = f.d[pe];

    if (f.depth == DEPTH)
        return;
    if (what >= 128) {
        start_list();
        return;
    }
    f.depth++;
    vdtu_store(d, DTU_EP(0, 0), dtu_send_r0(1, 512), 8);
    vdtu_store(d, DTU_EP(0, 1), dtu_send_r1(FAR + number(1) % 4, number(1), DTU_CREDITS_UNLIM), 8);
    vdtu_store(d, DTU_EP(1, 0), dtu_mem_r0(0x8000), 8);
    vdtu_store(d, DTU_EP(1, 1), number(4), 8);
    vdtu_store(d, DTU_EP(1, 2), dtu_mem_r2(FAR, 1, DTU_PERM_RW), 8);
    vdtu_store(d, DTU_DATA_ADDR, number(2), 8);
    vdtu_store(d, DTU_DATA_SIZE, number(2) % 0x3000, 8);
    vdtu_store(d, DTU_OFFSET, number(2), 8);
    vdtu_store(d, DTU_COMMAND, DTU_CMD(op, op != DTU_SEND), 8);
    must((vdtu_reg(d, DTU_COMMAND) & 7) == 0);
    f.depth--;
}

static void complete_one(void)
{
    struct bridge_area *a = area();
    unsigned to, pe = FIRST + number(1) % DEPTH;
    uint32_t id = bridge_waits(f.bridge, pe, &to), k;

    if (!a || !id)
        return;
    id += (uint32_t)number(1) % 4 << 10; /* of a list, another one perhaps */
    k = a->in_tail++ % BRIDGE_SLOTS;
    a->in[k] = (struct bridge_pkt){
        .op = BRIDGE_COMPLETE, .id = id, .result = number(1), .len = (uint16_t)number(2)};
    bridge_run(f.bridge);
}

static void put_entries(void)
{
    struct bridge_area *a = area();
    unsigned n = number(1) % 8;

    for (; a && n; n--) {
        uint32_t k = a->in_tail++ % BRIDGE_SLOTS;

        take(&a->in[k], sizeof(a->in[k]));
        take(a->in_data[k], number(1));
    }
}

static void one_action(void)
{
    struct bridge_area *a = area();

    switch (number(1) % 11) {
    case 0:
        put_entries();
        bridge_run(f.bridge);
        bridge_nic_causes(f.bridge, bridge_turn(f.bridge));
        break;
    case 1:
        if (a)
            a->in_tail = number(1) % 2 ? a->in_tail + number(2) : number(4);
        bridge_run(f.bridge);
        break;
    case 2:
        if (a)
            a->out_head = number(1) % 2 ? a->out_tail : number(4);
        break;
    case 3:
        if (a)
            take(a, 128);
        break;
    case 4:
        bridge_set_area(f.bridge, number(1) % 4 ? 0x2000 : number(4));
        break;
    case 5:
    case 6:
        start_command();
        break;
    case 7:
    case 8:
        complete_one();
        break;
    case 9:
        bridge_poll(f.bridge);
        break;
    default:
        if (number(1) % 16 == 0)
            bridge_over(f.bridge);
        else if (number(1) % 4 == 0)
            bridge_reset(f.bridge);
    }
}

/* ---- callbacks ---- */

static bool is_remote(void *arg, unsigned pe)
{
    (void)arg;
    return pe >= FAR;
}

static void park(void *arg, unsigned pe)
{
    (void)arg, (void)pe;
    one_action();
}

static void nothing(void *arg, unsigned pe)
{
    (void)arg, (void)pe;
}

static bool abandoned(void *arg, unsigned pe)
{
    (void)arg, (void)pe;
    return f.left == 0;
}

static void wake(void *arg)
{
    (void)arg;
}

static const struct bridge_ops ops = {is_remote, park, nothing, abandoned, wake, nothing};

/* ---- set-up ---- */

static void add(unsigned pe, uint64_t size)
{
    struct vdtu_config cfg = {.pe = (uint16_t)pe, .mem_size = size};

    cfg.mem = f.mem[pe] = aligned_alloc(4096, size);
    cfg.regs = calloc(1, 4096);
    must(cfg.mem && cfg.regs);
    memset(f.mem[pe], 0xA5, size);
    f.regs[pe] = cfg.regs;
    must(vdtu_new(f.noc, &cfg, &f.d[pe]) == 0);
    vdtu_store(f.d[pe], DTU_EP(3, 0), dtu_recv_r0(10, 8), 8);
    vdtu_store(f.d[pe], DTU_EP(3, 1), 0x1000, 8);
}

static void check_counts(void)
{
    struct bridge_stats s;
    unsigned left = 0, to;

    bridge_get_stats(f.bridge, &s);
    for (unsigned pe = 0; pe < 64; pe++)
        bridge_forget(f.bridge, pe); /* of those that were stopped */
    for (unsigned pe = 0; pe < 64; pe++)
        left += bridge_waits(f.bridge, pe, &to) != 0;
    must(left == 0);
    /* Those that end from the queue were never taken; no more than that may be missing. */
    must(s.completed <= s.taken);
    must(s.taken <= s.completed + s.gone + s.abandoned);
    must(s.late <= s.abandoned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&f, 0, sizeof(f));
    f.at = data;
    f.left = size;
    f.noc = vdtu_noc_new();
    must(f.noc != NULL);
    add(BRIDGE, BIG);
    for (unsigned i = 0; i < DEPTH; i++)
        add(FIRST + i, MEM);
    f.bridge = bridge_new(f.noc, BRIDGE, f.mem[BRIDGE], BIG, &ops, NULL);
    must(f.bridge != NULL);
    vdtu_noc_remote(f.noc, bridge_packet, f.bridge);
    vdtu_noc_remote_many(f.noc, bridge_packets);
    bridge_set_area(f.bridge, 0x2000);
    while (f.left)
        one_action();
    check_counts();
    for (unsigned pe = 0; pe < 64; pe++)
        if (f.d[pe]) {
            vdtu_free(f.d[pe]);
            free(f.mem[pe]);
            free(f.regs[pe]);
        }
    vdtu_noc_free(f.noc);
    bridge_free(f.bridge);
    return 0;
}
