/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vmm/seed_wire.c vmm/seed_opts.c */
/*
 * The simulated wire alone: who gets a frame, when, in which order, how often, and that a seed and
 * a frame's number decide all of it.  What the wire asks of the scheduler and of a NIC is played
 * here.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../vmm/nic.h"
#include "../../vmm/record.h"
#include "../../vmm/sched_seed_impl.h"

#define NODES 3u
#define GOT   20000u

/* A NIC as the wire knows it. */
struct nic {
    nic_transmit_fn transmit;
    void *arg;
    enum netdev_rx answer;
    unsigned refuse; /* so many more frames find no buffer */
};

static struct machine machine[NODES];
static struct node node[NODES];
static struct nic nics[NODES];
static struct pe pes[NODES];
static struct seed_opts opts;
static struct seed seed;
static uint64_t now_ns;
static unsigned touches, records;

static struct {
    unsigned node;
    uint32_t number;
    uint64_t at;
} got[GOT];
static unsigned ngot;

/* ---- what is around it ---- */

uint64_t seed_clock(const struct seed *s)
{
    (void)s;
    return now_ns;
}

bool seed_drawn(struct seed *s, unsigned who, unsigned by, uint64_t count, uint32_t rate,
                enum trace_inject kind)
{
    (void)who;
    return rate && seed_mix(s->opts->seed, kind, by, count) % 1000000 < rate;
}

void seed_inject(struct seed *s, unsigned pe, enum trace_inject kind, uint64_t label)
{
    (void)s, (void)pe, (void)kind, (void)label;
    records++;
}

void node_record(struct node *n, struct trace_record *r)
{
    (void)n;
    ck_assert_uint_eq(r->op, TR_WIRE);
}

struct pe *node_nic(const struct node *n)
{
    return &pes[n - node];
}

void nic_set_wire(struct nic *n, nic_transmit_fn transmit, void *arg)
{
    n->transmit = transmit;
    n->arg = arg;
}

enum netdev_rx nic_input(struct nic *n, const void *frame, size_t len)
{
    if (n->refuse) {
        n->refuse--;
        return NETDEV_RX_NO_BUFFER;
    }
    ck_assert_uint_lt(ngot, GOT);
    ck_assert_uint_eq(len, 64);
    got[ngot].node = (unsigned)(n - nics);
    got[ngot].at = now_ns;
    memcpy(&got[ngot++].number, (const uint8_t *)frame + 14, 4);
    return NETDEV_RX_OK;
}

static void touched(struct pe *pe)
{
    (void)pe;
    touches++;
}

static const struct sched sched = {.touched = touched};

/* ---- set-up ---- */

static void setup(void)
{
    memset(&seed, 0, sizeof(seed));
    memset(&opts, 0, sizeof(opts));
    memset(node, 0, sizeof(node));
    memset(nics, 0, sizeof(nics));
    now_ns = ngot = touches = records = 0;
    opts.seed = 7;
    seed.opts = &opts;
    seed.nnodes = NODES;
    ck_assert_int_eq(seed_wire_new(&seed), 0);
    for (unsigned k = 0; k < NODES; k++) {
        machine[k].self = k;
        memcpy(machine[k].node[k].mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)k}, 6);
        node[k].desc = &machine[k];
        node[k].sched = &sched;
        pes[k].id = (uint16_t)(1000 + k);
        pes[k].nic = &nics[k];
        seed.nodes[k].node = &node[k];
        seed_wire_join(&seed, k);
    }
}

static void teardown(void)
{
    seed_wire_free(&seed);
    free(seed.wire);
}

/* to: a node, or 255 for all. */
static void send_frame(unsigned from, unsigned to, uint32_t number)
{
    uint8_t f[64] = {2, 0, 0, 0, 0, (uint8_t)to};

    if (to == 255)
        memset(f, 0xFF, 6);
    memcpy(f + 14, &number, 4);
    nics[from].transmit(nics[from].arg, f, sizeof(f));
}

/* Lets time go on until nothing is on its way. */
static void drain(void)
{
    uint64_t next;

    while ((next = seed_wire_next(&seed)) != SEED_NEVER) {
        ck_assert_uint_ge(next, now_ns);
        now_ns = next;
        seed_wire_expire(&seed);
    }
}

/* ---- tests ---- */

START_TEST(who_gets_it)
{
    send_frame(0, 2, 1);
    drain();
    ck_assert_uint_eq(ngot, 1);
    ck_assert_uint_eq(got[0].node, 2);
    ck_assert_uint_ge(got[0].at, 20000);
    ck_assert_uint_le(got[0].at, 60000);
    send_frame(1, 255, 2); /* all but the sender */
    drain();
    ck_assert_uint_eq(ngot, 3);
    ck_assert_uint_eq(got[1].node + got[2].node, 2);
    ck_assert_uint_ne(got[1].node, 1);
    send_frame(1, 77, 3); /* nobody's address: a switch floods */
    drain();
    ck_assert_uint_eq(ngot, 5);
    ck_assert_uint_eq(touches, 5);
}
END_TEST

