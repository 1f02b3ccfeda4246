/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vdtu vmm/bridge.c */
/*
 * A packet for another node ends as a local one does (architecture.md law 6): each case runs once
 * with everybody on one node and once across two, and every error code, register, byte of memory,
 * counter and wake-up must be the same.
 */
#include "bridge_fixture.h"

#define MAX_CODES 16

struct run {
    struct bx *x;
    unsigned codes[MAX_CODES], n;
};

static void note(struct run *r, unsigned code)
{
    ck_assert_uint_lt(r->n, MAX_CODES);
    r->codes[r->n++] = code;
}

#define PE(name) (&r->x->pe[BX_##name])

/* ---- SEND ---- */

static void send_some(struct run *r)
{
    for (unsigned len = 0; len < 3; len++)
        note(r, bx_send(PE(A), 4, 0x500, len * 115 + len / 2)); /* the third has no credits */
}

static void send_unlimited_till_full(struct run *r)
{
    bx_reg(PE(A), DTU_EP(4, 1), dtu_send_r1(BX_B, 2, DTU_CREDITS_UNLIM));
    for (unsigned i = 0; i < 6; i++)
        note(r, bx_send(PE(A), 4, 0x500 + i, 20));
}

static void send_refused_is_paid(struct run *r)
{
    bx_reg(PE(A), DTU_EP(4, 1), dtu_send_r1(BX_B, 3, 512));
    note(r, bx_send(PE(A), 4, 0x500, 20));
    note(r, bx_send(PE(A), 4, 0x500, 20));
    note(r, bx_send(PE(A), 4, 0x500, 20));
}

static void send_wrong_vpe(struct run *r)
{
    bx_reg(PE(A), DTU_EP(4, 0), dtu_send_r0(4, 256));
    note(r, bx_send(PE(A), 4, 0x500, 20));
}

/* VPE_GONE wins over a full endpoint (dtu-spec 2.3). */
static void send_wrong_vpe_and_full(struct run *r)
{
    send_unlimited_till_full(r);
    bx_reg(PE(A), DTU_EP(4, 0), dtu_send_r0(4, 256));
    note(r, bx_send(PE(A), 4, 0x500, 20));
}

static void send_no_such_ep(struct run *r)
{
    bx_reg(PE(A), DTU_EP(4, 1), dtu_send_r1(BX_B, 16, DTU_CREDITS_UNLIM));
    note(r, bx_send(PE(A), 4, 0x500, 20));
    bx_reg(PE(A), DTU_EP(4, 1), dtu_send_r1(BX_B, 255, DTU_CREDITS_UNLIM));
    note(r, bx_send(PE(A), 4, 0x500, 20));
}

static void send_too_long(struct run *r)
{
    bx_reg(PE(A), DTU_EP(4, 1), dtu_send_r1(BX_B, 2, DTU_CREDITS_UNLIM));
    note(r, bx_send(PE(A), 4, 0x500, 231));
    note(r, bx_send(PE(A), 4, 0x500, 232)); /* for the endpoint */
    bx_reg(PE(A), DTU_EP(4, 0), dtu_send_r0(3, 4096));
    note(r, bx_send(PE(A), 4, 0x500, 232)); /* for the slot */
    note(r, bx_send(PE(A), 4, 0x500, 4072));
}

static void send_the_longest(struct run *r)
{
    bx_ep(PE(A), 4, dtu_send_r0(3, 4096), dtu_send_r1(BX_B, 2, DTU_CREDITS_UNLIM), 1);
    bx_reg(PE(B), DTU_EP(2, 0), dtu_recv_r0(13, 12));
    note(r, bx_send(PE(A), 4, 0x501, 4071));
    note(r, bx_send(PE(A), 4, BX_MEM - 20, 100)); /* past the own memory: zeros */
}

static void send_nowhere(struct run *r)
{
    bx_reg(PE(A), DTU_EP(4, 1), dtu_send_r1(50, 2, 512));
    note(r, bx_send(PE(A), 4, 0x500, 20));
    bx_reg(PE(A), DTU_EP(4, 1), dtu_send_r1(1023, 2, 512));
    note(r, bx_send(PE(A), 4, 0x500, 20));
    note(r, bx_send(PE(A), 9, 0x500, 20)); /* endpoint 9 is none */
}

