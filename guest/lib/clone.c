/* SPDX-License-Identifier: BSD-2-Clause */
#include "clone.h"

#include "boot.h"
#include "dtu_drv.h"
#include "env.h"
#include "start.h"
#include "str.h"

#define ALL_MEMORY (1ull << DTU_OFFSET_BITS)

extern uint8_t image_text[], image_end[];

unsigned clone_self(unsigned ep, unsigned pe)
{
    static struct boot_env e;
    uint64_t zero = 0, entry = (uintptr_t)image_text;
    unsigned err;

    dtu_config_mem(ep, pe, DTU_VPE_INVALID, 0, ALL_MEMORY, DTU_PERM_RW);
    err = dtu_write(ep, image_text, (size_t)(image_end - image_text), (uintptr_t)image_text);
    memcpy(&e, (const void *)(uintptr_t)env(), sizeof(e));
    e.coreid = pe;
    e.entry = 0;
    e.sp = START_STACK_TOP;
    /* The arguments lie behind the environment. */
    if (!err)
        err = dtu_write(ep, (const void *)(PE_ENV_ADDR + sizeof(e)), 0x1000 - sizeof(e),
                        PE_ENV_ADDR + sizeof(e));
    if (!err)
        err = dtu_write(ep, &e, sizeof(e), PE_ENV_ADDR);
    /* Idle jumps to the entry when it is woken. */
    if (!err)
        err = dtu_write(ep, &entry, sizeof(entry), PE_ENV_ADDR + offsetof(struct boot_env, entry));
    if (!err)
        err = dtu_write(ep, &zero, sizeof(zero), DTU_BASE + DTU_EXT_CMD); /* WAKEUP */
    return err;
}
