/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capforest serve NAME [N]: a service that keeps capabilities for its clients, until N (1) of them
 * have told it to end, or the kernel has.  Then all that it kept must be gone.
 * capforest grow NUMBER STEPS NAME...: a client that grows a forest, by its number and the seed of
 * the run (`sempervm run --seed`), in its own table and in those of the services, and revokes parts
 * of it, without waiting for one revocation before the next exchange.  Beside it, it keeps a model:
 * what is derived from what.  Every so often, and at the end, it asks for each selector whether
 * something is there, and compares.  One line, and the exit status is 0 when the tables were the
 * model's.  A service whose NAME has a + before it may be gone at any moment, with its kernel: then
 * all that was in its table and came from there is expected to be gone, too, and the rest to be
 * whole.
 * capforest visit NUMBER STEPS NAME...: the same, and then it tells the services to end.
 * capforest watch NUMBER DEATHS NAME +NAME: the same, without end: whenever the last service
 * has gone all others are compared, and it goes on when it is there again; DEATHS times.  Then all
 * of them are told to end.
 *
 * Everything that one client does concerns only its own selectors, so any number of them, on
 * whatever kernels, can be at work at once.  What they all leave behind the kernels check at the
 * end: their heaps are as they were after boot.
 */
#include "forest.h"
#include "print.h"
#include "session.h"
#include "start.h"
#include "str.h"

/* ---- the client: the model ---- */

struct node {
    bool there;
    int parent; /* -1: none */
};
static struct node model[PLACES * SLOTS];
static unsigned used[PLACES], places; /* used: slots below were given out */
static unsigned made, revoked, wrong;
static uint64_t state;
static unsigned probe_ep;

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

    revoked += model[at].there;
    model[at].there = false;
    while (more) {
        more = false;
        for (unsigned i = 0; i < places * SLOTS; i++) {
            if (!model[i].there || model[i].parent < 0 || model[model[i].parent].there)
                continue;
            model[i].there = false;
            revoked++;
            more = true;
        }
    }
}

/* The next slot of a place comes to be, if `parent` (-1: none) is there. */
static unsigned add(unsigned place, int parent)
{
    unsigned at = place * SLOTS + used[place]++;

    model[at] = (struct node){parent < 0 || model[parent].there, parent};
    made += model[at].there;
    return at;
}

/* A slot that was given out, often one where something is; -1: none was. */
static int some(unsigned place)
{
    unsigned s = 0;

    if (used[place] == 0)
        return -1;
    for (unsigned tries = 0; tries < 8; tries++) {
        s = pick(used[place]);
        if (model[place * SLOTS + s].there)
            break;
    }
    return (int)(place * SLOTS + s);
}

/* ---- the client: what it does ---- */

static struct {
    struct session sess;
    struct gate gate;
    bool asked;     /* and not answered */
    uint64_t value; /* the last answer's */
    bool mortal, dead;
} place[PLACES];
static struct recv_gate answers;

/*
 * Something went wrong with place p.  If it may be gone, it is when the gate to it is: the kernel
 * takes a while to find out.
 */
static bool lost(unsigned p)
{
    if (p == 0 || !place[p].mortal)
        return false;
    for (unsigned i = 0; i < POLLS && !place[p].dead; i++) {
        place[p].dead = !is_there(probe_ep, place[p].gate.sel);
        if (!place[p].dead)
            dtu_relax(POLL_NS);
    }
    if (!place[p].dead)
        return false;
    place[p].asked = false;
    for (unsigned i = 0; i < SLOTS; i++)
        model_revoke(p * SLOTS + i);
    return true;
}

/* Has a service gone since we last looked? */
static bool any_died(void)
{
    bool died = false;

    for (unsigned p = 1; p < places; p++)
        if (place[p].mortal && !place[p].dead && !is_there(probe_ep, place[p].gate.sel))
            died = lost(p) || died;
    return died;
}

/* Is anybody left who may be gone? */
static bool any_mortal(void)
{
    for (unsigned p = 1; p < places; p++)
        if (place[p].mortal && !place[p].dead)
            return true;
    return false;
}

/*
 * Unless what failed may have come from a service that has gone, be it place p's or that of
 * something that p was to have.
 */
static void complain(const char *what, unsigned p, unsigned slot, unsigned err)
{
    if (place[p].dead)
        return;
    for (unsigned i = 0; i < POLLS && any_mortal(); i++) {
        if (any_died())
            return;
        dtu_relax(POLL_NS);
    }
    print("capforest: %s, place %u, slot %u: error %u\n", what, p, slot, err);
    wrong++;
}

