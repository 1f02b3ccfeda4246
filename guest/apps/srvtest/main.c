/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * srvtest serve NAME: the service.  srvtest test: services seen from a client, one line per test;
 * exit status 0 when all is well.  srvtest crash: a service that stops answering.
 */
#include "print.h"
#include "session.h"
#include "srvtest.h"
#include "start.h"
#include "str.h"
#include "syscall.h"
#include "syscalls.h"

static unsigned failed;
static struct session sess;
static struct gate server, mem;
static struct recv_gate answers;

static void want(const char *what, unsigned err, unsigned expected)
{
    if (err == expected)
        print("ok   %s\n", what);
    else
        print("FAIL %s: error %u, not %u\n", what, err, expected);
    failed += err != expected;
}

static unsigned obtain(struct session *s, unsigned sel, unsigned count, uint64_t what)
{
    uint64_t back = 0;
    struct session_args a = {.in = &what, .nin = 1, .out = &back, .nout = 1};
    unsigned err = session_obtain(s, sel, count, &a);

    return !err && (a.nout != 1 || back == 0) ? SE_NO_SPACE : err;
}

/* The answer's word, or ~0 and *err. */
static uint64_t ask(uint64_t op, unsigned *err)
{
    static uint64_t request;
    const struct dtu_header *msg;
    uint64_t out[2] = {SE_RECV_GONE, ~0ull};

    request = op;
    *err = gate_send(&server, &request, sizeof(request), answers.ep, 0);
    if (*err)
        return ~0ull;
    msg = recv_gate_wait(&answers);
    if (msg && msg->length == sizeof(out))
        memcpy(out, dtu_payload(msg), sizeof(out));
    if (msg)
        dtu_ack(answers.ep, msg);
    *err = (unsigned)out[0];
    return out[1];
}

static unsigned open_sessions(void)
{
    unsigned err, n = (unsigned)ask(ASK_OPEN, &err);

    return err ? ~0u : n;
}

static void test_open(void)
{
    const uint64_t deny = SE_NO_PERM;
    struct session s;
    unsigned sel = sel_alloc(1);

    want("a session with nobody", session_open(&s, "nobody", NULL, 0), SE_INV_ARGS);
    want("a session that is denied", session_open(&s, SRVTEST_NAME, &deny, 8), SE_NO_PERM);
    want("a session", session_open(&sess, SRVTEST_NAME, NULL, 0), SE_OK);
    want("a session at a used selector",
         sysc_createsess(CAP_SELF_VPE, sess.sel, SRVTEST_NAME, NULL, 0), SE_INV_ARGS);
    want("a session for no VPE", sysc_createsess(sel, sel + 1, SRVTEST_NAME, NULL, 0), SE_INV_ARGS);
    sel_free(sel, 1);
}

static void test_obtain(void)
{
    uint64_t word = 0;
    unsigned spare = sel_alloc(1), err;

    server.sel = sel_alloc(1);
    mem.sel = sel_alloc(1);
    want("obtain a gate", obtain(&sess, server.sel, 1, GIVE_GATE), SE_OK);
    want("obtain memory", obtain(&sess, mem.sel, 1, GIVE_MEM), SE_OK);
    err = gate_read(&mem, &word, sizeof(word), 0);
    want("read it", err ? err : word == SRVTEST_WORD ? SE_OK : SE_NO_MAPPING, SE_OK);
    want("obtain to a used selector", obtain(&sess, mem.sel, 1, GIVE_MEM), SE_INV_ARGS);
    want("obtain what is refused", obtain(&sess, spare, 1, GIVE_REFUSE), SE_NO_PERM);
    want("more than was asked for", obtain(&sess, spare, 1, GIVE_TOO_MANY), SE_INV_ARGS);
    want("a capability that is not there", obtain(&sess, spare, 1, GIVE_NOTHING_THERE), SE_OK);
    want("and nothing came", sysc_revoke(cap_range(spare, 1), true), SE_INV_ARGS);
    want("obtain over what is no session",
         sysc_obtain(CAP_SELF_VPE, mem.sel, cap_range(spare, 1), NULL), SE_INV_ARGS);
    sel_free(spare, 1);
}

static void test_revoke(void)
{
    uint64_t word = 0;
    unsigned sel = sel_alloc(1), err;

    want("obtain a second memory", obtain(&sess, sel, 1, GIVE_MEM), SE_OK);
    mem = (struct gate){.sel = sel};
    want("read the second memory", gate_read(&mem, &word, sizeof(word), 0), SE_OK);
    ask(ASK_REVOKE, &err);
    want("the service revokes it", err, SE_OK);
    want("the client's endpoint is dead", gate_read(&mem, &word, sizeof(word), 0), SE_EP_INVALID);
    gate_deactivate(&mem);
    want("and so is its capability", gate_activate(&mem), SE_INV_ARGS);
}

