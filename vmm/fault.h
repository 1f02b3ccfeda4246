/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report of a PE that did something its machine has no answer for.
 */
#ifndef VMM_FAULT_H
#define VMM_FAULT_H

#include <stdbool.h>

#include "pe.h"

/*
 * Prints one report on standard error, undivided: PE, reason, error code, RIP with symbol, CR2,
 * all registers, the bytes at RIP.  from_shim: the program's RIP, RSP and flags are in the shim's
 * frame, not in the vCPU.  Called by whoever runs the PE, outside KVM_RUN.
 */
void fault_report(struct pe *pe, const char *reason, bool from_shim);

#endif
