/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random forests of capabilities against a model (oracle.h): what actors do, step by step.
 *
 * Without ORACLE_SEEDS, a few hundred seeds as unit tests.  ORACLE_SEEDS=FIRST..LAST runs those and
 * prints which failed; a name in ORACLE_DONE is a file that remembers how far it has come, so that
 * a run that was stopped goes on there (make oracle).
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: tests/unit/oracle_model.c tests/unit/oracle_place.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/move.c guest/kernel/move_give.c guest/kernel/move_take.c
 * LINK: guest/kernel/move_hold.c guest/kernel/park.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oracle.h"

#define UNIT_CHUNKS 24u /* x CHUNK seeds, as unit tests */
#define CHUNK       10u
#define ROUNDS      6u
#define STEPS       200u
#define MS          1000000ull

/* ---- steps ---- */

/* Some calls of a program find that the kernel has no memory left. */
static void little_memory(bool on)
{
    fake_heap_left = on && oracle.refusals && oracle_pick(8) == 0 ? oracle_pick(6) : ~(size_t)0;
    if (fake_heap_left != ~(size_t)0)
        oracle.injected = true;
}

static void create_one(unsigned v, int from)
{
    struct oracle_table *t = &oracle.table[v];
    bool memory = false;
    int err;

    if (t->used == ORACLE_SELS)
        return;
    oracle_find(v);
    little_memory(true);
    if (from >= 0)
        err = CALL(t->pe, SYSC_DERIVEMEM, ORACLE_FIRST + (unsigned)from, ORACLE_FIRST + t->used, 0,
                   8, 1);
    else if ((memory = oracle_pick(4)))
        err = CALL(t->pe, SYSC_REQMEM, ORACLE_FIRST + t->used, ~0ull, 64, 3);
    else
        err = CALL(t->pe, SYSC_CREATEGATE, 0, ORACLE_FIRST + t->used, oracle.made, 2, 256);
    little_memory(false);
    if (err != SE_OK)
        return; /* no memory; a gate; or revoked meanwhile, and not known there yet */
    oracle_add(v * ORACLE_SELS + t->used, from < 0 ? -1 : (int)(v * ORACLE_SELS) + from);
    oracle.node[v * ORACLE_SELS + t->used].lent = memory;
    oracle.node[v * ORACLE_SELS + t->used].lender = t->kernel;
    t->used++;
}

static void create(unsigned v)
{
    for (unsigned n = 1 + oracle_pick(ORACLE_RANGE); n > 0; n--)
        create_one(v, oracle_pick(3) ? oracle_some(v) : -1);
}

/* Capabilities from s on, up to `most`: those whose exchange is under way do not count yet. */
static unsigned run_of(unsigned t, unsigned s, unsigned most)
{
    unsigned n = 0;

    while (n < most && s + n < oracle.table[t].used &&
           !oracle.node[t * ORACLE_SELS + s + n].pending)
        n++;
    return n;
}

static void begin_revoke(unsigned v)
{
    struct oracle_table *t = &oracle.table[v];
    unsigned own = oracle_pick(4), n = 1 + oracle_pick(4), s;
    int at = oracle_some(v), err;

    if (at < 0)
        return;
    s = (unsigned)at;
    n = run_of(v, s, n);
    for (unsigned i = 0; i < n; i++) {
        if (own)
            oracle_revoke(v * ORACLE_SELS + s + i);
        else if (oracle.node[v * ORACLE_SELS + s + i].there)
            oracle_revoke_children(v * ORACLE_SELS + s + i);
    }
    oracle.actor[v].seen = fake_reply(t->pe)->count;
    err = CALL(t->pe, SYSC_REVOKE, RANGE(ORACLE_FIRST + s, n), own ? 1 : 0);
    if (err == FAKE_LATER)
        oracle.actor[v].does = DOES_REVOKE;
    else if (err != SE_OK)
        oracle_fail("actor %u: REVOKE of %u from %u: error %d", v, n, s, err);
}

static void begin_exchange(unsigned v)
{
    struct oracle_actor *a = &oracle.actor[v];
    unsigned with = oracle_pick(oracle.nactors), from, to;
    bool obtains = oracle_pick(2);
    int s;

    from = obtains ? with : v;
    to = obtains ? v : with;
    if (with == v || !oracle.actor[with].alive || oracle.actor[with].roams)
        return;
    s = oracle_some(from);
    a->count = s < 0 ? 0 : run_of(from, (unsigned)s, 1 + oracle_pick(ORACLE_RANGE));
    if (s < 0 || a->count > ORACLE_SELS - oracle.table[to].used)
        return;
    a->does = DOES_EXCHANGE;
    a->with = with;
    a->obtains = obtains;
    a->answered = false;
    a->theirs = obtains ? (unsigned)s : oracle.table[with].used;
    a->ours = obtains ? oracle.table[v].used : (unsigned)s;
    for (unsigned i = 0; i < a->count; i++)
        oracle.node[to * ORACLE_SELS + oracle.table[to].used++].pending = true;
    a->seen = fake_reply(oracle.table[v].pe)->count;
    little_memory(true);
    CALL(oracle.table[v].pe, obtains ? SYSC_OBTAIN : SYSC_DELEGATE, 0, ORACLE_SESS + with,
         RANGE(ORACLE_FIRST + a->ours, a->count));
    little_memory(false);
}

