/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: tests/unit/link_sim.c tests/unit/link_sim_wire.c guest/bridge/link.c */
/* LINK: guest/bridge/link_hs.c guest/bridge/link_rx.c guest/bridge/link_rec.c */
/* LINK: guest/bridge/link_tx.c */
/*
 * Connections: how they come up, in whatever order the handshake's frames arrive, what cannot end
 * them, and when they count as dead.
 */
#include <check.h>
#include <stdio.h>

#include "link_puppet.h"
#include "link_sim.h"

static const struct sim_config two = {
    .seed = 7, .nodes = 2, .pes = 4, .think = 5 * SIM_MS, .wire = {.delay = 100 * SIM_US}};

/* ---- with a puppet as the peer ---- */

/* HELLO, WELCOME, first frame; only the last one connects. */
START_TEST(three_ways)
{
    struct puppet *p = puppet_new(4);

    puppet_hello(p, LINK_HELLO, PUPPET_EPOCH, 0, 77);
    ck_assert_int_eq(link_state(p->link, 1), LINK_SEEKING);
    ck_assert_uint_eq(p->head.type, LINK_WELCOME);
    ck_assert(p->head.dst_epoch == PUPPET_EPOCH && p->head.src_epoch);
    p->theirs = p->head.src_epoch;
    p->seq = (uint32_t)PUPPET_EPOCH;
    p->ack = (uint32_t)p->theirs;
    puppet_data(p, NULL, 0);
    ck_assert_int_eq(link_state(p->link, 1), LINK_LIVE);
    /* And the other way round: it says HELLO, we WELCOME it. */
    puppet_free(p);
    p = puppet_new(4);
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->head.type, LINK_HELLO);
    ck_assert(p->head.dst_epoch == 0);
    uint64_t it = p->head.src_epoch;
    puppet_hello(p, LINK_WELCOME, PUPPET_EPOCH, it + 1, 77); /* to another epoch */
    puppet_hello(p, LINK_WELCOME, PUPPET_EPOCH, it, 78);     /* another machine */
    ck_assert_int_eq(link_state(p->link, 1), LINK_SEEKING);
    ck_assert_uint_eq(link_stats(p->link)->drops[LINK_DROP_EPOCH], 1);
    ck_assert_uint_eq(link_stats(p->link)->drops[LINK_DROP_MACHINE], 1);
    ck_assert_uint_eq(link_differs(p->link, 1), LINK_DIFFERS_NODES);
    puppet_hello(p, LINK_WELCOME, PUPPET_EPOCH, it, 77);
    ck_assert_int_eq(link_state(p->link, 1), LINK_LIVE);
    /* Its first frame follows at once, though it is empty. */
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->head.type, LINK_DATA);
    ck_assert_uint_eq(p->head.flags & LINK_F_SEQ, LINK_F_SEQ);
    ck_assert(p->head.dst_epoch == PUPPET_EPOCH && p->head.src_epoch == it);
    puppet_free(p);
}
END_TEST

static void hello_of(struct puppet *p, uint32_t magic, struct link_hello b)
{
    struct link_head h = puppet_head(p, LINK_HELLO, sizeof(b));

    h.magic = magic;
    h.src_epoch = PUPPET_EPOCH;
    h.dst_epoch = 0;
    puppet_frame(p, &h, &b, sizeof(b));
}

