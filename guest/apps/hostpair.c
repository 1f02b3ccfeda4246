/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostpair serve NAME: a service.  hostpair test NAME OTHER PINGS: a client on the same node, of
 * service OTHER on another one, where the same pair runs the other way round.
 *
 * A round is the shortest that uses all there is between two nodes: session, gate, PINGS messages
 * with answers, memory obtained and memory delegated, each read and written from the far side and
 * revoked there.  Nodes may crash and return at any time: then a round ends with an error and
 * another one begins.  What must never happen is a wrong answer, wrong data or a wait without end.
 *
 * The client ends when both of the pair have completed a round, or when the other has not been
 * there for ALONE_NS.  Its last line is `complete`, `complete without the other's word`, or
 * `alone`; the exit status is 1 only if something was wrong.
 */
#include "hostask.h"

#include "fmt.h"
#include "print.h"
#include "server.h"
#include "session.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

#define MEM_SIZE 4096u
#define RETRY_NS 50000000ull
#define ALONE_NS 20000000000ull

enum { ASK_DONE = ASK_MORE, ASK_IS_DONE };
enum what { GIVE_GATE = 1, GIVE_MEM };

/* ---- the service ---- */

static struct {
    struct server srv;
    bool done; /* the other client has said that it has completed a round */
} self;

static unsigned give_memory(unsigned *sel)
{
    unsigned err;

    sysc_revoke(cap_range(memory.given, 1), true); /* of a client that is gone */
    err = sysc_reqmem(memory.given, SYSC_MEM_ANY, MEM_SIZE, DTU_PERM_RW);
    if (!err)
        err = sysc_derivemem(memory.given, memory.given + 1, 0, MEM_SIZE, DTU_PERM_RW);
    *sel = memory.given + 1;
    return err;
}

static unsigned do_obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                          struct cap_range *give, struct msg_writer *out)
{
    uint64_t what = msg_get_u64(in);

    (void)arg;
    (void)out;
    give->count = 1;
    if (in->error || count != 1)
        return SE_INV_ARGS;
    return what == GIVE_GATE  ? server_gate(&self.srv, ident, &give->start)
           : what == GIVE_MEM ? give_memory(&give->start)
                              : SE_INV_ARGS;
}

static void message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    uint64_t op = msg_get_u64(in), word = msg_get_u64(in);
    unsigned err = SE_OK;

    (void)arg;
    (void)label;
    switch (in->error ? 0 : op) {
    case ASK_DONE:
        self.done = true;
        break;
    case ASK_IS_DONE:
        word = self.done;
        break;
    default:
        err = ask_memory(in->error ? 0 : op, &word);
    }
    msg_put(out, err);
    msg_put(out, word);
}

static int serve(const char *name)
{
    static const struct server_ops ops = {
        .obtain = do_obtain, .delegate = take_memory, .message = message};
    unsigned err = server_create(&self.srv, name, &ops, NULL);

    if (err)
        panic("hostpair: the service %s cannot be registered: error %u\n", name, err);
    memory.given = sel_alloc(2);
    server_run(&self.srv);
    server_destroy(&self.srv);
    return 0;
}

/* ---- the client ---- */

enum verdict { GOOD, BROKEN, WRONG };

/* A way to a service. */
struct way {
    struct session sess;
    struct gate gate;
};

static struct recv_gate answers;
static uint64_t asked, word_now;
static unsigned sels; /* of memory: obtained, ours */

static uint64_t now_ns(void)
{
    vreg_set(VREG_TIME, 0);
    return vreg_get(VREG_TIME);
}

/* What an operation may end with when the other node is gone: `err`.  Else somebody is wrong. */
static enum verdict judge(const char *what, unsigned err)
{
    if (err == SE_OK)
        return GOOD;
    if (err == SE_RECV_GONE || err == SE_INV_ARGS || err == SE_EP_INVALID || err == SE_VPE_GONE) {
        print("hostpair: interrupted: %s: error %u\n", what, err);
        return BROKEN;
    }
    print("hostpair: FAIL %s: error %u\n", what, err);
    return WRONG;
}

static enum verdict equal(const char *what, uint64_t got, uint64_t want)
{
    if (got == want)
        return GOOD;
    print("hostpair: FAIL %s: %#llx, not %#llx\n", what, (unsigned long long)got,
          (unsigned long long)want);
    return WRONG;
}

static unsigned obtain(struct way *w, unsigned sel, uint64_t what)
{
    struct session_args a = {.in = &what, .nin = 1};

    return session_obtain(&w->sess, sel, 1, &a);
}

/* The service's error; *word: what goes there and comes back.  Answers to what was given up do not
 * count. */
static unsigned ask(struct way *w, uint64_t op, uint64_t *word)
{
    static uint64_t request[2];
    uint64_t reply[2] = {SE_INV_ARGS, 0};
    const struct dtu_header *msg;
    bool ours;
    unsigned err;

    request[0] = op;
    request[1] = *word;
    err = gate_send(&w->gate, request, sizeof(request), answers.ep, ++asked);
    if (err)
        return err;
    do {
        msg = recv_gate_wait_answer(&answers, &w->gate);
        if (!msg)
            return SE_RECV_GONE;
        ours = msg->label == asked;
        if (ours && msg->length == sizeof(reply))
            memcpy(reply, dtu_payload(msg), sizeof(reply));
        dtu_ack(answers.ep, msg);
    } while (!ours);
    *word = reply[1];
    return (unsigned)reply[0];
}

