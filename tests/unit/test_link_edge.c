/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: tests/unit/link_sim.c tests/unit/link_sim_wire.c guest/bridge/link.c */
/* LINK: guest/bridge/link_hs.c guest/bridge/link_rx.c guest/bridge/link_rec.c */
/* LINK: guest/bridge/link_tx.c */
/*
 * Where something begins or ends: sizes, windows, numbers that wrap, queues that are full; who gets
 * how much; and what one record costs.
 */
#include <check.h>
#include <stdio.h>
#include <time.h>

#include "link_puppet.h"
#include "link_sim.h"

/* ---- sizes ---- */

static const uint16_t sizes[] = {0,    1,    24,   25,   63,   64,   65,   127,  128,  129,  255,
                                 256,  257,  1279, 1280, 1281, 1302, 1303, 1304, 1343, 1344, 1345,
                                 1359, 1360, 1361, 1399, 1400, 1401, 1415, 1416, 1417, 2047, 2048,
                                 2049, 2816, 4030, 4031, 4032, 4033, 4070, 4071, 4095, 4096};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void all_sizes(struct sim_job *j, unsigned pe, uint32_t number)
{
    (void)pe;
    j->op = number % 3;
    j->len = sizes[number / 3 % SIZES];
    if (j->op == BRIDGE_MSG && j->len > 4071)
        j->len = 4071;
}

/* Every size, alone in its frame and in company, in parts as small as they get. */
START_TEST(fragments)
{
    static const uint16_t mtu[] = {256, 257, 319, 320, 576, 1000, 1471, 1472};
    struct sim_config cfg = {
        .seed = (uint64_t)_i, .nodes = 2, .job = all_sizes, .wire = {.delay = 50 * SIM_US}};

    cfg.link.mtu = mtu[_i];
    for (unsigned bad = 0; bad < 2; bad++)
        for (cfg.pes = 1; cfg.pes < 10; cfg.pes += 4) {
            if (bad)
                cfg.wire.loss = cfg.wire.dup = 100, cfg.wire.jitter = SIM_MS;
            struct sim *s = sim_new(&cfg);
            sim_run(s, 2 * 3 * SIZES * cfg.pes, 1000 * SIM_S);
            sim_must(s, s->completed >= 2 * 3 * SIZES * cfg.pes && s->gone == 0);
            sim_free(s);
        }
}
END_TEST

/* ---- numbers and windows ---- */

/* Frame numbers wrap, at every place of the window; so do the stamps, after 2^32 us. */
START_TEST(wraparound)
{
    struct sim_config cfg = {
        .nodes = 2,
        .pes = 30,
        .wire = {.delay = 500 * SIM_US, .loss = 100, .dup = 100, .reorder = 200, .distance = 30}};

    for (unsigned i = 0; i < 140; i++) {
        cfg.seed = i;
        cfg.epoch_low = 0xFFFFFFFF - i;
        cfg.start = ((i % 2 ? 1ull << 31 : 1ull << 32) - i * 500) * SIM_US;
        struct sim *s = sim_new(&cfg);
        sim_run(s, 1000, cfg.start + 100 * SIM_S);
        sim_must(s, s->completed >= 1000 && s->gone == 0);
        sim_must(s, s->now > cfg.start + 70 * SIM_MS);
        sim_must(s, link_stats(s->node[0].link)->frames_out > 200);
        sim_must(s, link_rtt(s->node[0].link, 1) < 100 * SIM_MS);
        sim_free(s);
    }
}
END_TEST

/* Fewer slots than PEs that want one: they take turns. */
START_TEST(few_slots)
{
    for (unsigned slots = 1; slots <= LINK_SLOTS; slots = slots * 2 + 1) {
        struct sim_config cfg = {.seed = slots,
                                 .nodes = 3,
                                 .pes = 70,
                                 .async = true,
                                 .mem = link_need(3, slots),
                                 .wire = {.delay = 100 * SIM_US, .loss = 50}};
        struct sim *s = sim_new(&cfg);
        sim_run(s, 5000, 1000 * SIM_S);
        sim_must(s, s->completed >= 5000 && s->gone == 0);
        for (unsigned i = 0; i < 70; i++)
            sim_must(s, s->node[0].pe[i].done >= 10);
        sim_free(s);
    }
}
END_TEST

