/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader: fills the memories of a machine as gem5 does before the first instruction
 * (semperos-platform 1): file-system images, boot modules and KEnv in the memory PE, program, Env
 * and arguments in every core PE.  Works on host pointers only, knows nothing of KVM or the DTU.
 */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include "elf.h"
#include "machine.h"

/* The memories to fill, all zero and at least as large as the machine says.  [0] is the memory PE
 * (NULL: the node has none), [1 + place] the core PEs (machine_pe()).  Owned by the caller. */
struct loader_mem {
    void **mem;
};

struct loader_module {
    char *name;    /* bare file name */
    uint8_t *data; /* the whole file */
    size_t size;
    struct elf elf; /* points into data */
    uint64_t addr;  /* NoC address of the file; 0: not a boot module */
};

struct loader_result {
    struct loader_module *mod; /* the boot modules in their order, then what only one PE runs */
    unsigned nmod;
    unsigned nboot;  /* the first nboot are boot modules */
    uint64_t *entry; /* as the memories; [0] is 0 */
    unsigned pes;    /* core PEs of this node */
    uint64_t kenv;   /* NoC address; 0: no kernel */
};

/*
 * Load a validated machine.  0, or with a complaint in the list: -EINVAL (a program or image is not
 * what it must be), -EIO, -ENOMEM; then OUT is empty and the memories are half filled.
 */
int loader_boot(const struct machine *m, const struct loader_mem *mem, struct loader_result *out,
                struct diag *d);
void loader_free(struct loader_result *r);

/* Read and check all programs and lay them out without a machine; same errors.  For `check`. */
int loader_check(const struct machine *m, struct diag *d);

/*
 * What runs at RIP: "program!function+0x12", "program+0x201234" or "?", into BUF, always
 * terminated.  A PE does not say which program it runs, and programs may share addresses: of those
 * that map RIP, the one that agrees with most of the N BYTES read from there is taken.
 * Returns 0, or -ENOENT ("?").
 */
int loader_symbol(const struct loader_result *r, uint64_t rip, const uint8_t *bytes, size_t n,
                  char *buf, size_t len);

#endif
