/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DTU driver (dtu-spec 2).  Arguments first, COMMAND last, then poll COMMAND until its opcode
 * is 0: our vDTU has finished inside the store, other models may take longer.
 */
#include "dtu_drv.h"

#include "ring_quick.h"

#define FETCH_SPIN   64 /* polls between two visits to the VMM, where we cannot sleep */
#define UNREAD_COUNT 0xFFFFu
/* Looks at our rings while cores are to spare: about a millisecond, longer than a wake-up takes, or
 * two that answer each other would fall asleep in turn for ever. */
#define RING_SPIN 20000
/* Looks while one core is missing, and every second PE as many again: in half of that time another
 * sees it, too, and falls asleep. */
#define RING_GRACE 700
/* In any case: an answer of who is awake comes within that, and costs no exit. */
#define RING_LEAST 200

static unsigned run(unsigned op, unsigned ep)
{
    uint64_t cmd;

    __asm__ volatile("" ::: "memory"); /* the buffer is complete before the command */
    dtu_set(DTU_COMMAND, DTU_CMD(op, ep));
    do {
        cmd = dtu_get(DTU_COMMAND);
    } while (cmd & 7);
    __asm__ volatile("" ::: "memory"); /* and is read again after it */
    return (unsigned)(cmd >> DTU_CMD_ERR_SHIFT);
}

/*
 * An argument.  A load is free and a store is not, although it is posted: on some KVMs it takes
 * half as long as an exit.  What the register has cannot be old here: every argument is followed by
 * its command, and that brings the register up to date.
 */
static void set_arg(unsigned reg, uint64_t value)
{
    if (dtu_get(reg) != value)
        dtu_set(reg, value);
}

/* ---- commands with arguments ---- */

#define NOT_RUN (~0ull)

/* What dtu_config_for_command() has left for the next command of that endpoint. */
static uint64_t words_due[3] __attribute__((aligned(64)));
static unsigned ep_due = DTU_EPS;

/* The command's arguments; what it does not look at is what the registers have. */
static struct vreg_step step_of(unsigned op, unsigned ep, const void *data, size_t len)
{
    return (struct vreg_step){.command = DTU_CMD(op, ep),
                              .data_addr = (uintptr_t)data,
                              .data_size = len,
                              .offset = dtu_get(DTU_OFFSET),
                              .reply_label = dtu_get(DTU_REPLY_LABEL),
                              .reply_ep = dtu_get(DTU_REPLY_EPID),
                              .result = NOT_RUN,
                              .config = ep == ep_due ? (uintptr_t)words_due : 0};
}

/* One exit, whatever the registers have: is that less than to store what differs? */
static bool worth_a_step(const struct vreg_step *s)
{
    if (!vreg_has(VREG_F_CALL))
        return false;
    return s->config || dtu_get(DTU_DATA_ADDR) != s->data_addr ||
           dtu_get(DTU_DATA_SIZE) != s->data_size || dtu_get(DTU_OFFSET) != s->offset ||
           dtu_get(DTU_REPLY_LABEL) != s->reply_label || dtu_get(DTU_REPLY_EPID) != s->reply_ep;
}

static void set_args(const struct vreg_step *s, unsigned ep)
{
    for (unsigned i = 3; s->config && i-- > 0;)
        set_arg(DTU_EP(ep, i), words_due[i]);
    set_arg(DTU_DATA_ADDR, s->data_addr);
    set_arg(DTU_DATA_SIZE, s->data_size);
    set_arg(DTU_OFFSET, s->offset);
    set_arg(DTU_REPLY_LABEL, s->reply_label);
    set_arg(DTU_REPLY_EPID, s->reply_ep);
}

static unsigned run_step(struct vreg_step *s)
{
    unsigned op = s->command & 7, ep = (unsigned)(s->command >> 3);

    if (worth_a_step(s)) {
        __asm__ volatile("" ::: "memory");
        vreg_set(VREG_LIST, vreg_list((uintptr_t)s, 1));
        __asm__ volatile("" ::: "memory");
    }
    if (s->result == NOT_RUN) {
        set_args(s, ep);
        s->result = run(op, ep);
    }
    ep_due = DTU_EPS;
    return (unsigned)s->result;
}

