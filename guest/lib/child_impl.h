/* SPDX-License-Identifier: BSD-2-Clause */
/* What a child finds in its environment; for child.c, exec.c and adopt.c. */
#ifndef GUEST_CHILD_IMPL_H
#define GUEST_CHILD_IMPL_H

#include "boot.h"
#include "child.h"

/* In RT space: arguments below what guest_exit() uses, state below a deep stack. */
#define CHILD_ARGS_ADDR  (PE_ENV_ADDR + 0x90)
#define CHILD_ARGS_MAX   0xF00u
#define CHILD_STATE_ADDR (PE_ENV_ADDR + 0x8000)
#define CHILD_STATE_MAX  6144u

#define CHILD_NAMES \
    0x4D414E2D54534F48ull /* behind the original's mounts: names of services follow */

/* The original's bit fields of selectors and endpoints in use. */
#define CHILD_SELS 8192u
struct child_bits {
    uint32_t first_clear;
    uint32_t pad;
    uint64_t words[CHILD_SELS / 64];
};

/* Its Position. */
struct child_pos {
    uint16_t local; /* M3FS_LOCS: locations are to be asked for */
    uint16_t global;
    uint64_t offset;
} __attribute__((packed));
_Static_assert(sizeof(struct child_pos) == 12, "m3 RegularFile");

/* Writes the state into the child's memory and where it is into *e. */
unsigned child_state(struct child *c, struct boot_env *e);

#endif