/* Who does not connect, and why: the owner can tell. */
START_TEST(differs)
{
    struct puppet *p = puppet_new(4);

    ck_assert_uint_eq(link_differs(p->link, 1), 0);
    hello_of(p, LINK_MAGIC, (struct link_hello){77, 1, 79});
    ck_assert_uint_eq(link_differs(p->link, 1), LINK_DIFFERS_LINES);
    hello_of(p, LINK_MAGIC, (struct link_hello){77, 78, 1});
    ck_assert_uint_eq(link_differs(p->link, 1), LINK_DIFFERS_SIZES);
    hello_of(p, LINK_MAGIC, (struct link_hello){1, 2, 3});
    ck_assert_uint_eq(link_differs(p->link, 1),
                      LINK_DIFFERS_NODES | LINK_DIFFERS_LINES | LINK_DIFFERS_SIZES);
    ck_assert_uint_eq(link_stats(p->link)->drops[LINK_DROP_MACHINE], 3);
    hello_of(p, LINK_MAGIC ^ 1u << 24, (struct link_hello){77, 78, 79});
    ck_assert_uint_eq(link_differs(p->link, 1), LINK_DIFFERS_VERSION);
    hello_of(p, LINK_MAGIC, (struct link_hello){77, 1, 79});
    hello_of(p, 0x12345678, (struct link_hello){77, 78, 79}); /* noise says nothing */
    ck_assert_uint_eq(link_differs(p->link, 1), LINK_DIFFERS_LINES);
    ck_assert_int_eq(link_state(p->link, 1), LINK_SEEKING);
    /* It got the right file; and what hostile frames say of a live node is not told. */
    puppet_connect(p);
    ck_assert_uint_eq(link_differs(p->link, 1), 0);
    hello_of(p, LINK_MAGIC, (struct link_hello){1, 2, 3});
    hello_of(p, LINK_MAGIC ^ 1u << 24, (struct link_hello){77, 78, 79});
    ck_assert_uint_eq(link_differs(p->link, 1), 0);
    ck_assert_int_eq(link_state(p->link, 1), LINK_LIVE);
    puppet_free(p);
}
END_TEST

/* Whoever sends what he likes makes its owner tell a few things once, and not without end. */
START_TEST(differs_told_once)
{
    struct puppet *p = puppet_new(4);
    unsigned news = 0;

    ck_assert_uint_eq(link_differs_news(p->link, 1), 0);
    for (unsigned i = 0; i < 1000; i++) {
        hello_of(p, LINK_MAGIC ^ (i % 3 ? 0 : 1u << 24), (struct link_hello){77, i & 1, i & 2});
        news += link_differs_news(p->link, 1) != 0;
        ck_assert_uint_eq(link_differs_news(p->link, 1), 0);
        ck_assert_uint_ne(link_differs(p->link, 1), 0);
    }
    ck_assert_uint_eq(news, 2);
    ck_assert_uint_eq(link_differs_news(p->link, 0), 0); /* ourselves */
    ck_assert_uint_eq(link_differs_news(p->link, LINK_NODE_ANY), 0);
    /* It was there, is gone, and comes back with another file: that is new. */
    puppet_connect(p);
    ck_assert_uint_eq(link_differs_news(p->link, 1), 0);
    puppet_pass(p, 4 * SIM_S);
    ck_assert_int_ne(link_state(p->link, 1), LINK_LIVE);
    hello_of(p, LINK_MAGIC, (struct link_hello){77, 1, 2});
    ck_assert_uint_eq(link_differs_news(p->link, 1), LINK_DIFFERS_LINES | LINK_DIFFERS_SIZES);
    puppet_free(p);
}
END_TEST

/* A HELLO alone, old or not, changes nothing; the first frame of the new one does, at once. */
START_TEST(restart)
{
    struct puppet *p = puppet_new(4);
    uint64_t was, offered;

    puppet_connect(p);
    was = p->theirs;
    ck_assert(puppet_submit(p, BRIDGE_WRITE, 4000, 1));
    ck_assert(puppet_submit(p, BRIDGE_READ, 10, 2));
    puppet_tick(p, 0);
    for (unsigned i = 0; i < 50; i++) {
        puppet_hello(p, LINK_HELLO, 1000 + i, 0, 77);
        ck_assert(p->head.type == LINK_WELCOME && p->head.dst_epoch == 1000 + i);
        ck_assert(p->head.src_epoch != was);
        puppet_hello(p, LINK_WELCOME, 1000 + i, was, 77);
    }
    offered = p->head.src_epoch;
    ck_assert_uint_eq(p->completed, 0);
    /* A second HELLO of the live one, whose frames we have: it is told the same as before. */
    puppet_hello(p, LINK_HELLO, PUPPET_EPOCH, 0, 77);
    ck_assert(p->head.src_epoch == was);
    puppet_data(p, NULL, 0);
    ck_assert_uint_eq(link_stats(p->link)->restarts, 0);

    struct link_head h = puppet_head(p, LINK_DATA, 0);
    h.src_epoch = 1007;
    h.dst_epoch = offered;
    h.ack = (uint32_t)offered;
    puppet_frame(p, &h, NULL, 0);
    ck_assert_uint_eq(link_stats(p->link)->restarts, 1);
    ck_assert_uint_eq(p->completed, 2);
    ck_assert_uint_eq(p->result[0], SE_RECV_GONE);
    ck_assert_uint_eq(p->result[1], SE_RECV_GONE);
    ck_assert_int_eq(link_state(p->link, 1), LINK_LIVE);
    /* What the old one still says is nothing now, nor can it come back. */
    puppet_data(p, NULL, 0);
    h.src_epoch = 1008;
    puppet_frame(p, &h, NULL, 0);
    h.src_epoch = PUPPET_EPOCH;
    puppet_frame(p, &h, NULL, 0);
    ck_assert_uint_eq(link_stats(p->link)->restarts, 1);
    ck_assert_uint_eq(link_stats(p->link)->drops[LINK_DROP_EPOCH], 50 + 3);
    puppet_tick(p, 0);
    ck_assert(p->head.dst_epoch == 1007 && p->head.src_epoch == offered);
    puppet_free(p);
}
END_TEST

