/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: one thread, one client at a time.
 *
 * A question goes to every PE that has said it is a kernel and that is privileged, so no VPE is
 * ever asked, nor can it answer.  All of them are asked at once, and each tells what is true when
 * it comes around its loop; who has told nothing after ANSWER_S seconds is left out.
 */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../include/vreg.h"
#include "caps.h"
#include "exits.h"
#include "node.h"
#include "sched.h"

#define CLIENT_S  20 /* until a client has asked, and for each piece that it takes */
#define ANSWER_S  30 /* until the kernels have answered */
#define RETRY_MS  100
#define TOTAL_MAX (64u << 20)
#define CHUNK     4096u

struct answer {
    bool here;         /* it is a kernel that answers */
    bool asked, cut;   /* it still may tell more; some of it had no room */
    atomic_bool nudge; /* it has not been told of the question yet */
    uint8_t *data;
    size_t len, size;
};

struct control {
    struct node *node;
    struct sockaddr_un at;
    int listen_fd, stop_fd, client_fd; /* client_fd: under the lock */
    pthread_t thread;
    bool started, stopping;
    pthread_mutex_t lock;
    pthread_cond_t told;
    uint64_t questions;
    unsigned waiting; /* answers that are not whole */
    size_t total;
    struct answer *of; /* by the PE's place */
};

/* ---- the PEs' side ---- */

static bool is_kernel(struct pe *pe)
{
    return (vdtu_reg(pe->dtu, DTU_STATUS) & DTU_STATUS_PRIV) != 0;
}

static void set_question(struct pe *pe, uint64_t question)
{
    __atomic_store_n(pe_vreg(pe, VREG_ASK), question, __ATOMIC_RELEASE);
}

unsigned control_causes(struct pe *pe)
{
    struct control *c = pe->node->control;

    return c && atomic_exchange(&c->of[pe->place].nudge, false) ? VREG_CAUSE_ASK : 0;
}

/* With the lock held. */
static void append(struct control *c, struct answer *a, const uint8_t *data, size_t n)
{
    size_t size = a->size ? a->size : 16 * CHUNK;
    uint8_t *p;

    if (a->cut || a->len + n > CAPS_ANSWER_MAX || c->total + n > TOTAL_MAX) {
        a->cut = true;
        return;
    }
    while (size < a->len + n)
        size *= 2;
    if (size > a->size) {
        p = realloc(a->data, size);
        if (!p) {
            a->cut = true;
            return;
        }
        a->data = p;
        a->size = size;
    }
    memcpy(a->data + a->len, data, n);
    a->len += n;
    c->total += n;
}

/* A part of the answer, which is in the PE's memory. */
static void take_part(struct control *c, struct pe *pe, uint64_t addr, uint64_t len)
{
    struct answer *a = &c->of[pe->place];
    uint8_t buf[CHUNK];

    while (len > 0) {
        size_t n = len < sizeof(buf) ? len : sizeof(buf);

        n = vdtu_mem_read(pe->dtu, addr, buf, n);
        if (n == 0)
            break;
        pthread_mutex_lock(&c->lock);
        if (a->asked)
            append(c, a, buf, n);
        pthread_mutex_unlock(&c->lock);
        addr += n;
        len -= n;
    }
}

/* With the lock held: that was all of it. */
static void finished(struct control *c, struct pe *pe)
{
    c->of[pe->place].asked = false;
    set_question(pe, VREG_ASK_NONE);
    if (--c->waiting == 0)
        pthread_cond_signal(&c->told);
}

bool control_store(struct pe *pe, uint64_t value)
{
    struct control *c = pe->node->control;
    uint64_t len = value >> 40;
    bool asked;

    if (!c || !is_kernel(pe))
        return false;
    pthread_mutex_lock(&c->lock);
    if (value == VREG_ASK_HERE)
        c->of[pe->place].here = true;
    asked = c->of[pe->place].asked;
    if (asked && len == 0)
        finished(c, pe);
    pthread_mutex_unlock(&c->lock);
    if (asked && len > 0 && value != VREG_ASK_HERE)
        take_part(c, pe, value & ((1ull << 40) - 1), len);
    return asked || value == VREG_ASK_HERE;
}

