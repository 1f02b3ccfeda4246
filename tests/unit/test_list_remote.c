/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vdtu vmm/bridge.c vmm/vreg_list.c */
/*
 * VREG_TOGETHER: SENDs to another node that are under way together.  Each has a result of its own,
 * whatever happens to the others, and those that arrive do so in order.
 */
#include <stdatomic.h>

#include "bridge_fixture.h"

#include "../../vmm/exits.h"
#include "../../vmm/node.h"
#include "../../vmm/sched.h"

#define AT    0x8000u
#define SRC   0x500u
#define MANY  0x14000u /* 32 slots of 128 bytes at PE B */
#define EP(i) (11 + (i) % 5)

static struct bx *x;
static struct bx_pe *a, *b;
static struct node node;
static struct pe pe;
static const struct sched sched = {.name = "test"};
static unsigned parks, most; /* packets that were under way at once */

static void setup(void)
{
    x = bx_new(2);
    a = &x->pe[BX_A];
    b = &x->pe[BX_B];
    memset(&pe, 0, sizeof(pe));
    memset(&node, 0, sizeof(node));
    node.sched = &sched;
    pe.node = &node;
    pe.dtu = a->d;
    atomic_store(&pe.barrier, BX_MEM);
    parks = most = 0;
    bx_ep(b, 3, dtu_recv_r0(12, 7), MANY, 0);
    for (unsigned i = 0; i < 5; i++) {
        bx_ep(b, EP(i), dtu_recv_r0(7, 7), MANY + 0x1000 + 128 * i, 0);
        bx_ep(a, EP(i), dtu_send_r0(3, 128), dtu_send_r1(BX_B, EP(i), DTU_CREDITS_UNLIM), i);
    }
    bx_ep(a, 8, dtu_send_r0(3, 128), dtu_send_r1(BX_B, 3, DTU_CREDITS_UNLIM), BX_LABEL);
}

static void teardown(void)
{
    struct bridge_stats s;

    bridge_get_stats(x->node[0].bridge, &s);
    ck_assert_uint_le(s.taken, s.completed + s.gone + s.abandoned);
    ck_assert_uint_eq(s.bad_id, 0);
    ck_assert_uint_eq(vdtu_reg(a->d, DTU_COMMAND) & 7, 0);
    free(pe.batch);
    bx_free(x);
}

/* Step i: SEND of 8 bytes at SRC + 8 * i. */
static void put(unsigned i, unsigned ep)
{
    struct vreg_step s = {.command = DTU_CMD(DTU_SEND, ep),
                          .data_addr = SRC + 8 * i,
                          .data_size = 8,
                          .offset = 0x77,
                          .reply_ep = 1,
                          .result = 0xEE};
    uint64_t text = 1000 + i;

    memcpy(a->mem + AT + i * sizeof(s), &s, sizeof(s));
    memcpy(a->mem + SRC + 8 * i, &text, 8);
}

static struct vreg_step *step(unsigned i)
{
    return (struct vreg_step *)(void *)(a->mem + AT) + i;
}

/* Runs n steps; how many failed. */
static unsigned run(unsigned n)
{
    uint64_t r = vreg_run_list(&pe, vreg_list(AT, n) | VREG_TOGETHER);

    ck_assert_uint_eq((uint32_t)r, n);
    return (unsigned)(r >> 32);
}

static void note(struct bx *bx)
{
    unsigned n = bx->node[0].area->out_tail - bx->node[0].area->out_head;

    parks++;
    most = n > most ? n : most;
}

static void carry(struct bx *bx)
{
    note(bx);
    bx_carry_all(bx);
}

static uint64_t arrived(unsigned slot)
{
    uint64_t v;

    memcpy(&v, b->mem + MANY + 128 * slot + sizeof(struct dtu_header), 8);
    return v;
}

START_TEST(together)
{
    x->meanwhile = carry;
    for (unsigned i = 0; i < 20; i++)
        put(i, 8);
    ck_assert_uint_eq(run(16), 0);
    ck_assert_uint_eq(parks, 1);
    ck_assert_uint_eq(most, 16);
    ck_assert_uint_eq(x->node[0].wakes, 1);
    ck_assert_uint_eq(x->node[0].unparks[BX_A], 1);
    for (unsigned i = 0; i < 16; i++) {
        ck_assert_uint_eq(arrived(i), 1000 + i);
        ck_assert_uint_eq(step(i)->result, SE_OK);
        ck_assert_uint_eq(step(i)->offset, 0x77);
    }
    ck_assert_uint_eq(step(16)->result, 0xEE);
    ck_assert_uint_eq(run(20), 4); /* 16 more slots there are */
    for (unsigned i = 0; i < 20; i++)
        ck_assert_uint_eq(step(i)->result, i < 16 ? SE_OK : SE_NO_RING_SPACE);
    /* One after the other the same list ends with the first that fails. */
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 20)), 0);
    ck_assert_uint_eq(step(0)->result, SE_NO_RING_SPACE);
    ck_assert_uint_eq(step(1)->result, SE_OK);
}
END_TEST

