/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See backend_udp.h.  Both directions have a batch of message heads of their own; sealed frames
 * have buffers there, plain ones go out of the caller's.
 */
#include "backend_udp.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

#define BATCH       BACKEND_UDP_BATCH
#define PEERS_MAX   SEAL_PEERS_MAX
#define SOCKET_ROOM (4 << 20) /* bytes asked for; the host may allow less */
#define ANSWERS_MAX 4u        /* hellos to one peer for one batch: a flood draws no flood */

struct peer {
    struct sockaddr_storage addr;
    socklen_t addr_len; /* 0: not known */
    uint8_t mac[6];
    bool has_mac;
    unsigned asked;    /* sending thread: in this call */
    unsigned answered; /* receiving thread: in this call */
};

struct batch {
    struct mmsghdr head[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_storage addr[BATCH];
    bool hello[BATCH];
    unsigned count;
    uint8_t *room; /* BATCH buffers of u->room bytes */
};

struct backend_udp {
    int fd;
    sa_family_t family;
    size_t frame_max, room;
    struct seal *seal;
    unsigned npeers;      /* grows while another thread receives: count() */
    pthread_mutex_t lock; /* addresses of peers */
    struct peer peers[PEERS_MAX];
    struct batch tx, rx;
    struct backend_udp_stats stats;
};

/* Both threads may count the same thing, and a third may look. */
static void bump(uint64_t *counter, unsigned by)
{
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* What lies below is complete. */
static unsigned count(const struct backend_udp *u)
{
    return __atomic_load_n(&u->npeers, __ATOMIC_ACQUIRE);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int bind_to(struct backend_udp *u, const char *local)
{
    struct sockaddr_storage addr;
    socklen_t len;
    int ret = address_parse(local, SOCK_DGRAM, &addr, &len), no = 0, room = SOCKET_ROOM;

    if (ret)
        return ret;
    u->family = addr.ss_family;
    u->fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0)
        return -errno;
    if (addr.ss_family == AF_INET6)
        setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    return bind(u->fd, (struct sockaddr *)&addr, len) ? -errno : 0;
}

static int make_batch(struct backend_udp *u, struct batch *b, bool buffers)
{
    for (unsigned i = 0; i < BATCH; i++) {
        b->head[i].msg_hdr.msg_iov = &b->iov[i];
        b->head[i].msg_hdr.msg_iovlen = 1;
        b->head[i].msg_hdr.msg_name = &b->addr[i];
    }
    if (!buffers)
        return 0;
    b->room = malloc(BATCH * u->room);
    return b->room ? 0 : -ENOMEM;
}

static int set_up(struct backend_udp *u, const struct backend_udp_config *c)
{
    size_t most = c->key ? SEAL_FRAME_MAX : BACKEND_UDP_MAX;
    int ret;

    u->frame_max = c->frame_max && c->frame_max < most ? c->frame_max : most;
    u->room = u->frame_max;
    if (c->key) {
        u->room += SEAL_OVERHEAD;
        if (u->room < SEAL_HELLO_LEN)
            u->room = SEAL_HELLO_LEN;
        u->seal = seal_new(c->key, c->node, NULL, NULL);
        if (!u->seal)
            return -ENOMEM;
    }
    ret = make_batch(u, &u->tx, u->seal);
    if (!ret)
        ret = make_batch(u, &u->rx, true);
    return ret ? ret : bind_to(u, c->local);
}

int backend_udp_open(const struct backend_udp_config *config, struct backend_udp **out)
{
    struct backend_udp *u = calloc(1, sizeof(*u));
    int ret;

    if (!u)
        return -ENOMEM;
    u->fd = -1;
    pthread_mutex_init(&u->lock, NULL);
    ret = set_up(u, config);
    if (ret) {
        backend_udp_close(u);
        return ret;
    }
    *out = u;
    return 0;
}

void backend_udp_close(struct backend_udp *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    seal_free(u->seal);
    free(u->tx.room);
    free(u->rx.room);
    pthread_mutex_destroy(&u->lock);
    free(u);
}

int backend_udp_fd(const struct backend_udp *u)
{
    return u->fd;
}

uint16_t backend_udp_port(const struct backend_udp *u)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);

