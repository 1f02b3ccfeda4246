/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: tests/unit/link_sim.c tests/unit/link_sim_wire.c guest/bridge/link.c */
/* LINK: guest/bridge/link_hs.c guest/bridge/link_rx.c guest/bridge/link_rec.c */
/* LINK: guest/bridge/link_tx.c */
/*
 * The link protocol over bad wires: loss, duplicates, reordering, stalls, alone and together.
 * link_sim.c checks content, order and exactly once; here is what must come of it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "link_sim.h"

#define MESSAGES 100000u

static const struct {
    const char *name;
    struct sim_wire wire;
} wires[] = {
    {"clean", {.delay = 50 * SIM_US}},
    {"20 % loss", {.delay = 50 * SIM_US, .loss = 200}},
    {"10 % duplicates", {.delay = 50 * SIM_US, .dup = 100}},
    {"reordering over 50", {.delay = 50 * SIM_US, .reorder = 300, .distance = 50}},
    {"stalls of 200 ms", {.delay = 2 * SIM_MS, .stall = 200 * SIM_MS}},
    {"all of it",
     {.delay = SIM_MS,
      .jitter = 100 * SIM_US,
      .loss = 200,
      .dup = 100,
      .reorder = 300,
      .distance = 50,
      .stall = 200 * SIM_MS,
      .full = 20}},
};
#define WIRES (sizeof(wires) / sizeof(wires[0]))

static void report(const struct sim *s, const char *name)
{
    const struct link_stats *st = link_stats(s->node[0].link);

    printf("%s: %llu packets in %.2f s; frames %llu out, %llu acks, %llu again (%llu fast, "
           "%llu timeouts, %llu spurious), %.1f records a frame, rtt %llu us\n",
           name, (unsigned long long)s->completed, (double)s->now / 1e9,
           (unsigned long long)st->frames_out, (unsigned long long)st->acks_out,
           (unsigned long long)st->resent, (unsigned long long)st->fast,
           (unsigned long long)st->timeouts, (unsigned long long)st->spurious,
           (double)st->records_out /
               (double)(st->frames_out - st->acks_out - st->resent - st->hellos_out + 1),
           (unsigned long long)link_rtt(s->node[0].link, 1) / 1000);
}

/* 100,000 messages: all arrive, once, in their sender's order, and nobody is taken for dead. */
START_TEST(many)
{
    bool several = (size_t)_i >= WIRES; /* packets of a PE are under way together */
    struct sim_config cfg = {
        .seed = 1000 + (uint64_t)_i,
        .nodes = 2,
        .pes = several ? 10 : 40,
        .depth = several ? 8 : 1,
        .max = several ? 2000 : 200,
        .msg_only = true,
        .async = _i & 1,
        .wire = wires[_i % WIRES].wire,
    };
    struct sim *s = sim_new(&cfg);

    sim_connect(s, 5 * SIM_S);
    s->target = MESSAGES;
    sim_run(s, MESSAGES, 10000 * SIM_S);
    sim_must(s, s->completed == MESSAGES && s->delivered == MESSAGES && s->gone == 0);
    sim_must(s, link_stats(s->node[0].link)->losses == 0);
    /* A wire that reorders shows that somebody saw to the order. */
    sim_must(s, several || link_stats(s->node[1].link)->held == 0);
    sim_must(s,
             !several || !wires[_i % WIRES].wire.distance || link_stats(s->node[1].link)->held > 0);
    report(s, wires[_i % WIRES].name);
    sim_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link_wire");
    TCase *tc = tcase_create("wires");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, many, 0, 2 * WIRES);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
