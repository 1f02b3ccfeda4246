/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: guest/bridge/link.c guest/bridge/link_hs.c guest/bridge/link_rx.c */
/* LINK: guest/bridge/link_rec.c guest/bridge/link_tx.c */
/*
 * Fuzzes the link protocol, as the side that asks and the side that answers.  The input is a script
 * for the other end of a live connection: raw bytes, frames that are right but for a few bytes,
 * handshakes, frames of the link's own sent back to it, packets of this node, answers that come
 * late, time.  What must hold is in check(): whatever comes in, only packets that were submitted
 * complete, once each, and the link asks for the processor only when it has something to do.
 */
#include "../unit/link_puppet.h"

#define STEPS 400u
#define HELD  16u
#define IDS   1024u /* more than there are steps */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *in, *in_end;
static struct puppet *p;
static bool open_id[IDS];
static uint32_t next_id;
static unsigned seen_complete, seen_delivered, n_held;
static uint64_t held[HELD];

static void must(bool ok)
{
    if (!ok)
        abort();
}

static uint8_t byte(void)
{
    return in < in_end ? *in++ : 0;
}

static uint64_t bytes(unsigned n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | byte();
    return v;
}

/* Overwrites a few bytes, if the script says so. */
static void mutate(void *buf, size_t len)
{
    uint8_t *b = buf;

    for (unsigned n = byte() % 4; n && len; n--) {
        size_t at = bytes(2) % len;
        b[at] = byte();
    }
}

/* ---- what the other side may say ---- */

static struct link_rec some_record(void)
{
    uint8_t how = byte();
    struct link_rec r = {.op = 1 + how % 4, .slot = how >> 2 & 7, .gen = how >> 5};
    uint16_t len = (uint16_t)bytes(2);

    r.total = len % 4200;
    if (r.op == LINK_READ) {
        r.flags = LINK_FIRST;
        return r;
    }
    /* A part: all, or some units of it. */
    uint8_t part = byte();
    if (part & 1) {
        r.off = (uint16_t)((part >> 1) * LINK_UNIT % (r.total + 1));
        r.off -= r.off % LINK_UNIT;
        r.len = (uint16_t)(byte() * LINK_UNIT);
    } else {
        r.len = r.total;
    }
    if (r.off + r.len > r.total)
        r.len = r.total - r.off;
    if (r.off == 0)
        r.flags = LINK_FIRST;
    return r;
}

/* The answer to what the link's last frame asked, if it asked something. */
static struct link_rec fitting_answer(void)
{
    struct link_rec q = {0};
    struct link_rec r = {.op = LINK_ANSWER, .flags = LINK_FIRST};

    if (p->frame_len >= sizeof(struct link_head) + sizeof(q))
        memcpy(&q, p->frame + sizeof(struct link_head), sizeof(q));
    r.slot = q.slot;
    r.gen = q.gen;
    if (byte() & 1)
        r.result = byte();
    else if (q.op == LINK_READ)
        r.total = r.len = q.total;
    return r;
}

static void records(void)
{
    static uint8_t body[4 * 4300];
    size_t len = 0;

    for (unsigned n = 1 + byte() % 4; n; n--) {
        struct link_rec r = byte() % 3 ? some_record() : fitting_answer();
        len = puppet_rec(body, len, r, NULL);
    }
    mutate(body, len);
    if (byte() % 8 == 0)
        len = bytes(2) % (len + 1);
    struct link_head h = puppet_head(p, LINK_DATA, len);
    h.flags = LINK_F_SEQ | (byte() & LINK_F_ECHO);
    h.seq = p->seq++;
    h.ack = p->ack;
    h.echo = p->head.stamp;
    h.hold = byte();
    mutate(&h, sizeof(h));
    puppet_frame(p, &h, body, len);
}

/* A packet, or the answer to the last one asked for, in three parts, in any order. */
static void parts(void)
{
    static uint8_t body[4300];
    uint8_t how = byte();
    struct link_rec r = how & 1 ? fitting_answer() : some_record();
    unsigned units = (r.total + LINK_UNIT - 1) / LINK_UNIT;
    unsigned first = how >> 1 & 3;

    for (unsigned i = 0; i < 3; i++) {
        unsigned k = (first + (how & 8 ? i : 3 - i)) % 3;
        unsigned end = (k + 1) * units / 3 * LINK_UNIT;
        r.off = (uint16_t)(k * units / 3 * LINK_UNIT);
        r.len = (uint16_t)((end < r.total && k < 2 ? end : r.total) - r.off);
        r.flags = r.off ? 0 : LINK_FIRST;
        if (r.op == LINK_READ)
            r.off = r.len = 0;
        if (how & 0x10)
            mutate(&r, sizeof(r));
        puppet_data(p, body, puppet_rec(body, 0, r, NULL) % sizeof(body));
    }
}

/* Acknowledges, more or less. */
static void ack(void)
{
    struct link_head h = puppet_head(p, LINK_DATA, 0);
    uint8_t how = byte();

    if (p->head.type == LINK_DATA && !(how & 1))
        p->ack = p->head.seq + (p->head.flags & LINK_F_SEQ);
    h.flags = how & LINK_F_ECHO;
    h.echo = p->head.stamp - byte();
    h.seq = p->seq;
    h.ack = p->ack - (how & 0x10 ? byte() : 0);
    h.sack = how & 0x20 ? bytes(8) : 0;
    puppet_frame(p, &h, NULL, 0);
}