unsigned dtu_unread(unsigned ep)
{
    uint64_t r0 = dtu_get(DTU_EP(ep, 0));

    if (dtu_ep_type(r0) != DTU_EP_RECV)
        return 0;
    return r0 & UNREAD_COUNT ? (unsigned)(r0 & UNREAD_COUNT) : ring_pending(&ring_self, ep);
}

/*
 * The command, then sleep until there is a message, and the next one of `from` is fetched: one
 * exit.  Where that is not possible only the command.
 */
static unsigned run_and_wait(struct vreg_step *s, unsigned from)
{
    bool step = worth_a_step(s);

    if (!vreg_has(VREG_F_CALL) || dtu_get(DTU_MSG_CNT) || !ring_sleep(&ring_self))
        return run_step(s);
    __asm__ volatile("" ::: "memory");
    if (step)
        vreg_set(VREG_STEP, vreg_call_step((uintptr_t)s, from, 0, 0));
    else
        vreg_set(VREG_CALL, vreg_call((uint32_t)s->command, from, 0, 0));
    __asm__ volatile("" ::: "memory");
    ring_awake(&ring_self);
    if (step && s->result == NOT_RUN)
        return run_step(s);
    ep_due = DTU_EPS;
    if (!step)
        s->result = dtu_get(DTU_COMMAND) >> DTU_CMD_ERR_SHIFT;
    if (!s->result)
        ring_fetched(&ring_self, from, vreg_get(VREG_CALL));
    return (unsigned)s->result;
}

/* Sleeps so, without a command. */
static void wait_for(unsigned from, unsigned us, unsigned want)
{
    if (!vreg_has(VREG_F_CALL) || dtu_get(DTU_MSG_CNT) || !ring_sleep(&ring_self))
        return;
    __asm__ volatile("" ::: "memory");
    vreg_set(VREG_CALL, vreg_call(DTU_IDLE, from, us, want));
    __asm__ volatile("" ::: "memory");
    ring_awake(&ring_self);
    ring_fetched(&ring_self, from, vreg_get(VREG_CALL));
}

static struct vreg_step send_step(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                                  uint64_t reply_label)
{
    struct vreg_step s = step_of(DTU_SEND, ep, data, len);

    s.reply_ep = reply_ep;
    s.reply_label = reply_label;
    return s;
}

static __attribute__((noinline)) unsigned send_any(unsigned ep, const void *data, size_t len,
                                                   unsigned reply_ep, uint64_t reply_label)
{
    unsigned err = rg_send(&ring_self, ep, data, len, reply_ep, reply_label);
    struct vreg_step s;

    if (err != RING_TRAP)
        return err;
    s = send_step(ep, data, len, reply_ep, reply_label);
    return run_step(&s);
}

unsigned dtu_send(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                  uint64_t reply_label)
{
    unsigned err = rg_quick_send(&ring_self, ep, data, len, reply_ep, reply_label);

    return err != RING_TRAP ? err : send_any(ep, data, len, reply_ep, reply_label);
}

unsigned dtu_call(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                  uint64_t reply_label)
{
    unsigned err = ring_send(&ring_self, ep, data, len, reply_ep, reply_label);
    struct vreg_step s;

    if (err != RING_TRAP)
        return err;
    s = send_step(ep, data, len, reply_ep, reply_label);
    return run_and_wait(&s, reply_ep);
}

static struct vreg_step reply_step(unsigned ep, const struct dtu_header *msg, const void *data,
                                   size_t len)
{
    struct vreg_step s = step_of(DTU_REPLY, ep, data, len);

    s.offset = (uintptr_t)msg;
    return s;
}

unsigned dtu_reply_wait(unsigned ep, const struct dtu_header *msg, const void *data, size_t len)
{
    struct vreg_step s;

    if (ring_owns(&ring_self, msg))
        return ring_reply(&ring_self, msg, data, len);
    s = reply_step(ep, msg, data, len);
    return run_and_wait(&s, ep);
}

unsigned dtu_reply(unsigned ep, const struct dtu_header *msg, const void *data, size_t len)
{
    struct vreg_step s;

    if (ring_owns(&ring_self, msg))
        return ring_reply(&ring_self, msg, data, len);
    s = reply_step(ep, msg, data, len);
    return run_step(&s);
}

static unsigned transfer(unsigned op, unsigned ep, const void *buf, size_t len, uint64_t off)
{
    struct vreg_step s;

    if (len == 0) /* never completes on the gem5 model (dtu-spec 10.4 #51) */
        return SE_OK;
    s = step_of(op, ep, buf, len);
    s.offset = off;
    return run_step(&s);
}

