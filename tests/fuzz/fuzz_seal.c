/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: netdev/seal.c */
/*
 * Three nodes that share a key, and someone in between who keeps every datagram, delivers it to
 * whom and as often as he likes, alters it, makes up his own, and restarts nodes.  What must hold:
 * no frame arrives twice, or elsewhere, or altered, or at a boot that began after it was sealed;
 * and once a frame of a node's boot has arrived, none of an earlier boot of it does.
 *
 * A step is an opcode and its operands; bytes that run out read as zero.
 */
#include "../../netdev/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NODES   3u
#define LETTERS 64u
#define STEPS   400u
#define ROOM    256u

#define must(truth) must_at((truth), #truth, __LINE__)

static void must_at(int truth, const char *text, int line)
{
    if (!truth) {
        fprintf(stderr, "line %d: not so: %s\n", line, text);
        abort();
    }
}

struct letter {
    uint8_t bytes[ROOM];
    size_t len;
    bool frame, arrived;
    unsigned from, to, boot, when; /* boot: of the sender; when: the step */
    uint8_t text;
};

static struct seal *node[NODES];
static unsigned boots[NODES], since[NODES], newest[NODES][NODES], step, kept;
static struct letter letters[LETTERS];
static const uint8_t *in;
static size_t left;
static uint64_t chance;

static unsigned take(void)
{
    if (!left)
        return 0;
    left--;
    return *in++;
}

static void draw(void *arg, void *buf, size_t len)
{
    uint8_t *p = buf;

    (void)arg;
    for (size_t i = 0; i < len; i++) {
        chance = chance * 6364136223846793005ull + 1442695040888963407ull;
        p[i] = (uint8_t)(chance >> 56);
    }
}

static void boot(unsigned i)
{
    static const uint8_t key[SEAL_KEY_BYTES] = {1};

    seal_free(node[i]);
    node[i] = seal_new(key, (uint16_t)i, draw, NULL);
    must(node[i] != NULL);
    for (unsigned k = 0; k < NODES; k++)
        must(k == i || seal_add(node[i], (uint16_t)k) == (int)(k < i ? k : k - 1));
    boots[i]++;
    since[i] = step;
    memset(newest[i], 0, sizeof(newest[i]));
}

static unsigned peer(unsigned of, unsigned other)
{
    return other < of ? other : other - 1;
}

/* The peers of a node by index. */
static unsigned other(unsigned of, unsigned index)
{
    return index < of ? index : index + 1;
}

static struct letter *keep(unsigned from, unsigned to)
{
    struct letter *l = &letters[kept++ % LETTERS];

    memset(l, 0, sizeof(*l));
    l->from = from;
    l->to = to;
    l->boot = boots[from];
    l->when = step;
    return l;
}

static void write_frame(unsigned from, unsigned to, unsigned len)
{
    uint8_t text[100];
    struct letter *l = keep(from, to);
    long n;

    l->text = (uint8_t)kept;
    memset(text, l->text, sizeof(text));
    n = seal_frame(node[from], peer(from, to), text, len % 100 + 1, l->bytes);
    if (n < 0)
        return;
    l->len = (size_t)n;
    l->frame = true;
}

static void arrived(struct letter *l, unsigned at, const struct seal_opened *o)
{
    must(l && l->frame && !l->arrived && l->to == at);
    must(other(at, o->peer) == l->from);
    must(l->when >= since[at]);
    must(l->boot >= newest[at][l->from]);
    must(o->len == l->len - SEAL_OVERHEAD);
    for (size_t i = 0; i < o->len; i++)
        must(o->frame[i] == l->text);
    newest[at][l->from] = l->boot;
    l->arrived = true;
}

/* l: the letter that the bytes are, unaltered; or NULL. */
static void deliver(struct letter *l, unsigned at, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    struct seal_opened o;
    enum seal_verdict v;

    if (len)
        memcpy(copy, bytes, len);
    v = seal_open(node[at], copy, len, &o);
    must(v < SEAL_VERDICTS);
    if (!l)
        must(v != SEAL_FRAME && v != SEAL_GREETING && !o.fresh && !o.answer && !o.challenge);
    if (v == SEAL_FRAME)
        arrived(l, at, &o);
    if (o.answer) {
        l = keep(at, other(at, o.peer));
        l->len = seal_answer(node[at], &o, l->bytes);
    } else if (o.challenge) {
        l = keep(at, other(at, o.peer));
        l->len = seal_hello(node[at], o.peer, l->bytes);
    }
    free(copy);
}

static void one_step(void)
{
    unsigned op = take() % 8, a = take(), i = a % NODES, k = a / NODES % (NODES - 1);
    struct letter *l = &letters[(kept - 1 - take()) % LETTERS];
    uint8_t bytes[ROOM];
    size_t len;

    switch (op) {
    case 0:
        l = keep(i, other(i, k));
        l->len = seal_hello(node[i], k, l->bytes);
        break;
    case 1:
        write_frame(i, other(i, k), a);
        break;
    case 2: /* from anywhere to anyone */
        deliver(l->len ? l : NULL, i, l->bytes, l->len);
        break;
    case 3:
        memcpy(bytes, l->bytes, ROOM);
        bytes[take() % (l->len + 1)] ^= (uint8_t)(1 << a % 8);
        if (memcmp(bytes, l->bytes, l->len) != 0)
            deliver(NULL, i, bytes, l->len);
        break;
    case 4:
        len = l->len ? take() % l->len : 0;
        deliver(NULL, i, l->bytes, len);
        break;
    case 5:
        if (a < 32)
            boot(i);
        break;
    case 6:
        len = take() % ROOM;
        for (unsigned n = 0; n < len; n++)
            bytes[n] = (uint8_t)take();
        deliver(NULL, i, bytes, len);
        break;
    case 7: /* the last one where it belongs, as networks mostly do */
        l = &letters[(kept - 1) % LETTERS];
        deliver(l->len ? l : NULL, l->to, l->bytes, l->len);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = data;
    left = size;
    chance = take();
    kept = LETTERS; /* index arithmetic stays positive */
    memset(letters, 0, sizeof(letters));
    memset(boots, 0, sizeof(boots));
    for (unsigned i = 0; i < NODES; i++)
        boot(i);
    for (step = 1; step < STEPS && left; step++)
        one_step();
    for (unsigned i = 0; i < NODES; i++) {
        seal_free(node[i]);
        node[i] = NULL;
    }
    step = 0;
    return 0;
}
