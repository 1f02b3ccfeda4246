/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDTU against a second opinion: a model of slots, credits and VPE ids, written from dtu-spec 3
 * and 4 in another shape (slots as records, no bitmaps, nothing packed), is driven by the same
 * random steps.  After each step the error code, every endpoint word, MSG_CNT and OFFSET must
 * agree, and a fetched message must be the one that the model has in that slot.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../vdtu/vdtu.h"

#define PES   3u
#define EPS   6u /* endpoints used: small numbers, so that they collide */
#define MEM   0x8000u
#define STEPS 4000u
#define SEEDS 40

/* ---- the model ---- */

struct mmsg {
    unsigned flags, from_pe, from_ep, reply_ep, from_vpe, len;
    uint64_t label, reply_label;
    uint8_t first; /* of the payload, which counts up */
};

struct mslot {
    enum { FREE, UNREAD, TAKEN } state;
    struct mmsg msg;
};

struct mep {
    enum { NONE, SENDS, RECEIVES } kind;
    /* SENDS */
    unsigned vpe, max, pe, ep;
    int credits; /* -1: unlimited */
    uint64_t label;
    /* RECEIVES */
    unsigned slots, size, base, next_in, next_out;
    struct mslot slot[32];
};

static struct mpe {
    unsigned vpe;
    struct mep ep[EPS];
} model[PES];

static unsigned model_unread(const struct mep *e)
{
    unsigned n = 0;

    for (unsigned i = 0; e->kind == RECEIVES && i < e->slots; i++)
        n += e->slot[i].state == UNREAD;
    return n;
}

/* Slots in the order in which they are searched: the k-th after position pos. */
static unsigned kth(const struct mep *e, unsigned pos, unsigned k)
{
    return pos + k < e->slots ? pos + k : pos + k - e->slots;
}

static unsigned model_arrive(unsigned pe, unsigned vpe, unsigned ep, const struct mmsg *m)
{
    struct mep *e, *c;

    if (pe >= PES)
        return SE_EP_INVALID;
    if (ep >= 16)
        return SE_RECV_GONE;
    if (model[pe].vpe != vpe)
        return SE_VPE_GONE;
    if (ep >= EPS || model[pe].ep[ep].kind != RECEIVES)
        return SE_RECV_GONE;
    e = &model[pe].ep[ep];
    if (m->len + 25 > e->size)
        return SE_INV_ARGS;
    for (unsigned k = 0; k < e->slots; k++) {
        unsigned i = kth(e, e->next_in, k);

        if (e->slot[i].state != FREE)
            continue;
        e->slot[i].state = UNREAD;
        e->slot[i].msg = *m;
        e->next_in = i + 1;
        if (m->flags & 1 && m->reply_ep < EPS) {
            c = &model[pe].ep[m->reply_ep];
            if (c->kind == SENDS && c->credits >= 0) {
                c->credits = (c->credits + (int)c->max) % 65536;
                if (c->credits == 65535)
                    c->credits = -1; /* the number that means unlimited */
            }
        }
        return 0;
    }
    return SE_NO_RING_SPACE;
}

static unsigned model_send(unsigned pe, unsigned ep, struct mmsg *m)
{
    struct mep *e = &model[pe].ep[ep];

    if (e->kind != SENDS)
        return SE_EP_INVALID;
    if (m->len + 25 > e->max)
        return SE_INV_ARGS;
    if (e->credits >= 0 && e->credits < (int)e->max)
        return SE_MISS_CREDITS;
    m->flags = 4;
    m->from_pe = pe;
    m->from_ep = e->credits < 0 ? 16 : ep;
    m->from_vpe = model[pe].vpe;
    m->label = e->label;
    if (e->credits >= 0)
        e->credits -= (int)e->max;
    return model_arrive(e->pe, e->vpe, e->ep, m);
}

static struct mslot *model_slot(unsigned pe, unsigned ep, uint64_t addr)
{
    struct mep *e = &model[pe].ep[ep];

