/* SPDX-License-Identifier: BSD-2-Clause */
/* The service of srvtest: does what it is asked to, right or wrong. */
#include "print.h"
#include "server.h"
#include "srvtest.h"
#include "start.h"
#include "syscall.h"

static struct {
    struct server srv;
    unsigned mem; /* given last */
    struct gate taken;
    unsigned open;
} self;

static unsigned do_open(void *arg, struct msg_reader *in, uint64_t *ident)
{
    uint64_t deny = msg_remaining(in) ? msg_get_u64(in) : 0;

    (void)arg;
    (void)ident;
    if (!deny)
        self.open++;
    return (unsigned)deny;
}

/* New memory with a known word in it. */
static unsigned new_memory(unsigned *sel)
{
    static const uint64_t word = SRVTEST_WORD;
    struct gate g = {.sel = sel_alloc(1)};
    unsigned err = sysc_reqmem(g.sel, SYSC_MEM_ANY, SRVTEST_MEM, DTU_PERM_RW);

    if (!err)
        err = gate_write(&g, &word, sizeof(word), 0);
    gate_deactivate(&g);
    *sel = g.sel;
    return err;
}

static unsigned do_obtain(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                          struct cap_range *give, struct msg_writer *out)
{
    uint64_t what = msg_get_u64(in);

    (void)arg;
    give->count = 1;
    msg_put(out, ident);
    switch (in->error ? ~0ull : what) {
    case GIVE_GATE:
        return server_gate(&self.srv, ident, &give->start);
    case GIVE_MEM:
        give->start = 0;
        if (new_memory(&self.mem))
            return SE_OUT_OF_MEM;
        give->start = self.mem;
        return SE_OK;
    case GIVE_REFUSE:
        return SE_NO_PERM;
    case GIVE_TOO_MANY:
        *give = cap_range(self.srv.sel - 1, count + 1);
        return SE_OK;
    case GIVE_NOTHING_THERE:
        give->start = SEL_END;
        return SE_OK;
    case GIVE_DIE:
        guest_exit(0);
    case GIVE_CRASH:
        *(volatile uint64_t *)(1ull << 60) = 0; /* not canonical: #GP, and the PE stands still */
        return SE_OK;
    default:
        return SE_INV_ARGS;
    }
}

static unsigned do_delegate(void *arg, uint64_t ident, unsigned count, struct msg_reader *in,
                            struct cap_range *take, struct msg_writer *out)
{
    (void)arg;
    (void)in;
    msg_put(out, ident);
    if (count != 1)
        return SE_NO_SPACE;
    self.taken = (struct gate){.sel = sel_alloc(1)};
    *take = cap_range(self.taken.sel, 1);
    return SE_OK;
}

static void do_close(void *arg, uint64_t ident)
{
    (void)arg;
    (void)ident;
    self.open--;
}

static void do_message(void *arg, uint64_t label, struct msg_reader *in, struct msg_writer *out)
{
    static uint64_t word;
    uint64_t op = msg_get_u64(in);
    unsigned err = SE_INV_ARGS;

    (void)arg;
    word = label;
    if (!in->error && op == ASK_REVOKE)
        err = sysc_revoke(cap_range(self.mem, 1), true);
    if (!in->error && op == ASK_READ)
        err = gate_read(&self.taken, &word, sizeof(word), 0);
    if (!in->error && op == ASK_OPEN) {
        word = self.open;
        err = SE_OK;
    }
    msg_put(out, err);
    msg_put(out, word);
}

static void do_shutdown(void *arg)
{
    (void)arg;
    print("%s: shutdown with %u sessions open\n", SRVTEST_NAME, self.open);
}

int srvtest_serve(const char *name)
{
    static const struct server_ops ops = {.open = do_open,
                                          .obtain = do_obtain,
                                          .delegate = do_delegate,
                                          .close = do_close,
                                          .shutdown = do_shutdown,
                                          .message = do_message};
    unsigned err = server_create(&self.srv, name, &ops, NULL);

    if (err)
        panic("srvtest: %s cannot be registered: error %u", name, err);
    server_run(&self.srv);
    return server_destroy(&self.srv) ? 1 : 0;
}
