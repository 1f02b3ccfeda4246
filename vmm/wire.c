/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames on UDP or a stream.  Names of peers may become known only after we have begun (pods of a
 * cluster start in any order) and mean another address later (a pod that was started again), and a
 * stream's other end may come and go: all are looked after by the I/O thread.
 */
#include "wire.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../netdev/address.h"
#include "../netdev/backend_stream.h"

#define RETRY_MS   500
#define LOOK_UP_MS 5000 /* between two questions to the resolver for peers that it knew */

struct wire {
    const struct machine *m;
    pthread_mutex_t lock; /* sending, and what changes the peers or the stream */
    struct backend_udp *udp;
    struct backend_udp_peer peer[MACHINE_MAX_NODES];
    bool added[MACHINE_MAX_NODES], named[MACHINE_MAX_NODES]; /* named: the user was told */
    unsigned index[MACHINE_MAX_NODES];                       /* in the backend, when added */
    unsigned npeers, waiting;                                /* waiting: not added yet */
    atomic_bool unproven;                                    /* a peer, as far as the key goes */
    bool foreign;                         /* the user was told that others have another key */
    uint64_t strangers;                   /* counted when names were last looked up ... */
    uint64_t looked_up;                   /* ... which was then, ms */
    unsigned question;                    /* of which peer next; npeers and more: of none */
    bool twice;                           /* and then of all of them once more, if it helps */
    bool lost[MACHINE_MAX_NODES];         /* its name means what is another's address yet */
    atomic_bool heard;                    /* without a key: a frame has come that may be a peer's */
    _Atomic(const char *) doubt, doubted; /* why none has; and what the user was told */
    const char *stream;                   /* "listen:..." or "connect:..." */
    int listen_fd;
    struct backend_stream *conn;
    struct backend_stream_stats before; /* of connections that are over */
    bool told;
    uint64_t no_connection; /* frames dropped */
    uint8_t *buf;           /* of a stream: the frames of one wire_receive() */
};

/* ---- UDP ------------------------------------------------------------------------------------- */

static void want_peer(struct wire *w, const char *address, const uint8_t *mac, unsigned node)
{
    struct backend_udp_peer *p = &w->peer[w->npeers++];

    p->address = address;
    p->node = (uint16_t)node;
    if (mac)
        memcpy(p->mac, mac, 6);
    w->waiting++;
}

/* Is its name known to the resolver?  Numbers always are. */
static bool resolves(const char *address)
{
    struct sockaddr_storage a;
    socklen_t len;

    return address_parse(address, SOCK_DGRAM, &a, &len) == 0;
}

/* Adds the peers that can be; -errno when one never can, which is *bad and not tried again. */
static int add_peers(struct wire *w, unsigned *bad)
{
    for (unsigned i = 0; i < w->npeers; i++) {
        int r;

        if (w->added[i] || !resolves(w->peer[i].address))
            continue;
        pthread_mutex_lock(&w->lock);
        r = backend_udp_add(w->udp, &w->peer[i]);
        pthread_mutex_unlock(&w->lock);
        if (r == -EINVAL) /* resolved a moment ago: again later */
            continue;
        w->added[i] = true;
        w->index[i] = r < 0 ? 0 : (unsigned)r;
        w->waiting--;
        *bad = i;
        if (r < 0)
            return r;
    }
    return 0;
}

static const char *add_error(int r)
{
    return r == -EEXIST         ? "two have the same: change one"
           : r == -EAFNOSUPPORT ? "it is IPv6, our own is not: listen at [::]:PORT"
                                : strerror(-r);
}

int wire_key(const struct machine *m, uint8_t key[SEAL_KEY_BYTES], char *err, size_t errsize)
{
    int r = seal_key_load(m->link_key, key);

    if (r < 0)
        snprintf(err, errsize, "key file %s: %s", m->link_key,
                 r == -EPERM    ? "others than its owner may read it: chmod 600"
                 : r == -EINVAL ? "want 32 bytes or 64 hexadecimal digits, not all zero"
                 : r == -ENOENT ? "no such file: make one by head -c 32 /dev/urandom, chmod 600"
                                : strerror(-r));
    return r < 0 ? -EINVAL : 0;
}

