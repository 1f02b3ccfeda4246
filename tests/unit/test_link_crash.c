/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: tests/unit/link_sim.c tests/unit/link_sim_wire.c guest/bridge/link.c */
/* LINK: guest/bridge/link_hs.c guest/bridge/link_rx.c guest/bridge/link_rec.c */
/* LINK: guest/bridge/link_tx.c */
/*
 * Nodes that die and come back, in meshes of two to four, on wires of every quality.  link_sim.c
 * sees to it that nothing comes twice, out of order, or from a life that is over.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "link_sim.h"

#define SEEDS     1000u
#define PER_BATCH 100u

static struct sim_config random_config(uint64_t seed, uint64_t (*r)(uint64_t))
{
    struct sim_config cfg = {.seed = seed};

    cfg.nodes = 2 + r(3);
    cfg.pes = 1 + r(8);
    cfg.think = SIM_MS + r(30 * SIM_MS);
    cfg.max = r(2) ? 100 : 0;
    cfg.msg_only = r(4) == 0;
    cfg.async = r(2);
    cfg.epoch_low = r(4) ? 0 : 0xFFFFFFFF - r(40);
    cfg.mem = link_need(cfg.nodes, r(3) ? LINK_SLOTS : 1 + r(8));
    cfg.link.mtu = r(3) ? 0 : 256 + r(1217);
    cfg.wire.delay = r(2) ? 20 * SIM_US : SIM_MS + r(20 * SIM_MS);
    cfg.wire.jitter = r(2) ? 0 : r(10 * SIM_MS);
    cfg.wire.loss = r(2) ? 0 : r(250);
    cfg.wire.dup = r(2) ? 0 : r(300);
    cfg.wire.reorder = r(2) ? 0 : r(500);
    cfg.wire.distance = 1 + r(60);
    cfg.wire.stall = r(4) ? 0 : r(200) * SIM_MS;
    cfg.wire.full = r(3) ? 0 : r(300);
    cfg.depth = r(2) ? 1 : 2 + r(20);
    return cfg;
}

static uint64_t state;
static uint64_t below(uint64_t n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (state >> 33) % n;
}

/*
 * One node dies under load and stays away: whoever waits for it is told within the bound.  Then it
 * comes back and all are connected again.
 */
static void die_and_return(struct sim *s, unsigned victim)
{
    bool long_gone = sim_below(s, 2);

    sim_crash(s, victim);
    uint64_t died = s->now;
    uint64_t back = died + (long_gone ? 2 * SIM_S + 600 * SIM_MS : sim_below(s, 3 * SIM_S));
    sim_run(s, ~0ull, back);
    for (unsigned k = 0; long_gone && k < s->cfg.nodes; k++) {
        if (k == victim)
            continue;
        sim_must(s, link_state(s->node[k].link, victim) == LINK_LOST);
        sim_must(s, sim_busy_to(s, k, victim) == 0);
    }
    sim_start(s, victim);
    sim_connect(s, 20 * SIM_S);
    sim_run(s, s->completed + 20, s->now + 10 * SIM_S);
}

static void one_seed(uint64_t seed)
{
    state = seed * 2862933555777941757ull + 3037000493ull;
    struct sim_config cfg = random_config(seed, below);
    struct sim *s = sim_new(&cfg);
    unsigned lives = 1 + (unsigned)below(3);

    sim_connect(s, 20 * SIM_S);
    for (unsigned i = 0; i < lives; i++) {
        sim_run(s, s->completed + 1 + sim_below(s, 200), s->now + SIM_S);
        die_and_return(s, (unsigned)sim_below(s, cfg.nodes));
    }
    sim_drain(s, 20 * SIM_S);
    /* It goes on, and nobody fails any more. */
    uint64_t gone = s->gone;
    sim_run(s, s->completed + 50, s->now + 20 * SIM_S);
    sim_drain(s, 20 * SIM_S);
    sim_must(s, s->gone == gone);
    sim_free(s);
}

START_TEST(seeds)
{
    for (unsigned i = 0; i < PER_BATCH; i++)
        one_seed((uint64_t)_i * PER_BATCH + i);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* one seed again, or `FIRST LAST` */
        unsigned long last = strtoul(argv[argc - 1], NULL, 0);
        for (unsigned long i = strtoul(argv[1], NULL, 0); i <= last; i++)
            one_seed(i);
        return 0;
    }
    Suite *s = suite_create("link_crash");
    TCase *tc = tcase_create("seeds");
    SRunner *r = srunner_create(s);
    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, seeds, 0, SEEDS / PER_BATCH);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
