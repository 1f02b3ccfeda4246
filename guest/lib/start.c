/* SPDX-License-Identifier: BSD-2-Clause */
/* From _start to main(); see start.h. */
#include "start.h"

#include "dtu_drv.h"
#include "env.h"
#include "heap.h"
#include "print.h"
#include "ring_lib.h"

extern char image_end[];

__attribute__((weak)) const unsigned ring_entries = 64;

#define POLL_NS 1000000u /* between two looks at something nobody wakes us for */

uint64_t guest_mem_size(void)
{
    uint64_t desc = env()->pe;

    if (vreg_present() && vreg_get(VREG_MEM_SIZE))
        return vreg_get(VREG_MEM_SIZE);
    return pe_desc_size(desc) ? pe_desc_size(desc) : PE_SPM_DEFAULT;
}

uint64_t guest_recvbuf_start(void)
{
    return guest_mem_size() - PE_RECVBUF_SIZE - env()->secondaryrecvbuf;
}

/*
 * heapsize 0: all memory up to the receive buffers; else so many bytes from the first page behind
 * the image, as the original counts them (semperos-platform 3), but never into the receive buffers.
 */
static void init_heap(void)
{
    uintptr_t begin = (uintptr_t)image_end;
    uintptr_t end = guest_recvbuf_start();
    uint64_t size = env()->heapsize;
    uintptr_t page = (begin + 0xFFF) & ~(uintptr_t)0xFFF;

    if (size && page < end && size < end - page)
        end = page + size;
    heap_init((void *)begin, (void *)end);
}

/* Only in programs that use files: their endpoints are taken before anybody else takes them. */
extern void file_init(void) __attribute__((weak));

void guest_start(void)
{
    int (*fn)(void *) = (int (*)(void *))(uintptr_t)env()->lambda;
    int status;

    /* The kernel sets coreid last (semperos-platform 5.7); a stray wake-up may be earlier. */
    while (env()->coreid == 0)
        dtu_relax(POLL_NS);
    /* As memory has it: the compiler takes the weak one's value for granted, which the kernel's
     * definition replaces. */
    ring_init(*(const volatile unsigned *)&ring_entries);
    if (fn) {
        /* vpe_run() copied the heap along with the image, so it is set up already. */
        status = fn((void *)(uintptr_t)env()->backend);
    } else {
        init_heap();
        if (file_init)
            file_init();
        status = main((int)env()->argc, (char **)(uintptr_t)env()->argv);
    }
    guest_exit(status);
}

void guest_note_exit(int status)
{
    if (vreg_has(VREG_F_EXIT))
        vreg_set(VREG_EXIT, (uint32_t)status | (uint64_t)VREG_EXIT_PROGRAM << 32);
}

void guest_halt(int status)
{
    print_flush();
    if (vreg_has(VREG_F_EXIT))
        vreg_set(VREG_EXIT, (uint32_t)status | (uint64_t)VREG_EXIT_PE << 32);
    for (;;) {
        if (vreg_has(VREG_F_WAIT))
            vreg_set(VREG_WAIT, VREG_WAIT_FOREVER);
        else
            __asm__ volatile("hlt");
    }
}
