/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many PEs at once, a thread each, as the VMM runs them.  Every message carries its sender and a
 * sequence number and is checked for both and for its whole content; transfers are checked for
 * being whole.  Meant to run under the thread sanitizer, too.  A receiver sleeps when vdtu_poll()
 * says so: a wake-up that gets lost shows as the test's time limit.
 *
 * Threads do not use the check library; they note what went wrong, and the test asks when all
 * ended.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../vdtu/vdtu.h"

#define PES   6
#define MEM   0x10000u
#define RBUF  0x8000u /* receive endpoint 2 of everybody: 8 slots of 256 bytes */
#define REPL  0x7000u /* receive endpoint 1: 4 slots of 256, for replies */
#define SRC   0x1000u
#define LEN   40u
#define COUNT 1500u
#define TRIES 50000000ull

struct pe {
    struct vdtu *d;
    uint8_t *mem;
    uint64_t regs[DTU_WINDOW / 8];
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool wake;
    char wrong[128];
    pthread_t thread;
    unsigned to, senders; /* who a sender sends to; how many a receiver hears */
};

static struct vdtu_noc *noc;
static struct pe pe[PES];

#define WRONG(p, ...)                                              \
    do {                                                           \
        if (!(p)->wrong[0])                                        \
            snprintf((p)->wrong, sizeof((p)->wrong), __VA_ARGS__); \
        return NULL;                                               \
    } while (0)

static void op_wake(void *arg)
{
    struct pe *p = arg;

    pthread_mutex_lock(&p->lock);
    p->wake = true;
    pthread_cond_signal(&p->woken);
    pthread_mutex_unlock(&p->lock);
}

static void sleep_till_woken(struct pe *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->wake)
        pthread_cond_wait(&p->woken, &p->lock);
    p->wake = false;
    pthread_mutex_unlock(&p->lock);
}

static void set(struct pe *p, unsigned off, uint64_t value)
{
    vdtu_store(p->d, off, value, 8);
}

static void set_ep(struct pe *p, unsigned ep, uint64_t r0, uint64_t r1, uint64_t r2)
{
    set(p, DTU_EP(ep, 0), r0);
    set(p, DTU_EP(ep, 1), r1);
    set(p, DTU_EP(ep, 2), r2);
}

