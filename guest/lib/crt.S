/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry of every program but idle.  RSP is valid only when idle started us, which says so with a
 * magic number in RAX (semperos-platform 2, 5.7); a program that the machine itself started comes
 * with RSP = 0.  Either way the stack is aligned here, so that aligned SSE stores are safe.
 */
#include "start.h"

    .section .text.start, "ax"
    .globl _start
    .type _start, @function
_start:
    mov     $0xDEADBEEF, %ecx
    cmp     %rcx, %rax
    je      1f
    mov     $START_STACK_TOP, %esp
1:
    and     $-16, %rsp
    xor     %ebp, %ebp
    call    guest_start
    ud2
    .size _start, . - _start

/*
 * The last instructions of a program: send the EXIT system call, go back to idle.  guest_exit()
 * copies them to RT space first, because the kernel may load the next program over this one as
 * soon as the message is out.  RDI: COMMAND register, RSI: command, RDX: idle.
 */
    .globl exit_trampoline
    .globl exit_trampoline_end
exit_trampoline:
    mov     %rsi, (%rdi)
    jmp     *%rdx
exit_trampoline_end:

    .section .note.GNU-stack, "", @progbits
