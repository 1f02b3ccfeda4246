/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: guest/bridge/noc.c guest/bridge/args.c */
/* The bridge's rings to its node, against a node of the test's own; and the bridge's arguments. */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../guest/bridge/args.h"
#include "../../guest/bridge/linger.h"
#include "../../guest/bridge/noc.h"
#include "errors.h"

static struct bridge_area *area;
static struct noc noc;

/* What the node saw, and what the bridge was told. */
static uint32_t served, runs, told;
static struct bridge_pkt seen[4096];
static uint64_t last_handle;
static uint32_t last_result;
static uint8_t last_data[BRIDGE_DATA];
static bool last_had_data;

static void run(void *arg)
{
    (void)arg;
    runs++;
    ck_assert_uint_le(area->in_tail - area->in_head, BRIDGE_SLOTS);
    while (area->in_head != area->in_tail) {
        struct bridge_pkt *e = &area->in[area->in_head % BRIDGE_SLOTS];
        uint8_t *data = area->in_data[area->in_head % BRIDGE_SLOTS];

        ck_assert_uint_lt(served, 4096);
        seen[served++] = *e;
        if (e->op == BRIDGE_WRITE && e->len)
            ck_assert_uint_eq(data[e->len - 1], (uint8_t)e->offset);
        if (e->op == BRIDGE_READ)
            memset(data, (int)e->offset, e->len);
        e->result = e->dst_pe == 9 ? SE_VPE_GONE : SE_OK;
        area->in_head++;
    }
}

static void delivered(void *arg, uint64_t handle, uint32_t result, const void *data)
{
    (void)arg;
    told++;
    last_handle = handle;
    last_result = result;
    last_had_data = data != NULL;
    if (data)
        memcpy(last_data, data, BRIDGE_DATA);
}

static void setup(void)
{
    static const struct noc_ops ops = {.run = run, .delivered = delivered};

    area = calloc(1, sizeof(*area));
    served = runs = told = 0;
    noc_init(&noc, area, &ops);
}

static void teardown(void)
{
    free(area);
}

/* The node appends to `out`. */
static void append(uint32_t id)
{
    struct bridge_pkt *e = &area->out[area->out_tail % BRIDGE_SLOTS];

    *e = (struct bridge_pkt){.op = BRIDGE_WRITE, .id = id, .len = 5};
    memset(area->out_data[area->out_tail % BRIDGE_SLOTS], (int)id, 5);
    area->out_tail++;
}

START_TEST(out_in_order)
{
    uint32_t put = 0, got = 0;
    const void *data;
    const struct bridge_pkt *p;

    ck_assert_ptr_null(noc_peek(&noc, &data));
    while (got < 5000) {
        for (unsigned n = (unsigned)rand() % BRIDGE_SLOTS; n && put - got < BRIDGE_SLOTS; n--)
            append(++put);
        for (unsigned n = (unsigned)rand() % BRIDGE_SLOTS; n && got < put; n--) {
            p = noc_peek(&noc, &data);
            ck_assert_ptr_nonnull(p);
            ck_assert_uint_eq(p->id, ++got);
            ck_assert_uint_eq(((const uint8_t *)data)[4], (uint8_t)got);
            ck_assert_uint_eq(area->out_head, got - 1);
            noc_take(&noc);
            ck_assert_uint_eq(area->out_head, got);
        }
    }
    ck_assert_uint_eq(noc.stats.out, got);
}
END_TEST

START_TEST(delivers)
{
    uint8_t bytes[BRIDGE_DATA];
    struct bridge_pkt p = {.op = BRIDGE_WRITE, .dst_pe = 3, .len = BRIDGE_DATA, .offset = 0x77};

    memset(bytes, 0x77, sizeof(bytes));
    noc_deliver(&noc, 42, &p, bytes);
    ck_assert(noc_waiting(&noc));
    ck_assert_uint_eq(served, 0);
    noc_run(&noc);
    ck_assert(!noc_waiting(&noc));
    ck_assert_uint_eq(last_handle, 42);
    ck_assert_uint_eq(last_result, SE_OK);
    ck_assert(!last_had_data);

    p = (struct bridge_pkt){.op = BRIDGE_READ, .dst_pe = 3, .len = 100, .offset = 0x55};
    noc_deliver(&noc, 43, &p, NULL);
    noc_run(&noc);
    ck_assert(last_had_data);
    ck_assert_uint_eq(last_data[99], 0x55);

    p.dst_pe = 9;
    noc_deliver(&noc, 44, &p, NULL);
    noc_run(&noc);
    ck_assert(!last_had_data);
    ck_assert_uint_eq(last_result, SE_VPE_GONE);
}
END_TEST

