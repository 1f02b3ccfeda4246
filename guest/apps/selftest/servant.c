/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second VPE: both ends of the conversation.  The first VPE attaches the servant's receive
 * endpoint and creates the gate to it before the servant runs, so the servant finds everything in
 * place and only has to listen.
 */
#include "boot.h"
#include "selftest.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

struct vpe servant;
struct recv_gate heard;
static struct recv_gate answers;
static struct gate commands; /* to the servant's SERVANT_EP */

#define SEND_EP  3u
#define PROBE_EP 4u

struct question {
    uint64_t op;
    uint64_t arg[SV_WORDS];
};
struct answer {
    uint64_t error;
    uint64_t word[SV_WORDS];
};
#define QUESTION_ORDER 7 /* slots of 128 bytes hold either, header included */
_Static_assert(sizeof(struct question) + sizeof(struct dtu_header) <= 1u << QUESTION_ORDER, "slot");

/* ---- the servant ---- */

static unsigned send_note(uint64_t value)
{
    static struct note n; /* static: the DTU reads it; the stack would do as well */

    n = (struct note){.value = value};
    return dtu_send(SEND_EP, &n, sizeof(n), DTU_NO_REPLY, 0);
}

static unsigned probe(unsigned first, unsigned count)
{
    unsigned alive = 0;

    for (unsigned sel = first; sel < first + count; sel++) {
        if (sysc_activate(PROBE_EP, CAP_INVALID, sel) == SE_OK) {
            alive++;
            sysc_activate(PROBE_EP, sel, CAP_INVALID);
        }
    }
    return alive;
}

/* Commands end what was posted before them, so that the loads below see it. */
static void flush_stores(void)
{
    dtu_debug(0x5e1f7e57);
}

/*
 * Claims to be somebody else wherever a program can write: the label and target in the endpoint's
 * registers, the VPE id, an error field in COMMAND, a header inside the payload.
 */
static unsigned send_forged(uint64_t value)
{
    static struct note n;

    n = (struct note){.value = value};
    memset(n.lies, 0xff, sizeof(n.lies));
    dtu_set(DTU_EP(SEND_EP, 2), 0xbad0bad0bad0bad0ull);
    dtu_set(DTU_EP(SEND_EP, 1), dtu_send_r1(KERNEL_PE, 0, 0x100));
    dtu_set(DTU_VPE_ID, 0);
    dtu_set(DTU_STATUS, DTU_STATUS_PRIV);
    return dtu_send(SEND_EP, &n, sizeof(n), 0xff, ~0ull);
}

/*
 * Rewrites the question's header in our own memory, with a store, which RW_BARRIER stops, and
 * through our own memory gate, which it does not.  The reply must not go by it: the asker sees
 * where it arrives and with which label.  Returns what the header says now.
 */
static uint64_t spoil(const struct dtu_header *msg)
{
    volatile struct dtu_header *h = (volatile struct dtu_header *)(uintptr_t)msg;
    static const uint64_t label = 0xbad1bad1bad1bad1ull;

    if (sysc_activate(PROBE_EP, CAP_INVALID, CAP_SELF_MEM) == SE_OK) {
        dtu_write(PROBE_EP, &label, sizeof(label), (uintptr_t)&msg->reply_label);
        sysc_activate(PROBE_EP, CAP_SELF_MEM, CAP_INVALID);
    }
    h->reply_label = 0xbad1bad1bad1bad1ull;
    h->sender_ep = 5;
    __asm__ volatile("" ::: "memory"); /* read it, do not remember what we wrote */
    return h->reply_label;
}

unsigned store_everywhere(void)
{
    static const unsigned regs[] = {DTU_STATUS, DTU_ROOT_PT, DTU_PF_EP,  DTU_LAST_PF,
                                    DTU_RWB,    DTU_VPE_ID,  DTU_EXT_CMD};
    static uint64_t before[DTU_EPS * 3];
    unsigned changed = 0;

    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
        uint64_t was = dtu_get(regs[i]);

        dtu_set(regs[i], was ^ 0xffff);
        flush_stores();
        changed += dtu_get(regs[i]) != was;
    }
    for (unsigned i = 0; i < DTU_EPS * 3; i++)
        before[i] = dtu_get(DTU_EP0 + 8 * i);
    for (unsigned i = 0; i < DTU_EPS * 3; i++)
        dtu_set(DTU_EP0 + 8 * i, before[i] ^ 0x2000000000000001ull);
    flush_stores();
    for (unsigned i = 0; i < DTU_EPS * 3; i++)
        changed += dtu_get(DTU_EP0 + 8 * i) != before[i];
    return changed;
}

static unsigned serve(const struct dtu_header *msg, const struct question *q, struct answer *a)
{
    static unsigned sending = CAP_INVALID; /* selector on SEND_EP */

    switch (q->op) {
    case SV_ECHO:
        a->word[0] = msg->label;
        return SE_OK;
    case SV_SEND:
        a->error = sysc_activate(SEND_EP, sending, (unsigned)q->arg[0]);
        if (a->error)
            return (unsigned)a->error;
        sending = (unsigned)q->arg[0];
        return send_note(q->arg[1]);
    case SV_SEND_MORE:
        return send_note(q->arg[0]);
    case SV_PROBE:
        a->word[0] = probe((unsigned)q->arg[0], (unsigned)q->arg[1]);
        return SE_OK;
    case SV_GATE:
        return sysc_creategate(CAP_SELF_VPE, (unsigned)q->arg[0], q->arg[1], SERVANT_EP,
                               1u << QUESTION_ORDER);
    case SV_FORGE:
        return send_forged(q->arg[0]);
    case SV_BAD_REPLY:
        a->word[0] = spoil(msg);
        return SE_OK;
    case SV_STORE:
        a->word[0] = store_everywhere();
        return SE_OK;
    default:
        return SE_NOT_SUP;
    }
}

