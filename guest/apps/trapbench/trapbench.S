/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `make bench`: batches of the cheapest trapped command, a FETCH on an endpoint that is not
 * configured, and a wait between batches so that whoever runs the PE gets to its clock.  The bare
 * baseline (tests/bench/bare.c) executes the same instructions.
 */
    .text
    .globl _start
_start:
    movabs $0x5C0000040, %rbx       /* COMMAND */
    movabs $0x5C0001048, %rdx       /* WAIT */
1:  movl $1000, %ecx
2:  movq $0x15, (%rbx)              /* FETCH, endpoint 2 */
    dec %ecx
    jnz 2b
    movq $-1, (%rdx)
    jmp 1b
    .section .note.GNU-stack, "", @progbits
