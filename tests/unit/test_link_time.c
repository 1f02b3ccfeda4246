/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: tests/unit/link_sim.c tests/unit/link_sim_wire.c guest/bridge/link.c */
/* LINK: guest/bridge/link_hs.c guest/bridge/link_rx.c guest/bridge/link_rec.c */
/* LINK: guest/bridge/link_tx.c */
/* When the link protocol acknowledges, how it measures, and what it sends again, when. */
#include <check.h>
#include <stdio.h>

#include "link_puppet.h"
#include "link_sim.h"

/* An acknowledgement waits for company, but no longer than it may. */
START_TEST(delayed_acks)
{
    struct puppet *p = puppet_new(64);
    unsigned frames;

    puppet_connect(p);
    puppet_tick(p, 10 * SIM_MS);
    frames = p->frames;
    puppet_data(p, NULL, 0);
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->frames, frames);
    ck_assert(link_deadline(p->link) == p->now + 2 * SIM_MS);
    puppet_tick(p, 2 * SIM_MS);
    ck_assert_uint_eq(p->frames, frames + 1);
    ck_assert_uint_eq(p->head.ack, p->seq);
    ck_assert_uint_eq(p->head.flags & LINK_F_SEQ, 0);
    /* With something else to send it goes along. */
    puppet_data(p, NULL, 0);
    ck_assert(puppet_submit(p, BRIDGE_MSG, 8, 1));
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->frames, frames + 2);
    ck_assert_uint_eq(p->head.ack, p->seq);
    puppet_tick(p, 5 * SIM_MS);
    ck_assert_uint_eq(p->frames, frames + 2);
    /* Eight are enough; so is a gap, or a duplicate. */
    for (unsigned i = 0; i < 8; i++)
        puppet_data(p, NULL, 0);
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->frames, frames + 3);
    p->seq++;
    puppet_data(p, NULL, 0);
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->frames, frames + 4);
    ck_assert(p->head.sack == 1);
    p->seq--;
    puppet_data(p, NULL, 0);
    puppet_tick(p, 0);
    ck_assert_uint_eq(p->frames, frames + 5);
    puppet_free(p);
}
END_TEST

/* The round trip is measured right, though frames are lost and sent again. */
START_TEST(round_trip)
{
    struct sim_config cfg = {
        .seed = 3, .nodes = 2, .pes = 5, .async = true, .wire = {.delay = 5 * SIM_MS, .loss = 200}};
    struct sim *s = sim_new(&cfg);

    sim_run(s, 3000, 1000 * SIM_S);
    uint64_t rtt = link_rtt(s->node[0].link, 1);
    sim_must(s, rtt >= 10 * SIM_MS && rtt < 10500 * SIM_US);
    sim_must(s, s->gone == 0 && link_stats(s->node[0].link)->resent > 300);
    sim_free(s);
}
END_TEST

/* What the other side held back does not count as a round trip. */
START_TEST(hold)
{
    struct puppet *p = puppet_new(4);

    puppet_connect(p);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(puppet_submit(p, BRIDGE_MSG, 8, 1 + i));
        puppet_tick(p, SIM_MS);
        struct link_head h = puppet_head(p, LINK_DATA, 0);
        h.flags = LINK_F_ECHO;
        h.ack = p->ack;
        h.echo = p->head.stamp;
        h.hold = i ? 10000000 : 7000; /* the second says more than there was */
        p->now += 10 * SIM_MS;
        puppet_frame(p, &h, NULL, 0);
        if (i == 0)
            ck_assert_uint_eq(link_rtt(p->link, 1), 3 * SIM_MS);
    }
    ck_assert(link_rtt(p->link, 1) < 3 * SIM_MS && link_rtt(p->link, 1) > 2 * SIM_MS);
    puppet_free(p);
}
END_TEST

/* `n` frames of one packet each are under way; the first has number p->ack. */
static struct puppet *under_way(unsigned n)
{
    struct puppet *p = puppet_new(64);

    puppet_connect(p);
    for (unsigned i = 0; i < n; i++) {
        ck_assert(puppet_submit(p, BRIDGE_MSG, 8, 1 + i));
        puppet_tick(p, 1000);
    }
    ck_assert_uint_eq(p->head.seq, p->ack + n - 1);
    return p;
}

