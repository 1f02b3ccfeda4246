/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random forests of capabilities over 1 to 8 kernels, against a model that knows nothing of
 * kernels: who has what from whom.  Exchange within a kernel, obtain and delegate over sessions
 * with services of any kernel, revocation and ends of VPEs are begun without waiting for the one
 * before, and messages between kernels arrive in between, as a seeded generator says.  Whenever all
 * has settled, every table must be the model's: what should be gone is gone, nothing else is.
 */
/*
 * LINK: tests/unit/kernel_fake.c tests/unit/kernel_fake_many.c
 * LINK: guest/kernel/cap.c guest/kernel/revoke.c guest/kernel/ep.c
 * LINK: guest/kernel/vpe.c guest/kernel/pe.c guest/kernel/load.c guest/kernel/elf.c
 * LINK: guest/kernel/sys.c guest/kernel/sys_cap.c guest/kernel/sys_mem.c guest/kernel/sys_vpe.c
 * LINK: guest/kernel/srv.c guest/kernel/sys_srv.c
 * LINK: guest/kernel/peer.c guest/kernel/connect.c guest/kernel/kcall.c guest/kernel/kcall_group.c
 * LINK: guest/kernel/kcall_srv.c guest/kernel/kcall_exch.c guest/kernel/mht.c guest/kernel/kboot.c
 * LINK: guest/kernel/kcap.c guest/kernel/peer_time.c guest/kernel/far.c guest/kernel/mht_move.c
 * LINK: guest/kernel/memmap.c guest/kernel/bootline.c guest/kernel/start.c
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_fake.h"

#define RB     (FAKE_PE_MEM - PE_RECVBUF_SIZE)
#define VPES   16u
#define SELS   400u  /* of each VPE, */
#define FIRST  1000u /* from here on */
#define SESS   100u  /* + service: sessions */
#define ROUNDS 12u
#define STEPS  120u

/* Each VPE is a service, and has a session with every other. */
static struct {
    unsigned pe, used;
    bool alive;
    enum { IDLE, REVOKES, EXCHANGES } does;
    unsigned with, ours, theirs, seen; /* EXCHANGES */
    bool obtains, answered;
} vpes[VPES];
static unsigned nvpes;

/* The model: node (v, s) is the capability at FIRST + s of VPE v. */
static struct node {
    bool there;
    int parent; /* index of a node, -1: a root */
} model[VPES * SELS];

static uint64_t state;

static unsigned pick(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 11) % n;
}

static void model_revoke(unsigned at)
{
    bool more = true;

    model[at].there = false;
    while (more) {
        more = false;
        for (unsigned i = 0; i < VPES * SELS; i++) {
            if (!model[i].there || model[i].parent < 0 || model[model[i].parent].there)
                continue;
            model[i].there = false;
            more = true;
        }
    }
}

static void compare(void)
{
    for (unsigned v = 0; v < nvpes; v++) {
        fake_use(fake_kernel_of(vpes[v].pe));
        for (unsigned s = 0; s < SELS; s++) {
            struct vpe *held = kern.pes[vpes[v].pe].vpe;
            bool there = vpes[v].alive && cap_at(&held->caps, FIRST + s);

            ck_assert_msg(there == model[v * SELS + s].there, "VPE %u, selector %u: %s", v, s,
                          there ? "should be gone" : "is missing");
        }
    }
}

static void place(unsigned kernels, unsigned each)
{
    memset(vpes, 0, sizeof(vpes));
    memset(model, 0, sizeof(model));
    nvpes = 0;
    for (unsigned k = 0; k < kernels; k++) {
        for (unsigned i = 0; i < each; i++, nvpes++) {
            unsigned pe;

            fake_use(k);
            pe = fake_vpe()->pe;
            vpes[nvpes].pe = pe;
            vpes[nvpes].alive = true;
            ck_assert_int_eq(CALL(pe, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0), SE_OK);
            ck_assert_int_eq(CALL(pe, SYSC_CREATEGATE, 0, 20, 7, 2, 256), SE_OK);
            ck_assert_int_eq(CALL(pe, SYSC_CREATESRV, 20, 21, 1, 'A' + nvpes), SE_OK);
        }
    }
    for (unsigned v = 0; v < nvpes; v++) {
        for (unsigned s = 0; s < nvpes; s++) {
            if (s == v)
                continue;
            ck_assert_int_eq(CALL(vpes[v].pe, SYSC_CREATESESS, 0, SESS + s, 1, 'A' + s),
                             FAKE_LATER);
            ANSWER(vpes[s].pe, SE_OK, v + 1);
            ck_assert_uint_eq(fake_reply(vpes[v].pe)->word[0], SE_OK);
        }
    }
}

/* A capability that v has, -1: none. */
static int some_of(unsigned v)
{
    for (unsigned tries = 0; tries < 20 && vpes[v].used > 0; tries++) {
        unsigned s = pick(vpes[v].used);

        if (model[v * SELS + s].there)
            return (int)s;
    }
    return -1;
}

