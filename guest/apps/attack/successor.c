/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attack successor: a VPE that ends for the kernel only.  It leaves its mark in memory and
 * registers and keeps code below the environment; that code sends EXIT, does all that a program on
 * its way back to idle does, and waits for the next VPE on this PE to act in its name.  That one
 * then looks for any trace.  There must be no other free PE (--pes 3 for this program alone).
 */
#include "attack.h"

#include "boot.h"
#include "dtu_drv.h"
#include "env.h"
#include "heap.h"
#include "marshal.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "vpe.h"

#define HIDE_CODE  0x2400ull
#define HIDE_TEXT  0x2800ull
#define HIDE_MSG   0x2900ull
#define IDLE_PAGE  0x1000u
#define SAID       0x700000ull           /* the survivor's note in its successor's memory */
#define MARK_CODED 0x38D19A6BC4027FE5ull /* as it is in our image */

/* What the survivor does between two looks; that is also how a machine has to stop it. */
enum way { SPIN, HALT, WAIT, WAYS };

static const char speech[] = "attack: the predecessor SURVIVED\n";

/* Only computed, so that the image of neither VPE has it. */
static uint64_t mark(void)
{
    uint64_t m = MARK_CODED;

    __asm__("notq %0" : "+r"(m));
    return m;
}

/*
 * RDI: DTU, RSI: our own registers, R8: enum way, R9: console output, R10: mark, R11: its NOOP.
 * 0x2F00 and 0x2FF0 are what kernels used to ask idle with.
 */
extern const uint8_t survivor[], survivor_end[];
__asm__("survivor:\n"
        "   movq $1, 0x40(%rdi)\n" /* EXIT is set up; endpoint 0 */
        "   mov %r10, 0x48(%rdi)\n"
        "   mov %r10, 0x58(%rdi)\n"
        "   mov %r10, 0x68(%rdi)\n"
        "1: cmpl $0x2F00, 0x301C\n" /* entry */
        "   jne 2f\n"
        "   movq $0, 0x301C\n"
        "   movq $0x1D1E, 0x2FF0\n"
        "2: pause\n"
        "   cmp $1, %r8\n"
        "   jb 4f\n"
        "   ja 3f\n"
        "   hlt\n"
        "   jmp 4f\n"
        "3: movq $-1, 0x48(%rsi)\n" /* VREG_WAIT */
        "4: cmpq $0x7FF, 0x28(%rdi)\n"
        "   je 1b\n"
        "   cmpq $0, 0x3000\n" /* coreid: the successor was started */
        "   je 1b\n"
        "   cmpq $0, 0x301C\n"
        "   je 1b\n"
        "   mov %r9, 0x58(%rsi)\n" /* VREG_CONSOLE */
        "   mov %r10, 0x700000\n"  /* SAID */
        "   mov %r11, 0x48(%rdi)\n"
        "   movq $8, 0x50(%rdi)\n"
        "   movq $1, 0x60(%rdi)\n"
        "   movq $1, 0x40(%rdi)\n"
        "5: pause\n"
        "   jmp 5b\n"
        "survivor_end:\n");

#define REGIONS 6u
#define PAUSE   64u /* pages; under a seed who computes for long counts as spinning */

/* Memory that neither VPE's program nor the kernel uses; where it is large, a word of each page. */
static struct region {
    uint64_t from, to, step;
} region[REGIONS];

static void find_regions(void)
{
    uint64_t heap = ((uintptr_t)heap_top() + 0xFFF) & ~0xFFFull;

    region[0] = (struct region){0, IDLE_PAGE, 8};
    region[1] = (struct region){0x2050, PE_ENV_ADDR, 8};
    region[2] = (struct region){PE_ENV_ADDR + 0x2000, PE_GUARD, 8};
    region[3] = (struct region){PE_GUARD + 0x1000, PE_RT_SIZE, 8};
    region[4] = (struct region){heap, guest_recvbuf_start(), 4096};
    region[5] = (struct region){guest_recvbuf_start() + 4096, guest_mem_size(), 512};
}

static void fill(const struct region *r)
{
    unsigned n = 0;

    for (uint64_t a = r->from; a < r->to; a += r->step) {
        mmio_set(a, mark());
        if (r->step == 4096 && ++n % PAUSE == 0)
            dtu_relax(1000);
    }
}

