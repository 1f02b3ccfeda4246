/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random system calls of several VPEs against the kernel, on the fake machine of the unit tests.
 * After every step all tables, trees and endpoints must be consistent; at the end, when all VPEs
 * have ended, heap and memory must be what they were.
 *
 * The input is a sequence of steps.  A step is a byte that says who does what, and arguments:
 *   0xxx pppp  n, n bytes    system call of PE p as it stands
 *   1ttt pppp  n, n bytes    the same, one byte per word: below 0xE0 itself, above from a table
 * with these exceptions in xxx/ttt = 7: 0: time passes for PEs on their way back, 1: the program on
 * PE p goes back to idle, 2: a message with a false header, 3: the next allocations fail; with the
 * top bit, 0 and 1: a service answers (the next byte: which PE's), 2 and 3: time passes for
 * services and the answer comes to nobody.
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/move.c guest/kernel/move_give.c guest/kernel/move_take.c
 * LINK: guest/kernel/move_hold.c guest/kernel/park.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 */
#include <stdint.h>
#include <string.h>

#include "../unit/kernel_fake.h"

#define PES       6u
#define VPES      3u
#define STEPS     400u
#define WORDS     10u
#define BYTES     120u
#define LITERAL   0xE0u
#define OTHER_SEL 100u /* where each VPE has capabilities for the others */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t special[] = {
    CAP_INVALID,
    CAP_INVALID - 1,
    0x10000,
    0xFFFFFFFF,
    0x80000000,
    1ull << 32,
    1ull << 63,
    ~0ull,
    ~0ull - 7,
    FAKE_PE_MEM - PE_RECVBUF_SIZE,
    FAKE_PE_MEM - PE_RECVBUF_SIZE + 256,
    FAKE_PE_MEM - PE_RECVBUF_SIZE + 4096,
    FAKE_PE_MEM - 4096,
    FAKE_PE_MEM,
    FAKE_MEMORY,
    FAKE_MEMORY / 2,
    MEM_MODULES,
    MEM_MODULES - 64,
    (uint64_t)OTHER_SEL << 32, /* ranges of capabilities */
    10ull << 32,
    11ull << 32,
    12ull << 32,
    200ull << 32,
    0xFFFFull << 32,
    0xFFFFFFFFull << 32,
    10ull << 32 | CRD_MAP,
    1024,
    4096,
    256,
    512,
    PE_TYPE_MEM,
    DTU_RW_BARRIER,
};
_Static_assert(sizeof(special) / sizeof(special[0]) == 0x100 - LITERAL, "one for each byte");

struct input {
    const uint8_t *data;
    size_t left;
};

static uint8_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->data++;
}

/* Is there a VPE on pe with credits for a call? */
static bool can_call(unsigned pe)
{
    return pe < FAKE_PES && kern.pes[pe].vpe && fake_ep_type(pe, VPE_EP_SYSC) == DTU_EP_SEND &&
           (fake_reg(pe, DTU_EP(VPE_EP_SYSC, 1)) & 0xFFFF) >= SYSC_MSG_MAX;
}

static void call_raw(struct input *in, unsigned pe)
{
    uint8_t bytes[BYTES];
    size_t n = take(in) % (BYTES + 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = take(in);
    if (can_call(pe))
        fake_call_bytes(pe, bytes, n);
}

static void call_words(struct input *in, unsigned pe)
{
    uint64_t words[WORDS];
    unsigned n = take(in) % (WORDS + 1);

    for (unsigned i = 0; i < n; i++) {
        uint8_t b = take(in);

        words[i] = b < LITERAL ? b : special[b - LITERAL];
    }
    if (can_call(pe))
        fake_call(pe, n, words);
}

static void false_header(struct input *in, unsigned pe)
{
    struct dtu_header h = {.sender_pe = take(in), .sender_vpe = take(in), .length = 16};
    const uint64_t exit_call[2] = {SYSC_EXIT, 1};
    struct vpe *v = pe < FAKE_PES ? kern.pes[pe].vpe : NULL;
    unsigned ep = v ? v->sysc_ep : 0;

    h.label = v ? v->label + take(in) : take(in);
    if (v && h.label == v->label && h.sender_pe == v->pe && h.sender_vpe == v->pe)
        ep++; /* then it would be true */
    fake_message(ep % KERN_SYSC_EPS, h, exit_call);
}

/* An answer of arbitrary words to what the kernel has asked, if it has asked. */
static void service_answers(struct input *in)
{
    unsigned pe = take(in) % FAKE_PES, n = take(in) % (WORDS + 1);
    uint64_t words[WORDS];

    for (unsigned i = 0; i < n; i++) {
        uint8_t b = take(in);

        words[i] = b < LITERAL ? b : special[b - LITERAL];
    }
    if (fake_request(pe)->there)
        fake_answer(pe, n, words);
}

static void step(struct input *in)
{
    uint8_t what = take(in);
    unsigned pe = what & 0xF;

    if ((what >> 4 & 7) != 7) {
        if (what & 0x80)
            call_words(in, pe);
        else
            call_raw(in, pe);
    } else if ((what & 0x80) && pe < 8) {
        service_answers(in);
    } else if (what & 0x80) {
        srv_tick(pe < 12 ? 1000000000ull : 0);
        fake_srv_message((struct dtu_header){.sender_pe = take(in), .length = 8, .label = take(in)},
                         &(uint64_t){0});
    } else if (pe < 4) {
        pe_poll();
    } else if (pe < 8) {
        pe = take(in) % FAKE_PES;
        if (pe >= 2)
            fake_reset_ends(pe);
    } else if (pe < 12) {
        false_header(in, take(in));
    } else {
        fake_heap_left = take(in) % 16;
        call_words(in, take(in));
        fake_heap_left = ~(size_t)0;
    }
    vpe_reap();
}

static void boot(void)
{
    struct vpe *v[VPES];

    fake_boot(PES);
    for (unsigned i = 0; i < VPES; i++)
        v[i] = fake_vpe();
    for (unsigned i = 0; i < VPES; i++)
        for (unsigned k = 0; k < VPES; k++)
            cap_derive(cap_get(&v[k]->caps, CAP_SELF_VPE), v[i], OTHER_SEL + k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.data = data, .left = size};

    boot();
    for (unsigned i = 0; i < STEPS && in.left > 0; i++) {
        step(&in);
        fake_check();
    }
    fake_end();
    return 0;
}