/* Between v and the VPE that it has created, both ways. */
static void exchange_child(unsigned v)
{
    unsigned child = oracle.nactors + v, n = 1 + oracle_pick(ORACLE_RANGE), from, to, ts;
    bool obtain = oracle_pick(2), real[ORACLE_RANGE];
    int s, err;

    from = obtain ? child : v;
    to = obtain ? v : child;
    if (!oracle.table[child].live || n > ORACLE_SELS - oracle.table[to].used)
        return;
    s = oracle_some(from);
    if (s < 0)
        return;
    n = run_of(from, (unsigned)s, n);
    ts = oracle.table[to].used;
    for (unsigned i = 0; i < n; i++)
        real[i] = oracle_real(from, (unsigned)s + i) != NULL;
    little_memory(true);
    err = CALL(oracle.table[v].pe, SYSC_EXCHANGE, ORACLE_CHILD,
               RANGE(ORACLE_FIRST + (obtain ? ts : (unsigned)s), n),
               RANGE(ORACLE_FIRST + (obtain ? (unsigned)s : ts), n), obtain);
    little_memory(false);
    if (err != SE_OK)
        return;
    for (unsigned i = 0; i < n; i++)
        if (real[i])
            oracle_add(to * ORACLE_SELS + ts + i, (int)(from * ORACLE_SELS) + s + (int)i);
    oracle.table[to].used += n;
}

static void end_child(unsigned v)
{
    struct oracle_table *child = &oracle.table[oracle.nactors + v];
    int err;

    if (!child->live)
        return;
    oracle_revoke_table(oracle.nactors + v);
    child->live = false;
    oracle.actor[v].seen = fake_reply(oracle.table[v].pe)->count;
    err = CALL(oracle.table[v].pe, SYSC_REVOKE, RANGE(ORACLE_CHILD, 2), 1);
    if (err == FAKE_LATER)
        oracle.actor[v].does = DOES_REVOKE;
    else if (err != SE_OK)
        oracle_fail("actor %u: its child does not end: error %d", v, err);
}

/* Every now and then something breaks. */
static void accident(void)
{
    unsigned v = oracle_pick(oracle.nactors);

    if (oracle_pick(60) == 0)
        oracle_end_actor(v);
    if (oracle.crashes && oracle_pick(120) == 0) {
        oracle.actor[v].crashed = true;
        oracle.injected = true;
    }
    if (oracle.deaths && oracle_pick(150) == 0)
        oracle_kill(oracle_pick(oracle.kernels));
    if (oracle.deaths && oracle.moves && oracle_pick(60) == 0)
        oracle_kill_mover();
}

static unsigned refuse(void)
{
    if (oracle_pick(12))
        return SE_OK;
    oracle.injected = true;
    return SE_NO_RING_SPACE;
}

static void step(void)
{
    unsigned v = oracle_pick(oracle.nactors), what = oracle_pick(32);

    oracle.ops++;
    fake_refuse = oracle.refusals ? refuse : NULL;
    for (unsigned i = oracle_pick(5); i > 0; i--)
        fake_deliver_some(oracle_pick(64));
    if (oracle_pick(8) == 0)
        fake_time(oracle_pick(12) * (oracle.slow ? 25 : 1) * MS);
    oracle_look(v);
    oracle_answer(v);
    if (oracle.actor[v].roams && !oracle.actor[v].unsure && oracle_pick(6) == 0)
        oracle_move(v, oracle_pick(oracle.kernels));
    accident();
    if (!oracle.actor[v].alive || oracle.actor[v].crashed || oracle.actor[v].unsure ||
        oracle.actor[v].does != DOES_NOTHING)
        return;
    if (what < 9 && !oracle_on_its_way(v)) /* it would have to wait */
        create(v);
    else if (what < 22)
        begin_exchange(v);
    else if (what < 26)
        exchange_child(v);
    else if (what < 31)
        begin_revoke(v);
    else if (oracle_pick(4) == 0)
        end_child(v);
}