/* Answers that have come; also while a system call waits, which could not sleep otherwise. */
static void collect(void *arg)
{
    const struct dtu_header *msg;

    (void)arg;
    while ((msg = dtu_fetch(answers.ep))) {
        uint64_t out[2] = {SE_RECV_GONE, 0}, from = msg->label;

        if (msg->length == sizeof(out))
            memcpy(out, dtu_payload(msg), sizeof(out));
        dtu_ack(answers.ep, msg);
        if (from == 0 || from >= places)
            panic("capforest: an answer from nobody");
        place[from].asked = false;
        place[from].value = out[1];
    }
}

/* Until service p owes no answer; its value. */
static uint64_t hear(unsigned p)
{
    collect(NULL);
    for (unsigned i = 1; place[p].asked; i++) {
        if (place[p].mortal)
            dtu_relax(POLL_NS);
        else if (!dtu_wait_ep(answers.ep, NULL, NULL))
            panic("capforest: its receive gate is gone");
        collect(NULL);
        if (place[p].mortal && i % 100 == 0 && !is_there(probe_ep, place[p].gate.sel))
            lost(p);
    }
    return place[p].value;
}

static void ask(unsigned p, uint64_t op, uint64_t slot)
{
    static uint64_t request[PLACES][2];
    unsigned err;

    hear(p);
    if (place[p].dead)
        return;
    request[p][0] = op;
    request[p][1] = slot;
    err = gate_send(&place[p].gate, request[p], sizeof(request[p]), answers.ep, p);
    for (unsigned i = 0; err == SE_NO_RING_SPACE && i < 100; i++) { /* --faults refuse */
        dtu_relax(POLL_NS);
        err = gate_send(&place[p].gate, request[p], sizeof(request[p]), answers.ep, p);
    }
    if (err)
        complain("no message", p, (unsigned)slot, err);
    else
        place[p].asked = true;
}

static void create(void)
{
    int from = pick(3) ? some(0) : -1;
    bool sure = from < 0 || model[from].there;
    unsigned at, err;

    if (used[0] == SLOTS)
        return;
    at = add(0, from);
    if (from < 0)
        err = sysc_reqmem(BASE + at, SYSC_MEM_ANY, 64, DTU_PERM_RW);
    else
        err = sysc_derivemem(BASE + (unsigned)from, BASE + at, 0, 8, DTU_PERM_R);
    if (sure && err)
        complain("not created", 0, at, err);
}

/*
 * Between our table and a service's.  What is on its way out of the tables may be copied or not: in
 * the end neither it nor the copy is there.
 */
static void exchange(bool obtains)
{
    unsigned p = 1 + pick(places - 1), from = obtains ? p : 0, to = obtains ? 0 : p, at, err;
    int src = some(from);
    uint64_t word;
    struct session_args a = {.in = &word, .nin = 1};
    bool sure;

    if (src < 0 || used[to] == SLOTS || place[p].dead)
        return;
    sure = model[src].there;
    at = add(to, src);
    word = obtains ? (unsigned)src % SLOTS : at % SLOTS;
    err = obtains ? session_obtain(&place[p].sess, BASE + at, 1, &a)
                  : session_delegate(&place[p].sess, BASE + (unsigned)src, 1, &a);
    if (sure && err)
        complain(obtains ? "not obtained" : "not delegated", p, at % SLOTS, err);
}

static void revoke_ours(void)
{
    int at = some(0);
    unsigned err;

    if (at < 0 || !model[at].there)
        return;
    model_revoke((unsigned)at);
    err = sysc_revoke(cap_range(BASE + (unsigned)at, 1), true);
    if (err)
        complain("not revoked", 0, (unsigned)at, err);
}

/* Goes on while the service does it. */
static void revoke_theirs(void)
{
    unsigned p = 1 + pick(places - 1);
    int at = some(p);

    if (at < 0 || !model[at].there || place[p].dead)
        return;
    model_revoke((unsigned)at);
    ask(p, ASK_REVOKE, (unsigned)at % SLOTS);
}

/* How many selectors are not as the model has them. */
static unsigned differences(bool tell)
{
    unsigned n = 0;

    for (unsigned p = 0; p < places; p++) {
        uint64_t mask;

        if (p > 0)
            ask(p, ASK_THERE, 0);
        mask = p > 0 ? hear(p) : there_mask(probe_ep, BASE);
        for (unsigned i = 0; i < SLOTS && !place[p].dead; i++) {
            if ((mask >> i & 1) == model[p * SLOTS + i].there)
                continue;
            n++;
            if (tell)
                complain(mask >> i & 1 ? "should be gone" : "is missing", p, i, 0);
        }
    }
    return n;
}

static void compare(void)
{
    unsigned n;

    for (unsigned p = 1; p < places; p++)
        hear(p);
    do
        n = differences(false);
    while (any_died() && n > 0);
    if (n > 0)
        differences(true);
}

