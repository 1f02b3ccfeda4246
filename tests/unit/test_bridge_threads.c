/* SPDX-License-Identifier: BSD-2-Clause */
/* LINK: vdtu vmm/bridge.c */
/*
 * Many senders on two nodes at once, half of them with lists, a thread for each PE and for each
 * bridge: every message arrives once and in the order of its sender, whatever is full, and stopping
 * half-way hurts nobody else. Also run under ThreadSanitizer.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../../vmm/bridge.h"

#define SENDERS   10u /* on each node: PEs base + 1 .. */
#define MESSAGES  150u
#define MEM       0x8000u
#define AREA      0x1000u
#define BIG       (AREA + sizeof(struct bridge_area))
#define RECV(i)   (100 * (i) + 50) /* the PE that all of the other node send to */
#define BRIDGE(i) (100 * (i) + 60)

struct item {
    struct item *next;
    bool request;
    struct bridge_pkt pkt;
    uint8_t data[BRIDGE_DATA];
};

struct half {
    struct vdtu_noc *noc;
    struct bridge *bridge;
    struct vdtu *dtu[100];
    uint8_t *mem[100];
    struct bridge_area *area;
    /* What came over the wire. */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct item *first, **last;
    bool woken;
    unsigned index;
    pthread_mutex_t park_lock;
    pthread_cond_t park[100];
    bool unparked[100];
    atomic_bool abandoned[100];
    atomic_uint sent; /* accepted messages */
};

static struct half half[2];
static atomic_bool over;
static unsigned turn_off; /* messages after which bridge 0 is over; 0: never */

/* ---- callbacks ---- */

static bool is_remote(void *arg, unsigned pe)
{
    return pe / 100 != ((struct half *)arg)->index && pe < 200;
}

static void park(void *arg, unsigned pe)
{
    struct half *h = arg;

    pthread_mutex_lock(&h->park_lock);
    while (!h->unparked[pe % 100])
        pthread_cond_wait(&h->park[pe % 100], &h->park_lock);
    h->unparked[pe % 100] = false;
    pthread_mutex_unlock(&h->park_lock);
}

static void unpark(void *arg, unsigned pe)
{
    struct half *h = arg;

    pthread_mutex_lock(&h->park_lock);
    h->unparked[pe % 100] = true;
    pthread_cond_signal(&h->park[pe % 100]);
    pthread_mutex_unlock(&h->park_lock);
}

static bool abandoned(void *arg, unsigned pe)
{
    return atomic_exchange(&((struct half *)arg)->abandoned[pe % 100], false);
}

static void wake(void *arg)
{
    struct half *h = arg;

    pthread_mutex_lock(&h->lock);
    h->woken = true;
    pthread_cond_signal(&h->cond);
    pthread_mutex_unlock(&h->lock);
}

static const struct bridge_ops ops = {
    .remote = is_remote,
    .park = park,
    .unpark = unpark,
    .abandoned = abandoned,
    .wake = wake,
};

/* ---- the bridges ---- */

static void transmit(struct half *to, bool request, const struct bridge_pkt *pkt, const void *data)
{
    struct item *it = calloc(1, sizeof(*it));

    it->request = request;
    it->pkt = *pkt;
    memcpy(it->data, data, BRIDGE_DATA);
    pthread_mutex_lock(&to->lock);
    *to->last = it;
    to->last = &it->next;
    to->woken = true;
    pthread_cond_signal(&to->cond);
    pthread_mutex_unlock(&to->lock);
}

static struct item *take_all(struct half *h)
{
    struct item *list;

    pthread_mutex_lock(&h->lock);
    while (!h->woken)
        pthread_cond_wait(&h->cond, &h->lock);
    h->woken = false;
    list = h->first;
    h->first = NULL;
    h->last = &h->first;
    pthread_mutex_unlock(&h->lock);
    return list;
}