void control_pe_over(struct pe *pe)
{
    struct control *c = pe->node->control;

    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->of[pe->place].here = false;
    atomic_store(&c->of[pe->place].nudge, false); /* or it would end the wait after a reset */
    if (c->of[pe->place].asked)
        finished(c, pe);
    pthread_mutex_unlock(&c->lock);
}

/* ---- asking ---- */

static void ask_all(struct control *c, uint64_t question)
{
    struct node *n = c->node;
    unsigned i;

    pthread_mutex_lock(&c->lock);
    c->total = 0;
    for (i = 0; i < n->npes; i++) {
        struct answer *a = &c->of[i];

        a->len = 0;
        a->cut = false;
        a->asked = a->here && is_kernel(&n->pes[i]);
        c->waiting += a->asked;
        if (a->asked)
            set_question(&n->pes[i], question);
        atomic_store(&a->nudge, a->asked);
    }
    pthread_mutex_unlock(&c->lock);
    for (i = 0; i < n->npes; i++)
        if (atomic_load(&c->of[i].nudge))
            n->sched->wake(&n->pes[i]);
}

/* Leaves `asked` with those that were silent, which are not asked any more. */
static void wait_all(struct control *c)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ANSWER_S;
    while (c->waiting > 0 && !c->stopping &&
           pthread_cond_timedwait(&c->told, &c->lock, &until) != ETIMEDOUT)
        continue;
}

static bool send_all(int fd, const void *data, size_t n)
{
    const uint8_t *p = data;
    ssize_t r;

    while (n > 0) {
        r = send(fd, p, n, MSG_NOSIGNAL);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

/* What was told stays as it is until the next question. */
static bool send_part(struct control *c, int fd, unsigned i, bool silent)
{
    struct answer *a = &c->of[i];
    struct caps_part part = {
        .pe = c->node->pes[i].id,
        .status = silent   ? CAPS_SILENT
                  : a->cut ? CAPS_CUT
                           : CAPS_WHOLE,
        .len = silent || a->cut ? 0 : a->len,
    };

    return send_all(fd, &part, sizeof(part)) && send_all(fd, a->data, part.len);
}

static void answer_caps(struct control *c, int fd)
{
    struct caps_head head = {.magic = CAPS_MAGIC, .node = c->node->desc->self};
    bool was[2 * DTU_PES] = {0}, *part = was, *silent = was + DTU_PES, sent;
    unsigned i;

    head.question = ++c->questions << 8 | VREG_ASK_CAPS;
    ask_all(c, head.question);
    pthread_mutex_lock(&c->lock);
    wait_all(c);
    for (i = 0; i < c->node->npes; i++) {
        part[i] = c->of[i].here;
        silent[i] = c->of[i].asked || (part[i] && c->of[i].len == 0 && !c->of[i].cut);
        head.parts += part[i];
        if (c->of[i].asked)
            finished(c, &c->node->pes[i]);
    }
    pthread_mutex_unlock(&c->lock);
    sent = send_all(fd, &head, sizeof(head));
    for (i = 0; sent && i < c->node->npes; i++)
        if (part[i])
            sent = send_part(c, fd, i, silent[i]);
    if (!sent)
        node_log(c->node, LOG_WARN, "%s: a client went away before its answer", c->at.sun_path);
}

static void serve(struct control *c, int fd)
{
    const struct timeval limit = {.tv_sec = CLIENT_S};
    char request[sizeof(CAPS_REQUEST) - 1];

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (recv(fd, request, sizeof(request), MSG_WAITALL) == (ssize_t)sizeof(request) &&
        memcmp(request, CAPS_REQUEST, sizeof(request)) == 0)
        answer_caps(c, fd);
    else
        node_log(c->node, LOG_WARN, "%s: a client asked nothing that is known", c->at.sun_path);
}

/* Which client is being served; false: none any more. */
static bool set_client(struct control *c, int fd)
{
    bool go;

    pthread_mutex_lock(&c->lock);
    go = !c->stopping;
    c->client_fd = fd;
    pthread_mutex_unlock(&c->lock);
    return go;
}

static void *control_main(void *arg)
{
    struct control *c = arg;
    struct pollfd p[2] = {{.fd = c->listen_fd, .events = POLLIN},
                          {.fd = c->stop_fd, .events = POLLIN}};
    int fd;

    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if (p[1].revents)
            break;
        if (!p[0].revents)
            continue;
        fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) { /* perhaps no descriptor is left: it stays readable meanwhile */
            poll(p + 1, 1, RETRY_MS);
            continue;
        }
        if (set_client(c, fd))
            serve(c, fd);
        set_client(c, -1);
        close(fd);
    }
    return NULL;
}

