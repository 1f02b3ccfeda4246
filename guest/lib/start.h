/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a program begins and ends.  crt.S calls guest_start(), which sets up the heap and calls
 * main(), or, in a VPE that vpe_run() cloned, the function it was started with; both end in
 * guest_exit().  A kernel brings its own guest_exit() and so replaces the one for applications.
 */
#ifndef GUEST_START_H
#define GUEST_START_H

#define START_STACK_TOP 0x23ff8

#ifndef __ASSEMBLER__
#include <stdint.h>

/* The program.  argv[0..argc-1]; the returned status goes to guest_exit(). */
int main(int argc, char **argv);

_Noreturn void guest_start(void);

/*
 * Ends the program: flushes the console, notes the status in the VMM, tells the kernel, goes back
 * to idle.  status: 0 all well.
 */
_Noreturn void guest_exit(int status);

/* Ends this PE for good: the VMM is told when there is one of ours, then the CPU sleeps. */
_Noreturn void guest_halt(int status);

/* Notes how this program ended (VREG_EXIT_PROGRAM), when the VMM is ours. */
void guest_note_exit(int status);

/* Bytes of local memory of this PE. */
uint64_t guest_mem_size(void);

/* Where the receive buffers begin: everything from here to guest_mem_size() is theirs. */
uint64_t guest_recvbuf_start(void);
#endif

#endif
