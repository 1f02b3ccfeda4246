/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The times of capability operations, for `make bench`:
 *
 *     kernbench serve          a service that gives a capability and takes some
 *     kernbench local N        its client and a VPE of its own, N rounds
 *     kernbench session N      its client alone, for a service of another kernel
 *     kernbench hold           its client has some capabilities and waits, for `sempervm caps`
 *
 * Each case prints two lines,
 *
 *     BENCH name EXITS OPERATIONS: TICKS...
 *     BENCH name_kernel 0 OPERATIONS: TICKS...
 *
 * time-stamp ticks of each operation from before its system call to behind the answer, with the
 * exits of this PE, and what our kernel says it took there (SYSC_NOOP_TIME).
 */
#include "bench_line.h"
#include "boot.h"
#include "fmt.h"
#include "print.h"
#include "server.h"
#include "session.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

#define NAME        "kernbench"
#define SAMPLES_MAX 200u
#define LONGEST     100u /* chain; as many children has the tree */
#define WARM_UP     5u
#define TAKEN       512u /* selectors that the service takes capabilities to, in turn */

static uint64_t ticks[SAMPLES_MAX], in_kernel[SAMPLES_MAX];
static unsigned rounds;

static void want(unsigned err, const char *what)
{
    if (err)
        panic("kernbench: %s: error %u", what, err);
}

/* ---- the service ---- */

static struct {
    struct server srv;
    unsigned given, taken, next;
} server;

static unsigned give(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                     struct cap_range *range, struct msg_writer *out)
{
    (void)arg;
    (void)ident;
    (void)in;
    (void)out;
    *range = cap_range(server.given, 1);
    return count == 1 ? SE_OK : SE_INV_ARGS;
}

static unsigned take(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                     struct cap_range *range, struct msg_writer *out)
{
    (void)arg;
    (void)ident;
    (void)in;
    (void)out;
    *range = cap_range(server.taken + server.next++ % TAKEN, 1);
    return count == 1 ? SE_OK : SE_INV_ARGS;
}

static int serve(void)
{
    static const struct server_ops ops = {.obtain = give, .delegate = take};

    server.given = sel_alloc(1);
    server.taken = sel_alloc(TAKEN);
    want(sysc_reqmem(server.given, SYSC_MEM_ANY, 4096, DTU_PERM_RW), "memory");
    want(server_create(&server.srv, NAME, &ops, NULL), "the service");
    server_run(&server.srv);
    return server_destroy(&server.srv) ? 1 : 0;
}

/* ---- operations ---- */

static struct vpe other;
static struct session session;
static unsigned root; /* ours */
static unsigned copy; /* selectors for what we get, LONGEST of them */

static void keep_still(void)
{
}

static void noop(void)
{
    want(sysc_noop(), "NOOP");
}

static void delegate_local(void)
{
    want(vpe_delegate(&other, root, SEL_GIVEN, 1), "EXCHANGE");
}

static void obtain(void)
{
    want(session_obtain(&session, copy, 1, NULL), "OBTAIN");
}

static void delegate(void)
{
    want(session_delegate(&session, root, 1, NULL), "DELEGATE");
}

static void drop_copy(void)
{
    want(sysc_revoke(cap_range(copy, 1), true), "REVOKE of a copy");
}

static void revoke(void)
{
    want(sysc_revoke(cap_range(root, 1), false), "REVOKE");
}

static unsigned length;

/* From us to the other VPE and back, each copy from the one before. */
static void build_chain(void)
{
    unsigned from = root;

    for (unsigned i = 0; i < length; i++) {
        if (i % 2 == 0) {
            want(vpe_delegate(&other, from, SEL_GIVEN + i, 1), "EXCHANGE");
        } else {
            from = copy + i;
            want(vpe_obtain(&other, from, SEL_GIVEN + i - 1, 1), "EXCHANGE");
        }
    }
    /* Lengths are even, so the last of them is ours; the kernel refuses to revoke what is not. */
    want(sysc_revoke(cap_range(from, 1), false), "the chain's end");
}

static void build_tree(void)
{
    for (unsigned i = 0; i < length; i++)
        want(vpe_delegate(&other, root, SEL_GIVEN + i, 1), "EXCHANGE");
}

/* Over the session: all children are at the other kernel. */
static void build_far_tree(void)
{
    for (unsigned i = 0; i < length; i++)
        delegate();
}

