/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start of a bare 64-bit program under QEMU's -kernel: the PVH note names the entry, which is
 * reached in 32-bit protected mode without paging.  The first 4 GiB are mapped as they are, in
 * pages of 2 MiB, uncached where devices have their registers.
 */
    .section .note.pvh, "a", @note
    .long   4, 4, 18            /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz  "Xen"
    .long   bare_entry

    .section .text.start, "ax"
    .code32
    .globl bare_entry
bare_entry:
    cli
    mov     $pml4, %edi
    lea     3 + pdpt, %eax
    mov     %eax, (%edi)
    mov     $pdpt, %edi
    lea     3 + pds, %eax
    mov     $4, %ecx
1:  mov     %eax, (%edi)
    add     $0x1000, %eax
    add     $8, %edi
    loop    1b
    mov     $pds, %edi
    mov     $0x83, %eax         /* present, writable, large */
    mov     $2048, %ecx
2:  cmp     $1536, %ecx         /* the first GiB is RAM */
    jne     3f
    or      $0x18, %eax         /* not cached from here on */
3:  mov     %eax, (%edi)
    add     $0x200000, %eax
    add     $8, %edi
    loop    2b

    mov     %cr4, %eax
    or      $0x620, %eax        /* PAE, SSE */
    mov     %eax, %cr4
    mov     $pml4, %eax
    mov     %eax, %cr3
    mov     $0xC0000080, %ecx   /* EFER.LME */
    rdmsr
    or      $0x100, %eax
    wrmsr
    mov     %cr0, %eax
    and     $~0xC, %eax         /* EM, TS */
    or      $0x80000003, %eax   /* paging, MP */
    mov     %eax, %cr0
    lgdt    gdtr
    ljmp    $8, $4f

    .code64
4:  mov     $16, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    mov     $stack_top, %esp
    xor     %ebp, %ebp
    call    bare_main
5:  hlt
    jmp     5b

    .data
    .balign 8
gdt:
    .quad   0, 0x00AF9A000000FFFF, 0x00CF92000000FFFF
gdtr:
    .word   23
    .long   gdt

    .bss
    .balign 4096
pml4:   .space 4096
pdpt:   .space 4096
pds:    .space 4 * 4096
    .space  65536
stack_top:

    .section .note.GNU-stack, "", @progbits
