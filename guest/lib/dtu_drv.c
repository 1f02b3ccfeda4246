/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DTU driver (dtu-spec 2).  Arguments first, COMMAND last, then poll COMMAND until its opcode
 * is 0: our vDTU has finished inside the store, other models may take longer.
 */
#include "dtu_drv.h"

#include "ring_lib.h"

#define FETCH_SPIN   64 /* polls between two visits to the VMM, where we cannot sleep */
#define UNREAD_COUNT 0xFFFFu
/* Looks at our rings while cores are to spare: about a millisecond, longer than a wake-up takes, or
 * two that answer each other would fall asleep in turn for ever. */
#define RING_SPIN 20000

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

static void set_data(const void *data, size_t len)
{
    set_arg(DTU_DATA_ADDR, (uintptr_t)data);
    set_arg(DTU_DATA_SIZE, len);
}

unsigned dtu_unread(unsigned ep)
{
    uint64_t r0 = dtu_get(DTU_EP(ep, 0));

    if (dtu_ep_type(r0) != DTU_EP_RECV)
        return 0;
    return r0 & UNREAD_COUNT ? (unsigned)(r0 & UNREAD_COUNT) : ring_pending(&ring_self, ep);
}

/*
 * The command whose arguments are set, then sleep until there is a message, and the next one of
 * `from` is fetched: one exit.  Where that is not possible only the command.
 */
static unsigned run_and_wait(unsigned op, unsigned ep, unsigned from, unsigned us, unsigned want)
{
    unsigned err;

    if (!vreg_has(VREG_F_CALL) || dtu_get(DTU_MSG_CNT) || !ring_sleep(&ring_self))
        return op == DTU_IDLE ? SE_OK : run(op, ep);
    __asm__ volatile("" ::: "memory");
    vreg_set(VREG_CALL, vreg_call((uint32_t)DTU_CMD(op, ep), from, us, want));
    __asm__ volatile("" ::: "memory");
    err = (unsigned)(dtu_get(DTU_COMMAND) >> DTU_CMD_ERR_SHIFT);
    ring_awake(&ring_self);
    if (!err)
        ring_fetched(&ring_self, from, vreg_get(VREG_CALL));
    return err;
}

/* Sends by a ring; RING_TRAP: there is none, and the arguments for the command are set. */
static unsigned by_ring(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                        uint64_t reply_label)
{
    unsigned err = ring_send(&ring_self, ep, data, len, reply_ep, reply_label);

    if (err != RING_TRAP)
        return err;
    set_data(data, len);
    set_arg(DTU_REPLY_EPID, reply_ep);
    set_arg(DTU_REPLY_LABEL, reply_label);
    return RING_TRAP;
}

unsigned dtu_send(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                  uint64_t reply_label)
{
    unsigned err = by_ring(ep, data, len, reply_ep, reply_label);

    return err == RING_TRAP ? run(DTU_SEND, ep) : err;
}

unsigned dtu_call(unsigned ep, const void *data, size_t len, unsigned reply_ep,
                  uint64_t reply_label)
{
    unsigned err = by_ring(ep, data, len, reply_ep, reply_label);

    return err == RING_TRAP ? run_and_wait(DTU_SEND, ep, reply_ep, 0, 0) : err;
}

static void set_reply(const struct dtu_header *msg, const void *data, size_t len)
{
    set_data(data, len);
    set_arg(DTU_OFFSET, (uintptr_t)msg);
}

unsigned dtu_reply_wait(unsigned ep, const struct dtu_header *msg, const void *data, size_t len)
{
    if (ring_owns(&ring_self, msg))
        return ring_reply(&ring_self, msg, data, len);
    set_reply(msg, data, len);
    return run_and_wait(DTU_REPLY, ep, ep, 0, 0);
}

unsigned dtu_reply(unsigned ep, const struct dtu_header *msg, const void *data, size_t len)
{
    if (ring_owns(&ring_self, msg))
        return ring_reply(&ring_self, msg, data, len);
    set_reply(msg, data, len);
    return run(DTU_REPLY, ep);
}

unsigned dtu_read(unsigned ep, void *buf, size_t len, uint64_t off)
{
    if (len == 0) /* never completes on the gem5 model (dtu-spec 10.4 #51) */
        return SE_OK;
    set_data(buf, len);
    set_arg(DTU_OFFSET, off);
    return run(DTU_READ, ep);
}

unsigned dtu_write(unsigned ep, const void *buf, size_t len, uint64_t off)
{
    if (len == 0)
        return SE_OK;
    set_data(buf, len);
    set_arg(DTU_OFFSET, off);
    return run(DTU_WRITE, ep);
}

uint64_t dtu_fetch_slot(unsigned ep)
{
    run(DTU_FETCH, ep);
    return dtu_get(DTU_OFFSET);
}

const struct dtu_header *dtu_fetch(unsigned ep)
{
    const struct dtu_header *msg;

    if (ring_self.on)
        return ring_fetch(&ring_self, ep);
    msg = ring_take_fetched(&ring_self, ep);
    if (msg)
        return msg;
    if (dtu_unread(ep) == 0)
        return NULL;
    return (const struct dtu_header *)(uintptr_t)dtu_fetch_slot(ep);
}

void dtu_ack(unsigned ep, const struct dtu_header *msg)
{
    if (ring_owns(&ring_self, msg)) {
        ring_ack(&ring_self, msg);
        return;
    }
    __asm__ volatile("" ::: "memory"); /* the program is done with it */
    if (vreg_has(VREG_F_CALL)) {
        vreg_set(VREG_ACK, vreg_ack(ep, (uintptr_t)msg));
        return;
    }
    set_arg(DTU_OFFSET, (uintptr_t)msg);
    run(DTU_ACK, ep);
}

void dtu_debug(uint32_t value)
{
    __asm__ volatile("" ::: "memory");
    dtu_set(DTU_COMMAND, DTU_DEBUG | (uint64_t)value << 3);
}

bool dtu_spin(void)
{
    for (unsigned i = 0; i < RING_SPIN && ring_may_spin(&ring_self); i++) {
        if (dtu_get(DTU_MSG_CNT) || ring_any(&ring_self))
            return true;
        __builtin_ia32_pause();
    }
    return false;
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
        run_and_wait(DTU_IDLE, 0, ep, 0, 0);
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

/* Looks at one endpoint only, while cores are to spare. */
static bool spin_for(unsigned ep)
{
    for (unsigned i = 0; i < RING_SPIN && ring_may_spin(&ring_self); i++) {
        if (dtu_unread(ep) || dtu_type(ep) != DTU_EP_RECV)
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

void dtu_wait_only(unsigned ep)
{
    if (!vreg_has(VREG_F_ONLY)) {
        dtu_relax(0);
        return;
    }
    if (spin_for(ep) || !ring_sleep_for(&ring_self, ep))
        return;
    __asm__ volatile("" ::: "memory");
    vreg_set(VREG_CALL, vreg_call(DTU_IDLE, ep | VREG_CALL_ONLY, 0, 0));
    __asm__ volatile("" ::: "memory");
    ring_awake(&ring_self);
    ring_fetched(&ring_self, ep, vreg_get(VREG_CALL));
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
            run_and_wait(DTU_IDLE, 0, VREG_CALL_NO_EP, us, max);
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
    ring_self.own |= 1u << ep;
    for (unsigned i = 3; i-- > 0;)
        set_arg(DTU_EP(ep, i), words[i]);
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
