/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hosttest serve [NAME]: a service.  hosttest test [NAME]: its client, which is meant to run on
 * another kernel, and does not notice on which: session, capabilities in both directions, ping-pong
 * through the gate obtained, remote memory, errors, revocation by either side and proof that what
 * was revoked is dead at the other.  A line for each with the time since the machine started, then
 * `N passed, 0 failed`; the exit status is 0 when nothing failed.  The client's last word ends the
 * service.
 */
#include "hostask.h"

#include "fmt.h"
#include "print.h"
#include "server.h"
#include "session.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

#define DEFAULT_NAME "hosttest"
#define MEM_SIZE     4096u
#define PINGS        200u
#define WORD         0x686F737474657374ull
#define TINY_EP_SIZE 6u /* one slot of 64 bytes, which nobody empties */

enum what { GIVE_GATE = 1, GIVE_MEM, GIVE_READONLY, GIVE_TINY, GIVE_DEAD, REFUSE };
enum { ASK_COUNT = ASK_MORE, ASK_QUIT };

/* ---- the service ---- */

static struct {
    struct server srv;
    struct recv_gate tiny;
    unsigned open;
} self;

static unsigned new_memory(unsigned perm, unsigned *sel)
{
    static const uint64_t word = WORD;
    struct gate g = {.sel = sel_alloc(2)};
    unsigned err = sysc_reqmem(g.sel, SYSC_MEM_ANY, MEM_SIZE, DTU_PERM_RW);

    if (!err)
        err = gate_write(&g, &word, sizeof(word), 0);
    gate_deactivate(&g);
    if (!err)
        err = sysc_derivemem(g.sel, g.sel + 1, 0, MEM_SIZE, perm);
    memory.given = g.sel;
    *sel = g.sel + 1;
    return err;
}

static unsigned tiny_gate(unsigned *sel)
{
    unsigned err = self.tiny.ep ? SE_OK : recv_gate_create(&self.tiny, TINY_EP_SIZE, TINY_EP_SIZE);

    *sel = sel_alloc(1);
    return err ? err : sysc_creategate(CAP_SELF_VPE, *sel, 1, self.tiny.ep, 1u << TINY_EP_SIZE);
}

static unsigned do_open(void *arg, struct msg_reader *in, uint64_t *ident)
{
    (void)arg;
    (void)in;
    *ident = ++self.srv.idents;
    self.open++;
    return SE_OK;
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
    switch (what) {
    case GIVE_GATE:
        return server_gate(&self.srv, ident, &give->start);
    case GIVE_MEM:
        return new_memory(DTU_PERM_RW, &give->start);
    case GIVE_READONLY:
        return new_memory(DTU_PERM_R, &give->start);
    case GIVE_TINY:
        return tiny_gate(&give->start);
    case GIVE_DEAD: /* a receiver that never comes */
        give->start = sel_alloc(1);
        return sysc_creategate(CAP_SELF_VPE, give->start, 1, DTU_EPS - 1, 64);
    case REFUSE:
        return SE_NO_PERM;
    }
    return SE_INV_ARGS;
}

static void do_close(void *arg, uint64_t ident)
{
    (void)arg;
    (void)ident;
    self.open--;
}

static void message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    uint64_t op = msg_get_u64(in), word = msg_get_u64(in);
    unsigned err = SE_OK;

    (void)arg;
    (void)label;
    switch (in->error ? 0 : op) {
    case ASK_COUNT:
        word = self.open;
        break;
    case ASK_QUIT:
        self.srv.stop = true;
        break;
    default:
        err = ask_memory(in->error ? 0 : op, &word);
    }
    msg_put(out, err);
    msg_put(out, word);
}

static int serve(const char *name)
{
    static const struct server_ops ops = {.open = do_open,
                                          .obtain = do_obtain,
                                          .delegate = take_memory,
                                          .close = do_close,
                                          .message = message};
    unsigned err = server_create(&self.srv, name, &ops, NULL);

    if (err)
        panic("hosttest: the service %s cannot be registered: error %u", name, err);
    server_run(&self.srv);
    return server_destroy(&self.srv) ? 1 : 0;
}