unsigned dtu_read(unsigned ep, void *buf, size_t len, uint64_t off)
{
    return transfer(DTU_READ, ep, buf, len, off);
}

unsigned dtu_write(unsigned ep, const void *buf, size_t len, uint64_t off)
{
    return transfer(DTU_WRITE, ep, buf, len, off);
}

uint64_t dtu_fetch_slot(unsigned ep)
{
    run(DTU_FETCH, ep);
    return dtu_get(DTU_OFFSET);
}

/* Apart from what rings do, which then need nothing saved. */
static __attribute__((noinline)) const struct dtu_header *fetch(unsigned ep)
{
    const struct dtu_header *msg = ring_take_fetched(&ring_self, ep);

    if (msg)
        return msg;
    if (dtu_unread(ep) == 0)
        return NULL;
    return (const struct dtu_header *)(uintptr_t)dtu_fetch_slot(ep);
}

const struct dtu_header *dtu_fetch(unsigned ep)
{
    return ring_self.on ? ring_fetch(&ring_self, ep) : fetch(ep);
}

uint32_t dtu_news(void)
{
    uint32_t news;

    if (!ring_self.on)
        return ~0u;
    news = ring_news(&ring_self);
    for (unsigned ep = 0; dtu_get(DTU_MSG_CNT) && ep < DTU_EPS; ep++)
        if (rg_unread(&ring_self, ep))
            news |= 1u << ep;
    return news;
}

static __attribute__((noinline)) void ack(unsigned ep, const struct dtu_header *msg)
{
    __asm__ volatile("" ::: "memory"); /* the program is done with it */
    if (vreg_has(VREG_F_CALL)) {
        vreg_set(VREG_ACK, vreg_ack(ep, (uintptr_t)msg));
        return;
    }
    set_arg(DTU_OFFSET, (uintptr_t)msg);
    run(DTU_ACK, ep);
}

void dtu_ack(unsigned ep, const struct dtu_header *msg)
{
    if (ring_owns(&ring_self, msg))
        ring_ack(&ring_self, msg);
    else
        ack(ep, msg);
}

void dtu_debug(uint32_t value)
{
    __asm__ volatile("" ::: "memory");
    dtu_set(DTU_COMMAND, DTU_DEBUG | (uint64_t)value << 3);
}

/* Anything unread, or of that endpoint alone: or is it none any more? */
static bool is_news(unsigned ep)
{
    if (ep < DTU_EPS)
        return dtu_unread(ep) || dtu_type(ep) != DTU_EP_RECV;
    return dtu_get(DTU_MSG_CNT) || ring_any(&ring_self);
}

/*
 * When somebody is woken while all cores spin, one of us is too many, not all.  Who spun already
 * when it happened gives up at once; who begins then (it may be who woke the other, and waits for
 * it now) waits first whether that is enough.
 */
static bool spin(unsigned ep)
{
    bool came_late = true;
    unsigned grace;

    if (!ring_self.on)
        return false;
    grace = RING_GRACE << (vreg_get(VREG_PE) & 1);
    for (unsigned i = 0; i < RING_SPIN; i++) {
        int spare = ring_spare(&ring_self);

        if (is_news(ep))
            return true;
        if (i >= RING_LEAST && (spare < -1 || (spare < 0 && (!came_late || i >= grace))))
            return false;
        came_late &= spare < 0;
        __builtin_ia32_pause();
    }
    return false;
}

bool dtu_spin(void)
{
    return spin(DTU_EPS);
}

void dtu_sleep(uint64_t ns)
{
    __asm__ volatile("" ::: "memory");
    if (dtu_get(DTU_MSG_CNT) == 0 && ring_sleep(&ring_self)) {
        if (vreg_has(VREG_F_WAIT))
            vreg_set(VREG_WAIT, ns);
        else
            __asm__ volatile("hlt");
        ring_awake(&ring_self);
    }
    __asm__ volatile("" ::: "memory");
}

void dtu_wait(uint64_t ns)
{
    if (dtu_get(DTU_MSG_CNT) == 0 && !dtu_spin())
        dtu_sleep(ns);
}

static void wait_and_fetch(unsigned ep)
{
    if (!dtu_spin())
        wait_for(ep, 0, 0);
}