/* Any mixture, one run for all of it, every outcome told once. */
START_TEST(batches)
{
    uint32_t handles = 0, ids = 0, done = 0;
    uint8_t bytes[BRIDGE_DATA];

    while (handles < 1500) {
        unsigned n = (unsigned)rand() % (BRIDGE_SLOTS + 1);

        for (unsigned i = 0; i < n; i++) {
            struct bridge_pkt p = {.op = BRIDGE_WRITE, .dst_pe = 3, .len = 9, .offset = i};

            ck_assert_uint_eq(noc_room(&noc), BRIDGE_SLOTS - i);
            memset(bytes, (int)i, 9);
            if (rand() % 2)
                noc_deliver(&noc, ++handles, &p, bytes);
            else
                noc_complete(&noc, ++ids, 7, SE_OK, bytes, 9);
        }
        noc_run(&noc);
        ck_assert_uint_eq(runs, ++done);
        ck_assert_uint_eq(told, handles);
        ck_assert_uint_eq(served, handles + ids);
        ck_assert_uint_eq(noc_room(&noc), BRIDGE_SLOTS);
    }
    for (uint32_t i = 0, id = 0; i < served; i++)
        if (seen[i].op == BRIDGE_COMPLETE)
            ck_assert_uint_eq(seen[i].id, ++id);
    ck_assert_uint_eq(noc.stats.delivered, handles);
    ck_assert_uint_eq(noc.stats.completed, ids);
}
END_TEST

/* In two steps, with the caller's own store between them. */
START_TEST(by_steps)
{
    struct bridge_pkt p = {.op = BRIDGE_WRITE, .dst_pe = 3};

    ck_assert_uint_eq(noc_messages(&noc), 0);
    noc_deliver(&noc, 1, &p, NULL);
    p.op = BRIDGE_READ;
    noc_deliver(&noc, 2, &p, NULL);
    p.op = BRIDGE_MSG;
    noc_deliver(&noc, 3, &p, NULL);
    noc_complete(&noc, 4, 7, SE_OK, NULL, 0);
    ck_assert_uint_eq(noc_messages(&noc), 1);
    ck_assert_uint_eq(noc_transfers(&noc), 2);
    ck_assert_uint_eq(area->in_tail, 0);
    noc_post(&noc);
    ck_assert_uint_eq(area->in_tail, 4);
    ck_assert_uint_eq(told, 0);
    run(NULL);
    noc_collect(&noc);
    ck_assert_uint_eq(told, 3);
    ck_assert_uint_eq(last_handle, 3);
    ck_assert_uint_eq(noc_messages(&noc) + noc_transfers(&noc), 0);
    ck_assert(!noc_waiting(&noc));
    /* What had no room comes behind the rest, and is to be posted, too. */
    for (uint32_t i = 1; i <= BRIDGE_SLOTS + 3; i++)
        noc_complete(&noc, i, 7, SE_RECV_GONE, NULL, 0);
    noc_post(&noc);
    run(NULL);
    noc_collect(&noc);
    ck_assert(noc_waiting(&noc));
    noc_post(&noc);
    run(NULL);
    noc_collect(&noc);
    ck_assert(!noc_waiting(&noc));
    ck_assert_uint_eq(served, 4 + BRIDGE_SLOTS + 3);
    ck_assert_uint_eq(noc.stats.runs, 3);
}
END_TEST