static void serve(struct half *h, struct item *list)
{
    struct bridge_area *a = h->area;

    for (struct item *it = list, *next; it; it = next) {
        uint32_t k = a->in_tail % BRIDGE_SLOTS;

        next = it->next;
        a->in[k] = it->pkt;
        if (!it->request)
            a->in[k].op = BRIDGE_COMPLETE;
        memcpy(a->in_data[k], it->data, BRIDGE_DATA);
        a->in_tail++;
        bridge_run(h->bridge);
        if (it->request) {
            a->in[k].id = it->pkt.id;
            transmit(&half[!h->index], false, &a->in[k], a->in_data[k]);
        }
        free(it);
    }
}

static void *bridge_main(void *arg)
{
    struct half *h = arg;
    struct bridge_area *a = h->area;

    while (!atomic_load(&over)) {
        serve(h, take_all(h));
        while (bridge_poll(h->bridge))
            while (a->out_head != __atomic_load_n(&a->out_tail, __ATOMIC_ACQUIRE)) {
                uint32_t k = a->out_head % BRIDGE_SLOTS;

                transmit(&half[!h->index], true, &a->out[k], a->out_data[k]);
                __atomic_store_n(&a->out_head, a->out_head + 1, __ATOMIC_RELEASE);
            }
        if (turn_off && h->index == 0 && atomic_load(&h->sent) > turn_off) {
            bridge_over(h->bridge);
            return NULL;
        }
    }
    return NULL;
}

/* ---- the PEs ---- */

static unsigned command(struct vdtu *d, unsigned op, unsigned ep)
{
    vdtu_store(d, DTU_COMMAND, DTU_CMD(op, ep), 8);
    return (unsigned)(vdtu_reg(d, DTU_COMMAND) >> DTU_CMD_ERR_SHIFT);
}

static void transfer(struct half *h, unsigned pe, struct vdtu *d, uint32_t n)
{
    uint8_t *mem = h->mem[pe];

    memset(mem + 0x2000, (int)n, 5000);
    vdtu_store(d, DTU_DATA_ADDR, 0x2000, 8);
    vdtu_store(d, DTU_DATA_SIZE, 5000, 8);
    vdtu_store(d, DTU_OFFSET, 0, 8);
    ck_assert_uint_eq(command(d, DTU_WRITE, 2), SE_OK);
    memset(mem + 0x2000, 0, 5000);
    ck_assert_uint_eq(command(d, DTU_READ, 2), SE_OK);
    for (unsigned i = 0; i < 5000; i++)
        ck_assert_uint_eq(mem[0x2000 + i], (uint8_t)n);
}

struct sender {
    struct half *h;
    unsigned pe;
};

/*
 * Up to 8 under way together.  What was refused is not sent again, as others have overtaken it; so
 * the numbers have gaps.  False: there is no bridge any more.
 */
static bool send_list(struct half *h, unsigned pe, struct vdtu_batch *b, uint32_t *n,
                      unsigned *sent)
{
    struct vdtu *d = h->dtu[pe];
    bool gone = false;

    for (unsigned i = 0; i < 8 && i < MESSAGES - *sent; i++) {
        uint32_t text[2] = {pe, (*n)++};

        memcpy(h->mem[pe] + 8 * i, text, 8);
        vdtu_store(d, DTU_DATA_ADDR, 8 * i, 8);
        vdtu_store(d, DTU_DATA_SIZE, 8, 8);
        ck_assert(vdtu_begin(d, b, DTU_CMD(DTU_SEND, 1)));
    }
    vdtu_finish(d, b);
    for (unsigned i = 0; i < b->n; i++) {
        gone |= turn_off && b->result[i] == SE_RECV_GONE;
        ck_assert(gone || b->result[i] == SE_OK || b->result[i] == SE_NO_RING_SPACE);
        *sent += b->result[i] == SE_OK;
        atomic_fetch_add(&h->sent, b->result[i] == SE_OK);
    }
    b->n = 0;
    b->used = 0;
    return !gone;
}

