/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forever: never ends, and never waits.  What a kernel that the original left behind may do when
 * its machine is over (tests/README.md), for tests without the original.
 *
 *   forever             says so, and goes on
 *   forever call NAME   opens a session with the service NAME in between
 *   forever await NAME  is that service, and ends when somebody has done so: a machine of the two
 *                       ends when the first one runs, however slow its node is
 */
#include "dtu_drv.h"
#include "print.h"
#include "server.h"
#include "session.h"
#include "start.h"
#include "str.h"

static unsigned called(void *arg, struct msg_reader *in, uint64_t *ident)
{
    struct server *srv = arg;

    (void)in;
    *ident = 1;
    srv->stop = true;
    return SE_OK;
}

static int await(const char *name)
{
    static const struct server_ops ops = {.open = called};
    static struct server srv;
    unsigned err = server_create(&srv, name, &ops, &srv);

    if (err)
        panic("the service %s: error %u", name, err);
    server_run(&srv);
    return server_destroy(&srv) ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct session s;

    if (argc == 3 && strcmp(argv[1], "await") == 0)
        return await(argv[2]);
    if (argc != 1 && (argc != 3 || strcmp(argv[1], "call") != 0)) {
        print("usage: forever [call NAME | await NAME]\n");
        return 2;
    }
    print("here for ever\n");
    if (argc == 3)
        session_open(&s, argv[2], NULL, 0); /* it may have ended before we are answered */
    for (;;)
        vreg_set(VREG_TIME, 0); /* in a seeded run others get their turn at a store */
}
