/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chain of N capabilities, each obtained from the one before, back and forth between two
 * services, and its revocation from the root:
 *
 *   capchain link [NAME]                  one side, the service NAME (capchain-link)
 *   capchain root N [NAME [OWN]]          the other side, the service OWN (capchain-root)
 *
 * Each side, told that it is its turn, obtains a copy of the other's latest capability, and tells
 * the other that it is its turn, without waiting for an answer: it has to serve the other's OBTAIN.
 */
#include "clock.h"
#include "dtu.h"
#include "fmt.h"
#include "print.h"
#include "server.h"
#include "session.h"
#include "start.h"
#include "syscall.h"

#define LINK_NAME "capchain-link"
#define ROOT_NAME "capchain-root"
#define CAPS_MAX  2000u

enum { GIVE_GATE, GIVE_CAP };
enum { MSG_BEGIN, MSG_TURN, MSG_DEAD }; /* with the name of the root's service; -; - */

static struct {
    struct server srv;
    struct session peer;
    struct gate gate;         /* to the peer */
    struct recv_gate answers; /* of it */
    bool outstanding;         /* one is to come */
    bool root;
    unsigned length, total; /* of the chain, as far as this side knows */
    unsigned first, latest; /* selectors */
    unsigned err;
} self;

static bool dead(unsigned sel)
{
    struct gate g = {.sel = sel};
    bool alive = gate_activate(&g) == SE_OK;

    gate_deactivate(&g);
    return !alive;
}

/* The answer to what was sent before, an error code. */
static unsigned take_answer(void)
{
    const struct dtu_header *msg;
    unsigned err;

    if (!self.outstanding)
        return SE_OK;
    self.outstanding = false;
    msg = recv_gate_wait(&self.answers);
    if (!msg)
        return SE_RECV_GONE;
    err = msg->length >= 4 ? *dtu_payload(msg) : SE_INV_ARGS;
    dtu_ack(self.answers.ep, msg);
    return err;
}

static unsigned tell(unsigned what, const char *name)
{
    static uint8_t buf[128];
    unsigned err = take_answer();
    struct msg_writer w;

    msg_writer_init(&w, buf, sizeof(buf));
    msg_put(&w, what);
    if (name)
        msg_put_str(&w, name, strnlen(name, sizeof(buf)));
    if (w.error)
        return SE_INV_ARGS;
    if (!err)
        err = gate_send(&self.gate, buf, w.len, self.answers.ep, 0);
    self.outstanding = !err;
    return err;
}

static unsigned get(unsigned sel, uint64_t what)
{
    struct session_args a = {.in = &what, .nin = 1};

    return session_obtain(&self.peer, sel, 1, &a);
}

static unsigned meet(const char *name)
{
    unsigned err = recv_gate_create(&self.answers, 9, 8);

    if (!err)
        err = session_open(&self.peer, name, NULL, 0);
    if (err)
        return err;
    self.gate = (struct gate){.sel = sel_alloc(1)};
    return get(self.gate.sel, GIVE_GATE);
}

/* The root's last step: all goes, and the other side's is dead as well. */
static unsigned revoke_chain(void)
{
    uint64_t begin = clock_ns(), ns;
    unsigned err = sysc_revoke(cap_range(self.first, 1), true);

    ns = clock_ns() - begin;
    print("capchain: %u links revoked in %lu ns\n", self.length, (unsigned long)ns);
    if (!err && !dead(self.latest))
        err = SE_EXISTS;
    if (!err)
        err = tell(MSG_DEAD, NULL);
    return err ? err : take_answer();
}

/* One link more. */
static unsigned turn(void)
{
    unsigned sel = sel_alloc(1), err;

    err = get(sel, GIVE_CAP);
    if (err)
        return err;
    self.latest = sel;
    self.length += 2; /* ours, and the one that it is a copy of */
    if (self.root && self.length >= self.total) {
        self.srv.stop = true;
        return revoke_chain();
    }
    return tell(MSG_TURN, NULL);
}

static unsigned obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                       struct cap_range *give, struct msg_writer *out)
{
    uint64_t what = msg_get_u64(in);

    (void)arg;
    (void)out;
    if (in->error || count != 1 || what > GIVE_CAP)
        return SE_INV_ARGS;
    give->count = 1;
    give->start = self.latest;
    if (what == GIVE_GATE)
        return server_gate(&self.srv, ident, &give->start);
    return self.latest ? SE_OK : SE_NO_SUCH_FILE;
}

static void message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    char name[64];
    unsigned err = SE_OK, what = msg_get_u32(in);

    (void)arg;
    (void)label;
    if (what == MSG_BEGIN && !self.root && !self.peer.sel) {
        msg_get_str(in, name, sizeof(name));
        err = in->error ? SE_INV_ARGS : meet(name);
        what = MSG_TURN;
    }
    if (in->error || err)
        err = err ? err : SE_INV_ARGS;
    else if (what == MSG_DEAD)
        err = dead(self.latest) ? SE_OK : SE_EXISTS;
    else
        err = what == MSG_TURN ? turn() : SE_INV_ARGS;
    if (err) {
        print("capchain: error %u after %u links\n", err, self.length);
        self.err = err;
        self.srv.stop |= self.root;
    }
    msg_put(out, err);
}

static const struct server_ops ops = {.obtain = obtain, .message = message};

static int run_link(const char *name)
{
    unsigned err = server_create(&self.srv, name, &ops, NULL);

    if (err)
        panic("capchain: %s cannot be registered: error %u", name, err);
    server_run(&self.srv);
    return server_destroy(&self.srv) || self.err;
}

static int run_root(unsigned n, const char *name, const char *own)
{
    unsigned err;

    self.root = true;
    self.total = n;
    self.first = self.latest = sel_alloc(1);
    err = sysc_reqmem(self.first, SYSC_MEM_ANY, 8, DTU_PERM_RW);
    if (!err)
        err = meet(name);
    if (!err)
        err = server_create(&self.srv, own, &ops, NULL);
    if (!err)
        err = tell(MSG_BEGIN, own);
    if (err)
        panic("capchain: root: error %u", err);
    server_run(&self.srv);
    if (!self.err)
        print("capchain: a chain of %u, dead at both ends\n", self.length);
    session_close(&self.peer);
    return server_destroy(&self.srv) || self.err;
}

int main(int argc, char **argv)
{
    unsigned long n = 0;

    if (argc >= 2 && argc <= 3 && strcmp(argv[1], "link") == 0)
        return run_link(argc > 2 ? argv[2] : LINK_NAME);
    if (argc < 3 || argc > 5 || strcmp(argv[1], "root") != 0 || !fmt_parse(argv[2], &n) || n < 2 ||
        n > CAPS_MAX || n % 2)
        panic("usage: capchain link [NAME], or capchain root N [NAME [OWN]], N even, 2 to %u",
              CAPS_MAX);
    return run_root((unsigned)n, argc > 3 ? argv[3] : LINK_NAME, argc > 4 ? argv[4] : ROOT_NAME);
}
