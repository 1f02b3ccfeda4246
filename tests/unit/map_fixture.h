/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PEs with windows for mapped memory gates, on the host: the real vDTU, the VMM's real windows
 * (vmm/mapwin.c) over one memfd.  What a guest would do there is done with the window's host
 * addresses; whether it may is asked of the kernel, so that a refusal is no signal.
 */
#ifndef MAP_FIXTURE_H
#define MAP_FIXTURE_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../vdtu/map.h"
#include "../../vmm/mapwin.h"
#include "pe_endpoints.h"

#define MX_PES     4u /* 0: the memory PE */
#define MX_PAGES   8u /* of each memory */
#define MX_MEM     (MX_PAGES * MAP_PAGE)
#define MX_WIN     (8u * MAP_PAGE)
#define MX_SCRATCH 0x800u /* where requests are put */

struct mx;
struct mx_pe {
    struct vdtu *d;
    uint8_t *mem;
    uint64_t *regs; /* then the table */
    struct mapwin win;
};

struct mx {
    struct vdtu_noc *noc;
    int fd, pipe[2];
    uint8_t *map;
    bool full; /* the next show fails */
    unsigned shows, cuts, clears;
    struct mx_pe pe[MX_PES];
};

static inline struct map_table *mx_table(struct mx *x, unsigned pe)
{
    return (struct map_table *)(void *)((uint8_t *)x->pe[pe].regs + 4096);
}
static inline unsigned mx_state(struct mx *x, unsigned pe, unsigned entry)
{
    return MAP_STATE(__atomic_load_n(&mx_table(x, pe)->entry[entry].word, __ATOMIC_SEQ_CST));
}

/* ---- what the VMM does ---- */

static inline int mx_show(void *arg, unsigned pe, uint64_t at, unsigned target, uint64_t off,
                          uint64_t len, bool writable)
{
    struct mx *x = arg;

    PE_WANT(off + len <= MX_MEM && at + len <= x->pe[pe].win.size);
    if (x->full)
        return -1;
    x->shows++;
    return mapwin_show(&x->pe[pe].win, at, x->fd, target * (uint64_t)MX_MEM + off, len, writable);
}
static inline void mx_cut(void *arg, unsigned pe, uint64_t at, uint64_t len)
{
    struct mx *x = arg;

    x->cuts++;
    PE_WANT(at + len <= x->pe[pe].win.size && mapwin_cut(&x->pe[pe].win, at, len) == 0);
}
static inline void mx_clear(void *arg, unsigned pe, uint64_t at, uint64_t len)
{
    struct mx *x = arg;

    x->clears++;
    PE_WANT(at + len <= x->pe[pe].win.size && mapwin_clear(&x->pe[pe].win, at, len) == 0);
}

/* ---- what a guest does ---- */

/* Loads or stores one byte of the window; false: it would be a fault. */
static inline bool mx_peek(struct mx *x, unsigned pe, uint64_t at, uint8_t *value)
{
    return write(x->pipe[1], x->pe[pe].win.at + at, 1) == 1 && read(x->pipe[0], value, 1) == 1;
}
static inline bool mx_poke(struct mx *x, unsigned pe, uint64_t at, uint8_t value)
{
    uint8_t rest;

    PE_WANT(write(x->pipe[1], &value, 1) == 1);
    if (read(x->pipe[0], x->pe[pe].win.at + at, 1) == 1)
        return true;
    PE_WANT(read(x->pipe[0], &rest, 1) == 1);
    return false;
}

static inline uint64_t mx_ask(struct mx *x, unsigned pe, struct map_request r)
{
    memcpy(x->pe[pe].mem + MX_SCRATCH, &r, sizeof(r));
    return vdtu_map_request(x->pe[pe].d, MX_SCRATCH);
}

static inline void mx_set_ep(struct mx *x, unsigned pe, unsigned ep, uint64_t r0, uint64_t r1,
                             uint64_t r2)
{
    pe_set_ep(x->pe[pe].d, ep, r0, r1, r2);
}

/* A memory endpoint as a kernel makes it; VPE ids are PE ids. */
static inline void mx_gate(struct mx *x, unsigned pe, unsigned ep, unsigned target, uint64_t base,
                           uint64_t size, unsigned perm)
{
    mx_set_ep(x, pe, ep, dtu_mem_r0(size), base, dtu_mem_r2(target, target, perm));
}

/* The kernel's way. */
static inline void mx_write_reg(struct mx *x, unsigned pe, unsigned reg, const uint64_t *words,
                                unsigned n)
{
    pe_write_reg(x->noc, x->pe[pe].d, pe, reg, words, n);
}
static inline void mx_revoke(struct mx *x, unsigned pe, unsigned ep)
{
    pe_revoke(x->noc, x->pe[pe].d, pe, ep);
}
static inline void mx_vpe(struct mx *x, unsigned pe, uint64_t id)
{
    mx_write_reg(x, pe, DTU_VPE_ID, &id, 1);
}

/* ---- set-up ---- */

static inline struct mx *mx_new(void)
{
    static const struct vdtu_map_mem mem = {mx_show, mx_cut, mx_clear};
    struct mx *x = calloc(1, sizeof(*x));

    x->fd = memfd_create("map-test", 0);
    PE_WANT(ftruncate(x->fd, MX_PES * (off_t)MX_MEM) == 0 && pipe(x->pipe) == 0);
    x->map = mmap(NULL, MX_PES * MX_MEM, PROT_READ | PROT_WRITE, MAP_SHARED, x->fd, 0);
    PE_WANT(x->map != MAP_FAILED);
    x->noc = vdtu_noc_new();
    PE_WANT(vdtu_noc_maps(x->noc, &mem, x) == 0);
    for (unsigned i = 0; i < MX_PES; i++) {
        struct mx_pe *p = &x->pe[i];
        struct vdtu_config cfg = {.pe = (uint16_t)i, .mem_size = MX_MEM, .memory_pe = i == 0};

        p->mem = cfg.mem = x->map + i * MX_MEM;
        p->regs = cfg.regs = aligned_alloc(4096, 4096 + MAP_TABLE_SIZE);
        memset(p->regs, 0, 4096 + MAP_TABLE_SIZE);
        PE_WANT(vdtu_new(x->noc, &cfg, &p->d) == 0);
        PE_WANT(mapwin_open(&p->win, MX_WIN) == 0);
        mx_vpe(x, i, i);
        if (i > 0)
            PE_WANT(vdtu_map_enable(p->d, MX_WIN, mx_table(x, i)) == 0);
    }
    return x;
}

static inline void mx_free(struct mx *x)
{
    for (unsigned i = 0; i < MX_PES; i++) {
        vdtu_free(x->pe[i].d);
        free(x->pe[i].regs);
        mapwin_close(&x->pe[i].win);
    }
    vdtu_noc_free(x->noc);
    munmap(x->map, MX_PES * MX_MEM);
    close(x->fd);
    close(x->pipe[0]);
    close(x->pipe[1]);
    free(x);
}

#endif