    if (getsockname(u->fd, (struct sockaddr *)&a, &len))
        return 0;
    return address_port(&a);
}

/* ---- peers --------------------------------------------------------------------------------- */

/* The lock is held, or the caller is alone. */
static struct peer *at_address(struct backend_udp *u, const struct sockaddr_storage *addr)
{
    for (unsigned i = 0; i < count(u); i++)
        if (u->peers[i].addr_len && address_same(&u->peers[i].addr, addr))
            return &u->peers[i];
    return NULL;
}

int backend_udp_address(struct backend_udp *u, unsigned peer, const char *address)
{
    struct peer *p = &u->peers[peer], *other;
    struct sockaddr_storage addr;
    socklen_t len;
    int ret = address_parse(address, SOCK_DGRAM, &addr, &len);

    if (ret)
        return ret;
    if (u->family == AF_INET6)
        address_map(&addr, &len);
    if (u->family != addr.ss_family)
        return -EAFNOSUPPORT;
    pthread_mutex_lock(&u->lock);
    other = at_address(u, &addr);
    if (other && other != p) {
        p->addr_len = 0; /* wherever it is, not where it was; so two can change places */
        ret = -EEXIST;
    } else {
        p->addr = addr;
        p->addr_len = len;
    }
    pthread_mutex_unlock(&u->lock);
    return ret;
}

static void send_hello(struct backend_udp *u, unsigned peer, const struct seal_opened *answer,
                       const struct sockaddr_storage *to, socklen_t to_len)
{
    uint8_t hello[SEAL_HELLO_LEN];
    size_t len = answer ? seal_answer(u->seal, answer, hello) : seal_hello(u->seal, peer, hello);

    if (sendto(u->fd, hello, len, 0, (const struct sockaddr *)to, to_len) >= 0)
        bump(&u->stats.hello_sent, 1);
    else
        bump(errno == EAGAIN || errno == ENOBUFS ? &u->stats.tx_full : &u->stats.tx_refused, 1);
}

int backend_udp_add(struct backend_udp *u, const struct backend_udp_peer *peer)
{
    static const uint8_t none[6];
    struct peer *p = &u->peers[u->npeers];
    struct sockaddr_storage to;
    socklen_t to_len;
    int ret = 0;

    if (u->npeers == PEERS_MAX)
        return -ENOSPC;
    memset(p, 0, sizeof(*p));
    if (peer->address)
        ret = backend_udp_address(u, u->npeers, peer->address);
    else if (!u->seal)
        ret = -EINVAL;
    memcpy(p->mac, peer->mac, 6);
    p->has_mac = memcmp(p->mac, none, 6) != 0;
    to = p->addr;
    to_len = p->addr_len;
    if (!ret && u->seal) /* from here on who receives may learn another address for it */
        ret = seal_add(u->seal, peer->node);
    if (ret < 0)
        return ret;
    if (u->seal && to_len)
        send_hello(u, u->npeers, NULL, &to, to_len);
    __atomic_store_n(&u->npeers, u->npeers + 1, __ATOMIC_RELEASE);
    return (int)u->npeers - 1;
}

bool backend_udp_ready(struct backend_udp *u, unsigned peer)
{
    return !u->seal || seal_ready(u->seal, peer);
}

/* ---- sending ------------------------------------------------------------------------------- */

/* The first message of the batch failed. */
static void count_failure(struct backend_udp *u, unsigned waiting, unsigned *at)
{
    if (errno == EINTR)
        return;
    if (errno == EAGAIN || errno == ENOBUFS) {
        bump(&u->stats.tx_full, waiting);
        *at += waiting;
        return;
    }
    bump(&u->stats.tx_refused, 1);
    *at += 1;
}