START_TEST(nothing_before_its_time)
{
    send_frame(0, 1, 1);
    now_ns = seed_wire_next(&seed) - 1;
    seed_wire_expire(&seed);
    ck_assert_uint_eq(ngot, 0);
    now_ns++;
    seed_wire_expire(&seed);
    ck_assert_uint_eq(ngot, 1);
}
END_TEST

START_TEST(in_order)
{
    opts.faults.stall = 5000;
    for (uint32_t i = 0; i < 2000; i++) {
        send_frame(0, 1, i);
        now_ns += i % 7 * 1000;
        seed_wire_expire(&seed);
    }
    drain();
    ck_assert_uint_eq(ngot, 2000);
    for (uint32_t i = 0; i < 2000; i++)
        ck_assert_uint_eq(got[i].number, i);
}
END_TEST

static unsigned count(uint32_t loss, uint32_t dup, uint32_t reorder, unsigned *swapped)
{
    unsigned from = ngot;

    opts.faults.loss = loss;
    opts.faults.dup = dup;
    opts.faults.reorder = reorder;
    *swapped = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        send_frame(0, 1, i);
        now_ns += 10000;
        seed_wire_expire(&seed);
    }
    drain();
    for (unsigned i = from + 1; i < ngot; i++)
        *swapped += got[i].number < got[i - 1].number;
    return ngot - from;
}

/* The rates are what was asked for, within what 4000 frames can say. */
START_TEST(rates)
{
    unsigned n, swapped;

    n = count(200000, 0, 0, &swapped);
    ck_assert_uint_ge(n, 3050);
    ck_assert_uint_le(n, 3350);
    ck_assert_uint_eq(swapped, 0);
    n = count(0, 100000, 0, &swapped);
    ck_assert_uint_ge(n, 4280);
    ck_assert_uint_le(n, 4520);
    n = count(0, 0, 100000, &swapped);
    ck_assert_uint_eq(n, 4000);
    ck_assert_uint_ge(swapped, 250);
    ck_assert_uint_gt(records, 1000);
}
END_TEST

START_TEST(a_seed_decides)
{
    static const uint64_t seeds[3] = {7, 7, 8};
    uint64_t sum[3];

    for (unsigned run = 0; run < 3; run++) {
        unsigned swapped;

        teardown();
        setup();
        opts.seed = seeds[run];
        count(100000, 50000, 50000, &swapped);
        sum[run] = 0;
        for (unsigned i = 0; i < ngot; i++)
            sum[run] = seed_mix(sum[run], got[i].number, got[i].at, 0);
    }
    ck_assert_uint_eq(sum[0], sum[1]);
    ck_assert_uint_ne(sum[0], sum[2]);
}
END_TEST

START_TEST(offered_again)
{
    send_frame(0, 1, 1);
    nics[1].refuse = 10;
    drain();
    ck_assert_uint_eq(ngot, 1);
    ck_assert_uint_gt(got[0].at, 10 * 50000);
    send_frame(0, 1, 2); /* but not for ever */
    nics[1].refuse = 1000000;
    drain();
    ck_assert_uint_eq(ngot, 1);
    ck_assert_uint_lt(now_ns, 200000000);
}
END_TEST

START_TEST(lost_node)
{
    send_frame(0, 1, 1);
    atomic_store(&node[1].end, NODE_LOST);
    drain();
    ck_assert_uint_eq(ngot, 0);
    atomic_store(&node[1].end, NODE_RUNS);
    seed_wire_join(&seed, 1);
    send_frame(0, 1, 2);
    send_frame(1, 0, 3);
    drain();
    ck_assert_uint_eq(ngot, 2);
}
END_TEST

/* A sender without end takes a bounded amount of the host's memory. */
START_TEST(bounded)
{
    uint8_t runt[5] = {0};

    for (uint32_t i = 0; i < 10000; i++)
        send_frame(0, 1, i);
    nics[0].transmit(nics[0].arg, runt, sizeof(runt)); /* without a whole address */
    drain();
    ck_assert_uint_eq(ngot, 8192);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wire by a seed");
    TCase *c = tcase_create("wire");
    SRunner *sr;
    int failed;

    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, who_gets_it);
    tcase_add_test(c, nothing_before_its_time);
    tcase_add_test(c, in_order);
    tcase_add_test(c, rates);
    tcase_add_test(c, a_seed_decides);
    tcase_add_test(c, offered_again);
    tcase_add_test(c, lost_node);
    tcase_add_test(c, bounded);
    suite_add_tcase(s, c);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