static void handshake(void)
{
    uint8_t how = byte();
    uint64_t src = how & 1 ? PUPPET_EPOCH : 1ull + byte();
    uint64_t dst = how & 2 ? p->theirs : p->head.src_epoch;

    puppet_hello(p, how & 4 ? LINK_HELLO : LINK_WELCOME, src, how & 4 ? 0 : dst,
                 how & 8 ? byte() : 77);
    if (!(how & 0x10))
        return;
    /* And its first frame. */
    struct link_head h = puppet_head(p, LINK_DATA, 0);
    h.src_epoch = src;
    h.dst_epoch = p->head.src_epoch;
    h.ack = (uint32_t)h.dst_epoch;
    h.flags = LINK_F_SEQ;
    h.seq = (uint32_t)src;
    puppet_frame(p, &h, NULL, 0);
}

static void reflect(void)
{
    uint8_t buf[LINK_FRAME_MAX];
    size_t len = p->frame_len;
    struct link_head h = p->head;

    memcpy(buf, p->frame, len);
    if (byte() & 1) { /* as if the other side had sent it */
        h.src_node = 1;
        h.dst_node = 0;
        h.src_epoch = p->head.dst_epoch;
        h.dst_epoch = p->head.src_epoch;
        h.seq = p->seq++;
        h.ack = p->ack;
        h.sack = 0;
        memcpy(buf, &h, sizeof(h));
    }
    mutate(buf, len);
    puppet_raw(p, buf, len);
}

static void raw(void)
{
    uint8_t buf[300];
    size_t len = bytes(2) % sizeof(buf);

    for (size_t i = 0; i < len; i++)
        buf[i] = byte();
    if (byte() & 1 && len >= sizeof(struct link_head)) { /* with a header that fits */
        struct link_head h = puppet_head(p, LINK_DATA, len - sizeof(h));
        h.flags = LINK_F_SEQ;
        h.seq = p->seq++;
        h.ack = p->ack;
        memcpy(buf, &h, sizeof(h));
    }
    puppet_raw(p, buf, len);
}

/* ---- what this side does ---- */

static void submit(void)
{
    uint8_t op = byte();
    uint16_t len = (uint16_t)bytes(2);
    bool ready = link_ready(p->link);

    next_id = (next_id + 1) % IDS;
    must(!open_id[next_id]);
    open_id[next_id] = true;
    bool taken = puppet_submit(p, op % 4, op & 0x80 ? len : len % 4100, next_id);
    must(taken == ready);
    open_id[next_id] &= taken;
    if (taken && p->completed != seen_complete && p->id[seen_complete % PUPPET_LOG] == next_id)
        open_id[next_id] = true; /* done already: check() sees it */
}

static void answer(void)
{
    static const uint8_t data[BRIDGE_DATA];

    if (n_held)
        link_delivered(p->link, held[--n_held], byte() % 24, data);
    else
        link_delivered(p->link, bytes(8), byte(), data);
}

static void check(void)
{
    must(p->completed - seen_complete <= PUPPET_LOG);
    for (; seen_complete != p->completed; seen_complete++) {
        uint32_t id = p->id[seen_complete % PUPPET_LOG];
        must(id < IDS && open_id[id]);
        open_id[id] = false;
    }
    if (p->delivered != seen_delivered && p->hold && n_held < HELD)
        held[n_held++] = p->handle;
    seen_delivered = p->delivered;
}

static void step(void)
{
    static const uint64_t times[] = {0, 1000, 100000, 2000000, 11000000, 110000000, 700000000};
    uint8_t what = byte();

    p->hold = what & 0x80;
    p->full = (what & 0x70) == 0x70;
    switch (what & 0xF) {
    case 0:
    case 1:
    case 2:
        records();
        break;
    case 3:
    case 4:
        ack();
        break;
    case 5:
        handshake();
        break;
    case 6:
        reflect();
        break;
    case 7:
        raw();
        break;
    case 8:
    case 9:
    case 10:
        submit();
        break;
    case 11:
        answer();
        break;
    case 12:
        parts();
        break;
    default:
        puppet_tick(p, times[byte() % (sizeof(times) / sizeof(times[0]))]);
        must(link_deadline(p->link) > p->now);
        break;
    }
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = data;
    in_end = data + size;
    memset(open_id, 0, sizeof(open_id));
    next_id = seen_complete = seen_delivered = n_held = 0;
    p = puppet_new(4);
    p->random = byte();
    if (byte() % 8) {
        puppet_connect(p);
    }
    for (unsigned i = 0; i < STEPS && in < in_end; i++)
        step();
    /* With nobody there, all that is left comes to an end. */
    p->full = p->hold = false;
    for (unsigned i = 0; i < 60; i++) {
        puppet_pass(p, 700000000);
        check();
    }
    for (unsigned i = 0; i < IDS; i++)
        must(!open_id[i]);
    must(link_ready(p->link));
    puppet_free(p);
    return 0;
}
