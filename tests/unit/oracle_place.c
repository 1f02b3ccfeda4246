/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is there, who answers, who dies, and how all comes to rest (oracle.h). */
#include <stdio.h>
#include <string.h>

#include "../../guest/kernel/srv.h"
#include "oracle.h"

#define RB         (FAKE_PE_MEM - PE_RECVBUF_SIZE)
#define MS         1000000ull
#define ROAMS      3u   /* one actor of so many */
#define SETTLE_MAX 200u /* seconds after which a wait is taken for one without end */

static bool dead[FAKE_KERNELS]; /* kernels */

bool oracle_lives(unsigned kernel)
{
    return !dead[kernel];
}

/* ---- at work ---- */

/* Of those that the service names, so many are given: a kernel stops at the first hole. */
static unsigned given(unsigned v, unsigned t, unsigned s, unsigned n)
{
    unsigned i = 0;

    oracle_find(v);
    oracle_find(t);
    if (oracle.table[v].kernel == oracle.table[t].kernel)
        return n;
    while (i < n && oracle_real(t, s + i))
        i++;
    return i;
}

/* From here on, whatever is revoked takes the copies along. */
static void model_exchange(struct oracle_actor *a, unsigned v)
{
    unsigned from = a->obtains ? a->with : v, to = a->obtains ? v : a->with;
    unsigned fs = a->obtains ? a->theirs : a->ours, ts = a->obtains ? a->ours : a->theirs;
    unsigned n = a->obtains ? given(v, from, fs, a->count) : a->count;

    for (unsigned i = 0; i < n; i++) {
        if (oracle_real(from, fs + i))
            oracle_add(to * ORACLE_SELS + ts + i, (int)(from * ORACLE_SELS + fs + i));
    }
}

void oracle_answer(unsigned v)
{
    const struct oracle_actor *s = &oracle.actor[v];
    const struct fake_request *r = fake_request(oracle.table[v].pe);
    struct oracle_actor *a;
    unsigned client;

    if (!s->alive || s->crashed || !r->there)
        return;
    if (r->word[0] != SRV_OBTAIN && r->word[0] != SRV_DELEGATE) {
        ANSWER(oracle.table[v].pe, SE_OK);
        return;
    }
    client = (unsigned)r->word[1] - 1; /* what we called the session */
    a = &oracle.actor[client];
    /* It may have died, and even have come again, since it asked. */
    if (!a->alive || a->does != DOES_EXCHANGE || a->with != v || a->answered) {
        ANSWER(oracle.table[v].pe, SE_INV_ARGS);
        return;
    }
    a->answered = true;
    model_exchange(a, client);
    ANSWER(oracle.table[v].pe, SE_OK, RANGE(ORACLE_FIRST + a->theirs, a->count));
}

/* The copies are there, or, after an error, none is. */
static void exchange_over(struct oracle_actor *a, unsigned v, bool ok)
{
    unsigned to = a->obtains ? v : a->with, ts = a->obtains ? a->ours : a->theirs;
    bool all = a->answered;

    for (unsigned i = 0; i < a->count; i++) {
        struct oracle_node *n = &oracle.node[to * ORACLE_SELS + ts + i];

        all = all && n->there;
        n->pending = false;
        if (!ok)
            oracle_revoke(to * ORACLE_SELS + ts + i);
    }
    oracle.errors += ok ? 0 : 1;
    if (!ok && all && !oracle.injected)
        oracle_fail("actor %u: %s of %u with %u failed with %lu, and nothing was amiss", v,
                    a->obtains ? "OBTAIN" : "DELEGATE", a->count, a->with,
                    (unsigned long)fake_reply(oracle.table[v].pe)->word[0]);
}

void oracle_look(unsigned v)
{
    struct oracle_actor *a = &oracle.actor[v];
    const struct fake_reply *r = fake_reply(oracle.table[v].pe);

    if (!a->alive || a->does == DOES_NOTHING || r->count == a->seen)
        return;
    if (a->does == DOES_EXCHANGE)
        exchange_over(a, v, (uint32_t)r->word[0] == SE_OK);
    a->does = DOES_NOTHING;
}

/* ---- at rest ---- */