static void sack(struct puppet *p, uint32_t ack, uint64_t bits)
{
    struct link_head h = puppet_head(p, LINK_DATA, 0);

    h.ack = ack;
    h.sack = bits;
    puppet_frame(p, &h, NULL, 0);
}

/* Three that left later have arrived: that one is lost, and that one only is sent again. */
START_TEST(fast)
{
    struct puppet *p = under_way(8);
    unsigned frames = p->frames;

    sack(p, p->ack, 3);
    puppet_tick(p, 100 * SIM_US);
    ck_assert_uint_eq(p->frames, frames);
    sack(p, p->ack, 7);
    puppet_tick(p, 100 * SIM_US);
    ck_assert_uint_eq(p->frames, frames + 1);
    ck_assert_uint_eq(p->head.seq, p->ack);
    ck_assert_uint_eq(link_stats(p->link)->fast, 1);
    ck_assert_uint_eq(link_stats(p->link)->resent, 1);
    /* The next hole: frame 4, as 5, 6 and 7 are there. */
    sack(p, p->ack + 4, 7);
    puppet_tick(p, 100 * SIM_US);
    ck_assert_uint_eq(p->head.seq, p->ack + 4);
    ck_assert_uint_eq(link_stats(p->link)->resent, 2);
    sack(p, p->ack + 8, 0);
    puppet_tick(p, 100 * SIM_MS);
    ck_assert_uint_eq(p->frames, frames + 2);
    ck_assert_uint_eq(link_stats(p->link)->timeouts, 0);
    puppet_free(p);
}
END_TEST

/* What is acknowledged must have been sent. */
START_TEST(sack_of_nothing)
{
    struct puppet *p = under_way(3);
    const uint64_t *n = &link_stats(p->link)->drops[LINK_DROP_ACK];

    sack(p, p->ack, 4); /* bit 2 is frame 3, which was not sent */
    sack(p, p->ack, 1ull << 63);
    sack(p, p->ack + 2, 1);
    sack(p, p->ack + 3, 1);
    sack(p, p->ack + 4, 0);
    ck_assert_uint_eq(*n, 5);
    sack(p, p->ack, 3);
    sack(p, p->ack + 3, 0);
    sack(p, p->ack, 0); /* an old one: nothing to say */
    sack(p, p->ack - 100, ~0ull);
    ck_assert_uint_eq(*n, 5);
    puppet_tick(p, 400 * SIM_MS);
    ck_assert_uint_eq(link_stats(p->link)->resent, 0);
    puppet_free(p);
}
END_TEST

/* Without a word: again after the timer, which runs half as long again each time, up to 100 ms. */
START_TEST(timer)
{
    static const unsigned wait[] = {10000, 15000, 22500, 33750, 50625, 75937, 100000, 100000};
    struct puppet *p = puppet_new(4);

    puppet_connect(p);
    /* A round trip of nothing: the shortest timer. */
    for (unsigned i = 0; i < 50; i++) {
        ck_assert(puppet_submit(p, BRIDGE_MSG, 8, 1));
        puppet_tick(p, SIM_MS);
        struct link_head h = puppet_head(p, LINK_DATA, 0);
        h.flags = LINK_F_ECHO;
        h.ack = ++p->ack;
        h.echo = p->head.stamp;
        puppet_frame(p, &h, NULL, 0);
        puppet_tick(p, 0);
    }
    ck_assert(puppet_submit(p, BRIDGE_MSG, 8, 1));
    puppet_tick(p, SIM_MS);
    unsigned frames = p->frames;
    for (unsigned i = 0; i < sizeof(wait) / sizeof(wait[0]); i++) {
        uint64_t due = link_deadline(p->link);
        ck_assert_uint_eq((due - p->now) / 1000, wait[i]);
        puppet_tick(p, due - p->now - 1);
        ck_assert_uint_eq(p->frames, frames + i);
        puppet_tick(p, 1);
        ck_assert_uint_eq(p->frames, frames + i + 1);
        ck_assert_uint_eq(p->head.seq, p->ack);
    }
    puppet_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link_time");
    TCase *tc = tcase_create("time");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, delayed_acks);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, hold);
    tcase_add_test(tc, fast);
    tcase_add_test(tc, sack_of_nothing);
    tcase_add_test(tc, timer);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
