/* SPDX-License-Identifier: BSD-2-Clause */
/* The capability tree as the kernel tells the VMM of it (capdump.h). */
#ifndef KERNEL_DUMP_H
#define KERNEL_DUMP_H

#include "capdump.h"

/*
 * Calls put() with one record after the other, from CAPDUMP_KERNEL to CAPDUMP_END.  Takes no
 * messages and no memory and changes nothing.  question goes into the first and the last record.
 */
typedef void dump_fn(void *arg, const struct capdump *r);
void dump_caps(uint64_t question, dump_fn *put, void *arg);

#endif