static void *list_main(void *arg)
{
    struct sender *s = arg;
    struct vdtu_batch *b = calloc(1, sizeof(*b));
    unsigned sent = 0;
    uint32_t n = 0;

    while (sent < MESSAGES && send_list(s->h, s->pe, b, &n, &sent))
        ;
    free(b);
    return NULL;
}

static void *sender_main(void *arg)
{
    struct sender *s = arg;
    struct vdtu *d = s->h->dtu[s->pe];

    if (s->pe % 2)
        return list_main(arg);
    for (uint32_t n = 0; n < MESSAGES; n++) {
        uint32_t text[2] = {s->pe, n};
        unsigned err;

        memcpy(s->h->mem[s->pe], text, 8);
        do {
            vdtu_store(d, DTU_DATA_ADDR, 0, 8);
            vdtu_store(d, DTU_DATA_SIZE, 8, 8);
            err = command(d, DTU_SEND, 1);
        } while (err == SE_NO_RING_SPACE);
        if (turn_off && err == SE_RECV_GONE)
            return NULL;
        ck_assert_uint_eq(err, SE_OK);
        atomic_fetch_add(&s->h->sent, 1);
        if (!turn_off && n % 16 == 0)
            transfer(s->h, s->pe, d, n);
    }
    return NULL;
}

static void *receiver_main(void *arg)
{
    struct half *h = arg;
    struct vdtu *d = h->dtu[50];
    uint32_t next[100] = {0}, text[2];
    unsigned left = SENDERS * MESSAGES;

    while (left && !atomic_load(&over)) {
        uint64_t at;

        ck_assert_uint_eq(command(d, DTU_FETCH, 1), 0);
        at = vdtu_reg(d, DTU_OFFSET);
        if (!at) {
            sched_yield();
            continue;
        }
        vdtu_mem_read(d, at + sizeof(struct dtu_header), text, 8);
        ck_assert_uint_lt(text[0], 100);
        ck_assert_uint_ge(text[1], next[text[0]]);
        ck_assert(text[0] % 2 || text[1] == next[text[0]]); /* of lists some were refused */
        next[text[0]] = text[1] + 1;
        vdtu_store(d, DTU_OFFSET, at, 8);
        command(d, DTU_ACK, 1);
        left--;
    }
    return NULL;
}

/* ---- set-up ---- */

static struct vdtu *add(struct half *h, unsigned pe, uint64_t size)
{
    struct vdtu_config cfg = {.pe = (uint16_t)(100 * h->index + pe), .mem_size = size};
    struct vdtu *d;

    cfg.mem = h->mem[pe] = calloc(1, size + 4096);
    cfg.regs = calloc(1, 4096);
    cfg.mem = h->mem[pe] = (uint8_t *)(((uintptr_t)cfg.mem + 4095) & ~4095ull);
    ck_assert_int_eq(vdtu_new(h->noc, &cfg, &d), 0);
    h->dtu[pe] = d;
    return d;
}

static void set_up(struct half *h, unsigned index)
{
    struct vdtu *d;

    memset(h, 0, sizeof(*h)); /* without fork() the test before left things here */
    h->index = index;
    h->last = &h->first;
    h->noc = vdtu_noc_new();
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->cond, NULL);
    pthread_mutex_init(&h->park_lock, NULL);
    for (unsigned i = 0; i < 100; i++)
        pthread_cond_init(&h->park[i], NULL);
    add(h, 60, BIG);
    h->bridge = bridge_new(h->noc, (uint16_t)BRIDGE(index), h->mem[60], BIG, &ops, h);
    vdtu_noc_remote(h->noc, bridge_packet, h->bridge);
    vdtu_noc_remote_many(h->noc, bridge_packets);
    h->area = (struct bridge_area *)(void *)(h->mem[60] + AREA);
    bridge_set_area(h->bridge, AREA);
    d = add(h, 50, MEM * 16);
    vdtu_store(d, DTU_EP(1, 0), dtu_recv_r0(9, 6), 8); /* 8 slots: often full */
    vdtu_store(d, DTU_EP(1, 1), 0x1000, 8);
    for (unsigned i = 1; i <= SENDERS; i++) {
        d = add(h, i, MEM);
        vdtu_store(d, DTU_EP(1, 0), dtu_send_r0(DTU_VPE_INVALID, 64), 8);
        vdtu_store(d, DTU_EP(1, 1), dtu_send_r1(RECV(!index), 1, DTU_CREDITS_UNLIM), 8);
        vdtu_store(d, DTU_EP(2, 0), dtu_mem_r0(5000), 8);
        vdtu_store(d, DTU_EP(2, 1), 0x2000 + i * 5000, 8);
        vdtu_store(d, DTU_EP(2, 2), dtu_mem_r2(RECV(!index), DTU_VPE_INVALID, DTU_PERM_RW), 8);
    }
}

