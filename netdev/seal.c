/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See seal.h.  Bytes of a datagram, numbers big endian:
 *
 *      0  2  "SV"          16  8  boot of the receiver, as the sender knows it (0: does not)
 *      2  1  version 1     24  8  number of the frame for that receiver, from 1 (hello: 0)
 *      3  1  type          32 24  nonce, random
 *      4  2  sender        56  n  encrypted: a frame; of a hello: cookie (16), echo (16)
 *      6  2  receiver      ..  16 tag, over bytes 0-31 too
 *      8  8  boot of the sender, random
 *
 * The rule that keeps replays out: a peer's boot is believed only when it echoes our cookie, and a
 * cookie is worth one belief.  The next cookie is drawn when the last one is spent, so an echo
 * proves to be younger than the last change of belief: a boot that was left is never entered
 * again, and its window of numbers never begins anew.
 */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION      1
#define TYPE_FRAME   0
#define TYPE_HELLO   1
#define AUTHENTIC    32u /* bytes before the nonce */
#define NONCE        24u
#define TAG          16u
#define COOKIE       16u
#define NONCES       64u /* drawn at once: each draw is a system call */
#define WINDOW_WORDS (SEAL_WINDOW / 64 + 1)

_Static_assert(NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SEAL_HEADER == AUTHENTIC + NONCE, "header");

struct peer {
    uint16_t node;
    uint64_t epoch;   /* the proven boot; 0: none */
    uint64_t sent;    /* frames sealed for it */
    uint64_t highest; /* number had from it */
    uint8_t cookie[COOKIE];
    uint64_t seen[WINDOW_WORDS]; /* bit (number mod its size) */
};

struct seal {
    pthread_mutex_t lock; /* peers[], nonces[] and the random source */
    uint8_t key[SEAL_KEY_BYTES];
    uint16_t node;
    uint64_t epoch;
    seal_random random;
    void *arg;
    unsigned npeers, nonces_left;
    uint8_t nonces[NONCES][NONCE];
    struct peer peers[SEAL_PEERS_MAX];
};

struct header {
    uint8_t type;
    uint16_t sender, receiver;
    uint64_t epoch, your_epoch, number;
};

static uint64_t get_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

static void put_header(uint8_t *p, const struct header *h)
{
    p[0] = 'S';
    p[1] = 'V';
    p[2] = VERSION;
    p[3] = h->type;
    put_be(p + 4, h->sender, 2);
    put_be(p + 6, h->receiver, 2);
    put_be(p + 8, h->epoch, 8);
    put_be(p + 16, h->your_epoch, 8);
    put_be(p + 24, h->number, 8);
}

static bool get_header(const uint8_t *p, size_t len, struct header *h)
{
    h->type = p[3];
    h->sender = (uint16_t)get_be(p + 4, 2);
    h->receiver = (uint16_t)get_be(p + 6, 2);
    h->epoch = get_be(p + 8, 8);
    h->your_epoch = get_be(p + 16, 8);
    h->number = get_be(p + 24, 8);
    return p[0] == 'S' && p[1] == 'V' && p[2] == VERSION &&
           (h->type == TYPE_FRAME || (h->type == TYPE_HELLO && len == SEAL_HELLO_LEN));
}

/* ---- the key file -------------------------------------------------------------------------- */

static int key_decode(const uint8_t *text, size_t len, uint8_t *key)
{
    size_t n = 0;

    if (len == SEAL_KEY_BYTES) {
        memcpy(key, text, len);
        n = len;
    } else if (len >= 2 * SEAL_KEY_BYTES) {
        const char *end = NULL;

        if (sodium_hex2bin(key, SEAL_KEY_BYTES, (const char *)text, 2 * SEAL_KEY_BYTES, NULL, &n,
                           &end))
            return -EINVAL;
        text += 2 * SEAL_KEY_BYTES;
        len -= 2 * SEAL_KEY_BYTES;
        if (len > 2 || (len == 1 && text[0] != '\n') || (len == 2 && memcmp(text, "\r\n", 2)))
            return -EINVAL;
    }
    if (n != SEAL_KEY_BYTES || sodium_is_zero(key, SEAL_KEY_BYTES))
        return -EINVAL;
    return 0;
}

static int key_read(int fd, uint8_t *key)
{
    uint8_t text[2 * SEAL_KEY_BYTES + 3];
    struct stat st;
    size_t len = 0;
    ssize_t n = 1;
    int ret;

    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if ((st.st_mode & 07) || (st.st_uid == getuid() && (st.st_mode & 077)))
        return -EPERM;
    while (n > 0 && len < sizeof(text)) {
        n = read(fd, text + len, sizeof(text) - len);
        len += n > 0 ? (size_t)n : 0;
    }
    ret = n < 0 ? -errno : key_decode(text, len, key);
    sodium_memzero(text, sizeof(text));
    return ret;
}