START_TEST(different_endpoints)
{
    x->meanwhile = carry;
    for (unsigned i = 0; i < 16; i++) {
        bx_ep(b, i, dtu_recv_r0(i == 9 ? 8 : 7, 7), MANY + 256 * i, 0);
        bx_ep(a, i, dtu_send_r0(3, 128), dtu_send_r1(BX_B, i, DTU_CREDITS_UNLIM), i);
        put(i, i);
    }
    ck_assert_uint_eq(run(16), 0);
    ck_assert_uint_eq(most, 16);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(arrived(2 * i), 1000 + i);
    ck_assert_uint_eq(run(16), 15); /* only that one has a second slot */
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(step(i)->result, i == 9 ? SE_OK : SE_NO_RING_SPACE);
}
END_TEST

/* Each kind of refusal, here and there; nobody else is touched by it. */
START_TEST(refused)
{
    static const unsigned want[] = {SE_OK,         SE_OK,        SE_OK,       SE_MISS_CREDITS,
                                    SE_VPE_GONE,   SE_OK,        SE_INV_ARGS, SE_EP_INVALID,
                                    SE_EP_INVALID, SE_RECV_GONE, SE_OK,       SE_NO_PERM};
    struct bridge_stats s;

    x->meanwhile = carry;
    bx_ep(a, 9, dtu_send_r0(4, 128), dtu_send_r1(BX_B, 3, 512), 0);
    bx_ep(a, 10, dtu_send_r0(3, 128), dtu_send_r1(50, 3, 512), 0); /* a PE that is nowhere */
    bx_ep(a, 0, dtu_send_r0(3, 128), dtu_send_r1(BX_B, 9, 512), 0);
    put(0, 8);
    put(1, 4); /* of 512 credits a message costs 256 */
    put(2, 4);
    put(3, 4);
    put(4, 9);
    put(5, 8);
    put(6, 8);
    step(6)->data_size = 4072;
    put(7, 31);
    put(8, 10);
    put(9, 0);
    put(10, 8);
    put(11, 5); /* a WRITE beyond what the endpoint allows: the others are done before it */
    bx_ep(a, 5, dtu_mem_r0(0x8000), 0x4000, dtu_mem_r2(BX_B, 3, DTU_PERM_R));
    step(11)->command = DTU_CMD(DTU_WRITE, 5);
    ck_assert_uint_eq(run(12), 7);
    for (unsigned i = 0; i < 12; i++)
        ck_assert_msg(step(i)->result == want[i], "step %u: %u, not %u", i,
                      (unsigned)step(i)->result, want[i]);
    ck_assert_uint_eq(arrived(0), 1000);
    ck_assert_uint_eq(arrived(1), 1005);
    ck_assert_uint_eq(arrived(2), 1010);
    /* Credits are paid as by a command alone, whatever comes of it. */
    ck_assert_uint_eq(vdtu_reg(a->d, DTU_EP(4, 1)) & 0xFFFF, 0);
    ck_assert_uint_eq(vdtu_reg(a->d, DTU_EP(9, 1)) & 0xFFFF, 512 - 128);
    bridge_get_stats(x->node[0].bridge, &s);
    ck_assert_uint_eq(s.taken, 7);
}
END_TEST

static void backwards(struct bx *bx)
{
    struct bridge_area *f = bx->node[0].area;

    note(bx);
    for (uint32_t i = f->out_tail; i-- != f->out_head;) {
        f->in[f->in_tail++ % BRIDGE_SLOTS] =
            (struct bridge_pkt){.op = BRIDGE_COMPLETE,
                                .id = f->out[i % BRIDGE_SLOTS].id,
                                .result = i % 3 ? SE_OK : SE_VPE_GONE};
        bridge_run(bx->node[0].bridge);
    }
    f->out_head = f->out_tail;
}

START_TEST(out_of_order)
{
    uint64_t packets, failed;

    x->meanwhile = backwards;
    for (unsigned i = 0; i < 64; i++)
        put(i, i % 2 ? 8 : EP(i % 16));
    ck_assert_uint_eq(run(64), 22);
    ck_assert_uint_eq(most, 64);
    ck_assert_uint_eq(x->node[0].unparks[BX_A], 1); /* by the last */
    for (unsigned i = 0; i < 64; i++)
        ck_assert_uint_eq(step(i)->result, i % 3 ? SE_OK : SE_VPE_GONE);
    bridge_pe_stats(x->node[0].bridge, BX_A, &packets, &failed);
    ck_assert_uint_eq(packets, 64);
    ck_assert_uint_eq(failed, 22);
}
END_TEST