void oracle_run(uint64_t seed)
{
    memset(&oracle, 0, sizeof(oracle));
    oracle.seed = seed;
    oracle.state = seed * 0x9E3779B97F4A7C15ull + 1;
    oracle.kernels = 1 + (unsigned)(seed % 8);
    oracle.refusals = seed / 8 % 2;
    oracle.crashes = seed / 16 % 2;
    oracle.deaths = seed / 32 % 2 && oracle.kernels > 1;
    oracle.moves = seed / 64 % 2 && oracle.kernels > 1;
    oracle.slow = seed / 512 % 2;
    oracle_place();
    for (unsigned r = 0; r < ROUNDS; r++) {
        for (unsigned i = 0; i < STEPS; i++)
            step();
        oracle_settle();
        oracle_revive();
    }
    for (unsigned k = 0; k < oracle.kernels; k++) {
        fake_use(k);
        oracle.moved += kern.stats.moved;
        oracle.stayed += kern.stats.stayed;
        oracle.parked += kern.stats.parked;
    }
    fake_auto = true;
    fake_end();
}

/* ---- many seeds ---- */

START_TEST(forests)
{
    for (unsigned i = 1; i <= CHUNK; i++)
        oracle_run((uint64_t)_i * CHUNK + i);
}
END_TEST

/* Hundreds of capabilities at a time, thousands revoked: the forests are worth that name. */
START_TEST(are_forests)
{
    unsigned most = 0;
    unsigned long ends = 0, kills = 0, revoked = 0;

    for (uint64_t seed = 57; seed < 65; seed++) {
        oracle_run(seed);
        most = oracle.most > most ? oracle.most : most;
        ends += oracle.ends;
        kills += oracle.kills;
        revoked += oracle.revoked;
    }
    ck_assert_uint_ge(most, 600);
    ck_assert_uint_ge(ends, 8);
    ck_assert_uint_ge(kills, 8);
    ck_assert_uint_ge(revoked, 2000);
}
END_TEST

/* Those that roam get around. */
START_TEST(are_moves)
{
    unsigned long moved = 0, stayed = 0;

    for (uint64_t seed = 65; seed < 72; seed++) {
        oracle_run(seed);
        moved += oracle.moved;
        stayed += oracle.stayed;
    }
    ck_assert_uint_ge(moved, 100);
    ck_assert_uint_ge(moved, stayed);
}
END_TEST

/* Services that take their time. */
START_TEST(are_parked)
{
    unsigned long parked = 0;

    for (uint64_t seed = 513 + 16 * (unsigned)_i; seed < 529 + 16 * (unsigned)_i; seed++) {
        oracle_run(seed);
        parked += oracle.parked;
    }
    ck_assert_uint_ge(parked, 20);
}
END_TEST

static bool run_chunk(uint64_t first, uint64_t last)
{
    pid_t pid;
    int status = -1;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        for (uint64_t seed = first; seed <= last; seed++)
            oracle_run(seed);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static uint64_t done_so_far(const char *name, uint64_t first)
{
    FILE *f = name ? fopen(name, "r") : NULL;
    unsigned long done = 0;

    if (f && fscanf(f, "%lu", &done) != 1)
        done = 0;
    if (f)
        fclose(f);
    return done >= first ? done + 1 : first;
}

static void note_done(const char *name, uint64_t done)
{
    FILE *f = name ? fopen(name, "w") : NULL;

    if (!f)
        return;
    fprintf(f, "%lu\n", (unsigned long)done);
    fclose(f);
}

static int run_seeds(const char *range, const char *done)
{
    unsigned long from, to;
    uint64_t first, failed = 0, at;

    if (sscanf(range, "%lu..%lu", &from, &to) != 2 || from > to) {
        fprintf(stderr, "oracle: ORACLE_SEEDS=%s is not FIRST..LAST; try 1..1000\n", range);
        return 2;
    }
    first = done_so_far(done, from);
    for (at = first; at <= to && failed < 20; at += CHUNK) {
        uint64_t last = at + CHUNK - 1 < to ? at + CHUNK - 1 : to;

        if (!run_chunk(at, last)) {
            const uint64_t before = failed;

            for (uint64_t seed = at; seed <= last; seed++)
                failed += run_chunk(seed, seed) ? 0 : 1;
            if (failed == before &&
                ++failed) /* one leaves something behind that the next one meets */
                fprintf(stderr, "oracle: seeds %lu..%lu fail only together\n", (unsigned long)at,
                        (unsigned long)last);
        }
        if (failed == 0)
            note_done(done, last);
    }
    if (done && failed == 0)
        remove(done); /* the next run begins anew */
    printf("oracle: seeds %lu..%lu: %lu failed\n", (unsigned long)from, (unsigned long)at - 1,
           (unsigned long)failed);
    return failed > 0;
}

static Suite *suite(void)
{
    Suite *s = suite_create("capability forests");
    TCase *t = tcase_create("oracle");

    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, forests, 0, UNIT_CHUNKS);
    tcase_add_test(t, are_forests);
    tcase_add_test(t, are_moves);
    tcase_add_loop_test(t, are_parked, 0, 8);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    const char *seeds = getenv("ORACLE_SEEDS");
    SRunner *r;
    int failed;

    if (seeds)
        return run_seeds(seeds, getenv("ORACLE_DONE"));
    r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
