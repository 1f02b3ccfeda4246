/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server: every message that a sender knows accepted must be here, once and whole.  The DTU
 * takes messages in the order of its slots, which are freed in any order, so they may overtake each
 * other, though not by far.
 * It answers in any order, late, and the later the busier.
 */
#include "boot.h"
#include "print.h"
#include "ringstress.h"
#include "start.h"
#include "str.h"

#define HELD_MAX 12u
#define WINDOW   256u /* numbers */

uint64_t chance_state = 88172645463325252ull;

unsigned chance(unsigned below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (unsigned)(chance_state >> 11) % below;
}

static uint64_t mix(unsigned label, uint32_t seq, unsigned i)
{
    uint64_t v = (uint64_t)label << 48 ^ (uint64_t)seq << 8 ^ i;

    v *= 0xBF58476D1CE4E5B9ull;
    v ^= v >> 29;
    return v * 0x94D049BB133111EBull;
}

static size_t message_len(unsigned label, uint32_t seq)
{
    return offsetof(struct message, words) + 8 * (mix(label, seq, 99) % (WORDS_MAX + 1));
}

size_t message_fill(struct message *m, unsigned label, enum op op, unsigned life, uint32_t seq)
{
    m->op = (uint16_t)op;
    m->life = (uint16_t)life;
    m->seq = seq;
    for (unsigned i = 0; i < WORDS_MAX; i++)
        m->words[i] = mix(label, seq, i);
    return message_len(label, seq);
}

bool message_right(const struct dtu_header *h, const struct message *m)
{
    unsigned label = (unsigned)h->label;

    if (h->label >= LABELS || h->length != message_len(label, m->seq))
        return false;
    for (unsigned i = 0; offsetof(struct message, words[i]) < h->length; i++)
        if (m->words[i] != mix(label, m->seq, i))
            return false;
    return true;
}

uint64_t answer_check(unsigned label, uint32_t seq)
{
    return mix(label, seq, 77);
}

static uint32_t got[LABELS]; /* all below are here; of those from there on: */
static bool seen[LABELS][WINDOW];
static uint16_t lives, pe_of[LABELS];
static unsigned wrong, nheld;
static uint32_t stop, done[CLIENTS_MAX];
static const struct dtu_header *held[HELD_MAX];

static void count(const struct dtu_header *h, const struct message *m)
{
    unsigned label = (unsigned)h->label;

    if (!message_right(h, m)) {
        wrong++;
        return;
    }
    if (label == LABEL_VICTIM && m->life > lives) {
        lives = m->life;
        got[label] = 0;
        memset(seen[label], 0, sizeof(seen[label]));
        pe_of[label] = 0;
    }
    if (!pe_of[label])
        pe_of[label] = h->sender_pe;
    /* What a dead one had sent may come later than its successor's; nothing else may. */
    if (label == LABEL_VICTIM && m->life < lives)
        return;
    if (m->seq - got[label] >= WINDOW || seen[label][m->seq % WINDOW] ||
        h->sender_pe != pe_of[label] || h->sender_vpe != h->sender_pe) {
        if (wrong++ < 10)
            print("ringstress: server: message %u of %u from PE %u behind %u\n", m->seq, label,
                  h->sender_pe, got[label]);
        return;
    }
    seen[label][m->seq % WINDOW] = true;
    for (; seen[label][got[label] % WINDOW]; got[label]++)
        seen[label][got[label] % WINDOW] = false;
}

static void answer(unsigned i)
{
    const struct dtu_header *h = held[i];
    struct message m;
    struct answer a;

    memcpy(&m, h + 1, offsetof(struct message, words));
    a = (struct answer){m.seq, stop, answer_check((unsigned)h->label, m.seq)};
    held[i] = held[--nheld];
    if (dtu_reply(RECV_EP, h, &a, sizeof(a)))
        wrong++;
}

/* At the end: did any not come? */
static unsigned missing(void)
{
    unsigned n = 0;

    for (unsigned label = 0; label < LABELS; label++)
        for (unsigned i = 0; i < WINDOW; i++)
            n += label != LABEL_VICTIM && seen[label][i];
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        n += got[i] != done[i];
    if (n)
        print("ringstress: server: %u messages did not come\n", n);
    return n;
}

/* True when it was the last. */
static bool handle(const struct dtu_header *h)
{
    struct message m = {0};

    memcpy(&m, h + 1, h->length < sizeof(m) ? h->length : sizeof(m));
    count(h, &m);
    switch (m.op) {
    case OP_TELL:
        dtu_ack(RECV_EP, h);
        return false;
    case OP_DONE:
        if (h->label < CLIENTS_MAX)
            done[h->label] = m.seq + 1;
        break;
    case OP_STOP:
        stop = 1;
        break;
    case OP_QUIT: {
        const struct answer a = {m.seq, 1, wrong + missing()};

        while (nheld > 0)
            answer(0);
        dtu_reply(RECV_EP, h, &a, sizeof(a));
        return true;
    }
    default:
        break;
    }
    if (nheld == HELD_MAX)
        answer(chance(nheld));
    held[nheld++] = h;
    return false;
}

int serve(void *arg)
{
    const struct recv_gate g = {.ep = RECV_EP};

    (void)arg;
    if (ep_alloc() != RECV_EP)
        return 1;
    for (;;) {
        const struct dtu_header *m = dtu_fetch(RECV_EP);

        if (m && handle(m))
            return 0;
        while (nheld > 0 && (!m || chance(3) == 0))
            answer(chance(nheld));
        if (!m && chance(4) == 0)
            dtu_relax(chance(2) * 50000u);
        if (!m && !dtu_wait_ep(g.ep, NULL, NULL))
            return 1;
    }
}