static void create(unsigned v)
{
    unsigned s = vpes[v].used;
    int from = pick(3) ? some_of(v) : -1, err;

    if (s == SELS)
        return;
    if (from < 0)
        err = CALL(vpes[v].pe, SYSC_REQMEM, FIRST + s, ~0ull, 64, 3);
    else
        err = CALL(vpes[v].pe, SYSC_DERIVEMEM, FIRST + (unsigned)from, FIRST + s, 0, 8, 1);
    if (err != SE_OK)
        return; /* revoked meanwhile: the model is told when all has settled */
    vpes[v].used++;
    model[v * SELS + s] = (struct node){true, from < 0 ? -1 : (int)(v * SELS) + from};
}

static void begin_revoke(unsigned v)
{
    int s = some_of(v);
    int err;

    if (s < 0)
        return;
    model_revoke(v * SELS + (unsigned)s);
    vpes[v].seen = fake_reply(vpes[v].pe)->count;
    err = CALL(vpes[v].pe, SYSC_REVOKE, RANGE(FIRST + (unsigned)s, 1), 1);
    if (err == FAKE_LATER)
        vpes[v].does = REVOKES;
}

static void begin_exchange(unsigned v)
{
    unsigned with = pick(nvpes), from, to;
    bool obtains = pick(2);
    int s;

    from = obtains ? with : v;
    to = obtains ? v : with;
    s = some_of(from);
    if (with == v || !vpes[with].alive || s < 0 || vpes[to].used == SELS ||
        fake_request(vpes[with].pe)->there)
        return;
    for (unsigned i = 0; i < nvpes; i++)
        if (vpes[i].does == EXCHANGES && vpes[i].with == with)
            return; /* a service has one request at a time, and we want to know whose */
    vpes[v].does = EXCHANGES;
    vpes[v].with = with;
    vpes[v].obtains = obtains;
    vpes[v].answered = false;
    vpes[v].theirs = obtains ? (unsigned)s : vpes[with].used++;
    vpes[v].ours = obtains ? vpes[v].used++ : (unsigned)s;
    vpes[v].seen = fake_reply(vpes[v].pe)->count;
    CALL(vpes[v].pe, obtains ? SYSC_OBTAIN : SYSC_DELEGATE, 0, SESS + with,
         RANGE(FIRST + vpes[v].ours, 1));
}

/*
 * The service answers.  From then on, whatever is revoked takes the copy along: in the model it is
 * there, if what it is a copy of is.
 */
static void answer(unsigned v)
{
    unsigned with = vpes[v].with, ours, theirs, from, to;

    if (vpes[v].does != EXCHANGES || vpes[v].answered || !fake_request(vpes[with].pe)->there)
        return;
    vpes[v].answered = true;
    ours = v * SELS + vpes[v].ours;
    theirs = with * SELS + vpes[v].theirs;
    from = vpes[v].obtains ? theirs : ours;
    to = vpes[v].obtains ? ours : theirs;
    model[to] = (struct node){model[from].there, (int)from};
    ANSWER(vpes[with].pe, SE_OK, RANGE(FIRST + vpes[v].theirs, 1));
}

static void look(unsigned v)
{
    if (vpes[v].does != IDLE && fake_reply(vpes[v].pe)->count != vpes[v].seen)
        vpes[v].does = IDLE;
}

static void settle(void)
{
    for (unsigned i = 0; i < 3; i++) {
        fake_deliver();
        for (unsigned v = 0; v < nvpes; v++)
            answer(v);
    }
    fake_deliver();
    for (unsigned v = 0; v < nvpes; v++) {
        look(v);
        ck_assert_msg(!vpes[v].alive || vpes[v].does == IDLE, "VPE %u waits for ever", v);
    }
    for (unsigned k = 0; k < fake_kernels(); k++) {
        fake_use(k);
        ck_assert_ptr_null(kern.revocations);
    }
    fake_check();
    compare();
}

/* With a VPE goes all that it has and all that others have from that. */
static void end_vpe(unsigned v)
{
    if (!vpes[v].alive)
        return;
    settle();
    for (unsigned s = 0; s < SELS; s++)
        if (model[v * SELS + s].there)
            model_revoke(v * SELS + s);
    vpes[v].alive = false;
    fake_use(fake_kernel_of(vpes[v].pe));
    vpe_exit(kern.pes[vpes[v].pe].vpe, 0);
    vpe_reap();
}

static void step(void)
{
    unsigned v = pick(nvpes), what = pick(16);

    for (unsigned i = pick(4); i > 0; i--)
        fake_deliver_one();
    look(v);
    answer(v);
    if (!vpes[v].alive || vpes[v].does != IDLE)
        return;
    if (what < 6)
        create(v);
    else if (what < 13)
        begin_exchange(v);
    else
        begin_revoke(v);
}

static void forest(uint64_t seed)
{
    unsigned kernels = 1 + (unsigned)(seed % 8);
    unsigned each = kernels == 1 ? 8 : kernels <= 5 ? 3 : 2;

    state = seed * 0x9E3779B97F4A7C15ull + 1;
    fake_boot_many(kernels, each);
    place(kernels, each);
    fake_auto = false;
    for (unsigned r = 0; r < ROUNDS; r++) {
        for (unsigned i = 0; i < STEPS; i++)
            step();
        settle();
        if (r % 4 == 3)
            end_vpe(pick(nvpes));
        settle();
    }
    fake_auto = true;
    fake_end();
}

START_TEST(forests)
{
    forest((uint64_t)_i + 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("capability forests");
    TCase *t = tcase_create("oracle");

    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, forests, 0, 16);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    int failed;

    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