static void send_to_slots_outside(struct run *r)
{
    bx_reg(PE(B), DTU_EP(2, 1), BX_MEM - 300);
    note(r, bx_send(PE(A), 4, 0x500, 200));
    note(r, bx_send(PE(A), 4, 0x500, 200));
}

/* ---- REPLY ---- */

static uint64_t request(struct run *r)
{
    uint64_t slot;

    note(r, bx_send(PE(A), 4, 0x500, 20));
    note(r, bx_fetch(PE(B), 2, &slot));
    return slot;
}

static void reply_brings_credits(struct run *r)
{
    uint64_t slot = request(r), at;

    note(r, bx_reply(PE(B), 2, slot, 0x700, 33));
    note(r, bx_fetch(PE(A), 1, &at));
    note(r, bx_reply(PE(B), 2, slot, 0x700, 33)); /* once only */
    note(r, bx_reply(PE(A), 1, at, 0x700, 33));   /* not to a reply */
    bx_reg(PE(A), DTU_OFFSET, at);
    note(r, bx_cmd(PE(A), DTU_ACK, 1));
}

static void reply_finds_no_space(struct run *r)
{
    uint64_t slot = request(r), other = request(r);

    note(r, bx_reply(PE(B), 2, other, 0x700, 8));
    note(r, bx_reply(PE(B), 2, slot, 0x700, 8));
}

static void reply_to_another_vpe(struct run *r)
{
    uint64_t slot = request(r);

    PE(A)->regs[DTU_VPE_ID / 8] = 9;
    note(r, bx_reply(PE(B), 2, slot, 0x700, 8));
}

static void reply_to_no_endpoint(struct run *r)
{
    uint64_t slot = request(r);

    bx_reg(PE(A), DTU_EP(1, 0), 0);
    note(r, bx_reply(PE(B), 2, slot, 0x700, 8));
}

static void reply_too_long(struct run *r)
{
    uint64_t slot = request(r);

    note(r, bx_reply(PE(B), 2, slot, 0x700, 4072));
    note(r, bx_reply(PE(B), 2, slot, 0x700, 300));
}

/* The credits' endpoint is no longer SEND (dtu-spec 3.4). */
static void reply_loses_credits(struct run *r)
{
    uint64_t slot = request(r);

    bx_reg(PE(A), DTU_EP(4, 0), 0);
    note(r, bx_reply(PE(B), 2, slot, 0x700, 8));
}

/* What the program writes over the header changes nothing (law 4). */
static void reply_with_forged_header(struct run *r)
{
    uint64_t slot = request(r);

    memset(PE(B)->mem + slot, 0x15, 25);
    note(r, bx_reply(PE(B), 2, slot, 0x700, 8));
}

/* ---- READ and WRITE ---- */

static void read_some(struct run *r)
{
    static const unsigned len[] = {1, 7, 8, 4095, 4096, 4097, 10000};

    for (unsigned i = 0; i < 7; i++)
        note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000 + i, 3 * i, len[i]));
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0, 0));
}

static void write_some(struct run *r)
{
    static const unsigned len[] = {1, 7, 8, 4095, 4096, 4097, 10000};

    for (unsigned i = 0; i < 7; i++)
        note(r, bx_xfer(PE(A), DTU_WRITE, 5, 0x1000 + i, 3 * i, len[i]));
    note(r, bx_xfer(PE(A), DTU_WRITE, 5, BX_MEM - 20, 0, 100));
}

static void beyond_the_endpoint(struct run *r)
{
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0x7000, 0x1001));
    note(r, bx_xfer(PE(A), DTU_WRITE, 5, 0x1000, 0x8001, 1));
    note(r, bx_xfer(PE(A), DTU_WRITE, 5, 0x1000, ~0ull, 2));
}

static void without_permission(struct run *r)
{
    bx_reg(PE(A), DTU_EP(5, 2), dtu_mem_r2(BX_B, 3, DTU_PERM_W));
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0, 8));
    bx_reg(PE(A), DTU_EP(5, 2), dtu_mem_r2(BX_B, 3, DTU_PERM_R));
    note(r, bx_xfer(PE(A), DTU_WRITE, 5, 0x1000, 0, 8));
}

