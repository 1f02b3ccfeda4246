/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vdtu vmm/bridge.c */
/*
 * The area in the hands of a bridge that is wrong, hostile, slow, reset or over: every wrong entry
 * is refused and counted, nobody else notices, and no command waits for ever.
 */
#include "bridge_fixture.h"

static struct bx *x;
static struct bx_node *n0;
static struct bridge_area *area; /* of node 0 */
static struct bridge_stats want, got;

static void setup(void)
{
    x = bx_new(2);
    n0 = &x->node[0];
    area = n0->area;
    memset(&want, 0, sizeof(want));
}

/* Every counter is what the test says. */
static void check_stats(void)
{
    bridge_get_stats(n0->bridge, &got);
    for (unsigned i = 0; i < sizeof(got) / 8; i++)
        ck_assert_msg(!memcmp((char *)&got + i * 8, (char *)&want + i * 8, 8),
                      "counter %u of struct bridge_stats: %llu, not %llu", i,
                      (unsigned long long)((uint64_t *)&got)[i],
                      (unsigned long long)((uint64_t *)&want)[i]);
}

static void teardown(void)
{
    check_stats();
    bx_free(x);
}

/* Appends an entry to `in` and returns what became of it. */
static unsigned inject(const struct bridge_pkt *p, const void *data, size_t len)
{
    uint32_t k = area->in_tail++ % BRIDGE_SLOTS;

    area->in[k] = *p;
    if (p->op != BRIDGE_COMPLETE) /* there it says what the initiator gets */
        area->in[k].result = 0xEEEE;
    memcpy(area->in_data[k], data, len);
    bridge_run(n0->bridge);
    ck_assert_uint_eq(area->in_head, area->in_tail);
    return area->in[k].result;
}

static struct bridge_pkt message(unsigned len)
{
    return (struct bridge_pkt){.op = BRIDGE_MSG,
                               .src_pe = BX_B,
                               .dst_pe = BX_A,
                               .dst_vpe = 2,
                               .len = (uint16_t)len,
                               .offset = 1,
                               .hdr = {.flags = DTU_HD_REPLY_ENABLED,
                                       .sender_pe = BX_B,
                                       .sender_ep = 16,
                                       .length = (uint16_t)len,
                                       .sender_vpe = 3}};
}

START_TEST(message_arrives)
{
    struct bridge_pkt p = message(5);

    ck_assert_uint_eq(inject(&p, "hello", 5), SE_OK);
    ck_assert_mem_eq(x->pe[BX_A].mem + BX_REPLIES + 25, "hello", 5);
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_NO_RING_SPACE);
    want.injected = want.refused = 1;
}
END_TEST

/* Nobody here can be forged, nor anybody who lives nowhere; and the header is the sender's. */
START_TEST(forged_senders)
{
    static const uint16_t forged[] = {BX_K, BX_A, 20, 50, 1023, 0xFFFF};
    struct bridge_pkt p = message(5);

    for (unsigned i = 0; i < 6; i++) {
        p.src_pe = p.hdr.sender_pe = forged[i];
        ck_assert_uint_eq(inject(&p, "hello", 5), SE_NO_PERM);
    }
    want.bad_source = 6;
    p = message(5);
    p.hdr.sender_pe = BX_A;
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    p = message(5);
    p.hdr.length = 6;
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    p = message(5);
    p.dst_pe = BX_B; /* back where it came from */
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_EP_INVALID);
    want.refused = 3;
    ck_assert_uint_eq(vdtu_reg(x->pe[BX_A].d, DTU_MSG_CNT), 0);
}
END_TEST

START_TEST(wrong_entries)
{
    struct bridge_pkt p = message(5);

    p.op = 4;
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    p.op = 255;
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    want.bad_op = 2;
    p = message(4097);
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    p = message(0xFFFF);
    p.op = BRIDGE_READ;
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    want.bad_len = 2;
    p = message(4072); /* with its header longer than a packet */
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    p = message(8);
    p.op = BRIDGE_WRITE;
    p.offset = 1ull << 37;
    ck_assert_uint_eq(inject(&p, "hello", 5), SE_INV_ARGS);
    want.refused = 2;
}
END_TEST