/* When an answer waits for company: only where the last messages had some, and not for long. */
START_TEST(lingering)
{
    struct habit l = {0};
    uint64_t t = 1000000;

    for (unsigned i = 0; i < 50; i++, t += 1000) /* nobody ever answers */
        linger_delivered(&l, t);
    ck_assert_uint_eq(linger_ns(&l), 0);
    for (unsigned i = 0; i < LINGER_SURE; i++) {
        ck_assert_uint_eq(linger_ns(&l), 0);
        linger_packet(&l, t += 30000);
        linger_packet(&l, t); /* counts once */
        linger_delivered(&l, t);
    }
    ck_assert_uint_eq(linger_ns(&l), 4 * l.average);
    ck_assert_uint_gt(l.average, 15000);
    ck_assert_uint_le(l.average, 31000);
    linger_packet(&l, t += 1000);
    for (unsigned i = 0; i < 20; i++) { /* quick ones */
        linger_delivered(&l, t);
        linger_packet(&l, t += 1000);
    }
    ck_assert_uint_eq(linger_ns(&l), LINGER_MIN);
    for (unsigned i = 0; i < 20; i++) { /* slow ones */
        linger_delivered(&l, t);
        linger_packet(&l, t += LINGER_MAX);
    }
    ck_assert_uint_eq(linger_ns(&l), LINGER_MAX);
    for (unsigned i = 0; i < LINGER_TOP; i++) { /* too slow */
        linger_delivered(&l, t);
        linger_packet(&l, t += LINGER_MAX + 1);
    }
    ck_assert_uint_eq(linger_ns(&l), 0);
    ck_assert_uint_eq(gather_want(0), 0);
    ck_assert_uint_eq(gather_want(GATHER_LEAST - 1), 0);
    ck_assert_uint_eq(gather_want(GATHER_LEAST), GATHER_FRAME);
}
END_TEST

/* A lost node fails everything at once, when the ring may be full already. */
START_TEST(many_failures)
{
    for (uint32_t i = 1; i <= 2 * BRIDGE_SLOTS; i++)
        noc_complete(&noc, i, 7, SE_RECV_GONE, NULL, 0);
    ck_assert_uint_eq(noc_room(&noc), 0);
    noc_run(&noc);
    ck_assert_uint_eq(served, 2 * BRIDGE_SLOTS);
    for (uint32_t i = 0; i < served; i++) {
        ck_assert_uint_eq(seen[i].id, i + 1);
        ck_assert_uint_eq(seen[i].result, SE_RECV_GONE);
    }
    ck_assert(!noc_waiting(&noc));
    ck_assert_uint_eq(noc.stats.completed, 2 * BRIDGE_SLOTS);
    ck_assert_uint_eq(noc.stats.refused, 0);
}
END_TEST

START_TEST(no_room)
{
    struct bridge_pkt p = {.op = BRIDGE_WRITE, .dst_pe = 3};

    for (unsigned i = 0; i < BRIDGE_SLOTS; i++)
        noc_deliver(&noc, i, &p, NULL);
    ck_assert_uint_eq(told, 0);
    noc_deliver(&noc, 1000, &p, NULL);
    ck_assert_uint_eq(told, 1);
    ck_assert_uint_eq(last_handle, 1000);
    ck_assert_uint_eq(last_result, SE_NO_RING_SPACE);
    noc_run(&noc);
    ck_assert_uint_eq(told, BRIDGE_SLOTS + 1);
    p.len = BRIDGE_DATA + 1;
    noc_deliver(&noc, 1001, &p, NULL);
    ck_assert_uint_eq(noc.stats.refused, 2);
}
END_TEST

/* ---- arguments ---- */

/* As lwIP's, without lwIP. */
bool net_parse(const char *text, struct net_addr *addr)
{
    memset(addr, 0, sizeof(*addr));
    addr->kind = strchr(text, ':') ? 6 : 4;
    return inet_pton(addr->kind == 6 ? AF_INET6 : AF_INET, text, addr->bytes) == 1;
}

static bool parse(struct args *a, const char *one, const char *two, const char *three)
{
    char *argv[4] = {"bridge", (char *)(uintptr_t)one, (char *)(uintptr_t)two,
                     (char *)(uintptr_t)three};
    const char *wrong;

    return args_parse(three ? 4 : two ? 3 : one ? 2 : 1, argv, a, &wrong);
}

#define NODE0 "node=0,1,6,0,7,52:54:00:00:0a:01,10.83.0.1"
#define NODE1 "node=1,9,14,8,15,52:54:00:00:0A:02,10.83.0.2,fd00::2"