static void of_another_vpe(struct run *r)
{
    bx_reg(PE(A), DTU_EP(5, 2), dtu_mem_r2(BX_B, 4, DTU_PERM_RW));
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0, 5000));
    note(r, bx_xfer(PE(A), DTU_WRITE, 5, 0x1000, 0, 5000));
}

static void into_the_barrier(struct run *r)
{
    PE(A)->regs[DTU_RWB / 8] = 0x3000;
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x2000, 0, 0x1001));
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x2000, 0, 0x1000));
}

static void past_local_memory(struct run *r)
{
    bx_reg(PE(A), DTU_EP(5, 1), BX_MEM - 100);
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0, 200));
    note(r, bx_xfer(PE(A), DTU_WRITE, 5, 0x1000, 0, 200));
    bx_reg(PE(A), DTU_EP(5, 1), (1ull << 37) - 8);
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0, 8));
    bx_reg(PE(A), DTU_EP(5, 1), 1ull << 37);
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0, 8));
}

/* The packets before the end are done, then comes the error (edge 62). */
static void past_the_memory_pe(struct run *r)
{
    note(r, bx_xfer(PE(A), DTU_READ, 6, 0x4000, 0, 0x2000));
    note(r, bx_xfer(PE(A), DTU_WRITE, 6, 0x4000, 0x100, 0x2000));
    note(r, bx_xfer(PE(A), DTU_READ, 6, 0x4000, 0x100, 0x2000));
}

static void transfer_nowhere(struct run *r)
{
    bx_reg(PE(A), DTU_EP(5, 2), dtu_mem_r2(50, 3, DTU_PERM_RW));
    note(r, bx_xfer(PE(A), DTU_READ, 5, 0x1000, 0, 8));
    note(r, bx_xfer(PE(A), DTU_WRITE, 5, 0x1000, 0, 8));
}

/* ---- registers ---- */

static unsigned store(struct run *r, unsigned off, uint64_t value, unsigned len)
{
    memcpy(PE(A)->mem + 0x3000, &value, 8);
    return bx_xfer(PE(A), DTU_WRITE, 7, 0x3000, off, len);
}

static void registers(struct run *r)
{
    note(r, bx_xfer(PE(A), DTU_READ, 7, 0x2000, 0, DTU_WINDOW));
    note(r, store(r, DTU_EP(9, 1), 0x1234567890, 8));
    note(r, store(r, DTU_EP(9, 0), 0x1234567890, 24));
    note(r, store(r, DTU_EP(10, 0), 0x1234567890, 7)); /* ignored */
    note(r, store(r, DTU_EP(10, 0) + 4, 0x1234567890, 8));
    note(r, store(r, DTU_COMMAND, DTU_CMD(DTU_FETCH, 2), 8)); /* ignored (edge 70) */
    note(r, store(r, DTU_RWB, 0x8000, 8));
    note(r, store(r, DTU_STATUS, 0, 8));
    note(r, store(r, DTU_VPE_ID, 77, 8));
    note(r, store(r, DTU_VPE_ID, 3, 8)); /* the id is another by now */
}

static void external_commands(struct run *r)
{
    for (unsigned op = 0; op < 8; op++)
        note(r, store(r, DTU_EXT_CMD, op | 5 << 3, 8));
    note(r, vdtu_poll(PE(B)->d)); /* the WAKEUP is latched */
    note(r, vdtu_poll(PE(B)->d));
}

static void our_page(struct run *r)
{
    note(r, store(r, 0x1070, 0xABCDEF, 8));
    note(r, store(r, 0x1070, 0xBCDEFA, 16)); /* ignored */
    note(r, bx_xfer(PE(A), DTU_READ, 7, 0x2000, 0x1070, 8));
    note(r, bx_xfer(PE(A), DTU_READ, 7, 0x2008, 0x1000, 0x1000));
}

/* ---- both ways ---- */