void dtu_relax(uint64_t ns)
{
    __asm__ volatile("" ::: "memory");
    if (vreg_has(VREG_F_WAIT))
        vreg_set(VREG_WAIT, ns);
    else
        for (unsigned i = 0; i < FETCH_SPIN; i++)
            __builtin_ia32_pause();
    __asm__ volatile("" ::: "memory");
}

/* Sleeps so as wait_for() does, but for that endpoint alone. */
static void wait_only(unsigned ep, unsigned us, unsigned want)
{
    if (!ring_sleep_for(&ring_self, ep))
        return;
    __asm__ volatile("" ::: "memory");
    vreg_set(VREG_CALL, vreg_call(DTU_IDLE, ep | VREG_CALL_ONLY, us, want));
    __asm__ volatile("" ::: "memory");
    ring_awake(&ring_self);
    ring_fetched(&ring_self, ep, vreg_get(VREG_CALL));
}

void dtu_wait_only(unsigned ep)
{
    if (!vreg_has(VREG_F_ONLY))
        dtu_relax(0);
    else if (!spin(ep))
        wait_only(ep, 0, 0);
}

bool dtu_wait_ep(unsigned ep, void (*other)(void *), void *arg)
{
    unsigned spins = 0;

    while (dtu_unread(ep) == 0) {
        if (dtu_type(ep) != DTU_EP_RECV) {
            ring_take_fetched(&ring_self, ep); /* it went with the endpoint */
            return false;
        }
        if (dtu_get(DTU_MSG_CNT) == 0 && !ring_any(&ring_self)) {
            if (vreg_has(VREG_F_CALL))
                wait_and_fetch(ep);
            else
                dtu_wait(VREG_WAIT_FOREVER);
            continue;
        }
        if (!other && vreg_has(VREG_F_ONLY)) {
            dtu_wait_only(ep); /* what is unread elsewhere is nobody's for now */
            continue;
        }
        if (other)
            other(arg);
        if (++spins % FETCH_SPIN == 0)
            dtu_relax(0);
        else
            __builtin_ia32_pause();
    }
    return true;
}

/* ---- many at a time ---- */

#define STEPS       32u
#define ACKS_POSTED 8u /* so many cost less than an exit */

static struct vreg_step steps[STEPS] __attribute__((aligned(64)));

/* Runs steps[0..n); what VREG_LIST says then. */
static uint64_t run_list(unsigned n, uint64_t how)
{
    __asm__ volatile("" ::: "memory");
    vreg_set(VREG_LIST, vreg_list((uintptr_t)steps, n) | how);
    __asm__ volatile("" ::: "memory");
    return vreg_get(VREG_LIST);
}

/* In one exit; how many were tried, fewer when it was interrupted. */
static unsigned send_list(unsigned ep, struct dtu_out *out, unsigned n)
{
    unsigned done;

    for (unsigned i = 0; i < n; i++)
        steps[i] = (struct vreg_step){.command = DTU_CMD(DTU_SEND, ep),
                                      .data_addr = (uintptr_t)out[i].data,
                                      .data_size = out[i].len};
    done = (uint32_t)run_list(n, VREG_TOGETHER);
    for (unsigned i = 0; i < done; i++)
        out[i].err = (unsigned)steps[i].result;
    return done;
}

unsigned dtu_send_many(unsigned ep, struct dtu_out *out, unsigned n)
{
    unsigned err = SE_OK;

    for (unsigned at = 0, k; at < n; at += k) {
        k = n - at < STEPS ? n - at : STEPS;
        if (!vreg_has(VREG_F_TOGETHER) || !ring_traps(&ring_self, ep)) {
            out[at].err = dtu_send(ep, out[at].data, out[at].len, DTU_NO_REPLY, 0);
            k = 1;
        } else {
            k = send_list(ep, out + at, k);
        }
        for (unsigned i = at; i < at + k && !err; i++)
            err = out[i].err;
    }
    return err;
}

/*
 * ACKs msgs[0..*done) and fetches what is unread, in one exit.  What was unread while nothing could
 * come by a ring is older than whatever does later.  Without FETCHes the ACKs are posted.
 */