    if (e->kind != RECEIVES || addr < e->base || addr >= e->base + e->slots * e->size)
        return NULL;
    return &e->slot[(addr - e->base) / e->size];
}

static unsigned model_reply(unsigned pe, unsigned ep, uint64_t addr, struct mmsg *m)
{
    struct mslot *s = model_slot(pe, ep, addr);
    unsigned err;

    if (model[pe].ep[ep].kind != RECEIVES)
        return SE_EP_INVALID;
    if (!s || s->state == FREE || !(s->msg.flags & 4))
        return SE_INV_ARGS;
    m->flags = 3;
    m->from_pe = pe;
    m->from_ep = ep;
    m->from_vpe = model[pe].vpe;
    m->reply_ep = s->msg.from_ep;
    m->label = s->msg.reply_label;
    m->reply_label = 0;
    err = model_arrive(s->msg.from_pe, s->msg.from_vpe, s->msg.reply_ep, m);
    s->state = FREE;
    s->msg.flags = 0x10;
    return err;
}

static struct mslot *model_fetch(unsigned pe, unsigned ep, uint64_t *addr)
{
    struct mep *e = &model[pe].ep[ep];

    *addr = 0;
    for (unsigned k = 0; e->kind == RECEIVES && k < e->slots; k++) {
        unsigned i = kth(e, e->next_out, k);

        if (e->slot[i].state == UNREAD) {
            e->slot[i].state = TAKEN;
            e->next_out = i + 1;
            *addr = e->base + i * e->size;
            return &e->slot[i];
        }
    }
    return NULL;
}

static void model_words(const struct mep *e, uint64_t *w)
{
    w[0] = w[1] = w[2] = 0;
    if (e->kind == SENDS) {
        w[0] = 1ull << 61 | e->vpe << 16 | e->max;
        w[1] =
            (uint64_t)e->pe << 24 | e->ep << 16 | (e->credits < 0 ? 0xFFFFu : (unsigned)e->credits);
        w[2] = e->label;
    } else if (e->kind == RECEIVES) {
        w[0] = 2ull << 61 | (uint64_t)e->next_out << 54 | (uint64_t)e->next_in << 48 |
               (uint64_t)e->size << 32 | e->slots << 16 | model_unread(e);
        w[1] = e->base;
        for (unsigned i = 0; i < e->slots; i++) {
            if (e->slot[i].state == UNREAD)
                w[2] += 1ull << (32 + i);
            if (e->slot[i].state != FREE)
                w[2] += 1ull << i;
        }
    }
}

/* ---- the driver ---- */

static struct vdtu_noc *noc;
static struct dut {
    struct vdtu *d;
    uint64_t regs[DTU_WINDOW / 8];
    uint8_t *mem;
} dut[PES];
static uint64_t fetched[PES][EPS]; /* last, as programs reply to and ack what they fetched */
static uint32_t seed;
static unsigned step;

