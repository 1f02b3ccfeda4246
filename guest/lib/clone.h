/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of a running program on other PEs, without a kernel: for tests and measurements. */
#ifndef GUEST_CLONE_H
#define GUEST_CLONE_H

/*
 * Copies this program, its data as they are now and its arguments to PE `pe` and starts it there
 * from its beginning.  Sets memory endpoint `ep` of this PE, which must be privileged, as that one
 * is then.  An error of errors.h, 0 = done.
 */
unsigned clone_self(unsigned ep, unsigned pe);

#endif