static int open_udp(struct wire *w, char *err, size_t errsize)
{
    const struct machine *m = w->m;
    const struct machine_node *self = &m->node[m->self];
    uint8_t key[SEAL_KEY_BYTES];
    struct backend_udp_config cfg = {.local = m->nnodes ? self->listen : m->nic.udp,
                                     .node = (uint16_t)m->self};
    unsigned bad = 0;
    int r;

    if (m->link_key) {
        if ((r = wire_key(m, key, err, errsize)) < 0)
            return r;
        cfg.key = key;
    }
    r = backend_udp_open(&cfg, &w->udp);
    explicit_bzero(key, sizeof(key));
    if (r < 0) {
        snprintf(err, errsize, "cannot listen at %s: %s: give another address with %s", cfg.local,
                 r == -EINVAL ? "no such host" : strerror(-r),
                 m->nnodes ? "--listen" : "--nic udp=");
        return r;
    }
    if (!m->nnodes)
        want_peer(w, m->nic.peer, NULL, 1);
    for (unsigned k = 0; k < m->nnodes; k++)
        if (k != m->self)
            want_peer(w, m->node[k].at, m->node[k].mac, k);
    w->question = w->npeers;
    r = add_peers(w, &bad);
    if (r < 0)
        snprintf(err, errsize, "cannot use the address %s of a peer from %s: %s",
                 w->peer[bad].address, cfg.local, add_error(r));
    atomic_store(&w->unproven, m->link_key != NULL);
    atomic_store(&w->heard, m->link_key || !m->nnodes);      /* else nobody asks */
    return r == -EEXIST || r == -EAFNOSUPPORT ? -EINVAL : r; /* what the description says */
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool any_lost(const struct wire *w)
{
    bool any = false;

    for (unsigned i = 0; i < w->npeers; i++)
        any |= w->lost[i];
    return any;
}

/*
 * The next peer to ask the resolver for; npeers: none.  Of peers that have changed places the first
 * finds its address taken, by one of whom is asked later: the second time round it is free.
 */
static unsigned next_question(struct wire *w)
{
    struct backend_udp_stats s;
    uint64_t now = now_ms(), strange;
    bool lost = any_lost(w);

    if (w->question < w->npeers)
        return w->question++;
    backend_udp_stats(w->udp, &s);
    strange = s.rx_stranger + s.rx_other;
    if (w->twice && lost) {
        w->twice = false;
    } else {
        if ((strange == w->strangers && !lost) || (w->looked_up && now - w->looked_up < LOOK_UP_MS))
            return w->npeers;
        w->strangers = strange;
        w->looked_up = now;
        w->twice = true;
    }
    w->question = 1;
    return 0;
}

/*
 * Without a key a peer is who its address says.  If datagrams come from strangers, or from where we
 * take another one to be, a name may mean another address by now.  One name at a time: a resolver
 * that does not answer holds up our thread, which has frames to look after and must be able to end.
 */
static void look_up_again(struct wire *w)
{
    unsigned i = next_question(w);
    int r;

    if (i >= w->npeers || !w->added[i])
        return;
    /* What does not resolve now stays where it was; and who is nowhere is asked for until it is. */
    r = backend_udp_address(w->udp, w->index[i], w->peer[i].address);
    w->lost[i] = r == -EEXIST || (r < 0 && w->lost[i]);
}

/* A peer that cannot prove itself, and datagrams that our key does not open: tell, once. */
static void watch_key(struct wire *w, void (*say)(void *, const char *), void *arg)
{
    struct backend_udp_stats s;
    bool unproven = w->waiting > 0;
    char line[256];

    for (unsigned i = 0; i < w->npeers && !unproven; i++)
        unproven = w->added[i] && !backend_udp_ready(w->udp, w->index[i]);
    atomic_store(&w->unproven, unproven && !w->foreign);
    if (!unproven || w->foreign)
        return;
    backend_udp_stats(w->udp, &s);
    if (!s.rx_seal[SEAL_FORGED] && !s.rx_seal[SEAL_SHORT] && !s.rx_seal[SEAL_FORMAT])
        return;
    w->foreign = true;
    snprintf(line, sizeof(line),
             "datagrams come that are not sealed with the key of %s: give all "
             "nodes the same key file",
             w->m->link_key);
    say(arg, line);
}

/* ---- stream ---------------------------------------------------------------------------------- */

static const char *where(const struct wire *w)
{
    return strchr(w->stream, ':') + 1;
}

static int open_stream(struct wire *w, char *err, size_t errsize)
{
    w->buf = malloc(BACKEND_STREAM_MAX);
    if (!w->buf) {
        snprintf(err, errsize, "out of memory for the stream");
        return -ENOMEM;
    }
    if (*w->stream != 'l')
        return 0; /* wire_work() connects, and goes on trying */
    w->listen_fd = backend_stream_listen(where(w));
    if (w->listen_fd < 0) {
        snprintf(err, errsize, "cannot listen at %s: %s: give another address", where(w),
                 strerror(-w->listen_fd));
        return w->listen_fd;
    }
    return 0;
}

static void take_connection(struct wire *w, int fd)
{
    struct backend_stream *s = backend_stream_new(fd);

    if (!s) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->conn = s;
    pthread_mutex_unlock(&w->lock);
}

static void drop_connection(struct wire *w)
{
    const uint64_t *from;
    uint64_t *to = (uint64_t *)&w->before;

    pthread_mutex_lock(&w->lock);
    from = (const uint64_t *)backend_stream_stats(w->conn);
    for (size_t i = 0; i < sizeof(w->before) / sizeof(*to); i++)
        to[i] += from[i];
    backend_stream_close(w->conn);
    w->conn = NULL;
    pthread_mutex_unlock(&w->lock);
}

static void work_stream(struct wire *w, void (*say)(void *, const char *), void *arg)
{
    char line[256];
    int fd;

    if (w->conn)
        return;
    fd = w->listen_fd >= 0 ? accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC)
                           : backend_stream_connect(where(w));
    if (fd >= 0) {
        take_connection(w, fd);
    } else if (w->listen_fd < 0 && !w->told) {
        w->told = true;
        snprintf(line, sizeof(line), "cannot connect to %s yet: %s; trying again", where(w),
                 strerror(-fd));
        say(arg, line);
    }
}

