/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel calls about kernels: who there is, whose PEs are whose, beginning and ending together
 * (semperos-platform 7).
 *
 * Kernels that one of them has started begin and end together: programs that wait for services
 * start when all kernels have said (STARTAPPS) that they could; the machine ends when all have said
 * (SHUTDOWNREQUEST) that only daemons are left, and then each ends its own (SHUTDOWN).
 */
#include "far.h"
#include "hw.h"
#include "kernel.h"
#include "print.h"
#include "str.h"

void kc_announcekrnls(struct kcall *c)
{
    const uint64_t alive[4] = {KC_SIGVITAL, kern.peers.creator_thread, SE_OK, 1};
    uint32_t n = msg_get_u32(c->in);

    if (c->in->error || !kern.peers.secondary || c->p->id != kern.peers.creator || n > KC_PEERS ||
        kern.peers.announced) {
        kcall_bad(c);
        return;
    }
    kern.peers.announced = true;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t id = msg_get_u16(c->in), pe = msg_get_u16(c->in);
        struct peer *p = c->in->error ? NULL : peer_add(id, pe);

        if (!p)
            continue; /* it has called first, or makes no sense */
        p->created = true;
        connect_send(p);
    }
    c->p->ours = !c->in->error && msg_remaining(c->in) > 0;
    peer_reply(c->p, alive, sizeof(alive));
    start_line();
}

void kc_memberupdate(struct kcall *c)
{
    uint16_t id = msg_get_u16(c->in);
    uint8_t flags;
    uint32_t n;

    msg_get_u16(c->in); /* its PE: we know it from its CONNECT */
    flags = msg_get_u8(c->in);
    n = msg_get_u32(c->in);
    if (c->in->error || n > BOOT_PES || n * sizeof(uint64_t) > msg_remaining(c->in)) {
        kcall_bad(c);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            uint64_t desc = msg_get_u64(c->in);
            uint16_t owner = peer_owner(pe_desc_id(desc));

            /*
             * Who has a PE may give it away; what nobody has, somebody may take for himself.  That
             * the owner is as we know it, anybody may say; but what PE it is, only the owner.
             */
            if (owner == id && id != c->p->id)
                continue;
            if (owner != c->p->id && (owner != KC_NO_KERNEL || id != c->p->id))
                kcall_bad(c);
            else if (id != kern.id && peer_find(id)) /* the others call us first */
                connect_member(id, desc, flags);
        }
    }
    peer_ack(c->p);
}

void kc_startapps(struct kcall *c)
{
    if (!c->p->created) {
        kcall_bad(c);
    } else if (kern.peers.secondary) {
        if (c->p->id == kern.peers.creator)
            kern.peers.started = true;
        else
            kcall_bad(c);
    } else {
        c->p->start_sign = true;
    }
    kern.srv_news = true;
    peer_ack(c->p);
}

void kc_shutdownrequest(struct kcall *c)
{
    uint8_t stage = msg_get_u8(c->in);
    uint32_t tid = 1;
    bool from_creator = kern.peers.secondary && c->p->id == kern.peers.creator;

    if (c->in->error || !c->p->created || stage > KC_REPLY_STAGE) {
        kcall_bad(c);
        return;
    }
    if (stage == KC_REPLY_STAGE) {
        if (peer_answered(c->p, KC_SHUTDOWNREQUEST, &tid))
            c->p->may_end = true;
        else
            kcall_bad(c);
    } else if (from_creator) {
        kern.peers.end_asked = true;
        kern.peers.end_offered = false;
    } else if (kern.peers.secondary) {
        kcall_bad(c);
    } else {
        c->p->may_end = true;
        peer_ack(c->p);
    }
}

void kc_shutdown(struct kcall *c)
{
    uint8_t stage = msg_get_u8(c->in);
    uint32_t tid = 1;

    if (!c->in->error && stage == KC_REQUEST_STAGE && kern.peers.secondary &&
        c->p->id == kern.peers.creator) {
        kern.peers.end_told = true;
    } else if (!c->in->error && stage == KC_REPLY_STAGE && c->p->told_end &&
               peer_answered(c->p, KC_SHUTDOWN, &tid)) {
        peer_lost(c->p, NULL);
    } else {
        kcall_bad(c);
    }
}

/* ---- the end, seen from ours ---- */

static void ask_end(struct peer *p, unsigned op)
{
    const uint64_t msg[2] = {(uint64_t)op, KC_REQUEST_STAGE};

    peer_request(p, msg, sizeof(msg), 1);
}

static bool creator_may_end(void)
{
    unsigned left = 0, ready = 0;

    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_UP || !p->created)
            continue;
        left++;
        ready += p->may_end ? 1 : 0;
        if (!p->may_end && !p->asked_end) {
            p->asked_end = true;
            ask_end(p, KC_SHUTDOWNREQUEST);
        }
    }
    for (unsigned i = 0; left == ready && i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state == PEER_UP && p->created && !p->told_end) {
            p->told_end = true;
            ask_end(p, KC_SHUTDOWN);
        }
    }
    return left == 0;
}

static bool secondary_may_end(void)
{
    const uint64_t can[2] = {KC_SHUTDOWNREQUEST, KC_REPLY_STAGE};
    const uint64_t want[2] = {KC_SHUTDOWNREQUEST, KC_REQUEST_STAGE};
    struct peer *p = peer_find(kern.peers.creator);

    if (kern.peers.end_told || !p)
        return true;
    if (kern.peers.end_offered)
        return false;
    kern.peers.end_offered = true;
    if (kern.peers.end_asked)
        peer_reply(p, can, sizeof(can));
    else
        peer_request(p, want, sizeof(want), 0);
    return false;
}

