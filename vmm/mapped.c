/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Windows for mapped memory gates: one memory slot for each PE that asks, added when it asks for
 * the first time and as large as it asked.  What is mapped where the vDTU decides (vdtu/map.c);
 * here it is done.  An access that the host's mapping does not allow, a store to what is read-only
 * or anything where nothing is, ends KVM_RUN with EFAULT on every KVM: the PE is over.
 */
#include "mapped.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../vdtu/map.h"
#include "mapwin.h"
#include "node.h"

#define SLOT_MAPPED 9u
#define PAGE        4096u

struct mapped {
    struct mapwin win[DTU_PES]; /* by PE */
};

/* ---- what the vDTU asks for ---- */

static int mapped_show(void *arg, unsigned pe, uint64_t at, unsigned target, uint64_t off,
                       uint64_t len, bool writable)
{
    struct node *n = arg;
    struct mapwin *w = &n->mapped->win[pe];
    const struct pe *t = node_pe(n, target);

    if (t)
        return mapwin_show(w, at, n->mem_fd, (uint64_t)(t->mem - n->mem) + off, len, writable);
    return n->dram && target == machine_mem_pe(n->desc)
               ? mapwin_show(w, at, n->dram_fd, off, len, writable)
               : -EINVAL;
}

/* What cannot be taken away must not go on. */
static void mapped_cut(void *arg, unsigned pe, uint64_t at, uint64_t len)
{
    if (mapwin_cut(&((struct node *)arg)->mapped->win[pe], at, len) < 0)
        node_finish(arg, NODE_HOST, 0);
}

static void mapped_clear(void *arg, unsigned pe, uint64_t at, uint64_t len)
{
    if (mapwin_clear(&((struct node *)arg)->mapped->win[pe], at, len) < 0)
        node_finish(arg, NODE_HOST, 0);
}

static const struct vdtu_map_mem memory = {mapped_show, mapped_cut, mapped_clear};

/* ---- PEs ---- */

static int window_new(struct pe *pe, struct mapwin *w, uint64_t size)
{
    struct kvm_userspace_memory_region r = {
        .slot = SLOT_MAPPED, .guest_phys_addr = MAP_WINDOW_GPA, .memory_size = size};
    int e = mapwin_open(w, size);

    if (e < 0)
        return e;
    madvise(w->at, size, MADV_NOHUGEPAGE); /* fails where there are none: nothing to refuse */
    r.userspace_addr = (uint64_t)(uintptr_t)w->at;
    if (ioctl(pe->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0) {
        e = -errno;
        mapwin_close(w);
    }
    return e;
}

uint64_t mapped_want(struct pe *pe, uint64_t size)
{
    struct mapped *m = pe->node->mapped;
    struct mapwin *w;

    if (!m)
        return 0;
    vdtu_map_disable(pe->dtu);
    w = &m->win[pe->id];
    if (size > MAP_WINDOW_MAX)
        size = MAP_WINDOW_MAX;
    size = (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    if (size == 0 || (!w->at && window_new(pe, w, size) < 0))
        return 0;
    /* The slot stays as large as it is: taking one away costs milliseconds. */
    if (size > w->size)
        size = w->size;
    if (vdtu_map_enable(pe->dtu, size,
                        (struct map_table *)(void *)(pe->regs + (MAP_TABLE_GPA - DTU_BASE))) < 0)
        return 0;
    return size;
}

void mapped_pe_reset(struct pe *pe)
{
    *pe_vreg(pe, VREG_MAP_WINDOW) = *pe_vreg(pe, VREG_MAP) = 0;
}

bool mapped_covers(const struct pe *pe, uint64_t gpa)
{
    const struct mapped *m = pe->node->mapped;

    return m && gpa >= MAP_WINDOW_GPA && gpa - MAP_WINDOW_GPA < m->win[pe->id].size;
}

/* ---- the node ---- */

int mapped_open(struct node *n)
{
    n->mapped = calloc(1, sizeof(*n->mapped));
    return n->mapped ? vdtu_noc_maps(n->noc, &memory, n) : -ENOMEM;
}

void mapped_close(struct node *n)
{
    for (unsigned i = 0; n->mapped && i < DTU_PES; i++)
        mapwin_close(&n->mapped->win[i]);
    free(n->mapped);
    n->mapped = NULL;
}
