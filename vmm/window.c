/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Windows: a memory slot for each PE, for as many entries as programs mostly want, added before the
 * PE runs: once it has, the kernel waits for its readers and a slot takes milliseconds.  A PE that
 * wants more pays for a second one; of the first PE, which runs a kernel, it has all.  All that PEs
 * share is in one memfd: a page that says how many PEs are awake, a status page for each PE, and
 * the blocks of the channels.  A channel is two mappings of its block over the private memory of
 * two windows, with MAP_FIXED: KVM follows by itself, no memory slot changes (kvm-notes.md).  A
 * write to a page that is another's alone ends KVM_RUN with EFAULT: the PE that does it is over.
 */
#include "window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../vdtu/ring.h"
#include "node.h"

#define SLOT_WINDOW    8u
#define SLOT_MORE      10u
#define ENTRIES        64u /* that a PE has without asking for more (guest/lib/start.c) */
#define BLOCKS_MAX     65536u
#define MAPS_PER_BLOCK 6u /* at either end the peer's page, the block, and what lies behind */
#define PAGE           4096u

struct window {
    uint8_t *at; /* NULL: none */
    unsigned entries;
};

struct windows {
    int fd;
    uint8_t *map; /* all of the memfd */
    size_t size;
    size_t blocks_at; /* offset of the first block */
    struct ring_node *node;
    struct window *win;     /* by PE */
    unsigned blocks;        /* channels that there may be */
    unsigned fresh, nspare; /* blocks never used; block numbers to use again: */
    unsigned *spare;
};

static size_t block_off(const struct windows *w, unsigned id)
{
    return w->blocks_at + id * (size_t)RING_SHARED_LEN;
}

static size_t entry_off(unsigned entry)
{
    return RING_ENTRY0_OFF + entry * (size_t)RING_ENTRY_SIZE;
}

/* ---- what the vDTU asks for ---- */

static int put_at(struct windows *w, uint8_t *at, size_t off, size_t len, int prot)
{
    void *p = mmap(at, len, prot, MAP_SHARED | MAP_FIXED, w->fd, (off_t)off);

    return p == MAP_FAILED ? -errno : 0;
}

/* A program touches a page here and there, so never huge ones; and with the same advice as what
 * lies beside it, it becomes one mapping with that again. */