START_TEST(good_arguments)
{
    struct args a, b;

    ck_assert(parse(&a, "self=1", NODE0, NODE1));
    ck_assert(parse(&b, NODE0, NODE1, "self=0"));
    ck_assert_uint_eq(a.self, 1);
    ck_assert_uint_eq(a.nodes, 2);
    ck_assert_uint_eq(a.count, 2);
    ck_assert_uint_eq(a.machine.nodes, b.machine.nodes);
    ck_assert_uint_eq(a.machine.lines | a.machine.sizes, 0);
    ck_assert_uint_eq(a.node[1].first, 9);
    ck_assert_uint_eq(a.node[1].last, 14);
    ck_assert_uint_eq(a.node[1].memory, 8);
    ck_assert_uint_eq(a.node[1].bridge, 15);
    ck_assert_mem_eq(a.node[1].mac, "\x52\x54\0\0\x0a\x02", 6);
    ck_assert_uint_eq(a.node[0].ip6.kind, 0);
    ck_assert_uint_eq(a.node[1].ip6.kind, 6);
    ck_assert(parse(&b, "self=0", NODE0, "node=1,9,14,8,16,52:54:00:00:0A:02,10.83.0.2"));
    ck_assert_uint_ne(a.machine.nodes, b.machine.nodes);
    ck_assert(parse(&a, "self=0", NODE0, "lines=89abcdef sizes=1f"));
    ck_assert_uint_eq(a.machine.lines, 0x89abcdef);
    ck_assert_uint_eq(a.machine.sizes, 0x1f);
    ck_assert(parse(&a, "self=0", "node=0,1,1,65535,1,52:54:00:00:0a:01,10.83.0.1", "stats"));
    ck_assert_uint_eq(a.count, 1);
    ck_assert(a.stats);
    ck_assert_uint_eq(a.mtu | a.dead_ms, 0);
    ck_assert(parse(&a, "self=0", NODE0, "mtu=1000 dead=5000 boot=700 stats"));
    ck_assert_uint_eq(a.mtu, 1000);
    ck_assert_uint_eq(a.dead_ms, 5000);
    ck_assert(a.stats);
}
END_TEST

START_TEST(bad_arguments)
{
    static const char *const bad[] = {
        "node=",
        "node=1",
        "node=64,1,1,0,1,52:54:00:00:0a:01,10.83.0.1",
        "node=1,9,1023,8,15,52:54:00:00:0a:02,10.83.0.2",
        "node=1,14,9,8,15,52:54:00:00:0a:02,10.83.0.2",
        "node=1,9,14,65536,15,52:54:00:00:0a:02,10.83.0.2",
        "node=1,9,14,99999999999999999999,15,52:54:00:00:0a:02,10.83.0.2",
        "node=1,9,14,8,15,52:54:00:00:0a,10.83.0.2",
        "node=1,9,14,8,15,52:54:00:00:0a:0g,10.83.0.2",
        "node=1,9,14,8,15,52:54:00:00:0a:02,10.83.0",
        "node=1,9,14,8,15,52:54:00:00:0a:02,fd00::1",
        "node=1,9,14,8,15,52:54:00:00:0a:02,10.83.0.2,10.83.0.3",
        "node=1,9,14,8,15,52:54:00:00:0a:02,10.83.0.2,fd00::1,",
        "node=1,9,14,8,15,52:54:00:00:0a:02,"
        "1111111111111111111111111111111111111111111111111111111111111111",
        NODE0,
        "lines=",
        "lines=123456789",
        "sizes=12g",
        "mtu=0",
        "mtu=1473",
        "mtu=1344x",
        "self=",
        "self=64",
        "statistics",
        "dead=9",
        "boot=9",
        "boot=",
        "dead=3600001",
        "dead=",
        "stats ",
        " stats",
        "stats  stats",
        "",
    };
    struct args a;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!parse(&a, "self=0", NODE0, bad[i]), "%s", bad[i]);
    ck_assert(!parse(&a, NULL, NULL, NULL));
    ck_assert(!parse(&a, "self=1", NODE0, NULL));
    ck_assert(!parse(&a, NODE0, NULL, NULL));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bridge_noc");
    TCase *t = tcase_create("bridge_noc");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, out_in_order);
    tcase_add_test(t, delivers);
    tcase_add_test(t, batches);
    tcase_add_test(t, by_steps);
    tcase_add_test(t, lingering);
    tcase_add_test(t, many_failures);
    tcase_add_test(t, no_room);
    tcase_add_test(t, good_arguments);
    tcase_add_test(t, bad_arguments);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
