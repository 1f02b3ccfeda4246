/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Idle: what a PE runs while it has no program (semperos-platform 5.1, 5.7).  When the kernel has
 * put an entry point into the environment and woken us, remember where the program shall come back
 * to, tell it with a magic number in RAX that its stack pointer is set, and go there.
 *
 * Everything is in registers, so that a program, when it comes back, needs nothing of us but code.
 * The kernel's WAKEUP is latched (dtu-spec 12.4), so none is lost between the test and HLT.
 */
#define ENV          0x3000
#define ENV_SP       20
#define ENV_ENTRY    28
#define ENV_EXITADDR 92

    .text
    .globl _start
_start:
    mov     $idle_stack, %esp
    mov     $ENV, %ebx
    mov     ENV_ENTRY(%rbx), %rcx
    test    %rcx, %rcx
    jnz     1f
    hlt
    jmp     _start
1:
    movq    $_start, ENV_EXITADDR(%rbx)
    mov     ENV_SP(%rbx), %rsp
    mov     $0xDEADBEEF, %eax
    jmp     *%rcx

    .data
    .balign 16
    .space  64, 0
idle_stack:

    .section .note.GNU-stack, "", @progbits