/* All places taken: the owner keeps the next packet, and is told when it may come. */
START_TEST(back_pressure)
{
    struct puppet *p = puppet_new(4);

    for (uint32_t i = 1; i <= LINK_REQS; i++) {
        ck_assert(link_ready(p->link));
        ck_assert(puppet_submit(p, BRIDGE_WRITE, 4096, i));
    }
    ck_assert(!link_ready(p->link));
    ck_assert(!puppet_submit(p, BRIDGE_WRITE, 4096, 999));
    ck_assert_uint_eq(link_stats(p->link)->submit_full, 1);
    puppet_connect(p);
    for (unsigned i = 0; i < 100; i++)
        puppet_tick(p, 0);
    /* No more frames than the window, though nobody says anything. */
    ck_assert_uint_le(p->frames, LINK_WINDOW + 10);
    ck_assert_uint_eq(p->completed, 0);
    puppet_pass(p, 1900 * SIM_MS);
    ck_assert_uint_eq(p->completed, 0);
    puppet_pass(p, 200 * SIM_MS);
    ck_assert_uint_eq(p->completed, LINK_REQS);
    for (unsigned i = 0; i < LINK_REQS; i++)
        ck_assert_uint_eq(p->result[i], SE_RECV_GONE);
    ck_assert(link_ready(p->link));
    puppet_free(p);
}
END_TEST

/* A full send queue: the frame leaves with a later tick, and the owner need not spin. */
START_TEST(send_full)
{
    struct puppet *p = puppet_new(4);

    puppet_connect(p);
    unsigned frames = p->frames;
    p->full = true;
    ck_assert(puppet_submit(p, BRIDGE_MSG, 10, 1));
    ck_assert(link_deadline(p->link) <= p->now);
    puppet_tick(p, 0);
    ck_assert(link_deadline(p->link) > p->now);
    ck_assert(link_deadline(p->link) <= p->now + SIM_MS);
    ck_assert_uint_eq(link_stats(p->link)->send_full, 1);
    puppet_tick(p, SIM_MS);
    ck_assert_uint_eq(p->frames, frames);
    p->full = false;
    puppet_tick(p, SIM_MS);
    ck_assert_uint_eq(p->frames, frames + 1);
    ck_assert_uint_eq(link_stats(p->link)->resent, 0);
    puppet_free(p);
}
END_TEST

/* What cannot go anywhere comes back at once. */
START_TEST(not_sendable)
{
    static const struct {
        uint8_t op;
        uint16_t src, dst, vpe, len, sender, length;
        uint32_t result;
    } t[] = {
        {BRIDGE_MSG, 4, 20, 0, 8, 4, 8, SE_EP_INVALID},
        {BRIDGE_MSG, 4, 1022, 0, 8, 4, 8, SE_EP_INVALID},
        {BRIDGE_MSG, 4, 0xFFFF, 0, 8, 4, 8, SE_EP_INVALID},
        {BRIDGE_MSG, 4, 3, 0, 8, 4, 8, SE_EP_INVALID}, /* ours: the host routes those */
        {BRIDGE_MSG, 4, 15, 0, 4072, 4, 4072, SE_INV_ARGS},
        {BRIDGE_MSG, 4, 15, 0, 8, 5, 8, SE_INV_ARGS},
        {BRIDGE_MSG, 4, 15, 0, 8, 4, 9, SE_INV_ARGS},
        {BRIDGE_MSG, 15, 15, 0, 8, 15, 8, SE_INV_ARGS},
        {BRIDGE_MSG, 4, 15, 2048, 8, 4, 8, SE_INV_ARGS},
        {BRIDGE_WRITE, 4, 15, 0, 4097, 0, 0, SE_INV_ARGS},
        {BRIDGE_READ, 4, 15, 0, 4097, 0, 0, SE_INV_ARGS},
        {BRIDGE_COMPLETE, 4, 15, 0, 8, 0, 0, SE_INV_ARGS},
        {255, 4, 15, 0, 8, 0, 0, SE_INV_ARGS},
    };
    struct puppet *p = puppet_new(4);

    puppet_connect(p);
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        static const uint8_t data[65536];
        struct bridge_pkt pkt = {.op = t[i].op,
                                 .id = i + 1,
                                 .src_pe = t[i].src,
                                 .dst_pe = t[i].dst,
                                 .dst_vpe = t[i].vpe,
                                 .len = t[i].len,
                                 .hdr = {.sender_pe = t[i].sender, .length = t[i].length}};
        ck_assert(link_submit(p->link, &pkt, data));
        ck_assert_uint_eq(p->completed, i + 1);
        ck_assert_uint_eq(p->id[i], i + 1);
        ck_assert_uint_eq(p->result[i], t[i].result);
    }
    puppet_free(p);
}
END_TEST

/* ---- who gets how much ---- */