START_TEST(wild_indices)
{
    uint32_t tail = area->in_tail;
    struct bridge_pkt p = message(5);

    area->in_tail = tail + BRIDGE_SLOTS + 1;
    bridge_run(n0->bridge);
    area->in_tail = tail - 1;
    bridge_run(n0->bridge);
    ck_assert_uint_eq(area->in_head, tail);
    area->out_head = 1; /* of nothing */
    ck_assert(!bridge_poll(n0->bridge));
    want.bad_index = 3;
    area->in_tail = tail;
    area->out_head = 0;
    area->in_head = area->out_tail = 77; /* the host keeps its own */
    p.op = BRIDGE_READ, p.len = 3, p.offset = 0x500;
    ck_assert_uint_eq(inject(&p, "", 0), SE_OK);
    ck_assert_mem_eq(area->in_data[0], x->pe[BX_A].mem + 0x500, 3);
    ck_assert_uint_eq(area->out_tail, 0);
    want.injected = 1;
}
END_TEST

START_TEST(indices_wrap)
{
    struct bridge_pkt p = message(3);

    p.op = BRIDGE_READ, p.offset = 0x500;
    for (unsigned i = 0; i < 3 * BRIDGE_SLOTS; i++) {
        ck_assert_uint_eq(inject(&p, "xyz", 3), SE_OK);
        ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_READ, 5, 0x1000, 0, 1), SE_OK);
    }
    want.injected = 3 * BRIDGE_SLOTS;
    want.taken = want.completed = 3 * BRIDGE_SLOTS;
}
END_TEST

START_TEST(many_at_once)
{
    struct bridge_pkt p = message(1);

    p.op = BRIDGE_WRITE;
    for (unsigned i = 0; i < BRIDGE_SLOTS; i++) {
        p.offset = 0x600 + i;
        area->in[i] = p;
        area->in_data[i][0] = (uint8_t)~i;
    }
    area->in_tail = BRIDGE_SLOTS;
    bridge_run(n0->bridge);
    ck_assert_uint_eq(area->in_head, BRIDGE_SLOTS);
    for (unsigned i = 0; i < BRIDGE_SLOTS; i++)
        ck_assert_uint_eq(x->pe[BX_A].mem[0x600 + i], (uint8_t)~i);
    want.injected = BRIDGE_SLOTS;
}
END_TEST

static void take_turns(struct bx *b)
{
    struct bridge_pkt p = {.op = BRIDGE_COMPLETE, .id = area->out[0].id};

    (void)b;
    area->nic_next = 0xABCD;
    /* There is an entry that the bridge has not seen: its wait must end. */
    ck_assert_uint_eq(bridge_turn(n0->bridge), 0xABCD);
    ck_assert(bridge_poll(n0->bridge));
    ck_assert(!bridge_poll(n0->bridge));
    /* Seen, whenever that was: RUN looks at out_head, and the turn forgets. */
    area->out_head = area->out_tail;
    inject(&p, "", 0);
    bridge_turn(n0->bridge);
    ck_assert(!bridge_poll(n0->bridge));
}

/* Few entries are no news for a while; who says how many, and how long, is the bridge. */
static void hold_few(struct bx *b)
{
    struct bridge_pkt p = {.op = BRIDGE_COMPLETE, .id = area->out[0].id};
    uint32_t ns = 0;

    (void)b;
    area->out_want = 0;
    ck_assert(!bridge_few(n0->bridge, &ns));
    area->out_want = 1;
    ck_assert(!bridge_few(n0->bridge, &ns));
    area->out_want = 2;
    area->out_hold = 777;
    ck_assert(bridge_few(n0->bridge, &ns));
    ck_assert_uint_eq(ns, 777);
    area->out_want = ~0u;
    ck_assert(bridge_few(n0->bridge, &ns));
    ck_assert(bridge_poll(n0->bridge));      /* the time is over */
    ck_assert(!bridge_few(n0->bridge, &ns)); /* nothing new */
    area->out_head = area->out_tail;
    inject(&p, "", 0);
}

/* The last one that it waits for wakes the bridge. */
static void hold_two(struct bx *b)
{
    (void)b;
    ck_assert_uint_eq(n0->wakes, 2);
    for (area->out_head = 0; area->out_head < 2; area->out_head++) {
        struct bridge_pkt p = {.op = BRIDGE_COMPLETE, .id = area->out[area->out_head].id};

        inject(&p, "", 0);
    }
}

static void hold_one(struct bx *b)
{
    struct vdtu_pkt pkt = {
        .type = VDTU_PKT_WRITE, .src_pe = BX_K, .dst_pe = BX_B, .data = &pkt, .len = 1};

    area->out_want = 2;
    b->meanwhile = hold_two;
    ck_assert_uint_eq(bridge_packet(n0->bridge, &pkt), SE_OK);
}

