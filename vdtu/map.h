/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapped memory gates (MAPPED.md, include/mapped.h): who may have what mapped, and when it ends.
 *
 * The vDTU checks a request as it would check a READ or a WRITE and writes the table; the mappings
 * are made by the owner of the NoC.  The lock of the maps comes after all DTU locks, and the
 * callbacks here are called with it held: they must not call back.
 */
#ifndef VDTU_MAP_H
#define VDTU_MAP_H

#include "../include/mapped.h"
#include "vdtu.h"

/* `at`: bytes from the start of the window of `pe`; all are multiples of MAP_PAGE, inside. */
struct vdtu_map_mem {
    /* [off, off + len) of the local memory of PE `target` is there.  0 or -errno: nothing changed.
     */
    int (*show)(void *arg, unsigned pe, uint64_t at, unsigned target, uint64_t off, uint64_t len,
                bool writable);
    /* Zeros are there that nobody else sees: when it returns, no store reaches what was there. */
    void (*cut)(void *arg, unsigned pe, uint64_t at, uint64_t len);
    /* Nothing is there: an access is a fault of the PE. */
    void (*clear)(void *arg, unsigned pe, uint64_t at, uint64_t len);
};

/* Says who maps; set before any use.  0 or -ENOMEM. */
int vdtu_noc_maps(struct vdtu_noc *noc, const struct vdtu_map_mem *mem, void *arg);

/*
 * The PE has a window of so many bytes, in which nothing is, and this table; what it had before is
 * gone.  No lock held.  0, -EINVAL, -ENOMEM.
 */
int vdtu_map_enable(struct vdtu *d, uint64_t window, struct map_table *table);

/* It has none any more, or its CPU starts anew.  No lock held. */
void vdtu_map_disable(struct vdtu *d);

/*
 * VREG_MAP: serves the struct map_request at that local address.  Returns what a load of the
 * register gives: error << 32 | entry.  No lock held.
 */
uint64_t vdtu_map_request(struct vdtu *d, uint64_t addr);

/* VREG_UNMAP: the PE has no more use for that entry.  No lock held. */
void vdtu_map_close(struct vdtu *d, uint64_t entry);

#endif