/*
 * A WELCOME that was late: its sender has begun another attempt since, which got our answer to its
 * HELLO.  The first frame of that attempt counts, but none once frames have come.
 */
START_TEST(late_welcome)
{
    struct puppet *p = puppet_new(4);
    struct link_head h;

    puppet_hello(p, LINK_HELLO, 2222, 0, 77);
    p->theirs = p->head.src_epoch;
    puppet_hello(p, LINK_WELCOME, 1111, p->theirs, 77);
    ck_assert_int_eq(link_state(p->link, 1), LINK_LIVE);
    ck_assert(puppet_submit(p, BRIDGE_MSG, 5, 1));
    h = puppet_head(p, LINK_DATA, 0);
    h.ack = (uint32_t)p->theirs;
    h.src_epoch = 2222;
    puppet_frame(p, &h, NULL, 0);
    ck_assert_uint_eq(p->completed, 1);
    ck_assert_uint_eq(p->result[0], SE_RECV_GONE);
    puppet_tick(p, 0);
    ck_assert(p->head.dst_epoch == 2222 && p->head.src_epoch == p->theirs);
    for (uint64_t e = 1111; e <= 3333; e += 2222) {
        h.src_epoch = e;
        puppet_frame(p, &h, NULL, 0);
    }
    ck_assert_uint_eq(link_stats(p->link)->restarts, 1);
    ck_assert_uint_eq(link_stats(p->link)->drops[LINK_DROP_EPOCH], 2);
    puppet_free(p);
}
END_TEST

/* A packet that was delivered before a restart is answered after it: to nobody. */
START_TEST(late_answer)
{
    const struct link_rec r = {.op = LINK_MSG, .flags = LINK_FIRST, .len = 8, .total = 8};
    struct puppet *p = puppet_new(4);
    uint8_t body[200] = {0};
    size_t len = puppet_rec(body, 0, r, NULL);

    p->hold = true;
    puppet_connect(p);
    puppet_data(p, body, len);
    uint64_t old = p->handle;
    puppet_hello(p, LINK_HELLO, 1007, 0, 77);
    struct link_head h = puppet_head(p, LINK_DATA, len);
    h.src_epoch = 1007;
    h.dst_epoch = p->head.src_epoch;
    h.ack = (uint32_t)h.dst_epoch;
    h.flags = LINK_F_SEQ;
    h.seq = 1007;
    puppet_frame(p, &h, body, len);
    ck_assert_uint_eq(p->delivered, 2);
    ck_assert(p->handle != old);
    link_delivered(p->link, old, SE_OK, NULL);
    ck_assert_uint_eq(link_stats(p->link)->stale, 1);
    link_delivered(p->link, p->handle, SE_NO_RING_SPACE, NULL);
    link_delivered(p->link, p->handle, SE_OK, NULL); /* once is enough */
    link_delivered(p->link, ~0ull, SE_OK, NULL);
    ck_assert_uint_eq(link_stats(p->link)->stale, 3);
    puppet_tick(p, 0);
    struct link_rec a;
    memcpy(&a, p->frame + sizeof(h), sizeof(a));
    ck_assert_uint_eq(a.op, LINK_ANSWER);
    ck_assert_uint_eq(a.result, SE_NO_RING_SPACE);
    puppet_free(p);
}
END_TEST