static int private_at(uint8_t *at, size_t len)
{
    void *p = mmap(at, len, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

    if (p == MAP_FAILED)
        return -errno;
    madvise(at, len, MADV_NOHUGEPAGE); /* fails where there are none */
    return 0;
}

/* What cannot be mapped anew must not stay as it was. */
static void take_away(struct node *n, uint8_t *at, size_t len)
{
    if (private_at(at, len) < 0)
        node_finish(n, NODE_HOST, 0);
}

static int map_end(struct node *n, unsigned pe, unsigned entry, unsigned peer, unsigned id)
{
    struct windows *w = n->windows;
    uint8_t *at = w->win[pe].at + entry_off(entry);
    int r = put_at(w, at + RING_PEER_OFF, peer * (size_t)PAGE, PAGE, PROT_READ);

    if (r < 0)
        return r;
    r = put_at(w, at + RING_SHARED_OFF, block_off(w, id), RING_SHARED_LEN, PROT_READ | PROT_WRITE);
    if (r < 0)
        take_away(n, at + RING_PEER_OFF, PAGE);
    return r;
}

/*
 * Replaces whole mappings and splits none: that works, too, for a process that has as many as the
 * host allows.
 */
static void window_unmap(void *arg, unsigned pe, unsigned entry)
{
    uint8_t *at = ((struct node *)arg)->windows->win[pe].at + entry_off(entry);

    take_away(arg, at, RING_PRIVATE_OFF);
    if (madvise(at + RING_PRIVATE_OFF, RING_ENTRY_SIZE - RING_PRIVATE_OFF, MADV_DONTNEED) < 0)
        node_finish(arg, NODE_HOST, 0);
}

static void window_put(void *arg, const struct vdtu_ring_block *b)
{
    struct windows *w = ((struct node *)arg)->windows;

    if (madvise(b->shared, RING_SHARED_LEN, MADV_REMOVE) < 0)
        memset(b->shared, 0, RING_SHARED_LEN);
    w->spare[w->nspare++] = b->id;
}

static int window_map(void *arg, unsigned src, unsigned se, unsigned dst, unsigned de,
                      struct vdtu_ring_block *b)
{
    struct windows *w = ((struct node *)arg)->windows;
    uint8_t *s = w->win[src].at + entry_off(se), *d = w->win[dst].at + entry_off(de);

    if (w->nspare == 0 && w->fresh == w->blocks)
        return -ENOSPC;
    b->id = w->nspare ? w->spare[--w->nspare] : w->fresh++;
    b->shared = w->map + block_off(w, b->id);
    b->frozen[0] = s + RING_FROZEN_OFF;
    b->frozen[1] = d + RING_FROZEN_OFF;
    b->closed[0] = (uint64_t *)(void *)(s + RING_STATE_OFF);
    b->closed[1] = (uint64_t *)(void *)(d + RING_STATE_OFF);
    if (map_end(arg, src, se, dst, b->id) < 0) {
        window_put(arg, b);
        return -ENOMEM;
    }
    if (map_end(arg, dst, de, src, b->id) < 0) {
        window_unmap(arg, src, se);
        window_put(arg, b);
        return -ENOMEM;
    }
    return 0;
}

/* Its own status page and the node's stay; all else is new. */
static void window_drop(void *arg, unsigned pe)
{
    struct windows *w = ((struct node *)arg)->windows;
    struct window *win = &w->win[pe];

    memset(w->map + pe * (size_t)PAGE, 0, PAGE);
    if (win->at &&
        private_at(win->at + RING_SCRATCH_OFF, entry_off(win->entries) - RING_SCRATCH_OFF) < 0)
        node_finish(arg, NODE_HOST, 0);
}

static const struct vdtu_ring_mem memory = {
    .map = window_map, .unmap = window_unmap, .drop = window_drop, .put = window_put};

/* ---- PEs ---- */

/* The guest sees `entries` of them; those it saw before stay as they are. */
static int show_entries(struct pe *pe, struct window *win, unsigned entries)
{
    size_t from = win->entries ? entry_off(win->entries) : 0;
    struct kvm_userspace_memory_region r = {.slot = win->entries ? SLOT_MORE : SLOT_WINDOW,
                                            .guest_phys_addr = RING_WINDOW_GPA + from,
                                            .memory_size = entry_off(entries) - from,
                                            .userspace_addr = (uint64_t)(uintptr_t)win->at + from};

    if (ioctl(pe->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
        return -errno;
    win->entries = entries;
    return 0;
}

int window_open(struct pe *pe)
{
    struct windows *w = pe->node->windows;

    return w ? show_entries(pe, &w->win[pe->id], pe->place == 0 ? RING_ENTRIES_MAX : ENTRIES) : 0;
}

unsigned window_want(struct pe *pe, uint64_t entries)
{
    struct windows *w = pe->node->windows;
    struct window *win;

    if (!w)
        return 0;
    vdtu_ring_disable(pe->dtu);
    win = &w->win[pe->id];
    if (entries > RING_ENTRIES_MAX)
        entries = RING_ENTRIES_MAX;
    if (entries == 0 || !win->at)
        return 0;
    /* Once, and for all: taking a slot away costs milliseconds. */
    if (entries > win->entries && win->entries == ENTRIES)
        show_entries(pe, win, RING_ENTRIES_MAX);
    if (entries > win->entries)
        entries = win->entries;
    if (vdtu_ring_enable(pe->dtu, (unsigned)entries, pe->regs + 2 * PAGE,
                         (struct ring_status *)(void *)(w->map + pe->id * (size_t)PAGE)) < 0)
        return 0;
    return (unsigned)entries;
}

void windows_asleep(struct node *n, int change)
{
    if (n->windows)
        __atomic_fetch_sub(&n->windows->node->running, (uint32_t)change, __ATOMIC_RELAXED);
}

/* ---- the node ---- */

bool windows_on(const struct node *n)
{
    return n->windows != NULL;
}

/*
 * Half of the mappings that the host allows a process, of which a channel takes six: PEs that open
 * all they can must leave the rest of the VMM what it needs.
 */
static unsigned blocks_max(void)
{
    FILE *f = fopen("/proc/sys/vm/max_map_count", "r");
    unsigned maps = 65530, blocks; /* what Linux allows if nobody says otherwise */

    if (f && fscanf(f, "%u", &maps) != 1)
        maps = 65530;
    if (f)
        fclose(f);
    blocks = maps / 2 / MAPS_PER_BLOCK;
    return blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX;
}

/*
 * Where the window of pe is.  A mapping over another one makes KVM look at every VM of the process,
 * so this is done while there is none.
 */
static int lay(struct windows *w, const struct pe *pe)
{
    size_t size = entry_off(RING_ENTRIES_MAX);
    uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int r;

    if (at == MAP_FAILED)
        return -errno;
    madvise(at, size, MADV_NOHUGEPAGE);
    w->win[pe->id].at = at;
    r = put_at(w, at + RING_STATUS_OFF, pe->id * (size_t)PAGE, PAGE, PROT_READ | PROT_WRITE);
    return r < 0 ? r : put_at(w, at + RING_NODE_OFF, 0, PAGE, PROT_READ);
}

int windows_open(struct node *n)
{
    struct windows *w = calloc(1, sizeof(*w));
    int r = 0;

    n->windows = w;
    if (!w)
        return -ENOMEM;
    w->blocks = blocks_max();
    w->blocks_at = DTU_PES * (size_t)PAGE; /* status pages by PE id; 0 is the node's */
    w->size = block_off(w, w->blocks);
    w->win = calloc(DTU_PES, sizeof(*w->win));
    w->spare = calloc(w->blocks, sizeof(*w->spare));
    w->fd = memfd_create("sempervm-rings", MFD_CLOEXEC);
    w->map = MAP_FAILED;
    if (w->fd >= 0 && ftruncate(w->fd, (off_t)w->size) == 0)
        w->map = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, w->fd, 0);
    if (!w->win || !w->spare || w->map == MAP_FAILED || vdtu_noc_rings(n->noc, &memory, n) < 0) {
        windows_close(n);
        return -ENOMEM;
    }
    w->node = (struct ring_node *)(void *)w->map;
    w->node->running = n->npes;
    w->node->cores = (uint32_t)n->host_cores;
    for (unsigned i = 0; r == 0 && i < n->npes; i++)
        r = lay(w, &n->pes[i]);
    if (r < 0)
        windows_close(n);
    return r;
}

void windows_close(struct node *n)
{
    struct windows *w = n->windows;

    if (!w)
        return;
    for (unsigned i = 0; w->win && i < DTU_PES; i++)
        if (w->win[i].at)
            munmap(w->win[i].at, entry_off(RING_ENTRIES_MAX));
    if (w->map != MAP_FAILED)
        munmap(w->map, w->size);
    if (w->fd >= 0)
        close(w->fd);
    free(w->win);
    free(w->spare);
    free(w);
    n->windows = NULL;
}