static unsigned flush(struct backend_udp *u)
{
    struct batch *b = &u->tx;
    unsigned at = 0, done = 0;

    while (at < b->count) {
        int n = sendmmsg(u->fd, b->head + at, b->count - at, 0);

        if (n <= 0) {
            count_failure(u, b->count - at, &at);
            continue;
        }
        for (int i = 0; i < n; i++, at++)
            bump(b->hello[at] ? &u->stats.hello_sent : &u->stats.sent, 1);
        done += (unsigned)n;
    }
    b->count = 0;
    return done;
}

/* What the datagram at slot i is to be: its length in iov, or false if there is to be none. */
static bool fill(struct backend_udp *u, unsigned i, unsigned peer, const struct backend_frame *f)
{
    uint8_t *room = u->tx.room + i * u->room;
    struct iovec *iov = &u->tx.iov[i];
    long len;

    u->tx.hello[i] = false;
    if (!u->seal) {
        iov->iov_base = (void *)f->data;
        iov->iov_len = f->len;
        return true;
    }
    len = seal_frame(u->seal, peer, f->data, f->len, room);
    if (len < 0) {
        bump(&u->stats.tx_no_session, 1);
        if (u->peers[peer].asked++)
            return false;
        u->tx.hello[i] = true;
        len = (long)seal_hello(u->seal, peer, room);
    }
    iov->iov_base = room;
    iov->iov_len = (size_t)len;
    return true;
}

static unsigned queue(struct backend_udp *u, unsigned peer, const struct backend_frame *f)
{
    struct batch *b = &u->tx;
    unsigned i = b->count;
    socklen_t len;

    pthread_mutex_lock(&u->lock);
    len = u->peers[peer].addr_len;
    memcpy(&b->addr[i], &u->peers[peer].addr, len);
    pthread_mutex_unlock(&u->lock);
    if (!len) {
        bump(&u->stats.tx_no_address, 1);
        return 0;
    }
    b->head[i].msg_hdr.msg_namelen = len;
    if (!fill(u, i, peer, f))
        return 0;
    return ++b->count == BATCH ? flush(u) : 0;
}

/* The peer whom a frame is for, or -1: all of them. */
static int destination(const struct backend_udp *u, const struct backend_frame *f)
{
    const uint8_t *mac = f->data;

    if (f->len < 6 || mac[0] & 1)
        return -1;
    for (unsigned i = 0; i < u->npeers; i++)
        if (u->peers[i].has_mac && memcmp(u->peers[i].mac, mac, 6) == 0)
            return (int)i;
    return -1;
}

unsigned backend_udp_send(struct backend_udp *u, const struct backend_frame *frames, unsigned count)
{
    unsigned done = 0;

    for (unsigned i = 0; i < u->npeers; i++)
        u->peers[i].asked = 0;
    for (unsigned f = 0; f < count; f++) {
        int to = destination(u, &frames[f]);

        if (frames[f].len == 0 || frames[f].len > u->frame_max) {
            bump(&u->stats.tx_size, 1);
            continue;
        }
        for (unsigned i = 0; i < u->npeers; i++)
            if (to < 0 || to == (int)i)
                done += queue(u, i, &frames[f]);
    }
    return done + flush(u);
}

/* ---- receiving ----------------------------------------------------------------------------- */

/* The sender of an authentic, fresh datagram is where it says. */
static void learn(struct backend_udp *u, unsigned peer, const struct sockaddr_storage *from,
                  socklen_t len)
{
    struct peer *p = &u->peers[peer];

    pthread_mutex_lock(&u->lock);
    if (!p->addr_len || !address_same(&p->addr, from)) {
        if (p->addr_len)
            bump(&u->stats.moved, 1);
        p->addr = *from;
        p->addr_len = len;
    }
    pthread_mutex_unlock(&u->lock);
}