static unsigned receive_stream(struct wire *w, struct backend_frame *frames)
{
    long n;

    if (!w->conn)
        return 0;
    pthread_mutex_lock(&w->lock);
    backend_stream_flush(w->conn);
    n = backend_stream_receive(w->conn, w->buf, BACKEND_STREAM_MAX);
    pthread_mutex_unlock(&w->lock);
    if (n == -EPIPE || n == -EPROTO)
        drop_connection(w);
    if (n <= 0)
        return 0;
    *frames = (struct backend_frame){.data = w->buf, .len = (size_t)n};
    return 1;
}

/* ---- who is not heard, without a key ---- */

/* Does it look like a sealed datagram (netdev/README.md)?  As a frame it would be for a group. */
static bool looks_sealed(const struct backend_frame *f)
{
    return f->len >= SEAL_OVERHEAD && memcmp(f->data, "SV\x01", 3) == 0;
}

/* As long as nothing good has come: what did, and what the user can do about it. */
static void look_closer(struct wire *w, const struct backend_frame *frames, int n)
{
    struct backend_udp_stats s;
    const char *why = NULL;

    backend_udp_stats(w->udp, &s);
    if (n > 0 && !looks_sealed(frames))
        atomic_store(&w->heard, true);
    else if (n > 0)
        why = "what other nodes send is sealed and this node has no key: give all of them the same "
              "[link] key";
    else if (s.rx_stranger)
        why = "datagrams come from an address that is no node's: `at` and --peer must be the "
              "addresses that the nodes send from";
    if (why)
        atomic_store(&w->doubt, why);
}

static void tell_doubt(struct wire *w, void (*say)(void *, const char *), void *arg)
{
    const char *why = atomic_load(&w->doubt);

    if (!why || why == atomic_load(&w->doubted) || atomic_load(&w->heard))
        return;
    atomic_store(&w->doubted, why);
    say(arg, why);
}

/* ---- both ------------------------------------------------------------------------------------ */

int wire_open(const struct machine *m, struct wire **out, char *err, size_t errsize)
{
    struct wire *w = calloc(1, sizeof(*w));
    int r;

    *out = NULL;
    if (!w) {
        snprintf(err, errsize, "out of memory for the NIC");
        return -ENOMEM;
    }
    w->m = m;
    w->listen_fd = -1;
    w->stream = m->nnodes ? m->node[m->self].stream : m->nic.stream;
    pthread_mutex_init(&w->lock, NULL);
    r = w->stream ? open_stream(w, err, errsize) : open_udp(w, err, errsize);
    if (r < 0)
        wire_close(w);
    else
        *out = w;
    return r;
}

bool wire_is_udp(const struct wire *w)
{
    return !w->stream;
}

void wire_close(struct wire *w)
{
    if (!w)
        return;
    backend_udp_close(w->udp);
    if (w->conn)
        backend_stream_close(w->conn);
    if (w->listen_fd >= 0) {
        close(w->listen_fd);
        if (strncmp(where(w), "unix:", 5) == 0)
            unlink(where(w) + 5);
    }
    pthread_mutex_destroy(&w->lock);
    free(w->buf);
    free(w);
}