/* ---- the client ---- */

static unsigned passed, failed;
static struct session sess;
static struct gate server;
static struct recv_gate answers;

static unsigned long now_us(void)
{
    if (!vreg_has(VREG_F_TIME))
        return 0;
    vreg_set(VREG_TIME, 0);
    return (unsigned long)(vreg_get(VREG_TIME) / 1000);
}

static void line(const char *what, bool good, unsigned err, unsigned expected)
{
    unsigned long us = now_us();

    print("%lu.%06lu %s %s", us / 1000000, us % 1000000, good ? "ok  " : "FAIL", what);
    if (!good)
        print(": %u, not %u", err, expected);
    print("\n");
    passed += good;
    failed += !good;
}

static void want(const char *what, unsigned err, unsigned expected)
{
    line(what, err == expected, err, expected);
}

static unsigned obtain(unsigned sel, uint64_t what)
{
    struct session_args a = {.in = &what, .nin = 1};

    return session_obtain(&sess, sel, 1, &a);
}

/* The service's error; *word: what goes there and comes back. */
static unsigned ask(uint64_t op, uint64_t *word)
{
    static uint64_t request[2];
    uint64_t reply[2] = {SE_RECV_GONE, 0};
    const struct dtu_header *msg;
    unsigned err;

    request[0] = op;
    request[1] = *word;
    err = gate_send(&server, request, sizeof(request), answers.ep, 0);
    if (err)
        return err;
    msg = recv_gate_wait_answer(&answers, &server);
    if (!msg)
        return SE_RECV_GONE;
    if (msg->length == sizeof(reply))
        memcpy(reply, dtu_payload(msg), sizeof(reply));
    dtu_ack(answers.ep, msg);
    *word = reply[1];
    return (unsigned)reply[0];
}

static void ping_pong(void)
{
    unsigned long begin = now_us();
    unsigned good = 0;

    for (uint64_t i = 0; i < PINGS; i++) {
        uint64_t word = i * 7;

        good += ask(ASK_ECHO, &word) == SE_OK && word == i * 7;
    }
    want("ping-pong through the gate", good, PINGS);
    print("     %u round trips, %lu us each\n", PINGS, (now_us() - begin) / PINGS);
}

/* Is the capability at sel gone?  Then no endpoint can be configured from it. */
static unsigned dead(unsigned sel)
{
    return sysc_activate(answers.ep + 1, CAP_INVALID, sel);
}

static void obtained_memory(void)
{
    struct gate mem = {.sel = sel_alloc(1)}, ro = {.sel = sel_alloc(1)};
    uint64_t word = 0, mine = 42;

    want("obtain memory", obtain(mem.sel, GIVE_MEM), SE_OK);
    want("read remote memory", gate_read(&mem, &word, sizeof(word), 0), SE_OK);
    line("what the service has written", word == WORD, 0, 1);
    want("write remote memory", gate_write(&mem, &mine, sizeof(mine), 64), SE_OK);
    word = 0;
    gate_read(&mem, &word, sizeof(word), 64);
    line("what was written", word == mine, (unsigned)word, (unsigned)mine);
    want("read behind its end", gate_read(&mem, &word, sizeof(word), MEM_SIZE), SE_INV_ARGS);
    want("the service revokes it", ask(ASK_REVOKE, &word), SE_OK);
    want("it cannot be read any more", gate_read(&mem, &word, sizeof(word), 0), SE_EP_INVALID);
    want("it is not there any more", dead(mem.sel), SE_INV_ARGS);
    want("obtain read-only memory", obtain(ro.sel, GIVE_READONLY), SE_OK);
    want("write to it", gate_write(&ro, &mine, sizeof(mine), 0), SE_NO_PERM);
    want("give it back", sysc_revoke(cap_range(ro.sel, 1), true), SE_OK);
    want("it is not there any more", dead(ro.sel), SE_INV_ARGS);
}