static void step(unsigned i)
{
    unsigned what = pick(16);

    if (what < 4)
        create();
    else if (what < 8)
        exchange(true);
    else if (what < 12)
        exchange(false);
    else if (what < 13)
        revoke_ours();
    else
        revoke_theirs();
    if (i % LOOK == LOOK - 1)
        compare();
}

/* All that is ours goes; so the services' slots are free again, too. */
static void begin_anew(void)
{
    compare();
    for (unsigned at = 0; at < used[0]; at++) {
        if (!model[at].there)
            continue;
        model_revoke(at);
        sysc_revoke(cap_range(BASE + at, 1), true);
    }
    compare();
    memset(model, 0, sizeof(model));
    memset(used, 0, sizeof(used));
}

/* A session and a gate for place p; an error if the service is not there (yet). */
static unsigned open_place(unsigned p, const char *name)
{
    uint64_t word = ~0ull;
    struct session_args a = {.in = &word, .nin = 1};
    bool mortal = name[0] == '+';
    unsigned err = session_open(&place[p].sess, name + mortal, NULL, 0);

    if (err)
        return err;
    place[p].gate = (struct gate){.sel = sel_alloc(1)};
    place[p].mortal = mortal;
    place[p].dead = place[p].asked = false;
    err = session_obtain(&place[p].sess, place[p].gate.sel, 1, &a);
    if (err) {
        session_close(&place[p].sess);
        sel_free(place[p].gate.sel, 1);
    }
    return err;
}

static void begin(unsigned number, int n, char **names)
{
    /* In a run by a seed the node's EPOCH comes from that. */
    state = (number + (vreg_present() ? vreg_get(VREG_EPOCH) : 0)) * 0x9E3779B97F4A7C15ull | 1;
    if (recv_gate_create(&answers, 11, 8))
        panic("capforest: no receive gate");
    sysc_while_waiting(collect, NULL);
    probe_ep = ep_alloc();
    for (places = 1; (int)places <= n && places < PLACES; places++) {
        unsigned err = open_place(places, names[places - 1]);

        if (err)
            panic("capforest: no session with %s: error %u", names[places - 1], err);
    }
}

static void steps(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        bool full = used[0] == SLOTS;

        step(i);
        for (unsigned p = 1; p < places; p++)
            full = full || used[p] == SLOTS;
        if (full)
            begin_anew();
    }
}

static void tell_all_to_end(void)
{
    for (unsigned p = places - 1; p > 0; p--) {
        ask(p, ASK_QUIT, 0);
        hear(p);
    }
}

static int grow(unsigned client, unsigned n, bool visit)
{
    steps(n);
    begin_anew();
    if (visit)
        tell_all_to_end();
    print("capforest: client %u: %u capabilities, %u of them revoked, %u wrong\n", client, made,
          revoked, wrong);
    return wrong ? 1 : 0;
}

/* Until it is there again. */
static void open_again(unsigned p, const char *name)
{
    unsigned err = SE_OK;

    sel_free(place[p].sess.sel, 1);
    gate_deactivate(&place[p].gate);
    sel_free(place[p].gate.sel, 1);
    for (unsigned i = 0; i < POLLS; i++) {
        err = open_place(p, name);
        if (!err)
            return;
        dtu_relax(10 * POLL_NS);
    }
    panic("capforest: %s does not come again: error %u", name, err);
}

static int watch(unsigned client, unsigned deaths, const char *last)
{
    unsigned p = places - 1;

    for (unsigned i = 1; i <= deaths; i++) {
        while (!place[p].dead)
            steps(4);
        begin_anew();
        print("capforest: client %u: %s died (%u of %u); %u capabilities so far, %u wrong\n",
              client, last + 1, i, deaths, made, wrong);
        open_again(p, last);
        print("capforest: client %u: %s is there again\n", client, last + 1);
    }
    steps(LOOK);
    begin_anew();
    tell_all_to_end();
    print("capforest: client %u: survived %u deaths, %u wrong\n", client, deaths, wrong);
    return wrong ? 1 : 0;
}

static unsigned number(const char *s)
{
    unsigned n = 0;

    for (; *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (unsigned)(*s - '0');
    return n;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if ((argc == 3 || argc == 4) && strcmp(what, "serve") == 0)
        return forest_serve(argv[2], argc == 4 ? number(argv[3]) : 1);
    if (argc >= 5) {
        begin(number(argv[2]), argc - 4, argv + 4);
        if (strcmp(what, "grow") == 0 || strcmp(what, "visit") == 0)
            return grow(number(argv[2]), number(argv[3]), what[0] == 'v');
        if (strcmp(what, "watch") == 0 && places > 2 && place[places - 1].mortal)
            return watch(number(argv[2]), number(argv[3]), argv[argc - 1]);
    }
    panic("usage: capforest serve NAME [N] | grow NUMBER STEPS [+]NAME... | "
          "visit NUMBER STEPS [+]NAME... | watch NUMBER DEATHS NAME... +NAME");
}