/* Nothing of the chain or tree is left with us. */
static void want_gone(void)
{
    for (unsigned i = 0; i < LONGEST; i++)
        if (sysc_revoke(cap_range(copy + i, 1), false) == SE_OK)
            panic("kernbench: copy %u is still there", i);
}

/* ---- cases ---- */

/* before() and after() are not timed. */
static void run(const char *name, unsigned n, void (*before)(void), void (*op)(void),
                void (*after)(void))
{
    bool kernel_says = true;
    uint64_t exits = 0;

    for (unsigned i = 0; i < n + WARM_UP; i++) {
        unsigned at = i < WARM_UP ? 0 : i - WARM_UP;
        uint64_t since, e;

        before();
        e = vreg_get(VREG_EXITS);
        since = bench_ticks();
        op();
        ticks[at] = bench_ticks() - since;
        exits += i < WARM_UP ? 0 : vreg_get(VREG_EXITS) - e;
        kernel_says = kernel_says && sysc_kernel_ticks(&in_kernel[at]) == SE_OK;
        after();
    }
    bench_line(name, "", exits, n, ticks, n);
    if (kernel_says)
        bench_line(name, "_kernel", 0, n, in_kernel, n);
}

static void begin(void)
{
    root = sel_alloc(1);
    copy = sel_alloc(LONGEST);
    want(sysc_reqmem(root, SYSC_MEM_ANY, 4096, DTU_PERM_RW), "memory");
    want(session_open(&session, NAME, NULL, 0), "the session");
}

static int local(void)
{
    static const struct {
        const char *name;
        unsigned length;
    } chain[] = {{"chain_10", 10}, {"chain_50", 50}, {"chain_100", 100}};

    want(vpe_create(&other, NAME), "a second VPE");
    begin();
    run("noop", rounds, keep_still, noop, keep_still);
    run("exchange_local", rounds, keep_still, delegate_local, revoke);
    run("revoke_local", rounds, delegate_local, revoke, keep_still);
    run("obtain_local", rounds, keep_still, obtain, drop_copy);
    for (unsigned i = 0; i < 3; i++) {
        length = chain[i].length;
        run(chain[i].name, (rounds + 3) / 4, build_chain, revoke, want_gone);
    }
    length = LONGEST;
    run("tree_100", (rounds + 3) / 4, build_tree, revoke, want_gone);
    want(vpe_destroy(&other), "the end of the second VPE");
    return session_close(&session) ? 1 : 0;
}

static int spanning(void)
{
    begin();
    run("exchange_spanning", rounds, keep_still, obtain, drop_copy);
    run("revoke_spanning", rounds, delegate, revoke, keep_still);
    length = LONGEST;
    run("tree_100_spanning", (rounds + 9) / 10, build_far_tree, revoke, want_gone);
    return session_close(&session) ? 1 : 0;
}

/* A VPE may try to pass for a kernel: it is not asked, and what it says goes nowhere. */
static void pretend(void)
{
    static uint8_t nonsense[64];

    if (!vreg_has(VREG_F_ASK))
        return;
    vreg_set(VREG_ASK, VREG_ASK_HERE);
    vreg_set(VREG_ASK, vreg_console((uintptr_t)nonsense, sizeof(nonsense)));
    vreg_set(VREG_ASK, vreg_console(0, 0));
}

static int hold(void)
{
    struct recv_gate never;
    unsigned part = sel_alloc(1);

    begin();
    want(sysc_derivemem(root, part, 1024, 512, DTU_PERM_R), "DERIVEMEM");
    obtain();
    delegate();
    want(recv_gate_create(&never, 9, 8), "a receive buffer");
    pretend();
    print("kernbench: holding %u, %u and %u\n", root, part, copy);
    return recv_gate_wait(&never) ? 1 : 0;
}

int main(int argc, char **argv)
{
    unsigned long n = 0;

    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (argc == 2 && strcmp(argv[1], "hold") == 0)
        return hold();
    if (argc == 3 && fmt_parse(argv[2], &n) && n >= 4 && n <= SAMPLES_MAX) {
        rounds = (unsigned)n;
        if (strcmp(argv[1], "local") == 0)
            return local();
        if (strcmp(argv[1], "session") == 0)
            return spanning();
    }
    print("usage: kernbench serve|hold|local N|session N, N from 4 to %u\n", SAMPLES_MAX);
    return 2;
}