static unsigned fetch_list(unsigned ep, const struct dtu_header **msgs, unsigned *done,
                           unsigned max)
{
    unsigned n = dtu_unread(ep), acks = *done, run, got = 0;

    n = !ring_silent(&ring_self, ep) ? 0 : n < max ? n : max;
    n = n > STEPS / 2 ? STEPS / 2 : acks > STEPS / 2 ? 0 : n;
    if (n == 0 && acks <= ACKS_POSTED) {
        for (unsigned i = 0; i < acks; i++)
            dtu_ack(ep, msgs[i]);
        *done = 0;
        return 0;
    }
    acks = acks < STEPS / 2 ? acks : STEPS / 2;
    for (unsigned i = 0; i < acks; i++)
        steps[i] = (struct vreg_step){.command = DTU_CMD(DTU_ACK, ep),
                                      .offset = (uintptr_t)msgs[*done - acks + i]};
    for (unsigned i = 0; i < n; i++)
        steps[acks + i] = (struct vreg_step){.command = DTU_CMD(DTU_FETCH, ep)};
    run = (unsigned)run_list(acks + n, 0);
    if (run < acks && steps[run].result)
        run++; /* refused: its endpoint is gone, or was written */
    *done -= run < acks ? run : acks;
    for (unsigned i = acks; i < run; i++)
        if (steps[i].offset)
            msgs[got++] = (const struct dtu_header *)(uintptr_t)steps[i].offset;
    return got;
}

static unsigned fetch_each(unsigned ep, const struct dtu_header **msgs, unsigned done, unsigned max)
{
    const struct dtu_header *msg;
    unsigned n = 0;

    for (unsigned i = 0; i < done; i++)
        dtu_ack(ep, msgs[i]);
    while (n == 0 && dtu_wait_ep(ep, NULL, NULL))
        while (n < max && (msg = dtu_fetch(ep)))
            msgs[n++] = msg;
    return n;
}

unsigned dtu_fetch_many(unsigned ep, const struct dtu_header **msgs, unsigned done, unsigned max,
                        unsigned us)
{
    const struct dtu_header *msg;
    unsigned n = 0;

    while (n == 0 && dtu_type(ep) == DTU_EP_RECV) {
        if (!vreg_has(VREG_F_CALL) || !ring_silent(&ring_self, ep))
            return fetch_each(ep, msgs, done, max);
        msg = done ? NULL : ring_take_fetched(&ring_self, ep);
        if (msg)
            msgs[n++] = msg;
        n += fetch_list(ep, msgs + n, &done, max - n);
        if (n || done)
            continue;
        if (!dtu_get(DTU_MSG_CNT) && !ring_any(&ring_self))
            wait_for(VREG_CALL_NO_EP, us, max);
        else if (vreg_has(VREG_F_ONLY))
            wait_only(ep, us, max); /* what is unread elsewhere is nobody's for now */
        else
            dtu_relax(0);
    }
    return n;
}

void dtu_config_words(unsigned ep, const uint64_t words[3])
{
    ring_self.own |= 1u << ep;
    /* r0 makes the endpoint valid, so it goes last. */
    dtu_set(DTU_EP(ep, 2), words[2]);
    dtu_set(DTU_EP(ep, 1), words[1]);
    dtu_set(DTU_EP(ep, 0), words[0]);
}

void dtu_config_for_command(unsigned ep, const uint64_t words[3])
{
    bool differs = false;

    ring_self.own |= 1u << ep;
    for (unsigned i = 0; i < 3; i++) {
        words_due[i] = words[i];
        differs |= dtu_get(DTU_EP(ep, i)) != words[i];
    }
    ep_due = differs ? ep : DTU_EPS;
}

void dtu_config_send(unsigned ep, unsigned pe, unsigned vpe, unsigned dst_ep, unsigned maxmsg,
                     unsigned credits, uint64_t label)
{
    const uint64_t words[3] = {dtu_send_r0(vpe, maxmsg), dtu_send_r1(pe, dst_ep, credits), label};

    dtu_config_words(ep, words);
}

void dtu_config_recv(unsigned ep, void *buf, unsigned order, unsigned msgorder)
{
    const uint64_t words[3] = {dtu_recv_r0(order, msgorder), (uintptr_t)buf, 0};

    dtu_config_words(ep, words);
}

void dtu_config_mem(unsigned ep, unsigned pe, unsigned vpe, uint64_t addr, uint64_t size,
                    unsigned perm)
{
    const uint64_t words[3] = {dtu_mem_r0(size), addr, dtu_mem_r2(pe, vpe, perm)};

    dtu_config_words(ep, words);
}

void dtu_invalidate(unsigned ep)
{
    static const uint64_t words[3];

    dtu_config_words(ep, words);
}
