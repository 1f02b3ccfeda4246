/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vdtu vmm/vreg_list.c */
/*
 * VREG_LIST with whatever the input puts into local memory, in both ways, while others write there
 * whenever a packet is on its way to another node.  What is reported is what was run, and nothing
 * above RW_BARRIER is written.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../../vmm/exits.h"
#include "../../vmm/node.h"
#include "../../vmm/sched.h"

#define MEM     0x4000u
#define BARRIER 0x2000u
#define STEP    sizeof(struct vreg_step)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *at;
    size_t left;
    struct vdtu_noc *noc;
    struct vdtu *d[2];
    uint8_t *mem[2];
    void *regs[2];
    struct node node;
    struct pe pe;
} f;

volatile uint8_t seen; /* all of a packet is there to be read */

static uint8_t byte(void)
{
    if (!f.left)
        return 0;
    f.left--;
    return *f.at++;
}

static void must(int ok)
{
    if (!ok)
        abort();
}

/* Others write into the list. */
static void scribble(void)
{
    unsigned n = byte() % 8;

    while (n--) {
        unsigned at = byte() | byte() << 8;

        f.mem[0][at % BARRIER] = byte();
    }
}

static void remote_many(void *arg, struct vdtu_pkt *pkts, unsigned n, unsigned *results)
{
    (void)arg;
    must(n > 0 && n <= VDTU_BATCH);
    for (unsigned i = 0; i < n; i++) {
        must(pkts[i].type == VDTU_PKT_MSG && pkts[i].src_pe == 1 &&
             (pkts[i].dst_pe == 40 || pkts[i].dst_pe == 50));
        for (unsigned k = 0; k < pkts[i].len; k++)
            seen ^= ((const uint8_t *)pkts[i].data)[k];
        results[i] = byte() % (SE_XFS_RENAME + 1);
    }
    scribble();
}

static unsigned remote(void *arg, struct vdtu_pkt *pkt)
{
    (void)arg;
    memset(pkt->data, 0x5A, pkt->len);
    scribble();
    return byte() % (SE_XFS_RENAME + 1);
}

/* Others go first; perhaps one of them resets the PE. */
static void on_step(struct pe *pe)
{
    if (byte() == 0xFF)
        atomic_store(&pe->kicked, true);
    scribble();
}

static const struct sched sched = {.name = "fuzz", .step = on_step};

static void add(unsigned i)
{
    struct vdtu_config cfg = {.pe = (uint16_t)(i + 1), .mem_size = MEM};

    cfg.mem = f.mem[i] = aligned_alloc(4096, MEM);
    cfg.regs = f.regs[i] = calloc(1, 4096);
    must(cfg.mem && cfg.regs);
    memset(f.mem[i], 0, MEM);
    must(vdtu_new(f.noc, &cfg, &f.d[i]) == 0);
}

static void endpoints(struct vdtu *d)
{
    static const uint16_t pe[4] = {40, 40, 2, 50};

    for (unsigned ep = 0; ep < 4; ep++) {
        vdtu_store(d, DTU_EP(ep, 0), dtu_send_r0(DTU_VPE_INVALID, ep == 1 ? 4096 : 128), 8);
        vdtu_store(d, DTU_EP(ep, 1), dtu_send_r1(pe[ep], 4, ep == 0 ? 512 : DTU_CREDITS_UNLIM), 8);
    }
    vdtu_store(d, DTU_EP(4, 0), dtu_recv_r0(10, 7), 8);
    vdtu_store(d, DTU_EP(4, 1), 0x1800, 8);
    for (unsigned ep = 5; ep < 7; ep++) {
        vdtu_store(d, DTU_EP(ep, 0), dtu_mem_r0(0x1000), 8);
        vdtu_store(d, DTU_EP(ep, 1), 0x1000, 8);
        vdtu_store(d, DTU_EP(ep, 2), dtu_mem_r2(ep == 5 ? 40 : 2, DTU_VPE_INVALID, DTU_PERM_RW), 8);
    }
}

/* Steps of which most make sense, some are what comes. */
static void steps(void)
{
    for (unsigned at = 0, n = byte() % 70; n && at < BARRIER; n--, at += STEP) {
        struct vreg_step s = {.command = DTU_CMD(byte() % 8, byte() % 8),
                              .data_addr = (uint64_t)byte() << 5,
                              .data_size = byte(),
                              .offset = (uint64_t)byte() << 4,
                              .reply_ep = byte() % 8};

        if (byte() % 8 == 0)
            s.data_size <<= byte() % 64;
        memcpy(f.mem[0] + at, &s, STEP);
    }
}

static void one_list(void)
{
    unsigned count = byte() % 70;
    uint64_t value = vreg_list(byte() % 16 ? 0 : (uint64_t)byte() << 7, count), r;
    bool together = byte() % 4;

    if (together)
        value |= VREG_TOGETHER;
    atomic_store(&f.pe.kicked, false);
    r = vreg_run_list(&f.pe, value);
    must((uint32_t)r <= (count <= VREG_STEPS_MAX ? count : 0));
    must(together ? r >> 32 <= (uint32_t)r : r >> 32 == 0);
    must((vdtu_reg(f.d[0], DTU_COMMAND) & 7) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&f, 0, sizeof(f));
    f.at = data;
    f.left = size;
    f.noc = vdtu_noc_new();
    must(f.noc != NULL);
    vdtu_noc_remote(f.noc, remote, NULL);
    vdtu_noc_remote_many(f.noc, remote_many);
    add(0);
    add(1);
    endpoints(f.d[0]);
    endpoints(f.d[1]);
    f.node.sched = &sched;
    f.pe.node = &f.node;
    f.pe.dtu = f.d[0];
    atomic_store(&f.pe.barrier, BARRIER);
    ((uint64_t *)f.regs[0])[DTU_RWB / 8] = BARRIER; /* as a kernel does */
    while (f.left) {
        steps();
        one_list();
    }
    for (unsigned i = BARRIER; i < MEM; i++)
        must(f.mem[0][i] == 0);
    free(f.pe.batch);
    for (unsigned i = 0; i < 2; i++) {
        vdtu_free(f.d[i]);
        free(f.mem[i]);
        free(f.regs[i]);
    }
    vdtu_noc_free(f.noc);
    return 0;
}
