/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can this host run machines?  One line per question, each failure with its remedy.
 */
#ifndef VMM_DOCTOR_H
#define VMM_DOCTOR_H

#include <stdio.h>

/* Ask everything, print "ok", "warn" or "fail" lines.  Returns an exit status: 0, or 3 if any line
 * is "fail". */
int doctor(FILE *out);

/*
 * Which KVM this is: "kvm_pvm", "kvm_amd", "kvm_intel", the last two with " (nested)" when this
 * host is itself a guest, "unknown", or "none" without /dev/kvm.  A static string.
 */
const char *doctor_kvm_flavour(void);

#endif
