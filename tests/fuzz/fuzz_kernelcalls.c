/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile kernel: kernel 1 of the fake machine sends kernel 0 anything, while VPEs of both and a
 * service go on.  After every step the tables, trees and endpoints of kernel 0 must be consistent;
 * at the end, when the hostile one is gone, nothing may be left of it.
 *
 * The input is a sequence of steps, a byte each for what and, behind it, arguments:
 *   0-3  a kernel call: its number, n, n bytes, each a word (above 0xD0: from a table)
 *   4    a kernel call of n bytes as they stand
 *   5    the service answers what it was asked
 *   6    a system call of a VPE of either kernel, as in fuzz_syscalls.c
 *   7    seconds pass, or the next allocations fail, or a message arrives with a false header
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

#define STEPS   200u
#define WORDS   16u
#define BYTES   200u
#define LITERAL 0xD0u
#define NAME    2ull, 0x7366ull /* "fs" */
#define GATE    20u
#define MEM     21u
#define SRV     25u
#define RB      (FAKE_PE_MEM - PE_RECVBUF_SIZE)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t left;
};

static unsigned ps, pc;

static uint8_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->data++;
}

/* What kernel 1 might know, and numbers at the edges. */
static uint64_t special(unsigned i)
{
    static const uint64_t edges[] = {0x10000,    0xFFFF, 0xFFFFFFFF, 1ull << 32,
                                     1ull << 63, ~0ull,  ~0ull - 7,  KC_MSG_MAX,
                                     1024,       2048,   1023,       256};
    const unsigned pe[] = {ps, pc, fake_kernel_pe(0), fake_kernel_pe(1)};
    const unsigned sel[] = {0, 1, GATE, MEM, SRV, 40, 41, 30};
    const unsigned type[] = {DDL_ANYCAP, DDL_SERVICE, DDL_SESSCAP, DDL_NONE};

    const struct cap *c;
    const struct vpe *v;

    if (i < 12)
        return edges[i];
    i -= 12;
    fake_use(fake_kernel_of(pe[i & 1]));
    v = kern.pes[pe[i & 1]].vpe;
    c = v ? cap_at(&v->caps, sel[i >> 1 & 7]) : NULL;
    if (c && i < 32) /* as it was told, serial number and all */
        return ddl_typed(cap_key(c), i & 16 ? DDL_SERVICE : ddl_type(cap_key(c)));
    return ddl_key(pe[i & 1], pe[i & 1], type[i >> 4 & 1], sel[i >> 1 & 7]) +
           (i > 31 ? (uint64_t)pe[i & 3] << 54 : 0);
}

static uint64_t word(struct input *in)
{
    uint8_t b = take(in);

    return b < LITERAL ? b : special(b - LITERAL);
}

static void call_words(struct input *in)
{
    uint64_t words[WORDS + 1] = {take(in) % KC_COUNT};
    unsigned n = take(in) % (WORDS + 1);

    for (unsigned i = 0; i < n; i++)
        words[i + 1] = word(in);
    fake_kcall(1, 0, words, (n + 1) * sizeof(words[0]));
}

static void call_bytes(struct input *in)
{
    uint8_t bytes[BYTES];
    size_t n = take(in) % (BYTES + 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = take(in);
    fake_kcall(1, 0, bytes, n);
}

static void service_answers(struct input *in)
{
    unsigned n = take(in) % 8;
    uint64_t words[8];

    for (unsigned i = 0; i < n; i++)
        words[i] = word(in);
    if (fake_request(ps)->there)
        fake_answer(ps, n, words);
}

static void system_call(struct input *in)
{
    unsigned pe = take(in) & 1 ? ps : pc, n = take(in) % 9;
    uint64_t words[8];
    struct vpe *v;

    for (unsigned i = 0; i < n && i < 8; i++)
        words[i] = word(in);
    fake_use(fake_kernel_of(pe));
    v = kern.pes[pe].vpe;
    if (v && fake_ep_type(pe, VPE_EP_SYSC) == DTU_EP_SEND &&
        (fake_reg(pe, DTU_EP(VPE_EP_SYSC, 1)) & 0xFFFF) >= SYSC_MSG_MAX)
        fake_call(pe, n < 8 ? n : 8, words);
}

static void other(struct input *in)
{
    uint8_t b = take(in);
    const uint64_t msg[2] = {take(in) % KC_COUNT, take(in)};
    struct dtu_header h = {.sender_pe = b, .sender_vpe = b & 3, .label = b >> 4, .length = 16};

    if (b < 80)
        fake_time(b * 100000000ull);
    else if (b < 160)
        fake_heap_left = b & 7;
    else
        fake_kcall_header(0, KC_EP + (b & 7), h, msg);
}

static void step(struct input *in)
{
    uint8_t what = take(in);

    switch (what & 7) {
    case 4:
        call_bytes(in);
        break;
    case 5:
        service_answers(in);
        break;
    case 6:
        system_call(in);
        break;
    case 7:
        other(in);
        return;
    default:
        call_words(in);
    }
    fake_heap_left = ~(size_t)0;
    fake_deliver();
}

static void boot(void)
{
    fake_boot_many(2, 3);
    fake_use(0);
    ps = fake_vpe()->pe;
    fake_use(1);
    pc = fake_vpe()->pe;
    CALL(ps, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0);
    CALL(ps, SYSC_CREATEGATE, 0, GATE, 7, 2, 256);
    CALL(ps, SYSC_REQMEM, MEM, ~0ull, 4096, 3);
    CALL(ps, SYSC_CREATESRV, GATE, SRV, NAME);
    CALL(pc, SYSC_CREATESESS, 0, 30, NAME);
    ANSWER(ps, SE_OK, 1);
    CALL(pc, SYSC_OBTAIN, 0, 30, RANGE(40, 1));
    ANSWER(ps, SE_OK, RANGE(MEM, 1));
    CALL(pc, SYSC_OBTAIN, 0, 30, RANGE(41, 1));
    ANSWER(ps, SE_OK, RANGE(0, 1)); /* its VPE */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.data = data, .left = size};

    boot();
    for (unsigned i = 0; i < STEPS && in.left > 0; i++) {
        step(&in);
        fake_check();
    }
    fake_heap_left = ~(size_t)0;
    for (unsigned k = 0; k < 2; k++) {
        fake_use(k);
        for (unsigned i = 0; i < KC_PEERS; i++)
            peer_lost(&kern.peers.peer[i], NULL);
    }
    fake_deliver();
    fake_end();
    return 0;
}