/* Why kernel k is not at rest, NULL: it is. */
static const char *restless(unsigned k)
{
    fake_use(k);
    if (kern.revocations)
        return "a revocation is under way";
    if (kern.peers.exchanges || kern.peers.late)
        return "an exchange is under way";
    if (peer_sending())
        return "a message to another kernel waits";
    for (unsigned i = 0; i < fake_kernels(); i++)
        if (i != k && dead[i] == (peer_find(i) != NULL))
            return dead[i] ? "a dead kernel is taken for alive" : "another kernel is not found";
    if (kern.moves.phase != MOVE_IDLE || kern.moves.hold || kern.moves.from)
        return "a VPE is on its way";
    for (const struct service *s = kern.services; s; s = s->next)
        if (s->cap && (s->busy || s->head || s->closing))
            return "a service has not answered";
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP && kern.peers.peer[i].inflight > 0)
            return "a request to another kernel was not answered";
    return NULL;
}

static const char *who_waits(void)
{
    const char *why = fake_wire() > 0 ? "messages are under way" : NULL;

    for (unsigned v = 0; !why && v < oracle.nactors; v++)
        if (oracle.actor[v].alive && !oracle.actor[v].unsure &&
            oracle.actor[v].does != DOES_NOTHING)
            why = oracle.actor[v].does == DOES_REVOKE ? "a revocation is not answered"
                                                      : "an exchange is not answered";
    for (unsigned k = 0; !why && k < fake_kernels(); k++)
        why = dead[k] ? NULL : restless(k);
    return why;
}

static void all_work(void)
{
    fake_deliver();
    for (unsigned v = 0; v < oracle.nactors; v++) {
        oracle_answer(v);
        oracle_look(v);
    }
}

/* The VPE is no more. */
static void table_dies(unsigned t)
{
    oracle_revoke_table(t);
    oracle.table[t].live = false;
    if (t < oracle.nactors)
        oracle.actor[t].alive = oracle.actor[t].unsure = false;
}

/* All has settled: who was on the way when a kernel died is somewhere, or nowhere. */
static void be_sure(void)
{
    for (unsigned v = 0; v < oracle.nactors; v++) {
        struct oracle_table *t = &oracle.table[v];

        if (!oracle.actor[v].unsure)
            continue;
        oracle_find(v);
        fake_use(t->kernel);
        oracle.actor[v].unsure = false;
        if (dead[t->kernel] || !kern.pes[t->pe].vpe)
            table_dies(v);
        oracle_look(v);
    }
}

void oracle_settle(void)
{
    const char *why = NULL;

    fake_refuse = NULL;
    for (unsigned i = 0; i < 20 + SETTLE_MAX; i++) {
        all_work();
        all_work();
        fake_settle();
        why = who_waits();
        if (!why)
            break;
        fake_time(i < 20 ? 6 * MS : 1000 * MS);
    }
    if (why)
        oracle_fail("%s, for ever", why);
    be_sure();
    why = who_waits();
    if (why)
        oracle_fail("%s, for ever, after a move", why);
    oracle_compare();
    oracle.injected = false;
}

/* ---- beginnings and ends ---- */

void oracle_end_actor(unsigned v)
{
    struct oracle_actor *a = &oracle.actor[v];

    oracle_find(v);
    if (!a->alive || a->unsure || dead[oracle.table[v].kernel])
        return;
    oracle.ends++;
    fake_use(oracle.table[v].kernel);
    if (kern.pes[oracle.table[v].pe].vpe == NULL) {
        /* between two kernels: nobody can end it now */
        oracle.ends--;
        return;
    }
    oracle_revoke_table(v);
    oracle_revoke_table(oracle.nactors + v);
    oracle.table[v].live = oracle.table[oracle.nactors + v].live = false;
    a->alive = false;
    vpe_exit(kern.pes[oracle.table[v].pe].vpe, 0);
    vpe_reap();
}

void oracle_find(unsigned t)
{
    struct oracle_table *at = &oracle.table[t];

    if (!at->live || t >= oracle.nactors || !oracle.actor[t].roams)
        return;
    for (unsigned k = 0; k < fake_kernels(); k++) {
        fake_use(k);
        if (!dead[k] && kern.pes[at->pe].vpe)
            at->kernel = k;
    }
}