/* One that hears us, but never takes what we sent, is not connected either. */
START_TEST(never_takes)
{
    struct puppet *p = puppet_new(4);
    uint64_t start;

    puppet_connect(p);
    ck_assert(puppet_submit(p, BRIDGE_MSG, 8, 1));
    start = p->now;
    while (!p->completed && p->now < start + 20 * SIM_S) {
        puppet_pass(p, 100 * SIM_MS);
        struct link_head h = puppet_head(p, LINK_DATA, 0);
        h.flags = LINK_F_ECHO;
        h.ack = p->ack;
        h.echo = p->head.stamp;
        puppet_frame(p, &h, NULL, 0);
    }
    ck_assert_uint_eq(p->result[0], SE_RECV_GONE);
    ck_assert(p->now - start >= 8 * SIM_S && p->now - start < 9 * SIM_S);
    puppet_free(p);
}
END_TEST

/* ---- two links ---- */

START_TEST(both_at_once)
{
    struct sim_config cfg = two;

    for (unsigned i = 0; i < 200; i++) {
        cfg.seed = i;
        cfg.wire.loss = i % 4 ? 300 : 0;
        cfg.wire.jitter = i % 3 ? SIM_S / 2 : 0;
        struct sim *s = sim_new(&cfg);
        sim_connect(s, 60 * SIM_S);
        if (i % 4 == 0 && i % 3 == 0) {
            sim_must(s, s->now < SIM_MS);
            sim_must(s, s->node[0].ups[1] == 1 && s->node[1].ups[0] == 1);
        }
        sim_free(s);
    }
}
END_TEST

/* Nobody there: packets wait for the first connection until the bound, then none waits. */
START_TEST(boot_bound)
{
    struct sim *s = sim_new(&two);

    sim_crash(s, 1);
    sim_run(s, 1, 29700 * SIM_MS);
    sim_must(s, s->completed == 0 && s->begun == 4);
    sim_run(s, 4, 30100 * SIM_MS);
    sim_must(s, s->gone == 4 && s->now >= 30 * SIM_S);
    sim_must(s, link_state(s->node[0].link, 1) == LINK_LOST);
    sim_run(s, 100, s->now + SIM_S);
    sim_must(s, s->gone == 100 && s->node[0].longest < 31 * SIM_S);
    sim_start(s, 1);
    sim_connect(s, SIM_S);
    sim_drain(s, SIM_S);
    uint64_t gone = s->gone;
    sim_run(s, s->completed + 100, s->now + SIM_S);
    sim_must(s, s->gone == gone);
    sim_free(s);

    /* Late, but in time: all that waited arrives. */
    s = sim_new(&two);
    sim_crash(s, 1);
    sim_run(s, ~0ull, 20 * SIM_S);
    sim_start(s, 1);
    sim_run(s, 100, 25 * SIM_S);
    sim_must(s, s->completed >= 100 && s->gone == 0);
    sim_free(s);
}
END_TEST

/* Neither direction, or one of them, idle or under load: all are told within the bound. */
START_TEST(dead_bound)
{
    struct sim *s = sim_new(&two);
    bool idle = _i & 1, one = _i & 2;

    sim_connect(s, SIM_S);
    sim_run(s, 100, 10 * SIM_S);
    if (idle) {
        sim_drain(s, SIM_S);
        s->paused = true;
        sim_run(s, ~0ull, s->now + 10 * SIM_S);
        sim_must(s, link_stats(s->node[0].link)->losses == 0);
    }
    uint64_t cut = s->now;
    s->cut[0][1] = true;
    s->cut[1][0] = !one;
    while (link_state(s->node[0].link, 1) == LINK_LIVE ||
           link_state(s->node[1].link, 0) == LINK_LIVE) {
        sim_must(s, s->now < cut + 3 * SIM_S);
        sim_step(s);
    }
    sim_must(s, s->now >= cut + SIM_S && s->now <= cut + 2100 * SIM_MS);
    sim_must(s, s->gone > 0 || idle);
    /* From then on commands fail at once. */
    s->paused = false;
    s->node[0].longest = s->node[1].longest = 0;
    sim_run(s, s->completed + 100, s->now + 10 * SIM_S);
    sim_must(s, s->node[0].longest == 0 && s->node[1].longest == 0);
    sim_must(s, link_state(s->node[0].link, 1) == LINK_LOST);
    s->cut[0][1] = s->cut[1][0] = false;
    sim_connect(s, SIM_S);
    sim_drain(s, SIM_S);
    uint64_t gone = s->gone;
    sim_run(s, s->completed + 100, s->now + 10 * SIM_S);
    sim_must(s, s->gone == gone);
    sim_free(s);
}
END_TEST

