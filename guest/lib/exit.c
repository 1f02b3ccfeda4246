/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of an application (semperos-platform 5.8): env.entry = 0 first, so that idle cannot start
 * us again and so that we never write it after the kernel has put the next program's there; then
 * the EXIT system call, which has no reply; then back to idle.
 */
#include <stdint.h>

#include "dtu_drv.h"
#include "env.h"
#include "marshal.h"
#include "print.h"
#include "ring_lib.h"
#include "start.h"
#include "str.h"

extern const uint8_t exit_trampoline[], exit_trampoline_end[];

/* RT space that neither arguments (4 KiB at most, semperos-platform 5.6) nor a deep stack reach. */
#define TRAMPOLINE_ADDR (PE_ENV_ADDR + 0x1100)

/* Only in programs that use files (file.h); after panic() nothing is certain. */
extern void file_exit(void) __attribute__((weak));

void guest_exit(int status)
{
    static uint8_t msg[16];
    struct msg_writer w;
    uint64_t idle = env()->exitaddr;
    uintptr_t code = TRAMPOLINE_ADDR;

    if (file_exit && status != PANIC_STATUS)
        file_exit();
    print_flush();
    /* What a child's status means is for its parent to say (child.h), which waits for it. */
    if (env()->caps == 0)
        guest_note_exit(status);
    if (dtu_type(VPE_EP_SYSC) != DTU_EP_SEND || idle == 0) /* nobody started us as a VPE */
        guest_halt(status);
    env()->entry = 0;
    env()->lambda = 0;
    __asm__("" : "+r"(code));
    memcpy((void *)code, exit_trampoline, (size_t)(exit_trampoline_end - exit_trampoline));
    msg_writer_init(&w, msg, sizeof(msg));
    msg_put(&w, SYSC_EXIT);
    msg_put(&w, (uint32_t)status);
    /* Where there are rings the kernel resets the CPU before it loads anything. */
    if (ring_send(&ring_self, VPE_EP_SYSC, msg, w.len, VPE_EP_RECV, 0) == SE_OK) {
        __asm__ volatile("jmp *%0" : : "r"(idle) : "memory");
        __builtin_unreachable();
    }
    dtu_set(DTU_DATA_ADDR, (uintptr_t)msg);
    dtu_set(DTU_DATA_SIZE, w.len);
    dtu_set(DTU_REPLY_EPID, VPE_EP_RECV);
    dtu_set(DTU_REPLY_LABEL, 0);
    __asm__ volatile("jmp *%3"
                     :
                     : "D"(DTU_BASE + DTU_COMMAND), "S"(DTU_CMD(DTU_SEND, VPE_EP_SYSC)), "d"(idle),
                       "r"(code)
                     : "memory");
    __builtin_unreachable();
}