bool oracle_on_its_way(unsigned v)
{
    for (unsigned k = 0; oracle.actor[v].roams && k < fake_kernels(); k++) {
        const struct moves *m;

        fake_use(k);
        m = &kern.moves;
        if ((m->phase != MOVE_IDLE && m->pe == oracle.table[v].pe) ||
            (m->from && m->taken_pe == oracle.table[v].pe))
            return true;
    }
    return false;
}

void oracle_move(unsigned v, unsigned to)
{
    oracle_find(v);
    fake_use(oracle.table[v].kernel);
    if (!dead[oracle.table[v].kernel] && to != kern.id)
        move_begin(oracle.table[v].pe, peer_find(to));
}

/* ---- deaths ---- */

/* Has that kernel to do with a move of that PE? */
static bool moves_pe(unsigned kernel, unsigned pe)
{
    const struct moves *m;
    bool does = false;

    for (unsigned k = 0; k < fake_kernels() && !does; k++) {
        fake_use(k);
        m = &kern.moves;
        if (dead[k])
            continue;
        does =
            m->phase != MOVE_IDLE && m->pe == pe && (k == kernel || (m->to && m->to->id == kernel));
        does |= m->from && m->taken_pe == pe && (k == kernel || m->from->id == kernel);
    }
    return does;
}

/* Memory goes with the kernel whose memory PE it is of. */
static void reclaim(unsigned t, unsigned kernel)
{
    for (unsigned s = 0; s < oracle.table[t].used; s++) {
        const struct oracle_node *n = &oracle.node[t * ORACLE_SELS + s];

        if (n->there && n->lent && n->lender == kernel)
            oracle_revoke(t * ORACLE_SELS + s);
    }
}

/* With a kernel go the VPEs that are there, and those whose PE was its own at first. */
void oracle_kill(unsigned kernel)
{
    bool middle[ORACLE_ACTORS];

    if (dead[kernel])
        return;
    oracle.kills++;
    oracle.injected = true;
    for (unsigned v = 0; v < oracle.nactors; v++) {
        oracle_find(v);
        middle[v] = oracle.actor[v].roams && moves_pe(kernel, oracle.table[v].pe);
    }
    fake_kill(kernel);
    dead[kernel] = true;
    for (unsigned t = 0; t < 2 * oracle.nactors; t++) {
        if (!oracle.table[t].live)
            continue;
        if (fake_kernel_of(oracle.table[t].pe) == kernel)
            table_dies(t);
        else if (t < oracle.nactors && (middle[t] || oracle.actor[t].unsure))
            oracle.actor[t].unsure = true;
        else if (oracle.table[t].kernel == kernel)
            table_dies(t);
        if (oracle.table[t].live)
            reclaim(t, kernel);
    }
}

void oracle_kill_mover(void)
{
    unsigned first = oracle_pick(fake_kernels());

    for (unsigned i = 0; i < fake_kernels(); i++) {
        unsigned k = (first + i) % fake_kernels();

        fake_use(k);
        if (dead[k] || (kern.moves.phase < MOVE_HOLDING && !kern.moves.from && !kern.moves.hold))
            continue;
        oracle_kill(k);
        return;
    }
}

static void must(int err, const char *what)
{
    if (err != SE_OK)
        oracle_fail("%s: error %d", what, err);
}

/* On its kernel or, when all PEs of that have moved away, on another one.  False: none is left. */
static bool place_vpe(struct oracle_table *t)
{
    for (unsigned i = 0; i < fake_kernels() && !pe_find(PE_TYPE_SPM); i++) {
        t->kernel = (t->kernel + 1) % fake_kernels();
        fake_use(t->kernel);
    }
    if (!pe_find(PE_TYPE_SPM))
        return false;
    t->pe = fake_vpe()->pe;
    t->live = true;
    return true;
}