bool group_may_end(void)
{
    if (kern.boot.state != BOOT_IDLE || move_keeps_us())
        return false;
    if (kern.peers.secondary)
        return secondary_may_end();
    if (kern.peers.independent && kern.stats.regular == 0)
        for (unsigned i = 0; i < KC_PEERS; i++)
            if (!kern.peers.left || kern.peers.peer[i].state == PEER_UP)
                return false;
    return creator_may_end();
}

bool group_is_ending(void)
{
    if (kern.ending || kern.peers.end_offered || kern.peers.end_told)
        return true;
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP && kern.peers.peer[i].asked_end)
            return true;
    return false;
}

void group_ended(void)
{
    const uint64_t done[2] = {KC_SHUTDOWN, KC_REPLY_STAGE};
    const uint64_t bye[2] = {KC_EXIT, 0};

    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_UP)
            continue;
        if (kern.peers.secondary && p->id == kern.peers.creator)
            peer_reply(p, done, sizeof(done));
        if (!p->created)
            peer_request(p, bye, sizeof(bye), 0);
    }
}

/* ---- the beginning ---- */

static bool in_group(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP && kern.peers.peer[i].created)
            return true;
    return false;
}

bool group_may_start(bool missing)
{
    const uint64_t msg = KC_STARTAPPS;

    if (kern.boot.state != BOOT_IDLE)
        return false;
    if (!kern.peers.secondary && !in_group())
        kern.peers.started = true; /* nobody to wait for */
    if (kern.peers.secondary && kern.peers.announced && !peer_find(kern.peers.creator))
        kern.peers.started = true; /* nobody who could say it any more */
    if (kern.peers.started || missing)
        return kern.peers.started;
    if (kern.peers.secondary) {
        struct peer *p = peer_find(kern.peers.creator);

        if (!kern.peers.start_sent && p)
            kern.peers.start_sent = peer_request(p, &msg, sizeof(msg), 0) == SE_OK;
        return false;
    }
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP && kern.peers.peer[i].created &&
            !kern.peers.peer[i].start_sign)
            return false;
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state == PEER_UP && kern.peers.peer[i].created)
            peer_request(&kern.peers.peer[i], &msg, sizeof(msg), 0);
    kern.peers.started = true;
    return true;
}

bool group_others(void)
{
    for (unsigned i = 0; i < KC_PEERS; i++)
        if (kern.peers.peer[i].state != PEER_NONE)
            return true;
    return kern.boot.state != BOOT_IDLE;
}

/* ---- KCREATEVPE: a program that has no PE here ---- */

bool group_start_elsewhere(const char *name)
{
    static const char core[] = "SPM";
    uint8_t buf[KC_NAME + 64];
    struct msg_writer w;

    for (unsigned i = 0; i < KC_PEERS; i++) {
        struct peer *p = &kern.peers.peer[i];

        if (p->state != PEER_UP || strlen(name) >= KC_NAME)
            continue;
        kern.tids = kern.tids % 0x7FFFFFFFu + 1;
        msg_writer_init(&w, buf, sizeof(buf));
        msg_put(&w, KC_CREATEVPE);
        msg_put(&w, KC_REQUEST_STAGE);
        msg_put(&w, kern.tids);
        msg_put_str(&w, name, strlen(name));
        msg_put_str(&w, core, sizeof(core) - 1);
        if (peer_request(p, buf, w.len, kern.tids) != SE_OK)
            continue;
        p->starting++;
        return true;
    }
    return false;
}

/* A VPE waits for the start of one that it has a capability for (far.c). */
static void start_answered(struct kcall *c, uint32_t tid)
{
    struct vpe *v = kcall_waiting(c->p, KC_CREATEVPE, tid);
    int err;

    msg_get_u32(c->in); /* the VPE: it is known */
    err = (int)msg_get_u32(c->in);
    if (v)
        sys_answer(v, err, NULL);
    else
        kern.stats.late++;
}

void kc_createvpe(struct kcall *c)
{
    uint8_t stage = msg_get_u8(c->in);
    uint32_t tid = msg_get_u32(c->in);
    char name[KC_NAME], core[KC_NAME];
    unsigned id = 0;
    bool ok;

    if (stage == KC_REPLY_STAGE) {
        ok = msg_get_bool(c->in);
        if (c->in->error || !peer_answered(c->p, KC_CREATEVPE, &tid)) {
            kcall_bad(c);
            return;
        }
        if (msg_remaining(c->in) > sizeof(uint64_t)) {
            start_answered(c, tid);
            return;
        }
        c->p->starting--;
        if (!ok) {
            print("kernel %u: kernel %u could not start a program for us\n", kern.id, c->p->id);
            kern.stats.failed++;
        }
        return;
    }
    msg_get_str(c->in, name, sizeof(name));
    msg_get_str(c->in, core, sizeof(core));
    if (!c->in->error && stage == KC_REQUEST_STAGE && !name[0] && msg_remaining(c->in) > 0) {
        far_start_asked(c, tid);
        return;
    }
    ok = !c->in->error && stage == KC_REQUEST_STAGE && start_named(name, &id);
    if (!ok)
        kcall_bad(c);
    peer_reply(c->p, (const uint64_t[]){KC_CREATEVPE, KC_REPLY_STAGE, tid, ok, id},
               (ok ? 5 : 4) * sizeof(uint64_t));
}
