/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attack MODE [SEED]: misbehaves in one way.  attack guarded MODE [SEED]: keeps a secret and has a
 * second VPE, a copy of itself, do that; exits 0 when the secret is intact after the attack.
 */
#include "attack.h"

#include "env.h"
#include "fmt.h"
#include "heap.h"
#include "print.h"
#include "secret.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "vpe.h"

static const struct mode {
    const char *name;
    int (*fn)(uint64_t seed);
    bool returns;
} modes[] = {
    {"walk", attack_walk, true},           {"scribble", attack_scribble, true},
    {"successor", attack_successor, true}, {"wipe", attack_wipe, false},
    {"jump", attack_jump, false},          {"random", attack_random, false},
    {"divide", attack_divide, false},      {"ud2", attack_ud2, false},
    {"null", attack_null, false},          {"noncanonical", attack_noncanonical, false},
    {"unmapped", attack_unmapped, false},  {"super", attack_super, false},
    {"stack", attack_stack, false},        {"recurse", attack_recurse, false},
    {"leap", attack_leap, false},          {"flood", attack_flood, false},
};

#define WORDS (1u << 16)
#define ROUNDS                                                                        \
    100u /* looks at the secret, a system call between two, once the attack has begun \
          */

static struct {
    const struct mode *mode;
    uint64_t seed;
} job;

static int run(void)
{
    print("attack: %s, seed %lu\n", job.mode->name, job.seed);
    return job.mode->fn(job.seed);
}

/* The attacker has no capability but for saying that it begins; the secret must not come along. */
static int attacker_main(void *arg)
{
    static const uint64_t begin = 1;
    struct gate g = {.sel = SEL_GIVEN};

    (void)arg;
    if (gate_send(&g, &begin, sizeof(begin), DTU_NO_REPLY, 0))
        return 1;
    gate_deactivate(&g);
    return run();
}

static unsigned start_attacker(struct vpe *v, struct recv_gate *in)
{
    unsigned sel = sel_alloc(1), err;

    err = recv_gate_create(in, 7, 6);
    if (!err)
        err = vpe_create(v, "attacker");
    if (!err)
        err = sysc_creategate(CAP_SELF_VPE, sel, 0, in->ep, 64);
    if (!err)
        err = vpe_delegate(v, sel, SEL_GIVEN, 1);
    if (!err)
        err = vpe_run(v, attacker_main, NULL);
    return err;
}

/*
 * An attacker that returns is waited for.  One that does not has begun when we hear from it; what
 * it can do to us it does then and there, or while we make system calls.
 */
static int guarded(void)
{
    const struct dtu_header *msg;
    struct recv_gate in;
    struct vpe attacker;
    uint64_t *words;
    int status = 0;
    size_t at = WORDS;
    unsigned err = start_attacker(&attacker, &in);

    if (err)
        panic("cannot start the attacker: error %u", err);
    words = heap_alloc(WORDS * sizeof(*words)); /* now, so that it was not copied */
    if (!words)
        panic("no memory for the secret");
    secret_fill(words, WORDS);
    msg = recv_gate_wait(&in);
    if (msg)
        dtu_ack(in.ep, msg);
    if (job.mode->returns) {
        err = vpe_wait(&attacker, &status);
        if (err || status)
            print("guard: the attacker ended with status %d (error %u)\n", status, err);
    }
    for (unsigned i = 0; i < ROUNDS && !err && at == WORDS; i++) {
        err = sysc_noop();
        at = secret_check(words, WORDS);
    }
    if (at < WORDS)
        print("guard: DAMAGED: word %zu is %#lx\n", at, words[at]);
    else
        print("guard: the secret is intact\n");
    return err || status || at < WORDS;
}

static const struct mode *find(const char *name)
{
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    return NULL;
}

static int usage(void)
{
    print("usage: attack [guarded] MODE [SEED]; modes:");
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        print(" %s", modes[i].name);
    print("\n");
    return 2;
}

int main(int argc, char **argv)
{
    bool guard = argc > 1 && strcmp(argv[1], "guarded") == 0;
    int first = guard ? 2 : 1;
    unsigned long seed = 1;

    if (argc <= first || argc > first + 2 ||
        (argc == first + 2 && (!fmt_parse(argv[first + 1], &seed) || seed == 0)))
        return usage();
    job.mode = find(argv[first]);
    job.seed = seed;
    if (!job.mode)
        return usage();
    return guard ? guarded() : run();
}