int wire_poll(struct wire *w, struct pollfd *p)
{
    p->events = POLLIN;
    if (!w->stream) {
        p->fd = backend_udp_fd(w->udp);
        if (w->waiting || atomic_load(&w->unproven) || !atomic_load(&w->heard))
            return RETRY_MS;
        return w->m->link_key ? -1 : LOOK_UP_MS;
    }
    p->fd = w->conn ? backend_stream_fd(w->conn) : w->listen_fd;
    return w->conn || w->listen_fd >= 0 ? -1 : RETRY_MS;
}

void wire_work(struct wire *w, void (*say)(void *arg, const char *line), void *arg)
{
    char line[256];
    unsigned bad = 0;
    int r;

    if (w->stream) {
        work_stream(w, say, arg);
        return;
    }
    tell_doubt(w, say, arg);
    if (w->m->link_key)
        watch_key(w, say, arg);
    else
        look_up_again(w);
    while (w->waiting && (r = add_peers(w, &bad)) < 0) {
        snprintf(line, sizeof(line), "cannot use the address %s of node %u: %s: it stays away",
                 w->peer[bad].address, w->peer[bad].node, add_error(r));
        say(arg, line);
    }
    for (unsigned i = 0; i < w->npeers; i++)
        if (!w->added[i] && !w->named[i]) {
            w->named[i] = true;
            snprintf(line, sizeof(line), "cannot find node %u at %s yet; trying again",
                     w->peer[i].node, w->peer[i].address);
            say(arg, line);
        }
}

unsigned wire_receive(struct wire *w, struct backend_frame *frames)
{
    int n;

    if (w->stream)
        return receive_stream(w, frames);
    n = backend_udp_receive(w->udp, frames, WIRE_BATCH);
    if (n >= 0 && !atomic_load(&w->heard))
        look_closer(w, frames, n);
    return n > 0 ? (unsigned)n : 0;
}

void wire_send(struct wire *w, const struct backend_frame *frames, unsigned n)
{
    pthread_mutex_lock(&w->lock);
    if (!w->stream)
        backend_udp_send(w->udp, frames, n);
    else if (!w->conn)
        w->no_connection += n;
    for (unsigned i = 0; i < n && w->conn; i++)
        backend_stream_send(w->conn, frames[i].data, frames[i].len);
    pthread_mutex_unlock(&w->lock);
}

static void print_udp(struct wire *w, FILE *out)
{
    struct backend_udp_stats s;

    backend_udp_stats(w->udp, &s);
    fprintf(out,
            "  udp       sent %" PRIu64 " received %" PRIu64 " dropped: full %" PRIu64
            " refused %" PRIu64 " size %" PRIu64 " no-session %" PRIu64 " no-address %" PRIu64
            " overflow %" PRIu64 " empty %" PRIu64 " oversize %" PRIu64 " stranger %" PRIu64
            "; another's mac %" PRIu64 "\n",
            s.sent, s.received, s.tx_full, s.tx_refused, s.tx_size, s.tx_no_session,
            s.tx_no_address, s.rx_overflow, s.rx_empty, s.rx_oversize, s.rx_stranger, s.rx_other);
    if (!w->m->link_key)
        return;
    fprintf(out, "  sealed    hellos %" PRIu64 " moved %" PRIu64, s.hello_sent, s.moved);
    for (unsigned i = 0; i < SEAL_VERDICTS; i++)
        if (s.rx_seal[i])
            fprintf(out, ", %s %" PRIu64, seal_verdict_name((enum seal_verdict)i), s.rx_seal[i]);
    fputc('\n', out);
}

void wire_stats(struct wire *w, FILE *out)
{
    struct backend_stream_stats s = w->before;

    if (!w->stream) {
        print_udp(w, out);
        return;
    }
    if (w->conn) {
        const uint64_t *from = (const uint64_t *)backend_stream_stats(w->conn);

        for (size_t i = 0; i < sizeof(s) / sizeof(*from); i++)
            ((uint64_t *)&s)[i] += from[i];
    }
    fprintf(out,
            "  stream    sent %" PRIu64 " received %" PRIu64 " dropped: full %" PRIu64
            " size %" PRIu64 " no-connection %" PRIu64 " empty %" PRIu64 " length %" PRIu64
            " room %" PRIu64 " cut %" PRIu64 "\n",
            s.sent, s.received, s.tx_full, s.tx_size, w->no_connection, s.rx_empty, s.rx_length,
            s.rx_room, s.lost);
}
