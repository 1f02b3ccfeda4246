/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's beginning, loop and end.
 *
 * KEnv says what the machine has (semperos-platform 1).  The order of the first steps is the
 * original's (dtu-spec 8.6).
 */
#include "dtu_drv.h"
#include "env.h"
#include "heap.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "ring_lib.h"
#include "start.h"
#include "str.h"

#define STACK_SIZE  32768u
#define STACK_WORDS 8u /* at the far end, with a pattern in them */
#define CANARY      0x6B65726E656C2121ull

struct kernel kern;

const unsigned ring_entries = RING_ENTRIES_MAX; /* everybody's system calls */

static struct boot_kenv kenv;
static uint8_t recvbuf[KERN_SYSC_EPS][DTU_MAX_SLOTS << KERN_SYSC_ORDER];
static uint8_t srvbuf[DTU_MAX_SLOTS << KERN_SRV_ORDER];
static uint64_t stack[STACK_SIZE / sizeof(uint64_t)] __attribute__((aligned(64)));

/* The original's stack has 4 KiB and runs into other data; ours is larger and is looked after. */
static void check_stack(void)
{
    for (unsigned i = 0; i < STACK_WORDS; i++)
        if (stack[i] != CANARY)
            panic("kernel %u: the stack overflowed", kern.id);
}

static _Noreturn void end_machine(int status)
{
    print_flush();
    if (vreg_has(VREG_F_EXIT)) {
        vreg_set(VREG_EXIT, (uint32_t)status | (uint64_t)VREG_EXIT_MACHINE << 32);
    } else {
        /* gem5's exit instruction, RDI = delay */
        __asm__ volatile(".byte 0x0F, 0x04; .word %c0" : : "i"(GEM5_EXIT), "D"(0ul) : "memory");
    }
    for (;;)
        __asm__ volatile("hlt");
}

/* Also where panic() ends: in the library's terms the kernel is a program like others. */
_Noreturn void guest_exit(int status)
{
    end_machine(status);
}

static int read_noc(uint64_t noc, void *buf, size_t n)
{
    unsigned pe = (unsigned)(noc >> 49) & 0x3FF;

    return hw_read(pe, 0, noc & ((1ull << DTU_OFFSET_BITS) - 1), buf, n);
}

/* Our own VPE id is set as that of any PE is: by a write through the NoC (dtu-spec 8.3). */
static void set_own_id(unsigned from, unsigned to)
{
    if (hw_set_reg(kern.own_pe, from, DTU_VPE_ID, to) != SE_OK)
        panic("kernel: its own VPE id cannot be set");
}

static void read_kenv(void)
{
    kern.own_pe = (uint16_t)env()->coreid;
    set_own_id(DTU_VPE_INVALID, 0);
    if (read_noc(env()->kenv, &kenv, sizeof(kenv)) != SE_OK)
        panic("kernel: KEnv cannot be read at %#lx", env()->kenv);
    set_own_id(0, DTU_VPE_INVALID);
    set_own_id(DTU_VPE_INVALID, kenv.kernel_id);
    kern.id = kenv.kernel_id;
    if (kenv.kernel_id != kenv.creator_kernel_id)
        panic("kernel %u: was created by kernel %u, but works alone only", kern.id,
              kenv.creator_kernel_id);
}

/* Only the first memory module counts; its front has the file systems and the boot modules. */
static void init_memory(void)
{
    const struct boot_mem_mod *m = &kenv.mem_mods[0];
    uint64_t end = m->offset + m->size;

    kern.mem_pe = (uint16_t)m->pe;
    if (memmap_init(&kern.mem, MEM_FREE, end > MEM_FREE ? end - MEM_FREE : 0) != 0)
        panic("kernel %u: no heap", kern.id);
}

static void init_modules(void)
{
    for (unsigned i = 0; i < BOOT_MODULES && kenv.mods[i]; i++) {
        struct boot_module *m = &kern.mods[kern.nmods];

        if (read_noc(kenv.mods[i], m, sizeof(*m)) != SE_OK)
            panic("kernel %u: boot module %u cannot be read", kern.id, i);
        m->name[sizeof(m->name) - 1] = 0;
        kern.nmods++;
    }
}

