/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of the exit loop; nothing outside it includes this.  All are called by whoever
 * runs the PE.  A handler returns PE_KICKED to go on (also after pe_wait_begin()), or PE_OVER after
 * it has set pe->end.
 */
#ifndef VMM_EXITS_H
#define VMM_EXITS_H

#include "pe.h"

/* The PE is to sleep until a message, a wake-up or `deadline` (scheduler's ns). */
void pe_wait_begin(struct pe *pe, enum pe_wait how, uint64_t deadline);

/* Takes over a RW_BARRIER that has changed.  0 or -errno. */
int pe_apply_barrier(struct pe *pe);

/* Makes all of the memory below RW_BARRIER writable without an exit.  0 or -errno. */
int pe_raise_split(struct pe *pe);

/* Is memory below RW_BARRIER read-only for now? */
bool pe_split_is_low(const struct pe *pe);

/* The stub of `vector` has raised its exit (trap.c). */
enum pe_why trap_handle(struct pe *pe, unsigned vector);

/* A store to our own register page at byte offset `off` (vreg.c). */
enum pe_why vreg_store(struct pe *pe, unsigned off, uint64_t value, unsigned size);

/* What a program asked for by our page or by gem5's pseudo-instruction (vreg.c). */
enum pe_why pe_exit_program(struct pe *pe, uint32_t status, enum vreg_exit scope);
uint64_t pe_print(struct pe *pe, uint64_t addr, uint64_t len);

/* Fills our register page with what does not change. */
void vreg_reset(struct pe *pe);

/* vreg_list.c: a store to VREG_LIST; how many steps went well. */
uint64_t vreg_run_list(struct pe *pe, uint64_t value);

#endif