static void delegated_memory(void)
{
    struct gate mem = {.sel = sel_alloc(1)};
    static const uint64_t mine = 4711;
    uint64_t word = 99;

    want("memory of ours", sysc_reqmem(mem.sel, SYSC_MEM_ANY, MEM_SIZE, DTU_PERM_RW), SE_OK);
    gate_write(&mem, &mine, sizeof(mine), 0);
    want("delegate it", session_delegate(&sess, mem.sel, 1, NULL), SE_OK);
    want("the service reads it", ask(ASK_READ, &word), SE_OK);
    line("and sees what we wrote", word == mine, (unsigned)word, (unsigned)mine);
    word = 4712;
    want("the service writes it", ask(ASK_WRITE, &word), SE_OK);
    word = 0;
    gate_read(&mem, &word, sizeof(word), 8);
    line("and we see what it wrote", word == 4712, (unsigned)word, 4712);
    want("revoke it", sysc_revoke(cap_range(mem.sel, 1), true), SE_OK);
    line("it is dead at the service", ask(ASK_READ, &word) != SE_OK, 0, 1);
}

static void errors(void)
{
    struct gate tiny = {.sel = sel_alloc(1)};
    uint64_t word[16] = {0};
    unsigned sel = sel_alloc(1);

    want("obtain what is refused", obtain(sel, REFUSE), SE_NO_PERM);
    want("obtain a full receiver", obtain(tiny.sel, GIVE_TINY), SE_OK);
    want("the first message", gate_send(&tiny, word, 8, DTU_NO_REPLY, 0), SE_OK);
    want("no space for the second", gate_send(&tiny, word, 8, DTU_NO_REPLY, 0), SE_NO_RING_SPACE);
    want("a message too long", gate_send(&tiny, word, sizeof(word), DTU_NO_REPLY, 0), SE_INV_ARGS);
    want("obtain to a used selector", obtain(tiny.sel, GIVE_MEM), SE_INV_ARGS);
    want("a service that is not there", session_open(&(struct session){0}, "nobody", NULL, 0),
         SE_INV_ARGS);
}

static void sessions(void)
{
    struct session second = {0};
    uint64_t word = 0;

    want("a second session", session_open(&second, "hosttest-none", NULL, 0), SE_INV_ARGS);
    want("how many there are", ask(ASK_COUNT, &word), SE_OK);
    line("one", word == 1, (unsigned)word, 1);
}

/* With the service go the session and all gates to it; a message may still slip in before. */
static void want_end(void)
{
    uint64_t word = 0;
    unsigned err = SE_OK;

    for (unsigned i = 0; i < 1000 && err == SE_OK; i++) {
        err = obtain(sel_alloc(1), REFUSE);
        err = err == SE_NO_PERM ? SE_OK : err;
    }
    line("its session is gone", err != SE_OK, 0, 1);
    for (unsigned i = 0; i < 1000 && dead(server.sel) == SE_OK; i++)
        dtu_relax(1000000);
    err = gate_send(&server, &word, sizeof(word), DTU_NO_REPLY, 0);
    line("its gate is dead", err != SE_OK, err, SE_EP_INVALID);
}

static int test(const char *name)
{
    uint64_t word = 0;

    want("a receive gate", recv_gate_create(&answers, 9, 8), SE_OK);
    want("a session", session_open(&sess, name, NULL, 0), SE_OK);
    server.sel = sel_alloc(1);
    want("obtain a gate", obtain(server.sel, GIVE_GATE), SE_OK);
    if (!failed) {
        ping_pong();
        obtained_memory();
        delegated_memory();
        errors();
        sessions();
        want("the service ends", ask(ASK_QUIT, &word), SE_OK);
        want_end();
    }
    print("hosttest: %u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 2 ? argv[2] : DEFAULT_NAME;

    if (argc > 1 && argc < 4 && strcmp(argv[1], "serve") == 0)
        return serve(name);
    if (argc > 1 && argc < 4 && strcmp(argv[1], "test") == 0)
        return test(name);
    panic("usage: hosttest serve|test [NAME]");
}