/* Whatever is there of it. */
static void leave(struct way *w)
{
    gate_deactivate(&w->gate);
    sysc_revoke(cap_range(w->gate.sel, 1), true);
    sel_free(w->gate.sel, 1);
    session_close(&w->sess);
}

/* False: the service is not there (now). */
static bool enter(struct way *w, const char *name)
{
    *w = (struct way){0};
    if (session_open(&w->sess, name, NULL, 0) != SE_OK)
        return false;
    w->gate.sel = sel_alloc(1);
    if (obtain(w, w->gate.sel, GIVE_GATE) == SE_OK)
        return true;
    leave(w);
    return false;
}

#define TRY(expr)                 \
    do {                          \
        enum verdict v_ = (expr); \
        if (v_ != GOOD)           \
            return v_;            \
    } while (0)

static enum verdict pings(struct way *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t sent = ++word_now * 0x9E3779B97F4A7C15ull, word = sent;

        TRY(judge("a message", ask(w, ASK_ECHO, &word)));
        TRY(equal("its answer", word, sent));
    }
    return GOOD;
}

/* What must fail when the capability is revoked: 0 is wrong. */
static enum verdict dead(const char *what, unsigned err)
{
    if (err == SE_EP_INVALID || err == SE_INV_ARGS)
        return GOOD;
    return err == SE_OK ? equal(what, 0, 1) : judge(what, err);
}

static enum verdict obtained(struct way *w, struct gate *mem)
{
    uint64_t mine = ++word_now, word = 0;

    TRY(judge("obtain memory", obtain(w, mem->sel, GIVE_MEM)));
    TRY(judge("write it", gate_write(mem, &mine, sizeof(mine), 64)));
    TRY(judge("read it", gate_read(mem, &word, sizeof(word), 64)));
    TRY(equal("what was written", word, mine));
    TRY(judge("the service revokes it", ask(w, ASK_REVOKE, &word)));
    return dead("reading it still", gate_read(mem, &word, sizeof(word), 64));
}

static enum verdict delegated(struct way *w, struct gate *mem)
{
    uint64_t mine = ++word_now, word = 0;

    TRY(judge("memory of ours", sysc_reqmem(mem->sel, SYSC_MEM_ANY, MEM_SIZE, DTU_PERM_RW)));
    TRY(judge("write ours", gate_write(mem, &mine, sizeof(mine), 0)));
    TRY(judge("delegate it", session_delegate(&w->sess, mem->sel, 1, NULL)));
    TRY(judge("the service reads it", ask(w, ASK_READ, &word)));
    TRY(equal("what it read", word, mine));
    word = ++mine;
    TRY(judge("the service writes it", ask(w, ASK_WRITE, &word)));
    TRY(judge("read ours", gate_read(mem, &word, sizeof(word), 8)));
    TRY(equal("what the service wrote", word, mine));
    TRY(judge("revoke it", sysc_revoke(cap_range(mem->sel, 1), true)));
    return dead("the service reads it still", ask(w, ASK_READ, &word));
}

static enum verdict round_with(struct way *w, unsigned n)
{
    struct gate mem[2] = {{.sel = sels}, {.sel = sels + 1}};
    enum verdict v = pings(w, n);
    uint64_t word = 0;

    if (v == GOOD)
        v = obtained(w, &mem[0]);
    if (v == GOOD)
        v = delegated(w, &mem[1]);
    if (v == GOOD)
        v = judge("the last word", ask(w, ASK_DONE, &word));
    gate_deactivate(&mem[0]);
    gate_deactivate(&mem[1]);
    sysc_revoke(cap_range(sels, 2), true);
    return v;
}

/* The other node may have lost our last word, or may have ended, having all that it wants. */
static enum verdict say_again(struct way *w)
{
    uint64_t word = 0;

    ask(w, ASK_DONE, &word);
    return GOOD;
}

/* Does our own service know that the other client has completed its round? */
static bool other_done(struct way *home)
{
    uint64_t word = 0;
    unsigned err = ask(home, ASK_IS_DONE, &word);

    if (err)
        panic("hostpair: our own service does not answer: error %u\n", err);
    return word != 0;
}

static int test(const char *name, const char *other, unsigned n)
{
    uint64_t seen = now_ns();
    bool complete = false;
    struct way home, away;
    enum verdict v;

    if (recv_gate_create(&answers, 9, 8) != SE_OK)
        panic("hostpair: no receive gate\n");
    sels = sel_alloc(2);
    while (!enter(&home, name))
        dtu_relax(RETRY_NS);
    while (!complete || !other_done(&home)) {
        if (now_ns() - seen > ALONE_NS) {
            print("hostpair: %s\n", complete ? "complete without the other's word" : "alone");
            return 0;
        }
        if (enter(&away, other)) {
            v = complete ? say_again(&away) : round_with(&away, n);
            leave(&away);
            if (v == WRONG)
                return 1;
            complete |= v == GOOD;
            seen = now_ns();
        }
        if (!complete || !other_done(&home))
            dtu_relax(RETRY_NS);
    }
    print("hostpair: complete\n");
    return 0;
}

static unsigned number(const char *s)
{
    unsigned n = 0;

    for (; *s >= '0' && *s <= '9' && n < 100000; s++)
        n = n * 10 + (unsigned)(*s - '0');
    return *s ? 0 : n;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc == 5 && strcmp(argv[1], "test") == 0 && number(argv[4]) > 0)
        return test(argv[2], argv[3], number(argv[4]));
    panic("usage: hostpair serve NAME | hostpair test NAME OTHER PINGS");
}