/* A connection without traffic stays, and costs little. */
START_TEST(idle)
{
    struct sim *s = sim_new(&two);
    unsigned steps = 0;

    s->paused = true;
    sim_connect(s, SIM_S);
    uint64_t out = link_stats(s->node[0].link)->frames_out;
    for (; s->now < 100 * SIM_S; steps++)
        sim_step(s);
    out = link_stats(s->node[0].link)->frames_out - out;
    sim_must(s, link_stats(s->node[0].link)->losses == 0 && s->node[0].ups[1] == 1);
    sim_must(s, out <= 2 * 2 * 100 + 10 && out >= 100);
    sim_must(s, steps < 4000);
    sim_free(s);
}
END_TEST

/* Five minutes of it, from before the microseconds of the stamps wrap, also on a bad wire. */
START_TEST(idle_long)
{
    struct sim_config cfg = two;

    cfg.start = (1ull << 32) * SIM_US - 60 * SIM_S;
    if (_i)
        cfg.wire = (struct sim_wire){
            .loss = 200, .dup = 100, .reorder = 100, .distance = 50, .delay = 100 * SIM_US};
    struct sim *s = sim_new(&cfg);
    s->paused = true;
    sim_connect(s, s->now + 10 * SIM_S);
    uint64_t until = s->now + 300 * SIM_S;
    while (s->now < until)
        sim_step(s);
    for (unsigned k = 0; k < 2; k++)
        sim_must(s, link_stats(s->node[k].link)->losses == 0 && s->node[k].ups[!k] == 1);
    sim_free(s);
}
END_TEST

/* A node that did not run for a while: nothing is declared dead for that, on either side. */
START_TEST(own_pause)
{
    struct sim_config cfg = two;

    for (unsigned i = 0; i < 20; i++) {
        cfg.seed = i;
        struct sim *s = sim_new(&cfg);
        sim_connect(s, SIM_S);
        sim_run(s, 50, 10 * SIM_S);
        s->node[0].frozen = s->now + 1600 * SIM_MS;
        sim_run(s, 500, s->now + 20 * SIM_S);
        sim_must(s, s->gone == 0 && s->completed >= 500);
        /* Longer: the others give it up, and it comes back. */
        s->node[0].frozen = s->now + 5 * SIM_S;
        sim_run(s, ~0ull, s->now + 4 * SIM_S);
        sim_must(s, link_state(s->node[1].link, 0) == LINK_LOST);
        sim_run(s, ~0ull, s->now + 2 * SIM_S);
        sim_connect(s, 10 * SIM_S);
        sim_free(s);
    }
}
END_TEST

/* All of them stood still, as when their host sleeps, in the middle of something: no death. */
START_TEST(all_pause)
{
    for (unsigned i = 0; i < 20; i++) {
        struct sim_config cfg = two;
        cfg.seed = i;
        struct sim *s = sim_new(&cfg);
        sim_connect(s, SIM_S);
        sim_run(s, 50 + i, 10 * SIM_S);
        s->node[0].frozen = s->node[1].frozen = s->now + 10 * SIM_S;
        sim_run(s, 500, s->now + 20 * SIM_S);
        sim_must(s, s->gone == 0 && s->completed >= 500);
        sim_free(s);
    }
}
END_TEST

/* On a host so busy that each node runs for a moment only now and then, nobody is dead. */
START_TEST(starved)
{
    struct sim_config cfg = two;

    for (unsigned i = 0; i < 20; i++) {
        cfg.seed = i;
        struct sim *s = sim_new(&cfg);
        sim_connect(s, SIM_S);
        for (unsigned turn = 0; turn < 200; turn++) {
            for (unsigned k = 0; k < 2; k++)
                if (s->node[k].frozen <= s->now && sim_chance(s, 900))
                    s->node[k].frozen = s->now + sim_below(s, 1500) * SIM_MS;
            sim_run(s, ~0ull, s->now + 10 * SIM_MS + sim_below(s, 700) * SIM_MS);
        }
        sim_must(s, s->gone == 0 && s->node[0].downs[1] + s->node[1].downs[0] == 0);
        sim_free(s);
    }
}
END_TEST