static void test_delegate(void)
{
    static const uint64_t word = 0xDE1E6A7E;
    struct gate own = {.sel = sel_alloc(1)};
    unsigned err = sysc_reqmem(own.sel, SYSC_MEM_ANY, SRVTEST_MEM, DTU_PERM_RW);
    uint64_t back;

    if (!err)
        err = gate_write(&own, &word, sizeof(word), 0);
    want("memory to delegate", err, SE_OK);
    want("delegate what is not there", session_delegate(&sess, own.sel + 1, 1, NULL), SE_INV_ARGS);
    want("delegate it", session_delegate(&sess, own.sel, 1, NULL), SE_OK);
    back = ask(ASK_READ, &err);
    want("the service reads it", err ? err : back == word ? SE_OK : SE_NO_MAPPING, SE_OK);
    want("the service refuses two", session_delegate(&sess, own.sel, 2, NULL), SE_NO_SPACE);
    gate_deactivate(&own);
    want("revoke what was delegated", sysc_revoke(cap_range(own.sel, 1), true), SE_OK);
    ask(ASK_READ, &err);
    want("the service cannot read it any more", err, SE_EP_INVALID);
}

static void test_close(void)
{
    struct session s;

    want("a second session", session_open(&s, SRVTEST_NAME, NULL, 0), SE_OK);
    want("both are open", open_sessions(), 2);
    want("close the second", session_close(&s), SE_OK);
    want("the service was told", open_sessions(), 1);
    want("obtain over the closed session", obtain(&s, s.sel + 1, 1, GIVE_MEM), SE_INV_ARGS);
}

static void test_register(void)
{
    unsigned gate = sel_alloc(3), srv = gate + 1;

    want("a gate", sysc_creategate(CAP_SELF_VPE, gate, 0, answers.ep, 256), SE_OK);
    want("the same name again", sysc_createsrv(gate, srv, SRVTEST_NAME), SE_EXISTS);
    want("no name", sysc_createsrv(gate, srv, ""), SE_INV_ARGS);
    want("somebody else's gate", sysc_createsrv(server.sel, srv, "other"), SE_INV_ARGS);
    want("a used selector", sysc_createsrv(gate, gate, "other"), SE_INV_ARGS);
    want("a service of our own", sysc_createsrv(gate, srv, "other"), SE_OK);
    want("a session of our own service", sysc_createsessat(srv, srv + 1, 7), SE_OK);
    want("a session of what is no service", sysc_createsessat(gate, srv + 2, 7), SE_INV_ARGS);
    want("revoke the service", sysc_revoke(cap_range(srv, 1), true), SE_OK);
    want("its session is gone", sysc_revoke(cap_range(srv + 1, 1), true), SE_INV_ARGS);
    want("it can be registered again", sysc_createsrv(gate, srv, "other"), SE_OK);
    sysc_revoke(cap_range(gate, 2), true);
}

/* Every length shorter than the arguments. */
static void test_malformed(void)
{
    const uint64_t obj = (uint64_t)CRD_OBJ | (uint64_t)SEL_OWN << 32;
    const struct {
        const char *what;
        size_t len;
        uint64_t words[6];
    } calls[] = {
        {"CREATESRV cut short", 32, {SYSC_CREATESRV, server.sel, SEL_END, 2, 0x6161}},
        {"CREATESESS cut short", 32, {SYSC_CREATESESS, 0, SEL_END, 2, 0x6161}},
        {"CREATESESSAT cut short", 31, {SYSC_CREATESESSAT, server.sel, SEL_END, 1}},
        {"OBTAIN cut short", 35, {SYSC_OBTAIN, 0, sess.sel, obj, 1}},
        {"DELEGATE cut short", 35, {SYSC_DELEGATE, 0, sess.sel, obj, 1}},
    };

    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        unsigned err = SE_INV_ARGS;

        for (size_t len = 0; len <= calls[i].len && err == SE_INV_ARGS; len++)
            err = sysc_raw(calls[i].words, len);
        want(calls[i].what, err, SE_INV_ARGS);
    }
}

static void test_death(void)
{
    struct session s;
    unsigned sel = sel_alloc(1), err = session_open(&s, "mortal", NULL, 0);

    want("a session with a service that will end", err, SE_OK);
    want("it ends in the middle of a request", obtain(&s, sel, 1, GIVE_DIE), SE_RECV_GONE);
    want("its session went with it", session_close(&s), SE_INV_ARGS);
    want("no new session with it", session_open(&s, "mortal", NULL, 0), SE_INV_ARGS);
}

static void test_crash(void)
{
    struct session s;

    want("a session with a service that will crash", session_open(&s, "mortal", NULL, 0), SE_OK);
    want("it crashes in the middle of a request", obtain(&s, sel_alloc(1), 1, GIVE_CRASH),
         SE_RECV_GONE);
}

static void test_all(void)
{
    test_open();
    test_obtain();
    test_revoke();
    test_delegate();
    test_close();
    test_register();
    test_malformed();
    test_death();
}

int main(int argc, char **argv)
{
    unsigned err;

    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return srvtest_serve(argv[2]);
    if (argc != 2 || (strcmp(argv[1], "test") != 0 && strcmp(argv[1], "crash") != 0))
        panic("usage: srvtest test, srvtest crash, or srvtest serve NAME");
    err = recv_gate_create(&answers, 9, 8);
    if (err)
        panic("srvtest: no receive gate: error %u", err);
    if (strcmp(argv[1], "crash") == 0)
        test_crash();
    else
        test_all();
    print("srvtest: %u failed\n", failed);
    return failed ? 1 : 0;
}