static void run(void)
{
    static struct sender sender[2][SENDERS];
    pthread_t t[2][SENDERS + 2];

    atomic_store(&over, false);
    for (unsigned i = 0; i < 2; i++)
        set_up(&half[i], i);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < SENDERS; k++) {
            sender[i][k] = (struct sender){&half[i], k + 1};
            pthread_create(&t[i][k], NULL, sender_main, &sender[i][k]);
        }
        pthread_create(&t[i][SENDERS], NULL, receiver_main, &half[i]);
        pthread_create(&t[i][SENDERS + 1], NULL, bridge_main, &half[i]);
    }
    if (turn_off) { /* those of node 1 wait for a bridge that is no more: they are stopped */
        pthread_join(t[0][SENDERS + 1], NULL);
        for (unsigned k = 0; k < SENDERS; k++)
            pthread_join(t[0][k], NULL);
        for (unsigned k = 0; k < SENDERS; k++) {
            atomic_store(&half[1].abandoned[k + 1], true);
            unpark(&half[1], 100 + k + 1);
        }
    }
    for (unsigned i = turn_off ? 1 : 0; i < 2; i++)
        for (unsigned k = 0; k < SENDERS; k++)
            pthread_join(t[i][k], NULL);
    if (!turn_off)
        for (unsigned i = 0; i < 2; i++)
            pthread_join(t[i][SENDERS], NULL);
    atomic_store(&over, true);
    wake(&half[0]);
    wake(&half[1]);
    for (unsigned i = 0; i < 2; i++) {
        if (turn_off)
            pthread_join(t[i][SENDERS], NULL);
        if (!(turn_off && i == 0))
            pthread_join(t[i][SENDERS + 1], NULL);
    }
}

START_TEST(everything_arrives_in_order)
{
    struct bridge_stats s[2];

    run();
    for (unsigned i = 0; i < 2; i++) {
        bridge_get_stats(half[i].bridge, &s[i]);
        ck_assert_uint_eq(atomic_load(&half[i].sent), SENDERS * MESSAGES);
        ck_assert_uint_eq(s[i].taken, s[i].completed);
        ck_assert_uint_eq(s[i].gone + s[i].abandoned + s[i].late + s[i].bad_id, 0);
    }
    ck_assert_uint_eq(s[0].taken, s[1].injected + s[1].refused);
    ck_assert_uint_eq(s[1].taken, s[0].injected + s[0].refused);
}
END_TEST

START_TEST(a_bridge_ends_under_load)
{
    struct bridge_stats s;

    turn_off = SENDERS * MESSAGES / 3;
    run();
    bridge_get_stats(half[0].bridge, &s);
    ck_assert_uint_ge(s.gone, SENDERS); /* each of its senders was told, none waits */
    bridge_get_stats(half[1].bridge, &s);
    ck_assert_uint_eq(s.taken, s.completed + s.abandoned);
    ck_assert_uint_gt(atomic_load(&half[0].sent), turn_off);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bridge: threads");
    TCase *c = tcase_create("threads");
    SRunner *sr;
    int failed;

    tcase_set_timeout(c, 300);
    tcase_add_test(c, everything_arrives_in_order);
    tcase_add_test(c, a_bridge_ends_under_load);
    suite_add_tcase(s, c);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
