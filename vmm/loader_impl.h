/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the loader share.
 */
#ifndef VMM_LOADER_IMPL_H
#define VMM_LOADER_IMPL_H

#include "loader.h"

/* The module of that name, NULL if it is not there. */
const struct loader_module *loader_find(const struct loader_result *r, const char *name);

/* Program, Env and arguments into every core PE; fills r->entry.  -ENOMEM. */
int loader_fill_pes(const struct machine *m, const struct loader_mem *mem, struct loader_result *r);

#endif
