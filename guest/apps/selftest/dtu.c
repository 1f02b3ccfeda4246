/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of what the DTU promises: memory gates and their limits, and that nobody can cheat. */
#include "heap.h"
#include "print.h"
#include "selftest.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

#define AREA      0x8000u /* bytes of memory that the tests ask for */
#define ODD_START 123u
#define ODD_SIZE  10001u /* more than two packets */

static struct gate area;

static const char *get_area(void)
{
    unsigned err;

    if (area.sel)
        return NULL;
    area.sel = sel_alloc(1);
    err = sysc_reqmem(area.sel, SYSC_MEM_ANY, AREA, DTU_PERM_RW);
    CHECK(!err, "REQMEM: error %u", err);
    return NULL;
}

static uint8_t pattern(unsigned i)
{
    return (uint8_t)(i * 7 + (i >> 8) + 1);
}

const char *test_mem_transfer(void)
{
    const char *wrong = get_area();
    uint8_t *buf = heap_alloc(ODD_SIZE);
    unsigned err;

    if (wrong)
        return wrong;
    CHECK(buf, "no memory");
    for (unsigned i = 0; i < ODD_SIZE; i++)
        buf[i] = pattern(i);
    err = gate_write(&area, buf, ODD_SIZE, ODD_START);
    CHECK(!err, "write: error %u", err);
    memset(buf, 0, ODD_SIZE);
    err = gate_read(&area, buf, ODD_SIZE, ODD_START);
    CHECK(!err, "read: error %u", err);
    for (unsigned i = 0; i < ODD_SIZE; i++)
        CHECK(buf[i] == pattern(i), "byte %u is %#x", i, buf[i]);
    heap_free(buf);
    return NULL;
}

const char *test_mem_bounds(void)
{
    static const struct {
        uint64_t off, len;
        unsigned error;
    } cases[] = {
        {AREA - 8, 8, SE_OK},         {AREA - 7, 8, SE_INV_ARGS},
        {AREA, 1, SE_INV_ARGS},       {AREA - 4096, 4097, SE_INV_ARGS},
        {~0ull, 8, SE_INV_ARGS},      {~0ull - 7, 8, SE_INV_ARGS},
        {1ull << 37, 8, SE_INV_ARGS},
    };
    static uint8_t buf[4104];
    const char *wrong = get_area();
    unsigned err, sel;

    if (wrong)
        return wrong;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err = gate_write(&area, buf, cases[i].len, cases[i].off);
        CHECK(err == cases[i].error, "write %lu at %#lx: error %u", cases[i].len, cases[i].off,
              err);
        err = gate_read(&area, buf, cases[i].len, cases[i].off);
        CHECK(err == cases[i].error, "read %lu at %#lx: error %u", cases[i].len, cases[i].off, err);
    }
    err = gate_read(&area, (void *)(uintptr_t)(guest_recvbuf_start() + 1024), 8, 0);
    CHECK(err == SE_INV_ARGS, "read into the receive buffers: error %u", err);
    sel = sel_alloc(1);
    err = sysc_derivemem(area.sel, sel, AREA - 4096, 8192, DTU_PERM_R);
    CHECK(err == SE_INV_ARGS, "DERIVEMEM beyond the end: error %u", err);
    err = sysc_derivemem(area.sel, sel, ~0ull - 4095, 4096, DTU_PERM_R);
    CHECK(err == SE_INV_ARGS, "DERIVEMEM around the end: error %u", err);
    sel_free(sel, 1);
    return NULL;
}

/* What a gate with permission perm lets through. */
static const char *try_perm(struct gate *g, unsigned perm)
{
    uint64_t word = 0;
    unsigned err = gate_read(g, &word, sizeof(word), 0);

    CHECK(err == (perm & DTU_PERM_R ? SE_OK : SE_NO_PERM), "perm %u: read: error %u", perm, err);
    err = gate_write(g, &word, sizeof(word), 0);
    CHECK(err == (perm & DTU_PERM_W ? SE_OK : SE_NO_PERM), "perm %u: write: error %u", perm, err);
    return NULL;
}

const char *test_mem_perm(void)
{
    const char *wrong = get_area();
    struct gate g[3] = {{.sel = sel_alloc(1)}, {.sel = sel_alloc(1)}, {.sel = sel_alloc(1)}};
    unsigned err;

    if (wrong)
        return wrong;
    err = sysc_derivemem(area.sel, g[0].sel, 0x1000, 0x1000, DTU_PERM_R);
    CHECK(!err, "DERIVEMEM: error %u", err);
    err = sysc_derivemem(area.sel, g[1].sel, 0x1000, 0x1000, DTU_PERM_W);
    CHECK(!err, "DERIVEMEM: error %u", err);
    /* More than the parent has: what it has. */
    err = sysc_derivemem(g[0].sel, g[2].sel, 0, 0x1000, DTU_PERM_RW);
    CHECK(!err, "DERIVEMEM of a derived one: error %u", err);
    wrong = try_perm(&area, DTU_PERM_RW);
    if (!wrong)
        wrong = try_perm(&g[0], DTU_PERM_R);
    if (!wrong)
        wrong = try_perm(&g[1], DTU_PERM_W);
    if (!wrong)
        wrong = try_perm(&g[2], DTU_PERM_R);
    err = sysc_revoke(cap_range(area.sel, 1), true);
    if (!wrong && err)
        wrong = fail("REVOKE: error %u", err);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t word;

        if (!wrong && gate_read(&g[i], &word, sizeof(word), 0) == SE_OK)
            wrong = fail("derived gate %u outlived its origin", i);
        gate_deactivate(&g[i]);
        sel_free(g[i].sel, 1);
    }
    gate_deactivate(&area);
    sel_free(area.sel, 1);
    area.sel = 0;
    return wrong;
}

const char *test_forge(void)
{
    unsigned sel = gate_to_me(0x7a6), err;
    const char *wrong;
    uint64_t seen = 0;

    CHECK(sel != CAP_INVALID, "CREATEGATE refused");
    err = vpe_delegate(&servant, sel, SERVANT_SEL + 1, 1);
    CHECK(!err, "EXCHANGE: error %u", err);
    err = servant_ask2(SV_SEND, SERVANT_SEL + 1, 5, NULL);
    CHECK(!err, "send: error %u", err);
    wrong = hear(0x7a6, 5, &servant);
    if (wrong)
        return wrong;
    err = servant_ask2(SV_FORGE, 6, 0, NULL);
    CHECK(!err, "forged send: error %u", err);
    wrong = hear(0x7a6, 6, &servant);
    if (wrong)
        return wrong;
    /* The label of the answer is compared there. */
    err = servant_ask2(SV_BAD_REPLY, 0, 0, &seen);
    CHECK(!err, "a receiver changed the header it replies to (error %u)", err);
    CHECK(seen == 0xbad1bad1bad1bad1ull, "the receiver did not change its header: nothing tested");
    err = sysc_revoke(cap_range(sel, 1), true);
    CHECK(!err, "REVOKE: error %u", err);
    sel_free(sel, 1);
    return NULL;
}

const char *test_store(void)
{
    uint64_t changed = 0;
    unsigned err = servant_ask2(SV_STORE, 0, 0, &changed);

    CHECK(!err && changed == 0, "the second VPE changed %lu registers (error %u)", changed, err);
    changed = store_everywhere();
    CHECK(changed == 0, "%lu registers changed", changed);
    err = servant_ask2(SV_ECHO, 0, 0, NULL);
    CHECK(!err, "the endpoints do not work any more: error %u", err);
    return NULL;
}