static void big_and_small(struct sim_job *j, unsigned pe, uint32_t number)
{
    bool big = pe % 2;

    (void)number;
    j->op = big ? BRIDGE_WRITE : BRIDGE_MSG;
    j->len = big ? 4096 : 16;
}

/* PEs with big packets do not starve those with small ones, nor the other way round. */
START_TEST(fair_to_pes)
{
    struct sim_config cfg = {.seed = 5,
                             .nodes = 2,
                             .pes = 90,
                             .job = big_and_small,
                             .wire = {.delay = 200 * SIM_US, .loss = _i ? 50 : 0}};
    struct sim *s = sim_new(&cfg);
    uint64_t min = ~0ull, max = 0;

    sim_run(s, 50000, 1000 * SIM_S);
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < cfg.pes; i++) {
            uint64_t d = s->node[k].pe[i].done;
            min = d < min ? d : min;
            max = d > max ? d : max;
        }
    printf("90 PEs on each of two nodes, half of them with packets of 4096, half of 16 bytes: "
           "%llu to %llu each\n",
           (unsigned long long)min, (unsigned long long)max);
    sim_must(s, min * 2 > max);
    sim_free(s);
}
END_TEST

static void reads_and_messages(struct sim_job *j, unsigned pe, uint32_t number)
{
    bool reader = pe / SIM_PES;

    (void)number;
    j->op = reader ? BRIDGE_READ : BRIDGE_MSG;
    j->len = reader ? 4096 : 16;
}

/* A node that answers many long reads still gets its own packets out. */
START_TEST(fair_to_askers)
{
    struct sim_config cfg = {.seed = 6,
                             .nodes = 2,
                             .pes = 90,
                             .job = reads_and_messages,
                             .wire = {.delay = 200 * SIM_US}};
    struct sim *s = sim_new(&cfg);
    uint64_t done[2] = {0};

    sim_run(s, 50000, 1000 * SIM_S);
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < cfg.pes; i++)
            done[k] += s->node[k].pe[i].done;
    printf("reads of 4096 bytes against messages of 16: %llu to %llu\n",
           (unsigned long long)done[1], (unsigned long long)done[0]);
    sim_must(s, done[0] > done[1]);
    sim_free(s);
}
END_TEST

static void to_any(struct sim_job *j, unsigned pe, uint32_t number)
{
    unsigned to = (pe / SIM_PES + 1 + pe % SIM_PES % 2) % 3;

    (void)number;
    j->dst = (uint16_t)(to * SIM_PES + j->dst % SIM_PES);
}

/* A node that does not answer costs the packets for others nothing. */
START_TEST(no_head_of_line)
{
    struct sim_config cfg = {
        .seed = 5, .nodes = 3, .pes = 40, .job = to_any, .wire = {.delay = 100 * SIM_US}};
    struct sim *s = sim_new(&cfg);

    sim_connect(s, SIM_S);
    sim_crash(s, 2);
    s->node[0].longest = s->node[1].longest = 0;
    uint64_t done = 0, before = 0;
    for (unsigned i = 0; i < 40; i += 2)
        before += s->node[0].pe[i].done;
    uint64_t until = s->now + SIM_S;
    sim_run(s, ~0ull, until);
    for (unsigned i = 0; i < 40; i += 2)
        done += s->node[0].pe[i].done;
    sim_must(s, link_state(s->node[0].link, 2) == LINK_LIVE); /* not noticed yet */
    sim_must(s, done - before > 50000 && s->node[0].longest < 10 * SIM_MS);
    sim_free(s);
}
END_TEST

/* Eight nodes, all with all. */
START_TEST(mesh_of_eight)
{
    struct sim_config cfg = {
        .seed = 8,
        .nodes = 8,
        .pes = 10,
        .wire = {.delay = 100 * SIM_US, .loss = 100, .dup = 50, .reorder = 100, .distance = 20}};
    struct sim *s = sim_new(&cfg);

    sim_connect(s, 10 * SIM_S);
    sim_run(s, 20000, 1000 * SIM_S);
    sim_must(s, s->completed >= 20000 && s->gone == 0);
    for (unsigned k = 0; k < 8; k++)
        for (unsigned j = 0; j < 8; j++)
            sim_must(s, k == j || (s->node[k].ups[j] && !s->node[k].downs[j]));
    sim_free(s);
}
END_TEST

/* ---- set-up ---- */