static unsigned rnd(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

/* Mostly one of the lower half, which mostly receives, or of the upper half, which mostly sends. */
static unsigned some_ep(bool sends)
{
    return rnd(10) ? rnd(EPS / 2) + (sends ? EPS / 2 : 0) : rnd(EPS);
}

#define AGREE(a, b, what)                                                                     \
    do {                                                                                      \
        uint64_t got_ = (a), want_ = (b);                                                     \
        if (got_ != want_)                                                                    \
            ck_abort_msg("seed %d step %u: %s is %llx, the model says %llx", run, step, what, \
                         (unsigned long long)got_, (unsigned long long)want_);                \
    } while (0)

static void compare(int run)
{
    for (unsigned pe = 0; pe < PES; pe++) {
        unsigned unread = 0;

        for (unsigned ep = 0; ep < EPS; ep++) {
            uint64_t w[3];
            char name[32];

            model_words(&model[pe].ep[ep], w);
            unread += model_unread(&model[pe].ep[ep]);
            for (unsigned i = 0; i < 3; i++) {
                snprintf(name, sizeof(name), "PE %u EP %u r%u", pe, ep, i);
                AGREE(dut[pe].regs[DTU_EP(ep, i) / 8], w[i], name);
            }
        }
        AGREE(dut[pe].regs[DTU_MSG_CNT / 8], unread, "MSG_CNT");
        AGREE(vdtu_poll(dut[pe].d) & VDTU_MESSAGE, unread ? VDTU_MESSAGE : 0, "poll");
    }
}

static void store(unsigned pe, unsigned off, uint64_t value)
{
    vdtu_store(dut[pe].d, off, value, 8);
}

static unsigned command(unsigned pe, unsigned op, unsigned ep)
{
    store(pe, DTU_COMMAND, DTU_CMD(op, ep));
    return (unsigned)(dut[pe].regs[DTU_COMMAND / 8] >> 11);
}

/* A new endpoint, in the model and in the DTU; buffers of different endpoints do not overlap. */
static void configure(unsigned pe, unsigned ep)
{
    static const unsigned max[] = {25, 64, 64, 100, 128};
    struct mep *e = &model[pe].ep[ep];
    uint64_t w[3];

    memset(e, 0, sizeof(*e));
    switch (rnd(10) + (ep < EPS / 2 ? 0 : 10)) {
    case 0:
    case 19:
        break;
    case 1 ... 8:
    case 18:
        e->kind = RECEIVES;
        e->size = rnd(4) ? 65 : 48;
        e->slots = 1 + rnd(rnd(3) ? 5 : 32);
        e->base = 0x1000 + ep * 0x1000;
        break;
    default:
        e->kind = SENDS;
        e->max = max[rnd(5)];
        e->pe = rnd(30) ? rnd(PES) : PES;
        e->vpe = rnd(20) ? e->pe : rnd(8);
        e->ep = rnd(20) ? some_ep(false) : 16 + rnd(240);
        e->credits = rnd(2) ? (int)rnd(1000) : -1;
        e->label = (uint64_t)rnd(1000) << 40 | ep;
        break;
    }
    model_words(e, w);
    for (unsigned i = 0; i < 3; i++)
        store(pe, DTU_EP(ep, i), w[i]);
}

/* An address in, at the edges of, or outside of the endpoint's buffer. */
static uint64_t some_slot(unsigned pe, unsigned ep)
{
    const struct mep *e = &model[pe].ep[ep];

    if (fetched[pe][ep] && rnd(4))
        return fetched[pe][ep];
    if (e->kind != RECEIVES || !rnd(12))
        return rnd(2) ? 0 : 0x1000 + ep * 0x1000 - 1;
    return e->base + rnd(e->slots + !rnd(8)) * e->size + (rnd(4) ? 0 : rnd(e->size));
}

static struct mmsg new_message(unsigned pe)
{
    static const unsigned len[] = {0, 1, 8, 8, 8, 23, 24, 39, 40};
    struct mmsg m = {.len = len[rnd(9)], .first = (uint8_t)rnd(256)};

    m.reply_ep = rnd(12) ? some_ep(false) : 255;
    m.reply_label = (uint64_t)rnd(1000) << 32 | step;
    for (unsigned i = 0; i < m.len; i++)
        dut[pe].mem[i] = (uint8_t)(m.first + i);
    store(pe, DTU_DATA_ADDR, 0);
    store(pe, DTU_DATA_SIZE, m.len);
    store(pe, DTU_REPLY_EPID, m.reply_ep == 255 ? ~0ull : m.reply_ep);
    store(pe, DTU_REPLY_LABEL, m.reply_label);
    return m;
}

static bool same_message(const uint8_t *at, const struct mmsg *m)
{
    struct dtu_header h;

    memcpy(&h, at, 25);
    for (unsigned i = 0; i < m->len; i++) {
        if (at[25 + i] != (uint8_t)(m->first + i))
            return false;
    }
    return h.flags == m->flags && h.sender_pe == m->from_pe && h.sender_ep == m->from_ep &&
           h.reply_ep == m->reply_ep && h.length == m->len && h.sender_vpe == m->from_vpe &&
           h.label == m->label && h.reply_label == m->reply_label;
}

static void check_slots(int run)
{
    for (unsigned pe = 0; pe < PES; pe++) {
        for (unsigned ep = 0; ep < EPS; ep++) {
            const struct mep *e = &model[pe].ep[ep];

            for (unsigned i = 0; e->kind == RECEIVES && i < e->slots; i++) {
                if (e->slot[i].state != FREE)
                    AGREE(same_message(dut[pe].mem + e->base + i * e->size, &e->slot[i].msg), 1,
                          "a slot");
            }
        }
    }
}

static void one_step(int run, unsigned tried[4])
{
    unsigned kind = rnd(64), pe = rnd(PES), ep = some_ep(kind < 26);
    uint64_t addr, want;
    struct mmsg m;

    if (kind < 2) {
        configure(pe, rnd(EPS));
    } else if (kind < 3) {
        uint64_t id = rnd(8) ? pe : rnd(PES + 1);

        model[pe].vpe = (unsigned)id;
        dut[pe].regs[DTU_VPE_ID / 8] = id; /* as the kernel would, without a NoC to go through */
    } else if (kind < 26) {
        m = new_message(pe);
        AGREE(command(pe, DTU_SEND, ep), want = model_send(pe, ep, &m), "SEND");
        tried[0] += !want;
    } else if (kind < 40) {
        m = new_message(pe);
        addr = some_slot(pe, ep);
        store(pe, DTU_OFFSET, addr);
        AGREE(command(pe, DTU_REPLY, ep), want = model_reply(pe, ep, addr, &m), "REPLY");
        tried[1] += !want;
    } else if (kind < 54) {
        model_fetch(pe, ep, &want);
        AGREE(command(pe, DTU_FETCH, ep), 0, "FETCH");
        AGREE(dut[pe].regs[DTU_OFFSET / 8], want, "OFFSET");
        tried[2] += want != 0;
        fetched[pe][ep] = want;
    } else {
        struct mslot *s;

        addr = some_slot(pe, ep);
        s = model_slot(pe, ep, addr);
        tried[3] += s && s->state != FREE;
        if (s)
            s->state = FREE;
        store(pe, DTU_OFFSET, addr);
        AGREE(command(pe, DTU_ACK, ep), 0, "ACK");
    }
}

START_TEST(against_model)
{
    unsigned tried[4] = {0};
    int run = _i;

    seed = (uint32_t)(run * 2654435761u + 12345);
    memset(model, 0, sizeof(model));
    memset(fetched, 0, sizeof(fetched));
    noc = vdtu_noc_new();
    for (unsigned pe = 0; pe < PES; pe++) {
        struct vdtu_config cfg = {.pe = (uint16_t)pe, .mem_size = MEM, .regs = dut[pe].regs};

        cfg.mem = dut[pe].mem = calloc(1, MEM);
        ck_assert_int_eq(vdtu_new(noc, &cfg, &dut[pe].d), 0);
        model[pe].vpe = pe;
        dut[pe].regs[DTU_VPE_ID / 8] = pe;
        for (unsigned ep = 0; ep < EPS; ep++)
            configure(pe, ep);
    }
    for (step = 0; step < STEPS; step++) {
        one_step(run, tried);
        compare(run);
        if (step % 16 == 0)
            check_slots(run);
    }
    /* The steps are worth something only if enough of them do something. */
    ck_assert_uint_gt(tried[0], STEPS / 50);
    ck_assert_uint_gt(tried[1], STEPS / 200);
    ck_assert_uint_gt(tried[2], STEPS / 50);
    ck_assert_uint_gt(tried[3], STEPS / 100);
    for (unsigned pe = 0; pe < PES; pe++) {
        vdtu_free(dut[pe].d);
        free(dut[pe].mem);
    }
    vdtu_noc_free(noc);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu model");
    TCase *c = tcase_create("model");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, against_model, 0, SEEDS);
    suite_add_tcase(s, c);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
