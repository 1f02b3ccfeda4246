/* SPDX-License-Identifier: BSD-2-Clause */
/* linktest: content, memory and registers of PEs elsewhere, error codes, copies of the program. */
#include "clone.h"
#include "linktest.h"
#include "print.h"
#include "str.h"

#define ALL_MEMORY (1ull << DTU_OFFSET_BITS)
#define POLL_NS    50000000u
#define POLLS      100000u

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

void content_fill(uint8_t *p, size_t len, uint64_t session, uint64_t seq)
{
    uint64_t state = mix(session + seq * 0x9E3779B97F4A7C15ull);

    for (size_t i = 0; i < len; i += 8, state = mix(state + i)) {
        size_t n = len - i < 8 ? len - i : 8;

        memcpy(p + i, &state, n);
    }
}

uint32_t content_sum(const uint8_t *p, size_t len)
{
    uint32_t s = 1;

    for (size_t i = 0; i < len; i++)
        s = s * 31 + p[i];
    return s;
}

static void mem_to(unsigned pe, unsigned vpe, uint64_t addr, uint64_t size)
{
    dtu_config_mem(EP_MEM, pe, vpe, addr, size, DTU_PERM_RW);
}

bool test_memory(const struct pair *p, uint64_t number, unsigned *err)
{
    static uint8_t out[SINK_SIZE], in[SINK_SIZE];
    uint64_t r = mix(number * 977 + p->session);
    size_t len = r % 8 == 0 ? 1 + r / 8 % (SINK_SIZE - 1) : 1 + r / 8 % 600;
    uint64_t at = mix(r) % (SINK_SIZE - len + 1);

    mem_to(p->pe, VPE, (uintptr_t)sink[p->index], SINK_SIZE);
    content_fill(out, len, r, number);
    memset(in, 0xEE, len);
    *err = dtu_write(EP_MEM, out, len, at);
    if (*err == SE_OK)
        *err = dtu_read(EP_MEM, in, len, at);
    if (*err == SE_OK && memcmp(in, out, len) != 0)
        wrong("%zu bytes at %llu of PE %u's memory are not what was written", len,
              (unsigned long long)at, p->pe);
    return *err == SE_OK;
}

/* ---- errors ---- */

static void want(unsigned got, unsigned expected, const char *what)
{
    if (got == expected)
        good(what);
    else
        wrong("%s: error %u, not %u", what, got, expected);
}

static unsigned send_as(unsigned pe, unsigned vpe, unsigned ep, unsigned max, unsigned credits,
                        size_t len)
{
    static uint8_t buf[MSG_MAX];

    dtu_config_send(EP_SCRATCH, pe, vpe, ep, max, credits, 7);
    return dtu_send(EP_SCRATCH, buf, len, EP_REPLIES, 0);
}

static void test_sends(unsigned pe)
{
    static uint8_t buf[8];

    want(send_as(pe, VPE, EP_SMALL, SMALL_SIZE, SMALL_SIZE, 8), SE_OK, "a message across");
    want(dtu_send(EP_SCRATCH, buf, 8, EP_REPLIES, 0), SE_MISS_CREDITS, "no credits across");
    want(send_as(pe, VPE, EP_SMALL, 1024, DTU_CREDITS_UNLIM, 300), SE_INV_ARGS,
         "a message that is larger than the slot across");
    want(send_as(pe, VPE, EP_SMALL, SMALL_SIZE, DTU_CREDITS_UNLIM, 8), SE_OK, "the second slot");
    want(dtu_send(EP_SCRATCH, buf, 8, EP_REPLIES, 0), SE_NO_RING_SPACE, "no space across");
    want(send_as(pe, 5, EP_REQUESTS, 256, DTU_CREDITS_UNLIM, 8), SE_VPE_GONE, "VPE gone across");
    want(send_as(pe, VPE, EP_INVALID, 256, DTU_CREDITS_UNLIM, 8), SE_RECV_GONE,
         "an endpoint that does not receive across");
    want(send_as(pe, VPE, 200, 256, DTU_CREDITS_UNLIM, 8), SE_RECV_GONE,
         "an endpoint that is none across");
    want(send_as(900, VPE, EP_REQUESTS, 256, DTU_CREDITS_UNLIM, 8), SE_EP_INVALID,
         "a PE that no node has");
}

static void test_registers(unsigned pe)
{
    uint64_t words[3] = {dtu_send_r0(3, 512), dtu_send_r1(1, 2, 512), 0x1122334455667788ull};
    uint64_t zeros[3] = {0}, back[3] = {0}, value = 0;

    mem_to(pe, VPE, 0, ALL_MEMORY);
    want(dtu_read(EP_MEM, &value, 8, DTU_BASE + DTU_EP(EP_SMALL, 0)), SE_OK,
         "reading a register across");
    if (dtu_ep_type(value) != DTU_EP_RECV)
        wrong("the register reads as %llx", (unsigned long long)value);
    want(dtu_write(EP_MEM, words, sizeof(words), DTU_BASE + DTU_EP(EP_INVALID, 0)), SE_OK,
         "setting an endpoint across");
    dtu_read(EP_MEM, back, sizeof(back), DTU_BASE + DTU_EP(EP_INVALID, 0));
    if (memcmp(back, words, sizeof(back)) == 0)
        good("the endpoint reads as written");
    else
        wrong("the endpoint reads as %llx %llx %llx", (unsigned long long)back[0],
              (unsigned long long)back[1], (unsigned long long)back[2]);
    dtu_write(EP_MEM, zeros, sizeof(zeros), DTU_BASE + DTU_EP(EP_INVALID, 0));
}

static void test_transfers(const struct pair *p)
{
    static uint8_t buf[64];
    uint64_t region = (uintptr_t)sink[p->index];

    mem_to(p->pe, 5, region, SINK_SIZE);
    want(dtu_read(EP_MEM, buf, 8, 0), SE_VPE_GONE, "reading from a VPE that is gone across");
    want(dtu_write(EP_MEM, buf, 8, 0), SE_VPE_GONE, "writing to a VPE that is gone across");
    mem_to(p->pe, VPE, region, 64);
    want(dtu_write(EP_MEM, buf, 9, 56), SE_INV_ARGS, "writing beyond the end across");
    mem_to(900, VPE, region, 64);
    want(dtu_read(EP_MEM, buf, 8, 0), SE_EP_INVALID, "memory of a PE that no node has");
    dtu_config_mem(EP_MEM, p->pe, VPE, region, 64, DTU_PERM_R);
    want(dtu_write(EP_MEM, buf, 8, 0), SE_NO_PERM, "writing where reading is allowed across");
}

void test_errors(const struct pair *p)
{
    test_sends(p->pe);
    test_registers(p->pe);
    test_transfers(p);
}

/* ---- copies ---- */

void clone_to(unsigned pe)
{
    unsigned err = clone_self(EP_MEM, pe);

    if (err)
        panic("a copy of linktest cannot be written: error %u\n", err);
}

unsigned clone_wait(unsigned pe)
{
    uint64_t status = 0;

    for (unsigned i = 0; i < POLLS; i++) {
        mem_to(pe, VPE, 0, ALL_MEMORY);
        if (dtu_read(EP_MEM, &status, sizeof(status), (uintptr_t)&ended) != SE_OK)
            break;
        if (status)
            return (unsigned)status - 1;
        dtu_relax(POLL_NS);
    }
    wrong("the copy on PE %u does not end", pe);
    return 0;
}