static bool open_sealed(struct backend_udp *u, unsigned i, size_t len, struct backend_frame *f)
{
    const struct sockaddr_storage *from = &u->rx.addr[i];
    socklen_t from_len = u->rx.head[i].msg_hdr.msg_namelen;
    struct seal_opened o;
    enum seal_verdict v = seal_open(u->seal, u->rx.iov[i].iov_base, len, &o);

    bump(&u->stats.rx_seal[v], 1);
    if (o.fresh)
        learn(u, o.peer, from, from_len);
    if (o.answer && u->peers[o.peer].answered < ANSWERS_MAX) {
        u->peers[o.peer].answered++;
        send_hello(u, o.peer, &o, from, from_len);
    } else if (o.challenge && u->peers[o.peer].answered == 0) {
        u->peers[o.peer].answered++;
        send_hello(u, o.peer, NULL, from, from_len);
    }
    if (v != SEAL_FRAME)
        return false;
    *f = (struct backend_frame){o.frame, o.len, o.peer};
    return true;
}

/*
 * A frame from the address of one peer that says to be another's: they may have changed places.
 * Without a key there is nothing to prove, so it counts as any other.
 */
static bool of_another(const struct backend_udp *u, const struct peer *p, const uint8_t *frame,
                       size_t len)
{
    const uint8_t *mac = frame + 6;

    if (!p->has_mac || len < 12 || memcmp(p->mac, mac, 6) == 0)
        return false;
    for (unsigned i = 0; i < count(u); i++)
        if (u->peers[i].has_mac && memcmp(u->peers[i].mac, mac, 6) == 0)
            return true;
    return false;
}

static bool open_plain(struct backend_udp *u, unsigned i, size_t len, struct backend_frame *f)
{
    struct peer *p;

    pthread_mutex_lock(&u->lock);
    p = at_address(u, &u->rx.addr[i]);
    pthread_mutex_unlock(&u->lock);
    if (!p) {
        bump(&u->stats.rx_stranger, 1);
        return false;
    }
    if (of_another(u, p, u->rx.iov[i].iov_base, len))
        bump(&u->stats.rx_other, 1);
    *f = (struct backend_frame){u->rx.iov[i].iov_base, len, (unsigned)(p - u->peers)};
    return true;
}

static bool accept_one(struct backend_udp *u, unsigned i, struct backend_frame *f)
{
    struct mmsghdr *m = &u->rx.head[i];

    if (m->msg_hdr.msg_flags & MSG_TRUNC) {
        bump(&u->stats.rx_oversize, 1);
        return false;
    }
    if (m->msg_len == 0) {
        bump(&u->stats.rx_empty, 1);
        return false;
    }
    return u->seal ? open_sealed(u, i, m->msg_len, f) : open_plain(u, i, m->msg_len, f);
}

int backend_udp_receive(struct backend_udp *u, struct backend_frame *frames, unsigned max)
{
    struct batch *b = &u->rx;
    int got, good = 0;

    for (unsigned i = 0; i < count(u); i++)
        u->peers[i].answered = 0;
    if (max > BATCH)
        max = BATCH;
    for (unsigned i = 0; i < max; i++) {
        b->iov[i] = (struct iovec){b->room + i * u->room, u->room};
        b->head[i].msg_hdr.msg_namelen = sizeof(b->addr[i]);
    }
    got = recvmmsg(u->fd, b->head, max, MSG_DONTWAIT, NULL);
    if (got < 0)
        /* An error that an earlier datagram met is told here and was counted there. */
        return errno == EAGAIN ? -EAGAIN : 0;
    for (int i = 0; i < got; i++)
        good += accept_one(u, (unsigned)i, &frames[good]);
    bump(&u->stats.received, (unsigned)good);
    return good;
}

void backend_udp_stats(const struct backend_udp *u, struct backend_udp_stats *out)
{
    const uint64_t *from = (const uint64_t *)&u->stats;
    uint64_t *to = (uint64_t *)out;
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);

    for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    if (getsockopt(u->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0)
        out->rx_overflow = info[SK_MEMINFO_DROPS];
}
