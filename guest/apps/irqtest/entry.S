/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of the 16 inputs, exceptions, and the way to CPL 3 and back.  cpu.c fills the tables.
 */
    .text
    .globl irq_entries
    .balign 16
irq_entries:                    /* 16 bytes each */
    .set    n, 0
    .rept   16
    .balign 16
    push    $n
    jmp     irq_common
    .set    n, n + 1
    .endr

irq_common:
    push    %rax
    push    %rcx
    push    %rdx
    push    %rsi
    push    %rdi
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    mov     72(%rsp), %rdi
    cld
    call    on_interrupt
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rdi
    pop     %rsi
    pop     %rdx
    pop     %rcx
    pop     %rax
    add     $8, %rsp
    iretq

/* user_enter(fn, arg, its stack): the CPU finds our stack in the TSS when it comes back. */
    .globl user_enter
user_enter:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, user_return
    mov     %rsp, tss + 4       /* RSP0 */
    pushq   $0x23
    push    %rdx
    pushq   $0x202
    pushq   $0x1B
    push    %rdi
    mov     %rsi, %rdi
    iretq

/* #UD at CPL 3 is how a program there says that it is done; anything else is a mistake. */
    .globl ud_entry
ud_entry:
    testb   $3, 8(%rsp)
    jz      fault_entry
    mov     user_return, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret

    .globl fault_entry
fault_entry:
    mov     %rsp, %rdi
    call    on_fault

    .bss
    .balign 16
user_return:
    .space  8

    .section .note.GNU-stack, "", @progbits