int seal_key_load(const char *path, uint8_t key[SEAL_KEY_BYTES])
{
    /* Non-blocking: a pipe put there must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;

    if (fd < 0)
        return -errno;
    ret = key_read(fd, key);
    close(fd);
    if (ret)
        sodium_memzero(key, SEAL_KEY_BYTES);
    return ret;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void system_random(void *arg, void *buf, size_t len)
{
    (void)arg;
    randombytes_buf(buf, len);
}

struct seal *seal_new(const uint8_t key[SEAL_KEY_BYTES], uint16_t node, seal_random random,
                      void *arg)
{
    struct seal *s;

    if (sodium_init() < 0)
        return NULL;
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    memcpy(s->key, key, SEAL_KEY_BYTES);
    s->node = node;
    s->random = random ? random : system_random;
    s->arg = arg;
    while (s->epoch == 0)
        s->random(s->arg, &s->epoch, sizeof(s->epoch));
    return s;
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    sodium_memzero(s, sizeof(*s));
    free(s);
}

/* A cookie of zeros means "none". */
static void draw_cookie(struct seal *s, struct peer *p)
{
    do
        s->random(s->arg, p->cookie, COOKIE);
    while (sodium_is_zero(p->cookie, COOKIE));
}

static struct peer *find(struct seal *s, uint16_t node)
{
    unsigned n = __atomic_load_n(&s->npeers, __ATOMIC_ACQUIRE); /* seal_add() may be at it */

    for (unsigned i = 0; i < n; i++)
        if (s->peers[i].node == node)
            return &s->peers[i];
    return NULL;
}

int seal_add(struct seal *s, uint16_t node)
{
    struct peer *p;

    if (node == s->node || find(s, node))
        return -EEXIST;
    if (s->npeers == SEAL_PEERS_MAX)
        return -ENOSPC;
    p = &s->peers[s->npeers];
    p->node = node;
    pthread_mutex_lock(&s->lock);
    draw_cookie(s, p);
    pthread_mutex_unlock(&s->lock);
    __atomic_store_n(&s->npeers, s->npeers + 1, __ATOMIC_RELEASE);
    return (int)s->npeers - 1;
}

bool seal_ready(struct seal *s, unsigned peer)
{
    bool ready;

    pthread_mutex_lock(&s->lock);
    ready = s->peers[peer].epoch != 0;
    pthread_mutex_unlock(&s->lock);
    return ready;
}

/* ---- sealing ------------------------------------------------------------------------------- */

/* The lock is held. */
static void draw_nonce(struct seal *s, uint8_t *nonce)
{
    if (s->nonces_left == 0) {
        s->random(s->arg, s->nonces, sizeof(s->nonces));
        s->nonces_left = NONCES;
    }
    memcpy(nonce, s->nonces[--s->nonces_left], NONCE);
}

/* Header and nonce stand in out already. */
static size_t encrypt(const struct seal *s, uint8_t *out, const void *text, size_t len)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + SEAL_HEADER, NULL, text, len, out, AUTHENTIC,
                                               NULL, out + AUTHENTIC, s->key);
    return len + SEAL_OVERHEAD;
}

long seal_frame(struct seal *s, unsigned peer, const void *frame, size_t len, void *out)
{
    struct peer *p = &s->peers[peer];
    struct header h = {TYPE_FRAME, s->node, p->node, s->epoch, 0, 0};
    uint8_t *to = out;

    if (len == 0 || len > SEAL_FRAME_MAX)
        return -EMSGSIZE;
    pthread_mutex_lock(&s->lock);
    h.your_epoch = p->epoch;
    if (p->epoch) {
        h.number = ++p->sent;
        draw_nonce(s, to + AUTHENTIC);
    }
    pthread_mutex_unlock(&s->lock);
    if (!h.your_epoch)
        return -ENOTCONN;
    put_header(to, &h);
    return (long)encrypt(s, to, frame, len);
}

/* their_epoch 0: any boot of theirs may have it.  asking: they shall prove themselves. */
static size_t hello(struct seal *s, unsigned peer, uint64_t their_epoch, const uint8_t *echo,
                    uint8_t *to)
{
    struct peer *p = &s->peers[peer];
    struct header h = {TYPE_HELLO, s->node, p->node, s->epoch, their_epoch, 0};
    uint8_t text[2 * COOKIE] = {0};

    pthread_mutex_lock(&s->lock);
    if (!their_epoch || p->epoch != their_epoch)
        memcpy(text, p->cookie, COOKIE);
    draw_nonce(s, to + AUTHENTIC);
    pthread_mutex_unlock(&s->lock);
    if (echo)
        memcpy(text + COOKIE, echo, COOKIE);
    put_header(to, &h);
    return encrypt(s, to, text, sizeof(text));
}