START_TEST(configurations)
{
    static uint64_t mem[(4 << 20) / 8];
    struct link_range r[3] = {{0, 0, 9}, {1, 10, 19}, {1, 30, 39}};
    struct puppet *p = puppet_new(4);
    struct link_config good = {.nodes = 2, .ranges = r, .n_ranges = 3}, c;
    /* The puppet's callbacks will do. */
    const struct link_ops ops = {puppet_now,      puppet_send,   puppet_deliver,
                                 puppet_complete, puppet_random, puppet_state};
    good.ops = &ops;
    good.arg = p;

    ck_assert_uint_le(link_need(8, LINK_SLOTS), 6u << 20);
    ck_assert_uint_le(link_need(LINK_NODES, 8), 12u << 20);
    ck_assert_ptr_nonnull(link_new(mem, sizeof(mem), &good));
#define WRONG(field, value)                                 \
    do {                                                    \
        c = good;                                           \
        c.field = (value);                                  \
        ck_assert_ptr_null(link_new(mem, sizeof(mem), &c)); \
    } while (0)
    WRONG(nodes, 0);
    WRONG(nodes, 1);
    WRONG(nodes, LINK_NODES + 1);
    WRONG(node, 2);
    WRONG(mtu, LINK_FRAME_MIN - 1);
    WRONG(mtu, LINK_FRAME_MAX + 1);
    WRONG(dead_ns, 99999999);
#define WRONG_RANGE(...)                                       \
    do {                                                       \
        struct link_range was = r[1];                          \
        r[1] = (struct link_range){__VA_ARGS__};               \
        ck_assert_ptr_null(link_new(mem, sizeof(mem), &good)); \
        r[1] = was;                                            \
    } while (0)
    WRONG_RANGE(2, 10, 19);
    WRONG_RANGE(1, 9, 19);
    WRONG_RANGE(1, 19, 10);
    WRONG_RANGE(1, 1000, 1023);
    WRONG_RANGE(1, 1000, 0xFFFF);
    ck_assert_ptr_null(link_new((uint8_t *)mem + 8, sizeof(mem) - 8, &good));
    ck_assert_ptr_null(link_new(mem, link_need(2, 1) - 1, &good));
    struct link *l = link_new(mem, link_need(2, 1), &good);
    ck_assert_ptr_nonnull(l);
    ck_assert_uint_eq(link_node_of(l, 9), 0);
    ck_assert_uint_eq(link_node_of(l, 35), 1);
    ck_assert_uint_eq(link_node_of(l, 20), LINK_NODE_ANY);
    ck_assert_uint_eq(link_node_of(l, 1023), LINK_NODE_ANY);
    ck_assert_int_eq(link_state(l, 1), LINK_SEEKING);
    ck_assert_int_eq(link_state(l, 0), LINK_LOST);
    ck_assert_int_eq(link_state(l, 99), LINK_LOST);
    for (unsigned i = 0; i < LINK_DROPS; i++)
        ck_assert_str_ne(link_drop_name(i), "?");
    ck_assert_str_eq(link_drop_name(LINK_DROPS), "?");
    puppet_free(p);
}
END_TEST

/* ---- what it costs ---- */

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SIM_S + (uint64_t)t.tv_nsec;
}

/* Printed only: with the sanitizers on this is an upper bound, many times too high. */
START_TEST(cost)
{
    struct puppet *p = puppet_new(LINK_SLOTS);
    struct link_rec r = {.op = LINK_MSG, .flags = LINK_FIRST, .len = 64, .total = 64};
    uint8_t body[LINK_FRAME_MAX] = {0};
    const unsigned rounds = 20000;
    size_t len = 0;

    puppet_connect(p);
    for (r.slot = 0; r.slot < 10; r.slot++)
        len = puppet_rec(body, len, r, NULL);
    uint64_t start = cpu_ns();
    for (unsigned i = 0; i < rounds; i++) {
        puppet_data(p, body, len); /* ten messages in */
        puppet_tick(p, 0);         /* ten answers out */
        p->ack++;
    }
    uint64_t ns = cpu_ns() - start;
    ck_assert_uint_eq(p->delivered, 10 * rounds);
    printf("a message of 64 bytes in and its answer out: %llu ns of CPU time\n",
           (unsigned long long)(ns / (10 * rounds)));
    puppet_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link_edge");
    TCase *tc = tcase_create("edges");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, fragments, 0, 8);
    tcase_add_test(tc, wraparound);
    tcase_add_test(tc, few_slots);
    tcase_add_test(tc, back_pressure);
    tcase_add_test(tc, send_full);
    tcase_add_test(tc, not_sendable);
    tcase_add_loop_test(tc, fair_to_pes, 0, 2);
    tcase_add_test(tc, fair_to_askers);
    tcase_add_test(tc, no_head_of_line);
    tcase_add_test(tc, mesh_of_eight);
    tcase_add_test(tc, configurations);
    tcase_add_test(tc, cost);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