START_TEST(enough_packets)
{
    x->meanwhile = hold_one;
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_OK);
    want.taken = want.completed = 2;
}
END_TEST

START_TEST(few_packets)
{
    uint32_t ns = 5;

    ck_assert(!bridge_few(n0->bridge, &ns));
    x->meanwhile = hold_few;
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_OK);
    want.taken = want.completed = 1;
}
END_TEST

START_TEST(turns)
{
    bridge_nic_causes(n0->bridge, 0x84);
    ck_assert_uint_eq(area->nic_causes, 0x84);
    for (unsigned i = 0; i < 2; i++) {
        bridge_set_area(n0->bridge, BX_AREA);
        x->meanwhile = take_turns;
        ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_OK);
        x->meanwhile = NULL;
    }
    want.taken = want.completed = 2;
    bridge_set_area(n0->bridge, 0);
    bridge_nic_causes(n0->bridge, 0x84);
    ck_assert_uint_eq(bridge_turn(n0->bridge), 0);
}
END_TEST

/* ---- completions ---- */

static void complete_wrongly(struct bx *b)
{
    struct bridge_pkt p = {.op = BRIDGE_COMPLETE, .id = area->out[0].id ^ 1024, .len = 8};

    ck_assert_uint_ne(area->out[0].id, 0);
    ck_assert_uint_eq(area->out_tail, 1);
    ck_assert_uint_eq(inject(&p, "", 0), SE_INV_ARGS); /* another packet of that PE */
    p.id = 0;
    ck_assert_uint_eq(inject(&p, "", 0), SE_INV_ARGS);
    p.id = 1023;
    ck_assert_uint_eq(inject(&p, "", 0), SE_INV_ARGS);
    p.id = (area->out[0].id & ~1023u) | BX_K; /* of a PE that waits for nothing */
    ck_assert_uint_eq(inject(&p, "", 0), SE_INV_ARGS);
    want.bad_id = 4;
    p.id = area->out[0].id;
    p.len = 7;
    ck_assert_uint_eq(inject(&p, "1234567", 7), SE_OK);
    ck_assert_uint_eq(inject(&p, "", 0), SE_INV_ARGS); /* once only */
    want.bad_id++;
    want.completed++;
    area->out_head = area->out_tail;
    (void)b;
}

START_TEST(wrong_completions)
{
    uint8_t before[8];

    memcpy(before, x->pe[BX_A].mem + 0x1000, 8);
    x->meanwhile = complete_wrongly;
    ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_READ, 5, 0x1000, 0, 8), SE_INV_ARGS);
    ck_assert_mem_eq(before, x->pe[BX_A].mem + 0x1000, 8);
    want.taken = want.bad_len = 1;
}
END_TEST

static unsigned result;

static void complete_with(struct bx *b)
{
    struct bridge_pkt p = {
        .op = BRIDGE_COMPLETE, .id = area->out[area->out_head % BRIDGE_SLOTS].id, .result = result};

    area->out_head++;
    ck_assert_uint_eq(inject(&p, "", 0), SE_OK);
    want.completed++;
    (void)b;
}

START_TEST(results)
{
    x->meanwhile = complete_with;
    for (result = 0; result < 40; result++) {
        unsigned shown = result <= SE_XFS_RENAME ? result : SE_INV_ARGS;

        ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_WRITE, 5, 0x1000, 0, 8), shown);
        want.bad_result += result > SE_XFS_RENAME;
        want.taken++;
    }
    result = 0xFFFFFFFF;
    ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_WRITE, 5, 0x1000, 0, 8), SE_INV_ARGS);
    want.bad_result++;
    want.taken++;
}
END_TEST

