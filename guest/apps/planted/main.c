/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * planted BUG: wakeup, order, free, slot or crossed.  Ends with status 0 unless the bug shows.
 */
#include "boot.h"
#include "planted.h"
#include "print.h"
#include "start.h"
#include "str.h"
#include "syscall.h"

#define PARTIES    3u
#define SLOT_ORDER 6u
#define TURNS      100000000u
#define RETRIES    1000000u
#define RETRY_NS   100000u
#define SEL_SHARED (SEL_GIVEN + PARTIES)

_Static_assert(sizeof(struct message) + sizeof(struct dtu_header) <= 1u << SLOT_ORDER, "slot");

static const struct bug *const bugs[] = {&bug_wakeup, &bug_order, &bug_free, &bug_slot,
                                         &bug_crossed};
static const struct bug *bug;
static struct vpe vpes[PARTIES];
static struct gate gates[PARTIES];
static struct gate shared;
static uint64_t shared_word; /* the DTU reads and writes it */

unsigned say(unsigned to, enum word word, uint32_t value, bool reply)
{
    static struct message m;
    unsigned err = SE_NO_RING_SPACE;

    m = (struct message){word, value};
    for (unsigned i = 0; i < RETRIES && err == SE_NO_RING_SPACE; i++) {
        if (i > 0)
            dtu_relax(RETRY_NS);
        err = gate_send(&gates[to], &m, sizeof(m), reply ? ANSWER_EP : DTU_NO_REPLY, 0);
    }
    if (err)
        panic("message to party %u: error %u", to, err);
    return err;
}

struct message hear(unsigned ep, unsigned *from)
{
    const struct recv_gate in = {.ep = ep};
    const struct dtu_header *msg = recv_gate_wait(&in);
    struct message m;

    if (!msg)
        panic("endpoint %u is gone", ep);
    memcpy(&m, dtu_payload(msg), sizeof(m));
    if (from)
        *from = (unsigned)msg->label;
    dtu_ack(ep, msg);
    return m;
}

void go(unsigned i)
{
    say(i, GO, 0, false);
}

void work(void)
{
    for (unsigned i = 0; i < TURNS; i++)
        __asm__ volatile("");
}

void dawdle(unsigned n)
{
    while (n-- > 0)
        gate_read(&shared, &shared_word, sizeof(shared_word), 0);
}

uint64_t shared_get(enum shared i)
{
    unsigned err = gate_read(&shared, &shared_word, sizeof(shared_word), i * sizeof(shared_word));

    if (err)
        panic("shared memory: error %u", err);
    return shared_word;
}

void shared_set(enum shared i, uint64_t value)
{
    unsigned err;

    shared_word = value;
    err = gate_write(&shared, &shared_word, sizeof(shared_word), i * sizeof(shared_word));
    if (err)
        panic("shared memory: error %u", err);
}

/* Nothing that happens once only shall be in the bug's way later. */
static unsigned activate_all(unsigned first)
{
    unsigned err = gate_activate(&shared);

    for (unsigned i = 0; i <= bug->children && !err; i++) {
        gates[i] = (struct gate){.sel = first + i};
        err = gate_activate(&gates[i]);
    }
    return err;
}

static int child_main(void *arg)
{
    unsigned self = (unsigned)(uintptr_t)arg;

    if (ep_alloc() != IN_EP || ep_alloc() != ANSWER_EP) /* attached by our creator */
        return 1;
    shared = (struct gate){.sel = SEL_SHARED};
    if (activate_all(SEL_GIVEN))
        return 1;
    say(0, READY, self, false);
    hear(IN_EP, NULL);
    return bug->child(self);
}

static unsigned create_child(unsigned i)
{
    uint64_t buffer = guest_recvbuf_start() + 256; /* behind endpoint 1's slot */
    unsigned err = vpe_create(&vpes[i], bug->name), ep;

    for (ep = IN_EP; ep <= ANSWER_EP && !err; ep++)
        err = sysc_attachrb(vpes[i].sel, ep, buffer + (ep << 10), SLOT_ORDER + 2, SLOT_ORDER);
    return err;
}

/* Party `from` has its gates to all at first + from * PARTIES; they tell who sends. */
static unsigned create_gates(unsigned first)
{
    unsigned n = bug->children + 1, err = SE_OK;

    for (unsigned from = 0; from < n; from++)
        for (unsigned to = 0; to < n && !err; to++)
            err = sysc_creategate(to ? vpes[to].sel : CAP_SELF_VPE, first + from * PARTIES + to,
                                  from, IN_EP, 1u << SLOT_ORDER);
    for (unsigned i = 1; i < n && !err; i++) {
        err = vpe_delegate(&vpes[i], first + i * PARTIES, SEL_GIVEN, n);
        if (!err)
            err = vpe_delegate(&vpes[i], shared.sel, SEL_SHARED, 1);
    }
    return err;
}

static unsigned create_all(void)
{
    unsigned first = sel_alloc(PARTIES * PARTIES), err;
    struct recv_gate in, answers;

    err = recv_gate_create(&in, SLOT_ORDER + bug->slots_order, SLOT_ORDER);
    if (!err)
        err = recv_gate_create(&answers, SLOT_ORDER + 2, SLOT_ORDER);
    shared.sel = sel_alloc(1);
    if (!err)
        err = sysc_reqmem(shared.sel, SYSC_MEM_ANY, 4096, DTU_PERM_RW);
    for (unsigned i = 1; i <= bug->children && !err; i++)
        err = create_child(i);
    if (!err)
        err = create_gates(first);
    if (!err)
        err = activate_all(first);
    for (unsigned i = 0; i < SHARED_WORDS && !err; i++)
        shared_set((enum shared)i, i == SHARED_LIVE);
    for (unsigned i = 1; i <= bug->children && !err; i++)
        err = vpe_run(&vpes[i], child_main, (void *)(uintptr_t)i);
    return err;
}

static int play(void)
{
    int status = 0, worst;

    for (unsigned i = 1; i <= bug->children; i++)
        hear(IN_EP, NULL);
    worst = bug->first();
    for (unsigned i = 1; i <= bug->children; i++)
        if (vpe_wait(&vpes[i], &status) || status)
            worst = 1;
    print("planted %s: %s\n", bug->name, worst ? "it shows" : "all well");
    return worst;
}

int main(int argc, char **argv)
{
    unsigned err;

    for (unsigned i = 0; argc == 2 && i < sizeof(bugs) / sizeof(bugs[0]); i++)
        if (strcmp(argv[1], bugs[i]->name) == 0)
            bug = bugs[i];
    if (!bug) {
        print("usage: planted wakeup|order|free|slot|crossed\n");
        return 2;
    }
    err = create_all();
    if (err) {
        print("planted %s: cannot start: error %u\n", bug->name, err);
        return 2;
    }
    return play();
}