/* A VPE for actor v, which offers a service, or roams. */
static void begin_actor(unsigned v)
{
    struct oracle_table *t = &oracle.table[v];

    fake_use(t->kernel);
    *t = (struct oracle_table){.kernel = t->kernel};
    memset(&oracle.node[v * ORACLE_SELS], 0, ORACLE_SELS * sizeof(oracle.node[0]));
    place_vpe(t);
    oracle.table[oracle.nactors + v] = (struct oracle_table){.kernel = t->kernel};
    oracle.actor[v] =
        (struct oracle_actor){.alive = t->live, .roams = oracle.moves && v % ROAMS == ROAMS - 1};
    if (!t->live || oracle.actor[v].roams)
        return;
    must(CALL(t->pe, SYSC_ATTACHRB, 0, 2, RB + 4096, 12, 8, 0), "ATTACHRB");
    must(CALL(t->pe, SYSC_CREATEGATE, 0, 20, 7, 2, 256), "CREATEGATE");
    must(CALL(t->pe, SYSC_CREATESRV, 20, 21, 1, 'A' + v), "CREATESRV");
}

/* Messages arrive; what could not be sent at first is sent again. */
static void wait_for(const bool *there, const unsigned *count, unsigned seen)
{
    for (unsigned i = 0; i < 10 && !(there ? *there : *count != seen); i++) {
        fake_deliver();
        fake_time(6 * MS);
    }
    fake_deliver();
}

static void open_session(unsigned v, unsigned with)
{
    unsigned pe = oracle.table[v].pe, count = fake_reply(pe)->count;

    CALL(pe, SYSC_CREATESESS, 0, ORACLE_SESS + with, 1, 'A' + with);
    wait_for(&fake_request(oracle.table[with].pe)->there, NULL, 0);
    if (!fake_request(oracle.table[with].pe)->there)
        oracle_fail("actor %u: no session with %u: error %lu", v, with,
                    (unsigned long)fake_reply(pe)->word[0]);
    ANSWER(oracle.table[with].pe, SE_OK, v + 1);
    wait_for(NULL, &fake_reply(pe)->count, count);
    must(fake_reply(pe)->count == count + 1 ? (int)fake_reply(pe)->word[0] : FAKE_LATER,
         "CREATESESS");
}

/* A VPE whose table is v's to fill. */
static void begin_child(unsigned v)
{
    struct oracle_table *t = &oracle.table[oracle.nactors + v];
    struct cap *c;

    if (CALL(oracle.table[v].pe, SYSC_CREATEVPE, ORACLE_CHILD, ORACLE_CHILD + 1, 4, 0x6C696863,
             PE_TYPE_SPM, CAP_INVALID, 0) != SE_OK)
        return; /* all PEs of that kernel are in use */
    fake_use(oracle.table[v].kernel);
    c = cap_get(&kern.pes[oracle.table[v].pe].vpe->caps, ORACLE_CHILD);
    *t = (struct oracle_table){.live = true, .kernel = oracle.table[v].kernel, .pe = c->vpe->pe};
}

static bool can_talk(unsigned v)
{
    return oracle.actor[v].alive && !oracle.actor[v].crashed;
}

void oracle_revive(void)
{
    bool fresh[ORACLE_ACTORS] = {false};

    for (unsigned k = 0; k < fake_kernels(); k++) {
        if (!dead[k])
            continue;
        fake_restart(k, true);
        dead[k] = false;
    }
    oracle_settle();
    for (unsigned v = 0; v < oracle.nactors; v++) {
        fresh[v] = !oracle.actor[v].alive;
        if (fresh[v])
            begin_actor(v);
    }
    fake_deliver();
    for (unsigned v = 0; v < oracle.nactors; v++)
        for (unsigned s = 0; s < oracle.nactors; s++)
            if (s != v && !oracle.actor[s].roams && (fresh[v] || fresh[s]) && can_talk(v) &&
                can_talk(s))
                open_session(v, s);
    for (unsigned v = 0; v < oracle.nactors; v++)
        if (can_talk(v) && !oracle.actor[v].roams && !oracle.table[oracle.nactors + v].live)
            begin_child(v);
    oracle_settle();
}

void oracle_place(void)
{
    unsigned each = oracle.kernels == 1 ? 6 : oracle.kernels <= 4 ? 4 : 2;

    memset(dead, 0, sizeof(dead));
    fake_boot_apart(oracle.kernels, each + 1 + each / 2, true);
    oracle.nactors = oracle.kernels * each;
    for (unsigned v = 0; v < oracle.nactors; v++)
        oracle.table[v].kernel = v / each;
    oracle_revive();
}