/* ---- the socket ---- */

/* A file that a machine left which was killed: nobody answers there. */
static bool is_left_over(const struct sockaddr_un *at)
{
    struct stat st;
    int fd, r, e;

    if (lstat(at->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); /* it may be busy */
    if (fd < 0)
        return false;
    r = connect(fd, (const struct sockaddr *)at, sizeof(*at));
    e = errno;
    close(fd);
    return r < 0 && e == ECONNREFUSED;
}

/* Nobody else may connect at any time, so the mode is there before the file is. */
static int bind_owner(int fd, const struct sockaddr_un *at)
{
    mode_t mask = umask(0177);
    int r = bind(fd, (const struct sockaddr *)at, sizeof(*at));

    if (r < 0 && errno == EADDRINUSE && is_left_over(at) && unlink(at->sun_path) == 0)
        r = bind(fd, (const struct sockaddr *)at, sizeof(*at));
    r = r < 0 ? -errno : 0;
    umask(mask);
    return r;
}

static int listen_at(struct control *c, const char *path, char *err, size_t errsize)
{
    int r;

    c->at.sun_family = AF_UNIX;
    if (!*path) { /* that would be a name without a file, so without an owner */
        snprintf(err, errsize, "--control '': no path: give one");
        return -EINVAL;
    }
    if (strlen(path) >= sizeof(c->at.sun_path)) {
        snprintf(err, errsize, "--control %s: longer than %zu characters: give a shorter path",
                 path, sizeof(c->at.sun_path) - 1);
        return -EINVAL;
    }
    memcpy(c->at.sun_path, path, strlen(path));
    c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = c->listen_fd < 0 ? -errno : bind_owner(c->listen_fd, &c->at);
    if (r == 0 && listen(c->listen_fd, 8) < 0)
        r = -errno;
    if (r < 0)
        snprintf(err, errsize, "--control %s: %s: give another path, or end who has that one", path,
                 strerror(-r));
    return r;
}

static int start_thread(struct control *c)
{
    pthread_condattr_t attr;
    int r;

    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->told, &attr);
    pthread_condattr_destroy(&attr);
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (c->stop_fd < 0)
        return -errno;
    r = -pthread_create(&c->thread, NULL, control_main, c);
    c->started = r == 0;
    return r;
}

int control_open(struct node *n, char *err, size_t errsize)
{
    const char *path = n->desc->control;
    struct control *c;
    int r;

    if (!path)
        return 0;
    c = calloc(1, sizeof(*c));
    n->control = c;
    if (c)
        c->listen_fd = c->stop_fd = c->client_fd = -1;
    if (!c || !(c->of = calloc(n->npes, sizeof(*c->of)))) {
        snprintf(err, errsize, "--control %s: out of memory: use fewer PEs (--pes)", path);
        return -ENOMEM;
    }
    c->node = n;
    r = listen_at(c, path, err, errsize);
    if (r < 0)
        return r;
    r = start_thread(c);
    if (r == 0)
        return 0;
    unlink(c->at.sun_path);
    snprintf(err, errsize, "--control %s: cannot start a thread: %s: raise `ulimit -u`", path,
             strerror(-r));
    return r;
}

void control_stop(struct node *n)
{
    struct control *c = n->control;
    uint64_t one = 1;

    if (!c || !c->started)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->told);
    if (c->client_fd >= 0)
        shutdown(c->client_fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->lock);
    unlink(c->at.sun_path);
    if (write(c->stop_fd, &one, sizeof(one)) == sizeof(one))
        pthread_join(c->thread, NULL);
    c->started = false;
}

void control_free(struct node *n)
{
    struct control *c = n->control;
    unsigned i;

    if (!c)
        return;
    for (i = 0; c->of && i < n->npes; i++)
        free(c->of[i].data);
    free(c->of);
    if (c->listen_fd >= 0)
        close(c->listen_fd);
    if (c->stop_fd >= 0)
        close(c->stop_fd);
    free(c);
    n->control = NULL;
}
