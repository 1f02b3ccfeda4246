/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sempervm caps: asks a running machine through its control socket.  What is at the other end may
 * be anything, so sizes are checked before they are used, and there is a limit to the waiting.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../include/dtu.h"
#include "caps.h"
#include "run.h"

#define ANSWER_S  60
#define TOTAL_MAX (64u << 20)

struct options {
    const char *path;
    bool dot;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'd':
        o->dot = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->path)
            argp_error(state, "one socket is enough: %s, %s", o->path, arg);
        o->path = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "no socket: name the one of sempervm run --control SOCKET");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The connected socket, or -1 with a line on standard error. */
static int dial(const char *path)
{
    const struct timeval limit = {.tv_sec = ANSWER_S};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(at.sun_path)) {
        fprintf(stderr,
                "sempervm: %s: longer than a socket's path can be (%zu): use a shorter one\n", path,
                sizeof(at.sun_path) - 1);
        return -1;
    }
    memcpy(at.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) { /* connecting, too, waits for those who came before */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    fprintf(stderr,
            "sempervm: no machine at %s: %s: name the socket of a running sempervm run --control\n",
            path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool receive(int fd, void *to, size_t n)
{
    uint8_t *p = to;
    ssize_t r;

    while (n > 0) {
        r = recv(fd, p, n, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

static int broken(const char *path, const char *why)
{
    fprintf(stderr, "sempervm: %s: %s\n", path, why);
    return EXIT_HOST;
}

/* One kernel's part.  EXIT_OK, EXIT_GUEST if it told nothing that can be used, EXIT_HOST. */
static int take_part(int fd, const char *path, struct caps *c, uint64_t question, size_t *left)
{
    struct caps_part part;
    char err[200];
    uint8_t *data;
    int r;

    if (!receive(fd, &part, sizeof(part)))
        return broken(path, "the machine ended before it had answered");
    if (part.pe >= DTU_PES || part.status >= CAPS_STATUS_COUNT || part.len > CAPS_ANSWER_MAX ||
        part.len > *left)
        return broken(path, "what answers there is no machine of this version");
    if (part.status != CAPS_WHOLE) {
        fprintf(stderr, "sempervm: the kernel on PE %u %s\n", part.pe,
                part.status == CAPS_CUT ? "has more capabilities than can be shown"
                                        : "did not answer in time: ask again");
        return EXIT_GUEST;
    }
    *left -= part.len;
    data = malloc(part.len + 1);
    if (!data)
        return broken(path, "out of memory; end other programs");
    if (!receive(fd, data, part.len)) {
        free(data);
        return broken(path, "the machine ended before it had answered");
    }
    r = caps_add(c, part.pe, question, data, part.len, err, sizeof(err));
    free(data);
    if (r < 0)
        fprintf(stderr, "sempervm: %s\n", err);
    return r == 0 ? EXIT_OK : r == -EINVAL ? EXIT_GUEST : EXIT_HOST;
}

static int ask(int fd, const char *path, struct caps *c)
{
    size_t left = TOTAL_MAX;
    struct caps_head head;
    int status = EXIT_OK, r = EXIT_OK;

    if (send(fd, CAPS_REQUEST, sizeof(CAPS_REQUEST) - 1, MSG_NOSIGNAL) < 0 ||
        !receive(fd, &head, sizeof(head)))
        return broken(path, "no answer: it is no control socket, or its machine has just ended");
    if (memcmp(head.magic, CAPS_MAGIC, sizeof(head.magic)) != 0 || head.parts > DTU_PES)
        return broken(path, "what answers there is no machine of this version");
    for (uint32_t i = 0; i < head.parts && r != EXIT_HOST; i++) {
        r = take_part(fd, path, c, head.question, &left);
        status = r > status ? r : status;
    }
    if (head.parts == 0) {
        fprintf(stderr,
                "sempervm: %s: no kernel there that can be asked, or not yet: only ours can\n",
                path);
        return EXIT_GUEST;
    }
    return status;
}

int caps_command(int argc, char **argv)
{
    static char name[] = "sempervm caps";
    static const struct argp_option list[] = {
        {"dot", 'd', NULL, 0, "A graph for Graphviz' dot instead of text", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        list, parse, "SOCKET", "Print the capabilities of a running machine.", NULL, NULL, NULL};
    struct options o = {0};
    struct caps c = {0};
    int fd, status;

    argv[0] = name;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
        return EXIT_USAGE;
    fd = dial(o.path);
    if (fd < 0)
        return EXIT_HOST;
    status = ask(fd, o.path, &c);
    close(fd);
    if (c.nkernels > 0 && caps_link(&c) == 0)
        (o.dot ? caps_print_dot : caps_print_text)(&c, stdout);
    caps_free(&c);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = broken("standard output", strerror(errno));
    return status;
}