/* What `out` says of a packet is all that there is to know. */
static void look(struct bx *b)
{
    const struct bridge_pkt *p = &area->out[area->out_head % BRIDGE_SLOTS];
    unsigned to = 0;

    ck_assert_uint_eq(bridge_waits(n0->bridge, BX_A, &to), p->id);
    ck_assert_uint_eq(to, BX_B);
    ck_assert_uint_eq(p->src_pe, BX_A);
    ck_assert_uint_eq(p->dst_pe, BX_B);
    ck_assert_uint_eq(p->dst_vpe, 3);
    if (p->op == BRIDGE_MSG) {
        ck_assert_uint_eq(p->len, 20);
        ck_assert_uint_eq(p->offset, 2);
        ck_assert_uint_eq(p->hdr.sender_pe, BX_A);
        ck_assert_uint_eq(p->hdr.sender_vpe, 2);
        ck_assert_uint_eq(p->hdr.sender_ep, 4);
        ck_assert_uint_eq(p->hdr.length, 20);
        ck_assert_uint_eq(p->hdr.label, BX_LABEL);
        ck_assert_uint_eq(p->hdr.reply_label, BX_RLABEL);
        ck_assert_mem_eq(area->out_data[area->out_head % BRIDGE_SLOTS], x->pe[BX_A].mem + 0x500,
                         20);
    } else {
        ck_assert_uint_eq(p->op, BRIDGE_WRITE);
        ck_assert_uint_eq(p->len, 4096);
        ck_assert_uint_eq(p->offset, 0x4010);
    }
    result = SE_VPE_GONE;
    complete_with(b);
}

START_TEST(out_entries)
{
    uint64_t packets, failed;
    unsigned to;

    x->meanwhile = look;
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_VPE_GONE);
    ck_assert_uint_eq(n0->wakes, 1);
    ck_assert(bridge_poll(n0->bridge));
    ck_assert(!bridge_poll(n0->bridge)); /* consumed */
    ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_WRITE, 5, 0x500, 0x10, 9000), SE_VPE_GONE);
    ck_assert_uint_eq(n0->wakes, 2);
    ck_assert_uint_eq(area->out_tail, 2); /* the first error ends it */
    want.taken = 2;
    ck_assert_uint_eq(bridge_waits(n0->bridge, BX_A, &to), 0);
    bridge_pe_stats(n0->bridge, BX_A, &packets, &failed);
    ck_assert_uint_eq(packets, 2);
    ck_assert_uint_eq(failed, 2);
}
END_TEST

/* ---- no bridge, no more bridge ---- */

START_TEST(not_for_others)
{
    struct vdtu_pkt p = {.src_pe = 20, .dst_pe = BX_B};

    ck_assert_uint_eq(bridge_packet(n0->bridge, &p), SE_EP_INVALID); /* itself */
    p.src_pe = BX_A, p.dst_pe = 50;
    ck_assert_uint_eq(bridge_packet(n0->bridge, &p), SE_EP_INVALID);
    p.src_pe = 1023, p.dst_pe = BX_B;
    ck_assert_uint_eq(bridge_packet(n0->bridge, &p), SE_EP_INVALID);
}
END_TEST

static unsigned parks;

/* First nothing can happen; then the bridge comes up. */
static void register_later(struct bx *b)
{
    ck_assert_uint_eq(area->out_tail, 0);
    if (parks++ == 0)
        return;
    area->in_tail = area->out_head = 99; /* the store sets them to 0 */
    bridge_set_area(n0->bridge, BX_AREA);
    ck_assert_uint_eq(area->out_tail, 1);
    ck_assert(bridge_poll(n0->bridge));
    b->meanwhile = NULL;
}

START_TEST(waits_for_an_area)
{
    parks = 0;
    bridge_set_area(n0->bridge, 0);
    ck_assert_uint_eq(bridge_area(n0->bridge), 0);
    x->meanwhile = register_later;
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_OK);
    ck_assert_uint_eq(bridge_area(n0->bridge), BX_AREA);
    want.taken = want.completed = want.waited = 1;
}
END_TEST

START_TEST(bad_areas)
{
    static const uint64_t bad[] = {BX_AREA + 1,
                                   BX_AREA + 32,
                                   BX_BRIDGE,
                                   BX_BRIDGE - 64,
                                   1ull << 63,
                                   ~63ull,
                                   (BX_BRIDGE - sizeof(struct bridge_area) + 64) & ~63ull};
    struct bridge_pkt p = message(5);

    for (unsigned i = 0; i < 7; i++) {
        bridge_set_area(n0->bridge, bad[i]);
        ck_assert_uint_eq(bridge_area(n0->bridge), 0);
        area->in[0] = p;
        area->in_tail = 1;
        bridge_run(n0->bridge); /* without an area */
    }
    want.bad_index = 14;
    ck_assert_uint_eq(vdtu_reg(x->pe[BX_A].d, DTU_MSG_CNT), 0);
}
END_TEST

static void (*end)(struct bridge *b);

static void end_it(struct bx *b)
{
    (void)b;
    end(n0->bridge);
}

static void move(struct bridge *b)
{
    bridge_set_area(b, BX_AREA + 64);
}