/* Who runs late counts the time up to when it should have run: a silent peer is dead in the end. */
START_TEST(late)
{
    struct puppet *p = puppet_new(4);
    unsigned ticks = 0;

    puppet_connect(p);
    ck_assert(puppet_submit(p, BRIDGE_MSG, 8, 1));
    puppet_tick(p, 0);
    for (; p->state == LINK_LIVE && ticks < 1000; ticks++) {
        uint64_t due = link_deadline(p->link);

        puppet_tick(p, (due > p->now ? due - p->now : 0) + SIM_S);
    }
    ck_assert_uint_eq(p->state, LINK_LOST);
    ck_assert_uint_gt(ticks, 15); /* as many tries as in time */
    ck_assert_uint_lt(ticks, 60);
    puppet_free(p);
}
END_TEST

/* ---- everything that was ever sent, again ---- */

#define RECORDED 5000u
static struct {
    unsigned from;
    size_t len;
    uint8_t buf[LINK_FRAME_MAX];
} recorded[RECORDED];
static unsigned n_recorded;

static bool record(struct sim *s, unsigned from, unsigned to, const uint8_t *buf, size_t len)
{
    (void)s;
    (void)to;
    if (n_recorded < RECORDED) {
        recorded[n_recorded].from = from;
        recorded[n_recorded].len = len;
        memcpy(recorded[n_recorded++].buf, buf, len);
    }
    return true;
}

/* All frames of two lives, handshakes too, come again in the third, in any order. */
START_TEST(replayed)
{
    struct sim *s = sim_new(&two);

    n_recorded = 0;
    s->tap = record;
    for (unsigned life = 0; life < 2; life++) {
        sim_connect(s, 5 * SIM_S);
        sim_run(s, s->completed + 200, s->now + 10 * SIM_S);
        sim_crash(s, life);
        sim_start(s, life);
    }
    sim_connect(s, 5 * SIM_S);
    s->tap = NULL;
    sim_run(s, s->completed + 20, s->now + SIM_S);
    sim_drain(s, 3 * SIM_S);
    uint64_t ups = s->node[0].ups[1] + s->node[1].ups[0], gone = s->gone;
    sim_must(s, n_recorded > 400);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned k = (unsigned)sim_below(s, n_recorded);
        sim_inject(s, !recorded[k].from, recorded[k].from, recorded[k].buf, recorded[k].len);
        if (i % 4 == 0)
            sim_step(s);
    }
    sim_must(s, s->node[0].ups[1] + s->node[1].ups[0] == ups && s->gone == gone);
    sim_drain(s, 3 * SIM_S);
    sim_must(s, link_stats(s->node[0].link)->drops[LINK_DROP_EPOCH] > 1000);
    sim_free(s);
}
END_TEST

/* And within one life: nothing of it counts twice. */
START_TEST(replayed_now)
{
    struct sim_config cfg = two;

    cfg.think = 0;
    struct sim *s = sim_new(&cfg);
    n_recorded = 0;
    s->tap = record;
    sim_connect(s, 5 * SIM_S);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned k = (unsigned)sim_below(s, n_recorded);
        if (n_recorded)
            sim_inject(s, !recorded[k].from, recorded[k].from, recorded[k].buf, recorded[k].len);
        if (i % 2 == 0)
            sim_step(s);
    }
    sim_must(s, s->gone == 0 && s->node[0].ups[1] == 1 && s->node[1].ups[0] == 1);
    sim_must(s, s->completed > 1000);
    sim_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link_hs");
    TCase *tc = tcase_create("connections");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, three_ways);
    tcase_add_test(tc, differs);
    tcase_add_test(tc, differs_told_once);
    tcase_add_test(tc, restart);
    tcase_add_test(tc, late_welcome);
    tcase_add_test(tc, late_answer);
    tcase_add_test(tc, never_takes);
    tcase_add_test(tc, both_at_once);
    tcase_add_test(tc, boot_bound);
    tcase_add_loop_test(tc, dead_bound, 0, 4);
    tcase_add_test(tc, idle);
    tcase_add_loop_test(tc, idle_long, 0, 2);
    tcase_add_test(tc, own_pause);
    tcase_add_test(tc, all_pause);
    tcase_add_test(tc, starved);
    tcase_add_test(tc, late);
    tcase_add_test(tc, replayed);
    tcase_add_test(tc, replayed_now);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