static unsigned first;

static void carry_some(struct bx *bx)
{
    note(bx);
    for (unsigned i = 0; i < first; i++)
        bx_carry(bx, 0);
}

static void then_over(struct bx *bx)
{
    carry_some(bx);
    bridge_over(bx->node[0].bridge);
}

/* The bridge dies in the middle. */
START_TEST(bridge_dies)
{
    x->meanwhile = then_over;
    first = 5;
    for (unsigned i = 0; i < 16; i++)
        put(i, 8);
    ck_assert_uint_eq(run(16), 11);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(step(i)->result, i < 5 ? SE_OK : SE_RECV_GONE);
    x->meanwhile = NULL;
    ck_assert_uint_eq(run(16), 16);
    ck_assert_uint_eq(step(15)->result, SE_RECV_GONE);
}
END_TEST

static void then_stopped(struct bx *bx)
{
    carry_some(bx);
    bx->abandoned = true;
}

/* The initiator is reset in the middle: what is completed later is nobody's, not the next list's.
 */
START_TEST(stopped)
{
    struct bridge_stats s;
    unsigned to;

    x->meanwhile = then_stopped;
    first = 3;
    for (unsigned i = 0; i < 16; i++)
        put(i, 8);
    ck_assert_uint_eq(run(16), 13);
    ck_assert_uint_eq(step(2)->result, SE_OK);
    ck_assert_uint_eq(step(3)->result, SE_RECV_GONE);
    ck_assert_uint_ne(bridge_waits(x->node[0].bridge, BX_A, &to), 0);
    bridge_forget(x->node[0].bridge, BX_A);
    ck_assert_uint_eq(bridge_waits(x->node[0].bridge, BX_A, &to), 0);
    x->abandoned = false;
    x->meanwhile = carry; /* those, too: they were in `out` */
    put(0, EP(0));
    ck_assert_uint_eq(run(1), 0);
    bridge_get_stats(x->node[0].bridge, &s);
    ck_assert_uint_eq(s.abandoned, 13);
    ck_assert_uint_eq(s.late, 13);
    ck_assert_uint_eq(s.completed, 4);
}
END_TEST

static void scribble(struct bx *bx)
{
    memset(a->mem + AT, 0xFF, 16 * sizeof(struct vreg_step));
    memset(a->mem + SRC, 0xFF, 128);
    carry(bx);
}

static void barrier_falls(struct bx *bx)
{
    atomic_store(&pe.barrier, AT + 4 * sizeof(struct vreg_step) + 32);
    carry(bx);
}

/* The list is read once; results go where its steps were, if the program may write there. */
START_TEST(hostile)
{
    x->meanwhile = scribble;
    for (unsigned i = 0; i < 16; i++)
        put(i, 8);
    ck_assert_uint_eq(run(16), 0);
    for (unsigned i = 0; i < 16; i++) {
        ck_assert_uint_eq(arrived(i), 1000 + i);
        ck_assert_uint_eq(step(i)->result, SE_OK);
        ck_assert_uint_eq(step(i)->command, ~0ull);
    }
    for (unsigned i = 0; i < 16; i++)
        put(i, 8);
    x->meanwhile = barrier_falls;
    ck_assert_uint_eq(run(8), 0);
    ck_assert_uint_eq(step(3)->result, SE_OK);
    ck_assert_uint_eq(step(4)->result, 0xEE);
    ck_assert_uint_eq(step(4)->offset, 0x77);
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT + 1, 8) | VREG_TOGETHER), 0);
    ck_assert_uint_eq(vreg_run_list(&pe, vreg_list(AT, 65) | VREG_TOGETHER), 0);
    ck_assert_uint_eq(vreg_run_list(&pe, ~0ull), 0);
}
END_TEST

/* More than there is room for, and other commands in between: order stays. */
START_TEST(in_turns)
{
    x->meanwhile = carry;
    bx_ep(b, 3, dtu_recv_r0(17, 12), MANY, 0); /* 32 of 4096, over the end of what we look at */
    bx_ep(a, 8, dtu_send_r0(3, 4096), dtu_send_r1(BX_B, 3, DTU_CREDITS_UNLIM), BX_LABEL);
    for (unsigned i = 0; i < 20; i++) {
        put(i, 8);
        step(i)->data_size = 4000;
    }
    ck_assert_uint_eq(run(20), 0);
    ck_assert_uint_eq(parks, 2);
    ck_assert_uint_eq(most, VDTU_BATCH_DATA / 4000);
    for (unsigned i = 0; i < 3; i++)
        put(i, EP(i));
    step(1)->command = DTU_CMD(DTU_READ, 5);
    ck_assert_uint_eq(run(3), 0);
    ck_assert_uint_eq(parks, 5);
    step(0)->command = step(2)->command = DTU_CMD(DTU_IDLE, 0);
    step(1)->command = DTU_CMD(DTU_FETCH, 1);
    ck_assert_uint_eq(run(3), 0);
    ck_assert_uint_eq(step(1)->offset, 0);
}
END_TEST