START_TEST(bridge_goes)
{
    static void (*const how[])(struct bridge *) = {bridge_over, bridge_reset, move};

    end = how[_i];
    x->meanwhile = end_it;
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_RECV_GONE);
    ck_assert_uint_eq(n0->unparks[BX_A], 1);
    ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_READ, 5, 0x1000, 0, 9000), SE_RECV_GONE);
    want.gone = 2;
    want.taken = _i == 2 ? 2 : 1;
    want.waited = _i == 1; /* after a reset it may yet come back */
    if (_i)
        return;
    bridge_set_area(n0->bridge, BX_AREA); /* it is over for good */
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_RECV_GONE);
    want.gone++;
}
END_TEST

/* ---- initiators that stop ---- */

static void abandon(struct bx *b)
{
    b->abandoned = true;
}

START_TEST(abandoned_in_the_ring)
{
    struct bridge_pkt p = {.op = BRIDGE_COMPLETE};
    unsigned to = 0;

    x->meanwhile = abandon;
    ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_WRITE, 5, 0x500, 0, 9000), SE_RECV_GONE);
    p.id = area->out[0].id;
    ck_assert_uint_eq(bridge_waits(n0->bridge, BX_A, &to), p.id); /* for reports */
    ck_assert_uint_eq(to, BX_B);
    bridge_forget(n0->bridge, BX_A);
    ck_assert_uint_eq(bridge_waits(n0->bridge, BX_A, &to), 0);
    ck_assert_uint_eq(inject(&p, "", 0), SE_OK); /* it could not know */
    ck_assert_uint_eq(inject(&p, "", 0), SE_INV_ARGS);
    area->out_head = 1;
    x->abandoned = false;
    x->meanwhile = NULL;
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_OK);
    want.taken = 2;
    want.abandoned = want.late = want.bad_id = want.completed = 1;
}
END_TEST

/* Several in a row, completed long after and in another order. */
START_TEST(abandoned_again_and_again)
{
    struct bridge_pkt p = {.op = BRIDGE_COMPLETE};
    uint32_t id[3];

    x->meanwhile = abandon;
    for (unsigned i = 0; i < 3; i++) {
        x->abandoned = false;
        ck_assert_uint_eq(bx_xfer(&x->pe[BX_A], DTU_WRITE, 5, 0x500, 0, 8), SE_RECV_GONE);
        id[i] = area->out[i].id;
        bridge_forget(n0->bridge, BX_A);
    }
    area->out_head = 3;
    for (unsigned i = 3; i-- > 0;) {
        p.id = id[i];
        ck_assert_uint_eq(inject(&p, "", 0), SE_OK);
    }
    p.id = id[1];
    ck_assert_uint_eq(inject(&p, "", 0), SE_INV_ARGS); /* once */
    x->abandoned = false;
    x->meanwhile = NULL;
    want.taken = want.abandoned = want.late = 3;
    want.bad_id = 1;
}
END_TEST

START_TEST(abandoned_in_the_queue)
{
    bridge_set_area(n0->bridge, 0);
    x->meanwhile = abandon;
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_RECV_GONE);
    x->abandoned = false;
    x->meanwhile = NULL;
    bridge_set_area(n0->bridge, BX_AREA);
    ck_assert_uint_eq(area->out_tail, 0); /* and nothing of it is left */
    ck_assert_uint_eq(bx_send(&x->pe[BX_A], 4, 0x500, 20), SE_OK);
    want.waited = want.abandoned = want.taken = want.completed = 1;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bridge: the area");
    TCase *c = tcase_create("area");

    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, message_arrives);
    tcase_add_test(c, forged_senders);
    tcase_add_test(c, wrong_entries);
    tcase_add_test(c, wild_indices);
    tcase_add_test(c, indices_wrap);
    tcase_add_test(c, many_at_once);
    tcase_add_test(c, turns);
    tcase_add_test(c, few_packets);
    tcase_add_test(c, enough_packets);
    tcase_add_test(c, wrong_completions);
    tcase_add_test(c, results);
    tcase_add_test(c, out_entries);
    tcase_add_test(c, not_for_others);
    tcase_add_test(c, waits_for_an_area);
    tcase_add_test(c, bad_areas);
    tcase_add_loop_test(c, bridge_goes, 0, 3);
    tcase_add_test(c, abandoned_in_the_ring);
    tcase_add_test(c, abandoned_again_and_again);
    tcase_add_test(c, abandoned_in_the_queue);
    suite_add_tcase(s, c);
    return bx_run(s);
}