/* STATUS = 0: from now on they cannot configure their own endpoints (dtu-spec 6.2). */
static void init_pes(void)
{
    for (uint64_t i = 0; i < kenv.pe_count && i < BOOT_PES; i++) {
        unsigned id = pe_desc_id(kenv.pes[i]);
        struct pe *pe = &kern.pes[id];

        if (pe_desc_type(kenv.pes[i]) == PE_TYPE_MEM || id == kern.own_pe || pe->state != PE_NONE)
            continue;
        pe->desc = kenv.pes[i];
        pe->state = PE_FREE;
        if (hw_set_reg(id, DTU_VPE_INVALID, DTU_STATUS, 0) != SE_OK)
            pe->state = PE_LOST;
        kern.pe_order[kern.pe_count++] = (uint16_t)id;
    }
}

static void init_endpoints(void)
{
    const unsigned slots_order = 5;

    _Static_assert(DTU_MAX_SLOTS == 1u << 5, "slots_order");
    for (unsigned ep = 0; ep < KERN_SYSC_EPS; ep++)
        dtu_config_recv(ep, recvbuf[ep], KERN_SYSC_ORDER + slots_order, KERN_SYSC_ORDER);
    dtu_config_recv(KERN_EP_SRV, srvbuf, KERN_SRV_ORDER + slots_order, KERN_SRV_ORDER);
}

/* Handles what has come; how many messages. */
static unsigned fetch_all(void)
{
    const struct dtu_header *msg;
    unsigned total = 0;

    for (unsigned ep = 0; ep < KERN_SYSC_EPS; ep++) {
        /* At most what fits into the buffer, so that nobody keeps us from the others. */
        for (unsigned n = 0; n < DTU_MAX_SLOTS && (msg = dtu_fetch(ep)); n++, total++)
            sys_handle(ep, msg);
    }
    for (unsigned n = 0; n < DTU_MAX_SLOTS && (msg = dtu_fetch(KERN_EP_SRV)); n++, total++)
        srv_handle(msg);
    return total;
}

static void serve(void)
{
    uint64_t ns, srv_ns, idle = 0;

    while (!start_finished()) {
        ns = pe_poll();
        srv_ns = srv_tick(idle);
        if (srv_ns && (!ns || srv_ns < ns))
            ns = srv_ns;
        vpe_reap();
        if (ns && !vreg_has(VREG_F_WAIT))
            __builtin_ia32_pause(); /* no timer: keep looking */
        else
            dtu_wait(ns ? ns : VREG_WAIT_FOREVER);
        idle = fetch_all() ? 0 : ns;
        start_pending();
        check_stack();
    }
}

/* Only when something was not as it should be: else what programs said stands last. */
static void summary(size_t heap)
{
    print("kernel %u: %u VPEs started, %u failed; %lu system calls, %lu messages of nobody; "
          "heap use %zu bytes, %zu after boot\n",
          kern.id, kern.stats.started, kern.stats.failed, (unsigned long)kern.stats.syscalls,
          (unsigned long)kern.stats.strays, heap_used(), heap);
}

static __attribute__((noinline, noreturn, used)) void kernel_main(int argc, char **argv)
{
    size_t heap;

    read_kenv();
    init_memory();
    init_modules();
    init_endpoints();
    init_pes();
    heap = heap_used();
    print("kernel %u on PE %u: %u PEs, %lu MiB memory, %u modules\n", kern.id, kern.own_pe,
          kern.pe_count + 1, (unsigned long)(memmap_available(&kern.mem) >> 20), kern.nmods);
    start_all(argc, argv);
    serve();
    if (kern.stats.failed > 0 || kern.stats.strays > 0 || heap_used() != heap)
        summary(heap);
    end_machine(kern.stats.failed > 0 || heap_used() != heap);
}

int main(int argc, char **argv)
{
    uintptr_t top = (uintptr_t)stack + sizeof(stack);

    for (unsigned i = 0; i < STACK_WORDS; i++)
        stack[i] = CANARY;
    __asm__ volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call kernel_main"
                     :
                     : "r"(top), "D"(argc), "S"(argv)
                     : "memory");
    __builtin_unreachable();
}