static int servant_main(void *arg)
{
    const struct recv_gate in = {.ep = SERVANT_EP};
    static struct answer a;

    (void)arg;
    for (;;) {
        const struct dtu_header *msg = recv_gate_wait(&in);
        struct question q;

        if (!msg)
            return 1;
        memcpy(&q, dtu_payload(msg), sizeof(q));
        if (q.op == SV_EXIT) {
            dtu_ack(SERVANT_EP, msg);
            return (int)q.arg[0];
        }
        memset(&a, 0, sizeof(a));
        a.error = serve(msg, &q, &a);
        dtu_reply(SERVANT_EP, msg, &a, sizeof(a));
    }
}

/* ---- the first VPE's side ---- */

const char *servant_begin(void)
{
    uint64_t buffers = guest_recvbuf_start() + 256;
    unsigned err;

    err = recv_gate_create(&heard, 10, 7);
    CHECK(!err, "receive endpoint: error %u", err);
    err = recv_gate_create(&answers, 8, 7);
    CHECK(!err, "receive endpoint: error %u", err);
    err = vpe_create(&servant, "servant");
    CHECK(!err, "CREATEVPE: error %u", err);
    err = sysc_attachrb(servant.sel, SERVANT_EP, buffers, QUESTION_ORDER + 1, QUESTION_ORDER);
    CHECK(!err, "ATTACHRB: error %u", err);
    commands.sel = sel_alloc(1);
    err = sysc_creategate(servant.sel, commands.sel, 0, SERVANT_EP, 1u << QUESTION_ORDER);
    CHECK(!err, "CREATEGATE: error %u", err);
    err = vpe_run(&servant, servant_main, NULL);
    CHECK(!err, "start: error %u", err);
    return NULL;
}

unsigned servant_ask_through(struct gate *g, enum servant_op op, const uint64_t in[SV_WORDS],
                             uint64_t out[SV_WORDS])
{
    static struct question q;
    static uint64_t serial;
    const struct dtu_header *msg;
    struct answer a;
    unsigned err;

    q.op = op;
    memcpy(q.arg, in, sizeof(q.arg));
    err = gate_send(g, &q, sizeof(q), answers.ep, ++serial);
    if (err)
        return err;
    msg = recv_gate_wait(&answers);
    if (!msg)
        return SE_RECV_GONE;
    memcpy(&a, dtu_payload(msg), sizeof(a));
    if (msg->label != serial || msg->sender_pe != pe_desc_id(servant.desc) ||
        msg->length != sizeof(a))
        a.error = SE_INV_ARGS;
    dtu_ack(answers.ep, msg);
    if (out)
        memcpy(out, a.word, sizeof(a.word));
    return (unsigned)a.error;
}

unsigned servant_ask(enum servant_op op, const uint64_t in[SV_WORDS], uint64_t out[SV_WORDS])
{
    return servant_ask_through(&commands, op, in, out);
}

unsigned servant_ask2(enum servant_op op, uint64_t a, uint64_t b, uint64_t *result)
{
    const uint64_t in[SV_WORDS] = {a, b};
    uint64_t out[SV_WORDS];
    unsigned err = servant_ask(op, in, out);

    if (result)
        *result = out[0];
    return err;
}

const char *servant_end(void)
{
    static struct question q = {.op = SV_EXIT, .arg = {SERVANT_STATUS}};
    int status = -1;
    unsigned err;

    err = gate_send(&commands, &q, sizeof(q), DTU_NO_REPLY, 0);
    CHECK(!err, "EXIT message: error %u", err);
    err = vpe_wait(&servant, &status);
    CHECK(!err && status == SERVANT_STATUS, "VPECTRL WAIT: error %u, status %d", err, status);
    err = vpe_destroy(&servant);
    CHECK(!err, "revoking it: error %u", err);
    return NULL;
}

unsigned gate_to_me(uint64_t label)
{
    unsigned sel = sel_alloc(1);

    if (sysc_creategate(CAP_SELF_VPE, sel, label, heard.ep, 1u << heard.msgorder) == SE_OK)
        return sel;
    sel_free(sel, 1);
    return CAP_INVALID;
}

bool heard_something(void)
{
    return dtu_unread(heard.ep) > 0;
}

const char *hear(uint64_t label, uint64_t value, const struct vpe *sender)
{
    const struct dtu_header *msg = recv_gate_wait(&heard);
    struct dtu_header h;
    struct note n;

    CHECK(msg, "our receive endpoint is gone");
    h = *msg;
    memcpy(&n, dtu_payload(msg), sizeof(n));
    dtu_ack(heard.ep, msg);
    CHECK(h.length == sizeof(n), "length %u", h.length);
    CHECK(h.label == label, "label %#lx instead of %#lx", h.label, label);
    CHECK(h.flags == DTU_HD_REPLY_ENABLED, "flags %#x", h.flags);
    CHECK(n.value == value, "value %#lx instead of %#lx", n.value, value);
    if (sender)
        CHECK(h.sender_pe == pe_desc_id(sender->desc) && h.sender_vpe == h.sender_pe,
              "sender PE %u VPE %u", h.sender_pe, h.sender_vpe);
    return NULL;
}
