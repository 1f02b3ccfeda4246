/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapped memory gates (include/mapped.h, vdtu/MAPPED.md): windows of PEs.
 */
#ifndef VMM_MAPPED_H
#define VMM_MAPPED_H

#include <stdbool.h>
#include <stdint.h>

#include "pe.h"

struct mapped;

/*
 * Before any PE runs, and after the memories, which must be memfds: makes mappings possible on this
 * node.  0 or -errno.  mapped_close() when no PE runs any more.
 */
int mapped_open(struct node *n);
void mapped_close(struct node *n);

/* VREG_MAP_WINDOW: the PE wants a window of so many bytes, 0: none.  By whoever runs it.  Bytes it
 * has. */
uint64_t mapped_want(struct pe *pe, uint64_t size);

/* The PE is reset: it has no window any more. */
void mapped_pe_reset(struct pe *pe);

/* Is that address in the window of the PE? */
bool mapped_covers(const struct pe *pe, uint64_t gpa);

#endif