/* A neighbour is told of what was sent before only when that is done. */
static unsigned early;

static void watch_neighbour(struct bx *bx)
{
    early += vdtu_reg(a->d, DTU_MSG_CNT) != 0;
    carry(bx);
}

START_TEST(neighbour_waits)
{
    early = 0;
    x->meanwhile = watch_neighbour;
    bx_ep(a, 9, dtu_send_r0(2, 128), dtu_send_r1(BX_A, 1, DTU_CREDITS_UNLIM), 0);
    put(0, 8);
    put(1, 9);
    ck_assert_uint_eq(run(2), 0);
    ck_assert_uint_eq(early, 0);
    ck_assert_uint_eq(vdtu_reg(a->d, DTU_MSG_CNT), 1);
    ck_assert_uint_eq(arrived(0), 1000);
}
END_TEST

#define HOGS (BRIDGE_SLOTS / VDTU_BATCH)

static unsigned hogs, found; /* the entry of `out` with the neighbour's packet, and 1 */

static void hog(unsigned src, unsigned n)
{
    struct vdtu_pkt pkts[VDTU_BATCH];
    unsigned results[VDTU_BATCH];
    uint8_t none;

    for (unsigned i = 0; i < n; i++)
        pkts[i] = (struct vdtu_pkt){
            .type = VDTU_PKT_MSG, .src_pe = (uint16_t)src, .dst_pe = BX_B, .data = &none};
    bridge_packets(x->node[0].bridge, pkts, n, results);
}

/* Each waits; nobody has taken anything from `out` when the last comes, with one packet. */
static void crowd(struct bx *bx)
{
    struct bridge_area *area = bx->node[0].area;

    if (hogs < HOGS) {
        hog(8 + ++hogs, VDTU_BATCH);
    } else if (hogs == HOGS) {
        hogs++;
        hog(BX_K, 1);
    } else {
        for (uint32_t i = area->out_head; i != area->out_tail && !found; i++)
            found = area->out[i].src_pe == BX_K ? i + 1 : 0;
        bx_carry_all(bx);
    }
}

/* Long lists to a node that does not answer do not keep others from theirs. */
START_TEST(lists_leave_room)
{
    hogs = found = 0;
    x->meanwhile = crowd;
    hog(8, VDTU_BATCH);
    ck_assert_uint_ne(found, 0);
    ck_assert_uint_le(found, BRIDGE_SLOTS / 4 * 3 + HOGS + 1);
}
END_TEST

static unsigned events, bad;

static void on_event(void *arg, const struct vdtu_event *ev)
{
    (void)arg;
    if (ev->pe != BX_A || ev->op != DTU_SEND)
        return;
    ck_assert_uint_eq(ev->first, 1000 + events);
    ck_assert_uint_eq(ev->peer, BX_B);
    ck_assert_uint_eq(ev->len, 8);
    events++;
    bad += ev->result != SE_OK;
}

START_TEST(traced)
{
    struct vdtu_stats s;

    events = bad = 0;
    x->meanwhile = backwards;
    vdtu_noc_trace(x->node[0].noc, on_event, NULL);
    for (unsigned i = 0; i < 10; i++)
        put(i, 8);
    ck_assert_uint_eq(run(10), 4);
    ck_assert_uint_eq(events, 10);
    ck_assert_uint_eq(bad, 4);
    vdtu_stats(a->d, &s);
    ck_assert_uint_eq(s.cmds[DTU_SEND], 10);
    ck_assert_uint_eq(s.cmd_errors[SE_VPE_GONE], 4);
    ck_assert_uint_eq(s.msgs_sent, 6);
    ck_assert_uint_eq(s.bytes_sent, 48);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lists to other nodes");
    TCase *c = tcase_create("together");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, together);
    tcase_add_test(c, different_endpoints);
    tcase_add_test(c, refused);
    tcase_add_test(c, out_of_order);
    tcase_add_test(c, bridge_dies);
    tcase_add_test(c, stopped);
    tcase_add_test(c, hostile);
    tcase_add_test(c, in_turns);
    tcase_add_test(c, neighbour_waits);
    tcase_add_test(c, lists_leave_room);
    tcase_add_test(c, traced);
    suite_add_tcase(s, c);
    return bx_run(s);
}