static const struct {
    const char *name;
    void (*body)(struct run *r);
} cases[] = {
#define CASE(name)  \
    {               \
#name, name \
    }
    CASE(send_some),
    CASE(send_unlimited_till_full),
    CASE(send_refused_is_paid),
    CASE(send_wrong_vpe),
    CASE(send_wrong_vpe_and_full),
    CASE(send_no_such_ep),
    CASE(send_too_long),
    CASE(send_the_longest),
    CASE(send_nowhere),
    CASE(send_to_slots_outside),
    CASE(reply_brings_credits),
    CASE(reply_finds_no_space),
    CASE(reply_to_another_vpe),
    CASE(reply_to_no_endpoint),
    CASE(reply_too_long),
    CASE(reply_loses_credits),
    CASE(reply_with_forged_header),
    CASE(read_some),
    CASE(write_some),
    CASE(beyond_the_endpoint),
    CASE(without_permission),
    CASE(of_another_vpe),
    CASE(into_the_barrier),
    CASE(past_local_memory),
    CASE(past_the_memory_pe),
    CASE(transfer_nowhere),
    CASE(registers),
    CASE(external_commands),
    CASE(our_page),
};
#define NCASES (sizeof(cases) / sizeof(cases[0]))

static void compare_pe(const char *name, unsigned pe, struct bx_pe *a, struct bx_pe *b)
{
    struct vdtu_stats sa, sb;

    for (unsigned i = 0; i < DTU_WINDOW / 8; i++)
        ck_assert_msg(a->regs[i] == b->regs[i], "%s: PE %u register 0x%x: %llx here, %llx across",
                      name, pe, i * 8, (unsigned long long)a->regs[i],
                      (unsigned long long)b->regs[i]);
    for (unsigned i = 0; memcmp(a->mem + i, b->mem + i, BX_MEM - i); i++)
        if (a->mem[i] != b->mem[i])
            ck_abort_msg("%s: PE %u memory 0x%x", name, pe, i);
    vdtu_stats(a->d, &sa);
    vdtu_stats(b->d, &sb);
    for (unsigned i = 0; i < sizeof(sa) / 8; i++)
        ck_assert_msg(!memcmp((char *)&sa + i * 8, (char *)&sb + i * 8, 8),
                      "%s: PE %u counter %u of struct vdtu_stats", name, pe, i);
    ck_assert_msg(a->wakes == b->wakes && a->irqs == b->irqs && a->stores == b->stores &&
                      a->stored == b->stored,
                  "%s: PE %u callbacks", name, pe);
}

START_TEST(same)
{
    struct run here = {.x = bx_new(1)}, across = {.x = bx_new(2)};
    struct bridge_stats s[2];

    cases[_i].body(&here);
    cases[_i].body(&across);
    ck_assert_uint_eq(here.n, across.n);
    for (unsigned k = 0; k < here.n; k++)
        ck_assert_msg(here.codes[k] == across.codes[k], "%s: code %u is %u here, %u across",
                      cases[_i].name, k, here.codes[k], across.codes[k]);
    for (unsigned pe = 0; pe < BX_PES; pe++)
        compare_pe(cases[_i].name, pe, &here.x->pe[pe], &across.x->pe[pe]);
    for (unsigned i = 0; i < 2; i++)
        bridge_get_stats(across.x->node[i].bridge, &s[i]);
    ck_assert_uint_eq(s[0].taken, s[0].completed);
    ck_assert_uint_eq(s[0].taken, s[1].injected + s[1].refused);
    ck_assert_uint_eq(s[1].taken, s[0].injected + s[0].refused);
    ck_assert_uint_eq(s[0].bad_id + s[0].bad_len + s[0].bad_source + s[0].bad_index, 0);
    bx_free(here.x);
    bx_free(across.x);
}
END_TEST

/* The table is worth nothing if the codes that can come across do not. */
START_TEST(every_code_came_across)
{
    static const unsigned want[] = {SE_OK,       SE_MISS_CREDITS, SE_NO_RING_SPACE, SE_VPE_GONE,
                                    SE_INV_ARGS, SE_NO_PERM,      SE_EP_INVALID,    SE_RECV_GONE};
    uint32_t seen = 0;

    for (unsigned i = 0; i < NCASES; i++) {
        struct run r = {.x = bx_new(2)};

        cases[i].body(&r);
        for (unsigned k = 0; k < r.n; k++)
            seen |= 1u << r.codes[k];
        bx_free(r.x);
    }
    for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        ck_assert_msg(seen >> want[i] & 1, "no case ends with %u", want[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bridge: the same across");
    TCase *c = tcase_create("same");

    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, same, 0, (int)NCASES);
    tcase_add_test(c, every_code_came_across);
    suite_add_tcase(s, c);
    return bx_run(s);
}