size_t seal_hello(struct seal *s, unsigned peer, void *out)
{
    return hello(s, peer, 0, NULL, out);
}

size_t seal_answer(struct seal *s, const struct seal_opened *o, void *out)
{
    return hello(s, o->peer, o->epoch, o->echo, out);
}

/* ---- opening ------------------------------------------------------------------------------- */

/*
 * Takes a number into the window.  The bits form a ring one word longer than the window, so that a
 * word is wiped before a number in it can count.
 */
static enum seal_verdict take_number(struct peer *p, uint64_t number)
{
    uint64_t word = number / 64, newest = p->highest / 64, bit = 1ull << number % 64;
    uint64_t *w = &p->seen[word % WINDOW_WORDS];

    if (number == 0 || (number <= p->highest && p->highest - number >= SEAL_WINDOW))
        return SEAL_LATE;
    if (number > p->highest) {
        uint64_t wipe = word - newest > WINDOW_WORDS ? WINDOW_WORDS : word - newest;

        for (uint64_t i = 1; i <= wipe; i++)
            p->seen[(newest + i) % WINDOW_WORDS] = 0;
        p->highest = number;
    }
    if (*w & bit)
        return SEAL_REPLAYED;
    *w |= bit;
    return SEAL_FRAME;
}

/* An authentic frame; the lock is held. */
static enum seal_verdict judge_frame(struct seal *s, struct peer *p, const struct header *h,
                                     struct seal_opened *o)
{
    enum seal_verdict v;

    o->challenge = h->your_epoch != s->epoch || !p->epoch || h->epoch != p->epoch;
    if (h->your_epoch != s->epoch)
        return SEAL_OTHER_BOOT;
    if (o->challenge)
        return SEAL_EPOCH;
    v = take_number(p, h->number);
    o->fresh = v == SEAL_FRAME;
    return v;
}

/* An authentic hello; the lock is held. */
static enum seal_verdict judge_hello(struct seal *s, struct peer *p, const struct header *h,
                                     const uint8_t *text, struct seal_opened *o)
{
    o->answer = !sodium_is_zero(text, COOKIE) && h->epoch;
    o->epoch = h->epoch;
    memcpy(o->echo, text, COOKIE);
    if (sodium_is_zero(text + COOKIE, COOKIE))
        return SEAL_GREETING;
    if (h->your_epoch != s->epoch || !h->epoch || sodium_memcmp(text + COOKIE, p->cookie, COOKIE))
        return SEAL_BAD_ECHO;
    o->fresh = true;
    draw_cookie(s, p);
    if (h->epoch != p->epoch) {
        p->epoch = h->epoch;
        p->highest = 0;
        memset(p->seen, 0, sizeof(p->seen));
    }
    return SEAL_GREETING;
}

enum seal_verdict seal_open(struct seal *s, void *datagram, size_t len, struct seal_opened *o)
{
    uint8_t *d = datagram;
    enum seal_verdict v;
    struct header h;
    struct peer *p;

    memset(o, 0, sizeof(*o));
    if (len <= SEAL_OVERHEAD)
        return SEAL_SHORT;
    if (!get_header(d, len, &h))
        return SEAL_FORMAT;
    p = find(s, h.sender);
    if (!p)
        return SEAL_STRANGER;
    o->peer = (unsigned)(p - s->peers);
    if (h.receiver != s->node)
        return SEAL_ELSEWHERE;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(d + SEAL_HEADER, NULL, NULL, d + SEAL_HEADER,
                                                   len - SEAL_HEADER, d, AUTHENTIC, d + AUTHENTIC,
                                                   s->key))
        return SEAL_FORGED;
    pthread_mutex_lock(&s->lock);
    if (h.type == TYPE_HELLO)
        v = judge_hello(s, p, &h, d + SEAL_HEADER, o);
    else
        v = judge_frame(s, p, &h, o);
    pthread_mutex_unlock(&s->lock);
    if (v == SEAL_FRAME) {
        o->frame = d + SEAL_HEADER;
        o->len = len - SEAL_OVERHEAD;
    }
    return v;
}

const char *seal_verdict_name(enum seal_verdict v)
{
    static const char *const names[] = {
        [SEAL_FRAME] = "frame",
        [SEAL_GREETING] = "hello",
        [SEAL_SHORT] = "truncated",
        [SEAL_FORMAT] = "not a sealed datagram",
        [SEAL_STRANGER] = "unknown sender",
        [SEAL_ELSEWHERE] = "for another node",
        [SEAL_FORGED] = "not authentic",
        [SEAL_OTHER_BOOT] = "for an earlier boot",
        [SEAL_EPOCH] = "boot not proven",
        [SEAL_REPLAYED] = "replayed",
        [SEAL_LATE] = "too late",
        [SEAL_BAD_ECHO] = "answer to no question",
    };

    return (unsigned)v < SEAL_VERDICTS ? names[v] : "?";
}