/* As guest_exit() does it. */
static int hostile_main(void *arg)
{
    const uint64_t way = (uintptr_t)arg;
    uintptr_t code = HIDE_CODE;
    struct msg_writer w;

    find_regions();
    for (unsigned i = 0; i < REGIONS; i++)
        fill(&region[i]);
    memcpy((void *)code, survivor, (size_t)(survivor_end - survivor));
    memcpy((void *)(uintptr_t)HIDE_TEXT, speech, sizeof(speech));
    mmio_set(HIDE_MSG + 0x40, SYSC_NOOP);
    msg_writer_init(&w, (void *)(uintptr_t)HIDE_MSG, 16);
    msg_put(&w, SYSC_EXIT);
    msg_put(&w, 0u);
    print_flush();
    env()->entry = 0;
    env()->lambda = 0;
    dtu_set(DTU_DATA_ADDR, HIDE_MSG);
    dtu_set(DTU_DATA_SIZE, w.len);
    dtu_set(DTU_REPLY_EPID, VPE_EP_RECV);
    dtu_set(DTU_REPLY_LABEL, 0);
    {
        register uint64_t r8 __asm__("r8") = way;
        register uint64_t r9 __asm__("r9") = vreg_console(HIDE_TEXT, sizeof(speech) - 1);
        register uint64_t r10 __asm__("r10") = mark();
        register uint64_t r11 __asm__("r11") = HIDE_MSG + 0x40;

        __asm__ volatile("movq %%r10, %%xmm15; jmp *%0"
                         :
                         : "a"(code), "D"(DTU_BASE), "S"(VREG_BASE), "r"(r8), "r"(r9), "r"(r10),
                           "r"(r11)
                         : "memory");
    }
    __builtin_unreachable();
}

static unsigned look(const struct region *r)
{
    unsigned found = 0, n = 0;

    for (uint64_t a = r->from; a < r->to; a += r->step) {
        uint64_t word = mmio_get(a);

        if (word && found++ == 0)
            print("attack: the successor FOUND %#lx at %#lx\n", word, a);
        if (r->step == 4096 && ++n % PAUSE == 0)
            dtu_relax(1000);
    }
    return found;
}

static int successor_main(void *arg)
{
    static const unsigned regs[] = {DTU_DATA_ADDR, DTU_DATA_SIZE, DTU_OFFSET, DTU_REPLY_EPID,
                                    DTU_REPLY_LABEL};
    uint64_t xmm;
    unsigned found = 0;

    (void)arg;
    __asm__ volatile("movq %%xmm15, %0" : "=r"(xmm));
    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
        found += dtu_get(regs[i]) != 0;
    if (found || xmm == mark())
        print("attack: the successor FOUND %u registers of the DTU, %#lx in xmm15\n", found, xmm);
    found += xmm == mark();
    find_regions();
    for (unsigned i = 0; i < REGIONS; i++)
        found += look(&region[i]);
    /* Time for a survivor to act. */
    for (unsigned i = 0; i < 100; i++)
        dtu_relax(100000);
    found += mmio_get(SAID) != 0;
    return found ? 1 : 0;
}

static unsigned run_vpe(const char *name, int (*fn)(void *), void *arg, unsigned *pe, int *status)
{
    struct vpe v;
    unsigned err = vpe_create(&v, name);

    if (err)
        return err;
    *pe = pe_desc_id(v.desc);
    err = vpe_run(&v, fn, arg);
    if (!err)
        err = vpe_wait(&v, status);
    vpe_destroy(&v);
    return err;
}

int attack_successor(uint64_t seed)
{
    unsigned pe[2] = {0, 0}, err;
    int status = 0;

    (void)seed;
    for (uintptr_t way = SPIN; way < WAYS; way++) {
        err = run_vpe("hostile", hostile_main, (void *)way, &pe[0], &status);
        if (!err)
            err = run_vpe("successor", successor_main, NULL, &pe[1], &status);
        if (err || status || pe[0] != pe[1]) {
            print("attack: FAILED, way %lu: error %u, status %d, on PEs %u and %u\n", way, err,
                  status, pe[0], pe[1]);
            return 1;
        }
    }
    print("attack: no trace of a predecessor on PE %u\n", pe[1]);
    return 0;
}