static unsigned cmd(struct pe *p, unsigned op, unsigned ep)
{
    set(p, DTU_COMMAND, DTU_CMD(op, ep));
    return (unsigned)(vdtu_reg(p->d, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT);
}

static uint64_t fetch(struct pe *p, unsigned ep)
{
    cmd(p, DTU_FETCH, ep);
    return vdtu_reg(p->d, DTU_OFFSET);
}

static void ack(struct pe *p, unsigned ep, uint64_t addr)
{
    set(p, DTU_OFFSET, addr);
    cmd(p, DTU_ACK, ep);
}

static void setup(void)
{
    static const struct vdtu_ops ops = {.wake = op_wake};

    noc = vdtu_noc_new();
    ck_assert_ptr_nonnull(noc);
    ck_assert_int_eq(vdtu_noc_count_pairs(noc), 0);
    for (unsigned i = 0; i < PES; i++) {
        struct vdtu_config cfg = {.pe = (uint16_t)(i * 3 + 1), .mem_size = MEM, .ops = &ops};

        memset(&pe[i], 0, sizeof(pe[i]));
        pthread_mutex_init(&pe[i].lock, NULL);
        pthread_cond_init(&pe[i].woken, NULL);
        pe[i].mem = calloc(1, MEM);
        ck_assert_ptr_nonnull(pe[i].mem);
        cfg.mem = pe[i].mem;
        cfg.regs = pe[i].regs;
        cfg.arg = &pe[i];
        ck_assert_int_eq(vdtu_new(noc, &cfg, &pe[i].d), 0);
        set_ep(&pe[i], 2, dtu_recv_r0(11, 8), RBUF, 0);
        set_ep(&pe[i], 1, dtu_recv_r0(10, 8), REPL, 0);
    }
}

static void teardown(void)
{
    for (unsigned i = 0; i < PES; i++) {
        vdtu_free(pe[i].d);
        free(pe[i].mem);
    }
    vdtu_noc_free(noc);
}

static void send_to(struct pe *p, unsigned ep, const struct pe *to, unsigned credits)
{
    set_ep(p, ep, dtu_send_r0(DTU_VPE_INVALID, 128), dtu_send_r1(vdtu_pe(to->d), 2, credits),
           vdtu_pe(p->d));
}

/* Message number n of a PE: the number, then bytes that depend on both. */
static void compose(uint8_t *m, unsigned from, uint32_t n)
{
    memcpy(m, &n, 4);
    for (unsigned i = 4; i < LEN; i++)
        m[i] = (uint8_t)(from * 31 + n * 7 + i);
}

static bool is_message(const uint8_t *m, unsigned from, uint32_t n)
{
    uint8_t want[LEN];

    compose(want, from, n);
    return !memcmp(m, want, LEN);
}

static void prepare(struct pe *p, uint32_t n)
{
    compose(p->mem + SRC, vdtu_pe(p->d), n);
    set(p, DTU_DATA_ADDR, SRC);
    set(p, DTU_DATA_SIZE, LEN);
    set(p, DTU_REPLY_EPID, 1);
    set(p, DTU_REPLY_LABEL, n);
}

static void start(unsigned i, void *(*fn)(void *))
{
    ck_assert_int_eq(pthread_create(&pe[i].thread, NULL, fn, &pe[i]), 0);
}

static void join(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(pthread_join(pe[i].thread, NULL), 0);
    for (unsigned i = 0; i < n; i++)
        ck_assert_msg(!pe[i].wrong[0], "PE %u: %s", i, pe[i].wrong);
}

/* ---- many to one ---- */

static void *sender(void *arg)
{
    struct pe *p = arg;

    for (uint32_t n = 0; n < COUNT; n++) {
        unsigned err = SE_NO_RING_SPACE;

        prepare(p, n);
        for (uint64_t t = 0; err == SE_NO_RING_SPACE && t < TRIES; t++) {
            err = cmd(p, DTU_SEND, 4);
            if (err)
                sched_yield();
        }
        if (err)
            WRONG(p, "message %u: error %u", n, err);
    }
    return NULL;
}

static void *receiver(void *arg)
{
    struct pe *p = arg;
    uint32_t next[PES * 3 + 1] = {0};

    for (unsigned got = 0; got < COUNT * p->senders;) {
        struct dtu_header h;
        uint64_t addr = fetch(p, 2);

        if (!addr) {
            if (!vdtu_poll(p->d))
                sleep_till_woken(p);
            continue;
        }
        memcpy(&h, p->mem + addr, sizeof(h));
        if (h.sender_pe > PES * 3 || h.label != h.sender_pe || h.length != LEN)
            WRONG(p, "header from %u", h.sender_pe);
        if (h.reply_label != next[h.sender_pe] ||
            !is_message(p->mem + addr + 25, h.sender_pe, next[h.sender_pe]))
            WRONG(p, "from %u: number %u, not %u", h.sender_pe, (unsigned)h.reply_label,
                  next[h.sender_pe]);
        next[h.sender_pe]++;
        ack(p, 2, addr);
        got++;
    }
    return NULL;
}

START_TEST(many_to_one)
{
    const unsigned to = (unsigned)_i; /* below, between and above its senders in PE order */

    pe[to].senders = PES - 1;
    for (unsigned i = 0; i < PES; i++) {
        if (i != to)
            send_to(&pe[i], 4, &pe[to], DTU_CREDITS_UNLIM);
    }
    for (unsigned i = 0; i < PES; i++)
        start(i, i == to ? receiver : sender);
    join(PES);
    ck_assert_uint_eq(vdtu_reg(pe[to].d, DTU_MSG_CNT), 0);
    ck_assert_uint_eq(vdtu_reg(pe[to].d, DTU_EP(2, 2)), 0);
    for (unsigned i = 0; i < PES; i++)
        ck_assert_uint_eq(vdtu_noc_pair(noc, i * 3 + 1, to * 3 + 1), i == to ? 0 : COUNT);
}
END_TEST

/*
 * Takes only what comes at endpoint 3; what is unread at endpoint 2 must neither wake it for good
 * nor keep it from sleeping.
 */
static void *choosy(void *arg)
{
    struct pe *p = arg;

    for (unsigned got = 0; got < COUNT;) {
        uint64_t addr = fetch(p, 3);

        if (!addr) {
            if (!vdtu_poll_ep(p->d, 3))
                sleep_till_woken(p);
            continue;
        }
        if (!is_message(p->mem + addr + 25, vdtu_pe(pe[1].d), got))
            WRONG(p, "message %u", got);
        ack(p, 3, addr);
        got++;
    }
    return NULL;
}

/* Fills the receiver's endpoint 2 and tries on until the other sender is done. */
static void *disturber(void *arg)
{
    struct pe *p = arg;

    prepare(p, 0);
    while (vdtu_noc_pair(noc, vdtu_pe(pe[1].d), vdtu_pe(pe[0].d)) < COUNT) {
        unsigned err = cmd(p, DTU_SEND, 4);

        if (err && err != SE_NO_RING_SPACE)
            WRONG(p, "error %u", err);
        sched_yield();
    }
    return NULL;
}

START_TEST(only_one_endpoint)
{
    set_ep(&pe[0], 1, 0, 0, 0);
    set_ep(&pe[0], 3, dtu_recv_r0(10, 8), REPL, 0);
    send_to(&pe[1], 4, &pe[0], DTU_CREDITS_UNLIM);
    set(&pe[1], DTU_EP(4, 1), dtu_send_r1(vdtu_pe(pe[0].d), 3, DTU_CREDITS_UNLIM));
    send_to(&pe[2], 4, &pe[0], DTU_CREDITS_UNLIM);
    start(0, choosy);
    start(1, sender);
    start(2, disturber);
    join(3);
    ck_assert_uint_eq(vdtu_reg(pe[0].d, DTU_EP(3, 2)), 0);
    ck_assert_uint_eq(vdtu_poll(pe[0].d) & VDTU_MESSAGE, VDTU_MESSAGE); /* those of endpoint 2 */
}
END_TEST

/* ---- requests and replies both ways, with few credits; or to itself ---- */

static const char *serve(struct pe *p)
{
    uint64_t addr = fetch(p, 2);
    uint32_t n;

    if (!addr)
        return NULL;
    memcpy(&n, p->mem + addr + 25, 4);
    if (!is_message(p->mem + addr + 25, vdtu_pe(pe[p->to].d), n))
        return "request";
    set(p, DTU_DATA_ADDR, addr + 25); /* echo */
    set(p, DTU_DATA_SIZE, LEN);
    set(p, DTU_OFFSET, addr);
    return cmd(p, DTU_REPLY, 2) ? "reply refused" : NULL;
}

static void *peer(void *arg)
{
    struct pe *p = arg;
    uint32_t sent = 0, answered = 0;

    for (uint64_t t = 0; answered < COUNT && t < TRIES; t++) {
        const char *wrong = serve(p);
        uint64_t addr;

        if (wrong)
            WRONG(p, "%s", wrong);
        prepare(p, sent);
        if (sent < COUNT && sent - answered < 4) {
            unsigned err = cmd(p, DTU_SEND, 4);

            if (err)
                WRONG(p, "request %u: error %u", sent, err); /* credits and slots suffice */
            sent++;
        }
        addr = fetch(p, 1);
        if (addr) {
            uint64_t label;

            memcpy(&label, p->mem + addr + 9, 8);
            if (label != answered || !is_message(p->mem + addr + 25, vdtu_pe(p->d), answered))
                WRONG(p, "answer %u", answered);
            answered++;
            ack(p, 1, addr);
        }
        if (!addr && sent - answered == 4)
            sched_yield();
    }
    /* The other may still ask. */
    for (uint64_t t = 0;
         t < TRIES && vdtu_noc_pair(noc, vdtu_pe(p->d), vdtu_pe(pe[p->to].d)) < 2 * COUNT; t++) {
        const char *wrong = serve(p);

        if (wrong)
            WRONG(p, "%s", wrong);
        sched_yield();
    }
    return NULL;
}

START_TEST(crossing)
{
    for (unsigned i = 0; i < PES; i++) {
        pe[i].to = i ^ 1;
        send_to(&pe[i], 4, &pe[i ^ 1], 4 * 128);
    }
    for (unsigned i = 0; i < PES; i++)
        start(i, peer);
    join(PES);
    for (unsigned i = 0; i < PES; i++) {
        ck_assert_uint_eq(vdtu_reg(pe[i].d, DTU_MSG_CNT), 0);
        ck_assert_uint_eq(vdtu_reg(pe[i].d, DTU_EP(4, 1)) & 0xFFFF, 4 * 128);
    }
}
END_TEST

START_TEST(to_itself)
{
    for (unsigned i = 0; i < 3; i++) {
        pe[i].to = i;
        send_to(&pe[i], 4, &pe[i], 4 * 128);
    }
    for (unsigned i = 0; i < 3; i++)
        start(i, peer);
    join(3);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(vdtu_noc_pair(noc, i * 3 + 1, i * 3 + 1), 2 * COUNT);
}
END_TEST

/* ---- endpoints rewritten while messages arrive ---- */

static bool done;

static void *kernel(void *arg)
{
    struct pe *p = arg;
    const uint64_t words[4][3] = {
        {dtu_recv_r0(11, 8), RBUF, 0}, {0}, {dtu_recv_r0(9, 8), RBUF + 0x1000, 0}, {dtu_mem_r0(8)}};

    set_ep(p, 14, dtu_mem_r0(24), DTU_BASE + DTU_EP(2, 0),
           dtu_mem_r2(vdtu_pe(pe[1].d), DTU_VPE_INVALID, DTU_PERM_RW));
    set(p, DTU_DATA_ADDR, 0x100);
    set(p, DTU_DATA_SIZE, 24);
    set(p, DTU_OFFSET, 0);
    for (unsigned i = 0; i < 4 * COUNT; i++) {
        memcpy(p->mem + 0x100, words[i % 4], 24);
        if (cmd(p, DTU_WRITE, 14))
            WRONG(p, "write %u", i);
        sched_yield();
    }
    __atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
    return NULL;
}

static void *stubborn(void *arg)
{
    struct pe *p = arg;

    for (uint32_t n = 0; !__atomic_load_n(&done, __ATOMIC_SEQ_CST) && n < 1u << 30; n++) {
        unsigned err;

        prepare(p, n);
        err = cmd(p, DTU_SEND, 4);
        if (err && err != SE_NO_RING_SPACE && err != SE_RECV_GONE)
            WRONG(p, "error %u", err);
    }
    return NULL;
}

/* Messages may vanish and slots be reused under the reader, but what is there is always whole. */
static void *careful(void *arg)
{
    struct pe *p = arg;

    for (uint64_t t = 0; !__atomic_load_n(&done, __ATOMIC_SEQ_CST) && t < TRIES; t++) {
        uint8_t m[25 + LEN];
        struct dtu_header h;
        uint32_t n;
        uint64_t addr = fetch(p, 2);

        if (!addr)
            continue;
        vdtu_mem_read(p->d, addr, m, sizeof(m));
        memcpy(&h, m, sizeof(h));
        memcpy(&n, m + 25, 4);
        if (h.label != h.sender_pe || !is_message(m + 25, h.sender_pe, n))
            WRONG(p, "torn message from %u", h.sender_pe);
        ack(p, 2, addr);
    }
    return NULL;
}

START_TEST(reconfiguration)
{
    uint64_t sum = 0;

    done = false;
    start(0, kernel);
    start(1, careful);
    for (unsigned i = 2; i < PES; i++) {
        send_to(&pe[i], 4, &pe[1], DTU_CREDITS_UNLIM);
        start(i, stubborn);
    }
    join(PES);
    for (unsigned ep = 0; ep < DTU_EPS; ep++) {
        uint64_t r0 = vdtu_reg(pe[1].d, DTU_EP(ep, 0));

        if (r0 >> 61 == DTU_EP_RECV)
            sum += r0 & 0xFFFF;
    }
    ck_assert_uint_eq(vdtu_reg(pe[1].d, DTU_MSG_CNT), sum);
}
END_TEST

/* ---- transfers crossing ---- */

static bool uniform(const uint8_t *m, unsigned len)
{
    return !memcmp(m, m + 1, len - 1);
}

/*
 * Everybody writes uniform pages into its right neighbour and reads pages of its left one: a page
 * is one packet, so it arrives and is read whole.  Meanwhile the same registers are read across.
 */
static void *exchanger(void *arg)
{
    struct pe *p = arg;
    unsigned self = (unsigned)(p - pe), right = (self + 1) % PES, left = (self + PES - 1) % PES;

    set_ep(p, 5, dtu_mem_r0(0x2000), 0xA000,
           dtu_mem_r2(vdtu_pe(pe[right].d), DTU_VPE_INVALID, DTU_PERM_W));
    set_ep(p, 6, dtu_mem_r0(0x2000), 0xA000,
           dtu_mem_r2(vdtu_pe(pe[left].d), DTU_VPE_INVALID, DTU_PERM_R));
    set_ep(p, 7, dtu_mem_r0(DTU_WINDOW), DTU_BASE,
           dtu_mem_r2(vdtu_pe(pe[left].d), DTU_VPE_INVALID, DTU_PERM_R));
    for (unsigned n = 0; n < COUNT; n++) {
        memset(p->mem + 0x2000, (int)(n * PES + self), 0x2000);
        set(p, DTU_DATA_ADDR, 0x2000);
        set(p, DTU_DATA_SIZE, 0x2000);
        set(p, DTU_OFFSET, 0);
        if (cmd(p, DTU_WRITE, 5))
            WRONG(p, "write %u", n);
        set(p, DTU_DATA_ADDR, 0x4000);
        if (cmd(p, DTU_READ, 6))
            WRONG(p, "read %u", n);
        if (!uniform(p->mem + 0x4000, 0x1000) || !uniform(p->mem + 0x5000, 0x1000))
            WRONG(p, "torn page in round %u", n);
        set(p, DTU_DATA_SIZE, DTU_WINDOW);
        if (cmd(p, DTU_READ, 7))
            WRONG(p, "registers in round %u", n);
        if (p->mem[0x4000] != 1 || p->mem[0x4000 + DTU_RWB + 4] != 5)
            WRONG(p, "register values in round %u", n);
    }
    return NULL;
}

START_TEST(transfers)
{
    struct vdtu_stats st;

    for (unsigned i = 0; i < PES; i++)
        start(i, exchanger);
    join(PES);
    for (unsigned i = 0; i < PES; i++) {
        vdtu_stats(pe[i].d, &st);
        ck_assert_uint_eq(st.bytes_written, (uint64_t)COUNT * 0x2000);
        ck_assert_uint_eq(st.bytes_read, (uint64_t)COUNT * (0x2000 + DTU_WINDOW));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vdtu threads");
    TCase *c = tcase_create("threads");
    SRunner *sr = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, many_to_one, 0, 3);
    tcase_add_test(c, only_one_endpoint);
    tcase_add_test(c, crossing);
    tcase_add_test(c, to_itself);
    tcase_add_test(c, reconfiguration);
    tcase_add_test(c, transfers);
    suite_add_tcase(s, c);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
